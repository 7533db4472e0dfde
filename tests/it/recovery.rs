//! What DockNap takes for its own doing, and what for others': containers that are re-created or ended in their sleep,
//! daemons that restart with or without DockNap, and who stopped what.

use std::time::Duration;

use docknap::app::rulebook::RuleBook;
use docknap::app::schedules::Draft;
use docknap::app::stacks::{self, ShownState};
use docknap::domain::action::Action;
use docknap::domain::ids::HostId;
use docknap::domain::inventory::StackStatus;
use docknap::domain::overrides::DesiredState;
use docknap::domain::run::{RunState, Trigger};
use docknap::sim::{DaemonEnd, Endpoint, Fault, Restart, World};

use crate::on_both_engines;
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;
use crate::windows::{NIGHT, NOW, keep, look, open, pass, runs, window};

const SLEEP: &str = "2027-03-02T23:00:00Z";
const WAKE: &str = "2027-03-03T07:00:00Z";
const HOUR: Duration = Duration::from_secs(3600);
const ENDS: [DaemonEnd; 2] = [DaemonEnd::Graceful, DaemonEnd::Crash];

/// One service of each restart policy. All end with 0 when they are told to, but for one that has to be killed.
fn policies() -> World {
    World::new().stack("shop", |s| {
        s.service("always", |c| c.restart(Restart::Always))
            .service("lasting", |c| c.restart(Restart::UnlessStopped))
            .service("plain", |c| c.restart(Restart::No))
            .service("stubborn", |c| c.restart(Restart::OnFailure(0)).ignores_sigterm().stop_timeout(1))
    })
}

const ALL: [&str; 4] = ["shop-always-1", "shop-lasting-1", "shop-plain-1", "shop-stubborn-1"];

/// A night's sleep of the stack, begun an hour ago.
async fn asleep(mode: &str) -> Bench {
    asleep_by(Draft { mode: Some(mode.to_owned()), ..window(NIGHT) }).await
}

async fn asleep_by(draft: Draft) -> Bench {
    let bench = Bench::new(NOW, policies()).await;
    keep(&bench, draft).await;
    pass(&bench, SLEEP).await;
    assert_eq!(bench.sim.running("shop"), [] as [&str; 0]);
    bench.advance(HOUR).await;
    bench
}

/// Waits until DockNap shows what is so.
async fn until_known(bench: &Bench) {
    bench
        .until("it is known", async || {
            let inventory = bench.app.hosts.first().expect("a host").inventory();
            inventory.is_connected()
                && bench.sim.containers().iter().all(|seen| {
                    let known = inventory.by_name(&seen.name);
                    known.is_some_and(|one| one.state.as_str() == seen.state && one.id == seen.id)
                })
        })
        .await;
}

async fn restart_daemon(bench: &Bench, end: DaemonEnd) {
    bench.quiet().await;
    bench.sim.daemon_down(end);
    bench.advance(Duration::from_secs(20)).await;
    bench.sim.daemon_up().expect("it starts");
    until_known(bench).await;
}

/// DockNap and the daemon end and start together.
async fn restart_both(bench: &mut Bench, end: DaemonEnd) {
    bench.kill();
    bench.sim.daemon_restart(end).expect("it starts");
    bench.revive().await;
    until_known(bench).await;
}

async fn shown(bench: &Bench, name: &str) -> ShownState {
    stacks::container(&bench.app, &person(), &HostId::local(), name).await.expect("it is there").shown
}

async fn status(bench: &Bench) -> StackStatus {
    stacks::get(&bench.app, &person(), &HostId::local(), "shop").await.expect("it is there").stack.status
}

/// The reasons of the newest run's steps, by container.
async fn reason(bench: &Bench, container: &str) -> String {
    let last = runs(bench).await.pop().expect("a run");
    let (_, steps) = bench.run(&last.id).await;
    steps.iter().find(|step| step.container == container).expect("a step").reason.clone()
}

