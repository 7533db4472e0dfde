//! Accounts.

use jiff::Timestamp;

use super::rows::{self, row};
use super::{Db, DbError, Result, Tx, exec_tx, on_db, on_tx};
use crate::domain::ids::UserId;
use crate::domain::permission::Role;
use crate::domain::time::{from_ms, to_ms};
use crate::domain::user::{ClockFace, Habits, User, WeekStart};

/// The columns of [`UserRow`], for a `SELECT` whose table is `u`.
macro_rules! columns {
    () => {
        "u.id, u.name, u.role, u.password_hash, u.disabled, u.timezone, u.theme, u.clock, u.week_start, u.keys, \
         u.password_set_ms, u.last_login_ms, u.rev, u.created_ms"
    };
}
pub(super) use columns;

/// An account as stored.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct UserRow {
    id: String,
    name: String,
    role: String,
    password_hash: String,
    disabled: bool,
    timezone: Option<String>,
    theme: Option<String>,
    clock: String,
    week_start: String,
    keys: bool,
    password_set_ms: i64,
    last_login_ms: Option<i64>,
    rev: i64,
    created_ms: i64,
}

/// An account with its password hash.
#[derive(Clone, Debug)]
pub struct Stored {
    pub user: User,
    /// The hash, in PHC form.
    pub password_hash: String,
}

impl TryFrom<UserRow> for Stored {
    type Error = DbError;

    fn try_from(row: UserRow) -> Result<Self> {
        let damaged = |what: String| DbError::Damaged { table: "users", id: row.id.clone(), what };
        let role = row.role.parse::<Role>().map_err(|_| damaged(format!("`{}` is not a role", row.role)))?;
        let habits = Habits {
            clock: ClockFace::parse(&row.clock)
                .ok_or_else(|| damaged(format!("`{}` is not a clock", row.clock)))?,
            week_start: WeekStart::parse(&row.week_start)
                .ok_or_else(|| damaged(format!("no week starts on `{}`", row.week_start)))?,
            keys: row.keys,
        };
        Ok(Self {
            user: User {
                id: UserId(row.id),
                name: row.name,
                role,
                disabled: row.disabled,
                timezone: row.timezone,
                theme: row.theme,
                habits,
                password_set: from_ms(row.password_set_ms),
                last_login: row.last_login_ms.map(from_ms),
                rev: row.rev,
                created: from_ms(row.created_ms),
            },
            password_hash: row.password_hash,
        })
    }
}

/// The account with this folded name ([`crate::domain::credential::name_key`]).
pub async fn find_by_name(db: &Db, name_key: &str) -> Result<Option<Stored>> {
    let row: Option<UserRow> = on_db!(db, pool => sqlx::query_as(
        concat!("SELECT ", columns!(), " FROM users u WHERE u.name_key = $1")).bind(name_key).fetch_optional(pool))?;
    row.map(Stored::try_from).transpose()
}

/// The account with this id.
pub async fn find(db: &Db, id: &UserId) -> Result<Option<Stored>> {
    let row: Option<UserRow> = on_db!(db, pool => sqlx::query_as(
        concat!("SELECT ", columns!(), " FROM users u WHERE u.id = $1")).bind(id.as_str()).fetch_optional(pool))?;
    row.map(Stored::try_from).transpose()
}

/// The account with this id, inside a transaction.
pub async fn find_in(tx: &mut Tx, id: &UserId) -> Result<Option<Stored>> {
    let row: Option<UserRow> = on_tx!(tx, conn => sqlx::query_as(
        concat!("SELECT ", columns!(), " FROM users u WHERE u.id = $1")).bind(id.as_str()).fetch_optional(conn))?;
    row.map(Stored::try_from).transpose()
}

/// Every account by name.
pub async fn list(db: &Db) -> Result<Vec<User>> {
    let rows: Vec<UserRow> = on_db!(db, pool => sqlx::query_as(
        concat!("SELECT ", columns!(), " FROM users u ORDER BY u.name_key")).fetch_all(pool))?;
    rows.into_iter().map(|row| Stored::try_from(row).map(|stored| stored.user)).collect()
}

/// How many accounts there are.
pub async fn count(db: &Db) -> Result<i64> {
    let (count,): (i64,) = on_db!(db, pool => sqlx::query_as("SELECT COUNT(*) FROM users").fetch_one(pool))?;
    Ok(count)
}

/// The same as [`count`], inside a transaction.
pub async fn count_in(tx: &mut Tx) -> Result<i64> {
    let (count,): (i64,) = on_tx!(tx, conn => sqlx::query_as("SELECT COUNT(*) FROM users").fetch_one(conn))?;
    Ok(count)
}

