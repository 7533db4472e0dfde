//! Sleep windows over a whole DockNap on a frozen clock: what sleeps, what wakes, what others do meanwhile.

use std::time::Duration;

use docknap::app::schedules::{self, Draft, ScheduleView};
use docknap::app::stacks::{self, ShownState};
use docknap::app::{locks, nap, overrides};
use docknap::db;
use docknap::domain::action::Action;
use docknap::domain::ids::HostId;
use docknap::domain::overrides::{DesiredState, Override};
use docknap::domain::run::{Run, RunState, Trigger};
use docknap::domain::schedule::Source;
use docknap::domain::target::{ContainerIdentity, Target, TargetType};
use docknap::scheduler::Ticked;
use docknap::sim::{ContainerSpec, DaemonEnd, Endpoint, Restart, World};
use jiff::{SignedDuration, Timestamp};

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;

/// A Tuesday.
pub const NOW: &str = "2027-03-02T22:30:00Z";
pub const NIGHT: &str = "sleep 23:00-07:00";

/// A database, an API that needs it, a web server that needs that; a migration that has completed, and a tool that is
/// off on purpose.
pub fn shop() -> World {
    World::new().stack("shop", |s| {
        s.service("db", |c| c)
            .service("migrate", |c| c.depends_on("db:service_started").exited(0))
            .service("api", |c| c.depends_on("db,migrate:service_completed_successfully"))
            .service("web", |c| c.depends_on("api"))
            .service("tool", |c| c.exited(143))
    })
}

pub const ALL: [&str; 3] = ["shop-api-1", "shop-db-1", "shop-web-1"];

pub fn window(text: &str) -> Draft {
    Draft {
        target_type: Some("stack".to_owned()),
        target_id: Some("shop".to_owned()),
        window: Some(text.to_owned()),
        enabled: Some(true),
        ..Draft::default()
    }
}

pub async fn keep(bench: &Bench, draft: Draft) -> ScheduleView {
    schedules::create(&bench.app, &person(), &draft, Source::Api).await.expect("it is saved").view
}

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// Moves time to an instant, lets the scheduler look there, and lets its runs end.
pub async fn pass(bench: &Bench, instant: &str) -> Ticked {
    bench.advance_to(instant).await;
    look(bench).await
}

pub async fn look(bench: &Bench) -> Ticked {
    bench.quiet().await;
    let ticked = bench.tick().await;
    bench.settle().await;
    bench.quiet().await;
    ticked
}

/// All runs, oldest first.
pub async fn runs(bench: &Bench) -> Vec<Run> {
    let mut runs = db::history::list(&bench.app.db, db::history::RunSelection::default(), None, 1000)
        .await
        .expect("they read");
    runs.reverse();
    runs
}

async fn told(bench: &Bench) -> Vec<(Action, Trigger, RunState)> {
    runs(bench).await.iter().map(|run| (run.action, run.trigger, run.state)).collect()
}

pub async fn wish(bench: &Bench, target_type: &str, target: &str, state: &str, until: &str) -> Override {
    let draft = overrides::Draft {
        target_type: Some(target_type.to_owned()),
        target_id: Some(target.to_owned()),
        state: Some(state.to_owned()),
        until: Some(until.to_owned()),
        reason: Some("demo".to_owned()),
        ..overrides::Draft::default()
    };
    overrides::create(&bench.app, &person(), &draft).await.expect("it is stored")
}

pub async fn open(bench: &Bench) -> Vec<Override> {
    db::overrides::open(&bench.app.db).await.expect("they read")
}

