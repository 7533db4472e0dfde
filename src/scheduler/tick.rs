//! One pass of the scheduler: what is due is claimed and submitted.
//!
//! 1. Read up to [`BATCH`] due schedules by the index on `next_due_ms`, or take those that were read just before.
//! 2. Decide about each, purely: `domain::due`.
//! 3. Make the plans, from one look at each host's inventory.
//! 4. In one transaction, which begins as the plans are made: claim each schedule by compare-and-swap on instant and
//!    revision, and store its run with steps and audit row. Who loses the swap is dropped from the batch. A crash
//!    neither loses nor doubles a run.
//! 5. Where a window, an override or somebody else has changed something: look at everything (`reconcile`).
//! 6. Wake the runner.
//! 7. Tell of the sleeps that are near.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::maybe_done;
use futures_util::poll;
use jiff::Timestamp;

use super::ahead::Ahead;
use super::reconcile::reconcile;
use crate::app::almanac::Almanac;
use crate::app::execute::{self, Prepared, Request};
use crate::app::outlook::Outlook;
use crate::app::{Actor, App, Live, Result, soon};
use crate::db::schedules::Taking;
use crate::db::{self, Tx};
use crate::domain::action::Action;
use crate::domain::contradiction::{self, Suppressed};
use crate::domain::due::{self, Decision};
use crate::domain::ids::{RunId, ScheduleId};
use crate::domain::inventory::Inventory;
use crate::domain::run::{MissedSpan, Run, RunState, Trigger};
use crate::domain::schedule::{Schedule, Source, Wake, When};
use crate::domain::target::Target;

/// Due schedules claimed in one transaction. The runner is woken when the last of a minute is stored: what fits into one
/// is asked of Docker right after its commit (rulings 14 and 31).
pub const BATCH: i64 = 1000;
/// Where more are due, what each is for is looked up rather than looked for.
const FEW: usize = 8;
/// After so many plans the database gets its next statement.
const PLANS: usize = 16;

/// What one pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Schedules whose occurrence this pass took.
    pub claimed: usize,
    /// Runs that will act.
    pub runs: Vec<RunId>,
    /// Fires that are only remembered as missed.
    pub missed: i64,
    /// When the next schedule is due.
    pub next_due: Option<Timestamp>,
}

/// Claims and submits everything that is due.
///
/// # Errors
/// Where the database cannot be read or written: nothing of the batch has happened then.
pub async fn tick(app: &App) -> Result<Ticked> {
    pass(app, None).await
}

/// As [`tick`], with what is due as it was read beforehand.
///
/// # Errors
/// As [`tick`].
pub(super) async fn pass(app: &App, mut read: Option<Ahead>) -> Result<Ticked> {
    let now = app.clock.now();
    let mut ticked = Ticked::default();
    let connected = || {
        let hosts = app.hosts.all().into_iter();
        hosts.filter(|host| host.inventory().is_connected()).map(|host| host.id().clone()).collect::<Vec<_>>()
    };
    // Before anything is read: what comes while this pass looks is for the next.
    let mut look = app.outside.is_waiting(&connected());
    loop {
        let due = match read.take().and_then(|read| read.due(now)) {
            Some(due) => due,
            None => db::schedules::due(&app.db, &now, BATCH).await?,
        };
        let full = due.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX);
        if due.is_empty() {
            break;
        }
        let due = if full { whole_targets(due) } else { due };
        look |= due.iter().any(Schedule::is_window);
        let claimed = claim(app, due, now, &mut ticked).await?;
        // A batch of which every swap was lost is somebody else's: look again when woken.
        if !full || claimed == 0 {
            break;
        }
    }
    let is_past = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    if look
        || is_past(db::overrides::next_end(&app.db).await?)
        || is_past(db::applied::next_put_back(&app.db).await?)
    {
        ticked.runs.extend(reconcile(app).await?);
        app.bus.send(Live::Runs);
        app.bus.send(Live::Overrides);
        app.execution.wake();
    }
    if ticked.claimed > 0 {
        app.execution.wake();
    }
    ticked.next_due = [
        db::schedules::next_due(&app.db).await?,
        db::overrides::next_end(&app.db).await?,
        // What is past waits for its host, or for a run of ours to end.
        db::applied::next_put_back(&app.db).await?.filter(|at| *at > now),
    ]
    .into_iter()
    .flatten()
    .min();
    if ticked.claimed > 0 {
        app.bus.send(Live::Runs);
        app.bus.send(Live::Schedules);
    }
    // Last: what is due goes first.
    soon::look(app).await?;
    Ok(ticked)
}

