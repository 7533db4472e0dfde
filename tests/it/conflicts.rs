//! Schedules that get in each other's way are told of at save, on the list and in the simulation.

use docknap::app::order;
use docknap::app::paging::Page;
use docknap::app::schedules::{self, Draft, ScheduleFilter};
use docknap::domain::ids::{HostId, ScheduleId};
use docknap::domain::schedule::Source;
use docknap::domain::target;
use docknap::sim::World;

use crate::support::app::{NOW, TestApp};
use crate::support::bench::{Bench, person};

fn shop() -> World {
    World::new().stack("shop", |s| {
        s.service("db", |c| c).service("api", |c| c.depends_on("db")).service("web", |c| c.depends_on("api"))
    })
}

fn of(kind: &str, name: &str) -> Draft {
    Draft { target_type: Some(kind.to_owned()), target_id: Some(name.to_owned()), ..Draft::default() }
}

fn window(kind: &str, name: &str, text: &str) -> Draft {
    Draft { window: Some(text.to_owned()), ..of(kind, name) }
}

fn cron(kind: &str, name: &str, text: &str, action: &str) -> Draft {
    Draft { cron: Some(text.to_owned()), action: Some(action.to_owned()), ..of(kind, name) }
}

/// What saving says.
async fn warned(bench: &Bench, draft: Draft) -> String {
    let saved = schedules::create(&bench.app, &person(), &draft, Source::Api).await.expect("it is saved");
    saved.warnings.join("\n")
}

#[tokio::test]
async fn a_stop_inside_anothers_time_awake_is_told_of() {
    let bench = Bench::new(NOW, shop()).await;
    assert_eq!(warned(&bench, window("stack", "shop", "sleep 23:00-07:00")).await, "");
    let told = warned(&bench, cron("stack", "shop", "0 12 * * *", "stop")).await;
    assert!(told.contains("At 2026-11-28 12:00 (UTC) this goes against “Sleep shop”"), "{told}");
    assert!(told.contains("it is to be awake then"), "{told}");
    // With the window, not against it.
    assert_eq!(warned(&bench, cron("container", "shop-web-1", "30 23 * * *", "stop")).await, "");
    let told = warned(&bench, cron("container", "shop-web-1", "0 3 * * *", "start")).await;
    assert!(told.contains("it is to be asleep then"), "{told}");
}

#[tokio::test]
async fn a_window_is_told_of_what_goes_against_it() {
    let bench = Bench::new(NOW, shop()).await;
    warned(&bench, cron("stack", "shop", "0 12 * * *", "stop")).await;
    let draft = Draft { policy: Some("enforce".to_owned()), ..window("stack", "shop", "sleep 23:00-07:00") };
    let told = warned(&bench, draft).await;
    assert!(
        told.contains("“Stop shop” goes against this") && told.contains("put back after 5 minutes"),
        "{told}"
    );
}

#[tokio::test]
async fn a_preview_tells_of_the_same_policy_as_the_save() {
    let bench = Bench::new(NOW, shop()).await;
    warned(&bench, cron("stack", "shop", "0 12 * * *", "stop")).await;
    let draft = Draft { policy: Some("enforce".to_owned()), ..window("stack", "shop", "sleep 23:00-07:00") };
    let preview = schedules::preview(&bench.app, &person(), &draft).await.expect("it is previewed");
    assert_eq!(preview.warnings.join("\n"), warned(&bench, draft).await);
}

#[tokio::test]
async fn the_list_compares_those_of_one_container_however_many_others_there_are() {
    let bench = Bench::new(NOW, shop()).await;
    warned(&bench, window("container", "shop-db-1", "sleep 23:00-07:00")).await;
    for minute in 0..100 {
        let text = format!("{} 0 * * *", minute % 60);
        warned(&bench, cron("container", "shop-web-1", &text, "restart")).await;
    }
    let told = warned(&bench, cron("container", "shop-db-1", "0 12 * * *", "stop")).await;
    assert!(told.contains("goes against"), "{told}");
    let page = Page { limit: 1, cursor: None };
    let newest = schedules::list(&bench.app, &person(), &ScheduleFilter::default(), &page).await;
    let newest = newest.expect("they are listed").items;
    let found = schedules::conflicts(&bench.app, &person(), &newest).await.expect("they are compared");
    assert!(found[&newest[0].schedule.id].sentence.contains("goes against"), "{found:?}");
}

