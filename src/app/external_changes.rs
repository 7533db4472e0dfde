//! What others do to containers, kept until the scheduler looks.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use crate::docker::ContainerEvent;
use crate::domain::ids::HostId;
use crate::domain::reconcile::Fresh;
use crate::domain::target::ContainerIdentity;

/// Sightings kept of one host; with more, the containers themselves are looked at.
const MOST: usize = 4096;

/// How long ago a link may have ended that was never told to be down.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Docker's words for what somebody may have wished, or what ended by itself.
const WORDS: [&str; 9] = ["start", "unpause", "stop", "pause", "kill", "die", "died", "create", "rename"];

/// What has happened since the scheduler last looked.
#[derive(Debug, Default)]
pub struct ExternalChanges(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    hosts: HashMap<HostId, OfHost>,
    /// A rule changed, or time was not right.
    everything: bool,
}

#[derive(Debug, Default)]
struct OfHost {
    sightings: Vec<ContainerEvent>,
    /// The link went down then, by the Engine's clock.
    lost_at: Option<Timestamp>,
    /// The scheduler has looked since the link came up.
    looked: bool,
    /// Containers whose first look since then is put off.
    late: HashMap<ContainerIdentity, Fresh>,
}

/// What [`ExternalChanges::take`] hands over.
#[derive(Debug, Default)]
pub struct Taken {
    /// In the order in which Docker told them.
    pub sightings: Vec<ContainerEvent>,
    /// This is the first look since the link came up.
    pub fresh: Option<Fresh>,
    /// Of these it would have been an earlier one, which was put off.
    pub late: HashMap<ContainerIdentity, Fresh>,
}

impl ExternalChanges {
    /// Docker told of a container. `false` where it is of no interest.
    pub fn sighted(&self, host: &HostId, sighting: ContainerEvent) -> bool {
        if !WORDS.contains(&sighting.action.as_str()) {
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

    /// The link to a host went down or came up. `now` is by the Engine's clock.
    pub fn link(&self, host: &HostId, connected: bool, now: Timestamp) {
        let mut state = self.lock();
        let host = state.hosts.entry(host.clone()).or_default();
        if host.looked {
            host.looked = false;
            // A link that ends and is there again at once is told only when it is back.
            host.lost_at = Some(if connected { now - AT_ONCE } else { now });
        }
    }

    /// Something that says what should sleep has changed.
    pub fn rules_changed(&self) {
        self.lock().everything = true;
    }

    /// Whether the scheduler has something to look at.
    pub fn is_waiting(&self, connected: &[HostId]) -> bool {
        let state = self.lock();
        state.everything
            || connected.iter().any(|id| state.hosts.get(id).is_none_or(|host| !host.looked))
            || state.hosts.values().any(|host| !host.sightings.is_empty() || !host.late.is_empty())
    }

    /// The scheduler looks at everything.
    pub fn looks(&self) {
        self.lock().everything = false;
    }

    /// The scheduler looks at a host that is connected.
    pub fn take(&self, host: &HostId) -> Taken {
        let mut state = self.lock();
        let host = state.hosts.entry(host.clone()).or_default();
        let fresh = (!host.looked).then_some(Fresh { lost_at: host.lost_at });
        host.looked = true;
        Taken { sightings: std::mem::take(&mut host.sightings), fresh, late: std::mem::take(&mut host.late) }
    }

    /// What was taken is for the next look: this one came to nothing.
    pub fn restore(&self, host: &HostId, taken: Taken) {
        self.requeue(host, taken.sightings, taken.late);
        if let Some(fresh) = taken.fresh {
            let mut state = self.lock();
            let host = state.hosts.entry(host.clone()).or_default();
            host.looked = false;
            host.lost_at = fresh.lost_at;
        }
    }

    /// What was taken of containers on which a run of ours is at work is for the look after its end.
    pub fn requeue(
        &self,
        host: &HostId,
        mut sightings: Vec<ContainerEvent>,
        late: impl IntoIterator<Item = (ContainerIdentity, Fresh)>,
    ) {
        let mut state = self.lock();
        let host = state.hosts.entry(host.clone()).or_default();
        // Others may have come since: those are newer.
        sightings.append(&mut host.sightings);
        host.sightings = sightings;
        host.late.extend(late);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}
