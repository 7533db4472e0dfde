//! A host whose watch loop runs until the value is dropped.

use std::sync::Arc;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::docker::{Endpoint, Host, Settings};
use docknap::domain::ids::HostId;
use docknap::domain::inventory::{Inventory, Link};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longest real time of a wait.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A host with a running watch loop.
pub struct Watched {
    pub host: Arc<Host>,
    _stop: DropGuard,
}

/// Settings for this `DOCKER_HOST`, outside Docker and without protections.
pub fn settings(docker_host: &str) -> Settings {
    Settings::of(Endpoint::from_values(Some(docker_host), None, None).expect("an endpoint"))
}

impl Watched {
    /// Watches the Engine at this `DOCKER_HOST`.
    pub fn new(docker_host: &str, clock: Clock) -> Self {
        Self::with(settings(docker_host), clock)
    }

    /// Watches an Engine with these settings.
    pub fn with(settings: Settings, clock: Clock) -> Self {
        let host = Host::new(HostId::local(), settings, clock);
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&host).watch(stop.clone()));
        Self { host, _stop: stop.drop_guard() }
    }

    /// Waits until the inventory matches `wanted` and returns it.
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

    /// Waits until the Engine is connected.
    pub async fn connected(&self) -> Inventory {
        self.until("connected", Inventory::is_connected).await
    }

    /// Waits until the Engine is unreachable and returns the reason.
    pub async fn unreachable(&self) -> String {
        let inventory =
            self.until("unreachable", |inventory| matches!(inventory.link, Link::Unreachable { .. })).await;
        match inventory.link {
            Link::Unreachable { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the inventory matches `wanted`, ending each back-off at once.
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

/// Waits until `so` returns true.
pub async fn eventually(what: &str, so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    assert!(Clock::system().timeout(PATIENCE, wait).await.is_ok(), "never: {what}");
}