#[tokio::test]
async fn why_is_told_in_the_zone_chosen_at_setup_before_anything_ran() {
    let bench = Bench::new(NOW, shop()).await;
    let mut tx = bench.app.db.begin().await.expect("begins");
    db::settings::put(&mut tx, docknap::app::zone::KEY, "Asia/Tokyo", bench.clock.now())
        .await
        .expect("stores");
    tx.commit().await.expect("commits");
    wish(&bench, "stack", "shop", "awake", "2027-03-03T21:00:00Z").await;
    let stack = stacks::get(&bench.app, &person(), &HostId::local(), "shop").await.expect("it is there");
    assert!(stack.why().contains("2027-03-04 06:00"), "{}", stack.why());
}

const SLEPT: (Action, Trigger, RunState) = (Action::Stop, Trigger::Window, RunState::Succeeded);
const WOKE: (Action, Trigger, RunState) = (Action::Start, Trigger::Window, RunState::Succeeded);

on_both_engines!(
    a_stack_sleeps_and_what_ran_wakes,
    down_over_the_wake_edge_it_wakes_once,
    an_override_that_ended_while_down_is_over,
);

async fn a_stack_sleeps_and_what_ran_wakes(test: TestDb) {
    let bench = Bench::on(test, NOW, shop()).await;
    let night = keep(&bench, window(NIGHT)).await;
    assert_eq!(night.schedule.next_due, Some(at("2027-03-02T23:00:00Z")));
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ALL, "saving inside a time awake does nothing");
    pass(&bench, "2027-03-02T23:00:00Z").await;
    assert!(bench.sim.running("shop").is_empty());
    let stops: Vec<String> = bench.sim.acts().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(stops, ["shop-web-1", "shop-api-1", "shop-db-1"], "in reverse order");
    assert_eq!(look(&bench).await.runs, [], "once");
    bench.sim.clear_calls();
    pass(&bench, "2027-03-03T07:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ALL);
    let starts: Vec<String> = bench.sim.acts().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(
        starts,
        ["shop-db-1", "shop-api-1", "shop-web-1"],
        "the completed one and the one that was off stay"
    );
    assert_eq!(told(&bench).await, [SLEPT, WOKE]);
    let runs = runs(&bench).await;
    assert_eq!(runs[0].fire_at, Some(at("2027-03-02T23:00:00Z")));
    assert_eq!(runs[1].fire_at, Some(at("2027-03-03T07:00:00Z")));
    assert_eq!(runs[1].schedule_id.as_ref(), Some(&night.schedule.id));
}

#[tokio::test]
async fn a_stack_naps_though_some_of_it_was_off_before() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    let view = async || {
        let host = docknap::domain::ids::HostId::local();
        docknap::app::stacks::get(&bench.app, &person(), &host, "shop").await.expect("a stack")
    };
    let asleep = view().await;
    assert_eq!((asleep.shown, asleep.napping), (ShownState::Napping, true));
    let why = "Asleep by “Sleep shop” (sleep 23:00-07:00). Stopped by schedule Sleep shop, 23:00 today";
    assert_eq!(asleep.why(), why, "nobody else stopped it");
    bench.sim.start("shop-tool-1").expect("somebody starts it");
    look(&bench).await;
    assert_eq!(view().await.shown, ShownState::Partial, "one of it is up");
}

#[tokio::test]
async fn what_a_run_of_ours_is_starting_was_not_started_outside() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    bench.submit(Action::Start, Bench::stack("shop")).await;
    bench.until("it runs", async || bench.sim.running("shop").len() == 4).await;
    bench.quiet().await;
    let host = docknap::domain::ids::HostId::local();
    let view = docknap::app::stacks::get(&bench.app, &person(), &host, "shop").await.expect("a stack");
    // The run watches for three seconds whether all stays up.
    assert!(view.why().ends_with("A run is at work on it"), "{}", view.why());
    let whys: Vec<String> = view.containers.iter().map(docknap::app::stacks::ContainerView::why).collect();
    assert!(whys.iter().all(|why| !why.contains("outside DockNap")), "{whys:#?}");
    bench.settle().await;
}

