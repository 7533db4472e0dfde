//! A request to act on a target.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use crate::app::overrides::NewOverride;
use crate::app::{Actor, App};
use crate::domain::action::Action;
use crate::domain::guard::Guard;
use crate::domain::ids::{BatchId, RunId, ScheduleId};
use crate::domain::run::{Run, Trigger};
use crate::domain::target::{ContainerIdentity, Target};

/// A request, before anything is planned.
#[derive(Clone, Debug)]
pub struct Request {
    pub action: Action,
    pub target: Target,
    /// The last known name of the target; used only while the inventory of its host does not contain the target.
    pub known_as: Option<String>,
    /// What caused the request.
    pub trigger: Trigger,
    /// The schedule it comes from: id and title.
    pub schedule: Option<(ScheduleId, String)>,
    /// The planned instant of a scheduled run.
    pub fire_at: Option<Timestamp>,
    /// Stop grace in seconds, where the user set one.
    pub stop_timeout_seconds: Option<i64>,
    /// The reason, as text; may be empty.
    pub reason: String,
    /// The run whose failed steps are to be repeated, or which is to be undone.
    pub retry_of: Option<RunId>,
    /// For a start: wake only napping containers and leave out the rest (rulings 5).
    pub restore: bool,
    /// The guard that may defer the run; `None` for requests by a person.
    pub guard: Option<Guard>,
    /// The containers to which alone the run is limited, which return to their earlier state.
    pub puts_back: Option<HashSet<ContainerIdentity>>,
    /// For a start: containers whose end DockNap did not observe and that are started nevertheless.
    pub also: Vec<ContainerIdentity>,
    /// Binds the runs of one fire of a group's schedule together.
    pub batch: Option<BatchId>,
    /// Containers that the run leaves to another schedule, with the reasons.
    pub leaves: BTreeMap<ContainerIdentity, String>,
    /// The override that makes the result last.
    pub(crate) lasting: Option<NewOverride>,
}

impl Request {
    /// A request without a schedule, to begin now.
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
            batch: None,
            leaves: BTreeMap::new(),
            lasting: None,
        }
    }

    /// The run for this request, before any container is known.
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
            batch: self.batch,
            leaves: self.leaves,
            ..Run::new(id, self.target, target_name, self.action, self.trigger, by, now)
        }
    }
}
