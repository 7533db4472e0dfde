//! The `audit` table: rows are inserted and read, never changed. [`prune`] is the only function that deletes rows.

use jiff::Timestamp;

use super::columns::Json;
use super::conditions::{Conditions, begins, uuid_floor};
use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::audit::AuditRow;
use crate::domain::group::InGroup;
use crate::domain::ids::HostId;
use crate::domain::time::to_ms;

/// Inserts rows.
///
/// # Errors
/// The error of the engine.
pub async fn insert(tx: &mut Tx, rows: Vec<AuditRow>) -> Result<()> {
    let rows = rows.into_iter().map(|row| {
        row![
            "id" => row.id,
            "at_ms" => row.at,
            "actor_kind" => row.actor.kind,
            "actor_id" => row.actor.id,
            "actor_name" => row.actor.name,
            "address" => row.ip,
            "event" => row.event,
            "object_type" => row.object_type,
            "object_id" => row.object_id,
            "object_name" => row.object_name,
            "outcome" => row.outcome,
            "detail" => Json(&row.detail),
        ]
    });
    rows::insert(tx, "audit", rows.collect(), "").await?;
    Ok(())
}

/// The filter of [`list`] and [`activity`]; `None` = any.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditSelection<'a> {
    /// Id of the account that acted.
    pub actor_id: Option<&'a str>,
    /// Name of the account that acted.
    pub actor_name: Option<&'a str>,
    /// Host of the object.
    pub host: Option<&'a HostId>,
    /// Group that the object is in now.
    pub group: Option<&'a InGroup>,
    /// Type of the object.
    pub object_type: Option<&'a str>,
    /// Id of the object.
    pub object_id: Option<&'a str>,
    /// Name of the object.
    pub object_name: Option<&'a str>,
    pub event: Option<&'a str>,
    /// IP address of the request.
    pub ip: Option<&'a str>,
    /// Id of the run to which the row belongs.
    pub run: Option<&'a str>,
    /// Written at or after this instant.
    pub from: Option<Timestamp>,
    /// Written before this instant.
    pub to: Option<Timestamp>,
    /// Older than the row with this id.
    pub before: Option<&'a str>,
    /// Maximum number of rows.
    pub limit: i64,
}

/// The SQL conditions for a filter, without `before` and `limit`.
fn conditions(wanted: &AuditSelection<'_>) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.is("actor_id", wanted.actor_id);
    conditions.is("object_type", wanted.object_type);
    conditions.is("object_id", wanted.object_id);
    conditions.is("event", wanted.event);
    conditions.is("address", wanted.ip);
    for (column, name) in [("actor_name", wanted.actor_name), ("object_name", wanted.object_name)] {
        if let Some(name) = name {
            // The index holds only the first 64 characters of a name, so the first comparison lets the engine use it.
            let name = conditions.bind(name);
            conditions.and(&format!("SUBSTR({column}, 1, 64) = SUBSTR({name}, 1, 64) AND {column} = {name}"));
        }
    }
    if let Some(run) = wanted.run {
        // The detail column holds JSON as `insert` writes it; a run id contains no character that JSON escapes.
        let text = conditions.bind(&format!("\"run_id\":\"{run}\""));
        conditions.and(&contains("detail", &text));
    }
    if let Some(host) = wanted.host {
        let text = conditions.bind(&format!("\"host\":\"{host}\""));
        let named = contains("detail", &text);
        if *host == HostId::local() {
            // Rows of versions that knew one host name none.
            let any = conditions.bind("\"host\":\"");
            let unnamed =
                format!("NOT {} AND object_type IN ('stack', 'container')", contains("detail", &any));
            conditions.and(&format!("({named} OR ({unnamed}))"));
        } else {
            conditions.and(&named);
        }
    }
    if let Some(group) = wanted.group {
        let is_about = about_group(&mut conditions, group);
        conditions.and(&is_about);
    }
    for (instant, sign) in [(wanted.from, ">="), (wanted.to, "<")] {
        if let Some(instant) = instant {
            let bound = conditions.bind(&uuid_floor(instant));
            conditions.and(&format!("id {sign} {bound}"));
        }
    }
    conditions
}

/// SQL condition: the object is the group or in it, or it is a schedule, override or run of something in it.
fn about_group(conditions: &mut Conditions, group: &InGroup) -> String {
    let terms = conditions.group(group);
    // The host of a row is in its detail only; rows of versions that knew one host name none.
    let on = |host: &str| {
        let named = contains("detail", &format!("('\"host\":\"' || {host} || '\"')"));
        format!("({named} OR ({host} = 'local' AND NOT {}))", contains("detail", "'\"host\":\"'"))
    };
    let own = |table: &str, holds: String| {
        format!(
            "(object_type = '{table}' \
             AND EXISTS (SELECT 1 FROM {table}s WHERE {table}s.id = object_id AND {holds}))"
        )
    };
    let mut any = vec![
        format!("(object_type = 'group' AND object_id = {})", terms.id),
        own("schedule", terms.holds("schedules")),
        own("override", terms.holds("overrides")),
        own("run", terms.holds_run()),
    ];
    if let Some(hosts) = &terms.hosts {
        any.push(format!("(object_type = 'host' AND object_id IN (SELECT column1 FROM {hosts}))"));
        any.push(format!(
            "(object_type IN ('stack', 'container', 'order') AND EXISTS (SELECT 1 FROM {hosts} WHERE {}))",
            on("column1")
        ));
    }
    if let Some(members) = &terms.members {
        // The names first: few rows are left for the search in their detail.
        any.push(format!(
            "((object_type, object_id) IN (SELECT column2, column3 FROM {members}) AND EXISTS (SELECT 1 \
             FROM {members} WHERE column2 = object_type AND column3 = object_id AND {}))",
            on("column1")
        ));
    }
    if let Some(stacks) = &terms.stacks {
        any.push(format!(
            "(object_type = 'container' AND EXISTS (SELECT 1 FROM {stacks} WHERE {} AND {}))",
            begins("object_id", "column2"),
            on("column1")
        ));
    }
    format!("({})", any.join(" OR "))
}

