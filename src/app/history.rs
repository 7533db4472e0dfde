//! The history of runs and their steps: lists with filters, counts for charts, and usual durations. Lists are ordered
//! newest first.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::paging::{Page, Paged};
use super::{Actor, App, Error, Result, targets};
use crate::db;
use crate::db::figures::Paced;
use crate::domain::action::Action;
use crate::domain::group::InGroup;
use crate::domain::ids::{BatchId, GroupId, HostId, RunId, ScheduleId};
use crate::domain::pace::Pace;
use crate::domain::permission::Permission;
use crate::domain::run::{Run, RunState, Step, Trigger};
use crate::domain::schedule::Schedule;
use crate::domain::target::{ContainerIdentity, Subject, Target, TargetType};

/// Filter of a list of runs. Runs must match every field that is set; the default matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Host of the target.
    pub host: Option<HostId>,
    /// Group that the target is in now, or whose schedule made the run.
    pub group: Option<InGroup>,
    /// The runs of one fire of a group's schedule.
    pub batch: Option<BatchId>,
    /// Stack or container. Matches its own runs and every run with a step on one of its containers, whatever target
    /// that run was requested for.
    pub target: Option<Target>,
    /// Schedule that made the run.
    pub schedule: Option<ScheduleId>,
    /// State of the run.
    pub state: Option<RunState>,
    /// Whether to list only failed, partly failed and interrupted runs.
    pub attention: bool,
    /// Action of the run.
    pub action: Option<Action>,
    /// Trigger of the run.
    pub trigger: Option<Trigger>,
    /// Exact name of the actor.
    pub actor: Option<String>,
    /// First instant of creation, inclusive.
    pub from: Option<Timestamp>,
    /// End of the time range of creation, exclusive.
    pub to: Option<Timestamp>,
    /// Newest run to include.
    pub upto: Option<RunId>,
}

impl RunFilter {
    fn selection<'a>(&'a self, touching: &'a [ContainerIdentity]) -> db::history::RunSelection<'a> {
        db::history::RunSelection {
            host: self.host.as_ref(),
            group: self.group.as_ref(),
            batch: self.batch.as_ref(),
            target: self.target.as_ref(),
            touching,
            schedule: self.schedule.as_ref(),
            state: self.state,
            attention: self.attention,
            action: self.action,
            trigger: self.trigger,
            actor: self.actor.as_deref(),
            from: self.from,
            to: self.to,
            upto: self.upto.as_ref().map(RunId::as_str),
        }
    }

    fn touching(&self, app: &App) -> Vec<ContainerIdentity> {
        self.target.as_ref().map_or_else(Vec::new, |target| containers_of(app, target))
    }
}

/// A run and its steps in planned order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDetail {
    pub run: Run,
    /// `output` is set for operators only (rulings 21).
    pub steps: Vec<Step>,
}

/// Lists runs, newest first.
pub async fn list(app: &App, actor: &Actor, filter: &RunFilter, page: &Page) -> Result<Paged<Run>> {
    actor.require(Permission::View)?;
    let touching = filter.touching(app);
    let rows =
        db::history::list(&app.db, filter.selection(&touching), page.cursor.as_deref(), page.fetch()).await?;
    Ok(page.cut(rows, |run| run.id.0.clone()))
}

/// Maximum number of runs of a batch that its line shows.
pub const MOST_OF_BATCH: u32 = 20;

/// A line of a list of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunLine {
    One(Run),
    /// The runs of one fire of a group's schedule, one on each host.
    Batch(BatchLine),
}

/// The matching runs of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLine {
    pub id: BatchId,
    /// Their number by state; the state with the lowest rank first.
    pub states: Vec<(RunState, usize)>,
    /// Those with the lowest rank first, at most [`MOST_OF_BATCH`].
    pub runs: Vec<Run>,
    /// The newest.
    pub newest: Run,
}

impl BatchLine {
    /// The number of matching runs.
    pub fn count(&self) -> usize {
        self.states.iter().map(|(_, number)| number).sum()
    }

    /// The state to look at first.
    pub fn state(&self) -> RunState {
        self.states.first().map_or(self.newest.state, |(state, _)| *state)
    }
}

impl RunLine {
    /// The run by whose id the line has its place in the list.
    pub fn newest(&self) -> &Run {
        match self {
            Self::One(run) => run,
            Self::Batch(batch) => &batch.newest,
        }
    }

    /// The runs that the line shows.
    pub fn runs(&self) -> &[Run] {
        match self {
            Self::One(run) => std::slice::from_ref(run),
            Self::Batch(batch) => &batch.runs,
        }
    }
}

