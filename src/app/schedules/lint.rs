//! Warns of schedules that get in each other's way (semantics §4), before they do: of those that meet in one minute, of
//! a stop inside another's time awake, of rules on a stack and on its member, of what sleeps while it is needed.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use jiff::{Timestamp, ToSpan};
use tokio::sync::Semaphore;

use super::super::almanac::Almanac;
use super::super::zone::NamedZone;
use super::super::{App, Error, Result};
use crate::db;
use crate::domain::action::Action;
use crate::domain::conflict::{self, Fires, HORIZON_DAYS, MOST_FIRES};
use crate::domain::contradiction::contradicts;
use crate::domain::desired::Rules;
use crate::domain::ids::{HostId, ScheduleId};
use crate::domain::inventory::Inventory;
use crate::domain::needs::{Gap, Needs};
use crate::domain::overrides::Wanted;
use crate::domain::schedule::{Policy, Schedule, ScheduleSpec};
use crate::domain::target::{Subject, Target};
use crate::domain::window::{Mood, Rota, Walk};

/// Schedules a new one is compared with at most, oldest first.
const MOST_OTHERS: i64 = 100;
/// Warnings told at most.
const MOST_TOLD: usize = 5;

/// Years of fires are looked through, which takes a while: no two such looks keep two processors busy.
static TURN: Semaphore = Semaphore::const_new(1);

/// Works something out beside what answers requests, one at a time.
pub(super) async fn work_out<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let turn = TURN.acquire().await.map_err(|error| Error::Internal(error.into()))?;
    let worked = tokio::task::spawn_blocking(move || {
        // Held by the work itself: a request that is given up does not let the next begin beside this one.
        let _turn = turn;
        work()
    });
    worked.await.map_err(|error| Error::Internal(error.into()))
}

/// Sentences about the schedules that `spec` gets in the way of. `itself` is the one it replaces.
pub(super) async fn clashes(
    app: &App,
    spec: &ScheduleSpec,
    itself: Option<&ScheduleId>,
    almanac: &Almanac,
    now: Timestamp,
) -> Result<Vec<String>> {
    if !spec.enabled {
        return Ok(Vec::new());
    }
    let mut others = db::schedules::touching(&app.db, &spec.target, MOST_OTHERS).await?;
    let mut windows = db::schedules::windows(&app.db).await?;
    for schedules in [&mut others, &mut windows] {
        schedules.retain(|other| Some(&other.id) != itself);
    }
    let inventory = app.hosts.get(&spec.target.host).map(|host| host.inventory());
    let (spec, almanac) = (spec.clone(), almanac.clone());
    work_out(move || {
        let clashes = others.iter().filter_map(|other| between(&spec, other, &almanac, now));
        let gap = || {
            let own = almanac.rule_of(&ScheduleId::from(""), &spec, now)?;
            let stored = windows.iter().filter_map(|schedule| almanac.rule(schedule));
            let rules = Rules::new(stored.chain([own]).collect(), Vec::new());
            let gap = Needs::new(&rules, &inventory?, now).first_gap(&spec.target)?;
            Some(needed(&gap, &spec.target, &almanac.zone_of(&spec)))
        };
        clashes.chain(std::iter::once_with(gap).flatten()).take(MOST_TOLD).collect()
    })
    .await
}

/// What a schedule gets in the way of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// In a sentence.
    pub sentence: String,
    /// The other schedule, where it is another schedule.
    pub other: Option<ScheduleId>,
}

