//! The timeline of a time range: past runs and the forecast of what will happen. The same forecast is also available as
//! a feed for calendar apps.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::rulebook::RuleBook;
use super::simulate::{self, Foretold, Mark, Question};
use super::{Actor, App, Error, FieldError, Result, targets};
use crate::db;
use crate::domain::action::Action;
use crate::domain::cron::Cron;
use crate::domain::day_rules::Reading;
use crate::domain::desired::Rules;
use crate::domain::feed::{self, Told};
use crate::domain::fires::Fires;
use crate::domain::group::Area;
use crate::domain::ids::{RunId, ScheduleId};
use crate::domain::permission::Permission;
use crate::domain::place::Place;
use crate::domain::run::{Run, RunState, StepState};
use crate::domain::schedule::{Schedule, When};
use crate::domain::simulate::Event;
use crate::domain::target::{ContainerIdentity, Subject, Target};
use crate::domain::timeline::{Day, DoneAction};
use crate::domain::window::Window;

/// Maximum number of runs; older ones are left out.
pub const MOST_RUNS: usize = 5_000;
/// How many days before a time range the last earlier run is searched: the longest override, and one day.
const BACK: i64 = 31;
/// Number of days in the feed.
pub const FEED_DAYS: i64 = 60;

/// Parameters of a timeline.
#[derive(Clone, Debug)]
pub struct TimelineFilter {
    /// First instant.
    pub from: Timestamp,
    /// End of the time range, exclusive.
    pub until: Timestamp,
    /// Limits the timeline to what affects this part of everything.
    pub area: Area,
    /// Limits the timeline to what affects this target.
    pub target: Option<Target>,
}

/// The timeline of a time range.
#[derive(Clone, Debug)]
pub struct TimelineData {
    /// The forecast of the future part; `None` where the whole range has passed.
    pub foretold: Option<Foretold>,
    /// Runs that ended in the time range, oldest first.
    pub runs: Vec<Run>,
    /// Set where runs were left out: the end of the first run in the list.
    pub runs_since: Option<Timestamp>,
    /// Enabled schedules whose text cannot be parsed; their fires are missing in the forecast.
    pub unreadable: Vec<Unreadable>,
    /// The present windows and overrides.
    pub rules: Arc<Rules>,
    /// Special dates.
    pub marks: BTreeMap<Date, Vec<Mark>>,
}

/// A schedule whose text cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub id: ScheduleId,
    pub title: String,
    /// The parse error.
    pub fault: String,
}

/// Reads the past runs and the forecast of a time range.
///
/// # Errors
/// [`Error::Invalid`] for an empty, too long or too distant time range.
pub async fn look(app: &App, actor: &Actor, wanted: &TimelineFilter) -> Result<TimelineData> {
    actor.require(Permission::View)?;
    if wanted.until <= wanted.from {
        return Err(Error::Invalid(vec![FieldError::new("to", "use a day that is not before the first")]));
    }
    let now = app.clock.now();
    let book = RuleBook::load(app).await?;
    let foretold = if wanted.until > now {
        let question = Question {
            from: Some(wanted.from.max(now).to_string()),
            to: Some(wanted.until.to_string()),
            area: wanted.area.clone(),
            target: wanted.target.clone(),
        };
        Some(simulate::simulate(app, actor, &question).await?)
    } else {
        None
    };
    let mut runs = Vec::new();
    let mut runs_since = None;
    if wanted.from <= now {
        let limit = i64::try_from(MOST_RUNS).unwrap_or(i64::MAX);
        // Runs that ended in the current millisecond are past.
        let end = wanted.until.min(now.checked_add(1.millisecond()).unwrap_or(now));
        runs = db::timeline::ended(&app.db, wanted.from, end, limit).await?;
        runs_since = runs.first().filter(|_| runs.len() == MOST_RUNS).and_then(|run| run.finished_at);
        let groups = book.rules.groups();
        let is_on = |run: &Run| wanted.area.host.as_ref().is_none_or(|host| run.target.host == *host);
        let group = wanted.area.group.as_ref().map(|group| Target::group(group.id.clone()));
        let touches =
            |run: &Run| group.iter().chain(&wanted.target).all(|only| groups.overlap(only, &run.target));
        runs.retain(|run| is_on(run) && touches(run));
    }
    let last = wanted.until.checked_sub(1.millisecond()).unwrap_or(wanted.until);
    Ok(TimelineData {
        foretold,
        runs,
        runs_since,
        unreadable: unreadable(app, &wanted.area).await?,
        rules: Arc::clone(&book.rules),
        marks: simulate::marked(app, &wanted.area, wanted.target.as_ref(), (wanted.from, last)).await?,
    })
}

