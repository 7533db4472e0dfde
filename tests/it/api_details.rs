//! What the API promises of every call: the form of instants, refusals that say what is wrong, names by which a
//! container is found, answers that are given again.

use std::collections::BTreeSet;

use axum::http::Method;
use docknap::domain::action::Action;
use docknap::domain::permission::Role;
use docknap::sim::World;
use docknap::web;
use serde_json::{Value, json};

use crate::support::app::{Answer, Client, TestApp};
use crate::support::bench::Bench;

const NOW: &str = "2026-11-23T12:00:00Z";
/// An id as far as a person copies it from `docker ps`.
const SHORT: usize = 12;

async fn site() -> TestApp {
    let world = World::new()
        .stack("shop", |shop| shop.service("db", |db| db).service("web", |web| web.depends_on("db")))
        .container("loner", |loner| loner);
    TestApp::over(Bench::new(NOW, world).await).await
}

async fn api(test: &TestApp) -> Client {
    test.bearer(Role::Admin).await
}

fn faults(answer: &Answer) -> Vec<String> {
    let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["field"].as_str().expect("a field").to_owned()).collect()
}

fn nights() -> Value {
    json!({"target_type": "stack", "target_id": "shop", "action": "stop", "cron": "0 23 * * *"})
}

/// Every text in it that is an instant, with where it stands.
fn instants(at: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) if text.contains('T') && text.parse::<jiff::Timestamp>().is_ok() => {
            found.push((at.to_owned(), text.clone()));
        }
        Value::Array(items) => items.iter().for_each(|item| instants(at, item, found)),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, item)| instants(&format!("{at}/{name}"), item, found));
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_instant_has_three_digits_below_the_second() {
    let test = site().await;
    let mut api = api(&test).await;
    // At whole seconds, and at ones that end in a zero.
    for ms in [0, 250, 7] {
        let stored = api.post_json("/api/schedules", &nights()).await;
        assert_eq!(stored.status, 201, "{}", stored.body);
        let wish = json!({"target_type": "stack", "target_id": "shop", "state": "awake", "until": "3h", "reason": "x"});
        assert_eq!(api.post_json("/api/overrides", &wish).await.status, 201);
        let lock = ("/api/containers/local/loner/lock", json!({"reason": "x"}).to_string());
        let kind = Some("application/json");
        assert_eq!(api.send(Method::PUT, lock.0, kind, lock.1, &[]).await.status, 200);
        test.bench().carry_out(Action::Stop, Bench::stack("shop")).await;
        test.bench().advance(std::time::Duration::from_millis(60_000 + ms)).await;
    }
    let mut found = Vec::new();
    for path in [
        "stacks",
        "containers",
        "schedules",
        "runs",
        "overrides?ended=true",
        "locks",
        "audit",
        "summary",
        "report",
        "simulate",
    ] {
        let answer = api.get(&format!("/api/{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let before = found.len();
        instants(path, &answer.json(), &mut found);
        assert!(found.len() > before, "{path} tells no instant: {}", answer.body);
    }
    let preview = api.post_json("/api/schedules/preview", &nights()).await.json();
    instants("preview", &preview, &mut found);
    let login = json!({"username": "vera", "password": crate::support::app::PASSWORD});
    instants("login", &test.program().post_json("/api/auth/login", &login).await.json(), &mut found);
    for (at, text) in &found {
        assert!(text.len() == 24 && text.ends_with('Z') && text.as_bytes()[19] == b'.', "{at}: {text}");
    }
    let places: BTreeSet<&str> = found.iter().map(|(at, _)| at.as_str()).collect();
    for place in ["login/expires_at", "preview/next", "runs/items/steps/started_at", "simulate/events/at"] {
        assert!(places.contains(place), "{place} in {places:?}");
    }
}

#[tokio::test]
async fn what_is_answered_again_has_its_location_and_revision() {
    let test = site().await;
    let mut api = api(&test).await;
    let edge = json!({"dependant_type": "container", "dependant_id": "loner", "dependency_type": "stack", "dependency_id": "shop"});
    let wish =
        json!({"target_type": "stack", "target_id": "shop", "state": "hold", "until": "3h", "reason": "x"});
    for (path, body, has_rev) in [
        ("/api/schedules", nights(), true),
        ("/api/calendars", json!({"name": "Holidays", "dates": ["2026-12-25"]}), true),
        ("/api/overrides", wish, false),
        ("/api/order", edge, false),
    ] {
        let key = [("idempotency-key", path)];
        let mut send =
            async || api.send(Method::POST, path, Some("application/json"), body.to_string(), &key).await;
        let (first, second) = (send().await, send().await);
        assert_eq!((first.status, second.status), (201, 201), "{path}: {}", first.body);
        let location = format!("{path}/{}", first.json()["id"].as_str().expect("an id"));
        assert_eq!((first.location(), second.location()), (&*location, &*location));
        let rev = if has_rev { "\"1\"" } else { "" };
        assert_eq!((first.header("etag"), second.header("etag")), (rev, rev), "{path}");
        assert_eq!(first.body, second.body);
        assert_eq!(
            api.get(&location).await.json(),
            strip(first.json()),
            "{path}: it is where it is said to be"
        );
    }
    // Nothing is made by an action, so there is nothing to be found.
    let key = [("idempotency-key", "stop")];
    let stop = api.send(Method::POST, "/api/stacks/local/shop/stop", None, String::new(), &key).await;
    assert_eq!((stop.status, stop.header("location")), (202, ""));
}

/// Without what only the answer to a save tells.
fn strip(mut object: Value) -> Value {
    for field in ["warnings", "now"] {
        object.as_object_mut().expect("an object").remove(field);
    }
    object
}

#[tokio::test]
async fn a_query_parameter_that_is_not_known_is_refused_by_every_call() {
    let test = site().await;
    let mut api = api(&test).await;
    let mut asked = 0;
    for route in web::table(&test.web).into_iter().filter(|route| route.path.starts_with("/api/")) {
        let path =
            route.path.replace("{host}", "local").replace("{name}", "loner").replace("{action}", "stop");
        let path = format!("{}?surprise=1", path.replace("{id}", "none"));
        let kind = (route.method != Method::GET).then_some("application/json");
        let answer = api.send(route.method.clone(), &path, kind, String::new(), &[]).await;
        // What else is missing in the body may be told too.
        let told = faults(&answer);
        let named = answer.status == 422 && told.iter().any(|field| field == "surprise");
        assert!(named, "{} {path}: {} {}", route.method, answer.status, answer.body);
        asked += 1;
    }
    assert!(asked > 45, "{asked} calls");
    assert!(test.bench().sim.acts().is_empty(), "and nothing was done");
    // An empty one is none, a login comes first, and pages do not mind.
    assert_eq!(api.get("/api/me?").await.status, 200);
    assert_eq!(test.program().get("/api/me?surprise=1").await.status, 401);
    assert_eq!(test.viewer().await.get("/?surprise=1").await.status, 200);
}

#[tokio::test]
async fn what_is_no_cursor_of_a_list_is_refused() {
    let test = site().await;
    let mut api = api(&test).await;
    for _ in 0..2 {
        assert_eq!(api.post_json("/api/schedules", &nights()).await.status, 201);
    }
    let page = api.get("/api/schedules?limit=1").await.json();
    let cursor = page["next_cursor"].as_str().expect("there is more").to_owned();
    let next = api.get(&format!("/api/schedules?limit=1&cursor={cursor}")).await.json();
    assert_ne!(next["items"][0]["id"], page["items"][0]["id"]);
    assert_eq!(next["next_cursor"], Value::Null);
    let id = page["items"][0]["id"].as_str().expect("an id").to_owned();
    for none in
        ["x", "1", "-", "zzzzzzzz", id.as_str(), &cursor[1..], &format!("{cursor}0"), "%25", "%F0%9F%98%B4"]
    {
        for list in ["schedules", "runs", "overrides", "calendars", "audit"] {
            let answer = api.get(&format!("/api/{list}?cursor={none}")).await;
            assert_eq!((answer.status, faults(&answer)), (422, vec!["cursor".to_owned()]), "{list} {none}");
        }
    }
    let other = api.get(&format!("/api/runs?cursor={cursor}")).await;
    assert_eq!(other.status, 422, "a cursor of another list");
}

#[tokio::test]
async fn a_container_is_found_by_its_id_in_paths_alone_and_what_is_stored_is_its_name() {
    let test = site().await;
    let mut api = api(&test).await;
    let all = api.get("/api/containers").await.json();
    let of = |name: &str| {
        let mut found = all.as_array().expect("a list").iter();
        let found = found.find(|one| one["name"] == name).expect("it is there");
        found["id"].as_str().expect("an id").to_owned()
    };
    let id = of("loner");
    let short = &id[..SHORT];
    for path in [id.as_str(), short, &id[..20], &short.to_ascii_uppercase()] {
        let answer = api.get(&format!("/api/containers/local/{path}")).await;
        assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("loner")), "{path}");
    }
    for none in [&id[..SHORT - 1], "0123456789ab", &format!("{id}0"), &"z".repeat(SHORT)] {
        assert_eq!(api.get(&format!("/api/containers/local/{none}")).await.status, 404, "{none}");
    }
    let run = api
        .send(Method::POST, &format!("/api/containers/local/{short}/stop"), None, String::new(), &[])
        .await;
    assert_eq!(run.status, 202, "{}", run.body);
    test.bench().settle().await;
    let run = api.get(&format!("/api/runs/{}", run.json()["run_id"].as_str().expect("a run"))).await.json();
    assert_eq!((&run["target_id"], &run["state"]), (&json!("loner"), &json!("succeeded")));
    let lock = format!("/api/containers/local/{short}/lock");
    let locked = api.send(Method::PUT, &lock, None, String::new(), &[]).await;
    assert_eq!((locked.status, &locked.json()["target_id"]), (200, &json!("loner")));
    assert_eq!(api.delete(&lock).await.status, 204);
    assert_eq!(api.get("/api/locks").await.json(), json!([]));
    // Names are what bodies hold.
    let mut body = nights();
    (body["target_type"], body["target_id"]) = (json!("container"), json!(short));
    let answer = api.post_json("/api/schedules", &body).await;
    assert_eq!((answer.status, faults(&answer)), (422, vec!["target_id".to_owned()]));
}

