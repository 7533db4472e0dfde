//! When two schedules can meet at all: by the minutes of their weeks, and whole near a change of the clock.
//!
//! Most schedules beside each other never meet, and to see that fire by fire takes 400 days of them. But between two
//! changes of their clocks both say the same each week, so one look at a week rules out months.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::time::{from_ms, to_ms};

/// Hours of a week.
const HOURS: usize = 7 * 24;
/// Minutes of a week.
const WEEK: i64 = 7 * 24 * 60;
/// The bits of an hour.
const HOUR: u64 = (1 << 60) - 1;
/// So near a change of the clock times may be left out or come twice, in seconds. Changes by more are not ruled out.
const NEAR: i64 = 3 * 3600;

/// Minutes of a week on the wall clock, Monday 00:00 first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minutes(Box<[u64; HOURS]>);

impl Default for Minutes {
    fn default() -> Self {
        Self(Box::new([0; HOURS]))
    }
}

impl Minutes {
    /// Adds minutes of one hour, bit n being minute n; `day` counts from Monday.
    pub fn add_of_hour(&mut self, day: usize, hour: usize, minutes: u64) {
        if let Some(bits) = self.0.get_mut(day * 24 + hour) {
            *bits |= minutes & HOUR;
        }
    }

    /// Adds `length` minutes from one on, over the week's end too.
    pub fn add(&mut self, from: i64, length: i64) {
        let until = from + length.min(WEEK);
        let mut minute = from;
        while minute < until {
            let many = (60 - minute.rem_euclid(60)).min(until - minute);
            let bits = HOUR >> (60 - many) << minute.rem_euclid(60);
            self.0[hour_of(minute)] |= bits;
            minute += many;
        }
    }

    /// All the others.
    #[must_use]
    pub fn others(mut self) -> Self {
        for bits in self.0.iter_mut() {
            *bits = !*bits & HOUR;
        }
        self
    }

    /// Those of a day that counts from Monday, as stretches: the minute of the day at which each begins and the one at
    /// which it ends, in order and apart.
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

    /// Whether both have an instant, where the other's clock is ahead of this one's by so many minutes.
    fn meet(&self, other: &Self, ahead: i64) -> bool {
        let shift = ahead.rem_euclid(60);
        (0..WEEK).step_by(60).any(|minute| {
            let first = other.0[hour_of(minute + ahead)] >> shift;
            let second = other.0[hour_of(minute + ahead + 60)] << (60 - shift);
            self.0[hour_of(minute)] & (first | second) & HOUR != 0
        })
    }
}

/// The place of a minute's hour.
fn hour_of(minute: i64) -> usize {
    usize::try_from(minute.rem_euclid(WEEK) / 60).unwrap_or_default()
}

/// What says the same each week, but where the clock of its zone is changed.
#[derive(Clone, Debug)]
pub struct Week<'a> {
    /// Its minutes, or more.
    pub minutes: Minutes,
    /// The zone of its clock.
    pub zone: &'a TimeZone,
}

/// The stretches of (`after`, `until`] in which both may have an instant, each without its start and with its end; in
/// order. In what lies between them they have none.
pub fn stretches(
    one: &Week<'_>,
    other: &Week<'_>,
    after: Timestamp,
    until: Timestamp,
) -> Vec<(Timestamp, Timestamp)> {
    let second = |at: Timestamp| to_ms(at).div_euclid(1000);
    let instant = |second: i64| from_ms(second.saturating_mul(1000));
    // Before this one everything is decided.
    let (mut from, end) = (second(after), second(until));
    let mut changes: Vec<i64> = Vec::new();
    for zone in [one.zone, other.zone] {
        let near = zone.following(instant(from - NEAR)).map(|change| second(change.timestamp()));
        changes.extend(near.take_while(|change| change - NEAR < end));
    }
    changes.sort_unstable();
    changes.dedup();
    let mut open: Vec<(i64, i64)> = Vec::new();
    let mut tell = |from: i64, until: i64| match open.last_mut() {
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
                tell(from, near);
            }
            from = near;
        }
        if from < past {
            tell(from, past);
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
        // Kathmandu is 5 hours and 45 minutes ahead.
        assert!(nine.meet(&minutes(&[(14 * 60 + 45, 1)]), 345));
        assert!(!nine.meet(&minutes(&[(14 * 60 + 44, 1)]), 345));
        assert!(minutes(&[(14 * 60 + 45, 1)]).meet(&nine, -345));
        // Over the week's end.
        assert!(minutes(&[(WEEK - 1, 1)]).meet(&minutes(&[(59, 1)]), 60));
        assert!(minutes(&[(WEEK - 30, 60)]).meet(&minutes(&[(29, 1)]), 0));
        assert!(!minutes(&[(WEEK - 30, 60)]).meet(&minutes(&[(30, 1)]), 0));
        assert!(!minutes(&[(WEEK - 30, 60)]).others().meet(&minutes(&[(29, 1)]), 0));
        assert_eq!(minutes(&[(77, WEEK)]).others(), Minutes::default());
    }

    proptest! {
        #[test]
        fn a_day_is_told_minute_by_minute(
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
                let told = (0_i16..1440).map(|at| stretches.iter().any(|(from, to)| (*from..*to).contains(&at)));
                prop_assert_eq!(told.collect::<Vec<_>>(), expected.to_vec());
                prop_assert!(stretches.windows(2).all(|two| two[0].1 < two[1].0));
            }
        }
    }

    #[test]
    fn only_what_is_near_a_change_is_left_of_what_never_meets() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let week = |parts| Week { minutes: minutes(parts), zone: &zone };
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let (after, until) = (at("2026-11-24T12:00:00.5Z"), at("2027-06-01T00:00:00Z"));
        let left = stretches(&week(&[(540, 1)]), &week(&[(541, 1)]), after, until);
        assert_eq!(left, [(at("2027-03-27T22:00:00Z"), at("2027-03-28T04:00:00Z"))]);
        assert_eq!(stretches(&week(&[(540, 1)]), &week(&[(540, 1)]), after, until), [(after, until)]);
    }
}
