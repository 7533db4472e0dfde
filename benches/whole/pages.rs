//! What a page costs, and how soon it shows what happened.

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

/// The dashboard's lines, and events.
pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let seeded = seed(bench, SIZE)?;
    queries(bench, &seeded, report)?;
    let program = Program::start(&seeded.setup(bench))?;
    program.until_said("connected to Docker")?;
    let mut browser = program.browser()?;
    let page = browser.get("/")?;
    pause(Duration::from_secs(1));

    // The list that the first look asks for is over by now; the next comes a minute later.
    seeded.engine.control.clear_calls();
    for _ in 0..100 {
        browser.get("/")?;
    }
    let calls: u64 = seeded.engine.control.counts().values().sum();
    #[expect(clippy::cast_precision_loss, reason = "a handful of calls")]
    report.one("page_calls", calls as f64);

    let span = bench.of(Duration::from_secs(20), Duration::from_secs(6));
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
    let span = bench.of(Duration::from_secs(8), Duration::from_secs(4));
    let with_login = saturated(&browser, "/", span)?;
    drop(program);
    let mut setup = floor::setup(seeded.setup(bench))?;
    setup.log = "info";
    let floor = Program::start(&setup)?;
    floor.until_said("connected to Docker")?;
    let mut anybody = super::http::Client::new(floor.address);
    "accept-encoding: gzip\r\n".clone_into(&mut anybody.with);
    let without_login = saturated(&anybody, "/", span)?;
    drop(floor);
    report.one("page_saturated", with_login / without_login);
    report.peer("page_saturated", format!("{with_login:.0}/s against {without_login:.0}/s"));
    events(bench, &seeded, report)
}

/// Counted in the program's own log of statements.
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

/// Somebody pauses and unpauses a container: from there to the line of the event stream that names its stack.
fn events(bench: &Bench, seeded: &Seeded, report: &mut Report) -> io::Result<()> {
    let program = Program::start(&seeded.setup(bench))?;
    program.until_said("connected to Docker")?;
    let mut browser = program.browser()?;
    browser.get("/")?;
    let (tell, told) = mpsc::channel();
    let listening = std::thread::spawn(move || {
        browser.listen("/events", |line| tell.send((clock(), line.to_owned())).is_ok())
    });
    let begin = clock();
    // Whatever comes first: the stream stands then.
    if told.recv_timeout(Duration::from_secs(5)).is_err() && listening.is_finished() {
        return Err(io::Error::other("there is no event stream"));
    }
    while told.recv_timeout(Duration::from_millis(500)).is_ok() && clock().saturating_sub(begin).as_secs() < 5
    {
    }
    let control = &seeded.engine.control;
    let mut latencies = Vec::new();
    for number in 0..bench.of(200, 50) {
        let stack = format!("stack-{:04}", 1 + number % SIZE.stacks);
        let name = format!("{stack}-svc-02-1");
        let wanted = format!("event: stack-{}", key(&HostId::local(), &stack));
        while told.try_recv().is_ok() {}
        let begin = clock();
        control.pause(&name).map_err(|(_, error)| io::Error::other(error))?;
        loop {
            let (at, line) = told.recv_timeout(Duration::from_secs(5)).map_err(io::Error::other)?;
            if line == wanted {
                latencies.push(at.saturating_sub(begin).as_secs_f64() * 1e3);
                break;
            }
        }
        control.unpause(&name).map_err(|(_, error)| io::Error::other(error))?;
        // Often within the time for which the stream holds back what follows a first event.
        pause(Duration::from_millis(25));
    }
    let latencies = Readings::new(latencies);
    report.many("event", &latencies, 99.0);
    report.note("event", format!("median {}", shown(latencies.median())));
    drop(program);
    Ok(())
}
