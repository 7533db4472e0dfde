//! `/healthz` and `/readyz`: a word and a status, for programs, without a login and without detail.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;

use super::Web;

/// The scheduler looks at least every 30 s; thrice that is one that hangs.
const TICK: Duration = Duration::from_secs(90);
/// How old the Engine's last answer may be.
const PING: Duration = Duration::from_secs(3);

/// Process, database, scheduler.
pub(super) async fn alive(State(web): State<Web>) -> (StatusCode, &'static str) {
    answer(is_alive(&web).await)
}

/// The same, and Docker answers.
pub(super) async fn ready(State(web): State<Web>) -> (StatusCode, &'static str) {
    let docker = || {
        let pinged = web.app.hosts.local().last_ping();
        pinged.is_some_and(|at| at.duration_since(web.app.clock.now()).unsigned_abs() <= PING)
    };
    answer(!web.app.vitals.is_stopping() && docker() && is_alive(&web).await)
}

async fn is_alive(web: &Web) -> bool {
    let age = web.app.clock.now().duration_since(web.app.vitals.last_tick());
    // A clock set back makes the age negative: the scheduler is not at fault.
    Duration::try_from(age).unwrap_or_default() < TICK && crate::app::ping(&web.app).await
}

fn answer(well: bool) -> (StatusCode, &'static str) {
    if well { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable\n") }
}
