//! The order that people add: within a stack it makes waves, between stacks one run waits for another.

use std::time::Duration;

use docknap::app::{Error, order};
use docknap::domain::action::Action;
use docknap::sim::{Endpoint, World};

use crate::on_both_engines;
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;

const NOW: &str = "2027-03-02T22:30:00Z";

/// Two stacks, the services of which know nothing of each other.
fn world() -> World {
    World::new()
        .stack("core", |s| s.service("db", |c| c.healthy_after(Duration::from_secs(20))))
        .stack("shop", |s| s.service("api", |c| c).service("web", |c| c))
}

fn edge(dependant: &str, dependency: &str, condition: &str) -> order::Draft {
    let kind = |name: &str| Some(if name.contains('-') { "container" } else { "stack" }.to_owned());
    order::Draft {
        dependant_type: kind(dependant),
        dependant_id: Some(dependant.to_owned()),
        dependency_type: kind(dependency),
        dependency_id: Some(dependency.to_owned()),
        condition: Some(condition.to_owned()),
        ..order::Draft::default()
    }
}

async fn add(bench: &Bench, draft: &order::Draft) -> Result<(), Vec<(String, String)>> {
    match order::add(&bench.app, &person(), draft).await {
        Ok(_) => Ok(()),
        Err(Error::Invalid(errors)) => {
            Err(errors.into_iter().map(|error| (error.field, error.message)).collect())
        }
        Err(other) => panic!("{other}"),
    }
}

/// What was asked of the Engine, in order.
fn acts(bench: &Bench) -> Vec<(Endpoint, String)> {
    bench.sim.acts().into_iter().map(|(call, name, _)| (call, name)).collect()
}

on_both_engines!(an_added_edge_orders_a_stack_and_outlives_a_restart);

async fn an_added_edge_orders_a_stack_and_outlives_a_restart(test: TestDb) {
    let mut bench = Bench::on(test, NOW, world()).await;
    add(&bench, &edge("shop-api-1", "shop-web-1", "service_started")).await.expect("it is added");
    bench.kill();
    bench.revive().await;
    bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    bench.carry_out(Action::Start, Bench::stack("shop")).await;
    let name = |name: &str| name.to_owned();
    assert_eq!(
        acts(&bench),
        [
            (Endpoint::Stop, name("shop-api-1")),
            (Endpoint::Stop, name("shop-web-1")),
            (Endpoint::Start, name("shop-web-1")),
            (Endpoint::Start, name("shop-api-1")),
        ]
    );
}

#[tokio::test]
async fn a_stack_waits_for_another_that_starts_and_one_that_stops_waits_for_it() {
    let bench = Bench::new(NOW, world()).await;
    add(&bench, &edge("shop", "core", "service_healthy")).await.expect("it is added");
    // Both at once, the dependency second.
    bench.submit(Action::Stop, Bench::stack("core")).await;
    bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench.settle().await;
    assert_eq!(acts(&bench).last().expect("calls").1, "core-db-1", "{:?}", acts(&bench));
    bench.sim.clear_calls();
    let start = bench.clock.now();
    bench.submit(Action::Start, Bench::stack("shop")).await;
    bench.submit(Action::Start, Bench::stack("core")).await;
    bench.settle().await;
    let started = bench.sim.acts();
    assert_eq!(started[0].1, "core-db-1");
    assert!(started.iter().skip(1).all(|(.., at)| *at >= start + Duration::from_secs(20)), "{started:?}");
    assert_eq!(bench.sim.running("shop").len(), 2);
}

#[tokio::test]
async fn a_stack_that_stays_off_is_not_waited_for() {
    let bench = Bench::new(NOW, world()).await;
    add(&bench, &edge("shop", "core", "service_healthy")).await.expect("it is added");
    bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    bench.carry_out(Action::Stop, Bench::stack("core")).await;
    let start = bench.clock.now();
    bench.carry_out(Action::Start, Bench::stack("shop")).await;
    assert_eq!(bench.sim.running("shop").len(), 2);
    assert!(bench.sim.running("core").is_empty(), "it is not started for it");
    let last = bench.sim.acts().pop().expect("a call").2;
    assert!(last <= start + Duration::from_secs(5), "{last}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let bench = Bench::new(NOW, world()).await;
    add(&bench, &edge("shop-api-1", "shop-web-1", "service_started")).await.expect("it is added");
    for (draft, field, words) in [
        (
            edge("shop-web-1", "shop-api-1", "service_started"),
            "dependency_id",
            "shop-web-1 → shop-api-1 → shop-web-1",
        ),
        (edge("shop-api-1", "shop-web-1", "service_started"), "dependency_id", "already"),
        (edge("shop", "shop", "service_started"), "dependency_id", "itself"),
        (edge("shop", "shop-web-1", "service_started"), "dependency_id", "part of the other"),
        (edge("shop", "gone", "service_started"), "dependency_id", "gone"),
        (edge("shop", "core", "whenever"), "condition", "service_healthy"),
        (
            order::Draft { wait_seconds: Some("0".to_owned()), ..edge("shop", "core", "service_started") },
            "wait_seconds",
            "from 1 to 3600",
        ),
    ] {
        let faults = add(&bench, &draft).await.expect_err("it is refused");
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].0, field);
        assert!(faults[0].1.contains(words), "{faults:?}");
    }
    add(&bench, &edge("shop", "core", "service_started")).await.expect("it is added");
    let back = add(&bench, &edge("core", "shop", "service_started")).await.expect_err("a cycle over stacks");
    assert!(back[0].1.starts_with("that would be a cycle: core-db-1 → "), "{back:?}");
}
