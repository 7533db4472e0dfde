//! Expansion of calendars into concrete dates. [`Dates`] is cached in the rule book; `expand` computes one calendar,
//! `expand_all` all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{App, Error, Result};
use crate::db;
use crate::domain::calendar::{Calendar, CalendarDates, CalendarDays, LeftOut};
use crate::domain::ids::CalendarId;

/// The expanded dates of one calendar.
#[derive(Clone, Debug)]
pub struct Dates {
    pub id: CalendarId,
    pub name: String,
    /// The calendar's revision that the dates belong to.
    pub(super) rev: i64,
    pub days: Arc<CalendarDays>,
    /// Names of dates in the calendar's ICS file.
    pub names: Arc<BTreeMap<Date, String>>,
    /// Entries of the ICS file that are ignored.
    pub left: Arc<LeftOut>,
}

/// Computes the dates of a calendar from `month` on. The work runs on the thread pool for blocking work, because the
/// ICS file may be 1 MiB long.
pub(super) async fn expand(calendar: Calendar, month: Date) -> Result<Dates> {
    let worked = tokio::task::spawn_blocking(move || {
        let CalendarDates { days, names, left } = calendar.spec.expand(month);
        Dates {
            id: calendar.id,
            name: calendar.spec.name,
            rev: calendar.rev,
            days: Arc::new(days),
            names: Arc::new(names),
            left: Arc::new(left),
        }
    });
    worked.await.map_err(Error::internal)
}

/// Today's date in UTC: the time zone makes no difference to the range of dates computed here.
pub(super) fn today(app: &App) -> Date {
    app.clock.now().to_zoned(TimeZone::UTC).date()
}

/// The dates of every calendar from `month` on, ordered by name. Entries of `known` with an unchanged revision are
/// reused.
pub(super) async fn expand_all(app: &App, month: Date, known: &[Dates]) -> Result<Vec<Dates>> {
    let mut all = Vec::new();
    for (id, _, rev) in db::calendars::revisions(&app.db).await? {
        if let Some(known) = known.iter().find(|known| known.id == id && known.rev == rev) {
            all.push(known.clone());
        } else if let Some(calendar) = db::calendars::get(&app.db, &id).await? {
            all.push(expand(calendar, month).await?);
        }
    }
    Ok(all)
}
