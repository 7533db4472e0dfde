//! The whole program on Podman, whose API resembles Docker's. `scripts/podman` starts one and says where.

use serde_json::{Value, json};

use super::bench::{Bench, Program as Task, Spec};
use crate::support::program::{PATIENCE, Program, settings};
use crate::support::wait;

/// The run of an action, once it has ended.
async fn act(program: &Program, path: &str) -> Value {
    let (status, answer) = program.post(path, &json!({})).await;
    assert_eq!(status, 202, "{path}: {answer}");
    let run = format!("/api/runs/{}", answer["run_id"].as_str().expect("a run"));
    wait::until("the run ends", PATIENCE, async || !program.get(&run).await["finished_at"].is_null()).await;
    program.get(&run).await
}

#[tokio::test]
#[ignore = "run by scripts/podman"]
async fn a_stack_on_podman_is_stopped_woken_and_paused() {
    let bench = Bench::real("podman").await;
    let service = |name: &'static str, needs: &'static str| Spec {
        labels: vec![
            ("com.docker.compose.project", "shop"),
            ("com.docker.compose.service", name),
            ("com.docker.compose.container-number", "1"),
            ("com.docker.compose.oneoff", "False"),
            ("com.docker.compose.depends_on", needs),
        ],
        ..Spec::new(Task::Ends(0))
    };
    for (name, needs) in [("db", ""), ("web", "db:service_started:false")] {
        bench.create(name, service(name, needs)).await;
        assert_eq!(bench.does(name, "start").await, 204);
    }
    let home = tempfile::tempdir().expect("a directory");
    let engine = format!("unix://{}", bench.socket.display());
    let mut program = Program::start(Program::binary(), &settings(home.path(), &engine));
    program.serves().await;
    wait::until("the stack is known", PATIENCE, async || {
        program.status("/api/stacks/local/shop").await == 200
    })
    .await;
    let host = program.get("/api/hosts/local").await;
    assert!(
        host["engine_version"].as_str().is_some_and(|version| version.starts_with("Podman ")),
        "{host:#}"
    );

    for (action, status) in [
        ("stop", "stopped"),
        ("start", "running"),
        ("pause", "paused"),
        // Podman itself refuses that.
        ("stop", "stopped"),
        ("start", "running"),
        ("pause", "paused"),
        ("unpause", "running"),
        ("restart", "running"),
    ] {
        let run = act(&program, &format!("/api/stacks/local/shop/{action}")).await;
        assert_eq!(run["state"], "succeeded", "{action}: {run:#}");
        wait::until(&format!("{status} after {action}"), PATIENCE, async || {
            program.get("/api/stacks/local/shop").await["status"] == status
        })
        .await;
    }
    // Somebody else starts and ends it: the events come through.
    for (verb, status) in [("stop", "partial"), ("start", "running")] {
        bench.does("web", verb).await;
        wait::until(&format!("{verb} is seen"), PATIENCE, async || {
            program.get("/api/stacks/local/shop").await["status"] == status
        })
        .await;
    }
    bench.clear().await;
}