#[tokio::test]
async fn the_list_passes_over_none_that_says_something_else() {
    let stop = |text: &str| cron("stack", "shop", text, "stop");
    // Each differs in one thing from one that goes with the window, and goes against it.
    for other in [
        stop("30 12 * * *"),
        cron("stack", "shop", "30 23 * * *", "start"),
        Draft { timezone: Some("Asia/Tokyo".to_owned()), ..stop("30 23 * * *") },
    ] {
        let bench = Bench::new(NOW, shop()).await;
        warned(&bench, stop("30 23 * * *")).await;
        warned(&bench, other.clone()).await;
        warned(&bench, window("stack", "shop", "sleep 23:00-07:00")).await;
        let page = Page { limit: 3, cursor: None };
        let listed = schedules::list(&bench.app, &person(), &ScheduleFilter::default(), &page).await;
        let listed = listed.expect("they are listed").items;
        let found = schedules::conflicts(&bench.app, &person(), &listed).await.expect("they are compared");
        let clash = &found[&listed[0].schedule.id];
        assert_eq!(clash.other.as_ref(), Some(&listed[1].schedule.id), "{other:?}: {clash:?}");
    }
}

#[tokio::test]
async fn what_the_list_tells_is_to_come_and_goes_by_what_is_stored() {
    let bench = Bench::new("2026-11-27T11:58:30Z", shop()).await;
    warned(&bench, window("stack", "shop", "sleep 23:00-07:00")).await;
    warned(&bench, cron("stack", "shop", "0 12 * * *", "stop")).await;
    let page = Page { limit: 2, cursor: None };
    let listed = schedules::list(&bench.app, &person(), &ScheduleFilter::default(), &page).await;
    let listed = listed.expect("they are listed").items;
    let told = async || {
        let told = schedules::conflicts(&bench.app, &person(), &listed).await.expect("they are compared");
        told.get(&listed[0].schedule.id).map(|clash| clash.sentence.clone()).unwrap_or_default()
    };
    let first = told().await;
    assert!(first.starts_with("At 2026-11-27 12:00"), "{first}");
    // Its time comes.
    bench.clock.set_wall("2026-11-27T12:00:00Z".parse().expect("an instant"));
    let later = told().await;
    assert!(later.starts_with("At 2026-11-28 12:00"), "{later}");
    // What it is compared with is edited.
    let other = window("stack", "shop", "sleep 11:00-14:00");
    let edited = &listed[1].schedule;
    schedules::update(&bench.app, &person(), &edited.id, &other, Some(edited.rev))
        .await
        .expect("it is saved");
    assert_eq!(told().await, "", "it goes with it");
}

#[tokio::test]
async fn the_list_knows_what_is_older_than_a_thousand_others() {
    let world = shop().stack("other", |s| s.service("app", |c| c));
    let bench = Bench::new(NOW, world).await;
    // Of the stack, and of a member that another one needs.
    warned(&bench, window("stack", "shop", "sleep 23:00-07:00")).await;
    warned(&bench, window("container", "shop-db-1", "sleep 22:00-08:00")).await;
    let page = |limit| Page { limit, cursor: None };
    let listed = |page| {
        let app = &bench.app;
        async move { schedules::list(app, &person(), &ScheduleFilter::default(), &page).await }
    };
    let old = listed(page(1)).await.expect("it is listed").items.remove(0).schedule;
    let mut tx = bench.app.db.begin().await.expect("a transaction");
    for n in 0..1_000 {
        let mut one = old.clone();
        one.id = ScheduleId(format!("{}-{n:04}", old.id));
        one.spec.target = target::Target::stack(HostId::local(), "other");
        docknap::db::schedules::insert(&mut tx, &one).await.expect("it is stored");
    }
    tx.commit().await.expect("they are stored");
    warned(&bench, cron("stack", "shop", "0 12 * * *", "stop")).await;
    warned(&bench, window("container", "shop-api-1", "sleep 01:00-03:00")).await;
    let newest = listed(page(2)).await.expect("they are listed").items;
    let found = schedules::conflicts(&bench.app, &person(), &newest).await.expect("they are compared");
    let said: Vec<&str> = newest.iter().map(|view| found[&view.schedule.id].sentence.as_str()).collect();
    assert!(said[0].contains("these count alone"), "{said:?}");
    assert!(said[1].contains("goes against"), "{said:?}");
    // The oldest ones, where the others are between.
    let oldest = schedules::get(&bench.app, &person(), &old.id).await.expect("it is there");
    let found = schedules::conflicts(&bench.app, &person(), std::slice::from_ref(&oldest)).await;
    assert!(found.expect("they are compared").contains_key(&old.id));
}

