//! Hosts that are reached by TLS: what is wrong with their certificates, and that renewed ones are used.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docknap::clock::Clock;
use docknap::docker::{Address, AddressFault, CertificateRole, DockerError, Endpoint, Settings, TlsSource};
use docknap::sim::World;
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::engine::{Daemon, IMAGE};
use crate::support::pki::{Authority, CLIENT, Issued, SERVER, openssl};
use crate::support::sim::Simulated;
use crate::support::tls::{TlsServer, plain};
use crate::support::watched::{Watched, eventually, settings};

/// The clock of the machine, by which openssl dates certificates.
fn now() -> Timestamp {
    Clock::system().now()
}

fn texts(ca: &str, identity: Option<(&str, &str)>) -> TlsSource {
    let identity = identity.map(|(cert, key)| (cert.to_owned(), key.to_owned().into()));
    TlsSource::Texts { ca: ca.to_owned(), identity }
}

fn files(authority: &Authority, client: &Issued) -> TlsSource {
    TlsSource::Files { ca: authority.ca(), identity: Some((client.cert.clone(), client.key.clone())) }
}

fn address(endpoint: &str, tls: Option<TlsSource>) -> Address {
    Address { endpoint: endpoint.to_owned(), tls, insecure: false }
}

/// The faults of this address, each as `field: message`.
fn faults(address: &Address, now: Timestamp) -> Vec<String> {
    let faults = Endpoint::open(address, now).err().unwrap_or_default();
    faults.into_iter().map(|AddressFault { field, message }| format!("{field}: {message}")).collect()
}

/// The one fault of the client's certificate or key, given as texts.
fn fault_of(ca: &str, cert: &str, key: &str) -> String {
    let found = faults(&address("tcp://nas", Some(texts(ca, Some((cert, key))))), now());
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().expect("one")
}

#[test]
fn an_address_is_taken_or_refused_at_its_field() {
    let authority = Authority::new("home");
    let tls = || Some(texts(&authority.ca_text(), None));
    for (given, tls, insecure, shown) in [
        ("unix:///run/user/1000/docker.sock", None, false, "unix:///run/user/1000/docker.sock"),
        (" tcp://nas:2376 ", tls(), false, "tcp://nas:2376"),
        ("tcp://nas", tls(), false, "tcp://nas:2376"),
        ("https://nas/docker/", tls(), false, "tcp://nas:2376/docker"),
        ("tcp://proxy", None, true, "tcp://proxy:2375"),
        ("tcp://[::1]:1", tls(), false, "tcp://[::1]:1"),
    ] {
        let address = Address { endpoint: given.to_owned(), tls, insecure };
        let endpoint = Endpoint::open(&address, now()).unwrap_or_else(|faults| panic!("{given}: {faults:?}"));
        assert_eq!(endpoint.to_string(), shown);
    }
    for (given, tls, insecure, field, words) in [
        ("", None, false, "endpoint", "is missing"),
        ("/run/docker.sock", None, false, "endpoint", "write unix:///run/docker.sock"),
        ("ssh://me@nas", None, false, "endpoint", "ssh -L /run/docknap/docker.sock:/var/run/docker.sock"),
        ("npipe:////./pipe/docker_engine", None, false, "endpoint", "Windows"),
        ("fd://", None, false, "endpoint", "fd://"),
        ("tcp://nas:0", tls(), false, "endpoint", "port"),
        ("tcp://na s", tls(), false, "endpoint", "name of the machine"),
        ("tcp://nas..home", tls(), false, "endpoint", "cannot be the name"),
        ("tcp://nas:2375", None, false, "insecure", "owns that machine"),
        ("tcp://nas:2376", tls(), true, "insecure", "leave this out"),
        ("https://nas", None, true, "ca", "authority"),
        ("unix:///run/docker.sock", tls(), false, "ca", "no TLS"),
    ] {
        let address = Address { endpoint: given.to_owned(), tls, insecure };
        let found = faults(&address, now());
        assert_eq!(found.len(), 1, "{given}: {found:?}");
        let fault = &found[0];
        assert!(fault.starts_with(&format!("{field}: ")) && fault.contains(words), "{given}: {fault}");
        assert!(!fault.contains("DOCKER_"), "{given}: {fault}");
    }
}

