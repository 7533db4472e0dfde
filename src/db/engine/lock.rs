//! One DockNap per SQLite file, by whatever name it is called. The lock ends with the process, however it ends.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::super::{DbError, Result};
use crate::files;

/// The byte that is locked: beyond all that SQLite locks and all that a database holds, so that neither it nor a file
/// server gets in the way.
const BYTE: i64 = 1 << 62;

/// Held while a process serves from a database file or replaces it. It lies on the file itself, not on its name: a
/// symbolic or a hard link leads to the same lock.
#[derive(Debug)]
pub struct FileLock {
    /// Closing it lets go, and lets go of what SQLite locks in this process too: it outlives the connections.
    _file: File,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock of the database `file`, which is made where it is missing; `None` = another process has it.
    ///
    /// # Errors
    /// [`DbError::Unusable`] where the file cannot be opened or locked.
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

    /// The file, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Locks the byte for as long as this very handle is open, in which a lock of `fcntl`'s older kind would differ;
/// `false` = another handle has it.
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
