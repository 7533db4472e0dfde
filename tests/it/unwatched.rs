//! What ended with 0 while nobody watched is only believed to have done its work: a start asks a person.

use std::time::Duration;

use docknap::db;
use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::domain::run::{Run, RunState};
use docknap::domain::target::{self, ContainerIdentity};
use docknap::sim::{DaemonEnd, World};
use scraper::{Html, Selector};
use serde_json::json;

use crate::on_both_engines;
use crate::support::app::{Answer, NOW, TestApp};
use crate::support::bench::Bench;
use crate::support::db::TestDb;
use crate::support::rows;

on_both_engines!(what_is_asked_for_is_stored_with_the_run);

/// `web` waits for `job` to complete; `tool` is off.
fn stack(world: World, name: &str) -> World {
    world.stack(name, |s| {
        s.service("db", |c| c)
            .service("job", |c| c.exited(0))
            .service("web", |c| c.depends_on("job:service_completed_successfully"))
            .service("tool", |c| c.exited(143))
    })
}

async fn site() -> TestApp {
    let world = stack(stack(World::new(), "shop"), "wiki");
    TestApp::over(Bench::new(NOW, world).await).await
}

fn key(name: &str) -> String {
    target::key(&HostId::local(), name)
}

fn count(answer: &Answer, css: &str) -> usize {
    Html::parse_document(&answer.body).select(&Selector::parse(css).expect("a selector")).count()
}

const BOX: &str = "input[type=checkbox][name=also_start]";

fn running(test: &TestApp, name: &str) -> bool {
    test.bench().sim.state(name) == "running"
}

#[tokio::test]
async fn a_start_asks_about_what_nobody_watched() {
    let test = site().await;
    let mut otto = test.operator().await;
    let path = format!("/stacks/{}/start", key("shop"));
    for question in [otto.get(&path).await, otto.get_part(&path).await] {
        assert_eq!(count(&question, BOX), 1, "{}", question.body);
        assert_eq!(count(&question, &format!("{BOX}[checked]")), 0, "it is not ticked");
        let told = question.text("label.check");
        assert_eq!(told, "shop-job-1 ended with 0 while nobody watched; tick to start it too");
        assert!(!question.text(".skipped").contains("shop-job-1"), "it is told once");
    }
    otto.post(&path, &[]).await;
    test.bench().settle().await;
    assert!(running(&test, "shop-tool-1") && !running(&test, "shop-job-1"));

    let question = otto.get(&path).await;
    assert!(
        question.text("form.ask button").contains("Start shop"),
        "there is something to do: {}",
        question.body
    );
    let value = question.attribute(BOX, "value").expect("a box");
    // One that is gone, or that somebody made up.
    let refused = otto.post(&path, &[("also_start", &value), ("also_start", "name:nobody")]).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.text("#also_start-error"), "there is no container name:nobody in it");
    assert_eq!(count(&refused, &format!("{BOX}[checked]")), 1, "what was ticked stays so");
    assert!(!running(&test, "shop-job-1"));
    otto.post(&path, &[("also_start", &value)]).await;
    test.bench().settle().await;
    assert!(running(&test, "shop-job-1"));
    assert!(!running(&test, "wiki-job-1") && !running(&test, "wiki-tool-1"));
}

#[tokio::test]
async fn what_was_watched_is_known_and_not_asked_about() {
    let test = site().await;
    let bench = test.bench();
    bench.sim.start("shop-job-1").expect("it starts");
    bench.advance(Duration::from_secs(60)).await;
    bench.tick().await;
    bench.sim.exit("shop-job-1", 0);
    bench.advance(Duration::from_secs(60)).await;
    bench.tick().await;
    bench.quiet().await;
    let mut otto = test.operator().await;
    let question = otto.get(&format!("/stacks/{}/start", key("shop"))).await;
    assert_eq!(count(&question, BOX), 0, "{}", question.body);
    assert!(question.text(".skipped").contains("shop-job-1 completed"), "{}", question.text(".skipped"));
    // Nor are those who wake, stop or restart it asked.
    for action in ["wake", "nap", "stop", "restart"] {
        let question = otto.get(&format!("/stacks/{}/{action}", key("wiki"))).await;
        assert_eq!((question.status, count(&question, BOX)), (200, 0), "{action}");
    }
}

