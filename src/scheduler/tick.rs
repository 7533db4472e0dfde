//! One pass of the scheduler, which claims due occurrences and stores their runs.
//!
//! 1. Read up to [`BATCH`](super::BATCH) due schedules by the index on `next_due_ms`, decide about each
//!    (`domain::due`), and make the plans from the inventory of each host: a [`Batch`].
//! 2. In one transaction: claim each schedule by compare-and-swap on instant and revision, and store its runs with
//!    steps and audit rows. A schedule whose swap fails is dropped from the batch. A crash neither loses nor doubles a
//!    run.
//! 3. If a rule, an override or somebody else has changed something: compare all containers with their desired state
//!    (`reconcile`).
//! 4. Wake the runner.
//! 5. Announce the sleeps that come soon.

use std::collections::HashMap;

use jiff::Timestamp;

use super::batch::{Batch, end};
use super::reconcile::reconcile;
use crate::app::execute::{self, Prepared};
use crate::app::manual_changes::ManualChange;
use crate::app::{Actor, App, Live, Result, hosts, locks, memberships, order, schedules, upcoming};
use crate::db::schedules::OccurrenceClaim;
use crate::db::{self, Tx};
use crate::domain::action::Action;
use crate::domain::ids::RunId;
use crate::domain::run::{Run, RunState};
use crate::domain::schedule::Schedule;
use crate::domain::target::Target;

/// The result of one pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Number of claimed schedules.
    pub claimed: usize,
    /// The runs that will act.
    pub runs: Vec<RunId>,
    /// Number of fires that were recorded as missed.
    pub missed: i64,
    /// The earliest instant at which another pass has something to do.
    pub next_due: Option<Timestamp>,
}

/// Claims and submits all due occurrences.
///
/// # Errors
/// The database cannot be read or written; nothing of the batch has been stored then.
pub async fn tick(app: &App) -> Result<Ticked> {
    let now = app.clock.now();
    let mut ticked = Ticked::default();
    let connected = || {
        let hosts = app.hosts.all().into_iter();
        hosts.filter(|host| host.inventory().is_connected()).map(|host| host.id().clone()).collect::<Vec<_>>()
    };
    // Before anything is read, so that a change during this pass is left to the next one.
    memberships::follow(app).await?;
    schedules::follow_labels(app).await?;
    let mut needs_reconcile = app.external_changes.is_waiting(&connected());
    let versions = db::rulebook::versions(&app.db).await?;
    loop {
        let mut batch = Batch::read(app, now).await?;
        if batch.due.is_empty() {
            break;
        }
        needs_reconcile |= batch.due.iter().any(Schedule::is_window);
        let claimed = claim(app, &mut batch, now, &mut ticked).await?;
        // If every swap failed, another process handles this batch.
        if !batch.is_full || claimed == 0 {
            break;
        }
    }
    let is_past = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    let is_changed = app.rulebook.look_at(versions);
    if is_changed {
        // Another process may have changed what the hosts have copies of.
        hosts::follow(app).await?;
        locks::restore(app).await?;
        order::restore(app).await?;
    }
    if is_changed
        || needs_reconcile
        || is_past(db::overrides::next_end(&app.db).await?)
        || is_past(db::applied::next_put_back(&app.db).await?)
    {
        ticked.runs.extend(reconcile(app).await?);
        app.bus.send(Live::Runs);
        app.bus.send(Live::Overrides);
        app.active_runs.wake();
    }
    if ticked.claimed > 0 {
        app.active_runs.wake();
    }
    ticked.next_due = [
        db::schedules::next_due(&app.db).await?,
        db::overrides::next_end(&app.db).await?,
        // A put-back whose instant has passed waits for its host, or for the end of an open run; both start a pass.
        db::applied::next_put_back(&app.db).await?.filter(|at| *at > now),
    ]
    .into_iter()
    .flatten()
    .min();
    if ticked.claimed > 0 {
        app.bus.send(Live::Runs);
        app.bus.send(Live::Schedules);
    }
    // Last, since due occurrences have priority.
    upcoming::look(app).await?;
    Ok(ticked)
}

