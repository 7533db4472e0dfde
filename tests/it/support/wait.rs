//! Waiting for a change in another process that sends no event to the test.

use std::time::Duration;

use docknap::clock::Clock;

/// Time between two checks.
pub const PAUSE: Duration = Duration::from_millis(25);

/// Checks repeatedly until `is_so` returns true; fails the test after `limit`.
pub async fn until(what: &str, limit: Duration, is_so: impl AsyncFn() -> bool) {
    let clock = Clock::system();
    let give_up = clock.monotonic() + limit;
    while !is_so().await {
        assert!(clock.monotonic() < give_up, "never: {what}");
        clock.sleep(PAUSE).await;
    }
}
