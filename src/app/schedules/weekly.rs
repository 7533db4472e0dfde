//! The marks of a schedule in a picture of one week: the sleeps of a window, or the fires of a cron expression.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::domain::cron::Cron;
use crate::domain::schedule::When;
use crate::domain::window::Window;

/// Fires at most this many minutes apart are drawn as one mark.
const CLOSE: i16 = 15;

/// A time range within one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Days after Monday.
    pub day: usize,
    /// Minute of the day at which it begins.
    pub from: i16,
    /// Minute of the day at which it ends, up to 1440; equal to `from` for a single fire.
    pub to: i16,
}

/// The marks of a schedule in one week. For a window: a week without calendar dates and clock changes. For a cron
/// expression: the seven days after `now`. Empty for a single instant.
pub fn marks(when: &When, zone: &TimeZone, now: Timestamp) -> Vec<Mark> {
    match when {
        When::Window(text) => {
            let days = Window::parse(text).map(|window| window.asleep_by_day()).unwrap_or_default();
            let of_day = |(day, stretches): (usize, Vec<(i16, i16)>)| {
                stretches.into_iter().map(move |(from, to)| Mark { day, from, to })
            };
            days.into_iter().enumerate().flat_map(of_day).collect()
        }
        When::Cron(text) => Cron::parse(text).map(|cron| fires(&cron, zone, now)).unwrap_or_default(),
        When::Once(_) => Vec::new(),
    }
}

fn fires(cron: &Cron, zone: &TimeZone, now: Timestamp) -> Vec<Mark> {
    let until = now.checked_add((7 * 24).hours()).unwrap_or(Timestamp::MAX);
    let mut marks: Vec<Mark> = Vec::new();
    let fires = std::iter::successors(cron.next(now, zone), |last| cron.next(*last, zone));
    for at in fires.take_while(|at| *at <= until) {
        let local = at.to_zoned(zone.clone());
        let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
        let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
        match marks.last_mut() {
            Some(last) if last.day == day && (last.to..=last.to + CLOSE).contains(&minute) => {
                last.to = minute
            }
            _ => marks.push(Mark { day, from: minute, to: minute }),
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(when: &When) -> Vec<(usize, i16, i16)> {
        let now = "2026-11-25T12:00:00Z".parse().expect("an instant");
        marks(when, &TimeZone::UTC, now).into_iter().map(|mark| (mark.day, mark.from, mark.to)).collect()
    }

    #[test]
    fn hours_and_moments_are_marked_on_their_days() {
        let window = When::Window("sleep Fri 23:00-01:00".to_owned());
        assert_eq!(of(&window), [(4, 1380, 1440), (5, 0, 60)]);
        assert_eq!(of(&When::Cron("30 4 * * 0".to_owned())), [(6, 270, 270)]);
        assert_eq!(of(&When::Cron("*/10 4 * * 0".to_owned())), [(6, 240, 290)], "close ones are one");
    }
}
