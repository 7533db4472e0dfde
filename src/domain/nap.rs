//! What DockNap has put to sleep, and whether it still sleeps because of that.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::ids::{HostId, RunId};
use super::inventory::{Container, ContainerState};
use super::target::ContainerIdentity;

/// An outcome is noted a little after Docker's own time stamp of it; a change within this much is still ours.
const OURS: Duration = Duration::from_secs(5);

/// How DockNap put a container to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NapKind {
    /// Stopped.
    Stop,
    /// Paused.
    Pause,
}

impl NapKind {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Pause => "pause",
        }
    }

    /// The reverse of [`NapKind::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Stop, Self::Pause].into_iter().find(|kind| kind.as_str() == word)
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

/// What a container had in use before it was put to sleep, as a rule when the run that did so began; `None` what was not
/// seen.
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
    /// Which container.
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
    /// `by_us` turns an instant by the Engine's clock into one by ours.
    pub fn ended(
        &self,
        container: Option<&Container>,
        now: Timestamp,
        by_us: impl Fn(Timestamp) -> Timestamp,
    ) -> Option<Timestamp> {
        let now = now.max(self.from);
        let Some(container) = container else { return Some(now) };
        let after = |at: Option<Timestamp>, grace: Duration| {
            at.map(&by_us).filter(|at| *at > self.from.checked_add(grace).unwrap_or(Timestamp::MAX))
        };
        let holds = match self.kind {
            NapKind::Pause => container.state == ContainerState::Paused,
            NapKind::Stop => {
                container.state == ContainerState::Exited && after(container.finished_at, OURS).is_none()
            }
        };
        // The inventory may still show the time before a stop.
        let is_old = self.kind == NapKind::Stop
            && container.state.is_up()
            && container.started_at.map(&by_us).is_some_and(|at| at <= self.from);
        let holds = holds || is_old;
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

    /// Whether the container is still as we left it: nobody else started or stopped it since (rulings 6).
    pub fn holds(&self, container: &Container) -> bool {
        match self.kind {
            NapKind::Pause => container.state == ContainerState::Paused,
            NapKind::Stop => {
                container.state == ContainerState::Exited
                    && container.finished_at.is_none_or(|finished| finished <= self.since + OURS)
            }
        }
    }
}
