//! A restore from the page. The file is uploaded beside the database, checked and compared with it; once an admin has
//! accepted it, the next start puts it in the place of the database. A start removes a file that nobody accepted.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::{download_path, failed, restore_to, store, unsealable};
use crate::app::{Actor, App, Error, Result};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::contents;
pub use crate::db::contents::Kind;
use crate::db::engine::{FileLock, backup};
use crate::db::{self, Db, DbError};
use crate::domain::host::HostTls;
use crate::domain::permission::Permission;
use crate::files;

/// The maximum size of an uploaded backup in bytes.
pub const LARGEST: u64 = 2 * 1024 * 1024 * 1024;
/// The bytes that stay free on the disk beside an uploaded file and its copy, so that the database can grow meanwhile.
const RESERVE: u64 = 64 * 1024 * 1024;
/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// An uploaded file, and what is known about it.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// The comparison of an uploaded file that nobody has accepted yet.
    pub preview: Option<Preview>,
    /// Whether the next start restores an accepted file.
    pub accepted: bool,
    /// Why the restore at the last start failed.
    pub failure: Option<String>,
}

/// What a restore of an uploaded file would change.
#[derive(Clone, Debug)]
pub struct Preview {
    /// Identifies the uploaded file: who accepts it means this one, not a later one.
    pub id: String,
    /// When something was last recorded in the file.
    pub until: Option<Timestamp>,
    /// The number of migrations that the file lacks: 0 for a file of this version.
    pub missing_migrations: usize,
    pub differences: Vec<Difference>,
    /// The number of runs here, and in the file.
    pub runs: (i64, i64),
    /// The hosts in the file: name, address, and the files with certificates and keys that have to be there.
    pub hosts: Vec<(String, String, Vec<NeededFile>)>,
    /// Why the private keys in the file could not be opened; such a file cannot be restored.
    pub key_problem: Option<String>,
}

/// A file that a host of the backup needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededFile {
    pub path: String,
    pub is_there: bool,
}

