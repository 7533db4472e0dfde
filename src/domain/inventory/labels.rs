//! Identity, kind and dependencies of a container, parsed from the labels that compose wrote.
//!
//! Labels are hostile input, since anybody who may create a container chooses them. Parsing therefore never fails:
//! every container has an identity and a kind. For an odd label, the interpretation applies with which DockNap acts on
//! less.

use std::collections::BTreeMap;

use super::Kind;
use crate::domain::dependency::{Condition, DEPENDS_ON, parse_depends_on};
use crate::domain::group::label_groups;
use crate::domain::label_rules;
use crate::domain::target::ContainerIdentity;
use crate::domain::text::shorten;

const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const NUMBER: &str = "com.docker.compose.container-number";
const ONE_OFF: &str = "com.docker.compose.oneoff";
const HOOK: &str = "com.docker.compose.hook";
/// Names the groups of a container.
pub const GROUP: &str = "docknap.group";
/// Names the groups of the stack of a container.
pub const STACK_GROUP: &str = "docknap.stack.group";
const SWARM_TASK: &str = "com.docker.swarm.task.id";

/// Identity that survives a re-creation: project, service and number if compose created the container, else its exact
/// name. A missing or invalid number is read from the end of the name (`web_2`, `web-2`), else it is 1.
pub fn identity(name: &str, labels: &BTreeMap<String, String>) -> ContainerIdentity {
    let filled = |label: &str| labels.get(label).filter(|value| !value.is_empty());
    match (filled(PROJECT), filled(SERVICE)) {
        (Some(project), Some(service)) => ContainerIdentity::Service {
            project: project.clone(),
            service: service.clone(),
            number: labels
                .get(NUMBER)
                .and_then(|number| parse_number(number.trim()))
                .or_else(|| name.rsplit(['_', '-']).next().and_then(parse_number))
                .unwrap_or(1),
        },
        _ => ContainerIdentity::Name(name.to_owned()),
    }
}

/// Kind of the container. A `oneoff` label that is not clearly false counts as true.
pub fn kind(labels: &BTreeMap<String, String>) -> Kind {
    if labels.contains_key(SWARM_TASK) {
        Kind::SwarmTask
    } else if labels.contains_key(HOOK) {
        Kind::Hook
    } else if labels.get(ONE_OFF).is_some_and(|value| !is_false(value)) {
        Kind::OneOff
    } else {
        Kind::Ordinary
    }
}

/// Problems of the `docknap.…` labels, one sentence each: unknown values and unknown label names.
pub fn problems(labels: &BTreeMap<String, String>) -> Vec<String> {
    let ours = labels.iter().filter_map(|(name, value)| Some((name.strip_prefix("docknap.")?, value)));
    ours.filter_map(|(name, value)| problem(name, value)).collect()
}

/// Problem of one `docknap.…` label, given its name without `docknap.`; `None` if the label is valid.
pub fn problem(name: &str, value: &str) -> Option<String> {
    match name {
        "protect" | "stack.protect" | "enable" | "stack.enable" if is_false(value) || is_true(value) => None,
        // A URL is read by pages of its own.
        "url" | "stack.url" => None,
        "enable" | "stack.enable" | "protect" | "stack.protect" => {
            Some(format!("docknap.{name} is “{}”: it counts as true; write true or false", shorten(value)))
        }
        "group" | "stack.group" => {
            let (_, others) = label_groups(value);
            let word = others.first()?;
            Some(format!(
                "docknap.{name} names “{}”: a group has small letters, digits and hyphens",
                shorten(word)
            ))
        }
        "after" => label_rules::after(value)
            .next()
            .is_none()
            .then(|| "docknap.after names no service; write such as db,cache".to_owned()),
        _ => {
            let word = name.strip_prefix("stack.").unwrap_or(name);
            if label_rules::is_known_rule(word) {
                return label_rules::problem_of_rule(word, value)
                    .map(|problem| format!("docknap.{} is “{}”: {problem}", shorten(name), shorten(value)));
            }
            let unknown = format!("docknap.{} is no label of DockNap: it does nothing", shorten(name));
            Some(match label_rules::near(name) {
                Some(near) => format!("{unknown}; did you mean docknap.{}?", shorten(&near)),
                None => unknown,
            })
        }
    }
}

