//! One stack.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::{counts, stack_acts};
use crate::app::soon::Sleep;
use crate::app::stacks::{self, StackView};
use crate::app::{Result, locks, order};
use crate::domain::ids::HostId;
use crate::domain::inventory::Counts;
use crate::domain::run::Run;
use crate::domain::target::{Target, TargetType};
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::htmx::Htmx;
use crate::web::pages;
use crate::web::pages::actions::Act;
use crate::web::pages::containers::ContainerRow;
use crate::web::pages::order::WaitLine;
use crate::web::pages::runs::RunLine;
use crate::web::pages::schedules::ScheduleLine;
use crate::web::pages::wanted::WantedPanel;
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Now, Sampled};

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

    /// The newest run of these that has not ended.
    pub fn among(runs: &[Run]) -> Option<Self> {
        let run = runs.iter().find(|run| !run.state.is_terminal())?;
        let what = format!("{} {}", run.action.label(), view::shown_name(&run.target_name));
        Some(Self {
            text: if run.is_guarded() && !run.reason.is_empty() {
                format!("{what} waits: {}", run.reason)
            } else {
                format!("{what} is under way")
            },
            href: format!("/runs/{}", run.id),
        })
    }
}

/// One stack.
#[derive(Template, Clone, Debug)]
#[template(path = "stacks/show.html", blocks = ["live"])]
pub struct StackPage {
    /// The surroundings.
    pub shell: Shell,
    /// Its name.
    pub name: String,
    /// What the schedule form takes as its target.
    pub target: String,
    /// The live event that tells of it.
    pub event: String,
    /// Its host.
    pub host: String,
    /// How it is.
    pub state: Badge,
    /// `4 of 5 up`.
    pub counts: String,
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
    /// Which of its containers waits for which.
    pub waits: Vec<WaitLine>,
    /// Where that is changed.
    pub order_href: String,
    /// A run that goes on.
    pub running: Option<Underway>,
    /// A sleep that is near.
    pub soon: Option<Underway>,
    /// Buttons.
    pub acts: Vec<Act>,
    /// Its containers.
    pub containers: Vec<ContainerRow>,
    /// Its schedules.
    pub schedules: Vec<ScheduleLine>,
    /// Its newest runs.
    pub runs: Vec<RunLine>,
    /// All of its runs.
    pub runs_href: String,
}

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
        Self {
            name: view::shown_name(name),
            event: format!("stack-{key}"),
            host: view.stack.host.to_string(),
            state: view.shown.into(),
            counts: counts(view.stack.counts),
            health: view::health(view.stack.health),
            why: view.why.clone(),
            protected: view.protected.clone(),
            running: Underway::among(runs),
            soon: None,
            wanted: WantedPanel::new(&view.wanted, now),
            lock: None,
            waits: Vec::new(),
            order_href: format!("/stacks/{key}/order"),
            acts: if operates && view.protected.is_none() { stack_acts(view) } else { Vec::new() },
            containers: view.containers.iter().map(|row| ContainerRow::new(row, operates)).collect(),
            schedules,
            runs: runs.iter().map(|run| RunLine::new(run, now)).collect(),
            runs_href: format!("/runs?target={target}"),
            target,
            shell,
        }
    }
}

pub(super) async fn show(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Path(key): Path<String>,
    shell: Shell,
) -> Result<Response> {
    let view = stacks::get(&web.app, &caller.actor, &HostId::local(), &key).await?;
    let now = pages::now(&web, &shell);
    let target = Target::stack(view.stack.host.clone(), view.stack.name.clone());
    let locked = locks::of(&web.app, &caller.actor, &target).await?.is_some();
    let lock = (shell.can_operate() && (locked || view.protected.is_none()))
        .then(|| Act::lock(TargetType::Stack, &view.stack.key, &view.stack.name, locked));
    let waits = order::of_stack(&web.app, &caller.actor, &target.host, &view.stack.name)?;
    let waits = waits.iter().map(WaitLine::new).collect();
    let soon = web.app.soon.of(&target, now.at).map(|sleep| Underway::soon(&sleep, &now));
    let (schedules, runs) = pages::of_target(&web, &caller.actor, target, &now).await?;
    let page = StackPage { lock, waits, soon, ..StackPage::new(shell, &view, schedules, &runs, &now) };
    pages::part(&htmx, &page, &page.as_live())
}

impl Sampled for StackPage {
    fn samples() -> Vec<Self> {
        let key = "0123456789abcdef";
        let counts = Counts { running: 2, stopped: 1, paused: 0, total: 3 };
        let full = Self {
            shell: Shell::sample(),
            name: "media".to_owned(),
            target: format!("stack/{key}"),
            event: format!("stack-{key}"),
            host: "local".to_owned(),
            state: Badge::PARTIAL,
            counts: "2 of 3 up".to_owned(),
            health: Some("healthy"),
            why: "Started by schedule Mornings, 07:30 today; media-indexer-1: Stopped outside DockNap"
                .to_owned(),
            protected: None,
            wanted: WantedPanel::sample(),
            lock: Some(Act::lock(TargetType::Stack, key, "media", false)),
            waits: WaitLine::samples(),
            order_href: format!("/stacks/{key}/order"),
            running: Some(Underway {
                text: "Stop media is under way".to_owned(),
                href: "/runs/1".to_owned(),
            }),
            soon: Some(Underway {
                text: "Sleeps in 4 min, by Nights; may wait up to 30 min".to_owned(),
                href: "/schedules/1".to_owned(),
            }),
            acts: Act::of_stack(counts, key, "media"),
            containers: ContainerRow::samples(),
            schedules: ScheduleLine::samples(),
            runs: RunLine::samples(),
            runs_href: format!("/runs?target=stack/{key}"),
        };
        vec![
            Self {
                protected: Some("it is DockNap itself".to_owned()),
                acts: vec![],
                wanted: WantedPanel::default(),
                lock: None,
                waits: vec![],
                schedules: vec![],
                runs: vec![],
                running: None,
                soon: None,
                ..full.clone()
            },
            full,
        ]
    }
}
