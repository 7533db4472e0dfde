//! What DockNap has put to sleep, and whether it still sleeps because of that.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::ids::RunId;
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

/// The naps of one host by container.
pub type Naps = HashMap<ContainerIdentity, Nap>;

impl Nap {
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
