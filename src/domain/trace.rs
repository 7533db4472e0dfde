//! What others were last seen to do to a container: the newest event that no step of ours explains.
//!
//! Docker keeps how a process ended, and not why: one that was stopped by hand and one that did its work look alike.
//! Who watched knows, and that is kept.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::inventory::{Container, ContainerState};
use super::target::ContainerIdentity;
use super::words::words;

/// How long a daemon may take to start what its restart policies bring back. What starts later was started by somebody.
pub const COMES_UP: Duration = Duration::from_secs(120);
/// Docker's own time stamp of an end and the event of it are not quite of one instant.
const AT_ONCE: Duration = Duration::from_secs(2);
/// How long after a signal an end is still its doing.
const DYING: Duration = Duration::from_secs(300);

words! {
    /// What somebody did to a container, or what it did by itself.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Did {
        /// It was started, by somebody or by its restart policy.
        Started,
        /// Somebody unpaused it.
        Unpaused,
        /// Somebody paused it.
        Paused,
        /// Somebody stopped it.
        Stopped,
        /// Somebody sent it a signal to end.
        Killed,
        /// It ended by itself.
        Ended,
    }
}

/// The newest thing that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub did: Did,
    /// To the container with this Docker id.
    pub container_id: String,
    /// When, by the Engine's clock.
    pub at: Timestamp,
    /// When, by ours.
    pub seen_at: Timestamp,
}

/// The newest trace of each container of a host.
pub type Traces = HashMap<ContainerIdentity, Trace>;

impl Trace {
    /// What is known after an event; `None` where the event says nothing about it.
    #[must_use]
    pub fn after(
        before: Option<&Self>,
        event: &str,
        container_id: &str,
        at: Timestamp,
        seen_at: Timestamp,
    ) -> Option<Self> {
        let dies = before.is_some_and(|trace| {
            trace.did == Did::Killed
                && trace.container_id == container_id
                && at.duration_since(trace.at).unsigned_abs() <= DYING
        });
        let did = match event {
            "start" => Did::Started,
            // Docker unpauses what it kills, or its process could not end.
            "unpause" if dies => Did::Killed,
            "unpause" => Did::Unpaused,
            "pause" => Did::Paused,
            "stop" => Did::Stopped,
            "kill" => Did::Killed,
            "die" | "died" if dies => Did::Killed,
            "die" | "died" => Did::Ended,
            _ => return None,
        };
        Some(Self { did, container_id: container_id.to_owned(), at, seen_at })
    }

    /// Whether it is what made a container as it is now.
    pub fn tells_of(&self, container: &Container) -> bool {
        let reaches = |at: Option<Timestamp>| at.is_none_or(|at| self.at + AT_ONCE >= at);
        let (is_so, since) = match self.did {
            Did::Paused => (container.state == ContainerState::Paused, container.started_at),
            Did::Started | Did::Unpaused => {
                (container.state.is_up() && container.state != ContainerState::Paused, container.started_at)
            }
            Did::Stopped | Did::Killed | Did::Ended => (!container.state.is_up(), container.finished_at),
        };
        is_so && self.container_id == container.id && reaches(since)
    }

    /// Whether the last process of a container that has none ended by itself, rather than by somebody's doing. `None`
    /// where nobody was watching.
    pub fn ended_by_itself(&self, container: &Container) -> Option<bool> {
        let is_of_it = self.container_id == container.id
            && container.finished_at.is_none_or(|finished| self.at + AT_ONCE >= finished);
        match self.did {
            _ if !is_of_it => None,
            Did::Ended => Some(true),
            Did::Stopped | Did::Killed => Some(false),
            Did::Started | Did::Unpaused | Did::Paused => None,
        }
    }
}
