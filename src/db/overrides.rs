//! The `overrides` table. Ended overrides stay as history. The end of an override has two parts: its end instant
//! `until` comes, and the scheduler closes it after handling the end.

use jiff::Timestamp;

use super::conditions::uuid_floor;
use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::ids::{HostId, OverrideId};
use crate::domain::overrides::{Override, Reach};

impl ReadRow for Override {
    const TABLE: &'static str = "overrides";

    fn read(row: &Row<'_>) -> Result<Self> {
        let (host, kind, identity): (String, String, String) =
            (row.get("host_id")?, row.get("target_type")?, row.get("target_identity")?);
        let reach = Reach::from_columns(&host, &kind, &identity).ok_or_else(|| row.damage("its target"))?;
        Ok(Self {
            reach,
            wanted: row.get("state")?,
            id: row.get("id")?,
            target_name: row.get("target_name")?,
            created_at: row.get("created_ms")?,
            until: row.get("until_ms")?,
            reason: row.get("reason")?,
            author: row.actor()?,
            by_hand: row.get("by_hand")?,
            puts_back: row.get("puts_back")?,
            closed_at: row.get("closed_ms")?,
            closed_reason: row.get("closed_reason")?,
        })
    }
}

/// Adds an override. An open override of the same target must be closed before, in the same transaction.
pub async fn insert(tx: &mut Tx, one: &Override) -> Result<()> {
    let row = row![
        "id" => one.id,
        "host_id" => one.reach.host().map_or("", |host| host.as_str()),
        "target_type" => one.reach.type_str(),
        "target_name" => one.target_name,
        "target_identity" => one.reach.identity_text(),
        "state" => one.wanted,
        "created_ms" => one.created_at,
        "until_ms" => one.until,
        "reason" => one.reason,
        "actor_kind" => one.author.kind,
        "actor_id" => one.author.id,
        "actor_name" => one.author.name,
        "by_hand" => one.by_hand,
        "puts_back" => one.puts_back,
        "closed_ms" => one.closed_at,
        "closed_reason" => one.closed_reason,
    ];
    rows::add(tx, "overrides", row).await
}

/// Closes an override; `false` if it was already closed.
pub async fn close(tx: &mut Tx, id: &OverrideId, at: Timestamp, reason: &str) -> Result<bool> {
    let sql = "UPDATE overrides SET closed_ms = $2, closed_reason = $3 WHERE id = $1 AND closed_ms IS NULL";
    sql!(sql, id, at, reason).hits(tx).await
}

/// Moves the end of an override to `now`; `false` if it had already ended. The scheduler closes it after handling the
/// end.
pub async fn end_now(tx: &mut Tx, id: &OverrideId, now: Timestamp, reason: &str) -> Result<bool> {
    let sql = "UPDATE overrides SET until_ms = $2, closed_reason = $3 WHERE id = $1 \
               AND closed_ms IS NULL AND until_ms > $2";
    sql!(sql, id, now, reason).hits(tx).await
}

/// The open override of exactly this target.
pub async fn open_for(tx: &mut Tx, reach: &Reach) -> Result<Option<Override>> {
    let sql = "SELECT * FROM overrides WHERE closed_ms IS NULL AND host_id = $1 AND target_type = $2 \
               AND target_identity = $3";
    sql!(sql, reach.host().map_or("", |host| host.as_str()), reach.type_str(), reach.identity_text())
        .first(tx)
        .await
}

/// The open overrides of a host, and of the targets on it.
pub async fn open_on(tx: &mut Tx, host: &HostId) -> Result<Vec<Override>> {
    sql!("SELECT * FROM overrides WHERE closed_ms IS NULL AND host_id = $1 ORDER BY id", host).all(tx).await
}

/// The overrides of a host, or of a target on it, that were created at an instant.
pub async fn made_at(tx: &mut Tx, host: &HostId, at: Timestamp) -> Result<Vec<Override>> {
    // Ids sort by time, so older overrides are not read.
    let sql = "SELECT * FROM overrides WHERE id >= $1 AND created_ms = $2 AND host_id = $3 ORDER BY id";
    sql!(sql, uuid_floor(at), at, host).all(tx).await
}

/// The overrides of a host, or of a target on it, that were closed at an instant.
pub async fn closed_at(tx: &mut Tx, host: &HostId, at: Timestamp) -> Result<Vec<Override>> {
    let sql = "SELECT * FROM overrides WHERE closed_ms = $1 AND host_id = $2 ORDER BY id";
    sql!(sql, at, host).all(tx).await
}

/// Reopens a closed override. Its target must have no other open override.
pub async fn reopen(tx: &mut Tx, id: &OverrideId) -> Result<()> {
    sql!("UPDATE overrides SET closed_ms = NULL, closed_reason = '' WHERE id = $1", id).run(tx).await
}

/// All overrides that have not been closed, oldest first.
pub async fn open(db: &Db) -> Result<Vec<Override>> {
    sql!("SELECT * FROM overrides WHERE closed_ms IS NULL ORDER BY id").all(db).await
}

pub async fn get(db: &Db, id: &OverrideId) -> Result<Option<Override>> {
    sql!("SELECT * FROM overrides WHERE id = $1", id).first(db).await
}

/// At most `limit` overrides, newest first, older than the override `before`; closed ones only if `ended_too`.
pub async fn list(db: &Db, ended_too: bool, before: Option<&str>, limit: i64) -> Result<Vec<Override>> {
    let sql = "SELECT * FROM overrides WHERE ($1 OR closed_ms IS NULL) AND ($2 IS NULL OR id < $2) \
               ORDER BY id DESC LIMIT $3";
    sql!(sql, ended_too, before, limit).all(db).await
}

/// The earliest end of an open override.
pub async fn next_end(db: &Db) -> Result<Option<Timestamp>> {
    let sql = "SELECT MIN(until_ms) FROM overrides WHERE closed_ms IS NULL";
    sql!(sql).one(db).await
}
