//! What DockNap has put to sleep, per container.

use super::rows::{self, row};
use super::{Db, DbError, Result, Tx, exec_tx, on_db};
use crate::domain::ids::{HostId, RunId};
use crate::domain::nap::{Nap, NapKind, Naps};
use crate::domain::target::ContainerIdentity;
use crate::domain::time::{from_ms, to_ms};
use std::collections::HashMap;

/// Everything that naps, by host.
pub async fn all(db: &Db) -> Result<HashMap<HostId, Naps>> {
    let rows: Vec<(String, String, String, String, i64)> = on_db!(db, pool =>
        sqlx::query_as("SELECT host_id, identity, action, run_id, since_ms FROM naps").fetch_all(pool))?;
    let mut naps: HashMap<HostId, Naps> = HashMap::new();
    for (host, identity, kind, run_id, since_ms) in rows {
        let damaged =
            |what: &str| DbError::Damaged { table: "naps", id: identity.clone(), what: what.to_owned() };
        let nap = Nap {
            kind: NapKind::parse(&kind).ok_or_else(|| damaged("its action"))?,
            run_id: RunId(run_id),
            since: from_ms(since_ms),
        };
        let identity = ContainerIdentity::parse(&identity).ok_or_else(|| damaged("its container"))?;
        naps.entry(HostId::from(host)).or_default().insert(identity, nap);
    }
    Ok(naps)
}

/// A container was put to sleep; a nap it already had is replaced.
pub async fn put(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity, nap: &Nap) -> Result<()> {
    let row = row![
        "action" => nap.kind.as_str(),
        "run_id" => nap.run_id.as_str(),
        "since_ms" => to_ms(nap.since),
    ];
    rows::put(tx, "naps", rows::container(host, identity), row).await
}

/// A container was woken, or changed by somebody else: what it does now is theirs.
pub async fn remove(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity) -> Result<()> {
    exec_tx!(tx, "DELETE FROM naps WHERE host_id = $1 AND identity = $2", host.as_str(), identity.to_text())?;
    Ok(())
}
