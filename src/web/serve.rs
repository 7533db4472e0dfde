//! Connections: how many there are at once, how long one may take to say what it wants, and how they end.

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

/// Connections at once; the next waits in the system's queue until one ends.
const CONNECTIONS: usize = 1024;
/// Of those from one address, IPv6 by /64; as many as all there are from a trusted proxy, which speaks for many.
const PER_ADDRESS: usize = CONNECTIONS / 4;
/// Bytes of the longest head of a request, and what is read and written at once: cookies of all that runs on the same
/// host come along.
const BUFFER: usize = 32 * 1024;
/// How long a caller may take nothing of what is written to it.
const WRITE: Duration = Duration::from_secs(20);
/// What a caller is told who has too many connections.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// How long the head of a request may take, the first and each further one: who says nothing makes room.
const HEAD: Duration = Duration::from_secs(30);
/// How long to wait where the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_secs(1);

/// Connections by address, and whether the log was told that it has too many.
#[derive(Debug, Default)]
struct Addresses(Mutex<HashMap<IpAddr, (usize, bool)>>);

/// One of them, until it is dropped.
#[derive(Debug)]
struct Seat(Arc<Addresses>, IpAddr);

impl Addresses {
    /// A seat for a caller; `None` where its address has as many as it may have.
    fn seat(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let mut taken = self.0.lock();
        let (count, told) = taken.entry(address).or_default();
        if *count >= PER_ADDRESS {
            if !std::mem::replace(told, true) {
                tracing::warn!(
                    "{address} has {PER_ADDRESS} connections and gets no other; a reverse proxy may have more where \
                     DOCKNAP_TRUSTED_PROXIES names it"
                );
            }
            return None;
        }
        *count += 1;
        Some(Seat(Arc::clone(self), address))
    }
}

impl Drop for Seat {
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

/// Serves until `stop`: then no connection is accepted, those that are idle end, and answers under way are written to
/// the end.
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
        let seat = if is_among(ip, &trusted) {
            None
        } else if let Some(seat) = addresses.seat(network(ip)) {
            Some(seat)
        } else {
            // Whoever cannot take this much at once goes without.
            let _ = refuse(stream);
            continue;
        };
        let place = Place(Arc::new((permit, seat, connections.token())));
        let service = router.clone().map_request(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(place.clone());
            request
        });
        let serving = http1::Builder::new()
            .timer(OurTime(clock.clone()))
            .header_read_timeout(HEAD)
            .max_buf_size(BUFFER)
            .serve_connection(
                TokioIo::new(Steady { stream, clock: clock.clone(), stalled: None }),
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

/// Tells a caller that there is no seat, without waiting for it. tokio does not know yet that there is room to write on
/// a connection this young, so the system is asked itself.
fn refuse(stream: TcpStream) -> io::Result<()> {
    let mut stream = stream.into_std()?;
    stream.write_all(TOO_MANY)?;
    // A request that stays unread would end the connection with a reset, which some callers see before the answer.
    let _ = stream.read(&mut vec![0; BUFFER]).map(drop);
    stream.shutdown(Shutdown::Write)
}

/// The next connection. One that broke off before it was accepted is passed over.
async fn accept(listener: &TcpListener, clock: &Clock) -> (TcpStream, SocketAddr) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) => {
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "no connection can be accepted for now");
                clock.sleep(NO_ROOM).await;
            }
        }
    }
}

/// A place among the connections. Work that outlives its connection keeps the place until it ends, and is waited for
/// when DockNap stops.
#[derive(Clone, Debug)]
pub(super) struct Place(
    #[expect(dead_code, reason = "held for its Drop")]
    Arc<(OwnedSemaphorePermit, Option<Seat>, TaskTrackerToken)>,
);

/// What is waited for by the clock that tests can move.
pub(super) type Wait = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

pub(super) fn wait(clock: &Clock, duration: Duration) -> Wait {
    let clock = clock.clone();
    Box::pin(async move { clock.sleep(duration).await })
}

/// A connection that ends where its caller takes nothing for [`WRITE`]: what is written to it is held in memory.
struct Steady {
    stream: TcpStream,
    clock: Clock,
    /// Since the last write had to wait.
    stalled: Option<Wait>,
}

impl Steady {
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

impl AsyncRead for Steady {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Steady {
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

/// Lets hyper wait by the clock that tests can move.
#[derive(Debug)]
struct OurTime(Clock);

impl Timer for OurTime {
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

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: nas\r\n\r\n";

    /// A site that answers `awake`, its clock, and how it is stopped.
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

    /// More than the system holds of what nobody reads.
    const MUCH: usize = 64 * 1024 * 1024;

    /// A connection from an address of this machine.
    async fn from(source: &str, address: SocketAddr) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(format!("{source}:0").parse().expect("an address")).expect("an address of this machine");
        socket.connect(address).await.expect("it connects")
    }

