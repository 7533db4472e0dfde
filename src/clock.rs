//! The only place that reads a clock.
//!
//! Code that waits, uses a timeout or reads the time takes a [`Clock`], so that a test can freeze time or move it.
//! `clippy.toml` forbids the other ways.
#![expect(clippy::disallowed_methods, reason = "this is the module the others are sent to")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

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
    now: Mutex<(Timestamp, Duration)>,
    /// The waits, by the monotonic instant at which they end and the order in which they began. They end in this
    /// order, so that a simulation with the same seed gives the same history.
    sleepers: Mutex<BTreeMap<(Duration, u64), Arc<Notify>>>,
    /// The number of waits so far.
    begun: AtomicU64,
}

impl Frozen {
    /// Ends the waits whose instant has come.
    fn wake(&self) {
        let now = self.now.lock().1;
        for (_, sleeper) in self.sleepers.lock().range(..=(now, u64::MAX)) {
            sleeper.notify_one();
        }
    }
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
            now: Mutex::new((now, Duration::ZERO)),
            sleepers: Mutex::default(),
            begun: AtomicU64::new(0),
        })))
    }

    /// Wall time in whole milliseconds, the precision of the database.
    pub fn now(&self) -> Timestamp {
        let exact = match &self.0 {
            Kind::Flowing { shift, .. } => Timestamp::now() + *shift.borrow(),
            Kind::Frozen(frozen) => frozen.now.lock().0,
        };
        Timestamp::from_millisecond(exact.as_millisecond()).unwrap_or(exact)
    }

    /// Time since the clock was created; never goes back.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Kind::Flowing { start, shift } => start.elapsed() + *shift.borrow(),
            Kind::Frozen(frozen) => frozen.now.lock().1,
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
                let sleeper = Sleeper::new(frozen, until);
                // Looked up after the registration: from then on every change of the time wakes the sleeper.
                while self.monotonic() < until {
                    sleeper.woken.notified().await;
                }
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
            Kind::Frozen(frozen) => {
                {
                    let mut now = frozen.now.lock();
                    *now = (now.0 + by, now.1 + by);
                }
                frozen.wake();
            }
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
            Kind::Frozen(frozen) => frozen.now.lock().0 = now,
        }
    }

    /// Time until the next wait on a frozen clock ends; `None` if there is none, or on a flowing clock.
    pub fn next_sleeper(&self) -> Option<Duration> {
        match &self.0 {
            Kind::Flowing { .. } => None,
            Kind::Frozen(frozen) => {
                let now = frozen.now.lock().1;
                let sleepers = frozen.sleepers.lock();
                sleepers.keys().map(|(until, _)| until.saturating_sub(now)).find(|left| !left.is_zero())
            }
        }
    }
}

/// A wait on a frozen clock, registered until it is dropped.
struct Sleeper<'a> {
    frozen: &'a Frozen,
    place: (Duration, u64),
    woken: Arc<Notify>,
}

impl<'a> Sleeper<'a> {
    fn new(frozen: &'a Frozen, until: Duration) -> Self {
        let place = (until, frozen.begun.fetch_add(1, Ordering::Relaxed));
        let woken = Arc::new(Notify::new());
        frozen.sleepers.lock().insert(place, Arc::clone(&woken));
        Self { frozen, place, woken }
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.frozen.sleepers.lock().remove(&self.place);
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
    async fn sleepers_of_a_frozen_clock_wake_in_order() {
        let clock = Clock::frozen(Timestamp::UNIX_EPOCH);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let mut sleepers = tokio::task::JoinSet::new();
        // Two for each instant, the later instants first.
        let begun: Vec<u64> = (0..32).map(|number| (31 - number) / 2).collect();
        for (number, seconds) in begun.iter().copied().enumerate() {
            let (clock, woken) = (clock.clone(), Arc::clone(&woken));
            sleepers.spawn(async move {
                clock.sleep(Duration::from_secs(1 + seconds)).await;
                woken.lock().push((seconds, number));
            });
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(60));
        sleepers.join_all().await;
        let woken = woken.lock().clone();
        assert_eq!(woken.len(), 32);
        assert!(woken.is_sorted(), "{woken:?}");
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
