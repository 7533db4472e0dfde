//! Schedules from labels of containers: made, changed, kept across a re-creation, switched off and deleted with their
//! container; bad labels; copies; and the setting that chooses what is read.

use std::time::Duration;

use axum::http::Method;
use docknap::app::{Error, calendars, schedules};
use docknap::config::Labels;
use docknap::db;
use docknap::domain::calendar::CalendarDraft;
use docknap::domain::ids::{HostId, ScheduleId};
use docknap::domain::permission::Role;
use docknap::domain::run::RunState;
use docknap::domain::schedule::{LabelOff, Schedule, Source};
use docknap::domain::target::key;
use docknap::sim::{DaemonEnd, Endpoint, World};
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;
use crate::support::sim::Simulated;

/// A Tuesday.
const NOW: &str = "2027-03-02T20:30:00Z";

on_both_engines!(
    a_label_makes_changes_and_deletes_a_schedule,
    a_schedule_stays_when_its_container_is_made_anew_during_the_nap,
    a_schedule_is_off_while_its_container_is_gone,
    what_a_person_switched_off_stays_off,
    a_copy_acts_until_the_label_changes,
    a_copy_of_what_a_person_switched_off_switches_nothing_on,
    each_setting_of_labels_uses_its_schedules,
);

async fn over(db: TestDb, world: World) -> TestApp {
    TestApp::over(Bench::on(db, NOW, world).await).await
}

fn media(label: &str, value: &str) -> World {
    World::new().stack("media", |s| s.service("db", |c| c).service("web", |c| c.label(label, value)))
}

/// The stored schedules of labels, oldest first.
async fn stored(bench: &Bench) -> Vec<Schedule> {
    db::schedules::labelled(&bench.app.db, None).await.expect("it reads")
}

fn loner(label: &str, value: &str) -> World {
    World::new().container("loner", |c| c.label(label, value))
}

/// Puts another container in the place of `loner`.
fn anew(bench: &Bench, world: World) {
    bench.sim.remove("loner");
    bench.sim.up(world);
}

