//! A disk that fills up while runs are under way: nothing that was begun is lost, and it goes on by itself.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::sim::{Endpoint, Fault, World};
use serde_json::json;

use crate::support::program::{PATIENCE, Program, settings};
use crate::support::sim::Simulated;
use crate::support::wait;

/// How often the disk fills up.
const TIMES: usize = 20;
/// Small enough to be filled at once, large enough for a database with its log.
const SIZE: &str = "16m";

/// The program with its data on a disk of its own, which nobody else sees.
fn on_small_disk() -> Command {
    let mut command = Command::new("unshare");
    let script = format!(
        "mkdir -p \"$DOCKNAP_DATA_DIR\" && mount -t tmpfs -o size={SIZE} tmpfs \"$DOCKNAP_DATA_DIR\" && exec \"$0\""
    );
    command.args(["--map-root-user", "--mount", "sh", "-c", &script, env!("CARGO_BIN_EXE_docknap")]);
    command
}

/// Takes all the room there is.
fn fill(file: &PathBuf) {
    let mut file = std::fs::File::create(file).expect("it can be made");
    for size in [64 * 1024, 4096, 1] {
        let block = vec![0; size];
        while file.write(&block).is_ok() {}
    }
}

#[tokio::test]
async fn a_disk_that_was_full_in_mid_run_twenty_times_stops_nothing_for_good() {
    let simulated = Simulated::start(Clock::system(), World::new().container("web", |web| web)).await;
    let sim = &simulated.control;
    // So that the disk fills up while the call is under way.
    for act in [Endpoint::Start, Endpoint::Stop] {
        sim.fault(Fault::delay(Duration::from_secs(1)).on(act));
    }
    let home = tempfile::tempdir().expect("a directory");
    let mut program = Program::start(on_small_disk(), &settings(home.path(), &sim.docker_host()));
    program.serves().await;
    program.says("connected to Docker").await;
    let data = home.path().join("data");
    let filler = PathBuf::from(format!("/proc/{}/root{}/filler", program.id(), data.display()));

    for time in 0..TIMES {
        let (action, after) = if time % 2 == 0 { ("stop", "exited") } else { ("start", "running") };
        let (status, answer) = program.post(&format!("/api/containers/local/web/{action}"), &json!({})).await;
        assert_eq!(status, 202, "time {time}: {answer}");
        let run = format!("/api/runs/{}", answer["run_id"].as_str().expect("an id"));
        let endpoint = if time % 2 == 0 { Endpoint::Stop } else { Endpoint::Start };
        let calls = u64::try_from(time / 2 + 1).expect("a small number");
        wait::until("the call is sent", PATIENCE, async || sim.count(endpoint) == calls).await;
        fill(&filler);

        // A write that is refused: the log may have room for some more until then.
        let schedule =
            json!({"target_type": "container", "target_id": "web", "action": "stop", "cron": "0 4 * * *"});
        let mut refused = None;
        for _ in 0..2000 {
            let (status, headers, answer) = program.post_whole("/api/schedules", &schedule).await;
            if status != 201 {
                refused = Some((status, headers, answer));
                break;
            }
        }
        let (status, headers, answer) = refused.expect("a full disk takes no more");
        assert_eq!((status, answer["code"].as_str()), (503, Some("unavailable")), "time {time}: {answer}");
        assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains("disk")), "{answer}");
        assert!(headers.contains_key("retry-after"), "{headers:?}");
        // What is stored in the last room that is left says for a moment that all is well.
        wait::until("it says so", Duration::from_secs(10), async || {
            program.post("/api/schedules", &schedule).await;
            program.status("/healthz").await == 503
        })
        .await;
        wait::until("the call is over", PATIENCE, async || sim.state("web") == after).await;

        std::fs::remove_file(&filler).expect("it is there");
        wait::until("it is well again", PATIENCE, async || program.status("/healthz").await == 200).await;
        wait::until("the run has ended", PATIENCE, async || {
            let run = program.get(&run).await;
            !matches!(run["state"].as_str(), Some("pending" | "executing"))
        })
        .await;
        let ended = program.get(&run).await;
        assert_eq!(ended["state"], "succeeded", "time {time}: {ended}\n{}", program.log());
        assert_eq!(sim.state("web"), after, "time {time}");
    }
    assert_eq!(sim.acts().len(), TIMES, "nothing was asked for twice");
    let log = program.log();
    assert!(log.contains("the disk of the database is full"), "{log}");
    program.signal("TERM");
    assert_eq!(program.ends().await.code(), Some(0));
}

/// What a start says on a disk mounted with `options`, and its exit code.
async fn start_on(options: &str) -> (Option<i32>, String) {
    let home = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("unshare");
    let script = format!(
        "mkdir -p \"$DOCKNAP_DATA_DIR\" && mount -t tmpfs -o {options} tmpfs \"$DOCKNAP_DATA_DIR\" && exec \"$0\""
    );
    command.args(["--map-root-user", "--mount", "sh", "-c", &script, env!("CARGO_BIN_EXE_docknap")]);
    let mut program = Program::start(command, &settings(home.path(), "unix:///nonexistent/docker.sock"));
    program.says("docknap: ").await;
    let data = home.path().join("data").display().to_string();
    (program.ends().await.code(), program.log().replace(&data, "DATA"))
}

#[tokio::test]
async fn a_disk_that_takes_nothing_at_the_start_is_named_with_its_own_cure() {
    let (code, said) = start_on("size=64k").await;
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("DATA/docknap.db: the disk of the database is full"), "{said}");
    assert!(!said.contains("chown"), "{said}");
    let (code, said) = start_on("ro").await;
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("the data directory DATA cannot be used"), "{said}");
    assert!(said.contains("mount it writable") && !said.contains("chown"), "{said}");
}

/// A frozen Engine takes connections and never answers.
#[tokio::test]
async fn readiness_is_answered_within_three_seconds_while_the_engine_is_frozen() {
    let simulated = Simulated::start(Clock::system(), World::new().container("web", |web| web)).await;
    let home = tempfile::tempdir().expect("a directory");
    let mut program =
        Program::start(Program::binary(), &settings(home.path(), &simulated.control.docker_host()));
    program.serves().await;
    program.says("connected to Docker").await;
    wait::until("it is ready", PATIENCE, async || program.status("/readyz").await == 200).await;
    simulated.control.fault(Fault::hang());
    let clock = Clock::system();
    wait::until("it is no longer ready", PATIENCE, async || {
        let began = clock.monotonic();
        let status = program.status("/readyz").await;
        let took = clock.monotonic().saturating_sub(began);
        assert!(took < Duration::from_secs(3), "{status} after {took:?}");
        status == 503
    })
    .await;
    assert_eq!(program.status("/healthz").await, 200, "DockNap itself is well");
}