/// Leaves the last target of a full batch to the next one, which then sees all of its schedules together. `due` is
/// sorted by instant, then target.
fn whole_targets(mut due: Vec<Schedule>) -> Vec<Schedule> {
    let Some(last) = due.last().map(|schedule| (schedule.next_due, schedule.spec.target.clone())) else {
        return due;
    };
    let same = |schedule: &Schedule| schedule.next_due == last.0 && schedule.spec.target == last.1;
    if let Some(end) = due.iter().rposition(|schedule| !same(schedule)) {
        due.truncate(end + 1);
    }
    due
}

/// What is stored for an occurrence, once it is taken.
struct Planned<'a> {
    schedule: &'a Schedule,
    runs: Vec<Prepared>,
}

async fn claim(app: &App, due: Vec<Schedule>, now: Timestamp, ticked: &mut Ticked) -> Result<usize> {
    let almanac = Almanac::load(app).await?;
    let readings: Vec<_> = due.iter().map(|schedule| almanac.reading(&schedule.spec)).collect();
    let outlook = Outlook::load(app).await?;
    let decisions = due::decide(&due, &readings, now);
    // A window's edge is no request: what it changes is seen when everything is looked at.
    let windows = || due.iter().filter(|schedule| schedule.is_window());
    let moved = decisions.iter().map(|decision| (&due[decision.index], decision.next_due)).chain(
        windows().map(|schedule| (schedule, almanac.next_after(&schedule.spec, schedule.skip_at, now))),
    );
    let takings: Vec<Taking<'_>> = moved.filter_map(|(schedule, next)| taking(schedule, next)).collect();
    let take = async {
        let mut tx = app.db.begin().await?;
        let won = db::schedules::claim(&mut tx, &takings).await?;
        Result::Ok((tx, won))
    };
    let mut take = pin!(maybe_done(take));
    let mut inventories: HashMap<String, Inventory> = HashMap::new();
    let looks = (&almanac, &outlook, now);
    let mut planned = plan(app, &due, decisions, looks, &mut inventories, take.as_mut()).await?;
    planned.extend(windows().filter_map(|schedule| {
        let at = schedule.skip_at.filter(|at| schedule.next_due == Some(*at))?;
        Some(Planned { schedule, runs: vec![skipped_sleep(app, schedule, at)] })
    }));
    take.as_mut().await;
    // There is an output, as nobody else takes it.
    let Some(taken) = take.as_mut().take_output() else { return Ok(0) };
    let (tx, won) = taken?;
    let late = |due| Duration::try_from(now.duration_since(due)).unwrap_or_default();
    let lags: Vec<Duration> =
        takings.iter().filter(|taking| won.contains(taking.id)).map(|taking| late(taking.due)).collect();
    planned.retain(|planned| won.contains(&planned.schedule.id));
    let prepared = planned.into_iter().flat_map(|planned| planned.runs).collect();
    store(app, tx, prepared, &inventories, &outlook, ticked).await?;
    ticked.claimed += lags.len();
    for lag in &lags {
        app.vitals.counters.claimed(*lag);
    }
    Ok(lags.len())
}

/// How an occurrence is taken: the schedule moves on to `next`.
fn taking(schedule: &Schedule, next: Option<Timestamp>) -> Option<Taking<'_>> {
    Some(Taking {
        id: &schedule.id,
        due: schedule.next_due?,
        rev: schedule.rev,
        next,
        is_last: matches!(schedule.spec.when, When::Once(_)),
    })
}

