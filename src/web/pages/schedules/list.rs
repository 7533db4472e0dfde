//! The list of schedules: what each says, does and did, in the order a person asks for.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;

use super::form::{Preset, WINDOWS};
use super::{icon, runs_now, sentence};
use crate::app::Result;
use crate::app::paging::Page;
use crate::app::schedules::{self as service, ScheduleFilter, ScheduleView};
use crate::domain::schedule::Source;
use crate::domain::sorted;
use crate::web::Web;
use crate::web::api::schedules::ScheduleJson;
use crate::web::auth::{Caller, Viewer};
use crate::web::export::{File, Form};
use crate::web::filters;
use crate::web::htmx::Htmx;
use crate::web::pages::actions::Act;
use crate::web::pages::{now, part};
use crate::web::picture::RuleWeek;
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Link, Now, When};

/// A schedule in the list.
#[derive(Clone, Debug)]
pub struct ScheduleRow {
    pub id: String,
    /// What to call it.
    pub title: String,
    /// The action's symbol.
    pub icon: &'static str,
    /// `Stop: At 23:00`.
    pub sentence: String,
    /// The zone, where it is not the reader's.
    pub zone: Option<String>,
    /// It is switched on.
    pub enabled: bool,
    /// The stack or container.
    pub target: Link,
    /// The target is not there.
    pub orphan: bool,
    /// When it acts next.
    pub next: Option<When>,
    /// The coming occurrence is dropped.
    pub skipping: bool,
    /// What it gets in the way of.
    pub conflict: Option<String>,
    /// That is another schedule, and both can be seen side by side.
    pub meets: bool,
    /// The path of the picture of its week; empty where it has none.
    pub week: String,
    /// Who keeps it.
    pub owner: String,
    /// What stands above it, where it is the first of a group.
    pub heading: Option<String>,
    /// Its newest run.
    pub last: Option<LastRow>,
    /// Where it came from, where that is not this form.
    pub source: Option<&'static str>,
    /// It can be changed here.
    pub editable: bool,
    /// Buttons that do now what it does.
    pub runs_now: Vec<Act>,
}

/// The newest run of a schedule.
#[derive(Clone, Debug)]
pub struct LastRow {
    pub href: String,
    /// How it ended.
    pub state: Badge,
    pub when: Option<When>,
}

impl ScheduleRow {
    /// A schedule in the list.
    pub fn new(view: &ScheduleView, zone: &str, now: &Now) -> Self {
        let schedule = &view.schedule;
        let own_zone = crate::domain::time::zone(&view.effective_timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        Self {
            id: schedule.id.to_string(),
            title: view::shown_name(&view.title),
            icon: icon(view),
            sentence: sentence(view, now),
            zone: (view.effective_timezone != zone).then(|| view.effective_timezone.clone()),
            enabled: schedule.spec.enabled,
            target: Link::new(
                format!("/{}s/{}", schedule.target_type(), view.target_key),
                view::shown_name(&view.target_name),
            ),
            orphan: view.target_exists == Some(false),
            next: view.next_at.map(|at| now.when(at)),
            skipping: service::is_skipping(schedule, now.at),
            conflict: None,
            meets: false,
            week: RuleWeek::of(&service::marks(&schedule.spec.when, &own_zone, now.at), "", now)
                .map(|picture| picture.path)
                .unwrap_or_default(),
            owner: schedule.owner_name.as_deref().map(view::shown_name).unwrap_or_default(),
            heading: None,
            last: view.last_run.as_ref().map(|run| LastRow {
                href: format!("/runs/{}", run.id),
                state: run.state.into(),
                when: run.finished_at.or(run.fire_at).map(|at| now.when(at)),
            }),
            source: match schedule.source {
                Source::Ui => None,
                Source::Api => Some("API"),
                Source::Label => Some("Label"),
                Source::Import => Some("Import"),
            },
            editable: schedule.source != Source::Label,
            runs_now: runs_now(view),
        }
    }
}

/// The list of schedules.
#[derive(Template, Clone, Debug)]
#[template(path = "schedules/index.html", blocks = ["rows"])]
pub struct SchedulesPage {
    pub shell: Shell,
    /// What is searched for.
    pub text: String,
    /// The schedules.
    pub rows: Vec<ScheduleRow>,
    pub older: Option<String>,
    /// The first page, where this is not it.
    pub newest: Option<String>,
    /// How it can be sorted and grouped.
    pub orders: Vec<Order>,
    /// Ready-made rules to begin with.
    pub presets: Vec<Link>,
    /// Only so many are laid out in that order.
    pub laid_out: Option<u32>,
}

/// One way to sort or group the list.
#[derive(Clone, Debug)]
pub struct Order {
    /// Where it is shown so.
    pub link: Link,
    /// It is shown so now.
    pub chosen: bool,
}

/// What the list is narrowed by and how it is laid out, as the URL says it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// Text to look for.
    q: String,
    /// Where the page before ended.
    cursor: String,
    /// `newest`, `name`, `next`.
    sort: String,
    /// `stack`, `time`.
    group: String,
}

impl Wanted {
    /// It has to be known whole before it can be laid out.
    fn is_laid_out(&self) -> bool {
        matches!(self.sort.as_str(), "name" | "next") || matches!(self.group.as_str(), "stack" | "time")
    }

