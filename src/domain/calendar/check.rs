//! Validates the input of a form or an API request for a calendar. [`CalendarDraft::check`] reports all errors at once,
//! each with the field that it is about.

use jiff::civil::Date;
use serde::Deserialize;
use utoipa::openapi::schema::{Array, ArrayBuilder, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::{CalendarSpec, MAX_DATES, MAX_NAME, ics, span};
use crate::domain::text::excerpt;

/// The most errors that are reported at once.
const MAX_FAULTS: usize = 20;

/// The settings of a calendar as received, not validated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(
    as = CalendarBody,
    description = "The settings of a calendar. Read-only fields of a calendar may be sent too and are ignored."
)]
pub struct CalendarDraft {
    /// The name; unique, ignoring case.
    #[serde(default)]
    #[schema(required = true, max_length = 120, example = "Public holidays")]
    pub name: String,
    /// Single dates.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["2026-12-25"]))]
    pub dates: Vec<String>,
    #[serde(default)]
    #[schema(schema_with = ranges_schema)]
    pub ranges: Vec<(String, String)>,
    /// Month and day of dates that recur every year.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["12-25"]))]
    pub yearly: Vec<String>,
    /// The text of a calendar file (RFC 5545), at most 1 MiB. Recurring events are expanded for the next five years. An
    /// unreadable event is ignored and listed in `left_out` of the response.
    pub ics: Option<String>,
}

/// The schema of `ranges`, written by hand because client generators do not support the schema that is derived for a
/// pair.
fn ranges_schema() -> Array {
    let pair = ArrayBuilder::new().items(String::schema()).min_items(Some(2)).max_items(Some(2));
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(pair)
        .description(Some("First and last date of each range."))
        .examples([serde_json::json!([["2026-12-24", "2026-12-31"]])])
        .build()
}

/// One error in a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field: `name`, `dates[3]`, `ranges[0]`, `yearly[1]`, `ics`; indexes count from 0.
    pub field: String,
    /// A description of the error that says what to do.
    pub message: String,
}

impl Fault {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl CalendarDraft {
    /// Validates the draft. Repeating events of the file are expanded around `today`.
    ///
    /// # Errors
    /// All errors, at most 20.
    pub fn check(&self, today: Date) -> Result<CalendarSpec, Vec<Fault>> {
        let mut faults = Vec::new();
        let name = self.name.trim();
        if name.is_empty() {
            faults.push(Fault::new("name", "give it a name, such as Public holidays"));
        } else if name.chars().count() > MAX_NAME {
            faults.push(Fault::new("name", format!("use at most {MAX_NAME} characters")));
        } else if name.chars().any(char::is_control) {
            faults.push(Fault::new("name", "use no line breaks or control characters"));
        }
        let mut dates = each("dates", &self.dates, &mut faults, |text| {
            date(text).ok_or_else(|| format!("`{}` is not a date; write it as 2026-12-25", excerpt(text)))
        });
        let mut ranges = each("ranges", &self.ranges, &mut faults, range);
        let mut yearly = each("yearly", &self.yearly, &mut faults, |text| {
            yearly(text).ok_or_else(|| {
                format!("`{}` is not a day of the year; write month and day, such as 12-25", excerpt(text))
            })
        });
        dates.sort();
        dates.dedup();
        ranges.sort();
        ranges.dedup();
        yearly.sort_unstable();
        yearly.dedup();
        let ics = self.ics.clone().filter(|text| !text.trim().is_empty());
        let named = match ics.as_deref().map(ics::read) {
            None => Ok(0),
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(file)) => {
                let expanded = file.days(span(today));
                match (expanded.refusal, expanded.left.told.first()) {
                    (Some(refusal), _) => Err(refusal.to_string()),
                    // A file of which every event is left out is an error.
                    (None, Some(left)) if expanded.days.is_empty() => Err(left.to_string()),
                    (None, _) => Ok(expanded.days.len()),
                }
            }
        };
        let named = named.unwrap_or_else(|message| {
            faults.push(Fault::new("ics", message));
            0
        });
        let total = total(&dates, &ranges).saturating_add(named);
        if total > MAX_DATES && faults.is_empty() {
            let field = if ranges.is_empty() { "dates" } else { "ranges" };
            faults.push(Fault::new(
                field,
                format!("these are {total} days; a calendar holds at most {MAX_DATES}, so name fewer"),
            ));
        }
        if faults.is_empty() && dates.is_empty() && ranges.is_empty() && yearly.is_empty() && ics.is_none() {
            faults.push(Fault::new("dates", "name at least one day, or add an ICS file"));
        }
        faults.truncate(MAX_FAULTS);
        if faults.is_empty() {
            Ok(CalendarSpec { name: name.to_owned(), dates, ranges, yearly, ics })
        } else {
            Err(faults)
        }
    }
}