/// The only stored schedule of a label.
async fn only(bench: &Bench) -> Schedule {
    let mut all = stored(bench).await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

/// A pass of the scheduler after everything that happened is known.
async fn pass(bench: &Bench) {
    bench.quiet().await;
    bench.tick().await;
    bench.settle().await;
}

async fn later(bench: &Bench, minutes: u64) {
    bench.advance(Duration::from_secs(minutes * 60)).await;
    pass(bench).await;
}

/// Gives a container another label, by a re-creation.
fn relabel(bench: &Bench, name: &str, label: &str, value: Option<&str>) {
    bench.sim.update(name, |c| match value {
        Some(value) => c.label(label, value),
        None => c.without_label(label),
    });
    bench.sim.recreate(name);
}

async fn container(test: &TestApp, name: &str) -> Value {
    test.bearer(Role::Admin).await.get(&format!("/api/containers/local/{name}")).await.json()
}

async fn a_label_makes_changes_and_deletes_a_schedule(db: TestDb) {
    let test = over(db, media("docknap.stack.sleep", "22:00-06:00")).await;
    let bench = test.bench();
    pass(bench).await;
    let mut admin = test.bearer(Role::Admin).await;
    let items = admin.get("/api/schedules").await.json()["items"].clone();
    let one = &items[0];
    for (field, value) in [
        ("source", "label"),
        ("label", "docknap.stack.sleep"),
        ("carrier", "media-web-1"),
        ("target_type", "stack"),
        ("target_id", "media"),
        ("window", "sleep 22:00-06:00"),
        ("next_at", "2027-03-02T22:00:00.000Z"),
    ] {
        assert_eq!(one[field], value, "{field}: {items:#}");
    }
    // It is read-only, and the page tells where it is from.
    let id = one["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/schedules/{id}");
    let body = json!({"target_type": "stack", "target_id": "media", "window": "sleep 01:00-02:00"});
    let put = admin.send(Method::PUT, &path, Some("application/json"), body.to_string(), &[]).await;
    assert_eq!((put.status, put.json()["code"].clone()), (409, json!("read_only_source")));
    let page = test.operator().await.get(&format!("/schedules/{id}")).await;
    assert!(page.text("main").contains("docknap.stack.sleep of media-web-1"), "{}", page.text("main"));
    // Without a change nothing is written.
    let before = test.audit().await.len();
    pass(bench).await;
    assert_eq!(test.audit().await.len(), before);

    relabel(bench, "media-web-1", "docknap.stack.sleep", Some("23:00-06:00"));
    pass(bench).await;
    let changed = only(bench).await;
    assert_eq!((changed.id.as_str(), changed.spec.enabled), (id.as_str(), true), "the same schedule");
    assert_eq!(changed.next_due, Some("2027-03-02T23:00:00Z".parse().expect("an instant")));

    relabel(bench, "media-web-1", "docknap.stack.sleep", None);
    pass(bench).await;
    assert!(stored(bench).await.is_empty(), "the label is taken away");
    let row =
        db::schedules::get(&test.app.db, &ScheduleId(id)).await.expect("it reads").expect("its row stays");
    assert!(row.deleted_at.is_some());
    let events: Vec<(String, String)> = test
        .audit()
        .await
        .into_iter()
        .filter(|(event, ..)| event.starts_with("schedule."))
        .map(|(event, _, actor, ..)| (event, actor))
        .collect();
    let by = "docknap.stack.sleep of media-web-1".to_owned();
    let expected = ["schedule.create", "schedule.update", "schedule.delete"];
    assert_eq!(events, expected.map(|event| (event.to_owned(), by.clone())));

    // The label can come back: that is a new schedule.
    relabel(bench, "media-web-1", "docknap.stack.sleep", Some("23:00-06:00"));
    pass(bench).await;
    assert_ne!(only(bench).await.id, changed.id);
}

async fn a_schedule_stays_when_its_container_is_made_anew_during_the_nap(db: TestDb) {
    let test = over(db, media("docknap.stack.sleep", "22:00-06:00")).await;
    let bench = test.bench();
    pass(bench).await;
    let before = only(bench).await;
    bench.advance_to("2027-03-02T22:00:00Z").await;
    pass(bench).await;
    assert!(bench.sim.running("media").is_empty(), "it naps");
    bench.sim.make_anew("media-web-1");
    later(bench, 1).await;
    assert_eq!(only(bench).await.id, before.id);
    bench.advance_to("2027-03-03T06:00:00Z").await;
    pass(bench).await;
    assert_eq!(bench.sim.running("media").len(), 2, "it wakes");
}

async fn a_schedule_is_off_while_its_container_is_gone(db: TestDb) {
    let world = World::new().container("loner", |c| c.label("docknap.stop", "0 23 * * *"));
    let test = over(db, world).await;
    let bench = test.bench();
    pass(bench).await;
    let id = only(bench).await.id;
    bench.sim.remove("loner");
    pass(bench).await;
    later(bench, 9).await;
    assert!(only(bench).await.spec.enabled, "9 minutes are not 10");
    later(bench, 2).await;
    let gone = only(bench).await;
    let off = gone.label.as_ref().and_then(|label| label.off);
    assert_eq!((gone.spec.enabled, off, gone.next_due), (false, Some(LabelOff::Gone), None));
    let shown = schedules::get(&bench.app, &person(), &id).await.expect("it is there");
    let reason = shown.off_reason.expect("a reason");
    assert!(reason.contains("its container is gone since 2027-03-02 20:30"), "{reason}");

    bench.sim.up(World::new().container("loner", |c| c.label("docknap.stop", "0 23 * * *")));
    pass(bench).await;
    let back = only(bench).await;
    assert_eq!((&back.id, back.spec.enabled), (&id, true), "the same one, on again");

    // After 30 days it is deleted.
    bench.sim.remove("loner");
    pass(bench).await;
    later(bench, 11).await;
    bench.leap_to(bench.clock.now() + Duration::from_secs(31 * 24 * 3600)).await;
    // The connection may have to be made anew after such a leap.
    later(bench, 2).await;
    assert!(stored(bench).await.is_empty());
}

async fn what_a_person_switched_off_stays_off(db: TestDb) {
    let world = World::new().container("loner", |c| c.label("docknap.stop", "0 23 * * *"));
    let test = over(db, world).await;
    let bench = test.bench();
    pass(bench).await;
    let id = only(bench).await.id;
    schedules::disable(&bench.app, &person(), &id).await.expect("it is switched off");
    bench.sim.remove("loner");
    pass(bench).await;
    later(bench, 11).await;
    bench.sim.up(World::new().container("loner", |c| c.label("docknap.stop", "0 23 * * *")));
    pass(bench).await;
    let back = only(bench).await;
    let gone_at = back.label.as_ref().and_then(|label| label.gone_at);
    assert_eq!((back.id, back.spec.enabled, gone_at), (id, false, None));
}

async fn a_copy_acts_until_the_label_changes(db: TestDb) {
    let test = over(db, media("docknap.stack.sleep", "22:00-06:00")).await;
    let bench = test.bench();
    pass(bench).await;
    let id = only(bench).await.id;
    let mut otto = test.operator().await;
    let copied = otto.post(&format!("/schedules/{id}/editable"), &[]).await;
    assert_eq!(copied.status, 303, "{}", copied.body);
    let copy = ScheduleId::from(copied.location().trim_start_matches("/schedules/"));
    let copy = schedules::get(&bench.app, &person(), &copy).await.expect("it is there").schedule;
    assert_eq!(
        (copy.source, copy.owner_name.as_deref(), copy.spec.enabled),
        (Source::Ui, Some("otto"), true)
    );
    pass(bench).await;
    let label = only(bench).await;
    let off = label.label.as_ref().and_then(|label| label.off);
    assert_eq!((label.spec.enabled, off), (false, Some(LabelOff::Copied)));
    let page = otto.get(&format!("/schedules/{id}")).await;
    assert!(page.text("main").contains("it was copied to an editable schedule"), "{}", page.text("main"));

    // The same label on a new container changes nothing, another text does.
    bench.sim.recreate("media-web-1");
    pass(bench).await;
    assert!(!only(bench).await.spec.enabled);
    relabel(bench, "media-web-1", "docknap.stack.sleep", Some("23:00-06:00"));
    pass(bench).await;
    assert!(only(bench).await.spec.enabled, "the label has changed");
    // What no label defines has no such copy.
    let mut api = test.bearer(Role::Operator).await;
    let refused = api.post_json(&format!("/api/schedules/{}/copy-to-editable", copy.id), &json!({})).await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (409, json!("no_label")));
}

