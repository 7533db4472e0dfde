//! One pass of the scheduler: what is due is claimed and submitted.
//!
//! 1. Read up to [`BATCH`](super::BATCH) due schedules by the index on `next_due_ms`, decide about each (`domain::due`), and make the
//!    plans from one look at each host's inventory: a [`Batch`].
//! 2. In one transaction: claim each schedule by compare-and-swap on instant and revision, and store its run with steps
//!    and audit row. Who loses the swap is dropped from the batch. A crash neither loses nor doubles a run.
//! 3. Where a rule, an override or somebody else has changed something: look at everything (`reconcile`).
//! 4. Wake the runner.
//! 5. Tell of the sleeps that are near.

use std::collections::HashMap;

use jiff::Timestamp;

use super::batch::{Batch, end};
use super::reconcile::reconcile;
use crate::app::execute::{self, Prepared};
use crate::app::manual_changes::ManualChange;
use crate::app::{Actor, App, Live, Result, upcoming};
use crate::db::schedules::OccurrenceClaim;
use crate::db::{self, Tx};
use crate::domain::action::Action;
use crate::domain::ids::RunId;
use crate::domain::run::{Run, RunState};
use crate::domain::schedule::Schedule;
use crate::domain::target::Target;

/// What one pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Schedules whose occurrence this pass took.
    pub claimed: usize,
    /// Runs that will act.
    pub runs: Vec<RunId>,
    /// Fires that are only remembered as missed.
    pub missed: i64,
    /// When the next schedule is due.
    pub next_due: Option<Timestamp>,
}

/// Claims and submits everything that is due.
///
/// # Errors
/// Where the database cannot be read or written: nothing of the batch has happened then.
pub async fn tick(app: &App) -> Result<Ticked> {
    let now = app.clock.now();
    let mut ticked = Ticked::default();
    let connected = || {
        let hosts = app.hosts.all().into_iter();
        hosts.filter(|host| host.inventory().is_connected()).map(|host| host.id().clone()).collect::<Vec<_>>()
    };
    // Before anything is read: what comes while this pass looks is for the next.
    let mut look = app.external_changes.is_waiting(&connected());
    let versions = db::rulebook::versions(&app.db).await?;
    loop {
        let mut batch = Batch::read(app, now).await?;
        if batch.due.is_empty() {
            break;
        }
        look |= batch.due.iter().any(Schedule::is_window);
        let claimed = claim(app, &mut batch, now, &mut ticked).await?;
        // A batch of which every swap was lost is somebody else's: look again when woken.
        if !batch.is_full || claimed == 0 {
            break;
        }
    }
    let is_past = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    if app.rulebook.look_at(versions)
        || look
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
        // What is past waits for its host, or for a run of ours to end.
        db::applied::next_put_back(&app.db).await?.filter(|at| *at > now),
    ]
    .into_iter()
    .flatten()
    .min();
    if ticked.claimed > 0 {
        app.bus.send(Live::Runs);
        app.bus.send(Live::Schedules);
    }
    // Last: what is due goes first.
    upcoming::look(app).await?;
    Ok(ticked)
}

/// Takes the occurrences of a batch and stores what they leave, in a handful of statements; answers how many were
/// taken.
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

/// Stores what the occurrences that were taken leave.
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
        // What a guard may hold back goes against nothing before it goes.
        if let Some(inventory) = host.filter(|_| prepared.run.guard.is_none()) {
            let Prepared { run, steps } = prepared;
            let (actor, rules, now) = (&actor, &batch.rules, app.clock.now());
            let change = ManualChange { app, actor, run, steps, inventory, rules, now };
            change.apply_policy(&mut tx).await?;
        }
        runs.push(prepared.run.id.clone());
    }
    let told = prepared.iter().filter(|one| one.run.state.is_terminal() || one.run.missed.is_some());
    let told: Vec<Run> = told.filter(|one| is_stored(one)).map(|one| one.run.clone()).collect();
    tx.commit().await?;
    let counters = &app.vitals.counters;
    for run in told {
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

/// Ends those that do what another run does that has not ended, one of the same batch included.
async fn end_twins(tx: &mut Tx, prepared: &mut [Prepared]) -> Result<()> {
    let acting = prepared.iter().map(|one| &one.run).enumerate().filter(|(_, run)| !run.state.is_terminal());
    let (places, runs): (Vec<usize>, Vec<&Run>) = acting.unzip();
    let found = db::runs::in_the_way(tx, &runs).await?;
    let mut new: HashMap<(&Target, Action), Vec<&Run>> = HashMap::with_capacity(runs.len());
    let mut twins: Vec<(usize, RunId)> = Vec::new();
    for ((at, run), in_the_way) in places.into_iter().zip(runs).zip(found) {
        let like = new.entry((&run.target, run.action)).or_default();
        let twin = || like.iter().find(|twin| twin.does_all_of(run)).map(|twin| twin.id.clone());
        match in_the_way.twin.or_else(twin) {
            Some(twin) => twins.push((at, twin)),
            // One that is not stored is nobody's twin.
            None if in_the_way.is_taken => {}
            None => like.push(run),
        }
    }
    for (at, twin) in twins {
        end(&mut prepared[at], RunState::Skipped, format!("duplicate: run {twin} does the same"));
    }
    Ok(())
}
