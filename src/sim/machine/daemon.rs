//! The daemon goes down and comes back: what that does to containers (semantics §6).

use std::time::Duration;

use super::act::DEFAULT_GRACE;
use super::{Key, Life, Machine, Op};
use crate::sim::world::Stop;

/// How the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonEnd {
    /// `systemctl stop docker`: containers are told to end first and the socket is removed. The time that takes is
    /// not simulated.
    Graceful,
    /// Killed. Containers run on without it; the next start ends them, and the Engine then believes that somebody
    /// stopped them. The socket stays and refuses.
    Crash,
}

impl Machine {
    /// The daemon ends. Calls in flight get no answer.
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

    /// The daemon starts: the events of before are gone, what a crash left is told to end, and those containers run
    /// again that their policy revives.
    pub(crate) fn daemon_starts(&mut self) {
        self.empty_ring();
        if self.daemon_end.take() == Some(DaemonEnd::Crash) {
            self.end_all(true);
        }
        self.fresh.clear();
        self.answered.clear();
        self.daemon_up = true;
        let keys: Vec<Key> = self.containers.keys().copied().collect();
        for key in keys {
            let Some(container) = self.containers.get(&key) else { continue };
            if container.spec.auto_remove {
                self.destroy(key);
            } else if container.life == Life::Exited && container.policy_restarts() {
                self.begin_anew(key);
                let _ = self.launch(key);
            }
        }
    }

    /// Ends every process without a restart by policy; `stopped`: the Engine then holds it for a person's doing.
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
