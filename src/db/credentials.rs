//! Every table that holds a credential, and what ends them: the one list that restore, disable, delete, change of
//! password or role, and sign-out go by. A new table is either here or, in the test over the schema, among those that
//! hold none.

use sqlx::AssertSqlSafe;

use super::{Result, Tx, exec_tx};
use crate::domain::ids::UserId;

/// What ends somebody's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Signed out everywhere.
    SignOut,
    /// The role is another.
    Role,
    /// The password is another.
    Password,
    /// Logins are refused.
    Disable,
    /// The account is gone.
    Delete,
}

impl Event {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::SignOut, Self::Role, Self::Password, Self::Disable, Self::Delete];
}

/// A table of which each row lets somebody in, or nearer. It has a column `user_id`.
#[derive(Clone, Copy, Debug)]
pub struct Credential {
    /// The table.
    pub table: &'static str,
    key: &'static str,
    /// What it outlives. Nothing outlives a restore: the copy may hold what was withdrawn since.
    pub outlives: &'static [Event],
}

pub const ALL: [Credential; 5] = [
    Credential { table: "sessions", key: "id_hash", outlives: &[] },
    Credential { table: "tokens", key: "jti", outlives: &[] },
    // Made by an admin for somebody who may have no login at all.
    Credential { table: "user_links", key: "token_hash", outlives: &[Event::SignOut] },
    // Never more than a viewer's rights, whatever the role.
    Credential { table: "feeds", key: "digest", outlives: &[Event::SignOut, Event::Role] },
    // It only makes a try count apart (rulings 62).
    Credential { table: "devices", key: "id_hash", outlives: &[Event::SignOut, Event::Role] },
];

/// Ends what an event ends of `user`'s, but for the session `keep`, and answers how many sessions that were.
pub async fn end(tx: &mut Tx, user: &UserId, event: Event, keep: Option<&str>) -> Result<u64> {
    let mut sessions = 0;
    for Credential { table, key, .. } in ALL.iter().filter(|one| !one.outlives.contains(&event)) {
        let sql = AssertSqlSafe(format!("DELETE FROM {table} WHERE user_id = $1 AND {key} <> $2"));
        let ended = exec_tx!(tx, sql, user.as_str(), keep.unwrap_or_default())?;
        if *table == "sessions" {
            sessions = ended;
        }
    }
    Ok(sessions)
}

/// Ends everybody's: a backup was restored.
pub async fn end_all(tx: &mut Tx) -> Result<()> {
    for Credential { table, .. } in ALL {
        let sql = AssertSqlSafe(format!("DELETE FROM {table}"));
        exec_tx!(tx, sql)?;
    }
    Ok(())
}
