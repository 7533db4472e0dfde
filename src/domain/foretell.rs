//! What is done next to a target, and what after that: of all that comes, what does not come to nothing.
//!
//! What would be skipped is left out: a fire that a hold or an override keeps back, a restart of what does not run
//! then, the loser of two that meet, and a wake where nothing naps. What people and Docker do meanwhile nobody knows.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use super::action::Action;
use super::conflict::{self, Fires};
use super::contradiction;
use super::desired::{Rules, Transition};
use super::ids::ScheduleId;
use super::overrides::{DesiredState, Place};
use super::schedule::{Reading, Schedule, Wake};
use super::target::Target;
use super::time::{Instant, serialize_instant};

/// Fires and edges looked at, at most, until one is found that counts.
const MOST: usize = 200;

/// What is done to a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NextJson, description = "What a schedule does next.")]
pub struct NextAction {
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub at: Timestamp,
    pub action: Action,
    #[schema(value_type = String)]
    pub schedule_id: ScheduleId,
    pub schedule_title: String,
    // It is the edge of a window: a nap or a wake.
    #[serde(skip)]
    pub by_window: bool,
}

/// How a target stands: of those of its containers that may be touched, whether …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// … any runs,
    pub runs: bool,
    /// … and any naps.
    pub naps: bool,
}

impl Standing {
    /// It becomes what is wanted.
    pub fn become_as(&mut self, wanted: Option<DesiredState>) {
        match wanted {
            Some(DesiredState::Asleep) => self.after(Action::Stop),
            Some(DesiredState::Awake) if self.naps => self.after(Action::Start),
            _ => {}
        }
    }

    /// This is done to it.
    pub fn after(&mut self, action: Action) {
        *self = match action {
            Action::Start | Action::Unpause => Self { runs: true, naps: false },
            Action::Stop | Action::Pause => Self { runs: false, naps: self.naps || self.runs },
            Action::Restart => *self,
        }
    }
}

/// What is done to a target, in time order: an iterator without an end where a schedule has none.
#[derive(Debug)]
pub struct Foretold<'a> {
    rules: &'a Rules,
    target: &'a Target,
    zone: &'a TimeZone,
    /// `None` = nobody knows: all that comes counts.
    standing: Option<Standing>,
    /// The next fire of each schedule.
    fires: Vec<(Timestamp, &'a Schedule, Reading)>,
    /// The next change of what is wanted.
    edge: Option<Transition>,
}

impl<'a> Foretold<'a> {
    /// What comes after `now`. `fires` are the next fires of its schedules; how it stands is as of now.
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
        // What is wanted now is about to be so.
        if let Some(standing) = &mut standing {
            standing.become_as(rules.at(now).desired(place).wanted);
        }
        Self { rules, target, zone, standing, fires, edge }
    }

    /// The fires of an instant pass: of several the one that goes first counts.
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
        // A stop of what is stopped succeeds, with nothing to do.
        let counts = action != Action::Restart || self.standing.is_none_or(|standing| standing.runs);
        if let Some(standing) = &mut self.standing {
            standing.after(action);
        }
        counts.then(|| NextAction {
            at,
            action,
            schedule_id: first.id.clone(),
            schedule_title: first.title(),
            by_window: false,
        })
    }

    /// What is wanted changes.
    fn pass(&mut self, change: Transition) -> Option<NextAction> {
        let place = Place::of_target(self.target);
        self.edge = self.rules.next_transitions(place, change.at, 1).pop();
        let windows = self.rules.windows_for(place);
        let naps = self.standing.is_none_or(|standing| standing.naps);
        if let Some(standing) = &mut self.standing {
            standing.become_as(change.wanted);
        }
        // The end of an override is told where it is shown.
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
                (_, Some(edge)) => self.pass(edge),
                (_, None) => None,
            }
        })
    }
}
