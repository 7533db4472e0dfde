//! A real proxy in front of an Engine: haproxy, as socket proxies use it.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::wait;

/// Longest wait until haproxy listens.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// haproxy in front of the socket of an Engine; ended when the value is dropped.
pub struct Haproxy {
    directory: tempfile::TempDir,
    child: Option<Child>,
    /// The port of each frontend, in the order in which they were added.
    ports: Vec<u16>,
}

/// One port of haproxy.
#[derive(Default)]
pub struct Frontend<'a> {
    /// What follows address and port of the line `bind`, such as the certificate.
    pub bind: &'a str,
    /// Further lines, such as what is refused.
    pub lines: &'a [&'a str],
}

impl Haproxy {
    /// Starts it with these ports and waits until it listens.
    pub async fn start(socket: &Path, frontends: &[Frontend<'_>]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let admin = directory.path().join("admin.sock");
        let mut text = format!(
            "global\n stats socket {} level admin\n tune.ssl.default-dh-param 2048\ndefaults\n mode http\n timeout \
             connect 5s\n timeout client 10m\n timeout server 10m\nbackend engine\n server engine unix@{}\n",
            admin.display(),
            socket.display()
        );
        let mut ports = Vec::new();
        for (number, frontend) in frontends.iter().enumerate() {
            // Free until haproxy takes it: the system gives another one to whoever asks next.
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
            let port = free.expect("a port").port();
            ports.push(port);
            let _ = writeln!(text, "frontend f{number}\n bind 127.0.0.1:{port} {}", frontend.bind);
            for line in frontend.lines {
                let _ = writeln!(text, " {line}");
            }
            text.push_str(" default_backend engine\n");
        }
        std::fs::write(directory.path().join("settings"), text).expect("written");
        let mut proxy = Self { directory, child: None, ports };
        proxy.up().await;
        proxy
    }

    /// Starts it again, on the same ports, after [`Haproxy::down`].
    pub async fn up(&mut self) {
        let log = std::fs::File::create(self.directory.path().join("log")).expect("a log file");
        let child = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(self.directory.path().join("settings"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("haproxy of the package haproxy");
        self.child = Some(child);
        let child = std::cell::RefCell::new(self.child.as_mut().expect("it was started"));
        wait::until("haproxy listens", START_TIMEOUT, async || {
            let ended = child.borrow_mut().try_wait().expect("it is ours");
            let log = || std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "haproxy ended: {}", log());
            self.ports.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
        })
        .await;
    }

    /// Ends it with every connection.
    pub fn down(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
    }

    /// Cuts every connection to the Engine, as haproxy does after its time limits.
    pub async fn cut(&self) {
        let mut stream =
            UnixStream::connect(self.directory.path().join("admin.sock")).await.expect("it listens");
        stream.write_all(b"shutdown sessions server engine/engine\n").await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        assert_eq!(answer.trim(), "");
    }

    /// The address of a port in the form of `DOCKER_HOST`.
    pub fn address(&self, number: usize) -> String {
        format!("tcp://127.0.0.1:{}", self.ports[number])
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        self.down();
    }
}
