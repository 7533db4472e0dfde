//! The address of a host and its certificates: what is wrong with them, in words, at the field.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docknap::clock::Clock;
use docknap::docker::{Address, AddressFault, CertificateRole, Endpoint, TlsSource};
use jiff::{SignedDuration, Timestamp};

use crate::support::pki::{Authority, CLIENT, Issued, openssl};

/// The clock of the machine, by which openssl dates certificates.
pub fn now() -> Timestamp {
    Clock::system().now()
}

pub fn texts(ca: &str, identity: Option<(&str, &str)>) -> TlsSource {
    let identity = identity.map(|(cert, key)| (cert.to_owned(), key.to_owned().into()));
    TlsSource::Texts { ca: ca.to_owned(), identity }
}

pub fn files(authority: &Authority, client: &Issued) -> TlsSource {
    TlsSource::Files { ca: authority.ca(), identity: Some((client.cert.clone(), client.key.clone())) }
}

pub fn address(endpoint: &str, tls: Option<TlsSource>) -> Address {
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
        "ca: the certificate of the authority is missing",
        "cert: the client certificate holds no certificate",
        "key: the private key of the client certificate is missing",
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
        assert!(
            fault.starts_with("key: the private key of the client certificate ") && fault.contains(words),
            "{fault}"
        );
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
    let indented = |text: &str| text.lines().flat_map(|line| ["    ", line, "\n"]).collect::<String>();
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
    assert!(both[0].starts_with("ca: the certificate of the authority expired on "), "{both:?}");
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
    assert!(faults(&bundle, latest)[0].starts_with("ca: the certificate of the authority expired on "));
}
