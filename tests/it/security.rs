//! What holds for every request: headers, cookies, other sites, proxies, sizes, and the form of errors.

use std::time::Duration;

use axum::http::Method;
use docknap::config::{BaseUrl, Config, Hsts};
use docknap::domain::permission::Role;
use docknap::sim::World;
use serde_json::json;

use crate::support::app::{Client, HTMX, NOW, PASSWORD, SITE, TestApp};
use crate::support::bench::Bench;
use crate::support::db::TestDb;

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
const NEW_USER: &str = "name=nina&role=viewer";

fn https(config: &mut Config) {
    config.base_url =
        Some(BaseUrl { https: true, origin: "https://nap.example.org".to_owned(), path: "/nap".to_owned() });
    config.trusted_proxies = vec!["172.18.0.0/16".parse().expect("a network")];
}

/// A browser that comes by https through the proxy.
fn behind_proxy(test: &TestApp) -> Client {
    test.anonymous()
        .at("172.18.0.2")
        .with_header("x-forwarded-proto", "https")
        .with_header("x-forwarded-for", "203.0.113.9")
        .with_header("host", "nap.example.org")
        .with_header("origin", "https://nap.example.org")
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let test = TestApp::new().await;
    let mut client = test.admin().await;
    for path in [
        "/login",
        "/users",
        "/nowhere",
        "/api/me",
        "/api/nowhere",
        "/healthz",
        "/static/app.css",
        "/static/x",
    ] {
        let answer = client.get(path).await;
        let csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src \
                   'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'";
        assert_eq!(answer.header("content-security-policy"), csp, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
        let policy = "camera=(), microphone=(), geolocation=(), publickey-credentials-get=(self)";
        assert_eq!(answer.header("permissions-policy"), policy, "{path}");
        assert_eq!(answer.header("x-request-id").len(), 16, "{path}");
        assert_eq!(
            (answer.header("server"), answer.header("access-control-allow-origin")),
            ("", ""),
            "{path}"
        );
        assert_eq!(answer.header("strict-transport-security"), "", "not over plain http");
        let kept = path == "/static/app.css";
        assert_eq!(
            answer.header("cache-control") == "no-store",
            !kept,
            "{path}: {}",
            answer.header("cache-control")
        );
    }
}

#[tokio::test]
async fn https_is_asked_for_only_over_https() {
    for (hsts, expected) in [
        (Hsts::On, "max-age=31536000"),
        (Hsts::Subdomains, "max-age=31536000; includeSubDomains"),
        (Hsts::Off, ""),
    ] {
        let test = TestApp::with(|config| {
            https(config);
            config.hsts = hsts;
        })
        .await;
        assert_eq!(behind_proxy(&test).get("/nap/login").await.header("strict-transport-security"), expected);
        assert_eq!(test.anonymous().get("/nap/login").await.header("strict-transport-security"), "");
    }
}

#[tokio::test]
async fn the_cookie_fits_the_scheme() {
    let test = TestApp::new().await;
    let plain = test.anonymous().post("/login", &[("name", "ada"), ("password", PASSWORD)]).await.cookies();
    let name = format!("docknap_{}", &test.app.auth.instance()[..8]);
    let rest = plain[0].strip_prefix(&format!("{name}=")).expect("the name tells installations apart");
    let (value, attributes) = rest.split_once("; ").expect("attributes");
    assert_eq!(value.len(), 43, "256 bits");
    assert_eq!(attributes, "HttpOnly; SameSite=Lax; Path=/; Max-Age=691200");

    let test = TestApp::with(https).await;
    let answer = behind_proxy(&test).post("/nap/login", &[("name", "ada"), ("password", PASSWORD)]).await;
    assert_eq!((answer.status, answer.location()), (303, "/nap/"));
    let cookies = answer.cookies();
    assert!(cookies[0].starts_with("__Host-docknap="), "{cookies:?}");
    assert!(cookies[0].ends_with("; HttpOnly; SameSite=Lax; Path=/; Max-Age=691200; Secure"), "{cookies:?}");
}

#[tokio::test]
async fn plain_http_is_only_a_pointer_where_https_is_configured() {
    let test = TestApp::with(https).await;
    // Also where the client claims to come by https: it is no proxy of ours.
    for mut client in [test.anonymous(), test.anonymous().with_header("x-forwarded-proto", "https")] {
        let page = client.get("/login").await;
        assert_eq!(page.status, 403);
        assert_eq!(page.text("h1"), "Open https://nap.example.org/nap/");
        assert_eq!(page.attribute("form", "action"), None, "no login form");
        let answer = client.post("/login", &[("name", "ada"), ("password", PASSWORD)]).await;
        assert!(answer.status == 403 && answer.cookies().is_empty());
    }
    assert_eq!(test.anonymous().get("/healthz").await.status, 200);
    assert_eq!(test.anonymous().get("/nap/static/app.css").await.status, 200);
    assert_eq!(behind_proxy(&test).get("/login").await.status, 200);
}

#[tokio::test]
async fn the_amber_bar_is_there_exactly_when_somebody_could_listen() {
    let test = TestApp::new().await;
    let bar = async |mut client: Client| client.get("/login").await.text(".bar").contains("not encrypted");
    assert!(bar(test.anonymous()).await);
    assert!(!bar(test.anonymous().at("127.0.0.1")).await);
    assert!(!bar(test.anonymous().at("::1")).await);
    let test = TestApp::with(https).await;
    assert!(!bar(behind_proxy(&test)).await);
}

#[tokio::test]
async fn another_site_cannot_use_the_cookie() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    let origin = format!("http://{SITE}");
    let shouted = format!("http://{}", SITE.to_ascii_uppercase());
    let refused: [&[(&str, &str)]; 10] = [
        &[("origin", "")],
        &[("origin", ""), ("sec-fetch-site", "cross-site")],
        &[("origin", ""), ("sec-fetch-site", "same-site")],
        &[("origin", "http://evil.example")],
        &[("origin", "http://nas.lan")],
        &[("origin", "null")],
        &[("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")],
        &[("origin", &origin), ("sec-fetch-site", "cross-site")],
        &[("origin", &origin), ("host", "other.lan:8080")],
        &[("origin", "http://nas.lan"), ("host", "nas.lan:443")],
    ];
    for headers in refused {
        for path in ["/users", "/login", "/logout", "/nowhere"] {
            let answer = ada.send(Method::POST, path, FORM, NEW_USER.to_owned(), headers).await;
            assert_eq!(answer.status, 403, "{path} {headers:?}");
            assert!(answer.text("h1").contains("did not come from"), "{}", answer.body);
            assert!(answer.cookies().is_empty());
        }
    }
    let users = async || docknap::app::users::list(&test.app, &docknap::app::Actor::cli()).await;
    assert_eq!(users().await.expect("lists").len(), 3, "nothing was stored");
    // An http page on a LAN sends only Origin; an https one also Sec-Fetch-Site; a typed address none of another site.
    for (number, headers) in [
        vec![("origin", &*origin)],
        vec![("sec-fetch-site", "same-origin")],
        vec![("origin", ""), ("sec-fetch-site", "none")],
        // A host has no case, and proxies add the port that the scheme has anyway.
        vec![("origin", &*shouted)],
        vec![("origin", "http://nas.lan"), ("host", "nas.lan:80")],
        vec![("origin", "https://nas.lan"), ("host", "NAS.lan:443")],
    ]
    .iter()
    .enumerate()
    {
        let body = NEW_USER.replace("nina", &format!("nina{number}"));
        assert_eq!(ada.send(Method::POST, "/users", FORM, body, headers).await.status, 201, "{headers:?}");
    }
    assert_eq!(users().await.expect("lists").len(), 9);
}

