//! The rows of an answer, read the same whichever engine gave it.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column as _, ColumnIndex as _, Decode, Postgres, Row as _, Sqlite, Type};

use super::{DbError, Result};
use crate::domain::run::ActorRef;
use crate::domain::target::{Subject, Target};

/// What can be read from a column; `None` = NULL.
pub(super) trait Column: Sized {
    fn read(row: &Row<'_>, index: usize) -> Result<Option<Self>>;
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