/// The first warning of each of these schedules, compared among themselves and with who needs whom: what the list shows.
pub(super) fn among(
    schedules: &[Schedule],
    wanted: &[&ScheduleId],
    inventories: &[Inventory],
    almanac: &Almanac,
    now: Timestamp,
) -> HashMap<ScheduleId, Clash> {
    let on = || schedules.iter().filter(|schedule| schedule.spec.enabled);
    let wanted: HashSet<&ScheduleId> = wanted.iter().copied().collect();
    let wanted = || on().filter(|one| wanted.contains(&one.id));
    // Only windows are compared with who needs whom.
    let planned = wanted().any(Schedule::is_window);
    let windows = on().filter(|_| planned).filter_map(|schedule| almanac.rule(schedule));
    let rules = Rules::new(windows.collect(), Vec::new());
    let looked = inventories.iter().filter(|_| planned);
    let mut needs: HashMap<&HostId, Needs<'_>> =
        looked.map(|inventory| (&inventory.host, Needs::new(&rules, inventory, now))).collect();
    let mut found = HashMap::new();
    for one in wanted() {
        let target = &one.spec.target;
        let others = on().filter(|other| other.id != one.id && target.shares_container(&other.spec.target));
        let mut others = others.take(usize::try_from(MOST_OTHERS).unwrap_or(usize::MAX));
        let met = |other: &Schedule| {
            let sentence = between(&one.spec, other, almanac, now)?;
            Some(Clash { sentence, other: Some(other.id.clone()) })
        };
        let told = others.find_map(met).or_else(|| {
            let gap = needs.get_mut(&target.host).filter(|_| one.is_window())?.first_gap(target)?;
            Some(Clash { sentence: needed(&gap, target, &almanac.zone_of(&one.spec)), other: None })
        });
        found.extend(told.map(|clash| (one.id.clone(), clash)));
    }
    found
}

/// What there is to say of a schedule beside another one that shares a container with it.
fn between(spec: &ScheduleSpec, other: &Schedule, almanac: &Almanac, now: Timestamp) -> Option<String> {
    if !spec.target.shares_container(&other.spec.target) {
        return None;
    }
    let zone = almanac.zone_of(spec);
    let (ours, theirs) = (almanac.fires(spec, None)?, almanac.fires(&other.spec, None)?);
    match (&ours, &theirs) {
        (Fires::Window(..), Fires::Window(..)) => narrower(spec, other),
        (Fires::Window(window, reading, skip), fires) => {
            let (at, wanted) = against(fires, other.spec.action, Rota::of(window, reading, *skip), now)?;
            let when = shown(at, &zone);
            Some(format!("At {when} “{}” goes against this: {}.", other.title(), comes(wanted, spec.policy)))
        }
        (fires, Fires::Window(window, reading, skip)) => {
            let (at, wanted) = against(fires, spec.action, Rota::of(window, reading, *skip), now)?;
            let (when, comes) = (shown(at, &zone), comes(wanted, other.spec.policy));
            Some(format!("At {when} this goes against “{}”: {comes}.", other.title()))
        }
        (ours, theirs) => {
            let at = conflict::first_clash(ours, theirs, now)?;
            Some(tell(spec, other, at, &zone))
        }
    }
}

/// The first fire that wants something else than the window says then.
fn against(fires: &Fires, action: Action, rota: Rota<'_>, now: Timestamp) -> Option<(Timestamp, Wanted)> {
    let until = now.checked_add((HORIZON_DAYS * 24).hours()).unwrap_or(Timestamp::MAX);
    let mut walk = Walk::new(rota);
    let mut says = |at: Timestamp| match walk.mood(at) {
        Mood::Awake => Wanted::Awake,
        Mood::Asleep => Wanted::Asleep,
    };
    let coming = fires.iter(now).take(MOST_FIRES).take_while(|at| *at <= until);
    coming.map(|at| (at, says(at))).find(|(_, wanted)| contradicts(action, *wanted))
}

/// What becomes of it: "it is to be awake then, so this lasts until the next change".
fn comes(wanted: Wanted, policy: Policy) -> String {
    let state = wanted.as_str();
    match policy {
        Policy::Respect | Policy::Observe => {
            format!("it is to be {state} then, and the change lasts until the next edge")
        }
        Policy::Enforce => format!("it is to be {state} then, and is put back after 5 minutes"),
    }
}

/// Two windows, one of a stack and one of its member: the narrower decides alone.
fn narrower(spec: &ScheduleSpec, other: &Schedule) -> Option<String> {
    let is_stack = |target: &Target| matches!(target.subject, Subject::Stack(_));
    match (is_stack(&spec.target), is_stack(&other.spec.target)) {
        (true, false) => Some(format!(
            "{} has sleep hours of its own (“{}”): these do not count for it.",
            other.spec.target_name,
            other.title()
        )),
        (false, true) => Some(format!("For it these count alone: those of “{}” do not.", other.title())),
        _ => None,
    }
}

/// What is awake while what it needs sleeps.
fn needed(gap: &Gap, target: &Target, zone: &NamedZone) -> String {
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
fn tell(spec: &ScheduleSpec, other: &Schedule, at: Timestamp, zone: &NamedZone) -> String {
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
