//! A real Docker Engine for tests, and an HTTP client for details that bollard hides (it treats 204 and 304 alike).

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bollard::Docker;
use docknap::clock::Clock;
use docknap::sim::DaemonEnd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::support::pki::{Authority, CLIENT, Issued, SERVER};

/// Image of every container in the tests: `FROM scratch` with a static busybox.
pub const IMAGE: &str = "docknap-test/busybox:1";

/// Socket of the real Engine that tests may use.
///
/// # Panics
/// If none is set, because no test may be skipped silently.
pub fn socket() -> PathBuf {
    let host = std::env::var("DOCKNAP_TEST_DOCKER_HOST").unwrap_or_else(|_| {
        panic!(
            "DOCKNAP_TEST_DOCKER_HOST is not set: this test needs a real Docker Engine of its own. Run \
             scripts/test, which starts one, or set it to unix:///path/to/docker.sock of an Engine the tests may \
             fill with containers."
        )
    });
    let path = host.strip_prefix("unix://");
    PathBuf::from(path.unwrap_or_else(|| panic!("DOCKNAP_TEST_DOCKER_HOST={host} is not unix:///…")))
}

/// Builds [`IMAGE`] if the Engine does not have it.
pub async fn ensure_image(docker: &Docker, socket: &Path) {
    if docker.inspect_image(IMAGE).await.is_ok() {
        return;
    }
    let context = tempfile::tempdir().expect("a directory for the image");
    std::fs::copy("/bin/busybox", context.path().join("busybox"))
        .expect("/bin/busybox of the package busybox-static");
    std::fs::write(
        context.path().join("Dockerfile"),
        "FROM scratch\n\
         COPY busybox /bin/busybox\n\
         RUN [\"/bin/busybox\", \"sh\", \"-c\", \"busybox mkdir /tmp && busybox --install -s /bin\"]\n\
         CMD [\"/bin/busybox\", \"sleep\", \"1000000\"]\n",
    )
    .expect("a file in that directory");
    let built = Command::new("docker")
        .args(["--host", &format!("unix://{}", socket.display()), "build", "--quiet", "--tag", IMAGE])
        .arg(context.path())
        // The classic builder is part of the Engine; BuildKit's client has to be installed.
        .env("DOCKER_BUILDKIT", "0")
        .output()
        .expect("the docker command");
    assert!(built.status.success(), "docker build: {}", String::from_utf8_lossy(&built.stderr));
}

/// A response as received on the socket.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// Body as sent, including chunk sizes.
    pub body: String,
}

