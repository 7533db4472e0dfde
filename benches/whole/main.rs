//! Measures the whole program against its budgets; `scripts/bench` builds and runs it.
//!
//! The release binary runs as a child process with a simulated Engine (a real one for the comparison with other
//! tools) and is measured from outside: by `/proc`, the clock and the Engine's count of calls. Each module measures
//! one group of rows of [`budgets`].

mod budgets;
mod fires;
mod floor;
mod growth;
mod hosts;
mod http;
mod idle;
mod lateness;
mod load;
mod pages;
mod program;
mod punctual;
mod report;
mod seed;
mod soak;
mod stack;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::sim::{Control, Engine, World};
use tempfile::TempDir;

use program::Setup;
use report::Report;

/// Monotonic time since the first call of this function.
fn clock() -> Duration {
    static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::system);
    CLOCK.monotonic()
}

/// Unix time in milliseconds.
fn wall_ms() -> i64 {
    Clock::system().now().as_millisecond()
}

/// Blocks the calling thread.
#[expect(
    clippy::disallowed_methods,
    reason = "threads of this program wait for another program, in real time"
)]
fn pause(time: Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}

/// Waits until a condition holds, for at most a minute. Checks at intervals that leave the processor to the program
/// being measured.
fn wait_until(what: &str, mut is_so: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let begin = clock();
    while !is_so()? {
        if clock().saturating_sub(begin) > Duration::from_secs(60) {
            return Err(io::Error::other(format!("waited a minute in vain: {what}")));
        }
        pause(Duration::from_millis(20));
    }
    Ok(())
}

/// Shared settings of all groups.
struct Bench {
    /// The release binary.
    binary: PathBuf,
    /// Whether to measure with fewer repetitions.
    quick: bool,
    /// Runtime of the simulated Engines.
    runtime: tokio::runtime::Runtime,
    /// Address of a real Engine, for the comparison with other tools.
    engine: Option<String>,
    /// Image on that Engine with a shell and `sleep`.
    sample: String,
}

/// A simulated Engine that ends when the value is dropped.
struct Simulated {
    control: Control,
    _engine: Engine,
    _socket: TempDir,
}

impl Bench {
    fn simulate(&self, world: World) -> io::Result<Simulated> {
        let socket = tempfile::tempdir()?;
        let path = socket.path().join("docker.sock");
        let engine = self.runtime.block_on(Engine::start(&path, Clock::system(), world))?;
        Ok(Simulated { control: engine.control(), _engine: engine, _socket: socket })
    }

    fn setup(&self, data: &Path, docker_host: &str) -> Setup {
        Setup {
            binary: self.binary.clone(),
            arguments: Vec::new(),
            data: data.to_owned(),
            docker_host: docker_host.to_owned(),
            log: "info",
        }
    }

    /// `full`, or `quick` with `--quick`.
    fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// The parsed command line.
#[derive(Default)]
struct Arguments {
    binary: Option<PathBuf>,
    quick: bool,
    soak: bool,
    json: Option<PathBuf>,
    only: Vec<String>,
    image_bytes: Option<f64>,
    engine: Option<String>,
    sample: String,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut read = Self::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--binary" => read.binary = Some(value()?.into()),
                "--quick" => read.quick = true,
                "--soak" => read.soak = true,
                "--json" => read.json = Some(value()?.into()),
                "--only" => read.only = value()?.split(',').map(str::to_owned).collect(),
                "--image-bytes" => read.image_bytes = value()?.parse().ok(),
                "--engine" => read.engine = Some(value()?),
                "--sample" => read.sample = value()?,
                // Added by Cargo.
                "--bench" => {}
                other => return Err(format!("unknown argument {other}")),
            }
        }
        Ok(read)
    }

    fn wants(&self, group: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == group)
    }
}

fn main() -> ExitCode {
    // This program also runs as the server without a login and as the server with a fast clock.
    match std::env::args().nth(1).as_deref() {
        Some(floor::WORD) => return floor::serve(),
        Some(soak::WORD) => return soak::serve(),
        _ => {}
    }
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<ExitCode> {
    let begin = clock();
    let bench = Bench {
        binary: arguments
            .binary
            .clone()
            .ok_or_else(|| io::Error::other("--binary names the release binary"))?,
        quick: arguments.quick,
        runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
        engine: arguments.engine.clone(),
        sample: arguments.sample.clone(),
    };
    if arguments.soak {
        return soak::run(&bench);
    }
    let mut report = Report::default();
    if let Some(bytes) = arguments.image_bytes {
        report.one("image", bytes / 1e6);
    }
    // Runs beside all other groups, which use other programs and so are not counted in it.
    let idle = if arguments.wants("idle") { Some(idle::Idle::begin(&bench)?) } else { None };
    let groups: [(&str, Group); 9] = [
        ("start", idle::start),
        ("memory", idle::memory),
        ("pages", pages::measure),
        ("punctual", punctual::measure),
        ("fires", fires::measure),
        ("growth", growth::measure),
        ("hosts", hosts::measure),
        ("stack", stack::measure),
        ("lateness", lateness::measure),
    ];
    for (name, measure) in groups {
        if arguments.wants(name) {
            eprintln!("== {name}, after {} s", clock().saturating_sub(begin).as_secs());
            // A failure in one group does not stop the others.
            if let Err(error) = measure(&bench, &mut report) {
                eprintln!("   could not be measured: {error}");
            }
        }
    }
    if let Some(idle) = idle {
        eprintln!("== idle, after {} s", clock().saturating_sub(begin).as_secs());
        idle.end(&bench, &mut report)?;
    }
    let machine = machine(&bench, clock().saturating_sub(begin));
    for (key, value) in &machine {
        println!("* {key}: {value}");
    }
    println!("\n{}", report.markdown());
    if let Some(file) = &arguments.json {
        std::fs::write(file, report.json(&machine))?;
    }
    let missed = report.missed();
    let missing = report.missing();
    if !missed.is_empty() {
        eprintln!("over budget: {}", missed.join(", "));
    }
    if arguments.only.is_empty() && !missing.is_empty() {
        eprintln!("not measured: {}", missing.join(", "));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

type Group = fn(&Bench, &mut Report) -> io::Result<()>;

/// Properties of the machine and the binary, for the reader of the numbers.
fn machine(bench: &Bench, took: Duration) -> BTreeMap<&'static str, String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let size = std::fs::metadata(&bench.binary).map_or(0, |file| file.len());
    BTreeMap::from([
        ("processor", format!("{}, {cores} cores", field(&read("/proc/cpuinfo"), "model name"))),
        ("memory", field(&read("/proc/meminfo"), "MemTotal")),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        (
            "load before the last lines",
            read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
        ),
        ("binary", format!("{size} bytes")),
        ("took", format!("{} s{}", took.as_secs(), if bench.quick { ", --quick" } else { "" })),
    ])
}
