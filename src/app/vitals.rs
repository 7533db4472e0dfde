//! Signs of life that `/healthz` and `/readyz` ask for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::App;
use super::metrics::Counters;
use crate::db;
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
    /// How often the database was asked whether it takes writes …
    asked: AtomicU64,
    /// … and which time was answered last, and how. One asks for all who came before it began.
    stores: tokio::sync::Mutex<(u64, bool)>,
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
            asked: AtomicU64::new(0),
            stores: tokio::sync::Mutex::new((0, true)),
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
        let mut beats = self.beats.lock();
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
        self.beats.lock().iter().copied().collect()
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

    /// How often the database was asked whether it takes writes.
    pub fn looks(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
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

/// Who asks gets an answer within this time: programs give up after 3 s.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Whether process, database and scheduler are well.
pub async fn is_alive(app: &App) -> bool {
    let age = app.clock.now().duration_since(app.vitals.last_tick());
    // A clock that was set back makes the age negative: no fault of the scheduler's.
    Duration::try_from(age).unwrap_or_default() < TICK
        && app.clock.timeout(PATIENCE, stores(app)).await.unwrap_or_default()
}

/// Whether requests should be sent here: alive, not about to stop, and the Engine has answered within 3 s.
pub async fn is_ready(app: &App) -> bool {
    let docker = async { app.hosts.local().ping().await.is_ok() };
    let docker = app.clock.timeout(PATIENCE, docker);
    // At once, so that both together take no longer than one.
    let (alive, docker) = tokio::join!(is_alive(app), docker);
    !app.vitals.is_stopping() && alive && docker.unwrap_or_default()
}

/// Whether the database takes writes. Anybody may ask, and there is one who writes: it is asked by one at a time.
async fn stores(app: &App) -> bool {
    let asked = app.vitals.asked.load(Ordering::SeqCst);
    let mut last = app.vitals.stores.lock().await;
    if last.0 <= asked {
        let number = app.vitals.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let was_ill = db::storage::fault().is_some();
        let well = app.db.takes_writes().await.is_ok();
        if well && was_ill {
            // What could not be stored is tried again now, not after its wait.
            app.scheduler.wake();
            app.active_runs.wake();
        }
        *last = (number, well);
    }
    last.1
}
