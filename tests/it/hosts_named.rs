//! The same name on two hosts: every list, file and line says which one is meant, and every list is filtered by host.

use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::domain::target;
use docknap::sim::{DaemonEnd, World};
use serde_json::{Value, json};

use crate::support::app::{Client, TestApp};
use crate::support::bench::Bench;
use crate::support::sim::Simulated;

const NOW: &str = "2027-03-02T22:30:00Z";

fn media() -> World {
    World::new().stack("media", |s| s.service("db", |c| c).service("web", |c| c))
}

/// DockNap with `local` and `nas`, which is called `NAS & co.`; both have a stack `media`.
pub async fn two_hosts() -> (TestApp, Simulated) {
    let bench = Bench::new(NOW, media()).await;
    let nas = Simulated::start(bench.clock.clone(), media()).await;
    let test = TestApp::over(bench).await;
    test.add_host("NAS & co.", "nas", &nas).await;
    (test, nas)
}

/// Waits until `nas` is connected, or is not.
pub async fn connected(test: &TestApp, is_connected: bool) {
    let id = HostId::from("nas");
    test.bench()
        .until("the host is connected or not", async || {
            test.app.hosts.get(&id).is_some_and(|host| host.inventory().is_connected() == is_connected)
        })
        .await;
}

/// A schedule of `media` on a host; its id.
pub async fn schedule(test: &TestApp, host: &str, mut fields: Value) -> String {
    let mut api = test.bearer(Role::Admin).await;
    let target = json!({"host": host, "target_type": "stack", "target_id": "media"});
    fields.as_object_mut().expect("an object").extend(target.as_object().expect("an object").clone());
    let made = api.post_json("/api/schedules", &fields).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()["id"].as_str().expect("an id").to_owned()
}

/// Stops `media` on a host by hand and waits for the end.
async fn stop(test: &TestApp, host: &str) {
    let mut api = test.bearer(Role::Admin).await;
    let stopped = api.post_json(&format!("/api/stacks/{host}/media/stop"), &json!({})).await;
    assert_eq!(stopped.status, 202, "{}", stopped.body);
    test.bench().settle().await;
}

fn key(host: &str) -> String {
    target::key(&HostId::from(host), "media")
}

#[tokio::test]
async fn the_audit_log_names_the_host_and_leads_to_it() {
    let (test, _nas) = two_hosts().await;
    schedule(&test, "nas", json!({"action": "stop", "cron": "0 23 * * *"})).await;
    stop(&test, "nas").await;
    stop(&test, "local").await;
    let mut ada = test.admin().await;
    let page = ada.get("/audit?event=stack.stop").await;
    assert_eq!(page.text("#audit .chip.host"), "local NAS & co.", "the newest first");
    for host in ["local", "nas"] {
        let link = format!("#audit a[href='/stacks/{}']", key(host));
        assert_eq!(page.text(&link), "media", "{host}: {}", page.body);
    }
    // Filtered by host: also the rows of its runs, schedules and of itself.
    let text = ada.get("/audit?host=nas").await.text("#audit");
    for deed in ["added the host", "made the schedule", "asked for a stop", "finished a run on"] {
        assert!(text.contains(deed), "{deed}: {text}");
    }
    assert!(!text.contains("local") && !text.contains("logged in"), "{text}");
    let csv = ada.get("/audit.csv?event=stack.stop").await.body;
    let hosts: Vec<&str> = csv.lines().map(|line| line.rsplit(',').next().unwrap_or_default()).collect();
    assert_eq!(hosts, ["host", "local", "nas"], "{csv}");
    let mut api = test.bearer(Role::Admin).await;
    let rows = api.get("/api/audit?event=stack.stop&host=nas").await.json();
    assert_eq!((rows["items"].as_array().map(Vec::len), &rows["items"][0]["host"]), (Some(1), &json!("nas")));

    // The page of a stack shows its own rows alone.
    let rows = ada.get(&format!("/stacks/{}?tab=audit", key("nas"))).await;
    assert!(rows.text(".audit-row").contains("NAS & co.") && !rows.text(".audit-row").contains("local"));

    // A deleted host is named by its id, and its rows lead nowhere.
    let gone = ada.post("/hosts/nas/delete", &[("rev", "1"), ("schedules", "delete")]).await;
    assert_eq!(gone.status, 303, "{}", gone.body);
    let page = ada.get("/audit?host=nas&event=stack.stop").await;
    assert_eq!(page.text("#audit .chip.host"), "nas");
    assert!(page.attribute("#audit a[href^='/stacks']", "href").is_none(), "{}", page.body);
    assert_eq!(page.text("nav[aria-label=Host] [aria-current]"), "nas, not there now");
}

