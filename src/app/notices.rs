//! Forwards the notices of a host about containers and its connection to the browsers, the scheduler and the runner.

use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{App, Live, hosts};
use crate::docker::{Host, Notice};

/// Forwards notices for as long as the host exists.
pub async fn forward(app: App, host: Arc<Host>, mut notices: broadcast::Receiver<Notice>) {
    loop {
        match notices.recv().await {
            Ok(Notice::Link) => {
                let now = host.by_engine(app.clock.now());
                app.external_changes.link(host.id(), host.inventory().is_connected(), now);
                hosts::expiry::tell(&app, &host);
                wake_all(&app);
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
                wake_all(&app);
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn wake_all(app: &App) {
    app.bus.send(Live::Hosts);
    app.sleeps.wake();
    app.active_runs.wake();
    app.scheduler.wake();
}
