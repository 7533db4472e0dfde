//! Getting in, staying in, and being put out: sessions, tokens, passwords, the first admin, accounts.

use std::time::Duration;

use docknap::app::auth::{self, setup};
use docknap::app::users::{self, Edit};
use docknap::app::{Actor, Error};
use docknap::config::FirstAdmin;
use docknap::db;
use docknap::db::login_failures;
use docknap::domain::permission::Role;
use secrecy::SecretString;
use serde_json::json;

use crate::on_both_engines;
use crate::support::app::{Client, PASSWORD, TestApp};
use crate::support::db::TestDb;

on_both_engines!(
    a_login_is_a_session_and_a_logout_its_end,
    a_token_is_good_until_it_ends_or_is_revoked,
    fifty_wrong_passwords_get_nowhere,
    an_account_has_ten_sessions_and_twenty_tokens_at_most,
    a_token_is_not_born_after_its_password_died,
    a_try_taken_back_leaves_the_block_of_another,
    losing_rights_ends_every_session_and_token,
    the_last_admin_stays_one,
    the_first_admin_is_made_with_the_token_once,
    rows_that_outlived_their_use_are_removed,
);

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

async fn is_in(client: &mut Client) -> bool {
    match client.get("/users").await.status {
        200 | 403 => true,
        303 => false,
        other => panic!("neither in nor out: {other}"),
    }
}

async fn a_login_is_a_session_and_a_logout_its_end(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let mut ada = test.anonymous();
    assert!(!is_in(&mut ada).await);
    let answer =
        ada.post("/login", &[("name", " ADA "), ("password", PASSWORD), ("next", "/users?x=1")]).await;
    assert_eq!((answer.status, answer.location()), (303, "/users?x=1"));
    assert!(is_in(&mut ada).await);

    let stolen = ada.clone();
    let answer = ada.post("/logout", &[]).await;
    assert_eq!((answer.status, answer.location()), (303, "/login"));
    let left: Vec<_> = ada.cookies().keys().filter(|name| !name.ends_with("_browser")).collect();
    assert!(left.is_empty(), "the cookie is taken back: {left:?}");
    assert!(!is_in(&mut stolen.clone()).await, "the session is gone, not just the cookie");

    let events: Vec<_> = test.audit().await.into_iter().map(|row| (row.0, row.1, row.2)).collect();
    let expected =
        ["user.login", "user.logout"].map(|event| (event.to_owned(), "ok".to_owned(), "ada".to_owned()));
    assert_eq!(events, expected);
    assert!(test.user("ada").await.last_login.is_some());
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_or_old() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    test.clock.advance(Duration::from_secs(8 * 3600 - 1));
    assert!(is_in(&mut ada).await, "one second before");
    test.clock.advance(hours(8));
    assert!(!is_in(&mut ada).await, "idle for 8 h");

    let mut ada = test.admin().await;
    for _ in 0..24 * 7 / 6 - 1 {
        test.clock.advance(hours(6));
        assert!(is_in(&mut ada).await, "used every 6 h");
    }
    test.clock.advance(hours(6));
    assert!(!is_in(&mut ada).await, "7 d old, however busy");
}

#[tokio::test]
async fn a_page_that_refreshes_itself_does_not_keep_a_session_alive() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    for _ in 0..9 {
        test.clock.advance(hours(1));
        ada.listen().await;
        ada.get_part("/runs").await;
    }
    assert!(!is_in(&mut ada).await);
}

#[tokio::test]
async fn last_seen_is_written_once_a_minute() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    let id = test.user("ada").await.id;
    let seen =
        async || db::sessions::list(&test.app.db, &id, test.clock.now()).await.expect("reads")[0].last_seen;
    let at_login = seen().await;
    test.clock.advance(Duration::from_secs(59));
    ada.get("/users").await;
    assert_eq!(seen().await, at_login);
    test.clock.advance(Duration::from_secs(1));
    ada.get("/users").await;
    assert_eq!(seen().await, test.clock.now());
}