#[tokio::test]
async fn files_lists_and_calendars_name_the_host() {
    let (test, _nas) = two_hosts().await;
    for host in ["local", "nas"] {
        schedule(&test, host, json!({"action": "stop", "cron": "0 23 * * *", "name": "Nights"})).await;
        schedule(&test, host, json!({"window": "sleep 23:30-07:00"})).await;
    }
    stop(&test, "nas").await;
    let mut ada = test.admin().await;
    let csv = ada.get("/runs.csv").await.body;
    assert!(csv.lines().nth(1).is_some_and(|line| line.ends_with(",nas")), "{csv}");
    assert_eq!(ada.get("/runs.json").await.json()["items"][0]["host"], "nas");

    ada.get("/profile").await;
    let made = ada.post("/profile/feeds", &[]).await;
    let address = made.attribute("#address", "value").expect("it is shown");
    let path = address.strip_prefix("http://nas.lan:8080").expect("all of it");
    let feed = test.program().get(path).await.body.replace("\r\n ", "");
    for title in ["media on local asleep", "media on NAS & co. asleep", "Stop media on NAS & co."] {
        assert!(feed.contains(title), "{title}: {feed}");
    }

    let page = ada.get("/timeline?view=day").await;
    for part in ["#words .lead", "li.lane svg title"] {
        let text = page.text(part);
        assert!(text.contains("media") && text.contains("NAS & co.") && text.contains("local"), "{text}");
    }
    let options = ada.get("/runs").await;
    for select in ["#target", "#schedule"] {
        let text = options.text(&format!("{select} option"));
        assert!(text.contains("on NAS & co.") && text.contains("on local"), "{select}: {text}");
    }
    let groups = ada.get("/schedules?by=stack").await.text("tr.group");
    assert_eq!(groups, "media on local media on NAS & co.");
}

#[tokio::test]
async fn a_line_that_needs_attention_and_a_conflict_name_the_host() {
    let (test, nas) = two_hosts().await;
    let window = schedule(&test, "nas", json!({"window": "sleep 23:00-07:00"})).await;
    schedule(&test, "nas", json!({"action": "start", "cron": "0 1 * * *"})).await;
    nas.control.exit("media-web-1", 3);
    test.bench()
        .until("the failure is seen", async || {
            let host = test.app.hosts.get(&HostId::from("nas")).expect("the host");
            host.inventory().containers.iter().any(|one| one.exit_code == Some(3))
        })
        .await;
    let mut ada = test.admin().await;
    let page = ada.get("/").await;
    assert!(
        page.text("#now .need").contains("media-web-1 on NAS & co. ended with exit code 3"),
        "{}",
        page.text("#now")
    );
    let page = ada.get(&format!("/schedules/{window}/conflict")).await;
    assert_eq!(page.text(".duo .chip.host"), "NAS & co. NAS & co.", "{}", page.body);
}

