//! Time limit of the wait for a health check, from the check's own settings (rulings 34).

/// Shortest limit, in seconds.
pub const USUAL: i64 = 120;
/// Longest limit, in seconds.
pub const LONGEST: i64 = 15 * 60;
/// Docker's defaults: interval and timeout in seconds, and the number of retries.
const DEFAULTS: (i64, i64, i64) = (30, 30, 3);

/// Limit in seconds for a health check with these settings, whose times are in nanoseconds. A missing value or one that
/// is not positive stands for Docker's default.
pub fn seconds(
    start_period: Option<i64>,
    interval: Option<i64>,
    retries: Option<i64>,
    timeout: Option<i64>,
) -> i64 {
    let time = |nanos: Option<i64>, default: i64| match nanos {
        Some(nanos) if nanos > 0 => nanos / 1_000_000_000 + i64::from(nanos % 1_000_000_000 != 0),
        _ => default,
    };
    let retries = retries.filter(|retries| *retries > 0).unwrap_or(DEFAULTS.2).min(LONGEST);
    let looks = time(interval, DEFAULTS.0).saturating_mul(retries + 1);
    let all = time(start_period, 0).saturating_add(looks).saturating_add(time(timeout, DEFAULTS.1));
    all.clamp(USUAL, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_waited_for_as_long_as_it_may_take() {
        let second = |seconds: i64| Some(seconds * 1_000_000_000);
        assert_eq!(seconds(None, None, None, None), 150, "Docker's own times");
        assert_eq!(seconds(None, second(5), Some(3), second(3)), USUAL);
        assert_eq!(seconds(second(60), second(60), Some(5), second(10)), 60 + 360 + 10);
        assert_eq!(seconds(second(600), second(300), Some(10), None), LONGEST);
        assert_eq!(seconds(Some(i64::MAX), Some(i64::MAX), Some(i64::MAX), Some(i64::MAX)), LONGEST);
        assert_eq!(seconds(Some(-1), Some(-1), Some(-1), Some(-1)), 150);
        assert_eq!(seconds(Some(1_500_000_000), second(60), Some(1), second(1)), 2 + 120 + 1);
    }
}
