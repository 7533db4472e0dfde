//! Addresses for calendar apps: made once, fetched without a login, ended in every way an account ends.

use docknap::app::auth::feeds;
use docknap::app::schedules::{self, Draft};
use docknap::app::users::{self, Edit};
use docknap::app::{Actor, Error};
use docknap::db;
use docknap::db::credentials::Event;
use docknap::domain::calendar::ics;
use docknap::domain::ids::{FeedId, UserId};
use docknap::domain::permission::Role;
use docknap::domain::schedule::Source;
use docknap::sim::World;

use crate::on_both_engines;
use crate::support::app::{Client, TestApp};
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;
use crate::support::rows;

const NOW: &str = "2026-11-27T12:00:00Z";

on_both_engines!(
    an_address_is_kept_until_it_is_ended,
    an_address_goes_with_its_account,
    an_address_lives_and_ends_over_the_whole_site,
);

async fn an_address_is_kept_until_it_is_ended(test: TestDb) {
    rows::store_user(&test.db, "u1").await;
    rows::store_user(&test.db, "u2").await;
    let (anna, otto) = (UserId::from("u1"), UserId::from("u2"));
    let at = rows::monday();
    let mut tx = test.db.begin().await.expect("begins");
    for (id, digest) in [("a", "d1"), ("b", "d2")] {
        db::feeds::insert(&mut tx, &FeedId::from(id), &anna, digest, at).await.expect("stores");
    }
    assert_eq!(db::feeds::count(&mut tx, &anna).await.expect("counts"), 2);
    assert_eq!(db::feeds::count(&mut tx, &otto).await.expect("counts"), 0);
    tx.commit().await.expect("commits");
    let owner = db::feeds::find_user(&test.db, "d2").await.expect("reads");
    assert_eq!(owner.map(|user| user.id), Some(anna.clone()));
    assert_eq!(db::feeds::find_user(&test.db, "d3").await.expect("reads"), None);
    // Being fetched is noted, but not again at once.
    let used = async |now: &str, unless: &str| {
        db::feeds::used(&test.db, "d1", rows::at(now), rows::at(unless)).await.expect("stores");
        let feeds = db::feeds::of_user(&test.db, &anna).await.expect("reads");
        feeds.iter().find(|feed| feed.id.as_str() == "a").expect("it is there").used
    };
    let first = rows::at("2026-11-23T13:00:00Z");
    assert_eq!(used("2026-11-23T13:00:00Z", "2026-11-23T12:50:00Z").await, Some(first));
    assert_eq!(used("2026-11-23T13:05:00Z", "2026-11-23T12:55:00Z").await, Some(first));
    assert_eq!(
        used("2026-11-23T13:10:00Z", "2026-11-23T13:00:00Z").await,
        Some(rows::at("2026-11-23T13:10:00Z"))
    );
    // Only its owner ends it.
    let mut tx = test.db.begin().await.expect("begins");
    assert!(!db::feeds::delete(&mut tx, &otto, &FeedId::from("a")).await.expect("answers"));
    assert!(db::feeds::delete(&mut tx, &anna, &FeedId::from("a")).await.expect("answers"));
    assert!(!db::feeds::delete(&mut tx, &anna, &FeedId::from("a")).await.expect("answers"));
    db::credentials::end(&mut tx, &anna, Event::Disable, None).await.expect("answers");
    tx.commit().await.expect("commits");
    assert_eq!(db::feeds::of_user(&test.db, &anna).await.expect("reads"), []);
}

async fn an_address_goes_with_its_account(test: TestDb) {
    rows::store_user(&test.db, "u1").await;
    let anna = UserId::from("u1");
    let mut tx = test.db.begin().await.expect("begins");
    db::feeds::insert(&mut tx, &FeedId::from("a"), &anna, "d1", rows::monday()).await.expect("stores");
    db::users::delete(&mut tx, &anna).await.expect("deletes");
    tx.commit().await.expect("commits");
    assert_eq!(db::feeds::find_user(&test.db, "d1").await.expect("reads"), None);
}

