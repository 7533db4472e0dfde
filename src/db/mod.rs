//! Storage: `SQLite` by default, `PostgreSQL` by URL, one SQL text and one migrations folder for both.
//!
//! Free functions, one file per noun, take a [`Db`] (reads, single statements) or a [`Tx`]. The rules that let one
//! text serve both engines: TEXT ids made by the application, instants as BIGINT unix milliseconds, BOOLEAN, `$n`,
//! `RETURNING`, `ON CONFLICT`, `CAST(SUM(..) AS BIGINT)`. What only one engine has lives in [`engine`].

use sqlx::migrate::MigrateError;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use crate::faults::Point;

pub mod applied;
pub mod audit;
mod bulk;
pub mod calendars;
mod conditions;
pub mod credentials;
pub mod devices;
pub mod engine;
pub mod feeds;
pub mod figures;
pub mod hidden_needs;
pub mod history;
pub mod idempotency;
pub mod locks;
pub mod login_failures;
pub mod naps;
pub mod order_edges;
pub mod overrides;
mod rows;
pub mod rulebook;
pub mod runs;
pub mod schedules;
pub mod sessions;
pub mod settings;
pub mod sleeps;
pub mod steps;
pub mod storage;
pub mod timeline;
pub mod tokens;
pub mod traces;
pub mod user_links;
pub mod users;

/// A database that is open and migrated. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    /// One writer connection, several readers.
    Sqlite {
        /// For statements that only read.
        readers: SqlitePool,
        /// One connection: writers queue here instead of failing with "database is locked".
        writer: SqlitePool,
    },
    /// A pool for everything.
    Pg(PgPool),
}

/// A transaction that may write. Dropped without [`Tx::commit`], it is rolled back.
#[derive(Debug)]
pub enum Tx {
    /// Began with `BEGIN IMMEDIATE`.
    Sqlite(Transaction<'static, Sqlite>),
    /// Began with `BEGIN`.
    Pg(Transaction<'static, Postgres>),
}

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
        if let Some(fault) = engine::fault::Fault::of(&error) {
            storage::failed(fault, &error);
        }
        Self::Sqlx(error)
    }
}

impl DbError {
    /// The fault and what the engine said of it.
    fn words(&self) -> String {
        let fault = match self {
            Self::Sqlx(error)
            | Self::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                engine::fault::Fault::of(error)
            }
            _ => None,
        };
        fault.map_or_else(|| self.to_string(), |fault| format!("{} ({self})", fault.words()))
    }

    /// Why nothing can be stored for now, as a sentence without its end; `None` where it is something else.
    pub fn unavailable(&self) -> Option<String> {
        match self {
            Self::Sqlx(error) => engine::fault::Fault::of(error).map(|fault| fault.words().to_owned()),
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

/// Runs a read on whichever engine is open: `on_db!(db, pool => sqlx::query_as(SQL).fetch_all(pool))`.
macro_rules! on_db {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::db::Db::Sqlite { readers: $pool, .. } => $body.await,
            $crate::db::Db::Pg($pool) => $body.await,
        }
    };
}

/// Runs a read inside a transaction: `on_tx!(tx, c => sqlx::query_as(SQL).fetch_optional(c))`.
macro_rules! on_tx {
    ($tx:expr, $conn:ident => $body:expr) => {
        match $tx {
            $crate::db::Tx::Sqlite(tx) => {
                let $conn = &mut **tx;
                $body.await
            }
            $crate::db::Tx::Pg(tx) => {
                let $conn = &mut **tx;
                $body.await
            }
        }
    };
}

/// Runs one statement that changes something, as a transaction of its own, and answers how many rows it touched:
/// `exec_db!(db, "DELETE FROM t WHERE id = $1", id)`.
macro_rules! exec_db {
    ($db:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        async {
            let mut tx = $db.begin().await?;
            let rows = $crate::db::exec_tx!(&mut tx, $sql $(, $bind)*)?;
            tx.commit().await?;
            $crate::db::Result::Ok(rows)
        }
        .await
    };
}

/// Like `exec_db!`, inside a transaction.
macro_rules! exec_tx {
    ($tx:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $tx {
            $crate::db::Tx::Sqlite(tx) => {
                sqlx::query($sql)$(.bind($bind))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            $crate::db::Tx::Pg(tx) => {
                sqlx::query($sql)$(.bind($bind))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
        }
    };
}

#[allow(unused_imports, reason = "each noun takes what it needs")]
pub(crate) use {exec_db, exec_tx, on_db, on_tx};

impl Db {
    /// Begins a transaction that may write.
    ///
    /// # Errors
    /// When no connection is to be had, the write lock is not free within 5 s, or another process has taken over.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Pg(pool) => {
                let mut tx = pool.begin().await?;
                engine::lease::check(&mut tx).await?;
                Tx::Pg(tx)
            }
        })
    }
}

impl Tx {
    /// Undoes everything done in it, and waits for that.
    ///
    /// # Errors
    /// When the engine refuses; it is undone nevertheless.
    pub async fn roll_back(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await?,
            Self::Pg(tx) => tx.rollback().await?,
        }
        Ok(())
    }

    /// Makes everything done in it permanent.
    ///
    /// # Errors
    /// When the engine refuses; nothing has happened then.
    pub async fn commit(self) -> Result<()> {
        crate::faults::point(Point::BeforeCommit);
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Pg(tx) => tx.commit().await?,
        }
        crate::faults::point(Point::AfterCommit);
        Ok(())
    }
}
