//! `/healthz` and `/readyz`: a word and a status, for programs, without a login and without detail.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};

use super::Web;
use crate::app::vitals;

type Answer = (StatusCode, [(HeaderName, &'static str); 1], &'static str);

/// Process, database, scheduler.
pub(super) async fn alive(State(web): State<Web>) -> Answer {
    answer(Box::pin(vitals::is_alive(&web.app)).await)
}

/// The same, and Docker answers.
pub(super) async fn ready(State(web): State<Web>) -> Answer {
    answer(vitals::is_ready(&web.app).await)
}

fn answer(well: bool) -> Answer {
    let (status, word) =
        if well { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable\n") };
    // A type of its own, so that nobody takes the 503 for an error that still needs a page.
    (status, [(CONTENT_TYPE, "application/vnd.docknap.health")], word)
}
