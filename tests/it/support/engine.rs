//! A real Docker Engine for a test, and a client that shows what bollard hides (204 and 304 look alike to it).

use std::path::{Path, PathBuf};
use std::process::Command;

use bollard::Docker;
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
        "FROM scratch\nCOPY busybox /bin/busybox\nCMD [\"/bin/busybox\", \"sleep\", \"1000000\"]\n",
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
