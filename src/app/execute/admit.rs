//! Begins the pending runs, each as soon as nothing blocks it.
//!
//! Of several requests that conflict over a container the newest wins ([`super::active_runs`]): an active run gives the
//! container up at its next step boundary; an older pending run begins without it, or is superseded where no container
//! is left (semantics §4, rulings 11).

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::active_runs::{ActiveRun, Claim, Control, GivenUp};
use super::guard::{self, GuardDecision};
use super::outdated::outdated;
use super::run::RunExecutor;
use super::share::Share;
use super::submit::steps_of;
use super::verdict::{announce_end, end_unbegun, mark_unapplied, record_end, undone, unreachable, verdict};
use crate::app::error::Result;
use crate::app::manual_changes::ManualChange;
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Live, overrides, targets};
use crate::clock::Clock;
use crate::db;
use crate::docker::Host;
use crate::domain::ids::{HostId, RunId};
use crate::domain::inventory::Inventory;
use crate::domain::run::{Run, RunState, Step, Trigger};

/// Code in the reason of a run that became due while its host was disabled.
const HOST_DISABLED: &str = "host_disabled";

/// The reason of a run that became due while its host was disabled.
pub fn disabled_reason(host: &Host) -> String {
    format!("{HOST_DISABLED}: the host {} is disabled", host.name())
}

/// Shortest and longest wait between retries for a host that cannot be reached.
pub(super) const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The reason of a run whose deadline passed before it could begin.
const LATE: &str = "its deadline passed before it could begin";

/// The result of one pass over the pending runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Runs that began.
    pub begun: Vec<RunId>,
    /// Runs that ended without beginning: superseded, past their deadline, or without anything to do.
    pub ended: Vec<RunId>,
    /// When the next pass is due although nothing wakes the runner.
    pub look_again: Option<Duration>,
    /// When a guard checks again, by the wall clock: a wait may be long, and the machine may sleep meanwhile.
    pub guards_until: Option<Timestamp>,
}

/// A run with its steps and its claim.
pub(super) struct Claimed {
    pub run: Run,
    pub steps: Vec<Step>,
    pub claim: Claim,
}

/// Runs with their steps and claims, oldest first.
pub(super) async fn with_claims(app: &App, runs: Vec<Run>) -> Result<Vec<Claimed>> {
    let ids: Vec<RunId> = runs.iter().map(|run| run.id.clone()).collect();
    let mut steps: HashMap<RunId, Vec<Step>> = HashMap::new();
    for step in db::history::steps(&app.db, &ids).await? {
        steps.entry(step.run_id.clone()).or_default().push(step);
    }
    let inventories: HashMap<HostId, Inventory> =
        app.hosts.all().into_iter().map(|host| (host.id().clone(), host.inventory())).collect();
    let claimed = runs.into_iter().map(|run| {
        let steps = steps.remove(&run.id).unwrap_or_default();
        let claim = Claim::new(&run, &steps, inventories.get(&run.target.host));
        Claimed { run, steps, claim }
    });
    Ok(claimed.collect())
}

/// Begins each pending run that nothing blocks.
///
/// # Errors
/// Where the database cannot be read or written; the next pass retries.
pub async fn take_pending(app: &App, stop: &CancellationToken, tasks: &TaskTracker) -> Result<Taken> {
    let mut pass = Pass { app, stop, tasks, taken: Taken::default(), waits: Vec::new() };
    let waiting = with_claims(app, db::runs::in_state(&app.db, RunState::Pending).await?).await?;
    let ids = waiting.iter().map(|one| &one.run.id).collect();
    app.active_runs.retain_lost(&ids);
    app.active_runs.looks().keep(&ids);
    for index in 0..waiting.len() {
        let Claimed { run, steps, claim } = &waiting[index];
        let newer = || waiting[index + 1..].iter().map(|newer| &newer.claim);
        if let Some(newer) = newer().rev().find(|newer| claim.is_superseded_by(newer)) {
            let reason = format!("superseded by {}", newer.words());
            pass.end(run, RunState::Superseded, &reason).await?;
            continue;
        }
        let Some(host) = app.hosts.get(&run.target.host) else {
            pass.end(run, RunState::Cancelled, "its host was deleted").await?;
            continue;
        };
        if !host.is_enabled() {
            pass.end(run, RunState::Skipped, &disabled_reason(&host)).await?;
            continue;
        }
        let given_up = app.active_runs.record_lost(&run.id, claim.gives_up(newer()));
        let run = match &run.guard {
            None => Cow::Borrowed(run),
            Some(_) => {
                match guard::evaluate(app, &host, run, steps, &*RuleBook::load(app).await?, stop, tasks)
                    .await?
                {
                    GuardDecision::Goes(run) => Cow::Owned(*run),
                    GuardDecision::Waits(until) => {
                        pass.taken.guards_until = pass.taken.guards_until.into_iter().chain(until).min();
                        continue;
                    }
                    GuardDecision::Ended => {
                        pass.taken.ended.push(run.id.clone());
                        continue;
                    }
                }
            }
        };
        pass.begin(host, &run, steps, given_up).await?;
    }
    pass.store_waits().await?;
    if !pass.taken.ended.is_empty() {
        app.scheduler.wake();
    }
    Ok(pass.taken)
}

