//! Takes pending runs from the table, one after the other, and drives each in a task of its own.
//!
//! Who is at work lives in memory and is rebuilt at the start: runs that were under way when the process ended are
//! taken up first. Of several requests that want different things of the same containers the newest wins: what runs
//! yields at its next step boundary, older ones that wait are superseded (semantics §4, rulings 11).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::drive::{Drive, verdict};
use super::locks::Locks;
use super::plan_of;
use super::submit::{record_end, steps_of};
use crate::app::error::Result;
use crate::app::{Activator, App, Live, overrides};
use crate::db::{self, Tx};
use crate::docker::{Host, Notice};
use crate::domain::action::Action;
use crate::domain::ids::{HostId, RunId};
use crate::domain::inventory::{Inventory, Link};
use crate::domain::run::{Run, RunState, Step, StepState};
use crate::domain::target::{ContainerIdentity, Target};
use crate::domain::window::Mood;

/// First and longest wait between looks at a host that cannot be reached.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Why a run that nobody could begin ends.
const LATE: &str = "its deadline passed before it could begin";

/// Whether a run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// It does.
    Go,
    /// A newer request takes its place.
    Superseded {
        /// What that one does, in words.
        by: String,
    },
    /// Somebody called it off.
    Cancelled {
        /// Who.
        by: String,
    },
}

/// What is being done to containers right now. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Execution(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    wake: Activator,
    locks: Locks,
    active: Mutex<HashMap<RunId, Active>>,
    permits: Mutex<HashMap<HostId, Arc<Semaphore>>>,
}

#[derive(Debug)]
struct Active {
    target: Target,
    action: Action,
    touches: BTreeSet<ContainerIdentity>,
    control: watch::Sender<Control>,
}

/// What one look at the table did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Runs that began.
    pub begun: Vec<RunId>,
    /// Runs that ended without beginning: superseded, past their deadline, nothing to do.
    pub ended: Vec<RunId>,
    /// When to look again although nothing happens.
    pub look_again: Option<Duration>,
}

impl Execution {
    /// There may be a run to take.
    pub fn wake(&self) {
        self.0.wake.wake();
    }

    /// The epoch of the process that drives. One process drives an SQLite database: 0.
    pub fn epoch(&self) -> i64 {
        0
    }

