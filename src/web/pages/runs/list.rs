//! The list of runs: its filters, the chart of the last 30 days, and the button that shows newer runs.

use std::collections::{HashMap, HashSet};

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;

use super::picture::{self, Ribbon, Spark};
use super::words;
use crate::app::history::{self, BatchLine, MOST_NEWER, Past, RunFilter, RunLine};
use crate::app::paging::{self, Paged};
use crate::app::schedules::{self, Coming};
use crate::app::{App, Error, Result, targets};
use crate::domain::action::Action;
use crate::domain::group::Area;
use crate::domain::ids::{BatchId, RunId, ScheduleId};
use crate::domain::run::{Run, RunState, Trigger};
use crate::domain::target::{Target, TargetType};
use crate::domain::time;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::list::ListQuery;
use crate::web::page::Page;
use crate::web::pages::choices::Group;
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Choice};

/// The states in the filter. The first entry has no state and shows all runs.
const STATES: [(&str, &str); 6] = [
    ("", "All"),
    ("attention", "Failed"),
    ("succeeded", "Succeeded"),
    ("skipped", "Skipped"),
    ("missed", "Missed"),
    ("executing", "Running now"),
];
/// The query parameters that filter the list. All but `host`, `group`, `state` and `batch` are fields of the filter form.
const FIELDS: [&str; 11] =
    ["host", "group", "state", "target", "action", "trigger", "actor", "schedule", "batch", "from", "to"];

/// The list and the filter that a URL names. The page and the file use the same parameters.
pub(super) fn read(app: &App, typed: Typed, shell: &Shell) -> (ListQuery, RunFilter) {
    let mut list = ListQuery::new("/runs", &FIELDS, typed);
    let (from, to) = list.days(&shell.now);
    let target = list.get("target").split_once('/').and_then(|(kind, name)| {
        // The target may be gone: its runs are still in the history.
        let kind = TargetType::parse(kind)?;
        Some(history::target_named(app, &targets::host_of(app, kind, name), kind, name))
    });
    let filter = RunFilter {
        host: list.past_host(),
        group: list.past_group(shell),
        batch: list.text("batch").map(BatchId),
        target,
        schedule: list.text("schedule").map(ScheduleId),
        state: RunState::parse(list.get("state")),
        attention: list.get("state") == "attention",
        action: list.get("action").parse().ok(),
        trigger: Trigger::parse(list.get("trigger")),
        actor: list.text("actor"),
        from,
        to,
        upto: None,
    };
    (list, filter)
}

/// The page with the list of runs.
#[derive(Template)]
#[template(path = "runs/index.html", blocks = ["rows"])]
struct RunsPage<'a> {
    shell: &'a Shell,
    list: &'a ListQuery,
    /// Stacks and containers in the filter.
    targets: Vec<Group>,
    /// Schedules in the filter.
    schedules: Vec<Choice>,
    /// The active filters except the state: each field with its label.
    narrowed: Vec<(&'static str, String)>,
    /// How the runs of the last 30 days ended. `None` for a part of the page, a later page, or days without runs.
    ribbon: Option<Ribbon>,
    lines: &'a [RunLine],
    pasts: &'a HashMap<(Target, Action), Past>,
    next_cursor: Option<&'a str>,
    /// The next run that is due. Only set if there are no runs at all.
    coming: Option<Coming>,
    /// The id of the first run on the page, or empty.
    than: &'a str,
    /// The number of lines newer than `than`. Always 0 when the page is rendered.
    newer: i64,
    /// Whether the page checks for newer runs after each event about runs.
    asks: bool,
}

impl RunsPage<'_> {
    fn is_narrowed(&self) -> bool {
        !self.narrowed.is_empty()
            || ["host", "group", "state"].iter().any(|field| !self.list.get(field).is_empty())
    }

    /// The URL from which the list refreshes itself. The first run stays the same, so that rows do not move.
    fn stay(&self) -> String {
        self.list.with(&[("cursor", self.list.get("cursor")), ("upto", self.than)])
    }

    fn past(&self, run: &Run) -> Option<&Past> {
        self.pasts.get(&(run.target.clone(), run.action))
    }
}

