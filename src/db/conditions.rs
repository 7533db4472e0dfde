//! SQL conditions of a list, built from the filters that the caller sets.
//!
//! Filters that are not set do not appear in the text: a query planner uses an index for `id < $1`, but not for `$1 IS
//! NULL OR id < $1`. Values from the caller are always parameters, never part of the text.

use jiff::Timestamp;

use super::columns::{Bind, Value};
use super::query::Query;
use crate::domain::group::{Area, InGroup};
use crate::domain::target::{ContainerIdentity, Subject, Target};
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

    /// Adds the members of a group as parameters, for any number of conditions.
    pub(super) fn group(&mut self, group: &InGroup) -> GroupTerms {
        let (hosts, narrow): (Vec<&Target>, Vec<&Target>) =
            group.members().into_iter().partition(|member| matches!(member.subject, Subject::Host));
        let stacks = narrow.iter().filter_map(|member| match &member.subject {
            Subject::Stack(name) => {
                let host = member.host.to_string();
                Some([host, ContainerIdentity::prefix_of_stack(name), format!("{name}\n")])
            }
            _ => None,
        });
        let stacks: Vec<_> = stacks.collect();
        let members = narrow.iter().map(|member| {
            [member.host.to_string(), member.target_type().to_string(), member.identity_text()]
        });
        GroupTerms {
            id: self.bind(&group.id),
            hosts: self.rows(hosts.iter().map(|member| [member.host.to_string()])),
            members: self.rows(members),
            stacks: self.rows(stacks),
        }
    }

    /// Adds the condition that the target in the columns of a table belongs to a part of everything.
    pub(super) fn within(&mut self, table: &str, area: &Area) {
        self.is(&format!("{table}.host_id"), area.host.as_ref());
        if let Some(group) = &area.group {
            let holds = self.group(group).holds(table);
            self.and(&holds);
        }
    }

    /// Adds the texts of several rows as parameters and returns a `VALUES` of them; `None` without rows.
    fn rows<const N: usize>(&mut self, rows: impl IntoIterator<Item = [String; N]>) -> Option<String> {
        let rows: Vec<String> = rows.into_iter().map(|row| format!("({})", self.bind_all(row))).collect();
        (!rows.is_empty()).then(|| format!("(VALUES {}) AS member", rows.join(", ")))
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

/// The members of a group in the parameters of a statement, each as a table `member` with the columns `column1` and so
/// on; `None` without such members.
#[derive(Clone, Debug)]
pub(super) struct GroupTerms {
    /// The placeholder of the group's id.
    pub id: String,
    /// Whole hosts.
    pub hosts: Option<String>,
    /// Stacks and containers: host, type and identity.
    pub members: Option<String>,
    /// Stacks: host, and what the identities of their containers and of their services begin with.
    pub stacks: Option<String>,
}

impl GroupTerms {
    /// The condition that the target in the columns `host_id`, `target_type` and `target_identity` of a table is in the
    /// group.
    pub(super) fn holds(&self, table: &str) -> String {
        let [host, kind, identity] =
            ["host_id", "target_type", "target_identity"].map(|column| format!("{table}.{column}"));
        let hosts = self.hosts.as_ref().map(|hosts| {
            format!("({kind} IN ('host', 'stack', 'container') AND {host} IN (SELECT column1 FROM {hosts}))")
        });
        let members = self
            .members
            .as_ref()
            .map(|members| format!("({host}, {kind}, {identity}) IN (SELECT * FROM {members})"));
        let containers = self.stacks.as_ref().map(|stacks| {
            format!(
                "EXISTS (SELECT 1 FROM {stacks} WHERE column1 = {host} \
                 AND ({kind} = 'container' AND {} OR {kind} = 'stack' AND {}))",
                begins(&identity, "column2"),
                begins(&identity, "column3")
            )
        });
        let itself = format!("({kind} = 'group' AND {identity} = {})", self.id);
        let any: Vec<String> =
            std::iter::once(itself).chain(hosts).chain(members).chain(containers).collect();
        format!("({})", any.join(" OR "))
    }

    /// The condition that a row of `runs` has such a target, or was made by a schedule of the group.
    pub(super) fn holds_run(&self) -> String {
        format!(
            "({} OR runs.schedule_id IN (SELECT id FROM schedules \
             WHERE host_id = '' AND target_type = 'group' AND target_identity = {}))",
            self.holds("runs"),
            self.id
        )
    }
}

/// The condition that a text begins with another one, without regard to collation.
pub(super) fn begins(text: &str, with: &str) -> String {
    format!("SUBSTR({text}, 1, LENGTH({with})) = {with}")
}

/// The smallest possible id of the rows created at an instant: a `UUIDv7` begins with 48 bits of milliseconds.
pub(super) fn uuid_floor(at: Timestamp) -> String {
    let hex = format!("{:012x}", to_ms(at).max(0));
    format!("{}-{}-0000-0000-000000000000", &hex[..8], &hex[8..12])
}
