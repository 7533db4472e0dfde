//! What a simulated Engine begins with: builders for stacks and containers, and how each container behaves.
//!
//! A [`ContainerSpec`] says both what the Engine shows of a container and what its process does when it is started,
//! told to end or left alone. Defaults are those of an ordinary service: it runs until told to end, ends at once with
//! 0, has no healthcheck and the restart policy `no`.

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
    /// As [`Restart::Always`], but a container that was stopped stays so over a start of the daemon.
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

/// What a process does once it is started.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Start {
    /// Runs until told to end.
    #[default]
    Runs,
    /// Ends by itself; after zero it is gone before anybody can look.
    Exits {
        /// How long it runs first.
        after: Duration,
        code: i64,
    },
    /// Cannot be started at all: the runtime answers 400 with this text and inspect shows exit code 127.
    Refused(String),
}

/// What a running process does when it is sent SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ends after a while, unless the grace is over first.
    Graceful {
        /// How long it needs.
        after: Duration,
        code: i64,
    },
    /// Runs on until it is killed: exit code 137.
    Ignores,
}

impl Default for Stop {
    fn default() -> Self {
        Self::Graceful { after: Duration::ZERO, code: 0 }
    }
}

/// A healthcheck and what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Healthcheck {
    /// Time between two looks; the first look comes one interval after the start.
    pub interval: Duration,
    /// So many failed looks in a row make it unhealthy.
    pub retries: u32,
    /// Failed looks do not count before this.
    pub start_period: Duration,
    /// The looks succeed from this long after the start of the process; `None`: never.
    pub passes_after: Option<Duration>,
}

/// What a container is doing when the world begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initially {
    /// Created, never started.
    Created,
    /// Running (and healthy, if its healthcheck ever succeeds) for this long.
    Running(Duration),
    /// Paused, started this long ago.
    Paused(Duration),
    /// Ended this long ago with this code, by itself or told to.
    Exited {
        code: i64,
        /// How long ago.
        ago: Duration,
        /// Ended by `docker stop`: restart policies know the difference.
        stopped: bool,
    },
}

impl Default for Initially {
    fn default() -> Self {
        Self::Running(Duration::ZERO)
    }
}

/// One network a container is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub name: String,
    /// Names under which the container is found there.
    pub aliases: Vec<String>,
}

