//! Answers that are odd, long, cut short or no answers at all, byte by byte.

use std::sync::Arc;

use docknap::clock::Clock;
use docknap::docker::{DockerError, Host, Usage};
use docknap::domain::ids::HostId;
use docknap::domain::inventory::ContainerState;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio_util::task::AbortOnDropHandle;

use crate::support::watched::settings;

/// Something that gives each request the same answer and hangs up.
struct Parrot {
    host: Arc<Host>,
    _directory: tempfile::TempDir,
    _task: AbortOnDropHandle<()>,
}

impl Parrot {
    fn says(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("parrot.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.expect("a request"));
                }
                // Who has heard enough hangs up first.
                drop(stream.write_all(&answer).await);
            }
        });
        let settings = settings(&format!("unix://{}", path.display()));
        let host = Host::new(HostId::local(), settings, Clock::system());
        Self { host, _directory: directory, _task: AbortOnDropHandle::new(task) }
    }
}

/// An answer as HTTP.
fn http(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn json(status: &str, body: &str) -> String {
    http(status, "application/json", body)
}

#[tokio::test]
async fn a_refusal_reads_the_same_whoever_reads_it() {
    let page = "<html><body><h1>403 Forbidden</h1>\nby administrative rules\n</body></html>";
    for answer in [
        json("404 Not Found", r#"{"message":"No such container: x"}"#),
        json("404 Not Found", r#"{"cause":"no such container","message":"no container x","response":404}"#),
        json("409 Conflict", r#"{"message":"container x is not running"}"#),
        json("500 Internal Server Error", r#"{"message":"driver failed"}"#),
        json("500 Internal Server Error", r#"{"error":"driver failed"}"#),
        json("400 Bad Request", r#"{"message":"client version 1.99 is too new"}"#),
        http("404 Not Found", "text/plain", "page not found\n"),
        http("403 Forbidden", "text/html", page),
        http("502 Bad Gateway", "text/html", "<h1>502 Bad Gateway</h1>"),
        http("503 Service Unavailable", "text/plain", ""),
        http("301 Moved Permanently", "text/html", "<a href=\"https://x/\">Moved</a>"),
        "HTTP/1.1 500 Oh\r\nContent-Length: 99\r\n\r\n{".to_owned(),
        "hello\r\n\r\n".to_owned(),
        String::new(),
    ] {
        let parrot = Parrot::says(answer.as_str());
        // The one is read by bollard, the other here.
        let theirs = parrot.host.pause("x").await.expect_err("a refusal");
        let ours = parrot.host.usage("x").await.expect_err("a refusal");
        let theirs = match theirs {
            DockerError::ProxyRefused { .. } => {
                DockerError::ProxyRefused { call: "GET /containers/x/stats".to_owned() }
            }
            DockerError::Refused { status, message } => {
                let message = message.replace("POST /containers/x/pause", "GET /containers/x/stats");
                DockerError::Refused { status, message }
            }
            other => other,
        };
        assert_eq!(ours, theirs, "{answer}");
    }
}

#[tokio::test]
async fn an_answer_in_pieces_is_put_together() {
    let body = ["{\"Id\":\"a\",\"Name\":\"/w", "eb\",\"State\":{\"Status\":\"runn", "ing\",\"Mood\":1}}"];
    let chunks = body.map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).concat();
    let parrot =
        Parrot::says(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"));
    let found = parrot.host.inspect("a").await.expect("an answer").expect("it is there");
    assert_eq!((found.name.as_str(), found.state), ("web", ContainerState::Running));
}

#[tokio::test]
async fn what_is_no_answer_of_docker_is_said_in_words() {
    let parrot = Parrot::says(json("200 OK", "<html>Router login</html>"));
    let error = parrot.host.inspect("a").await.expect_err("no answer").to_string();
    assert!(error.contains("answered GET /containers/a/json with something that is not Docker's"), "{error}");
    let early = "{\"Id\":\"a\"";
    let cut = format!("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{early}");
    for (answer, word) in [(cut, "before message length reached"), (json("200 OK", early), "broke off")] {
        let error = Parrot::says(answer).host.inspect("a").await.expect_err("it was cut short").to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_left_alone() {
    // A gigabyte is promised and 65 MiB come, of which no more than 64 are taken.
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n\"".to_vec();
    answer.resize(65 * 1024 * 1024, b'x');
    let error = Parrot::says(answer).host.inspect("a").await.expect_err("too long").to_string();
    assert!(error.contains("longer than any of Docker's"), "{error}");
}

#[tokio::test]
async fn an_empty_stream_of_samples_is_no_sample() {
    let parrot = Parrot::says(json("200 OK", ""));
    assert_eq!(parrot.host.usage("a").await, Ok(Usage::default()));
}