async fn a_copy_of_what_a_person_switched_off_switches_nothing_on(db: TestDb) {
    let test = over(db, loner("docknap.stop", "0 23 * * *")).await;
    let bench = test.bench();
    pass(bench).await;
    let id = only(bench).await.id;
    schedules::disable(&bench.app, &person(), &id).await.expect("it is switched off");
    let copy =
        schedules::copy_to_editable(&bench.app, &person(), &id, Source::Api).await.expect("it is copied");
    assert!(!copy.schedule.spec.enabled, "as the one that was copied");
    anew(bench, loner("docknap.stop", "30 23 * * *"));
    pass(bench).await;
    let label = only(bench).await;
    assert_eq!((label.id, label.spec.enabled), (id, false), "the label has changed");
}

async fn each_setting_of_labels_uses_its_schedules(db: TestDb) {
    let mut bench = Bench::on(db, NOW, media("docknap.stack.sleep", "22:00-06:00")).await;
    pass(&bench).await;
    let draft = schedules::Draft {
        target_type: Some("container".to_owned()),
        target_id: Some("media-db-1".to_owned()),
        action: Some("restart".to_owned()),
        cron: Some("0 21 * * *".to_owned()),
        ..schedules::Draft::default()
    };
    let holidays = CalendarDraft {
        name: "Holidays".to_owned(),
        dates: vec!["2027-03-05".to_owned()],
        ..CalendarDraft::default()
    };
    let calendar = calendars::create(&bench.app, &person(), &holidays).await.expect("it is stored");
    let once = schedules::Draft { cron: None, at: Some("2027-03-02T21:30:00Z".to_owned()), ..draft.clone() };
    let on_workdays = schedules::Draft {
        calendar_id: Some(calendar.id.to_string()),
        cron: Some("15 21 * * *".to_owned()),
        ..draft.clone()
    };
    let mut own = Vec::new();
    for draft in [&draft, &once, &on_workdays] {
        let saved = schedules::create(&bench.app, &person(), draft, Source::Ui).await.expect("it is stored");
        assert!(saved.view.next_at.is_some(), "{saved:?}");
        own.push(saved.view.schedule.id);
    }

    bench.kill();
    bench.labels = Labels::Off;
    bench.revive().await;
    pass(&bench).await;
    let label = only(&bench).await;
    assert_eq!(label.label.as_ref().and_then(|label| label.off), Some(LabelOff::Setting));
    assert!(!label.spec.enabled && label.next_due.is_none());
    let refused = schedules::enable(&bench.app, &person(), &label.id).await;
    assert!(refused.is_err(), "{refused:?}");

    bench.kill();
    bench.labels = Labels::Only;
    bench.revive().await;
    schedules::rezone(&bench.app, "2026a").await.expect("it is timed");
    pass(&bench).await;
    let label = only(&bench).await;
    assert!(label.spec.enabled, "on again");
    // A change of the calendar times its schedules anew.
    let more = CalendarDraft { dates: vec!["2027-03-06".to_owned()], ..holidays };
    calendars::update(&bench.app, &person(), &calendar.id, &more, None).await.expect("it is stored");
    for id in &own {
        let view = schedules::get(&bench.app, &person(), id).await.expect("it is there");
        assert_eq!(
            (view.schedule.spec.enabled, view.next_at),
            (true, None),
            "kept, and does nothing: {view:?}"
        );
        assert!(view.off_reason.is_some_and(|reason| reason.contains("DOCKNAP_LABELS is only")));
    }
    bench.advance_to("2027-03-02T21:31:00Z").await;
    pass(&bench).await;
    assert_eq!(bench.sim.count(Endpoint::Restart), 0, "their instants have passed");
    let saved = schedules::create(&bench.app, &person(), &draft, Source::Ui).await.expect("it is stored");
    assert!(saved.warnings.iter().any(|one| one.contains("DOCKNAP_LABELS is only")), "{:?}", saved.warnings);
    // A copy would do nothing, and the schedule of the label would no longer act either.
    let refused = schedules::copy_to_editable(&bench.app, &person(), &label.id, Source::Ui).await;
    assert!(matches!(refused, Err(Error::Conflict { code: "labels_only", .. })), "{refused:?}");
    assert!(only(&bench).await.spec.enabled);
    let test = TestApp::over(bench).await;
    let page = test.operator().await.get("/schedules").await;
    assert!(page.body.contains("4 schedules that no label defines do nothing"), "{}", page.text("body"));
}

