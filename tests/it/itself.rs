//! DockNap never stops itself: what it knows about the container it runs in, and what it refuses while it is not sure.

use docknap::app::execute::{self, Request};
use docknap::app::overrides;
use docknap::app::schedules;
use docknap::app::{Error, nap, stacks};
use docknap::clock::Clock;
use docknap::docker::self_detection::SelfHints;
use docknap::domain::action::Action;
use docknap::domain::ids::HostId;
use docknap::domain::inventory::{Inventory, Protection, SelfDetection};
use docknap::domain::run::Trigger;
use docknap::domain::schedule::Source;
use docknap::domain::target::Target;
use docknap::sim::World;

use crate::support::app::TestApp;
use crate::support::bench::{Bench, person};
use crate::support::real::Real;
use crate::support::watched::{Watched, settings};
use crate::windows::{keep, pass, runs};

const UNSURE: &str = "not sure which of these I am";
/// A Tuesday.
const EVENING: &str = "2027-03-02T22:30:00Z";

/// A stack whose containers use one network, DockNap among them, and something else.
fn shared() -> World {
    World::new()
        .stack("media", |s| {
            s.service("vpn", |c| c)
                .service("docknap", |c| c.network_of("media-vpn-1"))
                .service("films", |c| c.network_of("media-vpn-1"))
        })
        .stack("shop", |s| s.service("web", |c| c))
}

const MAY_BE: [&str; 3] = ["media-docknap-1", "media-films-1", "media-vpn-1"];

/// A DockNap that knows no more than that its name files are the vpn's, after a night's sleep was asked for.
async fn unsure() -> Bench {
    let mut bench = Bench::new(EVENING, shared()).await;
    for stack in ["media", "shop"] {
        let draft = schedules::Draft {
            target_id: Some(stack.to_owned()),
            ..crate::windows::window("sleep 23:00-07:00")
        };
        keep(&bench, draft).await;
    }
    let film = schedules::Draft {
        target_type: Some("container".to_owned()),
        target_id: Some("media-films-1".to_owned()),
        cron: Some("15 23 * * *".to_owned()),
        action: Some("stop".to_owned()),
        enabled: Some(true),
        ..schedules::Draft::default()
    };
    keep(&bench, film).await;
    bench.kill();
    let vpn = bench.sim.container("media-vpn-1").expect("it is there").id;
    bench.hints = SelfHints { named: vec![vpn], contained: true, ..SelfHints::default() };
    bench.revive().await;
    bench
}

fn override_of(name: &str, kind: &str, state: &str) -> overrides::Draft {
    overrides::Draft {
        target_type: Some(kind.to_owned()),
        target_id: Some(name.to_owned()),
        state: Some(state.to_owned()),
        until: Some("3h".to_owned()),
        reason: Some("to see".to_owned()),
        ..overrides::Draft::default()
    }
}

#[tokio::test]
async fn what_it_may_be_is_shown_as_protected_and_refused_by_every_service() {
    let bench = unsure().await;
    let (app, me) = (&bench.app, person());
    let shown = stacks::list(app, &me).await.expect("it lists");
    let media = shown.iter().find(|stack| stack.stack.name == "media").expect("it is there");
    assert!(media.protected.as_ref().is_some_and(|reason| reason.contains(UNSURE)), "{:?}", media.protected);
    assert_eq!(media.containers.iter().filter(|one| one.protected.is_some()).count(), 3);
    let inventory = app.hosts.first().expect("a host").inventory();
    let one = |name: &str| inventory.by_name(name).expect("it is there").target();
    let stack = Target::stack(HostId::local(), "media");
    for target in MAY_BE.map(one).into_iter().chain([stack]) {
        for (action, trigger) in
            [(Action::Stop, Trigger::Manual), (Action::Restart, Trigger::Bulk), (Action::Pause, Trigger::Api)]
        {
            let refused = execute::submit(app, &me, Request::now(action, target.clone(), trigger)).await;
            let Err(Error::Protected { reason, .. }) = &refused else { panic!("{target:?}: {refused:?}") };
            assert!(reason.ends_with(&format!("{UNSURE}: {}", MAY_BE.join(", "))), "{reason}");
        }
        let nap = nap::nap(app, &me, &target, &nap::NapRequest::default(), Trigger::Manual).await;
        assert!(matches!(nap, Err(Error::Protected { .. })), "{target:?}: {nap:?}");
    }
    let said = |refused: Error| match refused {
        Error::Invalid(fields) => format!("{}: {}", fields[0].field, fields[0].message),
        other => panic!("{other:?}"),
    };
    for name in MAY_BE {
        let container = |draft: schedules::Draft| schedules::Draft {
            target_type: Some("container".to_owned()),
            target_id: Some(name.to_owned()),
            enabled: Some(true),
            ..draft
        };
        let window = container(crate::windows::window("sleep 01:00-02:00"));
        let cron = container(schedules::Draft {
            cron: Some("0 3 * * *".to_owned()),
            action: Some("stop".to_owned()),
            ..schedules::Draft::default()
        });
        for draft in [window, cron] {
            let refused = schedules::create(app, &me, &draft, Source::Api).await.expect_err("it is refused");
            let said = said(refused);
            assert!(said.starts_with("target_id: ") && said.contains(UNSURE), "{said}");
        }
        for state in ["asleep", "awake", "hold"] {
            let draft = override_of(name, "container", state);
            let said = said(overrides::create(app, &me, &draft).await.expect_err("it is refused"));
            assert!(said.starts_with("target_id: ") && said.contains(UNSURE), "{said}");
        }
    }
    let whole = overrides::create(app, &me, &override_of("media", "stack", "asleep")).await;
    assert!(said(whole.expect_err("it is refused")).contains(UNSURE));
    assert!(bench.sim.acts().is_empty(), "Docker was asked for nothing");
}

