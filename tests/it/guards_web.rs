//! Guards through API and pages: what is accepted, what is foretold, and what is shown of a wait.

use std::time::Duration;

use docknap::domain::permission::Role;
use docknap::sim::World;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::bench::Bench;

/// A Tuesday.
const NOW: &str = "2027-03-02T22:30:00Z";

async fn site() -> TestApp {
    let day = Duration::from_secs(24 * 3600);
    let world = World::new().stack("shop", |s| s.service("web", |c| c.uses(63, 1 << 20).up_for(day)));
    TestApp::over(Bench::new(NOW, world).await).await
}

fn body(guard: &Value) -> Value {
    json!({
        "target_type": "stack", "target_id": "shop", "action": "stop", "cron": "0 23 * * *", "timezone": "UTC",
        "name": "Nights", "guard": guard,
    })
}

async fn pass(test: &TestApp, instant: &str) {
    test.bench().advance_to(instant).await;
    test.bench().tick().await;
    test.bench().quiet().await;
}

#[tokio::test]
async fn a_guard_is_kept_changed_and_taken_away() {
    let test = site().await;
    let mut otto = test.bearer(Role::Operator).await;
    let whole = json!({
        "min_uptime_minutes": 10, "busy_cpu_percent": 20, "busy_wait_minutes": 45, "then": "skip",
    });
    let made = otto.post_json("/api/schedules", &body(&whole)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.json()["guard"], whole);
    let path = format!("/api/schedules/{}", made.json()["id"].as_str().expect("an id"));
    let stored = otto.get(&path).await.json();
    assert_eq!(stored["guard"], whole);
    // What was answered can be sent back as it is.
    let put =
        |body: &Value| (axum::http::Method::PUT, path.clone(), Some("application/json"), body.to_string());
    let (method, to, kind, text) = put(&stored);
    let again = otto.send(method, &to, kind, text, &[]).await;
    assert_eq!((again.status, &again.json()["guard"]), (200, &whole), "{}", again.body);
    for (sent, kept) in [
        (
            json!({"busy_cpu_percent": 150}),
            json!({
                "min_uptime_minutes": null, "busy_cpu_percent": 150, "busy_wait_minutes": 30, "then": "go",
            }),
        ),
        (json!({}), Value::Null),
        (json!({"then": "skip"}), Value::Null),
        (Value::Null, Value::Null),
    ] {
        let (method, to, kind, text) = put(&body(&sent));
        let answer = otto.send(method, &to, kind, text, &[]).await;
        assert_eq!((answer.status, &answer.json()["guard"]), (200, &kept), "{sent}: {}", answer.body);
    }
    let audit: Vec<_> = test.audit().await.into_iter().filter(|row| row.0 == "schedule.update").collect();
    assert_eq!(audit.len(), 5);
}

#[tokio::test]
async fn what_is_wrong_with_a_guard_is_named() {
    let test = site().await;
    let mut otto = test.bearer(Role::Operator).await;
    for (guard, field) in [
        (json!({"min_uptime_minutes": 0}), "guard.min_uptime_minutes"),
        (json!({"min_uptime_minutes": 1441}), "guard.min_uptime_minutes"),
        (json!({"min_uptime_minutes": "10"}), "guard.min_uptime_minutes"),
        (json!({"busy_cpu_percent": 0}), "guard.busy_cpu_percent"),
        (json!({"busy_cpu_percent": 6401}), "guard.busy_cpu_percent"),
        (json!({"busy_cpu_percent": 20, "busy_wait_minutes": 4}), "guard.busy_wait_minutes"),
        (json!({"busy_cpu_percent": 20, "busy_wait_minutes": 721}), "guard.busy_wait_minutes"),
        (json!({"busy_wait_minutes": 30}), "guard.busy_cpu_percent"),
        (json!({"busy_cpu_percent": 20, "then": "wait"}), "guard.then"),
        (json!({"uptime": 20}), "guard.uptime"),
        (json!("busy"), "guard"),
        (json!([]), "guard"),
    ] {
        for path in ["/api/schedules", "/api/schedules/preview"] {
            let answer = otto.post_json(path, &body(&guard)).await;
            assert_eq!((answer.status, answer.wrong_field().as_str()), (422, field), "{path} {guard}");
        }
    }
    for action in ["start", "restart", "unpause"] {
        let mut body = body(&json!({"min_uptime_minutes": 10}));
        body["action"] = json!(action);
        let answer = otto.post_json("/api/schedules", &body).await;
        assert_eq!(
            (answer.status, answer.wrong_field().as_str()),
            (422, "guard.min_uptime_minutes"),
            "{action}"
        );
    }
    let mut pause = body(&json!({"min_uptime_minutes": 10}));
    pause["action"] = json!("pause");
    assert_eq!(otto.post_json("/api/schedules", &pause).await.status, 201);
}

