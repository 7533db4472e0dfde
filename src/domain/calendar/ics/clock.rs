//! The clocks that events go by: IANA's zones, and those that a file describes itself (`VTIMEZONE`), whatever it calls
//! them.

use std::collections::HashMap;
use std::sync::Arc;

use ical::recur::expand::IcalRecurExpand;
use ical::recur::{IcalRecurDateTime, IcalRecurFreq};
use ical::value::utc_offset::IcalUtcOffset;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::days::closer;
use super::property::{Property, recur};
use super::{MAX_RULES, Rule};
use crate::domain::time::zone;

/// The years in which the changes of a file's own clock are looked for; before and after, it stays as it is.
const FIRST: Date = Date::constant(1970, 1, 1);
const LAST_YEAR: i32 = 2100;
/// Observances of all zones of a calendar that are read. Real files have some hundred at most.
const MAX_OBSERVANCES: usize = 500;
/// Changes of one zone that are kept.
const MAX_CHANGES: usize = 5_000;

/// What turns UTC into what a wall clock shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Clock {
    Iana(TimeZone),
    /// When a clock of the file's own changes, in seconds of UTC, and to what offset; in order, the first long ago.
    Own(Arc<Vec<(i64, i32)>>),
}

impl Clock {
    /// What it shows at an instant of UTC.
    pub(super) fn local(&self, utc: DateTime) -> DateTime {
        utc.saturating_add(SignedDuration::from_secs(self.offset(utc).into()))
    }

    /// The instant of UTC at which it shows this.
    pub(super) fn utc(&self, local: DateTime) -> DateTime {
        let less = |offset: i32| local.saturating_sub(SignedDuration::from_secs(offset.into()));
        less(self.offset(less(self.offset(local))))
    }

    /// In seconds east of UTC.
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

/// A `STANDARD` or `DAYLIGHT` of a zone: when its offset begins, and which one was before.
#[derive(Clone, Debug, Default)]
pub(super) struct Observance {
    from: Option<i32>,
    to: Option<i32>,
    start: Option<DateTime>,
    rules: Vec<Rule>,
    dates: Vec<DateTime>,
    /// It cannot be read.
    spoilt: bool,
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
                // A clock changes some times a year; a rule that says otherwise costs too much to follow.
                let yearly = |rule: &Rule| rule.rule.freq == IcalRecurFreq::Yearly;
                let good = matches!(&rule, Ok(rule) if rule.as_ref().is_none_or(yearly));
                self.rules.extend(rule.ok().flatten());
                good && self.rules.len() <= MAX_RULES
            }
            _ => true,
        };
        self.spoilt |= !good;
    }

    /// Adds its changes; answers whether it could be read.
    fn changes(&self, changes: &mut Vec<(i64, i32, i32)>) -> bool {
        let (Some(from), Some(to), Some(start)) = (self.from, self.to, self.start) else { return false };
        // What is written is what the clock showed until then.
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
                    None => closer(&bounded, start, FIRST),
                };
                IcalRecurExpand::new(bounded, begin).all(&mut add)
            })
            && !self.spoilt
    }
}

#[derive(Debug, Default)]
struct Described {
    line: usize,
    name: String,
    observances: Vec<Observance>,
    spoilt: bool,
}

/// The zones of a calendar.
#[derive(Debug, Default)]
pub(super) struct Zones {
    described: Vec<Described>,
    /// `X-WR-TIMEZONE`.
    own: Option<String>,
    known: HashMap<String, Option<Clock>>,
    /// The lines of what was looked for and cannot be read, by name.
    unread: HashMap<String, usize>,
    observances: usize,
    /// Those of them that events name.
    spoilt: Vec<usize>,
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
            Some(zone) => zone.spoilt = true,
            None => {}
        }
    }

    pub(super) fn spoil(&mut self) {
        if let Some(zone) = self.described.last_mut() {
            zone.spoilt = true;
        }
    }

    /// The clock of the file as a whole; and the one that tells best which day is meant: that of its only zone, which
    /// its events go by, before the one of the program that wrote it.
    pub(super) fn home(&mut self) -> (Option<Clock>, Option<Clock>) {
        let own = self.own.clone().and_then(|name| self.described_or_iana(&name));
        let only = match &self.described[..] {
            [only] => Some(only.name.clone()),
            _ => None,
        };
        let hint = only.and_then(|name| self.described_or_iana(&name)).or_else(|| own.clone());
        (own, hint)
    }

    /// The clock of this name, else the file's.
    pub(super) fn clock(&mut self, name: &str) -> Option<Clock> {
        let found = self.described_or_iana(name);
        self.spoilt.extend(self.unread.remove(name).filter(|_| found.is_none()));
        found.or_else(|| self.own.clone().and_then(|own| self.described_or_iana(&own)))
    }

    fn described_or_iana(&mut self, name: &str) -> Option<Clock> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let iana = |name: &str| zone(name).ok().map(Clock::Iana);
        // Some of IANA's short names, such as EST, are also what others call something else.
        let plain = name.contains('/').then(|| iana(name)).flatten();
        let found = plain.or_else(|| self.described(name)).or_else(|| iana(name)).or_else(|| {
            // `/example.org/20050126_1/Europe/Berlin`
            let slashes = name.char_indices().filter(|(_, letter)| *letter == '/');
            slashes.take(8).find_map(|(place, _)| name.get(place + 1..).and_then(iana))
        });
        self.known.insert(name.to_owned(), found.clone());
        found
    }

    fn described(&mut self, name: &str) -> Option<Clock> {
        let zone = self.described.iter().find(|zone| zone.name.eq_ignore_ascii_case(name))?;
        let mut changes = Vec::new();
        let good = !zone.spoilt && zone.observances.iter().all(|one| one.changes(&mut changes));
        changes.sort_by_key(|(at, _, _)| *at);
        let Some((_, before, _)) = changes.first().filter(|_| good) else {
            self.unread.insert(name.to_owned(), zone.line);
            return None;
        };
        let first = (i64::MIN, *before);
        Some(Clock::Own(Arc::new(
            std::iter::once(first).chain(changes.iter().map(|(at, _, to)| (*at, *to))).collect(),
        )))
    }

    /// The lines of the zones that events name and that cannot be read.
    pub(super) fn spoilt(self) -> Vec<usize> {
        self.spoilt
    }
}