#[tokio::test]
async fn programs_name_what_is_to_be_started_too() {
    let test = site().await;
    let mut api = test.bearer(Role::Operator).await;
    let plan = json!({"target_type": "stack", "target_id": "shop", "action": "start"});
    let plan = api.post_json("/api/plan", &plan).await.json();
    let asked: Vec<_> = plan["skipped"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|skipped| skipped["unwatched"] == true)
        .map(|skipped| skipped["container"].clone())
        .collect();
    assert_eq!(asked, ["shop-job-1"]);
    let runs = async || {
        let page = docknap::app::paging::Page { limit: 50, cursor: None };
        let filter = docknap::app::history::RunFilter::default();
        docknap::app::history::list(&test.app, &docknap::app::Actor::cli(), &filter, &page)
            .await
            .expect("reads")
            .items
    };
    for (path, body, field) in [
        ("stacks/local/shop/start", json!({"also_start": ["shop-job-1", "nobody"]}), "also_start"),
        ("stacks/local/shop/start", json!({"also_start": ["wiki-job-1"]}), "also_start"),
        ("stacks/local/shop/start", json!({"also_start": "shop-job-1"}), "also_start"),
        ("stacks/local/shop/start", json!({"also_start": [7]}), "also_start[0]"),
        ("stacks/local/shop/stop", json!({"also_start": ["shop-job-1"]}), "also_start"),
        ("stacks/local/shop/wake", json!({"also_start": ["shop-job-1"]}), "also_start"),
    ] {
        let refused = api.post_json(&format!("/api/{path}"), &body).await;
        assert_eq!(
            (refused.status, refused.wrong_field().as_str()),
            (422, field),
            "{path} {body}: {}",
            refused.body
        );
    }
    assert_eq!(runs().await, []);
    api.post_json("/api/stacks/local/shop/start", &json!({})).await;
    test.bench().settle().await;
    assert!(!running(&test, "shop-job-1"));
    let key = target::key(&HostId::local(), "service:shop/job/1");
    let body = json!({"also_start": [key, "shop-job-1"]});
    assert_eq!(api.post_json("/api/stacks/local/shop/start", &body).await.status, 202);
    test.bench().settle().await;
    assert!(running(&test, "shop-job-1"));
    let of = runs().await.remove(0);
    assert_eq!((of.state, of.also.len()), (RunState::Succeeded, 1));
}

#[tokio::test]
async fn it_is_remembered_while_the_host_is_away() {
    let test = site().await;
    let bench = test.bench();
    let mut api = test.bearer(Role::Operator).await;
    bench.sim.daemon_down(DaemonEnd::Crash);
    let is_connected = || test.app.hosts.first().expect("a host").inventory().is_connected();
    bench.until("it is away", async || !is_connected()).await;
    let body = json!({"also_start": ["shop-job-1"]});
    let asked = api.post_json("/api/stacks/local/shop/start", &body).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    bench.sim.daemon_up().expect("it starts");
    bench.settle().await;
    assert!(running(&test, "shop-job-1"));
}

#[tokio::test]
async fn each_of_several_stacks_has_its_own_boxes() {
    let test = site().await;
    let mut otto = test.operator().await;
    let (shop, wiki) = (format!("stack/{}", key("shop")), format!("stack/{}", key("wiki")));
    let query = format!("/actions?do=start&t={}&t={}", shop.replace('/', "%2F"), wiki.replace('/', "%2F"));
    let question = otto.get(&query).await;
    assert_eq!(count(&question, BOX), 2, "{}", question.body);
    let fields = [("do", "start"), ("t", &*shop), ("t", &*wiki), ("also_start", "service:wiki/job/1")];
    otto.post("/actions", &fields).await;
    test.bench().settle().await;
    assert!(running(&test, "shop-tool-1") && running(&test, "wiki-tool-1"));
    assert!(running(&test, "wiki-job-1") && !running(&test, "shop-job-1"));
}

async fn what_is_asked_for_is_stored_with_the_run(test: TestDb) {
    let of = |id: &str, also: &[ContainerIdentity]| Run {
        action: docknap::domain::action::Action::Start,
        state: RunState::Pending,
        also: also.to_vec(),
        ..rows::run(id)
    };
    let (web, odd) = (rows::member("media", "web"), ContainerIdentity::Name("a\"],%/b".to_owned()));
    let asked = of("r1", &[web.clone(), odd.clone()]);
    let mut tx = test.db.begin().await.expect("begins");
    assert!(db::runs::insert(&mut tx, &asked, 0).await.expect("stores"));
    // It does what one does that asks for nothing more, and what asks for the same; not what asks for something else.
    for (other, is_twin) in
        [(of("x", &[]), true), (of("x", &[web.clone(), odd]), true), (of("x", &[web]), false)]
    {
        let twin = db::runs::open_twin(&mut tx, &other).await.expect("reads");
        assert_eq!(twin.is_some(), is_twin, "{:?}", other.also);
        assert_eq!(asked.does_all_of(&other), is_twin);
    }
    tx.commit().await.expect("commits");
    let stored = db::runs::get(&test.db, &asked.id).await.expect("reads").expect("it is there");
    assert_eq!(stored.also, asked.also);
}
