//! The pages of hosts: cards, the page of one, the form with its test, and the question before one is deleted.

use docknap::config::HostSetting;
use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::domain::target;
use docknap::sim::World;
use serde_json::json;

use crate::support::app::{Answer, Client, TestApp};
use crate::support::bench::Bench;
use crate::support::sim::Simulated;

const NOW: &str = "2027-03-02T22:30:00Z";

fn media() -> World {
    World::new()
        .stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
        .container("loner", |c| c)
}

/// The fields of a host that needs no TLS.
fn plain<'a>(name: &'a str, endpoint: &'a str) -> [(&'a str, &'a str); 9] {
    [
        ("name", name),
        ("id", ""),
        ("endpoint", endpoint),
        ("insecure", "on"),
        ("ca", ""),
        ("cert", ""),
        ("key", ""),
        ("parallelism", ""),
        ("note", ""),
    ]
}

/// Adds a host whose Engine cannot be reached.
async fn add(admin: &mut Client, name: &str) -> Answer {
    let made = admin.post("/hosts", &plain(name, "tcp://127.0.0.1:1")).await;
    assert_eq!(made.status, 303, "{}", made.body);
    made
}

/// A schedule of `media` on a host.
async fn schedule(test: &TestApp, host: &str) -> String {
    let mut api = test.bearer(Role::Admin).await;
    let body = json!({"host": host, "target_type": "stack", "target_id": "media", "action": "stop",
        "cron": "0 23 * * *", "allow_missing": true});
    let made = api.post_json("/api/schedules", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()["id"].as_str().expect("an id").to_owned()
}

async fn host_of(test: &TestApp, schedule: &str) -> Answer {
    test.bearer(Role::Admin).await.get(&format!("/api/schedules/{schedule}")).await
}

#[tokio::test]
async fn a_host_is_added_tested_and_shown() {
    let bench = Bench::new(NOW, media()).await;
    let nas = Simulated::start(bench.clock.clone(), media()).await;
    let test = TestApp::over(bench).await;
    let mut ada = test.admin().await;
    let home = ada.get("/").await;
    assert_eq!(home.text("nav a[href='/hosts']"), "Hosts");
    assert!(home.attribute("#keys a[data-key='gh']", "href").is_some_and(|href| href == "/hosts"));

    let endpoint = nas.control.docker_host();
    let fields = plain("NAS <in> the cellar", &endpoint);
    let tested = ada.post_part("/hosts/new/test", &fields).await;
    assert_eq!(tested.status, 200, "{}", tested.body);
    assert!(tested.text("#tested").contains("DockNap reaches this host"), "{}", tested.body);
    assert!(tested.text("#tested .ticks").contains("Works: List containers"), "{}", tested.body);
    assert!(!tested.body.contains("<html"), "htmx gets the form alone");
    assert_eq!(tested.text("#tested h2"), "DockNap reaches this host");
    assert_eq!(tested.text("#tested h3"), "To look To nap and wake Extras");
    assert_eq!(tested.attribute("#name", "value").as_deref(), Some("NAS <in> the cellar"));
    assert_eq!(nas.control.running("media").len(), 2, "a test changes nothing");
    assert_eq!(ada.get("/hosts").await.text("main").matches("Comes from").count(), 1, "and stores nothing");

    let made = ada.post("/hosts", &fields).await;
    assert_eq!((made.status, made.location()), (303, "/hosts/nas-in-the-cellar"), "{}", made.body);
    test.until_connected("nas-in-the-cellar").await;
    let list = ada.get("/hosts").await;
    assert!(list.text(".flash").contains("“NAS <in> the cellar” is stored."), "{}", list.body);
    let card = list.text("[aria-labelledby='host-nas-in-the-cellar']");
    for part in ["nas-in-the-cellar", "Connected", "Stacks 1", "Containers 3", "Schedules 0", "this page"] {
        assert!(card.contains(part), "{part}: {card}");
    }
    let card = list.text("[aria-labelledby='host-local']");
    assert!(card.contains("DOCKER_HOST") && card.contains("read-only here"), "{card}");
    assert!(ada.get_part("/hosts").await.text("#live").contains("NAS <in> the cellar"));

    let page = ada.get(made.location()).await;
    assert_eq!(page.text("h1"), "NAS <in> the cellar");
    let id = HostId::from("nas-in-the-cellar");
    let key = target::key(&id, "media");
    assert_eq!(page.text(&format!("a[href='/stacks/{key}'] .name")), "media");
    assert_eq!(page.text("[aria-labelledby='loose-title'] .name"), "loner");
    let path = format!("{}/test", made.location());
    let tested = ada.post_part(&path, &[]).await;
    assert!(tested.text("#tested").contains("DockNap reaches this host"), "{}", tested.body);
    assert!(ada.post(&path, &[]).await.text("#tested").contains("DockNap reaches this host"));
    assert!(ada.get("/audit?about=host").await.text("main").contains("added the host"));
}

#[tokio::test]
async fn without_a_host_the_page_says_what_to_do() {
    let test = TestApp::with(|config| config.local = false).await;
    let mut ada = test.admin().await;
    let page = ada.get("/hosts").await;
    let text = page.text("main");
    assert!(text.contains("No host yet") && text.contains("unix:///var/run/docker.sock"), "{text}");
    assert_eq!(page.text(".acts.mid a[href='/hosts/new']"), "Add the first one");
    let form = ada.get("/hosts/new").await;
    assert_eq!(form.attribute("#endpoint", "value").as_deref(), Some("unix:///var/run/docker.sock"));
    assert_eq!(ada.get("/welcome/docker").await.location(), "/hosts");
    let mut vera = test.viewer().await;
    let page = vera.get("/hosts").await;
    assert!(page.text("main").contains("Admins can add one"), "{}", page.body);
    assert!(page.attribute("a[href='/hosts/new']", "href").is_none());
}

#[tokio::test]
async fn what_was_typed_stays_after_an_error_but_never_the_private_key() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    let fields = [
        ("name", "NAS \"one\""),
        ("id", "My NAS"),
        ("endpoint", "ssh://nas"),
        ("ca", ""),
        ("cert", "no certificate <x>"),
        ("key", "very secret key"),
        ("parallelism", "many"),
        ("note", "rented & slow"),
    ];
    for (path, part) in [("/hosts", false), ("/hosts/new/test", false), ("/hosts/new/test", true)] {
        let answer = if part { ada.post_part(path, &fields).await } else { ada.post(path, &fields).await };
        assert_eq!(answer.status, 422, "{path}: {}", answer.body);
        for field in ["id", "endpoint", "parallelism"] {
            assert!(!answer.text(&format!("#{field}-error")).is_empty(), "{path}: {field}: {}", answer.body);
            assert_eq!(answer.attribute(&format!("#{field}"), "aria-invalid").as_deref(), Some("true"));
        }
        for (field, value) in [("name", "NAS \"one\""), ("id", "My NAS"), ("endpoint", "ssh://nas")] {
            assert_eq!(answer.attribute(&format!("#{field}"), "value").as_deref(), Some(value), "{path}");
        }
        assert_eq!(answer.text("#cert"), "no certificate <x>");
        assert_eq!(answer.text("#note"), "rented & slow");
        assert!(answer.attribute("details[open] #ca", "id").is_some(), "what is wrong is in sight");
        assert!(!answer.body.contains("very secret key"), "{path}");
        // htmx leaves what is in the field; without it the key has to be entered again.
        assert_eq!(answer.text("#key-hint").contains("Enter it again"), !part, "{path}");
    }
    assert_eq!(ada.get("/hosts").await.text("main").matches("Comes from").count(), 1, "nothing is stored");

    // The address alone is not enough for TCP without TLS.
    let fields = [("name", "NAS"), ("endpoint", "tcp://nas:2375")];
    let answer = ada.post("/hosts", &fields).await;
    assert!(!answer.text("#insecure-error").is_empty(), "{}", answer.body);
    assert!(answer.attribute("#insecure", "checked").is_none());
    assert!(answer.attribute("details[open] #ca", "id").is_some(), "TLS, the other way, is in sight");

    // Three long texts are judged by their fields, not by the size of the request.
    let lines = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo+/\r\n".repeat(1_500);
    let long = format!("-----BEGIN CERTIFICATE-----\n{lines}");
    let key = long.replace("CERTIFICATE", "PRIVATE KEY");
    let fields =
        [("name", "NAS"), ("endpoint", "tcp://nas:2376"), ("ca", &*long), ("cert", &*long), ("key", &*key)];
    let answer = ada.post("/hosts", &fields).await;
    assert_eq!(answer.status, 422, "{}", answer.body.chars().take(400).collect::<String>());
    assert!(!answer.text("#ca-error").is_empty());
    let body = json!({"name": "NAS", "endpoint": "tcp://nas:2376", "ca": long, "cert": long, "key": key});
    assert_eq!(test.bearer(Role::Admin).await.post_json("/api/hosts", &body).await.status, 422);
}

