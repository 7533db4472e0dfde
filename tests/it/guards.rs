//! Guards over a whole DockNap on a frozen clock: what waits, for how long, what ends a wait, and what survives.

use std::time::Duration;

use docknap::app::schedules::{self, Draft, GuardDraft, ScheduleView};
use docknap::app::{Live, execute, overrides};
use docknap::db;
use docknap::domain::action::Action;
use docknap::domain::desired::Rules;
use docknap::domain::overrides::DesiredState;
use docknap::domain::run::{Run, RunState, Trigger};
use docknap::domain::schedule::Source;
use docknap::sim::{DaemonEnd, Endpoint, Fault, World};
use jiff::Timestamp;

use crate::on_both_engines;
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;

/// A Tuesday.
const NOW: &str = "2027-03-02T22:30:00Z";
const NIGHT: &str = "sleep 23:00-07:00";
const BUSY: u64 = 63;
const CALM: u64 = 3;
const ALL: [&str; 2] = ["shop-db-1", "shop-web-1"];

/// A web server at work, which has been up for long, and its idle database.
fn shop() -> World {
    let day = Duration::from_secs(24 * 3600);
    World::new().stack("shop", |s| {
        s.service("db", |c| c.uses(CALM, 1 << 20).up_for(day))
            .service("web", |c| c.depends_on("db").uses(BUSY, 1 << 20).up_for(day))
    })
}

#[expect(clippy::unnecessary_wraps, reason = "the fields of a draft are optional")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Above 20 % it waits 12 minutes at most.
fn busy(then: &str) -> GuardDraft {
    GuardDraft {
        busy_cpu_percent: text("20"),
        busy_wait_minutes: text("12"),
        then: text(then),
        ..GuardDraft::default()
    }
}

fn uptime(minutes: &str) -> GuardDraft {
    GuardDraft { min_uptime_minutes: text(minutes), ..GuardDraft::default() }
}

fn draft(guard: GuardDraft) -> Draft {
    Draft {
        target_type: text("stack"),
        target_id: text("shop"),
        enabled: Some(true),
        guard,
        ..Draft::default()
    }
}

fn window(guard: GuardDraft) -> Draft {
    Draft { window: text(NIGHT), ..draft(guard) }
}

fn cron(guard: GuardDraft) -> Draft {
    Draft { cron: text("0 23 * * *"), action: text("stop"), ..draft(guard) }
}

async fn keep(bench: &Bench, draft: &Draft) -> ScheduleView {
    schedules::create(&bench.app, &person(), draft, Source::Api).await.expect("it is saved").view
}

fn at(text: &str) -> Timestamp {
    format!("2027-03-02T{text}:00Z").parse().expect("an instant")
}

/// Moves time to a time of that evening and lets the scheduler look.
async fn pass(bench: &Bench, clock: &str) {
    bench.advance_to(&at(clock).to_string()).await;
    look(bench).await;
}

async fn look(bench: &Bench) {
    bench.quiet().await;
    bench.tick().await;
    bench.quiet().await;
}

/// All runs, oldest first.
async fn runs(bench: &Bench) -> Vec<Run> {
    let wanted = db::history::RunSelection::default();
    let mut runs = db::history::list(&bench.app.db, wanted, None, 1000).await.expect("they read");
    runs.reverse();
    runs
}

async fn only_run(bench: &Bench) -> Run {
    let runs = runs(bench).await;
    assert_eq!(runs.len(), 1, "{runs:#?}");
    runs.into_iter().next().expect("one")
}

/// The one run, once it `is_so`. Time stands still meanwhile: only real work is waited for.
async fn run_once(bench: &Bench, is_so: impl Fn(&Run) -> bool) -> Run {
    for _ in 0..1_000 {
        let run = only_run(bench).await;
        if is_so(&run) {
            return run;
        }
        bench.quiet().await;
    }
    panic!("never: {:#?}", only_run(bench).await)
}

/// The one run, once its guard looks again then.
async fn run_that_looks_at(bench: &Bench, clock: &str) -> Run {
    run_once(bench, |run| run.look_at == Some(at(clock))).await
}

