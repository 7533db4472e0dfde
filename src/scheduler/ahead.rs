//! What is due next, read a moment before it is: at its instant only the claim is left.

use std::time::Duration;

use jiff::Timestamp;

use super::BATCH;
use crate::app::{App, Result};
use crate::db::{self, Db};
use crate::domain::schedule::Schedule;

/// How long before an instant its schedules are read.
pub const EARLY: Duration = Duration::from_millis(200);

/// Schedules that will be due, as long as nothing is written. On SQLite nobody else writes (see [`crate::app::Kept`]).
#[derive(Debug)]
pub struct Ahead {
    /// Writes to the database before they were read.
    writes: u64,
    /// The last instant of which all are here.
    until: Timestamp,
    /// The first [`BATCH`] of them, as [`db::schedules::due`] sorts them.
    rows: Vec<Schedule>,
}

impl Ahead {
    /// Reads what will be due at `next`, and a little later: nobody wakes at the very millisecond. `None` on
    /// PostgreSQL, where others may write.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn read(app: &App, next: Timestamp) -> Result<Option<Self>> {
        if matches!(app.db, Db::Pg(_)) {
            return Ok(None);
        }
        let writes = db::writes();
        let until = next.checked_add(EARLY).unwrap_or(Timestamp::MAX);
        let rows = db::schedules::due(&app.db, &until, BATCH).await?;
        Ok(Some(Self { writes, until, rows }))
    }

    /// What [`db::schedules::due`] would read at `now`; `None` where that is not known any more.
    pub fn due(self, now: Timestamp) -> Option<Vec<Schedule>> {
        if db::writes() != self.writes || now > self.until {
            return None;
        }
        let is_due = |schedule: &Schedule| schedule.next_due.is_some_and(|due| due <= now);
        Some(self.rows.into_iter().filter(is_due).collect())
    }
}
