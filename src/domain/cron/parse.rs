//! Parses the strict dialect of cron expressions (semantics §3). An error names the field and suggests a valid
//! expression. Nothing is corrected silently, because a wrong guess would stop a stack at the wrong hour.

use std::fmt;

use super::field::{Field, SPECS, excerpt, ranges, read_field};
use super::{Class, Cron, DayRule};

/// The length of the longest expression, in bytes (rulings: sizes).
pub const MAX_LENGTH: usize = 256;

/// The error of [`Cron::parse`]. `Display` writes one line: the message, then the suggestion if there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CronError {
    /// The part of the expression that is wrong.
    pub field: Field,
    /// A description of the error, without the name of the field.
    pub message: String,
    /// A valid expression that is close to the input.
    pub suggestion: Option<String>,
}

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; try `{suggestion}`"),
            None => Ok(()),
        }
    }
}

impl Cron {
    /// Parses an expression of five fields, or one of the `@` words such as `@daily`.
    ///
    /// ```
    /// use docknap::domain::cron::{Cron, Field};
    /// assert!(Cron::parse("0 23 * * MON-FRI").is_ok());
    /// let error = Cron::parse("0 22-6 * * *").unwrap_err();
    /// assert_eq!(error.field, Field::Hour);
    /// assert_eq!(error.suggestion.as_deref(), Some("0 22-23,0-6 * * *"));
    /// ```
    ///
    /// # Errors
    /// [`CronError`] for every text outside the dialect of semantics §3, and for an expression whose days do not exist,
    /// such as 31 February.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        read(text).map_err(|fault| {
            // The fixed text may have a further error: apply up to eight fixes until the text is valid.
            let mut fix = fault.fix;
            for _ in 0..8 {
                match fix.as_deref().map(read) {
                    Some(Err(next)) => fix = next.fix,
                    Some(Ok(_)) | None => break,
                }
            }
            let suggestion = fix.and_then(|fix| read(&fix).ok()).map(|cron| cron.text);
            CronError { field: fault.field, message: fault.message, suggestion }
        })
    }
}

/// An error whose suggested fix may still be invalid.
struct Fault {
    field: Field,
    message: String,
    fix: Option<String>,
}

impl Fault {
    fn whole(message: impl Into<String>, fix: Option<String>) -> Self {
        Self { field: Field::Expression, message: message.into(), fix }
    }
}

