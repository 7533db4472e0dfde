//! One Engine that DockNap manages: a [`Host`] holds its connection, its inventory and the API calls that the rest of
//! DockNap uses. Changes are announced as [`Notice`]s.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, broadcast, watch};

use super::client::Client;
use super::inventory::Snapshot;
use super::self_detection::SelfHints;
use super::{Certificate, DockerError, Settings, Usage};
use crate::clock::Clock;
use crate::domain::ids::HostId;
use crate::domain::inventory::{
    self, Check, Container, Guard, Inventory, Link, ProtectionRules, SelfDetection,
};
use crate::domain::lock::Locks;
use crate::domain::target::ContainerIdentity;
use crate::domain::text::chain;

/// Time between two container lists while a page of DockNap is open (semantics §6).
const LIST_INTERVAL_PAGE_OPEN: Duration = Duration::from_secs(60);
/// Time between two container lists while no page is open.
const LIST_INTERVAL_NO_PAGE: Duration = Duration::from_secs(300);
/// How long a page counts as open after the last call of [`Host::look`].
const PAGE_OPEN_FOR: Duration = Duration::from_secs(90);

/// A change that a [`Host`] sends to its subscribers, in order. A subscriber that lags loses notices and must read
/// the whole inventory.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The connection was made or lost.
    Link,
    /// Containers were added or removed.
    List,
    /// Containers of a stack changed visibly; the value is the stack's key.
    Stack(String),
    /// A container outside any stack changed; the value is its key.
    Container(String),
    /// Docker reported an event of a container. Sent after the inventory includes it. Boxed to keep the notices
    /// small, because the channel allocates room for 1024 of them.
    Sighted(Box<ContainerEvent>),
}

/// An event of one container, as Docker reported it.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerEvent {
    pub identity: ContainerIdentity,
    /// Docker id of the container at that instant.
    pub id: String,
    /// Docker's name of the event: `start`, `die`, `stop`, `pause`, `unpause`, `restart`, `destroy`, ….
    pub action: String,
    /// Instant of the event, converted to our clock.
    pub at: Timestamp,
    /// Instant of the event by the Engine's clock, as reported.
    pub told_at: Timestamp,
    /// Exit code of a `die`.
    pub exit_code: Option<i64>,
}

/// One Engine: the connection to it, its inventory and its API calls.
#[derive(Debug)]
pub struct Host {
    pub(super) id: HostId,
    name: String,
    enabled: bool,
    is_called: bool,
    parallelism: usize,
    revision: (i64, i64),
    pub(super) clock: Clock,
    pub(super) client: Client,
    pub(super) guard: RwLock<Guard>,
    pub(super) hints: SelfHints,
    pub(super) state: RwLock<State>,
    pub(super) generation: watch::Sender<u64>,
    notices: broadcast::Sender<Notice>,
    /// Last call of [`Host::look`], in milliseconds of the monotonic clock; `u64::MAX` = never.
    last_look: AtomicU64,
    /// A call failed because the connection is broken.
    link_broken: AtomicBool,
    /// Number of connections made after the first one.
    pub(super) reconnects: AtomicU64,
    /// The last notice of the end of a certificate: the end, and the days ahead.
    expiry_told: Mutex<Option<(Timestamp, i64)>>,
    /// Wakes the watch loop early: a page was opened, locks changed, or a call failed because the connection is
    /// broken.
    pub(super) wake_watch: Notify,
    /// Ends the wait before the next attempt to connect.
    pub(super) retry_now: Notify,
}

/// The state that readers get.
#[derive(Debug)]
pub(super) struct State {
    pub(super) inventory: Inventory,
    pub(super) protection_rules: ProtectionRules,
}

impl Host {
    /// A host that is not connected yet; [`Host::watch`] connects it.
    pub fn new(id: HostId, settings: Settings, clock: Clock) -> Arc<Self> {
        let Settings { name, enabled, parallelism, revision, endpoint, fault, .. } = settings;
        let Settings { protect, database_host, hints, .. } = settings;
        let guard = Guard {
            names: protect,
            proxy: endpoint.host_name().map(ToOwned::to_owned),
            database: database_host,
            locks: Locks::default(),
        };
        let itself = if hints.contained { SelfDetection::Unknown } else { SelfDetection::OutsideDocker };
        let protection_rules = ProtectionRules::new(&guard, &itself, &std::iter::empty());
        let is_called = enabled && fault.is_none();
        let link = match fault {
            _ if !enabled => Link::Disabled,
            Some(reason) => Link::Unreachable { reason, since: clock.now() },
            None => Link::Connecting,
        };
        let inventory = Inventory { link, itself, ..Inventory::empty(id.clone()) };
        Arc::new(Self {
            client: Client::new(id.clone(), endpoint, clock.clone()),
            name: if name.is_empty() { id.as_str().to_owned() } else { name },
            enabled,
            is_called,
            parallelism,
            revision,
            id,
            clock,
            guard: RwLock::new(guard),
            hints,
            state: RwLock::new(State { inventory, protection_rules }),
            generation: watch::Sender::new(0),
            notices: broadcast::Sender::new(1024),
            last_look: AtomicU64::new(u64::MAX),
            link_broken: AtomicBool::new(false),
            reconnects: AtomicU64::new(0),
            expiry_told: Mutex::new(None),
            wake_watch: Notify::new(),
            retry_now: Notify::new(),
        })
    }

