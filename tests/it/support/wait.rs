//! Waiting for what another process does, of which no event reaches a test.

use std::time::Duration;

use docknap::clock::Clock;

/// Looks again this often.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks until something is so; fails the test after `limit`.
pub async fn until(what: &str, limit: Duration, is_so: impl AsyncFn() -> bool) {
    let clock = Clock::system();
    let give_up = clock.monotonic() + limit;
    while !is_so().await {
        assert!(clock.monotonic() < give_up, "never: {what}");
        clock.sleep(PAUSE).await;
    }
}
