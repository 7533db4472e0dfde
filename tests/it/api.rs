//! The API over a whole DockNap: real storage, the simulated Engine, tokens, the router as it is served.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use docknap::app::auth::tokens;
use docknap::app::stacks;
use docknap::db;
use docknap::domain::ids::{HostId, UserId};
use docknap::domain::permission::Role;
use docknap::domain::run::StepState;
use docknap::domain::target::{Target, key};
use docknap::domain::user::User;
use docknap::sim::{ContainerSpec, World};
use docknap::web::{self, Web};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::bench::{Bench, person};
use crate::support::rows::{run, step, store_runs};

const HOSTILE: [&str; 4] = ["\"><x", "a/../b", "[x]", "x, click from:body"];

/// A DockNap with one account of each role.
struct Site {
    bench: Bench,
    router: Router,
    web: Web,
    tokens: [String; 3],
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Reply {
    /// The fields that the answer calls wrong.
    fn faults(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["field"].as_str()).collect()
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("a text")).unwrap_or_default()
    }
}

fn world() -> World {
    let mut world = World::new()
        .stack("billing-stack", |stack| {
            stack
                .service("db", |db| db.label("secret.token", "hunter2").label("docknap.group", "money"))
                .service("web", |web| web.depends_on("db"))
        })
        .container("loner", |container| container)
        .container("keeper", ContainerSpec::protect);
    for name in HOSTILE {
        world = world.stack(name, |stack| stack.service("one", |one| one));
    }
    world
}

impl Site {
    async fn new() -> Self {
        let bench = Bench::new("2026-11-23T12:00:00Z", world()).await;
        let mut tokens = Vec::new();
        for role in Role::ALL {
            tokens.push(token(&bench, role).await);
        }
        let web = Web::new(bench.app.clone(), false);
        let tokens = tokens.try_into().expect("three roles");
        Self { router: web::router(web.clone()), web, bench, tokens }
    }

    async fn send(&self, role: Option<Role>, request: axum::http::request::Builder, body: Body) -> Reply {
        let request = match role {
            None => request,
            Some(role) => {
                let token = &self.tokens[role as usize];
                request.header(header::AUTHORIZATION, format!("Bearer {token}"))
            }
        };
        let request = request.body(body).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), 4 << 20).await.expect("a body");
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply { status, headers, body }
    }

    async fn get(&self, role: Role, path: &str) -> Reply {
        self.send(Some(role), Request::get(path), Body::empty()).await
    }

    async fn json(&self, method: Method, path: &str, body: &Value) -> Reply {
        let request =
            Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        self.send(Some(Role::Operator), request, Body::from(body.to_string())).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.json(Method::POST, path, body).await
    }

    async fn created(&self) -> Value {
        let reply = self.post("/api/schedules", &nights()).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{:?}", reply.body);
        reply.body
    }
}

async fn token(bench: &Bench, role: Role) -> String {
    let now = bench.app.clock.now();
    let user = User {
        id: UserId(format!("id-{role}")),
        name: role.to_string(),
        role,
        disabled: false,
        timezone: None,
        theme: None,
        habits: docknap::domain::user::Habits::default(),
        password_set: now,
        last_login: None,
        rev: 1,
        created: now,
    };
    let mut tx = bench.app.db.begin().await.expect("begins");
    db::users::insert(&mut tx, &user, role.as_str(), "-").await.expect("stores");
    tx.commit().await.expect("commits");
    tokens::issue(&bench.app, &user, None).await.expect("a token").token
}

/// The brief's own example.
fn nights() -> Value {
    json!({"target_type": "stack", "target_id": "billing-stack", "action": "stop", "cron": "0 23 * * *", "enabled": true})
}

fn with(changes: Value) -> Value {
    let mut body = nights();
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (field, value) in changes {
        body[field] = value;
    }
    body
}