/// SQL condition: the column contains the text of the parameter. Unlike LIKE, no character is a wildcard.
fn contains(column: &str, placeholder: &str) -> String {
    format!("(REPLACE({column}, {placeholder}, '') <> {column})")
}

impl ReadRow for AuditRow {
    const TABLE: &'static str = "audit";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            at: row.get("at_ms")?,
            actor: row.actor()?,
            ip: row.get("address")?,
            event: row.get("event")?,
            object_type: row.get("object_type")?,
            object_id: row.get("object_id")?,
            object_name: row.get("object_name")?,
            outcome: row.get("outcome")?,
            detail: row.get::<Json<_>>("detail")?.0,
        })
    }
}

/// The matching rows, newest first.
///
/// # Errors
/// The error of the engine; [`DbError::Damaged`] if a detail is not JSON as [`insert`] writes it.
pub async fn list(db: &Db, wanted: &AuditSelection<'_>) -> Result<Vec<AuditRow>> {
    let mut conditions = conditions(wanted);
    if let Some(before) = wanted.before {
        let bound = conditions.bind(before);
        conditions.and(&format!("id < {bound}"));
    }
    conditions.query("SELECT * FROM audit", &format!("ORDER BY id DESC LIMIT {}", wanted.limit)).all(db).await
}

/// Counts the matching rows in consecutive time ranges of `step_ms` milliseconds from `start` on. Each item is the
/// index of the range (from 0), the number of rows, and the number of rows with the outcome refused, failed, partial or
/// interrupted. Ranges without rows are missing.
pub async fn activity(
    db: &Db,
    wanted: &AuditSelection<'_>,
    start: Timestamp,
    step_ms: i64,
) -> Result<Vec<(usize, i64, i64)>> {
    let conditions = conditions(&AuditSelection {
        from: Some(wanted.from.map_or(start, |from| from.max(start))),
        ..*wanted
    });
    let columns = format!(
        "(at_ms - {}) / {step_ms} AS n, COUNT(*), COALESCE(CAST(SUM(CASE WHEN outcome IN ('refused', 'failed', \
         'partial', 'interrupted') THEN 1 ELSE 0 END) AS BIGINT), 0)",
        to_ms(start)
    );
    let rows =
        conditions.query(&format!("SELECT {columns} FROM audit"), "GROUP BY 1 ORDER BY 1").all(db).await?;
    Ok(rows
        .into_iter()
        .filter_map(|(n, all, bad): (i64, _, _)| Some((usize::try_from(n).ok()?, all, bad)))
        .collect())
}

/// Deletes the rows written before `before` and returns their number. Ids sort by time, so the scan ends at the first
/// row that is not old enough.
pub async fn prune(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    let sql = "DELETE FROM audit WHERE at_ms < $1 AND id < COALESCE((SELECT id FROM audit \
               WHERE at_ms >= $1 ORDER BY id LIMIT 1), 'z')";
    sql!(sql, before).touched(tx).await
}

/// The instant of the newest row.
pub async fn newest(db: &Db) -> Result<Option<Timestamp>> {
    sql!("SELECT at_ms FROM audit ORDER BY id DESC LIMIT 1").first(db).await
}

#[cfg(test)]
mod tests {
    use super::super::engine::Durability;
    use super::*;

    /// Both indexes are partial: each holds only rows with a value in its column.
    #[tokio::test]
    async fn an_account_and_an_address_are_found_by_their_index() {
        let home = tempfile::tempdir().expect("a directory");
        let db = Db::open_sqlite(&home.path().join("docknap.db"), Durability::Full).await.expect("it opens");
        let account = AuditSelection { actor_id: Some("a"), ..AuditSelection::default() };
        let address = AuditSelection { ip: Some("a"), ..AuditSelection::default() };
        for (wanted, index) in [(account, "audit_actor (actor_id=?)"), (address, "audit_address (address=?)")]
        {
            let conditions = conditions(&wanted);
            let query =
                conditions.query("EXPLAIN QUERY PLAN SELECT * FROM audit", "ORDER BY id DESC LIMIT 50");
            let plan: Vec<(i64, i64, i64, String)> = query.all(&db).await.expect("it plans");
            assert_eq!(plan.len(), 1, "nothing is sorted: {plan:?}");
            assert!(plan[0].3.ends_with(index), "{plan:?}");
        }
    }
}
