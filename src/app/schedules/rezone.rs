//! Recomputes the stored next instants of schedules. They depend on the default zone and on the zone database, which
//! may both differ at the next start of the process.

use jiff::Timestamp;

use super::change::{record, touch};
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Result};
use crate::db::schedules::ScheduleSelection;
use crate::db::{self, Tx};
use crate::domain::schedule::Schedule;

/// The settings key for the zone and database version from which the stored instants were computed.
const KEY: &str = "due_basis";

/// Recomputes the next instants of schedules, where the default zone, the zone database or the use of labels has
/// changed since they were stored. `tzdb` is the version of the database. Returns the number of schedules whose next
/// instant changed.
///
/// # Errors
/// Where the database cannot be read or written: nothing has changed then.
pub async fn rezone(app: &App, tzdb: &str) -> Result<usize> {
    let book = RuleBook::load(app).await?;
    let basis = basis(&book, tzdb);
    let stored = db::settings::get(&app.db, KEY).await?;
    if stored.as_deref() == Some(&basis) {
        return Ok(0);
    }
    let schedules = switched_on(app).await?;
    let mut tx = app.db.begin().await?;
    let moved = time_anew(&mut tx, app, &Actor::scheduler(), schedules, &book, tzdb).await?;
    tx.commit().await?;
    if let Some(stored) = stored {
        tracing::info!(
            was = stored,
            is = basis,
            schedules = moved,
            "schedules were timed by another zone or database"
        );
    }
    Ok(moved)
}

/// The enabled schedules, which have a next instant.
pub(crate) async fn switched_on(app: &App) -> Result<Vec<Schedule>> {
    let all = ScheduleSelection { enabled: Some(true), limit: i64::MAX, ..ScheduleSelection::default() };
    Ok(db::schedules::list(&app.db, &all).await?)
}

/// Stores the next instant by `book` of the schedules for which it changes; returns their number.
pub(crate) async fn time_anew(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    schedules: Vec<Schedule>,
    book: &RuleBook,
    tzdb: &str,
) -> Result<usize> {
    let now = app.clock.now();
    let mut moved = 0;
    for old in schedules {
        let Some(new) = anew(&old, book, now) else { continue };
        if db::schedules::update(tx, &new, old.rev).await? {
            record(tx, app, actor, "schedule.rezone", &new, Vec::new()).await?;
            moved += 1;
        }
    }
    db::settings::put(tx, KEY, &basis(book, tzdb), now).await?;
    Ok(moved)
}

fn basis(book: &RuleBook, tzdb: &str) -> String {
    // With schedules of labels alone, the others have no next instant.
    let labels = if book.unused.is_some() { ", labels only" } else { "" };
    format!("{}, tzdb {tzdb}{labels}", book.zone.name)
}

/// The schedule with its new next instant, or `None` where the stored one is right. A changed schedule begins anew:
/// instants before now never fire (semantics §1). An instant that is due already and is right by the new times too
/// stays for the scheduler.
fn anew(old: &Schedule, book: &RuleBook, now: Timestamp) -> Option<Schedule> {
    let mut new = old.clone();
    touch(&mut new, book, now);
    let is_right = match old.next_due.filter(|due| *due <= now) {
        Some(_) if !book.uses(old.source) => false,
        // An overdue instant that the new times contain as well is caught up like any other.
        Some(due) => {
            let before = due.checked_sub(std::time::Duration::from_millis(1)).unwrap_or(due);
            let skip = old.skip_at.filter(|_| old.is_window());
            book.next_after(&old.spec, skip, before) == Some(due)
        }
        None => new.next_due == old.next_due && new.skip_at == old.skip_at,
    };
    (!is_right).then_some(new)
}
