//! The Engine API calls that DockNap makes. Each has a timeout, and responses are converted to domain values.
//! `Client` holds the connection settings of one Engine; [`CALLS`] lists every method and path.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::EventMessage;
use bollard::query_parameters::{RestartContainerOptions, StopContainerOptions};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use parking_lot::RwLock;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::answers::{self, Engine, Info, Inspected, Listed};
use super::endpoint::Endpoint;
use super::events::{Event, event_at, events_target, instant, read_event};
use super::reading::{self, Row};
use super::streams::{self, Lines, Output};
use super::wire::{self, Wire};
use super::{DockerError, Usage, one_line, words};
use crate::clock::Clock;
use crate::domain::ids::HostId;
use crate::domain::inventory::{Check, Container, product};

/// Every call that DockNap makes, as method and path: what a socket proxy must allow. `ID` stands for a container.
pub const CALLS: [&str; 13] = [
    "GET /_ping",
    "GET /version",
    "GET /info",
    "GET /events",
    "GET /containers/json",
    "GET /containers/ID/json",
    "GET /containers/ID/logs",
    "GET /containers/ID/stats",
    "POST /containers/ID/start",
    "POST /containers/ID/stop",
    "POST /containers/ID/restart",
    "POST /containers/ID/pause",
    "POST /containers/ID/unpause",
];

/// The newest API version that DockNap uses, as (major, minor).
const NEWEST_API: (u32, u32) = (1, 53);
/// The oldest API version that DockNap supports: that of Docker 17.06.
const OLDEST_API: (u32, u32) = (1, 30);

/// Timeout of a call that only reads.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of a usage sample. The Engine takes a second or two for one; the figures are optional, so a caller does
/// without them after this time.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of the sample taken before a stop, which must not delay the stop (rulings 7).
const QUICK_SAMPLE_TIMEOUT: Duration = Duration::from_secs(3);
/// Samples before a stop that may run at once: all containers may be put to sleep in the same minute.
const QUICK_SAMPLES_AT_ONCE: usize = 32;
/// Timeout of the container list, which a slow disk and thousands of containers may delay.
const LIST_TIMEOUT: Duration = Duration::from_secs(60);
/// Timeout of start, pause and unpause, which mount volumes and set up networks.
const ACTION_TIMEOUT: Duration = Duration::from_secs(120);
/// Added to the container's grace period for the timeout of stop and restart (semantics §6).
const TIMEOUT_BEYOND_GRACE: Duration = Duration::from_secs(30);

/// The result of the version negotiation with an Engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Negotiated {
    pub(super) api_version: String,
    pub(super) engine_version: String,
}

/// The API calls to one Engine.
#[derive(Debug)]
pub(super) struct Client {
    host: HostId,
    docker: bollard::Docker,
    wire: Arc<Wire>,
    clock: Clock,
    acting: AtomicUsize,
    quick_samples: Semaphore,
    /// The id in the Engine's last `/info`.
    engine_id: RwLock<Option<String>>,
}

impl Client {
    pub(super) fn new(host: HostId, endpoint: Endpoint, clock: Clock) -> Self {
        let wire = Wire::new(endpoint, clock.clone());
        let (acting, quick_samples) = (AtomicUsize::new(0), Semaphore::new(QUICK_SAMPLES_AT_ONCE));
        let engine_id = RwLock::new(None);
        Self { host, docker: wire::docker(&wire), wire, clock, acting, quick_samples, engine_id }
    }

