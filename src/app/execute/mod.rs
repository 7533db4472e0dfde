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
use super::near::near;
use super::rulebook::RuleBook;
use super::{Actor, App};
use crate::db;
use crate::domain::action::Action;
use crate::domain::guard::Guard;
use crate::domain::ids::{HostId, RunId, ScheduleId};
use crate::domain::inventory::{Container, Inventory, Kind};
use crate::domain::overrides::{Place, Wanted};
use crate::domain::permission::Permission;
use crate::domain::plan::{Plan, Restore, Wish, plan};
use crate::domain::run::{Run, RunState, StepState, Trigger};
use crate::domain::sorted;
use crate::domain::target::{self, ContainerIdentity, Subject, Target, TargetType};
use crate::domain::text::shorten;

mod drive;
pub mod early;
mod guard;
mod locks;
mod operate;
pub mod runner;
mod submit;
mod under_way;
pub mod undo;

pub(crate) use super::by_hand::answer as answer_by_hand;
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
    pub(crate) lasting: Option<super::overrides::Wish>,
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
    let inventory = reachable(app, &target.host)?;
    known(&inventory, target)?;
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

/// The inventory of a host that is connected.
fn reachable(app: &App, host: &HostId) -> Result<Inventory> {
    let host = app.hosts.get(host).ok_or_else(|| Error::not_found("host", host.as_str()))?;
    let inventory = host.inventory();
    match &inventory.link {
        crate::domain::inventory::Link::Connected { .. } => Ok(inventory),
        crate::domain::inventory::Link::Connecting => {
            Err(Error::Docker { message: "Docker is not connected yet; try again in a moment".to_owned() })
        }
        crate::domain::inventory::Link::Unreachable { reason, .. } => {
            Err(Error::Docker { message: format!("Docker cannot be reached: {reason}") })
        }
    }
}

/// Refuses a target that names nothing.
fn known(inventory: &Inventory, target: &Target) -> Result<()> {
    if !inventory.members(&target.subject).is_empty() {
        return Ok(());
    }
    Err(match &target.subject {
        Subject::Stack(name) => {
            Error::NotFound { what: "stack", name: name.clone(), near: near_stacks(inventory, name) }
        }
        Subject::Container(ContainerIdentity::Name(name)) => {
            Error::NotFound { what: "container", name: name.clone(), near: near_containers(inventory, name) }
        }
        Subject::Container(ContainerIdentity::Service { project, service, number }) => {
            Error::not_found("container", format!("{project}/{service}/{number}"))
        }
    })
}

/// Refuses what is never touched: a protected container, a stack of nothing else, a swarm task.
fn touchable(inventory: &Inventory, target: &Target, name: &str) -> Result<()> {
    let members = inventory.members(&target.subject);
    if let Some(reason) = target::unschedulable_name(name) {
        return Err(Error::field("target_id", format!("this cannot be acted on: {reason}")));
    }
    unprotected(inventory, target, name)?;
    if let (Subject::Container(_), Some(member)) = (&target.subject, members.first()) {
        let message = match member.kind {
            Kind::Ordinary => return Ok(()),
            Kind::SwarmTask => "it is a swarm task: swarm would replace it; scale the service instead",
            Kind::OneOff => "it is a one-off container of `docker compose run`; DockNap leaves those alone",
            Kind::Hook => "it is a compose hook; DockNap leaves those alone",
        };
        return Err(Error::Conflict { code: "not_schedulable", message: format!("`{name}`: {message}") });
    }
    Ok(())
}

/// Refuses a target of which everything is protected.
pub(crate) fn unprotected(inventory: &Inventory, target: &Target, name: &str) -> Result<()> {
    let members = inventory.members(&target.subject);
    match members.first().and_then(|member| member.protection.as_ref()) {
        Some(protection) if members.iter().all(|member| member.protection.is_some()) => {
            Err(Error::Protected { name: name.to_owned(), reason: protection.reason().to_owned() })
        }
        _ => Ok(()),
    }
}

