//! Backup and restore of the SQLite database, by command only.
//!
//! A restore never replays: runs that were open in the copy end, and no instant before the restore fires.

use std::path::Path;

use crate::clock::Clock;
use crate::config::Config;
use crate::db::engine::{FileLock, backup};
use crate::db::{DbError, Result};

/// Copies the database to `target`, also while DockNap serves from it.
///
/// # Errors
/// [`DbError::Unusable`] with what to do.
pub async fn copy(config: &Config, target: &Path) -> Result<()> {
    let Some(file) = config.database_file() else {
        return Err(on_a_server("pg_dump"));
    };
    backup::copy(&file, target).await
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
    let Some(_lock) = FileLock::take(&file)? else {
        return Err(DbError::Unusable("DockNap is running on this database; stop it first".to_owned()));
    };
    let (db, staged) = backup::stage(source, &file).await?;
    let mut tx = db.begin().await?;
    backup::forget_past(&mut tx, clock.now()).await?;
    tx.commit().await?;
    db.close().await;
    backup::replace(&staged, &file)
}

fn on_a_server(tool: &str) -> DbError {
    DbError::Unusable(format!("the database is a PostgreSQL server; use its {tool}"))
}
