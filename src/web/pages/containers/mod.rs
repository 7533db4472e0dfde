//! The page of one container. The page never reads environment, mounts and command, because they may hold secrets.

use std::cmp::Reverse;

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;

use super::actions::Act;
use super::schedules::{ScheduleLine, orphans};
use crate::app::rulebook::RuleBook;
use crate::app::schedules::{LabelFaults, label_faults};
use crate::app::stacks::{self, ContainerView, Past};
use crate::app::upcoming::Sleep;
use crate::app::{Error, Result, locks, targets};
use crate::domain::inventory::{Check, Container, ContainerState, RestartPolicy, labels};
use crate::domain::run::{Run, RunState};
use crate::domain::target::{self, TargetType};
use crate::web::filters;
use crate::web::page::Page;
use crate::web::picture::{Ribbon, Spark};
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::{self, Badge};

pub(super) fn routes() -> Routes {
    Routes::new().get("/containers/{key}", Access::VIEWER, show)
}

/// Prefixes of the labels that viewers see. Other labels may hold secrets.
const OPEN_LABELS: [&str; 3] = ["com.docker.compose.", "docknap.", "org.opencontainers.image."];

/// A label for the page: its name, its value, and what is wrong with it.
pub(super) type ShownLabel<'a> = (&'a str, &'a str, Option<String>);

/// The labels of a container that the reader may see, those of DockNap first.
pub(super) fn shown_labels<'a>(
    container: &'a Container,
    faults: &LabelFaults,
    shell: &Shell,
) -> Vec<ShownLabel<'a>> {
    let faults = faults.of(container);
    let wrong = |name: &str, value: &str| {
        let known = faults.and_then(|faults| faults.get(name)).cloned();
        known.or_else(|| labels::problem(name.strip_prefix("docknap.")?, value))
    };
    let open = |name: &str| shell.can_operate() || OPEN_LABELS.iter().any(|open| name.starts_with(open));
    let shown = container.labels.iter().filter(|(name, _)| open(name));
    let shown = shown.map(|(name, value)| (&**name, &**value, wrong(name, value)));
    let (ours, others): (Vec<_>, Vec<_>) = shown.partition(|(name, ..)| name.starts_with("docknap."));
    [ours, others].concat()
}

/// The page of one container.
#[derive(Template)]
#[template(path = "containers/show.html", blocks = ["live"])]
struct ContainerPage<'a> {
    shell: &'a Shell,
    view: &'a ContainerView,
    schedules: Vec<ScheduleLine>,
    /// What is wrong with labels.
    faults: LabelFaults,
    /// The newest runs of the container.
    runs: &'a [Run],
    /// Whether a user locked the container.
    locked: bool,
    /// The next sleep of the container, if near. A sleep of its stack does not count.
    upcoming: Option<Sleep>,
    past: Past,
    /// The latest health checks. `None` if the request did not ask for them.
    checks: Option<Vec<Check>>,
}

