//! Backup and restore. A backup is an SQLite file, whatever the database is. A copy of the file of a live SQLite
//! database lacks the content of the write-ahead log, so SQLite itself makes the copy (semantics §7); the rows of a
//! PostgreSQL server are copied one by one (`transfer`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::Timestamp;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::super::query::sql;
use super::super::{Db, DbError, Result, Tx, credentials};
use super::transfer::{self, of_copy, unusable};
use super::{MIGRATIONS, connect, lease, sqlite_own};
use crate::domain::ids::ScheduleId;
use crate::domain::run::{RunState, StepState};
use crate::domain::time::to_ms;
use crate::files;

/// The suffixes of the files of a database: the database, its write-ahead log, the log's index, and the rollback
/// journal that SQLite uses until the write-ahead log is on.
const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];
/// The suffix of a complete database that is about to replace the one in use.
const REPLACEMENT: &str = ".replacement";

/// Stores a value in the settings.
const NOTE: &str = "INSERT INTO settings (key, value, updated_ms) VALUES ($1, $2, $3) \
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_ms = excluded.updated_ms";

/// Copies the live database at `source` to `target`. The copy is written to a temporary file beside `target`, checked,
/// synced and then renamed, so `target` is at every instant either the old backup or the complete new one.
///
/// # Errors
/// [`DbError::Unusable`] with advice if a file cannot be read or written, or the copy is damaged.
pub async fn copy(source: &Path, target: &Path) -> Result<()> {
    if std::path::absolute(source).ok() == std::path::absolute(target).ok() {
        return Err(unusable(target, "is the database itself"));
    }
    if !source.is_file() {
        return Err(unusable(source, "is no database"));
    }
    let temporary = part(target);
    discard(&temporary)?;
    let mut live = open(source).await?;
    let copied = sqlx::query("VACUUM INTO $1").bind(path_text(&temporary)?).execute(&mut live).await;
    live.close().await?;
    let finished = match copied {
        Ok(_) => finish_copy(&temporary, target).await,
        Err(error) => Err(of_copy(&temporary, error)),
    };
    if finished.is_err() {
        let _ = discard(&temporary);
    }
    finished
}

/// As [`copy`], from the database on the PostgreSQL server `url`.
///
/// # Errors
/// As [`copy`]; also if the database belongs to another version of DockNap.
pub async fn copy_server(url: &str, target: &Path) -> Result<()> {
    let server = PgConnectOptions::from_str(url)?;
    let temporary = part(target);
    discard(&temporary)?;
    let finished = match transfer::to_file(&server, &temporary).await {
        Ok(()) => finish_copy(&temporary, target).await,
        Err(error) => Err(error),
    };
    if finished.is_err() {
        let _ = discard(&temporary);
    }
    finished
}

/// Stores the instant of a backup in the settings of the live database at `source`, under `key`.
///
/// # Errors
/// [`DbError::Unusable`] if the database cannot be opened; otherwise the error of the engine.
pub async fn note(source: &Path, key: &str, now: Timestamp) -> Result<()> {
    let mut live = open(source).await?;
    let noted = sqlx::query(NOTE).bind(key).bind(now.to_string()).bind(to_ms(now)).execute(&mut live).await;
    live.close().await?;
    noted?;
    Ok(())
}

/// As [`note`], in the database on the PostgreSQL server `url`.
///
/// # Errors
/// The error of the engine.
pub async fn note_server(url: &str, key: &str, now: Timestamp) -> Result<()> {
    let mut live = connect(&PgConnectOptions::from_str(url)?).await?;
    sqlx::query(NOTE).bind(key).bind(now.to_string()).bind(to_ms(now)).execute(&mut live).await?;
    live.close().await?;
    Ok(())
}

async fn finish_copy(temporary: &Path, target: &Path) -> Result<()> {
    let mut copy = open(temporary).await?;
    check(&mut copy, temporary).await?;
    copy.close().await?;
    sync(temporary)?;
    std::fs::rename(temporary, target).map_err(|error| io(target, &error))?;
    sync_directory(target)
}

