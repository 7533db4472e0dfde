//! Calendar files (iCalendar, RFC 5545), as far as they name days: the start and end of each event, and its repetition.
//!
//! The lines are read here; which days a rule falls on is the library's. A file comes from anywhere, so its cost is
//! bounded whatever it says: in bytes, in depth, and in days looked at. An event that cannot be read is left out and
//! told with its line; the others count. An event counts on the days of its own clock: a calendar is shared by
//! schedules of many zones, and a holiday is a date in each. What is written in UTC has the clock that the file names
//! as its own.

use std::collections::BTreeMap;

use ical::recur::IcalRecurRule;
use ical::value::duration::IcalDuration;
use jiff::civil::{Date, DateTime, Time};

use crate::domain::text::excerpt;

mod clock;
mod days;
mod faults;
mod property;

use clock::{Clock, Observance, Zones};
pub use faults::{IcsError, LeftOut, Refusal};
use property::Property;

/// The largest file, in bytes (rulings 27).
pub const MAX_BYTES: usize = 1024 * 1024;
/// How deep components may nest; a calendar with events and alarms needs three.
const MAX_DEPTH: usize = 8;
/// Rules of one event; the standard advises one.
const MAX_RULES: usize = 8;
/// The longest name of an event that is kept, in characters.
const MAX_SUMMARY: usize = 120;
/// In seconds.
const DAY: i64 = 86_400;
/// The longest event, in seconds: a hundred years. A longer one is cut.
const MAX_LENGTH: i64 = 36_600 * DAY;

/// A file that was read.
#[derive(Clone, Debug, Default)]
pub struct Ics {
    events: Vec<Event>,
    left: LeftOut,
}

/// The days of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Each day with the name of its first event; empty where that has none.
    pub days: BTreeMap<Date, String>,
    /// Why some are missing.
    pub refusal: Option<Refusal>,
    /// What does not count.
    pub left: LeftOut,
}

#[derive(Clone, Debug, Default)]
struct Event {
    /// The line it begins on.
    line: usize,
    summary: String,
    uid: String,
    start: Option<Moment>,
    end: Option<Moment>,
    /// In seconds.
    duration: Option<i64>,
    rules: Vec<Rule>,
    /// What these fall on does not count.
    exceptions: Vec<Rule>,
    added: Vec<Moment>,
    removed: Vec<Moment>,
    /// It stands in for the occurrence of this moment.
    instead_of: Option<Moment>,
    /// And for all that follow.
    and_future: bool,
    cancelled: bool,
    version: Version,
    /// What its file's times in UTC are shown on.
    home: Option<Clock>,
    /// As [`Event::home`], where only the day is asked for.
    hint: Option<Clock>,
    /// Why it is left out.
    fault: Option<IcsError>,
}

/// Of two events of one name the greater one is the newer: `SEQUENCE`, `LAST-MODIFIED`, `DTSTAMP`.
type Version = (u64, Option<DateTime>, Option<DateTime>);

/// A date or a date and time as it is written.
#[derive(Clone, Debug)]
struct Moment {
    at: DateTime,
    /// It is a date alone.
    whole_day: bool,
    /// It is in UTC.
    utc: bool,
    /// The zone it names.
    zone: Option<String>,
    /// What goes by that zone, where it is one we know.
    clock: Option<Clock>,
}

/// A repetition.
#[derive(Clone, Debug)]
struct Rule {
    rule: IcalRecurRule,
    /// Its end.
    until: Option<Moment>,
}

/// Reads a file. What cannot be read of it is left out.
///
/// # Errors
/// [`IcsError`] where nothing of it counts: the first thing that is wrong, naming the line.
pub fn read(text: &str) -> Result<Ics, IcsError> {
    if text.len() > MAX_BYTES {
        return Err(IcsError::TooLarge);
    }
    let mut reader = Reader::default();
    for (line, content) in property::lines(text.trim_start_matches('\u{feff}')) {
        if let Some(property) = Property::parse(line, &content) {
            reader.take(&property)?;
        }
    }
    reader.finish()
}

