//! The scheduler over a whole DockNap on a frozen clock: what fires, what is made up for, what never comes again.

use std::time::Duration;

use docknap::app::schedules::{self, Draft, ScheduleView};
use docknap::db;
use docknap::domain::action::Action;
use docknap::domain::ids::{HostId, ScheduleId};
use docknap::domain::run::{Run, RunState, StepState, Trigger};
use docknap::domain::schedule::{Schedule, Source};
use docknap::domain::target::Target;
use docknap::scheduler::{self, batch::Batch};
use docknap::sim::{ContainerSpec, Endpoint, World};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::on_both_engines;
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;
use crate::support::rows;

const NOW: &str = "2027-03-02T22:30:00Z";

fn media() -> World {
    World::new().stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
}

/// Saves a schedule for stack `media`.
async fn keep(bench: &Bench, action: Action, cron: &str) -> ScheduleView {
    keep_for(bench, "media", action, cron, None).await
}

async fn keep_for(
    bench: &Bench,
    stack: &str,
    action: Action,
    cron: &str,
    zone: Option<&str>,
) -> ScheduleView {
    let draft = Draft {
        target_type: Some("stack".to_owned()),
        target_id: Some(stack.to_owned()),
        action: Some(action.as_str().to_owned()),
        cron: Some(cron.to_owned()),
        timezone: zone.map(str::to_owned),
        enabled: Some(true),
        ..Draft::default()
    };
    schedules::create(&bench.app, &person(), &draft, Source::Api).await.expect("it is saved").view
}

/// The runs of a schedule, oldest first.
async fn runs_of(bench: &Bench, schedule: &ScheduleId) -> Vec<Run> {
    let wanted = db::history::RunSelection { schedule: Some(schedule), ..Default::default() };
    let mut runs = db::history::list(&bench.app.db, wanted, None, 1000).await.expect("they read");
    runs.reverse();
    runs
}

