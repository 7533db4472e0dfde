//! The sleep report: when what slept, what that gave back, and that looking for it changes nothing.

use std::time::Duration;

use docknap::app::report::{self, Napped};
use docknap::db;
use docknap::domain::action::Action;
use docknap::domain::group::Area;
use docknap::domain::ids::{HostId, RunId};
use docknap::domain::nap::{NapKind, Sample, Sleep};
use docknap::domain::run::RunState;
use docknap::domain::target::ContainerIdentity;
use docknap::sim::{DaemonEnd, Endpoint, Fault, Restart, World};
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use crate::on_both_engines;
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;
use crate::support::rows::{at, member};

on_both_engines!(stays_begin_and_end, a_second_stay_ends_the_first, what_naps_already_is_taken_over);

/// A Wednesday.
const NOW: &str = "2027-03-03T12:00:00Z";

fn stay(service: &str, from: &str) -> Sleep {
    Sleep {
        host: HostId::local(),
        identity: member("shop", service),
        kind: NapKind::Stop,
        run_id: RunId::from("r"),
        from: at(from),
        until: None,
        sample: Sample { memory_bytes: Some(3 << 30), cpu_millicores: None },
    }
}

async fn begin(db: &db::Db, sleep: &Sleep, woke: Option<Timestamp>) {
    let mut tx = db.begin().await.expect("begins");
    db::sleeps::begin(&mut tx, sleep, woke).await.expect("stores");
    tx.commit().await.expect("commits");
}

async fn end(db: &db::Db, identity: &ContainerIdentity, when: &str) -> bool {
    let mut tx = db.begin().await.expect("begins");
    let ended = db::sleeps::end(&mut tx, &HostId::local(), identity, at(when)).await.expect("stores");
    tx.commit().await.expect("commits");
    ended
}

async fn stays_begin_and_end(test: TestDb) {
    let (web, other) = (stay("web", "2027-03-01T23:00:00Z"), stay("db", "2027-03-02T01:00:00Z"));
    begin(&test.db, &web, None).await;
    begin(&test.db, &other, None).await;
    assert_eq!(db::sleeps::open(&test.db, &HostId::local()).await.expect("reads").len(), 2);
    assert_eq!(db::sleeps::open(&test.db, &HostId::from("other")).await.expect("reads"), []);
    assert!(end(&test.db, &web.identity, "2027-03-02T07:00:00Z").await);
    assert!(!end(&test.db, &web.identity, "2027-03-02T08:00:00Z").await, "once");
    assert!(end(&test.db, &other.identity, "2027-03-01T00:00:00Z").await);
    let between = async |from: &str, until: &str| {
        let mut found = db::sleeps::between(&test.db, at(from), at(until)).await.expect("reads");
        found.sort_by_key(|sleep| sleep.from);
        found
    };
    let web = Sleep { until: Some(at("2027-03-02T07:00:00Z")), ..web };
    // Never before it began.
    let other = Sleep { until: Some(other.from), ..other };
    assert_eq!(between("2027-03-01T00:00:00Z", "2027-03-08T00:00:00Z").await, [web.clone(), other]);
    assert_eq!(between("2027-03-02T06:59:59Z", "2027-03-08T00:00:00Z").await, [web]);
    assert_eq!(between("2027-03-02T07:00:00Z", "2027-03-08T00:00:00Z").await, []);
    let mut tx = test.db.begin().await.expect("begins");
    assert_eq!(db::sleeps::prune(&mut tx, at("2027-03-02T06:00:00Z")).await.expect("deletes"), 1);
    tx.commit().await.expect("commits");
    assert_eq!(between("2027-01-01T00:00:00Z", "2027-12-01T00:00:00Z").await.len(), 1);
}

async fn a_second_stay_ends_the_first(test: TestDb) {
    let first = stay("web", "2027-03-01T23:00:00Z");
    let ends = async || {
        let all = db::sleeps::between(&test.db, at("2027-01-01T00:00:00Z"), at("2028-01-01T00:00:00Z"));
        let mut all = all.await.expect("reads");
        all.sort_by_key(|sleep| sleep.from);
        all.into_iter().map(|sleep| sleep.until).collect::<Vec<_>>()
    };
    begin(&test.db, &Sleep { kind: NapKind::Pause, ..first.clone() }, None).await;
    // Paused, then stopped: it came up long before.
    let second = Sleep { from: at("2027-03-02T01:00:00Z"), ..first.clone() };
    begin(&test.db, &second, Some(at("2027-02-01T00:00:00Z"))).await;
    assert_eq!(ends().await, [Some(second.from), None]);
    // Somebody woke it in between, and nobody saw.
    let third = Sleep { from: at("2027-03-02T05:00:00Z"), ..first };
    begin(&test.db, &third, Some(at("2027-03-02T03:00:00Z"))).await;
    assert_eq!(ends().await, [Some(second.from), Some(at("2027-03-02T03:00:00Z")), None]);
    // Whoever means one that has made way ends nothing.
    let mut tx = test.db.begin().await.expect("begins");
    db::sleeps::end_stay(&mut tx, &second, at("2027-03-02T06:00:00Z")).await.expect("stores");
    tx.commit().await.expect("commits");
    assert_eq!(ends().await.last(), Some(&None));
    // The same instant again is the same stay.
    begin(&test.db, &third, None).await;
    assert_eq!(ends().await.len(), 3);
}