    pub(super) fn engine_id(&self) -> Option<String> {
        self.engine_id.read().clone()
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(super) fn acting(&self) -> usize {
        self.acting.load(Ordering::Relaxed)
    }

    /// Checks that the Engine responds.
    pub(super) async fn ping(&self) -> Result<(), DockerError> {
        self.timed(READ_TIMEOUT, "GET /_ping", self.wire.open("/_ping")).await.map(drop)
    }

    /// Chooses the API version for all later calls. Needed on each connection, because the Engine may have been
    /// replaced since the last one.
    pub(super) async fn negotiate(&self) -> Result<Negotiated, DockerError> {
        self.wire.set_api_version(None);
        self.ping().await?;
        let version: Engine = self.get(READ_TIMEOUT, "/version", "").await?;
        let engine_version = one_line::one_line(&version.version());
        let theirs = version.api_version.as_deref().and_then(parse_version);
        let least = version.min_api_version.as_deref().and_then(parse_version).unwrap_or(OLDEST_API);
        let api_version = common_version(theirs, least).map_err(|what| DockerError::Version {
            message: format!("{} {what}", product(&engine_version)),
        })?;
        self.wire.set_api_version(Some(api_version.clone()));
        // Optional: proxies often block this call.
        let info = self.get::<Info>(READ_TIMEOUT, "/info", "").await.ok();
        let info = info.unwrap_or_default();
        self.wire.set_engine_clock(info.system_time.and_then(|time| time.parse().ok()));
        *self.engine_id.write() = info.id.filter(|id| !id.is_empty());
        Ok(Negotiated { api_version, engine_version })
    }

    /// All containers, including stopped ones. With `labels` (`key=value`), only containers that have all of them.
    pub(super) async fn list(&self, labels: &[String]) -> Result<Vec<Row>, DockerError> {
        let query = list_query(labels);
        let rows: Vec<Listed> = self.get(LIST_TIMEOUT, "/containers/json", &query).await?;
        Ok(rows.into_iter().filter_map(Row::read).collect())
    }

    /// Inspects a container by id or exact name; `None` if there is none. The field `protection` is left empty.
    pub(super) async fn inspect(&self, id: &str) -> Result<Option<Container>, DockerError> {
        let answer = self.inspected(id).await?;
        Ok(answer.and_then(|answer| reading::container(&self.host, answer)))
    }

    /// Results of the last health checks of a container, oldest first; empty if it has none or no longer exists.
    pub(super) async fn health_log(&self, id: &str) -> Result<Vec<Check>, DockerError> {
        let answer = self.inspected(id).await?;
        Ok(answer.map(reading::checks).unwrap_or_default())
    }

    async fn inspected(&self, id: &str) -> Result<Option<Inspected>, DockerError> {
        if !is_reference(id) {
            return Ok(None);
        }
        match self.get(READ_TIMEOUT, &format!("/containers/{id}/json"), "").await {
            Ok(answer) => Ok(Some(answer)),
            Err(DockerError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The container events of the Engine from `since` (by the Engine's clock) until the connection ends. The stream
    /// has no timeout between events; the periodic list, which runs beside it, notices a dead connection.
    pub(super) fn events(
        &self,
        since: Timestamp,
    ) -> impl Stream<Item = Result<Event, DockerError>> + Send + use<> {
        let endpoint = self.wire.endpoint().clone();
        self.messages(events_target(&instant(since), None)).filter_map(move |message| {
            let event = match message {
                Ok(message) => read_event(message).map(Ok),
                Err(error) => Some(Err(words::error(&endpoint, "GET /events", &error))),
            };
            std::future::ready(event)
        })
    }

    /// All events of any kind that the Engine still has in memory, oldest first. A restart of the daemon clears them,
    /// and the Engine drops the oldest when there are too many.
    fn kept_events(&self) -> impl Stream<Item = Result<EventMessage, Error>> + Send + use<> {
        self.messages(format!("/events?since=0&until={}", instant(self.wire.engine_now())))
    }

    /// The events of `target`, one JSON message per line.
    fn messages(&self, target: String) -> impl Stream<Item = Result<EventMessage, Error>> + Send + use<> {
        let wire = Arc::clone(&self.wire);
        let lines = stream::once(async move { wire.open(&target).await.map(Lines::new) });
        let lines = lines.map_ok(|lines| {
            stream::try_unfold(lines, |mut lines| async move {
                Ok::<_, Error>(lines.next().await?.map(|line| (line, lines)))
            })
        });
        lines.try_flatten().map(|line| line.and_then(|line| answers::read::<EventMessage>(&line)))
    }

    /// Instants of the oldest and newest event that the Engine still has. The daemon has been running at least since
    /// the oldest. `None` if there are no events or the call fails.
    pub(super) async fn span_of_events(&self) -> Option<(Timestamp, Timestamp)> {
        let span = async {
            let mut events = std::pin::pin!(self.kept_events());
            let mut span: Option<(Timestamp, Timestamp)> = None;
            while let Some(event) = events.next().await {
                if let Some(at) = event_at(&event?) {
                    span = Some(span.map_or((at, at), |(from, to)| (from.min(at), to.max(at))));
                }
            }
            Ok(span)
        };
        self.timed(READ_TIMEOUT, "GET /events", span).await.ok().flatten()
    }

    /// Whether the Engine still has the start event of the container's last process. If so, the daemon has not
    /// restarted since.
    pub(super) async fn remembers_start(&self, container: &Container) -> Result<bool, DockerError> {
        let from = container.started_at.unwrap_or(Timestamp::MIN);
        let found = async {
            let mut events = std::pin::pin!(self.kept_events());
            while let Some(event) = events.next().await {
                let event = event?;
                let is_start = event.action.as_deref() == Some("start")
                    && event.actor.as_ref().and_then(|actor| actor.id.as_deref()) == Some(&container.id);
                if is_start && event_at(&event).is_some_and(|at| at >= from) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        self.timed(READ_TIMEOUT, "GET /events", found).await
    }

    pub(super) async fn start(&self, id: &str) -> Result<(), DockerError> {
        self.act(ACTION_TIMEOUT, id, "start", self.docker.start_container(id, None)).await
    }

    pub(super) async fn stop(
        &self,
        id: &str,
        grace: Option<u32>,
        container_grace: u32,
    ) -> Result<(), DockerError> {
        let options = StopContainerOptions { signal: None, t: seconds(grace) };
        let limit = limit(grace, container_grace);
        self.act(limit, id, "stop", self.docker.stop_container(id, Some(options))).await
    }

    pub(super) async fn restart(
        &self,
        id: &str,
        grace: Option<u32>,
        container_grace: u32,
    ) -> Result<(), DockerError> {
        let options = RestartContainerOptions { signal: None, t: seconds(grace) };
        let limit = limit(grace, container_grace);
        self.act(limit, id, "restart", self.docker.restart_container(id, Some(options))).await
    }

    pub(super) async fn pause(&self, id: &str) -> Result<(), DockerError> {
        self.act(ACTION_TIMEOUT, id, "pause", self.docker.pause_container(id)).await
    }

    pub(super) async fn unpause(&self, id: &str) -> Result<(), DockerError> {
        self.act(ACTION_TIMEOUT, id, "unpause", self.docker.unpause_container(id)).await
    }

    /// The last lines of standard output and standard error: at most `lines` lines and `bytes` bytes in total,
    /// control characters escaped.
    pub(super) async fn last_lines(
        &self,
        id: &str,
        lines: usize,
        bytes: usize,
    ) -> Result<Vec<String>, DockerError> {
        if !is_reference(id) {
            return Err(DockerError::no_such(id));
        }
        let target = format!("/containers/{id}/logs?stdout=true&stderr=true&tail={lines}");
        let read = async {
            let mut body = self.wire.open(&target).await?;
            let mut output = Output::default();
            while let Some(data) = streams::next_chunk(&mut body).await? {
                output.push(&data);
            }
            Ok(output.end())
        };
        let text = self.timed(READ_TIMEOUT, &format!("GET /containers/{id}/logs"), read).await?;
        Ok(tail(&String::from_utf8_lossy(&text), lines, bytes))
    }

    /// Whether the container's log contains `word` within a minute before or after `at` (by the Engine's clock).
    pub(super) async fn wrote(&self, id: &str, word: &str, at: Timestamp) -> Result<bool, DockerError> {
        if !is_reference(id) {
            return Err(DockerError::no_such(id));
        }
        let (from, until) = (at.as_second() - 60, at.as_second() + 60);
        let target = format!("/containers/{id}/logs?stdout=true&stderr=true&since={from}&until={until}");
        let read = async {
            let mut body = self.wire.open(&target).await?;
            // The end of the text read so far, where the word may have begun, and the new chunk.
            let mut text = Vec::new();
            while let Some(data) = streams::next_chunk(&mut body).await? {
                text.extend_from_slice(&data);
                if text.windows(word.len()).any(|part| part == word.as_bytes()) {
                    return Ok(true);
                }
                text.drain(..text.len().saturating_sub(word.len()));
            }
            Ok(false)
        };
        self.timed(READ_TIMEOUT, &format!("GET /containers/{id}/logs"), read).await
    }

    /// Memory and CPU use of a container. With `at_once` the Engine returns a single sample immediately, without the
    /// CPU percentage; otherwise it takes two samples a second apart.
    pub(super) async fn usage(&self, id: &str, at_once: bool) -> Result<Usage, DockerError> {
        if !is_reference(id) {
            return Err(DockerError::no_such(id));
        }
        let limit = if at_once { QUICK_SAMPLE_TIMEOUT } else { SAMPLE_TIMEOUT };
        let query = format!("stream=false&one-shot={at_once}");
        let path = format!("/containers/{id}/stats");
        let body = self.body(limit, &path, &query).await?;
        // The Engine sends an empty body if the container stopped before its first sample.
        if body.trim_ascii().is_empty() {
            return Ok(Usage::default());
        }
        self.read(&path, &body).map(reading::usage)
    }

    /// A single immediate sample; waits while too many others run.
    pub(super) async fn glance(&self, id: &str) -> Result<Usage, DockerError> {
        // The semaphore is never closed.
        let _turn = self.quick_samples.acquire().await.ok();
        self.usage(id, true).await
    }

    /// Whether each call reaches the Engine, in the order of [`CALLS`]. Nothing is changed: the calls that would
    /// change a container use an id that does not exist.
    pub(super) async fn check(&self) -> Vec<(&'static str, Result<(), DockerError>)> {
        // No container has this id: Docker generates ids at random.
        let missing_id = "0".repeat(64);
        let known = |answer: Result<(), DockerError>| match answer {
            Err(DockerError::NotFound { .. }) => Ok(()),
            answer => answer,
        };
        let events = async {
            Lines::new(self.wire.open(&events_target("0", Some("1"))).await?).next().await.map(drop)
        };
        let stats = known(self.usage(&missing_id, true).await.map(drop));
        let logs = known(self.last_lines(&missing_id, 1, 1).await.map(drop));
        vec![
            (CALLS[0], self.ping().await),
            (CALLS[1], self.get::<Engine>(READ_TIMEOUT, "/version", "").await.map(drop)),
            (CALLS[2], self.get::<Info>(READ_TIMEOUT, "/info", "").await.map(drop)),
            (CALLS[3], self.timed(READ_TIMEOUT, CALLS[3], events).await),
            (CALLS[4], self.list(&["docknap.check=none".to_owned()]).await.map(drop)),
            (CALLS[5], self.inspect(&missing_id).await.map(drop)),
            (CALLS[6], logs),
            (CALLS[7], stats),
            (CALLS[8], known(self.start(&missing_id).await)),
            (CALLS[9], known(self.stop(&missing_id, None, 0).await)),
            (CALLS[10], known(self.restart(&missing_id, None, 0).await)),
            (CALLS[11], known(self.pause(&missing_id).await)),
            (CALLS[12], known(self.unpause(&missing_id).await)),
        ]
    }

    /// Makes a call that changes a container. A response "already in that state" (304) is a success. Success does not
    /// mean that the state lasts: the caller must inspect the container (semantics §6).
    async fn act(
        &self,
        limit: Duration,
        id: &str,
        verb: &str,
        call: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), DockerError> {
        if !is_reference(id) {
            return Err(DockerError::no_such(id));
        }
        self.acting.fetch_add(1, Ordering::Relaxed);
        let _acting = Acting(&self.acting);
        self.timed(limit, &format!("POST /containers/{id}/{verb}"), call).await
    }

    /// Sends a GET request and parses the response.
    async fn get<T: DeserializeOwned>(
        &self,
        limit: Duration,
        path: &str,
        query: &str,
    ) -> Result<T, DockerError> {
        let body = self.body(limit, path, query).await?;
        self.read(path, &body)
    }

    async fn body(&self, limit: Duration, path: &str, query: &str) -> Result<Vec<u8>, DockerError> {
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        self.timed(limit, &format!("GET {path}"), self.wire.get(&target)).await
    }

    fn read<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, DockerError> {
        answers::read(body)
            .map_err(|error| words::error(self.wire.endpoint(), &format!("GET {path}"), &error))
    }

    /// Waits at most `limit` for a call, including its body: the headers may arrive and the body never.
    async fn timed<T>(
        &self,
        limit: Duration,
        call: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, DockerError> {
        match self.clock.timeout(limit, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(words::error(self.wire.endpoint(), call, &error)),
            Err(_) => Err(DockerError::TimedOut),
        }
    }
}

/// Decrements the counter when a call ends, also when its future is dropped.
struct Acting<'a>(&'a AtomicUsize);

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn seconds(grace: Option<u32>) -> Option<i32> {
    grace.map(|grace| i32::try_from(grace).unwrap_or(i32::MAX))
}

fn limit(grace: Option<u32>, container_grace: u32) -> Duration {
    Duration::from_secs(u64::from(grace.unwrap_or(container_grace))) + TIMEOUT_BEYOND_GRACE
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The newest API version that both sides support, or the text of an error.
fn common_version(theirs: Option<(u32, u32)>, least: (u32, u32)) -> Result<String, String> {
    let shown = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    let theirs = theirs.ok_or("does not say which API version it speaks")?;
    if least > NEWEST_API {
        return Err(format!(
            "speaks API {} at least, and this DockNap {} at most: update DockNap",
            shown(least),
            shown(NEWEST_API)
        ));
    }
    if theirs < OLDEST_API {
        return Err(format!(
            "speaks API {} at most, and DockNap needs {}: update Docker",
            shown(theirs),
            shown(OLDEST_API)
        ));
    }
    Ok(shown(theirs.min(NEWEST_API)))
}

/// The query of the container list: all containers, or those with all the labels.
fn list_query(labels: &[String]) -> String {
    if labels.is_empty() {
        return "all=true".to_owned();
    }
    let filters = serde_json::json!({ "label": labels }).to_string();
    format!("all=true&filters={}", utf8_percent_encode(&filters, NON_ALPHANUMERIC))
}

/// Whether a text is safe in a path as an id or name: Docker's own grammar, which excludes slashes.
fn is_reference(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// The last lines of a text. If they exceed `bytes` in total, the latest are kept.
fn tail(text: &str, lines: usize, bytes: usize) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut left = bytes;
    for line in text.lines().rev().filter(|line| !line.trim().is_empty()).take(lines) {
        let mut shown = String::new();
        for c in line.trim_end().chars() {
            one_line::push_visible(&mut shown, c);
            if shown.len() > left {
                break;
            }
        }
        if shown.len() > left {
            let end = shown.floor_char_boundary(left.saturating_sub("…".len()));
            shown.truncate(end);
            if left >= "…".len() {
                shown.push('…');
            }
        }
        left = left.saturating_sub(shown.len());
        if !shown.is_empty() {
            kept.push(shown);
        }
        if left == 0 {
            break;
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_newest_common_version_is_chosen() {
        assert_eq!(common_version(Some((1, 41)), (1, 12)), Ok("1.41".to_owned()));
        assert_eq!(common_version(Some((1, 60)), (1, 44)), Ok("1.53".to_owned()));
        assert!(common_version(Some((1, 60)), (1, 54)).expect_err("too new").contains("update DockNap"));
        assert!(common_version(Some((1, 24)), (1, 12)).expect_err("too old").contains("update Docker"));
        assert!(common_version(None, (1, 12)).is_err());
        assert_eq!(parse_version("x"), None);
        assert_eq!(parse_version("1.41"), Some((1, 41)));
    }

    #[test]
    fn a_label_of_any_text_is_escaped_in_the_query() {
        assert_eq!(list_query(&[]), "all=true");
        let query = list_query(&["a=\"&b=1#é %".to_owned(), "c".to_owned()]);
        let pairs: BTreeMap<String, String> = serde_urlencoded::from_str(&query).expect("pairs");
        assert_eq!(pairs.len(), 2, "{query}");
        assert_eq!(pairs["filters"], r#"{"label":["a=\"&b=1#é %","c"]}"#);
        assert!(format!("/x?{query}").parse::<hyper::Uri>().is_ok(), "{query}");
    }

    #[test]
    fn only_valid_ids_and_names_are_used_in_a_path() {
        for good in ["a", "web-1", "docknap_db.1", &"0".repeat(64)] {
            assert!(is_reference(good), "{good}");
        }
        for bad in ["", "-x", "a/../b", "a b", "..", "a?x=1", "é", "a%2Fb", "\"><x"] {
            assert!(!is_reference(bad), "{bad}");
        }
    }

    #[test]
    fn last_lines_are_limited_and_escaped() {
        assert_eq!(tail("1\n2\n\n3\r\n4\n5\n6\n", 5, 2_048), ["2", "3", "4", "5", "6"]);
        assert_eq!(tail("\u{1b}[31mred\u{7}\n", 5, 2_048), ["\\u{1b}[31mred\\u{7}"]);
        let long = tail(&format!("first\n{}\nlast", "é".repeat(40_000)), 5, 2_048);
        assert_eq!(long.len(), 2);
        assert!(long.iter().map(String::len).sum::<usize>() <= 2_048, "{}", long[0].len());
        assert!(long[0].ends_with('…') && long[1] == "last");
        assert_eq!(tail("", 5, 10), Vec::<String>::new());
    }
}
