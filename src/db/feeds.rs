//! The `feeds` table: addresses from which calendar apps fetch the planned events. The table holds only the digest of
//! the token in each address.

use jiff::Timestamp;

use super::query::sql;
use super::read::{ReadRow, Row};
use super::{Db, Result, Tx};
use crate::domain::ids::{FeedId, UserId};
use crate::domain::user::User;

/// One feed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    pub id: FeedId,
    pub created: Timestamp,
    /// Latest fetch, or `None`.
    pub used: Option<Timestamp>,
}

/// Adds a feed; `digest` is the digest of its token.
pub async fn insert(tx: &mut Tx, id: &FeedId, user: &UserId, digest: &str, created: Timestamp) -> Result<()> {
    let sql = "INSERT INTO feeds (id, user_id, digest, created_ms) VALUES ($1, $2, $3, $4)";
    sql!(sql, id, user, digest, created).run(tx).await
}

/// The feeds of a user, newest first.
pub async fn of_user(db: &Db, user: &UserId) -> Result<Vec<Feed>> {
    let sql = "SELECT id, created_ms, used_ms FROM feeds WHERE user_id = $1 \
               ORDER BY created_ms DESC, id DESC";
    sql!(sql, user).all(db).await
}

impl ReadRow for Feed {
    const TABLE: &'static str = "feeds";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { id: row.get("id")?, created: row.get("created_ms")?, used: row.get("used_ms")? })
    }
}

/// The number of feeds of a user.
pub async fn count(tx: &mut Tx, user: &UserId) -> Result<i64> {
    sql!("SELECT COUNT(*) FROM feeds WHERE user_id = $1", user).one(tx).await
}

/// The account of the feed whose token has this digest.
pub async fn find_user(db: &Db, digest: &str) -> Result<Option<User>> {
    let sql = "SELECT u.* FROM feeds f JOIN users u ON u.id = f.user_id WHERE f.digest = $1";
    sql!(sql, digest).first(db).await
}

/// Stores `now` as the latest fetch, unless the stored one is later than `unless_since`.
pub async fn used(db: &Db, digest: &str, now: Timestamp, unless_since: Timestamp) -> Result<()> {
    let sql = "UPDATE feeds SET used_ms = $2 WHERE digest = $1 AND (used_ms IS NULL OR used_ms <= $3)";
    sql!(sql, digest, now, unless_since).run_alone(db).await
}

/// Deletes a feed of a user; `false` if the user has no such feed.
pub async fn delete(tx: &mut Tx, user: &UserId, id: &FeedId) -> Result<bool> {
    sql!("DELETE FROM feeds WHERE user_id = $1 AND id = $2", user, id).hits(tx).await
}