#[tokio::test]
async fn the_origin_people_type_counts_where_a_proxy_changes_the_host() {
    let test = TestApp::with(https).await;
    let mut client = behind_proxy(&test).with_header("host", "docknap:8080");
    assert_eq!(client.post("/nap/login", &[("name", "ada"), ("password", PASSWORD)]).await.status, 303);
}

#[tokio::test]
async fn the_base_path_may_be_there_or_stripped() {
    let base = BaseUrl { https: false, origin: format!("http://{SITE}"), path: "/nap".to_owned() };
    let test = TestApp::with(|config| config.base_url = Some(base)).await;
    let mut ada = test.admin().await;
    for path in ["/nap/users", "/users"] {
        let page = ada.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.attribute("a.brand", "href").as_deref(), Some("/nap/"), "links carry it");
        assert!(
            page.attribute("link[rel=stylesheet]", "href")
                .is_some_and(|href| href.starts_with("/nap/static/app.css?v="))
        );
    }
    assert_eq!(test.anonymous().get("/nap/users?a=b").await.location(), "/nap/login?next=%2Fusers%3Fa%3Db");
    for path in ["/healthz", "/nap/healthz", "/nap/api/me"] {
        assert_ne!(ada.get(path).await.status, 404, "{path}");
    }
    assert_eq!(ada.get("/napping").await.status, 404);
}

