//! The resource usage of a run's containers before their stop, for the savings report (rulings 7).
//!
//! Containers of schedules are read in the seconds before ([`crate::app::execute::early`]). The rest is read when the
//! run begins, each container once: Docker before version 25 answers such a reading only once a second. A stop does not
//! depend on a reading: only runs requested by a person wait a few milliseconds, and a reading that is missing when its
//! container has stopped is unknown.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::docker::{DockerError, Host, Usage};
use crate::domain::inventory::Container;
use crate::domain::nap::Sample;
use crate::domain::run::{Run, Trigger};
use crate::domain::target::ContainerIdentity;

/// How long after its begin a run requested by a person waits with a stop for the reading.
const PATIENCE: Duration = Duration::from_millis(50);

/// The readings of one run. Dropping the value cancels those in progress.
pub(super) struct Looks {
    coming: HashMap<ContainerIdentity, oneshot::Receiver<Seen>>,
    patience: Duration,
    /// The end of the wait, on the monotonic clock.
    until: Duration,
    _under_way: JoinSet<()>,
}

/// One reading, for the step that stops the container.
pub(super) struct UsageLook {
    /// `None` where none was begun, since the inventory did not show the container as running.
    coming: Option<oneshot::Receiver<Seen>>,
    patience: Duration,
    until: Duration,
}

/// The usage of the container with this Docker id.
struct Seen {
    id: String,
    usage: Usage,
}

impl Looks {
    /// Begins to read these containers, for a run that begins.
    pub(super) fn at(host: &Arc<Host>, containers: &[Arc<Container>], run: &Run, clock: &Clock) -> Self {
        let mut under_way = JoinSet::new();
        let looks = containers.iter().map(|container| {
            let (mut found, coming) = oneshot::channel();
            let (host, container) = (Arc::clone(host), Arc::clone(container));
            let identity = container.identity.clone();
            under_way.spawn(async move {
                let usage = tokio::select! {
                    // The receiver was dropped: leave Docker's capacity to other readings.
                    () = found.closed() => return,
                    usage = host.glance(&container.id) => usage,
                };
                match usage {
                    // Docker was not reached: the stop may read again.
                    Err(DockerError::Unreachable { .. }) => {}
                    usage => {
                        let usage = usage.unwrap_or_default();
                        let _ = found.send(Seen { id: container.id.clone(), usage });
                    }
                }
            });
            (identity, coming)
        });
        let (coming, patience) = (looks.collect(), patience(run));
        Self { coming, patience, until: clock.monotonic() + patience, _under_way: under_way }
    }

    /// The reading of a container, for the step that stops it.
    pub(super) fn take(&mut self, identity: &ContainerIdentity) -> UsageLook {
        UsageLook { coming: self.coming.remove(identity), patience: self.patience, until: self.until }
    }
}

impl UsageLook {
    /// The usage of a container that is about to be stopped; `None` where it is not read in time.
    pub(super) async fn at(&mut self, container: &Container, host: &Host, clock: &Clock) -> Option<Sample> {
        if let Some(coming) = &mut self.coming {
            let left = self.until.saturating_sub(clock.monotonic());
            let seen = clock.timeout(left, coming).await.ok()?;
            self.coming = None;
            if let Some(seen) = seen.ok().filter(|seen| seen.is_of(container)) {
                return Some(seen.usage.sample(container.started_at));
            }
        }
        if self.patience.is_zero() {
            return None;
        }
        let look = clock.timeout(self.patience, host.glance(&container.id)).await;
        Some(look.ok()?.ok()?.sample(container.started_at))
    }

    /// The result of a reading that ended while the container was being stopped.
    pub(super) fn so_far(self, container: &Container) -> Option<Sample> {
        let seen = self.coming?.try_recv().ok()?;
        // For a stopped container Docker returns an empty reading without a time stamp.
        let counts = seen.is_of(container) && seen.usage.read_at.is_some();
        counts.then(|| seen.usage.sample(container.started_at))
    }
}

impl Seen {
    /// Whether the reading is of this container since its last start; a re-created container has another id.
    fn is_of(&self, container: &Container) -> bool {
        self.id == container.id
            && self.usage.read_at.zip(container.started_at).is_none_or(|(read, started)| read >= started)
    }
}

/// How long a stop waits for the reading: zero for runs of schedules, which must call Docker without delay (rulings
/// 47).
fn patience(run: &Run) -> Duration {
    match run.trigger {
        Trigger::Manual | Trigger::Bulk | Trigger::Api | Trigger::Retry | Trigger::Undo => PATIENCE,
        // An override that has just been set, and not a scheduled fire that an override had deferred.
        Trigger::Override if run.schedule_id.is_none() => PATIENCE,
        Trigger::Override | Trigger::Schedule | Trigger::Label | Trigger::CatchUp | Trigger::Window => {
            Duration::ZERO
        }
    }
}