#[tokio::test]
async fn an_exact_name_goes_before_an_id() {
    let short = "0123456789ab";
    let world = World::new().container("loner", |one| one.id_begins(short)).container(short, |one| one);
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut api = api(&test).await;
    let id = api.get("/api/containers/local/loner").await.json()["id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with(short));
    assert_eq!(api.get(&format!("/api/containers/local/{short}")).await.json()["name"], json!(short));
    let longer = &id[..=SHORT];
    assert_eq!(api.get(&format!("/api/containers/local/{longer}")).await.json()["name"], "loner");
}

#[tokio::test]
async fn the_beginning_of_several_ids_is_refused_with_their_names_and_nothing_is_done() {
    let short = "0123456789ab";
    let world = World::new()
        .container("first", |one| one.id_begins(short))
        .container("second", |one| one.id_begins(short));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut api = api(&test).await;
    let path = format!("/api/containers/local/{short}");
    let answers = [
        api.get(&path).await,
        api.get(&format!("/api/containers/local/{}", short.to_ascii_uppercase())).await,
        api.post_json(&format!("{path}/stop"), &json!({})).await,
        api.send(Method::PUT, &format!("{path}/lock"), None, String::new(), &[]).await,
        api.delete(&format!("{path}/lock")).await,
    ];
    for answer in answers {
        assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("ambiguous_id")), "{}", answer.body);
        let told = answer.json()["detail"].as_str().expect("a detail").to_ascii_lowercase();
        assert!(told.contains("several ids begin so (first, second)"), "{told}");
    }
    test.bench().settle().await;
    assert!(test.bench().sim.acts().is_empty(), "nothing was stopped");
    assert_eq!(api.get("/api/locks").await.json(), json!([]), "nothing was locked");
    // More of the id is of one alone.
    for name in ["first", "second"] {
        let id = api.get(&format!("/api/containers/local/{name}")).await.json()["id"].clone();
        let longer = &id.as_str().expect("an id")[..SHORT + 8];
        assert_eq!(api.get(&format!("/api/containers/local/{longer}")).await.json()["name"], json!(name));
    }
}

