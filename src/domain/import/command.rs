//! The commands that start and stop containers and compose projects, as they stand in a crontab.

use crate::domain::action::Action;
use crate::domain::target::TargetType;

/// What a command does to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deed {
    pub target_type: TargetType,
    pub target: String,
    /// The services of a stack that the command names; empty where it names none.
    pub services: Vec<String>,
    pub action: Action,
}

const NO_DOCKER: &str = "it is no `docker start|stop|restart|pause|unpause` and no `docker compose` command";

/// Reads a command.
///
/// # Errors
/// Why it is not understood.
pub(super) fn read(shell: &str) -> Result<Vec<Deed>, &'static str> {
    if shell.contains(['$', '`', ';', '|', '%', '(', '\\']) {
        return Err("it does more than one command does: variables, pipes and lists are not read");
    }
    let words = without_redirections(shell);
    let mut words = words.as_slice();
    let mut folder = None;
    if let ["cd", path, "&&", rest @ ..] = words {
        folder = Some(*path);
        words = rest;
    }
    if words.contains(&"&&") || words.contains(&"&") {
        return Err("it is more than one command");
    }
    if let ["sudo", rest @ ..] = words {
        words = rest;
    }
    let Some((program, words)) = words.split_first() else { return Err(NO_DOCKER) };
    match (program.rsplit('/').next().unwrap_or_default(), words) {
        ("docker", ["compose", rest @ ..]) | ("docker-compose", rest) => compose(rest, folder),
        ("docker", ["container", rest @ ..] | rest) => containers(rest),
        _ => Err(NO_DOCKER),
    }
}

/// The words of a command up to a comment, without the files that its output goes to.
fn without_redirections(shell: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = shell.split_whitespace().take_while(|word| !word.starts_with('#'));
    while let Some(word) = rest.next() {
        let to = word.trim_start_matches(['1', '2', '&']);
        if !to.starts_with('>') {
            words.push(unquoted(word));
        } else if to.trim_start_matches('>').is_empty() {
            // The next word is the file.
            rest.next();
        }
    }
    words
}

fn unquoted(word: &str) -> &str {
    let inner = |quote: char| word.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(word)
}

fn action(word: &str) -> Option<Action> {
    Action::ALL.into_iter().find(|action| action.as_str() == word)
}

fn containers(words: &[&str]) -> Result<Vec<Deed>, &'static str> {
    let Some((action, mut words)) = words.split_first().and_then(|(verb, rest)| Some((action(verb)?, rest)))
    else {
        return Err(NO_DOCKER);
    };
    let mut deeds = Vec::new();
    while let Some((word, rest)) = words.split_first() {
        words = match *word {
            "-t" | "--time" | "--timeout" => rest.get(1..).unwrap_or_default(),
            option if ["-t=", "--time=", "--timeout="].iter().any(|known| option.starts_with(known)) => rest,
            option if option.starts_with('-') => {
                return Err("it has an option that a schedule does not have");
            }
            name if !is_of_container(name) => return Err("it has a word that is no name of a container"),
            name => {
                let (target_type, target, services) = (TargetType::Container, name.to_owned(), Vec::new());
                deeds.push(Deed { target_type, target, services, action });
                rest
            }
        };
    }
    if deeds.is_empty() { Err("it names no container") } else { Ok(deeds) }
}

fn compose(words: &[&str], folder: Option<&str>) -> Result<Vec<Deed>, &'static str> {
    let (mut project, mut of_option, mut of_file, mut words) = (None, None, None, words);
    let verb = loop {
        let Some((word, rest)) = words.split_first() else {
            return Err("it has no `docker compose` command");
        };
        words = rest;
        let (option, value) =
            word.split_once('=').map_or((*word, None), |(option, value)| (option, Some(value)));
        if !option.starts_with('-') {
            break *word;
        }
        let value = match value {
            Some(value) => value,
            None => {
                let Some((value, rest)) = words.split_first() else { return Err("an option has no value") };
                words = rest;
                value
            }
        };
        match option {
            "-p" | "--project-name" => project = Some(value),
            "--project-directory" => of_option = Some(value),
            // The first file counts; without a directory it lies in the current one.
            "-f" | "--file" => {
                of_file = of_file.or_else(|| Some(value.rsplit_once('/').map(|(folder, _)| folder)));
            }
            _ => return Err("it has an option of `docker compose` that is not read"),
        }
    };
    let action = match verb {
        "up" => Action::Start,
        "down" => Action::Stop,
        other => {
            action(other).ok_or("it is no `start`, `stop`, `restart`, `pause`, `unpause`, `up` or `down`")?
        }
    };
    let mut services = Vec::new();
    while let Some((word, rest)) = words.split_first() {
        words = match *word {
            "-t" | "--timeout" => rest.get(1..).unwrap_or_default(),
            "-d" | "--detach" | "--remove-orphans" | "--wait" | "--no-recreate" => rest,
            option if option.starts_with("-t=") || option.starts_with("--timeout=") => rest,
            option if option.starts_with('-') => {
                return Err("it has an option that a schedule does not have");
            }
            name if !is_of_container(name) => return Err("it has a word that is no name of a service"),
            name => {
                services.push(name.to_owned());
                rest
            }
        };
    }
    let folder = of_option.or(of_file.flatten()).or(folder);
    let folder = || {
        let name = folder?.trim_end_matches('/').rsplit('/').next()?;
        Some(name).filter(|name| !name.is_empty() && !name.starts_with(['.', '~']))
    };
    let Some(project) = project.or_else(folder) else {
        return Err("which project is not said: add `-p NAME`, or `-f` with the whole path");
    };
    // As compose makes the name of a project from a directory.
    let name: String = project.to_lowercase().chars().filter(|c| is_of_project(*c)).collect();
    let name = name.trim_start_matches(['-', '_']);
    if name.is_empty() {
        return Err("the name of its project has no letter and no digit");
    }
    Ok(vec![Deed { target_type: TargetType::Stack, target: name.to_owned(), services, action }])
}

