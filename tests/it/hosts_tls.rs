//! Hosts that are reached by TLS: what is wrong with a connection, and that renewed certificates are used.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::docker::{Address, CertificateRole, DockerError, Endpoint, Settings};
use docknap::sim::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::hosts_addresses::{address, files, now, texts};
use crate::support::engine::{Daemon, IMAGE};
use crate::support::pki::{Authority, CLIENT, Issued, SERVER, openssl};
use crate::support::sim::Simulated;
use crate::support::tls::{TlsServer, plain};
use crate::support::watched::{Watched, eventually, settings};

/// A host of this address, as it was stored before.
fn stored(address: &Address) -> Settings {
    let endpoint = Endpoint::stored(address).expect("the address is right");
    Settings { endpoint, ..settings("unix:///unused") }
}

/// Why this host cannot be reached, at once.
async fn why(address: &Address) -> String {
    let reason = Watched::with(stored(address), Clock::system()).unreachable().await;
    assert!(!reason.contains("DOCKER_"), "{reason}");
    reason
}

#[tokio::test]
async fn a_certificate_of_the_engine_that_is_wrong_is_described() {
    let sim = Simulated::start(Clock::system(), World::new().many(1, 1)).await;
    let (home, namesake, other) = (Authority::new("home"), Authority::new("home"), Authority::new("other"));
    let right = home.issue("nas", SERVER);
    let self_signed = {
        let directory = right.directory();
        openssl(
            directory,
            "req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.pem -subj /CN=self -days 2 -addext \
             subjectAltName=IP:127.0.0.1",
        );
        Issued { cert: directory.join("self.pem"), key: directory.join("self.key") }
    };
    for (shown, ca, host, words) in [
        (
            &right,
            other.ca_text(),
            "127.0.0.1",
            "(`nas`, signed by `home`) was not signed by the certificate of the authority (`other`)",
        ),
        (&right, namesake.ca_text(), "127.0.0.1", "was the authority made anew?"),
        (
            &right,
            home.ca_text(),
            "localhost",
            "for another name than the one in Address: for `127.0.0.1`, `engine.test`, not for `localhost`",
        ),
        (&home.issue("nas", ""), home.ca_text(), "127.0.0.1", "subjectAltName=IP:127.0.0.1"),
        (
            &home.issue("nas", "keyUsage=digitalSignature"),
            home.ca_text(),
            "localhost",
            "subjectAltName=DNS:localhost",
        ),
        (&self_signed, self_signed.cert_text(), "127.0.0.1", "is the one of an authority itself"),
        (
            &home.issue_expired("nas", SERVER),
            home.ca_text(),
            "127.0.0.1",
            "it expired on 2020-12-31 23:59 UTC",
        ),
        (&home.issue_early("nas", SERVER), home.ca_text(), "127.0.0.1", "is not valid before 2090-01-01"),
        (
            &home.issue("nas", &format!("{SERVER}\n{CLIENT}")),
            home.ca_text(),
            "127.0.0.1",
            "is not for servers",
        ),
    ] {
        let server = TlsServer::start(shown, None, sim.control.socket()).await;
        let address = address(&format!("tcp://{host}:{}", server.port), Some(texts(&ca, None)));
        let reason = why(&address).await;
        assert!(reason.contains(words) && reason.starts_with(&address.endpoint), "{reason}");
    }
}

