//! The pages in front of a whole DockNap: what a person sees, presses and types.

use docknap::domain::ids::HostId;
use docknap::domain::target;
use docknap::sim::World;

use crate::support::app::{Answer, NOW, TestApp};
use crate::support::bench::Bench;

/// `media`: web depends on db, and a one-shot that is done.
fn media() -> World {
    World::new()
        .stack("media", |stack| {
            stack
                .service("db", |c| c.label("secret.token", "hunter2"))
                .service("web", |c| c.depends_on("db:service_started"))
                .service("migrate", |c| c.exited(0))
        })
        .container("loner", |c| c.label("docknap.group", "lab"))
        .container("guard", docknap::sim::ContainerSpec::protect)
}

async fn site() -> TestApp {
    TestApp::over(Bench::new(NOW, media()).await).await
}

fn key(name: &str) -> String {
    target::key(&HostId::local(), name)
}

/// The fields of a schedule that is right.
fn nights() -> Vec<(&'static str, String)> {
    vec![
        ("target", format!("stack/{}", key("media"))),
        ("action", "stop".to_owned()),
        ("kind", "cron".to_owned()),
        ("cron", "0 23 * * *".to_owned()),
        ("at", String::new()),
        ("timezone", "Europe/Berlin".to_owned()),
        ("name", "Nights".to_owned()),
        ("catch_up_seconds", "3600".to_owned()),
        ("stop_timeout_seconds", String::new()),
        ("priority", "0".to_owned()),
        ("note", String::new()),
        ("save", "on".to_owned()),
    ]
}

fn with<'a>(
    fields: &'a [(&'static str, String)],
    changed: &'a [(&'static str, &'a str)],
) -> Vec<(&'static str, &'a str)> {
    let kept = fields.iter().filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
    kept.map(|(name, value)| (*name, value.as_str())).chain(changed.iter().copied()).collect()
}

/// The page of the only schedule.
async fn only_schedule(test: &TestApp) -> String {
    let list = test.operator().await.get("/schedules").await;
    list.attribute(".schedules .lead a", "href").expect("there is one")
}

#[tokio::test]
async fn the_first_page_shows_what_there_is_and_what_can_be_done() {
    let test = site().await;
    let page = test.operator().await.get("/").await;
    assert_eq!(page.status, 200);
    let stack = page.text(&format!("#stack-{}", key("media")));
    assert!(stack.contains("media") && stack.contains("Running") && stack.contains("2 of 2 up"), "{stack}");
    assert!(page.text("#loose").contains("loner") && page.text("#loose").contains("Protected"));
    assert!(page.text("main").contains("All is well"));
    let viewer = test.viewer().await.get("/").await;
    assert!(viewer.attribute("[data-act]", "href").is_none(), "a viewer has no buttons");
}

#[tokio::test]
async fn a_stop_is_asked_for_with_its_plan_and_leads_to_its_run() {
    let test = site().await;
    let mut otto = test.operator().await;
    let path = format!("/stacks/{}/stop", key("media"));
    let question = otto.get(&path).await;
    let plan = question.text(".waves");
    assert!(
        plan.find("media-web-1").expect("web") < plan.find("media-db-1").expect("db"),
        "dependants first: {plan}"
    );
    assert!(question.text(".skipped").contains("media-migrate-1"));
    let dialog = otto.get_part(&path).await;
    assert!(dialog.body.trim_start().starts_with("<dialog"), "htmx gets the dialog alone: {}", dialog.body);

    let answer = otto.post(&path, &[]).await;
    assert_eq!(answer.location(), format!("/stacks/{}", key("media")), "it stays where it was asked");
    let (page, run) = otto.follow(&answer).await;
    assert_eq!(page.text(".flash > span"), "media stops. View run");
    let page = otto.get(&run).await;
    assert!(page.attribute("#run", "hx-trigger").is_some(), "it follows the run: {}", page.body);
    let part = otto.get_part(&run).await;
    assert!(part.body.trim_start().starts_with("<div id=\"run\""), "{}", part.body);

    test.bench().settle().await;
    let page = otto.get(&run).await;
    assert!(page.text("#run").contains("Succeeded") && page.text(".steps-list").contains("media-db-1"));
    assert!(otto.get("/").await.text(&format!("#stack-{}", key("media"))).contains("Napping"));
    assert!(otto.get("/runs").await.text("#runs").contains("Stop media"));
    assert!(otto.get("/runs?state=attention").await.text("#runs").contains("Nothing matches"));
}

