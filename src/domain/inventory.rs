//! What an Engine holds at one instant, as DockNap sees it: values only. How they are read is `docker`'s business.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::ids::HostId;
use super::order::added::AddedEdge;
use super::sorted;
use super::target::{self, ContainerIdentity, Subject, Target};
use super::trace::{COMES_UP, Traces};

pub mod completion;
pub mod containers;
pub mod labels;
pub mod patience;
pub mod protection;
pub mod ties;

pub use completion::Completion;
pub use containers::Containers;
pub use labels::{awaits, identity, kind, restarts_with};
pub use protection::{Guard, Shield};
pub use ties::Tie;

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

    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// The reverse of [`ContainerState::as_str`]; `None` for a word of a later Docker.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Created,
            Self::Running,
            Self::Paused,
            Self::Restarting,
            Self::Removing,
            Self::Exited,
            Self::Dead,
        ]
        .into_iter()
        .find(|state| state.as_str() == word)
    }

    /// Has a process, frozen or being brought back included: there is something to stop.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

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

impl Health {
    /// The word used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
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

    /// Since when it is up, or down.
    pub fn since(&self) -> Option<Timestamp> {
        if self.state.is_up() { self.started_at } else { self.finished_at }
    }
}

/// How the link to an Engine stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Listed and streaming events.
    Connected {
        /// The API version spoken, such as `1.41`.
        api_version: String,
        /// The Engine's own version, such as `20.10.24`.
        engine_version: String,
    },
    /// Never reached yet.
    Connecting,
    /// Lost, or never reached; trying again with back-off.
    Unreachable {
        /// What went wrong, in words, with what to do.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
}

/// All containers of one Engine at one instant. Cheap to clone: pages hold one while they render.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The Engine.
    pub host: HostId,
    /// How the link stands. Containers stay as last seen while it is down.
    pub link: Link,
    /// Sorted by name.
    pub containers: Arc<Containers>,
    /// When the containers were last known to be right.
    pub seen_at: Option<Timestamp>,
    /// The order that people added to what labels tell.
    pub added: Arc<Vec<AddedEdge>>,
    /// What others were last seen to do to its containers.
    pub traces: Arc<Traces>,
    /// The daemon has been up since then at least, by its own clock; `None` where that is not known.
    pub up_since: Option<Timestamp>,
    /// DockNap looked for itself among the containers: `None` where it runs outside Docker, or could not tell.
    pub itself: SelfDetection,
}

/// Whether DockNap knows which container it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelfDetection {
    /// It runs in this container.
    Container(String),
    /// It runs in one of these, which share a network, and cannot tell in which.
    OneOf(BTreeSet<String>),
    /// It does not run in a container.
    OutsideDocker,
    /// It runs in some container, but in none that this Engine knows.
    Unknown,
}

/// The status of a stack, by the word the API uses (product: words; rulings 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StackStatus {
    /// All that should run does.
    Running,
    /// Nothing runs.
    Stopped,
    /// Some of it runs.
    Partial,
    /// All that is up is paused.
    Paused,
    /// The host is not connected.
    Unknown,
}

impl StackStatus {
    /// The word used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Partial => "partial",
            Self::Paused => "paused",
            Self::Unknown => "unknown",
        }
    }
}

/// How many containers of a stack do what. Completed one-shots, one-offs, hooks, swarm tasks, what is being removed
/// and what compose is replacing are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Counts {
    /// Running, restarting ones included.
    pub running: u32,
    /// Created, exited, dead.
    pub stopped: u32,
    /// Frozen.
    pub paused: u32,
    /// All of the above.
    pub total: u32,
}

/// The containers of one compose project on one host.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The Engine.
    pub host: HostId,
    /// `com.docker.compose.project`, exactly.
    pub name: String,
    /// Its key in URLs and element ids.
    pub key: String,
    /// Status by the counts.
    pub status: StackStatus,
    /// The worst health that counts.
    pub health: Health,
    /// How many do what.
    pub counts: Counts,
    /// Its containers, sorted by name, left-alone kinds included.
    pub containers: Vec<Arc<Container>>,
}