#[tokio::test]
async fn an_engine_that_refuses_the_client_certificate_is_described() {
    let sim = Simulated::start(Clock::system(), World::new().many(1, 1)).await;
    let (home, other) = (Authority::new("home"), Authority::new("other"));
    let shown = home.issue("nas", SERVER);
    let stranger = other.issue("docknap", CLIENT);
    let identity = |issued: &Issued| Some((issued.cert_text(), issued.key_text()));
    for server in [
        TlsServer::start(&shown, Some(&home), sim.control.socket()).await,
        TlsServer::start_old(&shown, Some(&home), sim.control.socket()).await,
    ] {
        let with = |identity: Option<(String, String)>| {
            let identity = identity.as_ref().map(|(cert, key)| (cert.as_str(), key.as_str()));
            address(&server.address(), Some(texts(&home.ca_text(), identity)))
        };
        let refused = why(&with(identity(&stranger))).await;
        let words = "the client certificate (`docknap`, signed by `other` and not by the certificate of the authority)";
        assert!(refused.contains(words), "{refused}");
        let demanded = why(&with(None)).await;
        assert!(demanded.contains("demands a client certificate"), "{demanded}");
        let right = Watched::with(stored(&with(identity(&home.issue("docknap", CLIENT)))), Clock::system());
        assert_eq!(right.connected().await.containers.len(), 1);
        let seen = right.host.certificates();
        let shown: Vec<_> = seen.iter().map(|one| (one.role, one.subject.as_str())).collect();
        let expected = [
            (CertificateRole::Ca, "home"),
            (CertificateRole::Client, "docknap"),
            (CertificateRole::Server, "nas"),
        ];
        assert_eq!(shown, expected);
    }
    // A CA alone is enough for an Engine that asks for nothing.
    let server = TlsServer::start(&shown, None, sim.control.socket()).await;
    let alone = address(&server.address(), Some(texts(&home.ca_text(), None)));
    Watched::with(stored(&alone), Clock::system()).connected().await;
}

#[tokio::test]
async fn a_port_of_the_other_kind_is_described() {
    let sim = Simulated::start(Clock::system(), World::new().many(1, 1)).await;
    let home = Authority::new("home");
    let tls = || Some(texts(&home.ca_text(), None));
    let port = plain(sim.control.socket()).await;
    let reason = why(&address(&format!("tcp://127.0.0.1:{port}"), tls())).await;
    assert!(reason.contains("does not speak TLS: use the port for TLS"), "{reason}");

    let server = TlsServer::start(&home.issue("nas", SERVER), None, sim.control.socket()).await;
    let bare = |port: u16| Address { insecure: true, ..address(&format!("tcp://127.0.0.1:{port}"), None) };
    let reason = why(&bare(server.port)).await;
    assert!(reason.contains("if it expects TLS, give the certificate of its authority"), "{reason}");

    // What the Engine itself and nginx say, and a port on which something quite different listens.
    for (answer, over_tls, words) in [
        (
            "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
            false,
            "expects TLS: give the certificate",
        ),
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n<html>The plain HTTP request was sent to HTTPS port</html>",
            false,
            "expects TLS: give the certificate",
        ),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", true, "does not speak TLS"),
        ("", true, "ends the handshake: is it the port on which Docker speaks TLS?"),
    ] {
        let port = answering(answer).await;
        let of_tls = address(&format!("tcp://127.0.0.1:{port}"), tls());
        let reason = why(&if over_tls { of_tls } else { bare(port) }).await;
        assert!(reason.contains(words), "{answer:?}: {reason}");
    }
}

/// A server that reads a little and writes this; the port.
async fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

