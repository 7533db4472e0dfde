//! A statement with its parameters, and the rows that it answers: written once, run and read on either engine.

use futures_util::stream::{BoxStream, TryStreamExt as _};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{
    AssertSqlSafe, Column as _, ColumnIndex as _, Database, Decode, Encode, IntoArguments, Postgres,
    Row as _, SqlSafeStr, SqlStr, Sqlite, Type,
};

use super::columns::{Column, Value};
use super::{Db, DbError, Result, Tx};
use crate::domain::run::ActorRef;
use crate::domain::target::{Subject, Target};

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

/// A row of an answer.
pub(super) struct Row<'a> {
    of: Engine<'a>,
    table: &'static str,
}

#[derive(Clone, Copy)]
enum Engine<'a> {
    Sqlite(&'a SqliteRow),
    Pg(&'a PgRow),
}

/// What a row of an answer becomes.
pub(super) trait ReadRow: Sized {
    /// Where it is stored, for whoever is told that a row is damaged.
    const TABLE: &'static str = "selected";

    fn read(row: &Row<'_>) -> Result<Self>;
}

impl<'a> Row<'a> {
    pub fn sqlite<T: ReadRow>(row: &'a SqliteRow) -> Self {
        Self { of: Engine::Sqlite(row), table: T::TABLE }
    }

    pub fn pg<T: ReadRow>(row: &'a PgRow) -> Self {
        Self { of: Engine::Pg(row), table: T::TABLE }
    }

    /// What stands in a column.
    pub fn get<T: Column>(&self, name: &'static str) -> Result<T> {
        self.at(match self.of {
            Engine::Sqlite(row) => name.index(row)?,
            Engine::Pg(row) => name.index(row)?,
        })
    }

    fn at<T: Column>(&self, index: usize) -> Result<T> {
        T::read(self, index)?.ok_or_else(|| self.damaged(index))
    }

    /// What the engine has in a column.
    pub fn raw<T>(&self, index: usize) -> Result<Option<T>>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        Ok(match self.of {
            Engine::Sqlite(row) => row.try_get(index)?,
            Engine::Pg(row) => row.try_get(index)?,
        })
    }

    /// A column holds what DockNap never writes.
    pub fn damaged(&self, index: usize) -> DbError {
        let name = match self.of {
            Engine::Sqlite(row) => row.column(index).name().to_owned(),
            Engine::Pg(row) => row.column(index).name().to_owned(),
        };
        self.damage(format!("its {name}"))
    }

    /// What DockNap never writes.
    pub fn damage(&self, what: impl Into<String>) -> DbError {
        let id =
            ["id", "identity", "target_identity", "user_id"].into_iter().find_map(|key| self.get(key).ok());
        DbError::Damaged { table: self.table, id: id.unwrap_or_default(), what: what.into() }
    }

    /// The stack or container that the columns of these names tell.
    pub fn subject(&self, kind: &'static str, identity: &'static str) -> Result<Subject> {
        let (kind, identity): (String, String) = (self.get(kind)?, self.get(identity)?);
        let target = Target::from_columns("", &kind, &identity).ok_or_else(|| self.damage("its target"))?;
        Ok(target.subject)
    }

    /// The target of a row that has one.
    pub fn target(&self) -> Result<Target> {
        Ok(Target { host: self.get("host_id")?, subject: self.subject("target_type", "target_identity")? })
    }

    /// Who is named by a row that names somebody.
    pub fn actor(&self) -> Result<ActorRef> {
        Ok(ActorRef {
            kind: self.get("actor_kind")?,
            id: self.get("actor_id")?,
            name: self.get("actor_name")?,
        })
    }
}

impl<T: Column> ReadRow for T {
    fn read(row: &Row<'_>) -> Result<Self> {
        row.at(0)
    }
}

macro_rules! tuples {
    ($(($($part:ident $index:literal),+))+) => {$(
        impl<$($part: Column),+> ReadRow for ($($part,)+) {
            fn read(row: &Row<'_>) -> Result<Self> {
                Ok(($(row.at($index)?,)+))
            }
        }
    )+};
}

tuples!((A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4));
