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
