//! The health page: version and state of DockNap itself, and the support bundle.

use std::fmt::Write as _;
use std::net::IpAddr;

use askama::Template;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use crate::app::Result;
use crate::app::health::{self, Health, Itself};
use crate::domain::inventory::Link;
use crate::web::auth::{Admin, Viewer};
use crate::web::filters;
use crate::web::page::Page;
use crate::web::proxy;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::zones;

/// The time range of the heartbeat drawing, in seconds.
const BACK: i64 = 600;

pub(super) fn routes() -> Routes {
    Routes::new().get("/health", Access::VIEWER, show).get("/health/bundle", Access::ADMIN, bundle)
}

/// A peer that sends `X-Forwarded-For` but is not a trusted proxy.
struct Forwarder {
    address: IpAddr,
    /// The configuration that would trust it: `DOCKNAP_TRUSTED_PROXIES=172.18.0.2`.
    setting: String,
    /// The instant of its first request.
    since: Timestamp,
}

#[derive(Template)]
#[template(path = "health/index.html")]
struct HealthPage<'a> {
    shell: &'a Shell,
    health: Health,
    /// The version and the place of the time zone database: `2026a, inside the program`.
    zones: String,
    /// The untrusted peers that seem to be proxies; only for admins.
    forwarders: Vec<Forwarder>,
    /// The content of a support bundle; only for admins.
    bundle: Option<String>,
}

impl HealthPage<'_> {
    /// Whether no schedule has been claimed since the start.
    fn is_quiet(&self) -> bool {
        self.health.lags.iter().all(|(_, count)| *count == 0)
    }

    /// A histogram of how late schedules were claimed: label of the delay, number of schedules, and percentage of the
    /// largest number.
    fn lags(&self) -> Vec<(String, u64, u64)> {
        let most = self.health.lags.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
        let mut below = String::from("0");
        let bar = |(bound, count): &(Option<f64>, u64)| {
            let label = match bound {
                Some(bound) => format!("up to {}", seconds(*bound)),
                None => format!("more than {below}"),
            };
            below = bound.map(seconds).unwrap_or_default();
            (label, *count, count * 100 / most)
        };
        self.health.lags.iter().map(bar).collect()
    }

    fn beats_title(&self) -> String {
        let is_recent = |at: Timestamp| self.shell.now.at.duration_since(at).as_secs() <= BACK;
        let recent = self.health.beats.iter().filter(|(at, _)| is_recent(*at)).count();
        format!("The scheduler looked {recent} times in the last 10 minutes")
    }

    #[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
    fn size(&self) -> String {
        let mib = self.health.database.bytes as f64 / 1_048_576.0;
        if mib < 1.0 { format!("{:.0} KiB", mib * 1024.0) } else { format!("{mib:.1} MiB") }
    }

    /// The heartbeat drawing as SVG path data, with a beat at each pass of the scheduler; 600 wide, 40 high, now at the
    /// right.
    fn beats(&self) -> String {
        let mut path = String::from("M0 30");
        let mut reached = 0;
        for (at, _) in &self.health.beats {
            let x = BACK - self.shell.now.at.duration_since(*at).as_secs();
            if x > reached + 4 && x < BACK - 4 {
                let _ = write!(path, "H{}l2-22 3 30 2-8", x - 3);
                reached = x;
            }
        }
        path + "H600"
    }
}

fn seconds(bound: f64) -> String {
    match bound {
        small if small < 1.0 => format!("{:.0} ms", small * 1000.0),
        hours if hours >= 3600.0 => format!("{:.0} h", hours / 3600.0),
        minutes if minutes >= 60.0 => format!("{:.0} min", minutes / 60.0),
        seconds => format!("{seconds:.0} s"),
    }
}

async fn show(page: Page<Viewer>) -> Result<Response> {
    let Page { web, app, actor, shell, .. } = &page;
    let health = health::look(app, actor).await?;
    let (mut bundle, mut forwarders) = (None, Vec::new());
    if shell.can_administer() {
        bundle = Some(health::bundle(app, actor).await?);
        let trusted = &app.config.trusted_proxies;
        let forwarder = |(address, since)| {
            let setting = proxy::setting_with(address, trusted);
            Forwarder { address, setting, since }
        };
        forwarders = web.forwarders.seen().into_iter().map(forwarder).collect();
    }
    page.render(&HealthPage { shell, health, zones: zones::chosen().to_string(), forwarders, bundle })
}

async fn bundle(page: Page<Admin>) -> Result<Response> {
    let text = health::bundle(&page.app, &page.actor).await?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CONTENT_DISPOSITION, "attachment; filename=\"docknap-support.json\""),
    ];
    Ok((headers, text).into_response())
}
