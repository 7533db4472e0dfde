//! One Engine, simulated or real, and the containers of one case on it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, EventMessage, HealthConfig, HostConfig, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, EventsOptionsBuilder, KillContainerOptions, ListContainersOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
};
use docknap::clock::Clock;
use docknap::sim::{ContainerSpec, DaemonEnd, Healthcheck, Restart, World};
use futures_util::StreamExt;
use tokio::sync::watch;

use crate::support::engine::{self, Answer, Daemon};
use crate::support::sim::{Simulated, connect};

/// Longest wait for an event.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the program in a container does.
#[derive(Clone, Copy)]
pub enum Program {
    /// Ends this many seconds after SIGTERM, with 0.
    Ends(u64),
    /// Ignores SIGTERM.
    Ignores,
    /// Ends by itself after so many seconds, with this code.
    Exits(u64, i64),
    /// Keeps a core busy.
    Burns,
    /// There is no such program.
    Missing,
    /// Prints "one" to stdout, "two" to stderr, "three" to stdout and ends.
    Prints,
}

/// A container of a case.
#[derive(Clone)]
pub struct Spec {
    pub program: Program,
    pub restart: Restart,
    pub auto_remove: bool,
    pub stop_timeout: Option<i64>,
    /// A healthcheck, looking every 500 ms, two tries, that succeeds (or never does).
    pub healthy: Option<bool>,
    /// Name, within the case, of the container whose network it shares.
    pub network_of: Option<&'static str>,
    /// The same for its PID namespace …
    pub pid_of: Option<&'static str>,
    /// … its IPC namespace …
    pub ipc_of: Option<&'static str>,
    /// … and its volumes.
    pub volumes_from: Option<&'static str>,
    /// Others may join its IPC namespace.
    pub shareable: bool,
    pub labels: Vec<(&'static str, &'static str)>,
    pub tty: bool,
}

impl Spec {
    pub fn new(program: Program) -> Self {
        Self {
            program,
            restart: Restart::No,
            auto_remove: false,
            stop_timeout: None,
            healthy: None,
            network_of: None,
            pid_of: None,
            ipc_of: None,
            volumes_from: None,
            shareable: false,
            labels: Vec::new(),
            tty: false,
        }
    }
}

enum Side {
    Simulated(Box<Simulated>),
    Real,
    /// A real one of the case's own.
    Own(Box<Daemon>),
}

/// The Engine under test and the events of the case's containers.
pub struct Bench {
    side: Side,
    pub docker: Docker,
    pub socket: PathBuf,
    prefix: String,
    /// Events of this case's containers since its begin, and how many of them were looked at.
    log: Arc<Mutex<Vec<EventMessage>>>,
    grown: watch::Receiver<usize>,
    looked: usize,
    marks: AtomicU32,
    /// Containers that say when they are ready for SIGTERM, and how often they were started.
    ready: Mutex<HashMap<String, usize>>,
    clock: Clock,
}

/// The label all containers of a case carry.
const CASE: &str = "docknap.test.case";

impl Bench {
    /// A simulated Engine of its own.
    pub async fn simulated(case: &str) -> Self {
        let sim = Simulated::start(Clock::system(), World::new()).await;
        let (docker, socket) = (sim.client(), sim.control.socket().to_owned());
        Self::new(Side::Simulated(Box::new(sim)), docker, socket, case)
    }

    /// The real Engine; what an earlier run left of this case is removed.
    pub async fn real(case: &str) -> Self {
        let socket = engine::socket();
        let docker = connect(&format!("unix://{}", socket.display()));
        engine::ensure_image(&docker, &socket).await;
        let bench = Self::new(Side::Real, docker, socket, case);
        bench.clear().await;
        bench
    }

    /// A real Engine of its own, which the case may end.
    pub async fn own(case: &str) -> Self {
        let daemon = Daemon::start().await;
        let (docker, socket) = (connect(&daemon.host()), daemon.socket());
        Self::new(Side::Own(Box::new(daemon)), docker, socket, case)
    }

