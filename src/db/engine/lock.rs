//! The lock that allows only one DockNap process per SQLite file, by whatever path the file is opened. The operating
//! system releases the lock when the process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::super::{DbError, Result};
use crate::files;

/// Offset of the locked byte. The offset lies beyond all bytes that SQLite locks or a database can contain, so neither
/// SQLite nor a file server interferes.
const BYTE: i64 = 1 << 62;

/// The lock of a database file, held while a process serves from the file or replaces it. The lock is on the file, not
/// on its name: symbolic and hard links lead to the same lock.
#[derive(Debug)]
pub struct FileLock {
    /// Trap: closing this handle releases the lock, and also the locks of SQLite in this process. The handle must live
    /// longer than the database connections.
    _file: File,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock of the database `file`; a missing file is created. `None` if another process has the lock.
    ///
    /// # Errors
    /// [`DbError::Unusable`] if the file cannot be opened or locked.
    pub fn take(file: &Path) -> Result<Option<Self>> {
        let unusable = |error: &std::io::Error| DbError::Unusable(files::words(file, error));
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(file);
        let opened = opened.map_err(|error| unusable(&error))?;
        if !lock(&opened).map_err(|error| unusable(&error))? {
            return Ok(None);
        }
        let path = file.canonicalize().map_err(|error| unusable(&error))?;
        Ok(Some(Self { _file: opened, path }))
    }

    /// The path of the file, with all symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Locks the byte for as long as this handle is open; `false` if another handle has the lock. The lock belongs to the
/// handle; a classic `fcntl` lock would belong to the process.
fn lock(file: &File) -> std::io::Result<bool> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "small constants, which the C structure keeps in a short"
    )]
    let wanted = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: BYTE,
        l_len: 1,
        l_pid: 0,
    };
    #[expect(unsafe_code, reason = "a system call without a safe wrapper in the standard library")]
    // SAFETY: the handle is open as long as `file` lives, and the call only reads the structure, which outlives it.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const wanted) };
    if done == 0 {
        return Ok(true);
    }
    let error = std::io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}
