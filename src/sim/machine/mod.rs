//! State machine of the simulated Engine, without HTTP, tasks or a clock.
//!
//! [`Machine::advance`] moves the state to an instant. Everything that becomes due until then (the end of a process or
//! of a grace period, a change of health, a restart by policy) happens in order, each at its own time. All other
//! functions work on a machine that has been advanced. The behaviour is deterministic: the same world and the same
//! calls give the same history.

mod act;
mod daemon;
mod event;
mod process;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::world::{ContainerSpec, Initially, World, hex};
pub use daemon::DaemonEnd;
pub(crate) use event::Event;

/// An instant, on the wall clock and as monotonic time since the start of the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) wall: Timestamp,
    pub(crate) running: Duration,
}

impl Moment {
    fn wall_at(self, running: Duration) -> Timestamp {
        self.wall - self.running.saturating_sub(running)
    }
}

/// State of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Created,
    Running,
    Paused,
    /// The process has ended and waits for its restart by policy.
    Restarting,
    Exited,
}

/// Result of a healthcheck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Starting,
    Healthy,
    Unhealthy,
}

impl Health {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Number of a call whose response comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct OpId(u64);

/// Error response of the Engine: status and message, worded as by the real one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn no_such(name: &str) -> Self {
        Self::new(404, format!("No such container: {name}"))
    }
}

/// Successful result: changed (204) or already in that state (304).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Changed,
    AlreadySo,
}

/// Outcome of a call.
pub(crate) type Outcome = Result<Done, Refusal>;

/// Result of a call at once, or the number under which it comes later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    Now(Done),
    Later(OpId),
}

/// Stop or restart that waits for the end of the process.
#[derive(Clone, Debug)]
struct Op {
    id: OpId,
    restart: bool,
    called: String,
}

/// Key of a container; keys increase in the order of creation.
pub(crate) type Key = u64;

/// Line of output.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) stderr: bool,
    pub(crate) at: Timestamp,
    pub(crate) text: String,
}

/// Current state of a container.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) spec: ContainerSpec,
    pub(crate) id: String,
    pub(crate) created: Timestamp,
    pub(crate) life: Life,
    pub(crate) exit_code: i64,
    pub(crate) error: String,
    pub(crate) started: Option<Timestamp>,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) restart_count: u32,
    pub(crate) health: Option<Health>,
    pub(crate) failing: u32,
    pub(crate) lines: VecDeque<Line>,
    /// `container:<id>` of the specification's `network_of`, fixed at the creation; likewise the next two.
    pub(crate) network_of: Option<String>,
    pub(crate) pid_of: Option<String>,
    pub(crate) ipc_of: Option<String>,
    /// Monotonic time of the last start of the process.
    pub(crate) started_running: Duration,
    manually_stopped: bool,
    backoff: Duration,
    ops: Vec<Op>,
    /// Planned end of the process: monotonic time and exit code.
    death: Option<(Duration, i64)>,
    /// Planned end of a paused process: remaining time and exit code.
    frozen: Option<(Duration, i64)>,
    /// Incremented at every start and end of a process, to invalidate entries in `agenda` for an earlier one.
    process: u64,
    /// Incremented at every change of `death`.
    plan: u64,
    /// Incremented whenever the planned results of the healthcheck become invalid.
    watch: u64,
}

impl Container {
    /// The Engine's word for the state.
    pub(crate) fn state(&self) -> &'static str {
        match self.life {
            Life::Created => "created",
            Life::Running => "running",
            Life::Paused => "paused",
            Life::Restarting => "restarting",
            Life::Exited => "exited",
        }
    }

    /// Whether there is a process, paused or not.
    fn has_process(&self) -> bool {
        matches!(self.life, Life::Running | Life::Paused)
    }
}

/// Kind of a due entry in `agenda`.
#[derive(Clone, Copy, Debug)]
enum Due {
    Death { plan: u64 },
    GraceOver(OpId),
    RestartByPolicy { process: u64 },
    Passes { watch: u64 },
    Fails { watch: u64 },
}

/// State of the simulated Engine.
#[derive(Debug)]
pub(crate) struct Machine {
    now: Moment,
    containers: BTreeMap<Key, Container>,
    names: HashMap<String, Key>,
    ids: HashMap<String, Key>,
    agenda: BTreeMap<(Duration, u64), (Key, Due)>,
    ring: VecDeque<Event>,
    new_events: Vec<Event>,
    answered: Vec<(OpId, Outcome)>,
    counter: u64,
    pub(crate) daemon_up: bool,
    daemon_end: Option<DaemonEnd>,
    pub(crate) engine_id: String,
}

impl Machine {
    pub(crate) fn new(now: Moment, world: World) -> Self {
        let mut machine = Self {
            now,
            containers: BTreeMap::new(),
            names: HashMap::new(),
            ids: HashMap::new(),
            agenda: BTreeMap::new(),
            ring: VecDeque::new(),
            new_events: Vec::new(),
            answered: Vec::new(),
            counter: 0,
            daemon_up: true,
            daemon_end: None,
            engine_id: world.engine_id.unwrap_or_else(|| "SIMU:LATE:D000".to_owned()),
        };
        for spec in world.containers {
            machine.add(spec);
        }
        machine
    }