#[tokio::test]
async fn the_executor_leaves_alone_what_it_may_be() {
    let bench = unsure().await;
    overrides::create(&bench.app, &person(), &override_of("", "all", "asleep")).await.expect("it is stored");
    pass(&bench, "2027-03-02T22:31:00Z").await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    pass(&bench, "2027-03-02T23:15:00Z").await;
    let stopped: Vec<String> = bench.sim.acts().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(stopped, ["shop-web-1"], "{:?}", runs(&bench).await);
    for name in MAY_BE {
        assert_eq!(bench.sim.state(name), "running", "{name}");
    }
}

#[tokio::test]
async fn pages_offer_nothing_and_refuse_what_is_typed() {
    let test = TestApp::over(unsure().await).await;
    let mut otto = test.operator().await;
    let list = otto.get("/").await;
    let media = docknap::domain::target::key(&HostId::local(), "media");
    assert!(list.text(&format!("#stack-{media}")).contains("Protected"), "{}", list.text("main"));
    let page = otto.get(&format!("/stacks/{media}")).await;
    assert!(page.text("main").contains(UNSURE), "{}", page.text("main"));
    assert_eq!(page.attribute("[data-act]", "href"), None, "no button");
    for path in ["stop", "restart", "pause", "nap"] {
        assert_eq!(otto.post(&format!("/stacks/{media}/{path}"), &[]).await.status, 403, "{path}");
    }
    let target = format!("stack/{media}");
    for deed in ["stop", "nap", "restart"] {
        otto.post("/actions", &[("do", deed), ("t", &target), ("until", "")]).await;
        let told = otto.get("/").await.text(".flash");
        assert!(told.contains("media stays as it is: protected") && told.contains(UNSURE), "{deed}: {told}");
    }
    assert!(test.bench().sim.acts().is_empty(), "Docker was asked for nothing");
    let health = test.admin().await.get("/health").await;
    assert!(health.text("main").contains(UNSURE), "{}", health.text("main"));
}

/// What a container that shares nothing with this process would read of itself.
fn hints_of(real: &Real, name: &str) -> SelfHints {
    let read = |path: &str| real.docker(&["exec", &real.name(name), "/bin/busybox", "cat", path]);
    let hostname = real.docker(&["exec", &real.name(name), "/bin/busybox", "hostname"]);
    let marked =
        real.docker(&["exec", &real.name(name), "/bin/busybox", "ls", "-a", "/"]).contains(".dockerenv");
    SelfHints::parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"), Some(&hostname), marked)
}

async fn looked(real: &Real, hints: SelfHints, wanted: impl Fn(&Inventory) -> bool) -> Inventory {
    let settings = docknap::docker::Settings { hints, ..settings(&real.docker_host) };
    Watched::with(settings, Clock::system())
        .until("it knows", |seen| seen.is_connected() && wanted(seen))
        .await
}

fn protection(inventory: &Inventory, name: &str) -> Option<Protection> {
    inventory.by_name(name).unwrap_or_else(|| panic!("{name} is there")).protection.clone()
}

fn uses(what: &str) -> Protection {
    Protection::Parent(format!("DockNap uses its {what}"))
}

