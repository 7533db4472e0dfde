//! Groups: named sets of hosts, stacks and containers, across hosts. Admins create groups and add members in the page
//! or by the API; labels and the settings file name members too. A group that only they name has no row until somebody
//! changes it.

mod draft;
mod view;

pub use draft::{GroupDraft, MemberDraft};
pub use view::{Candidate, Figures, GroupView, MemberView, NextOfGroup, candidates, get, list};

use super::audit::Audit;
use super::memberships::known;
use super::{Actor, App, Error, Live, Result};
use crate::db::{self, Tx};
use crate::domain::audit::Change;
use crate::domain::group::{Group, GroupSource, GroupSpec, Member};
use crate::domain::ids::{GroupId, OverrideId};
use crate::domain::permission::Permission;
use crate::domain::schedule::Schedule;
use crate::domain::target::Target;
use crate::domain::text::shorten;

/// Maximum number of schedules and overrides that a refusal lists; the others are only counted.
const NAMED: usize = 5;

/// Whether a group has a row. One that only a label or the settings file names has none.
pub(super) fn is_stored(group: &Group) -> bool {
    group.rev > 0
}

/// Creates a group.
///
/// # Errors
/// [`Error::Invalid`] with every field that is wrong; nothing is stored then.
pub async fn create(app: &App, actor: &Actor, draft: &GroupDraft, source: GroupSource) -> Result<Group> {
    actor.require(Permission::Administer)?;
    let (known, _) = known(app).await?;
    let group = planned(app, draft, None, &known, source)?;
    let mut tx = app.db.begin().await?;
    put_in(&mut tx, app, actor, None, &group).await?;
    tx.commit().await?;
    app.rules_changed(Live::Schedules);
    Ok(group)
}

/// The group of a draft, in the place of `old` where there is one; nothing is stored. A new one has `source`.
pub(super) fn planned(
    app: &App,
    draft: &GroupDraft,
    old: Option<&Group>,
    known: &[Group],
    source: GroupSource,
) -> Result<Group> {
    let (id, spec) = draft::check(draft, old, known)?;
    let now = app.clock.now();
    Ok(match old {
        None => Group { id, spec, source, rev: 1, created_at: now, updated_at: now },
        Some(old) => Group { spec, rev: old.rev + 1, updated_at: now, ..old.clone() },
    })
}

/// Stores a group in the place of `old`, which may have no row.
pub(super) async fn put_in(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    old: Option<&Group>,
    new: &Group,
) -> Result<()> {
    let is_done = match old {
        Some(old) if is_stored(old) => db::groups::update(tx, new, old.rev).await?,
        _ => db::groups::insert(tx, new).await?,
    };
    let event = match old {
        None if !is_done => {
            return Err(Error::field("id", "another group has this id; choose another one"));
        }
        Some(_) if !is_done => return Err(stale(tx, &new.id).await?),
        None => "group.create",
        Some(_) => "group.update",
    };
    record(tx, app, actor, event, new, changes(old.map(|old| &old.spec), Some(&new.spec))).await
}

/// The fields that differ between two versions of a group.
pub(super) fn changed_fields(old: &Group, new: &Group) -> Vec<Change> {
    changes(Some(&old.spec), Some(&new.spec))
}

/// Replaces the settings of a group; fields missing in the draft become empty. Its id and its members stay.
///
/// # Errors
/// As [`create`]; [`Error::NotFound`]; [`Error::Stale`] where `rev` is not the stored revision.
pub async fn update(
    app: &App,
    actor: &Actor,
    id: &GroupId,
    draft: &GroupDraft,
    rev: Option<i64>,
) -> Result<Group> {
    actor.require(Permission::Administer)?;
    let (known, _) = known(app).await?;
    let old = found(&known, id, rev)?;
    let new = planned(app, draft, Some(&old), &known, old.source)?;
    let mut tx = app.db.begin().await?;
    put_in(&mut tx, app, actor, Some(&old), &new).await?;
    tx.commit().await?;
    app.rules_changed(Live::Schedules);
    Ok(new)
}

