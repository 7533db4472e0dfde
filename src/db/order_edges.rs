//! The `order_edges` table: dependencies between stacks or containers that people have added to the start order.

use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::order::added::AddedEdge;
use crate::domain::target::{Subject, Target};

impl ReadRow for AddedEdge {
    const TABLE: &'static str = "order_edges";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            dependant: row.subject("dependant_type", "dependant_identity")?,
            dependency: row.subject("dependency_type", "dependency_identity")?,
            condition: row.get("condition")?,
            host: row.get("host_id")?,
            dependant_name: row.get("dependant_name")?,
            dependency_name: row.get("dependency_name")?,
            wait_seconds: row.get("wait_s")?,
            author_id: row.get("actor_id")?,
            author: row.get("actor_name")?,
            created_at: row.get("created_ms")?,
            id: row.get("id")?,
        })
    }
}

/// All added dependencies, oldest first.
pub async fn all(db: &Db) -> Result<Vec<AddedEdge>> {
    sql!("SELECT * FROM order_edges ORDER BY id").all(db).await
}

/// Adds a dependency; `false` if the same two already have one.
pub async fn insert(tx: &mut Tx, edge: &AddedEdge) -> Result<bool> {
    let target = |subject: &Subject| Target { host: edge.host.clone(), subject: subject.clone() };
    let (dependant, dependency) = (target(&edge.dependant), target(&edge.dependency));
    let row = row![
        "id" => edge.id,
        "host_id" => edge.host,
        "dependant_type" => dependant.target_type(),
        "dependant_identity" => dependant.identity_text(),
        "dependant_name" => edge.dependant_name,
        "dependency_type" => dependency.target_type(),
        "dependency_identity" => dependency.identity_text(),
        "dependency_name" => edge.dependency_name,
        "condition" => edge.condition,
        "wait_s" => edge.wait_seconds,
        "actor_id" => edge.author_id,
        "actor_name" => edge.author,
        "created_ms" => edge.created_at,
    ];
    Ok(rows::insert(tx, "order_edges", vec![row], " ON CONFLICT DO NOTHING").await? == 1)
}

/// Deletes a dependency; `false` if the id does not exist.
pub async fn remove(tx: &mut Tx, id: &str) -> Result<bool> {
    sql!("DELETE FROM order_edges WHERE id = $1", id).hits(tx).await
}
