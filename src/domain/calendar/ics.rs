//! Calendar files (iCalendar, RFC 5545), as far as they name days: the start and end of each event, and its repetition.
//!
//! The lines are read here; which days a rule falls on is the library's. A file comes from anywhere, so its cost is
//! bounded whatever it says: in bytes, in depth, and in days looked at. An event counts on the days of its own clock:
//! a calendar is shared by schedules of many zones, and a holiday is a date in each.

use std::collections::{BTreeMap, BTreeSet};

use ical::recur::expand::IcalRecurExpand;
use ical::recur::{IcalRecurDateTime, IcalRecurFreq, IcalRecurRule};
use ical::value::duration::IcalDuration;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::MAX_DATES;
use super::check::shown;
use crate::domain::sorted;
use crate::domain::time::zone;

/// The largest file, in bytes (rulings 27).
pub const MAX_BYTES: usize = 1024 * 1024;
/// How deep components may nest; a calendar with events and alarms needs three.
const MAX_DEPTH: usize = 8;
/// Rules of one event; the standard advises one.
const MAX_RULES: usize = 8;
/// Moments of one day that a rule may name (`BYHOUR` times `BYMINUTE` times `BYSECOND`).
const MAX_MOMENTS: usize = 24;
/// What one expansion may cost, in days looked at times parts of the rule to compare with: some tenths of a second. A
/// holiday that repeats every year costs some 2,500 of it, so there is room for a thousand of them.
const BUDGET: i64 = 3_000_000;
/// The longest name of an event that is kept, in characters.
const MAX_SUMMARY: usize = 120;
/// In seconds.
const DAY: i64 = 86_400;
/// The longest event, in seconds: a hundred years. A longer one is cut.
const MAX_LENGTH: i64 = 36_600 * DAY;

/// Why a file is refused. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IcsError {
    /// It is too large.
    #[error("the ICS file is larger than 1 MiB; leave out the years that have passed")]
    TooLarge,
    /// It is something else.
    #[error("this is no ICS file: it must begin with BEGIN:VCALENDAR")]
    NotIcs,
    /// Its end is missing.
    #[error("the ICS file ends in the middle of {0}: a part of it is missing")]
    CutOff(String),
    /// An `END` that closes nothing.
    #[error("line {line} of the ICS file ends {found}, which was not begun there")]
    Unbalanced {
        /// Where.
        line: usize,
        /// What it ends.
        found: String,
    },
    /// Components within components within components.
    #[error("line {0} of the ICS file is nested too deeply")]
    TooDeep(usize),
    /// There is no event.
    #[error("the ICS file holds no event")]
    Empty,
    /// An event that does not say when.
    #[error("the event that begins on line {0} of the ICS file has no DTSTART")]
    NoStart(usize),
    /// A date that is none.
    #[error("line {line} of the ICS file: `{text}` is not a date")]
    Date {
        /// Where.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A rule that cannot be read.
    #[error("line {line} of the ICS file: the repetition `{text}` is not understood")]
    Rule {
        /// Where.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A rule that repeats within a day.
    #[error(
        "line {0} of the ICS file repeats within a day; a calendar is made of whole days, so use DAILY or slower"
    )]
    TooOften(usize),
}

/// Why not all days of a file are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are too many.
    #[error("the ICS file names more than {MAX_DATES} days of the next years; use one with fewer events")]
    TooMany,
    /// Finding them takes too long.
    #[error("the ICS file repeats too many events over too long a time; use one with fewer of them")]
    TooCostly,
}

/// A file that was read.
#[derive(Clone, Debug, Default)]
pub struct Ics {
    events: Vec<Event>,
}

/// The days of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Each day with the name of its first event; empty where that has none.
    pub days: BTreeMap<Date, String>,
    /// Why some are missing.
    pub refusal: Option<Refusal>,
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
    added: Vec<Moment>,
    removed: Vec<Moment>,
    /// It stands in for the occurrence of this moment.
    instead_of: Option<Moment>,
    cancelled: bool,
}

