//! Carries one request to the Engine and its answer back.
//!
//! bollard shapes the requests that act; all else is asked by [`Wire::open`] and read by [`answers`] and [`streams`],
//! which bound what they read. The connection is ours, because bollard's own refuses to start without a socket, leaves
//! the API version out of the path and shakes hands anew for each TLS call without resuming. A connection serves one
//! request: over a socket that costs some 50 µs, and nothing that an Engine's restart could leave half dead is ever
//! kept.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

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

use super::endpoint::{Endpoint, Transport};
use super::{answers, streams};
use crate::clock::Clock;
use crate::domain::text::chain;
use crate::faults::Point;

/// No time is known yet.
const NEVER: i64 = i64::MIN;

/// What the header `Date` is cut to, and what two clocks that agree may differ by, in milliseconds.
const SECOND: i64 = 1_000;
/// Clocks that drift apart by more than this were set, in milliseconds.
const SET: i64 = 2 * SECOND;

/// Longest answer that is read, in bytes: the list of ten thousand containers with fifty labels each is shorter.
const LONGEST: usize = 64 * 1024 * 1024;
/// What is read of a refusal, in bytes: Docker gives a line, a proxy a page.
const REFUSAL: usize = 64 * 1024;
/// Longest head of an answer, in bytes, and what is read at once of its body.
const BUFFER: usize = 64 * 1024;

/// The connections to one Engine and what they showed.
#[derive(Debug)]
pub(super) struct Wire {
    endpoint: Endpoint,
    clock: Clock,
    /// Such as `1.41`; calls made before it is known carry none.
    api_version: RwLock<Option<String>>,
    /// When the Engine last answered, Unix milliseconds by our clock.
    answered: AtomicI64,
    /// The Engine's clock less ours, in milliseconds, by the `Date` of its last answer: to a second or so.
    dated: AtomicI64,
    /// The same, as used: set when the link is made, and again when one of the two clocks was set.
    offset: AtomicI64,
    /// By how much `dated` is wrong, where a proxy wrote it: `offset` less `dated` when the link was made.
    misdated: AtomicI64,
    /// Requests sent so far.
    sent: AtomicU64,
}

/// A handshake or a name look-up that failed, inside an [`io::Error`], so that words can be found for it.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the name cannot be resolved: {0}")]
    Lookup(io::Error),
    #[error("TLS: {0}")]
    Tls(io::Error),
}

