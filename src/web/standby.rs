//! What a DockNap answers that waits for another one on the same database.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{StatusCode, Uri};
use parking_lot::Mutex;

/// Seconds after which asking again makes sense.
const AGAIN: &str = "10";

/// The machine of the one that acts, as far as it is known.
pub type Other = Arc<Mutex<String>>;

type Answer = (StatusCode, [(HeaderName, &'static str); 2], String);

/// The site of one that waits.
pub fn router(other: Other) -> Router {
    Router::new().fallback(answer).with_state(other)
}

/// It is well, so that nobody restarts it for that, but no request should be sent here.
async fn answer(State(other): State<Other>, uri: Uri) -> Answer {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (RETRY_AFTER, AGAIN)];
    if uri.path().ends_with("/healthz") {
        return (StatusCode::OK, headers, "standby\n".to_owned());
    }
    let machine = other.lock().clone();
    (StatusCode::SERVICE_UNAVAILABLE, headers, format!("{}\n", words(&machine)))
}

/// Why it waits.
pub fn words(machine: &str) -> String {
    format!(
        "Another DockNap, on {machine}, acts on this database. This one waits, and takes over once that one ends."
    )
}
