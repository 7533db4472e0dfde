//! The scheduler: a loop that calls [`tick`], waits for the next due instant, and detects jumps of the clock.
//!
//! The waker is armed before the pass reads the database, so a schedule that is saved meanwhile starts another pass.
//! The longest wait is 30 s, so that a jump of the clock is noticed. In the seconds before a due instant the resource
//! use of the containers that will be put to sleep is measured ([`early`]).

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::app::execute::early::{self, EARLY};
use crate::app::{App, Result, schedules};
use crate::db;
use crate::domain::text::chain;

pub mod batch;
pub mod housekeeping;
pub mod leader;
mod reconcile;
mod tick;

pub use batch::BATCH;
pub use reconcile::reconcile;
pub use tick::{Ticked, tick};

/// The longest wait between two passes.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Difference between the wall clock and the monotonic clock that counts as a jump (semantics §3).
const JUMP: Duration = Duration::from_secs(5);
/// Longest wait for an implausible clock to be set.
const MAX_CLOCK_WAIT: Duration = Duration::from_secs(5 * 60);
/// First and longest wait after a failed pass.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// The earliest plausible time: this program is newer (2026-11-01, unix seconds).
const BUILT_AFTER: i64 = 1_793_491_200;

/// Runs passes until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    tokio::select! {
        () = wait_for_trust(&app) => {}
        () = stop.cancelled() => return,
    }
    let mut wait = BACK_OFF.0;
    let mut seen = (app.clock.now(), app.clock.monotonic());
    let mut is_timed = false;
    while !stop.is_cancelled() {
        seen = notice_jump(&app, seen);
        let passed = async {
            if !is_timed {
                // Only with a plausible clock, and before anything fires by outdated time zone rules.
                schedules::rezone(&app, &crate::zones::chosen().version).await?;
                is_timed = true;
            }
            tick(&app).await
        };
        let (next, longest) = match passed.await {
            Ok(ticked) => {
                wait = BACK_OFF.0;
                let calls = app.hosts.all().iter().map(|host| host.calls_made()).sum();
                app.vitals.beat(app.clock.now(), calls);
                (ticked.next_due, LONGEST_WAIT)
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "the scheduler cannot read or store; trying again");
                let current = wait;
                wait = (wait * 2).min(BACK_OFF.1);
                (None, current)
            }
        };
        tokio::select! {
            () = sleep(&app, next, longest) => {}
            () = look_before(&app, next, longest) => {}
            () = app.scheduler.woken() => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Sleeps until `next`, or for at most `longest`.
async fn sleep(app: &App, next: Option<Timestamp>, longest: Duration) {
    let left = next.map(|next| Duration::try_from(next.duration_since(app.clock.now())).unwrap_or_default());
    app.clock.sleep(left.unwrap_or(longest).min(longest)).await;
}

/// Starts the measurements in the seconds before the next due instant, then never returns. They run in a task of their
/// own, so they go on until that instant even if the scheduler cancels this future.
async fn look_before(app: &App, next: Option<Timestamp>, longest: Duration) {
    if let Some(next) = next {
        let left = Duration::try_from(next.duration_since(app.clock.now())).unwrap_or_default();
        let early = left.saturating_sub(EARLY);
        if !left.is_zero() && early < longest {
            app.clock.sleep(early).await;
            let app = app.clone();
            tokio::spawn(async move {
                if let Err(error) = early::look_before(&app, next).await {
                    tracing::warn!(error = %chain(&error), "what is about to sleep could not be looked at");
                }
            });
        }
    }
    std::future::pending().await
}

/// Compares the progress of the wall clock and the monotonic clock since the last call, and logs a jump. No further
/// handling is needed: instants that the clock jumped over are late, and after a jump back the repeated instants were
/// already claimed.
fn notice_jump(app: &App, (wall, monotonic): (Timestamp, Duration)) -> (Timestamp, Duration) {
    let now = (app.clock.now(), app.clock.monotonic());
    let by_wall = now.0.duration_since(wall).as_millis();
    let by_monotonic = i128::try_from(now.1.saturating_sub(monotonic).as_millis()).unwrap_or(i128::MAX);
    let jump = by_wall - by_monotonic;
    if jump.unsigned_abs() > JUMP.as_millis() {
        tracing::warn!(seconds = %(jump / 1000), "the clock was set, or the machine slept; handled as downtime");
    }
    now
}

/// Waits while the clock shows an implausible time: before the newest stored instant, or before this program was built.
/// A machine without a battery-backed clock starts with such a time until NTP sets it (semantics §3).
async fn wait_for_trust(app: &App) {
    let since = app.clock.monotonic();
    let mut is_logged = false;
    loop {
        let floor = match newest_stored(app).await {
            Ok(newest) => newest,
            Err(error) => {
                tracing::error!(error = %chain(&error), "the newest stored time cannot be read");
                None
            }
        };
        let floor =
            floor.map_or(BUILT_AFTER * 1000, |newest| newest.as_millisecond().max(BUILT_AFTER * 1000));
        if app.clock.now().as_millisecond() >= floor {
            return;
        }
        if app.clock.monotonic().saturating_sub(since) >= MAX_CLOCK_WAIT {
            tracing::error!("clock not trusted, and nobody set it for 5 minutes; going on with it");
            return;
        }
        if !is_logged {
            tracing::warn!("clock not trusted: it is behind what is stored; holding until it is set");
            is_logged = true;
        }
        app.vitals.ticked(app.clock.now());
        app.clock.sleep(Duration::from_secs(1)).await;
    }
}

async fn newest_stored(app: &App) -> Result<Option<Timestamp>> {
    Ok(db::audit::newest(&app.db).await?)
}
