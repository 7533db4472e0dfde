//! Background tasks that must not end before the process does.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Clock;
use crate::domain::text::chain;

/// Wait before a loop that panicked is restarted.
const RESTART_WAIT: Duration = Duration::from_secs(1);

/// Runs a loop until it returns, and restarts it after a panic, because one panic must not end the scheduler or the
/// connection to an Engine. Dropping the future ends the loop.
pub async fn keep_alive<F>(
    name: impl std::fmt::Display,
    clock: Clock,
    stop: CancellationToken,
    begin: impl Fn() -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let Err(error) = AbortOnDropHandle::new(tokio::spawn(begin())).await else { return };
        if stop.is_cancelled() {
            return;
        }
        tracing::error!(error = %chain(&error), "the {name} loop broke off; it begins again");
        clock.sleep(RESTART_WAIT).await;
    }
}
