//! Connections: how many there are at once, how long one may take to say what it wants, and how they end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::rt::{Sleep, Timer};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::ServiceExt;

use crate::clock::Clock;
use crate::domain::text::chain;

/// Connections at once; the next waits in the system's queue until one ends.
const CONNECTIONS: usize = 1024;
/// How long the head of a request may take, the first and each further one: who says nothing makes room.
const HEAD: Duration = Duration::from_secs(30);
/// How long to wait where the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_secs(1);

/// Serves until `stop`: then no connection is accepted, those that are idle end, and answers under way are written to
/// the end.
pub async fn serve(listener: TcpListener, router: Router, clock: Clock, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
            (permit, accept(&listener, &clock).await)
        };
        let (permit, (stream, peer)) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        let place = Place(Arc::new((permit, connections.token())));
        tokio::spawn(connection(stream, peer, place, router.clone(), clock.clone(), stop.clone()));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
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

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    router: Router,
    clock: Clock,
    stop: CancellationToken,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(place.clone());
        let answer: Answer = Box::pin(router.clone().oneshot(request));
        answer
    });
    let serving = http1::Builder::new()
        .timer(OurTime(clock))
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(error = %chain(&error), "a connection ended");
    }
}

/// A place among the connections. Work that outlives its connection keeps the place until it ends, and is waited for when
/// DockNap stops.
#[derive(Clone, Debug)]
pub(super) struct Place(
    #[expect(dead_code, reason = "held for its Drop")] Arc<(OwnedSemaphorePermit, TaskTrackerToken)>,
);

type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// Lets hyper wait by the clock that tests can move.
#[derive(Debug)]
struct OurTime(Clock);

impl Timer for OurTime {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        let clock = self.0.clone();
        Box::pin(Nap(Box::pin(async move { clock.sleep(duration).await })))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }
}

struct Nap(Pin<Box<dyn Future<Output = ()> + Send + Sync>>);

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Sleep for Nap {}

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
        let router = Router::new().route("/", get(|| async { "awake" }));
        let task = tokio::spawn(serve(listener, router, clock.clone(), stop.clone()));
        (address, clock, stop, task)
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
