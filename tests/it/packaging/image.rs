//! The built image on its own: what test machines have and it lacks, and what it knows about itself.
//!
//! Each container has a read-only root, an unknown user without capabilities, and nothing but what the test gives it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use docknap::domain::time;
use serde_json::{Value, json};

use super::{IMAGE, PASSWORD, build_image, docker, free_port, need, repository, socket, until};
use crate::browser::tab::Tab;
use crate::docker_tls::{certificates, forward};
use crate::support::real::Real;

/// In every part of the world, with whole, half and quarter hours, with and without summer time, by old and new names.
const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/St_Johns",
    "US/Pacific",
    "Europe/Kyiv",
];

/// What every container of these tests runs under.
const CONFINED: [&str; 7] = [
    "--read-only",
    "--user",
    "65532:65532",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--stop-timeout=15",
    "--label=docknap.packaging=1",
];

/// Runs a command of the image that ends by itself; what it prints.
fn once(options: &[&str], command: &[&str]) -> String {
    docker(&[&["run", "--rm"][..], &CONFINED, options, &[IMAGE], command].concat())
}

/// A server; it ends with the test, and so does its volume.
struct Server {
    id: String,
    url: String,
    client: reqwest::Client,
    token: String,
}

impl Server {
    /// Starts it and waits until it serves on this port of the machine.
    async fn start(port: u16, options: &[&str]) -> Self {
        // The client of the tests brings no TLS of its own; a second test in one process finds it installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let id = docker(&[&["run", "-d"][..], &CONFINED, options, &[IMAGE]].concat());
        let (url, client) = (format!("http://127.0.0.1:{port}"), reqwest::Client::new());
        let mut server = Self { id, url, client, token: String::new() };
        until("the server answers", async || {
            let state = docker(&["inspect", "--format", "{{.State.Status}}", &server.id]);
            assert_eq!(state, "running", "{}", server.log());
            let answer = server.client.get(format!("{}/readyz", server.url)).send().await;
            answer.ok().filter(|answer| answer.status() == 200)
        })
        .await;
        let login = json!({"username": "ada", "password": PASSWORD});
        let login = server.client.post(format!("{}/api/auth/login", server.url)).json(&login).send().await;
        let login: Value = login.expect("it answers").json().await.expect("it is JSON");
        login["token"].as_str().unwrap_or_default().clone_into(&mut server.token);
        server
    }

    /// Both outputs: the log goes to the second.
    fn log(&self) -> String {
        let output = super::command("docker").args(["logs", &self.id]).output().expect("docker runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token).send().await;
        answer.expect("it answers").json().await.expect("it is JSON")
    }

    async fn refuses_to_stop(&self, name: &str) -> Value {
        let path = format!("{}/api/containers/local/{name}/stop", self.url);
        let answer = self.client.post(path).bearer_auth(&self.token).send().await.expect("it answers");
        assert_eq!(
            answer.status(),
            403,
            "{name}: {}\n{}",
            answer.text().await.unwrap_or_default(),
            self.log()
        );
        answer.json().await.expect("it is JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        docker(&["rm", "-f", "-v", &self.id]);
    }
}

/// The Engine's socket, and the right to use it.
fn with_socket() -> [String; 2] {
    let group = std::fs::metadata(socket()).expect("the Engine's socket").gid();
    [format!("--volume={}:/var/run/docker.sock", socket()), format!("--group-add={group}")]
}

/// The account that the settings make.
fn with_account() -> [String; 2] {
    ["--env=DOCKNAP_ADMIN_USERNAME=ada".to_owned(), format!("--env=DOCKNAP_ADMIN_PASSWORD={PASSWORD}")]
}

fn words<'a>(lists: &[&'a [String]]) -> Vec<&'a str> {
    lists.iter().flat_map(|list| list.iter().map(String::as_str)).collect()
}

