//! How the scheduler is woken, and how others tell that it lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Activator, App};

/// The scheduler's waker, and the proof that it is alive. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    wake: Activator,
    /// Milliseconds on the monotonic clock at the last pass, plus one; 0 = none yet.
    beat: Arc<AtomicU64>,
}

impl Pulse {
    /// A schedule was saved: look again.
    pub fn wake(&self) {
        self.wake.wake();
    }

    /// Waits for the next wake.
    pub(crate) async fn woken(&self) {
        self.wake.woken().await;
    }

    /// A pass was made.
    pub(crate) fn beat(&self, app: &App) {
        let ms = u64::try_from(app.clock.monotonic().as_millis()).unwrap_or(u64::MAX - 1);
        self.beat.store(ms + 1, Ordering::Relaxed);
    }

    /// How long ago the last pass was; `None` before the first. A healthy one is younger than 90 s.
    pub fn age(&self, app: &App) -> Option<Duration> {
        let beat = self.beat.load(Ordering::Relaxed).checked_sub(1)?;
        Some(app.clock.monotonic().saturating_sub(Duration::from_millis(beat)))
    }
}