#[tokio::test]
async fn previews_and_the_simulation_tell_how_long_it_may_wait() {
    let test = site().await;
    let mut otto = test.bearer(Role::Operator).await;
    let guard = json!({"min_uptime_minutes": 10, "busy_cpu_percent": 20});
    let told = otto.post_json("/api/schedules/preview", &body(&guard)).await.json();
    assert_eq!(told["may_wait_minutes"], 40);
    let without = otto.post_json("/api/schedules/preview", &body(&Value::Null)).await.json();
    assert_eq!(without["may_wait_minutes"], Value::Null);
    otto.post_json("/api/schedules", &body(&guard)).await;
    let foretold = otto.get("/api/simulate?to=2027-03-03T00:00:00Z").await.json();
    assert_eq!(foretold["events"][0]["reason"], "may wait up to 40 min");

    let test = site().await;
    let mut otto = test.bearer(Role::Operator).await;
    let window = json!({
        "target_type": "stack", "target_id": "shop", "window": "sleep 23:00-07:00", "timezone": "UTC",
        "name": "Nights", "guard": guard,
    });
    assert_eq!(otto.post_json("/api/schedules", &window).await.status, 201);
    let events = otto.get("/api/simulate?to=2027-03-03T12:00:00Z").await.json()["events"].clone();
    assert_eq!(events[0]["reason"], "asleep by “Nights” (sleep 23:00-07:00); may wait up to 40 min");
    assert_eq!(events[1]["reason"], "awake by “Nights” (sleep 23:00-07:00)", "a wake does not wait");
}

#[tokio::test]
async fn a_wait_is_shown_where_one_looks() {
    let test = site().await;
    let mut api = test.bearer(Role::Operator).await;
    api.post_json("/api/schedules", &body(&json!({"busy_cpu_percent": 20, "busy_wait_minutes": 12}))).await;
    let mut otto = test.operator().await;
    let stack = format!("/stacks/{}", Bench::stack("shop").key());
    pass(&test, "2027-03-02T22:56:00Z").await;
    let notes = otto.get(&stack).await.text(".note");
    assert!(notes.contains("Sleeps in 4 min, by Nights; may wait up to 12 min."), "{notes}");
    pass(&test, "2027-03-02T23:00:00Z").await;
    let run = api.get("/api/runs").await.json()["items"][0].clone();
    let reason = "busy: shop-web-1 at 63\u{a0}% CPU (limit 20\u{a0}%); looks again at 23:05, sleeps all the same at 23:12";
    assert_eq!(run["state"], "pending");
    assert_eq!(run["reason"], reason);
    assert_eq!(run["looks_again_at"], "2027-03-02T23:05:00.000Z");
    let page = otto.get(&format!("/runs/{}", run["id"].as_str().expect("an id"))).await;
    let words = |text: &str| text.replace('\u{a0}', " ");
    assert_eq!(words(&page.text(".why")), words(&format!("Why {reason}")));
    assert_eq!(page.text("main [role=status]"), "Held back until its next look");
    assert_eq!(
        page.attribute("#run", "hx-trigger").as_deref(),
        Some("runs from:body, minute from:body, resync from:body")
    );
    let notes = otto.get(&stack).await.text(".note");
    assert_eq!(words(&notes), words(&format!("Stop shop waits: {reason}. Follow it")));
    assert!(otto.get("/schedules").await.text(".lead .sub").contains("; may wait up to 12 min"));
}

#[tokio::test]
async fn the_form_keeps_what_was_typed() {
    let test = site().await;
    let mut otto = test.operator().await;
    let target = format!("stack/{}", Bench::stack("shop").key());
    otto.get("/schedules/new").await;
    let fields = |kind, action, uptime, cpu, wait| {
        [
            ("target", target.as_str()),
            ("kind", kind),
            ("action", action),
            ("cron", "0 23 * * *"),
            ("window", "sleep 23:00-07:00"),
            ("guard.min_uptime_minutes", uptime),
            ("guard.busy_cpu_percent", cpu),
            ("guard.busy_wait_minutes", wait),
            ("guard.then", "skip"),
            ("save", "on"),
        ]
    };
    let refused = otto.post("/schedules", &fields("cron", "stop", "soon", "20", "3")).await;
    assert_eq!(refused.status, 422);
    let value = |name: &str| refused.attribute(&format!("[name=\"{name}\"]"), "value");
    assert_eq!(value("guard.min_uptime_minutes").as_deref(), Some("soon"));
    assert_eq!(value("guard.busy_cpu_percent").as_deref(), Some("20"));
    assert_eq!(refused.text("[name=\"guard.then\"] [selected]"), "Leave it awake this time");
    assert_eq!(
        refused.text(".more .field-error"),
        "use a whole number from 1 to 1440 use a whole number from 5 to 720"
    );
    assert!(refused.attribute("details.more", "open").is_some(), "what is wrong can be seen");
    // The fields of what does not sleep are out of sight, and do not count.
    assert_eq!(otto.post("/schedules", &fields("cron", "start", "soon", "20", "3")).await.status, 303);
    assert_eq!(otto.post("/schedules", &fields("window", "start", "10", "20", "")).await.status, 303);
    let mut api = test.bearer(Role::Viewer).await;
    let listed = api.get("/api/schedules").await.json();
    assert_eq!(listed["items"][1]["guard"], Value::Null);
    assert_eq!(
        listed["items"][0]["guard"],
        json!({"min_uptime_minutes": 10, "busy_cpu_percent": 20, "busy_wait_minutes": 30, "then": "skip"})
    );
    let page = format!("/schedules/{}", listed["items"][0]["id"].as_str().expect("an id"));
    let shown = otto.get(&page).await;
    assert_eq!(shown.attribute("[name=\"guard.busy_wait_minutes\"]", "value").as_deref(), Some("30"));
    assert!(shown.text("#preview").contains("May wait up to 40 min: until it has been up 10 min"));
}
