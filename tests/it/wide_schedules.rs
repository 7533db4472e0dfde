//! Schedules, holds and overrides of hosts and groups: which of several scopes decides, one run on each host, and what
//! they leave alone.

use axum::http::Method;
use docknap::domain::permission::Role;
use docknap::domain::text::capital;
use docknap::sim::{Control, World};
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::support::app::{Client, TestApp};
use crate::support::bench::Bench;
use crate::support::db::TestDb;
use crate::support::sim::Simulated;

/// A Tuesday.
const NOW: &str = "2027-03-02T20:30:00Z";

on_both_engines!(
    a_window_of_a_host_is_the_default_for_what_has_no_narrower_rule,
    a_schedule_of_a_group_makes_one_run_on_each_host,
    a_group_keeps_its_members_while_they_are_away,
    a_stop_of_a_host_lasts_until_the_next_edge_of_each_stack,
    what_leaves_a_group_in_its_sleep_wakes_at_the_end_of_it,
    a_start_of_a_host_wakes_naps_and_nothing_else,
    a_container_is_a_member_without_its_stack,
    a_group_is_run_by_hand_retried_and_found_after_its_host_has_moved,
    the_next_action_is_found_beside_endless_ones_of_another_schedule,
);

fn world() -> World {
    World::new()
        .stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
        .stack("lab", |s| s.service("app", |c| c))
        .container("loner", |c| c)
}

/// DockNap with `local` and `nas`, called `NAS`, with the same stacks and containers.
pub async fn with_nas(db: TestDb, world: fn() -> World) -> (TestApp, Simulated) {
    let bench = Bench::on(db, NOW, world()).await;
    let nas = Simulated::start(bench.clock.clone(), world()).await;
    let test = TestApp::over(bench).await;
    test.add_host("NAS", "nas", &nas).await;
    (test, nas)
}

