//! Addresses under which calendar apps fetch what is planned. Of a token only the digest is here.

use jiff::Timestamp;

use super::users::{Stored, UserRow, columns};
use super::{Db, Result, Tx, exec_db, exec_tx, on_db, on_tx};
use crate::domain::ids::{FeedId, UserId};
use crate::domain::time::{from_ms, to_ms};
use crate::domain::user::User;

/// One address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    pub id: FeedId,
    pub created: Timestamp,
    /// When it was last fetched.
    pub used: Option<Timestamp>,
}

/// Adds an address; `digest` is that of its token.
pub async fn insert(tx: &mut Tx, id: &FeedId, user: &UserId, digest: &str, created: Timestamp) -> Result<()> {
    exec_tx!(
        tx,
        "INSERT INTO feeds (id, user_id, digest, created_ms) VALUES ($1, $2, $3, $4)",
        id.as_str(),
        user.as_str(),
        digest,
        to_ms(created)
    )?;
    Ok(())
}

/// Someone's addresses, the newest first.
pub async fn of_user(db: &Db, user: &UserId) -> Result<Vec<Feed>> {
    let rows: Vec<(String, i64, Option<i64>)> = on_db!(db, pool => sqlx::query_as(
        "SELECT id, created_ms, used_ms FROM feeds WHERE user_id = $1 ORDER BY created_ms DESC, id DESC")
        .bind(user.as_str()).fetch_all(pool))?;
    let feed = |(id, created, used): (String, _, Option<i64>)| Feed {
        id: FeedId(id),
        created: from_ms(created),
        used: used.map(from_ms),
    };
    Ok(rows.into_iter().map(feed).collect())
}

/// How many addresses someone has.
pub async fn count(tx: &mut Tx, user: &UserId) -> Result<i64> {
    let (count,): (i64,) = on_tx!(tx, conn => sqlx::query_as("SELECT COUNT(*) FROM feeds WHERE user_id = $1")
        .bind(user.as_str()).fetch_one(conn))?;
    Ok(count)
}

/// The account whose address has a token of this digest.
pub async fn find_user(db: &Db, digest: &str) -> Result<Option<User>> {
    let row: Option<UserRow> = on_db!(db, pool => sqlx::query_as(
        concat!("SELECT ", columns!(), " FROM feeds f JOIN users u ON u.id = f.user_id WHERE f.digest = $1"))
        .bind(digest).fetch_optional(pool))?;
    row.map(|row| Stored::try_from(row).map(|stored| stored.user)).transpose()
}

/// Notes that an address was fetched, unless that was noted after `unless_since`.
pub async fn used(db: &Db, digest: &str, now: Timestamp, unless_since: Timestamp) -> Result<()> {
    exec_db!(
        db,
        "UPDATE feeds SET used_ms = $2 WHERE digest = $1 AND (used_ms IS NULL OR used_ms <= $3)",
        digest,
        to_ms(now),
        to_ms(unless_since)
    )?;
    Ok(())
}

/// Ends one of someone's addresses, and answers whether it was there.
pub async fn delete(tx: &mut Tx, user: &UserId, id: &FeedId) -> Result<bool> {
    Ok(exec_tx!(tx, "DELETE FROM feeds WHERE user_id = $1 AND id = $2", user.as_str(), id.as_str())? == 1)
}