#[tokio::test]
async fn a_login_gives_a_new_id_whatever_cookie_was_there() {
    let test = TestApp::new().await;
    let mut anna = test.anonymous();
    let name = format!("docknap_{}", &test.app.auth.instance()[..8]);
    let planted = auth::sessions::Ticket::draw().expect("random numbers").reveal();
    anna.cookies().insert(name.clone(), planted.clone());
    anna.log_in("ada").await;
    let first = anna.cookies()[&name].clone();
    assert_ne!(first, planted, "an id planted by somebody else is not taken");

    let before = anna.clone();
    anna.log_in("vera").await;
    assert_ne!(anna.cookies()[&name], first);
    assert!(!is_in(&mut before.clone()).await, "the session of before is over");
    let stored = db::sessions::counts(&test.app.db, test.clock.now()).await.expect("reads");
    assert_eq!(stored, [(test.user("vera").await.id, 1, test.clock.now())]);
}

#[tokio::test]
async fn the_database_does_not_know_the_id_in_the_cookie() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    let value = ada.cookies().values().next().expect("a cookie").clone();
    let ticket = auth::sessions::Ticket::parse(&value).expect("256 bits");
    let stored =
        db::sessions::list(&test.app.db, &test.user("ada").await.id, test.clock.now()).await.expect("reads");
    assert_eq!(stored[0].id_hash, ticket.digest());
    assert_ne!(stored[0].id_hash, value);
    assert_eq!(stored[0].address.as_deref(), Some("192.0.2.1"));
}

async fn a_token_is_good_until_it_ends_or_is_revoked(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let mut api = test.program();
    let answer = api.post_json("/api/auth/login", &json!({"username": "otto", "password": PASSWORD})).await;
    let body = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(
        (&body["token_type"], &body["expires_at"]),
        (&json!("Bearer"), &json!("2026-11-28T08:00:00.000Z"))
    );
    assert_eq!(body["user"], json!({"username": "otto", "role": "operator"}));

    let mut api = test.bearer(Role::Operator).await;
    assert_eq!(api.get("/api/me").await.json()["username"], "otto");
    let mut other = test.bearer(Role::Operator).await;
    assert_eq!(api.post_json("/api/auth/logout", &json!({})).await.status, 204);
    assert_eq!(api.get("/api/me").await.status, 401, "dead at once");
    assert_eq!(other.get("/api/me").await.status, 200, "the other one lives");
    test.clock.advance(hours(12));
    assert_eq!(other.get("/api/me").await.status, 401, "12 h are over");
}

#[tokio::test]
async fn a_token_that_was_touched_is_no_token() {
    let test = TestApp::new().await;
    let mut api = test.bearer(Role::Admin).await;
    let token = api.get_token("ada").await;
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    // {"alg":"none"} and {"alg":"HS512","typ":"JWT"}
    let none = "eyJhbGciOiJub25lIn0";
    let hs512 = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9";
    let flipped = format!("{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    for forged in [
        format!("{none}.{claims}."),
        format!("{hs512}.{claims}.{signature}"),
        format!("{header}.{claims}.{flipped}"),
        format!("{header}.{claims}"),
        "x".repeat(5000),
        String::new(),
    ] {
        assert_eq!(api.clone().with_token(&forged).get("/api/me").await.status, 401, "{forged}");
    }
    assert_eq!(api.get("/api/me").await.status, 200);
}

#[tokio::test]
async fn bad_bearers_are_held_back_by_address() {
    let test = TestApp::new().await;
    let mut good = test.bearer(Role::Viewer).await;
    let mut bad = test.program().with_token("nonsense");
    for _ in 0..30 {
        assert_eq!(bad.get("/api/me").await.status, 401);
    }
    let answer = bad.get("/api/me").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "60"));
    assert_eq!(good.get("/api/me").await.status, 200, "a good token of the same address");
    assert_eq!(bad.get("/api/me").await.status, 429);
    // Login and logout never meet it, whatever token comes with them.
    let body = json!({ "username": "vera", "password": PASSWORD });
    assert_eq!(bad.post_json("/api/auth/login", &body).await.status, 200);
    assert_eq!(bad.post_json("/api/auth/logout", &json!({})).await.status, 401);
    test.clock.advance(Duration::from_secs(60));
    assert_eq!(bad.get("/api/me").await.status, 401);
}

