//! Computes the instants at which a window sleeps and wakes, in a zone and with a calendar.
//!
//! Edges are wall-clock times and are converted to instants like the times of a fixed cron expression: an edge that the
//! clock skips is at the first instant after the gap, and an edge that the clock shows twice is at its first occurrence
//! (semantics §3). A date of the calendar changes the intervals that *start* on that date; an interval that started the
//! day before runs to its end (rulings 2).

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{DAY, Phase, Window};
use crate::domain::calendar::CalendarEffect;
use crate::domain::day_rules::{DayRules, Reading};
use crate::domain::time::resolve;

/// The days before and after a time range in which the edges of a sleep that overlaps the range are found: seven for
/// the longest part, one for its end, one for the offset of the zone.
const MARGIN_DAYS: i64 = 9;
/// A window that has no change within this many days never changes, if all of its weeks are alike. Three weeks and not
/// one, because a clock change can drop an edge.
const REPEAT_DAYS: i64 = 22;
/// How far ahead the search for a change goes by the dates of a calendar, in days.
const HORIZON_DAYS: i64 = 6 * 366;
/// The number of days that [`WindowTimeline::next_changes`] computes at once.
const BATCH_DAYS: i64 = 64;

/// A half-open time range: `start` is included, `end` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first instant of the range.
    pub start: Timestamp,
    /// The first instant after the range.
    pub end: Timestamp,
}

impl Interval {
    /// Whether the range contains an instant.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// The phase of one window at an instant, and its rank among several windows of the same scope: the greatest vote
/// decides (rulings 1). `sleep` windows add up, and an interval of an `awake` window is awake whatever the others have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vote {
    /// Outside the intervals of a `sleep …` window.
    AwakeOutside,
    /// Outside the intervals of an `awake …` window.
    AsleepOutside,
    /// Inside an interval of a `sleep …` window.
    WrittenAsleep,
    /// Inside an interval of an `awake …` window.
    WrittenAwake,
}

impl Vote {
    /// The phase without the rank.
    pub fn phase(self) -> Phase {
        match self {
            Self::AwakeOutside | Self::WrittenAwake => Phase::Awake,
            Self::AsleepOutside | Self::WrittenAsleep => Phase::Asleep,
        }
    }
}

/// A window with its zone, the dates on which it acts, and the one sleep that is skipped.
#[derive(Clone, Copy, Debug)]
pub struct WindowTimeline<'a> {
    pub window: &'a Window,
    /// The zone of the window's times.
    pub zone: &'a TimeZone,
    pub days: &'a DayRules,
    /// The start of the sleep that is skipped as a whole (rulings 6).
    pub skip: Option<Timestamp>,
}

impl<'a> WindowTimeline<'a> {
    /// A timeline in which all weeks are alike and no sleep is skipped.
    pub fn new(window: &'a Window, zone: &'a TimeZone) -> Self {
        Self { window, zone, days: &DayRules::NONE, skip: None }
    }

    /// A timeline with the zone and the dates of a schedule; `skip` is the start of the sleep that is skipped.
    pub fn of(window: &'a Window, reading: &'a Reading, skip: Option<Timestamp>) -> Self {
        Self { window, zone: &reading.zone, days: &reading.days, skip }
    }

    /// The vote at an instant.
    pub fn vote(&self, at: Timestamp) -> Vote {
        let vote = self.vote_for(self.is_inside(at));
        if vote.phase() == Phase::Asleep
            && let Some(skip) = self.skip
            && skip <= at
            && self.sleep_holding(at).is_some_and(|sleep| sleep.start == skip)
        {
            return Vote::AwakeOutside;
        }
        vote
    }

