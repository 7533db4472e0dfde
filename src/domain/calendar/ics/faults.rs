//! What is wrong with a calendar file: why it is refused, and what of it is left out.

use crate::domain::calendar::MAX_DATES;

/// How many things that were left out are told one by one; the others are counted.
pub(super) const MAX_LEFT: usize = 20;

/// Why a file is refused, or a part of it is left out. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IcsError {
    /// It is too large.
    #[error("the ICS file is larger than 1 MiB; leave out the years that have passed")]
    TooLarge,
    /// It is something else.
    #[error("this is no ICS file: it must begin with BEGIN:VCALENDAR")]
    NotIcs,
    /// Its end is missing.
    #[error(
        "the ICS file ends in the middle of {name}, which begins on line {line}: a part of it is missing"
    )]
    CutOff {
        /// Where that begins.
        line: usize,
        /// What has no end.
        name: String,
    },
    /// An `END` that closes nothing.
    #[error("line {line} of the ICS file ends {found}, which was not begun there")]
    Unbalanced {
        line: usize,
        /// What it ends.
        found: String,
    },
    /// An event, or a part of one, that goes on into the next thing.
    #[error("{name}, which begins on line {line} of the ICS file, has no END:{name}")]
    NoEnd {
        /// Where it begins.
        line: usize,
        /// What has no end.
        name: String,
    },
    /// Components within components within components.
    #[error("line {0} of the ICS file is nested too deeply")]
    TooDeep(usize),
    /// There is no event.
    #[error("the ICS file holds no event")]
    Empty,
    /// An event that does not say when.
    #[error("the event that begins on line {0} of the ICS file has no DTSTART")]
    NoStart(usize),
    /// A date that is none.
    #[error("line {line} of the ICS file: `{text}` is not a date")]
    Date {
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A duration that is none.
    #[error("line {line} of the ICS file: `{text}` is not a duration, such as P1D")]
    Duration {
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A rule that cannot be read.
    #[error("line {line} of the ICS file: the repetition `{text}` is not understood")]
    Rule {
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A part of a rule that nobody here knows.
    #[error("line {line} of the ICS file: {part} is not read in the repetition `{text}`")]
    Part {
        line: usize,
        /// The part.
        part: String,
        /// The whole rule.
        text: String,
    },
    /// A rule that repeats within a day.
    #[error(
        "line {0} of the ICS file repeats within a day; a calendar is made of whole days, so use DAILY or slower"
    )]
    TooOften(usize),
    /// An event whose days take too long to find.
    #[error("the event that begins on line {0} of the ICS file repeats over too long a time")]
    TooLong(usize),
    /// A time zone of the file that cannot be read, and that something names.
    #[error("the time zone that begins on line {0} of the ICS file is not understood")]
    Zone(usize),
}

impl IcsError {
    /// The line it is about; the first where it is about the whole file.
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

/// Why not all days of a file are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are too many.
    #[error("the ICS file names more than {MAX_DATES} days of the next years; use one with fewer events")]
    TooMany,
    /// Finding them takes too long.
    #[error("the ICS file repeats too many events over too long a time; use one with fewer of them")]
    TooCostly,
}

/// What was left out of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The first of it, in the order of the file.
    pub told: Vec<IcsError>,
    /// How much more there is.
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

    /// How many things.
    pub fn total(&self) -> usize {
        self.told.len() + self.more
    }
}
