//! What is being done to containers right now, and how a run is told that it is to yield.
//!
//! Of several requests that want different things of a container the newest wins (semantics §4, rulings 11). A run
//! gives up the containers that newer ones want otherwise, each at its next step boundary, and goes on with the rest:
//! whoever starts one container of a stack does not call off the nap of the others.

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

/// Containers that a run gives up, each with the request that wants something else of it.
pub(super) type GivenUp = BTreeMap<ContainerIdentity, String>;

/// Whether a run goes on, and with which containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Control {
    cancelled_by: Option<String>,
    given_up: GivenUp,
}

impl Control {
    /// A run that gives some up from the start.
    pub fn without(given_up: GivenUp) -> Self {
        Self { cancelled_by: None, given_up }
    }

    /// Why nothing more is done to a container; `None` while the run goes on with it.
    pub fn ends(&self, identity: &ContainerIdentity) -> Option<String> {
        match (&self.cancelled_by, self.given_up.get(identity)) {
            (Some(by), _) => Some(format!("called off by {by}")),
            (None, Some(by)) => Some(format!("superseded by {by}")),
            (None, None) => None,
        }
    }

    /// Who called the run off.
    pub fn cancelled_by(&self) -> Option<&str> {
        self.cancelled_by.as_deref()
    }

    /// The request that took over a container, in words.
    pub fn taken_by(&self, identity: &ContainerIdentity) -> Option<&str> {
        self.given_up.get(identity).map(String::as_str)
    }
}

/// What a run is about, for the others.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    id: RunId,
    target: Target,
    action: Action,
    words: String,
    /// A guard may hold it back: until it goes it takes nothing from others.
    guarded: bool,
    /// The containers that are to be as it wants: those of its steps, and those that are so already.
    touches: BTreeSet<ContainerIdentity>,
}

impl Claim {
    /// The claim of a run with these steps; where it has none yet, of all members of its target.
    pub fn new(run: &Run, steps: &[Step], inventory: Option<&Inventory>) -> Self {
        let touches = if steps.is_empty() {
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

    /// Whether a newer one may take containers from it: it wants something else of them. What a guard holds back goes
    /// on past a restart.
    fn yields_to(&self, newer: &Self) -> bool {
        self.target.host == newer.target.host
            && self.action.undoes(newer.action)
            && !(self.guarded && newer.action == Action::Restart)
    }

    /// The containers of which another claim wants something else.
    fn contested<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a ContainerIdentity> {
        let is_other = self.target.host == other.target.host && self.action.undoes(other.action);
        self.touches.intersection(&other.touches).filter(move |_| is_other)
    }

    /// Whether nothing would be left of this one beside a newer claim. What a guard holds back gives way to its like
    /// that does not wait.
    pub fn is_taken_whole_by(&self, newer: &Self) -> bool {
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

    /// What it gives up for newer ones.
    pub fn gives_up<'a>(&self, newer: impl Iterator<Item = &'a Self>) -> GivenUp {
        let mut given_up = GivenUp::new();
        for other in newer.filter(|newer| !newer.guarded && self.yields_to(newer)) {
            given_up.extend(self.contested(other).map(|identity| (identity.clone(), other.words.clone())));
        }
        given_up
    }

    /// In words: `stop media by anna`.
    pub fn words(&self) -> &str {
        &self.words
    }
}

/// What is being done to containers right now. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ActiveRuns(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    wake: Activator,
    locks: Locks,
    active: Mutex<HashMap<RunId, Active>>,
    /// What runs that still wait have lost to newer ones that did not.
    lost: Mutex<HashMap<RunId, GivenUp>>,
    permits: Mutex<HashMap<HostId, Arc<Semaphore>>>,
    looks: Looks,
    early: EarlyLooks,
    /// Held while a run begins, so that whoever calls it off finds it waiting or under way, never in between.
    beginning: tokio::sync::Mutex<()>,
    /// Held while a request looks for its like and is stored.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Active {
    claim: Claim,
    /// Those of its containers of which the step has not ended.
    open: BTreeSet<ContainerIdentity>,
    control: watch::Sender<Control>,
}

/// How a run that waits stands beside those under way.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// Something in flight has to end first.
    pub blocked: bool,
    /// What newer ones have taken.
    pub given_up: GivenUp,
}

