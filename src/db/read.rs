//! Reading of result rows, the same for both engines: a [`Row`] gives the value of a column, and [`ReadRow`] builds a
//! value from a row.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column as _, ColumnIndex as _, Decode, Postgres, Row as _, Sqlite, Type};

use super::{DbError, Result};
use crate::domain::run::ActorRef;
use crate::domain::target::{Subject, Target};

/// A type that can be read from a column; `None` = NULL.
pub(super) trait Column: Sized {
    fn read(row: &Row<'_>, index: usize) -> Result<Option<Self>>;
}

/// A result row of either engine.
pub(super) struct Row<'a> {
    engine: Engine<'a>,
    table: &'static str,
}

#[derive(Clone, Copy)]
enum Engine<'a> {
    Sqlite(&'a SqliteRow),
    Pg(&'a PgRow),
}

/// A type that can be read from a result row.
pub(super) trait ReadRow: Sized {
    /// Name of the table, for the error of a damaged row.
    const TABLE: &'static str = "selected";

    fn read(row: &Row<'_>) -> Result<Self>;
}

impl<'a> Row<'a> {
    pub fn sqlite<T: ReadRow>(row: &'a SqliteRow) -> Self {
        Self { engine: Engine::Sqlite(row), table: T::TABLE }
    }

    pub fn pg<T: ReadRow>(row: &'a PgRow) -> Self {
        Self { engine: Engine::Pg(row), table: T::TABLE }
    }

    /// The value of a column.
    pub fn get<T: Column>(&self, name: &'static str) -> Result<T> {
        self.at(match self.engine {
            Engine::Sqlite(row) => name.index(row)?,
            Engine::Pg(row) => name.index(row)?,
        })
    }

    fn at<T: Column>(&self, index: usize) -> Result<T> {
        T::read(self, index)?.ok_or_else(|| self.damaged(index))
    }

    /// The stored value of a column, before its conversion to a domain type.
    pub fn raw<T>(&self, index: usize) -> Result<Option<T>>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        Ok(match self.engine {
            Engine::Sqlite(row) => row.try_get(index)?,
            Engine::Pg(row) => row.try_get(index)?,
        })
    }

    /// The error for a column whose value DockNap never writes.
    pub fn damaged(&self, index: usize) -> DbError {
        let name = match self.engine {
            Engine::Sqlite(row) => row.column(index).name().to_owned(),
            Engine::Pg(row) => row.column(index).name().to_owned(),
        };
        self.damage(format!("its {name}"))
    }

    /// The error for a row with a value that DockNap never writes.
    pub fn damage(&self, what: impl Into<String>) -> DbError {
        // The stored text, whatever it is: an id that is damaged too must not be reported in turn.
        let text = |name: &'static str| {
            let index = match self.engine {
                Engine::Sqlite(row) => name.index(row),
                Engine::Pg(row) => name.index(row),
            };
            self.raw::<String>(index.ok()?).ok().flatten()
        };
        let id = ["id", "identity", "target_identity", "user_id"].into_iter().find_map(text);
        DbError::Damaged { table: self.table, id: id.unwrap_or_default(), what: what.into() }
    }

    /// The stack or container in the columns with these names.
    pub fn subject(&self, kind: &'static str, identity: &'static str) -> Result<Subject> {
        let (kind, identity): (String, String) = (self.get(kind)?, self.get(identity)?);
        let target = Target::from_columns("", &kind, &identity).ok_or_else(|| self.damage("its target"))?;
        Ok(target.subject)
    }

    /// The target in the columns `host_id`, `target_type` and `target_identity`.
    pub fn target(&self) -> Result<Target> {
        Ok(Target { host: self.get("host_id")?, subject: self.subject("target_type", "target_identity")? })
    }

    /// The actor in the columns `actor_kind`, `actor_id` and `actor_name`.
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
