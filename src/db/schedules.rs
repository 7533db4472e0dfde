//! Schedules: kept, found when due, and claimed by compare-and-swap.

use std::collections::HashSet;

use jiff::Timestamp;

use super::columns::{Json, Value};
use super::query::{Query, sql};
use super::read::{self, ReadRow};
use super::rows::{self, Columns, left_out, row, values};
use super::{Db, Result, Tx};
use crate::domain::ids::{CalendarId, HostId, ScheduleId, UserId};
use crate::domain::schedule::{Schedule, ScheduleSpec, When};
use crate::domain::target::Target;

macro_rules! columns {
    () => {
        "s.*, u.name AS owner_name FROM schedules s LEFT JOIN users u ON u.id = s.owner_id"
    };
}

/// The schedules of which `rest` holds, in its order.
fn select(rest: &'static str, values: Vec<Value>) -> Query {
    Query::built(format!(concat!("SELECT ", columns!(), " {}"), rest), values)
}

/// What a schedule says: two of which all of these are the same get in the way of the same others.
const RULE: &str = "target_type, target_identity, kind, action, mode, cron, at_ms, window_text, timezone, calendar_id, \
                    calendar_effect, priority, policy";

mod touching;

pub use touching::touching;

impl ReadRow for (Schedule, String) {
    const TABLE: &'static str = Schedule::TABLE;

    fn read(row: &read::Row<'_>) -> Result<Self> {
        Ok((Schedule::read(row)?, row.get("left_by")?))
    }
}

/// The number of the place beside which a schedule stands, see [`touching`].
impl ReadRow for (i64, Schedule) {
    const TABLE: &'static str = Schedule::TABLE;

    fn read(row: &read::Row<'_>) -> Result<Self> {
        Ok((row.get("place")?, Schedule::read(row)?))
    }
}

impl ReadRow for Schedule {
    const TABLE: &'static str = "schedules";

    fn read(row: &read::Row<'_>) -> Result<Self> {
        let kind: String = row.get("kind")?;
        let when = match kind.as_str() {
            "cron" => When::Cron(row.get("cron")?),
            "once" => When::Once(row.get("at_ms")?),
            "window" => When::Window(row.get("window_text")?),
            _ => return Err(row.damage("its kind")),
        };
        let action = if matches!(when, When::Window(_)) { "mode" } else { "action" };
        let calendar: Option<CalendarId> = row.get("calendar_id")?;
        Ok(Self {
            spec: ScheduleSpec {
                target: row.target()?,
                action: row.get(action)?,
                name: row.get("name")?,
                target_name: row.get("target_name")?,
                when,
                timezone: row.get("timezone")?,
                enabled: row.get("enabled")?,
                catch_up_seconds: row.get("catch_up_s")?,
                priority: row.get("priority")?,
                stop_timeout_seconds: row.get("stop_timeout_s")?,
                policy: row.get("policy")?,
                wake: row.get("wake")?,
                calendar: calendar.zip(row.get("calendar_effect")?),
                guard: row.get::<Option<Json<_>>>("guard")?.map(|guard| guard.0),
                note: row.get("note")?,
            },
            source: row.get("source")?,
            id: row.get("id")?,
            owner: row.get("owner_id")?,
            owner_name: row.get("owner_name")?,
            effective_from: row.get("effective_from_ms")?,
            next_due: row.get("next_due_ms")?,
            skip_at: row.get("skip_at_ms")?,
            rev: row.get("rev")?,
            created_at: row.get("created_ms")?,
            updated_at: row.get("updated_ms")?,
            deleted_at: row.get("deleted_ms")?,
        })
    }
}

/// What never changes of a schedule.
fn made(schedule: &Schedule) -> Columns {
    row![
        "id" => schedule.id,
        "source" => schedule.source,
        "owner_id" => schedule.owner,
        "created_ms" => schedule.created_at,
    ]
}

/// All else of it.
fn said(schedule: &Schedule) -> Columns {
    let spec = &schedule.spec;
    let (kind, cron, at, window) = match &spec.when {
        When::Cron(text) => ("cron", Some(text.as_str()), None, None),
        When::Once(at) => ("once", None, Some(at), None),
        When::Window(text) => ("window", None, None, Some(text.as_str())),
    };
    row![
        "name" => spec.name,
        "host_id" => spec.target.host,
        "target_type" => spec.target.target_type(),
        "target_name" => spec.target_name,
        "target_identity" => spec.target.identity_text(),
        "kind" => kind,
        "action" => window.is_none().then_some(spec.action),
        "cron" => cron,
        "at_ms" => at,
        "window_text" => window,
        "policy" => spec.policy,
        "mode" => spec.mode(),
        "wake" => spec.wake,
        "calendar_id" => spec.calendar.as_ref().map(|(id, _)| id),
        "calendar_effect" => spec.calendar.as_ref().map(|(_, effect)| effect),
        "timezone" => spec.timezone,
        "enabled" => spec.enabled,
        "catch_up_s" => spec.catch_up_seconds,
        "priority" => spec.priority,
        "stop_timeout_s" => spec.stop_timeout_seconds,
        "note" => spec.note,
        "guard" => spec.guard.as_ref().map(Json),
        "skip_at_ms" => schedule.skip_at,
        "effective_from_ms" => schedule.effective_from,
        "next_due_ms" => schedule.next_due,
        "rev" => schedule.rev,
        "updated_ms" => schedule.updated_at,
        "deleted_ms" => schedule.deleted_at,
    ]
}