async fn told(bench: &Bench) -> Vec<(Action, Trigger, RunState)> {
    runs(bench).await.iter().map(|run| (run.action, run.trigger, run.state)).collect()
}

async fn impose(bench: &Bench, state: &str, until: &str) {
    let draft = overrides::Draft {
        target_type: text("stack"),
        target_id: text("shop"),
        state: text(state),
        until: text(until),
        reason: text("demo"),
        ..overrides::Draft::default()
    };
    overrides::create(&bench.app, &person(), &draft).await.expect("it is stored");
    look(bench).await;
}

/// A stop of a busy stack that was due at 23:00, and waits.
async fn waiting(bench: &Bench, draft: &Draft) -> ScheduleView {
    let view = keep(bench, draft).await;
    pass(bench, "23:00").await;
    let run = run_that_looks_at(bench, "23:05").await;
    assert_eq!(run.state, RunState::Pending, "{run:#?}");
    assert!(bench.sim.acts().is_empty());
    view
}

on_both_engines!(a_busy_stack_waits_and_then_goes, killed_in_the_middle_of_a_wait_it_waits_on,);

async fn a_busy_stack_waits_and_then_goes(test: TestDb) {
    let bench = Bench::on(test, NOW, shop()).await;
    waiting(&bench, &window(busy("go"))).await;
    let reason = "busy: shop-web-1 at 63\u{a0}% CPU (limit 20\u{a0}%); looks again at ";
    for (clock, next) in [("23:00", "23:05"), ("23:05", "23:10"), ("23:10", "23:12")] {
        pass(&bench, clock).await;
        let run = run_that_looks_at(&bench, next).await;
        assert_eq!(run.reason, format!("{reason}{next}, sleeps all the same at 23:12"));
        assert_eq!(run.state, RunState::Pending);
        assert_eq!(
            run.deadline_at,
            at(next) + Duration::from_secs(15 * 60),
            "its time counts from the wait's end"
        );
        assert_eq!(bench.sim.running("shop"), ALL);
    }
    assert_eq!(bench.sim.count(Endpoint::Stats), 6, "one look per container each time");
    bench.advance_to(&at("23:12").to_string()).await;
    run_once(&bench, |run| run.started_at.is_some()).await;
    bench.settle().await;
    assert!(bench.sim.running("shop").is_empty());
    let run = only_run(&bench).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(run.started_at, Some(at("23:12")));
    let why = "waited 12 min; busy: still shop-web-1 at 63\u{a0}% CPU (limit 20\u{a0}%) after 12 min";
    assert!(run.why.ends_with(why), "{}", run.why);
    bench.advance_to("2027-03-03T07:00:00Z").await;
    look(&bench).await;
    bench.settle().await;
    assert_eq!(bench.sim.running("shop"), ALL, "it wakes as ever");
    assert_eq!(told(&bench).await[1], (Action::Start, Trigger::Window, RunState::Succeeded));
}

