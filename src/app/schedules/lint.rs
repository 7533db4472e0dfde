//! Warns of schedules that get in each other's way (semantics §4), before they do: of those that meet in one minute, of
//! a stop inside another's time awake, of rules on a stack and on its member, of what sleeps while it is needed.

use std::cmp::Ordering;
use std::collections::HashMap;

use jiff::{Timestamp, ToSpan};
use tokio::sync::Semaphore;

use super::super::almanac::Almanac;
use super::super::zone::NamedZone;
use super::super::{App, Error, Result};
use crate::db;
use crate::domain::action::Action;
use crate::domain::conflict::{self, Fires, HORIZON_DAYS, MOST_FIRES};
use crate::domain::contradiction::contradicts;
use crate::domain::ids::ScheduleId;
use crate::domain::inventory::Inventory;
use crate::domain::order;
use crate::domain::overrides::Wanted;
use crate::domain::schedule::{Policy, Schedule, ScheduleSpec, When};
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
    others.retain(|other| Some(&other.id) != itself);
    let inventory = app.hosts.get(&spec.target.host).map(|host| host.inventory());
    let (spec, almanac) = (spec.clone(), almanac.clone());
    work_out(move || {
        let clashes = others.iter().filter_map(|other| between(&spec, other, &almanac, now));
        let needed = || needed(&spec, &others, &inventory?, &almanac, now);
        clashes.chain(std::iter::once_with(needed).flatten()).take(MOST_TOLD).collect()
    })
    .await
}

/// The first warning of each of these schedules, compared among themselves: what the list shows.
pub(super) fn among(
    schedules: &[Schedule],
    wanted: &[&ScheduleId],
    almanac: &Almanac,
    now: Timestamp,
) -> HashMap<ScheduleId, String> {
    let on = || schedules.iter().filter(|schedule| schedule.spec.enabled);
    let first = |one: &Schedule| {
        let others =
            on().filter(|other| other.id != one.id && one.spec.target.shares_container(&other.spec.target));
        others.take(usize::try_from(MOST_OTHERS).unwrap_or(usize::MAX)).find_map(|other| {
            between(&one.spec, other, almanac, now).map(|sentence| (one.id.clone(), sentence))
        })
    };
    on().filter(|one| wanted.contains(&&one.id)).filter_map(first).collect()
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

/// What waits for a container that sleeps while the other does not. Known edges of the same stack, and of stacks that
/// people ordered.
fn needed(
    spec: &ScheduleSpec,
    others: &[Schedule],
    inventory: &Inventory,
    almanac: &Almanac,
    now: Timestamp,
) -> Option<String> {
    let When::Window(_) = &spec.when else { return None };
    let (Subject::Container(identity), Some(Fires::Window(window, reading, skip))) =
        (&spec.target.subject, almanac.fires(spec, None))
    else {
        return None;
    };
    let container = inventory.by_identity(identity)?;
    let members = inventory.members(&Subject::Stack(container.stack()?.to_owned()));
    let (edges, _) = order::edges(&members, inventory);
    let asleep = Rota::of(&window, &reading, skip)
        .sleeps(now, now.checked_add((7 * 24).hours()).unwrap_or(Timestamp::MAX))
        .into_iter()
        .map(|sleep| sleep.start.max(now))
        .next()?;
    let sleeps_too = |target: &Target| {
        others.iter().any(|other| {
            let covers = other.spec.target == *target || other.spec.target.shares_container(target);
            let Some(Fires::Window(window, reading, skip)) = almanac.fires(&other.spec, None) else {
                return false;
            };
            covers && Rota::of(&window, &reading, skip).voice(asleep).mood() == Mood::Asleep
        })
    };
    let dependant = edges
        .iter()
        .filter(|edge| members[edge.dependency].identity == *identity)
        .map(|edge| &members[edge.dependant])
        .find(|dependant| dependant.is_ordinary() && !sleeps_too(&dependant.target()))?;
    Some(format!("{} needs it and is not asleep then.", dependant.name))
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
