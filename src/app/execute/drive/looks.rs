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
use crate::docker::Host;
use crate::domain::inventory::Container;
use crate::domain::nap::Sample;
use crate::domain::run::Trigger;
use crate::domain::target::ContainerIdentity;

/// How long after the run has begun a stop still waits for its look, where nobody waits for the stop …
const PATIENCE: Duration = Duration::from_secs(3);
/// … and where somebody does.
const HASTE: Duration = Duration::from_millis(50);

/// The looks of one run. Those under way end with it.
pub(super) struct Looks {
    coming: HashMap<ContainerIdentity, oneshot::Receiver<Sample>>,
    /// On the monotonic clock.
    until: Duration,
    _under_way: JoinSet<()>,
}

/// One look, as the stop of its container sees it.
pub(in super::super) struct Look {
    coming: oneshot::Receiver<Sample>,
    until: Duration,
}

impl Looks {
    /// Looks at nothing.
    pub(super) fn none() -> Self {
        Self { coming: HashMap::new(), until: Duration::ZERO, _under_way: JoinSet::new() }
    }

    /// Looks at these, for a run that begins.
    pub(super) fn at(
        host: &Arc<Host>,
        containers: &[Arc<Container>],
        trigger: Trigger,
        clock: &Clock,
    ) -> Self {
        let patience = match trigger {
            Trigger::Manual | Trigger::Bulk | Trigger::Api | Trigger::Retry => HASTE,
            Trigger::Schedule | Trigger::Label | Trigger::CatchUp | Trigger::Window | Trigger::Override => {
                PATIENCE
            }
        };
        let mut under_way = JoinSet::new();
        let looks = containers.iter().map(|container| {
            let (found, coming) = oneshot::channel();
            let (host, container) = (Arc::clone(host), Arc::clone(container));
            let identity = container.identity.clone();
            under_way.spawn(async move {
                let usage = host.glance(&container.id).await.unwrap_or_default();
                // Whoever wanted to know may have stopped waiting.
                let _ = found.send(usage.sample(container.started_at));
            });
            (identity, coming)
        });
        Self { coming: looks.collect(), until: clock.monotonic() + patience, _under_way: under_way }
    }

    /// The look at a container, for who stops it.
    pub(super) fn take(&mut self, identity: &ContainerIdentity) -> Option<Look> {
        let coming = self.coming.remove(identity)?;
        Some(Look { coming, until: self.until })
    }
}

impl Look {
    /// What was seen, as soon as it is and in time.
    pub(in super::super) async fn seen(self, clock: &Clock) -> Sample {
        // What has come is taken, however late it is asked for.
        let left = self.until.saturating_sub(clock.monotonic());
        clock.timeout(left, self.coming).await.ok().and_then(Result::ok).unwrap_or_default()
    }
}
