//! The list of runs: what narrows it, the last thirty days, and what is new.

use std::collections::HashMap;

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;

use super::picture::{self, Ribbon, Spark};
use super::words;
use crate::app::history::{self, MOST_NEWER, Past, RunFilter};
use crate::app::paging::{self, Paged};
use crate::app::schedules::{self, Coming};
use crate::app::{App, Error, Result, targets};
use crate::domain::action::Action;
use crate::domain::ids::{RunId, ScheduleId};
use crate::domain::run::{Run, RunState, Trigger};
use crate::domain::target::{Target, TargetType};
use crate::domain::time;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::list::ListQuery;
use crate::web::page::Page;
use crate::web::pages::choices::Group;
use crate::web::shell::Shell;
use crate::web::view::{self, Choice, Now};

/// The states to choose from; the first shows all.
const STATES: [(&str, &str); 6] = [
    ("", "All"),
    ("attention", "Failed"),
    ("succeeded", "Succeeded"),
    ("skipped", "Skipped"),
    ("missed", "Missed"),
    ("executing", "Running now"),
];
/// The fields that narrow the list. All but `state` are in the form.
const FIELDS: [&str; 8] = ["state", "target", "action", "trigger", "actor", "schedule", "from", "to"];

/// What the URL of the list, or of the list as a file, asks for.
pub(super) fn read(app: &App, typed: Typed, now: &Now) -> (ListQuery, RunFilter) {
    let mut list = ListQuery::new("/runs", &FIELDS, typed);
    let (from, to) = list.days(now);
    let target = list.get("target").split_once('/').and_then(|(kind, name)| {
        // What is gone still has a history.
        let kind = TargetType::parse(kind)?;
        Some(history::target_named(app, &targets::host_of(app, kind, name), kind, name))
    });
    let filter = RunFilter {
        host: None,
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

/// The list of runs.
#[derive(Template)]
#[template(path = "runs/index.html", blocks = ["rows"])]
struct RunsPage<'a> {
    shell: &'a Shell,
    list: &'a ListQuery,
    /// Stacks and containers to choose from.
    targets: Vec<Group>,
    /// Schedules to choose from.
    schedules: Vec<Choice>,
    /// What narrows the list besides the state: fields with their words.
    narrowed: Vec<(&'static str, String)>,
    /// How the last days ended.
    ribbon: Option<Ribbon>,
    runs: &'a [Run],
    pasts: &'a HashMap<(Target, Action), Past>,
    next_cursor: Option<&'a str>,
    /// What runs first, where nothing has run yet.
    coming: Option<Coming>,
    /// The first run that is shown.
    than: &'a str,
    /// How many are newer than that: none yet.
    newer: i64,
    /// Newer ones are asked for.
    asks: bool,
}

impl RunsPage<'_> {
    fn is_narrowed(&self) -> bool {
        !self.narrowed.is_empty() || !self.list.get("state").is_empty()
    }

    /// Where the list asks for itself again, with the same first run: it never jumps.
    fn stay(&self) -> String {
        self.list.with(&[("cursor", self.list.get("cursor")), ("upto", self.than)])
    }

    fn past(&self, run: &Run) -> Option<&Past> {
        self.pasts.get(&(run.target.clone(), run.action))
    }
}

pub(super) async fn index(page: Page, Query(typed): Query<Typed>) -> Result<Response> {
    let (app, actor, shell) = (&page.app, &page.actor, &page.shell);
    let (list, filter) = read(app, typed, &shell.now);
    let part = list.page()?;
    let upto = paging::Page::parse(None, Some(list.get("upto")))?.cursor.map(RunId);
    let sound = list.errors.is_empty();
    let listed = if sound {
        history::list(app, actor, &RunFilter { upto, ..filter.clone() }, &part).await?
    } else {
        Paged { items: Vec::new(), next_cursor: None }
    };
    let runs = &listed.items;
    let (targets, schedules) = choices(&page, &list).await?;
    let asks = sound && list.is_first();
    let mut whole = RunsPage {
        narrowed: narrowed(&list, &targets, &schedules, runs.first()),
        ribbon: if asks && !page.htmx.partial { ribbon(&page, &filter).await? } else { None },
        pasts: &history::pasts(app, actor, runs).await?,
        coming: None,
        next_cursor: listed.next_cursor.as_deref(),
        than: runs.first().map_or("", |run| run.id.as_str()),
        newer: 0,
        shell,
        list: &list,
        targets,
        schedules,
        runs,
        asks,
    };
    if runs.is_empty() && !whole.is_narrowed() {
        whole.coming = schedules::coming(app, actor, 1).await?.pop();
    }
    let mut response = page.render_live(&whole, &whole.as_rows())?;
    if !sound {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

/// How the last days ended, whatever state and days the list shows.
async fn ribbon(page: &Page, filter: &RunFilter) -> Result<Option<Ribbon>> {
    let now = &page.shell.now;
    let edges = time::days_to(now.at, &now.zone, Ribbon::DAYS);
    let filter = RunFilter { state: None, attention: false, from: None, to: None, ..filter.clone() };
    Ok(Ribbon::new(&edges, &history::outcomes(&page.app, &page.actor, &filter, &edges).await?))
}

/// The targets and the schedules to choose from, with what is chosen also where it is gone.
async fn choices(page: &Page, list: &ListQuery) -> Result<(Vec<Group>, Vec<Choice>)> {
    let choice = |value: String, name: &str, chosen: &str| Choice {
        chosen: value == chosen,
        label: view::shown_name(name),
        value,
    };
    let chosen = list.get("target");
    let group = |label: &str| Group { label: label.to_owned(), options: Vec::new() };
    let mut targets = vec![group("Stacks"), group("Containers")];
    for (kind, key, name) in history::targets_now(&page.app, &page.actor)? {
        let group = &mut targets[usize::from(kind == TargetType::Container)];
        group.options.push(choice(format!("{kind}/{key}"), &name, chosen));
    }
    targets.retain(|group| !group.options.is_empty());
    if !chosen.is_empty() && !targets.iter().flat_map(|group| &group.options).any(|option| option.chosen) {
        let name = chosen.split_once('/').map_or(chosen, |(_, name)| name);
        let options = vec![choice(chosen.to_owned(), name, chosen)];
        targets.push(Group { label: "Not there any more".to_owned(), options });
    }
    let chosen = list.get("schedule");
    let schedules = history::schedules_now(&page.app, &page.actor).await?.into_iter();
    let mut schedules: Vec<Choice> = schedules.map(|(id, title)| choice(id.0, &title, chosen)).collect();
    if !chosen.is_empty() && !schedules.iter().any(|choice| choice.chosen) {
        schedules.push(choice(chosen.to_owned(), DELETED, chosen));
    }
    Ok((targets, schedules))
}

/// A schedule that is chosen and gone.
const DELETED: &str = "A schedule that was deleted";

/// What narrows the list besides the state, in words.
fn narrowed(
    list: &ListQuery,
    targets: &[Group],
    schedules: &[Choice],
    newest: Option<&Run>,
) -> Vec<(&'static str, String)> {
    let target = targets.iter().flat_map(|group| &group.options).find(|option| option.chosen);
    let schedule = schedules.iter().find(|option| option.chosen).map(|option| option.label.clone());
    // A schedule that is gone is called as it was when this ran.
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
        .chain(list.narrowed(&[("from", "From "), ("to", "Until ")]))
        .collect()
}

/// What is newer than the first run of a list: the button, or nothing.
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
    let (list, filter) = read(&page.app, typed, &page.shell.now);
    let list = list.checked()?;
    paging::Page::parse(None, Some(&than)).map_err(|_| Error::field("than", "use the id of a run"))?;
    let newer = history::newer(&page.app, &page.actor, &filter, &RunId::from(than.as_str())).await?;
    page.render(&NewerPart { shell: &page.shell, list: &list, than: &than, newer, asks: true })
}
