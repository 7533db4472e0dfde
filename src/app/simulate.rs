//! The forecast: everything that will happen in a time range according to the stored schedules, windows and overrides.
//! This file collects the input, `domain::simulate` computes the events.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::draft::{Faults, Field};
use super::rulebook::RuleBook;
use super::zone::NamedZone;
use super::{Actor, App, Error, Result, targets};
use crate::db;
use crate::domain::day_rules::Reading;
use crate::domain::desired::Rules;
use crate::domain::group::Area;
use crate::domain::overrides::{DesiredState, Override, Reach};
use crate::domain::permission::Permission;
use crate::domain::schedule::Schedule;
use crate::domain::simulate::{self, Ground, HeldBack, Simulation, Span};
use crate::domain::target::Target;
use crate::domain::time::{Stretch, resolve};

/// Maximum length of the time range, in days.
pub const LONGEST: i64 = 92;
/// Maximum distance of its end from now, in days.
pub const FARTHEST: i64 = 400;
/// Maximum number of events.
pub const MOST_EVENTS: usize = 5_000;
/// Default length of the time range, in days.
const USUAL: i64 = 7;

/// Parameters of a forecast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// First instant: RFC 3339, or `YYYY-MM-DD[THH:MM]` in the default zone. Past instants are left out; default: now.
    pub from: Option<String>,
    /// End of the time range, exclusive, in the same formats; default: seven days after the start.
    pub to: Option<String>,
    /// Limits the forecast to events that affect this part of everything.
    pub area: Area,
    /// Limits the forecast to events that affect this target.
    pub target: Option<Target>,
}

/// A forecast with the data needed to show it.
#[derive(Clone, Debug)]
pub struct Foretold {
    /// First instant.
    pub from: Timestamp,
    /// End of the time range, exclusive.
    pub until: Timestamp,
    /// The zone of dates and texts.
    pub zone: NamedZone,
    pub simulation: Simulation,
    /// Display names of the targets.
    pub names: HashMap<Target, String>,
    /// Special dates, in that zone.
    pub marks: BTreeMap<Date, Vec<Mark>>,
}

/// A reason why a date is special.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The clocks change by this number of minutes.
    ClockChange(i64),
    /// Calendars contain the date; the titles of the schedules that use them.
    Calendar(Vec<String>),
}

/// The forecast of a time range, provided that nobody changes anything.
///
/// # Errors
/// [`Error::Invalid`] for a malformed, past, too long or too distant time range.
pub async fn simulate(app: &App, actor: &Actor, question: &Question) -> Result<Foretold> {
    simulate_those(app, actor, question, |_, _| true).await
}

/// As [`simulate`], with only those cron and one-off schedules that `which` accepts.
pub(super) async fn simulate_those(
    app: &App,
    actor: &Actor,
    question: &Question,
    which: impl Fn(&Schedule, &Reading) -> bool,
) -> Result<Foretold> {
    actor.require(Permission::View)?;
    let book = RuleBook::load(app).await?;
    let zone = book.zone.clone();
    let span = span(question, app.clock.now(), &zone.zone)?;
    let mut ground = ground(app, &question.area, question.target.as_ref(), &book).await?;
    ground.schedules.retain(|(schedule, reading)| which(schedule, reading));
    let marks = marks(&ground, span, &zone.zone);
    // Runs on the thread pool for blocking work: three months of many schedules take a while.
    let simulation = tokio::task::spawn_blocking(move || simulate::simulate(ground, span, MOST_EVENTS))
        .await
        .map_err(|error| Error::Internal(error.into()))?;
    let named: HashSet<&Target> = simulation.events.iter().map(|event| &event.target).collect();
    let names = named.into_iter().map(|target| (target.clone(), targets::name(app, target))).collect();
    Ok(Foretold { from: span.from, until: span.until, zone, simulation, names, marks })
}

/// The special dates of a time range, which may lie in the past.
pub(super) async fn marked(
    app: &App,
    area: &Area,
    only: Option<&Target>,
    (from, until): (Timestamp, Timestamp),
) -> Result<BTreeMap<Date, Vec<Mark>>> {
    let book = RuleBook::load(app).await?;
    let ground = ground(app, area, only, &book).await?;
    Ok(marks(&ground, Span { now: from, from, until }, &book.zone.zone))
}

fn span(question: &Question, now: Timestamp, zone: &TimeZone) -> Result<Span> {
    const HINT: &str =
        "use a date such as 2026-12-24, a time such as 2026-12-24T18:00, or one with an offset";
    let mut faults = Faults::default();
    let mut read = |field: &str, typed: &Option<String>| {
        typed.text().and_then(|text| faults.take(field, instant(text, zone).ok_or(HINT)))
    };
    let from = read("from", &question.from).unwrap_or(now).max(now);
    let until = read("to", &question.to);
    let days = |days: i64| (days * 24).hours();
    let later = |at: Timestamp, by: i64| at.checked_add(days(by)).unwrap_or(Timestamp::MAX);
    let until = until.unwrap_or_else(|| later(from, USUAL));
    if !faults.0.is_empty() {
        return Err(Error::Invalid(faults.0));
    }
    let message = if until <= now {
        "this has passed: what was done is among the runs".to_owned()
    } else if until <= from {
        "use a time after the start".to_owned()
    } else if until > later(now, FARTHEST + 1) {
        format!("at most {FARTHEST} days from now")
    // Tolerance of 23 h: a range of 92 dates may be an hour longer than 92 days.
    } else if until.duration_since(from).as_hours() > LONGEST * 24 + 23 {
        format!("at most {LONGEST} days at once")
    } else {
        return Ok(Span { now, from, until });
    };
    Err(Error::field("to", message))
}

