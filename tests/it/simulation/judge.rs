//! Checks the invariants of semantics §8 from outside: the calls that the Engine received, the containers that are
//! up, and the rows that are stored. [`Judge::check`] runs whenever nothing is in progress, [`Judge::check_stored`]
//! at the end of the month.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use docknap::app::App;
use docknap::app::rulebook::RuleBook;
use docknap::db;
use docknap::domain::action::Action;
use docknap::domain::desired::Layer;
use docknap::domain::ids::RunId;
use docknap::domain::overrides::DesiredState;
use docknap::domain::place::Place;
use docknap::domain::run::{Condition, Run, Step, StepState, Trigger};
use docknap::domain::schedule::Policy;
use docknap::sim::Endpoint;
use jiff::Timestamp;

use super::chance::{NAS_CONTAINERS, UNTOUCHED};
use super::machine::Machine;

/// Docker's events within this time of one of DockNap's steps count as caused by it (semantics §2, rulings 5).
const NEAR: Duration = Duration::from_secs(7);

/// A limit above the number of runs in a month.
pub const ALL: i64 = 100_000;
/// A limit above the number of runs that end between two checks.
const RECENT: i64 = 30;

/// A call that changed a container: endpoint, container name, instant.
type Act = (Endpoint, String, Timestamp);

/// The desired and the actual state of a container.
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
    /// Its windows want it asleep, regardless of overrides.
    in_sleep_window: bool,
    /// A user unpaused its stack, which DockNap respects; containers that were stopped are not meant by that.
    by_unpause: bool,
    put_back_due: bool,
    gave_up: bool,
    settled: bool,
}

/// State that is kept between checks.
#[derive(Default)]
pub struct Judge {
    /// Desired state of each container at the last check.
    wanted: BTreeMap<String, Option<DesiredState>>,
    /// Containers that may differ from their desired state until that changes, with the reason.
    excused: BTreeMap<String, String>,
    /// Containers that others stopped or that ended by themselves, since when. The end of a sleep must not start
    /// them.
    off: BTreeMap<String, Timestamp>,
    /// Containers whose windows want them asleep. A stop by others turns them back into a nap, which their window
    /// ends.
    in_sleep_window: BTreeSet<String>,
    /// Last instant at which each container's desired state was found unchanged; runs that ended earlier excuse
    /// nothing.
    same_until: BTreeMap<String, Timestamp>,
    /// Instant of the last check.
    last_check: Option<Timestamp>,
    /// Number of calls checked so far, of each Engine.
    acts: [usize; 2],
    /// Since when the host `nas` is disabled or not there; `None` while it may be called.
    nas_off: Option<Timestamp>,
    /// Time ranges in which DockNap was not running.
    down: Vec<(Timestamp, Option<Timestamp>)>,
    /// Containers locked by users, with the instant since which they are.
    pub locked: BTreeMap<String, Timestamp>,
    /// Ended runs checked so far.
    seen: BTreeSet<RunId>,
}

