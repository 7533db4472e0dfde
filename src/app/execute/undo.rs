//! Undoes a recent request of a person: reverses the run by a new run, and removes the overrides made with the request.
//!
//! Steps that have not begun are cancelled. Completed steps are reversed for each container that still is as the run
//! left it; containers that others changed since stay as they are and are listed. The reversal begins when the run has
//! ended, so that it reverses what the run actually did.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::Request;
use super::past::{Past, Reverse};
use super::submit::{Prepared, prepare, store};
use super::verdict::{end_unbegun, unreachable};
use crate::app::error::{Error, Result};
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Live, overrides, targets};
use crate::db::{self, Tx};
use crate::domain::action::Action;
use crate::domain::applied::{Applied, GRACE};
use crate::domain::desired::{Layer, Rules};
use crate::domain::ids::{HostId, RunId};
use crate::domain::inventory::Inventory;
use crate::domain::overrides::{DesiredState, Override, Reach};
use crate::domain::permission::Permission;
use crate::domain::place::Place;
use crate::domain::run::{NOTHING_TO_DO, Run, RunState, Trigger};
use crate::domain::target::{ContainerIdentity, Subject, Target};
use crate::domain::time::to_ms;
use crate::domain::window::Phase;

/// How long after its request a run can be undone.
pub const TIME: SignedDuration = SignedDuration::from_secs(30);
/// The largest number of successive overrides followed back to the state before the first one.
const HANDED_ON: usize = 10;

/// The result of an undo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The id of the undoing run.
    pub run_id: RunId,
    /// The name of its target.
    pub name: String,
    pub action: Action,
    /// The number of containers it acts on; preliminary while the undone run has not ended.
    pub acts: usize,
    /// Whether the undone run had not ended: its remaining steps are cancelled.
    pub called_off: bool,
    /// The containers that stay as they are, each with the reason.
    pub left: Vec<(String, String)>,
    /// Whether an override made with the request has changed since and therefore stays.
    pub keeps_override: bool,
}

/// Whether a run can be undone within [`TIME`]: it sets a state, and a person or API client requested it.
pub fn can_be_undone(trigger: Trigger, action: Action) -> bool {
    action.sets_state() && matches!(trigger, Trigger::Manual | Trigger::Bulk | Trigger::Api)
}

/// Undoes a run of the caller, within [`TIME`] of its request, once.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where the run is another caller's, cannot be undone,
/// was undone already, or is too old; [`Error::Docker`] while its host cannot be reached. An error leaves everything
/// unchanged.
pub async fn undo(app: &App, actor: &Actor, id: &RunId) -> Result<Undone> {
    actor.require(Permission::Operate)?;
    // The locks keep a second undo of the run out, and keep the run from beginning meanwhile.
    let _submitting = app.active_runs.submitting().await;
    let _beginning = app.active_runs.beginning().await;
    let now = app.clock.now();
    let run = db::runs::get(&app.db, id).await?.ok_or_else(|| Error::not_found("run", id.as_str()))?;
    check(app, actor, &run, now).await?;
    let not_undone = |why: &str| {
        Err(Error::Docker {
            message: format!("not undone on {}: {why}; nothing was changed", run.target.host),
        })
    };
    let Some(host) = app.hosts.get(&run.target.host) else { return not_undone("the host is not known") };
    let inventory = host.inventory();
    let waits = run.state == RunState::Pending;
    if !waits && let Some(why) = unreachable(&inventory) {
        return not_undone(&why);
    }
    if run.state == RunState::Executing && !app.active_runs.is_active(id) {
        return not_undone("the run is about to be taken up again, try again in a moment");
    }
    let book = RuleBook::load(app).await?;
    let steps = db::steps::of_run(&app.db, id).await?;
    let past = Past::new(&host, run, steps);
    let run = &past.run;
    let reverse = past.reverse(&inventory, book.naps(&run.target.host));
    let request = Request {
        retry_of: Some(run.id.clone()),
        known_as: Some(run.target_name.clone()),
        reason: format!("undoes: {} {}", run.action, run.target_name),
        ..Request::now(reverse.action(run.action), run.target.clone(), Trigger::Undo)
    };
    let mut prepared = prepare(app, actor, request, &inventory, &book, now).await?;
    if waits {
        prepared.steps.clear();
        prepared.run.state = RunState::Skipped;
        prepared.run.reason = format!("{NOTHING_TO_DO}: what it undoes had not begun");
        prepared.run.finished_at = Some(now);
    }
    let mut tx = app.db.begin().await?;
    // Another process may have undone the run meanwhile.
    if db::runs::undo_of(&mut tx, id).await?.is_some() {
        return Err(undone_already());
    }
    if waits {
        let reason = format!("called off by {}", actor.reference.name);
        end_unbegun(&mut tx, app, run, RunState::Cancelled, &reason).await?;
    }
    let scene = Scene { app, actor, run, inventory: &inventory, rules: &book.rules, now };
    let keeps_override = scene.put_back(&mut tx, &reverse).await?;
    store(&mut tx, app, actor, &prepared).await?;
    tx.commit().await?;
    let called_off = past.is_open();
    if waits {
        app.vitals.counters.run_ended(run, RunState::Cancelled, None);
        app.vitals.counters.run_ended(&prepared.run, RunState::Skipped, None);
    } else if called_off {
        app.active_runs.cancel(id, &actor.reference.name);
    }
    overrides::changed(app);
    app.bus.send(Live::Run(run.target.clone()));
    Ok(summary(prepared, reverse, called_off, keeps_override))
}

