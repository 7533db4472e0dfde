//! A day: a lane for each target, what is planned over what is known of how it was.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::slots::{Slot, Slots, param};
use crate::app::stacks::{Overview, ShownState};
use crate::app::timeline::{self as service, TimelineData};
use crate::app::{Actor, App, Result};
use crate::domain::overrides::{DesiredState, Place};
use crate::domain::run::{Run, RunState};
use crate::domain::simulate::{Event, EventKind};
use crate::domain::target::{ContainerIdentity, Subject, Target};
use crate::domain::timeline::{self, Day, DoneAction, Known, Stretch};
use crate::web::pages::runs::words;
use crate::web::view::{self, Badge, Link, Now};

/// What one lane has to say in words.
const NOTHING_PLANNED: &str = "nothing planned";
const NOTHING_KNOWN: &str = "nothing known";

/// A band of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// Minutes from the day's start.
    pub x: i64,
    /// Minutes.
    pub width: i64,
    /// `data-state`: gives the colour.
    pub class: &'static str,
    /// It is what was, rather than what is planned.
    pub lived: bool,
}

/// Something at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Minutes from the day's start.
    pub x: i64,
    /// `data-state`: gives the colour.
    pub class: &'static str,
    /// It was done, rather than planned.
    pub lived: bool,
}

/// A target's day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its key, for ids.
    pub key: String,
    pub name: Link,
    /// For a container: its stack.
    pub of: Option<String>,
    /// How it is now.
    pub state: Option<Badge>,
    /// A new schedule for it; `None` for whoever may not make one.
    pub plan: Option<String>,
    /// Planned and lived.
    pub bands: Vec<Band>,
    /// Fires and runs.
    pub ticks: Vec<Tick>,
    /// An hour each.
    pub slots: Vec<Slot>,
    /// What is planned, in words.
    pub planned: Vec<String>,
    /// What was, in words.
    pub lived: Vec<String>,
}

/// A day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayView {
    /// Its length in minutes.
    pub width: i64,
    /// What the clock shows at each hour of it: `00` … `23`.
    pub hours: Vec<String>,
    /// What the clocks do on it, and which calendars name it.
    pub marks: Vec<String>,
    /// The lanes, by name.
    pub lanes: Vec<Lane>,
    /// Targets of which there is nothing to say.
    pub idle: Vec<Link>,
    /// Now, in minutes from its start; `None` on another day.
    pub now: Option<i64>,
}

/// What was done to the targets of the lanes.
pub struct History {
    targets: Vec<Target>,
    deeds: BTreeMap<Target, Vec<DoneAction>>,
}

/// The targets that have a lane, and what was done to each.
pub async fn known(app: &App, actor: &Actor, look: &TimelineData, day: Day, now: &Now) -> Result<History> {
    let mut targets = BTreeSet::from_iter(look.runs.iter().map(|run| run.target.clone()));
    if let Some(foretold) = &look.foretold {
        targets.extend(foretold.simulation.events.iter().map(|event| event.target.clone()));
        let ruled = foretold.simulation.begins.iter().filter(|(_, wanted)| wanted.is_some());
        targets.extend(ruled.map(|(target, _)| target.clone()));
    }
    // A container that somebody acted on by hand has no rule of its own: its stack's lane is enough.
    let foretold = look.foretold.iter().flat_map(|foretold| &foretold.simulation.events);
    let own_rules = BTreeSet::from_iter(
        look.rules.windows().iter().map(|rule| &rule.target).chain(foretold.map(|event| &event.target)),
    );
    let with_schedule =
        BTreeSet::from_iter(look.runs.iter().filter(|run| run.schedule_id.is_some()).map(|run| &run.target));
    targets.retain(|target| {
        matches!(target.subject, Subject::Stack(_) | Subject::Container(ContainerIdentity::Name(_)))
            || own_rules.contains(target)
            || with_schedule.contains(target)
    });
    let targets: Vec<Target> = targets.into_iter().collect();
    let deeds = if day.start <= now.at {
        service::deeds(app, actor, &day, &look.runs, &targets).await?
    } else {
        BTreeMap::new()
    };
    Ok(History { targets, deeds })
}

