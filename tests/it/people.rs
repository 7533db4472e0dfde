//! What people set for themselves, where they are logged in, and the links with which they choose a password.

use std::time::Duration;

use docknap::app::user_links::{self, Issued};
use docknap::app::users::{self, Edit};
use docknap::app::{Actor, Error};
use docknap::db;
use docknap::domain::permission::Role;
use docknap::domain::user::{ClockFace, Habits, LinkKind, WeekStart};
use secrecy::{ExposeSecret, SecretString};

use crate::on_both_engines;
use crate::support::app::{Client, PASSWORD, TestApp, nobody};
use crate::support::db::TestDb;

on_both_engines!(
    habits_are_stored_and_shown_on_every_page,
    a_session_is_ended_by_its_owner_and_by_nobody_else,
    a_link_works_once_and_ends_what_was_before,
    a_link_ends_by_itself_and_with_what_the_account_may_do,
    of_two_who_use_a_link_at_once_one_does,
    somebody_invited_cannot_log_in_and_is_no_last_admin,
    what_was_stored_before_people_had_habits_has_the_usual_ones,
);

const NEW: &str = "a whale sleeps under the pier";

async fn is_in(client: &mut Client) -> bool {
    client.get("/profile").await.status == 200
}

async fn habits_are_stored_and_shown_on_every_page(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let mut vera = test.viewer().await;
    let liked = [("theme", "dark"), ("clock", "12"), ("week_start", "sun"), ("timezone", "America/New_York")];
    let saved = vera.post("/profile", &liked).await;
    assert_eq!((saved.status, saved.location()), (303, "/profile"));
    let user = test.user("vera").await;
    let habits = Habits { clock: ClockFace::H12, week_start: WeekStart::Sunday, keys: false };
    assert_eq!((user.habits, user.timezone.as_deref()), (habits, Some("America/New_York")));
    assert_eq!(user.rev, 1, "no admin's edit is in the way");

    let page = vera.get("/profile").await;
    assert_eq!(page.attribute("html", "data-theme").as_deref(), Some("dark"));
    assert!(page.attribute("[name=clock][value='12']", "checked").is_some());
    assert!(page.attribute("[name=week_start][value=sun]", "checked").is_some());
    assert!(page.attribute("[name=keys]", "checked").is_none());
    assert_eq!(page.attribute("#timezone", "value").as_deref(), Some("America/New_York"));
    assert!(page.text(".foot").contains("America/New_York"), "{}", page.text(".foot"));
    // 20:00 UTC.
    let since = page.text("#sessions time");
    assert!(since.contains("3:00 pm"), "{since}");
    let exact = page.attribute("#sessions time", "title").expect("a title");
    assert!(exact.replace('\u{a0}', " ").contains("3:00:00 pm EST"), "{exact}");
    let audit = vera.get("/audit").await;
    assert!(audit.text(".audit-row time").contains("3:00 pm"), "{}", audit.text(".audit-row time"));

    let wrong = [("clock", "13"), ("week_start", "tue"), ("timezone", "Moon/Base")];
    let page = vera.post("/profile", &wrong).await;
    assert_eq!(page.status, 422);
    assert!(!page.text("#timezone-error").is_empty() && !page.text("#clock-error").is_empty());
    assert_eq!(page.attribute("#timezone", "value").as_deref(), Some("Moon/Base"), "what was typed stays");
    assert_eq!(test.user("vera").await.habits, habits, "nothing was stored");
    assert_eq!(test.user("ada").await.habits, Habits::default(), "nobody else has it");
}

/// Where a page's button ends a session that is not its own.
fn end_of(page: &crate::support::app::Answer) -> String {
    page.attribute("#sessions form", "action").expect("another session")
}

