//! The real program, killed at each commit and each call that changes a container: nothing is lost or doubled.
//!
//! Needs the feature `faults`, which compiles in the points at which it dies.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use docknap::clock::Clock;
use docknap::db;
use docknap::db::Db;
use docknap::db::engine::Durability;
use docknap::domain::action::Action;
use docknap::domain::host::{HostRecord, HostSource, HostSpec};
use docknap::domain::ids::{HostId, ScheduleId};
use docknap::domain::run::{Run, RunState, StepState};
use docknap::domain::schedule::{Schedule, ScheduleSpec, Source, When};
use docknap::domain::target::Target;
use docknap::sim::{Control, World};

use crate::support::sim::Simulated;
use crate::support::wait;

/// More points than a stop of three containers passes.
const MOST_POINTS: u64 = 80;
/// The longest life.
const LIFE: Duration = Duration::from_secs(60);

/// A stack of three. Graces are short: a stop that was cut off is waited for, for its grace and 5 s.
fn shop() -> World {
    World::new().stack("shop", |s| {
        s.service("db", |c| c.stop_timeout(1))
            .service("api", |c| c.stop_timeout(1).depends_on("db"))
            .service("web", |c| c.stop_timeout(1).depends_on("api"))
    })
}

/// The program, serving from `home`, dying at the `fatal`-th point.
fn serve(home: &Path, sim: &Control, fatal: u64) -> Child {
    Command::new(env!("CARGO_BIN_EXE_docknap"))
        .env_clear()
        .env("DOCKNAP_DATA_DIR", home)
        .env("DOCKNAP_LISTEN", "127.0.0.1:0")
        .env("DOCKER_HOST", sim.docker_host())
        .env("DOCKNAP_FAULT_AT", fatal.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

async fn open(home: &Path) -> Db {
    Db::open_sqlite(&home.join("docknap.db"), Durability::Full).await.expect("SQLite opens")
}

/// Stores a schedule that stops the stack of a host once, and is due now. `number` distinguishes two of them.
async fn store_due_schedule(home: &Path, now: jiff::Timestamp, host: &HostId, number: u8) -> ScheduleId {
    let store = open(home).await;
    let id = ScheduleId(format!("01990000-0000-7000-8000-00000000000{number}"));
    let target = Target::stack(host.clone(), "shop");
    let schedule = Schedule {
        id: id.clone(),
        spec: ScheduleSpec {
            name: "Night".to_owned(),
            ..ScheduleSpec::new(target, "shop", Action::Stop, When::Once(now))
        },
        source: Source::Ui,
        label: None,
        owner: None,
        owner_name: None,
        effective_from: now,
        next_due: Some(now),
        skip_at: None,
        rev: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let mut tx = store.begin().await.expect("begins");
    db::schedules::insert(&mut tx, &schedule).await.expect("stores");
    tx.commit().await.expect("commits");
    store.close().await;
    id
}

/// Stores a host at this address.
async fn store_host(home: &Path, now: jiff::Timestamp, id: &HostId, endpoint: String) {
    let store = open(home).await;
    let spec = HostSpec { name: "NAS".to_owned(), endpoint, ..HostSpec::default() };
    let host = HostRecord {
        id: id.clone(),
        spec,
        enabled: true,
        source: HostSource::Ui,
        rev: 1,
        created_at: now,
        updated_at: now,
    };
    let mut tx = store.begin().await.expect("begins");
    db::hosts::insert(&mut tx, &host).await.expect("stores");
    tx.commit().await.expect("commits");
    store.close().await;
}

async fn runs_of(store: &Db, schedule: &ScheduleId) -> Vec<Run> {
    let wanted = db::history::RunSelection { schedule: Some(schedule), ..Default::default() };
    db::history::list(store, wanted, None, 10).await.expect("reads")
}

/// Whether the run of a schedule has ended.
async fn is_over(store: &Db, schedule: &ScheduleId) -> bool {
    runs_of(store, schedule).await.first().is_some_and(|run| run.state.is_terminal())
}

/// Waits for the child to die by itself, or for `is_so`; answers whether it died.
async fn dies_before(child: &mut Child, is_so: impl AsyncFn() -> bool) -> bool {
    let mut died = false;
    let child = std::cell::RefCell::new(child);
    wait::until("the program dies or is done", LIFE, async || {
        child.borrow_mut().try_wait().expect("it is ours").is_some() || is_so().await
    })
    .await;
    if child.borrow_mut().try_wait().expect("it is ours").is_some() {
        died = true;
    }
    died
}

/// A life that dies at `fatal`, and after its death another one, until `ended`. Returns whether the first one died;
/// `at_death` is called then.
async fn live(
    home: &Path,
    sim: &Control,
    fatal: u64,
    ended: impl AsyncFn() -> bool,
    at_death: impl AsyncFnOnce(),
) -> bool {
    let mut life = serve(home, sim, fatal);
    let died = dies_before(&mut life, &ended).await;
    if died {
        at_death().await;
        life = serve(home, sim, 0);
        assert!(!dies_before(&mut life, &ended).await, "the second life dies at {fatal}");
    }
    life.kill().expect("it is ours");
    life.wait().expect("it ends");
    died
}

/// Fails the test if the program has no points at which it dies.
fn require_faults() {
    #[expect(clippy::manual_assert, reason = "the condition is known when it is compiled")]
    if !cfg!(feature = "faults") {
        panic!("run with --features faults, as scripts/test does");
    }
}

#[tokio::test]
async fn killed_at_every_commit_and_call_nothing_is_lost_or_doubled() {
    require_faults();
    let mut deaths = 0;
    for fatal in 1..=MOST_POINTS {
        let clock = Clock::system();
        let simulated = Simulated::start(clock.clone(), shop()).await;
        let sim = &simulated.control;
        let home = tempfile::tempdir().expect("a data directory");
        let schedule = store_due_schedule(home.path(), clock.now(), &HostId::local(), 1).await;

        let watch = open(home.path()).await;
        let is_over = async || is_over(&watch, &schedule).await;
        let died = live(home.path(), sim, fatal, is_over, async || ()).await;
        deaths += u64::from(died);
        let runs = runs_of(&watch, &schedule).await;
        assert_eq!(runs.len(), 1, "killed at {fatal}");
        assert_eq!(runs[0].state, RunState::Succeeded, "killed at {fatal}: {:#?}", runs[0]);
        let steps = db::steps::of_run(&watch, &runs[0].id).await.expect("reads");
        assert_eq!(steps.len(), 3);
        assert!(steps.iter().all(|step| step.state == StepState::Succeeded), "killed at {fatal}: {steps:#?}");
        assert!(sim.running("shop").is_empty(), "killed at {fatal}");
        assert!(sim.acts().len() <= 4, "killed at {fatal}: at most the call in flight is asked for again");
        watch.close().await;
        if !died {
            break;
        }
    }
    assert!((15..MOST_POINTS).contains(&deaths), "the program died at {deaths} points, and then at none");
}

#[tokio::test]
async fn killed_with_runs_on_two_hosts_each_is_taken_up_once() {
    require_faults();
    let pair =
        || World::new().stack("shop", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")));
    let nas = HostId::from("nas");
    let mut deaths = 0;
    // Deaths at which the run of each host had called Docker and not ended.
    let mut on_both = 0;
    let (mut fatal, mut died) = (1, true);
    while died {
        let clock = Clock::system();
        let [here, there] =
            [Simulated::start(clock.clone(), pair()).await, Simulated::start(clock.clone(), pair()).await];
        let home = tempfile::tempdir().expect("a data directory");
        let now = clock.now();
        store_host(home.path(), now, &nas, there.control.docker_host()).await;
        let schedules = [
            store_due_schedule(home.path(), now, &HostId::local(), 1).await,
            store_due_schedule(home.path(), now, &nas, 2).await,
        ];
        let watch = open(home.path()).await;
        let are_over = async || is_over(&watch, &schedules[0]).await && is_over(&watch, &schedules[1]).await;
        let mut is_under_way = false;
        died = live(home.path(), &here.control, fatal, are_over, async || {
            let open = async |schedule| {
                let runs = runs_of(&watch, schedule).await;
                runs.iter().any(|run| run.state == RunState::Executing)
            };
            let are_open = [open(&schedules[0]).await, open(&schedules[1]).await];
            is_under_way = are_open != [false, false];
            let are_called = [&here, &there].iter().all(|sim| !sim.control.acts().is_empty());
            on_both += u64::from(are_open == [true, true] && are_called);
        })
        .await;
        deaths += u64::from(died);
        for (schedule, sim) in schedules.iter().zip([&here.control, &there.control]) {
            let runs = runs_of(&watch, schedule).await;
            assert_eq!(runs.len(), 1, "killed at {fatal}");
            assert_eq!(runs[0].state, RunState::Succeeded, "killed at {fatal}: {:#?}", runs[0]);
            let steps = db::steps::of_run(&watch, &runs[0].id).await.expect("reads");
            assert_eq!(steps.len(), 2);
            assert!(
                steps.iter().all(|step| step.state == StepState::Succeeded),
                "killed at {fatal}: {steps:#?}"
            );
            assert!(sim.running("shop").is_empty(), "killed at {fatal}");
            let stopped: Vec<String> = sim.acts().into_iter().map(|(_, name, _)| name).collect();
            assert!(
                stopped.len() <= 3
                    && stopped[0] == "shop-web-1"
                    && stopped.last().expect("one") == "shop-db-1",
                "killed at {fatal}: at most the call in flight is asked for again: {stopped:?}"
            );
        }
        watch.close().await;
        // What comes before the runs is the same with one host. Each death takes seconds.
        fatal += if is_under_way { 3 } else { 5 };
        assert!(fatal < MOST_POINTS, "the program dies for ever");
    }
    assert!(on_both >= 3, "{on_both} of {deaths} deaths came while both were under way");
}
