//! Groups on the pages of other things: the filter by group of every list, the first page by group of hosts, the runs of
//! one fire of a group as one line, and the page of a group.

use std::collections::BTreeSet;

use docknap::app::history::{self, RunFilter, RunLine};
use docknap::app::paging::Page;
use docknap::db;
use docknap::domain::ids::{BatchId, HostId};
use docknap::domain::permission::Role;
use docknap::domain::run::{Run, RunState};
use docknap::domain::target::Target;
use docknap::sim::{DaemonEnd, Endpoint, Fault, World};
use scraper::{Html, Selector};
use serde_json::{Value, json};

use crate::hosts_named::connected;
use crate::on_both_engines;
use crate::support::app::{Answer, Client, TestApp};
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;
use crate::support::rows::{at, run, store_runs};
use crate::support::sim::Simulated;
use crate::wide_schedules::with_nas;

const NOW: &str = "2027-03-02T20:30:00Z";

on_both_engines!(
    a_program_filters_every_list_by_group,
    every_page_is_filtered_by_group,
    the_runs_of_a_container_are_in_the_group_of_its_stack_alone,
    the_runs_of_one_fire_are_one_line_that_opens,
    a_page_of_runs_has_so_many_lines,
);

fn world() -> World {
    World::new()
        .stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
        .stack("media-2", |s| s.service("web", |c| c))
        .container("loner", |c| c)
}

async fn group(admin: &mut Client, name: &str, members: &[(&str, &str, &str)]) {
    let made = admin.post_json("/api/groups", &json!({"name": name})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let path = format!("/api/groups/{}/members", name.to_lowercase());
    for (host, kind, id) in members {
        let body = json!({"host": host, "target_type": kind, "target_id": id});
        let added = admin.post_json(&path, &body).await;
        assert_eq!(added.status, 200, "{}", added.body);
    }
}

async fn schedule(admin: &mut Client, body: Value) -> String {
    let made = admin.post_json("/api/schedules", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()["id"].as_str().expect("an id").to_owned()
}

/// A call of the API that is answered with 202; the run is over then.
async fn act(test: &TestApp, path: &str) {
    let mut admin = test.bearer(Role::Admin).await;
    let answer = admin.post_json(path, &json!({})).await;
    assert_eq!(answer.status, 202, "{path}: {}", answer.body);
    test.bench().settle().await;
}

fn texts(page: &Answer, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).expect("a selector");
    let text = |element: scraper::ElementRef<'_>| {
        let words = element.text().collect::<Vec<_>>().join(" ");
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    Html::parse_document(&page.body).select(&selector).map(text).collect()
}

/// The names of the targets in an answer of the API, without repetition.
fn named(answer: &Answer, list: &str, field: &str) -> BTreeSet<String> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let items = answer.json()[list].as_array().unwrap_or_else(|| panic!("{}", answer.body)).clone();
    let name = |item: &Value| {
        let host = item["host"].as_str().unwrap_or("all");
        format!("{host}/{}", item[field].as_str().unwrap_or_default())
    };
    items.iter().map(name).collect()
}

fn set(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|text| (*text).to_owned()).collect()
}

/// Two groups across two hosts, with schedules and runs in and beside them.
async fn two_groups(db: TestDb) -> (TestApp, Simulated) {
    let (test, nas) = with_nas(db, world).await;
    let mut admin = test.bearer(Role::Admin).await;
    group(&mut admin, "Evening", &[("nas", "stack", "media"), ("local", "container", "loner")]).await;
    group(&mut admin, "Lab", &[("nas", "host", "nas")]).await;
    let cron = |host: Value, kind: &str, id: &str, name: &str| json!({"host": host, "target_type": kind, "target_id": id, "name": name, "action": "stop", "cron": "0 3 * * *"});
    for (host, kind, id, name) in [
        (json!("local"), "stack", "media", "Here"),
        (json!("nas"), "stack", "media", "There"),
        (json!("local"), "container", "loner", "Alone"),
        (Value::Null, "group", "evening", "All evening"),
        (Value::Null, "group", "lab", "All lab"),
    ] {
        schedule(&mut admin, cron(host, kind, id, name)).await;
    }
    for path in ["/api/stacks/local/media/stop", "/api/stacks/nas/media/stop"] {
        act(&test, path).await;
    }
    act(&test, "/api/containers/local/loner/stop").await;
    act(&test, "/api/stacks/nas/media-2/stop").await;
    test.bench().advance(std::time::Duration::from_secs(1800)).await;
    (test, nas)
}

