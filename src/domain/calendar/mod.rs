//! Named lists of dates, shared by schedules, that change what begins on those dates (rulings 2).
//!
//! [`check`](mod@check) turns what was typed or sent into a [`CalendarSpec`]; [`ics`] reads calendar files.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan};

use super::ids::CalendarId;

pub mod check;
pub mod ics;

pub use check::{CalendarDraft, Fault};
pub use ics::{Expansion, IcsError, LeftOut};

/// The longest name of a calendar, in characters.
pub const MAX_NAME: usize = 120;
/// The most dates a calendar may name, ranges and files expanded (rulings 2). Yearly dates do not count.
pub const MAX_DATES: usize = 5000;
/// How many years ahead repeating events of a file are expanded (rulings 2).
pub const YEARS_AHEAD: i16 = 5;
/// How many years back they are: what began before now is still looked at.
const YEARS_BACK: i16 = 1;

/// What the user decides about a calendar; checked, and ready to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarSpec {
    /// What the user calls it; no other calendar is called so, in any case.
    pub name: String,
    /// Single dates, in order, each once.
    pub dates: Vec<Date>,
    /// First and last date of each range, in order.
    pub ranges: Vec<(Date, Date)>,
    /// Month and day of every year, each counted from 1, in order.
    pub yearly: Vec<(i8, i8)>,
    /// The text of a calendar file (RFC 5545) that [`ics::read`] understands.
    pub ics: Option<String>,
}

/// A stored calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub id: CalendarId,
    /// What the user decided.
    pub spec: CalendarSpec,
    /// Grows with every change; the `ETag`.
    pub rev: i64,
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl CalendarSpec {
    /// All of its dates. Repeating events of its file are expanded from a year before `from` to five years after it;
    /// past [`MAX_DATES`] the latest are left out.
    pub fn days(&self, from: Date) -> CalendarDays {
        self.expand(from).days
    }

    /// As [`CalendarSpec::days`], with what else its file says of them.
    pub fn expand(&self, from: Date) -> CalendarDates {
        let Expansion { days: names, left, .. } = match self.ics.as_deref().map(ics::read) {
            Some(Ok(file)) => file.days(span(from)),
            // It was read otherwise when it was stored.
            Some(Err(error)) => {
                Expansion { left: LeftOut { told: vec![error], more: 0 }, ..Expansion::default() }
            }
            None => Expansion::default(),
        };
        let mut dates = BTreeSet::from_iter(self.dates.iter().copied());
        for (first, last) in &self.ranges {
            dates.extend(first.series(1.day()).take_while(|date| date <= last).take(MAX_DATES));
        }
        dates.extend(names.keys());
        let days = CalendarDays {
            dates: BTreeSet::from_iter(dates.into_iter().take(MAX_DATES)),
            yearly: BTreeSet::from_iter(self.yearly.iter().copied()),
        };
        CalendarDates { days, names, left }
    }
}

/// The dates of a calendar, and what its file says of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalendarDates {
    /// All of them.
    pub days: CalendarDays,
    /// What its file calls the dates that it names.
    pub names: BTreeMap<Date, String>,
    /// What of its file does not count.
    pub left: LeftOut,
}

/// First and last date that repeating events are expanded for.
fn span(from: Date) -> (Date, Date) {
    let first = from.checked_sub(i64::from(YEARS_BACK).years()).unwrap_or(Date::MIN);
    let last = from.checked_add(i64::from(YEARS_AHEAD).years()).unwrap_or(Date::MAX);
    (first, last)
}

/// A month and a day as it is written: `12-25`.
pub fn yearly_text((month, day): (i8, i8)) -> String {
    format!("{month:02}-{day:02}")
}

/// What a schedule does on the dates of its calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CalendarEffect {
    /// No sleep interval starts on such a date; an `awake …` rule is awake all of it.
    Awake,
    /// Asleep all of such a date; no interval of an `awake …` rule starts on it.
    Asleep,
    /// Such a date has the windows of this weekday.
    As(Weekday),
    /// For cron schedules: what would fire on such a date is dropped.
    Skip,
}

