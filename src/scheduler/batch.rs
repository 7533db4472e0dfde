//! A batch of due schedules: the decision about each fire, and the plans of the runs. [`Batch::read`] does all the work
//! that needs no transaction; `tick` then claims the occurrences and stores the runs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};

use crate::app::execute::{self, Prepared, Request};
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Result};
use crate::db;
use crate::db::schedules::OccurrenceClaim;
use crate::domain::action::Action;
use crate::domain::contradiction;
use crate::domain::desired::{Desired, Layer, Moment, Rules};
use crate::domain::due::{self, Decision};
use crate::domain::ids::{BatchId, HostId, ScheduleId};
use crate::domain::inventory::Inventory;
use crate::domain::overrides::{DesiredState, Reach};
use crate::domain::place::Place;
use crate::domain::run::{MissedSpan, Run, RunState, Trigger};
use crate::domain::schedule::{Schedule, Source, Wake, When};
use crate::domain::target::{ContainerIdentity, Target, TargetType};
use crate::domain::window::Phase;

/// Maximum number of due schedules that are claimed in one transaction. The runner is woken after the last batch of a
/// minute; runs that fit into one batch reach Docker right after its commit (rulings 14 and 31).
pub const BATCH: i64 = 1000;

/// Due schedules, and the results of deciding about them.
#[derive(Debug, Default)]
pub struct Batch {
    /// The due schedules, sorted by instant, then target.
    pub due: Vec<Schedule>,
    /// Whether more schedules may be due.
    pub is_full: bool,
    /// The next due instant of each schedule to be claimed, with its index in `due`.
    moved: Vec<(usize, Option<Timestamp>)>,
    /// The runs to be stored for each claimed schedule, with its index in `due`. Of two schedules that conflict, the
    /// one that takes precedence comes last.
    planned: Vec<(usize, Vec<Prepared>)>,
    /// The inventories from which the runs were planned, by host id.
    pub inventories: HashMap<String, Inventory>,
    /// The rules from which the runs were planned.
    pub rules: Arc<Rules>,
}

impl Batch {
    /// Reads the schedules that are due at `now`, decides about them and plans their runs.
    pub async fn read(app: &App, now: Timestamp) -> Result<Self> {
        // One more than the maximum, to see whether there are more.
        let mut due = db::schedules::due(&app.db, &now, BATCH + 1).await?;
        let is_full = due.len() > usize::try_from(BATCH).unwrap_or(usize::MAX);
        if is_full {
            due.pop();
            due = whole_targets(due);
        }
        Self::plan(app, due, is_full, now).await
    }

    async fn plan(app: &App, due: Vec<Schedule>, is_full: bool, now: Timestamp) -> Result<Self> {
        if due.is_empty() {
            return Ok(Self::default());
        }
        let book = RuleBook::load(app).await?;
        let readings: Vec<_> = due.iter().map(|schedule| book.reading(&schedule.spec)).collect();
        let decisions = due::decide(&due, &readings, now);
        // The edge of a window has no run here: the reconciliation makes the runs for it.
        let windows = || due.iter().enumerate().filter(|(_, schedule)| schedule.is_window());
        let next = |window: &Schedule| book.next_after(&window.spec, window.skip_at, now);
        let moved = decisions.iter().map(|decision| (decision.index, decision.next_due));
        let moved = moved.chain(windows().map(|(at, window)| (at, next(window)))).collect();
        let mut planner =
            Planner { app, due: &due, book: &book, moment: book.rules.at(now), inventories: HashMap::new() };
        let mut planned = planner.runs_of_all(decisions).await?;
        for (at, window) in windows() {
            let withheld = match window.skip_at.filter(|skipped| window.next_due == Some(*skipped)) {
                Some(skipped) => Some(planner.skipped_sleep(window, skipped)),
                None => planner.withheld_edge(window),
            };
            planned.extend(withheld.map(|run| (at, vec![run])));
        }
        let inventories = planner.inventories;
        Ok(Self { due, is_full, moved, planned, inventories, rules: Arc::clone(&book.rules) })
    }

