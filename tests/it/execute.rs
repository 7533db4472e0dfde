//! The execution path against the simulated Engine, on a clock that a test moves.

use std::time::Duration;

use docknap::app::Error;
use docknap::app::execute::{self, Request, Submitted};
use docknap::domain::action::Action;
use docknap::domain::ids::HostId;
use docknap::domain::run::{Run, RunState, Step, StepState, Trigger};
use docknap::domain::target;
use docknap::sim::{ContainerSpec, DaemonEnd, Endpoint, Fault, Healthcheck, Restart, World};

use crate::support::app::TestApp;
use crate::support::bench::{Bench, person};

const NOW: &str = "2027-03-02T22:59:00Z";

/// db (healthy 5 s after its start, 2 s to stop) <- api <- web.
fn shop() -> World {
    World::new().stack("shop", |s| {
        s.service("db", |c| c.healthy_after(Duration::from_secs(5)).stops_after(Duration::from_secs(2), 0))
            .service("api", |c| c.depends_on("db:service_healthy:true"))
            .service("web", |c| c.depends_on("api"))
    })
}

/// What was asked of Docker, in order: the call's last word and the container.
fn asked(bench: &Bench) -> Vec<String> {
    bench
        .sim
        .acts()
        .into_iter()
        .map(|(endpoint, container, _)| format!("{endpoint:?} {container}").to_lowercase())
        .collect()
}

fn outcomes(steps: &[Step]) -> Vec<(String, StepState)> {
    steps.iter().filter(|step| step.wave > 0).map(|step| (step.container.clone(), step.state)).collect()
}

fn all_succeeded(run: &Run, steps: &[Step]) {
    assert_eq!(run.state, RunState::Succeeded, "{run:#?}\n{steps:#?}");
    assert!(outcomes(steps).iter().all(|(_, state)| *state == StepState::Succeeded), "{steps:#?}");
}

#[tokio::test]
async fn a_stack_stops_from_its_dependants_down_and_starts_from_the_bottom_up() {
    let bench = Bench::new(NOW, shop()).await;
    let (run, steps) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    all_succeeded(&run, &steps);
    assert_eq!(asked(&bench), ["stop shop-web-1", "stop shop-api-1", "stop shop-db-1"]);
    assert_eq!(steps[2].duration_ms, Some(2000));
    assert!(bench.sim.running("shop").is_empty());

    bench.sim.clear_calls();
    let (run, steps) = bench.carry_out(Action::Start, Bench::stack("shop")).await;
    all_succeeded(&run, &steps);
    assert_eq!(asked(&bench), ["start shop-db-1", "start shop-api-1", "start shop-web-1"]);
    let at = |index: usize| steps[index].issued_at.expect("it was issued");
    // api waited for db's health, web only for api to be seen running.
    assert!(at(1).duration_since(at(0)).as_secs() >= 5);
    assert!(at(2).duration_since(at(1)).as_secs() < 3);
}

#[tokio::test]
async fn what_is_so_already_is_not_asked_for_again() {
    let bench = Bench::new(NOW, shop()).await;
    let (run, steps) = bench.carry_out(Action::Start, Bench::stack("shop")).await;
    assert_eq!((run.state, run.reason.as_str()), (RunState::Succeeded, "nothing to do: it was so already"));
    assert!(steps.iter().all(|step| step.state == StepState::Skipped && step.reason == "already running"));
    assert!(bench.sim.acts().is_empty());
}

#[tokio::test]
async fn a_start_that_exits_127_fails_with_its_code_and_skips_its_dependants() {
    let world = World::new().stack("shop", |s| {
        s.service("db", |c| c.stopped().refuses_to_start().complains("exec: not found"))
            .service("api", |c| c.stopped().depends_on("db"))
            .service("mail", ContainerSpec::stopped)
    });
    let bench = Bench::new(NOW, world).await;
    let (run, steps) = bench.carry_out(Action::Start, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Partial);
    let of = |name: &str| steps.iter().find(|step| step.container == name).expect("a step");
    assert_eq!((of("shop-db-1").state, of("shop-db-1").exit_code), (StepState::Failed, Some(127)));
    assert_eq!(of("shop-mail-1").state, StepState::Succeeded);
    assert_eq!(of("shop-api-1").state, StepState::Skipped);
    assert_eq!(of("shop-api-1").reason, "shop-db-1 did not start");
    assert_eq!(bench.sim.count(Endpoint::Start), 2, "no retry while the container exists");
}

