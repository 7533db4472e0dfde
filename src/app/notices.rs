//! Forwards the notices of the hosts about containers and connections to the browsers, the scheduler and the runner.

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::{App, Live, report};
use crate::docker::Notice;

/// Forwards notices until `stop` is cancelled, and runs [`report::keep`] meanwhile.
pub async fn pass_on(app: App, stop: CancellationToken) {
    let mut feeds = tokio::task::JoinSet::new();
    feeds.spawn(report::keep(app.clone()));
    for host in app.hosts.all() {
        let app = app.clone();
        feeds.spawn(async move {
            let mut notices = host.notices();
            loop {
                match notices.recv().await {
                    Ok(Notice::Link) => {
                        let now = host.by_engine(app.clock.now());
                        app.external_changes.link(host.id(), host.inventory().is_connected(), now);
                        app.bus.send(Live::Hosts);
                        app.sleeps.wake();
                        app.active_runs.wake();
                        app.scheduler.wake();
                    }
                    Ok(Notice::List) => app.bus.send(Live::Hosts),
                    Ok(Notice::Stack(key)) => app.bus.send(Live::Stack(key)),
                    Ok(Notice::Container(key)) => app.bus.send(Live::Container(key)),
                    Ok(Notice::Sighted(sighting)) => {
                        app.sleeps.wake();
                        if app.external_changes.sighted(host.id(), *sighting) {
                            app.scheduler.wake();
                        }
                    }
                    // Notices were lost: browsers, runner and scheduler check everything.
                    Err(RecvError::Lagged(_)) => {
                        app.external_changes.link(host.id(), false, host.by_engine(app.clock.now()));
                        app.bus.send(Live::Hosts);
                        app.sleeps.wake();
                        app.active_runs.wake();
                        app.scheduler.wake();
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }
    stop.cancelled().await;
}