#[tokio::test]
async fn itself_is_found_in_another_containers_network_on_a_real_engine() {
    let real = Real::engine();
    let vpn = real.run("vpn", &[]);
    let shared = format!("container:{vpn}");
    for (name, options) in [
        ("private", vec!["--network", &shared, "--cgroupns", "private"]),
        ("host", vec!["--network", &shared, "--cgroupns", "host"]),
        ("machine", vec!["--network", "host", "--cgroupns", "private", "--hostname", "docknap"]),
        ("plain", vec!["--cgroupns", "private", "--hostname", "docknap"]),
        ("short", vec!["--cgroupns", "private"]),
    ] {
        let id = real.run(name, &options);
        let hints = hints_of(&real, name);
        assert!(hints.contained && hints.own.is_empty() == (name != "host"), "{name}: {hints:?}");
        let seen = looked(&real, hints, |_| true).await;
        assert_eq!(seen.itself, SelfDetection::Container(id), "{name}");
        assert_eq!(protection(&seen, &real.name(name)), Some(Protection::Itself), "{name}");
        let parent = options.contains(&shared.as_str()).then(|| uses("network"));
        assert_eq!(protection(&seen, &real.name("vpn")), parent, "{name}");
    }
}

/// What ends DockNap with itself, or keeps it from starting again, is as much a part of it as its network.
#[tokio::test]
async fn the_owner_of_its_namespaces_is_refused_like_itself_on_a_real_engine() {
    let real = Real::engine();
    let owner = real.run("owner", &["--ipc", "shareable"]);
    let data = real.run("data", &[]);
    let (pid, ipc) = (format!("container:{owner}"), format!("container:{}", real.name("owner")));
    let me = real.run("me", &["--pid", &pid, "--volumes-from", &data]);
    let seen = looked(&real, hints_of(&real, "me"), |_| true).await;
    assert_eq!(seen.itself, SelfDetection::Container(me));
    assert_eq!(protection(&seen, &real.name("owner")), Some(uses("PID namespace")));
    assert_eq!(protection(&seen, &real.name("data")), None, "its volumes stay when it stops");
    let other = real.run("other", &["--ipc", &ipc]);
    let seen = looked(&real, hints_of(&real, "other"), |_| true).await;
    assert_eq!(seen.itself, SelfDetection::Container(other));
    assert_eq!(protection(&seen, &real.name("owner")), Some(uses("IPC namespace")));
    // Docker ends what lives in a process namespace with its owner.
    real.docker(&["stop", "--time", "1", &owner]);
    let state = real.docker(&["inspect", "--format", "{{.State.Status}}", &real.name("me")]);
    assert_eq!(state.trim(), "exited");
}

#[tokio::test]
async fn without_proof_all_that_share_are_protected_on_a_real_engine() {
    let real = Real::engine();
    let vpn = real.run("vpn", &[]);
    let shared = format!("container:{vpn}");
    let me = real.run("me", &["--network", &shared, "--cgroupns", "private"]);
    let films = real.run("films", &["--network", &shared]);
    // As where Docker's storage names no directories.
    let hints = SelfHints { layers: Vec::new(), ..hints_of(&real, "me") };
    let watched = Watched::with(
        docknap::docker::Settings { hints: hints.clone(), ..settings(&real.docker_host) },
        Clock::system(),
    );
    let early = watched.host.inspect(&me).await.expect("an answer").expect("it is there");
    assert!(early.protection.is_some(), "also before the first list");
    let seen = watched.connected().await;
    assert_eq!(seen.itself, SelfDetection::OneOf([vpn.clone(), me.clone(), films].into()));
    for name in ["vpn", "me", "films"] {
        let said = protection(&seen, &real.name(name)).expect(name);
        assert!(matches!(said, Protection::MaybeItself(_)) && said.reason().contains(UNSURE), "{said:?}");
    }
    // The one that is named is made anew: those that used its network are still two.
    real.docker(&["rm", "-f", &vpn]);
    let seen = watched.until("gone", |seen| seen.by_name(&real.name("vpn")).is_none()).await;
    assert!(matches!(&seen.itself, SelfDetection::OneOf(ids) if ids.len() == 2), "{:?}", seen.itself);
}

#[tokio::test]
async fn a_word_in_its_log_tells_which_it_is_on_a_real_engine() {
    let real = Real::engine();
    let vpn = real.run("vpn", &[]);
    let shared = format!("container:{vpn}");
    let mark = uuid::Uuid::now_v7().simple().to_string();
    let say = format!("echo before; echo mark={mark} after; sleep 100000");
    let me = real.run_command("me", &["--network", &shared], &["sh", "-c", &say]);
    let hints = SelfHints { named: vec![vpn], contained: true, mark, ..SelfHints::default() };
    let seen = looked(&real, hints, |seen| matches!(seen.itself, SelfDetection::Container(_))).await;
    assert_eq!(seen.itself, SelfDetection::Container(me));
    assert_eq!(protection(&seen, &real.name("me")), Some(Protection::Itself));
    assert_eq!(protection(&seen, &real.name("vpn")), Some(uses("network")));
}
