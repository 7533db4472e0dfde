//! Of several `DockNap`s on one PostgreSQL server one acts; the others wait until it ends or falls silent.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::db::DbError;
use crate::db::engine::{Bid, Lease};
use crate::domain::text::chain;

/// Time between two renewals: two may fail before the lease runs out.
const RENEWAL: Duration = Duration::from_secs(5);
/// How long a renewal may take, and the wait before the next try.
const TRY: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(1));
/// Time between two bids.
const BID: Duration = Duration::from_secs(2);

/// Waits until the lease is ours; `false` = told to stop before that. `waiting` is told who has it, each time it is
/// somebody else than before.
///
/// # Errors
/// Where the first bid fails; later ones are repeated.
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

/// Renews the lease until it is another's; then it is over for this process. While the server is away it may still
/// become ours again, and until then nothing can be stored, so nothing is done.
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
