//! A statement with its parameters, which runs on either engine and returns typed rows.

use futures_util::stream::{BoxStream, TryStreamExt as _};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Database, Encode, IntoArguments, SqlSafeStr, SqlStr, Type};

use super::columns::Value;
use super::read::{ReadRow, Row};
use super::{Db, DbError, Result, Tx};

/// A statement ready to run.
#[derive(Clone, Debug)]
pub(super) struct Query {
    sql: SqlStr,
    values: Vec<Value>,
}

/// Builds a [`Query`] from a text and its parameters: `sql!("DELETE FROM naps WHERE host_id = $1", host)`.
macro_rules! sql {
    ($sql:expr $(, $value:expr)* $(,)?) => {
        $crate::db::query::Query::new($sql, vec![$($crate::db::columns::Bind::value(&$value)),*])
    };
}
pub(super) use sql;

/// The source of a read: the committed state of the database, or a transaction with its own changes.
#[derive(Debug)]
pub enum On<'a> {
    Db(&'a Db),
    Tx(&'a mut Tx),
}

impl<'a> From<&'a Db> for On<'a> {
    fn from(db: &'a Db) -> Self {
        Self::Db(db)
    }
}

impl<'a> From<&'a mut Tx> for On<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::Tx(tx)
    }
}

impl Query {
    pub fn new(sql: impl SqlSafeStr, values: Vec<Value>) -> Self {
        Self { sql: sql.into_sql_str(), values }
    }

    /// A statement whose text was built at run time. Values from the caller must be parameters, never part of the text.
    pub fn built(sql: String, values: Vec<Value>) -> Self {
        Self::new(AssertSqlSafe(sql), values)
    }

    fn prepared<E: Database>(self) -> sqlx::query::Query<'static, E, E::Arguments>
    where
        Option<String>: Encode<'static, E> + Type<E>,
        Option<i64>: Encode<'static, E> + Type<E>,
        Option<bool>: Encode<'static, E> + Type<E>,
        E::Arguments: IntoArguments<E>,
    {
        self.values.into_iter().fold(sqlx::query(self.sql), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Flag(flag) => query.bind(flag),
        })
    }

    /// Runs a query and returns all rows in order.
    pub async fn all<T: ReadRow>(self, on: impl Into<On<'_>>) -> Result<Vec<T>> {
        let mut rows = match on.into() {
            On::Db(Db::Sqlite { readers, .. }) => Rows::Sqlite(self.prepared().fetch(readers)),
            On::Db(Db::Pg(pool)) => Rows::Pg(self.prepared().fetch(pool)),
            On::Tx(Tx::Sqlite(tx)) => Rows::Sqlite(self.prepared().fetch(&mut **tx)),
            On::Tx(Tx::Pg(tx)) => Rows::Pg(self.prepared().fetch(&mut **tx)),
        };
        let mut all = Vec::new();
        match &mut rows {
            Rows::Sqlite(rows) => {
                while let Some(row) = rows.try_next().await? {
                    all.push(T::read(&Row::sqlite::<T>(&row))?);
                }
            }
            Rows::Pg(rows) => {
                while let Some(row) = rows.try_next().await? {
                    all.push(T::read(&Row::pg::<T>(&row))?);
                }
            }
        }
        Ok(all)
    }

    /// Runs a query that returns at most one row.
    pub async fn first<T: ReadRow>(self, on: impl Into<On<'_>>) -> Result<Option<T>> {
        Ok(self.all(on).await?.into_iter().next())
    }

    /// Runs a query that always returns one row.
    pub async fn one<T: ReadRow>(self, on: impl Into<On<'_>>) -> Result<T> {
        self.first(on).await?.ok_or(DbError::Sqlx(sqlx::Error::RowNotFound))
    }

    /// Runs a statement that changes rows.
    pub async fn run(self, tx: &mut Tx) -> Result<()> {
        self.touched(tx).await.map(drop)
    }

    /// Runs a statement that changes rows; `false` if it changed none.
    pub async fn hits(self, tx: &mut Tx) -> Result<bool> {
        Ok(self.touched(tx).await? > 0)
    }

    /// Runs a statement that changes rows and returns their number.
    pub async fn touched(self, tx: &mut Tx) -> Result<u64> {
        Ok(match tx {
            Tx::Sqlite(tx) => self.prepared().execute(&mut **tx).await?.rows_affected(),
            Tx::Pg(tx) => self.prepared().execute(&mut **tx).await?.rows_affected(),
        })
    }

    /// As [`Query::run`], in a transaction of its own.
    pub async fn run_alone(self, db: &Db) -> Result<()> {
        self.touched_alone(db).await.map(drop)
    }

    /// As [`Query::touched`], in a transaction of its own.
    pub async fn touched_alone(self, db: &Db) -> Result<u64> {
        let mut tx = db.begin().await?;
        let touched = self.touched(&mut tx).await?;
        tx.commit().await?;
        Ok(touched)
    }
}

enum Rows<'a> {
    Sqlite(BoxStream<'a, sqlx::Result<SqliteRow>>),
    Pg(BoxStream<'a, sqlx::Result<PgRow>>),
}
