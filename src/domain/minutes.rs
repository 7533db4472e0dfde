//! Quick test for the times at which two schedules can coincide at all: compares the minutes of their weeks, and
//! excludes nothing near a clock change.
//!
//! Most pairs of schedules never coincide, and proving that fire by fire takes 400 days of fires. Between two clock
//! changes, however, both repeat every week, so the comparison of one week excludes months at once.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::time::{from_ms, to_ms};

/// Hours in a week.
const HOURS: usize = 7 * 24;
/// Minutes in a week.
const WEEK: i64 = 7 * 24 * 60;
/// Bit mask of all minutes in an hour.
const HOUR: u64 = (1 << 60) - 1;
/// Distance from a clock change, in seconds, within which times may be left out or occur twice. A pair with a larger
/// clock change is not excluded at all.
const NEAR: i64 = 3 * 3600;

/// Set of minutes in a week on the wall clock. Minute 0 is Monday 00:00.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minutes(Box<[u64; HOURS]>);

impl Default for Minutes {
    fn default() -> Self {
        Self(Box::new([0; HOURS]))
    }
}

impl Minutes {
    /// Adds minutes of one hour, bit n for minute n. `day` counts from Monday.
    pub fn add_of_hour(&mut self, day: usize, hour: usize, minutes: u64) {
        if let Some(bits) = self.0.get_mut(day * 24 + hour) {
            *bits |= minutes & HOUR;
        }
    }

    /// Adds `length` minutes from minute `from` on, wrapping around at the end of the week.
    pub fn add(&mut self, from: i64, length: i64) {
        let until = from + length.min(WEEK);
        let mut minute = from;
        while minute < until {
            let count = (60 - minute.rem_euclid(60)).min(until - minute);
            let bits = HOUR >> (60 - count) << minute.rem_euclid(60);
            self.0[hour_of(minute)] |= bits;
            minute += count;
        }
    }

    /// The complement: all other minutes.
    #[must_use]
    pub fn others(mut self) -> Self {
        for bits in self.0.iter_mut() {
            *bits = !*bits & HOUR;
        }
        self
    }

    /// Minutes of a day (counted from Monday) as half-open ranges of minutes of the day, in order and not adjacent.
    pub fn of_day(&self, day: usize) -> Vec<(i16, i16)> {
        let mut stretches: Vec<(i16, i16)> = Vec::new();
        let hours = self.0.iter().skip(day * 24).take(24);
        for (hour, bits) in (0_i16..).zip(hours) {
            let (mut bits, mut minute) = (*bits, hour * 60);
            while bits != 0 {
                let (gap, length) = (bits.trailing_zeros(), (bits >> bits.trailing_zeros()).trailing_ones());
                bits = bits >> gap >> length;
                let begin = minute + i16::try_from(gap).unwrap_or_default();
                minute = begin + i16::try_from(length).unwrap_or_default();
                match stretches.last_mut().filter(|(_, end)| *end == begin) {
                    Some((_, end)) => *end = minute,
                    None => stretches.push((begin, minute)),
                }
            }
        }
        stretches
    }

    /// Whether both sets contain a common instant, if the clock of `other` is ahead by `ahead` minutes.
    fn meet(&self, other: &Self, ahead: i64) -> bool {
        let shift = ahead.rem_euclid(60);
        (0..WEEK).step_by(60).any(|minute| {
            let first = other.0[hour_of(minute + ahead)] >> shift;
            let second = other.0[hour_of(minute + ahead + 60)] << (60 - shift);
            self.0[hour_of(minute)] & (first | second) & HOUR != 0
        })
    }
}

/// Index of the hour that contains a minute.
fn hour_of(minute: i64) -> usize {
    usize::try_from(minute.rem_euclid(WEEK) / 60).unwrap_or_default()
}

/// A schedule that repeats every week, except near the clock changes of its zone.
#[derive(Clone, Debug)]
pub struct Week<'a> {
    /// Minutes of the schedule, or a superset.
    pub minutes: Minutes,
    /// Zone of the wall clock.
    pub zone: &'a TimeZone,
}

