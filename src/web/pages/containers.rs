//! One container, without what may hold secrets: environment, mounts and command are never read here.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::actions::Act;
use super::runs::RunLine;
use super::schedules::ScheduleLine;
use super::stacks::Underway;
use super::wanted::{WantedPanel, with_naps};
use crate::app::stacks::{self, ContainerView};
use crate::app::{Result, locks};
use crate::domain::ids::HostId;
use crate::domain::inventory::{Container, ContainerState, RestartPolicy};
use crate::domain::run::Run;
use crate::domain::target;
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Link, Now, Sampled, When};

pub(super) fn routes() -> Routes {
    Routes::new().get("/containers/{key}", Access::VIEWER, show)
}

/// A container in its stack's table.
#[derive(Clone, Debug)]
pub struct ContainerRow {
    /// The element's id.
    pub id: String,
    /// Its page.
    pub href: String,
    /// Its name.
    pub name: String,
    /// Docker's status text.
    pub status: String,
    /// How it is.
    pub state: Badge,
    /// Why it is never touched.
    pub protected: Option<String>,
    /// The image.
    pub image: String,
    /// Buttons.
    pub acts: Vec<Act>,
}

impl ContainerRow {
    /// A container in its stack's table.
    pub fn new(view: &ContainerView, operates: bool) -> Self {
        let container = &view.container;
        let key = container.key();
        Self {
            id: format!("container-{key}"),
            href: format!("/containers/{key}"),
            name: view::shown_name(&container.name),
            status: view::shown_name(&container.status),
            state: view.shown.into(),
            protected: view.protected.clone(),
            image: view::shown_name(&container.image),
            acts: if operates { Act::of_container(container) } else { Vec::new() },
        }
    }

    /// Rows to try templates with.
    pub fn samples() -> Vec<Self> {
        let row = |name: &str, status: &str, state: Badge, image: &str| Self {
            id: format!("container-{name}"),
            href: "/containers/0123456789abcdef".to_owned(),
            name: name.to_owned(),
            status: status.to_owned(),
            state,
            protected: None,
            image: image.to_owned(),
            acts: vec![
                Act::new(
                    crate::domain::action::Action::Stop,
                    target::TargetType::Container,
                    "0123456789abcdef",
                    name,
                ),
                Act::new(
                    crate::domain::action::Action::Restart,
                    target::TargetType::Container,
                    "0123456789abcdef",
                    name,
                ),
            ],
        };
        vec![
            Self {
                protected: Some("its label docknap.protect says so".to_owned()),
                acts: vec![],
                ..row("media-db-1", "Up 3 hours (healthy)", Badge::RUNNING, "postgres:15")
            },
            row("media-web-1", "Up 3 hours", Badge::RUNNING, "ghcr.io/example/media-web:2.14.1"),
            row("media-indexer-1", "Exited (0) 2 days ago", Badge::STOPPED, "ghcr.io/example/indexer:1"),
            Self {
                acts: vec![],
                ..row(
                    "media-migrate-1",
                    "Exited (0) 3 hours ago",
                    Badge::COMPLETED,
                    "ghcr.io/example/media-web:2.14.1",
                )
            },
        ]
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
    /// What.
    pub name: &'static str,
    /// Its value; empty where `when` says all.
    pub value: String,
    /// An instant after it.
    pub when: Option<When>,
}

impl Fact {
    fn text(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), when: None }
    }

    fn at(name: &'static str, when: When) -> Self {
        Self { name, value: String::new(), when: Some(when) }
    }
}

/// A label.
#[derive(Clone, Debug)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// One container.
#[derive(Template, Clone, Debug)]
#[template(path = "containers/show.html", blocks = ["live"])]
pub struct ContainerPage {
    /// The surroundings.
    pub shell: Shell,
    /// Where it belongs.
    pub up: Link,
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
    /// Buttons.
    pub acts: Vec<Act>,
    /// What else there is to know.
    pub facts: Vec<Fact>,
    /// It is part of a stack.
    pub in_stack: bool,
    /// Its own schedules.
    pub schedules: Vec<ScheduleLine>,
    /// Its newest runs.
    pub runs: Vec<RunLine>,
    /// The labels the reader may see.
    pub labels: Vec<Label>,
    /// The reader does not see all of them.
    pub labels_limited: bool,
}

