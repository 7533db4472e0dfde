//! Locks of stacks and containers.

use super::{Db, DbError, Result, Tx, exec_tx, on_db};
use crate::domain::lock::Lock;
use crate::domain::schedule::Schedule;
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
        let target = Schedule::target_from_columns(&row.host_id, &row.target_type, &row.target_identity);
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
    exec_tx!(
        tx,
        "INSERT INTO locks (host_id, target_type, target_identity, target_name, reason, actor_id, actor_name, \
         created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (host_id, target_type, target_identity) DO UPDATE SET target_name = excluded.target_name, \
         reason = excluded.reason, actor_id = excluded.actor_id, actor_name = excluded.actor_name, \
         created_ms = excluded.created_ms",
        lock.target.host.as_str(),
        lock.target.target_type().as_str(),
        lock.target.identity_text(),
        lock.target_name.as_str(),
        lock.reason.as_str(),
        lock.author_id.as_deref(),
        lock.author.as_str(),
        to_ms(lock.created_at),
    )?;
    Ok(())
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
