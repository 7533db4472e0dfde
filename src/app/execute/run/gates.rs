//! The conditions a step waits for: dependencies that run, are healthy or have completed, and dependants that are down.

use std::time::Duration;

use super::state::RunExecutor;
use crate::domain::inventory::{Container, ContainerState, Health, patience};
use crate::domain::run::{Condition, StepState, WaitFor};
use crate::domain::target::ContainerIdentity;

/// How long a dependant waits for a health check to pass, unless the intervals of the check require more.
pub(super) const HEALTH_WAIT: Duration = Duration::from_secs(patience::USUAL.unsigned_abs());
/// How long a dependant waits for a one-shot to end with exit code 0.
const COMPLETION_WAIT: Duration = Duration::from_secs(600);

/// The state of the conditions of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// Not fulfilled yet; to be checked again at this monotonic time at the latest.
    Shut(Option<Duration>),
    /// Not fulfilled within its time, with the reason; may still be fulfilled before this monotonic time.
    Late(Duration, String),
    /// Never fulfilled, with the reason.
    Never(String),
}

impl RunExecutor {
    /// The combined state of all conditions of a step.
    pub(super) fn gate(&mut self, index: usize) -> Gate {
        let mut look_again: Option<Duration> = None;
        let mut late: Option<(Duration, String)> = None;
        let mut open = true;
        for wait in self.steps[index].wait_for.clone() {
            match self.gate_of(index, &wait) {
                Gate::Open => {}
                Gate::Shut(at) => {
                    open = false;
                    look_again = match (look_again, at) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                }
                Gate::Late(until, reason) => late = Some((until, reason)),
                never @ Gate::Never(_) => return never,
            }
        }
        match late {
            Some((until, reason)) => Gate::Late(look_again.map_or(until, |at| at.min(until)), reason),
            None if open => Gate::Open,
            None => Gate::Shut(look_again),
        }
    }

    fn gate_of(&mut self, index: usize, wait: &WaitFor) -> Gate {
        let Some(identity) = ContainerIdentity::parse(&wait.identity) else { return Gate::Open };
        if wait.elsewhere {
            return self.gate_elsewhere(index, identity, wait);
        }
        let step = self.steps.iter().position(|step| step.identity == identity && step.wave > 0);
        if wait.condition == Condition::Stopped {
            // A stop continues after failures: only the order matters.
            return match step {
                Some(step) if !self.steps[step].state.is_terminal() => Gate::Shut(None),
                _ => Gate::Open,
            };
        }
        if let Some(step) = step {
            let dependency = &self.steps[step];
            match dependency.state {
                StepState::Failed | StepState::Interrupted => {
                    return Gate::Never(format!("{} did not start", wait.container));
                }
                StepState::Skipped => return Gate::Never(format!("{} was not started", wait.container)),
                StepState::Succeeded => {}
                StepState::Pending | StepState::Issued if self.running.contains_key(&step) => {}
                StepState::Pending | StepState::Issued => return Gate::Shut(None),
            }
        }
        if wait.condition != Condition::ServiceStarted
            && let Some(since) = step.and_then(|step| self.running.get(&step))
            && self.host.inventory().by_identity(&identity).is_none_or(|seen| seen.started_at < *since)
        {
            // The inventory lags slightly behind the Engine: it still shows the state before this start.
            return Gate::Shut(None);
        }
        match wait.condition {
            Condition::ServiceStarted | Condition::Stopped => Gate::Open,
            Condition::ServiceHealthy => self.health_gate(index, identity, wait),
            Condition::ServiceCompletedSuccessfully => self.completion_gate(index, identity, wait),
        }
    }

