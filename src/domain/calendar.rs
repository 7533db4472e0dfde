//! Named lists of dates, shared by schedules, that change what begins on those dates (rulings 2).

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};

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
}
