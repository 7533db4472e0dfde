//! Parses the text of a window strictly (rulings 8). An error names the part that is wrong and suggests what to write.
//!
//! ```text
//! rule = ("sleep"|"awake") SP part *(";" part)
//! part = [days SP] hhmm "-" hhmm | day SP hhmm SP? "-" SP? day SP hhmm
//! days = item *("," item)     item = day ["-" day]     day = Mon … Sun     hhmm = 00:00 … 24:00
//! ```

use jiff::civil::Weekday;

use super::{DAY, Days, Part, Phase, WEEK, Window};

/// The longest window text, in bytes.
pub const MAX_TEXT: usize = 512;
/// The most parts of one window.
pub const MAX_PARTS: usize = 64;

/// The error of a window text: one sentence that says what to do, without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WindowError(pub(super) String);

impl Window {
    /// Parses the text of a window.
    ///
    /// # Errors
    /// [`WindowError`] with the first error; if the text has several parts, the message names the part.
    ///
    /// ```
    /// use docknap::domain::window::Window;
    /// let window = Window::parse("sleep Mon-Fri 23:00-07:00; Sat 00:00-24:00")?;
    /// assert_eq!(window.to_string(), "sleep Mon-Fri 23:00-07:00; Sat 00:00-24:00");
    /// # Ok::<(), docknap::domain::window::WindowError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, WindowError> {
        if text.len() > MAX_TEXT {
            return Err(WindowError(format!("at most {MAX_TEXT} characters, and this has {}", text.len())));
        }
        if let Some(odd) = text.chars().find(|c| !(c.is_ascii_graphic() || *c == ' ')) {
            return Err(WindowError(format!(
                "`{}` has no place here; write it like `sleep Mon-Fri 23:00-07:00`",
                odd.escape_default()
            )));
        }
        let text = text.trim();
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let names = match word.to_ascii_lowercase().as_str() {
            "sleep" => Phase::Asleep,
            "awake" => Phase::Awake,
            "" => {
                return Err(WindowError("write when it sleeps, like `sleep Mon-Fri 23:00-07:00`".to_owned()));
            }
            _ => {
                return Err(WindowError(format!(
                    "begin with `sleep` or `awake`, not `{word}`: like `sleep Mon-Fri 23:00-07:00`"
                )));
            }
        };
        let texts: Vec<&str> = rest.split(';').map(str::trim).collect();
        if texts.len() > MAX_PARTS {
            return Err(WindowError(format!("at most {MAX_PARTS} parts, and this has {}", texts.len())));
        }
        let parts = texts.iter().enumerate().map(|(index, text)| part(text, index, texts.len()));
        Ok(Self { names, parts: parts.collect::<Result<_, _>>()? })
    }
}

/// Parses one part. `index` counts from 0; the error message contains it if `count` is more than 1.
fn part(text: &str, index: usize, count: usize) -> Result<Part, WindowError> {
    let place = if count > 1 { format!("part {} (`{text}`): ", index + 1) } else { String::new() };
    if text.is_empty() {
        let hint = "it is empty; write a time like `23:00-07:00`, or take the `;` away";
        let place = if count > 1 { format!("part {}: ", index + 1) } else { String::new() };
        return Err(WindowError(format!("{place}{hint}")));
    }
    Reader { rest: text }.part().map_err(|message| WindowError(format!("{place}{message}")))
}

/// A parser of one part.
struct Reader<'a> {
    /// The text that is not parsed yet.
    rest: &'a str,
}

