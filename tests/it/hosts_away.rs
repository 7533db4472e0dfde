//! A host that does not answer across the edges of its windows, beside another one: a real Engine that is frozen, and
//! one whose proxy is gone.

use std::time::Duration;

use docknap::clock::Clock;
use docknap::db;
use docknap::domain::window::Window;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::support::engine::Daemon;
use crate::support::haproxy::{Frontend, Haproxy};
use crate::support::pki::{Authority, CLIENT, SERVER};
use crate::support::site::{PATIENCE, Sample, Site, compose, docker};
use crate::support::wait;

const POLICIES: Sample = Sample { project: "policies", file: "tests/samples/policies.yaml" };
const SERVICES: [&str; 3] = ["always", "lasting", "plain"];
/// A call to an Engine that does not answer takes longer than this.
const AT_ONCE: Duration = Duration::from_secs(5);

/// The hour so many hours from now, as `07:00`.
fn hour(site: &Site, ahead: i64) -> String {
    (site.clock.now() + ahead.hours()).strftime("%H:00").to_string()
}

/// A sleep from the hour after the next one on, for two hours, every day.
fn window(site: &Site) -> String {
    let window = Window::parse(&format!("sleep {}-{}", hour(site, 2), hour(site, 4)));
    window.expect("a window").to_string()
}

/// The runs of a schedule, newest first.
async fn runs_of(site: &Site, schedule: &Value) -> Vec<Value> {
    let runs = site.runs().await.into_iter();
    runs.filter(|run| run["schedule_id"] == schedule["id"]).collect()
}

fn instant(value: &Value) -> Timestamp {
    value.as_str().expect("text").parse().expect("an instant")
}

/// How often Docker did this to each container of the sample since an instant of its own clock.
fn counts(daemon: &Daemon, action: &str, since: Timestamp) -> [usize; 3] {
    let (since, until) = (since.to_string(), Clock::system().now().to_string());
    let filter = format!("event={action}");
    let format = "{{.Actor.Attributes.name}}";
    let told = docker(
        daemon,
        &["events", "--since", &since, "--until", &until, "--filter", &filter, "--format", format],
    );
    SERVICES.map(|service| told.lines().filter(|line| *line == POLICIES.container(service)).count())
}

fn state(daemon: &Daemon, service: &str) -> String {
    docker(daemon, &["inspect", "--format", "{{.State.Status}}", &POLICIES.container(service)])
}

/// The titles of “Needs attention”, but for the certificates of these tests, which are made for two days.
async fn needs(site: &Site) -> Vec<String> {
    let mut lines = site.page("/").await.texts("#now .need .main-link");
    lines.retain(|line| !line.starts_with("A certificate for host"));
    lines
}

