//! Container events that DockNap did not cause, queued per host until the scheduler processes them. The event listener
//! adds entries ([`ExternalChanges::sighted`], [`ExternalChanges::link`]); each scheduler pass takes them with
//! [`ExternalChanges::take`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use crate::docker::ContainerEvent;
use crate::domain::ids::HostId;
use crate::domain::inventory::Containers;
use crate::domain::reconcile::Fresh;
use crate::domain::target::ContainerIdentity;

/// Maximum number of queued events per host; beyond it, the scheduler compares all containers of the host instead.
const MOST: usize = 4096;

/// Assumed length of a connection loss that was reported only after the reconnect.
const BRIEF_LOSS: Duration = Duration::from_secs(10);

/// Docker events that mean a container was started, stopped, paused or replaced, by somebody or by itself.
const ACTIONS: [&str; 9] = ["start", "unpause", "stop", "pause", "kill", "die", "died", "create", "rename"];

/// Changes since the scheduler's last pass.
#[derive(Debug, Default)]
pub struct ExternalChanges(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    hosts: HashMap<HostId, OfHost>,
    /// All hosts must be checked: a rule changed, or the clock was wrong.
    everything: bool,
    /// Whether this process has switched off the schedules of labels.
    labels_are_off: bool,
}

#[derive(Debug, Default)]
struct OfHost {
    sightings: Vec<ContainerEvent>,
    /// The instant at which the connection was lost, by the Engine's clock.
    lost_at: Option<Timestamp>,
    /// Whether the scheduler has processed the host since the last reconnect.
    looked: bool,
    /// Containers whose first check since the reconnect was postponed.
    late: HashMap<ContainerIdentity, Fresh>,
    /// The list of containers whose labels were followed last.
    followed: Option<Arc<Containers>>,
    labels: OfLabels,
    /// What was found wrong with the labels in a list of containers, with the default zone by which they were read.
    faults: Option<(Arc<Containers>, String, Arc<FaultsOfHost>)>,
}

/// What is wrong with the labels of the containers of a host: by identity, then by label.
pub(crate) type FaultsOfHost = BTreeMap<ContainerIdentity, BTreeMap<String, String>>;

/// What is known about the schedules that labels of one host define.
#[derive(Debug, Default)]
struct OfLabels {
    /// The list of containers from which they were made last.
    followed: Option<Arc<Containers>>,
    /// Whether one of them waits for time to pass.
    waits: bool,
    /// Since when containers that carry labels are missing, by the monotonic clock.
    missing: HashMap<ContainerIdentity, Duration>,
}

/// The result of [`ExternalChanges::take`].
#[derive(Debug, Default)]
pub struct Taken {
    /// Events in the order in which Docker sent them.
    pub sightings: Vec<ContainerEvent>,
    /// Set in the first pass after a reconnect.
    pub fresh: Option<Fresh>,
    /// Containers whose first check after an earlier reconnect was postponed to this pass.
    pub late: HashMap<ContainerIdentity, Fresh>,
}

impl ExternalChanges {
    /// Queues a Docker event of a container. Returns `false` for events that do not matter here.
    pub fn sighted(&self, host: &HostId, sighting: ContainerEvent) -> bool {
        if !ACTIONS.contains(&sighting.action.as_str()) {
            return false;
        }
        let mut state = self.lock();
        let host = state.hosts.entry(host.clone()).or_default();
        if host.sightings.len() < MOST {
            host.sightings.push(sighting);
        } else {
            host.looked = false;
        }
        true
    }

    /// Records that the connection to a host was lost or restored. `now` is by the Engine's clock.
    pub fn link(&self, host: &HostId, connected: bool, now: Timestamp) {
        let mut state = self.lock();
        let host = state.hosts.entry(host.clone()).or_default();
        if host.looked {
            host.looked = false;
            // A connection that is lost and restored at once is reported only after it is restored.
            host.lost_at = Some(if connected { now - BRIEF_LOSS } else { now });
        }
    }

    /// Whether a host has another list of containers than the one that was followed last.
    pub(crate) fn has_new_list(&self, host: &HostId, list: &Arc<Containers>) -> bool {
        let state = self.lock();
        let followed = state.hosts.get(host).and_then(|host| host.followed.as_ref());
        followed.is_none_or(|followed| !Arc::ptr_eq(followed, list))
    }

    /// Records that the labels of a list of containers were followed.
    pub(crate) fn list_followed(&self, host: &HostId, list: &Arc<Containers>) {
        self.lock().hosts.entry(host.clone()).or_default().followed = Some(Arc::clone(list));
    }

    /// Whether the schedules of labels of a connected host have to be looked at.
    pub(crate) fn labels_wait(&self, host: &HostId, list: &Arc<Containers>) -> bool {
        let state = self.lock();
        state.hosts.get(host).is_none_or(|host| {
            let followed = host.labels.followed.as_ref();
            host.labels.waits || followed.is_none_or(|followed| !Arc::ptr_eq(followed, list))
        })
    }

