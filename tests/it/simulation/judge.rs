//! The invariants of semantics §8, looked at from outside: what the Engine was asked, what is up, what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use docknap::app::App;
use docknap::app::rulebook::RuleBook;
use docknap::db;
use docknap::domain::action::Action;
use docknap::domain::desired::Layer;
use docknap::domain::ids::{HostId, RunId};
use docknap::domain::overrides::{DesiredState, Place};
use docknap::domain::run::{Condition, Run, Step, StepState, Trigger};
use docknap::domain::schedule::Policy;
use docknap::sim::Endpoint;
use jiff::Timestamp;

use super::chance::UNTOUCHED;
use super::machine::Machine;

/// Docker's events this near to a step of ours count as ours (semantics §2, rulings 5).
const NEAR: Duration = Duration::from_secs(7);

/// More runs than there are in a month.
pub const ALL: i64 = 100_000;
/// More runs than end between two looks.
const RECENT: i64 = 30;

/// One call that changed a container: what, of which, when.
type Act = (Endpoint, String, Timestamp);

/// What is wanted of a container, and how it is.
#[derive(Clone, Debug)]
struct Fact {
    name: String,
    is_up: bool,
    is_paused: bool,
    naps: bool,
    is_protected: bool,
    wanted: Option<DesiredState>,
    policy: Option<Policy>,
    by_window: bool,
    /// Its windows want it asleep, whatever overrides say.
    sleep_hours: bool,
    /// Somebody unpaused its stack, and that is respected: what was stopped is not meant.
    by_unpause: bool,
    put_back_due: bool,
    gave_up: bool,
    settled: bool,
}

/// What is remembered from look to look.
#[derive(Default)]
pub struct Judge {
    /// What was wanted of each container at the last look.
    wanted: BTreeMap<String, Option<DesiredState>>,
    /// Containers that need not be as they are wanted until that changes, and why.
    excused: BTreeMap<String, String>,
    /// Containers that others turned off, or that ended by themselves: no end of a sleep starts them.
    off: BTreeMap<String, Timestamp>,
    /// Containers whose windows want them asleep: a stop by others puts them back to the nap that their window ends.
    sleep_hours: BTreeSet<String>,
    /// When what is wanted of each was last found to be the same as before: what ended earlier excuses nothing.
    same_until: BTreeMap<String, Timestamp>,
    /// The time of the last look.
    looked: Option<Timestamp>,
    /// Calls looked at so far.
    acts: usize,
    /// When DockNap was down.
    down: Vec<(Timestamp, Option<Timestamp>)>,
    /// Locked by people.
    pub locked: BTreeSet<String>,
    /// Runs looked at so far, by the time they ended.
    seen: BTreeSet<RunId>,
}

impl Judge {
    /// What is off at first is off on purpose.
    pub fn new(machine: &Machine) -> Self {
        let off = machine.sim.containers().into_iter().filter(|seen| seen.state != "running");
        let now = machine.clock.now();
        Self { off: off.map(|seen| (seen.name, now)).collect(), ..Self::default() }
    }

    pub fn down_from(&mut self, at: Timestamp) {
        self.down.push((at, None));
    }

    pub fn up_at(&mut self, at: Timestamp) {
        if let Some((_, up)) = self.down.last_mut() {
            *up = Some(at);
        }
    }

    /// A container may be otherwise than wanted until what is wanted changes.
    pub fn excuse(&mut self, name: &str, why: impl Into<String>) {
        self.excused.entry(name.to_owned()).or_insert_with(|| why.into());
    }

    /// Somebody else turned a container off; `is_clear` where nothing of ours was near. Inside its sleep it may be
    /// woken at the end of that.
    pub fn turned_off(&mut self, machine: &Machine, name: &str, is_clear: bool) {
        if is_clear && !self.sleep_hours.contains(name) {
            self.off.insert(name.to_owned(), machine.clock.now());
        } else {
            self.off.remove(name);
        }
    }

    /// Somebody else turned a container on.
    pub fn turned_on(&mut self, name: &str) {
        self.off.remove(name);
    }