async fn wakes_whole(bench: &Bench, what: &str) {
    assert_eq!(open(bench).await, [], "{what}: nobody did it by hand");
    let before = runs(bench).await.len();
    for name in ALL {
        assert_eq!(shown(bench, name).await, ShownState::Napping, "{what}: {name}");
    }
    pass(bench, WAKE).await;
    assert_eq!(bench.sim.running("shop"), ALL, "{what}");
    let last = runs(bench).await.pop().expect("a run");
    assert_eq!(
        (last.action, last.trigger, last.state),
        (Action::Start, Trigger::Window, RunState::Succeeded)
    );
    assert_eq!(runs(bench).await.len(), before + 1, "{what}");
}

#[tokio::test]
async fn what_is_made_anew_in_its_sleep_wakes() {
    for mode in ["stop", "pause"] {
        let bench = asleep(mode).await;
        for name in ["shop-plain-1", "shop-lasting-1"] {
            bench.sim.make_anew(name);
            assert_eq!(bench.sim.state(name), "created");
        }
        until_known(&bench).await;
        look(&bench).await;
        wakes_whole(&bench, mode).await;
    }
}

#[tokio::test]
async fn what_a_restart_of_the_daemon_ends_in_its_sleep_wakes() {
    for end in ENDS {
        let bench = asleep("pause").await;
        restart_daemon(&bench, end).await;
        assert_eq!(bench.sim.state("shop-plain-1"), "exited", "{end:?}");
        look(&bench).await;
        let last = runs(&bench).await.pop().expect("a run");
        assert!(last.why.starts_with("daemon restart"), "{end:?}: {}", last.why);
        wakes_whole(&bench, &format!("{end:?}")).await;
    }
}

/// The daemon ends what is paused while it is being unpaused: the step starts it, and says so.
#[tokio::test]
async fn what_ends_while_it_is_unpaused_is_started_and_the_step_says_so() {
    let bench = asleep("pause").await;
    bench.sim.fault(Fault::hang().on(Endpoint::Unpause).container("shop-plain-1"));
    bench.advance_to(WAKE).await;
    bench.quiet().await;
    bench.tick().await;
    bench.until("it is asked for", async || bench.sim.count(Endpoint::Unpause) == 4).await;
    restart_daemon(&bench, DaemonEnd::Graceful).await;
    bench.sim.clear_faults();
    bench.settle().await;
    assert_eq!(bench.sim.running("shop"), ALL);
    assert_eq!(reason(&bench, "shop-plain-1").await, "it was no longer paused: started");
}

#[tokio::test]
async fn what_the_daemon_revives_while_docknap_is_down_too_sleeps_again() {
    for mode in ["stop", "pause"] {
        for end in ENDS {
            let mut bench = asleep(mode).await;
            restart_both(&mut bench, end).await;
            let revived = bench.sim.running("shop");
            assert!(revived.contains(&"shop-always-1".to_owned()) && revived.len() > 1, "{revived:?}");
            let what = format!("{mode}, {end:?}, {revived:?}");
            look(&bench).await;
            assert_eq!(bench.sim.running("shop"), [] as [&str; 0], "{what}");
            let last = runs(&bench).await.pop().expect("a run");
            assert!(last.why.starts_with("daemon restart"), "{what}: {}", last.why);
            wakes_whole(&bench, &what).await;
        }
    }
}

/// A start of the daemon is nobody's wish, and what it brought back and then ended by itself still sleeps.
#[tokio::test]
async fn what_the_daemon_revived_and_what_ended_since_wakes_at_its_time() {
    let mut bench = asleep("stop").await;
    bench.kill();
    bench.sim.daemon_restart(DaemonEnd::Graceful).expect("it starts");
    assert_eq!(bench.sim.state("shop-stubborn-1"), "running", "its policy brings it back");
    bench.sim.exit("shop-stubborn-1", 0);
    assert_eq!(bench.sim.state("shop-stubborn-1"), "exited");
    bench.revive().await;
    until_known(&bench).await;
    look(&bench).await;
    wakes_whole(&bench, "revived and ended").await;
}

