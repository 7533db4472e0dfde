//! Calendars: lists of dates that schedules refer to. Admins create, change and delete calendars, everybody reads them,
//! and the scheduler evaluates them. Every change sets the due instants of the schedules that use the calendar.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::audit::Audit;
pub use super::dates::Dates;
use super::dates::{expand, today};
use super::paging::{Page, Paged};
use super::rulebook::RuleBook;
use super::{Actor, App, Error, FieldError, Live, Result};
use crate::db::{self, DbError, Tx};
use crate::domain::audit::Change;
use crate::domain::calendar::{Calendar, CalendarDays, CalendarDraft, CalendarSpec, yearly_text};
use crate::domain::ids::{CalendarId, ScheduleId};
use crate::domain::permission::Permission;
use crate::domain::text::hex;

/// Maximum number of schedules that a refusal lists by name; the others are only counted.
const NAMED: usize = 5;
/// Maximum size in bytes of a list in an audit row; a longer list is cut and its remaining entries are counted.
const AUDITED: usize = 500;

/// A calendar with the figures that a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: CalendarId,
    pub name: String,
    pub days: Arc<CalendarDays>,
    /// Number of entries of the calendar's ICS file that are ignored.
    pub left: usize,
    /// Number of schedules that use the calendar.
    pub schedules: usize,
}

/// Lists calendars, newest first.
pub async fn list(app: &App, actor: &Actor, page: &Page) -> Result<Paged<Calendar>> {
    actor.require(Permission::View)?;
    let rows = db::calendars::list(&app.db, page.cursor.as_deref(), page.fetch()).await?;
    Ok(page.cut(rows, |calendar| calendar.id.0.clone()))
}

/// Id and name of every calendar, ordered by name, with one small query.
pub async fn names(app: &App, actor: &Actor) -> Result<Vec<(CalendarId, String)>> {
    actor.require(Permission::View)?;
    Ok(db::calendars::revisions(&app.db).await?.into_iter().map(|(id, name, _)| (id, name)).collect())
}

/// Every calendar ordered by name, with its dates and the number of schedules that use it.
pub async fn overview(app: &App, actor: &Actor) -> Result<Vec<Listed>> {
    actor.require(Permission::View)?;
    let usage: HashMap<CalendarId, i64> = db::calendars::usage(&app.db).await?.into_iter().collect();
    let book = RuleBook::load(app).await?;
    let listed = |dates: &Dates| {
        let schedules = usage.get(&dates.id).map_or(0, |count| usize::try_from(*count).unwrap_or(0));
        let (id, name, days) = (dates.id.clone(), dates.name.clone(), Arc::clone(&dates.days));
        Listed { id, name, days, left: dates.left.total(), schedules }
    };
    Ok(book.calendars.iter().map(listed).collect())
}

/// The dates of `calendar` at its revision, from the first day of the current month on.
///
/// # Errors
/// [`Error::Internal`] where the dates cannot be computed; database errors.
pub async fn dates(app: &App, actor: &Actor, calendar: &Calendar) -> Result<Dates> {
    actor.require(Permission::View)?;
    let book = RuleBook::load(app).await?;
    match book.dates(&calendar.id).filter(|known| known.rev == calendar.rev) {
        Some(dates) => Ok(dates.clone()),
        None => expand(calendar.clone(), today(app).first_of_month()).await,
    }
}

/// Reads one calendar.
///
/// # Errors
/// [`Error::NotFound`] where no calendar has this id.
pub async fn get(app: &App, actor: &Actor, id: &CalendarId) -> Result<Calendar> {
    actor.require(Permission::View)?;
    db::calendars::get(&app.db, id).await?.ok_or_else(|| not_found(id))
}

/// The schedules that use a calendar, oldest first: id and title.
pub async fn users(app: &App, actor: &Actor, id: &CalendarId) -> Result<Vec<(ScheduleId, String)>> {
    actor.require(Permission::View)?;
    Ok(db::calendars::users(&app.db, id).await?)
}

/// Creates a calendar.
///
/// # Errors
/// [`Error::Invalid`] with every field that is wrong; nothing is stored then.
pub async fn create(app: &App, actor: &Actor, draft: &CalendarDraft) -> Result<Calendar> {
    actor.require(Permission::Administer)?;
    let calendar = planned(app, draft, None).await?;
    let mut tx = app.db.begin().await?;
    insert_in(&mut tx, app, actor, &calendar).await?;
    tx.commit().await?;
    app.rules_changed(Live::Schedules);
    Ok(calendar)
}