    /// Whether an instant lies inside one of the window's intervals.
    fn is_inside(&self, at: Timestamp) -> bool {
        let today = at.to_zoned(self.zone.clone()).date();
        let mut date = today.checked_sub(self.longest_days().days()).unwrap_or(Date::MIN);
        let last = today.tomorrow().unwrap_or(today);
        let mut inside = false;
        while date <= last && !inside {
            self.start_on(date, |start, end| {
                let started = resolve(start, self.zone).is_some_and(|start| start <= at);
                inside |= started && resolve(end, self.zone).is_some_and(|end| at < end);
            });
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        inside
    }

    /// How many days before an instant an interval that contains it can start: the length of the longest part, at least
    /// a day because a date of a calendar can become a whole interval, and one more day for the offset of the zone.
    fn longest_days(&self) -> i64 {
        let longest = self.window.parts.iter().map(|part| part.length).max().unwrap_or(DAY).max(DAY);
        (i64::from(longest) + i64::from(DAY) - 1) / i64::from(DAY) + 1
    }

    /// The vote inside or outside the window's intervals.
    fn vote_for(&self, inside: bool) -> Vote {
        match (self.window.names, inside) {
            (Phase::Asleep, true) => Vote::WrittenAsleep,
            (Phase::Asleep, false) => Vote::AwakeOutside,
            (Phase::Awake, true) => Vote::WrittenAwake,
            (Phase::Awake, false) => Vote::AsleepOutside,
        }
    }

    /// The sleep that contains an instant, even if that sleep is skipped; its start identifies it. `None` if the window
    /// is awake at the instant, or if the sleep started more than 64 days before.
    pub fn sleep_holding(&self, at: Timestamp) -> Option<Interval> {
        let from = shift(at, -HORIZON_DAYS.min(64));
        let sleep = self.sleeps(from, shift(at, REPEAT_DAYS)).into_iter().find(|sleep| sleep.holds(at))?;
        (sleep.start > from).then_some(sleep)
    }

    /// The first sleep that starts strictly after an instant, even if that sleep is skipped.
    pub fn next_sleep(&self, after: Timestamp) -> Option<Interval> {
        self.look_ahead(after, |until| {
            let sleeps = self.sleeps(after, until);
            // A sleep that reaches the end of the searched range may be cut off there.
            sleeps.into_iter().find(|sleep| sleep.start > after && sleep.end < until)
        })
    }

    /// The first instant strictly after `after` at which the phase changes; `None` if there is none.
    pub fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        self.look_ahead(after, |until| self.changes(after, until).into_iter().find(|at| *at < until))
    }

    /// The first `limit` changes strictly after `after`, in order, each with the phase that begins.
    pub fn next_changes(&self, after: Timestamp, limit: usize) -> Vec<(Timestamp, Phase)> {
        let mut found: Vec<(Timestamp, Phase)> = Vec::new();
        let (mut from, mut phase) = (after, self.vote(after).phase());
        while found.len() < limit
            && let Some(first) = self.next_change(from)
        {
            // One search over many days is cheaper than one search per change.
            for at in std::iter::once(first).chain(self.changes(first, shift(first, BATCH_DAYS))) {
                (from, phase) = (at, phase.other());
                found.push((at, phase));
            }
        }
        found.truncate(limit);
        found
    }

    /// The instants in (`after`, `until`) at which the phase changes, in order.
    pub fn changes(&self, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        // The start of the sleep at `after` matters only if a sleep is skipped, because the start identifies it.
        let back = if self.skip.is_some() { MARGIN_DAYS } else { self.longest_days() };
        self.asleep(after, until, back)
            .into_iter()
            .filter(|sleep| Some(sleep.start) != self.skip)
            .flat_map(|sleep| [sleep.start, sleep.end])
            .filter(|at| *at > after && *at < until)
            .collect()
    }

    /// The sleeps that overlap [`from`, `until`), merged and in order, including a skipped sleep. A sleep that extends
    /// beyond the range has its real start and end if these lie within nine days of the range.
    pub fn sleeps(&self, from: Timestamp, until: Timestamp) -> Vec<Interval> {
        self.asleep(from, until, MARGIN_DAYS)
    }

    /// Like [`WindowTimeline::sleeps`], with starts up to `back` days before `from`.
    fn asleep(&self, from: Timestamp, until: Timestamp, back: i64) -> Vec<Interval> {
        match self.window.names {
            Phase::Asleep => self.intervals(from, until, back),
            Phase::Awake => {
                let (first, last) = (shift(from, -back), shift(until, MARGIN_DAYS));
                let intervals = self.intervals(first, last, back);
                let mut sleeps = Vec::with_capacity(intervals.len() + 1);
                let mut start = first;
                for awake in intervals {
                    if start < awake.start {
                        sleeps.push(Interval { start, end: awake.start });
                    }
                    start = awake.end;
                }
                if start < last {
                    sleeps.push(Interval { start, end: last });
                }
                sleeps.retain(|sleep| sleep.end > from && sleep.start < until);
                sleeps
            }
        }
    }

