//! `docknap explain`: prints the meaning of a cron expression and its next fires, or the meaning of window text and its
//! next changes, without a settings file, a database or Docker.
//!
//! Bad input ends with exit code 2 and one line on stderr, `error: FIELD: message`, and prints nothing on stdout
//! (rulings: explain). For that reason every value is accepted as text and parsed here: errors of the argument parser
//! name an option instead of a field and have several lines.

use std::fmt::Display;
use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::domain::cron::Cron;
use crate::domain::day_rules::HORIZON_YEARS;
use crate::domain::day_rules::{EveryWeeks, Nth, Reading};
use crate::domain::fires::Fires;
use crate::domain::time::{self, zone_name};
use crate::domain::window::{Phase, Window, WindowTimeline};

/// Exit code for bad input.
const USAGE: u8 = 2;

/// Range in days in which clock changes are noted: it contains both changes of a year, from any date on.
const NOTES_DAYS: u32 = 366;

/// Arguments of `docknap explain`.
#[derive(Clone, Debug, clap::Args)]
#[command(about = "Say what a cron expression or window text means, and list what comes")]
pub struct ExplainArgs {
    /// Cron expression, @word, or window text such as "sleep Mon-Fri 23:00-07:00", in quotes; after `--` where it
    /// begins with `-`
    #[arg(value_name = "EXPR", required = true)]
    pub expr: Vec<String>,
    /// IANA time zone [default: TZ, else UTC]
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub timezone: Option<String>,
    /// Act every N weeks only, 2 to 52; needs --anchor
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub every_weeks: Option<String>,
    /// Any date of one of these weeks, such as 2026-11-30
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub anchor: Option<String>,
    /// Act on these of the like weekdays of a month only, 1 to 5, -1 for the last, such as 1,-1
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub nth: Option<String>,
    /// List what comes strictly after this instant [default: now]
    #[arg(long, value_name = "RFC3339", allow_hyphen_values = true)]
    pub after: Option<String>,
    /// How many instants to list, 1 to 1000
    #[arg(long, value_name = "N", default_value = "10", allow_hyphen_values = true)]
    pub count: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Writes the result to `out` or an error to `err`, and returns the exit code. `now` is the default of `--after`, and
/// `env_zone` (the value of `TZ`) that of `--timezone`.
pub fn run(
    args: &ExplainArgs,
    now: Timestamp,
    env_zone: Option<&str>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let answer = match Answer::new(args, now, env_zone) {
        Ok(answer) => answer,
        Err(fault) => {
            // A write error is ignored, since stderr itself is closed.
            let _ = writeln!(err, "error: {}: {}", fault.field, fault.message);
            return USAGE;
        }
    };
    let written = if args.json { answer.write_json(out) } else { answer.write_text(out) };
    match written.and_then(|()| out.flush()) {
        // A closed pipe, as in `docknap explain … | head -1`, is not a failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(err, "error: the answer cannot be written: {error}");
            1
        }
        _ => 0,
    }
}

/// Error in an argument: name of the field, and a message of one line.
struct Fault {
    field: &'static str,
    message: String,
}

impl Fault {
    fn new(field: &'static str, message: impl Display) -> Self {
        Self { field, message: message.to_string() }
    }
}

struct Answer<'a> {
    input: &'a str,
    fires: Fires,
    zone: TimeZone,
    after: Timestamp,
    count: usize,
}

/// Shape of `--json` for a cron expression (interfaces: commands). Instants are RFC 3339, UTC, whole seconds.
#[derive(Serialize)]
struct CronJson<'a> {
    input: &'a str,
    kind: &'static str,
    timezone: &'a str,
    meaning: String,
    next: Vec<String>,
}

/// Shape of `--json` for window text (rulings 9).
#[derive(Serialize)]
struct WindowJson<'a> {
    input: &'a str,
    kind: &'static str,
    timezone: &'a str,
    meaning: String,
    /// State at `--after`.
    state: Phase,
    transitions: Vec<TransitionJson>,
}

