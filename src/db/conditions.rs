//! The conditions of a list, put together as they are wanted.
//!
//! What is not asked for is not in the text: a planner takes an index for `id < $1`, but not for `$1 IS NULL OR id <
//! $1`. Nothing a caller gives becomes part of the text; each value is a parameter.

use jiff::Timestamp;

use super::columns::{Bind, Value};
use super::query::Query;
use crate::domain::time::to_ms;

/// Conditions with their parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// Takes a value in, and answers its placeholder.
    pub(super) fn bind(&mut self, value: &(impl Bind + ?Sized)) -> String {
        self.values.push(value.value());
        format!("${}", self.values.len())
    }

    /// Placeholders of several values, for `IN (…)`.
    pub(super) fn bind_all<V: Bind>(&mut self, values: impl IntoIterator<Item = V>) -> String {
        values.into_iter().map(|value| self.bind(&value)).collect::<Vec<_>>().join(", ")
    }

    /// One more condition that must hold.
    pub(super) fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    /// One more, of a column that must hold a value, where one is wanted.
    pub(super) fn is(&mut self, column: &str, value: Option<impl Bind>) {
        self.compare(column, "=", value);
    }

    /// One more, of a column on one side of a value, where one is wanted.
    pub(super) fn compare(&mut self, column: &str, sign: &str, value: Option<impl Bind>) {
        if let Some(value) = value {
            let placeholder = self.bind(&value);
            self.and(&format!("{column} {sign} {placeholder}"));
        }
    }

    /// The conditions, each after an ` AND `.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// The statement around these conditions.
    pub(super) fn query(self, before: &str, after: &str) -> Query {
        let sql = format!("{before} WHERE TRUE{} {after}", self.sql);
        self.built(sql)
    }

    /// A statement with these parameters.
    pub(super) fn built(self, sql: String) -> Query {
        Query::built(sql, self.values)
    }
}

/// The smallest id that could have been made at an instant: `UUIDv7` begins with 48 bits of milliseconds.
pub(super) fn uuid_floor(at: Timestamp) -> String {
    let hex = format!("{:012x}", to_ms(at).max(0));
    format!("{}-{}-0000-0000-000000000000", &hex[..8], &hex[8..12])
}
