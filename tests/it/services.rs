//! Schedules for some services of a stack: windows, cron schedules, their order and health gates, and bad input.

use axum::http::Method;
use docknap::app::schedules;
use docknap::domain::group::Area;
use docknap::domain::permission::Role;
use docknap::sim::World;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::support::app::{Answer, Client, TestApp};
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;
use crate::wide_schedules::{at, running};

/// A Tuesday.
const NOW: &str = "2027-03-02T20:30:00Z";

on_both_engines!(
    a_window_of_services_decides_about_these_alone,
    a_schedule_of_services_acts_on_these_alone_and_in_order,
    services_are_checked_and_kept,
    waking_the_stack_ends_what_keeps_its_services_asleep,
    what_a_schedule_no_longer_includes_wakes_at_the_end_of_its_sleep,
    a_fire_of_the_stack_is_foretold_for_services_with_hours_of_their_own,
    a_schedule_of_services_is_listed_once_among_the_next_ones,
    what_was_not_woken_is_started_without_the_rest_of_its_stack,
);

fn world() -> World {
    World::new()
        .stack("media", |s| {
            s.service("db", |c| c)
                .service("web", |c| c.depends_on("db"))
                .service("worker", |c| c.depends_on("web"))
        })
        .stack("lab", |s| s.service("web", |c| c))
}

