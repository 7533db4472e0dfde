//! Backup and restore. A backup is an SQLite file, whatever the database is, and either database can be restored from
//! it.
//!
//! A restore never repeats past work: runs that were open in the copy are closed, and no schedule fires for an instant
//! before the restore.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::ExposeSecret as _;

use super::audit::Audit;
use super::{Actor, App, auth, zone};
use crate::clock::Clock;
use crate::config::{Config, Labels};
use crate::db::engine::{FileLock, backup};
use crate::db::schedules::ScheduleSelection;
use crate::db::{self, Db, DbError, Result};
use crate::domain::fires::Fires;
use crate::domain::host::HostTls;
use crate::domain::ids::ScheduleId;
use crate::domain::schedule::{Source, When};
use crate::domain::time;
use crate::files;

pub mod copies;
pub mod upload;

/// Copies the database to `target`, also while DockNap is running, and stores the instant of the backup in the
/// original.
///
/// # Errors
/// [`DbError::Unusable`] with the cause and what to do.
pub async fn copy(config: &Config, clock: &Clock, target: &Path) -> Result<()> {
    let now = clock.now();
    match config.database_file() {
        Some(file) => {
            backup::copy(&file, target).await?;
            backup::note(&file, db::settings::LAST_BACKUP, now).await
        }
        None => {
            let url = server(config)?;
            backup::copy_server(url, target).await?;
            backup::note_server(url, db::settings::LAST_BACKUP, now).await
        }
    }
}

/// Instant of the last backup that DockNap made; `None` where it made none.
pub async fn last(app: &App) -> super::Result<Option<Timestamp>> {
    Ok(db::settings::last_backup(&app.db).await?)
}

/// Replaces the database by the copy `source`. A previous SQLite database is kept beside the new one, with
/// `.before-restore` appended to its file name. On a PostgreSQL server all rows are replaced in one transaction.
///
/// # Errors
/// [`DbError::Unusable`] with the cause and what to do: DockNap is running, or the copy is damaged or comes from a
/// newer version.
pub async fn restore(config: &Config, clock: &Clock, source: &Path) -> Result<()> {
    let Some(file) = config.database_file() else {
        return restore_server(config, clock, source).await;
    };
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)
            .map_err(|error| DbError::Unusable(files::words(directory, &error)))?;
    }
    let Some(lock) = FileLock::take(&file)? else {
        return Err(DbError::Unusable("DockNap is running on this database; stop it first".to_owned()));
    };
    // The lock's path is the target of a symbolic link, so that the link itself stays.
    let restored = restore_to(lock.path(), config, clock, source).await;
    if restored.is_err() {
        backup::remove_empty(lock.path())?;
    }
    restored
}

async fn restore_to(file: &Path, config: &Config, clock: &Clock, source: &Path) -> Result<()> {
    let staged = prepare(file, config, clock, source).await?;
    if let Err(error) = backup::promise(&staged, file) {
        backup::discard(&staged)?;
        return Err(error);
    }
    // Before the replacement: after a power cut the next start would restore the uploaded file once more, and the
    // kept database would be lost.
    if let Err(error) = upload::forget_accepted(file) {
        backup::withdraw(file)?;
        return Err(error);
    }
    backup::replace(file)
}

async fn restore_server(config: &Config, clock: &Clock, source: &Path) -> Result<()> {
    let url = server(config)?;
    // Before the database is migrated, which could harm an older DockNap that runs on it.
    backup::refuse_running(url).await?;
    let directory = &config.data_dir;
    std::fs::create_dir_all(directory).map_err(|error| DbError::Unusable(files::words(directory, &error)))?;
    let staged = prepare(&directory.join("docknap-server.db"), config, clock, source).await?;
    let replaced = async {
        Db::open_server(url, None).await?.close().await;
        backup::replace_server(&staged, url).await
    };
    let replaced = replaced.await;
    backup::discard(&staged)?;
    replaced
}