/// Makes a checked and migrated copy of `backup` beside the database `file` and opens the copy. A restore changes the
/// copy before the copy replaces the database. Returns the open copy and its path.
///
/// # Errors
/// As [`copy`]; also if a newer DockNap made the backup, or it lacks a column or an index.
pub async fn stage(backup: &Path, file: &Path) -> Result<(Db, PathBuf)> {
    let staged = staged(file);
    discard(&staged)?;
    let mut original = open(backup).await?;
    check_schema(&mut original, backup).await?;
    check(&mut original, backup).await?;
    original.close().await?;
    copy(backup, &staged).await?;
    let opened = match Db::open_sqlite(&staged, super::Durability::Full).await {
        Ok(db) => match check_tables(&db, backup).await {
            Ok(()) => Ok(db),
            Err(error) => {
                db.close().await;
                Err(error)
            }
        },
        Err(error) => Err(error),
    };
    if opened.is_err() {
        discard(&staged)?;
    }
    Ok((opened?, staged))
}

/// Checks that a migrated copy has all columns and indexes: DockNap would fail in the middle of its work without one.
async fn check_tables(db: &Db, path: &Path) -> Result<()> {
    let Db::Sqlite { writer, .. } = db else { return Ok(()) };
    match transfer::missing(&mut *writer.acquire().await?).await? {
        Some(line) => {
            let line = line.escape_debug();
            Err(unusable(path, &format!("is not a sound backup: it lacks what DockNap makes: {line}")))
        }
        None => Ok(()),
    }
}

/// The path of a copy of [`stage`].
fn staged(file: &Path) -> PathBuf {
    with_suffix(file, ".restore")
}

/// Removes what a process that was killed left of a copy of [`stage`] beside the database `file`.
pub fn discard_leftovers(file: &Path) -> Result<()> {
    let staged = staged(file);
    discard(&staged)?;
    discard(&part(&staged))
}

/// The path of an unfinished copy.
fn part(target: &Path) -> PathBuf {
    with_suffix(target, ".part")
}

/// The number of migrations of this version that the file `backup` lacks.
///
/// # Errors
/// [`DbError::Unusable`] if it is no database of DockNap.
pub async fn missing_migrations(backup: &Path) -> Result<usize> {
    let mut original = open(backup).await?;
    let stored =
        sqlx::query_as::<_, (i64,)>("SELECT version FROM _sqlx_migrations").fetch_all(&mut original).await;
    original.close().await?;
    let stored =
        stored.map_err(|_| unusable(backup, "is not a sound backup: it holds no DockNap database"))?;
    Ok(MIGRATIONS.iter().filter(|one| !stored.contains(&(one.version,))).count())
}

/// Removes the files of a closed database, such as a copy of [`stage`].
pub fn discard(staged: &Path) -> Result<()> {
    SUFFIXES.into_iter().try_for_each(|suffix| remove(&with_suffix(staged, suffix)))
}

/// Removes an empty database file, which taking the lock creates if there is no database yet.
pub fn remove_empty(file: &Path) -> Result<()> {
    if file.metadata().is_ok_and(|metadata| metadata.len() == 0) { remove(file) } else { Ok(()) }
}

/// Makes the closed database `staged` the replacement of the database `file`. From here on, [`replace`] puts it in
/// place at the next start, also after a power cut. The one that an earlier restore kept is
/// removed, unless there is no database to keep.
///
/// # Errors
/// [`DbError::Unusable`] if a file cannot be synced, removed or renamed.
pub fn promise(staged: &Path, file: &Path) -> Result<()> {
    // A log that stays after the last connection holds what could not be written to the file, as on a full disk.
    if with_suffix(staged, "-wal").metadata().is_ok_and(|log| log.len() > 0) {
        return Err(unusable(staged, "could not be completed; make room on the disk"));
    }
    let replacement = with_suffix(file, REPLACEMENT);
    // Where there is a database to keep, its name is free from here on, and so tells how far a replacement got.
    let has_database = file.metadata().is_ok_and(|metadata| metadata.len() > 0);
    if has_database && !is_promised(file) {
        discard(&kept(file))?;
    }
    // A leftover log would belong to another database, and SQLite might apply it. An earlier replacement itself stays
    // until the new one has its name.
    for suffix in SUFFIXES.into_iter().filter(|suffix| !suffix.is_empty()) {
        remove(&with_suffix(staged, suffix))?;
        remove(&with_suffix(&replacement, suffix))?;
    }
    sync(staged)?;
    std::fs::rename(staged, &replacement).map_err(|error| io(&replacement, &error))?;
    sync_directory(file)
}

