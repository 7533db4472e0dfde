//! Calendars: named lists of dates, and which schedules go by them.

use jiff::Timestamp;
use jiff::civil::Date;

use super::rows::{self, Columns, row};
use super::{Db, DbError, Result, Tx, exec_tx, on_db, on_tx};
use crate::domain::calendar::{Calendar, CalendarSpec, check, yearly_text};
use crate::domain::ids::{CalendarId, ScheduleId};
use crate::domain::time::{from_ms, to_ms};

macro_rules! columns {
    () => {
        "c.id, c.name, c.dates, c.ranges, c.yearly, c.ics, c.rev, c.created_ms, c.updated_ms FROM calendars c"
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    dates: String,
    ranges: String,
    yearly: String,
    ics: Option<String>,
    rev: i64,
    created_ms: i64,
    updated_ms: i64,
}

impl Row {
    fn read(self) -> Result<Calendar> {
        let damaged =
            |what: &str| DbError::Damaged { table: "calendars", id: self.id.clone(), what: what.to_owned() };
        let dates: Option<Vec<Date>> = serde_json::from_str::<Vec<String>>(&self.dates)
            .ok()
            .and_then(|dates| dates.iter().map(|text| check::date(text)).collect());
        let ranges: Option<Vec<(Date, Date)>> =
            serde_json::from_str::<Vec<(String, String)>>(&self.ranges).ok().and_then(|ranges| {
                ranges.iter().map(|(first, last)| check::date(first).zip(check::date(last))).collect()
            });
        let yearly: Option<Vec<(i8, i8)>> = serde_json::from_str::<Vec<String>>(&self.yearly)
            .ok()
            .and_then(|yearly| yearly.iter().map(|text| check::yearly(text)).collect());
        Ok(Calendar {
            spec: CalendarSpec {
                dates: dates.ok_or_else(|| damaged("dates"))?,
                ranges: ranges.ok_or_else(|| damaged("ranges"))?,
                yearly: yearly.ok_or_else(|| damaged("yearly"))?,
                name: self.name,
                ics: self.ics,
            },
            id: CalendarId(self.id),
            rev: self.rev,
            created_at: from_ms(self.created_ms),
            updated_at: from_ms(self.updated_ms),
        })
    }
}

/// What may change of a calendar.
fn said(calendar: &Calendar) -> Columns {
    let spec = &calendar.spec;
    let quoted = |text: String| format!("\"{text}\"");
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    row![
        "name" => &spec.name,
        // Names are compared without regard to case.
        "name_key" => spec.name.trim().to_lowercase(),
        "dates" => list(spec.dates.iter().map(|date| quoted(date.to_string())).collect()),
        "ranges" => list(spec.ranges.iter().map(|(first, last)| format!("[\"{first}\",\"{last}\"]")).collect()),
        "yearly" => list(spec.yearly.iter().map(|day| quoted(yearly_text(*day))).collect()),
        "ics" => spec.ics.as_deref(),
        "rev" => calendar.rev,
        "updated_ms" => to_ms(calendar.updated_at),
    ]
}

/// Adds a calendar.
///
/// # Errors
/// What the engine answered; [`DbError::is_duplicate`] where another has its name.
pub async fn insert(tx: &mut Tx, calendar: &Calendar) -> Result<()> {
    let made = row!["id" => calendar.id.as_str(), "created_ms" => to_ms(calendar.created_at)];
    rows::insert(tx, "calendars", vec![made.into_iter().chain(said(calendar)).collect()], "").await?;
    Ok(())
}

/// Stores `calendar` where its stored revision is still `old_rev`, and answers whether it was.
pub async fn update(tx: &mut Tx, calendar: &Calendar, old_rev: i64) -> Result<bool> {
    let key = row!["id" => calendar.id.as_str(), "rev" => old_rev];
    Ok(rows::update(tx, "calendars", said(calendar), key, "").await? == 1)
}

/// Removes a calendar where its stored revision is still `old_rev`, and answers whether it was.
pub async fn delete(tx: &mut Tx, id: &CalendarId, old_rev: i64) -> Result<bool> {
    Ok(exec_tx!(tx, "DELETE FROM calendars WHERE id = $1 AND rev = $2", id.as_str(), old_rev)? == 1)
}

/// The calendar with this id.
pub async fn get(db: &Db, id: &CalendarId) -> Result<Option<Calendar>> {
    const SQL: &str = concat!("SELECT ", columns!(), " WHERE c.id = $1");
    let row: Option<Row> = on_db!(db, pool => sqlx::query_as(SQL).bind(id.as_str()).fetch_optional(pool))?;
    row.map(Row::read).transpose()
}

/// The same inside a transaction.
pub async fn get_in(tx: &mut Tx, id: &CalendarId) -> Result<Option<Calendar>> {
    const SQL: &str = concat!("SELECT ", columns!(), " WHERE c.id = $1");
    let row: Option<Row> = on_tx!(tx, conn => sqlx::query_as(SQL).bind(id.as_str()).fetch_optional(conn))?;
    row.map(Row::read).transpose()
}

/// The newest calendars first, `limit` at most, from after the one with the id `before`.
pub async fn list(db: &Db, before: Option<&str>, limit: i64) -> Result<Vec<Calendar>> {
    const SQL: &str =
        concat!("SELECT ", columns!(), " WHERE $1 IS NULL OR c.id < $1 ORDER BY c.id DESC LIMIT $2");
    let rows: Vec<Row> = on_db!(db, pool => sqlx::query_as(SQL).bind(before).bind(limit).fetch_all(pool))?;
    rows.into_iter().map(Row::read).collect()
}

/// Id, name and revision of every calendar, by name.
pub async fn revisions(db: &Db) -> Result<Vec<(CalendarId, String, i64)>> {
    const SQL: &str = "SELECT id, name, rev FROM calendars ORDER BY name_key";
    let rows: Vec<(String, String, i64)> = on_db!(db, pool => sqlx::query_as(SQL).fetch_all(pool))?;
    Ok(rows.into_iter().map(|(id, name, rev)| (CalendarId(id), name, rev)).collect())
}

/// The schedules that go by the calendar `$1`; one without a name is told by its target's.
const USERS: &str = "SELECT id, CASE WHEN name = '' THEN target_name ELSE name END FROM schedules \
                     WHERE calendar_id = $1 AND deleted_ms IS NULL ORDER BY id";

fn read_users(rows: Vec<(String, String)>) -> Vec<(ScheduleId, String)> {
    rows.into_iter().map(|(id, name)| (ScheduleId(id), name)).collect()
}

/// Id and name of the schedules that go by a calendar, the oldest first.
pub async fn users(db: &Db, id: &CalendarId) -> Result<Vec<(ScheduleId, String)>> {
    let rows = on_db!(db, pool => sqlx::query_as(USERS).bind(id.as_str()).fetch_all(pool))?;
    Ok(read_users(rows))
}

/// The same inside a transaction.
pub async fn users_in(tx: &mut Tx, id: &CalendarId) -> Result<Vec<(ScheduleId, String)>> {
    let rows = on_tx!(tx, conn => sqlx::query_as(USERS).bind(id.as_str()).fetch_all(conn))?;
    Ok(read_users(rows))
}

/// Sets when a schedule is due next, after its calendar changed; one that is due at `now` already keeps that.
pub async fn set_next_due(
    tx: &mut Tx,
    id: &ScheduleId,
    next: Option<Timestamp>,
    now: Timestamp,
) -> Result<()> {
    exec_tx!(
        tx,
        "UPDATE schedules SET next_due_ms = $1 WHERE id = $2 AND (next_due_ms IS NULL OR next_due_ms > $3)",
        next.map(to_ms),
        id.as_str(),
        to_ms(now)
    )?;
    Ok(())
}

/// How many schedules go by each calendar; those that none goes by are missing.
pub async fn usage(db: &Db) -> Result<Vec<(CalendarId, i64)>> {
    const SQL: &str = "SELECT calendar_id, COUNT(*) FROM schedules \
                       WHERE calendar_id IS NOT NULL AND deleted_ms IS NULL GROUP BY calendar_id";
    let rows: Vec<(String, i64)> = on_db!(db, pool => sqlx::query_as(SQL).fetch_all(pool))?;
    Ok(rows.into_iter().map(|(id, count)| (CalendarId(id), count)).collect())
}
