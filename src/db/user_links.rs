//! Links with which somebody chooses a password. The token in a link is never stored, only its digest.

use jiff::Timestamp;

use super::query::sql;
use super::read::{ReadRow, Row};
use super::{Db, Result, Tx};
use crate::domain::ids::UserId;
use crate::domain::user::{LinkKind, User};

/// A link that has not been used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whose password it is.
    pub user_id: UserId,
    /// What it is for.
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

/// Adds a link by the digest of its token.
pub async fn insert(tx: &mut Tx, token_hash: &str, link: &Link, now: Timestamp) -> Result<()> {
    let sql = "INSERT INTO user_links (token_hash, user_id, kind, created_ms, expires_ms) \
               VALUES ($1, $2, $3, $4, $5)";
    sql!(sql, token_hash, link.user_id, link.kind, now, link.expires).run(tx).await
}

/// The link of a digest that is good at `now`, and its account.
pub async fn find(db: &Db, token_hash: &str, now: Timestamp) -> Result<Option<(Link, User)>> {
    let sql = "SELECT u.*, l.user_id AS link_user, l.kind, l.expires_ms \
               FROM user_links l JOIN users u ON u.id = l.user_id \
               WHERE l.token_hash = $1 AND l.expires_ms > $2 AND NOT u.disabled";
    sql!(sql, token_hash, now).first(db).await
}

/// Every link that is good at `now`.
pub async fn open(db: &Db, now: Timestamp) -> Result<Vec<Link>> {
    let sql = "SELECT user_id AS link_user, kind, expires_ms FROM user_links WHERE expires_ms > $1 \
               ORDER BY created_ms";
    sql!(sql, now).all(db).await
}

/// Uses a link up, and answers whether it was still good: of several who use it at once one does.
pub async fn take(tx: &mut Tx, token_hash: &str, now: Timestamp) -> Result<bool> {
    sql!("DELETE FROM user_links WHERE token_hash = $1 AND expires_ms > $2", token_hash, now).hits(tx).await
}

/// Withdraws all of someone's links and answers how many.
pub async fn delete_all(tx: &mut Tx, user: &UserId) -> Result<u64> {
    sql!("DELETE FROM user_links WHERE user_id = $1", user).touched(tx).await
}