/// The path under which a restore keeps the old database.
fn kept(file: &Path) -> PathBuf {
    with_suffix(file, ".before-restore")
}

/// Whether a replacement of the database `file` waits.
pub fn is_promised(file: &Path) -> bool {
    with_suffix(file, REPLACEMENT).exists()
}

/// Removes a replacement of [`promise`].
pub fn withdraw(file: &Path) -> Result<()> {
    remove(&with_suffix(file, REPLACEMENT))
}

/// Replaces the database `file` with the one of [`promise`]. The old database is kept under its name plus
/// `.before-restore`. Goes on where a replacement was cut off.
///
/// # Errors
/// [`DbError::Unusable`] if a file cannot be renamed. The old database is in its place then, and the replacement is
/// withdrawn; a replacement that was cut off earlier still waits.
pub fn replace(file: &Path) -> Result<()> {
    let replacement = with_suffix(file, REPLACEMENT);
    let kept = kept(file);
    // A replacement that was cut off may have moved the old database already, and its log not yet.
    let is_moved = kept.exists();
    remove_empty(file)?;
    if is_moved && file.exists() {
        // Whatever was opened since has made a new one.
        discard(file)?;
    }
    let replaced = move_database(file, &kept)
        .and_then(|()| std::fs::rename(&replacement, file).map_err(|error| io(file, &error)));
    if replaced.is_err() && !is_moved {
        move_database(&kept, file)?;
        withdraw(file)?;
    }
    replaced?;
    sync_directory(file)
}

/// Renames the files of a database, as far as they exist.
fn move_database(from: &Path, to: &Path) -> Result<()> {
    for suffix in SUFFIXES {
        let one = with_suffix(from, suffix);
        match std::fs::rename(&one, with_suffix(to, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(&one, &error)),
            _ => {}
        }
    }
    Ok(())
}

/// Refuses while a DockNap acts on the PostgreSQL server `url`. An empty server is free.
///
/// # Errors
/// [`DbError::Unusable`] with the machine of that DockNap; also if the server cannot be reached.
pub async fn refuse_running(url: &str) -> Result<()> {
    let mut server = connect(&PgConnectOptions::from_str(url)?).await?;
    let sql = "SELECT to_regclass('leases') IS NOT NULL";
    let (is_found,): (bool,) = sqlx::query_as(sql).fetch_one(&mut server).await?;
    if is_found {
        lease::refuse_fresh(&mut server).await?;
    }
    server.close().await?;
    Ok(())
}

/// Replaces all rows on the PostgreSQL server `url` by those of the closed database `staged`, in one transaction. The
/// database on the server must have the migrations of this version.
///
/// # Errors
/// As [`refuse_running`]; otherwise the error of the engine. Nothing is changed then.
pub async fn replace_server(staged: &Path, url: &str) -> Result<()> {
    let server = PgConnectOptions::from_str(url)?;
    let mut file = open(staged).await?;
    let replaced = transfer::to_server(&mut file, &server).await;
    file.close().await?;
    replaced
}

async fn open(path: &Path) -> Result<SqliteConnection> {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(std::time::Duration::from_secs(5))
        // SQL functions in the schema of a foreign file must not have side effects.
        .pragma("trusted_schema", "OFF")
        // The root file system of the image is read-only, so a check must not use files in /tmp.
        .pragma("temp_store", "MEMORY")
        .connect()
        .await
        .map_err(|error| unusable(path, &format!("cannot be opened: {error}")))
}