/// What a target is called now.
pub(crate) fn name_of(app: &App, target: &Target) -> String {
    let inventory = app.hosts.get(&target.host).map(|host| host.inventory());
    let inventory = inventory.unwrap_or_else(|| Inventory::empty(target.host.clone()));
    submit::target_name(&inventory, target, None)
}

/// A target by the name (or the 16-digit key) that a person or program gave.
///
/// # Errors
/// [`Error::NotFound`] with names that look like it, [`Error::Docker`] while the host has never been reached.
pub fn resolve_target(app: &App, host: &HostId, target_type: TargetType, name: &str) -> Result<Target> {
    let found = app.hosts.get(host).ok_or_else(|| Error::not_found("host", host.as_str()))?;
    let inventory = found.inventory();
    if inventory.seen_at.is_none() {
        reachable(app, host)?;
    }
    match target_type {
        TargetType::Stack => {
            let stacks = inventory.stacks();
            match stacks.iter().find(|stack| stack.name == name || stack.key == name) {
                Some(stack) => Ok(Target::stack(host.clone(), stack.name.clone())),
                None => Err(Error::NotFound {
                    what: "stack",
                    name: name.to_owned(),
                    near: near_stacks(&inventory, name),
                }),
            }
        }
        TargetType::Container => {
            let found = inventory.by_name(name).or_else(|| inventory.by_key(name));
            match found {
                Some(container) => Ok(container.target()),
                None => Err(Error::NotFound {
                    what: "container",
                    name: name.to_owned(),
                    near: near_containers(&inventory, name),
                }),
            }
        }
    }
}

/// The containers of a target that somebody names: by name, key or identity.
///
/// # Errors
/// [`Error::Invalid`] naming `also_start`, for what is none of them; [`Error::Docker`] while the host has never been
/// reached.
pub fn named_members<'a>(
    app: &App,
    target: &Target,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<ContainerIdentity>> {
    let found = app.hosts.get(&target.host);
    let inventory = found.ok_or_else(|| Error::not_found("host", target.host.as_str()))?.inventory();
    let members = inventory.members(&target.subject);
    let mut named = Vec::new();
    for name in names {
        let is_it = |one: &Container| {
            one.is_ordinary() && (one.name == name || one.key() == name || one.identity.to_text() == name)
        };
        match members.iter().find(|member| is_it(member)) {
            Some(member) => named.push(member.identity.clone()),
            None => {
                let message = format!("there is no container `{}` in it", shorten(name));
                return Err(Error::field("also_start", message));
            }
        }
    }
    sorted::ascending(&mut named);
    named.dedup();
    Ok(named)
}

/// The target that fields name: that it is not there is a fault of the field, not of the address.
///
/// # Errors
/// [`Error::Invalid`] naming `host` or `target_id`; as [`resolve_target`] for a host that is away.
pub fn named_target(app: &App, host: &HostId, target_type: TargetType, name: &str) -> Result<Target> {
    resolve_target(app, host, target_type, name).map_err(as_field)
}

fn as_field(error: Error) -> Error {
    match error {
        Error::NotFound { what: "host", name, .. } => {
            Error::field("host", format!("there is no host `{}`", shorten(&name)))
        }
        Error::NotFound { what, name, near } => {
            let name = shorten(&name);
            let near: Vec<String> = near.iter().map(|near| format!("`{near}`")).collect();
            let hint = if near.is_empty() {
                String::new()
            } else {
                format!("; did you mean {}?", near.join(" or "))
            };
            Error::field("target_id", format!("there is no {what} `{name}`{hint}"))
        }
        other => other,
    }
}

fn near_stacks(inventory: &Inventory, name: &str) -> Vec<String> {
    near(name, inventory.stacks().iter().map(|stack| stack.name.as_str()))
}

fn near_containers(inventory: &Inventory, name: &str) -> Vec<String> {
    near(name, inventory.containers.iter().map(|container| container.name.as_str()))
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
