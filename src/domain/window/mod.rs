//! Sleep windows: weekly intervals in which a target should be asleep or awake (semantics §2, rulings 8).
//!
//! The text `sleep Mon-Fri 23:00-07:00; Sat 00:00-24:00` lists the time asleep. The text `awake Mon-Fri 07:30-20:00`
//! lists the time awake, and the target sleeps for the rest of the week. [`Window::parse`] parses the text strictly,
//! and a [`WindowTimeline`] computes instants from a window, a zone and a calendar.

use jiff::civil::Weekday;

use super::days::Days;
use super::minutes::Minutes;
use crate::domain::words::words;

mod notes;
mod parse;
mod timeline;
mod walk;
mod week;
mod words;

pub use notes::{EdgeNote, SleepNote};
pub use parse::{MAX_PARTS, MAX_TEXT, WindowError};
pub use timeline::{Interval, Vote, WindowTimeline};
pub use walk::Walk;
pub use week::{Grid, SLOTS, Week, weekday};
pub use words::Clock;

/// The minutes of a day.
const DAY: i16 = 24 * 60;
/// The minutes of a week, which is the longest length of a part.
const WEEK: i16 = 7 * DAY;

words! {
    /// The desired state by a window.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    #[schema(as = Mood)]
    pub enum Phase {
        /// Stopped or paused.
        Asleep,
        /// Running.
        Awake,
    }
}

impl Phase {
    /// The opposite phase.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Asleep => Self::Awake,
            Self::Awake => Self::Asleep,
        }
    }
}

/// A parsed window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The phase in which the target is during the parts; outside them it is in the other one.
    pub names: Phase,
    /// The intervals: at least one, at most [`MAX_PARTS`].
    pub parts: Vec<Part>,
}

impl Window {
    /// The weekday on which all intervals start, if it is one only.
    pub fn only_weekday(&self) -> Option<Weekday> {
        let days = self.parts.iter().fold(Days::default(), |days, part| days.with(part.days));
        Weekday::Monday.cycle_forward().take(7).find(|day| days == Days::only(*day))
    }

    /// The minutes of a week in which the window has this phase.
    pub fn week(&self, phase: Phase) -> Minutes {
        let mut named = Minutes::default();
        for part in &self.parts {
            for day in Weekday::Monday.cycle_forward().take(7).filter(|day| part.days.has(*day)) {
                let midnight = i64::from(day.to_monday_zero_offset()) * i64::from(DAY);
                named.add(midnight + i64::from(part.start), i64::from(part.length));
            }
        }
        if phase == self.names { named } else { named.others() }
    }
}

/// One interval of a window, which starts once on each of its days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The days on which the interval starts.
    pub days: Days,
    /// The minute of the day at which the interval starts, 0 … 1439.
    pub start: i16,
    /// The minutes from start to end by wall clock, 1 … 10080.
    pub length: i16,
}
