//! The sleep report as page and API, settings, metrics and health.

use std::collections::BTreeMap;
use std::time::Duration;

use docknap::app::metrics;
use docknap::config::Metrics;
use docknap::domain::action::Action;
use docknap::domain::permission::Role;
use docknap::scheduler::tick;
use docknap::sim::World;
use secrecy::SecretString;
use serde_json::json;

use crate::support::app::{Answer, Client, TestApp};
use crate::support::bench::Bench;

/// A Wednesday.
const NOW: &str = "2027-03-03T12:00:00Z";
const TOKEN: &str = "0123456789abcdef";

fn world() -> World {
    let day = Duration::from_secs(24 * 3600);
    World::new()
        .stack("shop", |s| s.service("web", |c| c.uses(50, 2 << 30).up_for(day)))
        .stack("q\"uote", |s| s.service("web", |c| c.uses(50, 1 << 30).up_for(day)))
}

/// `shop` has napped for four hours of this week.
async fn napped() -> TestApp {
    let test = TestApp::over(Bench::new(NOW, world()).await).await;
    let bench = test.bench();
    bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    bench.advance(Duration::from_secs(4 * 3600)).await;
    bench.carry_out(Action::Start, Bench::stack("shop")).await;
    test
}

#[tokio::test]
async fn a_report_tells_what_napped_and_what_that_gave_back() {
    let test = napped().await;
    let mut vera = test.bearer(Role::Viewer).await;
    let report = vera.get("/api/report").await.json();
    assert_eq!((&report["week"], &report["timezone"]), (&json!("2027-W09"), &json!("UTC")));
    assert_eq!(report["targets"].as_array().map(Vec::len), Some(1));
    let shop = &report["targets"][0];
    assert_eq!(
        (&shop["target_type"], &shop["target_id"], &shop["naps"]),
        (&json!("stack"), &json!("shop"), &json!(1))
    );
    let near = |value: &serde_json::Value, wanted: f64| {
        (value.as_f64().unwrap_or(0.0) - wanted).abs() < wanted / 100.0
    };
    assert!(near(&shop["napped_seconds"], 14_400.0), "{shop}");
    assert!(near(&shop["memory_gib_hours"], 8.0) && near(&shop["cpu_core_hours"], 2.0), "{shop}");
    assert_eq!(
        (&shop["energy_kwh"], &shop["money"]),
        (&json!(null), &json!(null)),
        "nobody has said any watts"
    );
    assert_eq!(report["total"]["napped_seconds"], shop["napped_seconds"]);
    assert_eq!(report["trend"].as_array().map(Vec::len), Some(8));
    assert_eq!(report["trend"][7]["week"], "2027-W09");
    let earlier = vera.get("/api/report?week=2027-W08").await.json();
    assert_eq!((&earlier["targets"], &earlier["total"]["napped_seconds"]), (&json!([]), &json!(0)));
    for wrong in ["/api/report?week=2027-W54", "/api/report?week=soon", "/api/report?wek=2027-W08"] {
        assert_eq!(vera.get(wrong).await.status, 422, "{wrong}");
    }

    let mut vera = test.viewer().await;
    let page = vera.get("/report").await;
    assert_eq!(page.text(".facts"), "Slept 4.0 h this week: 8.00 GiB·h of memory given back.");
    assert_eq!(page.text("table.report tbody .main-link"), "shop");
    assert!(page.text("table.report tbody").contains("1 container nap"), "{}", page.text("main"));
    assert!(!page.text("table.report").contains("Energy"), "the column is left out, with a hint");
    assert!(page.text("main").contains("Energy and money show here too once an admin"));
    assert_eq!(
        page.text(".bars title"),
        "Hours asleep in each of the last eight weeks: 0, 0, 0, 0, 0, 0, 0, 4.0"
    );
    let before = page.attribute(".flips a", "href").expect("a way back");
    assert_eq!(before, "/report?week=2027-W08");
    let earlier = vera.get(&before).await;
    assert!(earlier.text("main").contains("Nothing napped in this week"), "{}", earlier.text("main"));
    assert_eq!(earlier.text(".facts"), "Nothing slept in week 8.");
    assert_eq!(vera.get("/report?week=never").await.status, 404);
}

