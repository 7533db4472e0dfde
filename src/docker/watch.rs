//! Keeps the connection to one Engine and its inventory current.
//!
//! While connected, an event names the container to inspect, and a list every few minutes catches missed changes. The
//! list's rows are compared with the inventory and only differing containers are inspected, so that thousands of
//! containers cost one call. Lists and inspects run concurrently with the event stream; a container whose inspect
//! hangs delays only itself.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::client::{CALLS, Negotiated};
use super::events::Event;
use super::hosts::{ContainerEvent, Host, Notice};
use super::inventory::{InventoryBuilder, Pending};
use super::reading::Row;
use super::{DockerError, one_line};
use crate::domain::inventory::{Container, Link};
use crate::domain::text::chain;
use crate::domain::trace::COMES_UP;

/// Inspects that may run at the same time.
const INSPECTS: usize = 16;
/// Longest back-off, before jitter is applied.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// A connection that lasted at least this long is retried at once when it ends.
const STABLE_LINK: Duration = Duration::from_secs(10);
/// How far back the event stream begins; covers the error of a second or two in the offset of the Engine's clock.
const OVERLAP: SignedDuration = SignedDuration::from_secs(2);

impl Host {
    /// Keeps the connection and the inventory current until `stop`: connects, lists containers, streams events, lists
    /// again at intervals, and retries with back-off.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = keep(&self) => {}
        }
    }
}

/// Connects and reconnects without end.
async fn keep(host: &Host) {
    let mut builder = InventoryBuilder::new(host.guard(), host.hints.clone());
    let mut wait = Duration::ZERO;
    let mut last_event = None;
    let (mut lost_at, mut was_connected) = (None, false);
    loop {
        let mut session = Session::new(host, &mut builder, last_event, was_connected);
        let error = session.run().await;
        last_event = session.last_event;
        let lasted = session.connected_at.map(|at| host.clock.monotonic().saturating_sub(at));
        drop(session);
        if lasted.is_some() {
            lost_at = None;
            was_connected = true;
        }
        if lasted.is_some_and(|lasted| lasted >= STABLE_LINK) {
            // The Engine may still be available and only the stream have ended, so reconnect before showing an error.
            wait = Duration::ZERO;
            tracing::info!(host = %host.id, error = %chain(&error), "the link to Docker ended; connecting again");
            continue;
        }
        let since = *lost_at.get_or_insert_with(|| host.clock.now());
        let reason = match error {
            // The error of the broken connection says little; the next attempt gives a better reason.
            DockerError::Unreachable { .. } if lasted.is_some() => {
                format!("the connection to {} was lost; connecting again", host.address())
            }
            error => reason(&error),
        };
        if wait.is_zero() {
            tracing::warn!(host = %host.id, %reason, "Docker cannot be reached; trying again with back-off");
        }
        host.publish(None, Some(Link::Unreachable { reason, since }));
        wait = (wait * 2).clamp(Duration::from_secs(1), MAX_BACKOFF);
        tokio::select! {
            () = host.clock.sleep(host.clock.jittered(wait)) => {}
            () = host.retry_now.notified() => {}
        }
    }
}

/// Instants of the oldest and newest event that the Engine keeps.
type EventSpan = Option<(Timestamp, Timestamp)>;

/// Whether this is the same run of the daemon as before: it still has the last event seen. A restart clears its
/// events.
fn is_same_daemon(last: Option<Timestamp>, kept: EventSpan) -> bool {
    last.zip(kept).is_some_and(|(last, (oldest, _))| oldest <= last)
}

/// Events up to this instant are not reported. `last` is the last event seen on an earlier connection.
///
/// A daemon that restarts emits events for the containers it ends and starts; after a crash they look as if a user
/// had stopped the running containers. If the daemon no longer has the last event seen, events of its start-up must
/// therefore not be taken for actions of a user.
fn report_from(last: Option<Timestamp>, kept: EventSpan, now: Timestamp) -> Timestamp {
    let is_same = is_same_daemon(last, kept);
    match (last, kept) {
        (Some(last), _) if is_same => last,
        (Some(_), Some((oldest, newest))) => (oldest + COMES_UP).min(newest.max(now)),
        (_, kept) => kept.map_or(now, |(_, newest)| newest.max(now)),
    }
}

