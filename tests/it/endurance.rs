//! The checker of `scripts/endure`, on small event logs: a clean one, one that was doctored by hand, and copies of the
//! clean one in which one thing is wrong.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What the checker says about a log: its exit code and its output.
fn check(log: &Path) -> (Option<i32>, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/endure");
    let output = Command::new(script).arg("--check").arg(log).output().expect("it starts");
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.code(), format!("{stdout}{stderr}"))
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/endurance").join(name)
}

fn clean() -> Vec<Value> {
    let text = std::fs::read_to_string(sample("clean.jsonl")).expect("it is there");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What the checker says about these lines.
fn check_lines(lines: &[Value]) -> (Option<i32>, String) {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("log.jsonl");
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&file, lines.join("\n")).expect("it can be written");
    check(&file)
}

fn broken(output: &str) -> Vec<&str> {
    output.lines().filter_map(|line| line.strip_prefix("BROKEN ")).collect()
}

#[test]
fn a_clean_log_passes() {
    let (code, output) = check(&sample("clean.jsonl"));
    assert_eq!(code, Some(0), "{output}");
    for row in [
        "| fires due | 20 | of 3 cron schedules |",
        "| claimed, each once | 19 |  |",
        "| missed | 1 | each during a fault |",
        "| restarts issued | 9 | 8 events of Docker |",
        "| restarts done twice for one run | 0 |  |",
        "| kill leader | 1 | 0 | 14.6 s | 14.6 s | 14.6 s |",
        "| most memory of r1 | 31.0 MiB |  |",
    ] {
        assert!(output.lines().any(|line| line == row), "{row}\n{output}");
    }
    assert!(output.ends_with("every invariant held\n"), "{output}");
}

#[test]
fn a_doctored_log_with_one_double_restart_and_one_lost_fire_is_found_out() {
    let (code, output) = check(&sample("doctored.jsonl"));
    assert_eq!(code, Some(1), "{output}");
    assert_eq!(
        broken(&output),
        [
            "no fire is lost: web restarts of 10:08:00 has no run and is not recorded as missed",
            "no restart twice for one run: web-front-1 at 10:02:02, run run4",
        ]
    );
}

/// A line of the clean log, by its kind and one of its fields.
fn find<'a>(lines: &'a mut [Value], kind: &str, field: &str, value: &str) -> &'a mut Value {
    lines.iter_mut().find(|line| line["kind"] == kind && line[field] == value).expect("it is there")
}

/// Changes the clean log.
type Doctor = fn(&mut Vec<Value>);

/// One invariant, what breaks it, and how the checker names it.
const DOCTORED: &[(&str, Doctor)] = &[
    ("a fire has one run: web restarts of 10:02:00", |lines| {
        let mut twin = find(lines, "run", "id", "run4").clone();
        twin["id"] = "twin".into();
        lines.push(twin);
    }),
    ("a run has a fire: web restarts of 10:02:30 was not due", |lines| {
        let mut other = find(lines, "run", "id", "run4").clone();
        let due = other["due_ms"].as_i64().expect("an instant") + 30_000;
        other["due_ms"] = due.into();
        other["created_ms"] = (due + 20).into();
        lines.push(other);
    }),
    ("a missed fire has a cause: web restarts of 10:05:00", |lines| {
        lines.retain(|line| line["kind"] != "fault");
    }),
    ("a run that is interrupted has a cause: run run9", |lines| {
        lines.retain(|line| line["kind"] != "fault");
    }),
    ("a late fire has a cause: media wakes of 10:05:00, 15.2 s late", |lines| {
        lines.retain(|line| line["kind"] != "fault");
    }),
    ("a run ends: run run4", |lines| find(lines, "run", "id", "run4")["state"] = "executing".into()),
    ("a step ends: web-front-1 of run run4", |lines| {
        find(lines, "step", "id", "step4")["state"] = "issued".into();
    }),
    ("no stop without a run: media-films-1 at 10:02:00", |lines| {
        lines.retain(|line| line["kind"] != "step" || line["id"] != "step3");
    }),
    ("what was off on purpose stays off: nights-spare-1 was started", |lines| {
        let mut event = find(lines, "docker", "action", "restart").clone();
        event["action"] = "start".into();
        event["container"] = "nights-spare-1".into();
        lines.push(event);
    }),
    ("DockNap's own container is not touched: restart of web-docknap-1", |lines| {
        let mut event = find(lines, "docker", "action", "restart").clone();
        event["container"] = "web-docknap-1".into();
        lines.push(event);
    }),
    ("an edge of a window is applied: nights, wake at 10:07:00", |lines| {
        lines.retain(|line| {
            let is_start = line["kind"] == "docker" && line["action"] == "start";
            !(is_start && line["container"] == "nights-one-1") && line["kind"] != "fault"
        });
    }),
    ("containers are as the rules say: web-front-1 should be running", |lines| {
        find(lines, "state", "container", "web-front-1")["running"] = false.into();
    }),
    ("one replica leads: r1 and r2", |lines| {
        let span = find(lines, "lead", "replica", "r1");
        span["to"] = (span["to"].as_i64().expect("an instant") + 20_000).into();
    }),
    ("another replica leads within 60 s: kill leader", |lines| {
        lines.retain(|line| line["kind"] != "epoch" || line["epoch"] == 1);
    }),
    ("a replica does not end by itself: r1 with code 101", |lines| {
        let mut end = find(lines, "replica", "what", "ended").clone();
        end["at"] = (end["at"].as_i64().expect("an instant") - 120_000).into();
        end["by"] = "itself".into();
        end["code"] = 101.into();
        lines.push(end);
    }),
    ("no panic: r2: thread 'main' panicked", |lines| {
        lines.push(serde_json::json!({"kind": "panic", "replica": "r2", "text": "thread 'main' panicked"}));
    }),
    ("the run ends: the log has no last line", |lines| {
        lines.retain(|line| line["kind"] != "end");
    }),
];

#[test]
fn each_invariant_is_named_where_it_is_broken() {
    for (invariant, doctor) in DOCTORED {
        let mut lines = clean();
        doctor(&mut lines);
        let (code, output) = check_lines(&lines);
        assert_eq!(code, Some(1), "{invariant}\n{output}");
        assert!(broken(&output).iter().any(|line| line.starts_with(invariant)), "{invariant}\n{output}");
    }
}

#[test]
fn a_file_that_is_no_log_is_refused() {
    let (code, output) = check_lines(&[serde_json::json!(["no", "kind"])]);
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("line 1"), "{output}");
}