#[derive(Serialize)]
struct TransitionJson {
    at: String,
    state: Phase,
}

/// Parses an expression or window text.
fn parse(input: &str, reading: Reading) -> Result<Fires, Fault> {
    let first = input.split_ascii_whitespace().next().unwrap_or_default();
    if first.eq_ignore_ascii_case("sleep") || first.eq_ignore_ascii_case("awake") {
        let window = Window::parse(input).map_err(|error| Fault::new("window", error))?;
        return Ok(Fires::Window(window, reading, None));
    }
    let cron = Cron::parse(input).map_err(|error| Fault::new(error.field.as_str(), error))?;
    Ok(Fires::Cron(cron, reading))
}

impl<'a> Answer<'a> {
    fn new(args: &'a ExplainArgs, now: Timestamp, env_zone: Option<&str>) -> Result<Self, Fault> {
        let [input] = args.expr.as_slice() else {
            let message =
                format!("{} words given, one is read; put the expression in quotes", args.expr.len());
            return Err(Fault::new("expression", message));
        };
        let name = args.timezone.as_deref().or(env_zone.filter(|name| !name.is_empty())).unwrap_or("UTC");
        let zone = time::zone(name).map_err(|error| Fault::new("timezone", error))?;
        let mut reading = Reading::in_zone(zone.clone());
        let mut faults = Vec::new();
        reading.days.every_weeks =
            EveryWeeks::read(args.every_weeks.as_deref(), args.anchor.as_deref(), |field, message| {
                faults.push(Fault::new(field, message));
            });
        if let Some(nth) = &args.nth {
            reading.days.nth = Nth::parse(nth).unwrap_or_else(|message| {
                faults.push(Fault::new("nth", message));
                Nth::ALL
            });
        }
        let fires = parse(input, reading)?;
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault);
        }
        if let Fires::Window(window, reading, _) = &fires
            && window.names == Phase::Awake
            && !reading.days.is_weekly()
        {
            let field = if args.nth.is_some() { "nth" } else { "every_weeks" };
            return Err(Fault::new(field, "this goes with a cron expression or a `sleep` window"));
        }
        let after = match &args.after {
            Some(text) => text.parse().map_err(|_| {
                let example = "write an instant with its offset, such as 2027-01-01T00:00:00Z";
                Fault::new("after", format!("`{}` is not read; {example}", quotable(text)))
            })?,
            None => now,
        };
        let count = args.count.parse::<usize>().ok().filter(|count| (1..=1000).contains(count));
        let count = count.ok_or_else(|| {
            Fault::new("count", format!("`{}` is not a number from 1 to 1000", quotable(&args.count)))
        })?;
        Ok(Self { input, fires, zone, after, count })
    }

    fn next(&self) -> Vec<Timestamp> {
        self.fires.iter(self.after).take(self.count).collect()
    }

    /// The timeline of a window; `None` for a cron expression.
    fn timeline(&self) -> Option<WindowTimeline<'_>> {
        match &self.fires {
            Fires::Window(window, reading, skip) => Some(WindowTimeline::of(window, reading, *skip)),
            Fires::Cron(..) | Fires::Once(_) => None,
        }
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let (input, timezone, meaning) = (self.input, zone_name(&self.zone), self.fires.meaning(&self.zone));
        if let Some(timeline) = self.timeline() {
            let changes = timeline.next_changes(self.after, self.count).into_iter();
            let json = WindowJson {
                input,
                kind: "window",
                timezone,
                meaning,
                state: timeline.vote(self.after).phase(),
                transitions: changes
                    .map(|(at, state)| TransitionJson { at: at.to_string(), state })
                    .collect(),
            };
            serde_json::to_writer(&mut *out, &json)?;
        } else {
            let next = self.next().iter().map(ToString::to_string).collect();
            serde_json::to_writer(&mut *out, &CronJson { input, kind: "cron", timezone, meaning, next })?;
        }
        writeln!(out)
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.fires.meaning(&self.zone))?;
        writeln!(out, "Time zone {}", zone_name(&self.zone))?;
        if matches!(&self.fires, Fires::Cron(cron, _) if cron.both_day_fields()) {
            writeln!(
                out,
                "Note: runs when the day of the month or the day of the week matches, not only when both do"
            )?;
        }
        for note in self.fires.dst_notes(self.after, NOTES_DAYS) {
            writeln!(out, "Note: {note}")?;
        }
        writeln!(out)?;
        match self.timeline() {
            Some(timeline) => self.write_changes(timeline, out),
            None => self.write_fires(out),
        }
    }

    fn write_fires(&self, out: &mut dyn Write) -> io::Result<()> {
        let fires = self.next();
        if fires.is_empty() {
            let limit = format!("at least not within {HORIZON_YEARS} years");
            return writeln!(out, "Never fires in this zone after {}, {limit}", self.after);
        }
        for fire in fires {
            writeln!(out, "{}  {fire}", self.wall(fire))?;
        }
        Ok(())
    }

    fn write_changes(&self, timeline: WindowTimeline<'_>, out: &mut dyn Write) -> io::Result<()> {
        let state = timeline.vote(self.after).phase();
        writeln!(out, "{}  {}  {state} at that time", self.wall(self.after), self.after)?;
        let changes = timeline.next_changes(self.after, self.count);
        if changes.is_empty() {
            return writeln!(out, "It never changes: {state} all the time");
        }
        for (at, state) in changes {
            writeln!(out, "{}  {at}  {state}", self.wall(at))?;
        }
        Ok(())
    }

    /// Formats an instant as local time in the zone.
    fn wall(&self, at: Timestamp) -> impl Display {
        at.to_zoned(self.zone.clone()).strftime("%a %e %b %Y %H:%M %:z").to_string()
    }
}