#[tokio::test]
async fn only_a_path_of_this_site_is_gone_to_after_a_login() {
    let test = TestApp::new().await;
    for next in ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "runs"]
    {
        let fields = [("name", "ada"), ("password", PASSWORD), ("next", next)];
        assert_eq!(test.anonymous().post("/login", &fields).await.location(), "/", "{next}");
    }
}

#[tokio::test]
async fn whoever_is_logged_out_is_told_in_the_form_that_fits() {
    let test = TestApp::new().await;
    let mut client = test.anonymous();
    let page = client.get("/users?x=1").await;
    assert_eq!((page.status, page.location()), (303, "/login?next=%2Fusers%3Fx%3D1"));
    let part = client
        .send(
            Method::GET,
            "/users",
            None,
            String::new(),
            &[HTMX[0], HTMX[1], ("referer", &format!("http://{SITE}/users?y=2"))],
        )
        .await;
    assert_eq!((part.status, part.header("hx-redirect")), (401, "/login?next=%2Fusers%3Fy%3D2"));
    assert!(part.body.is_empty(), "nothing htmx could swap in");
    let stream =
        client.send(Method::GET, "/users", None, String::new(), &[("accept", "text/event-stream")]).await;
    assert_eq!(stream.status, 401);
    let program = test.program().get("/api/me").await;
    assert_eq!((program.status, program.header("content-type")), (401, "application/problem+json"));
    assert_eq!(program.header("www-authenticate"), "Bearer");
    assert_eq!(program.json()["code"], "unauthenticated");
}

#[tokio::test]
async fn a_form_sent_after_the_login_ended_is_not_lost() {
    let test = TestApp::new().await;
    for htmx in [false, true] {
        let mut ada = test.admin().await;
        assert_eq!(ada.get("/users/new").await.status, 200);
        test.clock.advance(Duration::from_secs(9 * 3600));
        let fields = [("name", "nina <3"), ("role", "operator"), ("password", "never stored anywhere")];
        let answer =
            if htmx { ada.post_part("/users", &fields).await } else { ada.post("/users", &fields).await };
        let (status, header) = if htmx { (401, "hx-redirect") } else { (303, "location") };
        assert_eq!((answer.status, answer.header(header)), (status, "/login?next=%2Fusers%2Fnew"));

        let login = ada.get(answer.header(header)).await;
        assert!(login.text("main").contains("What you typed is kept"), "{}", login.body);
        let answer = ada.post("/login", &[("name", "ada"), ("password", PASSWORD), ("next", "/")]).await;
        assert_eq!((answer.status, answer.location()), (303, "/users/new"));
        let page = ada.get("/users/new").await;
        assert_eq!(page.attribute("#name", "value").as_deref(), Some("nina <3"));
        assert!(page.attribute("input[value=operator]", "checked").is_some());
        assert!(!page.body.contains("never stored"), "a password is not kept");
        assert!(page.text(".flash").contains("nothing was stored"), "{}", page.body);
        assert_eq!(
            ada.get("/users/new").await.attribute("#name", "value").as_deref(),
            Some(""),
            "shown once"
        );
    }
    let users = docknap::app::users::list(&test.app, &docknap::app::Actor::cli()).await.expect("lists");
    assert_eq!(users.len(), 3, "nothing was sent by itself");
}

#[tokio::test]
async fn a_form_with_a_long_file_is_not_kept() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    ada.get("/calendars/new").await;
    test.clock.advance(Duration::from_secs(9 * 3600));
    let answer = ada.post("/calendars", &[("name", "Holidays"), ("ics", &"x".repeat(100 * 1024))]).await;
    let login = ada.get(answer.location()).await;
    assert!(!login.text("main").contains("What you typed is kept"), "{}", login.body);
}

