//! The dates on which a schedule acts: every so many weeks, on some of the like weekdays of a month, and by a calendar.

use std::sync::Arc;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Serialize, Serializer};

use super::calendar::{CalendarDays, CalendarEffect};
use super::days::long;

/// How far ahead the search for a date that counts goes, in years. `Cron` has the same limit.
pub const HORIZON_YEARS: i16 = 100;

/// The weeks in which a schedule acts. A week begins on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EveryWeeks {
    /// Every how many weeks: 2 to [`MAX_EVERY_WEEKS`].
    pub weeks: i64,
    /// A date of one of these weeks, before or after which the weeks are counted.
    pub anchor: Date,
}

/// The largest [`EveryWeeks::weeks`].
pub const MAX_EVERY_WEEKS: i64 = 52;

impl EveryWeeks {
    /// Reads the texts of both fields; `None` if both are missing or one is invalid. `refuse` takes the name of a field
    /// and what is wrong with it.
    pub fn read(
        weeks: Option<&str>,
        anchor: Option<&str>,
        mut refuse: impl FnMut(&'static str, &'static str),
    ) -> Option<Self> {
        let is_given = (weeks.is_some(), anchor.is_some());
        let weeks = weeks.and_then(|typed| {
            let weeks = typed.parse().ok().filter(|weeks| (2..=MAX_EVERY_WEEKS).contains(weeks));
            weeks.or_else(|| {
                refuse("every_weeks", "use a whole number from 2 to 52");
                None
            })
        });
        let anchor = anchor.and_then(|typed| {
            // `Date` accepts other forms too, and ignores a time.
            let date = typed.parse().ok().filter(|date: &Date| date.to_string() == typed);
            date.or_else(|| {
                refuse("anchor", "use a date such as 2026-11-30");
                None
            })
        });
        match is_given {
            (true, false) => {
                refuse("anchor", "say which weeks: give any date of one of them, such as 2026-11-30")
            }
            (false, true) => {
                refuse("every_weeks", "say every how many weeks, 2 to 52, or leave out the date")
            }
            _ => {}
        }
        Some(Self { weeks: weeks?, anchor: anchor? })
    }

    /// Whether a date lies in one of the weeks.
    fn holds(self, date: Date) -> bool {
        (week(date) - week(self.anchor)).rem_euclid(self.weeks) == 0
    }

    fn words(self) -> String {
        let ending = match self.weeks % 10 {
            2 if self.weeks != 12 => "nd",
            3 if self.weeks != 13 => "rd",
            1 if self.weeks != 11 => "st",
            _ => "th",
        };
        let anchor = self.anchor.strftime("%-d %b %Y");
        format!(", every {}{ending} week, counted from the week of {anchor}", self.weeks)
    }
}

/// Which of the like weekdays of a month a schedule acts on, such as the first and the last Friday.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nth {
    /// Bit k is the k-th, 1 to 5; bit 0 is the last. No bit means all of them.
    bits: u8,
}

impl Nth {
    /// All weekdays of a month.
    pub const ALL: Self = Self { bits: 0 };
    /// The numbers in the order in which they are shown.
    const NUMBERS: [(i8, &str); 6] =
        [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (5, "5th"), (-1, "last")];

    /// Reads numbers with commas or spaces between them.
    ///
    /// # Errors
    /// The message for the user.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let numbers = text.split([',', ' ']).filter(|word| !word.is_empty());
        numbers.map(str::parse).try_fold(Self::ALL, |all, number| match number {
            Ok(number @ (-1 | 1..=5)) => Ok(Self { bits: all.bits | Self::bit(number) }),
            _ => Err("use numbers from 1 to 5, and -1 for the last, such as `1, -1`"),
        })
    }

    fn bit(number: i8) -> u8 {
        1 << number.max(0)
    }

    /// The names of the chosen numbers, in order.
    fn chosen(self) -> impl Iterator<Item = (i8, &'static str)> {
        Self::NUMBERS.into_iter().filter(move |(number, _)| self.bits & Self::bit(*number) != 0)
    }

    /// The numbers with commas between them, as [`Nth::parse`] reads them; `None` for all weekdays.
    pub fn to_text(self) -> Option<String> {
        let numbers: Vec<String> = self.chosen().map(|(number, _)| number.to_string()).collect();
        (self != Self::ALL).then(|| numbers.join(","))
    }

    fn holds(self, date: Date) -> bool {
        let is_last = date.day() + 7 > date.days_in_month();
        self == Self::ALL
            || self.bits & Self::bit((date.day() + 6) / 7) != 0
            || is_last && self.bits & Self::bit(-1) != 0
    }

    /// `weekday` is the only weekday on which the schedule acts.
    fn words(self, weekday: Option<Weekday>) -> String {
        let chosen: Vec<&str> = self.chosen().map(|(_, word)| word).collect();
        let Some((last, others)) = chosen.split_last() else { return String::new() };
        let joined =
            if others.is_empty() { (*last).to_owned() } else { format!("{} and {last}", others.join(", ")) };
        match weekday {
            Some(day) => format!(", only on the {joined} {} of the month", long(day)),
            None => format!(", only on the {joined} of each weekday in the month"),
        }
    }
}