#[tokio::test]
async fn the_brief_s_own_example_is_stored_answered_and_recorded() {
    let site = Site::new().await;
    let reply = site.post("/api/schedules", &nights()).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    let body = &reply.body;
    assert_eq!(
        reply.header(header::LOCATION),
        format!("/api/schedules/{}", body["id"].as_str().expect("an id"))
    );
    assert_eq!(reply.header(header::ETAG), "\"1\"");
    for (field, value) in [
        ("host", json!("local")),
        ("kind", json!("cron")),
        ("cron", json!("0 23 * * *")),
        ("at", Value::Null),
        ("window", Value::Null),
        ("timezone", Value::Null),
        ("effective_timezone", json!("UTC")),
        ("catch_up_seconds", json!(3600)),
        ("policy", json!("respect")),
        ("mode", json!("stop")),
        ("wake", json!("restore")),
        ("priority", json!(0)),
        ("calendar_id", Value::Null),
        ("skip_at", Value::Null),
        ("source", json!("api")),
        ("owner", json!("operator")),
        ("next_at", json!("2026-11-23T23:00:00.000Z")),
        ("last_run", Value::Null),
        ("target_exists", json!(true)),
        ("rev", json!(1)),
        ("warnings", json!([])),
    ] {
        assert_eq!(body[field], value, "{field}");
    }
    let stacks = site.get(Role::Viewer, "/api/stacks").await.body;
    let billing =
        stacks.as_array().expect("a plain array").iter().find(|stack| stack["name"] == "billing-stack");
    let next = &billing.expect("the stack")["next"];
    assert_eq!((&next["at"], &next["action"]), (&json!("2026-11-23T23:00:00.000Z"), &json!("stop")));
    assert_eq!(next["schedule_id"], body["id"]);
    let audit = site.get(Role::Operator, "/api/audit").await.body;
    let row = &audit["items"][0];
    assert_eq!((&row["event"], &row["actor"]["name"]), (&json!("schedule.create"), &json!("operator")));
    assert_eq!(row["object_id"], body["id"]);
    assert!(row["changes"].as_array().expect("changes").iter().any(|change| change["field"] == "cron"));
    assert_eq!(
        site.get(Role::Viewer, "/api/audit").await.body["items"],
        json!([]),
        "others see their own rows"
    );
}

#[tokio::test]
async fn a_schedule_that_is_read_can_be_sent_back_as_it_is() {
    let site = Site::new().await;
    let id = site.created().await["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/schedules/{id}");
    let read = site.get(Role::Viewer, &path).await;
    assert_eq!(read.header(header::ETAG), "\"1\"");
    let sent = site.json(Method::PUT, &path, &read.body).await;
    assert_eq!(sent.status, StatusCode::OK, "{:?}", sent.body);
    assert_eq!((&sent.body["rev"], sent.header(header::ETAG)), (&json!(2), "\"2\""));
    let bare = site.json(Method::PUT, &path, &with(json!({"catch_up_seconds": 60}))).await;
    assert_eq!(bare.body["catch_up_seconds"], 60);
    let bare = site.json(Method::PUT, &path, &nights()).await;
    assert_eq!(bare.body["catch_up_seconds"], 3600, "what is left out is at its default");
}

