//! What is known of a run under way.

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

/// A run under way.
pub struct RunExecutor {
    pub(super) app: App,
    pub(super) host: Arc<Host>,
    pub(super) run: Run,
    pub(super) steps: Vec<Step>,
    pub(super) control: watch::Receiver<Control>,
    /// Ends the process in an orderly way: nothing more is issued, the run is taken up again at the next start.
    pub(super) stop: CancellationToken,
    /// Steps whose container was seen running, and since when.
    pub(super) running: HashMap<usize, Option<Timestamp>>,
    /// Since when a step waits for a health check or a completion, by step and container, on the monotonic clock.
    pub(super) waiting: HashMap<(usize, ContainerIdentity), Duration>,
    /// What was said of the run while it waits for longer than it should have to.
    pub(super) waits_for: String,
    /// Begun by a process that is gone: what it had not issued is late after the deadline.
    pub(super) resumed: bool,
    /// Begun at, on the monotonic clock.
    pub(super) begun: Duration,
    /// What its guard saw of the containers, and what was seen of each before it was stopped.
    pub(super) samples: HashMap<ContainerIdentity, Sample>,
    /// When the process of what it stopped ended, by the Engine's clock.
    pub(super) ends: HashMap<ContainerIdentity, Timestamp>,
    /// Begun with the run, where it stops something.
    pub(super) looks: Option<Looks>,
    /// How long nothing was in flight although a step could go, since others had all the permits or a lock.
    pub(super) held_up: Duration,
    /// Since when that is so.
    pub(super) held_since: Option<Duration>,
}

impl RunExecutor {
    /// A run that begins.
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
            held_up: Duration::ZERO,
            held_since: None,
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

    /// The same for a run that a process that is gone had begun.
    #[must_use]
    pub fn resumed(self) -> Self {
        Self { resumed: true, ..self }
    }

    /// The run's deadline on the monotonic clock, which shows `now`.
    pub(super) fn deadline(&self, now: Duration) -> Duration {
        let left = self.run.deadline_at.duration_since(self.app.clock.now());
        // The deadline itself is in time.
        now + Duration::try_from(left).map_or(Duration::ZERO, |left| left + Duration::from_millis(1))
    }
}