async fn a_program_filters_every_list_by_group(db: TestDb) {
    let (test, _nas) = two_groups(db).await;
    let mut api = test.bearer(Role::Admin).await;
    let runs = set(&["local/loner", "nas/media"]);
    assert_eq!(named(&api.get("/api/runs?group=evening").await, "items", "target_id"), runs);
    let of_lab = set(&["nas/media", "nas/media-2"]);
    assert_eq!(named(&api.get("/api/runs?group=lab").await, "items", "target_id"), of_lab);
    let both = api.get("/api/runs?group=evening&host=nas").await;
    assert_eq!(named(&both, "items", "target_id"), set(&["nas/media"]));
    let schedules = api.get("/api/schedules?group=evening").await;
    assert_eq!(named(&schedules, "items", "target_id"), set(&["all/evening", "local/loner", "nas/media"]));
    assert_eq!(
        named(&api.get("/api/report?group=evening").await, "targets", "target_id"),
        set(&["local/loner", "nas/media"])
    );
    let simulated = named(&api.get("/api/simulate?group=evening").await, "events", "target_id");
    assert!(simulated.is_superset(&runs) && !simulated.contains("local/media"), "{simulated:?}");
    let summary = api.get("/api/summary?group=evening").await.json();
    let numbers = ["stacks", "containers", "schedules", "runs_last_24h"].map(|field| summary[field].clone());
    assert_eq!(numbers, [json!(1), json!(3), json!(3), json!(2)], "{summary:#}");
    let rows = api.get("/api/audit?group=evening&limit=100").await.json();
    let rows = rows["items"].as_array().expect("a list").iter();
    let told: Vec<String> =
        rows.map(|row| format!("{} {} {}", row["event"], row["object_name"], row["host"])).collect();
    let told = told.join("\n").replace('"', "");
    for event in
        ["group.create", "group.add_member", "schedule.create", "stack.stop", "container.stop", "run.finish"]
    {
        assert!(told.contains(event), "{event}: {told}");
    }
    assert!(!told.contains("media-2") && !told.contains("user.") && !told.contains("host.create"), "{told}");
    assert!(!told.contains("Here") && !told.contains("stack.stop media local"), "{told}");
    let of_host = api.get("/api/audit?group=lab&event=host.create").await.json();
    assert_eq!(of_host["items"].as_array().map(Vec::len), Some(1), "{of_host:#}");
    for path in ["runs", "schedules", "report", "simulate", "summary"] {
        let unknown = api.get(&format!("/api/{path}?group=evenign")).await;
        assert_eq!(
            (unknown.status, unknown.wrong_field()),
            (422, "group".to_owned()),
            "{path}: {}",
            unknown.body
        );
    }
    assert_eq!(api.get("/api/audit?group=evenign").await.json()["items"], json!([]));
    // Page by page the list is the same.
    for list in ["runs", "schedules", "audit"] {
        let id = |item: &Value| item["id"].as_str().expect("an id").to_owned();
        let all = api.get(&format!("/api/{list}?group=evening&limit=100")).await.json();
        let all: Vec<String> = all["items"].as_array().expect("a list").iter().map(id).collect();
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let part = api.get(&format!("/api/{list}?group=evening&limit=1&cursor={cursor}")).await.json();
            let items = part["items"].as_array().expect("a list");
            assert_eq!(items.len(), 1, "a page is full: {part:#}");
            paged.extend(items.iter().map(id));
            match part["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert_eq!(paged, all, "{list}");
    }
}

async fn every_page_is_filtered_by_group(db: TestDb) {
    let (test, _nas) = two_groups(db).await;
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
        let at = |query: &str| {
            let sign = if path.ends_with('&') { "" } else { "?" };
            format!("{path}{sign}{query}")
        };
        let page = ada.get(&at("group=evening")).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert_eq!(page.text("nav[aria-label=Group] [aria-current]"), "Evening", "{path}");
        let text = page.text(region);
        assert!(text.contains("loner") && !text.contains("media-2"), "{path}: {text}");
        let all = ada.get(path.trim_end_matches('&')).await;
        assert!(path == "/schedules" || all.text(region).contains("media-2"), "{path}: {}", all.text(region));
        let live = page.attribute(&format!("{region}[hx-get]"), "hx-get");
        assert!(live.is_none_or(|live| live.is_empty() || live.contains("group=evening")), "{path}");
        let unknown = ada.get(&at("group=evenign")).await;
        let keeps_past = matches!(path, "/runs" | "/audit");
        assert_eq!(unknown.status, if keeps_past { 200 } else { 404 }, "{path}");
        assert!(unknown.text("main").contains("evenign"), "{path}: {}", unknown.text("main"));
        let part = ada.get_part(&at("group=evening")).await;
        assert!(!part.body.contains("media-2"), "{path}");
    }
    for (path, link) in [
        ("/runs?group=evening", "/runs.csv?group=evening"),
        ("/runs?host=nas&group=evening", "/runs?host=nas&group=evening&state=skipped"),
        ("/audit?group=evening", "/audit.json?group=evening"),
        ("/schedules?group=evening", "/schedules.yaml?group=evening"),
        ("/schedules?group=evening", "/schedules?group=evening&by=stack"),
        ("/report?group=evening", "/report?week=2027-W08&group=evening"),
        ("/?group=evening", "/?host=nas&group=evening"),
    ] {
        let page = ada.get(path).await;
        assert_eq!(page.attribute(&format!("a[href='{link}']"), "href").as_deref(), Some(link), "{path}");
    }
    for path in ["/runs?group=evening", "/audit?group=evening", "/?group=evening", "/timeline?group=evening"]
    {
        let page = ada.get(path).await;
        assert_eq!(page.attribute("form input[name=group]", "value").as_deref(), Some("evening"), "{path}");
    }
    let csv = ada.get("/runs.csv?group=evening").await.body;
    assert_eq!(csv.lines().count(), 3, "{csv}");
    let csv = ada.get("/audit.csv?group=evening&event=stack.stop").await.body;
    assert!(csv.lines().count() == 2 && csv.trim_end().ends_with(",nas"), "{csv}");
}

