//! Functions that turn domain values into words, shared by all pages.
//!
//! All functions are pure: the current instant and the time zone are arguments.

use std::fmt::Write as _;

use crate::domain::action::Action;
use crate::domain::inventory::Health;
use crate::domain::overrides::{Override, Reach};
use crate::domain::run::{Condition, Trigger, WaitFor};
use crate::domain::target::{Subject, Target};

mod badge;
pub mod events;
mod when;

pub use badge::Badge;
pub use when::{Now, When, clocked};

/// A link with its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Link {
    /// Path below the base path, with the leading slash.
    pub href: String,
    pub text: String,
}

impl Link {
    pub fn new(href: impl Into<String>, text: impl Into<String>) -> Self {
        Self { href: href.into(), text: text.into() }
    }
}

/// An option of a filter or a form.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The value that is sent.
    pub value: String,
    /// The text that is shown.
    pub label: String,
    /// Whether the option is selected.
    pub chosen: bool,
}

/// A duration in milliseconds as text: `0.4 s`, `12 s`, `1 min 20 s`, `2 h 5 min`.
pub fn duration(milliseconds: i64) -> String {
    let milliseconds = milliseconds.max(0);
    let seconds = milliseconds / 1000;
    match seconds {
        0..10 => format!("{}.{} s", seconds, milliseconds % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A duration in whole seconds, as a user types it: `1 h`, `90 min`, `10 s`.
pub fn span(seconds: i64) -> String {
    match seconds {
        s if s > 0 && s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s > 0 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// An exit code with its meaning and, if possible, a remedy.
pub fn exit_code(code: i64) -> String {
    let words = match code {
        0 => "it ended normally",
        1 => "the program reported an error; its log says which",
        2 => "the program was called in a way it does not understand",
        125 => "Docker could not run the container",
        126 => "the command is there but cannot be run; check its permissions",
        127 => "the command was not found in the image; check the command and the image's version",
        130 => "it was interrupted",
        134 => "the program aborted itself",
        137 => {
            "it was killed: it did not stop within its grace, or memory ran out; a longer stop grace may help"
        }
        139 => "the program crashed by touching memory that is not its own",
        143 => "it ended when asked to stop",
        129..=159 => return format!("{code}: ended by signal {}", code - 128),
        _ => return format!("{code}: the program ended with a code of its own; its log says why"),
    };
    format!("{code}: {words}")
}

/// The health in words; `None` without a health check.
pub fn health(health: Health) -> Option<&'static str> {
    match health {
        Health::None => None,
        Health::Starting => Some("health starting"),
        Health::Healthy => Some("healthy"),
        Health::Unhealthy => Some("unhealthy"),
    }
}

/// The name of the icon of an action.
pub fn action_icon(action: Action) -> &'static str {
    match action {
        Action::Start => "play",
        Action::Stop => "square",
        Action::Restart => "rotate-cw",
        Action::Pause => "pause",
        Action::Unpause => "play",
    }
}

/// The trigger of a run, for the place after "started": `by hand`, `by schedule`.
pub fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Manual => "by hand",
        Trigger::Bulk => "by hand, with others",
        Trigger::Api => "through the API",
        Trigger::Schedule => "by schedule",
        Trigger::Label => "by a label",
        Trigger::CatchUp => "late, caught up",
        Trigger::Window => "by the window",
        Trigger::Override => "by an override",
        Trigger::Retry => "as a retry",
        Trigger::Undo => "as an undo",
    }
}

/// The containers that a step waits for, in words: `db (may take up to 8 min) and cache to be healthy, migrate to
/// finish its work`.
pub fn waits(wait_for: &[WaitFor]) -> String {
    let mut parts = Vec::new();
    for condition in Condition::ALL {
        let names: Vec<String> = wait_for
            .iter()
            .filter(|wait| wait.condition == *condition)
            .map(|wait| {
                let name = shown_name(&wait.container);
                match wait.seconds {
                    Some(seconds) if *condition == Condition::ServiceHealthy => {
                        format!("{name} (may take up to {} min)", (seconds + 59) / 60)
                    }
                    _ => name,
                }
            })
            .collect();
        let Some((last, others)) = names.split_last() else { continue };
        let names =
            if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) };
        let what = match condition {
            Condition::ServiceStarted => "to run",
            Condition::ServiceHealthy => "to be healthy",
            Condition::ServiceCompletedSuccessfully => "to finish its work",
            Condition::Stopped => "to be down",
        };
        parts.push(format!("{names} {what}"));
    }
    parts.join(", ")
}