/// The text shown while the Engine is unreachable.
fn reason(error: &DockerError) -> String {
    match error {
        DockerError::ProxyRefused { call } => format!(
            "the socket proxy does not allow {}; DockNap needs: {}",
            one_line::one_line(call),
            CALLS.join(", ")
        ),
        DockerError::TimedOut => {
            "Docker accepts connections but does not answer; on the machine that runs it, look at `docker ps`"
                .to_owned()
        }
        other => other.to_string(),
    }
}

/// The result of a call that ran in the background.
enum Done {
    Listed(Result<Vec<Row>, DockerError>),
    Inspected {
        id: String,
        result: Box<Result<Option<Container>, DockerError>>,
    },
    /// The container whose log contains DockNap's mark, if one does.
    Recognised(Option<String>),
}

/// One connection, from the negotiation to the error that ends it.
struct Session<'a> {
    host: &'a Host,
    builder: &'a mut InventoryBuilder,
    /// Instant of the last event seen on any connection, by the Engine's clock.
    last_event: Option<Timestamp>,
    /// Whether an earlier connection was established.
    was_connected: bool,
    /// Events up to this instant (by the Engine's clock) are not reported: they were reported before, or happened
    /// before the first connection.
    report_from: Timestamp,
    negotiated: Option<Negotiated>,
    /// Instant at which the first list was complete with its inspects, on the monotonic clock.
    connected_at: Option<Duration>,
    listed_at: Duration,
    /// Ids of containers with events since the current list was requested; `None` if no list is in progress.
    listing: Option<BTreeSet<String>>,
    pending: Pending,
    queue: VecDeque<String>,
    inspecting: usize,
    /// List rows of containers whose inspect is in progress, used if it fails.
    rows: HashMap<String, Row>,
    /// Events by container id that wait until the inventory includes their effect.
    unreported: HashMap<String, Vec<ContainerEvent>>,
    /// Events that are sent right after the next snapshot.
    reportable: Vec<ContainerEvent>,
    /// The containers whose logs were last searched for DockNap's mark.
    suspects: BTreeSet<String>,
    work: FuturesUnordered<BoxFuture<'a, Done>>,
}

impl<'a> Session<'a> {
    fn new(
        host: &'a Host,
        builder: &'a mut InventoryBuilder,
        last_event: Option<Timestamp>,
        was_connected: bool,
    ) -> Self {
        Self {
            host,
            builder,
            last_event,
            was_connected,
            report_from: Timestamp::MIN,
            negotiated: None,
            connected_at: None,
            listed_at: Duration::ZERO,
            listing: None,
            pending: Pending::default(),
            queue: VecDeque::new(),
            inspecting: 0,
            rows: HashMap::new(),
            unreported: HashMap::new(),
            reportable: Vec::new(),
            suspects: BTreeSet::new(),
            work: FuturesUnordered::new(),
        }
    }