async fn schedule(admin: &mut Client, body: Value) -> String {
    let made = admin.post_json("/api/schedules", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()["id"].as_str().expect("an id").to_owned()
}

async fn group(admin: &mut Client, id: &str, members: &[Value]) {
    let made = admin.post_json("/api/groups", &json!({"name": capital(id), "id": id})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    for member in members {
        let added = admin.post_json(&format!("/api/groups/{id}/members"), member).await;
        assert_eq!(added.status, 200, "{}", added.body);
    }
}

fn stack(host: &str, name: &str) -> Value {
    json!({"host": host, "target_type": "stack", "target_id": name})
}

/// The runs of a schedule, newest first.
async fn runs(admin: &mut Client, schedule: &str) -> Vec<Value> {
    let answer = admin.get(&format!("/api/runs?schedule_id={schedule}&limit=50")).await;
    answer.json()["items"].as_array().unwrap_or_else(|| panic!("{}", answer.body)).clone()
}

/// The names of the containers that run, sorted.
pub fn running(control: &Control) -> Vec<String> {
    let mut names: Vec<String> =
        control.containers().into_iter().filter(|one| one.state == "running").map(|one| one.name).collect();
    names.sort();
    names
}

/// Moves the clock, lets everything that is due happen, and logs in again.
pub async fn at(test: &TestApp, instant: &str) -> Client {
    test.bench().advance_to(instant).await;
    test.bench().tick().await;
    test.bench().settle().await;
    // A login lasts 12 hours.
    test.bearer(Role::Admin).await
}

async fn a_window_of_a_host_is_the_default_for_what_has_no_narrower_rule(db: TestDb) {
    let (test, nas) = with_nas(db, world).await;
    let mut admin = test.bearer(Role::Admin).await;
    group(&mut admin, "evening", &[json!({"target_type": "host", "target_id": "nas"})]).await;
    let of_host = json!({"target_type": "host", "target_id": "nas", "window": "sleep 22:00-06:00"});
    let of_host = schedule(&mut admin, of_host).await;
    // Wider: it decides about nothing on a host that has a window.
    schedule(
        &mut admin,
        json!({"target_type": "group", "target_id": "evening", "window": "sleep 20:00-21:00"}),
    )
    .await;
    // Narrower: the stack follows it alone.
    let mut of_stack = stack("nas", "lab");
    of_stack["window"] = json!("sleep 23:00-05:00");
    let of_stack = schedule(&mut admin, of_stack).await;
    // What is off on purpose stays off.
    nas.control.stop("loner").expect("it stops");

    at(&test, "2027-03-02T20:50:00Z").await;
    assert_eq!(
        running(&nas.control),
        ["lab-app-1", "media-db-1", "media-web-1"],
        "the group decides nothing"
    );
    let mut admin = at(&test, "2027-03-02T22:00:00Z").await;
    assert_eq!(running(&nas.control), ["lab-app-1"]);
    assert_eq!(running(&test.bench().sim).len(), 4, "the other host goes on");
    let made = runs(&mut admin, &of_host).await;
    assert_eq!(made.len(), 1, "{made:#?}");
    let expected = (json!("host"), json!("nas"), json!("nas"), json!("2027-03-02T22:00:00.000Z"));
    let told = &made[0];
    assert_eq!(
        (&told["target_type"], &told["target_id"], &told["host"], &told["fire_at"]),
        (&expected.0, &expected.1, &expected.2, &expected.3),
        "{told:#}"
    );
    let whole = admin.get(&format!("/api/runs/{}", told["id"].as_str().expect("an id"))).await.json();
    let of = |name: &str| {
        let steps = whole["steps"].as_array().expect("steps");
        let step = steps.iter().find(|step| step["container"] == name);
        step.unwrap_or_else(|| panic!("no step of {name} in {whole:#}")).clone()
    };
    assert!(of("lab-app-1")["reason"].as_str().expect("text").starts_with("another rule decides about it"));
    assert!(of("media-db-1")["wave"].as_i64() > of("media-web-1")["wave"].as_i64(), "in order: {whole:#}");
    let shown = admin.get("/api/stacks/nas/media").await.json();
    let why = "Asleep by “Sleep NAS” (sleep 22:00-06:00). Stopped by schedule Sleep NAS, 22:00 today";
    assert_eq!(shown["containers"][0]["why"], why, "{shown:#}");
    // Its page lists the schedule of its host, and names the run by the host.
    let key = shown["key"].as_str().expect("a key");
    let page = test.browser(Role::Admin).await.get(&format!("/stacks/{key}")).await.text("main");
    assert!(page.contains("Sleep NAS") && !page.contains("No schedule"), "{page}");
    let list = test.browser(Role::Admin).await.get("/runs").await.text("main");
    assert!(list.contains("Stop NAS"), "{list}");

    let mut admin = at(&test, "2027-03-02T23:00:00Z").await;
    assert!(running(&nas.control).is_empty());
    assert_eq!(runs(&mut admin, &of_stack).await.len(), 1);
    at(&test, "2027-03-03T05:00:00Z").await;
    assert_eq!(running(&nas.control), ["lab-app-1"]);
    at(&test, "2027-03-03T06:00:00Z").await;
    assert_eq!(
        running(&nas.control),
        ["lab-app-1", "media-db-1", "media-web-1"],
        "the loner was off on purpose"
    );
}

async fn a_schedule_of_a_group_makes_one_run_on_each_host(db: TestDb) {
    let (test, nas) = with_nas(db, world).await;
    let mut admin = test.bearer(Role::Admin).await;
    group(&mut admin, "evening", &[stack("nas", "media"), stack("nas", "lab"), stack("local", "media")])
        .await;
    let stop =
        json!({"target_type": "group", "target_id": "evening", "action": "stop", "cron": "0 22 * * *"});
    let stop = schedule(&mut admin, stop).await;
    // In the same minute the narrower one goes first.
    let mut restart = stack("nas", "lab");
    (restart["action"], restart["cron"]) = (json!("restart"), json!("0 22 * * *"));
    schedule(&mut admin, restart).await;

    // The group is named by its name, and no host is, in the calendar and in the plan of the API.
    let made = test.admin().await.post("/profile/feeds", &[]).await;
    let feed = made.body.split("/calendar/").nth(1).and_then(|rest| rest.split('"').next()).expect("a feed");
    let feed = test.program().get(&format!("/calendar/{feed}")).await.body.replace("\r\n ", "");
    assert!(feed.lines().any(|line| line == "SUMMARY:Stop Evening"), "{feed}");
    let plan = admin.get("/api/simulate?target_type=group&target_id=evening").await.json();
    let events = plan["events"].as_array().unwrap_or_else(|| panic!("{plan:#}"));
    let event = events.iter().find(|event| event["schedule_id"] == *stop).expect("it is foretold");
    assert_eq!((&event["host"], &event["target_id"]), (&Value::Null, &json!("evening")), "{plan:#}");

    let mut admin = at(&test, "2027-03-02T22:00:00Z").await;
    assert_eq!(running(&nas.control), ["lab-app-1", "loner"]);
    assert_eq!(running(&test.bench().sim), ["lab-app-1", "loner"], "lab of the other host is no member");
    let made = runs(&mut admin, &stop).await;
    let mut hosts: Vec<&str> = made.iter().filter_map(|run| run["host"].as_str()).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["local", "nas"], "{made:#?}");
    assert!(made[0]["batch_id"].is_string() && made[0]["batch_id"] == made[1]["batch_id"], "{made:#?}");
    let on_nas = made.iter().find(|run| run["host"] == "nas").expect("a run");
    let whole = admin.get(&format!("/api/runs/{}", on_nas["id"].as_str().expect("an id"))).await.json();
    let steps = whole["steps"].as_array().expect("steps");
    let lab = steps.iter().find(|step| step["container"] == "lab-app-1").expect("a step");
    assert!(lab["reason"].as_str().expect("text").starts_with("conflict, by"), "{lab:#}");

    // A start of a group wakes what naps; what was stopped by hand stays off.
    test.bench().sim.stop("lab-app-1").expect("it stops");
    nas.control.stop("loner").expect("it stops");
    let start =
        json!({"target_type": "group", "target_id": "evening", "action": "start", "cron": "0 23 * * *"});
    schedule(&mut admin, start).await;
    // A hold of the group on top: nothing happens, and the run says why.
    let hold = json!({"target_type": "group", "target_id": "evening", "state": "hold", "until": "4h",
        "reason": "the migration runs"});
    let held = admin.post_json("/api/overrides", &hold).await;
    assert_eq!(held.status, 201, "{}", held.body);
    let held = held.json()["id"].as_str().expect("an id").to_owned();
    at(&test, "2027-03-02T23:00:00Z").await;
    assert_eq!(running(&nas.control), ["lab-app-1"]);
    let mut admin = test.bearer(Role::Admin).await;
    assert_eq!(admin.delete(&format!("/api/overrides/{held}")).await.status, 204);
    at(&test, "2027-03-03T23:00:00Z").await;
    assert_eq!(running(&nas.control), ["lab-app-1", "media-db-1", "media-web-1"]);
    assert_eq!(running(&test.bench().sim), ["loner", "media-db-1", "media-web-1"]);
}

async fn a_group_keeps_its_members_while_they_are_away(db: TestDb) {
    let labelled = World::new()
        .stack("media", |s| {
            s.service("db", |c| c).service("web", |c| c.label("docknap.stack.group", "evening"))
        })
        .stack("lab", |s| s.service("app", |c| c));
    let bench = Bench::on(db, NOW, labelled).await;
    let test = TestApp::over(bench).await;
    test.bench().tick().await;
    let mut admin = test.bearer(Role::Admin).await;
    let window = json!({"target_type": "group", "target_id": "evening", "window": "sleep 22:00-06:00"});
    schedule(&mut admin, window).await;
    let control = &test.bench().sim;
    at(&test, "2027-03-02T22:00:00Z").await;
    assert_eq!(running(control), ["lab-app-1"]);
    // `compose down` in the middle: the container that carries the label is gone, the stack is not.
    control.remove("media-web-1");
    let mut admin = at(&test, "2027-03-03T11:00:00Z").await;
    let members = admin.get("/api/groups/evening").await.json()["members"].clone();
    assert_eq!(members.as_array().map(Vec::len), Some(1), "the stack is still a member: {members:#}");
    control.remove("media-db-1");
    at(&test, "2027-03-03T12:00:00Z").await;
    let mut admin = test.bearer(Role::Admin).await;
    let members = admin.get("/api/groups/evening").await.json()["members"].clone();
    assert_eq!(members.as_array().map(Vec::len), Some(1), "it is only away: {members:#}");
    // It is there again, without the label: no member any more.
    control.add(World::new().stack("media", |s| s.service("web", |c| c)));
    at(&test, "2027-03-03T12:10:00Z").await;
    let members = admin.get("/api/groups/evening").await;
    let left = members.json()["members"].as_array().map_or(0, Vec::len);
    assert_eq!(left, 0, "{}", members.body);
}

async fn a_container_is_a_member_without_its_stack(db: TestDb) {
    let test = TestApp::over(Bench::on(db, NOW, world()).await).await;
    let mut admin = test.bearer(Role::Admin).await;
    let web = json!({"host": "local", "target_type": "container", "target_id": "media-web-1"});
    group(&mut admin, "evening", &[web]).await;
    let window = json!({"target_type": "group", "target_id": "evening", "window": "sleep 22:00-06:00"});
    schedule(&mut admin, window).await;
    let mut admin = at(&test, "2027-03-02T22:00:00Z").await;
    let control = &test.bench().sim;
    assert_eq!(running(control), ["lab-app-1", "loner", "media-db-1"]);
    let desired = async |admin: &mut Client| {
        let shown = admin.get("/api/stacks/local/media").await.json();
        let all = shown["containers"].as_array().expect("a list").clone();
        let of = |service: &str| {
            let one = all.iter().find(|one| one["service"] == service);
            one.expect("it is there")["desired"].as_str().expect("a word").to_owned()
        };
        [of("db"), of("web")]
    };
    assert_eq!(desired(&mut admin).await, ["none", "asleep"]);
    // Who starts the stack by hand overrides it until the end of its sleep, and so it is told.
    let started = admin.post_json("/api/stacks/local/media/start", &json!({})).await;
    assert_eq!(started.status, 202, "{}", started.body);
    test.bench().settle().await;
    let mut admin = at(&test, "2027-03-02T23:00:00Z").await;
    assert_eq!(running(control), ["lab-app-1", "loner", "media-db-1", "media-web-1"]);
    assert_eq!(desired(&mut admin).await, ["none", "awake"]);
}

async fn a_start_of_a_host_wakes_naps_and_nothing_else(db: TestDb) {
    let test = TestApp::over(Bench::on(db, NOW, world()).await).await;
    let mut admin = test.bearer(Role::Admin).await;
    let on_host = |action: &str, cron: &str| json!({"target_type": "host", "target_id": "local", "action": action, "cron": cron});
    let start = schedule(&mut admin, on_host("start", "0 21,23 * * *")).await;
    schedule(&mut admin, on_host("stop", "0 22 * * *")).await;
    let control = &test.bench().sim;
    for name in ["loner", "lab-app-1"] {
        control.stop(name).expect("it stops");
    }
    // Nothing naps there: what is off was put off on purpose.
    let mut admin = at(&test, "2027-03-02T21:00:00Z").await;
    assert_eq!(running(control), ["media-db-1", "media-web-1"]);
    let made = runs(&mut admin, &start).await;
    let path = format!("/api/runs/{}/retry", made[0]["id"].as_str().expect("an id"));
    admin.post_json(&path, &json!({})).await;
    test.bench().settle().await;
    assert_eq!(running(control), ["media-db-1", "media-web-1"], "nor by hand");
    at(&test, "2027-03-02T22:00:00Z").await;
    assert!(running(control).is_empty());
    // In one minute the narrower one counts for its part, although a start goes before a stop elsewhere.
    let mut of_stack = stack("local", "media");
    of_stack["action"] = json!("stop");
    of_stack["cron"] = json!("0 23 * * *");
    let mut admin = test.bearer(Role::Admin).await;
    let of_stack = schedule(&mut admin, of_stack).await;
    let mut admin = at(&test, "2027-03-02T23:00:00Z").await;
    assert!(running(control).is_empty(), "{:?}", running(control));
    assert_eq!(runs(&mut admin, &of_stack).await[0]["state"], "succeeded");
    at(&test, "2027-03-03T21:00:00Z").await;
    assert_eq!(running(control), ["media-db-1", "media-web-1"]);
}

async fn what_leaves_a_group_in_its_sleep_wakes_at_the_end_of_it(db: TestDb) {
    let test = TestApp::over(Bench::on(db, NOW, world()).await).await;
    let mut admin = test.bearer(Role::Admin).await;
    group(&mut admin, "evening", &[stack("local", "media"), stack("local", "lab")]).await;
    let window = json!({"target_type": "group", "target_id": "evening", "window": "sleep 22:00-06:00"});
    let window = schedule(&mut admin, window).await;
    let control = &test.bench().sim;
    let mut admin = at(&test, "2027-03-02T22:00:00Z").await;
    assert_eq!(running(control), ["loner"]);
    for name in ["media", "lab"] {
        let (path, body) = ("/api/groups/evening/members", stack("local", name).to_string());
        let answer = admin.send(Method::DELETE, path, Some("application/json"), body, &[]).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
    }
    // A container that somebody starts meanwhile has no nap any more.
    control.start("lab-app-1").expect("it starts");
    control.stop("lab-app-1").expect("it stops");
    at(&test, "2027-03-03T02:00:00Z").await;
    assert_eq!(running(control), ["loner"], "nothing wakes early");
    let mut admin = at(&test, "2027-03-03T06:00:00Z").await;
    assert_eq!(running(control), ["loner", "media-db-1", "media-web-1"]);
    let made = runs(&mut admin, &window).await;
    assert_eq!(made[0]["why"], "its nap is over: what slept for it wakes", "{made:#?}");
    at(&test, "2027-03-03T22:00:00Z").await;
    assert_eq!(running(control), ["loner", "media-db-1", "media-web-1"], "it is no member any more");
}

async fn a_stop_of_a_host_lasts_until_the_next_edge_of_each_stack(db: TestDb) {
    let test = TestApp::over(Bench::on(db, NOW, world()).await).await;
    let mut admin = test.bearer(Role::Admin).await;
    schedule(&mut admin, json!({"target_type": "host", "target_id": "local", "window": "sleep 23:00-07:00"}))
        .await;
    let mut own = stack("local", "lab");
    own["window"] = json!("sleep 21:30-22:00");
    schedule(&mut admin, own).await;
    let stop = json!({"target_type": "host", "target_id": "local", "action": "stop", "cron": "0 21 2 3 *"});
    schedule(&mut admin, stop).await;
    at(&test, "2027-03-02T21:00:00Z").await;
    assert!(running(&test.bench().sim).is_empty());
    at(&test, "2027-03-02T21:30:00Z").await;
    at(&test, "2027-03-02T22:00:00Z").await;
    assert_eq!(
        running(&test.bench().sim),
        ["lab-app-1"],
        "its own window wakes it, the others wait for theirs"
    );
    at(&test, "2027-03-03T07:00:00Z").await;
    assert_eq!(running(&test.bench().sim), ["lab-app-1", "loner", "media-db-1", "media-web-1"]);
}

async fn a_group_is_run_by_hand_retried_and_found_after_its_host_has_moved(db: TestDb) {
    let (test, nas) = with_nas(db, world).await;
    let mut admin = test.bearer(Role::Admin).await;
    group(&mut admin, "evening", &[stack("nas", "media"), stack("local", "media")]).await;
    let stop =
        json!({"target_type": "group", "target_id": "evening", "action": "stop", "cron": "0 22 * * *"});
    let stop = schedule(&mut admin, stop).await;
    let asked = admin.post_json(&format!("/api/schedules/{stop}/run"), &json!({})).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    test.bench().settle().await;
    assert_eq!(running(&nas.control), ["lab-app-1", "loner"]);
    assert_eq!(running(&test.bench().sim), ["lab-app-1", "loner"]);
    let found = admin.get("/api/runs?target_type=group&target_id=evening").await.json();
    assert_eq!(found["items"].as_array().map(Vec::len), Some(2), "{found:#}");
    let on_nas = admin.get("/api/runs?target_type=group&target_id=evening&host=nas").await.json();
    assert_eq!(on_nas["items"].as_array().map(Vec::len), Some(1), "{on_nas:#}");
    // Many things at once are stacks and containers, never a whole host.
    let bulk = test.browser(Role::Admin).await.get("/actions?do=start&t=host%2Fnas").await;
    assert_eq!(bulk.status, 404, "{}", bulk.body);

    // Its Engine is at another address now: the group finds its members there.
    let other = Simulated::start(test.bench().clock.clone(), world()).await;
    let body = json!({"name": "NAS", "endpoint": other.control.docker_host()});
    let path = "/api/hosts/nas";
    let moved = admin.send(Method::PUT, path, Some("application/json"), body.to_string(), &[]).await;
    assert_eq!(moved.status, 200, "{}", moved.body);
    test.until_connected("nas").await;
    at(&test, "2027-03-02T22:00:00Z").await;
    assert_eq!(running(&other.control), ["lab-app-1", "loner"]);
}

/// A restart of a stack that is down never acts, while the hours of the host go on for ever.
async fn the_next_action_is_found_beside_endless_ones_of_another_schedule(db: TestDb) {
    let (test, _nas) = with_nas(db, world).await;
    let mut admin = test.bearer(Role::Admin).await;
    for name in ["media-db-1", "media-web-1"] {
        test.bench().sim.stop(name).expect("it stops");
    }
    test.bench().settle().await;
    let restart = json!({"host": "local", "target_type": "stack", "target_id": "media", "action": "restart",
        "cron": "0 21 * * *"});
    schedule(&mut admin, restart).await;
    let hours = json!({"target_type": "host", "target_id": "local", "window": "sleep 23:00-05:00"});
    schedule(&mut admin, hours).await;
    let summary = admin.get("/api/summary").await;
    assert_eq!(summary.status, 200, "{}", summary.body);
    assert!(summary.body.contains("2027-03-02T23:00:00"), "{}", summary.body);
}
