//! Limits meet what failed: whoever proves something, by a browser that is known, a session, a token or a link, is not
//! held back by strangers who fail beside them.

use std::time::Duration;

use docknap::app::auth::{self, devices};
use docknap::app::users;
use docknap::app::{Actor, Error, user_links};
use docknap::domain::permission::Role;
use secrecy::{ExposeSecret, SecretString};

use crate::on_both_engines;
use crate::support::app::{Client, PASSWORD, TestApp};
use crate::support::db::TestDb;

on_both_engines!(
    a_known_browser_is_let_in_while_strangers_guess,
    a_browser_is_known_until_the_password_changes_or_it_is_forgotten,
    a_browser_is_known_for_five_accounts_at_most
);

async fn try_login(client: &mut Client, name: &str, password: &str) -> (u16, String) {
    let answer = client.post("/login", &[("name", name), ("password", password)]).await;
    (answer.status, answer.header("retry-after").to_owned())
}

/// Strangers at the same address have failed until neither the name nor the address lets anybody in.
async fn strangers_guess(test: &TestApp, name: &str) {
    let mut stranger = test.anonymous();
    for _ in 0..5 {
        try_login(&mut stranger, name, "wrong").await;
    }
    for number in 0..60 {
        try_login(&mut stranger, &format!("nobody{number}"), "wrong").await;
    }
}

async fn a_known_browser_is_let_in_while_strangers_guess(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let mut browser = test.viewer().await;
    browser.post("/logout", &[]).await;
    strangers_guess(&test, "vera").await;
    assert_eq!(try_login(&mut test.anonymous(), "vera", PASSWORD).await.0, 429, "a stranger waits");
    assert_eq!(try_login(&mut browser, "vera", PASSWORD).await.0, 303, "it was here before");
    // For whom it is not known it is a stranger's, also with a cookie that says something.
    assert_eq!(try_login(&mut browser, "otto", PASSWORD).await.0, 429);

    // Its own failures count for it alone, and cost it the same waits.
    browser.post("/logout", &[]).await;
    for _ in 0..5 {
        assert_eq!(try_login(&mut browser, "vera", "wrong").await.0, 401);
    }
    assert_eq!(try_login(&mut browser, "vera", PASSWORD).await, (429, "1".to_owned()));
    test.clock.advance(Duration::from_secs(1));
    assert_eq!(try_login(&mut browser, "vera", PASSWORD).await.0, 303);
    assert_eq!(try_login(&mut test.anonymous().at("198.51.100.9"), "vera", PASSWORD).await.0, 303);
}

async fn a_browser_is_known_until_the_password_changes_or_it_is_forgotten(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let vera = test.user("vera").await;
    let known = async |browser: &mut Client| {
        // A name that failed from an address of its own tells a known browser from a stranger's.
        for _ in 0..5 {
            try_login(&mut test.anonymous().at("198.51.100.1"), "vera", "wrong").await;
        }
        let status = try_login(browser, "vera", PASSWORD).await.0;
        test.clock.advance(Duration::from_secs(24 * 3600 + 60));
        assert!(matches!(status, 303 | 429), "{status}");
        status == 303
    };
    let mut browser = test.viewer().await;
    assert!(known(&mut browser).await);
    let cookie =
        browser.cookies().iter().find(|(name, _)| name.ends_with("_browser")).expect("a cookie").1.clone();
    assert_eq!(cookie.len(), 43, "one id, and nothing about whose it is");

    // Signed out everywhere, it is still known: it opens nothing.
    users::end_sessions(&test.app, &Actor::cli(), &vera.id, None).await.expect("ends");
    assert!(known(&mut browser).await);
    let changed = SecretString::from("another long sentence here");
    users::reset_password(&test.app, &Actor::cli(), &vera.id, &changed).await.expect("changes");
    users::reset_password(&test.app, &Actor::cli(), &vera.id, &SecretString::from(PASSWORD))
        .await
        .expect("changes");
    assert!(!known(&mut browser).await, "a new password forgets it");

    browser.log_in("vera").await;
    let profile = browser.get("/profile").await;
    assert!(profile.text("#browsers").contains("this one"), "{}", profile.text("#browsers"));
    let forget = profile.attribute("#browsers form", "action").expect("a button");
    assert_eq!(test.operator().await.post(&forget, &[]).await.status, 404, "nobody forgets another's");
    assert_eq!(browser.post(&forget, &[]).await.location(), "/profile");
    assert_eq!(browser.get("/profile").await.text("#browsers"), "", "the box is gone with the last of them");
    assert!(!known(&mut browser).await, "forgotten by its owner");

    browser.log_in("vera").await;
    test.clock.advance(devices::LIFETIME.saturating_sub(Duration::from_secs(24 * 3600 + 61)));
    assert!(known(&mut browser).await, "on the last of its 90 days");
    test.clock.advance(devices::LIFETIME);
    assert!(!known(&mut browser).await, "not used for 90 days");
}