/// Whether Docker gives such names; others are shell patterns, or words that are joined to an operator.
fn is_of_container(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn is_of_project(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use TargetType::{Container, Stack};

    #[test]
    fn commands_that_start_and_stop_are_read() {
        for (shell, kind, name, action) in [
            ("docker stop web", Container, "web", Action::Stop),
            ("/usr/bin/docker start web >/dev/null 2>&1", Container, "web", Action::Start),
            ("sudo docker restart -t 30 'web'", Container, "web", Action::Restart),
            ("docker container pause web", Container, "web", Action::Pause),
            ("docker compose -p media stop", Stack, "media", Action::Stop),
            ("docker compose -f /opt/Media/compose.yaml up -d", Stack, "media", Action::Start),
            ("docker-compose --file=/opt/media/docker-compose.yml down", Stack, "media", Action::Stop),
            ("cd /opt/media && docker compose unpause", Stack, "media", Action::Unpause),
            ("cd /opt/x && docker compose -f /opt/media/compose.yaml up -d", Stack, "media", Action::Start),
            ("cd /opt/media && docker compose -f a.yaml -f /etc/b.yaml up", Stack, "media", Action::Start),
            ("docker stop web # at night", Container, "web", Action::Stop),
            ("docker stop >> /var/log/x 2> /dev/null web", Container, "web", Action::Stop),
        ] {
            let deed = Deed { target_type: kind, target: name.to_owned(), services: Vec::new(), action };
            assert_eq!(read(shell), Ok(vec![deed]), "{shell}");
        }
        assert_eq!(read("docker stop a b").map(|deeds| deeds.len()), Ok(2));
    }

    #[test]
    fn named_services_narrow_the_stack() {
        let read = |shell| read(shell).expect("it is understood").remove(0);
        let deed = read("docker compose -p media stop -t 5 web db");
        assert_eq!((deed.target.as_str(), deed.action), ("media", Action::Stop));
        assert_eq!(deed.services, ["web", "db"]);
        assert_eq!(read("cd /opt/media && docker compose up -d web").services, ["web"]);
        assert_eq!(read("docker compose -p media stop").services, [""; 0]);
    }

    #[test]
    fn all_others_are_not() {
        for shell in [
            "",
            "docker",
            "docker stop",
            "docker rm web",
            "docker compose stop",
            "docker compose -p media stop $WEB",
            "docker compose -p media stop web*",
            "docker compose -p media exec web backup",
            "docker compose -p",
            "docker stop $(docker ps -q)",
            "docker stop web; docker start db",
            "docker stop web && docker start db",
            "docker stop web >/dev/null && docker start db",
            "docker stop web > /dev/null 2>&1 & docker start db",
            "docker stop web&&docker start db",
            "docker stop web>/dev/null",
            "docker stop web < /dev/null",
            "docker stop web*",
            "docker compose -p .. stop",
            "backup.sh",
            "cd /x &&",
        ] {
            assert!(read(shell).is_err(), "{shell}");
        }
    }

    const WORDS: &[&str] =
        &["docker", "compose", "-p", "-f", "=", "cd", "&&", "stop", "-t", "\"", "a/", "/", "up", "--file=/"];

    proptest::proptest! {
        #[test]
        fn no_command_makes_it_panic(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..8)) {
            let _ = read(&words.join(" "));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = read(&text);
        }
    }
}