/// A date or a date and time as it is written.
#[derive(Clone, Debug)]
struct Moment {
    at: DateTime,
    /// It is a date alone.
    whole_day: bool,
    /// It is in UTC.
    utc: bool,
    /// The zone it names, where that is one we know.
    zone: Option<TimeZone>,
}

/// A repetition.
#[derive(Clone, Debug)]
struct Rule {
    rule: IcalRecurRule,
    /// Its end is in UTC.
    until_utc: bool,
}

/// Reads a file.
///
/// # Errors
/// [`IcsError`], naming the line.
pub fn read(text: &str) -> Result<Ics, IcsError> {
    if text.len() > MAX_BYTES {
        return Err(IcsError::TooLarge);
    }
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let mut begun = false;
    let mut open: Vec<String> = Vec::new();
    let mut events = Vec::new();
    let mut event = Event::default();
    for (line, content) in lines(text) {
        let Some(property) = Property::parse(line, &content) else { continue };
        match property.name.as_str() {
            "BEGIN" => {
                let name = component(property.value);
                if open.is_empty() && name != "VCALENDAR" {
                    return Err(IcsError::NotIcs);
                }
                if open.len() == MAX_DEPTH || (in_event(&open) && name == "VEVENT") {
                    return Err(IcsError::TooDeep(line));
                }
                begun = true;
                open.push(name);
                if in_event(&open) {
                    event = Event { line, ..Event::default() };
                }
            }
            "END" => {
                let name = component(property.value);
                if open.last() != Some(&name) {
                    return Err(IcsError::Unbalanced { line, found: name });
                }
                if in_event(&open) {
                    let event = std::mem::take(&mut event);
                    if event.start.is_none() {
                        return Err(IcsError::NoStart(event.line));
                    }
                    events.push(event);
                }
                open.pop();
            }
            _ if open.is_empty() => return Err(IcsError::NotIcs),
            _ if in_event(&open) => event.take(&property)?,
            _ => {}
        }
    }
    match open.pop() {
        Some(name) => Err(IcsError::CutOff(name)),
        None if events.is_empty() && !begun => Err(IcsError::NotIcs),
        None if events.is_empty() => Err(IcsError::Empty),
        None => Ok(Ics { events }),
    }
}

/// What stands right inside an event: an alarm within it has times of its own.
fn in_event(open: &[String]) -> bool {
    open.len() == 2 && open[1] == "VEVENT"
}

fn component(name: &str) -> String {
    shown(name).to_ascii_uppercase()
}

/// The logical lines of a file with the number of their first physical line: a line that begins with a space or a tab
/// goes on with the one before.
fn lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut physical = text.lines().enumerate().peekable();
    std::iter::from_fn(move || {
        let (number, first) = physical.next()?;
        let mut whole = first.to_owned();
        while let Some((_, more)) = physical.next_if(|(_, line)| line.starts_with([' ', '\t'])) {
            whole.push_str(&more[1..]);
        }
        Some((number + 1, whole))
    })
}

/// `NAME;PARAMETER=VALUE:VALUE`.
struct Property<'a> {
    line: usize,
    name: String,
    zone: Option<&'a str>,
    value: &'a str,
}

