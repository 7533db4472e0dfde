//! The page of one stack: its containers, its next sleep, the start order, and tabs for schedules, runs, audit and
//! labels.

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;

use crate::app::audit::{self, AuditFilter};
use crate::app::order::{self, Waits};
use crate::app::rulebook::RuleBook;
use crate::app::schedules::{LabelFaults, label_faults};
use crate::app::stacks::{self, ContainerView, StackView, Waker};
use crate::app::upcoming::Sleep;
use crate::app::{Error, Result, locks, paging, targets};
use crate::domain::action::Action;
use crate::domain::audit::AuditRow;
use crate::domain::inventory::RestartPolicy;
use crate::domain::order::{Edge, waves};
use crate::domain::run::{Condition, Run, RunState};
use crate::domain::target::{Subject, TargetType};
use crate::web::filters;
use crate::web::page::Page;
use crate::web::pages;
use crate::web::pages::actions::Act;
use crate::web::pages::choices::WINDOWS;
use crate::web::pages::containers::{ShownLabel, shown_labels};
use crate::web::pages::runs::words;
use crate::web::pages::schedules::{ScheduleLine, orphans};
use crate::web::picture::{Bars, Graph, Week};
use crate::web::shell::Shell;
use crate::web::view::{self, Badge};

/// The tabs below the containers.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, strum::AsRefStr, strum::EnumString, strum::VariantArray,
)]
#[strum(serialize_all = "lowercase")]
enum Tab {
    #[default]
    Schedules,
    Runs,
    /// Audit rows about the stack.
    Audit,
    /// The labels of the stack's containers.
    Labels,
}

impl Tab {
    const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// The query parameters of the page.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct ShowQuery {
    tab: String,
}

/// The page of one stack.
#[derive(Template)]
#[template(path = "stacks/show.html", blocks = ["live"])]
struct StackPage<'a> {
    shell: &'a Shell,
    view: &'a StackView,
    /// The newest runs of the stack.
    runs: &'a [Run],
    schedules: Vec<ScheduleLine>,
    /// What is wrong with labels.
    faults: LabelFaults,
    /// The start order: which containers wait for which.
    waits: Vec<Waits>,
    /// Containers that may wake the stack.
    wakers: Vec<Waker>,
    /// The next sleep of the stack, if near.
    upcoming: Option<Sleep>,
    /// Whether a user locked the stack.
    locked: bool,
    tab: Tab,
    /// Audit rows about the stack, newest first. Only filled for the audit tab.
    audit: Vec<AuditRow>,
}

/// The number of rows in a tab.
const LINES: usize = 10;

