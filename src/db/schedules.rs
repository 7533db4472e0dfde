//! The `schedules` table: storage, filtered lists, due schedules, and claims by compare-and-swap on due instant and
//! revision.

use std::collections::HashSet;

use jiff::Timestamp;

use super::columns::{Json, Value};
use super::conditions::{Conditions, begins};
use super::query::{Query, sql};
use super::read::{self, ReadRow};
use super::rows::{self, Columns, missing, row, values};
use super::{Db, Result, Tx};
use crate::domain::carried_labels::source_key;
use crate::domain::day_rules::{EveryWeeks, Nth};
use crate::domain::group::{Area, InGroup};
use crate::domain::ids::{CalendarId, HostId, ScheduleId, UserId};
use crate::domain::schedule::{LabelOrigin, Schedule, ScheduleSpec, When};
use crate::domain::target::Target;

macro_rules! columns {
    () => {
        "s.*, u.name AS owner_name FROM schedules s LEFT JOIN users u ON u.id = s.owner_id"
    };
}

/// A query of schedules; `rest` holds the clauses after FROM.
fn select(rest: &'static str, values: Vec<Value>) -> Query {
    Query::built(format!(concat!("SELECT ", columns!(), " {}"), rest), values)
}

/// The columns that make up the rule of a schedule: schedules that agree in all of them conflict with the same others.
const RULE: &str = "target_type, target_identity, kind, action, mode, cron, at_ms, window_text, timezone, every_weeks, \
                    anchor, nth, calendar_id, calendar_effect, priority, policy";

mod touching;

pub use touching::touching;

impl ReadRow for (Schedule, String) {
    const TABLE: &'static str = Schedule::TABLE;

    fn read(row: &read::Row<'_>) -> Result<Self> {
        Ok((Schedule::read(row)?, row.get("left_by")?))
    }
}

/// A schedule with the number of the target for which [`touching`] found it.
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
        let anchor: Option<String> = row.get("anchor")?;
        let anchor = anchor.map(|date| date.parse().map_err(|_| row.damage("its anchor"))).transpose()?;
        let nth: Option<String> = row.get("nth")?;
        let nth = nth.map(|text| Nth::parse(&text).map_err(|_| row.damage("its weekdays"))).transpose()?;
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
                every_weeks: row
                    .get::<Option<i64>>("every_weeks")?
                    .zip(anchor)
                    .map(|(weeks, anchor)| EveryWeeks { weeks, anchor }),
                nth: nth.unwrap_or_default(),
                calendar: calendar.zip(row.get("calendar_effect")?),
                guard: row.get::<Option<Json<_>>>("guard")?.map(|guard| guard.0),
                note: row.get("note")?,
            },
            source: row.get("source")?,
            label: label(row)?,
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

/// The label that defines the schedule.
fn label(row: &read::Row<'_>) -> Result<Option<LabelOrigin>> {
    let Some(label) = row.get::<Option<String>>("label_name")? else { return Ok(None) };
    Ok(Some(LabelOrigin {
        label,
        carrier: row.get("carrier")?,
        carrier_name: row.get("carrier_name")?,
        text: row.get("label_text")?,
        off: row.get("off_reason")?,
        gone_at: row.get("gone_ms")?,
    }))
}

/// The columns that never change.
fn fixed_columns(schedule: &Schedule) -> Columns {
    row![
        "id" => schedule.id,
        "source" => schedule.source,
        "owner_id" => schedule.owner,
        "created_ms" => schedule.created_at,
    ]
}

/// All other columns.
fn changeable_columns(schedule: &Schedule) -> Columns {
    let spec = &schedule.spec;
    let (kind, cron, at, window) = match &spec.when {
        When::Cron(text) => ("cron", Some(text.as_str()), None, None),
        When::Once(at) => ("once", None, Some(at), None),
        When::Window(text) => ("window", None, None, Some(text.as_str())),
    };
    let label = schedule.label.as_ref();
    // The key of a deleted schedule is free for a new one.
    let key = label.filter(|_| schedule.deleted_at.is_none());
    let key = key.map(|one| source_key(&spec.target, &one.label));
    let of_label = label.map(|one| {
        row![
            "source_key" => key,
            "label_name" => one.label,
            "carrier" => one.carrier,
            "carrier_name" => one.carrier_name,
            "label_text" => one.text,
            "off_reason" => one.off,
            "gone_ms" => one.gone_at,
        ]
    });
    let all = row![
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
        "every_weeks" => spec.every_weeks.map(|every| every.weeks),
        "anchor" => spec.every_weeks.map(|every| every.anchor.to_string()),
        "nth" => spec.nth.to_text(),
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
    ];
    all.into_iter().chain(of_label.into_iter().flatten()).collect()
}

