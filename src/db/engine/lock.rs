//! One DockNap per SQLite file. The lock ends with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::super::{DbError, Result};

/// Held while a process serves from a database file or replaces it.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "held for its Drop")] File);

impl FileLock {
    /// Takes the lock of the database `file`; `None` = another process has it.
    ///
    /// # Errors
    /// [`DbError::Unusable`] where the lock file beside the database cannot be made.
    pub fn take(file: &Path) -> Result<Option<Self>> {
        let mut path = file.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let unusable = |error: &std::io::Error| DbError::Unusable(format!("{}: {error}", path.display()));
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| unusable(&error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self(lock))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(unusable(&error)),
        }
    }
}
