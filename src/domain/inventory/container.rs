//! One container as the Engine's list and inspect responses describe it: state, health, restart policy, labels,
//! networks, kind and protection. The module `docker` fills the values in.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Tie;
use crate::domain::ids::HostId;
use crate::domain::place::Place;
use crate::domain::target::{self, ContainerIdentity, Target};
use crate::domain::words::words;

words! {
    /// The state of a container in Docker.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum ContainerState {
        /// Created, never started.
        Created,
        /// The process runs.
        Running,
        /// The processes are frozen.
        Paused,
        /// The process has ended and the restart policy is about to start it again.
        Restarting,
        /// Removal is in progress.
        Removing,
        /// The process has ended.
        Exited,
        /// Docker failed to remove the container completely.
        Dead,
    }
}

impl ContainerState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Running,
        Self::Paused,
        Self::Restarting,
        Self::Removing,
        Self::Exited,
        Self::Dead,
    ];

    /// Whether there is a process to stop, including a frozen one and one that the restart policy is about to start.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

words! {
    /// The last result of the health check; `none` while the container does not run or is paused, since its result is
    /// outdated then (semantics §5).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum Health {
        /// No health check, or one that does not count in this state.
        None,
        /// No result yet.
        Starting,
        /// Passing.
        Healthy,
        /// Failing.
        Unhealthy,
    }
}

/// Docker's reaction to the end of the process and to a start of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// No restart.
    No,
    /// Restart after every end of the process, and at a daemon start even if the container was stopped.
    Always,
    /// Restart unless the container was stopped.
    UnlessStopped,
    /// Restart after an exit code other than 0.
    OnFailure,
}

/// Kind of a container: ordinary, or one of the kinds on which DockNap never acts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Ordinary container, which may be scheduled.
    Ordinary,
    /// Container of `docker-compose run` (label `oneoff=True`). DockNap never acts on it.
    OneOff,
    /// Compose hook (label `com.docker.compose.hook`). DockNap never acts on it.
    Hook,
    /// Swarm task. DockNap never acts on it, since swarm replaces stopped tasks.
    SwarmTask,
}

/// Reason for which DockNap never acts on a container (semantics §6, rulings 13).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// DockNap runs in this container.
    Itself,
    /// DockNap runs in this container or in another one with the same network; the sentence names all candidates.
    MaybeItself(String),
    /// DockNap uses a namespace of this container, directly or through other containers; the sentence names it.
    Parent(String),
    /// DockNap reaches Docker through this container.
    SocketProxy,
    /// DockNap's database runs in this container.
    Database,
    /// Label `docknap.protect=true` (or `docknap.stack.protect`).
    Label,
    /// Label `docknap.enable=false` (or `docknap.stack.enable`).
    LeftOut,
    /// Listed in `DOCKNAP_PROTECT`.
    Setting,
    /// Locked by a person; the text is that of [`Lock::sentence`](crate::domain::lock::Lock::sentence).
    Lock(String),
}

impl Protection {
    /// Reason as the end of a sentence: "… is protected: *it is DockNap itself*".
    pub fn reason(&self) -> &str {
        match self {
            Self::Itself => "it is DockNap itself",
            Self::MaybeItself(sentence) | Self::Parent(sentence) => sentence,
            Self::SocketProxy => "DockNap reaches Docker through it",
            Self::Database => "DockNap keeps its data in it",
            Self::Label => "its label docknap.protect says so",
            Self::LeftOut => "its label docknap.enable=false leaves it out",
            Self::Setting => "DOCKNAP_PROTECT names it",
            Self::Lock(sentence) => sentence,
        }
    }
}

/// Result of one health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// End of the check, by the Engine's clock.
    pub at: Option<Timestamp>,
    /// Exit code; 0 means passed.
    pub exit_code: i64,
    /// Unescaped output of the check: hostile input.
    pub output: String,
}

/// One container as the Engine describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Engine that the container is on.
    pub host: HostId,
    /// Docker id. Only a cache: `identity` decides which container an action is for.
    pub id: String,
    /// Name without the leading slash. Hostile input: escape it on output.
    pub name: String,
    /// Image reference in the container's configuration.
    pub image: String,
    /// Identity that survives a re-creation.
    pub identity: ContainerIdentity,
    /// All labels, unchanged.
    pub labels: BTreeMap<String, String>,
    /// Services of the same stack whose completion this container waits for; parsed from the labels once, since a label
    /// may be long.
    pub awaits: Vec<String>,
    /// Services of the same stack whose restart also restarts this container (`restart: true` of `depends_on`); parsed
    /// from the labels once.
    pub restarts_with: Vec<String>,
    pub state: ContainerState,
    /// Health, or [`Health::None`] in states in which it does not count.
    pub health: Health,
    /// Instant since which the container is unhealthy, by DockNap's clock; `None` if the change was not observed.
    pub unhealthy_since: Option<Timestamp>,
    /// Short status such as `Up (healthy)` or `Exited (137)`: Docker's status text without the age, which would be
    /// outdated a moment later.
    pub status: String,
    /// Exit code of the last process; `None` if none has ended.
    pub exit_code: Option<i64>,
    pub created_at: Option<Timestamp>,
    /// Last start of the process.
    pub started_at: Option<Timestamp>,
    /// Last end of the process.
    pub finished_at: Option<Timestamp>,
    pub restart_policy: RestartPolicy,
    /// Option `--rm`: Docker removes the container when its process ends.
    pub auto_remove: bool,
    pub has_healthcheck: bool,
    /// Time limit in seconds for the health check to pass, from the check's own interval and retries (rulings 34).
    pub health_patience: i64,
    /// The container's own stop grace period in seconds, if set (Docker's default is 10).
    pub stop_timeout: Option<i64>,
    /// `HostConfig.NetworkMode`, such as `bridge` or `container:<id>`.
    pub network_mode: String,
    /// Containers whose PID or IPC namespace, links or volumes this one uses, by id or name; see [`Container::ties`].
    pub leans_on: Vec<(Tie, String)>,
    /// Names and addresses of the container on each network, by network name.
    pub networks: BTreeMap<String, Vec<String>>,
    /// Docker's name of the container's writable layer, which no other container has.
    pub layer: Option<String>,
    /// Kind, derived from the labels.
    pub kind: Kind,
    /// Reason for which DockNap never acts on the container, if there is one.
    pub protection: Option<Protection>,
}

