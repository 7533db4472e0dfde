//! The health of DockNap itself: scheduler, database and connections to Docker. [`look`] collects the figures of the
//! health page, [`bundle`] the support bundle that people attach to a bug report.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Actor, App, Result, hosts, vitals};
use crate::config::table::SETTINGS;
use crate::db;
pub use crate::db::engine::Facts;
use crate::domain::group::Area;
use crate::domain::inventory::{Inventory, Link, SelfDetection, product};
use crate::domain::permission::Permission;
use crate::zones;

/// The health of the connection to one Docker Engine.
#[derive(Clone, Debug)]
pub struct HostHealth {
    pub id: String,
    pub link: Link,
    /// How far the Engine's clock is ahead of DockNap's; negative where it is behind.
    pub ahead: SignedDuration,
    /// Number of requests sent to the Engine since the start of the process.
    pub calls: u64,
    /// Number of containers.
    pub containers: usize,
    pub itself: Itself,
    /// Whether a stored host of the same id is not used.
    pub shadows: bool,
}

/// The container of an Engine in which DockNap runs, by names for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Itself {
    /// Name of the container.
    Container(String),
    /// Names of the candidates, where more than one container matches.
    OneOf(Vec<String>),
    /// DockNap does not run in a container.
    Outside,
    /// DockNap runs in a container, but not on this Engine.
    Elsewhere,
}

impl Itself {
    fn of(inventory: &Inventory) -> Self {
        let names = |wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
            let found = inventory.containers.iter().filter(|container| wanted(&container.id));
            found.map(|container| container.name.clone()).collect()
        };
        match &inventory.itself {
            SelfDetection::Container(id) => Self::Container(names(&|other| other == id).concat()),
            SelfDetection::OneOf(ids) => Self::OneOf(names(&|other| ids.contains(other))),
            SelfDetection::OutsideDocker => Self::Outside,
            SelfDetection::Unknown => Self::Elsewhere,
        }
    }
}

/// All figures of the health page.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether `/healthz` answers 200.
    pub alive: bool,
    /// Start of the process.
    pub since: Timestamp,
    /// Last pass of the scheduler.
    pub last_tick: Timestamp,
    /// Next instant at which a schedule is due.
    pub next_due: Option<Timestamp>,
    /// Recent passes of the scheduler, oldest first, each with the number of Docker requests sent up to that instant.
    pub beats: Vec<(Timestamp, u64)>,
    /// Histogram of the scheduler's lag: upper bound in seconds and count; the last bucket has no bound.
    pub lags: Vec<(Option<f64>, u64)>,
    pub hosts: Vec<HostHealth>,
    pub database: Facts,
}

impl Health {
    /// Docker requests per minute over the recent passes; `None` before there are enough passes.
    pub fn calls_per_minute(&self) -> Option<f64> {
        let (first, last) = (self.beats.first()?, self.beats.last()?);
        let minutes = last.0.duration_since(first.0).as_secs_f64() / 60.0;
        let calls = u32::try_from(last.1.saturating_sub(first.1)).ok()?;
        (minutes > 0.1).then(|| f64::from(calls) / minutes)
    }
}

/// Collects the current figures.
pub async fn look(app: &App, actor: &Actor) -> Result<Health> {
    actor.require(Permission::View)?;
    let now = app.clock.now();
    let shadowed = hosts::shadowed(app).await?;
    let hosts = app.hosts.all().into_iter().map(|host| {
        let inventory = host.inventory();
        HostHealth {
            id: host.id().as_str().to_owned(),
            link: inventory.link.clone(),
            ahead: host.by_engine(now).duration_since(now),
            calls: host.calls_made(),
            containers: inventory.containers.len(),
            itself: Itself::of(&inventory),
            shadows: shadowed.iter().any(|one| one.id == *host.id()),
        }
    });
    Ok(Health {
        alive: vitals::is_alive(app).await,
        since: app.vitals.since(),
        last_tick: app.vitals.last_tick(),
        next_due: db::schedules::next_due(&app.db).await?,
        beats: app.vitals.beats(),
        lags: app.vitals.counters.lags(),
        hosts: hosts.collect(),
        database: app.db.facts().await?,
    })
}

