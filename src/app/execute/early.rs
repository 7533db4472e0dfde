//! What containers have in use, looked at in the seconds before they are put to sleep (rulings 47).
//!
//! A look takes Docker up to two seconds. Between the instant and the call nobody waits for one: what was seen before
//! the instant goes into the sleep report and to the busy guard, and what was not seen by then is not known.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use crate::app::App;
use crate::app::error::Result;
use crate::app::rulebook::RuleBook;
use crate::db;
use crate::docker::{Host, Usage};
use crate::domain::action::Action;
use crate::domain::desired::Moment;
use crate::domain::guard::Guard;
use crate::domain::ids::HostId;
use crate::domain::inventory::{Container, ContainerState};
use crate::domain::overrides::{DesiredState, Place};
use crate::domain::schedule::Schedule;

/// How long before an instant the looks begin: what a busy Docker needs for some dozens of them.
pub const EARLY: Duration = Duration::from_secs(10);
/// How long a look counts, from its begin on: over its instant, and what a machine under load is late.
const FRESH: Duration = Duration::from_secs(15);
/// Schedules of one instant that are looked at in advance.
const MOST: i64 = 1000;
/// Looks that go at once: as many as a Docker answers in a second or two.
const AT_ONCE: usize = 32;

/// The looks made in advance, by host and Docker's id of the container.
#[derive(Debug, Default)]
pub(super) struct EarlyLooks(Mutex<HashMap<(HostId, String), EarlyLook>>);

#[derive(Clone, Debug)]
struct EarlyLook {
    /// When it began.
    at: Timestamp,
    /// It tells how busy the container is, which takes Docker two samples.
    with_cpu: bool,
    /// `None` while it is under way; the error is in words.
    seen: Option<std::result::Result<Usage, String>>,
}

impl EarlyLooks {
    fn lock(&self) -> MutexGuard<'_, HashMap<(HostId, String), EarlyLook>> {
        self.0.lock()
    }

    /// What was seen of a container in the seconds before `now`; `None` where nobody looked, or it came up since.
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

    /// Those of which no look is under way or fresh, and forgets what is old.
    fn begin(&self, asked: BTreeMap<(HostId, String), LookRequest>, now: Timestamp) -> Vec<LookRequest> {
        let mut looks = self.lock();
        looks.retain(|_, look| is_within(look.at, now, FRESH));
        let is_new = |key: &(HostId, String), asked: &LookRequest| {
            looks.get(key).is_none_or(|known| asked.with_cpu && !known.with_cpu)
        };
        let new: Vec<_> = asked.into_iter().filter(|(key, asked)| is_new(key, asked)).collect();
        for (key, asked) in &new {
            looks.insert(key.clone(), EarlyLook { at: now, with_cpu: asked.with_cpu, seen: None });
        }
        new.into_iter().map(|(_, asked)| asked).collect()
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

/// A container to be looked at.
struct LookRequest {
    host: Arc<Host>,
    container: Arc<Container>,
    with_cpu: bool,
}

/// Looks at what is about to be put to sleep at `instant`, which is [`EARLY`] off at most; what has not been seen by
/// then is given up. Containers that were looked at already are not looked at again.
pub async fn look_before(app: &App, instant: Timestamp) -> Result<()> {
    let asked = sleepers(app, instant).await?;
    let looks = app.active_runs.early().begin(asked, app.clock.now());
    let looks = looks.into_iter().map(|LookRequest { host, container, with_cpu }| async move {
        let usage = if with_cpu { host.usage(&container.id).await } else { host.glance(&container.id).await };
        app.active_runs.early().end(&container, usage.map_err(|error| error.to_string()));
    });
    let all = stream::iter(looks).buffer_unordered(AT_ONCE).collect::<()>();
    let left = Duration::try_from(instant.duration_since(app.clock.now())).unwrap_or_default();
    // Those that come too late are nobody's.
    let _ = app.clock.timeout(left, all).await;
    Ok(())
}

/// The running containers that schedules, windows and the ends of overrides will put to sleep by then, as far as can be
/// told: looking at one too many costs Docker a sample.
async fn sleepers(app: &App, instant: Timestamp) -> Result<BTreeMap<(HostId, String), LookRequest>> {
    let due = db::schedules::due(&app.db, &instant, MOST).await?;
    let overrides_end = db::overrides::next_end(&app.db).await?.is_some_and(|end| end <= instant);
    let mut asked = BTreeMap::new();
    let mut ask = |host: &Arc<Host>, container: &Arc<Container>, with_cpu: bool| {
        if container.state != ContainerState::Running || container.protection.is_some() {
            return;
        }
        let key = (host.id().clone(), container.id.clone());
        let one = asked.entry(key).or_insert_with(|| LookRequest {
            host: Arc::clone(host),
            container: Arc::clone(container),
            with_cpu,
        });
        one.with_cpu |= with_cpu;
    };
    for schedule in &due {
        let Some(host) = app.hosts.get(&schedule.spec.target.host) else { continue };
        let with_cpu = is_guarded(schedule.spec.guard.as_ref());
        let stops = schedule.spec.action == Action::Stop;
        if !schedule.is_window() && (stops || with_cpu) {
            for member in host.inventory().members(&schedule.spec.target.subject) {
                ask(&host, &member, with_cpu);
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
                        ask(&host, container, with_cpu);
                    }
                }
            }
        }
    }
    Ok(asked)
}

fn is_guarded(guard: Option<&Guard>) -> bool {
    guard.is_some_and(|guard| guard.busy().is_some())
}