impl Answer {
    /// The `message` field of the body; empty if there is none.
    pub fn message(&self) -> String {
        let json = self.body.find('{').zip(self.body.rfind('}')).map(|(from, to)| &self.body[from..=to]);
        json.and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok())
            .and_then(|value| value["message"].as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// Sends a request without a body. The connection stays open until the returned stream is dropped.
pub async fn send(socket: &Path, method: &str, path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).await.expect("the Engine listens");
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the Engine reads");
    stream
}

/// Sends a request and reads the whole response.
pub async fn call(socket: &Path, method: &str, path: &str) -> Answer {
    let mut text = Vec::new();
    send(socket, method, path).await.read_to_end(&mut text).await.expect("the Engine answers");
    let text = String::from_utf8_lossy(&text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or_else(|| panic!("no status in {head:?}")),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// A Docker Engine for tests that stop or kill it. Needs root. All its files are in one directory, and it uses one
/// bridge; both are removed when the value is dropped.
pub struct Daemon {
    directory: tempfile::TempDir,
    bridge: String,
    /// Address pool of the networks created on it.
    pool: String,
    tls: Option<DaemonTls>,
    child: Option<Child>,
    clock: Clock,
}

/// The port of an Engine with `--tlsverify`, and the certificates that it takes.
pub struct DaemonTls {
    /// Signed the Engine's certificate, and every client's that it accepts.
    pub authority: Authority,
    /// A client that it accepts. The directory has `ca.pem`, `cert.pem` and `key.pem`, as `DOCKER_CERT_PATH` names it.
    pub client: Issued,
    pub port: u16,
    server: Issued,
}

impl DaemonTls {
    fn new() -> Self {
        let authority = Authority::new("engine");
        let client = authority.issue("docknap", CLIENT);
        let server = authority.issue("dockerd", SERVER);
        // Free until the daemon takes it: the system gives another one to whoever asks next.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        Self { authority, client, port, server }
    }

    /// The address in the form of `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    fn arguments(&self) -> Vec<String> {
        let files = [
            ("--tlscacert", self.authority.ca()),
            ("--tlscert", self.server.cert.clone()),
            ("--tlskey", self.server.key.clone()),
        ];
        let files = files.iter().map(|(name, path)| format!("{name}={}", path.display()));
        ["--tlsverify".to_owned(), format!("--host={}", self.host())].into_iter().chain(files).collect()
    }
}

/// Longest wait until a daemon is ready.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const START_ATTEMPTS: usize = 3;

impl Daemon {
    /// Starts a daemon and builds [`IMAGE`] on it.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// As [`Daemon::start`], and the daemon also listens on a port with TLS; see [`Daemon::tls`].
    pub async fn start_tls() -> Self {
        Self::start_with(Some(DaemonTls::new())).await
    }

    async fn start_with(tls: Option<DaemonTls>) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        // Bridge and subnet differ by process and within it, so that several tests, or daemons of one, may run at once.
        let (process, count) = (std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let bridge = format!("dnt{process}x{count}");
        let number = process + 101 * count;
        let subnet = format!("172.30.{}.1/24", free_subnet(number));
        let pool = format!("base=172.29.{}.0/24,size=26", number % 254 + 1);
        run("ip", &["link", "add", "name", &bridge, "type", "bridge"]);
        run("ip", &["addr", "add", &subnet, "dev", &bridge]);
        run("ip", &["link", "set", &bridge, "up"]);
        let directory = tempfile::tempdir().expect("a directory for the daemon");
        let mut daemon = Self { directory, bridge, pool, tls, child: None, clock: Clock::system() };
        daemon.up().await;
        ensure_image(&crate::support::sim::connect(&daemon.host()), &daemon.socket()).await;
        daemon
    }

    /// Path of the daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    /// The port with TLS.
    ///
    /// # Panics
    /// If the daemon was started without it.
    pub fn tls(&self) -> &DaemonTls {
        self.tls.as_ref().expect("Daemon::start_tls starts one with TLS")
    }

    /// The socket in the form of `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Stops the process without ending it: it takes connections, since the kernel does that, and answers nothing. It
    /// goes on with [`Daemon::thaw`], or when the value is dropped.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets the process go on after [`Daemon::freeze`].
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("the daemon runs");
        run("kill", &["-s", signal, &child.id().to_string()]);
    }

    /// Ends the daemon: by SIGTERM (it then ends its containers first) or by killing it.
    pub fn down(&mut self, end: DaemonEnd) {
        let Some(mut child) = self.child.take() else { return };
        // A frozen process would take no SIGTERM.
        run("kill", &["-s", "CONT", &child.id().to_string()]);
        match end {
            DaemonEnd::Graceful => run("kill", &["-TERM", &child.id().to_string()]),
            DaemonEnd::Crash => child.kill().expect("it is ours"),
        }
        child.wait().expect("it ends");
    }

    /// Starts the daemon and waits until it is ready. Retried, because the first start after a crash may fail while
    /// containerd is still shutting down.
    pub async fn up(&mut self) {
        for _ in 0..START_ATTEMPTS {
            let path = |name: &str| self.directory.path().join(name);
            let _ = std::fs::remove_file(path("pid"));
            let _ = std::fs::remove_file(self.socket());
            let log = std::fs::File::create(path("log")).expect("a log file");
            let child = Command::new("dockerd")
                .arg("--host")
                .arg(self.host())
                .arg("--exec-root")
                .arg(path("exec"))
                .arg("--data-root")
                .arg(path("data"))
                .arg("--pidfile")
                .arg(path("pid"))
                .args(["--bridge", &self.bridge, "--default-address-pool", &self.pool])
                // Two daemons that change the machine's firewall rules at once disturb each other; these tests need
                // no rules.
                .args(["--iptables=false", "--ip-masq=false"])
                .args(self.tls.iter().flat_map(DaemonTls::arguments))
                .stdout(log.try_clone().expect("a second handle"))
                .stderr(log)
                .spawn()
                .expect("dockerd of the package docker.io");
            self.child = Some(child);
            if self.becomes_ready().await {
                return;
            }
        }
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        panic!("dockerd does not start:\n{log}");
    }

    /// Waits until the daemon responds. Returns false if it ended or the time ran out.
    async fn becomes_ready(&mut self) -> bool {
        let until = self.clock.monotonic() + START_TIMEOUT;
        while self.clock.monotonic() < until {
            // The socket exists before the daemon is ready, and the daemon may still end.
            if self.socket().exists() && crate::support::sim::connect(&self.host()).ping().await.is_ok() {
                return true;
            }
            if self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_some())) {
                return false;
            }
            // There is no event for the start of another program.
            self.clock.sleep(Duration::from_millis(100)).await;
        }
        false
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.down(DaemonEnd::Graceful);
        let _ = Command::new("ip").args(["link", "del", &self.bridge]).status();
        // A killed daemon leaves mounts, and a directory with mounts cannot be removed.
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let ours = |mount: &&str| Path::new(mount).starts_with(self.directory.path());
        for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(ours) {
            let _ = Command::new("umount").args(["--lazy", mount]).status();
        }
    }
}

/// The number N of a 172.30.N.0/24 to which no route leads, looked for from here on: an Engine that was killed leaves
/// its bridge, and of two bridges of one subnet the second is not reached.
fn free_subnet(from: u32) -> u32 {
    let routes =
        Command::new("ip").args(["-4", "route", "show"]).output().expect("ip of the package iproute2");
    let routes = String::from_utf8_lossy(&routes.stdout).into_owned();
    let free = |number: &u32| !routes.lines().any(|route| route.starts_with(&format!("172.30.{number}.")));
    let free = (0..256).map(|step| (from + step) % 256).find(free);
    free.expect("a free subnet of 172.30.0.0/16; delete bridges that no Engine uses: ip link del NAME")
}

/// Runs a program; fails the test if that fails.
fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(
        status.as_ref().is_ok_and(ExitStatus::success),
        "{program} {arguments:?}: {status:?} (root is needed)"
    );
}