async fn killed_in_the_middle_of_a_wait_it_waits_on(test: TestDb) {
    let mut bench = Bench::on(test, NOW, shop()).await;
    waiting(&bench, &window(busy("go"))).await;
    bench.kill();
    bench.clock.advance(Duration::from_secs(3 * 60));
    bench.revive().await;
    look(&bench).await;
    let run = run_that_looks_at(&bench, "23:05").await;
    assert_eq!((run.state, run.busy_until), (RunState::Pending, Some(at("23:12"))));
    assert!(bench.sim.acts().is_empty(), "not early");
    pass(&bench, "23:05").await;
    run_that_looks_at(&bench, "23:10").await;
    // Past its end while nobody was there: one more look tells, and it goes.
    bench.kill();
    bench.clock.advance(Duration::from_secs(10 * 60));
    bench.revive().await;
    look(&bench).await;
    bench.settle().await;
    assert!(bench.sim.running("shop").is_empty());
    assert_eq!(only_run(&bench).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn a_cron_stop_waits_and_goes_as_soon_as_it_calms_down() {
    let bench = Bench::new(NOW, shop()).await;
    waiting(&bench, &cron(busy("skip"))).await;
    bench.sim.update("shop-web-1", |c| c.uses(20, 1 << 20));
    bench.advance_to(&at("23:04").to_string()).await;
    assert!(bench.sim.acts().is_empty(), "it looks when it said it would");
    bench.advance_to(&at("23:05").to_string()).await;
    bench.settle().await;
    assert!(bench.sim.running("shop").is_empty(), "the limit itself is not above it");
    let run = only_run(&bench).await;
    assert_eq!((run.state, run.why.as_str()), (RunState::Succeeded, "waited 5 min"));
}

#[tokio::test]
async fn a_calm_stack_is_looked_at_once_and_goes_at_once() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.update("shop-web-1", |c| c.uses(CALM, 1 << 20));
    keep(&bench, &cron(busy("go"))).await;
    pass(&bench, "23:00").await;
    bench.settle().await;
    let run = only_run(&bench).await;
    assert_eq!((run.state, run.started_at, run.why.as_str()), (RunState::Succeeded, Some(at("23:00")), ""));
    assert_eq!(bench.sim.count(Endpoint::Stats), 2);
}

#[tokio::test]
async fn busy_to_the_end_a_cron_stop_may_be_skipped() {
    let bench = Bench::new(NOW, shop()).await;
    waiting(&bench, &cron(busy("skip"))).await;
    pass(&bench, "23:13").await;
    let run = only_run(&bench).await;
    assert_eq!(run.state, RunState::Skipped);
    assert_eq!(run.reason, "busy: still shop-web-1 at 63\u{a0}% CPU (limit 20\u{a0}%) after 12 min");
    assert!(bench.sim.acts().is_empty());
    assert_eq!(db::overrides::open(&bench.app.db).await.expect("they read"), []);
}

#[tokio::test]
async fn a_sleep_that_is_skipped_is_an_override_until_the_next_edge() {
    let bench = Bench::new(NOW, shop()).await;
    waiting(&bench, &window(busy("skip"))).await;
    pass(&bench, "23:13").await;
    look(&bench).await;
    assert_eq!(only_run(&bench).await.state, RunState::Skipped);
    let open = db::overrides::open(&bench.app.db).await.expect("they read");
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].wanted, DesiredState::Awake);
    assert_eq!(open[0].until, "2027-03-03T07:00:00Z".parse().expect("an instant"));
    assert!(open[0].reason.starts_with("busy: still shop-web-1"), "{}", open[0].reason);
    // The Engine's restart does not make DockNap take it for somebody's wish, or sleep after all.
    bench.sim.daemon_restart(DaemonEnd::Graceful).expect("it comes back");
    for name in ALL {
        bench.sim.start(name).expect("somebody brings it back");
    }
    bench.advance(Duration::from_secs(600)).await;
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ALL);
    bench.sim.update("shop-web-1", |c| c.uses(CALM, 1 << 20));
    bench.advance_to("2027-03-03T07:00:00Z").await;
    look(&bench).await;
    bench.advance_to("2027-03-03T23:00:00Z").await;
    look(&bench).await;
    bench.settle().await;
    assert!(bench.sim.running("shop").is_empty(), "the next night it sleeps");
}

#[tokio::test]
async fn what_came_up_late_stays_up_for_its_time() {
    let bench = Bench::new("2027-03-02T22:50:00Z", shop()).await;
    bench.sim.restart("shop-web-1").expect("somebody restarts it");
    keep(&bench, &cron(uptime("30"))).await;
    pass(&bench, "23:00").await;
    let run = only_run(&bench).await;
    assert_eq!((run.state, run.look_at), (RunState::Pending, Some(at("23:20"))));
    assert_eq!(run.reason, "uptime: shop-web-1 is up since 22:50, and 30 min are wanted; waits until 23:20");
    assert_eq!(bench.sim.count(Endpoint::Stats), 0, "nobody asked how busy it is");
    // One more restart: the wait grows, but ends 30 minutes after it was due.
    bench.advance_to(&at("23:10").to_string()).await;
    bench.sim.restart("shop-web-1").expect("somebody restarts it");
    pass(&bench, "23:20").await;
    assert_eq!(only_run(&bench).await.look_at, Some(at("23:30")));
    assert!(bench.sim.running("shop").len() == 2);
    bench.advance_to(&at("23:30").to_string()).await;
    bench.settle().await;
    assert!(bench.sim.running("shop").is_empty());
    let run = only_run(&bench).await;
    assert_eq!((run.state, run.started_at), (RunState::Succeeded, Some(at("23:30"))));
}

