//! Sleep and wake of stacks on a real Engine: order and health, what was off on purpose, restarts of the daemon, what
//! people do by hand, shared networks, and pausing.

use docknap::clock::Clock;
use docknap::domain::window::Window;
use docknap::sim::DaemonEnd;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::support::site::{PATIENCE, Sample, Site};
use crate::support::wait;

const SHOP: Sample = Sample { project: "shop", file: "tests/samples/shop.yaml" };
const POLICIES: Sample = Sample { project: "policies", file: "tests/samples/policies.yaml" };
const TUNNEL: Sample = Sample { project: "tunnel", file: "tests/samples/tunnel.yaml" };

/// A sleep of two hours that begins between one and two hours from now, every day.
fn soon(site: &Site) -> String {
    sleep_until(site, 4)
}

/// A sleep that begins with [`soon`] and ends so many hours from now; as it is stored, which at its end calls
/// midnight 24:00.
fn sleep_until(site: &Site, end: i64) -> String {
    let hour = |ahead: i64| (site.clock.now() + ahead.hours()).strftime("%H:00").to_string();
    let window = Window::parse(&format!("sleep {}-{}", hour(2), hour(end))).expect("a window");
    window.to_string()
}

async fn until_state(site: &Site, container: &str, state: &str) {
    wait::until(&format!("{container} is {state}"), PATIENCE, async || site.state(container) == state).await;
    // And DockNap knows.
    wait::until("it is seen", PATIENCE, async || site.shown(container).await["state"] == state).await;
}

fn started_at(site: &Site, container: &str) -> String {
    site.docker(&["inspect", "--format", "{{.State.StartedAt}}", container])
}

/// What Docker tells of the containers since an instant of its own clock: starts, ends and healths, in order.
fn told(site: &Site, since: Timestamp) -> Vec<String> {
    let (since, until) = (since.to_string(), Clock::system().now().to_string());
    let events = site.docker(&[
        "events",
        "--since",
        &since,
        "--until",
        &until,
        "--filter",
        "type=container",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}}",
    ]);
    let is_wanted =
        |line: &&str| ["start ", "die ", "health_status"].iter().any(|word| line.starts_with(word));
    events.lines().filter(is_wanted).map(ToOwned::to_owned).collect()
}

/// The steps that were left alone, with why.
fn left(run: &Value) -> Vec<(&str, &str)> {
    let steps = run["steps"].as_array().expect("steps").iter().filter(|step| step["wave"] == 0);
    let mut left: Vec<_> = steps
        .map(|step| {
            (step["container"].as_str().unwrap_or_default(), step["reason"].as_str().unwrap_or_default())
        })
        .collect();
    left.sort_unstable();
    left
}

/// What was done, in the order of the plan, with the wave of each.
fn done(run: &Value) -> Vec<(i64, &str, &str, &str)> {
    let steps = run["steps"].as_array().expect("steps").iter().filter(|step| step["wave"] != 0);
    steps
        .map(|step| {
            let text = |field: &str| step[field].as_str().unwrap_or_default();
            (step["wave"].as_i64().unwrap_or_default(), text("action"), text("container"), text("state"))
        })
        .collect()
}

/// Moves the clock on, past a grace.
async fn pass(site: &mut Site, minutes: i64) {
    let then = site.clock.now() + minutes.minutes();
    site.move_to(then).await;
}