    /// The claims of the occurrences, with the next due instant of each schedule.
    pub fn claims(&self) -> impl Iterator<Item = OccurrenceClaim<'_>> {
        self.moved.iter().filter_map(|(at, next)| {
            let schedule = &self.due[*at];
            Some(OccurrenceClaim {
                id: &schedule.id,
                due: schedule.next_due?,
                rev: schedule.rev,
                next: *next,
                is_last: matches!(schedule.spec.when, When::Once(_)),
            })
        })
    }

    /// For each claimed occurrence, the host and the delay from its instant to the claim; `lost` are the schedules
    /// whose claim failed.
    pub fn lags(&self, lost: &HashSet<ScheduleId>, now: Timestamp) -> Vec<(HostId, Duration)> {
        let moved = self.moved.iter().map(|(at, _)| &self.due[*at]);
        let won = moved.filter(|schedule| !lost.contains(&schedule.id));
        let late = |due| Duration::try_from(now.duration_since(due)).unwrap_or_default();
        let of_each = won.filter_map(|one| {
            let late = late(one.next_due?);
            let parts = self.rules.groups().parts(&one.spec.target).into_iter();
            Some(parts.map(move |part| (part.host, late)))
        });
        of_each.flatten().collect()
    }

    /// Removes and returns the runs to be stored, without those of the `lost` schedules.
    pub fn take_runs(&mut self, lost: &HashSet<ScheduleId>) -> Vec<Prepared> {
        let planned = std::mem::take(&mut self.planned);
        let taken = planned.into_iter().filter(|(at, _)| !lost.contains(&self.due[*at].id));
        taken.flat_map(|(_, runs)| runs).collect()
    }
}

/// Removes the last target from a full batch, so that the next batch has all schedules of that target together. `due`
/// must be sorted by instant, then target.
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

/// Plans the runs of a batch from one state of the rules and the inventories.
struct Planner<'a> {
    app: &'a App,
    due: &'a [Schedule],
    book: &'a RuleBook,
    /// The rules, at the instant for which the runs are planned.
    moment: Moment<'a>,
    /// The inventories that were read so far, by host id.
    inventories: HashMap<String, Inventory>,
}

