//! The whole website without a socket: a real database, a frozen clock, and clients that behave like a browser or a
//! program.
//!
//! ```ignore
//! let test = TestApp::new().await;
//! let mut anna = test.admin().await;                       // a browser, logged in
//! let page = anna.get("/users").await;
//! assert_eq!(page.status, 200);
//! assert_eq!(page.text("h1"), "Users");
//! let api = test.bearer(Role::Viewer).await;               // a program, with a token
//! assert_eq!(api.get("/api/me").await.json()["username"], "vera");
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, REFERER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use docknap::app::auth::password::Cost;
use docknap::app::{Activator, ActiveRuns, Actor, App, Auth, Bus, IdSource, Parts, Vitals};
use docknap::clock::Clock;
use docknap::config::Config;
use docknap::db;
use docknap::docker::Hosts;
use docknap::docker::self_detection::SelfHints;
use docknap::domain::credential::name_key;
use docknap::domain::ids::{HostId, UserId};
use docknap::domain::permission::Role;
use docknap::domain::user::User;
use docknap::web::{self, Web};
use scraper::{Html, Selector};
use secrecy::SecretString;
use serde_json::json;
use tower::ServiceExt;

use super::bench::Bench;
use super::db::TestDb;
use super::sim::Simulated;

/// Password of every account.
pub const PASSWORD: &str = "sleepy whales drift at night";
/// Instant at which the clock of a [`TestApp`] is frozen.
pub const NOW: &str = "2026-11-27T20:00:00Z";
/// Host and port in a browser's address bar.
pub const SITE: &str = "nas.lan:8080";

/// The website under test, with one account of each role: `vera` (viewer), `otto` (operator), `ada` (admin).
pub struct TestApp {
    pub app: App,
    pub web: Web,
    pub router: Router,
    /// The frozen clock; tests advance it instead of sleeping.
    pub clock: Clock,
    /// Resources that are released at the end of the test.
    resources: Resources,
}

enum Resources {
    Storage(
        #[expect(dead_code, reason = "held for its Drop")] TestDb,
        #[expect(dead_code, reason = "held for its Drop")] tempfile::TempDir,
    ),
    Bench(Box<Bench>),
}

impl TestApp {
    /// Uses SQLite and an Engine that cannot be reached.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// As [`TestApp::new`], with changed settings.
    pub async fn with(edit: impl FnOnce(&mut Config)) -> Self {
        Self::on(TestDb::sqlite().await, edit).await
    }

    /// As [`TestApp::with`], on a database of the caller's choice.
    pub async fn on(database: TestDb, edit: impl FnOnce(&mut Config)) -> Self {
        let test = Self::empty(database, edit).await;
        test.add_accounts().await;
        test
    }

    /// As [`TestApp::on`], without accounts.
    pub async fn empty(database: TestDb, edit: impl FnOnce(&mut Config)) -> Self {
        let home = tempfile::tempdir().expect("a data directory");
        let docker_host = format!("unix://{}/no-such.sock", home.path().display());
        let mut config = Config { data_dir: home.path().to_owned(), docker_host, ..Config::default() };
        edit(&mut config);
        let clock = Clock::frozen(NOW.parse().expect("an instant"));
        let auth = Auth::open(&database.db, &config, &clock, Cost::TINY).await.expect("the keys are made");
        let app = App::new(Parts {
            db: database.db.clone(),
            clock: clock.clone(),
            config,
            ids: IdSource::random(),
            bus: Bus::default(),
            scheduler: Activator::default(),
            hosts: Hosts::new([]),
            hints: SelfHints::default(),
            active_runs: ActiveRuns::default(),
            answering: docknap::app::idempotency::AtWork::default(),
            external_changes: docknap::app::ExternalChanges::default(),
            upcoming: docknap::app::upcoming::Upcoming::default(),
            rulebook: docknap::app::rulebook::LastRead::default(),
            sleeps: Activator::default(),
            auth,
            vitals: Vitals::new(clock.now()),
        });
        docknap::app::hosts::sync(&app).await.expect("the hosts are read");
        let web = Web::new(app.clone(), false);
        let router = web::router(web.clone());
        Self { app, web, router, clock, resources: Resources::Storage(database, home) }
    }

