//! The runs of windows: each stands for the edge it is for, and an edge that comes to nothing leaves one that says why.

use docknap::app::overrides;
use docknap::app::schedules::Draft;
use docknap::domain::action::Action;
use docknap::domain::run::{Run, RunState, Trigger};

use crate::on_both_engines;
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;
use crate::windows::{ALL, NIGHT, NOW, at, keep, look, pass, runs, shop, window, wish};

const EDGE: &str = "2027-03-02T23:00:00Z";

async fn last(bench: &Bench) -> Run {
    runs(bench).await.pop().expect("a run")
}

#[tokio::test]
async fn a_save_inside_a_sleep_acts_for_the_edge_it_began_with() {
    let bench = Bench::new("2027-03-02T23:30:00Z", shop()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    let run = last(&bench).await;
    assert_eq!((run.action, run.trigger, run.fire_at), (Action::Stop, Trigger::Window, Some(at(EDGE))));
    assert_eq!(run.late_ms(), None, "it began as soon as it was asked for");
}

#[tokio::test]
async fn down_over_the_edge_it_acts_for_that_edge() {
    let mut bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    bench.kill();
    bench.clock.advance(std::time::Duration::from_secs(3 * 3600));
    bench.revive().await;
    look(&bench).await;
    assert_eq!(last(&bench).await.fire_at, Some(at(EDGE)));
}

on_both_engines!(a_withheld_edge_is_a_row_and_gives_way_to_the_run_that_acts_for_it);

async fn a_withheld_edge_is_a_row_and_gives_way_to_the_run_that_acts_for_it(test: TestDb) {
    let bench = Bench::on(test, NOW, shop()).await;
    let saved = keep(&bench, window(NIGHT)).await;
    wish(&bench, "stack", "shop", "awake", "2027-03-03T02:00:00Z").await;
    look(&bench).await;
    pass(&bench, EDGE).await;
    let withheld = last(&bench).await;
    let told = (withheld.action, withheld.trigger, withheld.state, withheld.fire_at);
    assert_eq!(told, (Action::Stop, Trigger::Window, RunState::Skipped, Some(at(EDGE))));
    assert!(withheld.reason.starts_with("override: awake until 2027-03-03 02:00"), "{}", withheld.reason);
    assert_eq!(withheld.schedule_id, Some(saved.schedule.id.clone()));
    assert_eq!(bench.sim.running("shop"), ALL);
    pass(&bench, "2027-03-03T02:00:00Z").await;
    let acted = last(&bench).await;
    assert_eq!((acted.state, acted.fire_at), (RunState::Succeeded, Some(at(EDGE))), "{acted:?}");
    let (kept, _) = bench.run(&withheld.id).await;
    assert_eq!((kept.state, kept.fire_at, kept.created_at), (RunState::Skipped, None, at(EDGE)));
    assert!(bench.sim.running("shop").is_empty());
    pass(&bench, "2027-03-03T07:00:00Z").await;
    assert_eq!(runs(&bench).await.len(), 3, "an edge that acts leaves its run alone");
}

#[tokio::test]
async fn an_edge_under_a_hold_is_a_row_whichever_it_is() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    pass(&bench, EDGE).await;
    let hold = wish(&bench, "all", "", "hold", "20h").await;
    pass(&bench, "2027-03-03T07:00:00Z").await;
    let withheld = last(&bench).await;
    assert_eq!((withheld.action, withheld.state), (Action::Start, RunState::Skipped));
    assert!(withheld.reason.starts_with("held: everything is held until"), "{}", withheld.reason);
    overrides::finish(&bench.app, &person(), &hold.id).await.expect("it ends");
    look(&bench).await;
    assert_eq!(last(&bench).await.fire_at, Some(at("2027-03-03T07:00:00Z")));
    assert_eq!(bench.sim.running("shop"), ALL);
}

#[tokio::test]
async fn an_edge_withheld_for_every_container_is_a_row_and_for_some_it_is_a_step() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    wish(&bench, "container", "shop-web-1", "awake", "1d").await;
    pass(&bench, EDGE).await;
    let (run, steps) = bench.run(&last(&bench).await.id).await;
    assert_eq!(run.state, RunState::Succeeded);
    let web = steps.iter().find(|step| step.container == "shop-web-1").expect("a step");
    assert!(web.reason.starts_with("awake until"), "{}", web.reason);
    assert_eq!(runs(&bench).await.len(), 1, "one run tells of all");

    let alone = Bench::new(NOW, shop()).await;
    keep(
        &alone,
        Draft {
            target_type: Some("container".to_owned()),
            target_id: Some("shop-web-1".to_owned()),
            ..window(NIGHT)
        },
    )
    .await;
    wish(&alone, "host", "", "awake", "1d").await;
    pass(&alone, EDGE).await;
    assert_eq!(last(&alone).await.state, RunState::Skipped);
}
