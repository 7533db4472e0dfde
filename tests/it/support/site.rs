//! The whole program with a real Engine of its own, a Compose project on it, and a clock that the test moves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::config::{Config, FirstAdmin, Metrics};
use docknap::db::Db;
use docknap::db::engine::Durability;
use docknap::lifecycle::{self, Serving};
use jiff::Timestamp;
use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use scraper::{Html, Selector};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::engine::{Daemon, IMAGE};
use super::wait;

/// Name of the only account.
pub const ADMIN: &str = "admin";
/// Password of the account.
pub const PASSWORD: &str = "sleepy whales drift at night";
/// Longest wait for a run on a real Engine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A compose file and the name of its project.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Name of the Compose project and stack.
    pub project: &'static str,
    /// Path of the file, relative to the root of the repository.
    pub file: &'static str,
}

impl Sample {
    /// Compose's container name for a service.
    pub fn container(self, service: &str) -> String {
        format!("{}_{service}_1", self.project)
    }

    fn path(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.file)
    }
}

/// The running program, its Engine, and a client of its API.
pub struct Site {
    pub daemon: Daemon,
    pub clock: Clock,
    sample: Sample,
    address: String,
    token: String,
    /// The cookie of the browser's session.
    session: String,
    http: reqwest::Client,
    stop: CancellationToken,
    served: Option<tokio::task::JoinHandle<Result<(), lifecycle::StartError>>>,
    home: tempfile::TempDir,
}