#[tokio::test]
async fn a_start_answered_with_204_that_ends_at_once_is_a_failure() {
    let world = World::new().stack("shop", |s| {
        s.service("db", |c| c.stopped().exits(Duration::from_secs(1), 3).complains("no space left"))
    });
    let bench = Bench::new(NOW, world).await;
    let (run, steps) = bench.carry_out(Action::Start, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Failed);
    assert_eq!((steps[0].state, steps[0].exit_code), (StepState::Failed, Some(3)));
    assert_eq!(steps[0].output.as_deref(), Some("no space left"));
    assert_eq!(run.reason, "shop-db-1: it ended right after the start (exit code 3)");
}

#[tokio::test]
async fn a_crash_loop_is_a_failure() {
    let world = World::new().stack("shop", |s| {
        s.service("db", |c| c.stopped().restart(Restart::Always).exits(Duration::from_millis(500), 1))
    });
    let bench = Bench::new(NOW, world).await;
    let (run, steps) = bench.carry_out(Action::Start, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(steps[0].state, StepState::Failed, "{steps:#?}");
}

#[tokio::test]
async fn a_stop_that_outlasts_its_grace_is_shown_as_killed() {
    let world = World::new().stack("shop", |s| s.service("db", |c| c.ignores_sigterm().stop_timeout(15)));
    let bench = Bench::new(NOW, world).await;
    let (run, steps) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(steps[0].exit_code, Some(137));
    assert_eq!(steps[0].reason, "killed: it did not end within its grace");
    assert_eq!(steps[0].duration_ms, Some(15_000));
}

#[tokio::test]
async fn pause_and_unpause_act_on_what_runs() {
    let bench = Bench::new(NOW, shop()).await;
    let (run, steps) = bench.carry_out(Action::Pause, Bench::stack("shop")).await;
    all_succeeded(&run, &steps);
    assert_eq!(bench.sim.state("shop-db-1"), "paused");
    let (run, steps) = bench.carry_out(Action::Unpause, Bench::stack("shop")).await;
    all_succeeded(&run, &steps);
    assert_eq!(asked(&bench)[3..], ["unpause shop-db-1", "unpause shop-api-1", "unpause shop-web-1"]);
    // Unpausing what is not paused would be answered with 500: it is not asked for.
    let (run, _) = bench.carry_out(Action::Unpause, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Skipped);
    assert_eq!(bench.sim.count(Endpoint::Unpause), 3);
}

#[tokio::test]
async fn a_restart_acts_on_running_members_only() {
    let world = World::new().stack("shop", |s| {
        s.service("db", |c| c).service("cron", ContainerSpec::stopped).service("web", |c| c.depends_on("db"))
    });
    let bench = Bench::new(NOW, world).await;
    let (run, steps) = bench.carry_out(Action::Restart, Bench::stack("shop")).await;
    all_succeeded(&run, &steps);
    assert_eq!(asked(&bench), ["restart shop-db-1", "restart shop-web-1"]);
    assert_eq!(bench.sim.state("shop-cron-1"), "exited");
}

#[tokio::test]
async fn who_shares_a_network_is_restarted_with_its_owner() {
    let world = World::new()
        .stack("vpn", |s| s.service("gluetun", |c| c))
        .stack("media", |s| s.service("torrent", |c| c.network_of("vpn-gluetun-1")));
    let bench = Bench::new(NOW, world).await;
    let (run, steps) = bench.carry_out(Action::Restart, Bench::stack("vpn")).await;
    all_succeeded(&run, &steps);
    assert_eq!(asked(&bench), ["restart vpn-gluetun-1", "restart media-torrent-1"]);
    assert_eq!(steps[1].reason, "because it shares vpn-gluetun-1's network");
}

#[tokio::test]
async fn a_protected_container_is_refused_and_skipped_inside_a_stack() {
    let world = World::new().stack("shop", |s| s.service("db", ContainerSpec::protect).service("web", |c| c));
    let bench = Bench::new(NOW, world).await;
    let (run, steps) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(asked(&bench), ["stop shop-web-1"]);
    let db = steps.iter().find(|step| step.container == "shop-db-1").expect("it is listed");
    assert_eq!(db.reason, "protected: its label docknap.protect says so");
    let target = bench
        .app
        .hosts
        .first()
        .expect("a host")
        .inventory()
        .by_name("shop-db-1")
        .expect("it is there")
        .target();
    let request = Request::now(Action::Stop, target, Trigger::Manual);
    let refused = execute::submit(&bench.app, &person(), request).await;
    assert!(matches!(refused, Err(Error::Protected { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_label_added_after_the_plan_still_protects() {
    let bench = Bench::new(NOW, shop()).await;
    // Docker answers nothing while the plan is made and stored.
    bench.sim.fault(Fault::delay(Duration::from_secs(3)).on(Endpoint::Inspect).times(1));
    let submitted = bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench.sim.update("shop-db-1", ContainerSpec::protect);
    bench.settle().await;
    let (_, steps) = bench.run(submitted.run_id()).await;
    let db = steps.iter().find(|step| step.container == "shop-db-1").expect("a step");
    assert_eq!(db.state, StepState::Skipped, "{steps:#?}");
    assert_eq!(bench.sim.state("shop-db-1"), "running");
}

#[tokio::test]
async fn the_same_request_twice_is_one_run() {
    let bench = Bench::new(NOW, shop()).await;
    let first = bench.submit(Action::Stop, Bench::stack("shop")).await;
    let second = bench.submit(Action::Stop, Bench::stack("shop")).await;
    assert!(matches!(&second, Submitted::Duplicate { run_id, .. } if run_id == first.run_id()));
    bench.settle().await;
    assert_eq!(bench.sim.count(Endpoint::Stop), 3);
}

#[tokio::test]
async fn start_during_stop_grace_ends_running() {
    let bench = Bench::new(NOW, shop()).await;
    let stop = bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench
        .until("db is being stopped", async || {
            bench.sim.acts().iter().any(|(_, name, _)| name == "shop-db-1")
        })
        .await;
    let start = bench.submit(Action::Start, Bench::stack("shop")).await;
    bench.settle().await;
    assert_eq!(bench.sim.running("shop").len(), 3);
    // Its last call was in flight: everything it wanted was done.
    assert_eq!(bench.run(stop.run_id()).await.0.state, RunState::Succeeded);
    let (run, steps) = bench.run(start.run_id()).await;
    all_succeeded(&run, &steps);
}

#[tokio::test]
async fn an_opposite_request_takes_over_at_the_next_step() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.update("shop-web-1", |c| c.stops_after(Duration::from_secs(8), 0));
    let stop = bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench.until("web is being stopped", async || !bench.sim.acts().is_empty()).await;
    let start = bench.submit(Action::Start, Bench::stack("shop")).await;
    bench.settle().await;
    let (run, steps) = bench.run(stop.run_id()).await;
    assert_eq!(run.state, RunState::Superseded);
    assert_eq!(run.reason, "superseded by start shop by command line");
    assert_eq!(
        outcomes(&steps).into_iter().map(|(_, state)| state).collect::<Vec<_>>(),
        [StepState::Succeeded, StepState::Skipped, StepState::Skipped]
    );
    assert_eq!(bench.run(start.run_id()).await.0.state, RunState::Succeeded);
    assert_eq!(bench.sim.running("shop").len(), 3);
}

#[tokio::test]
async fn buffer_one_newest_wins() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.update("shop-web-1", |c| c.stops_after(Duration::from_secs(8), 0));
    bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench.until("web is being stopped", async || !bench.sim.acts().is_empty()).await;
    let start = bench.submit(Action::Start, Bench::stack("shop")).await;
    bench.quiet().await;
    let pause = bench.submit(Action::Pause, Bench::stack("shop")).await;
    bench.settle().await;
    assert_eq!(bench.run(start.run_id()).await.0.state, RunState::Superseded);
    let (run, _) = bench.run(pause.run_id()).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(bench.sim.state("shop-db-1"), "paused");
    assert_eq!(bench.sim.state("shop-web-1"), "exited");
}

#[tokio::test]
async fn stack_and_member_lock_no_deadlock() {
    let bench = Bench::new(NOW, shop()).await;
    let member = bench
        .app
        .hosts
        .first()
        .expect("a host")
        .inventory()
        .by_name("shop-db-1")
        .expect("it is there")
        .target();
    let stack = bench.submit(Action::Stop, Bench::stack("shop")).await;
    let single = bench.submit(Action::Stop, member).await;
    bench.settle().await;
    assert_eq!(bench.run(stack.run_id()).await.0.state, RunState::Succeeded);
    assert_eq!(bench.run(single.run_id()).await.0.state, RunState::Succeeded);
    assert_eq!(bench.sim.count(Endpoint::Stop), 3, "nothing is stopped twice");
}

#[tokio::test]
async fn a_run_is_called_off_at_its_next_step() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.update("shop-web-1", |c| c.stops_after(Duration::from_secs(8), 0));
    let stop = bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench.until("web is being stopped", async || !bench.sim.acts().is_empty()).await;
    execute::cancel(&bench.app, &person(), stop.run_id()).await.expect("it can be called off");
    bench.settle().await;
    let (run, _) = bench.run(stop.run_id()).await;
    assert_eq!(run.state, RunState::Cancelled);
    assert_eq!(bench.sim.running("shop"), ["shop-api-1", "shop-db-1"]);
    let ended = execute::cancel(&bench.app, &person(), stop.run_id()).await;
    assert!(matches!(ended, Err(Error::Conflict { code: "run_ended", .. })));
}

#[tokio::test]
async fn retry_repeats_only_what_failed() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.fault(Fault::proxy_forbids().on(Endpoint::Stop).container("shop-api-1").times(1));
    let (run, steps) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Partial);
    assert_eq!(
        run.reason,
        steps[1].error.clone().map(|error| format!("shop-api-1: {error}")).expect("an error")
    );
    assert!(
        steps[1].error.as_deref().is_some_and(|error| error.starts_with("not allowed by the proxy: POST"))
    );
    bench.sim.clear_calls();
    let again = execute::retry(&bench.app, &person(), &run.id).await.expect("it can be retried");
    bench.settle().await;
    assert_eq!(bench.run(again.run_id()).await.0.state, RunState::Succeeded);
    assert_eq!(asked(&bench), ["stop shop-api-1"]);
    let nothing = execute::retry(&bench.app, &person(), again.run_id()).await;
    assert!(matches!(nothing, Err(Error::Conflict { code: "nothing_failed", .. })));
}

#[tokio::test]
async fn a_host_that_is_away_is_waited_for_until_the_deadline() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.daemon_down(DaemonEnd::Graceful);
    bench
        .until("it is known", async || !bench.app.hosts.first().expect("a host").inventory().is_connected())
        .await;
    let stop = bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench.advance(Duration::from_secs(10 * 60)).await;
    let (run, _) = bench.run(stop.run_id()).await;
    assert_eq!(run.state, RunState::Pending);
    assert!(run.reason.starts_with("the host cannot be reached"), "{}", run.reason);
    bench.settle().await;
    let (run, _) = bench.run(stop.run_id()).await;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.reason.ends_with("tried until the run's deadline"), "{}", run.reason);
    assert!(run.finished_at.expect("an end") <= run.deadline_at + Duration::from_secs(60));
}

