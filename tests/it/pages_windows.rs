//! The pages of windows, overrides, locks and order: what a person sees, presses and types.

use docknap::domain::ids::HostId;
use docknap::domain::target;
use docknap::sim::World;

use crate::support::app::{NOW, TestApp};
use crate::support::bench::Bench;

async fn site() -> TestApp {
    let world = World::new()
        .stack("media", |stack| {
            stack.service("db", |c| c).service("web", |c| c.depends_on("db:service_started"))
        })
        .stack("proxy", |stack| stack.service("caddy", |c| c));
    TestApp::over(Bench::new(NOW, world).await).await
}

fn stack(name: &str) -> String {
    format!("/stacks/{}", target::key(&HostId::local(), name))
}

/// The fields of a window for `media`, changed in places.
fn window<'a>(changed: &[(&'static str, &'a str)]) -> Vec<(&'static str, &'a str)> {
    // The key is worked out once and lives as long as the test.
    let target: &'static str =
        Box::leak(format!("stack/{}", target::key(&HostId::local(), "media")).into_boxed_str());
    let all = [
        ("target", target),
        ("kind", "window"),
        ("window", "sleep 23:00-07:00"),
        ("mode", "stop"),
        ("policy", "respect"),
        ("wake", "restore"),
        // The fields of the other kinds are on the page too, and do not count.
        ("action", "restart"),
        ("cron", "0 4 * * *"),
        ("at", "2030-01-01T00:00"),
        ("timezone", "UTC"),
        ("name", "Nights"),
        ("catch_up_seconds", "3600"),
        ("priority", "0"),
        ("save", "on"),
    ];
    let kept = all.into_iter().filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
    kept.chain(changed.iter().copied()).collect()
}

#[tokio::test]
async fn a_window_is_made_shown_and_changed() {
    let test = site().await;
    let mut otto = test.operator().await;
    assert_eq!(otto.post("/schedules", &window(&[])).await.location(), "/schedules");
    let list = otto.get("/schedules").await;
    let text = list.text(".schedules");
    assert!(text.contains("Asleep every day from 23:00 to 07:00"), "{text}");
    let path = list.attribute(".schedules .lead a", "href").expect("a link");
    let form = otto.get(&path).await;
    assert_eq!(form.attribute("#window", "value").as_deref(), Some("sleep 23:00-07:00"));
    assert!(form.attribute("#kind-window", "checked").is_some());
    assert_eq!(form.attribute("#cron", "value").as_deref(), Some(""));
    let rev = form.attribute("[name=rev]", "value").expect("a revision");
    let fields =
        window(&[("window", "sleep 22:00-06:00"), ("policy", "enforce"), ("mode", "pause"), ("rev", &rev)]);
    assert_eq!(otto.post(&path, &fields).await.status, 303);
    let form = otto.get(&path).await;
    assert_eq!(form.attribute("#policy [selected]", "value").as_deref(), Some("enforce"));
    assert_eq!(form.attribute("[name=mode][checked]", "value").as_deref(), Some("pause"));
    let late = otto.post(&path, &window(&[("window", "sleep 21:00-05:00"), ("rev", &rev)])).await;
    assert_eq!(late.status, 409);
    let both = late.text("#stale");
    assert!(both.contains("sleep 21:00-05:00") && both.contains("sleep 22:00-06:00"), "{both}");
    assert!(both.contains("Put it back after 5 minutes"), "{both}");
}

#[tokio::test]
async fn a_window_that_is_wrong_keeps_what_was_typed() {
    let test = site().await;
    let mut otto = test.operator().await;
    let fields = window(&[("window", "sleep 25:00-07:00"), ("calendar_effect", "awake")]);
    let refused = otto.post("/schedules", &fields).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.attribute("#window", "value").as_deref(), Some("sleep 25:00-07:00"));
    assert_eq!(refused.attribute("#window", "aria-invalid").as_deref(), Some("true"));
    assert!(otto.get("/schedules").await.text("#schedules").contains("No schedule yet"));
}

#[tokio::test]
async fn the_preview_of_a_window_says_what_saving_does() {
    let test = site().await;
    let mut otto = test.operator().await;
    let outside = otto.post_part("/schedules/preview", &window(&[])).await;
    assert!(outside.text(".share").contains("56 h a week asleep, 33"), "{}", outside.body);
    assert!(outside.text("#save").contains("Save, switched on"), "{}", outside.body);
    // The preview is asked for at 20:12.
    let inside = otto.post_part("/schedules/preview", &window(&[("window", "sleep 18:00-07:00")])).await;
    assert!(inside.text(".note").contains("media-db-1"), "{}", inside.body);
    let buttons = inside.text("#save");
    assert!(buttons.contains("Save and nap now") && buttons.contains("Save, from the next nap"), "{buttons}");

    let next = window(&[("window", "sleep 18:00-07:00"), ("save", "next")]);
    assert_eq!(otto.post("/schedules", &next).await.status, 303);
    test.bench().tick().await;
    assert!(otto.get("/runs").await.text("#runs").contains("Nothing has run yet"));
}

