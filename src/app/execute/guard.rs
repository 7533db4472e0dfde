//! Guards of pending runs: checks the containers, then lets the run begin, defers it or ends it (rulings 7).
//!
//! The state of a wait is stored in the database row of the run, so that it survives a restart of the process. A run
//! ends before it acts when something contradicts it meanwhile: a hold, an override, the wake edge of its window, or
//! the deletion of its schedule.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::looks::Looked;
use super::share::Share;
use super::verdict::{announce_end, end_unbegun};
use crate::app::error::Result;
use crate::app::overrides::{self, Changed, NewOverride};
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Live, targets};
use crate::db::{self, Tx};
use crate::docker::Host;
use crate::domain::applied::Applied;
use crate::domain::contradiction;
use crate::domain::desired::{Rules, WindowRule};
use crate::domain::guard::{Deferral, Guard, Load, Verdict};
use crate::domain::ids::RunId;
use crate::domain::inventory::{Container, ContainerState, Inventory};
use crate::domain::overrides::{DesiredState, Reach};
use crate::domain::place::Place;
use crate::domain::run::{DEADLINE, Run, RunState, Step};
use crate::domain::schedule::When;
use crate::domain::target::{ContainerIdentity, Target};
use crate::domain::window::Phase;

/// The decision of a guard about its run.
pub(super) enum GuardDecision {
    /// The run may begin, with the changed fields of this value.
    Goes(Box<Run>),
    /// The run waits until this instant, or with `None` until a reading has ended.
    Waits(Option<Timestamp>),
    /// The run has ended without acting.
    Ended,
}

