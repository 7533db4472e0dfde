//! The dashboard: what needs somebody, what comes next, and every stack in a line.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::{NextLine, counts, sample_next, stack_acts};
use crate::app::Result;
use crate::app::history::{self, RunFilter};
use crate::app::paging::Page;
use crate::app::stacks::{self, ContainerView, Overview, ShownState, StackView};
use crate::domain::action::Action;
use crate::domain::inventory::Link as HostLink;
use crate::domain::plan::NOTHING_NAPPED;
use crate::domain::run::{Run, RunState};
use crate::domain::target::{Target, TargetType};
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::htmx::Htmx;
use crate::web::pages;
use crate::web::pages::actions::Act;
use crate::web::pages::containers::container_acts;
use crate::web::pages::wanted::{Imposed, WantedPanel};
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Now, Sampled, When};

/// Lines under "Next".
const COMING: usize = 4;
/// Buttons in a row of the list; the stack's own page has all of them.
const ROW_ACTS: usize = 2;
/// A failure older than this has been seen or does not matter, in hours.
const FAILURE_HOURS: i64 = 48;

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
#[template(path = "stacks/index.html", blocks = ["live"])]
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

/// How many of the newest runs tell what failed lately.
const LATEST: u32 = 50;

/// One row of the list, fetched when it changed.
#[derive(Template, Clone, Debug)]
#[template(path = "stacks/_row.html")]
pub struct RowAgain {
    /// The surroundings.
    pub shell: Shell,
    /// The row.
    pub row: Row,
}

/// What of the page is wanted, as the URL says it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// The id of a row that asks for itself.
    row: String,
}

pub(super) async fn index(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Query(wanted): Query<Wanted>,
    shell: Shell,
) -> Result<Response> {
    let overview = stacks::overview(&web.app, &caller.actor).await?;
    if htmx.partial && !wanted.row.is_empty() {
        let (operates, now) = (shell.can_operate(), pages::now(&web, &shell));
        let stacks = overview.stacks.iter().map(|view| Row::stack(view, operates, &now));
        let loose = overview.loose.iter().map(|view| Row::container(view, operates, &now));
        return match stacks.chain(loose).find(|row| row.id == wanted.row) {
            Some(row) => Ok(pages::html(&RowAgain { shell, row })?.into_response()),
            None => Ok(pages::gone()),
        };
    }
    let page = Page { limit: LATEST, cursor: None };
    let runs = history::list(&web.app, &caller.actor, &RunFilter::default(), &page).await?;
    let now = pages::now(&web, &shell);
    let page = Dashboard::new(shell, &overview, &runs.items, &now);
    pages::part(&htmx, &page, &page.as_live())
}

impl Row {
    pub(super) fn sample(name: &str, state: Badge, counts: &str, next: Option<NextLine>) -> Self {
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

impl Sampled for RowAgain {
    fn samples() -> Vec<Self> {
        vec![Self { shell: Shell::sample(), row: Row::sample("media", Badge::RUNNING, "5 of 5 up", None) }]
    }
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
