//! Rules in the `docknap.…` labels of containers: for the container itself, and for its stack.
//!
//! Labels are hostile input. Every set of labels can be read; what cannot be used becomes a sentence that says what to
//! write instead. The texts of a rule are checked when the rule becomes a schedule.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::action::Action;
use super::cron::Cron;
use super::day_rules::{EveryWeeks, Nth};
use super::schedule::MAX_STOP_TIMEOUT;
use super::text::shorten;
use super::time::zone;
use super::window::Window;

/// Names the services of the same stack after which a container starts.
pub const AFTER: &str = "docknap.after";

pub(super) const PREFIX: &str = "docknap.";
/// Most rules of a container, and of a stack.
const MOST_RULES: usize = 64;
/// Longest name of a rule, as `night` in `docknap.stop.night`.
const MAX_RULE_NAME: usize = 40;
/// The labels without `docknap.` and `stack.`; those of actions may have a name of the rule behind them.
const KNOWN: [&str; 18] = [
    "sleep",
    "awake",
    "start",
    "stop",
    "restart",
    "pause",
    "unpause",
    "timezone",
    "mode",
    "stop-timeout",
    "every-weeks",
    "anchor",
    "nth",
    "protect",
    "enable",
    "group",
    "after",
    "url",
];

/// A rule that a label asks for, with the labels of its scope that go with it. The texts are as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelRule {
    /// The whole name of the label, such as `docknap.stack.sleep`.
    pub label: String,
    /// Whether it is a rule for the stack of the container.
    pub is_of_stack: bool,
    /// The name behind the action; empty for none.
    pub name: String,
    /// `None` for a window.
    pub action: Option<Action>,
    pub cron: Option<String>,
    /// Window text with its first word.
    pub window: Option<String>,
    pub timezone: Option<String>,
    pub mode: Option<String>,
    pub stop_timeout_seconds: Option<String>,
    pub every_weeks: Option<String>,
    pub anchor: Option<String>,
    pub nth: Option<String>,
}

impl LabelRule {
    /// The rule in one text: two rules with the same text are the same.
    pub fn text(&self) -> String {
        let when = self.cron.as_deref().or(self.window.as_deref()).unwrap_or_default();
        let fields = [
            ("timezone", &self.timezone),
            ("mode", &self.mode),
            ("stop-timeout", &self.stop_timeout_seconds),
            ("every-weeks", &self.every_weeks),
            ("anchor", &self.anchor),
            ("nth", &self.nth),
        ];
        let mut text = when.to_owned();
        for (name, value) in fields {
            if let Some(value) = value {
                let _ = write!(text, "; {name}={value}");
            }
        }
        text
    }

    /// The label behind a field of the schedule that the rule becomes.
    pub fn label_of(&self, field: &str) -> String {
        let shared = match field {
            "timezone" => "timezone",
            "mode" => "mode",
            "stop_timeout_seconds" => "stop-timeout",
            "every_weeks" => "every-weeks",
            "anchor" => "anchor",
            "nth" => "nth",
            _ => return self.label.clone(),
        };
        full(shared, self.is_of_stack)
    }
}

/// The rules of one scope, and what is wrong with its labels, by the whole name of the label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub rules: Vec<LabelRule>,
    pub faults: BTreeMap<String, String>,
}

/// Whether a label is for the stack, and its name without `docknap.` and `stack.`.
pub(super) fn word(label: &str) -> Option<(bool, &str)> {
    let rest = label.strip_prefix(PREFIX)?;
    Some(rest.strip_prefix("stack.").map_or((false, rest), |rest| (true, rest)))
}

pub(super) fn full(word: &str, is_of_stack: bool) -> String {
    format!("{PREFIX}{}{word}", if is_of_stack { "stack." } else { "" })
}

/// The labels that go with every rule of their scope to which they apply.
pub(super) fn is_shared(word: &str) -> bool {
    matches!(word, "timezone" | "mode" | "stop-timeout" | "every-weeks" | "anchor" | "nth")
}

/// The action of a label, and the name of the rule behind it.
fn action(word: &str) -> Option<(Action, &str)> {
    let (action, name) = word.split_once('.').unwrap_or((word, ""));
    matches!(action, "start" | "stop" | "restart" | "pause" | "unpause")
        .then(|| action.parse().ok())
        .flatten()
        .map(|action| (action, name))
}

fn is_window(word: &str) -> bool {
    matches!(word, "sleep" | "awake")
}

pub(super) fn is_of_rules(word: &str) -> bool {
    is_window(word) || is_shared(word) || action(word).is_some()
}

/// Whether a rule has the label's text in one of its fields.
pub(super) fn uses(rule: &LabelRule, label: &str) -> bool {
    let fields = ["timezone", "mode", "stop_timeout_seconds", "every_weeks", "anchor", "nth"];
    let texts =
        [&rule.timezone, &rule.mode, &rule.stop_timeout_seconds, &rule.every_weeks, &rule.anchor, &rule.nth];
    fields.into_iter().zip(texts).any(|(field, text)| text.is_some() && rule.label_of(field) == label)
}