#[tokio::test]
async fn a_kept_form_is_for_its_sender_only() {
    let test = TestApp::new().await;
    test.add_user("eva", Role::Admin).await;
    let mut ada = test.admin().await;
    ada.get("/users/new").await;
    test.clock.advance(Duration::from_secs(9 * 3600));
    ada.post("/users", &[("name", "nina"), ("role", "operator")]).await;
    let answer = ada.post("/login", &[("name", "eva"), ("password", PASSWORD)]).await;
    assert_eq!(answer.location(), "/");
    assert_eq!(ada.get("/users/new").await.attribute("#name", "value").as_deref(), Some(""));

    // Without a session that ran out, nothing is kept for anybody.
    let mut stranger = test.anonymous();
    stranger.get("/users/new").await;
    stranger.post("/users", &[("name", "x"), ("role", "admin")]).await;
    stranger.log_in("eva").await;
    assert_eq!(stranger.get("/users/new").await.attribute("#name", "value").as_deref(), Some(""));
}

#[tokio::test]
async fn a_body_is_refused_in_words() {
    let test = TestApp::new().await;
    let mut api = test.program();
    let login = "/api/auth/login";
    let cases = [
        (json!({"username": "ada", "password": "x", "pasword": "y"}), "pasword"),
        (json!({"username": "ada"}), "password"),
        (json!({"username": 7, "password": "x"}), "username"),
        (json!({"username": "ada", "password": ["x"]}), "password"),
    ];
    for (body, field) in cases {
        let answer = api.post_json(login, &body).await;
        assert_eq!((answer.status, &*answer.wrong_field()), (422, field), "{}", answer.body);
        assert_eq!(answer.json()["code"], "invalid");
    }
    let mut send = async |kind, body: &str| api.send(Method::POST, login, kind, body.to_owned(), &[]).await;
    assert_eq!(send(Some("application/json"), "{").await.json()["code"], "no_json");
    assert_eq!(send(Some("text/plain"), "{}").await.status, 415);
    assert_eq!(send(None, "{}").await.status, 415);
    let large = format!("{{\"username\":\"{}\"}}", "x".repeat(65 * 1024));
    let answer = send(Some("application/json"), &large).await;
    assert_eq!((answer.status, answer.json()["code"].clone()), (413, json!("too_large")));

    let mut ada = test.admin().await;
    let page = ada.post("/users", &[("name", &"x".repeat(65 * 1024))]).await;
    assert_eq!(page.status, 413);
    assert!(page.text("main").contains("64 KiB"), "{}", page.body);
    assert_eq!(
        ada.send(Method::POST, "/users", Some("application/json"), "{}".to_owned(), &[]).await.status,
        415
    );
}

#[tokio::test]
async fn an_error_has_a_page_a_message_and_a_problem() {
    let test = TestApp::new().await;
    let mut vera = test.viewer().await;
    let page = vera.get("/users").await;
    assert_eq!(page.status, 403);
    assert!(page.text("main").contains("needs the role admin. Ask an admin"), "{}", page.body);
    assert!(page.text(".who").contains("vera"), "within the usual surroundings");
    let part = vera.get_part("/users").await;
    assert_eq!(
        (part.status, part.header("hx-retarget"), part.header("hx-reswap")),
        (403, "#alerts", "beforeend")
    );
    assert!(
        part.text(".toast").contains("needs the role admin") && !part.body.contains("<html"),
        "{}",
        part.body
    );

    let missing = vera.get("/nowhere").await;
    assert_eq!((missing.status, missing.text("h1")), (404, "Not found".to_owned()));
    assert_eq!(vera.send(Method::PUT, "/users", None, String::new(), &[]).await.status, 405);
    let mut api = test.bearer(Role::Viewer).await;
    let problem = api.get("/api/nowhere").await.json();
    assert_eq!((&problem["status"], &problem["code"]), (&json!(404), &json!("not_found")));
    assert_eq!(problem["request_id"].as_str().map(str::len), Some(16));
    let answer = api.delete("/api/me").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"));
    assert_eq!(answer.json()["code"], "method_not_allowed");
}

