//! What the database says, read once and kept as long as nothing is written.
//!
//! On SQLite this process is the only one that writes (a lock on the file sees to that), and every write counts once it
//! has happened, whoever still waits for it: what is kept can never be stale. A PostgreSQL database may have other
//! writers, so there it is read each time.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{App, Result};
use crate::db::{self, Db};

/// What was read last.
#[derive(Debug)]
pub struct Kept<T> {
    last: Mutex<Option<(Mark, Arc<T>)>>,
    /// Whoever reads it.
    reading: tokio::sync::Mutex<()>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { last: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }
}

impl<T> Kept<T> {
    /// What `read` says, or said since the last write.
    pub(super) async fn get(&self, app: &App, read: impl AsyncFnOnce() -> Result<T>) -> Result<Arc<T>> {
        self.get_where(app, |_| true, read).await
    }

    /// As [`Kept::get`], where not all ask for the same: what was read last is told where it `answers`.
    pub(super) async fn get_where(
        &self,
        app: &App,
        answers: impl Fn(&T) -> bool,
        read: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        if matches!(app.db, Db::Pg(_)) {
            return Ok(Arc::new(read().await?));
        }
        // Where something was written, every page that is open asks: one reads for all of them. What was read since
        // this one asked is right for it, whatever was written meanwhile.
        let asked = Mark::now(app);
        let known = || self.since(&asked).filter(|kept| answers(kept));
        if let Some(kept) = known() {
            return Ok(kept);
        }
        let _turn = self.reading.lock().await;
        if let Some(kept) = known() {
            return Ok(kept);
        }
        // Before the reading: what is written meanwhile counts after it.
        let mark = Mark::now(app);
        let new = Arc::new(read().await?);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((mark, Arc::clone(&new)));
        Ok(new)
    }

    /// What was read last, where it is still right.
    pub(super) fn at_hand(&self, app: &App) -> Option<Arc<T>> {
        self.since(&Mark::now(app))
    }

    /// What was read last, where nothing was written before that and after `mark`.
    fn since(&self, mark: &Mark) -> Option<Arc<T>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(read, _)| read.is_since(mark)).map(|(_, kept)| Arc::clone(kept))
    }
}

/// What must be the same for what was read to be right still, or newer.
#[derive(Clone, Debug)]
struct Mark {
    /// Writes to the database so far.
    writes: u64,
    /// What tells of times to come may go by it: the dates of calendars are expanded by the day.
    day: Date,
    /// Hosts: of each one that comes something may be read.
    hosts: usize,
}

impl Mark {
    fn now(app: &App) -> Self {
        let day = app.clock.now().to_zoned(TimeZone::UTC).date();
        Self { writes: db::writes(), day, hosts: app.hosts.all().len() }
    }

    /// Whether what was read at this mark is right for who asked at the other.
    fn is_since(&self, asked: &Self) -> bool {
        self.writes >= asked.writes && self.day == asked.day && self.hosts == asked.hosts
    }
}