#[test]
fn every_field_tells_its_fault_at_once() {
    let found = faults(&address("tcp://nas:0", Some(texts("", Some(("hello", ""))))), now());
    let begins = [
        "endpoint: the port is wrong",
        "ca: the CA certificate is missing",
        "cert: the client certificate holds no certificate",
        "key: the client key is missing",
    ];
    assert_eq!(found.len(), begins.len(), "{found:?}");
    for (fault, begin) in found.iter().zip(begins) {
        assert!(fault.starts_with(begin), "{fault}");
    }
    let found = faults(&address("nas", Some(texts("hello", Some(("hello", "hello"))))), now());
    let fields: Vec<_> = found.iter().filter_map(|fault| fault.split(':').next()).collect();
    assert_eq!(fields, ["ca", "cert", "key"], "{found:?}");
    // What an empty form sends.
    let authority = Authority::new("home");
    let blank = texts(&authority.ca_text(), Some((" \r\n", "")));
    assert_eq!(faults(&address("tcp://nas", Some(blank)), now()), Vec::<String>::new());
}

#[test]
fn a_text_that_is_no_certificate_or_key_is_refused_in_words() {
    let authority = Authority::new("home");
    let (ca, client) = (authority.ca_text(), authority.issue("docknap", CLIENT));
    let (cert, key) = (client.cert_text(), client.key_text());
    let home = client.directory();
    let made = |arguments: &str| String::from_utf8(openssl(home, arguments)).expect("a text");
    let encrypted = made("pkey -in key.pem -aes256 -passout pass:secret");
    let legacy = made("ec -in key.pem -aes256 -passout pass:secret");
    let trusted = made("x509 -in cert.pem -trustout");
    let request = std::fs::read_to_string(home.join("request")).expect("a request");
    let joined = cert.lines().collect::<String>();
    let cut = &cert[..cert.len() / 2];
    let damaged = cert.replacen("MI", "M*", 1);
    let junk = "x".repeat(1024 * 1024);
    for (text, words) in [
        (key.as_str(), "holds a private key where a certificate belongs"),
        (&encrypted, "is encrypted"),
        (&request, "holds a request for a certificate"),
        (&trusted, "holds a section TRUSTED CERTIFICATE"),
        (&joined, "has lost its line breaks"),
        (cut, "is cut off: its line -----END CERTIFICATE----- is missing"),
        (&damaged, "is damaged"),
        (&junk, "is longer than 64 KiB"),
        ("hello", "holds no certificate"),
        ("\u{feff}", "is empty"),
        ("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n", "is not a certificate"),
        (&format!("{cert}{key}"), "holds a private key too"),
    ] {
        let fault = fault_of(&ca, text, &key);
        assert!(fault.starts_with("cert: the client certificate ") && fault.contains(words), "{fault}");
    }
    let openssh = "-----BEGIN OPENSSH PRIVATE KEY-----\naGVsbG8=\n-----END OPENSSH PRIVATE KEY-----";
    for (text, words) in [
        (cert.as_str(), "holds a certificate where its private key belongs"),
        (&encrypted, "is encrypted"),
        (&legacy, "is encrypted"),
        (openssh, "is a key for SSH"),
        (&format!("{key}{key}"), "holds several private keys"),
        (&made("pkey -in key.pem -pubout"), "holds a section PUBLIC KEY"),
        (&made("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp521r1"), "is of a kind"),
        (&key[..key.len() / 2], "is cut off"),
        (&authority.issue("other", CLIENT).key_text(), "do not belong together"),
    ] {
        let fault = fault_of(&ca, &cert, text);
        assert!(fault.starts_with("key: the client key ") && fault.contains(words), "{fault}");
        assert!(!fault.contains(key.lines().nth(1).expect("its text")), "no key in a message");
    }
    let fault = fault_of(&cert, &cert, &key);
    assert!(
        fault.starts_with("ca: ") && fault.contains("`docknap`, not the one of the authority"),
        "{fault}"
    );
}

