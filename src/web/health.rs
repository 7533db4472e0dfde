//! `/healthz` and `/readyz`: a status and one word, for monitoring programs, without a login and without details.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};

use super::Web;
use crate::app::vitals;

type Answer = (StatusCode, [(HeaderName, &'static str); 1], &'static str);

/// `/healthz`: whether the process, the database and the scheduler work.
pub(super) async fn alive(State(web): State<Web>) -> Answer {
    answer(Box::pin(vitals::is_alive(&web.app)).await)
}

/// `/readyz`: the checks of `/healthz`, and whether Docker responds.
pub(super) async fn ready(State(web): State<Web>) -> Answer {
    answer(vitals::is_ready(&web.app).await)
}

fn answer(is_healthy: bool) -> Answer {
    let (status, word) = if is_healthy {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable\n")
    };
    // A content type of its own, so that the error layer does not replace the 503 with an error page.
    (status, [(CONTENT_TYPE, "application/vnd.docknap.health")], word)
}
