//! Runs an hour of DockNap in a minute: it and its Engine use a clock that runs sixty times as fast, while containers
//! start and stop, connections break, the Engine restarts and twenty browsers read pages. Afterwards memory, tasks
//! and handles must be as before, and every fire of a schedule must have exactly one run.

use std::io;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use docknap::clock::Clock;
use docknap::lifecycle::{self, Serving};
use docknap::sim::{Control, DaemonEnd, Engine, World};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::floor;
use super::http::{Client, NAME, PASSWORD};
use super::program::{Memory, Program};
use super::report::Readings;
use super::{Bench, clock, pause};

/// The argument that makes this program serve with such a clock.
pub const WORD: &str = "serve-fast";
/// Speed of the clock.
const SPEED: u32 = 60;
/// Real time between two steps of the clock.
const STEP: Duration = Duration::from_millis(10);
/// An hour of the fast clock, in real time.
const FAST_HOUR: Duration = Duration::from_secs(60);
const STACKS: usize = 40;
const SERVICES: usize = 5;
/// Schedules that fire every minute, each for a stack of its own.
const SCHEDULES: usize = 10;
/// Browsers per account; there are four accounts.
const BROWSERS_PER_ACCOUNT: usize = 5;

/// Serves until SIGTERM and logs the number of tasks periodically.
pub fn serve() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let served: io::Result<()> = runtime.block_on(async {
        let mut config = floor::config();
        config.admin = Some(floor::admin());
        docknap::telemetry::init(&config);
        let fast = Clock::system();
        let ticking = fast.clone();
        tokio::spawn(async move {
            let real = Clock::system();
            loop {
                real.sleep(STEP).await;
                ticking.advance(STEP * (SPEED - 1));
            }
        });
        let socket = config.data_dir.join("docker.sock");
        config.docker_host = format!("unix://{}", socket.display());
        let engine = Engine::start(&socket, fast.clone(), World::new().many(STACKS, SERVICES)).await?;
        tokio::spawn(cause_disturbances(engine.control()));
        let stop = CancellationToken::new();
        lifecycle::stop_on_signal(&stop).map_err(io::Error::other)?;
        let serving = Serving { config, clock: fast, demo: false };
        lifecycle::serve(serving, stop, |_| ()).await.map_err(io::Error::other)?;
        engine.stop().await;
        Ok(())
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Stops, kills, restarts or pauses ten containers per second; breaks the event streams every two seconds and
/// restarts the Engine every ten.
async fn cause_disturbances(control: Control) {
    let real = Clock::system();
    for turn in 0_usize.. {
        real.sleep(Duration::from_millis(100)).await;
        // A stack without a schedule.
        let stack = SCHEDULES + 1 + turn % (STACKS - SCHEDULES);
        let name = format!("stack-{stack:04}-svc-{:02}-1", 1 + turn % SERVICES);
        let _ = match turn % 4 {
            0 => control.restart(&name),
            1 => control.kill(&name),
            2 => control.pause(&name).and_then(|()| control.unpause(&name)),
            _ => control.stop(&name).and_then(|()| control.start(&name)),
        };
        if control.state(&name) == "exited" {
            let _ = control.start(&name);
        }
        if turn % 20 == 19 {
            control.break_streams();
        }
        if turn % 100 == 99 {
            let end = if turn % 200 == 99 { DaemonEnd::Graceful } else { DaemonEnd::Crash };
            let _ = control.daemon_restart(end);
            // The simulated Engine keeps a list of calls for tests; it would grow here.
            control.clear_calls();
        }
        if turn % 10 == 9 {
            let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
            eprintln!("tasks: {tasks}");
        }
    }
}

/// Runs the hour and checks the result.
pub fn run(bench: &Bench) -> io::Result<ExitCode> {
    let home = tempfile::tempdir()?;
    let mut setup = bench.setup(home.path(), "");
    setup.binary = std::env::current_exe()?;
    setup.arguments = vec![WORD.to_owned()];
    setup.log = "warn";
    let program = Program::start(&setup)?;
    let mut caller = program.caller()?;
    for number in 1..=SCHEDULES {
        let schedule = json!({"target_type": "stack", "target_id": format!("stack-{number:04}"),
                              "action": "restart", "cron": "* * * * *"});
        caller = caller.again();
        caller.post("/api/schedules", &schedule)?;
    }
    pause(Duration::from_secs(5));
    let before = (tasks(&program), program.handles()?);
    let (over, pages, lines) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    for name in viewers() {
        create(bench, home.path(), &name)?;
    }
    // An account may have five event streams at once, so the browsers use several accounts.
    let mut browsers = Vec::new();
    for name in std::iter::once(NAME.to_owned()).chain(viewers()) {
        let mut browser = Client::new(program.address);
        browser.log_in(&name)?;
        browsers.push(browser);
    }
    let begin = clock();
    let mut samples: Vec<Memory> = Vec::new();
    std::thread::scope(|scope| -> io::Result<()> {
        for browser in browsers.iter().flat_map(|browser| std::iter::repeat_n(browser, BROWSERS_PER_ACCOUNT))
        {
            scope.spawn(|| read_pages(browser, &over, &pages));
            scope.spawn(|| read_events(browser, &over, &lines));
        }
        while clock().saturating_sub(begin) < FAST_HOUR {
            pause(Duration::from_secs(2));
            samples.push(program.memory()?);
        }
        over.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    pause(Duration::from_secs(8));
    let after = (tasks(&program), program.handles()?);
    let said = program.said();
    program.stop()?;
    let fires = bench.runtime.block_on(fires(home.path())).map_err(io::Error::other)?;
    let of = |from: usize, to: usize| {
        Readings::new(samples[from..to].iter().map(|memory| memory.resident).collect()).median()
    };
    let (early, late) = (of(samples.len() / 4, samples.len() / 2), of(samples.len() * 3 / 4, samples.len()));
    println!("| what | at first | at last |\n|---|---|---|");
    println!("| resident memory, DockNap and the simulated Engine, MiB | {early:.1} | {late:.1} |");
    println!("| tasks | {} | {} |\n| handles | {} | {} |", before.0, after.0, before.1, after.1);
    println!("\n{} pages and {} lines of events were read.", pages.into_inner(), lines.into_inner());
    let mut faults = Vec::new();
    if late > early * 1.1 + 1.0 {
        faults.push("memory grows".to_owned());
    }
    if after.0 > before.0 + 5 || after.1 > before.1 + 5 {
        faults.push("tasks or handles are left over".to_owned());
    }
    for (schedule, count, distinct, span, missed) in &fires {
        if count != distinct || *distinct != span / 60_000 + 1 || *missed > 0 {
            faults.push(format!(
                "schedule {schedule}: {distinct} of {} fires, {count} runs, {missed} missed",
                span / 60_000 + 1
            ));
        }
    }
    let many: i64 = fires.iter().map(|row| row.1).sum();
    println!("{many} fires of {} schedules, each with one run.", fires.len());
    if fires.len() != SCHEDULES {
        faults.push(format!("{} schedules of {SCHEDULES} fired", fires.len()));
    }
    for line in said.lines().filter(|line| line.contains("panicked") || line.contains("ERROR")).take(10) {
        faults.push(line.to_owned());
    }
    if faults.is_empty() {
        println!("Nothing leaks, nothing is missing.");
        return Ok(ExitCode::SUCCESS);
    }
    for fault in faults {
        println!("* {fault}");
    }
    Ok(ExitCode::FAILURE)
}

/// Names of the accounts besides the first.
fn viewers() -> impl Iterator<Item = String> {
    (1..=3).map(|number| format!("viewer{number}"))
}

/// Creates an account through the command line.
fn create(bench: &Bench, data: &std::path::Path, name: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut child = Command::new(&bench.binary)
        .args(["user", "create", name, "--role", "viewer"])
        .env_clear()
        .env("DOCKNAP_DATA_DIR", data)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        writeln!(stdin, "{PASSWORD}")?;
    }
    if child.wait()?.success() { Ok(()) } else { Err(io::Error::other(format!("{name} could not be made"))) }
}

/// Requests pages periodically. Each uses a new connection, because the fast clock ends idle ones.
fn read_pages(browser: &Client, over: &AtomicBool, pages: &AtomicUsize) {
    let all = ["/", "/schedules", "/runs", "/stacks/local/stack-0001"];
    for turn in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        if browser.again().ask("GET", all[turn % all.len()], None).is_ok_and(|answer| answer.status == 200) {
            pages.fetch_add(1, Ordering::Relaxed);
        }
        pause(Duration::from_millis(500));
    }
}

/// Reads the event stream for some seconds at a time, as a browser that reconnects.
fn read_events(browser: &Client, over: &AtomicBool, lines: &AtomicUsize) {
    while !over.load(Ordering::Relaxed) {
        let begin = clock();
        let ended = browser.again().listen("/events", |_| {
            lines.fetch_add(1, Ordering::Relaxed);
            !over.load(Ordering::Relaxed) && clock().saturating_sub(begin).as_secs() < 7
        });
        if ended.is_err() {
            pause(Duration::from_millis(500));
        }
    }
}

fn tasks(program: &Program) -> usize {
    let said = program.said();
    let last = said.lines().rev().find_map(|line| line.strip_prefix("tasks: ")?.parse().ok());
    last.unwrap_or(0)
}

/// Per schedule: id, number of runs, number of distinct fires, ms from the first fire to the last, number of missed
/// fires.
type Fires = Vec<(String, i64, i64, i64, i64)>;

async fn fires(home: &std::path::Path) -> Result<Fires, sqlx::Error> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(home.join("docknap.db")).read_only(true);
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    let rows = sqlx::query_as(
        "SELECT schedule_id, COUNT(*), COUNT(DISTINCT fire_at_ms), MAX(fire_at_ms) - MIN(fire_at_ms), \
         SUM(CASE WHEN state = 'missed' THEN 1 ELSE 0 END) FROM runs WHERE schedule_id IS NOT NULL GROUP BY 1",
    )
    .fetch_all(&pool)
    .await?;
    pool.close().await;
    Ok(rows)
}