/// Parses an instant in the formats of [`Question::from`].
fn instant(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    // Longer texts contain an offset or a zone, which this parser would ignore.
    let wall = match text.len() {
        10 => text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight()),
        16..=19 => text.parse().ok()?,
        _ => return None,
    };
    resolve(wall, zone)
}

/// Collects the input of the simulation.
async fn ground(app: &App, area: &Area, only: Option<&Target>, book: &RuleBook) -> Result<Ground> {
    let groups = book.rules.groups();
    let is_on = |target: &Target| area.host.as_ref().is_none_or(|host| groups.touches_host(target, host));
    let group = area.group.as_ref().map(|group| Target::group(group.id.clone()));
    let is_asked = |target: &Target| {
        is_on(target) && group.iter().chain(only).all(|wanted| groups.overlap(wanted, target))
    };
    let wanted =
        db::schedules::ScheduleSelection { enabled: Some(true), limit: i64::MAX, ..Default::default() };
    let mut schedules = db::schedules::list(&app.db, &wanted).await?;
    schedules.retain(|schedule| {
        !schedule.is_window() && book.uses(schedule.source) && is_asked(&schedule.spec.target)
    });
    let rules = &book.rules;
    let mut held_back = Vec::new();
    let overrides = || rules.overrides().iter().filter(|one| one.wanted != DesiredState::Hold);
    if let Some(since) = overrides().map(|one| one.created_at).min() {
        for run in db::runs::suppressed_since(&app.db, since).await? {
            let Some(id) = run.schedule_id.clone().filter(|_| is_asked(&run.target)) else { continue };
            if !db::runs::is_followed(&app.db, &run).await? {
                held_back.push(HeldBack {
                    at: run.finished_at.unwrap_or(run.created_at),
                    schedule: (id, run.schedule_name.unwrap_or_default()),
                    target: run.target,
                    action: run.action,
                });
            }
        }
    }
    let windows = rules.windows().iter().filter(|rule| is_asked(&rule.target)).cloned().collect();
    let reaches = |one: &&Override| match &one.reach {
        Reach::All => true,
        Reach::Target(target) => is_asked(target),
    };
    let overrides: Vec<_> = rules.overrides().iter().filter(reaches).cloned().collect();
    let is_wide = overrides.iter().any(|one| !one.reach.is_narrow());
    let others = if is_wide || rules.windows().iter().any(|rule| rule.target.is_wide()) {
        everything(app).into_iter().filter(is_asked).collect()
    } else {
        Vec::new()
    };
    let mut standing = HashMap::new();
    for target in schedules.iter().map(|schedule| &schedule.spec.target) {
        let inventory = app.hosts.get(&target.host).map(|host| host.inventory());
        let stands = inventory.and_then(|inventory| book.standing(&inventory, target));
        standing.extend(stands.map(|stands| (target.clone(), stands)));
    }
    Ok(Ground {
        standing,
        schedules: schedules
            .into_iter()
            .map(|schedule| {
                let reading = book.reading(&schedule.spec);
                (schedule, reading)
            })
            .collect(),
        rules: Rules::new(windows, overrides).in_groups(Arc::clone(groups)),
        held_back,
        others,
        scheduler: Actor::scheduler().reference,
        zone: book.zone.zone.clone(),
    })
}

/// Every stack, and every container without a stack or with groups that its stack is not in.
fn everything(app: &App) -> Vec<Target> {
    let mut targets = Vec::new();
    for host in app.hosts.all() {
        let inventory = host.inventory();
        targets
            .extend(inventory.stacks().into_iter().map(|stack| Target::stack(host.id().clone(), stack.name)));
        let loose = inventory.containers.iter().filter(|one| one.is_ordinary() && one.stack().is_none());
        targets.extend(loose.map(|one| one.target()));
        let of_stacks = inventory.containers.iter().filter(|one| one.is_ordinary());
        targets.extend(of_stacks.map(|one| one.target()).filter(|one| inventory.groups.set_apart(one)));
    }
    targets
}

/// Clock changes of the default zone, and dates in the calendars of schedules.
fn marks(ground: &Ground, span: Span, zone: &TimeZone) -> BTreeMap<Date, Vec<Mark>> {
    let mut marks: BTreeMap<Date, Vec<Mark>> = BTreeMap::new();
    let date_of = |at: Timestamp| at.to_zoned(zone.clone()).date();
    let mut stretch = Stretch::holding(span.from.as_second(), zone);
    while let Some(next) = stretch.next(zone)
        && next.start < span.until.as_second()
    {
        stretch = next;
        let minutes = (stretch.wall_start() - stretch.wall_before()) / 60;
        if minutes != 0
            && let Ok(at) = Timestamp::from_second(stretch.start)
        {
            marks.entry(date_of(at)).or_default().push(Mark::ClockChange(minutes));
        }
    }
    let windows = ground.rules.windows().iter().map(|rule| (rule.title.clone(), &rule.reading));
    let others = ground.schedules.iter().map(|(schedule, reading)| (schedule.title(), reading));
    let with_calendar: Vec<_> = windows
        .chain(others)
        .filter_map(|(title, reading)| Some((title, &reading.days.calendar.as_ref()?.0)))
        .collect();
    if !with_calendar.is_empty() {
        let dates = date_of(span.from).series(1.day());
        for date in dates.take_while(|date| *date <= date_of(span.until)) {
            let named = with_calendar.iter().filter(|(_, days)| days.contains(date));
            let titles = BTreeSet::from_iter(named.map(|(title, _)| title.as_str()));
            if !titles.is_empty() {
                let titles = titles.into_iter().map(str::to_owned).collect();
                marks.entry(date).or_default().push(Mark::Calendar(titles));
            }
        }
    }
    marks
}
