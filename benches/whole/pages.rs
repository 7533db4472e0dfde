//! Measures the cost of a page and the delay from an event of Docker to the browser.

use std::io;
use std::sync::mpsc;
use std::time::Duration;

use docknap::domain::ids::HostId;
use docknap::domain::target::key;

use super::load::{offered, saturated};
use super::program::{Program, Setup};
use super::report::{Readings, Report, shown};
use super::seed::{Seeded, Size, seed};
use super::{Bench, clock, floor, pause};

/// 100 stacks, 300 containers.
const SIZE: Size = Size { stacks: 100, services: 3, schedules: 200, runs: 5_000, audit: 5_000 };

/// Measures the rows of the dashboard and of events.
pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let seeded = seed(bench, SIZE)?;
    queries(bench, &seeded, report)?;
    let program = Program::start(&seeded.setup(bench))?;
    program.until_said("connected to Docker")?;
    let mut browser = program.browser()?;
    let page = browser.get("/")?;
    pause(Duration::from_secs(1));

    // The container list that opening the first page triggered is over; the next comes a minute later.
    seeded.engine.control.clear_calls();
    for _ in 0..100 {
        browser.get("/")?;
    }
    let calls: u64 = seeded.engine.control.counts().values().sum();
    #[expect(clippy::cast_precision_loss, reason = "a handful of calls")]
    report.one("page_calls", calls as f64);

    let span = bench.pick(Duration::from_secs(20), Duration::from_secs(6));
    let latencies = offered(&browser, "/", 200, span)?;
    report.many("page_p99", &latencies, 99.0);
    report.note(
        "page_p99",
        format!(
            "median {}, {} answers, {} bytes gzip",
            shown(latencies.median()),
            200 * span.as_secs(),
            page.body.len()
        ),
    );
    let span = bench.pick(Duration::from_secs(8), Duration::from_secs(4));
    let with_login = saturated(&browser, "/", span)?;
    drop(program);
    let mut setup = floor::setup(seeded.setup(bench))?;
    setup.log = "info";
    let floor = Program::start(&setup)?;
    floor.until_said("connected to Docker")?;
    let mut client_without_login = super::http::Client::new(floor.address);
    "accept-encoding: gzip\r\n".clone_into(&mut client_without_login.with);
    let without_login = saturated(&client_without_login, "/", span)?;
    drop(floor);
    report.one("page_saturated", with_login / without_login);
    report.peer("page_saturated", format!("{with_login:.0}/s against {without_login:.0}/s"));
    events(bench, &seeded, report)
}

/// Measures the queries of one dashboard, counted in the program's log of statements.
fn queries(bench: &Bench, seeded: &Seeded, report: &mut Report) -> io::Result<()> {
    let setup = Setup { log: "info,sqlx::query=debug", ..seeded.setup(bench) };
    let program = Program::start(&setup)?;
    program.until_said("connected to Docker")?;
    let mut browser = program.browser()?;
    browser.get("/")?;
    pause(Duration::from_millis(500));
    let lines = || program.said().lines().filter(|line| line.contains("sqlx::query")).count();
    let before = lines();
    for _ in 0..10 {
        browser.get("/")?;
    }
    pause(Duration::from_millis(500));
    #[expect(clippy::cast_precision_loss, reason = "some dozens")]
    report.one("page_queries", (lines() - before) as f64 / 10.0);
    if std::env::var_os("BENCH_SHOW_QUERIES").is_some() {
        for line in program.said().lines().filter(|line| line.contains("sqlx::query")).skip(before).take(25) {
            eprintln!("{}", line.chars().take(240).collect::<String>());
        }
    }
    Ok(())
}

/// Measures the time from the pause of a container to the event stream's line that names its stack.
fn events(bench: &Bench, seeded: &Seeded, report: &mut Report) -> io::Result<()> {
    let program = Program::start(&seeded.setup(bench))?;
    program.until_said("connected to Docker")?;
    let mut browser = program.browser()?;
    browser.get("/")?;
    let (sender, lines) = mpsc::channel();
    let listening = std::thread::spawn(move || {
        browser.listen("/events", |line| sender.send((clock(), line.to_owned())).is_ok())
    });
    let begin = clock();
    // Any first line shows that the stream is open.
    if lines.recv_timeout(Duration::from_secs(5)).is_err() && listening.is_finished() {
        return Err(io::Error::other("there is no event stream"));
    }
    while lines.recv_timeout(Duration::from_millis(500)).is_ok()
        && clock().saturating_sub(begin).as_secs() < 5
    {}
    let control = &seeded.engine.control;
    let mut latencies = Vec::new();
    for number in 0..bench.pick(200, 50) {
        let stack = format!("stack-{:04}", 1 + number % SIZE.stacks);
        let name = format!("{stack}-svc-02-1");
        let wanted = format!("event: stack-{}", key(&HostId::local(), &stack));
        while lines.try_recv().is_ok() {}
        let begin = clock();
        control.pause(&name).map_err(|(_, error)| io::Error::other(error))?;
        loop {
            let (at, line) = lines.recv_timeout(Duration::from_secs(5)).map_err(io::Error::other)?;
            if line == wanted {
                latencies.push(at.saturating_sub(begin).as_secs_f64() * 1e3);
                break;
            }
        }
        control.unpause(&name).map_err(|(_, error)| io::Error::other(error))?;
        // Often shorter than the time for which the stream collects events after a first one.
        pause(Duration::from_millis(25));
    }
    let latencies = Readings::new(latencies);
    report.many("event", &latencies, 99.0);
    report.note("event", format!("median {}", shown(latencies.median())));
    drop(program);
    Ok(())
}
