//! The Engines DockNap knows, and the link to each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::RwLock;
use tokio::sync::{Notify, broadcast, watch};

use super::client::Client;
use super::inventory::Snapshot;
use super::self_detection::SelfHints;
use super::{DockerError, Endpoint, Usage};
use crate::clock::Clock;
use crate::domain::ids::HostId;
use crate::domain::inventory::{
    self, Check, Container, Guard, Inventory, Link, Protection, ProtectionRules, SelfDetection,
};
use crate::domain::lock::Locks;
use crate::domain::order::added::AddedEdge;
use crate::domain::target::ContainerIdentity;
use crate::domain::text::chain;
use crate::domain::trace::Traces;

/// Time between two lists while somebody looks at a page (semantics §6).
const LIST_WHILE_LOOKING: Duration = Duration::from_secs(60);
/// Time between two lists otherwise.
const LIST_WHILE_ALONE: Duration = Duration::from_secs(300);
/// How long a look counts.
const LOOKING: Duration = Duration::from_secs(90);

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
    pub hints: SelfHints,
}

/// Something a [`Host`] tells its listeners, in order. A listener that lags looks at the inventory.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The link came up or went down.
    Link,
    /// Containers came or went.
    List,
    /// A stack's containers changed in a way a page shows, by the stack's key.
    Stack(String),
    /// A container without a stack changed, by key.
    Container(String),
    /// Docker reported an event of a container. Told after the inventory shows it. Boxed, since room for a thousand
    /// notices is kept.
    Sighted(Box<ContainerEvent>),
}

/// One event of one container, as Docker reported it.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerEvent {
    pub identity: ContainerIdentity,
    /// Its Docker id at that moment.
    pub id: String,
    /// Docker's word: `start`, `die`, `stop`, `pause`, `unpause`, `restart`, `destroy`, ….
    pub action: String,
    /// When, by our clock.
    pub at: Timestamp,
    /// When, as Docker told it, by the Engine's clock.
    pub told_at: Timestamp,
    /// Exit code of a `die`.
    pub exit_code: Option<i64>,
}

/// One Engine: the link to it, what it holds, and the calls of a run.
#[derive(Debug)]
pub struct Host {
    pub(super) id: HostId,
    pub(super) clock: Clock,
    pub(super) client: Client,
    guard: RwLock<Guard>,
    pub(super) hints: SelfHints,
    state: RwLock<State>,
    generation: watch::Sender<u64>,
    notices: broadcast::Sender<Notice>,
    /// When somebody last looked, in milliseconds of the monotonic clock; `u64::MAX` = never.
    looked: AtomicU64,
    /// A call found the link broken.
    broken: AtomicBool,
    /// Something may have to be done sooner than planned: somebody looks, or a call found the link broken.
    pub(super) roused: Notify,
    /// Somebody wants the next attempt to connect now.
    pub(super) hurried: Notify,
}

/// What readers see.
#[derive(Debug)]
struct State {
    inventory: Inventory,
    shield: ProtectionRules,
}

impl Host {
    /// An Engine that is not yet reached; [`Host::watch`] reaches it.
    pub fn new(id: HostId, settings: Settings, clock: Clock) -> Arc<Self> {
        let Settings { endpoint, protect, database_host, hints } = settings;
        let guard = Guard {
            names: protect,
            proxy: endpoint.host_name().map(ToOwned::to_owned),
            database: database_host,
            locks: Locks::default(),
        };
        let itself = if hints.contained { SelfDetection::Unknown } else { SelfDetection::OutsideDocker };
        let shield = ProtectionRules::new(&guard, &itself, &std::iter::empty());
        let inventory = Inventory { itself, ..Inventory::empty(id.clone()) };
        Arc::new(Self {
            client: Client::new(id.clone(), endpoint, clock.clone()),
            id,
            clock,
            guard: RwLock::new(guard),
            hints,
            state: RwLock::new(State { inventory, shield }),
            generation: watch::Sender::new(0),
            notices: broadcast::Sender::new(1024),
            looked: AtomicU64::new(u64::MAX),
            broken: AtomicBool::new(false),
            roused: Notify::new(),
            hurried: Notify::new(),
        })
    }

    /// Its slug.
    pub fn id(&self) -> &HostId {
        &self.id
    }

    /// Where it is, as `DOCKER_HOST` would name it.
    pub fn address(&self) -> String {
        self.client.wire().endpoint().to_string()
    }