#[tokio::test]
async fn a_stale_if_match_changes_nothing() {
    let site = Site::new().await;
    let path = format!("/api/schedules/{}", site.created().await["id"].as_str().expect("an id"));
    let put = async |tag: &str| {
        let request = Request::put(&path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::IF_MATCH, tag);
        site.send(Some(Role::Operator), request, Body::from(nights().to_string())).await
    };
    assert_eq!(put("\"1\"").await.status, StatusCode::OK);
    for stale in ["\"1\"", "W/\"1\"", "rubbish", "\"x\""] {
        let reply = put(stale).await;
        assert_eq!(reply.status, StatusCode::PRECONDITION_FAILED, "{stale}");
        assert_eq!(reply.body["code"], "stale");
    }
    assert_eq!(put("W/\"2\"").await.status, StatusCode::OK);
    assert_eq!(put("*").await.status, StatusCode::OK);
    let request = Request::delete(&path).header(header::IF_MATCH, "\"2\"");
    let reply = site.send(Some(Role::Operator), request, Body::empty()).await;
    assert_eq!(reply.status, StatusCode::PRECONDITION_FAILED);
    let reply = site.send(Some(Role::Operator), Request::delete(&path), Body::empty()).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert_eq!(site.get(Role::Viewer, &path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn bad_bodies_are_answered_by_field_and_store_nothing() {
    let site = Site::new().await;
    for (body, fields) in [
        (with(json!({"cron": "61 * * * *"})), vec!["cron"]),
        (with(json!({"cron": "0 0 23 * * *"})), vec!["cron"]),
        (with(json!({"cron": "0 22-6 * * *"})), vec!["cron"]),
        (with(json!({"cron": "0 0 31 2 *"})), vec!["cron"]),
        (with(json!({"cron": 5})), vec!["cron"]),
        (with(json!({"cron": null})), vec!["cron"]),
        (with(json!({"timezone": "Mars/Olympus"})), vec!["timezone"]),
        (with(json!({"timezone": ["UTC"]})), vec!["timezone"]),
        (with(json!({"target_id": "biling-stack"})), vec!["target_id"]),
        (with(json!({"target_type": "container", "target_id": "keeper"})), vec!["target_id"]),
        (with(json!({"target_type": "pod"})), vec!["target_type"]),
        (with(json!({"host": "mars"})), vec!["host"]),
        (with(json!({"action": "explode"})), vec!["action"]),
        (with(json!({"enabled": "yes"})), vec!["enabled"]),
        (with(json!({"catch_up_seconds": "60"})), vec!["catch_up_seconds"]),
        (with(json!({"catch_up_seconds": 604_801})), vec!["catch_up_seconds"]),
        (with(json!({"catch_up_seconds": 1e30})), vec!["catch_up_seconds"]),
        (with(json!({"priority": 1.5})), vec!["priority"]),
        (
            with(json!({"kind": "window", "cron": null, "action": null, "window": "sleep Mon 25:00-02:00"})),
            vec!["window"],
        ),
        (with(json!({"cron": null, "at": "2026-11-23T11:00:00Z"})), vec!["at"]),
        (with(json!({"crn": "x", "enabld": true})), vec!["crn", "enabld"]),
        (json!({}), vec!["cron", "action", "target_type", "target_id"]),
        (json!([]), vec!["body"]),
    ] {
        let reply = site.post("/api/schedules", &body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(reply.header(header::CONTENT_TYPE), "application/problem+json", "{body}");
        assert_eq!(reply.body["code"], "invalid", "{body}");
        assert_eq!(reply.faults(), fields, "{body}");
    }
    let near = site.post("/api/schedules", &with(json!({"target_id": "biling-stack"}))).await;
    let message = near.body["errors"][0]["message"].as_str().expect("a message");
    assert!(message.contains("did you mean `billing-stack`"), "{message}");
    let request = || Request::post("/api/schedules").header(header::CONTENT_TYPE, "application/json");
    let reply = site.send(Some(Role::Operator), request(), Body::from("{")).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let large = with(json!({"note": "x".repeat(64 * 1024)})).to_string();
    let reply = site.send(Some(Role::Operator), request(), Body::from(large)).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    let reply = site.send(Some(Role::Operator), Request::post("/api/schedules"), Body::from("a=1")).await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(site.get(Role::Viewer, "/api/schedules").await.body["items"], json!([]));
    let missing =
        site.post("/api/schedules", &with(json!({"target_id": "later", "allow_missing": true}))).await;
    assert_eq!(missing.status, StatusCode::CREATED);
    assert_eq!(missing.body["target_exists"], false);
}

#[tokio::test]
async fn a_preview_tells_and_stores_nothing() {
    let site = Site::new().await;
    let body = json!({"cron": "30 2 * * *", "timezone": "Europe/Berlin"});
    let request = Request::post("/api/schedules/preview").header(header::CONTENT_TYPE, "application/json");
    let reply = site.send(Some(Role::Viewer), request, Body::from(body.to_string())).await;
    assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
    assert_eq!(reply.body["meaning"], "At 02:30");
    assert_eq!(reply.body["next"].as_array().expect("instants").len(), 10);
    assert_eq!(reply.body["next"][0], "2026-11-24T01:30:00.000Z");
    assert_eq!(reply.body["effective_timezone"], "Europe/Berlin");
    assert!(reply.body["dst_notes"][0].as_str().expect("a note").contains("28 Mar 2027"));
    assert_eq!(site.get(Role::Viewer, "/api/schedules").await.body["items"], json!([]));
}

#[tokio::test]
async fn a_schedule_is_switched_skipped_and_run_by_its_verbs() {
    let site = Site::new().await;
    let path = format!("/api/schedules/{}", site.created().await["id"].as_str().expect("an id"));
    let verb = async |method: Method, verb: &str| {
        let request = Request::builder().method(method).uri(format!("{path}/{verb}"));
        site.send(Some(Role::Operator), request, Body::empty()).await
    };
    let skipped = verb(Method::POST, "skip-next").await.body;
    assert_eq!(
        (&skipped["skip_at"], &skipped["next_at"]),
        (&json!("2026-11-23T23:00:00.000Z"), &json!("2026-11-24T23:00:00.000Z"))
    );
    let stacks = site.get(Role::Viewer, "/api/stacks/local/billing-stack").await.body;
    assert_eq!(stacks["next"]["at"], "2026-11-24T23:00:00.000Z", "a skipped occurrence does not come next");
    let back = verb(Method::DELETE, "skip-next").await.body;
    assert_eq!((&back["skip_at"], &back["next_at"]), (&Value::Null, &json!("2026-11-23T23:00:00.000Z")));
    let off = verb(Method::POST, "disable").await.body;
    assert_eq!((&off["enabled"], &off["next_at"]), (&json!(false), &Value::Null));
    assert_eq!(verb(Method::POST, "skip-next").await.status, StatusCode::CONFLICT);
    assert_eq!(verb(Method::POST, "enable").await.body["enabled"], true);
    let ran = verb(Method::POST, "run").await;
    assert_eq!(ran.status, StatusCode::ACCEPTED, "{:?}", ran.body);
    assert_eq!(verb(Method::POST, "dance").await.status, StatusCode::NOT_FOUND);
    site.bench.settle().await;
    let run = site
        .get(Role::Viewer, &format!("/api/runs/{}", ran.body["run_id"].as_str().expect("an id")))
        .await
        .body;
    assert_eq!(
        (&run["state"], &run["trigger"], &run["action"]),
        (&json!("succeeded"), &json!("api"), &json!("stop"))
    );
    assert_eq!(run["schedule_name"], "Stop billing-stack");
    let last = site.get(Role::Viewer, &path).await.body["last_run"].clone();
    assert_eq!((&last["id"], &last["state"]), (&run["id"], &json!("succeeded")));
    let gone = site.post("/api/schedules/none/run", &json!({})).await;
    assert_eq!((gone.status, &gone.body["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
}

#[tokio::test]
async fn a_stack_is_stopped_by_its_path_and_says_why_it_naps() {
    let site = Site::new().await;
    let before = site.get(Role::Viewer, "/api/stacks/local/billing-stack").await.body;
    assert_eq!(
        (&before["status"], &before["why"]),
        (&json!("running"), &json!("DockNap has not touched it"))
    );
    assert_eq!(before["desired"], "none");
    assert_eq!(before["counts"], json!({"running": 2, "stopped": 0, "paused": 0, "total": 2}));
    let reply = site.post("/api/stacks/local/billing-stack/stop", &json!({"reason": "maintenance"})).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{:?}", reply.body);
    assert!(reply.body.get("duplicate").is_none());
    let again = site.post("/api/stacks/local/billing-stack/stop", &json!({})).await;
    assert_eq!((again.status, &again.body["duplicate"]), (StatusCode::OK, &json!(true)));
    assert_eq!(again.body["run_id"], reply.body["run_id"]);
    site.bench.settle().await;
    let after = site.get(Role::Viewer, "/api/stacks/local/billing-stack").await.body;
    assert_eq!((&after["status"], &after["shown"]), (&json!("stopped"), &json!("napping")));
    let why = after["why"].as_str().expect("a text");
    assert!(why.starts_with("Stopped by operator, 12:0") && why.ends_with(" today"), "{why}");
    let run = site
        .get(Role::Viewer, &format!("/api/runs/{}", reply.body["run_id"].as_str().expect("an id")))
        .await
        .body;
    assert_eq!(run["steps"].as_array().expect("steps").len(), 2);
    assert_eq!(run["actor"]["name"], "operator");
    site.bench.sim.start("billing-stack-db-1").expect("somebody starts it");
    site.bench.quiet().await;
    let db = site.get(Role::Viewer, "/api/containers/local/billing-stack-db-1").await.body;
    assert_eq!(db["shown"], "running");
    assert!(db["why"].as_str().expect("a text").starts_with("Started outside DockNap"), "{}", db["why"]);
    let summary = site.get(Role::Viewer, "/api/summary").await.body;
    assert_eq!((&summary["stacks"], &summary["stacks_partial"]), (&json!(5), &json!(1)));
    assert_eq!((&summary["containers_napping"], &summary["runs_last_24h"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn what_must_not_be_touched_is_refused_by_every_path() {
    let site = Site::new().await;
    let protected = site.post("/api/containers/local/keeper/stop", &json!({})).await;
    assert_eq!((protected.status, &protected.body["code"]), (StatusCode::FORBIDDEN, &json!("protected")));
    for (path, code) in [
        ("/api/containers/local/keper/stop", "not_found"),
        ("/api/stacks/mars/billing-stack/stop", "not_found"),
        ("/api/stacks/local/billing-stack/explode", "not_found"),
    ] {
        let reply = site.post(path, &json!({})).await;
        assert_eq!((reply.status, &reply.body["code"]), (StatusCode::NOT_FOUND, &json!(code)), "{path}");
    }
    for (body, field) in [
        (json!({"stop_timeout_seconds": 3601}), "stop_timeout_seconds"),
        (json!({"reason": 1}), "reason"),
        (json!({"x": 1}), "x"),
    ] {
        let reply = site.post("/api/containers/local/loner/stop", &body).await;
        assert_eq!((reply.status, reply.faults()), (StatusCode::UNPROCESSABLE_ENTITY, vec![field]));
    }
    assert!(site.bench.sim.acts().is_empty(), "Docker was asked for nothing");
}

#[tokio::test]
async fn several_targets_are_asked_for_at_once() {
    let site = Site::new().await;
    let target = |kind: &str, id: &str| json!({"target_type": kind, "target_id": id});
    let unknown =
        json!({"action": "stop", "targets": [target("container", "loner"), target("stack", "biling-stack")]});
    let reply = site.post("/api/actions", &unknown).await;
    assert_eq!(
        (reply.status, reply.faults()),
        (StatusCode::UNPROCESSABLE_ENTITY, vec!["targets[1].target_id"])
    );
    let none = site.post("/api/actions", &json!({"action": "stop", "targets": []})).await;
    assert_eq!(none.faults(), ["targets"]);
    assert!(site.bench.sim.acts().is_empty(), "nothing was done");
    let body =
        json!({"action": "stop", "targets": [target("container", "loner"), target("container", "keeper")]});
    let reply = site.post("/api/actions", &body).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{:?}", reply.body);
    let items = &reply.body["items"];
    assert_eq!((&items[0]["target_id"], &items[0]["state"]), (&json!("loner"), &json!("pending")));
    assert_eq!((&items[1]["error"]["code"], &items[1]["run_id"]), (&json!("protected"), &Value::Null));
    site.bench.settle().await;
    let runs = site.get(Role::Viewer, "/api/runs").await.body;
    assert_eq!(
        (&runs["items"][0]["trigger"], &runs["items"][0]["state"]),
        (&json!("bulk"), &json!("succeeded"))
    );
}

#[tokio::test]
async fn a_plan_changes_nothing() {
    let site = Site::new().await;
    let body = json!({"target_type": "stack", "target_id": "billing-stack", "action": "stop"});
    let request = Request::post("/api/plan").header(header::CONTENT_TYPE, "application/json");
    let reply = site.send(Some(Role::Viewer), request, Body::from(body.to_string())).await;
    assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
    let steps: Vec<_> = reply.body["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| (&step["wave"], &step["container"]))
        .collect();
    assert_eq!(
        steps,
        [(&json!(1), &json!("billing-stack-web-1")), (&json!(2), &json!("billing-stack-db-1"))]
    );
    let wrong = site
        .post("/api/plan", &json!({"target_type": "stack", "target_id": "x", "action": "fly", "z": 1}))
        .await;
    assert_eq!(wrong.faults(), ["action", "z"]);
    assert!(site.bench.sim.acts().is_empty(), "Docker was asked for nothing");
}

#[tokio::test]
async fn the_same_key_acts_once() {
    let site = Site::new().await;
    let post = async |path: &str, key: &str, body: &Value| {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", key);
        site.send(Some(Role::Operator), request, Body::from(body.to_string())).await
    };
    let first = post("/api/schedules", "k1", &nights()).await;
    let second = post("/api/schedules", "k1", &nights()).await;
    assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.body, second.body);
    let other = post("/api/schedules", "k1", &with(json!({"note": "other"}))).await;
    assert_eq!((other.status, other.faults()), (StatusCode::UNPROCESSABLE_ENTITY, vec!["Idempotency-Key"]));
    let bad = post("/api/schedules", "a b", &nights()).await;
    assert_eq!(bad.faults(), ["Idempotency-Key"]);
    assert_eq!(
        site.get(Role::Viewer, "/api/schedules").await.body["items"].as_array().expect("a list").len(),
        1
    );
    let wrong = with(json!({"cron": "x"}));
    assert_eq!(post("/api/schedules", "k2", &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        post("/api/schedules", "k2", &nights()).await.status,
        StatusCode::CREATED,
        "a refusal frees the key"
    );
    let path = "/api/containers/local/loner/stop";
    let first = post(path, "k3", &json!({})).await;
    site.bench.settle().await;
    let second = post(path, "k3", &json!({})).await;
    assert_eq!((second.status, &second.body), (StatusCode::ACCEPTED, &first.body));
    assert_eq!(site.bench.sim.acts().len(), 1, "it was stopped once");
}

#[tokio::test]
async fn viewers_see_the_labels_of_compose_and_ours_only() {
    let site = Site::new().await;
    let path = "/api/containers/local/billing-stack-db-1";
    let labels = site.get(Role::Viewer, path).await.body["labels"].clone();
    assert_eq!(labels["docknap.group"], "money");
    assert_eq!(labels["com.docker.compose.project"], "billing-stack");
    assert_eq!(labels.get("secret.token"), None);
    let labels = site.get(Role::Operator, path).await.body["labels"].clone();
    assert_eq!(labels["secret.token"], "hunter2");
    for path in ["/api/containers", "/api/stacks", "/api/stacks/local/billing-stack"] {
        let seen = site.get(Role::Viewer, path).await.body.to_string();
        assert!(!seen.contains("hunter2"), "{path}");
        let seen = site.get(Role::Operator, path).await.body.to_string();
        assert!(seen.contains("hunter2"), "{path}");
    }
}

#[tokio::test]
async fn log_lines_of_a_failed_start_are_for_operators() {
    let site = Site::new().await;
    let run = run("a-run");
    let mut failed = step(&run, 0);
    failed.state = StepState::Failed;
    failed.output = Some("password=hunter2".to_owned());
    store_runs(&site.bench.app.db, &[(run, vec![failed])]).await;
    for path in ["/api/runs", "/api/runs/a-run"] {
        assert!(!site.get(Role::Viewer, path).await.body.to_string().contains("hunter2"), "{path}");
        assert!(site.get(Role::Operator, path).await.body.to_string().contains("hunter2"), "{path}");
    }
}

#[tokio::test]
async fn hostile_names_are_found_by_one_encoded_segment_or_by_key() {
    let site = Site::new().await;
    for name in HOSTILE {
        let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        let by_name = site.get(Role::Viewer, &format!("/api/stacks/local/{encoded}")).await;
        assert_eq!((by_name.status, &by_name.body["name"]), (StatusCode::OK, &json!(name)));
        let key = key(&HostId::local(), name);
        let by_key = site.get(Role::Viewer, &format!("/api/stacks/local/{key}")).await;
        assert_eq!(by_key.body["name"], name);
        let stopped = site.post(&format!("/api/stacks/local/{encoded}/stop"), &json!({})).await;
        assert_eq!(stopped.status, StatusCode::ACCEPTED, "{name}: {:?}", stopped.body);
        let kept = site.post("/api/schedules", &with(json!({"target_id": name}))).await;
        assert_eq!((kept.status, &kept.body["target_id"]), (StatusCode::CREATED, &json!(name)));
    }
    site.bench.settle().await;
    let runs = site.get(Role::Viewer, "/api/runs?state=succeeded").await.body;
    assert_eq!(runs["items"].as_array().expect("a list").len(), HOSTILE.len());
    for path in
        ["/api/runs/..%2F..%2Fetc", "/api/schedules/%00", "/api/stacks/local/%FF", "/api/stacks/%2E%2E/x"]
    {
        let reply = site.get(Role::Viewer, path).await;
        assert!(matches!(reply.status.as_u16(), 400 | 404), "{path}: {}", reply.status);
    }
}

#[tokio::test]
async fn lists_come_in_pages_by_cursor() {
    let site = Site::new().await;
    let rows: Vec<_> = ["a", "b", "c"].into_iter().map(|id| (run(id), Vec::new())).collect();
    store_runs(&site.bench.app.db, &rows).await;
    let first = site.get(Role::Viewer, "/api/runs?limit=2").await.body;
    let ids = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("a list");
        items.iter().map(|run| run["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&first), ["c", "b"]);
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let second = site.get(Role::Viewer, &format!("/api/runs?limit=2&cursor={cursor}")).await.body;
    assert_eq!((ids(&second), &second["next_cursor"]), (vec!["a".to_owned()], &Value::Null));
    let of_stack = site.get(Role::Viewer, "/api/runs?target_type=stack&target_id=media").await.body;
    assert_eq!(ids(&of_stack).len(), 3, "a stack that is gone has a history");
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=%25", "cursor"),
        ("state=done", "state"),
        ("limt=1", "limt"),
        ("limit=1&limit=2", "limit"),
        ("target_type=stack", "target_id"),
        ("attention=perhaps", "attention"),
    ] {
        let reply = site.get(Role::Viewer, &format!("/api/runs?{query}")).await;
        assert_eq!(
            (reply.status, reply.faults()),
            (StatusCode::UNPROCESSABLE_ENTITY, vec![field]),
            "{query}"
        );
    }
}

#[tokio::test]
async fn an_open_run_can_be_called_off_and_an_ended_one_cannot() {
    let site = Site::new().await;
    let stopped = site.post("/api/stacks/local/billing-stack/stop", &json!({})).await.body;
    let path = format!("/api/runs/{}", stopped["run_id"].as_str().expect("an id"));
    let cancelled = site.post(&format!("{path}/cancel"), &json!({})).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED, "{:?}", cancelled.body);
    site.bench.settle().await;
    assert_eq!(site.get(Role::Viewer, &path).await.body["state"], "cancelled");
    assert_eq!(site.post(&format!("{path}/cancel"), &json!({})).await.status, StatusCode::CONFLICT);
    assert_eq!(site.post("/api/runs/none/cancel", &json!({})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.post("/api/runs/none/retry", &json!({})).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_description_and_the_routes_are_the_same_set() {
    let site = Site::new().await;
    let reply = site.send(None, Request::get("/api/openapi.json"), Body::empty()).await;
    assert_eq!(reply.status, StatusCode::OK);
    let mut described: Vec<String> = Vec::new();
    for (path, calls) in reply.body["paths"].as_object().expect("paths") {
        for method in calls.as_object().expect("calls").keys() {
            described.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    let mut served: Vec<String> = web::table(&site.web)
        .into_iter()
        .filter(|route| route.path.starts_with("/api/"))
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    described.sort();
    served.sort();
    assert_eq!(described, served);
    let text = reply.body.to_string();
    for (_, rest) in
        text.match_indices("#/components/schemas/").map(|(at, start)| text.split_at(at + start.len()))
    {
        let name = rest.split('"').next().expect("a name");
        assert!(reply.body["components"]["schemas"].get(name).is_some(), "the schema {name} is missing");
    }
}

#[tokio::test]
async fn at_23_00_both_containers_stop_in_reverse_order() {
    let site = Site::new().await;
    let id = site.created().await["id"].as_str().expect("an id").to_owned();
    site.bench.advance_to("2026-11-23T23:00:00Z").await;
    site.bench.tick().await;
    site.bench.settle().await;
    let runs = site.get(Role::Viewer, &format!("/api/runs?schedule_id={id}")).await.body;
    let run = &runs["items"][0];
    assert_eq!((&run["state"], &run["trigger"]), (&json!("succeeded"), &json!("schedule")));
    assert_eq!(run["fire_at"], "2026-11-23T23:00:00.000Z");
    let order: Vec<_> =
        run["steps"].as_array().expect("steps").iter().map(|step| step["container"].clone()).collect();
    assert_eq!(order, ["billing-stack-web-1", "billing-stack-db-1"]);
    let stack = site.get(Role::Viewer, "/api/stacks/local/billing-stack").await.body;
    assert_eq!((&stack["status"], &stack["shown"]), (&json!("stopped"), &json!("napping")));
    assert_eq!(stack["why"], "Stopped by schedule Stop billing-stack, 23:00 today");
    site.bench.clock.advance(Duration::from_secs(2 * 3600));
    // The tokens have ended by then.
    let (host, name) = (HostId::local(), "billing-stack");
    let view = stacks::get(&site.bench.app, &person(), &host, name).await.expect("the stack");
    assert_eq!(view.why(), "Stopped by schedule Stop billing-stack, 23:00 yesterday");
    assert_eq!(json!(Target::stack(host, name).key()), stack["key"]);
}