#[tokio::test]
async fn a_protected_target_has_no_button_and_is_refused() {
    let test = site().await;
    let mut otto = test.operator().await;
    let list = otto.get("/").await;
    let guard = list.attribute("#loose a.main-link", "href").expect("a link");
    let page = otto.get(&guard).await;
    assert!(page.text(".note").contains("Protected") && page.attribute("[data-act]", "href").is_none());
    assert_eq!(otto.post(&format!("{guard}/stop"), &[]).await.status, 403);
    assert!(otto.get("/runs").await.text("#runs").contains("Nothing has run yet"));
}

#[tokio::test]
async fn a_schedule_is_made_changed_switched_run_and_deleted() {
    let test = site().await;
    let mut otto = test.operator().await;
    let fields = nights();
    let saved = otto.post("/schedules", &with(&fields, &[])).await;
    assert_eq!((saved.status, saved.location()), (303, "/schedules"));
    let list = otto.get("/schedules").await;
    assert!(list.text(".flash").contains("Nights"), "{}", list.body);
    assert!(list.text(".schedules").contains("Stop at 23:00"), "{}", list.text(".schedules"));

    let path = only_schedule(&test).await;
    let form = otto.get(&path).await;
    assert_eq!(form.attribute("#cron", "value").as_deref(), Some("0 23 * * *"));
    assert!(form.text("#preview").contains("CET"), "{}", form.text("#preview"));
    let rev = form.attribute("[name=rev]", "value").expect("a revision");
    let changed = otto.post(&path, &with(&fields, &[("cron", "30 22 * * *"), ("rev", &rev)])).await;
    assert_eq!(changed.status, 303);

    let off = otto.post_part(&format!("{path}/disable"), &[]).await;
    assert!(off.body.contains("aria-checked=\"false\"") && !off.body.contains("<html"), "{}", off.body);
    assert_eq!(otto.post(&format!("{path}/enable"), &[]).await.location(), "/schedules");

    let question = otto.get(&format!("{path}/run")).await;
    assert!(question.text("main").contains("The schedule goes on as before"));
    let run = otto.post(&format!("{path}/run"), &[]).await;
    assert_eq!(run.location(), path);
    assert!(otto.follow(&run).await.1.starts_with("/runs/"));

    let delete = format!("{path}/delete");
    let rev = otto.get(&delete).await.attribute("[name=rev]", "value").expect("a revision");
    assert_eq!(otto.post(&delete, &[("rev", &rev)]).await.location(), "/schedules");
    assert_eq!(otto.get(&path).await.status, 404);
    let audit = test.admin().await.get("/audit").await;
    for deed in
        ["made the schedule", "changed the schedule", "switched off the schedule", "deleted the schedule"]
    {
        assert!(audit.text("#audit").contains(deed), "{deed}: {}", audit.text("#audit"));
    }
}