/// Parses every item of a list with `read`. For each invalid item, adds an error with the item's index to `faults`.
fn each<T, U>(
    field: &str,
    items: &[T],
    faults: &mut Vec<Fault>,
    read: impl Fn(&T) -> Result<U, String>,
) -> Vec<U> {
    let mut good = Vec::with_capacity(items.len().min(MAX_DATES));
    for (place, item) in items.iter().enumerate() {
        match read(item) {
            Ok(value) => good.push(value),
            Err(message) if faults.len() < MAX_FAULTS => {
                faults.push(Fault::new(format!("{field}[{place}]"), message));
            }
            Err(_) => {}
        }
    }
    good
}

/// The number of days of all dates and ranges; overlapping days count more than once.
fn total(dates: &[Date], ranges: &[(Date, Date)]) -> usize {
    let days = |(first, last): &(Date, Date)| {
        let days = last.since(*first).map_or(i32::MAX, |span| span.get_days());
        usize::try_from(days).unwrap_or(0).saturating_add(1)
    };
    ranges.iter().map(days).fold(dates.len(), usize::saturating_add)
}

/// Parses a date of exactly four, two and two digits, such as `2026-12-25`. Spaces around it are ignored.
pub fn date(text: &str) -> Option<Date> {
    let text = text.trim();
    let [year, month, day] = numbers(text, &[4, 2, 2])?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Parses a month and a day of exactly two digits each, such as `12-25`. 29 February is accepted.
pub fn yearly(text: &str) -> Option<(i8, i8)> {
    let [month, day] = numbers(text.trim(), &[2, 2])?;
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    // 2024 is a leap year, so it has every possible date.
    Date::new(2024, month, day).ok().map(|date| (date.month(), date.day()))
}

fn range((first, last): &(String, String)) -> Result<(Date, Date), String> {
    let read = |text: &str| {
        date(text).ok_or_else(|| format!("`{}` is not a date; write it as 2026-12-25", excerpt(text)))
    };
    let (first, last) = (read(first)?, read(last)?);
    if last < first {
        return Err(format!("{first} to {last} ends before it starts; swap the two"));
    }
    Ok((first, last))
}

/// Parses numbers separated by `-`; `widths` are their numbers of digits.
fn numbers<const N: usize>(text: &str, widths: &[usize; N]) -> Option<[i16; N]> {
    let mut values = [0; N];
    let mut parts = text.split('-');
    for (value, width) in values.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != *width || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *value = part.parse().ok()?;
    }
    parts.next().is_none().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> Date {
        Date::constant(2026, 11, 27)
    }

    fn draft() -> CalendarDraft {
        CalendarDraft {
            name: "Holidays".to_owned(),
            dates: texts(&["2026-12-25"]),
            ..CalendarDraft::default()
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn pair(first: &str, last: &str) -> (String, String) {
        (first.to_owned(), last.to_owned())
    }

    /// The fields of the errors.
    fn faults(draft: &CalendarDraft) -> Vec<String> {
        draft.check(today()).expect_err("it is refused").into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn a_checked_calendar_is_in_order_and_holds_nothing_twice() {
        let draft = CalendarDraft {
            name: "  Holidays ".to_owned(),
            dates: texts(&["2026-12-25", " 2026-01-01 ", "2026-12-25"]),
            ranges: vec![pair("2026-12-24", "2026-12-31"), pair("2026-02-01", "2026-02-01")],
            yearly: texts(&["12-25", "02-29", "12-25"]),
            ics: Some(" \r\n".to_owned()),
        };
        let spec = draft.check(today()).expect("it is fine");
        assert_eq!(spec.name, "Holidays");
        assert_eq!(spec.dates, [Date::constant(2026, 1, 1), Date::constant(2026, 12, 25)]);
        assert_eq!(spec.ranges[0], (Date::constant(2026, 2, 1), Date::constant(2026, 2, 1)));
        assert_eq!(spec.yearly, [(2, 29), (12, 25)]);
        assert_eq!(spec.ics, None);
    }

    #[test]
    fn every_fault_names_its_place() {
        let draft = CalendarDraft {
            name: "x".repeat(121),
            dates: texts(&["2026-12-25", "2026-02-30", "25.12.2026", "2026-12-25T00:00", "+026-12-25"]),
            ranges: vec![pair("2026-12-31", "2026-12-24"), pair("2026-12-24", "x")],
            yearly: texts(&["12-25", "13-01", "02-30", "1-1"]),
            ics: Some("nothing of the kind".to_owned()),
        };
        let fields = [
            "name",
            "dates[1]",
            "dates[2]",
            "dates[3]",
            "dates[4]",
            "ranges[0]",
            "ranges[1]",
            "yearly[1]",
            "yearly[2]",
            "yearly[3]",
            "ics",
        ];
        assert_eq!(faults(&draft), fields);
        let messages = draft.check(today()).expect_err("it is refused");
        assert_eq!(messages[1].message, "`2026-02-30` is not a date; write it as 2026-12-25");
        assert_eq!(messages[5].message, "2026-12-31 to 2026-12-24 ends before it starts; swap the two");
    }

    #[test]
    fn a_name_is_there_and_on_one_line() {
        for name in ["", "  ", "a\nb", "a\u{7}"] {
            assert_eq!(faults(&CalendarDraft { name: name.to_owned(), ..draft() }), ["name"], "{name:?}");
        }
        assert!(CalendarDraft { name: "ü".repeat(120), ..draft() }.check(today()).is_ok());
    }

    #[test]
    fn a_calendar_without_a_day_or_with_too_many_is_refused() {
        assert_eq!(faults(&CalendarDraft { dates: vec![], ..draft() }), ["dates"]);
        let ranges =
            |first, last| CalendarDraft { dates: vec![], ranges: vec![pair(first, last)], ..draft() };
        assert!(ranges("2020-01-01", "2033-09-08").check(today()).is_ok(), "5,000 days");
        assert_eq!(faults(&ranges("2020-01-01", "2033-09-09")), ["ranges"]);
        assert_eq!(faults(&ranges("0000-01-01", "9999-12-31")), ["ranges"]);
        let years = (2000..2600).map(|year| format!("{year}-01-0"));
        let many = years.flat_map(|year| (1..10).map(move |day| format!("{year}{day}"))).collect();
        assert_eq!(faults(&CalendarDraft { dates: many, ..draft() }), ["dates"]);
    }

    #[test]
    fn a_thousand_faults_are_not_listed_one_by_one() {
        let draft = CalendarDraft { dates: vec!["\u{0}".repeat(1000); 1000], ..draft() };
        let faults = draft.check(today()).expect_err("it is refused");
        assert_eq!(faults.len(), MAX_FAULTS);
        assert!(faults.iter().all(|fault| fault.message.chars().count() < 120));
    }
}
