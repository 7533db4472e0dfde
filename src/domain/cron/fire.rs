//! Computes the instants at which an expression fires: a search over minutes of wall-clock time, whose result is then
//! converted to an instant with the offsets of the zone.
//!
//! Wall-clock time is counted in whole minutes since 1970-01-01 00:00 of the wall clock itself; instants are counted in
//! whole seconds since the epoch. Both are `i64`, so that nothing overflows within the years that jiff supports.
//!
//! The cost is bounded for every accepted expression: the search by wall clock visits each month at most once, over
//! [`HORIZON_YEARS`], and the offsets of a zone are stepped through only near the fire.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::{Class, Cron, DayRule};
use crate::domain::time::Stretch;

/// How far ahead the search for a fire goes. The rarest accepted expression, 29 February on one weekday, matches at
/// least every 40 years (28, and 12 more across 2100). The limit is more than twice that, because a clock change can
/// drop one match.
const HORIZON_YEARS: i64 = 100;

/// Twice 26 hours, the largest difference between two offsets, in seconds: one clock change cannot repeat or skip a
/// wall-clock time that is further away than this. The largest change known is a day (Alaska in 1867).
const REACH: i64 = 52 * 3600;

/// The most fires that a summary of missed runs counts one by one: about two years of an expression that fires every
/// minute.
pub const MISSED_CAP: u32 = 1_000_000;

const MINUTES_PER_DAY: i64 = 24 * 60;

/// A summary of the fires that were due while DockNap was not running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The earliest fire.
    pub first: Timestamp,
    /// The latest fire.
    pub last: Timestamp,
    /// The number of fires, at most [`MISSED_CAP`].
    pub count: u32,
    /// Whether there were more fires than `count`.
    pub more: bool,
}

impl Missed {
    /// A summary of fires; `None` if there are none. They are counted one by one up to [`MISSED_CAP`]; [`Missed::more`]
    /// is set if there are more, and `last` then returns the last fire after the given one.
    pub fn of(
        mut fires: impl Iterator<Item = Timestamp>,
        last: impl FnOnce(Timestamp) -> Option<Timestamp>,
    ) -> Option<Self> {
        let first = fires.next()?;
        let mut missed = Self { first, last: first, count: 1, more: false };
        for fire in fires {
            if missed.count == MISSED_CAP {
                missed.more = true;
                missed.last = last(missed.last).unwrap_or(missed.last);
                break;
            }
            missed.last = fire;
            missed.count += 1;
        }
        Some(missed)
    }
}

/// The last fire in (`from`, `until`], by a binary search; `next` returns the first fire after an instant.
pub fn last_at_or_before(
    next: impl Fn(Timestamp) -> Option<Timestamp>,
    from: Timestamp,
    until: Timestamp,
) -> Option<Timestamp> {
    let mut last = next(from).filter(|fire| *fire <= until)?;
    // Find the last second that has a fire after it and not after `until`.
    let (mut low, mut high) = (last.as_second(), floor_second(until));
    while low < high {
        let middle = low + (high - low) / 2;
        let due = Timestamp::from_second(middle).ok().and_then(&next);
        match due.filter(|fire| *fire <= until) {
            Some(fire) => (last, low) = (fire, fire.as_second()),
            None => high = middle,
        }
    }
    Some(last)
}

/// The fires of an expression in one zone, in order; see [`Cron::fires`].
#[derive(Clone, Debug)]
pub struct Fires<'a> {
    cron: &'a Cron,
    zone: &'a TimeZone,
    /// The stretch that contains `after`.
    stretch: Stretch,
    /// The second after which the next fire lies, exclusive; seconds since the epoch. `None` after the last fire.
    after: Option<i64>,
}

impl Iterator for Fires<'_> {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        let after = self.after?;
        self.after = self.cron.search(after, &mut self.stretch, self.zone);
        let fire = self.after.and_then(|second| Timestamp::from_second(second).ok());
        if fire.is_none() {
            self.after = None;
        }
        fire
    }
}

impl std::iter::FusedIterator for Fires<'_> {}