#[tokio::test]
async fn a_window_is_run_by_either_edge() {
    let test = site().await;
    let mut otto = test.operator().await;
    otto.post("/schedules", &window(&[])).await;
    let path = otto.get("/schedules").await.attribute(".schedules .lead a", "href").expect("a link");
    let question = otto.get(&format!("{path}/run?edge=sleep")).await;
    assert!(
        question.text("main").contains("sleeps until the schedule wakes it"),
        "{}",
        question.text("main")
    );
    let run = otto.post(&format!("{path}/run?edge=sleep"), &[]).await;
    assert_eq!(otto.follow(&run).await.0.text(".flash > span"), "media naps. View run");
    assert_eq!(otto.post(&format!("{path}/run?edge=neither"), &[]).await.status, 422);
}

#[tokio::test]
async fn nap_and_wake_ask_how_long() {
    let test = site().await;
    let mut otto = test.operator().await;
    otto.post("/schedules", &window(&[])).await;
    let page = stack("media");
    let shown = otto.get(&page).await;
    assert!(shown.text(".power").contains("Nap now") && !shown.text(".power").contains("Stop"));
    assert!(shown.text("main").contains("Next changes"), "{}", shown.text("main"));

    let question = otto.get(&format!("{page}/nap")).await;
    assert!(question.text(".ends").contains("Until the next wake, 07:00"), "{}", question.text(".ends"));
    let refused =
        otto.post(&format!("{page}/nap"), &[("until", "at"), ("at", ""), ("reason", "party")]).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.text(".field-error").contains("say until when")
            || refused.text(".field-error").contains("Say until when")
    );
    assert_eq!(refused.attribute("#reason", "value").as_deref(), Some("party"), "what was typed stays");
    let past = [("until", "at"), ("at", "2020-01-01T00:00")];
    assert_eq!(otto.post(&format!("{page}/nap"), &past).await.status, 422);

    let nap = otto.post(&format!("{page}/nap"), &[("until", "3h"), ("reason", "party")]).await;
    assert_eq!(nap.location(), page, "{}", nap.body);
    test.bench().quiet().await;
    let shown = otto.get(&page).await;
    assert!(shown.text(".why").contains("party"), "{}", shown.text(".why"));
    assert!(shown.text(".power").contains("Wake"));
    assert!(otto.get("/").await.text("#stacks").contains("Asleep until"));
    let end = shown.attribute(".why form", "action").expect("a way to end it");
    assert_eq!(otto.post(&end, &[]).await.location(), page);
    test.bench().tick().await;
    assert!(otto.get("/overrides").await.text("main").contains("ended by"));
}

#[tokio::test]
async fn everything_is_held_with_an_end_and_a_reason() {
    let test = site().await;
    let mut otto = test.operator().await;
    let form = otto.get("/overrides/new?target=all%2F&state=hold").await;
    assert!(form.attribute("[value=hold][checked]", "name").is_some());
    let empty = otto.post("/overrides", &[("target", "all/"), ("state", "hold"), ("until", "at")]).await;
    assert_eq!(empty.status, 422);
    let errors = empty.text("#errors");
    assert!(errors.contains("say when it ends") && errors.contains("say why"), "{errors}");
    let fields = [("target", "all/"), ("state", "hold"), ("until", "1d"), ("reason", "we move house")];
    assert_eq!(otto.post("/overrides", &fields).await.location(), "/overrides");
    for page in ["/", "/runs", "/schedules"] {
        let bars = test.viewer().await.get(page).await.text(".bar");
        assert!(bars.contains("Everything is held until") && bars.contains("we move house"), "{bars}");
    }
    let end = otto.get("/overrides").await.attribute("td.end form", "action").expect("a way to end it");
    assert_eq!(otto.post(&end, &[]).await.location(), "/overrides");
    assert!(!otto.get("/").await.text(".bar").contains("held"));
}

#[tokio::test]
async fn a_lock_is_set_seen_and_taken_away() {
    let test = site().await;
    let mut otto = test.operator().await;
    let page = stack("media");
    assert_eq!(
        otto.post(&format!("{page}/lock"), &[("reason", "the migration runs")]).await.location(),
        page
    );
    let shown = otto.get(&page).await;
    assert!(shown.text(".note").contains("the migration runs"), "{}", shown.text(".note"));
    assert!(shown.attribute("[data-act=nap]", "href").is_none(), "{}", shown.body);
    assert_eq!(otto.post(&format!("{page}/stop"), &[]).await.status, 403);
    assert_eq!(otto.post(&format!("{page}/unlock"), &[]).await.location(), page);
    assert!(otto.get(&page).await.text(".power").contains("Nap now"));
}

