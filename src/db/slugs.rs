//! The columns of `schedules` by which rules files name them: the key in a file, the origin, and when the rule left it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::query::sql;
use super::read::{ReadRow, Row};
use super::{Db, Result, Tx};
use crate::domain::ids::ScheduleId;

/// How rules files know a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The key in a file; `None` until the schedule is first written to one.
    pub slug: Option<String>,
    /// When the rule left the watched directory.
    pub gone_at: Option<Timestamp>,
}

impl ReadRow for (ScheduleId, Known) {
    const TABLE: &'static str = "schedules";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok((row.get("id")?, Known { slug: row.get("slug")?, gone_at: row.get("gone_ms")? }))
    }
}

/// What rules files know of every schedule that is not deleted.
pub async fn all(db: &Db) -> Result<HashMap<ScheduleId, Known>> {
    let sql = "SELECT id, slug, gone_ms FROM schedules WHERE deleted_ms IS NULL";
    let rows: Vec<(ScheduleId, Known)> = sql!(sql).all(db).await?;
    Ok(rows.into_iter().collect())
}

/// Stores the key of a schedule.
pub async fn set(tx: &mut Tx, id: &ScheduleId, slug: &str) -> Result<()> {
    sql!("UPDATE schedules SET slug = $1 WHERE id = $2", slug, id).run(tx).await
}

/// Stores when the rule of a schedule left the watched directory; `None` once it is back.
pub async fn set_gone(tx: &mut Tx, id: &ScheduleId, at: Option<Timestamp>) -> Result<()> {
    sql!("UPDATE schedules SET gone_ms = $1 WHERE id = $2", at, id).run(tx).await
}