#[test]
fn a_damaged_certificate_or_key_is_a_fault_or_taken_but_no_more() {
    let authority = Authority::new("home");
    let client = authority.issue("docknap", CLIENT);
    let (cert, key) = (client.cert_text(), client.key_text());
    let der = openssl(client.directory(), "x509 -in cert.pem -outform der");
    let pem = |der: &[u8]| {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
    };
    assert_eq!(
        faults(&address("tcp://nas", Some(texts(&pem(&der), None))), now()).len(),
        1,
        "of no authority"
    );
    let mut refused = 0;
    for at in 0..der.len() {
        let mut damaged = der.clone();
        damaged[at] ^= 0xff;
        for der in [&damaged[..], &der[..at]] {
            let found = faults(&address("tcp://nas", Some(texts(&pem(der), Some((&pem(der), &key))))), now());
            refused += usize::from(found.iter().any(|fault| fault.starts_with("cert: ")));
        }
        let cut = key.get(..at).unwrap_or(&key);
        let found =
            faults(&address("tcp://nas", Some(texts(&authority.ca_text(), Some((&cert, cut))))), now());
        assert_eq!(found.len(), usize::from(cut.trim() != key.trim()), "{cut}: {found:?}");
    }
    assert!(refused > der.len(), "{refused} of {}", 2 * der.len());
}

#[test]
fn what_pasting_adds_to_a_text_does_no_harm() {
    let authority = Authority::new("home");
    let client = authority.issue("docknap", CLIENT);
    let windows = |text: &str| format!("\u{feff}Bag Attributes\r\n{}", text.replace('\n', "\r\n"));
    let indented = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let parameters = openssl(client.directory(), "ecparam -name prime256v1");
    let parameters = String::from_utf8(parameters).expect("a text");
    let bundle = format!("{}{}", Authority::new("old").ca_text(), authority.ca_text());
    let chain = format!("{}{}", client.cert_text(), authority.ca_text());
    for (ca, cert, key) in [
        (windows(&authority.ca_text()), windows(&client.cert_text()), windows(&client.key_text())),
        (indented(&authority.ca_text()), indented(&client.cert_text()), indented(&client.key_text())),
        (bundle, chain, format!("{parameters}{}", client.key_text())),
    ] {
        let tls = texts(&ca, Some((&cert, &key)));
        assert_eq!(faults(&address("tcp://nas", Some(tls)), now()), Vec::<String>::new());
    }
    let chain = format!("{}{}", authority.ca_text(), client.cert_text());
    let fault = fault_of(&authority.ca_text(), &chain, &client.key_text());
    assert!(fault.starts_with("cert: ") && fault.contains("has to be the first"), "{fault}");
}

