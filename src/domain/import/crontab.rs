//! Lines of a crontab, as `crontab -l` prints them or as they stand in `/etc/crontab` with a user.

use super::Found;

/// Reads a crontab.
pub fn read(text: &str) -> Found {
    let (mut found, mut zone) = (Found::default(), None);
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((name, value)) = variable(line) {
            if matches!(name, "CRON_TZ" | "TZ") {
                zone = Some(value.trim_matches(['"', '\'']).to_owned()).filter(|zone| !zone.is_empty());
            } else if matches!(name, "DOCKER_HOST" | "DOCKER_CONTEXT" | "COMPOSE_PROJECT_NAME") {
                let why =
                    "it says which Engine or project is meant, and is not read: check the lines below it";
                found.leave(number, line, why);
            }
            continue;
        }
        let fields = if line.starts_with('@') { 1 } else { 5 };
        let Some((cron, command)) = split(line, fields) else {
            found.leave(number, line, "it is no line of a crontab: five fields and a command");
            continue;
        };
        if cron == "@reboot" {
            found.leave(number, line, "a schedule has a time; what runs at every boot has none");
            continue;
        }
        let command = without_user(command);
        found.add((number, line), "", &cron, zone.as_deref(), command);
    }
    found
}

/// The name and value of a line that sets a variable.
fn variable(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    is_name.then(|| (name, value.trim()))
}

/// The first fields of a line with single spaces between them, and the rest.
fn split(line: &str, fields: usize) -> Option<(String, &str)> {
    let (mut rest, mut first) = (line, Vec::new());
    for _ in 0..fields {
        let (field, after) = rest.split_once(char::is_whitespace)?;
        first.push(field);
        rest = after.trim_start();
    }
    (!rest.is_empty()).then(|| (first.join(" "), rest))
}

/// A command without the user in front of it, as `/etc/crontab` has one.
fn without_user(command: &str) -> &str {
    let is_program = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or_default();
        matches!(name, "docker" | "docker-compose" | "sudo" | "cd")
    };
    match command.split_once(char::is_whitespace) {
        Some((user, rest)) if !is_program(user) && rest.split_whitespace().next().is_some_and(is_program) => {
            rest.trim_start()
        }
        _ => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::action::Action;

    #[test]
    fn a_crontab_becomes_jobs_and_a_list_of_what_is_left() {
        let text = "# m h dom mon dow command\nSHELL=/bin/sh\n\n0 23 * * * docker stop web\n\
                    CRON_TZ=Europe/Berlin\n@daily  docker compose -p media restart\n\
                    30 6 * * 1-5 root /usr/bin/docker start web db\n@reboot docker start web\n\
                    0 3 * * * /opt/backup.sh\n99 * * * * docker stop web\nnonsense\n";
        let found = read(text);
        let jobs: Vec<_> = found
            .jobs
            .iter()
            .map(|job| {
                (job.line, job.cron.as_str(), job.target.as_str(), job.action, job.timezone.as_deref())
            })
            .collect();
        let berlin = Some("Europe/Berlin");
        assert_eq!(
            jobs,
            [
                (4, "0 23 * * *", "web", Action::Stop, None),
                (6, "@daily", "media", Action::Restart, berlin),
                (7, "30 6 * * 1-5", "web", Action::Start, berlin),
                (7, "30 6 * * 1-5", "db", Action::Start, berlin),
            ]
        );
        let left: Vec<usize> = found.left.iter().map(|left| left.line).collect();
        assert_eq!(left, [8, 9, 10, 11]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).*") {
            let _ = read(&text);
        }
    }
}
