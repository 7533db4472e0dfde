//! The list of schedules: what it shows, in which order, and what is done to many or taken back.

use docknap::domain::ids::HostId;
use docknap::domain::target;
use docknap::sim::World;

use crate::support::app::{Client, NOW, TestApp};
use crate::support::bench::Bench;

async fn site() -> TestApp {
    let world =
        World::new().stack("media", |s| s.service("web", |c| c)).stack("wiki", |s| s.service("app", |c| c));
    TestApp::over(Bench::new(NOW, world).await).await
}

fn key(name: &str) -> String {
    format!("stack/{}", target::key(&HostId::local(), name))
}

async fn make(client: &mut Client, name: &str, stack: &str, fields: &[(&str, &str)]) {
    let target = key(stack);
    let mut all = vec![("name", name), ("target", &*target), ("timezone", "UTC"), ("save", "on")];
    all.extend_from_slice(fields);
    assert_eq!(client.post("/schedules", &all).await.location(), "/schedules", "{name}");
}

const NIGHTS: [(&str, &str); 2] = [("kind", "window"), ("window", "sleep 23:00-07:00")];
const NOONS: [(&str, &str); 3] = [("kind", "cron"), ("cron", "0 12 * * *"), ("action", "restart")];

async fn filled(test: &TestApp) -> Client {
    let mut otto = test.operator().await;
    make(&mut otto, "Nights", "wiki", &NIGHTS).await;
    make(&mut otto, "Noons", "media", &NOONS).await;
    make(&mut otto, "After", "wiki", &[("kind", "cron"), ("cron", "0 2 * * *"), ("action", "start")]).await;
    otto
}

/// The names in the list, from above.
async fn names(client: &mut Client, path: &str) -> String {
    client.get(path).await.text(".schedules .lead .main-link")
}

#[tokio::test]
async fn each_row_shows_its_week_and_who_keeps_it() {
    let test = site().await;
    let mut otto = filled(&test).await;
    let page = otto.get("/schedules").await;
    let drawn = page.attribute(".schedules tr:nth-child(3) .mini path", "d").expect("a week is drawn");
    assert_eq!(drawn.matches('H').count(), 14, "two stretches a day: {drawn}");
    assert!(page.text(".schedules .lead").contains("otto"));
    let part = otto.get_part("/schedules").await;
    assert!(part.body.trim_start().starts_with("<section id=\"schedules\""), "{}", part.body);
}

#[tokio::test]
async fn the_list_is_sorted_and_grouped_by_its_address() {
    let test = site().await;
    let mut otto = filled(&test).await;
    assert_eq!(names(&mut otto, "/schedules").await, "After Noons Nights", "the newest first");
    assert_eq!(names(&mut otto, "/schedules?sort=name").await, "After Nights Noons");
    assert_eq!(names(&mut otto, "/schedules?sort=next").await, "Nights After Noons");
    let grouped = otto.get("/schedules?by=stack").await;
    assert_eq!(grouped.text(".schedules .group"), "media wiki");
    assert_eq!(grouped.text(".filters [aria-current]"), "By stack");
    let days = otto.get("/schedules?by=time").await.text(".schedules .group");
    assert!(days.starts_with("Today"), "{days}");
}

#[tokio::test]
async fn a_deletion_is_taken_back() {
    let test = site().await;
    let mut otto = filled(&test).await;
    let delete = otto.get("/schedules?sort=name").await;
    let delete = delete.attribute(".schedules form[action$='/delete']", "action").expect("a button");
    assert_eq!(otto.post(&delete, &[]).await.location(), "/schedules");
    let list = otto.get("/schedules").await;
    assert!(list.text(".flash").contains("“After” is deleted"), "{}", list.text(".flash"));
    assert_eq!(list.text(".schedules .lead .main-link"), "Noons Nights");
    let undo = list.attribute(".flash form", "action").expect("a way back");
    assert_eq!(otto.post(&undo, &[]).await.location(), "/schedules");
    let list = otto.get("/schedules?sort=name").await;
    assert_eq!(list.text(".schedules .lead .main-link"), "After Nights Noons");
    assert!(list.text(".schedules [data-label=Next]").contains("in 6 h"), "it goes on");
    assert_eq!(otto.post(&undo, &[]).await.location(), "/schedules", "twice is once");
    assert_eq!(test.viewer().await.post(&undo, &[]).await.status, 403);
    let events: Vec<String> = test.audit().await.into_iter().map(|row| row.0).collect();
    assert_eq!(events.iter().filter(|event| *event == "schedule.restore").count(), 1, "{events:?}");
}

#[tokio::test]
async fn switching_off_without_scripts_can_be_taken_back() {
    let test = site().await;
    let mut otto = filled(&test).await;
    let off = otto.get("/schedules").await.attribute("form[action$='/disable']", "action").expect("a switch");
    otto.post(&off, &[]).await;
    let list = otto.get("/schedules").await;
    assert!(list.text(".flash").contains("switched off"));
    let undo = list.attribute(".flash form", "action").expect("a way back");
    otto.post(&undo, &[]).await;
    assert!(otto.get("/schedules").await.attribute(".schedules [data-off]", "id").is_none());
}