impl Site {
    /// Starts everything and waits until DockNap knows the sample's stack.
    pub async fn new(sample: Sample) -> Self {
        let daemon = Daemon::start().await;
        compose(sample, &daemon, &["up", "-d"]);
        let home = tempfile::tempdir().expect("a data directory");
        let config = Config {
            listen: "127.0.0.1:0".parse().expect("an address"),
            data_dir: home.path().to_owned(),
            docker_host: daemon.host(),
            timezone: Some("UTC".to_owned()),
            metrics: Metrics::Open,
            admin: Some(FirstAdmin { name: ADMIN.to_owned(), password: SecretString::from(PASSWORD) }),
            ..Config::default()
        };
        // reqwest needs a TLS provider even for plain HTTP.
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
            sample,
            address,
            token: String::new(),
            session: String::new(),
            // Moving the clock ends idle connections, so none are kept.
            http: reqwest::Client::builder()
                .pool_max_idle_per_host(0)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("a client"),
            stop,
            served: Some(served),
            home,
        };
        site.log_in().await;
        wait::until("the stack is known", PATIENCE, async || site.stack().await["status"].is_string()).await;
        site
    }

    /// The database of the program, opened beside it.
    pub async fn database(&self) -> Db {
        Db::open_sqlite(&self.home.path().join("docknap.db"), Durability::Full).await.expect("SQLite opens")
    }

    /// Base URL of the program.
    pub fn address(&self) -> &str {
        &self.address
    }

    async fn log_in(&mut self) {
        let login = json!({"username": ADMIN, "password": PASSWORD});
        let (status, body) = self.call("POST", "/api/auth/login", Some(login)).await;
        assert_eq!(status, 200, "{body}");
        body["token"].as_str().expect("a token").clone_into(&mut self.token);
    }

    /// Logs a browser in, for [`Site::page`].
    pub async fn open_browser(&mut self) {
        let fields = [("name", ADMIN), ("password", PASSWORD)];
        let login = self.http.post(format!("{}/login", self.address)).header(ORIGIN, &self.address);
        let answer = login.form(&fields).send().await.expect("it answers");
        assert_eq!(answer.status(), 303);
        let cookies = answer.headers().get_all(SET_COOKIE).iter();
        let pairs = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
        self.session = pairs.collect::<Vec<_>>().join("; ");
    }

    /// Opens a page in the browser; fails the test if that is refused.
    pub async fn page(&self, path: &str) -> SeenPage {
        let request = self.http.get(format!("{}{path}", self.address)).header(COOKIE, &self.session);
        self.seen(path, request).await
    }

    /// Submits a form of a page in the browser and returns the page that it answers.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> SeenPage {
        let request = self.http.post(format!("{}{path}", self.address)).header(COOKIE, &self.session);
        self.seen(path, request.header(ORIGIN, &self.address).form(fields)).await
    }

    async fn seen(&self, path: &str, request: reqwest::RequestBuilder) -> SeenPage {
        let answer = request.send().await.expect("it answers");
        let status = answer.status();
        let html = answer.text().await.expect("a body");
        assert!(status.is_success() || status.is_redirection(), "{path}: {status} {html}");
        SeenPage(html)
    }

    /// Calls the API. Returns status and body; the body is null if it is not JSON.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
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

    /// The JSON body of a GET request; fails the test if the status is not 200.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The sample's stack as returned by the API; null if it is not known.
    pub async fn stack(&self) -> Value {
        let path = format!("/api/stacks/local/{}", self.sample.project);
        let (status, stack) = self.call("GET", &path, None).await;
        if status == 200 { stack } else { Value::Null }
    }

    /// The metrics, as Prometheus reads them.
    pub async fn metrics(&self) -> String {
        self.page("/metrics").await.0
    }

    /// The state of a host's connection as returned by the API.
    pub async fn link(&self, host: &str) -> Value {
        self.get(&format!("/api/hosts/{host}")).await["link"].clone()
    }

    /// Adds a host, waits until it is connected, and until `count` containers of it are known.
    pub async fn add_host(&self, id: &str, body: Value, count: u64) {
        let (status, made) = self.call("POST", "/api/hosts", Some(body)).await;
        assert_eq!((status, &made["id"]), (201, &json!(id)), "{made}");
        self.until_connected(id).await;
        wait::until("its containers are known", PATIENCE, async || {
            self.get(&format!("/api/hosts/{id}")).await["containers"] == json!(count)
        })
        .await;
    }

    /// Waits until a host is connected; each look ends the back-off, as “Connect now” does.
    pub async fn until_connected(&self, host: &str) {
        wait::until(&format!("{host} is connected"), PATIENCE, async || {
            if !self.session.is_empty() {
                self.submit("/needs/hosts", &[("back", "/hosts")]).await;
            }
            self.link(host).await == "connected"
        })
        .await;
    }

    /// Waits until a host is found unreachable, while time goes by four times as fast: a call to an Engine that does
    /// not answer takes 10 s.
    pub async fn until_unreachable(&self, host: &str) {
        wait::until(&format!("{host} is unreachable"), PATIENCE, async || {
            self.hasten();
            self.link(host).await == "unreachable"
        })
        .await;
    }

    /// Moves the clock on by three times the pause between two looks.
    fn hasten(&self) {
        self.clock.advance(wait::PAUSE * 3);
    }

    /// Waits until the stack has this status.
    pub async fn until_stack(&self, status: &str) {
        wait::until(&format!("the stack is {status}"), PATIENCE, async || {
            self.stack().await["status"] == status
        })
        .await;
    }

    /// Waits until the inventory contains a container.
    pub async fn known(&self, name: &str) {
        wait::until("the container is known", PATIENCE, async || !self.shown(name).await.is_null()).await;
    }

    /// A container as returned by the API; null if it is not known.
    pub async fn shown(&self, name: &str) -> Value {
        let all = self.get("/api/containers").await;
        let mut all = all.as_array().expect("a list").iter();
        all.find(|container| container["name"] == name).cloned().unwrap_or_default()
    }

    /// Sends a POST request that submits a run, waits for its end and returns it.
    pub async fn act(&self, path: &str) -> Value {
        let (status, body) = self.call("POST", path, None).await;
        assert_eq!(status, 202, "{path}: {body}");
        self.ended(body["run_id"].as_str().expect("a run")).await
    }

    /// Waits for the end of a run and returns it.
    pub async fn ended(&self, run: &str) -> Value {
        let path = format!("/api/runs/{run}");
        wait::until("the run ends", PATIENCE, async || !self.get(&path).await["finished_at"].is_null()).await;
        self.get(&path).await
    }

    /// As [`Site::ended`], while time goes by four times as fast, so that waits before another try end.
    pub async fn ended_in_haste(&self, run: &str) -> Value {
        let path = format!("/api/runs/{run}");
        wait::until("the run ends", PATIENCE, async || {
            self.hasten();
            !self.get(&path).await["finished_at"].is_null()
        })
        .await;
        self.get(&path).await
    }

    /// Creates a schedule and returns it. The target is the sample's stack unless `fields` names another.
    pub async fn schedule(&self, fields: Value) -> Value {
        let mut body = json!({"target_type": "stack", "target_id": self.sample.project, "enabled": true});
        let given = fields.as_object().expect("fields").clone();
        body.as_object_mut().expect("an object").extend(given);
        let (status, schedule) = self.call("POST", "/api/schedules", Some(body)).await;
        assert_eq!(status, 201, "{schedule}");
        schedule
    }

    /// All runs, newest first.
    pub async fn runs(&self) -> Vec<Value> {
        self.get("/api/runs").await["items"].as_array().expect("a list").clone()
    }

    /// Moves the clock to an instant.
    pub async fn move_to(&mut self, instant: Timestamp) {
        self.clock.set_wall(instant);
        // The old token may have expired: a login lasts 12 h.
        self.log_in().await;
    }

    /// Moves the clock to the next fire of a schedule, waits for its run to end and returns the run.
    pub async fn at(&mut self, schedule: &Value) -> Value {
        let id = schedule["id"].as_str().expect("an id");
        let schedule = self.get(&format!("/api/schedules/{id}")).await;
        let next: Timestamp = schedule["next_at"].as_str().expect("an instant").parse().expect("an instant");
        self.move_to(next).await;
        let run = self
            .until_run("the schedule fires", |run| {
                run["schedule_id"] == schedule["id"] && run["fire_at"] == schedule["next_at"]
            })
            .await;
        self.ended(run["id"].as_str().expect("an id")).await
    }

    /// Waits for a run that matches `is_it` and returns it.
    pub async fn until_run(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        wait::until(what, PATIENCE, async || self.runs().await.iter().any(&is_it)).await;
        self.runs().await.into_iter().find(is_it).expect("a run")
    }

    /// Output of a docker command.
    pub fn docker(&self, arguments: &[&str]) -> String {
        docker(&self.daemon, arguments)
    }

    /// State of a container according to Docker.
    pub fn state(&self, container: &str) -> String {
        self.docker(&["inspect", "--format", "{{.State.Status}}", container])
    }

    /// Runs docker-compose on the sample.
    pub fn compose(&self, arguments: &[&str]) {
        compose(self.sample, &self.daemon, arguments);
    }

    /// Stops the program in an orderly way and removes the sample's containers.
    pub async fn finish(mut self) {
        self.stop.cancel();
        let served = self.served.take().expect("it serves");
        served.await.expect("it ends by itself").expect("in an orderly way");
        self.compose(&["down", "-t", "1"]);
    }
}