/// Deletes a group that no schedule and no override is for. Its stored members leave it; nothing else changes for them.
///
/// # Errors
/// As [`update`]; [`Error::Conflict`] with the schedules and overrides of the group, and for a group that only a label
/// or the settings file names.
pub async fn delete(app: &App, actor: &Actor, id: &GroupId, rev: Option<i64>) -> Result<()> {
    actor.require(Permission::Administer)?;
    let (known, _) = known(app).await?;
    let old = found(&known, id, rev)?;
    require_stored(&old)?;
    let mut tx = app.db.begin().await?;
    delete_in(&mut tx, app, actor, &old).await?;
    tx.commit().await?;
    app.rules_changed(Live::Schedules);
    Ok(())
}

/// Deletes a stored group that no schedule and no override is for.
pub(super) async fn delete_in(tx: &mut Tx, app: &App, actor: &Actor, old: &Group) -> Result<()> {
    let schedules = db::groups::schedules_of(&mut *tx, &old.id).await?;
    require_unused(schedules, db::groups::overrides_of(&mut *tx, &old.id).await?)?;
    if !db::groups::delete(tx, &old.id, old.rev).await? {
        return Err(stale(tx, &old.id).await?);
    }
    record(tx, app, actor, "group.delete", old, changes(Some(&old.spec), None)).await
}

/// Checks that a group may be deleted and returns the group.
///
/// # Errors
/// As [`delete`].
pub async fn deletable(app: &App, actor: &Actor, id: &GroupId) -> Result<GroupView> {
    actor.require(Permission::Administer)?;
    let view = get(app, actor, id).await?;
    require_stored(&view.group)?;
    let schedules = db::groups::schedules_of(&app.db, id).await?;
    require_unused(schedules, db::groups::overrides_of(&app.db, id).await?)?;
    Ok(view)
}

/// Adds a host, stack or container to a group. One that has been added before stays as it is.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for the field that is wrong; nothing is stored then.
pub async fn add_member(
    app: &App,
    actor: &Actor,
    id: &GroupId,
    draft: &MemberDraft,
    source: GroupSource,
) -> Result<Member> {
    actor.require(Permission::Administer)?;
    let (known, _) = known(app).await?;
    let group = found(&known, id, None)?;
    let (target, target_name) = draft::target(app, draft)?;
    let member = Member { group: id.clone(), target, target_name, source };
    let mut tx = app.db.begin().await?;
    if !is_stored(&group) {
        // Members need a row of their group. Where somebody else has just added it, that one stays.
        db::groups::insert(&mut tx, &Group { rev: 1, ..group.clone() }).await?;
    } else if db::groups::get(&mut tx, id).await?.is_none() {
        return Err(not_found(id));
    }
    if add_member_in(&mut tx, app, actor, &group, &member).await? {
        tx.commit().await?;
        app.rules_changed(Live::Schedules);
    }
    Ok(member)
}

/// Adds a member to a group that has a row; `false` where it is a stored member already.
pub(super) async fn add_member_in(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    group: &Group,
    member: &Member,
) -> Result<bool> {
    if !db::groups::add_member(tx, member, app.clock.now()).await? {
        return Ok(false);
    }
    let change = Change::to("member", shown(&member.target, &member.target_name));
    record(tx, app, actor, "group.add_member", group, vec![change]).await?;
    Ok(true)
}

/// Removes a stored member of a group; `false` where it is none.
pub(super) async fn remove_member_in(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    group: &Group,
    (target, name): (&Target, &str),
) -> Result<bool> {
    if !db::groups::remove_member(tx, &group.id, target).await? {
        return Ok(false);
    }
    let change = Change { field: "member".to_owned(), old: Some(shown(target, name)), new: None };
    record(tx, app, actor, "group.remove_member", group, vec![change]).await?;
    Ok(true)
}

/// Removes a host, stack or container from a group. It need not be there any more.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for a field that names no member, or several; [`Error::Conflict`] for a
/// member by label or settings file.
pub async fn remove_member(
    app: &App,
    actor: &Actor,
    id: &GroupId,
    draft: &MemberDraft,
) -> Result<MemberView> {
    actor.require(Permission::Administer)?;
    let view = get(app, actor, id).await?;
    let member = named(&view, draft)?;
    if let (false, Some(by)) = (member.is_removable(), member.fixed_by()) {
        let what = if by == "docknap.toml" { "docknap.toml" } else { "the label" };
        return Err(Error::conflict(
            "member_by_label_or_file",
            format!("`{by}` makes it a member; change {what} instead"),
        ));
    }
    let mut tx = app.db.begin().await?;
    let named = (&member.target, member.name.as_str());
    if remove_member_in(&mut tx, app, actor, &view.group, named).await? {
        tx.commit().await?;
        app.rules_changed(Live::Schedules);
    }
    Ok(member.clone())
}

