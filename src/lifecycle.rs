//! Birth and death of the serving process: the order in which parts start, and the order in which they stop.

use std::io::Write;
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::db::engine::FileLock;
use crate::db::{Db, DbError};

/// Why the process did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used; says what to do.
    #[error("{0}")]
    DataDir(String),
    /// The database cannot be used.
    #[error("the database cannot be used: {0}")]
    Database(#[from] DbError),
    /// A setting is right by itself, but not here.
    #[error("{0}")]
    Setting(String),
    /// The address cannot be listened on, or the process may not set itself up.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        error: std::io::Error,
    },
}

/// Makes sure that files can be made in the data directory.
///
/// # Errors
/// [`StartError::DataDir`] with the command that mends it.
pub fn prepare_data_dir(dir: &Path) -> Result<(), StartError> {
    let probe = dir.join(".docknap-write-test");
    let tried = std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::File::create(&probe))
        .and_then(|mut file| file.write_all(b"ok"))
        .and_then(|()| std::fs::remove_file(&probe));
    tried.map_err(|error| {
        let shown = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let (path, note) = match mounted_from(&mounts, &shown) {
            Some(source) => (source, format!(" (the directory mounted at {})", shown.display())),
            None => (shown.display().to_string(), String::new()),
        };
        let (user, group) = ids();
        StartError::DataDir(format!(
            "the data directory {} cannot be written: {error}. Run: chown -R {user}:{group} '{path}'{note}",
            shown.display()
        ))
    })
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

/// Takes the lock of the SQLite file, where there is one, and opens the database.
///
/// # Errors
/// [`StartError::Database`] where it cannot be used, or another process serves from it.
pub async fn open_database(config: &Config) -> Result<(Db, Option<FileLock>), StartError> {
    use secrecy::ExposeSecret;
    let Some(file) = config.database_file() else {
        let url = config.database_url.as_ref().map_or("", |url| url.expose_secret());
        return Ok((Db::open(url).await?, None));
    };
    let Some(lock) = FileLock::take(&file)? else {
        let taken = format!("another DockNap serves from {}", file.display());
        return Err(DbError::Unusable(taken).into());
    };
    let db = Db::open_sqlite(&file, crate::db::engine::Durability::Full).await?;
    Ok((db, Some(lock)))
}

/// Cancels `stop` at the first SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
/// [`StartError::System`] where the process may not listen to signals.
pub fn stop_on_signal(stop: &CancellationToken) -> Result<(), StartError> {
    let listen = |kind| {
        signal(kind)
            .map_err(|error| StartError::System { what: "signals cannot be received".to_owned(), error })
    };
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let stop = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                tracing::warn!("told to stop a second time: ending at once");
                std::process::exit(1);
            }
            tracing::info!("told to stop");
            stop.cancel();
        }
    });
    Ok(())
}

/// Serves until told to stop.
///
/// # Errors
/// [`StartError`] where it did not come up.
pub async fn serve(config: Config, _clock: Clock) -> Result<(), StartError> {
    let stop = CancellationToken::new();
    stop_on_signal(&stop)?;
    prepare_data_dir(&config.data_dir)?;
    let (db, _lock) = open_database(&config).await?;
    stop.cancelled().await;
    db.close().await;
    Ok(())
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
    fn a_data_directory_that_cannot_be_made_says_what_to_run() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("file");
        std::fs::write(&file, "").expect("it can be written");
        let error = prepare_data_dir(&file.join("data")).expect_err("a file is no directory").to_string();
        let (user, group) = ids();
        let line = format!("Run: chown -R {user}:{group} '{}/data'", file.display());
        assert!(error.contains(&line), "{error}");
    }
}
