//! One stack.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;

use super::counts;
use crate::app::audit::{self, AuditFilter};
use crate::app::order::{self, Waits};
use crate::app::paging::Page;
use crate::app::soon::Sleep;
use crate::app::stacks::{self, StackView, Waker};
use crate::app::{Error, Result, locks};
use crate::domain::action::Action;
use crate::domain::ids::HostId;
use crate::domain::inventory::RestartPolicy;
use crate::domain::order::{Edge, waves};
use crate::domain::run::{Run, RunState};
use crate::domain::sorted;
use crate::domain::target::{Subject, Target, TargetType};
use crate::web::auth::{Caller, Viewer};
use crate::web::filters;
use crate::web::htmx::Htmx;
use crate::web::pages::actions::Act;
use crate::web::pages::audit::AuditLine;
use crate::web::pages::containers::{ContainerRow, Label};
use crate::web::pages::order::WaitLine;
use crate::web::pages::runs::RunLine;
use crate::web::pages::runs::words;
use crate::web::pages::schedules::form::{Preset, WINDOWS};
use crate::web::pages::schedules::{ScheduleLine, orphans};
use crate::web::pages::wanted::WantedPanel;
use crate::web::picture::{Bars, Graph, Week};
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Link, Now};
use crate::web::{Web, pages};

/// A run that goes on, or is about to.
#[derive(Clone, Debug)]
pub struct Underway {
    /// `Stop media is under way`.
    pub text: String,
    /// The run, or its schedule.
    pub href: String,
}

impl Underway {
    /// A sleep that is near.
    pub fn soon(sleep: &Sleep, now: &Now) -> Self {
        let by = view::shown_name(&sleep.schedule_title);
        let wait = sleep.guard.as_ref().map(|guard| format!("; {}", guard.in_short())).unwrap_or_default();
        Self {
            text: format!("Sleeps {}, by {by}{wait}", now.when(sleep.at).relative),
            href: format!("/schedules/{}", sleep.schedule_id),
        }
    }

    /// The newest of these runs, where something of it failed: told so that it can be tried again.
    pub fn failed(runs: &[Run], now: &Now) -> Option<Self> {
        let run = failed(runs)?;
        let partial = run.state == RunState::Partial;
        Some(Self {
            text: format!(
                "{} {}: {}",
                run.action.label(),
                if partial { "was only partly done" } else { "failed" },
                if run.reason.is_empty() {
                    "its steps say why".to_owned()
                } else {
                    words::in_short(&run.reason, now)
                }
            ),
            href: format!("/runs/{}", run.id),
        })
    }

    /// The newest run of these that has not ended.
    pub fn among(runs: &[Run], now: &Now) -> Option<Self> {
        let run = runs.iter().find(|run| !run.state.is_terminal())?;
        let what = format!("{} {}", run.action.label(), view::shown_name(&run.target_name));
        Some(Self {
            text: if run.is_guarded() && !run.reason.is_empty() {
                format!("{what} waits: {}", words::reason(&run.reason, now))
            } else {
                format!("{what} is under way")
            },
            href: format!("/runs/{}", run.id),
        })
    }
}

/// The newest of these runs that did something, where something of it failed.
fn failed(runs: &[Run]) -> Option<&Run> {
    let run = runs.iter().find(|run| run.started_at.is_some())?;
    matches!(run.state, RunState::Partial | RunState::Failed).then_some(run)
}

/// What stands below the containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tab {
    #[default]
    Schedules,
    Runs,
    /// Who did what to it.
    Audit,
    /// What its labels say.
    Labels,
}

impl Tab {
    const ALL: [(Self, &str, &str); 4] = [
        (Self::Schedules, "schedules", "Schedules"),
        (Self::Runs, "runs", "Runs"),
        (Self::Audit, "audit", "Audit"),
        (Self::Labels, "labels", "Labels"),
    ];
}

/// What of the page is wanted, as the URL says it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    tab: String,
}

/// Something besides DockNap that may wake it.
#[derive(Clone, Debug)]
pub struct WakerLine {
    /// What: a container, or Docker itself.
    pub who: Link,
    /// When it does.
    pub does: String,
}

/// Labels of one container.
#[derive(Clone, Debug)]
pub struct LabelGroup {
    pub name: String,
    /// Its labels.
    pub labels: Vec<Label>,
}

