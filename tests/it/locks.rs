//! Locks: what people want left alone is left alone on every path, at once, and across restarts.

use docknap::app::execute::{self, Request};
use docknap::app::schedules::{self, Draft};
use docknap::app::{Error, locks};
use docknap::domain::action::Action;
use docknap::domain::ids::HostId;
use docknap::domain::run::{RunState, StepState, Trigger};
use docknap::domain::schedule::Source;
use docknap::domain::target::TargetType;
use docknap::sim::{Endpoint, Fault, World};

use crate::on_both_engines;
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;

const NOW: &str = "2027-03-02T22:30:00Z";

fn media() -> World {
    World::new().stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
}

async fn lock(bench: &Bench, target_type: TargetType, name: &str) {
    locks::lock(&bench.app, &person(), &HostId::local(), target_type, name, "the migration runs")
        .await
        .expect("it is locked");
}

/// Saves sleep hours from 23:00 to 07:00.
async fn sleep_at_night(bench: &Bench) {
    let draft = Draft {
        target_type: Some("stack".to_owned()),
        target_id: Some("media".to_owned()),
        window: Some("sleep 23:00-07:00".to_owned()),
        ..Draft::default()
    };
    schedules::create(&bench.app, &person(), &draft, Source::Api).await.expect("it is saved");
}

on_both_engines!(a_locked_stack_is_refused_now_and_after_a_restart, of_changes_at_once_the_last_one_counts,);

async fn of_changes_at_once_the_last_one_counts(test: TestDb) {
    let world = World::new().many(1, 24);
    let bench = Bench::on(test, NOW, world).await;
    let inventory = || bench.app.hosts.all()[0].inventory();
    let names: Vec<String> = inventory().containers.iter().map(|one| one.name.clone()).collect();
    futures_util::future::join_all(names.iter().map(|name| lock(&bench, TargetType::Container, name))).await;
    let open = |inventory: docknap::domain::inventory::Inventory| {
        inventory.containers.iter().filter(|one| one.protection.is_none()).count()
    };
    assert_eq!((names.len(), open(inventory())), (24, 0), "each of them is locked");
}

async fn a_locked_stack_is_refused_now_and_after_a_restart(test: TestDb) {
    let mut bench = Bench::on(test, NOW, media()).await;
    sleep_at_night(&bench).await;
    lock(&bench, TargetType::Stack, "media").await;
    for life in 0..2 {
        let request = Request::now(Action::Stop, Bench::stack("media"), Trigger::Manual);
        match execute::submit(&bench.app, &person(), request).await {
            Err(Error::Protected { reason, .. }) => {
                assert_eq!(reason, "locked by command line: the migration runs", "life {life}");
            }
            other => panic!("life {life}: {other:?}"),
        }
        if life == 0 {
            bench.kill();
            bench.revive().await;
        }
    }
    bench.advance_to("2027-03-02T23:00:00Z").await;
    bench.tick().await;
    bench.settle().await;
    assert_eq!(bench.sim.running("media").len(), 2, "its window leaves it alone");
    locks::unlock(&bench.app, &person(), &HostId::local(), TargetType::Stack, "media")
        .await
        .expect("it is unlocked");
    bench.tick().await;
    bench.settle().await;
    assert!(bench.sim.running("media").is_empty(), "and has its way once it is unlocked");
}

#[tokio::test]
async fn what_came_up_while_it_was_locked_sleeps_once_it_is_unlocked() {
    let bench = Bench::new(NOW, media()).await;
    sleep_at_night(&bench).await;
    let look = async |instant: &str| {
        bench.advance_to(instant).await;
        bench.tick().await;
        bench.settle().await;
    };
    look("2027-03-02T23:00:00Z").await;
    assert!(bench.sim.running("media").is_empty());
    lock(&bench, TargetType::Stack, "media").await;
    // The daemon, or somebody, starts it while it is locked; its windows pass over it for a day.
    bench.sim.start("media-db-1").expect("it starts");
    look("2027-03-03T07:00:00Z").await;
    look("2027-03-03T23:00:00Z").await;
    assert_eq!(bench.sim.running("media"), ["media-db-1"], "it is locked");
    bench.advance_to("2027-03-03T23:00:01Z").await;
    locks::unlock(&bench.app, &person(), &HostId::local(), TargetType::Stack, "media")
        .await
        .expect("it is unlocked");
    bench.tick().await;
    bench.settle().await;
    assert!(bench.sim.running("media").is_empty(), "it is to sleep now");
}

#[tokio::test]
async fn a_plan_leaves_out_what_is_locked_and_says_why() {
    let bench = Bench::new(NOW, media()).await;
    lock(&bench, TargetType::Container, "media-web-1").await;
    let plan = execute::preview(&bench.app, &person(), &Bench::stack("media"), Action::Stop, false).await;
    let plan = plan.expect("a plan");
    let steps: Vec<&str> = plan.steps.iter().map(|step| step.container.as_str()).collect();
    let skipped: Vec<_> =
        plan.skipped.iter().map(|one| (one.container.as_str(), one.reason.as_str())).collect();
    assert_eq!(steps, ["media-db-1"]);
    assert_eq!(skipped, [("media-web-1", "protected: locked by command line: the migration runs")]);
}

/// The executor looks for itself: the plan may be older than the lock.
#[tokio::test]
async fn a_lock_that_comes_while_a_run_is_under_way_holds_for_what_is_left() {
    let bench = Bench::new(NOW, media()).await;
    let slow = Fault::delay(std::time::Duration::from_secs(5));
    bench.sim.fault(slow.on(Endpoint::Stop).container("media-web-1"));
    let submitted = bench.submit(Action::Stop, Bench::stack("media")).await;
    bench.until("web is being stopped", async || bench.sim.count(Endpoint::Stop) == 1).await;
    lock(&bench, TargetType::Container, "media-db-1").await;
    bench.settle().await;
    let (_, steps) = bench.run(submitted.run_id()).await;
    assert_eq!(bench.sim.running("media"), ["media-db-1"]);
    let db = steps.iter().find(|step| step.container == "media-db-1").expect("its step");
    let told = (db.state, db.reason.as_str());
    assert_eq!(told, (StepState::Skipped, "protected: locked by command line: the migration runs"));
}

#[tokio::test]
async fn a_lock_that_comes_before_the_call_still_holds() {
    let bench = Bench::new(NOW, media()).await;
    let submitted = bench.submit(Action::Stop, Bench::stack("media")).await;
    lock(&bench, TargetType::Container, "media-db-1").await;
    bench.settle().await;
    let (run, steps) = bench.run(submitted.run_id()).await;
    assert_eq!(bench.sim.running("media"), ["media-db-1"]);
    let db = steps.iter().find(|step| step.container == "media-db-1").expect("its step");
    assert_eq!(db.state, StepState::Skipped);
    assert!(db.reason.contains("locked by command line"), "{}", db.reason);
    assert!(matches!(run.state, RunState::Succeeded | RunState::Partial), "{run:?}");
}