async fn app(db: TestDb) -> TestApp {
    TestApp::over(Bench::on(db, NOW, world()).await).await
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the rule in place")]
fn of(services: &[&str], rule: Value) -> Value {
    let mut body = json!({"target_type": "stack", "target_id": "media", "services": services});
    for (name, value) in rule.as_object().expect("fields") {
        body[name] = value.clone();
    }
    body
}

async fn make(admin: &mut Client, body: Value) -> Value {
    let made = admin.post_json("/api/schedules", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()
}

async fn put(admin: &mut Client, path: &str, body: &Value) -> Answer {
    admin.send(Method::PUT, path, Some("application/json"), body.to_string(), &[]).await
}

const ALL: [&str; 4] = ["lab-web-1", "media-db-1", "media-web-1", "media-worker-1"];

async fn a_window_of_services_decides_about_these_alone(db: TestDb) {
    let test = app(db).await;
    let mut admin = test.bearer(Role::Admin).await;
    let part = make(&mut admin, of(&["worker", "web"], json!({"window": "sleep 21:00-06:00"}))).await;
    assert_eq!(part["title"], "Sleep media (web, worker)");
    let whole = json!({"target_type": "stack", "target_id": "media", "window": "sleep 23:00-05:00"});
    make(&mut admin, whole).await;
    let one =
        json!({"target_type": "container", "target_id": "media-worker-1", "window": "sleep 22:00-06:00"});
    make(&mut admin, one).await;

    let mut admin = at(&test, "2027-03-02T21:00:00Z").await;
    let sim = &test.bench().sim;
    assert_eq!(
        running(sim),
        ["lab-web-1", "media-db-1", "media-worker-1"],
        "the container's own rule is narrower"
    );
    let shown = admin.get("/api/stacks/local/media").await.json();
    let web = shown["containers"].as_array().expect("a list").iter().find(|one| one["service"] == "web");
    let why = web.expect("web")["why"].as_str().expect("text").to_owned();
    assert!(why.starts_with("Asleep by “Sleep media (web, worker)” (sleep 21:00-06:00)."), "{why}");
    let runs =
        admin.get(&format!("/api/runs?schedule_id={}", part["id"].as_str().expect("an id"))).await.json();
    assert_eq!(runs["items"].as_array().expect("a list").len(), 1, "{runs:#}");
    assert_eq!(runs["items"][0]["services"], json!(["web", "worker"]));
    assert_eq!(runs["items"][0]["fire_at"], "2027-03-02T21:00:00.000Z");
    at(&test, "2027-03-02T22:00:00Z").await;
    assert_eq!(running(sim), ["lab-web-1", "media-db-1"]);
    at(&test, "2027-03-02T23:00:00Z").await;
    assert_eq!(running(sim), ["lab-web-1"]);
    // The stack's window ends first, and its services sleep on.
    at(&test, "2027-03-03T05:00:00Z").await;
    assert_eq!(running(sim), ["lab-web-1", "media-db-1"]);
    at(&test, "2027-03-03T06:00:00Z").await;
    assert_eq!(running(sim), ALL);
}

async fn a_schedule_of_services_acts_on_these_alone_and_in_order(db: TestDb) {
    let test = app(db).await;
    let mut admin = test.bearer(Role::Admin).await;
    let stop =
        make(&mut admin, of(&["web", "worker"], json!({"action": "stop", "cron": "0 21 * * *"}))).await;
    make(&mut admin, of(&["web", "worker"], json!({"action": "start", "cron": "0 6 * * *"}))).await;
    // The forecast of a container names it, that of another one does not.
    let next = |of: &Value| of["next"]["at"].clone();
    let shown = admin.get("/api/containers").await.json();
    let one = |name: &str| {
        let all = shown.as_array().expect("a list");
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{shown:#}")).clone()
    };
    assert_eq!(next(&one("media-web-1")), json!("2027-03-02T21:00:00.000Z"), "{:#}", one("media-web-1"));
    assert_eq!(next(&one("media-db-1")), Value::Null);

    let mut admin = at(&test, "2027-03-02T21:00:00Z").await;
    let sim = &test.bench().sim;
    assert_eq!(running(sim), ["lab-web-1", "media-db-1"]);
    let runs =
        admin.get(&format!("/api/runs?schedule_id={}", stop["id"].as_str().expect("an id"))).await.json();
    let run =
        admin.get(&format!("/api/runs/{}", runs["items"][0]["id"].as_str().expect("a run"))).await.json();
    let steps = run["steps"].as_array().expect("steps");
    let waves: Vec<_> = steps.iter().map(|step| (step["container"].clone(), step["wave"].clone())).collect();
    assert_eq!(waves, [(json!("media-worker-1"), json!(1)), (json!("media-web-1"), json!(2))], "{run:#}");
    assert_eq!(run["target_id"], "media");
    // In the audit log it is about the stack.
    let rows = admin.get("/api/audit?event=stack.stop&object_type=stack&object_id=media").await.json();
    assert_eq!(rows["items"][0]["object_name"], "media (web, worker)", "{rows:#}");
    // Listed with the runs and schedules of the stack.
    let of_stack = admin.get("/api/runs?target_type=stack&target_id=media").await.json();
    assert_eq!(of_stack["items"].as_array().expect("a list").len(), 1);
    let listed = admin.get("/api/schedules?target_type=stack&target_id=media").await.json();
    assert_eq!(listed["items"].as_array().expect("a list").len(), 2);
    // Another stack with a service of this name has no part in it.
    let of_lab = admin.get("/api/schedules?target_type=stack&target_id=lab").await.json();
    assert_eq!(of_lab["items"], json!([]));

    // A start does not start what the services need.
    sim.stop("media-db-1").expect("it stops");
    test.bench().settle().await;
    at(&test, "2027-03-03T06:00:00Z").await;
    assert_eq!(
        running(sim),
        ["lab-web-1", "media-web-1", "media-worker-1"],
        "the database is off on purpose"
    );
}

async fn services_are_checked_and_kept(db: TestDb) {
    let test = app(db).await;
    let mut admin = test.bearer(Role::Admin).await;
    let cron = || json!({"action": "stop", "cron": "0 21 * * *"});
    for (services, expected) in [
        (json!(["wbe"]), "media has no service `wbe`; did you mean `web`?"),
        (json!(["a\nb"]), "the name holds control characters"),
    ] {
        let mut body = of(&[], cron());
        body["services"] = services;
        let refused = admin.post_json("/api/schedules", &body).await;
        assert_eq!(refused.status, 422, "{}", refused.body);
        assert_eq!(refused.json()["errors"][0], json!({"field": "services", "message": expected}));
    }
    let mut of_container = of(&["web"], cron());
    of_container["target_type"] = json!("container");
    of_container["target_id"] = json!("media-web-1");
    let refused = admin.post_json("/api/schedules", &of_container).await;
    assert_eq!(refused.json()["errors"][0]["message"], "only a stack has services; leave this out");
    assert_eq!(admin.get("/api/schedules").await.json()["items"], json!([]));

    // Order and repetition do not matter.
    let made = make(&mut admin, of(&["worker", " web", "web"], cron())).await;
    assert_eq!((&made["services"], &made["target_id"]), (&json!(["web", "worker"]), &json!("media")));
    // What is read can be written, and the audit names the change.
    let path = format!("/api/schedules/{}", made["id"].as_str().expect("an id"));
    let mut again = made.clone();
    again["services"] = json!(["web"]);
    let changed = put(&mut admin, &path, &again).await;
    assert_eq!((changed.status, &changed.json()["services"]), (200, &json!(["web"])), "{}", changed.body);
    again["services"] = Value::Null;
    let changed = put(&mut admin, &path, &again).await;
    assert_eq!(changed.json()["title"], "Stop media");
    let audit = admin.get("/api/audit").await.body;
    assert!(audit.contains(r#""field":"services","old":"web,worker","new":"web""#), "{audit}");

    // A service that is not there is accepted if asked for, and waits.
    let mut later = of(&["api"], cron());
    later["allow_missing"] = json!(true);
    let made = make(&mut admin, later).await;
    assert_eq!(made["target_exists"], false);
    assert!(made["warnings"].to_string().contains("waits for it"), "{made:#}");

    // A schedule of a container in the same minute is warned of.
    let one = json!({"target_type": "container", "target_id": "media-web-1", "action": "start", "cron": "0 20 * * *"});
    make(&mut admin, of(&["web"], json!({"action": "restart", "cron": "0 20 * * *"}))).await;
    let warned = make(&mut admin, one).await["warnings"].to_string();
    assert!(warned.contains("“Restart media (web)” fires in the same minute"), "{warned}");

    // The form keeps it and shows the fault at its field.
    let mut browser = test.browser(Role::Operator).await;
    let id = made["id"].as_str().expect("an id");
    let form = browser.get(&format!("/schedules/{id}")).await;
    assert_eq!(form.attribute("#services", "value").as_deref(), Some("api"));
}

/// A fire inside the hours of services makes one override for all of them, which the stack's Wake supersedes.
async fn waking_the_stack_ends_what_keeps_its_services_asleep(db: TestDb) {
    let test = app(db).await;
    let mut admin = test.bearer(Role::Admin).await;
    make(&mut admin, of(&["web", "worker"], json!({"window": "sleep 23:00-06:00"}))).await;
    make(&mut admin, of(&["web", "worker"], json!({"action": "stop", "cron": "0 21 * * *"}))).await;

    let mut admin = at(&test, "2027-03-02T21:00:00Z").await;
    let sim = &test.bench().sim;
    assert_eq!(running(sim), ["lab-web-1", "media-db-1"]);
    let made = admin.get("/api/overrides").await.json();
    let made = made["items"].as_array().expect("a list");
    assert_eq!(made.len(), 1, "{made:#?}");
    assert_eq!(
        (&made[0]["target_id"], &made[0]["services"], &made[0]["state"]),
        (&json!("media"), &json!(["web", "worker"]), &json!("asleep"))
    );

    let woken = admin.post_json("/api/stacks/local/media/wake", &json!({"until": "1h"})).await;
    assert_eq!(woken.status, 202, "{}", woken.body);
    test.bench().settle().await;
    let mut admin = at(&test, "2027-03-02T21:02:00Z").await;
    assert_eq!(running(sim), ALL, "nothing puts them back to sleep");
    let made = admin.get("/api/overrides").await.json();
    let made = made["items"].as_array().expect("a list");
    assert_eq!(made.len(), 1, "{made:#?}");
    assert_eq!((&made[0]["services"], &made[0]["state"]), (&Value::Null, &json!("awake")));
}

async fn what_a_schedule_no_longer_includes_wakes_at_the_end_of_its_sleep(db: TestDb) {
    let test = app(db).await;
    let mut admin = test.bearer(Role::Admin).await;
    let made = make(&mut admin, of(&["web", "worker"], json!({"window": "sleep 21:00-06:00"}))).await;
    let mut admin = at(&test, "2027-03-02T21:00:00Z").await;
    let sim = &test.bench().sim;
    assert_eq!(running(sim), ["lab-web-1", "media-db-1"]);

    let path = format!("/api/schedules/{}", made["id"].as_str().expect("an id"));
    let mut narrowed = made.clone();
    narrowed["services"] = json!(["web"]);
    let changed = put(&mut admin, &path, &narrowed).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    at(&test, "2027-03-02T22:00:00Z").await;
    assert_eq!(running(sim), ["lab-web-1", "media-db-1"], "it sleeps on");
    at(&test, "2027-03-03T06:00:00Z").await;
    assert_eq!(running(sim), ALL);
}

async fn a_fire_of_the_stack_is_foretold_for_services_with_hours_of_their_own(db: TestDb) {
    let test = app(db).await;
    let mut admin = test.bearer(Role::Admin).await;
    make(&mut admin, of(&["web", "worker"], json!({"window": "sleep 21:00-06:00"}))).await;
    let start =
        json!({"target_type": "stack", "target_id": "media", "action": "start", "cron": "0 22 * * *"});
    make(&mut admin, start).await;
    let foretold = admin.get("/api/simulate?to=2027-03-03T12:00:00Z").await.json();
    let events = foretold["events"].as_array().expect("a list");
    let of_part = events.iter().filter(|event| event["services"] == json!(["web", "worker"]));
    let of_part: Vec<_> = of_part.map(|event| (event["at"].clone(), event["state"].clone())).collect();
    assert_eq!(
        of_part,
        [
            (json!("2027-03-02T21:00:00.000Z"), json!("asleep")),
            (json!("2027-03-02T22:00:00.000Z"), json!("awake")),
        ],
        "{foretold:#}"
    );

    // So it happens.
    at(&test, "2027-03-02T21:00:00Z").await;
    let sim = &test.bench().sim;
    assert_eq!(running(sim), ["lab-web-1", "media-db-1"]);
    at(&test, "2027-03-02T22:00:00Z").await;
    assert_eq!(running(sim), ALL);
    at(&test, "2027-03-03T05:59:00Z").await;
    assert_eq!(running(sim), ALL);
}

async fn a_schedule_of_services_is_listed_once_among_the_next_ones(db: TestDb) {
    let test = app(db).await;
    let mut admin = test.bearer(Role::Admin).await;
    make(&mut admin, of(&["web", "worker"], json!({"action": "stop", "cron": "0 21 * * *"}))).await;
    let once = json!({"target_type": "container", "target_id": "media-web-1", "kind": "once", "action": "restart",
        "at": "2027-03-02T20:45:00Z"});
    make(&mut admin, once).await;
    let coming = schedules::coming(&test.app, &person(), &Area::default(), 3).await.expect("reads");
    let of: Vec<_> = coming.iter().map(|one| (one.next.at.to_string(), one.target_name.clone())).collect();
    assert_eq!(
        of,
        [
            ("2027-03-02T20:45:00Z".to_owned(), "media-web-1".to_owned()),
            ("2027-03-02T21:00:00Z".to_owned(), "media (web, worker)".to_owned()),
            ("2027-03-03T21:00:00Z".to_owned(), "media (web, worker)".to_owned()),
        ]
    );
    // The page of a container lists what its services have, that of another one does not.
    let shown = admin.get("/api/containers").await.json();
    let mut ada = test.admin().await;
    for (name, lists) in [("media-web-1", true), ("media-db-1", false)] {
        let all = shown.as_array().expect("a list");
        let one = all.iter().find(|one| one["name"] == name).expect("the container");
        let page = ada.get(&format!("/containers/{}", one["key"].as_str().expect("a key"))).await;
        assert_eq!(page.text("main").contains("media (web, worker)"), lists, "{name}: {}", page.text("main"));
    }
}

/// Where the sleep found nothing that ran, the button starts the services, not the whole stack.
async fn what_was_not_woken_is_started_without_the_rest_of_its_stack(db: TestDb) {
    let test = app(db).await;
    let mut admin = test.bearer(Role::Admin).await;
    let made = make(&mut admin, of(&["web", "worker"], json!({"window": "sleep 21:00-06:00"}))).await;
    let sim = &test.bench().sim;
    for name in ["media-db-1", "media-web-1", "media-worker-1"] {
        sim.stop(name).expect("it stops");
    }
    test.bench().settle().await;
    at(&test, "2027-03-02T21:00:00Z").await;
    let mut admin = at(&test, "2027-03-03T06:00:00Z").await;
    let mut ada = test.admin().await;
    let href = format!("/schedules/{}/run?edge=wake", made["id"].as_str().expect("an id"));
    let page = ada.get("/").await;
    assert!(page.text("#now").contains("Nothing of media (web, worker) was woken"), "{}", page.text("#now"));
    assert_eq!(page.attribute(&format!("#now a[href='{href}']"), "href"), Some(href.clone()));
    let started =
        admin.post_json(&format!("/api{}", href.replace("?edge=wake", "")), &json!({"edge": "wake"})).await;
    assert_eq!(started.status, 202, "{}", started.body);
    test.bench().settle().await;
    assert_eq!(running(sim), ["lab-web-1", "media-web-1", "media-worker-1"]);
}