/// The time ranges within (`after`, `until`] in which both schedules may have a common instant, each without its start
/// and with its end; in order. Outside of them they have none.
pub fn stretches(
    one: &Week<'_>,
    other: &Week<'_>,
    after: Timestamp,
    until: Timestamp,
) -> Vec<(Timestamp, Timestamp)> {
    let second = |at: Timestamp| to_ms(at).div_euclid(1000);
    let instant = |second: i64| from_ms(second.saturating_mul(1000));
    // `from`: everything before it is decided.
    let (mut from, end) = (second(after), second(until));
    let mut changes: Vec<i64> = Vec::new();
    for zone in [one.zone, other.zone] {
        let near = zone.following(instant(from - NEAR)).map(|change| second(change.timestamp()));
        changes.extend(near.take_while(|change| change - NEAR < end));
    }
    changes.sort_unstable();
    changes.dedup();
    let mut open: Vec<(i64, i64)> = Vec::new();
    let mut push = |from: i64, until: i64| match open.last_mut() {
        Some(last) if last.1 == from => last.1 = until,
        _ => open.push((from, until)),
    };
    let mut before = None;
    for change in changes.into_iter().chain([i64::MAX / 4]) {
        let (near, past) = ((change - NEAR).min(end), (change + NEAR).min(end));
        if from < near {
            let offsets =
                [one.zone, other.zone].map(|zone| i64::from(zone.to_offset(instant(from)).seconds()));
            let leaps = before.is_some_and(|before: [i64; 2]| {
                before.iter().zip(&offsets).any(|(before, now)| (now - before).abs() > NEAR)
            });
            if leaps || offsets.iter().any(|offset| offset % 60 != 0) {
                return vec![(after, until)];
            }
            before = Some(offsets);
            if one.minutes.meet(&other.minutes, (offsets[1] - offsets[0]) / 60) {
                push(from, near);
            }
            from = near;
        }
        if from < past {
            push(from, past);
            from = past;
        }
    }
    open.into_iter().map(|(from, until)| (instant(from).max(after), instant(until))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minutes(parts: &[(i64, i64)]) -> Minutes {
        let mut minutes = Minutes::default();
        for (from, length) in parts {
            minutes.add(*from, *length);
        }
        minutes
    }

    #[test]
    fn minutes_meet_as_their_clocks_stand() {
        let nine = minutes(&[(9 * 60, 1)]);
        assert!(nine.meet(&minutes(&[(9 * 60, 1)]), 0));
        assert!(!nine.meet(&minutes(&[(9 * 60 + 1, 300)]), 0));
        // A clock that is ahead by 5 hours and 45 minutes, as in Kathmandu.
        assert!(nine.meet(&minutes(&[(14 * 60 + 45, 1)]), 345));
        assert!(!nine.meet(&minutes(&[(14 * 60 + 44, 1)]), 345));
        assert!(minutes(&[(14 * 60 + 45, 1)]).meet(&nine, -345));
        // Across the end of the week.
        assert!(minutes(&[(WEEK - 1, 1)]).meet(&minutes(&[(59, 1)]), 60));
        assert!(minutes(&[(WEEK - 30, 60)]).meet(&minutes(&[(29, 1)]), 0));
        assert!(!minutes(&[(WEEK - 30, 60)]).meet(&minutes(&[(30, 1)]), 0));
        assert!(!minutes(&[(WEEK - 30, 60)]).others().meet(&minutes(&[(29, 1)]), 0));
        assert_eq!(minutes(&[(77, WEEK)]).others(), Minutes::default());
    }

    proptest! {
        #[test]
        fn ranges_of_a_day_match_its_minutes(
            parts in proptest::collection::vec((0..WEEK, 1_i64..3000), 0..12),
            inverted in any::<bool>(),
        ) {
            let mut one_by_one = [[inverted; 1440]; 7];
            for at in parts.iter().flat_map(|(from, length)| *from..from + length) {
                let at = usize::try_from(at % WEEK).expect("a minute");
                one_by_one[at / 1440][at % 1440] = !inverted;
            }
            let minutes = if inverted { minutes(&parts).others() } else { minutes(&parts) };
            for (day, expected) in one_by_one.iter().enumerate() {
                let stretches = minutes.of_day(day);
                let found = (0_i16..1440).map(|at| stretches.iter().any(|(from, to)| (*from..*to).contains(&at)));
                prop_assert_eq!(found.collect::<Vec<_>>(), expected.to_vec());
                prop_assert!(stretches.windows(2).all(|two| two[0].1 < two[1].0));
            }
        }
    }

    #[test]
    fn schedules_that_never_meet_leave_only_times_near_a_clock_change() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let week = |parts| Week { minutes: minutes(parts), zone: &zone };
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let (after, until) = (at("2026-11-24T12:00:00.5Z"), at("2027-06-01T00:00:00Z"));
        let left = stretches(&week(&[(540, 1)]), &week(&[(541, 1)]), after, until);
        assert_eq!(left, [(at("2027-03-27T22:00:00Z"), at("2027-03-28T04:00:00Z"))]);
        assert_eq!(stretches(&week(&[(540, 1)]), &week(&[(540, 1)]), after, until), [(after, until)]);
    }
}
