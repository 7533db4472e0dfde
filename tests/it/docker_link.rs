//! The link to an Engine that misbehaves, on the simulated one.

use std::collections::BTreeSet;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::docker::{DockerError, Notice, client};
use docknap::domain::inventory::{ContainerState, Inventory, Link};
use docknap::domain::target::ContainerIdentity;
use docknap::sim::{DaemonEnd, Endpoint, Engine, Fault, World};

use crate::support::sim::Simulated;
use crate::support::watched::{Watched, eventually};

fn frozen() -> Clock {
    Clock::frozen("2026-03-02T22:59:00Z".parse().expect("an instant"))
}

async fn started(world: World) -> (Simulated, Watched) {
    let sim = Simulated::start(frozen(), world).await;
    let watched = Watched::new(&sim.control.docker_host(), sim.clock.clone());
    watched.connected().await;
    eventually("the event stream is open", || sim.control.streams() == 1).await;
    (sim, watched)
}

fn state(inventory: &Inventory, name: &str) -> Option<ContainerState> {
    inventory.by_name(name).map(|container| container.state)
}

#[tokio::test]
async fn a_socket_that_is_missing_at_the_start_may_appear() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("docker.sock");
    let clock = frozen();
    let watched = Watched::new(&format!("unix://{}", socket.display()), clock.clone());
    let reason = watched.unreachable().await;
    assert!(reason.contains("there is no socket at") && reason.contains("mounted"), "{reason}");
    let since = |inventory: &Inventory| match &inventory.link {
        Link::Unreachable { since, .. } => Some(*since),
        _ => None,
    };
    let lost = since(&watched.host.inventory());
    assert_eq!(lost, Some(clock.now()));
    let _engine =
        Engine::start(&socket, clock.clone(), World::new().many(1, 2)).await.expect("the Engine starts");
    // Without help, a second or so later.
    eventually("it waits", || clock.next_sleeper().is_some()).await;
    clock.advance(clock.next_sleeper().expect("it waits"));
    assert_eq!(watched.connected().await.containers.len(), 2);
}

#[tokio::test]
async fn the_back_off_doubles_to_a_minute_and_can_be_cut_short() {
    let clock = frozen();
    let watched = Watched::new("unix:///nowhere/docker.sock", clock.clone());
    watched.unreachable().await;
    for nominal in [1, 2, 4, 8, 16, 32, 60, 60] {
        eventually("it waits", || clock.next_sleeper().is_some()).await;
        let wait = clock.next_sleeper().expect("it waits");
        let nominal = Duration::from_secs(nominal);
        assert!(wait >= nominal * 4 / 5 && wait <= nominal * 6 / 5, "{wait:?} for {nominal:?}");
        let tried = watched.host.calls_made();
        clock.advance(wait);
        eventually("it tries again", || watched.host.calls_made() > tried).await;
    }
    let tried = watched.host.calls_made();
    watched.host.hurry();
    eventually("it tries at once", || watched.host.calls_made() > tried).await;
}

#[tokio::test]
async fn a_cut_event_stream_is_mended_unseen_and_nothing_is_missed() {
    let (sim, watched) = started(World::new().many(1, 2)).await;
    sim.clock.advance(Duration::from_secs(20));
    let mut notices = watched.host.notices();
    sim.control.break_streams();
    sim.control.stop("stack-0001-svc-01-1").expect("it stops");
    watched
        .until("the stop is seen", |inventory| {
            state(inventory, "stack-0001-svc-01-1") == Some(ContainerState::Exited)
        })
        .await;
    assert!(watched.host.inventory().is_connected());
    let mut links = 0;
    while let Ok(notice) = notices.try_recv() {
        links += u32::from(notice == Notice::Link);
    }
    assert!(links <= 1, "one note of the new connection at most");
    eventually("a stream is open again", || sim.control.streams() == 1).await;
    assert_eq!(watched.host.reconnects(), 1, "it is counted all the same");
}