#[tokio::test]
async fn a_daemon_that_goes_away_in_mid_run_and_comes_back_sees_the_run_end_once() {
    let bench = Bench::new(NOW, shop()).await;
    let stop = bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench
        .until("db is being stopped", async || {
            bench.sim.acts().iter().any(|(_, name, _)| name == "shop-db-1")
        })
        .await;
    bench.sim.daemon_down(DaemonEnd::Crash);
    bench.advance(Duration::from_secs(30)).await;
    bench.sim.daemon_up().expect("it comes back");
    bench.settle().await;
    let (run, steps) = bench.run(stop.run_id()).await;
    all_succeeded(&run, &steps);
    assert!(bench.sim.running("shop").is_empty());
}

#[tokio::test]
async fn a_start_that_a_restart_of_the_daemon_cut_off_is_tried_again() {
    let world = || {
        World::new().stack("shop", |s| {
            s.service("db", |c| c.restart(Restart::No).exited(0))
                .service("web", |c| c.restart(Restart::No).exited(0).ignores_sigterm())
        })
    };
    for end in [DaemonEnd::Graceful, DaemonEnd::Crash] {
        for away in [0, 90] {
            let bench = Bench::new(NOW, world()).await;
            let start = bench.submit(Action::Start, Bench::stack("shop")).await;
            bench.until("both are up", async || bench.sim.running("shop").len() == 2).await;
            bench.sim.daemon_down(end);
            bench.advance(Duration::from_secs(away)).await;
            bench.sim.daemon_up().expect("it comes back");
            assert!(bench.sim.running("shop").is_empty(), "their policy revives nothing");
            bench.settle().await;
            let (run, steps) = bench.run(start.run_id()).await;
            all_succeeded(&run, &steps);
            assert_eq!(bench.sim.running("shop").len(), 2, "{end:?}, {away} s");
        }
    }
}