    /// Serves the website of a bench: real database, simulated Engine, runner.
    pub async fn over(bench: Bench) -> Self {
        let app = bench.app.clone();
        let web = Web::new(app.clone(), false);
        let router = web::router(web.clone());
        let clock = bench.clock.clone();
        let test = Self { app, web, router, clock, resources: Resources::Bench(Box::new(bench)) };
        test.add_accounts().await;
        test
    }

    /// The bench of [`TestApp::over`].
    pub fn bench(&self) -> &Bench {
        let Resources::Bench(bench) = &self.resources else { panic!("this site was made without a bench") };
        bench
    }

    /// Adds a simulated Engine as a host and waits until it is connected.
    pub async fn add_host(&self, name: &str, id: &str, engine: &Simulated) {
        let body = json!({"name": name, "id": id, "endpoint": engine.control.docker_host()});
        let made = self.bearer(Role::Admin).await.post_json("/api/hosts", &body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        self.until_connected(id).await;
    }

    /// Waits until a host is connected.
    pub async fn until_connected(&self, id: &str) {
        let id = HostId::from(id);
        self.bench()
            .until("the host is connected", async || {
                self.app.hosts.get(&id).is_some_and(|host| host.inventory().is_connected())
            })
            .await;
    }

    async fn add_accounts(&self) {
        for (name, role) in [("vera", Role::Viewer), ("otto", Role::Operator), ("ada", Role::Admin)] {
            self.add_user(name, role).await;
        }
    }

    /// Adds an account with [`PASSWORD`].
    pub async fn add_user(&self, name: &str, role: Role) -> User {
        let hash = self.app.auth.hasher.hash(&SecretString::from(PASSWORD)).await.expect("hashes");
        let now = self.clock.now();
        let user = User {
            id: self.app.ids.next(now),
            name: name.to_owned(),
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
        let mut tx = self.app.db.begin().await.expect("begins");
        db::users::insert(&mut tx, &user, &name_key(name), &hash).await.expect("the name is free");
        tx.commit().await.expect("commits");
        user
    }

    /// The account with this name.
    pub async fn user(&self, name: &str) -> User {
        let stored = db::users::find_by_name(&self.app.db, &name_key(name)).await.expect("reads");
        stored.unwrap_or_else(|| panic!("there is no {name}")).user
    }

    /// Name of the account of a role.
    pub fn name_of(role: Role) -> &'static str {
        match role {
            Role::Viewer => "vera",
            Role::Operator => "otto",
            Role::Admin => "ada",
        }
    }

    /// The account of a role as an actor, for calls to services.
    pub async fn actor(&self, role: Role) -> Actor {
        Actor::user(&self.user(Self::name_of(role)).await, None)
    }

    /// A browser that is not logged in, at `http://nas.lan:8080`.
    pub fn anonymous(&self) -> Client {
        Client {
            router: self.router.clone(),
            cookies: BTreeMap::new(),
            bearer: None,
            peer: "192.0.2.1".parse().expect("an address"),
            fixed_headers: HeaderMap::new(),
            site: SITE.to_owned(),
            page: None,
        }
    }

    /// A browser logged in with the account of this role.
    pub async fn browser(&self, role: Role) -> Client {
        let mut client = self.anonymous();
        client.log_in(Self::name_of(role)).await;
        client
    }

    /// A browser logged in as a viewer.
    pub async fn viewer(&self) -> Client {
        self.browser(Role::Viewer).await
    }

    /// A browser logged in as an operator.
    pub async fn operator(&self) -> Client {
        self.browser(Role::Operator).await
    }

    /// A browser logged in as an admin.
    pub async fn admin(&self) -> Client {
        self.browser(Role::Admin).await
    }

    /// A program without a token; sends no cookies and no `Origin`.
    pub fn program(&self) -> Client {
        Client { site: String::new(), ..self.anonymous() }
    }

    /// A program with a token of the account of this role.
    pub async fn bearer(&self, role: Role) -> Client {
        let mut client = self.program();
        client.get_token(Self::name_of(role)).await;
        client
    }

    /// The audit log, oldest first, as event, outcome, actor's name, object's name and reason.
    pub async fn audit(&self) -> Vec<(String, String, String, String, Option<String>)> {
        let page = docknap::app::paging::Page { limit: 200, cursor: None };
        let filter = docknap::app::audit::AuditFilter::default();
        let rows =
            docknap::app::audit::list(&self.app, &Actor::cli(), &filter, &page).await.expect("reads").items;
        let short = |row: docknap::domain::audit::AuditRow| {
            (row.event, row.outcome, row.actor.name, row.object_name, row.detail.reason)
        };
        rows.into_iter().rev().map(short).collect()
    }
}

/// A client that sends requests: a browser (keeps cookies, sends `Origin` and `Referer`) or a program (sends a
/// token).
#[derive(Clone)]
pub struct Client {
    router: Router,
    cookies: BTreeMap<String, String>,
    bearer: Option<String>,
    peer: IpAddr,
    fixed_headers: HeaderMap,
    /// Host and port in the address bar; empty for a program.
    site: String,
    /// Path of the page last opened, sent as `Referer`.
    page: Option<String>,
}

impl Client {
    /// Sends from another address.
    #[must_use]
    pub fn at(mut self, address: &str) -> Self {
        self.peer = address.parse().expect("an address");
        self
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.fixed_headers.insert(HeaderName::from_static(name), value.parse().expect("a header value"));
        self
    }