    /// Id of the Engine (a slug).
    pub fn id(&self) -> &HostId {
        &self.id
    }

    /// Name that pages show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether an admin wants DockNap to call the Engine.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether DockNap calls the Engine: the host is enabled, and its address can be used.
    pub fn is_called(&self) -> bool {
        self.is_called
    }

    /// Container operations that may run at the same time.
    pub fn parallelism(&self) -> usize {
        self.parallelism
    }

    /// Differs between two versions of the host's settings.
    pub fn revision(&self) -> &(i64, i64) {
        &self.revision
    }

    /// Shows what was last seen of the Engine before its settings changed, until the first connection.
    pub fn adopt(&self, old: &Self) {
        let seen = old.inventory();
        let mut state = self.state.write();
        let link = state.inventory.link.clone();
        state.inventory = Inventory { link, ..seen };
        state.protection_rules = old.state.read().protection_rules.clone();
    }

    /// Address of the Engine, in the form of `DOCKER_HOST`.
    pub fn address(&self) -> String {
        self.client.wire().endpoint().to_string()
    }

    /// The certificates of the connection, with the one that the Engine showed last; none without TLS.
    pub fn certificates(&self) -> Vec<Certificate> {
        self.client.wire().endpoint().certificates()
    }

    /// Whether the end of a certificate, so many days ahead, has not been told yet; it counts as told from now on.
    pub fn tells_expiry(&self, not_after: Timestamp, days: i64) -> bool {
        self.expiry_told.lock().replace((not_after, days)) != Some((not_after, days))
    }

    /// The id in the Engine's `/info`; `None` before the first connection, and where a proxy blocks the call. Cloned
    /// machines share it.
    pub fn engine_id(&self) -> Option<String> {
        self.client.engine_id()
    }

    /// The inventory as last seen. Cheap: makes no call to Docker.
    pub fn inventory(&self) -> Inventory {
        self.state.read().inventory.clone()
    }

    /// A counter that is increased with each change of the inventory or the connection.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Subscribes to changes of single stacks and containers, and to Docker's events.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// What settings and users protect.
    pub(super) fn guard(&self) -> Guard {
        self.guard.read().clone()
    }