#[tokio::test]
async fn a_stored_private_key_is_kept_and_never_shown() {
    // The certificates are made now, and valid for two days from then on.
    let now = docknap::clock::Clock::system().now() + jiff::SignedDuration::from_hours(1);
    let test = TestApp::over(Bench::new(&now.to_string(), media()).await).await;
    let mut ada = test.admin().await;
    let directory = tempfile::tempdir().expect("a directory");
    crate::docker_tls::certificates(directory.path());
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("a file");
    let (ca, cert, key) = (read("ca.pem"), read("client/cert.pem"), read("client/key.pem"));
    let secret = key.lines().nth(1).expect("a line of the key");
    let mut fields = vec![
        ("name", "VPS"),
        ("endpoint", "tcp://127.0.0.1:1"),
        ("ca", &*ca),
        ("cert", &*cert),
        ("key", &*key),
    ];
    let made = ada.post("/hosts", &fields).await;
    assert_eq!((made.status, made.location()), (303, "/hosts/vps"), "{}", made.body);
    let shown = ada.get("/hosts/vps").await;
    assert!(shown.text("main").contains("DockNap’s"), "the client certificate is listed: {}", shown.body);
    let form = ada.get("/hosts/vps/edit").await;
    assert_eq!(form.text("#cert"), cert.split_whitespace().collect::<Vec<_>>().join(" "));
    assert!(form.text("#key-hint").contains("Stored; leave it empty to keep it."), "{}", form.body);
    assert!(form.attribute("#id", "id").is_none(), "the id never changes");
    assert!(!form.body.contains(secret) && !shown.body.contains(secret));

    fields.truncate(4);
    fields.extend([("key", ""), ("note", "rented"), ("rev", "1")]);
    let saved = ada.post("/hosts/vps", &fields).await;
    assert_eq!(saved.status, 303, "{}", saved.body);
    let stored = docknap::db::hosts::get(&test.app.db, &HostId::from("vps")).await.expect("it reads");
    let stored = format!("{:?}", stored.expect("a row"));
    assert!(stored.contains("sealed_key: Some") && stored.contains("rented"), "{stored}");
}