#[tokio::test]
async fn order_is_added_and_a_cycle_is_named() {
    let test = site().await;
    let mut otto = test.operator().await;
    let page = format!("{}/order", stack("media"));
    let shown = otto.get(&page).await;
    assert!(shown.text("main").contains("web starts after db"), "{}", shown.text("main"));
    let whole = format!("stack/{}", target::key(&HostId::local(), "media"));
    let proxy = format!("stack/{}", target::key(&HostId::local(), "proxy"));
    let fields = [("dependant", &*whole), ("dependency", &*proxy), ("condition", "service_started")];
    assert_eq!(otto.post(&page, &fields).await.location(), page);
    assert!(otto.get(&stack("media")).await.text("main").contains("media starts after proxy runs"));
    let back = [("dependant", &*proxy), ("dependency", &*whole), ("condition", "service_started")];
    let refused = otto.post(&format!("{}/order", stack("proxy")), &back).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text("#errors").contains("cycle"), "{}", refused.text("#errors"));
    let wrong = [("dependant", &*whole), ("dependency", ""), ("wait_seconds", "soon")];
    assert_eq!(otto.post(&page, &wrong).await.status, 422);
    let remove = otto.get(&page).await.attribute(".line-end form", "action").expect("a button");
    assert_eq!(otto.post(&remove, &[]).await.location(), page);
    assert!(!otto.get(&page).await.text("main").contains("after proxy"));
}

#[tokio::test]
async fn what_the_form_offers_as_ready_made_can_be_saved() {
    let examples = |text: &str| {
        let page = scraper::Html::parse_document(text);
        let found =
            |css: &str| page.select(&scraper::Selector::parse(css).expect("a selector")).collect::<Vec<_>>();
        let mut all: Vec<String> = found("[name=preset]")
            .iter()
            .filter_map(|button| button.value().attr("value").map(str::to_owned))
            .collect();
        all.extend(found("#window-hint code, #cron-hint code").iter().map(|code| code.text().collect()));
        all
    };
    let test = site().await;
    let page = test.operator().await.get("/schedules/new").await;
    let examples = examples(&page.body);
    assert!(examples.len() >= 12, "{examples:?}");
    for text in examples {
        let zone = jiff::tz::TimeZone::UTC;
        let is_window = text.starts_with("sleep") || text.starts_with("awake");
        let told = if is_window {
            docknap::domain::window::Window::parse(&text).map(drop).map_err(|error| format!("{error:?}"))
        } else {
            docknap::domain::cron::Cron::parse(&text)
                .map(|cron| assert!(cron.next(NOW.parse().expect("an instant"), &zone).is_some(), "{text}"))
                .map_err(|error| format!("{error:?}"))
        };
        assert_eq!(told, Ok(()), "{text}");
    }
}

#[tokio::test]
async fn previews_come_at_the_pace_of_typing() {
    let test = TestApp::new().await;
    let mut operator = test.operator().await;
    let form = [("kind", "cron"), ("cron", "0 23 * * *"), ("action", "stop"), ("target", "")];
    for _ in 0..60 {
        assert_ne!(operator.post_part("/schedules/preview", &form).await.status, 429);
    }
    // A slow machine earns some more meanwhile.
    let mut paused = operator.post_part("/schedules/preview", &form).await;
    for _ in 0..60 {
        if paused.status == 429 {
            break;
        }
        paused = operator.post_part("/schedules/preview", &form).await;
    }
    assert_eq!((paused.status, paused.header("hx-retarget")), (429, "#preview-paused"), "{}", paused.body);
    assert!(paused.body.contains("Paused for a moment"), "{}", paused.body);
    // Its place is on the page, and whoever else types is not held back.
    let page = operator.get("/schedules/new").await;
    assert!(page.attribute("#preview #preview-paused", "id").is_some());
    assert_eq!(test.admin().await.post_part("/schedules/preview", &form).await.status, 200);
    let mut program = test.bearer(docknap::domain::permission::Role::Operator).await;
    let body =
        serde_json::json!({"target_type": "stack", "target_id": "x", "action": "stop", "cron": "0 23 * * *"});
    let mut statuses = Vec::new();
    for _ in 0..62 {
        let answer = program.post_json("/api/schedules/preview", &body).await;
        statuses.push((answer.status, answer.header("retry-after").to_owned()));
    }
    assert_eq!(statuses.last(), Some(&(429, "1".to_owned())), "{statuses:?}");
}
