//! The dates of calendars, worked out from what they say.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{App, Error, Result};
use crate::db;
use crate::domain::calendar::{Calendar, CalendarDates, CalendarDays, LeftOut};
use crate::domain::ids::CalendarId;

/// The dates of one calendar.
#[derive(Clone, Debug)]
pub struct Dates {
    pub id: CalendarId,
    /// The calendar's name.
    pub name: String,
    /// The revision they belong to.
    pub(super) rev: i64,
    /// All of them.
    pub days: Arc<CalendarDays>,
    /// What its file calls some of them.
    pub names: Arc<BTreeMap<Date, String>>,
    /// What of its file does not count.
    pub left: Arc<LeftOut>,
}

/// Reads a calendar's dates beside the requests: its file may hold 1 MiB.
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

/// Today in UTC: dates that far ahead or back do not hang on a zone.
pub(super) fn today(app: &App) -> Date {
    app.clock.now().to_zoned(TimeZone::UTC).date()
}

/// The dates of every calendar from `month` on, by name. Those of `known` that have not changed are taken over.
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
