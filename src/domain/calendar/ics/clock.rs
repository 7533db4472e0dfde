//! The time zones of events: IANA zones, and zones that a file describes itself (`VTIMEZONE`) under any name.
//!
//! [`Zones`] collects the zones of a calendar while the file is parsed, and [`Zones::clock`] finds a zone by its name.

use std::collections::HashMap;
use std::sync::Arc;

use ical::recur::expand::IcalRecurExpand;
use ical::recur::{IcalRecurDateTime, IcalRecurFreq};
use ical::value::utc_offset::IcalUtcOffset;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::days::later_start;
use super::property::{Property, recur};
use super::{MAX_RULES, Rule};
use crate::domain::time::zone;

/// The years for which the clock changes of a zone described in the file are computed. Before and after, the offset is
/// constant.
const FIRST: Date = Date::constant(1970, 1, 1);
const LAST_YEAR: i32 = 2100;
/// The most observances of all zones of a calendar; real files have about a hundred at most.
const MAX_OBSERVANCES: usize = 500;
/// The most clock changes of one zone.
const MAX_CHANGES: usize = 5_000;

/// A time zone, which converts between UTC and wall-clock time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Clock {
    Iana(TimeZone),
    /// A zone described in the file: the clock changes in order, as seconds since the epoch and the new offset in
    /// seconds. The first entry is at `i64::MIN` and has the offset before the first change.
    Own(Arc<Vec<(i64, i32)>>),
}

impl Clock {
    /// Converts a time in UTC to wall-clock time.
    pub(super) fn local(&self, utc: DateTime) -> DateTime {
        utc.saturating_add(SignedDuration::from_secs(self.offset(utc).into()))
    }

    /// Converts a wall-clock time to UTC.
    pub(super) fn utc(&self, local: DateTime) -> DateTime {
        let less = |offset: i32| local.saturating_sub(SignedDuration::from_secs(offset.into()));
        less(self.offset(less(self.offset(local))))
    }

    /// The offset at a time in UTC, in seconds east of UTC.
    fn offset(&self, utc: DateTime) -> i32 {
        let seconds = recur(utc).seconds();
        match self {
            Self::Iana(zone) => Timestamp::from_second(seconds).map_or(0, |at| zone.to_offset(at).seconds()),
            Self::Own(changes) => {
                let place = changes.partition_point(|(at, _)| *at <= seconds);
                changes.get(place.saturating_sub(1)).map_or(0, |(_, offset)| *offset)
            }
        }
    }
}

/// A `STANDARD` or `DAYLIGHT` component of a zone: the clock changes from one offset to another.
#[derive(Clone, Debug, Default)]
pub(super) struct Observance {
    /// The offset before the changes, in seconds east of UTC.
    from: Option<i32>,
    /// The offset after the changes, in seconds east of UTC.
    to: Option<i32>,
    /// The first change, by the wall clock before the change; so are `dates`.
    start: Option<DateTime>,
    rules: Vec<Rule>,
    dates: Vec<DateTime>,
    /// Whether a property is invalid.
    invalid: bool,
}

impl Observance {
    pub(super) fn take(&mut self, property: &Property<'_>) {
        let offset = || IcalUtcOffset::from(property.value).seconds();
        let good = match property.name.as_str() {
            "TZOFFSETFROM" => {
                self.from = offset();
                self.from.is_some()
            }
            "TZOFFSETTO" => {
                self.to = offset();
                self.to.is_some()
            }
            "DTSTART" => {
                self.start = property.moment().ok().map(|moment| moment.at);
                self.start.is_some()
            }
            "RDATE" => {
                let mut dates = Vec::new();
                let read = property.moments(&mut dates);
                self.dates.extend(dates.into_iter().map(|moment| moment.at));
                read.is_ok() && self.dates.len() <= MAX_CHANGES
            }
            "RRULE" => {
                let rule = property.rule();
                // Clocks change a few times a year. Expanding other rules would cost too much.
                let yearly = |rule: &Rule| rule.rule.freq == IcalRecurFreq::Yearly;
                let good = matches!(&rule, Ok(rule) if rule.as_ref().is_none_or(yearly));
                self.rules.extend(rule.ok().flatten());
                good && self.rules.len() <= MAX_RULES
            }
            _ => true,
        };
        self.invalid |= !good;
    }

    /// Adds the clock changes as (seconds since the epoch, offset before, offset after); returns whether the component
    /// is valid.
    fn changes(&self, changes: &mut Vec<(i64, i32, i32)>) -> bool {
        let (Some(from), Some(to), Some(start)) = (self.from, self.to, self.start) else { return false };
        // The times in the file are wall-clock times by the offset before the change.
        let mut add = |local: IcalRecurDateTime| {
            changes.push((local.seconds() - i64::from(from), from, to));
            changes.len() <= MAX_CHANGES
        };
        let alone = std::iter::once(&start).chain(&self.dates).all(|date| add(recur(*date)));
        alone
            && self.rules.iter().all(|rule| {
                let mut bounded = rule.rule.clone();
                let until = rule.until.as_ref().map(|until| match until.utc {
                    true => until.at.saturating_add(SignedDuration::from_secs(from.into())),
                    false if until.whole_day => until.at.date().at(23, 59, 59, 0),
                    false => until.at,
                });
                let end = IcalRecurDateTime { hour: 23, ..IcalRecurDateTime::date(LAST_YEAR, 12, 31) };
                bounded.until = Some(until.map_or(end, |until| recur(until).min(end)));
                let begin = match bounded.count {
                    Some(_) => recur(start),
                    None => later_start(&bounded, start, FIRST),
                };
                IcalRecurExpand::new(bounded, begin).all(&mut add)
            })
            && !self.invalid
    }
}

