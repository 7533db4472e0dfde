//! Signs of life that `/healthz` and `/readyz` ask for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::App;
use super::metrics::Counters;
use crate::domain::time::{from_ms, to_ms};

/// Beats that are remembered: ten minutes of them.
const BEATS: usize = 41;
/// What follows a beat this closely is not remembered by itself.
const BEAT: SignedDuration = SignedDuration::from_secs(15);

/// When the scheduler last looked, and whether the process is on its way out.
#[derive(Debug)]
pub struct Vitals {
    since: Timestamp,
    ticked_ms: AtomicI64,
    stopping: CancellationToken,
    /// When the scheduler looked, the oldest first, with the requests made to Docker until then.
    beats: Mutex<VecDeque<(Timestamp, u64)>>,
    /// What has happened since the process came up.
    pub counters: Counters,
}

impl Vitals {
    /// A process that came up at `now`: its scheduler counts as having looked then.
    pub fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            ticked_ms: AtomicI64::new(to_ms(now)),
            stopping: CancellationToken::new(),
            beats: Mutex::default(),
            counters: Counters::new(now),
        }
    }

    /// When the process came up.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// The scheduler looked, and so many requests were made to Docker until now.
    pub fn beat(&self, now: Timestamp, calls: u64) {
        self.ticked(now);
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        if beats.back().is_some_and(|(last, _)| now.duration_since(*last).abs() < BEAT) {
            return;
        }
        if beats.len() >= BEATS {
            beats.pop_front();
        }
        beats.push_back((now, calls));
    }

    /// When the scheduler looked lately, the oldest first, with the requests made to Docker until then.
    pub fn beats(&self) -> Vec<(Timestamp, u64)> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// The scheduler looked.
    pub fn ticked(&self, now: Timestamp) {
        self.ticked_ms.store(to_ms(now), Ordering::Relaxed);
    }

    /// When the scheduler last looked.
    pub fn last_tick(&self) -> Timestamp {
        from_ms(self.ticked_ms.load(Ordering::Relaxed))
    }

    /// From now on the process is not ready, and what would go on for ever ends.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Whether [`Vitals::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Waits for [`Vitals::stop`].
    pub async fn stopped(&self) {
        self.stopping.cancelled().await;
    }
}

/// The scheduler looks at least every 30 s; three times that is one that hangs.
const TICK: Duration = Duration::from_secs(90);

/// Whether process, database and scheduler are well.
pub async fn is_alive(app: &App) -> bool {
    let age = app.clock.now().duration_since(app.vitals.last_tick());
    // A clock that was set back makes the age negative: no fault of the scheduler's.
    Duration::try_from(age).unwrap_or_default() < TICK && app.db.ping().await.is_ok()
}

/// Whether requests should be sent here: alive, not about to stop, and the Engine has answered within 3 s.
pub async fn is_ready(app: &App) -> bool {
    !app.vitals.is_stopping() && is_alive(app).await && app.hosts.local().ping().await.is_ok()
}
