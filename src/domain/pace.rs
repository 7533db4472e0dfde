//! Usual duration of runs of one action on one target, and the test for runs that take longer.

/// Statistics of the durations of successful runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Number of runs.
    pub runs: usize,
    /// Median duration in milliseconds.
    pub median_ms: i64,
    /// 90th percentile of the durations, in milliseconds.
    pub p90_ms: i64,
}

/// Smallest number of runs from which a usual duration is derived.
const MIN_RUNS: usize = 5;
/// Smallest excess over the median at which a run counts as slow, in milliseconds.
const NOTICEABLE_MS: i64 = 2_000;

impl Pace {
    /// Pace of runs with these durations in milliseconds, in any order; `None` without durations.
    pub fn of(durations: impl IntoIterator<Item = i64>) -> Option<Self> {
        let mut durations: Vec<i64> = durations.into_iter().collect();
        durations.sort_unstable();
        // Nearest rank: an actual duration, not an interpolated one.
        let at = |percent: usize| {
            durations.get((durations.len() * percent).div_ceil(100).saturating_sub(1)).copied()
        };
        Some(Self { runs: durations.len(), median_ms: at(50)?, p90_ms: at(90)? })
    }

    /// Whether there are enough runs for a usual duration.
    pub fn is_known(&self) -> bool {
        self.runs >= MIN_RUNS
    }

    /// Whether a duration in milliseconds is unusually long: above the 90th percentile, above one and a half times the
    /// median, and noticeably above the median.
    pub fn is_slow(&self, duration_ms: i64) -> bool {
        self.is_known()
            && duration_ms > self.p90_ms
            && duration_ms > self.median_ms + self.median_ms / 2
            && duration_ms >= self.median_ms + NOTICEABLE_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_consists_of_actual_durations() {
        assert_eq!(Pace::of([]), None);
        assert_eq!(Pace::of([7]), Some(Pace { runs: 1, median_ms: 7, p90_ms: 7 }));
        assert_eq!(Pace::of([4, 1, 3, 2]), Some(Pace { runs: 4, median_ms: 2, p90_ms: 4 }));
        assert_eq!(Pace::of(1..=30), Some(Pace { runs: 30, median_ms: 15, p90_ms: 27 }));
        assert_eq!(Pace::of((1..=10).rev()), Some(Pace { runs: 10, median_ms: 5, p90_ms: 9 }));
    }

    #[test]
    fn slow_runs_are_clear_outliers() {
        let usual = Pace::of([10_000, 11_000, 12_000, 11_500, 10_500]).expect("there are runs");
        assert!(!usual.is_slow(12_000) && !usual.is_slow(16_000), "somewhat longer is not slow");
        assert!(usual.is_slow(17_000));
        let quick = Pace::of([100; 20]).expect("there are runs");
        assert!(!quick.is_slow(1_900), "nobody notices");
        assert!(quick.is_slow(2_100));
        let few = Pace::of([100; 4]).expect("there are runs");
        assert!(!few.is_slow(60_000), "four runs say nothing of what is usual");
    }

    #[test]
    fn any_durations_have_a_pace() {
        use proptest::prelude::*;
        proptest!(|(durations in proptest::collection::vec(0_i64..1_000_000_000, 1..64))| {
            let pace = Pace::of(durations.iter().copied()).expect("there are runs");
            prop_assert!(durations.contains(&pace.median_ms) && durations.contains(&pace.p90_ms));
            prop_assert!(pace.median_ms <= pace.p90_ms);
            let within = durations.iter().filter(|took| **took <= pace.p90_ms).count();
            prop_assert!(within * 10 >= durations.len() * 9);
        });
    }
}
