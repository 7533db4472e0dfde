//! Warnings about conflicting schedules (semantics §4): fires in the same minute, a stop during another schedule's
//! awake time, windows of both a stack and its member, and targets that sleep while others need them.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::app::rulebook::RuleBook;
use crate::app::zone::NamedZone;
use crate::app::{App, Error, Result};
use crate::db;
use crate::domain::conflict;
use crate::domain::desired::Rules;
use crate::domain::fires::Fires;
use crate::domain::ids::ScheduleId;
use crate::domain::inventory::Inventory;
use crate::domain::needs::{Gap, Needs, Pairs};
use crate::domain::overrides::DesiredState;
use crate::domain::schedule::{Policy, Schedule, ScheduleSpec, When};
use crate::domain::target::{Subject, Target, TargetType};
use crate::domain::window::WindowTimeline;

/// The largest number of schedules a saved one is compared with, oldest first …
const MOST_OTHERS: i64 = 100;
/// … and the largest number for each schedule of a list.
const MOST_OTHERS_LISTED: i64 = 16;
/// The largest number of warnings.
const MOST_TOLD: usize = 5;

/// A comparison goes through years of fires, which takes a while: only one at a time runs, so that it uses one
/// processor.
static TURN: Semaphore = Semaphore::const_new(1);

/// Computes something on a blocking thread, one computation at a time.
pub(super) async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let turn = TURN.acquire().await.map_err(|error| Error::Internal(error.into()))?;
    let worked = tokio::task::spawn_blocking(move || {
        // The permit belongs to the computation: a cancelled request must not let the next computation begin beside it.
        let _turn = turn;
        work()
    });
    worked.await.map_err(|error| Error::Internal(error.into()))
}

/// Warnings about conflicts of `spec`, as sentences. `itself` is the schedule that `spec` replaces.
pub(super) async fn clashes(
    app: &App,
    spec: &ScheduleSpec,
    itself: Option<&ScheduleId>,
    book: &Arc<RuleBook>,
    now: Timestamp,
) -> Result<Vec<String>> {
    if !spec.enabled {
        return Ok(Vec::new());
    }
    let targets = with_members(&spec.target, book);
    let beside = db::schedules::touching(&app.db, &targets.iter().collect::<Vec<_>>(), MOST_OTHERS).await?;
    let mut beside: Vec<Schedule> = beside.into_iter().flatten().collect();
    beside.retain(|other| Some(&other.id) != itself);
    beside.sort_by(|a, b| a.id.cmp(&b.id));
    beside.dedup_by(|a, b| a.id == b.id);
    // Only windows are checked against dependencies.
    let planned = match app.hosts.get(&spec.target.host) {
        Some(host) if matches!(spec.when, When::Window(_)) => Some(host),
        _ => None,
    };
    let (spec, itself, book) = (spec.clone(), itself.cloned(), Arc::clone(book));
    compute(move || {
        let clashes = beside.iter().filter_map(|other| conflict_between(&spec, other, &book, now));
        let gap = || {
            let own = book.rule_of(&ScheduleId::from(""), &spec, now)?;
            let host = planned?;
            let pairs = Pairs::about([&spec.target], &host.inventory());
            let stored = pairs.windows(&book.rules).filter(|rule| Some(&rule.id) != itself.as_ref());
            let rules = Rules::new(stored.cloned().chain([own]).collect(), Vec::new());
            let rules = rules.in_groups(Arc::clone(book.rules.groups()));
            let gap = Needs::new(&rules, &pairs, now).first_gap(&spec.target)?;
            Some(gap_sentence(&gap, &spec.target, &book.zone_of(&spec)))
        };
        clashes.chain(std::iter::once_with(gap).flatten()).take(MOST_TOLD).collect()
    })
    .await
}

/// A conflict of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The description, as a sentence.
    pub sentence: String,
    /// The other schedule; `None` for a conflict with a dependency.
    pub other: Option<ScheduleId>,
}

