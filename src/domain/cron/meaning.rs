//! Describes an expression in English.
//!
//! The description comes from the `croner` crate, with the phrases of [`Words`]. The input of `croner` is not the text
//! that the user typed but the same sets of values, written so that the description is correct: `croner` describes
//! every step as "every n", which is wrong for `*/7` (0, 7 … 56, then 0) and for `0-30/10`.

use std::fmt::Write as _;

use croner::describe::Language;
use croner::parser::{CronParser, Seconds, Year};

use super::{Cron, DayRule};

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The most times of day that are listed one by one; more are described by minute and hour.
const LISTED_TIMES: u32 = 4;

const ALL_MINUTES: u64 = (1 << 60) - 1;
const ALL_HOURS: u64 = (1 << 24) - 1;
const ALL_DAYS: u64 = 0xffff_fffe;
const ALL_MONTHS: u64 = 0x1ffe;
const ALL_WEEKDAYS: u64 = 0x7f;

impl Cron {
    /// A description of the expression in English: `0 23 * * *` is "At 23:00".
    pub fn meaning(&self) -> String {
        let (minutes, hours) = (self.minutes, u64::from(self.hours));
        let times = minutes.count_ones() * hours.count_ones();
        let listed = times <= LISTED_TIMES;
        // If the times are listed, croner gets one time only, and `Words::time_of_day` returns the whole list for it.
        let (minute, hour) = if listed {
            (minutes.trailing_zeros().to_string(), hours.trailing_zeros().to_string())
        } else {
            let one_minute = minutes.is_power_of_two();
            (set_text(minutes, 0, ALL_MINUTES, true), set_text(hours, 0, ALL_HOURS, one_minute))
        };
        let (mut days, mut weekdays) = (u64::from(self.days), u64::from(self.weekdays));
        if self.day_rule == DayRule::Either && (days == ALL_DAYS || weekdays == ALL_WEEKDAYS) {
            (days, weekdays) = (ALL_DAYS, ALL_WEEKDAYS);
        }
        let day = set_text(days, 1, ALL_DAYS, false);
        let month = set_text(u64::from(self.months), 1, ALL_MONTHS, false);
        let weekday = set_text(weekdays, 0, ALL_WEEKDAYS, false);
        let words = Words { times: if listed { self.times() } else { String::new() }, days: day_steps(days) };
        let described = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .dom_and_dow(self.day_rule == DayRule::Both)
            .build()
            .parse(&format!("{minute} {hour} {day} {month} {weekday}"))
            .map(|cron| cron.describe_lang(words));
        match described {
            Ok(text) => {
                let text = text.strip_suffix('.').unwrap_or(&text);
                let text = with_runs(text, weekdays, 0, &WEEKDAYS);
                with_runs(&text, u64::from(self.months), 1, &MONTHS)
            }
            // Not reached for any valid expression, as the tests show; the fallback avoids a panic.
            Err(_) => format!("At the times of `{}`", self.as_str()),
        }
    }

    /// All times of day, as "08:00, 12:00 and 18:00".
    fn times(&self) -> String {
        let mut times = Vec::new();
        for hour in (0..24u32).filter(|hour| self.hours >> hour & 1 == 1) {
            for minute in (0..60u32).filter(|minute| self.minutes >> minute & 1 == 1) {
                times.push(format!("{hour:02}:{minute:02}"));
            }
        }
        joined(&times)
    }
}

/// The text of a field with these values: `*` for all values, `*/n` if `steps` is set and the set equals it, else a
/// list.
fn set_text(set: u64, first: u32, all: u64, steps: bool) -> String {
    if set == all {
        return "*".to_owned();
    }
    let length = all.count_ones();
    if steps
        && let Some(step) =
            (2..length).find(|step| length.is_multiple_of(*step) && set == stepped(first, *step, all))
    {
        return format!("*/{step}");
    }
    let values: Vec<String> = (0..64u32).filter(|n| set >> n & 1 == 1).map(|n| n.to_string()).collect();
    values.join(",")
}

/// The set `first`, `first + step` … within `all`.
fn stepped(first: u32, step: u32, all: u64) -> u64 {
    (first..64).step_by(usize::try_from(step).unwrap_or(1)).fold(0, |set, n| set | 1 << n) & all
}

/// "every 2nd day of the month from the 1st", if the days equal those of `*/2`; the same for steps up to 10.
fn day_steps(days: u64) -> Option<String> {
    let step = (2..=10).find(|step| days == stepped(1, *step, ALL_DAYS))?;
    let suffix = match step {
        2 => "nd",
        3 => "rd",
        _ => "th",
    };
    Some(format!("every {step}{suffix} day of the month from the 1st"))
}

