//! The `idempotency` table: stored responses to POST requests, by user and idempotency key. A repeated request gets the
//! stored response and is not carried out again.

use jiff::Timestamp;

use super::query::sql;
use super::read::{ReadRow, Row};
use super::{Db, Result, Tx};

/// A stored response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Digest of the request. The same key with another request is an error of the caller.
    pub request: String,
    /// HTTP status; [`AT_WORK`] while the first request is in progress.
    pub status: i64,
    /// Body of the response.
    pub body: String,
}

impl ReadRow for Answered {
    const TABLE: &'static str = "idempotency";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { request: row.get("request")?, status: row.get("status")?, body: row.get("body")? })
    }
}

/// The status while the first request is in progress.
pub const AT_WORK: i64 = 0;

/// The response stored for `user` and `key` at or after `since`.
pub async fn get(db: &Db, user: &str, key: &str, since: Timestamp) -> Result<Option<Answered>> {
    let sql = "SELECT request, status, body FROM idempotency WHERE user_id = $1 AND key = $2 \
               AND created_ms >= $3";
    sql!(sql, user, key, since).first(db).await
}

/// Reserves `key` for a new request; `false` if the key is in use. Rows older than `since` are deleted first.
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

/// Deletes a key whose request was aborted or whose process has ended, so that no response will ever follow.
pub async fn forget_lost(tx: &mut Tx, user: &str, key: &str) -> Result<()> {
    sql!("DELETE FROM idempotency WHERE user_id = $1 AND key = $2 AND status = 0", user, key).run(tx).await
}

/// Stores the response under a key that [`begin`] reserved.
pub async fn answer(db: &Db, user: &str, key: &str, status: i64, body: &str) -> Result<()> {
    let sql = "UPDATE idempotency SET status = $1, body = $2 WHERE user_id = $3 AND key = $4";
    sql!(sql, status, body, user, key).run_alone(db).await
}

/// Deletes a key that [`begin`] reserved: nothing was done, so the request may be repeated.
pub async fn release(db: &Db, user: &str, key: &str) -> Result<()> {
    sql!("DELETE FROM idempotency WHERE user_id = $1 AND key = $2", user, key).run_alone(db).await
}