impl Judge {
    /// Containers that are down at the start count as stopped on purpose.
    pub fn new(machine: &Machine) -> Self {
        let all = machine.sim.containers().into_iter().chain(machine.nas.containers());
        let off = all.filter(|seen| seen.state != "running");
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

    /// Lets a container differ from its desired state until that changes.
    pub fn excuse(&mut self, name: &str, why: impl Into<String>) {
        self.excused.entry(name.to_owned()).or_insert_with(|| why.into());
    }

    /// Records that somebody other than DockNap stopped a container. `is_clear` is true if none of DockNap's steps
    /// was near in time. A container stopped during its sleep may be woken at the end of it.
    pub fn stopped_by_others(&mut self, machine: &Machine, name: &str, is_clear: bool) {
        if is_clear && !self.in_sleep_window.contains(name) {
            self.off.insert(name.to_owned(), machine.clock.now());
        } else {
            self.off.remove(name);
        }
    }

    /// Records that somebody other than DockNap started a container.
    pub fn started_by_others(&mut self, name: &str) {
        self.off.remove(name);
    }

    /// Records a start of the daemon, after which restart policies may have started any container.
    pub fn daemon_started(&mut self, machine: &Machine) {
        self.off.retain(|name, _| {
            let state = machine.engine_of(name).state(name);
            state == "exited" || state == "created"
        });
    }

    /// Notes whether the host `nas` may be called from now on.
    pub fn host_changed(&mut self, machine: &Machine) {
        let may_be_called = machine.stored_nas().is_some_and(|host| host.enabled);
        self.nas_off = (!may_be_called).then(|| self.nas_off.unwrap_or_else(|| machine.clock.now()));
    }

    /// Whether one of DockNap's steps for the container is near in time, so that an action of others may be taken for
    /// DockNap's.
    pub fn is_near(machine: &Machine, name: &str) -> bool {
        let now = machine.clock.now();
        let (name, from) = (name.to_owned(), now - NEAR);
        machine.read_db(async move |db| {
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

    /// Checks I3, I4, I5 and I6 while nothing is in progress, and that containers stopped on purpose stay down.
    /// Returns the violations.
    pub fn check(&mut self, machine: &Machine) -> Vec<String> {
        let mut wrong = Vec::new();
        let Some(facts) = machine.call(facts) else { return wrong };
        for fact in &facts {
            if fact.in_sleep_window {
                self.in_sleep_window.insert(fact.name.clone());
            } else {
                self.in_sleep_window.remove(&fact.name);
            }
            let before = self.wanted.insert(fact.name.clone(), fact.wanted);
            if before != Some(fact.wanted) {
                self.excused.remove(&fact.name);
                self.same_until.extend(self.last_check.map(|last_check| (fact.name.clone(), last_check)));
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
        self.last_check = Some(machine.clock.now());
        wrong.extend(self.check_calls(machine));
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
                // An unpause does not apply here: the container naps until its windows change.
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

    fn check_calls(&mut self, machine: &Machine) -> Vec<String> {
        let acts: [Vec<Act>; 2] = [machine.sim.acts(), machine.nas.acts()];
        let fresh = [&acts[0][self.acts[0]..], &acts[1][self.acts[1]..]].concat();
        self.acts = acts.each_ref().map(Vec::len);
        let (runs, steps) = stored_runs(machine, RECENT);
        let mut wrong = Vec::new();
        for act in &fresh {
            if NAS_CONTAINERS.contains(&act.1.as_str()) && self.nas_off.is_some_and(|off| off < act.2) {
                wrong.push(format!("{act:?} on a host that may not be called"));
            }
        }
        for act @ (endpoint, name, at) in &fresh {
            // A call that was made before the lock is checked after it.
            let is_locked = self.locked.get(name).is_some_and(|since| since <= at);
            if UNTOUCHED.contains(&name.as_str()) || is_locked {
                wrong.push(format!("I6: {endpoint:?} of {name} at {at}"));
            }
            let Some(step) = steps.iter().find(|step| causes(step, act)) else {
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
        // A step that failed excuses its container; a later run may have corrected it.
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

    /// Checks the stored rows at the end of the month: I2, I4 and I8. Returns the violations.
    pub fn check_stored(&self, machine: &Machine) -> Vec<String> {
        let mut wrong = Vec::new();
        let (runs, steps) = stored_runs(machine, ALL);
        let acts = machine.acts();
        for step in steps.iter().filter(|step| step.action == Action::Restart) {
            let restarts = acts.iter().filter(|act| act.0 == Endpoint::Restart && causes(step, act)).count();
            if restarts > 1 {
                wrong.push(format!("I4: {} was restarted {restarts} times: {step:?}", step.container));
            }
        }
        let rows = machine.read_db(async |db| {
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
            let ended_at_creation = run.started_at.is_none() && run.finished_at == Some(run.created_at);
            let ends = ended.get(run.id.as_str()).map(Vec::as_slice).unwrap_or_default();
            let is_audited = match ends {
                [] => ended_at_creation,
                [one] => *one == run.state.as_str(),
                _ => false,
            };
            if !is_audited {
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

    /// I2: whether a run took longer than allowed. Time in which DockNap was not running does not count, and the
    /// budget starts again after it.
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

/// Whether a step is the cause of a call.
fn causes(step: &Step, (endpoint, name, at): &Act) -> bool {
    let fits = match step.action {
        Action::Start => matches!(endpoint, Endpoint::Start | Endpoint::Unpause),
        Action::Stop => *endpoint == Endpoint::Stop,
        // A restart that stopped halfway is completed by a start.
        Action::Restart => matches!(endpoint, Endpoint::Restart | Endpoint::Start),
        Action::Pause => *endpoint == Endpoint::Pause,
        // A paused container that was ended by a restart of the daemon is started.
        Action::Unpause => matches!(endpoint, Endpoint::Unpause | Endpoint::Start),
    };
    fits && step.container == *name
        && step.issued_at.is_some_and(|issued| issued <= *at)
        && step.finished_at.is_none_or(|finished| *at <= finished)
}

/// The newest runs with their steps.
pub fn stored_runs(machine: &Machine, newest: i64) -> (BTreeMap<RunId, Run>, Vec<Step>) {
    machine.read_db(async |db| {
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

/// The state of every container that a rule may apply to, on the hosts that are connected.
async fn facts(app: App) -> Vec<Fact> {
    let book = RuleBook::load(&app).await.expect("it reads");
    let rules = &book.rules;
    let now = app.clock.now();
    let moment = rules.at(now);
    let mut facts = Vec::new();
    for host in app.hosts.all().into_iter().filter(|host| host.inventory().is_connected()) {
        let inventory = host.inventory();
        let naps = book.naps(host.id());
        let applied = db::applied::of_host(&app.db, host.id()).await.expect("they read");
        let ordinary = inventory.containers.iter().filter(|container| container.is_ordinary());
        facts.extend(ordinary.map(|container| {
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
                in_sleep_window: moment.by_window(Place::of(container)).wanted == Some(DesiredState::Asleep),
                by_unpause: matches!(desired.layer, Layer::Override(one) if one.reason.starts_with("unpaused")),
                put_back_due: applied.is_some_and(|applied| applied.put_back_at.is_some()),
                gave_up: applied.is_some_and(|applied| {
                    applied.put_backs >= docknap::domain::applied::MOST_PUT_BACKS
                }),
                settled: applied.is_none_or(|applied| applied.settled),
            }
        }));
    }
    facts
}
