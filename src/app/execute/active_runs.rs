//! The runs in progress in this process, and the channel that makes a run stop acting on some or all containers.
//!
//! Of several requests that conflict over a container the newest wins (semantics §4, rulings 11). An older run gives up
//! only the contested containers, each at its next step boundary, and continues with the rest: a start of one container
//! of a stack does not cancel the nap of the others.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::early::EarlyLooks;
use super::locks::Locks;
use super::looks::Looks;
use crate::app::Activator;
use crate::domain::action::Action;
use crate::domain::ids::{HostId, RunId};
use crate::domain::inventory::Inventory;
use crate::domain::run::{Run, Step};
use crate::domain::target::{ContainerIdentity, Target};

/// Containers that a run gives up, each with a description of the request that took it over.
pub(super) type GivenUp = BTreeMap<ContainerIdentity, String>;

/// Whether a run continues, and which containers it gives up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Control {
    cancelled_by: Option<String>,
    given_up: GivenUp,
}

impl Control {
    /// A run that gives up some containers from the beginning.
    pub fn without(given_up: GivenUp) -> Self {
        Self { cancelled_by: None, given_up }
    }

    /// Why the run does nothing more to a container; `None` while it continues with it.
    pub fn ends(&self, identity: &ContainerIdentity) -> Option<String> {
        match (&self.cancelled_by, self.given_up.get(identity)) {
            (Some(by), _) => Some(format!("called off by {by}")),
            (None, Some(by)) => Some(format!("superseded by {by}")),
            (None, None) => None,
        }
    }

    /// The name of the user who cancelled the run.
    pub fn cancelled_by(&self) -> Option<&str> {
        self.cancelled_by.as_deref()
    }

    /// A description of the request that took over a container.
    pub fn taken_by(&self, identity: &ContainerIdentity) -> Option<&str> {
        self.given_up.get(identity).map(String::as_str)
    }
}

/// What a run does and to which containers, as far as other runs need it.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    id: RunId,
    target: Target,
    action: Action,
    words: String,
    /// A guard may defer the run: until it begins it takes no container from other runs.
    guarded: bool,
    /// The containers whose state the run determines: those of its steps, and those already in the target state.
    touches: BTreeSet<ContainerIdentity>,
}

impl Claim {
    /// The claim of a run with these steps; without steps it covers all members of the target.
    pub fn new(run: &Run, steps: &[Step], inventory: Option<&Inventory>) -> Self {
        // What a run of a host or group leaves alone is known only when it is planned.
        let touches = if steps.is_empty() && run.target.is_wide() {
            BTreeSet::new()
        } else if steps.is_empty() {
            let members = inventory.map(|inventory| inventory.members(&run.target.subject));
            BTreeSet::from_iter(members.unwrap_or_default().iter().map(|member| member.identity.clone()))
        } else {
            let meant = steps.iter().filter(|step| step.wave > 0 || step.is_so_already());
            BTreeSet::from_iter(meant.map(|step| step.identity.clone()))
        };
        let words = format!("{} {} by {}", run.action, run.target_name, run.actor.name);
        Self {
            id: run.id.clone(),
            target: run.target.clone(),
            action: run.action,
            words,
            guarded: run.is_guarded(),
            touches,
        }
    }

    /// Whether a newer run may take containers from this one: both are on one host and their actions conflict. A
    /// restart does not take containers from a guarded run.
    fn yields_to(&self, newer: &Self) -> bool {
        self.target.host == newer.target.host
            && self.action.undoes(newer.action)
            && !(self.guarded && newer.action == Action::Restart)
    }

    /// The containers that both claims cover, where their actions conflict.
    fn contested<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a ContainerIdentity> {
        let is_other = self.target.host == other.target.host && self.action.undoes(other.action);
        self.touches.intersection(&other.touches).filter(move |_| is_other)
    }