    /// Restart policies may have brought back anything.
    pub fn daemon_began(&mut self, machine: &Machine) {
        self.off
            .retain(|name, _| machine.sim.state(name) == "exited" || machine.sim.state(name) == "created");
    }

    /// Whether a step of ours is near in time: what others do now may be taken for ours.
    pub fn is_near(machine: &Machine, name: &str) -> bool {
        let now = machine.clock.now();
        let (name, from) = (name.to_owned(), now - NEAR);
        machine.look(async move |db| {
            let runs = db::history::list(db, db::history::RunSelection::default(), None, 40)
                .await
                .expect("they read");
            let ids: Vec<RunId> = runs.into_iter().map(|run| run.id).collect();
            let steps = db::history::steps(db, &ids).await.expect("they read");
            steps.iter().any(|step| {
                step.container == name
                    && step.issued_at.is_some()
                    && step.finished_at.is_none_or(|finished| finished >= from)
            })
        })
    }

    /// A look at a moment in which nothing is under way: I3, I4, I5, I6, and that what was off on purpose stays off.
    pub fn look(&mut self, machine: &Machine) -> Vec<String> {
        let mut wrong = Vec::new();
        let Some(facts) = machine.ask(facts) else { return wrong };
        for fact in &facts {
            if fact.sleep_hours {
                self.sleep_hours.insert(fact.name.clone());
            } else {
                self.sleep_hours.remove(&fact.name);
            }
            let before = self.wanted.insert(fact.name.clone(), fact.wanted);
            if before != Some(fact.wanted) {
                self.excused.remove(&fact.name);
                self.same_until.extend(self.looked.map(|looked| (fact.name.clone(), looked)));
                let is_first = !matches!(before, Some(Some(_)));
                if is_first && fact.wanted == Some(DesiredState::Awake) && fact.by_window {
                    self.excuse(&fact.name, "a window saved in a time awake does nothing");
                }
                if matches!(before, Some(Some(DesiredState::Hold))) {
                    self.excuse(&fact.name, "what came under a hold");
                }
            }
            if fact.is_protected {
                self.excuse(&fact.name, "locked");
            }
        }
        self.looked = Some(machine.clock.now());
        wrong.extend(self.look_at_acts(machine));
        for fact in facts {
            if fact.is_up && !fact.is_paused {
                self.off.remove(&fact.name);
            }
            if self.excused.contains_key(&fact.name) || fact.put_back_due || fact.gave_up || !fact.settled {
                continue;
            }
            if fact.policy == Some(Policy::Observe) && (fact.naps || fact.is_up) {
                self.excuse(&fact.name, "what others do is only observed");
                continue;
            }
            match fact.wanted {
                Some(DesiredState::Asleep) if fact.is_up && !fact.is_paused => {
                    wrong.push(format!("I5: {} is wanted asleep and is up: {fact:?}", fact.name));
                }
                // An unpause has nothing to do there: it naps until its windows want something else again.
                Some(DesiredState::Awake) if fact.naps && fact.by_unpause => {
                    self.excuse(&fact.name, "an unpause of its stack left it as it was");
                }
                Some(DesiredState::Awake) if fact.naps => {
                    wrong.push(format!("I5: {} is wanted awake and naps: {fact:?}", fact.name));
                }
                _ => {}
            }
        }
        wrong
    }

