//! The image as a user runs it: the Dockerfile's last stage around the release binary, started by README's own lines
//! with the repository's compose.yaml, on a real Engine.

mod hosts;
mod image;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use docknap::clock::Clock;
use serde_json::{Value, json};

const IMAGE: &str = "docknap-packaging:latest";
/// The project's name, and so the stack DockNap itself belongs to.
const PROJECT: &str = "docknap-packaging";
const PASSWORD: &str = "a walk along the harbour";
/// For something a container does by itself: a start, a health change, a stop.
const PATIENCE: Duration = Duration::from_secs(60);

fn need(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; scripts/test sets it"))
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command that talks to the tests' own Engine.
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env("DOCKER_HOST", need("DOCKNAP_TEST_DOCKER_HOST"))
        .env_remove("DOCKER_TLS_VERIFY")
        .env_remove("DOCKER_CERT_PATH")
        .stdin(Stdio::null());
    command
}

/// What a command prints, which has to end well.
fn output(command: &mut Command) -> String {
    let output = command.output().expect("the program is installed");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{said}{complained}", output.status);
    said.trim().to_owned()
}

fn docker(args: &[&str]) -> String {
    output(command("docker").args(args))
}

/// The path of the Engine's socket.
fn socket() -> String {
    let host = need("DOCKNAP_TEST_DOCKER_HOST");
    host.strip_prefix("unix://").expect("the tests' Engine listens on a unix socket").to_owned()
}

/// The image around the binary that is released.
fn build_image() {
    output(command(repository().join("scripts/image")).args([&need("DOCKNAP_TEST_RELEASE_BINARY"), IMAGE]));
}

/// A compose project that ends with the test.
struct Project {
    name: &'static str,
    dir: PathBuf,
    env: Vec<(&'static str, String)>,
}

impl Project {
    fn compose(&self, args: &[&str]) -> Command {
        let mut compose = command("docker-compose");
        compose
            .current_dir(&self.dir)
            .env("COMPOSE_PROJECT_NAME", self.name)
            .envs(self.env.clone())
            .args(args);
        compose
    }

    fn container(&self, service: &str) -> String {
        output(&mut self.compose(&["ps", "-q", service]))
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.compose(&["down", "-v", "-t", "1"]).output();
    }
}

/// README's first block, for the tests' socket and the compose program of Debian.
fn first_lines(socket: &str) -> String {
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("there is a README");
    let block =
        readme.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a first block");
    assert_eq!(block.lines().count(), 2, "README begins with two lines: {block}");
    block.replace("/var/run/docker.sock", socket).replace("docker compose", "docker-compose")
}

fn state_of(container: &str) -> String {
    docker(&["inspect", "--format", "{{.State.Status}}", container])
}

/// Asks again and again until there is an answer: another process is at work, whose clock no test can move.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let clock = Clock::system();
    let end = clock.monotonic() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(clock.monotonic() < end, "not within {PATIENCE:?}: {what}");
        clock.sleep(Duration::from_millis(100)).await;
    }
}

/// The API of the container.
struct Api {
    url: String,
    token: String,
    client: reqwest::Client,
}

impl Api {
    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token).send().await;
        answer.expect("it answers").error_for_status().expect(path).json().await.expect("it is JSON")
    }

    async fn post(&self, path: &str) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let answer = request.send().await.expect("it answers");
        (answer.status().as_u16(), answer.json().await.expect("it is JSON"))
    }

    /// Waits until the stack is seen with all its containers running.
    async fn stack_runs(&self, name: &str) {
        until(&format!("the stack {name} is seen running"), async || {
            let stacks = self.get("/api/stacks").await;
            let stack = stacks.as_array()?.iter().find(|stack| stack["name"] == name)?.clone();
            (stack["status"] == "running").then_some(())
        })
        .await;
    }

    /// Waits for the end of a run, and answers it.
    async fn ended(&self, run: &Value) -> Value {
        let path = format!("/api/runs/{}", run.as_str().expect("a run's id"));
        until("the run ends", async || {
            let run = self.get(&path).await;
            (!matches!(run["state"].as_str(), Some("pending" | "executing"))).then_some(run)
        })
        .await
    }
}

/// A port of the machine that nobody uses.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
}

/// Starts the image as README says, and logs in.
async fn start(home: &Path) -> (Project, Api) {
    let socket = socket();
    build_image();
    let port = free_port();
    std::fs::copy(repository().join("compose.yaml"), home.join("compose.yaml")).expect("it can be copied");
    let env = vec![
        ("DOCKNAP_IMAGE", IMAGE.to_owned()),
        ("DOCKNAP_PORT", port.to_string()),
        ("DOCKER_SOCKET", socket.clone()),
    ];
    let project = Project { name: PROJECT, dir: home.to_owned(), env };
    let mut lines = command("sh");
    lines.args(["-ec", &first_lines(&socket)]).current_dir(home).env("COMPOSE_PROJECT_NAME", PROJECT);
    output(lines.envs(project.env.clone()));
    let api = log_in(&project, port).await;
    (project, api)
}

