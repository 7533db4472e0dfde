//! Runs by the time at which they ended, for pages that draw time.

use jiff::{Timestamp, ToSpan};

use super::conditions::uuid_floor;
use super::query::sql;
use super::{Db, Result};
use crate::domain::run::Run;

/// How long a run may take from being stored to its end, in days: a busy target is waited for, a dead host is tried.
const LONGEST: i64 = 2;

/// The smallest id of a run that may have ended at or after an instant: ids sort by time, so the primary key finds it.
fn floor(from: Timestamp) -> String {
    let made = from.checked_sub((LONGEST * 24).hours()).unwrap_or(Timestamp::UNIX_EPOCH);
    uuid_floor(made)
}

/// The runs that ended from `from` up to and without `until`, however they ended: the newest `limit` of them, the
/// oldest first.
pub async fn ended(db: &Db, from: Timestamp, until: Timestamp, limit: i64) -> Result<Vec<Run>> {
    let sql = "SELECT * FROM runs WHERE id >= $1 AND id < $2 AND finished_ms >= $3 AND finished_ms < $4 \
               AND state NOT IN ('pending', 'executing') ORDER BY finished_ms DESC, id DESC LIMIT $5";
    let mut runs: Vec<Run> = sql!(sql, floor(from), uuid_floor(until), from, until, limit).all(db).await?;
    runs.reverse();
    Ok(runs)
}

/// Of each target the last run that set its state before `until`, looked for since `from`.
pub async fn last_before(db: &Db, from: Timestamp, until: Timestamp) -> Result<Vec<Run>> {
    let sql = "SELECT * FROM runs WHERE id IN (SELECT MAX(id) FROM runs WHERE id >= $1 AND id < $2 \
               AND finished_ms < $3 AND state IN ('succeeded', 'partial') AND action <> 'restart' \
               GROUP BY host_id, target_type, target_identity) ORDER BY id";
    sql!(sql, floor(from), uuid_floor(until), until).all(db).await
}
