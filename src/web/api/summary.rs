//! Everything in a handful of flat numbers.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::instant::Instant;
use crate::app::summary::{self, Summary};
use crate::app::{App, Result};
use crate::web::auth::{Caller, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get("/summary", Access::VIEWER, get)
}

/// Flat counts.
#[derive(Serialize, ToSchema)]
pub struct SummaryJson {
    stacks: u64,
    stacks_running: u64,
    stacks_stopped: u64,
    stacks_partial: u64,
    stacks_paused: u64,
    /// Their host is not connected.
    stacks_unknown: u64,
    /// Put to sleep by `DockNap`.
    stacks_napping: u64,
    containers: u64,
    containers_running: u64,
    containers_napping: u64,
    containers_unhealthy: u64,
    /// Down with an exit code that tells of a failure.
    containers_failed: u64,
    hosts: u64,
    hosts_connected: u64,
    schedules: u64,
    schedules_enabled: u64,
    /// Not ended yet.
    runs_open: u64,
    runs_last_24h: u64,
    /// Failed, wholly or in part, or cut off.
    runs_failed_last_24h: u64,
    next_at: Option<Instant>,
    next_action: Option<String>,
    next_target: Option<String>,
}

impl From<Summary> for SummaryJson {
    fn from(summary: Summary) -> Self {
        Self {
            stacks: summary.stacks,
            stacks_running: summary.stacks_running,
            stacks_stopped: summary.stacks_stopped,
            stacks_partial: summary.stacks_partial,
            stacks_paused: summary.stacks_paused,
            stacks_unknown: summary.stacks_unknown,
            stacks_napping: summary.stacks_napping,
            containers: summary.containers,
            containers_running: summary.containers_running,
            containers_napping: summary.containers_napping,
            containers_unhealthy: summary.containers_unhealthy,
            containers_failed: summary.containers_failed,
            hosts: summary.hosts,
            hosts_connected: summary.hosts_connected,
            schedules: summary.schedules,
            schedules_enabled: summary.schedules_enabled,
            runs_open: summary.runs_open,
            runs_last_24h: summary.runs_last_24h,
            runs_failed_last_24h: summary.runs_failed_last_24h,
            next_at: summary.next_at.map(Instant),
            next_action: summary.next_action,
            next_target: summary.next_target,
        }
    }
}

/// The counts now.
#[utoipa::path(get, path = "/api/summary", tag = "summary", operation_id = "get_summary", responses((status = 200, body = SummaryJson)))]
pub(super) async fn get(caller: Caller<Viewer>, State(app): State<App>) -> Result<Json<SummaryJson>> {
    Ok(Json(summary::get(&app, &caller.actor).await?.into()))
}