async fn fifty_wrong_passwords_get_nowhere(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let hashed = || test.app.auth.hasher.hashed();
    let mut client = test.anonymous();
    let mut statuses = Vec::new();
    let before = hashed();
    for _ in 0..50 {
        statuses.push(
            client.post("/login", &[("name", "ada"), ("password", "wrong wrong wrong wrong")]).await.status,
        );
    }
    assert_eq!(statuses[..5], [401; 5]);
    assert!(statuses[5..].iter().all(|status| *status == 429), "{statuses:?}");
    assert_eq!(hashed() - before, 5, "what is refused is not looked at");

    // From an address of its own: the flood guard and the count by address are not what this is about.
    let mut elsewhere = test.anonymous().at("198.51.100.7");
    let answer = elsewhere.post("/login", &[("name", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, "1"),
        "also the right password has to wait"
    );
    test.clock.advance(Duration::from_secs(1));
    elsewhere.log_in("ada").await;

    // Success cleared it: four free tries again.
    let mut elsewhere = test.anonymous().at("198.51.100.8");
    for _ in 0..4 {
        assert_eq!(elsewhere.post("/login", &[("name", "ada"), ("password", "wrong")]).await.status, 401);
    }
    elsewhere.log_in("ada").await;
    let refused = test.audit().await.iter().filter(|row| row.0 == "user.login" && row.1 == "refused").count();
    assert_eq!(refused, 9);
}

#[tokio::test]
async fn waits_double_up_to_a_minute() {
    let test = TestApp::new().await;
    let mut waits = Vec::new();
    for try_ in 0..13 {
        // Each from an address of its own.
        let mut client = test.anonymous().at(&format!("198.51.100.{try_}"));
        let wrong = [("name", "ada"), ("password", "wrong")];
        assert_eq!(client.post("/login", &wrong).await.status, 401);
        let refused = client.post("/login", &wrong).await;
        if refused.status == 429 {
            let wait: u64 = refused.header("retry-after").parse().expect("seconds");
            waits.push(wait);
            test.clock.advance(Duration::from_secs(wait));
        } else {
            assert_eq!(refused.status, 401);
        }
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
}

#[tokio::test]
async fn an_address_may_fail_twenty_times_an_hour() {
    let test = TestApp::new().await;
    let mut client = test.anonymous();
    for number in 0..20 {
        let name = format!("nobody{number}");
        assert_eq!(client.post("/login", &[("name", &name), ("password", "x")]).await.status, 401);
    }
    // A name that has failed waits for the hour to pass; others go one per 5 s, whoever they are.
    let answer = client.post("/login", &[("name", "nobody3"), ("password", "x")]).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "3600"));
    assert_eq!(client.post("/login", &[("name", "nobody20"), ("password", "x")]).await.status, 401);
    let answer = client.post("/login", &[("name", "vera"), ("password", PASSWORD)]).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "5"));
    test.clock.advance(Duration::from_secs(5));
    client.log_in("vera").await;
    test.anonymous().at("192.0.2.2").log_in("vera").await;
    test.clock.advance(hours(1));
    assert_eq!(client.post("/login", &[("name", "nobody3"), ("password", "x")]).await.status, 401);
}

