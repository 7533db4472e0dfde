//! Jobs of Ofelia, from its INI file or from labels: one `label=value` in a line, or the `labels` of a compose file.

use super::Found;

/// A job in the making.
struct Job<'a> {
    line: usize,
    title: &'a str,
    name: String,
    schedule: Option<&'a str>,
    command: Option<&'a str>,
}

/// Reads an INI file or a list of labels.
pub fn read(text: &str) -> Found {
    let mut found = Found::default();
    let mut jobs: Vec<Job<'_>> = Vec::new();
    // Whether the lines that follow belong to the last job.
    let mut is_open = false;
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            // A comment may follow.
            let section = section.split_once(']').map_or(section, |(section, _)| section);
            let (kind, name) = section.split_once(char::is_whitespace).unwrap_or((section, ""));
            is_open = kind.starts_with("job-");
            if is_open {
                let name = plain(name).to_owned();
                jobs.push(Job { line: number, title: line, name, schedule: None, command: None });
            }
            continue;
        }
        if let Some((label, value)) = label(line) {
            is_open = false;
            let parts: Vec<&str> = label.splitn(4, '.').collect();
            let ["ofelia", kind, name, field] = parts.as_slice() else { continue };
            if !kind.starts_with("job-") {
                continue;
            }
            let title = label.strip_suffix(field).map_or(label, |rest| rest.trim_end_matches('.'));
            let at = jobs.iter().position(|job| job.title == title);
            let at = at.unwrap_or_else(|| {
                let name = (*name).to_owned();
                jobs.push(Job { line: number, title, name, schedule: None, command: None });
                jobs.len() - 1
            });
            if let Some(job) = jobs.get_mut(at) {
                job.set(field, value);
            }
            continue;
        }
        if let (true, Some((field, value)), Some(job)) = (is_open, line.split_once('='), jobs.last_mut()) {
            job.set(field.trim(), plain(value));
        }
    }
    for job in jobs {
        job.end(&mut found);
    }
    found
}

/// A label and its value, as `label=value`, as an item of a list, or as `label: value`.
fn label(line: &str) -> Option<(&str, &str)> {
    let line = plain(line.strip_prefix("- ").unwrap_or(line));
    if !line.starts_with("ofelia.") {
        return None;
    }
    let at = line.find(['=', ':'])?;
    let (label, value) = line.split_at_checked(at)?;
    Some((plain(label), plain(value.get(1..)?)))
}

/// A text without spaces and quotes around it.
fn plain(text: &str) -> &str {
    let text = text.trim();
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

impl<'a> Job<'a> {
    fn set(&mut self, field: &str, value: &'a str) {
        match field {
            "schedule" => self.schedule = Some(value),
            "command" => self.command = Some(value),
            _ => {}
        }
    }

    fn end(self, found: &mut Found) {
        let (Some(schedule), Some(command)) = (self.schedule, self.command) else {
            return found.leave(self.line, self.title, "it has no `schedule` or no `command`");
        };
        match cron(schedule) {
            Ok(cron) => found.add((self.line, self.title), &self.name, &cron, None, command),
            Err(why) => found.leave(self.line, self.title, why),
        }
    }
}

/// The cron expression of a schedule: five fields, six fields that begin at second 0, a macro, or `@every` with a time
/// after which a day or an hour repeats itself.
fn cron(schedule: &str) -> Result<String, &'static str> {
    if let Some(every) = schedule.strip_prefix("@every") {
        return at_every(every.trim()).ok_or(
            "`@every` is read for minutes that an hour is made of and hours that a day is made of, such as 15m or 6h",
        );
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    match fields.as_slice() {
        [second, rest @ ..] if rest.len() == 5 => match *second {
            "0" | "00" => Ok(rest.join(" ")),
            _ => Err("it runs at seconds; a schedule begins at a whole minute"),
        },
        _ => Ok(fields.join(" ")),
    }
}

fn at_every(text: &str) -> Option<String> {
    let whole = |of: u32, unit: &str| {
        let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
        (number > 0 && number <= of && of.is_multiple_of(number)).then_some(number)
    };
    // As Go writes and reads a duration.
    let hours = whole(24, "h0m0s").or_else(|| whole(24, "h0m")).or_else(|| whole(24, "h"));
    match (hours, whole(60, "m0s").or_else(|| whole(60, "m"))) {
        (Some(1), _) | (None, Some(60)) => Some("0 * * * *".to_owned()),
        (Some(24), _) => Some("0 0 * * *".to_owned()),
        (Some(hours), _) => Some(format!("0 */{hours} * * *")),
        (None, Some(1)) => Some("* * * * *".to_owned()),
        (None, Some(minutes)) => Some(format!("*/{minutes} * * * *")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::action::Action;

    fn jobs(text: &str) -> Vec<(String, String, String, Action)> {
        let jobs = read(text).jobs.into_iter();
        jobs.map(|job| (job.name, job.cron, job.target, job.action)).collect()
    }

    #[test]
    fn an_ini_file_is_read() {
        let text = "[global]\nsave-folder = /x\n[job-local \"night\"]\nschedule = 0 0 23 * * *\n\
                    command = docker stop web\n[job-run \"odd\"]\nschedule = 30 0 23 * * *\ncommand = docker stop web\n\
                    [job-exec \"dump\"]\nschedule = @daily\ncontainer = db\ncommand = pg_dumpall\n\
                    [job-local \"half\"]\ncommand = docker stop web\n";
        let night = ("night".to_owned(), "0 23 * * *".to_owned(), "web".to_owned(), Action::Stop);
        assert_eq!(jobs(text), [night]);
        let left: Vec<usize> = read(text).left.iter().map(|left| left.line).collect();
        assert_eq!(left, [6, 9, 13]);
    }

    #[test]
    fn a_comment_behind_a_section_does_not_join_two_jobs() {
        let text = "[job-local \"night\"]\nschedule = @daily\ncommand = docker stop web\n\
                    [job-exec \"dump\"] ; of the database\nschedule = @hourly\ncommand = pg_dumpall\n";
        let night = ("night".to_owned(), "@daily".to_owned(), "web".to_owned(), Action::Stop);
        assert_eq!(jobs(text), [night]);
    }

    #[test]
    fn labels_are_read() {
        let text = "labels:\n  ofelia.enabled: \"true\"\n  ofelia.job-local.night.schedule: \"@every 6h\"\n  \
                    ofelia.job-local.night.command: \"docker stop web\"\n  \
                    - ofelia.job-local.day.schedule=0 6 * * *\n  - \"ofelia.job-local.day.command=docker start web\"\n";
        let job =
            |name: &str, cron: &str, action| (name.to_owned(), cron.to_owned(), "web".to_owned(), action);
        let wanted = [job("night", "0 */6 * * *", Action::Stop), job("day", "0 6 * * *", Action::Start)];
        assert_eq!(jobs(text), wanted);
    }

    #[test]
    fn every_is_read_where_cron_can_say_it() {
        for (text, cron) in [
            ("15m", Some("*/15 * * * *")),
            ("1h", Some("0 * * * *")),
            ("60m", Some("0 * * * *")),
            ("24h", Some("0 0 * * *")),
            ("7m", None),
            ("0m", None),
            ("10s", None),
            ("", None),
        ] {
            assert_eq!(at_every(text).as_deref(), cron, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).*") {
            let _ = read(&text);
        }

        #[test]
        fn no_label_makes_it_panic(text in "(- |\")?ofelia\\.[a-z.=:\\- \"]{0,40}") {
            let _ = read(&text);
        }
    }
}
