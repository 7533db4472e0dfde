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
async fn what_a_refusal_says_goes_through_in_whatever_form_it_comes() {
    for (answer, words) in [
        (json("500 Internal Server Error", r#"{"message":"driver failed"}"#), "driver failed"),
        (json("500 Internal Server Error", r#"{"error":"driver failed"}"#), "driver failed"),
        (http("500 Internal Server Error", "text/plain", "driver failed\n"), "driver failed"),
        (http("400 Bad Request", "text/plain", "client version 1.99 is too new\n"), "1.99 is too new"),
    ] {
        let parrot = Parrot::says(answer.as_str());
        let errors = [parrot.host.pause("x").await.map(drop), parrot.host.usage("x").await.map(drop)];
        for error in errors {
            let error = error.expect_err("a refusal").to_string();
            assert!(error.contains(words), "{error}: {answer}");
        }
    }
}

#[tokio::test]
async fn an_answer_in_pieces_is_put_together() {
    let body = ["{\"Id\":\"a\",\"Name\":\"/w", "eb\",\"State\":{\"Status\":\"runn", "ing\",\"Phase\":1}}"];
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

/// Answers each request with a head and then with the same piece again and again, until nobody listens: how much was
/// taken.
struct Endless {
    host: Arc<Host>,
    taken: Arc<std::sync::atomic::AtomicUsize>,
    _directory: tempfile::TempDir,
    _task: AbortOnDropHandle<()>,
}

impl Endless {
    fn says(head: &str, piece: Vec<u8>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("endless.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let taken = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (head, counted) = (head.to_owned(), Arc::clone(&taken));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.expect("a request"));
                }
                let mut open = stream.write_all(head.as_bytes()).await;
                while open.is_ok() {
                    open = stream.write_all(&piece).await;
                    counted.fetch_add(piece.len(), std::sync::atomic::Ordering::Relaxed);
                }
            }
        });
        let settings = settings(&format!("unix://{}", path.display()));
        let host = Host::new(HostId::local(), settings, Clock::system());
        Self { host, taken, _directory: directory, _task: AbortOnDropHandle::new(task) }
    }

    fn taken(&self) -> usize {
        self.taken.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_refusal_without_end_is_read_to_its_first_lines() {
    for status in ["500 Internal Server Error", "404 Not Found", "409 Conflict"] {
        let engine =
            Endless::says(&format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n"), vec![b'x'; 16 * 1024]);
        let host = &engine.host;
        let answers = [
            host.ping().await,
            host.start("x").await.map(drop),
            host.stop("x", None, 1).await.map(drop),
            host.restart("x", None, 1).await.map(drop),
            host.pause("x").await.map(drop),
            host.unpause("x").await.map(drop),
            host.last_lines("x").await.map(drop),
            host.usage("x").await.map(drop),
        ];
        for answer in &answers {
            assert!(!matches!(answer, Ok(()) | Err(DockerError::TimedOut)), "{status}: {answer:?}");
        }
        assert!(engine.taken() < answers.len() * 4 * 1024 * 1024, "{status}: {}", engine.taken());
    }
}

#[tokio::test]
async fn a_sign_of_life_is_one_however_much_comes_with_it() {
    let engine = Endless::says("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", vec![b'x'; 64 * 1024]);
    engine.host.ping().await.expect("it answered");
    assert!(engine.taken() < 16 * 1024 * 1024, "{}", engine.taken());
}
