//! The first page, and one stack.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Html;
use jiff::Timestamp;

use super::actions::Act;
use super::containers::{ContainerRow, container_acts};
use super::order::WaitLine;
use super::runs::RunLine;
use super::schedules::ScheduleLine;
use super::wanted::{Imposed, WantedPanel, with_naps};
use crate::app::history::{self, RunFilter};
use crate::app::paging::Page;
use crate::app::soon::Sleep;
use crate::app::stacks::{self, ContainerView, NextAction, Overview, ShownState, StackView};
use crate::app::{Result, locks, order};
use crate::domain::action::Action;
use crate::domain::ids::HostId;
use crate::domain::inventory::{Counts, Link as HostLink};
use crate::domain::plan::NOTHING_NAPPED;
use crate::domain::run::{Run, RunState};
use crate::domain::target::{Target, TargetType};
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Now, Sampled, When};

pub(super) fn routes() -> Routes {
    Routes::new().get("/", Access::VIEWER, index).get("/stacks/{key}", Access::VIEWER, show)
}

/// Lines under "Next".
const COMING: usize = 4;
/// Buttons in a row of the list; the stack's own page has all of them.
const ROW_ACTS: usize = 2;
/// A failure older than this has been seen or does not matter, in hours.
const FAILURE_HOURS: i64 = 48;

impl From<ShownState> for Badge {
    fn from(state: ShownState) -> Self {
        match state {
            ShownState::Running => Self::RUNNING,
            ShownState::Napping => Self::NAPPING,
            ShownState::Paused => Self::PAUSED,
            ShownState::Stopped => Self::STOPPED,
            ShownState::Partial => Self::PARTIAL,
            ShownState::Starting => Self::STARTING,
            ShownState::Unhealthy => Self::UNHEALTHY,
            ShownState::RestartLooping => Self::LOOPING,
            ShownState::Unreachable => Self::UNREACHABLE,
            ShownState::Completed => Self::COMPLETED,
        }
    }
}

/// Something that will happen.
#[derive(Clone, Debug)]
pub struct NextLine {
    /// The action's symbol.
    pub icon: &'static str,
    /// `Stop`, or `Stop media` where the target is not plain.
    pub title: String,
    /// When.
    pub when: When,
    /// The schedule.
    pub href: String,
}

impl NextLine {
    fn new(next: &NextAction, of: Option<&str>, now: &Now) -> Self {
        let (icon, word) = match next.action {
            Action::Start if next.by_window => ("sunrise", "Wake"),
            _ if next.by_window => ("moon", "Nap"),
            action => (view::action_icon(action), action.label()),
        };
        let title = match of {
            Some(name) => format!("{word} {}", view::shown_name(name)),
            None => word.to_owned(),
        };
        Self { icon, title, when: now.when(next.at), href: format!("/schedules/{}", next.schedule_id) }
    }
}

/// A stack, or a container without one, in the list.
#[derive(Clone, Debug)]
pub struct Row {
    /// The element's id.
    pub id: String,
    /// Its page.
    pub href: String,
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: Badge,
    /// `4 of 5 up`; empty for a container.
    pub counts: String,
    /// Health worth a word.
    pub health: Option<&'static str>,
    /// Why it is never touched.
    pub protected: Option<String>,
    /// An override that counts now.
    pub imposed: Option<Imposed>,
    /// What comes next.
    pub next: Option<NextLine>,
    /// Buttons.
    pub acts: Vec<Act>,
}

/// The buttons of a stack.
fn stack_acts(view: &StackView) -> Vec<Act> {
    let (key, name, counts) = (&view.stack.key, &view.stack.name, view.stack.counts);
    let acts = Act::of_stack(counts, key, name);
    let way = (counts.running > 0, counts.stopped + counts.paused > 0);
    with_naps(acts, &view.wanted, TargetType::Stack, key, name, way)
}

fn counts(counts: Counts) -> String {
    match counts {
        Counts { total: 0, .. } => "nothing to run".to_owned(),
        Counts { running, paused: 0, total, .. } => format!("{running} of {total} up"),
        Counts { running, paused, total, .. } => format!("{running} of {total} up, {paused} paused"),
    }
}

