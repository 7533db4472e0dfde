//! The `hidden_needs` table: notices of the first page that a user has hidden for some time.

use jiff::Timestamp;

use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::ids::UserId;

/// One hidden notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Id of the notice.
    pub need: String,
    /// Instant at which the user hid the notice.
    pub since: Timestamp,
    /// Instant at which the notice appears again.
    pub until: Timestamp,
}

/// The notices that are hidden for a user at `now`.
pub async fn of_user(db: &Db, user: &UserId, now: Timestamp) -> Result<Vec<Hidden>> {
    sql!("SELECT * FROM hidden_needs WHERE user_id = $1 AND until_ms > $2", user, now).all(db).await
}

impl ReadRow for Hidden {
    const TABLE: &'static str = "hidden_needs";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { need: row.get("need")?, since: row.get("hidden_ms")?, until: row.get("until_ms")? })
    }
}

/// Hides a notice for a user, in place of an earlier time range, and deletes the rows that have expired.
pub async fn put(tx: &mut Tx, user: &UserId, hidden: &Hidden) -> Result<()> {
    sql!("DELETE FROM hidden_needs WHERE user_id = $1 AND until_ms <= $2", user, hidden.since)
        .run(tx)
        .await?;
    let key = row!["user_id" => user, "need" => hidden.need];
    rows::put(tx, "hidden_needs", key, row!["hidden_ms" => hidden.since, "until_ms" => hidden.until]).await
}

/// Shows a hidden notice again.
pub async fn remove(tx: &mut Tx, user: &UserId, need: &str) -> Result<()> {
    sql!("DELETE FROM hidden_needs WHERE user_id = $1 AND need = $2", user, need).run(tx).await
}
