//! The `hosts` table: the Engines that people have added. The Engine of `DOCKER_HOST` and those of the settings file
//! have no row.

use jiff::Timestamp;

use super::query::{On, Query, sql};
use super::read::{ReadRow, Row};
use super::rows::{self, Columns, row, values};
use super::{Db, Result, Tx};
use crate::domain::host::{HostRecord, HostSpec, HostTls};
use crate::domain::ids::HostId;

impl ReadRow for HostRecord {
    const TABLE: &'static str = "hosts";

    fn read(row: &Row<'_>) -> Result<Self> {
        let ca: Option<String> = row.get("ca")?;
        let tls = match ca {
            None => None,
            Some(ca) => {
                Some(HostTls::Texts { ca, cert: row.get("cert")?, sealed_key: row.get("sealed_key")? })
            }
        };
        let parallelism: Option<i64> = row.get("parallelism")?;
        Ok(Self {
            spec: HostSpec {
                name: row.get("name")?,
                endpoint: row.get("endpoint")?,
                insecure: row.get("insecure")?,
                tls,
                parallelism: parallelism.and_then(|number| u32::try_from(number).ok()),
                note: row.get("note")?,
            },
            id: row.get("id")?,
            enabled: row.get("enabled")?,
            source: row.get("source")?,
            rev: row.get("rev")?,
            created_at: row.get("created_ms")?,
            updated_at: row.get("updated_ms")?,
        })
    }
}

/// The columns that an update may change.
fn changeable_columns(host: &HostRecord) -> Columns {
    let (ca, cert, sealed_key) = match &host.spec.tls {
        Some(HostTls::Texts { ca, cert, sealed_key }) => {
            (Some(ca.as_str()), cert.as_deref(), sealed_key.as_deref())
        }
        Some(HostTls::Files { .. }) | None => (None, None, None),
    };
    row![
        "name" => host.spec.name,
        "endpoint" => host.spec.endpoint,
        "insecure" => host.spec.insecure,
        "ca" => ca,
        "cert" => cert,
        "sealed_key" => sealed_key,
        "parallelism" => host.spec.parallelism.map(i64::from),
        "note" => host.spec.note,
        "enabled" => host.enabled,
        "rev" => host.rev,
        "updated_ms" => host.updated_at,
    ]
}

/// Adds a host; `false` if the id is taken.
pub async fn insert(tx: &mut Tx, host: &HostRecord) -> Result<bool> {
    let fixed = row!["id" => host.id, "source" => host.source, "created_ms" => host.created_at];
    let row = fixed.into_iter().chain(changeable_columns(host)).collect();
    Ok(rows::insert(tx, "hosts", vec![row], " ON CONFLICT DO NOTHING").await? == 1)
}

/// Stores `host` if its stored revision is still `old_rev`; `false` if it is not.
pub async fn update(tx: &mut Tx, host: &HostRecord, old_rev: i64) -> Result<bool> {
    let key = row!["id" => host.id, "rev" => old_rev];
    rows::update(tx, "hosts", changeable_columns(host), key, "").await
}

/// Keeps a host from being deleted until the transaction ends; `false` if it is not stored.
pub async fn hold(tx: &mut Tx, id: &HostId) -> Result<bool> {
    // A row lock on every engine.
    sql!("UPDATE hosts SET id = id WHERE id = $1", id).hits(tx).await
}

/// Deletes a host if its stored revision is still `old_rev`; `false` if it is not.
pub async fn delete(tx: &mut Tx, id: &HostId, old_rev: i64) -> Result<bool> {
    sql!("DELETE FROM hosts WHERE id = $1 AND rev = $2", id, old_rev).hits(tx).await
}

/// All hosts, ordered by id.
pub async fn all(db: &Db) -> Result<Vec<HostRecord>> {
    sql!("SELECT * FROM hosts ORDER BY id").all(db).await
}

pub async fn get(on: impl Into<On<'_>>, id: &HostId) -> Result<Option<HostRecord>> {
    sql!("SELECT * FROM hosts WHERE id = $1", id).first(on).await
}

/// The number of schedules of each host; hosts without one are missing.
pub async fn schedule_counts(db: &Db) -> Result<Vec<(HostId, i64)>> {
    let sql = "SELECT host_id, COUNT(*) FROM schedules WHERE deleted_ms IS NULL GROUP BY host_id";
    sql!(sql).all(db).await
}

/// Deletes what belongs to the containers of a host: locks, order, naps and traces; its overrides and sleeps end at
/// `now`. Runs and the audit log stay.
pub async fn forget(tx: &mut Tx, id: &HostId, now: Timestamp) -> Result<()> {
    for table in
        ["locks", "order_edges", "naps", "traces", "applied", "host_outages", "targets", "group_members"]
    {
        Query::built(format!("DELETE FROM {table} WHERE host_id = $1"), values![id]).run(tx).await?;
    }
    let reason = "the host was deleted";
    let sql =
        "UPDATE overrides SET closed_ms = $2, closed_reason = $3 WHERE host_id = $1 AND closed_ms IS NULL";
    sql!(sql, id, now, reason).run(tx).await?;
    sql!("UPDATE sleeps SET until_ms = $2 WHERE host_id = $1 AND until_ms IS NULL", id, now).run(tx).await
}
