//! Looks at what is about to sleep: in the seconds before the instant, and never between the instant and the call.

use std::time::Duration;

use docknap::app::schedules::{self, Draft, GuardDraft};
use docknap::app::{Actor, execute, overrides};
use docknap::db;
use docknap::domain::action::Action;
use docknap::domain::ids::HostId;
use docknap::domain::nap::Sample;
use docknap::domain::run::{Run, RunState, Trigger};
use docknap::domain::schedule::Source;
use docknap::domain::target::{ContainerIdentity, Target};
use docknap::sim::{DaemonEnd, Endpoint, Fault, World};
use jiff::{SignedDuration, Timestamp};

use crate::support::bench::{Bench, person};
use crate::support::rows::{at, member};

/// A Tuesday.
const NOW: &str = "2027-03-02T22:50:00Z";
const INSTANT: &str = "2027-03-02T23:00:00Z";
const SEEN: Sample = Sample { memory_bytes: Some(1 << 30), cpu_millicores: Some(30) };

fn shop() -> World {
    let day = Duration::from_secs(24 * 3600);
    World::new().stack("shop", |s| {
        s.service("db", |c| c.uses(3, 1 << 30).up_for(day))
            .service("web", |c| c.depends_on("db").uses(3, 1 << 30).up_for(day))
    })
}

#[expect(clippy::unnecessary_wraps, reason = "the fields of a draft are optional")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn draft() -> Draft {
    Draft { target_type: text("stack"), target_id: text("shop"), enabled: Some(true), ..Draft::default() }
}

fn cron() -> Draft {
    Draft { cron: text("0 23 * * *"), action: text("stop"), timezone: text("UTC"), ..draft() }
}

fn window() -> Draft {
    Draft { window: text("sleep 23:00-07:00"), timezone: text("UTC"), ..draft() }
}

fn busy(draft: Draft) -> Draft {
    Draft { guard: GuardDraft { busy_cpu_percent: text("20"), ..GuardDraft::default() }, ..draft }
}

async fn keep(bench: &Bench, draft: &Draft) {
    schedules::create(&bench.app, &person(), draft, Source::Api).await.expect("it is saved");
}

/// Lets the scheduler's own loop run until a minute after the instant.
async fn pass_the_instant(bench: &Bench) {
    bench.keep_ticking();
    bench.advance_to("2027-03-02T23:01:00Z").await;
    bench.settle().await;
}

/// How long after the instant each look and each stop came, in milliseconds.
fn offsets(bench: &Bench, endpoint: Endpoint) -> Vec<i64> {
    let calls = bench.sim.calls().into_iter().filter(|call| call.endpoint == endpoint);
    calls.map(|call| call.at.as_millisecond() - at(INSTANT).as_millisecond()).collect()
}

async fn samples(bench: &Bench) -> Vec<Sample> {
    let all = db::sleeps::between(&bench.app.db, Timestamp::MIN, at("2100-01-01T00:00:00Z")).await;
    all.expect("reads").into_iter().map(|sleep| sleep.sample).collect()
}

async fn runs(bench: &Bench) -> Vec<Run> {
    db::history::list(&bench.app.db, db::history::RunSelection::default(), None, 100)
        .await
        .expect("they read")
}

/// A schedule, a window and the end of an override; each with a slow Docker, and each on time with what was seen
/// before.
#[tokio::test]
async fn what_is_about_to_sleep_is_looked_at_in_the_seconds_before() {
    for name in ["cron", "window", "busy cron", "busy window", "override"] {
        let bench = Bench::new(NOW, shop()).await;
        // Two looks each take a second, as those of an old Docker do.
        bench.sim.fault(Fault::delay(Duration::from_secs(1)).times(2).on(Endpoint::Stats));
        match name {
            "cron" => keep(&bench, &cron()).await,
            "window" => keep(&bench, &window()).await,
            "busy cron" => keep(&bench, &busy(cron())).await,
            "busy window" => keep(&bench, &busy(window())).await,
            _ => {
                let awake = overrides::Draft {
                    target_type: text("stack"),
                    target_id: text("shop"),
                    state: text("awake"),
                    until: text(INSTANT),
                    reason: text("a film"),
                    ..overrides::Draft::default()
                };
                overrides::create(&bench.app, &person(), &awake).await.expect("it is stored");
                keep(&bench, &Draft { window: text("sleep 22:00-07:00"), ..window() }).await;
            }
        }
        pass_the_instant(&bench).await;
        let looks = offsets(&bench, Endpoint::Stats);
        assert_eq!(looks.len(), 2, "{name}: each container once: {looks:?}");
        assert!(looks.iter().all(|ms| (-10_000..-1_000).contains(ms)), "{name}: {looks:?}");
        assert_eq!(offsets(&bench, Endpoint::Stop), [0, 0], "{name}");
        assert_eq!(samples(&bench).await, [SEEN, SEEN], "{name}");
        assert!(runs(&bench).await.iter().all(|run| run.state == RunState::Succeeded), "{name}");
    }
}