impl CalendarEffect {
    /// The word used in the API and the database: `awake`, `asleep`, `as:Sun`, `skip`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Awake => "awake",
            Self::Asleep => "asleep",
            Self::As(Weekday::Monday) => "as:Mon",
            Self::As(Weekday::Tuesday) => "as:Tue",
            Self::As(Weekday::Wednesday) => "as:Wed",
            Self::As(Weekday::Thursday) => "as:Thu",
            Self::As(Weekday::Friday) => "as:Fri",
            Self::As(Weekday::Saturday) => "as:Sat",
            Self::As(Weekday::Sunday) => "as:Sun",
            Self::Skip => "skip",
        }
    }

    /// The reverse of [`CalendarEffect::as_str`], in any case.
    pub fn parse(word: &str) -> Option<Self> {
        let days = Weekday::Monday.cycle_forward().take(7).map(Self::As);
        [Self::Awake, Self::Asleep, Self::Skip]
            .into_iter()
            .chain(days)
            .find(|effect| effect.as_str().eq_ignore_ascii_case(word))
    }
}

/// The dates of a calendar, expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalendarDays {
    /// Single dates: those listed, those in ranges, those that an ICS file names.
    pub dates: BTreeSet<Date>,
    /// Every year on this month and day, each counted from 1.
    pub yearly: BTreeSet<(i8, i8)>,
}

impl CalendarDays {
    /// Whether a date is one of them.
    pub fn contains(&self, date: Date) -> bool {
        self.dates.contains(&date) || self.yearly.contains(&(date.month(), date.day()))
    }

    /// The last date that differs from its weekday's rule for certain; `None` where every year has such dates, or
    /// none does.
    pub fn last(&self) -> Option<Date> {
        self.dates.last().copied()
    }

    /// Its dates from `from` on, the yearly ones for [`YEARS_AHEAD`] years, in order.
    pub fn coming(&self, from: Date) -> impl Iterator<Item = Date> {
        let years = from.year()..=from.year().saturating_add(YEARS_AHEAD);
        let yearly = years.flat_map(|year| {
            self.yearly.iter().filter_map(move |(month, day)| Date::new(year, *month, *day).ok())
        });
        let listed = self.dates.range(from..).copied();
        BTreeSet::from_iter(listed.chain(yearly.filter(|date| *date >= from))).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn spec() -> CalendarSpec {
        CalendarSpec {
            name: "Holidays".to_owned(),
            dates: vec![date("2026-10-03")],
            ranges: vec![(date("2026-12-30"), date("2027-01-02"))],
            yearly: vec![(2, 29), (12, 25)],
            ics: None,
        }
    }

    #[test]
    fn a_range_is_all_of_its_days_and_a_yearly_date_is_every_year() {
        let days = spec().days(date("2026-11-27"));
        for (day, is) in [
            ("2026-10-03", true),
            ("2026-12-29", false),
            ("2026-12-30", true),
            ("2027-01-02", true),
            ("2027-01-03", false),
            ("2026-12-25", true),
            ("2041-12-25", true),
            ("2028-02-29", true),
            ("2027-02-28", false),
        ] {
            assert_eq!(days.contains(date(day)), is, "{day}");
        }
        assert_eq!(days.last(), Some(date("2027-01-02")));
    }

    #[test]
    fn what_comes_is_in_order_and_begins_today() {
        let days = spec().days(date("2026-11-27"));
        let coming: Vec<String> =
            days.coming(date("2026-12-25")).take(6).map(|date| date.to_string()).collect();
        let expected = ["2026-12-25", "2026-12-30", "2026-12-31", "2027-01-01", "2027-01-02", "2027-12-25"];
        assert_eq!(coming, expected);
        // 2028 has a 29 February.
        assert_eq!(days.coming(date("2028-01-01")).next(), Some(date("2028-02-29")));
    }

    #[test]
    fn the_ends_of_the_calendar_are_no_panic() {
        let spec = CalendarSpec { ranges: vec![(Date::MIN, Date::MAX)], ..spec() };
        assert_eq!(spec.days(Date::MAX).dates.len(), MAX_DATES);
        assert!(spec.days(Date::MIN).coming(Date::MAX).count() < 3);
    }
}
