//! Each kind of thing that needs attention, as a line.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::{AttentionInput, AttentionItem, Cure};
use crate::app::history::FAILURE_HOURS;
use crate::app::stacks::{ContainerView, HostView, ShownState, StackView};
use crate::domain::action::Action;
use crate::domain::inventory::{Link, StackStatus, labels};
use crate::domain::overrides::{DesiredState, Override};
use crate::domain::plan::NOTHING_NAPPED;
use crate::domain::run::{Run, RunState};
use crate::domain::schedule::Schedule;
use crate::domain::target::{Target, TargetType};
use crate::domain::text::capital;
use crate::web::pages::actions::Act;
use crate::web::pages::runs::words;
use crate::web::pages::target_actions::TargetAction;
use crate::web::view::{self, Badge, Now};

/// What a rule wants may take this long to become so, in seconds.
const SETTLES: i64 = 120;

/// Names told in one line: `a, b, c and 2 more`.
fn several(names: &[String]) -> String {
    view::first_few(names, ", ", " and ")
}

/// All of them, in no order.
pub(super) fn all(sight: &AttentionInput, now: &Now) -> Vec<AttentionItem> {
    let AttentionInput { overview, runs, left, storage } = sight;
    let containers = || overview.stacks.iter().flat_map(|stack| &stack.containers).chain(&overview.loose);
    let open = |target: &Target| runs.iter().any(|run| !run.state.is_terminal() && run.target == *target);
    let mut needs: Vec<AttentionItem> = storage.map(unstored).into_iter().collect();
    needs.extend(overview.hosts.iter().filter_map(unreachable));
    needs.extend(containers().filter_map(unwell));
    needs.extend(containers().filter_map(|view| crashed(view, now, &open)));
    needs.extend(overview.stacks.iter().filter_map(|view| partly_up(view, now, &open)));
    needs.extend(overview.stacks.iter().filter_map(|view| drifted_stack(view, now, &open)));
    needs.extend(overview.loose.iter().filter_map(|view| drifted(view, now, &open)));
    needs.extend(overview.stacks.iter().filter_map(|view| {
        let of: Vec<&ContainerView> = view.containers.iter().collect();
        found(&of, (TargetType::Stack, &view.stack.key, &view.stack.name), now)
    }));
    needs.extend(overview.loose.iter().filter_map(|view| {
        found(&[view], (TargetType::Container, &view.container.key(), &view.container.name), now)
    }));
    needs.extend(containers().filter_map(odd_label));
    needs.extend(ownerless(left));
    failed(runs, now, &mut needs);
    needs
}

/// Nothing can be stored: nor can it be that somebody hid this.
fn unstored(fault: &'static str) -> AttentionItem {
    AttentionItem {
        tone: "bad",
        icon: "triangle-alert",
        title: "Nothing can be stored".to_owned(),
        text: capital(fault),
        href: "/health".to_owned(),
        cure: Some(Cure::at_once(Act {
            action: "try",
            label: "Try again",
            icon: "rotate-cw",
            href: "/needs/storage".to_owned(),
            of: "to store".to_owned(),
        })),
        ..AttentionItem::default()
    }
}

fn unreachable(host: &HostView) -> Option<AttentionItem> {
    let Link::Unreachable { reason, since } = &host.link else { return None };
    let name = host.id.as_str();
    Some(AttentionItem {
        id: AttentionItem::id(&["host", name, &since.to_string()]),
        tone: "bad",
        icon: Badge::UNREACHABLE.icon,
        title: format!("Host {} does not answer", view::shown_name(name)),
        text: view::shown_name(reason),
        at: Some(*since),
        href: "/health".to_owned(),
        cure: Some(Cure::at_once(Act {
            action: "try",
            label: "Connect now",
            icon: "rotate-cw",
            href: "/needs/hosts".to_owned(),
            of: format!("to host {name}"),
        })),
        ..AttentionItem::default()
    })
}

