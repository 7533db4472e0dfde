//! Simulates the scheduler over a future time range: every fire, every edge and every conflict.
//!
//! [`simulate`] steps from instant to instant as the scheduler does and uses the same functions: [`due::decide`] for
//! due fires, [`contradiction`] for conflicts with windows and overrides, and [`Rules`] for the desired state. Actions
//! of users and of Docker in the meantime are unknown and ignored. The file is longer than others because the steps of
//! one instant share the state of `Simulator`: fires, ends of overrides and edges affect one another.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::action::Action;
use super::contradiction;
use super::cron::Cron;
use super::day_rules::Reading;
use super::desired::{Layer, Rules};
use super::due;
use super::fires::Fires;
use super::foretell::Standing;
use super::guard::Guard;
use super::ids::ScheduleId;
use super::overrides::{DesiredState, Override, Reach};
use super::place::Place;
use super::run::ActorRef;
use super::schedule::{Schedule, When};
use super::target::Target;
use super::time::resolve;
use super::window::{Phase, Vote};

mod consequence;

/// The most instants of one simulation; later ones are cut off.
const MOST_INSTANTS: usize = 50_000;
/// The number of days before `from` that the simulation includes, because fires in this time can create overrides that
/// are still active at `from`: the longest override, and a day.
const BEFORE_DAYS: i64 = 31;

/// The input of a simulation.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The enabled cron and one-off schedules, each with its zone and calendar.
    pub schedules: Vec<(Schedule, Reading)>,
    /// Windows and overrides.
    pub rules: Rules,
    /// The fires that an active override suppressed, oldest first, if no later action set the state of their target.
    pub held_back: Vec<HeldBack>,
    /// Targets to include besides those of windows and overrides, because an override for a host or for everything
    /// covers them.
    pub others: Vec<Target>,
    /// The current state of the schedules' targets; unknown for targets that are not in the map.
    pub standing: HashMap<Target, Standing>,
    /// The actor of the scheduler's overrides.
    pub scheduler: ActorRef,
    /// The zone of instants in texts.
    pub zone: TimeZone,
}

/// A fire that an override suppressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    pub at: Timestamp,
    pub target: Target,
    pub action: Action,
    /// The schedule's id and title.
    pub schedule: (ScheduleId, String),
}

/// The time range of a simulation: `now` <= `from` < `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The current instant.
    pub now: Timestamp,
    /// The first instant that the result includes.
    pub from: Timestamp,
    /// The first instant that the result does not include.
    pub until: Timestamp,
}

/// The result of a simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// The events in time order.
    pub events: Vec<Event>,
    /// The instant at which the simulation was cut off because of too many events; before this instant it is complete.
    pub cut: Option<Timestamp>,
    /// The desired state at the start of each target that a window or an override covers.
    pub begins: BTreeMap<Target, Option<DesiredState>>,
}

/// One event of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Timestamp,
    pub target: Target,
    pub kind: EventKind,
    /// The id and title of the schedule; `None` for an override, and for an edge to no desired state.
    pub schedule: Option<(ScheduleId, String)>,
    /// Whether the event has an effect: a run begins, or the desired state changes. The effect may be nothing if the
    /// target is in that state already.
    pub acts: bool,
    /// The reason why the event is skipped, or its consequence; may be empty if it acts.
    pub reason: String,
}

impl Event {
    /// The action of a fire; `None` for an edge.
    pub fn action(&self) -> Option<Action> {
        match self.kind {
            EventKind::Fire(action) => Some(action),
            EventKind::Edge(_) => None,
        }
    }
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A cron or one-off schedule fires.
    Fire(Action),
    /// The desired state changes; `None` = no desired state, the target is left alone.
    Edge(Option<DesiredState>),
}

