//! Cron expressions: five fields, minute resolution, the day rule and the daylight-saving rule of Debian's cron
//! (semantics §3).
//!
//! `parse` and `field` parse the strict dialect, `fire` computes the fires, `notes` lists the effects of clock changes,
//! and `meaning` describes an expression in English.
//! The `croner` crate builds the description, and the tests compare its fires with those computed here. DockNap has its
//! own evaluator because it stores each field as a set of bits: finding the next day of a month is one shift, and the
//! two rules for clock changes take a dozen lines that can be checked against the specification.

mod field;
mod fire;
mod meaning;
mod notes;
mod parse;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod reference;

use jiff::civil::Weekday;

use super::days::Days;
use super::minutes::Minutes;

pub use field::Field;
pub use fire::{Fires, MISSED_CAP, Missed, last_at_or_before};
pub use notes::{DstEffect, DstNote};
pub use parse::{CronError, MAX_LENGTH};

/// A valid cron expression that fires at least sometimes. Two expressions are equal if their texts are equal.
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
    /// The rule that combines `days` and `weekdays`.
    day_rule: DayRule,
    /// The rule that applies at a clock change.
    class: Class,
}

/// Debian cron's rule for combining day-of-month and day-of-week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DayRule {
    /// A day must match both fields: at least one of them starts with `*`.
    Both,
    /// A day must match one of the fields: neither starts with `*`.
    Either,
}

/// The two classes of expressions that treat clock changes differently (semantics §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// The minute or hour field starts with `*`: the expression fires at every real minute whose wall clock matches.
    Wildcard,
    /// All others: each matching wall-clock time fires once.
    Fixed,
}

impl Cron {
    /// The expression, trimmed, with one space between fields and its letters as typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether day-of-month and day-of-week are both restricted, so that a day that matches *either* fires. Callers
    /// show a hint in this case, because many users expect "and".
    pub fn both_day_fields(&self) -> bool {
        self.day_rule == DayRule::Either
    }

    /// The days of the week and the minute of the day, 0 to 1439, of an expression that fires once a day at a fixed
    /// time. `None` for every other expression.
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

    /// The weekday of all fires, if they have one weekday only.
    pub fn only_weekday(&self) -> Option<Weekday> {
        let is_one = self.weekdays.is_power_of_two() && !self.both_day_fields();
        is_one.then(|| Weekday::Sunday.wrapping_add(i64::from(self.weekdays.trailing_zeros())))
    }

    /// The minutes of the week in which the expression may fire. The set is exact if the expression restricts neither
    /// month nor day of the month; otherwise the set is larger than needed.
    pub fn week(&self) -> Minutes {
        let mut week = Minutes::default();
        for day in 0..7 {
            // A day of the month can fall on any day of the week.
            if self.both_day_fields() || self.weekdays & (1 << ((day + 1) % 7)) != 0 {
                for hour in (0..24).filter(|hour| self.hours >> hour & 1 == 1) {
                    week.add_of_hour(day, hour, self.minutes);
                }
            }
        }
        week
    }

    /// The text of an expression that fires once a day, on `days` at `minute` of the day.
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
    fn one_fire_a_day_is_recognised_and_written_again() {
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