    /// Marks a page as open: for the next 90 s the list is repeated every 60 s rather than every 300 s. Callers use
    /// it for each page and, while a browser stays connected, every minute.
    pub fn look(&self) {
        let now = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX - 1);
        self.last_look.store(now, Ordering::Relaxed);
        self.wake_watch.notify_one();
    }

    /// Tries to connect now instead of waiting for the end of the back-off.
    pub fn hurry(&self) {
        self.retry_now.notify_one();
    }

    /// Converts an instant of our clock to the Engine's clock. The clocks of two machines may differ by minutes, and
    /// Docker's timestamps use the Engine's.
    pub fn by_engine(&self, ours: Timestamp) -> Timestamp {
        ours.checked_add(self.client.wire().ahead()).unwrap_or(ours)
    }

    /// Converts a timestamp of Docker to our clock.
    pub fn by_us(&self, theirs: Timestamp) -> Timestamp {
        theirs.checked_sub(self.client.wire().ahead()).unwrap_or(theirs)
    }

    /// Number of connections made after the first one since DockNap watches the host.
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// Instant of the Engine's last response to any call.
    pub fn last_ping(&self) -> Option<Timestamp> {
        self.client.wire().answered()
    }

    /// Checks that the Engine responds, unless it did so within the last 3 s.
    ///
    /// # Errors
    /// The error of the call.
    pub async fn ping(&self) -> Result<(), DockerError> {
        let recent = self.last_ping().is_some_and(|last| {
            let age = self.clock.now().duration_since(last);
            !age.is_negative() && age <= SignedDuration::from_secs(3)
        });
        if recent { Ok(()) } else { self.noting_broken_link(self.client.ping().await) }
    }

    /// The versions of Engine and API, such as `Docker 27.1.1, API 1.46`. They are asked for if there is no connection.
    ///
    /// # Errors
    /// The error of the call.
    pub async fn engine(&self) -> Result<String, DockerError> {
        let (engine, api) = match self.inventory().link {
            Link::Connected { api_version, engine_version } => {
                self.ping().await?;
                (engine_version, api_version)
            }
            Link::Connecting | Link::Unreachable { .. } | Link::Disabled => {
                let negotiated = self.client.negotiate().await?;
                (negotiated.engine_version, negotiated.api_version)
            }
        };
        Ok(format!("{}, API {api}", inventory::product(&engine)))
    }

    /// The container that has this identity now, freshly inspected; `None` if there is none. If two containers have
    /// the same identity, [`inventory::standing`] chooses one. One-off containers, hooks and swarm tasks never match.
    pub async fn resolve(&self, identity: &ContainerIdentity) -> Result<Option<Container>, DockerError> {
        Ok(self.resolve_all(identity).await?.map(|(found, _)| found))
    }

    /// As [`Host::resolve`], with the Docker ids of the other containers of this identity.
    pub async fn resolve_all(
        &self,
        identity: &ContainerIdentity,
    ) -> Result<Option<(Container, Vec<String>)>, DockerError> {
        self.noting_broken_link(self.find(identity).await)
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
                    return Ok(is_it.then(|| (self.with_protection(found), Vec::new())));
                }
                // Docker also accepts an id, or the beginning of one, in place of a name, so this is another
                // container. Search the whole list.
                Some(_) => Vec::new(),
                None => return Ok(None),
            },
        };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let rows = self.client.list(&labels).await?;
            let mut rows: Vec<_> =
                rows.iter().filter(|row| row.is_ordinary() && row.identity() == *identity).collect();
            rows.sort_by(|a, b| {
                inventory::standing(a.state(), a.name()).cmp(&inventory::standing(b.state(), b.name()))
            });
            let Some((row, twins)) = rows.split_first() else { return Ok(None) };
            let twins: Vec<String> = twins.iter().map(|row| row.id.clone()).collect();
            let found = self.client.inspect(&row.id).await?;
            // Compose may have changed a container between the list and the inspect, so that the other one is now the
            // right one. List once more.
            let is_so = |found: &Container| found.state.is_up() == row.state().is_up();
            if twins.is_empty() || attempts > 1 || found.as_ref().is_some_and(is_so) {
                return Ok(found.map(|found| (self.with_protection(found), twins)));
            }
        }
    }

    /// Inspects a container by Docker id; `None` if it no longer exists.
    pub async fn inspect(&self, id: &str) -> Result<Option<Container>, DockerError> {
        let found = self.noting_broken_link(self.client.inspect(id).await)?;
        Ok(found.map(|found| self.with_protection(found)))
    }

    /// Results of the last health checks of a container, oldest first.
    pub async fn health_log(&self, id: &str) -> Result<Vec<Check>, DockerError> {
        self.noting_broken_link(self.client.health_log(id).await)
    }

    /// Starts a container.
    ///
    /// # Errors
    /// `Conflict` if the container is paused; otherwise the error of the call.
    pub async fn start(&self, id: &str) -> Result<(), DockerError> {
        self.noting_broken_link(self.client.start(id).await)
    }

    /// Stops a container. `grace` (seconds) is sent to Docker only if the user set one; otherwise Docker applies the
    /// container's own grace period, which the caller passes as `container_grace`. The timeout of the call is the
    /// grace period that applies plus 30 s.
    pub async fn stop(&self, id: &str, grace: Option<u32>, container_grace: u32) -> Result<(), DockerError> {
        self.noting_broken_link(self.client.stop(id, grace, container_grace).await)
    }

    /// Restarts a container, with the timings of [`Host::stop`]. Docker also starts a container that is stopped, so
    /// the caller checks its state first.
    pub async fn restart(
        &self,
        id: &str,
        grace: Option<u32>,
        container_grace: u32,
    ) -> Result<(), DockerError> {
        self.noting_broken_link(self.client.restart(id, grace, container_grace).await)
    }

    /// Pauses a container.
    ///
    /// # Errors
    /// `Conflict` if the container is paused already or not running; otherwise the error of the call.
    pub async fn pause(&self, id: &str) -> Result<(), DockerError> {
        self.noting_broken_link(self.client.pause(id).await)
    }

    /// Unpauses a container.
    ///
    /// # Errors
    /// `Server` if the container is not paused; otherwise the error of the call.
    pub async fn unpause(&self, id: &str) -> Result<(), DockerError> {
        self.noting_broken_link(self.client.unpause(id).await)
    }

    /// Whether the Engine still has the event of this container's last start. If so, the daemon has not restarted
    /// since, and a later end of the container was not caused by the daemon's own end.
    pub async fn remembers_start(&self, container: &Container) -> Result<bool, DockerError> {
        self.noting_broken_link(self.client.remembers_start(container).await)
    }

    /// The last lines of the container's log: at most 5 lines and 2 KiB in total, control characters escaped.
    ///
    /// # Errors
    /// The error of the call; callers that only add the lines to an error message ignore it.
    pub async fn last_lines(&self, id: &str) -> Result<Vec<String>, DockerError> {
        self.client.last_lines(id, 5, 2_048).await
    }

    /// The one container among `ids` whose log contains `word` within a minute of `at` (by our clock); `None` if
    /// there is none or more than one. A log that cannot be read counts as not containing it.
    pub(super) async fn writer(&self, ids: &BTreeSet<String>, word: &str, at: Timestamp) -> Option<String> {
        let at = self.by_engine(at);
        let searches = ids.iter().map(async |id| {
            let wrote = self.client.wrote(id, word, at).await;
            let wrote = wrote.inspect_err(
                |error| tracing::debug!(container = id, error = %chain(error), "no log to look at"),
            );
            wrote.unwrap_or(false).then_some(id)
        });
        let wrote: Vec<&String> =
            futures_util::future::join_all(searches).await.into_iter().flatten().collect();
        match wrote.as_slice() {
            [one] => Some((*one).clone()),
            _ => None,
        }
    }

    /// Memory and CPU use of a container, with the CPU from two samples a second apart.
    ///
    /// # Errors
    /// The error of the call. The figures are optional, since a proxy may block the call.
    pub async fn usage(&self, id: &str) -> Result<Usage, DockerError> {
        self.client.usage(id, false).await
    }

    /// As [`Host::usage`], but without the current CPU use, for which the Engine needs a second or two. Takes at most
    /// 3 s after its turn: at most 32 run at once, and the others wait. An Engine before Docker 25 may need up to a
    /// second if another container's sample was requested just before.
    ///
    /// # Errors
    /// As [`Host::usage`].
    pub async fn glance(&self, id: &str) -> Result<Usage, DockerError> {
        self.client.glance(id).await
    }

    /// Whether each call that DockNap makes gets through, as method and path with the error. Changes nothing.
    pub async fn check(&self) -> Vec<(&'static str, Result<(), DockerError>)> {
        self.client.check().await
    }

    /// Number of calls that change a container and are still in progress.
    pub fn calls_in_flight(&self) -> usize {
        self.client.acting()
    }

    /// Number of requests sent to the Engine since DockNap started.
    pub fn calls_made(&self) -> u64 {
        self.client.wire().sent()
    }

    /// Wakes the watch loop to check the connection if the call failed because it is broken.
    fn noting_broken_link<T>(&self, answer: Result<T, DockerError>) -> Result<T, DockerError> {
        if matches!(answer, Err(DockerError::Unreachable { .. } | DockerError::TimedOut)) {
            self.link_broken.store(true, Ordering::Relaxed);
            self.wake_watch.notify_one();
        }
        answer
    }

    /// Whether a call found the connection broken since the last call of this function. Resets the flag.
    pub(super) fn take_link_broken(&self) -> bool {
        self.link_broken.swap(false, Ordering::Relaxed)
    }

    /// Time between two container lists: shorter while a page is open.
    pub(super) fn list_every(&self) -> Duration {
        let last_look = self.last_look.load(Ordering::Relaxed);
        let now = self.clock.monotonic();
        let page_open =
            last_look != u64::MAX && now.saturating_sub(Duration::from_millis(last_look)) <= PAGE_OPEN_FOR;
        if page_open { LIST_INTERVAL_PAGE_OPEN } else { LIST_INTERVAL_NO_PAGE }
    }

    /// Publishes a new snapshot, a new state of the connection, or both, and sends the notices.
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
                // Locks may have changed while this snapshot was made.
                state.protection_rules = snapshot.protection_rules.with_locks(self.guard().locks);
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
            self.send_notice(notice);
        }
    }

    /// Records that the daemon has been running since `instant` at least, by its own clock.
    pub(super) fn set_up_since(&self, instant: Timestamp) {
        self.state.write().inventory.up_since = Some(instant);
    }

    /// Records that the inventory is correct as of now.
    pub(super) fn confirm(&self) {
        let now = self.clock.now();
        self.state.write().inventory.seen_at = Some(now);
    }

    pub(super) fn send_notice(&self, notice: Notice) {
        // An error only means that there are no subscribers, which is usual.
        let _ = self.notices.send(notice);
    }
}