/// Settings that are not secret but contain names of people, stacks or addresses, and are therefore left out of the
/// support bundle.
const PRIVATE: [&str; 6] = [
    "DOCKNAP_ADMIN_USERNAME",
    "DOCKNAP_PROTECT",
    "DOCKNAP_BASE_URL",
    "DOCKNAP_TRUSTED_PROXIES",
    "DOCKNAP_LISTEN",
    "DOCKER_HOST",
];

/// The support bundle: facts for troubleshooting, without names of people, stacks, containers or addresses, and without
/// secrets.
#[derive(Clone, Debug, Serialize)]
pub struct Bundle {
    version: &'static str,
    time_zones: String,
    made_at: String,
    up_seconds: i64,
    alive: bool,
    last_tick_age_ms: i64,
    database: String,
    database_bytes: i64,
    migrations: i64,
    hosts: Vec<HostBundle>,
    schedules: i64,
    schedules_enabled: i64,
    calls_per_minute: Option<f64>,
    lag_seconds: BTreeMap<String, u64>,
    settings: BTreeMap<&'static str, String>,
}

#[derive(Clone, Debug, Serialize)]
struct HostBundle {
    link: String,
    clock_ahead_ms: i64,
    containers: usize,
    /// In words, without container names.
    docknap_runs_in: String,
    calls: u64,
}

/// Creates the support bundle as indented JSON.
pub async fn bundle(app: &App, actor: &Actor) -> Result<String> {
    actor.require(Permission::Administer)?;
    let health = look(app, actor).await?;
    let now = app.clock.now();
    let (schedules, enabled) = db::schedules::count(&app.db, &Area::default()).await?;
    let ms = |span: SignedDuration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let bundle = Bundle {
        version: env!("CARGO_PKG_VERSION"),
        time_zones: zones::chosen().to_string(),
        made_at: now.to_string(),
        up_seconds: now.duration_since(health.since).as_secs(),
        alive: health.alive,
        last_tick_age_ms: ms(now.duration_since(health.last_tick)),
        database: health.database.kind.clone(),
        database_bytes: health.database.bytes,
        migrations: health.database.migrations,
        calls_per_minute: health.calls_per_minute(),
        hosts: health
            .hosts
            .iter()
            .map(|host| HostBundle {
                link: match &host.link {
                    Link::Connected { api_version, engine_version } => {
                        format!("{}, API {api_version}", product(engine_version))
                    }
                    Link::Connecting => "connecting".to_owned(),
                    // The reason is left out: it may contain an address.
                    Link::Unreachable { .. } => "unreachable".to_owned(),
                    Link::Disabled => "disabled".to_owned(),
                },
                clock_ahead_ms: ms(host.ahead),
                containers: host.containers,
                docknap_runs_in: match &host.itself {
                    Itself::Container(_) => "one of them".to_owned(),
                    Itself::OneOf(names) => format!("one of {}, not sure which", names.len()),
                    Itself::Outside => "no container".to_owned(),
                    Itself::Elsewhere => "a container elsewhere".to_owned(),
                },
                calls: host.calls,
            })
            .collect(),
        schedules,
        schedules_enabled: enabled,
        lag_seconds: BTreeMap::from_iter(health.lags.iter().map(|(bound, count)| {
            (bound.map_or_else(|| "more".to_owned(), |bound| format!("<={bound}")), *count)
        })),
        settings: BTreeMap::from_iter(SETTINGS.iter().filter_map(|setting| {
            let given = app.config.given.get(setting.name)?;
            let hidden = setting.is_secret() || PRIVATE.contains(&setting.name);
            Some((setting.name, if hidden { "(set)".to_owned() } else { given.text.clone() }))
        })),
    };
    serde_json::to_string_pretty(&bundle).map_err(|error| super::Error::Internal(error.into()))
}