    fn look_at_acts(&mut self, machine: &Machine) -> Vec<String> {
        let acts: Vec<Act> = machine.sim.acts();
        let fresh = acts[self.acts..].to_vec();
        self.acts = acts.len();
        let (runs, steps) = stored(machine, RECENT);
        let mut wrong = Vec::new();
        for act @ (endpoint, name, at) in &fresh {
            if UNTOUCHED.contains(&name.as_str()) || self.locked.contains(name) {
                wrong.push(format!("I6: {endpoint:?} of {name} at {at}"));
            }
            let Some(step) = steps.iter().find(|step| explains(step, act)) else {
                wrong.push(format!("I3: no step explains {endpoint:?} of {name} at {at}"));
                continue;
            };
            let run = &runs[&step.run_id];
            let level = run.trigger == Trigger::Window
                || (run.trigger == Trigger::Override && run.schedule_id.is_none());
            if level
                && run.restore
                && matches!(endpoint, Endpoint::Start | Endpoint::Unpause)
                && self.off.get(name).is_some_and(|off| off < at)
            {
                wrong.push(format!("{name} was off on purpose, and {} started it at {at}", run.why));
            }
            if self.off.get(name).is_some_and(|off| off <= at) {
                self.off.remove(name);
            }
        }
        // What did not come to be so need not be so; a later run may have mended it.
        for run in runs.values().filter(|run| run.state.is_terminal()) {
            if !self.seen.insert(run.id.clone()) {
                continue;
            }
            let mine = steps.iter().filter(|step| step.run_id == run.id && step.wave > 0);
            for step in mine {
                if step.state == StepState::Succeeded {
                    if step.reason != "already running" {
                        self.excused.remove(&step.container);
                    }
                } else if self
                    .same_until
                    .get(&step.container)
                    .is_none_or(|same| run.finished_at >= Some(*same))
                {
                    self.excuse(
                        &step.container,
                        format!("{:?}: {:?} {}", step.state, step.error, step.reason),
                    );
                }
            }
        }
        wrong
    }

    /// What is stored at the end: I2 and I8.
    pub fn look_back(&self, machine: &Machine) -> Vec<String> {
        let mut wrong = Vec::new();
        let (runs, steps) = stored(machine, ALL);
        let acts = machine.sim.acts();
        for step in steps.iter().filter(|step| step.action == Action::Restart) {
            let restarts =
                acts.iter().filter(|act| act.0 == Endpoint::Restart && explains(step, act)).count();
            if restarts > 1 {
                wrong.push(format!("I4: {} was restarted {restarts} times: {step:?}", step.container));
            }
        }
        let rows = machine.look(async |db| {
            let wanted = db::audit::AuditSelection { limit: 1_000_000, ..Default::default() };
            db::audit::list(db, &wanted).await.expect("they read")
        });
        let mut asked: BTreeMap<&str, u32> = BTreeMap::new();
        let mut ended: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for row in &rows {
            let Some(run) = row.detail.run_id.as_deref() else { continue };
            if row.event == "run.finish" {
                ended.entry(run).or_default().push(&row.outcome);
            } else if row.event.split_once('.').is_some_and(|(_, verb)| verb.parse::<Action>().is_ok()) {
                *asked.entry(run).or_default() += 1;
            }
        }
        for run in runs.values() {
            if !run.state.is_terminal() {
                wrong.push(format!("I2: {run:?} has not ended"));
                continue;
            }
            let times = asked.get(run.id.as_str()).copied().unwrap_or(0);
            if times != 1 {
                wrong.push(format!("I8: {times} audit rows for the request of {run:?}"));
            }
            let at_birth = run.started_at.is_none() && run.finished_at == Some(run.created_at);
            let ends = ended.get(run.id.as_str()).map(Vec::as_slice).unwrap_or_default();
            let is_told = match ends {
                [] => at_birth,
                [one] => *one == run.state.as_str(),
                _ => false,
            };
            if !is_told {
                wrong.push(format!("I8: audit rows {ends:?} for the end of {run:?}"));
            }
            let mine: Vec<&Step> = steps.iter().filter(|step| step.run_id == run.id).collect();
            if let Some(open) = mine.iter().find(|step| !step.state.is_terminal()) {
                wrong.push(format!("I2: {run:?} has ended, its step has not: {open:?}"));
            }
            wrong.extend(self.late(run, &mine));
        }
        wrong
    }

