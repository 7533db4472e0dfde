//! The end of a run: its final state from the outcomes of its steps, and the rows and events that record it.

use super::active_runs::Control;
use crate::app::audit::Audit;
use crate::app::error::Result;
use crate::app::{Actor, App, Live, targets};
use crate::db::{self, Tx};
use crate::domain::action::Action;
use crate::domain::inventory::{Inventory, Link};
use crate::domain::plan::{NOT_RUNNING, NOTHING_NAPPED};
use crate::domain::run::{NOTHING_TO_DO, Run, RunState, Step, StepState};
use crate::domain::target::ContainerIdentity;
use crate::domain::window::Phase;

/// The final state of a run whose steps have all ended, and the reason.
pub fn verdict(run: &Run, steps: &[Step], control: &Control) -> (RunState, String) {
    let count = |state: StepState| steps.iter().filter(|step| step.wave > 0 && step.state == state).count();
    let planned = steps.iter().filter(|step| step.wave > 0).count();
    let (done, failed) = (count(StepState::Succeeded), count(StepState::Failed));
    let (cut, skipped) = (count(StepState::Interrupted), count(StepState::Skipped));
    if let Some(by) = control.cancelled_by()
        && (skipped > 0 || planned == 0)
    {
        return (RunState::Cancelled, format!("called off by {by}"));
    }
    if planned == 0 {
        return nothing_to_do(run, steps);
    }
    if cut > 0 {
        return (RunState::Interrupted, "cut off half-way; look at the steps".to_owned());
    }
    let taken = steps
        .iter()
        .filter(|step| step.wave > 0 && step.state == StepState::Skipped)
        .find_map(|step| control.taken_by(&step.identity));
    // A collision with a newer run is no failure (semantics §4).
    if let (Some(by), 0) = (taken, failed) {
        return (RunState::Superseded, format!("superseded by {by}"));
    }
    let first = steps.iter().find(|step| step.wave > 0 && step.state == StepState::Failed);
    let why = first.map_or_else(
        || "look at the steps".to_owned(),
        |step| format!("{}: {}", step.container, step.error.as_deref().unwrap_or("failed")),
    );
    match (done, failed, skipped) {
        (_, 0, 0) => (RunState::Succeeded, String::new()),
        (0, 0, _) => {
            let reason = steps.iter().find(|step| step.wave > 0).map_or("", |step| step.reason.as_str());
            (RunState::Skipped, reason.to_owned())
        }
        (_, 0, _) => (RunState::Partial, format!("{skipped} of {planned} steps were not done")),
        (0, _, _) => (RunState::Failed, why),
        _ => (RunState::Partial, why),
    }
}

/// The result of a run whose plan has no step: all containers are in the target state already, or none may be changed.
fn nothing_to_do(run: &Run, steps: &[Step]) -> (RunState, String) {
    let already = steps.iter().filter(|step| step.is_so_already()).count();
    match run.action {
        Action::Start
            if already == 0
                && let Some(reason) = nothing_napped(steps) =>
        {
            (RunState::Skipped, format!("{reason}, so nothing was started"))
        }
        _ if steps.is_empty() => (RunState::Failed, "there is no such target any more".to_owned()),
        Action::Restart if steps.iter().any(|step| step.reason.starts_with(NOT_RUNNING)) => {
            (RunState::Skipped, "not_running: a restart acts on what runs".to_owned())
        }
        _ if already > 0 => (RunState::Succeeded, format!("{NOTHING_TO_DO}: it was so already")),
        _ => {
            let reason = steps.first().map_or("", |step| step.reason.as_str());
            (RunState::Skipped, format!("{NOTHING_TO_DO}: {reason}"))
        }
    }
}

/// Why a start found nothing to wake: the container's own reason for a single one, otherwise a general reason.
fn nothing_napped(steps: &[Step]) -> Option<String> {
    let is_not_napped = |step: &&Step| step.reason.starts_with(NOTHING_NAPPED);
    let first = steps.iter().find(is_not_napped)?;
    Some(match steps {
        [_] => first.reason.clone(),
        _ => format!("{NOTHING_NAPPED}: DockNap put nothing of it to sleep"),
    })
}

/// Ends a run that has not begun, in `tx`. `false` where it is no longer pending: nothing is stored then.
pub(super) async fn end_unbegun(
    tx: &mut Tx,
    app: &App,
    run: &Run,
    state: RunState,
    reason: &str,
) -> Result<bool> {
    let now = app.clock.now();
    if !db::runs::end_pending(tx, &run.id, state, reason, now).await? {
        return Ok(false);
    }
    db::steps::leave(tx, &run.id, reason, now).await?;
    record_end(tx, app, run, state, reason).await?;
    Ok(true)
}

/// Counts the end of a run that had not begun, and notifies the browsers.
pub(super) fn announce_end(app: &App, run: &Run, state: RunState) {
    app.vitals.counters.run_ended(run, state, None);
    app.bus.send(Live::Run(run.target.clone()));
}

/// Adds the audit row of a run's end, and stores the current name of its target, which may have been unknown when the
/// run was stored (rulings 48).
pub(super) async fn record_end(
    tx: &mut Tx,
    app: &App,
    run: &Run,
    state: RunState,
    reason: &str,
) -> Result<()> {
    let name = match app.hosts.get(&run.target.host) {
        Some(host) => targets::present_name(&host.inventory(), &run.target, Some(&run.target_name)),
        None => run.target_name.clone(),
    };
    if name != run.target_name {
        db::runs::rename(tx, &run.id, &name).await?;
    }
    let row = Audit::new(app, &Actor::of(run.actor.clone()), "run.finish");
    let row = row.object("run", Some(run.id.as_str()), &name).outcome(state.as_str());
    row.run(run).reason(reason).store(tx).await
}

pub(super) fn unreachable(inventory: &Inventory) -> Option<String> {
    match &inventory.link {
        Link::Connected { .. } => None,
        Link::Connecting => Some("the host is not connected yet".to_owned()),
        Link::Unreachable { reason, .. } => Some(format!("the host cannot be reached: {reason}")),
        Link::Disabled => Some("the host is disabled".to_owned()),
    }
}

/// Marks the desired state of these containers as not applied, so that it is applied when the host is reachable again.
/// This includes runs requested by a person, since their override remains in effect like a window.
pub(super) async fn mark_unapplied(tx: &mut Tx, run: &Run, left: &[ContainerIdentity]) -> Result<()> {
    if !run.action.sets_state() {
        return Ok(());
    }
    let state = if run.action.reverses_order() { Phase::Asleep } else { Phase::Awake };
    for identity in left {
        db::applied::mark_unapplied(tx, &run.target.host, identity, state).await?;
    }
    Ok(())
}

/// The containers of planned steps that did not succeed.
pub(super) fn undone(steps: &[Step]) -> Vec<ContainerIdentity> {
    let undone = steps.iter().filter(|step| step.wave > 0 && step.state != StepState::Succeeded);
    undone.map(|step| step.identity.clone()).collect()
}
