//! Drawings of a rule as lines: over a week, and over the next 24 hours.

use std::fmt::Write as _;

use crate::app::schedules::Mark;
use crate::web::view::Now;

/// A rule over a week: one line of 1440 minutes for each day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleWeek {
    /// The SVG path data.
    pub path: String,
    /// The drawing in words.
    pub title: String,
    /// The labels of the days from top to bottom: `Mo`, …
    pub days: [&'static str; 7],
}

/// The minimum width of a mark in minutes, so that a fire is visible.
const MIN_WIDTH: i16 = 12;

impl RuleWeek {
    /// The drawing of the marks of a rule in the reader's week; `None` without marks.
    pub fn of(marks: &[Mark], title: &str, now: &Now) -> Option<Self> {
        if marks.is_empty() {
            return None;
        }
        let order = now.habits.week_start.days();
        let days = order.map(|day| ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"][day]);
        let line = |mark: &Mark| order.iter().position(|day| *day == mark.day).unwrap_or(0);
        let mut path = String::new();
        for mark in marks {
            let to = mark.to.max(mark.from + MIN_WIDTH).min(1440);
            let from = mark.from.min(to - MIN_WIDTH.min(to));
            let _ = write!(path, "M{from} {}.5H{to}", line(mark));
        }
        Some(Self { path, title: title.to_owned(), days })
    }
}

/// The time ranges in the next 24 hours in which a rule wants its target asleep, as one line of minutes from now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// The SVG path data.
    pub path: String,
    /// The drawing in words.
    pub title: String,
}

impl Ahead {
    /// The drawing of these time ranges of sleep, in minutes from now.
    pub fn of(sleeps: &[(i64, i64)]) -> Self {
        let mut path = String::new();
        let mut asleep = 0;
        for (from, to) in sleeps {
            let _ = write!(path, "M{from} .5H{to}");
            asleep += to - from;
        }
        let title = match (asleep / 60, asleep % 60) {
            (0, 0) => "Awake through the next 24 hours".to_owned(),
            (hours, 0) => format!("Asleep for {hours} of the next 24 hours"),
            (hours, minutes) => format!("Asleep for {hours} h {minutes} min of the next 24 hours"),
        };
        Self { path, title }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::app::schedules;
    use crate::domain::schedule::When;
    use crate::domain::user::{Habits, WeekStart};

    #[test]
    fn drawings_are_small_and_have_a_title() {
        let now = Now::sample();
        let marks = [Mark { day: 0, from: 1380, to: 1440 }, Mark { day: 1, from: 0, to: 420 }];
        let picture = RuleWeek::of(&marks, "Nights", &now).expect("something to draw");
        assert_eq!((picture.path.as_str(), picture.days[0]), ("M1380 0.5H1440M0 1.5H420", "Mo"));
        let late = RuleWeek::of(&[Mark { day: 6, from: 1439, to: 1439 }], "", &now).expect("a moment");
        assert_eq!(late.path, "M1428 6.5H1440", "a moment at the end of a day is wide enough to be seen");
        assert_eq!(Ahead::of(&[(60, 210)]).title, "Asleep for 2 h 30 min of the next 24 hours");
        // The largest number of windows in one text.
        let rich = "sleep ".to_owned()
            + &(0..24).map(|i| format!("{i:02}:00-{i:02}:30")).collect::<Vec<_>>().join(";");
        let marks = schedules::marks(&When::Window(rich), &TimeZone::UTC, Timestamp::UNIX_EPOCH);
        assert!(RuleWeek::of(&marks, "", &now).expect("a picture").path.len() < 3_000);
    }

    #[test]
    fn a_week_begins_with_the_day_its_reader_begins_it_with() {
        let habits = Habits { week_start: WeekStart::Sunday, ..Habits::default() };
        let now = Now { habits, ..Now::sample() };
        let marks = [Mark { day: 0, from: 60, to: 120 }, Mark { day: 6, from: 1380, to: 1440 }];
        let picture = RuleWeek::of(&marks, "", &now).expect("something to draw");
        assert_eq!((picture.path.as_str(), picture.days[0]), ("M60 1.5H120M1380 0.5H1440", "Su"));
    }
}
