//! A window laid over a zone and a calendar: which stretches of real time it names.
//!
//! Edges are wall-clock times, resolved like cron's fixed times: what the clock leaves out happens at the first instant
//! after it, what it shows twice happens the first time (semantics §3). A date of the calendar changes the windows
//! that *start* on it; one begun the day before runs to its end (rulings 2).

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{DAY, Phase, Window};
use crate::domain::calendar::{CalendarDays, CalendarEffect};
use crate::domain::schedule::Reading;
use crate::domain::time::resolve;

/// Days within which a sleep is told whole: the longest part, a day for its end, one for the zone.
const BEYOND: i64 = 9;
/// Without a calendar a week repeats; what does not change within this many days never does. Three weeks, since a
/// clock change can swallow an edge.
const SETTLED: i64 = 22;
/// How far ahead a rule with a calendar is looked through, in days.
const HORIZON: i64 = 6 * 366;
/// Days looked up at once where many changes are asked for.
const STRETCH: i64 = 64;

/// Half-open: from `start` up to and without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first instant of it.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl Interval {
    /// Whether an instant lies in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// What one rule says at an instant. Where several rules of one scope speak, the greatest decides (rulings 1): sleep
/// rules add up, and an awake interval cuts a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vote {
    /// Outside the intervals of a `sleep …` rule.
    AwakeOutside,
    /// Outside the intervals of an `awake …` rule.
    AsleepOutside,
    /// Inside an interval of a `sleep …` rule.
    WrittenAsleep,
    /// Inside an interval of an `awake …` rule.
    WrittenAwake,
}

impl Vote {
    /// What it wants.
    pub fn phase(self) -> Phase {
        match self {
            Self::AwakeOutside | Self::WrittenAwake => Phase::Awake,
            Self::AsleepOutside | Self::WrittenAsleep => Phase::Asleep,
        }
    }
}

/// A window in its zone, with its calendar and the one sleep that is dropped.
#[derive(Clone, Copy, Debug)]
pub struct WindowTimeline<'a> {
    /// The rule.
    pub window: &'a Window,
    /// The zone of its times.
    pub zone: &'a TimeZone,
    /// Dates that differ, and how.
    pub calendar: Option<(&'a CalendarDays, CalendarEffect)>,
    /// The sleep that starts at this instant is dropped whole (rulings 6).
    pub skip: Option<Timestamp>,
}

impl<'a> WindowTimeline<'a> {
    /// A rule without calendar and skip.
    pub fn new(window: &'a Window, zone: &'a TimeZone) -> Self {
        Self { window, zone, calendar: None, skip: None }
    }

    /// A rule as its schedule says it is to be read; `skip` is the start of the sleep that is dropped.
    pub fn of(window: &'a Window, reading: &'a Reading, skip: Option<Timestamp>) -> Self {
        let calendar = reading.calendar.as_ref().map(|(days, effect)| (days.as_ref(), *effect));
        Self { window, zone: &reading.zone, calendar, skip }
    }

    /// What it says at an instant.
    pub fn vote(&self, at: Timestamp) -> Vote {
        let vote = self.voice_for(self.names(at));
        if vote.phase() == Phase::Asleep
            && let Some(skip) = self.skip
            && skip <= at
            && self.sleep_holding(at).is_some_and(|sleep| sleep.start == skip)
        {
            return Vote::AwakeOutside;
        }
        vote
    }

    /// Whether an interval that the rule names holds an instant.
    fn names(&self, at: Timestamp) -> bool {
        let today = at.to_zoned(self.zone.clone()).date();
        let mut date = today.checked_sub(self.lasts().days()).unwrap_or(Date::MIN);
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

    /// Days before an instant on which an interval that holds it can start: as long as the longest lasts, and one for
    /// the zone. A date of a calendar can name a whole day.
    fn lasts(&self) -> i64 {
        let longest = self.window.parts.iter().map(|part| part.length).max().unwrap_or(DAY).max(DAY);
        (i64::from(longest) + i64::from(DAY) - 1) / i64::from(DAY) + 1
    }

    fn voice_for(&self, inside: bool) -> Vote {
        match (self.window.names, inside) {
            (Phase::Asleep, true) => Vote::WrittenAsleep,
            (Phase::Asleep, false) => Vote::AwakeOutside,
            (Phase::Awake, true) => Vote::WrittenAwake,
            (Phase::Awake, false) => Vote::AsleepOutside,
        }
    }

    /// The sleep that holds an instant, a dropped one included: its start is what names an occurrence. `None` where the
    /// rule is awake then, or has been asleep for as long as can be seen.
    pub fn sleep_holding(&self, at: Timestamp) -> Option<Interval> {
        let from = shift(at, -HORIZON.min(64));
        let sleep = self.sleeps(from, shift(at, SETTLED)).into_iter().find(|sleep| sleep.holds(at))?;
        (sleep.start > from).then_some(sleep)
    }

    /// The first sleep that starts strictly after an instant, a dropped one included.
    pub fn next_sleep(&self, after: Timestamp) -> Option<Interval> {
        self.look_ahead(after, |until| {
            let sleeps = self.sleeps(after, until);
            // One that ends where the look ends may go on.
            sleeps.into_iter().find(|sleep| sleep.start > after && sleep.end < until)
        })
    }

    /// The first instant strictly after `after` at which what it says changes; `None` where it never does again.
    pub fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        self.look_ahead(after, |until| self.changes(after, until).into_iter().find(|at| *at < until))
    }

