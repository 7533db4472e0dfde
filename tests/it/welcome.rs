//! The first steps with a login: does Docker answer, and the first nap; without scripts.

use docknap::domain::ids::HostId;
use docknap::domain::target;
use docknap::sim::{Endpoint, Fault, World};

use crate::support::app::{NOW, TestApp};
use crate::support::bench::Bench;

fn world() -> World {
    World::new()
        .stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
        .stack("shop", |s| s.service("web", |c| c.exited(0)))
        .stack("guard", |s| s.service("web", docknap::sim::ContainerSpec::protect))
}

async fn site(world: World) -> TestApp {
    TestApp::over(Bench::new(NOW, world).await).await
}

fn key(name: &str) -> String {
    target::key(&HostId::local(), name)
}

#[tokio::test]
async fn each_call_has_a_tick_and_a_proxy_its_cure() {
    let test = site(world()).await;
    let mut ada = test.admin().await;
    let page = ada.get("/welcome/docker").await;
    assert_eq!(page.text("h1"), "DockNap reaches Docker");
    let ticks = page.text(".ticks");
    assert_eq!(ticks.matches("Works:").count(), 13, "{ticks}");
    assert!(page.text("[aria-current=step]").contains("Docker"));
    assert!(page.attribute("a.primary", "href").is_some_and(|href| href == "/welcome/nap"));

    test.bench().sim.fault(Fault::proxy_forbids().on(Endpoint::Stop));
    test.bench().sim.fault(Fault::proxy_forbids().on(Endpoint::Stats));
    let page = ada.get("/welcome/docker").await;
    assert_eq!(page.text("h1"), "Docker refuses some calls");
    let note = page.text(".note");
    assert!(note.contains("CONTAINERS=1 POST=1"), "{note}");
    let ticks = page.text(".ticks");
    assert!(ticks.contains("Refused: Stop not allowed by the proxy: POST /containers/"), "{ticks}");
    assert!(ticks.contains("Does without: See whether it is busy"), "{ticks}");
    let part = ada.get_part("/welcome/docker").await;
    assert!(part.body.trim_start().starts_with("<div class=\"stack\" id=\"checks\""), "{}", part.body);
}

#[tokio::test]
async fn where_docker_is_away_the_cure_is_said_once_and_one_may_go_on() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    let page = ada.get("/welcome/docker").await;
    assert_eq!(page.text("h1"), "DockNap cannot reach Docker yet");
    assert!(page.text("[role=alert]").contains("there is no socket at"), "{}", page.text("[role=alert]"));
    assert_eq!(page.text(".ticks").matches("Not tried:").count(), 13);
    let nap = ada.get("/welcome/nap").await;
    assert_eq!(nap.status, 200);
    assert!(nap.text("#example").contains("docker") || nap.text("#example").contains("services:"));
    assert!(nap.attribute("button[name=save]", "value").is_none(), "there is nothing to save");
    assert_eq!(ada.post("/welcome/nap", &[("stack", "nope"), ("save", "on")]).await.status, 422);
}

#[tokio::test]
async fn the_first_nap_is_looked_at_and_saved_without_scripts() {
    let test = site(world()).await;
    let mut otto = test.operator().await;
    let page = otto.get("/welcome/nap").await;
    assert_eq!(page.status, 200);
    let stacks = page.text("#stacks");
    assert!(stacks.contains("media") && stacks.contains("shop") && !stacks.contains("guard"), "{stacks}");
    assert!(page.attribute("[name=rule][value=nights]", "checked").is_some(), "something is picked");
    assert!(!page.text(".picks .pic title").is_empty());

    let picked = format!("/welcome/nap?stack={}&rule=office", key("media"));
    let page = otto.get(&picked).await;
    assert!(page.attribute("[name=rule][value=office]", "checked").is_some());
    let look = page.text("#look");
    assert!(look.contains("118 h of a week asleep"), "{look}");
    let (web, db) = (look.find("media-web-1").expect("web"), look.find("media-db-1").expect("db"));
    assert!(web < db, "in the order of a stop: {look}");
    // Friday 20:00: these hours have begun.
    assert_eq!(page.attribute("#look button.primary", "value").as_deref(), Some("on"));
    assert!(page.text("#look .acts").contains("Save and nap now"), "{}", page.text("#look .acts"));
    assert!(page.attribute("#look button[value=next]", "form").is_some());
    let part = otto.get_part(&picked).await;
    assert!(part.body.trim_start().starts_with("<section"), "{}", part.body);

    let media = key("media");
    let saved = otto.post("/welcome/nap", &[("stack", &media), ("rule", "nights"), ("save", "on")]).await;
    assert_eq!((saved.status, saved.location()), (303, "/"), "{}", saved.body);
    let home = otto.get("/").await;
    assert!(
        home.text(".flash").contains("“Nights” is saved for media. The next change is in 3 h, at 23:00."),
        "{}",
        home.text(".flash")
    );
    otto.post("/welcome/nap", &[("stack", &key("shop")), ("rule", "weekends"), ("save", "off")]).await;
    let home = otto.get("/").await;
    assert!(home.text(".flash").contains("switched off"), "{}", home.text(".flash"));
    let list = otto.get("/schedules").await.text(".schedules");
    assert!(list.contains("Nights") && list.contains("Weekends off"), "{list}");

    let refused =
        otto.post("/welcome/nap", &[("stack", &key("guard")), ("rule", "nights"), ("save", "on")]).await;
    assert_eq!(refused.status, 422);
    assert!(!refused.text(".summary").is_empty(), "{}", refused.body);
    assert_eq!(test.viewer().await.get("/welcome/nap").await.status, 403);
}

#[tokio::test]
async fn weeks_begin_where_their_reader_likes() {
    let test = site(world()).await;
    let mut otto = test.operator().await;
    let days = async |client: &mut crate::support::app::Client| {
        client.get("/welcome/nap").await.text(".picks .pic span")
    };
    assert!(days(&mut otto).await.starts_with("Mo Tu"));
    otto.post("/profile", &[("clock", "12"), ("week_start", "sun"), ("theme", "system")]).await;
    assert!(days(&mut otto).await.starts_with("Su Mo"));
    let page = otto.get("/welcome/nap").await;
    assert!(page.text(".picks").contains("off 11:00 pm–7:00 am"), "{}", page.text(".picks"));
}