/// The rules of one scope: those of the container, or those of its stack.
pub fn read(labels: &BTreeMap<String, String>, is_of_stack: bool) -> Reading {
    let mut reading = Reading::default();
    let shared = |word: &str| {
        let value = labels.get(&full(word, is_of_stack))?.trim();
        Some(value.to_owned())
    };
    let own = labels.iter().filter_map(|(label, value)| {
        let (of_stack, word) = word(label)?;
        (of_stack == is_of_stack && is_of_rules(word)).then_some((label, word, value.trim()))
    });
    let own: Vec<(&String, &str, &str)> = own.collect();
    for (label, word, value) in &own {
        if let Some(sentence) = problem_of_rule(word, value) {
            reading.faults.insert((*label).clone(), sentence);
        }
        if is_shared(word) {
            continue;
        }
        if reading.rules.len() >= MOST_RULES {
            let sentence =
                format!("this is one rule too many: {MOST_RULES} are read, in the order of their names");
            reading.faults.insert((*label).clone(), sentence);
        }
        let mut rule = LabelRule { label: (*label).clone(), is_of_stack, ..LabelRule::default() };
        rule.timezone = shared("timezone");
        let is_stopping = match action(word) {
            Some((action, name)) => {
                rule.action = Some(action);
                name.clone_into(&mut rule.name);
                rule.cron = Some((*value).to_owned());
                matches!(action, Action::Stop | Action::Restart)
            }
            None => {
                rule.window = Some(format!("{word} {value}"));
                rule.mode = shared("mode");
                true
            }
        };
        if is_stopping {
            rule.stop_timeout_seconds =
                shared("stop-timeout").map(|text| seconds(&text).map_or(text, |seconds| seconds.to_string()));
        }
        if *word != "awake" {
            rule.every_weeks = shared("every-weeks");
            rule.anchor = shared("anchor");
            rule.nth = shared("nth");
        }
        reading.rules.push(rule);
    }
    let weeks = [shared("every-weeks"), shared("anchor")];
    EveryWeeks::read(weeks[0].as_deref(), weeks[1].as_deref(), |field, sentence| {
        let named = if field == "anchor" { "anchor" } else { "every-weeks" };
        // The one that is there is told, where the other is missing.
        let told = [named, "every-weeks", "anchor"].map(|word| full(word, is_of_stack));
        if let Some(label) = told.into_iter().find(|label| labels.contains_key(label)) {
            reading.faults.entry(label).or_insert_with(|| sentence.to_owned());
        }
    });
    let unused: Vec<String> = own
        .iter()
        .filter(|(label, word, _)| is_shared(word) && !reading.rules.iter().any(|rule| uses(rule, label)))
        .map(|(label, ..)| (*label).clone())
        .collect();
    for label in unused {
        let sentence = "there is no rule here that it goes with; a rule is a label such as docknap.sleep";
        reading.faults.entry(label).or_insert_with(|| sentence.to_owned());
    }
    reading
}

/// What is wrong with the value of a rule's label, given without `docknap.` and `stack.`; `None` if it is valid, or is
/// no label of a rule.
pub fn problem_of_rule(word: &str, value: &str) -> Option<String> {
    let value = value.trim();
    if let Some((_, name)) = action(word) {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !is_plain || name.len() > MAX_RULE_NAME || word.ends_with('.') {
            return Some(format!(
                "`{}` is no name of a rule: use up to {MAX_RULE_NAME} letters, digits and hyphens",
                shorten(name)
            ));
        }
        return Cron::parse(value).err().map(|error| format!("{}: {error}", error.field));
    }
    match word {
        "sleep" | "awake" => Window::parse(&format!("{word} {value}")).err().map(|error| error.to_string()),
        "timezone" => zone(value).err().map(|error| error.to_string()),
        "mode" => (!matches!(value, "stop" | "pause")).then(|| "use stop or pause".to_owned()),
        "stop-timeout" => match seconds(value) {
            Some(seconds) if seconds <= MAX_STOP_TIMEOUT => None,
            _ => Some("use seconds or minutes, at most an hour, such as 30s or 5m".to_owned()),
        },
        "nth" => Nth::parse(value).err().map(str::to_owned),
        _ => None,
    }
}

/// Whether a label without `docknap.` and `stack.` is one of a rule.
pub fn is_known_rule(word: &str) -> bool {
    is_of_rules(word)
}

/// The label that an unknown one is probably meant to be, one edit away; without `docknap.`.
pub fn near(name: &str) -> Option<String> {
    let (stack, word) = name.strip_prefix("stack.").map_or(("", name), |word| ("stack.", word));
    let first = word.split('.').next().unwrap_or_default();
    let rest = word.strip_prefix(first).unwrap_or_default();
    // The cost of a comparison grows with the length.
    let is_short = first.len() <= 64;
    let found = KNOWN.iter().find(|known| is_short && strsim::osa_distance(first, known) == 1)?;
    Some(format!("{stack}{found}{rest}"))
}