impl TimelineData {
    /// The events of the forecast.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.foretold.iter().flat_map(|foretold| &foretold.simulation.events)
    }

    /// The targets that the timeline shows. A container of a stack that was only acted on by hand gets no lane of its
    /// own, because the lane of its stack shows the action.
    fn shown_targets(&self) -> BTreeSet<&Target> {
        let begins = self.foretold.iter().flat_map(|foretold| &foretold.simulation.begins);
        let begins = begins.filter(|(_, wanted)| wanted.is_some()).map(|(target, _)| target);
        let runs = || self.runs.iter();
        let by_itself = runs().filter(|run| run.schedule_id.is_some()).map(|run| &run.target);
        let foretold = || self.events().map(|event| &event.target);
        let rules = self.rules.windows().iter().map(|rule| &rule.target);
        let own_rules = BTreeSet::from_iter(rules.chain(foretold()).chain(by_itself));
        let all = runs().map(|run| &run.target).chain(foretold()).chain(begins);
        all.filter(|target| match &target.subject {
            Subject::Container(ContainerIdentity::Name(_))
            | Subject::Stack(_)
            | Subject::Services { .. }
            | Subject::Host
            | Subject::Group(_) => true,
            Subject::Container(ContainerIdentity::Service { .. }) => own_rules.contains(target),
        })
        .collect()
    }
}

/// The targets that the timeline shows on a day, each with the successful actions on that day and the last one before:
/// the input of [`crate::domain::timeline::lived`]. `look` is the timeline of the day.
pub async fn deeds(
    app: &App,
    actor: &Actor,
    day: &Day,
    look: &TimelineData,
) -> Result<BTreeMap<Target, Vec<DoneAction>>> {
    actor.require(Permission::View)?;
    let back = day.start.checked_sub((BACK * 24).hours()).unwrap_or(day.start);
    let before = db::timeline::last_before(&app.db, back, day.start).await?;
    let changed = |run: &&Run| matches!(run.state, RunState::Succeeded | RunState::Partial);
    let all: Vec<&Run> = before.iter().chain(&look.runs).filter(changed).collect();
    let mut found: BTreeMap<Target, Vec<DoneAction>> =
        look.shown_targets().into_iter().map(|target| (target.clone(), Vec::new())).collect();
    // The steps of a stack's run tell what the run did to a single container.
    let containers: Vec<&Target> = found.keys().filter(|target| is_container(target)).collect();
    let groups = look.rules.groups();
    let touching = all
        .iter()
        .filter(|run| run.target.is_wide() || containers.iter().any(|one| groups.overlap(one, &run.target)));
    let touching: Vec<_> = touching.map(|run| run.id.clone()).collect();
    let parts: Vec<Target> =
        found.keys().filter(|target| target.subject.services().is_some()).cloned().collect();
    let wide: HashMap<&RunId, &Run> =
        all.iter().filter(|run| run.target.is_wide()).map(|run| (&run.id, *run)).collect();
    let mut add = |target: &Target, at: Option<Timestamp>, action: Action, whole: bool| {
        if let (Some(deeds), Some(at)) = (found.get_mut(target), at) {
            deeds.push(DoneAction { at, action, whole });
        }
    };
    for run in all.iter().filter(|run| !is_container(&run.target)) {
        let whole = run.state == RunState::Succeeded;
        add(&run.target, run.finished_at, run.action, whole);
        for part in parts.iter().filter(|part| **part != run.target && is_part(part, &run.target)) {
            add(part, run.finished_at, run.action, whole);
        }
    }
    let steps = db::history::steps(&app.db, &touching).await?;
    for step in steps.iter().filter(|step| step.state == StepState::Succeeded) {
        let target = step.target();
        add(&target, step.finished_at, step.action, true);
        // The stacks and services that a run of a host or group acted on.
        if let (Some(run), Some(stack)) = (wide.get(&step.run_id), Place::of_target(&target).stack) {
            let whole = run.state == RunState::Succeeded;
            add(&Target::stack(target.host.clone(), stack), run.finished_at, run.action, whole);
            for part in parts.iter().filter(|part| is_part(&target, part)) {
                add(part, run.finished_at, run.action, whole);
            }
        }
    }
    for deeds in found.values_mut() {
        deeds.sort_by_key(|deed| deed.at);
    }
    Ok(found)
}