    /// Whether a newer claim leaves this one nothing to do. A guarded run also yields to a newer unguarded run with the
    /// same action on the same target.
    pub fn is_superseded_by(&self, newer: &Self) -> bool {
        if newer.guarded {
            return false;
        }
        if self.guarded && self.action == newer.action {
            return self.target == newer.target;
        }
        self.yields_to(newer)
            && (self.target == newer.target
                || !self.touches.is_empty() && self.touches.is_subset(&newer.touches))
    }

    /// The containers this run gives up to newer ones.
    pub fn gives_up<'a>(&self, newer: impl Iterator<Item = &'a Self>) -> GivenUp {
        let mut given_up = GivenUp::new();
        for other in newer.filter(|newer| !newer.guarded && self.yields_to(newer)) {
            given_up.extend(self.contested(other).map(|identity| (identity.clone(), other.words.clone())));
        }
        given_up
    }

    /// A description for messages: `stop media by anna`.
    pub fn words(&self) -> &str {
        &self.words
    }
}

/// The runs in progress in this process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ActiveRuns(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    wake: Activator,
    locks: Locks,
    active: Mutex<HashMap<RunId, Active>>,
    /// Containers that pending runs lost to newer runs.
    lost: Mutex<HashMap<RunId, GivenUp>>,
    permits: Mutex<HashMap<(HostId, usize), Arc<Semaphore>>>,
    looks: Looks,
    early: EarlyLooks,
    /// Held while a run begins, so that a cancellation finds it either pending or active, never in between.
    beginning: tokio::sync::Mutex<()>,
    /// Held while a request is compared with existing runs and stored.
    submitting: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Active {
    claim: Claim,
    /// The run's containers whose step has not ended.
    open: BTreeSet<ContainerIdentity>,
    control: watch::Sender<Control>,
}

/// How a pending run relates to the active ones.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// A step in progress must end first.
    pub blocked: bool,
    /// Containers that newer runs have taken.
    pub given_up: GivenUp,
}

impl ActiveRuns {
    /// Wakes the runner: a pending run may be ready to begin.
    pub fn wake(&self) {
        self.0.wake.wake();
    }

    pub(super) async fn woken(&self) {
        self.0.wake.woken().await;
    }

    /// The epoch of the process that executes runs. Always 0: only one process uses an SQLite database.
    pub fn epoch(&self) -> i64 {
        0
    }

