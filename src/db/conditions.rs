//! The conditions of a list, put together as they are wanted.
//!
//! What is not asked for is not in the text: a planner takes an index for `id < $1`, but not for `$1 IS NULL OR id <
//! $1`. Nothing a caller gives becomes part of the text; each value is a parameter.

/// Conditions with their parameters, all of them texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<String>,
}

impl Conditions {
    /// Takes a value in, and answers its placeholder.
    pub(super) fn bind(&mut self, value: impl Into<String>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Placeholders of several values, for `IN (…)`.
    pub(super) fn bind_all<V: Into<String>>(&mut self, values: impl IntoIterator<Item = V>) -> String {
        values.into_iter().map(|value| self.bind(value)).collect::<Vec<_>>().join(", ")
    }

    /// One more condition that must hold.
    pub(super) fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    /// One more, of a column that must hold a value, where one is wanted.
    pub(super) fn is(&mut self, column: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            let placeholder = self.bind(value);
            self.and(&format!("{column} = {placeholder}"));
        }
    }

    /// The conditions, each after an ` AND `.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// The parameters, in their order.
    pub(super) fn values(&self) -> &[String] {
        &self.values
    }
}

/// Runs a query with the parameters of conditions: `fetch_by!(db, Row, sql, conditions)`.
macro_rules! fetch_by {
    ($db:expr, $row:ty, $sql:expr, $conditions:expr) => {{
        let (sql, values) = (sqlx::AssertSqlSafe($sql), $conditions.values());
        let rows: $crate::db::Result<Vec<$row>> = $crate::db::on_db!($db, pool => {
            let mut query = sqlx::query_as(sql);
            for value in values {
                query = query.bind(value.as_str());
            }
            query.fetch_all(pool)
        })
        .map_err($crate::db::DbError::from);
        rows
    }};
}

pub(super) use fetch_by;

/// The smallest id that could have been made at `ms`: `UUIDv7` begins with 48 bits of milliseconds.
pub(super) fn uuid_floor(ms: i64) -> String {
    let hex = format!("{:012x}", ms.max(0));
    format!("{}-{}-0000-0000-000000000000", &hex[..8], &hex[8..12])
}