/// Waits until the project's DockNap serves on this port of the machine, makes an admin there and logs in.
async fn log_in(project: &Project, port: u16) -> Api {
    let url = format!("http://127.0.0.1:{port}");
    // The client of the tests brings no TLS of its own; a second test in one process finds it installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let container = project.container("docknap");
    until("the server answers", async || {
        assert_eq!(state_of(&container), "running", "{}", docker(&["logs", &container]));
        client.get(format!("{url}/readyz")).send().await.ok().filter(|answer| answer.status() == 200)
    })
    .await;
    let mut create = command("docker");
    create.args(["exec", "-i", &container, "/docknap", "user", "create", "ada", "--role", "admin"]);
    let mut create = create.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("docker runs");
    let mut stdin = create.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut stdin, format!("{PASSWORD}\n").as_bytes()).expect("it reads");
    drop(stdin);
    assert!(create.wait().expect("it ends").success(), "no admin was made");
    let login = client
        .post(format!("{url}/api/auth/login"))
        .json(&json!({"username": "ada", "password": PASSWORD}))
        .send()
        .await
        .expect("it answers");
    assert_eq!(login.status(), 200);
    let login: Value = login.json().await.expect("it is JSON");
    let token = login["token"].as_str().expect("a token").to_owned();
    Api { url, token, client }
}

fn sample(name: &'static str, dir: &Path) -> Project {
    let project =
        Project { name, dir: dir.to_owned(), env: vec![("BILLING_IMAGE", need("DOCKNAP_TEST_IMAGE"))] };
    output(&mut project.compose(&["up", "-d"]));
    project
}

#[tokio::test]
async fn the_image_runs_as_the_readme_says_naps_a_stack_and_refuses_itself() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (docknap, api) = start(home.path()).await;
    let own = docknap.container("docknap");

    let config: Value =
        serde_json::from_str(&docker(&["inspect", "--format", "{{json .}}", &own])).expect("JSON");
    assert_eq!(config["Config"]["User"], "65532:65532");
    assert_eq!(config["HostConfig"]["ReadonlyRootfs"], true);
    assert_eq!(config["HostConfig"]["CapDrop"], json!(["ALL"]));
    assert_eq!(config["Config"]["Healthcheck"]["Test"], json!(["CMD", "/docknap", "healthcheck"]));
    assert_eq!(config["Config"]["Labels"]["org.opencontainers.image.licenses"], "MIT OR Apache-2.0");
    let size: u64 = docker(&["image", "inspect", "--format", "{{.Size}}", IMAGE]).parse().expect("a number");
    assert!(size < 50_000_000, "the image has {size} bytes");
    docker(&["exec", &own, "/docknap", "healthcheck"]);

    let billing = sample("billing-stack", &repository().join("examples/billing-stack"));
    let (web, db) = (billing.container("web"), billing.container("db"));
    api.stack_runs("billing-stack").await;
    let (status, run) = api.post("/api/stacks/local/billing-stack/stop").await;
    assert_eq!(status, 202, "{run}");
    let run = api.ended(&run["run_id"]).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!((state_of(&web), state_of(&db)), ("exited".to_owned(), "exited".to_owned()));

    let _labelled = sample("labels", &repository().join("examples/labels"));
    api.stack_runs("labels").await;
    let made = until("the schedules of the labels are made", async || {
        let items = api.get("/api/schedules").await["items"].clone();
        let of_labels = items.as_array()?.iter().filter(|one| one["source"] == "label");
        let mut labels: Vec<String> =
            of_labels.filter_map(|one| Some(one["label"].as_str()?.to_owned())).collect();
        labels.sort();
        (labels.len() == 2).then_some(labels)
    })
    .await;
    assert_eq!(made, ["docknap.restart.weekly", "docknap.stack.sleep"]);

    let (status, refused) = api.post(&format!("/api/stacks/local/{PROJECT}/stop")).await;
    assert_eq!(status, 403, "{refused}");
    let name = docker(&["inspect", "--format", "{{.Name}}", &own]);
    let (status, refused) =
        api.post(&format!("/api/containers/local/{}/stop", name.trim_start_matches('/'))).await;
    assert_eq!(status, 403, "{refused}");
    assert_eq!(state_of(&own), "running");

    docker(&["stop", &own]);
    let code = docker(&["inspect", "--format", "{{.State.ExitCode}}", &own]);
    assert_eq!(code, "0", "{}", docker(&["logs", &own]));
}

/// A container that does not hear SIGTERM, with a grace of 30 s.
const STUBBORN: &str = "
services:
  deaf:
    image: \"${BILLING_IMAGE}\"
    command: [\"sh\", \"-c\", \"trap '' TERM; while true; do sleep 1; done\"]
    stop_grace_period: 30s
";

#[tokio::test]
async fn docker_stop_ends_well_while_a_slow_stop_is_under_way() {
    let (home, other) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (docknap, api) = start(home.path()).await;
    std::fs::write(other.path().join("compose.yaml"), STUBBORN).expect("it can be written");
    let stubborn = sample("stubborn", other.path());
    api.stack_runs("stubborn").await;
    let (status, run) = api.post("/api/stacks/local/stubborn/stop").await;
    assert_eq!(status, 202, "{run}");
    let path = format!("/api/runs/{}", run["run_id"].as_str().expect("a run's id"));
    until("the stop is under way", async || {
        let run = api.get(&path).await;
        (run["state"] == "executing" && run["steps"][0]["state"] == "issued").then_some(())
    })
    .await;

    let own = docknap.container("docknap");
    let clock = Clock::system();
    let began = clock.monotonic();
    docker(&["stop", &own]);
    let took = clock.monotonic().saturating_sub(began);
    let code = docker(&["inspect", "--format", "{{.State.ExitCode}}", &own]);
    assert_eq!(code, "0", "{}", docker(&["logs", &own]));
    assert!(took < Duration::from_secs(12), "the stop took {took:?}");
    // Docker goes on with what it was told.
    let deaf = stubborn.container("deaf");
    assert_eq!(docker(&["wait", &deaf]), "137");
}
