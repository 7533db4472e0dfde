//! What DockNap has put to sleep, and whether it still sleeps because of that.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::ids::{HostId, RunId};
use super::inventory::{Container, ContainerState, Inventory};
use super::target::ContainerIdentity;
use super::trace::{Did, Trace};
use super::words::words;

/// An outcome is noted a little after Docker's own time stamp of it; a change within this much is still ours.
const OURS: Duration = Duration::from_secs(5);

words! {
    /// How DockNap put a container to sleep.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum NapKind {
        /// Stopped.
        Stop,
        /// Paused.
        Pause,
    }
}

/// One container that DockNap stopped or paused (rulings 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nap {
    /// Stopped or paused.
    pub kind: NapKind,
    /// By which run.
    pub run_id: RunId,
    /// When that was done, by the clock of the Engine: as Docker's own time stamps are.
    pub since: Timestamp,
}

/// What a container had in use before it was put to sleep, as a rule when the run that did so began; `None` what was
/// not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Memory, in bytes, without what the kernel only caches.
    pub memory_bytes: Option<i64>,
    /// CPU, in thousandths of a core, on average since it came up.
    pub cpu_millicores: Option<i64>,
}

/// One stay asleep of one container, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sleep {
    /// The Engine it lives on.
    pub host: HostId,
    pub identity: ContainerIdentity,
    /// Stopped or paused.
    pub kind: NapKind,
    /// By which run.
    pub run_id: RunId,
    /// When it fell asleep, by our clock as all instants here.
    pub from: Timestamp,
    /// When it was awake again, by whoever's doing; `None` while it sleeps.
    pub until: Option<Timestamp>,
    /// What it had in use before.
    pub sample: Sample,
}

impl Sleep {
    /// When this open stay ended, judged by the container as it is now: `None` while it goes on. A container that is
    /// gone, or of which Docker keeps no time stamp, ended when it was found so, which is `now`.
    ///
    /// `by_us` and `by_engine` turn an instant by the Engine's clock into one by ours, and back.
    pub fn ended(
        &self,
        inventory: &Inventory,
        now: Timestamp,
        by_us: impl Fn(Timestamp) -> Timestamp,
        by_engine: impl Fn(Timestamp) -> Timestamp,
    ) -> Option<Timestamp> {
        let now = now.max(self.from);
        let Some(container) = inventory.by_identity(&self.identity) else { return Some(now) };
        let after = |at: Option<Timestamp>, grace: Duration| {
            at.map(&by_us).filter(|at| *at > self.from.checked_add(grace).unwrap_or(Timestamp::MAX))
        };
        // The inventory may still show the time before a stop.
        let is_old = self.kind == NapKind::Stop
            && container.state.is_up()
            && container.started_at.map(&by_us).is_some_and(|at| at <= self.from);
        let holds = is_old || goes_on(self.kind, by_engine(self.from), container, inventory);
        let told = [after(container.started_at, Duration::ZERO), after(container.finished_at, OURS)];
        (!holds).then(|| told.into_iter().flatten().min().unwrap_or(now).min(now))
    }
}

/// The naps of one host by container.
pub type Naps = HashMap<ContainerIdentity, Nap>;

impl Nap {
    /// Whether a container that is up slept as we left it until somebody woke it.
    pub fn held_until_woken(&self, container: &Container) -> bool {
        let last = match self.kind {
            NapKind::Pause => container.started_at,
            NapKind::Stop => container.finished_at,
        };
        last.is_none_or(|last| last <= self.since + OURS)
    }

    /// Whether it goes on: it is kept by identity, until somebody else is known to have changed the container since
    /// (rulings 33).
    pub fn holds(&self, container: &Container, inventory: &Inventory) -> bool {
        goes_on(self.kind, self.since, container, inventory)
    }
}

/// Whether a container still sleeps as it was put to sleep at `since`, by the Engine's clock. One that was re-created
/// meanwhile, or that a restart of the daemon ended, does.
fn goes_on(kind: NapKind, since: Timestamp, container: &Container, inventory: &Inventory) -> bool {
    // What was done to one that was re-created since, an updater did to make room for it; a start alone is a wish.
    let changed = |trace: &Trace| {
        trace.at > since
            && match trace.did {
                Did::Started => true,
                Did::Ended => false,
                Did::Unpaused | Did::Paused | Did::Stopped | Did::Killed => {
                    trace.container_id == container.id
                }
            }
    };
    if inventory.traces.get(&container.identity).is_some_and(changed) {
        return false;
    }
    match container.state {
        ContainerState::Created => true,
        ContainerState::Paused => kind == NapKind::Pause,
        ContainerState::Exited => {
            container.started_at.is_none_or(|started| started <= since + OURS)
                || inventory.may_have_revived(container, since)
        }
        ContainerState::Running
        | ContainerState::Restarting
        | ContainerState::Removing
        | ContainerState::Dead => false,
    }
}
