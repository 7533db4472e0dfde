//! Sends one HTTP request to the Engine and receives its response.
//!
//! bollard builds the requests that change containers; all others are made by [`Wire::open`] and read by [`answers`]
//! and [`streams`], which limit how much they read. DockNap makes its own connections, because bollard's refuse to
//! start without a socket, leave the API version out of the path and make a full TLS handshake for each call without
//! resumption. Each connection serves one request: on a socket that costs about 50 µs, and no idle connection can
//! break when the Engine restarts.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bollard::BollardRequest;
use bollard::errors::Error;
use hyper::body::{Bytes, Incoming};
use hyper::header::{DATE, HOST, HeaderValue};
use hyper::{Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use parking_lot::RwLock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::endpoint::{Endpoint, Transport, join};
use super::{answers, streams};
use crate::clock::Clock;
use crate::domain::text::chain;
use crate::faults::Point;

/// Value of an atomic instant that is not set.
const NEVER: i64 = i64::MIN;

/// Precision of the `Date` header, and the largest difference at which two clocks count as equal, in milliseconds.
const SECOND: i64 = 1_000;
/// A change of the clock offset larger than this, in milliseconds, means that one of the clocks was set.
const CLOCK_WAS_SET: i64 = 2 * SECOND;

/// Longest response body that is read, in bytes: enough for a list of ten thousand containers with fifty labels each.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// Bytes of an error response that are read: Docker sends one line, a proxy an HTML page.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// Longest wait for a connection over a network, TLS included. Shorter than the time of the calls that find out whether
/// the Engine is there, so that the message says what does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// Longest response head, and the read buffer of a body, in bytes.
const BUFFER: usize = 64 * 1024;

/// Makes connections to one Engine and records its last response and its clock.
#[derive(Debug)]
pub(super) struct Wire {
    endpoint: Endpoint,
    clock: Clock,
    /// Such as `1.41`; `None` before the negotiation, when paths contain no version.
    api_version: RwLock<Option<String>>,
    /// Instant of the Engine's last response, in Unix milliseconds by our clock.
    answered: AtomicI64,
    /// The Engine's clock minus ours in milliseconds, by the `Date` header of the last response; accurate to about a
    /// second.
    date_offset: AtomicI64,
    /// The clock offset in use: set when the connection is made and when one of the clocks was set.
    offset: AtomicI64,
    /// Error of `date_offset` if a proxy writes the header: `offset` minus `date_offset` when the connection was
    /// made.
    date_error: AtomicI64,
    /// Number of requests sent so far.
    sent: AtomicU64,
}

/// A failed TLS handshake or name lookup, wrapped in an [`io::Error`] so that the message can name the cause.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the name cannot be resolved: {0}")]
    Lookup(io::Error),
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// The certificates given cannot be used, in words for the user.
    #[error("{0}")]
    Certificates(String),
    #[error("the connection was not made in time: {0:?}")]
    Stalled(Stage),
}

/// What a connection over a network waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    Files,
    Lookup,
    Connect,
    Handshake,
}