#[tokio::test]
async fn many_are_changed_after_one_question() {
    let test = site().await;
    let mut otto = filled(&test).await;
    let list = otto.get("/schedules?sort=name").await;
    let id = |n: usize| {
        list.attribute(&format!(".schedules tr:nth-child({n}) [form=bulk]"), "value").expect("a box")
    };
    let (after, nights) = (id(1), id(2));
    let ticked = [("id", &*after), ("id", &*nights), ("do", "disable")];
    let question = otto.post("/schedules/bulk", &ticked).await;
    assert_eq!(question.text("h1"), "Switch off 2 schedules?");
    assert!(question.text("main").contains("“After”, “Nights”"), "{}", question.text("main"));
    assert!(
        otto.get("/schedules").await.attribute(".schedules [data-off]", "id").is_none(),
        "nothing is done yet"
    );
    let sure = [&ticked[..], &[("sure", "yes")]].concat();
    assert_eq!(otto.post("/schedules/bulk", &sure).await.location(), "/schedules");
    let list = otto.get("/schedules").await;
    assert!(list.text(".flash").contains("2 schedules switched off"), "{}", list.text(".flash"));
    assert_eq!(list.text("[aria-checked=false]").len(), 0);
    assert_eq!(list.body.matches("aria-checked=\"false\"").count(), 2);
    let gone = [("id", &*after), ("id", &*nights), ("do", "delete"), ("sure", "yes")];
    otto.post("/schedules/bulk", &gone).await;
    assert_eq!(names(&mut otto, "/schedules").await, "Noons");
    otto.post("/schedules/bulk", &[("do", "delete")]).await;
    assert!(otto.get("/schedules").await.text(".flash").contains("Nothing was ticked"));
}

#[tokio::test]
async fn two_that_meet_are_seen_side_by_side() {
    let test = site().await;
    let mut otto = filled(&test).await;
    let list = otto.get("/schedules").await;
    let href = list.attribute(".conflict a", "href").expect("they meet");
    let page = otto.get(&href).await;
    let sides = page.text(".duo");
    assert!(sides.contains("Nights") && sides.contains("After") && !sides.contains("Noons"), "{sides}");
    assert!(page.text(".note").contains("At 2026-11-28 02:00"), "{}", page.text(".note"));
    assert!(page.attribute(".duo svg[role=img] title", "id").is_some());
}

#[tokio::test]
async fn an_empty_list_offers_rules_to_begin_with() {
    let test = site().await;
    let mut otto = test.operator().await;
    let list = otto.get("/schedules").await;
    let preset = list.attribute("#schedules a[href*='window=']", "href").expect("a rule to begin with");
    assert_eq!(otto.get(&preset).await.attribute("#window", "value").as_deref(), Some("sleep 23:00-07:00"));
}

#[tokio::test]
async fn all_of_them_come_as_yaml() {
    let test = site().await;
    let mut otto = test.operator().await;
    let none = otto.get("/schedules.yaml").await;
    assert_eq!((none.status, none.body.as_str()), (200, "version: 1\nschedules: []\n"));
    make(&mut otto, "Night: \"x\"", "wiki", &NIGHTS).await;
    make(&mut otto, "Noons", "media", &NOONS).await;
    let page = otto.get("/schedules").await;
    let link = page.attribute("#schedules a[download]", "href").expect("a link");
    let file = test.viewer().await.get(&link).await;
    assert_eq!(file.header("content-type"), "application/yaml");
    assert!(file.header("content-disposition").contains("docknap-schedules-"), "{file:?}");
    let noons = "version: 1\nschedules:\n  - key: \"noons\"\n    name: \"Noons\"\n    host: \"local\"\n    \
                 target_type: \"stack\"\n    target_id: \"media\"\n    kind: \"cron\"\n";
    assert!(file.body.starts_with(noons), "{}", file.body);
    assert!(
        file.body.contains("    cron: \"0 12 * * *\"\n    timezone: \"UTC\"\n    enabled: true\n"),
        "{}",
        file.body
    );
    assert!(file.body.contains("    name: \"Night: \\\"x\\\"\"\n"), "{}", file.body);
    assert!(file.body.contains("    window: \"sleep 23:00-07:00\"\n    mode: \"stop\"\n"), "{}", file.body);
    assert!(!file.body.contains("null") && !file.body.contains("note"), "what says nothing is left out");
}

#[tokio::test]
async fn whoever_sorts_very_many_is_told_how_many_are_sorted() {
    let test = site().await;
    let mut otto = filled(&test).await;
    let few = otto.get("/schedules?sort=name").await;
    assert!(!few.text("#schedules").contains("in that order"));
    let many: Vec<_> = (0..200)
        .map(|number| {
            let mut one = crate::support::rows::schedule(&format!("many-{number:03}"));
            one.spec.name = format!("Rule {number:03}");
            one
        })
        .collect();
    crate::support::rows::store_schedules(&test.app.db, &many).await;
    let page = otto.get("/schedules?sort=name").await;
    assert!(
        page.text("#schedules").contains("the newest 200 in that order"),
        "{}",
        page.text("#schedules .hint")
    );
    assert!(!otto.get("/schedules").await.text("#schedules").contains("in that order"), "unsorted has pages");
}