/// The overrides that count.
async fn overrides(site: &Site) -> Vec<Value> {
    site.get("/api/overrides").await["items"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_sleeps_and_wakes_in_order_on_a_real_engine() {
    let mut site = Site::new(SHOP).await;
    let [db, migrate, api, web, tool] =
        ["db", "migrate", "api", "web", "tool"].map(|service| SHOP.container(service));
    // The migration completes, and the tool is off on purpose, before DockNap is asked for anything.
    site.docker(&["stop", &tool]);
    until_state(&site, &migrate, "exited").await;
    until_state(&site, &tool, "exited").await;
    wait::until("db is healthy", PATIENCE, async || site.shown(&db).await["health"] == "healthy").await;
    let window = soon(&site);
    let nights = site.schedule(json!({"name": "Nights", "window": window})).await;
    assert_eq!(site.stack().await["desired"], "awake");

    let since = Clock::system().now();
    let run = site.at(&nights).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!((&run["trigger"], &run["action"]), (&json!("window"), &json!("stop")));
    assert_eq!(run["why"], format!("asleep by “Nights” ({window})"));
    let ok = "succeeded";
    assert_eq!(done(&run), [(1, "stop", &*web, ok), (2, "stop", &*api, ok), (3, "stop", &*db, ok)]);
    assert_eq!(left(&run), [(&*migrate, "completed"), (&*tool, "already stopped")]);
    let health = |line: &String| !line.starts_with("health_status");
    let ends: Vec<String> = told(&site, since).into_iter().filter(health).collect();
    assert_eq!(ends, [format!("die {web}"), format!("die {api}"), format!("die {db}")]);
    let stack = site.stack().await;
    assert_eq!((&stack["status"], &stack["shown"]), (&json!("stopped"), &json!("napping")), "{stack:#}");
    let why = format!("Asleep by “Nights” ({window}). Stopped by schedule Nights, ");
    wait::until("it says why", PATIENCE, async || {
        site.stack().await["why"].as_str().is_some_and(|told| told.starts_with(&why))
    })
    .await;
    for container in [&db, &api, &web] {
        assert_eq!(site.shown(container).await["shown"], "napping", "{container}");
    }
    assert_eq!(site.shown(&migrate).await["shown"], "completed");
    assert_eq!(site.shown(&tool).await["shown"], "stopped");

    let since = Clock::system().now();
    let run = site.at(&nights).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!((&run["trigger"], &run["action"]), (&json!("window"), &json!("start")));
    assert_eq!(run["why"], format!("awake by “Nights” ({window})"));
    assert_eq!(done(&run), [(1, "start", &*db, ok), (2, "start", &*api, ok), (3, "start", &*web, ok)]);
    let skipped = left(&run);
    assert_eq!(skipped[0], (&*migrate, "DockNap did not put it to sleep"));
    assert!(skipped[1].0 == tool && skipped[1].1.starts_with("it was stopped by hand at "), "{skipped:?}");
    let started = told(&site, since);
    let healthy = format!("health_status: healthy {db}");
    assert_eq!(
        started,
        [format!("start {db}"), healthy, format!("start {api}"), format!("start {web}")],
        "api waited for the health of db"
    );
    let stack = site.stack().await;
    assert_eq!((&stack["desired"], &stack["shown"]), (&json!("awake"), &json!("partial")), "{stack:#}");
    assert_eq!((&*site.state(&migrate), &*site.state(&tool)), ("exited", "exited"));
    assert_eq!(overrides(&site).await, [] as [Value; 0], "nobody did anything by hand");
    site.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restarted_daemon_brings_back_sleeps_again_on_a_real_engine() {
    let mut site = Site::new(POLICIES).await;
    let [always, lasting, plain] = ["always", "lasting", "plain"].map(|service| POLICIES.container(service));
    let all = [&always, &lasting, &plain];
    let window = soon(&site);
    let nights = site.schedule(json!({"name": "Nights", "window": window})).await;
    let run = site.at(&nights).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    for container in all {
        until_state(&site, container, "exited").await;
    }
    let before = all.map(|container| started_at(&site, container));

    for end in [DaemonEnd::Graceful, DaemonEnd::Crash] {
        let known: Vec<Value> = site.runs().await.iter().map(|run| run["id"].clone()).collect();
        site.daemon.down(end);
        site.daemon.up().await;
        let back = site.until_run("it is put back to sleep", |run| !known.contains(&run["id"])).await;
        let back = site.ended(back["id"].as_str().expect("an id")).await;
        assert_eq!(back["state"], "succeeded", "{back:#}");
        assert_eq!((&back["trigger"], &back["action"]), (&json!("window"), &json!("stop")));
        let why = format!("daemon restart: Docker brought it back; asleep by “Nights” ({window})");
        assert_eq!(back["why"], why, "{end:?}");
        assert_eq!(done(&back), [(1, "stop", &*always, "succeeded")]);
        for container in all {
            until_state(&site, container, "exited").await;
            assert_eq!(site.shown(container).await["shown"], "napping", "{end:?}: {container}");
        }
        let after = all.map(|container| started_at(&site, container));
        assert_ne!(before[0], after[0], "Docker had started it");
        assert_eq!(before[1..], after[1..], "these stayed asleep");
        assert_eq!(site.runs().await.len(), known.len() + 1);
    }
    assert_eq!(overrides(&site).await, [] as [Value; 0], "nobody did it by hand");

    let run = site.at(&nights).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    for container in all {
        until_state(&site, container, "running").await;
    }
    site.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_by_hand_is_respected_or_put_back_on_a_real_engine() {
    let mut site = Site::new(POLICIES).await;
    let [always, lasting, plain] = ["always", "lasting", "plain"].map(|service| POLICIES.container(service));
    let window = soon(&site);
    let nights = site.schedule(json!({"name": "Nights", "window": window})).await;
    // Of its own, and narrower: it alone decides about this one.
    let longer = sleep_until(&site, 6);
    let strict = site
        .schedule(json!({"name": "Strict", "window": longer, "policy": "enforce",
            "target_type": "container", "target_id": plain}))
        .await;
    assert_eq!(strict["policy"], "enforce");
    let run = site.at(&nights).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    for container in [&always, &lasting, &plain] {
        until_state(&site, container, "exited").await;
    }
    let edge = site.get(&format!("/api/schedules/{}", nights["id"].as_str().expect("an id"))).await;
    let edge = edge["next_at"].as_str().expect("the wake edge").to_owned();
    // What DockNap did stays explained for 5 s after its outcome.
    pass(&mut site, 10).await;

    site.docker(&["start", &lasting, &plain]);
    until_state(&site, &lasting, "running").await;
    until_state(&site, &plain, "running").await;
    wait::until("it is remembered", PATIENCE, async || !overrides(&site).await.is_empty()).await;
    let made = overrides(&site).await;
    assert_eq!(made.len(), 1, "{made:#?}");
    assert_eq!(
        (&made[0]["by_hand"], &made[0]["state"], &made[0]["target_id"], &made[0]["until"]),
        (&json!(true), &json!("awake"), &json!(lasting), &json!(edge))
    );
    assert_eq!(
        (&made[0]["reason"], &made[0]["author"]),
        (&json!("started outside DockNap"), &json!("outside DockNap"))
    );
    let shown = site.shown(&lasting).await;
    assert_eq!(shown["desired"], "awake");
    let why = shown["why"].as_str().expect("text");
    assert!(
        why.starts_with("Awake by hand, its schedule decides again at ")
            && why.contains("started outside DockNap"),
        "{why}"
    );
    let why = site.stack().await["why"].as_str().expect("text").to_owned();
    assert!(why.contains(&format!("{lasting}: Started outside DockNap")), "{why}");

    // The grace of 5 min, in two steps: four are too few.
    let known: Vec<Value> = site.runs().await.iter().map(|run| run["id"].clone()).collect();
    pass(&mut site, 4).await;
    pass(&mut site, 1).await;
    let back = site.until_run("it is put back", |run| !known.contains(&run["id"])).await;
    let back = site.ended(back["id"].as_str().expect("an id")).await;
    assert_eq!(back["state"], "succeeded", "{back:#}");
    assert_eq!(back["why"], format!("put back: somebody else changed it; asleep by “Strict” ({longer})"));
    assert_eq!(done(&back), [(1, "stop", &*plain, "succeeded")]);
    let instant = |value: &Value| value.as_str().expect("text").parse::<Timestamp>().expect("an instant");
    // Both were started by one command, this one last.
    let waited = instant(&back["started_at"]).duration_since(instant(&made[0]["created_at"]));
    assert!(waited.as_secs() >= 300, "{waited:?}");
    until_state(&site, &plain, "exited").await;
    assert_eq!(site.state(&lasting), "running", "it lives until the edge");

    // The edge: the rest wakes, and the override ends.
    let run = site.at(&nights).await;
    assert_eq!(done(&run), [(1, "start", &*always, "succeeded")], "{run:#}");
    for container in [&always, &lasting] {
        until_state(&site, container, "running").await;
    }
    assert_eq!(site.state(&plain), "exited", "its own window is longer");
    wait::until("the override ends", PATIENCE, async || overrides(&site).await.is_empty()).await;
    // And at the next sleep all of them sleep.
    let run = site.at(&nights).await;
    assert_eq!(
        done(&run),
        [(1, "stop", &*always, "succeeded"), (1, "stop", &*lasting, "succeeded")],
        "{run:#}"
    );
    for container in [&always, &lasting] {
        until_state(&site, container, "exited").await;
    }
    assert_eq!(site.stack().await["shown"], "napping");
    site.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shares_a_network_is_restarted_with_it_on_a_real_engine() {
    let mut site = Site::new(TUNNEL).await;
    let [vpn, client, other] = ["vpn", "client", "other"].map(|service| TUNNEL.container(service));
    for container in [&vpn, &client, &other] {
        until_state(&site, container, "running").await;
    }
    let network =
        |site: &Site, container: &str| site.docker(&["exec", container, "readlink", "/proc/self/ns/net"]);
    assert_eq!(network(&site, &vpn), network(&site, &client));
    let undisturbed = started_at(&site, &other);
    let because = format!("because it shares {vpn}'s network");
    let shared = |run: &Value| {
        let steps = run["steps"].as_array().expect("steps");
        steps.iter().find(|step| step["container"] == client).expect("a step")["reason"].clone()
    };

    // Only the parent sleeps: the client runs on, without a network.
    let window = soon(&site);
    let naps = site.schedule(json!({"window": window, "target_type": "container", "target_id": vpn})).await;
    let run = site.at(&naps).await;
    assert_eq!(done(&run), [(1, "stop", &*vpn, "succeeded")], "{run:#}");
    assert_eq!(site.state(&client), "running");
    let run = site.at(&naps).await;
    assert_eq!(
        done(&run),
        [(1, "start", &*vpn, "succeeded"), (2, "restart", &*client, "succeeded")],
        "{run:#}"
    );
    assert_eq!(shared(&run), because);
    assert_eq!(network(&site, &vpn), network(&site, &client), "it is in the new network");

    let run = site.act(&format!("/api/containers/local/{vpn}/restart")).await;
    assert_eq!(
        done(&run),
        [(1, "restart", &*vpn, "succeeded"), (2, "restart", &*client, "succeeded")],
        "{run:#}"
    );
    assert_eq!(shared(&run), because);
    assert_eq!(network(&site, &vpn), network(&site, &client), "it is in the new network");

    let run = site.act(&format!("/api/containers/local/{vpn}/stop")).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    let run = site.act(&format!("/api/containers/local/{vpn}/start")).await;
    assert_eq!(
        done(&run),
        [(1, "start", &*vpn, "succeeded"), (2, "restart", &*client, "succeeded")],
        "{run:#}"
    );
    assert_eq!(network(&site, &vpn), network(&site, &client), "it is in the new network");
    assert_eq!(started_at(&site, &other), undisturbed);
    site.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_stack_wakes_but_for_what_others_paused_on_a_real_engine() {
    let mut site = Site::new(POLICIES).await;
    let [always, lasting, plain] = ["always", "lasting", "plain"].map(|service| POLICIES.container(service));
    site.docker(&["pause", &plain]);
    until_state(&site, &plain, "paused").await;
    let window = soon(&site);
    let naps = site.schedule(json!({"window": window, "mode": "pause"})).await;
    let before = started_at(&site, &always);
    let run = site.at(&naps).await;
    assert_eq!((&run["state"], &run["action"]), (&json!("succeeded"), &json!("pause")), "{run:#}");
    assert_eq!(done(&run), [(1, "pause", &*always, "succeeded"), (1, "pause", &*lasting, "succeeded")]);
    assert_eq!(left(&run), [(&*plain, "paused by somebody else: left as it is")]);
    for container in [&always, &lasting] {
        until_state(&site, container, "paused").await;
        assert_eq!(site.shown(container).await["shown"], "napping");
    }
    assert_eq!(site.shown(&plain).await["shown"], "paused", "by somebody else");
    let run = site.at(&naps).await;
    assert_eq!(
        done(&run),
        [(1, "unpause", &*always, "succeeded"), (1, "unpause", &*lasting, "succeeded")],
        "{run:#}"
    );
    assert_eq!(left(&run), [(&*plain, "DockNap did not put it to sleep")]);
    for container in [&always, &lasting] {
        until_state(&site, container, "running").await;
    }
    assert_eq!(site.state(&plain), "paused", "it stays as others left it");
    assert_eq!(started_at(&site, &always), before, "it went on where it was");
    site.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_ended_or_made_anew_in_its_sleep_wakes_on_a_real_engine() {
    let mut site = Site::new(POLICIES).await;
    let [always, lasting, plain] = ["always", "lasting", "plain"].map(|service| POLICIES.container(service));
    let all = [&always, &lasting, &plain];
    let window = soon(&site);
    let naps = site.schedule(json!({"name": "Nights", "window": window, "mode": "pause"})).await;
    let run = site.at(&naps).await;
    assert_eq!((&run["state"], &run["action"]), (&json!("succeeded"), &json!("pause")), "{run:#}");

    // The daemon ends what is paused, and starts what its policy says.
    let known: Vec<Value> = site.runs().await.iter().map(|run| run["id"].clone()).collect();
    site.daemon.down(DaemonEnd::Graceful);
    site.daemon.up().await;
    let back = site.until_run("it is put back to sleep", |run| !known.contains(&run["id"])).await;
    let back = site.ended(back["id"].as_str().expect("an id")).await;
    assert_eq!(done(&back), [(1, "pause", &*always, "succeeded"), (1, "pause", &*lasting, "succeeded")]);
    assert!(back["why"].as_str().is_some_and(|why| why.starts_with("daemon restart")), "{back:#}");
    until_state(&site, &plain, "exited").await;

    // An updater makes a new one, and does not start what did not run.
    site.compose(&["up", "--no-start", "--force-recreate", "lasting"]);
    until_state(&site, &lasting, "created").await;
    for container in all {
        assert_eq!(site.shown(container).await["shown"], "napping", "{container}");
    }
    let run = site.at(&naps).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    for container in all {
        until_state(&site, container, "running").await;
    }
    assert_eq!(overrides(&site).await, [] as [Value; 0], "nobody did anything by hand");

    // By day: stopped by hand, with 0, and a daemon that goes down.
    site.docker(&["stop", &plain]);
    until_state(&site, &plain, "exited").await;
    wait::until("it is told", PATIENCE, async || site.shown(&plain).await["shown"] == "stopped").await;
    assert_eq!(site.stack().await["status"], "partial");
    site.finish().await;
}
