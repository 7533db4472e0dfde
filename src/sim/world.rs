//! Initial state of a simulated Engine: builders for stacks and containers, with the behaviour of each container.
//!
//! A [`ContainerSpec`] describes both what the Engine reports about a container and what its process does when it is
//! started, stopped or left alone. The defaults are those of an ordinary service: the process runs until it is stopped
//! and then ends at once with 0; there is no healthcheck, and the restart policy is `no`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::SignedDuration;

/// Restart policy of a container, as `HostConfig.RestartPolicy` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Restart {
    /// Never restarted by the Engine.
    #[default]
    No,
    /// Restarted whenever it ends by itself, and at every start of the daemon.
    Always,
    /// As [`Restart::Always`], but a container that was stopped stays stopped at a start of the daemon.
    UnlessStopped,
    /// Restarted after an exit code other than 0, at most this many times (0 = no limit).
    OnFailure(u32),
}

impl Restart {
    /// The word the Engine uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
            Self::OnFailure(_) => "on-failure",
        }
    }

    /// `MaximumRetryCount`.
    pub fn retries(self) -> u32 {
        if let Self::OnFailure(retries) = self { retries } else { 0 }
    }
}

/// Behaviour of a process after its start.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Start {
    /// Runs until it is stopped.
    #[default]
    Runs,
    /// Ends by itself; with a time of zero, before any other call can observe the process.
    Exits {
        /// Runtime until the end.
        after: Duration,
        code: i64,
    },
    /// The start fails: the response is 400 with this text, and inspect shows exit code 127.
    Refused(String),
}

/// Behaviour of a running process after SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ends after some time, unless the grace period is over earlier.
    Graceful {
        /// Time from SIGTERM to the end.
        after: Duration,
        code: i64,
    },
    /// Keeps running until SIGKILL: exit code 137.
    Ignores,
}

impl Default for Stop {
    fn default() -> Self {
        Self::Graceful { after: Duration::ZERO, code: 0 }
    }
}

/// Settings of a healthcheck, and its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Healthcheck {
    /// Time between two checks; the first check follows one interval after the start.
    pub interval: Duration,
    /// Number of consecutive failed checks that make the container unhealthy.
    pub retries: u32,
    /// Time after the start within which failed checks do not count.
    pub start_period: Duration,
    /// Time after the start of the process from which checks pass; `None`: never.
    pub passes_after: Option<Duration>,
}

/// Initial state of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initially {
    /// Created, never started.
    Created,
    /// Running (and healthy, if its healthcheck ever passes) for this long.
    Running(Duration),
    /// Paused, started this long ago.
    Paused(Duration),
    /// Ended this long ago with this code, by itself or by a stop.
    Exited {
        code: i64,
        /// Time since the end.
        ago: Duration,
        /// Whether `docker stop` ended the process, which restart policies distinguish.
        stopped: bool,
    },
}

impl Default for Initially {
    fn default() -> Self {
        Self::Running(Duration::ZERO)
    }
}

/// A network of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub name: String,
    /// Names of the container on the network.
    pub aliases: Vec<String>,
}

/// Description of a container: what the Engine reports about it, and how it behaves.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a container, as in the Engine's own JSON"
)]
pub struct ContainerSpec {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) restart: Restart,
    pub(crate) start: Start,
    pub(crate) stop: Stop,
    pub(crate) healthcheck: Option<Healthcheck>,
    pub(crate) stop_timeout: Option<i64>,
    pub(crate) auto_remove: bool,
    pub(crate) tty: bool,
    pub(crate) network_of: Option<String>,
    pub(crate) pid_of: Option<String>,
    pub(crate) ipc_of: Option<String>,
    pub(crate) volumes_from: Vec<String>,
    pub(crate) links: Vec<String>,
    pub(crate) networks: Vec<Network>,
    pub(crate) output: Vec<(bool, String)>,
    pub(crate) cpu_percent: u64,
    pub(crate) memory: u64,
    pub(crate) initially: Initially,
    pub(crate) replicas: u32,
    pub(crate) oneoff: bool,
    pub(crate) named: bool,
    pub(crate) id_begin: String,
}

