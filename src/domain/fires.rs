//! The instants at which a schedule acts. [`Fires`] is the only place that decides which fires of a cron expression count
//! on which dates; the scheduler, previews, forecasts and the search for conflicts all ask it.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::cron::{self, Cron, Missed};
use super::day_rules::{HORIZON_YEARS, Reading};
use super::minutes::Week;
use super::schedule::When;
use super::time::resolve;
use super::window::{Window, WindowTimeline};

/// The fires of a cron or one-off schedule, or the edges of a window.
#[derive(Clone, Debug)]
pub enum Fires {
    /// A cron expression.
    Cron(Cron, Reading),
    /// One instant.
    Once(Timestamp),
    /// The edges of a window, without those of the skipped sleep, which starts at the given instant.
    Window(Window, Reading, Option<Timestamp>),
}

impl Fires {
    /// The fires of a stored schedule; `None` if its text no longer parses. `skip` is the start of a window's sleep
    /// that is skipped.
    pub fn of(when: &When, reading: &Reading, skip: Option<Timestamp>) -> Option<Self> {
        match when {
            When::Cron(text) => Some(Self::Cron(Cron::parse(text).ok()?, reading.clone())),
            When::Once(at) => Some(Self::Once(*at)),
            When::Window(text) => Some(Self::Window(Window::parse(text).ok()?, reading.clone(), skip)),
        }
    }

    /// The first fire or edge strictly after `after`.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(cron, reading) => next_that_counts(cron, reading, after),
            Self::Once(at) => Some(*at).filter(|at| *at > after),
            Self::Window(window, reading, skip) => {
                WindowTimeline::of(window, reading, *skip).next_change(after)
            }
        }
    }

    /// The fires or edges strictly after `after`, in order.
    pub fn iter(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.next(after), |last| self.next(*last))
    }

    /// The last fire in (`from`, `until`].
    pub fn last_at_or_before(&self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        cron::last_at_or_before(|after| self.next(after), from, until)
    }

    /// A summary of the fires in (`from`, `until`]; `None` if there are none.
    pub fn missed(&self, from: Timestamp, until: Timestamp) -> Option<Missed> {
        match self {
            // Faster, because one search goes on where the one before it ended.
            Self::Cron(cron, reading) if reading.days.is_weekly() => cron.missed(from, until, &reading.zone),
            _ => Missed::of(self.iter(from).take_while(|at| *at <= until), |last| {
                self.last_at_or_before(last, until)
            }),
        }
    }

    /// The times in words. An instant is written in `zone`.
    pub fn meaning(&self, zone: &TimeZone) -> String {
        match self {
            Self::Cron(cron, reading) => cron.meaning() + &reading.days.words(cron.only_weekday()),
            Self::Once(at) => format!("Once, at {}", at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M")),
            Self::Window(window, reading, _) => window.meaning() + &reading.days.words(window.only_weekday()),
        }
    }

    /// The effects of the clock changes within `days` days after `after`, one line each.
    pub fn dst_notes(&self, after: Timestamp, days: u32) -> Vec<String> {
        match self {
            Self::Cron(cron, reading) => {
                let notes = cron.dst_notes(after, &reading.zone, days).into_iter();
                let notes = notes.filter(|note| reading.days.counts(note.first.date()));
                notes.map(|note| note.to_string()).collect()
            }
            Self::Once(_) => Vec::new(),
            Self::Window(window, reading, skip) => {
                let notes = WindowTimeline::of(window, reading, *skip).dst_notes(after, days);
                notes.iter().map(ToString::to_string).collect()
            }
        }
    }

    /// The minutes of the week in which a cron schedule may fire; `None` for other schedules.
    pub(super) fn week(&self) -> Option<Week<'_>> {
        let Self::Cron(cron, reading) = self else { return None };
        Some(Week { minutes: cron.week(), zone: &reading.zone })
    }
}

/// The first fire after `after` on a date that counts. Each pass goes on to a later date that counts, and the last date
/// is [`HORIZON_YEARS`] away, so the number of passes is bounded.
fn next_that_counts(cron: &Cron, reading: &Reading, after: Timestamp) -> Option<Timestamp> {
    let date_of = |at: Timestamp| at.to_zoned(reading.zone.clone()).date();
    let mut fire = cron.next(after, &reading.zone)?;
    if reading.days.is_weekly() {
        return Some(fire);
    }
    let horizon = date_of(after).checked_add(HORIZON_YEARS.years()).unwrap_or(Date::MAX);
    loop {
        let date = date_of(fire);
        if date > horizon {
            return None;
        }
        if reading.days.counts(date) {
            return Some(fire);
        }
        let date = reading.days.next_after(date, horizon)?;
        let begin = resolve(date.to_datetime(Time::midnight()), &reading.zone)?;
        // In a night in which the clocks are set back across midnight, a date can begin before an earlier one ends.
        let before = begin.checked_sub(1.millisecond()).unwrap_or(begin).max(fire);
        fire = cron.next(before, &reading.zone)?;
    }
}
