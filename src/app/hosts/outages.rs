//! Outages of a host: each of at least a minute is recorded. Shorter ones are usual behind proxies, which end quiet
//! connections; they are only counted.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use crate::app::{App, Result};
use crate::db;
use crate::docker::Host;
use crate::domain::host::Outage;
use crate::domain::inventory::Link;
use crate::domain::text::chain;

/// The shortest outage that is recorded.
const SHORTEST: SignedDuration = SignedDuration::from_secs(60);
/// Wait before the database is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Records the outages of a host for as long as the host exists.
pub(super) async fn record(app: App, host: Arc<Host>) {
    let mut changes = host.changes();
    loop {
        changes.mark_unchanged();
        let link = host.inventory().link;
        let wait = match store(&app, &host, &link).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(error = %chain(&error), "an outage cannot be stored; trying again");
                Some(RETRY)
            }
        };
        // The state of the connection alone matters; the containers change far more often.
        while host.inventory().link == link {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = app.clock.sleep(wait.unwrap_or_default()), if wait.is_some() => break,
            }
        }
    }
}

/// Stores the beginning or the end of an outage. Returns the time until an outage is long enough.
async fn store(app: &App, host: &Host, link: &Link) -> Result<Option<Duration>> {
    let now = app.clock.now();
    match link {
        Link::Connecting | Link::Disabled => Ok(None),
        Link::Connected { .. } => {
            if db::host_outages::is_open(&app.db, host.id()).await? {
                let mut tx = app.db.begin().await?;
                db::host_outages::end(&mut tx, host.id(), now).await?;
                tx.commit().await?;
            }
            Ok(None)
        }
        Link::Unreachable { reason, since } => {
            let left = SHORTEST - now.duration_since(*since);
            if left.is_positive() {
                return Ok(Duration::try_from(left).ok());
            }
            let outage = Outage { host: host.id().clone(), from: *since, to: None, reason: reason.clone() };
            let mut tx = app.db.begin().await?;
            db::host_outages::begin(&mut tx, &outage).await?;
            tx.commit().await?;
            Ok(None)
        }
    }
}
