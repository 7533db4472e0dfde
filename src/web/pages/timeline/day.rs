//! The day view: for each target a lane with two bands, the planned states above and the known past states below.

use jiff::Timestamp;

use super::Scene;
use super::agenda::marks_of;
use crate::app::simulate::Mark;
use crate::app::stacks::{Overview, ShownState, StackView};
use crate::app::timeline::{self as service, TimelineData};
use crate::app::{Error, Result};
use crate::domain::inventory::Container;
use crate::domain::run::{Run, RunState};
use crate::domain::simulate::{Event, EventKind};
use crate::domain::target::{ContainerIdentity, Subject, Target};
use crate::domain::timeline::{self, Day, DoneAction, Known, Stretch};
use crate::web::page::Page;
use crate::web::pages::runs::words;
use crate::web::view::{self, Badge, Now};

/// The day view.
pub struct DayView<'a> {
    pub day: Day,
    /// The remarks about the date: clock changes and calendars.
    pub marks: &'a [Mark],
    /// The lanes in order of name. A container is below its stack, and so are services.
    pub lanes: Vec<Lane<'a>>,
    /// The stacks without a lane, each with its name.
    pub idle: Vec<(Target, String)>,
}

/// The day of one target.
pub struct Lane<'a> {
    pub target: Target,
    pub name: String,
    pub state: Option<ShownState>,
    /// The coming fires and edges of the target.
    events: Vec<&'a Event>,
    /// The runs of the target that have ended.
    runs: Vec<&'a Run>,
    planned: Vec<Stretch<Badge>>,
    lived: Vec<Stretch<Badge>>,
    pub slots: Vec<Slot>,
}

/// One hour of a lane.
#[derive(Default)]
pub struct Slot {
    /// The link: to the hour's last run, or to the form of a new schedule for the hour.
    pub href: Option<String>,
    /// The content of the hour and the purpose of the link. May be empty.
    pub title: String,
}

impl<'a> DayView<'a> {
    pub async fn load(page: &Page, scene: &Scene<'a>, overview: &Overview) -> Result<Self> {
        let (look, now) = (scene.look, &scene.shell.now);
        let far = || Error::field("date", "this is too far away");
        let day = Day::of(scene.asked.date, &now.zone).ok_or_else(far)?;
        let deeds = service::deeds(&page.app, &page.actor, &day, look).await?;
        let stacks = overview.stacks.iter().filter(|stack| stack.protected.is_none());
        let idle = stacks.map(StackView::target).filter(|target| !deeds.contains_key(target));
        let idle = idle.map(|target| (target.clone(), name(&target, look, overview)));
        let idle = if scene.asked.picked().is_empty() { idle.collect() } else { Vec::new() };
        let lanes = deeds.into_iter().map(|(target, done)| Lane::new(target, &done, day, scene, overview));
        let mut lanes: Vec<Lane> = lanes.collect();
        lanes.sort_by_cached_key(|lane| {
            let (own, of) = (lane.name.to_lowercase(), lane.of().map(str::to_lowercase));
            (of.clone().unwrap_or_else(|| own.clone()), of.is_some(), own)
        });
        Ok(Self { day, marks: marks_of(look, day.date), lanes, idle })
    }
}

/// The name and the present state of a target. `None` if Docker does not have the target.
fn present<'a>(target: &Target, overview: &'a Overview) -> Option<(&'a str, ShownState)> {
    match &target.subject {
        Subject::Stack(_) => {
            let stack = overview.stacks.iter().find(|stack| stack.target() == *target)?;
            let shown = if stack.napping { ShownState::Napping } else { stack.shown };
            Some((&stack.stack.name, shown))
        }
        Subject::Container(identity) => {
            let is_it = |one: &Container| one.host == target.host && one.identity == *identity;
            let view = overview.containers().find(|view| is_it(&view.container))?;
            Some((&view.container.name, view.shown))
        }
        Subject::Services { .. } | Subject::Host | Subject::Group(_) => None,
    }
}

