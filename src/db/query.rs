//! A statement with its parameters, and the rows that it answers: written once, run and read on either engine.

use futures_util::stream::{BoxStream, TryStreamExt as _};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Database, Encode, IntoArguments, SqlSafeStr, SqlStr, Type};

use super::columns::Value;
use super::read::{ReadRow, Row};
use super::{Db, DbError, Result, Tx};

/// A statement that is ready to run.
#[derive(Clone, Debug)]
pub(super) struct Query {
    sql: SqlStr,
    values: Vec<Value>,
}

/// `sql!("DELETE FROM naps WHERE host_id = $1", host)`: a statement with its parameters.
macro_rules! sql {
    ($sql:expr $(, $value:expr)* $(,)?) => {
        $crate::db::query::Query::new($sql, vec![$($crate::db::columns::Bind::value(&$value)),*])
    };
}
pub(super) use sql;

/// Where rows are read: the database as it is, or a transaction as it has changed it.
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

    /// One whose text was put together. Whatever a caller gives is a value, never part of the text.
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

    /// All rows that it answers, in their order.
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

    /// The first row, of those that answer one or none.
    pub async fn first<T: ReadRow>(self, on: impl Into<On<'_>>) -> Result<Option<T>> {
        Ok(self.all(on).await?.into_iter().next())
    }

    /// The row of those that always answer one.
    pub async fn one<T: ReadRow>(self, on: impl Into<On<'_>>) -> Result<T> {
        self.first(on).await?.ok_or(DbError::Sqlx(sqlx::Error::RowNotFound))
    }

    /// Changes something.
    pub async fn run(self, tx: &mut Tx) -> Result<()> {
        self.touched(tx).await.map(drop)
    }

    /// Changes something, and answers whether there was a row of which it could.
    pub async fn hits(self, tx: &mut Tx) -> Result<bool> {
        Ok(self.touched(tx).await? > 0)
    }

    /// Changes something, and answers how many rows it touched.
    pub async fn touched(self, tx: &mut Tx) -> Result<u64> {
        Ok(match tx {
            Tx::Sqlite(tx) => self.prepared().execute(&mut **tx).await?.rows_affected(),
            Tx::Pg(tx) => self.prepared().execute(&mut **tx).await?.rows_affected(),
        })
    }

    /// Changes something, as a transaction of its own.
    pub async fn run_alone(self, db: &Db) -> Result<()> {
        self.touched_alone(db).await.map(drop)
    }

    /// As [`Query::touched`], as a transaction of its own.
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