/// A component that is open.
struct Open {
    line: usize,
    name: String,
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    begun: bool,
    open: Vec<Open>,
    /// How many more are open, within what is nested too deeply.
    deeper: usize,
    event: Event,
    observance: Observance,
    /// The events of the calendar that is open, from this one on.
    since: usize,
    zones: Zones,
    read: Ics,
}

impl Reader {
    fn take(&mut self, property: &Property<'_>) -> Result<(), IcsError> {
        match property.name.as_str() {
            "BEGIN" => self.begin(property.line, component(property.value)),
            "END" => {
                self.end(property.line, &component(property.value));
                Ok(())
            }
            _ if self.open.is_empty() && !self.begun => Err(IcsError::NotIcs),
            _ if self.deeper == 0 => {
                match self.open.iter().map(|open| &*open.name).collect::<Vec<_>>()[..] {
                    ["VCALENDAR"] if property.name == "X-WR-TIMEZONE" => self.zones.own(property.value),
                    ["VCALENDAR", "VEVENT"] => self.event.take(property),
                    ["VCALENDAR", "VTIMEZONE"] if property.name == "TZID" => self.zones.name(property.value),
                    ["VCALENDAR", "VTIMEZONE", _] => self.observance.take(property),
                    _ => {}
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, line: usize, name: String) -> Result<(), IcsError> {
        if self.open.is_empty() && name != "VCALENDAR" {
            // What follows a calendar is none of it.
            return if self.begun { Ok(()) } else { Err(IcsError::NotIcs) };
        }
        if self.deeper > 0 || self.open.len() == MAX_DEPTH {
            if self.deeper == 0 {
                self.fault(IcsError::TooDeep(line));
            }
            self.deeper += 1;
            return Ok(());
        }
        // An event is never within another: the end of the one that is open is missing.
        if name == "VEVENT" && self.open.iter().any(|open| open.name == "VEVENT") {
            while self.open.len() > 1 {
                self.close(false);
            }
        }
        self.begun = true;
        self.open.push(Open { line, name });
        match self.path()[..] {
            ["VCALENDAR", "VEVENT"] => self.event = Event { line, ..Event::default() },
            ["VCALENDAR", "VTIMEZONE"] => self.zones.begin(line),
            ["VCALENDAR", "VTIMEZONE", _] => self.observance = Observance::default(),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, line: usize, name: &str) {
        if self.deeper > 0 {
            self.deeper -= 1;
        } else if let Some(place) = self.open.iter().rposition(|open| open.name == name) {
            while self.open.len() > place + 1 {
                self.close(false);
            }
            self.close(true);
        } else if self.begun {
            self.fault(IcsError::Unbalanced { line, found: name.to_owned() });
        }
    }

    /// Closes the innermost component; `whole` where its end is there.
    fn close(&mut self, whole: bool) {
        let Some(open) = self.open.last() else { return };
        let missing = IcsError::NoEnd { line: open.line, name: open.name.clone() };
        if !whole {
            self.fault(missing);
        }
        match self.path()[..] {
            ["VCALENDAR", "VEVENT"] => {
                let event = std::mem::take(&mut self.event);
                match event.fault {
                    Some(fault) => self.read.left.add(fault),
                    None if event.start.is_none() => self.read.left.add(IcsError::NoStart(event.line)),
                    None => self.read.events.push(event),
                }
            }
            ["VCALENDAR", "VTIMEZONE", "STANDARD" | "DAYLIGHT"] => {
                self.zones.add(std::mem::take(&mut self.observance));
            }
            ["VCALENDAR"] => self.resolve(),
            _ => {}
        }
        self.open.pop();
    }

    fn path(&self) -> Vec<&str> {
        self.open.iter().map(|open| &*open.name).collect()
    }

    /// Keeps what is wrong, with the event it is wrong with.
    fn fault(&mut self, error: IcsError) {
        if matches!(self.path()[..], ["VCALENDAR", "VEVENT", ..]) {
            self.event.fault.get_or_insert(error);
        } else if matches!(self.path()[..], ["VCALENDAR", "VTIMEZONE", ..]) {
            self.zones.spoil();
        } else {
            self.read.left.add(error);
        }
    }

    /// Gives the events of the calendar that ends their clocks: what they name may stand after them.
    fn resolve(&mut self) {
        let mut zones = std::mem::take(&mut self.zones);
        let (home, hint) = zones.home();
        for event in &mut self.read.events[self.since..] {
            (event.home, event.hint) = (home.clone(), hint.clone());
            event.each_moment(&mut |moment| {
                moment.clock = moment.zone.as_deref().and_then(|name| zones.clock(name));
            });
        }
        self.since = self.read.events.len();
        for line in zones.spoilt() {
            self.read.left.add(IcsError::Zone(line));
        }
    }

    fn finish(mut self) -> Result<Ics, IcsError> {
        if !self.begun {
            return Err(IcsError::NotIcs);
        }
        let cut = self.open.last().map(|open| IcsError::CutOff { line: open.line, name: open.name.clone() });
        if let Some(cut) = &cut {
            self.fault(cut.clone());
            while !self.open.is_empty() {
                // The first thing that is wrong with an event is what is told of it: that the file ends there.
                self.close(true);
            }
        }
        if self.read.events.is_empty() {
            let first = self.read.left.told.into_iter().next();
            return Err(first.or(cut).unwrap_or(IcsError::Empty));
        }
        self.read.newest_versions();
        Ok(self.read)
    }
}

fn component(name: &str) -> String {
    excerpt(name).to_ascii_uppercase()
}

impl Ics {
    /// Drops the events of which there is a newer version. Where nothing says which is newer, all count: there are
    /// files that call all of their events the same.
    fn newest_versions(&mut self) {
        let key = |event: &Event| {
            (event.uid.clone(), event.instead_of.as_ref().map(|moment| (moment.instant(), event.and_future)))
        };
        let mut newest: BTreeMap<_, Version> = BTreeMap::new();
        for event in self.events.iter().filter(|event| !event.uid.is_empty()) {
            let known = newest.entry(key(event)).or_insert(event.version);
            *known = event.version.max(*known);
        }
        self.events.retain(|event| newest.get(&key(event)).is_none_or(|newest| *newest == event.version));
    }
}

impl Event {
    /// Takes what a line says; the first that makes no sense is the reason why the event is left out.
    fn take(&mut self, property: &Property<'_>) {
        if let Err(error) = self.try_take(property) {
            self.fault.get_or_insert(error);
        }
    }

    fn try_take(&mut self, property: &Property<'_>) -> Result<(), IcsError> {
        match property.name.as_str() {
            "DTSTART" => self.start = Some(property.moment()?),
            "DTEND" => self.end = Some(property.moment()?),
            "DURATION" => {
                let length = IcalDuration(property.value.into()).seconds();
                let wrong = || IcsError::Duration { line: property.line, text: excerpt(property.value) };
                self.duration = Some(length.ok_or_else(wrong)?);
            }
            "RRULE" | "EXRULE" => {
                if self.rules.len() + self.exceptions.len() == MAX_RULES {
                    return Err(IcsError::TooOften(property.line));
                }
                let rules = if property.name == "RRULE" { &mut self.rules } else { &mut self.exceptions };
                rules.extend(property.rule()?);
            }
            "RDATE" => property.moments(&mut self.added)?,
            "EXDATE" => property.moments(&mut self.removed)?,
            "RECURRENCE-ID" => {
                self.instead_of = Some(property.moment()?);
                self.and_future = property.and_future;
            }
            "SUMMARY" => self.summary = property.text(),
            "UID" => property.value.clone_into(&mut self.uid),
            "STATUS" => self.cancelled = property.value.eq_ignore_ascii_case("CANCELLED"),
            "SEQUENCE" => self.version.0 = property.value.parse().unwrap_or(0),
            "LAST-MODIFIED" => self.version.1 = property.moment().ok().map(|moment| moment.at),
            "DTSTAMP" => self.version.2 = property.moment().ok().map(|moment| moment.at),
            _ => {}
        }
        Ok(())
    }

    fn each_moment(&mut self, deed: &mut dyn FnMut(&mut Moment)) {
        let alone = [&mut self.start, &mut self.end, &mut self.instead_of];
        let lists = [&mut self.added, &mut self.removed];
        let moments = alone.into_iter().flatten().chain(lists.into_iter().flatten());
        moments.for_each(deed);
    }

    /// How long it lasts, in seconds. Without an end a date is one day, and a time that instant.
    fn length(&self, start: &Moment) -> i64 {
        let written = match &self.end {
            Some(end) => Some(self.on_clock(end, start).duration_since(start.at).as_secs()),
            None => self.duration,
        };
        let least = if start.whole_day { DAY } else { 0 };
        written.unwrap_or(least).max(least).min(MAX_LENGTH)
    }

    /// What the clock of `start` shows at a moment: the day of it, where that is a date alone.
    fn on_clock(&self, moment: &Moment, start: &Moment) -> DateTime {
        if start.whole_day {
            let date = if moment.utc { nearest(self.local_day(moment.at)) } else { moment.at.date() };
            return date.at(0, 0, 0, 0);
        }
        if moment.whole_day {
            return self.at_day(moment.at.date(), self.shown(start).time(), start);
        }
        match (moment.utc, moment.clock.as_ref()) {
            (true, _) if start.utc => moment.at,
            (true, _) => match (start.clock.as_ref().or(self.home.as_ref()), start.at.time()) {
                (Some(clock), _) => clock.local(moment.at),
                // Of a clock that nobody knows, only midnights can be guessed.
                (None, time) if time == Time::midnight() => nearest(self.local_day(moment.at)).at(0, 0, 0, 0),
                (None, _) => moment.at,
            },
            (false, Some(clock)) if start.utc => clock.utc(moment.at),
            (false, Some(clock)) => match &start.clock {
                Some(other) if other != clock => other.local(clock.utc(moment.at)),
                _ => moment.at,
            },
            (false, None) => moment.at,
        }
    }

    /// The last moment that a rule may fall on, as the clock of `start` shows it.
    fn last(&self, until: &Moment, start: &Moment) -> DateTime {
        let end_of = |date: Date| date.at(23, 59, 59, 0);
        let unknown = start.clock.as_ref().or(self.home.as_ref()).is_none();
        let midnight = !start.utc && unknown && start.at.time() == Time::midnight();
        if until.whole_day {
            // A last day counts as a whole, at whatever time of it the event is.
            self.at_day(until.at.date(), Time::constant(23, 59, 59, 0), start)
        } else if until.utc && (start.whole_day || midnight) {
            let local = self.local_day(until.at);
            // The last minute of a day somewhere on the earth ends that day, and what begins then no longer counts.
            let ends = local.minute() % 15 == 14;
            let date = if ends {
                nearest(minute_after(local)).yesterday().unwrap_or(Date::MIN)
            } else {
                nearest(local)
            };
            end_of(date)
        } else {
            self.on_clock(until, start)
        }
    }

    /// A moment of UTC on the clock of the file, as far as there is one.
    fn local_day(&self, at: DateTime) -> DateTime {
        self.hint.as_ref().map_or(at, |clock| clock.local(at))
    }

    /// What shows on the clock that days are counted by.
    fn shown(&self, moment: &Moment) -> DateTime {
        match &self.home {
            Some(clock) if moment.utc => clock.local(moment.at),
            _ => moment.at,
        }
    }

    /// A time of a day, on the clock of `start`.
    fn at_day(&self, date: Date, time: Time, start: &Moment) -> DateTime {
        let local = date.to_datetime(time);
        match &self.home {
            Some(clock) if start.utc => clock.utc(local),
            _ => local,
        }
    }
}

impl Moment {
    /// In UTC, where that can be known.
    fn instant(&self) -> DateTime {
        match &self.clock {
            Some(clock) if !self.utc => clock.utc(self.at),
            _ => self.at,
        }
    }
}

/// The date of the midnight that is nearest; noon belongs to its own day.
fn nearest(at: DateTime) -> Date {
    let after_noon = at.time() > Time::constant(12, 0, 0, 0);
    if after_noon { at.date().tomorrow().unwrap_or(Date::MAX) } else { at.date() }
}

/// The minute that follows.
fn minute_after(at: DateTime) -> DateTime {
    at.saturating_add(jiff::Span::new().seconds(60 - i64::from(at.second())))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod variants;
