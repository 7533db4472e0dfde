//! What a person should look at, each with what mends it.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use crate::app::history::FAILURE_HOURS;
use crate::app::stacks::{ContainerView, Overview, ShownState, StackView};
use crate::domain::action::Action;
use crate::domain::inventory::{StackStatus, labels};
use crate::domain::overrides::Wanted;
use crate::domain::plan::NOTHING_NAPPED;
use crate::domain::run::{Run, RunState};
use crate::domain::sorted;
use crate::domain::target::{Target, TargetType};
use crate::web::pages::actions::Act;
use crate::web::pages::runs::words;
use crate::web::view::{self, Badge, Now, When};

/// What a rule wants may take this long to become so, in seconds.
const SETTLES: i64 = 120;

/// What mends something.
#[derive(Clone, Debug)]
pub struct Cure {
    /// The button, and where it leads.
    pub act: Act,
    /// It is done at once, without a question.
    pub at_once: bool,
}

/// Something a person should look at.
#[derive(Clone, Debug)]
pub struct Need {
    /// `bad` or `warn`.
    pub tone: &'static str,
    /// Its symbol.
    pub icon: &'static str,
    /// What, as a link.
    pub title: String,
    /// What is wrong.
    pub text: String,
    /// Since when.
    pub when: Option<When>,
    /// Where to look.
    pub href: String,
    /// What mends it.
    pub cure: Option<Cure>,
}

fn asks(act: Act) -> Cure {
    Cure { act, at_once: false }
}

/// What is unwell or failed now, stacks that are only partly up, what is not as its rule says, labels that mean nothing,
/// and each target whose newest run failed not long ago. The newest first; what has no known beginning comes last.
pub fn needs(overview: &Overview, runs: &[Run], now: &Now) -> Vec<Need> {
    let containers = || overview.stacks.iter().flat_map(|stack| &stack.containers).chain(&overview.loose);
    let mut needs: Vec<Need> = containers().filter_map(unwell).collect();
    let open = |target: &Target| runs.iter().any(|run| !run.state.is_terminal() && run.target == *target);
    needs.extend(containers().filter_map(|view| crashed(view, now, &open)));
    needs.extend(overview.stacks.iter().filter_map(|view| partly_up(view, now, &open)));
    needs.extend(overview.stacks.iter().filter_map(|view| drifted_stack(view, now, &open)));
    needs.extend(overview.loose.iter().filter_map(|view| drifted(view, now, &open)));
    needs.extend(containers().filter_map(odd_label));
    failed(runs, now, &mut needs);
    sorted::by_key(&mut needs, |need| Reverse(need.when.as_ref().map(|when| when.iso.clone())));
    needs
}

fn unwell(view: &ContainerView) -> Option<Need> {
    let (text, action) = match view.shown {
        ShownState::Unhealthy => ("Its health check fails.", Action::Restart),
        ShownState::RestartLooping => {
            ("It ends again and again, and Docker brings it back each time.", Action::Stop)
        }
        _ => return None,
    };
    let badge = Badge::from(view.shown);
    let (key, name) = (view.container.key(), &view.container.name);
    Some(Need {
        tone: "warn",
        icon: badge.icon,
        title: format!("{} is {}", view::shown_name(name), badge.word.to_lowercase()),
        text: text.to_owned(),
        when: None,
        href: format!("/containers/{key}"),
        cure: cure(view, action),
    })
}

/// The buttons of a container that may be touched.
fn cure(view: &ContainerView, action: Action) -> Option<Cure> {
    let touched = view.protected.is_none() && view.container.is_ordinary();
    let act = || Act::new(action, TargetType::Container, &view.container.key(), &view.container.name);
    touched.then(act).map(asks)
}

