//! Traces: the latest change of each container by others (people or Docker), stored so that the reason for a state
//! never has to be guessed (rulings 33, 46). The scheduler adds traces, and pages show them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::{App, Live, Result};
use crate::db;
use crate::docker::{ContainerEvent, Host};
use crate::domain::inventory::ContainerState;
use crate::domain::nap::Naps;
use crate::domain::target::{ContainerIdentity, Target};
use crate::domain::trace::{Did, Trace};

/// Copies the stored traces to new hosts. Must run before the first action.
///
/// # Errors
/// Database errors; no action may follow then.
pub(super) async fn copy_to(app: &App, hosts: &[Arc<Host>]) -> Result<()> {
    for host in hosts {
        host.set_traces(Arc::new(db::traces::of_host(&app.db, host.id()).await?));
    }
    Ok(())
}

/// Stores the traces of new events in the order in which they happened. The nap of a container that somebody started or
/// unpaused ends.
///
/// Only traces of containers that are down are written to the database, because pages show the cause of an end only.
/// Containers that Docker removes automatically get no trace.
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

/// Deletes the traces of containers that no longer exist.
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