/// Joins the items as "a, b and c".
fn joined(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

/// Replaces croner's list of names ("Monday, Tuesday, and Wednesday") by one with ranges ("Monday to Wednesday").
/// Sunday is the last day of the week in the result, so that "Saturday and Sunday" stay together. `first` is the number
/// of the first name: 0 for weekdays, 1 for months.
fn with_runs(text: &str, set: u64, first: u32, names: &[&str]) -> String {
    let preposition = if first == 0 { "on" } else { "in" };
    let mut values: Vec<usize> = (0..names.len()).filter(|n| set >> (*n + first as usize) & 1 == 1).collect();
    if values.len() < 2 || values.len() == names.len() {
        return text.to_owned();
    }
    let listed: Vec<&str> = values.iter().map(|n| names[*n]).collect();
    let listed = match listed.as_slice() {
        [a, b] => format!("{a} and {b}"),
        [front @ .., last] => format!("{}, and {last}", front.join(", ")),
        [] => return text.to_owned(),
    };
    if first == 0 && values[0] == 0 {
        values.rotate_left(1);
    }
    let mut parts: Vec<String> = Vec::new();
    let mut at = 0;
    while at < values.len() {
        let mut end = at;
        while end + 1 < values.len() && values[end + 1] % names.len() == (values[end] + 1) % names.len() {
            end += 1;
        }
        if end >= at + 2 {
            parts.push(format!("{} to {}", names[values[at]], names[values[end]]));
        } else {
            parts.extend(values[at..=end].iter().map(|n| names[*n].to_owned()));
        }
        at = end + 1;
    }
    let runs = joined(&parts);
    // "Monday to Friday" has no preposition, "on Monday and Friday" has one.
    let alone = if runs.contains(" to ") { runs.clone() } else { format!("{preposition} {runs}") };
    text.replace(&format!("{preposition} {listed}"), &alone).replace(&listed, &runs)
}

/// Hours such as "9-17" as "from 09:00 to 17:59".
fn hour_span(hours: &str) -> String {
    let bounds = hours.split_once('-').unwrap_or((hours, hours));
    match (bounds.0.parse::<u8>(), bounds.1.parse::<u8>()) {
        (Ok(from), Ok(to)) => format!("from {from:02}:00 to {to:02}:59"),
        _ => format!("in the hours {}", plain(hours)),
    }
}

/// Removes the comma before "and".
fn plain(list: &str) -> String {
    list.replace(", and ", " and ")
}

/// The starts of the phrase for the hours where it follows the phrase for the minutes.
const HOUR_PHRASES: [&str; 3] = [", every ", ", from ", ", in the hours "];

/// The phrases that croner puts together.
struct Words {
    /// Replaces the time of day; empty if the times are not listed.
    times: String,
    /// Replaces the list of days of the month, if set.
    days: Option<String>,
}

impl Language for Words {
    fn time_of_day(&self, hour: u16, minute: u16, _second: Option<u16>) -> String {
        if self.times.is_empty() { format!("{hour:02}:{minute:02}") } else { self.times.clone() }
    }
    fn every_minute(&self) -> &'static str {
        "Every minute"
    }
    fn every_x_minutes(&self, step: u16) -> String {
        format!("every {step} minutes")
    }
    fn every_x_hours(&self, step: u16) -> String {
        format!("every {step} hours")
    }
    fn every_minute_of_every_x_hours(&self, step: u16) -> String {
        format!("Every minute, every {step} hours")
    }
    fn every_past_phrase(&self, every: &str, hours: &str) -> String {
        format!("{every}, {hours}")
    }
    fn past_hour_phrase(&self, hours: &str) -> String {
        hour_span(hours)
    }
    fn at_time(&self, time: &str) -> String {
        format!("At {time}")
    }
    /// The argument holds the joined phrases for minutes and hours: "every 15 minutes, from 09:00 to 17:59", "minute 0,
    /// every 2 hours", "minute 5 past every hour".
    fn at_phrase(&self, phrase: &str) -> String {
        if phrase.starts_with("every ") {
            return phrase.to_owned();
        }
        // Both parts may contain commas, so the start of the hours is found by its phrase.
        let hours_at = HOUR_PHRASES.iter().find_map(|start| phrase.find(start));
        let Some(at) = hours_at.filter(|_| phrase.starts_with("minute ")) else {
            return format!("at {phrase}");
        };
        let (minute, hours) = (&phrase[..at], &phrase[at + 2..]);
        let mut text = String::new();
        let every = hours.strip_prefix("every ").map_or("hour", |hours| hours);
        let _ = write!(text, "every {every}");
        if minute != "minute 0" {
            let _ = write!(text, " at {minute}");
        }
        if !hours.starts_with("every ") {
            let _ = write!(text, ", {hours}");
        }
        text
    }
    fn on_phrase(&self, phrase: &str) -> String {
        format!("on {phrase}")
    }
    fn in_phrase(&self, phrase: &str) -> String {
        format!("in {phrase}")
    }
    fn minute_phrase(&self, minutes: &str) -> String {
        format!("minute {}", plain(minutes))
    }
    fn minute_past_every_hour_phrase(&self, minutes: &str) -> String {
        if minutes == "minute 0" { "every hour".to_owned() } else { format!("every hour at {minutes}") }
    }
    fn hour_phrase(&self, hours: &str) -> String {
        hour_span(hours)
    }
    fn day_phrase(&self, days: &str) -> String {
        self.days.clone().unwrap_or_else(|| format!("day {}", plain(days)))
    }
    fn dom_and_dow_if_also(&self, weekday: &str) -> String {
        format!("if it is a {weekday}")
    }
    fn dom_and_dow_if_also_one_of(&self, weekdays: &str) -> String {
        format!("if it is a {weekdays}")
    }
    fn list_conjunction_and(&self) -> &'static str {
        "and"
    }
    fn list_conjunction_or(&self) -> &'static str {
        "or"
    }
    fn list_conjunction_and_comma(&self) -> &'static str {
        ", and"
    }
    fn day_of_week_names(&self) -> [&'static str; 7] {
        WEEKDAYS
    }
    fn month_names(&self) -> [&'static str; 12] {
        MONTHS
    }

    // The dialect has no seconds, no years and no letters L and W, but the trait requires their phrases.
    fn every_second_phrase(&self) -> &'static str {
        "Every second"
    }
    fn every_x_seconds(&self, step: u16) -> String {
        format!("every {step} seconds")
    }
    fn at_time_and_every_x_seconds(&self, time: &str, step: u16) -> String {
        format!("At {time}, every {step} seconds")
    }
    fn at_time_at_second(&self, time: &str, second: &str) -> String {
        format!("At {time}, second {second}")
    }
    fn second_phrase(&self, seconds: &str) -> String {
        format!("second {seconds}")
    }
    fn year_phrase(&self, years: &str) -> String {
        format!("year {years}")
    }
    fn the_last_day_of_the_month(&self) -> &'static str {
        "the last day of the month"
    }
    fn the_weekday_nearest_day(&self, day: &str) -> String {
        format!("the weekday nearest day {day}")
    }
    fn the_last_weekday_of_the_month(&self, day: &str) -> String {
        format!("the last {day} of the month")
    }
    fn the_nth_weekday_of_the_month(&self, n: u8, day: &str) -> String {
        format!("{day} number {n} of the month")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn meanings() {
        for (text, meaning) in [
            ("0 23 * * *", "At 23:00"),
            ("@midnight", "At 00:00"),
            ("@hourly", "Every hour"),
            ("@weekly", "At 00:00, on Sunday"),
            ("@yearly", "At 00:00, on day 1, in January"),
            ("* * * * *", "Every minute"),
            ("0-59 * * * *", "Every minute"),
            ("*/15 * * * *", "Every 15 minutes"),
            ("*/15 9-17 * * *", "Every 15 minutes, from 09:00 to 17:59"),
            ("* 2 * * *", "Every minute, from 02:00 to 02:59"),
            ("* 2,5 * * *", "Every minute, in the hours 2 and 5"),
            ("5 * * * *", "Every hour at minute 5"),
            ("5,35 * * * *", "Every hour at minute 5 and 35"),
            ("*/7 * * * *", "Every hour at minute 0, 7, 14, 21, 28, 35, 42, 49 and 56"),
            ("0-30/10 * * * *", "Every hour at minute 0, 10, 20 and 30"),
            ("0 */2 * * *", "Every 2 hours"),
            ("15 */2 * * *", "Every 2 hours at minute 15"),
            ("0 9-17 * * *", "Every hour, from 09:00 to 17:59"),
            ("0,20,45 9-17 * * *", "Every hour at minute 0, 20 and 45, from 09:00 to 17:59"),
            ("5,35 1,3,5,9 * * *", "Every hour at minute 5 and 35, in the hours 1, 3, 5 and 9"),
            ("*/15 */2 * * *", "Every 15 minutes, in the hours 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and 22"),
            ("0 8,12,18 * * *", "At 08:00, 12:00 and 18:00"),
            ("0,30 8 * * *", "At 08:00 and 08:30"),
            ("30 7 * * MON-FRI", "At 07:30, Monday to Friday"),
            ("30 7 * * 5-7", "At 07:30, Friday to Sunday"),
            ("30 7 * * 0,6", "At 07:30, on Saturday and Sunday"),
            ("30 7 * * 1,3", "At 07:30, on Monday and Wednesday"),
            ("0 0 1,15 * *", "At 00:00, on day 1 and 15"),
            ("0 0 1 * 1", "At 00:00, on day 1 or Monday"),
            ("0 0 1 * 1-5", "At 00:00, on day 1 or Monday to Friday"),
            ("0 0 */2 * 1", "At 00:00, on every 2nd day of the month from the 1st if it is a Monday"),
            ("0 0 1-31 * 1", "At 00:00"),
            ("0 0 1 */3 *", "At 00:00, on day 1, in January, April, July and October"),
            ("0 0 1 JUN-AUG *", "At 00:00, on day 1, June to August"),
        ] {
            assert_eq!(Cron::parse(text).unwrap().meaning(), meaning, "{text}");
        }
    }
}