    /// Whether the labels of a host were read since it is connected.
    pub(crate) fn labels_are_read(&self, host: &HostId) -> bool {
        self.lock().hosts.get(host).is_some_and(|host| host.labels.followed.is_some())
    }

    /// For how long each of the containers is missing, as of `now` by the monotonic clock. Others are there.
    pub(crate) fn missing_for(
        &self,
        host: &HostId,
        missing: &HashSet<ContainerIdentity>,
        now: Duration,
    ) -> HashMap<ContainerIdentity, Duration> {
        let mut state = self.lock();
        let known = &mut state.hosts.entry(host.clone()).or_default().labels.missing;
        known.retain(|identity, _| missing.contains(identity));
        let since = |one: &ContainerIdentity| {
            let since = *known.entry(one.clone()).or_insert(now);
            (one.clone(), now.saturating_sub(since))
        };
        missing.iter().map(since).collect()
    }

    /// Records that the schedules of labels are in step with a list of containers; `waits` if they have to be looked at
    /// again without a new list.
    pub(crate) fn labels_followed(&self, host: &HostId, list: &Arc<Containers>, waits: bool) {
        let mut state = self.lock();
        let labels = &mut state.hosts.entry(host.clone()).or_default().labels;
        labels.followed = Some(Arc::clone(list));
        labels.waits = waits;
    }

    /// Records that a host is not connected: nothing is known to be missing there.
    pub(crate) fn labels_unseen(&self, host: &HostId) {
        if let Some(host) = self.lock().hosts.get_mut(host) {
            host.labels = OfLabels::default();
        }
    }

    /// What was found wrong with the labels in a list of containers; `None` where nobody has looked.
    pub(crate) fn label_faults(
        &self,
        host: &HostId,
        list: &Arc<Containers>,
        zone: &str,
    ) -> Option<Arc<FaultsOfHost>> {
        let state = self.lock();
        let (seen, by, faults) = state.hosts.get(host)?.faults.as_ref()?;
        (Arc::ptr_eq(seen, list) && by == zone).then(|| Arc::clone(faults))
    }

    /// Keeps what was found wrong with the labels in a list of containers.
    pub(crate) fn keep_label_faults(
        &self,
        host: &HostId,
        list: &Arc<Containers>,
        zone: &str,
        faults: &Arc<FaultsOfHost>,
    ) {
        let mut state = self.lock();
        let kept = (Arc::clone(list), zone.to_owned(), Arc::clone(faults));
        state.hosts.entry(host.clone()).or_default().faults = Some(kept);
    }

    /// Whether this process has switched off the schedules of labels.
    pub(crate) fn labels_are_off(&self) -> bool {
        self.lock().labels_are_off
    }

    /// Records that the schedules of labels are switched off.
    pub(crate) fn labels_went_off(&self) {
        self.lock().labels_are_off = true;
    }

    /// Records a change of a rule: the next pass checks everything.
    pub fn rules_changed(&self) {
        self.lock().everything = true;
    }

    /// Whether there is work for the scheduler.
    pub fn is_waiting(&self, connected: &[HostId]) -> bool {
        let state = self.lock();
        state.everything
            || connected.iter().any(|id| state.hosts.get(id).is_none_or(|host| !host.looked))
            || state.hosts.values().any(|host| !host.sightings.is_empty() || !host.late.is_empty())
    }

    /// Marks the start of a scheduler pass over all hosts.
    pub fn looks(&self) {
        self.lock().everything = false;
    }

    /// Takes the changes of a connected host at the start of its check.
    pub fn take(&self, host: &HostId) -> Taken {
        let mut state = self.lock();
        let host = state.hosts.entry(host.clone()).or_default();
        let fresh = (!host.looked).then_some(Fresh { lost_at: host.lost_at });
        host.looked = true;
        Taken { sightings: std::mem::take(&mut host.sightings), fresh, late: std::mem::take(&mut host.late) }
    }

    /// Puts back what [`Self::take`] returned, after a check that failed.
    pub fn restore(&self, host: &HostId, taken: Taken) {
        self.requeue(host, taken.sightings, taken.late);
        if let Some(fresh) = taken.fresh {
            let mut state = self.lock();
            let host = state.hosts.entry(host.clone()).or_default();
            host.looked = false;
            host.lost_at = fresh.lost_at;
        }
    }

    /// Puts back the changes of containers on which a DockNap run is in progress; they are processed after its end.
    pub fn requeue(
        &self,
        host: &HostId,
        mut sightings: Vec<ContainerEvent>,
        late: impl IntoIterator<Item = (ContainerIdentity, Fresh)>,
    ) {
        let mut state = self.lock();
        let host = state.hosts.entry(host.clone()).or_default();
        // Events queued since then are newer and stay last.
        sightings.append(&mut host.sightings);
        host.sightings = sightings;
        host.late.extend(late);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}