/// The rows that decisions leave, with the steps of those that act. `meanwhile` goes on now and then: the occurrences are
/// taken, by the one connection that writes, for which nothing here may ask.
async fn plan<'a>(
    app: &App,
    due: &'a [Schedule],
    decisions: Vec<Decision>,
    (almanac, outlook, now): (&Almanac, &Outlook, Timestamp),
    inventories: &mut HashMap<String, Inventory>,
    mut meanwhile: Pin<&mut impl Future>,
) -> Result<Vec<Planned<'a>>> {
    let moment = outlook.rules.at(now);
    // Of those that gave way, to say to which.
    let titles: LazyLock<HashMap<&ScheduleId, String>, _> =
        LazyLock::new(|| due.iter().map(|schedule| (&schedule.id, schedule.title())).collect());
    let title = |id: &ScheduleId| titles.get(id).cloned().unwrap_or_else(|| id.to_string());
    let mut planned = Vec::with_capacity(decisions.len());
    for (n, decision) in decisions.into_iter().enumerate() {
        if n % PLANS == 0 {
            let _ = poll!(meanwhile.as_mut());
        }
        let schedule = &due[decision.index];
        let host = &schedule.spec.target.host;
        let inventory = inventories.entry(host.as_str().to_owned()).or_insert_with(|| {
            let inventory =
                app.hosts.get(host).map_or_else(|| Inventory::empty(host.clone()), |host| host.inventory());
            if due.len() > FEW {
                inventory.containers.index();
            }
            inventory
        });
        let held = contradiction::suppressed(
            &moment,
            &schedule.spec.target,
            schedule.spec.action,
            &almanac.zone.zone,
        );
        let runs = runs_of(app, schedule, &decision, held, inventory, outlook, &title).await?;
        planned.push(Planned { schedule, runs });
    }
    Ok(planned)
}

/// Stores what the occurrences that were taken leave: a handful of statements for the whole batch.
async fn store(
    app: &App,
    mut tx: Tx,
    mut prepared: Vec<Prepared>,
    inventories: &HashMap<String, Inventory>,
    outlook: &Outlook,
    ticked: &mut Ticked,
) -> Result<()> {
    let actor = Actor::scheduler();
    end_twins(&mut tx, &mut prepared).await?;
    let stored = execute::store_all(&mut tx, app, &actor, &prepared.iter().collect::<Vec<_>>()).await?;
    let is_stored = |one: &Prepared| stored.contains(&one.run.id);
    let acts = |one: &Prepared| !one.run.state.is_terminal() && is_stored(one);
    let mut runs = Vec::new();
    for prepared in prepared.iter().filter(|one| acts(one)) {
        let host = inventories.get(prepared.run.target.host.as_str());
        // What a guard may hold back goes against nothing before it goes.
        if let Some(inventory) = host.filter(|_| prepared.run.guard.is_none()) {
            execute::answer_by_hand(&mut tx, app, &actor, prepared, inventory, &outlook.rules).await?;
        }
        runs.push(prepared.run.id.clone());
    }
    let missed: i64 = prepared.iter().filter_map(|one| Some(one.run.missed.as_ref()?.count)).sum();
    let ended = prepared.iter().filter(|one| one.run.state.is_terminal() && is_stored(one));
    let ended: Vec<_> = ended.map(|one| (one.run.action, one.run.trigger, one.run.state)).collect();
    prepared.retain(acts);
    app.execution.hand_over(prepared);
    tx.commit().await?;
    let counters = &app.vitals.counters;
    for (action, trigger, state) in ended {
        counters.run_ended(action, trigger, state, None);
    }
    counters.missed(missed);
    ticked.missed += missed;
    ticked.runs.append(&mut runs);
    Ok(())
}

/// Ends those that do what another run does that has not ended, one of the same batch included.
async fn end_twins(tx: &mut Tx, prepared: &mut [Prepared]) -> Result<()> {
    // Most have no twin. Asked about are those of a target on which a run has not ended, or more of the batch are to act;
    // where many have not ended, all.
    let undone = db::runs::undone_targets(tx).await?;
    let acting = || {
        let runs = prepared.iter().map(|one| &one.run).enumerate();
        runs.filter(|(_, run)| !run.state.is_terminal())
    };
    let mut on_target: HashMap<&Target, usize> = HashMap::with_capacity(prepared.len());
    for (_, run) in acting() {
        *on_target.entry(&run.target).or_default() += 1;
    }
    let may_have_twin = |run: &Run| {
        on_target.get(&run.target).is_some_and(|runs| *runs > 1)
            || undone.as_ref().is_none_or(|undone| undone.contains(&run.target))
    };
    let (asked, runs): (Vec<usize>, Vec<&Run>) = acting().filter(|(_, run)| may_have_twin(run)).unzip();
    let found = db::runs::in_the_way(tx, &runs).await?;
    let mut new: HashMap<(&Target, Action), Vec<&Run>> = HashMap::with_capacity(runs.len());
    let mut twins: Vec<(usize, RunId)> = Vec::new();
    for ((at, run), in_the_way) in asked.into_iter().zip(runs).zip(found) {
        let like = new.entry((&run.target, run.action)).or_default();
        let twin = || like.iter().find(|twin| twin.does_all_of(run)).map(|twin| twin.id.clone());
        match in_the_way.twin.or_else(twin) {
            Some(twin) => twins.push((at, twin)),
            // One that is not stored is nobody's twin.
            None if in_the_way.is_taken => {}
            None => like.push(run),
        }
    }
    for (at, twin) in twins {
        end(&mut prepared[at], RunState::Skipped, format!("duplicate: run {twin} does the same"));
    }
    Ok(())
}

