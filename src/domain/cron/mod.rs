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

pub use fire::{Fires, MISSED_CAP, Missed};
pub use notes::{DstEffect, DstNote};
pub use parse::{CronError, Field, MAX_LENGTH};

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
