//! What is told about hosts before it hurts: certificates that end, one machine under two addresses, a stored host that
//! the settings hide; and what becomes of runs and rules when a host is deleted or cannot be read.

use docknap::app::hosts::expiry;
use docknap::clock::Clock;
use docknap::config::{Config, HostSetting};
use docknap::db::{self, Db};
use docknap::domain::host::{HostRecord, HostSource, HostSpec, HostTls};
use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::sim::{DaemonEnd, World};
use jiff::SignedDuration;
use serde_json::json;

use crate::hosts_named::{connected, schedule, two_hosts};
use crate::support::app::TestApp;
use crate::support::bench::Bench;
use crate::support::sim::Simulated;

fn media() -> World {
    World::new().stack("media", |s| s.service("web", |c| c))
}

#[tokio::test]
async fn a_certificate_that_ends_soon_needs_attention_and_is_told_once_for_each_number_of_days() {
    // The certificates are made now, and valid for two days from then on.
    let now = Clock::system().now() + SignedDuration::from_hours(1);
    let test = TestApp::over(Bench::new(&now.to_string(), media()).await).await;
    let mut ada = test.admin().await;
    let directory = tempfile::tempdir().expect("a directory");
    crate::docker_tls::certificates(directory.path());
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("a file");
    let (ca, cert, key) = (read("ca.pem"), read("client/cert.pem"), read("client/key.pem"));
    let fields =
        [("name", "VPS"), ("endpoint", "tcp://127.0.0.1:1"), ("ca", &*ca), ("cert", &*cert), ("key", &*key)];
    let made = ada.post("/hosts", &fields).await;
    assert_eq!(made.status, 303, "{}", made.body);
    let page = ada.get("/").await;
    let line = page.text("#now .need[data-tone=bad]");
    assert!(line.contains("A certificate for host VPS ends") && line.contains("renew it"), "{line}");
    let lines =
        |page: &crate::support::app::Answer| page.text("#now .lines:not([aria-label]) .need .main-link");
    assert!(lines(&page).contains("certificate"), "{}", lines(&page));

    let host = test.app.hosts.get(&HostId::from("vps")).expect("the host");
    let end = expiry::first_to_end(&host.certificates(), now).expect("it ends soon").not_after;
    expiry::tell_all(&test.app);
    assert!(!host.tells_expiry(end, 3), "it is told, and not again");

    // Hidden, it is back when the end has come.
    let hide = page.attribute("#now .need form[hx-post$='/hide']", "action");
    for _ in 0..4 {
        let page = ada.get("/").await;
        let forms = page.attribute("#now .need:has(a[href='/hosts/vps']) form[hx-post$='/hide']", "action");
        let Some(form) = forms else { break };
        assert_eq!(ada.post(&form, &[]).await.status, 303);
    }
    assert!(hide.is_some() && !lines(&ada.get("/").await).contains("certificate"));
    test.bench().leap_to(end).await;
    let mut ada = test.admin().await;
    let page = ada.get("/").await;
    assert!(lines(&page).contains("A certificate for host VPS has ended"), "{}", page.text("#now"));
    expiry::tell_all(&test.app);
    assert!(!host.tells_expiry(end, 0), "its end is told");
}

#[tokio::test]
async fn two_hosts_whose_docker_has_the_same_id_are_told() {
    let (test, _nas) = two_hosts().await;
    let other = Simulated::start(test.bench().clock.clone(), media().engine_id("OTHER")).await;
    test.add_host("VPS", "vps", &other).await;
    let mut vera = test.viewer().await;
    for (host, twin) in [("local", "NAS & co."), ("nas", "local")] {
        let told = vera.get(&format!("/hosts/{host}")).await.text(".note[data-tone=warn]");
        assert!(told.contains(&format!("Its Docker has the same id as that of {twin}.")), "{host}: {told}");
    }
    assert!(!vera.get("/hosts/vps").await.text("main").contains("the same id"));
    assert_eq!(vera.get("/hosts").await.text("main").matches("the same id").count(), 2);
}