/// Opens pages, each of which must answer at once.
async fn look_around(site: &Site) {
    let stacks = site.get("/api/stacks").await;
    let stack = stacks.as_array().expect("a list").iter().find(|one| one["host"] == "nas").expect("known");
    let stack = format!("/stacks/{}", stack["key"].as_str().expect("a key"));
    let clock = Clock::system();
    for path in ["/", "/hosts", "/hosts/nas", &stack, "/schedules", "/timeline", "/runs", "/health"] {
        let begun = clock.monotonic();
        site.page(path).await;
        let took = clock.monotonic().saturating_sub(begun);
        assert!(took < Duration::from_secs(3), "{path} took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_engine_delays_no_other_on_a_real_engine() {
    let mut site = Site::new(POLICIES).await;
    site.open_browser().await;
    let nas = Daemon::start_tls().await;
    compose(POLICIES, &nas, &["up", "-d"]);
    let tls = nas.tls();
    let body = json!({"name": "NAS", "endpoint": tls.host(), "ca": tls.authority.ca_text(),
        "cert": tls.client.cert_text(), "key": tls.client.key_text()});
    site.add_host("nas", body, 3).await;
    // Both sleep and wake at the same instants.
    let window = window(&site);
    let here = site.schedule(json!({"name": "Here", "host": "local", "window": window})).await;
    let there = site.schedule(json!({"name": "There", "host": "nas", "window": window})).await;
    look_around(&site).await;

    let since = Clock::system().now();
    nas.freeze();
    let on_time = |run: &Value, edge: &Value| {
        assert_eq!(run["state"], "succeeded", "{run:#}");
        let late = instant(&run["finished_at"]).duration_since(instant(edge));
        assert!(late.unsigned_abs() < AT_ONCE, "{late:?} after the edge: {run:#}");
    };
    let edge = here["next_at"].clone();
    let run = site.at(&here).await;
    on_time(&run, &edge);
    for service in SERVICES {
        assert_eq!(site.state(&POLICIES.container(service)), "exited", "{service}");
    }
    look_around(&site).await;
    site.until_unreachable("nas").await;
    look_around(&site).await;
    // What was last seen of it is shown in grey, with its time; the other one as ever.
    let hosts = site.page("/hosts").await;
    let facts = |host: &str| hosts.texts(&format!("section[aria-labelledby=host-{host}] dl[data-stale]"));
    assert_eq!(facts("local"), [] as [String; 0]);
    let grey = facts("nas").join(" ");
    assert!(grey.contains("Containers 3") && grey.contains("As of"), "{hosts:?}");
    let home = site.page("/").await;
    assert_eq!(home.texts("#now .note"), [] as [String; 0], "the other one is as ever");
    assert!(home.text("#now .lines").contains("Host NAS does not answer"), "{home:?}");
    let grey = home.texts("#board [data-stale] .facts").join(" ");
    assert!(grey.contains("as of") && home.texts("#board [data-stale]").len() == 1, "{grey}");

    // Its window is applied once it answers, by the run that waited.
    nas.thaw();
    site.until_connected("nas").await;
    let run = &runs_of(&site, &there).await[0];
    let run = site.ended_in_haste(run["id"].as_str().expect("an id")).await;
    assert_eq!((&run["state"], &run["trigger"]), (&json!("succeeded"), &json!("window")), "{run:#}");
    for service in SERVICES {
        assert_eq!(state(&nas, service), "exited", "{service}");
    }
    assert_eq!(counts(&nas, "stop", since), [1, 1, 1]);
    assert_eq!(runs_of(&site, &there).await.len(), 1);

    // Frozen again, and noticed, before the window ends: the other one wakes on time.
    let since = Clock::system().now();
    nas.freeze();
    site.clock.advance(Duration::from_secs(301));
    site.until_unreachable("nas").await;
    let edge = site.get(&format!("/api/schedules/{}", here["id"].as_str().expect("an id"))).await;
    let edge = edge["next_at"].clone();
    let run = site.at(&here).await;
    assert_eq!(run["action"], "start");
    on_time(&run, &edge);
    look_around(&site).await;
    // Longer than a run may wait for its host.
    let later = site.clock.now() + 20.minutes();
    site.move_to(later).await;
    nas.thaw();
    site.until_connected("nas").await;
    let woken =
        site.until_run("it wakes", |run| run["schedule_id"] == there["id"] && run["action"] == "start").await;
    let woken = site.ended_in_haste(woken["id"].as_str().expect("an id")).await;
    assert_eq!((&woken["state"], &woken["trigger"]), (&json!("succeeded"), &json!("window")), "{woken:#}");
    for service in SERVICES {
        assert_eq!(state(&nas, service), "running", "{service}");
    }
    assert_eq!(counts(&nas, "start", since), [1, 1, 1]);
    assert_eq!(runs_of(&site, &there).await.len(), 2);
    compose(POLICIES, &nas, &["down", "-t", "1"]);
    site.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_away_is_made_up_for_once_on_a_real_engine() {
    let mut site = Site::new(POLICIES).await;
    site.open_browser().await;
    let nas = Daemon::start().await;
    compose(POLICIES, &nas, &["up", "-d"]);
    let home = Authority::new("home");
    let (server, client) = (home.issue("nas", SERVER), home.issue("docknap", CLIENT));
    let bind =
        format!("ssl crt {} ca-file {} verify required", server.joined().display(), home.ca().display());
    let mut proxy = Haproxy::start(&nas.socket(), &[Frontend { bind: &bind, ..Frontend::default() }]).await;
    let body = json!({"name": "NAS", "endpoint": proxy.address(0), "ca": home.ca_text(),
        "cert": client.cert_text(), "key": client.key_text()});
    site.add_host("nas", body, 3).await;
    let [always, lasting, plain] = SERVICES.map(|service| POLICIES.container(service));
    let window = window(&site);
    let hour = hour(&site, 2)[..2].to_owned();
    let of = |container: &str, rule: (&str, String)| {
        json!({"host": "nas", "target_type": "container", "target_id": container, "action": "stop",
            rule.0: rule.1})
    };
    let mut nights = of(&lasting, ("window", window));
    nights.as_object_mut().expect("an object").remove("action");
    let nights = site.schedule(nights).await;
    let early = site.schedule(of(&plain, ("cron", format!("10 {hour} * * *")))).await;
    let late = site.schedule(of(&always, ("cron", format!("45 {hour} * * *")))).await;

    let edge = instant(&nights["next_at"]);
    site.move_to(edge - 10.minutes()).await;
    let begun = site.clock.now();
    proxy.down();
    site.until_unreachable("nas").await;
    let since = Clock::system().now();
    site.move_to(instant(&early["next_at"])).await;
    let given_up = site.until_run("it is due", |run| run["schedule_id"] == early["id"]).await;
    assert_eq!(given_up["finished_at"], Value::Null, "it waits for its host: {given_up:#}");
    assert_eq!(runs_of(&site, &nights).await, [] as [Value; 0], "nothing is planned for what is not seen");
    site.move_to(instant(&early["next_at"]) + 16.minutes()).await;
    let given_up = site.ended(given_up["id"].as_str().expect("an id")).await;
    let reason = given_up["reason"].as_str().expect("text");
    assert!(
        given_up["state"] == "failed"
            && reason.starts_with("the host cannot be reached: nobody listens on")
            && reason.ends_with("tried until the run's deadline"),
        "{given_up:#}"
    );
    site.move_to(instant(&late["next_at"])).await;
    let waits = site.until_run("it is due", |run| run["schedule_id"] == late["id"]).await;

    // One line about the host, and none about each run that waits for it or gave up.
    assert_eq!(needs(&site).await, ["Host NAS does not answer"]);
    site.move_to(begun + 60.minutes()).await;
    proxy.up().await;
    site.until_connected("nas").await;

    let done = site.ended_in_haste(waits["id"].as_str().expect("an id")).await;
    assert_eq!((&done["state"], &done["trigger"]), (&json!("succeeded"), &json!("schedule")), "{done:#}");
    let applied = site.until_run("the window is applied", |run| run["schedule_id"] == nights["id"]).await;
    let applied = site.ended_in_haste(applied["id"].as_str().expect("an id")).await;
    assert_eq!((&applied["state"], &applied["action"]), (&json!("succeeded"), &json!("stop")), "{applied:#}");
    assert_eq!(SERVICES.map(|service| state(&nas, service)), ["exited", "exited", "running"]);
    assert_eq!(counts(&nas, "stop", since), [1, 1, 0]);
    for schedule in [&nights, &early, &late] {
        assert_eq!(runs_of(&site, schedule).await.len(), 1);
    }
    // What was not made up for is told now.
    let title = format!("Stop {plain} on NAS: failed");
    assert_eq!(needs(&site).await, [title.as_str()]);
    let outages = async || {
        let database = site.database().await;
        let rows = db::host_outages::after(&database, begun).await.expect("they read");
        database.close().await;
        rows
    };
    wait::until("the outage ends", PATIENCE, async || {
        outages().await.iter().all(|outage| outage.to.is_some())
    })
    .await;
    let rows = outages().await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let lasted = rows[0].to.expect("it ended").duration_since(rows[0].from);
    assert!((3500..3700).contains(&lasted.as_secs()), "{rows:?}");

    // The window's end is met as ever.
    let woken = site.at(&nights).await;
    assert_eq!((&woken["state"], &woken["action"]), (&json!("succeeded"), &json!("start")), "{woken:#}");
    assert_eq!(SERVICES.map(|service| state(&nas, service)), ["exited", "running", "running"]);
    compose(POLICIES, &nas, &["down", "-t", "1"]);
    site.finish().await;
}
