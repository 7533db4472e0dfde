//! The connections of the server: how many are open at once, their timeouts, and how they end on shutdown.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::rt::{Sleep, Timer};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::ServiceExt;

use super::proxy::is_among;
use crate::app::auth::flood::network;
use crate::clock::Clock;
use crate::domain::text::chain;

/// The maximum number of open connections; further ones wait in the accept queue of the system.
const CONNECTIONS: usize = 1024;
/// The maximum number of connections from one address, for IPv6 from one /64 network. A trusted proxy, which serves
/// many clients, may use all [`CONNECTIONS`].
const PER_ADDRESS: usize = CONNECTIONS / 4;
/// The maximum size of the head of a request in bytes, and the size of the read buffer. The size allows for the cookies
/// of other services on the same host.
const BUFFER: usize = 32 * 1024;
/// The maximum time for which a client may read nothing while data waits to be written.
const WRITE: Duration = Duration::from_secs(20);
/// The response to a client that has too many connections.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// The timeout for the head of each request on a connection, so that an idle connection is closed.
const HEAD: Duration = Duration::from_secs(30);
/// The delay before the next accept after the system could not accept a connection.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// The number of connections by address, and whether the log has a warning about the limit of the address.
#[derive(Debug, Default)]
struct Addresses(Mutex<HashMap<IpAddr, (usize, bool)>>);

/// One counted connection of an address, until it is dropped.
#[derive(Debug)]
struct AddressSlot(Arc<Addresses>, IpAddr);

impl Addresses {
    /// Counts one more connection of an address; `None` if the address is at its limit.
    fn slot(self: &Arc<Self>, address: IpAddr) -> Option<AddressSlot> {
        let mut taken = self.0.lock();
        let (count, logged) = taken.entry(address).or_default();
        if *count >= PER_ADDRESS {
            if !std::mem::replace(logged, true) {
                tracing::warn!(
                    "{address} has {PER_ADDRESS} connections and gets no other; a reverse proxy may have more where \
                     DOCKNAP_TRUSTED_PROXIES names it"
                );
            }
            return None;
        }
        *count += 1;
        Some(AddressSlot(Arc::clone(self), address))
    }
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut taken = self.0.0.lock();
        if let Entry::Occupied(mut count) = taken.entry(self.1) {
            count.get_mut().0 -= 1;
            if count.get().0 == 0 {
                count.remove();
            }
        }
    }
}

/// Serves until `stop` is cancelled. Then no connection is accepted, idle connections end, and running responses are
/// written to their end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    clock: Clock,
    trusted: Vec<IpNet>,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    let addresses = Arc::new(Addresses::default());
    let shutdown = GracefulShutdown::new();
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, accept(&listener, &clock).await)
        };
        let (Ok(permit), (stream, peer)) = (tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        }) else {
            break;
        };
        let ip = peer.ip().to_canonical();
        let slot = if is_among(ip, &trusted) {
            None
        } else if let Some(slot) = addresses.slot(network(ip)) {
            Some(slot)
        } else {
            // A client that cannot receive this much at once gets no response.
            let _ = refuse(stream);
            continue;
        };
        let place = Place(Arc::new((permit, slot, connections.token())));
        let service = router.clone().map_request(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(place.clone());
            request
        });
        let serving = http1::Builder::new()
            .timer(ClockTimer(clock.clone()))
            .header_read_timeout(HEAD)
            .max_buf_size(BUFFER)
            .serve_connection(
                TokioIo::new(WriteTimeout { stream, clock: clock.clone(), stalled: None }),
                TowerToHyperService::new(service),
            );
        let serving = shutdown.watch(serving);
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::trace!(error = %chain(&error), "a connection ended");
            }
        });
    }
    drop(listener);
    shutdown.shutdown().await;
    connections.close();
    connections.wait().await;
}

/// Sends [`TOO_MANY`] without waiting for the client. The blocking socket is used directly, since tokio has not yet
/// registered that this new connection is writable.
fn refuse(stream: TcpStream) -> io::Result<()> {
    let mut stream = stream.into_std()?;
    stream.write_all(TOO_MANY)?;
    // An unread request would end the connection with a reset, which some clients see before the response.
    let _ = stream.read(&mut vec![0; BUFFER]).map(drop);
    stream.shutdown(Shutdown::Write)
}