impl<'a> Property<'a> {
    /// `None` for a line without a value: nothing of ours.
    fn parse(line: usize, content: &'a str) -> Option<Self> {
        let mut quoted = false;
        let colon = content.find(|letter| {
            quoted ^= letter == '"';
            letter == ':' && !quoted
        })?;
        let (head, value) = (&content[..colon], content[colon + 1..].trim());
        let mut parts = head.split(';');
        let name = parts.next()?.trim().to_ascii_uppercase();
        let zone = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.eq_ignore_ascii_case("TZID").then(|| value.trim_matches('"'))
        });
        Some(Self { line, name, zone, value })
    }

    fn moment(&self) -> Result<Moment, IcsError> {
        self.moment_of(self.value)
    }

    fn moments(&self, list: &mut Vec<Moment>) -> Result<(), IcsError> {
        for text in self.value.split(',').filter(|text| !text.is_empty()) {
            list.push(self.moment_of(text)?);
        }
        Ok(())
    }

    fn moment_of(&self, text: &str) -> Result<Moment, IcsError> {
        // Of a period only the start says on which day it is.
        let text = text.split('/').next().unwrap_or_default().trim();
        let wrong = || IcsError::Date { line: self.line, text: shown(text) };
        let read = IcalRecurDateTime::parse(text).map_err(|_| wrong())?;
        Ok(Moment {
            at: civil(read).ok_or_else(wrong)?,
            whole_day: text.len() == 8,
            utc: text.ends_with(['Z', 'z']),
            // Names that are no zone of IANA's are taken for a clock we do not know, which is all that is needed.
            zone: self.zone.and_then(|name| zone(name).ok()),
        })
    }

    fn rule(&self) -> Result<Rule, IcsError> {
        let wrong = || IcsError::Rule { line: self.line, text: shown(self.value) };
        let mut rule = IcalRecurRule::parse(self.value).map_err(|_| wrong())?;
        if matches!(rule.freq, IcalRecurFreq::Secondly | IcalRecurFreq::Minutely | IcalRecurFreq::Hourly) {
            return Err(IcsError::TooOften(self.line));
        }
        // A list says nothing more by saying it twice; without that, none is long.
        sorted::unique(&mut rule.by_second);
        sorted::unique(&mut rule.by_minute);
        sorted::unique(&mut rule.by_hour);
        sorted::unique(&mut rule.by_month);
        sorted::unique(&mut rule.by_month_day);
        sorted::unique(&mut rule.by_week_no);
        sorted::unique(&mut rule.by_year_day);
        sorted::unique(&mut rule.by_set_pos);
        sorted::by_key(&mut rule.by_day, |day| (day.weekday, day.ordinal));
        rule.by_day.dedup();
        let moments = [&rule.by_second, &rule.by_minute, &rule.by_hour].map(|list| list.len().max(1));
        if moments.iter().product::<usize>() > MAX_MOMENTS {
            return Err(IcsError::TooOften(self.line));
        }
        let mut until = self.value.split(';').filter_map(|part| part.split_once('='));
        let until = until.rfind(|(name, _)| name.trim().eq_ignore_ascii_case("UNTIL"));
        let until = until.map_or("", |(_, text)| text.trim());
        if until.len() == 8
            && let Some(last) = &mut rule.until
        {
            // A last day counts as a whole, at whatever time of it the event is.
            (last.hour, last.minute, last.second) = (23, 59, 59);
        }
        Ok(Rule { rule, until_utc: until.ends_with(['Z', 'z']) })
    }
}

/// `None` outside jiff's calendar. A leap second is taken for the one before it.
fn civil(at: IcalRecurDateTime) -> Option<DateTime> {
    let small = |number: u8| i8::try_from(number).ok();
    let (month, day) = (small(at.month)?, small(at.day)?);
    let (hour, minute, second) = (small(at.hour)?, small(at.minute)?, small(at.second.min(59))?);
    DateTime::new(i16::try_from(at.year).ok()?, month, day, hour, minute, second, 0).ok()
}

fn recur(at: DateTime) -> IcalRecurDateTime {
    // None of them is negative.
    let small = i8::unsigned_abs;
    IcalRecurDateTime {
        year: at.year().into(),
        month: small(at.month()),
        day: small(at.day()),
        hour: small(at.hour()),
        minute: small(at.minute()),
        second: small(at.second()),
    }
}

/// The text of a value: `\\,` stands for a comma, `\\n` for a line break, which a name has no room for.
fn unescaped(value: &str) -> String {
    let mut text = String::new();
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        let letter = match letter {
            '\\' => match letters.next() {
                Some('n' | 'N') | None => ' ',
                Some(other) => other,
            },
            letter if letter.is_control() => ' ',
            letter => letter,
        };
        text.push(letter);
        if text.chars().nth(MAX_SUMMARY).is_some() {
            break;
        }
    }
    text.chars().take(MAX_SUMMARY).collect::<String>().trim().to_owned()
}

impl Moment {
    /// The same as another moment's clock shows it.
    fn on_clock_of(&self, other: &Self) -> DateTime {
        if self.utc && !other.utc { other.local(self.at) } else { self.at }
    }