/// A stack whose name begins with that of another one, and the same stack on another host, stay apart.
async fn the_runs_of_a_container_are_in_the_group_of_its_stack_alone(db: TestDb) {
    let (test, _nas) = with_nas(db, world).await;
    let mut admin = test.bearer(Role::Admin).await;
    group(&mut admin, "Evening", &[("nas", "stack", "media")]).await;
    for path in ["nas/media-web-1", "nas/media-2-web-1", "local/media-web-1", "nas/loner"] {
        act(&test, &format!("/api/containers/{path}/stop")).await;
    }
    let mut api = test.bearer(Role::Admin).await;
    let runs = api.get("/api/runs?group=evening").await;
    assert_eq!(named(&runs, "items", "target_id"), set(&["nas/media-web-1"]));
    let rows = api.get("/api/audit?group=evening&event=container.stop").await.json();
    assert_eq!(rows["items"].as_array().map(Vec::len), Some(1), "{rows:#}");
    // A run of a schedule of the group is one of the group, whatever it acted on.
    let window = json!({"target_type": "group", "target_id": "evening", "window": "sleep 23:00-07:00"});
    let id = schedule(&mut admin, window).await;
    let by_group =
        Run { schedule_id: Some(id.as_str().into()), ..run("0193587f-0000-7000-8000-000000000001") };
    store_runs(&test.app.db, &[(by_group, Vec::new())]).await;
    let runs = api.get("/api/runs?group=evening").await;
    assert_eq!(named(&runs, "items", "target_id"), set(&["local/media", "nas/media-web-1"]));
    let gone = admin.send(
        axum::http::Method::DELETE,
        "/api/groups/evening/members",
        Some("application/json"),
        json!({"host": "nas", "target_type": "stack", "target_id": "media"}).to_string(),
        &[],
    );
    assert_eq!(gone.await.status, 204);
    let runs = api.get("/api/runs?group=evening").await;
    assert_eq!(named(&runs, "items", "target_id"), set(&["local/media"]));
}

