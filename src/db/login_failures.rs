//! Failed logins: by name and by address, and of known browsers and accounts by themselves.
//!
//! A try is counted *before* the password is looked at, in one statement, so that a hundred tries at once are counted
//! as a hundred; a right password takes its own count back.

use jiff::Timestamp;

use super::query::sql;
use super::{Db, Result, Tx};

/// Where a count stands with one try more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The how-manieth failure it is, should it fail.
    pub failures: i64,
    /// When the first of them was.
    pub since: Timestamp,
    /// Until when tries were refused already before this one.
    pub blocked_until: Timestamp,
}

/// Counts a try under `key`; who refuses it drops the transaction. Failures older than `forget_before` start a new
/// count. The row is held until the transaction ends: of tries at once each sees another count.
pub async fn count(tx: &mut Tx, key: &str, now: Timestamp, forget_before: Timestamp) -> Result<Counted> {
    let sql = "INSERT INTO login_failures (key, since_ms, failures, blocked_until_ms) \
               VALUES ($1, $2, 1, 0) ON CONFLICT (key) DO UPDATE SET \
               failures = CASE WHEN login_failures.since_ms < $3 THEN 1 ELSE login_failures.failures + 1 END, \
               since_ms = CASE WHEN login_failures.since_ms < $3 THEN excluded.since_ms \
                 ELSE login_failures.since_ms END \
               RETURNING failures, since_ms, blocked_until_ms";
    let (failures, since, blocked_until) = sql!(sql, key, now, forget_before).one(tx).await?;
    Ok(Counted { failures, since, blocked_until })
}

/// Refuses tries under `key` until `until`.
pub async fn block(tx: &mut Tx, key: &str, until: Timestamp) -> Result<()> {
    sql!("UPDATE login_failures SET blocked_until_ms = $1 WHERE key = $2", until, key).run(tx).await
}

/// Takes one try back, and the block where fewer than `blocking` failures are left: a block that another try began
/// stays.
pub async fn uncount(tx: &mut Tx, key: &str, blocking: i64) -> Result<()> {
    let sql = "UPDATE login_failures SET failures = failures - 1, \
               blocked_until_ms = CASE WHEN failures <= $2 THEN 0 ELSE blocked_until_ms END \
               WHERE key = $1 AND failures > 0";
    sql!(sql, key, blocking).run(tx).await
}

/// Forgets the failures under `key`.
pub async fn clear(tx: &mut Tx, key: &str) -> Result<()> {
    sql!("DELETE FROM login_failures WHERE key = $1", key).run(tx).await
}

/// Forgets the failures of every address.
pub async fn clear_addresses(tx: &mut Tx) -> Result<()> {
    sql!("DELETE FROM login_failures WHERE key LIKE 'address:%'").run(tx).await
}

/// Removes counts begun before `before` whose block has passed, and answers how many.
pub async fn prune(db: &Db, before: Timestamp) -> Result<u64> {
    let sql = "DELETE FROM login_failures WHERE since_ms < $1 AND blocked_until_ms < $1";
    sql!(sql, before).touched_alone(db).await
}