#[tokio::test]
async fn a_form_that_is_out_of_date_shows_what_differs() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    add(&mut ada, "NAS").await;
    let edit = |note: &'static str, rev: &'static str| {
        let mut fields = plain("NAS", "tcp://127.0.0.1:1").to_vec();
        fields.retain(|(name, _)| *name != "note");
        fields.extend([("note", note), ("rev", rev)]);
        fields
    };
    assert_eq!(ada.post("/hosts/nas", &edit("theirs", "1")).await.status, 303);
    let late = ada.post("/hosts/nas", &edit("mine", "1")).await;
    assert_eq!(late.status, 409, "{}", late.body);
    let shown = late.text("#stale");
    assert!(shown.contains("Note mine theirs") && !shown.contains("Address"), "{shown}");
    assert_eq!(late.text("#note"), "mine", "what was typed stays");
    assert_eq!(late.attribute("[name=rev]", "value").as_deref(), Some("2"));
    // Saving again replaces what is stored.
    assert_eq!(ada.post("/hosts/nas", &edit("mine", "2")).await.status, 303);
    assert!(ada.get("/hosts/nas").await.text(".dl").contains("Note mine"));
}

#[tokio::test]
async fn a_disabled_host_says_how_many_schedules_wait_and_stays_disabled_when_it_is_changed() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    add(&mut ada, "NAS").await;
    schedule(&test, "nas").await;
    assert_eq!(ada.post("/hosts/nas/disable", &[]).await.location(), "/hosts/nas");
    let page = ada.get("/hosts/nas").await;
    assert!(page.text(".flash").contains("The host is disabled; its schedule waits."), "{}", page.body);
    assert!(page.text(".head .state").contains("Disabled"), "{}", page.body);
    assert!(page.text(".note").contains("Its schedule waits."), "{}", page.body);
    let mut fields = plain("NAS", "tcp://127.0.0.1:1").to_vec();
    fields.push(("rev", "2"));
    assert_eq!(ada.post("/hosts/nas", &fields).await.status, 303);
    assert!(ada.get("/hosts/nas").await.text(".head .state").contains("Disabled"));
    assert_eq!(ada.post("/hosts/nas/enable", &[]).await.status, 303);
    assert!(!ada.get("/hosts/nas").await.text(".head .state").contains("Disabled"));
}

