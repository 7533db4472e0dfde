//! Locks of stacks and containers.

use super::rows::{self, row};
use super::{Db, DbError, Result, Tx, exec_tx, on_db};
use crate::domain::lock::Lock;
use crate::domain::target::Target;
use crate::domain::time::{from_ms, to_ms};

#[derive(sqlx::FromRow)]
struct Row {
    host_id: String,
    target_type: String,
    target_identity: String,
    target_name: String,
    reason: String,
    actor_id: Option<String>,
    actor_name: String,
    created_ms: i64,
}

impl TryFrom<Row> for Lock {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self> {
        let target = Target::from_columns(&row.host_id, &row.target_type, &row.target_identity);
        let damaged = || DbError::Damaged {
            table: "locks",
            id: row.target_identity.clone(),
            what: "its target".to_owned(),
        };
        Ok(Self {
            target: target.ok_or_else(damaged)?,
            target_name: row.target_name,
            reason: row.reason,
            author_id: row.actor_id,
            author: row.actor_name,
            created_at: from_ms(row.created_ms),
        })
    }
}

/// All locks, by host and target.
pub async fn all(db: &Db) -> Result<Vec<Lock>> {
    let rows: Vec<Row> = on_db!(db, pool =>
        sqlx::query_as("SELECT * FROM locks ORDER BY host_id, target_type, target_identity").fetch_all(pool))?;
    rows.into_iter().map(Lock::try_from).collect()
}

/// Stores a lock, in place of one that was there.
pub async fn put(tx: &mut Tx, lock: &Lock) -> Result<()> {
    let key = row![
        "host_id" => lock.target.host.as_str(),
        "target_type" => lock.target.target_type().as_str(),
        "target_identity" => lock.target.identity_text(),
    ];
    let row = row![
        "target_name" => &lock.target_name,
        "reason" => &lock.reason,
        "actor_id" => lock.author_id.as_deref(),
        "actor_name" => &lock.author,
        "created_ms" => to_ms(lock.created_at),
    ];
    rows::put(tx, "locks", key, row).await
}

/// Takes a lock away; `false` where there was none.
pub async fn remove(tx: &mut Tx, target: &Target) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "DELETE FROM locks WHERE host_id = $1 AND target_type = $2 AND target_identity = $3",
        target.host.as_str(),
        target.target_type().as_str(),
        target.identity_text(),
    )?;
    Ok(rows == 1)
}
