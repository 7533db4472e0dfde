//! The handle with which a test controls the simulated Engine from outside: faults, the daemon, actions of other
//! clients, and inspection of containers, events and calls.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::machine::{Container, DaemonEnd, Done, Key, Life, Outcome, Refusal};
use super::world::label;
use super::{Api, ContainerSpec, Endpoint, Fault, Shared, World};

/// A call that the Engine received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Called endpoint.
    pub endpoint: Endpoint,
    /// HTTP method.
    pub method: String,
    /// Path and query as sent, including the version.
    pub path: String,
    /// Name of the container in the path, if it exists.
    pub container: Option<String>,
    /// Time of arrival.
    pub at: Timestamp,
}

/// Snapshot of a container of the Engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Docker id, 64 hex digits.
    pub id: String,
    pub name: String,
    /// `created`, `running`, `paused`, `restarting` or `exited`.
    pub state: String,
    /// `healthy`, `unhealthy` or `starting`; `None` without a healthcheck.
    pub health: Option<String>,
    /// Exit code of the last process that ended, 0 while one runs.
    pub exit_code: i64,
    /// Last start of a process.
    pub started: Option<Timestamp>,
    /// Last end of a process.
    pub finished: Option<Timestamp>,
    /// Restarts by policy since the last start by a client.
    pub restart_count: u32,
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