impl DayView {
    /// A day as it was and as it is planned.
    pub fn new(
        look: &TimelineData,
        history: &History,
        day: Day,
        overview: &Overview,
        slots: &Slots,
        now: &Now,
    ) -> Self {
        let there = There::of(overview);
        let names = |target: &Target| name(target, look, &there);
        let hours = day.hours();
        let clock = |at: Timestamp| at.to_zoned(now.zone.clone());
        let mut lanes: Vec<Lane> = history
            .targets
            .iter()
            .map(|target| {
                let deeds = history.deeds.get(target).map(Vec::as_slice).unwrap_or_default();
                lane(target, names(target), look, deeds, day, &hours, there.states.get(target), slots, now)
            })
            .collect();
        lanes.sort_by_cached_key(|lane| {
            let own = lane.name.text.to_lowercase();
            (lane.of.as_ref().map_or_else(|| own.clone(), |of| of.to_lowercase()), lane.of.is_some(), own)
        });
        let idle = overview
            .stacks
            .iter()
            .filter(|stack| slots.picked.is_empty() && stack.protected.is_none())
            .map(|stack| Target::stack(stack.stack.host.clone(), stack.stack.name.clone()))
            .filter(|target| !history.targets.contains(target))
            .map(|target| Link::new(format!("/stacks/{}", target.key()), names(&target)))
            .collect();
        Self {
            width: day.minutes(),
            hours: hours.iter().map(|(from, _)| clock(*from).strftime("%H").to_string()).collect(),
            marks: super::agenda::marks_of(look, day.date),
            lanes,
            idle,
            now: day.holds(now.at).then(|| day.minute(now.at)),
        }
    }
}

/// What the Engine holds now.
struct There {
    names: HashMap<Target, String>,
    states: HashMap<Target, (Known, Badge)>,
}

impl There {
    fn of(overview: &Overview) -> Self {
        let mut there = Self { names: HashMap::new(), states: HashMap::new() };
        for stack in &overview.stacks {
            let target = Target::stack(stack.stack.host.clone(), stack.stack.name.clone());
            there.add(
                target,
                &stack.stack.name,
                if stack.napping { ShownState::Napping } else { stack.shown },
            );
        }
        let members = overview.stacks.iter().flat_map(|stack| &stack.containers).chain(&overview.loose);
        for view in members {
            there.add(view.container.target(), &view.container.name, view.shown);
        }
        there
    }

    fn add(&mut self, target: Target, name: &str, shown: ShownState) {
        self.names.insert(target.clone(), name.to_owned());
        let known = match shown {
            ShownState::Running
            | ShownState::Starting
            | ShownState::Unhealthy
            | ShownState::RestartLooping => Known::Awake,
            ShownState::Napping | ShownState::Paused | ShownState::Stopped | ShownState::Completed => {
                Known::Asleep
            }
            ShownState::Partial => Known::Partly,
            ShownState::Unreachable => Known::Nothing,
        };
        self.states.insert(target, (known, shown.into()));
    }
}

/// What a target is called, though it may be gone.
fn name(target: &Target, look: &TimelineData, there: &There) -> String {
    let foretold = || look.foretold.as_ref()?.names.get(target).cloned();
    let lived =
        || look.runs.iter().rev().find(|run| run.target == *target).map(|run| run.target_name.clone());
    let known = there.names.get(target).cloned().or_else(foretold).or_else(lived);
    view::shown_name(&known.unwrap_or_else(|| target.identity_text()))
}

