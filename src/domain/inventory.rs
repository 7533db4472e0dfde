//! State of one Docker Engine at one instant: its containers and stacks, and the connection to it. These are values
//! without I/O; the module `docker` reads them from the Engine, and every other layer works on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::dependency::AddedEdge;
use super::group::Memberships;
use super::ids::HostId;
use super::place::Place;
use super::target::{self, ContainerIdentity, Subject};
use super::trace::{COMES_UP, Traces};
use super::words::words;

pub mod completion;
pub mod container;
pub mod containers;
pub mod labels;
pub mod patience;
pub mod protection;
pub mod ties;

pub use completion::Completion;
pub use container::{
    Check, Container, ContainerState, Health, Kind, Protection, RestartPolicy, is_replaced_name, standing,
    status_text,
};
pub use containers::Containers;
pub use labels::{awaits, identity, kind, restarts_with};
pub use protection::{Guard, ProtectionRules};
pub use ties::Tie;

/// The product with its version, such as `Docker 20.10.24` or `Podman 4.3.1`, for the version of a connection.
pub fn product(engine_version: &str) -> String {
    if engine_version.starts_with("Podman") {
        engine_version.to_owned()
    } else {
        format!("Docker {engine_version}")
    }
}

/// Connection state of an Engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// The containers are listed and the event stream is open.
    Connected {
        /// API version in use, such as `1.41`.
        api_version: String,
        /// Version of the Engine, such as `20.10.24` of Docker, or `Podman 4.3.1`.
        engine_version: String,
    },
    /// Initial state: no connection attempt has ended yet.
    Connecting,
    /// The connection was lost or never established; retries continue with back-off.
    Unreachable {
        /// Error with its remedy, as shown to people.
        reason: String,
        /// Start of the outage.
        since: Timestamp,
    },
    /// An admin has disabled the host: no calls are made.
    Disabled,
}

/// All containers of one Engine at one instant. Cheap to clone: a page holds a clone while it renders.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// Engine that the containers belong to.
    pub host: HostId,
    /// Connection state. While the connection is down, the containers stay as last read.
    pub link: Link,
    /// Containers, sorted by name.
    pub containers: Arc<Containers>,
    /// Last instant at which the containers were known to be current.
    pub seen_at: Option<Timestamp>,
    /// Order edges that people added to those from labels.
    pub added: Arc<Vec<AddedEdge>>,
    /// Groups that hosts, stacks and containers are in.
    pub groups: Arc<Memberships>,
    /// Latest observed event of each container that no step of DockNap explains.
    pub traces: Arc<Traces>,
    /// Instant since which the daemon has at least been up, by its own clock; `None` if unknown.
    pub up_since: Option<Timestamp>,
    /// Result of DockNap's search for its own container.
    pub itself: SelfDetection,
}

/// Result of DockNap's search for its own container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelfDetection {
    /// DockNap runs in the container with this Docker id.
    Container(String),
    /// DockNap runs in one of these containers (Docker ids), which share a network. Which one is unknown.
    OneOf(BTreeSet<String>),
    /// DockNap does not run in a container.
    OutsideDocker,
    /// DockNap runs in a container that this Engine does not know.
    Unknown,
}

words! {
    /// The status of a stack (product: words; rulings 18).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum StackStatus {
        /// Every counted container is running.
        Running,
        /// Every counted container is stopped, or none is counted.
        Stopped,
        /// The counted containers are in different states.
        Partial,
        /// Every counted container is paused.
        Paused,
        /// The Engine is not connected.
        Unknown,
    }
}

/// The number of containers of a stack by state. Not counted are completed one-shots, one-offs, hooks, swarm tasks,
/// containers in removal and containers that compose is replacing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Counts {
    /// Running or restarting.
    pub running: u32,
    /// Created, exited or dead.
    pub stopped: u32,
    /// Paused.
    pub paused: u32,
    /// The sum of the others.
    pub total: u32,
}

/// The containers of one compose project on one host.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Engine that the stack is on.
    pub host: HostId,
    /// Exact value of the label `com.docker.compose.project`.
    pub name: String,
    /// Key in URLs and element ids; see [`target::key`].
    pub key: String,
    /// Status derived from the counts.
    pub status: StackStatus,
    /// Worst health among the ordinary containers.
    pub health: Health,
    /// Number of containers by state.
    pub counts: Counts,
    /// All containers of the stack, sorted by name, including one-offs, hooks and swarm tasks.
    pub containers: Vec<Arc<Container>>,
}

impl Inventory {
    /// Inventory before the first connection.
    pub fn empty(host: HostId) -> Self {
        Self {
            host,
            link: Link::Connecting,
            containers: Arc::default(),
            seen_at: None,
            added: Arc::default(),
            groups: Arc::default(),
            traces: Arc::default(),
            up_since: None,
            itself: SelfDetection::Unknown,
        }
    }