    /// Adds a container in its initial state, without an event.
    pub(crate) fn add(&mut self, spec: ContainerSpec) -> Key {
        let key = self.insert(spec);
        let now = self.now;
        let container = self.containers.get_mut(&key).expect("it was just inserted");
        match container.spec.initially {
            Initially::Created => {}
            Initially::Running(up) | Initially::Paused(up) => {
                container.created = now.wall - up;
                container.started = Some(now.wall - up);
                container.life = Life::Running;
                self.plan_end(key);
                self.settle_health(key);
                let container = self.containers.get_mut(&key).expect("it was just inserted");
                if matches!(container.spec.initially, Initially::Paused(_)) {
                    self.freeze(key);
                }
            }
            Initially::Exited { code, ago, stopped } => {
                container.created = now.wall - ago - Duration::from_secs(60);
                container.started = Some(now.wall - ago - Duration::from_secs(60));
                container.finished = Some(now.wall - ago);
                container.life = Life::Exited;
                container.exit_code = code;
                container.manually_stopped = stopped;
                if container.spec.healthcheck.is_some() {
                    container.health = Some(Health::Unhealthy);
                }
            }
        }
        key
    }

    /// Adds a container in the state `created`. A number is appended to a name that is taken.
    fn insert(&mut self, spec: ContainerSpec) -> Key {
        self.counter += 1;
        let key = self.counter;
        let mut spec = spec;
        let mut tries = 1;
        let wanted = spec.name.clone();
        while self.names.contains_key(&spec.name) {
            tries += 1;
            spec.name = format!("{wanted}-{tries}");
        }
        let mut id = hex(&format!("container {key} {}", spec.name));
        id.replace_range(..spec.id_begin.len(), &spec.id_begin);
        let shared = |name: &Option<String>| {
            let name = name.as_deref()?;
            let id = self.find(name).ok().map_or(name, |key| self.containers[&key].id.as_str());
            Some(format!("container:{id}"))
        };
        let (network_of, pid_of, ipc_of) =
            (shared(&spec.network_of), shared(&spec.pid_of), shared(&spec.ipc_of));
        self.names.insert(spec.name.clone(), key);
        self.ids.insert(id.clone(), key);
        self.containers.insert(
            key,
            Container {
                spec,
                id,
                created: self.now.wall,
                life: Life::Created,
                exit_code: 0,
                error: String::new(),
                started: None,
                finished: None,
                restart_count: 0,
                health: None,
                failing: 0,
                lines: VecDeque::new(),
                network_of,
                pid_of,
                ipc_of,
                started_running: self.now.running,
                manually_stopped: false,
                backoff: process::FIRST_BACKOFF,
                ops: Vec::new(),
                death: None,
                frozen: None,
                process: 0,
                plan: 0,
                watch: 0,
            },
        );
        key
    }

    pub(crate) fn now(&self) -> Moment {
        self.now
    }

    /// All containers in the order of creation.
    pub(crate) fn containers(&self) -> impl DoubleEndedIterator<Item = &Container> {
        self.containers.values()
    }

    /// Container with exactly this id or name, else the only one whose id has this prefix.
    pub(crate) fn find(&self, wanted: &str) -> Result<Key, Refusal> {
        let name = wanted.strip_prefix('/').unwrap_or(wanted);
        if let Some(&key) = self.ids.get(wanted).or_else(|| self.names.get(name)) {
            return Ok(key);
        }
        if wanted.is_empty() || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Refusal::no_such(wanted));
        }
        let mut found = self.ids.iter().filter(|(id, _)| id.starts_with(wanted));
        match (found.next(), found.next()) {
            (Some((_, &key)), None) => Ok(key),
            (None, _) => Err(Refusal::no_such(wanted)),
            _ => Err(Refusal::new(400, format!("Multiple IDs found with provided prefix: {wanted}"))),
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Container> {
        self.containers.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Container> {
        self.containers.get_mut(&key)
    }

    /// Next due instant, as monotonic time.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.agenda.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Advances the machine to `now`; every entry that is due until then happens at its own instant.
    pub(crate) fn advance(&mut self, now: Moment) {
        while let Some((&(at, order), _)) = self.agenda.first_key_value() {
            if at > now.running {
                break;
            }
            let Some((key, due)) = self.agenda.remove(&(at, order)) else { break };
            let at = at.max(self.now.running);
            self.now = Moment { wall: now.wall_at(at), running: at };
            if self.containers.contains_key(&key) {
                self.handle_due(key, due);
            }
        }
        self.now = now;
    }

    fn schedule(&mut self, after: Duration, key: Key, due: Due) {
        self.counter += 1;
        self.agenda.insert((self.now.running.saturating_add(after), self.counter), (key, due));
    }

    /// Responses since the previous call of this function.
    pub(crate) fn take_answered(&mut self) -> Vec<(OpId, Outcome)> {
        std::mem::take(&mut self.answered)
    }
}