    /// What it holds, as last seen. Cheap; never calls Docker.
    pub fn inventory(&self) -> Inventory {
        self.state.read().inventory.clone()
    }

    /// The generation of inventory and link: a number that grows with each change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// What changes, thing by thing, and Docker's events.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// What settings and people say about protection.
    pub(super) fn guard(&self) -> Guard {
        self.guard.read().clone()
    }

    /// What people locked, from now on. Takes effect at once: on what is shown, and on what is about to be asked of the
    /// Engine.
    pub fn set_locks(&self, locks: Locks) {
        self.guard.write().locks = locks.clone();
        {
            let mut state = self.state.write();
            state.shield = state.shield.with_locks(locks);
            let shielded = state.inventory.containers.iter().map(|container| {
                let protection = state.shield.reason(container);
                if protection == container.protection {
                    Arc::clone(container)
                } else {
                    Arc::new(Container { protection, ..(**container).clone() })
                }
            });
            state.inventory.containers = Arc::new(shielded.collect());
        }
        self.generation.send_modify(|generation| *generation += 1);
        self.roused.notify_one();
    }

    /// What others were last seen to do, from now on.
    pub fn set_traces(&self, traces: Arc<Traces>) {
        self.state.write().inventory.traces = traces;
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// The order that people added, from now on.
    pub fn set_added(&self, edges: Vec<AddedEdge>) {
        self.state.write().inventory.added = Arc::new(edges);
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Somebody looks at a page now: for the next 90 s the list is repeated every 60 s rather than every 300 s. To be
    /// called with each page and, while a browser stays connected, every minute.
    pub fn look(&self) {
        let now = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX - 1);
        self.looked.store(now, Ordering::Relaxed);
        self.roused.notify_one();
    }

    /// Tries to connect now rather than at the end of the back-off.
    pub fn hurry(&self) {
        self.hurried.notify_one();
    }

    /// One of our instants, as the Engine's clock shows it. A machine's clock may be minutes off, and Docker's time
    /// stamps are by it.
    pub fn by_engine(&self, ours: Timestamp) -> Timestamp {
        ours.checked_add(self.client.wire().ahead()).unwrap_or(ours)
    }

    /// One of Docker's time stamps, as our clock showed it.
    pub fn by_us(&self, theirs: Timestamp) -> Timestamp {
        theirs.checked_sub(self.client.wire().ahead()).unwrap_or(theirs)
    }

    /// When the Engine last answered anything.
    pub fn last_ping(&self) -> Option<Timestamp> {
        self.client.wire().answered()
    }

    /// Asks the Engine for a sign of life, unless it gave one within 3 s.
    ///
    /// # Errors
    /// As it failed.
    pub async fn ping(&self) -> Result<(), DockerError> {
        let recent = self.last_ping().is_some_and(|last| {
            let age = self.clock.now().duration_since(last);
            !age.is_negative() && age <= SignedDuration::from_secs(3)
        });
        if recent { Ok(()) } else { self.seen(self.client.ping().await) }
    }

    /// The container that bears an identity now, freshly inspected; `None` where there is none. Of two of one triple,
    /// the one that counts ([`inventory::standing`]). One-offs, hooks and swarm tasks bear none.
    pub async fn resolve(&self, identity: &ContainerIdentity) -> Result<Option<Container>, DockerError> {
        Ok(self.resolve_all(identity).await?.map(|(found, _)| found))
    }

    /// The same, with Docker's ids of the others that bear the identity beside it.
    pub async fn resolve_all(
        &self,
        identity: &ContainerIdentity,
    ) -> Result<Option<(Container, Vec<String>)>, DockerError> {
        self.seen(self.find(identity).await)
    }

    async fn find(
        &self,
        identity: &ContainerIdentity,
    ) -> Result<Option<(Container, Vec<String>)>, DockerError> {
        let labels = match identity {
            ContainerIdentity::Service { project, service, .. } => vec![
                format!("com.docker.compose.project={project}"),
                format!("com.docker.compose.service={service}"),
            ],
            ContainerIdentity::Name(name) => match self.client.inspect(name).await? {
                Some(found) if found.name == *name => {
                    let is_it = found.identity == *identity && found.is_ordinary();
                    return Ok(is_it.then(|| (self.shielded(found), Vec::new())));
                }
                // Docker also takes a name for the id, or the beginning of the id, of another: look at all.
                Some(_) => Vec::new(),
                None => return Ok(None),
            },
        };
        let mut looks = 0;
        loop {
            looks += 1;
            let rows = self.client.list(&labels).await?;
            let mut rows: Vec<_> =
                rows.iter().filter(|row| row.is_ordinary() && row.identity() == *identity).collect();
            rows.sort_by(|a, b| {
                inventory::standing(a.state(), a.name()).cmp(&inventory::standing(b.state(), b.name()))
            });
            let Some((row, twins)) = rows.split_first() else { return Ok(None) };
            let twins: Vec<String> = twins.iter().map(|row| row.id.clone()).collect();
            let found = self.client.inspect(&row.id).await?;
            // Compose may be at work between the two looks, and the other one count by now.
            let is_so = |found: &Container| found.state.is_up() == row.state().is_up();
            if twins.is_empty() || looks > 1 || found.as_ref().is_some_and(is_so) {
                return Ok(found.map(|found| (self.shielded(found), twins)));
            }
        }
    }

    /// A container by Docker's id, freshly inspected; `None` where it is gone.
    pub async fn inspect(&self, id: &str) -> Result<Option<Container>, DockerError> {
        let found = self.seen(self.client.inspect(id).await)?;
        Ok(found.map(|found| self.shielded(found)))
    }

    /// What the last health checks of a container said, oldest first.
    pub async fn health_log(&self, id: &str) -> Result<Vec<Check>, DockerError> {
        self.seen(self.client.health_log(id).await)
    }

    /// Starts a container.
    ///
    /// # Errors
    /// As Docker refused or failed; `Conflict` where it is paused.
    pub async fn start(&self, id: &str) -> Result<(), DockerError> {
        self.seen(self.client.start(id).await)
    }

    /// Stops a container. `grace` (seconds) is sent where the user set one; else the container's own counts, given
    /// as `container_grace` for the timeout: grace + 30 s.
    pub async fn stop(&self, id: &str, grace: Option<u32>, container_grace: u32) -> Result<(), DockerError> {
        self.seen(self.client.stop(id, grace, container_grace).await)
    }

    /// Restarts a container, with the timings of [`Host::stop`]. Starts one that is stopped: the caller looks first.
    pub async fn restart(
        &self,
        id: &str,
        grace: Option<u32>,
        container_grace: u32,
    ) -> Result<(), DockerError> {
        self.seen(self.client.restart(id, grace, container_grace).await)
    }

    /// Freezes a container's processes.
    ///
    /// # Errors
    /// As Docker refused or failed; `Conflict` where it is paused or not running.
    pub async fn pause(&self, id: &str) -> Result<(), DockerError> {
        self.seen(self.client.pause(id).await)
    }

    /// Unpauses a container.
    ///
    /// # Errors
    /// As Docker refused or failed; `Server` where it is not paused.
    pub async fn unpause(&self, id: &str) -> Result<(), DockerError> {
        self.seen(self.client.unpause(id).await)
    }

    /// Whether the Engine still keeps the event of the last start of this container: then its daemon has been up since,
    /// and did not end it by ending itself.
    pub async fn remembers_start(&self, container: &Container) -> Result<bool, DockerError> {
        self.seen(self.client.remembers_start(container).await)
    }

    /// The last lines a container wrote: at most 5, at most 2 KiB together, control characters escaped.
    ///
    /// # Errors
    /// As Docker refused or failed; a caller that only decorates a failure ignores it.
    pub async fn last_lines(&self, id: &str) -> Result<Vec<String>, DockerError> {
        self.client.last_lines(id, 5, 2_048).await
    }

    /// Which of these containers wrote a word in the minutes around `at`, by our clock: one alone, or none. Those whose
    /// log cannot be read did not.
    pub(super) async fn writer(&self, ids: &BTreeSet<String>, word: &str, at: Timestamp) -> Option<String> {
        let at = self.by_engine(at);
        let looks = ids.iter().map(async |id| {
            let wrote = self.client.wrote(id, word, at).await;
            let wrote = wrote.inspect_err(
                |error| tracing::debug!(container = id, error = %chain(error), "no log to look at"),
            );
            wrote.unwrap_or(false).then_some(id)
        });
        let wrote: Vec<&String> = futures_util::future::join_all(looks).await.into_iter().flatten().collect();
        match wrote.as_slice() {
            [one] => Some((*one).clone()),
            _ => None,
        }
    }

    /// What a container uses, its CPU from two samples a second apart.
    ///
    /// # Errors
    /// As Docker refused or failed; it is optional, since a proxy may not let it through.
    pub async fn usage(&self, id: &str) -> Result<Usage, DockerError> {
        self.client.usage(id, false).await
    }

    /// The same without the CPU of this moment, which takes the Engine a second or two to find; 3 s at most. An Engine
    /// before Docker 25 takes up to a second for it where it was asked for another one just before. 32 go at once, the
    /// others when it is their turn.
    ///
    /// # Errors
    /// As [`Host::usage`].
    pub async fn glance(&self, id: &str) -> Result<Usage, DockerError> {
        self.client.glance(id).await
    }

    /// Whether each call DockNap makes gets through, as method and path with what stands in the way. Changes
    /// nothing.
    pub async fn check(&self) -> Vec<(&'static str, Result<(), DockerError>)> {
        self.client.check().await
    }

    /// Calls that change a container and have not been answered.
    pub fn calls_in_flight(&self) -> usize {
        self.client.acting()
    }

    /// Requests sent to the Engine since the start.
    pub fn calls_made(&self) -> u64 {
        self.client.wire().sent()
    }

    /// Has the watch loop look at the link where a call found it broken.
    fn seen<T>(&self, answer: Result<T, DockerError>) -> Result<T, DockerError> {
        if matches!(answer, Err(DockerError::Unreachable { .. } | DockerError::TimedOut)) {
            self.broken.store(true, Ordering::Relaxed);
            self.roused.notify_one();
        }
        answer
    }

    /// Fills in why a freshly inspected container may not be touched.
    fn shielded(&self, mut container: Container) -> Container {
        let state = self.state.read();
        container.protection = state.shield.reason(&container);
        let known = matches!(state.inventory.itself, SelfDetection::Container(_));
        drop(state);
        // Before the first list nothing is confirmed; a clue then has to do.
        if container.protection.is_none() && !known && self.hints.may_be(&container) {
            container.protection = Some(if self.hints.proves(&container) {
                Protection::Itself
            } else {
                Protection::MaybeItself(format!(
                    "it may be DockNap itself: not sure which of these I am: {} and what shares its network",
                    container.name
                ))
            });
        }
        container
    }

    /// Whether a call found the link broken since this was last asked.
    pub(super) fn was_broken(&self) -> bool {
        self.broken.swap(false, Ordering::Relaxed)
    }

    /// Time between two lists: shorter while somebody looks.
    pub(super) fn list_every(&self) -> Duration {
        let looked = self.looked.load(Ordering::Relaxed);
        let now = self.clock.monotonic();
        let looks = looked != u64::MAX && now.saturating_sub(Duration::from_millis(looked)) <= LOOKING;
        if looks { LIST_WHILE_LOOKING } else { LIST_WHILE_ALONE }
    }

    /// Shows readers a new picture. `link` is given where it changed.
    pub(super) fn publish(&self, snapshot: Option<Snapshot>, link: Option<Link>) {
        let mut notices = Vec::new();
        {
            let mut state = self.state.write();
            if let Some(link) = link
                && link != state.inventory.link
            {
                notices.push(Notice::Link);
                state.inventory.link = link;
            }
            if let Some(snapshot) = snapshot {
                state.inventory.containers = snapshot.containers;
                state.inventory.itself = snapshot.itself;
                // With a lock that came while this picture was made.
                state.shield = snapshot.shield.with_locks(self.guard().locks);
                if snapshot.changed.list {
                    notices.push(Notice::List);
                }
                notices.extend(snapshot.changed.stacks.into_iter().map(Notice::Stack));
                notices.extend(snapshot.changed.containers.into_iter().map(Notice::Container));
            }
        }
        if !notices.is_empty() {
            self.generation.send_modify(|generation| *generation += 1);
        }
        for notice in notices {
            self.tell(notice);
        }
    }

    /// The daemon is known to have been up since then, by its own clock.
    pub(super) fn is_up_since(&self, instant: Timestamp) {
        self.state.write().inventory.up_since = Some(instant);
    }

    /// What the inventory shows is right as of now.
    pub(super) fn confirm(&self) {
        let now = self.clock.now();
        self.state.write().inventory.seen_at = Some(now);
    }

    pub(super) fn tell(&self, notice: Notice) {
        // Nobody listening is the ordinary case.
        let _ = self.notices.send(notice);
    }
}
