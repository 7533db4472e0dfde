//! The containers that DockNap has stopped or paused (naps). A [`Nap`] is an open nap of a container on a host, with
//! the check whether the nap still holds; a [`Sleep`] is a stored nap with its start and end, for reports.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::ids::{HostId, RunId};
use super::inventory::{Container, ContainerState, Inventory};
use super::target::ContainerIdentity;
use super::trace::{Did, Trace};
use super::words::words;

/// DockNap records the result of a stop or pause slightly after Docker's own time stamp. A change within this time
/// after the recorded instant is attributed to DockNap.
const GRACE: Duration = Duration::from_secs(5);

words! {
    /// The action by which DockNap put a container to sleep.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum NapKind {
        Stop,
        Pause,
    }
}

/// One container that DockNap stopped or paused (rulings 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nap {
    pub kind: NapKind,
    /// The run that stopped or paused the container.
    pub run_id: RunId,
    /// The instant of the stop or pause by the clock of the Docker host, like Docker's own time stamps.
    pub since: Timestamp,
}

/// The memory and CPU in use before a container was put to sleep, usually measured at the start of that run. A value is
/// `None` if it was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Memory in bytes, without the page cache.
    pub memory_bytes: Option<i64>,
    /// CPU in thousandths of a core, the average since the container started.
    pub cpu_millicores: Option<i64>,
}

/// One nap of one container, as the database stores it. All instants are by DockNap's own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sleep {
    pub host: HostId,
    pub identity: ContainerIdentity,
    pub kind: NapKind,
    /// The run that stopped or paused the container.
    pub run_id: RunId,
    /// The start of the nap.
    pub from: Timestamp,
    /// The end of the nap, whoever ended it; `None` while the nap is open.
    pub until: Option<Timestamp>,
    /// The memory and CPU in use before the nap.
    pub sample: Sample,
}

impl Sleep {
    /// The end of this open nap according to the container's current state; `None` while the nap holds. The result is
    /// `now` if the container no longer exists or has no suitable time stamp.
    ///
    /// `by_us` converts an instant by the Docker host's clock to DockNap's clock, and `by_engine` converts it back.
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
        // The inventory may be older than the stop and show the container as running.
        let is_old = self.kind == NapKind::Stop
            && container.state.is_up()
            && container.started_at.map(&by_us).is_some_and(|at| at <= self.from);
        let holds = is_old || still_holds(self.kind, by_engine(self.from), container, inventory);
        let changes = [after(container.started_at, Duration::ZERO), after(container.finished_at, GRACE)];
        (!holds).then(|| changes.into_iter().flatten().min().unwrap_or(now).min(now))
    }
}

/// The open naps of one host, by container.
pub type Naps = HashMap<ContainerIdentity, Nap>;

impl Nap {
    /// Whether a container that runs again stayed as DockNap left it until it was started or unpaused.
    pub fn held_until_woken(&self, container: &Container) -> bool {
        let last = match self.kind {
            NapKind::Pause => container.started_at,
            NapKind::Stop => container.finished_at,
        };
        last.is_none_or(|last| last <= self.since + GRACE)
    }

    /// Whether the nap still holds: it belongs to the container's identity and ends only if somebody else is known to
    /// have changed the container since (rulings 33).
    pub fn holds(&self, container: &Container, inventory: &Inventory) -> bool {
        still_holds(self.kind, self.since, container, inventory)
    }
}

/// Whether a nap that began at `since`, by the Docker host's clock, still holds. The nap holds for a container that was
/// re-created since, and for one that a restart of the Docker daemon stopped.
fn still_holds(kind: NapKind, since: Timestamp, container: &Container, inventory: &Inventory) -> bool {
    // If the container was re-created since, events of the old container come from the update and do not count. Only a
    // start always counts.
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
            container.started_at.is_none_or(|started| started <= since + GRACE)
                || inventory.may_have_revived(container, since)
        }
        ContainerState::Running
        | ContainerState::Restarting
        | ContainerState::Removing
        | ContainerState::Dead => false,
    }
}