impl Inventory {
    /// An inventory that has seen nothing yet.
    pub fn empty(host: HostId) -> Self {
        Self {
            host,
            link: Link::Connecting,
            containers: Arc::default(),
            seen_at: None,
            added: Arc::default(),
            traces: Arc::default(),
            up_since: None,
            itself: SelfDetection::Unknown,
        }
    }

    /// Whether what it says is current.
    pub fn is_connected(&self) -> bool {
        matches!(self.link, Link::Connected { .. })
    }

    /// The stacks, sorted by name.
    pub fn stacks(&self) -> Vec<Stack> {
        let mut members: HashMap<&str, Vec<Arc<Container>>> = HashMap::new();
        for container in self.containers.iter() {
            if let Some(stack) = container.stack() {
                members.entry(stack).or_default().push(Arc::clone(container));
            }
        }
        let mut stacks: Vec<Stack> =
            members.into_iter().map(|(name, containers)| self.stack_of(name, containers)).collect();
        sorted::by(&mut stacks, |a, b| a.name.cmp(&b.name));
        stacks
    }

    /// One stack by its exact name.
    pub fn stack(&self, name: &str) -> Option<Stack> {
        let containers: Vec<_> = self.containers.of_stack(name).into_iter().cloned().collect();
        if containers.is_empty() { None } else { Some(self.stack_of(name, containers)) }
    }

    /// Whether there is a stack of that exact name.
    pub fn has_stack(&self, name: &str) -> bool {
        self.containers.has_stack(name)
    }

    /// The containers without a stack, sorted by name.
    pub fn loose(&self) -> Vec<Arc<Container>> {
        self.containers.iter().filter(|container| container.stack().is_none()).cloned().collect()
    }

    /// One container by its exact name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Container>> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The container that now bears an identity. While compose re-creates one, and after it was cut off in that, there are
    /// two of a triple, one of them named `<12 hex>_name`: see [`standing`].
    pub fn by_identity(&self, identity: &ContainerIdentity) -> Option<&Arc<Container>> {
        self.containers
            .with_identity(identity)
            .into_iter()
            .filter(|container| container.is_ordinary())
            .min_by_key(|container| standing(container.state, &container.name))
    }

    /// The container of a key: of two that bear one identity, the one that counts.
    pub fn by_key(&self, key: &str) -> Option<&Arc<Container>> {
        let found = self.containers.iter().find(|container| container.key() == key)?;
        self.by_identity(&found.identity).or(Some(found))
    }

    /// The ordinary and the left-alone containers a target names now, sorted by name; of the ordinary ones one per
    /// identity. Empty where it names nothing.
    pub fn members(&self, subject: &Subject) -> Vec<Arc<Container>> {
        match subject {
            Subject::Stack(name) => {
                let all = self.containers.of_stack(name);
                let replicas = replicas(all.iter().copied());
                all.into_iter().filter(|one| !one.is_ordinary() || holds(&replicas, one)).cloned().collect()
            }
            Subject::Container(identity) => self.by_identity(identity).cloned().into_iter().collect(),
        }
    }

    /// A one-shot that did its work; it counts neither as up nor as down (product: words).
    ///
    /// A container outside a stack is never completed, only stopped. Who asks of many containers makes one
    /// [`Completion`] per stack.
    pub fn is_completed(&self, container: &Container) -> bool {
        container.looks_completed()
            && container
                .stack()
                .is_some_and(|stack| self.completion(self.containers.of_stack(stack), false).holds(container))
    }

    /// Whether a service of its stack waits for it to complete.
    pub fn is_awaited(&self, container: &Container) -> bool {
        let members = container.stack().map(|stack| self.containers.of_stack(stack)).unwrap_or_default();
        self.completion(members, false).awaits(container)
    }