/// A group `Evening` with a stack on each of two hosts.
async fn evening(db: TestDb) -> (TestApp, Simulated) {
    let (test, nas) = with_nas(db, world).await;
    let mut admin = test.bearer(Role::Admin).await;
    group(&mut admin, "Evening", &[("nas", "stack", "media"), ("local", "stack", "media")]).await;
    (test, nas)
}

/// A schedule of the group has stopped it on both hosts, of which `NAS` refused.
async fn stopped(test: &TestApp, nas: &Simulated) {
    let mut admin = test.bearer(Role::Admin).await;
    let cron = json!({"target_type": "group", "target_id": "evening", "name": "Nights", "action": "stop",
        "cron": "0 21 * * *"});
    schedule(&mut admin, cron).await;
    nas.control.fault(Fault::status(500, "no").on(Endpoint::Stop));
    test.bench().advance_to("2027-03-02T21:00:00Z").await;
    test.bench().tick().await;
    test.bench().settle().await;
    test.bench()
        .until("both runs have ended", async || {
            let runs = history::list(&test.app, &person(), &RunFilter::default(), &Page::default()).await;
            runs.expect("reads").items.iter().all(|run| run.state.is_terminal())
        })
        .await;
}

/// Two hosts in groups, of which one refused what the other one did, and is away now.
pub async fn one_away() -> (TestApp, Simulated) {
    let (test, nas) = evening(TestDb::sqlite().await).await;
    let mut admin = test.bearer(Role::Admin).await;
    group(&mut admin, "Cellar", &[("nas", "host", "nas")]).await;
    stopped(&test, &nas).await;
    nas.control.daemon_down(DaemonEnd::Crash);
    connected(&test, false).await;
    (test, nas)
}

async fn the_runs_of_one_fire_are_one_line_that_opens(db: TestDb) {
    let (test, nas) = evening(db).await;
    let mut ada = test.admin().await;
    let page = ada.get("/groups/evening").await;
    assert!(page.text("#live").contains("No run of the group Evening yet"), "{}", page.body);
    stopped(&test, &nas).await;

    let mut ada = test.admin().await;
    for path in ["/runs", "/runs?group=evening", "/groups/evening"] {
        let page = ada.get(path).await;
        assert_eq!(texts(&page, "li.batch").len(), 1, "{path}: {}", page.body);
        let line = page.text("li.batch summary");
        for words in ["Stop Evening", "2 hosts", "1 failed, 1 succeeded", "by schedule Nights"] {
            assert!(line.contains(words), "{path}, {words}: {line}");
        }
        assert_eq!(
            page.attribute("li.batch summary .dot", "data-state").as_deref(),
            Some("failed"),
            "the worst one: {path}"
        );
        let inside = texts(&page, "li.batch li");
        assert_eq!(inside.len(), 2, "{path}: {inside:?}");
        assert!(inside[0].contains("NAS") && inside[0].contains("Failed"), "{path}: {inside:?}");
        assert!(inside[1].contains("local") && inside[1].contains("Succeeded"), "{path}: {inside:?}");
        let part = ada.get_part(path).await;
        assert!(part.body.contains("class=\"batch\""), "{path}");
    }
    let page = ada.get("/groups/evening").await;
    assert!(
        page.text("#live").contains("Nights")
            && page.attribute("a[href='/runs?group=evening']", "href").is_some()
    );
    // A filter that leaves one of them leaves a run; a file and the API have each run.
    for path in ["/runs?host=nas", "/runs?state=failed"] {
        let page = ada.get(path).await;
        assert_eq!((texts(&page, "li.batch").len(), texts(&page, "li.run").len()), (0, 1), "{path}");
    }
    let single =
        ada.get("/runs").await.attribute("li.batch a[href^='/runs?batch=']", "href").expect("a link");
    let page = ada.get(&single).await;
    assert_eq!((texts(&page, "li.batch").len(), texts(&page, "li.run").len()), (0, 2), "{}", page.body);
    assert!(page.text(".filters .chosen").contains("One fire of a group"), "{}", page.body);
    assert_eq!(ada.get("/runs.csv").await.body.lines().count(), 3);
    assert_eq!(ada.get(&single.replace("/runs?", "/runs.csv?")).await.body.lines().count(), 3);
    let mut api = test.bearer(Role::Viewer).await;
    let runs = api.get("/api/runs").await.json();
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(2));
    let batch = runs["items"][0]["batch_id"].as_str().expect("a batch");
    let of_batch = api.get(&format!("/api/runs?batch_id={batch}")).await.json();
    assert_eq!(of_batch["items"].as_array().map(Vec::len), Some(2));
    // A retry is one of them too, and on no further host.
    let failed =
        of_batch["items"].as_array().and_then(|runs| runs.iter().find(|run| run["state"] == "failed"));
    let failed = failed.and_then(|run| run["id"].as_str()).expect("a failed run");
    let mut otto = test.bearer(Role::Operator).await;
    let retried = otto.post_json(&format!("/api/runs/{failed}/retry"), &json!({})).await;
    assert_eq!(retried.status, 202, "{}", retried.body);
    test.bench().settle().await;
    let line = ada.get("/runs").await.text("li.batch summary");
    assert!(line.contains("2 hosts") && line.contains("by schedule Nights"), "{line}");
}

