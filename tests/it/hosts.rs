//! Hosts as rows: added, changed, disabled and deleted while DockNap runs, each with its own stacks and schedules.

use std::time::Duration;

use axum::http::Method;
use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::sim::{DaemonEnd, Fault, World};
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::support::app::{Answer, Client, TestApp};
use crate::support::bench::Bench;
use crate::support::db::TestDb;
use crate::support::sim::Simulated;

const NOW: &str = "2027-03-02T22:30:00Z";

on_both_engines!(
    a_host_is_added_changed_disabled_and_deleted_while_docknap_runs,
    a_private_key_is_stored_sealed_and_never_shown,
    an_outage_of_a_minute_is_a_row_and_a_shorter_one_is_not,
);

fn media() -> World {
    World::new().stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
}

/// DockNap with `local`, and a second Engine that is not known yet. Both have a stack `media`.
async fn two_engines(db: TestDb, now: &str) -> (TestApp, Simulated) {
    let bench = Bench::on(db, now, media()).await;
    let nas = Simulated::start(bench.clock.clone(), media()).await;
    (TestApp::over(bench).await, nas)
}

async fn put(client: &mut Client, path: &str, body: &Value) -> Answer {
    client.send(Method::PUT, path, Some("application/json"), body.to_string(), &[]).await
}

