//! The `calendars` table: named lists of dates, and the schedules that use them.

use jiff::Timestamp;

use super::columns::Json;
use super::query::{On, sql};
use super::read::{ReadRow, Row};
use super::rows::{self, Columns, row};
use super::{Db, Result, Tx};
use crate::domain::calendar::{Calendar, CalendarSpec, check, yearly_text};
use crate::domain::ids::{CalendarId, ScheduleId};

impl ReadRow for Calendar {
    const TABLE: &'static str = "calendars";

    fn read(row: &Row<'_>) -> Result<Self> {
        let dates: Json<Vec<String>> = row.get("dates")?;
        let ranges: Json<Vec<(String, String)>> = row.get("ranges")?;
        let yearly: Json<Vec<String>> = row.get("yearly")?;
        let dates: Option<_> = dates.0.iter().map(|text| check::date(text)).collect();
        let ranges: Option<_> =
            ranges.0.iter().map(|(first, last)| check::date(first).zip(check::date(last))).collect();
        let yearly: Option<_> = yearly.0.iter().map(|text| check::yearly(text)).collect();
        Ok(Self {
            spec: CalendarSpec {
                dates: dates.ok_or_else(|| row.damage("its dates"))?,
                ranges: ranges.ok_or_else(|| row.damage("its ranges"))?,
                yearly: yearly.ok_or_else(|| row.damage("its yearly"))?,
                name: row.get("name")?,
                ics: row.get("ics")?,
            },
            id: row.get("id")?,
            rev: row.get("rev")?,
            created_at: row.get("created_ms")?,
            updated_at: row.get("updated_ms")?,
        })
    }
}

/// The columns that an update may change.
fn changeable_columns(calendar: &Calendar) -> Columns {
    let spec = &calendar.spec;
    let quoted = |text: String| format!("\"{text}\"");
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    row![
        "name" => spec.name,
        // Names are compared without regard to case.
        "name_key" => spec.name.trim().to_lowercase(),
        "dates" => list(spec.dates.iter().map(|date| quoted(date.to_string())).collect()),
        "ranges" => list(spec.ranges.iter().map(|(first, last)| format!("[\"{first}\",\"{last}\"]")).collect()),
        "yearly" => list(spec.yearly.iter().map(|day| quoted(yearly_text(*day))).collect()),
        "ics" => spec.ics,
        "rev" => calendar.rev,
        "updated_ms" => calendar.updated_at,
    ]
}

/// Adds a calendar.
///
/// # Errors
/// The error of the engine; [`DbError::is_duplicate`] if another calendar has the same name.
pub async fn insert(tx: &mut Tx, calendar: &Calendar) -> Result<()> {
    let fixed = row!["id" => calendar.id, "created_ms" => calendar.created_at];
    rows::add(tx, "calendars", fixed.into_iter().chain(changeable_columns(calendar)).collect()).await
}

/// Stores `calendar` if its stored revision is still `old_rev`; `false` if it is not.
pub async fn update(tx: &mut Tx, calendar: &Calendar, old_rev: i64) -> Result<bool> {
    let key = row!["id" => calendar.id, "rev" => old_rev];
    rows::update(tx, "calendars", changeable_columns(calendar), key, "").await
}

/// Deletes a calendar if its stored revision is still `old_rev`; `false` if it is not.
pub async fn delete(tx: &mut Tx, id: &CalendarId, old_rev: i64) -> Result<bool> {
    sql!("DELETE FROM calendars WHERE id = $1 AND rev = $2", id, old_rev).hits(tx).await
}

pub async fn get(on: impl Into<On<'_>>, id: &CalendarId) -> Result<Option<Calendar>> {
    sql!("SELECT * FROM calendars WHERE id = $1", id).first(on).await
}

/// At most `limit` calendars, newest first, older than the one with the id `before`.
pub async fn list(db: &Db, before: Option<&str>, limit: i64) -> Result<Vec<Calendar>> {
    let sql = "SELECT * FROM calendars WHERE $1 IS NULL OR id < $1 ORDER BY id DESC LIMIT $2";
    sql!(sql, before, limit).all(db).await
}

/// Id, name and revision of every calendar, sorted by name.
pub async fn revisions(db: &Db) -> Result<Vec<(CalendarId, String, i64)>> {
    sql!("SELECT id, name, rev FROM calendars ORDER BY name_key").all(db).await
}

/// Id and name of each schedule that uses a calendar, oldest first. A schedule without a name has the name of its
/// target.
pub async fn users(on: impl Into<On<'_>>, id: &CalendarId) -> Result<Vec<(ScheduleId, String)>> {
    let sql = "SELECT id, CASE WHEN name = '' THEN target_name ELSE name END FROM schedules \
               WHERE calendar_id = $1 AND deleted_ms IS NULL ORDER BY id";
    sql!(sql, id).all(on).await
}

/// Sets the next due instant of a schedule after a change of its calendar. A schedule that is already due at `now`
/// keeps its instant.
pub async fn set_next_due(
    tx: &mut Tx,
    id: &ScheduleId,
    next: Option<Timestamp>,
    now: Timestamp,
) -> Result<()> {
    let sql = "UPDATE schedules SET next_due_ms = $1 WHERE id = $2 AND (next_due_ms IS NULL \
               OR next_due_ms > $3)";
    sql!(sql, next, id, now).run(tx).await
}

/// The number of schedules that use each calendar; unused calendars are missing.
pub async fn usage(db: &Db) -> Result<Vec<(CalendarId, i64)>> {
    let sql = "SELECT calendar_id, COUNT(*) FROM schedules \
                       WHERE calendar_id IS NOT NULL AND deleted_ms IS NULL GROUP BY calendar_id";
    sql!(sql).all(db).await
}
