//! Callers that hang up, take their time, or are cut off by the time limit: what has begun to write ends all the same.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use docknap::db::login_failures;
use docknap::domain::permission::Role;
use docknap::web::serve;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::on_both_engines;
use crate::support::app::{Client, PASSWORD, TestApp};
use crate::support::bench::Bench;
use crate::support::db::TestDb;
use crate::support::wait::until;

const SOON: Duration = Duration::from_secs(20);
const PEER: &str = "192.0.2.1";

on_both_engines!(
    a_login_that_is_hung_up_on_ends_as_a_login,
    a_key_whose_caller_hung_up_gets_the_first_answer,
    what_writes_goes_on_after_the_time_limit,
);

fn request(method: Method, path: &str, kind: &str, body: Body) -> Request<Body> {
    let peer: IpAddr = PEER.parse().expect("an address");
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "nas.lan:8080")
        .header("origin", "http://nas.lan:8080")
        .header("content-type", kind)
        .extension(ConnectInfo(SocketAddr::new(peer, 50_000)))
        .body(body)
        .expect("a request")
}

fn login() -> Request<Body> {
    let form = format!("name=ada&password={}", PASSWORD.replace(' ', "+"));
    request(Method::POST, "/login", "application/x-www-form-urlencoded", Body::from(form))
}

/// Sends a request, waits for its answer only so many times, and hangs up. The answer, where it was quicker.
async fn hang_up(test: &TestApp, request: Request<Body>, after: usize) -> Option<Response> {
    let mut answering = pin!(test.router.clone().oneshot(request));
    for _ in 0..after {
        match futures_util::poll!(answering.as_mut()) {
            std::task::Poll::Ready(answer) => return answer.ok(),
            std::task::Poll::Pending => tokio::task::yield_now().await,
        }
    }
    None
}

async fn logins(test: &TestApp) -> usize {
    test.audit().await.iter().filter(|row| row.0 == "user.login" && row.1 == "ok").count()
}

/// How many failures are held against an address or a name.
async fn failures(test: &TestApp, key: &str) -> i64 {
    let now = test.clock.now();
    let mut tx = test.app.db.begin().await.expect("begins");
    // Counted and never committed: the next failure would be the how-manieth?
    let counted = login_failures::count(&mut tx, key, now, now - Duration::from_secs(3600)).await;
    counted.expect("counts").failures - 1
}

async fn a_login_that_is_hung_up_on_ends_as_a_login(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    for after in 1..=25 {
        hang_up(&test, login(), after).await;
        until("the login is in the log", SOON, async || logins(&test).await == after).await;
    }
    assert_eq!(failures(&test, &format!("address:{PEER}")).await, 0, "nobody failed");
    test.anonymous().log_in("ada").await;
}

async fn a_key_whose_caller_hung_up_gets_the_first_answer(database: TestDb) {
    let world = docknap::sim::World::new().stack("media", |stack| stack.service("films", |films| films));
    let bench = Bench::on(database, "2026-03-02T06:00:00Z", world).await;
    let test = TestApp::over(bench).await;
    let mut program = test.bearer(Role::Operator).await;
    let bearer = format!("Bearer {}", program.get_token("otto").await);
    let body = json!({
        "name": "Nights", "target_type": "stack", "target_id": "media", "kind": "cron", "action": "stop",
        "cron": "0 23 * * *"
    });
    for after in 1..=20 {
        let key = format!("k{after}");
        let ask = || {
            let kind = "application/json";
            let mut request = request(Method::POST, "/api/schedules", kind, Body::from(body.to_string()));
            request.headers_mut().insert("idempotency-key", key.parse().expect("a value"));
            request.headers_mut().insert("authorization", bearer.parse().expect("a value"));
            request
        };
        hang_up(&test, ask(), after).await;
        until("the key is answered", SOON, async || {
            let again = test.router.clone().oneshot(ask()).await.expect("it answers");
            assert!([StatusCode::CREATED, StatusCode::CONFLICT].contains(&again.status()), "{again:?}");
            again.status() == StatusCode::CREATED
        })
        .await;
        assert_eq!(stored(&mut program).await, after, "each key acts once");
    }
}

async fn stored(program: &mut Client) -> usize {
    let list: Value = program.get("/api/schedules?limit=100").await.json();
    list["items"].as_array().expect("a list").len()
}

async fn what_writes_goes_on_after_the_time_limit(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    // Whoever holds the row of the address holds up the login on either database.
    let now = test.clock.now();
    let mut tx = test.app.db.begin().await.expect("begins");
    let key = format!("address:{PEER}");
    login_failures::count(&mut tx, &key, now, now - Duration::from_secs(3600)).await.expect("counts");
    let mut answering = pin!(test.router.clone().oneshot(login()));
    while test.clock.next_sleeper().is_none() {
        assert!(futures_util::poll!(answering.as_mut()).is_pending(), "it waits for the row");
        tokio::task::yield_now().await;
    }
    test.clock.advance(Duration::from_secs(30));
    let answer = answering.await.expect("it answers");
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let page = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a page");
    assert!(String::from_utf8_lossy(&page).contains("goes on"), "it says so");
    assert_eq!(logins(&test).await, 0);
    drop(tx);
    until("the login is in the log", SOON, async || logins(&test).await == 1).await;
    assert_eq!(failures(&test, &key).await, 0);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_answered_408() {
    let test = TestApp::new().await;
    for (path, kind) in
        [("/login", "application/x-www-form-urlencoded"), ("/api/auth/login", "application/json")]
    {
        let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"name="))]);
        let body = Body::from_stream(stream::StreamExt::chain(begun, stream::pending()));
        let mut answering = pin!(test.router.clone().oneshot(request(Method::POST, path, kind, body)));
        while test.clock.next_sleeper().is_none_or(|left| left > Duration::from_secs(25)) {
            assert!(futures_util::poll!(answering.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        test.clock.advance(Duration::from_secs(25));
        let answer = answering.await.expect("it answers");
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT, "{path}");
    }
    assert_eq!(failures(&test, &format!("address:{PEER}")).await, 0, "nobody tried a password");
}

#[tokio::test]
async fn a_stop_waits_for_what_outlived_its_connection() {
    let test = TestApp::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve::serve(
        listener,
        test.router.clone(),
        test.clock.clone(),
        Vec::new(),
        stop.clone(),
    ));
    // The one writer is taken: the login waits for it.
    let tx = test.app.db.begin().await.expect("begins");
    let mut stream = TcpStream::connect(address).await.expect("it connects");
    let form = format!("name=ada&password={}", PASSWORD.replace(' ', "+"));
    let head = format!(
        "POST /login HTTP/1.1\r\nhost: {address}\r\norigin: http://{address}\r\n\
         content-type: application/x-www-form-urlencoded\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        form.len()
    );
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    // Told to go on: the handler reads the body, so the work has begun.
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.expect("it is told");
    assert!(told.starts_with(b"HTTP/1.1 100"), "{:?}", String::from_utf8_lossy(&told));
    stream.write_all(form.as_bytes()).await.expect("it is sent");
    drop(stream);
    stop.cancel();
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert!(!serving.is_finished(), "somebody's login is under way");
    drop(tx);
    serving.await.expect("it ends");
    assert_eq!(logins(&test).await, 1);
}
