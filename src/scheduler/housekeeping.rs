//! Daily deletion of old data, also once at the start of the process. If nothing is old, nothing is written.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::backup::copies;
use crate::app::{App, Result, auth, hosts, rules_file, traces};
use crate::db;
use crate::domain::text::chain;

/// Time between two sweeps.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Time for which the log output of failed starts is kept (rulings 21).
const OUTPUT_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Sweeps once a day, and makes the daily copies of the database, until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    tokio::join!(sweep_daily(app.clone(), stop.clone()), copies::keep(app, stop));
}

async fn sweep_daily(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = sweep(&app).await {
            tracing::error!(error = %chain(&error), "what is old cannot be forgotten; tomorrow again");
        }
        tokio::select! {
            () = app.clock.sleep(DAY) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Tells which certificates end soon, and deletes expired credentials, traces of removed containers, runs and naps older than `DOCKNAP_HISTORY_DAYS`, audit
/// rows older than `DOCKNAP_AUDIT_DAYS` (0 = never), and log output of failed starts after 30 days.
pub async fn sweep(app: &App) -> Result<()> {
    hosts::expiry::tell_all(app);
    auth::prune(app).await?;
    traces::sweep(app).await?;
    rules_file::sweep(app).await?;
    let now = app.clock.now();
    let days = |days: u32| now - DAY * days;
    let mut tx = app.db.begin().await?;
    db::steps::forget_output(&mut tx, now - OUTPUT_KEPT).await?;
    db::runs::prune(&mut tx, days(app.config.history_days)).await?;
    db::host_outages::prune(&mut tx, days(app.config.history_days)).await?;
    db::sleeps::prune(&mut tx, days(app.config.history_days)).await?;
    if app.config.audit_days > 0 {
        db::audit::prune(&mut tx, days(app.config.audit_days)).await?;
    }
    tx.commit().await?;
    Ok(())
}
