//! Measures how long after the instant of a schedule Docker sends SIGTERM to each of ten containers, by Docker's own
//! events. This covers everything between the instant and the call.

use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::program::Program;
use super::report::{Readings, Report, shown};
use super::{Bench, pause, wait_until, wall_ms};

const CONTAINERS: usize = 10;
/// Milliseconds from saving a schedule to its fire: longer than the time ahead at which containers are inspected
/// before a sleep.
const AHEAD_MS: i64 = 15_000;

/// Runs the docker CLI on the measured Engine and returns its output.
fn docker(engine: &str, words: &[&str]) -> io::Result<String> {
    let output =
        Command::new("docker").env("DOCKER_HOST", engine).args(words).stderr(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("docker {words:?} failed")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn name(number: usize) -> String {
    format!("docknap-late-{number}")
}

/// Measures the row.
pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let Some(engine) = &bench.engine else { return Err(io::Error::other("--engine names no real Engine")) };
    let names: Vec<String> = (0..CONTAINERS).map(name).collect();
    let measured = rounds(bench, engine, &names);
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    docker(engine, &[&["rm", "--force"], all.as_slice()].concat())?;
    let (first, late) = measured?;
    let late = Readings::new(late);
    report.many("stops", &late, 99.0);
    report.note(
        "stops",
        format!(
            "median {}, {} stops; the first of each ten: median {}",
            shown(late.median()),
            bench.pick(5, 2) * CONTAINERS,
            shown(Readings::new(first).median())
        ),
    );
    Ok(())
}

/// Delays of the first stop of each round and of all stops, in milliseconds.
fn rounds(bench: &Bench, engine: &str, names: &[String]) -> io::Result<(Vec<f64>, Vec<f64>)> {
    let script = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done";
    for name in names {
        let run = ["run", "--detach", "--network", "none", "--name", name, &bench.sample, "sh", "-c", script];
        docker(engine, &run)?;
    }
    let home = tempfile::tempdir()?;
    let program = Program::start(&bench.setup(&home.path().join("data"), engine))?;
    program.until_said("connected to Docker")?;
    let mut caller = program.caller()?;
    let (mut first, mut late) = (Vec::new(), Vec::new());
    for _ in 0..bench.pick(5, 2) {
        let due = (wall_ms() + AHEAD_MS).div_euclid(1_000) * 1_000;
        let at = Timestamp::from_millisecond(due).map_err(io::Error::other)?.to_string();
        for name in names {
            let schedule = json!({
                "target_type": "container", "target_id": name, "action": "stop", "at": at, "enabled": true,
            });
            let answer = caller.post("/api/schedules", &schedule)?;
            if answer.status != 201 {
                return Err(io::Error::other(format!("a schedule was refused: {}", answer.text())));
            }
        }
        pause(Duration::from_millis(u64::try_from(due - wall_ms()).unwrap_or(0)));
        wait_until("all have stopped", || {
            Ok(docker(engine, &["ps", "--quiet", "--filter", "name=docknap-late"])?.is_empty())
        })?;
        let round = sigterms(engine, due)?;
        if round.len() != names.len() {
            return Err(io::Error::other(format!("{} of {} were sent SIGTERM", round.len(), names.len())));
        }
        first.extend(round.iter().copied().reduce(f64::min));
        late.extend(round);
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        docker(engine, &[&["start"], all.as_slice()].concat())?;
    }
    Ok((first, late))
}

/// Delay of each SIGTERM after `due` (Unix milliseconds), in milliseconds.
fn sigterms(engine: &str, due: i64) -> io::Result<Vec<f64>> {
    let (since, until) = ((due / 1_000 - 1).to_string(), (wall_ms() / 1_000 + 1).to_string());
    let events = docker(
        engine,
        &[
            "events",
            "--since",
            &since,
            "--until",
            &until,
            "--filter",
            "type=container",
            "--filter",
            "event=kill",
            "--format",
            "{{.TimeNano}} {{.Actor.Attributes.signal}}",
        ],
    )?;
    let terms = events.lines().filter_map(|line| line.strip_suffix(" 15")?.parse::<i64>().ok());
    #[expect(clippy::cast_precision_loss, reason = "some milliseconds")]
    let late = terms.map(|nano| (nano - due * 1_000_000) as f64 / 1e6);
    Ok(late.collect())
}
