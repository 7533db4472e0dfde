//! What the containers of a run have in use before it stops them, for the report of what sleep saves (rulings 7).
//!
//! What a schedule puts to sleep was looked at in the seconds before ([`crate::app::execute::early`]). The rest is
//! looked at as the run begins, each container once: a Docker before 25 answers such a look but once a second. Nothing
//! hangs on it: only what a person asked for waits the blink of an eye; what is not seen until its container has
//! stopped is not known.

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

/// How long after a run that a person asked for has begun a stop still waits for its look.
const PATIENCE: Duration = Duration::from_millis(50);

/// The looks of one run. Those under way end with it.
pub(super) struct Looks {
    coming: HashMap<ContainerIdentity, oneshot::Receiver<Seen>>,
    patience: Duration,
    /// On the monotonic clock.
    until: Duration,
    _under_way: JoinSet<()>,
}

/// One look, as the stop of its container sees it.
pub(super) struct UsageLook {
    /// `None` where none was begun: the container did not run then, as far as was known.
    coming: Option<oneshot::Receiver<Seen>>,
    patience: Duration,
    until: Duration,
}

/// What one look saw of the container with this Docker id.
struct Seen {
    id: String,
    usage: Usage,
}

impl Looks {
    /// Looks at these, for a run that begins.
    pub(super) fn at(host: &Arc<Host>, containers: &[Arc<Container>], run: &Run, clock: &Clock) -> Self {
        let mut under_way = JoinSet::new();
        let looks = containers.iter().map(|container| {
            let (mut found, coming) = oneshot::channel();
            let (host, container) = (Arc::clone(host), Arc::clone(container));
            let identity = container.identity.clone();
            under_way.spawn(async move {
                let usage = tokio::select! {
                    // Whoever wanted to know waits no longer: the turn is somebody else's.
                    () = found.closed() => return,
                    usage = host.glance(&container.id) => usage,
                };
                match usage {
                    // Not looked at: that may be made up for.
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

    /// The look at a container, for who stops it.
    pub(super) fn take(&mut self, identity: &ContainerIdentity) -> UsageLook {
        UsageLook { coming: self.coming.remove(identity), patience: self.patience, until: self.until }
    }
}

impl UsageLook {
    /// What a container that is about to be stopped has in use, where that is seen in time.
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

    /// What was seen of it while it was being stopped.
    pub(super) fn so_far(self, container: &Container) -> Option<Sample> {
        let seen = self.coming?.try_recv().ok()?;
        // Of one that is down Docker answers nothing with no time.
        let counts = seen.is_of(container) && seen.usage.read_at.is_some();
        counts.then(|| seen.usage.sample(container.started_at))
    }
}

impl Seen {
    /// Not of one that was re-created since, nor of the time before it came up again.
    fn is_of(&self, container: &Container) -> bool {
        self.id == container.id
            && self.usage.read_at.zip(container.started_at).is_none_or(|(read, started)| read >= started)
    }
}

/// None where nobody looks on: between the instant and the call no look stands (rulings 47).
fn patience(run: &Run) -> Duration {
    match run.trigger {
        Trigger::Manual | Trigger::Bulk | Trigger::Api | Trigger::Retry | Trigger::Undo => PATIENCE,
        // Set just now, rather than a fire that one held back.
        Trigger::Override if run.schedule_id.is_none() => PATIENCE,
        Trigger::Override | Trigger::Schedule | Trigger::Label | Trigger::CatchUp | Trigger::Window => {
            Duration::ZERO
        }
    }
}
