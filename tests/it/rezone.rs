//! Stored instants follow the zone and the zone database they were worked out from.

use docknap::app::schedules::{self, Draft};
use docknap::app::zone;
use docknap::domain::schedule::Schedule;
use docknap::{db, scheduler};
use tokio_util::sync::CancellationToken;

use crate::support::bench::Bench;
use crate::windows::{NIGHT, NOW, at, keep, shop, window};

async fn set_zone(bench: &Bench, name: &str) {
    let mut tx = bench.app.db.begin().await.expect("begins");
    db::settings::put(&mut tx, zone::KEY, name, bench.clock.now()).await.expect("stores");
    tx.commit().await.expect("commits");
}

fn cron(zone: Option<&str>) -> Draft {
    Draft {
        window: None,
        cron: Some("0 8 * * *".to_owned()),
        action: Some("restart".to_owned()),
        timezone: zone.map(str::to_owned),
        ..window("")
    }
}

async fn stored(bench: &Bench, of: &Schedule) -> Schedule {
    db::schedules::get(&bench.app.db, &of.id).await.expect("it reads").expect("it is there")
}

#[tokio::test]
async fn another_zone_at_the_start_times_schedules_anew() {
    let bench = Bench::new(NOW, shop()).await;
    set_zone(&bench, "Europe/Berlin").await;
    let follows = keep(&bench, cron(None)).await.schedule;
    let own = keep(&bench, cron(Some("Europe/Berlin"))).await.schedule;
    let own = stored(&bench, &own).await;
    let night = keep(&bench, window(NIGHT)).await.schedule;
    assert_eq!(schedules::rezone(&bench.app, "2026a").await.expect("it is noted"), 0, "all are right");
    bench.clock.advance(std::time::Duration::from_secs(60));
    set_zone(&bench, "Asia/Tokyo").await;
    assert_eq!(schedules::rezone(&bench.app, "2026a").await.expect("they are timed"), 2);
    let moved = stored(&bench, &follows).await;
    assert_eq!(moved.next_due, Some(at("2027-03-02T23:00:00Z")), "08:00 in Tokyo");
    assert_eq!(moved.effective_from, bench.clock.now(), "time before now never fires");
    assert_eq!(stored(&bench, &night).await.next_due, Some(at("2027-03-03T14:00:00Z")), "23:00 in Tokyo");
    assert_eq!(stored(&bench, &own).await, own, "it goes by its own zone");
    assert_eq!(schedules::rezone(&bench.app, "2026a").await.expect("nothing is left"), 0);
}

#[tokio::test]
async fn another_zone_database_times_anew_what_it_reads_otherwise_alone() {
    let bench = Bench::new(NOW, shop()).await;
    let right = keep(&bench, cron(None)).await.schedule;
    let right = stored(&bench, &right).await;
    let old = keep(&bench, Draft { name: Some("old".to_owned()), ..cron(None) }).await.schedule;
    schedules::rezone(&bench.app, "2026a").await.expect("it is noted");
    // As an older database would have it.
    let mut tx = bench.app.db.begin().await.expect("begins");
    let as_stored = Schedule { next_due: Some(at("2027-03-03T07:00:00Z")), ..old.clone() };
    assert!(db::schedules::update(&mut tx, &as_stored, old.rev).await.expect("stores"));
    tx.commit().await.expect("commits");
    assert_eq!(schedules::rezone(&bench.app, "2026a").await.expect("the same database"), 0);
    assert_eq!(schedules::rezone(&bench.app, "2026b").await.expect("they are timed"), 1);
    assert_eq!(stored(&bench, &old).await.next_due, right.next_due);
    assert_eq!(stored(&bench, &right).await, right);
}

#[tokio::test]
async fn what_fell_due_while_down_is_made_up_for_where_it_still_means_so() {
    let bench = Bench::new(NOW, shop()).await;
    let kept = keep(&bench, cron(Some("UTC"))).await.schedule;
    let moved = keep(&bench, cron(None)).await.schedule;
    schedules::rezone(&bench.app, "2026a").await.expect("it is noted");
    set_zone(&bench, "Asia/Tokyo").await;
    bench.leap_to(at("2027-03-03T08:30:00Z")).await;
    assert_eq!(schedules::rezone(&bench.app, "2026b").await.expect("they are timed"), 1);
    assert_eq!(stored(&bench, &kept).await.next_due, Some(at("2027-03-03T08:00:00Z")), "for the scheduler");
    assert_eq!(stored(&bench, &moved).await.next_due, Some(at("2027-03-03T23:00:00Z")), "08:00 in Tokyo");
}

#[tokio::test]
async fn the_scheduler_sees_to_it_before_it_does_anything() {
    let bench = Bench::new(NOW, shop()).await;
    set_zone(&bench, "Europe/Berlin").await;
    let follows = keep(&bench, cron(None)).await.schedule;
    set_zone(&bench, "Asia/Tokyo").await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(scheduler::run(bench.app.clone(), stop.clone()));
    bench
        .until("it is timed anew", async || {
            stored(&bench, &follows).await.next_due == Some(at("2027-03-02T23:00:00Z"))
        })
        .await;
    stop.cancel();
    running.await.expect("it ends");
}