#[tokio::test]
async fn an_admin_says_what_energy_is_reckoned_with() {
    let test = napped().await;
    let mut ada = test.admin().await;
    let numbers =
        [("watts_per_core", "10"), ("watts_per_gib", "0,5"), ("price_per_kwh", "0.5"), ("currency", "EUR")];
    let saved = ada.post("/settings/report", &numbers).await;
    assert_eq!((saved.status, saved.location()), (303, "/settings#report"));
    let audit = test.audit().await;
    assert!(audit.iter().any(|row| row.0 == "settings.update"), "{audit:?}");
    let report = test.bearer(Role::Viewer).await.get("/api/report").await.json();
    // 2 core·h at 10 W and 8 GiB·h at 0.5 W.
    let kwh = report["total"]["energy_kwh"].as_f64().expect("a number");
    assert!((kwh - 0.024).abs() < 0.001, "{kwh}");
    let page = ada.get("/report").await;
    assert!(page.text("table.report").contains("0.02 kWh"), "{}", page.text("table.report"));
    assert!(page.text(".sums").contains("about 0.01 EUR"), "{}", page.text(".sums"));

    let rows = test.audit().await.len();
    for (field, text) in [
        ("watts_per_core", "many"),
        ("watts_per_gib", "-1"),
        ("price_per_kwh", "NaN"),
        ("currency", "a long word"),
    ] {
        let mut typed = numbers.to_vec();
        typed.retain(|(name, _)| *name != field);
        typed.push((field, text));
        let back = ada.post("/settings/report", &typed).await;
        assert_eq!(back.status, 422, "{field}");
        assert_eq!(
            back.attribute(&format!("#{field}"), "value").as_deref(),
            Some(text),
            "what was typed stays"
        );
        assert_eq!(back.attribute(&format!("#{field}"), "aria-invalid").as_deref(), Some("true"));
    }
    assert_eq!(test.audit().await.len(), rows, "nothing was stored");
    // The same again changes nothing and is not told.
    ada.post("/settings/report", &numbers).await;
    assert_eq!(test.audit().await.len(), rows);
}

