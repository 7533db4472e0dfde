//! The knobs of the simulated Engine, which the real one lacks.

use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::{EventsOptionsBuilder, ListContainersOptionsBuilder, StopContainerOptions};
use docknap::clock::Clock;
use docknap::sim::{DaemonEnd, Endpoint, Fault, World};
use futures_util::StreamExt;
use jiff::Timestamp;

use crate::support::engine::call;
use crate::support::sim::Simulated;

fn two_services() -> World {
    World::new().stack("billing-stack", |s| {
        s.service("db", |c| c.healthy_after(Duration::from_secs(5)).stops_after(Duration::from_secs(15), 0))
            .service("web", |c| c.depends_on("db:service_healthy:true"))
    })
}

fn frozen() -> Clock {
    Clock::frozen("2026-03-02T22:59:00Z".parse().expect("an instant"))
}

fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

#[tokio::test]
async fn bollard_reads_what_it_shows() {
    let sim = Simulated::start(frozen(), docknap::sim::demo::world()).await;
    let docker = sim.client().negotiate_version().await.expect("negotiation");
    assert_eq!(docker.client_version().to_string(), "1.41");
    let all = ListContainersOptionsBuilder::new().all(true).build();
    let list = docker.list_containers(Some(all)).await.expect("a list");
    assert_eq!(list.len(), sim.control.containers().len());
    for one in &list {
        let inspect =
            docker.inspect_container(one.id.as_deref().expect("an id"), None).await.expect("inspect");
        assert_eq!(inspect.id, one.id);
    }
    assert_eq!(sim.control.count(Endpoint::Inspect), list.len() as u64);
    docker.info().await.expect("info");
    docker.version().await.expect("version");
    docker.ping().await.expect("ping");
}

#[tokio::test]
async fn a_stop_on_a_frozen_clock_ends_when_time_moves() {
    let sim = Simulated::start(frozen(), two_services()).await;
    let docker = sim.client();
    let stop = tokio::spawn(async move {
        let options = StopContainerOptions { t: Some(30), ..Default::default() };
        docker.stop_container("billing-stack-db-1", Some(options)).await
    });
    while sim.clock.next_sleeper() != Some(Duration::from_secs(15)) {
        tokio::task::yield_now().await;
    }
    assert_eq!(sim.control.state("billing-stack-db-1"), "running");
    sim.clock.advance(Duration::from_secs(15));
    stop.await.expect("the task ends").expect("the stop is answered");
    let seen = sim.control.container("billing-stack-db-1").expect("it is there");
    assert_eq!((seen.state.as_str(), seen.exit_code), ("exited", 0));
    assert_eq!(seen.finished, Some(sim.clock.now()));
    let expected: Timestamp = "2026-03-02T22:59:15Z".parse().expect("an instant");
    assert_eq!(sim.clock.now(), expected);
}

#[tokio::test]
async fn faults_are_narrowed_and_counted_down() {
    let sim = Simulated::start(frozen(), two_services()).await;
    let docker = sim.client();
    let stop = |name: &'static str| {
        let docker = docker.clone();
        async move { docker.stop_container(name, None).await }
    };
    sim.control.fault(Fault::proxy_forbids().on(Endpoint::Stop).container("billing-stack-web-1").times(1));
    sim.control.fault(Fault::status(500, "broken").on(Endpoint::Start).times(2));
    let refused = stop("billing-stack-web-1").await.expect_err("the proxy refuses");
    assert_eq!(status(&refused), Some(403));
    assert!(refused.to_string().contains("<html>"), "{refused}");
    stop("billing-stack-web-1").await.expect("once only");
    for _ in 0..2 {
        let broken = docker.start_container("billing-stack-web-1", None).await.expect_err("broken twice");
        assert_eq!(status(&broken), Some(500));
    }
    docker.start_container("billing-stack-web-1", None).await.expect("not a third time");
    assert_eq!(
        sim.control.acts().iter().map(|(endpoint, _, _)| *endpoint).collect::<Vec<_>>(),
        [Endpoint::Stop, Endpoint::Stop, Endpoint::Start, Endpoint::Start, Endpoint::Start]
    );
}

#[tokio::test]
async fn a_dropped_answer_leaves_the_work_done() {
    let sim = Simulated::start(frozen(), two_services()).await;
    let docker = sim.client();
    sim.control.fault(Fault::drop_after_commit().on(Endpoint::Stop).times(1));
    let lost = docker.stop_container("billing-stack-web-1", None).await.expect_err("no answer");
    assert_eq!(status(&lost), None, "{lost}");
    assert_eq!(sim.control.state("billing-stack-web-1"), "exited");
    sim.control.fault(Fault::drop_before().on(Endpoint::Start).times(1));
    docker.start_container("billing-stack-web-1", None).await.expect_err("no answer either");
    assert_eq!(sim.control.state("billing-stack-web-1"), "exited");
    docker.start_container("billing-stack-web-1", None).await.expect("and then it works");
}

