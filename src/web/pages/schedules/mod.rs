//! The list of schedules, their form, and what can be done with one.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Response};

use super::actions::{self, Act, Question};
use super::{go, html, now};
use crate::app::paging::Page;
use crate::app::schedules::{self as service, ScheduleFilter, ScheduleView};
use crate::app::{Result, execute};
use crate::domain::action::Action;
use crate::domain::ids::ScheduleId;
use crate::domain::run::{RunState, Trigger};
use crate::domain::schedule::Source;
use crate::web::Web;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Badge, Link, Now, Sampled, When};

mod edit;
mod fields;
pub mod form;
pub mod meaning;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/schedules", Access::VIEWER, index)
        .post("/schedules", Access::OPERATOR, edit::create)
        .get("/schedules/new", Access::OPERATOR, edit::new)
        .post("/schedules/preview", Access::OPERATOR, edit::preview)
        .get("/schedules/zones", Access::VIEWER, edit::zones)
        .get("/schedules/{id}", Access::VIEWER, edit::show)
        .post("/schedules/{id}", Access::OPERATOR, edit::update)
        .post("/schedules/{id}/enable", Access::OPERATOR, enable)
        .post("/schedules/{id}/disable", Access::OPERATOR, disable)
        .post("/schedules/{id}/skip", Access::OPERATOR, skip)
        .post("/schedules/{id}/unskip", Access::OPERATOR, unskip)
        .get("/schedules/{id}/run", Access::OPERATOR, ask_run)
        .post("/schedules/{id}/run", Access::OPERATOR, run)
        .get("/schedules/{id}/delete", Access::OPERATOR, ask_delete)
        .post("/schedules/{id}/delete", Access::OPERATOR, delete)
}

/// A schedule in one line, on the page of its target.
#[derive(Clone, Debug)]
pub struct ScheduleLine {
    /// Its id.
    pub id: String,
    /// What to call it.
    pub title: String,
    /// The action's symbol.
    pub icon: &'static str,
    /// `Stop at 23:00`.
    pub sentence: String,
    /// It is switched on.
    pub enabled: bool,
    /// When it acts next.
    pub next: Option<When>,
}

impl ScheduleLine {
    /// A schedule in one line.
    pub fn new(view: &ScheduleView, now: &Now) -> Self {
        Self {
            id: view.schedule.id.to_string(),
            title: view::shown_name(&view.title),
            icon: icon(view),
            sentence: sentence(view),
            enabled: view.schedule.spec.enabled,
            next: view.next_at.map(|at| now.when(at)),
        }
    }

    /// Lines to try templates with.
    pub fn samples() -> Vec<Self> {
        let line = |title: &str, action: Action, sentence: &str, seconds: Option<i64>| Self {
            id: "1".to_owned(),
            title: title.to_owned(),
            icon: view::action_icon(action),
            sentence: sentence.to_owned(),
            enabled: seconds.is_some(),
            next: seconds.map(|seconds| Now::sample().plus(seconds)),
        };
        vec![
            line("Nights", Action::Stop, "Stop: At 23:00, Monday through Friday", Some(10_080)),
            line("Mornings", Action::Start, "Start: At 07:30, Monday through Friday", Some(214_000)),
            line("Sundays off", Action::Stop, "Stop: At 00:00, only on Sunday", None),
        ]
    }
}

/// What it does and when: `Stop: At 23:00; may wait up to 30 min`. A window says both.
fn sentence(view: &ScheduleView) -> String {
    let spec = &view.schedule.spec;
    let sentence = if view.schedule.is_window() {
        view.meaning.clone()
    } else {
        format!("{}: {}", spec.action.label(), view.meaning)
    };
    match &spec.guard {
        Some(guard) => format!("{sentence}; {}", guard.in_short()),
        None => sentence,
    }
}

/// The symbol of what it does: of a window the moon, whether it stops or pauses.
fn icon(view: &ScheduleView) -> &'static str {
    if view.schedule.is_window() { "moon" } else { view::action_icon(view.schedule.spec.action) }
}

/// Buttons that do now what it does: of a window there are two edges.
fn runs_now(view: &ScheduleView) -> Vec<Act> {
    let act = |edge: &str, label, icon| Act {
        action: "run",
        label,
        icon,
        href: format!("/schedules/{}/run{edge}", view.schedule.id),
        of: String::new(),
    };
    if view.schedule.is_window() {
        vec![act("?edge=sleep", "Nap now", "moon"), act("?edge=wake", "Wake now", "sunrise")]
    } else {
        vec![act("", "Run now", "play")]
    }
}

/// A schedule in the list.
#[derive(Clone, Debug)]
pub struct ScheduleRow {
    /// Its id.
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
    /// Its page.
    pub href: String,
    /// How it ended.
    pub state: Badge,
    /// When.
    pub when: Option<When>,
}

