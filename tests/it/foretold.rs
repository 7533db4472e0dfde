//! What is foretold is what is done: the next act of a stack, as the list, its page and the API tell it, against what
//! then happens.

use docknap::app::simulate::{self, Question};
use docknap::app::timeline;
use docknap::domain::permission::Role;
use docknap::domain::run::RunState;
use docknap::sim::World;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::support::app::{NOW, TestApp};
use crate::support::bench::{Bench, person};

async fn shop() -> TestApp {
    let world = World::new().stack("shop", |s| s.service("db", |c| c).service("web", |c| c));
    TestApp::over(Bench::new(NOW, world).await).await
}

async fn keep(test: &TestApp, fields: Value) {
    let mut body = json!({"target_type": "stack", "target_id": "shop", "timezone": "UTC"});
    for (name, value) in fields.as_object().expect("fields") {
        body[name] = value.clone();
    }
    let made = test.bearer(Role::Operator).await.post_json("/api/schedules", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    test.bench().settle().await;
}

/// What the API tells of `shop`: when and what.
async fn next(test: &TestApp) -> Option<(Timestamp, String)> {
    let stack = test.bearer(Role::Viewer).await.get("/api/stacks/local/shop").await.json();
    let text = |name: &str| stack["next"][name].as_str().map(str::to_owned);
    Some((text("at")?.parse().expect("an instant"), text("action")?))
}

/// Whether something was done then, rather than skipped.
async fn was_done(test: &TestApp, (at, action): &(Timestamp, String)) -> bool {
    let (from, until) = (at.checked_sub(1.second()), at.checked_add(20.minutes()));
    let runs =
        docknap::db::timeline::ended(&test.app.db, from.expect("a time"), until.expect("a time"), 100).await;
    let runs = runs.expect("it reads");
    runs.iter()
        .any(|run| run.state == RunState::Succeeded && run.action.as_str() == action && run.created_at >= *at)
}

#[tokio::test]
async fn seven_days_of_one_window_are_done_as_foretold() {
    let test = shop().await;
    keep(&test, json!({"kind": "window", "window": "sleep 23:00-07:00"})).await;
    seven_days(&test).await;
}

#[tokio::test]
async fn seven_days_of_schedules_that_meet_are_done_as_foretold() {
    let test = shop().await;
    keep(&test, json!({"kind": "window", "window": "sleep 23:00-07:00"})).await;
    keep(&test, json!({"action": "restart", "cron": "0 3 * * *"})).await;
    keep(&test, json!({"action": "restart", "cron": "30 12 * * *"})).await;
    keep(&test, json!({"action": "stop", "cron": "0 1 * * 6"})).await;
    seven_days(&test).await;
}

/// Asks what is next, lives until some minutes after it, and looks whether it was done.
async fn seven_days(test: &TestApp) {
    let end = test.bench().clock.now().checked_add((7 * 24).hours()).expect("a time");
    let mut looked = 0;
    while let Some(foretold) = next(test).await.filter(|(at, _)| *at < end) {
        test.bench().leap_to(foretold.0).await;
        test.bench().tick().await;
        test.bench().settle().await;
        assert!(was_done(test, &foretold).await, "{foretold:?} was foretold and not done");
        looked += 1;
    }
    assert!(looked >= 13, "{looked} were looked at");
}

#[tokio::test]
async fn no_wake_is_foretold_of_what_does_not_nap() {
    let test = shop().await;
    keep(&test, json!({"kind": "window", "window": "sleep 19:00-07:00", "from_next": true})).await;
    let (at, action) = next(&test).await.expect("something comes");
    assert_eq!((at.to_string().as_str(), action.as_str()), ("2026-11-28T19:00:00Z", "stop"));
    let page = test.operator().await.get("/").await.text("#now");
    assert!(!page.contains("Wake"), "{page}");
}

#[tokio::test]
async fn no_restart_is_foretold_of_what_naps_then() {
    let test = shop().await;
    keep(&test, json!({"kind": "window", "window": "sleep 19:00-07:00"})).await;
    keep(&test, json!({"action": "restart", "cron": "1 20 * * *"})).await;
    let (at, action) = next(&test).await.expect("something comes");
    assert_eq!((at.to_string().as_str(), action.as_str()), ("2026-11-28T07:00:00Z", "start"));
}

#[tokio::test]
async fn the_agenda_strikes_through_what_will_be_skipped() {
    let test = shop().await;
    keep(&test, json!({"kind": "window", "window": "sleep 19:00-07:00"})).await;
    keep(&test, json!({"action": "restart", "cron": "1 20 * * *"})).await;
    let until = test.bench().clock.now().checked_add(1.hour()).expect("a time");
    let question = Question { to: Some(until.to_string()), ..Question::default() };
    let told =
        simulate::simulate(&test.app, &person(), &question).await.expect("it is told").simulation.events;
    let [restart] = &told[..] else { panic!("{told:?}") };
    assert!(!restart.acts && !restart.reason.is_empty(), "{restart:?}");
}

#[tokio::test]
async fn the_feed_does_not_foretell_what_will_be_skipped() {
    let test = shop().await;
    keep(&test, json!({"kind": "window", "window": "sleep 19:00-07:00"})).await;
    test.bench().tick().await;
    test.bench().settle().await;
    keep(&test, json!({"action": "restart", "cron": "1 20 * * *"})).await;
    let feed = timeline::feed(&test.app, &person()).await.expect("it is told");
    let fire: Timestamp = "2026-11-27T20:01:00Z".parse().expect("an instant");
    test.bench().leap_to(fire).await;
    test.bench().tick().await;
    test.bench().settle().await;
    let until = fire.checked_add(1.hour()).expect("a time");
    let runs = docknap::db::timeline::ended(&test.app.db, fire, until, 100).await.expect("it reads");
    assert!(
        runs.iter().any(|run| run.action.as_str() == "restart" && run.state == RunState::Skipped),
        "{runs:?}"
    );
    let told = feed.split("BEGIN:VEVENT").find(|event| event.contains("DTSTART:20261127T200100Z\r\n"));
    let is_struck = told.is_none_or(|event| event.contains("STATUS:CANCELLED\r\n"));
    assert!(is_struck, "the feed foretold a restart that was skipped: {told:?}");
}