async fn a_session_is_ended_by_its_owner_and_by_nobody_else(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Safari/604.1";
    let mut phone = test.anonymous().with_header("user-agent", agent);
    phone.log_in("vera").await;
    test.clock.advance(Duration::from_secs(300));
    let mut desk = test.viewer().await;
    let page = desk.get("/profile").await;
    let lines = page.text("#sessions");
    assert!(lines.contains("Safari on iPhone") && lines.contains("this one"), "{lines}");
    let end = end_of(&page);

    // Not by another account, admins included: on their own page there is no such session.
    for mut other in [test.operator().await, test.admin().await] {
        assert_eq!(other.post(&end, &[]).await.status, 404);
        assert!(is_in(&mut phone).await);
    }
    let key = end.split('/').nth(3).expect("a key").to_owned();
    let otto = test.user("otto").await;
    let mut ada = test.admin().await;
    assert_eq!(ada.post(&format!("/users/{}/sessions/{key}/end", otto.id), &[]).await.status, 404);
    assert_eq!(desk.post("/profile/sessions/0000000000000000/end", &[]).await.status, 404);
    assert!(is_in(&mut phone).await);

    assert_eq!(desk.post(&end, &[]).await.location(), "/profile");
    assert!(!is_in(&mut phone).await && is_in(&mut desk).await);
    let events = test.audit().await;
    let last = events.last().expect("a row");
    assert_eq!((&*last.0, &*last.2, &*last.3), ("user.end_session", "vera", "vera"));
    let lately = desk.get("/profile").await.text("#lately");
    assert!(lately.contains("Ended a session of vera") && !lately.contains("otto"), "{lately}");

    // An admin may, on the account's page; and the others all at once.
    let vera = test.user("vera").await;
    let end = end_of(&ada.get(&format!("/users/{}", vera.id)).await);
    assert_eq!(ada.post(&end, &[]).await.status, 303);
    assert!(!is_in(&mut desk).await);
    let (mut here, mut there) = (test.viewer().await, test.viewer().await);
    let mut program = test.bearer(Role::Viewer).await;
    assert_eq!(here.post("/profile/sessions/end-others", &[]).await.location(), "/profile");
    assert!(is_in(&mut here).await && !is_in(&mut there).await);
    assert_eq!(program.get("/api/me").await.status, 401);
}

#[tokio::test]
async fn what_a_browser_calls_itself_is_cut_and_shown_as_text() {
    let test = TestApp::new().await;
    let agent = format!("<script>alert(1)</script>{}", "x".repeat(5_000));
    let mut vera = test.anonymous().with_header("user-agent", &agent);
    vera.log_in("vera").await;
    let stored = users::sessions(&test.app, &Actor::cli(), &test.user("vera").await.id).await.expect("reads");
    assert_eq!(stored[0].user_agent.as_ref().map(String::len), Some(200));
    let page = vera.get("/profile").await;
    assert!(!page.body.contains("<script>alert"), "{}", page.body);
    assert!(page.text("#sessions").contains("scriptalert"), "{}", page.text("#sessions"));
}

/// The path of the link on the page an admin got.
fn link_on(page: &crate::support::app::Answer) -> String {
    let url = page.text("#link");
    url.strip_prefix("http://nas.lan:8080").expect("of this site").to_owned()
}

async fn a_link_works_once_and_ends_what_was_before(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let mut ada = test.admin().await;
    let made = ada.post("/users", &[("name", "nina"), ("role", "operator")]).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let link = link_on(&made);
    let token = link.strip_prefix("/invite/").expect("its page").to_owned();
    assert_eq!(token.len(), 43, "256 bits");
    let list = ada.get("/users").await;
    assert!(
        list.text("tbody").contains("nina operator Invited, link ends in 1 day"),
        "{}",
        list.text("tbody")
    );
    assert!(!list.body.contains(&token), "it is shown once");
    assert!(!stored_anywhere(&test, &token).await, "only its digest is kept");

    let mut nina = test.anonymous();
    let page = nina.get(&link).await;
    assert_eq!(page.text("h1"), "Welcome, nina");
    assert_eq!(page.header("cache-control"), "no-store");
    let weak = nina.post(&link, &[("password", "nina nina nina 1")]).await;
    assert_eq!(weak.status, 422);
    assert!(!weak.text("#password-error").is_empty(), "{}", weak.body);
    let done = nina.post(&link, &[("password", NEW)]).await;
    assert_eq!((done.status, done.location()), (303, "/"));
    assert!(is_in(&mut nina).await, "and logged in at once");
    let nina_now = test.user("nina").await;
    assert!(!nina_now.is_invited() && nina_now.last_login.is_some());
    let again = test.anonymous().post(&link, &[("password", PASSWORD)]).await;
    assert_eq!(again.status, 404);
    assert!(again.cookies().is_empty());

    // Another password by a link: the old one, sessions and tokens are over.
    let renewed = ada.post(&format!("/users/{}/link", nina_now.id), &[]).await;
    let reset = link_on(&renewed);
    assert!(test.anonymous().get(&reset).await.text("h1").contains("A new password for nina"));
    assert!(is_in(&mut nina).await, "nothing has happened yet");
    assert_eq!(test.anonymous().post(&reset, &[("password", "seven whales hum a tune")]).await.status, 303);
    assert!(!is_in(&mut nina).await);
    let refused = test.anonymous().post("/login", &[("name", "nina"), ("password", NEW)]).await;
    assert_eq!(refused.status, 401);
    let events: Vec<_> = test.audit().await.into_iter().filter(|row| row.3 == "nina").collect();
    let told: Vec<_> = events.iter().map(|row| (&*row.0, &*row.2, row.4.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("user.invite", "ada", None),
            ("user.use_link", "nina", Some("invite")),
            ("user.make_link", "ada", Some("reset")),
            ("user.use_link", "nina", Some("reset")),
            ("user.login", "nina", Some("wrong password")),
        ]
    );
}

