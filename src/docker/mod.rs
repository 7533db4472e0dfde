//! The only module that calls Docker.
//!
//! It makes only the calls listed in [`client::CALLS`], each with a timeout, and returns only domain values.
//! [`Hosts`] holds all Engines; a [`Host`] is one Engine with its connection, its inventory (kept current by events)
//! and its API calls.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::guard::CpuSample;
use crate::domain::nap::Sample;

mod answers;
mod certificates;
pub mod client;
pub mod endpoint;
mod events;
pub mod hosts;
mod inventory;
mod known;
mod list;
mod one_line;
mod reading;
pub mod self_detection;
mod settings;
mod streams;
mod tls;
mod watch;
mod wire;
mod words;

pub use certificates::{AddressFault, Certificate, CertificateRole};
pub use endpoint::{Address, Endpoint};
pub use hosts::{ContainerEvent, Host, Notice};
pub use list::Hosts;
pub use settings::Settings;
pub use tls::TlsSource;

/// Memory and CPU use of a container at one instant. All fields are `None` for a container that is not running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Instant of the sample, by the Engine's clock.
    pub read_at: Option<Timestamp>,
    /// Memory in bytes, as `docker stats` counts it.
    pub memory: Option<u64>,
    /// CPU time used since the container started.
    pub cpu_total: Option<Duration>,
    /// Two readings of the CPU counters, if two were taken.
    pub cpu: Option<CpuSample>,
}

impl Usage {
    /// The figures stored with a nap, for a container that started at `started_at` (by the Engine's clock).
    ///
    /// CPU is the average since the start: the use in the last second says little about what putting it to sleep
    /// saves.
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

/// Why an API call failed. The texts are shown to users and say what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerError {
    /// No response from the Engine: it is not running, access is denied, or the address is not an Engine.
    #[error("{reason}")]
    Unreachable {
        /// What is wrong and what to do.
        reason: String,
    },
    /// The call timed out. The Engine may still complete it, so the caller must inspect the container instead of
    /// assuming a result.
    #[error("Docker did not answer in time")]
    TimedOut,
    /// Not found (404): the container or something it needs, such as its network. The caller must find out which.
    #[error("Docker refused: {message}")]
    NotFound {
        /// Docker's message.
        message: String,
    },
    /// Not possible in the container's state (409), such as a start of a paused container.
    #[error("Docker refused: {message}")]
    Conflict {
        /// Docker's message.
        message: String,
    },
    /// The Engine failed (5xx); also the response to an unpause of a container that is not paused.
    #[error("Docker failed: {message}")]
    Server {
        status: u16,
        /// Docker's message.
        message: String,
    },
    /// A socket proxy in front of the Engine blocks the call (403 or 405).
    #[error("not allowed by the proxy: {call}")]
    ProxyRefused {
        /// Method and path, such as `POST /containers/x/stop`.
        call: String,
    },
    /// The Engine supports no API version that DockNap supports.
    #[error("{message}")]
    Version {
        /// The versions and what to do.
        message: String,
    },
    /// Any other refusal (4xx).
    #[error("Docker refused ({status}): {message}")]
    Refused {
        status: u16,
        /// Docker's message.
        message: String,
    },
}

impl DockerError {
    /// The error for a text that cannot be a container's name: the same as Docker returns for an unknown one.
    pub(crate) fn no_such(name: &str) -> Self {
        Self::NotFound { message: format!("No such container: {}", one_line::one_line(name)) }
    }

    /// Whether Docker's message contains this container id.
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

    /// Whether the same call may succeed a little later: unreachable, timeout, 502, 503 and 504 (semantics §4). A 500
    /// is not retryable: the caller inspects the container and decides.
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
