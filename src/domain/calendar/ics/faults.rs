//! The errors of a calendar file. An [`IcsError`] refuses the whole file or leaves out one part of it, a [`Refusal`]
//! stops the expansion of its events, and [`LeftOut`] collects the parts that were left out.

use crate::domain::calendar::MAX_DATES;

/// The most parts left out that are kept one by one; further ones are only counted.
pub(super) const MAX_LEFT: usize = 20;

/// The reason why a file is refused or a part of it is left out. Lines are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IcsError {
    /// The file is larger than [`super::MAX_BYTES`].
    #[error("the ICS file is larger than 1 MiB; leave out the years that have passed")]
    TooLarge,
    /// The text is not a calendar file.
    #[error("this is no ICS file: it must begin with BEGIN:VCALENDAR")]
    NotIcs,
    /// The file ends inside a component.
    #[error(
        "the ICS file ends in the middle of {name}, which begins on line {line}: a part of it is missing"
    )]
    CutOff {
        /// The line on which the component begins.
        line: usize,
        /// The name of the component.
        name: String,
    },
    /// An `END` without a matching `BEGIN`.
    #[error("line {line} of the ICS file ends {found}, which was not begun there")]
    Unbalanced {
        line: usize,
        /// The name of the component after `END`.
        found: String,
    },
    /// An event, or a component inside an event, has no `END` before the next component.
    #[error("{name}, which begins on line {line} of the ICS file, has no END:{name}")]
    NoEnd {
        /// The line on which the component begins.
        line: usize,
        /// The name of the component.
        name: String,
    },
    /// Components are nested more deeply than `MAX_DEPTH`.
    #[error("line {0} of the ICS file is nested too deeply")]
    TooDeep(usize),
    /// The file has no event.
    #[error("the ICS file holds no event")]
    Empty,
    /// An event has no `DTSTART`.
    #[error("the event that begins on line {0} of the ICS file has no DTSTART")]
    NoStart(usize),
    /// A date is invalid.
    #[error("line {line} of the ICS file: `{text}` is not a date")]
    Date {
        line: usize,
        /// An excerpt of the invalid text.
        text: String,
    },
    /// A duration is invalid.
    #[error("line {line} of the ICS file: `{text}` is not a duration, such as P1D")]
    Duration {
        line: usize,
        /// An excerpt of the invalid text.
        text: String,
    },
    /// A recurrence rule is invalid.
    #[error("line {line} of the ICS file: the repetition `{text}` is not understood")]
    Rule {
        line: usize,
        /// An excerpt of the rule.
        text: String,
    },
    /// A part of a recurrence rule is not supported.
    #[error("line {line} of the ICS file: {part} is not read in the repetition `{text}`")]
    Part {
        line: usize,
        /// The unsupported part.
        part: String,
        /// An excerpt of the whole rule.
        text: String,
    },
    /// A recurrence rule repeats within a day.
    #[error(
        "line {0} of the ICS file repeats within a day; a calendar is made of whole days, so use DAILY or slower"
    )]
    TooOften(usize),
    /// Finding the days of an event would take too long.
    #[error("the event that begins on line {0} of the ICS file repeats over too long a time")]
    TooLong(usize),
    /// A time zone that the file describes is invalid, and an event uses the zone.
    #[error("the time zone that begins on line {0} of the ICS file is not understood")]
    Zone(usize),
}

impl IcsError {
    /// The line of the error; 1 if the error is about the whole file.
    pub fn line(&self) -> usize {
        match self {
            Self::TooLarge | Self::NotIcs | Self::Empty => 1,
            Self::CutOff { line, .. }
            | Self::Unbalanced { line, .. }
            | Self::NoEnd { line, .. }
            | Self::Date { line, .. }
            | Self::Duration { line, .. }
            | Self::Rule { line, .. }
            | Self::Part { line, .. }
            | Self::TooDeep(line)
            | Self::NoStart(line)
            | Self::TooOften(line)
            | Self::TooLong(line)
            | Self::Zone(line) => *line,
        }
    }
}

/// The reason why an expansion does not have all days of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The file has more days than a calendar may have.
    #[error("the ICS file names more than {MAX_DATES} days of the next years; use one with fewer events")]
    TooMany,
    /// Finding the days would take too long.
    #[error("the ICS file repeats too many events over too long a time; use one with fewer of them")]
    TooCostly,
}

/// The parts of a file that were left out because of errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The first errors, at most 20.
    pub told: Vec<IcsError>,
    /// The number of further errors.
    pub more: usize,
}

impl LeftOut {
    pub(super) fn add(&mut self, error: IcsError) {
        if self.told.len() < MAX_LEFT {
            self.told.push(error);
        } else {
            self.more += 1;
        }
    }

    /// The number of all errors.
    pub fn total(&self) -> usize {
        self.told.len() + self.more
    }
}
