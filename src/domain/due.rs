//! Decides about fires that are due: run, catch up, superseded, skipped, or missed (semantics §4, rulings 10).
//!
//! [`decide`] has no side effects. The scheduler, previews and the simulation all call it, so that their results agree.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::action::Action;
use super::conflict;
use super::cron::Cron;
use super::day_rules::Reading;
use super::fires::Fires;
use super::ids::ScheduleId;
use super::run::{MissedSpan, RunState};
use super::schedule::{Schedule, When};
use super::target::Target;

/// A fire that is claimed at most this long after its nominal instant is on time (rulings 10).
pub const ON_TIME: Duration = Duration::from_secs(60);
/// A late restart is caught up only within this time (semantics §4).
pub const RESTART_CATCH_UP: Duration = Duration::from_secs(5 * 60);

/// The decision about one due schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The index of the schedule in the argument of [`decide`].
    pub index: usize,
    /// The newest fire and its outcome; `None` if the newest fire only counts as missed.
    pub fire: Option<(Timestamp, FireOutcome)>,
    /// The fires that are recorded as missed.
    pub missed: Option<MissedSpan>,
    /// The first fire after now; `None` if the schedule never fires again.
    pub next_due: Option<Timestamp>,
}

/// The outcome of a fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FireOutcome {
    /// The fire is on time and runs.
    Run,
    /// The fire is late and runs as a catch-up.
    CatchUp,
    /// A later fire of the given schedule sets the state of the same target.
    Superseded(ScheduleId),
    /// The given schedule has another action for the same target in the same minute and goes first.
    Conflict(ScheduleId),
    /// The given schedule has the same action for the same target in the same minute.
    Duplicate(ScheduleId),
    /// The user has skipped this occurrence.
    SkipNext,
    /// The calendar of the schedule skips this date.
    Calendar,
    /// The cron expression no longer parses; the value is the error.
    Unreadable(String),
}

impl FireOutcome {
    /// Whether the fire leads to actions on containers.
    pub fn acts(&self) -> bool {
        matches!(self, Self::Run | Self::CatchUp)
    }

    /// The end state and the reason of the run for a fire that does not act; `None` for a fire that acts. `title`
    /// returns the title of a schedule.
    pub fn ending(&self, title: impl Fn(&ScheduleId) -> String) -> Option<(RunState, String)> {
        Some(match self {
            Self::Run | Self::CatchUp => return None,
            Self::Superseded(by) => (RunState::Superseded, format!("superseded by {}", title(by))),
            Self::Conflict(by) => (RunState::Skipped, format!("conflict, by {}", title(by))),
            Self::Duplicate(by) => (RunState::Skipped, format!("duplicate: {} does the same", title(by))),
            Self::SkipNext => (RunState::Skipped, "skip: this occurrence was dropped on purpose".to_owned()),
            Self::Calendar => (RunState::Skipped, ON_CALENDAR.to_owned()),
            Self::Unreadable(error) => (RunState::Failed, format!("its cron expression: {error}")),
        })
    }
}

/// The reason of a run that the calendar skips.
pub const ON_CALENDAR: &str = "calendar: its calendar drops this date";

/// Decides about every due cron and one-off schedule; windows are ignored. `readings` has the zone and calendar of each
/// schedule, in the same order as `schedules`. The decisions are in the order in which to store them: of two schedules
/// that conflict, the one that goes first comes last.
pub fn decide(schedules: &[Schedule], readings: &[Reading], now: Timestamp) -> Vec<Decision> {
    let mut decisions: Vec<Decision> = schedules
        .iter()
        .zip(readings)
        .enumerate()
        .filter_map(|(index, (schedule, reading))| decide_one(index, schedule, reading, now))
        .collect();
    // Sort the decision that takes precedence last: later instant, higher priority, narrower target, stronger action,
    // older schedule.
    decisions.sort_by(|a, b| {
        let key = |decision: &Decision| {
            let schedule = &schedules[decision.index];
            let fire = decision.fire.as_ref().map(|(at, _)| *at);
            let spec = &schedule.spec;
            (fire, spec.priority, spec.target.narrowness(), Reverse(spec.action.clash_rank()))
        };
        key(a).cmp(&key(b)).then_with(|| schedules[b.index].id.cmp(&schedules[a.index].id))
    });
    resolve_conflicts(&mut decisions, schedules);
    decisions
}