/// A stop of `media` on a host, every day at 23:00; its id.
async fn stop_at_23(admin: &mut Client, host: &str) -> String {
    let body = json!({"host": host, "target_type": "stack", "target_id": "media", "action": "stop",
        "cron": "0 23 * * *"});
    let made = admin.post_json("/api/schedules", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()["id"].as_str().expect("an id").to_owned()
}

async fn last_run(admin: &mut Client, schedule: &str) -> Value {
    admin.get(&format!("/api/schedules/{schedule}")).await.json()["last_run"].clone()
}

async fn a_host_is_added_changed_disabled_and_deleted_while_docknap_runs(db: TestDb) {
    let (test, nas) = two_engines(db, NOW).await;
    let mut admin = test.bearer(Role::Admin).await;
    let endpoint = nas.control.docker_host();
    let body = json!({"name": "NAS in the cellar", "id": "nas", "endpoint": endpoint});
    let made = admin.post_json("/api/hosts", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    test.until_connected("nas").await;
    let hosts = admin.get("/api/hosts").await.json()["items"].clone();
    let ids: Vec<&str> =
        hosts.as_array().expect("a list").iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(ids, ["local", "nas"]);
    assert_eq!((&hosts[1]["link"], &hosts[1]["stacks"]), (&json!("connected"), &json!(1)), "{hosts:#}");

    // The same name on two hosts is two stacks, and each schedule acts on its own.
    let id = stop_at_23(&mut admin, "nas").await;
    test.bench().advance_to("2027-03-02T23:00:00Z").await;
    test.bench().tick().await;
    test.bench().settle().await;
    assert_eq!((nas.control.running("media").len(), test.bench().sim.running("media").len()), (0, 2));
    let stacks = admin.get("/api/stacks").await.json();
    let shown: Vec<(&Value, &Value)> =
        stacks.as_array().expect("a list").iter().map(|one| (&one["host"], &one["status"])).collect();
    let expected =
        [("local", "running"), ("nas", "stopped")].map(|(host, status)| (json!(host), json!(status)));
    assert_eq!(shown, expected.iter().map(|(host, status)| (host, status)).collect::<Vec<_>>());

    // Disabled: not called, and what is due is skipped with a reason.
    let disabled = admin.post_json("/api/hosts/nas/disable", &json!({})).await;
    assert_eq!(disabled.json()["link"], "disabled", "{}", disabled.body);
    let calls = nas.control.calls().len();
    let window = json!({"host": "nas", "target_type": "stack", "target_id": "media", "window": "sleep 23:30-07:00",
        "allow_missing": true});
    let window = admin.post_json("/api/schedules", &window).await;
    assert_eq!(window.status, 201, "{}", window.body);
    nas.control.start("media-web-1").expect("it starts");
    test.bench().advance_to("2027-03-03T23:00:00Z").await;
    test.bench().tick().await;
    test.bench().settle().await;
    // A login lasts 12 hours.
    let mut admin = test.bearer(Role::Admin).await;
    let run = last_run(&mut admin, &id).await;
    assert_eq!(run["state"], "skipped", "{run:#}");
    let whole = admin.get(&format!("/api/runs/{}", run["id"].as_str().expect("an id"))).await.json();
    assert_eq!(whole["reason"], "host_disabled: the host NAS in the cellar is disabled");
    let refused = admin.post_json("/api/stacks/nas/media/start", &json!({})).await;
    assert_eq!(
        (refused.status, refused.json()["code"].clone()),
        (409, json!("host_disabled")),
        "{}",
        refused.body
    );
    test.bench().advance_to("2027-03-03T23:45:00Z").await;
    test.bench().tick().await;
    test.bench().settle().await;
    assert_eq!(nas.control.calls().len(), calls, "a disabled host is not called");

    // Enabled again inside its window: the window is applied once.
    assert_eq!(admin.post_json("/api/hosts/nas/enable", &json!({})).await.status, 200);
    test.until_connected("nas").await;
    test.bench().tick().await;
    test.bench().settle().await;
    assert!(nas.control.running("media").is_empty(), "{:#?}", nas.control.containers());

    // Changed to another Engine: the old one is left.
    let other = Simulated::start(test.bench().clock.clone(), media()).await;
    let etag = admin.get("/api/hosts/nas").await.header("etag").to_owned();
    let body = json!({"name": "NAS", "endpoint": other.control.docker_host()});
    let changed = put(&mut admin, "/api/hosts/nas", &body).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    test.until_connected("nas").await;
    test.bench().quiet().await;
    let (old, new) = (nas.control.calls().len(), other.control.calls().len());
    test.bench().advance(Duration::from_secs(600)).await;
    assert_eq!(nas.control.calls().len(), old, "nobody calls the old address");
    assert!(other.control.calls().len() > new);
    let headers = [("if-match", &*etag)];
    let late =
        admin.send(Method::PUT, "/api/hosts/nas", Some("application/json"), body.to_string(), &headers).await;
    assert_eq!(late.status, 412, "{}", late.body);

    // Deleted: what becomes of its schedules must be said.
    let refused = admin.delete("/api/hosts/nas").await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (409, json!("host_has_schedules")));
    let refused = admin.delete("/api/hosts/nas?move_to=vps").await;
    assert_eq!((refused.status, refused.wrong_field()), (422, "move_to".to_owned()));
    assert_eq!(admin.delete("/api/hosts/nas?move_to=local").await.status, 204);
    assert_eq!(admin.get("/api/hosts/nas").await.status, 404);
    let moved = admin.get(&format!("/api/schedules/{id}")).await.json();
    assert_eq!((&moved["host"], &moved["target_id"]), (&json!("local"), &json!("media")));
    let calls = other.control.calls().len();
    test.bench().advance_to("2027-03-04T23:00:00Z").await;
    test.bench().tick().await;
    test.bench().settle().await;
    let mut admin = test.bearer(Role::Admin).await;
    assert!(test.bench().sim.running("media").is_empty(), "it acts on the host to which it moved");
    assert_eq!(other.control.calls().len(), calls, "nobody calls a deleted host");
    let run = admin.get(&format!("/api/runs/{}", run["id"].as_str().expect("an id"))).await.json();
    assert_eq!(run["host"], "nas", "runs keep the host");
    let events: Vec<String> =
        test.audit().await.into_iter().map(|row| row.0).filter(|event| event.starts_with("host.")).collect();
    assert_eq!(events, ["host.create", "host.disable", "host.enable", "host.update", "host.delete"]);
}

async fn a_private_key_is_stored_sealed_and_never_shown(db: TestDb) {
    // Certificates are made by the machine's clock.
    let now = docknap::clock::Clock::system().now() + jiff::SignedDuration::from_hours(1);
    let (test, _nas) = two_engines(db, &now.to_string()).await;
    let mut admin = test.bearer(Role::Admin).await;
    let directory = tempfile::tempdir().expect("a directory");
    crate::docker_tls::certificates(directory.path());
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("a file");
    let (ca, cert, key) = (read("ca.pem"), read("client/cert.pem"), read("client/key.pem"));
    let body = json!({"name": "VPS", "endpoint": "tcp://127.0.0.1:1", "ca": ca, "cert": cert, "key": key});
    let made = admin.post_json("/api/hosts", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!((made.json()["id"].clone(), made.json()["key"].clone()), (json!("vps"), json!("set")));
    let secret = key.lines().nth(1).expect("a line of the key");
    assert!(!made.body.contains(secret) && !format!("{:?}", test.audit().await).contains(secret));
    let stored = docknap::db::hosts::get(&test.app.db, &HostId::from("vps")).await.expect("it reads");
    let stored = format!("{:?}", stored.expect("a row"));
    assert!(stored.contains("sealed_key: Some") && !stored.contains(secret), "{stored}");

    // What is read can be sent back: the key stays. Without the certificate it goes.
    let mut shown = admin.get("/api/hosts/vps").await.json();
    shown["note"] = json!("rented");
    let kept = put(&mut admin, "/api/hosts/vps", &shown).await;
    assert_eq!((kept.status, &kept.json()["key"]), (200, &json!("set")), "{}", kept.body);
    let body = json!({"name": "VPS", "endpoint": "tcp://127.0.0.1:1", "ca": ca});
    let alone = put(&mut admin, "/api/hosts/vps", &body).await;
    assert_eq!((alone.status, &alone.json()["key"]), (200, &Value::Null), "{}", alone.body);
}

async fn an_outage_of_a_minute_is_a_row_and_a_shorter_one_is_not(db: TestDb) {
    let (test, nas) = two_engines(db, NOW).await;
    let (bench, mut admin) = (test.bench(), test.bearer(Role::Admin).await);
    let body = json!({"name": "NAS", "endpoint": nas.control.docker_host()});
    assert_eq!(admin.post_json("/api/hosts", &body).await.status, 201);
    test.until_connected("nas").await;
    let host = HostId::from("nas");
    let begun = bench.clock.now();
    let rows = async || docknap::db::host_outages::after(&test.app.db, begun).await.expect("it reads");
    let is_away = async || !test.app.hosts.get(&host).expect("it is there").inventory().is_connected();

    nas.control.daemon_down(DaemonEnd::Graceful);
    bench.until("the NAS is away", is_away).await;
    bench.advance(Duration::from_secs(20)).await;
    nas.control.daemon_up().expect("it starts");
    test.until_connected("nas").await;
    assert_eq!(rows().await, [], "proxies end quiet connections after minutes");

    nas.control.daemon_down(DaemonEnd::Graceful);
    bench.until("the NAS is away", is_away).await;
    let down_at = bench.clock.now();
    bench.advance(Duration::from_secs(600)).await;
    let open = rows().await;
    assert_eq!((open.len(), open[0].host.as_str(), open[0].to), (1, "nas", None), "{open:?}");
    assert!(open[0].from <= down_at && !open[0].reason.is_empty(), "{open:?}");
    let page = test.admin().await.get("/hosts/nas").await;
    assert!(page.text("figcaption").contains("not reached for 10 min"), "{}", page.text("figcaption"));
    nas.control.daemon_up().expect("it starts");
    test.until_connected("nas").await;
    bench.quiet().await;
    let closed = rows().await;
    assert!(closed.len() == 1 && closed[0].to.is_some_and(|to| to > down_at), "{closed:?}");
}

#[tokio::test]
async fn a_frozen_host_delays_no_other() {
    let (test, nas) = two_engines(TestDb::sqlite().await, NOW).await;
    let (bench, mut admin) = (test.bench(), test.bearer(Role::Admin).await);
    let body = json!({"name": "NAS", "endpoint": nas.control.docker_host()});
    assert_eq!(admin.post_json("/api/hosts", &body).await.status, 201);
    test.until_connected("nas").await;
    let mut schedules = Vec::new();
    for host in ["nas", "local"] {
        schedules.push(stop_at_23(&mut admin, host).await);
    }
    // Every call to the NAS hangs from now on, those of the run too.
    nas.control.fault(Fault::hang());
    bench.advance_to("2027-03-02T23:00:00Z").await;
    let due = bench.clock.now();
    bench.tick().await;
    bench.until("the other host sleeps", async || bench.sim.running("media").is_empty()).await;
    let took = bench.clock.now().duration_since(due);
    assert!(took.as_secs() < 30, "{took:?}");
    assert_eq!(nas.control.running("media").len(), 2, "the frozen one did not");
    // Pages show what was last seen and wait for nobody.
    let now = bench.clock.now();
    let page = test.admin().await.get("/").await;
    assert_eq!((page.status, bench.clock.now()), (200, now));
    // Events of the other host come through.
    bench.sim.start("media-db-1").expect("it starts");
    bench
        .until("the start is seen", async || {
            let local = test.app.hosts.first().expect("a host").inventory();
            local.by_name("media-db-1").is_some_and(|one| one.state.is_up())
        })
        .await;
    assert!(bench.clock.now().duration_since(now).as_secs() < 5);
    nas.control.clear_faults();
}

#[tokio::test]
async fn what_is_wrong_with_a_host_is_said_at_every_field_and_nothing_is_stored() {
    let test = TestApp::new().await;
    let mut admin = test.bearer(Role::Admin).await;
    for (body, fields) in [
        (json!({"name": "", "endpoint": ""}), vec!["name", "endpoint"]),
        (
            json!({"name": "LOCAL", "id": "local", "endpoint": "tcp://nas:1", "insecure": true}),
            vec!["name", "id"],
        ),
        (json!({"name": "NAS", "id": "My NAS", "endpoint": "ssh://nas"}), vec!["id", "endpoint"]),
        (json!({"name": "日本", "endpoint": "tcp://nas:2375", "insecure": true}), vec!["id"]),
        (json!({"name": "NAS", "endpoint": "tcp://nas:2375"}), vec!["insecure"]),
        (json!({"name": "NAS", "endpoint": "tcp://nas:2376", "cert": "x"}), vec!["key", "ca"]),
        (
            json!({"name": "NAS", "endpoint": "tcp://nas:1", "insecure": true, "parallelism": 0,
                "note": "n".repeat(501)}),
            vec!["parallelism", "note"],
        ),
    ] {
        let refused = admin.post_json("/api/hosts", &body).await;
        assert_eq!(refused.status, 422, "{body}: {}", refused.body);
        let named: Vec<String> = refused.json()["errors"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|error| error["field"].as_str().expect("a name").to_owned())
            .collect();
        assert_eq!(named, fields, "{body}: {}", refused.body);
    }
    assert_eq!(admin.get("/api/hosts").await.json()["items"].as_array().map(Vec::len), Some(1));
    let refused = put(&mut admin, "/api/hosts/local", &json!({"name": "x", "endpoint": "unix:///x"})).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(refused.body.contains("DOCKER_HOST"), "{}", refused.body);
    for (role, status) in [(Role::Viewer, 403), (Role::Operator, 403)] {
        let mut other = test.bearer(role).await;
        let body = json!({"name": "NAS", "endpoint": "tcp://nas:1", "insecure": true});
        assert_eq!(other.post_json("/api/hosts", &body).await.status, status);
        assert_eq!(other.get("/api/hosts").await.status, 200);
    }
}

#[tokio::test]
async fn hosts_of_the_settings_are_there_and_local_can_be_left_out() {
    let nowhere = docknap::config::HostSetting {
        id: "vps".to_owned(),
        name: "The VPS".to_owned(),
        endpoint: "tcp://127.0.0.1:1".to_owned(),
        insecure: true,
        tls: None,
        groups: Vec::new(),
    };
    let test = TestApp::with(|config| {
        config.local = false;
        config.hosts = vec![nowhere];
    })
    .await;
    let mut admin = test.bearer(Role::Admin).await;
    let hosts = admin.get("/api/hosts").await.json()["items"].clone();
    assert_eq!(hosts.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&hosts[0]["id"], &hosts[0]["name"], &hosts[0]["source"]),
        (&json!("vps"), &json!("The VPS"), &json!("file"))
    );
    let refused = admin.post_json("/api/hosts/vps/disable", &json!({})).await;
    assert!(refused.status == 409 && refused.body.contains("docknap.toml"), "{}", refused.body);

    // Without any host the pages still answer.
    let test = TestApp::with(|config| config.local = false).await;
    let mut admin = test.admin().await;
    for page in ["/", "/schedules", "/schedules/new", "/timeline", "/runs", "/health", "/report", "/settings"]
    {
        assert_eq!(admin.get(page).await.status, 200, "{page}");
    }
}

#[tokio::test]
async fn a_test_tries_every_call_and_changes_nothing() {
    let (test, nas) = two_engines(TestDb::sqlite().await, NOW).await;
    let mut admin = test.bearer(Role::Admin).await;
    let body = json!({"name": "NAS", "endpoint": nas.control.docker_host()});
    assert_eq!(admin.post_json("/api/hosts", &body).await.status, 201);
    test.until_connected("nas").await;
    let good = admin.post_json("/api/hosts/nas/test", &json!({})).await.json();
    assert_eq!((&good["ready"], &good["unreachable"]), (&json!(true), &Value::Null), "{good:#}");
    let calls = good["calls"].as_array().expect("a list");
    assert_eq!(calls.iter().filter(|call| call["outcome"] == "works").count(), 13, "{good:#}");
    assert_eq!(nas.control.running("media").len(), 2);
    let body = json!({"name": "Typo", "endpoint": "unix:///no/such.sock"});
    assert_eq!(admin.post_json("/api/hosts", &body).await.status, 201, "it may come up later");
    let bad = admin.post_json("/api/hosts/typo/test", &json!({})).await.json();
    assert_eq!(bad["ready"], false);
    assert!(bad["unreachable"].as_str().is_some_and(|why| why.contains("/no/such.sock")), "{bad:#}");
}

#[tokio::test]
async fn where_two_hosts_have_a_stack_of_one_name_pages_say_which() {
    let (test, nas) = two_engines(TestDb::sqlite().await, NOW).await;
    let mut api = test.bearer(Role::Admin).await;
    let body = json!({"name": "The NAS", "id": "nas", "endpoint": nas.control.docker_host()});
    assert_eq!(api.post_json("/api/hosts", &body).await.status, 201);
    test.until_connected("nas").await;
    let stacks = api.get("/api/stacks").await.json();
    let key = stacks[1]["key"].as_str().expect("a key").to_owned();
    assert_eq!(stacks[1]["host"], "nas");

    let mut admin = test.admin().await;
    let home = admin.get("/").await;
    assert!(home.text(".tile .chip.host").contains("The NAS"), "{}", home.body);
    let form = admin.get("/schedules/new").await;
    assert!(
        form.body.contains(">media on The NAS<") && form.body.contains(">media on local<"),
        "{}",
        form.body
    );
    let question = admin.get(&format!("/stacks/{key}/stop")).await;
    assert_eq!(question.text("h1"), "Stop media on The NAS?");
    let done = admin.post(&format!("/stacks/{key}/stop"), &[]).await;
    assert_eq!(done.status, 303, "{}", done.body);
    test.bench().settle().await;
    assert_eq!((nas.control.running("media").len(), test.bench().sim.running("media").len()), (0, 2));
    let runs = admin.get("/runs").await;
    assert!(runs.text(".run .chip.host").contains("The NAS"), "{}", runs.body);

    // A schedule keeps its host when it is changed, also while nothing is known of its target.
    let id = stop_at_23(&mut api, "nas").await;
    assert_eq!(api.post_json("/api/hosts/nas/disable", &json!({})).await.status, 200);
    nas.control.remove("media-db-1");
    nas.control.remove("media-web-1");
    let mut body = api.get(&format!("/api/schedules/{id}")).await.json();
    body["cron"] = json!("30 23 * * *");
    body.as_object_mut().expect("an object").remove("host");
    let changed = put(&mut api, &format!("/api/schedules/{id}"), &body).await;
    assert_eq!((changed.status, &changed.json()["host"]), (200, &json!("nas")), "{}", changed.body);

    // A host that is gone stays named in what it leaves behind.
    assert_eq!(api.post_json("/api/hosts/nas/enable", &json!({})).await.status, 200);
    test.until_connected("nas").await;
    assert_eq!(api.delete("/api/hosts/nas?schedules=delete").await.status, 204);
    assert_eq!(api.get(&format!("/api/schedules/{id}")).await.status, 404);
    let runs = admin.get("/runs").await;
    assert!(runs.text(".run .chip.host").contains("nas"), "{}", runs.body);
}
