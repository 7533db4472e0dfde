//! The limits of a request: size of its body, duration, and rate of logins and of expensive previews.

use std::any::Any;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::CONTENT_LENGTH;
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
use crate::app::backup::upload;
use crate::clock::Clock;
use crate::domain::ids::UserId;

/// The maximum size of a body in bytes, except for routes that take a calendar file.
pub const BODY: usize = 64 * 1024;
/// The maximum size of a body that contains a calendar file of 1 MiB (rulings 27), in bytes; form encoding writes some
/// bytes as three.
pub const FILE_BODY: usize = 3 * 1024 * 1024 + BODY;
/// The path of an uploaded backup, below the base path.
pub const UPLOAD: &str = "/settings/backup/upload";
/// The maximum size of the body of an uploaded backup in bytes, with the other parts of its form.
#[expect(clippy::cast_possible_truncation, reason = "2 GiB fit into every usize that DockNap runs with")]
pub const UPLOAD_BODY: usize = upload::LARGEST as usize + BODY;
/// The maximum time in which an uploaded backup has to arrive …
const UPLOAD_TIME: Duration = Duration::from_secs(3600);
/// … and in which it is checked after that.
const INSPECTION_TIME: Duration = Duration::from_secs(600);
/// The maximum time until the response to a request begins. A stream begins at once and may last longer.
const TIME: Duration = Duration::from_secs(30);
/// The maximum time in which the body of a request that may write has to arrive.
const BODY_TIME: Duration = Duration::from_secs(25);
/// The maximum number of login attempts of a caller at once; two more are allowed each second. The number is far above
/// what a person can type: wrong passwords are counted elsewhere, by the login itself.
const FLOOD_BURST: u32 = 120;
/// Milliseconds after which one more login attempt is allowed.
const FLOOD_PERIOD: u64 = 500;
/// The maximum number of previews of an account at once …
const PREVIEW_BURST: NonZeroU32 = NonZeroU32::new(60).unwrap();
/// … and per minute (rulings 27).
const PREVIEWS: NonZeroU32 = NonZeroU32::new(240).unwrap();
/// The number of login attempts after which idle callers are removed from the rate limiter.
const TIDY_EVERY: u32 = 256;

/// The rate limit of login attempts, which applies before any database query.
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

    /// The layer for routes that take passwords. Routes that take a code or a link are not limited here, since a valid
    /// one is proof enough.
    pub fn layer(&self) -> GovernorLayer<ByCaller, NoOpMiddleware, Body> {
        GovernorLayer::new(Arc::clone(&self.config)).error_handler(|refusal| {
            let wait = match refusal {
                GovernorError::TooManyRequests { wait_time, .. } => wait_time,
                _ => 1,
            };
            Error::TooManyTries { retry_after: Duration::from_secs(wait.max(1)) }.into_response()
        })
    }

    /// Removes idle callers from the rate limiter, once every `TIDY_EVERY` calls.
    pub fn tidy(&self) {
        if self.seen.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.config.limiter().retain_recent();
        }
    }
}

/// The key of the rate limit: the id of a browser that is known from an earlier login, so that other clients behind the
/// same address do not slow it down; else the address, for IPv6 its /64 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByCaller;

impl KeyExtractor for ByCaller {
    type Key = String;

    fn extract<T>(&self, request: &axum::http::Request<T>) -> Result<String, GovernorError> {
        let browser = request.extensions().get::<Presented>().and_then(Presented::first);
        // All requests without a known peer count as one caller.
        let ip = Via::of(request.extensions()).ip;
        let address = || network(ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))).to_string();
        Ok(browser.unwrap_or_else(address))
    }
}

/// The rate limit of previews per account: each preview computes years of fires and edges.
pub type Previews = RateLimit<UserId>;

pub(super) fn previews() -> Previews {
    RateLimit::new(Quota::per_minute(PREVIEWS).allow_burst(PREVIEW_BURST))
}

/// The maximum size of a body with the settings of a host: three PEM texts of 64 KiB, with their line ends as a form
/// sends them.
const HOST_BODY: usize = 3 * BODY * 2;

/// The maximum size in bytes of a body at this path; `path` is below the base path.
pub fn body_of(path: &str) -> usize {
    let is_below =
        |begin: &str| path.strip_prefix(begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_of = |noun: &str| {
        is_below(noun) || path.strip_prefix("/api").is_some_and(|_| is_below(&format!("/api{noun}")))
    };
    match () {
        () if is_of("/calendars") || is_below("/settings/import") || is_below("/api/import") => FILE_BODY,
        () if is_of("/hosts") => HOST_BODY,
        () if path == UPLOAD => UPLOAD_BODY,
        () => BODY,
    }
}

/// Middleware: sets the body limit of the path, which applies when the body is read.
pub(super) async fn body(mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // Nothing but a backup may be larger than a calendar file, whether its body is read or not.
    if path != UPLOAD && length.is_some_and(|length| length > FILE_BODY as u64) {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    DefaultBodyLimit::max(body_of(path)).apply(&mut request);
    next.run(request).await
}

/// Middleware: responds with 503 if a request takes too long. A request that only reads is dropped then, and also when
/// its client disconnects. A request that may write runs on in a task of its own until it ends (rulings 36), so that no
/// change is left half done.
pub(super) async fn time(State(clock): State<Clock>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return clock.timeout(TIME, next.run(request)).await.unwrap_or_else(|_| {
            Error::Unavailable { message: "this took longer than 30 s; try again".to_owned() }.into_response()
        });
    }
    let place = request.extensions().get::<Place>().cloned();
    let late = Arc::new(AtomicBool::new(false));
    let (time, body_time) = match request.uri().path() {
        UPLOAD => (UPLOAD_TIME + INSPECTION_TIME, UPLOAD_TIME),
        _ => (TIME, BODY_TIME),
    };
    let request = request.map(|body| with_deadline(body, &clock, body_time, Arc::clone(&late)));
    let (answer, answered) = oneshot::channel();
    tokio::spawn(async move {
        let response = next.run(request).await;
        drop(place);
        let response = if late.load(Ordering::Relaxed) { too_slow(body_time) } else { response };
        if let Err(unsent) = answer.send(response) {
            error::log_unsent(&unsent);
        }
    });
    match clock.timeout(time, answered).await {
        Ok(response) => response.unwrap_or_else(|broken| error::internal(broken).into_response()),
        Err(_) => Error::Unavailable {
            message: format!(
                "this takes longer than {} s and goes on; look what became of it before you send it again",
                time.as_secs()
            ),
        }
        .into_response(),
    }
}

fn too_slow(time: Duration) -> Response {
    let detail = format!("The request did not arrive whole within {} s.", time.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "Sent too slowly", detail).into_response()
}

/// A body that fails unless it arrives within `time`: the task that reads it is not dropped when the client
/// disconnects.
fn with_deadline(body: Body, clock: &Clock, time: Duration, late: Arc<AtomicBool>) -> Body {
    let parts = (body.into_data_stream(), wait(clock, time), late);
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

/// The response after a panic in a handler; without it the panic would close the connection, and with it later
/// requests.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    error::internal(Panicked(message_of(&*panic))).into_response()
}

#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

fn message_of(panic: &(dyn Any + Send)) -> String {
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
    async fn a_panic_becomes_a_response() {
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