    /// What this moment's clock shows at an instant of UTC; the same where its zone is not known.
    fn local(&self, utc: DateTime) -> DateTime {
        let Some(zone) = self.zone.as_ref().filter(|_| !self.utc) else { return utc };
        utc.to_zoned(TimeZone::UTC).map_or(utc, |at| at.with_time_zone(zone.clone()).datetime())
    }
}

impl Event {
    /// Takes what a line says.
    fn take(&mut self, property: &Property<'_>) -> Result<(), IcsError> {
        match property.name.as_str() {
            "DTSTART" => self.start = Some(property.moment()?),
            "DTEND" => self.end = Some(property.moment()?),
            "DURATION" => self.duration = IcalDuration(property.value.into()).seconds(),
            "RRULE" if self.rules.len() == MAX_RULES => return Err(IcsError::TooOften(property.line)),
            "RRULE" => self.rules.push(property.rule()?),
            "RDATE" => property.moments(&mut self.added)?,
            "EXDATE" => property.moments(&mut self.removed)?,
            "RECURRENCE-ID" => self.instead_of = Some(property.moment()?),
            "SUMMARY" => self.summary = unescaped(property.value),
            "UID" => property.value.clone_into(&mut self.uid),
            "STATUS" => self.cancelled = property.value.eq_ignore_ascii_case("CANCELLED"),
            _ => {}
        }
        Ok(())
    }

    /// How long it lasts, in seconds. Without an end a date is one day, and a time that instant.
    fn length(&self, start: &Moment) -> i64 {
        let written = match &self.end {
            Some(end) => Some(end.on_clock_of(start).duration_since(start.at).as_secs()),
            None => self.duration,
        };
        let least = if start.whole_day { DAY } else { 0 };
        written.unwrap_or(least).max(least).min(MAX_LENGTH)
    }
}

impl Ics {
    /// The days of every event from `first` to `last`.
    pub fn days(&self, (first, last): (Date, Date)) -> Expansion {
        let mut moved: BTreeSet<(&str, Date)> = BTreeSet::new();
        for event in self.events.iter().filter(|event| !event.uid.is_empty()) {
            if let Some(original) = &event.instead_of {
                moved.insert((&event.uid, original.at.date()));
                if let Some(start) = &event.start {
                    moved.insert((&event.uid, original.on_clock_of(start).date()));
                }
            }
        }
        let mut found = Days { first, last, budget: BUDGET, out: Expansion::default() };
        for event in self.events.iter().filter(|event| !event.cancelled) {
            if !found.spend(1) {
                break;
            }
            let gone = |date| event.instead_of.is_none() && moved.contains(&(event.uid.as_str(), date));
            found.add_event(event, &gone);
        }
        found.out
    }
}

/// The days found so far, and what finding more may cost.
struct Days {
    first: Date,
    last: Date,
    budget: i64,
    out: Expansion,
}

impl Days {
    /// Whether there is as much left; says so where not.
    fn spend(&mut self, cost: i64) -> bool {
        self.budget = self.budget.saturating_sub(cost);
        if self.budget < 0 {
            self.out.refusal.get_or_insert(Refusal::TooCostly);
        }
        self.out.refusal.is_none()
    }

    fn add_event(&mut self, event: &Event, gone: &dyn Fn(Date) -> bool) {
        let Some(start) = &event.start else { return };
        let length = event.length(start);
        let removed = sorted::set(event.removed.iter().map(|moment| moment.on_clock_of(start).date()));
        let keeps = |date: Date| !removed.contains(&date) && !gone(date);
        if keeps(start.at.date()) {
            self.add(start.at, length, &event.summary);
        }
        for added in event.added.iter().map(|moment| moment.on_clock_of(start)) {
            if keeps(added.date()) {
                self.add(added, length, &event.summary);
            }
        }
        for rule in &event.rules {
            for at in self.bounded(rule, start, length).into_iter().flatten() {
                let Some(at) = civil(at) else { break };
                if keeps(at.date()) {
                    self.add(at, length, &event.summary);
                }
                if self.out.refusal.is_some() {
                    return;
                }
            }
        }
    }