impl<'a> Place<'a> {
    /// The place of a container.
    pub fn of(container: &'a Container) -> Self {
        let (stack, identity) = (container.stack(), Some(&container.identity));
        Self { host: &container.host, group: None, stack, services: None, container: identity }
    }
}

impl Container {
    /// Containers to which this one's settings refer, by id or name.
    pub fn ties(&self) -> impl Iterator<Item = (Tie, &str)> {
        let network = self.network_mode.strip_prefix("container:").map(|other| (Tie::Network, other));
        network.into_iter().chain(self.leans_on.iter().map(|(tie, other)| (*tie, other.as_str())))
    }

    /// Tie to `other` that breaks when `other` starts; see [`Tie::breaks`].
    pub fn lives_in(&self, other: &Self) -> Option<Tie> {
        let it = |(tie, name): (Tie, &str)| {
            (tie.breaks() && (name == other.id || name == other.name)).then_some(tie)
        };
        self.ties().find_map(it)
    }

    /// Start of the current time up or down.
    pub fn since(&self) -> Option<Timestamp> {
        if self.state.is_up() { self.started_at } else { self.finished_at }
    }

    /// Container whose network this one uses, by id or name: the part of the network mode after `container:`.
    pub fn network_of(&self) -> Option<&str> {
        self.network_mode.strip_prefix("container:")
    }

    /// Whether Docker resolves `reference` to this container: by its name, its id or the beginning of its id (at least
    /// 12 digits).
    pub fn is_called(&self, reference: &str) -> bool {
        self.name == reference || (reference.len() >= 12 && self.id.starts_with(reference))
    }

    /// Name of the compose project.
    pub fn stack(&self) -> Option<&str> {
        match &self.identity {
            ContainerIdentity::Service { project, .. } => Some(project),
            ContainerIdentity::Name(_) => None,
        }
    }

    /// Name of the compose service.
    pub fn service(&self) -> Option<&str> {
        match &self.identity {
            ContainerIdentity::Service { service, .. } => Some(service),
            ContainerIdentity::Name(_) => None,
        }
    }

    /// This container as a target.
    pub fn target(&self) -> Target {
        Target::container(self.host.clone(), self.identity.clone())
    }

    /// Key in URLs and element ids; see [`target::key`].
    pub fn key(&self) -> String {
        target::key(&self.host, &self.identity.to_text())
    }

    /// Whether the container exited with 0 and has restart policy `no` or `on-failure`: a completed one-shot, or a
    /// stopped container with a clean exit. Docker does not distinguish the two;
    /// [`Inventory::is_completed`](super::Inventory::is_completed) does.
    pub fn looks_completed(&self) -> bool {
        self.state == ContainerState::Exited
            && self.exit_code == Some(0)
            && matches!(self.restart_policy, RestartPolicy::No | RestartPolicy::OnFailure)
    }

    /// Exit code of an ended container that indicates a failure: any but 0 and those of a requested end (130 for
    /// `SIGINT`, 143 for `SIGTERM`).
    pub fn failure(&self) -> Option<i64> {
        let ended = matches!(self.state, ContainerState::Exited | ContainerState::Dead);
        self.exit_code.filter(|code| ended && !matches!(code, 0 | 130 | 143))
    }

    /// Whether the actions on a stack include the container: true unless it is a one-off, a hook or a swarm task.
    pub fn is_ordinary(&self) -> bool {
        self.kind == Kind::Ordinary
    }
}

/// Whether a name has the form that compose gives to a container during its replacement: twelve hex digits, `_`, the
/// plain name.
pub fn is_replaced_name(name: &str) -> bool {
    name.len() > 13
        && name.as_bytes()[12] == b'_'
        && name.bytes().take(12).all(|byte| byte.is_ascii_hexdigit())
}

/// Short status in the words of `docker ps`, without the age.
pub fn status_text(state: ContainerState, health: Health, exit_code: Option<i64>) -> String {
    let code = |word: &str| exit_code.map_or_else(|| word.to_owned(), |code| format!("{word} ({code})"));
    match (state, health) {
        (ContainerState::Running, Health::None) => "Up".to_owned(),
        (ContainerState::Running, Health::Starting) => "Up (health: starting)".to_owned(),
        (ContainerState::Running, health) => format!("Up ({})", health.as_str()),
        (ContainerState::Paused, _) => "Up (Paused)".to_owned(),
        (ContainerState::Created, _) => code("Created"),
        (ContainerState::Restarting, _) => code("Restarting"),
        (ContainerState::Removing, _) => "Removal in progress".to_owned(),
        (ContainerState::Exited, _) => code("Exited"),
        (ContainerState::Dead, _) => "Dead".to_owned(),
    }
}

/// Sort key among containers with the same identity; the smallest one counts. A container that is up comes before one
/// that is down, whatever its name. Otherwise the plain name comes first, since compose is about to remove the other
/// container (semantics §6).
pub fn standing(state: ContainerState, name: &str) -> (bool, bool, &str) {
    (!state.is_up(), is_replaced_name(name), name)
}
