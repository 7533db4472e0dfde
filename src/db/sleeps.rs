//! When what slept: every stay asleep, open and ended.

use jiff::Timestamp;
use sqlx::FromRow;

use super::{Db, DbError, Result, Tx, exec_tx, on_db, on_tx};
use crate::domain::ids::{HostId, RunId};
use crate::domain::nap::{NapKind, Sample, Sleep};
use crate::domain::target::ContainerIdentity;
use crate::domain::time::{from_ms, to_ms};

#[derive(FromRow)]
struct SleepRow {
    host_id: String,
    identity: String,
    action: String,
    run_id: String,
    from_ms: i64,
    until_ms: Option<i64>,
    memory_bytes: Option<i64>,
    cpu_millicores: Option<i64>,
}

impl TryFrom<SleepRow> for Sleep {
    type Error = DbError;

    fn try_from(row: SleepRow) -> Result<Self> {
        let damaged = |what: &str| DbError::Damaged {
            table: "sleeps",
            id: row.identity.clone(),
            what: what.to_owned(),
        };
        Ok(Self {
            kind: NapKind::parse(&row.action).ok_or_else(|| damaged("its action"))?,
            identity: ContainerIdentity::parse(&row.identity).ok_or_else(|| damaged("its container"))?,
            host: HostId(row.host_id),
            run_id: RunId(row.run_id),
            from: from_ms(row.from_ms),
            until: row.until_ms.map(from_ms),
            sample: Sample { memory_bytes: row.memory_bytes, cpu_millicores: row.cpu_millicores },
        })
    }
}

/// A container fell asleep. A stay that is still open ends: when it `woke` where somebody knows, else now.
pub async fn begin(tx: &mut Tx, sleep: &Sleep, woke: Option<Timestamp>) -> Result<()> {
    exec_tx!(
        tx,
        "UPDATE sleeps SET until_ms = CASE WHEN $4 > from_ms THEN $4 WHEN $3 > from_ms THEN $3 ELSE from_ms END \
         WHERE host_id = $1 AND identity = $2 AND until_ms IS NULL",
        sleep.host.as_str(),
        sleep.identity.to_text(),
        to_ms(sleep.from),
        to_ms(woke.map_or(Timestamp::MIN, |woke| woke.min(sleep.from))),
    )?;
    exec_tx!(
        tx,
        "INSERT INTO sleeps (host_id, identity, action, run_id, from_ms, until_ms, memory_bytes, cpu_millicores) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (host_id, identity, from_ms) DO UPDATE \
         SET action = excluded.action, run_id = excluded.run_id, until_ms = excluded.until_ms",
        sleep.host.as_str(),
        sleep.identity.to_text(),
        sleep.kind.as_str(),
        sleep.run_id.as_str(),
        to_ms(sleep.from),
        sleep.until.map(to_ms),
        sleep.sample.memory_bytes,
        sleep.sample.cpu_millicores,
    )?;
    Ok(())
}

/// A container is awake again since then; `false` where it was not known to sleep.
pub async fn end(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity, at: Timestamp) -> Result<bool> {
    let ended = exec_tx!(
        tx,
        "UPDATE sleeps SET until_ms = CASE WHEN from_ms > $3 THEN from_ms ELSE $3 END \
         WHERE host_id = $1 AND identity = $2 AND until_ms IS NULL",
        host.as_str(),
        identity.to_text(),
        to_ms(at),
    )?;
    Ok(ended > 0)
}

/// Whether a run woke a container from a stay asleep.
pub async fn was_ended_by(
    tx: &mut Tx,
    host: &HostId,
    identity: &ContainerIdentity,
    run: &RunId,
) -> Result<bool> {
    let (count,): (i64,) = on_tx!(tx, conn =>
        sqlx::query_as(
            "SELECT COUNT(*) FROM steps JOIN sleeps ON sleeps.host_id = steps.host_id \
             AND sleeps.identity = steps.identity AND sleeps.until_ms = steps.issued_ms \
             WHERE steps.run_id = $1 AND steps.host_id = $2 AND steps.identity = $3")
        .bind(run.as_str())
        .bind(host.as_str())
        .bind(identity.to_text())
        .fetch_one(conn))?;
    Ok(count > 0)
}

/// This very stay ended then; nothing where it has ended already, or made way for another.
pub async fn end_stay(tx: &mut Tx, sleep: &Sleep, at: Timestamp) -> Result<()> {
    exec_tx!(
        tx,
        "UPDATE sleeps SET until_ms = $4 \
         WHERE host_id = $1 AND identity = $2 AND from_ms = $3 AND action = $5 AND until_ms IS NULL",
        sleep.host.as_str(),
        sleep.identity.to_text(),
        to_ms(sleep.from),
        to_ms(at.max(sleep.from)),
        sleep.kind.as_str(),
    )?;
    Ok(())
}

/// The stays on a host that have not ended.
pub async fn open(db: &Db, host: &HostId) -> Result<Vec<Sleep>> {
    let rows: Vec<SleepRow> = on_db!(db, pool =>
        sqlx::query_as("SELECT * FROM sleeps WHERE host_id = $1 AND until_ms IS NULL")
            .bind(host.as_str())
            .fetch_all(pool))?;
    rows.into_iter().map(Sleep::try_from).collect()
}

/// The stays of which a part lies between two instants.
pub async fn between(db: &Db, from: Timestamp, until: Timestamp) -> Result<Vec<Sleep>> {
    let rows: Vec<SleepRow> = on_db!(db, pool =>
        sqlx::query_as("SELECT * FROM sleeps WHERE (until_ms > $1 OR until_ms IS NULL) AND from_ms < $2")
            .bind(to_ms(from))
            .bind(to_ms(until))
            .fetch_all(pool))?;
    rows.into_iter().map(Sleep::try_from).collect()
}

/// Forgets the stays that ended before then.
pub async fn prune(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    Ok(exec_tx!(tx, "DELETE FROM sleeps WHERE until_ms < $1", to_ms(before))?)
}