pub(super) async fn index(page: Page, Query(typed): Query<Typed>) -> Result<Response> {
    let (app, actor, shell) = (&page.app, &page.actor, &page.shell);
    let (list, filter) = read(app, typed, shell);
    let part = list.page()?;
    let upto = paging::Page::parse(None, Some(list.get("upto")))?.cursor.map(RunId);
    let sound = list.errors.is_empty();
    let listed = if sound {
        history::lines(app, actor, &RunFilter { upto, ..filter.clone() }, &part).await?
    } else {
        Paged { items: Vec::new(), next_cursor: None }
    };
    let lines = &listed.items;
    let runs: Vec<Run> = lines.iter().flat_map(RunLine::runs).cloned().collect();
    let newest = lines.first().map(RunLine::newest);
    let (targets, schedules) = choices(&page, &list).await?;
    let asks = sound && list.is_first();
    let mut whole = RunsPage {
        narrowed: narrowed(&list, &targets, &schedules, newest),
        ribbon: if asks && !page.htmx.partial { ribbon(&page, &filter).await? } else { None },
        pasts: &history::pasts(app, actor, &runs).await?,
        coming: None,
        next_cursor: listed.next_cursor.as_deref(),
        than: newest.map_or("", |run| run.id.as_str()),
        newer: 0,
        shell,
        list: &list,
        targets,
        schedules,
        lines,
        asks,
    };
    if lines.is_empty() && !whole.is_narrowed() {
        whole.coming = schedules::coming(app, actor, &Area::default(), 1).await?.pop();
    }
    let mut response = page.render_live(&whole, &whole.as_rows())?;
    if !sound {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

/// How the runs of the last 30 days ended. The filters for state and days are ignored.
async fn ribbon(page: &Page, filter: &RunFilter) -> Result<Option<Ribbon>> {
    let now = &page.shell.now;
    let edges = time::days_to(now.at, &now.zone, Ribbon::DAYS);
    let filter = RunFilter { state: None, attention: false, from: None, to: None, ..filter.clone() };
    Ok(Ribbon::new(&edges, &history::outcomes(&page.app, &page.actor, &filter, &edges).await?))
}

/// The targets and the schedules in the filter. A selected one is included even if it no longer exists.
async fn choices(page: &Page, list: &ListQuery) -> Result<(Vec<Group>, Vec<Choice>)> {
    let choice = |value: String, name: &str, chosen: &str| Choice {
        chosen: value == chosen,
        label: view::shown_name(name),
        value,
    };
    let chosen = list.get("target");
    let group = |label: &str| Group { label: label.to_owned(), options: Vec::new() };
    let mut targets = vec![group("Stacks"), group("Containers")];
    for (host, kind, key, name) in history::targets_now(&page.app, &page.actor)? {
        let group = &mut targets[usize::from(kind == TargetType::Container)];
        group.options.push(choice(format!("{kind}/{key}"), &page.shell.placed(&name, &host), chosen));
    }
    targets.retain(|group| !group.options.is_empty());
    if !chosen.is_empty() && !targets.iter().flat_map(|group| &group.options).any(|option| option.chosen) {
        let name = chosen.split_once('/').map_or(chosen, |(_, name)| name);
        let options = vec![choice(chosen.to_owned(), name, chosen)];
        targets.push(Group { label: "Not there any more".to_owned(), options });
    }
    let chosen = list.get("schedule");
    let schedules = history::schedules_now(&page.app, &page.actor).await?.into_iter();
    let mut schedules: Vec<Choice> =
        schedules.map(|(host, id, title)| choice(id.0, &page.shell.placed(&title, &host), chosen)).collect();
    if !chosen.is_empty() && !schedules.iter().any(|choice| choice.chosen) {
        schedules.push(choice(chosen.to_owned(), DELETED, chosen));
    }
    Ok((targets, schedules))
}

/// The label of a selected schedule that no longer exists.
const DELETED: &str = "A schedule that was deleted";

/// The active filters except the state, each with its label.
fn narrowed(
    list: &ListQuery,
    targets: &[Group],
    schedules: &[Choice],
    newest: Option<&Run>,
) -> Vec<(&'static str, String)> {
    let target = targets.iter().flat_map(|group| &group.options).find(|option| option.chosen);
    let schedule = schedules.iter().find(|option| option.chosen).map(|option| option.label.clone());
    // A deleted schedule has the name that the newest run recorded.
    let kept = newest.and_then(|run| run.schedule_name.as_deref()).map(view::shown_name);
    let action = Action::ALL.iter().find(|action| action.as_str() == list.get("action"));
    let trigger = Trigger::ALL.iter().find(|trigger| trigger.as_str() == list.get("trigger"));
    let chosen = [
        ("target", target.map(|option| option.label.clone())),
        ("action", action.map(|action| action.label().to_owned())),
        ("trigger", trigger.map(|one| crate::domain::text::capital(view::trigger(*one)))),
    ];
    let schedule = schedule.map(|label| if label == DELETED { kept.unwrap_or(label) } else { label });
    let chosen = chosen.into_iter().filter_map(|(field, label)| Some((field, label?)));
    chosen
        .chain(list.narrowed(&[("actor", "Asked for by ")]))
        .chain(schedule.map(|label| ("schedule", label)))
        .chain(list.text("batch").map(|_| ("batch", "One fire of a group".to_owned())))
        .chain(list.narrowed(&[("from", "From "), ("to", "Until ")]))
        .collect()
}

/// What a group's schedule did on several hosts, as a line of a list that opens.
pub struct BatchText<'a> {
    pub batch: &'a BatchLine,
}

impl BatchText<'_> {
    /// `2 succeeded, 1 failed`.
    pub fn outcomes(&self) -> String {
        let states = self.batch.states.iter();
        let words =
            states.map(|(state, number)| format!("{number} {}", Badge::from(*state).word.to_lowercase()));
        words.collect::<Vec<_>>().join(", ")
    }

    /// The first run, which is no retry of another one.
    pub fn first(&self) -> &Run {
        self.batch.runs.iter().min_by(|a, b| a.id.cmp(&b.id)).unwrap_or(&self.batch.newest)
    }

    /// The number of hosts. A host with several runs, as after a retry, counts once; those that are not in the line are
    /// taken for runs on further hosts.
    pub fn hosts(&self) -> usize {
        let hosts: HashSet<_> = self.batch.runs.iter().map(|run| &run.target.host).collect();
        hosts.len() + self.others()
    }

    /// The number of runs that are not among those in the line.
    pub fn others(&self) -> usize {
        self.batch.count().saturating_sub(self.batch.runs.len())
    }
}

/// The button that shows runs newer than the first run of the list. Empty if there are none.
#[derive(Template)]
#[template(path = "runs/_newer.html")]
struct NewerPart<'a> {
    shell: &'a Shell,
    list: &'a ListQuery,
    than: &'a str,
    newer: i64,
    asks: bool,
}

pub(super) async fn newer(page: Page, Query(typed): Query<Typed>) -> Result<Response> {
    let than = typed.get("than").to_owned();
    let (list, filter) = read(&page.app, typed, &page.shell);
    let list = list.checked()?;
    paging::Page::parse(None, Some(&than)).map_err(|_| Error::field("than", "use the id of a run"))?;
    let newer = history::newer(&page.app, &page.actor, &filter, &RunId::from(than.as_str())).await?;
    page.render(&NewerPart { shell: &page.shell, list: &list, than: &than, newer, asks: true })
}
