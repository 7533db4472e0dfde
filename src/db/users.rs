//! The `users` table: the accounts, with their password hashes and personal settings.

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
    /// The hash, in PHC format.
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

/// All accounts, sorted by name.
pub async fn list(db: &Db) -> Result<Vec<User>> {
    sql!("SELECT * FROM users ORDER BY name_key").all(db).await
}

/// The number of accounts.
pub async fn count(on: impl Into<On<'_>>) -> Result<i64> {
    sql!("SELECT COUNT(*) FROM users").one(on).await
}

/// When the first account was made; `None` before that.
pub async fn first_created(db: &Db) -> Result<Option<Timestamp>> {
    sql!("SELECT MIN(created_ms) FROM users").one(db).await
}

/// The number of admins that can log in, without the account `but`.
pub async fn other_admins(tx: &mut Tx, but: &UserId) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM users WHERE role = 'admin' AND NOT disabled AND password_set_ms > 0 \
               AND id <> $1";
    sql!(sql, but).one(tx).await
}

/// Makes other transactions that change accounts wait until this one ends, so that two of them cannot each remove the
/// admin on which the other one relies. An upsert of one row acts as the lock on both engines.
pub async fn lock_all(tx: &mut Tx) -> Result<()> {
    let sql = "INSERT INTO settings (key, value, updated_ms) VALUES ('users_lock', '', 0) \
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    sql!(sql).run(tx).await
}

/// Adds an account.
///
/// # Errors
/// [`DbError::is_duplicate`] if the name is taken; otherwise the error of the engine.
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

/// Stores role, disabled, time zone and theme of an account; `false` if its revision is no longer `user.rev`. The
/// revision grows by one.
pub async fn update(tx: &mut Tx, user: &User, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE users SET role = $1, disabled = $2, timezone = $3, theme = $4, updated_ms = $5, \
               rev = rev + 1 WHERE id = $6 AND rev = $7";
    sql!(sql, user.role, user.disabled, user.timezone, user.theme, now, user.id, user.rev).hits(tx).await
}

/// Stores the personal settings of a user: time zone and habits. The revision stays, so that an edit by an admin does
/// not conflict with it; `false` if the account does not exist.
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

/// Stores a new password hash; `false` if the account does not exist.
pub async fn set_password(tx: &mut Tx, id: &UserId, password_hash: &str, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE users SET password_hash = $1, password_set_ms = $2, updated_ms = $2, rev = rev + 1 \
               WHERE id = $3";
    sql!(sql, password_hash, now, id).hits(tx).await
}

/// Locks an account until the end of the transaction; `false` if its password was changed since `user` was read, or the
/// account is disabled. A transaction that changes either waits, and then invalidates the credentials issued in the
/// meantime.
pub async fn hold(tx: &mut Tx, user: &User) -> Result<bool> {
    let sql = "UPDATE users SET rev = rev WHERE id = $1 AND password_set_ms = $2 AND disabled = FALSE";
    sql!(sql, user.id, user.password_set).hits(tx).await
}

/// Stores the instant of a login. `rehashed` holds the old and the new hash if the old one used weaker parameters than
/// today's; the hash is not replaced if the password was changed in the meantime.
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

/// Deletes an account with its sessions and tokens; `false` if it does not exist.
pub async fn delete(tx: &mut Tx, id: &UserId) -> Result<bool> {
    sql!("DELETE FROM users WHERE id = $1", id).hits(tx).await
}