#[tokio::test]
async fn a_rule_counts_on_its_own_host_and_stays_while_the_host_is_away() {
    let bench = Bench::new(NOW, media("docknap.stack.sleep", "22:00-06:00")).await;
    let nas = Simulated::start(bench.clock.clone(), media("docknap.stack.stop.night", "30 23 * * *")).await;
    let test = TestApp::over(bench).await;
    test.add_host("NAS", "nas", &nas).await;
    let bench = test.bench();
    pass(bench).await;
    let on = |host: &str, all: &[Schedule]| {
        let of_host = all.iter().filter(|one| one.spec.target.host == HostId::from(host));
        of_host.map(|one| (one.spec.target_name.clone(), one.spec.enabled)).collect::<Vec<_>>()
    };
    let all = stored(bench).await;
    for host in ["local", "nas"] {
        assert_eq!(on(host, &all), [("media".to_owned(), true)], "{host}: {all:#?}");
    }
    assert!(all.iter().any(|one| one.spec.name == "night"), "the name behind the action: {all:#?}");
    nas.control.daemon_down(DaemonEnd::Crash);
    later(bench, 60).await;
    assert_eq!(on("nas", &stored(bench).await), [("media".to_owned(), true)], "nothing is known to be gone");

    // With its host the schedule goes: a label's schedule is never moved to another one.
    let mut admin = test.bearer(Role::Admin).await;
    let deleted = admin.delete("/api/hosts/nas?move_to=local").await;
    assert_eq!(deleted.status, 204, "{}", deleted.body);
    let all = stored(bench).await;
    assert_eq!((all.len(), on("local", &all).len()), (1, 1), "{all:#?}");
}