/// A stop timeout such as `30s`, `5m`, `1h` or `30` in seconds.
fn seconds(text: &str) -> Option<i64> {
    let (digits, unit) = match text.bytes().last()? {
        b's' => (text.strip_suffix('s')?, 1),
        b'm' => (text.strip_suffix('m')?, 60),
        b'h' => (text.strip_suffix('h')?, 3600),
        _ => (text, 1),
    };
    let is_plain =
        !digits.is_empty() && digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| digits.parse::<i64>().ok()).flatten().map(|number| number * unit)
}

/// The services that a `docknap.after` label names.
pub fn after(value: &str) -> impl Iterator<Item = &str> {
    const MOST: usize = 64;
    value.split([',', ' ']).map(str::trim).filter(|service| !service.is_empty()).take(MOST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::carried_labels;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_scope_has_its_rules_with_what_goes_with_each() {
        let labels = labels(&[
            ("docknap.sleep", "Mon-Fri 23:00-07:00"),
            ("docknap.restart.weekly", "0 4 * * 0"),
            ("docknap.awake", "08:00-20:00"),
            ("docknap.timezone", "Europe/Berlin"),
            ("docknap.mode", "pause"),
            ("docknap.stop-timeout", "5m"),
            ("docknap.nth", "1,-1"),
            ("docknap.stack.stop", "0 22 * * *"),
        ]);
        let reading = read(&labels, false);
        assert_eq!(reading.faults, BTreeMap::new());
        let said: Vec<(&str, String)> =
            reading.rules.iter().map(|rule| (rule.label.as_str(), rule.text())).collect();
        assert_eq!(
            said,
            [
                (
                    "docknap.awake",
                    "awake 08:00-20:00; timezone=Europe/Berlin; mode=pause; stop-timeout=300".to_owned()
                ),
                (
                    "docknap.restart.weekly",
                    "0 4 * * 0; timezone=Europe/Berlin; stop-timeout=300; nth=1,-1".to_owned()
                ),
                (
                    "docknap.sleep",
                    "sleep Mon-Fri 23:00-07:00; timezone=Europe/Berlin; mode=pause; stop-timeout=300; \
                     nth=1,-1"
                        .to_owned()
                ),
            ]
        );
        let of_stack = read(&labels, true);
        assert_eq!(of_stack.rules.len(), 1);
        assert_eq!(
            (of_stack.rules[0].action, of_stack.rules[0].timezone.clone()),
            (Some(Action::Stop), None)
        );
    }

    #[test]
    fn each_bad_label_is_named() {
        for (label, value, words) in [
            ("docknap.sleep", "25:00-07:00", "25"),
            ("docknap.stop", "0 25 * * *", "hour"),
            ("docknap.stop.a/b", "0 23 * * *", "is no name of a rule"),
            ("docknap.timezone", "Mars/Olympus", "Mars"),
            ("docknap.mode", "doze", "use stop or pause"),
            ("docknap.stop-timeout", "soon", "such as 30s or 5m"),
            ("docknap.stop-timeout", "2h", "at most an hour"),
            ("docknap.nth", "9", "from 1 to 5"),
            ("docknap.every-weeks", "2", "which weeks"),
            ("docknap.anchor", "2026-11-30", "every how many weeks"),
        ] {
            let mut all = labels(&[("docknap.start", "0 7 * * *")]);
            all.insert(label.to_owned(), value.to_owned());
            let faults = read(&all, false).faults;
            let said = faults.get(label).cloned().unwrap_or_default();
            assert!(said.contains(words), "{label}={value}: {said:?}");
        }
        let many: BTreeMap<String, String> = (0..=MOST_RULES)
            .map(|number| (format!("docknap.stop.n{number:03}"), "0 1 * * *".to_owned()))
            .collect();
        let faults = read(&many, false).faults;
        assert_eq!(faults.keys().collect::<Vec<_>>(), [&format!("docknap.stop.n{MOST_RULES:03}")]);
        let alone = read(&labels(&[("docknap.mode", "stop")]), false).faults;
        assert!(alone["docknap.mode"].contains("no rule here"), "{alone:?}");
    }

    #[test]
    fn a_name_one_edit_away_is_suggested() {
        for (name, meant) in [
            ("slep", Some("sleep")),
            ("stack.awaek", Some("stack.awake")),
            ("stpo.night", Some("stop.night")),
            ("protekt", Some("protect")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(near(name).as_deref(), meant, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_label_text_panics(word in "(stack\\.)?(sleep|awake|stop|start\\.x|mode|nth|anchor|every-weeks|\
                                 stop-timeout|timezone|after|.{0,20})", value in ".{0,60}") {
            let labels = labels(&[(&format!("docknap.{word}"), &value), ("docknap.stop", "0 1 * * *")]);
            for scope in [false, true] {
                for rule in read(&labels, scope).rules {
                    prop_assert!(rule.cron.is_some() != rule.window.is_some());
                    let _ = rule.text();
                }
            }
            let _ = (carried_labels::others(&labels), near(&word), after(&value).count());
        }
    }
}
