//! The errors of the database. A [`Fault`] is an error that keeps the engine from working at all, such as a full disk,
//! as opposed to a statement that it refuses. The latest fault is kept until a write succeeds again.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

/// The errors of all functions in `db`.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The engine refused a statement or is not reachable.
    #[error("the database answered: {0}")]
    Sqlx(#[source] sqlx::Error),
    /// A migration failed.
    #[error("the database could not be migrated: {0}")]
    Migrate(#[from] MigrateError),
    /// A row holds a value that DockNap never writes.
    #[error("the {table} row {id} is damaged: {what}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The key of the row.
        id: String,
        /// The damaged part of the row.
        what: String,
    },
    /// The file or the server is not usable in its present state; the text has advice.
    #[error("{0}")]
    Unusable(String),
    /// Another process has taken over the database; the text names its machine.
    #[error("{0}")]
    TakenOver(String),
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        if let Some(fault) = Fault::of(&error) {
            record(fault, &error);
        }
        Self::Sqlx(error)
    }
}

impl DbError {
    /// The message for the user: the fault, if there is one, and the text of the error.
    pub fn words(&self) -> String {
        let fault = match self {
            Self::Sqlx(error)
            | Self::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                Fault::of(error)
            }
            _ => None,
        };
        fault.map_or_else(|| self.to_string(), |fault| format!("{} ({self})", fault.words()))
    }

    /// The reason why nothing can be stored at present, as a sentence without a full stop; `None` for other errors.
    pub fn unavailable(&self) -> Option<String> {
        match self {
            Self::Sqlx(error) => Fault::of(error).map(|fault| fault.words().to_owned()),
            Self::TakenOver(words) => Some(words.clone()),
            Self::Migrate(_) | Self::Damaged { .. } | Self::Unusable(_) => None,
        }
    }

    /// Whether a UNIQUE constraint refused the row.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Sqlx(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}

/// The result of the functions in `db`.
pub type Result<T> = std::result::Result<T, DbError>;

/// A reason why the engine cannot store or read anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No space is left on the disk.
    Full,
    /// The file cannot be read or written.
    Io,
    /// No memory is left.
    Memory,
    /// The file or the mount is read-only.
    ReadOnly,
    /// Another program holds the write lock.
    Busy,
    /// The database is damaged.
    Damaged,
    /// The server is not reachable or is shutting down.
    Away,
    /// The state of the connection is not what sqlx assumes; the next attempt uses a new connection.
    Connection,
}

impl Fault {
    /// The fault behind an error; `None` if the engine refused the statement itself.
    pub fn of(error: &sqlx::Error) -> Option<Self> {
        use sqlx::Error::{
            BeginFailed, Database, InvalidSavePointStatement, Io, PoolClosed, PoolTimedOut, Protocol, Tls,
            WorkerCrashed,
        };
        match error {
            Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed => Some(Self::Away),
            BeginFailed | InvalidSavePointStatement | WorkerCrashed => Some(Self::Connection),
            Database(error) => {
                let code = error.code()?;
                if error.try_downcast_ref::<SqliteError>().is_some() {
                    Self::of_sqlite(code.parse().ok()?, error.message())
                } else if error.try_downcast_ref::<PgDatabaseError>().is_some() {
                    Self::of_postgres(&code)
                } else {
                    None
                }
            }
            _ => None,
        }
    }

    /// The fault for an SQLite result code; its lowest byte is the primary code.
    fn of_sqlite(code: u32, message: &str) -> Option<Self> {
        /// `SQLITE_IOERR_SHMSIZE`: no disk space for the index of the write-ahead log.
        const NO_ROOM_FOR_INDEX: u32 = 4874;
        Some(match code & 0xff {
            13 => Self::Full,
            10 if code == NO_ROOM_FOR_INDEX => Self::Full,
            10 | 14 | 15 | 22 => Self::Io,
            7 => Self::Memory,
            3 | 8 => Self::ReadOnly,
            5 | 6 => Self::Busy,
            9 => Self::Connection,
            11 | 26 => Self::Damaged,
            // SQLite rolled back the transaction by itself, and sqlx continued it.
            1 if message.contains("transaction is active") => Self::Connection,
            _ => return None,
        })
    }

    /// The fault for an SQLSTATE code.
    fn of_postgres(code: &str) -> Option<Self> {
        Some(match code {
            "53100" => Self::Full,
            "53200" => Self::Memory,
            "25006" => Self::ReadOnly,
            "55P03" | "57014" => Self::Busy,
            "XX001" | "XX002" => Self::Damaged,
            "58030" => Self::Io,
            "25P02" | "25P03" => Self::Connection,
            code => match code.get(..2)? {
                "08" | "28" | "3D" | "53" | "57" | "58" => Self::Away,
                _ => return None,
            },
        })
    }

    /// The fault as a sentence with advice, without a full stop.
    pub fn words(self) -> &'static str {
        match self {
            Self::Full => "the disk of the database is full; nothing can be stored until there is room again",
            Self::Io => "the database cannot be read or written; look at its disk",
            Self::Memory => "the database has no memory left; give it more",
            Self::ReadOnly => {
                "the database must not be written; look at who owns its files and how they are mounted"
            }
            Self::Busy => "another program keeps the database busy; try again in a moment",
            Self::Damaged => "the database is damaged; restore a backup",
            Self::Away => "the database cannot be reached; trying again",
            Self::Connection => "the connection to the database was lost; try again",
        }
    }
}

/// The number of faults since the start. A process opens one database only.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// The current fault; cleared by [`clear`].
static CURRENT: Mutex<Option<Fault>> = Mutex::new(None);

/// The number of faults since the start. A connection that was opened before the latest fault is not used again,
/// because its transaction state may be wrong.
pub fn fault_count() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

/// Records a fault. The fault is logged unless the current fault is the same.
pub fn record(fault: Fault, error: &sqlx::Error) {
    COUNT.fetch_add(1, Ordering::SeqCst);
    let before = CURRENT.lock().replace(fault);
    if before != Some(fault) {
        tracing::error!(error = %crate::domain::text::chain(error), "{}", fault.words());
    }
}

/// The current fault as a sentence for the user.
pub fn current() -> Option<&'static str> {
    CURRENT.lock().map(Fault::words)
}

/// Clears the current fault after a successful write, unless the number of faults has grown beyond `count`.
pub fn clear(count: u64) {
    let mut current = CURRENT.lock();
    if COUNT.load(Ordering::SeqCst) == count && current.take().is_some() {
        tracing::info!("the database stores again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_distinguished_from_refused_statements() {
        assert_eq!(Fault::of(&sqlx::Error::PoolTimedOut), Some(Fault::Away));
        assert_eq!(Fault::of(&sqlx::Error::RowNotFound), None);
        let sqlite = |code| Fault::of_sqlite(code, "");
        assert_eq!(sqlite(13), Some(Fault::Full));
        assert_eq!(sqlite(4874), Some(Fault::Full));
        assert_eq!(sqlite(778), Some(Fault::Io));
        assert_eq!(sqlite(1032), Some(Fault::ReadOnly));
        assert_eq!(sqlite(2067), None, "a row that is there already");
        assert_eq!(Fault::of_sqlite(1, "cannot commit - no transaction is active"), Some(Fault::Connection));
        assert_eq!(Fault::of_postgres("53100"), Some(Fault::Full));
        assert_eq!(Fault::of_postgres("57P01"), Some(Fault::Away));
        assert_eq!(Fault::of_postgres("23505"), None, "a row that is there already");
    }
}
