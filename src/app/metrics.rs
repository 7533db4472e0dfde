//! Metrics for Prometheus. [`Counters`] counts events while DockNap runs; [`text`] writes all metrics when `/metrics`
//! is requested.
//!
//! The text format is written by hand, because the usual crate for it adds ten dependencies for a dozen metrics.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::rulebook::RuleBook;
use super::{App, Result};
use crate::db;
use crate::domain::action::Action;
use crate::domain::ids::HostId;
use crate::domain::inventory::{ContainerState, Inventory};
use crate::domain::report;
use crate::domain::run::{Run, RunState, Trigger};
use crate::domain::schedule::ScheduleKind;
use crate::domain::target::{ContainerIdentity, Subject, Target};

/// Upper bounds of the buckets of run durations, in seconds: stopping takes up to the stop timeout, a stack several
/// waves of steps.
const DURATIONS: [f64; 10] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0];
pub const LAGS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 60.0, 3600.0];

/// The outcome of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    Ok,
    /// Name or password was wrong.
    Failed,
    /// Refused without a check because of too many tries.
    Refused,
}

impl Login {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Ok, "ok"), (Self::Failed, "failed"), (Self::Refused, "refused")];
}

/// Events counted since the start of the process.
#[derive(Debug)]
pub struct Counters {
    hosts: Mutex<BTreeMap<HostId, OfHost>>,
    logins: [AtomicU64; 3],
    napped: tokio::sync::Mutex<Napped>,
}

/// Events of one host.
#[derive(Clone, Debug)]
struct OfHost {
    runs: BTreeMap<(Action, RunState, Trigger), u64>,
    durations: Histogram,
    lags: Histogram,
    missed: u64,
}

impl Default for OfHost {
    /// Every combination of action, outcome and trigger starts at 0, so that Prometheus sees the first event as an
    /// increase.
    fn default() -> Self {
        let ends = || RunState::ALL.iter().filter(|state| state.is_terminal());
        let kinds = Action::ALL.into_iter().flat_map(|action| {
            ends().flat_map(move |end| Trigger::ALL.iter().map(move |trigger| (action, *end, *trigger)))
        });
        Self {
            runs: kinds.map(|kind| (kind, 0)).collect(),
            durations: Histogram::new(&DURATIONS),
            lags: Histogram::new(&LAGS),
            missed: 0,
        }
    }
}

/// Time napped by host and stack, counted up to the instant `until`.
#[derive(Debug)]
struct Napped {
    until: Timestamp,
    ms: BTreeMap<(HostId, String), i64>,
}

impl Counters {
    /// Counters at zero.
    pub fn new(now: Timestamp) -> Self {
        Self {
            hosts: Mutex::default(),
            logins: Default::default(),
            napped: tokio::sync::Mutex::new(Napped { until: now, ms: BTreeMap::new() }),
        }
    }

    fn on<T>(&self, host: &HostId, change: impl FnOnce(&mut OfHost) -> T) -> T {
        let mut hosts = self.hosts.lock();
        change(hosts.entry(host.clone()).or_default())
    }

    /// Counts a finished run. `took` is the time since the run began; `None` where it never began.
    pub fn run_ended(&self, run: &Run, outcome: RunState, took: Option<Duration>) {
        self.on(&run.target.host, |host| {
            *host.runs.entry((run.action, outcome, run.trigger)).or_default() += 1;
            if let Some(took) = took {
                host.durations.add(took);
            }
        });
    }

    /// Counts a schedule that was claimed `lag` after its due instant.
    pub fn claimed(&self, host: &HostId, lag: Duration) {
        self.on(host, |host| host.lags.add(lag));
    }

    /// Counts fires that were missed and are only recorded.
    pub fn missed(&self, host: &HostId, count: i64) {
        self.on(host, |host| host.missed += u64::try_from(count).unwrap_or(0));
    }

