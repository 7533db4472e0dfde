//! What the pages sum up in a word is what was looked up: no calm beside a failure, no name at what nobody did.

use std::time::Duration;

use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::domain::target;
use docknap::sim::{ContainerSpec, World};
use serde_json::json;

use crate::support::app::{NOW, TestApp};
use crate::support::bench::Bench;

const CALM: &str = "All is well";

async fn over(world: World) -> TestApp {
    TestApp::over(Bench::new(NOW, world).await).await
}

fn page_of(service: &str) -> String {
    format!("/containers/{}", target::key(&HostId::local(), &format!("service:shop/{service}/1")))
}

#[tokio::test]
async fn what_ended_with_an_error_needs_attention() {
    for code in [1, 3, 137, 139, 255] {
        let world = World::new()
            .stack("shop", |s| s.service("web", |c| c).service("worker", |c| c.exited(code)))
            .container("loner", |c| c.exited(code));
        let test = over(world).await;
        let page = test.operator().await.get("/").await;
        let told = page.text("#now");
        assert!(!told.contains(CALM), "{code}: {told}");
        for name in ["shop-worker-1", "loner"] {
            assert!(told.contains(&format!("{name} ended with exit code {code}")), "{code}: {told}");
        }
        assert!(page.attribute("#now .lines a[data-act=start]", "href").is_some(), "each with its cure");
        assert!(!told.contains("shop is only partly up"), "once is enough: {told}");
        let summary = test.bearer(Role::Viewer).await.get("/api/summary").await.json();
        assert_eq!((&summary["containers_failed"], &summary["stacks_partial"]), (&json!(2), &json!(1)));
    }
    // What ended as it was told to is no failure.
    for code in [0, 130, 143] {
        let test = over(World::new().container("loner", |c| c.exited(code))).await;
        let told = test.operator().await.get("/").await.text("#now");
        assert!(told.contains(CALM), "{code}: {told}");
        let summary = test.bearer(Role::Viewer).await.get("/api/summary").await.json();
        assert_eq!(summary["containers_failed"], 0);
    }
}

#[tokio::test]
async fn a_stack_that_is_only_partly_up_needs_attention() {
    let world = World::new().stack("shop", |s| {
        s.service("web", |c| c).service("db", |c| c.exited(143)).service("cache", |c| c.exited(143))
    });
    let test = over(world).await;
    let told = test.operator().await.get("/").await.text("#now");
    assert!(told.contains("shop is only partly up") && !told.contains(CALM), "{told}");
    assert!(
        told.contains("shop-cache-1 is down, and 1 more") || told.contains("shop-db-1 is down, and 1 more"),
        "{told}"
    );
    // All of it is up again.
    let mut api = test.bearer(Role::Operator).await;
    api.post_json("/api/stacks/local/shop/start", &json!({})).await;
    test.bench().settle().await;
    let told = test.operator().await.get("/").await.text("#now");
    assert!(told.contains(CALM), "{told}");
    // What naps by itself is as it should be.
    let nap = "/api/containers/local/shop-db-1/stop";
    api.post_json(nap, &json!({})).await;
    test.bench().settle().await;
    let told = test.operator().await.get("/").await.text("#now");
    assert!(told.contains(CALM), "{told}");
}

#[tokio::test]
async fn nothing_is_well_that_nobody_looked_at() {
    let test = TestApp::new().await;
    let mut otto = test.operator().await;
    let told = otto.get("/").await.text("#now");
    assert!(!told.contains(CALM), "{told}");
}

#[tokio::test]
async fn what_crashed_was_stopped_by_nobody() {
    let world = World::new().stack("shop", |s| s.service("web", |c| c).service("worker", |c| c.exited(3)));
    let test = over(world).await;
    let mut api = test.bearer(Role::Operator).await;
    let mut otto = test.operator().await;
    api.post_json("/api/stacks/local/shop/stop", &json!({})).await;
    test.bench().settle().await;
    // It was down before the stop.
    let page = otto.get(&page_of("worker")).await;
    assert!(page.text(".why").contains("Ended with exit code 3"), "{}", page.text(".why"));
    assert!(!page.text("main").to_lowercase().contains("stopped by"), "{}", page.text("main"));
    // Of what it did stop, that run is told.
    let page = otto.get(&page_of("web")).await;
    assert!(
        page.text("main").contains("Stopped by hand, otto") || page.text("main").contains("Stopped by otto")
    );

    api.post_json("/api/stacks/local/shop/start", &json!({})).await;
    test.bench().settle().await;
    test.bench().advance(Duration::from_secs(600)).await;
    test.bench().sim.exit("shop-web-1", 3);
    test.bench()
        .until("its end is known", async || {
            let list = test.app.hosts.first().expect("a host").inventory();
            list.containers.iter().any(|one| one.name == "shop-web-1" && !one.state.is_up())
        })
        .await;
    let page = otto.get(&page_of("web")).await;
    let told = page.text("main");
    assert!(page.text(".why").contains("Ended with exit code 3"), "{}", page.text(".why"));
    assert!(!told.contains("Stopped by") && !told.contains("Stopped outside"), "{told}");
    let now = otto.get("/").await.text("#now");
    assert!(now.contains("shop-web-1 ended with exit code 3") && !now.contains(CALM), "{now}");
}