#[tokio::test]
async fn a_name_that_exists_cannot_be_told_from_one_that_does_not() {
    let test = TestApp::new().await;
    let users::Listed { user, .. } = users::list(&test.app, &Actor::cli()).await.expect("lists").remove(1);
    assert_eq!(user.name, "otto");
    let edit = Edit { role: "operator".to_owned(), disabled: true, rev: None };
    users::update(&test.app, &Actor::cli(), &user.id, &edit).await.expect("disables");

    let mut seen = Vec::new();
    // A known name, an unknown one, a disabled one with the right password, and one that is no name.
    for (number, (name, password)) in
        [("ada", "wrong"), ("eve", "wrong"), ("otto", PASSWORD), ("<b>", "wrong")].into_iter().enumerate()
    {
        let mut client = test.anonymous().at(&format!("198.51.100.{number}"));
        let mut answers = Vec::new();
        let before = test.app.auth.hasher.hashed();
        for _ in 0..6 {
            let page = client.post("/login", &[("name", name), ("password", password)]).await;
            let typed = page.attribute("#name", "value").expect("the name stays");
            assert_eq!(typed, name);
            let escaped = name.replace('<', "&#60;").replace('>', "&#62;");
            answers.push((page.status, page.body.replace(&format!("value=\"{escaped}\""), "value=\"\"")));
        }
        seen.push((answers, test.app.auth.hasher.hashed() - before));
    }
    assert_eq!(seen[0].1, 5, "one hash for each try that is looked at");
    assert_eq!(seen[0].0.iter().map(|answer| answer.0).collect::<Vec<_>>(), [401, 401, 401, 401, 401, 429]);
    for other in &seen[1..] {
        assert_eq!(*other, seen[0]);
    }
    for row in test.audit().await.iter().filter(|row| row.0 == "user.login") {
        assert!(["ada", "otto", "(unknown)"].contains(&&*row.3), "what was typed is in no log: {row:?}");
    }
}

#[tokio::test]
async fn the_command_line_unlocks_an_account() {
    let test = TestApp::new().await;
    let mut client = test.anonymous();
    for _ in 0..5 {
        client.post("/login", &[("name", "ada"), ("password", "wrong")]).await;
    }
    assert_eq!(client.post("/login", &[("name", "ada"), ("password", PASSWORD)]).await.status, 429);
    auth::unlock(&test.app, &Actor::cli(), "Ada").await.expect("unlocks");
    client.log_in("ada").await;
    let missing = auth::unlock(&test.app, &Actor::cli(), "eve").await;
    assert!(matches!(missing, Err(Error::NotFound { .. })));
}

async fn an_account_has_ten_sessions_and_twenty_tokens_at_most(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let user = test.user("vera").await;
    let mut clients = Vec::new();
    for number in 0..12 {
        let mut client = test.anonymous().at(&format!("198.51.100.{number}"));
        client.log_in("vera").await;
        clients.push(client);
        test.clock.advance(Duration::from_secs(1));
    }
    let mut alive = Vec::new();
    for client in &mut clients {
        alive.push(is_in(client).await);
    }
    assert_eq!(alive, [vec![false; 2], vec![true; 10]].concat());

    // Also where all of them begin in the same millisecond, the newest one is good.
    for number in 20..32 {
        let mut client = test.anonymous().at(&format!("198.51.100.{number}"));
        client.log_in("otto").await;
        assert!(is_in(&mut client).await);
    }

    let mut tokens = Vec::new();
    for _ in 0..22 {
        tokens.push(auth::tokens::issue(&test.app, &user, None).await.expect("issues").token);
        test.clock.advance(Duration::from_secs(1));
    }
    let mut alive = Vec::new();
    for token in &tokens {
        alive.push(auth::tokens::verify(&test.app, token, None).await.is_ok());
    }
    assert_eq!(alive, [vec![false; 2], vec![true; 20]].concat());
}

async fn a_token_is_not_born_after_its_password_died(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    // Somebody has just proved who they are …
    let vera = test.user("vera").await;
    test.clock.advance(Duration::from_secs(1));
    // … when an admin resets the password.
    let password = SecretString::from("another walk along the quay");
    users::reset_password(&test.app, &Actor::cli(), &vera.id, &password).await.expect("it is set");
    let late = auth::tokens::issue(&test.app, &vera, None).await;
    assert!(matches!(late, Err(Error::WrongCredentials)), "{late:?}");
    auth::tokens::issue(&test.app, &test.user("vera").await, None).await.expect("by the new one");
}

