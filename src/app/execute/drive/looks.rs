//! What the containers of a run have in use before it stops them, for the report of what sleep saves (rulings 7).
//!
//! All are looked at as the run begins, each once: a Docker before 25 answers such a look but once a second, and waves
//! that each waited for theirs would add up. Nothing hangs on it: what is not seen in time is not known.

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

/// How long after the run has begun a stop still waits for its look, where nobody waits for the stop …
const PATIENCE: Duration = Duration::from_secs(3);
/// … and where somebody does.
const HASTE: Duration = Duration::from_millis(50);

/// The looks of one run. Those under way end with it.
pub(super) struct Looks {
    coming: HashMap<ContainerIdentity, oneshot::Receiver<Seen>>,
    patience: Duration,
    /// On the monotonic clock.
    until: Duration,
    _under_way: JoinSet<()>,
}

/// One look, as the stop of its container sees it.
pub(in super::super) struct Look {
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
    pub(super) fn take(&mut self, identity: &ContainerIdentity) -> Look {
        Look { coming: self.coming.remove(identity), patience: self.patience, until: self.until }
    }
}

impl Look {
    /// What a container that is about to be stopped has in use, as soon as that is seen and in time.
    pub(in super::super) async fn at(self, container: &Container, host: &Host, clock: &Clock) -> Sample {
        let left = self.until.saturating_sub(clock.monotonic());
        let of_it = |seen: &Seen| {
            // Not one that was re-created since, nor before it came up again.
            seen.id == container.id
                && seen.usage.read_at.zip(container.started_at).is_none_or(|(read, started)| read >= started)
        };
        let usage = match self.coming {
            Some(coming) => match clock.timeout(left, coming).await {
                Ok(Ok(seen)) if of_it(&seen) => Some(seen.usage),
                Ok(_) => None,
                Err(_) => return Sample::default(),
            },
            None => None,
        };
        let usage = match usage {
            Some(usage) => usage,
            None => {
                let look = clock.timeout(self.patience, host.glance(&container.id)).await;
                look.ok().and_then(Result::ok).unwrap_or_default()
            }
        };
        usage.sample(container.started_at)
    }
}

/// Hardly any where somebody asked and looks on.
fn patience(run: &Run) -> Duration {
    match run.trigger {
        Trigger::Manual | Trigger::Bulk | Trigger::Api | Trigger::Retry => HASTE,
        // Set just now, rather than a fire that one held back.
        Trigger::Override if run.schedule_id.is_none() => HASTE,
        Trigger::Override | Trigger::Schedule | Trigger::Label | Trigger::CatchUp | Trigger::Window => {
            PATIENCE
        }
    }
}
