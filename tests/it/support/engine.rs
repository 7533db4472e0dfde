//! A real Docker Engine for a test, and a client that shows what bollard hides (204 and 304 look alike to it).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use bollard::Docker;
use docknap::clock::Clock;
use docknap::sim::DaemonEnd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The image of every container of the tests: `FROM scratch` and a static busybox.
pub const IMAGE: &str = "docknap-test/busybox:1";

/// Socket of the real Engine the tests may use.
///
/// # Panics
/// When there is none: nothing is skipped silently.
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

/// Builds [`IMAGE`] unless the Engine has it.
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
        // The older builder is part of the Engine; the newer one has to be installed.
        .env("DOCKER_BUILDKIT", "0")
        .output()
        .expect("the docker command");
    assert!(built.status.success(), "docker build: {}", String::from_utf8_lossy(&built.stderr));
}

/// An answer as it came over the socket.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header lines, lower case.
    pub head: String,
    /// Body, as sent.
    pub body: String,
}

impl Answer {
    /// The Engine's `message`, or an empty text.
    pub fn message(&self) -> String {
        let json = self.body.find('{').zip(self.body.rfind('}')).map(|(from, to)| &self.body[from..=to]);
        json.and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok())
            .and_then(|value| value["message"].as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// Sends a request without a body; the connection stays open until the answer is read, or it is dropped.
pub async fn send(socket: &Path, method: &str, path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).await.expect("the Engine listens");
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the Engine reads");
    stream
}

/// Sends a request and reads the whole answer.
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

/// A Docker Engine of a test's own, for those that stop or kill it. Needs root; everything it leaves is in one
/// directory and one bridge, and goes with it.
pub struct Daemon {
    directory: tempfile::TempDir,
    bridge: String,
    /// Addresses of the networks made on it.
    pool: String,
    child: Option<Child>,
    clock: Clock,
}

/// Longest wait for a daemon to answer; after a crash its first try may end because containerd is still going down.
const START: Duration = Duration::from_secs(60);
const TRIES: usize = 3;

impl Daemon {
    /// Starts one, with [`IMAGE`] in it.
    pub async fn start() -> Self {
        // Bridge and subnet of this process's own, so that several tests may run at once.
        let number = std::process::id();
        let bridge = format!("dnt{number}");
        let subnet = format!("172.30.{}.1/24", number % 254 + 1);
        let pool = format!("base=172.29.{}.0/24,size=26", number % 254 + 1);
        run("ip", &["link", "add", "name", &bridge, "type", "bridge"]);
        run("ip", &["addr", "add", &subnet, "dev", &bridge]);
        run("ip", &["link", "set", &bridge, "up"]);
        let directory = tempfile::tempdir().expect("a directory for the daemon");
        let mut daemon = Self { directory, bridge, pool, child: None, clock: Clock::system() };
        daemon.up().await;
        ensure_image(&crate::support::sim::connect(&daemon.host()), &daemon.socket()).await;
        daemon
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    /// Its socket as `DOCKER_HOST` wants it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Ends it: asked to (it ends its containers first), or killed.
    pub fn down(&mut self, end: DaemonEnd) {
        let Some(mut child) = self.child.take() else { return };
        match end {
            DaemonEnd::Graceful => run("kill", &["-TERM", &child.id().to_string()]),
            DaemonEnd::Crash => child.kill().expect("it is ours"),
        }
        child.wait().expect("it ends");
    }

    /// Starts it again and waits until it answers.
    pub async fn up(&mut self) {
        for _ in 0..TRIES {
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
                // Two daemons that rewrite the machine's rules at once trip over each other; nothing here needs any.
                .args(["--iptables=false", "--ip-masq=false"])
                .stdout(log.try_clone().expect("a second handle"))
                .stderr(log)
                .spawn()
                .expect("dockerd of the package docker.io");
            self.child = Some(child);
            if self.answers().await {
                return;
            }
        }
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        panic!("dockerd does not start:\n{log}");
    }

    /// Waits until it answers, or has ended.
    async fn answers(&mut self) -> bool {
        let until = self.clock.monotonic() + START;
        while self.clock.monotonic() < until {
            // It listens before it is ready, and may yet end.
            if self.socket().exists() && crate::support::sim::connect(&self.host()).ping().await.is_ok() {
                return true;
            }
            if self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_some())) {
                return false;
            }
            // Another program's start brings no event to wait for.
            self.clock.sleep(Duration::from_millis(100)).await;
        }
        false
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.down(DaemonEnd::Graceful);
        let _ = Command::new("ip").args(["link", "del", &self.bridge]).status();
        // A daemon that was killed leaves its mounts, and a directory with mounts cannot be removed.
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let ours = |mount: &&str| Path::new(mount).starts_with(self.directory.path());
        for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(ours) {
            let _ = Command::new("umount").args(["--lazy", mount]).status();
        }
    }
}

/// Runs a program that must succeed.
fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(
        status.as_ref().is_ok_and(ExitStatus::success),
        "{program} {arguments:?}: {status:?} (root is needed)"
    );
}