async fn a_try_taken_back_leaves_the_block_of_another(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let now = test.clock.now();
    let mut tx = test.app.db.begin().await.expect("begins");
    for failures in [6, 5] {
        for _ in 0..failures {
            login_failures::count(&mut tx, "name:x", now, now - Duration::from_secs(60))
                .await
                .expect("counts");
        }
        login_failures::block(&mut tx, "name:x", now + Duration::from_secs(9)).await.expect("blocks");
        login_failures::uncount(&mut tx, "name:x", 5).await.expect("takes it back");
        let next = login_failures::count(&mut tx, "name:x", now, now - Duration::from_secs(60)).await;
        let blocked = next.expect("counts").blocked_until > now;
        assert_eq!(blocked, failures == 6, "five are left, or four");
        login_failures::clear(&mut tx, "name:x").await.expect("clears");
    }
}

async fn losing_rights_ends_every_session_and_token(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let cli = Actor::cli();
    let id = test.user("otto").await.id;
    let secret = SecretString::from("another long sentence here");
    for change in ["role", "disable", "password", "end", "delete"] {
        let edit = |role: &str, disabled| Edit { role: role.to_owned(), disabled, rev: None };
        users::update(&test.app, &cli, &id, &edit("operator", false)).await.expect("as it was");
        users::reset_password(&test.app, &cli, &id, &SecretString::from(PASSWORD)).await.expect("as it was");
        let (mut browser, mut program) = (test.operator().await, test.bearer(Role::Operator).await);
        assert!(is_in(&mut browser).await && program.get("/api/me").await.status == 200);
        match change {
            "role" => drop(users::update(&test.app, &cli, &id, &edit("viewer", false)).await.expect(change)),
            "disable" => {
                drop(users::update(&test.app, &cli, &id, &edit("operator", true)).await.expect(change))
            }
            "password" => users::reset_password(&test.app, &cli, &id, &secret).await.expect(change),
            "end" => assert_eq!(users::end_sessions(&test.app, &cli, &id, None).await.expect(change), 1),
            _ => users::delete(&test.app, &cli, &id).await.expect(change),
        }
        assert!(!is_in(&mut browser).await, "{change}");
        assert_eq!(program.get("/api/me").await.status, 401, "{change}");
    }
}

#[tokio::test]
async fn a_password_changed_by_its_owner_ends_the_other_sessions() {
    let test = TestApp::new().await;
    let (mut here, mut there, mut program) =
        (test.viewer().await, test.viewer().await, test.bearer(Role::Viewer).await);
    let value = here.cookies().values().next().expect("a cookie").clone();
    let session = auth::sessions::Ticket::parse(&value).expect("256 bits").digest();
    let actor = test.actor(Role::Viewer).await;
    let [old, new] = [PASSWORD, "another long sentence here"].map(SecretString::from);
    let wrong = users::change_password(&test.app, &actor, &new, &new, Some(&session)).await;
    assert!(matches!(wrong, Err(Error::Invalid(errors)) if errors[0].field == "current"));
    let weak =
        users::change_password(&test.app, &actor, &old, &SecretString::from("short"), Some(&session)).await;
    assert!(matches!(weak, Err(Error::Invalid(errors)) if errors[0].field == "password"));
    assert!(is_in(&mut there).await, "nothing happened yet");

    users::change_password(&test.app, &actor, &old, &new, Some(&session)).await.expect("changes");
    assert!(!is_in(&mut there).await);
    assert_eq!(program.get("/api/me").await.status, 401);
    let refused = test.anonymous().post("/login", &[("name", "vera"), ("password", PASSWORD)]).await.status;
    assert_eq!(refused, 401);
}