/// One stack.
#[derive(Template, Clone, Debug)]
#[template(path = "stacks/show.html", blocks = ["live"])]
pub struct StackPage {
    pub shell: Shell,
    pub key: String,
    pub name: String,
    /// What the schedule form takes as its target.
    pub target: String,
    pub host: String,
    pub state: Badge,
    /// `4 of 5 up`.
    pub counts: String,
    /// Health worth a word.
    pub health: Option<&'static str>,
    /// A rule wants it otherwise.
    pub drifted: bool,
    /// Why it is as it is.
    pub why: String,
    /// Why it is never touched.
    pub protected: Option<String>,
    /// What windows and overrides want of it.
    pub wanted: WantedPanel,
    /// What else may wake it.
    pub wakers: Vec<WakerLine>,
    /// Which of its containers waits for which.
    pub waits: Vec<WaitLine>,
    /// The same as a picture; `None` where none waits.
    pub graph: Option<Graph>,
    /// Where that is changed.
    pub order_href: String,
    /// A run that goes on.
    pub running: Option<Underway>,
    /// The newest run failed in part: it, and why.
    pub failed: Option<Underway>,
    /// A sleep that is near.
    pub soon: Option<Underway>,
    /// Wake, Nap, Restart.
    pub power: Vec<Act>,
    /// The other buttons.
    pub acts: Vec<Act>,
    /// Its containers.
    pub containers: Vec<ContainerRow>,
    /// Its next seven days; `None` where no rule is for it.
    pub week: Option<Week>,
    /// Its newest runs as bars.
    pub bars: Bars,
    /// What stands below.
    pub tab: Tab,
    pub schedules: Vec<ScheduleLine>,
    /// Ready-made hours, for a stack without a schedule.
    pub presets: Vec<Preset>,
    pub runs: Vec<RunLine>,
    /// Who did what to it, newest first.
    pub audit: Vec<AuditLine>,
    /// What its labels say.
    pub labels: Vec<LabelGroup>,
    /// All of its runs.
    pub runs_href: String,
}

/// Lines in a tab.
const LINES: usize = 10;

impl StackPage {
    /// A stack with its schedules and newest runs.
    pub fn new(
        shell: Shell,
        view: &StackView,
        schedules: Vec<ScheduleLine>,
        runs: &[Run],
        now: &Now,
    ) -> Self {
        let (key, name) = (&view.stack.key, &view.stack.name);
        let operates = shell.can_operate();
        let target = format!("stack/{key}");
        let touched = operates && view.protected.is_none();
        let running = Underway::among(runs, now);
        let (power, acts) = if touched { power(view) } else { Default::default() };
        let mut containers: Vec<_> = view.containers.iter().collect();
        // What did not become what it should comes first.
        if let Some(run) = failed(runs) {
            sorted::by_key(&mut containers, |row| row.container.state.is_up() == run.action.wakes());
        }
        Self {
            name: view::shown_name(name),
            host: view.stack.host.to_string(),
            state: view.shown.into(),
            counts: counts(view.stack.counts),
            health: view::health(view.stack.health),
            drifted: running.is_none() && view.drifted().is_some(),
            why: now.words(&view.why()),
            protected: view.protected.clone(),
            failed: Underway::failed(runs, now),
            running,
            soon: None,
            wanted: WantedPanel::new(&view.wanted, now),
            wakers: Vec::new(),
            waits: Vec::new(),
            graph: None,
            order_href: format!("/stacks/{key}/order"),
            power,
            acts,
            containers: containers.into_iter().map(|row| ContainerRow::new(row, operates, now)).collect(),
            week: Week::of(&view.wanted.spells, now),
            bars: Bars::new(runs, now),
            tab: Tab::Schedules,
            presets: if touched && schedules.is_empty() { WINDOWS[..3].to_vec() } else { Vec::new() },
            schedules,
            runs: runs.iter().take(LINES).map(|run| RunLine::new(run, now)).collect(),
            audit: Vec::new(),
            labels: Vec::new(),
            runs_href: format!("/runs?target={target}"),
            target,
            key: key.clone(),
            shell,
        }
    }

    /// The tabs: where each leads, what it says, whether it is the one.
    pub fn tabs(&self) -> Vec<(String, &'static str, bool)> {
        Tab::ALL
            .iter()
            .map(|(tab, word, label)| {
                (format!("/stacks/{}?tab={word}#tab", self.key), *label, *tab == self.tab)
            })
            .collect()
    }
}

/// Wake, Nap and Restart, and the other buttons.
fn power(view: &StackView) -> (Vec<Act>, Vec<Act>) {
    let (key, name, counts) = (&view.stack.key, &view.stack.name, view.stack.counts);
    let up = counts.running > 0 || counts.paused > 0 && !view.napping;
    let naps = Act::naps(TargetType::Stack, key, name, up, counts.stopped + counts.paused > 0);
    let (restart, others): (Vec<Act>, Vec<Act>) =
        Act::of_stack(counts, key, name).into_iter().partition(|act| act.action == Action::Restart.as_str());
    (naps.into_iter().chain(restart).collect(), others)
}

