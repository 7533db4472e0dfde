//! The one execution path. Nothing else in the program may ask Docker to start, stop, restart, pause or unpause.
//!
//! 1. [`preview`] answers the [`Plan`]: permission, inventory, pure `domain::plan`. A dry run stops here.
//! 2. [`submit`] makes the same plan and stores run, steps and audit row in one transaction; then it wakes the runner.
//! 3. The [`runner`] begins each pending run when nothing is in its way, and [`drive`]s it: commit to a step, call
//!    Docker, look whether it became so ([`operate`]), store the outcome.
//! 4. Run state and audit row of the end are stored in one transaction.
//!
//! Buttons, API, schedules and catch-up all come through here.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::error::{Error, Result};
use super::overrides::NewOverride;
use super::rulebook::RuleBook;
use super::{Actor, App, targets};
use crate::db;
use crate::domain::action::Action;
use crate::domain::guard::Guard;
use crate::domain::ids::{RunId, ScheduleId};
use crate::domain::inventory::Inventory;
use crate::domain::overrides::{Place, Wanted};
use crate::domain::permission::Permission;
use crate::domain::plan::{Plan, Restore, Wish, plan};
use crate::domain::run::{Run, RunState, StepState, Trigger};
use crate::domain::target::{ContainerIdentity, Target};

mod drive;
pub mod early;
mod guard;
mod locks;
mod operate;
pub mod runner;
mod submit;
mod under_way;
pub mod undo;

pub use submit::{Prepared, Submitted, prepare, retry, store, store_all, submit};
pub use under_way::Execution;

/// What somebody wants done.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to do.
    pub action: Action,
    pub target: Target,
    /// What the target was called when that was last known; counts only while its host has not shown it.
    pub known_as: Option<String>,
    /// What made it.
    pub trigger: Trigger,
    /// The schedule it comes from: id and title.
    pub schedule: Option<(ScheduleId, String)>,
    /// The nominal instant of a scheduled run.
    pub fire_at: Option<Timestamp>,
    /// Stop grace in seconds, where the user set one.
    pub stop_timeout_seconds: Option<i64>,
    /// Why, in words; may be empty.
    pub reason: String,
    /// The run whose failed steps are to be repeated, or which is to be undone.
    pub retry_of: Option<RunId>,
    /// For a start: what naps is woken, and the rest left off (rulings 5).
    pub restore: bool,
    /// What may hold it back for a while; nothing does where a person asks.
    pub guard: Option<Guard>,
    /// The containers that alone are put back to what they were.
    pub puts_back: Option<HashSet<ContainerIdentity>>,
    /// For a start: containers that nobody watched as they ended, and that are started all the same.
    pub also: Vec<ContainerIdentity>,
    /// The override that makes it last.
    pub(crate) lasting: Option<NewOverride>,
}

impl Request {
    /// A request by a person or program, now.
    pub fn now(action: Action, target: Target, trigger: Trigger) -> Self {
        Self {
            action,
            target,
            known_as: None,
            trigger,
            schedule: None,
            fire_at: None,
            stop_timeout_seconds: None,
            reason: String::new(),
            retry_of: None,
            restore: false,
            guard: None,
            puts_back: None,
            also: Vec::new(),
            lasting: None,
        }
    }

    /// The run that does it, of which no container is known yet.
    pub fn into_run(self, app: &App, actor: &Actor, target_name: String, now: Timestamp) -> Run {
        let (schedule_id, schedule_name) = self.schedule.unzip();
        let (id, by) = (app.ids.next(now), actor.reference.clone());
        Run {
            schedule_id,
            schedule_name,
            fire_at: self.fire_at,
            why: self.reason,
            stop_timeout_seconds: self.stop_timeout_seconds,
            retry_of: self.retry_of,
            restore: self.restore && self.action == Action::Start,
            guard: self.guard,
            also: self.also,
            ..Run::new(id, self.target, target_name, self.action, self.trigger, by, now)
        }
    }
}

/// What a request would do, without doing it. `restore` is what a scheduled start does: wake only what naps.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`] for a target that is not there, [`Error::Docker`] while its host cannot
/// be reached.
pub async fn preview(
    app: &App,
    actor: &Actor,
    target: &Target,
    action: Action,
    restore: bool,
) -> Result<Plan> {
    actor.require(Permission::View)?;
    let inventory = targets::reachable(app, &target.host)?;
    targets::known(&inventory, target)?;
    let book = RuleBook::load(app).await?;
    let restore = if restore { Restore::ElseAll } else { Restore::No };
    let leave = HashMap::new();
    let zone = &book.zone.zone;
    let wish = Wish {
        subject: &target.subject,
        action,
        naps: book.naps(&target.host),
        restore,
        only: None,
        undoes: None,
        also: &[],
        leave: &leave,
        zone,
    };
    let mut plan = plan(wish, &inventory);
    let moment = book.rules.at(app.clock.now());
    let desired = moment.desired(Place::of_target(target));
    if desired.wanted == Some(Wanted::Hold) {
        plan.warnings.insert(0, format!("{}; this acts all the same", desired.why(zone)));
    }
    Ok(plan)
}