    /// The number of active runs.
    pub fn active(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn locks(&self) -> &Locks {
        &self.0.locks
    }

    pub(super) fn looks(&self) -> &Looks {
        &self.0.looks
    }

    pub(super) fn early(&self) -> &EarlyLooks {
        &self.0.early
    }

    pub(in crate::app) async fn beginning(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.beginning.lock().await
    }

    pub(super) async fn submitting(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.submitting.lock().await
    }

    /// A permit for one more container operation on a host; `None` when all are in use.
    pub(super) fn permit(&self, host: &HostId, parallelism: usize) -> Option<OwnedSemaphorePermit> {
        let mut permits = self.0.permits.lock();
        let semaphore = permits
            .entry((host.clone(), parallelism))
            .or_insert_with(|| Arc::new(Semaphore::new(parallelism.max(1))));
        Arc::clone(semaphore).try_acquire_owned().ok()
    }

    /// Cancels an active run; `false` when it is not active.
    pub(super) fn cancel(&self, id: &RunId, by: &str) -> bool {
        match self.lock().get(id) {
            Some(active) => {
                active.control.send_modify(|control| control.cancelled_by = Some(by.to_owned()));
                true
            }
            None => false,
        }
    }

    /// The containers of a host that active runs may act on, with the action of the run.
    pub fn touched(&self, host: &HostId) -> Vec<(ContainerIdentity, Action)> {
        let active = self.lock();
        let here = active.values().filter(|active| active.claim.target.host == *host);
        let touched = |active: &Active| {
            let action = active.claim.action;
            active.claim.touches.iter().map(move |one| (one.clone(), action)).collect::<Vec<_>>()
        };
        here.flat_map(touched).collect()
    }

    /// Whether a run other than `than` claims a container: with `stops` one that stops or pauses, otherwise one that
    /// starts it.
    pub(super) fn works_on(
        &self,
        host: &HostId,
        than: &RunId,
        identity: &ContainerIdentity,
        stops: bool,
    ) -> bool {
        self.lock().iter().any(|(id, active)| {
            id != than
                && active.claim.target.host == *host
                && active.claim.action.reverses_order() == stops
                && active.claim.touches.contains(identity)
        })
    }

    pub(in crate::app) fn is_active(&self, id: &RunId) -> bool {
        self.lock().contains_key(id)
    }

    /// Makes older active runs give up the contested containers. Returns what this run has to wait for and what it
    /// lost.
    pub(super) fn admit(&self, claim: &Claim) -> Admission {
        let mut admission = Admission::default();
        for (id, active) in self.lock().iter() {
            let contested: Vec<_> = claim.contested(&active.claim).cloned().collect();
            if contested.is_empty() {
                continue;
            }
            // A step in progress is never interrupted.
            admission.blocked |= contested.iter().any(|identity| active.open.contains(identity));
            if *id > claim.id {
                if !claim.yields_to(&active.claim) {
                    continue;
                }
                let by = || active.claim.words.clone();
                admission.given_up.extend(contested.into_iter().map(|identity| (identity, by())));
                continue;
            }
            active.control.send_if_modified(|control| {
                let before = control.given_up.len();
                for identity in contested {
                    control.given_up.entry(identity).or_insert_with(|| claim.words.clone());
                }
                control.given_up.len() > before
            });
        }
        admission
    }

    /// Records containers that a pending run lost; returns all it has lost so far.
    pub(super) fn record_lost(&self, id: &RunId, more: GivenUp) -> GivenUp {
        let mut lost = self.0.lost.lock();
        if more.is_empty() {
            return lost.get(id).cloned().unwrap_or_default();
        }
        let lost = lost.entry(id.clone()).or_default();
        lost.extend(more);
        lost.clone()
    }

    /// Removes the lost containers of runs that are no longer pending.
    pub(super) fn retain_lost(&self, waiting: &HashSet<&RunId>) {
        self.0.lost.lock().retain(|id, _| waiting.contains(id));
    }

    /// Registers a run as active until the returned guard is dropped.
    pub(super) fn enter(
        &self,
        claim: Claim,
        steps: &[Step],
        given_up: GivenUp,
        scheduler: &Activator,
    ) -> (ActiveRun, watch::Receiver<Control>) {
        let (control, controlled) = watch::channel(Control::without(given_up));
        let open = steps.iter().filter(|step| !step.state.is_terminal());
        let open = BTreeSet::from_iter(open.map(|step| step.identity.clone()));
        let id = claim.id.clone();
        self.lock().insert(id.clone(), Active { claim, open, control });
        (ActiveRun { active_runs: self.clone(), id, scheduler: scheduler.clone() }, controlled)
    }

    /// Marks steps of a run as ended, so that runs waiting for their containers may begin.
    pub(super) fn ended<'a>(&self, id: &RunId, identities: impl Iterator<Item = &'a ContainerIdentity>) {
        if let Some(active) = self.lock().get_mut(id) {
            for identity in identities {
                active.open.remove(identity);
            }
            if *active.control.borrow() == Control::default() {
                return;
            }
        }
        self.wake();
    }

    /// Removes a run that has ended from the active ones.
    pub(super) fn leave(&self, id: &RunId) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Active>> {
        self.0.active.lock()
    }
}

/// An active run. Dropping the value removes the run, also after a panic: a run without a task must not block others.
pub(super) struct ActiveRun {
    active_runs: ActiveRuns,
    id: RunId,
    scheduler: Activator,
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        self.active_runs.leave(&self.id);
        self.active_runs.wake();
        // The scheduler now evaluates changes that others made to the run's containers meanwhile.
        self.scheduler.wake();
    }
}
