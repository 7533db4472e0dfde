//! Operations on a container, with the results and errors of the real Engine.

use std::time::Duration;

use super::{Begun, Done, Due, Health, Key, Life, Line, Machine, Op, Outcome, Refusal};
use crate::sim::world::ContainerSpec;

/// Default stop grace period, in seconds.
pub(super) const DEFAULT_GRACE: i64 = 10;

impl Machine {
    /// `POST …/start`.
    pub(crate) fn start(&mut self, key: Key) -> Outcome {
        let Some(container) = self.containers.get(&key) else { return Err(Refusal::new(404, "gone")) };
        match container.life {
            Life::Running | Life::Restarting => Ok(Done::AlreadySo),
            Life::Paused => Err(Refusal::new(409, "cannot start a paused container, try unpause instead")),
            Life::Created | Life::Exited => {
                self.reset_restarts(key);
                self.launch(key)
            }
        }
    }

    /// `POST …/stop`, with an optional grace period in seconds; a negative one waits without limit.
    pub(crate) fn stop(&mut self, key: Key, grace: Option<i64>) -> Result<Begun, Refusal> {
        let Some(container) = self.containers.get_mut(&key) else { return Err(Refusal::new(404, "gone")) };
        match container.life {
            Life::Created | Life::Exited => Ok(Begun::Now(Done::AlreadySo)),
            Life::Restarting => {
                container.life = Life::Exited;
                container.manually_stopped = true;
                self.emit(key, "stop", &[]);
                Ok(Begun::Now(Done::Changed))
            }
            Life::Running | Life::Paused => Ok(Begun::Later(self.begin_end(key, grace, None))),
        }
    }

    /// `POST …/restart`; starts a container that is down. `called` is the reference that the caller used.
    pub(crate) fn restart(&mut self, key: Key, grace: Option<i64>, called: &str) -> Result<Begun, Refusal> {
        let Some(container) = self.containers.get(&key) else { return Err(Refusal::new(404, "gone")) };
        if container.has_process() {
            return Ok(Begun::Later(self.begin_end(key, grace, Some(called.to_owned()))));
        }
        self.stop(key, grace)?;
        self.restart_launch(key, called).map(Begun::Now)
    }

    fn begin_end(&mut self, key: Key, grace: Option<i64>, restart: Option<String>) -> super::OpId {
        let id = self.new_op();
        let container = self.containers.get_mut(&key).expect("the caller looked");
        let grace = grace.or(container.spec.stop_timeout).unwrap_or(DEFAULT_GRACE);
        let paused = container.life == Life::Paused;
        container.manually_stopped = true;
        container.ops.push(Op { id, restart: restart.is_some(), called: restart.unwrap_or_default() });
        self.emit(key, "kill", &[("signal", "15".to_owned())]);
        if paused {
            self.thaw(key);
        }
        if let Ok(grace) = u64::try_from(grace) {
            self.schedule(Duration::from_secs(grace), key, Due::GraceOver(id));
        }
        self.terminate(key);
        id
    }

    /// `POST …/pause`.
    pub(crate) fn pause(&mut self, key: Key) -> Outcome {
        let Some(container) = self.containers.get(&key) else { return Err(Refusal::new(404, "gone")) };
        let id = &container.id;
        match container.life {
            Life::Running => {
                self.freeze(key);
                self.emit(key, "pause", &[]);
                Ok(Done::Changed)
            }
            Life::Paused => Err(Refusal::new(409, format!("Container {id} is already paused"))),
            Life::Restarting => Err(Refusal::new(
                409,
                format!("Container {id} is restarting, wait until the container is running"),
            )),
            Life::Created | Life::Exited => Err(Refusal::new(409, format!("Container {id} is not running"))),
        }
    }

    /// `POST …/unpause`.
    pub(crate) fn unpause(&mut self, key: Key) -> Outcome {
        let Some(container) = self.containers.get(&key) else { return Err(Refusal::new(404, "gone")) };
        if container.life != Life::Paused {
            return Err(Refusal::new(500, format!("Container {} is not paused", container.id)));
        }
        self.thaw(key);
        Ok(Done::Changed)
    }

    /// `docker kill`; the restart policy does not apply afterwards.
    pub(crate) fn kill(&mut self, key: Key) -> Outcome {
        let Some(container) = self.containers.get_mut(&key) else { return Err(Refusal::new(404, "gone")) };
        if !container.has_process() {
            return Err(Refusal::new(409, format!("Container {} is not running", container.id)));
        }
        container.manually_stopped = true;
        self.kill_now(key);
        Ok(Done::Changed)
    }

    /// Ends the process by itself.
    pub(crate) fn exit(&mut self, key: Key, code: i64) {
        self.die(key, code);
    }

    /// `docker create`.
    pub(crate) fn create(&mut self, spec: ContainerSpec) -> Key {
        let key = self.insert(spec);
        self.emit(key, "create", &[]);
        key
    }

    /// `docker rename`.
    pub(crate) fn rename(&mut self, key: Key, name: &str) -> Outcome {
        if self.names.contains_key(name) {
            let message = format!("Conflict. The container name \"/{name}\" is already in use");
            return Err(Refusal::new(409, message));
        }
        let Some(container) = self.containers.get_mut(&key) else { return Err(Refusal::new(404, "gone")) };
        let old = std::mem::replace(&mut container.spec.name, name.to_owned());
        self.names.remove(&old);
        self.names.insert(name.to_owned(), key);
        self.emit(key, "rename", &[("oldName", format!("/{old}"))]);
        Ok(Done::Changed)
    }

    /// `docker rm --force`.
    pub(crate) fn remove(&mut self, key: Key) {
        if let Some(container) = self.containers.get_mut(&key) {
            container.manually_stopped = true;
            if container.has_process() {
                self.kill_now(key);
            }
        }
        if self.containers.contains_key(&key) {
            self.destroy(key);
        }
    }

    /// Sets the result of the healthcheck from now on, with immediate effect on a running container.
    pub(crate) fn set_healthy(&mut self, key: Key, healthy: bool) {
        let ran = self.now.running;
        let Some(container) = self.containers.get_mut(&key) else { return };
        if let Some(check) = container.spec.healthcheck.as_mut() {
            check.passes_after = healthy.then_some(Duration::ZERO);
            container.watch += 1;
            let health = if healthy { Health::Healthy } else { Health::Unhealthy };
            let running = container.life == Life::Running && ran >= container.started_running;
            if running && container.health.replace(health) != Some(health) {
                self.emit(key, &format!("health_status: {}", health.word()), &[]);
            }
        }
    }

    /// Adds a line of output.
    pub(crate) fn print(&mut self, key: Key, stderr: bool, text: &str) {
        let at = self.now.wall;
        if let Some(container) = self.containers.get_mut(&key) {
            container.lines.push_back(Line { stderr, at, text: text.to_owned() });
        }
    }
}