    /// Runs until the connection ends, and returns the error that ended it.
    async fn run(&mut self) -> DockerError {
        let host = self.host;
        match host.client.negotiate().await {
            Ok(negotiated) => self.negotiated = Some(negotiated),
            Err(error) => return error,
        }
        host.take_link_broken();
        let now = host.client.wire().engine_now();
        // After a broken connection the Engine repeats up to 256 missed events. A last event in the Engine's future
        // means that its clock was set back, so that event is ignored.
        self.last_event = self.last_event.filter(|last| *last <= now + OVERLAP);
        let kept = host.client.span_of_events().await;
        let is_same = is_same_daemon(self.last_event, kept);
        let up_since = kept.map_or(now, |(oldest, _)| oldest.min(now));
        let before = host.inventory().up_since.filter(|_| is_same);
        host.set_up_since(before.map_or(up_since, |before| before.min(up_since)));
        self.report_from = report_from(self.last_event, kept, now);
        let since = self.last_event.unwrap_or(now).min(now.checked_sub(OVERLAP).unwrap_or(now));
        let mut events = std::pin::pin!(host.client.events(since));
        self.list();
        loop {
            let due = (self.listed_at + host.list_every()).saturating_sub(host.clock.monotonic());
            tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(Ok(event)) => self.on_event(event),
                    Some(Err(error)) => return error,
                    None => return DockerError::Unreachable { reason: "Docker ended the stream of events".to_owned() },
                },
                Some(done) = self.work.next() => {
                    let mut ended = self.done(done);
                    // Results that are ready by now go into the same snapshot.
                    while let (None, Some(Some(done))) = (&ended, self.work.next().now_or_never()) {
                        ended = self.done(done);
                    }
                    if let Some(error) = ended {
                        return error;
                    }
                    self.publish();
                }
                () = host.clock.sleep(due), if self.listing.is_none() => self.list(),
                () = host.wake_watch.notified() => {
                    self.publish();
                    if host.take_link_broken() && self.listing.is_none() {
                        self.list();
                    }
                }
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        let Event { id, identity, action, at, exit_code } = event;
        self.last_event = self.last_event.max(at);
        if let Some(listing) = &mut self.listing {
            listing.insert(id.clone());
        }
        let identity = identity.or_else(|| self.builder.get(&id).map(|known| known.identity.clone()));
        if let Some(identity) = identity
            && at.is_none_or(|at| at > self.report_from)
        {
            let told_at = at.unwrap_or_else(|| self.host.by_engine(self.host.clock.now()));
            let at = self.host.by_us(told_at);
            let event = ContainerEvent { identity, id: id.clone(), action, at, told_at, exit_code };
            self.unreported.entry(id.clone()).or_default().push(event);
        }
        self.request_inspect(&id);
    }

    /// Requests an inspect of a container, which starts now or after the one in progress.
    fn request_inspect(&mut self, id: &str) {
        if self.pending.request(id) {
            self.queue.push_back(id.to_owned());
            self.start_inspects();
        }
    }

    fn start_inspects(&mut self) {
        while self.inspecting < INSPECTS
            && let Some(id) = self.queue.pop_front()
        {
            self.inspecting += 1;
            let client = &self.host.client;
            self.work.push(
                async move { Done::Inspected { result: Box::new(client.inspect(&id).await), id } }.boxed(),
            );
        }
    }

    fn list(&mut self) {
        let client = &self.host.client;
        self.listing = Some(BTreeSet::new());
        self.work.push(async move { Done::Listed(client.list(&[]).await) }.boxed());
    }

    /// Processes a result. Returns an error if it ends the connection.
    fn done(&mut self, done: Done) -> Option<DockerError> {
        match done {
            Done::Listed(Err(error)) => Some(error),
            Done::Listed(Ok(rows)) => {
                self.listed_at = self.host.clock.monotonic();
                let spare = self.listing.take().unwrap_or_default();
                self.builder.keep_only(&rows, &spare);
                let now = self.host.client.wire().engine_now();
                let differing: Vec<Row> = self.builder.differing(&rows, now).into_iter().cloned().collect();
                for row in differing {
                    let id = row.id.clone();
                    self.rows.insert(id.clone(), row);
                    self.request_inspect(&id);
                }
                None
            }
            Done::Inspected { id, result } => self.inspected(&id, *result),
            Done::Recognised(found) => {
                if let Some(id) = found {
                    tracing::info!(host = %self.host.id, container = %id, "this is where I run");
                    self.builder.recognised(&id);
                }
                None
            }
        }
    }

    /// If several containers may be DockNap itself, logs a random text and searches their logs for it.
    fn find_itself(&mut self) {
        let suspects = self.builder.suspects();
        if suspects.is_empty() || suspects == self.suspects {
            return;
        }
        self.suspects.clone_from(&suspects);
        let (host, mark) = (self.host, self.host.hints.mark.as_str());
        let at = host.clock.now();
        tracing::warn!(
            host = %host.id,
            mark,
            containers = suspects.len(),
            "not sure which of these I am, so all are protected; looking for this line in their logs"
        );
        self.work.push(
            async move {
                // Docker needs a moment to store a log line.
                for wait in [100, 400, 1500, 5000] {
                    host.clock.sleep(Duration::from_millis(wait)).await;
                    if let Some(id) = host.writer(&suspects, mark, at).await {
                        return Done::Recognised(Some(id));
                    }
                }
                Done::Recognised(None)
            }
            .boxed(),
        );
    }

