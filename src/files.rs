//! Error messages for files and directories that cannot be read or written, with what to do about it, and the room on
//! their disk.

use std::ffi::CString;
use std::io::{Error, ErrorKind};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What is wrong with `path` and how to fix it, as a sentence without a full stop.
pub fn words(path: &Path, error: &Error) -> String {
    let shown = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let what = format!("{} cannot be used: {error}", shown.display());
    match error.kind() {
        ErrorKind::PermissionDenied => format!("{what}. {}", chown(&shown)),
        ErrorKind::StorageFull => format!("{what}. The disk is full: make room on it"),
        ErrorKind::QuotaExceeded => format!("{what}. The quota is used up: make room, or raise it"),
        ErrorKind::ReadOnlyFilesystem => format!("{what}. It is mounted read-only: mount it writable"),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            format!("{what}. A file is where a directory is needed: move it away, or name another place")
        }
        ErrorKind::IsADirectory => {
            format!("{what}. A directory is where a file is needed: move it away, or name another place")
        }
        ErrorKind::NotFound => format!("{what}. Check the path, and that what should be mounted there is"),
        // Rust's `ErrorKind` for these two is not stable.
        _ => match error.raw_os_error() {
            Some(libc::ELOOP) => format!("{what}. Its symbolic links lead in a circle: correct them"),
            Some(libc::EIO) => format!("{what}. The disk does not answer as it should: look at it"),
            _ => what,
        },
    }
}

/// The free bytes of the disk that holds `directory`, as far as this user may take them.
///
/// # Errors
/// The error of the operating system.
pub fn free_bytes(directory: &Path) -> std::io::Result<u64> {
    let name = CString::new(directory.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statvfs>::uninit();
    #[expect(unsafe_code, reason = "a system call without a safe wrapper in the standard library")]
    // SAFETY: the name ends with a zero byte, and the call only writes to the structure; both outlive it. The structure
    // is read only if the call has filled it.
    let found = unsafe {
        if libc::statvfs(name.as_ptr(), found.as_mut_ptr()) != 0 {
            return Err(Error::last_os_error());
        }
        found.assume_init()
    };
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The command that gives `path`, or the nearest existing directory above it, to the user of the process.
fn chown(path: &Path) -> String {
    // A missing path is created in the directory above, so that one must be writable.
    let existing = path.ancestors().find(|above| above.exists()).unwrap_or(path);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let (path, note) = match mounted_from(&mounts, existing) {
        Some(source) => (source, format!(" (what is mounted at {})", existing.display())),
        None => (existing.display().to_string(), String::new()),
    };
    let (user, group) = ids();
    format!("Run: chown -R {user}:{group} '{path}'{note}")
}

/// The host's path of the directory mounted at `dir`, from mountinfo (fields 4 and 5 are root and mount point). The
/// command must be run on the host, whose user knows only that path.
fn mounted_from(mountinfo: &str, dir: &Path) -> Option<String> {
    mountinfo.lines().rev().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (Path::new(point) == dir && root != "/").then(|| root.replace("\\040", " "))
    })
}

/// User id and group id of the process.
fn ids() -> (u32, u32) {
    use std::os::unix::fs::MetadataExt;
    // /proc/self belongs to the process's effective user; reading it avoids an unsafe call.
    std::fs::metadata("/proc/self").map_or((65532, 65532), |meta| (meta.uid(), meta.gid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_mount_is_named_by_its_place_on_the_host() {
        let info = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                    40 22 8:1 /srv/my\\040nap/data /data rw,relatime - ext4 /dev/sda1 rw\n\
                    41 22 0:5 / /proc rw - proc proc rw\n";
        assert_eq!(mounted_from(info, Path::new("/data")).as_deref(), Some("/srv/my nap/data"));
        assert_eq!(mounted_from(info, Path::new("/proc")), None);
        assert_eq!(mounted_from(info, Path::new("/elsewhere")), None);
    }

    #[test]
    fn each_fault_has_the_file_and_a_cure_of_its_own() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("docknap.db");
        let message = |code| words(&file, &Error::from_raw_os_error(code));
        let (user, group) = ids();
        // The file does not exist, so the command names its directory.
        let chown = format!("Run: chown -R {user}:{group} '{}'", home.path().display());
        for (code, part) in [
            (libc::EACCES, &*chown),
            (libc::EPERM, &*chown),
            (libc::ENOSPC, "make room"),
            (libc::EDQUOT, "quota"),
            (libc::EROFS, "mount it writable"),
            (libc::ENOTDIR, "A file is where a directory is needed"),
            (libc::EISDIR, "A directory is where a file is needed"),
            (libc::ENOENT, "Check the path"),
            (libc::ELOOP, "lead in a circle"),
            (libc::EIO, "look at it"),
        ] {
            let message = message(code);
            assert!(message.starts_with(&format!("{} cannot be used: ", file.display())), "{message}");
            assert!(message.contains(part), "{message}");
            assert_eq!(message.contains("chown"), part.contains("chown"), "{message}");
        }
    }
}