#[tokio::test]
async fn before_a_host_is_deleted_its_schedules_are_deleted_or_move() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    add(&mut ada, "NAS").await;
    add(&mut ada, "VPS").await;
    let id = schedule(&test, "nas").await;
    let ask = ada.get("/hosts/nas/delete").await;
    let text = ask.text("main");
    assert!(
        text.contains("Delete the host “NAS”?") && text.contains("Nothing changes on the Engine."),
        "{text}"
    );
    assert!(text.contains("Runs keep its id, and the audit log its name."), "{text}");
    let options = ask.text("#schedules option");
    assert_eq!(options, "Choose … Delete its 1 schedule too Move them to local Move them to VPS");
    assert!(ada.get_part("/hosts/nas/delete").await.body.contains("<dialog"));

    let undecided = ada.post("/hosts/nas/delete", &[("rev", "1"), ("schedules", "")]).await;
    assert_eq!(undecided.status, 422, "{}", undecided.body);
    assert!(!undecided.text("#schedules-error").is_empty(), "{}", undecided.body);
    let gone = ada.post("/hosts/nas/delete", &[("rev", "1"), ("schedules", "move:none")]).await;
    assert_eq!(gone.status, 422, "{}", gone.body);

    let deleted = ada.post("/hosts/nas/delete", &[("rev", "1"), ("schedules", "move:vps")]).await;
    assert_eq!((deleted.status, deleted.location()), (303, "/hosts"), "{}", deleted.body);
    assert_eq!(host_of(&test, &id).await.json()["host"], "vps");
    assert_eq!(ada.get("/hosts/nas").await.status, 404);
    assert_eq!(ada.get_part("/hosts/nas").await.header("hx-reswap"), "delete");
    assert!(ada.get("/audit?about=host").await.text("main").contains("deleted the host"));

    let deleted = ada.post("/hosts/vps/delete", &[("rev", "1"), ("schedules", "delete")]).await;
    assert_eq!(deleted.status, 303, "{}", deleted.body);
    assert_eq!(host_of(&test, &id).await.status, 404);
}

#[tokio::test]
async fn hosts_of_the_settings_are_read_only() {
    let vps = HostSetting {
        id: "vps".to_owned(),
        name: "The VPS".to_owned(),
        endpoint: "tcp://127.0.0.1:1".to_owned(),
        insecure: true,
        tls: None,
        groups: Vec::new(),
    };
    let test = TestApp::with(|config| config.hosts = vec![vps]).await;
    let mut ada = test.admin().await;
    let page = ada.get("/hosts/vps").await;
    let text = page.text("main");
    for part in ["docknap.toml", "read-only here", "Plain TCP without TLS"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(page.text(".head").contains("Test") && !page.text(".head").contains("Edit"), "{}", page.body);
    for (id, whose) in [("vps", "docknap.toml"), ("local", "DOCKER_HOST")] {
        for page in ["edit", "delete"] {
            let refused = ada.get(&format!("/hosts/{id}/{page}")).await;
            assert_eq!(refused.status, 409, "{}", refused.body);
            assert!(refused.text("main").contains(whose), "{}", refused.body);
        }
        assert_eq!(ada.post(&format!("/hosts/{id}/disable"), &[]).await.status, 409);
    }
}

#[tokio::test]
async fn who_may_only_look_has_no_buttons_and_changes_nothing() {
    let test = TestApp::new().await;
    add(&mut test.admin().await, "NAS").await;
    for role in [Role::Viewer, Role::Operator] {
        let mut client = test.browser(role).await;
        assert!(client.get("/hosts").await.text("main").contains("NAS"));
        let page = client.get("/hosts/nas").await;
        assert_eq!(page.text("h1"), "NAS");
        assert_eq!(page.text(".head button") + page.text(".head .acts").as_str(), "");
        for path in ["/hosts/new", "/hosts/nas/edit", "/hosts/nas/delete"] {
            assert_eq!(client.get(path).await.status, 403, "{path}");
        }
        for path in ["", "/new/test", "/nas", "/nas/test", "/nas/enable", "/nas/disable", "/nas/delete"] {
            let path = format!("/hosts{path}");
            assert_eq!(client.post(&path, &plain("Other", "tcp://127.0.0.1:1")).await.status, 403, "{path}");
        }
    }
}
