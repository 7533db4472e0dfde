//! Accounts.

use jiff::Timestamp;

use super::query::{On, sql};
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::ids::UserId;
use crate::domain::user::{Habits, User};

/// An account with its password hash.
#[derive(Clone, Debug)]
pub struct Stored {
    pub user: User,
    /// The hash, in PHC form.
    pub password_hash: String,
}

impl ReadRow for Stored {
    const TABLE: &'static str = User::TABLE;

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { user: User::read(row)?, password_hash: row.get("password_hash")? })
    }
}

impl ReadRow for User {
    const TABLE: &'static str = "users";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            role: row.get("role")?,
            disabled: row.get("disabled")?,
            timezone: row.get("timezone")?,
            theme: row.get("theme")?,
            habits: Habits {
                clock: row.get("clock")?,
                week_start: row.get("week_start")?,
                keys: row.get("keys")?,
            },
            password_set: row.get("password_set_ms")?,
            last_login: row.get("last_login_ms")?,
            rev: row.get("rev")?,
            created: row.get("created_ms")?,
        })
    }
}

/// The account with this folded name ([`crate::domain::credential::name_key`]).
pub async fn find_by_name(db: &Db, name_key: &str) -> Result<Option<Stored>> {
    sql!("SELECT * FROM users WHERE name_key = $1", name_key).first(db).await
}

/// The account with this id.
pub async fn find(on: impl Into<On<'_>>, id: &UserId) -> Result<Option<Stored>> {
    sql!("SELECT * FROM users WHERE id = $1", id).first(on).await
}

/// Every account by name.
pub async fn list(db: &Db) -> Result<Vec<User>> {
    sql!("SELECT * FROM users ORDER BY name_key").all(db).await
}

/// How many accounts there are.
pub async fn count(on: impl Into<On<'_>>) -> Result<i64> {
    sql!("SELECT COUNT(*) FROM users").one(on).await
}

/// How many accounts beside `but` are admins that can log in.
pub async fn other_admins(tx: &mut Tx, but: &UserId) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM users WHERE role = 'admin' AND NOT disabled AND password_set_ms > 0 \
               AND id <> $1";
    sql!(sql, but).one(tx).await
}

/// Makes whoever else changes accounts wait until this transaction ends, so that two of them cannot each remove the
/// admin the other one counts on. One UPDATE that changes nothing is a lock on both engines.
pub async fn lock_all(tx: &mut Tx) -> Result<()> {
    let sql = "INSERT INTO settings (key, value, updated_ms) VALUES ('users_lock', '', 0) \
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    sql!(sql).run(tx).await
}

/// Adds an account.
///
/// # Errors
/// [`DbError::is_duplicate`] where the name is taken; else what the engine answered.
pub async fn insert(tx: &mut Tx, user: &User, name_key: &str, password_hash: &str) -> Result<()> {
    let row = row![
        "id" => user.id,
        "name" => user.name,
        "name_key" => name_key,
        "role" => user.role,
        "password_hash" => password_hash,
        "disabled" => user.disabled,
        "timezone" => user.timezone,
        "theme" => user.theme,
        "clock" => user.habits.clock,
        "week_start" => user.habits.week_start,
        "keys" => user.habits.keys,
        "password_set_ms" => user.password_set,
        "last_login_ms" => user.last_login,
        "rev" => user.rev,
        "created_ms" => user.created,
        "updated_ms" => user.created,
    ];
    rows::add(tx, "users", row).await
}

/// Stores role, disabled, zone and theme of an account read at revision `user.rev`, and answers whether it still had
/// that revision.
pub async fn update(tx: &mut Tx, user: &User, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE users SET role = $1, disabled = $2, timezone = $3, theme = $4, updated_ms = $5, \
               rev = rev + 1 WHERE id = $6 AND rev = $7";
    sql!(sql, user.role, user.disabled, user.timezone, user.theme, now, user.id, user.rev).hits(tx).await
}

/// Stores what somebody likes: their zone and their habits. Not a new revision: no admin's edit is in its way.
pub async fn set_habits(
    tx: &mut Tx,
    id: &UserId,
    timezone: Option<&str>,
    habits: Habits,
    now: Timestamp,
) -> Result<bool> {
    let sql = "UPDATE users SET timezone = $1, clock = $2, week_start = $3, keys = $4, updated_ms = $5 \
               WHERE id = $6";
    sql!(sql, timezone, habits.clock, habits.week_start, habits.keys, now, id).hits(tx).await
}

/// Stores a new password and answers whether the account exists.
pub async fn set_password(tx: &mut Tx, id: &UserId, password_hash: &str, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE users SET password_hash = $1, password_set_ms = $2, updated_ms = $2, rev = rev + 1 \
               WHERE id = $3";
    sql!(sql, password_hash, now, id).hits(tx).await
}

/// Holds an account until the end of the transaction, and answers whether its password is still the one that was read
/// and the account is not disabled: who changes either waits, and then ends what was given out.
pub async fn hold(tx: &mut Tx, user: &User) -> Result<bool> {
    let sql = "UPDATE users SET rev = rev WHERE id = $1 AND password_set_ms = $2 AND disabled = FALSE";
    sql!(sql, user.id, user.password_set).hits(tx).await
}

/// Notes a login, and the password hashed anew where the old hash was cheaper than today's. A password set in the
/// meantime is left alone.
pub async fn logged_in(
    tx: &mut Tx,
    id: &UserId,
    now: Timestamp,
    rehashed: Option<(&str, &str)>,
) -> Result<()> {
    sql!("UPDATE users SET last_login_ms = $1 WHERE id = $2", now, id).run(tx).await?;
    if let Some((old, new)) = rehashed {
        let sql = "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3";
        sql!(sql, new, id, old).run(tx).await?;
    }
    Ok(())
}

/// Removes an account with its sessions and tokens, and answers whether it existed.
pub async fn delete(tx: &mut Tx, id: &UserId) -> Result<bool> {
    sql!("DELETE FROM users WHERE id = $1", id).hits(tx).await
}
