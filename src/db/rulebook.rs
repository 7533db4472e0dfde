//! Version counters of the tables from which `app::rulebook` is built. Only the triggers of [`super::engine`] write
//! them.

use super::query::sql;
use super::{Db, Result};

/// A snapshot of the counters. Equal snapshots mean that no table was changed in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Counts the writes to schedules, overrides, calendars and settings.
    pub rules: i64,
    pub naps: i64,
}

/// The current versions. Data that is read after this call is as new or newer.
pub async fn versions(db: &Db) -> Result<Versions> {
    let (rules, naps): (i64, i64) = sql!("SELECT rules, naps FROM rulebook WHERE id = 1").one(db).await?;
    Ok(Versions { rules, naps })
}