/// Decides about one schedule without considering the others; `None` if the schedule is not due.
fn decide_one(index: usize, schedule: &Schedule, reading: &Reading, now: Timestamp) -> Option<Decision> {
    let due = schedule.next_due.filter(|due| *due <= now)?;
    let (first, last, count, next_due) = match &schedule.spec.when {
        When::Once(_) => (due, due, 1, None),
        When::Window(_) => return None,
        When::Cron(text) => match Cron::parse(text) {
            Ok(cron) => {
                let fires = Fires::Cron(cron, reading.clone());
                // `due` is itself a fire; count the later ones up to now too.
                let later = fires.missed(due, now);
                let (last, more) = later.map_or((due, 0), |missed| (missed.last, missed.count));
                (due, last, i64::from(more) + 1, fires.next(now))
            }
            Err(error) => {
                let fire = Some((due, FireOutcome::Unreadable(error.to_string())));
                return Some(Decision { index, fire, missed: None, next_due: None });
            }
        },
    };
    let age = Duration::try_from(now.duration_since(last)).unwrap_or_default();
    let outcome = if schedule.skip_at == Some(last) {
        Some(FireOutcome::SkipNext)
    } else if reading.drops(last) {
        Some(FireOutcome::Calendar)
    } else if age <= ON_TIME {
        Some(FireOutcome::Run)
    } else if age <= catch_up(schedule) {
        Some(FireOutcome::CatchUp)
    } else {
        None
    };
    let Some(outcome) = outcome else {
        let missed = Some(MissedSpan { first, last, count });
        return Some(Decision { index, fire: None, missed, next_due });
    };
    // Older fires of the same schedule have the same action and target, so one row records all of them as missed.
    let missed = (count > 1).then(|| {
        let before = Fires::of(&schedule.spec.when, reading, None)
            .and_then(|fires| fires.last_at_or_before(just_before(first), just_before(last)));
        MissedSpan { first, last: before.unwrap_or(first), count: count - 1 }
    });
    Some(Decision { index, fire: Some((last, outcome)), missed, next_due })
}

fn just_before(instant: Timestamp) -> Timestamp {
    instant - Duration::from_millis(1)
}

/// How late a fire of a schedule may be to be caught up.
fn catch_up(schedule: &Schedule) -> Duration {
    let allowed = Duration::from_secs(u64::try_from(schedule.spec.catch_up_seconds).unwrap_or(0));
    if schedule.spec.action == Action::Restart { allowed.min(RESTART_CATCH_UP) } else { allowed }
}

/// Why a fire leaves a container to the fire `other`, which acts on it too although the targets differ; `None` if it
/// does not leave it. In one minute the one that [`conflict::precedence_of`] names first acts; otherwise the later one
/// sets the state.
pub fn leaves(
    (schedule, at): (&Schedule, Timestamp),
    (other, other_at): (&Schedule, Timestamp),
) -> Option<FireOutcome> {
    let (action, others) = (schedule.spec.action, other.spec.action);
    if at.as_second() / 60 == other_at.as_second() / 60 {
        let order =
            conflict::precedence_of(&schedule.spec, &other.spec).then_with(|| schedule.id.cmp(&other.id));
        let outcome = if action == others { FireOutcome::Duplicate } else { FireOutcome::Conflict };
        return (order == Ordering::Greater).then(|| outcome(other.id.clone()));
    }
    let is_overtaken = action.sets_state() && others.sets_state() && at < other_at;
    is_overtaken.then(|| FireOutcome::Superseded(other.id.clone()))
}