/// Whether a text stands in any column of the tables of accounts.
async fn stored_anywhere(test: &TestApp, text: &str) -> bool {
    let sql = "SELECT COUNT(*) FROM user_links WHERE token_hash LIKE $1 OR user_id LIKE $1";
    let like = format!("%{text}%");
    let (rows,): (i64,) = match &test.app.db {
        db::Db::Sqlite { readers, .. } => sqlx::query_as(sql).bind(like).fetch_one(readers).await,
        db::Db::Pg(pool) => sqlx::query_as(sql).bind(like).fetch_one(pool).await,
    }
    .expect("counts");
    rows > 0
}

async fn renewed(test: &TestApp, name: &str) -> Issued {
    let id = test.user(name).await.id;
    user_links::renew(&test.app, &Actor::cli(), &id).await.expect("a link")
}

async fn is_good(test: &TestApp, issued: &Issued) -> bool {
    match user_links::look(&test.app, issued.token.expose_secret()).await {
        Ok(_) => true,
        Err(Error::NotFound { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

async fn a_link_ends_by_itself_and_with_what_the_account_may_do(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let cli = Actor::cli();
    let id = test.user("otto").await.id;
    let first = renewed(&test, "otto").await;
    assert_eq!(first.kind, LinkKind::Reset);
    test.clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert!(is_good(&test, &first).await, "one second before");
    test.clock.advance(Duration::from_secs(1));
    assert!(!is_good(&test, &first).await, "a day old");
    docknap::app::auth::prune(&test.app).await.expect("prunes");

    let older = renewed(&test, "otto").await;
    let newer = renewed(&test, "otto").await;
    assert!(!is_good(&test, &older).await && is_good(&test, &newer).await, "the newest one counts");
    user_links::revoke(&test.app, &cli, &id).await.expect("withdraws");
    assert!(!is_good(&test, &newer).await);

    let edit = |role: &str, disabled| Edit { role: role.to_owned(), disabled, rev: None };
    for change in ["role", "password", "own password", "disable"] {
        let issued = renewed(&test, "otto").await;
        match change {
            "role" => drop(users::update(&test.app, &cli, &id, &edit("viewer", false)).await.expect(change)),
            "password" => users::reset_password(&test.app, &cli, &id, &SecretString::from(PASSWORD))
                .await
                .expect(change),
            "own password" => {
                let otto = Actor::user(&test.user("otto").await, None);
                let [old, new] = [PASSWORD, NEW].map(SecretString::from);
                users::change_password(&test.app, &otto, &old, &new, None).await.expect(change);
            }
            _ => drop(users::update(&test.app, &cli, &id, &edit("viewer", true)).await.expect(change)),
        }
        assert!(!is_good(&test, &issued).await, "{change}");
    }
    let refused = user_links::renew(&test.app, &cli, &id).await;
    assert!(matches!(refused, Err(Error::Conflict { code: "disabled", .. })), "{refused:?}");
    let mut ada = test.admin().await;
    let page = ada.post(&format!("/users/{id}/link"), &[]).await;
    assert_eq!(page.status, 409);
    assert!(page.text("[role=alert]").contains("enable the account first"), "{}", page.body);
    users::update(&test.app, &cli, &id, &edit("viewer", false)).await.expect("enables");
    let last = renewed(&test, "otto").await;
    users::delete(&test.app, &cli, &id).await.expect("removes");
    assert!(!is_good(&test, &last).await, "with the account");
    let viewer = test.actor(Role::Viewer).await;
    for forbidden in [
        user_links::invite(&test.app, &viewer, "eve", "admin").await.map(drop),
        user_links::renew(&test.app, &viewer, &nobody()).await.map(drop),
        user_links::revoke(&test.app, &viewer, &nobody()).await,
        user_links::open(&test.app, &viewer).await.map(drop),
    ] {
        assert!(matches!(forbidden, Err(Error::Forbidden { .. })));
    }
}

async fn of_two_who_use_a_link_at_once_one_does(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let issued = renewed(&test, "vera").await;
    let [a, b] = [NEW, PASSWORD].map(SecretString::from);
    let token = issued.token.expose_secret();
    let (first, second) = tokio::join!(
        user_links::accept(&test.app, token, &a, None),
        user_links::accept(&test.app, token, &b, None)
    );
    assert_eq!(u8::from(first.is_ok()) + u8::from(second.is_ok()), 1, "{first:?} {second:?}");
}

#[tokio::test]
async fn a_link_that_opens_nothing_tells_nothing() {
    let test = TestApp::new().await;
    let used = renewed(&test, "vera").await;
    let secret = SecretString::from(NEW);
    user_links::accept(&test.app, used.token.expose_secret(), &secret, None).await.expect("uses it");
    let old = renewed(&test, "otto").await;
    test.clock.advance(user_links::GOOD_FOR);
    let other = docknap::app::auth::sessions::Ticket::draw().expect("random numbers").reveal();
    let mut pages = Vec::new();
    for token in [used.token.expose_secret(), old.token.expose_secret(), &other, "x", "%20"] {
        let hashed = test.app.auth.hasher.hashed();
        let mut client = test.anonymous();
        let (page, sent) = (
            client.get(&format!("/invite/{token}")).await,
            client.post(&format!("/invite/{token}"), &[("password", "weak")]).await,
        );
        assert_eq!((page.status, sent.status), (404, 404), "{token}");
        assert_eq!(page.body, sent.body);
        assert_eq!(test.app.auth.hasher.hashed(), hashed, "nothing is computed for it");
        pages.push(page.body);
    }
    assert!(pages.iter().all(|page| *page == pages[0]));
    assert!(!pages[0].contains("otto") && !pages[0].contains("vera"));
}

async fn somebody_invited_cannot_log_in_and_is_no_last_admin(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let invited = user_links::invite(&test.app, &Actor::cli(), " eva ", "admin").await.expect("invites");
    assert_eq!((&*invited.user.name, invited.kind), ("eva", LinkKind::Invite));
    for password in ["", PASSWORD, "\0"] {
        let answer = test.anonymous().post("/login", &[("name", "eva"), ("password", password)]).await;
        assert_eq!(answer.status, 401, "{password:?}");
    }
    let ada = test.user("ada").await.id;
    let refused = users::delete(&test.app, &Actor::cli(), &ada).await;
    assert!(matches!(refused, Err(Error::Conflict { code: "last_admin", .. })), "{refused:?}");
    let secret = SecretString::from(NEW);
    user_links::accept(&test.app, invited.token.expose_secret(), &secret, None).await.expect("accepts");
    users::delete(&test.app, &Actor::cli(), &ada).await.expect("there is another one now");
    let taken = user_links::invite(&test.app, &Actor::cli(), "EVA", "viewer").await;
    assert!(matches!(taken, Err(Error::Invalid(errors)) if errors[0].field == "name"));
}

#[tokio::test]
async fn a_password_is_judged_while_it_is_typed_and_nothing_is_kept() {
    let test = TestApp::new().await;
    let mut somebody = test.anonymous();
    for (password, score, says) in [
        ("short", "1", "at least 15 characters"),
        ("ada ada ada ada 1", "1", "Not yet"),
        ("Der Wal schläft", "2", "Fair"),
        ("Der Wal schläft bis sieben", "3", "Good"),
        ("Der Wal schläft bis sieben Uhr früh", "4", "Strong"),
    ] {
        let part = somebody.post_part("/password-strength", &[("name", "ada"), ("password", password)]).await;
        assert_eq!(part.status, 200);
        assert_eq!(part.attribute("meter", "value").as_deref(), Some(score), "{password}");
        assert!(part.text("p").contains(says), "{}", part.body);
        assert!(!part.body.contains(password), "it does not come back");
    }
    let nothing = somebody.post_part("/password-strength", &[("password", "")]).await;
    assert_eq!(nothing.body.trim(), "");
    assert_eq!(test.app.auth.hasher.hashed(), 3, "the three accounts' own, no more");
}

/// Leaves a database as a version before people had habits did.
const UNDO: [&str; 5] = [
    "ALTER TABLE users DROP COLUMN clock",
    "ALTER TABLE users DROP COLUMN week_start",
    "ALTER TABLE users DROP COLUMN keys",
    "DROP TABLE user_links",
    "DELETE FROM _sqlx_migrations WHERE version = 10",
];

async fn what_was_stored_before_people_had_habits_has_the_usual_ones(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    for sql in UNDO {
        match &test.app.db {
            db::Db::Sqlite { writer, .. } => sqlx::query(sql).execute(writer).await.map(drop),
            db::Db::Pg(pool) => sqlx::query(sql).execute(pool).await.map(drop),
        }
        .expect(sql);
    }
    test.app.db.migrate().await.expect("it is brought up to date");
    let vera = test.user("vera").await;
    assert_eq!(vera.habits, Habits { clock: ClockFace::H24, week_start: WeekStart::Monday, keys: true });
    assert!(!vera.is_invited());
    test.anonymous().log_in("vera").await;
}