/// A name that is safe to show: control and invisible characters as `\u{…}`, at most 255 bytes (rulings 20).
pub fn shown_name(name: &str) -> String {
    let mut shown = String::with_capacity(name.len().min(256));
    for letter in name.chars() {
        if shown.len() + letter.len_utf8() > 252 {
            shown.push('…');
            break;
        }
        if letter.is_control() || is_invisible(letter) {
            let _ = write!(shown, "{}", letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Whether a character changes the direction of the text or is invisible. With such characters a name could look like
/// another one.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The reach of an override in words: a name, or `Everything`.
pub fn reached(one: &Override) -> String {
    match &one.reach {
        Reach::All => "Everything".to_owned(),
        Reach::Target(_) => shown_name(&one.target_name),
    }
}

/// The reason of an override and its author.
pub fn why_made(one: &Override, now: &Now) -> String {
    let author = shown_name(&one.author.name);
    match shown_name(&one.reason) {
        reason if reason.is_empty() => format!("by {author}"),
        reason if one.by_hand => now.words(&reason),
        reason => format!("{reason} (by {author})"),
    }
}

/// The path of the page of a target.
pub fn target_page(target: &Target) -> String {
    match &target.subject {
        Subject::Host => return format!("/hosts/{}", target.host),
        Subject::Group(id) => return format!("/groups/{id}"),
        Subject::Stack(_) | Subject::Services { .. } | Subject::Container(_) => {}
    }
    format!("/{}s/{}", target.target_type(), target.key())
}

/// The form value of a target: `stack/KEY`, `container/KEY`, `host/ID`, `group/ID`.
pub fn target_value(target: &Target) -> String {
    match &target.subject {
        Subject::Host => return format!("host/{}", target.host),
        Subject::Group(id) => return format!("group/{id}"),
        Subject::Stack(_) | Subject::Services { .. } | Subject::Container(_) => {}
    }
    format!("{}/{}", target.target_type(), target.key())
}

/// The first three texts and the number of further ones: `a; b; c; and 2 more`. `between` and `and` are the separators.
pub fn first_few(all: &[String], between: &str, and: &str) -> String {
    const NAMED: usize = 3;
    let named = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join(between);
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}{and}{more} more"),
    }
}

/// A count with its noun: `1 container`, `4 containers`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let texts: Vec<String> = [0, 450, 12_000, 80_000, 7_500_000].into_iter().map(duration).collect();
        assert_eq!(texts, ["0.0 s", "0.4 s", "12 s", "1 min 20 s", "2 h 5 min"]);
        assert_eq!(
            [span(3600), span(5400), span(86_400), span(15), span(0)],
            ["1 h", "90 min", "1 d", "15 s", "0 s"]
        );
    }

    #[test]
    fn an_exit_code_is_explained() {
        assert!(exit_code(137).contains("longer stop grace"));
        assert_eq!(exit_code(136), "136: ended by signal 8");
        assert!(exit_code(42).starts_with("42: "));
    }

    #[test]
    fn the_containers_waited_for_are_grouped_by_condition() {
        let wait = |container: &str, condition| WaitFor {
            container: container.to_owned(),
            identity: String::new(),
            condition,
            seconds: None,
            elsewhere: false,
        };
        let text = waits(&[
            wait("api", Condition::Stopped),
            wait("db", Condition::ServiceHealthy),
            wait("worker", Condition::Stopped),
        ]);
        assert_eq!(text, "db to be healthy, api and worker to be down");
        assert_eq!(waits(&[]), "");
    }

    #[test]
    fn a_hostile_name_is_made_safe_to_look_at() {
        assert_eq!(shown_name("a\nb\u{202e}c"), "a\\u{a}b\\u{202e}c");
        assert!(shown_name(&"é".repeat(40_000)).len() <= 256);
    }
}
