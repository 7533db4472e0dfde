//! Traces: the latest observed event of each container that no step of DockNap explains.
//!
//! Docker stores how a process ended but not why: a container that was stopped by hand and one that completed its work
//! look alike. The event stream shows the difference, and a trace keeps it.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::inventory::{Container, ContainerState};
use super::target::ContainerIdentity;
use super::words::words;

/// Time that a daemon may take to start containers by their restart policies. Later starts have another cause.
pub const COMES_UP: Duration = Duration::from_secs(120);
/// Tolerance between Docker's time stamp of an end and that of its event.
const TOLERANCE: Duration = Duration::from_secs(2);
/// Time after a signal within which an end counts as its effect.
const SIGNAL_EFFECT: Duration = Duration::from_secs(300);

words! {
    /// Observed change of a container, by somebody or by itself.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Did {
        /// Started, by somebody or by the restart policy.
        Started,
        /// Unpaused by somebody.
        Unpaused,
        /// Paused by somebody.
        Paused,
        /// Stopped by somebody.
        Stopped,
        /// Signalled to end by somebody.
        Killed,
        /// Ended by itself.
        Ended,
    }
}

/// Latest observed change of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub did: Did,
    /// Docker id of the container.
    pub container_id: String,
    /// Time of the event by the Engine's clock.
    pub at: Timestamp,
    /// Time of the observation by DockNap's clock.
    pub seen_at: Timestamp,
}

/// Latest trace of each container of a host.
pub type Traces = HashMap<ContainerIdentity, Trace>;

impl Trace {
    /// Trace after an event; `None` if the event type is not one that traces record.
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
                && at.duration_since(trace.at).unsigned_abs() <= SIGNAL_EFFECT
        });
        let did = match event {
            "start" => Did::Started,
            // Docker unpauses a container that it kills, since a frozen process could not end.
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

    /// Whether the traced change led to the current state of a container.
    pub fn tells_of(&self, container: &Container) -> bool {
        let reaches = |at: Option<Timestamp>| at.is_none_or(|at| self.at + TOLERANCE >= at);
        let (is_so, since) = match self.did {
            Did::Paused => (container.state == ContainerState::Paused, container.started_at),
            Did::Started | Did::Unpaused => {
                (container.state.is_up() && container.state != ContainerState::Paused, container.started_at)
            }
            Did::Stopped | Did::Killed | Did::Ended => (!container.state.is_up(), container.finished_at),
        };
        is_so && self.container_id == container.id && reaches(since)
    }

    /// Whether the last process of a container that is down ended by itself, as opposed to a stop or signal by
    /// somebody. `None` if the end was not observed.
    pub fn ended_by_itself(&self, container: &Container) -> Option<bool> {
        let is_of_it = self.container_id == container.id
            && container.finished_at.is_none_or(|finished| self.at + TOLERANCE >= finished);
        match self.did {
            _ if !is_of_it => None,
            Did::Ended => Some(true),
            Did::Stopped | Did::Killed => Some(false),
            Did::Started | Did::Unpaused | Did::Paused => None,
        }
    }
}