impl Row {
    fn stack(view: &StackView, operates: bool, now: &Now) -> Self {
        let (key, name) = (&view.stack.key, &view.stack.name);
        let mut acts = Vec::new();
        if operates && view.protected.is_none() {
            acts = stack_acts(view);
            acts.retain(|act| act.action != Action::Pause.as_str() && act.action != Action::Restart.as_str());
            acts.truncate(ROW_ACTS);
        }
        Self {
            id: format!("stack-{key}"),
            href: format!("/stacks/{key}"),
            name: view::shown_name(name),
            state: view.shown.into(),
            counts: counts(view.stack.counts),
            health: None,
            protected: view.protected.clone(),
            imposed: view.wanted.by_override.as_ref().map(|one| Imposed::new(one, now)),
            next: view.next.as_ref().map(|next| NextLine::new(next, None, now)),
            acts,
        }
    }

    fn container(view: &ContainerView, operates: bool, now: &Now) -> Self {
        let key = view.container.key();
        let mut acts = if operates { container_acts(view) } else { Vec::new() };
        acts.retain(|act| act.action != Action::Pause.as_str() && act.action != Action::Restart.as_str());
        Self {
            id: format!("container-{key}"),
            href: format!("/containers/{key}"),
            name: view::shown_name(&view.container.name),
            state: view.shown.into(),
            counts: String::new(),
            health: None,
            protected: view.protected.clone(),
            imposed: view.wanted.by_override.as_ref().map(|one| Imposed::new(one, now)),
            next: view.next.as_ref().map(|next| NextLine::new(next, None, now)),
            acts,
        }
    }
}

/// Something a person should look at.
#[derive(Clone, Debug)]
pub struct Need {
    /// `bad` or `warn`.
    pub tone: &'static str,
    /// Its symbol.
    pub icon: &'static str,
    /// What, as a link.
    pub title: String,
    /// What is wrong.
    pub text: String,
    /// Since when.
    pub when: Option<When>,
    /// Where to look.
    pub href: String,
    /// What mends it.
    pub act: Option<Act>,
}

/// The host that does not answer.
#[derive(Clone, Debug)]
pub struct Away {
    /// What went wrong and what to do.
    pub reason: String,
    /// Since when.
    pub since: Option<When>,
    /// How old what is shown is.
    pub seen: Option<When>,
}

/// The first page.
#[derive(Template, Clone, Debug)]
#[template(path = "stacks/index.html", blocks = ["stacks", "loose"])]
pub struct Dashboard {
    /// The surroundings.
    pub shell: Shell,
    /// The list in a sentence.
    pub summary: String,
    /// The host that does not answer.
    pub away: Option<Away>,
    /// What a person should look at.
    pub needs: Vec<Need>,
    /// What comes next.
    pub coming: Vec<NextLine>,
    /// The stacks.
    pub stacks: Vec<Row>,
    /// The containers without a stack.
    pub loose: Vec<Row>,
}

impl Dashboard {
    /// The first page from one look at everything and the newest runs.
    pub fn new(shell: Shell, overview: &Overview, runs: &[Run], now: &Now) -> Self {
        let operates = shell.can_operate();
        let away = overview.hosts.iter().find_map(|host| match &host.link {
            HostLink::Unreachable { reason, since } => Some(Away {
                reason: reason.clone(),
                since: Some(now.when(*since)),
                seen: host.seen_at.map(|at| now.when(at)),
            }),
            _ => None,
        });
        Self {
            summary: summary(overview),
            needs: needs(overview, runs, now),
            coming: coming(overview, now),
            stacks: overview.stacks.iter().map(|view| Row::stack(view, operates, now)).collect(),
            loose: overview.loose.iter().map(|view| Row::container(view, operates, now)).collect(),
            away,
            shell,
        }
    }
}

fn summary(overview: &Overview) -> String {
    let of = |state: ShownState| overview.stacks.iter().filter(|view| view.shown == state).count();
    let mut parts = vec![view::count(overview.stacks.len(), "stack")];
    for (state, word) in [
        (ShownState::Running, "running"),
        (ShownState::Napping, "napping"),
        (ShownState::Partial, "partial"),
        (ShownState::Stopped, "stopped"),
    ] {
        match of(state) {
            0 => {}
            number => parts.push(format!("{number} {word}")),
        }
    }
    parts.join(" · ")
}

fn coming(overview: &Overview, now: &Now) -> Vec<NextLine> {
    let stacks =
        overview.stacks.iter().flat_map(|view| view.next.iter().map(|next| (next, &view.stack.name)));
    let loose =
        overview.loose.iter().flat_map(|view| view.next.iter().map(|next| (next, &view.container.name)));
    let mut all: Vec<_> = stacks.chain(loose).collect();
    all.sort_by_key(|(next, name)| (next.at, name.as_str()));
    all.into_iter().take(COMING).map(|(next, name)| NextLine::new(next, Some(name), now)).collect()
}

