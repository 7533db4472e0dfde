//! Two schedules that meet on one target in one minute: where, and who goes first (semantics §4).

use std::cmp::Ordering;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::cron::Cron;
use super::schedule::{Reading, ScheduleSpec, When};
use super::time::resolve;
use super::window::{Rota, Window};

/// How far ahead two schedules are compared, in days.
pub const HORIZON_DAYS: i64 = 400;
/// How many fires of each are compared at most.
pub const MOST_FIRES: usize = 2000;

/// The instants at which something fires, or a window changes.
#[derive(Clone, Debug)]
pub enum Fires {
    /// A cron expression.
    Cron(Cron, Reading),
    /// One instant.
    Once(Timestamp),
    /// The edges of a window, but those of the sleep that starts at the given instant.
    Window(Window, Reading, Option<Timestamp>),
}

impl Fires {
    /// What a stored `when` means; `None` for a text that no longer parses. `skip` is the start of a window's sleep that
    /// is dropped.
    pub fn of(when: &When, reading: &Reading, skip: Option<Timestamp>) -> Option<Self> {
        match when {
            When::Cron(text) => Some(Self::Cron(Cron::parse(text).ok()?, reading.clone())),
            When::Once(at) => Some(Self::Once(*at)),
            When::Window(text) => Some(Self::Window(Window::parse(text).ok()?, reading.clone(), skip)),
        }
    }

    /// The first instant strictly after `after`.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(cron, reading) => {
                let mut fire = cron.next(after, &reading.zone)?;
                // Each look leaves out a whole date of the calendar, of which there are so many and no more.
                while reading.drops(fire) {
                    fire = cron.next(end_of_day(fire, &reading.zone)?, &reading.zone)?;
                }
                Some(fire)
            }
            Self::Once(at) => Some(*at).filter(|at| *at > after),
            Self::Window(window, reading, skip) => Rota::of(window, reading, *skip).next_change(after),
        }
    }

    /// The instants after `after`, in order.
    pub fn iter(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.next(after), |last| self.next(*last))
    }
}

/// The last millisecond of an instant's date.
fn end_of_day(at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let tomorrow = at.to_zoned(zone.clone()).date().tomorrow().ok()?;
    resolve(tomorrow.to_datetime(jiff::civil::Time::midnight()), zone)?.checked_sub(1.millisecond()).ok()
}

/// The first minute after `after` in which both fire, looked for over [`HORIZON_DAYS`] or [`MOST_FIRES`] of each.
pub fn first_clash(a: &Fires, b: &Fires, after: Timestamp) -> Option<Timestamp> {
    let until = after.checked_add((HORIZON_DAYS * 24).hours()).unwrap_or(Timestamp::MAX);
    let within = |at: &Timestamp| *at <= until;
    let mut others = b.iter(after).take(MOST_FIRES).take_while(within).peekable();
    for at in a.iter(after).take(MOST_FIRES).take_while(within) {
        while others.next_if(|other| minute(*other) < minute(at)).is_some() {}
        match others.peek() {
            Some(other) if minute(*other) == minute(at) => return Some(at),
            Some(_) => {}
            None => return None,
        }
    }
    None
}

fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

/// Which of two schedules goes first when they meet, by what they say alone: the greater priority, then start and
/// unpause before restart before pause before stop. `Less` = `a`; `Equal` where their age decides.
pub fn precedence_of(a: &ScheduleSpec, b: &ScheduleSpec) -> Ordering {
    b.priority.cmp(&a.priority).then_with(|| a.action.clash_rank().cmp(&b.action.clash_rank()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn cron(text: &str, zone: &str) -> Fires {
        Fires::Cron(Cron::parse(text).unwrap(), Reading::in_zone(TimeZone::get(zone).unwrap()))
    }

    #[test]
    fn a_nightly_stop_meets_a_weekly_restart_on_its_day() {
        let clash =
            first_clash(&cron("0 23 * * *", "UTC"), &cron("0 23 * * SUN", "UTC"), at("2026-11-23T00:00:00Z"));
        assert_eq!(clash, Some(at("2026-11-29T23:00:00Z")));
    }

    #[test]
    fn zones_that_part_only_in_winter_meet_in_summer() {
        let clash = first_clash(
            &cron("0 23 * * *", "Europe/London"),
            &cron("0 22 * * *", "UTC"),
            at("2026-11-23T00:00:00Z"),
        );
        assert_eq!(clash, Some(at("2027-03-28T22:00:00Z")));
    }

    #[test]
    fn what_never_meets_is_not_reported() {
        let after = at("2026-11-23T00:00:00Z");
        assert_eq!(first_clash(&cron("0 23 * * *", "UTC"), &cron("1 23 * * *", "UTC"), after), None);
        let past = Fires::Once(at("2026-01-01T23:00:00Z"));
        assert_eq!(first_clash(&cron("0 23 * * *", "UTC"), &past, after), None);
    }

    #[test]
    fn an_instant_within_the_minute_counts() {
        let once = Fires::Once(at("2026-11-24T23:00:30Z"));
        let clash = first_clash(&once, &cron("0 23 * * *", "UTC"), at("2026-11-23T00:00:00Z"));
        assert_eq!(clash, Some(at("2026-11-24T23:00:30Z")));
    }
}