async fn what_naps_already_is_taken_over(test: TestDb) {
    let before = [
        "DROP TABLE sleeps",
        "DELETE FROM _sqlx_migrations WHERE version = 7",
        "INSERT INTO naps (host_id, identity, action, run_id, since_ms) \
         VALUES ('local', 'service:shop/web/1', 'pause', 'r', 1000)",
    ];
    for sql in before {
        match &test.db {
            db::Db::Sqlite { writer, .. } => sqlx::query(sql).execute(writer).await.map(drop),
            db::Db::Pg(pool) => sqlx::query(sql).execute(pool).await.map(drop),
        }
        .expect(sql);
    }
    test.db.migrate().await.expect("it is brought up to date");
    let open = db::sleeps::open(&test.db, &HostId::local()).await.expect("reads");
    let told: Vec<_> = open.iter().map(|one| (one.kind, one.from.as_millisecond(), one.sample)).collect();
    assert_eq!(told, [(NapKind::Pause, 1000, Sample::default())]);
}

/// Two services that have been up for two days, the second under another policy.
fn shop(restart: Restart) -> World {
    let days = Duration::from_secs(2 * 24 * 3600);
    World::new().stack("shop", |s| {
        s.service("db", |c| c.uses(25, 2 << 30).up_for(days))
            .service("web", |c| c.depends_on("db").uses(50, 1 << 30).up_for(days).restart(restart))
    })
}

async fn stays(bench: &Bench) -> Vec<Sleep> {
    let all = db::sleeps::between(&bench.app.db, Timestamp::MIN, at("2100-01-01T00:00:00Z"));
    let mut all = all.await.expect("reads");
    all.sort_by_key(|sleep| (sleep.from, sleep.identity.clone()));
    all
}

async fn napped(bench: &Bench) -> Napped {
    report::week(&bench.app, &person(), &Area::default(), &TimeZone::UTC, Weekday::Monday)
        .await
        .expect("it is read")
}

fn looks(bench: &Bench) -> usize {
    bench.sim.calls().iter().filter(|call| call.path.contains("/stats")).count()
}

#[tokio::test]
async fn a_nap_is_counted_until_it_ends_and_looked_at_once() {
    let bench = Bench::new(NOW, shop(Restart::No)).await;
    let (run, _) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(looks(&bench), 2, "one for each container");
    let seen: Vec<_> = stays(&bench).await.iter().map(|one| one.sample).collect();
    let sample = |memory, cpu| Sample { memory_bytes: Some(memory), cpu_millicores: Some(cpu) };
    assert_eq!(seen, [sample(2 << 30, 250), sample(1 << 30, 500)], "db and web");
    let begun = stays(&bench).await;
    bench.advance(Duration::from_secs(2 * 3600)).await;
    assert_eq!(napped(&bench).await.each.len(), 1);
    assert!((7195..7260).contains(&napped(&bench).await.total_seconds), "{:?}", napped(&bench).await);
    bench.carry_out(Action::Start, Bench::stack("shop")).await;
    let woken = bench.clock.now();
    bench.advance(Duration::from_secs(3600)).await;
    let ended = stays(&bench).await;
    assert_eq!(
        ended.iter().map(|one| one.from).collect::<Vec<_>>(),
        begun.iter().map(|one| one.from).collect::<Vec<_>>()
    );
    assert!(ended.iter().all(|one| one.until.is_some_and(|until| until <= woken)), "{ended:#?}");
    assert!((7195..7260).contains(&napped(&bench).await.total_seconds), "it does not grow any more");
    assert_eq!(looks(&bench), 2, "nobody looks before a start");
}