/// Adds a schedule.
pub async fn insert(tx: &mut Tx, schedule: &Schedule) -> Result<()> {
    let row = made(schedule).into_iter().chain(said(schedule)).collect();
    rows::add(tx, "schedules", row).await
}

/// Stores `schedule` where its stored revision is still `old_rev`, and answers whether it was. Id, source, owner and
/// the time it was made never change.
pub async fn update(tx: &mut Tx, schedule: &Schedule, old_rev: i64) -> Result<bool> {
    let key = row!["id" => schedule.id, "rev" => old_rev];
    rows::update(tx, "schedules", said(schedule), key, " AND deleted_ms IS NULL").await
}

/// Takes the deletion of `schedule` back where its stored revision is still `old_rev`, and answers whether it was.
pub async fn restore(tx: &mut Tx, schedule: &Schedule, old_rev: i64) -> Result<bool> {
    let row = row![
        "deleted_ms" => None::<i64>,
        "effective_from_ms" => schedule.effective_from,
        "next_due_ms" => schedule.next_due,
        "rev" => schedule.rev,
        "updated_ms" => schedule.updated_at,
    ];
    let key = row!["id" => schedule.id, "rev" => old_rev];
    rows::update(tx, "schedules", row, key, " AND deleted_ms IS NOT NULL").await
}

/// One schedule, deleted ones included.
pub async fn get(db: &Db, id: &ScheduleId) -> Result<Option<Schedule>> {
    select("WHERE s.id = $1", values![id]).first(db).await
}

/// As [`get`], inside a transaction that goes on to change it.
pub async fn get_in(tx: &mut Tx, id: &ScheduleId) -> Result<Option<Schedule>> {
    select("WHERE s.id = $1", values![id]).first(tx).await
}

/// The schedules whose account is gone, with the name of that account, the oldest first.
pub async fn left(db: &Db) -> Result<Vec<(Schedule, String)>> {
    let rest = "WHERE s.left_by IS NOT NULL AND s.deleted_ms IS NULL ORDER BY s.id";
    select(rest, Vec::new()).all(db).await
}

/// Remembers whose schedules these were, before the account goes.
pub async fn leave(tx: &mut Tx, user: &UserId) -> Result<()> {
    let sql = "UPDATE schedules SET left_by = (SELECT name FROM users WHERE id = $1) WHERE owner_id = $1";
    sql!(sql, user).run(tx).await
}

/// Gives a schedule whose account is gone to another; `false` where it has one again, or is no more.
pub async fn adopt(tx: &mut Tx, id: &ScheduleId, user: &UserId, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE schedules SET owner_id = $1, left_by = NULL, rev = rev + 1, updated_ms = $2 \
               WHERE id = $3 AND left_by IS NOT NULL AND deleted_ms IS NULL";
    sql!(sql, user, now, id).hits(tx).await
}

/// Which schedules [`list`] answers; `None` = any. Deleted ones never.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScheduleSelection<'a> {
    /// On this host.
    pub host: Option<&'a HostId>,
    /// For this target.
    pub target: Option<&'a Target>,
    /// Switched on or off.
    pub enabled: Option<bool>,
    /// Name, target or note holds this text, whatever its case.
    pub text: Option<&'a str>,
    /// Made before the schedule of this id.
    pub before: Option<&'a str>,
    /// So many at most.
    pub limit: i64,
}

/// The newest schedules first.
pub async fn list(db: &Db, wanted: &ScheduleSelection<'_>) -> Result<Vec<Schedule>> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " WHERE s.deleted_ms IS NULL AND ($1 IS NULL OR s.host_id = $1) AND ($2 IS NULL OR s.target_type = $2) \
         AND ($3 IS NULL OR s.target_identity = $3) AND ($4 IS NULL OR s.enabled = $4) \
         AND ($5 IS NULL OR LOWER(s.name) LIKE $5 ESCAPE '!' OR LOWER(s.target_name) LIKE $5 ESCAPE '!' \
           OR LOWER(s.note) LIKE $5 ESCAPE '!') \
         AND ($6 IS NULL OR s.id < $6) ORDER BY s.id DESC LIMIT $7"
    );
    let identity = wanted.target.map(Target::identity_text);
    let pattern = wanted.text.map(|text| {
        let text = escape_like(&text.to_lowercase());
        format!("%{text}%")
    });
    sql!(
        SQL,
        wanted.target.map(|target| &target.host).or(wanted.host).map(HostId::as_str),
        wanted.target.map(|target| target.target_type().as_str()),
        identity,
        wanted.enabled,
        pattern,
        wanted.before,
        wanted.limit
    )
    .all(db)
    .await
}

