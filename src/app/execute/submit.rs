//! From a request to a stored run.

use std::collections::HashSet;

use jiff::Timestamp;

use super::Request;
use super::share::Share;
use crate::app::audit::Audit;
use crate::app::error::{Error, Result};
use crate::app::manual_changes::ManualChange;
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Live, overrides, targets};
use crate::db::{self, Tx};
use crate::domain::audit::AuditRow;
use crate::domain::ids::RunId;
use crate::domain::inventory::{Inventory, Link};
use crate::domain::permission::Permission;
use crate::domain::plan::{Plan, why_idle};
use crate::domain::run::{Run, RunState, Step, StepState, Trigger};
use crate::domain::target::ContainerIdentity;

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// A run was stored for it.
    New {
        run_id: RunId,
        /// The state of the run: pending.
        state: RunState,
        /// Why the run changes no container; `None` where it acts, or while the host is unreachable and this is
        /// unknown.
        idle: Option<String>,
    },
    /// An open run does the same already; nothing was stored.
    Duplicate {
        /// The id of that run.
        run_id: RunId,
        /// The state of that run.
        state: RunState,
    },
}

impl Submitted {
    /// The id of the run that fulfils the request.
    pub fn run_id(&self) -> &RunId {
        match self {
            Self::New { run_id, .. } | Self::Duplicate { run_id, .. } => run_id,
        }
    }
}

/// A run and its steps, ready to be stored.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The run, pending.
    pub run: Run,
    /// Its steps; empty while the host cannot be reached: then they are planned when the run begins.
    pub steps: Vec<Step>,
}

impl Prepared {
    /// Why the run changes nothing; `None` where it acts, and while that is unknown.
    fn idle(&self) -> Option<String> {
        let idles = !self.steps.is_empty() && self.steps.iter().all(|step| step.state.is_terminal());
        idles.then(|| why_idle(self.steps.iter().map(|step| &*step.reason)))
    }
}

/// Stores a run for a request and wakes the runner. While the host cannot be reached the run is stored and waits.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`] for an unknown target, [`Error::Protected`] and [`Error::Conflict`] for
/// one that DockNap never acts on.
pub async fn submit(app: &App, actor: &Actor, request: Request) -> Result<Submitted> {
    actor.require(Permission::Operate)?;
    let inventory = targets::inventory_of(app, &request.target.host)?;
    if inventory.is_connected() {
        targets::known(&inventory, &request.target)?;
    } else if inventory.link == Link::Disabled {
        // A host that is away comes back, and the run waits for it; a disabled one may stay so for ever.
        targets::reachable(app, &request.target.host)?;
    }
    let name = targets::present_name(&inventory, &request.target, request.known_as.as_deref());
    targets::touchable(&inventory, &request.target, &name)?;
    let lasting = request.lasting.clone();
    let book = RuleBook::load(app).await?;
    // Of two equal requests at the same time, the second one must find the run of the first.
    let _submitting = app.active_runs.submitting().await;
    let prepared = prepare(app, actor, request, &inventory, &book, app.clock.now()).await?;
    let mut tx = app.db.begin().await?;
    let twin = db::runs::open_twin(&mut tx, &prepared.run).await?;
    let Prepared { run, steps } = &prepared;
    let (inventory, rules, now) = (&inventory, &book.rules, run.created_at);
    let change = ManualChange { app, actor, run, steps, inventory, rules, now };
    if let Some(lasting) = lasting {
        change.make_last(&mut tx, lasting).await?;
    } else if twin.is_none() {
        change.apply_policy(&mut tx).await?;
    }
    if let Some(twin) = twin {
        tx.commit().await?;
        overrides::changed(app);
        return Ok(Submitted::Duplicate { run_id: twin.id, state: twin.state });
    }
    store(&mut tx, app, actor, &prepared).await?;
    tx.commit().await?;
    app.scheduler.wake();
    app.bus.send(Live::Run(prepared.run.target.clone()));
    app.bus.send(Live::Overrides);
    app.active_runs.wake();
    let idle = prepared.idle();
    Ok(Submitted::New { run_id: prepared.run.id, state: RunState::Pending, idle })
}

