//! The `sessions` table: browser logins. The table holds only the digest of the id in the cookie.

use jiff::Timestamp;

use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::ids::UserId;
use crate::domain::user::User;

/// One browser login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the id in the cookie, in hex.
    pub id_hash: String,
    pub user_id: UserId,
    /// State that pages keep in the session, as JSON.
    pub data: String,
    /// A form that was sent after the session had expired, as JSON.
    pub kept_form: Option<String>,
    pub created: Timestamp,
    /// Latest use, accurate to a minute.
    pub last_seen: Timestamp,
    /// Expiry, unless the session is used before.
    pub expires: Timestamp,
    /// IP address of the latest use.
    pub address: Option<String>,
    /// The `User-Agent` header of the browser.
    pub user_agent: Option<String>,
}

/// The columns of a session, for a `SELECT` with the table alias `s`. `created_ms` is renamed because an account has a
/// column of that name, and both are read by one query.
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

/// A session, expired or not, and its account. One query for both, since every page needs them.
pub async fn find(db: &Db, id_hash: &str) -> Result<Option<(Session, User)>> {
    let sql = concat!(
        "SELECT ",
        session_columns!(),
        ", u.* FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id_hash = $1"
    );
    sql!(sql, id_hash).first(db).await
}

/// The sessions of a user that are valid at `now`, the last used first.
pub async fn list(db: &Db, user: &UserId, now: Timestamp) -> Result<Vec<Session>> {
    let sql = concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions s WHERE s.user_id = $1 AND s.expires_ms > $2 ORDER BY s.last_seen_ms DESC, s.id_hash"
    );
    sql!(sql, user, now).all(db).await
}

/// The number of sessions of each account that are valid at `now`, and the instant of the latest use.
pub async fn counts(db: &Db, now: Timestamp) -> Result<Vec<(UserId, i64, Timestamp)>> {
    let sql = "SELECT user_id, COUNT(*), MAX(last_seen_ms) FROM sessions WHERE expires_ms > $1 \
               GROUP BY user_id";
    sql!(sql, now).all(db).await
}

/// Adds a session; `false` if its id is in use.
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

/// Replaces the state that pages keep in a session.
pub async fn set_data(db: &Db, id_hash: &str, data: &str) -> Result<()> {
    sql!("UPDATE sessions SET data = $1 WHERE id_hash = $2", data, id_hash).run_alone(db).await
}

/// Stores a form with an expired session.
pub async fn keep_form(db: &Db, id_hash: &str, form: &str) -> Result<()> {
    sql!("UPDATE sessions SET kept_form = $1 WHERE id_hash = $2", form, id_hash).run_alone(db).await
}

/// Updates the latest use and the expiry of a session, and its address if there is one.
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

/// Deletes a session.
pub async fn delete(db: &Db, id_hash: &str) -> Result<()> {
    sql!("DELETE FROM sessions WHERE id_hash = $1", id_hash).run_alone(db).await
}