#[tokio::test]
async fn what_is_locked_while_a_run_works_on_it_is_worked_on_still() {
    let bench = Bench::new(NOW, shop()).await;
    let host = HostId::local();
    let tool =
        ContainerIdentity::Service { project: "shop".to_owned(), service: "tool".to_owned(), number: 1 };
    bench.submit(Action::Start, Target::container(host.clone(), tool)).await;
    bench.until("it runs", async || bench.sim.running("shop").len() == 4).await;
    bench.quiet().await;
    let kind = TargetType::Container;
    locks::lock(&bench.app, &person(), &host, kind, "shop-tool-1", "later").await.expect("it is locked");
    let view = stacks::get(&bench.app, &person(), &host, "shop").await.expect("a stack");
    assert_eq!(view.why(), "A run is at work on it");
    let locked = view.containers.iter().find(|one| one.protected.is_some()).expect("it is there");
    assert!(locked.why().starts_with("DockNap never touches it: "), "{}", locked.why());
    bench.settle().await;
}

async fn down_over_the_wake_edge_it_wakes_once(test: TestDb) {
    let mut bench = Bench::on(test, NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    bench.kill();
    bench.clock.advance(Duration::from_secs(34 * 3600));
    bench.revive().await;
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ALL, "the state for now, once");
    assert_eq!(told(&bench).await, [SLEPT, WOKE]);
    assert_eq!(runs(&bench).await[1].fire_at, Some(at("2027-03-04T07:00:00Z")));
}

async fn an_override_that_ended_while_down_is_over(test: TestDb) {
    let mut bench = Bench::on(test, NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    wish(&bench, "stack", "shop", "awake", "2027-03-03T01:00:00Z").await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ALL, "kept awake");
    bench.kill();
    bench.clock.advance(Duration::from_secs(3 * 3600));
    bench.revive().await;
    look(&bench).await;
    assert!(bench.sim.running("shop").is_empty(), "the window decides again");
    assert_eq!(open(&bench).await, []);
    let withheld = (Action::Stop, Trigger::Window, RunState::Skipped);
    assert_eq!(told(&bench).await, [withheld, SLEPT]);
}

#[tokio::test]
async fn saved_inside_a_sleep_it_sleeps_now_or_from_the_next_on() {
    for (from_next, running) in [(false, 0), (true, 3)] {
        let bench = Bench::new("2027-03-02T23:30:00Z", shop()).await;
        keep(&bench, Draft { from_next, ..window(NIGHT) }).await;
        look(&bench).await;
        assert_eq!(bench.sim.running("shop").len(), running);
        pass(&bench, "2027-03-03T07:00:00Z").await;
        assert_eq!(bench.sim.running("shop"), ALL);
        pass(&bench, "2027-03-03T23:00:00Z").await;
        assert!(bench.sim.running("shop").is_empty());
    }
}

#[tokio::test]
async fn respect_a_start_from_outside_lives_until_the_next_edge() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    bench.advance_to("2027-03-03T01:00:00Z").await;
    bench.sim.start("shop-db-1").expect("somebody starts it");
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ["shop-db-1"]);
    let made = open(&bench).await;
    assert_eq!(made.len(), 1);
    assert_eq!(
        (made[0].wanted, made[0].until, made[0].by_hand),
        (DesiredState::Awake, at("2027-03-03T07:00:00Z"), true)
    );
    assert_eq!(made[0].reason, "started outside DockNap");
    pass(&bench, "2027-03-03T07:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ALL, "the others wake");
    assert_eq!(open(&bench).await, []);
    pass(&bench, "2027-03-03T23:00:00Z").await;
    assert!(bench.sim.running("shop").is_empty(), "and all sleep again");
}

#[tokio::test]
async fn respect_a_stop_from_outside_is_not_undone_at_the_wake_edge() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    bench.sim.stop("shop-web-1").expect("somebody stops it");
    look(&bench).await;
    assert_eq!(open(&bench).await.iter().map(|one| one.wanted).collect::<Vec<_>>(), [DesiredState::Asleep]);
    pass(&bench, "2027-03-02T23:00:00Z").await;
    pass(&bench, "2027-03-03T07:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ["shop-api-1", "shop-db-1"], "what was off on purpose stays off");
}

