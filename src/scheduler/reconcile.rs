//! Reconciliation: makes the runs that give the containers of every connected host their desired state.
//!
//! 1. Close the overrides whose end has passed; for each target, make up for the newest cron fire that the override
//!    suppressed (rulings 4).
//! 2. Separate the changes by others since the last reconciliation from those by DockNap, by the steps of its runs.
//! 3. Decide about each container with the pure function in `domain::reconcile`.
//! 4. In one transaction, store the new applied states together with the runs for them: one run per stack, direction
//!    and rule. A crash neither loses nor doubles them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use crate::app::audit::Audit;
use crate::app::execute::{self, Prepared, Request};
use crate::app::external_changes::Taken;
use crate::app::manual_changes::ManualChange;
use crate::app::overrides::{self, NewOverride};
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Result, targets, traces};
use crate::config::Labels;
use crate::db::{self, Tx};
use crate::docker::{ContainerEvent, Host};
use crate::domain::action::Action;
use crate::domain::applied::{Applied, AppliedStates};
use crate::domain::contradiction;
use crate::domain::desired::{Desired, Layer, Moment, WindowRule};
use crate::domain::ids::{RunId, ScheduleId};
use crate::domain::inventory::{ContainerState, Inventory};
use crate::domain::nap::{Nap, NapKind, Sample, Sleep};
use crate::domain::overrides::{DesiredState, FOUND_RUNNING, NAP_OVER, OUTSIDE, Override, Reach, WAKE_OVER};
use crate::domain::place::Place;
use crate::domain::reconcile::{AtWork, Cause, ExternalAction, Finding, ReconcileInput, Verdict};
use crate::domain::run::{ActorRef, Run, RunState, Trigger};
use crate::domain::schedule::Wake;
use crate::domain::target::{ContainerIdentity, Subject, Target, TargetType, unschedulable_name};
use crate::domain::text::chain;
use crate::domain::window::Phase;

/// Makes and stores the runs that establish the desired state, and returns their ids.
///
/// # Errors
/// The database cannot be read or written; nothing has been stored then for the host in question.
pub async fn reconcile(app: &App) -> Result<Vec<RunId>> {
    app.external_changes.looks();
    let outcome = reconcile_all(app).await;
    if outcome.is_err() {
        // Makes the next pass reconcile everything again. The runs of the other hosts begin now.
        app.external_changes.rules_changed();
        app.active_runs.wake();
    }
    outcome
}

async fn reconcile_all(app: &App) -> Result<Vec<RunId>> {
    let now = app.clock.now();
    let (mut runs, mut failed) = (Vec::new(), None);
    let mut book = RuleBook::load(app).await?;
    let ended: Vec<Override> =
        book.rules.overrides().iter().filter(|one| one.until <= now).cloned().collect();
    for one in &ended {
        runs.extend(end_override(app, one, &book).await?);
    }
    if !runs.is_empty() {
        // The actions of these runs may have added overrides.
        book = RuleBook::load(app).await?;
    }
    for host in app.hosts.all() {
        // One that was connected in this very pass is left to the next: its labels may say something else by now.
        let is_read = || app.config.labels == Labels::Off || app.external_changes.labels_are_read(host.id());
        if host.inventory().is_connected() && is_read() {
            let taken = app.external_changes.take(host.id());
            let found = reconcile_host(app, &host, &book, &taken).await;
            match found {
                Ok(found) => runs.extend(found),
                Err(error) => {
                    tracing::error!(host = %host.id(), error = %chain(&error), "a host cannot be reconciled");
                    // The changes of this host were not handled.
                    app.external_changes.restore(host.id(), taken);
                    failed = failed.or(Some(error));
                }
            }
        }
    }
    match failed {
        None => Ok(runs),
        Some(error) => Err(error),
    }
}