/// One pass over the pending runs.
struct Pass<'a> {
    app: &'a App,
    stop: &'a CancellationToken,
    tasks: &'a TaskTracker,
    taken: Taken,
    /// Runs whose host cannot be reached: id, reason and number of the attempt.
    waits: Vec<(RunId, String, i64)>,
}

impl Pass<'_> {
    /// Begins one run with a plan made now, or ends it where there is nothing to do. The run stays pending while steps
    /// of other runs on its containers are in progress.
    async fn begin(
        &mut self,
        host: Arc<Host>,
        run: &Run,
        steps: &[Step],
        mut given_up: GivenUp,
    ) -> Result<()> {
        let app = self.app;
        let now = app.clock.now();
        if let Some(reason) = unreachable(&host.inventory()) {
            if now >= run.deadline_at {
                let why = match run.attempt {
                    0 => LATE.to_owned(),
                    _ => format!("{reason}; tried until the run's deadline"),
                };
                return self.end(run, RunState::Failed, &why).await;
            }
            // A restored connection wakes the runner earlier; this wait is only the upper limit.
            let left = Duration::try_from(run.deadline_at.duration_since(now)).unwrap_or_default();
            self.look_again_in(back_off(&app.clock, run.attempt).min(left));
            self.waits.push((run.id.clone(), reason, run.attempt + 1));
            return Ok(());
        }
        if now > run.deadline_at {
            return self.end(run, RunState::Failed, LATE).await;
        }
        let book = &*RuleBook::load(app).await?;
        // Read only here: a stop stores its nap before the next run may begin.
        let inventory = host.inventory();
        // Labels may have changed while nobody could read them.
        let is_late = run.trigger == Trigger::CatchUp || run.trigger == Trigger::Label && run.attempt > 0;
        if is_late && let Some(reason) = outdated(app, run, &inventory).await? {
            return self.end(run, RunState::Skipped, &reason).await;
        }
        let share = Share::of(app, run).await?;
        if share.is_not_known_yet() {
            // The end of the run that is undone wakes the runner.
            return Ok(());
        }
        let plan = share.plan(run, &inventory, book, now);
        let fresh = steps_of(app, run, &plan, now);
        let admission = app.active_runs.admit(&Claim::new(run, &fresh, Some(&inventory)));
        if !admission.given_up.is_empty() {
            given_up = app.active_runs.record_lost(&run.id, admission.given_up);
        }
        if admission.blocked {
            return Ok(());
        }
        // The policy for contradictions is applied again to a run that was deferred, since other rules may apply now,
        // and for the first time to steps that were not part of the plan at the request.
        let is_new = !same_plan(steps, &fresh);
        let answers = match run.trigger {
            Trigger::Window | Trigger::Undo => false,
            Trigger::Override if run.schedule_id.is_none() => false,
            Trigger::Schedule | Trigger::CatchUp | Trigger::Label | Trigger::Override => {
                run.guard.is_some() || is_new
            }
            _ => is_new,
        };
        let _beginning = app.active_runs.beginning().await;
        // The host was changed meanwhile; the change wakes the runner, which looks again.
        if !app.hosts.get(host.id()).is_some_and(|current| Arc::ptr_eq(&current, &host)) {
            return Ok(());
        }
        let mut tx = app.db.begin().await?;
        if !db::runs::begin(&mut tx, run, now).await? {
            return Ok(());
        }
        if answers {
            let (actor, rules) = (&Actor::of(run.actor.clone()), &book.rules);
            let change = ManualChange { app, actor, run, steps: &fresh, inventory: &inventory, rules, now };
            change.apply_policy_as_it_begins(&mut tx).await?;
        }
        let steps = if is_new {
            db::steps::clear(&mut tx, &run.id).await?;
            db::steps::insert(&mut tx, &fresh).await?;
            fresh
        } else {
            steps.to_vec()
        };
        if steps.iter().all(|step| step.state.is_terminal()) {
            let (state, reason) = verdict(run, &steps, &Control::default());
            db::runs::finish(&mut tx, &run.id, state, &reason, now).await?;
            record_end(&mut tx, app, run, state, &reason).await?;
            tx.commit().await?;
            app.vitals.counters.run_ended(run, state, Some(Duration::ZERO));
            app.bus.send(Live::Run(run.target.clone()));
            self.taken.ended.push(run.id.clone());
            return Ok(());
        }
        tx.commit().await?;
        if answers {
            overrides::changed(app);
        }
        app.bus.send(Live::Run(run.target.clone()));
        let run = Run { started_at: Some(now), state: RunState::Executing, ..run.clone() };
        self.taken.begun.push(run.id.clone());
        let claim = Claim::new(&run, &steps, Some(&inventory));
        let (active_run, control) = app.active_runs.enter(claim, &steps, given_up, &app.scheduler);
        let drive = RunExecutor::new(app.clone(), host, run, steps, control, self.stop.clone());
        spawn(drive, active_run, self.tasks);
        Ok(())
    }

    /// Ends a run that has not begun.
    async fn end(&mut self, run: &Run, state: RunState, reason: &str) -> Result<()> {
        let app = self.app;
        let steps = db::steps::of_run(&app.db, &run.id).await?;
        let mut tx = app.db.begin().await?;
        // The containers did not get their desired state: it is applied when the host is there again.
        let is_unapplied = state == RunState::Failed || reason.starts_with(HOST_DISABLED);
        if end_unbegun(&mut tx, app, run, state, reason).await? && is_unapplied {
            let left = match (steps.as_slice(), app.hosts.get(&run.target.host)) {
                // The request came while the host was unreachable, so that no plan exists.
                ([], Some(host)) => targets::members(&host.inventory(), &run.target),
                (steps, _) => undone(steps),
            };
            mark_unapplied(&mut tx, run, &left).await?;
        }
        tx.commit().await?;
        announce_end(app, run, state);
        self.taken.ended.push(run.id.clone());
        Ok(())
    }

    fn look_again_in(&mut self, wait: Duration) {
        let sooner = self.taken.look_again.map_or(wait, |sooner| sooner.min(wait));
        self.taken.look_again = Some(sooner);
    }

    /// Stores for each waiting run the reason why it waits.
    async fn store_waits(&mut self) -> Result<()> {
        if self.waits.is_empty() {
            return Ok(());
        }
        let mut tx = self.app.db.begin().await?;
        for (id, reason, attempt) in &self.waits {
            db::runs::wait(&mut tx, id, reason, *attempt).await?;
        }
        tx.commit().await?;
        self.app.bus.send(Live::Runs);
        Ok(())
    }
}

/// The wait before the next attempt: 1, 2, 4 … 60 s, with a jitter of a fifth.
fn back_off(clock: &Clock, attempt: i64) -> Duration {
    let doublings = u32::try_from(attempt.clamp(0, 6)).unwrap_or(6);
    clock.jittered((BACK_OFF.0 * 2_u32.pow(doublings)).min(BACK_OFF.1))
}

/// Whether two lists of steps are equal apart from their ids.
fn same_plan(stored: &[Step], fresh: &[Step]) -> bool {
    stored.len() == fresh.len()
        && stored.iter().zip(fresh).all(|(a, b)| {
            (&a.identity, a.action, a.wave, &a.wait_for, a.state)
                == (&b.identity, b.action, b.wave, &b.wait_for, b.state)
        })
}

/// Executes a run in a task of its own; the end of the task lets the next run begin.
pub(super) fn spawn(drive: RunExecutor, active_run: ActiveRun, tasks: &TaskTracker) {
    tasks.spawn(async move {
        let _active_run = active_run;
        drive.complete().await;
    });
}