    /// Replaces the token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.bearer = Some(token.to_owned());
        self
    }

    /// The cookies that the client holds.
    pub fn cookies(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.cookies
    }

    /// Logs in through the login page; fails the test if that is refused.
    pub async fn log_in(&mut self, name: &str) {
        let answer = self.post("/login", &[("name", name), ("password", PASSWORD)]).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
    }

    /// Logs in through the API and returns the token; fails the test if that is refused.
    pub async fn get_token(&mut self, name: &str) -> String {
        let answer = self
            .post_json("/api/auth/login", &serde_json::json!({"username": name, "password": PASSWORD}))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let token = answer.json()["token"].as_str().expect("a token").to_owned();
        self.bearer = Some(token.clone());
        token
    }

    /// Opens a page.
    pub async fn get(&mut self, path: &str) -> Answer {
        if !self.site.is_empty() {
            self.page = Some(path.to_owned());
        }
        self.send(Method::GET, path, None, String::new(), &[]).await
    }

    /// Requests a part of a page, as htmx does.
    pub async fn get_part(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None, String::new(), &HTMX).await
    }

    /// Submits a form of the page last opened.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = serde_urlencoded::to_string(fields).expect("fields are text");
        self.send(Method::POST, path, Some("application/x-www-form-urlencoded"), body, &[]).await
    }

    /// Follows a redirect. Returns the page and the target of the link in its message.
    pub async fn follow(&mut self, answer: &Answer) -> (Answer, String) {
        assert_eq!(answer.status, 303, "{}", answer.body);
        let page = self.get(answer.location()).await;
        let link = page.attribute(".flash a", "href");
        let link = link.unwrap_or_else(|| panic!("a message with a link: {}", page.text(".flash")));
        (page, link)
    }

    /// Submits a form as htmx does.
    pub async fn post_part(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = serde_urlencoded::to_string(fields).expect("fields are text");
        self.send(Method::POST, path, Some("application/x-www-form-urlencoded"), body, &HTMX).await
    }

    /// Sends JSON.
    pub async fn post_json(&mut self, path: &str, body: &serde_json::Value) -> Answer {
        self.send(Method::POST, path, Some("application/json"), body.to_string(), &[]).await
    }

    /// Sends a DELETE request.
    pub async fn delete(&mut self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, String::new(), &[]).await
    }

    /// Submits a form with files.
    pub async fn post_parts(&mut self, path: &str, parts: &[(&str, &[u8])]) -> Answer {
        let mut body = Vec::new();
        for (name, value) in parts {
            let head = format!("--part\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--part--\r\n");
        let kind = "multipart/form-data; boundary=part";
        let answer = Answer::of(self.response(Method::POST, path, Some(kind), body, &[]).await).await;
        self.keep_cookies(&answer);
        answer
    }

    /// Sends any request. `headers` override those that the client adds; an empty value removes a header.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: String,
        headers: &[(&str, &str)],
    ) -> Answer {
        let answer = Answer::of(self.response(method, path, kind, body, headers).await).await;
        self.keep_cookies(&answer);
        answer
    }

    /// Opens the event stream.
    pub async fn listen(&self) -> Events {
        let accept = [("accept", "text/html, text/event-stream"), ("hx-request", "true")];
        Events::of(self.response(Method::GET, "/events", None, String::new(), &accept).await)
    }

    async fn response(
        &self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: impl Into<Body>,
        headers: &[(&str, &str)],
    ) -> axum::response::Response {
        let mut request =
            Request::builder().method(method.clone()).uri(path).body(body.into()).expect("a request");
        let map = request.headers_mut();
        let mut set =
            |name: HeaderName, value: &str| map.insert(name, HeaderValue::from_str(value).expect("a value"));
        if let Some(kind) = kind {
            set(CONTENT_TYPE, kind);
        }
        if let Some(token) = &self.bearer {
            set(AUTHORIZATION, &format!("Bearer {token}"));
        }
        if !self.site.is_empty() {
            set(HOST, &self.site);
            let scheme = if self.fixed_headers.contains_key("x-forwarded-proto") { "https" } else { "http" };
            if method != Method::GET {
                set(ORIGIN, &format!("{scheme}://{}", self.site));
            }
            if let Some(page) = &self.page {
                set(REFERER, &format!("{scheme}://{}{page}", self.site));
            }
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            set(COOKIE, &pairs.join("; "));
        }
        map.extend(self.fixed_headers.clone());
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            map.remove(&name);
            if !value.is_empty() {
                map.insert(name, value.parse().expect("a header value"));
            }
        }
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.peer, 50_000)));
        self.router.clone().oneshot(request).await.expect("the router answers")
    }

    fn keep_cookies(&mut self, answer: &Answer) {
        for cookie in answer.cookies() {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((&cookie, ""));
            let (name, value) = pair.split_once('=').expect("a cookie has a value");
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// An open event stream.
pub struct Events {
    /// HTTP status.
    pub status: u16,
    /// Response headers.
    pub headers: HeaderMap,
    body: axum::body::BodyDataStream,
}

impl Events {
    fn of(response: axum::response::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.into_body().into_data_stream() }
    }

    /// Names of the events in the next chunk, with `:` for a keep-alive comment; `None` at the end.
    pub async fn next(&mut self) -> Option<Vec<String>> {
        let bytes = futures_util::StreamExt::next(&mut self.body).await?.expect("it can be read");
        let text = std::str::from_utf8(&bytes).expect("text");
        let name = |line: &str| {
            line.strip_prefix("event: ").or(Some(line).filter(|line| *line == ":")).map(str::to_owned)
        };
        Some(text.lines().filter_map(name).collect())
    }

    /// As [`Events::next`], but `None` if no chunk has arrived yet.
    pub async fn ready(&mut self) -> Option<Vec<String>> {
        // Yield first, so that the task has its full polling budget; otherwise a ready chunk may seem not to be
        // ready.
        tokio::task::yield_now().await;
        futures_util::FutureExt::now_or_never(self.next()).flatten()
    }
}

/// Headers of an htmx request for a part of a page.
pub const HTMX: [(&str, &str); 2] = [("hx-request", "true"), ("hx-request-type", "partial")];

/// A response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Response headers.
    pub headers: HeaderMap,
    /// Body as text.
    pub body: String,
    /// Length of the body in bytes as sent.
    pub length: usize,
}

