//! Writes windows as text: the normalised form that [`Window::parse`] parses, and a description in English.

use std::fmt;

use jiff::civil::Weekday;

use super::{DAY, MAX_TEXT, Part, Phase, Window};
use crate::domain::days::{Days, long, short};

/// The normalised text, which [`Window::parse`] parses to the same window.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = match self.names {
            Phase::Asleep => "sleep",
            Phase::Awake => "awake",
        };
        let parts = self.parts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let text = format!("{names} {}", parts.join("; "));
        if text.len() <= MAX_TEXT {
            return f.write_str(&text);
        }
        // The stored text must parse again, so it must not be longer than `MAX_TEXT`. Without optional spaces the text
        // is at most as long as the user's input.
        write!(f, "{names} {}", parts.join(";").replace(" - ", "-"))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != Days::ALL {
            write!(f, "{} ", self.days)?;
        }
        let end = Clock(self.end_minute());
        match self.end_day() {
            None => write!(f, "{}-{end}", Clock(self.start)),
            Some(day) => write!(f, "{} - {} {end}", Clock(self.start), short(day)),
        }
    }
}

impl Part {
    /// The minute of the day at which the part ends, 1 … 1440.
    pub fn end_minute(self) -> i16 {
        match (self.start + self.length) % DAY {
            0 => DAY,
            minute => minute,
        }
    }

    /// The day on which the part ends, if the part is longer than a day. An end at 24:00 belongs to the day that ends.
    pub fn end_day(self) -> Option<Weekday> {
        let (first, _) = *self.days.runs().first()?;
        let days = (self.start + self.length - 1) / DAY;
        (self.length > DAY).then(|| first.wrapping_add(i64::from(days)))
    }
}

/// Displays a minute of the day as `HH:MM`.
pub struct Clock(pub i16);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Window {
    /// A description in English: "Asleep Monday to Friday from 23:00 to 07:00 the next day, and all Saturday".
    pub fn meaning(&self) -> String {
        let mut parts: Vec<String> = self.parts.iter().map(|part| part.meaning()).collect();
        let last = parts.pop().unwrap_or_default();
        let listed = if parts.is_empty() { last } else { format!("{}, and {last}", parts.join(", ")) };
        match self.names {
            Phase::Asleep => format!("Asleep {listed}"),
            Phase::Awake => format!("Awake {listed}; asleep the rest of the time"),
        }
    }
}

impl Part {
    fn meaning(self) -> String {
        if self.days == Days::ALL && self.length == DAY {
            return "all the time".to_owned();
        }
        if self.start == 0 && self.length == DAY {
            return format!("all {}", self.days.meaning());
        }
        let on = if self.days == Days::ALL { "every day".to_owned() } else { self.days.meaning() };
        let (start, end) = (Clock(self.start), Clock(self.end_minute()));
        match self.end_day() {
            Some(day) => format!("from {on} {start} to {} {end}", long(day)),
            None if self.start + self.length > DAY => format!("{on} from {start} to {end} the next day"),
            None => format!("{on} from {start} to {end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meaning_is_plain_english() {
        for (text, meaning) in [
            (
                "sleep Mon-Fri 23:00-07:00; Sat 00:00-24:00",
                "Asleep Monday to Friday from 23:00 to 07:00 the next day, and all Saturday",
            ),
            (
                "awake Mon-Fri 07:30-20:00",
                "Awake Monday to Friday from 07:30 to 20:00; asleep the rest of the time",
            ),
            ("sleep Fri 20:00 - Mon 06:00", "Asleep from Friday 20:00 to Monday 06:00"),
            ("sleep 23:00-07:00", "Asleep every day from 23:00 to 07:00 the next day"),
            ("sleep Sat,Sun 01:00-24:00", "Asleep Saturday and Sunday from 01:00 to 24:00"),
            ("sleep 00:00-24:00", "Asleep all the time"),
            ("sleep Mon,Wed,Fri 00:00-24:00", "Asleep all Monday, Wednesday and Friday"),
        ] {
            assert_eq!(Window::parse(text).expect(text).meaning(), meaning);
        }
    }
}
