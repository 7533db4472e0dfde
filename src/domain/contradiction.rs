//! Decides what happens to an action that contradicts a window or an override (rulings 3 and 4): whether a schedule may
//! act ([`suppressed`]), and what follows from an action that was taken ([`answer`]).
//!
//! The scheduler, the buttons and the simulation all use these functions, so that previews agree with real runs.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::action::Action;
use super::desired::{Layer, Moment, Rules};
use super::overrides::{DesiredState, LONGEST};
use super::place::Place;
use super::schedule::Policy;
use super::target::{ContainerIdentity, Subject, Target};

/// Whether an action contradicts a desired state. A restart contradicts only a hold.
pub fn contradicts(action: Action, wanted: DesiredState) -> bool {
    match (action, wanted) {
        (_, DesiredState::Hold) => true,
        (Action::Start | Action::Unpause | Action::Restart, DesiredState::Awake) => false,
        (Action::Stop | Action::Pause, DesiredState::Asleep) => false,
        (Action::Restart, DesiredState::Asleep) => false,
        (Action::Start | Action::Unpause, DesiredState::Asleep)
        | (Action::Stop | Action::Pause, DesiredState::Awake) => true,
    }
}

/// The reason why a cron or one-off schedule may not act. `Display` writes the reason of its run: "held: everything is
/// held until …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    /// Whether the cause is a hold. The end of a hold replays nothing; the end of another override replays the fire.
    pub is_hold: bool,
    /// The text of [`super::desired::Desired::why`].
    pub why: String,
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.is_hold { "held" } else { "override" }, self.why)
    }
}

/// Whether a hold or another override prevents a cron or one-off schedule from acting on its target; `None` if not. The
/// reason shows instants in `zone`.
pub fn suppressed(
    moment: &Moment<'_>,
    target: &Target,
    action: Action,
    zone: &TimeZone,
) -> Option<Suppressed> {
    let desired = moment.desired(Place::of_target(target));
    if desired.rule().is_some() || !contradicts(action, desired.wanted?) {
        return None;
    }
    Some(Suppressed { is_hold: desired.wanted == Some(DesiredState::Hold), why: desired.why(zone) })
}

/// The consequence of an action that contradicts a window or an override, by policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The target keeps the state after the action.
    Respect {
        /// The state of the target after the action.
        wanted: DesiredState,
        /// The end of the override that keeps this state. `None` if no override is needed, because the other rules
        /// require the same state; the override that the action contradicts only has to end.
        until: Option<Timestamp>,
    },
    /// The target returns to the given state after a delay.
    Enforce(DesiredState),
    /// The action is only recorded.
    Observe,
}

/// The consequence of an action on a target; `None` if the action contradicts nothing, or contradicts a hold.
pub fn answer(rules: &Rules, target: &Target, action: Action, now: Timestamp) -> Option<Answer> {
    let desired = rules.at(now).desired(Place::of_target(target));
    let wanted = desired.wanted.filter(|wanted| *wanted != DesiredState::Hold)?;
    if !action.sets_state() || !contradicts(action, wanted) {
        return None;
    }
    let policy = match desired.layer {
        Layer::Window(rule, _) => rule.policy,
        // Overrides are set on purpose, so an action against one is on purpose too.
        Layer::Hold(_) | Layer::Override(_) | Layer::None => Policy::Respect,
    };
    Some(match policy {
        Policy::Respect => {
            let made = wanted.other();
            Answer::Respect { wanted: made, until: lasts(rules, target, made, None, now) }
        }
        Policy::Enforce => Answer::Enforce(wanted),
        Policy::Observe => Answer::Observe,
    })
}

/// The consequence of a fire of a cron or one-off schedule. Only windows count, because a fire respects holds and
/// overrides (rulings 4) and does not touch the members of a stack that these cover.
pub fn answer_to_fire(rules: &Rules, target: &Target, action: Action, now: Timestamp) -> Option<Answer> {
    rules.at(now).desired(Place::of_target(target)).rule()?;
    answer(rules, target, action, now)
}

/// The end of the override that is needed to keep a target in the state `made`, to which somebody changed it by hand:
/// the next edge of its windows or, with `to`, the next edge to that state, at most [`LONGEST`] after now.
///
/// Overrides are ignored when searching the edge. Otherwise an action that is repeated inside one sleep would last into
/// the next sleep. `None` if the rules without the target's own override require `made` anyway, or if nothing would end
/// the override.
pub fn lasts(
    rules: &Rules,
    target: &Target,
    made: DesiredState,
    to: Option<DesiredState>,
    now: Timestamp,
) -> Option<Timestamp> {
    let place = Place::of_target(target);
    let moment = rules.at(now);
    let beneath = moment.beneath(target);
    let wanted = match beneath.wanted {
        Some(DesiredState::Hold) => moment.by_window(place).wanted,
        other => other,
    };
    if wanted == Some(made) {
        return None;
    }
    let longest = now.checked_add(LONGEST).unwrap_or(Timestamp::MAX);
    let end = rules.next_window_edge(place, now, to).or(match beneath.layer {
        Layer::Hold(one) | Layer::Override(one) => Some(one.until),
        Layer::Window(..) => Some(longest),
        Layer::None => None,
    });
    end.map(|end| end.min(longest))
}

/// The targets whose windows and overrides an action on `target` may contradict: of a stack or its services these and
/// those of their containers that have windows, overrides or groups of their own; of a host or group its stacks and, as
/// of a stack, its containers.
pub fn speakers<'a>(
    target: &Target,
    members: impl IntoIterator<Item = &'a ContainerIdentity>,
    rules: &Rules,
) -> Vec<Target> {
    if matches!(target.subject, Subject::Container(_)) {
        return vec![target.clone()];
    }
    // A host or group itself has none: what decides about its stacks differs.
    let mut targets = if target.is_wide() { Vec::new() } else { vec![target.clone()] };
    for member in members {
        let container = Target::container(target.host.clone(), member.clone());
        let place = Place::of_target(&container);
        let stack = place.stack.map(|name| Target::stack(target.host.clone(), name));
        let own = match stack {
            Some(stack)
                if !rules.names_apart(&container, target) && !rules.groups().set_apart(&container) =>
            {
                // Of services, their own rules count.
                if target.subject.services().is_some() { target.clone() } else { stack }
            }
            _ => container,
        };
        if !targets.contains(&own) {
            targets.push(own);
        }
    }
    targets
}

/// The past participle of an action for the reason of an override, such as "stopped".
pub fn done(action: Action) -> &'static str {
    match action {
        Action::Start => "started",
        Action::Stop => "stopped",
        Action::Restart => "restarted",
        Action::Pause => "paused",
        Action::Unpause => "unpaused",
    }
}
