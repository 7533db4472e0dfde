//! The `targets` table: stacks and containers whose labels name groups, as they were last seen. A group keeps its
//! members while they are away and before a host has answered (rulings 50).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::columns::Json;
use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::group::{GroupSource, Member, label_groups};
use crate::domain::ids::HostId;
use crate::domain::target::Target;

/// The time for which a target that is gone stays a member.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A stack or container with labels that name groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledTarget {
    pub target: Target,
    pub name: String,
    /// The groups that its label names, with commas between them, by the identity of the container that carries the label.
    pub labels: BTreeMap<String, String>,
    /// When a container that carries the label was found missing; `None` while all are there.
    pub gone_at: Option<Timestamp>,
}

impl ReadRow for LabelledTarget {
    const TABLE: &'static str = "targets";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            target: row.target()?,
            name: row.get("target_name")?,
            labels: row.get::<Json<_>>("labels")?.0,
            gone_at: row.get("gone_ms")?,
        })
    }
}

/// The targets of one host.
pub async fn of_host(db: &Db, host: &HostId) -> Result<Vec<LabelledTarget>> {
    sql!("SELECT * FROM targets WHERE host_id = $1", host).all(db).await
}

/// The members of groups by label.
pub async fn memberships(db: &Db) -> Result<Vec<Member>> {
    let all: Vec<LabelledTarget> =
        sql!("SELECT * FROM targets ORDER BY host_id, target_type, target_identity").all(db).await?;
    let members = all.into_iter().flat_map(|one| {
        let groups = one.labels.values().flat_map(|value| label_groups(value).0).collect::<Vec<_>>();
        groups.into_iter().map(move |group| Member {
            group,
            target: one.target.clone(),
            target_name: one.name.clone(),
            source: GroupSource::Label,
        })
    });
    Ok(members.collect())
}

/// Stores a target as it was seen at `now`; an existing one is replaced.
pub async fn put(tx: &mut Tx, one: &LabelledTarget, now: Timestamp) -> Result<()> {
    let key = row![
        "host_id" => one.target.host,
        "target_type" => one.target.target_type(),
        "target_identity" => one.target.identity_text(),
    ];
    let rest = row![
        "target_name" => one.name,
        "labels" => Json(&one.labels),
        "last_seen_ms" => now,
        "gone_ms" => one.gone_at,
    ];
    rows::put(tx, "targets", key, rest).await
}

/// Deletes a target: it is there without such labels, or has been gone for too long.
pub async fn remove(tx: &mut Tx, target: &Target) -> Result<()> {
    let sql = "DELETE FROM targets WHERE host_id = $1 AND target_type = $2 AND target_identity = $3";
    sql!(sql, target.host, target.target_type(), target.identity_text()).run(tx).await
}
