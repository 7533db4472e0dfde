//! Compares the time to stop and start one stack with DockNap, with docker-compose, and by hand: `docker stop` and
//! `docker start` of all containers of a wave at once.

use std::fmt::Write as _;
use std::io;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::http::Client;
use super::program::Program;
use super::report::{Readings, Report, shown};
use super::{Bench, clock, wait_until};

/// Three waves of four services; each service depends on all of the wave before.
const WAVES: [[&str; 4]; 3] = [
    ["db", "cache", "queue", "mail"],
    ["api", "auth", "search", "worker"],
    ["web", "admin", "jobs", "proxy"],
];
const PROJECT: &str = "twelve";

/// The Compose file. docker-compose 1 writes no label for dependencies, so the file sets it.
fn compose_file(image: &str) -> String {
    let mut file = "version: '2.4'\nservices:\n".to_owned();
    let mut before: &[&str] = &[];
    for wave in &WAVES {
        for service in wave {
            let label: Vec<String> = before.iter().map(|one| format!("{one}:service_started:true")).collect();
            let _ = write!(
                file,
                "  {service}:\n    image: {image}\n    \
                 command: [sh, -c, \"trap 'exit 0' TERM; while :; do sleep 3600 & wait $$!; done\"]\n    \
                 network_mode: none\n    labels: {{com.docker.compose.depends_on: \"{}\"}}\n    depends_on: [{}]\n",
                label.join(","),
                before.join(", ")
            );
        }
        before = wave;
    }
    file
}

/// The other ways to stop and start the stack.
struct Peers<'a> {
    engine: &'a str,
    file: std::path::PathBuf,
}

impl Peers<'_> {
    fn compose(&self, words: &[&str]) -> io::Result<()> {
        let mut command = Command::new("docker-compose");
        command.args(["--project-name", PROJECT, "--file"]).arg(&self.file).args(words);
        wait_for_success(self.spawn(&mut command)?, &mut command)
    }

    fn waves(&self, word: &str) -> io::Result<()> {
        let mut waves: Vec<_> = WAVES.iter().collect();
        if word == "stop" {
            waves.reverse();
        }
        for wave in waves {
            let mut going = Vec::new();
            for service in wave {
                let mut command = Command::new("docker");
                command.args([word, &format!("{PROJECT}_{service}_1")]);
                going.push((self.spawn(&mut command)?, command));
            }
            for (child, mut command) in going {
                wait_for_success(child, &mut command)?;
            }
        }
        Ok(())
    }

    fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        command.env("DOCKER_HOST", self.engine).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }
}

fn wait_for_success(mut child: Child, command: &mut Command) -> io::Result<()> {
    if child.wait()?.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} failed"))) }
}

/// Submits an action to the API and waits until all containers have the wanted state, which is when the other tools
/// are done too. Returns the path of the run, which goes on to check that the containers stay up.
fn docknap(caller: &mut Client, word: &str, wanted: &str) -> io::Result<String> {
    let run = caller.post(&format!("/api/stacks/local/{PROJECT}/{word}"), &json!({}))?.json();
    wait_until(&format!("the stack is {wanted}"), || {
        Ok(caller.get(&format!("/api/stacks/local/{PROJECT}"))?.json()["status"] == wanted)
    })?;
    Ok(format!("/api/runs/{}", run["run_id"].as_str().unwrap_or_default()))
}

/// Waits until a run ends.
fn wait_for_run(caller: &mut Client, run: &str) -> io::Result<()> {
    let mut state = String::new();
    wait_until("the run ends", || {
        let run = caller.get(run)?.json();
        run["state"].as_str().unwrap_or_default().clone_into(&mut state);
        Ok(run["finished_at"].is_string())
    })?;
    if state == "succeeded" { Ok(()) } else { Err(io::Error::other(format!("the run ended as {state}"))) }
}

/// Duration of `work` in seconds, and its result.
fn timed<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<(f64, T)> {
    let begin = clock();
    let result = work()?;
    Ok((clock().saturating_sub(begin).as_secs_f64(), result))
}

/// Measures the row.
pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let Some(engine) = &bench.engine else { return Err(io::Error::other("--engine names no real Engine")) };
    let home = tempfile::tempdir()?;
    let peers = Peers { engine, file: home.path().join("compose.yaml") };
    std::fs::write(&peers.file, compose_file(&bench.sample))?;
    peers.compose(&["up", "-d"])?;
    let program = Program::start(&bench.setup(&home.path().join("data"), engine))?;
    program.until_said("connected to Docker")?;
    let mut caller = program.caller()?;
    let mut took = [const { Vec::new() }; 3];
    let mut until_over = Vec::new();
    // Alternating, so that a slow phase of the machine affects all of them.
    for _ in 0..bench.pick(5, 2) {
        let (mut ours, mut whole) = (0.0, 0.0);
        for (word, wanted) in [("stop", "stopped"), ("start", "running")] {
            let (as_wanted, run) = timed(|| docknap(&mut caller, word, wanted))?;
            ours += as_wanted;
            whole += as_wanted + timed(|| wait_for_run(&mut caller, &run))?.0;
        }
        until_over.push(whole);
        let compose = timed(|| peers.compose(&["stop"]))?.0 + timed(|| peers.compose(&["start"]))?.0;
        let waves = timed(|| peers.waves("stop"))?.0 + timed(|| peers.waves("start"))?.0;
        for (took, one) in took.iter_mut().zip([ours, compose, waves]) {
            took.push(one);
        }
    }
    let [ours, compose, waves] = took.map(|took| Readings::new(took).median());
    peers.compose(&["down", "-t", "0"])?;
    report.one("stop_start", ours / compose.min(waves));
    report.peer(
        "stop_start",
        format!("{ours:.2} s; docker-compose {compose:.2} s; docker by wave {waves:.2} s"),
    );
    report.note(
        "stop_start",
        format!("{} s until the runs had seen it stay so", shown(Readings::new(until_over).median())),
    );
    Ok(())
}
