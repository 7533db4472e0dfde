//! Edges that people add to the order of containers.

use super::rows::{self, row};
use super::{Db, DbError, Result, Tx, exec_tx, on_db};
use crate::domain::ids::HostId;
use crate::domain::order::added::AddedEdge;
use crate::domain::run::Condition;
use crate::domain::target::{Subject, Target};
use crate::domain::time::{from_ms, to_ms};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    host_id: String,
    dependant_type: String,
    dependant_identity: String,
    dependant_name: String,
    dependency_type: String,
    dependency_identity: String,
    dependency_name: String,
    condition: String,
    wait_s: Option<i64>,
    actor_id: Option<String>,
    actor_name: String,
    created_ms: i64,
}

impl TryFrom<Row> for AddedEdge {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self> {
        let damaged =
            |what: &str| DbError::Damaged { table: "order_edges", id: row.id.clone(), what: what.to_owned() };
        let side = |kind: &str, identity: &str| {
            Target::from_columns(&row.host_id, kind, identity).map(|target| target.subject)
        };
        Ok(Self {
            dependant: side(&row.dependant_type, &row.dependant_identity)
                .ok_or_else(|| damaged("its dependant"))?,
            dependency: side(&row.dependency_type, &row.dependency_identity)
                .ok_or_else(|| damaged("its dependency"))?,
            condition: Condition::parse(&row.condition).ok_or_else(|| damaged("its condition"))?,
            host: HostId(row.host_id.clone()),
            dependant_name: row.dependant_name,
            dependency_name: row.dependency_name,
            wait_seconds: row.wait_s,
            author_id: row.actor_id,
            author: row.actor_name,
            created_at: from_ms(row.created_ms),
            id: row.id,
        })
    }
}

/// All edges, oldest first.
pub async fn all(db: &Db) -> Result<Vec<AddedEdge>> {
    let rows: Vec<Row> =
        on_db!(db, pool => sqlx::query_as("SELECT * FROM order_edges ORDER BY id").fetch_all(pool))?;
    rows.into_iter().map(AddedEdge::try_from).collect()
}

/// Adds an edge; `false` where there is one between the same two.
pub async fn insert(tx: &mut Tx, edge: &AddedEdge) -> Result<bool> {
    let target = |subject: &Subject| Target { host: edge.host.clone(), subject: subject.clone() };
    let (dependant, dependency) = (target(&edge.dependant), target(&edge.dependency));
    let row = row![
        "id" => &edge.id,
        "host_id" => edge.host.as_str(),
        "dependant_type" => dependant.target_type().as_str(),
        "dependant_identity" => dependant.identity_text(),
        "dependant_name" => &edge.dependant_name,
        "dependency_type" => dependency.target_type().as_str(),
        "dependency_identity" => dependency.identity_text(),
        "dependency_name" => &edge.dependency_name,
        "condition" => edge.condition.as_str(),
        "wait_s" => edge.wait_seconds,
        "actor_id" => edge.author_id.as_deref(),
        "actor_name" => &edge.author,
        "created_ms" => to_ms(edge.created_at),
    ];
    Ok(rows::insert(tx, "order_edges", vec![row], " ON CONFLICT DO NOTHING").await? == 1)
}

/// Takes an edge away; `false` where there is none of that id.
pub async fn remove(tx: &mut Tx, id: &str) -> Result<bool> {
    Ok(exec_tx!(tx, "DELETE FROM order_edges WHERE id = $1", id)? == 1)
}
