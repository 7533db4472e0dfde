//! The `naps` table: the containers that DockNap has put to sleep and that have not been woken since.

use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::ids::HostId;
use crate::domain::nap::{Nap, Naps};
use crate::domain::target::ContainerIdentity;
use std::collections::HashMap;

/// All naps, by host.
pub async fn all(db: &Db) -> Result<HashMap<HostId, Naps>> {
    let mut naps: HashMap<HostId, Naps> = HashMap::new();
    for (host, identity, nap) in
        sql!("SELECT * FROM naps").all::<(HostId, ContainerIdentity, Nap)>(db).await?
    {
        naps.entry(host).or_default().insert(identity, nap);
    }
    Ok(naps)
}

impl ReadRow for (HostId, ContainerIdentity, Nap) {
    const TABLE: &'static str = "naps";

    fn read(row: &Row<'_>) -> Result<Self> {
        let nap = Nap { kind: row.get("action")?, run_id: row.get("run_id")?, since: row.get("since_ms")? };
        Ok((row.get("host_id")?, row.get("identity")?, nap))
    }
}

/// Stores the nap of a container; an existing one is replaced.
pub async fn put(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity, nap: &Nap) -> Result<()> {
    let row = row![
        "action" => nap.kind,
        "run_id" => nap.run_id,
        "since_ms" => nap.since,
    ];
    rows::put(tx, "naps", rows::container(host, identity), row).await
}

/// Deletes the nap of a container that was woken, or that somebody else has changed.
pub async fn remove(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity) -> Result<()> {
    sql!("DELETE FROM naps WHERE host_id = $1 AND identity = $2", host, identity).run(tx).await
}
