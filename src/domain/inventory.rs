//! What an Engine holds at one instant, as DockNap sees it: values only. How they are read is `docker`'s business.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::dependency::AddedEdge;
use super::ids::HostId;
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

words! {
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
        stacks.sort_by(|a, b| a.name.cmp(&b.name));
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

    /// The container that now bears an identity. While compose re-creates one, and after it was cut off in that, there
    /// are two of a triple, one of them named `<12 hex>_name`: see [`standing`].
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

    /// Whether a start of the daemon may have started a container that was put to sleep at `since`, rather than
    /// somebody. A daemon that has been up since then did not, nor one that came up long before (rulings 72).
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