/// Claims the occurrences of a batch and stores their runs, in a few statements; returns the number of claimed
/// occurrences.
async fn claim(app: &App, batch: &mut Batch, now: Timestamp, ticked: &mut Ticked) -> Result<usize> {
    let mut tx = app.db.begin().await?;
    let lost = {
        let claims: Vec<OccurrenceClaim<'_>> = batch.claims().collect();
        db::schedules::claim(&mut tx, &claims).await?
    };
    let lags = batch.lags(&lost, now);
    let prepared = batch.take_runs(&lost);
    store(app, tx, prepared, batch, ticked).await?;
    ticked.claimed += lags.len();
    for (host, lag) in &lags {
        app.vitals.counters.claimed(host, *lag);
    }
    Ok(lags.len())
}

/// Stores the runs of the claimed occurrences, and commits.
async fn store(
    app: &App,
    mut tx: Tx,
    mut prepared: Vec<Prepared>,
    batch: &Batch,
    ticked: &mut Ticked,
) -> Result<()> {
    let actor = Actor::scheduler();
    end_twins(&mut tx, &mut prepared).await?;
    let refused = execute::store_all(&mut tx, app, &actor, &prepared.iter().collect::<Vec<_>>()).await?;
    let is_stored = |one: &Prepared| !refused.contains(&one.run.id);
    let acts = |one: &Prepared| !one.run.state.is_terminal() && is_stored(one);
    let mut runs = Vec::new();
    for prepared in prepared.iter().filter(|one| acts(one)) {
        let host = batch.inventories.get(prepared.run.target.host.as_str());
        // A run with a guard affects windows and overrides only when it starts.
        if let Some(inventory) = host.filter(|_| prepared.run.guard.is_none()) {
            let Prepared { run, steps } = prepared;
            let (actor, rules, now) = (&actor, &batch.rules, app.clock.now());
            let change = ManualChange { app, actor, run, steps, inventory, rules, now };
            change.apply_policy(&mut tx).await?;
        }
        runs.push(prepared.run.id.clone());
    }
    let recorded = prepared.iter().filter(|one| one.run.state.is_terminal() || one.run.missed.is_some());
    let recorded: Vec<Run> = recorded.filter(|one| is_stored(one)).map(|one| one.run.clone()).collect();
    tx.commit().await?;
    let counters = &app.vitals.counters;
    for run in recorded {
        if run.state.is_terminal() {
            counters.run_ended(&run, run.state, None);
        }
        if let Some(missed) = &run.missed {
            counters.missed(&run.target.host, missed.count);
            ticked.missed += missed.count;
        }
    }
    ticked.runs.append(&mut runs);
    Ok(())
}

/// Ends the runs that duplicate another run: one that has not ended, or one of the same batch.
async fn end_twins(tx: &mut Tx, prepared: &mut [Prepared]) -> Result<()> {
    let acting = prepared.iter().map(|one| &one.run).enumerate().filter(|(_, run)| !run.state.is_terminal());
    let (places, runs): (Vec<usize>, Vec<&Run>) = acting.unzip();
    let found = db::runs::in_the_way(tx, &runs).await?;
    let mut new: HashMap<(&Target, Action), Vec<&Run>> = HashMap::with_capacity(runs.len());
    let mut twins: Vec<(usize, RunId)> = Vec::new();
    for ((at, run), in_the_way) in places.into_iter().zip(runs).zip(found) {
        let candidates = new.entry((&run.target, run.action)).or_default();
        let twin = || candidates.iter().find(|twin| twin.does_all_of(run)).map(|twin| twin.id.clone());
        match in_the_way.twin.or_else(twin) {
            Some(twin) => twins.push((at, twin)),
            // A run that will not be stored is no duplicate for others.
            None if in_the_way.is_taken => {}
            None => candidates.push(run),
        }
    }
    for (at, twin) in twins {
        end(&mut prepared[at], RunState::Skipped, format!("duplicate: run {twin} does the same"));
    }
    Ok(())
}