async fn the_last_admin_stays_one(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let mut ada = test.admin().await;
    let id = test.user("ada").await.id;
    let path = format!("/users/{id}");
    for (path, fields) in [
        (path.clone(), vec![("role", "viewer"), ("rev", "1")]),
        (path.clone(), vec![("role", "admin"), ("disabled", "on"), ("rev", "1")]),
        (format!("{path}/delete"), Vec::new()),
    ] {
        let page = ada.post(&path, &fields).await;
        assert_eq!(page.status, 409);
        assert!(page.text("main").contains("ada is the last admin"), "{}", page.body);
    }
    // A disabled admin does not count; one who can log in does.
    let second = test.add_user("eva", Role::Admin).await;
    let edit = |disabled| Edit { role: "admin".to_owned(), disabled, rev: None };
    users::update(&test.app, &Actor::cli(), &second.id, &edit(true)).await.expect("disables");
    assert_eq!(ada.post(&format!("{path}/delete"), &[]).await.status, 409);
    users::update(&test.app, &Actor::cli(), &second.id, &edit(false)).await.expect("enables");
    assert_eq!(ada.post(&format!("{path}/delete"), &[]).await.status, 303);
    assert!(!is_in(&mut ada).await);
}

#[tokio::test]
async fn an_admin_keeps_accounts() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    let page = ada.post("/users", &[("name", "Ver a"), ("role", "king")]).await;
    assert_eq!(page.status, 422);
    assert!(!page.text("#name-error").is_empty() && !page.text("#role-error").is_empty(), "{}", page.body);
    assert_eq!(page.attribute("#name", "value").as_deref(), Some("Ver a"), "what was typed stays");
    let taken = ada.post("/users", &[("name", "VERA"), ("role", "viewer")]).await;
    assert_eq!(taken.text("#name-error"), "somebody has this name already");

    let made = ada.post("/users", &[("name", "nina"), ("role", "operator")]).await;
    assert_eq!((made.status, &*made.text("h1")), (201, "A link for nina"));
    let list = ada.get("/users").await;
    assert!(list.text("tbody").contains("nina operator"), "{}", list.text("tbody"));

    let id = test.user("nina").await.id;
    let stale = ada.post(&format!("/users/{id}"), &[("role", "viewer"), ("rev", "0")]).await;
    assert_eq!(stale.status, 409);
    let edited = ada.post(&format!("/users/{id}"), &[("role", "viewer"), ("rev", "1")]).await;
    assert_eq!(edited.status, 303);
    assert!(ada.get("/users").await.text(".flash").contains("nina is stored."));
    assert!(ada.get("/users").await.text(".flash").is_empty(), "a message is shown once");
    assert_eq!(test.user("nina").await.role, Role::Viewer);
    assert_eq!(ada.get(&format!("/users/{}", crate::support::app::nobody())).await.status, 404);

    let events: Vec<_> =
        test.audit().await.into_iter().filter(|row| row.3 == "nina").map(|row| row.0).collect();
    assert_eq!(events, ["user.invite", "user.update"]);
}