/// A run of a batch on a host, with an id whose last digits say where it stands in the list.
fn of_batch(id: &str, batch: Option<&str>, host: &str, state: RunState) -> Run {
    let id = format!("0193587f-0000-7000-8000-{id:0>12}");
    let target = Target::host(HostId::from(host));
    Run { batch: batch.map(BatchId::from), target, target_name: "Evening".to_owned(), state, ..run(&id) }
}

/// Runs of one batch need not be neighbours: others may have been asked for in between.
async fn a_page_of_runs_has_so_many_lines(db: TestDb) {
    let test = TestApp::over(Bench::on(db, NOW, world()).await).await;
    let runs = [
        of_batch("1", Some("a"), "h1", RunState::Succeeded),
        of_batch("2", None, "h1", RunState::Succeeded),
        of_batch("3", Some("b"), "h1", RunState::Skipped),
        of_batch("4", Some("a"), "h2", RunState::Partial),
        of_batch("5", Some("b"), "h2", RunState::Succeeded),
        of_batch("6", Some("a"), "h3", RunState::Succeeded),
        of_batch("7", Some("c"), "h1", RunState::Succeeded),
    ];
    store_runs(&test.app.db, &runs.map(|run| (run, Vec::new()))).await;
    let line = |line: &RunLine| match line {
        RunLine::One(run) => format!(
            "{} alone",
            run.id.as_str().trim_start_matches("0193587f-0000-7000-8000-").trim_start_matches('0')
        ),
        RunLine::Batch(batch) => {
            let states: Vec<String> =
                batch.states.iter().map(|(state, number)| format!("{number} {state}")).collect();
            format!("{}: {}", batch.id, states.join(", "))
        }
    };
    let expected = ["7 alone", "a: 1 partial, 2 succeeded", "b: 1 skipped, 1 succeeded", "2 alone"];
    for limit in 1..=4 {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = Page { limit, cursor };
            let lines =
                history::lines(&test.app, &person(), &RunFilter::default(), &page).await.expect("reads");
            let is_full = lines.items.len() == limit as usize || lines.next_cursor.is_none();
            assert!(is_full, "{limit}: {lines:?}");
            found.extend(lines.items.iter().map(line));
            cursor = lines.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{limit} on a page");
    }
    // What a filter leaves of a batch is its line, in the place of the newest that is left.
    let succeeded = RunFilter { state: Some(RunState::Succeeded), ..RunFilter::default() };
    let lines = history::lines(&test.app, &person(), &succeeded, &Page::default()).await.expect("reads");
    let found: Vec<String> = lines.items.iter().map(line).collect();
    assert_eq!(found, ["7 alone", "a: 2 succeeded", "5 alone", "2 alone"]);
    // The list that a reader looks at grows by lines.
    let than =
        |n: usize| docknap::domain::ids::RunId::from(format!("0193587f-0000-7000-8000-{n:0>12}").as_str());
    for (n, newer) in [(0, 4), (2, 3), (5, 2), (6, 1), (7, 0)] {
        let count =
            history::newer(&test.app, &person(), &RunFilter::default(), &than(n)).await.expect("counts");
        assert_eq!(count, newer, "newer than {n}");
    }
    // While it is looked at, the line keeps its place.
    let upto = RunFilter { upto: Some(than(5)), ..RunFilter::default() };
    let lines = history::lines(&test.app, &person(), &upto, &Page::default()).await.expect("reads");
    let found: Vec<String> = lines.items.iter().map(line).collect();
    assert_eq!(found, ["b: 1 skipped, 1 succeeded", "a: 1 partial, 1 succeeded", "2 alone"]);
    assert!(at(NOW) > lines.items[0].newest().created_at);
    let states =
        db::history::states_of_batches(&test.app.db, db::history::RunSelection::default(), &[]).await;
    assert_eq!(states.expect("reads"), []);
}