/// The plan of a run, from what is there, as of `now`.
async fn plan_of(
    app: &App,
    run: &Run,
    inventory: &Inventory,
    book: &RuleBook,
    now: Timestamp,
) -> Result<Plan> {
    Ok(plan_by(run, inventory, book, &Share::of(app, run).await?, now))
}

/// What a run is for, where that is not all of its target.
enum Share {
    /// All of it.
    All,
    /// These containers alone: what an earlier run left undone, or what it found to put back at first.
    Only(HashSet<ContainerIdentity>),
    /// What an earlier run did, to undo it.
    Undoes(Box<undo::Past>),
}

impl Share {
    async fn of(app: &App, run: &Run) -> Result<Self> {
        let only = match &run.retry_of {
            None if run.puts_back => unfinished(app, &run.id).await?,
            None => None,
            Some(_) if run.trigger == Trigger::Undo => {
                // Of what is forgotten nothing is undone.
                let past = undo::Past::of(app, run).await?;
                return Ok(
                    past.map_or_else(|| Self::Only(HashSet::new()), |past| Self::Undoes(Box::new(past)))
                );
            }
            Some(earlier) => unfinished(app, earlier).await?,
        };
        Ok(only.map_or(Self::All, Self::Only))
    }

    /// It is for what another run is still at work on.
    fn is_not_known_yet(&self) -> bool {
        matches!(self, Self::Undoes(past) if past.is_open())
    }
}

/// The plan of a run, for its share of the target.
fn plan_by(run: &Run, inventory: &Inventory, book: &RuleBook, share: &Share, now: Timestamp) -> Plan {
    let mut leave = book.left_alone(run, inventory, now);
    let restore = match run.restore {
        false => Restore::No,
        true if run.is_level() => Restore::Only,
        true => Restore::ElseAll,
    };
    let naps = book.naps(&run.target.host);
    let (subject, zone) = (&run.target.subject, &book.zone.zone);
    let (only, undoes) = match share {
        Share::All => (None, None),
        Share::Only(only) => (Some(only), None),
        Share::Undoes(past) => {
            let reverse = past.reverse(inventory, naps);
            leave.extend(reverse.left);
            (None, Some(reverse.acts))
        }
    };
    let (undoes, also) = (undoes.as_ref(), run.also.as_slice());
    plan(
        Wish { subject, action: run.action, naps, restore, only, undoes, also, leave: &leave, zone },
        inventory,
    )
}

/// The containers of an earlier run that are not as it wanted; `None` for one that never got as far as a plan, since
/// its host was away: all of them.
async fn unfinished(app: &App, run: &RunId) -> Result<Option<HashSet<ContainerIdentity>>> {
    let steps = db::steps::of_run(&app.db, run).await?;
    if steps.is_empty() {
        return Ok(None);
    }
    let unfinished = steps.into_iter().filter(|step| step.wave > 0 && step.state != StepState::Succeeded);
    Ok(Some(unfinished.map(|step| step.identity).collect()))
}

/// Calls a run off: one that waits ends at once, one that is under way at its next step boundary.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], and [`Error::Conflict`] when it has ended.
pub async fn cancel(app: &App, actor: &Actor, id: &RunId) -> Result<()> {
    actor.require(Permission::Operate)?;
    let run = db::runs::get(&app.db, id).await?.ok_or_else(|| Error::not_found("run", id.as_str()))?;
    let ended =
        || Error::Conflict { code: "run_ended", message: "this run has ended; nothing to cancel".to_owned() };
    if run.state.is_terminal() {
        return Err(ended());
    }
    // Nothing begins meanwhile: it waits, or it is under way.
    let _beginning = app.execution.beginning().await;
    if app.execution.cancel(id, &actor.reference.name) {
        return Ok(());
    }
    let now = app.clock.now();
    let reason = format!("called off by {}", actor.reference.name);
    if run.is_guarded() {
        return if guard::call_off(app, actor, &run, &reason).await? { Ok(()) } else { Err(ended()) };
    }
    let mut tx = app.db.begin().await?;
    if !db::runs::end_pending(&mut tx, id, RunState::Cancelled, &reason, now).await? {
        return Err(ended());
    }
    db::steps::leave(&mut tx, id, &reason, now).await?;
    submit::record_end(&mut tx, app, &run, RunState::Cancelled, &reason).await?;
    tx.commit().await?;
    app.vitals.counters.run_ended(&run, RunState::Cancelled, None);
    app.bus.send(super::Live::Run(run.target));
    app.scheduler.wake();
    Ok(())
}
