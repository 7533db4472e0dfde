//! What an action means where windows and overrides want something else (rulings 3 and 4).
//!
//! The scheduler, the buttons and the simulation ask here, so that what is foretold is what happens.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::action::Action;
use super::desired::{Layer, Moment, Rules};
use super::overrides::{DesiredState, LONGEST, Place, Reach};
use super::schedule::Policy;
use super::target::{ContainerIdentity, Subject, Target};

/// Whether an action goes against what is wanted. A restart goes against nothing but a hold.
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

/// Why a cron or once schedule may not act. Displays as the reason of its run: "held: everything is held until …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    /// A hold, rather than an override that wants something else: its end replays nothing.
    pub is_hold: bool,
    /// The text of the layer.
    pub why: String,
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.is_hold { "held" } else { "override" }, self.why)
    }
}

/// Whether a hold or an override keeps a cron or once schedule from acting on its target. Instants are told in `zone`.
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

/// What becomes of an action that goes against a window or an override, by policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It stays as the action made it.
    Respect {
        /// What the action made of its target.
        wanted: DesiredState,
        /// How long that takes an override; `None` where nothing else wants it otherwise: the override that it went
        /// against is over.
        until: Option<Timestamp>,
    },
    /// It is put back after a grace to what was wanted.
    Enforce(DesiredState),
    /// It is only recorded.
    Observe,
}

/// What becomes of an action on a target; `None` where it goes against nothing, or against a hold.
pub fn answer(rules: &Rules, target: &Target, action: Action, now: Timestamp) -> Option<Answer> {
    let desired = rules.at(now).desired(Place::of_target(target));
    let wanted = desired.wanted.filter(|wanted| *wanted != DesiredState::Hold)?;
    if !action.sets_state() || !contradicts(action, wanted) {
        return None;
    }
    let policy = match desired.layer {
        Layer::Window(rule, _) => rule.policy,
        // An override is there because somebody asked for it; who acts against it means it.
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

/// What becomes of a fire of a cron or once schedule: it obeys holds and overrides (rulings 4), and leaves the members
/// they are for alone, so that it goes against windows only.
pub fn answer_to_fire(rules: &Rules, target: &Target, action: Action, now: Timestamp) -> Option<Answer> {
    rules.at(now).desired(Place::of_target(target)).rule()?;
    answer(rules, target, action, now)
}

/// How long an override is needed for what somebody made of a target by hand: until the next edge of its windows, or,
/// with `to`, the next one to that. Overrides have no say in where that edge lies: else what is done twice inside one
/// sleep would last into the next. `None` where what its own override goes before wants the same, and where nothing
/// would end it.
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

/// Those whose windows and overrides an action on `target` may go against: the target itself and, of a stack's
/// containers, those with rules of their own.
pub fn speakers<'a>(
    target: &Target,
    members: impl IntoIterator<Item = &'a ContainerIdentity>,
    rules: &Rules,
) -> Vec<Target> {
    let mut speakers = vec![target.clone()];
    if matches!(target.subject, Subject::Stack(_)) {
        let own = members.into_iter().map(|member| Target::container(target.host.clone(), member.clone()));
        speakers.extend(own.filter(|member| {
            rules.windows().iter().any(|rule| rule.target == *member)
                || rules.overrides().iter().any(|one| one.reach == Reach::Target(member.clone()))
        }));
    }
    speakers
}

/// "started", "stopped", as the reason of an override.
pub fn done(action: Action) -> &'static str {
    match action {
        Action::Start => "started",
        Action::Stop => "stopped",
        Action::Restart => "restarted",
        Action::Pause => "paused",
        Action::Unpause => "unpaused",
    }
}