impl ScheduleRow {
    /// A schedule in the list.
    pub fn new(view: &ScheduleView, zone: &str, now: &Now) -> Self {
        let schedule = &view.schedule;
        Self {
            id: schedule.id.to_string(),
            title: view::shown_name(&view.title),
            icon: icon(view),
            sentence: sentence(view),
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
    /// The surroundings.
    pub shell: Shell,
    /// What is searched for.
    pub text: String,
    /// The schedules.
    pub rows: Vec<ScheduleRow>,
    /// The next page.
    pub older: Option<String>,
    /// The first page, where this is not it.
    pub newest: Option<String>,
}

/// One row of the list, after it was switched.
#[derive(Template, Clone, Debug)]
#[template(path = "schedules/_row.html")]
pub struct SwitchedRow {
    /// The surroundings.
    pub shell: Shell,
    /// The schedule.
    pub row: ScheduleRow,
}

/// The zones there are, as the choices of a field.
#[derive(Template, Clone, Debug)]
#[template(path = "schedules/_zones.html")]
pub struct Zones {
    /// The surroundings.
    pub shell: Shell,
    /// IANA names.
    pub zones: Vec<String>,
}

/// What the list is narrowed by, as the URL says it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Wanted {
    /// Text to look for.
    q: String,
    /// Where the page before ended.
    cursor: String,
}

async fn index(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Query(wanted): Query<Wanted>,
    shell: Shell,
) -> Result<Response> {
    let filter = ScheduleFilter { text: Some(wanted.q.clone()), ..ScheduleFilter::default() };
    let page = Page::parse(None, Some(&wanted.cursor))?;
    let listed = service::list(&web.app, &caller.actor, &filter, &page).await?;
    let now = now(&web, &shell);
    let older = listed.next_cursor.as_deref().map(|cursor| {
        let query = [("q", &*wanted.q), ("cursor", cursor)];
        format!("/schedules?{}", serde_urlencoded::to_string(query).unwrap_or_default())
    });
    let mut conflicts = service::conflicts(&web.app, &caller.actor, &listed.items).await?;
    let rows = listed.items.iter().map(|view| ScheduleRow {
        conflict: conflicts.remove(&view.schedule.id),
        ..ScheduleRow::new(view, &shell.zone, &now)
    });
    let page = SchedulesPage {
        rows: rows.collect(),
        older,
        newest: (!wanted.q.is_empty() || !wanted.cursor.is_empty()).then(|| "/schedules".to_owned()),
        text: wanted.q,
        shell,
    };
    super::part(&htmx, &page, &page.as_rows())
}

/// The row again for htmx, the list for a browser.
fn switched(web: &Web, htmx: &Htmx, shell: Shell, view: &ScheduleView) -> Result<Response> {
    if !htmx.partial {
        return Ok(go(web, htmx, "/schedules"));
    }
    let row = ScheduleRow::new(view, &shell.zone, &now(web, &shell));
    Ok(html(&SwitchedRow { shell, row })?.into_response())
}

async fn enable(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Response> {
    switched(&web, &htmx, shell, &service::enable(&web.app, &caller.actor, &ScheduleId(id)).await?)
}

async fn disable(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Response> {
    switched(&web, &htmx, shell, &service::disable(&web.app, &caller.actor, &ScheduleId(id)).await?)
}

async fn skip(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
) -> Result<Response> {
    let id = ScheduleId(id);
    service::skip_next(&web.app, &caller.actor, &id).await?;
    notes.leave(Flash::new("good", "The next one is left out; the ones after it stay.")).await;
    Ok(go(&web, &htmx, &format!("/schedules/{id}")))
}

async fn unskip(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
) -> Result<Response> {
    let id = ScheduleId(id);
    service::unskip_next(&web.app, &caller.actor, &id).await?;
    Ok(go(&web, &htmx, &format!("/schedules/{id}")))
}

/// Which edge of a window is asked for, as the URL says it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Edge {
    /// `sleep` or `wake`; empty for the other kinds.
    edge: String,
}

impl Edge {
    fn named(&self) -> Option<&str> {
        Some(&*self.edge).filter(|edge| !edge.is_empty())
    }
}

async fn ask_run(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    Query(edge): Query<Edge>,
    shell: Shell,
) -> Result<Html<String>> {
    let view = service::get(&web.app, &caller.actor, &ScheduleId(id)).await?;
    let spec = &view.schedule.spec;
    let back = Link::new(format!("/schedules/{}", view.schedule.id), view::shown_name(&view.title));
    let wakes = edge.named() == Some("wake");
    let (action, text, query) = if !view.schedule.is_window() {
        (spec.action, "This is done now, once. The schedule goes on as before.", "")
    } else if wakes {
        (Action::Start, "It stays awake until the schedule’s next nap.", "?edge=wake")
    } else {
        (spec.action, "It sleeps until the schedule wakes it next.", "?edge=sleep")
    };
    let plan = execute::preview(&web.app, &caller.actor, &spec.target, action, wakes).await?;
    let question = Question::action(action, &spec.target, &view.target_name, plan);
    let question =
        if view.schedule.is_window() { question.as_nap(wakes, &view.target_name) } else { question };
    let action = format!("/schedules/{}/run{query}", view.schedule.id);
    actions::asked(shell, &htmx, Question { action, back, text: text.to_owned(), ..question })
}

async fn run(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    Query(edge): Query<Edge>,
    notes: Notes,
) -> Result<Response> {
    let id = ScheduleId(id);
    let submitted = service::run_now(&web.app, &caller.actor, &id, Trigger::Manual, edge.named()).await?;
    Ok(actions::to_run(&web, &htmx, &notes, &submitted).await)
}

async fn ask_delete(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Html<String>> {
    let view = service::get(&web.app, &caller.actor, &ScheduleId(id)).await?;
    let title = view::shown_name(&view.title);
    let question = Question {
        title: format!("Delete “{title}”?"),
        label: "Delete".to_owned(),
        icon: "trash-2",
        harsh: true,
        action: format!("/schedules/{}/delete", view.schedule.id),
        back: Link::new(format!("/schedules/{}", view.schedule.id), title),
        text: "It will not fire any more. Its runs stay in the list, and the audit log keeps what it said."
            .to_owned(),
        rev: Some(view.schedule.rev),
        ..Question::default()
    };
    actions::asked(shell, &htmx, question)
}

async fn delete(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
    typed: Typed,
) -> Result<Response> {
    let rev = typed.filled("rev").and_then(|rev| rev.parse().ok());
    service::delete(&web.app, &caller.actor, &ScheduleId(id), rev).await?;
    notes.leave(Flash::new("good", "The schedule is deleted.")).await;
    Ok(go(&web, &htmx, "/schedules"))
}

impl ScheduleRow {
    /// Rows to try templates with.
    pub fn samples() -> Vec<Self> {
        let now = Now::sample();
        let row = |id: &str, title: &str, action: Action, sentence: &str, seconds: i64| Self {
            id: id.to_owned(),
            title: title.to_owned(),
            icon: view::action_icon(action),
            sentence: sentence.to_owned(),
            zone: None,
            enabled: true,
            target: Link::new("/stacks/0123456789abcdef", "media"),
            orphan: false,
            next: Some(now.plus(seconds)),
            skipping: false,
            conflict: None,
            last: Some(LastRow {
                href: "/runs/1".to_owned(),
                state: RunState::Succeeded.into(),
                when: Some(now.plus(seconds - 86_400)),
            }),
            source: None,
            editable: true,
            runs_now: vec![Act {
                action: "run",
                label: "Run now",
                icon: "play",
                href: format!("/schedules/{id}/run"),
                of: String::new(),
            }],
        };
        vec![
            Self {
                icon: "moon", ..row("1", "Nights", Action::Stop, "Asleep Mon–Fri 23:00–07:00", 10_080)
            },
            Self {
                skipping: true,
                conflict: Some("At 2026-11-28 07:30 this goes against “Nights”.".to_owned()),
                ..row("2", "Mornings", Action::Start, "Start: At 07:30, Monday through Friday", 40_680)
            },
            Self {
                enabled: false,
                next: None,
                last: None,
                source: Some("API"),
                ..row("3", "Stop staging", Action::Stop, "Stop: At 20:00", 0)
            },
            Self {
                editable: false,
                source: Some("Label"),
                zone: Some("America/New_York".to_owned()),
                last: Some(LastRow {
                    href: "/runs/1".to_owned(),
                    state: RunState::Failed.into(),
                    when: Some(now.plus(-5000)),
                }),
                ..row("4", "Restart wiki", Action::Restart, "Restart: At 04:00, only on Sunday", 100_000)
            },
            Self {
                orphan: true,
                next: Some(now.plus(500_000)),
                ..row("5", "Pause old-lab", Action::Pause, "Once, at 2026-12-03 15:00", 500_000)
            },
        ]
    }
}

impl Sampled for SchedulesPage {
    fn samples() -> Vec<Self> {
        let page = Self {
            shell: Shell { here: "schedules", ..Shell::sample() },
            text: String::new(),
            rows: ScheduleRow::samples(),
            older: None,
            newest: None,
        };
        vec![
            Self { rows: vec![], ..page.clone() },
            Self {
                rows: vec![],
                text: "zzz".to_owned(),
                newest: Some("/schedules".to_owned()),
                ..page.clone()
            },
            Self {
                shell: Shell {
                    user: Some(crate::web::shell::ShellUser {
                        name: "ben".to_owned(),
                        role: crate::domain::permission::Role::Viewer,
                    }),
                    ..page.shell.clone()
                },
                older: Some("/schedules?cursor=1".to_owned()),
                ..page.clone()
            },
            page,
        ]
    }
}

impl Sampled for SwitchedRow {
    fn samples() -> Vec<Self> {
        ScheduleRow::samples().into_iter().map(|row| Self { shell: Shell::sample(), row }).collect()
    }
}

impl Sampled for Zones {
    fn samples() -> Vec<Self> {
        vec![Self { shell: Shell::sample(), zones: vec!["Europe/Berlin".to_owned(), "UTC".to_owned()] }]
    }
}
