//! What somebody wants done to a stack or container.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::app::overrides::NewOverride;
use crate::app::{Actor, App};
use crate::domain::action::Action;
use crate::domain::guard::Guard;
use crate::domain::ids::{RunId, ScheduleId};
use crate::domain::run::{Run, Trigger};
use crate::domain::target::{ContainerIdentity, Target};

/// A request, before anything is planned.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to do.
    pub action: Action,
    pub target: Target,
    /// What the target was called when that was last known; counts only while its host has not shown it.
    pub known_as: Option<String>,
    /// What made it.
    pub trigger: Trigger,
    /// The schedule it comes from: id and title.
    pub schedule: Option<(ScheduleId, String)>,
    /// The nominal instant of a scheduled run.
    pub fire_at: Option<Timestamp>,
    /// Stop grace in seconds, where the user set one.
    pub stop_timeout_seconds: Option<i64>,
    /// Why, in words; may be empty.
    pub reason: String,
    /// The run whose failed steps are to be repeated, or which is to be undone.
    pub retry_of: Option<RunId>,
    /// For a start: what naps is woken, and the rest left off (rulings 5).
    pub restore: bool,
    /// What may hold it back for a while; nothing does where a person asks.
    pub guard: Option<Guard>,
    /// The containers that alone are put back to what they were.
    pub puts_back: Option<HashSet<ContainerIdentity>>,
    /// For a start: containers that nobody watched as they ended, and that are started all the same.
    pub also: Vec<ContainerIdentity>,
    /// The override that makes it last.
    pub(crate) lasting: Option<NewOverride>,
}

impl Request {
    /// A request by a person or program, now.
    pub fn now(action: Action, target: Target, trigger: Trigger) -> Self {
        Self {
            action,
            target,
            known_as: None,
            trigger,
            schedule: None,
            fire_at: None,
            stop_timeout_seconds: None,
            reason: String::new(),
            retry_of: None,
            restore: false,
            guard: None,
            puts_back: None,
            also: Vec::new(),
            lasting: None,
        }
    }

    /// The run that does it, of which no container is known yet.
    pub fn into_run(self, app: &App, actor: &Actor, target_name: String, now: Timestamp) -> Run {
        let (schedule_id, schedule_name) = self.schedule.unzip();
        let (id, by) = (app.ids.next(now), actor.reference.clone());
        Run {
            schedule_id,
            schedule_name,
            fire_at: self.fire_at,
            why: self.reason,
            stop_timeout_seconds: self.stop_timeout_seconds,
            retry_of: self.retry_of,
            restore: self.restore && self.action == Action::Start,
            guard: self.guard,
            also: self.also,
            ..Run::new(id, self.target, target_name, self.action, self.trigger, by, now)
        }
    }
}
