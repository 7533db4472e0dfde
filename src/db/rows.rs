//! The columns of a row, each named beside its value: one list serves INSERT and UPDATE.

use super::bulk::chunks;
use super::{Result, Tx};
use crate::domain::ids::HostId;
use crate::domain::target::ContainerIdentity;

/// What stands in a column.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Flag(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// The columns of one row. All rows of a statement have the same.
pub(super) type Columns = Vec<(&'static str, Value)>;

/// `row!["id" => run.id.as_str(), "state" => …]`.
macro_rules! row {
    ($($name:literal => $value:expr),+ $(,)?) => {
        vec![$(($name, $crate::db::rows::Value::from($value))),+]
    };
}
pub(super) use row;

/// The key of what is kept of each container.
pub(super) fn container(host: &HostId, identity: &ContainerIdentity) -> Columns {
    row!["host_id" => host.as_str(), "identity" => identity.to_text()]
}

/// Runs a statement that is put together for the engine, and answers how many rows it touched.
macro_rules! run {
    ($tx:expr, $statement:ident => $fill:expr) => {
        match $tx {
            Tx::Sqlite(tx) => {
                let mut $statement = sqlx::QueryBuilder::<sqlx::Sqlite>::new("");
                $fill;
                $statement.build().execute(&mut **tx).await?.rows_affected()
            }
            Tx::Pg(tx) => {
                let mut $statement = sqlx::QueryBuilder::<sqlx::Postgres>::new("");
                $fill;
                $statement.build().execute(&mut **tx).await?.rows_affected()
            }
        }
    };
}

/// Adds a placeholder and what stands there.
macro_rules! bind {
    ($statement:expr, $value:expr) => {
        match $value {
            Value::Text(text) => $statement.push_bind(text),
            Value::Number(number) => $statement.push_bind(number),
            Value::Flag(flag) => $statement.push_bind(flag),
        }
    };
}

/// Inserts rows, and answers how many were: `after` may say what becomes of the others.
pub(super) async fn insert(tx: &mut Tx, table: &str, rows: Vec<Columns>, after: &str) -> Result<u64> {
    let mut inserted = 0;
    for rows in chunks(rows) {
        let names: Vec<&str> = rows.iter().take(1).flatten().map(|(name, _)| *name).collect();
        let before = format!("INSERT INTO {table} ({}) ", names.join(", "));
        inserted += run!(tx, statement => {
            statement.push(&before).push_values(rows, |mut tuple, row| {
                for (_, value) in row {
                    bind!(tuple, value);
                }
            });
            statement.push(after);
        });
    }
    Ok(inserted)
}

/// Inserts a row, or changes the one there is of that key.
pub(super) async fn put(tx: &mut Tx, table: &str, key: Columns, row: Columns) -> Result<()> {
    let keys: Vec<&str> = key.iter().map(|(name, _)| *name).collect();
    let set: Vec<String> = row.iter().map(|(name, _)| format!("{name} = excluded.{name}")).collect();
    let after = format!(" ON CONFLICT ({}) DO UPDATE SET {}", keys.join(", "), set.join(", "));
    insert(tx, table, vec![key.into_iter().chain(row).collect()], &after).await?;
    Ok(())
}

/// Changes the rows of a key of which `also` holds too, and answers how many those were.
pub(super) async fn update(
    tx: &mut Tx,
    table: &str,
    row: Columns,
    key: Columns,
    also: &'static str,
) -> Result<u64> {
    let before = format!("UPDATE {table} SET ");
    Ok(run!(tx, statement => {
        statement.push(&before);
        for (n, (name, value)) in row.into_iter().enumerate() {
            statement.push(if n > 0 { ", " } else { "" }).push(name).push(" = ");
            bind!(statement, value);
        }
        statement.push(" WHERE TRUE");
        for (name, value) in key {
            statement.push(" AND ").push(name).push(" = ");
            bind!(statement, value);
        }
        statement.push(also);
    }))
}