#[tokio::test]
async fn the_uptime_first_and_then_how_busy_it_is() {
    let bench = Bench::new("2027-03-02T22:50:00Z", shop()).await;
    bench.sim.restart("shop-web-1").expect("somebody restarts it");
    keep(&bench, &window(GuardDraft { min_uptime_minutes: text("15"), ..busy("go") })).await;
    pass(&bench, "23:00").await;
    assert_eq!(only_run(&bench).await.look_at, Some(at("23:05")));
    pass(&bench, "23:05").await;
    let run = only_run(&bench).await;
    assert_eq!((run.look_at, run.busy_until), (Some(at("23:10")), Some(at("23:17"))), "{}", run.reason);
    bench.advance_to(&at("23:17").to_string()).await;
    bench.settle().await;
    assert_eq!(only_run(&bench).await.started_at, Some(at("23:17")));
}

#[tokio::test]
async fn a_hold_or_an_awake_override_ends_a_cron_wait_at_once() {
    for (state, reason) in [
        ("awake", "override: awake until 2027-03-02 23:30: demo (by command line)"),
        ("hold", "held: held as it is until 2027-03-02 23:30: demo (by command line)"),
    ] {
        let bench = Bench::new(NOW, shop()).await;
        waiting(&bench, &cron(busy("go"))).await;
        bench.advance_to(&at("23:02").to_string()).await;
        impose(&bench, state, "2027-03-02T23:30:00Z").await;
        let run = only_run(&bench).await;
        assert_eq!((run.state, run.reason.as_str()), (RunState::Skipped, reason));
        assert_eq!(run.finished_at, Some(at("23:02")));
        bench.sim.update("shop-web-1", |c| c.uses(CALM, 1 << 20));
        pass(&bench, "23:30").await;
        bench.settle().await;
        // The end of an override makes up for what it suppressed; the end of a hold replays nothing (rulings 4).
        let expected: &[&str] = if state == "hold" { &ALL } else { &[] };
        assert_eq!(bench.sim.running("shop"), expected, "{state}");
    }
}

#[tokio::test]
async fn a_hold_or_an_awake_override_ends_a_windows_wait_and_the_window_acts_after_it() {
    for (state, reason) in [("awake", "override: awake until"), ("hold", "held: held as it is until")] {
        let bench = Bench::new(NOW, shop()).await;
        waiting(&bench, &window(busy("go"))).await;
        bench.advance_to(&at("23:02").to_string()).await;
        impose(&bench, state, "2027-03-02T23:30:00Z").await;
        let run = only_run(&bench).await;
        assert_eq!(run.state, RunState::Skipped, "{}", run.reason);
        assert!(run.reason.starts_with(reason), "{}", run.reason);
        bench.advance_to(&at("23:20").to_string()).await;
        look(&bench).await;
        assert_eq!(bench.sim.running("shop"), ALL, "{state}");
        bench.sim.update("shop-web-1", |c| c.uses(CALM, 1 << 20));
        pass(&bench, "23:30").await;
        bench.settle().await;
        assert!(bench.sim.running("shop").is_empty(), "{state}: {:#?}", runs(&bench).await);
        assert_eq!(runs(&bench).await.len(), 2, "{state}: once");
    }
}