    async fn all_of(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        // However it ends.
        let _ = stream.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused_before_it_is_long() {
        let (address, ..) = site().await;
        let head = |length: usize| format!("GET / HTTP/1.1\r\nhost: nas\r\ncookie: {}", "x".repeat(length));
        let mut hostile = TcpStream::connect(address).await.expect("it connects");
        // Refused while it is sent.
        let _ = hostile.write_all(head(BUFFER * 2).as_bytes()).await;
        assert!(all_of(&mut hostile).await.starts_with("HTTP/1.1 431"));
        let mut many_cookies = TcpStream::connect(address).await.expect("it connects");
        let whole = format!("{}\r\n\r\n", head(BUFFER / 2));
        many_cookies.write_all(whole.as_bytes()).await.expect("it is sent");
        assert!(answer(&mut many_cookies).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn one_address_leaves_room_for_the_others() {
        let (address, ..) = site().await;
        let mut held = Vec::new();
        for _ in 0..PER_ADDRESS {
            held.push(from("127.0.0.1", address).await);
        }
        assert!(all_of(&mut from("127.0.0.1", address).await).await.starts_with("HTTP/1.1 503"));
        // Nor is the answer lost to one that has asked already: the connection ends in order, without a reset.
        let mut asked = std::net::TcpStream::connect(address).expect("it connects");
        Write::write_all(&mut asked, ASK).expect("it is sent");
        asked.set_nonblocking(true).expect("it can be");
        let mut told = String::new();
        let mut asked = TcpStream::from_std(asked).expect("a runtime");
        AsyncReadExt::read_to_string(&mut asked, &mut told).await.expect("it ends in order");
        assert_eq!(told.as_bytes(), TOO_MANY);
        assert!(asked.take_error().expect("it can be asked").is_none(), "what was sent was read");
        let mut other = from("127.0.0.2", address).await;
        other.write_all(ASK).await.expect("it is sent");
        assert!(answer(&mut other).await.starts_with("HTTP/1.1 200"));
        // A trusted proxy speaks for many.
        for _ in 0..=PER_ADDRESS {
            held.push(from("127.0.0.3", address).await);
        }
        let proxy = held.last_mut().expect("there are some");
        proxy.write_all(ASK).await.expect("it is sent");
        assert!(answer(proxy).await.starts_with("HTTP/1.1 200"));
        // One that ends makes room for the next.
        drop(held.remove(0));
        loop {
            let mut next = from("127.0.0.1", address).await;
            next.write_all(ASK).await.expect("it is sent");
            let mut first = [0; 12];
            if next.read_exact(&mut first).await.is_ok() && first.ends_with(b"200") {
                break;
            }
        }
    }

    #[tokio::test]
    async fn an_answer_that_nobody_takes_is_given_up() {
        let (address, clock, stop, task) = site().await;
        let mut lazy = TcpStream::connect(address).await.expect("it connects");
        lazy.write_all(b"GET /much HTTP/1.1\r\nhost: nas\r\n\r\n").await.expect("it is sent");
        let until_it_stalls = async || {
            while until_it_waits(&clock).await > WRITE {
                tokio::task::yield_now().await;
            }
        };
        until_it_stalls().await;
        // What is taken in time keeps it going.
        clock.advance(WRITE / 2);
        let mut taken = 0;
        let mut part = vec![0; 1024 * 1024];
        while taken < MUCH / 4 {
            taken += lazy.read(&mut part).await.expect("it can be read");
        }
        until_it_stalls().await;
        clock.advance(WRITE / 2);
        until_it_stalls().await;
        clock.advance(WRITE);
        // The connection is given up, or the stop would wait for it.
        stop.cancel();
        task.await.expect("it ends");
        let rest = all_of(&mut lazy).await.len();
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

    /// Lets tasks run until somebody waits by the clock.
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
        slow.write_all(&ASK[..20]).await.expect("it is sent");
        let left = until_it_waits(&clock).await;
        assert!(left <= HEAD && left > HEAD / 2, "{left:?}");
        clock.advance(HEAD);
        let mut rest = Vec::new();
        // However it ends, it ends without an answer.
        let _ = slow.read_to_end(&mut rest).await;
        assert!(!String::from_utf8_lossy(&rest).contains("awake"));
        // The others are served all the same.
        let mut quick = TcpStream::connect(address).await.expect("it connects");
        quick.write_all(ASK).await.expect("it is sent");
        assert!(answer(&mut quick).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn what_is_idle_ends_when_it_is_told_to_stop() {
        let (address, _clock, stop, task) = site().await;
        let mut kept = TcpStream::connect(address).await.expect("it connects");
        kept.write_all(ASK).await.expect("it is sent");
        answer(&mut kept).await;
        stop.cancel();
        task.await.expect("it ends");
        assert_eq!(kept.read(&mut [0; 16]).await.expect("it can be read"), 0, "the connection is closed");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    }
}