/// The rows that a decision leaves: at most one for its newest fire and one for those only remembered.
async fn runs_of(
    app: &App,
    schedule: &Schedule,
    decision: &Decision,
    held: Option<Suppressed>,
    inventory: &Inventory,
    outlook: &Outlook,
    title: &(impl Fn(&ScheduleId) -> String + Sync),
) -> Result<Vec<Prepared>> {
    let mut runs = Vec::new();
    if let Some(missed) = &decision.missed {
        runs.push(missed_run(app, schedule, missed));
    }
    let Some((at, fate)) = &decision.fire else { return Ok(runs) };
    let ended =
        if fate.acts() { held.map(|held| (RunState::Skipped, held.to_string())) } else { fate.ending(title) };
    let late = app.clock.now().duration_since(*at) > due::ON_TIME.try_into().unwrap_or_default();
    let request = request(schedule, *at, late);
    match ended {
        // A restart is made up for only while its target runs: its plan says so by itself.
        None => runs.push(execute::prepare(app, &Actor::scheduler(), request, inventory, outlook).await?),
        Some((state, reason)) => {
            let mut prepared = bare(app, schedule, request);
            end(&mut prepared, state, reason);
            runs.push(prepared);
        }
    }
    Ok(runs)
}

fn request(schedule: &Schedule, at: Timestamp, late: bool) -> Request {
    let trigger = match schedule.source {
        _ if late => Trigger::CatchUp,
        Source::Label => Trigger::Label,
        Source::Ui | Source::Api | Source::Import => Trigger::Schedule,
    };
    Request {
        schedule: Some((schedule.id.clone(), schedule.title())),
        fire_at: Some(at),
        stop_timeout_seconds: schedule.spec.stop_timeout_seconds,
        restore: schedule.spec.wake == Wake::Restore,
        guard: schedule.spec.guard.clone(),
        ..Request::now(schedule.spec.action, schedule.spec.target.clone(), trigger)
    }
}

/// A run that will not act: no plan is made for it.
fn bare(app: &App, schedule: &Schedule, request: Request) -> Prepared {
    let now = app.clock.now();
    let (schedule_id, schedule_name) = request.schedule.unzip();
    Prepared {
        run: Run {
            id: app.ids.next(now),
            schedule_id,
            schedule_name,
            target: request.target,
            target_name: schedule.spec.target_name.clone(),
            action: request.action,
            trigger: request.trigger,
            actor: Actor::scheduler().reference,
            fire_at: request.fire_at,
            created_at: now,
            started_at: None,
            finished_at: None,
            state: RunState::Pending,
            reason: String::new(),
            why: String::new(),
            deadline_at: now,
            attempt: 0,
            stop_timeout_seconds: request.stop_timeout_seconds,
            retry_of: None,
            missed: None,
            restore: false,
            guard: request.guard,
            look_at: None,
            busy_until: None,
        },
        steps: Vec::new(),
    }
}

/// Remembers that a sleep was dropped.
fn skipped_sleep(app: &App, schedule: &Schedule, at: Timestamp) -> Prepared {
    let request = Request { trigger: Trigger::Window, ..request(schedule, at, false) };
    let mut prepared = bare(app, schedule, request);
    end(&mut prepared, RunState::Skipped, "skip: this sleep was dropped on purpose".to_owned());
    prepared
}

fn missed_run(app: &App, schedule: &Schedule, missed: &MissedSpan) -> Prepared {
    let mut prepared = bare(app, schedule, request(schedule, missed.last, true));
    prepared.run.missed = Some(missed.clone());
    let reason = if missed.count == 1 {
        "its time passed while DockNap was not running".to_owned()
    } else {
        format!("{} times passed while DockNap was not running", missed.count)
    };
    end(&mut prepared, RunState::Missed, reason);
    prepared
}

fn end(prepared: &mut Prepared, state: RunState, reason: String) {
    prepared.run.state = state;
    prepared.run.reason = reason;
    prepared.run.finished_at = Some(prepared.run.created_at);
    prepared.steps.clear();
}
