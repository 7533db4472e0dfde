//! Schedules that act on some dates only, by weeks, by weekdays of a month or by a calendar: what the service takes, what fires, and that every page and file agrees.

use docknap::app::audit::{self, AuditFilter};
use docknap::app::paging::Page;
use docknap::app::schedules::{self, Draft, ScheduleFilter, ScheduleView};
use docknap::app::simulate::{self, Question};
use docknap::app::{Actor, Error, calendars, timeline};
use docknap::domain::calendar::CalendarDraft;
use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::domain::run::RunState;
use docknap::domain::schedule::Source;
use docknap::domain::target;
use docknap::sim::World;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;
use crate::windows::{at, keep, look, runs};

/// A Monday.
const NOW: &str = "2026-11-30T12:00:00Z";

fn shop() -> World {
    World::new().stack("shop", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
}

/// Jumps to an instant, lets the scheduler look there, and lets its runs end.
async fn reach(bench: &Bench, instant: &str) {
    bench.leap_to(at(instant)).await;
    look(bench).await;
}

fn draft(fields: Value) -> Draft {
    let mut all = json!({"target_type": "stack", "target_id": "shop"});
    let Value::Object(fields) = fields else { panic!("an object: {fields}") };
    all.as_object_mut().expect("an object").extend(fields);
    serde_json::from_value(all).expect("a draft")
}

async fn refused(bench: &Bench, fields: Value) -> Vec<(String, String)> {
    match schedules::create(&bench.app, &person(), &draft(fields), Source::Api).await {
        Err(Error::Invalid(faults)) => faults.into_iter().map(|fault| (fault.field, fault.message)).collect(),
        other => panic!("it should be refused: {other:?}"),
    }
}

fn fields(faults: &[(String, String)]) -> Vec<&str> {
    faults.iter().map(|(field, _)| field.as_str()).collect()
}

/// The instants of the next fires or edges, in the preview.
async fn next(bench: &Bench, fields: Value) -> Vec<String> {
    let preview = schedules::preview(&bench.app, &person(), &draft(fields)).await.expect("a preview");
    preview.next.iter().map(|coming| coming.at.to_string()).collect()
}

on_both_engines!(
    a_schedule_of_every_second_week_fires_in_its_weeks,
    the_first_and_the_last_weekday_of_a_month_fire,
    a_schedule_acts_on_the_days_of_its_calendar_alone,
);

async fn a_schedule_of_every_second_week_fires_in_its_weeks(database: TestDb) {
    let bench = Bench::on(database, NOW, shop()).await;
    let weeks = json!({"cron": "0 23 * * 1", "action": "stop", "every_weeks": 2, "anchor": "2026-12-10"});
    let view = keep(&bench, draft(weeks.clone())).await;
    let start = json!({"cron": "0 23 * * 1", "action": "start", "every_weeks": 2, "anchor": "2026-12-02"});
    keep(&bench, draft(start)).await;
    let stored = schedules::get(&bench.app, &person(), &view.schedule.id).await.expect("it is there");
    assert_eq!(stored.schedule.spec.every_weeks, view.schedule.spec.every_weeks);
    assert_eq!(stored.meaning, "At 23:00, on Monday, every 2nd week, counted from the week of 10 Dec 2026");
    assert_eq!(stored.next_at.map(|at| at.to_string()).as_deref(), Some("2026-12-07T23:00:00Z"));
    assert_eq!(next(&bench, weeks).await[..2], ["2026-12-07T23:00:00Z", "2026-12-21T23:00:00Z"]);
    // The two never meet, so the preview of either warns of nothing.
    let clash = schedules::conflicts(&bench.app, &person(), &[stored]).await.expect("they are compared");
    assert!(clash.is_empty(), "{clash:?}");

    let question = Question { to: Some("2027-01-01".to_owned()), ..Question::default() };
    let foretold = simulate::simulate(&bench.app, &person(), &question).await.expect("a forecast");
    let of_stop = |at: &str| {
        foretold.simulation.events.iter().any(|event| {
            event.at.to_string() == at
                && event.schedule.as_ref().is_some_and(|(id, _)| *id == view.schedule.id)
        })
    };
    assert!(of_stop("2026-12-07T23:00:00Z") && of_stop("2026-12-21T23:00:00Z"));
    assert!(!of_stop("2026-11-30T23:00:00Z") && !of_stop("2026-12-14T23:00:00Z"));
    let file = timeline::feed(&bench.app, &person()).await.expect("a file");
    let starts = |at: &str| file.contains(&format!("UID:fire-{}", view.schedule.id)) && file.contains(at);
    assert!(starts("DTSTART:20261207T230000Z") && starts("DTSTART:20261221T230000Z"), "{file}");

    reach(&bench, "2026-11-30T23:00:00Z").await;
    reach(&bench, "2026-12-07T23:00:00Z").await;
    reach(&bench, "2026-12-14T23:00:00Z").await;
    let told: Vec<_> = runs(&bench)
        .await
        .iter()
        .map(|run| (run.fire_at.expect("a fire").to_string(), run.action.as_str(), run.state))
        .collect();
    let expected = [
        ("2026-11-30T23:00:00Z", "start"),
        ("2026-12-07T23:00:00Z", "stop"),
        ("2026-12-14T23:00:00Z", "start"),
    ];
    let expected = expected.map(|(at, action)| (at.to_owned(), action, RunState::Succeeded));
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_sleep_of_every_second_week_leaves_the_others_awake() {
    let bench = Bench::new(NOW, shop()).await;
    let weeks = json!({"window": "sleep 23:00-07:00", "every_weeks": 2, "anchor": "2026-12-07"});
    let expected = ["2026-12-07T23:00:00Z", "2026-12-08T07:00:00Z"];
    assert_eq!(next(&bench, weeks.clone()).await[..2], expected);
    let preview = schedules::preview(&bench.app, &person(), &draft(weeks.clone())).await.expect("a preview");
    assert_eq!(preview.asleep_minutes, Some(28 * 60), "half of the 56 hours of each second week");
    keep(&bench, draft(weeks)).await;
    reach(&bench, "2026-12-01T02:00:00Z").await;
    assert!(runs(&bench).await.is_empty());
    reach(&bench, "2026-12-07T23:00:00Z").await;
    assert_eq!(runs(&bench).await.len(), 1);
    reach(&bench, "2026-12-08T07:00:00Z").await;
    assert_eq!(runs(&bench).await.len(), 2);
    // From the last Sunday of its week it sleeps into the next.
    reach(&bench, "2026-12-13T22:30:00Z").await;
    let before = runs(&bench).await.len();
    reach(&bench, "2026-12-13T23:00:00Z").await;
    reach(&bench, "2026-12-14T07:00:00Z").await;
    reach(&bench, "2026-12-14T23:30:00Z").await;
    assert_eq!(runs(&bench).await.len(), before + 2);
}

#[tokio::test]
async fn weeks_that_cannot_be_are_refused_and_every_fault_is_named() {
    let bench = Bench::new(NOW, shop()).await;
    let cron = |extra: Value| {
        let mut all = json!({"cron": "0 23 * * *", "action": "stop"});
        all.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        all
    };
    for (extra, expected) in [
        (json!({"every_weeks": 2}), &["anchor"][..]),
        (json!({"anchor": "2026-11-30"}), &["every_weeks"]),
        (json!({"every_weeks": 1, "anchor": "2026-13-01"}), &["every_weeks", "anchor"]),
        (json!({"every_weeks": "two", "anchor": "2026-11-30"}), &["every_weeks"]),
        (json!({"every_weeks": 53, "anchor": "2026-11-30", "priority": "x"}), &["priority", "every_weeks"]),
    ] {
        let faults = refused(&bench, cron(extra.clone())).await;
        assert_eq!(fields(&faults), expected, "{extra}: {faults:?}");
    }
    let weeks = json!({"every_weeks": 2, "anchor": "2026-11-30"});
    for base in [
        json!({"window": "awake Mon-Fri 08:00-18:00"}),
        json!({"window": "Awake 08:00-18:00"}),
        json!({"at": "2026-12-24T18:00", "action": "stop"}),
        json!({"kind": "once", "action": "stop", "at": "no date"}),
    ] {
        let mut all = base.clone();
        all.as_object_mut().expect("an object").extend(weeks.as_object().expect("an object").clone());
        let faults = refused(&bench, all).await;
        assert!(fields(&faults).contains(&"every_weeks"), "{base}: {faults:?}");
    }
    let never = json!({"cron": "0 0 29 2 *", "action": "stop", "every_weeks": 52, "anchor": "2026-11-30"});
    let faults = refused(&bench, never).await;
    assert!(faults[0].1.contains("not within 100 years"), "{faults:?}");
    assert!(runs(&bench).await.is_empty());
}

async fn the_first_and_the_last_weekday_of_a_month_fire(database: TestDb) {
    let bench = Bench::on(database, NOW, shop()).await;
    let fridays = json!({"cron": "0 18 * * 5", "action": "stop", "nth": [-1, 1]});
    let expected = ["2026-12-04T18:00:00Z", "2026-12-25T18:00:00Z", "2027-01-01T18:00:00Z"];
    assert_eq!(next(&bench, fridays.clone()).await[..3], expected);
    let view = keep(&bench, draft(fridays)).await;
    assert_eq!(view.meaning, "At 18:00, on Friday, only on the 1st and last Friday of the month");
    let stored = schedules::get(&bench.app, &person(), &view.schedule.id).await.expect("it is there");
    assert_eq!(stored.schedule.spec.nth.to_text().as_deref(), Some("1,-1"));
    reach(&bench, "2026-12-04T18:00:00Z").await;
    reach(&bench, "2026-12-11T18:00:00Z").await;
    reach(&bench, "2026-12-25T18:00:00Z").await;
    let told: Vec<String> =
        runs(&bench).await.iter().map(|run| run.fire_at.expect("a fire").to_string()).collect();
    assert_eq!(told, expected[..2]);

    let sleep = json!({"window": "sleep Sat 22:00 - Mon 06:00", "nth": "1", "every_weeks": 2, "anchor": "2026-12-05"});
    let edges = next(&bench, sleep).await;
    assert_eq!(edges[..3], ["2027-01-02T22:00:00Z", "2027-01-04T06:00:00Z", "2027-06-05T22:00:00Z"]);
    for (fields, message) in [
        (json!({"cron": "0 18 * * 5", "action": "stop", "nth": [0]}), "numbers from 1 to 5"),
        (json!({"cron": "0 18 * * 5", "action": "stop", "nth": [1, "x"]}), "numbers from 1 to 5"),
        (json!({"cron": "0 18 1 * *", "action": "stop", "nth": [5]}), "not within 100 years"),
        (json!({"window": "awake 08:00-18:00", "nth": [1]}), "cron expression or a `sleep` window"),
        (json!({"at": "2027-12-24T18:00", "action": "stop", "nth": [1]}), "does not repeat"),
    ] {
        let faults = refused(&bench, fields.clone()).await;
        let [(field, told)] = faults.as_slice() else { panic!("{fields}: {faults:?}") };
        assert!(field == "nth" && told.contains(message), "{fields}: {faults:?}");
    }
}

async fn a_schedule_acts_on_the_days_of_its_calendar_alone(database: TestDb) {
    let bench = Bench::on(database, NOW, shop()).await;
    let with_dates = async |name: &str, dates: &[&str]| {
        let dates = dates.iter().map(|date| (*date).to_owned()).collect();
        let draft = CalendarDraft { name: name.to_owned(), dates, ..CalendarDraft::default() };
        calendars::create(&bench.app, &Actor::cli(), &draft).await.expect("it is stored").id.0
    };
    let days = with_dates("Inventory", &["2026-12-02", "2026-12-05"]).await;
    let gone = with_dates("Last year", &["2025-12-02"]).await;
    let cron =
        json!({"cron": "0 18 * * *", "action": "stop", "calendar_id": days, "calendar_effect": "only"});
    assert_eq!(next(&bench, cron.clone()).await, ["2026-12-02T18:00:00Z", "2026-12-05T18:00:00Z"]);
    let view = keep(&bench, draft(cron)).await;
    assert_eq!(view.meaning, "At 18:00, only on the days of its calendar");
    assert_eq!(view.next_at.map(|at| at.to_string()).as_deref(), Some("2026-12-02T18:00:00Z"));
    let sleep = json!({"window": "sleep 20:00-06:00", "calendar_id": days, "calendar_effect": "only"});
    let edges =
        ["2026-12-02T20:00:00Z", "2026-12-03T06:00:00Z", "2026-12-05T20:00:00Z", "2026-12-06T06:00:00Z"];
    assert_eq!(next(&bench, sleep).await, edges);

    let question = Question { to: Some("2026-12-10".to_owned()), ..Question::default() };
    let foretold = simulate::simulate(&bench.app, &person(), &question).await.expect("a forecast");
    let events: Vec<_> =
        foretold.simulation.events.iter().map(|event| (event.at.to_string(), event.acts)).collect();
    let expected = ["2026-12-02T18:00:00Z", "2026-12-05T18:00:00Z"].map(|at| (at.to_owned(), true));
    assert_eq!(events, expected, "the other days are not listed as left out");
    let fires = ["2026-12-01", "2026-12-02", "2026-12-03", "2026-12-05", "2026-12-06"];
    for day in fires {
        reach(&bench, &format!("{day}T18:00:00Z")).await;
    }
    let told: Vec<_> =
        runs(&bench).await.iter().map(|run| run.fire_at.expect("a fire").to_string()).collect();
    assert_eq!(told, ["2026-12-02T18:00:00Z", "2026-12-05T18:00:00Z"]);

    let none =
        json!({"cron": "0 18 * * *", "action": "stop", "calendar_id": gone, "calendar_effect": "only"});
    let preview = schedules::preview(&bench.app, &person(), &draft(none)).await.expect("a preview");
    assert!(preview.next.is_empty());
    assert!(preview.warnings.iter().any(|one| one.starts_with("No day to come")), "{:?}", preview.warnings);
    for (time, message) in [
        (json!({"window": "awake 08:00-18:00"}), "cron expression or a `sleep` window"),
        (json!({"at": "2027-12-24T18:00", "action": "stop"}), "does not repeat"),
    ] {
        let mut all = json!({"calendar_id": days, "calendar_effect": "only"});
        all.as_object_mut().expect("an object").extend(time.as_object().expect("an object").clone());
        let faults = refused(&bench, all).await;
        let [(field, told)] = faults.as_slice() else { panic!("{time}: {faults:?}") };
        assert!(field == "calendar_effect" && told.contains(message), "{time}: {faults:?}");
    }
    let wrong =
        json!({"cron": "0 18 * * *", "action": "stop", "calendar_id": days, "calendar_effect": "awake"});
    assert_eq!(refused(&bench, wrong).await[0].1, "say what its dates do: skip or only");
}

#[tokio::test]
async fn the_form_offers_the_days_of_a_calendar_alone() {
    let test = TestApp::over(Bench::new(NOW, shop()).await).await;
    let dates = vec!["2026-12-02".to_owned()];
    let days = CalendarDraft { name: "Inventory".to_owned(), dates, ..CalendarDraft::default() };
    let days = calendars::create(&test.app, &Actor::cli(), &days).await.expect("it is stored").id.0;
    let mut otto = test.operator().await;
    let key = format!("stack/{}", target::key(&HostId::local(), "shop"));
    let base = [("target", key.as_str()), ("view", "text"), ("save", "on"), ("calendar_id", days.as_str())];
    let cron = [&base[..], &[("kind", "cron"), ("action", "stop"), ("cron", "0 18 * * *")]].concat();
    // A browser sends both selects; the one for windows does not count here.
    let only = [&cron[..], &[("calendar_effect", "awake"), ("fire_effect", "only")]].concat();
    assert_eq!(otto.post("/schedules", &only).await.location(), "/schedules");
    let view = self::only(&test).await;
    assert_eq!(view.schedule.spec.calendar.map(|(_, effect)| effect.as_str()), Some("only"));
    let page = otto.get(&format!("/schedules/{}", view.schedule.id)).await;
    assert!(page.attribute("#fire_effect [value='only']", "selected").is_some());
    let wrong = [&cron[..], &[("fire_effect", "asleep")]].concat();
    let refused = otto.post("/schedules", &wrong).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.attribute("#errors a", "href").as_deref(), Some("#fire_effect"));
    let window =
        [&base[..], &[("kind", "window"), ("window", "awake 08:00-18:00"), ("calendar_effect", "only")]];
    let refused = otto.post("/schedules", &window.concat()).await;
    assert_eq!(refused.attribute("#errors a", "href").as_deref(), Some("#calendar_effect"));
    assert!(
        refused.attribute("#calendar_effect [value='only']", "selected").is_some(),
        "what was chosen stays"
    );
}

async fn only(test: &TestApp) -> ScheduleView {
    let found = schedules::list(&test.app, &person(), &ScheduleFilter::default(), &Page::default()).await;
    found.expect("they are listed").items.into_iter().next().expect("there is one")
}

#[tokio::test]
async fn form_and_api_take_the_weeks_and_show_them() {
    let test = TestApp::over(Bench::new(NOW, shop()).await).await;
    let mut otto = test.operator().await;
    let key = format!("stack/{}", target::key(&HostId::local(), "shop"));
    let mut typed = vec![
        ("target", key.as_str()),
        ("action", "stop"),
        ("kind", "cron"),
        ("cron", "0 23 * * 1"),
        ("view", "text"),
        ("catch_up_seconds", "3600"),
        ("priority", "0"),
        ("save", "on"),
        ("every_weeks", "2"),
        ("nth", "1"),
        ("nth", "-1"),
        ("anchor", ""),
    ];
    let refused = otto.post("/schedules", &typed).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.attribute("#errors a", "href").as_deref(), Some("#anchor"));
    assert_eq!(refused.attribute("#every_weeks", "value").as_deref(), Some("2"), "what was typed stays");
    assert!(refused.attribute("#nth [value='-1']", "checked").is_some(), "and what was ticked");
    assert!(refused.attribute("details.more", "open").is_some(), "the field with the error is in sight");
    typed.pop();
    typed.push(("anchor", "2026-12-10"));
    let preview = otto.post("/schedules/preview", &typed).await;
    assert!(preview.text(".meaning").contains("every 2nd week"), "{}", preview.text(".meaning"));
    assert_eq!(otto.post("/schedules", &typed).await.location(), "/schedules");
    let view = only(&test).await;
    let page = otto.get(&format!("/schedules/{}", view.schedule.id)).await;
    assert_eq!(page.attribute("#anchor", "value").as_deref(), Some("2026-12-10"));
    assert!(page.attribute("details.more", "open").is_some());
    assert!(page.attribute("#nth [value='1']", "checked").is_some());
    assert!(page.attribute("#nth [value='2']", "checked").is_none());
    let list = otto.get("/schedules").await;
    assert!(list.body.contains("every 2nd week, counted from the week of 10 Dec 2026"));
    let yaml = otto.get("/schedules.yaml").await.body;
    assert!(yaml.contains("every_weeks: 2") && yaml.contains("anchor: \"2026-12-10\""), "{yaml}");
    assert!(yaml.contains("nth: [1,-1]"), "{yaml}");
    let path = format!("/api/schedules/{}", view.schedule.id);
    let stored = test.bearer(Role::Viewer).await.get(&path).await.json();
    assert_eq!((&stored["every_weeks"], &stored["anchor"]), (&json!(2), &json!("2026-12-10")));
    assert_eq!(stored["nth"], json!([1, -1]));
    let admin = test.actor(Role::Admin).await;
    let rows = audit::list(&test.app, &admin, &AuditFilter::default(), &Page::default()).await;
    let rows = rows.expect("they are listed").items;
    let changes: Vec<_> = rows.iter().flat_map(|row| &row.detail.changes).collect();
    assert!(changes.iter().any(|one| one.field == "every_weeks" && one.new.as_deref() == Some("2")));
}