#[tokio::test]
async fn the_first_page_is_by_group_of_hosts_and_only_what_is_away_is_grey() {
    let (test, nas) = with_nas(TestDb::sqlite().await, world).await;
    let mut admin = test.bearer(Role::Admin).await;
    let mut ada = test.admin().await;
    assert_eq!(texts(&ada.get("/").await, "#board h2"), ["local", "NAS"], "no group of hosts");
    group(&mut admin, "Evening", &[("nas", "stack", "media")]).await;
    assert_eq!(texts(&ada.get("/").await, "#board h2"), ["local", "NAS"], "it has no whole host");
    group(&mut admin, "Cellar", &[("nas", "host", "nas")]).await;
    group(&mut admin, "Zoo", &[("nas", "host", "nas")]).await;
    let page = ada.get("/").await;
    assert_eq!(texts(&page, "#board h2"), ["Cellar", "Other hosts"]);
    assert_eq!(texts(&page, "#group-cellar h3"), ["NAS"]);
    assert_eq!(texts(&page, "#no-group h3"), ["local"]);
    assert_eq!(texts(&page, "#nas-rows > summary"), ["2 stacks, 1 container on NAS"]);
    assert_eq!(texts(&page, "#nas-stacks .tile .main-link"), ["media", "media-2"]);
    assert_eq!(texts(&page, "details.fold[open] details.fold[open]").len(), 2, "all are open");
    // With a filter the group that was asked for is the one above its hosts.
    assert_eq!(texts(&ada.get("/?group=zoo").await, "#board h2"), ["Zoo"]);
    assert!(page.text("#now").contains("All is well"), "{}", page.text("#now"));

    nas.control.daemon_down(DaemonEnd::Crash);
    connected(&test, false).await;
    let page = ada.get("/").await;
    assert_eq!(texts(&page, "[data-stale]").len(), 1);
    assert_eq!(page.attribute("[data-stale]", "aria-labelledby").as_deref(), Some("nas-title"));
    let told = page.text("[data-stale] > .sec-head");
    assert!(told.contains("Unreachable") && told.contains("as of 20:30"), "{told}");
    assert!(page.text("[aria-labelledby=local-title] .sec-head").contains("Connected"), "{}", page.body);
    assert_eq!(page.text("#now .note"), "", "the page as a whole is not out of date");
    assert!(page.text("#now .lines").contains("Host NAS does not answer"), "{}", page.text("#now"));
    // Where the line is hidden, the page does not say that all is well.
    let hide = page.attribute("#now form[action$='/hide']", "action").expect("it can be hidden");
    ada.post(&hide, &[]).await;
    let page = ada.get("/").await;
    assert!(!page.text("#now").contains("All is well"), "{}", page.text("#now"));
    // When none answers, all of it is.
    test.bench().sim.daemon_down(DaemonEnd::Crash);
    test.bench()
        .until("it is away", async || {
            !test.app.hosts.get(&HostId::local()).expect("the host").inventory().is_connected()
        })
        .await;
    let page = ada.get("/").await;
    assert_eq!(texts(&page, "[data-stale]").len(), 2);
    assert!(page.text("#now .note").contains("has not answered"), "{}", page.text("#now"));
}