async fn reconcile_host(app: &App, host: &Host, book: &RuleBook, taken: &Taken) -> Result<Vec<RunId>> {
    let rules = &book.rules;
    let applied = db::applied::of_host(&app.db, host.id()).await?;
    if rules.is_empty() && applied.is_empty() && taken.sightings.is_empty() {
        return Ok(Vec::new());
    }
    let naps = book.naps(host.id());
    let moment = rules.at(app.clock.now());
    let busy = busy(app, host, &host.inventory()).await?;
    // Changes by others during a run of DockNap are handled after its end; the end wakes the scheduler.
    let (later, sightings): (Vec<_>, Vec<_>) =
        taken.sightings.iter().cloned().partition(|sighting| busy.contains_key(&sighting.identity));
    let first_look = |identity: &ContainerIdentity| taken.fresh.or_else(|| taken.late.get(identity).copied());
    let late = busy.keys().filter_map(|identity| Some((identity.clone(), first_look(identity)?)));
    app.external_changes.requeue(host.id(), later, late);
    let unexplained = by_others(app, host, sightings).await?;
    traces::keep(app, host, &unexplained, naps).await?;
    let inventory = &host.inventory();
    let sighted = external_actions(unexplained, inventory);
    let left = left_groups(app, host, book, &moment, &applied).await?;
    let look = ReconcileInput {
        moment: &moment,
        inventory,
        applied: &applied,
        naps,
        sighted: &sighted,
        busy: &busy,
        fresh: taken.fresh,
        ahead: host.by_engine(moment.now).duration_since(moment.now),
        late: &taken.late,
        left: &left,
    };
    let findings = look.findings();
    if findings.is_empty() {
        return Ok(Vec::new());
    }
    let reconciliation = HostReconciliation { app, host, inventory, book, now: moment.now };
    reconciliation.store(findings).await
}

/// The napping containers that no rule covers any more, with the window that put them to sleep: of a group that they
/// left, or of services of their stack that no longer include them.
async fn left_groups<'a>(
    app: &App,
    host: &Host,
    book: &'a RuleBook,
    moment: &Moment<'_>,
    applied: &AppliedStates,
) -> Result<HashMap<ContainerIdentity, &'a WindowRule>> {
    let (inventory, naps) = (host.inventory(), book.naps(host.id()));
    let is_left = |rule: &&WindowRule| {
        let is_part = rule.target.host == *host.id() && rule.target.subject.services().is_some();
        rule.target.target_type() == TargetType::Group || is_part
    };
    let left_by_some = || book.rules.windows().iter().filter(is_left);
    if left_by_some().next().is_none() {
        return Ok(HashMap::new());
    }
    let asleep = applied.iter().filter(|(_, applied)| applied.state == Phase::Asleep && !applied.puts_back);
    let without_rule = asleep.filter_map(|(identity, _)| {
        let (container, nap) = (inventory.by_identity(identity)?, naps.get(identity)?);
        let is_left =
            moment.desired(Place::of(container)).wanted.is_none() && nap.holds(container, &inventory);
        is_left.then(|| (identity.clone(), nap.run_id.clone()))
    });
    let mut left = HashMap::new();
    for (identity, run) in without_rule {
        let schedule = db::runs::get(&app.db, &run).await?.and_then(|run| run.schedule_id);
        let stack = match &identity {
            ContainerIdentity::Service { project, .. } => Some(project.as_str()),
            ContainerIdentity::Name(_) => None,
        };
        let mut by_it = left_by_some().filter(|rule| Some(&rule.id) == schedule.as_ref());
        let is_of_its_stack = |rule: &&WindowRule| {
            rule.target.subject.services().is_none() || rule.target.subject.stack() == stack
        };
        let rule = by_it.find(is_of_its_stack);
        if let Some(rule) = rule {
            left.insert(identity, rule);
        }
    }
    Ok(left)
}

/// The containers with an open run of DockNap, and the effects of those runs on them.
async fn busy(app: &App, host: &Host, inventory: &Inventory) -> Result<HashMap<ContainerIdentity, AtWork>> {
    let mut busy: HashMap<ContainerIdentity, AtWork> = HashMap::new();
    let mut add = |identity: ContainerIdentity, action: Action| {
        let at_work = busy.entry(identity).or_default();
        if action.reverses_order() {
            at_work.sleeps = true;
        } else {
            at_work.wakes = true;
        }
    };
    for (identity, action) in app.active_runs.touched(host.id()) {
        add(identity, action);
    }
    for state in [RunState::Pending, RunState::Executing] {
        for run in db::runs::in_state(&app.db, state).await? {
            if run.target.host == *host.id() {
                for member in inventory.members(&run.target.subject) {
                    add(member.identity.clone(), run.action);
                }
            }
        }
    }
    Ok(busy)
}

