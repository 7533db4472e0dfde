//! The same stack stopped and started by DockNap, by docker-compose, and by hand: `docker stop` and `docker start` of
//! each wave's containers at once.

use std::fmt::Write as _;
use std::io;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::http::Client;
use super::program::Program;
use super::report::{Readings, Report, shown};
use super::{Bench, clock, patiently};

/// Three waves of four: each service needs all of the wave before.
const WAVES: [[&str; 4]; 3] = [
    ["db", "cache", "queue", "mail"],
    ["api", "auth", "search", "worker"],
    ["web", "admin", "jobs", "proxy"],
];
const PROJECT: &str = "twelve";

/// The compose file. docker-compose 1 writes no label of what a service depends on, so it is set by hand.
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

/// One who stops and starts the stack.
struct Peers<'a> {
    engine: &'a str,
    file: std::path::PathBuf,
}

impl Peers<'_> {
    fn compose(&self, words: &[&str]) -> io::Result<()> {
        let mut command = Command::new("docker-compose");
        command.args(["--project-name", PROJECT, "--file"]).arg(&self.file).args(words);
        done(self.spawn(&mut command)?, &mut command)
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
                done(child, &mut command)?;
            }
        }
        Ok(())
    }

    fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        command.env("DOCKER_HOST", self.engine).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }
}

fn done(mut child: Child, command: &mut Command) -> io::Result<()> {
    if child.wait()?.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} failed"))) }
}

/// Asks the API, and waits until all containers are as wanted: that is when the others are done. Answers the run, which
/// goes on to see whether what it started stays up.
fn docknap(caller: &mut Client, word: &str, wanted: &str) -> io::Result<String> {
    let run = caller.post(&format!("/api/stacks/local/{PROJECT}/{word}"), &json!({}))?.json();
    patiently(&format!("the stack is {wanted}"), || {
        Ok(caller.get(&format!("/api/stacks/local/{PROJECT}"))?.json()["status"] == wanted)
    })?;
    Ok(format!("/api/runs/{}", run["run_id"].as_str().unwrap_or_default()))
}

/// Waits until a run is over.
fn over(caller: &mut Client, run: &str) -> io::Result<()> {
    let mut state = String::new();
    patiently("the run ends", || {
        let run = caller.get(run)?.json();
        run["state"].as_str().unwrap_or_default().clone_into(&mut state);
        Ok(run["finished_at"].is_string())
    })?;
    if state == "succeeded" { Ok(()) } else { Err(io::Error::other(format!("the run ended as {state}"))) }
}

/// Seconds, and what came of it.
fn timed<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<(f64, T)> {
    let begin = clock();
    let done = work()?;
    Ok((clock().saturating_sub(begin).as_secs_f64(), done))
}

/// The line.
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
    // Each in turn, so that what slows the machine for a while slows all of them.
    for _ in 0..bench.of(5, 2) {
        let (mut ours, mut whole) = (0.0, 0.0);
        for (word, wanted) in [("stop", "stopped"), ("start", "running")] {
            let (as_wanted, run) = timed(|| docknap(&mut caller, word, wanted))?;
            ours += as_wanted;
            whole += as_wanted + timed(|| over(&mut caller, &run))?.0;
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
