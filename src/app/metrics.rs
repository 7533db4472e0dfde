//! Figures for Prometheus: counted where things happen, written out when somebody asks.
//!
//! The text format is written by hand: the usual crate for it brings ten others, of which a dozen names would use little.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::{App, Result};
use crate::db;
use crate::domain::action::Action;
use crate::domain::report;
use crate::domain::run::{RunState, Trigger};
use crate::domain::target::{ContainerIdentity, Subject, Target};

/// Upper bounds of the buckets of run durations, in seconds: a stop takes its grace, a stack its waves.
const DURATIONS: [f64; 10] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0];
/// Upper bounds of the buckets of the scheduler's lag, in seconds.
pub const LAGS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 60.0, 3600.0];

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// It succeeded.
    Ok,
    /// Name or password was wrong.
    Failed,
    /// It was not looked at: too many tries before.
    Refused,
}

impl Login {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Ok, "ok"), (Self::Failed, "failed"), (Self::Refused, "refused")];
}

/// What has happened since the process came up.
#[derive(Debug)]
pub struct Counters {
    runs: Mutex<BTreeMap<(&'static str, &'static str, &'static str), u64>>,
    durations: Histogram,
    lags: Histogram,
    missed: AtomicU64,
    logins: [AtomicU64; 3],
    napped: tokio::sync::Mutex<Napped>,
}

/// Seconds napped by stack, up to an instant.
#[derive(Debug)]
struct Napped {
    until: Timestamp,
    ms: BTreeMap<String, i64>,
}

impl Counters {
    /// Nothing has happened yet.
    pub fn new(now: Timestamp) -> Self {
        Self {
            runs: Mutex::default(),
            durations: Histogram::new(&DURATIONS),
            lags: Histogram::new(&LAGS),
            missed: AtomicU64::new(0),
            logins: Default::default(),
            napped: tokio::sync::Mutex::new(Napped { until: now, ms: BTreeMap::new() }),
        }
    }

    /// A run ended; it had begun that long ago, where it had.
    pub fn run_ended(&self, action: Action, trigger: Trigger, outcome: RunState, took: Option<Duration>) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        *runs.entry((action.as_str(), outcome.as_str(), trigger.as_str())).or_default() += 1;
        drop(runs);
        if let Some(took) = took {
            self.durations.add(took);
        }
    }

    /// A schedule was claimed that long after its instant.
    pub fn claimed(&self, lag: Duration) {
        self.lags.add(lag);
    }

    /// So many fires are only remembered.
    pub fn missed(&self, count: i64) {
        self.missed.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
    }

    /// Somebody tried to log in.
    pub fn login(&self, outcome: Login) {
        self.logins[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Claims by how late they were: upper bound in seconds, how many. The last has no bound.
    pub fn lags(&self) -> Vec<(Option<f64>, u64)> {
        self.lags.counts()
    }
}

/// Counts by size.
#[derive(Debug)]
struct Histogram {
    bounds: &'static [f64],
    /// One more than there are bounds.
    counts: Vec<AtomicU64>,
    sum_us: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect(),
            sum_us: AtomicU64::new(0),
        }
    }