/// The events that no step of DockNap explains, in order of time.
async fn by_others(
    app: &App,
    host: &Host,
    mut sightings: Vec<ContainerEvent>,
) -> Result<Vec<ContainerEvent>> {
    sightings.sort_by_key(|sighting| sighting.at);
    let mut unexplained = Vec::new();
    for sighting in sightings {
        let (identity, action, at) = (&sighting.identity, &sighting.action, sighting.at);
        if !db::steps::explain(&app.db, host.id(), identity, action, at).await? {
            unexplained.push(sighting);
        }
    }
    Ok(unexplained)
}

/// The latest deliberate change of each container by others.
fn external_actions(
    unexplained: Vec<ContainerEvent>,
    inventory: &Inventory,
) -> HashMap<ContainerIdentity, ExternalAction> {
    let matches_state = |identity: &ContainerIdentity, action: ExternalAction| {
        inventory
            .by_identity(identity)
            .is_some_and(|one| one.state.is_up() == (action == ExternalAction::Woke))
    };
    let mut latest: HashMap<ContainerIdentity, ExternalAction> = HashMap::new();
    // While compose re-creates a container, the old and the new one have the same identity, and their events may arrive
    // in any order. Of two events at the same instant, the one that matches the actual state counts.
    let mut last: HashMap<ContainerIdentity, Timestamp> = HashMap::new();
    for sighting in unexplained {
        let action = match sighting.action.as_str() {
            "start" | "unpause" => ExternalAction::Woke,
            "stop" | "pause" => ExternalAction::Slept,
            _ => continue,
        };
        let known = latest.get(&sighting.identity).copied();
        let at_once = last.insert(sighting.identity.clone(), sighting.at) == Some(sighting.at);
        if !(at_once && known.is_some_and(|known| matches_state(&sighting.identity, known))) {
            latest.insert(sighting.identity, action);
        }
    }
    latest
}

/// The data for storing the findings of one host.
struct HostReconciliation<'a> {
    app: &'a App,
    host: &'a Host,
    inventory: &'a Inventory,
    book: &'a RuleBook,
    now: Timestamp,
}

/// The containers that share one run.
#[derive(Debug)]
struct SharedRun<'a> {
    desired: Desired<'a>,
    members: Vec<(ContainerIdentity, Applied)>,
}

/// The key by which findings are grouped into runs: target, desired state, cause and rule.
type Key = (Target, Phase, Cause, Option<ScheduleId>);

impl<'a> HostReconciliation<'a> {
    async fn store(&self, findings: Vec<Finding<'a>>) -> Result<Vec<RunId>> {
        let mut groups: BTreeMap<Key, SharedRun<'a>> = BTreeMap::new();
        let mut rest = Vec::new();
        for finding in findings {
            match &finding.verdict {
                Verdict::Act { phase, cause, applied } => {
                    let rule = finding.desired.rule().map(|rule| rule.id.clone());
                    let key = (self.acted_on(&finding, *cause), *phase, *cause, rule);
                    let applied = applied.clone();
                    let group = SharedRun { desired: finding.desired, members: Vec::new() };
                    groups.entry(key).or_insert(group).members.push((finding.identity, applied));
                }
                _ => rest.push(finding),
            }
        }
        let mut runs = Vec::new();
        let mut prepared = Vec::new();
        for (mut key, group) in groups {
            if let (Cause::Ended, [(alone, _)]) = (key.2, group.members.as_slice()) {
                key.0 = Target::container(self.host.id().clone(), alone.clone());
            }
            let request = self.request(&key, &group);
            let (app, actor) = (self.app, Actor::scheduler());
            let run = execute::prepare(app, &actor, request, self.inventory, self.book, self.now).await?;
            prepared.push((run, group));
        }
        let mut tx = self.app.db.begin().await?;
        for finding in rest {
            self.store_finding(&mut tx, finding).await?;
        }
        for (mut prepared, group) in prepared {
            for (identity, applied) in &group.members {
                db::applied::put(&mut tx, self.host.id(), identity, applied).await?;
            }
            let run = &prepared.run;
            let twin = db::runs::open_twin(&mut tx, run).await?;
            // A pending run makes its plan when it starts, so it covers this one.
            if twin.is_some_and(|twin| twin.state == RunState::Pending) {
                continue;
            }
            let actor = Actor::scheduler();
            if !execute::store(&mut tx, self.app, &actor, &prepared).await? {
                // This edge already has a run. A skipped run gives up its fire instant; otherwise this run, for the
                // containers that the other did not reach, is stored without one.
                if !db::runs::give_way(&mut tx, &prepared.run).await? {
                    prepared.run.fire_at = None;
                }
                execute::store(&mut tx, self.app, &actor, &prepared).await?;
            }
            runs.push(prepared.run.id);
        }
        tx.commit().await?;
        Ok(runs)
    }

