//! Life cycle of a container's process: its start, its end, due entries in between, restarts by policy and the
//! healthcheck.

use std::time::Duration;

use super::{Container, Done, Due, Health, Key, Life, Line, Machine, OpId, Outcome, Refusal};
use crate::sim::world::{Restart, Start, Stop};

/// First delay before a restart by policy; it doubles up to [`LONGEST_BACKOFF`].
pub(super) const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// Runtime after which the delay starts again with [`FIRST_BACKOFF`].
const RAN_WELL: Duration = Duration::from_secs(10);
/// Number of output lines kept for each container.
const LINES: usize = 1000;

impl Container {
    /// Whether the restart policy applies to the ended container. Evaluated at an end of the process and at a start of
    /// the daemon.
    pub(super) fn policy_restarts(&self) -> bool {
        match self.spec.restart {
            Restart::No => false,
            Restart::Always => true,
            Restart::UnlessStopped => !self.manually_stopped,
            Restart::OnFailure(most) => self.exit_code != 0 && (most == 0 || self.restart_count < most),
        }
    }
}

impl Machine {
    pub(super) fn handle_due(&mut self, key: Key, due: Due) {
        let Some(container) = self.containers.get_mut(&key) else { return };
        match due {
            Due::Death { plan } => {
                if container.plan == plan
                    && let Some((_, code)) = container.death
                {
                    self.die(key, code);
                }
            }
            Due::GraceOver(op) => {
                if container.ops.iter().any(|waiting| waiting.id == op) {
                    self.kill_now(key);
                }
            }
            Due::RestartByPolicy { process } => {
                if container.life == Life::Restarting && container.process == process {
                    container.life = Life::Exited;
                    let _ = self.launch(key);
                }
            }
            Due::Passes { watch } => self.apply_health_result(key, watch, Health::Healthy),
            Due::Fails { watch } => self.apply_health_result(key, watch, Health::Unhealthy),
        }
    }

    /// Starts the process, for a client or a restart policy.
    pub(super) fn launch(&mut self, key: Key) -> Outcome {
        let Some(container) = self.containers.get(&key) else { return Err(Refusal::new(404, "gone")) };
        if let Some(refusal) = self.namespace_refusal(container) {
            let container = self.containers.get_mut(&key).expect("it was there just now");
            container.error.clone_from(&refusal.message);
            return Err(refusal);
        }
        if let Some(refusal) = self.network_refusal(container) {
            let container = self.containers.get_mut(&key).expect("it was there just now");
            container.exit_code = 128;
            container.error.clone_from(&refusal.message);
            return Err(refusal);
        }
        let now = self.now;
        let container = self.containers.get_mut(&key).expect("it was there just now");
        if let Start::Refused(message) = container.spec.start.clone() {
            container.exit_code = 127;
            container.error.clone_from(&message);
            return Err(Refusal::new(400, message));
        }
        container.life = Life::Running;
        container.process += 1;
        container.exit_code = 0;
        container.error.clear();
        container.started = Some(now.wall);
        container.started_running = now.running;
        for (stderr, text) in container.spec.output.clone() {
            container.lines.push_back(Line { stderr, at: now.wall, text });
        }
        while container.lines.len() > LINES {
            container.lines.pop_front();
        }
        // The Engine starts the healthcheck before it sends the event `start`.
        self.watch_health(key, true);
        self.emit(key, "start", &[]);
        self.plan_end(key);
        Ok(Done::Changed)
    }

    /// Plans the end of a process that ends by itself; a runtime of zero ends it at once.
    pub(super) fn plan_end(&mut self, key: Key) {
        let Some(container) = self.containers.get_mut(&key) else { return };
        container.frozen = None;
        if let Start::Exits { after, code } = container.spec.start {
            self.plan_death(key, after, code);
        } else {
            container.death = None;
            container.plan += 1;
        }
    }

    /// Plans the end of the process, unless an earlier end is planned.
    pub(super) fn plan_death(&mut self, key: Key, after: Duration, code: i64) {
        let at = self.now.running.saturating_add(after);
        let Some(container) = self.containers.get_mut(&key) else { return };
        if container.death.is_some_and(|(earlier, _)| earlier <= at) {
            return;
        }
        if after.is_zero() {
            self.die(key, code);
            return;
        }
        container.death = Some((at, code));
        container.plan += 1;
        let plan = container.plan;
        self.schedule(after, key, Due::Death { plan });
    }