    /// Whether the Engine is connected, and the containers therefore current.
    pub fn is_connected(&self) -> bool {
        matches!(self.link, Link::Connected { .. })
    }

    /// All stacks, sorted by name.
    pub fn stacks(&self) -> Vec<Stack> {
        let mut members: HashMap<&str, Vec<Arc<Container>>> = HashMap::new();
        for container in self.containers.iter() {
            if let Some(stack) = container.stack() {
                members.entry(stack).or_default().push(Arc::clone(container));
            }
        }
        let mut stacks: Vec<Stack> =
            members.into_iter().map(|(name, containers)| self.stack_of(name, containers)).collect();
        stacks.sort_by(|a, b| a.name.cmp(&b.name));
        stacks
    }

    /// Stack with exactly this name.
    pub fn stack(&self, name: &str) -> Option<Stack> {
        let containers: Vec<_> = self.containers.of_stack(name).into_iter().cloned().collect();
        if containers.is_empty() { None } else { Some(self.stack_of(name, containers)) }
    }

    /// Whether a stack with exactly this name exists.
    pub fn has_stack(&self, name: &str) -> bool {
        self.containers.has_stack(name)
    }

    /// Containers without a stack, sorted by name.
    pub fn loose(&self) -> Vec<Arc<Container>> {
        self.containers.iter().filter(|container| container.stack().is_none()).cloned().collect()
    }

    /// Container with exactly this name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Container>> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// Ordinary container that has this identity now. During a re-creation by compose, and after an interrupted one,
    /// two containers have the same label triple, one of them named `<12 hex>_name`; [`standing`] selects one.
    pub fn by_identity(&self, identity: &ContainerIdentity) -> Option<&Arc<Container>> {
        self.containers
            .with_identity(identity)
            .into_iter()
            .filter(|container| container.is_ordinary())
            .min_by_key(|container| standing(container.state, &container.name))
    }

    /// Container with this key; of two containers with one identity, the one that [`standing`] selects.
    pub fn by_key(&self, key: &str) -> Option<&Arc<Container>> {
        let found = self.containers.iter().find(|container| container.key() == key)?;
        self.by_identity(&found.identity).or(Some(found))
    }

    /// Containers that a target includes now, sorted by name; empty if the target does not exist. Ordinary containers
    /// are included once per identity. A stack also includes its one-offs, hooks and swarm tasks; a host and a group do
    /// not.
    pub fn members(&self, subject: &Subject) -> Vec<Arc<Container>> {
        match subject {
            Subject::Stack(name) => {
                let all = self.containers.of_stack(name);
                let replicas = replicas(all.iter().copied());
                all.into_iter()
                    .filter(|one| !one.is_ordinary() || contains_same(&replicas, one))
                    .cloned()
                    .collect()
            }
            Subject::Services { stack, services } => {
                let mut members = self.members(&Subject::Stack(stack.clone()));
                members.retain(|one| one.service().is_some_and(|service| services.contains(service)));
                members
            }
            Subject::Container(identity) => self.by_identity(identity).cloned().into_iter().collect(),
            Subject::Host => by_name(replicas(self.containers.iter())),
            Subject::Group(id) => {
                let all = self.containers.iter();
                by_name(replicas(all.filter(|one| self.groups.holds(id, Place::of(one)))))
            }
        }
    }

    /// Whether a container is a completed one-shot, which counts neither as up nor as stopped (product: words).
    ///
    /// A container outside a stack is never completed, only stopped. Callers that check many containers build one
    /// [`Completion`] per stack instead.
    pub fn is_completed(&self, container: &Container) -> bool {
        container.looks_completed()
            && container
                .stack()
                .is_some_and(|stack| self.completion(self.containers.of_stack(stack), false).holds(container))
    }

    /// Whether a service of the container's stack waits for its completion.
    pub fn is_awaited(&self, container: &Container) -> bool {
        let members = container.stack().map(|stack| self.containers.of_stack(stack)).unwrap_or_default();
        self.completion(members, false).awaits(container)
    }

    /// Distinguishes completed one-shots from stopped containers among the members of one stack. `naps` says whether
    /// one of the members naps.
    pub fn completion<'a>(
        &'a self,
        members: impl IntoIterator<Item = &'a Arc<Container>>,
        naps: bool,
    ) -> Completion<'a> {
        Completion::of(members, naps, &self.traces)
    }

    /// Whether a daemon start, rather than a person, may have started a container that was put to sleep at `since`
    /// (rulings 72). This is excluded if the daemon has been up since before `since`, or if the container started long
    /// after the daemon.
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

/// Ordinary containers, one per identity, as [`standing`] selects them.
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

fn by_name(mut containers: Vec<Arc<Container>>) -> Vec<Arc<Container>> {
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    containers
}

fn contains_same(chosen: &[Arc<Container>], one: &Arc<Container>) -> bool {
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

/// Status of a stack whose Engine is connected.
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
