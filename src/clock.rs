//! The only place that reads a clock.
//!
//! Code that waits, uses a timeout or reads the time takes a [`Clock`], so that a test can freeze time or move it.
//! `clippy.toml` forbids the other ways.
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
    /// The system clock plus `shift` (zero outside tests).
    Flowing { start: Instant, shift: Arc<watch::Sender<Duration>> },
    /// Time that changes only when a test changes it.
    Frozen(Arc<Frozen>),
}

#[derive(Debug)]
struct Frozen {
    /// Wall time, and monotonic time since the creation; setting the clock changes only the first.
    now: watch::Sender<(Timestamp, Duration)>,
    /// Monotonic instants at which waits end, each with the number of waits.
    sleepers: Mutex<std::collections::BTreeMap<Duration, usize>>,
}

/// The error of [`Clock::timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

/// Longest single wait of [`Clock::sleep_until`], within which a change of the wall clock is noticed (semantics §3).
const MAX_SINGLE_WAIT: Duration = Duration::from_secs(30);

impl Clock {
    /// The duration changed at random by up to a fifth, so that many programs do not retry at the same instant.
    /// Unchanged on a frozen clock.
    pub fn jittered(&self, wait: Duration) -> Duration {
        if matches!(self.0, Kind::Frozen(_)) {
            return wait;
        }
        let fifth = u64::try_from(wait.as_millis() / 5).unwrap_or(0);
        let random = getrandom::u64().unwrap_or(fifth) % (2 * fifth + 1);
        Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) - fifth + random)
    }

    /// The system clock.
    pub fn system() -> Self {
        Self(Kind::Flowing { start: Instant::now(), shift: Arc::new(watch::Sender::new(Duration::ZERO)) })
    }

    /// A clock that stays at `now` until [`Clock::advance`] or [`Clock::set_wall`].
    pub fn frozen(now: Timestamp) -> Self {
        Self(Kind::Frozen(Arc::new(Frozen {
            now: watch::Sender::new((now, Duration::ZERO)),
            sleepers: Mutex::default(),
        })))
    }

    /// Wall time in whole milliseconds, the precision of the database.
    pub fn now(&self) -> Timestamp {
        let exact = match &self.0 {
            Kind::Flowing { shift, .. } => Timestamp::now() + *shift.borrow(),
            Kind::Frozen(frozen) => frozen.now.borrow().0,
        };
        Timestamp::from_millisecond(exact.as_millisecond()).unwrap_or(exact)
    }

    /// Time since the clock was created; never goes back.
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

    /// Waits until the wall clock reaches `instant`, in waits of at most 30 s, so that a change of the wall clock is
    /// noticed.
    pub async fn sleep_until(&self, instant: Timestamp) {
        while let Ok(left) = Duration::try_from(instant.duration_since(self.now())) {
            if left.is_zero() {
                return;
            }
            self.sleep(left.min(MAX_SINGLE_WAIT)).await;
        }
    }

    /// Runs `work` for at most `limit`.
    ///
    /// # Errors
    /// [`Elapsed`] if the time runs out first; `work` is dropped.
    pub async fn timeout<F: Future>(&self, limit: Duration, work: F) -> Result<F::Output, Elapsed> {
        tokio::select! {
            biased;
            output = work => Ok(output),
            () = self.sleep(limit) => Err(Elapsed),
        }
    }

    /// Moves time forward. On a flowing clock this also ends waits up to the new time.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Kind::Flowing { shift, .. } => shift.send_modify(|shift| *shift += by),
            Kind::Frozen(frozen) => frozen.now.send_modify(|(wall, monotonic)| {
                *wall += by;
                *monotonic += by;
            }),
        }
    }

    /// Sets the wall time of a frozen clock without changing monotonic time, as a user or NTP does. A flowing clock
    /// is only moved forward, as by [`Clock::advance`].
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

    /// Time until the next wait on a frozen clock ends; `None` if there is none, or on a flowing clock.
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

/// A wait on a frozen clock, registered until it is dropped.
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
                let random = Clock::system().jittered(wait);
                assert!(random >= wait * 4 / 5 && random <= wait * 6 / 5, "{random:?}");
            }
        }
    }
}