/// The next connection. A connection that the client aborted before it was accepted is skipped.
async fn accept(listener: &TcpListener, clock: &Clock) -> (TcpStream, SocketAddr) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) => {
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "no connection can be accepted for now");
                clock.sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// A slot among the connections. Work that outlives its connection keeps the slot until it ends, and shutdown waits for
/// that.
#[derive(Clone, Debug)]
pub(super) struct Place(
    #[expect(dead_code, reason = "held for its Drop")]
    Arc<(OwnedSemaphorePermit, Option<AddressSlot>, TaskTrackerToken)>,
);

/// A timer on the [`Clock`], whose time tests can set.
pub(super) type Wait = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

pub(super) fn wait(clock: &Clock, duration: Duration) -> Wait {
    let clock = clock.clone();
    Box::pin(async move { clock.sleep(duration).await })
}

/// A connection that ends if its client reads nothing for [`WRITE`], since pending data is held in memory.
struct WriteTimeout {
    stream: TcpStream,
    clock: Clock,
    /// The timeout of the current write; `None` while writes do not block.
    stalled: Option<Wait>,
}

impl WriteTimeout {
    fn watch(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| wait(&self.clock, WRITE));
        stalled.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for WriteTimeout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WriteTimeout {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, data);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, data);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The timer of hyper on the [`Clock`], whose time tests can set.
#[derive(Debug)]
struct ClockTimer(Clock);

impl Timer for ClockTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Sleeping(wait(&self.0, duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }
}

struct Sleeping(Wait);

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

