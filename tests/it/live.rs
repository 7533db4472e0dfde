//! The stream of events that open pages listen to: what it says, when it ends, and what it costs.

use std::time::Duration;

use docknap::app::Live;
use docknap::domain::action::Action;
use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::domain::target;
use docknap::sim::World;

use crate::support::app::{Events, NOW, TestApp};
use crate::support::bench::Bench;

#[expect(clippy::unnecessary_wraps, reason = "compared with what may not have come")]
fn names(list: &[&str]) -> Option<Vec<String>> {
    Some(list.iter().map(|name| (*name).to_owned()).collect())
}

/// A stream that has said its first words.
async fn open(test: &TestApp, role: Role) -> Events {
    let mut events = test.browser(role).await.listen().await;
    assert_eq!(events.next().await, names(&["resync"]), "what happened before is not known");
    events
}

#[tokio::test]
async fn a_stream_says_by_name_what_changed_and_bursts_in_one() {
    let test = TestApp::new().await;
    let mut events = test.viewer().await.listen().await;
    assert_eq!(
        (events.status, &events.headers["content-type"]),
        (200, &"text/event-stream".parse().expect("a value"))
    );
    assert_eq!(events.headers["cache-control"], "no-store");
    assert_eq!(events.headers["x-accel-buffering"], "no");
    assert!(!events.headers.contains_key("content-encoding"));
    assert_eq!(events.next().await, names(&["resync"]));
    test.clock.advance(Duration::from_secs(1));

    test.app.bus.send(Live::Runs);
    assert_eq!(events.next().await, names(&["runs"]), "the first goes at once");
    for _ in 0..50 {
        test.app.bus.send(Live::Stack("0123456789abcdef".to_owned()));
        test.app.bus.send(Live::Runs);
    }
    assert_eq!(events.ready().await, None, "the others wait for a moment");
    test.clock.advance(Duration::from_millis(80));
    assert_eq!(events.next().await, names(&["runs", "stack-0123456789abcdef"]), "each once");
    assert_eq!(events.ready().await, None);

    for _ in 0..1000 {
        test.app.bus.send(Live::Overrides);
    }
    test.clock.advance(Duration::from_millis(80));
    assert_eq!(events.next().await, names(&["resync"]), "it could not keep up");
}

#[tokio::test]
async fn each_full_minute_is_told_and_a_silent_stream_shows_that_it_lives() {
    let test = TestApp::new().await;
    let mut events = open(&test, Role::Viewer).await;
    test.clock.advance(Duration::from_secs(30));
    assert_eq!(events.next().await, names(&[":"]));
    assert_eq!(events.ready().await, None);
    test.clock.advance(Duration::from_millis(29_999));
    assert_eq!(events.ready().await, None);
    test.clock.advance(Duration::from_millis(1));
    let (one, two) = (events.next().await, events.next().await);
    assert_eq!((one, two), (names(&[":"]), names(&["minute"])));
}

#[tokio::test]
async fn a_stream_ends_with_its_session_within_30_s() {
    let test = TestApp::new().await;
    let mut events = open(&test, Role::Operator).await;
    let mut admin = test.admin().await;
    let id = test.user("otto").await.id;
    let page = admin.get(&format!("/users/{id}")).await;
    let rev = page.attribute("input[name=rev]", "value").expect("a revision");
    let fields = [("role", "operator"), ("rev", &*rev), ("disabled", "on"), ("name", "otto")];
    admin.post(&format!("/users/{id}"), &fields).await;
    assert!(test.user("otto").await.disabled);
    test.clock.advance(Duration::from_secs(29));
    assert_eq!(events.ready().await, None);
    test.clock.advance(Duration::from_secs(1));
    assert_eq!(events.next().await, None);
    assert_eq!(test.web.streams.count(&id), 0, "nothing is left of it");
    let stranger = test.anonymous().listen().await;
    assert_eq!((stranger.status, stranger.headers["hx-redirect"].to_str().expect("text")), (401, "/login"));
}

#[tokio::test]
async fn the_oldest_of_an_account_makes_room_for_a_sixth() {
    let test = TestApp::new().await;
    let browser = test.viewer().await;
    let id = test.user("vera").await.id;
    let mut streams = Vec::new();
    for _ in 0..6 {
        let mut events = browser.listen().await;
        assert_eq!(events.next().await, names(&["resync"]));
        streams.push(events);
    }
    assert_eq!(test.web.streams.count(&id), 5);
    assert_eq!(streams[0].next().await, names(&["full"]));
    assert_eq!(streams[0].next().await, None);
    test.app.bus.send(Live::Runs);
    test.clock.advance(Duration::from_secs(1));
    for events in &mut streams[1..] {
        assert_eq!(events.next().await, names(&["runs"]));
    }
    let mut other = open(&test, Role::Admin).await;
    assert_eq!(other.ready().await, None, "others have their own");
    drop(streams);
    assert_eq!(test.web.streams.count(&id), 0);
}

#[tokio::test]
async fn streams_end_when_docknap_is_told_to_stop() {
    let test = TestApp::new().await;
    let mut events = open(&test, Role::Viewer).await;
    test.app.vitals.stop();
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_run_is_told_to_its_stack_and_a_new_stack_to_the_list() {
    let world = World::new().stack("media", |stack| stack.service("web", |c| c));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut events = open(&test, Role::Viewer).await;
    let stack = format!("stack-{}", target::key(&HostId::local(), "media"));
    test.bench().carry_out(Action::Stop, Bench::stack("media")).await;
    let mut heard = Vec::new();
    while !(heard.contains(&stack) && heard.contains(&"runs".to_owned())) {
        test.clock.advance(Duration::from_secs(1));
        heard.extend(events.next().await.expect("it goes on"));
    }
    assert!(!heard.contains(&"hosts".to_owned()), "none came or went: {heard:?}");
}

#[tokio::test]
async fn a_region_that_is_gone_goes_and_one_that_is_there_comes_alone() {
    let world = World::new().stack("media", |stack| stack.service("web", |c| c));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut vera = test.viewer().await;
    let key = target::key(&HostId::local(), "media");
    let row = vera.get_part(&format!("/stacks/{key}/tile")).await;
    assert!(row.body.trim_start().starts_with("<li class=\"tile\""), "{}", row.body);
    let gone = vera.get_part("/stacks/ffffffffffffffff/tile").await;
    assert_eq!((gone.status, gone.header("hx-reswap")), (200, "delete"));
    // The first page has two: its own tests ask for each.
    for (path, id) in [
        (&*format!("/stacks/{key}"), "live"),
        ("/runs", "runs"),
        ("/schedules", "schedules"),
        ("/overrides", "live"),
    ] {
        let part = vera.get_part(path).await;
        assert!(!part.body.contains("<html"), "{path}: {}", part.body);
        assert!(part.attribute(&format!("#{id}"), "hx-trigger").is_some(), "{path}: {}", part.body);
    }
}
