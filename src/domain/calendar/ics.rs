//! Parses calendar files (iCalendar, RFC 5545) for the days of their events: start, end and repetition of each event.
//!
//! [`read`] parses the lines, and [`Ics::days`] expands the events to days; the `ical` crate expands recurrence rules.
//! Files are untrusted input, so the cost is bounded in bytes, in nesting depth and in days to search. An invalid event
//! is left out and reported with its line, and the other events count.
//!
//! An event counts on the days of its own clock, because schedules of different zones share a calendar and a holiday
//! has the same date in each of them. Times in UTC are converted to the zone of the file (`X-WR-TIMEZONE`).

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

/// The size of the largest accepted file, in bytes (rulings 27).
pub const MAX_BYTES: usize = 1024 * 1024;
/// The deepest nesting of components; a calendar with events and alarms has three levels.
const MAX_DEPTH: usize = 8;
/// The most recurrence rules of one event; the standard recommends at most one.
const MAX_RULES: usize = 8;
/// The length at which the name of an event is cut, in characters.
const MAX_SUMMARY: usize = 120;
/// The length of a day, in seconds.
const DAY: i64 = 86_400;
/// The longest duration of an event, in seconds: a hundred years. Longer events are cut.
const MAX_LENGTH: i64 = 36_600 * DAY;

/// A parsed calendar file.
#[derive(Clone, Debug, Default)]
pub struct Ics {
    events: Vec<Event>,
    left: LeftOut,
}

/// The days of a file in a range of dates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Each day with the name of its first event in the file; empty if that event has no name.
    pub days: BTreeMap<Date, String>,
    /// Set if not all days were found.
    pub refusal: Option<Refusal>,
    /// The events and zones that are ignored because of errors.
    pub left: LeftOut,
}

#[derive(Clone, Debug, Default)]
struct Event {
    /// The line of its `BEGIN`.
    line: usize,
    /// `SUMMARY`, the name of the event.
    summary: String,
    uid: String,
    start: Option<Moment>,
    end: Option<Moment>,
    /// `DURATION`, in seconds.
    duration: Option<i64>,
    /// `RRULE`.
    rules: Vec<Rule>,
    /// `EXRULE`: occurrences of these rules do not count.
    exceptions: Vec<Rule>,
    /// `RDATE`.
    added: Vec<Moment>,
    /// `EXDATE`.
    removed: Vec<Moment>,
    /// `RECURRENCE-ID`: this event replaces that occurrence of the event with the same UID.
    instead_of: Option<Moment>,
    /// `RANGE=THISANDFUTURE`: this event replaces all later occurrences too.
    and_future: bool,
    cancelled: bool,
    version: Version,
    /// The zone of the file, to which times in UTC are converted.
    home: Option<Clock>,
    /// The zone for converting a time in UTC if only its day matters; see [`Zones::home`].
    hint: Option<Clock>,
    /// The error because of which the event is left out.
    fault: Option<IcsError>,
}

/// `SEQUENCE`, `LAST-MODIFIED` and `DTSTAMP`. Of two events with the same UID the one with the greater version is
/// newer.
type Version = (u64, Option<DateTime>, Option<DateTime>);

/// A date, or a date and time, as written in the file.
#[derive(Clone, Debug)]
struct Moment {
    at: DateTime,
    /// Set for a date without a time; the time of `at` is midnight then.
    whole_day: bool,
    /// Set for a time in UTC.
    utc: bool,
    /// The name of the zone (`TZID`).
    zone: Option<String>,
    /// The zone of that name; `None` if there is no name or the zone is unknown.
    clock: Option<Clock>,
}

/// A recurrence rule.
#[derive(Clone, Debug)]
struct Rule {
    rule: IcalRecurRule,
    /// The end of the rule.
    until: Option<Moment>,
}

/// Parses a calendar file. Invalid events are left out; see [`Expansion::left`].
///
/// # Errors
/// [`IcsError`] if the text is not a calendar file, is too large, or has no valid event: the first error, with its
/// line.
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

/// A component whose `END` has not been read yet.
struct Open {
    line: usize,
    name: String,
}

