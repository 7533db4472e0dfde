//! What storage answers where it has no value.

use sqlx::migrate::MigrateError;

use super::engine::fault::{self, Fault};

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
            fault::failed(fault, &error);
        }
        Self::Sqlx(error)
    }
}

impl DbError {
    /// The fault and what the engine said of it.
    pub(super) fn words(&self) -> String {
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