    /// What tells one-shots that did their work from what was stopped, for the members of one stack, of which some nap
    /// or none.
    pub fn completion<'a>(
        &'a self,
        members: impl IntoIterator<Item = &'a Arc<Container>>,
        naps: bool,
    ) -> Completion<'a> {
        Completion::of(members, naps, &self.traces)
    }

    /// Whether a start of the daemon may have started a container that was put to sleep at `since`, rather than somebody.
    /// A daemon that has been up since then did not, nor one that came up long before (rulings 72).
    pub fn may_have_revived(&self, container: &Container, since: Timestamp) -> bool {
        let by_then = |started| self.up_since.is_none_or(|up| up > since && started <= up + COMES_UP);
        container.restart_policy != RestartPolicy::No
            && container.created_at.is_none_or(|created| created <= since)
            && container.started_at.is_some_and(by_then)
    }

    fn stack_of(&self, name: &str, containers: Vec<Arc<Container>>) -> Stack {
        let replicas = replicas(&containers);
        let counts = count(&replicas, &self.traces);
        Stack {
            host: self.host.clone(),
            name: name.to_owned(),
            key: target::key(&self.host, name),
            status: if self.is_connected() { status(counts) } else { StackStatus::Unknown },
            health: worst_health(&replicas),
            counts,
            containers,
        }
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

/// The place of a container among those of its identity: the first counts. One that is up does the work of all, whatever
/// it is called; else it is the one with the plain name, since the other is on its way out (semantics §6).
pub fn standing(state: ContainerState, name: &str) -> (bool, bool, &str) {
    (!state.is_up(), is_replaced_name(name), name)
}

/// The ordinary containers, one per identity: the one that counts.
fn replicas<'a>(containers: impl IntoIterator<Item = &'a Arc<Container>>) -> Vec<Arc<Container>> {
    let rank = |container: &'a Container| standing(container.state, &container.name);
    let mut chosen: BTreeMap<&ContainerIdentity, &Arc<Container>> = BTreeMap::new();
    for container in containers.into_iter().filter(|container| container.is_ordinary()) {
        let slot = chosen.entry(&container.identity).or_insert(container);
        if rank(container) < rank(slot) {
            *slot = container;
        }
    }
    chosen.into_values().cloned().collect()
}

fn holds(chosen: &[Arc<Container>], one: &Arc<Container>) -> bool {
    chosen.iter().any(|container| Arc::ptr_eq(container, one))
}

fn count(containers: &[Arc<Container>], traces: &Traces) -> Counts {
    let completion = Completion::of(containers, false, traces);
    let mut counts = Counts::default();
    for container in containers {
        if completion.holds(container) || container.state == ContainerState::Removing {
            continue;
        }
        counts.total += 1;
        match container.state {
            ContainerState::Running | ContainerState::Restarting => counts.running += 1,
            ContainerState::Paused => counts.paused += 1,
            _ => counts.stopped += 1,
        }
    }
    counts
}

/// The status of a stack whose host is connected.
pub(crate) fn status(counts: Counts) -> StackStatus {
    if counts.total == 0 || counts.stopped == counts.total {
        StackStatus::Stopped
    } else if counts.running == counts.total {
        StackStatus::Running
    } else if counts.paused == counts.total {
        StackStatus::Paused
    } else {
        StackStatus::Partial
    }
}

fn worst_health(containers: &[Arc<Container>]) -> Health {
    let rank = |health: Health| match health {
        Health::None => 0,
        Health::Healthy => 1,
        Health::Starting => 2,
        Health::Unhealthy => 3,
    };
    containers
        .iter()
        .map(|container| container.health)
        .max_by_key(|health| rank(*health))
        .unwrap_or(Health::None)
}

#[cfg(test)]
pub(crate) mod tests;