#[tokio::test]
async fn enforce_puts_back_after_the_grace_three_times() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, Draft { policy: Some("enforce".to_owned()), ..window(NIGHT) }).await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    for round in 1..=4 {
        bench.advance(Duration::from_secs(600)).await;
        bench.sim.start("shop-db-1").expect("somebody starts it");
        let ticked = look(&bench).await;
        assert_eq!(bench.sim.running("shop"), ["shop-db-1"], "the grace");
        if round < 4 {
            assert_eq!(ticked.next_due, Some(bench.clock.now() + Duration::from_secs(300)), "round {round}");
        }
        bench.advance(Duration::from_secs(300)).await;
        look(&bench).await;
        assert_eq!(bench.sim.running("shop").is_empty(), round < 4, "round {round}");
    }
    let runs = runs(&bench).await;
    assert_eq!(runs.len(), 4);
    assert!(runs[0].why.starts_with("asleep by “Sleep shop”"), "{}", runs[0].why);
    assert!(runs[3].why.starts_with("put back: somebody else changed it"), "{}", runs[3].why);
    assert_eq!(open(&bench).await, []);
}

#[tokio::test]
async fn observe_only_records() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, Draft { policy: Some("observe".to_owned()), ..window(NIGHT) }).await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    bench.advance(Duration::from_secs(600)).await;
    bench.sim.start("shop-db-1").expect("somebody starts it");
    look(&bench).await;
    assert_eq!(open(&bench).await, []);
    bench.advance(Duration::from_secs(3600)).await;
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ["shop-db-1"]);
    assert_eq!(told(&bench).await, [SLEPT]);
}

#[tokio::test]
async fn what_the_daemon_brings_back_is_put_to_sleep_again() {
    let world = World::new().stack("shop", |s| {
        s.service("db", |c| c.restart(Restart::Always)).service("web", |c| c.restart(Restart::Always))
    });
    let bench = Bench::new(NOW, world).await;
    keep(&bench, window(NIGHT)).await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    bench.advance(Duration::from_secs(3600)).await;
    bench.sim.daemon_restart(DaemonEnd::Graceful).expect("it restarts");
    bench
        .until("it is connected again", async || {
            bench.sim.running("shop").len() == 2
                && bench.app.hosts.first().expect("a host").inventory().is_connected()
                && bench
                    .app
                    .hosts
                    .first()
                    .expect("a host")
                    .inventory()
                    .containers
                    .iter()
                    .all(|container| container.state.is_up())
        })
        .await;
    look(&bench).await;
    assert!(bench.sim.running("shop").is_empty());
    let last = runs(&bench).await.pop().expect("a run");
    assert!(last.why.starts_with("daemon restart"), "{}", last.why);
    assert_eq!((last.trigger, last.state), (Trigger::Window, RunState::Succeeded));
    assert_eq!(open(&bench).await, [], "nobody did it by hand");
    pass(&bench, "2027-03-03T07:00:00Z").await;
    assert_eq!(bench.sim.running("shop").len(), 2);
}

#[tokio::test]
async fn an_awake_override_wakes_what_naps_and_a_hold_touches_nothing() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    bench.advance(Duration::from_secs(3600)).await;
    wish(&bench, "container", "shop-db-1", "awake", "1h").await;
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ["shop-db-1"]);
    wish(&bench, "all", "", "hold", "2h").await;
    bench.advance(Duration::from_secs(3600)).await;
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ["shop-db-1"], "the awake override is over, but all is held");
    bench.advance(Duration::from_secs(3600)).await;
    look(&bench).await;
    assert!(bench.sim.running("shop").is_empty(), "the hold is over");
}