impl ContainerSpec {
    /// A running container with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            image: "docknap-test/busybox:1".to_owned(),
            networks: vec![Network { name: "bridge".to_owned(), aliases: Vec::new() }],
            cpu_percent: 1,
            memory: 32 << 20,
            replicas: 1,
            ..Self::default()
        }
    }

    /// Sets the first hex digits of the id; the rest is generated.
    #[must_use]
    pub fn id_begins(mut self, digits: impl Into<String>) -> Self {
        self.id_begin = digits.into();
        self
    }

    /// Sets the image.
    #[must_use]
    pub fn image(mut self, image: impl Into<String>) -> Self {
        self.image = image.into();
        self
    }

    /// Sets the name (`container_name:`) in place of the one that compose would generate.
    #[must_use]
    pub fn container_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self.named = true;
        self
    }

    /// Adds or replaces a label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Removes a label, such as those that podman-compose does not write.
    #[must_use]
    pub fn without_label(mut self, key: &str) -> Self {
        self.labels.remove(key);
        self
    }

    /// Sets the label `com.docker.compose.depends_on`, in any of its forms.
    #[must_use]
    pub fn depends_on(self, text: impl Into<String>) -> Self {
        self.label(label::DEPENDS_ON, text)
    }

    /// Adds the label that protects the container from DockNap.
    #[must_use]
    pub fn protect(self) -> Self {
        self.label("docknap.protect", "true")
    }

    /// Sets the restart policy.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// The process ends by itself `after` its start, with `code`: a one-shot, or a crash loop if there is a restart
    /// policy.
    #[must_use]
    pub fn exits(mut self, after: Duration, code: i64) -> Self {
        self.start = Start::Exits { after, code };
        self
    }

    /// The process runs until it is stopped.
    #[must_use]
    pub fn runs(mut self) -> Self {
        self.start = Start::Runs;
        self
    }

    /// The start fails, because the program does not exist.
    #[must_use]
    pub fn refuses_to_start(mut self) -> Self {
        self.start = Start::Refused(
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container \
             process: exec: \"/nosuch\": stat /nosuch: no such file or directory: unknown"
                .to_owned(),
        );
        self
    }

    /// The process ends with `code`, this long after SIGTERM.
    #[must_use]
    pub fn stops_after(mut self, after: Duration, code: i64) -> Self {
        self.stop = Stop::Graceful { after, code };
        self
    }

    /// The process ignores SIGTERM.
    #[must_use]
    pub fn ignores_sigterm(mut self) -> Self {
        self.stop = Stop::Ignores;
        self
    }

    /// Sets the stop grace period in seconds (`stop_grace_period:`); the Engine's default is 10.
    #[must_use]
    pub fn stop_timeout(mut self, seconds: i64) -> Self {
        self.stop_timeout = Some(seconds);
        self
    }

    /// Adds a healthcheck that passes this long after the start.
    #[must_use]
    pub fn healthy_after(self, after: Duration) -> Self {
        let interval = after.min(Duration::from_secs(30));
        self.healthcheck(Healthcheck {
            interval,
            retries: 3,
            start_period: after.saturating_sub(interval),
            passes_after: Some(after),
        })
    }

    /// Adds a healthcheck that never passes: the container is unhealthy 15 s after its start.
    #[must_use]
    pub fn never_healthy(self) -> Self {
        self.healthcheck(Healthcheck {
            interval: Duration::from_secs(5),
            retries: 3,
            start_period: Duration::ZERO,
            passes_after: None,
        })
    }

    /// Adds a healthcheck with these settings.
    #[must_use]
    pub fn healthcheck(mut self, healthcheck: Healthcheck) -> Self {
        self.healthcheck = Some(healthcheck);
        self
    }

    /// The Engine removes the container when it ends (`--rm`).
    #[must_use]
    pub fn auto_remove(mut self) -> Self {
        self.auto_remove = true;
        self
    }

    /// The container has a terminal: its output is one raw stream.
    #[must_use]
    pub fn tty(mut self) -> Self {
        self.tty = true;
        self
    }

    /// Uses the network of the container with this name (`network_mode: container:X`).
    #[must_use]
    pub fn network_of(mut self, name: impl Into<String>) -> Self {
        self.network_of = Some(name.into());
        self.networks.clear();
        self
    }

    /// Uses the PID namespace of the container with this name (`pid: container:X`).
    #[must_use]
    pub fn pid_of(mut self, name: impl Into<String>) -> Self {
        self.pid_of = Some(name.into());
        self
    }

    /// Uses the IPC namespace of the container with this name (`ipc: container:X`).
    #[must_use]
    pub fn ipc_of(mut self, name: impl Into<String>) -> Self {
        self.ipc_of = Some(name.into());
        self
    }

    /// Mounts the volumes of the container with this name.
    #[must_use]
    pub fn volumes_from(mut self, name: impl Into<String>) -> Self {
        self.volumes_from.push(name.into());
        self
    }

    /// Links to the container with this name, on the first of the networks.
    #[must_use]
    pub fn links(mut self, name: impl Into<String>) -> Self {
        self.links.push(name.into());
        self
    }

    /// Adds a network on which the container has these names.
    #[must_use]
    pub fn network(mut self, name: impl Into<String>, aliases: &[&str]) -> Self {
        self.networks.push(Network {
            name: name.into(),
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        });
        self
    }

    /// Adds a line that the process prints to stdout at every start.
    #[must_use]
    pub fn prints(mut self, line: impl Into<String>) -> Self {
        self.output.push((false, line.into()));
        self
    }

    /// Adds a line that the process prints to stderr at every start.
    #[must_use]
    pub fn complains(mut self, line: impl Into<String>) -> Self {
        self.output.push((true, line.into()));
        self
    }

    /// Sets the usage of a running process: CPU in percent of one core, and memory in bytes.
    #[must_use]
    pub fn uses(mut self, cpu_percent: u64, memory: u64) -> Self {
        self.cpu_percent = cpu_percent;
        self.memory = memory;
        self
    }

    /// Sets the initial state.
    #[must_use]
    pub fn initially(mut self, initially: Initially) -> Self {
        self.initially = initially;
        self
    }

    /// Initial state: created, never started.
    #[must_use]
    pub fn created(self) -> Self {
        self.initially(Initially::Created)
    }

    /// Initial state: stopped an hour ago, with exit code 0.
    #[must_use]
    pub fn stopped(self) -> Self {
        self.initially(Initially::Exited { code: 0, ago: Duration::from_secs(3600), stopped: true })
    }

    /// Initial state: ended by itself an hour ago, with `code`.
    #[must_use]
    pub fn exited(self, code: i64) -> Self {
        self.initially(Initially::Exited { code, ago: Duration::from_secs(3600), stopped: false })
    }

    /// Initial state: paused, started an hour ago.
    #[must_use]
    pub fn paused(self) -> Self {
        self.initially(Initially::Paused(Duration::from_secs(3600)))
    }

    /// Initial state: running for this long.
    #[must_use]
    pub fn up_for(self, up: Duration) -> Self {
        self.initially(Initially::Running(up))
    }

    /// Sets the number of containers of the service.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Makes the container a one-off of its service, as `docker-compose run` creates.
    #[must_use]
    pub fn oneoff(mut self) -> Self {
        self.oneoff = true;
        self
    }
}