/// Checks that all triggers and views of a file are DockNap's own. Foreign triggers or views could change or hide
/// stored data.
async fn check_schema(connection: &mut SqliteConnection, path: &Path) -> Result<()> {
    let found: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY name",
    )
    .fetch_all(connection)
    .await
    .map_err(|error| unusable(path, &format!("is not a sound backup: {error}")))?;
    let is_ours = |sql: &str| sqlite_own().any(|own| own.replacen("IF NOT EXISTS ", "", 1) == *sql);
    match found.into_iter().find(|(.., sql)| !is_ours(sql)) {
        Some((kind, name, _)) => {
            let name = name.escape_debug();
            Err(unusable(
                path,
                &format!("holds the {kind} {name}, which DockNap does not make; use another copy"),
            ))
        }
        None => Ok(()),
    }
}

/// Checks that a file is an undamaged database of DockNap.
async fn check(connection: &mut SqliteConnection, path: &Path) -> Result<()> {
    let damaged = |what: &str| unusable(path, &format!("is not a sound backup: {what}"));
    let (verdict,): (String,) = sqlx::query_as("PRAGMA integrity_check(1)")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| damaged(&error.to_string()))?;
    if verdict != "ok" {
        return Err(damaged(&verdict));
    }
    for known in ["SELECT key FROM settings LIMIT 1", "SELECT version FROM _sqlx_migrations LIMIT 1"] {
        sqlx::query(known)
            .fetch_optional(&mut *connection)
            .await
            .map_err(|_| damaged("it holds no DockNap database"))?;
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| unusable(path, "has a name that is not UTF-8"))
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(path, &error)),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| io(path, &error))
}

/// Syncs the directory of a file: a rename reaches the disk only with its directory.
fn sync_directory(path: &Path) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync(directory)
}

fn io(path: &Path, error: &std::io::Error) -> DbError {
    DbError::Unusable(files::words(path, error))
}

/// Ends everything that was in progress at the time of the backup: open runs, open steps and all credentials. No
/// schedule fires for an instant before `now`.
pub async fn forget_past(tx: &mut Tx, now: Timestamp) -> Result<()> {
    let reason = "a backup was restored";
    let sql = "UPDATE steps SET state = $1, reason = $2, finished_ms = $3 WHERE state = $4";
    sql!(sql, StepState::Interrupted, reason, now, StepState::Issued).run(tx).await?;
    let sql = "UPDATE steps SET state = $1, reason = $2, finished_ms = $3 WHERE state = $4";
    sql!(sql, StepState::Skipped, reason, now, StepState::Pending).run(tx).await?;
    // The runs that an override suppressed before the restore are not made up for at its end, and overrides whose end
    // has passed are closed.
    let sql = "UPDATE runs SET reason = $1 || '; ' || reason WHERE state = $2 AND reason LIKE 'override:%'";
    sql!(sql, reason, RunState::Skipped).run(tx).await?;
    let sql = "UPDATE overrides SET closed_ms = until_ms, closed_reason = $1 WHERE closed_ms IS NULL \
               AND until_ms <= $2";
    sql!(sql, reason, now).run(tx).await?;
    for (from, to) in [(RunState::Pending, RunState::Cancelled), (RunState::Executing, RunState::Interrupted)]
    {
        let sql = "UPDATE runs SET state = $1, reason = $2, finished_ms = $3 WHERE state = $4";
        sql!(sql, to, reason, now, from).run(tx).await?;
    }
    sql!("UPDATE schedules SET effective_from_ms = $1 WHERE effective_from_ms < $2", now, now)
        .run(tx)
        .await?;
    // Credentials that were withdrawn after the backup must not become valid again.
    credentials::end_all(tx).await
}

/// Sets the next due instant of a schedule in a restored database.
pub async fn set_next_due(tx: &mut Tx, id: &ScheduleId, next: Option<Timestamp>) -> Result<()> {
    sql!("UPDATE schedules SET next_due_ms = $1 WHERE id = $2", next, id).run(tx).await
}