/// The HTML of a page.
#[derive(Debug)]
pub struct SeenPage(String);

impl SeenPage {
    /// The text of each element that matches a selector.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let document = Html::parse_document(&self.0);
        document.select(&selector).map(|one| words(one.text().collect::<Vec<_>>().join(" "))).collect()
    }

    /// As [`SeenPage::texts`], joined by spaces.
    pub fn text(&self, selector: &str) -> String {
        self.texts(selector).join(" ")
    }
}

/// Runs docker-compose on a sample on any Engine.
pub fn compose(sample: Sample, daemon: &Daemon, arguments: &[&str]) {
    let output = Command::new("docker-compose")
        .args(["-p", sample.project, "-f"])
        .arg(sample.path())
        .args(arguments)
        .env("DOCKER_HOST", daemon.host())
        .env("BILLING_IMAGE", IMAGE)
        .output()
        .expect("docker-compose of the package docker-compose");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Output of a docker command on any Engine.
pub fn docker(daemon: &Daemon, arguments: &[&str]) -> String {
    let output =
        Command::new("docker").arg("--host").arg(daemon.host()).args(arguments).output().expect("docker");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Container and state of each step of a run, in order of the steps.
pub fn steps(run: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let steps = run["steps"].as_array().expect("steps");
    steps.iter().map(|step| (text(&step["container"]), text(&step["state"]))).collect()
}