/// Makes a checked and migrated copy of `source` beside `file` in which nothing is in progress. Returns its path.
async fn prepare(file: &Path, config: &Config, clock: &Clock, source: &Path) -> Result<PathBuf> {
    let (db, staged) = backup::stage(source, file).await?;
    let prepared = forget_past(&db, config, clock).await;
    db.close().await;
    if let Err(error) = prepared {
        backup::discard(&staged)?;
        return Err(error);
    }
    Ok(staged)
}

async fn forget_past(db: &Db, config: &Config, clock: &Clock) -> Result<()> {
    if let Err(reason) = unsealable(db, config).await? {
        return Err(DbError::Unusable(reason));
    }
    let now = clock.now();
    let next_fires = next_fires(db, config, now).await?;
    let mut tx = db.begin().await?;
    backup::forget_past(&mut tx, now).await?;
    for (id, next) in &next_fires {
        backup::set_next_due(&mut tx, id, *next).await?;
    }
    tx.commit().await
}

/// Whether the secret key here opens the private keys in the copy; otherwise the reason and what to do.
async fn unsealable(db: &Db, config: &Config) -> Result<std::result::Result<(), String>> {
    let hosts = db::hosts::all(db).await?;
    let sealed: Vec<&str> = hosts
        .iter()
        .filter_map(|host| match &host.spec.tls {
            Some(HostTls::Texts { sealed_key, .. }) => sealed_key.as_deref(),
            Some(HostTls::Files { .. }) | None => None,
        })
        .collect();
    if sealed.is_empty() {
        return Ok(Ok(()));
    }
    let hint = "put the secret.key of the DockNap that made the copy into the data directory first, or set \
                DOCKNAP_SECRET_KEY to it";
    Ok(match auth::opens(config, &sealed) {
        Ok(Some(true)) => Ok(()),
        Ok(Some(false)) => Err(format!(
            "the copy holds private keys of hosts that are sealed with another secret key than the one here; {hint}"
        )),
        Ok(None) => Err(format!(
            "the copy holds private keys of hosts, and there is no secret key to open them; {hint}"
        )),
        Err(error) => Err(error.to_string()),
    })
}

/// The next instant after `now` of each enabled schedule.
async fn next_fires(
    db: &Db,
    config: &Config,
    now: Timestamp,
) -> Result<Vec<(ScheduleId, Option<Timestamp>)>> {
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
            let spec = &schedule.spec;
            let zone = spec.timezone.as_deref().and_then(|name| time::zone(name).ok());
            let is_unused = config.labels == Labels::Only && schedule.source != Source::Label;
            let next = match &spec.when {
                _ if is_unused => None,
                // A window is due at once, so that the scheduler computes its current state.
                When::Window(_) => Some(now),
                When::Cron(_) | When::Once(_) => {
                    // A date that the calendar takes away is found when its fire is due.
                    let reading = spec.reading(zone.unwrap_or_else(|| default.clone()), None);
                    Fires::of(&spec.when, &reading, None).and_then(|fires| fires.next(now))
                }
            };
            (schedule.id, next)
        })
        .collect())
}

/// The URL of the PostgreSQL server.
fn server(config: &Config) -> Result<&str> {
    match &config.database_url {
        Some(url) => Ok(url.expose_secret()),
        None => Err(DbError::Unusable("no database server is set".to_owned())),
    }
}

/// The path of a copy made for one download.
fn download_path(config: &Config) -> PathBuf {
    config.data_dir.join("docknap-download.db")
}

async fn store(app: &App, actor: &Actor, event: &str, name: &str) -> super::Result<()> {
    let mut tx = app.db.begin().await?;
    Audit::new(app, actor, event).object("backup", Some(name), name).store(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// The error of a copy for the person who asked for it.
fn failed(error: DbError) -> super::Error {
    match error {
        DbError::Unusable(message) => super::Error::conflict("backup_failed", message),
        other => other.into(),
    }
}
