//! The members of groups: those that people added, those of the settings file, and those by label.
//!
//! `docknap.group=evening,lab` puts a container into groups, and `docknap.stack.group` on one of its containers puts a
//! whole stack there. The table `targets` keeps the labels as they were last seen, so that a group has its members while
//! a stack is down and before a host has answered (rulings 50).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{App, Live, Result};
use crate::db;
use crate::db::targets::{KEPT, LabelledTarget};
use crate::docker::Host;
use crate::domain::group::{Colour, Group, GroupSource, GroupSpec, Member, Memberships, label_groups};
use crate::domain::ids::{GroupId, HostId};
use crate::domain::inventory::Inventory;
use crate::domain::inventory::labels::{GROUP, STACK_GROUP};
use crate::domain::target::{ContainerIdentity, Target, unschedulable_name};
use crate::domain::text::chain;

/// Every group by name, and the members of all of them: those that are stored, and those by label and settings file.
pub async fn known(app: &App) -> Result<(Vec<Group>, Vec<Member>)> {
    let members = members(app).await?;
    let mut groups = db::groups::all(&app.db).await?;
    for member in &members {
        if !groups.iter().any(|one| one.id == member.group) {
            groups.push(unstored(app, member));
        }
    }
    groups.sort_by_cached_key(|one| (one.spec.name.to_lowercase(), one.id.clone()));
    Ok((groups, members))
}

/// The members of all groups: stored, by label, by settings file.
async fn members(app: &App) -> Result<Vec<Member>> {
    let mut members = db::groups::members(&app.db).await?;
    members.extend(db::targets::memberships(&app.db).await?);
    members.extend(file_members(app));
    Ok(members)
}

/// The hosts that the settings file puts into groups.
pub fn file_members(app: &App) -> Vec<Member> {
    let of_host = |host: &crate::config::HostSetting| -> Vec<Member> {
        let member = |group: &String| Member {
            group: GroupId::from(group.as_str()),
            target: Target::host(HostId::from(host.id.as_str())),
            target_name: host.name.clone(),
            source: GroupSource::File,
        };
        host.groups.iter().map(member).collect()
    };
    app.config.hosts.iter().flat_map(of_host).collect()
}

/// The group of a member by label or settings file that no row describes.
fn unstored(app: &App, member: &Member) -> Group {
    let since = app.vitals.since();
    Group {
        spec: GroupSpec { name: member.group.to_string(), colour: Colour::default(), note: String::new() },
        id: member.group.clone(),
        source: member.source,
        rev: 0,
        created_at: since,
        updated_at: since,
    }
}

/// Gives hosts the members of groups, by which they find the containers of a group.
pub(super) fn copy_to(hosts: &[Arc<Host>], memberships: &Arc<Memberships>) {
    for host in hosts {
        host.set_groups(memberships);
    }
}

/// Brings the table `targets` in step with the labels of every connected host.
pub(crate) async fn follow(app: &App) -> Result<()> {
    let now = app.clock.now();
    for host in app.hosts.all() {
        let inventory = host.inventory();
        if inventory.is_connected() && app.external_changes.has_new_list(host.id(), &inventory.containers) {
            // A host whose labels cannot be stored must not keep the others from acting.
            if let Err(error) = follow_host(app, &inventory, now).await {
                tracing::error!(host = %host.id(), error = %chain(&error), "the labels for groups cannot be stored");
                continue;
            }
            app.external_changes.list_followed(host.id(), &inventory.containers);
        }
    }
    Ok(())
}

async fn follow_host(app: &App, inventory: &Inventory, now: Timestamp) -> Result<()> {
    let mut seen = labelled(inventory);
    let stored = db::targets::of_host(&app.db, &inventory.host).await?;
    // What is away keeps its labels for a while: a container, or the one of a stack that carries the label.
    for one in &stored {
        // A clock that was set back counts nothing.
        let gone_for = one.gone_at.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
        let is_over = gone_for.is_some_and(|gone| gone > KEPT);
        let away = one.labels.iter().filter(|(carrier, _)| {
            ContainerIdentity::parse(carrier).is_some_and(|carrier| inventory.by_identity(&carrier).is_none())
        });
        let away: Vec<_> = away.filter(|_| !is_over).collect();
        if !away.is_empty() {
            let gone_at = one.gone_at.or(Some(now));
            let new = || LabelledTarget { labels: BTreeMap::new(), gone_at, ..one.clone() };
            let kept = seen.entry(one.target.clone()).or_insert_with(new);
            kept.gone_at = gone_at;
            kept.labels.extend(away.into_iter().map(|(carrier, value)| (carrier.clone(), value.clone())));
        }
    }
    let known: HashMap<&Target, &LabelledTarget> = stored.iter().map(|one| (&one.target, one)).collect();
    let changed: Vec<_> = seen.values().filter(|one| known.get(&one.target) != Some(one)).collect();
    let removed: Vec<_> = stored.iter().filter(|one| !seen.contains_key(&one.target)).collect();
    if changed.is_empty() && removed.is_empty() {
        return Ok(());
    }
    let mut tx = app.db.begin().await?;
    for one in changed {
        db::targets::put(&mut tx, one, now).await?;
    }
    for one in removed {
        db::targets::remove(&mut tx, &one.target).await?;
    }
    tx.commit().await?;
    app.rules_changed(Live::Schedules);
    Ok(())
}

/// The stacks and containers with labels that name groups.
fn labelled(inventory: &Inventory) -> BTreeMap<Target, LabelledTarget> {
    let mut found: BTreeMap<Target, LabelledTarget> = BTreeMap::new();
    let mut add = |target: Target, name: &str, carrier: &ContainerIdentity, value: &str| {
        let identity = target.identity_text();
        if [name, identity.as_str()].into_iter().any(|text| unschedulable_name(text).is_some()) {
            return;
        }
        let new = || LabelledTarget {
            target: target.clone(),
            name: name.to_owned(),
            labels: BTreeMap::new(),
            gone_at: None,
        };
        let words: Vec<String> = label_groups(value).0.into_iter().map(|group| group.0).collect();
        if !words.is_empty() {
            let one = found.entry(target.clone()).or_insert_with(new);
            one.labels.insert(carrier.to_text(), words.join(","));
        }
    };
    for one in inventory.containers.iter().filter(|one| one.is_ordinary()) {
        if let Some(value) = one.labels.get(GROUP) {
            add(one.target(), &one.name, &one.identity, value);
        }
        if let (Some(value), Some(stack)) = (one.labels.get(STACK_GROUP), one.stack()) {
            add(Target::stack(one.host.clone(), stack), stack, &one.identity, value);
        }
    }
    found
}