/// Services whose completion the container waits for, from its `depends_on` label.
pub fn awaits(labels: &BTreeMap<String, String>) -> Vec<String> {
    let items = labels.get(DEPENDS_ON).map(|label| parse_depends_on(label).0).unwrap_or_default();
    let awaited = items.into_iter().filter(|item| item.condition == Condition::ServiceCompletedSuccessfully);
    awaited.map(|item| item.service).collect()
}

/// Services with which the container restarts, from its `depends_on` label.
pub fn restarts_with(labels: &BTreeMap<String, String>) -> Vec<String> {
    let items = labels.get(DEPENDS_ON).map(|label| parse_depends_on(label).0).unwrap_or_default();
    items.into_iter().filter(|item| item.restart).map(|item| item.service).collect()
}

/// Whether a label's value means false, in any common spelling.
pub(super) fn is_false(value: &str) -> bool {
    let value = value.trim();
    value.is_empty() || ["false", "0", "no", "off"].iter().any(|no| value.eq_ignore_ascii_case(no))
}

/// Whether a label's value explicitly means true. Other values that are not false also count as true.
fn is_true(value: &str) -> bool {
    ["true", "1", "yes", "on"].iter().any(|yes| value.trim().eq_ignore_ascii_case(yes))
}

/// Parses a positive number in plain digits.
fn parse_number(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| plain && *number > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
    }

    fn number(name: &str, number: Option<&str>) -> u32 {
        let mut labels = labels(&[(PROJECT, "media"), (SERVICE, "web")]);
        if let Some(number) = number {
            labels.insert(NUMBER.to_owned(), number.to_owned());
        }
        match identity(name, &labels) {
            ContainerIdentity::Service { number, .. } => number,
            ContainerIdentity::Name(name) => panic!("{name} is a service"),
        }
    }

    #[test]
    fn a_missing_or_odd_number_is_read_off_the_name() {
        assert_eq!(number("media_web_3", Some("2")), 2);
        assert_eq!(number("media_web_3", None), 3);
        assert_eq!(number("media-web-4", Some("x")), 4);
        for odd in ["", "0", "-1", "+2", "1.5", "99999999999", "１", "2 3"] {
            assert_eq!(number("web", Some(odd)), 1, "{odd}");
        }
        assert_eq!(number("web", Some(" 2 ")), 2);
    }

    #[test]
    fn half_a_triple_is_no_service() {
        for half in [&[(PROJECT, "media")][..], &[(SERVICE, "web")], &[(PROJECT, ""), (SERVICE, "web")]] {
            assert_eq!(identity("web", &labels(half)), ContainerIdentity::Name("web".to_owned()));
        }
    }

    #[test]
    fn podman_compose_writes_no_oneoff_and_is_ordinary() {
        assert_eq!(kind(&labels(&[(PROJECT, "media"), (SERVICE, "web")])), Kind::Ordinary);
    }

    #[test]
    fn a_oneoff_in_any_writing_is_left_alone() {
        for yes in ["True", "TRUE", "true", "1", "yes", " True ", "maybe"] {
            assert_eq!(kind(&labels(&[(ONE_OFF, yes)])), Kind::OneOff, "{yes}");
        }
        for no in ["False", "FALSE", "false", "0", "no", ""] {
            assert_eq!(kind(&labels(&[(ONE_OFF, no)])), Kind::Ordinary, "{no}");
        }
        assert_eq!(kind(&labels(&[(HOOK, "post_start")])), Kind::Hook);
        assert_eq!(kind(&labels(&[(SWARM_TASK, "x"), (ONE_OFF, "True")])), Kind::SwarmTask);
    }

    proptest! {
        #[test]
        fn whatever_the_labels_hold_there_is_an_identity(
            name in ".*", project in ".{0,40}", service in ".*", number in ".*", oneoff in ".*",
        ) {
            let labels =
                labels(&[(PROJECT, &project), (SERVICE, &service), (NUMBER, &number), (ONE_OFF, &oneoff)]);
            let identity = identity(&name, &labels);
            prop_assert_eq!(ContainerIdentity::parse(&identity.to_text()), Some(identity));
            kind(&labels);
        }
    }
}
