//! One container, without what may hold secrets: environment, mounts and command are never read here.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;

use super::actions::Act;
use super::runs::RunLine;
use super::schedules::{ScheduleLine, orphans};
use super::stacks::Underway;
use super::wanted::{WantedPanel, with_naps};
use crate::app::stacks::{self, ContainerView};
use crate::app::{Error, Result, locks};
use crate::domain::ids::HostId;
use crate::domain::inventory::{Check, Container, ContainerState, RestartPolicy, labels};
use crate::domain::run::{Run, RunState};
use crate::domain::sorted;
use crate::domain::target::{self, TargetType};
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::filters;
use crate::web::htmx::Htmx;
use crate::web::picture::{Ribbon, Spark};
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Link, Now, When};

pub(super) fn routes() -> Routes {
    Routes::new().get("/containers/{key}", Access::VIEWER, show)
}

/// A container in its stack's table.
#[derive(Clone, Debug)]
pub struct ContainerRow {
    /// The element's id.
    pub id: String,
    pub href: String,
    pub name: String,
    /// Docker's status text.
    pub status: String,
    pub state: Badge,
    /// Up, or down, since then.
    pub since: Option<When>,
    /// Why it is never touched.
    pub protected: Option<String>,
    /// It has rules of its own.
    pub own: bool,
    /// The image.
    pub image: String,
    /// Locks it; `None` where the reader may not, and where it is.
    pub lock: Option<Act>,
    pub acts: Vec<Act>,
}

impl ContainerRow {
    /// A container in its stack's table.
    pub fn new(view: &ContainerView, operates: bool, now: &Now) -> Self {
        let container = &view.container;
        let key = container.key();
        let up = container.state.is_up();
        let lockable = operates && view.protected.is_none() && container.is_ordinary();
        Self {
            id: format!("container-{key}"),
            href: format!("/containers/{key}"),
            name: view::shown_name(&container.name),
            status: view::shown_name(&container.status),
            state: view.shown.into(),
            since: if up { container.started_at } else { container.finished_at }.map(|at| now.when(at)),
            protected: view.protected.clone(),
            own: view.own_rule,
            image: view::shown_name(&container.image),
            lock: lockable.then(|| Act::lock(target::TargetType::Container, &key, &container.name, false)),
            acts: if operates { Act::of_container(container) } else { Vec::new() },
        }
    }
}

/// The buttons of a container.
pub fn container_acts(view: &ContainerView) -> Vec<Act> {
    let container = &view.container;
    let acts = Act::of_container(container);
    let way = (container.state == ContainerState::Running, container.state != ContainerState::Running);
    let (key, name) = (container.key(), &container.name);
    with_naps(acts, &view.wanted, target::TargetType::Container, &key, name, way)
}

/// A fact with its name.
#[derive(Clone, Debug)]
pub struct Fact {
    pub name: &'static str,
    /// Its value; empty where `when` says all.
    pub value: String,
    /// An instant after it.
    pub when: Option<When>,
    /// What mends it.
    pub cure: Option<Link>,
}

impl Fact {
    fn text(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), when: None, cure: None }
    }

    fn at(name: &'static str, when: When) -> Self {
        Self { name, value: String::new(), when: Some(when), cure: None }
    }
}

/// A label.
#[derive(Clone, Debug)]
pub struct Label {
    pub name: String,
    /// Its value.
    pub value: String,
    /// What DockNap makes of it, and whether that is well; `None` for labels that are not for DockNap.
    pub reading: Option<(bool, String)>,
}

/// What viewers see of the labels (rulings 21).
const OPEN_LABELS: [&str; 3] = ["com.docker.compose.", "docknap.", "org.opencontainers.image."];

impl Label {
    /// The labels of a container that the reader may see, DockNap's own first.
    pub fn of(labels: &BTreeMap<String, String>, operates: bool) -> Vec<Self> {
        let open = |name: &str| operates || OPEN_LABELS.iter().any(|open| name.starts_with(open));
        let mut shown: Vec<Self> = labels
            .iter()
            .filter(|(name, _)| open(name))
            .map(|(name, value)| Self {
                name: view::shown_name(name),
                value: view::shown_name(value),
                reading: name.strip_prefix("docknap.").map(|ours| match labels::problem(ours, value) {
                    Some(problem) => (false, view::shown_name(&problem)),
                    None => (true, "DockNap reads it".to_owned()),
                }),
            })
            .collect();
        sorted::by_key(&mut shown, |label| label.reading.is_none());
        shown
    }
}

/// What a health check said.
#[derive(Clone, Debug)]
pub struct CheckLine {
    pub when: Option<When>,
    /// It passed.
    pub passed: bool,
    /// What it printed.
    pub output: String,
}

