//! Signs of life that `/healthz` and `/readyz` ask for.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::Timestamp;

use crate::domain::time::{from_ms, to_ms};

/// When the scheduler last looked, and whether the process is on its way out.
#[derive(Debug)]
pub struct Vitals {
    ticked_ms: AtomicI64,
    stopping: AtomicBool,
}

impl Vitals {
    /// A process that came up at `now`: its scheduler counts as having looked then.
    pub fn new(now: Timestamp) -> Self {
        Self { ticked_ms: AtomicI64::new(to_ms(now)), stopping: AtomicBool::new(false) }
    }

    /// The scheduler looked.
    pub fn ticked(&self, now: Timestamp) {
        self.ticked_ms.store(to_ms(now), Ordering::Relaxed);
    }

    /// When the scheduler last looked.
    pub fn last_tick(&self) -> Timestamp {
        from_ms(self.ticked_ms.load(Ordering::Relaxed))
    }

    /// From now on the process is not ready.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether [`Vitals::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