#[tokio::test]
async fn the_wake_edge_ends_a_wait() {
    let bench = Bench::new(NOW, shop()).await;
    let long = GuardDraft { busy_wait_minutes: text("720"), ..busy("go") };
    waiting(&bench, &window(long)).await;
    bench.advance_to("2027-03-03T07:00:00Z").await;
    look(&bench).await;
    let run = only_run(&bench).await;
    assert_eq!(run.state, RunState::Skipped);
    assert!(run.reason.starts_with("over: awake by "), "{}", run.reason);
    bench.advance_to("2027-03-03T12:00:00Z").await;
    look(&bench).await;
    assert!(bench.sim.acts().is_empty());
}

#[tokio::test]
async fn called_off_a_windows_sleep_stays_away_until_the_next_edge() {
    let bench = Bench::new(NOW, shop()).await;
    waiting(&bench, &window(busy("go"))).await;
    let run = only_run(&bench).await;
    execute::cancel(&bench.app, &person(), &run.id).await.expect("it is called off");
    look(&bench).await;
    pass(&bench, "23:30").await;
    let run = only_run(&bench).await;
    assert_eq!((run.state, run.reason.as_str()), (RunState::Cancelled, "called off by command line"));
    assert!(bench.sim.acts().is_empty());
    let (_, steps) = bench.run(&run.id).await;
    assert!(!steps.is_empty() && steps.iter().all(|step| step.state.is_terminal()), "{steps:#?}");
    let open = db::overrides::open(&bench.app.db).await.expect("they read");
    assert_eq!(
        open.iter().map(|one| (one.wanted, one.by_hand)).collect::<Vec<_>>(),
        [(DesiredState::Awake, true)]
    );
}

#[tokio::test]
async fn a_person_who_wants_it_now_does_not_wait() {
    let bench = Bench::new(NOW, shop()).await;
    waiting(&bench, &window(busy("go"))).await;
    bench.advance_to(&at("23:02").to_string()).await;
    bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench.settle().await;
    assert!(bench.sim.running("shop").is_empty());
    let runs = runs(&bench).await;
    assert_eq!(
        told(&bench).await,
        [
            (Action::Stop, Trigger::Window, RunState::Superseded),
            (Action::Stop, Trigger::Manual, RunState::Succeeded)
        ]
    );
    assert_eq!(runs[0].reason, "superseded by stop shop by command line");
}

#[tokio::test]
async fn an_opposite_request_ends_a_wait_and_a_restart_does_not() {
    let bench = Bench::new(NOW, shop()).await;
    waiting(&bench, &cron(busy("go"))).await;
    bench.submit(Action::Restart, Bench::stack("shop")).await;
    bench.advance_to(&at("23:04").to_string()).await;
    assert_eq!(
        told(&bench).await,
        [
            (Action::Stop, Trigger::Schedule, RunState::Pending),
            (Action::Restart, Trigger::Manual, RunState::Succeeded)
        ]
    );
    bench.submit(Action::Start, Bench::stack("shop")).await;
    bench.settle().await;
    let first = runs(&bench).await.remove(0);
    assert_eq!(first.state, RunState::Superseded);
    assert_eq!(first.reason, "superseded by start shop by command line");
    assert_eq!(bench.sim.running("shop"), ALL);
}

#[tokio::test]
async fn without_its_schedule_it_waits_no_longer() {
    for delete in [true, false] {
        let bench = Bench::new(NOW, shop()).await;
        let view = waiting(&bench, &cron(busy("go"))).await;
        let id = &view.schedule.id;
        let word = if delete {
            schedules::delete(&bench.app, &person(), id, None).await.expect("it goes");
            "deleted"
        } else {
            schedules::disable(&bench.app, &person(), id).await.expect("it is off");
            "switched off"
        };
        look(&bench).await;
        let run = only_run(&bench).await;
        assert_eq!(run.reason, format!("its schedule was {word} while it waited"));
        assert_eq!(run.state, RunState::Skipped);
    }
    let bench = Bench::new(NOW, shop()).await;
    let once = Draft { cron: None, at: text("2027-03-02T23:00:00Z"), ..cron(busy("go")) };
    waiting(&bench, &once).await;
    pass(&bench, "23:13").await;
    bench.settle().await;
    assert!(bench.sim.running("shop").is_empty(), "one that fires once is switched off by that, and goes on");
}