/// Docker itself, where a restart of it brings something of the stack back, and neighbours known for it.
fn wakers(view: &StackView, neighbours: &[Waker]) -> Vec<WakerLine> {
    let always = view.containers.iter().filter(|one| {
        one.container.is_ordinary()
            && one.protected.is_none()
            && one.container.restart_policy == RestartPolicy::Always
    });
    let always: Vec<String> = always.map(|one| view::shown_name(&one.container.name)).collect();
    let docker = (!always.is_empty()).then(|| WakerLine {
        who: Link::new("", "Docker itself"),
        does: format!(
            "brings {} back when the daemon restarts: the restart policy is “always”; “unless-stopped” lets it sleep",
            always.join(", ")
        ),
    });
    let neighbours = neighbours.iter().map(|one| WakerLine {
        who: Link::new(format!("/containers/{}", one.key), view::shown_name(&one.name)),
        does: one.does.to_owned(),
    });
    docker.into_iter().chain(neighbours).collect()
}

/// The picture of the order: services of the stack, and what they wait for elsewhere.
fn graph(view: &StackView, waits: &[Waits]) -> Option<Graph> {
    let mut names: Vec<String> = Vec::new();
    let mut index = |name: &str| match names.iter().position(|known| known == name) {
        Some(index) => index,
        None => {
            names.push(name.to_owned());
            names.len() - 1
        }
    };
    for one in view.containers.iter().filter(|one| one.container.is_ordinary()) {
        index(one.container.service().unwrap_or(&one.container.name));
    }
    // Between whole stacks: that is no order within this one.
    let is_stack = |subject: &Subject| matches!(subject, Subject::Stack(_));
    let inner = waits.iter().filter(|one| {
        one.added.as_ref().is_none_or(|edge| !is_stack(&edge.dependant) && !is_stack(&edge.dependency))
    });
    let mut edges: Vec<Edge> = inner
        .map(|one| Edge {
            dependant: index(&one.dependant),
            dependency: index(&one.dependency),
            condition: one.condition,
            wait_seconds: one.wait_seconds,
        })
        .filter(|edge| edge.dependant != edge.dependency)
        .collect();
    let (numbers, _) = waves(&names, &mut edges);
    let nodes: Vec<(String, u32)> = names.into_iter().zip(numbers).collect();
    let lines: Vec<(usize, usize)> = edges.iter().map(|edge| (edge.dependant, edge.dependency)).collect();
    Graph::new(&nodes, &lines)
}

fn label_groups(view: &StackView, operates: bool) -> Vec<LabelGroup> {
    let groups = view.containers.iter().map(|one| LabelGroup {
        name: view::shown_name(&one.container.name),
        labels: Label::of(&one.container.labels, operates),
    });
    groups.filter(|group| !group.labels.is_empty()).collect()
}

pub(super) async fn show(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Path(key): Path<String>,
    Query(wish): Query<Wish>,
    shell: Shell,
) -> Result<Response> {
    let (app, actor, host) = (&web.app, &caller.actor, HostId::local());
    let now = pages::now(&web, &shell);
    let week = (now.midnight(0), now.midnight(Week::DAYS));
    let view = match stacks::get_over(app, actor, &host, &key, week).await {
        Err(missing @ Error::NotFound { what: "stack", .. }) => {
            return orphans::page(&web, actor, shell, (TargetType::Stack, &key), missing).await;
        }
        view => view?,
    };
    let target = Target::stack(view.stack.host.clone(), view.stack.name.clone());
    let locked = locks::of(app, actor, &target).await?.is_some();
    let lock = (shell.can_operate() && (locked || view.protected.is_none()))
        .then(|| Act::lock(TargetType::Stack, &view.stack.key, &view.stack.name, locked));
    let waits = order::of_stack(app, actor, &target.host, &view.stack.name)?;
    let soon = app.soon.of(&target, now.at).map(|sleep| Underway::soon(&sleep, &now));
    let tab = Tab::ALL.iter().find(|(_, word, _)| *word == wish.tab).map_or(Tab::Schedules, |(tab, ..)| *tab);
    let audit = match tab {
        Tab::Audit => {
            let identity = target.identity_text();
            let filter = AuditFilter { object_id: Some(identity), ..AuditFilter::default() };
            let page = Page { limit: 20, cursor: None };
            audit::list(app, actor, &filter, &page).await?.items
        }
        _ => Vec::new(),
    };
    let neighbours = stacks::wakers(app, actor, &host)?;
    let (schedules, runs) = pages::of_target(&web, actor, target, Bars::SHOWN, &now).await?;
    let page = StackPage::new(shell, &view, schedules, &runs, &now);
    let page = StackPage {
        wakers: wakers(&view, &neighbours),
        graph: graph(&view, &waits),
        waits: waits.iter().map(WaitLine::new).collect(),
        soon,
        audit: audit.iter().map(|row| AuditLine::new(row, &now)).collect(),
        labels: if tab == Tab::Labels { label_groups(&view, page.shell.can_operate()) } else { Vec::new() },
        tab,
        acts: page.acts.iter().cloned().chain(lock).collect(),
        ..page
    };
    pages::part(&htmx, &page, &page.as_live())
}
