//! The `groups` table: named sets of hosts, stacks and containers, and the members that people have added to them.
//! Members by label or by the settings file have no row.

use jiff::Timestamp;

use super::query::{On, sql};
use super::read::{ReadRow, Row};
use super::rows::{self, Columns, row};
use super::{Db, Result, Tx};
use crate::domain::group::{Group, GroupSpec, Member};
use crate::domain::ids::{GroupId, OverrideId};
use crate::domain::schedule::Schedule;
use crate::domain::target::Target;

impl ReadRow for Group {
    const TABLE: &'static str = "groups";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            spec: GroupSpec { name: row.get("name")?, colour: row.get("colour")?, note: row.get("note")? },
            id: row.get("id")?,
            source: row.get("source")?,
            rev: row.get("rev")?,
            created_at: row.get("created_ms")?,
            updated_at: row.get("updated_ms")?,
        })
    }
}

impl ReadRow for Member {
    const TABLE: &'static str = "group_members";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            target: row.target()?,
            group: row.get("group_id")?,
            target_name: row.get("target_name")?,
            source: row.get("source")?,
        })
    }
}

/// The columns that an update may change.
fn changeable_columns(group: &Group) -> Columns {
    row![
        "name" => group.spec.name,
        "colour" => group.spec.colour,
        "note" => group.spec.note,
        "rev" => group.rev,
        "updated_ms" => group.updated_at,
    ]
}

/// Adds a group; `false` if the id is taken.
pub async fn insert(tx: &mut Tx, group: &Group) -> Result<bool> {
    let fixed = row!["id" => group.id, "source" => group.source, "created_ms" => group.created_at];
    let row = fixed.into_iter().chain(changeable_columns(group)).collect();
    Ok(rows::insert(tx, "groups", vec![row], " ON CONFLICT DO NOTHING").await? == 1)
}

/// Stores `group` if its stored revision is still `old_rev`; `false` if it is not.
pub async fn update(tx: &mut Tx, group: &Group, old_rev: i64) -> Result<bool> {
    let key = row!["id" => group.id, "rev" => old_rev];
    rows::update(tx, "groups", changeable_columns(group), key, "").await
}

/// Deletes a group and its stored members if its stored revision is still `old_rev`; `false` if it is not.
pub async fn delete(tx: &mut Tx, id: &GroupId, old_rev: i64) -> Result<bool> {
    sql!("DELETE FROM groups WHERE id = $1 AND rev = $2", id, old_rev).hits(tx).await
}

/// All stored groups, ordered by id.
pub async fn all(on: impl Into<On<'_>>) -> Result<Vec<Group>> {
    sql!("SELECT * FROM groups ORDER BY id").all(on).await
}

pub async fn get(on: impl Into<On<'_>>, id: &GroupId) -> Result<Option<Group>> {
    sql!("SELECT * FROM groups WHERE id = $1", id).first(on).await
}

/// The stored members of all groups.
pub async fn members(on: impl Into<On<'_>>) -> Result<Vec<Member>> {
    sql!("SELECT * FROM group_members ORDER BY group_id, host_id, target_type, target_identity").all(on).await
}

/// Adds a member to a stored group; `false` if it is a stored member already.
pub async fn add_member(tx: &mut Tx, member: &Member, now: Timestamp) -> Result<bool> {
    let row = row![
        "group_id" => member.group,
        "host_id" => member.target.host,
        "target_type" => member.target.target_type(),
        "target_identity" => member.target.identity_text(),
        "target_name" => member.target_name,
        "source" => member.source,
        "created_ms" => now,
    ];
    Ok(rows::insert(tx, "group_members", vec![row], " ON CONFLICT DO NOTHING").await? == 1)
}

/// Removes a stored member; `false` if it is none.
pub async fn remove_member(tx: &mut Tx, group: &GroupId, target: &Target) -> Result<bool> {
    let sql = "DELETE FROM group_members WHERE group_id = $1 AND host_id = $2 AND target_type = $3 \
               AND target_identity = $4";
    sql!(sql, group, target.host, target.target_type(), target.identity_text()).hits(tx).await
}

/// The schedules of all groups, oldest first.
pub async fn schedules(db: &Db) -> Result<Vec<Schedule>> {
    let sql = "SELECT s.*, u.name AS owner_name FROM schedules s LEFT JOIN users u ON u.id = s.owner_id \
               WHERE s.target_type = 'group' AND s.deleted_ms IS NULL ORDER BY s.id";
    sql!(sql).all(db).await
}

/// The schedules of one group, oldest first.
pub async fn schedules_of(on: impl Into<On<'_>>, id: &GroupId) -> Result<Vec<Schedule>> {
    let sql = "SELECT s.*, u.name AS owner_name FROM schedules s LEFT JOIN users u ON u.id = s.owner_id \
               WHERE s.target_type = 'group' AND s.target_identity = $1 AND s.deleted_ms IS NULL ORDER BY s.id";
    sql!(sql, id).all(on).await
}

/// Id and reason of each override of a group that is not closed, oldest first.
pub async fn overrides_of(on: impl Into<On<'_>>, id: &GroupId) -> Result<Vec<(OverrideId, String)>> {
    let sql = "SELECT id, reason FROM overrides WHERE target_type = 'group' AND target_identity = $1 \
               AND closed_ms IS NULL ORDER BY id";
    sql!(sql, id).all(on).await
}
