//! Overrides: kept after their end, as history.

use jiff::Timestamp;

use super::conditions::uuid_floor;
use super::rows::{self, row};
use super::{Db, DbError, Result, Tx, exec_tx, on_db, on_tx};
use crate::domain::ids::{HostId, OverrideId};
use crate::domain::overrides::{DesiredState, Override, Reach};
use crate::domain::run::ActorRef;
use crate::domain::time::{from_ms, to_ms};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    host_id: String,
    target_type: String,
    target_name: String,
    target_identity: String,
    state: String,
    created_ms: i64,
    until_ms: i64,
    reason: String,
    actor_kind: String,
    actor_id: Option<String>,
    actor_name: String,
    by_hand: bool,
    puts_back: bool,
    closed_ms: Option<i64>,
    closed_reason: String,
}

impl TryFrom<Row> for Override {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self> {
        let damaged =
            |what: &str| DbError::Damaged { table: "overrides", id: row.id.clone(), what: what.to_owned() };
        Ok(Self {
            reach: Reach::from_columns(&row.host_id, &row.target_type, &row.target_identity)
                .ok_or_else(|| damaged("its target"))?,
            wanted: DesiredState::parse(&row.state).ok_or_else(|| damaged("its state"))?,
            id: OverrideId(row.id),
            target_name: row.target_name,
            created_at: from_ms(row.created_ms),
            until: from_ms(row.until_ms),
            reason: row.reason,
            author: ActorRef { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
            by_hand: row.by_hand,
            puts_back: row.puts_back,
            closed_at: row.closed_ms.map(from_ms),
            closed_reason: row.closed_reason,
        })
    }
}

fn read_all(rows: Vec<Row>) -> Result<Vec<Override>> {
    rows.into_iter().map(Override::try_from).collect()
}

/// Adds an override. The one that counted for the same target must have been closed before, in the same transaction.
pub async fn insert(tx: &mut Tx, one: &Override) -> Result<()> {
    let row = row![
        "id" => one.id.as_str(),
        "host_id" => one.reach.host().map_or("", |host| host.as_str()),
        "target_type" => one.reach.type_str(),
        "target_name" => &one.target_name,
        "target_identity" => one.reach.identity_text(),
        "state" => one.wanted.as_str(),
        "created_ms" => to_ms(one.created_at),
        "until_ms" => to_ms(one.until),
        "reason" => &one.reason,
        "actor_kind" => &one.author.kind,
        "actor_id" => one.author.id.as_deref(),
        "actor_name" => &one.author.name,
        "by_hand" => one.by_hand,
        "puts_back" => one.puts_back,
        "closed_ms" => one.closed_at.map(to_ms),
        "closed_reason" => &one.closed_reason,
    ];
    rows::insert(tx, "overrides", vec![row], "").await?;
    Ok(())
}

/// Ends an override; `false` where it had ended before.
pub async fn close(tx: &mut Tx, id: &OverrideId, at: Timestamp, reason: &str) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE overrides SET closed_ms = $2, closed_reason = $3 WHERE id = $1 AND closed_ms IS NULL",
        id.as_str(),
        to_ms(at),
        reason,
    )?;
    Ok(rows == 1)
}

/// Lets an override end now; `false` where it had ended before. It is closed when the scheduler has dealt with its end.
pub async fn end_now(tx: &mut Tx, id: &OverrideId, now: Timestamp, reason: &str) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE overrides SET until_ms = $2, closed_reason = $3 \
         WHERE id = $1 AND closed_ms IS NULL AND until_ms > $2",
        id.as_str(),
        to_ms(now),
        reason,
    )?;
    Ok(rows == 1)
}

/// The override of exactly this target that has not been closed.
pub async fn open_for(tx: &mut Tx, reach: &Reach) -> Result<Option<Override>> {
    let row: Option<Row> = on_tx!(tx, conn =>
        sqlx::query_as("SELECT * FROM overrides WHERE closed_ms IS NULL AND host_id = $1 AND target_type = $2 \
             AND target_identity = $3")
        .bind(reach.host().map_or("", |host| host.as_str()))
        .bind(reach.type_str())
        .bind(reach.identity_text())
        .fetch_optional(conn))?;
    row.map(Override::try_from).transpose()
}

/// The overrides of a host, or of what is on it, that were made at an instant.
pub async fn made_at(tx: &mut Tx, host: &HostId, at: Timestamp) -> Result<Vec<Override>> {
    // Ids sort by time: the history is not looked at.
    let rows: Vec<Row> = on_tx!(tx, conn =>
        sqlx::query_as("SELECT * FROM overrides WHERE id >= $1 AND created_ms = $2 AND host_id = $3 ORDER BY id")
        .bind(uuid_floor(to_ms(at)))
        .bind(to_ms(at))
        .bind(host.as_str())
        .fetch_all(conn))?;
    read_all(rows)
}

/// The overrides of a host, or of what is on it, that ended at an instant.
pub async fn closed_at(tx: &mut Tx, host: &HostId, at: Timestamp) -> Result<Vec<Override>> {
    let rows: Vec<Row> = on_tx!(tx, conn =>
        sqlx::query_as("SELECT * FROM overrides WHERE closed_ms = $1 AND host_id = $2 ORDER BY id")
        .bind(to_ms(at))
        .bind(host.as_str())
        .fetch_all(conn))?;
    read_all(rows)
}

/// An override that ended counts again. No other may be open for its target.
pub async fn reopen(tx: &mut Tx, id: &OverrideId) -> Result<()> {
    exec_tx!(tx, "UPDATE overrides SET closed_ms = NULL, closed_reason = '' WHERE id = $1", id.as_str())?;
    Ok(())
}

/// The overrides whose end has not been dealt with, oldest first.
pub async fn open(db: &Db) -> Result<Vec<Override>> {
    let rows: Vec<Row> = on_db!(db, pool =>
        sqlx::query_as("SELECT * FROM overrides WHERE closed_ms IS NULL ORDER BY id").fetch_all(pool))?;
    read_all(rows)
}

/// One override.
pub async fn get(db: &Db, id: &OverrideId) -> Result<Option<Override>> {
    let row: Option<Row> = on_db!(db, pool =>
        sqlx::query_as("SELECT * FROM overrides WHERE id = $1").bind(id.as_str()).fetch_optional(pool))?;
    row.map(Override::try_from).transpose()
}

/// The newest overrides first, those that still count or all, made before the override of id `before`.
pub async fn list(db: &Db, ended_too: bool, before: Option<&str>, limit: i64) -> Result<Vec<Override>> {
    let rows: Vec<Row> = on_db!(db, pool =>
        sqlx::query_as("SELECT * FROM overrides WHERE ($1 OR closed_ms IS NULL) AND ($2 IS NULL OR id < $2) \
             ORDER BY id DESC LIMIT $3")
        .bind(ended_too)
        .bind(before)
        .bind(limit)
        .fetch_all(pool))?;
    read_all(rows)
}

/// The next instant at which an override ends.
pub async fn next_end(db: &Db) -> Result<Option<Timestamp>> {
    let (ms,): (Option<i64>,) = on_db!(db, pool =>
        sqlx::query_as("SELECT MIN(until_ms) FROM overrides WHERE closed_ms IS NULL").fetch_one(pool))?;
    Ok(ms.map(from_ms))
}
