//! The first page: what it shows, how it is searched, and one thing done to several at once.

use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::domain::target;
use docknap::sim::World;
use scraper::{Html, Selector};
use serde_json::json;

use crate::support::app::{Answer, NOW, TestApp};
use crate::support::bench::Bench;

/// Two stacks, one of which waits for health, a container without a stack, and one that nobody may touch.
async fn site() -> TestApp {
    let world = World::new()
        .stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db:service_started")))
        .stack("shop", |s| s.service("web", docknap::sim::ContainerSpec::stopped))
        .container("loner", |c| c)
        .container("guard", docknap::sim::ContainerSpec::protect);
    TestApp::over(Bench::new(NOW, world).await).await
}

fn key(name: &str) -> String {
    target::key(&HostId::local(), name)
}

/// How many elements fit a selector.
fn count(answer: &Answer, css: &str) -> usize {
    Html::parse_document(&answer.body).select(&Selector::parse(css).expect("a selector")).count()
}

/// Nights from 23:00 to 07:00 for `media`, in UTC: it is 20:00.
async fn nights(test: &TestApp) {
    let mut otto = test.bearer(Role::Operator).await;
    let body = json!({
        "name": "Nights", "target_type": "stack", "target_id": "media", "kind": "window",
        "window": "sleep 23:00-07:00", "timezone": "UTC",
    });
    let made = otto.post_json("/api/schedules", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

#[tokio::test]
async fn the_first_page_tells_states_and_hours_as_pictures_and_words() {
    let test = site().await;
    nights(&test).await;
    let page = test.operator().await.get("/").await;
    assert_eq!(page.text(".donut title"), "3 running, 1 stopped");
    assert!(page.text(".ring ul").contains("Stopped 1"), "{}", page.text(".ring ul"));
    assert_eq!(page.text(&format!("#day-{}", key("media"))), "Asleep 00:00–07:00 and 23:00–24:00");
    assert_eq!(count(&page, ".strip"), 1, "what has no hours has no strip");
    let next = page.text("#now .lines");
    assert!(next.contains("Nap media") && next.contains("in 3 h · 23:00"), "{next}");
    assert!(page.attribute("#now form[action$='/skip'] button", "title").is_some());
    assert!(page.attribute("#now a[href*='/run?edge=sleep']", "href").is_some());
    // The keys of the list find their row, its box and its buttons.
    let row = format!("#stack-{}[data-row]", key("media"));
    assert_eq!(page.attribute(&row, "hx-trigger"), Some(format!("stack-{} from:body", key("media"))));
    assert_eq!(
        page.attribute(&format!("{row} [data-key=s]"), "href"),
        Some(format!("/stacks/{}/nap", key("media")))
    );
    assert_eq!(
        page.attribute(&format!("{row} input[name=t]"), "value"),
        Some(format!("stack/{}", key("media")))
    );
    let viewer = test.viewer().await.get("/").await;
    assert_eq!(count(&viewer, "input[name=t], .bulk, [data-act], [data-key], #now form"), 0);
    assert_eq!(count(&viewer, ".tile"), 4);
}

#[tokio::test]
async fn the_list_is_searched_by_name_and_by_state_in_the_url() {
    let test = site().await;
    let mut vera = test.viewer().await;
    for (path, rows) in [
        ("/?q=MED", 1),
        ("/?q=media-web", 1),
        ("/?state=stopped", 1),
        ("/?state=running&q=shop", 0),
        ("/?q=%22%3E%3Cx&state=%27x", 0),
    ] {
        let page = vera.get(path).await;
        assert_eq!((page.status, count(&page, ".tile")), (200, rows), "{path}");
    }
    let none = vera.get("/?q=nothing").await;
    assert!(none.text("#board").contains("Nothing fits"));
    assert_eq!(none.attribute("#q", "value").as_deref(), Some("nothing"));
    let page = vera.get("/?q=e&state=running").await;
    assert_eq!(page.attribute(".find input[type=hidden]", "value").as_deref(), Some("running"));
    assert!(page.attribute(".filters a[href='/?q=e&state=stopped']", "href").is_some(), "{}", page.body);
    // A region that asks gets itself and no more.
    let part = vera.clone().with_header("hx-source", "div#now").get_part("/").await;
    assert!(part.body.trim_start().starts_with("<div class=\"stack\" id=\"now\""), "{}", part.body);
    let part = vera.clone().with_header("hx-source", "form").get_part("/?q=media").await;
    assert!(part.body.trim_start().starts_with("<form class=\"stack\" id=\"board\""), "{}", part.body);
    let tile = vera.get_part(&format!("/stacks/{}/tile", key("media"))).await;
    assert!(tile.body.trim_start().starts_with("<li"), "{}", tile.body);
    let gone = vera.get_part(&format!("/stacks/{}/tile", key("nobody"))).await;
    assert_eq!((gone.status, gone.body.as_str()), (200, ""), "its place is empty then");
}

#[tokio::test]
async fn several_are_put_to_sleep_at_once_after_one_question() {
    let test = site().await;
    let mut otto = test.operator().await;
    let (media, shop, loner) = (key("media"), key("shop"), {
        let list = otto.get("/").await;
        list.attribute("#loose input[name=t]", "value").expect("a box")
    });
    let query =
        format!("/actions?do=nap&t=stack%2F{media}&t={}&t=stack%2F{media}", loner.replace('/', "%2F"));
    let question = otto.get(&query).await;
    assert_eq!(question.text("h1"), "Nap 2 at once?", "{}", question.body);
    let main = question.text("main");
    for name in ["media-web-1", "media-db-1", "loner"] {
        assert!(main.contains(name), "{name}: {main}");
    }
    assert_eq!(count(&question, "input[name=t]"), 2, "named twice is asked for once");
    let dialog = otto.get_part(&query).await;
    assert!(dialog.body.trim_start().starts_with("<dialog"), "{}", dialog.body);

    let media_field = format!("stack/{media}");
    let fields = [("do", "nap"), ("t", media_field.as_str()), ("t", loner.as_str()), ("until", "")];
    let wrong = otto.post("/actions", &[&fields[..3], &[("until", "at"), ("at", "")]].concat()).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text("form").contains("say until when"));
    let answer = otto.post("/actions", &fields).await;
    assert_eq!((answer.status, answer.location()), (303, "/"));
    assert!(otto.get("/").await.text(".flash").contains("Nap: 2 are under way"));
    test.bench().settle().await;
    let page = otto.get("/").await;
    assert!(page.text(&format!("#stack-{media}")).contains("Napping"));
    assert!(page.text("#loose").contains("Napping"));
    assert!(page.text(&format!("#stack-{shop}")).contains("Stopped"), "what was not chosen is left alone");
    let runs = test.bearer(Role::Viewer).await.get("/api/runs").await.json();
    assert!(runs["items"].as_array().expect("runs").iter().all(|run| run["trigger"] == "bulk"), "{runs}");

    // One that may not be touched is named; the others go on.
    let guard =
        otto.get("/").await.attribute("#loose li:not(:has(input)) a.main-link", "href").expect("a link");
    let guard = guard.trim_start_matches('/').replacen("containers", "container", 1);
    let wake = [("do", "wake"), ("t", media_field.as_str()), ("t", guard.as_str()), ("until", "1h")];
    otto.post("/actions", &wake).await;
    let told = otto.get("/").await.text(".flash");
    assert!(told.contains("1 under way, 1 refused") && told.contains("guard"), "{told}");
}

#[tokio::test]
async fn what_is_chosen_wrongly_does_nothing() {
    let test = site().await;
    let mut otto = test.operator().await;
    let none = otto.get("/actions?do=stop").await;
    assert!(none.text("h1").contains("Nothing is chosen") && count(&none, "main form button") == 0);
    for query in ["?do=lock&t=stack%2Fx", "?do=stop&t=stack%2Fnobody", "?do=stop&t=x%22%3E", "?do=%0a", ""] {
        assert_eq!(otto.get(&format!("/actions{query}")).await.status, 404, "{query}");
    }
    otto.post("/actions", &[("do", "stop")]).await;
    assert!(otto.get("/").await.text(".flash").contains("nothing was done"));
    assert_eq!(test.viewer().await.get("/actions?do=stop").await.status, 403);
    assert!(otto.get("/runs").await.text("#runs").contains("Nothing has run yet"));
}

#[tokio::test]
async fn what_needs_somebody_comes_with_its_cure() {
    let world = World::new()
        .stack("media", |s| s.service("web", docknap::sim::ContainerSpec::never_healthy))
        .container("odd", |c| c.label("docknap.protekt", "\"><x"));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    test.bench().advance(std::time::Duration::from_secs(60)).await;
    let page = test.operator().await.get("/").await;
    let needs = page.text("#now");
    assert!(needs.contains("media-web-1 is unhealthy"), "{needs}");
    assert!(page.attribute("#now .lines a[data-act=restart]", "href").is_some());
    assert!(needs.contains("odd has a label DockNap cannot read"), "{needs}");
    assert!(needs.contains("docknap.protekt is no label of DockNap"), "{needs}");
    assert!(!needs.contains("All is well"));
}

#[tokio::test]
async fn drift_is_told_once_a_rule_has_had_its_time() {
    let test = site().await;
    let mut otto = test.bearer(Role::Operator).await;
    let body = json!({
        "name": "Evenings", "target_type": "stack", "target_id": "media", "kind": "window", "policy": "observe",
        "window": "sleep 19:00-07:00", "timezone": "UTC",
    });
    assert_eq!(otto.post_json("/api/schedules", &body).await.status, 201);
    test.bench().settle().await;
    test.bench().sim.start("media-web-1").expect("it starts");
    test.bench().advance(std::time::Duration::from_secs(600)).await;
    test.bench().settle().await;
    let page = test.operator().await.get("/").await;
    let needs = page.text("#now");
    assert!(needs.contains("media is up although it should be asleep"), "{needs}");
    assert!(page.attribute("#now .lines a[data-act=nap]", "href").is_some());
}

#[tokio::test]
async fn the_list_stays_while_docker_is_away_and_begins_with_an_example() {
    let test = site().await;
    test.bench().sim.daemon_down(docknap::sim::DaemonEnd::Crash);
    let mut otto = test.operator().await;
    let hosts = &test.app.hosts;
    test.bench().until("it is away", async || !hosts.local().inventory().is_connected()).await;
    let page = otto.get("/").await;
    assert_eq!(count(&page, ".tile"), 4);
    assert!(page.attribute("#board", "data-stale").is_some());
    assert!(!page.text("#now").contains("All is well"));
    let empty = TestApp::over(Bench::new(NOW, World::new()).await).await;
    let page = empty.operator().await.get("/").await;
    assert!(page.text("main").contains("No containers here yet") && page.text("pre").contains("services:"));
    // Where there are stacks and no rule, the first one is two clicks away.
    let begin = site().await.operator().await.get("/").await;
    assert_eq!(begin.attribute(".first button", "value").as_deref(), Some("sleep 23:00-07:00"));
}