fn summary(prepared: Prepared, reverse: Reverse, called_off: bool, keeps_override: bool) -> Undone {
    let Prepared { run, steps } = prepared;
    Undone {
        run_id: run.id,
        name: run.target_name,
        action: run.action,
        acts: steps.iter().filter(|step| !step.state.is_terminal()).count(),
        called_off,
        left: reverse.changed,
        keeps_override,
    }
}

fn undone_already() -> Error {
    Error::conflict("undone_already", "this was undone already")
}

async fn check(app: &App, actor: &Actor, run: &Run, now: Timestamp) -> Result<()> {
    let refused = |code: &'static str, message: String| Err(Error::Conflict { code, message });
    let is_own = run.actor.kind == actor.reference.kind
        && run.actor.id.is_some()
        && run.actor.id == actor.reference.id;
    if !is_own {
        let by = &run.actor.name;
        return refused("not_yours", format!("this was asked for by {by}, who alone can undo it"));
    }
    if !can_be_undone(run.trigger, run.action) {
        return refused("not_undoable", format!("a {} cannot be undone", run.action));
    }
    let mut tx = app.db.begin().await?;
    let undone = db::runs::undo_of(&mut tx, &run.id).await?;
    drop(tx);
    if undone.is_some() {
        return Err(undone_already());
    }
    if now.duration_since(run.created_at) > TIME {
        let instead = if run.action.reverses_order() { "Wake" } else { "Nap" };
        return refused("too_late", format!("it is too late to undo this; use {instead}"));
    }
    Ok(())
}

/// The context of an undo while it restores overrides.
struct Scene<'a> {
    app: &'a App,
    actor: &'a Actor,
    run: &'a Run,
    inventory: &'a Inventory,
    rules: &'a Rules,
    now: Timestamp,
}