/// Input as quoted in errors: without control characters, at most 40 characters.
fn quotable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(40).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: ExplainArgs,
    }

    /// Exit code, stdout and stderr, with 2026-12-31 23:30 UTC as the current instant.
    fn explain(words: &[&str], env_zone: Option<&str>) -> (u8, String, String) {
        let program = Program::try_parse_from(["explain"].iter().chain(words)).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let now = "2026-12-31T23:30:00.5Z".parse().unwrap();
        let code = run(&program.args, now, env_zone, &mut out, &mut err);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn refused(words: &[&str], env_zone: Option<&str>) -> String {
        let (code, out, err) = explain(words, env_zone);
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}");
        assert_eq!(err.lines().count(), 1, "{err}");
        err.trim_end().to_owned()
    }

    #[test]
    fn json_is_as_documented() {
        let (code, out, err) = explain(&["0 23 * * *", "--count", "2", "--json"], None);
        assert_eq!((code, err.as_str()), (0, ""));
        assert_eq!(
            out,
            "{\"input\":\"0 23 * * *\",\"kind\":\"cron\",\"timezone\":\"UTC\",\"meaning\":\"At 23:00\",\
             \"next\":[\"2027-01-01T23:00:00Z\",\"2027-01-02T23:00:00Z\"]}\n"
        );
        let (_, out, _) = explain(&["@hourly", "--json"], Some("europe/berlin"));
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(json["timezone"], "Europe/Berlin");
        assert_eq!(json["next"].as_array().unwrap().len(), 10);
    }

    #[test]
    fn after_is_exclusive_and_takes_any_offset() {
        let next = |after: &str| {
            let (code, out, err) = explain(&["0 23 * * *", "--count=1", "--json", "--after", after], None);
            assert_eq!(code, 0, "{err}");
            serde_json::from_str::<serde_json::Value>(&out).unwrap()["next"][0].as_str().unwrap().to_owned()
        };
        assert_eq!(next("2027-01-01T23:00:00Z"), "2027-01-02T23:00:00Z");
        assert_eq!(next("2027-01-02T00:59:59+02:00"), "2027-01-01T23:00:00Z");
        assert_eq!(next("2027-01-01T22:59:59.999Z"), "2027-01-01T23:00:00Z");
    }

    #[test]
    fn text_shows_meaning_zone_and_both_clocks() {
        let words =
            ["30 2 * * *", "--timezone", "Europe/Berlin", "--after", "2027-03-27T00:00:00Z", "--count", "3"];
        let (code, out, err) = explain(&words, Some("UTC"));
        assert_eq!((code, err.as_str()), (0, ""));
        assert_eq!(
            out,
            "At 02:30\n\
             Time zone Europe/Berlin\n\
             Note: 28 Mar 2027 02:30 does not exist in Europe/Berlin: runs 03:00\n\
             Note: 31 Oct 2027 02:30 happens twice in Europe/Berlin: runs the first time only\n\
             Note: 26 Mar 2028 02:30 does not exist in Europe/Berlin: runs 03:00\n\
             \n\
             Sat 27 Mar 2027 02:30 +01:00  2027-03-27T01:30:00Z\n\
             Sun 28 Mar 2027 03:00 +02:00  2027-03-28T01:00:00Z\n\
             Mon 29 Mar 2027 02:30 +02:00  2027-03-29T00:30:00Z\n"
        );
        let (_, out, _) = explain(&["0 0 1 * 1", "--count", "1"], None);
        assert!(out.contains("on day 1 or Monday\n") && out.contains("not only when both do"), "{out}");
    }

    #[test]
    fn an_expression_whose_times_the_zone_skips_has_no_next() {
        let zone = ["--timezone", "Europe/Berlin"];
        let (code, out, _) = explain(&["*/30 2 25-31 3 */7", "--json", zone[0], zone[1]], None);
        assert_eq!(code, 0);
        assert!(out.ends_with("\"next\":[]}\n"), "{out}");
        let (code, out, _) = explain(&["*/30 2 25-31 3 */7", zone[0], zone[1]], None);
        assert_eq!(code, 0);
        assert!(out.contains("Never fires in this zone"), "{out}");
    }

    #[test]
    fn window_json_has_the_state_and_real_changes_only() {
        let words = ["sleep Mon-Fri 23:00-07:00; Sat 00:00-24:00", "--count", "3", "--json"];
        let (code, out, err) = explain(&words, Some("Europe/Berlin"));
        assert_eq!((code, err.as_str()), (0, ""));
        // It is Friday 00:30 in Berlin. The sleep from Friday 23:00 and that of Saturday merge.
        assert_eq!(
            out,
            "{\"input\":\"sleep Mon-Fri 23:00-07:00; Sat 00:00-24:00\",\"kind\":\"window\",\
             \"timezone\":\"Europe/Berlin\",\"meaning\":\"Asleep Monday to Friday from 23:00 to 07:00 the next \
             day, and all Saturday\",\"state\":\"asleep\",\"transitions\":[\
             {\"at\":\"2027-01-01T06:00:00Z\",\"state\":\"awake\"},\
             {\"at\":\"2027-01-01T22:00:00Z\",\"state\":\"asleep\"},\
             {\"at\":\"2027-01-02T23:00:00Z\",\"state\":\"awake\"}]}\n"
        );
        for (text, state) in [("sleep 00:00-24:00", "asleep"), ("awake Mon 08:00 - Mon 08:00", "awake")] {
            let (code, out, _) = explain(&[text, "--json"], None);
            assert_eq!(code, 0);
            assert!(out.ends_with(&format!("\"state\":\"{state}\",\"transitions\":[]}}\n")), "{out}");
        }
    }

    #[test]
    fn window_after_is_exclusive_and_the_state_is_the_one_at_it() {
        let (_, out, _) =
            explain(&["sleep 23:00-07:00", "--json", "--count=1", "--after", "2027-01-01T23:00:00Z"], None);
        assert!(
            out.ends_with("\"state\":\"asleep\",\"transitions\":[{\"at\":\"2027-01-02T07:00:00Z\",\"state\":\"awake\"}]}\n"),
            "{out}"
        );
    }

    #[test]
    fn window_text_shows_meaning_clock_changes_and_both_clocks() {
        let words = [
            "SLEEP 22:00-06:00",
            "--timezone",
            "Europe/Berlin",
            "--after",
            "2027-03-27T12:00:00Z",
            "--count",
            "2",
        ];
        let (code, out, err) = explain(&words, None);
        assert_eq!((code, err.as_str()), (0, ""));
        assert_eq!(
            out,
            "Asleep every day from 22:00 to 06:00 the next day\n\
             Time zone Europe/Berlin\n\
             Note: the sleep from 27 Mar 2027 22:00 lasts 7 h, not 8 h: the clocks of Europe/Berlin go forward\n\
             Note: the sleep from 30 Oct 2027 22:00 lasts 9 h, not 8 h: the clocks of Europe/Berlin go back\n\
             Note: the sleep from 25 Mar 2028 22:00 lasts 7 h, not 8 h: the clocks of Europe/Berlin go forward\n\
             \n\
             Sat 27 Mar 2027 13:00 +01:00  2027-03-27T12:00:00Z  awake at that time\n\
             Sat 27 Mar 2027 22:00 +01:00  2027-03-27T21:00:00Z  asleep\n\
             Sun 28 Mar 2027 06:00 +02:00  2027-03-28T04:00:00Z  awake\n"
        );
        let (_, out, _) = explain(&["sleep 00:00-24:00"], None);
        assert!(out.ends_with("It never changes: asleep all the time\n"), "{out}");
    }

    #[test]
    fn a_thousand_changes_of_the_longest_rule_stay_cheap() {
        let parts: Vec<String> = (0..40)
            .map(|half| {
                format!("{:02}:{:02}-{:02}:{:02}", half / 2, half % 2 * 30, half / 2, half % 2 * 30 + 9)
            })
            .collect();
        let text = format!("awake {}", parts.join(";"));
        for text in [&*text, "sleep Sun 02:10-02:40", "sleep 23:59-23:58"] {
            let (code, out, err) = explain(&[text, "--count", "1000", "--json"], Some("Europe/Berlin"));
            assert_eq!(code, 0, "{err}");
            assert_eq!(out.matches("\"at\"").count(), 1000, "{text}");
        }
        for after in ["9999-12-29T00:00:00Z", "-009999-01-03T00:00:00Z"] {
            let (code, _, err) = explain(&["sleep 23:00-07:00", "--count", "1000", "--after", after], None);
            assert_eq!(code, 0, "{err}");
        }
    }

    #[test]
    fn every_so_many_weeks_are_counted_from_the_anchor() {
        let weeks = ["--every-weeks", "2", "--anchor", "2026-12-30"];
        let words = [&["0 23 * * 1", "--count", "2", "--json"][..], &weeks].concat();
        let (code, out, err) = explain(&words, None);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("\"next\":[\"2027-01-11T23:00:00Z\",\"2027-01-25T23:00:00Z\"]"), "{out}");
        let words = [&["sleep Mon-Fri 23:00-07:00", "--count", "4"][..], &weeks].concat();
        let (_, out, _) = explain(&words, None);
        let meaning = "Asleep Monday to Friday from 23:00 to 07:00 the next day, every 2nd week, counted from the week of \
             30 Dec 2026\n";
        assert!(out.starts_with(meaning), "{out}");
        assert!(out.ends_with("Mon 11 Jan 2027 23:00 +00:00  2027-01-11T23:00:00Z  asleep\n"), "{out}");
        let never = ["* * 29 2 *", "--every-weeks", "52", "--anchor", "2026-12-30"];
        assert!(explain(&never, None).1.contains("Never fires"), "{}", explain(&never, None).1);
        let (_, out, _) = explain(&["0 18 * * 5", "--nth", "1,-1", "--count", "2"], None);
        assert!(
            out.starts_with("At 18:00, on Friday, only on the 1st and last Friday of the month\n"),
            "{out}"
        );
        assert!(
            out.ends_with("2027-01-01T18:00:00Z\nFri 29 Jan 2027 18:00 +00:00  2027-01-29T18:00:00Z\n"),
            "{out}"
        );
        for (words, start) in [
            (&["@daily", "--nth", "6"][..], "error: nth: "),
            (&["awake 08:00-20:00", "--nth", "1"], "error: nth: "),
            (&["@daily", "--every-weeks", "2"], "error: anchor: "),
            (&["@daily", "--anchor", "2026-12-30"], "error: every_weeks: "),
            (&["@daily", "--every-weeks", "53", "--anchor", "2026-12-30"], "error: every_weeks: "),
            (&["@daily", "--every-weeks", "2", "--anchor", "30.12."], "error: anchor: "),
            (&["awake 08:00-20:00", "--every-weeks", "2", "--anchor", "2026-12-30"], "error: every_weeks: "),
        ] {
            let line = refused(words, None);
            assert!(line.starts_with(start), "{words:?}: {line}");
        }
    }

    #[test]
    fn bad_input_is_one_line_that_names_the_field() {
        assert_eq!(
            refused(&["0 22-6 * * *"], None),
            "error: hour: `22-6` runs backwards; a range does not wrap around; try `0 22-23,0-6 * * *`"
        );
        for (words, start) in [
            (&["nonsense"][..], "error: expression: "),
            (&[""], "error: expression: "),
            (&["0", "23", "*", "*", "*"], "error: expression: 5 words"),
            (&["sleep"], "error: window: "),
            (&["sleep "], "error: window: "),
            (&["sleep Mon-Fri"], "error: window: "),
            (&["sleep Mon-Fri 23:00-07:00;"], "error: window: part 2"),
            (&["Awake 8:00-20:00"], "error: window: "),
            (&["sleep 24:00-07:00"], "error: window: "),
            (&["sleep 23:00-07:00\n"], "error: window: "),
            (&["sleep", "23:00-07:00"], "error: expression: 2 words"),
            (&["sleep 23:00-07:00", "--count", "0"], "error: count: "),
            (&["sleep 23:00-07:00", "--timezone", "Mars/Base"], "error: timezone: "),
            (&["--", "-5 * * * *"], "error: minute: "),
            (&["MON * * * *"], "error: minute: "),
            (&["0 24 * * *"], "error: hour: "),
            (&["0 0 31 2 *"], "error: day-of-month: "),
            (&["0 0 1 13 *"], "error: month: "),
            (&["0 0 * * 8"], "error: day-of-week: "),
            (&["@daily", "--timezone", "Mars/Base"], "error: timezone: "),
            (&["@daily", "--timezone", ""], "error: timezone: "),
            (&["@daily", "--timezone", "a\nb"], "error: timezone: "),
            (&["@daily", "--after", "yesterday"], "error: after: "),
            (&["@daily", "--after", "2027-01-01T00:00:00"], "error: after: "),
            (&["@daily", "--count", "0"], "error: count: "),
            (&["@daily", "--count", "1001"], "error: count: "),
            (&["@daily", "--count", "-1"], "error: count: "),
            (&["@daily", "--count", "ten"], "error: count: "),
        ] {
            let line = refused(words, None);
            assert!(line.starts_with(start), "{words:?}: {line}");
        }
        assert!(refused(&["@daily"], Some("Moon")).starts_with("error: timezone: "));
        assert_eq!(explain(&["@daily"], Some("")).0, 0, "an empty TZ is none");
    }
}