const MACROS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// Parses an expression. The fix of an error may still be invalid.
fn read(text: &str) -> Result<Cron, Fault> {
    if text.len() > MAX_LENGTH {
        let message = format!(
            "is {} bytes long, {MAX_LENGTH} is the most; write ranges such as 1-5 in place of lists",
            text.len()
        );
        return Err(Fault::whole(message, shorten(text)));
    }
    if let Some(odd) = text.chars().find(|c| !c.is_ascii()) {
        let message = format!("holds {}, only plain ASCII is read", named(odd));
        return Err(Fault::whole(message, Some(to_ascii(text))));
    }
    let text = text.trim_ascii();
    if let Some(odd) = text.chars().find(|c| c.is_ascii_control() && *c != '\t') {
        let plain = text.replace(|c: char| c.is_ascii_control(), " ");
        return Err(Fault::whole(format!("holds the control character {}", named(odd)), Some(plain)));
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if let Some(word) = words.first()
        && word.starts_with('@')
    {
        return read_macro(&words);
    }
    let fields: [&str; 5] = words.as_slice().try_into().map_err(|_| wrong_count(&words))?;
    read_fields(fields)
}

fn read_macro(words: &[&str]) -> Result<Cron, Fault> {
    let text = words.join(" ");
    let (word, rest) = (words[0], &words[1..]);
    if let Some((_, fields)) = MACROS.iter().find(|(name, _)| *name == text) {
        let mut cron = read(fields)?;
        cron.text = text;
        return Ok(cron);
    }
    let lower = word.to_ascii_lowercase();
    if lower == "@reboot" {
        let message = "`@reboot` names no time; a container that should come back with the machine needs the \
                       restart policy `unless-stopped`";
        return Err(Fault::whole(message, Some("@daily".to_owned())));
    }
    if lower == "@every" {
        return Err(Fault::whole("`@every` is not read; name the minutes or hours", every(rest)));
    }
    if MACROS.iter().any(|(name, _)| *name == lower) {
        return Err(Fault::whole(
            format!("`{}` is not read; write it small and alone", excerpt(&text)),
            Some(lower),
        ));
    }
    let message = format!(
        "`{}` is not one of @hourly @daily @midnight @weekly @monthly @yearly @annually",
        excerpt(&text)
    );
    Err(Fault::whole(message, Some("@daily".to_owned())))
}

/// The expression for `@every 15m` or `@every 2h`, a form of other programs; `None` if no cron field can express the
/// span.
fn every(rest: &[&str]) -> Option<String> {
    let span = rest.first()?;
    if let Some(minutes) = span.strip_suffix('m') {
        let minutes: u32 = minutes.parse().ok().filter(|n| (1..60).contains(n) && 60 % n == 0)?;
        return Some(if minutes == 1 { "* * * * *".to_owned() } else { format!("*/{minutes} * * * *") });
    }
    let hours: u32 = span.strip_suffix('h')?.parse().ok().filter(|n| (1..=24).contains(n) && 24 % n == 0)?;
    Some(if hours == 1 { "@hourly".to_owned() } else { format!("0 */{hours} * * *") })
}

fn wrong_count(words: &[&str]) -> Fault {
    let Some(first) = words.first() else {
        return Fault::whole("is empty; five fields are needed", Some("0 23 * * *".to_owned()));
    };
    let lower = first.to_ascii_lowercase();
    if matches!(lower.as_str(), "sleep" | "awake") {
        return Fault::whole("is a window, not a cron expression", Some("0 23 * * *".to_owned()));
    }
    let accepted = |words: &[&str]| Some(words.join(" ")).filter(|text| read(text).is_ok());
    if words.len() > 5 {
        let fix = match words.len() {
            6 => accepted(&words[1..]).or_else(|| accepted(&words[..5])),
            7 => accepted(&words[1..6]).or_else(|| accepted(&words[..5])),
            _ => accepted(&words[..5]),
        };
        let message = if lower.starts_with("tz=") || lower.starts_with("cron_tz=") {
            "the zone is a setting of its own, not part of the expression".to_owned()
        } else {
            format!("has {} fields; five are read: {ORDER}, no seconds, no year, no command", words.len())
        };
        return Fault::whole(message, fix.or_else(|| Some(words[..5].join(" "))));
    }
    let fields = if words.len() == 1 { "1 field".to_owned() } else { format!("{} fields", words.len()) };
    let message = format!("has {fields}; five are needed: {ORDER}");
    if let (Some((hour, minute)), 1) = (first.split_once(':'), words.len()) {
        return Fault::whole(message, accepted(&[minute, hour, "*", "*", "*"]));
    }
    if let Some((name, _)) = MACROS.iter().find(|(name, _)| name[1..] == lower) {
        return Fault::whole(message, Some((*name).to_owned()));
    }
    let mut padded = words.to_vec();
    if padded.len() == 1 {
        padded.insert(0, "0");
    }
    padded.resize(5, "*");
    Fault::whole(message, Some(padded.join(" ")))
}

const ORDER: &str = "minute hour day-of-month month day-of-week";

fn read_fields(fields: [&str; 5]) -> Result<Cron, Fault> {
    let mut sets = [0u64; 5];
    for (index, spec) in SPECS.iter().enumerate() {
        sets[index] = read_field(spec, fields[index]).map_err(|fault| {
            let mut fixed = fields;
            fixed[index] = &fault.fix;
            if let Some(home) = fault.belongs_to {
                fixed[index] = spec.fallback;
                if fields[home] == "*" {
                    fixed[home] = fields[index];
                }
            }
            Fault { field: spec.field, message: fault.message, fix: Some(fixed.join(" ")) }
        })?;
    }
    let star = |index: usize| fields[index].starts_with('*');
    let [minutes, hours, days, months, weekdays] = sets;
    let cron = Cron {
        text: fields.join(" "),
        minutes,
        hours: narrow(hours),
        days: narrow(days),
        months: u16::try_from(months).unwrap_or(u16::MAX),
        // Bit 7 is a second bit for Sunday: move it to bit 0.
        weekdays: u8::try_from((weekdays | (weekdays >> 7)) & 0x7f).unwrap_or(0x7f),
        day_rule: if star(2) || star(4) { DayRule::Both } else { DayRule::Either },
        class: if star(0) || star(1) { Class::Wildcard } else { Class::Fixed },
    };
    never_fires(&cron, fields).map_or(Ok(cron), Err)
}

/// Converts a set whose bits all lie below 32.
fn narrow(set: u64) -> u32 {
    u32::try_from(set).unwrap_or(u32::MAX)
}

/// The error for an expression that never fires, because no month of it has any of its days. There is no other way
/// never to fire: every weekday comes each week, and 29 February falls on each weekday in some year.
fn never_fires(cron: &Cron, fields: [&str; 5]) -> Option<Fault> {
    if cron.day_rule == DayRule::Either {
        return None;
    }
    let longest = (1..=12u32).filter(|month| cron.months >> month & 1 == 1).map(longest).max()?;
    let first = cron.days.trailing_zeros();
    if first <= longest {
        return None;
    }
    let last = if longest == 29 { "28".to_owned() } else { longest.to_string() };
    let mut fixed = fields;
    fixed[2] = &last;
    Some(Fault {
        field: Field::DayOfMonth,
        message: format!("day {first} never comes in month `{}`, so this never fires", excerpt(fields[3])),
        fix: Some(fixed.join(" ")),
    })
}

/// The number of days of a month in its longest year.
fn longest(month: u32) -> u32 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A character for a message: a letter or digit in backquotes, any other as its code point, because a terminal may not
/// show it.
fn named(character: char) -> String {
    if character.is_control() || character.is_whitespace() || !character.is_alphanumeric() {
        format!("U+{:04X}", u32::from(character))
    } else {
        format!("`{character}`")
    }
}

/// Replaces the Unicode characters that word processors and full-width keyboards produce by their ASCII counterparts.
fn to_ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{2010}'..='\u{2015}' | '\u{2212}' => plain.push('-'),
            '\u{2217}' | '\u{00d7}' | '\u{2022}' | '\u{22c6}' => plain.push('*'),
            '\u{2044}' | '\u{2215}' => plain.push('/'),
            '\u{3001}' => plain.push(','),
            '\u{ff01}'..='\u{ff5e}' => plain.extend(char::from_u32(u32::from(character) - 0xfee0)),
            _ if character.is_whitespace() => plain.push(' '),
            _ if character.is_ascii() => plain.push(character),
            _ => {}
        }
    }
    plain
}