/// Simulates a time range. The result has at most `limit` events.
pub fn simulate(ground: Ground, span: Span, limit: usize) -> Simulation {
    let dropped = dropped_by_calendar(&ground, span, limit);
    let mut simulator = Simulator::new(ground, span);
    let mut cut = None;
    let mut instants = 0;
    let mut begins = None;
    while let Some(at) = simulator.next().filter(|at| *at < span.until) {
        instants += 1;
        if at > span.from && begins.is_none() {
            begins = Some(simulator.wanted.clone());
        }
        if simulator.events.len() > limit || instants > MOST_INSTANTS {
            cut = Some(at);
            break;
        }
        simulator.step(at);
    }
    let begins = begins.unwrap_or_else(|| simulator.wanted.clone());
    let mut events = simulator.events;
    events.extend(dropped);
    events.sort_by_key(|event| event.at);
    if let Some(lost) = events.get(limit) {
        cut = Some(cut.map_or(lost.at, |cut: Timestamp| cut.min(lost.at)));
    }
    if let Some(cut) = cut {
        // Keep or drop all events of an instant together, unless the first instant alone has more than `limit` events.
        let whole = events.partition_point(|event| event.at < cut);
        events.truncate(if whole == 0 { limit } else { whole });
    }
    Simulation { events, cut, begins }
}

/// The fires that a calendar skips. These are computed separately, because the scheduler never processes them.
fn dropped_by_calendar(ground: &Ground, span: Span, limit: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for (schedule, reading) in &ground.schedules {
        let (When::Cron(text), Some(next)) = (&schedule.spec.when, schedule.next_due) else { continue };
        let Ok(cron) = Cron::parse(text) else { continue };
        if reading.days.is_weekly() {
            continue;
        }
        let begin = span.from.max(schedule.effective_from);
        let date_of = |at: Timestamp| at.to_zoned(reading.zone.clone()).date();
        for date in date_of(begin).series(1.day()).take_while(|date| *date <= date_of(span.until)) {
            let midnight = date.to_datetime(jiff::civil::Time::midnight());
            let Some(midnight) =
                resolve(midnight, &reading.zone).filter(|_| reading.days.is_taken_by_calendar(date))
            else {
                continue;
            };
            let fires = cron.fires(just_before(midnight.max(begin)), &reading.zone);
            let of_date = fires.take_while(|at| date_of(*at) == date && *at < span.until);
            // The next fire is part of the simulation itself, so leave it out here.
            for at in of_date.filter(|at| *at != next).take(limit - events.len()) {
                events.push(Event {
                    at,
                    target: schedule.spec.target.clone(),
                    kind: EventKind::Fire(schedule.spec.action),
                    schedule: Some((schedule.id.clone(), schedule.title())),
                    acts: false,
                    reason: due::ON_CALENDAR.to_owned(),
                });
            }
        }
    }
    events
}

fn just_before(at: Timestamp) -> Timestamp {
    at.checked_sub(1.millisecond()).unwrap_or(at)
}

fn just_after(at: Timestamp) -> Timestamp {
    at.checked_add(1.millisecond()).unwrap_or(at)
}

/// Appends to a reason that a guard may delay the action.
fn with_guard(reason: String, guard: Option<&Guard>) -> String {
    match guard {
        None => reason,
        Some(guard) if reason.is_empty() => guard.in_short(),
        Some(guard) => format!("{reason}; {}", guard.in_short()),
    }
}

/// The state of a running simulation.
struct Simulator {
    ground: Ground,
    span: Span,
    /// The next fire of each schedule, with the index of the schedule.
    due: BTreeSet<(Timestamp, usize)>,
    /// The future edges of windows, with the indexes of the windows.
    edges: BTreeMap<Timestamp, Vec<usize>>,
    /// The desired state of each target that a window or an override covers.
    wanted: BTreeMap<Target, Option<DesiredState>>,
    /// The targets that stay in `wanted` when their override ends.
    lasting: BTreeSet<Target>,
    /// The overrides that ended at the current instant.
    ended: Vec<Override>,
    /// The instant at which a fire last set the state of a target.
    set_at: HashMap<Target, Timestamp>,
    /// The number of overrides that fires have created.
    made: u32,
    events: Vec<Event>,
}