fn stored(id: &str, endpoint: &str, tls: Option<HostTls>) -> HostRecord {
    let at = "2027-03-02T22:30:00Z".parse().expect("an instant");
    HostRecord {
        id: HostId::from(id),
        spec: HostSpec {
            name: "The old NAS".to_owned(),
            endpoint: endpoint.to_owned(),
            insecure: true,
            tls,
            ..HostSpec::default()
        },
        enabled: true,
        source: HostSource::Ui,
        rev: 1,
        created_at: at,
        updated_at: at,
    }
}

async fn store(db: &Db, host: &HostRecord) {
    let mut tx = db.begin().await.expect("begins");
    assert!(db::hosts::insert(&mut tx, host).await.expect("stores"));
    tx.commit().await.expect("commits");
}

#[tokio::test]
async fn a_stored_host_that_the_settings_hide_is_told() {
    let nas = HostSetting {
        groups: Vec::new(),
        id: "nas".to_owned(),
        name: "NAS".to_owned(),
        endpoint: "tcp://127.0.0.1:1".to_owned(),
        insecure: true,
        tls: None,
    };
    let test = TestApp::with(|config| config.hosts = vec![nas]).await;
    let mut vera = test.viewer().await;
    assert!(!vera.get("/hosts").await.text("main").contains("is stored too"));
    store(&test.app.db, &stored("nas", "tcp://192.0.2.7:2375", None)).await;
    let told = vera.get("/hosts/nas").await.text(".note[data-tone=warn]");
    assert!(told.contains("A host with this id is stored too: The old NAS, tcp://192.0.2.7:2375"), "{told}");
    assert!(vera.get("/hosts").await.text("main").contains("is stored too"));
    let health = vera.get("/health").await.text("[aria-labelledby=docker-title]");
    assert_eq!(health.matches("A stored host of this id is not used").count(), 1, "{health}");
    docknap::app::hosts::tell_shadowed(&test.app).await.expect("it reads");
}

#[tokio::test]
async fn a_run_that_waits_for_a_host_is_cancelled_when_the_host_is_deleted() {
    let (test, nas) = two_hosts().await;
    schedule(&test, "nas", json!({"action": "stop", "cron": "0 23 * * *"})).await;
    nas.control.daemon_down(DaemonEnd::Crash);
    connected(&test, false).await;
    test.bench().advance_to("2027-03-02T23:00:00Z").await;
    test.bench().tick().await;
    let mut admin = test.bearer(Role::Admin).await;
    let run = admin.get("/api/runs").await.json()["items"][0].clone();
    assert_eq!((&run["state"], &run["host"]), (&json!("pending"), &json!("nas")), "{run:#}");
    let gone = test.admin().await.post("/hosts/nas/delete", &[("rev", "1"), ("schedules", "delete")]).await;
    assert_eq!(gone.status, 303, "{}", gone.body);
    test.bench().settle().await;
    let run = admin.get(&format!("/api/runs/{}", run["id"].as_str().expect("an id"))).await.json();
    assert_eq!(
        (&run["state"], &run["reason"]),
        (&json!("cancelled"), &json!("its host was deleted")),
        "{run:#}"
    );
}

#[tokio::test]
async fn what_is_wrong_with_the_rows_of_one_host_stops_no_other() {
    let (test, nas) = two_hosts().await;
    schedule(&test, "nas", json!({"window": "sleep 23:00-07:00"})).await;
    schedule(&test, "local", json!({"window": "sleep 23:00-07:00"})).await;
    let Db::Sqlite { writer, .. } = &test.app.db else { panic!("it is SQLite") };
    let sql = "INSERT INTO applied (host_id, identity, state, at_ms, settled, put_backs) \
               VALUES ('local', 'name:x', 'odd', 0, TRUE, 0)";
    sqlx::query(sql).execute(writer).await.expect("it is stored");
    test.bench().advance_to("2027-03-02T23:00:00Z").await;
    // The pass ends with the error, so that the scheduler tries again soon.
    assert!(docknap::scheduler::tick(&test.app).await.is_err());
    test.bench().settle().await;
    assert!(nas.control.running("media").is_empty(), "{:#?}", nas.control.containers());
}