/// Sets the outcomes of fires that conflict with others on the same target: only one fire per target may set the state,
/// and only one may act per minute. `decisions` must be sorted, the one that takes precedence last.
fn resolve_conflicts(decisions: &mut [Decision], schedules: &[Schedule]) {
    // For each target: the fire that sets the state, and the fire of any action in each minute.
    let mut state: BTreeMap<&Target, (ScheduleId, Timestamp)> = BTreeMap::new();
    let mut minute: BTreeMap<(&Target, i64), (ScheduleId, Action)> = BTreeMap::new();
    for decision in decisions.iter_mut().rev() {
        let schedule = &schedules[decision.index];
        let Some((at, outcome)) = &mut decision.fire else { continue };
        if !outcome.acts() {
            continue;
        }
        let target = &schedule.spec.target;
        let action = schedule.spec.action;
        if let Some((winner, winning)) = minute.get(&(target, at.as_second() / 60)) {
            *outcome = if *winning == action {
                FireOutcome::Duplicate(winner.clone())
            } else {
                FireOutcome::Conflict(winner.clone())
            };
            continue;
        }
        if action.sets_state() {
            if let Some((winner, _)) = state.get(target) {
                *outcome = FireOutcome::Superseded(winner.clone());
                continue;
            }
            state.insert(target, (schedule.id.clone(), *at));
        }
        minute.insert((target, at.as_second() / 60), (schedule.id.clone(), action));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::{CalendarDays, CalendarEffect};
    use crate::domain::ids::HostId;
    use crate::domain::schedule::{ScheduleSpec, Source};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    /// A schedule for stack `media` whose next fire is at `due`.
    fn schedule(id: &str, action: Action, cron: &str, due: &str) -> Schedule {
        Schedule {
            id: id.into(),
            spec: ScheduleSpec::new(
                Target::stack(HostId::local(), "media"),
                "media",
                action,
                When::Cron(cron.to_owned()),
            ),
            source: Source::Ui,
            label: None,
            owner: None,
            owner_name: None,
            effective_from: at("2027-01-01T00:00:00Z"),
            next_due: Some(at(due)),
            skip_at: None,
            rev: 1,
            created_at: at("2027-01-01T00:00:00Z"),
            updated_at: at("2027-01-01T00:00:00Z"),
            deleted_at: None,
        }
    }

    fn decide_at(schedules: &[Schedule], now: &str) -> Vec<Decision> {
        let readings = vec![Reading::in_zone(jiff::tz::TimeZone::UTC); schedules.len()];
        decide(schedules, &readings, at(now))
    }

    fn outcomes(schedules: &[Schedule], now: &str) -> Vec<(String, Option<FireOutcome>)> {
        let mut outcomes: Vec<_> = decide_at(schedules, now)
            .into_iter()
            .map(|decision| {
                (schedules[decision.index].id.to_string(), decision.fire.map(|(_, outcome)| outcome))
            })
            .collect();
        outcomes.sort_by(|a, b| a.0.cmp(&b.0));
        outcomes
    }

    #[test]
    fn a_fire_within_a_minute_is_on_time() {
        let stop = [schedule("s", Action::Stop, "0 23 * * *", "2027-01-10T23:00:00Z")];
        for now in ["2027-01-10T23:00:00Z", "2027-01-10T23:01:00Z"] {
            let decisions = decide_at(&stop, now);
            assert_eq!(decisions[0].fire, Some((at("2027-01-10T23:00:00Z"), FireOutcome::Run)));
            assert_eq!(decisions[0].next_due, Some(at("2027-01-11T23:00:00Z")));
            assert_eq!(decisions[0].missed, None);
        }
        assert_eq!(
            decide_at(&stop, "2027-01-10T23:01:00.001Z")[0].fire,
            Some((at("2027-01-10T23:00:00Z"), FireOutcome::CatchUp))
        );
        assert_eq!(decide_at(&stop, "2027-01-10T22:59:59.999Z"), []);
    }

    #[test]
    fn later_than_the_catch_up_is_missed() {
        let stop = [schedule("s", Action::Stop, "0 23 * * *", "2027-01-10T23:00:00Z")];
        assert_eq!(outcomes(&stop, "2027-01-11T00:00:00Z"), [("s".to_owned(), Some(FireOutcome::CatchUp))]);
        let late = &decide_at(&stop, "2027-01-11T00:00:00.001Z")[0];
        assert_eq!(late.fire, None);
        let only = at("2027-01-10T23:00:00Z");
        assert_eq!(late.missed, Some(MissedSpan { first: only, last: only, count: 1 }));
    }

    #[test]
    fn catch_up_zero_is_never() {
        let mut stop = schedule("s", Action::Stop, "0 23 * * *", "2027-01-10T23:00:00Z");
        stop.spec.catch_up_seconds = 0;
        assert_eq!(decide_at(&[stop], "2027-01-10T23:01:01Z")[0].fire, None);
    }

    #[test]
    fn down_over_stop_and_start_runs_only_start() {
        let both = [
            schedule("a", Action::Stop, "0 7 * * *", "2027-01-11T07:00:00Z"),
            schedule("b", Action::Start, "30 7 * * *", "2027-01-11T07:30:00Z"),
        ];
        assert_eq!(
            outcomes(&both, "2027-01-11T07:45:00Z"),
            [
                ("a".to_owned(), Some(FireOutcome::Superseded("b".into()))),
                ("b".to_owned(), Some(FireOutcome::CatchUp))
            ]
        );
    }

    #[test]
    fn minutely_schedule_down_30d_leaves_one_fire_and_one_summary() {
        let minutely = [schedule("m", Action::Stop, "* * * * *", "2027-01-01T00:00:00Z")];
        let decisions = decide_at(&minutely, "2027-01-31T00:00:00Z");
        assert_eq!(decisions.len(), 1);
        assert_eq!(decisions[0].fire, Some((at("2027-01-31T00:00:00Z"), FireOutcome::Run)));
        assert_eq!(
            decisions[0].missed,
            Some(MissedSpan {
                first: at("2027-01-01T00:00:00Z"),
                last: at("2027-01-30T23:59:00Z"),
                count: 30 * 24 * 60
            })
        );
    }

    #[test]
    fn a_restart_is_caught_up_only_within_five_minutes() {
        let restart = [schedule("r", Action::Restart, "0 4 * * *", "2027-01-10T04:00:00Z")];
        assert_eq!(outcomes(&restart, "2027-01-10T04:05:00Z")[0].1, Some(FireOutcome::CatchUp));
        assert_eq!(outcomes(&restart, "2027-01-10T04:05:01Z")[0].1, None);
    }

    #[test]
    fn in_one_minute_the_stronger_action_wins_whatever_the_row_order() {
        let stop = schedule("a", Action::Stop, "0 4 * * *", "2027-01-10T04:00:00Z");
        let start = schedule("b", Action::Start, "0 4 * * *", "2027-01-10T04:00:00Z");
        let restart = schedule("c", Action::Restart, "0 4 * * *", "2027-01-10T04:00:00Z");
        let expected = [
            ("a".to_owned(), Some(FireOutcome::Conflict("b".into()))),
            ("b".to_owned(), Some(FireOutcome::Run)),
            ("c".to_owned(), Some(FireOutcome::Conflict("b".into()))),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let all = [&stop, &start, &restart];
            let schedules: Vec<Schedule> = order.iter().map(|index| all[*index].clone()).collect();
            assert_eq!(outcomes(&schedules, "2027-01-10T04:00:10Z"), expected);
        }
    }

    #[test]
    fn priority_beats_the_action_and_age_breaks_a_tie() {
        let mut stop = schedule("b", Action::Stop, "0 4 * * *", "2027-01-10T04:00:00Z");
        let start = schedule("a", Action::Start, "0 4 * * *", "2027-01-10T04:00:00Z");
        stop.spec.priority = 1;
        assert_eq!(
            outcomes(&[start, stop.clone()], "2027-01-10T04:00:00Z")[0].1,
            Some(FireOutcome::Conflict("b".into()))
        );
        let mut older = stop.clone();
        older.id = "a".into();
        assert_eq!(
            outcomes(&[stop, older], "2027-01-10T04:00:00Z"),
            [
                ("a".to_owned(), Some(FireOutcome::Run)),
                ("b".to_owned(), Some(FireOutcome::Duplicate("a".into())))
            ]
        );
    }

    #[test]
    fn schedules_of_different_targets_do_not_meet() {
        let stop = schedule("a", Action::Stop, "0 4 * * *", "2027-01-10T04:00:00Z");
        let mut start = schedule("b", Action::Start, "0 4 * * *", "2027-01-10T04:00:00Z");
        start.spec.target = Target::stack(HostId::local(), "other");
        assert!(
            outcomes(&[stop, start], "2027-01-10T04:00:00Z")
                .iter()
                .all(|(_, outcome)| *outcome == Some(FireOutcome::Run))
        );
    }

    #[test]
    fn a_skipped_occurrence_causes_no_conflict() {
        let mut stop = schedule("a", Action::Stop, "0 4 * * *", "2027-01-10T04:00:00Z");
        stop.skip_at = Some(at("2027-01-10T04:00:00Z"));
        stop.spec.priority = 9;
        let start = schedule("b", Action::Start, "0 4 * * *", "2027-01-10T04:00:00Z");
        assert_eq!(
            outcomes(&[stop, start], "2027-01-10T04:00:00Z"),
            [("a".to_owned(), Some(FireOutcome::SkipNext)), ("b".to_owned(), Some(FireOutcome::Run))]
        );
    }

    #[test]
    fn once_never_comes_again() {
        let mut once = schedule("o", Action::Stop, "", "2027-01-10T04:00:00Z");
        once.spec.when = When::Once(at("2027-01-10T04:00:00Z"));
        let decisions = decide_at(&[once], "2027-01-10T04:00:00Z");
        assert_eq!(decisions[0].next_due, None);
        assert_eq!(decisions[0].fire, Some((at("2027-01-10T04:00:00Z"), FireOutcome::Run)));
    }

    #[test]
    fn fires_that_the_calendar_takes_away_are_neither_missed_nor_the_last() {
        let nightly = [schedule("s", Action::Stop, "0 23 * * *", "2027-01-10T23:00:00Z")];
        let dates = ["2027-01-11", "2027-01-13", "2027-01-14"].map(|date| date.parse().expect("a date"));
        let days = CalendarDays { dates: dates.into(), ..CalendarDays::default() };
        let mut reading = Reading::in_zone(jiff::tz::TimeZone::UTC);
        reading.days.calendar = Some((std::sync::Arc::new(days), CalendarEffect::Skip));
        let decision = &decide(&nightly, &[reading.clone()], at("2027-01-14T23:30:00Z"))[0];
        let (first, last) = (at("2027-01-10T23:00:00Z"), at("2027-01-12T23:00:00Z"));
        assert_eq!(decision.missed, Some(MissedSpan { first, last, count: 2 }));
        assert_eq!((&decision.fire, decision.next_due), (&None, Some(at("2027-01-15T23:00:00Z"))));
        let decision = &decide(&nightly, &[reading], at("2027-01-12T23:30:00Z"))[0];
        assert_eq!(decision.missed, Some(MissedSpan { first, last: first, count: 1 }));
        assert_eq!(decision.fire, Some((last, FireOutcome::CatchUp)));
    }

    #[test]
    fn an_invalid_expression_is_a_failed_run() {
        let bad = [schedule("x", Action::Stop, "61 * * * *", "2027-01-10T04:00:00Z")];
        assert!(matches!(outcomes(&bad, "2027-01-10T04:00:00Z")[0].1, Some(FireOutcome::Unreadable(_))));
    }
}