/// The calendar of a draft, in the place of `old` where there is one; nothing is stored.
pub(super) async fn planned(app: &App, draft: &CalendarDraft, old: Option<&Calendar>) -> Result<Calendar> {
    let spec = checked(app, draft).await?;
    let now = app.clock.now();
    Ok(match old {
        None => Calendar { id: app.ids.next(now), spec, rev: 1, created_at: now, updated_at: now },
        Some(old) if old.spec == spec => old.clone(),
        Some(old) => Calendar { spec, rev: old.rev + 1, updated_at: now, ..old.clone() },
    })
}

/// Stores a new calendar.
pub(super) async fn insert_in(tx: &mut Tx, app: &App, actor: &Actor, calendar: &Calendar) -> Result<()> {
    db::calendars::insert(tx, calendar).await.map_err(name_taken)?;
    record(tx, app, actor, "calendar.create", calendar, changes(None, Some(&calendar.spec))).await
}

/// Replaces the content of a calendar; fields missing in the draft become empty. The new dates apply to schedules at
/// once.
///
/// # Errors
/// As [`create`]; [`Error::NotFound`]; [`Error::Stale`] where `rev` is not the stored revision.
pub async fn update(
    app: &App,
    actor: &Actor,
    id: &CalendarId,
    draft: &CalendarDraft,
    rev: Option<i64>,
) -> Result<Calendar> {
    actor.require(Permission::Administer)?;
    let old = stored(app, id, rev).await?;
    let spec = checked(app, draft).await?;
    let new = Calendar { spec, rev: old.rev + 1, updated_at: app.clock.now(), ..old.clone() };
    // Loaded before the transaction begins: the transaction holds a database connection, and a request for a second one
    // could block forever.
    let dates = expand(new.clone(), today(app).first_of_month()).await?;
    let book = RuleBook::load(app).await?.with_dates(dates);
    let mut tx = app.db.begin().await?;
    replace_in(&mut tx, app, actor, &old, &new, &book).await?;
    tx.commit().await?;
    app.rules_changed(Live::Schedules);
    Ok(new)
}

/// Stores the new content of a calendar; `book` has its dates.
pub(super) async fn replace_in(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    old: &Calendar,
    new: &Calendar,
    book: &RuleBook,
) -> Result<()> {
    if !db::calendars::update(tx, new, old.rev).await.map_err(name_taken)? {
        return Err(stale(tx, &old.id).await?);
    }
    reschedule(tx, app, new, book).await?;
    record(tx, app, actor, "calendar.update", new, changed_fields(old, new)).await
}

/// The fields that differ between two versions of a calendar.
pub(super) fn changed_fields(old: &Calendar, new: &Calendar) -> Vec<Change> {
    changes(Some(&old.spec), Some(&new.spec))
}

/// Deletes a calendar that no schedule uses.
///
/// # Errors
/// As [`update`]; [`Error::Conflict`] with the names of the schedules that use the calendar.
pub async fn delete(app: &App, actor: &Actor, id: &CalendarId, rev: Option<i64>) -> Result<()> {
    actor.require(Permission::Administer)?;
    let old = stored(app, id, rev).await?;
    let mut tx = app.db.begin().await?;
    delete_in(&mut tx, app, actor, &old).await?;
    tx.commit().await?;
    app.rules_changed(Live::Schedules);
    Ok(())
}

/// Deletes a calendar that no schedule uses.
pub(super) async fn delete_in(tx: &mut Tx, app: &App, actor: &Actor, old: &Calendar) -> Result<()> {
    require_unused(&db::calendars::users(&mut *tx, &old.id).await?)?;
    if !db::calendars::delete(tx, &old.id, old.rev).await? {
        return Err(stale(tx, &old.id).await?);
    }
    record(tx, app, actor, "calendar.delete", old, changes(Some(&old.spec), None)).await
}

/// Checks that a calendar may be deleted and returns the calendar.
///
/// # Errors
/// [`Error::Conflict`] with the names of the schedules that use the calendar; [`Error::NotFound`];
/// [`Error::Forbidden`].
pub async fn deletable(app: &App, actor: &Actor, id: &CalendarId) -> Result<Calendar> {
    actor.require(Permission::Administer)?;
    let calendar = get(app, actor, id).await?;
    require_unused(&db::calendars::users(&app.db, id).await?)?;
    Ok(calendar)
}

fn require_unused(users: &[(ScheduleId, String)]) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = users.iter().take(NAMED).map(|(_, name)| format!("“{name}”")).collect();
    let more = match users.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (noun, them) = if users.len() == 1 { ("a schedule goes", "it") } else { ("schedules go", "them") };
    Err(Error::conflict(
        "calendar_in_use",
        format!("{noun} by this calendar: {}{more}; take the calendar off {them} first", names.join(", ")),
    ))
}

