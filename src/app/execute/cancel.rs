//! Cancels a run.

use super::guard;
use super::verdict::{announce_end, end_unbegun};
use crate::app::error::{Error, Result};
use crate::app::{Actor, App};
use crate::db;
use crate::domain::ids::RunId;
use crate::domain::permission::Permission;
use crate::domain::run::RunState;

/// Cancels a run: a pending run ends at once, an active one at its next step boundary.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], and [`Error::Conflict`] when the run has ended.
pub async fn cancel(app: &App, actor: &Actor, id: &RunId) -> Result<()> {
    actor.require(Permission::Operate)?;
    let run = db::runs::get(&app.db, id).await?.ok_or_else(|| Error::not_found("run", id.as_str()))?;
    let ended = || Error::conflict("run_ended", "this run has ended; nothing to cancel");
    if run.state.is_terminal() {
        return Err(ended());
    }
    // While this lock is held no run begins: the run is either pending or active.
    let _beginning = app.active_runs.beginning().await;
    if app.active_runs.cancel(id, &actor.reference.name) {
        return Ok(());
    }
    let reason = format!("called off by {}", actor.reference.name);
    if run.is_guarded() {
        return if guard::call_off(app, actor, &run, &reason).await? { Ok(()) } else { Err(ended()) };
    }
    let mut tx = app.db.begin().await?;
    if !end_unbegun(&mut tx, app, &run, RunState::Cancelled, &reason).await? {
        return Err(ended());
    }
    tx.commit().await?;
    announce_end(app, &run, RunState::Cancelled);
    app.scheduler.wake();
    Ok(())
}
