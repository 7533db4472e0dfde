//! The whole site without a socket: real storage, a frozen clock, and clients that behave like a browser or a program.
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
use docknap::docker::self_detection::SelfHints;
use docknap::docker::{Endpoint, Host, Hosts, Settings};
use docknap::domain::credential::name_key;
use docknap::domain::ids::{HostId, UserId};
use docknap::domain::permission::Role;
use docknap::domain::user::User;
use docknap::web::{self, Web};
use scraper::{Html, Selector};
use secrecy::SecretString;
use tower::ServiceExt;

use super::bench::Bench;
use super::db::TestDb;

/// Everybody's password.
pub const PASSWORD: &str = "sleepy whales drift at night";
/// When the clock of a [`TestApp`] stands still.
pub const NOW: &str = "2026-11-27T20:00:00Z";
/// The name of the machine in a browser's address bar.
pub const SITE: &str = "nas.lan:8080";

/// The site under test, with one account of each role: `vera` (viewer), `otto` (operator), `ada` (admin).
pub struct TestApp {
    /// The services.
    pub app: App,
    /// The web state.
    pub web: Web,
    /// The site.
    pub router: Router,
    /// Time; advance it rather than sleep.
    pub clock: Clock,
    /// Ends with the test.
    held: Held,
}

enum Held {
    Storage(
        #[expect(dead_code, reason = "held for its Drop")] TestDb,
        #[expect(dead_code, reason = "held for its Drop")] tempfile::TempDir,
    ),
    Bench(Box<Bench>),
}

impl TestApp {
    /// On SQLite, with no Engine.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn with(edit: impl FnOnce(&mut Config)) -> Self {
        Self::on(TestDb::sqlite().await, edit).await
    }

    /// The same on a database of the caller's choice.
    pub async fn on(database: TestDb, edit: impl FnOnce(&mut Config)) -> Self {
        let test = Self::empty(database, edit).await;
        test.add_everybody().await;
        test
    }

    /// Without any account.
    pub async fn empty(database: TestDb, edit: impl FnOnce(&mut Config)) -> Self {
        let home = tempfile::tempdir().expect("a data directory");
        let mut config = Config { data_dir: home.path().to_owned(), ..Config::default() };
        edit(&mut config);
        let clock = Clock::frozen(NOW.parse().expect("an instant"));
        let auth = Auth::open(&database.db, &config, &clock, Cost::TINY).await.expect("the keys are made");
        let nowhere = format!("unix://{}/no-such.sock", home.path().display());
        let settings = Settings {
            endpoint: Endpoint::from_values(Some(&nowhere), None, None).expect("a unix socket"),
            protect: Vec::new(),
            database_host: None,
            hints: SelfHints::default(),
        };
        let app = App::new(Parts {
            db: database.db.clone(),
            clock: clock.clone(),
            config,
            ids: IdSource::random(),
            bus: Bus::default(),
            scheduler: Activator::default(),
            hosts: Hosts::new(Host::new(HostId::local(), settings, clock.clone())),
            active_runs: ActiveRuns::default(),
            answering: docknap::app::idempotency::AtWork::default(),
            external_changes: docknap::app::ExternalChanges::default(),
            upcoming: docknap::app::upcoming::Upcoming::default(),
            rulebook: docknap::app::rulebook::LastRead::default(),
            sleeps: Activator::default(),
            auth,
            vitals: Vitals::new(clock.now()),
        });
        let web = Web::new(app.clone(), false);
        let router = web::router(web.clone());
        Self { app, web, router, clock, held: Held::Storage(database, home) }
    }

    /// In front of a bench: real storage, the simulated Engine, the runner.
    pub async fn over(bench: Bench) -> Self {
        let app = bench.app.clone();
        let web = Web::new(app.clone(), false);
        let router = web::router(web.clone());
        let clock = bench.clock.clone();
        let test = Self { app, web, router, clock, held: Held::Bench(Box::new(bench)) };
        test.add_everybody().await;
        test
    }

    /// The bench it stands in front of.
    pub fn bench(&self) -> &Bench {
        let Held::Bench(bench) = &self.held else { panic!("this site was made without a bench") };
        bench
    }

    async fn add_everybody(&self) {
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

    /// An account by name.
    pub async fn user(&self, name: &str) -> User {
        let stored = db::users::find_by_name(&self.app.db, &name_key(name)).await.expect("reads");
        stored.unwrap_or_else(|| panic!("there is no {name}")).user
    }

    /// The account of a role.
    pub fn name_of(role: Role) -> &'static str {
        match role {
            Role::Viewer => "vera",
            Role::Operator => "otto",
            Role::Admin => "ada",
        }
    }

    /// The actor of an account, for calling services.
    pub async fn actor(&self, role: Role) -> Actor {
        Actor::user(&self.user(Self::name_of(role)).await, None)
    }

    /// A browser nobody has logged in with, at `http://nas.lan:8080`.
    pub fn anonymous(&self) -> Client {
        Client {
            router: self.router.clone(),
            cookies: BTreeMap::new(),
            bearer: None,
            peer: "192.0.2.1".parse().expect("an address"),
            always: HeaderMap::new(),
            site: SITE.to_owned(),
            page: None,
        }
    }

    /// A browser the account of this role has logged in with.
    pub async fn browser(&self, role: Role) -> Client {
        let mut client = self.anonymous();
        client.log_in(Self::name_of(role)).await;
        client
    }

    /// A browser a viewer has logged in with.
    pub async fn viewer(&self) -> Client {
        self.browser(Role::Viewer).await
    }

    /// A browser an operator has logged in with.
    pub async fn operator(&self) -> Client {
        self.browser(Role::Operator).await
    }

    /// A browser an admin has logged in with.
    pub async fn admin(&self) -> Client {
        self.browser(Role::Admin).await
    }

    /// A program without a token: sends no cookie and no Origin.
    pub fn program(&self) -> Client {
        Client { site: String::new(), ..self.anonymous() }
    }

    /// A program with a token of the account of this role.
    pub async fn bearer(&self, role: Role) -> Client {
        let mut client = self.program();
        client.get_token(Self::name_of(role)).await;
        client
    }

    /// The audit log, oldest first: event, outcome, actor's name, object's name, reason.
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