/// Evaluates the guard of a pending run.
///
/// # Errors
/// Where the database cannot be read or written: the run stays pending.
pub(super) async fn evaluate(
    app: &App,
    host: &Arc<Host>,
    run: &Run,
    steps: &[Step],
    book: &RuleBook,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<GuardDecision> {
    let Some(guard) = &run.guard else { return Ok(GuardDecision::Goes(Box::new(run.clone()))) };
    let now = app.clock.now();
    let zone = &book.zone.zone;
    if let Some((state, reason)) = ending(app, run, book, now).await? {
        let ended = Ended { app, run, steps, state, reason: &reason };
        ended.store(&Actor::scheduler(), &book.rules, false).await?;
        return Ok(GuardDecision::Ended);
    }
    if let Some(at) = run.look_at.filter(|at| *at > now) {
        return Ok(GuardDecision::Waits(Some(at)));
    }
    // The deadline of the run counts from the end of the wait (rulings 7).
    let deadline_at = now.checked_add(DEADLINE).unwrap_or(Timestamp::MAX);
    let inventory = host.inventory();
    if !inventory.is_connected() {
        if now > run.deadline_at && was_off(run) {
            db::runs::extend(&app.db, &run.id, deadline_at).await?;
            return Ok(GuardDecision::Goes(Box::new(Run { deadline_at, ..run.clone() })));
        }
        // `admit` stores the reason why the run waits.
        return Ok(GuardDecision::Goes(Box::new(run.clone())));
    }
    let sleepers = sleepers(app, run, &inventory, book).await?;
    let up = sleepers.iter().filter_map(|one| Some((one.name.as_str(), one.started_at?)));
    let verdict = match guard.young(up, run.created_at, now, zone) {
        Some(deferral) => Verdict::Later(Deferral { busy_until: run.busy_until, ..deferral }),
        None => match looked_at(app, host, run, guard, &sleepers, stop, tasks) {
            None => return Ok(GuardDecision::Waits(None)),
            Some(loads) => guard.judge(&loads, run.busy_until, now, zone),
        },
    };
    match verdict {
        Verdict::Go(remark) => Ok(GuardDecision::Goes(Box::new(Run {
            why: remember(run, &remark, now),
            deadline_at,
            ..run.clone()
        }))),
        Verdict::Later(deferral) => {
            defer(app, run, &deferral).await?;
            Ok(GuardDecision::Waits(Some(deferral.look_at)))
        }
        Verdict::Skip(reason) => {
            let ended = Ended { app, run, steps, state: RunState::Skipped, reason: &reason };
            ended.store(&Actor::scheduler(), &book.rules, true).await?;
            Ok(GuardDecision::Ended)
        }
    }
}

/// Cancels a run that its guard defers: the window does not put the target to sleep until the next edge.
pub(super) async fn call_off(app: &App, actor: &Actor, run: &Run, reason: &str) -> Result<bool> {
    let steps = db::steps::of_run(&app.db, &run.id).await?;
    let book = RuleBook::load(app).await?;
    Ended { app, run, steps: &steps, state: RunState::Cancelled, reason }
        .store(actor, &book.rules, true)
        .await
}

/// The final state and reason of a run that must not begin any more; `None` where it still may.
async fn ending(app: &App, run: &Run, book: &RuleBook, now: Timestamp) -> Result<Option<(RunState, String)>> {
    let moment = book.rules.at(now);
    let zone = &book.zone.zone;
    let skipped = |reason: String| Ok(Some((RunState::Skipped, reason)));
    let mut patience = DEADLINE;
    if run.is_level() {
        let desired = moment.desired(Place::of_target(&run.target));
        match desired.wanted {
            Some(DesiredState::Asleep) => {}
            Some(DesiredState::Hold) => return skipped(format!("held: {}", desired.why(zone))),
            Some(DesiredState::Awake) if desired.rule().is_some() => {
                return skipped(format!("over: {}", desired.why(zone)));
            }
            Some(DesiredState::Awake) => return skipped(format!("override: {}", desired.why(zone))),
            None => return skipped("no rule asks for it any more".to_owned()),
        }
    } else {
        if let Some(held) = contradiction::suppressed(&moment, &run.target, run.action, zone) {
            return skipped(held.to_string());
        }
        if let Some(id) = &run.schedule_id
            && let Some(schedule) = db::schedules::get(&app.db, id).await?
        {
            if schedule.deleted_at.is_some() {
                return skipped("its schedule was deleted while it waited".to_owned());
            }
            // A one-off schedule is disabled by its own fire.
            if !schedule.spec.enabled && !matches!(schedule.spec.when, When::Once(_)) {
                return skipped("its schedule was switched off while it waited".to_owned());
            }
            let catch_up = u64::try_from(schedule.spec.catch_up_seconds).unwrap_or(0);
            patience = patience.max(Duration::from_secs(catch_up));
        }
    }
    let last = run.look_at.map(|at| at.checked_add(patience).unwrap_or(Timestamp::MAX));
    Ok(last
        .filter(|last| now > *last && was_off(run))
        .map(|_| (RunState::Missed, "its wait ended while DockNap was not running".to_owned())))
}

/// Whether a run is past its deadline because DockNap did not run: an unreachable host would have caused attempts.
fn was_off(run: &Run) -> bool {
    run.look_at.is_some() && run.attempt == 0
}

/// The containers that the run would put to sleep now.
async fn sleepers(
    app: &App,
    run: &Run,
    inventory: &Inventory,
    book: &RuleBook,
) -> Result<Vec<Arc<Container>>> {
    let plan = Share::of(app, run).await?.plan(run, inventory, book, app.clock.now());
    let steps = plan.steps.iter().filter(|step| Guard::applies_to(step.action));
    let known = steps.filter_map(|step| inventory.by_identity(&step.identity));
    Ok(known.filter(|container| container.state.is_up()).cloned().collect())
}

/// The load of the containers: from the readings made in advance, otherwise from a new one. `None` while that reading
/// is in progress; its end wakes the runner.
fn looked_at(
    app: &App,
    host: &Arc<Host>,
    run: &Run,
    guard: &Guard,
    sleepers: &[Arc<Container>],
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Option<Vec<Load>> {
    // Paused containers are not busy.
    let running: Vec<_> =
        sleepers.iter().filter(|one| one.state == ContainerState::Running).cloned().collect();
    if guard.busy().is_none() || running.is_empty() {
        return Some(Vec::new());
    }
    let now = app.clock.now();
    let early =
        running.iter().map(|one| Some(Looked::of(one, app.active_runs.early().seen(one, true, now)?)));
    if let Some(looked) = early.collect::<Option<Vec<_>>>() {
        return Some(app.active_runs.looks().remember(&run.id, looked));
    }
    let mut looks = app.active_runs.looks().lock();
    match looks.remove(&run.id) {
        Some(Some(looked)) => return Some(app.active_runs.looks().remember(&run.id, looked)),
        Some(None) => {}
        None => {
            let look = look(app.clone(), Arc::clone(host), run.id.clone(), running);
            let stop = stop.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = look => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    }
    looks.insert(run.id.clone(), None);
    None
}

/// Reads the load of each container once. A failed reading is stored with its reason; it is never an error.
async fn look(app: App, host: Arc<Host>, run: RunId, containers: Vec<Arc<Container>>) {
    let looks = containers.into_iter().map(|container| {
        let host = Arc::clone(&host);
        async move {
            let usage = host.usage(&container.id).await;
            Looked::of(&container, usage.map_err(|error| error.to_string()))
        }
    });
    let seen = stream::iter(looks).buffered(host.parallelism().max(1)).collect().await;
    // The entry is gone where the run has ended meanwhile.
    if let Some(found) = app.active_runs.looks().lock().get_mut(&run) {
        *found = Some(seen);
    }
    app.active_runs.wake();
}

async fn defer(app: &App, run: &Run, deferral: &Deferral) -> Result<()> {
    let deadline = deferral.look_at.checked_add(DEADLINE).unwrap_or(Timestamp::MAX);
    db::runs::defer(&app.db, &run.id, deferral, deadline).await?;
    tracing::info!(run = %run.id, target = %run.target_name, reason = deferral.reason, "held back by its guard");
    app.bus.send(Live::Run(run.target.clone()));
    Ok(())
}

/// The stored reason of a run that begins: why it was requested, how long it waited, and the guard's last result.
fn remember(run: &Run, remark: &str, now: Timestamp) -> String {
    let waited = run.look_at.map(|_| {
        let minutes = now.duration_since(run.created_at).as_mins();
        format!("waited {minutes} min")
    });
    let parts = [Some(run.why.as_str()), waited.as_deref(), Some(remark)];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

/// A run that ends before it acts.
struct Ended<'a> {
    app: &'a App,
    run: &'a Run,
    steps: &'a [Step],
    state: RunState,
    reason: &'a str,
}

impl Ended<'_> {
    /// Stores the end. Containers that a window's run leaves awake are recorded as awake, so that the window acts again
    /// where it still requires sleep; with `until_next_edge` they stay awake until the next edge. `false` where the run
    /// is no longer pending.
    async fn store(&self, actor: &Actor, rules: &Rules, until_next_edge: bool) -> Result<bool> {
        let Self { app, run, state, reason, .. } = *self;
        let is_level = run.is_level();
        let mut tx = app.db.begin().await?;
        if !end_unbegun(&mut tx, app, run, state, reason).await? {
            return Ok(false);
        }
        if is_level {
            self.leave_awake(&mut tx, actor, rules, until_next_edge).await?;
        }
        tx.commit().await?;
        tracing::info!(run = %run.id, target = %run.target_name, state = %state, reason, "run ended without acting");
        if is_level {
            overrides::changed(app);
        }
        announce_end(app, run, state);
        Ok(true)
    }

    async fn leave_awake(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        rules: &Rules,
        until_next_edge: bool,
    ) -> Result<()> {
        let Self { app, run, .. } = *self;
        let now = app.clock.now();
        let members: Vec<Changed> = self
            .steps
            .iter()
            .filter(|step| step.wave > 0)
            .map(|step| (step.identity.clone(), None))
            .collect();
        let targets = if run.target.is_wide() {
            contradiction::speakers(&run.target, members.iter().map(|(member, _)| member), rules)
        } else {
            vec![run.target.clone()]
        };
        // Of a host or group, what another rule decides about is not part of the run.
        let is_its_own =
            |rule: &WindowRule| !run.target.is_wide() || Some(&rule.id) == run.schedule_id.as_ref();
        let moment = rules.at(now);
        let sleeps = |target: &Target| {
            let desired = moment.desired(Place::of_target(target));
            desired.wanted == Some(DesiredState::Asleep) && desired.rule().is_some_and(is_its_own)
        };
        let kept: Vec<Target> =
            targets.into_iter().filter(|target| until_next_edge && sleeps(target)).collect();
        for target in &kept {
            let new = NewOverride {
                reach: Reach::Target(target.clone()),
                target_name: targets::name(app, target),
                wanted: DesiredState::Awake,
                until: contradiction::lasts(rules, target, DesiredState::Awake, None, now),
                reason: self.reason.to_owned(),
                by_hand: actor.reference.kind != "scheduler",
                puts_back: false,
            };
            let is_in = |member: &ContainerIdentity| {
                let container = Target::container(run.target.host.clone(), member.clone());
                *target == run.target || rules.groups().overlap(target, &container)
            };
            let part: Vec<Changed> = members.iter().filter(|(member, _)| is_in(member)).cloned().collect();
            overrides::record_override(tx, app, actor, new, &run.target.host, &part, now).await?;
        }
        if !kept.is_empty() {
            return Ok(());
        }
        for (member, _) in &members {
            db::applied::put(tx, &run.target.host, member, &Applied::now(Phase::Awake, now)).await?;
        }
        Ok(())
    }
}
