//! Instants as text, in the time zone and format of the reader.

use std::fmt::Write as _;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};

use crate::domain::user::{ClockFace, Habits};

/// The instant at which a page is rendered, with the reader's time zone and formats. Every [`When`] is made from it.
#[derive(Clone, Debug)]
pub struct Now {
    pub at: Timestamp,
    /// The reader's time zone.
    pub zone: TimeZone,
    /// The reader's formats of times and weeks.
    pub habits: Habits,
}

impl Default for Now {
    fn default() -> Self {
        Self { at: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC, habits: Habits::default() }
    }
}

impl Now {
    /// For tests: Friday 27 November 2026, 20:12 in Berlin.
    #[cfg(test)]
    #[expect(clippy::missing_panics_doc, reason = "a test may panic")]
    pub fn sample() -> Self {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        Self { at: "2026-11-27T20:12:00+01:00".parse().expect("an instant"), zone, habits: Habits::default() }
    }

    /// The time of day in the reader's clock format: `23:00`, `11:00 pm`.
    pub fn clock(&self, at: &Zoned) -> String {
        self.format(at, "%H:%M")
    }

    /// An instant formatted by a `strftime` pattern, whose times (`%H:%M`, also with `:%S`) are replaced by the
    /// reader's clock format.
    pub fn format(&self, at: &Zoned, form: &str) -> String {
        match self.habits.clock {
            ClockFace::H24 => at.strftime(form).to_string(),
            ClockFace::H12 => {
                let form = form.replace("%H:%M:%S", "%-I:%M:%S\u{a0}%P").replace("%H:%M", "%-I:%M\u{a0}%P");
                at.strftime(&form).to_string()
            }
        }
    }

    /// A sentence with its times of day in the reader's clock format.
    pub fn words(&self, sentence: &str) -> String {
        clocked(sentence, self.habits.clock)
    }

    /// An instant in each text form.
    pub fn when(&self, at: Timestamp) -> When {
        When::new(at, self)
    }

    /// An instant this many seconds from now.
    #[cfg(test)]
    pub fn plus(&self, seconds: i64) -> When {
        self.when(self.at.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(self.at))
    }

    /// Today's date in the reader's time zone.
    pub fn today(&self) -> Date {
        self.at.to_zoned(self.zone.clone()).date()
    }

    /// The first instant of the reader's day that is this many days from today. Two such instants are 23 to 25 hours
    /// apart.
    pub fn midnight(&self, days: i64) -> Timestamp {
        let today = self.at.to_zoned(self.zone.clone());
        let day = today.checked_add(days.days()).and_then(|day| day.start_of_day());
        day.map_or(self.at, |day| day.timestamp())
    }

    /// The day of an instant in words: `Today`, `Yesterday`, `Wednesday 25 November 2026`.
    pub fn day(&self, at: Timestamp) -> String {
        let (day, today) = (at.to_zoned(self.zone.clone()).date(), self.today());
        let ago = today.since(day).map_or(i32::MAX, |span| span.get_days());
        match ago {
            0 => "Today".to_owned(),
            1 => "Yesterday".to_owned(),
            _ => day.strftime("%A %-d %B %Y").to_string(),
        }
    }
}

/// An instant in the text forms that pages need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// RFC 3339 in UTC, whole seconds, for `<time datetime>`.
    pub iso: String,
    /// In full with its zone, for the title: `Friday 27 November 2026, 23:00:00 CET (Europe/Berlin)`.
    pub exact: String,
    /// The time between now and the instant: `in 3 h`, `5 min ago`.
    pub relative: String,
    /// The time of day: `23:00`.
    pub clock: String,
    /// The shortest unambiguous form: `23:00`, `23:00 Sat`, `3 Dec 23:00`, `3 Dec 2027 23:00`.
    pub short: String,
}

impl When {
    /// Formats an instant.
    pub fn new(at: Timestamp, now: &Now) -> Self {
        let local = at.to_zoned(now.zone.clone());
        let here = now.at.to_zoned(now.zone.clone());
        let zone = now.zone.iana_name().unwrap_or("UTC");
        Self {
            iso: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            exact: format!("{} ({zone})", now.format(&local, "%A %-d %B %Y, %H:%M:%S %Z")),
            relative: relative(at.as_second() - now.at.as_second()),
            clock: now.clock(&local),
            short: short(&local, &here, now),
        }
    }
}

fn short(local: &Zoned, here: &Zoned, now: &Now) -> String {
    let days = local.date().since(here.date()).map_or(i32::MAX, |span| span.get_days());
    let form = match days {
        0 => "%H:%M",
        -6..=6 => "%H:%M %a",
        _ if local.year() == here.year() => "%-d %b %H:%M",
        _ => "%-d %b %Y %H:%M",
    };
    now.format(local, form)
}