/// How many accounts beside `but` are admins that can log in.
pub async fn other_admins(tx: &mut Tx, but: &UserId) -> Result<i64> {
    let (count,): (i64,) = on_tx!(tx, conn => sqlx::query_as(
        "SELECT COUNT(*) FROM users WHERE role = 'admin' AND NOT disabled AND password_set_ms > 0 AND id <> $1")
        .bind(but.as_str()).fetch_one(conn))?;
    Ok(count)
}

/// Makes whoever else changes accounts wait until this transaction ends, so that two of them cannot each remove the
/// admin the other one counts on. One UPDATE that changes nothing is a lock on both engines.
pub async fn lock_all(tx: &mut Tx) -> Result<()> {
    exec_tx!(
        tx,
        "INSERT INTO settings (key, value, updated_ms) VALUES ('users_lock', '', 0) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    )?;
    Ok(())
}

/// Adds an account.
///
/// # Errors
/// [`DbError::is_duplicate`] where the name is taken; else what the engine answered.
pub async fn insert(tx: &mut Tx, user: &User, name_key: &str, password_hash: &str) -> Result<()> {
    let row = row![
        "id" => user.id.as_str(),
        "name" => &user.name,
        "name_key" => name_key,
        "role" => user.role.as_str(),
        "password_hash" => password_hash,
        "disabled" => user.disabled,
        "timezone" => user.timezone.as_deref(),
        "theme" => user.theme.as_deref(),
        "clock" => user.habits.clock.as_str(),
        "week_start" => user.habits.week_start.as_str(),
        "keys" => user.habits.keys,
        "password_set_ms" => to_ms(user.password_set),
        "last_login_ms" => user.last_login.map(to_ms),
        "rev" => user.rev,
        "created_ms" => to_ms(user.created),
        "updated_ms" => to_ms(user.created),
    ];
    rows::insert(tx, "users", vec![row], "").await?;
    Ok(())
}

/// Stores role, disabled, zone and theme of an account read at revision `user.rev`, and answers whether it still had
/// that revision.
pub async fn update(tx: &mut Tx, user: &User, now: Timestamp) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE users SET role = $1, disabled = $2, timezone = $3, theme = $4, updated_ms = $5, rev = rev + 1 \
         WHERE id = $6 AND rev = $7",
        user.role.as_str(),
        user.disabled,
        user.timezone.as_deref(),
        user.theme.as_deref(),
        to_ms(now),
        user.id.as_str(),
        user.rev
    )?;
    Ok(rows == 1)
}

/// Stores what somebody likes: their zone and their habits. Not a new revision: no admin's edit is in its way.
pub async fn set_habits(
    tx: &mut Tx,
    id: &UserId,
    timezone: Option<&str>,
    habits: Habits,
    now: Timestamp,
) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE users SET timezone = $1, clock = $2, week_start = $3, keys = $4, updated_ms = $5 WHERE id = $6",
        timezone,
        habits.clock.as_str(),
        habits.week_start.as_str(),
        habits.keys,
        to_ms(now),
        id.as_str()
    )?;
    Ok(rows == 1)
}

/// Stores a new password and answers whether the account exists.
pub async fn set_password(tx: &mut Tx, id: &UserId, password_hash: &str, now: Timestamp) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE users SET password_hash = $1, password_set_ms = $2, updated_ms = $2, rev = rev + 1 WHERE id = $3",
        password_hash,
        to_ms(now),
        id.as_str()
    )?;
    Ok(rows == 1)
}

/// Holds an account until the end of the transaction, and answers whether its password is still the one that was read
/// and the account is not disabled: who changes either waits, and then ends what was given out.
pub async fn hold(tx: &mut Tx, user: &User) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE users SET rev = rev WHERE id = $1 AND password_set_ms = $2 AND disabled = FALSE",
        user.id.as_str(),
        to_ms(user.password_set)
    )?;
    Ok(rows == 1)
}

/// Notes a login, and the password hashed anew where the old hash was cheaper than today's. A password set in the
/// meantime is left alone.
pub async fn logged_in(
    tx: &mut Tx,
    id: &UserId,
    now: Timestamp,
    rehashed: Option<(&str, &str)>,
) -> Result<()> {
    exec_tx!(tx, "UPDATE users SET last_login_ms = $1 WHERE id = $2", to_ms(now), id.as_str())?;
    if let Some((old, new)) = rehashed {
        exec_tx!(
            tx,
            "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3",
            new,
            id.as_str(),
            old
        )?;
    }
    Ok(())
}

/// Removes an account with its sessions and tokens, and answers whether it existed.
pub async fn delete(tx: &mut Tx, id: &UserId) -> Result<bool> {
    Ok(exec_tx!(tx, "DELETE FROM users WHERE id = $1", id.as_str())? == 1)
}
