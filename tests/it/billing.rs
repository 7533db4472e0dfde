//! A two-service compose stack on a real Engine, the whole program in front of it, and a clock that a test moves to
//! 23:00. It has a daemon of its own, since it kills it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::config::{Config, FirstAdmin};
use docknap::lifecycle::{self, Serving};
use docknap::sim::DaemonEnd;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::engine::{Daemon, IMAGE};
use crate::support::wait;

const PASSWORD: &str = "sleepy whales drift at night";
/// A run on a real Engine may take this long.
const PATIENCE: Duration = Duration::from_secs(90);

/// The program, its Engine, and a program that calls its API.
struct Site {
    daemon: Daemon,
    clock: Clock,
    address: String,
    token: String,
    http: reqwest::Client,
    stop: CancellationToken,
    served: Option<tokio::task::JoinHandle<Result<(), lifecycle::StartError>>>,
    _home: tempfile::TempDir,
}

impl Site {
    /// With the sample stack up, and known to DockNap.
    async fn new() -> Self {
        let daemon = Daemon::start().await;
        compose(&daemon, &["up", "-d"]);
        let home = tempfile::tempdir().expect("a data directory");
        let config = Config {
            listen: "127.0.0.1:0".parse().expect("an address"),
            data_dir: home.path().to_owned(),
            docker_host: daemon.host(),
            timezone: Some("UTC".to_owned()),
            admin: Some(FirstAdmin { name: "admin".to_owned(), password: SecretString::from(PASSWORD) }),
            ..Config::default()
        };
        // The test's own client asks for it, although it speaks plain http.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::system();
        let stop = CancellationToken::new();
        let (started, address) = tokio::sync::oneshot::channel();
        let serving = Serving { config, clock: clock.clone(), demo: false };
        let served = tokio::spawn(lifecycle::serve(serving, stop.clone(), |address| {
            let _ = started.send(address);
        }));
        let address = format!("http://{}", address.await.expect("it comes up"));
        let mut site = Self {
            daemon,
            clock,
            address,
            token: String::new(),
            http: reqwest::Client::new(),
            stop,
            served: Some(served),
            _home: home,
        };
        site.log_in().await;
        site.until_stack("running").await;
        site
    }

    async fn log_in(&mut self) {
        let login = json!({"username": "admin", "password": PASSWORD});
        let (status, body) = self.call("POST", "/api/auth/login", Some(login)).await;
        assert_eq!(status, 200, "{body}");
        body["token"].as_str().expect("a token").clone_into(&mut self.token);
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.address));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("it answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn until_stack(&self, status: &str) {
        wait::until(&format!("billing-stack is {status}"), PATIENCE, async || {
            let (_, stack) = self.call("GET", "/api/stacks/local/billing-stack", None).await;
            stack["status"] == status
        })
        .await;
    }

    /// Asks for something, waits for the end of its run, and answers the run.
    async fn act(&self, path: &str) -> Value {
        let (status, body) = self.call("POST", path, None).await;
        assert_eq!(status, 202, "{path}: {body}");
        self.ended(body["run_id"].as_str().expect("a run")).await
    }

    async fn ended(&self, run: &str) -> Value {
        let path = format!("/api/runs/{run}");
        wait::until("the run ends", PATIENCE, async || !self.get(&path).await["finished_at"].is_null()).await;
        self.get(&path).await
    }

    /// Moves the clock to an instant the API named, and answers the run it made.
    async fn at(&mut self, schedule: &Value) -> Value {
        let next: Timestamp = schedule["next_at"].as_str().expect("an instant").parse().expect("an instant");
        self.clock.set_wall(next);
        // A login lasts 12 h.
        self.log_in().await;
        let id = &schedule["id"];
        let runs = async || {
            let all = self.get("/api/runs").await;
            let of = |run: &&Value| run["schedule_id"] == *id && run["fire_at"] == schedule["next_at"];
            all["items"].as_array().expect("a list").iter().find(of).cloned()
        };
        wait::until("the schedule fires", PATIENCE, async || runs().await.is_some()).await;
        self.ended(runs().await.expect("a run")["id"].as_str().expect("an id")).await
    }

    fn docker(&self, arguments: &[&str]) -> String {
        let output = Command::new("docker")
            .arg("--host")
            .arg(self.daemon.host())
            .args(arguments)
            .output()
            .expect("docker");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn state(&self, container: &str) -> String {
        self.docker(&["inspect", "--format", "{{.State.Status}}", container])
    }

    async fn finish(mut self) {
        self.stop.cancel();
        let served = self.served.take().expect("it serves");
        served.await.expect("it ends by itself").expect("in an orderly way");
        compose(&self.daemon, &["down", "-t", "1"]);
    }
}

/// Compose's word for a container of the sample stack.
fn container(service: &str) -> String {
    format!("billing-stack_{service}_1")
}

fn compose(daemon: &Daemon, arguments: &[&str]) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/billing-stack/compose.yaml");
    let output = Command::new("docker-compose")
        .args(["-p", "billing-stack", "-f"])
        .arg(file)
        .args(arguments)
        .env("DOCKER_HOST", daemon.host())
        .env("BILLING_IMAGE", IMAGE)
        .output()
        .expect("docker-compose of the package docker-compose");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn steps(run: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let steps = run["steps"].as_array().expect("steps");
    steps.iter().map(|step| (text(&step["container"]), text(&step["state"]))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_briefs_example_stops_and_starts_a_real_stack_on_schedule() {
    let mut site = Site::new().await;
    let (db, web) = (container("db"), container("web"));
    let example = json!({"target_type": "stack", "target_id": "billing-stack", "action": "stop",
        "cron": "0 23 * * *", "enabled": true});
    let (status, stop) = site.call("POST", "/api/schedules", Some(example)).await;
    assert_eq!(status, 201, "{stop}");

    // Compose makes a container again in between: it is followed.
    let before = site.docker(&["inspect", "--format", "{{.Id}}", &web]);
    compose(&site.daemon, &["up", "-d", "--force-recreate", "--no-deps", "-t", "1", "web"]);
    assert_ne!(before, site.docker(&["inspect", "--format", "{{.Id}}", &web]));
    site.until_stack("running").await;

    let run = site.at(&stop).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(
        (run["trigger"].as_str(), run["actor"]["name"].as_str()),
        (Some("schedule"), Some("scheduler"))
    );
    let ok = "succeeded".to_owned();
    assert_eq!(steps(&run), [(web.clone(), ok.clone()), (db.clone(), ok.clone())]);
    assert_eq!((site.state(&web).as_str(), site.state(&db).as_str()), ("exited", "exited"));
    site.until_stack("stopped").await;

    let start = json!({"target_type": "stack", "target_id": "billing-stack", "action": "start",
        "cron": "0 7 * * *", "enabled": true});
    let (status, start) = site.call("POST", "/api/schedules", Some(start)).await;
    assert_eq!(status, 201, "{start}");
    let run = site.at(&start).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(steps(&run), [(db.clone(), ok.clone()), (web.clone(), ok)]);
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
    let site = Site::new().await;
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
    let mut site = Site::new().await;
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

impl Site {
    /// Waits until the inventory has a container.
    async fn known(&self, name: &str) {
        wait::until("the container is known", PATIENCE, async || {
            let all = self.get("/api/containers").await;
            all.as_array().expect("a list").iter().any(|container| container["name"] == name)
        })
        .await;
    }
}