/// Somebody who sends requests: a browser (keeps cookies, says where it comes from) or a program (a token).
#[derive(Clone)]
pub struct Client {
    router: Router,
    cookies: BTreeMap<String, String>,
    bearer: Option<String>,
    peer: IpAddr,
    always: HeaderMap,
    /// Host and port in the address bar; empty for a program.
    site: String,
    /// The page the next form is sent from.
    page: Option<String>,
}

impl Client {
    /// The same from another address.
    #[must_use]
    pub fn at(mut self, address: &str) -> Self {
        self.peer = address.parse().expect("an address");
        self
    }

    /// The same with a header on every request.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.always.insert(HeaderName::from_static(name), value.parse().expect("a header value"));
        self
    }

    /// The same with another token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.bearer = Some(token.to_owned());
        self
    }

    /// The cookies it holds.
    pub fn cookies(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.cookies
    }

    /// Logs in through the page, which has to work.
    pub async fn log_in(&mut self, name: &str) {
        let answer = self.post("/login", &[("name", name), ("password", PASSWORD)]).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
    }

    /// Logs in through the API, which has to work, and answers the token.
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

    /// Asks for a part of a page, as htmx does.
    pub async fn get_part(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None, String::new(), &HTMX).await
    }

    /// Sends a form from the page opened last.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = serde_urlencoded::to_string(fields).expect("fields are text");
        self.send(Method::POST, path, Some("application/x-www-form-urlencoded"), body, &[]).await
    }

    /// The page that an answer leads back to, and where the link in its message leads.
    pub async fn follow(&mut self, answer: &Answer) -> (Answer, String) {
        assert_eq!(answer.status, 303, "{}", answer.body);
        let page = self.get(answer.location()).await;
        let link = page.attribute(".flash a", "href");
        let link = link.unwrap_or_else(|| panic!("a message with a link: {}", page.text(".flash")));
        (page, link)
    }

    /// Sends a form as htmx does.
    pub async fn post_part(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = serde_urlencoded::to_string(fields).expect("fields are text");
        self.send(Method::POST, path, Some("application/x-www-form-urlencoded"), body, &HTMX).await
    }

    /// Sends JSON.
    pub async fn post_json(&mut self, path: &str, body: &serde_json::Value) -> Answer {
        self.send(Method::POST, path, Some("application/json"), body.to_string(), &[]).await
    }

    /// Removes a thing.
    pub async fn delete(&mut self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, String::new(), &[]).await
    }

    /// Sends anything. `headers` win over what the client would send by itself; an empty value leaves one out.
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

    /// Opens the stream of events.
    pub async fn listen(&self) -> Events {
        let accept = [("accept", "text/html, text/event-stream"), ("hx-request", "true")];
        Events::of(self.response(Method::GET, "/events", None, String::new(), &accept).await)
    }

    async fn response(
        &self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: String,
        headers: &[(&str, &str)],
    ) -> axum::response::Response {
        let mut request =
            Request::builder().method(method.clone()).uri(path).body(Body::from(body)).expect("a request");
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
            let scheme = if self.always.contains_key("x-forwarded-proto") { "https" } else { "http" };
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
        map.extend(self.always.clone());
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

/// A stream of events that is open.
pub struct Events {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    body: axum::body::BodyDataStream,
}

impl Events {
    fn of(response: axum::response::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.into_body().into_data_stream() }
    }

    /// What came in one piece: names, or `:` where it only says that it lives. `None` at the end.
    pub async fn next(&mut self) -> Option<Vec<String>> {
        let bytes = futures_util::StreamExt::next(&mut self.body).await?.expect("it can be read");
        let text = std::str::from_utf8(&bytes).expect("text");
        let name = |line: &str| {
            line.strip_prefix("event: ").or(Some(line).filter(|line| *line == ":")).map(str::to_owned)
        };
        Some(text.lines().filter_map(name).collect())
    }

    /// What has come already.
    pub async fn ready(&mut self) -> Option<Vec<String>> {
        // With a whole share of the runtime's attention: what is ready may look as if it were not, otherwise.
        tokio::task::yield_now().await;
        futures_util::FutureExt::now_or_never(self.next()).flatten()
    }
}

