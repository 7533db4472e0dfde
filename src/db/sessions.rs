//! Logins of browsers. The id in the cookie is never stored, only its digest.

use jiff::Timestamp;

use super::rows::{self, row};
use super::users::{Stored, UserRow, columns};
use super::{Db, Result, Tx, exec_db, on_db};
use crate::domain::ids::UserId;
use crate::domain::time::{from_ms, to_ms};
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

#[derive(sqlx::FromRow)]
struct Row {
    id_hash: String,
    user_id: String,
    data: String,
    kept_form: Option<String>,
    session_created_ms: i64,
    last_seen_ms: i64,
    expires_ms: i64,
    address: Option<String>,
    user_agent: Option<String>,
}

impl From<Row> for Session {
    fn from(row: Row) -> Self {
        Self {
            id_hash: row.id_hash,
            user_id: UserId(row.user_id),
            data: row.data,
            kept_form: row.kept_form,
            created: from_ms(row.session_created_ms),
            last_seen: from_ms(row.last_seen_ms),
            expires: from_ms(row.expires_ms),
            address: row.address,
            user_agent: row.user_agent,
        }
    }
}

#[derive(sqlx::FromRow)]
struct Joined {
    #[sqlx(flatten)]
    session: Row,
    #[sqlx(flatten)]
    user: UserRow,
}

/// A session, ended or not, and its account: one query, since every page asks.
pub async fn find(db: &Db, id_hash: &str) -> Result<Option<(Session, User)>> {
    let row: Option<Joined> = on_db!(db, pool => sqlx::query_as(
        concat!("SELECT ", session_columns!(), ", ", columns!(), " FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id_hash = $1"))
        .bind(id_hash).fetch_optional(pool))?;
    row.map(|row| Ok((Session::from(row.session), Stored::try_from(row.user)?.user))).transpose()
}

/// Someone's sessions that have not ended at `now`, the last used first.
pub async fn list(db: &Db, user: &UserId, now: Timestamp) -> Result<Vec<Session>> {
    let rows: Vec<Row> = on_db!(db, pool => sqlx::query_as(
        concat!("SELECT ", session_columns!(),
            " FROM sessions s WHERE s.user_id = $1 AND s.expires_ms > $2 ORDER BY s.last_seen_ms DESC, s.id_hash"))
        .bind(user.as_str()).bind(to_ms(now)).fetch_all(pool))?;
    Ok(rows.into_iter().map(Session::from).collect())
}

/// How many sessions each account has that have not ended at `now`, and when the last of them was used.
pub async fn counts(db: &Db, now: Timestamp) -> Result<Vec<(UserId, i64, Timestamp)>> {
    let rows: Vec<(String, i64, i64)> = on_db!(db, pool => sqlx::query_as(
        "SELECT user_id, COUNT(*), MAX(last_seen_ms) FROM sessions WHERE expires_ms > $1 GROUP BY user_id")
        .bind(to_ms(now)).fetch_all(pool))?;
    Ok(rows.into_iter().map(|(id, count, seen)| (UserId(id), count, from_ms(seen))).collect())
}

/// Adds a session and answers whether its id was free.
pub async fn insert(tx: &mut Tx, session: &Session) -> Result<bool> {
    let row = row![
        "id_hash" => &session.id_hash,
        "user_id" => session.user_id.as_str(),
        "data" => &session.data,
        "kept_form" => session.kept_form.as_deref(),
        "created_ms" => to_ms(session.created),
        "last_seen_ms" => to_ms(session.last_seen),
        "expires_ms" => to_ms(session.expires),
        "address" => session.address.as_deref(),
        "user_agent" => session.user_agent.as_deref(),
    ];
    Ok(rows::insert(tx, "sessions", vec![row], " ON CONFLICT (id_hash) DO NOTHING").await? == 1)
}

/// Replaces what pages keep in a session.
pub async fn set_data(db: &Db, id_hash: &str, data: &str) -> Result<()> {
    exec_db!(db, "UPDATE sessions SET data = $1 WHERE id_hash = $2", data, id_hash)?;
    Ok(())
}

/// Keeps a form with a session that has ended.
pub async fn keep_form(db: &Db, id_hash: &str, form: &str) -> Result<()> {
    exec_db!(db, "UPDATE sessions SET kept_form = $1 WHERE id_hash = $2", form, id_hash)?;
    Ok(())
}

/// Notes that a session was used.
pub async fn touch(
    db: &Db,
    id_hash: &str,
    last_seen: Timestamp,
    expires: Timestamp,
    address: Option<&str>,
) -> Result<()> {
    exec_db!(
        db,
        "UPDATE sessions SET last_seen_ms = $1, expires_ms = $2, address = COALESCE($3, address) WHERE id_hash = $4",
        to_ms(last_seen),
        to_ms(expires),
        address,
        id_hash
    )?;
    Ok(())
}

/// Ends a session.
pub async fn delete(db: &Db, id_hash: &str) -> Result<()> {
    exec_db!(db, "DELETE FROM sessions WHERE id_hash = $1", id_hash)?;
    Ok(())
}