#[test]
fn it_knows_every_zone_and_says_from_where() {
    build_image();
    let version = once(&["--network=none"], &["version"]);
    assert!(version.contains("time zones 20") && version.contains("inside the program"), "{version}");
    // Each day at 7, where it is winter here and where it is summer.
    for after in ["2027-01-10T00:00:00Z", "2027-07-10T00:00:00Z"] {
        let begin: jiff::Timestamp = after.parse().expect("an instant");
        for name in ZONES {
            let args = ["explain", "0 7 * * *", "--json", "--count", "1", "--after", after];
            let zone = format!("--env=TZ={name}");
            let said: Value = serde_json::from_str(&once(&["--network=none", &zone], &args)).expect("JSON");
            let zone = time::zone(name).expect(name);
            let seven = begin.to_zoned(zone).with().hour(7).minute(0).second(0).build().expect("a time");
            let due = if seven.timestamp() > begin { seven } else { seven.tomorrow().expect("a day") };
            assert_eq!(said["next"], json!([due.timestamp().to_string()]), "{name}: {said}");
        }
    }
    let args = ["explain", "0 7 * * *", "--json", "--count", "1", "--after", "2027-01-01T00:00:00Z"];
    let said: Value = serde_json::from_str(&once(&["--network=none"], &args)).expect("JSON");
    assert_eq!((&said["timezone"], &said["next"][0]), (&json!("UTC"), &json!("2027-01-01T07:00:00Z")));
    let mut unknown = super::command("docker");
    let unknown = unknown.args(["run", "--rm", "--env=TZ=Mars/Base", IMAGE]).output().expect("docker runs");
    assert_eq!(unknown.status.code(), Some(78), "{}", String::from_utf8_lossy(&unknown.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_set_up_in_a_browser_below_a_path() {
    build_image();
    let port = free_port();
    let base = format!("http://nas.test:{port}/nap");
    let published = format!("--publish=127.0.0.1:{port}:8080");
    let address = format!("--env=DOCKNAP_BASE_URL={base}");
    let engine = with_socket();
    let options = [&[published.as_str(), &address][..], &words(&[&engine])].concat();
    let server = Server::start(port, &options).await;
    let log = server.log();
    let token = log.split("setup token ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a token");

    let tab = Tab::open(&base).await;
    tab.goto("/").await;
    tab.type_into("#token", token).await;
    tab.press("main button.primary, form button.primary").await;
    tab.type_into("#name", "ada").await;
    tab.type_into("#password", PASSWORD).await;
    tab.type_into("#timezone", "Asia/Kathmandu").await;
    tab.press("form button.primary").await;
    tab.reads("DockNap reaches Docker").await;
    assert!(tab.address().await.starts_with("/nap/welcome/docker"), "{}", tab.address().await);
    tab.goto("/settings").await;
    let zone = tab.find("#timezone").await.prop("value").await.expect("a value");
    assert_eq!(zone.as_deref(), Some("Asia/Kathmandu"));
    tab.goto("/health").await;
    tab.reads("inside the program").await;
    let (_, version) = once(&["--network=none"], &["version"])
        .split_once("time zones ")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("two lines");
    assert!(tab.text("main").await.contains(version.trim()), "About names the same database");
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_reaches_an_engine_over_tls_by_name_and_is_backed_up() {
    build_image();
    let home = tempfile::tempdir().expect("a directory");
    certificates(home.path());
    let far = forward(&home.path().join("server"), Path::new(&socket())).await;
    // The image's user is nobody on this machine.
    let client = home.path().join("client");
    for (path, mode) in
        [(home.path().to_owned(), 0o755), (client.clone(), 0o755), (client.join("key.pem"), 0o644)]
    {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    let port = free_port();
    let account = with_account();
    let volume = format!("docknap-packaging-{port}");
    let given = [
        "--network=host".to_owned(),
        "--add-host=engine.test:127.0.0.1".to_owned(),
        format!("--env=DOCKNAP_LISTEN=127.0.0.1:{port}"),
        format!("--env=DOCKER_HOST=tcp://engine.test:{far}"),
        "--env=DOCKER_TLS_VERIFY=1".to_owned(),
        "--env=DOCKER_CERT_PATH=/certs".to_owned(),
        "--env=TZ=Australia/Lord_Howe".to_owned(),
        format!("--volume={}:/certs:ro", client.display()),
        format!("--volume={volume}:/data"),
    ];
    let server = Server::start(port, &words(&[&given, &account])).await;
    until("Docker is connected", async || {
        let stacks = server.get("/api/containers").await;
        let ours = stacks.as_array()?.iter().any(|one| one["id"] == server.id.as_str());
        ours.then_some(())
    })
    .await;
    let said = docker(&["exec", &server.id, "/docknap", "backup", "/data/copy.db"]);
    assert!(said.contains("/data/copy.db"), "{said}");
    docker(&["stop", &server.id]);
    let given = format!("--volume={volume}:/data");
    let restored = once(&["--network=none", &given], &["restore", "/data/copy.db"]);
    assert!(restored.contains("the database is what /data/copy.db holds"), "{restored}");
    drop(server);
    docker(&["volume", "rm", &volume]);
}

#[tokio::test]
async fn it_never_stops_itself_wherever_it_runs() {
    build_image();
    let real = Real::engine();
    let (engine, account) = (with_socket(), with_account());
    for (case, cgroups) in
        ["shares", "host", "machine", "plain"].iter().flat_map(|case| [(*case, "private"), (*case, "host")])
    {
        let port = free_port();
        let published = format!("--publish=127.0.0.1:{port}:8080");
        let (vpn, me) = (real.name(&format!("vpn-{case}-{cgroups}")), format!("dn-{port}"));
        let place: Vec<String> = match case {
            "shares" | "host" => {
                real.run(&format!("vpn-{case}-{cgroups}"), &[&published]);
                vec![format!("--network=container:{vpn}")]
            }
            "machine" => vec![
                "--network=host".to_owned(),
                format!("--env=DOCKNAP_LISTEN=127.0.0.1:{port}"),
                "--hostname=docknap".to_owned(),
            ],
            _ => vec![published.clone(), "--hostname=docknap".to_owned()],
        };
        // A name for it that says nothing, and one that another container's id would begin with.
        let odd = if case == "host" { vec!["--env=HOSTNAME=0123456789ab".to_owned()] } else { Vec::new() };
        let given = [format!("--name={me}"), format!("--cgroupns={cgroups}")];
        let server = Server::start(port, &words(&[&given, &place, &odd, &engine, &account])).await;
        until("Docker is connected", async || {
            let own = server.get(&format!("/api/containers/local/{me}")).await;
            own["protected"].is_string().then_some(())
        })
        .await;
        let own = server.get(&format!("/api/containers/local/{me}")).await;
        assert_eq!(own["protected"], "it is DockNap itself", "{case} {cgroups}\n{}", server.log());
        let refused = server.refuses_to_stop(&me).await;
        assert_eq!(refused["code"], "protected", "{refused}");
        if matches!(case, "shares" | "host") {
            let refused = server.refuses_to_stop(&vpn).await;
            assert!(refused.to_string().contains("DockNap uses its network"), "{refused}");
        }
        assert_eq!(docker(&["inspect", "--format", "{{.State.Status}}", &me]), "running");
    }
}

#[test]
fn compose_passes_on_what_a_proxy_needs() {
    let socket = socket();
    for file in [
        "compose.yaml",
        "examples/gitops/compose.yaml",
        "examples/many-hosts/compose.yaml",
        "examples/socket-proxy/compose.yaml",
        "examples/tls-host/compose.yaml",
    ] {
        let mut compose = super::command("docker-compose");
        let compose = compose.current_dir(repository()).args(["-f", file, "config"]).envs([
            ("DOCKER_GID", "1"),
            ("ENGINE", "nas.example.org:2376"),
            ("DOCKER_SOCKET", socket.as_str()),
            ("TZ", "Europe/Berlin"),
            ("DOCKNAP_BASE_URL", "https://nap.example.org"),
            ("DOCKNAP_TRUSTED_PROXIES", "172.18.0.0/16,fd00::/8"),
        ]);
        let shown = super::output(compose);
        for line in [
            "TZ: Europe/Berlin",
            "DOCKNAP_BASE_URL: https://nap.example.org",
            "DOCKNAP_TRUSTED_PROXIES: 172.18.0.0/16,fd00::/8",
        ] {
            assert!(shown.contains(line), "{line} is not in {file}:\n{shown}");
        }
    }
    assert!(need("DOCKNAP_TEST_RELEASE_BINARY").ends_with("docknap"));
}