#[tokio::test]
async fn a_docker_that_never_answers_a_look_delays_no_stop() {
    for draft in [cron(), window()] {
        let bench = Bench::new(NOW, shop()).await;
        bench.sim.fault(Fault::hang().on(Endpoint::Stats));
        keep(&bench, &draft).await;
        pass_the_instant(&bench).await;
        assert_eq!(offsets(&bench, Endpoint::Stop), [0, 0]);
        assert_eq!(samples(&bench).await, [Sample::default(), Sample::default()]);
    }
}

#[tokio::test]
async fn a_busy_stack_waits_by_what_was_seen_before_its_instant() {
    let day = Duration::from_secs(24 * 3600);
    let world = World::new().stack("shop", |s| s.service("web", |c| c.uses(60, 1 << 30).up_for(day)));
    let bench = Bench::new(NOW, world).await;
    keep(&bench, &busy(cron())).await;
    bench.keep_ticking();
    bench.advance_to("2027-03-02T23:00:01Z").await;
    let waiting = runs(&bench).await;
    assert_eq!(waiting[0].look_at, Some(at("2027-03-02T23:05:00Z")), "{waiting:#?}");
    assert!(offsets(&bench, Endpoint::Stats).iter().all(|ms| *ms < 0));
}

/// What nobody foresaw goes at once; what is seen while it is being stopped is remembered.
#[tokio::test]
async fn a_sleep_that_nobody_looked_at_before_does_not_wait_for_a_look() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.fault(Fault::delay(Duration::from_secs(1)).on(Endpoint::Stats));
    bench.sim.fault(Fault::delay(Duration::from_secs(2)).times(1).on(Endpoint::Stop));
    let request = execute::Request::now(Action::Stop, Bench::stack("shop"), Trigger::Schedule);
    let asked = bench.clock.now();
    execute::submit(&bench.app, &Actor::scheduler(), request).await.expect("it is accepted");
    bench.settle().await;
    let stops: Vec<_> = bench.sim.acts().into_iter().map(|(_, _, at)| at.duration_since(asked)).collect();
    assert_eq!(stops, [SignedDuration::ZERO, SignedDuration::from_secs(2)], "one after the other, at once");
    assert_eq!(samples(&bench).await, [SEEN, SEEN], "seen while the first was being stopped");
}

#[tokio::test]
async fn a_run_claimed_before_the_first_look_at_docker_bears_the_stored_name() {
    let world = World::new().stack("shop", |s| s.service("db", |c| c.container_name("postgres")));
    let mut bench = Bench::new(NOW, world).await;
    let target = Draft { target_type: text("container"), target_id: text("postgres"), ..cron() };
    keep(&bench, &target).await;
    bench.kill();
    bench.sim.daemon_down(DaemonEnd::Graceful);
    bench.clock.advance(Duration::from_secs(10 * 60));
    bench.revive_unconnected().await;
    bench.tick().await;
    let identity =
        ContainerIdentity::Service { project: "shop".to_owned(), service: "db".to_owned(), number: 1 };
    let of_it = Target::container(HostId::local(), identity.clone());
    let [run] = &runs(&bench).await[..] else { panic!("one run") };
    assert_eq!((run.target_name.as_str(), &run.target), ("postgres", &of_it));
    // Somebody renames it meanwhile: its end tells the present name.
    bench.sim.rename("postgres", "shop-db-1").expect("it is renamed");
    bench.sim.daemon_up().expect("it comes back");
    bench.settle().await;
    let [run] = &runs(&bench).await[..] else { panic!("one run") };
    assert_eq!((run.target_name.as_str(), run.state), ("shop-db-1", RunState::Succeeded), "{run:#?}");
    assert_eq!(identity, member("shop", "db"));
}
