//! The only place that reads a clock.
//!
//! Everything that waits, times out or asks what time it is takes a [`Clock`], so a test can freeze time, move it, or
//! shift it while it flows. `clippy.toml` bans the other ways.
#![expect(clippy::disallowed_methods, reason = "this is the module the others are sent to")]

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Wall time, monotonic time and waiting.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// The machine's clock, `shift` ahead of it (zero outside tests).
    Flowing { start: Instant, shift: Arc<watch::Sender<Duration>> },
    /// Stands still until a test moves it.
    Frozen(Arc<Frozen>),
}

#[derive(Debug)]
struct Frozen {
    /// Wall time and monotonic time since the start; a jump moves only the first.
    now: watch::Sender<(Timestamp, Duration)>,
    /// Monotonic instants that somebody waits for, with how many do.
    sleepers: Mutex<std::collections::BTreeMap<Duration, usize>>,
}

/// The time given to [`Clock::timeout`] ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

/// Longest single wait on the machine's clock: a wall clock that jumps is noticed within it (semantics §3).
const LONGEST_NAP: Duration = Duration::from_secs(30);

impl Clock {
    /// A wait, a fifth more or less, so that many programs do not knock together. Exact where time is a test's.
    pub fn jittered(&self, wait: Duration) -> Duration {
        if matches!(self.0, Kind::Frozen(_)) {
            return wait;
        }
        let fifth = u64::try_from(wait.as_millis() / 5).unwrap_or(0);
        let drawn = getrandom::u64().unwrap_or(fifth) % (2 * fifth + 1);
        Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) - fifth + drawn)
    }

    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::Flowing { start: Instant::now(), shift: Arc::new(watch::Sender::new(Duration::ZERO)) })
    }

    /// A clock that stands still at `now` until [`Clock::advance`] or [`Clock::set_wall`].
    pub fn frozen(now: Timestamp) -> Self {
        Self(Kind::Frozen(Arc::new(Frozen {
            now: watch::Sender::new((now, Duration::ZERO)),
            sleepers: Mutex::default(),
        })))
    }

    /// Wall time, whole milliseconds: what the database can store.
    pub fn now(&self) -> Timestamp {
        let exact = match &self.0 {
            Kind::Flowing { shift, .. } => Timestamp::now() + *shift.borrow(),
            Kind::Frozen(frozen) => frozen.now.borrow().0,
        };
        Timestamp::from_millisecond(exact.as_millisecond()).unwrap_or(exact)
    }

    /// Time since this clock was made; never jumps back.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Kind::Flowing { start, shift } => start.elapsed() + *shift.borrow(),
            Kind::Frozen(frozen) => frozen.now.borrow().1,
        }
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        let until = self.monotonic().saturating_add(duration);
        match &self.0 {
            Kind::Flowing { shift, .. } => {
                let mut shifted = shift.subscribe();
                loop {
                    let left = until.saturating_sub(self.monotonic());
                    if left.is_zero() {
                        return;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(left) => {}
                        _ = shifted.changed() => {}
                    }
                }
            }
            Kind::Frozen(frozen) => {
                let mut now = frozen.now.subscribe();
                let _sleeper = Sleeper::new(frozen, until);
                let _ = now.wait_for(|(_, monotonic)| *monotonic >= until).await;
            }
        }
    }

    /// Waits until the wall clock reads `instant`, in naps of at most 30 s on the machine's clock, so that a clock
    /// that is set is noticed.
    pub async fn sleep_until(&self, instant: Timestamp) {
        while let Ok(left) = Duration::try_from(instant.duration_since(self.now())) {
            if left.is_zero() {
                return;
            }
            self.sleep(left.min(LONGEST_NAP)).await;
        }
    }

    /// Runs `work`, for `limit` at most.
    ///
    /// # Errors
    /// [`Elapsed`] when the time runs out first; `work` is dropped.
    pub async fn timeout<F: Future>(&self, limit: Duration, work: F) -> Result<F::Output, Elapsed> {
        tokio::select! {
            biased;
            output = work => Ok(output),
            () = self.sleep(limit) => Err(Elapsed),
        }
    }

    /// Moves time on. On a flowing clock the jump wakes those who sleep past it.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Kind::Flowing { shift, .. } => shift.send_modify(|shift| *shift += by),
            Kind::Frozen(frozen) => frozen.now.send_modify(|(wall, monotonic)| {
                *wall += by;
                *monotonic += by;
            }),
        }
    }

    /// Sets the wall clock of a frozen clock, leaving monotonic time alone: what a person or NTP does. A flowing
    /// clock can only be moved on, by [`Clock::advance`].
    pub fn set_wall(&self, now: Timestamp) {
        match &self.0 {
            Kind::Flowing { .. } => {
                if let Ok(by) = Duration::try_from(now.duration_since(self.now())) {
                    self.advance(by);
                }
            }
            Kind::Frozen(frozen) => frozen.now.send_modify(|(wall, _)| *wall = now),
        }
    }

    /// How far off the nearest sleeper of a frozen clock is; `None` where nobody sleeps, and on a flowing clock.
    pub fn next_sleeper(&self) -> Option<Duration> {
        match &self.0 {
            Kind::Flowing { .. } => None,
            Kind::Frozen(frozen) => {
                let now = frozen.now.borrow().1;
                let sleepers = frozen.sleepers.lock();
                sleepers.keys().map(|until| until.saturating_sub(now)).find(|left| !left.is_zero())
            }
        }
    }
}

/// Counts itself among those who wait, for as long as it lives.
struct Sleeper<'a> {
    frozen: &'a Frozen,
    until: Duration,
}

impl<'a> Sleeper<'a> {
    fn new(frozen: &'a Frozen, until: Duration) -> Self {
        let mut sleepers = frozen.sleepers.lock();
        *sleepers.entry(until).or_default() += 1;
        Self { frozen, until }
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let mut sleepers = self.frozen.sleepers.lock();
        if let Some(count) = sleepers.get_mut(&self.until) {
            *count -= 1;
            if *count == 0 {
                sleepers.remove(&self.until);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frozen_clock_wakes_its_sleepers_when_it_is_moved() {
        let clock = Clock::frozen(Timestamp::UNIX_EPOCH);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(60)).await }
        });
        while clock.next_sleeper() != Some(Duration::from_secs(60)) {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(59));
        assert_eq!(clock.next_sleeper(), Some(Duration::from_secs(1)));
        clock.advance(Duration::from_secs(1));
        sleeper.await.expect("the sleeper ends");
        assert_eq!(clock.next_sleeper(), None);
        assert_eq!(clock.now(), Timestamp::from_second(60).expect("a small number"));
    }

    #[tokio::test]
    async fn a_flowing_clock_can_be_moved_past_a_sleeper() {
        let clock = Clock::system();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(3600)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(3600));
        sleeper.await.expect("the sleeper ends");
    }

    #[tokio::test]
    async fn a_wall_clock_set_back_leaves_monotonic_time_alone() {
        let clock = Clock::frozen(Timestamp::from_second(7200).expect("a small number"));
        clock.advance(Duration::from_secs(5));
        clock.set_wall(Timestamp::from_second(3600).expect("a small number"));
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        for seconds in [1, 2, 60] {
            let wait = Duration::from_secs(seconds);
            for _ in 0..100 {
                let drawn = Clock::system().jittered(wait);
                assert!(drawn >= wait * 4 / 5 && drawn <= wait * 6 / 5, "{drawn:?}");
            }
        }
    }
}