impl Reader<'_> {
    fn part(mut self) -> Result<Part, String> {
        let days = if self.starts_with_word() { Some(self.days()?) } else { None };
        if days.is_some() && !self.skip_spaces() {
            return Err("a time is missing after the days, like `Mon-Fri 23:00-07:00`".to_owned());
        }
        let start = self.time()?;
        if start == DAY {
            return Err("24:00 can only be an end; a start at midnight is 00:00".to_owned());
        }
        self.skip_spaces();
        if !self.eat('-') {
            return Err(self.unexpected("`-` and an end, like `23:00-07:00`"));
        }
        self.skip_spaces();
        let part = if self.starts_with_word() {
            let last = self.day()?;
            if !self.skip_spaces() {
                return Err(self.unexpected("a time after the end's day, like `Fri 20:00 - Mon 06:00`"));
            }
            let end = self.time()?;
            let Some((first, true)) = days else {
                let hint = if days.is_none() { "a day before the start too" } else { "one day at the start" };
                return Err(format!("an end with a day needs {hint}, like `Fri 20:00 - Mon 06:00`"));
            };
            let first = first.runs().first().map_or(last, |(first, _)| *first);
            let length = (minute_of_week(last, end) - minute_of_week(first, start)).rem_euclid(WEEK);
            Part { days: Days::only(first), start, length: if length == 0 { WEEK } else { length } }
        } else {
            let end = self.time()?;
            let length = if end > start { end - start } else { end + DAY - start };
            Part { days: days.map_or(Days::ALL, |(days, _)| days), start, length }
        };
        if self.rest.is_empty() { Ok(part) } else { Err(self.unexpected("`;` before the next part")) }
    }

    /// Parses days. The flag is set if the text is one day alone, which a part with an end day requires.
    fn days(&mut self) -> Result<(Days, bool), String> {
        let mut days = Days::default();
        let mut alone = true;
        loop {
            let first = self.day()?;
            let mut item = Days::only(first);
            if self.eat('-') {
                item = Days::from_to(first, self.day()?);
                alone = false;
            }
            days = days.with(item);
            if !self.eat(',') {
                return Ok((days, alone));
            }
            alone = false;
        }
    }

    fn day(&mut self) -> Result<Weekday, String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let day = match word.to_ascii_lowercase().as_str() {
            "mon" => Weekday::Monday,
            "tue" => Weekday::Tuesday,
            "wed" => Weekday::Wednesday,
            "thu" => Weekday::Thursday,
            "fri" => Weekday::Friday,
            "sat" => Weekday::Saturday,
            "sun" => Weekday::Sunday,
            "" => return Err(self.unexpected("a day: Mon Tue Wed Thu Fri Sat or Sun")),
            _ => return Err(format!("`{word}` is no day; write Mon Tue Wed Thu Fri Sat or Sun")),
        };
        self.rest = rest;
        Ok(day)
    }

    /// Parses a time as the minute of the day, 0 … 1440.
    fn time(&mut self) -> Result<i16, String> {
        let end = self.rest.find(|c: char| !(c.is_ascii_digit() || c == ':')).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        if text.is_empty() {
            return Err(self.unexpected("a time like 23:00"));
        }
        let wrong = || format!("`{text}` is no time; write two digits, a colon and two digits, like 07:30");
        let [a, b, b':', c, d] = text.as_bytes() else { return Err(wrong()) };
        if text.matches(':').count() != 1 {
            return Err(wrong());
        }
        let number = |tens: u8, ones: u8| i16::from(tens - b'0') * 10 + i16::from(ones - b'0');
        let (hour, minute) = (number(*a, *b), number(*c, *d));
        if minute > 59 || hour > 24 || (hour == 24 && minute > 0) {
            return Err(format!("`{text}` is no time of a day; use 00:00 to 23:59, or 24:00 as an end"));
        }
        self.rest = rest;
        Ok(hour * 60 + minute)
    }

    fn starts_with_word(&self) -> bool {
        self.rest.starts_with(|c: char| c.is_ascii_alphabetic())
    }

    fn eat(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Skips spaces; returns whether there was at least one.
    fn skip_spaces(&mut self) -> bool {
        let rest = self.rest.trim_start_matches(' ');
        let some = rest.len() < self.rest.len();
        self.rest = rest;
        some
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.rest.split(' ').next().unwrap_or_default() {
            "" => format!("it ends too early; it needs {wanted}"),
            odd => format!("`{odd}` is not understood here; it needs {wanted}"),
        }
    }
}