/// The headers of htmx asking for a part.
pub const HTMX: [(&str, &str); 2] = [("hx-request", "true"), ("hx-request-type", "partial")];

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
    /// Bytes of the body as they were sent.
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

    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Where a redirect leads; empty where it is none.
    pub fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    /// Each Set-Cookie.
    pub fn cookies(&self) -> Vec<String> {
        let values = self.headers.get_all(SET_COOKIE);
        values.iter().map(|value| value.to_str().expect("cookies are text").to_owned()).collect()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The text of every element a selector finds, one after the other; empty where it finds none.
    pub fn text(&self, selector: &str) -> String {
        let selector = Selector::parse(selector).expect("a selector");
        let texts = Html::parse_document(&self.body)
            .select(&selector)
            .map(|element| element.text().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>();
        texts.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// An attribute of the first element a selector finds; `None` where it finds none or that one has none.
    pub fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let selector = Selector::parse(selector).expect("a selector");
        Html::parse_document(&self.body).select(&selector).next()?.value().attr(name).map(str::to_owned)
    }

    /// The first field of a problem that is wrong.
    pub fn wrong_field(&self) -> String {
        self.json()["errors"][0]["field"].as_str().unwrap_or_default().to_owned()
    }
}

/// An id nobody has.
pub fn nobody() -> UserId {
    UserId::from("00000000-0000-7000-8000-000000000000")
}
