//! The examples of other hosts and of rules in git as a user takes them: files, certificates and the image.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::{
    Api, IMAGE, Project, build_image, command, free_port, log_in, output, repository, socket, until,
};
use crate::docker_tls::forward;

/// Copies files of an example.
fn take(example: &str, files: &[&str], home: &Path) {
    for file in files {
        let from = repository().join("examples").join(example).join(file);
        std::fs::copy(&from, home.join(file)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
}

/// The example's command that makes certificates, in a directory of the test.
fn make_certificates(home: &Path, args: &str) -> Command {
    let mut make = command(repository().join("examples/tls-host/make-certificates"));
    make.current_dir(home).args(args.split(' '));
    make
}

fn openssl(home: &Path, args: &str) {
    output(command("openssl").current_dir(home).args(args.split(' ')));
}

/// Makes the project of an example, where a name is that of an address.
fn project(name: &'static str, home: &Path, named: &str, port: u16) -> Project {
    let names = format!("services:\n  docknap:\n    extra_hosts: [\"{named}\"]\n");
    std::fs::write(home.join("names.yaml"), names).expect("it can be written");
    let gid = std::fs::metadata(socket()).expect("the Engine's socket").gid();
    let env = vec![
        ("COMPOSE_FILE", "compose.yaml:names.yaml".to_owned()),
        ("DOCKNAP_IMAGE", IMAGE.to_owned()),
        ("DOCKNAP_PORT", port.to_string()),
        ("DOCKER_SOCKET", socket()),
        ("DOCKER_GID", gid.to_string()),
    ];
    Project { name, dir: home.to_owned(), env }
}

/// Forwards connections to any address of the machine to a port that only the machine itself reaches; the new port.
async fn open_to_containers(port: u16) -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let opened = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                // How it ends is the client's business.
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    opened
}

/// Waits until the links of all hosts are these, and answers the hosts.
async fn linked(api: &Api, links: &[(&str, &str)]) -> Vec<Value> {
    until(&format!("the hosts are {links:?}"), async || {
        let hosts = api.get("/api/hosts").await;
        let hosts = hosts["items"].as_array()?.clone();
        let shown: Vec<_> = hosts.iter().map(|host| (host["id"].as_str(), host["link"].as_str())).collect();
        let expected: Vec<_> = links.iter().map(|(id, link)| (Some(*id), Some(*link))).collect();
        (shown == expected).then_some(hosts)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificates_of_the_example_connect_an_engine_over_tls() {
    build_image();
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path();
    take("tls-host", &["compose.yaml"], home);
    output(&mut make_certificates(home, "certs engine.test"));
    let far = open_to_containers(forward(&home.join("certs/server"), Path::new(&socket())).await).await;
    let port = free_port();
    let mut project = project("docknap-tls-host", home, "engine.test:host-gateway", port);
    project.env.push(("ENGINE", format!("engine.test:{far}")));
    output(&mut project.compose(&["up", "-d"]));

    let api = log_in(&project, port).await;
    let hosts = linked(&api, &[("local", "connected")]).await;
    assert_eq!(hosts[0]["endpoint"], format!("tcp://engine.test:{far}"), "{hosts:#?}");
    assert_eq!(hosts[0]["source"], "env", "{hosts:#?}");
    assert!(hosts[0]["certificate_expires_at"].is_string(), "it speaks TLS: {hosts:#?}");
    let own = project.container("docknap");
    let containers = api.get("/api/containers").await;
    let seen = containers.as_array().is_some_and(|all| all.iter().any(|one| one["id"] == own.as_str()));
    assert!(seen, "{containers:#}");
}

#[test]
fn the_certificates_of_the_example_are_for_each_name_and_are_never_overwritten() {
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path();
    let said = output(&mut make_certificates(home, "certs nas.example.org 192.0.2.10 2001:db8::10"));
    for (purpose, file) in [("sslserver", "certs/server/cert.pem"), ("sslclient", "certs/docknap/cert.pem")] {
        openssl(
            home,
            &format!("verify -x509_strict -purpose {purpose} -CAfile certs/authority/ca.pem {file}"),
        );
    }
    for name in ["hostname nas.example.org", "ip 192.0.2.10", "ip 2001:db8::10"] {
        openssl(home, &format!("verify -verify_{name} -CAfile certs/docknap/ca.pem certs/server/cert.pem"));
    }
    // Nobody but its owner reads a key, and the image runs as the owner of the one of DockNap.
    let me = std::fs::metadata(home).expect("it is there").uid();
    for (file, owner) in [("docknap/key.pem", 65532), ("server/key.pem", me), ("authority/ca-key.pem", me)] {
        let file = home.join("certs").join(file);
        let about = std::fs::metadata(&file).expect("it was made");
        assert_eq!((about.mode() & 0o777, about.uid()), (0o400, owner), "{}", file.display());
    }
    let mut sides: Vec<_> = std::fs::read_dir(home.join("certs"))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    sides.sort();
    assert_eq!(sides, ["authority", "docknap", "server"], "nothing else is left");

    // What it prints can be used as it is.
    let (begin, end) = (said.find('{').expect("daemon.json"), said.find('}').expect("its end"));
    let daemon: Value = serde_json::from_str(&said[begin..=end]).expect("JSON");
    assert_eq!(
        daemon,
        json!({"tlsverify": true, "tlscacert": "/etc/docker/tls/ca.pem", "tlscert": "/etc/docker/tls/cert.pem",
            "tlskey": "/etc/docker/tls/key.pem"})
    );
    let (_, table) = said.split_once("[[host]]").expect("a host for docknap.toml");
    let (table, _) = table.split_once("\n\n").expect("its end");
    let table: toml::Table = table.parse().expect("TOML");
    assert_eq!(table["endpoint"].as_str(), Some("tcp://nas.example.org:2376"));

    let key = std::fs::read(home.join("certs/docknap/key.pem")).expect("a key");
    for (args, word) in [
        ("certs nas.example.org", "certs exists already"),
        ("other tcp://nas.example.org", "neither a host name nor an IP address"),
        ("other nas.example.org:2376", "leave out the port"),
        ("other nas,DNS:evil.example.org", "neither a host name nor an IP address"),
        ("other 192.0.2.999", "failed for 192.0.2.999"),
        ("other", "usage:"),
    ] {
        let refused = make_certificates(home, args).output().expect("it runs");
        let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && complaint.contains(word), "{args}: {complaint}");
        assert!(!home.join("other").exists(), "{args} leaves nothing behind");
    }
    assert_eq!(std::fs::read(home.join("certs/docknap/key.pem")).expect("a key"), key);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_hosts_in_the_example_says_how_it_is() {
    build_image();
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path();
    take("many-hosts", &["compose.yaml", "docknap.toml"], home);
    output(&mut make_certificates(home, "nas nas.example.org"));
    let port = free_port();
    // Nobody listens on that port of the container itself.
    let project = project("docknap-many-hosts", home, "nas.example.org:127.0.0.1", port);
    output(&mut project.compose(&["up", "-d"]));

    let api = log_in(&project, port).await;
    let links = [("local", "connected"), ("nas", "unreachable"), ("vps", "unreachable")];
    let hosts = linked(&api, &links).await;
    let shown: Vec<_> = hosts
        .iter()
        .map(|host| json!([host["name"], host["source"], host["endpoint"], host["insecure"], host["key"]]))
        .collect();
    assert_eq!(
        shown,
        [
            json!(["local", "env", "unix:///var/run/docker.sock", false, null]),
            json!(["NAS in the cellar", "file", "tcp://nas.example.org:2376", false, "set"]),
            json!(["Rented server", "file", "tcp://10.8.0.2:2375", true, null]),
        ]
    );
    let reason = |host: usize| hosts[host]["reason"].as_str().unwrap_or_default();
    // The certificates were read, or it would say so instead.
    assert!(reason(1).contains("nobody listens on tcp://nas.example.org:2376"), "{hosts:#?}");
    // That address leads nowhere here, in one of several ways.
    assert!(reason(2).contains("tcp://10.8.0.2:2375"), "{hosts:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_of_the_example_in_git_are_followed() {
    build_image();
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path();
    std::fs::create_dir(home.join("rules")).expect("a directory");
    take("gitops", &["compose.yaml", "rules/media.yaml"], home);
    let port = free_port();
    let project = project("docknap-gitops", home, "nas.example.org:127.0.0.1", port);
    output(&mut project.compose(&["up", "-d"]));

    let api = log_in(&project, port).await;
    let rule = until("the rules are there", async || {
        let schedules = api.get("/api/schedules").await;
        schedules["items"].as_array()?.first().cloned()
    })
    .await;
    let shown = ["name", "source", "target_id", "window"].map(|field| rule[field].clone());
    assert_eq!(shown, [json!("Media at night"), json!("file"), json!("media"), json!("sleep 23:00-07:00")]);
}

/// What compose reads in the file of a proxy, and the paths that the proxy allows by method.
fn proxy(file: &str) -> (String, BTreeMap<String, String>) {
    let mut compose = command("docker-compose");
    compose.current_dir(repository()).args(["-f", file, "config"]).env("DOCKER_GID", "1");
    let text = std::fs::read_to_string(repository().join(file)).expect("a file");
    let allowed = text.lines().filter_map(|line| line.trim().strip_prefix("- \"-allow")?.split_once('='));
    let allowed = allowed.map(|(method, path)| (method.to_owned(), path.to_owned())).collect();
    (output(&mut compose), allowed)
}

#[test]
fn the_proxies_of_both_examples_allow_the_same_calls() {
    let (shown, mut there) = proxy("examples/many-hosts/vps/compose.yaml");
    let (_, mut here) = proxy("examples/socket-proxy/compose.yaml");
    // Clients differ, and the port of one is published, at an address that only the VPN reaches.
    assert!(there.remove("from").is_some() && here.remove("from").is_some());
    assert!(shown.contains("-allowfrom=10.8.0.1/32") && shown.contains("10.8.0.2"), "{shown}");
    assert_eq!(there.keys().collect::<Vec<_>>(), ["GET", "POST"]);
    assert_eq!(there, here);
}
