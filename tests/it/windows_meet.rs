//! Windows, overrides, cron fires and people that meet at an awkward moment. Each of these the simulation found first.

use std::time::Duration;

use docknap::app::execute::{self, Request};
use docknap::app::nap::{self, NapRequest};
use docknap::app::schedules::Draft;
use docknap::domain::action::Action;
use docknap::domain::ids::HostId;
use docknap::domain::overrides::DesiredState;
use docknap::domain::run::{RunState, StepState, Trigger};
use docknap::domain::target::{ContainerIdentity, Target};
use docknap::sim::{DaemonEnd, Fault, World};

use crate::support::bench::{Bench, person};
use crate::windows::{ALL, NIGHT, NOW, at, keep, look, open, pass, runs, shop, window, wish};

const EDGE: &str = "2027-03-02T23:00:00Z";

/// The shop, of which `web` takes 8 s to stop.
fn slow_shop() -> World {
    World::new().stack("shop", |s| {
        s.service("db", |c| c)
            .service("api", |c| c.depends_on("db"))
            .service("web", |c| c.depends_on("api").stops_after(Duration::from_secs(8), 0))
            .service("tool", |c| c.exited(143))
    })
}

fn cron(text: &str, action: &str) -> Draft {
    Draft {
        target_type: Some("stack".to_owned()),
        target_id: Some("shop".to_owned()),
        cron: Some(text.to_owned()),
        action: Some(action.to_owned()),
        enabled: Some(true),
        ..Draft::default()
    }
}

fn service(name: &str) -> Target {
    let identity =
        ContainerIdentity::Service { project: "shop".to_owned(), service: name.to_owned(), number: 1 };
    Target::container(HostId::local(), identity)
}

/// Lets time pass in which the scheduler looks whenever it is woken.
async fn live(bench: &Bench, by: Duration) {
    let end = bench.clock.monotonic() + by;
    loop {
        bench.quiet().await;
        bench.tick().await;
        bench.quiet().await;
        let left = end.saturating_sub(bench.clock.monotonic());
        if left.is_zero() {
            return;
        }
        bench.clock.advance(bench.clock.next_sleeper().map_or(left, |next| next.min(left)));
    }
}

#[tokio::test]
async fn what_others_do_while_a_run_is_under_way_is_answered_after_it() {
    let bench = Bench::new(NOW, slow_shop()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    bench.advance_to(EDGE).await;
    bench.tick().await;
    bench.advance(Duration::from_secs(3)).await;
    assert_eq!(bench.app.active_runs.active(), 1, "the nap is under way");
    bench.sim.start("shop-tool-1").expect("it starts");
    live(&bench, Duration::from_secs(30)).await;
    assert_eq!(bench.sim.running("shop"), ["shop-tool-1"]);
    let open = open(&bench).await;
    assert_eq!(open.len(), 1, "what somebody started inside the sleep is respected");
    assert_eq!((open[0].wanted, open[0].until), (DesiredState::Awake, at("2027-03-03T07:00:00Z")));
}

#[tokio::test]
async fn a_wish_for_awake_turns_a_nap_that_is_under_way() {
    let bench = Bench::new(NOW, slow_shop()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    bench.advance_to(EDGE).await;
    bench.tick().await;
    bench.advance(Duration::from_secs(1)).await;
    wish(&bench, "host", "", "awake", "7h").await;
    live(&bench, Duration::from_secs(60)).await;
    assert_eq!(bench.sim.running("shop"), ALL, "nothing is left asleep by what was in flight");
    let told: Vec<_> = runs(&bench).await.iter().map(|run| (run.action, run.state)).collect();
    assert_eq!(told, [(Action::Stop, RunState::Superseded), (Action::Start, RunState::Succeeded)]);
}

#[tokio::test]
async fn a_cron_fire_on_a_stack_leaves_the_override_of_a_member_alone() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, cron("45 22 * * *", "start")).await;
    wish(&bench, "container", "shop-web-1", "asleep", "7h").await;
    look(&bench).await;
    assert_eq!(bench.sim.state("shop-web-1"), "exited");
    bench.sim.stop("shop-api-1").expect("it stops");
    pass(&bench, "2027-03-02T22:45:00Z").await;
    assert_eq!(bench.sim.state("shop-web-1"), "exited");
    let open = open(&bench).await;
    assert_eq!(
        open.iter().map(|one| one.wanted).collect::<Vec<_>>(),
        [DesiredState::Asleep],
        "it counts as before"
    );
}

#[tokio::test]
async fn what_changes_nothing_makes_no_override() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    keep(&bench, cron("30 23 * * *", "unpause")).await;
    pass(&bench, EDGE).await;
    pass(&bench, "2027-03-02T23:30:00Z").await;
    assert!(bench.sim.running("shop").is_empty());
    assert_eq!(open(&bench).await, [], "an unpause of what is stopped is no wake");
}

#[tokio::test]
async fn a_fire_held_back_is_not_made_up_for_past_a_window_edge() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    keep(&bench, cron("30 6 * * *", "stop")).await;
    wish(&bench, "stack", "shop", "awake", "20h").await;
    look(&bench).await;
    for instant in [EDGE, "2027-03-03T06:30:00Z", "2027-03-03T07:00:00Z", "2027-03-03T18:30:00Z"] {
        pass(&bench, instant).await;
    }
    assert_eq!(
        bench.sim.running("shop"),
        ALL,
        "the end of the sleep came after the fire, and would have woken it"
    );
}