#[tokio::test]
async fn calls_hang_before_and_after_the_headers() {
    let sim = Simulated::start(frozen(), two_services()).await;
    for (fault, done) in [(Fault::hang(), false), (Fault::hang_after_headers(), true)] {
        sim.control.fault(fault.on(Endpoint::Pause).times(1));
        let docker = sim.client();
        let call = tokio::spawn(async move { docker.pause_container("billing-stack-web-1").await });
        while sim.control.count(Endpoint::Pause) == 0 {
            tokio::task::yield_now().await;
        }
        if done {
            while sim.control.state("billing-stack-web-1") != "paused" {
                tokio::task::yield_now().await;
            }
        } else {
            assert_eq!(sim.control.state("billing-stack-web-1"), "running");
            assert!(!call.is_finished());
        }
        call.abort();
        sim.control.clear_calls();
    }
    // A list has a body to wait for.
    sim.control.fault(Fault::hang_after_headers().on(Endpoint::List).times(1));
    let docker = sim.client();
    let call = tokio::spawn(async move { docker.list_containers(None).await });
    while sim.control.count(Endpoint::List) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished());
    call.abort();
}

#[tokio::test]
async fn a_daemon_that_goes_breaks_streams_and_forgets_events() {
    for end in [DaemonEnd::Graceful, DaemonEnd::Crash] {
        let sim = Simulated::start(frozen(), two_services()).await;
        let docker = sim.client();
        let mut events = docker.events(None);
        let first = tokio::spawn(async move {
            let first = events.next().await;
            (first, events)
        });
        while sim.control.streams() == 0 {
            tokio::task::yield_now().await;
        }
        sim.control.pause("billing-stack-web-1").expect("it runs");
        let (first, mut events) = first.await.expect("the task ends");
        let first = first.expect("an event").expect("that can be read");
        assert_eq!(first.action.as_deref(), Some("pause"));
        assert_eq!(
            first.actor.and_then(|actor| actor.attributes).and_then(|mut all| all.remove("name")).as_deref(),
            Some("billing-stack-web-1")
        );
        sim.control.daemon_down(end);
        while let Some(Ok(event)) = events.next().await {
            assert_ne!(event.action.as_deref(), Some("pause"));
        }
        assert_eq!(sim.control.socket().exists(), end == DaemonEnd::Crash);
        docker.ping().await.expect_err("nobody listens");
        sim.control.daemon_up().expect("it comes back");
        let since = EventsOptionsBuilder::new().since("0").until("1").build();
        docker.ping().await.expect("it answers again");
        assert!(docker.events(Some(since)).next().await.is_none());
        assert!(!sim.control.events().iter().any(|event| event.starts_with("pause")));
        assert_eq!(sim.control.state("billing-stack-web-1"), "exited", "no policy revives it");
    }
}

#[tokio::test]
async fn compose_shows_two_containers_of_one_triple_for_a_moment() {
    let sim = Simulated::start(frozen(), two_services()).await;
    let old = sim.control.container("billing-stack-web-1").expect("it is there").id;
    let id = sim.control.recreate_begin("billing-stack-web-1");
    let double = sim.control.container(&id).expect("it is there");
    assert_eq!(double.name, format!("{}_billing-stack-web-1", &old[..12]));
    assert_eq!(double.labels, sim.control.container(&old).expect("both are there").labels);
    sim.control.recreate_finish("billing-stack-web-1");
    let new = sim.control.container("billing-stack-web-1").expect("it is there");
    assert_eq!((new.id, new.state.as_str()), (id, "running"));
    assert!(sim.control.container(&old).is_none());
}

#[tokio::test]
async fn the_api_range_can_be_moved() {
    let sim = Simulated::start(frozen(), two_services()).await;
    sim.control.api_range("1.44", "1.48");
    let docker = sim.client().negotiate_version().await.expect("negotiation");
    assert_eq!(docker.client_version().to_string(), "1.48");
    docker.list_containers(None).await.expect("spoken");
    for (min, max) in [("1.49", "1.52"), ("1.12", "1.47")] {
        sim.control.api_range(min, max);
        // Asked without bollard, which leaves the version out of its paths.
        let answer = call(sim.control.socket(), "GET", "/v1.48/containers/json").await;
        assert_eq!(answer.status, 400);
        assert!(answer.message().starts_with("client version 1.48 is too "), "{}", answer.body);
    }
}

#[tokio::test]
async fn its_date_is_that_of_its_clock() {
    let sim = Simulated::start(frozen(), World::new()).await;
    let answer = call(sim.control.socket(), "GET", "/_ping").await;
    assert!(answer.head.contains("date: mon, 02 mar 2026 22:59:00 gmt"), "{}", answer.head);
}

#[tokio::test]
async fn five_thousand_containers_are_listed() {
    let sim = Simulated::start(frozen(), World::new().many(1000, 5)).await;
    let list = sim.client().list_containers(None).await.expect("a list");
    assert_eq!(list.len(), 5000);
}