/// It is to be up: what was paused when that was planned, and is stopped when its turn comes, is started.
#[tokio::test]
async fn what_is_stopped_between_plan_and_unpause_is_started() {
    let world = World::new().stack("shop", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")));
    let bench = Bench::new(NOW, world).await;
    bench.carry_out(Action::Pause, Bench::stack("shop")).await;
    let slow = Fault::delay(Duration::from_secs(5));
    bench.sim.fault(slow.on(Endpoint::Unpause).container("shop-db-1"));
    let submitted = bench.submit(Action::Start, Bench::stack("shop")).await;
    bench.until("db is being unpaused", async || bench.sim.count(Endpoint::Unpause) == 1).await;
    bench.sim.stop("shop-web-1").expect("somebody stops it");
    bench.settle().await;
    let (run, steps) = bench.run(submitted.run_id()).await;
    assert_eq!((run.state, steps[1].action), (RunState::Succeeded, Action::Unpause), "{steps:#?}");
    assert_eq!(bench.sim.running("shop"), ["shop-db-1", "shop-web-1"]);
}

#[tokio::test]
async fn what_somebody_started_while_nobody_watched_is_theirs() {
    let up_all_along = async |bench: &mut Bench| {
        bench.kill();
        bench.sim.start("shop-lasting-1").expect("it starts");
    };
    let long_after = async |bench: &mut Bench| {
        bench.kill();
        bench.sim.daemon_restart(DaemonEnd::Graceful).expect("it starts");
        bench.clock.advance(HOUR);
        bench.sim.start("shop-lasting-1").expect("it starts");
    };
    let not_by_policy = async |bench: &mut Bench| {
        bench.kill();
        bench.sim.daemon_restart(DaemonEnd::Graceful).expect("it starts");
        bench.sim.start("shop-plain-1").expect("it starts");
    };
    for number in 0..3 {
        let mut bench = asleep("stop").await;
        match number {
            0 => up_all_along(&mut bench).await,
            1 => long_after(&mut bench).await,
            _ => not_by_policy(&mut bench).await,
        }
        let name = if number == 2 { "shop-plain-1" } else { "shop-lasting-1" };
        bench.revive().await;
        until_known(&bench).await;
        look(&bench).await;
        assert_eq!(bench.sim.running("shop"), [name], "case {number}");
        let wishes = open(&bench).await;
        let told: Vec<_> = wishes.iter().map(|one| (one.wanted, one.reason.as_str())).collect();
        let reason = "found running; it was started while nobody was watching";
        assert_eq!(told, [(DesiredState::Awake, reason)], "case {number}");
    }
}

#[tokio::test]
async fn a_start_that_was_seen_is_somebodys_though_the_link_broke() {
    let bench = asleep("stop").await;
    bench.sim.break_streams();
    bench.sim.start("shop-lasting-1").expect("it starts");
    until_known(&bench).await;
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ["shop-lasting-1"]);
    let wishes = open(&bench).await;
    assert_eq!(wishes.len(), 1, "{wishes:?}");
    assert_eq!(wishes[0].reason, "started outside DockNap");
}

/// An Engine keeps 256 events: that none is left of a start does not make it the daemon's.
#[tokio::test]
async fn a_start_that_was_seen_is_somebodys_though_nothing_tells_of_it_any_more() {
    let bench = Bench::new(NOW, policies().container("noise", |c| c)).await;
    keep(&bench, Draft { policy: Some("observe".to_owned()), ..window(NIGHT) }).await;
    pass(&bench, SLEEP).await;
    bench.advance(HOUR).await;
    bench.sim.start("shop-lasting-1").expect("it starts");
    until_known(&bench).await;
    look(&bench).await;
    bench.advance(Duration::from_secs(60)).await;
    bench.sim.fault(Fault::status(503, "not yet").on(Endpoint::Events));
    bench.sim.break_streams();
    bench
        .until("the link is down", async || {
            !bench.app.hosts.first().expect("a host").inventory().is_connected()
        })
        .await;
    for _ in 0..150 {
        bench.sim.pause("noise").expect("it runs");
        bench.sim.unpause("noise").expect("it is paused");
    }
    bench.sim.clear_faults();
    until_known(&bench).await;
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ["shop-lasting-1"]);
}

