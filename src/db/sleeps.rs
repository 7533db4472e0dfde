//! The `sleeps` table: every nap of every container with its start and end, for reports. Unlike the `naps` table it
//! keeps ended naps.

use jiff::Timestamp;

use super::query::sql;
use super::read::{ReadRow, Row};
use super::{Db, Result, Tx};
use crate::domain::ids::{HostId, RunId};
use crate::domain::nap::{Sample, Sleep};
use crate::domain::target::ContainerIdentity;

impl ReadRow for Sleep {
    const TABLE: &'static str = "sleeps";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            kind: row.get("action")?,
            identity: row.get("identity")?,
            host: row.get("host_id")?,
            run_id: row.get("run_id")?,
            from: row.get("from_ms")?,
            until: row.get("until_ms")?,
            sample: Sample {
                memory_bytes: row.get("memory_bytes")?,
                cpu_millicores: row.get("cpu_millicores")?,
            },
        })
    }
}

/// Stores the start of a nap. An open nap of the same container is ended, at `woke` if that is known, otherwise at the
/// start of the new one.
pub async fn begin(tx: &mut Tx, sleep: &Sleep, woke: Option<Timestamp>) -> Result<()> {
    let sql = "UPDATE sleeps SET \
               until_ms = CASE WHEN $4 > from_ms THEN $4 WHEN $3 > from_ms THEN $3 ELSE from_ms END \
               WHERE host_id = $1 AND identity = $2 AND until_ms IS NULL";
    sql!(
        sql,
        sleep.host,
        sleep.identity,
        sleep.from,
        woke.map_or(Timestamp::MIN, |woke| woke.min(sleep.from))
    )
    .run(tx)
    .await?;
    let sql = "INSERT INTO sleeps (host_id, identity, action, run_id, from_ms, until_ms, memory_bytes, \
               cpu_millicores) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
               ON CONFLICT (host_id, identity, from_ms) DO UPDATE \
               SET action = excluded.action, run_id = excluded.run_id, until_ms = excluded.until_ms";
    sql!(
        sql,
        sleep.host,
        sleep.identity,
        sleep.kind,
        sleep.run_id,
        sleep.from,
        sleep.until,
        sleep.sample.memory_bytes,
        sleep.sample.cpu_millicores
    )
    .run(tx)
    .await
}

/// Ends the open nap of a container; `false` if there is none.
pub async fn end(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity, at: Timestamp) -> Result<bool> {
    let sql = "UPDATE sleeps SET until_ms = CASE WHEN from_ms > $3 THEN from_ms ELSE $3 END \
               WHERE host_id = $1 AND identity = $2 AND until_ms IS NULL";
    sql!(sql, host, identity, at).hits(tx).await
}

/// Whether a run ended a nap of a container: a step of the run was issued at the end of the nap.
pub async fn was_ended_by(
    tx: &mut Tx,
    host: &HostId,
    identity: &ContainerIdentity,
    run: &RunId,
) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM steps JOIN sleeps ON sleeps.host_id = steps.host_id \
               AND sleeps.identity = steps.identity AND sleeps.until_ms = steps.issued_ms \
               WHERE steps.run_id = $1 AND steps.host_id = $2 AND steps.identity = $3";
    Ok(sql!(sql, run, host, identity).one::<i64>(tx).await? > 0)
}

/// Ends exactly this nap. No effect if it has already ended or was replaced.
pub async fn end_stay(tx: &mut Tx, sleep: &Sleep, at: Timestamp) -> Result<()> {
    let sql = "UPDATE sleeps SET until_ms = $4 WHERE host_id = $1 AND identity = $2 AND from_ms = $3 \
               AND action = $5 AND until_ms IS NULL";
    sql!(sql, sleep.host, sleep.identity, sleep.from, at.max(sleep.from), sleep.kind).run(tx).await
}

/// The open naps on a host.
pub async fn open(db: &Db, host: &HostId) -> Result<Vec<Sleep>> {
    let sql = "SELECT * FROM sleeps WHERE host_id = $1 AND until_ms IS NULL";
    sql!(sql, host).all(db).await
}

/// The naps that overlap a time range.
pub async fn between(db: &Db, from: Timestamp, until: Timestamp) -> Result<Vec<Sleep>> {
    let sql = "SELECT * FROM sleeps WHERE (until_ms > $1 OR until_ms IS NULL) AND from_ms < $2";
    sql!(sql, from, until).all(db).await
}

/// Deletes the naps that ended before `before` and returns their number.
pub async fn prune(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    sql!("DELETE FROM sleeps WHERE until_ms < $1", before).touched(tx).await
}