#[tokio::test]
async fn a_form_that_is_refused_keeps_every_field() {
    let test = site().await;
    let mut otto = test.operator().await;
    let fields = nights();
    let wrong = [("cron", "61 23 * * *"), ("priority", "high"), ("note", "<b>later</b>"), ("target", "")];
    for part in [false, true] {
        let typed = with(&fields, &wrong);
        let page = if part {
            otto.post_part("/schedules", &typed).await
        } else {
            otto.post("/schedules", &typed).await
        };
        assert_eq!(page.status, 422);
        assert_eq!(page.body.contains("<html"), !part);
        assert_eq!(page.attribute("#cron", "value").as_deref(), Some("61 23 * * *"));
        assert_eq!(page.attribute("#cron", "aria-invalid").as_deref(), Some("true"));
        assert_eq!(page.attribute("#priority", "value").as_deref(), Some("high"));
        assert!(page.text("#note").contains("<b>later</b>"), "shown as it was typed");
        assert_eq!(page.attribute("#name", "value").as_deref(), Some("Nights"));
        assert!(page.attribute(".more", "open").is_some(), "what is wrong is not folded away");
        let faults = page.text("#errors");
        assert!(
            faults.contains("3 things") && faults.contains("pick a stack, container, host or group"),
            "{faults}"
        );
    }
    assert!(otto.get("/schedules").await.text("#schedules").contains("No schedule yet"), "nothing is stored");
}

#[tokio::test]
async fn a_form_that_came_too_late_shows_both_versions() {
    let test = site().await;
    let mut otto = test.operator().await;
    let fields = nights();
    otto.post("/schedules", &with(&fields, &[])).await;
    let path = only_schedule(&test).await;
    let rev = otto.get(&path).await.attribute("[name=rev]", "value").expect("a revision");
    assert_eq!(otto.post(&path, &with(&fields, &[("cron", "0 22 * * *"), ("rev", &rev)])).await.status, 303);
    let late = otto.post(&path, &with(&fields, &[("cron", "0 21 * * *"), ("rev", &rev)])).await;
    assert_eq!(late.status, 409);
    let both = late.text("#stale");
    assert!(both.contains("0 21 * * *") && both.contains("0 22 * * *"), "{both}");
    assert_eq!(late.attribute("#cron", "value").as_deref(), Some("0 21 * * *"), "what was typed stays");
    let rev = late.attribute("[name=rev]", "value").expect("the stored revision");
    assert_eq!(otto.post(&path, &with(&fields, &[("cron", "0 21 * * *"), ("rev", &rev)])).await.status, 303);
}

#[tokio::test]
async fn the_meaning_follows_what_is_typed() {
    let test = site().await;
    let mut otto = test.operator().await;
    let fields = nights();
    let part = otto.post_part("/schedules/preview", &with(&fields, &[])).await;
    assert!(part.text(".meaning").contains("At 23:00"), "{}", part.body);
    assert_eq!(part.body.matches("<li>").count(), 10);
    assert!(part.body.contains("2026-11-27T22:00:00Z") && part.body.contains("in 2 h"), "{}", part.body);
    let part = otto.post_part("/schedules/preview", &with(&fields, &[("cron", "0 0 31 2 *")])).await;
    assert_eq!(part.status, 200);
    assert!(!part.text(".field-error").is_empty(), "{}", part.body);
    // Without scripts a preset is a button of the form, and nothing is stored by it.
    let page = otto.post("/schedules", &with(&fields, &[("preset", "0 4 * * 0")])).await;
    assert_eq!((page.status, page.attribute("#cron", "value").as_deref()), (200, Some("0 4 * * 0")));
    assert!(otto.get("/schedules").await.text("#schedules").contains("No schedule yet"));
    assert!(otto.get_part("/schedules/zones").await.body.contains("Europe/Berlin"));
}

#[tokio::test]
async fn viewers_see_only_the_labels_that_hold_no_secrets() {
    let test = site().await;
    let mut vera = test.viewer().await;
    let page = vera.get(&format!("/stacks/{}", key("media"))).await;
    let db = page.attribute("#containers a.main-link", "href").expect("a container");
    let seen = vera.get(&db).await;
    assert!(seen.text(".labels").contains("com.docker.compose.service") && !seen.body.contains("hunter2"));
    assert!(test.operator().await.get(&db).await.body.contains("hunter2"));
    let form = vera.get("/schedules/new").await;
    assert_eq!(form.status, 403);
}