fn crashed(view: &ContainerView, now: &Now, open: &dyn Fn(&Target) -> bool) -> Option<Need> {
    let code = view.failure()?;
    let container = &view.container;
    let stack = container.stack().map(|name| Target::stack(container.host.clone(), name));
    if open(&container.target()) || stack.as_ref().is_some_and(open) {
        return None;
    }
    Some(Need {
        tone: "bad",
        icon: "circle-x",
        title: format!("{} ended with exit code {code}", view::shown_name(&container.name)),
        text: "It is down".to_owned(),
        when: container.finished_at.map(|at| now.when(at)),
        href: format!("/containers/{}", container.key()),
        cure: cure(view, Action::Start),
    })
}

/// A stack of which something is down that neither naps, nor failed, nor has done its work: what failed is told itself.
fn partly_up(view: &StackView, now: &Now, open: &dyn Fn(&Target) -> bool) -> Option<Need> {
    let target = Target::stack(view.stack.host.clone(), view.stack.name.clone());
    if view.stack.status != StackStatus::Partial || open(&target) {
        return None;
    }
    let is_down = |one: &&ContainerView| {
        one.shown == ShownState::Stopped && one.container.is_ordinary() && one.failure().is_none()
    };
    let down: Vec<&ContainerView> = view.containers.iter().filter(is_down).collect();
    let newest = down.iter().filter_map(|one| one.container.finished_at).max();
    let (first, more) = (down.first()?, down.len() - 1);
    let name = view::shown_name(&first.container.name);
    let others = if more > 0 { format!(", and {more} more") } else { String::new() };
    let (key, stack) = (&view.stack.key, &view.stack.name);
    Some(Need {
        tone: "warn",
        icon: Badge::PARTIAL.icon,
        title: format!("{} is only partly up", view::shown_name(stack)),
        text: format!("{name} is down{others}. {}", first.why()),
        when: newest.map(|at| now.when(at)),
        href: format!("/stacks/{key}"),
        cure: view.protected.is_none().then(|| asks(Act::new(Action::Start, TargetType::Stack, key, stack))),
    })
}

/// Whether what is wanted now has been wanted for long enough to be so.
fn has_settled(spells: &[crate::domain::desired::Spell], now: &Now) -> bool {
    let begun = now.at.checked_sub(SignedDuration::from_secs(SETTLES)).unwrap_or(Timestamp::MIN);
    spells.iter().any(|spell| spell.from <= begun && now.at < spell.until)
}

fn drifted_stack(view: &StackView, now: &Now, open: &dyn Fn(&Target) -> bool) -> Option<Need> {
    let (wanted, off) = view.drifted()?;
    let target = Target::stack(view.stack.host.clone(), view.stack.name.clone());
    if open(&target) || !off.iter().any(|one| has_settled(&one.wanted.spells, now)) {
        return None;
    }
    let names: Vec<String> = off.iter().take(3).map(|one| view::shown_name(&one.container.name)).collect();
    let more = if off.len() > 3 { format!(" and {} more", off.len() - 3) } else { String::new() };
    let (key, name) = (&view.stack.key, &view.stack.name);
    Some(drift(wanted, name, TargetType::Stack, key, &format!("{}{more}", names.join(", "))))
}

fn drifted(view: &ContainerView, now: &Now, open: &dyn Fn(&Target) -> bool) -> Option<Need> {
    let wanted = view.drifted()?;
    if open(&view.container.target()) || !has_settled(&view.wanted.spells, now) {
        return None;
    }
    let (key, name) = (view.container.key(), &view.container.name);
    Some(drift(wanted, name, TargetType::Container, &key, "It"))
}

fn drift(wanted: Wanted, name: &str, kind: TargetType, key: &str, which: &str) -> Need {
    let asleep = wanted == Wanted::Asleep;
    let shown = view::shown_name(name);
    Need {
        tone: "warn",
        icon: Badge::DRIFTED.icon,
        title: format!(
            "{shown} is {} although it should be {}",
            if asleep { "up" } else { "napping" },
            if asleep { "asleep" } else { "awake" }
        ),
        text: format!(
            "{which} {}",
            if asleep { "runs in its sleep hours" } else { "sleeps in its waking hours" }
        ),
        when: None,
        href: format!("/{kind}s/{key}"),
        cure: Act::naps(kind, key, name, asleep, !asleep).pop().map(asks),
    }
}

