//! How a run ended, from how its steps did.

use crate::app::execute::under_way::Control;
use crate::domain::action::Action;
use crate::domain::plan::NOTHING_NAPPED;
use crate::domain::run::{NOTHING_TO_DO, Run, RunState, Step, StepState};

/// The state of a run whose steps have all ended, and why.
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
    // A collision is no failure (semantics §4).
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

/// A run whose plan has no step: all is as wanted already, or nothing may be touched.
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
        Action::Restart => (RunState::Skipped, "not_running: a restart acts on what runs".to_owned()),
        _ if already > 0 => (RunState::Succeeded, format!("{NOTHING_TO_DO}: it was so already")),
        _ => {
            let reason = steps.first().map_or("", |step| step.reason.as_str());
            (RunState::Skipped, format!("{NOTHING_TO_DO}: {reason}"))
        }
    }
}

/// Why a wake found nothing to wake: of one container as it says itself, of several in general.
fn nothing_napped(steps: &[Step]) -> Option<String> {
    let told = |step: &&Step| step.reason.starts_with(NOTHING_NAPPED);
    let first = steps.iter().find(told)?;
    Some(match steps {
        [_] => first.reason.clone(),
        _ => format!("{NOTHING_NAPPED}: DockNap put nothing of it to sleep"),
    })
}