/// Schedules that nobody keeps: one line for all of them.
fn ownerless(left: &[(Schedule, String)]) -> Option<AttentionItem> {
    let (first, by) = left.first()?;
    let titles: Vec<String> = left.iter().map(|(one, _)| view::shown_name(&one.title())).collect();
    let ids: Vec<&str> = left.iter().map(|(one, _)| one.id.as_str()).collect();
    let is_one = |name: &String| left.iter().all(|(_, other)| other == name);
    let gone = if is_one(by) {
        format!("The account {} was deleted", view::shown_name(by))
    } else {
        "Their accounts were deleted".to_owned()
    };
    Some(AttentionItem {
        id: AttentionItem::id(&["left", &ids.join(" ")]),
        tone: "warn",
        icon: "circle-user",
        title: match left {
            [_] => format!("{} has no owner", titles[0]),
            several => format!("{} schedules have no owner", several.len()),
        },
        text: if left.len() == 1 { gone } else { format!("{gone}: {}", several(&titles)) },
        href: if left.len() == 1 { format!("/schedules/{}", first.id) } else { "/schedules".to_owned() },
        cure: Some(Cure::at_once(Act {
            action: "adopt",
            label: "Take over",
            icon: "circle-user",
            href: "/needs/owners".to_owned(),
            of: view::count(left.len(), "schedule"),
        })),
        ..AttentionItem::default()
    })
}

fn unwell(view: &ContainerView) -> Option<AttentionItem> {
    let container = &view.container;
    let (text, action, since) = match view.shown {
        ShownState::Unhealthy => ("Its health check fails", Action::Restart, container.unhealthy_since),
        ShownState::RestartLooping => {
            ("It ends again and again, and Docker brings it back each time", Action::Stop, None)
        }
        _ => return None,
    };
    let badge = Badge::from(view.shown);
    let (key, name) = (container.key(), &container.name);
    Some(AttentionItem {
        id: AttentionItem::id(&["unwell", badge.word, &container.id, &since_text(view)]),
        tone: "warn",
        icon: badge.icon,
        title: format!("{} is {}", view::shown_name(name), badge.word.to_lowercase()),
        text: text.to_owned(),
        at: since,
        href: format!("/containers/{key}"),
        cure: cure(view, action),
        since,
        ..AttentionItem::default()
    })
}

/// Since when it is up; of one that restarts again and again that says nothing.
fn since_text(view: &ContainerView) -> String {
    let started = view.container.started_at.filter(|_| view.shown != ShownState::RestartLooping);
    started.map(|at| at.to_string()).unwrap_or_default()
}

/// The buttons of a container that may be touched.
fn cure(view: &ContainerView, action: Action) -> Option<Cure> {
    let touched = view.protected.is_none() && view.container.is_ordinary();
    let act = || {
        Act::new(TargetAction::Do(action), &view::target_page(&view.container.target()), &view.container.name)
    };
    touched.then(act).map(Cure::asks)
}

fn crashed(view: &ContainerView, now: &Now, open: &dyn Fn(&Target) -> bool) -> Option<AttentionItem> {
    let code = view.failure()?;
    let container = &view.container;
    let stack = container.stack().map(|name| Target::stack(container.host.clone(), name));
    if open(&container.target()) || stack.as_ref().is_some_and(open) {
        return None;
    }
    let ended = container.finished_at.map(|at| at.to_string()).unwrap_or_default();
    Some(AttentionItem {
        id: AttentionItem::id(&["crashed", &container.id, &ended]),
        tone: "bad",
        icon: "circle-x",
        title: format!("{} ended with exit code {code}", view::shown_name(&container.name)),
        text: view.by_hand().map_or_else(|| "It is down".to_owned(), |by| now.words(&view::shown_name(&by))),
        at: container.finished_at,
        href: format!("/containers/{}", container.key()),
        cure: cure(view, Action::Start),
        ..AttentionItem::default()
    })
}

