//! The settings from which a [`Host`](super::Host) is made.

use super::Endpoint;
use super::self_detection::SelfHints;

/// Settings for the creation of a [`Host`](super::Host).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name that pages show.
    pub name: String,
    /// Whether DockNap calls the Engine at all.
    pub enabled: bool,
    /// Container operations that may run at the same time.
    pub parallelism: usize,
    /// Differs between two versions of the host's settings: the instant at which it was added, in milliseconds, and the
    /// number of its changes.
    pub revision: (i64, i64),
    /// Address of the Engine.
    pub endpoint: Endpoint,
    /// Why the address cannot be used, if it cannot: then no call is made.
    pub fault: Option<String>,
    /// `DOCKNAP_PROTECT`: names of stacks and containers that DockNap never changes.
    pub protect: Vec<String>,
    /// Host name in `DATABASE_URL`, if the database is reached over a network.
    pub database_host: Option<String>,
    /// What this process can read about the container it runs in.
    pub hints: SelfHints,
}

impl Settings {
    /// The usual settings of an Engine at this address, outside Docker and without protections.
    pub fn of(endpoint: Endpoint) -> Self {
        Self {
            name: String::new(),
            enabled: true,
            parallelism: 16,
            revision: (0, 0),
            endpoint,
            fault: None,
            protect: Vec::new(),
            database_host: None,
            hints: SelfHints::default(),
        }
    }
}