impl Cron {
    /// The first fire strictly after `after`; the comparison includes fractions of a second. `None` if there is no fire
    /// in the next 100 years, because clock changes of the zone drop all of them or because jiff's calendar ends.
    ///
    /// ```
    /// use docknap::domain::cron::Cron;
    /// let zone = jiff::tz::TimeZone::get("Europe/Berlin")?;
    /// let cron = Cron::parse("30 2 * * *")?;
    /// // 02:30 does not exist on this night: the clock goes from 02:00 to 03:00.
    /// let next = cron.next("2027-03-27T12:00:00Z".parse()?, &zone);
    /// assert_eq!(next, Some("2027-03-28T01:00:00Z".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        self.fires(after, zone).next()
    }

    /// All fires strictly after `after`, in order and without duplicates.
    pub fn fires<'a>(&'a self, after: Timestamp, zone: &'a TimeZone) -> Fires<'a> {
        let second = floor_second(after);
        Fires { cron: self, zone, stretch: Stretch::holding(second, zone), after: Some(second) }
    }

    /// The last fire in (`from`, `until`], which is the one that a catch-up runs. The cost does not grow with the
    /// number of fires.
    pub fn last_at_or_before(&self, from: Timestamp, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        last_at_or_before(|after| self.next(after, zone), from, until)
    }

    /// A summary of the fires in (`from`, `until`]; `None` if there are none.
    pub fn missed(&self, from: Timestamp, until: Timestamp, zone: &TimeZone) -> Option<Missed> {
        let fires = self.fires(from, zone).take_while(|fire| *fire <= until);
        Missed::of(fires, |last| self.last_at_or_before(last, until, zone))
    }

    /// The first fire after second `after`, which `stretch` must contain. On return `stretch` is the one that contains
    /// the fire.
    fn search(&self, after: i64, stretch: &mut Stretch, zone: &TimeZone) -> Option<i64> {
        let horizon = after.saturating_add(HORIZON_YEARS * 366 * 86_400);
        let mut from = (after + stretch.offset).div_euclid(60) + 1;
        if self.class == Class::Fixed {
            // In the second pass of a repeated hour, the times have already fired in the first pass.
            from = from.max(stretch.first_fresh_minute());
        }
        let mut minute = self.next_minute(from)?;
        loop {
            let wall = minute * 60;
            if wall < stretch.wall_end() {
                return Some(wall - stretch.offset);
            }
            // If the match is far ahead, skip the clock changes in between. Changes near `after` must not be skipped,
            // because they can repeat earlier wall-clock times.
            let near = wall - REACH;
            if stretch.start > after + REACH && near > stretch.end {
                *stretch = Stretch::holding(near, zone);
                continue;
            }
            *stretch = stretch.next(zone)?;
            if stretch.start > horizon {
                return None;
            }
            match self.class {
                // The clock skipped this time: fire at the first instant after the gap.
                Class::Fixed if wall < stretch.wall_start() => return Some(stretch.start),
                Class::Fixed => {}
                // A clock set back repeats times, and a clock set forward drops times: search again from here.
                Class::Wildcard if stretch.is_set_back() || wall < stretch.wall_start() => {
                    minute = self.next_minute(stretch.first_minute())?;
                }
                Class::Wildcard => {}
            }
        }
    }

    /// The first matching wall-clock minute at or after `from`.
    pub(super) fn next_minute(&self, from: i64) -> Option<i64> {
        let day = from.div_euclid(MINUTES_PER_DAY);
        let found = self.next_day(day)?;
        if found == day {
            if let Some(time) = self.next_time(from.rem_euclid(MINUTES_PER_DAY)) {
                return Some(day * MINUTES_PER_DAY + time);
            }
            return Some(self.next_day(day + 1)? * MINUTES_PER_DAY + self.next_time(0)?);
        }
        Some(found * MINUTES_PER_DAY + self.next_time(0)?)
    }

    /// The first matching minute of the day at or after minute `from` of the day; does not check the date.
    fn next_time(&self, from: i64) -> Option<i64> {
        let (hour, minute) = (from / 60, from % 60);
        if self.hours >> hour & 1 == 1 {
            let left = self.minutes >> minute;
            if left != 0 {
                return Some(from + i64::from(left.trailing_zeros()));
            }
        }
        let left = self.hours >> (hour + 1);
        (left != 0).then(|| {
            (hour + 1 + i64::from(left.trailing_zeros())) * 60 + i64::from(self.minutes.trailing_zeros())
        })
    }

    /// The first matching day at or after day `from`, both counted from 1970-01-01.
    fn next_day(&self, from: i64) -> Option<i64> {
        let date = Offset::UTC.to_datetime(Timestamp::from_second(from.checked_mul(86_400)?).ok()?).date();
        let (mut year, mut month) = (i64::from(date.year()), i64::from(date.month()));
        // The day before the first of the month, as days since 1970-01-01.
        let mut origin = from - i64::from(date.day());
        let mut skip = u32::from(date.day().unsigned_abs());
        for _ in 0..12 * HORIZON_YEARS {
            let length = days_in(year, month);
            if self.months >> month & 1 == 1 {
                let left = self.days_of_month(origin, length) >> skip << skip;
                if left != 0 {
                    return Some(origin + i64::from(left.trailing_zeros()));
                }
            }
            origin += i64::from(length);
            skip = 0;
            month += 1;
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        None
    }

    /// The matching days of a month as bits 1 to `length`. `origin` is the day before the first of the month, as days
    /// since 1970-01-01.
    fn days_of_month(&self, origin: i64, length: u32) -> u32 {
        let exists = u32::MAX >> (31 - length) & !1;
        // Day 0, 1970-01-01, is a Thursday, which is weekday 4. Bit 0 stands for `origin`, so shift by its weekday.
        let weekday = (origin + 4).rem_euclid(7);
        let week = u64::from(self.weekdays);
        let weeks = week | week << 7 | week << 14 | week << 21 | week << 28 | week << 35;
        let by_weekday = u32::try_from(weeks >> weekday & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        let matching = match self.day_rule {
            DayRule::Both => self.days & by_weekday,
            DayRule::Either => self.days | by_weekday,
        };
        matching & exists
    }
}

/// Seconds since the epoch, rounded down. Before 1970 jiff rounds up and has a negative fraction.
fn floor_second(instant: Timestamp) -> i64 {
    instant.as_second() - i64::from(instant.subsec_nanosecond() < 0)
}

fn days_in(year: i64, month: i64) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
