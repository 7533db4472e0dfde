//! A host whose link and inventory are kept, for as long as the test holds it.

use std::sync::Arc;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::docker::self_detection::SelfHints;
use docknap::docker::{Endpoint, Host, Settings};
use docknap::domain::ids::HostId;
use docknap::domain::inventory::{Inventory, Link};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longest real time a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A watched host.
pub struct Watched {
    /// The host.
    pub host: Arc<Host>,
    _stop: DropGuard,
}

/// Settings for a `DOCKER_HOST`, outside Docker, without protections.
pub fn settings(docker_host: &str) -> Settings {
    Settings {
        endpoint: Endpoint::from_values(Some(docker_host), None, None).expect("an endpoint"),
        protect: Vec::new(),
        database_host: None,
        hints: SelfHints::default(),
    }
}

impl Watched {
    /// Watches the Engine of a `DOCKER_HOST`.
    pub fn new(docker_host: &str, clock: Clock) -> Self {
        Self::with(settings(docker_host), clock)
    }

    /// Watches an Engine.
    pub fn with(settings: Settings, clock: Clock) -> Self {
        let host = Host::new(HostId::local(), settings, clock);
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&host).watch(stop.clone()));
        Self { host, _stop: stop.drop_guard() }
    }

    /// Waits until the inventory is as wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Inventory) -> bool) -> Inventory {
        let mut changes = self.host.changes();
        let wait = async {
            loop {
                changes.mark_unchanged();
                let inventory = self.host.inventory();
                if wanted(&inventory) {
                    return inventory;
                }
                changes.changed().await.expect("the host is there");
            }
        };
        let seen = Clock::system().timeout(PATIENCE, wait).await;
        seen.unwrap_or_else(|error| panic!("{what}: {error}; at the end {:?}", self.host.inventory()))
    }

    /// Waits until connected.
    pub async fn connected(&self) -> Inventory {
        self.until("connected", Inventory::is_connected).await
    }

    /// Waits until the link is down; the reason.
    pub async fn unreachable(&self) -> String {
        let inventory =
            self.until("unreachable", |inventory| matches!(inventory.link, Link::Unreachable { .. })).await;
        match inventory.link {
            Link::Unreachable { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    /// Cuts each back-off short until the inventory is as wanted.
    pub async fn hurrying_until(&self, what: &str, wanted: impl Fn(&Inventory) -> bool) -> Inventory {
        let hurry = async {
            loop {
                self.host.hurry();
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            inventory = self.until(what, wanted) => inventory,
            () = hurry => unreachable!("it hurries for ever"),
        }
    }
}

/// Waits until something is so.
pub async fn eventually(what: &str, so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    assert!(Clock::system().timeout(PATIENCE, wait).await.is_ok(), "never: {what}");
}