    fn add(&self, value: Duration) {
        let seconds = value.as_secs_f64();
        let place = self.bounds.iter().position(|bound| seconds <= *bound).unwrap_or(self.bounds.len());
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(u64::try_from(value.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn counts(&self) -> Vec<(Option<f64>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(self.counts.iter().map(|count| count.load(Ordering::Relaxed))).collect()
    }
}

/// The text format, version 0.0.4.
#[derive(Debug, Default)]
struct Text(String);

impl Text {
    /// Begins a metric.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One value of it.
    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if place == 0 { "{" } else { "," }, escaped(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.metric(name, "histogram", help);
        let mut total = 0;
        for (bound, count) in histogram.counts() {
            total += count;
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            self.value(&format!("{name}_bucket"), &[("le", &bound)], total);
        }
        let sum = Duration::from_micros(histogram.sum_us.load(Ordering::Relaxed)).as_secs_f64();
        self.value(&format!("{name}_sum"), &[], sum);
        self.value(&format!("{name}_count"), &[], total);
    }
}

/// A label's value, as the format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Everything, as Prometheus reads it. Gauges are as they are now: three cheap queries, the rest from memory.
///
/// # Errors
/// Where the database cannot be read.
pub async fn text(app: &App) -> Result<String> {
    let counters = &app.vitals.counters;
    let mut text = Text::default();
    text.metric("docknap_build_info", "gauge", "Always 1; the label says which version runs.");
    text.value("docknap_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);

    text.metric("docknap_runs_total", "counter", "Runs that ended since the start.");
    let runs = counters.runs.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for ((action, outcome, trigger), count) in runs {
        let labels = [("action", action), ("outcome", outcome), ("trigger", trigger)];
        text.value("docknap_runs_total", &labels, count);
    }
    text.histogram("docknap_run_duration_seconds", "How long runs took.", &counters.durations);
    text.histogram(
        "docknap_scheduler_lag_seconds",
        "How long after its instant a schedule was claimed.",
        &counters.lags,
    );
    text.metric("docknap_runs_missed_total", "counter", "Times of schedules that passed unnoticed.");
    text.value("docknap_runs_missed_total", &[], counters.missed.load(Ordering::Relaxed));

    let (schedules, enabled) = db::schedules::count(&app.db).await?;
    text.metric("docknap_schedules", "gauge", "Schedules, switched on or off.");
    text.value("docknap_schedules", &[("state", "enabled")], enabled);
    text.value("docknap_schedules", &[("state", "disabled")], schedules - enabled);
    let name = "docknap_schedule_next_run_timestamp_seconds";
    text.metric(name, "gauge", "When a schedule is due next; the label is its id.");
    for (id, at) in db::schedules::all_due(&app.db).await? {
        text.value(name, &[("schedule", id.as_str())], at.as_second());
    }

    text.metric("docknap_containers", "gauge", "Containers by Docker's state.");
    let hosts = app.hosts.all();
    for host in &hosts {
        let mut states: BTreeMap<&str, u64> = BTreeMap::new();
        for container in host.inventory().containers.iter() {
            *states.entry(container.state.as_str()).or_default() += 1;
        }
        for (state, count) in states {
            text.value("docknap_containers", &[("host", host.id().as_str()), ("state", state)], count);
        }
    }
    text.metric("docknap_docker_up", "gauge", "1 while the Docker Engine can be reached.");
    for host in &hosts {
        let up = u8::from(host.inventory().is_connected());
        text.value("docknap_docker_up", &[("host", host.id().as_str())], up);
    }

    text.metric(
        "docknap_nap_seconds_total",
        "counter",
        "Seconds a stack, or a container without one, napped since the start.",
    );
    for (stack, ms) in napped(app).await? {
        text.value("docknap_nap_seconds_total", &[("stack", &stack)], ms / 1000);
    }
    text.metric("docknap_auth_attempts_total", "counter", "Tries to log in.");
    for (login, word) in Login::ALL {
        let count = counters.logins[login as usize].load(Ordering::Relaxed);
        text.value("docknap_auth_attempts_total", &[("outcome", word)], count);
    }
    Ok(text.0)
}

/// Brings the seconds napped up to now. Only what slept since the last look is read.
async fn napped(app: &App) -> Result<BTreeMap<String, i64>> {
    // Held over the query: two who ask at once do not count the same seconds twice.
    let mut napped = app.vitals.counters.napped.lock().await;
    let now = app.clock.now();
    if now > napped.until {
        let span = (napped.until, now);
        let sleeps = db::sleeps::between(&app.db, span.0, span.1).await?;
        for (target, amount) in report::account(&sleeps, span, now) {
            *napped.ms.entry(label(&target)).or_default() += amount.asleep_ms;
        }
        napped.until = now;
    }
    Ok(napped.ms.clone())
}

fn label(target: &Target) -> String {
    match &target.subject {
        Subject::Stack(name) | Subject::Container(ContainerIdentity::Name(name)) => name.clone(),
        Subject::Container(identity) => identity.to_text(),
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
        let histogram = Histogram::new(&LAGS);
        for ms in [0, 5, 6, 2_000, 7_200_000] {
            histogram.add(Duration::from_millis(ms));
        }
        let mut text = Text::default();
        text.histogram("h", "Help.", &histogram);
        for line in [
            "# TYPE h histogram",
            "h_bucket{le=\"0.005\"} 2",
            "h_bucket{le=\"0.01\"} 3",
            "h_bucket{le=\"5\"} 4",
            "h_bucket{le=\"+Inf\"} 5",
            "h_sum 7202.011",
            "h_count 5",
        ] {
            assert!(text.0.lines().any(|found| found == line), "{line}\n{}", text.0);
        }
    }
}