impl StackPage<'_> {
    /// The stack as the value of the schedule form's target field and of the run filter.
    fn target(&self) -> String {
        format!("stack/{}", self.view.stack.key)
    }

    /// Whether the reader may act on the stack.
    fn is_touchable(&self) -> bool {
        self.shell.can_operate() && self.view.protected.is_none()
    }

    /// The newest run that has not ended.
    fn running(&self) -> Option<&Run> {
        self.runs.iter().find(|run| !run.state.is_terminal())
    }

    /// The newest run that began, if some of its steps failed.
    fn failed(&self) -> Option<&Run> {
        let run = self.runs.iter().find(|run| run.started_at.is_some())?;
        matches!(run.state, RunState::Partial | RunState::Failed).then_some(run)
    }

    /// The main buttons (Wake, Nap, Restart), and the other buttons.
    fn acts(&self) -> (Vec<Act>, Vec<Act>) {
        let StackView { stack, napping, .. } = self.view;
        let (target, counts) = (self.view.target(), stack.counts);
        let (mut power, mut others) = (Vec::new(), Vec::new());
        if self.is_touchable() {
            let up = counts.running > 0 || counts.paused > 0 && !napping;
            power = Act::naps(&target, &stack.name, (up, counts.stopped + counts.paused > 0));
            let all = Act::of_stack(counts, &target, &stack.name).into_iter();
            let (restart, rest): (Vec<_>, Vec<_>) =
                all.partition(|act| act.action == Action::Restart.as_str());
            power.extend(restart);
            others = rest;
        }
        if self.shell.can_operate() && (self.locked || self.view.protected.is_none()) {
            others.push(Act::lock(&target, &stack.name, self.locked));
        }
        (power, others)
    }

    /// The containers of the stack. After a failed run, the containers whose state is not the run's goal come first.
    fn containers(&self) -> Vec<&ContainerView> {
        let mut containers: Vec<_> = self.view.containers.iter().collect();
        if let Some(run) = self.failed() {
            containers.sort_by_key(|one| one.container.state.is_up() == run.action.wakes());
        }
        containers
    }

    /// Containers that the Docker daemon starts when the daemon itself restarts, even after a stop.
    fn brought_back(&self) -> Vec<String> {
        let always = self.view.containers.iter().filter(|one| {
            one.container.is_ordinary()
                && one.protected.is_none()
                && one.container.restart_policy == RestartPolicy::Always
        });
        always.map(|one| view::shown_name(&one.container.name)).collect()
    }

    /// The graph of the start order: the stack's services, and the services elsewhere for which they wait.
    fn graph(&self) -> Option<Graph> {
        let own = self.view.containers.iter().map(|one| &one.container).filter(|one| one.is_ordinary());
        // An edge between whole stacks is not part of the order within this stack.
        let is_stack = |subject: &Subject| matches!(subject, Subject::Stack(_));
        let inner = self.waits.iter().filter(|one| {
            one.added.as_ref().is_none_or(|edge| !is_stack(&edge.dependant) && !is_stack(&edge.dependency))
        });
        let inner: Vec<&Waits> = inner.filter(|one| one.dependant != one.dependency).collect();
        let sides = inner.iter().flat_map(|one| [one.dependant.as_str(), one.dependency.as_str()]);
        let mut names: Vec<String> = Vec::new();
        for name in own.map(|one| one.service().unwrap_or(&one.name)).chain(sides) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let index = |name: &str| names.iter().position(|known| known == name).unwrap_or_default();
        let edge = |one: &&Waits| Edge {
            dependant: index(&one.dependant),
            dependency: index(&one.dependency),
            condition: one.condition,
            wait_seconds: one.wait_seconds,
        };
        let mut edges: Vec<Edge> = inner.iter().map(edge).collect();
        let (numbers, _) = waves(&names, &mut edges);
        let nodes: Vec<(String, u32)> = names.into_iter().zip(numbers).collect();
        let lines: Vec<(usize, usize)> = edges.iter().map(|edge| (edge.dependant, edge.dependency)).collect();
        Graph::new(&nodes, &lines)
    }

    /// The labels that the reader may see, for each container that has any.
    fn labels(&self) -> Vec<(&str, Vec<ShownLabel<'_>>)> {
        let containers = self.view.containers.iter().map(|one| &one.container);
        let groups = containers.map(|one| (one.name.as_str(), shown_labels(one, &self.faults, self.shell)));
        groups.filter(|(_, labels)| !labels.is_empty()).collect()
    }
}

pub(super) async fn show(
    page: Page,
    Path(key): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Result<Response> {
    let (app, actor, shell) = (&page.app, &page.actor, &page.shell);
    let host = targets::host_of(app, TargetType::Stack, &key);
    let week = (shell.now.midnight(0), shell.now.midnight(Week::DAYS));
    let view = match stacks::get_over(app, actor, &host, &key, week).await {
        Err(missing @ Error::NotFound { what: "stack", .. }) => {
            return orphans::page(&page.web, actor, shell.clone(), (TargetType::Stack, &key), missing).await;
        }
        view => view?,
    };
    let target = view.target();
    let tab = query.tab.parse().unwrap_or_default();
    let audit = match tab {
        Tab::Audit => {
            let of = AuditFilter {
                host: Some(target.host.clone()),
                object_id: Some(target.identity_text()),
                ..AuditFilter::default()
            };
            audit::list(app, actor, &of, &paging::Page { limit: 20, cursor: None }).await?.items
        }
        _ => Vec::new(),
    };
    let (schedules, runs) = pages::of_target(&page, &target, Bars::SHOWN).await?;
    let whole = StackPage {
        waits: order::of_stack(app, actor, &target.host, &view.stack.name)?,
        wakers: stacks::wakers(app, actor, &host)?,
        upcoming: app.upcoming.of(&target, &RuleBook::load(app).await?.rules, shell.now.at),
        locked: locks::of(app, actor, &target).await?.is_some(),
        faults: label_faults(app, actor, Some(&host)).await?,
        view: &view,
        runs: &runs,
        schedules,
        shell,
        tab,
        audit,
    };
    page.render_live(&whole, &whole.as_live())
}
