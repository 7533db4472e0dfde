//! What others were last seen to do to containers: kept, so that a reason is never a guess (rulings 33, 46).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::{App, Live, Result};
use crate::db;
use crate::docker::{ContainerEvent, Host};
use crate::domain::inventory::ContainerState;
use crate::domain::nap::Naps;
use crate::domain::target::{ContainerIdentity, Target};
use crate::domain::trace::{Did, Trace};

/// Hands what was seen earlier to the hosts. Before anything acts.
///
/// # Errors
/// Where the database cannot be read: nothing may act then.
pub async fn restore(app: &App) -> Result<()> {
    for host in app.hosts.all() {
        host.set_traces(Arc::new(db::traces::of_host(&app.db, host.id()).await?));
    }
    Ok(())
}

/// Keeps what others did, in the order in which it happened. A nap of what somebody started or unpaused is over.
///
/// What runs on is not written down: only of what is down a page says who ended it. Nor is what Docker removes by
/// itself.
pub(crate) async fn keep(app: &App, host: &Host, sightings: &[ContainerEvent], naps: &Naps) -> Result<()> {
    let inventory = host.inventory();
    let mut new: BTreeMap<ContainerIdentity, (Trace, bool)> = BTreeMap::new();
    let mut woken: BTreeSet<&ContainerIdentity> = BTreeSet::new();
    for sighting in sightings {
        let identity = &sighting.identity;
        let Some(container) = inventory.by_identity(identity).filter(|one| !one.auto_remove) else {
            continue;
        };
        let before = new.get(identity).map(|(trace, _)| trace).or_else(|| inventory.traces.get(identity));
        if let Some(trace) =
            Trace::after(before, &sighting.action, &sighting.id, sighting.told_at, sighting.at)
        {
            if matches!(trace.did, Did::Started | Did::Unpaused)
                && naps.get(identity).is_some_and(|nap| nap.since < trace.at)
            {
                woken.insert(identity);
            }
            let is_down = !container.state.is_up() || container.state == ContainerState::Paused;
            new.insert(identity.clone(), (trace, is_down));
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    if !woken.is_empty() || new.values().any(|(_, is_down)| *is_down) {
        let mut tx = app.db.begin().await?;
        for (identity, (trace, _)) in new.iter().filter(|(_, (_, is_down))| *is_down) {
            db::traces::put(&mut tx, host.id(), identity, trace).await?;
        }
        for identity in woken {
            db::naps::remove(&mut tx, host.id(), identity).await?;
        }
        tx.commit().await?;
    }
    let mut all = (*inventory.traces).clone();
    let changed: Vec<ContainerIdentity> = new.keys().cloned().collect();
    all.extend(new.into_iter().map(|(identity, (trace, _))| (identity, trace)));
    host.set_traces(Arc::new(all));
    for identity in changed {
        app.bus.send(Live::Target(Target::container(host.id().clone(), identity)));
    }
    Ok(())
}

/// Forgets what was done to containers that are gone.
pub(crate) async fn sweep(app: &App) -> Result<()> {
    for host in app.hosts.all() {
        let inventory = host.inventory();
        if !inventory.is_connected() {
            continue;
        }
        let there: HashSet<&ContainerIdentity> =
            inventory.containers.iter().map(|one| &one.identity).collect();
        let mut kept = (*inventory.traces).clone();
        kept.retain(|identity, _| there.contains(identity));
        if kept.len() < inventory.traces.len() {
            let mut tx = app.db.begin().await?;
            for identity in inventory.traces.keys().filter(|identity| !kept.contains_key(*identity)) {
                db::traces::remove(&mut tx, host.id(), identity).await?;
            }
            tx.commit().await?;
            host.set_traces(Arc::new(kept));
        }
    }
    Ok(())
}
