//! The effects of the next clock changes on an expression. Forms show them as text before a schedule is saved.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::{Class, Cron};
use crate::domain::time::{Stretch, zone_name};

/// The longest look ahead, in days. Looking further is pointless, because zones change their rules more often.
const MOST_DAYS: u32 = 3660;

/// A clock change that affects wall-clock times of an expression. `Display` writes one line:
/// "28 Mar 2027 02:30 does not exist in Europe/Berlin: runs 03:00".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DstNote {
    /// The instant of the clock change.
    pub at: Timestamp,
    /// The first affected wall-clock time of the expression.
    pub first: DateTime,
    /// The last affected wall-clock time; equal to `first` if only one is affected.
    pub last: DateTime,
    /// The number of affected wall-clock times.
    pub times: u32,
    /// The zone's name.
    pub zone: String,
    /// The effect on these times.
    pub effect: DstEffect,
}

/// The effect of a clock change on wall-clock times of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DstEffect {
    /// The times do not exist: one run, at the first wall-clock time after the change.
    RunsAt(DateTime),
    /// The times do not exist: no run.
    LeftOut,
    /// The times happen twice: runs the first time only.
    FirstPassOnly,
    /// The times happen twice: runs both times.
    BothPasses,
}

impl fmt::Display for DstNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = self.times == 1;
        write!(f, "{}", self.first.strftime("%-d %b %Y %H:%M"))?;
        if !one {
            let same_day = self.first.date() == self.last.date();
            let last = self.last.strftime(if same_day { "%H:%M" } else { "%-d %b %Y %H:%M" });
            write!(f, " to {last} ({} times)", self.times)?;
        }
        let (is, happens) = if one { ("does", "happens") } else { ("do", "happen") };
        match self.effect {
            DstEffect::RunsAt(wall) => {
                let same_day = wall.date() == self.first.date();
                let wall = wall.strftime(if same_day { "%H:%M" } else { "%-d %b %Y %H:%M" });
                let once = if one { "" } else { "once, at " };
                write!(f, " {is} not exist in {}: runs {once}{wall}", self.zone)
            }
            DstEffect::LeftOut => write!(f, " {is} not exist in {}: does not run", self.zone),
            DstEffect::FirstPassOnly => {
                write!(f, " {happens} twice in {}: runs the first time only", self.zone)
            }
            DstEffect::BothPasses => write!(f, " {happens} twice in {}: runs both times", self.zone),
        }
    }
}

impl Cron {
    /// The clock changes within `horizon_days` after `after` that affect times of this expression, in order. Empty for
    /// a wildcard expression with every hour, which simply follows real time.
    pub fn dst_notes(&self, after: Timestamp, zone: &TimeZone, horizon_days: u32) -> Vec<DstNote> {
        let mut notes = Vec::new();
        if self.class == Class::Wildcard && self.hours == 0xff_ffff {
            return notes;
        }
        let until = after.as_second() + i64::from(horizon_days.min(MOST_DAYS)) * 86_400;
        let mut stretch = Stretch::holding(after.as_second(), zone);
        while let Some(next) = stretch.next(zone)
            && next.start <= until
        {
            stretch = next;
            notes.extend(self.note(&stretch, zone));
        }
        notes
    }

    /// The effect of the clock change at the start of a stretch; `None` if it affects no time of the expression.
    fn note(&self, stretch: &Stretch, zone: &TimeZone) -> Option<DstNote> {
        let (wall_start, wall_before) = (stretch.wall_start(), stretch.wall_before());
        let effect = match (stretch.is_set_back(), self.class) {
            (true, Class::Fixed) => DstEffect::FirstPassOnly,
            (true, Class::Wildcard) => DstEffect::BothPasses,
            (false, Class::Fixed) => DstEffect::RunsAt(wall(wall_start)?),
            (false, Class::Wildcard) => DstEffect::LeftOut,
        };
        let end = wall_start.max(wall_before);
        let mut minute = self.next_minute(-(-wall_start.min(wall_before)).div_euclid(60))?;
        let (first, mut last, mut times) = (minute, minute, 0);
        while minute * 60 < end {
            (last, times) = (minute, times + 1);
            minute = self.next_minute(minute + 1)?;
        }
        (times > 0).then_some(DstNote {
            at: Timestamp::from_second(stretch.start).ok()?,
            first: wall(first * 60)?,
            last: wall(last * 60)?,
            times,
            zone: zone_name(zone).to_owned(),
            effect,
        })
    }
}

/// Seconds of wall-clock time since 1970-01-01 00:00 as a date and a time.
fn wall(second: i64) -> Option<DateTime> {
    Timestamp::from_second(second).ok().map(|instant| Offset::UTC.to_datetime(instant))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use crate::domain::cron::Cron;
    use crate::domain::time::zone;

    fn notes(text: &str, zone_name: &str, after: &str, days: u32) -> Vec<String> {
        let zone = zone(zone_name).unwrap();
        let notes = Cron::parse(text).unwrap().dst_notes(after.parse().unwrap(), &zone, days);
        notes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn notes_say_what_a_clock_change_does() {
        let berlin = |text: &str| notes(text, "Europe/Berlin", "2027-01-01T00:00:00Z", 365);
        assert_eq!(
            berlin("30 2 * * *"),
            [
                "28 Mar 2027 02:30 does not exist in Europe/Berlin: runs 03:00",
                "31 Oct 2027 02:30 happens twice in Europe/Berlin: runs the first time only",
            ]
        );
        assert_eq!(
            berlin("0-45/15 2 * * *"),
            [
                "28 Mar 2027 02:00 to 02:45 (4 times) do not exist in Europe/Berlin: runs once, at 03:00",
                "31 Oct 2027 02:00 to 02:45 (4 times) happen twice in Europe/Berlin: runs the first time only",
            ]
        );
        assert_eq!(
            berlin("*/30 2 * * *"),
            [
                "28 Mar 2027 02:00 to 02:30 (2 times) do not exist in Europe/Berlin: does not run",
                "31 Oct 2027 02:00 to 02:30 (2 times) happen twice in Europe/Berlin: runs both times",
            ]
        );
        assert!(berlin("0 3 * * *").is_empty());
        assert!(berlin("30 2 * * 1").is_empty(), "both changes are on Sundays");
        assert!(berlin("*/5 * * * *").is_empty());
        assert!(notes("30 2 * * *", "UTC", "2027-01-01T00:00:00Z", 365).is_empty());
        assert!(notes("30 2 * * *", "Europe/Berlin", "2027-01-01T00:00:00Z", 80).is_empty());
    }

    #[test]
    fn a_day_that_was_left_out_names_the_day_after() {
        assert_eq!(
            notes("0 12 * * *", "Pacific/Apia", "2011-12-01T00:00:00Z", 40),
            ["30 Dec 2011 12:00 does not exist in Pacific/Apia: runs 31 Dec 2011 00:00"]
        );
    }
}
