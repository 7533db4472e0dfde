//! A restore from the page. The file is uploaded beside the database, checked and compared with it; once an admin has
//! accepted it, the next start puts it in the place of the database.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::OwnedMutexGuard;

use super::copies::{failed, store};
use super::{restore_to, unsealable};
use crate::app::{Actor, App, Error, Result};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::contents;
pub use crate::db::contents::Kind;
use crate::db::engine::{FileLock, backup};
use crate::db::{self, Db};
use crate::domain::host::HostTls;
use crate::domain::permission::Permission;
use crate::files;

/// The maximum size of an uploaded backup in bytes.
pub const LARGEST: u64 = 2 * 1024 * 1024 * 1024;
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
        if paths.accepted.exists() {
            return Err(Error::conflict(
                "restore_waits",
                "a restore waits for the next start; restart DockNap or discard it first",
            ));
        }
        let Ok(turn) = Arc::clone(&app.vitals.backups.uploading).try_lock_owned() else {
            return Err(busy());
        };
        *app.vitals.backups.preview.lock() = None;
        let path = paths.uploaded;
        remove(&path).map_err(|error| unusable(&path, &error))?;
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = opened.map_err(|error| unusable(&path, &error))?;
        Ok(Self { file, path, bytes: 0, limit, is_complete: false, _turn: turn })
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the file is too large or the disk is full.
    pub fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.bytes = self.bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if self.bytes > self.limit {
            return Err(Error::conflict(
                "too_large",
                "the file is larger than 2 GiB; restore it by command: docknap restore FILE",
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
        *app.vitals.backups.preview.lock() = Some(preview.clone());
        self.is_complete = true;
        store(app, actor, "backup.upload", "backup").await?;
        Ok(preview)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_complete {
            let _ = std::fs::remove_file(&self.path);
        }
    }
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
    compared.map_err(failed)
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
pub async fn waiting(app: &App, actor: &Actor) -> Result<Waiting> {
    actor.require(Permission::Administer)?;
    let paths = Paths::of(app);
    let failure = std::fs::read_to_string(&paths.failure).ok();
    let accepted = paths.accepted.exists();
    let mut preview = app.vitals.backups.preview.lock().clone();
    // A file that is still being uploaded is not looked at.
    let turn = app.vitals.backups.uploading.try_lock();
    if turn.is_ok() && preview.is_none() && !accepted && paths.uploaded.exists() {
        // Uploaded before the process was restarted.
        if let Ok(compared) = inspect(app, &paths.uploaded).await {
            *app.vitals.backups.preview.lock() = Some(compared.clone());
            preview = Some(compared);
        } else {
            remove(&paths.uploaded).map_err(|error| unusable(&paths.uploaded, &error))?;
        }
    }
    Ok(Waiting { preview, accepted, failure })
}

/// Accepts the uploaded file: the next start restores it.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Conflict`] if there is no such file, its keys cannot be opened, or the database is a
/// server.
pub async fn accept(app: &App, actor: &Actor) -> Result<()> {
    actor.require(Permission::Administer)?;
    if app.config.database_file().is_none() {
        return Err(Error::conflict(
            "by_command",
            "the database is a PostgreSQL server; stop DockNap and restore by command: docknap restore FILE",
        ));
    }
    let Some(preview) = waiting(app, actor).await?.preview else {
        return Err(Error::conflict("nothing_uploaded", "no backup is uploaded; choose a file first"));
    };
    if let Some(problem) = preview.key_problem {
        return Err(Error::conflict("key_problem", problem));
    }
    store(app, actor, "backup.accept", "backup").await?;
    let paths = Paths::of(app);
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
    for path in [&paths.uploaded, &paths.accepted, &paths.failure] {
        remove(path).map_err(|error| unusable(path, &error))?;
    }
    *app.vitals.backups.preview.lock() = None;
    store(app, actor, "backup.discard", "backup").await
}

/// Restores the accepted file, if there is one, before the database is opened. Returns whether the database file was
/// replaced; its lock is then to be taken again. After an error the database stays as it is, and the page tells why.
pub async fn restore_accepted(config: &Config, clock: &Clock, lock: &FileLock) -> bool {
    let paths = Paths::beside(lock.path());
    if !paths.accepted.exists() {
        return false;
    }
    let restored = restore_to(lock.path(), config, clock, &paths.accepted).await;
    // In both cases the file is not tried again at the next start.
    let removed = remove(&paths.accepted);
    if let Err(error) = &removed {
        tracing::error!("{}", files::words(&paths.accepted, error));
    }
    match restored {
        Ok(()) => {
            tracing::info!("the database is the uploaded backup; the older one is kept as .before-restore");
            true
        }
        Err(error) => {
            let words = error.words();
            tracing::error!("the uploaded backup is not restored: {words}");
            if let Err(error) = std::fs::write(&paths.failure, &words) {
                tracing::error!("{}", files::words(&paths.failure, &error));
            }
            false
        }
    }
}