#[tokio::test]
async fn schedules_without_a_zone_follow_the_default_at_once() {
    let test = TestApp::new().await;
    let mut otto = test.bearer(Role::Operator).await;
    let make = |name: &str, zone: Option<&str>| {
        json!({
            "name": name, "target_type": "stack", "target_id": "shop", "action": "stop", "cron": "0 23 * * *",
            "timezone": zone, "allow_missing": true,
        })
    };
    for body in [make("free", None), make("bound", Some("UTC"))] {
        let made = otto.post_json("/api/schedules", &body).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let mut ada = test.admin().await;
    let wrong = ada.post("/settings/zone", &[("timezone", "Mars/Olympus")]).await;
    assert_eq!((wrong.status, wrong.attribute("#timezone", "value").as_deref()), (422, Some("Mars/Olympus")));
    let saved = ada.post("/settings/zone", &[("timezone", "America/New_York")]).await;
    assert_eq!((saved.status, saved.location()), (303, "/settings#time"));
    let listed = otto.get("/api/schedules").await.json();
    let due: BTreeMap<&str, &str> = listed["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["name"].as_str().expect("a name"), one["next_at"].as_str().expect("an instant")))
        .collect();
    assert_eq!(due, BTreeMap::from([("bound", "2026-11-27T23:00:00Z"), ("free", "2026-11-28T04:00:00Z")]));
}

#[tokio::test]
async fn settings_of_the_start_are_shown_with_where_they_came_from_and_no_secret() {
    let test = TestApp::with(|config| {
        config.timezone = Some("Europe/Berlin".to_owned());
        let origin = |text: &str, origin: &str| docknap::config::Origin {
            text: text.to_owned(),
            origin: origin.to_owned(),
        };
        config.given = BTreeMap::from([
            ("TZ", origin("Europe/Berlin", "TZ")),
            ("DOCKNAP_SECRET_KEY", origin("", "DOCKNAP_SECRET_KEY_FILE")),
            ("DOCKNAP_PROTECT", origin("vpn", "`protect` in ./docknap.toml")),
        ]);
    })
    .await;
    let mut ada = test.admin().await;
    let page = ada.get("/settings").await;
    assert_eq!(page.text("#DOCKNAP_PROTECT .line-end"), "vpn `protect` in ./docknap.toml");
    assert_eq!(page.text("#DOCKNAP_SECRET_KEY .line-end"), "set, not shown DOCKNAP_SECRET_KEY_FILE");
    assert_eq!(page.text("#DOCKNAP_PARALLELISM .line-end"), "16 default");
    assert!(
        page.attribute("#timezone", "readonly").is_some()
            && page.text("#time").contains("Set by the variable TZ")
    );
    let refused = ada.post("/settings/zone", &[("timezone", "UTC")]).await;
    assert_eq!(refused.status, 409);
    assert!(
        page.text("#security").contains("Docker’s socket is used directly"),
        "{}",
        page.text("#security")
    );
    assert!(page.text("#backup pre").contains("docknap backup"));
    // Every setting once, and each cure leads to one.
    for setting in docknap::config::table::SETTINGS {
        assert_eq!(page.body.matches(&format!("id=\"{}\"", setting.name)).count(), 1, "{}", setting.name);
    }
    let mut otto = test.operator().await;
    assert_eq!(otto.get("/settings").await.status, 403);
    assert!(!otto.get("/").await.body.contains("/settings\""), "no entry either");
}

async fn scrape(client: &mut Client, bearer: Option<&str>) -> Answer {
    let value = bearer.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = value.iter().map(|value| ("authorization", value.as_str())).collect();
    client.send(axum::http::Method::GET, "/metrics", None, String::new(), &headers).await
}

#[tokio::test]
async fn metrics_are_off_behind_a_token_or_open() {
    let off = TestApp::new().await;
    assert_eq!(scrape(&mut off.anonymous(), None).await.status, 404);
    assert_eq!(scrape(&mut off.admin().await, None).await.status, 404);
    let token = TestApp::with(|config| config.metrics = Metrics::Token(SecretString::from(TOKEN))).await;
    for wrong in [None, Some(""), Some("0123456789abcdeF"), Some("0123456789abcdef0")] {
        let refused = scrape(&mut token.anonymous(), wrong).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"), "{wrong:?}");
        assert!(!refused.body.contains("docknap_"), "{}", refused.body);
    }
    // A login is no token.
    assert_eq!(scrape(&mut token.admin().await, None).await.status, 401);
    assert_eq!(scrape(&mut token.anonymous(), Some(TOKEN)).await.status, 200);
    let open = TestApp::with(|config| config.metrics = Metrics::Open).await;
    let answer = scrape(&mut open.anonymous(), None).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
}

/// Reads the text format as Prometheus does: kind by metric, value by name with labels.
fn read(text: &str) -> (BTreeMap<String, String>, BTreeMap<String, f64>) {
    let (mut kinds, mut values) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            let metric = name.split('{').next().expect("a name");
            let metric = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| metric.strip_suffix(end))
                .unwrap_or(metric);
            assert!(kinds.contains_key(metric), "{metric} comes before its type");
            let labels = name.split_once('{').map_or("", |(_, labels)| labels);
            assert!(labels.is_empty() || labels.ends_with("\"}"), "{name}");
            assert!(
                values.insert(name.to_owned(), value.parse().expect("a number")).is_none(),
                "{name} twice"
            );
        }
    }
    (kinds, values)
}