impl Simulator {
    fn new(mut ground: Ground, span: Span) -> Self {
        let begin = span.from.checked_sub((BEFORE_DAYS * 24).hours()).unwrap_or(span.now).max(span.now);
        let mut due = BTreeSet::new();
        let is_ruled = |rules: &Rules, target: &Target| {
            rules.at(begin).desired(Place::of_target(target)).wanted.is_some()
                || rules.windows().iter().any(|rule| rules.groups().overlap(&rule.target, target))
                || rules.overrides().iter().any(|one| match &one.reach {
                    Reach::Target(reached) => rules.groups().overlap(reached, target),
                    Reach::All => true,
                })
        };
        for (index, (schedule, reading)) in ground.schedules.iter_mut().enumerate() {
            // Fires of a target without windows and overrides create no overrides, so start with those after `from`.
            let first = if is_ruled(&ground.rules, &schedule.spec.target) { begin } else { span.from };
            if first > span.now && schedule.next_due.is_some_and(|due| due < first) {
                schedule.next_due = Fires::of(&schedule.spec.when, reading, None)
                    .and_then(|fires| fires.next(just_before(first)));
            }
            due.extend(schedule.next_due.map(|at| (at.max(span.now), index)));
        }
        let mut edges: BTreeMap<Timestamp, Vec<usize>> = BTreeMap::new();
        for (index, rule) in ground.rules.windows().iter().enumerate() {
            let changes = rule.timeline().changes(just_before(begin), span.until);
            let others = [Some(rule.from), rule.skip].into_iter().flatten();
            let others = others.filter(|at| *at >= begin && *at < span.until);
            for at in changes.into_iter().filter(|at| *at >= rule.from).chain(others) {
                let found = edges.entry(at).or_default();
                if !found.contains(&index) {
                    found.push(index);
                }
            }
        }
        // A window of a host or group is an event of each target that it covers.
        let narrow =
            ground.rules.windows().iter().map(|rule| &rule.target).filter(|target| !target.is_wide());
        let lasting = BTreeSet::from_iter(narrow.cloned().chain(ground.others.clone()));
        let mut simulator = Self {
            ground,
            span,
            due,
            edges,
            wanted: BTreeMap::new(),
            lasting: lasting.clone(),
            ended: Vec::new(),
            set_at: HashMap::new(),
            made: 0,
            events: Vec::new(),
        };
        let overridden = simulator.ground.rules.overrides().iter().filter_map(|one| match &one.reach {
            Reach::Target(target) => Some(target.clone()).filter(|_| one.reach.is_narrow()),
            Reach::All => None,
        });
        // The desired state before the first instant; the current one is applied already.
        let before = if begin > span.now { just_before(begin) } else { begin };
        for target in lasting.into_iter().chain(overridden.collect::<Vec<_>>()) {
            simulator.watch(target, before);
        }
        simulator
    }

    /// Starts to record changes of a target's desired state.
    fn watch(&mut self, target: Target, at: Timestamp) {
        if !self.wanted.contains_key(&target) {
            let wanted = self.ground.rules.at(at).desired(Place::of_target(&target)).wanted;
            self.wanted.insert(target, wanted);
        }
    }

    /// The next instant at which something may happen.
    fn next(&self) -> Option<Timestamp> {
        let fire = self.due.first().map(|(at, _)| *at);
        let edge = self.edges.first_key_value().map(|(at, _)| *at);
        let end = self.ground.rules.overrides().iter().map(|one| one.until.max(self.span.now)).min();
        [fire, edge, end].into_iter().flatten().min()
    }

    /// Processes one instant in the order of `scheduler::tick`: fires, then ends of overrides, then the desired state.
    fn step(&mut self, at: Timestamp) {
        let mut changed = self.fire(at);
        changed.extend(self.end_overrides(at));
        let edges = self.edges.remove(&at).unwrap_or_default();
        changed.extend(
            edges.iter().map(|index| Reach::Target(self.ground.rules.windows()[*index].target.clone())),
        );
        self.change(at, &changed);
        self.add_ineffective_edges(at, &edges);
    }

    /// Adds an event, unless it is before the start of the result.
    fn add_event(&mut self, event: Event) {
        if event.at >= self.span.from {
            self.events.push(event);
        }
    }

