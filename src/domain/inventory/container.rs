//! One container, as the Engine describes it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Tie;
use crate::domain::ids::HostId;
use crate::domain::target::{self, ContainerIdentity, Target};
use crate::domain::words::words;

words! {
    /// Docker's word for what a container's process does.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum ContainerState {
        /// Made, never started.
        Created,
        /// Its process runs.
        Running,
        /// Its processes are frozen.
        Paused,
        /// The restart policy is bringing it back.
        Restarting,
        /// It is being removed.
        Removing,
        /// Its process ended.
        Exited,
        /// Docker failed to clean it up.
        Dead,
    }
}

impl ContainerState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Running,
        Self::Paused,
        Self::Restarting,
        Self::Removing,
        Self::Exited,
        Self::Dead,
    ];

    /// Has a process, frozen or being brought back included: there is something to stop.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

words! {
    /// What the health check last said. Counts only on a running, unpaused container: an exited one keeps its stale
    /// health (semantics §5), so the inventory reports [`Health::None`] there.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum Health {
        /// No health check, or one that does not count now.
        None,
        /// Not known yet.
        Starting,
        /// Passing.
        Healthy,
        /// Failing.
        Unhealthy,
    }
}

/// What Docker does when the process ends or the daemon comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Nothing.
    No,
    /// Bring it back, also after a daemon restart, even if it was stopped.
    Always,
    /// Bring it back unless it was stopped.
    UnlessStopped,
    /// Bring it back after an exit code other than 0.
    OnFailure,
}

/// What a container is, beyond an ordinary long-running one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// May be scheduled.
    Ordinary,
    /// `docker-compose run`: label `oneoff=True`. Left alone.
    OneOff,
    /// A compose hook: label `com.docker.compose.hook`. Left alone.
    Hook,
    /// A swarm task: refused, since swarm replaces what is stopped.
    SwarmTask,
}

/// Why a container may never be touched (semantics §6, rulings 13).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// DockNap itself.
    Itself,
    /// It may be DockNap itself, or another that shares a network with it; the sentence names all of them.
    MaybeItself(String),
    /// DockNap lives in a namespace of this container; the sentence says in which.
    Parent(String),
    /// DockNap reaches Docker through it.
    SocketProxy,
    /// DockNap keeps its data in it.
    Database,
    /// Label `docknap.protect=true` (or `docknap.stack.protect`).
    Label,
    /// Named in `DOCKNAP_PROTECT`.
    Setting,
    /// Somebody locked it; by whom and why, as [`super::lock::Lock::sentence`] says it.
    Lock(String),
}

impl Protection {
    /// The reason in a sentence's end: "… is protected: *it is DockNap itself*".
    pub fn reason(&self) -> &str {
        match self {
            Self::Itself => "it is DockNap itself",
            Self::MaybeItself(sentence) | Self::Parent(sentence) => sentence,
            Self::SocketProxy => "DockNap reaches Docker through it",
            Self::Database => "DockNap keeps its data in it",
            Self::Label => "its label docknap.protect says so",
            Self::Setting => "DOCKNAP_PROTECT names it",
            Self::Lock(sentence) => sentence,
        }
    }
}

/// What one health check said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// When it ended, by the Engine's clock.
    pub at: Option<Timestamp>,
    /// 0 = it passed.
    pub exit_code: i64,
    /// What it printed, as it is: hostile text.
    pub output: String,
}

/// One container as the Engine describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// The Engine it lives on.
    pub host: HostId,
    /// Docker's id: a cache, never a reason to act.
    pub id: String,
    /// The name without the leading slash. Hostile input: escape it wherever it is shown.
    pub name: String,
    /// The image as the container names it.
    pub image: String,
    /// What survives a re-creation.
    pub identity: ContainerIdentity,
    /// All labels, as they are.
    pub labels: BTreeMap<String, String>,
    /// The services of its stack that it waits for to complete, read off its labels once: a label may be long.
    pub awaits: Vec<String>,
    /// The services of its stack with which it restarts (`restart: true` of `depends_on`), read off its labels once.
    pub restarts_with: Vec<String>,
    /// Docker's state word.
    pub state: ContainerState,
    /// Health, where it counts.
    pub health: Health,
    /// Since when its health check fails, by our clock; `None` where nobody saw that begin.
    pub unhealthy_since: Option<Timestamp>,
    /// The state in a few words, such as `Up (healthy)` or `Exited (137)`: Docker's status text without the age, which
    /// would be wrong a moment later.
    pub status: String,
    /// Exit code of the last process, where one ended.
    pub exit_code: Option<i64>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When its process last started.
    pub started_at: Option<Timestamp>,
    /// When its process last ended.
    pub finished_at: Option<Timestamp>,
    /// Docker's restart policy.
    pub restart_policy: RestartPolicy,
    /// `--rm`: it vanishes when stopped.
    pub auto_remove: bool,
    /// It has a health check.
    pub has_healthcheck: bool,
    /// How long its health check may take to pass, in seconds, by its own interval and retries (rulings 34).
    pub health_patience: i64,
    /// Its own stop grace in seconds, where set (Docker's default is 10).
    pub stop_timeout: Option<i64>,
    /// `HostConfig.NetworkMode`, such as `bridge` or `container:<id>`.
    pub network_mode: String,
    /// The other containers it leans on by its own settings, by id or name; see [`Container::ties`].
    pub leans_on: Vec<(Tie, String)>,
    /// Names and addresses under which the networks it is on know it, by network.
    pub networks: BTreeMap<String, Vec<String>>,
    /// Where what it writes lies, as Docker's storage names it: no other container has it.
    pub layer: Option<String>,
    /// Ordinary, or one of the kinds that are left alone.
    pub kind: Kind,
    /// Why it may never be touched.
    pub protection: Option<Protection>,
}

