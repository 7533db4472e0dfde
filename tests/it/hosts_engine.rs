//! Two real Engines, one by its socket and one by TLS, with a stack of the same name on both.

use docknap::domain::window::Window;
use jiff::ToSpan;
use serde_json::{Value, json};

use crate::support::engine::Daemon;
use crate::support::site::{PATIENCE, Sample, Site, compose, docker, steps};
use crate::support::wait;

const SHOP: Sample = Sample { project: "shop", file: "tests/samples/shop.yaml" };

/// A container of a host as returned by the API.
async fn shown(site: &Site, host: &str, name: &str) -> Value {
    let all = site.get("/api/containers").await;
    let mut all = all.as_array().expect("a list").iter();
    all.find(|one| one["host"] == host && one["name"] == name).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_on_another_host_sleeps_and_wakes_in_order_on_a_real_engine() {
    let mut site = Site::new(SHOP).await;
    let nas = Daemon::start_tls().await;
    compose(SHOP, &nas, &["up", "-d"]);
    let [db, migrate, api, web, tool] =
        ["db", "migrate", "api", "web", "tool"].map(|service| SHOP.container(service));
    let state = |name: &str| docker(&nas, &["inspect", "--format", "{{.State.Status}}", name]);

    // Somebody mistypes the port first: the test says so, and the correction is taken while DockNap runs.
    let tls = nas.tls();
    let mut body = json!({"name": "NAS", "endpoint": "tcp://127.0.0.1:1", "ca": tls.authority.ca_text(),
        "cert": tls.client.cert_text(), "key": tls.client.key_text()});
    let (status, made) = site.call("POST", "/api/hosts", Some(body.clone())).await;
    assert_eq!(status, 201, "{made}");
    let (_, tested) = site.call("POST", "/api/hosts/nas/test", None).await;
    assert!(tested["unreachable"].as_str().is_some_and(|why| why.contains("127.0.0.1:1")), "{tested:#}");
    body["endpoint"] = json!(tls.host());
    body["key"] = json!("set");
    let (status, changed) = site.call("PUT", "/api/hosts/nas", Some(body)).await;
    assert_eq!(status, 200, "{changed}");
    wait::until("the NAS is connected", PATIENCE, async || site.link("nas").await == "connected").await;
    let (_, tested) = site.call("POST", "/api/hosts/nas/test", None).await;
    assert_eq!(tested["ready"], true, "{tested:#}");
    let host = site.get("/api/hosts/nas").await;
    assert!(host["certificate_expires_at"].is_string(), "{host:#}");

    // Both have the stack; without a host the name alone is refused.
    wait::until("the migration has ended", PATIENCE, async || state(&migrate) == "exited").await;
    wait::until("db is healthy", PATIENCE, async || shown(&site, "nas", &db).await["health"] == "healthy")
        .await;
    let hour = |ahead: i64| (site.clock.now() + ahead.hours()).strftime("%H:00").to_string();
    let window = Window::parse(&format!("sleep {}-{}", hour(2), hour(4))).expect("a window").to_string();
    let body = json!({"target_type": "stack", "target_id": "shop", "window": window});
    let (status, refused) = site.call("POST", "/api/schedules", Some(body)).await;
    assert_eq!((status, &refused["errors"][0]["field"]), (422, &json!("host")), "{refused:#}");
    let nights = site.schedule(json!({"host": "nas", "window": window})).await;

    let run = site.at(&nights).await;
    assert_eq!((&run["state"], &run["host"]), (&json!("succeeded"), &json!("nas")), "{run:#}");
    let done: Vec<(String, String)> =
        steps(&run).into_iter().filter(|(_, state)| state == "succeeded").collect();
    let order: Vec<&str> = done.iter().map(|(name, _)| name.as_str()).filter(|name| *name != tool).collect();
    assert_eq!(order, [&*web, &*api, &*db], "{run:#}");
    assert_eq!([&db, &api, &web].map(|name| state(name)), ["exited", "exited", "exited"]);
    for name in [&db, &api, &web] {
        assert_eq!(site.state(name), "running", "{name} of the other host is left alone");
    }
    assert_eq!(site.get("/api/stacks/nas/shop").await["shown"], "napping");
    assert_eq!(site.stack().await["status"], "running");

    let run = site.at(&nights).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!([&db, &api, &web].map(|name| state(name)), ["running", "running", "running"]);

    // Deleted: its schedule moves to the same stack of the other host.
    let (status, _) = site.call("DELETE", "/api/hosts/nas?move_to=local", None).await;
    assert_eq!(status, 204);
    let run = site.at(&nights).await;
    assert_eq!((&run["state"], &run["host"]), (&json!("succeeded"), &json!("local")), "{run:#}");
    assert_eq!(state(&web), "running", "nobody touches a deleted host");
    compose(SHOP, &nas, &["down", "-t", "1"]);
    site.finish().await;
}

/// The runs of a schedule for its next instant on both hosts, ended, by host.
async fn on_both(site: &mut Site, schedule: &Value) -> [Value; 2] {
    let first = site.at(schedule).await;
    let mut found = Vec::new();
    for host in ["local", "nas"] {
        let is_it = |run: &Value| {
            run["host"] == host
                && run["schedule_id"] == first["schedule_id"]
                && run["fire_at"] == first["fire_at"]
        };
        let run = site.until_run(&format!("{host} has a run too"), is_it).await;
        found.push(site.ended(run["id"].as_str().expect("an id")).await);
    }
    found.try_into().expect("two runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_two_hosts_sleeps_goes_down_comes_back_and_wakes_on_a_real_engine() {
    let mut site = Site::new(SHOP).await;
    let nas = Daemon::start_tls().await;
    compose(SHOP, &nas, &["up", "-d"]);
    let tls = nas.tls();
    let body = json!({"name": "NAS", "endpoint": tls.host(), "ca": tls.authority.ca_text(),
        "cert": tls.client.cert_text(), "key": tls.client.key_text()});
    site.add_host("nas", body, 5).await;
    let [db, api, web] = ["db", "api", "web"].map(|service| SHOP.container(service));
    let on_nas = |name: &str| docker(&nas, &["inspect", "--format", "{{.State.Status}}", name]);
    let states = |site: &Site| [&db, &api, &web].map(|name| [site.state(name), on_nas(name)]);
    let all = |state: &str| [(); 3].map(|()| [(); 2].map(|()| state.to_owned()));
    let healthy = async |site: &Site| {
        for host in ["local", "nas"] {
            wait::until("db is healthy", PATIENCE, async || {
                shown(site, host, &db).await["health"] == "healthy"
            })
            .await;
        }
    };
    healthy(&site).await;

    let (status, made) =
        site.call("POST", "/api/groups", Some(json!({"id": "evening", "name": "Evening"}))).await;
    assert_eq!(status, 201, "{made}");
    for host in ["local", "nas"] {
        let member = json!({"host": host, "target_type": "stack", "target_id": "shop"});
        let (status, made) = site.call("POST", "/api/groups/evening/members", Some(member)).await;
        assert_eq!(status, 200, "{made}");
    }
    let hour = |ahead: i64| (site.clock.now() + ahead.hours()).strftime("%H:00").to_string();
    let window = Window::parse(&format!("sleep {}-{}", hour(2), hour(4))).expect("a window").to_string();
    let nights = json!({"target_type": "group", "target_id": "evening", "window": window});
    let (status, nights) = site.call("POST", "/api/schedules", Some(nights)).await;
    assert_eq!(status, 201, "{nights}");

    // Both sleep in order, each in a run of its own.
    for run in on_both(&mut site, &nights).await {
        assert_eq!((&run["state"], &run["target_id"]), (&json!("succeeded"), &json!("evening")), "{run:#}");
        let wave = |name: &str| {
            let all = run["steps"].as_array().expect("steps");
            all.iter().find(|step| step["container"] == name).and_then(|step| step["wave"].as_i64())
        };
        assert!(wave(&web) < wave(&api) && wave(&api) < wave(&db), "{run:#}");
    }
    assert_eq!(states(&site), all("exited"));
    // Both go down in their sleep. They are still members, and the end of the sleep makes nothing.
    site.compose(&["down", "-t", "1"]);
    compose(SHOP, &nas, &["down", "-t", "1"]);
    wait::until("both are gone", PATIENCE, async || {
        site.get("/api/containers").await.as_array().is_some_and(Vec::is_empty)
    })
    .await;
    let id = nights["id"].as_str().expect("an id").to_owned();
    let next = site.get(&format!("/api/schedules/{id}")).await["next_at"].clone();
    let next = next.as_str().expect("an instant").parse().expect("an instant");
    site.move_to(next).await;
    wait::until("the window has gone on", PATIENCE, async || {
        site.get(&format!("/api/schedules/{id}")).await["next_at"] != json!(next.to_string())
    })
    .await;
    let members = site.get("/api/groups/evening").await["members"].clone();
    assert_eq!(members.as_array().map(Vec::len), Some(2), "{members:#}");
    assert_eq!(site.get("/api/containers").await, json!([]), "nothing is made");

    // Back: the same members sleep and wake again. What is locked is left alone.
    site.compose(&["up", "-d"]);
    compose(SHOP, &nas, &["up", "-d"]);
    healthy(&site).await;
    let (status, locked) = site.call("PUT", &format!("/api/containers/nas/{web}/lock"), None).await;
    assert!(status < 300, "{status} {locked}");
    on_both(&mut site, &nights).await;
    let mut expected = all("exited");
    expected[2][1] = "running".to_owned();
    assert_eq!(states(&site), expected);
    for run in on_both(&mut site, &nights).await {
        assert_eq!(run["state"], "succeeded", "{run:#}");
    }
    assert_eq!(states(&site), all("running"));
    compose(SHOP, &nas, &["down", "-t", "1"]);
    site.finish().await;
}