#[tokio::test]
async fn a_fire_that_is_made_up_for_lives_until_the_next_edge() {
    let bench = Bench::new("2027-03-02T08:30:00Z", shop()).await;
    keep(&bench, window(NIGHT)).await;
    keep(&bench, cron("0 9 * * *", "stop")).await;
    wish(&bench, "stack", "shop", "awake", "2h").await;
    look(&bench).await;
    pass(&bench, "2027-03-02T09:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ALL);
    pass(&bench, "2027-03-02T10:30:00Z").await;
    assert!(bench.sim.running("shop").is_empty());
    let open = open(&bench).await;
    assert_eq!(open.len(), 1, "it is told why it sleeps in a time awake");
    assert_eq!((open[0].wanted, open[0].until), (DesiredState::Asleep, at("2027-03-02T23:00:00Z")));
}

#[tokio::test]
async fn a_container_that_compose_re_creates_inside_a_sleep_is_respected() {
    let bench = Bench::new(NOW, shop()).await;
    let draft = Draft { mode: Some("pause".to_owned()), ..window(NIGHT) };
    keep(&bench, draft).await;
    pass(&bench, EDGE).await;
    bench.advance(Duration::from_secs(60)).await;
    bench.sim.recreate("shop-web-1");
    look(&bench).await;
    assert_eq!(bench.sim.state("shop-web-1"), "running");
    let open = open(&bench).await;
    assert_eq!(open.iter().map(|one| one.wanted).collect::<Vec<_>>(), [DesiredState::Awake]);
}

#[tokio::test]
async fn a_run_that_never_began_leaves_no_step_waiting() {
    let bench = Bench::new(NOW, shop()).await;
    bench.submit(Action::Stop, Bench::stack("shop")).await;
    let request = Request::now(Action::Start, service("web"), Trigger::Manual);
    execute::submit(&bench.app, &person(), request).await.expect("it is accepted");
    bench.settle().await;
    for run in runs(&bench).await {
        let (run, steps) = bench.run(&run.id).await;
        assert!(steps.iter().all(|step| step.state.is_terminal()), "{}: {steps:#?}", run.state);
    }
}

#[tokio::test]
async fn what_never_began_in_time_is_not_said_to_have_been_tried() {
    let mut bench = Bench::new(NOW, shop()).await;
    bench.kill();
    let request = Request::now(Action::Stop, Bench::stack("shop"), Trigger::Manual);
    let submitted = execute::submit(&bench.app, &person(), request).await.expect("it is accepted");
    bench.clock.advance(Duration::from_secs(3600));
    bench.revive().await;
    bench.settle().await;
    let (run, steps) = bench.run(submitted.run_id()).await;
    assert_eq!(
        (run.state, run.reason.as_str()),
        (RunState::Failed, "its deadline passed before it could begin")
    );
    assert!(steps.iter().all(|step| step.state == StepState::Skipped), "{steps:#?}");
}

#[tokio::test]
async fn a_wake_asked_for_while_the_engine_was_away_comes_about_when_it_is_back() {
    let bench = Bench::new(NOW, shop()).await;
    keep(&bench, window(NIGHT)).await;
    pass(&bench, EDGE).await;
    bench.advance(Duration::from_secs(60)).await;
    bench.sim.daemon_down(DaemonEnd::Graceful);
    live(&bench, Duration::from_secs(5)).await;
    let asked = NapRequest { until: Some("7h".to_owned()), ..NapRequest::default() };
    let submitted = nap::wake(&bench.app, &person(), &Bench::stack("shop"), &asked, Trigger::Manual).await;
    live(&bench, Duration::from_secs(3600)).await;
    let (run, _) = bench.run(submitted.expect("it is accepted").run_id()).await;
    assert_eq!(run.state, RunState::Failed, "it was tried until its deadline");
    bench.sim.daemon_up().expect("the socket is free");
    live(&bench, Duration::from_secs(120)).await;
    assert_eq!(bench.sim.running("shop"), ALL, "it is wanted awake still");
}

/// Before the first look at the Engine nobody knows which containers a stack has: what is put back is known as the run
/// begins. What was off before it stays off.
#[tokio::test]
async fn what_fired_before_the_engine_was_known_is_put_back_all_the_same() {
    for act in ["fire", "button"] {
        let mut bench = Bench::new(NOW, shop()).await;
        keep(&bench, Draft { policy: Some("enforce".to_owned()), ..window(NIGHT) }).await;
        if act == "fire" {
            keep(&bench, cron("40 22 * * *", "stop")).await;
        }
        look(&bench).await;
        bench.kill();
        bench.sim.fault(Fault::drop_before().times(u32::MAX));
        bench.clock.advance(at("2027-03-02T22:39:50Z").duration_since(bench.clock.now()).unsigned_abs());
        bench.revive_unconnected().await;
        live(&bench, Duration::from_secs(11)).await;
        if act == "button" {
            bench.submit(Action::Stop, Bench::stack("shop")).await;
        }
        bench.sim.clear_faults();
        live(&bench, Duration::from_secs(120)).await;
        assert_eq!(bench.sim.running("shop"), [] as [&str; 0], "{act}: it stops first");
        live(&bench, Duration::from_secs(400)).await;
        assert_eq!(bench.sim.running("shop"), ALL, "{act}: its window wants it awake");
    }
}