    /// The daemon ends and comes back; the events end with it.
    pub async fn restart_daemon(&mut self, end: DaemonEnd) {
        match &mut self.side {
            Side::Simulated(sim) => sim.control.daemon_restart(end).expect("the socket can be bound"),
            Side::Own(daemon) => {
                daemon.down(end);
                daemon.up().await;
            }
            Side::Real => panic!("this Engine is shared"),
        }
    }

    fn new(side: Side, docker: Docker, socket: PathBuf, case: &str) -> Self {
        let clock = Clock::system();
        // A prefix of its own for every run: events of an earlier one do not count.
        let prefix = format!("dnt-{case}-{}", clock.now().as_millisecond() % 1_000_000_000);
        let log = Arc::new(Mutex::new(Vec::new()));
        let (sender, grown) = watch::channel(0);
        let filters = [("type", vec!["container".to_owned()]), ("label", vec![format!("{CASE}={case}")])];
        let options = EventsOptionsBuilder::new()
            // Asked from now on, so that it does not matter when the stream opens.
            .since(&clock.now().as_second().to_string())
            .filters(&filters.into_iter().collect())
            .build();
        let mut events = docker.events(Some(options));
        tokio::spawn({
            let (log, prefix) = (Arc::clone(&log), prefix.clone());
            async move {
                while let Some(Ok(event)) = events.next().await {
                    let name = attribute(&event, "name").unwrap_or_default();
                    if !name.starts_with(&prefix)
                        || event.action.iter().any(|action| action.starts_with("exec_"))
                    {
                        continue;
                    }
                    let mut log = log.lock().expect("nobody panics with it");
                    log.push(event);
                    sender.send_replace(log.len());
                }
            }
        });
        Self {
            side,
            docker,
            socket,
            prefix,
            log,
            grown,
            looked: 0,
            marks: AtomicU32::new(0),
            ready: Mutex::default(),
            clock,
        }
    }

    fn case(&self) -> &str {
        self.prefix.strip_prefix("dnt-").and_then(|rest| rest.rsplit_once('-')).map_or("", |(case, _)| case)
    }

    /// The whole name of a container of this case.
    pub fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Creates a container; its id.
    pub async fn create(&self, name: &str, spec: Spec) -> String {
        let Side::Simulated(sim) = &self.side else { return self.create_really(name, spec).await };
        let mut simulated = ContainerSpec::new(self.name(name))
            .image(engine::IMAGE)
            .restart(spec.restart)
            .label(CASE, self.case());
        simulated = match spec.program {
            Program::Ends(seconds) => simulated.stops_after(Duration::from_secs(seconds), 0),
            Program::Ignores => simulated.ignores_sigterm(),
            Program::Exits(seconds, code) => simulated.exits(Duration::from_secs(seconds), code),
            Program::Burns => simulated.uses(100, 1 << 20),
            Program::Missing => simulated.refuses_to_start(),
            Program::Prints => {
                simulated.prints("one").complains("two").prints("three").exits(Duration::ZERO, 0)
            }
        };
        if let Some(healthy) = spec.healthy {
            let interval = Duration::from_millis(500);
            simulated = simulated.healthcheck(Healthcheck {
                interval,
                retries: 2,
                start_period: Duration::ZERO,
                passes_after: healthy.then_some(interval),
            });
        }
        if let Some(seconds) = spec.stop_timeout {
            simulated = simulated.stop_timeout(seconds);
        }
        if let Some(other) = spec.network_of {
            simulated = simulated.network_of(self.name(other));
        }
        if let Some(other) = spec.pid_of {
            simulated = simulated.pid_of(self.name(other));
        }
        if let Some(other) = spec.ipc_of {
            simulated = simulated.ipc_of(self.name(other));
        }
        if let Some(other) = spec.volumes_from {
            simulated = simulated.volumes_from(self.name(other));
        }
        for (key, value) in spec.labels {
            simulated = simulated.label(key, value);
        }
        if spec.auto_remove {
            simulated = simulated.auto_remove();
        }
        if spec.tty {
            simulated = simulated.tty();
        }
        sim.control.create(simulated)
    }