fn states(runs: &[Run]) -> Vec<(RunState, Trigger)> {
    runs.iter().map(|run| (run.state, run.trigger)).collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

on_both_engines!(
    a_schedule_fires_at_its_minute_and_once,
    down_over_stop_and_start_runs_only_start,
    minutely_schedule_down_30d_inserts_one_summary_row,
    enable_after_disable_no_catchup,
    clock_back_1h_no_refire,
    suspend_8h_then_resume_uses_catchup,
    two_schedulers_claim_an_occurrence_once,
    what_is_old_is_forgotten_and_the_rest_is_kept,
);

async fn a_schedule_fires_at_its_minute_and_once(test: TestDb) {
    let bench = Bench::on(test, NOW, media()).await;
    let stop = keep(&bench, Action::Stop, "0 23 * * *").await;
    bench.advance_to("2027-03-02T22:59:59.999Z").await;
    let ticked = bench.tick().await;
    assert_eq!((ticked.claimed, ticked.next_due), (0, Some(at("2027-03-02T23:00:00Z"))));
    bench.advance_to("2027-03-02T23:00:00Z").await;
    let ticked = bench.tick().await;
    assert_eq!((ticked.claimed, ticked.runs.len()), (1, 1));
    assert_eq!(ticked.next_due, Some(at("2027-03-03T23:00:00Z")));
    assert_eq!(bench.tick().await.claimed, 0);
    bench.settle().await;
    let runs = runs_of(&bench, &stop.schedule.id).await;
    assert_eq!(states(&runs), [(RunState::Succeeded, Trigger::Schedule)]);
    assert_eq!(runs[0].fire_at, Some(at("2027-03-02T23:00:00Z")));
    assert!(bench.sim.running("media").is_empty());
}

async fn down_over_stop_and_start_runs_only_start(test: TestDb) {
    let mut bench = Bench::on(test, NOW, media()).await;
    let stop = keep(&bench, Action::Stop, "0 23 * * *").await;
    let start = keep(&bench, Action::Start, "30 23 * * *").await;
    bench.kill();
    bench.sim.stop("media-web-1").expect("somebody stops it");
    bench.clock.advance(Duration::from_secs(75 * 60));
    bench.revive().await;
    bench.tick().await;
    bench.settle().await;
    assert_eq!(states(&runs_of(&bench, &stop.schedule.id).await), [(RunState::Superseded, Trigger::CatchUp)]);
    assert_eq!(states(&runs_of(&bench, &start.schedule.id).await), [(RunState::Succeeded, Trigger::CatchUp)]);
    assert_eq!(bench.sim.count(Endpoint::Stop), 0, "yesterday's stop is never replayed");
}

async fn minutely_schedule_down_30d_inserts_one_summary_row(test: TestDb) {
    let mut bench = Bench::on(test, NOW, media()).await;
    let stop = keep(&bench, Action::Stop, "* * * * *").await;
    bench.kill();
    bench.clock.advance(Duration::from_secs(30 * 24 * 3600));
    bench.revive().await;
    let ticked = bench.tick().await;
    bench.settle().await;
    let runs = runs_of(&bench, &stop.schedule.id).await;
    assert_eq!(runs.len(), 2, "one that runs, one that remembers the rest");
    let missed = runs.iter().find_map(|run| run.missed.clone()).expect("a summary");
    assert_eq!(missed.count, ticked.missed);
    assert_eq!((missed.first, missed.count), (at("2027-03-02T22:31:00Z"), 30 * 24 * 60 - 1));
    assert_eq!(bench.sim.count(Endpoint::Stop), 2, "two containers, once each");
}

async fn enable_after_disable_no_catchup(test: TestDb) {
    let bench = Bench::on(test, NOW, media()).await;
    let stop = keep(&bench, Action::Stop, "0 23 * * *").await;
    schedules::disable(&bench.app, &person(), &stop.schedule.id).await.expect("it is switched off");
    bench.advance_to("2027-03-02T23:10:00Z").await;
    assert_eq!(bench.tick().await.claimed, 0);
    schedules::enable(&bench.app, &person(), &stop.schedule.id).await.expect("it is switched on");
    assert_eq!(bench.tick().await.claimed, 0);
    assert_eq!(runs_of(&bench, &stop.schedule.id).await.len(), 0, "a disabled schedule misses nothing");
}

async fn clock_back_1h_no_refire(test: TestDb) {
    let bench = Bench::on(test, NOW, media()).await;
    let stop = keep(&bench, Action::Stop, "0 23 * * *").await;
    bench.advance_to("2027-03-02T23:00:00Z").await;
    assert_eq!(bench.tick().await.claimed, 1);
    bench.settle().await;
    bench.clock.set_wall(at("2027-03-02T22:00:30Z"));
    assert_eq!(bench.tick().await.claimed, 0);
    bench.advance_to("2027-03-02T23:00:30Z").await;
    assert_eq!(bench.tick().await.claimed, 0, "the instant had its run");
    assert_eq!(runs_of(&bench, &stop.schedule.id).await.len(), 1);
}

async fn suspend_8h_then_resume_uses_catchup(test: TestDb) {
    let bench = Bench::on(test, NOW, media()).await;
    let stop = keep(&bench, Action::Stop, "0 23 * * *").await;
    let early = keep(&bench, Action::Restart, "0 6 * * *").await;
    // The machine slept: the wall clock went on, the process did not.
    bench.clock.set_wall(at("2027-03-03T06:30:00Z"));
    bench.tick().await;
    bench.settle().await;
    assert_eq!(states(&runs_of(&bench, &stop.schedule.id).await), [(RunState::Missed, Trigger::CatchUp)]);
    assert_eq!(states(&runs_of(&bench, &early.schedule.id).await), [(RunState::Missed, Trigger::CatchUp)]);
    assert!(bench.sim.acts().is_empty());
}

async fn two_schedulers_claim_an_occurrence_once(test: TestDb) {
    let bench = Bench::on(test, NOW, media()).await;
    let stop = keep(&bench, Action::Stop, "0 23 * * *").await;
    bench.advance_to("2027-03-02T23:00:00Z").await;
    let (one, other) = tokio::join!(bench.tick(), bench.tick());
    assert_eq!(one.claimed + other.claimed, 1);
    bench.settle().await;
    assert_eq!(runs_of(&bench, &stop.schedule.id).await.len(), 1);
}

async fn what_is_old_is_forgotten_and_the_rest_is_kept(test: TestDb) {
    let bench = Bench::on(test, NOW, media()).await;
    let (old, _) = bench.carry_out(Action::Stop, Bench::stack("media")).await;
    bench.clock.advance(Duration::from_secs(364 * 24 * 3600));
    let (young, _) = bench.carry_out(Action::Start, Bench::stack("media")).await;
    scheduler::housekeeping::sweep(&bench.app).await.expect("it sweeps");
    assert_eq!(bench.run(&old.id).await.0.id, old.id, "365 days are kept");
    bench.clock.advance(Duration::from_secs(2 * 24 * 3600));
    scheduler::housekeeping::sweep(&bench.app).await.expect("it sweeps");
    assert_eq!(db::runs::get(&bench.app.db, &old.id).await.expect("reads"), None);
    assert!(db::steps::of_run(&bench.app.db, &old.id).await.expect("reads").is_empty());
    assert_eq!(bench.run(&young.id).await.0.id, young.id);
    let audit = db::audit::newest(&bench.app.db).await.expect("reads");
    assert!(audit.is_some(), "audit rows are for ever, unless a setting says otherwise");
}

#[tokio::test]
async fn a_scheduled_start_wakes_only_what_was_put_to_sleep() {
    let world = World::new().stack("media", |s| {
        s.service("db", |c| c)
            .service("web", |c| c.depends_on("db"))
            .service("off", ContainerSpec::stopped)
            .service("migrate", |c| c.exited(0))
    });
    let bench = Bench::new(NOW, world).await;
    keep(&bench, Action::Stop, "0 23 * * *").await;
    let start = keep(&bench, Action::Start, "30 23 * * *").await;
    bench.advance_to("2027-03-02T23:00:00Z").await;
    bench.tick().await;
    bench.settle().await;
    bench.advance_to("2027-03-02T23:30:00Z").await;
    bench.tick().await;
    bench.settle().await;
    assert_eq!(bench.sim.running("media"), ["media-db-1", "media-web-1"]);
    let runs = runs_of(&bench, &start.schedule.id).await;
    let steps = db::steps::of_run(&bench.app.db, &runs[0].id).await.expect("they read");
    let off = steps.iter().find(|step| step.container == "media-off-1").expect("it is listed");
    assert_eq!((off.state, off.reason.as_str()), (StepState::Skipped, "DockNap did not put it to sleep"));
}

#[tokio::test]
async fn a_skipped_occurrence_is_recorded_and_the_next_one_fires() {
    let bench = Bench::new(NOW, media()).await;
    let stop = keep(&bench, Action::Stop, "0 23 * * *").await;
    schedules::skip_next(&bench.app, &person(), &stop.schedule.id).await.expect("it is skipped");
    bench.advance_to("2027-03-02T23:00:00Z").await;
    bench.tick().await;
    bench.settle().await;
    assert_eq!(states(&runs_of(&bench, &stop.schedule.id).await), [(RunState::Skipped, Trigger::Schedule)]);
    assert_eq!(bench.sim.running("media").len(), 2);
    bench.advance_to("2027-03-03T23:00:00Z").await;
    bench.tick().await;
    bench.settle().await;
    assert!(bench.sim.running("media").is_empty());
}

#[tokio::test]
async fn hundreds_of_schedules_of_one_minute_are_all_claimed_and_clash_as_one() {
    let world = World::new().many(20, 1);
    let bench = Bench::new(NOW, world).await;
    let mut saved = Vec::new();
    for stack in bench.app.hosts.first().expect("a host").inventory().stacks() {
        saved.push(keep_for(&bench, &stack.name, Action::Stop, "0 23 * * *", None).await.schedule);
    }
    // The rest are copies of these rows: saving compares a schedule with all others, which is not what this is about.
    let mut tx = bench.app.db.begin().await.expect("begins");
    for schedule in &saved {
        for _ in 1..60 {
            let copy = Schedule { id: bench.app.ids.next(bench.clock.now()), ..schedule.clone() };
            db::schedules::insert(&mut tx, &copy).await.expect("stores");
        }
    }
    tx.commit().await.expect("commits");
    bench.advance_to("2027-03-02T23:00:00Z").await;
    let ticked = bench.tick().await;
    assert_eq!((ticked.claimed, ticked.runs.len()), (1200, 20), "one run a stack, the rest are duplicates");
    bench.settle().await;
    assert_eq!(bench.sim.count(Endpoint::Stop), 20);
}

#[tokio::test]
async fn what_is_stored_just_before_its_instant_counts_although_nobody_tells_of_it() {
    let bench = Bench::new(NOW, media()).await;
    let stop = keep(&bench, Action::Stop, "0 23 * * *").await.schedule;
    let end = CancellationToken::new();
    let running = tokio::spawn(scheduler::run(bench.app.clone(), end.clone()));
    bench.advance_to("2027-03-02T22:59:59.9Z").await;
    // Another of the same minute is stored, of which nobody tells the scheduler.
    let mut restart = Schedule { id: bench.app.ids.next(bench.clock.now()), ..stop.clone() };
    restart.spec.action = Action::Restart;
    let mut tx = bench.app.db.begin().await.expect("begins");
    db::schedules::insert(&mut tx, &restart).await.expect("stores");
    tx.commit().await.expect("commits");
    bench.advance_to("2027-03-02T23:05:00Z").await;
    bench.settle().await;
    for (id, state) in [(&restart.id, RunState::Succeeded), (&stop.id, RunState::Skipped)] {
        let runs = runs_of(&bench, id).await;
        assert_eq!(runs.iter().map(|run| run.state).collect::<Vec<_>>(), [state], "{runs:?}");
        assert_eq!(runs[0].created_at, at("2027-03-02T23:00:00Z"));
    }
    end.cancel();
    running.await.expect("it ends");
}

#[tokio::test]
async fn a_batch_knows_whether_there_is_more() {
    let bench = Bench::new(NOW, media()).await;
    let first = keep(&bench, Action::Stop, "0 23 * * *").await.schedule;
    let next = at("2027-03-02T23:00:00Z");
    let whole = usize::try_from(scheduler::BATCH).expect("a small number");
    let mut tx = bench.app.db.begin().await.expect("begins");
    for n in 1..whole {
        let mut one = Schedule { id: bench.app.ids.next(bench.clock.now()), ..first.clone() };
        one.spec.target = Target::stack(HostId::local(), format!("stack-{n:04}"));
        db::schedules::insert(&mut tx, &one).await.expect("stores");
    }
    tx.commit().await.expect("commits");
    bench.clock.set_wall(next);
    let batch = Batch::read(&bench.app, next).await.expect("it reads");
    assert_eq!((batch.due.len(), batch.is_full), (whole, false), "these are all");
    let mut tx = bench.app.db.begin().await.expect("begins");
    let mut one = Schedule { id: bench.app.ids.next(bench.clock.now()), ..first };
    one.spec.target = Target::stack(HostId::local(), "stack-0999");
    db::schedules::insert(&mut tx, &one).await.expect("stores");
    tx.commit().await.expect("commits");
    let batch = Batch::read(&bench.app, next).await.expect("it reads");
    assert_eq!((batch.due.len(), batch.is_full), (whole - 1, true), "those of one target come together");
    let ticked = scheduler::tick(&bench.app).await.expect("it ticks");
    assert_eq!(ticked.claimed, whole + 1);
    assert_eq!(ticked.next_due, Some(at("2027-03-03T23:00:00Z")));
}

#[tokio::test]
async fn a_twin_is_found_among_however_many_that_have_not_ended() {
    let bench = Bench::new(NOW, media()).await;
    let kept = keep(&bench, Action::Stop, "0 23 * * *").await.schedule;
    let open = |id: String, target| (Run { target, state: RunState::Pending, ..rows::run(&id) }, Vec::new());
    let mut many: Vec<_> = (0..100)
        .map(|n| open(format!("open-{n}"), Target::stack(HostId::local(), format!("stack-{n}"))))
        .collect();
    many.push(open("twin".to_owned(), kept.spec.target.clone()));
    rows::store_runs(&bench.app.db, &many).await;
    bench.clock.set_wall(at("2027-03-02T23:00:00Z"));
    bench.tick().await;
    let [run] = &runs_of(&bench, &kept.id).await[..] else { panic!("one run") };
    assert_eq!((run.state, run.reason.as_str()), (RunState::Skipped, "duplicate: run twin does the same"));
}

#[tokio::test]
async fn boot_before_ntp_holds() {
    let bench = Bench::new(NOW, media()).await;
    keep(&bench, Action::Stop, "0 23 * * *").await;
    // The next boot has no battery-backed clock: it shows a time before what is stored.
    bench.clock.set_wall(at("1970-01-01T00:00:10Z"));
    let stop = CancellationToken::new();
    let running = tokio::spawn(scheduler::run(bench.app.clone(), stop.clone()));
    bench.advance(Duration::from_secs(60)).await;
    assert!(bench.sim.acts().is_empty(), "it holds");
    // NTP sets the clock.
    bench.clock.set_wall(at("2027-03-02T23:00:05Z"));
    bench.until("the stack sleeps", async || bench.sim.running("media").is_empty()).await;
    stop.cancel();
    running.await.expect("it ends");
}

#[tokio::test]
async fn preview_equals_fired() {
    let bench = Bench::new("2027-03-27T12:00:00Z", media()).await;
    // Around a change of the clock, in zones that differ in how they do it.
    let cases = [
        ("30 2 * * *", "Europe/Berlin"),
        ("*/20 1-3 * * *", "Europe/Berlin"),
        ("15 */6 * * *", "Australia/Lord_Howe"),
        ("0 0 * * 0,1", "America/New_York"),
        ("@hourly", "Asia/Kolkata"),
    ];
    let mut kept = Vec::new();
    for (cron, zone) in cases {
        let draft = Draft {
            target_type: Some("stack".to_owned()),
            target_id: Some("media".to_owned()),
            action: Some("restart".to_owned()),
            cron: Some(cron.to_owned()),
            timezone: Some(zone.to_owned()),
            enabled: Some(true),
            ..Draft::default()
        };
        let preview = schedules::preview(&bench.app, &person(), &draft).await.expect("it is previewed");
        let saved = keep_for(&bench, "media", Action::Restart, cron, Some(zone)).await;
        kept.push((cron, preview.next, saved.schedule.id));
    }
    // Tick exactly when the scheduler says it is due, for two days.
    let end = at("2027-03-29T12:00:00Z");
    while let Some(next) = bench.tick().await.next_due.filter(|next| *next <= end) {
        bench.clock.set_wall(next);
    }
    for (cron, preview, id) in kept {
        let fired: Vec<Timestamp> =
            runs_of(&bench, &id).await.into_iter().filter_map(|run| run.fire_at).collect();
        let previewed: Vec<Timestamp> =
            preview.into_iter().map(|next| next.at).filter(|next| *next <= end).collect();
        assert!(!previewed.is_empty(), "{cron}");
        assert_eq!(fired[..previewed.len()], previewed, "{cron}");
    }
}