    /// The first `limit` changes of what it says strictly after `after`, in order, with what begins.
    pub fn next_changes(&self, after: Timestamp, limit: usize) -> Vec<(Timestamp, Phase)> {
        let mut found: Vec<(Timestamp, Phase)> = Vec::new();
        let (mut from, mut phase) = (after, self.vote(after).phase());
        while found.len() < limit
            && let Some(first) = self.next_change(from)
        {
            // Looking up one stretch is cheaper than looking up each of its changes.
            for at in std::iter::once(first).chain(self.changes(first, shift(first, STRETCH))) {
                (from, phase) = (at, phase.other());
                found.push((at, phase));
            }
        }
        found.truncate(limit);
        found
    }

    /// The instants in (`after`, `until`) at which what it says changes, in order.
    pub fn changes(&self, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        // When one began that goes on at `after` is of no interest, but where it tells that one is dropped.
        let back = if self.skip.is_some() { BEYOND } else { self.lasts() };
        self.asleep(after, until, back)
            .into_iter()
            .filter(|sleep| Some(sleep.start) != self.skip)
            .flat_map(|sleep| [sleep.start, sleep.end])
            .filter(|at| *at > after && *at < until)
            .collect()
    }

    /// The time asleep that touches [`from`, `until`), merged and in order, a dropped sleep included. What reaches
    /// beyond is told up to its ends where they lie within nine days.
    pub fn sleeps(&self, from: Timestamp, until: Timestamp) -> Vec<Interval> {
        self.asleep(from, until, BEYOND)
    }

    /// As [`WindowTimeline::sleeps`], with starts up to so many days back.
    fn asleep(&self, from: Timestamp, until: Timestamp, back: i64) -> Vec<Interval> {
        match self.window.names {
            Phase::Asleep => self.written(from, until, back),
            Phase::Awake => {
                let (first, last) = (shift(from, -back), shift(until, BEYOND));
                let written = self.written(first, last, back);
                let mut sleeps = Vec::with_capacity(written.len() + 1);
                let mut start = first;
                for awake in written {
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

    /// Looks through ever longer stretches for what `find` looks for.
    fn look_ahead<T>(&self, after: Timestamp, find: impl Fn(Timestamp) -> Option<T>) -> Option<T> {
        let last = self.horizon(after);
        let mut days = SETTLED;
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

    /// In how many days nothing new can come.
    fn horizon(&self, after: Timestamp) -> i64 {
        let Some((days, _)) = self.calendar else { return SETTLED };
        if !days.yearly.is_empty() {
            return HORIZON;
        }
        let today = after.to_zoned(self.zone.clone()).date();
        let ahead =
            days.last().and_then(|last| last.since(today).ok()).map_or(0, |span| i64::from(span.get_days()));
        (ahead.max(0) + SETTLED).min(HORIZON)
    }

    /// The intervals that the rule names and that touch [`from`, `until`], merged and in order, with starts up to
    /// `back` days before.
    fn written(&self, from: Timestamp, until: Timestamp, back: i64) -> Vec<Interval> {
        let first = from.to_zoned(self.zone.clone()).date();
        let last = until.to_zoned(self.zone.clone()).date();
        let mut date = first.checked_sub(back.days()).unwrap_or(Date::MIN);
        let near = last.tomorrow().unwrap_or(Date::MAX);
        let end = last.checked_add(BEYOND.days()).unwrap_or(Date::MAX);
        let mut intervals = Vec::new();
        // Of what comes later only what goes on with what is there.
        let mut goes_on = DateTime::MIN;
        while date <= near || date <= end && date <= goes_on.date().tomorrow().unwrap_or(Date::MAX) {
            self.start_on(date, |start, end| {
                goes_on = goes_on.max(end);
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

    /// The named intervals that start on a date, as wall-clock times.
    fn start_on(&self, date: Date, mut tell: impl FnMut(DateTime, DateTime)) {
        let mut weekday = date.weekday();
        let midnight = date.to_datetime(jiff::civil::Time::midnight());
        let after = |minutes: i64| midnight.checked_add(minutes.minutes()).unwrap_or(DateTime::MAX);
        if let Some((_, effect)) = self.calendar.filter(|(days, _)| days.contains(date)) {
            match (effect, self.window.names) {
                (CalendarEffect::As(other), _) => weekday = other,
                (CalendarEffect::Awake, Phase::Asleep) | (CalendarEffect::Asleep, Phase::Awake) => return,
                (CalendarEffect::Awake, Phase::Awake) | (CalendarEffect::Asleep, Phase::Asleep) => {
                    tell(midnight, after(24 * 60));
                }
                // For cron schedules only.
                (CalendarEffect::Skip, _) => {}
            }
        }
        for part in self.window.parts.iter().filter(|part| part.days.has(weekday)) {
            let start = i64::from(part.start);
            tell(after(start), after(start + i64::from(part.length)));
        }
    }
}

/// Joins what overlaps or touches.
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

/// An instant some days of 24 hours away, or the end of jiff's calendar.
pub(super) fn shift(at: Timestamp, days: i64) -> Timestamp {
    let end = if days < 0 { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add((days * 24).hours()).unwrap_or(end)
}

#[cfg(test)]
mod tests;
