//! Containers that lean on each other by their own settings, and those that bear one compose number.

use docknap::app::{execute, stacks};
use docknap::domain::action::Action;
use docknap::domain::ids::HostId;
use docknap::domain::run::{RunState, StepState};
use docknap::sim::{ContainerSpec, World};
use serde_json::Value;

use crate::support::bench::{Bench, person};
use crate::support::site::{PATIENCE, Sample, Site};
use crate::support::wait;

const NOW: &str = "2027-03-02T22:59:00Z";
const TUNNEL: Sample = Sample { project: "tunnel", file: "tests/samples/tunnel.yaml" };

/// What was asked of Docker, in order: the call's last word and the container.
fn asked(bench: &Bench) -> Vec<String> {
    let acts = bench.sim.acts().into_iter();
    acts.map(|(endpoint, container, _)| format!("{endpoint:?} {container}").to_lowercase()).collect()
}

/// The names run against the order, so that without edges they would decide.
fn leaning(on: impl Fn(ContainerSpec) -> ContainerSpec) -> World {
    World::new().stack("shop", |s| s.service("zoo", |c| c).service("app", on))
}

#[tokio::test]
async fn each_way_to_lean_on_another_orders_stop_and_start() {
    type Tie = fn(ContainerSpec) -> ContainerSpec;
    let ways: [(&str, Tie); 5] = [
        ("network", |c| c.network_of("shop-zoo-1")),
        ("pid", |c| c.pid_of("shop-zoo-1")),
        ("ipc", |c| c.ipc_of("shop-zoo-1")),
        ("volumes_from", |c| c.volumes_from("shop-zoo-1")),
        ("links", |c| c.links("shop-zoo-1")),
    ];
    for (name, way) in ways {
        let bench = Bench::new(NOW, leaning(way)).await;
        let (run, _) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
        assert_eq!(run.state, RunState::Succeeded, "{name}");
        let (run, steps) = bench.carry_out(Action::Start, Bench::stack("shop")).await;
        assert_eq!(run.state, RunState::Succeeded, "{name}: {steps:#?}");
        let order = ["stop shop-app-1", "stop shop-zoo-1", "start shop-zoo-1", "start shop-app-1"];
        assert_eq!(asked(&bench), order, "{name}");
        assert_eq!(steps[1].wait_for.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn who_lives_in_a_namespace_of_another_is_restarted_with_it_and_who_only_uses_it_is_not() {
    let world = World::new()
        .stack("vpn", |s| s.service("owner", |c| c))
        .container("inside-ipc", |c| c.ipc_of("vpn-owner-1"))
        .container("inside-pid", |c| c.pid_of("vpn-owner-1"))
        .container("linked", |c| c.links("vpn-owner-1"))
        .container("mounted", |c| c.volumes_from("vpn-owner-1"));
    let bench = Bench::new(NOW, world).await;
    let (run, steps) = bench.carry_out(Action::Restart, Bench::stack("vpn")).await;
    assert_eq!(run.state, RunState::Succeeded, "{steps:#?}");
    // The kernel ended what lived in its PID namespace: it is brought back.
    assert_eq!(asked(&bench)[0], "restart vpn-owner-1");
    let mut then = asked(&bench)[1..].to_vec();
    then.sort();
    assert_eq!(then, ["restart inside-ipc", "start inside-pid"]);
    assert_eq!(steps[1].reason, "because it shares vpn-owner-1's IPC namespace");
    assert_eq!(steps[2].reason, "because it shares vpn-owner-1's PID namespace");
    for name in ["inside-ipc", "inside-pid", "linked", "mounted"] {
        assert_eq!(bench.sim.state(name), "running", "{name}");
    }
    let plan = execute::preview(&bench.app, &person(), &Bench::stack("vpn"), Action::Stop, false).await;
    let warnings = plan.expect("a plan").warnings;
    assert!(warnings.iter().any(|one| one == "inside-pid uses vpn-owner-1's PID namespace and ends with it"));
}

#[tokio::test]
async fn two_containers_of_one_number_stop_together_and_none_starts_beside_the_other() {
    let bench = Bench::new(NOW, World::new().stack("shop", |s| s.service("web", |c| c))).await;
    bench.sim.recreate_begin("shop-web-1");
    let twin = bench.sim.containers().into_iter().map(|one| one.name).find(|name| name != "shop-web-1");
    let twin = twin.expect("compose was cut off half-way");
    bench.sim.start(&twin).expect("somebody starts it");
    let knows = async |count: usize| {
        bench
            .until("DockNap knows", async || {
                let inventory = bench.app.hosts.first().expect("a host").inventory();
                inventory.containers.iter().filter(|one| one.state.is_up()).count() == count
            })
            .await;
    };
    knows(2).await;
    let (run, steps) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    assert_eq!((run.state, steps.len()), (RunState::Succeeded, 1), "{steps:#?}");
    assert_eq!(steps[0].reason, format!("with {twin}, which bears the same number"));
    assert!(bench.sim.running("shop").is_empty());
    // The other one alone: it is what there is to stop …
    bench.sim.start(&twin).expect("somebody starts it");
    knows(1).await;
    let refused = format!("{twin} runs and bears the same number: remove one of the two");
    let (run, steps) = bench.carry_out(Action::Start, Bench::stack("shop")).await;
    assert_eq!((run.state, steps[0].reason.as_str()), (RunState::Skipped, refused.as_str()));
    assert_eq!(bench.sim.state("shop-web-1"), "exited");
    let (run, _) = bench.carry_out(Action::Stop, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert!(bench.sim.running("shop").is_empty());
    // … and what was stopped is woken, as the one with the plain name.
    knows(0).await;
    let (run, _) = bench.carry_out(Action::Start, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(bench.sim.running("shop"), ["shop-web-1"]);
}

/// A service and what compose left beside it when it was cut off; both run, and DockNap knows.
async fn twins() -> (Bench, String) {
    let bench = Bench::new(NOW, World::new().stack("shop", |s| s.service("web", |c| c))).await;
    bench.sim.recreate_begin("shop-web-1");
    let twin = bench.sim.containers().into_iter().map(|one| one.name).find(|name| name != "shop-web-1");
    let twin = twin.expect("compose was cut off half-way");
    bench.sim.start(&twin).expect("somebody starts it");
    states(&bench, ["running", "running"], &twin).await;
    (bench, twin)
}

/// Waits until DockNap knows that the plain one and its twin are so.
async fn states(bench: &Bench, wanted: [&str; 2], twin: &str) {
    bench
        .until("DockNap knows", async || {
            let inventory = bench.app.hosts.first().expect("a host").inventory();
            let known =
                ["shop-web-1", twin].map(|name| inventory.by_name(name).map(|one| one.state.as_str()));
            known == wanted.map(Some)
        })
        .await;
    assert_eq!(["shop-web-1", twin].map(|name| bench.sim.state(name)), wanted);
}

#[tokio::test]
async fn two_containers_of_one_number_pause_go_on_and_restart_together() {
    let (bench, twin) = twins().await;
    let with = format!("with {twin}, which bears the same number");
    let act = async |action: Action| {
        bench.sim.clear_calls();
        let (run, steps) = bench.carry_out(action, Bench::stack("shop")).await;
        assert_eq!((run.state, steps.len()), (RunState::Succeeded, 1), "{action:?}: {steps:#?}");
        assert_eq!(steps[0].reason, with, "{action:?}");
        asked(&bench)
    };
    let both = |verb: &str| [format!("{verb} {twin}"), format!("{verb} shop-web-1")];
    assert_eq!(act(Action::Pause).await, both("pause"));
    states(&bench, ["paused", "paused"], &twin).await;
    assert_eq!(act(Action::Unpause).await, both("unpause"));
    states(&bench, ["running", "running"], &twin).await;
    let [first, second] = both("restart");
    assert_eq!(act(Action::Restart).await, [second, first]);
    states(&bench, ["running", "running"], &twin).await;
    // Only one of them is left to be paused, and to go on.
    bench.sim.pause("shop-web-1").expect("somebody pauses it");
    states(&bench, ["paused", "running"], &twin).await;
    assert_eq!(act(Action::Pause).await, [format!("pause {twin}")]);
    states(&bench, ["paused", "paused"], &twin).await;
    bench.sim.unpause("shop-web-1").expect("somebody lets it go on");
    states(&bench, ["running", "paused"], &twin).await;
    assert_eq!(act(Action::Unpause).await, [format!("unpause {twin}")]);
    states(&bench, ["running", "running"], &twin).await;
}

#[tokio::test]
async fn two_that_were_paused_together_are_woken_together() {
    let (bench, twin) = twins().await;
    bench.carry_out(Action::Pause, Bench::stack("shop")).await;
    states(&bench, ["paused", "paused"], &twin).await;
    let (run, steps) = bench.carry_out(Action::Start, Bench::stack("shop")).await;
    assert_eq!(run.state, RunState::Succeeded, "{steps:#?}");
    states(&bench, ["running", "running"], &twin).await;
}

#[tokio::test]
async fn a_twin_that_runs_is_the_one_shown_and_acted_on() {
    let (bench, twin) = twins().await;
    bench.sim.stop("shop-web-1").expect("somebody stops it");
    states(&bench, ["exited", "running"], &twin).await;
    let me = person();
    let shown = stacks::list(&bench.app, &me).await.expect("it lists");
    let counts = shown[0].stack.counts;
    assert_eq!((counts.running, counts.total), (1, 1), "what it is there for runs");
    let key = bench.app.hosts.first().expect("a host").inventory().by_name(&twin).expect("it is there").key();
    let page = stacks::container(&bench.app, &me, &HostId::local(), &key).await.expect("it is there");
    assert_eq!(page.container.name, twin);
    for (action, state) in
        [(Action::Restart, "running"), (Action::Pause, "paused"), (Action::Unpause, "running")]
    {
        let (run, steps) = bench.carry_out(action, Bench::stack("shop")).await;
        assert_eq!(
            (run.state, steps[0].reason.as_str()),
            (RunState::Succeeded, ""),
            "{action:?}: {steps:#?}"
        );
        states(&bench, ["exited", state], &twin).await;
    }
}

/// The executor looks for itself: the plan may be older than the twin.
#[tokio::test]
async fn a_twin_that_comes_up_after_the_plan_is_seen_by_the_executor() {
    let world = World::new().stack("shop", |s| {
        s.service("db", |c| c.stopped().healthy_after(std::time::Duration::from_secs(20)))
            .service("web", |c| c.stopped().depends_on("db:service_healthy"))
    });
    let bench = Bench::new(NOW, world).await;
    let submitted = bench.submit(Action::Start, Bench::stack("shop")).await;
    bench.advance(std::time::Duration::from_secs(5)).await;
    bench.sim.recreate_begin("shop-web-1");
    let twin = bench.sim.containers().into_iter().map(|one| one.name).find(|name| name.contains('_'));
    let twin = twin.expect("compose was cut off half-way");
    bench.sim.start(&twin).expect("somebody starts it");
    bench.settle().await;
    let (_, steps) = bench.run(submitted.run_id()).await;
    assert_eq!(steps[1].state, StepState::Skipped, "{steps:#?}");
    assert!(steps[1].reason.starts_with(&twin), "{}", steps[1].reason);
    assert_eq!(bench.sim.state("shop-web-1"), "exited");
}

/// A container beside the sample, with a shell that ends when told to.
fn run(site: &Site, name: &str, options: &[&str]) {
    let program = "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done";
    let all =
        [&["run", "--detach", "--name", name], options, &["docknap-test/busybox:1", "sh", "-c", program]];
    site.docker(&all.concat());
    assert_eq!(site.state(name), "running", "{name}");
}

fn done(run: &Value) -> Vec<(i64, String, String, String)> {
    let steps = run["steps"].as_array().expect("steps").iter().filter(|step| step["wave"] != 0);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    steps
        .map(|step| {
            let wave = step["wave"].as_i64().unwrap_or_default();
            (wave, text(&step["action"]), text(&step["container"]), text(&step["state"]))
        })
        .collect()
}

fn labels(service: &str, depends_on: &str) -> [String; 8] {
    [
        "com.docker.compose.project=pair".to_owned(),
        format!("com.docker.compose.service={service}"),
        "com.docker.compose.container-number=1".to_owned(),
        format!("com.docker.compose.depends_on={depends_on}"),
    ]
    .map(|label| ["--label".to_owned(), label])
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .try_into()
    .expect("four labels")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_leans_on_another_is_ordered_and_restarted_with_it_on_a_real_engine() {
    let site = Site::new(TUNNEL).await;
    let program = |wave: i64, action: &str, name: &str| {
        (wave, action.to_owned(), name.to_owned(), "succeeded".to_owned())
    };
    let seen = async |name: &str, state: &str| {
        site.known(name).await;
        wait::until("it is seen", PATIENCE, async || site.shown(name).await["state"] == state).await;
    };
    // One that others live in.
    run(&site, "owner", &["--ipc", "shareable"]);
    run(&site, "inside-ipc", &["--ipc", "container:owner"]);
    run(&site, "inside-pid", &["--pid", "container:owner"]);
    run(&site, "mounted", &["--volumes-from", "owner"]);
    for name in ["owner", "inside-ipc", "inside-pid", "mounted"] {
        seen(name, "running").await;
    }
    let restarted = site.act("/api/containers/local/owner/restart").await;
    let expected = [
        program(1, "restart", "owner"),
        program(2, "restart", "inside-ipc"),
        program(2, "restart", "inside-pid"),
    ];
    assert_eq!(done(&restarted), expected, "{restarted:#}");
    let space =
        |name: &str, kind: &str| site.docker(&["exec", name, "readlink", &format!("/proc/self/ns/{kind}")]);
    assert_eq!(space("inside-pid", "pid"), space("owner", "pid"));
    assert_eq!(space("inside-ipc", "ipc"), space("owner", "ipc"));
    // A stack of plain containers that link, mount, and restart with each other.
    let (db, app, web) = (labels("db", ""), labels("app", "db:service_started:true"), labels("web", ""));
    let all = |labels: &[String; 8], more: &[&str]| -> Vec<String> {
        labels.iter().cloned().chain(more.iter().map(|word| (*word).to_owned())).collect()
    };
    for (name, options) in [
        ("pair-db-1", all(&db, &[])),
        ("pair-app-1", all(&app, &["--link", "pair-db-1:db"])),
        ("pair-web-1", all(&web, &["--volumes-from", "pair-app-1"])),
    ] {
        run(&site, name, &options.iter().map(String::as_str).collect::<Vec<_>>());
        seen(name, "running").await;
    }
    let stopped = site.act("/api/stacks/local/pair/stop").await;
    let expected =
        [program(1, "stop", "pair-web-1"), program(2, "stop", "pair-app-1"), program(3, "stop", "pair-db-1")];
    assert_eq!(done(&stopped), expected, "{stopped:#}");
    let started = site.act("/api/stacks/local/pair/start").await;
    let expected = [
        program(1, "start", "pair-db-1"),
        program(2, "start", "pair-app-1"),
        program(3, "start", "pair-web-1"),
    ];
    assert_eq!(done(&started), expected, "{started:#}");
    let restarted = site.act("/api/containers/local/pair-db-1/restart").await;
    assert_eq!(
        done(&restarted),
        [program(1, "restart", "pair-db-1"), program(2, "restart", "pair-app-1")],
        "{restarted:#}"
    );
    // What compose leaves behind when it is cut off.
    run(&site, "0123456789ab_pair-db-1", &db.each_ref().map(String::as_str));
    seen("0123456789ab_pair-db-1", "running").await;
    site.act("/api/stacks/local/pair/stop").await;
    for name in ["pair-db-1", "0123456789ab_pair-db-1", "pair-app-1", "pair-web-1"] {
        assert_eq!(site.state(name), "exited", "{name}");
    }
    site.docker(&["start", "0123456789ab_pair-db-1"]);
    seen("0123456789ab_pair-db-1", "running").await;
    site.act("/api/stacks/local/pair/start").await;
    assert_eq!(site.state("pair-db-1"), "exited", "none starts beside the other");
    for name in ["owner", "inside-ipc", "inside-pid", "mounted", "pair-web-1", "pair-app-1", "pair-db-1"] {
        site.docker(&["rm", "--force", name]);
    }
    site.docker(&["rm", "--force", "0123456789ab_pair-db-1"]);
    site.finish().await;
}
