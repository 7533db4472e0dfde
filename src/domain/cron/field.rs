//! Parses one field of an expression (numbers, names, ranges, lists and steps) into a set of bits.
//!
//! [`SPECS`] describes the five fields, and [`read_field`] parses the text of one. A refusal comes with a replacement
//! text that `parse` offers to the user.

use std::fmt;

/// The part of the expression that an error is about. `docknap explain` prints the names (rulings: explain).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The text as a whole.
    Expression,
    /// The first field, 0-59.
    Minute,
    /// The second field, 0-23.
    Hour,
    /// The third field, 1-31.
    DayOfMonth,
    /// The fourth field, 1-12 or JAN-DEC.
    Month,
    /// The fifth field, 0-7 or SUN-SAT.
    DayOfWeek,
}

impl Field {
    /// The name of the field in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expression => "expression",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day-of-month",
            Self::Month => "month",
            Self::DayOfWeek => "day-of-week",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The range of values and the names of one field.
pub(super) struct Spec {
    pub(super) field: Field,
    min: u32,
    max: u32,
    /// The last value that `*` covers. Weekdays have 6 here and `max` 7, because 7 is a second number for Sunday.
    top: u32,
    names: &'static [&'static str],
    /// The name of the field's values in messages, such as "a minute".
    noun: &'static str,
    /// The replacement text if no better one is known.
    pub(super) fallback: &'static str,
}

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

pub(super) const SPECS: [Spec; 5] = [
    Spec { field: Field::Minute, min: 0, max: 59, top: 59, names: &[], noun: "a minute", fallback: "0" },
    Spec { field: Field::Hour, min: 0, max: 23, top: 23, names: &[], noun: "an hour", fallback: "0" },
    Spec {
        field: Field::DayOfMonth,
        min: 1,
        max: 31,
        top: 31,
        names: &[],
        noun: "a day of the month",
        fallback: "*",
    },
    Spec { field: Field::Month, min: 1, max: 12, top: 12, names: &MONTHS, noun: "a month", fallback: "*" },
    Spec {
        field: Field::DayOfWeek,
        min: 0,
        max: 7,
        top: 6,
        names: &WEEKDAYS,
        noun: "a day of the week",
        fallback: "*",
    },
];
const MONTH: usize = 3;
const DAY_OF_WEEK: usize = 4;

/// An error in one field.
pub(super) struct FieldFault {
    pub(super) message: String,
    /// The replacement for the text of the field.
    pub(super) fix: String,
    /// The index in [`SPECS`] of the field in which the text would be valid.
    pub(super) belongs_to: Option<usize>,
}

impl FieldFault {
    fn new(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { message: message.into(), fix: fix.into(), belongs_to: None }
    }
}

pub(super) fn read_field(spec: &Spec, text: &str) -> Result<u64, FieldFault> {
    let items: Vec<&str> = text.split(',').collect();
    if items.iter().any(|item| item.is_empty()) {
        let kept: Vec<&str> = items.into_iter().filter(|item| !item.is_empty()).collect();
        let fix = if kept.is_empty() { spec.fallback.to_owned() } else { kept.join(",") };
        return Err(FieldFault::new("has an empty list item; leave out the extra comma", fix));
    }
    let mut set = 0;
    for (at, item) in items.iter().enumerate() {
        set |= read_item(spec, item).map_err(|mut fault| {
            let fix = std::mem::take(&mut fault.fix);
            let others = items.iter().enumerate().map(|(n, item)| if n == at { fix.as_str() } else { item });
            fault.fix = others.collect::<Vec<_>>().join(",");
            fault
        })?;
    }
    Ok(set)
}

fn read_item(spec: &Spec, item: &str) -> Result<u64, FieldFault> {
    let (base, step) = match item.split_once('/') {
        Some((base, step)) => (base, Some(step)),
        None => (item, None),
    };
    let with_step = |base: String| step.map_or_else(|| base.clone(), |step| format!("{base}/{step}"));
    let (low, high) = if base == "*" {
        (spec.min, spec.top)
    } else if let Some((low, high)) = base.split_once('-') {
        read_range(spec, low, high).map_err(|mut fault| {
            // The fix for a backwards range with a step lists single values, which already include the step.
            if fault.belongs_to.is_none() {
                fault.fix = match (fault.fix.split_once(','), step) {
                    (Some(_), Some(step)) => wrapped(spec, low, high, step).unwrap_or(fault.fix),
                    _ if fault.fix.contains('-') || fault.fix == "*" => with_step(fault.fix),
                    _ => fault.fix,
                };
            }
            fault
        })?
    } else if base.is_empty() {
        let fix = with_step("*".to_owned());
        return Err(FieldFault::new(format!("`{}` has nothing before the `/`", excerpt(item)), fix));
    } else {
        let value = read_value(spec, base)?;
        if let Some(step) = step {
            let message =
                format!("`{}`: a step needs `*` or a range before it, not one value", excerpt(item));
            return Err(FieldFault::new(message, format!("{base}-{}/{step}", spec.top.max(value))));
        }
        (value, value)
    };
    let step = match step {
        Some(step) => read_step(spec, base, step)?,
        None => 1,
    };
    Ok((low..=high).step_by(step).fold(0, |set, value| set | 1 << value))
}