/// A stream of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Wire {
    pub(super) fn new(endpoint: Endpoint, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            endpoint,
            clock,
            api_version: RwLock::new(None),
            answered: AtomicI64::new(NEVER),
            date_offset: AtomicI64::new(0),
            offset: AtomicI64::new(0),
            date_error: AtomicI64::new(0),
            sent: AtomicU64::new(0),
        })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sets the API version of all later calls; `None` = the Engine's default, for the negotiation.
    pub(super) fn set_api_version(&self, api_version: Option<String>) {
        *self.api_version.write() = api_version;
    }

    /// Instant of the Engine's last response to any call.
    pub(super) fn answered(&self) -> Option<Timestamp> {
        match self.answered.load(Ordering::Relaxed) {
            NEVER => None,
            ms => Timestamp::from_millisecond(ms).ok(),
        }
    }

    /// Sets the clock offset: from the time the Engine reported, or else from the `Date` header of its last response,
    /// which a proxy may have written.
    pub(super) fn set_engine_clock(&self, shown: Option<Timestamp>) {
        let date_offset = self.date_offset.load(Ordering::Relaxed);
        let offset = shown.map(|shown| shown.as_millisecond() - self.clock.now().as_millisecond());
        let offset = offset.filter(is_credible).unwrap_or(date_offset);
        self.date_error.store(offset - date_offset, Ordering::Relaxed);
        self.offset.store(offset, Ordering::Relaxed);
    }

    /// The current time by the Engine's clock, accurate to about a second.
    pub(super) fn engine_now(&self) -> Timestamp {
        let now = self.clock.now();
        now.checked_add(self.ahead()).unwrap_or(now)
    }

    /// The Engine's clock minus ours; zero if the difference is below a second, the accuracy of the measurement.
    pub(super) fn ahead(&self) -> SignedDuration {
        let offset = self.offset.load(Ordering::Relaxed);
        SignedDuration::from_millis(if offset.abs() < SECOND { 0 } else { offset })
    }

    /// Number of requests sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Sends a GET request for `target` (path and query) and returns the response body. Any status other than success
    /// is an error in bollard's form.
    pub(super) async fn get(self: &Arc<Self>, target: &str) -> Result<Vec<u8>, Error> {
        read_body(self.open(target).await?).await
    }

    /// As [`Wire::get`], but returns the body unread.
    pub(super) async fn open(self: &Arc<Self>, target: &str) -> Result<Incoming, Error> {
        // bollard's body type, so that all connections have the same type.
        let mut request = BollardRequest::new(bollard::body_full(Bytes::new()));
        *request.uri_mut() = target.parse::<Uri>()?;
        let answering: ResponseFuture = Box::pin(Arc::clone(self).send_checked(request));
        Ok(answering.await?.into_body())
    }

    /// Sends a request and turns an error status into an error. The error body is read here also for bollard's calls,
    /// because bollard reads it without a limit.
    async fn send_checked(self: Arc<Self>, request: BollardRequest) -> Result<Response<Incoming>, Error> {
        let response = self.exchange(request).await?;
        let status = response.status();
        // 304 means that the container was already in the requested state.
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let mut body = response.into_body();
        let mut text = Vec::new();
        while text.len() < MAX_ERROR_BODY
            && let Some(data) = streams::next_chunk(&mut body).await?
        {
            text.extend_from_slice(&data);
        }
        text.truncate(MAX_ERROR_BODY);
        Err(Error::DockerResponseServerError {
            status_code: status.as_u16(),
            message: answers::refusal(&text),
        })
    }

    async fn exchange(self: Arc<Self>, request: BollardRequest) -> Result<Response<Incoming>, Error> {
        let request = self.address(request)?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let changes = request.method() == hyper::Method::POST;
        if changes {
            crate::faults::point(Point::BeforeCall);
        }
        let response = match self.endpoint.transport() {
            Transport::Unix(path) => send_on(UnixStream::connect(path).await?, request).await?,
            Transport::Plain { .. } | Transport::Tls { .. } => {
                send_on(self.connect().await?, request).await?
            }
        };
        if changes {
            crate::faults::point(Point::AfterCall);
        }
        self.record_response(&response);
        Ok(response)
    }

    /// Connects over a network.
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let mut stage = Stage::Files;
        let connected = self.clock.timeout(CONNECT_TIMEOUT, self.connect_in_stages(&mut stage)).await;
        connected.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, WireError::Stalled(stage))))
    }

    async fn connect_in_stages(&self, stage: &mut Stage) -> io::Result<Box<dyn Stream>> {
        match self.endpoint.transport() {
            Transport::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Transport::Plain { host, port } => Ok(Box::new(connect_tcp(host, *port, stage).await?)),
            Transport::Tls { host, port, name, tls } => {
                let config = tls.config(self.clock.now()).await.map_err(|faults| {
                    io::Error::new(io::ErrorKind::InvalidData, WireError::Certificates(join(&faults)))
                })?;
                let stream = connect_tcp(host, *port, stage).await?;
                *stage = Stage::Handshake;
                let stream = tokio_rustls::TlsConnector::from(config)
                    .connect(name.clone(), stream)
                    .await
                    .map_err(|error| io::Error::new(error.kind(), WireError::Tls(error)))?;
                Ok(Box::new(stream))
            }
        }
    }

    /// Adds the path prefix, the API version and the `Host` header.
    fn address(&self, mut request: BollardRequest) -> Result<BollardRequest, Error> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let version = self.api_version.read();
        let target = match version.as_deref() {
            Some(version) if path != "/_ping" && path != "/version" => {
                format!("{}/v{version}{path}", self.endpoint.prefix())
            }
            _ => format!("{}{path}", self.endpoint.prefix()),
        };
        drop(version);
        *request.uri_mut() = target.parse::<Uri>()?;
        let host = match self.endpoint.transport() {
            Transport::Unix(_) => "docker".to_owned(),
            Transport::Plain { host, port } | Transport::Tls { host, port, .. } if host.contains(':') => {
                format!("[{host}]:{port}")
            }
            Transport::Plain { host, port } | Transport::Tls { host, port, .. } => format!("{host}:{port}"),
        };
        let host = HeaderValue::from_str(&host).map_err(|error| io::Error::other(error.to_string()))?;
        request.headers_mut().insert(HOST, host);
        Ok(request)
    }

    fn record_response(&self, response: &Response<Incoming>) {
        if let Some(tls) = self.endpoint.tls() {
            tls.note_answer();
        }
        let now = self.clock.now();
        self.answered.store(now.as_millisecond(), Ordering::Relaxed);
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) {
            let offset = Some(date.timestamp().as_millisecond() - now.as_millisecond());
            let offset = offset.filter(is_credible).unwrap_or_default();
            // The header has whole seconds, so a difference within one second counts as none.
            let offset = if (-SECOND..=0).contains(&offset) { 0 } else { offset };
            self.date_offset.store(offset, Ordering::Relaxed);
            let offset = offset + self.date_error.load(Ordering::Relaxed);
            if (offset - self.offset.load(Ordering::Relaxed)).abs() > CLOCK_WAS_SET {
                self.offset.store(offset, Ordering::Relaxed);
            }
        }
    }
}