    /// The target of the run for a finding: for a window of a host or group, the whole host or the part of the group on
    /// it; for a window or override of services, these services; otherwise the stack of the container, or the container
    /// if it has no stack. The container alone is also the target if the deciding rule is for it alone or the run
    /// reverts a change by others, except at the end of a temporary state (`Cause::Ended`).
    fn acted_on(&self, finding: &Finding<'_>, cause: Cause) -> Target {
        let container = Target::container(self.host.id().clone(), finding.identity.clone());
        let is_wide_edge = |rule: &WindowRule| rule.target.is_wide() && cause == Cause::Change;
        let is_part = |target: &Target| {
            target.subject.services().is_some() && cause != Cause::PutBack && cause != Cause::Ended
        };
        let narrow = match finding.desired.layer {
            Layer::Window(rule, _) if is_wide_edge(rule) => {
                return Target { host: self.host.id().clone(), subject: rule.target.subject.clone() };
            }
            Layer::Window(rule, _) if is_part(&rule.target) => return rule.target.clone(),
            Layer::Window(rule, _) => rule.target == container,
            Layer::Override(Override { reach: Reach::Target(target), .. }) if is_part(target) => {
                return target.clone();
            }
            Layer::Hold(one) | Layer::Override(one) => one.reach == Reach::Target(container.clone()),
            Layer::None => true,
        };
        match &finding.identity {
            // A stack whose name cannot be scheduled may not be the target of a run.
            ContainerIdentity::Service { project, .. }
                if unschedulable_name(project).is_none()
                    && (cause == Cause::Ended || !narrow && cause != Cause::PutBack) =>
            {
                Target::stack(self.host.id().clone(), project.clone())
            }
            _ => container,
        }
    }

    fn request(&self, (target, phase, cause, _): &Key, group: &SharedRun<'_>) -> Request {
        let rule = group.desired.rule();
        // An override uses the sleep action of the window that it overrides.
        let place = Place::of_target(target);
        let sleep =
            rule.or_else(|| self.book.rules.windows_for(place).first().copied()).map(|rule| rule.sleep);
        let action = match phase {
            Phase::Asleep => sleep.unwrap_or(Action::Stop),
            Phase::Awake => Action::Start,
        };
        let trigger = if rule.is_some() { Trigger::Window } else { Trigger::Override };
        let why = group.desired.why(&self.book.zone.zone);
        Request {
            schedule: rule.map(|rule| (rule.id.clone(), rule.title.clone())),
            fire_at: rule
                .filter(|_| *cause == Cause::Change)
                .and_then(|_| self.book.rules.window_edge_before(place, self.now)),
            stop_timeout_seconds: rule.and_then(|rule| rule.stop_timeout_seconds),
            restore: *phase == Phase::Awake
                && *cause != Cause::PutBack
                && rule.is_none_or(|rule| rule.wake == Wake::Restore),
            // A guard only applies at the start of a sleep; a sleep that somebody interrupted is restored at once.
            guard: rule
                .filter(|_| *phase == Phase::Asleep && matches!(cause, Cause::Change | Cause::Again))
                .and_then(|rule| rule.guard.clone()),
            reason: match cause {
                Cause::Change => why,
                Cause::Again => format!("again, since it failed: {why}"),
                Cause::DaemonRestart => format!("daemon restart: Docker brought it back; {why}"),
                Cause::PutBack => format!("put back: somebody else changed it; {why}"),
                Cause::Ended if *phase == Phase::Awake => NAP_OVER.to_owned(),
                Cause::Ended => WAKE_OVER.to_owned(),
            },
            puts_back: (*cause == Cause::Ended)
                .then(|| group.members.iter().map(|(identity, _)| identity.clone()).collect()),
            ..Request::now(action, target.clone(), trigger)
        }
    }

