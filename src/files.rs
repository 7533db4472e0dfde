//! What to do about a file or a directory that cannot be read or written: named, with the cure that fits.

use std::io::{Error, ErrorKind};
use std::path::Path;

/// What is wrong with `path`, and what mends it, as a sentence without its end.
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
        // These two have no stable kind.
        _ => match error.raw_os_error() {
            Some(libc::ELOOP) => format!("{what}. Its symbolic links lead in a circle: correct them"),
            Some(libc::EIO) => format!("{what}. The disk does not answer as it should: look at it"),
            _ => what,
        },
    }
}

/// The command that makes `path`, or the nearest directory above it that exists, belong to whoever the process runs as.
fn chown(path: &Path) -> String {
    // An owner can only be given to what is there; what is missing is made in the directory above.
    let there = path.ancestors().find(|above| above.exists()).unwrap_or(path);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let (path, note) = match mounted_from(&mounts, there) {
        Some(source) => (source, format!(" (what is mounted at {})", there.display())),
        None => (there.display().to_string(), String::new()),
    };
    let (user, group) = ids();
    format!("Run: chown -R {user}:{group} '{path}'{note}")
}

/// The directory of the host that a container sees at `dir`, from mountinfo (root and mount point are its fields 4 and
/// 5): inside a container nobody could change the owner, outside nobody knows the path.
fn mounted_from(mountinfo: &str, dir: &Path) -> Option<String> {
    mountinfo.lines().rev().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (Path::new(point) == dir && root != "/").then(|| root.replace("\\040", " "))
    })
}

/// The user and the group the process runs as.
fn ids() -> (u32, u32) {
    use std::os::unix::fs::MetadataExt;
    // /proc/self belongs to the process's effective user, which spares an unsafe call.
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
        let said = |code| words(&file, &Error::from_raw_os_error(code));
        let (user, group) = ids();
        // The file is missing, so it is the directory that has to be given away.
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
            let said = said(code);
            assert!(said.starts_with(&format!("{} cannot be used: ", file.display())), "{said}");
            assert!(said.contains(part), "{said}");
            assert_eq!(said.contains("chown"), part.contains("chown"), "{said}");
        }
    }
}
