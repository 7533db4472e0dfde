//! SQL conditions of a list, built from the filters that the caller sets.
//!
//! Filters that are not set do not appear in the text: a query planner uses an index for `id < $1`, but not for `$1 IS
//! NULL OR id < $1`. Values from the caller are always parameters, never part of the text.

use jiff::Timestamp;

use super::columns::{Bind, Value};
use super::query::Query;
use crate::domain::time::to_ms;

/// Conditions and their parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a parameter and returns its placeholder.
    pub(super) fn bind(&mut self, value: &(impl Bind + ?Sized)) -> String {
        self.values.push(value.value());
        format!("${}", self.values.len())
    }

    /// Adds several parameters and returns their placeholders, separated by commas, for `IN (…)`.
    pub(super) fn bind_all<V: Bind>(&mut self, values: impl IntoIterator<Item = V>) -> String {
        values.into_iter().map(|value| self.bind(&value)).collect::<Vec<_>>().join(", ")
    }

    /// Adds a condition, joined with AND.
    pub(super) fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    /// Adds the condition `column = value`, if there is a value.
    pub(super) fn is(&mut self, column: &str, value: Option<impl Bind>) {
        self.compare(column, "=", value);
    }

    /// Adds the condition `column sign value`, if there is a value.
    pub(super) fn compare(&mut self, column: &str, sign: &str, value: Option<impl Bind>) {
        if let Some(value) = value {
            let placeholder = self.bind(&value);
            self.and(&format!("{column} {sign} {placeholder}"));
        }
    }

    /// The text of the conditions, each preceded by ` AND `.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// A statement of `before`, the WHERE clause and `after`.
    pub(super) fn query(self, before: &str, after: &str) -> Query {
        let sql = format!("{before} WHERE TRUE{} {after}", self.sql);
        self.built(sql)
    }

    /// A statement with a text of its own and these parameters.
    pub(super) fn built(self, sql: String) -> Query {
        Query::built(sql, self.values)
    }
}

/// The smallest possible id of the rows created at an instant: a `UUIDv7` begins with 48 bits of milliseconds.
pub(super) fn uuid_floor(at: Timestamp) -> String {
    let hex = format!("{:012x}", to_ms(at).max(0));
    format!("{}-{}-0000-0000-000000000000", &hex[..8], &hex[8..12])
}