    async fn create_really(&self, name: &str, spec: Spec) -> String {
        let shell =
            |script: String| vec!["/bin/busybox".to_owned(), "sh".to_owned(), "-c".to_owned(), script];
        let cmd = match spec.program {
            Program::Ends(seconds) => shell(format!(
                "trap '/bin/busybox sleep {seconds}; exit 0' TERM; echo ready; while true; do /bin/busybox sleep 0.1; done"
            )),
            // The first process of a container ignores what it does not handle.
            Program::Ignores => vec!["/bin/busybox".to_owned(), "sleep".to_owned(), "100000".to_owned()],
            Program::Exits(0, code) => shell(format!("exit {code}")),
            Program::Exits(seconds, code) => shell(format!("/bin/busybox sleep {seconds}; exit {code}")),
            Program::Burns => shell("trap 'exit 0' TERM; while true; do :; done".to_owned()),
            Program::Missing => vec!["/nosuch".to_owned()],
            Program::Prints => shell(
                // Time apart, since two pipes have no order between them.
                "echo one; /bin/busybox sleep 0.2; echo two >&2; /bin/busybox sleep 0.2; echo three"
                    .to_owned(),
            ),
        };
        let restart = match spec.restart {
            Restart::No => RestartPolicyNameEnum::NO,
            Restart::Always => RestartPolicyNameEnum::ALWAYS,
            Restart::UnlessStopped => RestartPolicyNameEnum::UNLESS_STOPPED,
            Restart::OnFailure(_) => RestartPolicyNameEnum::ON_FAILURE,
        };
        let labels = [(CASE, self.case())].into_iter().chain(spec.labels);
        let body = ContainerCreateBody {
            image: Some(engine::IMAGE.to_owned()),
            cmd: Some(cmd),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
            stop_timeout: spec.stop_timeout,
            tty: Some(spec.tty),
            healthcheck: spec.healthy.map(|healthy| HealthConfig {
                test: Some(
                    ["CMD", "/bin/busybox", if healthy { "true" } else { "false" }].map(str::to_owned).into(),
                ),
                interval: Some(500_000_000),
                timeout: Some(5_000_000_000),
                retries: Some(2),
                ..HealthConfig::default()
            }),
            host_config: Some(HostConfig {
                restart_policy: Some(RestartPolicy {
                    name: Some(restart),
                    maximum_retry_count: Some(i64::from(spec.restart.retries())),
                }),
                auto_remove: Some(spec.auto_remove),
                network_mode: spec.network_of.map(|other| format!("container:{}", self.name(other))),
                pid_mode: spec.pid_of.map(|other| format!("container:{}", self.name(other))),
                ipc_mode: match spec.ipc_of {
                    Some(other) => Some(format!("container:{}", self.name(other))),
                    None => spec.shareable.then(|| "shareable".to_owned()),
                },
                volumes_from: spec.volumes_from.map(|other| vec![self.name(other)]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        if matches!(spec.program, Program::Ends(_)) {
            self.ready.lock().expect("nobody panics with it").insert(name.to_owned(), 0);
        }
        let options = CreateContainerOptionsBuilder::new().name(&self.name(name)).build();
        self.docker.create_container(Some(options), body).await.expect("a container is created").id
    }

    /// `POST /containers/{name}/{verb}`: status and message. After a start the program is given time to get ready.
    pub async fn post(&self, name: &str, verb: &str) -> (u16, String) {
        let answer = self.call("POST", &format!("/containers/{}/{verb}", self.name(name))).await;
        if answer.status == 204 && (verb.starts_with("start") || verb.starts_with("restart")) {
            self.wait_ready(name).await;
        }
        (answer.status, answer.message())
    }

    /// A shell that has not set its trap yet ignores SIGTERM: waits until it says that it has.
    async fn wait_ready(&self, name: &str) {
        let starts = {
            let mut ready = self.ready.lock().expect("nobody panics with it");
            let Some(starts) = ready.get_mut(name) else { return };
            *starts += 1;
            *starts
        };
        let options = LogsOptionsBuilder::new().stdout(true).follow(true).build();
        let lines = self.docker.logs(&self.name(name), Some(options)).take(starts);
        let wait = lines.for_each(|line| async { drop(line.expect("a line")) });
        let in_time = self.clock.timeout(PATIENCE, wait).await.is_ok();
        assert!(in_time, "{name} does not get ready");
    }

    /// The status of that alone.
    pub async fn does(&self, name: &str, verb: &str) -> u16 {
        self.post(name, verb).await.0
    }

    /// Any request.
    pub async fn call(&self, method: &str, path: &str) -> Answer {
        engine::call(&self.socket, method, path).await
    }

    /// The events of this case that the Engine still keeps: action and container, oldest first.
    pub async fn kept(&self) -> Vec<(String, String)> {
        let now = self.clock.now();
        let until = format!("{}.{:09}", now.as_second(), now.subsec_nanosecond());
        let answer = self.call("GET", &format!("/events?since=0&until={until}")).await;
        let prefix = self.name("");
        let events = answer.body.lines().filter(|line| line.starts_with('{'));
        events
            .filter_map(|line| {
                let event: serde_json::Value = serde_json::from_str(line).ok()?;
                let name = event["Actor"]["Attributes"]["name"].as_str()?.strip_prefix(&prefix)?;
                Some((event["Action"].as_str()?.to_owned(), name.to_owned()))
            })
            .collect()
    }

    /// What inspect shows.
    pub async fn inspect(&self, name: &str) -> ContainerInspectResponse {
        self.docker.inspect_container(&self.name(name), None).await.expect("inspect")
    }

    /// State and exit code, such as `exited 137`; the flags of the state must agree with its word.
    pub async fn state(&self, name: &str) -> String {
        let state = self.inspect(name).await.state.expect("a state");
        let word = state.status.expect("a status").to_string();
        let flags = (
            state.running.unwrap_or_default(),
            state.paused.unwrap_or_default(),
            state.restarting.unwrap_or_default(),
        );
        let expected = match word.as_str() {
            "running" => (true, false, false),
            "paused" => (true, true, false),
            "restarting" => (true, false, true),
            _ => (false, false, false),
        };
        assert_eq!(flags, expected, "flags of {word}");
        format!("{word} {}", state.exit_code.unwrap_or_default())
    }

    /// What the healthcheck says, an empty text without one.
    pub async fn health(&self, name: &str) -> String {
        let health = self.inspect(name).await.state.and_then(|state| state.health);
        health.and_then(|health| health.status).map(|status| status.to_string()).unwrap_or_default()
    }

    /// Status text of the list, without its times: `Up … (healthy)`.
    pub async fn status_text(&self, name: &str) -> String {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let list = self.docker.list_containers(Some(options)).await.expect("a list");
        let name = format!("/{}", self.name(name));
        let found = list.into_iter().find(|one| one.names.iter().flatten().any(|other| *other == name));
        let text = found.and_then(|one| one.status).unwrap_or_default();
        let words: Vec<&str> = text.split(' ').collect();
        let kept: Vec<&str> = words
            .iter()
            .copied()
            .filter(|word| {
                matches!(*word, "Up" | "Exited" | "Created" | "Restarting" | "ago" | "starting)" | "(health:")
                    || word.starts_with('(')
            })
            .collect();
        kept.join(" ")
    }

    /// `docker kill`, by somebody else.
    pub async fn kill(&self, name: &str) {
        match &self.side {
            Side::Simulated(sim) => sim.control.kill(&self.name(name)).expect("it runs"),
            Side::Real | Side::Own(_) => {
                self.docker
                    .kill_container(&self.name(name), None::<KillContainerOptions>)
                    .await
                    .expect("it runs");
            }
        }
    }

    /// `docker rename`, by somebody else.
    pub async fn rename(&self, name: &str, new: &str) {
        let (name, new) = (self.name(name), self.name(new));
        match &self.side {
            Side::Simulated(sim) => sim.control.rename(&name, &new).expect("the name is free"),
            Side::Real | Side::Own(_) => {
                let options = RenameContainerOptionsBuilder::new().name(&new).build();
                self.docker.rename_container(&name, options).await.expect("the name is free");
            }
        }
    }

    /// `docker rm --force`, by somebody else.
    pub async fn remove(&self, name: &str) {
        self.remove_named(&self.name(name)).await;
    }

    async fn remove_named(&self, name: &str) {
        match &self.side {
            Side::Simulated(sim) => sim.control.remove(name),
            Side::Real | Side::Own(_) => {
                let options = RemoveContainerOptionsBuilder::new().force(true).build();
                // It may be on its way out already.
                let _ = self.docker.remove_container(name, Some(options)).await;
            }
        }
    }

    /// Events in the order they came since the last look, up to now: `start web`, `kill 15 web`, `die 0 web`.
    pub async fn history(&mut self) -> Vec<String> {
        let mark = format!("mark-{}", self.marks.fetch_add(1, Ordering::Relaxed));
        self.create(&mark, Spec::new(Program::Ends(0))).await;
        let end = format!("create {mark}");
        let mut history = self.until(&end).await;
        self.remove(&mark).await;
        history.pop();
        history
    }

    /// Waits for that event; all events since the last look, up to it.
    pub async fn until(&mut self, wanted: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let clock = self.clock.clone();
        let wait = async {
            loop {
                let next = self.log.lock().expect("nobody panics with it").get(self.looked).cloned();
                let Some(event) = next else {
                    let looked = self.looked;
                    self.grown.wait_for(|&grown| grown > looked).await.expect("the event stream is open");
                    continue;
                };
                self.looked += 1;
                let shown = self.show(&event);
                if shown.contains(" mark-") && shown != wanted {
                    continue;
                }
                seen.push(shown);
                if seen.last().is_some_and(|last| last == wanted) {
                    return;
                }
            }
        };
        let in_time = clock.timeout(PATIENCE, wait).await.is_ok();
        assert!(in_time, "no {wanted:?} came, only {seen:?}");
        seen
    }

    fn show(&self, event: &EventMessage) -> String {
        let name = attribute(event, "name").unwrap_or_default();
        let name = name.strip_prefix(&format!("{}-", self.prefix)).unwrap_or(name).to_owned();
        let mut words = vec![event.action.clone().unwrap_or_default()];
        words
            .extend(["signal", "exitCode"].iter().filter_map(|key| attribute(event, key).map(str::to_owned)));
        words.push(name);
        words.join(" ")
    }

    /// The last event of that action.
    pub fn event(&self, action: &str) -> EventMessage {
        let log = self.log.lock().expect("nobody panics with it");
        let found = log.iter().rev().find(|event| event.action.as_deref() == Some(action));
        found.cloned().unwrap_or_else(|| panic!("no event {action}"))
    }

    /// Removes all containers of this case, also those of an earlier run.
    pub async fn clear(&self) {
        let filters = [("label", vec![format!("{CASE}={}", self.case())])].into_iter().collect();
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        for one in self.docker.list_containers(Some(options)).await.expect("a list") {
            self.remove_named(one.id.as_deref().expect("an id")).await;
        }
    }
}

/// An attribute of the event's actor.
pub fn attribute<'a>(event: &'a EventMessage, name: &str) -> Option<&'a str> {
    event.actor.as_ref()?.attributes.as_ref()?.get(name).map(String::as_str)
}
