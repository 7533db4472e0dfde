//! Computes which fires of cron and one-off schedules were due, and compares them with the stored runs. [`Eras`]
//! records every version of each schedule with the time range in which it applied.

use std::collections::{BTreeMap, BTreeSet};

use docknap::app::App;
use docknap::app::rulebook::RuleBook;
use docknap::db;
use docknap::domain::cron::Cron;
use docknap::domain::day_rules::Reading;
use docknap::domain::ids::ScheduleId;
use docknap::domain::run::{Run, RunState, Trigger};
use docknap::domain::schedule::{Schedule, When};
use jiff::Timestamp;

use super::machine::Machine;

/// A time range in which a schedule did not change.
struct Era {
    schedule: Schedule,
    reading: Reading,
    /// Start, exclusive.
    from: Timestamp,
    /// End, inclusive; `None` = still current.
    until: Option<Timestamp>,
}

impl Era {
    /// The fires up to `end`, each with whether its calendar skips it.
    fn fires(&self, end: Timestamp) -> Vec<(Timestamp, bool)> {
        let end = self.until.map_or(end, |until| until.min(end));
        match &self.schedule.spec.when {
            When::Once(at) => vec![(*at, self.reading.drops(*at))],
            When::Cron(text) => {
                let cron = Cron::parse(text).expect("it was accepted");
                let mut fires = Vec::new();
                let mut at = self.from;
                while let Some(next) = cron.next(at, &self.reading.zone).filter(|next| *next <= end) {
                    assert!(next > at, "I7: {text} after {at} is {next}");
                    fires.push((next, self.reading.drops(next)));
                    at = next;
                }
                fires
            }
            When::Window(_) => Vec::new(),
        }
        .into_iter()
        .filter(|(at, _)| *at > self.from && *at <= end)
        .collect()
    }
}

/// All versions of all schedules.
#[derive(Default)]
pub struct Eras {
    closed: Vec<Era>,
    open: BTreeMap<ScheduleId, Era>,
}

impl Eras {
    /// Records changes of the stored schedules. To be called after anything that may have changed one.
    pub fn update(&mut self, machine: &Machine) {
        let stored = machine.call(async |app: App| {
            let wanted = db::schedules::ScheduleSelection { limit: 1000, ..Default::default() };
            let schedules = db::schedules::list(&app.db, &wanted).await.expect("they read");
            let book = RuleBook::load(&app).await.expect("it reads");
            let calendars = db::calendars::list(&app.db, None, 10).await.expect("they read");
            let calendar_changed_at =
                calendars.iter().map(|calendar| calendar.updated_at).max().unwrap_or_default();
            let read = |schedule: Schedule| (book.reading(&schedule.spec), schedule);
            (calendar_changed_at, schedules.into_iter().map(read).collect::<Vec<_>>())
        });
        // DockNap died during the call; the next instance is asked again.
        let Some((calendar_changed_at, stored)) = stored else { return };
        let now = machine.clock.now();
        let stored_ids: BTreeSet<ScheduleId> =
            stored.iter().map(|(_, schedule)| schedule.id.clone()).collect();
        for id in self.open.keys().filter(|id| !stored_ids.contains(*id)).cloned().collect::<Vec<_>>() {
            self.close(&id, now);
        }
        for (reading, schedule) in stored {
            let known = self.open.get(&schedule.id);
            let is_old = known.is_some_and(|era| era.schedule.rev == schedule.rev);
            if is_old && known.is_some_and(|era| days(&era.reading) == days(&reading)) {
                continue;
            }
            // The schedule is unchanged, but its calendar changed.
            let from = if is_old { calendar_changed_at } else { schedule.updated_at };
            self.close(&schedule.id, from);
            // A one-off schedule disables itself after its fire.
            if schedule.spec.enabled && !schedule.is_window() {
                self.open.insert(schedule.id.clone(), Era { schedule, reading, from, until: None });
            }
        }
    }

    fn close(&mut self, id: &ScheduleId, at: Timestamp) {
        if let Some(era) = self.open.remove(id) {
            self.closed.push(Era { until: Some(at), ..era });
        }
    }

    /// I1 and I2: each fire has exactly one run, or is counted in a run of missed fires, and there is no run for an
    /// instant that was not due. Returns the violations and the number of fires checked.
    pub fn account(&self, runs: &[Run], now: Timestamp) -> (Vec<String>, u64) {
        let mut due: BTreeMap<&ScheduleId, BTreeMap<Timestamp, bool>> = BTreeMap::new();
        for era in self.closed.iter().chain(self.open.values()) {
            due.entry(&era.schedule.id).or_default().extend(era.fires(now));
        }
        let mut wrong = Vec::new();
        let mut count = 0;
        let mut fired: BTreeMap<&ScheduleId, BTreeSet<Timestamp>> = BTreeMap::new();
        let mut missed: BTreeMap<&ScheduleId, Vec<&Run>> = BTreeMap::new();
        for run in runs.iter().filter(|run| is_fire(run)) {
            let Some(id) = &run.schedule_id else { continue };
            if run.state == RunState::Missed {
                missed.entry(id).or_default().push(run);
                // A run of missed fires has the instant of the last of them.
                if run.missed.as_ref().is_some_and(|span| run.fire_at != Some(span.last)) {
                    wrong.push(format!("a row of missed fires bears another instant: {run:?}"));
                }
                continue;
            }
            let Some(at) = run.fire_at else { continue };
            if !fired.entry(id).or_default().insert(at) {
                wrong.push(format!("I1: {id} fired twice at {at}"));
            }
            match due.get(id).and_then(|due| due.get(&at)) {
                None => wrong.push(format!("I1: {id} fired at {at}, where nothing is due: {run:?}")),
                Some(true) if run.state != RunState::Skipped => {
                    wrong.push(format!("{id} fired at {at}, which its calendar drops: {run:?}"));
                }
                Some(_) => {}
            }
        }
        for (id, due) in &due {
            let none = BTreeSet::new();
            let fired = fired.get(id).unwrap_or(&none);
            let rows = missed.get(id).map(Vec::as_slice).unwrap_or_default();
            let spans: Vec<_> = rows.iter().filter_map(|run| run.missed.as_ref()).collect();
            let mut rest = 0;
            for (at, drops) in due {
                count += 1;
                let is_covered = spans.iter().any(|span| span.first <= *at && *at <= span.last);
                if fired.contains(at) {
                    continue;
                }
                rest += i64::from(is_covered);
                if !is_covered && !drops {
                    wrong.push(format!("I2: nothing tells what became of {id} at {at}"));
                }
            }
            let counted: i64 = spans.iter().map(|span| span.count).sum();
            let dropped = i64::try_from(due.values().filter(|drops| **drops).count()).unwrap_or(0);
            if (rest - counted).abs() > dropped {
                wrong.push(format!("{id}: {counted} fires are told as missed, {rest} were: {spans:?}"));
            }
        }
        (wrong, count)
    }
}

/// Whether a run belongs to a fire of a schedule, rather than to a user or a window.
fn is_fire(run: &Run) -> bool {
    matches!(run.trigger, Trigger::Schedule | Trigger::CatchUp | Trigger::Label)
}

fn days(reading: &Reading) -> String {
    format!("{:?}", reading.days)
}
