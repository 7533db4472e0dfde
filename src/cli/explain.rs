//! `docknap explain`: what an expression means and when it fires, without a settings file, a database or Docker.
//!
//! Bad input is answered by exit code 2 and one line on stderr, `error: FIELD: message`, with nothing on stdout
//! (rulings: explain). So every value is taken as text and read here: the argument parser's own errors name an
//! option, not a field, and take several lines.

use std::fmt::Display;
use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::domain::cron::Cron;
use crate::domain::time::{self, zone_name};

/// Exit code for bad input.
const USAGE: u8 = 2;

/// Notes on clock changes look this far, in days: both changes of a year, wherever the year begins.
const NOTES_DAYS: u32 = 366;

/// What is asked for.
#[derive(Clone, Debug, clap::Args)]
#[command(about = "Say what a cron expression means and when it fires next")]
pub struct ExplainArgs {
    /// Cron expression or @word, in quotes; after `--` where it begins with `-`
    #[arg(value_name = "EXPR", required = true)]
    pub expr: Vec<String>,
    /// IANA time zone [default: TZ, else UTC]
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub timezone: Option<String>,
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

/// Answers on `out`, or complains on `err`; returns the exit code. `now` stands in for `--after`, `env_zone` (the
/// value of `TZ`) for `--timezone`.
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
            // Nobody is left to tell when stderr is closed.
            let _ = writeln!(err, "error: {}: {}", fault.field, fault.message);
            return USAGE;
        }
    };
    let written = if args.json { answer.write_json(out) } else { answer.write_text(out) };
    match written.and_then(|()| out.flush()) {
        // `docknap explain … | head -1` is not a failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(err, "error: the answer cannot be written: {error}");
            1
        }
        _ => 0,
    }
}

/// Bad input: the field's name and one line.
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
    cron: Cron,
    zone: TimeZone,
    after: Timestamp,
    fires: Vec<Timestamp>,
}

/// The shape of `--json` (interfaces: commands).
#[derive(Serialize)]
struct Json<'a> {
    input: &'a str,
    kind: &'static str,
    timezone: &'a str,
    meaning: String,
    /// RFC 3339, UTC, whole seconds.
    next: Vec<String>,
}

impl<'a> Answer<'a> {
    fn new(args: &'a ExplainArgs, now: Timestamp, env_zone: Option<&str>) -> Result<Self, Fault> {
        let [input] = args.expr.as_slice() else {
            let message =
                format!("{} words given, one is read; put the expression in quotes", args.expr.len());
            return Err(Fault::new("expression", message));
        };
        let first = input.split_ascii_whitespace().next().unwrap_or_default();
        if first.eq_ignore_ascii_case("sleep") || first.eq_ignore_ascii_case("awake") {
            let message = "window rules are not available in this version yet; give a cron expression";
            return Err(Fault::new("expression", message));
        }
        let cron = Cron::parse(input).map_err(|error| Fault::new(error.field.as_str(), error))?;
        let name = args.timezone.as_deref().or(env_zone.filter(|name| !name.is_empty())).unwrap_or("UTC");
        let zone = time::zone(name).map_err(|error| Fault::new("timezone", error))?;
        let after = match &args.after {
            Some(text) => text.parse().map_err(|_| {
                let example = "write an instant with its offset, such as 2027-01-01T00:00:00Z";
                Fault::new("after", format!("`{}` is not read; {example}", shown(text)))
            })?,
            None => now,
        };
        let count = args.count.parse::<usize>().ok().filter(|count| (1..=1000).contains(count));
        let count = count.ok_or_else(|| {
            Fault::new("count", format!("`{}` is not a number from 1 to 1000", shown(&args.count)))
        })?;
        let fires = cron.fires(after, &zone).take(count).collect();
        Ok(Self { input, cron, zone, after, fires })
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let json = Json {
            input: self.input,
            kind: "cron",
            timezone: zone_name(&self.zone),
            meaning: self.cron.meaning(),
            next: self.fires.iter().map(ToString::to_string).collect(),
        };
        serde_json::to_writer(&mut *out, &json)?;
        writeln!(out)
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.cron.meaning())?;
        writeln!(out, "Time zone {}", zone_name(&self.zone))?;
        if self.cron.both_day_fields() {
            writeln!(
                out,
                "Note: runs when the day of the month or the day of the week matches, not only when both do"
            )?;
        }
        for note in self.cron.dst_notes(self.after, &self.zone, NOTES_DAYS) {
            writeln!(out, "Note: {note}")?;
        }
        writeln!(out)?;
        if self.fires.is_empty() {
            return writeln!(out, "Never fires in this zone after {}", self.after);
        }
        for fire in &self.fires {
            let wall = fire.to_zoned(self.zone.clone());
            writeln!(out, "{}  {fire}", wall.strftime("%a %e %b %Y %H:%M %:z"))?;
        }
        Ok(())
    }
}

/// Quoted input that cannot break the line or fill the screen.
fn shown(text: &str) -> String {
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

    /// Exit code, stdout, stderr at 2026-12-31 23:30 UTC.
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
    fn an_expression_that_the_zone_swallows_has_no_next() {
        let zone = ["--timezone", "Europe/Berlin"];
        let (code, out, _) = explain(&["*/30 2 25-31 3 */7", "--json", zone[0], zone[1]], None);
        assert_eq!(code, 0);
        assert!(out.ends_with("\"next\":[]}\n"), "{out}");
        let (code, out, _) = explain(&["*/30 2 25-31 3 */7", zone[0], zone[1]], None);
        assert_eq!(code, 0);
        assert!(out.contains("Never fires in this zone"), "{out}");
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
            (&["sleep Mon-Fri 23:00-07:00"], "error: expression: window rules are not available"),
            (&["Awake 08:00-20:00"], "error: expression: window rules are not available"),
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
