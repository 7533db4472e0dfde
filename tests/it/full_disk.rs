//! A disk that fills up while runs are under way: nothing that was begun is lost, and it goes on by itself.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::sim::{Endpoint, Fault, World};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::program::{PASSWORD, PATIENCE, Program, settings};
use crate::support::sim::Simulated;
use crate::support::wait;

/// How often the disk fills up.
const TIMES: usize = 20;
/// Small enough to be filled at once, large enough for a database with its log.
const SIZE: &str = "16m";
/// The boundary of the parts of a form.
const END: &str = "----------end";
/// Large enough for an upload, which leaves 64 MiB free.
const SIZE_OF_UPLOADS: &str = "96m";

/// The program with its data on a disk of its own, which nobody else sees.
fn on_small_disk(size: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!(
        "mkdir -p \"$DOCKNAP_DATA_DIR\" && mount -t tmpfs -o size={size} tmpfs \"$DOCKNAP_DATA_DIR\" && exec \"$0\""
    );
    command.args(["--map-root-user", "--mount", "sh", "-c", &script, env!("CARGO_BIN_EXE_docknap")]);
    command
}

/// A file on the disk of the program.
fn on_disk_of(program: &Program, home: &Path, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}/data/{name}", program.id(), home.display()))
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
    let mut program = Program::start(on_small_disk(SIZE), &settings(home.path(), &sim.docker_host()));
    program.serves().await;
    program.says("connected to Docker").await;
    let filler = on_disk_of(&program, home.path(), "filler");

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

/// A rules file with so many schedules that its import needs more room than [`leave_little`] leaves.
fn many_schedules() -> Value {
    let one = |n: usize| {
        json!({"key": format!("night-{n}"), "target_type": "container", "target_id": "web", "action": "stop",
            "cron": format!("{} 3 * * *", n % 60), "note": "x".repeat(500)})
    };
    json!({"version": 1, "schedules": (0..1500).map(one).collect::<Vec<_>>()})
}

/// Takes all the room but 256 KiB.
fn leave_little(filler: &PathBuf) {
    fill(filler);
    let file = std::fs::OpenOptions::new().write(true).open(filler).expect("it is there");
    let size = file.metadata().expect("it is there").len();
    file.set_len(size - 256 * 1024).expect("it can be shortened");
}

#[tokio::test]
async fn rules_of_files_and_labels_that_meet_a_full_disk_are_stored_whole_or_not_at_all() {
    let simulated = Simulated::start(Clock::system(), World::new().container("web", |web| web)).await;
    let sim = &simulated.control;
    let home = tempfile::tempdir().expect("a directory");
    let mut program = Program::start(on_small_disk(SIZE), &settings(home.path(), &sim.docker_host()));
    program.serves().await;
    program.says("connected to Docker").await;
    let filler = on_disk_of(&program, home.path(), "filler");
    leave_little(&filler);
    let (status, answer) = program.post("/api/import", &many_schedules()).await;
    assert_eq!((status, answer["code"].as_str()), (503, Some("unavailable")), "{answer}");
    fill(&filler);
    let label = ("docknap.sleep", "22:00-07:00");
    sim.up(World::new().container("loner", |loner| loner.label(label.0, label.1)));
    program.says("the disk of the database is full").await;
    wait::until("the container is known", PATIENCE, async || {
        program.status("/api/containers/local/loner").await == 200
    })
    .await;
    std::fs::remove_file(&filler).expect("it is there");
    let names = async || {
        let list = program.get("/api/schedules").await;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items
            .into_iter()
            .map(|one| one["target_id"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    wait::until("the rule of the label is stored", PATIENCE, async || names().await == ["loner"]).await;
    let (status, answer) = program.post("/api/import", &many_schedules()).await;
    assert_eq!((status, &answer["create"]), (200, &json!(1500)), "{answer}");
}

#[tokio::test]
async fn an_upload_that_fills_the_disk_is_refused_and_removed() {
    let simulated = Simulated::start(Clock::system(), World::new().container("web", |web| web)).await;
    let home = tempfile::tempdir().expect("a directory");
    let docker = simulated.control.docker_host();
    let mut program = Program::start(on_small_disk(SIZE_OF_UPLOADS), &settings(home.path(), &docker));
    program.serves().await;
    let filler = on_disk_of(&program, home.path(), "filler");
    let uploaded = on_disk_of(&program, home.path(), "docknap.db.uploaded");

    let cookie = program.browser().await;
    let field = |name: &str, value: &str| {
        format!("--{END}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let mut first = field("restore_password", PASSWORD).into_bytes();
    first.extend_from_slice(
        format!(
            "--{END}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.db\"\r\n\r\nSQLite format 3\0"
        )
        .as_bytes(),
    );
    first.extend(vec![0; 1024 * 1024]);
    let mut second = vec![0; 4 * 1024 * 1024];
    second.extend_from_slice(format!("\r\n--{END}--\r\n").as_bytes());
    let (at, length) = (program.address(), first.len() + second.len());
    let head = format!(
        "POST /settings/backup/upload HTTP/1.1\r\nHost: {at}\r\nOrigin: http://{at}\r\nCookie: {cookie}\r\n\
         Content-Type: multipart/form-data; boundary={END}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let mut stream = tokio::net::TcpStream::connect(at).await.expect("it listens");
    stream.write_all(head.as_bytes()).await.expect("it reads");
    stream.write_all(&first).await.expect("it reads");
    wait::until("the first part is stored", PATIENCE, async || {
        std::fs::metadata(&uploaded).is_ok_and(|file| file.len() > 512 * 1024)
    })
    .await;
    fill(&filler);
    // The answer may come before the whole body is read.
    let _ = stream.write_all(&second).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    assert!(answer.contains("No space left on device") || answer.contains("is full"), "{answer}");
    assert!(!uploaded.exists(), "what has come is removed");
    std::fs::remove_file(&filler).expect("it is there");
    wait::until("it is well", PATIENCE, async || program.status("/healthz").await == 200).await;
}