#[tokio::test]
async fn docker_says_in_its_own_words_what_is_missing() {
    let bench = Bench::new(NOW, shop()).await;
    let missing = "network shop_default not found";
    let error = async |action: Action, name: &str| {
        let container =
            bench.app.hosts.first().expect("a host").inventory().by_name(name).expect("it is there").target();
        let (run, steps) = bench.carry_out(action, container).await;
        assert_eq!(run.state, RunState::Failed, "{action}: {run:#?}");
        steps[0].error.clone().expect("an error")
    };
    let refused = format!("Docker refused: {missing}");
    for (endpoint, action) in [
        (Endpoint::Restart, Action::Restart),
        (Endpoint::Stop, Action::Stop),
        (Endpoint::Pause, Action::Pause),
        (Endpoint::Unpause, Action::Unpause),
        (Endpoint::Unpause, Action::Start),
        (Endpoint::Start, Action::Start),
    ] {
        if endpoint == Endpoint::Unpause && action == Action::Unpause {
            bench.carry_out(Action::Pause, Bench::stack("shop")).await;
        }
        if endpoint == Endpoint::Start {
            bench.carry_out(Action::Stop, Bench::stack("shop")).await;
        }
        bench.sim.fault(Fault::status(404, missing).on(endpoint));
        let told = error(action, "shop-db-1").await;
        assert!(told.contains(&refused) && !told.contains("gone"), "{endpoint:?} {action}: {told}");
        bench.sim.clear_faults();
    }
    // The second half of a restart.
    bench.carry_out(Action::Start, Bench::stack("shop")).await;
    bench.sim.update("shop-db-1", docknap::sim::ContainerSpec::refuses_to_start);
    let told = error(Action::Restart, "shop-db-1").await;
    assert!(told.contains("no such file or directory"), "{told}");
}

