//! Links with which somebody chooses a password. The token in a link is never stored, only its digest.

use jiff::Timestamp;

use super::users::{Stored, UserRow, columns};
use super::{Db, DbError, Result, Tx, exec_tx, on_db};
use crate::domain::ids::UserId;
use crate::domain::time::{from_ms, to_ms};
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

#[derive(sqlx::FromRow)]
struct Row {
    link_user: String,
    kind: String,
    expires_ms: i64,
}

#[derive(sqlx::FromRow)]
struct Joined {
    #[sqlx(flatten)]
    link: Row,
    #[sqlx(flatten)]
    user: UserRow,
}

impl TryFrom<Row> for Link {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self> {
        let kind = LinkKind::parse(&row.kind).ok_or_else(|| DbError::Damaged {
            table: "user_links",
            id: row.link_user.clone(),
            what: format!("`{}` is no kind of link", row.kind),
        })?;
        Ok(Self { user_id: UserId(row.link_user), kind, expires: from_ms(row.expires_ms) })
    }
}

/// Adds a link by the digest of its token.
pub async fn insert(tx: &mut Tx, token_hash: &str, link: &Link, now: Timestamp) -> Result<()> {
    exec_tx!(
        tx,
        "INSERT INTO user_links (token_hash, user_id, kind, created_ms, expires_ms) VALUES ($1, $2, $3, $4, $5)",
        token_hash,
        link.user_id.as_str(),
        link.kind.as_str(),
        to_ms(now),
        to_ms(link.expires)
    )?;
    Ok(())
}

/// The link of a digest that is good at `now`, and its account.
pub async fn find(db: &Db, token_hash: &str, now: Timestamp) -> Result<Option<(Link, User)>> {
    let row: Option<Joined> = on_db!(db, pool => sqlx::query_as(
        concat!("SELECT l.user_id AS link_user, l.kind, l.expires_ms, ", columns!(),
            " FROM user_links l JOIN users u ON u.id = l.user_id \
             WHERE l.token_hash = $1 AND l.expires_ms > $2 AND NOT u.disabled"))
        .bind(token_hash).bind(to_ms(now)).fetch_optional(pool))?;
    row.map(|row| Ok((Link::try_from(row.link)?, Stored::try_from(row.user)?.user))).transpose()
}

/// Every link that is good at `now`.
pub async fn open(db: &Db, now: Timestamp) -> Result<Vec<Link>> {
    let rows: Vec<Row> = on_db!(db, pool => sqlx::query_as(
        "SELECT user_id AS link_user, kind, expires_ms FROM user_links WHERE expires_ms > $1 ORDER BY created_ms")
        .bind(to_ms(now)).fetch_all(pool))?;
    rows.into_iter().map(Link::try_from).collect()
}

/// Uses a link up, and answers whether it was still good: of several who use it at once one does.
pub async fn take(tx: &mut Tx, token_hash: &str, now: Timestamp) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "DELETE FROM user_links WHERE token_hash = $1 AND expires_ms > $2",
        token_hash,
        to_ms(now)
    )?;
    Ok(rows == 1)
}

/// Withdraws all of someone's links and answers how many.
pub async fn delete_all(tx: &mut Tx, user: &UserId) -> Result<u64> {
    Ok(exec_tx!(tx, "DELETE FROM user_links WHERE user_id = $1", user.as_str())?)
}