/// As [`list`], with the runs of a batch as one line; a page has so many lines. The runs of one batch alone are listed
/// one by one.
pub async fn lines(app: &App, actor: &Actor, filter: &RunFilter, page: &Page) -> Result<Paged<RunLine>> {
    if filter.batch.is_some() {
        return Ok(list(app, actor, filter, page).await?.map(RunLine::One));
    }
    actor.require(Permission::View)?;
    let touching = filter.touching(app);
    let wanted = filter.selection(&touching);
    let rows = db::history::lines(&app.db, wanted, page.cursor.as_deref(), page.fetch()).await?;
    let newest = page.cut(rows, |run| run.id.0.clone());
    let batches: Vec<BatchId> = newest.items.iter().filter_map(|run| run.batch.clone()).collect();
    let mut states = db::history::states_of_batches(&app.db, wanted, &batches).await?;
    states.sort_by_key(|(_, state, _)| state.rank());
    let mut runs: HashMap<BatchId, Vec<Run>> = HashMap::new();
    for run in db::history::of_batches(&app.db, wanted, &batches, MOST_OF_BATCH).await? {
        if let Some(batch) = &run.batch {
            runs.entry(batch.clone()).or_default().push(run);
        }
    }
    let line = |newest: Run| {
        let Some(id) = newest.batch.clone() else { return RunLine::One(newest) };
        let states = states.iter().filter(|(batch, ..)| *batch == id);
        let states: Vec<_> =
            states.map(|(_, state, number)| (*state, usize::try_from(*number).unwrap_or(0))).collect();
        let batch = BatchLine { runs: runs.remove(&id).unwrap_or_default(), id, states, newest };
        if batch.count() > 1 { RunLine::Batch(batch) } else { RunLine::One(batch.newest) }
    };
    Ok(newest.map(line))
}

/// Number of the newest runs that [`newest`] returns regardless of their outcome.
const NEWEST: u32 = 50;
/// Maximum age in hours of a failure that still needs attention.
pub const FAILURE_HOURS: i64 = 48;

/// The newest runs, followed by older runs that failed within the last [`FAILURE_HOURS`] and whose target was not
/// changed by a later run. Newest first.
pub async fn newest(app: &App, actor: &Actor) -> Result<Vec<Run>> {
    let page = Page { limit: NEWEST, cursor: None };
    let mut runs = list(app, actor, &RunFilter::default(), &page).await?.items;
    if let Some(oldest) = runs.last().map(|run| run.id.clone()).filter(|_| runs.len() == NEWEST as usize) {
        let from = app.clock.now() - SignedDuration::from_hours(FAILURE_HOURS);
        let failed = RunFilter { attention: true, from: Some(from), ..RunFilter::default() };
        let mut failed = list(app, actor, &failed, &page).await?.items;
        failed.retain(|run| run.id.0 < oldest.0);
        if !failed.is_empty() {
            let touches = db::history::last_touches(&app.db).await?;
            let made_good = |run: &Run| {
                touches.iter().any(|touch| touch.target == run.target && touch.run_id.0 > run.id.0)
            };
            runs.extend(failed.into_iter().filter(|run| !made_good(run)));
        }
    }
    Ok(runs)
}

/// Upper limit of the count of newer runs.
pub const MOST_NEWER: i64 = 100;

/// Number of lines of a list that are newer than `than`, counted up to [`MOST_NEWER`].
pub async fn newer(app: &App, actor: &Actor, filter: &RunFilter, than: &RunId) -> Result<i64> {
    actor.require(Permission::View)?;
    let touching = filter.touching(app);
    Ok(db::history::newer(&app.db, filter.selection(&touching), than.as_str(), MOST_NEWER).await?)
}

/// Counts runs by state per interval. Interval `n` lies between `edges[n]` and `edges[n + 1]`; each entry is the
/// interval, the state and the number of runs.
pub async fn outcomes(
    app: &App,
    actor: &Actor,
    filter: &RunFilter,
    edges: &[Timestamp],
) -> Result<Vec<(usize, RunState, i64)>> {
    actor.require(Permission::View)?;
    let touching = filter.touching(app);
    Ok(db::figures::outcomes(&app.db, filter.selection(&touching), edges).await?)
}

/// Maximum number of earlier runs that a duration is compared with.
pub const COMPARED: u32 = 30;

/// Durations of the last fully successful runs of one target and action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Run and duration in milliseconds, oldest run first.
    pub took: Vec<(RunId, i64)>,
}

impl Past {
    /// The usual duration, computed from all runs except `run`.
    pub fn without(&self, run: &RunId) -> Option<Pace> {
        Pace::of(self.took.iter().filter(|(id, _)| id != run).map(|(_, took)| *took))
    }
}