    pub fn login(&self, outcome: Login) {
        self.logins[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The lag of claims of all hosts by bucket: upper bound in seconds and count. The last bucket has no bound.
    pub fn lags(&self) -> Vec<(Option<f64>, u64)> {
        let hosts = self.hosts.lock();
        let mut all = Histogram::new(&LAGS);
        for host in hosts.values() {
            for (all, count) in all.counts.iter_mut().zip(&host.lags.counts) {
                *all += count;
            }
        }
        all.counts().collect()
    }
}

/// Counts of durations by bucket.
#[derive(Clone, Debug)]
struct Histogram {
    bounds: &'static [f64],
    /// One count per bound, and one for everything above the last bound. Not cumulative.
    counts: Vec<u64>,
    sum: Duration,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: Duration::ZERO }
    }

    fn add(&mut self, value: Duration) {
        let seconds = value.as_secs_f64();
        let place = self.bounds.iter().position(|bound| seconds <= *bound).unwrap_or(self.bounds.len());
        self.counts[place] += 1;
        self.sum = self.sum.saturating_add(value);
    }

    fn counts(&self) -> impl Iterator<Item = (Option<f64>, u64)> {
        self.bounds.iter().copied().map(Some).chain([None]).zip(self.counts.iter().copied())
    }
}

/// A writer of the Prometheus text format, version 0.0.4.
#[derive(Debug, Default)]
struct Text(String);