async fn a_browser_is_known_for_five_accounts_at_most(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let mut shared = test.anonymous();
    for number in 0..6 {
        test.add_user(&format!("user{number}"), Role::Viewer).await;
        shared.log_in(&format!("user{number}")).await;
        shared.post("/logout", &[]).await;
    }
    let cookie =
        shared.cookies().iter().find(|(name, _)| name.ends_with("_browser")).expect("a cookie").1.clone();
    assert_eq!(cookie.split('.').count(), devices::PER_BROWSER);
    let devices_of = async |name: &str| {
        let actor = Actor::user(&test.user(name).await, None);
        devices::list(&test.app, &actor).await.expect("reads").len()
    };
    assert_eq!(devices_of("user0").await, 0, "the oldest is forgotten on both sides");
    for number in 1..6 {
        assert_eq!(devices_of(&format!("user{number}")).await, 1);
    }
}

#[tokio::test]
async fn whoever_is_logged_in_proves_it_again_whatever_strangers_do() {
    let test = TestApp::new().await;
    let mut here = test.viewer().await;
    strangers_guess(&test, "vera").await;
    let new = "another long sentence here";
    let form = |current| [("current", current), ("password", new)];
    // A stolen session that guesses is held back by the account's own count.
    for _ in 0..5 {
        assert_eq!(here.post("/profile/password", &form("wrong")).await.status, 422);
    }
    assert_eq!(here.post("/profile/password", &form(PASSWORD)).await.status, 429);
    test.clock.advance(Duration::from_secs(1));
    assert_eq!(here.post("/profile/password", &form(PASSWORD)).await.location(), "/profile");
    assert_eq!(here.get("/profile").await.status, 200, "its own session goes on");
    here.post("/logout", &[]).await;
    assert_eq!(try_login(&mut here, "vera", new).await.0, 303, "and its browser is known anew");
}

#[tokio::test]
async fn a_link_and_the_setup_token_are_good_in_a_flood_of_bad_ones() {
    let test = TestApp::new().await;
    let invited = user_links::invite(&test.app, &Actor::cli(), "ivy", "viewer").await.expect("invites");
    let mut browser = test.anonymous();
    let mut statuses = Vec::new();
    for number in 0..32 {
        let path = format!("/invite/{}", "A".repeat(30 + number % 13));
        statuses.push(browser.post(&path, &[("password", PASSWORD)]).await.status);
    }
    assert_eq!((statuses[0], statuses[31]), (404, 429));
    let path = format!("/invite/{}", invited.token.expose_secret());
    assert_eq!(browser.post(&path, &[("password", "a long sentence of ivy")]).await.status, 303);

    let empty = TestApp::empty(TestDb::sqlite().await, |_| {}).await;
    docknap::app::auth::setup::prepare(&empty.app).await.expect("a token is made");
    let mut browser = empty.anonymous();
    let file = empty.app.config.data_dir.join("setup-token");
    let mut last = 0;
    for _ in 0..31 {
        last = browser.post("/setup/token", &[("token", "wrong")]).await.status;
    }
    assert_eq!(last, 429);
    let token = std::fs::read_to_string(file).expect("it is there");
    assert_eq!(browser.post("/setup/token", &[("token", token.trim())]).await.status, 200);
}