#[tokio::test]
async fn that_a_pause_does_not_last_is_told_beside_everything_else() {
    let world = World::new()
        .stack("shop", |s| s.service("db", docknap::sim::ContainerSpec::protect).service("web", |c| c));
    let bench = Bench::new(NOW, world).await;
    let told = warned(&bench, cron("stack", "shop", "0 12 * * *", "pause")).await;
    assert!(told.contains("`shop-db-1` is left out"), "{told}");
    assert_eq!(told.matches("comes back running").count(), 1, "{told}");
}

#[tokio::test]
async fn the_rules_of_a_stack_and_its_member_are_told_apart() {
    let bench = Bench::new(NOW, shop()).await;
    warned(&bench, window("stack", "shop", "sleep 23:00-07:00")).await;
    let told = warned(&bench, window("container", "shop-web-1", "sleep 22:00-08:00")).await;
    assert!(told.contains("For it these count alone"), "{told}");
}

#[tokio::test]
async fn what_sleeps_while_it_is_needed_is_told_of() {
    let bench = Bench::new(NOW, shop()).await;
    let told = warned(&bench, window("container", "shop-db-1", "sleep 22:00-08:00")).await;
    assert_eq!(told, "shop-api-1 needs it and is not asleep then.");
    // Nothing needs the last of the chain.
    assert_eq!(warned(&bench, window("container", "shop-web-1", "sleep 22:00-08:00")).await, "");
}

#[tokio::test]
async fn a_member_awake_while_its_stack_sleeps_is_told_of() {
    let bench = Bench::new(NOW, shop()).await;
    assert_eq!(warned(&bench, window("stack", "shop", "sleep 23:00-07:00")).await, "");
    let told = warned(&bench, window("container", "shop-web-1", "sleep 01:00-07:00")).await;
    assert!(
        told.contains(
            "At 2026-11-27 23:00 (UTC) shop-api-1 is asleep, and shop-web-1, which needs it, is not."
        ),
        "{told}"
    );
}

