//! Backup and restore of the SQLite database, by command only.
//!
//! A restore never replays: runs that were open in the copy end, and no instant before the restore fires.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{App, zone};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::engine::{FileLock, backup};
use crate::db::schedules::ScheduleSelection;
use crate::db::{self, Db, DbError, Result};
use crate::domain::cron::Cron;
use crate::domain::ids::ScheduleId;
use crate::domain::schedule::When;
use crate::domain::time;
use crate::files;

/// The settings key of the instant of the last backup.
const LAST: &str = "last_backup";

/// Copies the database to `target`, also while DockNap serves from it, and notes in it when.
///
/// # Errors
/// [`DbError::Unusable`] with what to do.
pub async fn copy(config: &Config, clock: &Clock, target: &Path) -> Result<()> {
    let Some(file) = config.database_file() else {
        return Err(on_a_server("pg_dump"));
    };
    let now = clock.now();
    backup::copy(&file, target).await?;
    backup::note(&file, LAST, now).await
}

/// When the last backup was made; `None` where none was, and with a server, whose backups are not seen.
pub async fn last(app: &App) -> super::Result<Option<Timestamp>> {
    let stored = db::settings::get(&app.db, LAST).await?;
    Ok(stored.and_then(|text| text.parse().ok()))
}

/// Puts the copy `source` in the place of the database. The older database is kept beside it, with `.before-restore`
/// after its name.
///
/// # Errors
/// [`DbError::Unusable`] with what to do: while DockNap runs, where the copy is damaged, or comes from a newer version.
pub async fn restore(config: &Config, clock: &Clock, source: &Path) -> Result<()> {
    let Some(file) = config.database_file() else {
        return Err(on_a_server("pg_restore"));
    };
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)
            .map_err(|error| DbError::Unusable(files::words(directory, &error)))?;
    }
    let Some(lock) = FileLock::take(&file)? else {
        return Err(DbError::Unusable("DockNap is running on this database; stop it first".to_owned()));
    };
    // Where the name is a link, what it leads to is replaced.
    let restored = restore_to(lock.path(), config, clock, source).await;
    if restored.is_err() {
        backup::remove_empty(lock.path())?;
    }
    restored
}

async fn restore_to(file: &Path, config: &Config, clock: &Clock, source: &Path) -> Result<()> {
    let (db, staged) = backup::stage(source, file).await?;
    let now = clock.now();
    let coming = coming(&db, config, now).await?;
    let mut tx = db.begin().await?;
    backup::forget_past(&mut tx, now).await?;
    for (id, next) in &coming {
        backup::set_next_due(&mut tx, id, *next).await?;
    }
    tx.commit().await?;
    db.close().await;
    backup::replace(&staged, file)
}

/// When each schedule that is on fires next after `now`.
async fn coming(db: &Db, config: &Config, now: Timestamp) -> Result<Vec<(ScheduleId, Option<Timestamp>)>> {
    let stored = db::settings::get(db, zone::KEY).await?;
    let default = [config.timezone.as_deref(), stored.as_deref()]
        .into_iter()
        .flatten()
        .find_map(|name| time::zone(name).ok())
        .unwrap_or(TimeZone::UTC);
    let wanted = ScheduleSelection { enabled: Some(true), limit: i64::MAX, ..ScheduleSelection::default() };
    let schedules = db::schedules::list(db, &wanted).await?;
    Ok(schedules
        .into_iter()
        .map(|schedule| {
            let zone = schedule.spec.timezone.as_deref().and_then(|name| time::zone(name).ok());
            let next = match &schedule.spec.when {
                When::Once(at) => Some(*at).filter(|at| *at > now),
                // Due at once: what is wanted then is worked out anew.
                When::Window(_) => Some(now),
                When::Cron(text) => {
                    Cron::parse(text).ok().and_then(|cron| cron.next(now, zone.as_ref().unwrap_or(&default)))
                }
            };
            (schedule.id, next)
        })
        .collect())
}

fn on_a_server(tool: &str) -> DbError {
    DbError::Unusable(format!("the database is a PostgreSQL server; use its {tool}"))
}