/// One container.
#[derive(Template, Clone, Debug)]
#[template(path = "containers/show.html", blocks = ["live"])]
pub struct ContainerPage {
    pub shell: Shell,
    /// Where it belongs.
    pub up: Link,
    pub name: String,
    /// What the schedule form takes as its target.
    pub target: String,
    pub host: String,
    pub state: Badge,
    /// Docker's status text.
    pub status: String,
    /// Health worth a word.
    pub health: Option<&'static str>,
    /// Why it is as it is.
    pub why: String,
    /// Why it is never touched.
    pub protected: Option<String>,
    /// What windows and overrides want of it.
    pub wanted: WantedPanel,
    /// Locks it, or takes its lock away; `None` where the reader may not.
    pub lock: Option<Act>,
    /// A sleep of its own that is near.
    pub soon: Option<Underway>,
    pub acts: Vec<Act>,
    pub key: String,
    /// The event that says it changed.
    pub event: String,
    /// Who started it last and who stopped it last, as a chain; empty where DockNap did neither.
    pub chain: Vec<Line>,
    /// How it was these days; `None` where nothing is known.
    pub ribbon: Option<Ribbon>,
    /// How long it took to wake.
    pub wakes: Option<Spark>,
    /// It has a health check, and the reader may see what it prints.
    pub has_checks: bool,
    /// What its last health checks said; `None` where that was not asked for.
    pub checks: Option<Vec<CheckLine>>,
    /// What else there is to know.
    pub facts: Vec<Fact>,
    /// It is part of a stack.
    pub in_stack: bool,
    /// Its own schedules.
    pub schedules: Vec<ScheduleLine>,
    pub runs: Vec<RunLine>,
    /// The labels the reader may see.
    pub labels: Vec<Label>,
    /// The reader does not see all of them.
    pub labels_limited: bool,
}

impl ContainerPage {
    /// A container with its schedules and newest runs.
    pub fn new(
        shell: Shell,
        view: &ContainerView,
        schedules: Vec<ScheduleLine>,
        runs: &[Run],
        now: &Now,
    ) -> Self {
        let container = &view.container;
        let operates = shell.can_operate();
        let up = match container.stack() {
            Some(stack) => {
                Link::new(format!("/stacks/{}", target::key(&container.host, stack)), view::shown_name(stack))
            }
            None => Link::new("/", "Stacks"),
        };
        Self {
            up,
            name: view::shown_name(&container.name),
            target: format!("container/{}", container.key()),
            host: container.host.to_string(),
            state: view.shown.into(),
            status: view::shown_name(&container.status),
            health: view::health(container.health),
            why: now.words(&view.why()),
            protected: view.protected.clone(),
            wanted: WantedPanel::new(&view.wanted, now),
            lock: None,
            soon: None,
            acts: if operates { container_acts(view) } else { Vec::new() },
            event: match container.stack() {
                Some(stack) => format!("stack-{}", target::key(&container.host, stack)),
                None => format!("container-{}", container.key()),
            },
            key: container.key(),
            chain: chain(view, runs, now),
            ribbon: None,
            wakes: None,
            has_checks: operates && container.has_healthcheck && container.state.is_up(),
            checks: None,
            facts: facts(container, schedules.first().filter(|_| operates), now),
            in_stack: container.stack().is_some(),
            schedules,
            runs: runs.iter().map(|run| RunLine::new(run, now)).collect(),
            labels: Label::of(&container.labels, operates),
            labels_limited: !operates,
            shell,
        }
    }
}

/// A line of a chain.
#[derive(Clone, Debug)]
pub struct Line {
    /// `Started`, `Last stopped`.
    pub what: &'static str,
    /// By whom: `by schedule Nights`, `by hand, anna`.
    pub by: String,
    pub when: When,
    pub href: String,
}

/// The last start and the last stop by DockNap, the newer one first. Only of what it still is as a run left it, that run
/// is said to have made it so.
fn chain(view: &ContainerView, runs: &[Run], now: &Now) -> Vec<Line> {
    let container = &view.container;
    let last = |stops: bool| {
        let done = |run: &&Run| run.state == RunState::Succeeded || run.state == RunState::Partial;
        runs.iter().filter(done).find(|run| run.action.reverses_order() == stops)
    };
    let mut found: Vec<(&Run, bool)> = [(last(false), false), (last(true), true)]
        .into_iter()
        .filter_map(|(run, stops)| Some((run?, stops)))
        .collect();
    sorted::by_key(&mut found, |(run, _)| std::cmp::Reverse(run.finished_at));
    let up = container.state.is_up();
    let newest = found.first().map(|(run, _)| run.id.clone()).filter(|_| view.is_as_left());
    let line = |(run, stops): (&Run, bool)| Line {
        what: match (stops, stops != up && newest.as_ref() == Some(&run.id)) {
            (true, true) => "Stopped",
            (true, false) => "Last stopped",
            (false, true) => "Started",
            (false, false) => "Last started",
        },
        by: RunLine::new(run, now).cause,
        when: now.when(run.finished_at.unwrap_or(run.created_at)),
        href: format!("/runs/{}", run.id),
    };
    // A stop that found it down already did nothing to it.
    let found_down = |run: &Run| {
        let began = run.started_at.unwrap_or(run.created_at);
        container.finished_at.is_some_and(|ended| ended < began) && !up && !view.is_as_left()
    };
    found.into_iter().filter(|(run, stops)| !stops || !found_down(run)).map(line).collect()
}