fn minute_of_week(day: Weekday, minute: i16) -> i16 {
    i16::from(day.to_monday_zero_offset()) * DAY + minute
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str) -> Vec<Part> {
        Window::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).parts
    }

    fn error(text: &str) -> String {
        Window::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn days_and_times_become_parts() {
        let part = |days, start, length| Part { days, start, length };
        let weekdays = Days::from_to(Weekday::Monday, Weekday::Friday);
        assert_eq!(parts("sleep Mon-Fri 23:00-07:00"), [part(weekdays, 1380, 480)]);
        assert_eq!(parts("sleep 00:00-24:00"), [part(Days::ALL, 0, 1440)]);
        assert_eq!(parts("sleep 08:00-08:00"), [part(Days::ALL, 480, 1440)]);
        assert_eq!(parts("awake sat,SUN 10:00-24:00").len(), 1);
        assert_eq!(parts("sleep Sat 00:00-24:00"), [part(Days::only(Weekday::Saturday), 0, 1440)]);
        let weekend = parts("sleep Fri 20:00 - Mon 06:00");
        assert_eq!(weekend, [part(Days::only(Weekday::Friday), 1200, 4 * 60 + 2 * 1440 + 360)]);
        assert_eq!(weekend, parts("sleep Fri 20:00-Mon 06:00"));
        assert_eq!(parts("sleep Mon 08:00 - Mon 08:00")[0].length, WEEK);
        assert_eq!(parts("sleep Mon 00:00 - Sun 24:00")[0].length, WEEK);
        assert_eq!(
            parts("sleep Fri-Mon 01:00-02:00")[0].days,
            Days::from_to(Weekday::Friday, Weekday::Monday)
        );
        assert_eq!(parts("sleep 01:00-02:00 ;02:00-03:00;  Mon 04:00-05:00").len(), 3);
    }

    #[test]
    fn text_is_written_back_in_one_form() {
        for (text, normal) in [
            ("  SLEEP mon,tue,wed 23:00-07:00 ", "sleep Mon-Wed 23:00-07:00"),
            ("sleep Mon-Sun 01:00-02:00", "sleep 01:00-02:00"),
            ("sleep Fri,Mon,Sat,Sun 01:00-00:00", "sleep Fri-Mon 01:00-24:00"),
            ("sleep Mon 20:00 - Tue 06:00", "sleep Mon 20:00-06:00"),
            ("awake Fri 20:00-Mon 24:00;Wed 01:00-02:00", "awake Fri 20:00 - Mon 24:00; Wed 01:00-02:00"),
            ("sleep Mon 08:00 - Mon 08:00", "sleep Mon 08:00 - Mon 08:00"),
        ] {
            let window = Window::parse(text).expect(text);
            assert_eq!(window.to_string(), normal);
            assert_eq!(Window::parse(normal).as_ref(), Ok(&window), "{normal}");
        }
    }

    #[test]
    fn a_long_text_is_written_so_that_it_is_read_again() {
        for (begin, part) in [("sleep ", "00:00-00:10"), ("awake ", "Fri 20:00-Mon 06:00")] {
            let text =
                format!("{begin}{}", vec![part; (MAX_TEXT - begin.len() + 1) / (part.len() + 1)].join(";"));
            assert!(text.len() <= MAX_TEXT && text.len() > MAX_TEXT - 20, "{}", text.len());
            let window = Window::parse(&text).expect("it is short enough");
            assert_eq!(Window::parse(&window.to_string()), Ok(window));
        }
    }

    #[test]
    fn an_error_names_the_fault() {
        for (text, words) in [
            ("", "write when it sleeps"),
            ("nap 23:00-07:00", "begin with `sleep` or `awake`"),
            ("sleep", "it is empty"),
            ("sleep 23:00-07:00;", "part 2: it is empty"),
            ("sleep ;23:00-07:00", "part 1: it is empty"),
            ("sleep 24:00-07:00", "24:00 can only be an end"),
            ("sleep 25:00-07:00", "no time of a day"),
            ("sleep 23:60-07:00", "no time of a day"),
            ("sleep 24:01-07:00", "no time of a day"),
            ("sleep 7:00-08:00", "two digits"),
            ("sleep 23:00:00-07:00", "two digits"),
            ("sleep 23:00", "ends too early"),
            ("sleep 23:00-", "ends too early"),
            ("sleep Mon-Fri", "a time is missing"),
            ("sleep Monday 23:00-07:00", "`Monday` is no day"),
            ("sleep Mon, 23:00-07:00", "a day"),
            ("sleep Mon-Fri 23:00 - Sat 07:00", "one day at the start"),
            ("sleep 23:00 - Sat 07:00", "a day before the start"),
            ("sleep 23:00-07:00 08:00-09:00", "`;` before the next part"),
            ("sleep Sat 25:00-26:00; Sun 01:00-02:00", "part 1 (`Sat 25:00-26:00`)"),
            ("sleep 23:00–07:00", "has no place here"),
            ("sleep\t23:00-07:00", "has no place here"),
        ] {
            let message = error(text);
            assert!(message.contains(words), "{text}: {message}");
        }
        assert!(error(&format!("sleep {}", "01:00-02:00;".repeat(64))).contains("characters"));
        assert!(error(&format!("sleep {}", ";".repeat(64))).contains("at most 64 parts"));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_read_is_read_again(text in "(sleep |awake )?[MonTuesatFri0-9:;, -]{0,40}") {
            if let Ok(window) = Window::parse(&text) {
                prop_assert_eq!(Window::parse(&window.to_string()), Ok(window));
            }
        }
    }
}