    /// Processes the due fires; returns the scopes of the overrides that they create.
    fn fire(&mut self, at: Timestamp) -> Vec<Reach> {
        let mut indexes = Vec::new();
        while let Some((due, index)) = self.due.first().copied().filter(|(due, _)| *due <= at) {
            self.due.remove(&(due, index));
            indexes.push(index);
        }
        if indexes.is_empty() {
            return Vec::new();
        }
        let (batch, readings): (Vec<_>, Vec<_>) =
            indexes.iter().map(|index| self.ground.schedules[*index].clone()).unzip();
        let titles: HashMap<&ScheduleId, String> =
            batch.iter().map(|schedule: &Schedule| (&schedule.id, schedule.title())).collect();
        let title = |id: &ScheduleId| titles.get(id).cloned().unwrap_or_else(|| id.to_string());
        let mut overrides = Vec::new();
        for decision in due::decide(&batch, &readings, at) {
            let schedule = &batch[decision.index];
            let index = indexes[decision.index];
            self.ground.schedules[index].0.next_due = decision.next_due;
            self.due.extend(decision.next_due.map(|next| (next, index)));
            let Some((_, outcome)) = decision.fire else { continue };
            let (target, action) = (&schedule.spec.target, schedule.spec.action);
            let ending = outcome.ending(title).map(|(_, reason)| reason);
            let held = || {
                let moment = self.ground.rules.at(at);
                contradiction::suppressed(&moment, target, action, &self.ground.zone)
            };
            let held = if ending.is_none() { held() } else { None };
            let own = (schedule.id.clone(), schedule.title());
            if held.as_ref().is_some_and(|held| !held.is_hold) {
                let (target, schedule) = (target.clone(), own.clone());
                self.ground.held_back.push(HeldBack { at, target, action, schedule });
            }
            let ending = ending.or_else(|| held.map(|held| held.to_string()));
            let ending = ending.or_else(|| self.superseded_by_edge(at, target, action));
            let ending =
                ending.or_else(|| self.does_not_run(at, target).filter(|_| action == Action::Restart));
            let acts = ending.is_none();
            let mut reason = ending.unwrap_or_default();
            if acts {
                reason = self.act(at, target, action, &mut overrides);
                self.update_standing(at, target, action);
                reason = with_guard(reason, schedule.spec.guard.as_ref());
            }
            let (target, kind) = (target.clone(), EventKind::Fire(action));
            self.add_event(Event { at, target, kind, schedule: Some(own), acts, reason });
        }
        self.impose(at, overrides)
    }

    /// Adds overrides; returns their scopes.
    fn impose(&mut self, at: Timestamp, overrides: Vec<Override>) -> Vec<Reach> {
        let reaches = overrides.iter().map(|one| one.reach.clone()).collect();
        for one in overrides {
            if let (Reach::Target(target), true) = (&one.reach, one.reach.is_narrow()) {
                self.watch(target.clone(), just_before(at));
            }
            self.ground.rules.impose(one);
        }
        reaches
    }

    /// Ends overrides and runs the newest fire that each has suppressed per target; returns the scopes of the ended
    /// overrides and of those that the fires create.
    fn end_overrides(&mut self, at: Timestamp) -> Vec<Reach> {
        let ended: Vec<Override> =
            self.ground.rules.overrides().iter().filter(|one| one.until <= at).cloned().collect();
        let mut reaches: Vec<Reach> = ended.iter().map(|one| one.reach.clone()).collect();
        for one in &ended {
            let mut newest: BTreeMap<Target, HeldBack> = BTreeMap::new();
            if one.wanted != DesiredState::Hold {
                let groups = self.ground.rules.groups();
                let covered = self.ground.held_back.iter().filter(|held| {
                    held.at >= one.created_at
                        && one.reach.covers(Place::of_target(&held.target), groups).is_some()
                });
                newest.extend(covered.map(|held| (held.target.clone(), held.clone())));
            }
            for (target, held) in newest {
                let rules = &self.ground.rules;
                let is_suppressed =
                    contradiction::suppressed(&rules.at(at), &target, held.action, &self.ground.zone)
                        .is_some();
                if is_suppressed || rules.has_window_edge(Place::of_target(&target), held.at, at) {
                    continue;
                }
                let mut made = Vec::new();
                let stays = self.act(at, &target, held.action, &mut made);
                let until = one.until.to_zoned(self.ground.zone.clone()).strftime("%Y-%m-%d %H:%M");
                self.add_event(Event {
                    at,
                    kind: EventKind::Fire(held.action),
                    schedule: Some(held.schedule),
                    acts: true,
                    reason: match stays.as_str() {
                        "" => format!("an override held it back until {until}"),
                        stays => format!("an override held it back until {until}; {stays}"),
                    },
                    target,
                });
                reaches.extend(self.impose(at, made));
            }
            self.ground.rules.end(&one.id);
        }
        self.ended = ended;
        reaches
    }