impl Wire {
    pub(super) fn new(endpoint: Endpoint, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            endpoint,
            clock,
            api_version: RwLock::new(None),
            answered: AtomicI64::new(NEVER),
            dated: AtomicI64::new(0),
            offset: AtomicI64::new(0),
            misdated: AtomicI64::new(0),
            sent: AtomicU64::new(0),
        })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Speaks this version from now on; `None` = whatever the Engine prefers, for the negotiation.
    pub(super) fn set_api_version(&self, api_version: Option<String>) {
        *self.api_version.write() = api_version;
    }

    /// When the Engine last answered anything.
    pub(super) fn answered(&self) -> Option<Timestamp> {
        match self.answered.load(Ordering::Relaxed) {
            NEVER => None,
            ms => Timestamp::from_millisecond(ms).ok(),
        }
    }

    /// Takes over what the Engine's clock shows: by its own word where it gave one, else by the header of its last
    /// answer, which a proxy may have written.
    pub(super) fn set_engine_clock(&self, shown: Option<Timestamp>) {
        let dated = self.dated.load(Ordering::Relaxed);
        let offset = shown.map_or(dated, |shown| shown.as_millisecond() - self.clock.now().as_millisecond());
        self.misdated.store(offset - dated, Ordering::Relaxed);
        self.offset.store(offset, Ordering::Relaxed);
    }

    /// What the Engine's clock shows now, to a second or so.
    pub(super) fn engine_now(&self) -> Timestamp {
        let now = self.clock.now();
        now.checked_add(self.ahead()).unwrap_or(now)
    }

    /// How far the Engine's clock is ahead of ours; nothing within a second, to which it is known.
    pub(super) fn ahead(&self) -> SignedDuration {
        let offset = self.offset.load(Ordering::Relaxed);
        SignedDuration::from_millis(if offset.abs() < SECOND { 0 } else { offset })
    }

    /// Requests sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Asks for `target`, path and query, and gives the body of the answer. All but success is an error, in the form
    /// that bollard gives it.
    pub(super) async fn get(self: &Arc<Self>, target: &str) -> Result<Vec<u8>, Error> {
        whole(self.open(target).await?).await
    }

    /// The same, with the body left to be read.
    pub(super) async fn open(self: &Arc<Self>, target: &str) -> Result<Incoming, Error> {
        // bollard's kind of body, so that there is one kind of connection.
        let mut request = BollardRequest::new(bollard::body_full(Bytes::new()));
        *request.uri_mut() = target.parse::<Uri>()?;
        let answering: Answering = Box::pin(Arc::clone(self).accepted(request));
        Ok(answering.await?.into_body())
    }

    /// An answer that is no refusal. Those are read here for bollard too, which would read however much there is.
    async fn accepted(self: Arc<Self>, request: BollardRequest) -> Result<Response<Incoming>, Error> {
        let response = self.exchange(request).await?;
        let status = response.status();
        // 304: it was so already.
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let mut body = response.into_body();
        let mut text = Vec::new();
        while text.len() < REFUSAL
            && let Some(data) = streams::piece(&mut body).await?
        {
            text.extend_from_slice(&data);
        }
        text.truncate(REFUSAL);
        Err(Error::DockerResponseServerError {
            status_code: status.as_u16(),
            message: answers::refusal(&text),
        })
    }

    async fn exchange(self: Arc<Self>, request: BollardRequest) -> Result<Response<Incoming>, Error> {
        let request = self.address(request)?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let acts = request.method() == hyper::Method::POST;
        if acts {
            crate::faults::point(Point::BeforeCall);
        }
        let response = match self.endpoint.transport() {
            Transport::Unix(path) => converse(UnixStream::connect(path).await?, request).await?,
            Transport::Plain { host, port } => converse(dial(host, *port).await?, request).await?,
            Transport::Tls { host, port, name, config } => {
                let stream = tokio_rustls::TlsConnector::from(Arc::clone(config))
                    .connect(name.clone(), dial(host, *port).await?)
                    .await
                    .map_err(|error| io::Error::new(error.kind(), WireError::Tls(error)))?;
                converse(stream, request).await?
            }
        };
        if acts {
            crate::faults::point(Point::AfterCall);
        }
        self.note(&response);
        Ok(response)
    }

    /// Puts the prefix and the version into the path, and the machine into the header.
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

    fn note(&self, response: &Response<Incoming>) {
        let now = self.clock.now();
        self.answered.store(now.as_millisecond(), Ordering::Relaxed);
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) {
            let offset = date.timestamp().as_millisecond() - now.as_millisecond();
            // The header is cut to the second: within one they agree.
            let offset = if (-SECOND..=0).contains(&offset) { 0 } else { offset };
            self.dated.store(offset, Ordering::Relaxed);
            let offset = offset + self.misdated.load(Ordering::Relaxed);
            if (offset - self.offset.load(Ordering::Relaxed)).abs() > SET {
                self.offset.store(offset, Ordering::Relaxed);
            }
        }
    }
}

/// bollard's own view of a wire.
pub(super) fn docker(wire: &Arc<Wire>) -> bollard::Docker {
    let wire = Arc::clone(wire);
    let transport =
        move |request: BollardRequest| -> Answering { Box::pin(Arc::clone(&wire).accepted(request)) };
    // Address, timeout and version of bollard's own are never used: `Wire` and `Client` see to them.
    bollard::Docker::connect_with_custom_transport(
        transport,
        Some("http://docker"),
        u64::MAX,
        bollard::API_DEFAULT_VERSION,
    )
    .expect("it stores its arguments and connects to nothing")
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Error>> + Send>>;

/// All of a body.
async fn whole(mut body: Incoming) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(data) = streams::piece(&mut body).await? {
        if bytes.len() + data.len() > LONGEST {
            return Err(io::Error::other("the answer is longer than any of Docker's").into());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<_> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| io::Error::new(io::ErrorKind::NotFound, WireError::Lookup(error)))?
        .collect();
    let stream = TcpStream::connect(addresses.as_slice()).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One request and its answer. The connection lives on in a task until the answer's body is read or dropped.
async fn converse<S>(stream: S, request: BollardRequest) -> Result<Response<Incoming>, Error>
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