/// Checks a draft on the thread pool for blocking work, as [`expand`] does.
async fn checked(app: &App, draft: &CalendarDraft) -> Result<CalendarSpec> {
    let (draft, today) = (draft.clone(), today(app));
    let checked = tokio::task::spawn_blocking(move || draft.check(today)).await;
    checked.map_err(Error::internal)?.map_err(|faults| {
        Error::Invalid(faults.into_iter().map(|fault| FieldError::new(fault.field, fault.message)).collect())
    })
}

fn name_taken(error: DbError) -> Error {
    if error.is_duplicate() {
        Error::field("name", "another calendar is called so; choose another name")
    } else {
        error.into()
    }
}

fn not_found(id: &CalendarId) -> Error {
    Error::not_found("calendar", id.as_str())
}

async fn stored(app: &App, id: &CalendarId, rev: Option<i64>) -> Result<Calendar> {
    let calendar = db::calendars::get(&app.db, id).await?.ok_or_else(|| not_found(id))?;
    match rev {
        Some(rev) if rev != calendar.rev => Err(Error::Stale { current_rev: calendar.rev }),
        _ => Ok(calendar),
    }
}

/// The error of an update or deletion whose revision did not match.
async fn stale(tx: &mut Tx, id: &CalendarId) -> Result<Error> {
    Ok(match db::calendars::get(tx, id).await? {
        Some(calendar) => Error::Stale { current_rev: calendar.rev },
        None => not_found(id),
    })
}

/// Sets the next due instant of the schedules that use a calendar. Schedules that are already due are left to the
/// scheduler.
async fn reschedule(tx: &mut Tx, app: &App, calendar: &Calendar, book: &RuleBook) -> Result<()> {
    let users = db::calendars::users(&mut *tx, &calendar.id).await?;
    let now = app.clock.now();
    for (id, _) in users {
        let Some(schedule) = db::schedules::get_in(tx, &id).await?.filter(|schedule| schedule.spec.enabled)
        else {
            continue;
        };
        let skip = schedule.skip_at.filter(|_| schedule.is_window());
        let next = book.next_after(&schedule.spec, skip, now).filter(|_| book.uses(schedule.source));
        db::calendars::set_next_due(tx, &id, next, now).await?;
    }
    Ok(())
}

async fn record(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    event: &str,
    calendar: &Calendar,
    changes: Vec<Change>,
) -> Result<()> {
    let row = Audit::new(app, actor, event);
    let row = row.object("calendar", Some(calendar.id.as_str()), &calendar.spec.name);
    row.changes(changes).store(tx).await
}

/// The fields that differ.
fn changes(old: Option<&CalendarSpec>, new: Option<&CalendarSpec>) -> Vec<Change> {
    let (old, new) = (old.map(fields).unwrap_or_default(), new.map(fields).unwrap_or_default());
    let fields =
        FIELDS.into_iter().zip(old.into_iter().zip(new)).map(|(field, (old, new))| (field, old, new));
    let changes = Change::between(fields).into_iter();
    changes.map(|one| Change { old: one.old.map(shortened), new: one.new.map(shortened), ..one }).collect()
}

const FIELDS: [&str; 5] = ["name", "dates", "ranges", "yearly", "ics"];

/// The values of [`FIELDS`]; empty ones are `None`.
fn fields(spec: &CalendarSpec) -> [Option<String>; FIELDS.len()] {
    let list = |items: Vec<String>| (!items.is_empty()).then(|| items.join(", "));
    [
        Some(spec.name.clone()),
        list(spec.dates.iter().map(ToString::to_string).collect()),
        list(spec.ranges.iter().map(|(first, last)| format!("{first} to {last}")).collect()),
        list(spec.yearly.iter().map(|day| yearly_text(*day)).collect()),
        // A file is recorded by its size and digest.
        spec.ics.as_ref().map(|text| format!("{} bytes, SHA-256 {}", text.len(), digest(text))),
    ]
}

/// The first 16 hex digits of the SHA-256.
fn digest(text: &str) -> String {
    hex(&Sha256::digest(text)[..8])
}

/// Cuts a long list to [`AUDITED`] and appends the number of entries left out.
fn shortened(text: String) -> String {
    if text.len() <= AUDITED {
        return text;
    }
    let kept: String = text.chars().take(AUDITED).collect();
    let kept = kept.rsplit_once(", ").map_or(&*kept, |(kept, _)| kept);
    let left = text.get(kept.len()..).map_or(0, |rest| rest.matches(", ").count());
    format!("{kept} and {left} more")
}