/// The name of a target, which may no longer exist.
fn name(target: &Target, look: &TimelineData, overview: &Overview) -> String {
    let there = present(target, overview).map(|(name, _)| name);
    let foretold = || look.foretold.as_ref()?.names.get(target).map(String::as_str);
    let lived = || look.runs.iter().rev().find(|run| run.target == *target).map(|run| &*run.target_name);
    let known = there.or_else(foretold).or_else(lived);
    let id = || match &target.subject {
        Subject::Host => target.host.to_string(),
        _ => target.identity_text(),
    };
    view::shown_name(&known.map_or_else(id, str::to_owned))
}

impl<'a> Lane<'a> {
    fn new(target: Target, done: &[DoneAction], day: Day, scene: &Scene<'a>, overview: &Overview) -> Self {
        let (look, now) = (scene.look, scene.shell.now.at);
        let simulation = look.foretold.as_ref().map(|foretold| &foretold.simulation);
        let events = simulation
            .iter()
            .flat_map(|simulation| &simulation.events)
            .filter(|event| event.target == target);
        let events: Vec<&Event> = events.collect();
        let runs: Vec<&Run> = look.runs.iter().filter(|run| run.target == target).collect();
        let state = present(&target, overview).map(|(_, shown)| shown);
        // The present state is the last one of today's band. If the host is unreachable, the state is unknown and the
        // band goes on as before.
        let ends = state.and_then(known).filter(|_| day.holds(now));
        let lived = timeline::lived(done, day.start, day.end.min(now).max(day.start), ends);
        let planned = timeline::planned(&target, &look.rules, simulation, &day, now);
        let name = name(&target, look, overview);
        let placed = scene.shell.placed(&name, &target.host);
        let hours = day.hours().into_iter();
        Self {
            slots: hours.map(|hour| slot(&target, &placed, hour, &events, &runs, scene)).collect(),
            planned: bands(planned, |wanted| wanted.map(Badge::from)),
            lived: bands(lived, badge),
            target,
            name,
            state,
            events,
            runs,
        }
    }

    /// The stack of a container or of services. `None` for other targets.
    pub fn of(&self) -> Option<&str> {
        match &self.target.subject {
            Subject::Container(ContainerIdentity::Service { project, .. }) => Some(project),
            Subject::Services { stack, .. } => Some(stack),
            _ => None,
        }
    }

    /// The bands of the lane. The flag is false for planned states and true for past ones.
    pub fn bands(&self) -> impl Iterator<Item = (&Stretch<Badge>, bool)> {
        let planned = self.planned.iter().map(|band| (band, false));
        planned.chain(self.lived.iter().map(|band| (band, true)))
    }

    /// The marks of fires and runs: the instant, the CSS class, and whether the mark is of a run.
    pub fn ticks(&self) -> Vec<(Timestamp, &'static str, bool)> {
        let fires = self.events.iter().filter(|event| event.acts && event.action().is_some());
        let runs = self.runs.iter().filter_map(|run| {
            let at = run.finished_at.filter(|_| run.state != RunState::Skipped)?;
            Some((at, if run.state.needs_attention() { "failed" } else { "fires" }, true))
        });
        fires.map(|event| (event.at, "fires", false)).chain(runs).collect()
    }

    /// The planned states and fires, in words.
    pub fn planned_words(&self, day: &Day, now: &Now) -> Vec<String> {
        let fires = self.events.iter().filter_map(|event| {
            let text = format!("{} at {}", event.action()?.label().to_lowercase(), clock(event.at, day, now));
            let why = || words::reason(&event.reason, now);
            Some(if event.acts { text } else { format!("{text} left out: {}", why()) })
        });
        or_nothing(spans(&self.planned, day, now).chain(fires), "nothing planned")
    }

