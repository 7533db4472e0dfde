//! Resource usage of containers, read in the seconds before they are put to sleep (rulings 47).
//!
//! Docker takes up to two seconds for a reading. Nothing waits for one between the scheduled instant and the Docker
//! call: readings from before the instant go into the sleep report and to the busy guard, and a reading that is missing
//! by then is unknown.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use crate::app::error::Result;
use crate::app::rulebook::RuleBook;
use crate::app::{App, targets};
use crate::db;
use crate::docker::{Host, Usage};
use crate::domain::action::Action;
use crate::domain::desired::Moment;
use crate::domain::guard::Guard;
use crate::domain::ids::HostId;
use crate::domain::inventory::{Container, ContainerState};
use crate::domain::overrides::DesiredState;
use crate::domain::place::Place;
use crate::domain::schedule::Schedule;

/// How long before an instant the readings begin: enough for a busy Docker to answer some dozens of them.
pub const EARLY: Duration = Duration::from_secs(10);
/// How long a reading is valid, counted from its begin: past its instant, plus the delay of a machine under load.
const FRESH: Duration = Duration::from_secs(15);
/// The largest number of schedules of one instant that are read in advance.
const MOST: i64 = 1000;
/// The number of concurrent readings: as many as Docker answers in a second or two.
const AT_ONCE: usize = 32;

/// The readings made in advance, by host and Docker's id of the container.
#[derive(Debug, Default)]
pub(super) struct EarlyLooks(Mutex<HashMap<(HostId, String), EarlyLook>>);

#[derive(Clone, Debug)]
struct EarlyLook {
    /// When the reading began.
    at: Timestamp,
    /// Whether the reading includes the CPU load, for which Docker needs two samples.
    with_cpu: bool,
    /// `None` while the reading is in progress; an error is stored as its message.
    seen: Option<std::result::Result<Usage, String>>,
}

impl EarlyLooks {
    fn lock(&self) -> MutexGuard<'_, HashMap<(HostId, String), EarlyLook>> {
        self.0.lock()
    }

    /// The usage of a container read in the seconds before `now`; `None` without a valid reading, or where the
    /// container started after it.
    pub fn seen(
        &self,
        container: &Container,
        with_cpu: bool,
        now: Timestamp,
    ) -> Option<std::result::Result<Usage, String>> {
        let looks = self.lock();
        let look = looks.get(&(container.host.clone(), container.id.clone()))?;
        let counts = is_within(look.at, now, FRESH) && (look.with_cpu || !with_cpu);
        let seen = look.seen.clone().filter(|_| counts)?;
        let is_of_this_life = |usage: &Usage| {
            usage.read_at.zip(container.started_at).is_none_or(|(read, started)| read >= started)
        };
        seen.as_ref().map_or(true, is_of_this_life).then_some(seen)
    }

    /// Registers the requested readings that are neither in progress nor valid and returns them; removes expired ones.
    fn begin(&self, requests: BTreeMap<(HostId, String), LookRequest>, now: Timestamp) -> Vec<LookRequest> {
        let mut looks = self.lock();
        looks.retain(|_, look| is_within(look.at, now, FRESH));
        let is_new = |key: &(HostId, String), request: &LookRequest| {
            looks.get(key).is_none_or(|known| request.with_cpu && !known.with_cpu)
        };
        let new: Vec<_> = requests.into_iter().filter(|(key, request)| is_new(key, request)).collect();
        for (key, request) in &new {
            looks.insert(key.clone(), EarlyLook { at: now, with_cpu: request.with_cpu, seen: None });
        }
        new.into_iter().map(|(_, request)| request).collect()
    }

    fn end(&self, container: &Container, seen: std::result::Result<Usage, String>) {
        if let Some(look) = self.lock().get_mut(&(container.host.clone(), container.id.clone())) {
            look.seen = Some(seen);
        }
    }
}

fn is_within(at: Timestamp, now: Timestamp, limit: Duration) -> bool {
    Duration::try_from(now.duration_since(at)).is_ok_and(|age| age <= limit)
}

/// A container whose usage is to be read.
struct LookRequest {
    host: Arc<Host>,
    container: Arc<Container>,
    with_cpu: bool,
}

/// Reads the usage of the containers that are to be put to sleep at `instant`, which is at most [`EARLY`] away.
/// Readings that have not ended by then are dropped. Containers with a valid reading are not read again.
pub async fn look_before(app: &App, instant: Timestamp) -> Result<()> {
    let requests = sleepers(app, instant).await?;
    let looks = app.active_runs.early().begin(requests, app.clock.now());
    let looks = looks.into_iter().map(|LookRequest { host, container, with_cpu }| async move {
        let usage = if with_cpu { host.usage(&container.id).await } else { host.glance(&container.id).await };
        app.active_runs.early().end(&container, usage.map_err(|error| error.to_string()));
    });
    let all = stream::iter(looks).buffer_unordered(AT_ONCE).collect::<()>();
    let left = Duration::try_from(instant.duration_since(app.clock.now())).unwrap_or_default();
    // Late readings are dropped.
    let _ = app.clock.timeout(left, all).await;
    Ok(())
}

/// The running containers that schedules, windows and the ends of overrides will put to sleep by `instant`. An
/// estimate: a container too many costs Docker only one reading.
async fn sleepers(app: &App, instant: Timestamp) -> Result<BTreeMap<(HostId, String), LookRequest>> {
    let due = db::schedules::due(&app.db, &instant, MOST).await?;
    let overrides_end = db::overrides::next_end(&app.db).await?.is_some_and(|end| end <= instant);
    let mut requests = BTreeMap::new();
    let mut add = |host: &Arc<Host>, container: &Arc<Container>, with_cpu: bool| {
        if container.state != ContainerState::Running || container.protection.is_some() {
            return;
        }
        let key = (host.id().clone(), container.id.clone());
        let request = requests.entry(key).or_insert_with(|| LookRequest {
            host: Arc::clone(host),
            container: Arc::clone(container),
            with_cpu,
        });
        request.with_cpu |= with_cpu;
    };
    for schedule in &due {
        let with_cpu = is_guarded(schedule.spec.guard.as_ref());
        let stops = schedule.spec.action == Action::Stop;
        if !schedule.is_window() && (stops || with_cpu) {
            for host in targets::hosts_of(app, &schedule.spec.target) {
                for member in host.inventory().members(&schedule.spec.target.subject) {
                    add(&host, &member, with_cpu);
                }
            }
        }
    }
    if overrides_end || due.iter().any(Schedule::is_window) {
        let book = RuleBook::load(app).await?;
        let (now, then) = (book.rules.at(app.clock.now()), book.rules.at(instant));
        for host in app.hosts.all() {
            for container in host.inventory().containers.iter() {
                let sleeps = |moment: &Moment<'_>| {
                    moment.desired(Place::of(container)).wanted == Some(DesiredState::Asleep)
                };
                if sleeps(&then) && !sleeps(&now) {
                    let rule = then.desired(Place::of(container)).rule();
                    let with_cpu = rule.is_some_and(|rule| is_guarded(rule.guard.as_ref()));
                    if with_cpu || rule.is_none_or(|rule| rule.sleep == Action::Stop) {
                        add(&host, container, with_cpu);
                    }
                }
            }
        }
    }
    Ok(requests)
}

fn is_guarded(guard: Option<&Guard>) -> bool {
    guard.is_some_and(|guard| guard.busy().is_some())
}