    /// Adds an event for each target that one of the scopes in `changed` covers and whose desired state has changed.
    fn change(&mut self, at: Timestamp, changed: &[Reach]) {
        if changed.is_empty() {
            return;
        }
        let mut events = Vec::new();
        let rules = &self.ground.rules;
        let moment = rules.at(at);
        self.wanted.retain(|target, wanted| {
            let place = Place::of_target(target);
            if !changed.iter().any(|reach| reach.covers(place, rules.groups()).is_some()) {
                return true;
            }
            let desired = moment.desired(place);
            if desired.wanted != *wanted {
                *wanted = desired.wanted;
                let put_back = self.ended.iter().find(|one| {
                    one.puts_back
                        && desired.wanted.is_none()
                        && one.reach.covers(place, rules.groups()).is_some()
                });
                events.push(Event {
                    at,
                    target: target.clone(),
                    kind: EventKind::Edge(put_back.map_or(desired.wanted, |one| Some(one.wanted.other()))),
                    schedule: desired.rule().map(|rule| (rule.id.clone(), rule.title.clone())),
                    acts: true,
                    reason: with_guard(
                        put_back
                            .map_or_else(|| desired.why(&self.ground.zone), |one| one.end_told().to_owned()),
                        desired
                            .rule()
                            .filter(|_| desired.wanted == Some(DesiredState::Asleep))
                            .and_then(|rule| rule.guard.as_ref()),
                    ),
                });
            }
            let reach = Reach::Target(target.clone());
            self.lasting.contains(target) || rules.overrides().iter().any(|one| one.reach == reach)
        });
        for event in events {
            self.add_event(event);
        }
    }

    /// Adds an event for each edge without an effect: the start of a skipped sleep, and an edge that an override or
    /// another window outranks.
    fn add_ineffective_edges(&mut self, at: Timestamp, edges: &[usize]) {
        let moment = self.ground.rules.at(at);
        let mut events = Vec::new();
        for index in edges {
            let rule = &self.ground.rules.windows()[*index];
            let (mut phase, mut reason) = (None, String::new());
            if rule.skip == Some(at) {
                phase = Some(Phase::Asleep);
                "skip: this sleep was dropped on purpose".clone_into(&mut reason);
            } else if !rule.timeline().changes(just_before(at), just_after(at)).is_empty() {
                let vote = rule.timeline().vote(at);
                let desired = moment.desired(Place::of_target(&rule.target));
                let state =
                    if vote.phase() == Phase::Awake { DesiredState::Awake } else { DesiredState::Asleep };
                // Windows add up, so an edge to the time outside a window's intervals needs no event if another window
                // outranks it.
                let is_reported = matches!(vote, Vote::WrittenAwake | Vote::WrittenAsleep)
                    || !matches!(desired.layer, Layer::Window(..));
                if desired.wanted != Some(state) && is_reported {
                    phase = Some(vote.phase());
                    reason = desired.why(&self.ground.zone);
                }
            }
            if let Some(phase) = phase {
                events.push(Event {
                    at,
                    target: rule.target.clone(),
                    kind: EventKind::Edge(Some(match phase {
                        Phase::Awake => DesiredState::Awake,
                        Phase::Asleep => DesiredState::Asleep,
                    })),
                    schedule: Some((rule.id.clone(), rule.title.clone())),
                    acts: false,
                    reason,
                });
            }
        }
        for event in events {
            self.add_event(event);
        }
    }
}