impl ActiveRuns {
    /// There may be a run to take.
    pub fn wake(&self) {
        self.0.wake.wake();
    }

    pub(super) async fn woken(&self) {
        self.0.wake.woken().await;
    }

    /// The epoch of the process that drives. One process drives an SQLite database: 0.
    pub fn epoch(&self) -> i64 {
        0
    }

    /// How many runs are being driven.
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

    pub(super) async fn beginning(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.beginning.lock().await
    }

    pub(super) async fn asking(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.asking.lock().await
    }

    /// Room for one more container operation on a host, where there is some.
    pub(super) fn permit(&self, host: &HostId, parallelism: usize) -> Option<OwnedSemaphorePermit> {
        let mut permits = self.0.permits.lock();
        let semaphore =
            permits.entry(host.clone()).or_insert_with(|| Arc::new(Semaphore::new(parallelism.max(1))));
        Arc::clone(semaphore).try_acquire_owned().ok()
    }

    /// Calls off a run that is being driven; `false` where it is not.
    pub(super) fn cancel(&self, id: &RunId, by: &str) -> bool {
        match self.lock().get(id) {
            Some(active) => {
                active.control.send_modify(|control| control.cancelled_by = Some(by.to_owned()));
                true
            }
            None => false,
        }
    }

    /// The containers of a host that runs under way may act on, with what those do.
    pub fn touched(&self, host: &HostId) -> Vec<(ContainerIdentity, Action)> {
        let active = self.lock();
        let here = active.values().filter(|active| active.claim.target.host == *host);
        let touched = |active: &Active| {
            let action = active.claim.action;
            active.claim.touches.iter().map(move |one| (one.clone(), action)).collect::<Vec<_>>()
        };
        here.flat_map(touched).collect()
    }

    /// Whether another run is at work on a container: one that stops or pauses, or else one that starts it.
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

    pub(super) fn is_active(&self, id: &RunId) -> bool {
        self.lock().contains_key(id)
    }

    /// Makes older runs under way give up what this one wants otherwise, and tells what it has to wait for or lost.
    pub(super) fn admit(&self, claim: &Claim) -> Admission {
        let mut way = Admission::default();
        for (id, active) in self.lock().iter() {
            let contested: Vec<_> = claim.contested(&active.claim).cloned().collect();
            if contested.is_empty() {
                continue;
            }
            // What is in flight ends either way.
            way.blocked |= contested.iter().any(|identity| active.open.contains(identity));
            if *id > claim.id {
                if !claim.yields_to(&active.claim) {
                    continue;
                }
                let by = || active.claim.words.clone();
                way.given_up.extend(contested.into_iter().map(|identity| (identity, by())));
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
        way
    }

    /// Remembers what a run that waits has lost; answers all of it.
    pub(super) fn loses(&self, id: &RunId, more: GivenUp) -> GivenUp {
        let mut lost = self.0.lost.lock();
        if more.is_empty() {
            return lost.get(id).cloned().unwrap_or_default();
        }
        let lost = lost.entry(id.clone()).or_default();
        lost.extend(more);
        lost.clone()
    }

    /// Forgets that for runs that wait no more.
    pub(super) fn keep_lost(&self, waiting: &HashSet<&RunId>) {
        self.0.lost.lock().retain(|id, _| waiting.contains(id));
    }

    /// A run begins to be driven. Until the guard is dropped it is under way.
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

    /// Steps of a run have ended: whoever waits for these containers may begin.
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

    /// A run has ended and acts on nothing any more.
    pub(super) fn leave(&self, id: &RunId) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Active>> {
        self.0.active.lock()
    }
}

/// A run under way; dropping it lets the next one in. Also when its drive panics: a run that nobody drives must not
/// block another.
pub(super) struct ActiveRun {
    active_runs: ActiveRuns,
    id: RunId,
    scheduler: Activator,
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        self.active_runs.leave(&self.id);
        self.active_runs.wake();
        // What others did meanwhile to its containers is judged now.
        self.scheduler.wake();
    }
}