#[tokio::test]
async fn hostile_names_stay_text() {
    let long = "x".repeat(64 * 1024);
    let names = ["\"><x", "a/../b", "[x]", "x, click from:body", long.as_str()];
    let world = names.iter().fold(World::new(), |world, name| world.stack(name, |s| s.service("web", |c| c)));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut otto = test.operator().await;
    let every = scraper::Selector::parse("*").expect("a selector");
    let list = otto.get("/").await;
    assert_eq!(list.status, 200);
    assert!(!list.body.contains("<x"), "the name is escaped");
    assert!(list.body.len() < 200_000, "a long name is cut");
    for name in names {
        let key = key(name);
        assert_eq!(
            list.attribute(&format!("#stack-{key} a.main-link"), "href").as_deref(),
            Some(&*format!("/stacks/{key}"))
        );
        for path in [
            format!("/stacks/{key}"),
            format!("/stacks/{key}/stop"),
            format!("/schedules/new?target=stack/{key}"),
        ] {
            let page = otto.get(&path).await;
            assert_eq!(page.status, 200, "{path}");
            assert!(!page.body.contains("<x"), "{path}");
            for element in scraper::Html::parse_document(&page.body).select(&every) {
                for (attribute, value) in element.value().attrs() {
                    // Text for people may hold it; what addresses something may not.
                    let address =
                        attribute.starts_with("hx-") || matches!(attribute, "id" | "href" | "action" | "for");
                    assert!(!address || !value.contains("click from"), "{path}: {attribute}={value}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_there_leads_on() {
    let test = site().await;
    let mut otto = test.operator().await;
    let page = otto.get("/stacks/medai").await;
    assert_eq!(page.status, 404);
    assert!(page.text(".oops").contains("Did you mean media"), "{}", page.text(".oops"));
    let path = page.attribute(".oops p a", "href").expect("a link");
    let key = docknap::domain::target::key(&docknap::domain::ids::HostId::local(), "media");
    assert_eq!(path, format!("/stacks/{key}"), "a name may hold anything, a key may not");
    assert_eq!(otto.get(&path).await.text("h1"), "media");
    for path in ["/runs/nope", "/schedules/nope", "/containers/nope", "/stacks/nope/explode"] {
        assert_eq!(otto.get(path).await.status, 404, "{path}");
    }
    assert_eq!(otto.get("/runs?cursor=%25").await.status, 422);
}

#[tokio::test]
async fn the_theme_is_kept_by_the_browser() {
    let test = site().await;
    let mut vera = test.viewer().await;
    let liked = |theme| [("theme", theme), ("clock", "24"), ("week_start", "mon"), ("keys", "on")];
    let answer: Answer = vera.post("/profile", &liked("dark")).await;
    assert_eq!(answer.location(), "/profile");
    assert_eq!(vera.get("/").await.attribute("html", "data-theme").as_deref(), Some("dark"));
    vera.post("/profile", &liked("system")).await;
    assert_eq!(vera.get("/").await.attribute("html", "data-theme").as_deref(), Some("system"));
}

#[tokio::test]
async fn a_new_password_keeps_this_browser_and_ends_the_others() {
    let test = site().await;
    let (mut here, mut there) = (test.viewer().await, test.viewer().await);
    let old = crate::support::app::PASSWORD;
    let refused =
        here.post("/profile/password", &[("current", "wrong"), ("password", "another long sentence")]).await;
    assert_eq!(refused.status, 422);
    assert!(!refused.text("#current-error").is_empty(), "{}", refused.body);
    let done =
        here.post("/profile/password", &[("current", old), ("password", "another long sentence")]).await;
    assert_eq!(done.location(), "/profile", "{}", done.body);
    assert!(here.get("/profile").await.text(".flash").contains("changed"));
    assert_eq!(there.get("/profile").await.status, 303, "the other login has ended");
}