/// Adds a schedule.
pub async fn insert(tx: &mut Tx, schedule: &Schedule) -> Result<()> {
    let row = fixed_columns(schedule).into_iter().chain(changeable_columns(schedule)).collect();
    rows::add(tx, "schedules", row).await
}

/// Stores `schedule` if its stored revision is still `old_rev`; `false` if it is not. Id, source, owner and creation
/// time never change.
pub async fn update(tx: &mut Tx, schedule: &Schedule, old_rev: i64) -> Result<bool> {
    let key = row!["id" => schedule.id, "rev" => old_rev];
    rows::update(tx, "schedules", changeable_columns(schedule), key, " AND deleted_ms IS NULL").await
}

/// Restores a deleted schedule if its stored revision is still `old_rev`; `false` if it is not.
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

/// The schedule with this id, deleted or not.
pub async fn get(db: &Db, id: &ScheduleId) -> Result<Option<Schedule>> {
    select("WHERE s.id = $1", values![id]).first(db).await
}

/// As [`get`], inside a transaction that goes on to change the schedule.
pub async fn get_in(tx: &mut Tx, id: &ScheduleId) -> Result<Option<Schedule>> {
    select("WHERE s.id = $1", values![id]).first(tx).await
}

/// The schedules whose owner's account was deleted, each with the name of that account, oldest first.
pub async fn left(db: &Db) -> Result<Vec<(Schedule, String)>> {
    let rest = "WHERE s.left_by IS NOT NULL AND s.deleted_ms IS NULL ORDER BY s.id";
    select(rest, Vec::new()).all(db).await
}

/// Stores the name of a user in the user's schedules, before the account is deleted.
pub async fn leave(tx: &mut Tx, user: &UserId) -> Result<()> {
    let sql = "UPDATE schedules SET left_by = (SELECT name FROM users WHERE id = $1) WHERE owner_id = $1";
    sql!(sql, user).run(tx).await
}

/// Gives a schedule without an owner to another account; `false` if it has an owner again or was deleted.
pub async fn adopt(tx: &mut Tx, id: &ScheduleId, user: &UserId, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE schedules SET owner_id = $1, left_by = NULL, rev = rev + 1, updated_ms = $2 \
               WHERE id = $3 AND left_by IS NOT NULL AND deleted_ms IS NULL";
    sql!(sql, user, now, id).hits(tx).await
}

/// The filter of [`list`]; `None` = any. Deleted schedules never match.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScheduleSelection<'a> {
    /// Host of the target.
    pub host: Option<&'a HostId>,
    /// Group that the target is in.
    pub group: Option<&'a InGroup>,
    pub target: Option<&'a Target>,
    /// Whether the schedule is switched on.
    pub enabled: Option<bool>,
    /// Text in the name, the target's name or the note, without regard to case.
    pub text: Option<&'a str>,
    /// Id of a schedule; only older ones match.
    pub before: Option<&'a str>,
    /// Maximum number of schedules.
    pub limit: i64,
}

/// The matching schedules, newest first.
pub async fn list(db: &Db, wanted: &ScheduleSelection<'_>) -> Result<Vec<Schedule>> {
    let mut conditions = Conditions::default();
    conditions.and("s.deleted_ms IS NULL");
    conditions.is("s.host_id", wanted.target.map(|target| &target.host).or(wanted.host));
    conditions.is("s.target_type", wanted.target.map(Target::target_type));
    if let Some(target) = wanted.target {
        let identity = conditions.bind(&target.identity_text());
        // A stack has the schedules of its services too.
        let parts = conditions.bind(&format!("{}\n", target.identity_text()));
        let is_part = begins("s.target_identity", &parts);
        conditions.and(&format!("(s.target_identity = {identity} OR {is_part})"));
    }
    conditions.is("s.enabled", wanted.enabled);
    if let Some(group) = wanted.group {
        let holds = conditions.group(group).holds("s");
        conditions.and(&holds);
    }
    if let Some(text) = wanted.text {
        let pattern = conditions.bind(&format!("%{}%", escape_like(&text.to_lowercase())));
        let like = |column: &str| format!("LOWER({column}) LIKE {pattern} ESCAPE '!'");
        let any = ["s.name", "s.target_name", "s.note"].map(like).join(" OR ");
        conditions.and(&format!("({any})"));
    }
    conditions.compare("s.id", "<", wanted.before);
    let after = format!("ORDER BY s.id DESC LIMIT {}", wanted.limit);
    conditions.query(concat!("SELECT ", columns!()), &after).all(db).await
}

