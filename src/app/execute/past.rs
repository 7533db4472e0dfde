//! The reverse of an earlier run: for each step whose container is still as that run left it, the action that undoes
//! it.

use std::collections::HashMap;

use crate::app::App;
use crate::app::error::Result;
use crate::db;
use crate::docker::Host;
use crate::domain::action::Action;
use crate::domain::inventory::{ContainerState, Inventory};
use crate::domain::nap::Naps;
use crate::domain::run::{ALREADY, Run, Step, StepState, Trigger};
use crate::domain::target::ContainerIdentity;

/// A run that is to be undone, with its steps.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub run: Run,
    /// Their instants are by the clock of the Engine, as Docker's are.
    steps: Vec<Step>,
}

/// What an undo does to each container.
#[derive(Clone, Debug, Default)]
pub(super) struct Reverse {
    pub acts: HashMap<ContainerIdentity, Action>,
    pub left: HashMap<ContainerIdentity, String>,
    /// Those of `left` that others changed since: name and reason.
    pub changed: Vec<(String, String)>,
}

impl Past {
    /// The run that `undo` reverses; `None` where `undo` is another kind of run, or the earlier run is deleted.
    pub async fn of(app: &App, undo: &Run) -> Result<Option<Self>> {
        let Some(earlier) = undo.retry_of.as_ref().filter(|_| undo.trigger == Trigger::Undo) else {
            return Ok(None);
        };
        let Some(run) = db::runs::get(&app.db, earlier).await? else { return Ok(None) };
        let steps = db::steps::of_run(&app.db, earlier).await?;
        Ok(app.hosts.get(&run.target.host).map(|host| Self::new(&host, run, steps)))
    }

    pub fn new(host: &Host, run: Run, mut steps: Vec<Step>) -> Self {
        for step in &mut steps {
            step.issued_at = step.issued_at.map(|at| host.by_engine(at));
            step.finished_at = step.finished_at.map(|at| host.by_engine(at));
        }
        Self { run, steps }
    }

    /// Whether the run has not ended, so that its effects are not known yet.
    pub fn is_open(&self) -> bool {
        !self.run.state.is_terminal()
    }

    pub fn reverse(&self, inventory: &Inventory, naps: &Naps) -> Reverse {
        let mut reverse = Reverse::default();
        for step in self.steps.iter().filter(|step| step.wave > 0) {
            match self.reverse_of(step, inventory, naps) {
                Ok(action) => {
                    reverse.acts.insert(step.identity.clone(), action);
                }
                Err((why, is_changed)) => {
                    if is_changed {
                        reverse.changed.push((step.container.clone(), why.to_owned()));
                    }
                    reverse.left.insert(step.identity.clone(), why.to_owned());
                }
            }
        }
        reverse
    }

    /// The action that undoes a step; otherwise the reason why none does, and whether others changed the container
    /// since.
    fn reverse_of(
        &self,
        step: &Step,
        inventory: &Inventory,
        naps: &Naps,
    ) -> std::result::Result<Action, (&'static str, bool)> {
        let back = match step.action {
            Action::Stop | Action::Pause => Action::Start,
            Action::Start => Action::Stop,
            Action::Unpause => Action::Pause,
            Action::Restart => return Err(("a restart is not undone", false)),
        };
        match step.state {
            StepState::Pending => return Err(("the run that is undone had not begun with it", false)),
            // The outcome of the step is not known yet.
            StepState::Issued => return Ok(back),
            _ if step.issued_at.is_none() || step.reason.starts_with(ALREADY) => {
                return Err(("the run that is undone did not change it", false));
            }
            _ => {}
        }
        let Some(container) = inventory.by_identity(&step.identity) else {
            return Err(("it is not there any more", true));
        };
        if back == Action::Start {
            let nap = naps.get(&step.identity).filter(|nap| nap.run_id == self.run.id);
            return match (nap, step.state) {
                (Some(nap), _) if nap.holds(container, inventory) => Ok(back),
                (None, state) if state != StepState::Succeeded => {
                    Err(("the run that is undone did not change it", false))
                }
                _ => Err(("it was changed since", true)),
            };
        }
        let (from, until) = (step.issued_at, step.finished_at);
        let is_ours = container.state == ContainerState::Running
            && container.started_at.zip(until).is_none_or(|(started, until)| started <= until)
            && inventory
                .traces
                .get(&step.identity)
                .is_none_or(|trace| until.is_none_or(|until| trace.at <= until));
        // A failed start counts too where the container came up.
        let came_up = back == Action::Pause
            || container.started_at.zip(from).is_some_and(|(started, from)| started >= from);
        match (is_ours && came_up, step.state) {
            (true, _) => Ok(back),
            (false, StepState::Succeeded) if !container.looks_completed() => {
                Err(("it was changed since", true))
            }
            (false, _) => Err(("it does not run", false)),
        }
    }
}

impl Reverse {
    /// The action of the undoing run, where the earlier run did `action`.
    pub fn action(&self, action: Action) -> Action {
        match action {
            Action::Stop | Action::Pause => Action::Start,
            Action::Unpause => Action::Pause,
            Action::Start | Action::Restart => {
                let pauses = !self.acts.is_empty() && self.acts.values().all(|one| *one == Action::Pause);
                if pauses { Action::Pause } else { Action::Stop }
            }
        }
    }
}
