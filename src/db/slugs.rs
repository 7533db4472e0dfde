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
    /// Why DockNap switched the schedule off; `None` if it did not.
    pub off_reason: Option<String>,
}

impl ReadRow for (ScheduleId, Known) {
    const TABLE: &'static str = "schedules";

    fn read(row: &Row<'_>) -> Result<Self> {
        let (slug, gone_at, off_reason) = (row.get("slug")?, row.get("gone_ms")?, row.get("off_reason")?);
        Ok((row.get("id")?, Known { slug, gone_at, off_reason }))
    }
}

/// What rules files know of every schedule that is not deleted.
pub async fn all(db: &Db) -> Result<HashMap<ScheduleId, Known>> {
    let sql = "SELECT id, slug, gone_ms, off_reason FROM schedules WHERE deleted_ms IS NULL";
    let rows: Vec<(ScheduleId, Known)> = sql!(sql).all(db).await?;
    Ok(rows.into_iter().collect())
}

/// Stores the key of a schedule.
pub async fn set(tx: &mut Tx, id: &ScheduleId, slug: &str) -> Result<()> {
    sql!("UPDATE schedules SET slug = $1 WHERE id = $2", slug, id).run(tx).await
}

/// Stores that the rule of a schedule left the watched directory, and whether that switched the schedule off.
pub async fn set_gone(tx: &mut Tx, id: &ScheduleId, at: Timestamp, is_switched_off: bool) -> Result<()> {
    let reason = is_switched_off.then_some("gone");
    sql!("UPDATE schedules SET gone_ms = $1, off_reason = $2 WHERE id = $3", at, reason, id).run(tx).await
}

/// Stores that the rule of a schedule is there.
pub async fn set_back(tx: &mut Tx, id: &ScheduleId) -> Result<()> {
    sql!("UPDATE schedules SET gone_ms = NULL, off_reason = NULL WHERE id = $1", id).run(tx).await
}
