//! The `tokens` table: tokens issued by the login of the API. A token without a row is invalid.

use jiff::Timestamp;

use super::query::sql;
use super::{Db, Result, Tx};
use crate::domain::ids::UserId;
use crate::domain::user::User;

/// Adds a token.
pub async fn insert(
    tx: &mut Tx,
    jti: &str,
    user: &UserId,
    created: Timestamp,
    expires: Timestamp,
    address: Option<&str>,
) -> Result<()> {
    let sql = "INSERT INTO tokens (jti, user_id, created_ms, expires_ms, address) \
               VALUES ($1, $2, $3, $4, $5)";
    sql!(sql, jti, user, created, expires, address).run(tx).await
}

/// The account of a token that is valid at `now`.
pub async fn find_user(db: &Db, jti: &str, now: Timestamp) -> Result<Option<User>> {
    let sql =
        "SELECT u.* FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.jti = $1 AND t.expires_ms > $2";
    sql!(sql, jti, now).first(db).await
}

/// Deletes a token; `false` if it does not exist.
pub async fn delete(tx: &mut Tx, jti: &str) -> Result<bool> {
    sql!("DELETE FROM tokens WHERE jti = $1", jti).hits(tx).await
}

/// Deletes the expired tokens of a user, and the oldest ones until `keep` are left; returns the number of deleted
/// tokens. The token `newest` is kept, even if several were issued at the same instant.
pub async fn delete_oldest(
    tx: &mut Tx,
    user: &UserId,
    newest: &str,
    keep: i64,
    now: Timestamp,
) -> Result<u64> {
    let sql = "DELETE FROM tokens WHERE user_id = $1 AND (expires_ms <= $2 OR jti NOT IN (SELECT jti \
               FROM tokens WHERE user_id = $1 AND expires_ms > $2 \
               ORDER BY created_ms DESC, CASE WHEN jti = $3 THEN 0 ELSE 1 END, jti LIMIT $4))";
    sql!(sql, user, now, newest, keep).touched(tx).await
}