#[tokio::test]
async fn a_daemon_restart_is_survived() {
    for end in [DaemonEnd::Graceful, DaemonEnd::Crash] {
        let (sim, watched) = started(World::new().many(2, 2)).await;
        sim.control.daemon_down(end);
        assert!(watched.unreachable().await.contains("was lost"), "at first");
        let word = match end {
            DaemonEnd::Graceful => "there is no socket",
            DaemonEnd::Crash => "Docker is not running",
        };
        let says = |inventory: &Inventory| match &inventory.link {
            Link::Unreachable { reason, .. } => reason.contains(word),
            _ => false,
        };
        watched.hurrying_until(word, says).await;
        assert_eq!(watched.host.inventory().containers.len(), 4, "as last seen");
        let id = watched.host.inventory().containers[0].id.clone();
        let error = watched.host.start(&id).await.expect_err("the daemon is away");
        assert!(error.is_retryable(), "{error:?}");
        sim.control.daemon_up().expect("the daemon comes back");
        watched.hurrying_until("connected", Inventory::is_connected).await;
        for one in sim.control.containers() {
            let known = state(&watched.host.inventory(), &one.name);
            assert_eq!(known.map(ContainerState::as_str), Some(one.state.as_str()), "{}", one.name);
        }
    }
}

#[tokio::test]
async fn five_thousand_containers_cost_one_list_at_each_resync() {
    let (sim, watched) = started(World::new().many(1_000, 5)).await;
    assert_eq!(watched.host.inventory().stacks().len(), 1_000);
    assert_eq!(sim.control.count(Endpoint::List), 1);
    assert_eq!(sim.control.count(Endpoint::Inspect), 5_000, "once each");
    for round in 2..=4 {
        sim.clock.advance(Duration::from_secs(300));
        eventually("the list is repeated", || sim.control.count(Endpoint::List) == round).await;
        eventually("and worked off", || watched.host.inventory().seen_at == Some(sim.clock.now())).await;
    }
    assert_eq!(sim.control.count(Endpoint::Inspect), 5_000, "nothing differed");
    sim.control.stop("stack-0500-svc-01-1").expect("it stops");
    watched
        .until("the stop is seen", |inventory| {
            state(inventory, "stack-0500-svc-01-1") == Some(ContainerState::Exited)
        })
        .await;
    let inspects = sim.control.count(Endpoint::Inspect);
    assert!(inspects <= 5_004, "{inspects} for the events of one container");
}

#[tokio::test]
async fn idle_costs_one_list_in_five_minutes_and_one_a_minute_while_somebody_looks() {
    let (sim, watched) = started(World::new().many(3, 3)).await;
    sim.control.clear_calls();
    sim.clock.advance(Duration::from_secs(299));
    sim.clock.advance(Duration::from_secs(1));
    eventually("listed", || sim.control.count(Endpoint::List) == 1).await;
    eventually("worked off", || watched.host.inventory().seen_at == Some(sim.clock.now())).await;
    assert_eq!(sim.control.counts().into_iter().collect::<Vec<_>>(), [(Endpoint::List, 1)]);
    sim.clock.advance(Duration::from_secs(61));
    watched.host.look();
    eventually("a look finds the list old", || sim.control.count(Endpoint::List) == 2).await;
    eventually("worked off", || watched.host.inventory().seen_at == Some(sim.clock.now())).await;
    watched.host.look();
    sim.clock.advance(Duration::from_secs(60));
    eventually("and a minute later again", || sim.control.count(Endpoint::List) == 3).await;
}

#[tokio::test]
async fn what_no_event_told_the_list_does() {
    let (sim, watched) = started(World::new().many(1, 1)).await;
    sim.control.add(World::new().container("quiet", |c| c));
    sim.clock.advance(Duration::from_secs(300));
    watched.until("it is found", |inventory| inventory.by_name("quiet").is_some()).await;
}

/// An Engine keeps 256 events: of a removal that so many came after, none tells.
#[tokio::test]
async fn a_removal_that_no_event_told_the_list_tells() {
    let (sim, watched) = started(World::new().many(1, 2)).await;
    sim.clock.advance(Duration::from_secs(20));
    sim.control.fault(Fault::status(503, "not yet").on(Endpoint::Events));
    sim.control.break_streams();
    watched.hurrying_until("the link is down", |inventory| !inventory.is_connected()).await;
    sim.control.remove("stack-0001-svc-01-1");
    for _ in 0..150 {
        sim.control.pause("stack-0001-svc-02-1").expect("it runs");
        sim.control.unpause("stack-0001-svc-02-1").expect("it is paused");
    }
    assert!(sim.control.events().iter().all(|event| !event.contains("svc-01")), "nothing tells of it");
    sim.control.clear_faults();
    watched.hurrying_until("only the other one is left", |inventory| inventory.containers.len() == 1).await;
}