/// A stack of which something is down that neither naps, nor failed, nor has done its work: what failed is told itself.
fn partly_up(view: &StackView, now: &Now, open: &dyn Fn(&Target) -> bool) -> Option<AttentionItem> {
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
    let by = first.by_hand().unwrap_or_else(|| "DockNap was not watching when it ended".to_owned());
    let ends = down.iter().map(|one| format!("{} {:?}", one.container.id, one.container.finished_at));
    Some(AttentionItem {
        id: AttentionItem::id(&["partly", key, &ends.collect::<Vec<_>>().join(" ")]),
        tone: "warn",
        icon: Badge::PARTIAL.icon,
        title: format!("{} is only partly up", view::shown_name(stack)),
        text: now.words(&format!("{name} is down{others}. {}", view::shown_name(&by))),
        at: newest,
        href: format!("/stacks/{key}"),
        cure: view.protected.is_none().then(|| {
            Cure::asks(Act::new(TargetAction::Do(Action::Start), &view::target_page(&target), stack))
        }),
        ..AttentionItem::default()
    })
}

/// Whether what is wanted now has been wanted for long enough to be so.
fn has_settled(intervals: &[crate::domain::desired::Interval], now: &Now) -> bool {
    let begun = now.at.checked_sub(SignedDuration::from_secs(SETTLES)).unwrap_or(Timestamp::MIN);
    intervals.iter().any(|interval| interval.from <= begun && now.at < interval.until)
}

fn drifted_stack(view: &StackView, now: &Now, open: &dyn Fn(&Target) -> bool) -> Option<AttentionItem> {
    let (wanted, off) = view.drifted()?;
    let target = Target::stack(view.stack.host.clone(), view.stack.name.clone());
    if open(&target) || !off.iter().any(|one| has_settled(&one.wanted.intervals, now)) {
        return None;
    }
    let names: Vec<String> = off.iter().map(|one| view::shown_name(&one.container.name)).collect();
    let (key, name) = (&view.stack.key, &view.stack.name);
    Some(drift(
        AttentionItem::id(&["drift", key, &drift_mark(wanted, &off)]),
        wanted,
        (TargetType::Stack, key, name),
        drift_text(wanted, &several(&names), &off, now),
    ))
}

fn drifted(view: &ContainerView, now: &Now, open: &dyn Fn(&Target) -> bool) -> Option<AttentionItem> {
    let wanted = view.drifted()?;
    if open(&view.container.target()) || !has_settled(&view.wanted.intervals, now) {
        return None;
    }
    let (key, name) = (view.container.key(), &view.container.name);
    Some(drift(
        AttentionItem::id(&["drift", &key, &drift_mark(wanted, &[view])]),
        wanted,
        (TargetType::Container, &key, name),
        drift_text(wanted, "It", &[view], now),
    ))
}

/// What makes it this drift and no other: what is wanted until when, and since when what is off is as it is.
fn drift_mark(wanted: DesiredState, off: &[&ContainerView]) -> String {
    let mut mark = wanted.as_str().to_owned();
    for view in off {
        let change = view.wanted.transitions.first().map(|change| change.at);
        let since =
            if wanted == DesiredState::Asleep { view.container.started_at } else { view.napping_since };
        let _ = write!(mark, " {} {change:?} {since:?}", view.container.id);
    }
    mark
}

fn drift_text(wanted: DesiredState, which: &str, off: &[&ContainerView], now: &Now) -> String {
    let does = match (wanted, off.len()) {
        (DesiredState::Asleep, 0..2) => "runs in its sleep hours",
        (DesiredState::Asleep, _) => "run in their sleep hours",
        (_, 0..2) => "sleeps in its waking hours",
        _ => "sleep in their waking hours",
    };
    match off.iter().find_map(|view| view.by_hand()) {
        Some(by) => now.words(&format!("{which} {does}. {}", view::shown_name(&by))),
        None => format!("{which} {does}"),
    }
}