#[tokio::test]
async fn a_second_fire_does_not_wait_beside_the_first() {
    let bench = Bench::new(NOW, shop()).await;
    waiting(&bench, &Draft { cron: text("*/10 23 * * *"), ..cron(busy("go")) }).await;
    pass(&bench, "23:10").await;
    let runs = runs(&bench).await;
    assert_eq!(runs[0].state, RunState::Pending);
    assert_eq!(runs[1].state, RunState::Skipped);
    assert_eq!(runs[1].reason, format!("duplicate: run {} does the same", runs[0].id));
}

#[tokio::test]
async fn what_cannot_be_seen_counts_as_not_busy_and_says_so() {
    let cases: [(Fault, &str); 3] = [
        (Fault::proxy_forbids().on(Endpoint::Stats), "not allowed by the proxy: GET /containers/"),
        (Fault::status(404, "No such container").on(Endpoint::Stats), "No such container"),
        (Fault::hang().on(Endpoint::Stats), "Docker did not answer in time"),
    ];
    for (fault, words) in cases {
        let bench = Bench::new(NOW, shop()).await;
        bench.sim.fault(fault);
        keep(&bench, &cron(busy("skip"))).await;
        pass(&bench, "23:00").await;
        bench.settle().await;
        assert!(bench.sim.running("shop").is_empty(), "{words}");
        let run = only_run(&bench).await;
        assert_eq!(run.state, RunState::Succeeded, "{words}: {}", run.reason);
        let said = "and 1 more was could not be seen, which counts as not busy: ";
        assert!(run.why.contains(said) && run.why.contains(words), "{words}: {}", run.why);
    }
}

#[tokio::test]
async fn a_wait_that_ended_long_ago_is_missed_and_a_window_begins_anew() {
    let mut bench = Bench::new(NOW, shop()).await;
    waiting(&bench, &window(busy("go"))).await;
    bench.kill();
    bench.clock.advance(Duration::from_secs(2 * 3600));
    bench.revive().await;
    bench.sim.update("shop-web-1", |c| c.uses(CALM, 1 << 20));
    look(&bench).await;
    look(&bench).await;
    bench.settle().await;
    assert!(bench.sim.running("shop").is_empty(), "{:#?}", runs(&bench).await);
    assert_eq!(
        told(&bench).await,
        [
            (Action::Stop, Trigger::Window, RunState::Missed),
            (Action::Stop, Trigger::Window, RunState::Succeeded)
        ]
    );

    let mut bench = Bench::new(NOW, shop()).await;
    waiting(&bench, &Draft { catch_up_seconds: text("0"), ..cron(busy("go")) }).await;
    bench.kill();
    bench.clock.advance(Duration::from_secs(2 * 3600));
    bench.revive().await;
    look(&bench).await;
    let run = only_run(&bench).await;
    assert_eq!(run.state, RunState::Missed);
    assert_eq!(run.reason, "its wait ended while DockNap was not running");
    assert_eq!(bench.sim.running("shop"), ALL);

    let mut bench = Bench::new(NOW, shop()).await;
    waiting(&bench, &Draft { catch_up_seconds: text("10800"), ..cron(busy("go")) }).await;
    bench.kill();
    bench.clock.advance(Duration::from_secs(2 * 3600));
    bench.revive().await;
    look(&bench).await;
    bench.settle().await;
    assert_eq!(only_run(&bench).await.state, RunState::Succeeded, "within its catch-up");
    assert!(bench.sim.running("shop").is_empty());
}

