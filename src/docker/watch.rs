//! Keeps the link to one Engine and the picture of it.
//!
//! While connected, events say which container to look at and one list every few minutes catches what they missed:
//! the list's rows are compared with what is known and only what differs is inspected, so that thousands of
//! containers cost one call. Lists and inspects run beside the event stream; a container that hangs holds up only
//! itself.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::client::{CALLS, Spoken};
use super::events::Event;
use super::hosts::{ContainerEvent, Host, Notice};
use super::inventory::{InventoryBuilder, Pending};
use super::reading::Row;
use super::{DockerError, words};
use crate::domain::inventory::{Container, Link};
use crate::domain::text::chain;
use crate::domain::trace::COMES_UP;

/// Inspects at once.
const INSPECTS: usize = 16;
/// Longest back-off before jitter.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A link that held this long is tried again at once when it ends.
const STEADY: Duration = Duration::from_secs(10);
/// How far back the first event stream begins: covers the second to which the Engine's clock is known.
const OVERLAP: SignedDuration = SignedDuration::from_secs(2);

impl Host {
    /// Keeps the link and the inventory, until `stop`: connects, lists, streams events, lists again, backs off.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = keep(&self) => {}
        }
    }
}

/// Connects again and again, for ever.
async fn keep(host: &Host) {
    let mut book = InventoryBuilder::new(host.guard(), host.hints.clone());
    let mut wait = Duration::ZERO;
    let mut last_event = None;
    let mut lost_at = None;
    loop {
        let mut session = Session::new(host, &mut book, last_event);
        let error = session.run().await;
        last_event = session.last_event;
        let held = session.connected_at.map(|at| host.clock.monotonic().saturating_sub(at));
        drop(session);
        if held.is_some() {
            lost_at = None;
        }
        if held.is_some_and(|held| held >= STEADY) {
            // The Engine may be there as before and only the stream have ended: look before saying anything.
            wait = Duration::ZERO;
            tracing::info!(host = %host.id, error = %chain(&error), "the link to Docker ended; connecting again");
            continue;
        }
        let since = *lost_at.get_or_insert_with(|| host.clock.now());
        let reason = match error {
            // What it broke off with says little; the next attempt will know more.
            DockerError::Unreachable { .. } if held.is_some() => {
                format!("the connection to {} was lost; connecting again", host.address())
            }
            error => reason(&error),
        };
        if wait.is_zero() {
            tracing::warn!(host = %host.id, %reason, "Docker cannot be reached; trying again with back-off");
        }
        host.publish(None, Some(Link::Unreachable { reason, since }));
        wait = (wait * 2).clamp(Duration::from_secs(1), LONGEST_WAIT);
        tokio::select! {
            () = host.clock.sleep(host.clock.jittered(wait)) => {}
            () = host.hurried.notified() => {}
        }
    }
}

/// Oldest and newest of the events that the Engine keeps.
type EventSpan = Option<(Timestamp, Timestamp)>;

/// Whether it is the daemon of before, which keeps what was seen last: one that starts forgets it.
fn reaches_back(last: Option<Timestamp>, kept: EventSpan) -> bool {
    last.zip(kept).is_some_and(|(last, (oldest, _))| oldest <= last)
}

/// From when on events are somebody's doing, where `last` was seen of an earlier link.
///
/// A daemon that starts itself tells of ends and starts: after a crash as if somebody had stopped what ran. Where it no
/// longer keeps what was seen last, what it did as it came up is nobody's doing.
fn tell_from(last: Option<Timestamp>, kept: EventSpan, now: Timestamp) -> Timestamp {
    let is_same = reaches_back(last, kept);
    match (last, kept) {
        (Some(last), _) if is_same => last,
        (Some(_), Some((oldest, newest))) => (oldest + COMES_UP).min(newest.max(now)),
        (_, kept) => kept.map_or(now, |(_, newest)| newest.max(now)),
    }
}

/// The sentence shown while the link is down.
fn reason(error: &DockerError) -> String {
    match error {
        DockerError::ProxyRefused { call } => format!(
            "the socket proxy does not allow {}; DockNap needs: {}",
            words::shorten(call),
            CALLS.join(", ")
        ),
        DockerError::TimedOut => {
            "Docker accepts connections but does not answer; on the machine that runs it, look at `docker ps`"
                .to_owned()
        }
        other => other.to_string(),
    }
}

