//! Answers already given to a POST that acts, so that a repeated one gets the same answer and acts no second time.

use jiff::Timestamp;

use super::query::sql;
use super::read::{ReadRow, Row};
use super::{Db, Result, Tx};

/// An answer given before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// A digest of what was asked: the same key with another request is a mistake.
    pub request: String,
    /// The status; 0 while the first request is still at work.
    pub status: i64,
    /// The body.
    pub body: String,
}

impl ReadRow for Answered {
    const TABLE: &'static str = "idempotency";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { request: row.get("request")?, status: row.get("status")?, body: row.get("body")? })
    }
}

/// The status of a key whose first request has not been answered yet.
pub const AT_WORK: i64 = 0;

/// What `user` was answered under `key` since `since`.
pub async fn get(db: &Db, user: &str, key: &str, since: Timestamp) -> Result<Option<Answered>> {
    let sql = "SELECT request, status, body FROM idempotency WHERE user_id = $1 AND key = $2 \
               AND created_ms >= $3";
    sql!(sql, user, key, since).first(db).await
}

/// Takes `key` for a request that begins now, and answers whether it was free. An answer older than `since` is
/// forgotten first.
pub async fn begin(
    tx: &mut Tx,
    user: &str,
    key: &str,
    request: &str,
    since: Timestamp,
    now: Timestamp,
) -> Result<bool> {
    sql!("DELETE FROM idempotency WHERE created_ms < $1", since).run(tx).await?;
    let sql = "INSERT INTO idempotency (user_id, key, request, status, body, created_ms) \
               VALUES ($1, $2, $3, 0, '', $4) ON CONFLICT (user_id, key) DO NOTHING";
    sql!(sql, user, key, request, now).hits(tx).await
}

/// Lets go of a key whose request broke off, or whose process is gone: it never will be answered.
pub async fn forget_lost(tx: &mut Tx, user: &str, key: &str) -> Result<()> {
    sql!("DELETE FROM idempotency WHERE user_id = $1 AND key = $2 AND status = 0", user, key).run(tx).await
}

/// Stores the answer under a key that [`begin`] took.
pub async fn answer(db: &Db, user: &str, key: &str, status: i64, body: &str) -> Result<()> {
    let sql = "UPDATE idempotency SET status = $1, body = $2 WHERE user_id = $3 AND key = $4";
    sql!(sql, status, body, user, key).run_alone(db).await
}

/// Lets go of a key that [`begin`] took: nothing was done, so the request may be sent again.
pub async fn release(db: &Db, user: &str, key: &str) -> Result<()> {
    sql!("DELETE FROM idempotency WHERE user_id = $1 AND key = $2", user, key).run_alone(db).await
}