/// Makes an address on the profile and answers its path.
async fn make(client: &mut Client) -> String {
    client.get("/profile").await;
    let page = client.post("/profile/feeds", &[]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let address = page.attribute("#address", "value").expect("it is shown");
    let path = address.strip_prefix("http://nas.lan:8080").expect("all of it").to_owned();
    assert!(
        path.starts_with("/calendar/dnc_") && path.strip_suffix(".ics").is_some() && path.len() > 55,
        "{path}"
    );
    path
}

async fn an_address_lives_and_ends_over_the_whole_site(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let mut vera = test.viewer().await;
    let path = make(&mut vera).await;
    let mut app = test.program();
    let feed = app.get(&path).await;
    assert_eq!((feed.status, feed.header("content-type")), (200, "text/calendar; charset=utf-8"));
    assert!(feed.body.starts_with("BEGIN:VCALENDAR\r\n") && feed.body.ends_with("END:VCALENDAR\r\n"));
    // It opens nothing else, and it is nowhere in what is stored or shown.
    assert!(app.get("/timeline").await.location().starts_with("/login"));
    let token = path.trim_start_matches("/calendar/").trim_end_matches(".ics");
    assert_eq!(test.program().with_token(token).get("/api/me").await.status, 401);
    let profile = vera.get("/profile").await;
    assert!(
        !profile.body.contains(token) && profile.text("#feeds").contains("Last fetched"),
        "{}",
        profile.text("#feeds")
    );
    // Revoked, it is gone for good; both are in the audit log, without the secret.
    let revoke = profile.attribute("#feeds li form", "action").expect("a button");
    assert_eq!(vera.post(&revoke, &[]).await.location(), "/profile");
    assert_eq!(app.get(&path).await.status, 404);
    assert_eq!(vera.post(&revoke, &[]).await.status, 404, "there is nothing left to revoke");
    let log = test.audit().await;
    let events: Vec<_> =
        log.iter().filter(|row| row.0.contains("feed")).map(|row| (row.0.as_str(), row.2.as_str())).collect();
    assert_eq!(events, [("user.feed_create", "vera"), ("user.feed_revoke", "vera")]);
    assert!(!format!("{log:?}").contains(token));

    // Nobody ends another's.
    let path = make(&mut vera).await;
    let revoke = vera.get("/profile").await.attribute("#feeds li form", "action").expect("a button");
    assert_eq!(test.operator().await.post(&revoke, &[]).await.status, 404);
    assert_eq!(app.get(&path).await.status, 200);
    // A disabled account has none, also once it is enabled again.
    let user = test.user("vera").await;
    let ada = test.actor(Role::Admin).await;
    for disabled in [true, false] {
        let edit = Edit { role: "viewer".to_owned(), disabled, rev: None };
        users::update(&test.app, &ada, &user.id, &edit).await.expect("it is changed");
        assert_eq!(app.get(&path).await.status, 404, "disabled: {disabled}");
    }
    let mut vera = test.viewer().await;
    let path = make(&mut vera).await;
    users::delete(&test.app, &ada, &user.id).await.expect("it is deleted");
    assert_eq!(app.get(&path).await.status, 404);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_nothing_is_repeated() {
    let test = TestApp::new().await;
    let mut app = test.program();
    let mut statuses = Vec::new();
    for number in 0..32 {
        let answer = app.get(&format!("/calendar/dnc_{number:043}.ics")).await;
        assert!(!answer.body.contains(&format!("{number:043}")), "{}", answer.body);
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..30], [404; 30]);
    assert_eq!(statuses[30..], [429; 2], "as with tokens of the API");
    let mut vera = test.viewer().await;
    let path = make(&mut vera).await;
    assert_eq!(test.program().get(&path).await.status, 200, "a good address is not held back");
    assert_eq!(app.get("/calendar/dnc_x.ics").await.status, 429, "a bad one is");
}

#[tokio::test]
async fn an_account_has_ten_addresses_at_most() {
    let test = TestApp::new().await;
    let vera = test.actor(Role::Viewer).await;
    for _ in 0..feeds::PER_USER {
        feeds::create(&test.app, &vera).await.expect("it is made");
    }
    let refused = feeds::create(&test.app, &vera).await;
    assert!(matches!(refused, Err(Error::Conflict { code: "too_many_feeds", .. })), "{refused:?}");
    assert!(feeds::create(&test.app, &test.actor(Role::Operator).await).await.is_ok());
    assert!(feeds::create(&test.app, &Actor::cli()).await.is_err(), "it needs somebody to belong to");
}

#[tokio::test]
async fn the_feed_tells_sixty_days_and_is_read_back() {
    let world =
        World::new().stack("media", |s| s.service("web", |c| c)).stack("wi,ki", |s| s.service("app", |c| c));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let of = |text: &str| Some(text.to_owned());
    let window = Draft {
        name: of("Nights; all"),
        target_type: of("stack"),
        target_id: of("media"),
        kind: of("window"),
        window: of("sleep 23:00-07:00"),
        timezone: of("Europe/Berlin"),
        enabled: Some(true),
        ..Draft::default()
    };
    let fire = Draft {
        name: None,
        target_id: of("wi,ki"),
        kind: of("cron"),
        window: None,
        cron: of("0 12 1 * *"),
        action: of("restart"),
        ..window.clone()
    };
    let often = Draft { cron: of("*/10 * * * *"), action: of("restart"), ..fire.clone() };
    for draft in [window, fire, often] {
        schedules::create(&test.app, &person(), &draft, Source::Api).await.expect("it is saved");
    }
    let path = make(&mut test.operator().await).await;
    let mut app = test.program();
    let feed = app.get(&path).await;
    let text = &feed.body;
    assert_eq!(text.matches("SUMMARY:media asleep\r\n").count(), 61, "{text}");
    assert_eq!(
        text.matches("SUMMARY:Restart wi\\,ki\r\n").count(),
        2,
        "December and January, not every ten minutes"
    );
    // Berlin is an hour ahead in winter; no zone has to be explained.
    assert!(text.contains("DTSTART:20261127T220000Z\r\nDTEND:20261128T060000Z\r\n"), "{text}");
    assert!(text.contains("DTSTART:20261201T110000Z\r\n"), "{text}");
    assert!(
        text.contains("X-WR-CALNAME:DockNap\r\n")
            && text.contains("REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n")
    );
    assert!(text.split("\r\n").all(|line| line.len() <= 75 && !line.contains('\n')));
    let read = ics::read(text).expect("our own reader takes it");
    let days = read.days(("2026-11-01".parse().expect("a date"), "2027-03-01".parse().expect("a date"))).days;
    assert_eq!(days.keys().next().map(ToString::to_string).as_deref(), Some("2026-11-27"));
    assert!((60..=63).contains(&days.len()), "{} days", days.len());

    // Unchanged it is not sent again, also later on the day; changed it is.
    let etag = feed.header("etag").to_owned();
    assert!(etag.starts_with("W/\""), "{etag}");
    let mut again = test.program().with_header("if-none-match", &etag);
    test.bench().leap_to(rows::at("2026-11-27T12:05:00Z")).await;
    let answer = again.get(&path).await;
    assert_eq!((answer.status, answer.body.len()), (304, 0));
    let id = schedules::list(
        &test.app,
        &person(),
        &schedules::ScheduleFilter::default(),
        &docknap::app::paging::Page { limit: 10, cursor: None },
    )
    .await
    .expect("reads")
    .items
    .into_iter()
    .find(|view| view.schedule.is_window())
    .expect("the window")
    .schedule
    .id;
    schedules::skip_next(&test.app, &person(), &id).await.expect("it is skipped");
    let answer = again.get(&path).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.matches("SUMMARY:media asleep\r\n").count(), 60, "the skipped night is not there");
}
