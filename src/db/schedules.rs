//! Schedules: kept, found when due, and claimed by compare-and-swap.

use std::collections::HashSet;

use jiff::Timestamp;

use super::bulk::{left_out, values_tx};
use super::rows::{self, Columns, row};
use super::{Db, DbError, Result, Tx, exec_tx, on_db, on_tx};
use crate::domain::calendar::CalendarEffect;
use crate::domain::ids::{CalendarId, HostId, ScheduleId, UserId};
use crate::domain::schedule::{Policy, Schedule, ScheduleSpec, Source, Wake, When};
use crate::domain::target::Target;
use crate::domain::time::{from_ms, to_ms};

macro_rules! columns {
    () => {
        "s.id, s.name, s.host_id, s.target_type, s.target_name, s.target_identity, s.kind, s.action, s.cron, s.at_ms, \
         s.window_text, s.policy, s.mode, s.wake, s.calendar_id, s.calendar_effect, \
         s.timezone, s.enabled, s.catch_up_s, s.priority, s.stop_timeout_s, s.note, s.source, s.owner_id, \
         u.name AS owner_name, s.skip_at_ms, s.effective_from_ms, s.next_due_ms, s.rev, s.created_ms, s.updated_ms, \
         s.deleted_ms, s.guard FROM schedules s LEFT JOIN users u ON u.id = s.owner_id"
    };
}

/// What a schedule says: two of which all of these are the same get in the way of the same others.
const RULE: &str = "target_type, target_identity, kind, action, mode, cron, at_ms, window_text, timezone, calendar_id, \
                    calendar_effect, priority, policy";

mod touching;

pub use touching::touching;

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    host_id: String,
    target_type: String,
    target_name: String,
    target_identity: String,
    kind: String,
    action: Option<String>,
    cron: Option<String>,
    at_ms: Option<i64>,
    window_text: Option<String>,
    policy: String,
    mode: String,
    wake: String,
    calendar_id: Option<String>,
    calendar_effect: Option<String>,
    timezone: Option<String>,
    enabled: bool,
    catch_up_s: i64,
    priority: i64,
    stop_timeout_s: Option<i64>,
    note: String,
    source: String,
    owner_id: Option<String>,
    owner_name: Option<String>,
    skip_at_ms: Option<i64>,
    effective_from_ms: i64,
    next_due_ms: Option<i64>,
    rev: i64,
    created_ms: i64,
    updated_ms: i64,
    deleted_ms: Option<i64>,
    guard: Option<String>,
}

/// One whose account is gone.
#[derive(sqlx::FromRow)]
struct LeftRow {
    left_by: String,
    #[sqlx(flatten)]
    row: Row,
}

impl Row {
    fn read(self) -> Result<Schedule> {
        let damaged =
            |what: &str| DbError::Damaged { table: "schedules", id: self.id.clone(), what: what.to_owned() };
        let (when, action) = match (self.kind.as_str(), self.cron, self.at_ms, self.window_text) {
            ("cron", Some(cron), ..) => (When::Cron(cron), self.action.as_deref()),
            ("once", _, Some(at), _) => (When::Once(from_ms(at)), self.action.as_deref()),
            ("window", _, _, Some(window)) => (When::Window(window), Some(self.mode.as_str())),
            _ => return Err(damaged("kind")),
        };
        let calendar = match (self.calendar_id, self.calendar_effect.as_deref()) {
            (Some(id), Some(effect)) => Some((
                CalendarId(id),
                CalendarEffect::parse(effect).ok_or_else(|| damaged("its calendar's effect"))?,
            )),
            _ => None,
        };
        let guard = self.guard.as_deref().map(serde_json::from_str).transpose();
        let guard = guard.map_err(|_| damaged("its guard"))?;
        Ok(Schedule {
            spec: ScheduleSpec {
                target: Target::from_columns(&self.host_id, &self.target_type, &self.target_identity)
                    .ok_or_else(|| damaged("target"))?,
                action: action.and_then(|word| word.parse().ok()).ok_or_else(|| damaged("action"))?,
                name: self.name,
                target_name: self.target_name,
                when,
                timezone: self.timezone,
                enabled: self.enabled,
                catch_up_seconds: self.catch_up_s,
                priority: self.priority,
                stop_timeout_seconds: self.stop_timeout_s,
                policy: Policy::parse(&self.policy).ok_or_else(|| damaged("its policy"))?,
                wake: Wake::parse(&self.wake).ok_or_else(|| damaged("what it wakes"))?,
                calendar,
                guard,
                note: self.note,
            },
            source: Source::parse(&self.source).ok_or_else(|| damaged("source"))?,
            id: ScheduleId(self.id),
            owner: self.owner_id.map(UserId),
            owner_name: self.owner_name,
            effective_from: from_ms(self.effective_from_ms),
            next_due: self.next_due_ms.map(from_ms),
            skip_at: self.skip_at_ms.map(from_ms),
            rev: self.rev,
            created_at: from_ms(self.created_ms),
            updated_at: from_ms(self.updated_ms),
            deleted_at: self.deleted_ms.map(from_ms),
        })
    }
}

