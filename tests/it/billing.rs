//! A two-service compose stack on a real Engine, the whole program in front of it, and a clock that a test moves to
//! 23:00. It has a daemon of its own, since it kills it.

use docknap::sim::DaemonEnd;
use serde_json::json;

use crate::support::engine::IMAGE;
use crate::support::site::{PATIENCE, Sample, Site, steps};
use crate::support::wait;

const BILLING: Sample = Sample { project: "billing-stack", file: "examples/billing-stack/compose.yaml" };

/// The program with the sample stack running.
async fn site() -> Site {
    let site = Site::new(BILLING).await;
    site.until_stack("running").await;
    site
}

/// Compose's word for a container of the sample stack.
fn container(service: &str) -> String {
    BILLING.container(service)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_briefs_example_stops_and_starts_a_real_stack_on_schedule() {
    let mut site = site().await;
    let (db, web) = (container("db"), container("web"));
    let example = json!({"target_type": "stack", "target_id": "billing-stack", "action": "stop",
        "cron": "0 23 * * *", "enabled": true});
    let (status, stop) = site.call("POST", "/api/schedules", Some(example)).await;
    assert_eq!(status, 201, "{stop}");

    // Compose makes a container again in between: it is followed.
    let before = site.docker(&["inspect", "--format", "{{.Id}}", &web]);
    site.compose(&["up", "-d", "--force-recreate", "--no-deps", "-t", "1", "web"]);
    assert_ne!(before, site.docker(&["inspect", "--format", "{{.Id}}", &web]));
    site.until_stack("running").await;

    let run = site.at(&stop).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(
        (run["trigger"].as_str(), run["actor"]["name"].as_str()),
        (Some("schedule"), Some("scheduler"))
    );
    let ok = "succeeded".to_owned();
    assert_eq!(steps(&run), [(web.clone(), ok.clone()), (db.clone(), ok.clone())], "{run:#}");
    assert_eq!((site.state(&web).as_str(), site.state(&db).as_str()), ("exited", "exited"));
    site.until_stack("stopped").await;

    let start = json!({"target_type": "stack", "target_id": "billing-stack", "action": "start",
        "cron": "0 7 * * *", "enabled": true});
    let (status, start) = site.call("POST", "/api/schedules", Some(start)).await;
    assert_eq!(status, 201, "{start}");
    let run = site.at(&start).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(steps(&run), [(db.clone(), ok.clone()), (web.clone(), ok)], "{run:#}");
    site.until_stack("running").await;
    let health = site.docker(&["inspect", "--format", "{{.State.Health.Status}}", &db]);
    assert_eq!(health, "healthy", "web waited for it");

    // A record of all of it: two schedules made, two runs asked for and ended.
    let audit = site.get("/api/audit?limit=200").await;
    let events: Vec<&str> =
        audit["items"].as_array().expect("a list").iter().filter_map(|row| row["event"].as_str()).collect();
    let count = |event: &str| events.iter().filter(|seen| **seen == event).count();
    assert_eq!(
        (count("schedule.create"), count("stack.stop"), count("stack.start")),
        (2, 1, 1),
        "{events:?}"
    );
    assert_eq!(count("run.finish"), 2);
    site.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_action_on_a_real_engine() {
    let site = site().await;
    let (db, web) = (container("db"), container("web"));
    let stack = "/api/stacks/local/billing-stack";

    let run = site.act(&format!("{stack}/pause")).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!((site.state(&web).as_str(), site.state(&db).as_str()), ("paused", "paused"));
    let run = site.act(&format!("{stack}/unpause")).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    let since = site.docker(&["inspect", "--format", "{{.State.StartedAt}}", &db]);
    let run = site.act(&format!("{stack}/restart")).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_ne!(since, site.docker(&["inspect", "--format", "{{.State.StartedAt}}", &db]));

    // A stop that takes 3 s of its 15 s of grace.
    let slow = "trap 'sleep 3; exit 0' TERM; touch /tmp/ready; while true; do sleep 1 & wait $!; done";
    site.docker(&["run", "-d", "--name", "slow", "--stop-timeout", "15", IMAGE, "sh", "-c", slow]);
    wait::until("its trap is set", PATIENCE, async || {
        site.docker(&["exec", "slow", "ls", "/tmp/ready"]) == "/tmp/ready"
    })
    .await;
    site.known("slow").await;
    let run = site.act("/api/containers/local/slow/stop").await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(run["steps"][0]["exit_code"], 0);
    assert!(
        (2_500..15_000).contains(&run["steps"][0]["duration_ms"].as_i64().expect("a duration")),
        "{run:#}"
    );

    // Its program does not exist: 127, at once, and once.
    site.docker(&["create", "--name", "broken", IMAGE, "/no-such-program"]);
    site.known("broken").await;
    let run = site.act("/api/containers/local/broken/start").await;
    assert_eq!(
        (run["state"].as_str(), &run["steps"][0]["exit_code"]),
        (Some("failed"), &json!(127)),
        "{run:#}"
    );

    // It starts, and ends a moment later.
    site.docker(&["create", "--name", "brief", IMAGE, "sh", "-c", "echo no luck >&2; sleep 1; exit 3"]);
    site.known("brief").await;
    let run = site.act("/api/containers/local/brief/start").await;
    assert_eq!(
        (run["state"].as_str(), &run["steps"][0]["exit_code"]),
        (Some("failed"), &json!(3)),
        "{run:#}"
    );
    site.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_daemon_killed_in_mid_run_sees_the_run_end_once() {
    let mut site = site().await;
    let stubborn = "trap '' TERM; touch /tmp/ready; while true; do sleep 1; done";
    site.docker(&["run", "-d", "--name", "stubborn", "--stop-timeout", "6", IMAGE, "sh", "-c", stubborn]);
    site.known("stubborn").await;
    let (status, body) = site.call("POST", "/api/containers/local/stubborn/stop", None).await;
    assert_eq!(status, 202, "{body}");
    let id = body["run_id"].as_str().expect("a run").to_owned();
    let path = format!("/api/runs/{id}");
    wait::until("the stop is under way", PATIENCE, async || {
        site.get(&path).await["steps"][0]["state"] == "issued"
    })
    .await;
    site.daemon.down(DaemonEnd::Crash);
    site.daemon.up().await;
    let run = site.ended(&id).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(site.state("stubborn"), "exited");
    let runs = site.get("/api/runs").await;
    assert_eq!(runs["items"].as_array().expect("a list").len(), 1);
    site.finish().await;
}
