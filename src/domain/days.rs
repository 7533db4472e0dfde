//! Sets of weekdays, and their names.

use std::fmt;

use jiff::civil::Weekday;

/// A set of weekdays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Days(u8);

impl Days {
    /// Every day of the week.
    pub const ALL: Self = Self(0b111_1111);

    /// The set of one day.
    pub fn only(day: Weekday) -> Self {
        Self(1 << day.to_monday_zero_offset())
    }

    /// The days from `first` to `last`, both included. The range goes past the end of the week if `last` comes before
    /// `first`.
    pub fn from_to(first: Weekday, last: Weekday) -> Self {
        let mut days = Self::default();
        for day in first.cycle_forward().take(7) {
            days = days.with(Self::only(day));
            if day == last {
                break;
            }
        }
        days
    }

    /// The union of both sets.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set contains the day.
    pub fn has(self, day: Weekday) -> bool {
        self.0 & Self::only(day).0 != 0
    }

    /// The ranges of consecutive days as `(first, last)`; a range may go past the end of the week.
    pub fn runs(self) -> Vec<(Weekday, Weekday)> {
        if self == Self::ALL {
            return vec![(Weekday::Monday, Weekday::Sunday)];
        }
        Weekday::Monday
            .cycle_forward()
            .take(7)
            .filter(|day| self.has(*day) && !self.has(day.previous()))
            .map(|first| {
                let last = first.cycle_forward().take(7).take_while(|day| self.has(*day)).last();
                (first, last.unwrap_or(first))
            })
            .collect()
    }

    /// A description in English: "Monday to Friday and Sunday".
    pub fn meaning(self) -> String {
        let mut runs: Vec<String> = self
            .runs()
            .into_iter()
            .map(|(first, last)| match last {
                _ if first == last => long(first).to_owned(),
                _ if first.next() == last => format!("{} and {}", long(first), long(last)),
                _ => format!("{} to {}", long(first), long(last)),
            })
            .collect();
        let last = runs.pop().unwrap_or_default();
        if runs.is_empty() { last } else { format!("{} and {last}", runs.join(", ")) }
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.runs().into_iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match last {
                _ if first == last => f.write_str(short(first))?,
                _ if first.next() == last => write!(f, "{},{}", short(first), short(last))?,
                _ => write!(f, "{}-{}", short(first), short(last))?,
            }
        }
        Ok(())
    }
}

/// The short name of a weekday: `Mon` … `Sun`.
pub fn short(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    }
}

/// The English name of a weekday.
pub fn long(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}