impl Text {
    /// Writes the header of a metric.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Writes one sample.
    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if place == 0 { "{" } else { "," }, escaped(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn histogram(&mut self, name: &str, host: &HostId, histogram: &Histogram) {
        let host = ("host", host.as_str());
        let mut total = 0;
        for (bound, count) in histogram.counts() {
            total += count;
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            self.value(&format!("{name}_bucket"), &[host, ("le", &bound)], total);
        }
        self.value(&format!("{name}_sum"), &[host], histogram.sum.as_secs_f64());
        self.value(&format!("{name}_count"), &[host], total);
    }
}

/// A label value with the escapes of the text format.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// All metrics in the Prometheus text format. Gauges are computed on request, with a few small queries and the
/// inventories in memory. Events that have not happened yet appear as 0.
pub async fn text(app: &App) -> Result<String> {
    let mut text = Text::default();
    text.metric("docknap_build_info", "gauge", "Always 1; the label says which version runs.");
    text.value("docknap_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    runs(&mut text, app);
    schedules(&mut text, app).await?;
    containers(&mut text, app).await?;
    text.metric("docknap_auth_attempts_total", "counter", "Tries to log in.");
    for (login, word) in Login::ALL {
        let count = app.vitals.counters.logins[login as usize].load(Ordering::Relaxed);
        text.value("docknap_auth_attempts_total", &[("outcome", word)], count);
    }
    if let Some(last) = db::settings::last_backup(&app.db).await? {
        let name = "docknap_last_backup_timestamp_seconds";
        text.metric(name, "gauge", "When the last backup was made.");
        text.value(name, &[], last.as_second());
    }
    Ok(text.0)
}

/// The counters by host.
fn runs(text: &mut Text, app: &App) {
    let mut counted = app.vitals.counters.hosts.lock().clone();
    for host in app.hosts.all() {
        counted.entry(host.id().clone()).or_default();
    }
    text.metric("docknap_runs_total", "counter", "Runs that ended since the start.");
    for (host, of) in &counted {
        for ((action, outcome, trigger), count) in &of.runs {
            let labels = [
                ("host", host.as_str()),
                ("action", action.as_str()),
                ("outcome", outcome.as_str()),
                ("trigger", trigger.as_str()),
            ];
            text.value("docknap_runs_total", &labels, count);
        }
    }
    let name = "docknap_run_duration_seconds";
    text.metric(name, "histogram", "How long runs took.");
    for (host, of) in &counted {
        text.histogram(name, host, &of.durations);
    }
    let name = "docknap_scheduler_lag_seconds";
    text.metric(name, "histogram", "How long after its instant a schedule was claimed.");
    for (host, of) in &counted {
        text.histogram(name, host, &of.lags);
    }
    text.metric("docknap_runs_missed_total", "counter", "Times of schedules that passed unnoticed.");
    for (host, of) in &counted {
        text.value("docknap_runs_missed_total", &[("host", host.as_str())], of.missed);
    }
}

/// The stored schedules.
async fn schedules(text: &mut Text, app: &App) -> Result<()> {
    let all = db::schedules::ScheduleSelection {
        group: None,
        host: None,
        target: None,
        enabled: None,
        text: None,
        before: None,
        limit: i64::MAX,
    };
    let stored = db::schedules::list(&app.db, &all).await?;
    let mut switched: BTreeMap<HostId, [u64; 2]> = BTreeMap::new();
    for host in app.hosts.all() {
        switched.entry(host.id().clone()).or_default();
    }
    for schedule in &stored {
        let host = schedule.spec.target.host.clone();
        switched.entry(host).or_default()[usize::from(schedule.spec.enabled)] += 1;
    }
    text.metric("docknap_schedules", "gauge", "Schedules, switched on or off.");
    for (host, [disabled, enabled]) in &switched {
        for (state, count) in [("enabled", enabled), ("disabled", disabled)] {
            text.value("docknap_schedules", &[("host", host.as_str()), ("state", state)], count);
        }
    }
    text.metric("docknap_schedule_info", "gauge", "Always 1; the labels say what a schedule is.");
    for schedule in &stored {
        let (spec, kind) = (&schedule.spec, schedule.kind());
        // A window has no action of its own, because it both sleeps and wakes its target.
        let action = if kind == ScheduleKind::Window { "" } else { spec.action.as_str() };
        let labels = [
            ("host", spec.target.host.as_str()),
            ("schedule", schedule.id.as_str()),
            ("name", &spec.title()),
            ("kind", kind.as_str()),
            ("action", action),
            ("target_type", schedule.target_type().as_str()),
            ("target", &spec.target_name),
        ];
        text.value("docknap_schedule_info", &labels, 1);
    }
    let name = "docknap_schedule_next_run_timestamp_seconds";
    text.metric(name, "gauge", "When a schedule is due next; docknap_schedule_info says which it is.");
    for schedule in &stored {
        if let Some(at) = schedule.next_due {
            let labels = [("host", schedule.spec.target.host.as_str()), ("schedule", schedule.id.as_str())];
            text.value(name, &labels, at.as_second());
        }
    }
    Ok(())
}

/// The connections to the hosts.
fn hosts(text: &mut Text, app: &App) {
    let hosts = app.hosts.all();
    let name = "docknap_host_last_seen_timestamp_seconds";
    text.metric(name, "gauge", "When the containers of a host were last known to be as shown.");
    for host in &hosts {
        if let Some(at) = host.inventory().seen_at {
            text.value(name, &[("host", host.id().as_str())], at.as_second());
        }
    }
    let name = "docknap_host_certificate_expiry_timestamp_seconds";
    text.metric(name, "gauge", "When the first of the certificates in use expires.");
    for host in &hosts {
        if let Some(at) = host.certificates().iter().map(|one| one.not_after).min() {
            text.value(name, &[("host", host.id().as_str())], at.as_second());
        }
    }
    let name = "docknap_host_reconnects_total";
    text.metric(name, "counter", "Connections to a host that were made again.");
    for host in &hosts {
        text.value(name, &[("host", host.id().as_str())], host.reconnects());
    }
}

/// The containers by state, and the naps.
async fn containers(text: &mut Text, app: &App) -> Result<()> {
    hosts(text, app);
    let enabled = app.hosts.all().into_iter().filter(|host| host.is_enabled());
    let hosts: Vec<Inventory> = enabled.map(|host| host.inventory()).collect();
    text.metric("docknap_containers", "gauge", "Containers by Docker's state.");
    for inventory in &hosts {
        for state in ContainerState::ALL {
            let count = inventory.containers.iter().filter(|one| one.state == state).count();
            let labels = [("host", inventory.host.as_str()), ("state", state.as_str())];
            text.value("docknap_containers", &labels, count);
        }
    }
    text.metric("docknap_docker_up", "gauge", "1 while the Docker Engine can be reached.");
    for inventory in &hosts {
        let up = u8::from(inventory.is_connected());
        text.value("docknap_docker_up", &[("host", inventory.host.as_str())], up);
    }
    let mut napped = napped(app).await?;
    let mut napping: BTreeMap<(HostId, String), u64> = BTreeMap::new();
    let book = RuleBook::load(app).await?;
    for inventory in &hosts {
        let naps = book.naps(&inventory.host);
        for container in inventory.containers.iter() {
            let owner = container.stack().unwrap_or(&container.name).to_owned();
            let key = (inventory.host.clone(), owner);
            napped.entry(key.clone()).or_default();
            let naps = naps.get(&container.identity).is_some_and(|nap| nap.holds(container, inventory));
            *napping.entry(key).or_default() += u64::from(naps);
        }
    }
    let name = "docknap_napping";
    text.metric(name, "gauge", "Containers of a stack that nap, or whether a container without one does.");
    for ((host, stack), count) in &napping {
        text.value(name, &[("host", host.as_str()), ("stack", stack)], count);
    }
    let name = "docknap_nap_seconds_total";
    text.metric(name, "counter", "Seconds a stack, or a container without one, napped since the start.");
    for ((host, stack), ms) in &napped {
        text.value(name, &[("host", host.as_str()), ("stack", stack)], ms / 1000);
    }
    Ok(())
}

/// Adds the time napped since the last call and returns the totals in milliseconds. Only sleeps since the last call are
/// read.
async fn napped(app: &App) -> Result<BTreeMap<(HostId, String), i64>> {
    // Held over the query, so that two requests at the same time do not count the same time twice.
    let mut napped = app.vitals.counters.napped.lock().await;
    let now = app.clock.now();
    if now > napped.until {
        let span = (napped.until, now);
        let sleeps = db::sleeps::between(&app.db, span.0, span.1).await?;
        for (target, amount) in report::account(&sleeps, span, now) {
            *napped.ms.entry((target.host.clone(), label(&target))).or_default() += amount.asleep_ms;
        }
        napped.until = now;
    }
    Ok(napped.ms.clone())
}

fn label(target: &Target) -> String {
    match &target.subject {
        Subject::Stack(name)
        | Subject::Services { stack: name, .. }
        | Subject::Container(ContainerIdentity::Name(name)) => name.clone(),
        Subject::Container(identity) => identity.to_text(),
        Subject::Host => String::new(),
        Subject::Group(id) => id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_as_the_format_wants() {
        let mut text = Text::default();
        text.value("x", &[("a", "q\"\\\n"), ("b", "ü")], 1.5);
        text.value("y", &[], 2);
        assert_eq!(text.0, "x{a=\"q\\\"\\\\\\n\",b=\"ü\"} 1.5\ny 2\n");
    }

    #[test]
    fn a_histogram_adds_up() {
        let mut histogram = Histogram::new(&LAGS);
        for ms in [0, 5, 6, 2_000, 7_200_000] {
            histogram.add(Duration::from_millis(ms));
        }
        let mut text = Text::default();
        text.histogram("h", &HostId::from("nas"), &histogram);
        for line in [
            "h_bucket{host=\"nas\",le=\"0.005\"} 2",
            "h_bucket{host=\"nas\",le=\"0.01\"} 3",
            "h_bucket{host=\"nas\",le=\"5\"} 4",
            "h_bucket{host=\"nas\",le=\"+Inf\"} 5",
            "h_sum{host=\"nas\"} 7202.011",
            "h_count{host=\"nas\"} 5",
        ] {
            assert!(text.0.lines().any(|found| found == line), "{line}\n{}", text.0);
        }
    }
}
