//! End and start of the daemon, and their effects on containers (semantics §6).

use std::time::Duration;

use super::act::DEFAULT_GRACE;
use super::{Key, Life, Machine, Op};
use crate::sim::world::Stop;

/// Kind of a daemon's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonEnd {
    /// `systemctl stop docker`: the containers are stopped first and the socket is removed. The time for that is not
    /// simulated.
    Graceful,
    /// SIGKILL: the containers keep running without the daemon. The next start of the daemon ends them, and the Engine
    /// then treats them as stopped by a client. The socket stays and refuses connections.
    Crash,
}

impl Machine {
    /// Ends the daemon. Calls in progress get no response.
    pub(crate) fn daemon_ends(&mut self, end: DaemonEnd) {
        self.daemon_up = false;
        self.daemon_end = Some(end);
        if end == DaemonEnd::Graceful {
            self.end_all(false);
        }
        for container in self.containers.values_mut() {
            container.ops.clear();
        }
        self.answered.clear();
    }

    /// Starts the daemon: earlier events are dropped, containers that survived a crash are stopped, and the restart
    /// policies apply.
    pub(crate) fn daemon_starts(&mut self) {
        self.empty_ring();
        if self.daemon_end.take() == Some(DaemonEnd::Crash) {
            self.end_all(true);
        }
        self.new_events.clear();
        self.answered.clear();
        self.daemon_up = true;
        let keys: Vec<Key> = self.containers.keys().copied().collect();
        for key in keys {
            let Some(container) = self.containers.get(&key) else { continue };
            if container.spec.auto_remove {
                self.destroy(key);
            } else if container.life == Life::Exited && container.policy_restarts() {
                self.reset_restarts(key);
                let _ = self.launch(key);
            }
        }
    }

    /// Ends every process without a restart by policy. `stopped`: the Engine then treats the containers as stopped by a
    /// client.
    fn end_all(&mut self, stopped: bool) {
        let keys: Vec<Key> = self.containers.keys().copied().collect();
        for key in keys {
            let Some(container) = self.containers.get_mut(&key) else { continue };
            let before = container.manually_stopped;
            if container.life == Life::Restarting {
                container.life = Life::Exited;
            }
            if !container.has_process() {
                continue;
            }
            let grace = container.spec.stop_timeout.unwrap_or(DEFAULT_GRACE);
            let grace = Duration::from_secs(grace.try_into().unwrap_or(u64::MAX));
            let code = match container.spec.stop {
                Stop::Graceful { after, code } if after < grace => Some(code),
                _ => None,
            };
            let paused = container.life == Life::Paused;
            container.ops.clear();
            container.frozen = None;
            let op = self.new_op();
            self.emit(key, "kill", &[("signal", "15".to_owned())]);
            if paused {
                self.thaw(key);
            }
            if let Some(container) = self.containers.get_mut(&key) {
                container.ops.push(Op { id: op, restart: false, called: String::new() });
            }
            match code {
                Some(code) => self.die(key, code),
                None => self.kill_now(key),
            }
            if let Some(container) = self.containers.get_mut(&key) {
                container.manually_stopped = before || stopped;
            }
        }
    }
}
