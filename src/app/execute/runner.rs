//! The loop that takes pending runs from the database and executes each in a task of its own.
//!
//! The set of active runs is in memory and is rebuilt at the start: runs that were active when the process ended are
//! resumed first.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::active_runs::GivenUp;
use super::admit::{BACK_OFF, Claimed, Taken, spawn, take_pending, with_claims};
use super::run::RunExecutor;
use super::verdict::{announce_end, record_end};
use crate::app::App;
use crate::app::error::Result;
use crate::db;
use crate::domain::ids::RunId;
use crate::domain::run::{Run, RunState, Step, StepState, Trigger};
use crate::domain::text::chain;

/// Executes runs until `stop`; then issued steps end, and the rest is left for the next start.
pub async fn run(app: App, stop: CancellationToken, tasks: TaskTracker) {
    let mut wait = Duration::from_secs(1);
    while let Err(error) = recover(&app, &stop, &tasks).await {
        tracing::error!(error = %chain(&error), "half-done runs cannot be read; trying again");
        tokio::select! {
            () = app.clock.sleep(wait) => wait = (wait * 2).min(BACK_OFF.1),
            () = stop.cancelled() => return,
        }
    }
    while !stop.is_cancelled() {
        let taken = take_pending(&app, &stop, &tasks).await.unwrap_or_else(|error| {
            tracing::error!(error = %chain(&error), "pending runs cannot be taken; trying again");
            Taken { look_again: Some(BACK_OFF.0), ..Taken::default() }
        });
        let (look_again, guards) = (taken.look_again, taken.guards_until);
        tokio::select! {
            () = app.active_runs.woken() => {}
            () = app.clock.sleep(look_again.unwrap_or_default()), if look_again.is_some() => {}
            () = app.clock.sleep_until(guards.unwrap_or_default()), if guards.is_some() => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Ends a run that was under way on a host which is no longer in the settings: nobody can find out how its steps ended.
async fn interrupt(app: &App, run: &Run) -> Result<()> {
    let (now, reason) = (app.clock.now(), "its host is no longer known");
    let steps = db::steps::of_run(&app.db, &run.id).await?;
    let mut tx = app.db.begin().await?;
    if db::runs::finish(&mut tx, &run.id, RunState::Interrupted, reason, now).await? {
        for step in steps.into_iter().filter(|step| step.state == StepState::Issued) {
            let (state, reason) = (StepState::Interrupted, reason.to_owned());
            db::steps::finish(&mut tx, &Step { state, reason, finished_at: Some(now), ..step }).await?;
        }
        db::steps::leave(&mut tx, &run.id, reason, now).await?;
        record_end(&mut tx, app, run, RunState::Interrupted, reason).await?;
        tx.commit().await?;
        announce_end(app, run, RunState::Interrupted);
    }
    Ok(())
}

/// Resumes the runs of an earlier process. Each checks its containers before it acts. Returns their number.
pub async fn recover(app: &App, stop: &CancellationToken, tasks: &TaskTracker) -> Result<usize> {
    let _beginning = app.active_runs.beginning().await;
    let mut runs = db::runs::in_state(&app.db, RunState::Executing).await?;
    runs.retain(|run| !app.active_runs.is_active(&run.id));
    let is_known = |run: &Run| app.hosts.get(&run.target.host).is_some();
    for run in runs.extract_if(.., |run| !is_known(run)) {
        interrupt(app, &run).await?;
    }
    let claimed = with_claims(app, runs).await?;
    let count = claimed.len();
    let given_up: Vec<GivenUp> = (0..count)
        .map(|index| claimed[index].claim.gives_up(claimed[index + 1..].iter().map(|newer| &newer.claim)))
        .collect();
    let undone: HashMap<RunId, String> = db::runs::in_state(&app.db, RunState::Pending)
        .await?
        .into_iter()
        .filter(|run| run.trigger == Trigger::Undo)
        .filter_map(|run| Some((run.retry_of?, run.actor.name)))
        .collect();
    for (Claimed { run, steps, claim }, given_up) in claimed.into_iter().zip(given_up) {
        let Some(host) = app.hosts.get(&run.target.host) else { continue };
        tracing::info!(run = %run.id, target = %run.target_name, "taking up a run that was cut off");
        let (active_run, control) = app.active_runs.enter(claim, &steps, given_up, &app.scheduler);
        if let Some(by) = undone.get(&run.id) {
            app.active_runs.cancel(&run.id, by);
        }
        spawn(
            RunExecutor::new(app.clone(), host, run, steps, control, stop.clone()).resumed(),
            active_run,
            tasks,
        );
    }
    Ok(count)
}