/// Something asked of the Engine has come to an end.
enum Done {
    Listed(Result<Vec<Row>, DockerError>),
    Inspected {
        id: String,
        result: Box<Result<Option<Container>, DockerError>>,
    },
    /// Which of the containers that DockNap may be wrote its mark, where one did.
    Recognised(Option<String>),
}

/// One connection, from the negotiation to the error that ends it.
struct Session<'a> {
    host: &'a Host,
    book: &'a mut InventoryBuilder,
    /// The Engine's time of the last event seen, over all sessions.
    last_event: Option<Timestamp>,
    /// Events up to this are not told: they were before, or happened before the first connection.
    tell_from: Timestamp,
    spoken: Option<Spoken>,
    /// When the first list was worked off, on the monotonic clock.
    connected_at: Option<Duration>,
    listed_at: Duration,
    /// The containers of which events came while a list was made.
    listing: Option<BTreeSet<String>>,
    pending: Pending,
    queue: VecDeque<String>,
    inspecting: usize,
    /// Rows of what is being inspected, for the case that it fails.
    rows: HashMap<String, Row>,
    /// Events that are told once the inventory shows what they did.
    untold: HashMap<String, Vec<ContainerEvent>>,
    /// Those of them that the next picture shows.
    ready: Vec<ContainerEvent>,
    /// The containers whose logs were looked at last, to find itself among them.
    suspects: BTreeSet<String>,
    work: FuturesUnordered<BoxFuture<'a, Done>>,
}

impl<'a> Session<'a> {
    fn new(host: &'a Host, book: &'a mut InventoryBuilder, last_event: Option<Timestamp>) -> Self {
        Self {
            host,
            book,
            last_event,
            tell_from: Timestamp::MIN,
            spoken: None,
            connected_at: None,
            listed_at: Duration::ZERO,
            listing: None,
            pending: Pending::default(),
            queue: VecDeque::new(),
            inspecting: 0,
            rows: HashMap::new(),
            untold: HashMap::new(),
            ready: Vec::new(),
            suspects: BTreeSet::new(),
            work: FuturesUnordered::new(),
        }
    }