    /// How many runs are being driven.
    pub fn active(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn locks(&self) -> &Locks {
        &self.0.locks
    }

    /// Room for one more container operation on a host, where there is some.
    pub(super) fn permit(&self, host: &HostId, parallelism: usize) -> Option<OwnedSemaphorePermit> {
        let mut permits = self.0.permits.lock().unwrap_or_else(PoisonError::into_inner);
        let semaphore =
            permits.entry(host.clone()).or_insert_with(|| Arc::new(Semaphore::new(parallelism.max(1))));
        Arc::clone(semaphore).try_acquire_owned().ok()
    }

    /// Calls off a run that is being driven; `false` where it is not.
    pub(super) fn cancel(&self, id: &RunId, by: &str) -> bool {
        match self.lock().get(id) {
            Some(active) => {
                active.control.send_replace(Control::Cancelled { by: by.to_owned() });
                true
            }
            None => false,
        }
    }

    /// The containers of a host that runs under way may act on, with what those do.
    pub fn touched(&self, host: &HostId) -> Vec<(ContainerIdentity, Action)> {
        let active = self.lock();
        let here = active.values().filter(|active| active.target.host == *host);
        here.flat_map(|active| active.touches.iter().map(|one| (one.clone(), active.action))).collect()
    }

    /// Whether another run is at work on a container: one that stops or pauses, or else one that starts it.
    pub(super) fn works_on(
        &self,
        host: &HostId,
        than: &RunId,
        identity: &ContainerIdentity,
        stops: bool,
    ) -> bool {
        self.lock().iter().any(|(id, active)| {
            id != than
                && active.target.host == *host
                && active.action.reverses_order() == stops
                && active.touches.contains(identity)
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Active>> {
        self.0.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes runs that want something else of the same containers yield. `true` when there is one to wait for.
    fn make_way(&self, run: &Run, touches: &BTreeSet<ContainerIdentity>) -> bool {
        let mut in_the_way = false;
        for (id, active) in self.lock().iter() {
            if active.action != run.action && overlap(&active.target, &active.touches, &run.target, touches) {
                in_the_way = true;
                if id.as_str() < run.id.as_str() {
                    active.control.send_if_modified(|control| {
                        let goes_on = *control == Control::Go;
                        if goes_on {
                            *control = Control::Superseded { by: words(run) };
                        }
                        goes_on
                    });
                }
            }
        }
        in_the_way
    }
}

fn words(run: &Run) -> String {
    format!("{} {} by {}", run.action, run.target_name, run.actor.name)
}

fn overlap(
    a: &Target,
    a_touches: &BTreeSet<ContainerIdentity>,
    b: &Target,
    b_touches: &BTreeSet<ContainerIdentity>,
) -> bool {
    a.host == b.host && (a == b || !a_touches.is_disjoint(b_touches))
}

/// The containers a run may act on: the target's members, and what its plan adds.
fn touches(run: &Run, steps: &[Step], inventory: &Inventory) -> BTreeSet<ContainerIdentity> {
    let members = inventory.members(&run.target.subject);
    members
        .iter()
        .map(|member| member.identity.clone())
        .chain(steps.iter().map(|step| step.identity.clone()))
        .collect()
}

/// Drives runs until `stop`; then what is in flight ends, and the rest is left for the next start.
pub async fn run(app: App, stop: CancellationToken, tasks: TaskTracker) {
    let mut wait = Duration::from_secs(1);
    while let Err(error) = recover(&app, &stop, &tasks).await {
        tracing::error!(%error, "half-done runs cannot be read; trying again");
        tokio::select! {
            () = app.clock.sleep(wait) => wait = (wait * 2).min(BACK_OFF.1),
            () = stop.cancelled() => return,
        }
    }
    while !stop.is_cancelled() {
        let look_again = match take_pending(&app, &stop, &tasks).await {
            Ok(taken) => taken.look_again,
            Err(error) => {
                tracing::error!(%error, "pending runs cannot be taken; trying again");
                Some(BACK_OFF.0)
            }
        };
        tokio::select! {
            () = app.execution.0.wake.woken() => {}
            () = app.clock.sleep(look_again.unwrap_or_default()), if look_again.is_some() => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Passes on what the hosts tell: to the browsers what changed, to the runner that a link came up.
pub async fn feed(app: App, stop: CancellationToken) {
    let mut feeds = tokio::task::JoinSet::new();
    for host in app.hosts.all() {
        let app = app.clone();
        feeds.spawn(async move {
            let mut notices = host.notices();
            loop {
                match notices.recv().await {
                    Ok(Notice::Link) => {
                        app.outside.link(host.id(), host.inventory().is_connected(), app.clock.now());
                        app.bus.send(Live::Hosts);
                        app.execution.wake();
                        app.scheduler.wake();
                    }
                    Ok(Notice::Stack(key)) => app.bus.send(Live::Stack(key)),
                    Ok(Notice::Container(key)) => app.bus.send(Live::Container(key)),
                    Ok(Notice::Sighted(sighting)) => {
                        if app.outside.sighted(host.id(), sighting) {
                            app.scheduler.wake();
                        }
                    }
                    // Some were lost: the browsers look at everything, and so does the runner.
                    Err(RecvError::Lagged(_)) => {
                        app.outside.link(host.id(), false, app.clock.now());
                        app.bus.send(Live::Hosts);
                        app.execution.wake();
                        app.scheduler.wake();
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }
    stop.cancelled().await;
}

/// Takes up the runs that a process that is gone was driving. Each looks at its containers before it acts.
///
/// # Errors
/// Where the database cannot be read.
pub async fn recover(app: &App, stop: &CancellationToken, tasks: &TaskTracker) -> Result<usize> {
    let runs = db::runs::in_state(&app.db, RunState::Executing).await?;
    let mut count = 0;
    for run in runs {
        if app.execution.lock().contains_key(&run.id) {
            continue;
        }
        let steps = db::steps::of_run(&app.db, &run.id).await?;
        let Some(host) = app.hosts.get(&run.target.host) else { continue };
        tracing::info!(run = %run.id, target = %run.target_name, "taking up a run that was cut off");
        let touches = touches(&run, &steps, &host.inventory());
        spawn(app, host, run, steps, touches, stop, tasks);
        count += 1;
    }
    Ok(count)
}

/// Begins each pending run that nothing is in the way of.
///
/// # Errors
/// Where the database cannot be read or written; the next look goes on from there.
pub async fn take_pending(app: &App, stop: &CancellationToken, tasks: &TaskTracker) -> Result<Taken> {
    let mut taken = Taken::default();
    let pending = db::runs::in_state(&app.db, RunState::Pending).await?;
    let mut wanted: Vec<(Run, Vec<Step>, BTreeSet<ContainerIdentity>)> = Vec::new();
    for run in pending {
        let steps = db::steps::of_run(&app.db, &run.id).await?;
        let touches = match app.hosts.get(&run.target.host) {
            Some(host) => touches(&run, &steps, &host.inventory()),
            None => BTreeSet::new(),
        };
        wanted.push((run, steps, touches));
    }
    for index in 0..wanted.len() {
        let (run, steps, touches) = &wanted[index];
        let newer = wanted[index + 1..].iter().rev().find(|(other, _, other_touches)| {
            other.action != run.action && overlap(&other.target, other_touches, &run.target, touches)
        });
        if let Some((newer, ..)) = newer {
            end(app, run, RunState::Superseded, &format!("superseded by {}", words(newer))).await?;
            taken.ended.push(run.id.clone());
            continue;
        }
        let Some(host) = app.hosts.get(&run.target.host) else {
            end(app, run, RunState::Failed, "its host is no longer known").await?;
            taken.ended.push(run.id.clone());
            continue;
        };
        if app.execution.make_way(run, touches) {
            continue;
        }
        if let Some(ended) = begin(app, host, run, steps, stop, tasks, &mut taken).await? {
            taken.ended.push(ended);
        }
    }
    if !taken.ended.is_empty() {
        app.scheduler.wake();
    }
    Ok(taken)
}

/// Begins one run with the plan of this moment. Answers its id where it ended at once.
async fn begin(
    app: &App,
    host: Arc<Host>,
    run: &Run,
    steps: &[Step],
    stop: &CancellationToken,
    tasks: &TaskTracker,
    taken: &mut Taken,
) -> Result<Option<RunId>> {
    let now = app.clock.now();
    let inventory = host.inventory();
    if let Some(reason) = unreachable(&inventory) {
        if now >= run.deadline_at {
            let why = match run.attempt {
                0 => LATE.to_owned(),
                _ => format!("{reason}; tried until the run's deadline"),
            };
            end(app, run, RunState::Failed, &why).await?;
            return Ok(Some(run.id.clone()));
        }
        let wait = back_off(run.attempt);
        // Tried again when the link comes up, which wakes the runner; the wait only bounds it.
        let left = Duration::try_from(run.deadline_at.duration_since(now)).unwrap_or_default();
        let look_again = wait.min(left);
        taken.look_again = Some(taken.look_again.map_or(look_again, |sooner| sooner.min(look_again)));
        let mut tx = app.db.begin().await?;
        db::runs::wait(&mut tx, &run.id, &reason, run.attempt + 1).await?;
        tx.commit().await?;
        app.bus.send(Live::Runs);
        return Ok(None);
    }
    if now > run.deadline_at {
        end(app, run, RunState::Failed, LATE).await?;
        return Ok(Some(run.id.clone()));
    }
    let plan = plan_of(app, run, &inventory).await?;
    let fresh = steps_of(app, run, &plan, now);
    let mut tx = app.db.begin().await?;
    if !db::runs::begin(&mut tx, &run.id, now).await? {
        return Ok(None);
    }
    let steps = if same_plan(steps, &fresh) {
        steps.to_vec()
    } else {
        db::steps::clear(&mut tx, &run.id).await?;
        db::steps::insert(&mut tx, &fresh).await?;
        fresh
    };
    if steps.iter().all(|step| step.state.is_terminal()) {
        let (state, reason) = verdict(run, &steps, &Control::Go);
        db::runs::finish(&mut tx, &run.id, state, &reason, now).await?;
        record_end(&mut tx, app, run, state, &reason).await?;
        tx.commit().await?;
        app.bus.send(Live::Runs);
        return Ok(Some(run.id.clone()));
    }
    tx.commit().await?;
    app.bus.send(Live::Runs);
    let mut run = run.clone();
    run.started_at = Some(now);
    run.state = RunState::Executing;
    taken.begun.push(run.id.clone());
    let touches = touches(&run, &steps, &inventory);
    spawn(app, host, run, steps, touches, stop, tasks);
    Ok(None)
}

fn unreachable(inventory: &Inventory) -> Option<String> {
    match &inventory.link {
        Link::Connected { .. } => None,
        Link::Connecting => Some("the host is not connected yet".to_owned()),
        Link::Unreachable { reason, .. } => Some(format!("the host cannot be reached: {reason}")),
    }
}

/// 1, 2, 4 … 60 s.
fn back_off(attempt: i64) -> Duration {
    let doublings = u32::try_from(attempt.clamp(0, 6)).unwrap_or(6);
    (BACK_OFF.0 * 2_u32.pow(doublings)).min(BACK_OFF.1)
}

/// Whether two lists of steps say the same, ids apart.
fn same_plan(stored: &[Step], fresh: &[Step]) -> bool {
    stored.len() == fresh.len()
        && stored.iter().zip(fresh).all(|(a, b)| {
            (&a.identity, a.action, a.wave, &a.wait_for, a.state)
                == (&b.identity, b.action, b.wave, &b.wait_for, b.state)
        })
}

/// Drives a run in a task of its own, and lets the next one in when it has ended.
fn spawn(
    app: &App,
    host: Arc<Host>,
    run: Run,
    steps: Vec<Step>,
    touches: BTreeSet<ContainerIdentity>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) {
    let (control, controlled) = watch::channel(Control::Go);
    let id = run.id.clone();
    app.execution
        .lock()
        .insert(id.clone(), Active { target: run.target.clone(), action: run.action, touches, control });
    let drive = Drive::new(app.clone(), host, run, steps, controlled, stop.clone());
    let (execution, scheduler) = (app.execution.clone(), app.scheduler.clone());
    tasks.spawn(async move {
        // Also when the drive panics: a run that nobody drives must not block the next one.
        let _active = Registered { execution, id, scheduler };
        drive.complete().await;
    });
}

struct Registered {
    execution: Execution,
    id: RunId,
    scheduler: Activator,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.execution.lock().remove(&self.id);
        self.execution.wake();
        // What others did meanwhile to its containers is judged now.
        self.scheduler.wake();
    }
}

/// Ends a run that has not begun.
async fn end(app: &App, run: &Run, state: RunState, reason: &str) -> Result<()> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    if db::runs::finish(&mut tx, &run.id, state, reason, now).await? {
        db::steps::leave(&mut tx, &run.id, reason, now).await?;
        record_end(&mut tx, app, run, state, reason).await?;
        if state == RunState::Failed {
            let steps = db::steps::of_run(&app.db, &run.id).await?;
            let left = match (steps.as_slice(), app.hosts.get(&run.target.host)) {
                // Asked for while the host was away: there was nothing to make a plan of.
                ([], Some(host)) => overrides::members(&host.inventory(), &run.target),
                (steps, _) => undone(steps),
            };
            unsettle(&mut tx, run, &left).await?;
        }
    }
    tx.commit().await?;
    app.bus.send(Live::Runs);
    Ok(())
}

/// What a window or an override wants of these containers was not reached: it is tried again when the host comes back.
/// Whoever asked for the run: a button's override counts on as a window does.
pub(super) async fn unsettle(tx: &mut Tx, run: &Run, left: &[ContainerIdentity]) -> Result<()> {
    if !run.action.sets_state() {
        return Ok(());
    }
    let state = if run.action.reverses_order() { Mood::Asleep } else { Mood::Awake };
    for identity in left {
        db::applied::unsettle(tx, &run.target.host, identity, state).await?;
    }
    Ok(())
}

/// The containers of steps that did not do what they were for.
pub(super) fn undone(steps: &[Step]) -> Vec<ContainerIdentity> {
    let undone = steps.iter().filter(|step| step.wave > 0 && step.state != StepState::Succeeded);
    undone.map(|step| step.identity.clone()).collect()
}