/// A sentence with its times of day rewritten to a clock format: `Asleep 23:00–07:00` becomes `Asleep 11:00 pm–7:00
/// am`. Digits that are not a time of day stay: `1:30`, `12:30:15`, a zone's `+02:00`, a quoted “name 23:00”.
pub fn clocked(sentence: &str, face: ClockFace) -> String {
    if face == ClockFace::H24 {
        return sentence.to_owned();
    }
    let bytes = sentence.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut rewritten = String::with_capacity(sentence.len() + 16);
    let mut copied = 0;
    let mut at = 0;
    while at + 5 <= bytes.len() {
        if let Some(quoted) = sentence.get(at..).filter(|rest| rest.starts_with('“')) {
            at += quoted.find('”').unwrap_or('“'.len_utf8());
            continue;
        }
        let alone = at.checked_sub(1).is_none_or(|before| {
            let before = bytes[before];
            !before.is_ascii_alphanumeric() && !matches!(before, b':' | b'+' | b'.' | b'_')
        });
        let is_time = alone
            && digit(at)
            && digit(at + 1)
            && bytes[at + 2] == b':'
            && digit(at + 3)
            && digit(at + 4)
            && !digit(at + 5)
            && !(bytes.get(at + 5) == Some(&b':') && digit(at + 6));
        let hour = sentence.get(at..at + 2).and_then(|text| text.parse::<u8>().ok()).filter(|_| is_time);
        let Some(hour) = hour.filter(|hour| *hour <= 24) else {
            at += 1;
            continue;
        };
        let (shown, half) =
            (if hour % 12 == 0 { 12 } else { hour % 12 }, if hour % 24 < 12 { "am" } else { "pm" });
        rewritten.push_str(&sentence[copied..at]);
        let _ = write!(rewritten, "{shown}{}\u{a0}{half}", &sentence[at + 2..at + 5]);
        at += 5;
        copied = at;
    }
    rewritten.push_str(&sentence[copied..]);
    rewritten
}

/// A number of seconds from now in words, rounded to the unit that fits.
fn relative(seconds: i64) -> String {
    let far = seconds.unsigned_abs();
    let amount = match far {
        0..5 => return if seconds > 0 { "in a moment" } else { "just now" }.to_owned(),
        5..60 => format!("{far} s"),
        60..3570 => format!("{} min", (far + 30) / 60),
        3570..84_600 => format!("{} h", (far + 1800) / 3600),
        _ => match (far + 43_200) / 86_400 {
            1 => "1 day".to_owned(),
            days @ 2..60 => format!("{days} days"),
            days @ 60..700 => format!("{} months", (days + 15) / 30),
            days => format!("{} years", (days + 180) / 365),
        },
    };
    if seconds > 0 { format!("in {amount}") } else { format!("{amount} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_formatted_relative_to_now() {
        let now = Now::sample();
        let tonight = now.plus(2 * 3600 + 48 * 60);
        assert_eq!(tonight.iso, "2026-11-27T22:00:00Z");
        assert_eq!(tonight.exact, "Friday 27 November 2026, 23:00:00 CET (Europe/Berlin)");
        assert_eq!((tonight.relative.as_str(), tonight.short.as_str()), ("in 3 h", "23:00"));
        assert_eq!(now.plus(-310).relative, "5 min ago");
        assert_eq!(now.plus(86_400).short, "20:12 Sat");
        assert_eq!(now.plus(20 * 86_400).short, "17 Dec 20:12");
        assert_eq!(now.plus(60 * 86_400).short, "26 Jan 2027 20:12");
        assert_eq!(now.plus(-2).relative, "just now");
        assert_eq!(now.plus(86_400).relative, "in 1 day");
    }

    #[test]
    fn times_have_the_clock_format_of_the_reader() {
        let habits = Habits { clock: ClockFace::H12, ..Habits::default() };
        let now = Now { habits, ..Now::sample() };
        let tonight = now.plus(2 * 3600 + 48 * 60);
        assert_eq!(tonight.iso, "2026-11-27T22:00:00Z", "machines read what they always read");
        assert_eq!(tonight.exact, "Friday 27 November 2026, 11:00:00\u{a0}pm CET (Europe/Berlin)");
        assert_eq!((tonight.clock.as_str(), tonight.short.as_str()), ("11:00\u{a0}pm", "11:00\u{a0}pm"));
        assert_eq!(now.plus(86_400).short, "8:12\u{a0}pm Sat");
        assert_eq!(now.plus(20 * 86_400).short, "17 Dec 8:12\u{a0}pm");
    }

    #[test]
    fn times_in_sentences_have_the_clock_format_of_the_reader() {
        let twelve_hours = |text: &str| clocked(text, ClockFace::H12).replace('\u{a0}', " ");
        assert_eq!(twelve_hours("Asleep Mon–Fri 23:00–07:30"), "Asleep Mon–Fri 11:00 pm–7:30 am");
        assert_eq!(
            twelve_hours("At 00:00 and 12:05, until 24:00"),
            "At 12:00 am and 12:05 pm, until 12:00 am"
        );
        assert_eq!(twelve_hours("Fri 23:00: 1 change"), "Fri 11:00 pm: 1 change");
        assert_eq!(twelve_hours("started 07:30 today by “Nights”"), "started 7:30 am today by “Nights”");
        for other in [
            "1:30",
            "12:30:15",
            "UTC+02:00",
            "sha256:10:11x",
            "99:00",
            "é:00",
            "23:0",
            "“Nap 23:00”",
            "“",
            "",
        ] {
            assert_eq!(twelve_hours(other), other);
        }
        assert_eq!(clocked("At 23:00", ClockFace::H24), "At 23:00");
    }

    #[test]
    fn days_are_named_from_today() {
        let now = Now::sample();
        assert_eq!(now.day(now.at), "Today");
        assert_eq!(now.day(now.at - jiff::SignedDuration::from_hours(24)), "Yesterday");
        assert_eq!(now.day(now.at - jiff::SignedDuration::from_hours(48)), "Wednesday 25 November 2026");
    }
}
