//! The handle by which a test plays the rest of the world.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::machine::{Container, DaemonEnd, Done, Key, Life, Outcome, Refusal};
use super::world::label;
use super::{Api, ContainerSpec, Endpoint, Fault, Shared, World};

/// A call the Engine received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which one.
    pub endpoint: Endpoint,
    /// `GET`, `POST`.
    pub method: String,
    /// Path and query as sent, version included.
    pub path: String,
    /// Name of the container it meant, if that exists.
    pub container: Option<String>,
    /// When it came.
    pub at: Timestamp,
}

/// A container as the Engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id, 64 hex digits.
    pub id: String,
    pub name: String,
    /// `created`, `running`, `paused`, `restarting` or `exited`.
    pub state: String,
    /// `healthy`, `unhealthy`, `starting`; `None` without a healthcheck.
    pub health: Option<String>,
    /// Exit code of the last process that ended, 0 while one runs.
    pub exit_code: i64,
    /// When the last process started.
    pub started: Option<Timestamp>,
    /// When the last process that ended did so.
    pub finished: Option<Timestamp>,
    /// Restarts by policy since the last start by somebody.
    pub restart_count: u32,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Seen {
    fn of(container: &Container) -> Self {
        Self {
            id: container.id.clone(),
            name: container.spec.name.clone(),
            state: container.state().to_owned(),
            health: container.health.map(|health| health.word().to_owned()),
            exit_code: container.exit_code,
            started: container.started,
            finished: container.finished,
            restart_count: container.restart_count,
            labels: container.spec.labels.clone(),
        }
    }
}

/// Moves the simulated world from outside; cheap to clone. Containers are named by name, id or id prefix, and one that
/// is not there is an error of the test: these functions panic and say which.
#[derive(Clone, Debug)]
pub struct Control(Arc<Shared>);