#[tokio::test]
async fn what_shares_the_network_of_one_that_was_made_anew_is_told_the_cure() {
    let world = World::new().container("vpn", |c| c).container("client", |c| c.network_of("vpn").stopped());
    let bench = Bench::new(NOW, world).await;
    let old = bench.sim.container("vpn").expect("it is there").id;
    bench.sim.make_anew("vpn");
    bench.sim.start("vpn").expect("it starts");
    bench.quiet().await;
    let client =
        bench.app.hosts.first().expect("a host").inventory().by_name("client").expect("it is there").target();
    let (run, steps) = bench.carry_out(Action::Start, client).await;
    assert_eq!(run.state, RunState::Failed);
    let error = steps[0].error.clone().expect("an error");
    let cure = "It uses the network of a container that is no longer there or was re-created";
    assert!(error.starts_with(&format!("Docker refused: No such container: {old}. {cure}")), "{error}");
}

#[tokio::test]
async fn a_stop_that_was_done_but_not_answered_counts_as_done() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.fault(Fault::drop_after_commit().on(Endpoint::Stop).container("shop-web-1").times(1));
    let (run, steps) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    all_succeeded(&run, &steps);
    let stops = bench.sim.acts().iter().filter(|(_, name, _)| name == "shop-web-1").count();
    assert_eq!(stops, 1, "it was looked at, not asked for again");
}

#[tokio::test]
async fn a_restart_that_was_not_answered_is_never_asked_for_twice() {
    for fault in [Fault::drop_after_commit(), Fault::drop_before()] {
        let bench = Bench::new(NOW, shop()).await;
        bench.sim.fault(fault.on(Endpoint::Restart).container("shop-db-1").times(1));
        let (_, steps) = bench.carry_out(Action::Restart, Bench::stack("shop")).await;
        assert!(matches!(steps[0].state, StepState::Succeeded | StepState::Interrupted), "{steps:#?}");
        let asked = bench
            .sim
            .calls()
            .iter()
            .filter(|call| call.path.contains("restart") && call.path.contains(&db_id(&bench)))
            .count();
        assert!(asked <= 1, "{asked}");
    }
}

fn db_id(bench: &Bench) -> String {
    bench.app.hosts.first().expect("a host").inventory().by_name("shop-db-1").expect("it is there").id.clone()
}

#[tokio::test]
async fn a_call_that_hangs_is_looked_at_after_its_grace() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.fault(Fault::hang_after_headers().on(Endpoint::Stop).container("shop-web-1").times(1));
    let (run, _) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert!(bench.sim.running("shop").is_empty());
}

#[tokio::test]
async fn a_container_that_compose_made_again_is_followed() {
    let bench = Bench::new(NOW, shop()).await;
    let before = db_id(&bench);
    bench.sim.recreate("shop-db-1");
    bench.quiet().await;
    let (run, steps) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    all_succeeded(&run, &steps);
    assert!(bench.sim.running("shop").is_empty());
    assert_ne!(before, db_id(&bench));
}

#[tokio::test]
async fn an_unhealthy_dependency_holds_its_dependants_back_until_the_deadline_and_the_run_says_so_before() {
    let world = World::new().stack("shop", |s| {
        s.service("db", |c| c.stopped().never_healthy())
            .service("api", |c| c.stopped().depends_on("db:service_healthy"))
            .service("web", |c| c.stopped().depends_on("api"))
    });
    let bench = Bench::new(NOW, world).await;
    let submitted = bench.submit(Action::Start, Bench::stack("shop")).await;
    bench.advance(Duration::from_secs(119)).await;
    assert_eq!(bench.run(submitted.run_id()).await.0.reason, "");
    bench.advance(Duration::from_secs(3)).await;
    let (run, _) = bench.run(submitted.run_id()).await;
    assert_eq!(run.state, RunState::Executing);
    let late = "shop-db-1 was not healthy within 120 s";
    assert_eq!(run.reason, format!("{late}; shop-api-1 waits on, until the run's deadline"));
    bench.settle().await;
    let (run, steps) = bench.run(submitted.run_id()).await;
    assert_eq!(run.state, RunState::Partial);
    assert_eq!(steps[1].reason, late);
    assert_eq!(
        (steps[2].state, steps[2].reason.as_str()),
        (StepState::Skipped, "shop-api-1 was not started")
    );
    let waited = run.finished_at.expect("an end").duration_since(run.created_at);
    assert!((900..905).contains(&waited.as_secs()), "{waited}");
}