#[tokio::test]
async fn a_host_that_is_away_when_the_wait_ends_is_waited_for() {
    let bench = Bench::new(NOW, shop()).await;
    waiting(&bench, &cron(busy("go"))).await;
    bench.sim.daemon_down(DaemonEnd::Crash);
    bench.advance_to(&at("23:14").to_string()).await;
    let run = only_run(&bench).await;
    assert_eq!(run.state, RunState::Pending);
    assert!(run.reason.contains("cannot be reached"), "{}", run.reason);
    bench.sim.daemon_up().expect("it comes back");
    for name in ALL {
        bench.sim.start(name).expect("somebody brings it back");
    }
    bench.settle().await;
    assert!(bench.sim.running("shop").is_empty());
    assert_eq!(only_run(&bench).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn a_daemon_restart_inside_the_sleep_is_put_right_without_a_wait() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.update("shop-web-1", |c| c.uses(CALM, 1 << 20).restart(docknap::sim::Restart::Always));
    keep(&bench, &window(busy("skip"))).await;
    pass(&bench, "23:00").await;
    bench.settle().await;
    assert!(bench.sim.running("shop").is_empty());
    bench.sim.update("shop-web-1", |c| c.uses(BUSY, 1 << 20));
    // Of what happens in one instant nobody could say which came first.
    bench.clock.advance(Duration::from_secs(10));
    bench.sim.daemon_restart(DaemonEnd::Graceful).expect("it comes back");
    bench.until("web is back", async || bench.sim.running("shop") == ["shop-web-1"]).await;
    look(&bench).await;
    bench
        .until("it is seen", async || {
            bench.tick().await;
            bench.sim.running("shop").is_empty()
        })
        .await;
    assert!(runs(&bench).await.iter().all(|run| run.look_at.is_none()));
}

#[tokio::test]
async fn a_stop_against_a_window_speaks_only_once_it_goes() {
    for calms in [true, false] {
        let bench = Bench::new(NOW, shop()).await;
        keep(&bench, &Draft { window: text("sleep 01:00-07:00"), ..draft(GuardDraft::default()) }).await;
        keep(&bench, &cron(busy("skip"))).await;
        pass(&bench, "23:00").await;
        assert_eq!(
            db::overrides::open(&bench.app.db).await.expect("they read"),
            [],
            "nothing is stopped yet"
        );
        if calms {
            bench.sim.update("shop-web-1", |c| c.uses(CALM, 1 << 20));
        }
        pass(&bench, "23:13").await;
        bench.settle().await;
        let open = db::overrides::open(&bench.app.db).await.expect("they read");
        let told: Vec<_> = open.iter().map(|one| (one.wanted, one.reason.as_str())).collect();
        let stopped = (DesiredState::Asleep, "stopped by scheduler");
        assert_eq!(told, if calms { vec![stopped] } else { vec![] });
        assert_eq!(bench.sim.running("shop").is_empty(), calms);
    }
}

#[tokio::test]
async fn a_sleep_that_is_near_is_told_once() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, &window(busy("go"))).await;
    keep(
        &bench,
        &Draft { target_id: text("shop-db-1"), target_type: text("container"), ..cron(uptime("5")) },
    )
    .await;
    let start = Draft { action: text("start"), guard: GuardDraft::default(), ..cron(GuardDraft::default()) };
    keep(&bench, &start).await;
    let mut live = bench.app.bus.subscribe();
    let mut told = || {
        let mut told = Vec::new();
        while let Ok(live) = live.try_recv() {
            if let Live::SleepsSoon(target) = live {
                told.push(target);
            }
        }
        told
    };
    let stack = Bench::stack("shop");
    bench.advance_to("2027-03-02T22:54:59Z").await;
    look(&bench).await;
    assert_eq!(told(), []);
    assert_eq!(bench.app.upcoming.of(&stack, &Rules::default(), bench.clock.now()), None);
    pass(&bench, "22:55").await;
    let near = told();
    assert_eq!(near.len(), 2, "the window and the stop, not the start: {near:?}");
    let sleep = bench.app.upcoming.of(&stack, &Rules::default(), bench.clock.now()).expect("it is near");
    assert_eq!((sleep.at, sleep.schedule_title.as_str()), (at("23:00"), "Sleep shop"));
    pass(&bench, "22:56").await;
    assert_eq!(told(), [], "once");
    // What will not happen is not said to.
    impose(&bench, "hold", "2027-03-03T01:00:00Z").await;
    assert_eq!(bench.app.upcoming.of(&stack, &Rules::default(), bench.clock.now()), None);
}