    /// Stores a finding that needs no run.
    async fn store_finding(&self, tx: &mut Tx, finding: Finding<'_>) -> Result<()> {
        let (host, identity) = (self.host.id(), &finding.identity);
        let target = Target::container(host.clone(), identity.clone());
        let name = targets::name(self.app, &target);
        match finding.verdict {
            Verdict::Accept(applied) => Ok(db::applied::put(tx, host, identity, &applied).await?),
            Verdict::Forget => Ok(db::applied::remove(tx, host, identity).await?),
            Verdict::Respect { phase, nap, is_seen } => {
                let wanted = if phase == Phase::Awake { DesiredState::Awake } else { DesiredState::Asleep };
                let new_override = NewOverride {
                    until: contradiction::lasts(&self.book.rules, &target, wanted, None, self.now),
                    reach: Reach::Target(target),
                    target_name: name,
                    wanted,
                    reason: if is_seen {
                        format!("{} outside DockNap", change_text(phase, is_seen))
                    } else {
                        change_text(phase, is_seen).to_owned()
                    },
                    by_hand: true,
                    puts_back: false,
                };
                if nap && phase == Phase::Asleep {
                    self.nap_again(tx, identity).await?;
                }
                let was = (nap && phase == Phase::Awake).then_some(Phase::Asleep);
                let members = [(identity.clone(), was)];
                overrides::record_override(
                    tx,
                    self.app,
                    &outside_actor(),
                    new_override,
                    host,
                    &members,
                    self.now,
                )
                .await
            }
            Verdict::Observe { phase, is_seen } => {
                self.record(tx, &name, &target, "observe", change_text(phase, is_seen)).await
            }
            Verdict::GiveUp(applied) => {
                tracing::warn!(container = name, "changed by others again and again; not put back any more");
                let given_up = Applied { put_back_at: None, ..applied };
                db::applied::put(tx, host, identity, &given_up).await?;
                self.record(tx, &name, &target, "give_up", "changed by others again and again").await
            }
            Verdict::Act { .. } => Ok(()),
        }
    }

    /// Stores a new nap for a container that somebody woke and put back to sleep, so that the wake edge wakes it.
    async fn nap_again(&self, tx: &mut Tx, identity: &ContainerIdentity) -> Result<()> {
        let known = self.book.naps(self.host.id()).get(identity);
        let run_id = match known {
            Some(nap) => Some(nap.run_id.clone()),
            None => db::steps::last_run(tx, self.host.id(), identity).await?,
        };
        let (Some(container), Some(run_id)) = (self.inventory.by_identity(identity), run_id) else {
            return Ok(());
        };
        let is_paused = container.state == ContainerState::Paused;
        let kind = if is_paused { NapKind::Pause } else { NapKind::Stop };
        // The nap must begin after the latest trace, which is the event that put the container back to sleep. The extra
        // millisecond is needed because the database stores whole milliseconds.
        let seen = self.inventory.traces.get(identity).map(|trace| trace.at + Duration::from_millis(1));
        let now = self.host.by_engine(self.now);
        let nap = Nap { kind, run_id: run_id.clone(), since: seen.map_or(now, |seen| seen.max(now)) };
        db::naps::put(tx, self.host.id(), identity, &nap).await?;
        let by_our_clock = |at: Option<Timestamp>| at.map(|at| self.host.by_us(at));
        let sleep = Sleep {
            host: self.host.id().clone(),
            identity: identity.clone(),
            kind,
            run_id,
            from: by_our_clock(container.finished_at.filter(|_| !is_paused))
                .unwrap_or(self.now)
                .min(self.now),
            until: None,
            sample: Sample::default(),
        };
        Ok(db::sleeps::begin(tx, &sleep, by_our_clock(container.started_at)).await?)
    }

    async fn record(&self, tx: &mut Tx, name: &str, target: &Target, verb: &str, reason: &str) -> Result<()> {
        let row = Audit::new(self.app, &outside_actor(), format!("container.{verb}")).target(target, name);
        row.reason(reason).store(tx).await
    }
}

