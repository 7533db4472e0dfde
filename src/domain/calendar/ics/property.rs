//! Splits a calendar file into logical lines ([`lines`]) and parses a line as a [`Property`], with its value as a date,
//! a recurrence rule or a text.

use ical::recur::{IcalRecurDateTime, IcalRecurFreq, IcalRecurRule};
use jiff::civil::DateTime;

use super::{IcsError, MAX_SUMMARY, Moment, Rule};
use crate::domain::text::excerpt;

/// The most times per day of a recurrence rule: the product of the lengths of `BYHOUR`, `BYMINUTE` and `BYSECOND`.
const MAX_MOMENTS: usize = 24;

/// The supported parts of a recurrence rule.
const PARTS: [&str; 16] = [
    "FREQ",
    "UNTIL",
    "COUNT",
    "INTERVAL",
    "BYSECOND",
    "BYMINUTE",
    "BYHOUR",
    "BYDAY",
    "BYMONTHDAY",
    "BYYEARDAY",
    "BYWEEKNO",
    "BYMONTH",
    "BYSETPOS",
    "WKST",
    "RSCALE",
    "SKIP",
];

/// The logical lines of a file, each with the number of its first physical line, from 1. A physical line that begins
/// with a space or a tab continues the line before.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut physical = text.lines().enumerate().peekable();
    std::iter::from_fn(move || {
        let (number, first) = physical.next()?;
        let mut whole = first.trim_start().to_owned();
        while let Some((_, more)) = physical.next_if(|(_, line)| line.starts_with([' ', '\t'])) {
            whole.push_str(&more[1..]);
        }
        Some((number + 1, whole))
    })
}

/// A line of the form `NAME;PARAMETER=VALUE:VALUE`.
pub(super) struct Property<'a> {
    pub(super) line: usize,
    pub(super) name: String,
    /// The parameter `TZID`.
    zone: Option<&'a str>,
    /// Whether the parameter is `VALUE=DATE`.
    date: bool,
    /// Whether the parameter is `RANGE=THISANDFUTURE`.
    pub(super) and_future: bool,
    pub(super) value: &'a str,
}

/// Splits a text at a character, except inside double quotes.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |letter| {
        quoted ^= letter == '"';
        letter == at && !quoted
    })
}

