//! Copies of the database in a directory: one a day, and one whenever an admin asks. The names tell the time, and the
//! oldest copies are removed after a new one is complete.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

use super::upload::Preview;
use super::{download_path, failed, store};
use crate::app::audit::Audit;
use crate::app::{Actor, App, Error, Live, Result, auth, zone};
use crate::config::Config;
use crate::db::{self, DbError};
use crate::domain::audit::Change;
use crate::domain::permission::Permission;
use crate::domain::text::chain;
use crate::files;

/// The names of the copies, by their time in UTC.
const NAME: &str = "docknap-%Y%m%d-%H%M%S.db";
/// Settings key of the hour of the daily copy, in the default time zone.
const HOUR: &str = "backup_hour";
/// The hour of the daily copy where none is chosen.
const DEFAULT_HOUR: i8 = 3;
/// Time between two looks at whether a copy is due.
const LOOK: Duration = Duration::from_secs(15 * 60);
/// Time after which a failed daily copy is made again.
const RETRY: Duration = Duration::from_secs(3600);
/// The maximum age of a good backup; a week is enough, since the stored data changes rarely.
pub const OLD: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the process knows about its copies.
#[derive(Debug, Default)]
pub struct Noted {
    /// Held while a copy is made: two at once would need twice the disk.
    pub(super) turn: tokio::sync::Mutex<()>,
    failure: Mutex<Option<Failure>>,
    /// Held while a file is uploaded: two would use the same name.
    pub(super) uploading: Arc<tokio::sync::Mutex<()>>,
    /// The comparison of an uploaded file with the database.
    pub(super) preview: Mutex<Option<Preview>>,
}

/// Why the latest copy failed. The next good copy clears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub at: Timestamp,
    /// A sentence without a full stop, with what to do.
    pub message: String,
}

/// A copy in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFile {
    /// The name of the file.
    pub name: String,
    pub at: Timestamp,
    pub bytes: u64,
}

/// All facts about backups.
#[derive(Clone, Debug)]
pub struct State {
    /// The latest backup, by whatever way.
    pub last: Option<Timestamp>,
    /// The copies in the directory, newest first.
    pub copies: Vec<BackupFile>,
    /// The directory of the copies.
    pub directory: String,
    /// The number of copies that are kept; 0 = no daily copies.
    pub keep: u32,
    /// The hour of the daily copy.
    pub hour: i8,
    /// When the next daily copy is due; `None` if they are off or there is no account yet.
    pub next: Option<Timestamp>,
    pub failure: Option<Failure>,
}

impl State {
    /// Whether the latest backup is old although daily copies are on.
    pub fn is_old(&self, now: Timestamp) -> bool {
        self.keep > 0 && self.last.is_some_and(|last| now > last + OLD)
    }
}

/// The directory of the copies.
pub fn directory(config: &Config) -> PathBuf {
    config.backup_dir.clone().unwrap_or_else(|| config.data_dir.join("backups"))
}

/// The name of a copy made at `at`.
fn name_at(at: Timestamp) -> String {
    at.strftime(NAME).to_string()
}

/// The time of the copy of this name; `None` if it is no name of a copy.
fn time_of(name: &str) -> Option<Timestamp> {
    let at = DateTime::strptime(NAME, name).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    // Only the exact form counts: a name becomes part of a path.
    (name_at(at) == name).then_some(at)
}

/// The copies, newest first. A directory that does not exist has none.
fn list(directory: &Path) -> io::Result<Vec<BackupFile>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut copies = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (Some(at), Ok(metadata)) = (time_of(&name), entry.metadata()) else { continue };
        if metadata.is_file() {
            copies.push(BackupFile { name, at, bytes: metadata.len() });
        }
    }
    copies.sort_by(|one, other| other.name.cmp(&one.name));
    Ok(copies)
}