#[tokio::test]
async fn what_a_daemon_ends_by_day_was_stopped_by_nobody() {
    for end in ENDS {
        let bench = Bench::new(NOW, policies()).await;
        keep(&bench, window(NIGHT)).await;
        look(&bench).await;
        restart_daemon(&bench, end).await;
        look(&bench).await;
        assert_eq!(bench.sim.state("shop-plain-1"), "exited", "{end:?}");
        assert_eq!(open(&bench).await, [], "{end:?}");
        let traces = bench.app.hosts.first().expect("a host").inventory().traces;
        assert!(traces.is_empty(), "{end:?}: {traces:?}");
    }
}

#[tokio::test]
async fn a_nap_that_others_changed_is_over_and_the_wake_says_who() {
    let mut bench = asleep_by(Draft { policy: Some("observe".to_owned()), ..window(NIGHT) }).await;
    bench.sim.start("shop-plain-1").expect("it starts");
    until_known(&bench).await;
    look(&bench).await;
    bench.advance(HOUR).await;
    bench.sim.stop("shop-plain-1").expect("it stops");
    until_known(&bench).await;
    look(&bench).await;
    // What was seen is not forgotten.
    bench.kill();
    bench.revive().await;
    until_known(&bench).await;
    pass(&bench, WAKE).await;
    assert_eq!(bench.sim.state("shop-plain-1"), "exited");
    assert_eq!(bench.sim.running("shop").len(), 3);
    assert_eq!(reason(&bench, "shop-plain-1").await, "it was stopped by hand at 01:00 on 2027-03-03");
}

/// It looks as DockNap left it, and is not: what others did since is theirs.
#[tokio::test]
async fn a_pause_that_others_took_back_and_made_again_is_theirs() {
    let draft = Draft { policy: Some("observe".to_owned()), mode: Some("pause".to_owned()), ..window(NIGHT) };
    let bench = asleep_by(draft).await;
    for deed in ["unpause", "pause"] {
        match deed {
            "unpause" => bench.sim.unpause("shop-plain-1").expect("it is paused"),
            _ => bench.sim.pause("shop-plain-1").expect("it runs"),
        }
        until_known(&bench).await;
        look(&bench).await;
        bench.advance(HOUR).await;
    }
    pass(&bench, WAKE).await;
    assert_eq!(bench.sim.state("shop-plain-1"), "paused");
    assert_eq!(bench.sim.running("shop").len(), 3);
}

/// A web server and a job, of compose's default policy: both end with 0 when they are told to.
fn plain() -> World {
    World::new().stack("shop", |s| {
        s.service("web", |c| c.restart(Restart::No).up_for(HOUR))
            .service("job", |c| c.restart(Restart::No).up_for(HOUR))
            .service("db", |c| c.restart(Restart::No).up_for(HOUR))
    })
}

on_both_engines!(what_is_stopped_by_hand_is_stopped_whatever_its_exit_code);