/// Labels that compose writes.
pub(crate) mod label {
    pub(crate) const PROJECT: &str = "com.docker.compose.project";
    pub(crate) const SERVICE: &str = "com.docker.compose.service";
    pub(crate) const NUMBER: &str = "com.docker.compose.container-number";
    pub(crate) const ONEOFF: &str = "com.docker.compose.oneoff";
    pub(crate) const CONFIG_HASH: &str = "com.docker.compose.config-hash";
    pub(crate) const VERSION: &str = "com.docker.compose.version";
    pub(crate) const DEPENDS_ON: &str = "com.docker.compose.depends_on";
    pub(crate) const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
}

/// Description of a compose project.
#[derive(Debug)]
pub struct StackSpec {
    project: String,
    v1: bool,
    containers: Vec<ContainerSpec>,
}

impl StackSpec {
    /// Names containers with underscores and writes no `depends_on`, as docker-compose 1 does. Must be called before
    /// the services are added.
    #[must_use]
    pub fn compose_v1(mut self) -> Self {
        self.v1 = true;
        self
    }

    /// Adds a service. `describe` receives it with the labels, name and network that compose would set.
    #[must_use]
    pub fn service(mut self, service: &str, describe: impl FnOnce(ContainerSpec) -> ContainerSpec) -> Self {
        let project = self.project.clone();
        let separator = if self.v1 { '_' } else { '-' };
        let mut spec = ContainerSpec::new("")
            .label(label::PROJECT, &project)
            .label(label::SERVICE, service)
            .label(label::ONEOFF, "False")
            .label(label::CONFIG_HASH, hex(&format!("{project}/{service}")))
            .label(label::WORKING_DIR, format!("/srv/{project}"))
            .label(label::VERSION, if self.v1 { "1.29.2" } else { "2.40.3" });
        if !self.v1 {
            spec = spec.label(label::DEPENDS_ON, "");
        }
        spec.networks.clear();
        let spec = describe(spec.network(format!("{project}_default"), &[service]));
        for number in 1..=spec.replicas {
            let mut one = spec.clone();
            if !one.named {
                one.name = format!("{project}{separator}{service}{separator}{number}");
            }
            if one.labels.contains_key(label::ONEOFF) {
                one.labels.insert(label::NUMBER.to_owned(), number.to_string());
            }
            if one.oneoff {
                let slug = hex(&one.name);
                one.name = format!("{project}{separator}{service}{separator}run{separator}{}", &slug[..12]);
                one.labels.insert(label::ONEOFF.to_owned(), "True".to_owned());
            }
            self.containers.push(one);
        }
        self
    }
}