/// The first conflict of each of these enabled schedules, for the list. Schedules without a conflict are missing.
pub(super) async fn first_of_each(
    app: &App,
    mut schedules: Vec<Schedule>,
    now: Timestamp,
) -> Result<HashMap<ScheduleId, Clash>> {
    let book = RuleBook::load(app).await?;
    schedules.retain(|schedule| book.uses(schedule.source));
    let beside = beside(app, &schedules, &book).await?;
    let (mut found, schedules) = {
        let book = Arc::clone(&book);
        compute(move || (first_conflicts(&schedules, &beside, &book, now), schedules)).await?
    };
    // Only windows are checked against dependencies.
    let windows: Vec<Schedule> = schedules
        .into_iter()
        .filter(|schedule| schedule.is_window() && !found.contains_key(&schedule.id))
        .collect();
    if !windows.is_empty() {
        let hosts = app.hosts.all();
        let looked = compute(move || {
            let gaps = hosts.iter().flat_map(|host| gaps(&windows, &host.inventory(), &book, now));
            gaps.collect::<Vec<_>>()
        });
        found.extend(looked.await?);
    }
    Ok(found)
}

/// The schedules that may share a container with each target.
async fn beside(
    app: &App,
    schedules: &[Schedule],
    book: &RuleBook,
) -> Result<HashMap<Target, Vec<Schedule>>> {
    let targets: HashSet<&Target> = schedules.iter().map(|one| &one.spec.target).collect();
    let asked: Vec<(&Target, Target)> = targets
        .into_iter()
        .flat_map(|target| with_members(target, book).into_iter().map(move |one| (target, one)))
        .collect();
    let each: Vec<&Target> = asked.iter().map(|(_, one)| one).collect();
    let found = db::schedules::touching(&app.db, &each, MOST_OTHERS_LISTED).await?;
    let mut beside: HashMap<Target, Vec<Schedule>> = HashMap::new();
    for ((target, _), found) in asked.iter().zip(found) {
        let known = beside.entry((*target).clone()).or_default();
        known.extend(found);
        known.sort_by(|a, b| a.id.cmp(&b.id));
        known.dedup_by(|a, b| a.id == b.id);
    }
    Ok(beside)
}

/// A target and, of a group, its members.
fn with_members(target: &Target, book: &RuleBook) -> Vec<Target> {
    let members = match &target.subject {
        Subject::Group(id) => book.rules.groups().members(id).into_iter().cloned().collect(),
        _ => Vec::new(),
    };
    std::iter::once(target.clone()).chain(members).collect()
}

/// The conflicts of `schedules` with those in `beside` of their target.
fn first_conflicts(
    schedules: &[Schedule],
    beside: &HashMap<Target, Vec<Schedule>>,
    book: &RuleBook,
    now: Timestamp,
) -> HashMap<ScheduleId, Clash> {
    let first_conflict = |one: &Schedule| {
        let mut others = beside.get(&one.spec.target)?.iter().filter(|other| other.id != one.id);
        // Of equal schedules only the first is compared, since the result is the same. Without itself a schedule still
        // finds one.
        let mut passed: Vec<ScheduleSpec> = Vec::new();
        others.find_map(|other| {
            let rule = ScheduleSpec { name: String::new(), note: String::new(), ..other.spec.clone() };
            if passed.contains(&rule) {
                return None;
            }
            passed.push(rule);
            let sentence = conflict_between(&one.spec, other, book, now)?;
            Some((one.id.clone(), Clash { sentence, other: Some(other.id.clone()) }))
        })
    };
    schedules.iter().filter_map(first_conflict).collect()
}

/// The windows that put a container on this host to sleep while another needs it.
fn gaps(
    windows: &[Schedule],
    inventory: &Inventory,
    book: &RuleBook,
    now: Timestamp,
) -> Vec<(ScheduleId, Clash)> {
    let pairs = Pairs::about(windows.iter().map(|one| &one.spec.target), inventory);
    // Overrides are no plan, and are ignored.
    let rules = Rules::new(pairs.windows(&book.rules).cloned().collect(), Vec::new());
    let rules = rules.in_groups(Arc::clone(book.rules.groups()));
    let mut needs = Needs::new(&rules, &pairs, now);
    let is_here = |one: &&Schedule| {
        one.spec.target.host == inventory.host || one.spec.target.target_type() == TargetType::Group
    };
    let conflicts = windows.iter().filter(is_here).filter_map(|one| {
        let gap = needs.first_gap(&one.spec.target)?;
        let sentence = gap_sentence(&gap, &one.spec.target, &book.zone_of(&one.spec));
        Some((one.id.clone(), Clash { sentence, other: None }))
    });
    conflicts.collect()
}