    /// Calls `find` with ends of increasingly long time ranges until it returns a value or the horizon is reached.
    fn look_ahead<T>(&self, after: Timestamp, find: impl Fn(Timestamp) -> Option<T>) -> Option<T> {
        let last = self.horizon(after);
        let mut days = REPEAT_DAYS;
        loop {
            if let Some(found) = find(shift(after, days)) {
                return Some(found);
            }
            if days >= last {
                return None;
            }
            days = (days * 4).min(last);
        }
    }

    /// The number of days after `after` beyond which the window only repeats itself.
    fn horizon(&self, after: Timestamp) -> i64 {
        if self.days.is_weekly() {
            return REPEAT_DAYS;
        }
        let today = after.to_zoned(self.zone.clone()).date();
        self.days.irregular_days(today, HORIZON_DAYS) + REPEAT_DAYS
    }

    /// The window's intervals, asleep or awake as its text has them, that overlap [`from`, `until`]: merged and in
    /// order, with starts up to `back` days before `from`.
    fn intervals(&self, from: Timestamp, until: Timestamp, back: i64) -> Vec<Interval> {
        let first = from.to_zoned(self.zone.clone()).date();
        let last = until.to_zoned(self.zone.clone()).date();
        let mut date = first.checked_sub(back.days()).unwrap_or(Date::MIN);
        let near = last.tomorrow().unwrap_or(Date::MAX);
        let end = last.checked_add(MARGIN_DAYS.days()).unwrap_or(Date::MAX);
        let mut intervals = Vec::new();
        // Dates after `near` matter only while their intervals may touch the latest end so far.
        let mut latest_end = DateTime::MIN;
        while date <= near || date <= end && date <= latest_end.date().tomorrow().unwrap_or(Date::MAX) {
            self.start_on(date, |start, end| {
                latest_end = latest_end.max(end);
                let (Some(start), Some(end)) = (resolve(start, self.zone), resolve(end, self.zone)) else {
                    return;
                };
                if start < end {
                    intervals.push(Interval { start, end });
                }
            });
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        let mut merged = merge(intervals);
        merged.retain(|interval| interval.end > from && interval.start <= until);
        merged
    }

    /// Calls `visit` with start and end of each of the window's intervals that start on a date, as wall-clock times.
    fn start_on(&self, date: Date, mut visit: impl FnMut(DateTime, DateTime)) {
        if !self.days.holds(date) {
            return;
        }
        let mut weekday = date.weekday();
        let midnight = date.to_datetime(jiff::civil::Time::midnight());
        let after = |minutes: i64| midnight.checked_add(minutes.minutes()).unwrap_or(DateTime::MAX);
        if let Some(effect) = self.days.effect_on(date) {
            match (effect, self.window.names) {
                (CalendarEffect::As(other), _) => weekday = other,
                (CalendarEffect::Awake, Phase::Asleep) | (CalendarEffect::Asleep, Phase::Awake) => return,
                (CalendarEffect::Awake, Phase::Awake) | (CalendarEffect::Asleep, Phase::Asleep) => {
                    visit(midnight, after(24 * 60));
                }
                // The first applies to cron schedules only, and `holds` knows the second.
                (CalendarEffect::Skip | CalendarEffect::Only, _) => {}
            }
        }
        for part in self.window.parts.iter().filter(|part| part.days.has(weekday)) {
            let start = i64::from(part.start);
            visit(after(start), after(start + i64::from(part.length)));
        }
    }
}

/// Merges intervals that overlap or touch.
fn merge(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_by_key(|interval| interval.start);
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals {
        match merged.last_mut() {
            Some(last) if interval.start <= last.end => last.end = last.end.max(interval.end),
            _ => merged.push(interval),
        }
    }
    merged
}

/// The instant `days` times 24 hours later, limited to the range of jiff's calendar.
pub(super) fn shift(at: Timestamp, days: i64) -> Timestamp {
    let end = if days < 0 { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add((days * 24).hours()).unwrap_or(end)
}

#[cfg(test)]
mod tests;