#[tokio::test]
async fn a_host_that_does_not_exist_is_a_fault_of_its_field() {
    let test = site().await;
    let mut api = api(&test).await;
    assert_eq!(api.post_json("/api/schedules", &nights()).await.status, 201);
    for list in ["schedules", "runs", "simulate"] {
        for query in ["host=unknown", "host=unknown&target_type=stack&target_id=shop", "host=LOCAL", "host="]
        {
            let answer = api.get(&format!("/api/{list}?{query}")).await;
            assert_eq!((answer.status, faults(&answer)), (422, vec!["host".to_owned()]), "{list}?{query}");
        }
        assert_eq!(api.get(&format!("/api/{list}?host=local")).await.status, 200, "{list}");
    }
    let found = api.get("/api/schedules?host=local").await.json();
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1));
    let wish = json!({"host": "unknown", "target_type": "stack", "target_id": "shop", "state": "awake", "until": "3h", "reason": "x"});
    let edge = json!({"host": "unknown", "dependant_type": "container", "dependant_id": "loner", "dependency_type": "stack", "dependency_id": "shop"});
    let plan = json!({"host": "unknown", "target_type": "stack", "target_id": "shop", "action": "stop"});
    for (path, body) in [("overrides", &wish), ("order", &edge), ("plan", &plan)] {
        let answer = api.post_json(&format!("/api/{path}"), body).await;
        assert_eq!((answer.status, faults(&answer)), (422, vec!["host".to_owned()]), "{path}");
    }
    // So is a target that a body names.
    let wish =
        json!({"target_type": "stack", "target_id": "shpo", "state": "awake", "until": "3h", "reason": "x"});
    let answer = api.post_json("/api/overrides", &wish).await;
    assert_eq!((answer.status, faults(&answer)), (422, vec!["target_id".to_owned()]));
    assert!(answer.body.contains("did you mean `shop`?"), "{}", answer.body);
}