#[tokio::test]
async fn an_asleep_override_naps_and_the_window_wakes_it() {
    let bench = Bench::new("2027-03-02T12:00:00Z", shop()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    wish(&bench, "stack", "shop", "asleep", "2h").await;
    look(&bench).await;
    assert!(bench.sim.running("shop").is_empty());
    pass(&bench, "2027-03-02T14:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ALL);
    assert_eq!(told(&bench).await, [(Action::Stop, Trigger::Override, RunState::Succeeded), WOKE]);
}

#[tokio::test]
async fn a_wake_edge_without_a_nap_starts_nothing_and_says_so() {
    let world = World::new()
        .stack("shop", |s| s.service("db", ContainerSpec::stopped).service("web", ContainerSpec::stopped));
    let bench = Bench::new("2027-03-02T23:30:00Z", world).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    pass(&bench, "2027-03-03T07:00:00Z").await;
    assert!(bench.sim.running("shop").is_empty());
    let last = runs(&bench).await.pop().expect("a run");
    assert_eq!(last.state, RunState::Skipped);
    assert!(last.reason.starts_with("nothing_napped"), "{}", last.reason);
    assert_eq!(bench.sim.count(Endpoint::Start), 0);
}

#[tokio::test]
async fn wake_all_starts_every_member() {
    let world = World::new().stack("shop", |s| s.service("db", |c| c.exited(1)).service("web", |c| c));
    let bench = Bench::new(NOW, world).await;
    keep(&bench, Draft { wake: Some("all".to_owned()), ..window(NIGHT) }).await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    pass(&bench, "2027-03-03T07:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ["shop-db-1", "shop-web-1"]);
}

#[tokio::test]
async fn mode_pause_pauses_and_what_was_paused_by_others_stays() {
    let world = World::new().stack("shop", |s| {
        s.service("db", |c| c).service("web", |c| c).service("old", ContainerSpec::paused)
    });
    let bench = Bench::new(NOW, world).await;
    keep(&bench, Draft { mode: Some("pause".to_owned()), ..window(NIGHT) }).await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    assert_eq!(bench.sim.state("shop-db-1"), "paused");
    let overview = stacks::overview(&bench.app, &person()).await.expect("it reads");
    let old = overview.stacks[0].containers.iter().find(|view| view.container.name == "shop-old-1");
    let why = &old.expect("it is there").why();
    assert!(why.ends_with(". Paused outside DockNap"), "{why}");
    pass(&bench, "2027-03-03T07:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ["shop-db-1", "shop-web-1"]);
    assert_eq!(bench.sim.state("shop-old-1"), "paused");
}

#[tokio::test]
async fn a_skipped_sleep_is_dropped_whole() {
    let bench = Bench::new(NOW, shop()).await;
    let night = keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    let view = schedules::skip_next(&bench.app, &person(), &night.schedule.id).await.expect("it is skipped");
    assert_eq!(view.schedule.skip_at, Some(at("2027-03-02T23:00:00Z")));
    assert_eq!(view.next_at, Some(at("2027-03-03T23:00:00Z")));
    pass(&bench, "2027-03-02T23:00:00Z").await;
    pass(&bench, "2027-03-03T03:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ALL);
    let skipped = (Action::Stop, Trigger::Window, RunState::Skipped);
    assert_eq!(told(&bench).await, [skipped], "it is remembered, at its own time");
    assert_eq!(runs(&bench).await[0].fire_at, Some(at("2027-03-02T23:00:00Z")));
    pass(&bench, "2027-03-03T23:00:00Z").await;
    assert!(bench.sim.running("shop").is_empty());
    assert_eq!(told(&bench).await, [skipped, SLEPT]);
}

#[tokio::test]
async fn the_stop_button_inside_a_time_awake_lasts_until_the_next_edge() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    look(&bench).await;
    let made = open(&bench).await;
    assert_eq!(
        made.iter().map(|one| (one.wanted, one.until)).collect::<Vec<_>>(),
        [(DesiredState::Asleep, at("2027-03-02T23:00:00Z"))]
    );
    pass(&bench, "2027-03-02T23:00:00Z").await;
    assert!(bench.sim.running("shop").is_empty());
    pass(&bench, "2027-03-03T07:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ALL, "a stop of ours is a nap");
}

#[tokio::test]
async fn a_cron_fire_obeys_an_override_and_is_made_up_for_at_its_end() {
    let bench = Bench::new(NOW, shop()).await;
    let cron = Draft {
        window: None,
        cron: Some("0 23 * * *".to_owned()),
        action: Some("stop".to_owned()),
        ..window("")
    };
    keep(&bench, cron).await;
    wish(&bench, "stack", "shop", "awake", "2027-03-03T01:00:00Z").await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ALL);
    let held = runs(&bench).await.pop().expect("a run");
    assert_eq!(held.state, RunState::Skipped);
    assert!(held.reason.starts_with("override:"), "{}", held.reason);
    pass(&bench, "2027-03-03T01:00:00Z").await;
    assert!(bench.sim.running("shop").is_empty());
    assert_eq!(
        told(&bench).await[1],
        (Action::Stop, Trigger::Override, RunState::Succeeded),
        "the newest fire it held back"
    );
}

#[tokio::test]
async fn a_container_with_its_own_window_is_left_to_it() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    keep(
        &bench,
        Draft {
            target_type: Some("container".to_owned()),
            target_id: Some("shop-db-1".to_owned()),
            ..window("sleep 02:00-04:00")
        },
    )
    .await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ["shop-db-1"]);
    pass(&bench, "2027-03-03T02:00:00Z").await;
    assert!(bench.sim.running("shop").is_empty());
    pass(&bench, "2027-03-03T04:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ["shop-db-1"]);
}

#[tokio::test]
async fn an_unreachable_host_gets_the_state_for_now_when_it_is_back() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    bench.sim.daemon_down(DaemonEnd::Graceful);
    bench
        .until("the link is down", async || {
            !bench.app.hosts.first().expect("a host").inventory().is_connected()
        })
        .await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    assert_eq!(told(&bench).await, [], "nothing is asked of a host that is away");
    bench.advance(Duration::from_secs(1200)).await;
    bench.sim.daemon_up().expect("it starts");
    for name in ["shop-db-1", "shop-api-1", "shop-web-1"] {
        let _ = bench.sim.start(name);
    }
    bench
        .until("it is connected again", async || {
            bench.app.hosts.first().expect("a host").inventory().is_connected()
        })
        .await;
    look(&bench).await;
    assert!(bench.sim.running("shop").is_empty());
    assert_eq!(told(&bench).await, [SLEPT]);
}

#[tokio::test]
async fn a_stack_naps_as_a_whole_where_one_of_it_was_off_before() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    let shown = async || {
        let overview = stacks::overview(&bench.app, &person()).await.expect("it reads");
        overview.stacks.iter().map(|view| (view.shown, view.napping)).collect::<Vec<_>>()
    };
    assert_eq!(shown().await, [(ShownState::Partial, false)], "the tool is off");
    pass(&bench, "2027-03-02T23:00:00Z").await;
    assert_eq!(shown().await, [(ShownState::Napping, true)]);
    bench.sim.start("shop-web-1").expect("somebody starts it");
    bench.quiet().await;
    assert_eq!(shown().await, [(ShownState::Partial, false)], "one of it is up");
}

#[tokio::test]
async fn waking_a_stack_ends_what_was_wanted_of_a_member_by_hand() {
    // Not with 0: that could as well be a one-shot that did its work.
    let ends = |c: ContainerSpec| c.stops_after(Duration::ZERO, 143);
    let world = World::new().stack("shop", |s| s.service("db", ends).service("web", ends));
    let bench = Bench::new(NOW, world).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    bench.sim.stop("shop-web-1").expect("somebody stops it");
    look(&bench).await;
    assert_eq!(open(&bench).await.len(), 1, "it is respected");
    let asked = nap::NapRequest::default();
    nap::wake(&bench.app, &person(), &Bench::stack("shop"), &asked, Trigger::Manual).await.expect("it wakes");
    look(&bench).await;
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ["shop-db-1", "shop-web-1"]);
    assert_eq!(open(&bench).await, [], "it is as the window wants it: no override is needed");
}

