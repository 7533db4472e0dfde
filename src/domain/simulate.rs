//! What happens when: every fire, every edge and every conflict of a stretch of time to come.
//!
//! It goes from instant to instant as the scheduler does and asks what the scheduler asks: [`due::decide`] about what
//! is due, [`contradiction`] about what windows and overrides say to it, [`Rules`] about what is wanted then. What
//! people and Docker do meanwhile nobody knows: it tells what happens if nobody does anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::action::Action;
use super::conflict::Fires;
use super::contradiction::{self, Answer};
use super::cron::Cron;
use super::desired::{Layer, Rules};
use super::due;
use super::foretell::Standing;
use super::guard::Guard;
use super::ids::ScheduleId;
use super::overrides::{DesiredState, Override, Place, Reach};
use super::run::ActorRef;
use super::schedule::{Reading, Schedule, When};
use super::target::{ContainerIdentity, Subject, Target};
use super::time::resolve;
use super::window::{Phase, Vote};

/// Instants looked at, at most: what is beyond is cut off.
const MOST_INSTANTS: usize = 50_000;
/// What happens before the stretch counts for this long, in days: the longest override, and a day.
const BEFORE: i64 = 31;

/// What holds where the stretch begins.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Cron and once schedules that are on, with how each is to be read.
    pub schedules: Vec<(Schedule, Reading)>,
    /// Windows and overrides.
    pub rules: Rules,
    /// Fires that an override holds back, oldest first; nothing that sets a state came after them.
    pub held_back: Vec<HeldBack>,
    /// Targets of which a wide override may want something, besides those that rules and overrides name.
    pub others: Vec<Target>,
    /// How the targets of the schedules stand now; of others nobody knows.
    pub standing: HashMap<Target, Standing>,
    /// Who acts.
    pub scheduler: ActorRef,
    /// The zone of the sentences.
    pub zone: TimeZone,
}

/// A fire that an override held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    pub at: Timestamp,
    /// What it would have acted on.
    pub target: Target,
    /// What it would have done.
    pub action: Action,
    /// Its schedule, with its title.
    pub schedule: (ScheduleId, String),
}

/// The stretch of time: `now` <= `from` < `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The present.
    pub now: Timestamp,
    /// The first instant told.
    pub from: Timestamp,
    /// The first instant not told.
    pub until: Timestamp,
}

/// What happens in the stretch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// In time order.
    pub events: Vec<Event>,
    /// Where it broke off, since there is too much: what is before is complete.
    pub cut: Option<Timestamp>,
    /// What is wanted where the stretch begins, of each target that a rule or an override speaks of.
    pub begins: BTreeMap<Target, Option<DesiredState>>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Timestamp,
    pub target: Target,
    /// A fire or an edge.
    pub kind: EventKind,
    /// Whose it is, with its title; `None` for an override, and where nobody wants anything any more.
    pub schedule: Option<(ScheduleId, String)>,
    /// It counts: a run begins, or something else is wanted from then on. What is as it should be already is left
    /// alone then too.
    pub acts: bool,
    /// Why it is skipped, or what comes of it; may be empty where it acts.
    pub reason: String,
}

impl Event {
    /// What a fire does.
    pub fn action(&self) -> Option<Action> {
        match self.kind {
            EventKind::Fire(action) => Some(action),
            EventKind::Edge(_) => None,
        }
    }
}

/// What kind of thing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A cron or once schedule fires.
    Fire(Action),
    /// What is wanted changes; `None` = nobody wants anything any more.
    Edge(Option<DesiredState>),
}

/// Goes through a stretch of time, `limit` events at most.
pub fn simulate(ground: Ground, span: Span, limit: usize) -> Simulation {
    let dropped = dropped_by_calendar(&ground, span, limit);
    let mut course = Course::new(ground, span);
    let mut cut = None;
    let mut instants = 0;
    let mut begins = None;
    while let Some(at) = course.next().filter(|at| *at < span.until) {
        instants += 1;
        if at > span.from && begins.is_none() {
            begins = Some(course.wanted.clone());
        }
        if course.events.len() > limit || instants > MOST_INSTANTS {
            cut = Some(at);
            break;
        }
        course.pass(at);
    }
    let begins = begins.unwrap_or_else(|| course.wanted.clone());
    let mut events = course.events;
    events.extend(dropped);
    events.sort_by_key(|event| event.at);
    if let Some(lost) = events.get(limit) {
        cut = Some(cut.map_or(lost.at, |cut: Timestamp| cut.min(lost.at)));
    }
    if let Some(cut) = cut {
        // An instant is told whole, unless it alone is too much.
        let whole = events.partition_point(|event| event.at < cut);
        events.truncate(if whole == 0 { limit } else { whole });
    }
    Simulation { events, cut, begins }
}

