//! The `host_outages` table: times at which a host could not be reached.

use jiff::Timestamp;

use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::host::Outage;
use crate::domain::ids::HostId;

impl ReadRow for Outage {
    const TABLE: &'static str = "host_outages";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            host: row.get("host_id")?,
            from: row.get("from_ms")?,
            to: row.get("to_ms")?,
            reason: row.get("reason")?,
        })
    }
}

/// Begins an outage; an outage of the host that is still open goes on instead.
pub async fn begin(tx: &mut Tx, outage: &Outage) -> Result<()> {
    let open = "SELECT COUNT(*) FROM host_outages WHERE host_id = $1 AND to_ms IS NULL";
    let open: i64 = sql!(open, outage.host).one(&mut *tx).await?;
    if open > 0 {
        return Ok(());
    }
    let row = row![
        "host_id" => outage.host,
        "from_ms" => outage.from,
        "to_ms" => outage.to,
        "reason" => outage.reason,
    ];
    rows::insert(tx, "host_outages", vec![row], " ON CONFLICT DO NOTHING").await.map(drop)
}

/// Ends the open outage of a host.
pub async fn end(tx: &mut Tx, host: &HostId, at: Timestamp) -> Result<()> {
    sql!("UPDATE host_outages SET to_ms = $2 WHERE host_id = $1 AND to_ms IS NULL", host, at).run(tx).await
}

/// Whether a host has an open outage.
pub async fn is_open(db: &Db, host: &HostId) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM host_outages WHERE host_id = $1 AND to_ms IS NULL";
    let open: i64 = sql!(sql, host).one(db).await?;
    Ok(open > 0)
}

/// The outages of all hosts that had not ended by `since`, oldest first.
pub async fn after(db: &Db, since: Timestamp) -> Result<Vec<Outage>> {
    sql!("SELECT * FROM host_outages WHERE to_ms IS NULL OR to_ms > $1 ORDER BY from_ms", since).all(db).await
}

/// Deletes outages that ended before an instant.
pub async fn prune(tx: &mut Tx, before: Timestamp) -> Result<()> {
    sql!("DELETE FROM host_outages WHERE to_ms < $1", before).run(tx).await
}