/// A container: what the Engine shows of it and how it behaves.
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
    /// A running container of that name.
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

    /// How its id begins, in hex digits; the rest is its own.
    #[must_use]
    pub fn id_begins(mut self, digits: impl Into<String>) -> Self {
        self.id_begin = digits.into();
        self
    }

    /// Its image.
    #[must_use]
    pub fn image(mut self, image: impl Into<String>) -> Self {
        self.image = image.into();
        self
    }

    /// A name of its own (`container_name:`) instead of the one compose would give it.
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

    /// Takes a label away, such as those podman-compose does not write.
    #[must_use]
    pub fn without_label(mut self, key: &str) -> Self {
        self.labels.remove(key);
        self
    }

    /// The text of `com.docker.compose.depends_on`, in any of its forms.
    #[must_use]
    pub fn depends_on(self, text: impl Into<String>) -> Self {
        self.label(label::DEPENDS_ON, text)
    }

    /// Marked as never to be touched.
    #[must_use]
    pub fn protect(self) -> Self {
        self.label("docknap.protect", "true")
    }

    /// Its restart policy.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Ends by itself `after` its start, with `code`: a one-shot, or with a restart policy a crash loop.
    #[must_use]
    pub fn exits(mut self, after: Duration, code: i64) -> Self {
        self.start = Start::Exits { after, code };
        self
    }

    /// Runs until told to end.
    #[must_use]
    pub fn runs(mut self) -> Self {
        self.start = Start::Runs;
        self
    }

    /// Cannot be started: no such program.
    #[must_use]
    pub fn refuses_to_start(mut self) -> Self {
        self.start = Start::Refused(
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container \
             process: exec: \"/nosuch\": stat /nosuch: no such file or directory: unknown"
                .to_owned(),
        );
        self
    }

    /// Ends `after` SIGTERM, with `code`.
    #[must_use]
    pub fn stops_after(mut self, after: Duration, code: i64) -> Self {
        self.stop = Stop::Graceful { after, code };
        self
    }

    /// Ignores SIGTERM.
    #[must_use]
    pub fn ignores_sigterm(mut self) -> Self {
        self.stop = Stop::Ignores;
        self
    }

    /// Its own grace in seconds (`stop_grace_period:`); the Engine's default is 10.
    #[must_use]
    pub fn stop_timeout(mut self, seconds: i64) -> Self {
        self.stop_timeout = Some(seconds);
        self
    }

    /// A healthcheck that finds it healthy this long after its start.
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

    /// A healthcheck that never succeeds: unhealthy 15 s after its start.
    #[must_use]
    pub fn never_healthy(self) -> Self {
        self.healthcheck(Healthcheck {
            interval: Duration::from_secs(5),
            retries: 3,
            start_period: Duration::ZERO,
            passes_after: None,
        })
    }

    /// A healthcheck with all its parts.
    #[must_use]
    pub fn healthcheck(mut self, healthcheck: Healthcheck) -> Self {
        self.healthcheck = Some(healthcheck);
        self
    }

    /// Removed by the Engine when it ends (`--rm`).
    #[must_use]
    pub fn auto_remove(mut self) -> Self {
        self.auto_remove = true;
        self
    }

    /// Has a terminal: its output comes as one raw stream.
    #[must_use]
    pub fn tty(mut self) -> Self {
        self.tty = true;
        self
    }

    /// Shares the network of the container of that name (`network_mode: container:X`).
    #[must_use]
    pub fn network_of(mut self, name: impl Into<String>) -> Self {
        self.network_of = Some(name.into());
        self.networks.clear();
        self
    }

    /// Lives in the PID namespace of the container of that name (`pid: container:X`).
    #[must_use]
    pub fn pid_of(mut self, name: impl Into<String>) -> Self {
        self.pid_of = Some(name.into());
        self
    }

    /// Lives in the IPC namespace of the container of that name (`ipc: container:X`).
    #[must_use]
    pub fn ipc_of(mut self, name: impl Into<String>) -> Self {
        self.ipc_of = Some(name.into());
        self
    }

    /// Mounts the volumes of the container of that name.
    #[must_use]
    pub fn volumes_from(mut self, name: impl Into<String>) -> Self {
        self.volumes_from.push(name.into());
        self
    }

    /// Links to the container of that name, on the first of its networks.
    #[must_use]
    pub fn links(mut self, name: impl Into<String>) -> Self {
        self.links.push(name.into());
        self
    }

    /// On one more network, under these names.
    #[must_use]
    pub fn network(mut self, name: impl Into<String>, aliases: &[&str]) -> Self {
        self.networks.push(Network {
            name: name.into(),
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        });
        self
    }

    /// A line its process prints at every start.
    #[must_use]
    pub fn prints(mut self, line: impl Into<String>) -> Self {
        self.output.push((false, line.into()));
        self
    }

    /// A line its process prints to stderr at every start.
    #[must_use]
    pub fn complains(mut self, line: impl Into<String>) -> Self {
        self.output.push((true, line.into()));
        self
    }

    /// What it uses while it runs: percent of one core, bytes of memory.
    #[must_use]
    pub fn uses(mut self, cpu_percent: u64, memory: u64) -> Self {
        self.cpu_percent = cpu_percent;
        self.memory = memory;
        self
    }

    /// What it is doing when the world begins.
    #[must_use]
    pub fn initially(mut self, initially: Initially) -> Self {
        self.initially = initially;
        self
    }

    /// Begins created, never started.
    #[must_use]
    pub fn created(self) -> Self {
        self.initially(Initially::Created)
    }

    /// Begins stopped, with exit code 0, an hour ago.
    #[must_use]
    pub fn stopped(self) -> Self {
        self.initially(Initially::Exited { code: 0, ago: Duration::from_secs(3600), stopped: true })
    }

    /// Begins ended by itself with `code`, an hour ago.
    #[must_use]
    pub fn exited(self, code: i64) -> Self {
        self.initially(Initially::Exited { code, ago: Duration::from_secs(3600), stopped: false })
    }

    /// Begins paused.
    #[must_use]
    pub fn paused(self) -> Self {
        self.initially(Initially::Paused(Duration::from_secs(3600)))
    }

    /// Begins running for this long.
    #[must_use]
    pub fn up_for(self, up: Duration) -> Self {
        self.initially(Initially::Running(up))
    }

    /// So many containers of this service.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// What `docker-compose run` leaves: a one-off container of the service.
    #[must_use]
    pub fn oneoff(mut self) -> Self {
        self.oneoff = true;
        self
    }
}

/// Labels compose writes.
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

/// A compose project being described.
#[derive(Debug)]
pub struct StackSpec {
    project: String,
    v1: bool,
    containers: Vec<ContainerSpec>,
}

impl StackSpec {
    /// Names containers with underscores and writes no `depends_on`, as docker-compose 1 does. Goes first.
    #[must_use]
    pub fn compose_v1(mut self) -> Self {
        self.v1 = true;
        self
    }

    /// Adds a service; `describe` receives it with the labels, name and network compose would give it.
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

/// Everything a simulated Engine begins with.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub(crate) containers: Vec<ContainerSpec>,
    /// How far the Engine's wall clock is ahead of everybody else's.
    pub(crate) ahead: SignedDuration,
}

impl World {
    /// Nothing at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// The Engine's machine has a wall clock that is wrong by this much: ahead, or behind where it is negative.
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

    /// Adds `stacks` small stacks, `stack-0001` on, of `services` services each: for size.
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

/// 64 hex digits that depend on `text` alone; an id that looks like one, not a digest.
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
