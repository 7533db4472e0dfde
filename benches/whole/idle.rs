//! Measures start time, memory, and the cost of an idle program.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use docknap::sim::Endpoint;

use super::program::{Memory, Program};
use super::report::{Readings, Report};
use super::seed::{Seeded, Size, seed};
use super::{Bench, clock, pause};

/// Size of an ordinary installation.
const ORDINARY: Size = Size { stacks: 6, services: 5, schedules: 20, runs: 200, audit: 200 };
/// Wait between the start and the measurement, until the scheduler has run once more. The first read after a write
/// updates SQLite's index of its write-ahead log, and the kernel counts that page as written.
const SETTLED: Duration = Duration::from_secs(40);

/// Two idle programs; a browser has the dashboard of the second one open.
pub struct Idle {
    alone: Watched,
    /// Memory of the program without a browser, a minute after its start.
    settled: JoinHandle<io::Result<Memory>>,
    with_browser: Watched,
    listens: bool,
}

struct Watched {
    program: Program,
    seeded: Seeded,
    since: Duration,
    cpu: f64,
    written: f64,
}

impl Watched {
    fn begin(seeded: Seeded, program: Program) -> io::Result<Self> {
        seeded.engine.control.clear_calls();
        let (cpu, written) = (program.cpu()?, program.written()?);
        Ok(Self { program, seeded, since: clock(), cpu, written })
    }

    /// Since [`Watched::begin`]: seconds, processor time in ms, bytes written, calls to Docker.
    fn end(&self) -> io::Result<(f64, f64, f64, u64)> {
        let seconds = clock().saturating_sub(self.since).as_secs_f64();
        let calls = self.seeded.engine.control.counts().values().sum();
        Ok((seconds, self.program.cpu()? - self.cpu, self.program.written()? - self.written, calls))
    }
}

impl Idle {
    /// Starts both programs and the counters once they have settled.
    pub fn begin(bench: &Bench) -> io::Result<Self> {
        let (alone, with_browser) = (seed(bench, ORDINARY)?, seed(bench, ORDINARY)?);
        let (one, two) = (Program::start(&alone.setup(bench))?, Program::start(&with_browser.setup(bench))?);
        let settled = one.memory_after(Duration::from_secs(60));
        let mut browser = two.browser()?;
        browser.get("/")?;
        let (opened_sender, listens) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let ended = browser.listen("/events", |_| {
                let _ = opened_sender.send(true);
                true
            });
            if ended.is_err() {
                let _ = opened_sender.send(false);
            }
        });
        pause(SETTLED);
        Ok(Self {
            alone: Watched::begin(alone, one)?,
            settled,
            with_browser: Watched::begin(with_browser, two)?,
            listens: listens.try_recv().unwrap_or(false),
        })
    }

    /// Ends the measurement after ten minutes (one with `--quick`).
    pub fn end(self, bench: &Bench, report: &mut Report) -> io::Result<()> {
        let span = bench.pick(Duration::from_secs(600), Duration::from_secs(60));
        pause(span.saturating_sub(clock().saturating_sub(self.alone.since)));
        let memory = self.settled.join().map_err(|_| io::Error::other("nobody looked at its memory"))??;
        let at_last = self.alone.program.memory()?;
        report.one("memory_idle", memory.resident);
        report.note(
            "memory_idle",
            format!(
                "60 s after the start; PSS {:.1}, peak {:.1}; at the end {:.1}",
                memory.proportional, memory.peak, at_last.resident
            ),
        );
        let (seconds, cpu, written, calls) = self.alone.end()?;
        let over = |seconds: f64| format!("over {seconds:.0} s");
        report.one("cpu_idle", cpu / (seconds * 10.0)).one("disk_idle", written);
        report.note("cpu_idle", over(seconds));
        report.note("disk_idle", over(seconds));
        let control = &self.alone.seeded.engine.control;
        #[expect(clippy::cast_precision_loss, reason = "a handful of calls")]
        let calls = calls as f64;
        // A time range shorter than the list interval may contain one list.
        report.one("calls_idle", (calls / (seconds / 300.0).max(1.0)).floor());
        report.note(
            "calls_idle",
            format!("{calls} in {seconds:.0} s, {} of them lists", control.count(Endpoint::List)),
        );
        if self.listens {
            let (seconds, cpu, written, _) = self.with_browser.end()?;
            report.one("cpu_browser", cpu / (seconds * 10.0)).one("disk_browser", written);
        }
        Ok(())
    }
}

/// Start time with an existing and with a new database.
pub fn start(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let seeded = seed(bench, ORDINARY)?;
    let many = bench.pick(20, 7);
    let (mut known, mut fresh) = (Vec::new(), Vec::new());
    for _ in 0..many {
        let program = Program::start(&seeded.setup(bench))?;
        known.push(program.started_in.as_secs_f64() * 1e3);
        program.stop()?;
        let home = tempfile::tempdir()?;
        let program = Program::start(&bench.setup(home.path(), &seeded.engine.control.docker_host()))?;
        fresh.push(program.started_in.as_secs_f64() * 1e3);
        program.stop()?;
    }
    report.many("start", &Readings::new(known), 50.0).many("start_fresh", &Readings::new(fresh), 50.0);
    report.note("start", format!("median of {many}"));
    report.note("start_fresh", format!("median of {many}, the first admin's password hashed"));
    Ok(())
}

/// Memory after 2,000 pages and 50 logins, and with a large installation.
pub fn memory(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let seeded = seed(bench, ORDINARY)?;
    let program = Program::start(&seeded.setup(bench))?;
    program.until_said("connected to Docker")?;
    let mut browser = program.browser()?;
    let pages = ["/", "/schedules", "/runs", "/audit", "/stacks/local/stack-0001", "/users"];
    for number in 0..2_000 {
        browser.ask("GET", pages[number % pages.len()], None)?;
    }
    let after_pages = program.memory()?;
    let mut waits = 0;
    for _ in 0..50 {
        // The login limit allows 30 at once and then one per second.
        while let Err(error) = program.browser() {
            waits += 1;
            if waits > 60 {
                return Err(error);
            }
            pause(Duration::from_secs(1));
        }
    }
    pause(Duration::from_secs(2));
    let memory = program.memory()?;
    report.one("memory_used", memory.resident).one("memory_peak", memory.peak);
    report.note(
        "memory_used",
        format!("PSS {:.1}; after the pages alone {:.1}", memory.proportional, after_pages.resident),
    );
    drop(program);

    let large = Size { stacks: 1_000, services: 5, schedules: 10_000, runs: 10_000, audit: 10_000 };
    let seeded = seed(bench, large)?;
    let program = Program::start(&seeded.setup(bench))?;
    program.until_said("connected to Docker")?;
    pause(Duration::from_secs(10));
    let quiet = program.memory()?;
    report.one("memory_large", quiet.resident);
    let mut browser = program.browser()?;
    for _ in 0..5 {
        browser.get("/")?;
    }
    let looked = program.memory()?;
    report.note(
        "memory_large",
        format!("peak {:.1}; after 5 dashboards {:.1}, peak {:.1}", quiet.peak, looked.resident, looked.peak),
    );
    Ok(())
}