    /// I2: the time a run may take, and took. What DockNap was down is not counted, and its budget begins anew.
    fn late(&self, run: &Run, steps: &[&Step]) -> Option<String> {
        let finished = run.finished_at?;
        let waves = steps.iter().map(|step| step.wave).max().unwrap_or(0).max(1);
        let grace = run.stop_timeout_seconds.unwrap_or(20).max(20);
        let waits = steps.iter().flat_map(|step| &step.wait_for);
        let longest = waits.map(|wait| match wait.condition {
            Condition::ServiceCompletedSuccessfully => 600,
            _ => wait.seconds.unwrap_or(120),
        });
        let budget =
            Duration::from_secs(u64::try_from(waves * (grace + longest.max().unwrap_or(120)) + 60).ok()?);
        let mut bound = run.deadline_at.max(run.started_at.unwrap_or(run.created_at) + budget);
        for (from, up) in &self.down {
            if *from <= finished
                && let Some(up) = up.filter(|up| *up >= run.created_at)
            {
                bound = bound.max(up + budget);
            }
        }
        bound += Duration::from_secs(60);
        (finished > bound).then(|| format!("I2: it ended at {finished}, after {bound}: {run:?}\n{steps:#?}"))
    }
}

/// Whether a step commits to a call.
fn explains(step: &Step, (endpoint, name, at): &Act) -> bool {
    let fits = match step.action {
        Action::Start => matches!(endpoint, Endpoint::Start | Endpoint::Unpause),
        Action::Stop => *endpoint == Endpoint::Stop,
        // Half a restart is an outage: it is started.
        Action::Restart => matches!(endpoint, Endpoint::Restart | Endpoint::Start),
        Action::Pause => *endpoint == Endpoint::Pause,
        // What a restart of the daemon ended while it was paused is started.
        Action::Unpause => matches!(endpoint, Endpoint::Unpause | Endpoint::Start),
    };
    fits && step.container == *name
        && step.issued_at.is_some_and(|issued| issued <= *at)
        && step.finished_at.is_none_or(|finished| *at <= finished)
}

/// What was done, the newest so many runs of it.
pub fn stored(machine: &Machine, newest: i64) -> (BTreeMap<RunId, Run>, Vec<Step>) {
    machine.look(async |db| {
        let runs = db::history::list(db, db::history::RunSelection::default(), None, newest)
            .await
            .expect("they read");
        let ids: Vec<RunId> = runs.iter().map(|run| run.id.clone()).collect();
        let mut steps = Vec::new();
        for some in ids.chunks(500) {
            steps.extend(db::history::steps(db, some).await.expect("they read"));
        }
        (runs.into_iter().map(|run| (run.id.clone(), run)).collect(), steps)
    })
}

/// Every container that a rule may be for.
async fn facts(app: App) -> Vec<Fact> {
    let book = RuleBook::load(&app).await.expect("it reads");
    let rules = &book.rules;
    let now = app.clock.now();
    let moment = rules.at(now);
    let inventory = app.hosts.local().inventory();
    let host = HostId::local();
    let naps = book.naps(&host);
    let applied = db::applied::of_host(&app.db, &host).await.expect("they read");
    let ordinary = inventory.containers.iter().filter(|container| container.is_ordinary());
    ordinary
        .map(|container| {
            let desired = moment.desired(Place::of(container));
            let applied = applied.get(&container.identity);
            Fact {
                name: container.name.clone(),
                is_up: container.state.is_up(),
                is_paused: container.state == docknap::domain::inventory::ContainerState::Paused,
                naps: naps.get(&container.identity).is_some_and(|nap| nap.holds(container, &inventory)),
                is_protected: container.protection.is_some(),
                wanted: desired.wanted,
                policy: desired.rule().map(|rule| rule.policy),
                by_window: matches!(desired.layer, Layer::Window(..)),
                sleep_hours: moment.by_window(Place::of(container)).wanted == Some(DesiredState::Asleep),
                by_unpause: matches!(desired.layer, Layer::Override(one) if one.reason.starts_with("unpaused")),
                put_back_due: applied.is_some_and(|applied| applied.put_back_at.is_some()),
                gave_up: applied.is_some_and(|applied| {
                    applied.put_backs >= docknap::domain::applied::MOST_PUT_BACKS
                }),
                settled: applied.is_none_or(|applied| applied.settled),
            }
        })
        .collect()
}
