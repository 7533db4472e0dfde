//! A summary of the installation as a flat list of numbers, for dashboards that cannot read nested data, and the
//! numbers of each host.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::stacks::{self, ShownState};
use super::{Actor, App, Result};
use crate::db;
use crate::domain::group::Area;
use crate::domain::inventory::{ContainerState, Inventory, Link, StackStatus};
use crate::domain::time::{Instant, serialize_instant};

/// Counts of stacks, containers, hosts, schedules and runs, and the next scheduled action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = SummaryJson)]
pub struct Summary {
    pub stacks: u64,
    pub stacks_running: u64,
    pub stacks_stopped: u64,
    pub stacks_partial: u64,
    pub stacks_paused: u64,
    /// Stacks whose host is not connected.
    pub stacks_unknown: u64,
    /// Stacks put to sleep by DockNap.
    pub stacks_napping: u64,
    pub containers: u64,
    pub containers_running: u64,
    pub containers_napping: u64,
    pub containers_unhealthy: u64,
    /// Containers that are down with an exit code of a failure.
    pub containers_failed: u64,
    pub hosts: u64,
    pub hosts_connected: u64,
    pub schedules: u64,
    pub schedules_enabled: u64,
    /// Runs that have not ended.
    pub runs_open: u64,
    pub runs_last_24h: u64,
    /// Failed, partly failed and interrupted runs.
    pub runs_failed_last_24h: u64,
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Option<Instant>)]
    pub next_at: Option<Timestamp>,
    pub next_action: Option<String>,
    pub next_target: Option<String>,
    /// The numbers of each host, by its id.
    pub by_host: BTreeMap<String, HostSummary>,
}

/// The numbers of one host; of one that is not connected its last known numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = HostSummaryJson)]
pub struct HostSummary {
    pub name: String,
    /// Whether the host is connected.
    pub reachable: bool,
    /// When the numbers were last known to be right; `null` before the first connection.
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Option<Instant>)]
    pub seen_at: Option<Timestamp>,
    pub stacks: u64,
    pub stacks_running: u64,
    pub stacks_stopped: u64,
    pub stacks_partial: u64,
    pub stacks_paused: u64,
    pub containers: u64,
    pub containers_running: u64,
    pub containers_napping: u64,
    pub schedules: u64,
}

impl HostSummary {
    fn new(name: &str, inventory: Inventory) -> Self {
        let mut summary = Self {
            name: name.to_owned(),
            reachable: inventory.is_connected(),
            seen_at: inventory.seen_at,
            ..Self::default()
        };
        // While the host is not connected, the state of its stacks counts as unknown.
        let link = Link::Connected { api_version: String::new(), engine_version: String::new() };
        for stack in (Inventory { link, ..inventory }).stacks() {
            summary.stacks += 1;
            *match stack.status {
                StackStatus::Running => &mut summary.stacks_running,
                StackStatus::Stopped => &mut summary.stacks_stopped,
                StackStatus::Partial => &mut summary.stacks_partial,
                StackStatus::Paused => &mut summary.stacks_paused,
                StackStatus::Unknown => continue,
            } += 1;
        }
        summary
    }
}

/// The summary of a part of everything.
pub async fn get(app: &App, actor: &Actor, area: &Area) -> Result<Summary> {
    let mut overview = stacks::overview(app, actor).await?;
    overview.narrow_to(area);
    let mut summary = Summary::default();
    for link in &overview.hosts {
        summary.hosts += 1;
        summary.hosts_connected += u64::from(link.is_connected());
        let Some(host) = app.hosts.get(&link.id) else { continue };
        summary.by_host.insert(link.id.to_string(), HostSummary::new(&link.name, host.inventory()));
    }
    for (id, count) in db::hosts::schedule_counts(&app.db).await? {
        if let Some(host) = summary.by_host.get_mut(id.as_str()) {
            host.schedules = u64::try_from(count).unwrap_or(0);
        }
    }
    for view in &overview.stacks {
        summary.stacks += 1;
        *match view.stack.status {
            StackStatus::Running => &mut summary.stacks_running,
            StackStatus::Stopped => &mut summary.stacks_stopped,
            StackStatus::Partial => &mut summary.stacks_partial,
            StackStatus::Paused => &mut summary.stacks_paused,
            StackStatus::Unknown => &mut summary.stacks_unknown,
        } += 1;
        summary.stacks_napping += u64::from(view.napping);
    }
    for view in overview.stacks.iter().flat_map(|stack| &stack.containers).chain(&overview.loose) {
        summary.containers += 1;
        let is_running = u64::from(view.container.state == ContainerState::Running);
        let is_napping = u64::from(view.napping_since.is_some());
        summary.containers_running += is_running;
        summary.containers_napping += is_napping;
        if let Some(host) = summary.by_host.get_mut(view.container.host.as_str()) {
            host.containers += 1;
            host.containers_running += is_running;
            host.containers_napping += is_napping;
        }
        summary.containers_unhealthy += u64::from(view.shown == ShownState::Unhealthy);
        summary.containers_failed += u64::from(view.failure().is_some());
    }
    let now = app.clock.now();
    let (schedules, enabled) = db::schedules::count(&app.db, area).await?;
    summary.schedules = u64::try_from(schedules).unwrap_or(0);
    summary.schedules_enabled = u64::try_from(enabled).unwrap_or(0);
    let since = now.checked_sub(24.hours()).unwrap_or(now);
    let tally = db::history::tally(&app.db, area, since).await?;
    summary.runs_open = u64::try_from(tally.open).unwrap_or(0);
    summary.runs_last_24h = u64::try_from(tally.runs).unwrap_or(0);
    summary.runs_failed_last_24h = u64::try_from(tally.attention).unwrap_or(0);
    if let Some(next) = super::schedules::coming(app, actor, area, 1).await?.into_iter().next() {
        summary.next_at = Some(next.next.at);
        summary.next_action = Some(next.next.action.as_str().to_owned());
        summary.next_target = Some(next.target_name);
    }
    Ok(summary)
}
