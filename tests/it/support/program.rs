//! The real program as a separate process, with its log and a client of its API.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ORIGIN, SET_COOKIE};
use serde_json::{Value, json};

use super::wait;

/// Password of the first admin.
pub const PASSWORD: &str = "sleepy whales drift at night";
/// Longest wait for an action of the process.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running process; killed when the value is dropped.
pub struct Program {
    child: Child,
    port: u16,
    log: Arc<Mutex<String>>,
    http: reqwest::Client,
    token: String,
}

/// The settings of every test: data directory, Engine and admin. [`Program::start`] adds a free port.
pub fn settings(home: &Path, engine: &str) -> Vec<(String, String)> {
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        set("PATH", &std::env::var("PATH").unwrap_or_default()),
        set("DOCKNAP_DATA_DIR", &home.join("data").to_string_lossy()),
        set("DOCKER_HOST", engine),
        set("DOCKNAP_ADMIN_USERNAME", "ada"),
        set("DOCKNAP_ADMIN_PASSWORD", PASSWORD),
    ]
}

impl Program {
    /// Starts `command` with `settings` and returns at once.
    pub fn start(mut command: Command, settings: &[(String, String)]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a free port")
            .port();
        let mut child = command
            .env_clear()
            .envs(settings.iter().cloned())
            .env("DOCKNAP_LISTEN", format!("127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (written, lines) = (Arc::clone(&log), child.stderr.take().expect("it is piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let mut log = written.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        // reqwest needs a TLS provider even for plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Self { child, port, log, http, token: String::new() }
    }

    /// The `docknap` binary without arguments.
    pub fn binary() -> Command {
        Command::new(env!("CARGO_BIN_EXE_docknap"))
    }

    /// Adds the viewer `bob` with this password through the command line.
    pub fn create_bob(settings: &[(String, String)], password: &str) {
        let mut child = Self::binary()
            .args(["user", "create", "bob", "--role", "viewer"])
            .env_clear()
            .envs(settings.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        std::io::Write::write_all(&mut stdin, format!("{password}\n").as_bytes()).expect("it reads");
        drop(stdin);
        let done = child.wait_with_output().expect("it ends");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the log contains a text.
    pub async fn says(&self, text: &str) {
        wait::until(&format!("it says `{text}`"), PATIENCE, async || self.log().contains(text)).await;
    }

    /// Waits until the process serves, and logs in.
    pub async fn serves(&mut self) {
        self.says("serving on http://").await;
        let body = json!({"username": "ada", "password": PASSWORD});
        let (status, answer) = self.post("/api/auth/login", &body).await;
        assert_eq!(status, 200, "{answer}\n{}", self.log());
        answer["token"].as_str().expect("a token").clone_into(&mut self.token);
    }

    /// Logs a browser in and returns its cookie.
    pub async fn browser(&self) -> String {
        let login = self.http.post(self.url("/login")).header(ORIGIN, self.url(""));
        let answer = login.form(&[("name", "ada"), ("password", PASSWORD)]).send().await.expect("it answers");
        let cookies = answer.headers().get_all(SET_COOKIE).iter();
        let pairs: Vec<_> = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next()).collect();
        assert!(!pairs.is_empty(), "{}", answer.status());
        pairs.join("; ")
    }

    /// Address of the HTTP server.
    pub fn address(&self) -> std::net::SocketAddr {
        std::net::SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits until the process ends.
    pub async fn ends(&mut self) -> ExitStatus {
        let child = std::cell::RefCell::new(&mut self.child);
        wait::until("it ends", PATIENCE, async || {
            child.borrow_mut().try_wait().expect("it is ours").is_some()
        })
        .await;
        child.into_inner().wait().expect("it has ended")
    }

    /// Status, headers and body of a GET request; `None` if there is no response.
    pub async fn ask(&self, path: &str) -> Option<(u16, reqwest::header::HeaderMap, String)> {
        let answer = self.http.get(self.url(path)).bearer_auth(&self.token).send().await.ok()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Some((status, headers, answer.text().await.ok()?))
    }

    /// Status of a GET request; 0 if there is no response.
    pub async fn status(&self, path: &str) -> u16 {
        self.ask(path).await.map_or(0, |(status, ..)| status)
    }

    /// The JSON body of a GET request; fails the test if the status is not 200.
    pub async fn get(&self, path: &str) -> Value {
        let (status, _, text) = self.ask(path).await.expect("it answers");
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Status and body of a POST request.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, _, value) = self.post_whole(path, body).await;
        (status, value)
    }

    /// Status, headers and body of a POST request.
    pub async fn post_whole(&self, path: &str, body: &Value) -> (u16, reqwest::header::HeaderMap, Value) {
        let request = self.http.post(self.url(path)).bearer_auth(&self.token).json(body);
        let answer = request.send().await.expect("it answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.expect("a body");
        (status, headers, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of {}:\n{}", self.child.id(), self.log());
        }
    }
}