/// A shorter form of an expression that is too long: the same values with lists written as ranges.
fn shorten(text: &str) -> Option<String> {
    // A list of every value of every field fits into this length; longer input is not worth the work.
    if text.len() > 4 * MAX_LENGTH || !text.is_ascii() {
        return None;
    }
    let fields: [&str; 5] = text.split_ascii_whitespace().collect::<Vec<_>>().try_into().ok()?;
    let mut short = Vec::with_capacity(5);
    for (spec, field) in SPECS.iter().zip(fields) {
        // Keep a leading `*`, because it also selects the day rule and the class.
        if field.starts_with('*') {
            short.push(field.to_owned());
        } else {
            short.push(ranges(read_field(spec, field).ok()?));
        }
    }
    Some(short.join(" "))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_the_dialect() {
        for text in [
            "* * * * *",
            "0 23 * * *",
            "*/15 9-17 * * MON-FRI",
            "0,30 8-18/2 1,15 JAN,jul sun",
            "0 0 29 2 *",
            "0 0 29 2 */7",
            "0 0 31 2 1",
            "0 0 1-31 * 0-7",
            "59 23 31 12 7",
            "00 07 01 01 *",
            "*/60 */24 */31 */12 */7",
            "0-59/59 * * * *",
            "*,5 1,* * * *",
            "*/2,5 * * * *",
            "0 0 * jan-Dec mOn-5",
            "@hourly",
            "@daily",
            "@midnight",
            "@weekly",
            "@monthly",
            "@yearly",
            "@annually",
        ] {
            let cron = Cron::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(cron.as_str(), text);
        }
        assert_eq!(Cron::parse("  0\t23  * * *\n").unwrap().as_str(), "0 23 * * *");
        let longest = format!("{}0 * * * *", "0,".repeat(123));
        assert_eq!(longest.len(), 255);
        assert!(Cron::parse(&format!("{longest} ")).is_ok());
    }

    #[test]
    fn values_land_in_the_right_bits() {
        let cron = Cron::parse("5-20/5 22,3 1,31 FEB-apr sat,7").unwrap();
        assert_eq!(cron.minutes, 1 << 5 | 1 << 10 | 1 << 15 | 1 << 20);
        assert_eq!(cron.hours, 1 << 22 | 1 << 3);
        assert_eq!(cron.days, 1 << 1 | 1 << 31);
        assert_eq!(cron.months, 0b1_1100);
        assert_eq!(cron.weekdays, 0b100_0001);
        assert_eq!(Cron::parse("* * * * *").unwrap().weekdays, 0x7f);
        assert_eq!(Cron::parse("* * * * 5-7/2").unwrap().weekdays, 0b10_0001);
        assert_eq!(Cron::parse("* * * * */2").unwrap().weekdays, 0b101_0101);
    }

    #[test]
    fn star_decides_the_day_rule_and_the_class() {
        let both = |text: &str| Cron::parse(text).unwrap().day_rule == DayRule::Both;
        assert!(both("0 0 1 * *") && both("0 0 * * 1") && both("0 0 */2 * 1") && both("0 0 1 * */2"));
        assert!(both("0 0 *,5 * 1") && !both("0 0 1-31 * 1") && !both("0 0 1,* * 1"));
        assert!(Cron::parse("0 0 1 * 1").unwrap().both_day_fields());
        let wild = |text: &str| Cron::parse(text).unwrap().class == Class::Wildcard;
        assert!(wild("* 2 * * *") && wild("30 * * * *") && wild("*/30 2 * * *") && wild("@hourly"));
        assert!(!wild("0-59 2 * * *") && !wild("0 0-23 * * *") && !wild("0,30 2 * * *") && !wild("@daily"));
    }

    /// The input, the field of the error, a part of the message, and the suggestion.
    #[rustfmt::skip]
    const REFUSED: &[(&str, Field, &str, &str)] = &[
        ("", Field::Expression, "empty", "0 23 * * *"),
        ("   ", Field::Expression, "empty", "0 23 * * *"),
        ("23:00", Field::Expression, "1 field", "00 23 * * *"),
        ("daily", Field::Expression, "1 field", "@daily"),
        ("0 23", Field::Expression, "2 fields", "0 23 * * *"),
        ("0 23 * *", Field::Expression, "4 fields", "0 23 * * *"),
        ("0 0 23 * * *", Field::Expression, "6 fields", "0 23 * * *"),
        ("0 23 * * * 2027", Field::Expression, "6 fields", "0 23 * * *"),
        ("0 0 23 * * * 2027", Field::Expression, "7 fields", "0 23 * * *"),
        ("0 23 * * * /usr/bin/true", Field::Expression, "6 fields", "0 23 * * *"),
        ("0 0 23 ? * MON *", Field::Expression, "7 fields", "0 0 23 * *"),
        ("CRON_TZ=Europe/Berlin 0 23 * * *", Field::Expression, "setting of its own", "0 23 * * *"),
        ("sleep Mon-Fri 23:00-07:00", Field::Expression, "window", "0 23 * * *"),
        ("@reboot", Field::Expression, "restart policy", "@daily"),
        ("@every 15m", Field::Expression, "@every", "*/15 * * * *"),
        ("@every 2h", Field::Expression, "@every", "0 */2 * * *"),
        ("@Daily", Field::Expression, "@Daily", "@daily"),
        ("@daily *", Field::Expression, "alone", "@daily"),
        ("@fortnightly", Field::Expression, "@fortnightly", "@daily"),
        ("0 23 * * 1\u{2013}5", Field::Expression, "U+2013", "0 23 * * 1-5"),
        ("\u{ff10} 23 * * *", Field::Expression, "ASCII", "0 23 * * *"),
        ("0\u{a0}23 * * *", Field::Expression, "U+00A0", "0 23 * * *"),
        ("0 23 * *\u{7} *", Field::Expression, "U+0007", "0 23 * * *"),
        ("0 23\n* * *", Field::Expression, "U+000A", "0 23 * * *"),
        ("0\0 23 * * *", Field::Expression, "U+0000", "0 23 * * *"),
        (", * * * *", Field::Minute, "empty list item", "0 * * * *"),
        ("1,,2 * * * *", Field::Minute, "empty list item", "1,2 * * * *"),
        ("0 5, * * *", Field::Hour, "empty list item", "0 5 * * *"),
        ("60 * * * *", Field::Minute, "out of range", "0 * * * *"),
        ("99999999999999999999 * * * *", Field::Minute, "out of range", "59 * * * *"),
        ("4294967296 * * * *", Field::Minute, "out of range", "59 * * * *"),
        ("0 24 * * *", Field::Hour, "out of range", "0 0 * * *"),
        ("0 0 0 * *", Field::DayOfMonth, "out of range", "0 0 1 * *"),
        ("0 0 32 * *", Field::DayOfMonth, "out of range", "0 0 31 * *"),
        ("0 0 1 13 *", Field::Month, "out of range", "0 0 1 12 *"),
        ("0 0 1 0 *", Field::Month, "out of range", "0 0 1 1 *"),
        ("0 0 * * 8", Field::DayOfWeek, "out of range", "0 0 * * 6"),
        ("MON 0 * * *", Field::Minute, "day of the week", "0 0 * * MON"),
        ("0 jan * * *", Field::Hour, "month", "0 0 * jan *"),
        ("0 0 MON-FRI * *", Field::DayOfMonth, "day of the week", "0 0 * * MON-FRI"),
        ("0 0 * MON *", Field::Month, "day of the week", "0 0 * * MON"),
        ("0 0 * * FEB", Field::DayOfWeek, "month", "0 0 * FEB *"),
        ("0 0 * * monday", Field::DayOfWeek, "three letters", "0 0 * * MON"),
        ("0 0 * * Monday-Friday", Field::DayOfWeek, "three letters", "0 0 * * MON-FRI"),
        ("0 0 1 September *", Field::Month, "three letters", "0 0 1 SEP *"),
        ("0 0 ? * MON", Field::DayOfMonth, "`?`", "0 0 * * MON"),
        ("0 0 1 * ?", Field::DayOfWeek, "`?`", "0 0 1 * *"),
        ("? ? ? ? ?", Field::Minute, "`?`", "* * * * *"),
        ("0 0 L * *", Field::DayOfMonth, "`L`", "0 0 28 * *"),
        ("0 0 LW * *", Field::DayOfMonth, "`W`", "0 0 28 * *"),
        ("0 0 15W * *", Field::DayOfMonth, "`W`", "0 0 15 * *"),
        ("0 0 * * 5L", Field::DayOfWeek, "`L`", "0 0 * * 5"),
        ("0 0 * * MON#1", Field::DayOfWeek, "`#`", "0 0 * * MON"),
        ("0 0 * * 1#1,2#2", Field::DayOfWeek, "`#`", "0 0 * * 1,2"),
        ("5/15 * * * *", Field::Minute, "step needs", "5-59/15 * * * *"),
        ("0 0 * * MON/2", Field::DayOfWeek, "step needs", "0 0 * * MON-6/2"),
        ("/5 * * * *", Field::Minute, "before the `/`", "*/5 * * * *"),
        ("*/ * * * *", Field::Minute, "not a step", "* * * * *"),
        ("*/0 * * * *", Field::Minute, "step of 0", "* * * * *"),
        ("*/-5 * * * *", Field::Minute, "not a step", "* * * * *"),
        ("*/5/2 * * * *", Field::Minute, "not a step", "*/5 * * * *"),
        ("*/90 * * * *", Field::Minute, "60 values", "0 * * * *"),
        ("*/99999999999999999999 * * * *", Field::Minute, "60 values", "0 * * * *"),
        ("0 10-20/30 * * *", Field::Hour, "24 values", "0 10 * * *"),
        ("*5 * * * *", Field::Minute, "written with `/`", "*/5 * * * *"),
        ("0 22-6 * * *", Field::Hour, "backwards", "0 22-23,0-6 * * *"),
        ("0 23-0 * * *", Field::Hour, "backwards", "0 23,0 * * *"),
        ("0 22-2/2 * * *", Field::Hour, "backwards", "0 22,0,2 * * *"),
        ("0 0 * NOV-FEB *", Field::Month, "backwards", "0 0 * NOV-DEC,JAN-FEB *"),
        ("0 0 * * FRI-MON", Field::DayOfWeek, "backwards", "0 0 * * FRI-SAT,SUN-MON"),
        ("0 0 * * SAT-SUN", Field::DayOfWeek, "backwards", "0 0 * * SAT,SUN"),
        ("0 0 * * 5-1", Field::DayOfWeek, "backwards", "0 0 * * 5-6,0-1"),
        ("-5 * * * *", Field::Minute, "one end", "5 * * * *"),
        ("5- * * * *", Field::Minute, "one end", "5-59 * * * *"),
        ("- * * * *", Field::Minute, "one end", "0 * * * *"),
        ("1-2-3 * * * *", Field::Minute, "two ends", "1-3 * * * *"),
        ("*-5 * * * *", Field::Minute, "inside a range", "* * * * *"),
        ("5-60 * * * *", Field::Minute, "out of range", "5-59 * * * *"),
        ("0 8-24 * * *", Field::Hour, "out of range", "0 8-23 * * *"),
        ("0 8-24/2 * * *", Field::Hour, "out of range", "0 8-23/2 * * *"),
        ("0 0 0-5 * *", Field::DayOfMonth, "out of range", "0 0 1-5 * *"),
        ("1.5 * * * *", Field::Minute, "not a minute", "0 * * * *"),
        ("+5 * * * *", Field::Minute, "not a minute", "0 * * * *"),
        ("0 0 * * +MON", Field::DayOfWeek, "not a day of the week", "0 0 * * *"),
        ("H * * * *", Field::Minute, "not a minute", "0 * * * *"),
        ("0 0 31 2 *", Field::DayOfMonth, "never", "0 0 28 2 *"),
        ("0 0 30,31 FEB *", Field::DayOfMonth, "never", "0 0 28 FEB *"),
        ("0 0 31 4,6,9,11 *", Field::DayOfMonth, "never", "0 0 30 4,6,9,11 *"),
        ("0 0 31 4 */2", Field::DayOfMonth, "never", "0 0 30 4 */2"),
    ];

    #[test]
    fn refusals_name_their_field_and_offer_a_fix() {
        for (text, field, part, suggestion) in REFUSED {
            let error = Cron::parse(text).expect_err(text);
            assert_eq!(error.field, *field, "{text:?}: {error}");
            assert!(error.message.contains(part), "{text:?}: {error}");
            assert_eq!(error.suggestion.as_deref(), Some(*suggestion), "{text:?}: {error}");
            assert!(Cron::parse(suggestion).is_ok(), "{text:?}: {suggestion}");
        }
    }

    #[test]
    fn an_expression_over_256_bytes_is_refused() {
        let text = format!("{}10 * * * *", "10,".repeat(82));
        assert_eq!(text.len(), 256);
        assert!(Cron::parse(&text).is_ok());
        let text = format!("{}10 * * *  *", "10,".repeat(82));
        assert_eq!(text.len(), 257);
        let error = Cron::parse(&text).unwrap_err();
        assert_eq!(error.field, Field::Expression);
        assert!(error.message.contains("257 bytes"), "{error}");
        assert_eq!(error.suggestion.as_deref(), Some("10 * * * *"));
        assert_eq!(Cron::parse(&"9".repeat(1 << 20)).unwrap_err().suggestion, None);
    }

    #[test]
    fn an_error_reads_as_one_line() {
        let error = Cron::parse("0 22-6 * * *").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`22-6` runs backwards; a range does not wrap around; try `0 22-23,0-6 * * *`"
        );
    }

    proptest! {
        /// For any input there is no panic, an error is one line, and every suggestion is valid.
        #[test]
        fn any_text_is_answered(text in "\\PC{0,40}|[-0-9*/,LW#?@A-Za-z \\t\\n]{0,60}|([-0-9*/,?LW#MONJA]{1,6} ){4}[-0-9*/,?#MON]{1,6}") {
            match Cron::parse(&text) {
                Ok(cron) => {
                    let again = Cron::parse(cron.as_str());
                    prop_assert_eq!(again.as_ref(), Ok(&cron));
                }
                Err(error) => {
                    let line = error.to_string();
                    prop_assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
                    prop_assert!(line.len() < 600);
                    if let Some(suggestion) = error.suggestion {
                        prop_assert!(Cron::parse(&suggestion).is_ok(), "{suggestion}");
                    }
                }
            }
        }
    }
}
