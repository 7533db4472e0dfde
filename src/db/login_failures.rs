//! The `login_failures` table: failed logins, counted by name, by address, and separately for known browsers and
//! accounts. The key of a row says what it counts.
//!
//! A login attempt is counted *before* the password is checked, in one statement, so a hundred attempts at once count
//! as a hundred. A correct password takes its own count back.

use jiff::Timestamp;

use super::query::sql;
use super::{Db, Result, Tx};

/// The state of a count, with the present attempt included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The number of failures if this attempt fails.
    pub failures: i64,
    /// The instant of the first failure.
    pub since: Timestamp,
    /// The end of the block that was already in force before this attempt.
    pub blocked_until: Timestamp,
}

/// Counts an attempt under `key`. A caller that refuses the attempt drops the transaction. A count that began before
/// `forget_before` starts anew. The row stays locked until the transaction ends, so simultaneous attempts get different
/// counts.
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

/// Blocks attempts under `key` until `until`.
pub async fn block(tx: &mut Tx, key: &str, until: Timestamp) -> Result<()> {
    sql!("UPDATE login_failures SET blocked_until_ms = $1 WHERE key = $2", until, key).run(tx).await
}

/// Takes one attempt back, and also the block if fewer than `blocking` failures remain; a block that another attempt
/// caused stays.
pub async fn uncount(tx: &mut Tx, key: &str, blocking: i64) -> Result<()> {
    let sql = "UPDATE login_failures SET failures = failures - 1, \
               blocked_until_ms = CASE WHEN failures <= $2 THEN 0 ELSE blocked_until_ms END \
               WHERE key = $1 AND failures > 0";
    sql!(sql, key, blocking).run(tx).await
}

/// Deletes the count under `key`.
pub async fn clear(tx: &mut Tx, key: &str) -> Result<()> {
    sql!("DELETE FROM login_failures WHERE key = $1", key).run(tx).await
}

/// Deletes the counts of all addresses.
pub async fn clear_addresses(tx: &mut Tx) -> Result<()> {
    sql!("DELETE FROM login_failures WHERE key LIKE 'address:%'").run(tx).await
}

/// Deletes the counts that began before `before` and whose block has ended, and returns their number.
pub async fn prune(db: &Db, before: Timestamp) -> Result<u64> {
    let sql = "DELETE FROM login_failures WHERE since_ms < $1 AND blocked_until_ms < $1";
    sql!(sql, before).touched_alone(db).await
}