/// Repeats the failed steps of a run that has ended.
///
/// # Errors
/// As [`submit`]; [`Error::Conflict`] for a run that has not ended, or without failed steps.
pub async fn retry(app: &App, actor: &Actor, id: &RunId) -> Result<Submitted> {
    actor.require(Permission::Operate)?;
    let run = db::runs::get(&app.db, id).await?.ok_or_else(|| Error::not_found("run", id.as_str()))?;
    if !run.state.needs_attention() {
        return Err(Error::conflict(
            "nothing_failed",
            "only a run that failed, wholly or in part, can be retried",
        ));
    }
    submit(
        app,
        actor,
        Request {
            stop_timeout_seconds: run.stop_timeout_seconds,
            restore: run.restore,
            batch: run.batch,
            leaves: run.leaves,
            retry_of: Some(run.id),
            known_as: Some(run.target_name),
            ..Request::now(run.action, run.target, Trigger::Retry)
        },
    )
    .await
}

/// Makes the run and the steps of a request, from the given inventory and rules as of `now`.
pub async fn prepare(
    app: &App,
    actor: &Actor,
    mut request: Request,
    inventory: &Inventory,
    book: &RuleBook,
    now: Timestamp,
) -> Result<Prepared> {
    let alone = request.puts_back.take();
    let name = if request.target.is_wide() {
        targets::name(app, &request.target)
    } else {
        targets::present_name(inventory, &request.target, request.known_as.as_deref())
    };
    let run = Run { puts_back: alone.is_some(), ..request.into_run(app, actor, name, now) };
    let steps = if inventory.is_connected() {
        let share = match alone {
            None => Share::of(app, &run).await?,
            Some(alone) => Share::Only(alone),
        };
        steps_of(app, &run, &share.plan(&run, inventory, book, now), now)
    } else {
        Vec::new()
    };
    Ok(Prepared { run, steps })
}

/// Stores a prepared run with its steps and the audit row of the request. `false` when its schedule already has a run
/// for that instant.
pub async fn store(tx: &mut Tx, app: &App, actor: &Actor, prepared: &Prepared) -> Result<bool> {
    Ok(store_all(tx, app, actor, &[prepared]).await?.is_empty())
}

/// As [`store`] for several runs; returns the ids of those that were not stored.
///
/// # Errors
/// Where the database cannot be written.
pub async fn store_all(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    prepared: &[&Prepared],
) -> Result<HashSet<RunId>> {
    let runs: Vec<&Run> = prepared.iter().map(|one| &one.run).collect();
    let refused = db::runs::insert_all(tx, &runs, app.active_runs.epoch()).await?;
    let new = || prepared.iter().filter(|one| !refused.contains(&one.run.id));
    db::steps::insert(tx, new().flat_map(|one| &one.steps)).await?;
    let rows = new().map(|one| request_row(app, actor, &one.run)).collect();
    db::audit::insert(tx, rows).await?;
    Ok(refused)
}

/// The audit row of a request.
fn request_row(app: &App, actor: &Actor, run: &Run) -> AuditRow {
    let verb = if run.trigger == Trigger::Undo { "undo" } else { run.action.as_str() };
    let event = format!("{}.{verb}", run.target.target_type());
    let outcome = if run.state.is_terminal() { run.state.as_str() } else { "ok" };
    let row = Audit::new(app, actor, event).target(&run.target, &run.target_name).outcome(outcome);
    row.run(run).reason(&run.why).row()
}

/// The steps of a plan: actions in order, then skipped containers.
pub(super) fn steps_of(app: &App, run: &Run, plan: &Plan, now: Timestamp) -> Vec<Step> {
    let blank = |container: &str, identity: &ContainerIdentity| Step {
        id: app.ids.next(now),
        run_id: run.id.clone(),
        ordinal: 0,
        wave: 0,
        host: run.target.host.clone(),
        container: container.to_owned(),
        identity: identity.clone(),
        action: run.action,
        wait_for: Vec::new(),
        state: StepState::Pending,
        reason: String::new(),
        issued_at: None,
        finished_at: None,
        duration_ms: None,
        exit_code: None,
        error: None,
        output: None,
    };
    let planned = plan.steps.iter().map(|step| Step {
        wave: i64::from(step.wave),
        action: step.action,
        wait_for: step.wait_for.clone(),
        reason: step.because.clone().unwrap_or_default(),
        ..blank(&step.container, &step.identity)
    });
    let skipped = plan.skipped.iter().map(|skipped| Step {
        state: StepState::Skipped,
        reason: skipped.reason.clone(),
        finished_at: Some(now),
        ..blank(&skipped.container, &skipped.identity)
    });
    planned.chain(skipped).zip(0..).map(|(step, ordinal)| Step { ordinal, ..step }).collect()
}