#[tokio::test]
async fn a_fault_of_ours_shows_its_id_and_nothing_else() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    let docknap::db::Db::Sqlite { writer, .. } = &test.app.db else { panic!("it is SQLite") };
    sqlx::query("ALTER TABLE audit RENAME TO gone").execute(writer).await.expect("it is renamed");
    let page = ada.get("/audit").await;
    assert_eq!(page.status, 500);
    assert!(page.text("main code").contains(page.header("x-request-id")), "{}", page.body);
    assert!(
        !page.body.to_lowercase().contains("pool") && !page.body.to_lowercase().contains("sql"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn while_the_database_is_away_people_and_programs_are_told_so() {
    let test = TestApp::new().await;
    let (mut ada, mut api) = (test.admin().await, test.bearer(Role::Viewer).await);
    test.app.db.close().await;
    for path in ["/users", "/", "/runs"] {
        let page = ada.get(path).await;
        assert_eq!((page.status, page.header("retry-after")), (503, "5"), "{path}: {}", page.body);
        assert!(page.text("main").contains("The database cannot be reached"), "{path}: {}", page.body);
    }
    let part = ada.get_part("/runs").await;
    assert_eq!((part.status, part.header("retry-after")), (503, "5"));
    assert!(part.body.contains("The database cannot be reached"), "{}", part.body);
    for answer in
        [api.get("/api/stacks").await, api.post_json("/api/schedules", &serde_json::json!({})).await]
    {
        assert_eq!((answer.status, answer.header("retry-after")), (503, "5"), "{}", answer.body);
        assert_eq!(answer.json()["code"], "unavailable");
        let detail = answer.json()["detail"].as_str().expect("a text").to_owned();
        assert!(detail.contains("database cannot be reached"), "{detail}");
    }
    let login = [("name", "ada"), ("password", crate::support::app::PASSWORD)];
    let refused = test.anonymous().post("/login", &login).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"), "{}", refused.body);
    assert_eq!(test.anonymous().get("/healthz").await.status, 503);
}

/// The session of a login is stored after its handler is done.
#[tokio::test]
async fn a_login_that_cannot_be_stored_is_told_why() {
    let database = TestDb::postgres().await;
    let docknap::db::Db::Pg(pool) = &database.db else { panic!("it is a server") };
    let pool = pool.clone();
    let test = TestApp::on(database, |_| {}).await;
    let sql = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
               $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$";
    sqlx::query(sql).execute(&pool).await.expect("it is made");
    let sql = "CREATE TRIGGER full_disk BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION full_disk()";
    sqlx::query(sql).execute(&pool).await.expect("it is made");
    let login = [("name", "ada"), ("password", crate::support::app::PASSWORD)];
    let refused = test.anonymous().post("/login", &login).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"), "{}", refused.body);
    assert!(refused.text("main").contains("disk of the database is full"), "{}", refused.body);
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_told_and_is_well_again_by_itself() {
    let database = TestDb::postgres().await;
    let docknap::db::Db::Pg(pool) = &database.db else { panic!("it is a server") };
    let name = pool.connect_options().get_database().expect("it has a name").to_owned();
    let test = TestApp::on(database, |_| {}).await;
    let mut api = test.bearer(Role::Operator).await;
    let server = std::env::var("DOCKNAP_TEST_POSTGRES_URL").expect("it is set");
    let admin = sqlx::PgPool::connect(&server).await.expect("it answers");
    let set = async |sql: String| {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&admin).await.expect("it is set");
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        sqlx::query(cut).bind(&name).execute(&admin).await.expect("they are cut");
    };
    let schedule = serde_json::json!({"target_type": "stack", "target_id": "shop", "action": "stop",
        "cron": "0 4 * * *", "allow_missing": true});
    assert_eq!(test.anonymous().get("/healthz").await.status, 200);
    set(format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    let refused = api.post_json("/api/schedules", &schedule).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"), "{}", refused.body);
    let detail = refused.json()["detail"].as_str().expect("a text").to_owned();
    assert!(detail.contains("must not be written"), "{detail}");
    assert_eq!(test.anonymous().get("/healthz").await.status, 503);
    set(format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    assert_eq!(test.anonymous().get("/healthz").await.status, 200);
    let stored = api.post_json("/api/schedules", &schedule).await;
    assert_eq!(stored.status, 201, "{}", stored.body);
}

#[tokio::test]
async fn many_who_ask_for_its_health_are_answered_by_one_look() {
    let test = TestApp::new().await;
    let held = test.app.db.begin().await.expect("begins");
    let mut asked: Vec<_> = (0..50)
        .map(|_| {
            let mut client = test.anonymous();
            Box::pin(async move { client.get("/healthz").await.status })
        })
        .collect();
    for one in &mut asked {
        assert!(futures_util::poll!(one.as_mut()).is_pending(), "the writer is at work");
    }
    drop(held);
    let began = test.app.vitals.looks();
    assert!(futures_util::future::join_all(asked).await.into_iter().all(|status| status == 200));
    assert!(test.app.vitals.looks() - began <= 2, "one was under way, and one came after it");
}

#[tokio::test]
async fn health_is_a_word_without_detail() {
    let test = TestApp::new().await;
    let mut client = test.anonymous();
    let well = client.get("/healthz").await;
    assert_eq!((well.status, &*well.body), (200, "ok\n"));
    assert_eq!(client.get("/readyz").await.status, 503, "no Engine");
    let with_engine = TestApp::over(Bench::new(NOW, World::default()).await).await;
    assert_eq!(with_engine.anonymous().get("/readyz").await.status, 200);
    with_engine.app.vitals.stop();
    assert_eq!(with_engine.anonymous().get("/readyz").await.status, 503, "about to stop");
    test.clock.advance(Duration::from_secs(90));
    let hung = client.get("/healthz").await;
    assert_eq!((hung.status, &*hung.body), (503, "unavailable\n"), "the scheduler has not looked for 90 s");
    test.app.vitals.ticked(test.clock.now());
    assert_eq!(client.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn static_files_are_kept_by_their_version() {
    let test = TestApp::new().await;
    let mut client = test.anonymous();
    let href = client.get("/login").await.attribute("link[rel=stylesheet]", "href").expect("a style sheet");
    let file = client.get(&href).await;
    assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(file.header("content-type"), "text/css; charset=utf-8");
    let old = client.get("/static/app.css?v=0").await;
    assert_eq!(old.header("cache-control"), "public, no-cache");
    let etag = old.header("etag").to_owned();
    let again =
        client.send(Method::GET, "/static/app.css", None, String::new(), &[("if-none-match", &etag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    for path in ["/static/VENDORED.md", "/static/../Cargo.toml", "/static/%2e%2e/Cargo.toml", "/static/"] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
    let mut packed = Vec::new();
    for encoding in ["gzip", "identity"] {
        packed.push(
            client.send(Method::GET, &href, None, String::new(), &[("accept-encoding", encoding)]).await,
        );
    }
    assert_eq!((packed[0].header("content-encoding"), packed[1].header("content-encoding")), ("gzip", ""));
    assert!(packed.iter().all(|answer| answer.header("etag").starts_with("W/")), "it may be compressed");
    let taken = [("accept-encoding", "gzip")];
    let described = client.send(Method::GET, "/api/openapi.json", None, String::new(), &taken).await;
    let said = ["content-type", "content-encoding", "vary"].map(|name| described.header(name));
    assert_eq!(said, ["application/json", "gzip", "accept-encoding"]);
}

#[tokio::test]
async fn a_flood_of_logins_is_held_back_by_network() {
    let test = TestApp::new().await;
    // Names of their own and addresses of one IPv6 network: neither the count by name nor one by address would do.
    let mut let_in = 0;
    let refused = loop {
        let mut client = test.anonymous().at(&format!("2001:db8:1:2::{let_in:x}"));
        let answer = client.post("/login", &[("name", "vera"), ("password", PASSWORD)]).await;
        if answer.status != 303 {
            break answer;
        }
        // One more each second: a slow machine needs more of them.
        let_in += 1;
        assert!(let_in < 600, "a flood is never held back");
    };
    assert!(let_in >= 30, "{let_in}");
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    test.anonymous().at("2001:db8:1:3::1").log_in("vera").await;
    assert_eq!(test.anonymous().at("2001:db8:1:2::1").get("/login").await.status, 200, "only tries count");
}