/// The state of parsing a file.
#[derive(Default)]
struct Reader {
    /// Whether a `BEGIN:VCALENDAR` has been read.
    begun: bool,
    /// The open components, outermost first.
    open: Vec<Open>,
    /// The number of open components beyond [`MAX_DEPTH`], which are ignored.
    deeper: usize,
    /// The event that is being read.
    event: Event,
    /// The part of a time zone that is being read.
    observance: Observance,
    /// The index in `read.events` of the first event of the open calendar.
    first_event: usize,
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
            // Components after the end of a calendar are ignored.
            return if self.begun { Ok(()) } else { Err(IcsError::NotIcs) };
        }
        if self.deeper > 0 || self.open.len() == MAX_DEPTH {
            if self.deeper == 0 {
                self.fault(IcsError::TooDeep(line));
            }
            self.deeper += 1;
            return Ok(());
        }
        // Events do not nest, so the END of the open event is missing.
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

    /// Closes the innermost component. `whole` is set if its `END` was read.
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

    /// The names of the open components, outermost first.
    fn path(&self) -> Vec<&str> {
        self.open.iter().map(|open| &*open.name).collect()
    }

    /// Records an error for the open event, the open time zone, or else the file.
    fn fault(&mut self, error: IcsError) {
        if matches!(self.path()[..], ["VCALENDAR", "VEVENT", ..]) {
            self.event.fault.get_or_insert(error);
        } else if matches!(self.path()[..], ["VCALENDAR", "VTIMEZONE", ..]) {
            self.zones.mark_invalid();
        } else {
            self.read.left.add(error);
        }
    }

    /// Sets the zones of the events at the end of their calendar, because a time zone may follow the events that use
    /// it.
    fn resolve(&mut self) {
        let mut zones = std::mem::take(&mut self.zones);
        let (home, hint) = zones.home();
        for event in &mut self.read.events[self.first_event..] {
            (event.home, event.hint) = (home.clone(), hint.clone());
            event.each_moment(&mut |moment| {
                moment.clock = moment.zone.as_deref().and_then(|name| zones.clock(name));
            });
        }
        self.first_event = self.read.events.len();
        for line in zones.invalid_lines() {
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
                // The missing END is not an error of its own, because `cut` already reports the end of the file.
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

/// The name of a component in upper case.
fn component(name: &str) -> String {
    excerpt(name).to_ascii_uppercase()
}

impl Ics {
    /// Removes the events of which there is a newer version. Events with the same UID and the same version all stay,
    /// because some files use one UID for all events.
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
    /// Reads a property. The first invalid property becomes the event's error.
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

    fn each_moment(&mut self, visit: &mut dyn FnMut(&mut Moment)) {
        let alone = [&mut self.start, &mut self.end, &mut self.instead_of];
        let lists = [&mut self.added, &mut self.removed];
        let moments = alone.into_iter().flatten().chain(lists.into_iter().flatten());
        moments.for_each(visit);
    }

    /// The duration in seconds, at most [`MAX_LENGTH`]. Without an end, an event with a date lasts one day and an event
    /// with a time lasts 0 seconds.
    fn length(&self, start: &Moment) -> i64 {
        let written = match &self.end {
            Some(end) => Some(self.on_clock(end, start).duration_since(start.at).as_secs()),
            None => self.duration,
        };
        let least = if start.whole_day { DAY } else { 0 };
        written.unwrap_or(least).max(least).min(MAX_LENGTH)
    }

    /// A moment by the clock of `start`; midnight of its day if `start` is a date without a time.
    fn on_clock(&self, moment: &Moment, start: &Moment) -> DateTime {
        if start.whole_day {
            let date = if moment.utc { nearest(self.local_day(moment.at)) } else { moment.at.date() };
            return date.at(0, 0, 0, 0);
        }
        if moment.whole_day {
            return self.at_day(moment.at.date(), self.on_home_clock(start).time(), start);
        }
        match (moment.utc, moment.clock.as_ref()) {
            (true, _) if start.utc => moment.at,
            (true, _) => match (start.clock.as_ref().or(self.home.as_ref()), start.at.time()) {
                (Some(clock), _) => clock.local(moment.at),
                // The zone is unknown. If the event starts at midnight, assume that the moment is a midnight too.
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

    /// The last possible occurrence of a rule that ends with `until`, by the clock of `start`.
    fn last(&self, until: &Moment, start: &Moment) -> DateTime {
        let end_of = |date: Date| date.at(23, 59, 59, 0);
        let unknown = start.clock.as_ref().or(self.home.as_ref()).is_none();
        let midnight = !start.utc && unknown && start.at.time() == Time::midnight();
        if until.whole_day {
            // The last day counts as a whole, whatever the time of the event.
            self.at_day(until.at.date(), Time::constant(23, 59, 59, 0), start)
        } else if until.utc && (start.whole_day || midnight) {
            let local = self.local_day(until.at);
            // An end at the last minute of a quarter of an hour is probably the last minute of a day in some zone: the
            // day that ends is the last one. Other ends are taken for the midnight at which the last day begins.
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

    /// A time in UTC, converted to [`Event::hint`] if there is one.
    fn local_day(&self, at: DateTime) -> DateTime {
        self.hint.as_ref().map_or(at, |clock| clock.local(at))
    }

    /// A moment by the clock that determines its day: times in UTC are converted to the zone of the file.
    fn on_home_clock(&self, moment: &Moment) -> DateTime {
        match &self.home {
            Some(clock) if moment.utc => clock.local(moment.at),
            _ => moment.at,
        }
    }

    /// A time of day on a date of the file's zone, by the clock of `start`.
    fn at_day(&self, date: Date, time: Time, start: &Moment) -> DateTime {
        let local = date.to_datetime(time);
        match &self.home {
            Some(clock) if start.utc => clock.utc(local),
            _ => local,
        }
    }
}

impl Moment {
    /// The moment in UTC; unchanged if its zone is unknown.
    fn instant(&self) -> DateTime {
        match &self.clock {
            Some(clock) if !self.utc => clock.utc(self.at),
            _ => self.at,
        }
    }
}

/// The date of the nearest midnight; for noon, the same day's.
fn nearest(at: DateTime) -> Date {
    let after_noon = at.time() > Time::constant(12, 0, 0, 0);
    if after_noon { at.date().tomorrow().unwrap_or(Date::MAX) } else { at.date() }
}

/// The start of the following minute.
fn minute_after(at: DateTime) -> DateTime {
    at.saturating_add(jiff::Span::new().seconds(60 - i64::from(at.second())))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod variants;
