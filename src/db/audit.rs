//! Audit rows: added and read. [`prune`] is the one way out.

use jiff::Timestamp;

use super::{Db, DbError, Result, Tx, exec_tx, on_db};
use crate::domain::audit::AuditRow;
use crate::domain::ids::AuditId;
use crate::domain::run::ActorRef;
use crate::domain::time::{from_ms, to_ms};

/// Adds a row.
///
/// # Errors
/// What the engine answered; [`DbError::Damaged`] where the detail cannot be written as JSON.
pub async fn insert(tx: &mut Tx, row: &AuditRow) -> Result<()> {
    let detail = serde_json::to_string(&row.detail).map_err(|error| damaged(row.id.as_str(), &error))?;
    exec_tx!(
        tx,
        "INSERT INTO audit (id, at_ms, actor_kind, actor_id, actor_name, address, event, object_type, object_id, \
         object_name, outcome, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        row.id.as_str(),
        to_ms(row.at),
        &row.actor.kind,
        row.actor.id.as_deref(),
        &row.actor.name,
        row.ip.as_deref(),
        &row.event,
        &row.object_type,
        row.object_id.as_deref(),
        &row.object_name,
        &row.outcome,
        detail
    )?;
    Ok(())
}

/// Which rows [`list`] answers; `None` = any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Of this account only.
    pub actor_id: Option<&'a str>,
    /// About this kind of thing.
    pub object_type: Option<&'a str>,
    /// About this one thing.
    pub object_id: Option<&'a str>,
    /// Of this event.
    pub event: Option<&'a str>,
    /// Older than the row of this id.
    pub before: Option<&'a str>,
    /// So many at most.
    pub limit: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    at_ms: i64,
    actor_kind: String,
    actor_id: Option<String>,
    actor_name: String,
    address: Option<String>,
    event: String,
    object_type: String,
    object_id: Option<String>,
    object_name: String,
    outcome: String,
    detail: String,
}

/// The newest rows first.
///
/// # Errors
/// What the engine answered; [`DbError::Damaged`] where a detail is not what [`insert`] writes.
pub async fn list(db: &Db, wanted: &Wanted<'_>) -> Result<Vec<AuditRow>> {
    const SQL: &str = "SELECT id, at_ms, actor_kind, actor_id, actor_name, address, event, object_type, object_id, \
         object_name, outcome, detail FROM audit \
         WHERE ($1 IS NULL OR actor_id = $1) AND ($2 IS NULL OR object_type = $2) \
         AND ($3 IS NULL OR object_id = $3) AND ($4 IS NULL OR event = $4) AND ($5 IS NULL OR id < $5) \
         ORDER BY id DESC LIMIT $6";
    let rows: Vec<Row> = on_db!(db, pool => sqlx::query_as(SQL)
        .bind(wanted.actor_id)
        .bind(wanted.object_type)
        .bind(wanted.object_id)
        .bind(wanted.event)
        .bind(wanted.before)
        .bind(wanted.limit)
        .fetch_all(pool))?;
    rows.into_iter()
        .map(|row| {
            let detail = serde_json::from_str(&row.detail).map_err(|error| damaged(&row.id, &error))?;
            Ok(AuditRow {
                id: AuditId(row.id),
                at: from_ms(row.at_ms),
                actor: ActorRef { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
                ip: row.address,
                event: row.event,
                object_type: row.object_type,
                object_id: row.object_id,
                object_name: row.object_name,
                outcome: row.outcome,
                detail,
            })
        })
        .collect()
}

/// Forgets the rows written before `before`, and answers how many that were. Ids sort by time: no row from the first later
/// one on is looked at.
///
/// # Errors
/// What the engine answered.
pub async fn prune(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    Ok(exec_tx!(
        tx,
        "DELETE FROM audit WHERE at_ms < $1 \
         AND id < COALESCE((SELECT id FROM audit WHERE at_ms >= $1 ORDER BY id LIMIT 1), 'z')",
        to_ms(before)
    )?)
}

fn damaged(id: &str, error: &serde_json::Error) -> DbError {
    DbError::Damaged { table: "audit", id: id.to_owned(), what: error.to_string() }
}

/// When the newest row was written.
///
/// # Errors
/// What the engine answered.
pub async fn newest(db: &Db) -> Result<Option<Timestamp>> {
    let row: Option<(i64,)> = on_db!(db, pool =>
        sqlx::query_as("SELECT at_ms FROM audit ORDER BY id DESC LIMIT 1").fetch_optional(pool))?;
    Ok(row.map(|(ms,)| from_ms(ms)))
}