fn read_range(spec: &Spec, low: &str, high: &str) -> Result<(u32, u32), FieldFault> {
    if low.is_empty() || high.is_empty() {
        let fix = match (low, high) {
            ("", "") => spec.fallback.to_owned(),
            ("", high) => high.to_owned(),
            (low, _) => format!("{low}-{}", spec.top),
        };
        return Err(FieldFault::new("has a range with one end; write both, as in 1-5", fix));
    }
    if low == "*" || high == "*" {
        return Err(FieldFault::new("has `*` inside a range; `*` stands alone", "*"));
    }
    if let Some((middle, last)) = high.split_once('-') {
        let fix = format!("{low}-{}", if last.is_empty() { middle } else { last });
        return Err(FieldFault::new("has a range with more than two ends", fix));
    }
    let end = |text: &str, first: bool| {
        read_value(spec, text).map_err(|mut fault| {
            if fault.belongs_to.is_none() {
                // The fix for an end above the field's range is the highest value.
                let beyond = text.bytes().all(|b| b.is_ascii_digit()) && text.bytes().any(|b| b != b'0');
                let near = if beyond { spec.top.to_string() } else { std::mem::take(&mut fault.fix) };
                fault.fix = if first { format!("{near}-{high}") } else { format!("{low}-{near}") };
            }
            fault
        })
    };
    let (from, to) = (end(low, true)?, end(high, false)?);
    if from <= to {
        return Ok((from, to));
    }
    let run = |from: u32, to: u32, from_text: &str, to_text: &str| {
        if from == to { from_text.to_owned() } else { format!("{from_text}-{to_text}") }
    };
    let named = low.starts_with(|c: char| c.is_ascii_alphabetic());
    let (top, bottom) = (name(spec, spec.top, named), name(spec, spec.min, named));
    let fix = format!("{},{}", run(from, spec.top, low, &top), run(spec.min, to, &bottom, high));
    let message =
        format!("`{}-{}` runs backwards; a range does not wrap around", excerpt(low), excerpt(high));
    Err(FieldFault::new(message, fix))
}

/// The values of a backwards range with a step, where the step goes on across the end: `22-2/2` is 22, 0 and 2.
fn wrapped(spec: &Spec, low: &str, high: &str, step: &str) -> Option<String> {
    let (from, to) = (read_value(spec, low).ok()?, read_value(spec, high).ok()?);
    let step = step.parse::<usize>().ok().filter(|step| *step > 0)?;
    let values = (from..=spec.top).chain(spec.min..=to).step_by(step);
    Some(values.map(|value| value.to_string()).collect::<Vec<_>>().join(","))
}

fn name(spec: &Spec, value: u32, named: bool) -> String {
    let index = usize::try_from(value - spec.min).unwrap_or(usize::MAX);
    match spec.names.get(index) {
        Some(name) if named => (*name).to_owned(),
        _ => value.to_string(),
    }
}

/// Parses a step. A step larger than the number of the field's values is an error, because such a step does not do what
/// its author expects: `*/90` does not run every 90 minutes.
fn read_step(spec: &Spec, base: &str, text: &str) -> Result<usize, FieldFault> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        let fix = match text.split_once('/') {
            Some((step, _)) if !step.is_empty() => format!("{base}/{step}"),
            _ => base.to_owned(),
        };
        return Err(FieldFault::new(
            format!("`/{}` is not a step; write `/` and a number", excerpt(text)),
            fix,
        ));
    }
    let most = spec.top - spec.min + 1;
    match text.parse::<u32>() {
        Ok(0) => Err(FieldFault::new("a step of 0 never moves on", base)),
        Ok(step) if step <= most => Ok(usize::try_from(step).unwrap_or(usize::MAX)),
        _ => {
            let first = if base == "*" {
                spec.min.to_string()
            } else {
                base.split('-').next().unwrap_or(base).to_owned()
            };
            let message = format!(
                "a step of {} is more than the {most} values of this field, so it would match the first one only",
                excerpt(text)
            );
            Err(FieldFault::new(message, first))
        }
    }
}