/// `schedule` is one of its own, where the reader may change it.
fn facts(container: &Container, schedule: Option<&ScheduleLine>, now: &Now) -> Vec<Fact> {
    let mut facts = vec![Fact::text("Image", view::shown_name(&container.image))];
    if let Some(service) = container.service() {
        facts.push(Fact::text("Service", view::shown_name(service)));
    }
    if let Some(at) = container.started_at.filter(|_| container.state.is_up()) {
        facts.push(Fact::at("Up since", now.when(at)));
    }
    if container.state == ContainerState::Exited {
        if let Some(code) = container.exit_code {
            let cure = schedule.filter(|_| code == 137).map(|schedule| {
                Link::new(
                    format!("/schedules/{}#stop_timeout_seconds", schedule.id),
                    "Give it longer to stop",
                )
            });
            facts.push(Fact { cure, ..Fact::text("Last exit code", view::exit_code(code)) });
        }
        if let Some(at) = container.finished_at {
            facts.push(Fact::at("Ended", now.when(at)));
        }
    }
    if let Some(at) = container.created_at {
        facts.push(Fact::at("Created", now.when(at)));
    }
    facts.push(Fact::text("Restart policy", policy(container.restart_policy)));
    facts.push(Fact::text(
        "Stop grace",
        container.stop_timeout.map_or_else(|| "10 s, Docker's default".to_owned(), view::span),
    ));
    if container.auto_remove {
        facts.push(Fact::text("Removed when stopped", "yes (--rm): a stop cannot be undone by a start"));
    }
    facts
}

fn policy(policy: RestartPolicy) -> &'static str {
    match policy {
        RestartPolicy::No => "no: Docker never brings it back",
        RestartPolicy::Always => "always: a restart of the Docker daemon wakes it, also when it naps",
        RestartPolicy::UnlessStopped => "unless-stopped: Docker leaves it down once it was stopped",
        RestartPolicy::OnFailure => "on-failure: Docker brings it back when it ends with an error",
    }
}

/// What of the page is wanted, as the URL says it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Wish {
    /// What the health checks printed: asks Docker.
    health: String,
}

async fn show(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Path(key): Path<String>,
    Query(wish): Query<Wish>,
    shell: Shell,
) -> Result<Response> {
    let (app, actor) = (&web.app, &caller.actor);
    let now = super::now(&web, &shell);
    let view = match stacks::container(app, actor, &HostId::local(), &key).await {
        Err(missing @ Error::NotFound { what: "container", .. }) => {
            return orphans::page(&web, actor, shell, (TargetType::Container, &key), missing).await;
        }
        view => view?,
    };
    let container = &view.container;
    let target = container.target();
    let locked = locks::of(app, actor, &target).await?.is_some();
    let lock = (shell.can_operate() && (locked || view.protected.is_none()))
        .then(|| Act::lock(target::TargetType::Container, &target.key(), &container.name, locked));
    let soon = app.soon.of(&target, now.at).map(|sleep| Underway::soon(&sleep, &now));
    let past = stacks::past(app, actor, &view, now.midnight(1 - Ribbon::DAYS)).await?;
    let (schedules, runs) = super::of_target(&web, actor, target, RUNS, &now).await?;
    let page = ContainerPage::new(shell, &view, schedules, &runs, &now);
    let checks = if page.has_checks && !wish.health.is_empty() {
        let checks = stacks::health_log(app, actor, container).await?;
        Some(checks.iter().map(|check| CheckLine::new(check, &now)).collect())
    } else {
        None
    };
    let page = ContainerPage {
        lock,
        soon,
        checks,
        ribbon: Ribbon::new(&past.stretches, &now),
        wakes: Spark::new(&past.wakes),
        ..page
    };
    super::part(&htmx, &page, &page.as_live())
}

/// Runs that are read.
const RUNS: usize = 10;

impl CheckLine {
    fn new(check: &Check, now: &Now) -> Self {
        // Line by line: a break is no reason to show an escape.
        let lines: Vec<String> = check.output.lines().map(view::shown_name).collect();
        Self { when: check.at.map(|at| now.when(at)), passed: check.exit_code == 0, output: lines.join("\n") }
    }
}