#[test]
fn dates_and_purpose_are_checked() {
    let authority = Authority::new("home");
    let ca = authority.ca_text();
    let refused = |issued: &Issued| fault_of(&ca, &issued.cert_text(), &issued.key_text());
    let expired = refused(&authority.issue_expired("docknap", CLIENT));
    assert!(expired.contains("cert: the client certificate expired on 2020-12-31"), "{expired}");
    let early = authority.issue_early("docknap", CLIENT);
    let shown = refused(&early);
    assert!(shown.contains("is not valid before 2090-01-01") && shown.contains("clock"), "{shown}");
    let server = refused(&authority.issue("nas", "extendedKeyUsage=serverAuth"));
    assert!(server.contains("cert: the client certificate is for servers only"), "{server}");

    let client = authority.issue("docknap", CLIENT);
    let tls = || Some(texts(&ca, Some((&client.cert_text(), &client.key_text()))));
    let later = now() + SignedDuration::from_hours(72);
    let both = faults(&address("tcp://nas", tls()), later);
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(both[0].starts_with("ca: the CA certificate expired on "), "{both:?}");
    assert!(both[1].starts_with("cert: the client certificate expired on "), "{both:?}");
    // Whoever stored it before still has a host, which cannot be reached.
    Endpoint::stored(&address("tcp://nas", tls())).expect("the address is right");

    let endpoint = Endpoint::open(&address("tcp://nas", tls()), now()).expect("it is right");
    let seen = endpoint.certificates();
    let shown: Vec<_> = seen.iter().map(|one| (one.role, one.subject.as_str())).collect();
    assert_eq!(shown, [(CertificateRole::Ca, "home"), (CertificateRole::Client, "docknap")]);
    for one in &seen {
        let age = now().duration_since(one.not_before).as_secs();
        let left = one.not_after.duration_since(now()).as_hours();
        assert!((0..300).contains(&age) && (47..=48).contains(&left), "{one:?}");
    }
}

#[test]
fn a_file_that_is_wrong_is_named() {
    let authority = Authority::new("home");
    let client = authority.issue("docknap", CLIENT);
    let source = || files(&authority, &client);
    assert_eq!(faults(&address("tcp://nas", Some(source())), now()), Vec::<String>::new());
    let home = client.directory();
    let binary = openssl(home, "x509 -in cert.pem -outform der");
    std::fs::write(&client.cert, binary).expect("written");
    std::fs::remove_file(&client.key).expect("removed");
    let found = faults(&address("tcp://nas", Some(source())), now());
    assert_eq!(found.len(), 2, "{found:?}");
    let path = client.cert.display();
    assert!(found[0].starts_with(&format!("cert: {path} is in binary form (DER")), "{found:?}");
    let path = client.key.display();
    assert!(
        found[1].starts_with(&format!("key: {path} does not exist; write the path as DockNap sees it")),
        "{found:?}"
    );
    std::fs::create_dir(&client.key).expect("a directory");
    let found = faults(&address("tcp://nas", Some(source())), now());
    assert!(found[1].ends_with("is not a file"), "{found:?}");
}

#[test]
fn a_bundle_may_hold_the_authority_of_yesterday() {
    let (old, new) = (Authority::new("old"), Authority::lasting("new", 30));
    let both = [old.ca_text(), new.ca_text()].concat();
    let bundle = address("tcp://nas", Some(texts(&both, None)));
    let later = now() + SignedDuration::from_hours(72);
    let endpoint = Endpoint::open(&bundle, later).unwrap_or_else(|faults| panic!("{faults:?}"));
    let shown: Vec<_> = endpoint.certificates().into_iter().map(|one| one.subject).collect();
    assert_eq!(shown, ["new"], "the one that lasts");
    let latest = now() + SignedDuration::from_hours(31 * 24);
    assert!(faults(&bundle, latest)[0].starts_with("ca: the CA certificate expired on "));
}

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
            "(`nas`, signed by `home`) was not signed by the CA certificate (`other`)",
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
        let words = "the client certificate (`docknap`, signed by `other` and not by the CA certificate)";
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
    assert!(reason.contains("if it expects TLS, give its CA certificate"), "{reason}");

    // What the Engine itself and nginx say, and a port on which something quite different listens.
    for (answer, over_tls, words) in [
        (
            "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
            false,
            "expects TLS: give its",
        ),
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n<html>The plain HTTP request was sent to HTTPS port</html>",
            false,
            "expects TLS: give its",
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
    assert!(plain.contains("expects TLS: give its CA certificate"), "{plain}");
    let name = with(nas, &nas.tls().authority, &nas.tls().client);
    let name = why(&Address { endpoint: format!("tcp://localhost:{}", nas.tls().port), ..name }).await;
    assert!(name.contains("for `127.0.0.1`, `engine.test`, not for `localhost`"), "{name}");
}
