//! What storage answers where it has no value, and what of it says that an engine cannot work at all, as against
//! refusing one statement.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

/// What storage can answer besides a value.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The engine refused or could not be reached.
    #[error("the database answered: {0}")]
    Sqlx(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database could not be migrated: {0}")]
    Migrate(#[from] MigrateError),
    /// A row holds what this program never writes.
    #[error("the {table} row {id} is damaged: {what}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row's key.
        id: String,
        /// What is wrong with it.
        what: String,
    },
    /// The file or the server cannot be used as it is; says what to do.
    #[error("{0}")]
    Unusable(String),
    /// Another process has taken the database over.
    #[error("{0}")]
    TakenOver(String),
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        if let Some(fault) = Fault::of(&error) {
            failed(fault, &error);
        }
        Self::Sqlx(error)
    }
}

impl DbError {
    /// The fault and what the engine said of it.
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

    /// Why nothing can be stored for now, as a sentence without its end; `None` where it is something else.
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

/// What every function here answers.
pub type Result<T> = std::result::Result<T, DbError>;

/// Why nothing can be stored, or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No room left.
    Full,
    /// Reading or writing the file fails.
    Io,
    /// No memory.
    Memory,
    /// Not to be written, by its permissions or the mount's.
    ReadOnly,
    /// Another program is writing.
    Busy,
    /// It is damaged.
    Damaged,
    /// It cannot be reached, or is stopping.
    Away,
    /// The connection is not as it was thought to be; the next one is new.
    Connection,
}

impl Fault {
    /// The fault behind an error; `None` where the statement was refused for what it says.
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

    /// By the result code; its lowest byte is the kind.
    fn of_sqlite(code: u32, message: &str) -> Option<Self> {
        /// `SQLITE_IOERR_SHMSIZE`: no room for the index of the write-ahead log.
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
            // The engine ended the transaction by itself, and somebody went on with it.
            1 if message.contains("transaction is active") => Self::Connection,
            _ => return None,
        })
    }

    /// By SQLSTATE.
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

    /// As a sentence that says what to do, without its end.
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

/// Faults so far. A process opens one database.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// The one that stands.
static STANDING: Mutex<Option<Fault>> = Mutex::new(None);

/// How often the engine could not do its work so far. A connection older than the last time is not used again: what
/// it believes about its transaction may be wrong.
pub fn faults() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

/// Remembers a fault, and tells the log of the first one.
pub fn failed(fault: Fault, error: &sqlx::Error) {
    COUNT.fetch_add(1, Ordering::SeqCst);
    let before = STANDING.lock().replace(fault);
    if before != Some(fault) {
        tracing::error!(error = %crate::domain::text::chain(error), "{}", fault.words());
    }
}

/// What stands in the way of storing anything, in words for a person.
pub fn standing() -> Option<&'static str> {
    STANDING.lock().map(Fault::words)
}

/// A write went through, and nothing failed since there were `faults`.
pub fn well(faults: u64) {
    let mut standing = STANDING.lock();
    if COUNT.load(Ordering::SeqCst) == faults && standing.take().is_some() {
        tracing::info!("the database stores again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_cannot_do_is_told_from_what_it_refuses() {
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
