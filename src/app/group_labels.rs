//! Membership by label: `docknap.group=evening,lab` puts a container into groups, and `docknap.stack.group` on one of its
//! containers puts a whole stack there.
//!
//! The table `targets` keeps the labels as they were last seen, so that a group has its members while a stack is down
//! and before a host has answered (rulings 50).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::{App, Live, Result};
use crate::db;
use crate::db::targets::{KEPT, LabelledTarget};
use crate::docker::Host;
use crate::domain::group::Memberships;
use crate::domain::inventory::Inventory;
use crate::domain::inventory::labels::{GROUP, STACK_GROUP};
use crate::domain::target::Target;

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
            follow_host(app, &inventory, now).await?;
            app.external_changes.list_followed(host.id(), &inventory.containers);
        }
    }
    Ok(())
}

async fn follow_host(app: &App, inventory: &Inventory, now: Timestamp) -> Result<()> {
    let seen = labelled(inventory);
    let stored = db::targets::of_host(&app.db, &inventory.host).await?;
    let known: HashMap<&Target, &LabelledTarget> = stored.iter().map(|one| (&one.target, one)).collect();
    let changed: Vec<&LabelledTarget> =
        seen.values().filter(|one| known.get(&one.target).is_none_or(|known| *known != *one)).collect();
    let (mut gone, mut removed) = (Vec::new(), Vec::new());
    for one in stored.iter().filter(|one| !seen.contains_key(&one.target)) {
        let is_there = !inventory.members(&one.target.subject).is_empty();
        let is_over = one.gone_at.is_some_and(|at| now.duration_since(at).unsigned_abs() > KEPT);
        if is_there || is_over {
            removed.push(&one.target);
        } else if one.gone_at.is_none() {
            gone.push(LabelledTarget { gone_at: Some(now), ..one.clone() });
        }
    }
    if changed.is_empty() && gone.is_empty() && removed.is_empty() {
        return Ok(());
    }
    let mut tx = app.db.begin().await?;
    for one in changed.iter().copied().chain(&gone) {
        db::targets::put(&mut tx, one, now).await?;
    }
    for target in removed {
        db::targets::remove(&mut tx, target).await?;
    }
    tx.commit().await?;
    app.rules_changed(Live::Schedules);
    Ok(())
}

/// The stacks and containers with labels that name groups.
fn labelled(inventory: &Inventory) -> BTreeMap<Target, LabelledTarget> {
    let mut found: BTreeMap<Target, LabelledTarget> = BTreeMap::new();
    let mut add = |target: Target, name: &str, label: &str, value: &str| {
        let new = || LabelledTarget {
            target: target.clone(),
            name: name.to_owned(),
            labels: BTreeMap::new(),
            gone_at: None,
        };
        let labels = &mut found.entry(target.clone()).or_insert_with(new).labels;
        let known = labels.entry(label.to_owned()).or_default();
        // Several containers may name groups for their stack; each word once, in order.
        let mut words: Vec<&str> = known.split(',').chain(value.split([',', ' '])).collect();
        words.retain(|word| !word.is_empty());
        words.sort_unstable();
        words.dedup();
        *known = words.join(",");
    };
    for one in inventory.containers.iter().filter(|one| one.is_ordinary()) {
        if let Some(value) = one.labels.get(GROUP) {
            add(one.target(), &one.name, GROUP, value);
        }
        if let (Some(value), Some(stack)) = (one.labels.get(STACK_GROUP), one.stack()) {
            add(Target::stack(one.host.clone(), stack), stack, STACK_GROUP, value);
        }
    }
    found
}