/// What the check's own times allow is waited for without a word, and a gate that opens after that, but before the
/// deadline, lets through what was held back.
#[tokio::test]
async fn a_slow_health_check_is_waited_for_by_its_own_times_and_a_late_one_lets_its_dependants_start_after_all()
 {
    let check = |passes: u64| Healthcheck {
        interval: Duration::from_secs(60),
        retries: 5,
        start_period: Duration::from_secs(60),
        passes_after: Some(Duration::from_secs(passes)),
    };
    // 60 + 60 x (5 + 1) + 60 = 480 s.
    for (passes, late) in [(400, false), (700, true)] {
        let world = World::new().stack("shop", |s| {
            s.service("db", |c| c.stopped().healthcheck(check(passes)))
                .service("api", |c| c.stopped().depends_on("db:service_healthy"))
                .service("web", |c| c.stopped().depends_on("api"))
        });
        let bench = Bench::new(NOW, world).await;
        let plan = execute::preview(&bench.app, &person(), &Bench::stack("shop"), Action::Start, false).await;
        assert_eq!(plan.expect("a plan").steps[1].wait_for[0].seconds, Some(480));
        let submitted = bench.submit(Action::Start, Bench::stack("shop")).await;
        bench.advance(Duration::from_secs(390)).await;
        assert_eq!(bench.run(submitted.run_id()).await.0.reason, "");
        bench.advance(Duration::from_secs(100)).await;
        assert_eq!(bench.run(submitted.run_id()).await.0.reason.is_empty(), !late);
        bench.settle().await;
        let (run, steps) = bench.run(submitted.run_id()).await;
        all_succeeded(&run, &steps);
        assert_eq!(run.reason, "");
        let api = steps[1].issued_at.expect("it was issued").duration_since(run.created_at).as_secs();
        assert!((passes.cast_signed()..passes.cast_signed() + 3).contains(&api), "{api}");
        assert_eq!(bench.sim.running("shop").len(), 3);
    }
}

/// Who is asked whether to start it reads how long that may take, and so does who looks at the run.
#[tokio::test]
async fn how_long_a_health_check_may_take_is_told_before_the_start_and_on_the_page_of_the_run() {
    for (interval, told) in
        [(60, "shop-db-1 (may take up to 8 min) to be healthy"), (5, "shop-db-1 to be healthy")]
    {
        let check = Healthcheck {
            interval: Duration::from_secs(interval),
            retries: 5,
            start_period: Duration::from_secs(interval),
            passes_after: Some(Duration::from_secs(2 * interval)),
        };
        let world = World::new().stack("shop", |s| {
            s.service("db", |c| c.stopped().healthcheck(check))
                .service("api", |c| c.stopped().depends_on("db:service_healthy"))
        });
        let test = TestApp::over(Bench::new(NOW, world).await).await;
        let key = target::key(&HostId::local(), "shop");
        let page = test.operator().await.get(&format!("/stacks/{key}/start")).await;
        assert!(page.text("main").contains(&format!("waits for {told}")), "{}", page.text("main"));
        let run = test.bench().submit(Action::Start, Bench::stack("shop")).await.run_id().clone();
        let page = test.operator().await.get(&format!("/runs/{run}")).await;
        assert!(page.text("main").contains(told), "{}", page.text("main"));
    }
}

#[tokio::test]
async fn a_restart_takes_along_what_compose_says_is_to_restart_with_it() {
    let world = World::new().stack("shop", |s| {
        s.service("db", |c| c)
            .service("api", |c| c.depends_on("db:service_started:true"))
            .service("web", |c| c.depends_on("api:service_started:true"))
            .service("mail", |c| c.depends_on("db:service_started:false"))
            .service("cron", |c| c.stopped().depends_on("db:service_started:true"))
            .service("logs", |c| c.protect().depends_on("db:service_started:true"))
    });
    let bench = Bench::new(NOW, world).await;
    let db = bench
        .app
        .hosts
        .first()
        .expect("a host")
        .inventory()
        .by_name("shop-db-1")
        .expect("it is there")
        .target();
    let plan = execute::preview(&bench.app, &person(), &db, Action::Restart, false).await.expect("a plan");
    let protected = "shop-logs-1 is to restart with shop-db-1 and is left as it is: it is protected \
                     (its label docknap.protect says so)";
    assert!(plan.warnings.iter().any(|warning| warning == protected), "{:?}", plan.warnings);
    let (run, steps) = bench.carry_out(Action::Restart, db.clone()).await;
    all_succeeded(&run, &steps);
    assert_eq!(asked(&bench), ["restart shop-db-1", "restart shop-api-1", "restart shop-web-1"]);
    assert_eq!(steps[1].reason, "because it is to restart with shop-db-1");
    assert_eq!(bench.sim.state("shop-cron-1"), "exited", "what was off stays off");
    // A start is no restart.
    bench.sim.clear_calls();
    bench.sim.stop("shop-db-1").expect("somebody stops it");
    bench
        .until("that is seen", async || {
            bench
                .app
                .hosts
                .first()
                .expect("a host")
                .inventory()
                .by_name("shop-db-1")
                .is_some_and(|one| !one.state.is_up())
        })
        .await;
    bench.carry_out(Action::Start, db).await;
    assert_eq!(asked(&bench), ["start shop-db-1"]);
}

