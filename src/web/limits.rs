//! What one request may cost: its body, its time, its frequency where it computes much.

use std::any::Any;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use governor::Quota;
use governor::middleware::NoOpMiddleware;
use tokio::sync::oneshot;
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};

use super::error::{self, Problem};
use super::proxy::Via;
use super::serve::{Place, wait};
use crate::app::Error;
use crate::app::auth::devices::Presented;
use crate::app::auth::flood::{RateLimit, network};
use crate::clock::Clock;
use crate::domain::ids::UserId;

/// Bytes of the largest body, but for those that carry a calendar file.
pub const BODY: usize = 64 * 1024;
/// Bytes of the largest body that carries a calendar file of 1 MiB (rulings 27): a form writes some bytes of it as
/// three.
pub const FILE_BODY: usize = 3 * 1024 * 1024 + BODY;
/// How long a request may take before its answer begins. A stream begins at once and may then last.
const TIME: Duration = Duration::from_secs(30);
/// How long the body of a request that may write may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(25);
/// Logins a caller may try at once; two more each second. Far above what anybody types: how often passwords
/// may be wrong is counted where that is known.
const FLOOD_BURST: u32 = 120;
/// Milliseconds after which one more may be tried.
const FLOOD_PERIOD: u64 = 500;
/// Previews an account may ask for at once …
const PREVIEW_BURST: NonZeroU32 = NonZeroU32::new(60).unwrap();
/// … and in a minute (rulings 27).
const PREVIEWS: NonZeroU32 = NonZeroU32::new(240).unwrap();
/// Callers that are gone are forgotten every so many calls.
const TIDY: u32 = 256;

/// Holds back floods of logins before anything is looked up for them.
pub struct Flood {
    config: Arc<GovernorConfig<ByCaller, NoOpMiddleware>>,
    seen: AtomicU32,
}

impl Flood {
    pub(super) fn new() -> Self {
        let config = GovernorConfigBuilder::default()
            .per_millisecond(FLOOD_PERIOD)
            .burst_size(FLOOD_BURST)
            .methods(vec![Method::POST])
            .key_extractor(ByCaller)
            .finish()
            .expect("neither the period nor the burst is zero");
        Self { config: Arc::new(config), seen: AtomicU32::new(0) }
    }

    /// The layer for routes that take passwords. What a code or link lets in is not among them: a good one proves
    /// itself.
    pub fn layer(&self) -> GovernorLayer<ByCaller, NoOpMiddleware, Body> {
        GovernorLayer::new(Arc::clone(&self.config)).error_handler(|refusal| {
            let wait = match refusal {
                GovernorError::TooManyRequests { wait_time, .. } => wait_time,
                _ => 1,
            };
            Error::TooManyTries { retry_after: Duration::from_secs(wait.max(1)) }.into_response()
        })
    }

    /// Forgets now and then whom there is no need to remember.
    pub fn tidy(&self) {
        if self.seen.fetch_add(1, Ordering::Relaxed) % TIDY == TIDY - 1 {
            self.config.limiter().retain_recent();
        }
    }
}

/// Counts a browser that has an id of its own by that, so that strangers behind the same address hold it back by
/// nothing; everybody else by address, IPv6 by /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByCaller;

impl KeyExtractor for ByCaller {
    type Key = String;

    fn extract<T>(&self, request: &axum::http::Request<T>) -> Result<String, GovernorError> {
        let browser = request.extensions().get::<Presented>().and_then(Presented::first);
        // Where the peer is not known they all count as one.
        let ip = Via::of(request.extensions()).ip;
        let address = || network(ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))).to_string();
        Ok(browser.unwrap_or_else(address))
    }
}

/// Holds back an account that asks for previews quicker than anybody types: each looks through years of instants.
pub type Previews = RateLimit<UserId>;

pub(super) fn previews() -> Previews {
    RateLimit::new(Quota::per_minute(PREVIEWS).allow_burst(PREVIEW_BURST))
}

/// Bytes of the largest body an address takes; `path` is below the base path.
pub fn body_of(path: &str) -> usize {
    let carries_file = ["/calendars", "/api/calendars"]
        .iter()
        .any(|begin| path.strip_prefix(begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if carries_file { FILE_BODY } else { BODY }
}

/// Gives each address its own limit. Whoever reads a body is held to it.
pub(super) async fn body(mut request: Request, next: Next) -> Response {
    DefaultBodyLimit::max(body_of(request.uri().path())).apply(&mut request);
    next.run(request).await
}

/// Answers 503 where a request takes too long. What only reads is given up then, and where its caller hangs up; what
/// may write goes on in a task of its own until it ends (rulings 36), so that nothing is left half done.
pub(super) async fn time(State(clock): State<Clock>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return clock.timeout(TIME, next.run(request)).await.unwrap_or_else(|_| {
            Error::Unavailable { message: "this took longer than 30 s; try again".to_owned() }.into_response()
        });
    }
    let place = request.extensions().get::<Place>().cloned();
    let late = Arc::new(AtomicBool::new(false));
    let request = request.map(|body| punctual(body, &clock, Arc::clone(&late)));
    let (answer, answered) = oneshot::channel();
    tokio::spawn(async move {
        let response = next.run(request).await;
        drop(place);
        let response = if late.load(Ordering::Relaxed) { too_slow() } else { response };
        if let Err(unheard) = answer.send(response) {
            error::log_unheard(&unheard);
        }
    });
    match clock.timeout(TIME, answered).await {
        Ok(answered) => answered.unwrap_or_else(|broken| error::internal(broken).into_response()),
        Err(_) => Error::Unavailable {
            message:
                "this takes longer than 30 s and goes on; look what became of it before you send it again"
                    .to_owned(),
        }
        .into_response(),
    }
}

fn too_slow() -> Response {
    let detail = format!("The request did not arrive whole within {} s.", BODY_TIME.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "Sent too slowly", detail).into_response()
}

/// A body that has to arrive in [`BODY_TIME`]: what waits for it outlives its caller otherwise.
fn punctual(body: Body, clock: &Clock, late: Arc<AtomicBool>) -> Body {
    let parts = (body.into_data_stream(), wait(clock, BODY_TIME), late);
    Body::from_stream(stream::unfold(parts, async |(mut body, mut end, late)| {
        tokio::select! {
            biased;
            part = body.next() => Some((part?, (body, end, late))),
            () = &mut end => {
                late.store(true, Ordering::Relaxed);
                let fault = io::Error::from(io::ErrorKind::TimedOut);
                Some((Err(axum::Error::new(fault)), (body, end, late)))
            }
        }
    }))
}

/// The answer where a handler panicked: one bad request must not close the connection of the next.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    error::internal(Panicked(words(&*panic))).into_response()
}

#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

fn words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use axum::{Router, http};
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_answer() {
        async fn broken() -> &'static str {
            panic!("a handler that panics on purpose")
        }
        let router = Router::new().route("/", get(broken)).layer(CatchPanicLayer::custom(panicked));
        let request = http::Request::new(Body::empty());
        let response = router.oneshot(request).await.expect("it answers");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            response.extensions().get::<error::Problem>().map(|problem| problem.code),
            Some("internal")
        );
    }
}
