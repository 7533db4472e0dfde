//! Sleeps that begin within the next minutes. The scheduler calls [`look`], which reports each sleep once; pages show
//! the upcoming sleep of their target.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::rulebook::RuleBook;
use super::{App, Live, Result, targets};
use crate::db;
use crate::domain::contradiction;
use crate::domain::desired::Rules;
use crate::domain::guard::Guard;
use crate::domain::ids::ScheduleId;
use crate::domain::overrides::DesiredState;
use crate::domain::place::Place;
use crate::domain::schedule::Schedule;
use crate::domain::target::Target;

/// How long before its start a sleep is reported.
pub const AHEAD: Duration = Duration::from_secs(5 * 60);
/// Maximum number of schedules per check.
const MOST: i64 = 500;

/// An upcoming sleep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sleep {
    /// The start.
    pub at: Timestamp,
    /// The target that will be put to sleep.
    pub target: Target,
    /// The schedule that causes the sleep.
    pub schedule_id: ScheduleId,
    pub schedule_title: String,
    /// Conditions that may delay the sleep.
    pub guard: Option<Guard>,
}

/// The upcoming sleeps that the scheduler found last.
#[derive(Debug, Default)]
pub struct Upcoming(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    near: Vec<Sleep>,
    reported: BTreeSet<(Timestamp, Target)>,
}

impl Upcoming {
    /// Replaces the list and returns the sleeps that have not been reported yet.
    fn replace(&self, near: Vec<Sleep>, now: Timestamp) -> Vec<Sleep> {
        let mut state = self.0.lock();
        state.reported.retain(|(at, _)| *at > now);
        let fresh = near
            .iter()
            .filter(|sleep| state.reported.insert((sleep.at, sleep.target.clone())))
            .cloned()
            .collect();
        state.near = near;
        fresh
    }

    /// The next upcoming sleep of a target.
    pub fn of(&self, target: &Target, rules: &Rules, now: Timestamp) -> Option<Sleep> {
        let state = self.0.lock();
        let place = Place::of_target(target);
        let is_part_of = |sleep: &Sleep| {
            let services = sleep.target.subject.services();
            services.is_some_and(|services| place.lies_in_services(services))
        };
        let decides = |sleep: &Sleep| {
            let own = rules.windows_for(place);
            (sleep.target.is_wide() || is_part_of(sleep))
                && rules.groups().overlap(&sleep.target, target)
                && own.first().is_none_or(|rule| rule.target.narrowness() <= sleep.target.narrowness())
        };
        let near = state.near.iter().filter(|sleep| sleep.at > now);
        let near = near.filter(|sleep| sleep.target == *target || decides(sleep));
        near.min_by_key(|sleep| sleep.at).cloned()
    }
}

/// Finds the sleeps that begin within [`AHEAD`], and reports the new ones to the log and the browsers.
pub async fn look(app: &App) -> Result<()> {
    let now = app.clock.now();
    for sleep in app.upcoming.replace(near(app, now).await?, now) {
        let target = targets::name(app, &sleep.target);
        tracing::info!(target, at = %sleep.at, schedule = sleep.schedule_title, "sleeps soon");
        app.bus.send(Live::SleepsSoon(sleep.target));
    }
    Ok(())
}

async fn near(app: &App, now: Timestamp) -> Result<Vec<Sleep>> {
    let end = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    let mut due = db::schedules::due(&app.db, &end, MOST).await?;
    due.retain(|schedule| schedule.next_due.is_some_and(|at| at > now));
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let book = RuleBook::load(app).await?;
    let rules = &book.rules;
    let beyond = end.checked_add(Duration::from_millis(1)).unwrap_or(end);
    let sleep = |schedule: &Schedule| {
        let spec = &schedule.spec;
        let place = Place::of_target(&spec.target);
        let at = if schedule.is_window() {
            let changes = rules.transitions(place, now, beyond, 4);
            let sleeps = changes.into_iter().find(|change| change.wanted == Some(DesiredState::Asleep));
            sleeps.filter(|change| change.schedule.as_ref() == Some(&schedule.id))?.at
        } else {
            let at = schedule.next_due?;
            let is_dropped = schedule.skip_at == Some(at) || book.reading(spec).drops(at);
            let held = contradiction::suppressed(&rules.at(at), &spec.target, spec.action, &book.zone.zone);
            (Guard::applies_to(spec.action) && !is_dropped && held.is_none()).then_some(at)?
        };
        Some(Sleep {
            at,
            target: spec.target.clone(),
            schedule_id: schedule.id.clone(),
            schedule_title: schedule.title(),
            guard: spec.guard.clone(),
        })
    };
    Ok(due.iter().filter_map(sleep).collect())
}
