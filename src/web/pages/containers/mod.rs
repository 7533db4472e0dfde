//! One container, without what may hold secrets: environment, mounts and command are never read here.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;

use super::actions::Act;
use super::schedules::{ScheduleLine, orphans};
use crate::app::stacks::{self, ContainerView, Past};
use crate::app::upcoming::Sleep;
use crate::app::{Error, Result, locks, targets};
use crate::domain::inventory::{Check, ContainerState, RestartPolicy, labels};
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

/// Labels that viewers see: others may hold secrets.
const OPEN_LABELS: [&str; 3] = ["com.docker.compose.", "docknap.", "org.opencontainers.image."];

/// The labels of a container that the reader may see, DockNap's own first.
pub(super) fn shown_labels<'a>(
    labels: &'a BTreeMap<String, String>,
    shell: &Shell,
) -> Vec<(&'a str, &'a str)> {
    let open = |name: &str| shell.can_operate() || OPEN_LABELS.iter().any(|open| name.starts_with(open));
    let shown = labels.iter().filter(|(name, _)| open(name)).map(|(name, value)| (&**name, &**value));
    let (ours, others): (Vec<_>, Vec<_>) = shown.partition(|(name, _)| name.starts_with("docknap."));
    [ours, others].concat()
}

/// One container.
#[derive(Template)]
#[template(path = "containers/show.html", blocks = ["live"])]
struct ContainerPage<'a> {
    shell: &'a Shell,
    view: &'a ContainerView,
    schedules: Vec<ScheduleLine>,
    /// The newest runs.
    runs: &'a [Run],
    /// Somebody locked it.
    locked: bool,
    /// A sleep of its own that is near.
    upcoming: Option<Sleep>,
    past: Past,
    /// What its last health checks said; `None` where that was not asked for.
    checks: Option<Vec<Check>>,
}

impl ContainerPage<'_> {
    /// What may be done to it: naps in place of stops and starts where it has sleep hours.
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

    /// Locks it, or takes its lock away; `None` where the reader may not.
    fn lock(&self) -> Option<Act> {
        let container = &self.view.container;
        let may = self.shell.can_operate() && (self.locked || self.view.protected.is_none());
        may.then(|| Act::lock(&container.target(), &container.name, self.locked))
    }

    /// It has a health check, and the reader may see what it prints.
    fn has_checks(&self) -> bool {
        has_checks(self.view, self.shell)
    }

    /// What a health check printed, line by line: a break is no reason to show an escape.
    fn printed(&self, check: &Check) -> String {
        check.output.lines().map(view::shown_name).collect::<Vec<_>>().join("\n")
    }

    /// The labels that the reader may see.
    fn labels(&self) -> Vec<(&str, &str)> {
        shown_labels(&self.view.container.labels, self.shell)
    }

    /// The event that says it changed.
    fn event(&self) -> String {
        let container = &self.view.container;
        match container.stack() {
            Some(stack) => format!("stack-{}", target::key(&container.host, stack)),
            None => format!("container-{}", container.key()),
        }
    }

    /// The last start and the last stop by DockNap, the newer one first, each with what it is called. Only of what the
    /// container still is as a run left it, that run is said to have made it so.
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
        // A stop that found it down already did nothing to it.
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

/// What of the page is wanted, as the URL says it.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct ShowQuery {
    /// What the health checks printed: asks Docker.
    health: String,
}

/// Runs that are read.
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
        upcoming: app.upcoming.of(&target, shell.now.at),
        view: &view,
        runs: &runs,
        schedules,
        past,
        checks,
        shell,
    };
    page.render_live(&whole, &whole.as_live())
}
