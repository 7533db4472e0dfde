//! What others were last seen to do to each container.

use super::{Db, DbError, Result, Tx, exec_tx, on_db};
use crate::domain::ids::HostId;
use crate::domain::target::ContainerIdentity;
use crate::domain::time::{from_ms, to_ms};
use crate::domain::trace::{Did, Trace, Traces};

/// The traces of a host.
pub async fn of_host(db: &Db, host: &HostId) -> Result<Traces> {
    let rows: Vec<(String, String, String, i64, i64)> = on_db!(db, pool =>
        sqlx::query_as("SELECT identity, container_id, did, at_ms, seen_ms FROM traces WHERE host_id = $1")
            .bind(host.as_str())
            .fetch_all(pool))?;
    rows.into_iter()
        .map(|(identity, container_id, did, at, seen)| {
            let damaged = |what: &str| DbError::Damaged {
                table: "traces",
                id: identity.clone(),
                what: what.to_owned(),
            };
            let did = Did::parse(&did).ok_or_else(|| damaged("what was done"))?;
            let trace = Trace { did, container_id, at: from_ms(at), seen_at: from_ms(seen) };
            Ok((ContainerIdentity::parse(&identity).ok_or_else(|| damaged("its container"))?, trace))
        })
        .collect()
}

/// Others did something to a container; what they did before is forgotten.
pub async fn put(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity, trace: &Trace) -> Result<()> {
    exec_tx!(
        tx,
        "INSERT INTO traces (host_id, identity, container_id, did, at_ms, seen_ms) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (host_id, identity) DO UPDATE SET container_id = excluded.container_id, did = excluded.did, \
         at_ms = excluded.at_ms, seen_ms = excluded.seen_ms",
        host.as_str(),
        identity.to_text(),
        trace.container_id.as_str(),
        trace.did.as_str(),
        to_ms(trace.at),
        to_ms(trace.seen_at),
    )?;
    Ok(())
}

/// The container is gone.
pub async fn remove(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity) -> Result<()> {
    exec_tx!(
        tx,
        "DELETE FROM traces WHERE host_id = $1 AND identity = $2",
        host.as_str(),
        identity.to_text()
    )?;
    Ok(())
}