#[tokio::test]
async fn every_list_is_filtered_by_host_and_says_so_where_there_is_none() {
    let (test, _nas) = two_hosts().await;
    let ids = [
        schedule(&test, "local", json!({"action": "stop", "cron": "0 3 * * *", "name": "Of the local"}))
            .await,
        schedule(&test, "nas", json!({"action": "stop", "cron": "0 4 * * *", "name": "Of the NAS"})).await,
    ];
    stop(&test, "local").await;
    stop(&test, "nas").await;
    test.bench().advance(std::time::Duration::from_secs(1800)).await;
    let mut ada = test.admin().await;
    for (path, region) in [
        ("/", "#board"),
        ("/schedules", "#schedules"),
        ("/timeline?view=agenda&", "#timeline"),
        ("/timeline?view=day&", "#timeline"),
        ("/runs", "#runs"),
        ("/audit", "#audit"),
        ("/report", "main"),
    ] {
        let at = |host: &str| {
            let sign = if path.ends_with('&') { "" } else { "?" };
            format!("{path}{sign}host={host}")
        };
        let page = ada.get(&at("nas")).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert_eq!(page.text("nav[aria-label=Host] [aria-current]"), "NAS & co.", "{path}");
        let chips = format!("{region} .chip.host");
        let named = page.text(&chips);
        assert!(named.contains("NAS & co.") && !named.contains("local"), "{path}: {named}");
        // Every link and every request that keeps the list keeps its host.
        let all = ada.get(path.trim_end_matches('&')).await;
        assert!(all.text(&chips).contains("local") && all.text(&chips).contains("NAS & co."), "{path}");
        let live = page.attribute(&format!("{region}[hx-get]"), "hx-get");
        assert!(live.is_none_or(|live| live.is_empty() || live.contains("host=nas")), "{path}");
        let unknown = ada.get(&at("nass")).await;
        let keeps_past = matches!(path, "/runs" | "/audit");
        assert_eq!(unknown.status, if keeps_past { 200 } else { 404 }, "{path}");
        let says = unknown.text("main");
        assert!(says.contains("nass"), "{path}: {says}");
        let part = ada.get_part(&at("nas")).await;
        assert!(!part.body.contains("on local"), "{path}");
    }
    for (path, link) in [
        ("/runs?host=nas", "/runs.csv?host=nas"),
        ("/runs?host=nas", "/runs?host=nas&state=skipped"),
        ("/audit?host=nas", "/audit.json?host=nas"),
        ("/audit?host=nas", "/audit?host=nas&about=run"),
        ("/schedules?host=nas", "/schedules.yaml?host=nas"),
        ("/schedules?host=nas", "/schedules?host=nas&sort=name"),
        ("/report?host=nas", "/report?week=2027-W08&host=nas"),
        ("/?host=nas", "/?host=nas&state=napping"),
    ] {
        let page = ada.get(path).await;
        assert_eq!(page.attribute(&format!("a[href='{link}']"), "href").as_deref(), Some(link), "{path}");
    }
    for path in ["/runs?host=nas", "/audit?host=nas", "/?host=nas", "/timeline?host=nas"] {
        let page = ada.get(path).await;
        assert_eq!(page.attribute("form input[name=host]", "value").as_deref(), Some("nas"), "{path}");
    }
    let yaml = ada.get("/schedules.yaml?host=nas").await.body;
    assert!(yaml.contains("Of the NAS") && !yaml.contains("Of the local"), "{yaml}");
    let card = ada.get("/hosts").await;
    assert_eq!(card.text("a[href='/schedules?host=nas']"), "1", "{}", card.body);
    let simulated = test.bearer(Role::Viewer).await.get("/api/simulate?host=nas").await.json();
    let events = simulated["events"].as_array().expect("events");
    assert!(!events.is_empty() && events.iter().all(|event| event["host"] == "nas"), "{simulated:#}");
    assert_eq!(ids.len(), 2);

    // With one host there is nothing to choose.
    let single = TestApp::over(Bench::new(NOW, media()).await).await;
    let mut ada = single.admin().await;
    for path in ["/", "/schedules", "/timeline", "/runs", "/audit", "/report"] {
        assert_eq!(ada.get(path).await.text("nav[aria-label=Host]"), "", "{path}");
    }
}

