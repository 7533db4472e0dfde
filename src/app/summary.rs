//! A summary of the installation as a flat list of numbers, for dashboards that cannot read nested data.

use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::stacks::{self, ShownState};
use super::{Actor, App, Result};
use crate::db;
use crate::domain::inventory::StackStatus;
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
}

pub async fn get(app: &App, actor: &Actor) -> Result<Summary> {
    let overview = stacks::overview(app, actor).await?;
    let mut summary = Summary::default();
    for host in &overview.hosts {
        summary.hosts += 1;
        if matches!(host.link, crate::domain::inventory::Link::Connected { .. }) {
            summary.hosts_connected += 1;
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
        summary.containers_running +=
            u64::from(view.container.state == crate::domain::inventory::ContainerState::Running);
        summary.containers_napping += u64::from(view.napping_since.is_some());
        summary.containers_unhealthy += u64::from(view.shown == ShownState::Unhealthy);
        summary.containers_failed += u64::from(view.failure().is_some());
    }
    let now = app.clock.now();
    let (schedules, enabled) = db::schedules::count(&app.db).await?;
    summary.schedules = u64::try_from(schedules).unwrap_or(0);
    summary.schedules_enabled = u64::try_from(enabled).unwrap_or(0);
    let tally = db::history::tally(&app.db, now.checked_sub(24.hours()).unwrap_or(now)).await?;
    summary.runs_open = u64::try_from(tally.open).unwrap_or(0);
    summary.runs_last_24h = u64::try_from(tally.runs).unwrap_or(0);
    summary.runs_failed_last_24h = u64::try_from(tally.attention).unwrap_or(0);
    if let Some(next) = super::schedules::coming(app, actor, 1).await?.into_iter().next() {
        summary.next_at = Some(next.next.at);
        summary.next_action = Some(next.next.action.as_str().to_owned());
        summary.next_target = Some(next.target_name);
    }
    Ok(summary)
}
