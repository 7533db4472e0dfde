//! What somebody hid on the first page for a while.

use jiff::Timestamp;

use super::{Db, Result, Tx, exec_tx, on_db};
use crate::domain::ids::UserId;
use crate::domain::time::{from_ms, to_ms};

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
    let rows: Vec<(String, i64, i64)> = on_db!(db, pool =>
        sqlx::query_as("SELECT need, hidden_ms, until_ms FROM hidden_needs WHERE user_id = $1 AND until_ms > $2")
            .bind(user.as_str())
            .bind(to_ms(now))
            .fetch_all(pool))?;
    let hidden = |(need, since, until)| Hidden { need, since: from_ms(since), until: from_ms(until) };
    Ok(rows.into_iter().map(hidden).collect())
}

/// Hides something for somebody, in place of when they hid it before, and forgets what they see again.
pub async fn put(tx: &mut Tx, user: &UserId, hidden: &Hidden) -> Result<()> {
    exec_tx!(
        tx,
        "DELETE FROM hidden_needs WHERE user_id = $1 AND until_ms <= $2",
        user.as_str(),
        to_ms(hidden.since)
    )?;
    exec_tx!(
        tx,
        "INSERT INTO hidden_needs (user_id, need, hidden_ms, until_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (user_id, need) DO UPDATE SET hidden_ms = excluded.hidden_ms, until_ms = excluded.until_ms",
        user.as_str(),
        hidden.need.as_str(),
        to_ms(hidden.since),
        to_ms(hidden.until)
    )?;
    Ok(())
}

/// Shows something to somebody again.
pub async fn remove(tx: &mut Tx, user: &UserId, need: &str) -> Result<()> {
    exec_tx!(tx, "DELETE FROM hidden_needs WHERE user_id = $1 AND need = $2", user.as_str(), need)?;
    Ok(())
}