#[tokio::test]
async fn a_re_creation_is_followed() {
    let (sim, watched) = started(World::new().many(1, 1)).await;
    let name = "stack-0001-svc-01-1";
    let before = watched.host.inventory().by_name(name).expect("it is there").clone();
    let new = sim.control.recreate_begin(name);
    watched.until("two of them", |inventory| inventory.containers.len() == 2).await;
    let inventory = watched.host.inventory();
    assert_eq!(inventory.stack("stack-0001").map(|stack| stack.counts.total), Some(1));
    assert_eq!(inventory.by_identity(&before.identity).map(|one| one.name.as_str()), Some(name));
    sim.control.recreate_finish(name);
    watched
        .until("the new one runs", |inventory| {
            inventory.containers.len() == 1
                && inventory.by_identity(&before.identity).is_some_and(|one| {
                    one.id == new && one.name == name && one.state == ContainerState::Running
                })
        })
        .await;
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_the_call() {
    let (sim, watched) = started(World::new().many(1, 1)).await;
    let id = watched.host.inventory().containers[0].id.clone();
    sim.control.fault(Fault::proxy_forbids().on(Endpoint::Stop).times(1));
    let error = watched.host.stop(&id, None, 10).await.expect_err("the proxy refuses");
    assert_eq!(error, DockerError::ProxyRefused { call: format!("POST /containers/{id}/stop") });
    assert!(!error.is_retryable());
    sim.control.fault(Fault::proxy_forbids().on(Endpoint::Unpause));
    let checks = watched.host.check().await;
    let refused: Vec<_> =
        checks.iter().filter(|(_, outcome)| outcome.is_err()).map(|(call, _)| *call).collect();
    assert_eq!(refused, ["POST /containers/ID/unpause"]);
}

#[tokio::test]
async fn a_proxy_that_refuses_the_events_is_told_what_is_needed() {
    let sim = Simulated::start(frozen(), World::new().many(1, 1)).await;
    sim.control.fault(Fault::proxy_forbids().on(Endpoint::Events));
    let watched = Watched::new(&sim.control.docker_host(), sim.clock.clone());
    let reason = watched.unreachable().await;
    assert!(reason.contains("GET /events") && reason.contains("POST /containers/ID/stop"), "{reason}");
}

#[tokio::test]
async fn no_common_version_is_said_in_words() {
    let sim = Simulated::start(frozen(), World::new()).await;
    sim.control.api_range("1.90", "1.99");
    let watched = Watched::new(&sim.control.docker_host(), sim.clock.clone());
    let reason = watched.unreachable().await;
    assert!(reason.contains("1.90") && reason.contains("update DockNap"), "{reason}");
    sim.control.api_range("1.44", "1.52");
    watched.hurrying_until("connected", Inventory::is_connected).await;
    let link = watched.host.inventory().link;
    assert!(matches!(&link, Link::Connected { api_version, .. } if api_version == "1.52"), "{link:?}");
}

#[tokio::test]
async fn only_the_listed_calls_are_made_each_under_the_negotiated_version() {
    let (sim, watched) = started(World::new().many(1, 2)).await;
    let host = &watched.host;
    let id = host.inventory().containers[0].id.clone();
    let identity = host.inventory().containers[0].identity.clone();
    host.resolve(&identity).await.expect("an answer").expect("it is there");
    host.resolve(&ContainerIdentity::Name("nobody".to_owned())).await.expect("an answer");
    assert_eq!(host.pause(&id).await, Ok(()));
    assert_eq!(host.unpause(&id).await, Ok(()));
    host.last_lines(&id).await.expect("its lines");
    let usage = host.usage(&id).await.expect("an answer");
    assert_eq!(usage.cpu.and_then(|cpu| cpu.percent()), Some(1));
    assert_eq!(host.glance(&id).await.map(|usage| usage.memory), Ok(usage.memory));
    host.check().await;
    let allowed: BTreeSet<&str> = client::CALLS.into_iter().collect();
    let mut made = BTreeSet::new();
    for call in sim.control.calls() {
        let path = call.path.split('?').next().unwrap_or_default();
        let plain = path.strip_prefix("/v1.41").unwrap_or(path);
        let negotiates = matches!(plain, "/_ping" | "/version");
        assert_eq!(plain == path, negotiates, "{path}");
        let parts: Vec<&str> = plain.split('/').collect();
        let shape = match parts.as_slice() {
            ["", "containers", _, verb] => format!("{} /containers/ID/{verb}", call.method),
            _ => format!("{} {plain}", call.method),
        };
        assert!(allowed.contains(shape.as_str()), "{shape}");
        made.insert(shape);
    }
    assert_eq!(made.len(), allowed.len(), "all of them were tried: {made:?}");
}

#[tokio::test]
async fn a_call_that_hangs_ends_at_its_limit() {
    let (sim, watched) = started(World::new().many(1, 1)).await;
    let id = watched.host.inventory().containers[0].id.clone();
    sim.control.fault(Fault::hang_after_headers().on(Endpoint::Inspect).times(1));
    let host = watched.host.clone();
    let look = tokio::spawn({
        let (host, id) = (host.clone(), id.clone());
        async move { host.inspect(&id).await }
    });
    eventually("it hangs", || sim.clock.next_sleeper() == Some(Duration::from_secs(10))).await;
    sim.clock.advance(Duration::from_secs(10));
    assert_eq!(look.await.expect("it ends"), Err(DockerError::TimedOut));
    eventually("the link was looked at", || sim.control.count(Endpoint::List) == 2).await;
    sim.control.fault(Fault::hang().on(Endpoint::Stop).times(1));
    let stop = tokio::spawn({
        let (host, id) = (host.clone(), id.clone());
        async move { host.stop(&id, Some(20), 10).await }
    });
    eventually("it hangs", || sim.clock.next_sleeper() == Some(Duration::from_secs(50))).await;
    assert_eq!(host.calls_in_flight(), 1);
    sim.clock.advance(Duration::from_secs(50));
    assert_eq!(stop.await.expect("it ends"), Err(DockerError::TimedOut));
    assert_eq!(host.calls_in_flight(), 0);
}

#[tokio::test]
async fn a_container_that_cannot_be_inspected_holds_up_nothing_for_long() {
    let sim = Simulated::start(frozen(), World::new().many(1, 3)).await;
    sim.control.fault(Fault::hang().on(Endpoint::Inspect).container("stack-0001-svc-02-1").times(1));
    let watched = Watched::new(&sim.control.docker_host(), sim.clock.clone());
    eventually("only one is left", || {
        sim.control.count(Endpoint::Inspect) == 3 && sim.clock.next_sleeper() == Some(Duration::from_secs(10))
    })
    .await;
    sim.clock.advance(Duration::from_secs(10));
    let seen = watched.connected().await;
    assert_eq!(seen.containers.len(), 3, "known by its row");
    assert_eq!(state(&seen, "stack-0001-svc-02-1"), Some(ContainerState::Running));
    sim.clock.advance(Duration::from_secs(300));
    watched
        .until("it is inspected after all", |inventory| {
            inventory.by_name("stack-0001-svc-02-1").is_some_and(|one| one.started_at.is_some())
        })
        .await;
}

#[tokio::test]
async fn a_stop_that_lost_its_answer_is_retryable_and_was_done() {
    let (sim, watched) = started(World::new().many(1, 1)).await;
    let id = watched.host.inventory().containers[0].id.clone();
    sim.control.fault(Fault::drop_after_commit().on(Endpoint::Stop).times(1));
    let error = watched.host.stop(&id, None, 10).await.expect_err("the answer is lost");
    assert!(error.is_retryable(), "{error:?}");
    let seen = watched.host.inspect(&id).await.expect("an answer").expect("it is there");
    assert_eq!(seen.state, ContainerState::Exited);
    assert_eq!(watched.host.stop(&id, None, 10).await, Ok(()));
}

#[tokio::test]
async fn an_event_that_is_too_long_is_passed_over_and_the_list_shows_what_it_told() {
    let story = "x".repeat(2 * 1024 * 1024);
    let world = World::new().stack("media", |stack| {
        stack.service("films", |films| films.label("story", &story)).service("music", |music| music)
    });
    let (sim, watched) = started(world).await;
    let connected = sim.control.count(Endpoint::Events);
    sim.control.stop("media-films-1").expect("it stops");
    sim.control.stop("media-music-1").expect("it stops");
    let seen = watched
        .until("the short event came", |seen| state(seen, "media-music-1") == Some(ContainerState::Exited))
        .await;
    assert_eq!(state(&seen, "media-films-1"), Some(ContainerState::Running), "the long one was passed over");
    assert_eq!(sim.control.count(Endpoint::Events), connected, "the link held");
    sim.clock.advance(Duration::from_secs(600));
    watched
        .until("the list showed it", |seen| state(seen, "media-films-1") == Some(ContainerState::Exited))
        .await;
}