#[expect(clippy::missing_panics_doc, reason = "said once above, for all functions that take a name")]
impl Control {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }

    /// Where the Engine listens.
    pub fn socket(&self) -> &Path {
        &self.0.socket
    }

    /// The socket as `DOCKER_HOST` wants it.
    pub fn docker_host(&self) -> String {
        format!("unix://{}", self.0.socket.display())
    }

    fn with<T>(&self, name: &str, work: impl FnOnce(&mut super::Inner, Key) -> T) -> T {
        let mut inner = self.0.lock();
        let found = inner.machine.find(name);
        match found {
            Ok(key) => work(&mut inner, key),
            Err(refusal) => {
                drop(inner);
                panic!("{}", refusal.message)
            }
        }
    }

    // What goes wrong

    /// Lets something go wrong.
    pub fn fault(&self, fault: Fault) {
        self.0.lock().faults.push(fault);
    }

    /// Nothing goes wrong any more. Calls that hang stay so.
    pub fn clear_faults(&self) {
        self.0.lock().faults.clear();
    }

    /// The versions of the API the Engine speaks from now on, such as `("1.24", "1.52")`. By default those of 20.10:
    /// 1.12 to 1.41.
    pub fn api_range(&self, min: &str, max: &str) {
        let parse = |text: &str| super::api_version(text).expect("a version such as 1.41");
        let api = Api { min: parse(min), max: parse(max) };
        self.0.lock().api = api;
    }

    // The daemon

    /// The daemon ends: the socket goes (graceful) or refuses (crash), connections and streams break, calls in flight
    /// get no answer.
    pub fn daemon_down(&self, end: DaemonEnd) {
        // It takes no calls any more while it still tells how it ends what runs.
        self.0.refuse(end == DaemonEnd::Graceful);
        self.0.lock().machine.daemon_ends(end);
        self.0.close(end == DaemonEnd::Graceful);
    }

    /// The daemon starts again: restart policies act, the events before are forgotten.
    pub fn daemon_up(&self) -> io::Result<()> {
        self.0.lock().machine.daemon_starts();
        self.0.listen()
    }

    /// Down and up again at once.
    pub fn daemon_restart(&self, end: DaemonEnd) -> io::Result<()> {
        self.daemon_down(end);
        self.daemon_up()
    }

    /// Breaks every event stream, as a proxy with an idle limit does; the daemon lives on.
    pub fn break_streams(&self) {
        self.0.lock().streams.clear();
    }

    // Somebody else at the keyboard

    /// `docker start` by somebody else.
    pub fn start(&self, name: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| plain(inner.machine.start(key)))
    }

    /// `docker stop` by somebody else, with the container's own grace; does not wait.
    pub fn stop(&self, name: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| plain(inner.machine.stop(key, None).map(|_| Done::Changed)))
    }

    /// `docker restart` by somebody else; does not wait.
    pub fn restart(&self, name: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| plain(inner.machine.restart(key, None, name).map(|_| Done::Changed)))
    }

    /// `docker pause` by somebody else.
    pub fn pause(&self, name: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| plain(inner.machine.pause(key)))
    }

    /// `docker unpause` by somebody else.
    pub fn unpause(&self, name: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| plain(inner.machine.unpause(key)))
    }

    /// `docker kill` by somebody else.
    pub fn kill(&self, name: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| plain(inner.machine.kill(key)))
    }

    /// The process ends by itself with this code; its restart policy decides what follows.
    pub fn exit(&self, name: &str, code: i64) {
        self.with(name, |inner, key| inner.machine.exit(key, code));
    }

    /// `docker create`; the id of the new container.
    pub fn create(&self, spec: ContainerSpec) -> String {
        let mut inner = self.0.lock();
        let key = inner.machine.create(spec);
        inner.machine.get(key).map(|container| container.id.clone()).unwrap_or_default()
    }

    /// `compose up` of what is described: every container is created and started, whatever it is described to be
    /// doing at first.
    pub fn up(&self, world: World) {
        let mut inner = self.0.lock();
        for spec in world.containers {
            let key = inner.machine.create(spec);
            let _ = inner.machine.start(key);
        }
    }

    /// Puts containers there without a word, each in the state it is described to be in.
    pub fn add(&self, world: World) {
        let mut inner = self.0.lock();
        for spec in world.containers {
            inner.machine.add(spec);
        }
    }

    /// `docker rename`.
    pub fn rename(&self, name: &str, new: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| plain(inner.machine.rename(key, new)))
    }

    /// `docker rm --force`.
    pub fn remove(&self, name: &str) {
        self.with(name, |inner, key| inner.machine.remove(key));
    }

    /// The first half of what compose does to a service that changed: beside the old container stands a new one of
    /// the same labels, not started, named `<12hex>_<name>`. Gives the new one's id.
    pub fn recreate_begin(&self, name: &str) -> String {
        self.with(name, |inner, key| {
            let old = inner.machine.get(key).expect("it was just found");
            let mut spec = old.spec.clone();
            spec.name = format!("{}_{}", &old.id[..12], old.spec.name);
            let key = inner.machine.create(spec);
            inner.machine.get(key).map(|container| container.id.clone()).unwrap_or_default()
        })
    }

    /// The second half: the old container goes, the new one takes its name and is started.
    pub fn recreate_finish(&self, name: &str) {
        self.with(name, |inner, key| {
            let old = inner.machine.get(key).expect("it was just found");
            let (name, double) = (old.spec.name.clone(), format!("{}_{}", &old.id[..12], old.spec.name));
            let double = inner.machine.find(&double).expect("recreate_begin comes first");
            let _ = inner.machine.stop(key, Some(0));
            if inner.machine.get(key).is_some() {
                inner.machine.remove(key);
            }
            let _ = inner.machine.rename(double, &name);
            let _ = inner.machine.start(double);
        });
    }

    /// What an updater does to a container that does not run, and `compose create --force-recreate` to any: in its
    /// place stands a new one that was never started. Gives its id.
    pub fn make_anew(&self, name: &str) -> String {
        self.with(name, |inner, key| {
            let spec = inner.machine.get(key).expect("it was just found").spec.clone();
            inner.machine.remove(key);
            let key = inner.machine.create(spec);
            inner.machine.get(key).map(|container| container.id.clone()).unwrap_or_default()
        })
    }

    /// Both halves at once; the new container's id.
    pub fn recreate(&self, name: &str) -> String {
        let id = self.recreate_begin(name);
        self.recreate_finish(name);
        id
    }

    /// Changes how a container behaves from now on (a process that runs goes on as it was). Its name stays.
    pub fn update(&self, name: &str, change: impl FnOnce(ContainerSpec) -> ContainerSpec) {
        self.with(name, |inner, key| {
            let container = inner.machine.get_mut(key).expect("it was just found");
            let name = container.spec.name.clone();
            container.spec = change(container.spec.clone());
            container.spec.name = name;
        });
    }

    /// What the healthcheck finds from now on; acts at once on a running container.
    pub fn set_healthy(&self, name: &str, healthy: bool) {
        self.with(name, |inner, key| inner.machine.set_healthy(key, healthy));
    }

    /// The process prints a line to stdout, or to stderr.
    pub fn print(&self, name: &str, stderr: bool, line: &str) {
        self.with(name, |inner, key| inner.machine.print(key, stderr, line));
    }

    // Looking

    /// The container of that name, if it is there.
    pub fn container(&self, name: &str) -> Option<Seen> {
        let inner = self.0.lock();
        inner.machine.find(name).ok().and_then(|key| inner.machine.get(key)).map(Seen::of)
    }

    /// Its state: `created`, `running`, `paused`, `restarting`, `exited`, or `gone`.
    pub fn state(&self, name: &str) -> String {
        self.container(name).map_or_else(|| "gone".to_owned(), |seen| seen.state)
    }

    /// All containers, in the order of creation.
    pub fn containers(&self) -> Vec<Seen> {
        self.0.lock().machine.containers().map(Seen::of).collect()
    }

    /// Names of the containers of a stack that have a running process (paused ones excepted), sorted.
    pub fn running(&self, project: &str) -> Vec<String> {
        let inner = self.0.lock();
        let mut names: Vec<String> = inner
            .machine
            .containers()
            .filter(|container| container.life == Life::Running)
            .filter(|container| container.spec.labels.get(label::PROJECT).is_some_and(|mine| mine == project))
            .map(|container| container.spec.name.clone())
            .collect();
        names.sort();
        names
    }

    /// The events the Engine still keeps, as `action name`, oldest first.
    pub fn events(&self) -> Vec<String> {
        let inner = self.0.lock();
        inner.machine.ring().map(|event| format!("{} {}", event.action, event.name())).collect()
    }

    /// How many event streams are open.
    pub fn streams(&self) -> usize {
        let mut inner = self.0.lock();
        inner.streams.retain(|stream| !stream.is_closed());
        inner.streams.len()
    }

    /// Calls received, oldest first (the last 100,000).
    pub fn calls(&self) -> Vec<Call> {
        self.0.lock().calls.iter().cloned().collect()
    }

    /// Calls that change something, oldest first, as (endpoint, container's name, time).
    pub fn acts(&self) -> Vec<(Endpoint, String, Timestamp)> {
        let inner = self.0.lock();
        let acts = inner.calls.iter().filter(|call| call.endpoint.acts());
        acts.map(|call| (call.endpoint, call.container.clone().unwrap_or_default(), call.at)).collect()
    }

    /// How often an endpoint was called since the start, or since [`Control::clear_calls`].
    pub fn count(&self, endpoint: Endpoint) -> u64 {
        self.0.lock().counts.get(&endpoint).copied().unwrap_or_default()
    }

    /// All counters that are not zero.
    pub fn counts(&self) -> BTreeMap<Endpoint, u64> {
        self.0.lock().counts.clone()
    }

    /// Forgets the calls and sets the counters to zero.
    pub fn clear_calls(&self) {
        let mut inner = self.0.lock();
        inner.calls.clear();
        inner.counts.clear();
    }
}

fn plain(outcome: Outcome) -> Result<(), (u16, String)> {
    outcome.map(|_: Done| ()).map_err(|Refusal { status, message }| (status, message))
}
