//! Cron expressions: five fields, minute resolution, the day rule and the daylight-saving rule of Debian's cron
//! (semantics §3).
//!
//! `parse` and `field` are the strict dialect, `fire` answers when, `notes` tells what a clock change does to it,
//! `meaning` puts it in words.
//! `croner` supplies the words and is the second opinion of the tests; the evaluator is ours, because a field is a set
//! of bits: the next day of a month is one shift, and the two rules for clock changes are a dozen lines that can be
//! checked against the specification.

mod field;
mod fire;
mod meaning;
mod notes;
mod parse;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod reference;

use jiff::civil::Weekday;

use super::minutes::Minutes;
use super::window::Days;

pub use field::Field;
pub use fire::{Fires, MISSED_CAP, Missed};
pub use notes::{DstEffect, DstNote};
pub use parse::{CronError, MAX_LENGTH};

/// An expression of the dialect that can fire. Two are equal when their texts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    /// Bit n is minute n.
    minutes: u64,
    /// Bit n is hour n.
    hours: u32,
    /// Bit n is day n of the month; bit 0 is never set.
    days: u32,
    /// Bit n is month n; bit 0 is never set.
    months: u16,
    /// Bit n is weekday n, 0 = Sunday.
    weekdays: u8,
    /// How the two day fields combine.
    day_rule: DayRule,
    /// What a clock change does.
    class: Class,
}

/// Debian cron's day rule: a field that starts with `*` narrows the other, else the two add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DayRule {
    Both,
    Either,
}

/// The two classes of semantics §3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Fires at every real minute whose wall clock matches.
    Wildcard,
    /// Each matching civil time fires once.
    Fixed,
}

impl Cron {
    /// The expression, trimmed, with one space between fields and its letters as typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether day-of-month and day-of-week are both restricted and *either* lets it run: worth a hint, since many
    /// expect "and".
    pub fn both_day_fields(&self) -> bool {
        self.day_rule == DayRule::Either
    }

    /// The minute of the day at which it fires once, and on which days of the week, where that is all it says.
    pub fn daily(&self) -> Option<(Days, i16)> {
        let once = self.minutes.is_power_of_two() && self.hours.is_power_of_two();
        let every_date = self.days == 0xffff_fffe && self.months == 0x1ffe;
        if !once || !every_date || self.class != Class::Fixed || self.both_day_fields() {
            return None;
        }
        let minute = self.hours.trailing_zeros() * 60 + self.minutes.trailing_zeros();
        let days = Weekday::Monday
            .cycle_forward()
            .take(7)
            .filter(|day| self.weekdays & (1 << day.to_sunday_zero_offset()) != 0)
            .fold(Days::default(), |days, day| days.with(Days::only(day)));
        Some((days, i16::try_from(minute).ok()?))
    }

    /// The minutes of the week in which it may fire: all that it does, where it says nothing of months and their days.
    pub fn week(&self) -> Minutes {
        let mut week = Minutes::default();
        for day in 0..7 {
            // A day of the month may be any day of the week.
            if self.both_day_fields() || self.weekdays & (1 << ((day + 1) % 7)) != 0 {
                for hour in (0..24).filter(|hour| self.hours >> hour & 1 == 1) {
                    week.add_of_hour(day, hour, self.minutes);
                }
            }
        }
        week
    }

    /// The expression of one fire a day.
    pub fn of_daily(days: Days, minute: i16) -> String {
        let weekdays = Days::from_to(Weekday::Monday, Weekday::Friday);
        let of_week = if days == Days::ALL {
            "*".to_owned()
        } else if days == weekdays {
            "1-5".to_owned()
        } else {
            let numbers = Weekday::Sunday.cycle_forward().take(7).filter(|day| days.has(*day));
            numbers.map(|day| day.to_sunday_zero_offset().to_string()).collect::<Vec<_>>().join(",")
        };
        format!("{} {} * * {of_week}", minute % 60, minute / 60)
    }
}

impl std::fmt::Display for Cron {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fire_a_day_is_told_and_written_again() {
        for (text, days, minute, again) in [
            ("0 23 * * *", "Mon-Sun", 1380, "0 23 * * *"),
            ("30 7 * * mon-fri", "Mon-Fri", 450, "30 7 * * 1-5"),
            ("5 4 * * 0,6", "Sat,Sun", 245, "5 4 * * 0,6"),
            ("0 0 * * 7", "Sun", 0, "0 0 * * 0"),
        ] {
            let (found, at) = Cron::parse(text).expect(text).daily().expect(text);
            assert_eq!((found.to_string().as_str(), at), (days, minute), "{text}");
            assert_eq!(Cron::of_daily(found, at), again);
        }
        for text in ["0 * * * *", "0 3 1 * *", "0 3 1 * 1", "*/5 3 * * *", "0 3 * 6 *", "0 1,2 * * *"] {
            assert_eq!(Cron::parse(text).expect(text).daily(), None, "{text}");
        }
    }
}