impl Answer {
    async fn of(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 16 * 1024 * 1024).await.expect("the body ends");
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            length: bytes.len(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// The value of a header; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Target of a redirect; empty if it is none.
    pub fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    /// Values of all `Set-Cookie` headers.
    pub fn cookies(&self) -> Vec<String> {
        let values = self.headers.get_all(SET_COOKIE);
        values.iter().map(|value| value.to_str().expect("cookies are text").to_owned()).collect()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The text of all elements that match a selector, joined by spaces; empty if there are none.
    pub fn text(&self, selector: &str) -> String {
        let selector = Selector::parse(selector).expect("a selector");
        let texts = Html::parse_document(&self.body)
            .select(&selector)
            .map(|element| element.text().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>();
        texts.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// An attribute of the first element that matches a selector; `None` if there is no such element or attribute.
    pub fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let selector = Selector::parse(selector).expect("a selector");
        Html::parse_document(&self.body).select(&selector).next()?.value().attr(name).map(str::to_owned)
    }

    /// Name of the first invalid field in a problem response.
    pub fn wrong_field(&self) -> String {
        self.json()["errors"][0]["field"].as_str().unwrap_or_default().to_owned()
    }
}

/// A user id that does not exist.
pub fn nobody() -> UserId {
    UserId::from("00000000-0000-7000-8000-000000000000")
}