/// All schedules for the stacks and containers of a host, as the transaction sees them.
pub async fn of_host(tx: &mut Tx, host: &HostId) -> Result<Vec<Schedule>> {
    let rest = "WHERE s.host_id = $1 AND s.deleted_ms IS NULL ORDER BY s.id";
    select(rest, values![host]).all(tx).await
}

/// The schedules that labels define, of one host or of all.
pub async fn labelled(db: &Db, host: Option<&HostId>) -> Result<Vec<Schedule>> {
    let rest = "WHERE s.source = 'label' AND s.label_name IS NOT NULL AND s.deleted_ms IS NULL \
                AND ($1 IS NULL OR s.host_id = $1) ORDER BY s.id";
    select(rest, values![host]).all(db).await
}

/// The number of schedules that are switched on and come from no label.
pub async fn not_labelled(db: &Db) -> Result<i64> {
    let sql =
        "SELECT COUNT(*) FROM schedules WHERE source <> 'label' AND enabled = TRUE AND deleted_ms IS NULL";
    sql!(sql).one(db).await
}

/// Escapes a text so that LIKE takes it literally, with `!` as the escape character.
fn escape_like(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

/// Sets the skip of the occurrence at `next_due`, or removes it, if due instant and revision are still these; `false`
/// if they are not. The revision grows by one.
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

/// The lower bound 0 is needed: with only the upper bound and a limit, SQLite assumes that a quarter of all rows are
/// due, and reads the whole table instead of the index.
pub(super) const DUE: &str = concat!(
    "SELECT ",
    columns!(),
    " WHERE s.next_due_ms BETWEEN 0 AND $1 \
     ORDER BY s.next_due_ms, s.host_id, s.target_type, s.target_identity, s.id LIMIT $2"
);

/// At most `limit` schedules that are due at `now`: the earliest first, those of one target together.
pub async fn due(db: &Db, now: &Timestamp, limit: i64) -> Result<Vec<Schedule>> {
    sql!(DUE, now, limit).all(db).await
}

/// The earliest due instant of all schedules.
pub async fn next_due(db: &Db) -> Result<Option<Timestamp>> {
    let sql = "SELECT MIN(next_due_ms) FROM schedules WHERE next_due_ms >= 0";
    sql!(sql).one(db).await
}

/// A claim of one occurrence.
#[derive(Clone, Debug)]
pub struct OccurrenceClaim<'a> {
    /// Id of the schedule.
    pub id: &'a ScheduleId,
    /// Instant of the occurrence: the due instant of the schedule as it was read.
    pub due: Timestamp,
    /// Revision of the schedule as it was read.
    pub rev: i64,
    /// The next due instant of the schedule.
    pub next: Option<Timestamp>,
    /// Whether the schedule is switched off, as it is after its last occurrence (`once`).
    pub is_last: bool,
}

/// Claims occurrences: each schedule gets its next due instant if due instant and revision are still those of the
/// claim. Returns the ids of the schedules for which they are not. The skip of a claimed occurrence is removed. The
/// revision stays the same, since a fire is no edit.
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
    Ok(missing(claims.iter().map(|claim| claim.id), taken))
}

/// At most `limit` schedules that have a due instant, the earliest first.
pub async fn coming(db: &Db, area: &Area, limit: i64) -> Result<Vec<Schedule>> {
    let mut conditions = Conditions::default();
    conditions.and("s.next_due_ms IS NOT NULL");
    conditions.within("s", area);
    let after = format!("ORDER BY s.next_due_ms, s.id LIMIT {limit}");
    conditions.query(concat!("SELECT ", columns!()), &after).all(db).await
}

/// All window schedules that are switched on.
pub async fn windows(db: &Db) -> Result<Vec<Schedule>> {
    let rest = "WHERE s.kind = 'window' AND s.enabled = TRUE AND s.deleted_ms IS NULL ORDER BY s.id";
    select(rest, Vec::new()).all(db).await
}

/// The number of schedules, and the number of those that are switched on.
pub async fn count(db: &Db, area: &Area) -> Result<(i64, i64)> {
    let mut conditions = Conditions::default();
    conditions.and("deleted_ms IS NULL");
    conditions.within("schedules", area);
    let before = "SELECT COUNT(*), \
         COALESCE(CAST(SUM(CASE WHEN enabled = TRUE THEN 1 ELSE 0 END) AS BIGINT), 0) FROM schedules";
    conditions.query(before, "").one(db).await
}