#[expect(clippy::too_many_arguments, reason = "the parts of one drawing, put together in one place")]
fn lane(
    target: &Target,
    name: String,
    look: &TimelineData,
    deeds: &[DoneAction],
    day: Day,
    hours: &[(Timestamp, Timestamp)],
    state: Option<&(Known, Badge)>,
    slots: &Slots,
    now: &Now,
) -> Lane {
    let events: Vec<&Event> = look
        .foretold
        .iter()
        .flat_map(|foretold| &foretold.simulation.events)
        .filter(|event| event.target == *target)
        .collect();
    let runs: Vec<&Run> = look.runs.iter().filter(|run| run.target == *target).collect();
    let plan = plan(target, look, day, now);
    // Unreachable: nobody can say that it is otherwise.
    let ends = state.map(|(known, _)| *known).filter(|known| *known != Known::Nothing && day.holds(now.at));
    let end = day.end.min(now.at);
    let lived = if day.start < end { timeline::lived(deeds, day.start, end, ends) } else { Vec::new() };
    let bands = plan
        .iter()
        .filter_map(|one| band(day, one, one.what.map(phase), false))
        .chain(lived.iter().filter_map(|one| band(day, one, trace(one.what), true)))
        .collect();
    let fires = events.iter().filter(|event| matches!(event.kind, EventKind::Fire(_)) && event.acts);
    let ticks = fires
        .map(|event| Tick { x: day.minute(event.at), class: "fires", lived: false })
        .chain(runs.iter().filter_map(|run| {
            let at = run.finished_at.filter(|_| run.state != RunState::Skipped)?;
            let class = if run.state.needs_attention() { "failed" } else { "fires" };
            Some(Tick { x: day.minute(at), class, lived: true })
        }))
        .collect();
    let clock = |at: Timestamp| clock(at, day, now);
    let mut planned: Vec<String> = plan
        .iter()
        .filter_map(|one| {
            let wanted = one.what?;
            Some(format!("{} {} – {}", word(wanted), clock(one.from), clock(one.until)))
        })
        .collect();
    planned.extend(events.iter().filter_map(|event| match event.kind {
        EventKind::Fire(action) if event.acts => {
            Some(format!("{} at {}", action.label().to_lowercase(), clock(event.at)))
        }
        EventKind::Fire(action) => Some(format!(
            "{} at {} left out: {}",
            action.label().to_lowercase(),
            clock(event.at),
            words::reason(&event.reason, now)
        )),
        EventKind::Edge(_) => None,
    }));
    let mut told: Vec<String> = lived
        .iter()
        .filter_map(|one| {
            Some(format!("{} {} – {}", trace_word(one.what)?, clock(one.from), clock(one.until)))
        })
        .collect();
    told.extend(runs.iter().filter_map(|run| {
        let state = Badge::from(run.state).word.to_lowercase();
        Some(format!("{} at {}: {state}", run.action.label().to_lowercase(), clock(run.finished_at?)))
    }));
    let or = |mut words: Vec<String>, nothing: &str| {
        if words.is_empty() {
            words.push(nothing.to_owned());
        }
        words
    };
    let hours: Vec<Slot> =
        hours.iter().map(|hour| slot(target, &name, *hour, &events, &runs, slots, now)).collect();
    Lane {
        key: target.key(),
        of: match &target.subject {
            Subject::Container(ContainerIdentity::Service { project, .. }) => Some(view::shown_name(project)),
            _ => None,
        },
        state: state.map(|(_, badge)| *badge),
        plan: slots.can_operate.then(|| {
            let query = [("target", param(target))];
            format!("/schedules/new?{}", serde_urlencoded::to_string(query).unwrap_or_default())
        }),
        slots: hours,
        name: Link::new(format!("/{}s/{}", target.target_type(), target.key()), name),
        bands,
        ticks,
        planned: or(planned, NOTHING_PLANNED),
        lived: if day.start < end { or(told, NOTHING_KNOWN) } else { vec!["still to come".to_owned()] },
    }
}