    /// Runs until something ends the link.
    async fn run(&mut self) -> DockerError {
        let host = self.host;
        match host.client.negotiate().await {
            Ok(spoken) => self.spoken = Some(spoken),
            Err(error) => return error,
        }
        host.was_broken();
        let now = host.client.wire().engine_now();
        // After a cut the Engine repeats what was missed, up to 256 events. A last event in its future means that its
        // clock was set back: begin anew.
        self.last_event = self.last_event.filter(|last| *last <= now + OVERLAP);
        let kept = host.client.span_of_events().await;
        let is_same = reaches_back(self.last_event, kept);
        let up_since = kept.map_or(now, |(oldest, _)| oldest.min(now));
        let before = host.inventory().up_since.filter(|_| is_same);
        host.is_up_since(before.map_or(up_since, |before| before.min(up_since)));
        self.tell_from = tell_from(self.last_event, kept, now);
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
                    // Whatever else is ready goes into the same picture.
                    while let (None, Some(Some(done))) = (&ended, self.work.next().now_or_never()) {
                        ended = self.done(done);
                    }
                    if let Some(error) = ended {
                        return error;
                    }
                    self.show();
                }
                () = host.clock.sleep(due), if self.listing.is_none() => self.list(),
                () = host.roused.notified() => {
                    self.show();
                    if host.was_broken() && self.listing.is_none() {
                        self.list();
                    }
                }
            }
        }
    }

    /// An event came.
    fn on_event(&mut self, event: Event) {
        let Event { id, identity, action, at, exit_code } = event;
        self.last_event = self.last_event.max(at);
        if let Some(listing) = &mut self.listing {
            listing.insert(id.clone());
        }
        let identity = identity.or_else(|| self.book.get(&id).map(|known| known.identity.clone()));
        if let Some(identity) = identity
            && at.is_none_or(|at| at > self.tell_from)
        {
            let told_at = at.unwrap_or_else(|| self.host.by_engine(self.host.clock.now()));
            let at = self.host.by_us(told_at);
            let sighting = ContainerEvent { identity, id: id.clone(), action, at, told_at, exit_code };
            self.untold.entry(id.clone()).or_default().push(sighting);
        }
        self.ask(&id);
    }

    /// Has a container inspected, at once or after the inspect that runs.
    fn ask(&mut self, id: &str) {
        if self.pending.ask(id) {
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

    /// Takes in an answer; the error where it ends the link.
    fn done(&mut self, done: Done) -> Option<DockerError> {
        match done {
            Done::Listed(Err(error)) => Some(error),
            Done::Listed(Ok(rows)) => {
                self.listed_at = self.host.clock.monotonic();
                let spare = self.listing.take().unwrap_or_default();
                self.book.keep_only(&rows, &spare);
                let now = self.host.client.wire().engine_now();
                let differing: Vec<Row> = self.book.differing(&rows, now).into_iter().cloned().collect();
                for row in differing {
                    let id = row.id.clone();
                    self.rows.insert(id.clone(), row);
                    self.ask(&id);
                }
                None
            }
            Done::Inspected { id, result } => self.inspected(&id, *result),
            Done::Recognised(found) => {
                if let Some(id) = found {
                    tracing::info!(host = %self.host.id, container = %id, "this is where I run");
                    self.book.recognised(&id);
                }
                None
            }
        }
    }

    /// Where several containers may be DockNap: writes a word into the log, and looks whose log has it.
    fn find_itself(&mut self) {
        let suspects = self.book.suspects();
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
                // Docker takes a moment to store what was written.
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
                self.book.put(container, self.host.clock.now());
                None
            }
            Ok(None) => {
                self.book.remove(id);
                None
            }
            Err(error @ (DockerError::ProxyRefused { .. } | DockerError::Version { .. })) => Some(error),
            // A daemon that goes down takes no calls any more, while its open streams still tell how it ends what runs:
            // that is nobody's doing.
            Err(error @ DockerError::Unreachable { .. }) => {
                tracing::debug!(host = %self.host.id, container = id, error = %chain(&error), "Docker takes no calls any more");
                self.untold.remove(id);
                match row {
                    Some(row) => self.book.put_doubtful(&row, &self.host.id),
                    None => self.book.doubt(id),
                }
                None
            }
            Err(error) => {
                tracing::warn!(host = %self.host.id, container = id, error = %chain(&error), "a container could not be inspected");
                match row {
                    Some(row) => self.book.put_doubtful(&row, &self.host.id),
                    None => self.book.doubt(id),
                }
                None
            }
        };
        if self.pending.done(id) {
            self.queue.push_back(id.to_owned());
        } else if let Some(untold) = self.untold.remove(id) {
            // In the order in which they came, after the picture that shows them.
            self.ready.extend(untold);
        }
        self.start_inspects();
        ended
    }

    /// Shows readers the new picture; the first only when all of it is known.
    fn show(&mut self) {
        let first = self.connected_at.is_none();
        if first && (self.listing.is_some() || !self.pending.is_empty()) {
            return;
        }
        let link = first.then(|| {
            self.connected_at = Some(self.host.clock.monotonic());
            let Spoken { api_version, engine_version } = self.spoken.clone().unwrap_or_default();
            tracing::info!(host = %self.host.id, engine_version, api_version, "connected to Docker");
            Link::Connected { api_version, engine_version }
        });
        self.host.confirm();
        let reconnected = first && self.host.inventory().is_connected();
        self.host.publish(self.book.snapshot(self.host.guard()), link);
        self.find_itself();
        if reconnected {
            // Nobody saw it go, but what happened in between is only now known.
            self.host.tell(Notice::Link);
        }
        for sighting in self.ready.drain(..) {
            self.host.tell(Notice::Sighted(Box::new(sighting)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_daemon_does_as_it_comes_up_is_nobodys_doing() {
        let at = |second: i64| Timestamp::from_second(second).expect("an instant");
        let from = |last: Option<i64>, kept: Option<(i64, i64)>| {
            tell_from(last.map(at), kept.map(|(oldest, newest)| (at(oldest), at(newest))), at(1_000))
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
    fn a_refusing_proxy_is_told_what_is_needed() {
        let text = reason(&DockerError::ProxyRefused { call: "GET /events".to_owned() });
        assert!(
            text.contains("does not allow GET /events") && text.contains("POST /containers/ID/unpause"),
            "{text}"
        );
    }
}