fn drift(
    id: String,
    wanted: DesiredState,
    (kind, key, name): (TargetType, &str, &str),
    text: String,
) -> AttentionItem {
    let asleep = wanted == DesiredState::Asleep;
    let shown = view::shown_name(name);
    AttentionItem {
        id,
        tone: "warn",
        icon: Badge::DRIFTED.icon,
        title: format!(
            "{shown} is {} although it should be {}",
            if asleep { "up" } else { "napping" },
            if asleep { "asleep" } else { "awake" }
        ),
        text,
        href: format!("/{kind}s/{key}"),
        cure: Act::naps(&format!("/{kind}s/{key}"), name, (asleep, !asleep)).pop().map(Cure::asks),
        ..AttentionItem::default()
    }
}

/// What was found running in its sleep, by nobody knows whose hand: one line for all of a stack.
fn found(
    of: &[&ContainerView],
    (kind, key, name): (TargetType, &str, &str),
    now: &Now,
) -> Option<AttentionItem> {
    let is_up = |view: &&&ContainerView| view.container.state.is_up();
    let found: Vec<(&ContainerView, &Override)> = of
        .iter()
        .filter(is_up)
        .filter_map(|view| Some((*view, view.wanted.by_override.as_ref().filter(|one| one.is_unproven())?)))
        .collect();
    let (_, first) = found.first()?;
    let names: Vec<String> = found.iter().map(|(view, _)| view::shown_name(&view.container.name)).collect();
    let which = if kind == TargetType::Stack { format!("{}: s", several(&names)) } else { "S".to_owned() };
    let ids: Vec<&str> = found.iter().map(|(_, one)| one.id.as_str()).collect();
    let since = found.iter().map(|(_, one)| one.created_at).max();
    let until = now.when(first.until).short;
    Some(AttentionItem {
        id: AttentionItem::id(&["found", key, &ids.join(" ")]),
        tone: "warn",
        icon: Badge::DRIFTED.icon,
        title: format!("{} was found running in its sleep hours", view::shown_name(name)),
        text: format!("{which}tarted while nobody was watching, so it stays awake until {until}"),
        at: since,
        href: format!("/{kind}s/{key}"),
        cure: Some(Cure::at_once(Act {
            action: "nap-again",
            label: "Nap again",
            icon: "moon",
            href: format!("/{kind}s/{key}/nap-again"),
            of: view::shown_name(name),
        })),
        ..AttentionItem::default()
    })
}

fn odd_label(view: &ContainerView) -> Option<AttentionItem> {
    let problem = labels::problems(&view.container.labels).into_iter().next()?;
    let name = view::shown_name(&view.container.name);
    Some(AttentionItem {
        id: AttentionItem::id(&["label", &view.container.key(), &problem]),
        tone: "warn",
        icon: "triangle-alert",
        title: format!("{name} has a label DockNap cannot read"),
        text: view::shown_name(&problem),
        href: format!("/containers/{}", view.container.key()),
        ..AttentionItem::default()
    })
}

fn failed(runs: &[Run], now: &Now, needs: &mut Vec<AttentionItem>) {
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
        let at = Some(run.finished_at.unwrap_or(run.created_at));
        let href = format!("/runs/{}", run.id);
        if run.state == RunState::Skipped && run.reason.starts_with(NOTHING_NAPPED) {
            let start =
                Act::new(TargetAction::Do(Action::Start), &format!("/{kind}s/{key}"), &run.target_name);
            needs.push(AttentionItem {
                id: AttentionItem::id(&["run", run.id.as_str()]),
                tone: "warn",
                icon: "sunrise",
                title: format!("Nothing of {name} was woken"),
                text: "DockNap had put nothing of it to sleep".to_owned(),
                at,
                cure: Some(Cure::asks(Act { label: "Start all now", ..start })),
                href,
                ..AttentionItem::default()
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
            needs.push(AttentionItem {
                id: AttentionItem::id(&["run", run.id.as_str()]),
                tone: "bad",
                icon: badge.icon,
                title: format!("{} {name}: {}", run.action.label(), badge.word.to_lowercase()),
                text: words::in_short(&run.reason, now),
                at,
                cure: Some(Cure::at_once(retry)),
                href,
                ..AttentionItem::default()
            });
        }
    }
}