impl Scene<'_> {
    /// Ends the overrides made with the request, reopens those that the request ended, and updates the applied states.
    /// `true` where an override has changed since and stays.
    async fn put_back(&self, tx: &mut Tx, reverse: &Reverse) -> Result<bool> {
        let (host, at) = (&self.run.target.host, self.run.created_at);
        let mut rules = self.rules.clone();
        let mut keeps = false;
        let made = db::overrides::made_at(tx, host, at).await?;
        let made = made.into_iter().filter(|one| self.is_of_it(one) && one.author == self.run.actor);
        let mut superseded = HashSet::new();
        for one in made {
            let reason = format!("undone by {}", self.actor.reference.name);
            if db::overrides::close(tx, &one.id, self.now, &reason).await? {
                overrides::record(tx, self.app, self.actor, "override.end", &one, reason).await?;
                rules.end(&one.id);
            } else {
                keeps = true;
                superseded.insert(one.reach);
            }
        }
        for one in db::overrides::closed_at(tx, host, at).await? {
            let is_older = to_ms(one.created_at) < to_ms(at);
            if !is_older || !self.is_of_it(&one) || superseded.contains(&one.reach) {
                continue;
            }
            if db::overrides::open_for(tx, &one.reach).await?.is_some() {
                keeps = true;
                continue;
            }
            db::overrides::reopen(tx, &one.id).await?;
            let reason = format!("put back by {}", self.actor.reference.name);
            overrides::record(tx, self.app, self.actor, "override.restore", &one, reason).await?;
            rules.impose(Override { closed_at: None, closed_reason: String::new(), ..one });
        }
        self.remember(tx, reverse, &rules).await?;
        Ok(keeps)
    }

    /// Whether an override is for the target of the run or a part of it.
    fn is_of_it(&self, one: &Override) -> bool {
        let Reach::Target(target) = &one.reach else { return false };
        let on_host = self.run.target.is_wide() && target.host == self.run.target.host;
        *target == self.run.target
            || on_host && self.inventory.groups.overlap(target, &self.run.target)
            || matches!((&self.run.target.subject, Place::of_target(target).stack),
                (Subject::Stack(name), Some(stack)) if name == stack)
            || self.run.target.subject.services().is_some()
                && self.inventory.groups.overlap(target, &self.run.target)
    }

    /// Sets the applied state of each member that was last changed by the run to the desired state, so that nothing
    /// else acts on it.
    async fn remember(&self, tx: &mut Tx, reverse: &Reverse, rules: &Rules) -> Result<()> {
        let host = &self.run.target.host;
        let known = db::applied::of_host(&mut *tx, host).await?;
        let moment = rules.at(self.now);
        let requested_at = to_ms(self.run.created_at);
        for member in targets::members(self.inventory, &self.run.target) {
            let Some(before) = known.get(&member) else { continue };
            if before.put_back_at.map(to_ms) == Some(to_ms(self.run.created_at + GRACE)) {
                let applied = Applied { put_back_at: None, ..before.clone() };
                db::applied::put(tx, host, &member, &applied).await?;
            }
            if to_ms(before.at) != requested_at {
                continue;
            }
            let container = Target::container(host.clone(), member.clone());
            let desired = moment.desired(Place::of_target(&container));
            let is_up = || self.inventory.by_identity(&member).is_some_and(|one| one.state.is_up());
            let state = match (desired.wanted, reverse.acts.get(&member)) {
                (Some(DesiredState::Awake), _) => Phase::Awake,
                (Some(DesiredState::Asleep), _) => Phase::Asleep,
                (None, _) => {
                    db::applied::remove(tx, host, &member).await?;
                    continue;
                }
                (Some(DesiredState::Hold), Some(Action::Stop | Action::Pause)) => Phase::Asleep,
                (Some(DesiredState::Hold), None) if !is_up() => Phase::Asleep,
                (Some(DesiredState::Hold), _) => Phase::Awake,
            };
            let was = match desired.layer {
                Layer::Override(one) if one.puts_back => self.was_before(tx, host, &member, one).await?,
                _ => None,
            };
            let applied = Applied { was, puts_back: was.is_some(), ..Applied::now(state, self.now) };
            db::applied::put(tx, host, &member, &applied).await?;
        }
        Ok(())
    }

    /// The state of a container before an override changed it; for a replaced override, before the first of the series.
    async fn was_before(
        &self,
        tx: &mut Tx,
        host: &HostId,
        member: &ContainerIdentity,
        one: &Override,
    ) -> Result<Option<Phase>> {
        let mut from = one.created_at;
        for _ in 0..HANDED_ON {
            let earlier = db::overrides::closed_at(tx, host, from).await?.into_iter().find(|other| {
                other.reach == one.reach
                    && other.wanted == one.wanted
                    && other.puts_back
                    && other.created_at < from
            });
            let Some(earlier) = earlier else { break };
            from = earlier.created_at;
        }
        let (did, was) = match one.wanted {
            DesiredState::Awake => ([Action::Start, Action::Unpause], Phase::Asleep),
            DesiredState::Asleep => ([Action::Stop, Action::Pause], Phase::Awake),
            DesiredState::Hold => return Ok(None),
        };
        let acted = db::steps::changed(tx, host, member, did, from, self.run.created_at).await?;
        Ok(acted.then_some(was))
    }
}