/// The member that a draft names by its name, key or stored identity.
fn named<'a>(view: &'a GroupView, draft: &MemberDraft) -> Result<&'a MemberView> {
    let Some(target_type) = draft::member_type(draft) else {
        return Err(Error::field("target_type", "use host, stack or container"));
    };
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let (host, name) = (filled(&draft.host), filled(&draft.target_id));
    let Some(name) = name.or_else(|| host.clone()) else {
        return Err(Error::field("target_id", "say which one"));
    };
    let is_it = |member: &&MemberView| {
        let target = &member.target;
        target.target_type() == target_type
            && host.as_deref().is_none_or(|host| host.trim() == target.host.as_str())
            && [member.id_text(), target.key(), target.identity_text()].contains(&name)
    };
    let mut found = view.members.iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(member), None) => Ok(member),
        (None, _) => Err(Error::field(
            "target_id",
            format!("the group has no {target_type} `{}` as a member", shorten(&name)),
        )),
        (Some(one), Some(other)) => {
            let hosts = format!("{} and {}", one.target.host, other.target.host);
            Err(Error::field("host", format!("members on several hosts are called so ({hosts}); say which")))
        }
    }
}

/// A member in the audit log.
pub(super) fn shown(target: &Target, name: &str) -> String {
    if target.is_wide() {
        return format!("host {name}");
    }
    format!("{} {name} on {}", target.target_type(), target.host)
}

/// Refuses to delete a group with schedules or overrides, which it names.
fn require_unused(schedules: Vec<Schedule>, overrides: Vec<(OverrideId, String)>) -> Result<()> {
    let schedules = schedules.into_iter().map(|schedule| format!("the schedule “{}”", schedule.title()));
    let overrides = overrides.into_iter().map(|(_, reason)| format!("the override “{reason}”"));
    let all: Vec<String> = schedules.chain(overrides).collect();
    if all.is_empty() {
        return Ok(());
    }
    let more = match all.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (verb, them) = if all.len() == 1 { ("is", "it") } else { ("are", "them") };
    let named = all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let message = format!("for this group there {verb} {named}{more}; end or delete {them} first");
    Err(Error::conflict("group_in_use", message))
}

fn require_stored(group: &Group) -> Result<()> {
    let whose = match group.source {
        _ if is_stored(group) => return Ok(()),
        GroupSource::File => "`groups` in docknap.toml names this group; change it there",
        _ => "only labels name this group; it goes with the last of them",
    };
    Err(Error::conflict("read_only", whose))
}

fn not_found(id: &GroupId) -> Error {
    Error::not_found("group", shorten(id.as_str()))
}

/// The group with this id and, where one is given, this revision.
fn found(known: &[Group], id: &GroupId, rev: Option<i64>) -> Result<Group> {
    let group = known.iter().find(|one| one.id == *id).ok_or_else(|| not_found(id))?;
    match rev {
        Some(rev) if rev != group.rev => Err(Error::Stale { current_rev: group.rev }),
        _ => Ok(group.clone()),
    }
}

/// The error of an update or deletion whose revision did not match.
async fn stale(tx: &mut Tx, id: &GroupId) -> Result<Error> {
    Ok(match db::groups::get(tx, id).await? {
        Some(group) => Error::Stale { current_rev: group.rev },
        None => not_found(id),
    })
}

async fn record(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    event: &str,
    group: &Group,
    changes: Vec<Change>,
) -> Result<()> {
    let row = Audit::new(app, actor, event).object("group", Some(group.id.as_str()), &group.spec.name);
    row.changes(changes).store(tx).await
}

/// The fields that differ.
fn changes(old: Option<&GroupSpec>, new: Option<&GroupSpec>) -> Vec<Change> {
    const FIELDS: [&str; 3] = ["name", "colour", "note"];
    let values = |spec: &GroupSpec| -> [Option<String>; FIELDS.len()] {
        let note = Some(spec.note.clone()).filter(|note| !note.is_empty());
        [Some(spec.name.clone()), Some(spec.colour.to_string()), note]
    };
    let (old, new) = (old.map(values).unwrap_or_default(), new.map(values).unwrap_or_default());
    let pairs = FIELDS.into_iter().zip(old.into_iter().zip(new));
    Change::between(pairs.map(|(field, (old, new))| (field, old, new)))
}