/// What viewers see of the labels (rulings 21).
const OPEN_LABELS: [&str; 3] = ["com.docker.compose.", "docknap.", "org.opencontainers.image."];

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
            // What happens to a container of a stack is told by the stack's name.
            event: match container.stack() {
                Some(stack) => format!("stack-{}", target::key(&container.host, stack)),
                None => format!("container-{}", container.key()),
            },
            host: container.host.to_string(),
            state: view.shown.into(),
            status: view::shown_name(&container.status),
            health: view::health(container.health),
            why: view.why.clone(),
            protected: view.protected.clone(),
            wanted: WantedPanel::new(&view.wanted, now),
            lock: None,
            soon: None,
            acts: if operates { container_acts(view) } else { Vec::new() },
            facts: facts(container, now),
            in_stack: container.stack().is_some(),
            schedules,
            runs: runs.iter().map(|run| RunLine::new(run, now)).collect(),
            labels: container
                .labels
                .iter()
                .filter(|(name, _)| operates || OPEN_LABELS.iter().any(|open| name.starts_with(open)))
                .map(|(name, value)| Label { name: view::shown_name(name), value: view::shown_name(value) })
                .collect(),
            labels_limited: !operates,
            shell,
        }
    }
}

fn facts(container: &Container, now: &Now) -> Vec<Fact> {
    let mut facts = vec![Fact::text("Image", view::shown_name(&container.image))];
    if let Some(service) = container.service() {
        facts.push(Fact::text("Service", view::shown_name(service)));
    }
    if let Some(at) = container.started_at.filter(|_| container.state.is_up()) {
        facts.push(Fact::at("Up since", now.when(at)));
    }
    if container.state == ContainerState::Exited {
        if let Some(code) = container.exit_code {
            facts.push(Fact::text("Last exit code", view::exit_code(code)));
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

async fn show(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Path(key): Path<String>,
    shell: Shell,
) -> Result<Response> {
    let view = stacks::container(&web.app, &caller.actor, &HostId::local(), &key).await?;
    let now = super::now(&web, &shell);
    let target = view.container.target();
    let locked = locks::of(&web.app, &caller.actor, &target).await?.is_some();
    let lock = (shell.can_operate() && (locked || view.protected.is_none()))
        .then(|| Act::lock(target::TargetType::Container, &target.key(), &view.container.name, locked));
    let soon = web.app.soon.of(&target, now.at).map(|sleep| Underway::soon(&sleep, &now));
    let (schedules, runs) = super::of_target(&web, &caller.actor, target, &now).await?;
    let page = ContainerPage { lock, soon, ..ContainerPage::new(shell, &view, schedules, &runs, &now) };
    super::part(&htmx, &page, &page.as_live())
}

impl Sampled for ContainerPage {
    fn samples() -> Vec<Self> {
        let now = Now::sample();
        let page = Self {
            shell: Shell::sample(),
            up: Link::new("/stacks/0123456789abcdef", "media"),
            name: "media-web-1".to_owned(),
            target: "container/0123456789abcdef".to_owned(),
            event: "container-0123456789abcdef".to_owned(),
            host: "local".to_owned(),
            state: Badge::STOPPED,
            status: "Exited (137) 2 hours ago".to_owned(),
            health: None,
            why: "Stopped by schedule Nights, 23:00 yesterday".to_owned(),
            protected: None,
            wanted: WantedPanel::sample(),
            lock: Some(Act::lock(target::TargetType::Container, "0123456789abcdef", "media-web-1", false)),
            soon: None,
            acts: vec![Act::new(
                crate::domain::action::Action::Start,
                target::TargetType::Container,
                "0123456789abcdef",
                "media-web-1",
            )],
            facts: vec![
                Fact::text("Image", "ghcr.io/example/media-web:2.14.1"),
                Fact::text("Service", "web"),
                Fact::text("Last exit code", view::exit_code(137)),
                Fact::at("Ended", now.plus(-7200)),
                Fact::at("Created", now.plus(-720_000)),
                Fact::text("Restart policy", policy(RestartPolicy::UnlessStopped)),
                Fact::text("Stop grace", "10 s, Docker's default"),
            ],
            in_stack: true,
            schedules: ScheduleLine::samples(),
            runs: RunLine::samples(),
            labels: vec![
                Label { name: "com.docker.compose.project".to_owned(), value: "media".to_owned() },
                Label { name: "com.docker.compose.service".to_owned(), value: "web".to_owned() },
            ],
            labels_limited: false,
        };
        vec![
            Self {
                protected: Some("its label docknap.protect says so".to_owned()),
                acts: vec![],
                wanted: WantedPanel::default(),
                lock: None,
                in_stack: false,
                schedules: vec![],
                runs: vec![],
                labels: vec![],
                labels_limited: true,
                health: Some("healthy"),
                ..page.clone()
            },
            page,
        ]
    }
}
