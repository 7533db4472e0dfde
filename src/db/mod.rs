//! Storage: `SQLite` by default, `PostgreSQL` by URL, with the same SQL and the same migrations for both.
//!
//! Each file holds the free functions of one table or subject. They take a [`Db`] (for reads and single statements) or
//! a [`Tx`]. The SQL keeps to rules that make it valid on both engines: TEXT ids made by the application, instants as
//! BIGINT unix milliseconds, BOOLEAN, `$n`, `RETURNING`, `ON CONFLICT`, `CAST(SUM(..) AS BIGINT)`. Everything that
//! differs between the engines is in [`engine`].

use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use crate::faults::Point;

pub mod applied;
pub mod audit;
pub mod calendars;
mod columns;
mod conditions;
pub mod contents;
pub mod credentials;
pub mod devices;
pub mod engine;
mod error;
pub mod feeds;
pub mod figures;
pub mod groups;
pub mod hidden_needs;
pub mod history;
pub mod host_outages;
pub mod hosts;
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
pub mod slugs;
pub mod steps;
pub mod storage;
pub mod targets;
pub mod timeline;
pub mod tokens;
pub mod traces;
pub mod user_links;
pub mod users;

pub use error::{DbError, Result};
pub use query::On;

/// An open database with all migrations applied. A clone shares the connections.
#[derive(Clone, Debug)]
pub enum Db {
    /// One writer connection and several readers.
    Sqlite {
        /// Connections for statements that only read.
        readers: SqlitePool,
        /// The only connection that writes: writers wait for it instead of failing with "database is locked".
        writer: SqlitePool,
    },
    /// One pool for reads and writes.
    Pg(PgPool),
}

/// A transaction that may write. Dropping it without [`Tx::commit`] rolls it back.
#[derive(Debug)]
pub enum Tx {
    /// Started with `BEGIN IMMEDIATE`.
    Sqlite(Transaction<'static, Sqlite>),
    /// Started with `BEGIN`.
    Pg(Transaction<'static, Postgres>),
}

impl Tx {
    /// Rolls the transaction back and waits until that is done.
    ///
    /// # Errors
    /// The engine reports an error; the changes are discarded nevertheless.
    pub async fn roll_back(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await?,
            Self::Pg(tx) => tx.rollback().await?,
        }
        Ok(())
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// The engine refuses the commit; nothing has been stored then.
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