/// The actor for changes that were not made through DockNap.
fn outside_actor() -> Actor {
    Actor::of(ActorRef { kind: OUTSIDE.to_owned(), id: None, name: "outside DockNap".to_owned() })
}

/// The change by somebody else, as text; if it was not observed, how its result was found.
fn change_text(phase: Phase, is_seen: bool) -> &'static str {
    match (phase, is_seen) {
        (Phase::Awake, true) => "started",
        (Phase::Asleep, true) => "stopped",
        (Phase::Awake, false) => FOUND_RUNNING,
        (Phase::Asleep, false) => "found stopped; it ended while nobody was watching",
    }
}

/// Closes an override whose end has passed. For each target, the newest suppressed fire is made up for, unless a later
/// run or window edge sets the target's state.
async fn end_override(app: &App, one: &Override, book: &RuleBook) -> Result<Vec<RunId>> {
    let now = app.clock.now();
    let moment = book.rules.at(now);
    let mut newest: BTreeMap<Target, Run> = BTreeMap::new();
    // The end of a hold makes up for nothing.
    if one.wanted != DesiredState::Hold {
        for run in db::runs::suppressed_since(&app.db, one.created_at).await? {
            if one.reach.covers(Place::of_target(&run.target), book.rules.groups()).is_some() {
                newest.insert(run.target.clone(), run);
            }
        }
    }
    let mut prepared = Vec::new();
    for (target, run) in newest {
        // A later window edge would have reversed the fire.
        let fired = run.fire_at.unwrap_or(run.created_at);
        let is_last = !db::runs::is_followed(&app.db, &run).await?
            && !book.rules.has_window_edge(Place::of_target(&target), fired, now);
        if !is_last || contradiction::suppressed(&moment, &target, run.action, &book.zone.zone).is_some() {
            continue;
        }
        let Some(host) = app.hosts.get(&target.host) else { continue };
        let request = Request {
            schedule: run.schedule_id.clone().map(|id| (id, run.schedule_name.clone().unwrap_or_default())),
            stop_timeout_seconds: run.stop_timeout_seconds,
            restore: run.restore,
            guard: run.guard.clone(),
            leaves: run.leaves.clone(),
            known_as: Some(run.target_name.clone()),
            reason: format!("an override held it back until {}", one.until.strftime("%Y-%m-%d %H:%M UTC")),
            ..Request::now(run.action, target, Trigger::Override)
        };
        let inventory = host.inventory();
        let run = execute::prepare(app, &Actor::scheduler(), request, &inventory, book, now).await?;
        prepared.push((run, inventory));
    }
    let gone = is_gone(app, one);
    let reason = match one.closed_reason.as_str() {
        "" if gone => "its target is gone",
        "" => "expired",
        text => text,
    };
    let mut tx = app.db.begin().await?;
    let mut runs = Vec::new();
    if db::overrides::close(&mut tx, &one.id, now.min(one.until), reason).await? {
        for (prepared, inventory) in &prepared {
            execute::store(&mut tx, app, &Actor::scheduler(), prepared).await?;
            // A run with a guard affects windows and overrides only when it starts.
            if prepared.run.guard.is_none() {
                let (actor, rules) = (&Actor::scheduler(), &book.rules);
                let Prepared { run, steps } = prepared;
                let change = ManualChange { app, actor, run, steps, inventory, rules, now };
                change.apply_policy(&mut tx).await?;
            }
            runs.push(prepared.run.id.clone());
        }
    }
    tx.commit().await?;
    Ok(runs)
}

fn is_gone(app: &App, one: &Override) -> bool {
    let Reach::Target(target) = &one.reach else { return false };
    if let Subject::Group(_) = &target.subject {
        return false;
    }
    let Some(host) = app.hosts.get(&target.host) else { return true };
    let inventory = host.inventory();
    inventory.is_connected()
        && match &target.subject {
            Subject::Stack(name) | Subject::Services { stack: name, .. } => !inventory.has_stack(name),
            Subject::Container(identity) => inventory.by_identity(identity).is_none(),
            Subject::Host | Subject::Group(_) => false,
        }
}