#[tokio::test]
async fn a_proxy_that_is_not_named_is_told_with_the_line_to_set() {
    let test =
        TestApp::with(|config| config.trusted_proxies = vec!["10.0.0.0/8".parse().expect("a network")]).await;
    let mut admin = test.admin().await;
    assert_eq!(admin.get("/health").await.text("#forwarders"), "", "there is none");
    let mut named = test.anonymous().at("10.1.2.3").with_header("x-forwarded-for", "198.51.100.9");
    named.get("/login").await;
    assert_eq!(admin.get("/health").await.text("#forwarders"), "", "this one is named");
    for number in 0..20 {
        let mut proxy = test.anonymous().at("172.18.0.2");
        proxy = proxy.with_header("x-forwarded-for", &format!("198.51.100.{number}"));
        proxy.get("/login").await;
    }
    let page = admin.get("/health").await;
    let line = "DOCKNAP_TRUSTED_PROXIES=10.0.0.0/8,172.18.0.2";
    assert_eq!(page.text("#forwarders pre"), line);
    assert_eq!(page.body.matches(line).count(), 1, "once");
    assert_eq!(test.viewer().await.get("/health").await.text("#forwarders"), "", "for who can set it");
    // Anybody may send the header: what is kept of it is bounded.
    for number in 0..40 {
        let mut other = test.anonymous().at(&format!("203.0.113.{number}"));
        other = other.with_header("x-forwarded-for", "198.51.100.1");
        other.get("/login").await;
    }
    assert_eq!(test.web.forwarders.seen().len(), 8);
}

#[tokio::test]
async fn a_wrong_password_of_the_owner_is_no_login_failure() {
    let test = TestApp::new().await;
    let actor = test.actor(Role::Viewer).await;
    let [wrong, new] = ["wrong", "another long sentence here"].map(SecretString::from);
    for _ in 0..6 {
        let refused = users::change_password(&test.app, &actor, &wrong, &new, None).await;
        assert!(matches!(refused, Err(Error::Invalid(_) | Error::TooManyTries { .. })), "{refused:?}");
    }
    test.anonymous().log_in("vera").await;
}

/// No count of failures is by address then, and each name is another.
#[tokio::test]
async fn tries_from_nobody_knows_where_are_held_back_together() {
    let test = TestApp::new().await;
    let password = SecretString::from("wrong");
    let mut refused = 0;
    for number in 0..100 {
        let name = format!("nobody{number}");
        let answer = auth::login(&test.app, &name, &password, None, &devices::Presented::default()).await;
        match answer {
            Err(Error::TooManyTries { .. }) => refused += 1,
            Err(Error::WrongCredentials) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((1..=70).contains(&refused), "{refused} of 100");
}

#[tokio::test]
async fn a_flood_of_logins_is_held_back_before_anything_is_looked_up() {
    let test = TestApp::new().await;
    let mut browser = test.viewer().await;
    browser.post("/logout", &[]).await;
    let mut stranger = test.anonymous();
    let mut tries = 0;
    // Refused by the count of failures it is the form again; refused by the guard, an error page.
    while stranger
        .post("/login", &[("name", "nobody"), ("password", "x")])
        .await
        .body
        .contains("name=\"password\"")
    {
        tries += 1;
        assert!(tries < 600, "a flood is never held back");
    }
    assert!(tries >= 100, "{tries}");
    assert_eq!(
        try_login(&mut browser, "vera", PASSWORD).await.0,
        303,
        "strangers hold back no known browser"
    );
}
