//! Measures many Docker hosts: the memory of a hundred, and whether one that hangs delays the fires of the others.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use docknap::db::Db;
use docknap::db::engine::Durability;
use docknap::sim::{Fault, World};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sqlx::AssertSqlSafe;

use super::program::{Program, Setup};
use super::report::{Readings, Report, shown};
use super::seed::{Seeded, Size, seed};
use super::{Bench, Simulated, pause, wait_until, wall_ms};

/// The hosts, with the one of `DOCKER_HOST`.
const HOSTS: usize = 100;
/// What every host has, and the schedules of all of them.
const LARGE: Size = Size { stacks: 10, services: 5, schedules: 10_000, runs: 1_000, audit: 1_000 };
/// The hosts whose fires are timed.
const GOOD: usize = 50;

/// Measures both rows.
pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    memory(bench, report)?;
    frozen(bench, report)
}

/// A program with several hosts. The first Engine is that of `DOCKER_HOST`, the others are in the settings file.
struct Many {
    seeded: Seeded,
    others: Vec<Simulated>,
}

impl Many {
    fn new(bench: &Bench, size: Size, hosts: usize) -> io::Result<Self> {
        let seeded = seed(bench, size)?;
        let world = || World::new().many(size.stacks, size.services);
        let others: Vec<Simulated> =
            (1..hosts).map(|_| bench.simulate(world())).collect::<io::Result<_>>()?;
        let mut settings = String::new();
        for (number, other) in others.iter().enumerate() {
            let endpoint = other.control.docker_host();
            let _ = write!(settings, "[[host]]\nid = \"host-{}\"\nendpoint = \"{endpoint}\"\n", number + 1);
        }
        std::fs::write(seeded.home.path().join("docknap.toml"), settings)?;
        Ok(Self { seeded, others })
    }

    /// Starts the program and waits until all hosts are connected.
    fn start(&self, bench: &Bench) -> io::Result<Program> {
        let settings = self.seeded.home.path().join("docknap.toml").display().to_string();
        let arguments = vec!["--config".to_owned(), settings];
        let program = Program::start(&Setup { arguments, ..self.seeded.setup(bench) })?;
        let hosts = self.others.len() + 1;
        wait_until("all hosts are connected", || {
            Ok(program.said().matches("connected to Docker").count() >= hosts)
        })?;
        Ok(program)
    }
}

fn memory(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let many = Many::new(bench, LARGE, HOSTS)?;
    // Each host but the first has a hundredth of the schedules.
    let spread = format!(
        "UPDATE schedules SET host_id = CASE WHEN rowid % {HOSTS} = 0 THEN host_id \
         ELSE 'host-' || (rowid % {HOSTS}) END"
    );
    bench.runtime.block_on(change(many.seeded.home.path(), &[spread])).map_err(io::Error::other)?;
    let program = many.start(bench)?;
    pause(Duration::from_secs(bench.pick(60, 15)));
    let quiet = program.memory()?;
    report.one("memory_hosts", quiet.resident);
    let mut browser = program.browser()?;
    for _ in 0..5 {
        browser.get("/")?;
    }
    let looked = program.memory()?;
    report.note(
        "memory_hosts",
        format!("peak {:.1}; after 5 dashboards {:.1}, peak {:.1}", quiet.peak, looked.resident, looked.peak),
    );
    Ok(())
}

/// How late the stops of the good hosts are with all hosts well, and with one that hangs.
fn frozen(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let (mut well, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..bench.pick(5, 2) {
        well.extend(round(bench, false)?);
        beside.extend(round(bench, true)?);
    }
    let (well, beside) = (Readings::new(well), Readings::new(beside));
    report.one("frozen_host", beside.median() / well.median());
    report.note(
        "frozen_host",
        format!(
            "median {} ms against {} ms, 99th percentile {} ms against {} ms",
            shown(beside.median()),
            shown(well.median()),
            shown(beside.percentile(99.0)),
            shown(well.percentile(99.0))
        ),
    );
    Ok(())
}

/// For each good host, the milliseconds from the instant of its schedule to the first call that stops something.
fn round(bench: &Bench, hangs: bool) -> io::Result<Vec<f64>> {
    let size = Size { stacks: 1, services: 1, schedules: 0, runs: 0, audit: 0 };
    // The last host is the one that may hang; the first has no schedule.
    let many = Many::new(bench, Size { schedules: GOOD + 1, ..size }, GOOD + 2)?;
    let due = (wall_ms() + 12_000).div_euclid(1_000) * 1_000;
    bench.runtime.block_on(plan(many.seeded.home.path(), due)).map_err(io::Error::other)?;
    let program = many.start(bench)?;
    if wall_ms() > due - 1_000 {
        return Err(io::Error::other("the machine is too busy: it had come up too late"));
    }
    let (good, last) = many.others.split_at(GOOD);
    if hangs {
        for host in last {
            host.control.fault(Fault::hang());
        }
    }
    let acted = || good.iter().filter(|host| !host.control.acts().is_empty()).count();
    wait_until("every good host is told to stop something", || Ok(acted() == GOOD))?;
    drop(program);
    #[expect(clippy::cast_precision_loss, reason = "some milliseconds")]
    let late = |host: &Simulated| {
        let first = host.control.acts().first().map_or(i64::MAX, |(_, _, at)| at.as_millisecond());
        (first - due).max(0) as f64
    };
    Ok(good.iter().map(late).collect())
}

/// Gives every host but the first one schedule, which stops its stack at `due` (Unix milliseconds).
async fn plan(home: &Path, due: i64) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let civil = Timestamp::from_millisecond(due)?.to_zoned(TimeZone::get("Europe/Berlin")?);
    let cron = format!("0 {} * * *", (civil.hour() + 12) % 24);
    let each = format!(
        "UPDATE schedules SET kind = 'cron', window_text = NULL, action = 'stop', cron = '{cron}', \
         next_due_ms = {due}, host_id = 'host-' || (SELECT n FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS n \
         FROM schedules) numbered WHERE numbered.id = schedules.id)"
    );
    let few = ["DELETE FROM runs", "DELETE FROM schedules WHERE name IN ('cron', 'window')"];
    change(home, &[few[0].to_owned(), few[1].to_owned(), each]).await
}

/// Runs statements on the database of a data directory.
async fn change(home: &Path, statements: &[String]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let db = Db::open_sqlite(&home.join("docknap.db"), Durability::Off).await?;
    if let Db::Sqlite { writer, .. } = &db {
        for sql in statements {
            sqlx::query(AssertSqlSafe(sql.as_str())).execute(writer).await?;
        }
    }
    db.close().await;
    Ok(())
}