impl Serialize for Nth {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let numbers: Vec<i8> = self.chosen().map(|(number, _)| number).collect();
        Some(numbers).filter(|numbers| !numbers.is_empty()).serialize(to)
    }
}

/// The number of a week, counted from the one of 1970-01-01.
fn week(date: Date) -> i64 {
    // 1970-01-01 was a Thursday, three days after the Monday of its week.
    let days = date.duration_since(jiff::civil::date(1970, 1, 1)).as_hours() / 24;
    (days + 3).div_euclid(7)
}

/// The dates on which a schedule acts, and what it does on special ones.
#[derive(Clone, Debug, Default)]
pub struct DayRules {
    pub every_weeks: Option<EveryWeeks>,
    pub nth: Nth,
    /// The dates of the schedule's calendar, and the effect on them.
    pub calendar: Option<(Arc<CalendarDays>, CalendarEffect)>,
}

impl DayRules {
    /// The rules of a schedule that treats all dates alike.
    pub const NONE: Self = Self { every_weeks: None, nth: Nth::ALL, calendar: None };

    /// Whether every week is like every other.
    pub fn is_weekly(&self) -> bool {
        self.every_weeks.is_none() && self.nth == Nth::ALL && self.calendar.is_none()
    }

    /// Whether intervals of a window may start on a date. What a calendar does to them is [`DayRules::effect_on`].
    pub fn holds(&self, date: Date) -> bool {
        let is_left_out =
            matches!(&self.calendar, Some((days, CalendarEffect::Only)) if !days.contains(date));
        !is_left_out && self.every_weeks.is_none_or(|every| every.holds(date)) && self.nth.holds(date)
    }

    /// Whether a cron fire on a date counts.
    pub fn counts(&self, date: Date) -> bool {
        self.holds(date) && !self.is_skipped(date)
    }

    /// Whether a cron fire on a date would count if the schedule had no calendar.
    pub fn is_taken_by_calendar(&self, date: Date) -> bool {
        self.holds(date) && self.is_skipped(date)
    }

    fn is_skipped(&self, date: Date) -> bool {
        matches!(&self.calendar, Some((days, CalendarEffect::Skip)) if days.contains(date))
    }

    /// The first date after `date` that counts, up to `last`.
    pub fn next_after(&self, date: Date, last: Date) -> Option<Date> {
        let later = date.series(1.day()).skip(1).take_while(|later| *later <= last);
        later.into_iter().find(|later| self.counts(*later))
    }

    /// The effect of the calendar on a date that it contains.
    pub fn effect_on(&self, date: Date) -> Option<CalendarEffect> {
        self.calendar.as_ref().filter(|(days, _)| days.contains(date)).map(|(_, effect)| *effect)
    }

    /// The number of days after `date` within which each change of a window comes that ever comes, beside those of a
    /// window whose weeks are all alike. The dates of a calendar count up to `most` days.
    pub fn irregular_days(&self, date: Date, most: i64) -> i64 {
        let period = match (self.every_weeks, self.nth) {
            (None, Nth::ALL) => 0,
            (None, _) => 366,
            // Six times, because the same week can have a clock change that drops an edge for years.
            (Some(every), Nth::ALL) => 6 * 7 * every.weeks,
            // Such a week can go through all days of the month before it has one that counts.
            (Some(_), _) => 366 * i64::from(HORIZON_YEARS),
        };
        let dates = match &self.calendar {
            None => 0,
            Some((days, _)) if !days.yearly.is_empty() => most,
            Some((days, _)) => {
                let last = days.last().and_then(|last| last.since(date).ok());
                last.map_or(0, |span| i64::from(span.get_days())).clamp(0, most)
            }
        };
        dates + period
    }

    /// The end of a sentence about the times of a schedule, with the comma before it; may be empty. `weekday` is the only
    /// weekday on which it acts.
    pub fn words(&self, weekday: Option<Weekday>) -> String {
        let mut words = self.nth.words(weekday);
        words.push_str(&self.every_weeks.map(EveryWeeks::words).unwrap_or_default());
        if matches!(self.calendar, Some((_, CalendarEffect::Only))) {
            words.push_str(", only on the days of its calendar");
        }
        words
    }
}

/// How the times of a schedule are converted to instants: by which zone, and on which dates.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The zone of the schedule or, if it has none, the default zone.
    pub zone: TimeZone,
    pub days: DayRules,
}

impl Reading {
    /// A zone in which all dates are alike.
    pub fn in_zone(zone: TimeZone) -> Self {
        Self { zone, days: DayRules::NONE }
    }

    /// Whether a cron fire at `at` does not take place because of its date.
    pub fn drops(&self, at: Timestamp) -> bool {
        !self.days.counts(at.to_zoned(self.zone.clone()).date())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
