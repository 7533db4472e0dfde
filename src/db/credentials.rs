//! Every table that holds a credential, and what ends them: the one list that restore, disable, delete, change of
//! password or role, and sign-out go by. A new table is either here or, in the test over the schema, among those that
//! hold none.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::query::sql;
use super::{Db, Result, Tx};
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

pub const SESSIONS: Credential = Credential { table: "sessions", key: "id_hash", outlives: &[] };
/// A known browser only makes a try count apart (rulings 62).
pub const DEVICES: Credential =
    Credential { table: "devices", key: "id_hash", outlives: &[Event::SignOut, Event::Role] };
pub const ALL: [Credential; 5] = [
    SESSIONS,
    Credential { table: "tokens", key: "jti", outlives: &[] },
    // Made by an admin for somebody who may have no login at all.
    Credential { table: "user_links", key: "token_hash", outlives: &[Event::SignOut] },
    // Never more than a viewer's rights, whatever the role.
    Credential { table: "feeds", key: "digest", outlives: &[Event::SignOut, Event::Role] },
    DEVICES,
];

impl Credential {
    /// Ends one of someone's, and answers whether it was theirs.
    pub async fn end_one(&self, tx: &mut Tx, user: &UserId, key: &str) -> Result<bool> {
        let sql =
            AssertSqlSafe(format!("DELETE FROM {} WHERE user_id = $1 AND {} = $2", self.table, self.key));
        sql!(sql, user, key).hits(tx).await
    }

    /// Ends those of someone's that are the oldest by the column `age` until `keep` are left; `newest` stays, also
    /// where several began at once.
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

/// Removes the rows of a table of credentials that ended before `before`.
pub async fn prune(db: &Db, table: &str, before: Timestamp) -> Result<()> {
    let sql = AssertSqlSafe(format!("DELETE FROM {table} WHERE expires_ms < $1"));
    sql!(sql, before).run_alone(db).await
}

/// Ends what an event ends of `user`'s, but for the session `keep`, and answers how many sessions that were.
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

/// Ends everybody's: a backup was restored.
pub async fn end_all(tx: &mut Tx) -> Result<()> {
    for Credential { table, .. } in ALL {
        let sql = AssertSqlSafe(format!("DELETE FROM {table}"));
        sql!(sql).run(tx).await?;
    }
    Ok(())
}