    /// Freezes the process: pause.
    pub(super) fn freeze(&mut self, key: Key) {
        let now = self.now.running;
        let Some(container) = self.containers.get_mut(&key) else { return };
        container.life = Life::Paused;
        container.frozen = container.death.take().map(|(at, code)| (at.saturating_sub(now), code));
        container.plan += 1;
        self.end_watch(key);
    }

    /// Resumes the process: unpause.
    pub(super) fn thaw(&mut self, key: Key) {
        let Some(container) = self.containers.get_mut(&key) else { return };
        container.life = Life::Running;
        let frozen = container.frozen.take();
        self.watch_health(key, false);
        self.emit(key, "unpause", &[]);
        if let Some((left, code)) = frozen {
            self.plan_death(key, left, code);
        }
    }

    /// Sends SIGTERM.
    pub(super) fn terminate(&mut self, key: Key) {
        let Some(container) = self.containers.get(&key) else { return };
        if let Stop::Graceful { after, code } = container.spec.stop {
            self.plan_death(key, after, code);
        }
    }

    /// Sends SIGKILL, with its event.
    pub(super) fn kill_now(&mut self, key: Key) {
        self.emit(key, "kill", &[("signal", "9".to_owned())]);
        let Some(container) = self.containers.get(&key) else { return };
        if container.life == Life::Paused {
            let container = self.containers.get_mut(&key).expect("it was there just now");
            container.frozen = None;
            self.thaw(key);
        }
        self.die(key, 137);
    }