/// The past durations of each target and action in `runs`, up to the newest of those runs, with one query for all.
pub async fn pasts(app: &App, actor: &Actor, runs: &[Run]) -> Result<HashMap<(Target, Action), Past>> {
    actor.require(Permission::View)?;
    let mut newest: HashMap<(&Target, Action), &RunId> = HashMap::new();
    for run in runs {
        let until = newest.entry((&run.target, run.action)).or_insert(&run.id);
        *until = (*until).max(&run.id);
    }
    let of: Vec<Paced<'_>> =
        newest.into_iter().map(|((target, action), until)| Paced { target, action, until }).collect();
    let mut pasts: HashMap<(Target, Action), Past> = HashMap::new();
    for (n, id, took) in db::figures::paces(&app.db, &of, COMPARED).await? {
        if let Some(of) = of.get(n) {
            pasts.entry((of.target.clone(), of.action)).or_default().took.push((id, took));
        }
    }
    for past in pasts.values_mut() {
        past.took.sort();
    }
    Ok(pasts)
}

/// Reads one run with its steps.
///
/// # Errors
/// [`Error::NotFound`] where no run has this id.
pub async fn get(app: &App, actor: &Actor, id: &RunId) -> Result<RunDetail> {
    actor.require(Permission::View)?;
    let run = db::runs::get(&app.db, id)
        .await?
        .ok_or_else(|| Error::not_found("run", id.as_str().chars().take(64).collect::<String>()))?;
    let mut steps = db::steps::of_run(&app.db, id).await?;
    strip(actor, &mut steps);
    Ok(RunDetail { run, steps })
}

/// As [`list`], each run with its steps, with two queries for the whole page.
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

/// The targets that a list of runs can be filtered by: host, type, key and name of every stack, then of every container
/// in the inventory.
pub fn targets_now(app: &App, actor: &Actor) -> Result<Vec<(HostId, TargetType, String, String)>> {
    actor.require(Permission::View)?;
    let (mut stacks, mut containers) = (Vec::new(), Vec::new());
    for host in app.hosts.all() {
        let inventory = host.inventory();
        let id = || host.id().clone();
        stacks.extend(
            inventory.stacks().into_iter().map(|stack| (id(), TargetType::Stack, stack.key, stack.name)),
        );
        containers.extend(
            inventory
                .containers
                .iter()
                .filter(|container| container.is_ordinary())
                .map(|container| (id(), TargetType::Container, container.key(), container.name.clone())),
        );
    }
    stacks.append(&mut containers);
    Ok(stacks)
}

/// The schedules that a list of runs can be filtered by, newest first, with their hosts and titles.
pub async fn schedules_now(app: &App, actor: &Actor) -> Result<Vec<(HostId, ScheduleId, String)>> {
    /// More entries than anybody reads in a selection list.
    const MOST: i64 = 300;
    actor.require(Permission::View)?;
    let wanted =
        db::schedules::ScheduleSelection { limit: MOST, ..db::schedules::ScheduleSelection::default() };
    let schedules = db::schedules::list(&app.db, &wanted).await?;
    let entry = |one: Schedule| (one.spec.target.host.clone(), one.id.clone(), one.title());
    Ok(schedules.into_iter().map(entry).collect())
}

/// Whether a target exists in the last known inventory of its host.
pub fn is_present(app: &App, target: &Target) -> bool {
    app.hosts.get(&target.host).is_some_and(|host| {
        let inventory = host.inventory();
        match &target.subject {
            Subject::Stack(name) | Subject::Services { stack: name, .. } => inventory.has_stack(name),
            Subject::Container(identity) => inventory.by_identity(identity).is_some(),
            Subject::Host | Subject::Group(_) => true,
        }
    })
}

/// The target with this name, also where the target no longer exists, because its history remains. A removed container
/// is found by its exact name only if it did not belong to a stack.
pub fn target_named(app: &App, host: &HostId, target_type: TargetType, name: &str) -> Target {
    targets::resolve(app, host, target_type, name).unwrap_or_else(|_| match target_type {
        TargetType::Stack => Target::stack(host.clone(), name),
        TargetType::Container => Target::container(host.clone(), ContainerIdentity::Name(name.to_owned())),
        TargetType::Host => Target::host(HostId::from(name)),
        TargetType::Group => Target::group(GroupId::from(name)),
    })
}

/// Removes the log lines of failed starts unless the caller is an operator.
fn strip(actor: &Actor, steps: &mut [Step]) {
    if !actor.role.allows(Permission::Operate) {
        for step in steps {
            step.output = None;
        }
    }
}

/// The container itself, or the present containers of the stack.
fn containers_of(app: &App, target: &Target) -> Vec<ContainerIdentity> {
    match &target.subject {
        Subject::Container(identity) => vec![identity.clone()],
        // All runs on a host would match; the filter by host lists those.
        Subject::Host | Subject::Group(_) => Vec::new(),
        Subject::Stack(_) | Subject::Services { .. } => {
            app.hosts.get(&target.host).map_or_else(Vec::new, |host| {
                let members = host.inventory().members(&target.subject);
                members.iter().map(|member| member.identity.clone()).collect()
            })
        }
    }
}