/// Whether a clock can differ from ours by so many milliseconds: at most ten years, so that every computation with it
/// stays within the range of instants.
fn is_credible(offset: &i64) -> bool {
    const TEN_YEARS: u64 = 10 * 366 * 86_400_000;
    offset.unsigned_abs() <= TEN_YEARS
}

/// A bollard client that sends its requests through this wire.
pub(super) fn docker(wire: &Arc<Wire>) -> bollard::Docker {
    let wire = Arc::clone(wire);
    let transport = move |request: BollardRequest| -> ResponseFuture {
        Box::pin(Arc::clone(&wire).send_checked(request))
    };
    // bollard's address, timeout and version are not used: `Wire` and `Client` set them.
    bollard::Docker::connect_with_custom_transport(
        transport,
        Some("http://docker"),
        u64::MAX,
        bollard::API_DEFAULT_VERSION,
    )
    .expect("it stores its arguments and connects to nothing")
}

type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Error>> + Send>>;

/// Reads a whole body.
async fn read_body(mut body: Incoming) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(data) = streams::next_chunk(&mut body).await? {
        if bytes.len() + data.len() > MAX_BODY {
            return Err(io::Error::other("the answer is longer than any of Docker's").into());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

async fn connect_tcp(host: &str, port: u16, stage: &mut Stage) -> io::Result<TcpStream> {
    *stage = Stage::Lookup;
    let addresses: Vec<_> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| io::Error::new(io::ErrorKind::NotFound, WireError::Lookup(error)))?
        .collect();
    *stage = Stage::Connect;
    let stream = TcpStream::connect(addresses.as_slice()).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends one request and returns its response. A task keeps the connection open until the body is read or dropped.
async fn send_on<S>(stream: S, request: BollardRequest) -> Result<Response<Incoming>, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = %chain(&error), "a connection to Docker ended early");
        }
    });
    Ok(sender.send_request(request).await?)
}