fn read_all(rows: Vec<Row>) -> Result<Vec<Schedule>> {
    rows.into_iter().map(Row::read).collect()
}

/// What never changes of a schedule.
fn made(schedule: &Schedule) -> Columns {
    row![
        "id" => schedule.id.as_str(),
        "source" => schedule.source.as_str(),
        "owner_id" => schedule.owner.as_ref().map(UserId::as_str),
        "created_ms" => to_ms(schedule.created_at),
    ]
}

/// All else of it.
fn said(schedule: &Schedule) -> Columns {
    let spec = &schedule.spec;
    let (kind, cron, at, window) = match &spec.when {
        When::Cron(text) => ("cron", Some(text.as_str()), None, None),
        When::Once(at) => ("once", None, Some(to_ms(*at)), None),
        When::Window(text) => ("window", None, None, Some(text.as_str())),
    };
    row![
        "name" => &spec.name,
        "host_id" => spec.target.host.as_str(),
        "target_type" => spec.target.target_type().as_str(),
        "target_name" => &spec.target_name,
        "target_identity" => spec.target.identity_text(),
        "kind" => kind,
        "action" => window.is_none().then(|| spec.action.as_str()),
        "cron" => cron,
        "at_ms" => at,
        "window_text" => window,
        "policy" => spec.policy.as_str(),
        "mode" => spec.mode(),
        "wake" => spec.wake.as_str(),
        "calendar_id" => spec.calendar.as_ref().map(|(id, _)| id.as_str()),
        "calendar_effect" => spec.calendar.as_ref().map(|(_, effect)| effect.as_str()),
        "timezone" => spec.timezone.as_deref(),
        "enabled" => spec.enabled,
        "catch_up_s" => spec.catch_up_seconds,
        "priority" => spec.priority,
        "stop_timeout_s" => spec.stop_timeout_seconds,
        "note" => &spec.note,
        "guard" => spec.guard.as_ref().and_then(|guard| serde_json::to_string(guard).ok()),
        "skip_at_ms" => schedule.skip_at.map(to_ms),
        "effective_from_ms" => to_ms(schedule.effective_from),
        "next_due_ms" => schedule.next_due.map(to_ms),
        "rev" => schedule.rev,
        "updated_ms" => to_ms(schedule.updated_at),
        "deleted_ms" => schedule.deleted_at.map(to_ms),
    ]
}

/// Adds a schedule.
pub async fn insert(tx: &mut Tx, schedule: &Schedule) -> Result<()> {
    let row = made(schedule).into_iter().chain(said(schedule)).collect();
    rows::insert(tx, "schedules", vec![row], "").await?;
    Ok(())
}

/// Stores `schedule` where its stored revision is still `old_rev`, and answers whether it was. Id, source, owner and
/// the time it was made never change.
pub async fn update(tx: &mut Tx, schedule: &Schedule, old_rev: i64) -> Result<bool> {
    let key = row!["id" => schedule.id.as_str(), "rev" => old_rev];
    Ok(rows::update(tx, "schedules", said(schedule), key, " AND deleted_ms IS NULL").await? == 1)
}

/// Takes the deletion of `schedule` back where its stored revision is still `old_rev`, and answers whether it was.
pub async fn restore(tx: &mut Tx, schedule: &Schedule, old_rev: i64) -> Result<bool> {
    let touched = exec_tx!(
        tx,
        "UPDATE schedules SET deleted_ms = NULL, effective_from_ms = $1, next_due_ms = $2, rev = $3, updated_ms = $4 \
         WHERE id = $5 AND rev = $6 AND deleted_ms IS NOT NULL",
        to_ms(schedule.effective_from),
        schedule.next_due.map(to_ms),
        schedule.rev,
        to_ms(schedule.updated_at),
        schedule.id.as_str(),
        old_rev
    )?;
    Ok(touched == 1)
}

/// One schedule, deleted ones included.
pub async fn get(db: &Db, id: &ScheduleId) -> Result<Option<Schedule>> {
    const SQL: &str = concat!("SELECT ", columns!(), " WHERE s.id = $1");
    let row: Option<Row> = on_db!(db, pool => sqlx::query_as(SQL).bind(id.as_str()).fetch_optional(pool))?;
    row.map(Row::read).transpose()
}

/// As [`get`], inside a transaction that goes on to change it.
pub async fn get_in(tx: &mut Tx, id: &ScheduleId) -> Result<Option<Schedule>> {
    const SQL: &str = concat!("SELECT ", columns!(), " WHERE s.id = $1");
    let row: Option<Row> = on_tx!(tx, conn => sqlx::query_as(SQL).bind(id.as_str()).fetch_optional(conn))?;
    row.map(Row::read).transpose()
}

/// The schedules whose account is gone, with the name of that account, the oldest first.
pub async fn left(db: &Db) -> Result<Vec<(Schedule, String)>> {
    const SQL: &str = concat!(
        "SELECT s.left_by, ",
        columns!(),
        " WHERE s.left_by IS NOT NULL AND s.deleted_ms IS NULL ORDER BY s.id"
    );
    let rows: Vec<LeftRow> = on_db!(db, pool => sqlx::query_as(SQL).fetch_all(pool))?;
    rows.into_iter().map(|row| Ok((row.row.read()?, row.left_by))).collect()
}