async fn what_is_stopped_by_hand_is_stopped_whatever_its_exit_code(test: TestDb) {
    let mut bench = Bench::on(test, NOW, plain()).await;
    bench.advance(HOUR).await;
    bench.sim.exit("shop-job-1", 0);
    bench.sim.stop("shop-web-1").expect("it stops");
    until_known(&bench).await;
    look(&bench).await;
    for life in ["seen", "remembered"] {
        assert_eq!(bench.sim.container("shop-web-1").expect("it is there").exit_code, 0);
        assert_eq!(shown(&bench, "shop-web-1").await, ShownState::Stopped, "{life}");
        assert_eq!(shown(&bench, "shop-job-1").await, ShownState::Completed, "{life}");
        assert_eq!(status(&bench).await, StackStatus::Partial, "{life}");
        bench.kill();
        bench.revive().await;
        until_known(&bench).await;
    }
    let (run, _) = bench.carry_out(Action::Start, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(bench.sim.running("shop"), ["shop-db-1", "shop-web-1"], "the job has done its work");
    assert_eq!(status(&bench).await, StackStatus::Running);
    // All of it, one after the other, as compose does.
    for name in ["shop-web-1", "shop-db-1"] {
        bench.sim.stop(name).expect("it stops");
    }
    until_known(&bench).await;
    look(&bench).await;
    assert_eq!(status(&bench).await, StackStatus::Stopped);
    let (run, _) = bench.carry_out(Action::Start, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(bench.sim.running("shop"), ["shop-db-1", "shop-web-1"]);
}

/// Docker unpauses what it kills: it was killed by hand all the same.
#[tokio::test]
async fn what_is_killed_while_it_is_paused_was_killed_by_hand() {
    let draft = Draft { policy: Some("observe".to_owned()), mode: Some("pause".to_owned()), ..window(NIGHT) };
    let bench = asleep_by(draft).await;
    for name in ["shop-plain-1", "shop-stubborn-1"] {
        bench.sim.kill(name).expect("it is killed");
    }
    until_known(&bench).await;
    look(&bench).await;
    pass(&bench, WAKE).await;
    assert_eq!(bench.sim.running("shop"), ["shop-always-1", "shop-lasting-1"]);
    assert_eq!(reason(&bench, "shop-plain-1").await, "it was stopped by hand at 00:00 on 2027-03-03");
}

/// A nap that somebody ended is none any more, whatever ends the container afterwards, and whoever was watching.
#[tokio::test]
async fn what_somebody_unpaused_naps_no_more_when_something_else_ends_it() {
    for end in ["itself", "the daemon", "the daemon, DockNap too"] {
        let mut bench = asleep("pause").await;
        bench.sim.unpause("shop-plain-1").expect("it is unpaused");
        until_known(&bench).await;
        look(&bench).await;
        match end {
            "itself" => bench.sim.exit("shop-plain-1", 0),
            "the daemon" => restart_daemon(&bench, DaemonEnd::Graceful).await,
            _ => restart_both(&mut bench, DaemonEnd::Graceful).await,
        }
        until_known(&bench).await;
        look(&bench).await;
        assert_eq!(bench.sim.state("shop-plain-1"), "exited", "{end}");
        assert_ne!(shown(&bench, "shop-plain-1").await, ShownState::Napping, "{end}");
        pass(&bench, WAKE).await;
        assert_eq!(bench.sim.state("shop-plain-1"), "exited", "{end}");
    }
}

/// Docker's time stamps are compared with one another: ours, as the Engine's clock shows it, is right to a second or
/// so.
#[tokio::test]
async fn a_nap_begins_when_docker_says_that_the_process_ended() {
    let bench = Bench::new(NOW, policies()).await;
    bench.sim.fault(Fault::delay(Duration::from_secs(4)).on(Endpoint::Inspect).container("shop-plain-1"));
    let (_, steps) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    let book = RuleBook::load(&bench.app).await.expect("it reads");
    let naps = book.naps(&HostId::local());
    let step = steps.iter().find(|step| step.container == "shop-plain-1").expect("a step");
    let ended = bench.sim.container("shop-plain-1").and_then(|seen| seen.finished);
    assert!(step.finished_at > ended, "it took a while until this was known");
    assert_eq!(naps.get(&step.identity).map(|nap| nap.since), ended);
}
