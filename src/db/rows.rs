//! INSERT and UPDATE statements from lists of column names with values, so that one list serves both. Statements for
//! many rows are split into a few fixed sizes.

use std::collections::HashSet;
use std::hash::Hash;

use super::columns::Value;
use super::query::Query;
use super::read::ReadRow;
use super::{Result, Tx};
use crate::domain::ids::HostId;
use crate::domain::target::ContainerIdentity;

/// Number of rows per statement. Few and small sizes keep the number and the size of the prepared statements low.
const SIZES: [usize; 3] = [32, 8, 1];

/// Column names and values of one row. All rows of a statement have the same columns.
pub(super) type Columns = Vec<(&'static str, Value)>;

/// The columns of a row: `row!["id" => run.id, "state" => …]`.
macro_rules! row {
    ($($name:literal => $value:expr),+ $(,)?) => {
        vec![$(($name, $crate::db::columns::Bind::value(&$value))),+]
    };
}
pub(super) use row;

/// The values of a row in the order of its columns: `values![run.id, run.state]`.
macro_rules! values {
    ($($value:expr),+ $(,)?) => { vec![$($crate::db::columns::Bind::value(&$value)),+] };
}
pub(super) use values;

/// The key columns of the tables with one row per container.
pub(super) fn container(host: &HostId, identity: &ContainerIdentity) -> Columns {
    row!["host_id" => host, "identity" => identity]
}

/// Inserts one row.
pub(super) async fn add(tx: &mut Tx, table: &str, row: Columns) -> Result<()> {
    insert(tx, table, vec![row], "").await.map(drop)
}

/// Inserts rows and returns the number of inserted ones. `after` is the end of the statement, such as an ON CONFLICT
/// clause.
pub(super) async fn insert(tx: &mut Tx, table: &str, rows: Vec<Columns>, after: &str) -> Result<u64> {
    let names: Vec<&str> = rows.iter().take(1).flatten().map(|(name, _)| *name).collect();
    let before = format!("INSERT INTO {table} ({}) ", names.join(", "));
    let rows = rows.into_iter().map(|row| row.into_iter().map(|(_, value)| value).collect()).collect();
    let mut inserted = 0;
    for rows in chunks(rows) {
        inserted += around_values(|n| tx.parameter(n), &before, rows, after).touched(tx).await?;
    }
    Ok(inserted)
}

/// Inserts a row, or updates the existing row with the same key.
pub(super) async fn put(tx: &mut Tx, table: &str, key: Columns, row: Columns) -> Result<()> {
    let keys: Vec<&str> = key.iter().map(|(name, _)| *name).collect();
    let set: Vec<String> = row.iter().map(|(name, _)| format!("{name} = excluded.{name}")).collect();
    let after = format!(" ON CONFLICT ({}) DO UPDATE SET {}", keys.join(", "), set.join(", "));
    insert(tx, table, vec![key.into_iter().chain(row).collect()], &after).await?;
    Ok(())
}

/// Updates the rows with a key and the condition `also`; `false` if there are none.
pub(super) async fn update(tx: &mut Tx, table: &str, row: Columns, key: Columns, also: &str) -> Result<bool> {
    let mut n = 0;
    let mut named = |columns: &Columns, between: &str| {
        let each = columns.iter().map(|(name, _)| {
            n += 1;
            format!("{name} = ${n}")
        });
        each.collect::<Vec<_>>().join(between)
    };
    let sql = format!("UPDATE {table} SET {} WHERE {}{also}", named(&row, ", "), named(&key, " AND "));
    Query::built(sql, row.into_iter().chain(key).map(|(_, value)| value).collect()).hits(tx).await
}

/// Runs a statement around the `VALUES` of many rows and returns its result rows.
pub(super) async fn with_values<T: ReadRow>(
    tx: &mut Tx,
    before: &str,
    rows: Vec<Vec<Value>>,
    after: &str,
) -> Result<Vec<T>> {
    let mut answers = Vec::new();
    for rows in chunks(rows) {
        answers.extend(around_values(|n| tx.parameter(n), before, rows, after).all::<T>(&mut *tx).await?);
    }
    Ok(answers)
}

/// A statement around the `VALUES` of some rows; `parameter` returns the placeholder of the n-th parameter.
pub(super) fn around_values(
    parameter: impl Fn(usize) -> String,
    before: &str,
    rows: Vec<Vec<Value>>,
    after: &str,
) -> Query {
    let (mut sql, mut bound) = (format!("{before}VALUES "), Vec::new());
    for (n, row) in rows.into_iter().enumerate() {
        sql.push_str(if n == 0 { "(" } else { "), (" });
        for (n, value) in row.into_iter().enumerate() {
            bound.push(value);
            sql.push_str(if n == 0 { "" } else { ", " });
            sql.push_str(&parameter(bound.len()));
        }
    }
    sql.push(')');
    sql.push_str(after);
    Query::built(sql, bound)
}

/// Splits rows into chunks of [`SIZES`], in order.
fn chunks<T>(rows: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rows = rows.into_iter();
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        Some(rows.by_ref().take(size).collect())
    })
}

/// The ids that are missing in the result. In the usual case of equal numbers nothing is compared.
pub(super) fn missing<'a, Id: Clone + Eq + Hash + 'a>(
    expected: impl ExactSizeIterator<Item = &'a Id>,
    answers: Vec<Id>,
) -> HashSet<Id> {
    if answers.len() == expected.len() {
        return HashSet::new();
    }
    let answers: HashSet<Id> = answers.into_iter().collect();
    expected.filter(|id| !answers.contains(*id)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_few_sizes_and_none_is_lost() {
        for count in [0, 1, 7, 8, 41, 500] {
            let rows: Vec<usize> = (0..count).collect();
            assert_eq!(chunks(rows.clone()).collect::<Vec<_>>().concat(), rows);
            assert!(chunks(rows).all(|chunk| SIZES.contains(&chunk.len()) && chunk.capacity() <= SIZES[0]));
        }
        assert_eq!(chunks(vec![(); 500]).count(), 15 + 2 + 4);
    }
}