impl Sleep for Sleeping {}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: nas\r\n\r\n";

    /// A server that responds with `awake`: its address, its clock, the token that stops it, and its task.
    async fn site() -> (SocketAddr, Clock, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let clock = Clock::frozen(jiff::Timestamp::UNIX_EPOCH);
        let stop = CancellationToken::new();
        let router = Router::new()
            .route("/", get(|| async { "awake" }))
            .route("/much", get(|| async { vec![b'x'; MUCH] }));
        let trusted = vec!["127.0.0.3/32".parse().expect("a network")];
        let task = tokio::spawn(serve(listener, router, clock.clone(), trusted, stop.clone()));
        (address, clock, stop, task)
    }

    /// Bytes that exceed the socket buffers of the system.
    const MUCH: usize = 64 * 1024 * 1024;

    /// A connection from this address of the local machine.
    async fn from(source: &str, address: SocketAddr) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(format!("{source}:0").parse().expect("an address")).expect("an address of this machine");
        socket.connect(address).await.expect("it connects")
    }

    async fn read_all(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        // A reset is an end too.
        let _ = stream.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test]
    async fn a_request_head_above_the_maximum_is_refused() {
        let (address, ..) = site().await;
        let head = |length: usize| format!("GET / HTTP/1.1\r\nhost: nas\r\ncookie: {}", "x".repeat(length));
        let mut hostile = TcpStream::connect(address).await.expect("it connects");
        // The server may refuse the request while it is being sent.
        let _ = hostile.write_all(head(BUFFER * 2).as_bytes()).await;
        assert!(read_all(&mut hostile).await.starts_with("HTTP/1.1 431"));
        let mut many_cookies = TcpStream::connect(address).await.expect("it connects");
        let whole = format!("{}\r\n\r\n", head(BUFFER / 2));
        many_cookies.write_all(whole.as_bytes()).await.expect("it is sent");
        assert!(answer(&mut many_cookies).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn one_address_cannot_use_all_connections() {
        let (address, ..) = site().await;
        let mut held = Vec::new();
        for _ in 0..PER_ADDRESS {
            held.push(from("127.0.0.1", address).await);
        }
        assert!(read_all(&mut from("127.0.0.1", address).await).await.starts_with("HTTP/1.1 503"));
        // A client that has sent its request already also receives the response, and its connection ends without a
        // reset.
        let mut client = std::net::TcpStream::connect(address).expect("it connects");
        Write::write_all(&mut client, REQUEST).expect("it is sent");
        client.set_nonblocking(true).expect("it can be");
        let mut received = String::new();
        let mut client = TcpStream::from_std(client).expect("a runtime");
        AsyncReadExt::read_to_string(&mut client, &mut received).await.expect("it ends in order");
        assert_eq!(received.as_bytes(), TOO_MANY);
        assert!(client.take_error().expect("it can be asked").is_none(), "what was sent was read");
        let mut other = from("127.0.0.2", address).await;
        other.write_all(REQUEST).await.expect("it is sent");
        assert!(answer(&mut other).await.starts_with("HTTP/1.1 200"));
        // A trusted proxy may open more connections.
        for _ in 0..=PER_ADDRESS {
            held.push(from("127.0.0.3", address).await);
        }
        let proxy = held.last_mut().expect("there are some");
        proxy.write_all(REQUEST).await.expect("it is sent");
        assert!(answer(proxy).await.starts_with("HTTP/1.1 200"));
        // A connection that ends frees its slot.
        drop(held.remove(0));
        loop {
            let mut next = from("127.0.0.1", address).await;
            next.write_all(REQUEST).await.expect("it is sent");
            let mut first = [0; 12];
            if next.read_exact(&mut first).await.is_ok() && first.ends_with(b"200") {
                break;
            }
        }
    }

    #[tokio::test]
    async fn a_response_that_the_client_does_not_read_is_given_up() {
        let (address, clock, stop, task) = site().await;
        let mut lazy = TcpStream::connect(address).await.expect("it connects");
        lazy.write_all(b"GET /much HTTP/1.1\r\nhost: nas\r\n\r\n").await.expect("it is sent");
        let until_it_waits_for = async |left: Duration| {
            while until_it_waits(&clock).await != left {
                tokio::task::yield_now().await;
            }
        };
        until_it_waits_for(WRITE).await;
        // A read within the timeout restarts it.
        clock.advance(WRITE / 2);
        let mut taken = 0;
        let mut part = vec![0; 1024 * 1024];
        while taken < MUCH / 4 {
            taken += lazy.read(&mut part).await.expect("it can be read");
        }
        until_it_waits_for(WRITE).await;
        clock.advance(WRITE / 2);
        // The connection is closed by the timeout; otherwise the shutdown would wait for it.
        stop.cancel();
        while !task.is_finished() {
            clock.advance(clock.next_sleeper().unwrap_or_default());
            tokio::task::yield_now().await;
        }
        task.await.expect("it ends");
        let rest = read_all(&mut lazy).await.len();
        assert!(taken + rest < MUCH, "{taken} and {rest}");
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        while !text.ends_with("awake") {
            let mut part = [0; 512];
            let count = stream.read(&mut part).await.expect("it can be read");
            assert!(count > 0, "the connection ended after {text:?}");
            text.push_str(&String::from_utf8_lossy(&part[..count]));
        }
        text
    }

    /// Lets tasks run until one of them waits on the clock; returns the remaining time.
    async fn until_it_waits(clock: &Clock) -> Duration {
        loop {
            match clock.next_sleeper() {
                Some(left) => return left,
                None => tokio::task::yield_now().await,
            }
        }
    }

    #[tokio::test]
    async fn a_request_that_is_never_finished_is_dropped() {
        let (address, clock, ..) = site().await;
        let mut slow = TcpStream::connect(address).await.expect("it connects");
        slow.write_all(&REQUEST[..20]).await.expect("it is sent");
        let left = until_it_waits(&clock).await;
        assert!(left <= HEAD && left > HEAD / 2, "{left:?}");
        clock.advance(HEAD);
        let mut rest = Vec::new();
        // An end or a reset, but no response.
        let _ = slow.read_to_end(&mut rest).await;
        assert!(!String::from_utf8_lossy(&rest).contains("awake"));
        // Other clients are still served.
        let mut quick = TcpStream::connect(address).await.expect("it connects");
        quick.write_all(REQUEST).await.expect("it is sent");
        assert!(answer(&mut quick).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn an_idle_connection_ends_on_shutdown() {
        let (address, _clock, stop, task) = site().await;
        let mut kept = TcpStream::connect(address).await.expect("it connects");
        kept.write_all(REQUEST).await.expect("it is sent");
        answer(&mut kept).await;
        stop.cancel();
        task.await.expect("it ends");
        assert_eq!(kept.read(&mut [0; 16]).await.expect("it can be read"), 0, "the connection is closed");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    }
}
