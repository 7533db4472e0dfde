//! Calendars: named lists of dates on which a schedule behaves differently (rulings 2). Several schedules can share one
//! calendar.
//!
//! [`check`](mod@check) validates the input of a form or an API request and returns a [`CalendarSpec`]; [`ics`] parses
//! calendar files. [`CalendarSpec::days`] expands a calendar to its dates.

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
/// The most dates of a calendar, with ranges and files expanded (rulings 2). Yearly dates do not count.
pub const MAX_DATES: usize = 5000;
/// The number of years after today for which repeating events of a file are expanded (rulings 2).
pub const YEARS_AHEAD: i16 = 5;
/// The number of years before today for which they are expanded, so that dates of the recent past are included.
const YEARS_BACK: i16 = 1;

/// The settings of a calendar, validated and ready to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarSpec {
    /// The name, unique among calendars, ignoring case.
    pub name: String,
    /// Single dates, sorted, without duplicates.
    pub dates: Vec<Date>,
    /// First and last date of each range, sorted.
    pub ranges: Vec<(Date, Date)>,
    /// Dates that count in every year, as month and day, both counted from 1; sorted.
    pub yearly: Vec<(i8, i8)>,
    /// The text of a calendar file (RFC 5545) that [`ics::read`] accepts.
    pub ics: Option<String>,
}

/// A stored calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub id: CalendarId,
    pub spec: CalendarSpec,
    /// The revision, which grows with every change; sent as `ETag`.
    pub rev: i64,
    pub created_at: Timestamp,
    /// The instant of the last change.
    pub updated_at: Timestamp,
}

impl CalendarSpec {
    /// All dates of the calendar. Repeating events of its file are expanded from one year before `from` to five years
    /// after `from`. If there are more than [`MAX_DATES`] dates, the latest are left out.
    pub fn days(&self, from: Date) -> CalendarDays {
        self.expand(from).days
    }

    /// Like [`CalendarSpec::days`], with the names of the dates and the errors of the file.
    pub fn expand(&self, from: Date) -> CalendarDates {
        let Expansion { days: names, left, .. } = match self.ics.as_deref().map(ics::read) {
            Some(Ok(file)) => file.days(span(from)),
            // The file was valid when it was stored, so this happens only if the parser has become stricter.
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

/// The dates of a calendar, with their names and the errors of its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalendarDates {
    /// All dates.
    pub days: CalendarDays,
    /// The event name of each date that comes from the file.
    pub names: BTreeMap<Date, String>,
    /// The parts of the file that are ignored because of errors.
    pub left: LeftOut,
}

/// The first and the last date for which repeating events are expanded.
fn span(from: Date) -> (Date, Date) {
    let first = from.checked_sub(i64::from(YEARS_BACK).years()).unwrap_or(Date::MIN);
    let last = from.checked_add(i64::from(YEARS_AHEAD).years()).unwrap_or(Date::MAX);
    (first, last)
}

/// A month and a day as text, such as `12-25`.
pub fn yearly_text((month, day): (i8, i8)) -> String {
    format!("{month:02}-{day:02}")
}

/// The effect of a calendar on a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CalendarEffect {
    /// No interval of a `sleep …` window starts on a date of the calendar; an `awake …` window is awake the whole date.
    Awake,
    /// A `sleep …` window is asleep the whole date; no interval of an `awake …` window starts on it.
    Asleep,
    /// The window has the intervals of this weekday.
    As(Weekday),
    /// For cron schedules: fires on a date of the calendar are skipped.
    Skip,
    /// For cron schedules and `sleep …` windows: fires, and intervals that start, on other dates do not take place.
    Only,
}

impl CalendarEffect {
    /// The text in the API and the database: `awake`, `asleep`, `as:Sun`, `skip`, `only`.
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
            Self::Only => "only",
        }
    }

    /// The reverse of [`CalendarEffect::as_str`], ignoring case.
    pub fn parse(word: &str) -> Option<Self> {
        let days = Weekday::Monday.cycle_forward().take(7).map(Self::As);
        [Self::Awake, Self::Asleep, Self::Skip, Self::Only]
            .into_iter()
            .chain(days)
            .find(|effect| effect.as_str().eq_ignore_ascii_case(word))
    }
}

/// The dates of a calendar, expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalendarDays {
    /// Single dates: listed dates, the dates of ranges, and the dates from an ICS file.
    pub dates: BTreeSet<Date>,
    /// Dates that count in every year, as month and day, both counted from 1.
    pub yearly: BTreeSet<(i8, i8)>,
}

impl CalendarDays {
    /// Whether the calendar contains a date.
    pub fn contains(&self, date: Date) -> bool {
        self.dates.contains(&date) || self.yearly.contains(&(date.month(), date.day()))
    }

    /// The last of the single dates; `None` if there are none. Yearly dates have no last one and are ignored.
    pub fn last(&self) -> Option<Date> {
        self.dates.last().copied()
    }

    /// The dates from `from` on, sorted; the yearly ones for [`YEARS_AHEAD`] years.
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
    fn coming_dates_are_in_order_and_begin_today() {
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