#[tokio::test]
async fn a_machine_that_does_not_answer_is_described() {
    let home = Authority::new("home");
    let tls = || Some(texts(&home.ca_text(), None));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let reason = why(&address(&format!("tcp://127.0.0.1:{port}"), tls())).await;
    assert!(reason.contains(&format!("nobody listens on tcp://127.0.0.1:{port}")), "{reason}");

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("nas.sock").display().to_string();
    let socket = address(&format!("unix://{path}"), None);
    let reason = why(&socket).await;
    assert!(reason.contains("there is no socket at") && reason.contains("`ssh -L`"), "{reason}");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    let reason = why(&socket).await;
    assert!(reason.contains("nobody listens on") && reason.contains("`ssh -L`"), "{reason}");

    // Longer than any name may be, so that no name server is asked.
    let name = "nas.".repeat(70);
    let reason = why(&Address { insecure: true, ..address(&format!("tcp://{name}home:2375"), None) }).await;
    assert!(
        reason.contains("no machine or container is called `nas.") && reason.contains("check Address"),
        "{reason}"
    );

    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let greeted = async {
        let (mut stream, _) = silent.accept().await.expect("a connection");
        stream.read_exact(&mut [0; 16]).await.expect("it begins");
        stream
    };
    let address_of = |port: u16| address(&format!("tcp://127.0.0.1:{port}"), tls());
    let reason = after_the_time_for_connections(&address_of(port), greeted).await;
    assert!(reason.contains("takes connections, yet does not answer in TLS"), "{reason}");

    // The queue of this one is full, so that the system drops what else comes, as a firewall does.
    let full = TcpSocket::new_v4().expect("a socket");
    full.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let full = full.listen(0).expect("it listens");
    let there = full.local_addr().expect("an address");
    let _first = TcpStream::connect(there).await.expect("one fits");
    let _second = tokio::spawn(TcpStream::connect(there));
    let reason = after_the_time_for_connections(&address_of(there.port()), async {}).await;
    assert!(reason.contains("does not answer: is that machine on"), "{reason}");
}

/// Why this host cannot be reached, 8 s by its clock after it began to connect and `begun` came to be.
async fn after_the_time_for_connections<T>(address: &Address, begun: impl Future<Output = T>) -> String {
    let clock = Clock::frozen(now());
    let watched = Watched::with(stored(address), clock.clone());
    eventually("it calls", || watched.host.calls_made() > 0).await;
    let _held = begun.await;
    clock.advance(Duration::from_secs(8));
    watched.unreachable().await
}

#[tokio::test]
async fn renewed_files_are_used_at_the_next_connection() {
    let sim = Simulated::start(Clock::system(), World::new().many(1, 1)).await;
    let home = Authority::new("home");
    let server = TlsServer::start(&home.issue("nas", SERVER), Some(&home), sim.control.socket()).await;
    for of_environment in [false, true] {
        let client = home.issue("first", CLIENT);
        let settings = if of_environment {
            let endpoint =
                Endpoint::from_values(Some(&server.address()), Some("1"), client.directory().to_str());
            Settings { endpoint: endpoint.expect("it is right"), ..settings("unix:///unused") }
        } else {
            stored(&address(&server.address(), Some(files(&home, &client))))
        };
        let clock = Clock::system();
        let watched = Watched::with(settings, clock.clone());
        let container = watched.connected().await.containers[0].id.clone();
        let call = async || watched.host.inspect(&container).await.map(|found| found.is_some());
        let der = |issued: &Issued| openssl(issued.directory(), "x509 -in cert.pem -outform der");
        let first = der(&client);
        call().await.expect("it answers");
        server.visits();
        assert_eq!(call().await, Ok(true));
        let visits = server.visits();
        assert!(
            !visits.is_empty() && visits.iter().all(|one| one.resumed && one.shows(&first)),
            "{visits:?}"
        );

        let second = home.issue("second", CLIENT);
        write(&client.cert, &second.cert_text()[..100]);
        let error = call().await.expect_err("half a certificate");
        assert!(reason(&error).contains("cert.pem is cut off"), "{error:?}");
        write(&client.cert, &second.cert_text());
        let error = call().await.expect_err("the key is still the old one");
        assert!(reason(&error).contains("do not belong together"), "{error:?}");
        write(&client.key, &second.key_text());
        assert_eq!(call().await, Ok(true));
        let (visits, second) = (server.visits(), der(&second));
        assert!(visits.iter().all(|one| one.shows(&second)), "{visits:?}");
        assert!(visits.iter().any(|one| !one.resumed), "a new session at first: {visits:?}");
        let subjects: Vec<_> = watched.host.certificates().into_iter().map(|one| one.subject).collect();
        assert_eq!(subjects, ["home", "second", "nas"]);

        clock.advance(Duration::from_secs(3 * 86_400));
        let error = call().await.expect_err("out of date");
        let words = reason(&error);
        assert!(words.contains("ca.pem expired on") && words.contains("cert.pem expired on"), "{words}");
    }
}