    /// Adds the days of one occurrence.
    fn add(&mut self, at: DateTime, length: i64, summary: &str) {
        let last = at.checked_add((length - 1).max(0).seconds()).map_or(Date::MAX, DateTime::date);
        let last = last.min(self.last);
        let mut date = at.date().max(self.first);
        while date <= last && self.spend(1) {
            self.out.days.entry(date).or_insert_with(|| summary.to_owned());
            if self.out.days.len() > MAX_DATES {
                self.out.days.pop_last();
                self.out.refusal = Some(Refusal::TooMany);
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
    }

    /// The occurrences of a rule that can touch the days wanted; `None` where looking for them costs too much.
    fn bounded(
        &mut self,
        rule: &Rule,
        start: &Moment,
        length: i64,
    ) -> Option<impl Iterator<Item = IcalRecurDateTime> + use<>> {
        let Rule { mut rule, until_utc } = rule.clone();
        if until_utc && let Some(until) = rule.until.and_then(civil) {
            rule.until = Some(recur(start.local(until)));
        }
        let end = recur(self.last.at(23, 59, 59, 0));
        rule.until = Some(rule.until.map_or(end, |until| until.min(end)));
        // What began before the first day and lasts into it counts too.
        let reach = self.first.at(0, 0, 0, 0).checked_sub(length.seconds()).map_or(Date::MIN, DateTime::date);
        // Counting begins at the start, however long ago that was.
        let from = if rule.count.is_some() { recur(start.at) } else { closer(&rule, start.at, reach) };
        let days = (end.seconds() - from.seconds()).max(0) / DAY + 1;
        let parts = [
            rule.by_month.len(),
            rule.by_month_day.len(),
            rule.by_week_no.len(),
            rule.by_year_day.len(),
            rule.by_day.len(),
            rule.by_set_pos.len(),
            rule.by_hour.len().max(1) * rule.by_minute.len().max(1) * rule.by_second.len().max(1),
        ];
        let parts = i64::try_from(parts.iter().sum::<usize>()).unwrap_or(i64::MAX);
        // A period of its own for every day costs more than a day of a long one.
        let periods = if rule.freq == IcalRecurFreq::Daily { 3 } else { 0 };
        let reach = recur(reach.at(0, 0, 0, 0));
        self.spend(days.saturating_mul(parts.saturating_add(periods)))
            .then(|| IcalRecurExpand::new(rule, from).skip_while(move |at| *at < reach))
    }
}

/// A start from which the rule falls on the same days from `reach` on: as many whole intervals later as fit. A day that
/// its month lacks stays as it is, since a start lends its day to the rule.
fn closer(rule: &IcalRecurRule, start: DateTime, reach: Date) -> IcalRecurDateTime {
    let interval = i64::from(rule.interval);
    let whole = |distance: i64| distance.max(0) / interval * interval;
    // A month or a year begins before the day in it: one interval less.
    let part = |distance: i64| whole(distance - interval);
    let years = i64::from(reach.year()) - i64::from(start.year());
    let months = years * 12 + i64::from(reach.month()) - i64::from(start.month());
    let at = recur(start);
    match rule.freq {
        IcalRecurFreq::Monthly => {
            let month = i64::from(start.year()) * 12 + i64::from(start.month()) - 1 + part(months);
            let year = i32::try_from(month.div_euclid(12)).unwrap_or(at.year);
            let month = u8::try_from(month.rem_euclid(12) + 1).unwrap_or(at.month);
            IcalRecurDateTime { year, month, ..at }
        }
        IcalRecurFreq::Yearly => {
            let year = i32::try_from(i64::from(start.year()) + part(years)).unwrap_or(at.year);
            IcalRecurDateTime { year, ..at }
        }
        freq => {
            let period = if freq == IcalRecurFreq::Weekly { 7 } else { 1 };
            let days = reach.since(start.date()).map_or(0, |span| i64::from(span.get_days()));
            let skipped = days.max(0) / (interval * period) * (interval * period);
            IcalRecurDateTime::from_seconds(at.seconds() + skipped * DAY)
        }
    }
}

#[cfg(test)]
mod tests;