impl ContainerPage<'_> {
    /// The action buttons. A container with a sleep window or an override gets Nap and Wake in place of Stop and Start.
    fn acts(&self) -> Vec<Act> {
        let (container, wanted) = (&self.view.container, &self.view.wanted);
        let acts = if self.shell.can_operate() { Act::of_container(container) } else { Vec::new() };
        if acts.is_empty() || !wanted.has_window && wanted.by_override.is_none() {
            return acts;
        }
        let up = container.state == ContainerState::Running;
        let naps = Act::naps(&container.target(), &container.name, (up, !up));
        let others = acts.into_iter().filter(|act| act.action != "start" && act.action != "stop");
        naps.into_iter().chain(others).collect()
    }

    /// The button that locks or unlocks the container. `None` if the reader may not do that.
    fn lock(&self) -> Option<Act> {
        let container = &self.view.container;
        let may = self.shell.can_operate() && (self.locked || self.view.protected.is_none());
        may.then(|| Act::lock(&container.target(), &container.name, self.locked))
    }

    /// Whether the container has a health check whose output the reader may see.
    fn has_checks(&self) -> bool {
        has_checks(self.view, self.shell)
    }

    /// The output of a health check. Each line is cleaned on its own, so that line breaks do not become escapes.
    fn printed(&self, check: &Check) -> String {
        check.output.lines().map(view::shown_name).collect::<Vec<_>>().join("\n")
    }

    /// The labels that the reader may see.
    fn labels(&self) -> Vec<ShownLabel<'_>> {
        shown_labels(&self.view.container, &self.faults, self.shell)
    }

    /// The name of the server-sent event that announces a change of the container.
    fn event(&self) -> String {
        let container = &self.view.container;
        match container.stack() {
            Some(stack) => format!("stack-{}", target::key(&container.host, stack)),
            None => format!("container-{}", container.key()),
        }
    }

    /// The last start and the last stop by DockNap, the newer one first, each with its label. The label names the run
    /// as the cause of the present state only if the container is still as that run left it.
    fn chain(&self) -> Vec<(&'static str, &Run)> {
        let (view, container) = (self.view, &self.view.container);
        let last = |stops: bool| {
            let done = |run: &&Run| matches!(run.state, RunState::Succeeded | RunState::Partial);
            self.runs.iter().filter(done).find(|run| run.action.reverses_order() == stops)
        };
        let mut found: Vec<&Run> = [last(false), last(true)].into_iter().flatten().collect();
        found.sort_by_key(|run| Reverse(run.finished_at));
        let up = container.state.is_up();
        let newest = found.first().map(|run| &run.id).filter(|_| view.is_as_left()).cloned();
        // The container was down before this stop began, so the stop did not change it.
        let found_down = |run: &Run| {
            let began = run.started_at.unwrap_or(run.created_at);
            container.finished_at.is_some_and(|ended| ended < began) && !up && !view.is_as_left()
        };
        let named = |run: &&Run| {
            let stops = run.action.reverses_order();
            match (stops, stops != up && newest.as_ref() == Some(&run.id)) {
                (true, true) => "Stopped",
                (true, false) => "Last stopped",
                (false, true) => "Started",
                (false, false) => "Last started",
            }
        };
        let real = found.into_iter().filter(|run| !run.action.reverses_order() || !found_down(run));
        real.map(|run| (named(&run), run)).collect()
    }
}

fn has_checks(view: &ContainerView, shell: &Shell) -> bool {
    shell.can_operate() && view.container.has_healthcheck && view.container.state.is_up()
}

/// The query parameters of the page.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct ShowQuery {
    /// Not empty: also request the output of the health checks from Docker.
    health: String,
}

/// The number of runs on the page.
const RUNS: usize = 10;

async fn show(page: Page, Path(key): Path<String>, Query(query): Query<ShowQuery>) -> Result<Response> {
    let (app, actor, shell) = (&page.app, &page.actor, &page.shell);
    let host = targets::host_of(app, TargetType::Container, &key);
    let view = match stacks::container(app, actor, &host, &key).await {
        Err(missing @ Error::NotFound { what: "container", .. }) => {
            let of = (TargetType::Container, key.as_str());
            return orphans::page(&page.web, actor, shell.clone(), of, missing).await;
        }
        view => view?,
    };
    let target = view.container.target();
    let checks = if has_checks(&view, shell) && !query.health.is_empty() {
        Some(stacks::health_log(app, actor, &view.container).await?)
    } else {
        None
    };
    let past = stacks::past(app, actor, &view, shell.now.midnight(1 - Ribbon::DAYS)).await?;
    let (schedules, runs) = super::of_target(&page, &target, RUNS).await?;
    let whole = ContainerPage {
        locked: locks::of(app, actor, &target).await?.is_some(),
        upcoming: app.upcoming.of(&target, &RuleBook::load(app).await?.rules, shell.now.at),
        faults: label_faults(app, actor, Some(&host)).await?,
        view: &view,
        runs: &runs,
        schedules,
        past,
        checks,
        shell,
    };
    page.render_live(&whole, &whole.as_live())
}