/// The Engine of another machine: its clock is three minutes ahead, or behind.
#[tokio::test]
async fn an_engine_with_a_wrong_clock_is_told_from_its_people() {
    for minutes in [3, -3] {
        let world = World::new().ahead(SignedDuration::from_mins(minutes)).stack("shop", |s| {
            s.service("db", |c| c.restart(Restart::Always)).service("web", |c| c.depends_on("db"))
        });
        let bench = Bench::new(NOW, world).await;
        keep(&bench, window(NIGHT)).await;
        pass(&bench, "2027-03-02T23:00:00Z").await;
        let host = docknap::domain::ids::HostId::local();
        let view = docknap::app::stacks::get(&bench.app, &person(), &host, "shop").await.expect("a stack");
        assert_eq!(view.shown, ShownState::Napping, "{minutes}");
        let since: Vec<_> = view.containers.iter().map(|one| one.napping_since).collect();
        assert_eq!(since, [Some(at("2027-03-02T23:00:00Z")); 2], "{minutes}: by our clock");

        bench.advance(Duration::from_secs(3600)).await;
        bench.sim.daemon_restart(DaemonEnd::Graceful).expect("it restarts");
        bench
            .until("it is connected again", async || {
                let inventory = bench.app.hosts.first().expect("a host").inventory();
                bench.sim.running("shop") == ["shop-db-1"]
                    && inventory.is_connected()
                    && inventory.containers.iter().any(|container| container.state.is_up())
            })
            .await;
        look(&bench).await;
        let last = runs(&bench).await.pop().expect("a run");
        assert!(last.why.starts_with("daemon restart"), "{minutes}: {}", last.why);
        assert_eq!(open(&bench).await, [], "{minutes}: nobody did it by hand");

        pass(&bench, "2027-03-03T07:00:00Z").await;
        assert_eq!(bench.sim.running("shop"), ["shop-db-1", "shop-web-1"], "{minutes}");
        assert_eq!(told(&bench).await, [SLEPT, SLEPT, WOKE], "{minutes}");
        look(&bench).await;
        assert_eq!(open(&bench).await, [], "{minutes}: what we did is nobody else's");
    }
}

#[tokio::test]
async fn a_save_says_what_it_does_at_once() {
    let test = TestApp::over(Bench::new("2027-03-02T23:30:00Z", shop()).await).await;
    let mut program = test.bearer(docknap::domain::permission::Role::Operator).await;
    let of = |window: &str, more: serde_json::Value| {
        let mut body = serde_json::json!({"target_type": "stack", "target_id": "shop", "window": window});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let none = || serde_json::json!({});
    for (body, now) in [
        (
            of(NIGHT, serde_json::json!({"from_next": true})),
            serde_json::json!({"state": "asleep", "will_stop": []}),
        ),
        (of("sleep 12:00-13:00", none()), serde_json::json!({"state": "awake", "will_stop": []})),
        (of(NIGHT, serde_json::json!({"enabled": false})), serde_json::Value::Null),
        (
            of(NIGHT, none()),
            serde_json::json!({"state": "asleep", "will_stop": ["shop-web-1", "shop-api-1", "shop-db-1"]}),
        ),
    ] {
        let saved = program.post_json("/api/schedules", &body).await;
        assert_eq!((saved.status, &saved.json()["now"]), (201, &now), "{body}: {}", saved.body);
    }
}