#[tokio::test]
async fn a_viewer_is_not_said_to_see_everything() {
    let test = TestApp::new().await;
    let page = test.admin().await.get("/users/new").await;
    assert_eq!(page.status, 200);
    let roles = page.text("#role");
    assert!(!roles.contains("everything") && roles.contains("only their own actions"), "{roles}");
}

#[tokio::test]
async fn an_end_that_nobody_chose_is_not_told_as_one() {
    let test = over(World::new().container("loner", |c| c)).await;
    let mut api = test.bearer(Role::Operator).await;
    let body = json!({
        "target_type": "container", "target_id": "loner", "kind": "window", "window": "sleep 19:00-07:00",
        "timezone": "UTC",
    });
    assert_eq!(api.post_json("/api/schedules", &body).await.status, 201);
    test.bench().tick().await;
    test.bench().settle().await;
    test.bench().advance(Duration::from_secs(600)).await;
    test.bench().sim.start("loner").expect("it starts");
    test.bench().quiet().await;
    test.bench().tick().await;
    test.bench().settle().await;
    let page = format!("/containers/{}", target::key(&HostId::local(), "name:loner"));
    let mut otto = test.operator().await;
    let told = otto.get("/").await.text("#loose");
    assert!(told.contains("Awake by hand, schedule from 07:00") && !told.contains("Awake until"), "{told}");
    let why = otto.get(&page).await.text(".why");
    assert!(
        why.contains(
            "Awake by hand, its schedule decides again at 2026-11-28 07:00: started outside DockNap"
        ),
        "{why}"
    );
    // One that somebody chose is told.
    let body = json!({
        "target_type": "container", "target_id": "loner", "state": "awake", "until": "2026-11-28T05:00:00Z",
        "reason": "the film",
    });
    let made = api.post_json("/api/overrides", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(otto.get("/").await.text("#loose").contains("Awake until 05:00"));
    assert!(otto.get(&page).await.text(".why").contains("Awake until 2026-11-28 05:00: the film"));
    // So is the end of a nap, whose reason nobody has to give.
    let nap =
        api.post_json("/api/containers/local/loner/nap", &json!({"until": "2026-11-28T03:00:00Z"})).await;
    assert_eq!(nap.status, 202, "{}", nap.body);
    test.bench().settle().await;
    let told = otto.get("/").await.text("#loose");
    assert!(told.contains("Asleep until 03:00") && !told.contains("by hand"), "{told}");
    assert!(otto.get(&page).await.text(".why").contains("Asleep until 2026-11-28 03:00"));
}

#[tokio::test]
async fn what_needs_attention_begins_with_the_newest() {
    let world = World::new()
        .stack("shop", |s| s.service("web", |c| c))
        .container("loner", |c| c.exited(3))
        .container("bad", |c| c.stopped().refuses_to_start())
        .container("odd", |c| c.label("docknap.protekt", "yes"));
    let test = over(world).await;
    let mut api = test.bearer(Role::Operator).await;
    api.post_json("/api/containers/local/bad/start", &json!({})).await;
    test.bench().settle().await;
    test.bench().advance(Duration::from_secs(600)).await;
    test.bench().sim.exit("shop-web-1", 3);
    test.bench().quiet().await;
    let told = test.operator().await.get("/").await.text("#now");
    let lines = [
        "shop-web-1 ended with exit code 3",
        "Start bad: failed",
        "loner ended with exit code 3",
        "odd has a label",
    ];
    let places: Vec<usize> =
        lines.iter().map(|line| told.find(line).unwrap_or_else(|| panic!("{line}: {told}"))).collect();
    assert!(places.is_sorted(), "{told}");
}

#[tokio::test]
async fn a_failure_is_not_buried_under_the_runs_after_it() {
    let world = World::new()
        .stack("shop", |s| {
            s.service("good", ContainerSpec::stopped).service("sad", |c| c.stopped().refuses_to_start())
        })
        .container("bad", |c| c.stopped().refuses_to_start())
        .container("loner", |c| c);
    let test = over(world).await;
    let mut api = test.bearer(Role::Operator).await;
    let mut ask = async |path: &str| {
        let asked = api.post_json(&format!("/api/{path}"), &json!({})).await;
        assert_eq!(asked.status, 202, "{path}: {}", asked.body);
        test.bench().settle().await;
    };
    ask("containers/local/bad/start").await;
    ask("stacks/local/shop/start").await;
    let told = test.operator().await.get("/").await.text("#now");
    assert!(told.contains("Start bad: failed") && told.contains("Start shop: partly done"), "{told}");
    ask("stacks/local/shop/stop").await;
    for _ in 0..55 {
        ask("containers/local/loner/restart").await;
    }
    let told = test.operator().await.get("/").await.text("#now");
    assert!(told.contains("Start bad: failed") && !told.contains(CALM), "{told}");
    assert!(!told.contains("Start shop"), "the stop came after it: {told}");
}