    fn health_gate(&mut self, index: usize, identity: ContainerIdentity, wait: &WaitFor) -> Gate {
        let (name, limit) = (&wait.container, limit(wait));
        let inventory = self.host.inventory();
        match inventory.by_identity(&identity).map(AsRef::as_ref) {
            Some(Container { state: ContainerState::Running, health: Health::Healthy, .. }) => Gate::Open,
            // Without a health check the status never becomes healthy: running is enough.
            Some(Container { state: ContainerState::Running, has_healthcheck: false, .. }) => Gate::Open,
            Some(Container { state: ContainerState::Exited | ContainerState::Dead, .. })
                if self.has_waited(index, &identity) =>
            {
                Gate::Never(format!("{name} ended before it was healthy"))
            }
            // The check may need longer than its configured times: it may pass until the deadline of the run (rulings
            // 34).
            _ => match self.patience(index, identity, limit, || {
                format!("{name} was not healthy within {} s", limit.as_secs())
            }) {
                Gate::Never(reason) => {
                    let now = self.app.clock.monotonic();
                    let deadline = self.deadline(now);
                    if now < deadline { Gate::Late(deadline, reason) } else { Gate::Never(reason) }
                }
                gate => gate,
            },
        }
    }

    fn completion_gate(&mut self, index: usize, identity: ContainerIdentity, wait: &WaitFor) -> Gate {
        let (name, limit) = (&wait.container, limit(wait));
        let inventory = self.host.inventory();
        match inventory.by_identity(&identity) {
            Some(container) if container.looks_completed() => Gate::Open,
            Some(container)
                if container.state == ContainerState::Exited
                    && container.exit_code != Some(0)
                    && self.has_waited(index, &identity) =>
            {
                Gate::Never(format!("{name} ended with exit code {}", container.exit_code.unwrap_or(-1)))
            }
            _ => self.patience(index, identity, limit, || {
                format!("{name} did not complete within {} s", limit.as_secs())
            }),
        }
    }

    /// The gate of a container of another stack, which waits while a run of that stack acts on it. Without such a run
    /// the gate stays shut briefly, in case one begins together with this run.
    fn gate_elsewhere(&mut self, index: usize, identity: ContainerIdentity, wait: &WaitFor) -> Gate {
        let inventory = self.host.inventory();
        let container = inventory.by_identity(&identity);
        let is_up = container.is_some_and(|container| container.state.is_up());
        let stops = wait.condition == Condition::Stopped;
        if is_up != stops {
            return match wait.condition {
                Condition::ServiceStarted | Condition::Stopped => Gate::Open,
                Condition::ServiceHealthy => self.health_gate(index, identity, wait),
                Condition::ServiceCompletedSuccessfully => self.completion_gate(index, identity, wait),
            };
        }
        let is_done = wait.condition == Condition::ServiceCompletedSuccessfully
            && container.is_some_and(|container| container.looks_completed());
        let at_work = self.app.active_runs.works_on(self.host.id(), &self.run.id, &identity, stops);
        if is_done || (!at_work && self.has_waited(index, &identity)) {
            return Gate::Open;
        }
        let limit = limit(wait);
        let verb = if stops { "stop" } else { "start" };
        match self.patience(index, identity, limit, || {
            format!("{} did not {verb} within {} s", wait.container, limit.as_secs())
        }) {
            // A stop continues after failures.
            Gate::Never(_) if stops => Gate::Open,
            gate => gate,
        }
    }

    /// Whether this gate was shut more than a second ago: the inventory lags slightly behind the Engine, and may show a
    /// container that has just been started as before its start.
    fn has_waited(&self, index: usize, identity: &ContainerIdentity) -> bool {
        self.waiting
            .get(&(index, identity.clone()))
            .is_some_and(|since| self.app.clock.monotonic() > *since + Duration::from_secs(1))
    }

    fn patience(
        &mut self,
        index: usize,
        identity: ContainerIdentity,
        limit: Duration,
        words: impl Fn() -> String,
    ) -> Gate {
        let now = self.app.clock.monotonic();
        let since = *self.waiting.entry((index, identity)).or_insert(now);
        if now >= since + limit {
            Gate::Never(words())
        } else {
            // An early second check: see `has_waited`.
            let soon = since + Duration::from_millis(1100);
            Gate::Shut(Some(if now < soon { soon } else { since + limit }))
        }
    }
}

/// How long a condition is waited for: as the plan says, otherwise the usual time.
pub(super) fn limit(wait: &WaitFor) -> Duration {
    let usual = match wait.condition {
        Condition::ServiceCompletedSuccessfully => COMPLETION_WAIT,
        _ => HEALTH_WAIT,
    };
    wait.seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(usual, Duration::from_secs)
}