/// All facts about backups.
///
/// # Errors
/// [`Error::Forbidden`] without [`Permission::Administer`].
pub async fn state(app: &App, actor: &Actor) -> Result<State> {
    actor.require(Permission::Administer)?;
    let directory = directory(&app.config);
    let (copies, unreadable) = match list(&directory) {
        Ok(copies) => (copies, None),
        Err(error) => {
            let message = files::words(&directory, &error);
            (Vec::new(), Some(Failure { at: app.clock.now(), message }))
        }
    };
    let failure = app.vitals.backups.failure.lock().clone();
    Ok(State {
        last: super::last(app).await?,
        copies,
        directory: directory.display().to_string(),
        keep: app.config.backup_keep,
        hour: hour(app).await?,
        next: if app.config.backup_keep > 0 { next(app).await? } else { None },
        failure: unreadable.or(failure),
    })
}

async fn hour(app: &App) -> Result<i8> {
    let stored = db::settings::get(&app.db, HOUR).await?;
    let stored = stored.and_then(|text| text.parse::<i8>().ok()).filter(|hour| (0..24).contains(hour));
    Ok(stored.unwrap_or(DEFAULT_HOUR))
}

/// Stores the hour of the daily copy.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] for a text that is no hour.
pub async fn set_hour(app: &App, actor: &Actor, text: &str) -> Result<()> {
    actor.require(Permission::Administer)?;
    let wanted = match text.trim().parse::<i8>() {
        Ok(hour) if (0..24).contains(&hour) => hour,
        _ => return Err(Error::field("hour", "use an hour from 0 to 23")),
    };
    let old = hour(app).await?;
    if old == wanted {
        return Ok(());
    }
    let changes = Change::between([("backup_hour", Some(old.to_string()), Some(wanted.to_string()))]);
    let mut tx = app.db.begin().await?;
    db::settings::put(&mut tx, HOUR, &wanted.to_string(), app.clock.now()).await?;
    let row = Audit::new(app, actor, "settings.update").object("settings", None, "daily backup");
    row.changes(changes).store(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// When the next daily copy is due; an instant in the past if it is overdue. The first one is due at the first chosen
/// hour after the first account was made; `None` before that.
async fn next(app: &App) -> Result<Option<Timestamp>> {
    let now = app.clock.now();
    // A copy or a failure of the future is from a time when the clock was wrong; it must not delay the copies.
    let copies = list(&directory(&app.config)).unwrap_or_default();
    let newest = copies.into_iter().map(|copy| copy.at).find(|at| *at <= now);
    let Some(since) = newest.max(db::users::first_created(&app.db).await?) else { return Ok(None) };
    let due = after(since, hour(app).await?, &zone::default_zone(app).await?.zone);
    let failed = app.vitals.backups.failure.lock().as_ref().map(|failure| failure.at);
    let failed = failed.filter(|at| *at <= now).map(|at| at + RETRY);
    Ok(due.max(failed))
}

/// The first time after `since` at which the hour begins in this zone.
fn after(since: Timestamp, hour: i8, zone: &TimeZone) -> Option<Timestamp> {
    let mut date = since.to_zoned(zone.clone()).date();
    loop {
        let at = date.at(hour, 0, 0, 0).to_zoned(zone.clone()).ok()?.timestamp();
        if at > since {
            return Some(at);
        }
        date = date.tomorrow().ok()?;
    }
}

/// Makes the daily copies until `stop`.
pub async fn keep(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = tick(&app).await {
            tracing::error!(error = %chain(&error), "whether a backup is due is not known; looking again later");
        }
        tokio::select! {
            () = app.clock.sleep(LOOK) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Makes the daily copy if it is due. A failure is kept for the pages.
///
/// # Errors
/// If it cannot be read whether a copy is due.
pub async fn tick(app: &App) -> Result<()> {
    if app.config.backup_keep == 0 {
        return Ok(());
    }
    if next(app).await?.is_some_and(|due| due <= app.clock.now()) {
        // A failure is logged and kept where it happens.
        let _ = make(app).await;
    }
    Ok(())
}

/// Makes a copy and removes the oldest ones. Notes whether that failed.
async fn make(app: &App) -> db::Result<BackupFile> {
    let made = try_make(app).await;
    let failure = made.as_ref().err().map(|error| {
        let message = error.words();
        tracing::error!("the backup failed: {message}");
        Failure { at: app.clock.now(), message }
    });
    let had_failed = std::mem::replace(&mut *app.vitals.backups.failure.lock(), failure).is_some();
    if had_failed || made.is_err() {
        app.bus.send(Live::Needs);
    }
    made
}

async fn try_make(app: &App) -> db::Result<BackupFile> {
    let _turn = app.vitals.backups.turn.lock().await;
    let directory = directory(&app.config);
    let unusable = |error: &io::Error| DbError::Unusable(files::words(&directory, error));
    // Copies hold password hashes, so the directory is for this user only.
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(|error| unusable(&error))?;
    remove_parts(&directory).map_err(|error| unusable(&error))?;
    let at = app.clock.now();
    let name = name_at(at);
    let path = directory.join(&name);
    let copied = super::copy(&app.config, &app.clock, &path).await;
    // Also when only its time could not be stored: otherwise each retry would leave one more.
    if path.is_file() {
        remove_oldest(app, &directory, &name).map_err(|error| unusable(&error))?;
    }
    copied?;
    let bytes = path.metadata().map_err(|error| unusable(&error))?.len();
    tracing::info!(bytes, "the database is copied to {}", path.display());
    Ok(BackupFile { name, at, bytes })
}

/// Removes the oldest copies after the copy `made` is complete.
fn remove_oldest(app: &App, directory: &Path, made: &str) -> io::Result<()> {
    let kept = usize::try_from(app.config.backup_keep).unwrap_or(usize::MAX);
    // None are removed where no daily copies are made. The new copy always stays: a clock that was ahead has left
    // copies that look newer.
    let Some(others) = kept.checked_sub(1) else { return Ok(()) };
    for old in list(directory)?.into_iter().filter(|copy| copy.name != made).skip(others) {
        match std::fs::remove_file(directory.join(&old.name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            // An admin may have deleted it at the same time.
            _ => {}
        }
    }
    Ok(())
}

/// Removes what is left of copies that were cut off.
fn remove_parts(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let is_part = entry
            .file_name()
            .to_str()
            .and_then(|name| name.split_once(".part"))
            .is_some_and(|(name, _)| time_of(name).is_some());
        if is_part {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes a copy in the directory now.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Conflict`] with the cause and what to do.
pub async fn create(app: &App, actor: &Actor) -> Result<BackupFile> {
    actor.require(Permission::Administer)?;
    let copy = make(app).await.map_err(failed)?;
    store(app, actor, "backup.create", &copy.name).await?;
    Ok(copy)
}

/// Deletes a copy.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Conflict`] if the file cannot be removed.
pub async fn delete(app: &App, actor: &Actor, name: &str) -> Result<()> {
    actor.require(Permission::Administer)?;
    let path = path(app, name)?;
    std::fs::remove_file(&path).map_err(|error| missing(name, &path, &error))?;
    store(app, actor, "backup.delete", name).await
}

/// A file to be sent.
#[derive(Debug)]
pub struct Download {
    pub file: File,
    pub name: String,
    pub bytes: u64,
}

/// Opens a copy of the directory.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Conflict`] if the file cannot be read.
pub async fn open(app: &App, actor: &Actor, name: &str) -> Result<Download> {
    actor.require(Permission::Administer)?;
    let path = path(app, name)?;
    let unreadable = |error| missing(name, &path, &error);
    let file = File::open(&path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    store(app, actor, "backup.download", name).await?;
    Ok(Download { file, name: name.to_owned(), bytes })
}

/// Makes a copy for one download. Its file has no name any more when this returns, so nothing is left behind.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Conflict`] with the cause and what to do.
pub async fn download(app: &App, actor: &Actor) -> Result<Download> {
    actor.require(Permission::Administer)?;
    let name = name_at(app.clock.now());
    let path = download_path(&app.config);
    let (file, bytes) = {
        let _turn = app.vitals.backups.turn.lock().await;
        let copied = super::copy(&app.config, &app.clock, &path).await;
        let opened = copied.and_then(|()| {
            let opened = File::open(&path).and_then(|file| file.metadata().map(|data| (file, data.len())));
            opened.map_err(|error| DbError::Unusable(files::words(&path, &error)))
        });
        let _ = std::fs::remove_file(&path);
        opened.map_err(failed)?
    };
    store(app, actor, "backup.download", &name).await?;
    Ok(Download { file, name, bytes })
}

/// Checks the password of the caller again, before something that would hurt in the hands of somebody who found an open
/// browser.
///
/// # Errors
/// [`Error::Invalid`] for `current`; [`Error::TooManyTries`].
pub async fn confirm(app: &App, actor: &Actor, password: &SecretString) -> Result<()> {
    actor.require(Permission::Administer)?;
    if password.expose_secret().is_empty() {
        return Err(Error::field("current", "type your password"));
    }
    let stored = auth::account(app, &actor.user_id()).await?;
    if auth::check_own_password(app, &stored, password).await? {
        return Ok(());
    }
    let mut tx = app.db.begin().await?;
    let row = Audit::new(app, actor, "backup.confirm").object("backup", None, "backup");
    row.outcome("refused").reason("wrong password").store(&mut tx).await?;
    tx.commit().await?;
    Err(Error::field("current", "this is not your password"))
}

/// The path of the copy of this name.
fn path(app: &App, name: &str) -> Result<PathBuf> {
    match time_of(name) {
        Some(_) => Ok(directory(&app.config).join(name)),
        None => Err(Error::not_found("backup", name)),
    }
}

fn missing(name: &str, path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::not_found("backup", name),
        _ => Error::conflict("backup_failed", files::words(path, error)),
    }
}

/// What the first page says about backups; `None` while all is well. Costs a query, so only admins are told.
///
/// # Errors
/// If the time of the latest backup cannot be read.
pub async fn trouble(app: &App, actor: &Actor) -> Result<Option<Trouble>> {
    if app.config.backup_keep == 0 || !actor.role.allows(Permission::Administer) {
        return Ok(None);
    }
    let failure = app.vitals.backups.failure.lock().clone();
    if let Some(failure) = failure {
        return Ok(Some(Trouble::Failed(failure)));
    }
    let last = super::last(app).await?;
    Ok(last.filter(|last| app.clock.now() > *last + OLD).map(Trouble::Old))
}

/// A problem with the backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The latest copy failed.
    Failed(Failure),
    /// The latest backup is old; the value is its time.
    Old(Timestamp),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn only_the_exact_form_is_a_name() {
        let name = "docknap-20270301-120000.db";
        assert_eq!(name_at(at("2027-03-01T12:00:00.7Z")), name);
        assert_eq!(time_of(name), Some(at("2027-03-01T12:00:00Z")));
        for other in [
            "",
            "docknap.db",
            "docknap-20270301-120000.db.part",
            "../docknap-20270301-120000.db",
            "docknap-20270301-120000.db/..",
            "docknap-2027031-120000.db",
            "docknap-+0270301-120000.db",
            "docknap-20271301-120000.db",
            " docknap-20270301-120000.db",
        ] {
            assert_eq!(time_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_copy_is_due_at_the_next_chosen_hour() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let next = |since| after(at(since), 3, &zone);
        assert_eq!(next("2027-01-01T01:59:59Z"), Some(at("2027-01-01T02:00:00Z")));
        assert_eq!(next("2027-01-01T02:00:00Z"), Some(at("2027-01-02T02:00:00Z")));
        // On that day the clocks go forward from 2 to 3.
        assert_eq!(next("2027-03-27T12:00:00Z"), Some(at("2027-03-28T01:00:00Z")));
    }
}
