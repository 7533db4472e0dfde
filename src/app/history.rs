//! What was done: runs and their steps, newest first.

use super::paging::{Page, Paged};
use super::{Actor, App, Error, Result, execute};
use crate::db;
use crate::domain::ids::{HostId, RunId, ScheduleId};
use crate::domain::permission::Permission;
use crate::domain::run::{Run, RunState, Step};
use crate::domain::target::{ContainerIdentity, Subject, Target, TargetType};

/// Which runs are wanted; everything at its default = all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// What happened to this stack or container, whoever it was asked for: its own runs, and those with a step on a
    /// container of it.
    pub target: Option<Target>,
    /// Made by this schedule.
    pub schedule: Option<ScheduleId>,
    /// In this state.
    pub state: Option<RunState>,
    /// Only what failed, wholly or in part, or was cut off.
    pub attention: bool,
}

/// A run and its steps in the order they were planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDetail {
    /// The run.
    pub run: Run,
    /// Its steps. `output` is there for operators only (rulings 21).
    pub steps: Vec<Step>,
}

/// The newest runs first.
///
/// # Errors
/// Where the database cannot be read.
pub async fn list(app: &App, actor: &Actor, filter: &RunFilter, page: &Page) -> Result<Paged<Run>> {
    actor.require(Permission::View)?;
    let touching = filter.target.as_ref().map_or_else(Vec::new, |target| containers_of(app, target));
    let wanted = db::history::Wanted {
        target: filter.target.as_ref(),
        touching: &touching,
        schedule: filter.schedule.as_ref(),
        state: filter.state,
        attention: filter.attention,
    };
    let rows = db::history::list(&app.db, wanted, page.cursor.as_deref(), page.fetch()).await?;
    Ok(page.cut(rows, |run| run.id.0.clone()))
}

/// One run with its steps.
///
/// # Errors
/// [`Error::NotFound`] where there is none of that id.
pub async fn get(app: &App, actor: &Actor, id: &RunId) -> Result<RunDetail> {
    actor.require(Permission::View)?;
    let run = db::runs::get(&app.db, id)
        .await?
        .ok_or_else(|| Error::not_found("run", id.as_str().chars().take(64).collect::<String>()))?;
    let mut steps = db::steps::of_run(&app.db, id).await?;
    strip(actor, &mut steps);
    Ok(RunDetail { run, steps })
}

/// As [`list`], each with its steps: two queries for the whole page.
///
/// # Errors
/// As [`list`].
pub async fn list_with_steps(
    app: &App,
    actor: &Actor,
    filter: &RunFilter,
    page: &Page,
) -> Result<Paged<RunDetail>> {
    let runs = list(app, actor, filter, page).await?;
    let ids: Vec<RunId> = runs.items.iter().map(|run| run.id.clone()).collect();
    let mut steps = db::history::steps(&app.db, &ids).await?;
    strip(actor, &mut steps);
    Ok(runs.map(|run| {
        let steps = steps.extract_if(.., |step| step.run_id == run.id).collect();
        RunDetail { run, steps }
    }))
}

/// The target that a name stands for, whether it is there or not: what is gone still has a history. A container that is
/// gone is found under its exact name where it belonged to no stack.
pub fn target_named(app: &App, host: &HostId, target_type: TargetType, name: &str) -> Target {
    execute::resolve_target(app, host, target_type, name).unwrap_or_else(|_| match target_type {
        TargetType::Stack => Target::stack(host.clone(), name),
        TargetType::Container => Target::container(host.clone(), ContainerIdentity::Name(name.to_owned())),
    })
}

/// Log lines of a failed start are for operators.
fn strip(actor: &Actor, steps: &mut [Step]) {
    if !actor.role.allows(Permission::Operate) {
        for step in steps {
            step.output = None;
        }
    }
}

/// The container, or those that a stack has now.
fn containers_of(app: &App, target: &Target) -> Vec<ContainerIdentity> {
    match &target.subject {
        Subject::Container(identity) => vec![identity.clone()],
        Subject::Stack(_) => app.hosts.get(&target.host).map_or_else(Vec::new, |host| {
            let members = host.inventory().members(&target.subject);
            members.iter().map(|member| member.identity.clone()).collect()
        }),
    }
}
