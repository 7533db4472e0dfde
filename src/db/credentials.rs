//! All tables that hold a credential, and the events that invalidate it. Restore, disable, delete, change of password
//! or role, and sign-out all use this one list. The test over the schema fails for a new table that is neither listed
//! here nor, in that test, as a table without credentials.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::query::sql;
use super::{Db, Result, Tx};
use crate::domain::ids::UserId;

/// An event that invalidates credentials of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Sign-out of all sessions.
    SignOut,
    /// Change of the role.
    Role,
    /// Change of the password.
    Password,
    /// The account was disabled.
    Disable,
    /// The account was deleted.
    Delete,
}

impl Event {
    /// All events.
    pub const ALL: [Self; 5] = [Self::SignOut, Self::Role, Self::Password, Self::Disable, Self::Delete];
}

/// A table with one credential per row, such as a session or a token. Every such table has a column `user_id`.
#[derive(Clone, Copy, Debug)]
pub struct Credential {
    /// Name of the table.
    pub table: &'static str,
    key: &'static str,
    /// Events after which the credential stays valid. A restore always invalidates it, since the backup may hold
    /// credentials that were withdrawn later.
    pub outlives: &'static [Event],
}

pub const SESSIONS: Credential = Credential { table: "sessions", key: "id_hash", outlives: &[] };
/// A known browser is no login: its failed logins are only counted separately (rulings 62).
pub const DEVICES: Credential =
    Credential { table: "devices", key: "id_hash", outlives: &[Event::SignOut, Event::Role] };
pub const ALL: [Credential; 5] = [
    SESSIONS,
    Credential { table: "tokens", key: "jti", outlives: &[] },
    // An admin creates a link for an account that may have no session at all.
    Credential { table: "user_links", key: "token_hash", outlives: &[Event::SignOut] },
    // A feed gives a viewer's rights, whatever the role of its account.
    Credential { table: "feeds", key: "digest", outlives: &[Event::SignOut, Event::Role] },
    DEVICES,
];

impl Credential {
    /// Deletes one credential of a user; `false` if the user has no such credential.
    pub async fn end_one(&self, tx: &mut Tx, user: &UserId, key: &str) -> Result<bool> {
        let sql =
            AssertSqlSafe(format!("DELETE FROM {} WHERE user_id = $1 AND {} = $2", self.table, self.key));
        sql!(sql, user, key).hits(tx).await
    }

    /// Deletes the oldest credentials of a user by the column `age` until `keep` are left. The credential with the key
    /// `newest` is always kept, even if several have the same age.
    pub async fn keep_newest(
        &self,
        tx: &mut Tx,
        age: &str,
        user: &UserId,
        newest: &str,
        keep: i64,
    ) -> Result<()> {
        let Self { table, key, .. } = self;
        let sql = AssertSqlSafe(format!(
            "DELETE FROM {table} WHERE user_id = $1 AND {key} NOT IN (SELECT {key} FROM {table} WHERE user_id = $1 \
             ORDER BY CASE WHEN {key} = $2 THEN 0 ELSE 1 END, {age} DESC, {key} LIMIT $3)"
        ));
        sql!(sql, user, newest, keep).run(tx).await
    }
}

/// Deletes the rows of a credential table that expired before `before`.
pub async fn prune(db: &Db, table: &str, before: Timestamp) -> Result<()> {
    let sql = AssertSqlSafe(format!("DELETE FROM {table} WHERE expires_ms < $1"));
    sql!(sql, before).run_alone(db).await
}

/// Deletes all credentials of `user` that `event` invalidates, except the session `keep`, and returns the number of
/// deleted sessions.
pub async fn end(tx: &mut Tx, user: &UserId, event: Event, keep: Option<&str>) -> Result<u64> {
    let mut sessions = 0;
    for Credential { table, key, .. } in ALL.iter().filter(|one| !one.outlives.contains(&event)) {
        let sql = AssertSqlSafe(format!("DELETE FROM {table} WHERE user_id = $1 AND {key} <> $2"));
        let ended = sql!(sql, user, keep.unwrap_or_default()).touched(tx).await?;
        if *table == "sessions" {
            sessions = ended;
        }
    }
    Ok(sessions)
}

/// Deletes all credentials of all accounts, after a restore.
pub async fn end_all(tx: &mut Tx) -> Result<()> {
    for Credential { table, .. } in ALL {
        let sql = AssertSqlSafe(format!("DELETE FROM {table}"));
        sql!(sql).run(tx).await?;
    }
    Ok(())
}
