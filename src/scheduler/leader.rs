//! Leader election between several `DockNap`s on one PostgreSQL server: the process with the lease acts, and the others
//! wait until it ends or no longer renews the lease.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::db::DbError;
use crate::db::engine::{Bid, Lease};
use crate::domain::text::chain;

/// Time between two renewals: two may fail before the lease expires.
const RENEWAL: Duration = Duration::from_secs(5);
/// Timeout of a renewal, and wait before the next attempt after a failure.
const TRY: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(1));
/// Time between two bids.
const BID: Duration = Duration::from_secs(2);

/// Waits until this process has the lease; `false` if `stop` comes first. `waiting` is called with the machine name of
/// the holder, once for each new holder.
///
/// # Errors
/// The first bid fails; later bids are repeated.
pub async fn wait(
    lease: &Lease,
    clock: &Clock,
    stop: &CancellationToken,
    mut waiting: impl FnMut(&str),
) -> Result<bool, DbError> {
    let mut known: Option<String> = None;
    loop {
        match lease.bid().await {
            Ok(Bid::Won) => return Ok(true),
            Ok(Bid::Held(machine)) => {
                if known.as_ref() != Some(&machine) {
                    waiting(&machine);
                    known = Some(machine);
                }
            }
            Err(error) if known.is_none() => return Err(error),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "no bid can be made for the database; trying again");
            }
        }
        tokio::select! {
            () = clock.sleep(clock.jittered(BID)) => {}
            () = stop.cancelled() => return Ok(false),
        }
    }
}

/// Renews the lease, and returns when another process has it. While the server is not reachable this function keeps
/// trying, since the lease may still be renewed; meanwhile nothing can be stored, so this process carries out nothing.
pub async fn keep(lease: &Lease, clock: &Clock) {
    loop {
        let wait = match clock.timeout(TRY.0, lease.renew()).await {
            Ok(Ok(true)) => RENEWAL,
            Ok(Ok(false)) => return,
            Ok(Err(error)) => {
                tracing::warn!(error = %chain(&error), "the hold on the database cannot be renewed; trying again");
                TRY.1
            }
            Err(_) => {
                tracing::warn!("the database does not answer; its hold cannot be renewed, trying again");
                TRY.1
            }
        };
        clock.sleep(wait).await;
    }
}
