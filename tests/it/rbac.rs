//! Every route, asked by everybody: the table the router is made from says who may, and nobody else gets through.

use axum::http::Method;
use docknap::domain::permission::Role;
use docknap::web;
use docknap::web::routes::{Access, Route};

use crate::support::app::{Answer, Client, TestApp, nobody};

/// The route with something in the place of each parameter.
fn concrete(route: &Route) -> String {
    let segments = route.path.split('/').map(|segment| match segment {
        "{host}" => "local".to_owned(),
        "{action}" => "stop".to_owned(),
        segment if segment.starts_with('{') => nobody().to_string(),
        segment => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

fn is_api(route: &Route) -> bool {
    route.path.starts_with("/api/")
}

/// Somebody with this role, from an address of their own: nobody here is a flood.
async fn somebody(test: &TestApp, role: Role, api: bool, number: usize) -> Client {
    let address = format!("10.0.{}.{}", number / 250, number % 250 + 1);
    let mut client = if api { test.program() } else { test.anonymous() }.at(&address);
    if api {
        client.get_token(TestApp::name_of(role)).await;
    } else {
        client.log_in(TestApp::name_of(role)).await;
    }
    client
}

async fn ask(client: &mut Client, route: &Route) -> Answer {
    if route.path == "/events" {
        // Its body has no end.
        return client.send(Method::HEAD, "/events", None, String::new(), &[]).await;
    }
    let path = concrete(route);
    let (kind, body) = match (is_api(route), &route.method) {
        (_, &Method::GET | &Method::DELETE) => (None, String::new()),
        (true, _) => (Some("application/json"), "{}".to_owned()),
        (false, _) => (Some("application/x-www-form-urlencoded"), String::new()),
    };
    client.send(route.method.clone(), &path, kind, body, &[]).await
}

/// Refused because of who asks, rather than because of what is asked.
fn is_refused(answer: &Answer, api: bool) -> bool {
    match (api, answer.status) {
        (true, 401) => answer.json()["code"] == "unauthenticated",
        (true, 403) => answer.json()["code"] == "forbidden",
        (false, 303) => answer.location().starts_with("/login"),
        // The stream of events: no page to lead away from.
        (false, 401) => answer.body.is_empty(),
        (false, 403) => answer.text("main").contains("needs the role"),
        _ => false,
    }
}

/// Everything that is stored, but for what a login leaves.
async fn stored(test: &TestApp) -> Vec<(String, i64)> {
    let mut rows = Vec::new();
    for table in [
        "users",
        "user_links",
        "schedules",
        "runs",
        "steps",
        "naps",
        "calendars",
        "groups",
        "group_members",
        "hidden_needs",
        "idempotency",
        "settings",
        "audit",
    ] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let docknap::db::Db::Sqlite { readers, .. } = &test.app.db else { panic!("SQLite") };
        let (count,): (i64,) = sqlx::query_as(sql).fetch_one(readers).await.expect("counts");
        rows.push((table.to_owned(), count));
    }
    rows
}

#[tokio::test]
async fn every_route_refuses_whoever_may_not() {
    let test = TestApp::new().await;
    let table = web::table(&test.web);
    assert!(table.len() > 10);
    let mut number = 0;
    for route in table.iter().filter(|route| route.access != Access::Anyone) {
        let Access::Role(needs) = route.access else { unreachable!("filtered") };
        let api = is_api(route);
        let mut anonymous = if api { test.program() } else { test.anonymous() };
        let answer = ask(&mut anonymous, route).await;
        assert!(is_refused(&answer, api), "anonymous {} {}: {answer:?}", route.method, route.path);
        for role in Role::ALL.into_iter().filter(|role| *role < needs) {
            let mut client = somebody(&test, role, api, number).await;
            number += 1;
            let before = stored(&test).await;
            let answer = ask(&mut client, route).await;
            assert_eq!(answer.status, 403, "{role} {} {}: {}", route.method, route.path, answer.body);
            assert!(is_refused(&answer, api), "{role} {} {}: {answer:?}", route.method, route.path);
            assert_eq!(
                stored(&test).await,
                before,
                "{role} {} {} stored something",
                route.method,
                route.path
            );
        }
    }
}

#[tokio::test]
async fn every_route_lets_in_whoever_may() {
    let test = TestApp::new().await;
    let mut number = 0;
    for route in web::table(&test.web) {
        let api = is_api(&route);
        let roles = Role::ALL.into_iter().filter(|role| match route.access {
            Access::Anyone => true,
            Access::Role(needs) => *role >= needs,
        });
        for role in roles {
            // A new login for each: some routes end it.
            let mut client = somebody(&test, role, api, number).await;
            number += 1;
            let answer = ask(&mut client, &route).await;
            // Login, logout and setup lead to the login page by themselves.
            let open = route.access == Access::Anyone;
            assert!(open || !is_refused(&answer, api), "{role} {} {}: {answer:?}", route.method, route.path);
            assert!(
                answer.status < 500 || answer.status == 503,
                "{role} {} {}: {answer:?}",
                route.method,
                route.path
            );
        }
    }
}

#[tokio::test]
async fn a_cookie_opens_no_api_and_a_token_no_page() {
    let test = TestApp::new().await;
    let mut browser = test.admin().await;
    assert_eq!(browser.get("/api/me").await.status, 401);
    let mut program = test.bearer(Role::Admin).await;
    assert!(program.get("/users").await.location().starts_with("/login"));
    // Both at once are still two things.
    let token = program.get_token("vera").await;
    let mut both = browser.with_token(&token);
    assert_eq!(both.get("/api/me").await.json()["username"], "vera");
    assert_eq!(both.get("/users").await.status, 200, "as ada, by the cookie");
}

#[tokio::test]
async fn a_route_that_changes_something_is_no_get() {
    let test = TestApp::new().await;
    let table = web::table(&test.web);
    let mut admin = test.admin().await;
    let mut program = test.bearer(Role::Admin).await;
    // A page shown once may forget a message; nothing else changes.
    let before = stored(&test).await;
    for route in table.iter().filter(|route| route.method == Method::GET) {
        if is_api(route) {
            ask(&mut program, route).await
        } else {
            ask(&mut admin, route).await
        };
    }
    assert_eq!(stored(&test).await, before);
}