#[tokio::test]
async fn metrics_count_what_happens() {
    let test = napped().await;
    let bench = test.bench();
    bench.carry_out(Action::Stop, Bench::stack("q\"uote")).await;
    test.operator().await;
    let login = [("name", "otto"), ("password", "wrong wrong wrong")];
    test.anonymous().post("/login", &login).await;
    let body = json!({
        "name": "s", "target_type": "stack", "target_id": "shop", "action": "stop", "cron": "0 23 * * *", "timezone": "UTC",
    });
    let made = test.bearer(Role::Operator).await.post_json("/api/schedules", &body).await.json();
    let id = made["id"].as_str().expect("an id").to_owned();
    bench.advance_to("2027-03-03T23:00:00.020Z").await;
    assert_eq!(tick(&test.app).await.expect("it looks").claimed, 1);
    bench.settle().await;
    let text = metrics::text(&test.app).await.expect("it is read");
    let (kinds, values) = read(&text);
    let value = |name: &str| *values.get(name).unwrap_or_else(|| panic!("{name} is missing in\n{text}"));
    for (name, kind) in [
        ("docknap_build_info", "gauge"),
        ("docknap_runs_total", "counter"),
        ("docknap_run_duration_seconds", "histogram"),
        ("docknap_scheduler_lag_seconds", "histogram"),
        ("docknap_runs_missed_total", "counter"),
        ("docknap_schedules", "gauge"),
        ("docknap_schedule_next_run_timestamp_seconds", "gauge"),
        ("docknap_containers", "gauge"),
        ("docknap_nap_seconds_total", "counter"),
        ("docknap_docker_up", "gauge"),
        ("docknap_auth_attempts_total", "counter"),
    ] {
        assert_eq!(kinds.get(name).map(String::as_str), Some(kind), "{name}");
    }
    assert!(
        (value("docknap_runs_total{action=\"stop\",outcome=\"succeeded\",trigger=\"manual\"}") - 2.0).abs()
            < 0.1
    );
    assert!(
        (value("docknap_runs_total{action=\"stop\",outcome=\"succeeded\",trigger=\"schedule\"}") - 1.0).abs()
            < 0.1
    );
    assert!((value("docknap_run_duration_seconds_count") - 4.0).abs() < 0.1);
    assert!((value("docknap_scheduler_lag_seconds_bucket{le=\"0.025\"}") - 1.0).abs() < 0.1);
    assert!(value("docknap_runs_missed_total").abs() < 0.1);
    assert!((value("docknap_schedules{state=\"enabled\"}") - 1.0).abs() < 0.1);
    let due = value(&format!("docknap_schedule_next_run_timestamp_seconds{{schedule=\"{id}\"}}"));
    assert!((due - 1_804_201_200.0).abs() < 0.1, "{due}");
    assert!((value("docknap_containers{host=\"local\",state=\"exited\"}") - 2.0).abs() < 0.1);
    assert!((value("docknap_docker_up{host=\"local\"}") - 1.0).abs() < 0.1);
    let shop = value("docknap_nap_seconds_total{stack=\"shop\"}");
    assert!((14_390.0..14_500.0).contains(&shop), "{shop}");
    assert!(value("docknap_nap_seconds_total{stack=\"q\\\"uote\"}") > 20_000.0);
    assert!((value("docknap_auth_attempts_total{outcome=\"failed\"}") - 1.0).abs() < 0.1);
    assert!(value("docknap_auth_attempts_total{outcome=\"ok\"}") >= 2.0);
    assert!(!text.contains("otto") && !text.contains("10.0."), "no names of people, no addresses");
    // Time asleep goes on, and is not counted twice.
    bench.advance(Duration::from_secs(600)).await;
    let (_, later) = read(&metrics::text(&test.app).await.expect("it is read"));
    let grown = later["docknap_nap_seconds_total{stack=\"shop\"}"] - shop;
    assert!((590.0..=610.0).contains(&grown), "{grown}");
}

#[tokio::test]
async fn health_is_told_to_people_and_a_bundle_holds_no_names() {
    let test = napped().await;
    let mut vera = test.viewer().await;
    let ill = vera.get("/health").await;
    assert!(ill.text(".facts").starts_with("Not well"), "nobody has ticked: {}", ill.text(".facts"));
    test.app.vitals.beat(test.clock.now(), 10);
    let page = vera.get("/health").await;
    assert_eq!(page.status, 200);
    assert!(page.text(".facts").starts_with("Well"), "{}", page.text(".facts"));
    assert!(page.text("main").contains("SQLite 3.") && page.text("main").contains("migrations applied"));
    assert!(page.text("main").contains("Connected; changes come in as they happen."));
    assert!(!page.body.contains("Support bundle"), "for admins");
    assert_eq!(vera.get("/health/bundle").await.status, 403);
    assert_eq!(vera.get("/").await.attribute(".foot a", "href").as_deref(), Some("/health"));
    let mut ada = test.admin().await;
    let bundle = ada.get("/health/bundle").await;
    assert_eq!(bundle.header("content-disposition"), "attachment; filename=\"docknap-support.json\"");
    assert_eq!(bundle.json()["alive"], true);
    let zones = docknap::zones::chosen().to_string();
    assert_eq!(bundle.json()["time_zones"], zones.as_str());
    assert!(ada.get("/health").await.text("#about-title + p").contains(&zones), "About says it too");
    for name in ["shop", "ada", "otto", "vera", "10.0.", "/tmp"] {
        assert!(!bundle.body.contains(name), "{name} in {}", bundle.body);
    }
    let shown = ada.get("/health").await.text("#bundle-title + p + details pre");
    assert!(shown.contains("\"lag_seconds\""), "{shown}");
}
