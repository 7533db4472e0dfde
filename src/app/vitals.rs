//! The state of the process for `/healthz`, `/readyz` and the health page: the last passes of the scheduler, and
//! whether database and Docker respond.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::App;
use super::backup::copies::Noted;
use super::metrics::Counters;
use super::rules_file::Folder;
use crate::db;
use crate::domain::time::{from_ms, to_ms};

/// Number of passes kept: ten minutes.
const BEATS: usize = 41;
/// Minimum time between two passes that are kept.
const BEAT: SignedDuration = SignedDuration::from_secs(15);

/// State of the process.
#[derive(Debug)]
pub struct Vitals {
    since: Timestamp,
    ticked_ms: AtomicI64,
    stopping: CancellationToken,
    /// Number of write checks of the database that were started.
    checks: AtomicU64,
    /// Number and result of the last write check. One check answers all callers that arrived before it started.
    last_check: tokio::sync::Mutex<(u64, bool)>,
    /// Recent passes of the scheduler, oldest first, each with the number of Docker requests sent up to that instant.
    beats: Mutex<VecDeque<(Timestamp, u64)>>,
    /// Counters for the metrics.
    pub counters: Counters,
    /// The copies of the database.
    pub backups: Noted,
    /// What is known of the watched directory.
    pub folder: Folder,
}

impl Vitals {
    /// The state at the start of the process, which counts as a pass of the scheduler.
    pub fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            ticked_ms: AtomicI64::new(to_ms(now)),
            stopping: CancellationToken::new(),
            checks: AtomicU64::new(0),
            last_check: tokio::sync::Mutex::new((0, true)),
            beats: Mutex::default(),
            counters: Counters::new(now),
            backups: Noted::default(),
            folder: Folder::default(),
        }
    }

    /// Start of the process.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Records a pass of the scheduler, with the number of Docker requests sent so far.
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

    /// Recent passes of the scheduler, oldest first, each with the number of Docker requests sent up to that instant.
    pub fn beats(&self) -> Vec<(Timestamp, u64)> {
        self.beats.lock().iter().copied().collect()
    }

    /// Records that the scheduler is running, without an entry in the list of passes.
    pub fn ticked(&self, now: Timestamp) {
        self.ticked_ms.store(to_ms(now), Ordering::Relaxed);
    }

    /// Last instant at which the scheduler was known to run.
    pub fn last_tick(&self) -> Timestamp {
        from_ms(self.ticked_ms.load(Ordering::Relaxed))
    }

    /// Begins the shutdown: the process is no longer ready, and endless tasks end.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Number of write checks of the database.
    pub fn looks(&self) -> u64 {
        self.checks.load(Ordering::SeqCst)
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    pub async fn stopped(&self) {
        self.stopping.cancelled().await;
    }
}

/// Maximum age of the last pass. Passes are at most 30 s apart; a scheduler without one for three times as long hangs.
const TICK: Duration = Duration::from_secs(90);

/// Time limit of a health check: clients give up after 3 s.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Whether process, database and scheduler work.
pub async fn is_alive(app: &App) -> bool {
    let age = app.clock.now().duration_since(app.vitals.last_tick());
    // A clock that was set back makes the age negative, which is no fault of the scheduler.
    Duration::try_from(age).unwrap_or_default() < TICK
        && app.clock.timeout(PATIENCE, accepts_writes(app)).await.unwrap_or_default()
}

/// Whether the process can serve requests: alive, not shutting down, and one of its hosts, if it has any, responds within
/// the time limit.
pub async fn is_ready(app: &App) -> bool {
    let hosts: Vec<_> = app.hosts.all().into_iter().filter(|host| host.is_enabled()).collect();
    let docker = async {
        let mut pings: FuturesUnordered<_> = hosts.iter().map(|host| host.ping()).collect();
        while let Some(answer) = pings.next().await {
            if answer.is_ok() {
                return true;
            }
        }
        hosts.is_empty()
    };
    let docker = app.clock.timeout(PATIENCE, docker);
    // Both run at the same time, so that together they take no longer than one.
    let (alive, docker) = tokio::join!(is_alive(app), docker);
    !app.vitals.is_stopping() && alive && docker.unwrap_or_default()
}

/// Whether the database accepts writes. Checks are serialized, because anybody may request one and the database has a
/// single writer.
async fn accepts_writes(app: &App) -> bool {
    let checks = app.vitals.checks.load(Ordering::SeqCst);
    let mut last = app.vitals.last_check.lock().await;
    if last.0 <= checks {
        let number = app.vitals.checks.fetch_add(1, Ordering::SeqCst) + 1;
        let was_ill = db::storage::fault().is_some();
        let well = app.db.takes_writes().await.is_ok();
        if well && was_ill {
            // Work that could not be stored is retried now instead of after its delay.
            app.scheduler.wake();
            app.active_runs.wake();
        }
        *last = (number, well);
    }
    last.1
}
