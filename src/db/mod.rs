//! Storage: `SQLite` by default, `PostgreSQL` by URL, one SQL text and one migrations folder for both.
//!
//! Free functions, one file per noun, take a [`Db`] (reads, single statements) or a [`Tx`]. The rules that let one
//! text serve both engines: TEXT ids made by the application, instants as BIGINT unix milliseconds, BOOLEAN, `$n`,
//! `RETURNING`, `ON CONFLICT`, `CAST(SUM(..) AS BIGINT)`. What only one engine has lives in [`engine`].

use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use crate::faults::Point;

pub mod applied;
pub mod audit;
pub mod calendars;
mod columns;
mod conditions;
pub mod credentials;
pub mod devices;
pub mod engine;
mod error;
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
mod query;
mod read;
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

pub use error::{DbError, Result};
pub use query::On;

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
