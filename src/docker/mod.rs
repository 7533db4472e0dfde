//! The only module that calls Docker.
//!
//! It makes the calls listed in [`client::CALLS`] and no other, each under a timeout; everything it hands out is a
//! domain value. [`Hosts`] holds the Engines, [`Host`] one of them: its link, its inventory (kept current by events)
//! and the calls of a run.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::guard::CpuSample;
use crate::domain::nap::Sample;

mod answers;
pub mod client;
pub mod endpoint;
mod events;
pub mod hosts;
mod inventory;
mod reading;
pub mod self_detection;
mod streams;
mod watch;
mod wire;
mod words;

pub use endpoint::Endpoint;
pub use hosts::{ContainerEvent, Host, Hosts, Notice, Settings};

/// What a container uses, by one look. Of one that does not run nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// When that was, by the Engine's clock.
    pub read_at: Option<Timestamp>,
    /// Memory in bytes, as `docker stats` counts it.
    pub memory: Option<u64>,
    /// CPU time since it came up.
    pub cpu_total: Option<Duration>,
    /// Two readings of its CPU counters, where two were taken.
    pub cpu: Option<CpuSample>,
}

impl Usage {
    /// What is remembered of it with a nap, of a container that came up at `started_at` by the Engine's clock.
    ///
    /// CPU is an average since then: what it does in its last second says little about what it would have done.
    pub fn sample(&self, started_at: Option<Timestamp>) -> Sample {
        let up = started_at
            .zip(self.read_at)
            .and_then(|(from, at)| Duration::try_from(at.duration_since(from)).ok());
        let average = up.filter(|up| *up >= Duration::from_secs(1)).zip(self.cpu_total);
        Sample {
            memory_bytes: self.memory.and_then(|bytes| i64::try_from(bytes).ok()),
            cpu_millicores: average
                .and_then(|(up, used)| i64::try_from(used.as_nanos() * 1000 / up.as_nanos()).ok()),
        }
    }
}

/// Why a call did not do what it should. Texts are for a person: they say what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerError {
    /// No answer from the Engine: it is away, not permitted, or not what it should be.
    #[error("{reason}")]
    Unreachable {
        /// What went wrong and what to do.
        reason: String,
    },
    /// No answer in time. The Engine may still be at it: look, never assume.
    #[error("Docker did not answer in time")]
    TimedOut,
    /// Something is not there (404): the container, or what it needs, such as its network. Look which.
    #[error("Docker refused: {message}")]
    NotFound {
        /// Docker's words.
        message: String,
    },
    /// Not in this state (409), such as a start of a paused container.
    #[error("Docker refused: {message}")]
    Conflict {
        /// Docker's words.
        message: String,
    },
    /// The Engine failed (5xx), which includes an unpause of a container that is not paused.
    #[error("Docker failed: {message}")]
    Server {
        status: u16,
        /// Docker's words.
        message: String,
    },
    /// A socket proxy in front of the Engine does not let the call through (403).
    #[error("not allowed by the proxy: {call}")]
    ProxyRefused {
        /// Method and path, such as `POST /containers/x/stop`.
        call: String,
    },
    /// The Engine does not speak a version that DockNap speaks.
    #[error("{message}")]
    Version {
        /// Which versions, and what to do.
        message: String,
    },
    /// Any other refusal (4xx).
    #[error("Docker refused ({status}): {message}")]
    Refused {
        status: u16,
        /// Docker's words.
        message: String,
    },
}

impl DockerError {
    /// What Docker would say of a text that can be no container's name.
    pub(crate) fn no_such(name: &str) -> Self {
        Self::NotFound { message: format!("No such container: {}", words::shorten(name)) }
    }

    /// Whether Docker's words name a container by this id.
    pub fn names(&self, id: &str) -> bool {
        match self {
            Self::NotFound { message }
            | Self::Conflict { message }
            | Self::Server { message, .. }
            | Self::Refused { message, .. } => !id.is_empty() && message.contains(id),
            Self::Unreachable { .. } | Self::TimedOut | Self::ProxyRefused { .. } | Self::Version { .. } => {
                false
            }
        }
    }

    /// Whether the same call may succeed a little later: no answer, a timeout, 502 and 503 (semantics §4). A 500 is
    /// not: the caller looks at the container and decides.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut => true,
            Self::Server { status, .. } => matches!(status, 502..=504),
            Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::ProxyRefused { .. }
            | Self::Version { .. }
            | Self::Refused { .. } => false,
        }
    }
}