/// Text that LIKE takes literally, `!` being the escape.
fn escape_like(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

/// Sets or takes back the skip of the occurrence at `next_due`, where instant and revision are still those that were
/// read; answers whether they were. The revision grows by one.
pub async fn set_skip(
    tx: &mut Tx,
    id: &ScheduleId,
    rev: i64,
    next_due: Timestamp,
    skip_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool> {
    let sql = "UPDATE schedules SET skip_at_ms = $1, rev = rev + 1, updated_ms = $2 WHERE id = $3 \
               AND rev = $4 AND next_due_ms = $5 AND deleted_ms IS NULL";
    sql!(sql, skip_at, now, id, rev, next_due).hits(tx).await
}

/// Between two bounds: with a limit and one bound SQLite takes a quarter of all rows for due, and rather than look them
/// up by the index reads the whole table.
pub(super) const DUE: &str = concat!(
    "SELECT ",
    columns!(),
    " WHERE s.next_due_ms BETWEEN 0 AND $1 \
     ORDER BY s.next_due_ms, s.host_id, s.target_type, s.target_identity, s.id LIMIT $2"
);

/// The schedules whose next instant is at or before `now`: the earliest first, those of one target together.
pub async fn due(db: &Db, now: &Timestamp, limit: i64) -> Result<Vec<Schedule>> {
    sql!(DUE, now, limit).all(db).await
}

/// The earliest instant at which any schedule is due.
pub async fn next_due(db: &Db) -> Result<Option<Timestamp>> {
    let sql = "SELECT MIN(next_due_ms) FROM schedules WHERE next_due_ms >= 0";
    sql!(sql).one(db).await
}

/// An occurrence to be taken.
#[derive(Clone, Debug)]
pub struct OccurrenceClaim<'a> {
    /// Of this schedule.
    pub id: &'a ScheduleId,
    /// Its instant, as it was read.
    pub due: Timestamp,
    /// The schedule's revision, as it was read.
    pub rev: i64,
    /// The instant it moves on to.
    pub next: Option<Timestamp>,
    /// Switches the schedule off, which is how a `once` ends.
    pub is_last: bool,
}

/// Takes occurrences for the caller alone: moves each schedule on where both the instant and the revision are still
/// those that were read, and answers of which they were not. A skip of the occurrence taken is used up. The revision
/// stays: firing is no edit.
pub async fn claim(tx: &mut Tx, claims: &[OccurrenceClaim<'_>]) -> Result<HashSet<ScheduleId>> {
    let rows = claims
        .iter()
        .map(|claim| values![claim.id, claim.due, claim.rev, claim.next, claim.is_last])
        .collect();
    let before = "WITH taken (id, due_ms, rev, next_ms, is_last) AS (";
    let after = ") UPDATE schedules SET next_due_ms = taken.next_ms, \
         enabled = CASE WHEN taken.is_last THEN FALSE ELSE schedules.enabled END, \
         skip_at_ms = CASE WHEN schedules.skip_at_ms < taken.due_ms \
           OR (schedules.skip_at_ms = taken.due_ms AND schedules.kind <> 'window') THEN NULL \
           ELSE schedules.skip_at_ms END \
         FROM taken WHERE schedules.id = taken.id AND schedules.next_due_ms = taken.due_ms \
           AND schedules.rev = taken.rev AND schedules.enabled = TRUE AND schedules.deleted_ms IS NULL \
         RETURNING schedules.id";
    let taken = rows::with_values(tx, before, rows, after).await?;
    Ok(left_out(claims.iter().map(|claim| claim.id), taken))
}

/// The schedules that will fire, the earliest first, `limit` at most.
pub async fn coming(db: &Db, limit: i64) -> Result<Vec<Schedule>> {
    let rest = "WHERE s.next_due_ms IS NOT NULL ORDER BY s.next_due_ms, s.id LIMIT $1";
    select(rest, values![limit]).all(db).await
}

/// The window schedules that are on.
pub async fn windows(db: &Db) -> Result<Vec<Schedule>> {
    let rest = "WHERE s.kind = 'window' AND s.enabled = TRUE AND s.deleted_ms IS NULL ORDER BY s.id";
    select(rest, Vec::new()).all(db).await
}

/// How many schedules there are, and how many of them are switched on.
pub async fn count(db: &Db) -> Result<(i64, i64)> {
    const SQL: &str = "SELECT COUNT(*), \
         COALESCE(CAST(SUM(CASE WHEN enabled = TRUE THEN 1 ELSE 0 END) AS BIGINT), 0) \
         FROM schedules WHERE deleted_ms IS NULL";
    sql!(SQL).one(db).await
}