#[tokio::test]
async fn a_bad_label_is_told_on_the_page_in_needs_attention_and_by_the_api() {
    let world = World::new()
        .container("loner", |c| {
            c.label("docknap.sleep", "25:00-07:00").label("docknap.timezone", "Mars/Base")
        })
        .container("typo", |c| c.label("docknap.slep", "22:00-06:00"))
        .container("guarded", |c| c.label("docknap.stop", "0 23 * * *").protect());
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    pass(test.bench()).await;
    assert!(stored(test.bench()).await.is_empty());
    let errors = container(&test, "loner").await["label_errors"].clone();
    let said = errors["docknap.sleep"].as_str().expect("an error").to_owned();
    let explained = docknap::domain::window::Window::parse("sleep 25:00-07:00").expect_err("it is wrong");
    assert_eq!(said, explained.to_string(), "the words of docknap explain");
    assert!(errors["docknap.timezone"].is_string(), "{errors:#}");
    let typo = container(&test, "typo").await["label_errors"].clone();
    assert!(typo["docknap.slep"].as_str().is_some_and(|text| text.contains("docknap.sleep?")), "{typo:#}");
    let guarded = container(&test, "guarded").await["label_errors"].clone();
    assert!(guarded["docknap.stop"].is_string(), "{guarded:#}");
    let mut vera = test.viewer().await;
    let page = vera.get(&format!("/containers/{}", key(&HostId::local(), "name:loner"))).await;
    assert!(page.text("[aria-labelledby='labels-title']").contains(&said), "{}", page.body);
    let needs = vera.get("/").await.text("main");
    assert!(needs.contains(&format!("docknap.sleep: {said}")), "{needs}");
}

#[tokio::test]
async fn a_label_of_a_stack_on_a_container_without_one_is_told() {
    let test = TestApp::over(Bench::new(NOW, loner("docknap.stack.sleep", "22:00-06:00")).await).await;
    pass(test.bench()).await;
    assert!(stored(test.bench()).await.is_empty());
    let errors = container(&test, "loner").await["label_errors"].clone();
    let said = errors["docknap.stack.sleep"].as_str().unwrap_or_default();
    assert!(said.contains("belongs to no stack: write docknap.sleep"), "{errors:#}");
}

#[tokio::test]
async fn a_schedule_is_off_while_its_label_cannot_be_used() {
    let bench = Bench::new(NOW, loner("docknap.stop", "0 23 * * *")).await;
    pass(&bench).await;
    let id = only(&bench).await.id;
    anew(&bench, loner("docknap.stop", "0 25 * * *"));
    pass(&bench).await;
    let off = only(&bench).await;
    let reason = off.label.as_ref().and_then(|label| label.off);
    assert_eq!((off.id, off.spec.enabled, reason), (id.clone(), false, Some(LabelOff::Faulty)));
    let refused = schedules::enable(&bench.app, &person(), &id).await;
    assert!(matches!(refused, Err(Error::Conflict { code: "label_faulty", .. })), "{refused:?}");
    anew(&bench, loner("docknap.stop", "0 22 * * *"));
    pass(&bench).await;
    let on = only(&bench).await;
    assert_eq!((on.id, on.spec.enabled), (id, true));
    assert_eq!(on.next_due, Some("2027-03-02T22:00:00Z".parse().expect("an instant")));
}

#[tokio::test]
async fn a_stop_that_is_late_is_not_made_up_for_where_its_label_is_gone() {
    let mut bench = Bench::new(NOW, loner("docknap.stop", "0 23 * * *")).await;
    pass(&bench).await;
    bench.kill();
    anew(&bench, World::new().container("loner", |c| c));
    bench.sim.daemon_down(DaemonEnd::Crash);
    bench.clock.advance(Duration::from_secs((2 * 60 + 35) * 60));
    bench.revive_unconnected().await;
    let late = bench.tick().await.runs;
    assert_eq!(late.len(), 1, "what was due at 23:00 waits for the Engine");
    bench.sim.daemon_up().expect("it starts");
    bench.settle().await;
    let (run, _) = bench.run(&late[0]).await;
    assert_eq!(run.state, RunState::Skipped, "{run:#?}");
    assert!(run.reason.contains("the label docknap.stop has changed"), "{}", run.reason);
}