#[tokio::test]
async fn what_is_never_touched_stays_awake_while_what_it_needs_sleeps_with_their_stack() {
    let world = World::new()
        .stack("shop", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db").protect()));
    let bench = Bench::new(NOW, world).await;
    let told = warned(&bench, window("stack", "shop", "sleep 23:00-07:00")).await;
    assert!(told.contains("shop-db-1 is asleep, and shop-web-1, which needs it, is not."), "{told}");
}

#[tokio::test]
async fn a_network_of_another_stack_is_needed_too() {
    let world = shop().stack("guest", |s| s.service("app", |c| c.network_of("shop-web-1")));
    let bench = Bench::new(NOW, world).await;
    let told = warned(&bench, window("stack", "shop", "sleep 23:00-07:00")).await;
    assert!(told.contains("shop-web-1 is asleep, and guest-app-1, which needs it, is not."), "{told}");
}

#[tokio::test]
async fn what_another_stack_needs_is_told_of_at_save_and_on_the_list() {
    let world = shop().stack("core", |s| s.service("queue", |c| c));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let edge = order::Draft {
        dependant_type: Some("stack".to_owned()),
        dependant_id: Some("shop".to_owned()),
        dependency_type: Some("stack".to_owned()),
        dependency_id: Some("core".to_owned()),
        ..order::Draft::default()
    };
    order::add(&test.app, &person(), &edge).await.expect("it is added");
    let told = warned(test.bench(), window("stack", "core", "sleep 22:00-07:00")).await;
    assert!(told.contains("core-queue-1 is asleep, and shop-"), "{told}");
    let list = test.operator().await.get("/schedules").await;
    assert!(list.text(".conflict").contains("core-queue-1 is asleep"), "{}", list.text("#schedules"));
    // Asleep together, nobody misses anybody.
    assert_eq!(warned(test.bench(), window("stack", "shop", "sleep 22:00-07:00")).await, "");
    assert_eq!(test.operator().await.get("/schedules").await.text(".conflict"), "");
}

#[tokio::test]
async fn the_list_and_the_simulation_tell_of_them() {
    let test = TestApp::over(Bench::new(NOW, shop()).await).await;
    for draft in [window("stack", "shop", "sleep 23:00-07:00"), cron("stack", "shop", "0 12 * * *", "stop")] {
        warned(test.bench(), draft).await;
    }
    let list = test.operator().await.get("/schedules").await;
    assert!(list.text(".conflict").contains("goes against"), "{}", list.text("#schedules"));

    let mut program = test.bearer(docknap::domain::permission::Role::Viewer).await;
    let answer =
        program.get("/api/simulate?from=2026-11-28&to=2026-11-29&target_type=stack&target_id=shop").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told = answer.json();
    let at = |i: usize| told["events"][i]["at"].as_str().map(str::to_owned);
    assert_eq!(at(0).as_deref(), Some("2026-11-28T07:00:00.000Z"), "{told}");
    assert_eq!(told["events"][0]["state"], "awake");
    assert_eq!(
        (at(1).as_deref(), &told["events"][1]["action"]),
        (Some("2026-11-28T12:00:00.000Z"), &"stop".into())
    );
    assert!(
        told["events"][1]["reason"].as_str().is_some_and(|reason| reason.contains("stays until")),
        "{told}"
    );
    for (query, field) in [
        ("from=soon", "from"),
        ("to=2020-01-01", "to"),
        ("from=2026-11-28&to=2027-11-28", "to"),
        ("target_id=shop", "target_type"),
        ("target_type=stack&target_id=shoop", "target_id"),
    ] {
        let refused = program.get(&format!("/api/simulate?{query}")).await;
        assert_eq!(
            (refused.status, refused.wrong_field()),
            (422, field.to_owned()),
            "{query}: {}",
            refused.body
        );
    }
}

#[tokio::test]
async fn the_page_that_looks_ahead_tells_days_marks_and_what_is_left_out() {
    let test = TestApp::over(Bench::new(NOW, shop()).await).await;
    let mut admin = test.bearer(docknap::domain::permission::Role::Admin).await;
    let calendar = serde_json::json!({"name": "Holidays", "dates": ["2026-12-01"]});
    let calendar =
        admin.post_json("/api/calendars", &calendar).await.json()["id"].as_str().map(str::to_owned);
    let nights = Draft {
        name: Some("Nights".to_owned()),
        calendar_id: calendar,
        calendar_effect: Some("awake".to_owned()),
        ..window("stack", "shop", "sleep 23:00-07:00")
    };
    for draft in [nights, cron("stack", "shop", "0 12 28 11 *", "restart")] {
        warned(test.bench(), draft).await;
    }
    let mut viewer = test.viewer().await;
    let page = viewer.get("/timeline?view=agenda&to=2026-12-01").await;
    assert_eq!(page.status, 200, "{}", page.body);
    let told = page.text("#ahead");
    for words in [
        "Saturday 28 November 2026",
        "07:00 Awake shop Nights",
        "12:00 Restart shop",
        "23:00 Asleep shop Nights",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(told.contains("In the calendar of Nights"), "{told}");
    // The first of December is in it, and nobody sleeps then.
    let december = told.split("Tuesday 1 December 2026").nth(1).expect("the last day is told");
    assert!(!december.contains("23:00 Asleep"), "{december}");
    assert_eq!(page.attribute("#to", "value").as_deref(), Some("2026-12-01"));

    for (query, field) in [("date=soon", "date"), ("to=2020-01-01", "to"), ("target=stack%2Fnope", "target")]
    {
        let refused = viewer.get(&format!("/timeline?view=agenda&{query}")).await;
        assert_eq!(refused.status, 422, "{query}");
        assert_eq!(
            refused.attribute(&format!("#{field}"), "aria-invalid").as_deref(),
            Some("true"),
            "{query}"
        );
    }
    let page = viewer
        .get(&format!("/timeline?view=agenda&target=stack%2F{}", target::key(&HostId::local(), "shop")))
        .await;
    assert!(page.text("#ahead").contains("Nights"), "{}", page.text("main"));
}

#[tokio::test]
async fn more_than_a_page_of_one_instant_is_told_whole_and_goes_on() {
    let world = (0..305)
        .fold(World::new(), |world, number| world.stack(&format!("s{number}"), |s| s.service("web", |c| c)));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    for number in 0..305 {
        warned(test.bench(), cron("stack", &format!("s{number}"), "0 12 * * *", "stop")).await;
    }
    let mut viewer = test.viewer().await;
    let first = viewer.get("/timeline?view=agenda&to=2026-11-29").await;
    assert!(first.text("#ahead").contains("305 changes on this page"), "{}", first.text(".facts"));
    let more = first.attribute("#ahead .pager a", "href").expect("it goes on");
    let second = viewer.get(&more).await;
    assert!(second.text("#ahead").contains("Sunday 29 November 2026"), "{more}");
    assert_eq!(second.attribute("#ahead .pager a", "href"), None, "and ends");
}