#[tokio::test]
async fn a_media_type_is_compared_whole() {
    let test = site().await;
    let mut api = api(&test).await;
    let login = json!({"username": "vera", "password": crate::support::app::PASSWORD}).to_string();
    for (kind, status) in [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON ;charset=utf-8", 201),
        ("application/jsonp", 415),
        ("application/json-seq", 415),
        ("application/json+x", 415),
        ("application/merge-patch+json", 415),
        ("text/json", 415),
        ("text/plain; application/json", 415),
        ("", 415),
    ] {
        let headers = [("content-type", kind)];
        let answer = api.send(Method::POST, "/api/schedules", None, nights().to_string(), &headers).await;
        assert_eq!(answer.status, status, "{kind}: {}", answer.body);
        let answer =
            test.program().send(Method::POST, "/api/auth/login", None, login.clone(), &headers).await;
        assert_eq!(answer.status, if status == 201 { 200 } else { status }, "login, {kind}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_in_bounds_and_in_no_language_of_ours() {
    let test = site().await;
    let mut api = api(&test).await;
    let many = (0..3_000).map(|n| (format!("f{n}"), json!(n))).collect::<serde_json::Map<_, _>>();
    let dates: Vec<Value> = (0..10_000).map(|n| json!(n)).collect();
    let texts: Vec<Value> = (0..5_000).map(|n| json!(format!("x{n}"))).collect();
    let targets: Vec<Value> =
        (0..200).map(|_| json!({"target_type": "stack", "target_id": "é".repeat(100)})).collect();
    let long = "é".repeat(5_000);
    for (path, body) in [
        ("/api/schedules", Value::Object(many)),
        ("/api/calendars", json!({"name": "x", "dates": dates})),
        ("/api/calendars", json!({"name": "x", "dates": texts.clone(), "yearly": texts})),
        ("/api/actions", json!({"action": "stop", "targets": targets})),
        ("/api/schedules", json!({"target_type": long, "target_id": long, "cron": long, "timezone": long})),
        (
            "/api/overrides",
            json!({"target_type": "stack", "target_id": long, "state": long, "until": long, "reason": long}),
        ),
        ("/api/plan", json!({"target_type": "stack", "target_id": long, "action": long})),
    ] {
        let answer = api.post_json(path, &body).await;
        assert_eq!(answer.status, 422, "{path}");
        let told = faults(&answer);
        assert!((1..=20).contains(&told.len()), "{path}: {} faults", told.len());
        let texts = answer.json()["errors"].as_array().cloned().expect("they are listed");
        let texts = texts.iter().flat_map(|fault| [&fault["field"], &fault["message"]]);
        assert!(
            texts.map(|text| text.as_str().map(|text| text.chars().count())).all(|long| long <= Some(501))
        );
        assert!(answer.body.len() < 20_000, "{path}: {} bytes", answer.body.len());
    }
    let query: String = (0..500).map(|n| format!("&q{n}=1")).collect::<Vec<_>>().concat();
    let answer = api.get(&format!("/api/runs?{}", &query[1..])).await;
    assert_eq!((answer.status, faults(&answer).len()), (422, 20));
    assert!(
        answer.json()["detail"].as_str().expect("a detail").contains("500 of the fields"),
        "{}",
        answer.body
    );
    let answer = api.get(&format!("/api/stacks/local/{}", "x".repeat(6_000))).await;
    assert!(answer.status == 404 && answer.body.len() < 2_000, "{}", answer.body);
    // Words of ours: a type, a path of a module, what a parser expects.
    let odd = [
        "[]",
        "3",
        "null",
        "\"x\"",
        "{\"username\":{}}",
        "{\"username\":[1],\"password\":2}",
        "{\"a\":1e999}",
        "{",
    ];
    for body in odd
        .into_iter()
        .chain(["{\"cron\":{\"$\":1},\"at\":[],\"enabled\":\"x\",\"priority\":\"9\",\"guard\":7}"])
    {
        for path in [
            "/api/auth/login",
            "/api/schedules",
            "/api/actions",
            "/api/calendars",
            "/api/overrides",
            "/api/plan",
        ] {
            let answer = api.send(Method::POST, path, Some("application/json"), body.to_owned(), &[]).await;
            assert!(matches!(answer.status, 400 | 422), "{path} {body}: {}", answer.status);
            for ours in [
                "struct", "enum", "::", "u8", "u16", "i64", "usize", "String", "Option", "Body", "variant",
                "sequence", "map",
            ] {
                assert!(!answer.body.contains(ours), "{path} {body}: {}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn the_scheme_of_a_bearer_may_be_in_any_case() {
    let test = site().await;
    let token = test.program().get_token("vera").await;
    for header in [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER  {token} ")] {
        let headers = [("authorization", header.as_str())];
        let answer = test.program().send(Method::GET, "/api/me", None, String::new(), &headers).await;
        assert_eq!(answer.status, 200, "{header}");
    }
    let basic = format!("Basic {token}");
    let headers = [("authorization", basic.as_str())];
    assert_eq!(test.program().send(Method::GET, "/api/me", None, String::new(), &headers).await.status, 401);
}