/// The conflict of a schedule with another one that shares a container with it, as a sentence.
fn conflict_between(
    spec: &ScheduleSpec,
    other: &Schedule,
    book: &RuleBook,
    now: Timestamp,
) -> Option<String> {
    if !book.uses(other.source) || !book.rules.groups().overlap(&spec.target, &other.spec.target) {
        return None;
    }
    let zone = book.zone_of(spec);
    let (ours, theirs) = (book.fires(spec, None)?, book.fires(&other.spec, None)?);
    match (&ours, &theirs) {
        (Fires::Window(..), Fires::Window(..)) => narrower(spec, other),
        (Fires::Window(window, reading, skip), fires) | (fires, Fires::Window(window, reading, skip)) => {
            let is_ours = matches!(ours, Fires::Window(..));
            let (window_of, action) =
                if is_ours { (spec, other.spec.action) } else { (&other.spec, spec.action) };
            let timeline = WindowTimeline::of(window, reading, *skip);
            let (at, wanted) = conflict::first_contradiction(fires, action, timeline, now)?;
            let (when, title) = (shown(at, &zone), other.title());
            let consequence = consequence(wanted, window_of.policy);
            Some(if is_ours {
                format!("At {when} “{title}” goes against this: {consequence}.")
            } else {
                format!("At {when} this goes against “{title}”: {consequence}.")
            })
        }
        (ours, theirs) => Some(same_minute(spec, other, conflict::first_clash(ours, theirs, now)?, &zone)),
    }
}

/// The consequence of a contradiction: "it is to be awake then, and the change lasts until the next edge".
fn consequence(wanted: DesiredState, policy: Policy) -> String {
    let state = wanted.as_str();
    match policy {
        Policy::Respect | Policy::Observe => {
            format!("it is to be {state} then, and the change lasts until the next edge")
        }
        Policy::Enforce => format!("it is to be {state} then, and is put back after 5 minutes"),
    }
}

/// Two windows of different scopes: the narrower one alone counts for what both cover.
fn narrower(spec: &ScheduleSpec, other: &Schedule) -> Option<String> {
    match spec.target.narrowness().cmp(&other.spec.target.narrowness()) {
        Ordering::Less => Some(format!(
            "{} has sleep hours of its own (“{}”): these do not count for it.",
            other.spec.target_name,
            other.title()
        )),
        Ordering::Greater => Some(format!("For it these count alone: those of “{}” do not.", other.title())),
        Ordering::Equal => None,
    }
}

/// The sentence about a container that is awake while one that it needs sleeps.
fn gap_sentence(gap: &Gap, target: &Target, zone: &NamedZone) -> String {
    let (dependant, dependency) = (&gap.dependant.name, &gap.dependency.name);
    if gap.dependency.target() == *target {
        return format!("{dependant} needs it and is not asleep then.");
    }
    format!("At {} {dependency} is asleep, and {dependant}, which needs it, is not.", shown(gap.at, zone))
}

fn shown(at: Timestamp, zone: &NamedZone) -> String {
    format!("{} ({})", at.to_zoned(zone.zone.clone()).strftime("%Y-%m-%d %H:%M"), zone.name)
}

/// "At 2026-11-29 23:00 (UTC) “Restart media” fires in the same minute: that one goes first and this one is skipped."
fn same_minute(spec: &ScheduleSpec, other: &Schedule, at: Timestamp, zone: &NamedZone) -> String {
    let start = format!("At {} “{}” fires in the same minute", shown(at, zone), other.title());
    match conflict::precedence_of(spec, &other.spec) {
        _ if spec.action == other.spec.action => {
            format!("{start} and does the same; one of the two is enough.")
        }
        Ordering::Less => format!("{start}: this one goes first and that one is skipped."),
        Ordering::Greater => format!("{start}: that one goes first and this one is skipped."),
        Ordering::Equal => format!("{start}: the older of the two goes first and the other is skipped."),
    }
}