/// A zone that the file describes.
#[derive(Debug, Default)]
struct Described {
    /// The line of its `BEGIN`.
    line: usize,
    name: String,
    observances: Vec<Observance>,
    invalid: bool,
}

/// The zones of a calendar.
#[derive(Debug, Default)]
pub(super) struct Zones {
    described: Vec<Described>,
    /// The name of the calendar's own zone (`X-WR-TIMEZONE`).
    own: Option<String>,
    /// The results of earlier searches by name.
    known: HashMap<String, Option<Clock>>,
    /// The lines of invalid zones, by name.
    unreadable: HashMap<String, usize>,
    /// The number of observances of all zones.
    observances: usize,
    /// The lines of invalid zones that events use.
    invalid: Vec<usize>,
}

impl Zones {
    pub(super) fn own(&mut self, name: &str) {
        self.own = Some(name.to_owned());
    }

    pub(super) fn begin(&mut self, line: usize) {
        self.described.push(Described { line, ..Described::default() });
    }

    pub(super) fn name(&mut self, name: &str) {
        if let Some(zone) = self.described.last_mut() {
            name.trim_matches('"').clone_into(&mut zone.name);
        }
    }

    pub(super) fn add(&mut self, observance: Observance) {
        self.observances += 1;
        let fits = self.observances <= MAX_OBSERVANCES;
        match self.described.last_mut() {
            Some(zone) if fits => zone.observances.push(observance),
            Some(zone) => zone.invalid = true,
            None => {}
        }
    }

    pub(super) fn mark_invalid(&mut self) {
        if let Some(zone) = self.described.last_mut() {
            zone.invalid = true;
        }
    }

    /// The zone of the calendar (`X-WR-TIMEZONE`), and the zone that is best for finding the day of a time in UTC. The
    /// second is the zone that the file describes, if there is exactly one, because the events use it; else the zone of
    /// the calendar.
    pub(super) fn home(&mut self) -> (Option<Clock>, Option<Clock>) {
        let own = self.own.clone().and_then(|name| self.described_or_iana(&name));
        let only = match &self.described[..] {
            [only] => Some(only.name.clone()),
            _ => None,
        };
        let hint = only.and_then(|name| self.described_or_iana(&name)).or_else(|| own.clone());
        (own, hint)
    }

    /// The zone with this name; if there is none, the zone of the calendar.
    pub(super) fn clock(&mut self, name: &str) -> Option<Clock> {
        let found = self.described_or_iana(name);
        self.invalid.extend(self.unreadable.remove(name).filter(|_| found.is_none()));
        found.or_else(|| self.own.clone().and_then(|own| self.described_or_iana(&own)))
    }

    fn described_or_iana(&mut self, name: &str) -> Option<Clock> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let iana = |name: &str| zone(name).ok().map(Clock::Iana);
        // Search short names such as EST in the file first, because programs use some IANA names for other zones.
        let plain = name.contains('/').then(|| iana(name)).flatten();
        let found = plain.or_else(|| self.described(name)).or_else(|| iana(name)).or_else(|| {
            // A name with a prefix, such as `/example.org/20050126_1/Europe/Berlin`.
            let slashes = name.char_indices().filter(|(_, letter)| *letter == '/');
            slashes.take(8).find_map(|(place, _)| name.get(place + 1..).and_then(iana))
        });
        self.known.insert(name.to_owned(), found.clone());
        found
    }

    /// The zone with this name that the file describes, if it is valid.
    fn described(&mut self, name: &str) -> Option<Clock> {
        let zone = self.described.iter().find(|zone| zone.name.eq_ignore_ascii_case(name))?;
        let mut changes = Vec::new();
        let good = !zone.invalid && zone.observances.iter().all(|one| one.changes(&mut changes));
        changes.sort_by_key(|(at, _, _)| *at);
        let Some((_, before, _)) = changes.first().filter(|_| good) else {
            self.unreadable.insert(name.to_owned(), zone.line);
            return None;
        };
        let first = (i64::MIN, *before);
        Some(Clock::Own(Arc::new(
            std::iter::once(first).chain(changes.iter().map(|(at, _, to)| (*at, *to))).collect(),
        )))
    }

    /// The lines of the invalid zones that events use.
    pub(super) fn invalid_lines(self) -> Vec<usize> {
        self.invalid
    }
}