impl Container {
    /// On which other containers it leans, by id or name.
    pub fn ties(&self) -> impl Iterator<Item = (Tie, &str)> {
        let network = self.network_mode.strip_prefix("container:").map(|other| (Tie::Network, other));
        network.into_iter().chain(self.leans_on.iter().map(|(tie, other)| (*tie, other.as_str())))
    }

    /// What of another container it lives in, where that is made anew when the other one starts.
    pub fn lives_in(&self, other: &Self) -> Option<Tie> {
        let it = |(tie, name): (Tie, &str)| {
            (tie.breaks() && (name == other.id || name == other.name)).then_some(tie)
        };
        self.ties().find_map(it)
    }

    /// Since when it is up, or down.
    pub fn since(&self) -> Option<Timestamp> {
        if self.state.is_up() { self.started_at } else { self.finished_at }
    }

    /// Which container's network it uses, by id or name: what follows `container:` in its network mode.
    pub fn network_of(&self) -> Option<&str> {
        self.network_mode.strip_prefix("container:")
    }

    /// Whether Docker would take a reference for this container: its id, the beginning of it, or its name.
    pub fn is_called(&self, reference: &str) -> bool {
        self.name == reference || (reference.len() >= 12 && self.id.starts_with(reference))
    }

    /// The name of its compose project.
    pub fn stack(&self) -> Option<&str> {
        match &self.identity {
            ContainerIdentity::Service { project, .. } => Some(project),
            ContainerIdentity::Name(_) => None,
        }
    }

    /// The name of its compose service.
    pub fn service(&self) -> Option<&str> {
        match &self.identity {
            ContainerIdentity::Service { service, .. } => Some(service),
            ContainerIdentity::Name(_) => None,
        }
    }

    /// Itself as a target.
    pub fn target(&self) -> Target {
        Target::container(self.host.clone(), self.identity.clone())
    }

    /// Its key in URLs and element ids.
    pub fn key(&self) -> String {
        target::key(&self.host, &self.identity.to_text())
    }

    /// Exited 0 with restart policy `no` or `on-failure`: a one-shot that did its work, or something that was stopped
    /// and ended well. Docker does not tell which; [`Inventory::is_completed`] knows more.
    pub fn looks_completed(&self) -> bool {
        self.state == ContainerState::Exited
            && self.exit_code == Some(0)
            && matches!(self.restart_policy, RestartPolicy::No | RestartPolicy::OnFailure)
    }

    /// The exit code of one that ended, other than that all went well or that it was told to end (`SIGINT`, `SIGTERM`).
    pub fn failure(&self) -> Option<i64> {
        let ended = matches!(self.state, ContainerState::Exited | ContainerState::Dead);
        self.exit_code.filter(|code| ended && !matches!(code, 0 | 130 | 143))
    }

    /// May be part of a stack's actions: neither a one-off, a hook nor a swarm task.
    pub fn is_ordinary(&self) -> bool {
        self.kind == Kind::Ordinary
    }
}

/// Whether compose gave this name to a container that it is replacing: twelve hex digits, `_`, the plain name.
pub fn is_replaced_name(name: &str) -> bool {
    name.len() > 13
        && name.as_bytes()[12] == b'_'
        && name.bytes().take(12).all(|byte| byte.is_ascii_hexdigit())
}

/// The state in a few words, as `docker ps` writes them, without the age.
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

/// The place of a container among those of its identity: the first counts. One that is up does the work of all,
/// whatever it is called; else it is the one with the plain name, since the other is on its way out (semantics §6).
pub fn standing(state: ContainerState, name: &str) -> (bool, bool, &str) {
    (!state.is_up(), is_replaced_name(name), name)
}