/// Fires on the dates of a calendar that drops them: the scheduler never comes to see these.
fn dropped_by_calendar(ground: &Ground, span: Span, limit: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for (schedule, reading) in &ground.schedules {
        let (When::Cron(text), Some(next)) = (&schedule.spec.when, schedule.next_due) else { continue };
        let (Ok(cron), Some((days, _))) = (Cron::parse(text), &reading.calendar) else { continue };
        let begin = span.from.max(schedule.effective_from);
        let date_of = |at: Timestamp| at.to_zoned(reading.zone.clone()).date();
        for date in date_of(begin).series(1.day()).take_while(|date| *date <= date_of(span.until)) {
            let midnight = date.to_datetime(jiff::civil::Time::midnight());
            let Some(midnight) = resolve(midnight, &reading.zone).filter(|_| days.contains(date)) else {
                continue;
            };
            let fires = cron.fires(just_before(midnight.max(begin)), &reading.zone);
            let of_date = fires.take_while(|at| date_of(*at) == date && *at < span.until);
            // Until the next fire there is none that is not dropped.
            for at in of_date.filter(|at| reading.drops(*at) && *at != next).take(limit - events.len()) {
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

/// A reason, and that a guard may hold back what it is for.
fn with_guard(reason: String, guard: Option<&Guard>) -> String {
    match guard {
        None => reason,
        Some(guard) if reason.is_empty() => guard.in_short(),
        Some(guard) => format!("{reason}; {}", guard.in_short()),
    }
}

/// The state between two instants.
struct Course {
    ground: Ground,
    span: Span,
    /// The next fire of each schedule, by its index.
    due: BTreeSet<(Timestamp, usize)>,
    /// When window rules may change what they say, by their index.
    edges: BTreeMap<Timestamp, Vec<usize>>,
    /// What is wanted of each target that a rule or an override speaks of.
    wanted: BTreeMap<Target, Option<DesiredState>>,
    /// The targets among them that stay after their override.
    lasting: BTreeSet<Target>,
    /// Overrides that ended at this instant.
    ended: Vec<Override>,
    /// Overrides that fires made.
    made: u32,
    events: Vec<Event>,
}

impl Course {
    fn new(mut ground: Ground, span: Span) -> Self {
        let begin = span.from.checked_sub((BEFORE * 24).hours()).unwrap_or(span.now).max(span.now);
        let mut due = BTreeSet::new();
        let is_ruled = |rules: &Rules, target: &Target| {
            rules.at(begin).desired(Place::of_target(target)).wanted.is_some()
                || rules.windows().iter().any(|rule| rule.target.shares_container(target))
                || rules.overrides().iter().any(|one| match &one.reach {
                    Reach::Target(reached) => reached.shares_container(target),
                    Reach::All | Reach::Host(_) => true,
                })
        };
        for (index, (schedule, reading)) in ground.schedules.iter_mut().enumerate() {
            // What no rule speaks of leaves no trace: it is looked at from where the stretch begins.
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
        let lasting = BTreeSet::from_iter(
            ground.rules.windows().iter().map(|rule| rule.target.clone()).chain(ground.others.clone()),
        );
        let mut course = Self {
            ground,
            span,
            due,
            edges,
            wanted: BTreeMap::new(),
            lasting: lasting.clone(),
            ended: Vec::new(),
            made: 0,
            events: Vec::new(),
        };
        let overridden = course.ground.rules.overrides().iter().filter_map(|one| match &one.reach {
            Reach::Target(target) => Some(target.clone()),
            Reach::All | Reach::Host(_) => None,
        });
        // What holds now is made so already.
        let before = if begin > span.now { just_before(begin) } else { begin };
        for target in lasting.into_iter().chain(overridden.collect::<Vec<_>>()) {
            course.watch(target, before);
        }
        course
    }

    /// Begins to look at what is wanted of a target.
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

    /// One instant: fires first, then the ends of overrides, then what is wanted (as `scheduler::tick`).
    fn pass(&mut self, at: Timestamp) {
        let mut changed = self.fire(at);
        changed.extend(self.end_overrides(at));
        let edges = self.edges.remove(&at).unwrap_or_default();
        changed.extend(
            edges.iter().map(|index| Reach::Target(self.ground.rules.windows()[*index].target.clone())),
        );
        self.change(at, &changed);
        self.hold_back_edges(at, &edges);
    }

    fn tell(&mut self, event: Event) {
        if event.at >= self.span.from {
            self.events.push(event);
        }
    }

    /// What is due; answers what the overrides reach that it made.
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
            let Some((_, fate)) = decision.fire else { continue };
            let (target, action) = (&schedule.spec.target, schedule.spec.action);
            let ending = fate.ending(title).map(|(_, reason)| reason);
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
            let ending = ending.or_else(|| self.overtaken(at, target, action));
            let ending =
                ending.or_else(|| self.does_not_run(at, target).filter(|_| action == Action::Restart));
            let acts = ending.is_none();
            let mut reason = ending.unwrap_or_default();
            if acts {
                reason = self.act(at, target, action, &mut overrides);
                self.stand(at, target, action);
                reason = with_guard(reason, schedule.spec.guard.as_ref());
            }
            let (target, kind) = (target.clone(), EventKind::Fire(action));
            self.tell(Event { at, target, kind, schedule: Some(own), acts, reason });
        }
        self.impose(at, overrides)
    }

    /// Lets overrides count from now on, and answers what they reach.
    fn impose(&mut self, at: Timestamp, overrides: Vec<Override>) -> Vec<Reach> {
        let reaches = overrides.iter().map(|one| one.reach.clone()).collect();
        for one in overrides {
            if let Reach::Target(target) = &one.reach {
                self.watch(target.clone(), just_before(at));
            }
            self.ground.rules.impose(one);
        }
        reaches
    }

    /// Why a restart comes to nothing: it acts on what runs alone.
    fn does_not_run(&self, at: Timestamp, target: &Target) -> Option<String> {
        let mut standing = *self.ground.standing.get(target)?;
        let desired = self.ground.rules.at(at).desired(Place::of_target(target));
        standing.become_as(desired.wanted);
        (!standing.runs).then(|| match desired.wanted {
            Some(DesiredState::Asleep) => {
                format!("{}: only what runs is restarted", desired.why(&self.ground.zone))
            }
            _ => "it does not run then: only what runs is restarted".to_owned(),
        })
    }

    /// How what a fire acts on stands after it.
    fn stand(&mut self, at: Timestamp, target: &Target, action: Action) {
        let Ground { rules, standing, .. } = &mut self.ground;
        let is_stack = matches!(target.subject, Subject::Stack(_));
        for (one, standing) in standing.iter_mut() {
            if one == target || is_stack && target.shares_container(one) {
                standing.become_as(rules.at(at).desired(Place::of_target(one)).wanted);
                standing.after(action);
            }
        }
    }

    /// The edge of a window that does not respect the fire, and undoes it in the same instant.
    fn overtaken(&self, at: Timestamp, target: &Target, action: Action) -> Option<String> {
        let (rules, place) = (&self.ground.rules, Place::of_target(target));
        let overtakes = matches!(
            contradiction::answer_to_fire(rules, target, action, at)?,
            Answer::Enforce(_) | Answer::Observe
        ) && rules.at(just_before(at)).desired(place).wanted
            != rules.at(at).desired(place).wanted;
        overtakes.then(|| format!("superseded by {}", rules.at(at).desired(place).why(&self.ground.zone)))
    }

    /// What comes of a fire that acts, in words; `overrides` are what it leaves.
    fn act(
        &mut self,
        at: Timestamp,
        target: &Target,
        action: Action,
        overrides: &mut Vec<Override>,
    ) -> String {
        if action.sets_state() {
            self.ground.held_back.retain(|held| held.target != *target);
        }
        let (rules, zone) = (&self.ground.rules, &self.ground.zone);
        let mut reason = String::new();
        let inside = BTreeSet::from_iter(self.containers_of(target));
        for speaker in contradiction::speakers(target, inside, rules) {
            let place = Place::of_target(&speaker);
            let Some(answer) = contradiction::answer_to_fire(rules, &speaker, action, at) else { continue };
            let comes = match answer {
                Answer::Respect { until: Some(until), .. } => {
                    let until = until.to_zoned(zone.clone());
                    format!("what this does stays until {}", until.strftime("%Y-%m-%d %H:%M"))
                }
                Answer::Enforce(_) => "this is put back after 5 minutes".to_owned(),
                Answer::Observe | Answer::Respect { until: None, .. } => {
                    "what this does stays until the next edge".to_owned()
                }
            };
            if reason.is_empty() {
                reason = format!("{}: {comes}", rules.at(at).desired(place).why(zone));
            }
            if let Answer::Respect { wanted, until: Some(until) } = answer {
                self.made += 1;
                overrides.push(Override {
                    // Behind every stored one.
                    id: format!("~{:09}", self.made).into(),
                    reach: Reach::Target(speaker),
                    target_name: String::new(),
                    wanted,
                    created_at: at,
                    until,
                    reason: format!("{} by {}", contradiction::done(action), self.ground.scheduler.name),
                    author: self.ground.scheduler.clone(),
                    by_hand: true,
                    puts_back: false,
                    closed_at: None,
                    closed_reason: String::new(),
                });
            }
        }
        let desired = rules.at(at).desired(Place::of_target(target));
        if action == Action::Restart && desired.wanted == Some(DesiredState::Asleep) {
            reason = format!("{}: only what runs is restarted", desired.why(zone));
        }
        reason
    }

    /// The containers of a stack that a rule or an override names.
    fn containers_of<'a>(&'a self, stack: &'a Target) -> impl Iterator<Item = &'a ContainerIdentity> {
        let rules = &self.ground.rules;
        let reached = rules.overrides().iter().filter_map(|one| match &one.reach {
            Reach::Target(target) => Some(target),
            Reach::All | Reach::Host(_) => None,
        });
        let named = rules.windows().iter().map(|rule| &rule.target).chain(reached);
        named.filter(|target| target.shares_container(stack)).filter_map(|target| match &target.subject {
            Subject::Container(identity) => Some(identity),
            Subject::Stack(_) => None,
        })
    }

    /// Overrides whose end has come, and the newest fire that each held back; answers what they reached.
    fn end_overrides(&mut self, at: Timestamp) -> Vec<Reach> {
        let ended: Vec<Override> =
            self.ground.rules.overrides().iter().filter(|one| one.until <= at).cloned().collect();
        let mut reaches: Vec<Reach> = ended.iter().map(|one| one.reach.clone()).collect();
        for one in &ended {
            let mut newest: BTreeMap<Target, HeldBack> = BTreeMap::new();
            if one.wanted != DesiredState::Hold {
                let covered = self.ground.held_back.iter().filter(|held| {
                    held.at >= one.created_at && one.reach.covers(Place::of_target(&held.target)).is_some()
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
                self.tell(Event {
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

    /// Tells where something else is wanted than before, of what `changed` reaches.
    fn change(&mut self, at: Timestamp, changed: &[Reach]) {
        if changed.is_empty() {
            return;
        }
        let mut told = Vec::new();
        let rules = &self.ground.rules;
        let moment = rules.at(at);
        self.wanted.retain(|target, wanted| {
            let place = Place::of_target(target);
            if !changed.iter().any(|reach| reach.covers(place).is_some()) {
                return true;
            }
            let desired = moment.desired(place);
            if desired.wanted != *wanted {
                *wanted = desired.wanted;
                let put_back = self.ended.iter().find(|one| {
                    one.puts_back && desired.wanted.is_none() && one.reach.covers(place).is_some()
                });
                told.push(Event {
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
        for event in told {
            self.tell(event);
        }
    }

    /// Tells the edges of windows that another layer, or a stronger rule, keeps from counting.
    fn hold_back_edges(&mut self, at: Timestamp, edges: &[usize]) {
        let moment = self.ground.rules.at(at);
        let mut told = Vec::new();
        for index in edges {
            let rule = &self.ground.rules.windows()[*index];
            let (mut phase, mut reason) = (None, String::new());
            if rule.skip == Some(at) {
                phase = Some(Phase::Asleep);
                "skip: this sleep was dropped on purpose".clone_into(&mut reason);
            } else if !rule.timeline().changes(just_before(at), just_after(at)).is_empty() {
                let vote = rule.timeline().vote(at);
                let desired = moment.desired(Place::of_target(&rule.target));
                let says =
                    if vote.phase() == Phase::Awake { DesiredState::Awake } else { DesiredState::Asleep };
                // Rules add up: what is said of the time outside an interval gives way without a word.
                let is_heard = matches!(vote, Vote::WrittenAwake | Vote::WrittenAsleep)
                    || !matches!(desired.layer, Layer::Window(..));
                if desired.wanted != Some(says) && is_heard {
                    phase = Some(vote.phase());
                    reason = desired.why(&self.ground.zone);
                }
            }
            if let Some(phase) = phase {
                told.push(Event {
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
        for event in told {
            self.tell(event);
        }
    }
}