/// What is unhealthy now, and each target whose newest run failed not long ago.
fn needs(overview: &Overview, runs: &[Run], now: &Now) -> Vec<Need> {
    let mut needs = Vec::new();
    let containers = overview.stacks.iter().flat_map(|stack| &stack.containers).chain(&overview.loose);
    for view in containers {
        let text = match view.shown {
            ShownState::Unhealthy => "Its health check fails.",
            ShownState::RestartLooping => "It ends again and again, and Docker brings it back each time.",
            _ => continue,
        };
        let badge = Badge::from(view.shown);
        needs.push(Need {
            tone: "warn",
            icon: badge.icon,
            title: format!("{} is {}", view::shown_name(&view.container.name), badge.word.to_lowercase()),
            text: text.to_owned(),
            when: None,
            href: format!("/containers/{}", view.container.key()),
            act: None,
        });
    }
    let oldest =
        now.at.checked_sub(jiff::SignedDuration::from_hours(FAILURE_HOURS)).unwrap_or(Timestamp::MIN);
    let mut seen: Vec<&Target> = Vec::new();
    let tells = |run: &&Run| run.started_at.is_some() || run.reason.starts_with(NOTHING_NAPPED);
    for run in runs.iter().filter(|run| run.created_at >= oldest).filter(tells) {
        if seen.contains(&&run.target) {
            continue;
        }
        seen.push(&run.target);
        if run.state == RunState::Skipped && run.reason.starts_with(NOTHING_NAPPED) {
            let (kind, key) = (run.target.target_type(), run.target.key());
            needs.push(Need {
                tone: "warn",
                icon: "sunrise",
                title: format!("Nothing of {} was woken", view::shown_name(&run.target_name)),
                text: "DockNap had put nothing of it to sleep".to_owned(),
                when: Some(now.when(run.finished_at.unwrap_or(run.created_at))),
                href: format!("/runs/{}", run.id),
                act: Some(Act {
                    label: "Start all now",
                    ..Act::new(Action::Start, kind, &key, &run.target_name)
                }),
            });
        }
        if run.state.needs_attention() {
            let badge = Badge::from(run.state);
            needs.push(Need {
                tone: "bad",
                icon: badge.icon,
                title: format!(
                    "{} {}: {}",
                    run.action.label(),
                    view::shown_name(&run.target_name),
                    badge.word.to_lowercase()
                ),
                text: run.reason.clone(),
                when: Some(now.when(run.finished_at.unwrap_or(run.created_at))),
                href: format!("/runs/{}", run.id),
                act: None,
            });
        }
    }
    needs
}

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
#[template(path = "stacks/show.html", blocks = ["containers"])]
pub struct StackPage {
    /// The surroundings.
    pub shell: Shell,
    /// Its name.
    pub name: String,
    /// What the schedule form takes as its target.
    pub target: String,
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

/// How many of the newest runs tell what failed lately.
const LATEST: u32 = 50;

async fn index(State(web): State<Web>, caller: Caller<Viewer>, shell: Shell) -> Result<Html<String>> {
    let overview = stacks::overview(&web.app, &caller.actor).await?;
    let page = Page { limit: LATEST, cursor: None };
    let runs = history::list(&web.app, &caller.actor, &RunFilter::default(), &page).await?;
    let now = super::now(&web, &shell);
    super::html(&Dashboard::new(shell, &overview, &runs.items, &now))
}

async fn show(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Path(key): Path<String>,
    shell: Shell,
) -> Result<Html<String>> {
    let view = stacks::get(&web.app, &caller.actor, &HostId::local(), &key).await?;
    let now = super::now(&web, &shell);
    let target = Target::stack(view.stack.host.clone(), view.stack.name.clone());
    let locked = locks::of(&web.app, &caller.actor, &target).await?.is_some();
    let lock = (shell.can_operate() && (locked || view.protected.is_none()))
        .then(|| Act::lock(TargetType::Stack, &view.stack.key, &view.stack.name, locked));
    let waits = order::of_stack(&web.app, &caller.actor, &target.host, &view.stack.name)?;
    let waits = waits.iter().map(WaitLine::new).collect();
    let soon = web.app.soon.of(&target, now.at).map(|sleep| Underway::soon(&sleep, &now));
    let (schedules, runs) = super::of_target(&web, &caller.actor, target, &now).await?;
    super::html(&StackPage { lock, waits, soon, ..StackPage::new(shell, &view, schedules, &runs, &now) })
}

impl Row {
    fn sample(name: &str, state: Badge, counts: &str, next: Option<NextLine>) -> Self {
        let key = "0123456789abcdef";
        let action = if state == Badge::RUNNING { Action::Stop } else { Action::Start };
        Self {
            id: format!("stack-{name}"),
            href: format!("/stacks/{key}"),
            name: name.to_owned(),
            state,
            counts: counts.to_owned(),
            health: None,
            protected: None,
            imposed: None,
            next,
            acts: vec![Act::new(action, TargetType::Stack, key, name)],
        }
    }
}

fn sample_next(action: Action, of: &str, seconds: i64) -> NextLine {
    NextLine {
        icon: view::action_icon(action),
        title: format!("{}{of}", action.label()),
        when: Now::sample().plus(seconds),
        href: "/schedules/1".to_owned(),
    }
}

fn sample_needs() -> Vec<Need> {
    let now = Now::sample();
    vec![
        Need {
            tone: "bad",
            icon: "circle-x",
            title: "Start ci-runner: failed".to_owned(),
            text: "media-web-1 ended with exit code 127".to_owned(),
            when: Some(now.plus(-4000)),
            href: "/runs/1".to_owned(),
            act: None,
        },
        Need {
            tone: "warn",
            icon: "sunrise",
            title: "Nothing of media was woken".to_owned(),
            text: "DockNap had put nothing of it to sleep".to_owned(),
            when: Some(now.plus(-9000)),
            href: "/runs/1".to_owned(),
            act: Some(Act {
                label: "Start all now",
                ..Act::new(Action::Start, TargetType::Stack, "0123456789abcdef", "media")
            }),
        },
        Need {
            tone: "warn",
            icon: "heart-crack",
            title: "wiki-web-1 is unhealthy".to_owned(),
            text: "Its health check fails.".to_owned(),
            when: None,
            href: "/containers/0123456789abcdef".to_owned(),
            act: None,
        },
    ]
}

impl Sampled for Dashboard {
    fn samples() -> Vec<Self> {
        let now = Now::sample();
        let full = Self {
            shell: Shell::sample(),
            summary: "7 stacks · 3 running · 1 napping · 1 partial · 1 stopped".to_owned(),
            away: None,
            needs: vec![],
            coming: vec![
                sample_next(Action::Stop, " media", 10_000),
                sample_next(Action::Stop, " staging", 13_000),
                sample_next(Action::Start, " media", 41_000),
            ],
            stacks: vec![
                Row {
                    protected: Some("it is DockNap itself".to_owned()),
                    acts: vec![],
                    ..Row::sample("docknap", Badge::RUNNING, "1 of 1 up", None)
                },
                Row::sample(
                    "media",
                    Badge::RUNNING,
                    "5 of 5 up",
                    Some(sample_next(Action::Stop, "", 10_000)),
                ),
                Row {
                    imposed: WantedPanel::sample().imposed,
                    acts: Act::naps(TargetType::Stack, "0123456789abcdef", "nightly-builds", true, true),
                    ..Row::sample("nightly-builds", Badge::STOPPED, "0 of 2 up", None)
                },
                Row::sample(
                    "shop",
                    Badge::PARTIAL,
                    "2 of 3 up",
                    Some(sample_next(Action::Restart, "", 200_000)),
                ),
                Row::sample(
                    "staging",
                    Badge::NAPPING,
                    "0 of 8 up",
                    Some(sample_next(Action::Start, "", 41_000)),
                ),
                Row::sample("wiki", Badge::UNHEALTHY, "2 of 2 up", None),
                Row::sample("printer", Badge::PAUSED, "0 of 1 up, 1 paused", None),
            ],
            loose: vec![
                Row::sample("speedtest", Badge::RUNNING, "", None),
                Row::sample("old-proxy", Badge::LOOPING, "", None),
            ],
        };
        vec![
            Self {
                away: Some(Away {
                    reason: "Permission denied on /var/run/docker.sock: add DockNap to the socket's group."
                        .to_owned(),
                    since: Some(now.plus(-700)),
                    seen: Some(now.plus(-710)),
                }),
                needs: sample_needs(),
                stacks: full
                    .stacks
                    .iter()
                    .cloned()
                    .map(|row| Row { state: Badge::UNREACHABLE, ..row })
                    .collect(),
                ..full.clone()
            },
            Self {
                stacks: vec![],
                loose: vec![],
                coming: vec![],
                summary: "0 stacks".to_owned(),
                ..full.clone()
            },
            full,
        ]
    }
}

impl Sampled for StackPage {
    fn samples() -> Vec<Self> {
        let key = "0123456789abcdef";
        let counts = Counts { running: 2, stopped: 1, paused: 0, total: 3 };
        let full = Self {
            shell: Shell::sample(),
            name: "media".to_owned(),
            target: format!("stack/{key}"),
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