#[tokio::test]
async fn a_pause_is_not_looked_at_and_a_stop_after_it_is_a_stay_of_its_own() {
    let bench = Bench::new(NOW, shop(Restart::No)).await;
    bench.carry_out(Action::Pause, Bench::stack("shop")).await;
    assert_eq!(looks(&bench), 0);
    bench.advance(Duration::from_secs(3600)).await;
    bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    let kinds: Vec<_> = stays(&bench).await.iter().map(|one| (one.kind, one.until.is_some())).collect();
    let (paused, stopped) = ((NapKind::Pause, true), (NapKind::Stop, false));
    assert_eq!(kinds, [paused, paused, stopped, stopped]);
}

#[tokio::test]
async fn what_others_wake_or_remove_sleeps_no_longer() {
    let bench = Bench::new(NOW, shop(Restart::No)).await;
    bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    bench.advance(Duration::from_secs(3600)).await;
    let woken = bench.clock.now();
    bench.sim.start("shop-web-1").expect("somebody starts it");
    bench.sim.remove("shop-db-1");
    bench
        .until("both are known to be awake", async || {
            stays(&bench).await.iter().all(|one| one.until.is_some())
        })
        .await;
    for one in stays(&bench).await {
        let until = one.until.expect("it ended");
        assert!(until.duration_since(woken).abs() < jiff::SignedDuration::from_secs(5), "{one:#?} {woken}");
    }
}

#[tokio::test]
async fn what_docker_brings_back_while_nobody_looks_ended_when_it_came_back() {
    let mut bench = Bench::new(NOW, shop(Restart::Always)).await;
    bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    bench.advance(Duration::from_secs(3600)).await;
    bench.kill();
    bench.sim.daemon_restart(DaemonEnd::Graceful).expect("it comes back");
    let back = bench.clock.now();
    bench.clock.advance(Duration::from_secs(4 * 3600));
    bench.revive().await;
    bench
        .until("web is known to be awake", async || {
            stays(&bench).await.iter().filter(|one| one.until.is_some()).count() == 1
        })
        .await;
    let web = stays(&bench).await.into_iter().find(|one| one.until.is_some()).expect("it ended");
    assert_eq!(web.identity, member("shop", "web"));
    let until = web.until.expect("it ended");
    assert!(until.duration_since(back).abs() < jiff::SignedDuration::from_secs(30), "{until} {back}");
}

#[tokio::test]
async fn a_look_that_fails_changes_nothing() {
    let faults = [
        Fault::proxy_forbids().on(Endpoint::Stats),
        Fault::status(500, "no cgroup").on(Endpoint::Stats),
        Fault::hang().on(Endpoint::Stats),
    ];
    for fault in faults {
        let bench = Bench::new(NOW, shop(Restart::No)).await;
        bench.sim.fault(fault);
        let asked = bench.clock.now();
        let (run, steps) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
        assert_eq!(run.state, RunState::Succeeded, "{}", run.reason);
        assert!(steps.iter().all(|step| step.error.is_none()));
        assert!(bench.sim.running("shop").is_empty());
        let took = bench.clock.now().duration_since(asked);
        assert!(took <= jiff::SignedDuration::from_secs(1), "{took}: somebody waits for it");
        assert_eq!(stays(&bench).await.len(), 2);
        assert!(stays(&bench).await.iter().any(|one| one.sample == Sample::default()));
    }
}

#[tokio::test]
async fn a_run_that_was_cut_off_still_looks_at_what_it_stops_later() {
    let mut bench = Bench::new(NOW, shop(Restart::No)).await;
    bench.sim.fault(Fault::hang().times(1).on(Endpoint::Stop));
    bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench
        .until("the first stop is asked for", async || {
            bench.sim.calls().iter().any(|call| call.path.contains("/stop"))
        })
        .await;
    bench.kill();
    bench.revive().await;
    bench.settle().await;
    let db = stays(&bench).await.into_iter().find(|one| one.identity == member("shop", "db"));
    assert_eq!(db.expect("it sleeps").sample.memory_bytes, Some(2 << 30));
}

#[tokio::test]
async fn what_was_created_anew_since_the_run_began_is_looked_at_again() {
    let bench = Bench::new(NOW, shop(Restart::No)).await;
    let seconds = Duration::from_secs(20);
    bench.sim.fault(Fault::delay(seconds).times(1).on(Endpoint::Stop));
    bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench.until("both were looked at", async || looks(&bench) == 2).await;
    bench.sim.recreate("shop-db-1");
    bench.settle().await;
    assert_eq!(looks(&bench), 3);
    let db = stays(&bench).await.into_iter().find(|one| one.identity == member("shop", "db"));
    assert_eq!(db.expect("it sleeps").sample.memory_bytes, Some(2 << 30));
}
