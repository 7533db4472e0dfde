//! The table of the last applied states: what windows and overrides last applied to each container. One row per host
//! and container, read and written by the reconciliation.

use jiff::Timestamp;

use super::query::{On, sql};
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::applied::{Applied, AppliedStates};
use crate::domain::ids::HostId;
use crate::domain::target::ContainerIdentity;
use crate::domain::window::Phase;

/// All last applied states of a host.
pub async fn of_host(on: impl Into<On<'_>>, host: &HostId) -> Result<AppliedStates> {
    let rows = sql!("SELECT * FROM applied WHERE host_id = $1", host)
        .all::<(ContainerIdentity, Applied)>(on)
        .await?;
    Ok(rows.into_iter().collect())
}

impl ReadRow for (ContainerIdentity, Applied) {
    const TABLE: &'static str = "applied";

    fn read(row: &Row<'_>) -> Result<Self> {
        let applied = Applied {
            state: row.get("state")?,
            at: row.get("at_ms")?,
            settled: row.get("settled")?,
            put_back_at: row.get("put_back_ms")?,
            put_backs: row.get("put_backs")?,
            was: row.get("was")?,
            puts_back: row.get("puts_back")?,
        };
        Ok((row.get("identity")?, applied))
    }
}

/// Stores the last applied state of a container; an existing row is replaced.
pub async fn put(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity, applied: &Applied) -> Result<()> {
    let row = row![
        "state" => applied.state,
        "at_ms" => applied.at,
        "settled" => applied.settled,
        "put_back_ms" => applied.put_back_at,
        "put_backs" => applied.put_backs,
        "was" => applied.was.map(Phase::as_str),
        "puts_back" => applied.puts_back,
    ];
    rows::put(tx, "applied", rows::container(host, identity), row).await
}

/// Marks an applied state as unsettled, because its run failed for this container. No effect if another state was
/// applied in the meantime.
pub async fn mark_unapplied(
    tx: &mut Tx,
    host: &HostId,
    identity: &ContainerIdentity,
    state: Phase,
) -> Result<()> {
    let sql = "UPDATE applied SET settled = FALSE WHERE host_id = $1 AND identity = $2 AND state = $3 \
               AND settled = TRUE";
    sql!(sql, host, identity, state).run(tx).await
}

/// Deletes the last applied state of a container to which no rule applies any more.
pub async fn remove(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity) -> Result<()> {
    sql!("DELETE FROM applied WHERE host_id = $1 AND identity = $2", host, identity).run(tx).await
}

/// The earliest instant at which a change by somebody else is reverted.
pub async fn next_put_back(db: &Db) -> Result<Option<Timestamp>> {
    sql!("SELECT MIN(put_back_ms) FROM applied").one(db).await
}

/// Deletes the row of a container if a sleep was applied last.
pub async fn forget_sleep(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity) -> Result<()> {
    let sql = "DELETE FROM applied WHERE host_id = $1 AND identity = $2 AND state = $3";
    sql!(sql, host, identity, Phase::Asleep).run(tx).await
}