async fn the_first_admin_is_made_with_the_token_once(database: TestDb) {
    let test = TestApp::empty(database, |_| {}).await;
    setup::prepare(&test.app).await.expect("writes the token");
    let file = test.app.config.data_dir.join("setup-token");
    let token = || std::fs::read_to_string(&file).expect("it is there").trim().to_owned();
    let first = token();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&file).expect("it is there").permissions()
        ) & 0o777,
        0o600
    );
    setup::prepare(&test.app).await.expect("keeps it");
    assert_eq!(token(), first, "a restart does not change it");

    let mut client = test.anonymous();
    assert_eq!(client.get("/login").await.location(), "/setup");
    for left in (1..10).rev() {
        let page = client.post("/setup/token", &[("token", "nonsense")]).await;
        assert_eq!(page.status, 422);
        assert!(page.text("#token-error").contains(&format!("{left} tr")), "{}", page.body);
    }
    assert!(
        client
            .post("/setup/token", &[("token", "nonsense")])
            .await
            .text("#token-error")
            .contains("new token")
    );
    assert_ne!(token(), first, "ten wrong ones make a new one");

    let right = token();
    let page = client.post("/setup/token", &[("token", &format!(" {} ", right.to_uppercase()))]).await;
    assert_eq!(page.status, 200);
    assert!(page.attribute("#password", "name").is_some(), "the second step");
    let fields = |password, zone| {
        [
            ("token", right.clone()),
            ("name", "ada".to_owned()),
            ("password", String::from(password)),
            ("timezone", String::from(zone)),
            ("theme", "dark".to_owned()),
        ]
    };
    let post = async |client: &mut Client, fields: [(&str, String); 5]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
        client.post("/setup", &fields).await
    };
    let page = post(&mut client, fields("docknapdocknap1", "Moon/Base")).await;
    assert_eq!(page.status, 422);
    assert!(
        !page.text("#password-error").is_empty() && !page.text("#timezone-error").is_empty(),
        "{}",
        page.body
    );
    assert_eq!(page.attribute("#timezone", "value").as_deref(), Some("Moon/Base"));
    assert!(setup::is_due(&test.app).await.expect("reads"), "nothing was stored");

    let done = post(&mut client, fields(PASSWORD, "Europe/Berlin")).await;
    assert_eq!((done.status, done.location()), (303, "/welcome/docker"));
    assert!(is_in(&mut client).await, "and logged in at once");
    assert_eq!(test.user("ada").await.role, Role::Admin);
    assert!(!file.exists());
    assert_eq!(docknap::app::zone::default_zone(&test.app).await.expect("reads").name, "Europe/Berlin");
    assert_eq!(client.get("/setup").await.location(), "/login");
    assert_eq!(post(&mut client, fields(PASSWORD, "")).await.status, 409, "only once");
    assert_eq!(client.post("/setup/token", &[("token", &right)]).await.status, 409);
}

#[tokio::test]
async fn the_settings_can_name_the_first_admin() {
    let admin =
        |password: &str| FirstAdmin { name: "ada".to_owned(), password: SecretString::from(password) };
    let weak = TestApp::empty(TestDb::sqlite().await, |config| config.admin = Some(admin("password"))).await;
    let error = setup::prepare(&weak.app).await.expect_err("it breaks the policy");
    assert!(matches!(error, Error::Invalid(errors) if errors[0].message.contains("at least 15")));

    let test = TestApp::empty(TestDb::sqlite().await, |config| config.admin = Some(admin(PASSWORD))).await;
    setup::prepare(&test.app).await.expect("makes the admin");
    test.anonymous().log_in("ada").await;
    setup::prepare(&test.app).await.expect("and only once");
    assert_eq!(users::list(&test.app, &Actor::cli()).await.expect("lists").len(), 1);
}

async fn rows_that_outlived_their_use_are_removed(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let mut vera = test.viewer().await;
    let token = auth::tokens::issue(&test.app, &test.user("vera").await, None).await.expect("issues").token;
    test.anonymous().post("/login", &[("name", "ada"), ("password", "wrong")]).await;
    auth::prune(&test.app).await.expect("prunes");
    assert!(is_in(&mut vera).await && auth::tokens::verify(&test.app, &token, None).await.is_ok());
    test.clock.advance(hours(33));
    auth::prune(&test.app).await.expect("prunes");
    let counts = async |table: &str| {
        let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let (rows,): (i64,) = match &test.app.db {
            db::Db::Sqlite { readers, .. } => sqlx::query_as(sql).fetch_one(readers).await.expect("counts"),
            db::Db::Pg(pool) => sqlx::query_as(sql).fetch_one(pool).await.expect("counts"),
        };
        rows
    };
    assert_eq!((counts("sessions").await, counts("tokens").await, counts("login_failures").await), (0, 0, 0));
}
