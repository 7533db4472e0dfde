//! The `user_links` table: links for choosing a password. The table holds only the digest of the token in the link.

use jiff::Timestamp;

use super::query::sql;
use super::read::{ReadRow, Row};
use super::{Db, Result, Tx};
use crate::domain::ids::UserId;
use crate::domain::user::{LinkKind, User};

/// One unused link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The account whose password the link sets.
    pub user_id: UserId,
    /// The purpose of the link.
    pub kind: LinkKind,
    pub expires: Timestamp,
}

impl ReadRow for Link {
    const TABLE: &'static str = "user_links";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { user_id: row.get("link_user")?, kind: row.get("kind")?, expires: row.get("expires_ms")? })
    }
}

impl ReadRow for (Link, User) {
    const TABLE: &'static str = Link::TABLE;

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok((Link::read(row)?, User::read(row)?))
    }
}

/// Adds a link; `token_hash` is the digest of its token.
pub async fn insert(tx: &mut Tx, token_hash: &str, link: &Link, now: Timestamp) -> Result<()> {
    let sql = "INSERT INTO user_links (token_hash, user_id, kind, created_ms, expires_ms) \
               VALUES ($1, $2, $3, $4, $5)";
    sql!(sql, token_hash, link.user_id, link.kind, now, link.expires).run(tx).await
}

/// The link with this digest and its account, if the link is valid at `now` and the account is not disabled.
pub async fn find(db: &Db, token_hash: &str, now: Timestamp) -> Result<Option<(Link, User)>> {
    let sql = "SELECT u.*, l.user_id AS link_user, l.kind, l.expires_ms \
               FROM user_links l JOIN users u ON u.id = l.user_id \
               WHERE l.token_hash = $1 AND l.expires_ms > $2 AND NOT u.disabled";
    sql!(sql, token_hash, now).first(db).await
}

/// All links that are valid at `now`.
pub async fn open(db: &Db, now: Timestamp) -> Result<Vec<Link>> {
    let sql = "SELECT user_id AS link_user, kind, expires_ms FROM user_links WHERE expires_ms > $1 \
               ORDER BY created_ms";
    sql!(sql, now).all(db).await
}

/// Deletes a link when it is used; `false` if it is no longer valid. Of several simultaneous uses only one gets `true`.
pub async fn take(tx: &mut Tx, token_hash: &str, now: Timestamp) -> Result<bool> {
    sql!("DELETE FROM user_links WHERE token_hash = $1 AND expires_ms > $2", token_hash, now).hits(tx).await
}

/// Deletes all links of a user and returns their number.
pub async fn delete_all(tx: &mut Tx, user: &UserId) -> Result<u64> {
    sql!("DELETE FROM user_links WHERE user_id = $1", user).touched(tx).await
}