    /// The past states and runs, in words.
    pub fn lived_words(&self, day: &Day, now: &Now) -> Vec<String> {
        let runs = self.runs.iter().filter_map(|run| {
            let (at, state) = (clock(run.finished_at?, day, now), Badge::from(run.state).word.to_lowercase());
            Some(format!("{} at {at}: {state}", run.action.label().to_lowercase()))
        });
        let nothing = if day.start < now.at { "nothing known" } else { "still to come" };
        or_nothing(spans(&self.lived, day, now).chain(runs), nothing)
    }
}

fn or_nothing(words: impl Iterator<Item = String>, nothing: &str) -> Vec<String> {
    let words: Vec<String> = words.collect();
    if words.is_empty() { vec![nothing.to_owned()] } else { words }
}

fn spans(bands: &[Stretch<Badge>], day: &Day, now: &Now) -> impl Iterator<Item = String> {
    bands.iter().map(|one| {
        let (from, until) = (clock(one.from, day, now), clock(one.until, day, now));
        format!("{} {from} – {until}", one.what.word.to_lowercase())
    })
}

fn bands<T>(all: Vec<Stretch<T>>, badge: impl Fn(T) -> Option<Badge>) -> Vec<Stretch<Badge>> {
    let shown = |one: Stretch<T>| Some(Stretch { from: one.from, until: one.until, what: badge(one.what)? });
    all.into_iter().filter_map(shown).collect()
}

fn badge(known: Known) -> Option<Badge> {
    match known {
        Known::Asleep => Some(Badge::ASLEEP),
        Known::Awake => Some(Badge::AWAKE),
        Known::Partly => Some(Badge { word: "Partly awake", ..Badge::PARTIAL }),
        Known::Nothing => None,
    }
}

/// The kind of band for a present state. `None` for an unknown state.
fn known(shown: ShownState) -> Option<Known> {
    match shown {
        ShownState::Running | ShownState::Starting | ShownState::Unhealthy | ShownState::RestartLooping => {
            Some(Known::Awake)
        }
        ShownState::Napping | ShownState::Paused | ShownState::Stopped | ShownState::Completed => {
            Some(Known::Asleep)
        }
        ShownState::Partial => Some(Known::Partly),
        ShownState::Unreachable => None,
    }
}

/// The time of day of an instant. The end of the day is 24:00.
fn clock(at: Timestamp, day: &Day, now: &Now) -> String {
    if at >= day.end { now.words("24:00") } else { now.clock(&at.to_zoned(now.zone.clone())) }
}

fn slot(
    target: &Target,
    name: &str,
    (from, until): (Timestamp, Timestamp),
    events: &[&Event],
    runs: &[&Run],
    scene: &Scene,
) -> Slot {
    let now = &scene.shell.now;
    let clock = now.clock(&from.to_zoned(now.zone.clone()));
    let inside = |at: Timestamp| from <= at && at < until;
    if let Some(run) = runs.iter().rev().find(|run| run.finished_at.is_some_and(inside)) {
        let state = Badge::from(run.state).word.to_lowercase();
        let title = format!("{clock}: {} {name}, {state}. Open the run", run.action.label());
        return Slot { href: Some(format!("/runs/{}", run.id)), title };
    }
    if until <= now.at {
        return Slot::default();
    }
    let coming = events.iter().filter(|event| event.acts && inside(event.at)).map(|event| match event.kind {
        EventKind::Fire(action) => action.label().to_owned(),
        EventKind::Edge(wanted) => wanted.map_or(Badge::LEFT_ALONE, Badge::from).word.to_lowercase(),
    });
    let coming = coming.collect::<Vec<_>>().join(", ");
    let href = scene.new_rule(Some(target), from);
    let ask = if href.is_some() { format!("Plan something for {name}") } else { String::new() };
    match (coming.is_empty(), href.is_some()) {
        (true, false) => Slot::default(),
        (true, true) => Slot { href, title: format!("{clock}: {ask}") },
        (false, _) => Slot { href, title: format!("{clock}: {coming}. {ask}") },
    }
}