#[tokio::test]
async fn a_copy_with_sealed_keys_is_only_restored_where_their_secret_key_is() {
    let here = tempfile::tempdir().expect("a directory");
    let clock = Clock::frozen("2027-03-02T22:30:00Z".parse().expect("an instant"));
    let config = |home: &std::path::Path| Config { data_dir: home.to_owned(), ..Config::default() };
    let file = here.path().join("docknap.db");
    let db = Db::open_sqlite(&file, docknap::db::engine::Durability::Full).await.expect("it opens");
    let cost = docknap::app::auth::password::Cost::TINY;
    let auth =
        docknap::app::Auth::open(&db, &config(here.path()), &clock, cost).await.expect("keys are made");
    let sealed_key = Some(auth.seal("a private key").expect("sealed"));
    let tls = HostTls::Texts { ca: "ca".to_owned(), cert: Some("cert".to_owned()), sealed_key };
    store(&db, &stored("vps", "tcp://vps:2376", Some(tls))).await;
    let copy = here.path().join("copy.db");
    docknap::app::backup::copy(&config(here.path()), &clock, &copy).await.expect("a copy");
    db.close().await;

    let there = tempfile::tempdir().expect("a directory");
    let restore = async || docknap::app::backup::restore(&config(there.path()), &clock, &copy).await;
    let names = || {
        let entries = std::fs::read_dir(there.path()).expect("a directory");
        let mut names: Vec<String> =
            entries.map(|one| one.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| std::path::Path::new(name).extension().is_none_or(|end| end != "lock"));
        names.sort();
        names
    };
    let refused = restore().await.expect_err("no key").to_string();
    assert!(refused.contains("there is no secret key to open them; put the secret.key"), "{refused}");
    assert_eq!(names(), [""; 0], "nothing is left behind, and no key is made");
    std::fs::write(there.path().join("secret.key"), "x".repeat(40)).expect("written");
    let refused = restore().await.expect_err("another key").to_string();
    assert!(refused.contains("sealed with another secret key"), "{refused}");
    assert_eq!(names(), ["secret.key"]);
    std::fs::copy(here.path().join("secret.key"), there.path().join("secret.key")).expect("copied");
    restore().await.expect("it is restored");
    assert!(names().contains(&"docknap.db".to_owned()), "{:?}", names());
}

#[tokio::test]
async fn the_date_that_weeks_are_counted_from_begins_with_today_and_says_nothing_alone() {
    let test = TestApp::over(Bench::new("2027-03-02T22:30:00Z", media()).await).await;
    let mut otto = test.operator().await;
    let form = otto.get("/schedules/new").await;
    assert_eq!(form.attribute("#anchor", "value").as_deref(), Some("2027-03-02"));
    assert!(form.attribute("details.more[open] #anchor", "id").is_none(), "it opens nothing");
    let key = docknap::domain::target::key(&HostId::local(), "media");
    let target = format!("stack/{key}");
    let fields = |weeks: &'static str, anchor: &'static str| {
        [
            ("target", target.clone()),
            ("kind", "cron".to_owned()),
            ("cron", "0 23 * * *".to_owned()),
            ("action", "stop".to_owned()),
            ("every_weeks", weeks.to_owned()),
            ("anchor", anchor.to_owned()),
            ("anchor.of", "2027-03-02".to_owned()),
            ("save", "on".to_owned()),
        ]
    };
    let mut api = test.bearer(Role::Viewer).await;
    for (weeks, anchor, status) in
        [("", "2027-03-02", 303), ("2", "2027-03-02", 303), ("", "2027-03-09", 422)]
    {
        let fields = fields(weeks, anchor);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
        let saved = otto.post("/schedules", &fields).await;
        assert_eq!(saved.status, status, "{weeks} {anchor}: {}", saved.text("#errors"));
        if status == 303 {
            let newest = api.get("/api/schedules").await.json()["items"][0].clone();
            let weeks = if weeks.is_empty() { json!(null) } else { json!(2) };
            assert_eq!(newest["every_weeks"], weeks, "{newest:#}");
        }
    }
}
