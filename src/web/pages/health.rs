//! About DockNap, and how it is doing.

use std::fmt::Write as _;
use std::net::IpAddr;

use askama::Template;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};

use super::{html, now};
use crate::app::Result;
use crate::app::health::{self, Health, HostHealth, Itself};
use crate::domain::inventory::Link;
use crate::web::Web;
use crate::web::auth::{Admin, Caller, Viewer};
use crate::web::filters;
use crate::web::proxy;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::{self, Now, When};
use crate::zones;

/// The picture of the heartbeat goes back this far, in seconds.
const BACK: i64 = 600;

pub(super) fn routes() -> Routes {
    Routes::new().get("/health", Access::VIEWER, show).get("/health/bundle", Access::ADMIN, bundle)
}

/// One bar of the lag histogram.
#[derive(Clone, Debug)]
pub struct Bar {
    /// `10 ms`
    pub label: String,
    /// How many.
    pub count: u64,
    /// Of 100.
    pub width: u64,
}

/// One Engine.
#[derive(Clone, Debug)]
pub struct HostLine {
    pub id: String,
    /// `good`, `warn`, `bad`.
    pub tone: &'static str,
    /// `Connected, events come in`
    pub link: String,
    /// `Docker 20.10.24, API 1.41`
    pub versions: String,
    /// `0.0 s ahead of ours`
    pub clock: String,
    /// `1204`
    pub calls: u64,
    /// Where DockNap runs: `in the container docknap`.
    pub itself: String,
}

/// A peer that says whom it speaks for and is not believed.
#[derive(Clone, Debug)]
pub struct ForwarderLine {
    /// Its address.
    pub address: String,
    /// `DOCKNAP_TRUSTED_PROXIES=172.18.0.2`
    pub setting: String,
    /// When it was first seen.
    pub since: When,
}

impl ForwarderLine {
    fn all(web: &Web, now: &Now) -> Vec<Self> {
        let line = |(ip, at)| Self {
            address: IpAddr::to_string(&ip),
            setting: proxy::setting_with(ip, &web.app.config.trusted_proxies),
            since: now.when(at),
        };
        web.forwarders.seen().into_iter().map(line).collect()
    }
}

#[derive(Template, Clone, Debug)]
#[template(path = "health/index.html")]
pub struct HealthPage {
    pub shell: Shell,
    /// `/healthz` answers 200.
    pub alive: bool,
    /// When the process came up.
    pub since: When,
    /// When the scheduler last looked.
    pub last_tick: When,
    /// When a schedule is due next.
    pub next_due: Option<When>,
    /// The line of the heartbeat.
    pub beats: String,
    /// `40 looks in the last 10 minutes`
    pub beats_title: String,
    /// Schedules by how late they were claimed.
    pub lags: Vec<Bar>,
    /// The Engines.
    pub hosts: Vec<HostLine>,
    /// `4.2`, or a dash.
    pub calls: String,
    /// `SQLite 3.51.3`
    pub database: String,
    /// `2.4 MiB`
    pub size: String,
    /// `7`
    pub migrations: i64,
    /// `2026a, inside the program`
    pub zones: String,
    /// For admins: peers that seem to be proxies and are not trusted.
    pub forwarders: Vec<ForwarderLine>,
    /// For admins: what a support bundle holds.
    pub bundle: Option<String>,
}

impl HealthPage {
    /// No schedule was taken since the start.
    pub fn is_quiet(&self) -> bool {
        self.lags.iter().all(|bar| bar.count == 0)
    }

