//! The state of an active run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::active_runs::Control;
use super::super::usage::Looks;
use crate::app::App;
use crate::docker::Host;
use crate::domain::nap::Sample;
use crate::domain::run::{Run, Step};
use crate::domain::target::ContainerIdentity;

/// An active run with its state in memory.
pub struct RunExecutor {
    pub(super) app: App,
    pub(super) host: Arc<Host>,
    pub(super) run: Run,
    pub(super) steps: Vec<Step>,
    pub(super) control: watch::Receiver<Control>,
    /// Cancelled at an orderly shutdown: no more steps are issued, and the run is resumed at the next start of the
    /// process.
    pub(super) stop: CancellationToken,
    /// Steps whose container was seen running, with the start time of the container.
    pub(super) running: HashMap<usize, Option<Timestamp>>,
    /// When a step began to wait for a health check or a completion, by step and container, on the monotonic clock.
    pub(super) waiting: HashMap<(usize, ContainerIdentity), Duration>,
    /// The stored note about a wait that takes longer than planned; empty without one.
    pub(super) waits_for: String,
    /// Begun by an earlier process: steps that it had not issued fail after the deadline.
    pub(super) resumed: bool,
    /// When the run began, on the monotonic clock.
    pub(super) begun: Duration,
    /// Usage of the containers as read by the guard or before their stop.
    pub(super) samples: HashMap<ContainerIdentity, Sample>,
    /// When the processes of stopped containers ended, by the clock of the Engine.
    pub(super) ends: HashMap<ContainerIdentity, Timestamp>,
    /// The usage readings of this run; `None` before its execution.
    pub(super) looks: Option<Looks>,
    /// How long other runs blocked ready steps while no step of this run was in progress.
    pub(super) blocked_for: Duration,
    /// When the current blocked time began, on the monotonic clock.
    pub(super) blocked_since: Option<Duration>,
}

impl RunExecutor {
    /// The executor of a run that begins now.
    pub fn new(
        app: App,
        host: Arc<Host>,
        run: Run,
        steps: Vec<Step>,
        control: watch::Receiver<Control>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            begun: app.clock.monotonic(),
            samples: app.active_runs.looks().seen(&run.id),
            ends: HashMap::new(),
            looks: None,
            blocked_for: Duration::ZERO,
            blocked_since: None,
            resumed: false,
            running: HashMap::new(),
            waiting: HashMap::new(),
            waits_for: String::new(),
            app,
            host,
            run,
            steps,
            control,
            stop,
        }
    }

    /// Marks a run that an earlier process had begun.
    #[must_use]
    pub fn resumed(self) -> Self {
        Self { resumed: true, ..self }
    }

    /// The deadline of the run on the monotonic clock, which reads `now`.
    pub(super) fn deadline(&self, now: Duration) -> Duration {
        let left = self.run.deadline_at.duration_since(self.app.clock.now());
        // The deadline itself is still in time.
        now + Duration::try_from(left).map_or(Duration::ZERO, |left| left + Duration::from_millis(1))
    }
}