#[tokio::test]
async fn a_one_shot_is_waited_for_until_it_completed() {
    let world = World::new().stack("shop", |s| {
        s.service("db", ContainerSpec::stopped)
            .service("migrate", |c| c.created().exits(Duration::from_secs(20), 0).depends_on("db"))
            .service("web", |c| c.stopped().depends_on("migrate:service_completed_successfully"))
    });
    let bench = Bench::new(NOW, world).await;
    let (run, steps) = bench.carry_out(Action::Start, Bench::stack("shop")).await;
    all_succeeded(&run, &steps);
    let web = steps.iter().find(|step| step.container == "shop-web-1").and_then(|step| step.issued_at);
    assert!(web.expect("issued").duration_since(run.started_at.expect("a start")).as_secs() >= 20);
    // Completed: it counts neither way, and is not started again.
    bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    bench.sim.clear_calls();
    bench.carry_out(Action::Start, Bench::stack("shop")).await;
    let mut started = asked(&bench);
    started.sort();
    assert_eq!(started, ["start shop-db-1", "start shop-web-1"]);
}

#[tokio::test]
async fn killed_anywhere_in_a_run_the_next_life_ends_it_rightly() {
    // Kill -9 after so many calls that change something, at each of their instants.
    for after in 0..4 {
        let mut bench = Bench::new(NOW, shop()).await;
        let stop = bench.submit(Action::Stop, Bench::stack("shop")).await;
        bench.until("so many calls were made", async || bench.sim.acts().len() >= after).await;
        bench.kill();
        bench.revive().await;
        bench.settle().await;
        let (run, steps) = bench.run(stop.run_id()).await;
        all_succeeded(&run, &steps);
        assert!(bench.sim.running("shop").is_empty(), "killed after {after}");
    }
}

#[tokio::test]
async fn an_orderly_stop_leaves_the_run_to_the_next_life() {
    let mut bench = Bench::new(NOW, shop()).await;
    bench.sim.update("shop-web-1", |c| c.stops_after(Duration::from_secs(8), 0));
    let stop = bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench.until("web is being stopped", async || !bench.sim.acts().is_empty()).await;
    bench.terminate().await;
    assert_eq!(bench.run(stop.run_id()).await.0.state, RunState::Executing);
    bench.revive().await;
    bench.settle().await;
    let (run, steps) = bench.run(stop.run_id()).await;
    all_succeeded(&run, &steps);
}

#[tokio::test]
async fn who_starts_one_container_does_not_call_off_the_stop_of_the_others() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.update("shop-web-1", |c| c.stops_after(Duration::from_secs(8), 0));
    let stop = bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench.until("web is being stopped", async || !bench.sim.acts().is_empty()).await;
    let db = bench
        .app
        .hosts
        .first()
        .expect("a host")
        .inventory()
        .by_name("shop-db-1")
        .expect("it is there")
        .target();
    bench.submit(Action::Start, db).await;
    bench.settle().await;
    assert_eq!(bench.sim.running("shop"), ["shop-db-1"], "it was wanted up, and the rest was not");
    let (run, steps) = bench.run(stop.run_id()).await;
    assert_eq!(
        (run.state, &*run.reason),
        (RunState::Superseded, "superseded by start shop-db-1 by command line")
    );
    let last = steps.last().expect("a step");
    assert_eq!((&*last.container, last.state), ("shop-db-1", StepState::Skipped));
    // What is left to the older one is its own: a restart of one wants nothing else than a start of all.
    let start = bench.submit(Action::Start, Bench::stack("shop")).await;
    let web = bench
        .app
        .hosts
        .first()
        .expect("a host")
        .inventory()
        .by_name("shop-web-1")
        .expect("it is there")
        .target();
    bench.submit(Action::Restart, web).await;
    bench.settle().await;
    assert_eq!(bench.run(start.run_id()).await.0.state, RunState::Succeeded);
    assert_eq!(bench.sim.running("shop").len(), 3);
}

