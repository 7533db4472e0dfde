//! The `locks` table: stacks and containers that a person has excluded from every action of DockNap.

use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::lock::Lock;
use crate::domain::target::Target;

impl ReadRow for Lock {
    const TABLE: &'static str = "locks";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            target: row.target()?,
            target_name: row.get("target_name")?,
            reason: row.get("reason")?,
            author_id: row.get("actor_id")?,
            author: row.get("actor_name")?,
            created_at: row.get("created_ms")?,
        })
    }
}

/// All locks, sorted by host and target.
pub async fn all(db: &Db) -> Result<Vec<Lock>> {
    let sql = "SELECT * FROM locks ORDER BY host_id, target_type, target_identity";
    sql!(sql).all(db).await
}

/// Stores a lock; an existing lock of the target is replaced.
pub async fn put(tx: &mut Tx, lock: &Lock) -> Result<()> {
    let key = row![
        "host_id" => lock.target.host,
        "target_type" => lock.target.target_type(),
        "target_identity" => lock.target.identity_text(),
    ];
    let row = row![
        "target_name" => lock.target_name,
        "reason" => lock.reason,
        "actor_id" => lock.author_id,
        "actor_name" => lock.author,
        "created_ms" => lock.created_at,
    ];
    rows::put(tx, "locks", key, row).await
}

/// Removes the lock of a target; `false` if there is none.
pub async fn remove(tx: &mut Tx, target: &Target) -> Result<bool> {
    let sql = "DELETE FROM locks WHERE host_id = $1 AND target_type = $2 AND target_identity = $3";
    sql!(sql, target.host, target.target_type(), target.identity_text()).hits(tx).await
}