/// Initial state of a simulated Engine.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub(crate) containers: Vec<ContainerSpec>,
    /// Lead of the Engine's wall clock over all other clocks.
    pub(crate) ahead: SignedDuration,
    pub(crate) engine_id: Option<String>,
}

impl World {
    /// Sets the id of the Engine; without it all simulated Engines have the same one, as cloned machines do.
    #[must_use]
    pub fn engine_id(mut self, id: &str) -> Self {
        self.engine_id = Some(id.to_owned());
        self
    }

    /// An Engine without containers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the error of the Engine's wall clock: ahead, or behind if negative.
    #[must_use]
    pub fn ahead(mut self, ahead: SignedDuration) -> Self {
        self.ahead = ahead;
        self
    }

    /// Adds a compose project.
    #[must_use]
    pub fn stack(mut self, project: &str, describe: impl FnOnce(StackSpec) -> StackSpec) -> Self {
        let stack = describe(StackSpec { project: project.to_owned(), v1: false, containers: Vec::new() });
        self.containers.extend(stack.containers);
        self
    }

    /// Adds a container that belongs to no stack.
    #[must_use]
    pub fn container(mut self, name: &str, describe: impl FnOnce(ContainerSpec) -> ContainerSpec) -> Self {
        self.containers.push(describe(ContainerSpec::new(name)));
        self
    }

    /// Adds `stacks` small stacks with `services` services each, named `stack-0001` and so on, for tests of size.
    #[must_use]
    pub fn many(mut self, stacks: usize, services: usize) -> Self {
        for stack in 1..=stacks {
            self = self.stack(&format!("stack-{stack:04}"), |mut described| {
                for service in 1..=services {
                    let previous = format!("svc-{:02}:service_started:true", service - 1);
                    described = described.service(&format!("svc-{service:02}"), |spec| {
                        if service == 1 { spec } else { spec.depends_on(previous) }
                    });
                }
                described
            });
        }
        self
    }
}

/// 64 hex digits derived from `text`: an id that looks like one, not a cryptographic digest.
pub(crate) fn hex(text: &str) -> String {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut digits = String::with_capacity(64);
    for _ in 0..4 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let _ = write!(digits, "{:016x}", mixed ^ (mixed >> 31));
    }
    digits
}