/// What was wanted by what holds now, then what will be.
fn plan(target: &Target, look: &TimelineData, day: Day, now: &Now) -> Vec<Stretch<Option<DesiredState>>> {
    let place = Place::of_target(target);
    let mut plan = Vec::new();
    let turn = now.at.clamp(day.start, day.end);
    if day.start < turn {
        let changes = look.rules.transitions(place, day.start, turn, usize::MAX);
        let first =
            Stretch { from: day.start, until: turn, what: look.rules.at(day.start).desired(place).wanted };
        plan.push(first);
        for change in changes {
            if let Some(last) = plan.last_mut() {
                last.until = change.at;
            }
            plan.push(Stretch { from: change.at, until: turn, what: change.wanted });
        }
    }
    if let Some(foretold) = look.foretold.as_ref().filter(|_| turn < day.end) {
        let told = &foretold.simulation;
        let first = told.begins.get(target).copied().flatten();
        // What is not told is not drawn.
        let until = told.cut.map_or(day.end, |cut| cut.clamp(turn, day.end));
        plan.extend(timeline::planned(target, first, &told.events, turn, until));
    }
    plan.retain(|one| one.from < one.until);
    plan.dedup_by(|later, earlier| {
        let same = later.what == earlier.what && later.from == earlier.until;
        if same {
            earlier.until = later.until;
        }
        same
    });
    plan
}

fn band<T>(day: Day, one: &Stretch<T>, class: Option<&'static str>, lived: bool) -> Option<Band> {
    let (x, end) = (day.minute(one.from), day.minute(one.until));
    Some(Band { x, width: end - x, class: class?, lived }).filter(|band| band.width > 0)
}

fn phase(wanted: DesiredState) -> &'static str {
    match wanted {
        DesiredState::Asleep => "napping",
        DesiredState::Awake => "running",
        DesiredState::Hold => "held",
    }
}

fn word(wanted: DesiredState) -> &'static str {
    match wanted {
        DesiredState::Asleep => "asleep",
        DesiredState::Awake => "awake",
        DesiredState::Hold => "held",
    }
}

fn trace(known: Known) -> Option<&'static str> {
    match known {
        Known::Asleep => Some("napping"),
        Known::Awake => Some("running"),
        Known::Partly => Some("partial"),
        Known::Nothing => None,
    }
}

fn trace_word(known: Known) -> Option<&'static str> {
    match known {
        Known::Asleep => Some("asleep"),
        Known::Awake => Some("awake"),
        Known::Partly => Some("partly awake"),
        Known::Nothing => None,
    }
}

/// What the clock shows, with 24:00 for the end of the day.
fn clock(at: Timestamp, day: Day, now: &Now) -> String {
    if at >= day.end { now.words("24:00") } else { now.clock(&at.to_zoned(now.zone.clone())) }
}

fn slot(
    target: &Target,
    name: &str,
    (from, until): (Timestamp, Timestamp),
    events: &[&Event],
    runs: &[&Run],
    slots: &Slots,
    now: &Now,
) -> Slot {
    let clock = now.clock(&from.to_zoned(now.zone.clone()));
    let inside = |at: Timestamp| from <= at && at < until;
    if let Some(run) = runs.iter().rev().find(|run| run.finished_at.is_some_and(inside)) {
        let state = Badge::from(run.state).word.to_lowercase();
        let title = format!("{clock}: {} {name}, {state}. Open the run", run.action.label());
        return Slot { href: Some(slots.run(run)), title };
    }
    if !Slots::is_open(until, now) {
        return Slot::default();
    }
    let coming: Vec<String> =
        events.iter().filter(|event| event.acts && inside(event.at)).map(|event| coming(event)).collect();
    let coming = if coming.is_empty() { String::new() } else { format!("{}. ", coming.join(", ")) };
    let href = slots.new_rule(Some(target), from);
    if href.is_none() && coming.is_empty() {
        return Slot::default();
    }
    let ask = if href.is_some() { format!("Plan something for {name}") } else { String::new() };
    Slot { href, title: format!("{clock}: {coming}{ask}") }
}

fn coming(event: &Event) -> String {
    match event.kind {
        EventKind::Fire(action) => action.label().to_owned(),
        EventKind::Edge(Some(wanted)) => word(wanted).to_owned(),
        EventKind::Edge(None) => "left alone".to_owned(),
    }
}
