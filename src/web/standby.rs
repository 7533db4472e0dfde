//! The responses of a standby: a DockNap that waits because another one uses the same database.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{StatusCode, Uri};
use parking_lot::Mutex;

/// The value of `Retry-After`, in seconds.
const RETRY_SECONDS: &str = "10";

/// The machine name of the active DockNap, as the lease names it.
pub type Other = Arc<Mutex<String>>;

type Answer = (StatusCode, [(HeaderName, &'static str); 2], String);

/// The router of a standby.
pub fn router(other: Other) -> Router {
    Router::new().fallback(answer).with_state(other)
}

/// The response to any request. `/healthz` returns 200, so that nobody restarts the standby; everything else returns
/// 503, so that a load balancer sends no requests here.
async fn answer(State(other): State<Other>, uri: Uri) -> Answer {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (RETRY_AFTER, RETRY_SECONDS)];
    if uri.path().ends_with("/healthz") {
        return (StatusCode::OK, headers, "standby\n".to_owned());
    }
    let machine = other.lock().clone();
    (StatusCode::SERVICE_UNAVAILABLE, headers, format!("{}\n", words(&machine)))
}

/// The explanation why this DockNap waits.
pub fn words(machine: &str) -> String {
    format!(
        "Another DockNap, on {machine}, acts on this database. This one waits, and takes over once that one ends."
    )
}
