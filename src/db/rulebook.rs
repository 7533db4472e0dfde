//! How often what decides was changed. Nobody writes here but the triggers of [`super::engine`].

use super::query::sql;
use super::{Db, Result};

/// Two of these that are equal mean that nothing was changed in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Of schedules, overrides, calendars and settings.
    pub rules: i64,
    pub naps: i64,
}

/// The versions now. What is read after it is as new or newer.
pub async fn versions(db: &Db) -> Result<Versions> {
    let (rules, naps): (i64, i64) = sql!("SELECT rules, naps FROM rulebook WHERE id = 1").one(db).await?;
    Ok(Versions { rules, naps })
}