impl<'a> Property<'a> {
    /// Parses a logical line; `None` for a line without a value.
    pub(super) fn parse(line: usize, content: &'a str) -> Option<Self> {
        let head = split(content, ':').next()?;
        let value = content.get(head.len() + 1..)?.trim();
        let mut parts = split(head, ';');
        let name = parts.next()?.trim().to_ascii_uppercase();
        let mut property = Self { line, name, zone: None, date: false, and_future: false, value };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            let is = |what: &str| value.eq_ignore_ascii_case(what);
            match () {
                () if name.eq_ignore_ascii_case("TZID") => property.zone = Some(value),
                () if name.eq_ignore_ascii_case("VALUE") => property.date = is("DATE"),
                () if name.eq_ignore_ascii_case("RANGE") => property.and_future = is("THISANDFUTURE"),
                () => {}
            }
        }
        Some(property)
    }

    pub(super) fn moment(&self) -> Result<Moment, IcsError> {
        self.moment_of(self.value)
    }

    pub(super) fn moments(&self, list: &mut Vec<Moment>) -> Result<(), IcsError> {
        for text in self.value.split(',').filter(|text| !text.trim().is_empty()) {
            list.push(self.moment_of(text)?);
        }
        Ok(())
    }

    fn moment_of(&self, text: &str) -> Result<Moment, IcsError> {
        // Only the start of a period (`start/end`) is used.
        let text = text.split('/').next().unwrap_or_default().trim();
        let wrong = || IcsError::Date { line: self.line, text: excerpt(text) };
        let read = IcalRecurDateTime::parse(text).map_err(|_| wrong())?;
        let at = civil(read).ok_or_else(wrong)?;
        let zulu = text.ends_with(['Z', 'z']);
        // Some programs write `VALUE=DATE` with a time of midnight.
        let whole_day = text.len() == 8 || (self.date && !zulu);
        let at = if whole_day { at.date().at(0, 0, 0, 0) } else { at };
        let utc = zulu || self.zone.is_some_and(is_utc);
        let zone = self.zone.filter(|_| !utc && !whole_day).map(str::to_owned);
        Ok(Moment { at, whole_day, utc: utc && !whole_day, zone, clock: None })
    }

    /// Parses the value as a recurrence rule; `None` if the rule has no parts.
    pub(super) fn rule(&self) -> Result<Option<Rule>, IcsError> {
        let text = || excerpt(self.value);
        let wrong = || IcsError::Rule { line: self.line, text: text() };
        let mut parts: Vec<(String, &str)> = Vec::new();
        for part in self.value.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim().to_ascii_uppercase(), value.trim());
            let gregorian = name != "RSCALE" || value.eq_ignore_ascii_case("GREGORIAN");
            if !PARTS.contains(&&*name) || !part.contains('=') || !gregorian {
                let part = excerpt(if gregorian { &name } else { part });
                return Err(IcsError::Part { line: self.line, part, text: text() });
            }
            match parts.iter().find(|(other, _)| *other == name) {
                Some((_, other)) if *other != value => return Err(wrong()),
                Some(_) => {}
                // Ignore a part without a value.
                None if value.is_empty() => {}
                None => parts.push((name, value)),
            }
        }
        if parts.is_empty() {
            return Ok(None);
        }
        let until = parts.iter().find(|(name, _)| name == "UNTIL").map(|(_, until)| *until);
        // Some programs write `COUNT=-1` or `COUNT=0` if there is no count.
        let counts = |value: &str| value.parse::<i64>().is_ok_and(|count| count < 1);
        match parts.iter().position(|(name, value)| name == "COUNT" && counts(value)) {
            Some(place) if until.is_some() => drop(parts.remove(place)),
            Some(_) => return Err(wrong()),
            None => {}
        }
        let plain: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let rule = self.bounded(IcalRecurRule::parse(&plain.join(";")).map_err(|_| wrong())?)?;
        let until = until.map(|text| self.moment_of(text)).transpose()?;
        Ok(Some(Rule { rule, until }))
    }

    /// Checks that a rule repeats daily or more slowly, and removes duplicates from its lists, so that the cost of its
    /// expansion is bounded.
    fn bounded(&self, mut rule: IcalRecurRule) -> Result<IcalRecurRule, IcsError> {
        if matches!(rule.freq, IcalRecurFreq::Secondly | IcalRecurFreq::Minutely | IcalRecurFreq::Hourly) {
            return Err(IcsError::TooOften(self.line));
        }
        // Without duplicates every list is short, because each part has few possible values.
        rule.by_second.sort_unstable();
        rule.by_second.dedup();
        rule.by_minute.sort_unstable();
        rule.by_minute.dedup();
        rule.by_hour.sort_unstable();
        rule.by_hour.dedup();
        rule.by_month.sort_unstable();
        rule.by_month.dedup();
        rule.by_month_day.sort_unstable();
        rule.by_month_day.dedup();
        rule.by_week_no.sort_unstable();
        rule.by_week_no.dedup();
        rule.by_year_day.sort_unstable();
        rule.by_year_day.dedup();
        rule.by_set_pos.sort_unstable();
        rule.by_set_pos.dedup();
        rule.by_day.sort_by_key(|day| (day.weekday, day.ordinal));
        rule.by_day.dedup();
        let moments = [&rule.by_second, &rule.by_minute, &rule.by_hour].map(|list| list.len().max(1));
        if moments.iter().product::<usize>() > MAX_MOMENTS {
            return Err(IcsError::TooOften(self.line));
        }
        Ok(rule)
    }

    /// The value as text on one line: escapes such as `\,` are resolved, and line breaks (`\n`) and control characters
    /// become spaces. The text is cut to [`MAX_SUMMARY`] characters.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut letters = self.value.chars();
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
}

/// Whether the name of a zone means UTC.
fn is_utc(zone: &str) -> bool {
    ["UTC", "Etc/UTC", "Z", "tzone://Microsoft/Utc"].iter().any(|name| zone.eq_ignore_ascii_case(name))
}

/// Converts to a date and time of jiff; `None` outside jiff's range. A leap second becomes second 59.
pub(super) fn civil(at: IcalRecurDateTime) -> Option<DateTime> {
    let small = |number: u8| i8::try_from(number).ok();
    let (month, day) = (small(at.month)?, small(at.day)?);
    let (hour, minute, second) = (small(at.hour)?, small(at.minute)?, small(at.second.min(59))?);
    DateTime::new(i16::try_from(at.year).ok()?, month, day, hour, minute, second, 0).ok()
}

/// Converts to a date and time of the `ical` crate.
pub(super) fn recur(at: DateTime) -> IcalRecurDateTime {
    // The parts of a date and time are never negative.
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