/// Whether a target lies in a stack or in services of it.
fn is_part(target: &Target, whole: &Target) -> bool {
    let place = Place::of_target(target);
    let is_of_stack = place.stack.is_some() && place.stack == whole.subject.stack();
    target.host == whole.host
        && is_of_stack
        && whole.subject.services().is_none_or(|services| place.lies_in_services(services))
}

fn is_container(target: &Target) -> bool {
    matches!(target.subject, Subject::Container(_))
}

/// Enabled schedules whose text cannot be parsed.
async fn unreadable(app: &App, area: &Area) -> Result<Vec<Unreadable>> {
    let wanted = db::schedules::ScheduleSelection {
        host: area.host.as_ref(),
        group: area.group.as_ref(),
        enabled: Some(true),
        limit: i64::MAX,
        ..Default::default()
    };
    let book = RuleBook::load(app).await?;
    let mut found = Vec::new();
    for schedule in db::schedules::list(&app.db, &wanted).await? {
        if Fires::of(&schedule.spec.when, &book.reading(&schedule.spec), None).is_some() {
            continue;
        }
        let fault = match &schedule.spec.when {
            When::Cron(text) => Cron::parse(text).err().map(|fault| fault.to_string()),
            When::Window(text) => Window::parse(text).err().map(|fault| fault.to_string()),
            When::Once(_) => None,
        };
        let (title, fault) = (schedule.title(), fault.unwrap_or_default());
        found.push(Unreadable { id: schedule.id, title, fault });
    }
    Ok(found)
}

/// The plan of the coming [`FEED_DAYS`] as an iCalendar file.
pub async fn feed(app: &App, actor: &Actor) -> Result<String> {
    let now = app.clock.now();
    let book = RuleBook::load(app).await?;
    let zone = &book.zone.zone;
    // The range ends at the end of a day, so that the file stays the same until something happens or changes.
    let today = now.to_zoned(zone.clone()).date();
    let last = today.saturating_add(FEED_DAYS.days());
    let until = Day::of(last, zone).map_or(now + (FEED_DAYS * 24).hours(), |day| day.end);
    let question = Question { to: Some(until.to_string()), ..Question::default() };
    // Schedules that restart a target very often are left out: their events would exceed the limit, and a restart does
    // not change the state.
    let most = feed::MOST_A_DAY * usize::try_from(FEED_DAYS).unwrap_or_default();
    let seldom = |schedule: &Schedule, reading: &Reading| {
        schedule.spec.action.sets_state()
            || Fires::of(&schedule.spec.when, reading, None).is_none_or(|fires| {
                fires.iter(now).take(most + 1).take_while(|at| *at < until).count() <= most
            })
    };
    let foretold = simulate::simulate_those(app, actor, &question, seldom).await?;
    let told = Told {
        simulation: &foretold.simulation,
        from: now,
        until,
        instance: app.auth.instance().get(..8).unwrap_or_default(),
    };
    let name = |target: &Target| {
        let name = foretold.names.get(target).cloned().unwrap_or_else(|| targets::name(app, target));
        targets::placed(app, name, target)
    };
    let entries = feed::entries(told, name, |target| book.rules.since(Place::of_target(target), now));
    let stamp = Day::holding(now, zone).map_or(now, |day| day.start);
    Ok(feed::write("DockNap", &entries, stamp))
}
