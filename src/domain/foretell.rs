//! Predicts the next actions on one target, as an iterator ([`Foretold`]).
//!
//! Actions that would be skipped are left out: a fire that a hold or an override suppresses, a restart of a target that
//! does not run then, the second of two schedules that fire in the same minute, and a wake without a nap. Actions of
//! users and of Docker in the meantime are unknown and ignored.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use super::action::Action;
use super::conflict;
use super::contradiction;
use super::day_rules::Reading;
use super::desired::{Rules, Transition};
use super::fires::Fires;
use super::ids::ScheduleId;
use super::overrides::DesiredState;
use super::place::Place;
use super::schedule::{Schedule, Wake};
use super::target::Target;
use super::time::{Instant, serialize_instant};

/// The most fires and edges that are examined for one result.
const MOST: usize = 200;

/// A predicted action on a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NextJson, description = "The next action of a schedule.")]
pub struct NextAction {
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub at: Timestamp,
    pub action: Action,
    #[schema(value_type = String)]
    pub schedule_id: ScheduleId,
    pub schedule_title: String,
    // Set for the start or the end of a window's sleep.
    #[serde(skip)]
    pub by_window: bool,
}

/// The state of a target's containers, without those that DockNap must not touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether any container runs.
    pub runs: bool,
    /// Whether any container naps.
    pub naps: bool,
}

impl Standing {
    /// Changes the state to the desired state.
    pub fn become_as(&mut self, wanted: Option<DesiredState>) {
        match wanted {
            Some(DesiredState::Asleep) => self.after(Action::Stop),
            Some(DesiredState::Awake) if self.naps => self.after(Action::Start),
            _ => {}
        }
    }

    /// Changes the state to the one after an action.
    pub fn after(&mut self, action: Action) {
        *self = match action {
            Action::Start | Action::Unpause => Self { runs: true, naps: false },
            Action::Stop | Action::Pause => Self { runs: false, naps: self.naps || self.runs },
            Action::Restart => *self,
        }
    }
}

/// The predicted actions on a target, in time order. The iterator is infinite if a schedule never ends.
#[derive(Debug)]
pub struct Foretold<'a> {
    rules: &'a Rules,
    target: &'a Target,
    zone: &'a TimeZone,
    /// The state of the target; `None` = unknown, so that no action is left out because of it.
    standing: Option<Standing>,
    /// The next fire of each schedule.
    fires: Vec<(Timestamp, &'a Schedule, Reading)>,
    /// The next change of the desired state.
    edge: Option<Transition>,
}

impl<'a> Foretold<'a> {
    /// Predicts the actions after `now`. `fires` are the next fires of the target's schedules, and `standing` is the
    /// state of the target at `now`.
    pub fn new(
        rules: &'a Rules,
        target: &'a Target,
        zone: &'a TimeZone,
        mut standing: Option<Standing>,
        fires: Vec<(Timestamp, &'a Schedule, Reading)>,
        now: Timestamp,
    ) -> Self {
        let place = Place::of_target(target);
        let edge = rules.next_transitions(place, now, 1).pop();
        // The scheduler applies the current desired state at once.
        if let Some(standing) = &mut standing {
            standing.become_as(rules.at(now).desired(place).wanted);
        }
        Self { rules, target, zone, standing, fires, edge }
    }

    /// Processes the fires of one instant. Of several fires only the one that goes first counts.
    fn fire(&mut self, at: Timestamp) -> Option<NextAction> {
        let due = self.fires.iter().filter(|(next, ..)| *next == at).map(|(_, schedule, _)| *schedule);
        let first =
            due.min_by(|a, b| conflict::precedence_of(&a.spec, &b.spec).then_with(|| a.id.cmp(&b.id)))?;
        self.fires.retain_mut(|(next, schedule, reading)| {
            if *next == at {
                let after = Fires::of(&schedule.spec.when, reading, None).and_then(|fires| fires.next(at));
                let Some(after) = after else { return false };
                *next = after;
            }
            true
        });
        let action = first.spec.action;
        let moment = self.rules.at(at);
        if contradiction::suppressed(&moment, self.target, action, self.zone).is_some() {
            return None;
        }
        // A restart is skipped if nothing runs; other actions succeed even if there is nothing to do.
        // A start of a host or group wakes only what naps.
        let counts = match (action, self.standing) {
            (_, None) => true,
            (Action::Restart, Some(standing)) => standing.runs,
            (Action::Start, Some(standing)) if first.spec.target.is_wide() => standing.naps,
            _ => true,
        };
        if !counts {
            return None;
        }
        if let Some(standing) = &mut self.standing {
            standing.after(action);
        }
        Some(NextAction {
            at,
            action,
            schedule_id: first.id.clone(),
            schedule_title: first.title(),
            by_window: false,
        })
    }

    /// Processes a change of the desired state.
    fn change(&mut self, change: Transition) -> Option<NextAction> {
        let place = Place::of_target(self.target);
        self.edge = self.rules.next_transitions(place, change.at, 1).pop();
        let windows = self.rules.windows_for(place);
        let naps = self.standing.is_none_or(|standing| standing.naps);
        if let Some(standing) = &mut self.standing {
            standing.become_as(change.wanted);
        }
        // A change by an override has no schedule and is left out, because it is shown with the override.
        let schedule_id = change.schedule?;
        let wakes_all = |one: &&super::desired::WindowRule| one.id == schedule_id && one.wake == Wake::All;
        let action = match change.wanted? {
            DesiredState::Awake if naps || windows.iter().any(wakes_all) => Action::Start,
            DesiredState::Asleep => windows.first().map_or(Action::Stop, |rule| rule.sleep),
            DesiredState::Awake | DesiredState::Hold => return None,
        };
        Some(NextAction { at: change.at, action, schedule_id, schedule_title: change.by, by_window: true })
    }
}

impl Iterator for Foretold<'_> {
    type Item = NextAction;

    fn next(&mut self) -> Option<NextAction> {
        (0..MOST).find_map(|_| {
            let fire = self.fires.iter().map(|(at, ..)| *at).min();
            match (fire, self.edge.take()) {
                (Some(at), edge) if edge.as_ref().is_none_or(|edge| at <= edge.at) => {
                    self.edge = edge;
                    self.fire(at)
                }
                (_, Some(edge)) => self.change(edge),
                (_, None) => None,
            }
        })
    }
}