impl Planner<'_> {
    fn now(&self) -> Timestamp {
        self.moment.now
    }

    /// The runs of each decision, with the index of its schedule.
    async fn runs_of_all(&mut self, decisions: Vec<Decision>) -> Result<Vec<(usize, Vec<Prepared>)>> {
        // The reason of a suppressed run has the title of the schedule that takes precedence.
        let due = self.due;
        let title = |id: &ScheduleId| {
            due.iter().find(|schedule| schedule.id == *id).map_or_else(|| id.to_string(), Schedule::title)
        };
        let mut runs = Vec::with_capacity(decisions.len());
        for decision in &decisions {
            runs.push((decision.index, self.runs_of(decision, &decisions, &title).await?));
        }
        Ok(runs)
    }

    /// The runs of one decision: for the newest fire at most one, of a group at most one on each host; and one for the
    /// missed fires.
    async fn runs_of(
        &mut self,
        decision: &Decision,
        all: &[Decision],
        title: &(impl Fn(&ScheduleId) -> String + Sync),
    ) -> Result<Vec<Prepared>> {
        let schedule = &self.due[decision.index];
        let mut runs = Vec::new();
        if let Some(missed) = &decision.missed {
            runs.push(self.missed_run(schedule, missed));
        }
        let Some((at, outcome)) = &decision.fire else { return Ok(runs) };
        let late = self.now().duration_since(*at) > due::ON_TIME.try_into().unwrap_or_default();
        let request = request(schedule, *at, late);
        if let Some((state, reason)) = outcome.ending(title) {
            runs.push(self.ended_run(schedule, request, state, reason));
            return Ok(runs);
        }
        let parts = self.parts(&schedule.spec.target);
        if parts.is_empty() {
            let reason = "there is nothing in the group".to_owned();
            runs.push(self.ended_run(schedule, request.clone(), RunState::Skipped, reason));
        }
        let batch = (schedule.spec.target.target_type() == TargetType::Group)
            .then(|| self.app.ids.next::<BatchId>(self.now()));
        for target in parts {
            let leaves = self.leaves(decision, *at, all, &target, title);
            let request = Request { target, batch: batch.clone(), leaves, ..request.clone() };
            runs.push(self.run_of_part(schedule, request).await?);
        }
        Ok(runs)
    }

    /// The run of a fire that acts, on one host.
    async fn run_of_part(&mut self, schedule: &Schedule, request: Request) -> Result<Prepared> {
        let zone = &self.book.zone.zone;
        let host = self.app.hosts.get(&request.target.host);
        if let Some(host) = host.filter(|host| !host.is_enabled()) {
            let reason = execute::disabled_reason(&host);
            return Ok(self.ended_run(schedule, request, RunState::Skipped, reason));
        }
        if let Some(held) = contradiction::suppressed(&self.moment, &request.target, request.action, zone) {
            return Ok(self.ended_run(schedule, request, RunState::Skipped, held.to_string()));
        }
        // A late restart is only carried out if its target runs; the plan takes care of that.
        let (app, book, now) = (self.app, self.book, self.now());
        let inventory = self.inventory(&request.target);
        execute::prepare(app, &Actor::scheduler(), request, inventory, book, now).await
    }

    /// The targets of the runs of a schedule: the target itself, or the parts of a group on the hosts that are known.
    fn parts(&self, target: &Target) -> Vec<Target> {
        let mut parts = self.book.rules.groups().parts(target);
        parts.retain(|part| !target.is_wide() || self.app.hosts.get(&part.host).is_some());
        parts
    }

    /// The containers of a target that the fire leaves to another one, which has another target and goes first.
    fn leaves(
        &mut self,
        decision: &Decision,
        at: Timestamp,
        all: &[Decision],
        target: &Target,
        title: &(impl Fn(&ScheduleId) -> String + Sync),
    ) -> BTreeMap<ContainerIdentity, String> {
        let (due, groups) = (self.due, Arc::clone(self.book.rules.groups()));
        let schedule = &due[decision.index];
        let mut others = Vec::new();
        for other in all.iter().filter(|other| due[other.index].spec.target != schedule.spec.target) {
            let Some((other_at, _)) = other.fire.as_ref().filter(|(_, outcome)| outcome.acts()) else {
                continue;
            };
            let outcome = due::leaves((schedule, at), (&due[other.index], *other_at));
            if let Some((_, reason)) = outcome.and_then(|outcome| outcome.ending(title)) {
                others.push((Reach::Target(due[other.index].spec.target.clone()), reason));
            }
        }
        if others.is_empty() {
            return BTreeMap::new();
        }
        let members = self.inventory(target).members(&target.subject);
        let left = members.iter().filter_map(|member| {
            let (_, reason) =
                others.iter().find(|(reach, _)| reach.covers(Place::of(member), &groups).is_some())?;
            Some((member.identity.clone(), reason.clone()))
        });
        left.collect()
    }

    fn inventory(&mut self, target: &Target) -> &Inventory {
        let (app, host) = (self.app, &target.host);
        self.inventories.entry(host.as_str().to_owned()).or_insert_with(|| {
            let host = app.hosts.get(host).map(|host| host.inventory());
            host.unwrap_or_else(|| Inventory::empty(target.host.clone()))
        })
    }

    /// A run that will not act, without a plan.
    fn run_without_plan(&self, schedule: &Schedule, request: Request) -> Prepared {
        let (now, name) = (self.now(), schedule.spec.target_name.clone());
        let run = request.into_run(self.app, &Actor::scheduler(), name, now);
        Prepared { run: Run { restore: false, deadline_at: now, ..run }, steps: Vec::new() }
    }

    fn ended_run(&self, schedule: &Schedule, request: Request, state: RunState, reason: String) -> Prepared {
        let mut prepared = self.run_without_plan(schedule, request);
        end(&mut prepared, state, reason);
        prepared
    }

    /// A skipped run for a sleep that the user has skipped.
    fn skipped_sleep(&self, schedule: &Schedule, at: Timestamp) -> Prepared {
        let request = Request { trigger: Trigger::Window, ..request(schedule, at, false) };
        let mut prepared = self.run_without_plan(schedule, request);
        end(&mut prepared, RunState::Skipped, "skip: this sleep was dropped on purpose".to_owned());
        prepared
    }

    /// A skipped run for an edge without effect, because a hold or an override has another desired state, either for
    /// the whole target or for every container that the edge would change.
    fn withheld_edge(&mut self, schedule: &Schedule) -> Option<Prepared> {
        let now = self.now();
        let rule = self.book.rule(schedule)?;
        let just_before = |at: Timestamp| at.checked_sub(1.millisecond()).unwrap_or(at);
        let beyond = now.checked_add(1.millisecond()).ok()?;
        let edge = rule.timeline().changes(just_before(schedule.next_due?), beyond).pop()?;
        let phase = rule.timeline().vote(now).phase();
        let wanted = if phase == Phase::Awake { DesiredState::Awake } else { DesiredState::Asleep };
        let keeps = |desired: &Desired<'_>| {
            matches!(desired.layer, Layer::Hold(_) | Layer::Override(_)) && desired.wanted != Some(wanted)
        };
        let whole = self.moment.desired(Place::of_target(&rule.target));
        let mut keeper = keeps(&whole).then_some(whole);
        if keeper.is_none() && whole.rule().is_some_and(|decides| decides.id == rule.id) {
            let parts = self.parts(&rule.target);
            let members: Vec<_> =
                parts.iter().flat_map(|part| self.inventory(part).members(&part.subject)).collect();
            for member in members.iter().filter(|one| one.is_ordinary() && one.protection.is_none()) {
                let desired = self.moment.desired(Place::of(member));
                let is_up = member.state.is_up();
                if keeps(&desired) {
                    keeper = keeper.or(Some(desired));
                } else if desired.rule().is_some_and(|decides| decides.id == rule.id)
                    && is_up == (phase == Phase::Asleep)
                {
                    // The edge acts on this container, and its run mentions the others.
                    return None;
                }
            }
        }
        let keeper = keeper?;
        let word = if keeper.wanted == Some(DesiredState::Hold) { "held" } else { "override" };
        let reason = format!("{word}: {}", keeper.why(&self.book.zone.zone));
        let action = if phase == Phase::Awake { Action::Start } else { schedule.spec.action };
        let request = Request { action, trigger: Trigger::Window, ..request(schedule, edge, false) };
        let mut prepared = self.run_without_plan(schedule, request);
        end(&mut prepared, RunState::Skipped, reason);
        Some(prepared)
    }

    fn missed_run(&self, schedule: &Schedule, missed: &MissedSpan) -> Prepared {
        let mut prepared = self.run_without_plan(schedule, request(schedule, missed.last, true));
        prepared.run.missed = Some(missed.clone());
        let reason = if missed.count == 1 {
            "its time passed while DockNap was not running".to_owned()
        } else {
            format!("{} times passed while DockNap was not running", missed.count)
        };
        end(&mut prepared, RunState::Missed, reason);
        prepared
    }
}

fn request(schedule: &Schedule, at: Timestamp, late: bool) -> Request {
    let trigger = match schedule.source {
        _ if late => Trigger::CatchUp,
        Source::Label => Trigger::Label,
        Source::Ui | Source::Api | Source::Import | Source::File => Trigger::Schedule,
    };
    Request {
        schedule: Some((schedule.id.clone(), schedule.title())),
        fire_at: Some(at),
        stop_timeout_seconds: schedule.spec.stop_timeout_seconds,
        restore: schedule.spec.wake == Wake::Restore,
        guard: schedule.spec.guard.clone(),
        known_as: Some(schedule.spec.target_name.clone()),
        ..Request::now(schedule.spec.action, schedule.spec.target.clone(), trigger)
    }
}

/// Ends a run before it starts, with this state and reason.
pub fn end(prepared: &mut Prepared, state: RunState, reason: String) {
    prepared.run.state = state;
    prepared.run.reason = reason;
    prepared.run.finished_at = Some(prepared.run.created_at);
    prepared.steps.clear();
}