#[tokio::test]
async fn the_dashboard_is_grouped_by_host() {
    let (test, nas) = two_hosts().await;
    nas.control.daemon_down(DaemonEnd::Crash);
    connected(&test, false).await;
    let mut ada = test.admin().await;
    let page = ada.get("/").await;
    assert_eq!(page.text("#board h2"), "local NAS & co.");
    assert_eq!(page.attribute("#nas-title a", "href").as_deref(), Some("/hosts/nas"));
    assert!(page.text("[aria-labelledby=nas-title] .sec-head").contains("Unreachable"), "{}", page.body);
    assert!(page.text("[aria-labelledby=local-title] .sec-head").contains("Connected"), "{}", page.body);
    // Only what is out of date is grey.
    assert!(page.attribute("#nas-stacks", "id").is_some());
    assert_eq!(page.attribute("[data-stale]", "aria-labelledby").as_deref(), Some("nas-title"));
    assert_eq!(page.text("#nas-stacks .tile .main-link"), "media");
    let searched = ada.get("/?q=nothing+of+this").await;
    assert_eq!(searched.text("#board h2"), "", "a host without a match is left out");
    assert!(searched.text("#board").contains("Nothing fits"), "{}", searched.body);
}

#[tokio::test]
async fn the_summary_has_each_host_and_the_last_numbers_of_one_that_is_away() {
    let (test, nas) = two_hosts().await;
    schedule(&test, "nas", json!({"action": "stop", "cron": "0 23 * * *"})).await;
    let mut api = test.bearer(Role::Viewer).await;
    let all = api.get("/api/summary").await.json();
    assert_eq!((&all["hosts"], &all["stacks"], &all["schedules"]), (&json!(2), &json!(2), &json!(1)));
    assert_eq!(all["by_host"]["nas"]["reachable"], true, "{all:#}");
    let one = api.get("/api/summary?host=local").await.json();
    assert_eq!(
        (&one["hosts"], &one["stacks"], &one["schedules"]),
        (&json!(1), &json!(1), &json!(0)),
        "{one:#}"
    );
    assert!(one["next_at"].is_null() && one["by_host"]["nas"].is_null(), "{one:#}");

    nas.control.daemon_down(DaemonEnd::Crash);
    connected(&test, false).await;
    let away = api.get("/api/summary?host=nas").await;
    assert_eq!(away.status, 200, "{}", away.body);
    let away = away.json();
    let nas = &away["by_host"]["nas"];
    assert_eq!((&nas["reachable"], &nas["name"]), (&json!(false), &json!("NAS & co.")), "{away:#}");
    for (field, number) in
        [("stacks", 1), ("stacks_running", 1), ("containers", 2), ("containers_running", 2)]
    {
        assert_eq!(nas[field], number, "{field}: {away:#}");
    }
    assert!(nas["seen_at"].is_string(), "{away:#}");
    assert_eq!((&away["hosts_connected"], &away["next_target"]), (&json!(0), &json!("media")), "{away:#}");
    let unknown = api.get("/api/summary?host=nsa").await;
    assert_eq!((unknown.status, unknown.wrong_field()), (422, "host".to_owned()), "{}", unknown.body);
}

#[tokio::test]
async fn a_program_filters_the_report_by_host() {
    let (test, _nas) = two_hosts().await;
    stop(&test, "local").await;
    stop(&test, "nas").await;
    test.bench().advance(std::time::Duration::from_secs(1800)).await;
    let mut api: Client = test.bearer(Role::Viewer).await;
    let report = api.get("/api/report?host=nas").await.json();
    let hosts: Vec<&Value> =
        report["targets"].as_array().expect("a list").iter().map(|one| &one["host"]).collect();
    assert_eq!(hosts, [&json!("nas")], "{report:#}");
    assert_eq!(api.get("/api/report?host=nsa").await.status, 422);
}