    fn new(shell: Shell, health: &Health, bundle: Option<String>, now: &Now) -> Self {
        let most = health.lags.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
        let mut below = String::from("0");
        let lags = health.lags.iter().map(|(bound, count)| {
            let label = match bound {
                Some(bound) => format!("up to {}", seconds(*bound)),
                None => format!("more than {below}"),
            };
            below = bound.map(seconds).unwrap_or_default();
            Bar { label, count: *count, width: count * 100 / most }
        });
        let recent =
            health.beats.iter().filter(|(at, _)| now.at.duration_since(*at).as_secs() <= BACK).count();
        Self {
            lags: lags.collect(),
            alive: health.alive,
            since: now.when(health.since),
            last_tick: now.when(health.last_tick),
            next_due: health.next_due.map(|at| now.when(at)),
            beats: line(health, now),
            beats_title: format!("The scheduler looked {recent} times in the last 10 minutes"),
            hosts: health.hosts.iter().map(HostLine::new).collect(),
            calls: health.calls_per_minute().map_or_else(|| "—".to_owned(), |calls| format!("{calls:.1}")),
            database: health.database.kind.clone(),
            size: size(health.database.bytes),
            migrations: health.database.migrations,
            zones: zones::chosen().to_string(),
            forwarders: Vec::new(),
            bundle,
            shell,
        }
    }
}

impl HostLine {
    fn new(host: &HostHealth) -> Self {
        let (tone, link, versions) = match &host.link {
            Link::Connected { api_version, engine_version } => (
                "good",
                "Connected; changes come in as they happen.".to_owned(),
                format!("Docker {engine_version}, API {api_version}"),
            ),
            Link::Connecting => ("warn", "Not reached yet.".to_owned(), String::new()),
            Link::Unreachable { reason, .. } => ("bad", reason.clone(), String::new()),
        };
        let seconds = host.ahead.as_secs_f64();
        Self {
            id: host.id.clone(),
            tone,
            link,
            versions,
            clock: match seconds {
                near if near.abs() < 1.0 => "as ours".to_owned(),
                ahead if ahead > 0.0 => format!("{ahead:.0} s ahead of ours"),
                behind => format!("{:.0} s behind ours", behind.abs()),
            },
            calls: host.calls,
            itself: match &host.itself {
                Itself::Container(name) => format!("in the container {}", view::shown_name(name)),
                Itself::OneOf(names) => format!(
                    "not sure which of these I am: {}; all of them are protected",
                    names.iter().map(|name| view::shown_name(name)).collect::<Vec<_>>().join(", ")
                ),
                Itself::Outside => "outside Docker".to_owned(),
                Itself::Elsewhere => "in a container that this Docker does not know".to_owned(),
            },
        }
    }
}

/// A line that beats where the scheduler looked; 600 wide, 40 high, the present at the right.
fn line(health: &Health, now: &Now) -> String {
    let mut path = String::from("M0 30");
    let mut reached = 0;
    for (at, _) in &health.beats {
        let x = BACK - now.at.duration_since(*at).as_secs();
        if x > reached + 4 && x < BACK - 4 {
            let _ = write!(path, "H{}l2-22 3 30 2-8", x - 3);
            reached = x;
        }
    }
    path.push_str("H600");
    path
}

fn seconds(bound: f64) -> String {
    match bound {
        small if small < 1.0 => format!("{:.0} ms", small * 1000.0),
        hours if hours >= 3600.0 => format!("{:.0} h", hours / 3600.0),
        minutes if minutes >= 60.0 => format!("{:.0} min", minutes / 60.0),
        seconds => format!("{seconds:.0} s"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn size(bytes: i64) -> String {
    let mib = bytes as f64 / 1_048_576.0;
    if mib < 1.0 { format!("{:.0} KiB", mib * 1024.0) } else { format!("{mib:.1} MiB") }
}

async fn show(State(web): State<Web>, caller: Caller<Viewer>, shell: Shell) -> Result<Html<String>> {
    let now = now(&web, &shell);
    let health = health::look(&web.app, &caller.actor).await?;
    let bundle =
        if shell.can_administer() { Some(health::bundle(&web.app, &caller.actor).await?) } else { None };
    let forwarders = if shell.can_administer() { ForwarderLine::all(&web, &now) } else { Vec::new() };
    html(&HealthPage { forwarders, ..HealthPage::new(shell, &health, bundle, &now) })
}

async fn bundle(State(web): State<Web>, caller: Caller<Admin>) -> Result<Response> {
    let text = health::bundle(&web.app, &caller.actor).await?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CONTENT_DISPOSITION, "attachment; filename=\"docknap-support.json\""),
    ];
    Ok((headers, text).into_response())
}