/// Controls the simulated Engine; cheap to clone. Containers are referenced by name, id or id prefix. An unknown
/// reference is an error of the test: these functions panic with the reference.
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

    /// Path of the Engine's socket.
    pub fn socket(&self) -> &Path {
        &self.0.socket
    }

    /// Address of the socket, as a value for `DOCKER_HOST`.
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

    // Faults

    /// Adds a fault.
    pub fn fault(&self, fault: Fault) {
        self.0.lock().faults.push(fault);
    }

    /// Removes all faults. Calls that already hang keep hanging.
    pub fn clear_faults(&self) {
        self.0.lock().faults.clear();
    }

    /// Sets the API versions that the Engine supports from now on, such as `("1.24", "1.52")`. The default is that of
    /// 20.10: 1.12 to 1.41.
    pub fn api_range(&self, min: &str, max: &str) {
        let parse = |text: &str| super::api_version(text).expect("a version such as 1.41");
        let api = Api { min: parse(min), max: parse(max) };
        self.0.lock().api = api;
    }

    // The daemon

    /// Ends the daemon: the socket disappears (graceful) or refuses connections (crash), connections and streams break,
    /// and calls in progress get no response.
    pub fn daemon_down(&self, end: DaemonEnd) {
        // The daemon accepts no calls any more while it still reports the ends of the running containers.
        self.0.stop_listening(end == DaemonEnd::Graceful);
        self.0.lock().machine.daemon_ends(end);
        self.0.close(end == DaemonEnd::Graceful);
    }

    /// Starts the daemon again: restart policies apply, and earlier events are lost.
    pub fn daemon_up(&self) -> io::Result<()> {
        self.0.lock().machine.daemon_starts();
        self.0.listen()
    }

    /// Ends the daemon and starts it again at once.
    pub fn daemon_restart(&self, end: DaemonEnd) -> io::Result<()> {
        self.daemon_down(end);
        self.daemon_up()
    }

    /// Breaks every event stream, as a proxy with an idle limit does; the daemon keeps running.
    pub fn break_streams(&self) {
        self.0.lock().streams.clear();
    }

    // Actions of other clients

    /// `docker start` by another client.
    pub fn start(&self, name: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| to_result(inner.machine.start(key)))
    }

    /// `docker stop` by another client, with the container's own grace period; does not wait for the end.
    pub fn stop(&self, name: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| to_result(inner.machine.stop(key, None).map(|_| Done::Changed)))
    }

    /// `docker restart` by another client; does not wait for the end.
    pub fn restart(&self, name: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| to_result(inner.machine.restart(key, None, name).map(|_| Done::Changed)))
    }

    /// `docker pause` by another client.
    pub fn pause(&self, name: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| to_result(inner.machine.pause(key)))
    }

    /// `docker unpause` by another client.
    pub fn unpause(&self, name: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| to_result(inner.machine.unpause(key)))
    }

    /// `docker kill` by another client.
    pub fn kill(&self, name: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| to_result(inner.machine.kill(key)))
    }

    /// Ends the process of a container by itself with this code; the restart policy decides what follows.
    pub fn exit(&self, name: &str, code: i64) {
        self.with(name, |inner, key| inner.machine.exit(key, code));
    }

    /// `docker create`; returns the id of the new container.
    pub fn create(&self, spec: ContainerSpec) -> String {
        let mut inner = self.0.lock();
        let key = inner.machine.create(spec);
        inner.machine.get(key).map(|container| container.id.clone()).unwrap_or_default()
    }

    /// `compose up` of the containers in `world`: creates and starts all of them, whatever their initial state.
    pub fn up(&self, world: World) {
        let mut inner = self.0.lock();
        for spec in world.containers {
            let key = inner.machine.create(spec);
            let _ = inner.machine.start(key);
        }
    }

    /// Adds the containers in `world` in their initial states, without events.
    pub fn add(&self, world: World) {
        let mut inner = self.0.lock();
        for spec in world.containers {
            inner.machine.add(spec);
        }
    }

    /// `docker rename`.
    pub fn rename(&self, name: &str, new: &str) -> Result<(), (u16, String)> {
        self.with(name, |inner, key| to_result(inner.machine.rename(key, new)))
    }

    /// `docker rm --force`.
    pub fn remove(&self, name: &str) {
        self.with(name, |inner, key| inner.machine.remove(key));
    }

    /// First half of a re-creation by compose: creates a container with the same labels beside the old one, not
    /// started, named `<12hex>_<name>`. Returns the id of the new container.
    pub fn recreate_begin(&self, name: &str) -> String {
        self.with(name, |inner, key| {
            let old = inner.machine.get(key).expect("it was just found");
            let mut spec = old.spec.clone();
            spec.name = format!("{}_{}", &old.id[..12], old.spec.name);
            let key = inner.machine.create(spec);
            inner.machine.get(key).map(|container| container.id.clone()).unwrap_or_default()
        })
    }

    /// Second half of a re-creation by compose: removes the old container, renames the new one to its name and starts
    /// it.
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

    /// Replaces a container by a new one that is not started, as an updater does with a stopped container, and `compose
    /// create --force-recreate` with any. Returns the id of the new container.
    pub fn make_anew(&self, name: &str) -> String {
        self.with(name, |inner, key| {
            let spec = inner.machine.get(key).expect("it was just found").spec.clone();
            inner.machine.remove(key);
            let key = inner.machine.create(spec);
            inner.machine.get(key).map(|container| container.id.clone()).unwrap_or_default()
        })
    }

    /// Both halves of a re-creation at once; returns the id of the new container.
    pub fn recreate(&self, name: &str) -> String {
        let id = self.recreate_begin(name);
        self.recreate_finish(name);
        id
    }

    /// Changes the specification of a container from now on; a running process is not affected. The name stays.
    pub fn update(&self, name: &str, change: impl FnOnce(ContainerSpec) -> ContainerSpec) {
        self.with(name, |inner, key| {
            let container = inner.machine.get_mut(key).expect("it was just found");
            let name = container.spec.name.clone();
            container.spec = change(container.spec.clone());
            container.spec.name = name;
        });
    }

    /// Sets the result of the healthcheck from now on, with immediate effect on a running container.
    pub fn set_healthy(&self, name: &str, healthy: bool) {
        self.with(name, |inner, key| inner.machine.set_healthy(key, healthy));
    }

    /// Adds a line of output to stdout or stderr.
    pub fn print(&self, name: &str, stderr: bool, line: &str) {
        self.with(name, |inner, key| inner.machine.print(key, stderr, line));
    }

    // Inspection

    /// Snapshot of a container; `None` if it does not exist.
    pub fn container(&self, name: &str) -> Option<Seen> {
        let inner = self.0.lock();
        inner.machine.find(name).ok().and_then(|key| inner.machine.get(key)).map(Seen::of)
    }

    /// State of a container: `created`, `running`, `paused`, `restarting`, `exited`, or `gone` if it does not exist.
    pub fn state(&self, name: &str) -> String {
        self.container(name).map_or_else(|| "gone".to_owned(), |seen| seen.state)
    }

    /// All containers, in the order of creation.
    pub fn containers(&self) -> Vec<Seen> {
        self.0.lock().machine.containers().map(Seen::of).collect()
    }

    /// Names of the containers of a stack that are running and not paused, sorted.
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

    /// Events that the Engine still keeps, as `action name`, oldest first.
    pub fn events(&self) -> Vec<String> {
        let inner = self.0.lock();
        inner.machine.ring().map(|event| format!("{} {}", event.action, event.name())).collect()
    }

    /// Number of open event streams.
    pub fn streams(&self) -> usize {
        let mut inner = self.0.lock();
        inner.streams.retain(|stream| !stream.is_closed());
        inner.streams.len()
    }

    /// Received calls, oldest first (the last 100,000).
    pub fn calls(&self) -> Vec<Call> {
        self.0.lock().calls.iter().cloned().collect()
    }

    /// Calls that change a container, oldest first, as (endpoint, container name, time).
    pub fn acts(&self) -> Vec<(Endpoint, String, Timestamp)> {
        let inner = self.0.lock();
        let acts = inner.calls.iter().filter(|call| call.endpoint.acts());
        acts.map(|call| (call.endpoint, call.container.clone().unwrap_or_default(), call.at)).collect()
    }

    /// Number of calls of an endpoint since the start, or since [`Control::clear_calls`].
    pub fn count(&self, endpoint: Endpoint) -> u64 {
        self.0.lock().counts.get(&endpoint).copied().unwrap_or_default()
    }

    /// Number of calls by endpoint, without zeros.
    pub fn counts(&self) -> BTreeMap<Endpoint, u64> {
        self.0.lock().counts.clone()
    }

    /// Removes all recorded calls and resets the counters.
    pub fn clear_calls(&self) {
        let mut inner = self.0.lock();
        inner.calls.clear();
        inner.counts.clear();
    }
}

fn to_result(outcome: Outcome) -> Result<(), (u16, String)> {
    outcome.map(|_: Done| ()).map_err(|Refusal { status, message }| (status, message))
}
