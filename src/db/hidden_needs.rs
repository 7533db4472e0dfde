//! What somebody hid on the first page for a while.

use jiff::Timestamp;

use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::ids::UserId;

/// One thing that is hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// What, by its id.
    pub need: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// What is hidden for somebody at an instant.
pub async fn of_user(db: &Db, user: &UserId, now: Timestamp) -> Result<Vec<Hidden>> {
    sql!("SELECT * FROM hidden_needs WHERE user_id = $1 AND until_ms > $2", user, now).all(db).await
}

impl ReadRow for Hidden {
    const TABLE: &'static str = "hidden_needs";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { need: row.get("need")?, since: row.get("hidden_ms")?, until: row.get("until_ms")? })
    }
}

/// Hides something for somebody, in place of when they hid it before, and forgets what they see again.
pub async fn put(tx: &mut Tx, user: &UserId, hidden: &Hidden) -> Result<()> {
    sql!("DELETE FROM hidden_needs WHERE user_id = $1 AND until_ms <= $2", user, hidden.since)
        .run(tx)
        .await?;
    let key = row!["user_id" => user, "need" => hidden.need];
    rows::put(tx, "hidden_needs", key, row!["hidden_ms" => hidden.since, "until_ms" => hidden.until]).await
}

/// Shows something to somebody again.
pub async fn remove(tx: &mut Tx, user: &UserId, need: &str) -> Result<()> {
    sql!("DELETE FROM hidden_needs WHERE user_id = $1 AND need = $2", user, need).run(tx).await
}