#[tokio::test]
async fn a_run_that_was_cut_off_goes_on_before_its_deadline_only() {
    for (away, stopped, state) in
        [(Duration::from_secs(60), 3, RunState::Succeeded), (Duration::from_secs(3600), 1, RunState::Partial)]
    {
        let mut bench = Bench::new(NOW, shop()).await;
        bench.sim.update("shop-web-1", |c| c.stops_after(Duration::from_secs(8), 0));
        let stop = bench.submit(Action::Stop, Bench::stack("shop")).await;
        bench.until("web is being stopped", async || !bench.sim.acts().is_empty()).await;
        bench.kill();
        bench.clock.advance(away);
        bench.revive().await;
        bench.settle().await;
        let (run, steps) = bench.run(stop.run_id()).await;
        assert_eq!((run.state, 3 - bench.sim.running("shop").len()), (state, stopped), "{steps:#?}");
        if state == RunState::Partial {
            assert_eq!(steps[1].error.as_deref(), Some("the run's time was up"));
        }
    }
}

#[tokio::test]
async fn waiting_for_a_turn_uses_up_nobodys_time() {
    // 60 stacks of four that take their 10 s each, 16 at a time: 150 s, more than the budget of any one of them.
    let world = (0..60).fold(World::new(), |world, number| {
        world.stack(&format!("s{number}"), |s| {
            ["a", "b", "c", "d"]
                .iter()
                .fold(s, |s, name| s.service(name, |c| c.stops_after(Duration::from_secs(40), 137)))
        })
    });
    let bench = Bench::new(NOW, world).await;
    let mut runs = Vec::new();
    for number in 0..60 {
        runs.push(bench.submit(Action::Stop, Bench::stack(&format!("s{number}"))).await);
    }
    bench.settle().await;
    for submitted in runs {
        let (run, steps) = bench.run(submitted.run_id()).await;
        all_succeeded(&run, &steps);
    }
}

#[tokio::test]
async fn a_retry_of_what_never_began_does_all_of_it() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.daemon_down(DaemonEnd::Graceful);
    bench
        .until("it is missed", async || !bench.app.hosts.first().expect("a host").inventory().is_connected())
        .await;
    let stop = bench.submit(Action::Stop, Bench::stack("shop")).await;
    bench.settle().await;
    assert_eq!(bench.run(stop.run_id()).await.0.state, RunState::Failed);
    bench.sim.daemon_up().expect("it comes back");
    bench
        .until("it is connected", async || {
            bench.app.hosts.first().expect("a host").inventory().is_connected()
        })
        .await;
    for name in ["shop-db-1", "shop-api-1", "shop-web-1"] {
        bench.sim.start(name).ok();
    }
    bench.quiet().await;
    let again = execute::retry(&bench.app, &person(), stop.run_id()).await.expect("it can be retried");
    bench.settle().await;
    assert_eq!(bench.run(again.run_id()).await.0.state, RunState::Succeeded);
    assert!(bench.sim.running("shop").is_empty());
}

#[tokio::test]
async fn a_look_that_was_not_answered_leaves_a_restart_to_be_done() {
    let bench = Bench::new(NOW, shop()).await;
    bench.sim.fault(Fault::drop_before().on(Endpoint::Inspect).container("shop-web-1").times(1));
    let web = bench
        .app
        .hosts
        .first()
        .expect("a host")
        .inventory()
        .by_name("shop-web-1")
        .expect("it is there")
        .target();
    let (run, steps) = bench.carry_out(Action::Restart, web).await;
    all_succeeded(&run, &steps);
    assert_eq!(asked(&bench), ["restart shop-web-1"]);
}

#[tokio::test]
async fn a_start_of_all_is_more_than_a_wake_of_what_naps() {
    let bench = Bench::new(NOW, shop()).await;
    // Not with 0: that could as well be a one-shot that did its work.
    bench.sim.update("shop-web-1", |c| c.stops_after(Duration::ZERO, 143));
    bench.sim.stop("shop-web-1").expect("somebody stops it");
    bench.quiet().await;
    bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    let request = Request::now(Action::Start, Bench::stack("shop"), Trigger::Manual);
    let mut wake = request.clone();
    wake.restore = true;
    execute::submit(&bench.app, &person(), wake).await.expect("it is accepted");
    let all = execute::submit(&bench.app, &person(), request.clone()).await.expect("it is accepted");
    assert!(matches!(all, Submitted::New { .. }), "{all:?}");
    let again = execute::submit(&bench.app, &person(), request).await.expect("it is accepted");
    assert!(matches!(again, Submitted::Duplicate { .. }), "{again:?}");
    bench.settle().await;
    assert_eq!(bench.sim.running("shop").len(), 3);
}