#[tokio::test]
async fn what_was_due_is_made_up_for_though_its_container_has_another_name() {
    let mut bench = Bench::new(NOW, media("docknap.stop", "0 21 * * *")).await;
    pass(&bench).await;
    bench.kill();
    bench.sim.rename("media-web-1", "front").expect("it is renamed");
    bench.clock.advance(Duration::from_secs(35 * 60));
    bench.revive().await;
    pass(&bench).await;
    assert_eq!(bench.sim.running("media"), ["media-db-1"], "it was to stop at 21:00");
    assert_eq!(only(&bench).await.spec.target_name, "front");
}

#[tokio::test]
async fn labels_that_define_no_rule_are_told_also_where_no_rule_is_read() {
    let world = World::new()
        .container("loner", |c| c.label("docknap.after", " , ").label("docknap.sleep", "25:00-07:00"));
    let mut bench = Bench::new(NOW, world).await;
    bench.kill();
    bench.labels = Labels::Off;
    bench.revive().await;
    let test = TestApp::over(bench).await;
    let errors = container(&test, "loner").await["label_errors"].clone();
    assert!(errors["docknap.after"].is_string(), "{errors:#}");
    assert!(errors["docknap.sleep"].is_null(), "{errors:#}");
}

#[tokio::test]
async fn two_services_that_disagree_are_both_named_and_neither_counts() {
    let world = World::new().stack("media", |s| {
        s.service("db", |c| c.label("docknap.stack.sleep", "22:00-06:00"))
            .service("web", |c| c.label("docknap.stack.sleep", "23:00-06:00"))
    });
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let bench = test.bench();
    pass(bench).await;
    assert!(stored(bench).await.is_empty());
    for name in ["media-db-1", "media-web-1"] {
        let errors = container(&test, name).await["label_errors"].clone();
        let said = errors["docknap.stack.sleep"].as_str().expect("an error");
        assert!(said.contains("media-db-1 says") && said.contains("media-web-1 says"), "{said}");
    }
    relabel(bench, "media-db-1", "docknap.stack.sleep", Some("23:00-06:00"));
    pass(bench).await;
    assert!(only(bench).await.spec.enabled, "they agree");
}

#[tokio::test]
async fn all_of_300_labelled_stacks_are_there_after_one_pass() {
    let world = (0..300).fold(World::new(), |world, number| {
        world.stack(&format!("s{number}"), |s| {
            s.service("web", |c| c.label("docknap.stack.sleep", "22:00-06:00"))
        })
    });
    let bench = Bench::new(NOW, world).await;
    bench.quiet().await;
    bench.tick().await;
    assert_eq!(stored(&bench).await.len(), 300);
}

#[tokio::test]
async fn a_label_leaves_a_container_out_and_another_orders_a_stack() {
    let world = World::new().stack("media", |s| {
        s.service("db", |c| c)
            .service("web", |c| c.label("docknap.after", "db"))
            .service("job", |c| c.label("docknap.enable", "false"))
    });
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let bench = test.bench();
    pass(bench).await;
    let mut admin = test.bearer(Role::Admin).await;
    let plan = json!({"target_type": "stack", "target_id": "media", "action": "stop"});
    let plan = admin.post_json("/api/plan", &plan).await.json();
    let waves: Vec<(u64, &str)> = plan["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| (step["wave"].as_u64().unwrap_or(0), step["container"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(waves, [(1, "media-web-1"), (2, "media-db-1")], "{plan:#}");
    assert!(plan.to_string().contains("docknap.enable=false leaves it out"), "{plan:#}");
    let page = test.operator().await.get(&format!("/stacks/{}", key(&HostId::local(), "media"))).await;
    assert!(page.text("main").contains("Label docknap.after"), "{}", page.text("main"));
}
