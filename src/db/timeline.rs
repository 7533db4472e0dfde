//! Runs by the instant at which they ended, for pages with a time axis.

use jiff::{Timestamp, ToSpan};

use super::conditions::uuid_floor;
use super::query::sql;
use super::{Db, Result};
use crate::domain::run::Run;

/// The longest time in days from the creation of a run to its end, including waits for a busy target or an unreachable
/// host.
const LONGEST_RUN_DAYS: i64 = 2;

/// The smallest id of a run that may have ended at or after `from`: ids sort by time, so the primary key finds it.
fn floor(from: Timestamp) -> String {
    let created = from.checked_sub((LONGEST_RUN_DAYS * 24).hours()).unwrap_or(Timestamp::UNIX_EPOCH);
    uuid_floor(created)
}

/// The runs that ended from `from` up to but not including `until`, with any outcome. Only the newest `limit` runs are
/// returned, oldest first.
pub async fn ended(db: &Db, from: Timestamp, until: Timestamp, limit: i64) -> Result<Vec<Run>> {
    let sql = "SELECT * FROM runs WHERE id >= $1 AND id < $2 AND finished_ms >= $3 AND finished_ms < $4 \
               AND state NOT IN ('pending', 'executing') ORDER BY finished_ms DESC, id DESC LIMIT $5";
    let mut runs: Vec<Run> = sql!(sql, floor(from), uuid_floor(until), from, until, limit).all(db).await?;
    runs.reverse();
    Ok(runs)
}

/// For each target, the last run that set its state before `until`; only runs that may have ended at or after `from`
/// are considered.
pub async fn last_before(db: &Db, from: Timestamp, until: Timestamp) -> Result<Vec<Run>> {
    let sql = "SELECT * FROM runs WHERE id IN (SELECT MAX(id) FROM runs WHERE id >= $1 AND id < $2 \
               AND finished_ms < $3 AND state IN ('succeeded', 'partial') AND action <> 'restart' \
               GROUP BY host_id, target_type, target_identity) ORDER BY id";
    sql!(sql, floor(from), uuid_floor(until), until).all(db).await
}