/// How the objects of one kind would change, by name.
#[derive(Clone, Debug)]
pub struct Difference {
    pub kind: Kind,
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

/// The paths of a restore, beside the database.
struct Paths {
    /// An uploaded file.
    uploaded: PathBuf,
    /// A file that the next start restores.
    accepted: PathBuf,
    /// The text of the error of the last start.
    failure: PathBuf,
}

impl Paths {
    fn beside(database: &Path) -> Self {
        let with = |suffix: &str| {
            let mut name = database.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self {
            uploaded: with(".uploaded"),
            accepted: with(".next-restore"),
            failure: with(".restore-failed"),
        }
    }

    fn of(app: &App) -> Self {
        Self::beside(&database(&app.config))
    }
}

/// The database file, with symbolic links resolved; for a server, a name in the data directory.
fn database(config: &Config) -> PathBuf {
    let file = config.database_file().unwrap_or_else(|| config.data_dir.join("docknap-server.db"));
    file.canonicalize().unwrap_or(file)
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::conflict("backup_failed", files::words(path, error))
}

fn busy() -> Error {
    Error::conflict("upload_goes_on", "another file is being uploaded; wait for its end")
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A file that is being uploaded. It is removed unless [`Upload::finish`] succeeds.
#[derive(Debug)]
pub struct Upload {
    file: File,
    path: PathBuf,
    bytes: u64,
    /// The maximum of `bytes`.
    limit: u64,
    /// The free bytes of the disk when the upload began.
    room: u64,
    is_complete: bool,
    /// Keeps other uploads from beginning.
    _turn: OwnedMutexGuard<()>,
}

impl Upload {
    /// Begins an upload of at most `limit` bytes, which takes the place of an earlier one.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Conflict`] if the file cannot be made, another one is being uploaded, or one is
    /// accepted already.
    pub fn begin(app: &App, actor: &Actor, limit: u64) -> Result<Self> {
        actor.require(Permission::Administer)?;
        let paths = Paths::of(app);
        let Ok(turn) = Arc::clone(&app.vitals.backups.uploading).try_lock_owned() else {
            return Err(busy());
        };
        if paths.accepted.exists() {
            return Err(Error::conflict(
                "restore_waits",
                "a restore waits for the next start; restart DockNap or discard it first",
            ));
        }
        *app.vitals.backups.preview.lock() = None;
        let path = paths.uploaded;
        // With its log: SQLite would apply that to the new file.
        backup::discard(&path).map_err(failed)?;
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = opened.map_err(|error| unusable(&path, &error))?;
        // Where it cannot be asked, a full disk is found when it is full.
        let room = files::free_bytes(path.parent().unwrap_or(Path::new("/"))).unwrap_or(u64::MAX);
        Ok(Self { file, path, bytes: 0, limit, room, is_complete: false, _turn: turn })
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the file is too large for the limit or for the disk.
    pub fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.bytes = self.bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if self.bytes > self.limit {
            return Err(Error::conflict(
                "too_large",
                "the file is larger than 2 GiB; restore it by command: docknap restore FILE",
            ));
        }
        if !has_room(self.bytes, self.room) {
            return Err(Error::conflict(
                "no_room",
                "the disk of the data directory has no room for this file and the copy that is compared; make room \
                 on it",
            ));
        }
        self.file.write_all(piece).map_err(|error| unusable(&self.path, &error))
    }

    /// Checks the file and compares it with the database.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is no sound backup.
    pub async fn finish(mut self, app: &App, actor: &Actor) -> Result<Preview> {
        let file = self.file.try_clone().map_err(|error| unusable(&self.path, &error))?;
        let synced = tokio::task::spawn_blocking(move || file.sync_all()).await.map_err(Error::internal)?;
        synced.map_err(|error| unusable(&self.path, &error))?;
        let preview = inspect(app, &self.path).await?;
        store(app, actor, "backup.upload", "backup").await?;
        *app.vitals.backups.preview.lock() = Some(preview.clone());
        self.is_complete = true;
        Ok(preview)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_complete {
            let _ = backup::discard(&self.path);
        }
    }
}

/// Whether `room` bytes suffice for an uploaded file of `bytes` and its copy.
fn has_room(bytes: u64, room: u64) -> bool {
    bytes.saturating_mul(2).saturating_add(RESERVE) <= room
}

/// Checks a file, and compares a migrated copy of it with the database.
async fn inspect(app: &App, file: &Path) -> Result<Preview> {
    let mut first = Vec::new();
    let read = File::open(file).and_then(|file| file.take(16).read_to_end(&mut first));
    read.map_err(|error| unusable(file, &error))?;
    if first != MAGIC {
        return Err(Error::conflict("no_backup", "this is no SQLite file; upload a file made by DockNap"));
    }
    // A copy is made beside the database, and so is the one of a download.
    let _turn = app.vitals.backups.turn.lock().await;
    let missing_migrations = backup::missing_migrations(file).await.map_err(failed)?;
    let (other, staged) = backup::stage(file, file).await.map_err(failed)?;
    let compared = compare(app, &other, missing_migrations).await;
    other.close().await;
    backup::discard(&staged).map_err(failed)?;
    compared.map_err(|error| match error {
        DbError::Sqlx(_) | DbError::Damaged { .. } if error.unavailable().is_none() => Error::conflict(
            "no_backup",
            format!("the file holds what DockNap never writes: {}; use another backup", error.words()),
        ),
        other => failed(other),
    })
}

async fn compare(app: &App, other: &Db, missing_migrations: usize) -> db::Result<Preview> {
    let mut differences = Vec::new();
    for kind in Kind::ALL {
        let (here, there) = (contents::of_kind(&app.db, kind).await?, contents::of_kind(other, kind).await?);
        differences.push(difference(kind, here, there));
    }
    let hosts = db::hosts::all(other).await?.into_iter().map(|host| {
        let needed = match host.spec.tls {
            Some(HostTls::Files { ca, identity }) => {
                let files = std::iter::once(ca).chain(identity.into_iter().flat_map(<[PathBuf; 2]>::from));
                files.map(|path| needed(&path)).collect()
            }
            Some(HostTls::Texts { .. }) | None => Vec::new(),
        };
        (host.spec.name, host.spec.endpoint, needed)
    });
    Ok(Preview {
        id: Uuid::now_v7().to_string(),
        until: contents::newest(other).await?,
        missing_migrations,
        differences,
        runs: (contents::runs(&app.db).await?, contents::runs(other).await?),
        hosts: hosts.collect(),
        key_problem: unsealable(other, &app.config).await?.err(),
    })
}

fn needed(path: &Path) -> NeededFile {
    NeededFile { is_there: path.is_file(), path: path.display().to_string() }
}

/// Compares the objects of a kind by id, revision and name.
fn difference(kind: Kind, here: Vec<(String, i64, String)>, there: Vec<(String, i64, String)>) -> Difference {
    let mut here: BTreeMap<String, (i64, String)> =
        here.into_iter().map(|(id, rev, name)| (id, (rev, name))).collect();
    let (mut added, mut changed) = (Vec::new(), Vec::new());
    for (id, rev, name) in there {
        match here.remove(&id) {
            None => added.push(name),
            Some((own_rev, own_name)) if own_rev != rev || own_name != name => changed.push(name),
            Some(_) => {}
        }
    }
    let mut removed: Vec<String> = here.into_values().map(|(_, name)| name).collect();
    for names in [&mut added, &mut changed, &mut removed] {
        names.sort();
    }
    Difference { kind, added, changed, removed }
}

/// The state of a restore from the page.
///
/// # Errors
/// [`Error::Forbidden`].
pub fn waiting(app: &App, actor: &Actor) -> Result<Waiting> {
    actor.require(Permission::Administer)?;
    let paths = Paths::of(app);
    Ok(Waiting {
        preview: app.vitals.backups.preview.lock().clone(),
        accepted: paths.accepted.exists(),
        failure: std::fs::read_to_string(&paths.failure).ok(),
    })
}

/// Accepts the uploaded file whose comparison has this id: the next start restores it.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Conflict`] if there is no such file, another one was uploaded since, its keys cannot
/// be opened, or the database is a server.
pub async fn accept(app: &App, actor: &Actor, id: &str) -> Result<()> {
    actor.require(Permission::Administer)?;
    if app.config.database_file().is_none() {
        return Err(Error::conflict(
            "by_command",
            "the database is a PostgreSQL server; stop DockNap and restore by command: docknap restore FILE",
        ));
    }
    // Until the file has its new name, no other upload may take its place.
    let Ok(_turn) = app.vitals.backups.uploading.try_lock() else { return Err(busy()) };
    let preview = app.vitals.backups.preview.lock().clone();
    let Some(preview) = preview else {
        return Err(Error::conflict("nothing_uploaded", "no backup is uploaded; choose a file first"));
    };
    if preview.id != id {
        return Err(Error::conflict(
            "another_upload",
            "another backup was uploaded meanwhile; look at what it changes, then accept it",
        ));
    }
    if let Some(problem) = preview.key_problem {
        return Err(Error::conflict("key_problem", problem));
    }
    store(app, actor, "backup.accept", "backup").await?;
    let paths = Paths::of(app);
    // What a process that was killed left of an earlier one.
    backup::discard(&paths.accepted).map_err(failed)?;
    std::fs::rename(&paths.uploaded, &paths.accepted).map_err(|error| unusable(&paths.accepted, &error))?;
    *app.vitals.backups.preview.lock() = None;
    remove(&paths.failure).map_err(|error| unusable(&paths.failure, &error))
}

/// Removes an uploaded or accepted file, and the error of the last start.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Conflict`] if a file cannot be removed or is being uploaded.
pub async fn discard(app: &App, actor: &Actor) -> Result<()> {
    actor.require(Permission::Administer)?;
    let Ok(_turn) = app.vitals.backups.uploading.try_lock() else { return Err(busy()) };
    let paths = Paths::of(app);
    for path in [&paths.uploaded, &paths.accepted] {
        backup::discard(path).map_err(failed)?;
    }
    remove(&paths.failure).map_err(|error| unusable(&paths.failure, &error))?;
    *app.vitals.backups.preview.lock() = None;
    store(app, actor, "backup.discard", "backup").await
}

/// Removes the accepted file of the database `file`, which is about to be replaced, and the error of an earlier one.
pub(super) fn forget_accepted(file: &Path) -> db::Result<()> {
    let paths = Paths::beside(file);
    backup::discard(&paths.accepted).and_then(|()| backup::discard(&paths.failure))
}

/// Removes what an earlier process left: a file that nobody accepted, and copies that were cut off.
pub fn tidy(config: &Config) {
    let database = database(config);
    let uploaded = Paths::beside(&database).uploaded;
    let tidied = backup::discard(&uploaded)
        .and_then(|()| backup::discard_leftovers(&uploaded))
        .and_then(|()| backup::discard_leftovers(&database))
        .and_then(|()| backup::discard(&download_path(config)));
    if let Err(error) = tidied {
        tracing::warn!("what an earlier process left cannot be removed: {}", error.words());
    }
}

/// Restores the accepted file, if there is one, before the database is opened, and ends a replacement that was cut off.
/// Returns whether the database file was replaced; its lock is then to be taken again. After an error of the accepted
/// file the database stays as it is, and the page tells why.
///
/// # Errors
/// If there is no database in its place: it must not be taken for a new one.
pub async fn restore_accepted(config: &Config, clock: &Clock, lock: &FileLock) -> db::Result<bool> {
    let file = lock.path();
    if backup::is_promised(file) {
        forget_accepted(file)?;
        backup::replace(file)?;
        tracing::info!(
            "a restore that was cut off is complete; the older database is kept as .before-restore"
        );
        return Ok(true);
    }
    let paths = Paths::beside(file);
    if !paths.accepted.exists() {
        return Ok(false);
    }
    let restored = restore_to(file, config, clock, &paths.accepted).await;
    // In both cases the file is not tried again at the next start.
    if let Err(error) = forget_accepted(file) {
        tracing::error!("{}", error.words());
    }
    match restored {
        Ok(()) => {
            tracing::info!("the database is the uploaded backup; the older one is kept as .before-restore");
            Ok(true)
        }
        Err(error) if backup::is_promised(file) || !file.exists() => Err(error),
        Err(error) => {
            let words = error.words();
            tracing::error!("the uploaded backup is not restored: {words}");
            if let Err(error) = std::fs::write(&paths.failure, &words) {
                tracing::error!("{}", files::words(&paths.failure, &error));
            }
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_copy_leave_room_for_the_database() {
        assert!(has_room(0, RESERVE) && has_room(5, RESERVE + 10));
        assert!(!has_room(5, RESERVE + 9) && !has_room(u64::MAX, RESERVE));
        assert!(has_room(LARGEST, u64::MAX));
    }
}