    /// Handles the end of the process: first the event, then the waiting calls, then the restart policy.
    pub(super) fn die(&mut self, key: Key, code: i64) {
        let now = self.now;
        let Some(container) = self.containers.get_mut(&key) else { return };
        if !container.has_process() {
            return;
        }
        let ran = now.running.saturating_sub(container.started_running);
        container.life = Life::Exited;
        container.exit_code = code;
        container.finished = Some(now.wall);
        container.death = None;
        container.frozen = None;
        container.process += 1;
        container.plan += 1;
        let ops = std::mem::take(&mut container.ops);
        let mode = format!("container:{}", container.id);
        self.end_watch(key);
        self.emit(key, "die", &[("exitCode", code.to_string())]);
        // The kernel ends all processes of a PID namespace together with the first one.
        let inside = self.containers.iter().filter(|(_, one)| one.pid_of.as_ref() == Some(&mode));
        for inside in inside.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.die(inside, 137);
        }
        if ops.is_empty() {
            self.after_end(key, ran);
            return;
        }
        let mut restarts = Vec::new();
        for op in ops {
            self.emit(key, "stop", &[]);
            if op.restart {
                restarts.push(op);
            } else {
                self.answered.push((op.id, Ok(Done::Changed)));
            }
        }
        for op in restarts {
            let outcome = self.restart_launch(key, &op.called);
            self.answered.push((op.id, outcome));
        }
        self.remove_if_asked(key);
    }

    /// Second half of a restart: the start.
    pub(super) fn restart_launch(&mut self, key: Key, called: &str) -> Outcome {
        let outcome = if self.containers.get(&key).is_some_and(Container::has_process) {
            Ok(Done::Changed)
        } else {
            self.reset_restarts(key);
            self.launch(key).map_err(|refusal| {
                Refusal::new(500, format!("Cannot restart container {called}: {}", refusal.message))
            })
        };
        if outcome.is_ok() {
            self.emit(key, "restart", &[]);
        }
        outcome
    }

    /// Resets the restart counter and delay and the mark of a manual stop, as a start by a client does.
    pub(super) fn reset_restarts(&mut self, key: Key) {
        if let Some(container) = self.containers.get_mut(&key) {
            container.restart_count = 0;
            container.backoff = FIRST_BACKOFF;
            container.manually_stopped = false;
        }
    }

    /// Handles an end that no call requested: restart by policy, or removal.
    fn after_end(&mut self, key: Key, ran: Duration) {
        let Some(container) = self.containers.get_mut(&key) else { return };
        if !self.daemon_up || container.manually_stopped || !container.policy_restarts() {
            self.remove_if_asked(key);
            return;
        }
        if ran > RAN_WELL {
            container.backoff = FIRST_BACKOFF;
        }
        let wait = container.backoff;
        container.backoff = (wait * 2).min(LONGEST_BACKOFF);
        container.restart_count += 1;
        container.life = Life::Restarting;
        let process = container.process;
        self.schedule(wait, key, Due::RestartByPolicy { process });
    }

    fn remove_if_asked(&mut self, key: Key) {
        if self.containers.get(&key).is_some_and(|one| one.spec.auto_remove && one.life == Life::Exited) {
            self.destroy(key);
        }
    }

    /// Removes the container.
    pub(super) fn destroy(&mut self, key: Key) {
        self.emit(key, "destroy", &[]);
        if let Some(container) = self.containers.remove(&key) {
            self.names.remove(&container.spec.name);
            self.ids.remove(&container.id);
            let gone = Refusal::no_such(&container.id);
            self.answered.extend(container.ops.iter().map(|op: &super::Op| (op.id, Err(gone.clone()))));
        }
    }

    fn network_refusal(&self, container: &Container) -> Option<Refusal> {
        let id = container.network_of.as_deref()?.strip_prefix("container:")?;
        match self.find(id).ok().and_then(|key| self.containers.get(&key)) {
            None => Some(Refusal::no_such(id)),
            Some(other) if matches!(other.life, Life::Created | Life::Exited) => Some(Refusal::new(
                409,
                format!("cannot join network of a non running container: {}", other.id),
            )),
            Some(other) if other.life == Life::Restarting => Some(Refusal::new(
                409,
                format!("Container {} is restarting, wait until the container is running", other.id),
            )),
            Some(_) => None,
        }
    }

    /// Error of a start if the container whose PID or IPC namespace it uses does not run.
    fn namespace_refusal(&self, container: &Container) -> Option<Refusal> {
        let id_in = |mode: &Option<String>| mode.as_deref()?.strip_prefix("container:").map(str::to_owned);
        let why_not = |id: &str| match self.find(id).ok().and_then(|key| self.containers.get(&key)) {
            None => Some(format!("No such container: {id}")),
            Some(other) if !other.has_process() => Some(format!("container {id} is not running")),
            Some(_) => None,
        };
        let pid = id_in(&container.pid_of).and_then(|id| why_not(&id));
        let ipc = || {
            let id = id_in(&container.ipc_of)?;
            Some(format!("can't join IPC of container {id}: {}", why_not(&id)?))
        };
        pid.or_else(ipc).map(|message| Refusal::new(500, message))
    }

    /// Starts the healthcheck: from `starting` for a new process, from the previous result after a pause.
    pub(super) fn watch_health(&mut self, key: Key, new_process: bool) {
        let now = self.now.running;
        let Some(container) = self.containers.get_mut(&key) else { return };
        container.watch += 1;
        let watch = container.watch;
        let Some(check) = container.spec.healthcheck else {
            container.health = None;
            return;
        };
        if new_process {
            container.health = Some(Health::Starting);
            container.failing = 0;
        }
        let ran = now.saturating_sub(container.started_running);
        let passes = check.passes_after.map(|after| after.saturating_sub(ran).max(check.interval));
        let fails = check.start_period.saturating_sub(ran) + check.interval * check.retries.max(1);
        if passes.is_none_or(|passes| fails < passes) {
            self.schedule(fails, key, Due::Fails { watch });
        }
        if let Some(passes) = passes {
            self.schedule(passes, key, Due::Passes { watch });
        }
    }

    /// Sets the final health at once, as for a container that has been up for a long time.
    pub(super) fn settle_health(&mut self, key: Key) {
        let Some(container) = self.containers.get_mut(&key) else { return };
        container.health = container.spec.healthcheck.map(|check| match check.passes_after {
            Some(_) => Health::Healthy,
            None => Health::Unhealthy,
        });
    }

    /// Ends the healthcheck, at the end of the process or at a pause. The Engine then reports `unhealthy` without an
    /// event: the health of a container that does not run is stale.
    fn end_watch(&mut self, key: Key) {
        let Some(container) = self.containers.get_mut(&key) else { return };
        container.watch += 1;
        if container.health.is_some() {
            container.health = Some(Health::Unhealthy);
        }
    }

    fn apply_health_result(&mut self, key: Key, watch: u64, health: Health) {
        let Some(container) = self.containers.get_mut(&key) else { return };
        if container.watch != watch {
            return;
        }
        container.failing = match (health, container.spec.healthcheck) {
            (Health::Unhealthy, Some(check)) => check.retries.max(1),
            _ => 0,
        };
        if container.health.replace(health) != Some(health) {
            self.emit(key, &format!("health_status: {}", health.word()), &[]);
        }
    }

    pub(super) fn new_op(&mut self) -> OpId {
        self.counter += 1;
        OpId(self.counter)
    }
}