fn odd_label(view: &ContainerView) -> Option<Need> {
    let problem = labels::problems(&view.container.labels).into_iter().next()?;
    let name = view::shown_name(&view.container.name);
    Some(Need {
        tone: "warn",
        icon: "triangle-alert",
        title: format!("{name} has a label DockNap cannot read"),
        text: view::shown_name(&problem),
        when: None,
        href: format!("/containers/{}", view.container.key()),
        cure: None,
    })
}

fn failed(runs: &[Run], now: &Now, needs: &mut Vec<Need>) {
    let oldest = now.at.checked_sub(SignedDuration::from_hours(FAILURE_HOURS)).unwrap_or(Timestamp::MIN);
    let mut seen: Vec<&Target> = Vec::new();
    let tells = |run: &&Run| run.started_at.is_some() || run.reason.starts_with(NOTHING_NAPPED);
    for run in runs.iter().filter(|run| run.created_at >= oldest).filter(tells) {
        if seen.contains(&&run.target) {
            continue;
        }
        seen.push(&run.target);
        let (kind, key, name) =
            (run.target.target_type(), run.target.key(), view::shown_name(&run.target_name));
        let when = Some(now.when(run.finished_at.unwrap_or(run.created_at)));
        let href = format!("/runs/{}", run.id);
        if run.state == RunState::Skipped && run.reason.starts_with(NOTHING_NAPPED) {
            let start = Act::new(Action::Start, kind, &key, &run.target_name);
            needs.push(Need {
                tone: "warn",
                icon: "sunrise",
                title: format!("Nothing of {name} was woken"),
                text: "DockNap had put nothing of it to sleep".to_owned(),
                when,
                cure: Some(asks(Act { label: "Start all now", ..start })),
                href,
            });
        } else if run.state.needs_attention() {
            let badge = Badge::from(run.state);
            let retry = Act {
                action: "retry",
                label: if run.state == RunState::Partial { "Retry failed only" } else { "Try again" },
                icon: "rotate-cw",
                href: format!("{href}/retry"),
                of: name.clone(),
            };
            needs.push(Need {
                tone: "bad",
                icon: badge.icon,
                title: format!("{} {name}: {}", run.action.label(), badge.word.to_lowercase()),
                text: words::in_short(&run.reason, now),
                when,
                cure: Some(Cure { act: retry, at_once: true }),
                href,
            });
        }
    }
}

/// Needs to try templates with.
pub fn samples() -> Vec<Need> {
    let now = Now::sample();
    let key = "0123456789abcdef";
    vec![
        Need {
            tone: "bad",
            icon: "circle-x",
            title: "Start ci-runner: failed".to_owned(),
            text: "media-web-1 ended with exit code 127".to_owned(),
            when: Some(now.plus(-4000)),
            href: "/runs/1".to_owned(),
            cure: Some(Cure {
                act: Act {
                    action: "retry",
                    label: "Try again",
                    icon: "rotate-cw",
                    href: "/runs/1/retry".to_owned(),
                    of: "ci-runner".to_owned(),
                },
                at_once: true,
            }),
        },
        Need {
            tone: "warn",
            icon: "sunrise",
            title: "Nothing of media was woken".to_owned(),
            text: "DockNap had put nothing of it to sleep".to_owned(),
            when: Some(now.plus(-9000)),
            href: "/runs/1".to_owned(),
            cure: Some(asks(Act {
                label: "Start all now",
                ..Act::new(Action::Start, TargetType::Stack, key, "media")
            })),
        },
        drift(Wanted::Asleep, "shop", TargetType::Stack, key, "shop-web-1"),
        Need {
            tone: "warn",
            icon: "heart-crack",
            title: "wiki-web-1 is unhealthy".to_owned(),
            text: "Its health check fails.".to_owned(),
            when: None,
            href: "/containers/0123456789abcdef".to_owned(),
            cure: None,
        },
    ]
}