    fn inspected(&mut self, id: &str, result: Result<Option<Container>, DockerError>) -> Option<DockerError> {
        self.inspecting -= 1;
        let row = self.rows.remove(id);
        let ended = match result {
            Ok(Some(container)) => {
                self.builder.put(container, self.host.clock.now());
                None
            }
            Ok(None) => {
                self.builder.remove(id);
                None
            }
            Err(error @ (DockerError::ProxyRefused { .. } | DockerError::Version { .. })) => Some(error),
            // A daemon that shuts down refuses calls while its open event stream still reports the containers that it
            // ends. Users did not end those, so the events are dropped.
            Err(error @ DockerError::Unreachable { .. }) => {
                tracing::debug!(host = %self.host.id, container = id, error = %chain(&error), "Docker takes no calls any more");
                self.unreported.remove(id);
                match row {
                    Some(row) => self.builder.inspect_failed_of_row(&row, &self.host.id),
                    None => self.builder.inspect_failed(id),
                }
                None
            }
            Err(error) => {
                tracing::warn!(host = %self.host.id, container = id, error = %chain(&error), "a container could not be inspected");
                match row {
                    Some(row) => self.builder.inspect_failed_of_row(&row, &self.host.id),
                    None => self.builder.inspect_failed(id),
                }
                None
            }
        };
        if self.pending.done(id) {
            self.queue.push_back(id.to_owned());
        } else if let Some(unreported) = self.unreported.remove(id) {
            // Sent in the order of arrival, after the snapshot that includes their effect.
            self.reportable.extend(unreported);
        }
        self.start_inspects();
        ended
    }

    /// Publishes a snapshot; the first one only once every container is known.
    fn publish(&mut self) {
        let first = self.connected_at.is_none();
        if first && (self.listing.is_some() || !self.pending.is_empty()) {
            return;
        }
        let link = first.then(|| {
            self.connected_at = Some(self.host.clock.monotonic());
            if self.was_connected {
                self.host.reconnects.fetch_add(1, Ordering::Relaxed);
            }
            let Negotiated { api_version, engine_version } = self.negotiated.clone().unwrap_or_default();
            tracing::info!(host = %self.host.id, engine_version, api_version, "connected to Docker");
            Link::Connected { api_version, engine_version }
        });
        self.host.confirm();
        let reconnected = first && self.host.inventory().is_connected();
        self.host.publish(self.builder.snapshot(self.host.guard()), link);
        self.find_itself();
        if reconnected {
            // The inventory never showed the connection as lost, but events may have been missed meanwhile.
            self.host.send_notice(Notice::Link);
        }
        for event in self.reportable.drain(..) {
            self.host.send_notice(Notice::Sighted(Box::new(event)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_a_daemons_start_are_not_reported() {
        let at = |second: i64| Timestamp::from_second(second).expect("an instant");
        let from = |last: Option<i64>, kept: Option<(i64, i64)>| {
            report_from(last.map(at), kept.map(|(oldest, newest)| (at(oldest), at(newest))), at(1_000))
        };
        assert_eq!(from(None, Some((5, 990))), at(1_000), "it happened before");
        assert_eq!(from(None, Some((5, 1_001))), at(1_001), "by a clock that is ahead");
        assert_eq!(from(Some(900), Some((5, 990))), at(900), "only the link was cut");
        assert_eq!(from(Some(10), Some((700, 990))), at(820), "two minutes later it is");
        assert_eq!(from(Some(10), Some((990, 995))), at(1_000));
        assert_eq!(from(Some(10), None), at(1_000));
        assert_eq!(from(None, None), at(1_000));
    }

    #[test]
    fn the_error_of_a_blocking_proxy_lists_the_calls_that_are_needed() {
        let text = reason(&DockerError::ProxyRefused { call: "GET /events".to_owned() });
        assert!(
            text.contains("does not allow GET /events") && text.contains("POST /containers/ID/unpause"),
            "{text}"
        );
    }
}