/// Remembers whose schedules these were, before the account goes.
pub async fn leave(tx: &mut Tx, user: &UserId) -> Result<()> {
    exec_tx!(
        tx,
        "UPDATE schedules SET left_by = (SELECT name FROM users WHERE id = $1) WHERE owner_id = $1",
        user.as_str()
    )?;
    Ok(())
}

/// Gives a schedule whose account is gone to another; `false` where it has one again, or is no more.
pub async fn adopt(tx: &mut Tx, id: &ScheduleId, user: &UserId, now: Timestamp) -> Result<bool> {
    let touched = exec_tx!(
        tx,
        "UPDATE schedules SET owner_id = $1, left_by = NULL, rev = rev + 1, updated_ms = $2 \
         WHERE id = $3 AND left_by IS NOT NULL AND deleted_ms IS NULL",
        user.as_str(),
        to_ms(now),
        id.as_str()
    )?;
    Ok(touched == 1)
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
    let rows: Vec<Row> = on_db!(db, pool => sqlx::query_as(SQL)
        .bind(wanted.target.map(|target| &target.host).or(wanted.host).map(HostId::as_str))
        .bind(wanted.target.map(|target| target.target_type().as_str()))
        .bind(identity.as_deref())
        .bind(wanted.enabled)
        .bind(pattern.as_deref())
        .bind(wanted.before)
        .bind(wanted.limit)
        .fetch_all(pool))?;
    read_all(rows)
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
    let touched = exec_tx!(
        tx,
        "UPDATE schedules SET skip_at_ms = $1, rev = rev + 1, updated_ms = $2 \
         WHERE id = $3 AND rev = $4 AND next_due_ms = $5 AND deleted_ms IS NULL",
        skip_at.map(to_ms),
        to_ms(now),
        id.as_str(),
        rev,
        to_ms(next_due)
    )?;
    Ok(touched == 1)
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
    let rows: Vec<Row> =
        on_db!(db, pool => sqlx::query_as(DUE).bind(to_ms(*now)).bind(limit).fetch_all(pool))?;
    read_all(rows)
}

/// The earliest instant at which any schedule is due.
pub async fn next_due(db: &Db) -> Result<Option<Timestamp>> {
    let (ms,): (Option<i64>,) = on_db!(db, pool => sqlx::query_as("SELECT MIN(next_due_ms) FROM schedules WHERE next_due_ms >= 0").fetch_one(pool))?;
    Ok(ms.map(from_ms))
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
    let taken = values_tx!(
        tx,
        "WITH taken (id, due_ms, rev, next_ms, is_last) AS (",
        claims,
        |claim| (
            claim.id.as_str(),
            to_ms(claim.due),
            claim.rev,
            claim.next.map(to_ms),
            claim.is_last,
        ),
        ") UPDATE schedules SET next_due_ms = taken.next_ms, \
         enabled = CASE WHEN taken.is_last THEN FALSE ELSE schedules.enabled END, \
         skip_at_ms = CASE WHEN schedules.skip_at_ms < taken.due_ms \
           OR (schedules.skip_at_ms = taken.due_ms AND schedules.kind <> 'window') THEN NULL \
           ELSE schedules.skip_at_ms END \
         FROM taken WHERE schedules.id = taken.id AND schedules.next_due_ms = taken.due_ms \
           AND schedules.rev = taken.rev AND schedules.enabled = TRUE AND schedules.deleted_ms IS NULL \
         RETURNING schedules.id" => (String,)
    );
    Ok(left_out(claims.iter().map(|claim| claim.id), taken))
}

/// The schedules that will fire, the earliest first, `limit` at most.
pub async fn coming(db: &Db, limit: i64) -> Result<Vec<Schedule>> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " WHERE s.next_due_ms IS NOT NULL ORDER BY s.next_due_ms, s.id LIMIT $1"
    );
    let rows: Vec<Row> = on_db!(db, pool => sqlx::query_as(SQL).bind(limit).fetch_all(pool))?;
    read_all(rows)
}

/// The window schedules that are on.
pub async fn windows(db: &Db) -> Result<Vec<Schedule>> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " WHERE s.kind = 'window' AND s.enabled = TRUE AND s.deleted_ms IS NULL ORDER BY s.id"
    );
    let rows: Vec<Row> = on_db!(db, pool => sqlx::query_as(SQL).fetch_all(pool))?;
    read_all(rows)
}

/// How many schedules there are, and how many of them are switched on.
pub async fn count(db: &Db) -> Result<(i64, i64)> {
    const SQL: &str = "SELECT COUNT(*), \
         COALESCE(CAST(SUM(CASE WHEN enabled = TRUE THEN 1 ELSE 0 END) AS BIGINT), 0) \
         FROM schedules WHERE deleted_ms IS NULL";
    Ok(on_db!(db, pool => sqlx::query_as(SQL).fetch_one(pool))?)
}
