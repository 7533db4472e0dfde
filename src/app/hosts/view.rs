//! Hosts with the state of their connection, for pages and API.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{not_found, records, shadowed};
use crate::app::{Actor, App, Result};
use crate::db;
use crate::docker::{Certificate, Host};
use crate::domain::host::{HostRecord, HostSource, Outage};
use crate::domain::ids::HostId;
use crate::domain::inventory::{Inventory, Link};
use crate::domain::permission::Permission;

/// A host with its connection and its figures.
#[derive(Clone, Debug)]
pub struct HostView {
    pub record: HostRecord,
    /// Address of the Engine as DockNap uses it.
    pub address: String,
    /// Containers as last seen, and the state of the connection.
    pub inventory: Inventory,
    /// The Engine's clock minus ours.
    pub ahead: SignedDuration,
    /// The certificates in use.
    pub certificates: Vec<Certificate>,
    /// Number of schedules for its stacks and containers.
    pub schedules: usize,
    /// Number of containers that DockNap has put to sleep there.
    pub napping: usize,
    /// The outages of the last 24 h, oldest first.
    pub outages: Vec<Outage>,
    /// The stored host that is not used because `docknap.toml` or `DOCKER_HOST` has one of the same id.
    pub shadowed: Option<HostRecord>,
    /// Names of other hosts whose Engine has the same id: one machine under two addresses, or a cloned one.
    pub same_engine: Vec<String>,
    /// Whether DockNap tries to reach the host: it is enabled, and its address can be used.
    pub is_called: bool,
}

/// Length of the time range whose outages are shown.
const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

impl HostView {
    fn new(app: &App, record: HostRecord, schedules: usize, napping: usize, outages: Vec<Outage>) -> Self {
        let now = app.clock.now();
        let host: Option<Arc<Host>> = app.hosts.get(&record.id);
        let mut outages = outages;
        // The present outage, which is stored after a minute.
        if let Some(Link::Unreachable { reason, since }) = host.as_ref().map(|host| host.inventory().link)
            && outages.iter().all(|outage| outage.to.is_some())
        {
            outages.push(Outage { host: record.id.clone(), from: since, to: None, reason });
        }
        Self {
            address: match &host {
                Some(host) if record.source == HostSource::Env => host.address(),
                _ => record.spec.endpoint.clone(),
            },
            ahead: host.as_ref().map_or(SignedDuration::ZERO, |host| host.by_engine(now).duration_since(now)),
            certificates: host.as_ref().map(|host| host.certificates()).unwrap_or_default(),
            is_called: host.as_ref().is_some_and(|host| host.is_called()),
            shadowed: None,
            same_engine: host.as_ref().map(|host| same_engine(app, host)).unwrap_or_default(),
            inventory: host.map_or_else(|| Inventory::empty(record.id.clone()), |host| host.inventory()),
            record,
            schedules,
            napping,
            outages,
        }
    }

    /// Whether an outage falls into each of the last 24 hours, oldest first; `None` before the host was added.
    pub fn hours(&self, now: Timestamp) -> Vec<Option<bool>> {
        let state = |hour: i32| {
            let to = now - HOUR * hour;
            let is_down = || self.outages.iter().any(|outage| outage.meets(to - HOUR, to));
            (to > self.record.created_at).then(is_down)
        };
        (0..24).rev().map(state).collect()
    }

    /// Seconds of the last 24 h in outages.
    pub fn outage_seconds(&self, now: Timestamp) -> i64 {
        let begin = now - DAY;
        let span = |one: &Outage| one.to.unwrap_or(now).duration_since(one.from.max(begin)).as_secs().max(0);
        self.outages.iter().map(span).sum()
    }

    pub fn link(&self) -> &Link {
        &self.inventory.link
    }

    /// Instant at which the inventory was last known to be right.
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.inventory.seen_at
    }

    /// The certificate that expires first.
    pub fn first_to_expire(&self) -> Option<&Certificate> {
        self.certificates.iter().min_by_key(|one| one.not_after)
    }
}

/// The names of the other hosts whose Engine has the same id.
fn same_engine(app: &App, host: &Host) -> Vec<String> {
    let Some(id) = host.engine_id() else { return Vec::new() };
    let all = app.hosts.all();
    let others =
        all.iter().filter(|other| other.id() != host.id() && other.engine_id().as_ref() == Some(&id));
    others.map(|other| other.name().to_owned()).collect()
}

/// All hosts: that of `DOCKER_HOST`, those of the settings file, then the others by id.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<HostView>> {
    actor.require(Permission::View)?;
    let (schedules, naps) = (db::hosts::schedule_counts(&app.db).await?, db::naps::all(&app.db).await?);
    let outages = db::host_outages::after(&app.db, app.clock.now() - DAY).await?;
    let mut shadowed = shadowed(app).await?;
    let records = records(app).await?.into_iter();
    Ok(records
        .map(|record| {
            let count = schedules.iter().find(|(id, _)| *id == record.id).map_or(0, |(_, count)| *count);
            let napping = naps.get(&record.id).map_or(0, HashMap::len);
            let outages = outages.iter().filter(|one| one.host == record.id).cloned().collect();
            let shadowed = shadowed.extract_if(.., |stored| stored.id == record.id).next();
            let count = usize::try_from(count).unwrap_or_default();
            HostView { shadowed, ..HostView::new(app, record, count, napping, outages) }
        })
        .collect())
}

/// One host.
///
/// # Errors
/// [`Error::NotFound`](crate::app::Error::NotFound).
pub async fn get(app: &App, actor: &Actor, id: &HostId) -> Result<HostView> {
    let mut hosts = list(app, actor).await?.into_iter();
    hosts.find(|one| one.record.id == *id).ok_or_else(|| not_found(id))
}