fn read_value(spec: &Spec, text: &str) -> Result<u32, FieldFault> {
    if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        let value = text.parse::<u32>().ok().filter(|value| (spec.min..=spec.max).contains(value));
        return value.ok_or_else(|| {
            let low = text.bytes().all(|b| b == b'0');
            // The fix for minute 60 and hour 24 is 0, which is the same time; for other values, the end of the range.
            let round = !low && spec.min == 0 && text.parse() == Ok(spec.top + 1);
            let near = if low || round { spec.min } else { spec.top };
            FieldFault::new(
                format!("`{}` is out of range, {} to {}", excerpt(text), spec.min, spec.max),
                near.to_string(),
            )
        });
    }
    let position = |names: &[&str], text: &str| names.iter().position(|name| name.eq_ignore_ascii_case(text));
    if let Some(index) = position(spec.names, text) {
        return Ok(spec.min + u32::try_from(index).unwrap_or_default());
    }
    Err(unreadable(spec, text))
}

/// The error for a value that is neither a number nor one of the field's names.
fn unreadable(spec: &Spec, text: &str) -> FieldFault {
    let quoted = excerpt(text);
    let upper = text.to_ascii_uppercase();
    let homes: [(usize, &[&str], &str); 2] =
        [(DAY_OF_WEEK, &WEEKDAYS, "a day of the week"), (MONTH, &MONTHS, "a month")];
    for (home, names, noun) in homes {
        if spec.field != SPECS[home].field && names.contains(&upper.as_str()) {
            let mut fault =
                FieldFault::new(format!("`{quoted}` is {noun}, not {}", spec.noun), spec.fallback);
            fault.belongs_to = Some(home);
            return fault;
        }
    }
    if let Some(short) = upper.get(..3).filter(|short| spec.names.contains(short))
        && upper.bytes().all(|b| b.is_ascii_alphabetic())
    {
        return FieldFault::new(format!("`{quoted}` is not read; names have three letters"), short);
    }
    if text == "?" {
        return FieldFault::new("`?` is not read; `*` says the same", "*");
    }
    if let Some((day, _)) = text.split_once('#') {
        let fix = if day.is_empty() { spec.fallback } else { day };
        return FieldFault::new(format!("`{quoted}`: `#`, the n-th weekday of a month, is not read"), fix);
    }
    let bare = upper.trim_end_matches(['L', 'W']);
    if upper != bare && (bare.is_empty() || read_value(spec, bare).is_ok()) {
        let (last, what) = match (spec.field, upper.ends_with('W')) {
            (Field::DayOfMonth, true) => ("28", "`W`, the nearest weekday, is not read"),
            (Field::DayOfMonth, false) => ("28", "`L`, the last day, is not read; 28 is in every month"),
            (Field::DayOfWeek, _) => ("SAT", "`L`, the last such day of a month, is not read"),
            _ => (spec.fallback, "`L` and `W` are not read"),
        };
        return FieldFault::new(format!("`{quoted}`: {what}"), if bare.is_empty() { last } else { bare });
    }
    if let Some(step) = text.strip_prefix('*')
        && step.parse::<u32>().is_ok()
    {
        return FieldFault::new(format!("`{quoted}`: a step is written with `/`"), format!("*/{step}"));
    }
    FieldFault::new(format!("`{quoted}` is not {}", spec.noun), spec.fallback)
}

/// The input as a message quotes it: cut to 40 characters.
pub(super) fn excerpt(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_owned();
    }
    let start: String = text.chars().take(37).collect();
    format!("{start}...")
}

/// The values of a set as a list, with three or more consecutive values written as a range.
pub(super) fn ranges(set: u64) -> String {
    let mut parts = Vec::new();
    let mut from = 0;
    while from < 64 {
        if set >> from & 1 == 0 {
            from += 1;
            continue;
        }
        let length = (set >> from).trailing_ones();
        match length {
            1 => parts.push(from.to_string()),
            2 => parts.push(format!("{from},{}", from + 1)),
            _ => parts.push(format!("{from}-{}", from + length - 1)),
        }
        from += length;
    }
    parts.join(",")
}