    fn href(&self, changed: &[(&str, &str)]) -> String {
        let own = [("q", &*self.q), ("sort", &*self.sort), ("group", &*self.group)];
        let kept = own.into_iter().filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
        let all: Vec<(&str, &str)> =
            kept.chain(changed.iter().copied()).filter(|(_, value)| !value.is_empty()).collect();
        let query = serde_urlencoded::to_string(all).unwrap_or_default();
        if query.is_empty() { "/schedules".to_owned() } else { format!("/schedules?{query}") }
    }
}

fn orders(wanted: &Wanted) -> Vec<Order> {
    let choices = [
        ("Newest first", "", ""),
        ("By name", "name", ""),
        ("By next", "next", ""),
        ("By stack", "", "stack"),
        ("By time", "", "time"),
    ];
    let order = |(text, sort, group): (&str, &str, &str)| Order {
        link: Link::new(wanted.href(&[("sort", sort), ("group", group)]), text),
        chosen: wanted.sort == sort && wanted.group == group,
    };
    choices.into_iter().map(order).collect()
}

fn presets() -> Vec<Link> {
    let link = |preset: &Preset| {
        let query = serde_urlencoded::to_string([("window", preset.text)]).unwrap_or_default();
        Link::new(format!("/schedules/new?{query}"), preset.label)
    };
    WINDOWS.iter().map(link).collect()
}

/// Rows laid out at once where they are sorted or grouped.
const MOST: u32 = 200;

/// Sorts the schedules as they are to be shown.
fn sort(items: &mut [ScheduleView], wanted: &Wanted) {
    let next = |view: &ScheduleView| (view.next_at.is_none(), view.next_at);
    match (wanted.group.as_str(), wanted.sort.as_str()) {
        ("stack", _) => sorted::by_cached_key(items, |view| (view.target_name.to_lowercase(), next(view))),
        ("time", _) | (_, "next") => sorted::by_key(items, next),
        (_, "name") => sorted::by_cached_key(items, |view| view.title.to_lowercase()),
        _ => {}
    }
}

/// What a row's group is called.
fn heading(view: &ScheduleView, wanted: &Wanted, now: &Now) -> Option<String> {
    match wanted.group.as_str() {
        "stack" => Some(view::shown_name(&view.target_name)),
        "time" => Some(match view.next_at {
            Some(at) => now.day(at),
            None if view.schedule.spec.enabled => "Never again".to_owned(),
            None => "Off".to_owned(),
        }),
        _ => None,
    }
}

pub(super) async fn index(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Query(wanted): Query<Wanted>,
    shell: Shell,
) -> Result<Response> {
    let filter = ScheduleFilter { text: Some(wanted.q.clone()), ..ScheduleFilter::default() };
    let page = if wanted.is_laid_out() {
        Page { limit: MOST, cursor: None }
    } else {
        Page::parse(None, Some(&wanted.cursor))?
    };
    let mut listed = service::list(&web.app, &caller.actor, &filter, &page).await?;
    sort(&mut listed.items, &wanted);
    let now = now(&web, &shell);
    let older = listed.next_cursor.as_deref().map(|cursor| {
        Wanted { sort: String::new(), group: String::new(), ..wanted.clone() }.href(&[("cursor", cursor)])
    });
    let conflicts = service::conflicts(&web.app, &caller.actor, &listed.items).await?;
    let mut above = None;
    let mut rows = Vec::new();
    for view in &listed.items {
        let clash = conflicts.get(&view.schedule.id);
        let group = heading(view, &wanted, &now);
        let first = group.clone().filter(|_| group != above);
        above = group;
        rows.push(ScheduleRow {
            meets: clash.is_some_and(|clash| clash.other.is_some()),
            conflict: clash.map(|clash| now.words(&clash.sentence)),
            heading: first,
            ..ScheduleRow::new(view, &shell.zone, &now)
        });
    }
    let page = SchedulesPage {
        rows,
        older,
        newest: (!wanted.q.is_empty() || !wanted.cursor.is_empty()).then(|| "/schedules".to_owned()),
        orders: orders(&wanted),
        presets: presets(),
        laid_out: (wanted.is_laid_out() && listed.next_cursor.is_some()).then_some(MOST),
        text: wanted.q,
        shell,
    };
    part(&htmx, &page, &page.as_rows())
}

/// What `POST /api/schedules` takes, in the order a person reads it.
const FIELDS: [&str; 21] = [
    "name",
    "host",
    "target_type",
    "target_id",
    "kind",
    "window",
    "mode",
    "policy",
    "wake",
    "action",
    "cron",
    "at",
    "timezone",
    "enabled",
    "catch_up_seconds",
    "priority",
    "stop_timeout_seconds",
    "calendar_id",
    "calendar_effect",
    "guard",
    "note",
];

/// All schedules as a file.
pub(super) async fn file(State(web): State<Web>, caller: Caller<Viewer>, form: Form) -> Result<Response> {
    let (app, actor) = (web.app.clone(), caller.actor.clone());
    let json = |view: ScheduleView| serde_json::to_value(ScheduleJson::from(view)).unwrap_or_default();
    let cells = |_: &ScheduleView| Vec::new();
    let file = File { form, name: "schedules", columns: &FIELDS, cells, json };
    file.answer(web.app.clock.now(), move |page| {
        let (app, actor) = (app.clone(), actor.clone());
        async move { service::list(&app, &actor, &ScheduleFilter::default(), &page).await }
    })
    .await
}
