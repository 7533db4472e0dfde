//! The `traces` table: the latest observed change of each container that DockNap did not cause.

use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::ids::HostId;
use crate::domain::target::ContainerIdentity;
use crate::domain::trace::{Trace, Traces};

/// The traces of all containers of a host.
pub async fn of_host(db: &Db, host: &HostId) -> Result<Traces> {
    let rows =
        sql!("SELECT * FROM traces WHERE host_id = $1", host).all::<(ContainerIdentity, Trace)>(db).await?;
    Ok(rows.into_iter().collect())
}

impl ReadRow for (ContainerIdentity, Trace) {
    const TABLE: &'static str = "traces";

    fn read(row: &Row<'_>) -> Result<Self> {
        let trace = Trace {
            did: row.get("did")?,
            container_id: row.get("container_id")?,
            at: row.get("at_ms")?,
            seen_at: row.get("seen_ms")?,
        };
        Ok((row.get("identity")?, trace))
    }
}

/// Stores the trace of a container; an earlier one is replaced.
pub async fn put(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity, trace: &Trace) -> Result<()> {
    let row = row![
        "container_id" => trace.container_id,
        "did" => trace.did,
        "at_ms" => trace.at,
        "seen_ms" => trace.seen_at,
    ];
    rows::put(tx, "traces", rows::container(host, identity), row).await
}

/// Deletes the trace of a container that no longer exists.
pub async fn remove(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity) -> Result<()> {
    sql!("DELETE FROM traces WHERE host_id = $1 AND identity = $2", host, identity).run(tx).await
}