#[tokio::test]
async fn no_session_outlasts_the_certificate_of_the_engine() {
    let sim = Simulated::start(Clock::system(), World::new().many(1, 1)).await;
    let home = Authority::new("home");
    let server = TlsServer::start(&home.issue_for_a_day("nas", SERVER), None, sim.control.socket()).await;
    let clock = Clock::system();
    let watched =
        Watched::with(stored(&address(&server.address(), Some(texts(&home.ca_text(), None)))), clock.clone());
    let container = watched.connected().await.containers[0].id.clone();
    let call = async || watched.host.inspect(&container).await.map(|found| found.is_some());
    server.visits();
    assert_eq!(call().await, Ok(true));
    assert!(server.visits().iter().all(|visit| visit.resumed));
    clock.advance(Duration::from_secs(36 * 3600));
    server.visits();
    // By the clock of the system, which rustls reads, the certificate is still good.
    assert_eq!(call().await, Ok(true));
    assert!(server.visits().iter().any(|visit| !visit.resumed), "the certificate is verified anew");
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}

fn reason(error: &DockerError) -> &str {
    match error {
        DockerError::Unreachable { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn two_engines_are_reached_by_tls_on_a_real_engine() {
    let daemons = [Daemon::start_tls().await, Daemon::start_tls().await];
    let [nas, vps] = &daemons;
    let with = |daemon: &Daemon, authority: &Authority, client: &Issued| {
        address(&daemon.tls().host(), Some(files(authority, client)))
    };
    for (daemon, name) in [(nas, "on-nas"), (vps, "on-vps")] {
        let created = Command::new("docker")
            .args(["--host", &daemon.host(), "run", "--detach", "--name", name, "--network", "none", IMAGE])
            .output()
            .expect("the docker CLI runs");
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        let address = with(daemon, &daemon.tls().authority, &daemon.tls().client);
        Endpoint::open(&address, now()).expect("nothing is wrong");
        let watched = Watched::with(stored(&address), Clock::system());
        let names: Vec<_> =
            watched.connected().await.containers.iter().map(|container| container.name.clone()).collect();
        assert_eq!(names, [name]);
        let id = watched.host.inventory().containers[0].id.clone();
        watched.host.stop(&id, Some(0), 0).await.expect("it stops");
        watched
            .until("the event comes through", |seen| seen.by_name(name).is_some_and(|one| !one.state.is_up()))
            .await;
        let roles: Vec<_> = watched.host.certificates().iter().map(|one| one.subject.clone()).collect();
        assert_eq!(roles, ["engine", "docknap", "dockerd"]);
    }
    // Both authorities have the same name.
    let wrong = why(&with(nas, &vps.tls().authority, &nas.tls().client)).await;
    assert!(wrong.contains("was not signed by") && wrong.contains("made anew"), "{wrong}");
    let refused = why(&with(nas, &nas.tls().authority, &vps.tls().client)).await;
    assert!(refused.contains("does not accept") && refused.contains("and not by"), "{refused}");
    let alone = texts(&nas.tls().authority.ca_text(), None);
    let demanded = why(&address(&nas.tls().host(), Some(alone))).await;
    assert!(demanded.contains("demands a client certificate"), "{demanded}");
    let plain = why(&Address { insecure: true, ..address(&nas.tls().host(), None) }).await;
    assert!(plain.contains("expects TLS: give the certificate of its authority"), "{plain}");
    let name = with(nas, &nas.tls().authority, &nas.tls().client);
    let name = why(&Address { endpoint: format!("tcp://localhost:{}", nas.tls().port), ..name }).await;
    assert!(name.contains("for `127.0.0.1`, `engine.test`, not for `localhost`"), "{name}");
}
