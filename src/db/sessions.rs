//! Logins of browsers. The id in the cookie is never stored, only its digest.

use jiff::Timestamp;

use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::ids::UserId;
use crate::domain::user::User;

/// A login of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the id in the cookie, hex.
    pub id_hash: String,
    /// Whose it is.
    pub user_id: UserId,
    /// What pages keep in it: JSON.
    pub data: String,
    /// A form sent after it had ended: JSON.
    pub kept_form: Option<String>,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen: Timestamp,
    /// When it ends unless it is used.
    pub expires: Timestamp,
    /// Where it was last used from.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
}

/// The columns of a session, for a `SELECT` whose table is `s`; `created_ms` is renamed because the account has one too
/// and both are read by one query.
macro_rules! session_columns {
    () => {
        "s.id_hash, s.user_id, s.data, s.kept_form, s.created_ms AS session_created_ms, s.last_seen_ms, s.expires_ms, \
         s.address, s.user_agent"
    };
}

impl ReadRow for Session {
    const TABLE: &'static str = "sessions";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id_hash: row.get("id_hash")?,
            user_id: row.get("user_id")?,
            data: row.get("data")?,
            kept_form: row.get("kept_form")?,
            created: row.get("session_created_ms")?,
            last_seen: row.get("last_seen_ms")?,
            expires: row.get("expires_ms")?,
            address: row.get("address")?,
            user_agent: row.get("user_agent")?,
        })
    }
}

impl ReadRow for (Session, User) {
    const TABLE: &'static str = Session::TABLE;

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok((Session::read(row)?, User::read(row)?))
    }
}

/// A session, ended or not, and its account: one query, since every page asks.
pub async fn find(db: &Db, id_hash: &str) -> Result<Option<(Session, User)>> {
    let sql = concat!(
        "SELECT ",
        session_columns!(),
        ", u.* FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id_hash = $1"
    );
    sql!(sql, id_hash).first(db).await
}

/// Someone's sessions that have not ended at `now`, the last used first.
pub async fn list(db: &Db, user: &UserId, now: Timestamp) -> Result<Vec<Session>> {
    let sql = concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions s WHERE s.user_id = $1 AND s.expires_ms > $2 ORDER BY s.last_seen_ms DESC, s.id_hash"
    );
    sql!(sql, user, now).all(db).await
}

/// How many sessions each account has that have not ended at `now`, and when the last of them was used.
pub async fn counts(db: &Db, now: Timestamp) -> Result<Vec<(UserId, i64, Timestamp)>> {
    let sql = "SELECT user_id, COUNT(*), MAX(last_seen_ms) FROM sessions WHERE expires_ms > $1 \
               GROUP BY user_id";
    sql!(sql, now).all(db).await
}

/// Adds a session and answers whether its id was free.
pub async fn insert(tx: &mut Tx, session: &Session) -> Result<bool> {
    let row = row![
        "id_hash" => session.id_hash,
        "user_id" => session.user_id,
        "data" => session.data,
        "kept_form" => session.kept_form,
        "created_ms" => session.created,
        "last_seen_ms" => session.last_seen,
        "expires_ms" => session.expires,
        "address" => session.address,
        "user_agent" => session.user_agent,
    ];
    Ok(rows::insert(tx, "sessions", vec![row], " ON CONFLICT (id_hash) DO NOTHING").await? == 1)
}

/// Replaces what pages keep in a session.
pub async fn set_data(db: &Db, id_hash: &str, data: &str) -> Result<()> {
    sql!("UPDATE sessions SET data = $1 WHERE id_hash = $2", data, id_hash).run_alone(db).await
}

/// Keeps a form with a session that has ended.
pub async fn keep_form(db: &Db, id_hash: &str, form: &str) -> Result<()> {
    sql!("UPDATE sessions SET kept_form = $1 WHERE id_hash = $2", form, id_hash).run_alone(db).await
}

/// Notes that a session was used.
pub async fn touch(
    db: &Db,
    id_hash: &str,
    last_seen: Timestamp,
    expires: Timestamp,
    address: Option<&str>,
) -> Result<()> {
    let sql = "UPDATE sessions SET last_seen_ms = $1, expires_ms = $2, address = COALESCE($3, address) \
               WHERE id_hash = $4";
    sql!(sql, last_seen, expires, address, id_hash).run_alone(db).await
}

/// Ends a session.
pub async fn delete(db: &Db, id_hash: &str) -> Result<()> {
    sql!("DELETE FROM sessions WHERE id_hash = $1", id_hash).run_alone(db).await
}
