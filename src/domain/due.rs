//! What becomes of fires whose instant has come: run, made up for, superseded, skipped, or missed.
//!
//! Pure, so that a preview, the scheduler and a simulation agree (semantics §4, rulings 10).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::action::Action;
use super::cron::Cron;
use super::ids::ScheduleId;
use super::run::MissedSpan;
use super::schedule::{Schedule, When};
use super::target::Target;

/// A fire claimed within this much of its nominal instant is on time (rulings 10).
pub const ON_TIME: Duration = Duration::from_secs(60);
/// A restart is made up for only when it is younger than this (semantics §4).
pub const RESTART_CATCH_UP: Duration = Duration::from_secs(5 * 60);

/// What became of one due schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which schedule, as an index into those given.
    pub index: usize,
    /// The newest fire, and what is done about it; `None` where it only counts as missed.
    pub fire: Option<(Timestamp, Fate)>,
    /// Fires that are only remembered.
    pub missed: Option<MissedSpan>,
    /// The next instant after now; `None` where it never fires again.
    pub next_due: Option<Timestamp>,
}

/// What is done about a fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// On time.
    Run,
    /// Late, and made up for.
    CatchUp,
    /// A later fire for the same target decides; by that schedule.
    Superseded(ScheduleId),
    /// Another schedule does something else to the same target in the same minute, and wins.
    Conflict(ScheduleId),
    /// Another schedule does the same to the same target in the same minute.
    Duplicate(ScheduleId),
    /// The user dropped this occurrence.
    SkipNext,
    /// Its cron expression is no longer understood.
    Unreadable(String),
}

impl Fate {
    /// Whether containers are touched because of it.
    pub fn acts(&self) -> bool {
        matches!(self, Self::Run | Self::CatchUp)
    }
}

/// Decides about every due schedule. `zones` has the zone of each schedule given, in the same order. The answers are
/// in the order in which they should be stored: where two meet, the one that decides comes last.
pub fn decide(schedules: &[Schedule], zones: &[TimeZone], now: Timestamp) -> Vec<Decision> {
    let mut decisions: Vec<Decision> = schedules
        .iter()
        .zip(zones)
        .enumerate()
        .filter_map(|(index, (schedule, zone))| decide_one(index, schedule, zone, now))
        .collect();
    // The weaker first: earlier instants, lower priority, the action that gives way, the younger schedule.
    decisions.sort_by(|a, b| {
        let key = |decision: &Decision| {
            let schedule = &schedules[decision.index];
            let fire = decision.fire.as_ref().map(|(at, _)| *at);
            (fire, schedule.spec.priority, std::cmp::Reverse(schedule.spec.action.clash_rank()))
        };
        key(a).cmp(&key(b)).then_with(|| schedules[b.index].id.cmp(&schedules[a.index].id))
    });
    settle(&mut decisions, schedules);
    decisions
}

/// One schedule for itself.
fn decide_one(index: usize, schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> Option<Decision> {
    let due = schedule.next_due.filter(|due| *due <= now)?;
    let (first, last, count, next_due) = match &schedule.spec.when {
        When::Once(_) => (due, due, 1, None),
        When::Cron(text) => match Cron::parse(text) {
            Ok(cron) => {
                // `due` is itself a fire; those after it up to now were slept through.
                let slept = cron.missed(due, now, zone);
                let (last, more) = slept.map_or((due, 0), |missed| (missed.last, missed.count));
                (due, last, i64::from(more) + 1, cron.next(now, zone))
            }
            Err(error) => {
                let fire = Some((due, Fate::Unreadable(error.to_string())));
                return Some(Decision { index, fire, missed: None, next_due: None });
            }
        },
    };
    let age = Duration::try_from(now.duration_since(last)).unwrap_or_default();
    let fate = if schedule.skip_at == Some(last) {
        Some(Fate::SkipNext)
    } else if age <= ON_TIME {
        Some(Fate::Run)
    } else if age <= catch_up(schedule) {
        Some(Fate::CatchUp)
    } else {
        None
    };
    let Some(fate) = fate else {
        let missed = Some(MissedSpan { first, last, count });
        return Some(Decision { index, fire: None, missed, next_due });
    };
    // Older fires of the same schedule would do the same to the same target: one row remembers them.
    let missed = (count > 1).then(|| {
        let before = match &schedule.spec.when {
            When::Cron(text) => Cron::parse(text).ok().and_then(|cron| {
                cron.last_at_or_before(first - Duration::from_millis(1), just_before(last), zone)
            }),
            When::Once(_) => None,
        };
        MissedSpan { first, last: before.unwrap_or(first), count: count - 1 }
    });
    Some(Decision { index, fire: Some((last, fate)), missed, next_due })
}

fn just_before(instant: Timestamp) -> Timestamp {
    instant - Duration::from_millis(1)
}

fn catch_up(schedule: &Schedule) -> Duration {
    let allowed = Duration::from_secs(u64::try_from(schedule.spec.catch_up_seconds).unwrap_or(0));
    if schedule.spec.action == Action::Restart { allowed.min(RESTART_CATCH_UP) } else { allowed }
}

/// Lets one fire per target decide. `decisions` are sorted, the strongest last.
fn settle(decisions: &mut [Decision], schedules: &[Schedule]) {
    // The state-setting fire that decides for each target, and the fire of any kind in each minute.
    let mut state: BTreeMap<&Target, (ScheduleId, Timestamp)> = BTreeMap::new();
    let mut minute: BTreeMap<(&Target, i64), (ScheduleId, Action)> = BTreeMap::new();
    for decision in decisions.iter_mut().rev() {
        let schedule = &schedules[decision.index];
        let Some((at, fate)) = &mut decision.fire else { continue };
        if !fate.acts() {
            continue;
        }
        let target = &schedule.spec.target;
        let action = schedule.spec.action;
        if let Some((winner, winning)) = minute.get(&(target, at.as_second() / 60)) {
            *fate = if *winning == action {
                Fate::Duplicate(winner.clone())
            } else {
                Fate::Conflict(winner.clone())
            };
            continue;
        }
        if action.sets_state() {
            if let Some((winner, _)) = state.get(target) {
                *fate = Fate::Superseded(winner.clone());
                continue;
            }
            state.insert(target, (schedule.id.clone(), *at));
        }
        minute.insert((target, at.as_second() / 60), (schedule.id.clone(), action));
    }
}
