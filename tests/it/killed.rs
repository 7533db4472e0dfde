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

fn shop() -> World {
    World::new().stack("shop", |s| {
        s.service("db", |c| c).service("api", |c| c.depends_on("db")).service("web", |c| c.depends_on("api"))
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

/// Stores a schedule that stops the stack once, and is due now.
async fn store_due_schedule(home: &Path, now: jiff::Timestamp) -> ScheduleId {
    let store = Db::open_sqlite(&home.join("docknap.db"), Durability::Full).await.expect("SQLite opens");
    let id = ScheduleId::from("01990000-0000-7000-8000-000000000001");
    let schedule = Schedule {
        id: id.clone(),
        spec: ScheduleSpec {
            name: "Night".to_owned(),
            ..ScheduleSpec::new(Target::stack(HostId::local(), "shop"), "shop", Action::Stop, When::Once(now))
        },
        source: Source::Ui,
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

async fn runs_of(store: &Db, schedule: &ScheduleId) -> Vec<Run> {
    let wanted = db::history::RunSelection { schedule: Some(schedule), ..Default::default() };
    db::history::list(store, wanted, None, 10).await.expect("reads")
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

#[tokio::test]
async fn killed_at_every_commit_and_call_nothing_is_lost_or_doubled() {
    #[expect(clippy::manual_assert, reason = "the condition is known when it is compiled")]
    if !cfg!(feature = "faults") {
        panic!("run with --features faults, as scripts/test does");
    }
    let mut deaths = 0;
    for fatal in 1..=MOST_POINTS {
        let clock = Clock::system();
        let simulated = Simulated::start(clock.clone(), shop()).await;
        let sim = &simulated.control;
        let home = tempfile::tempdir().expect("a data directory");
        let schedule = store_due_schedule(home.path(), clock.now()).await;

        let mut first = serve(home.path(), sim, fatal);
        let watch = Db::open_sqlite(&home.path().join("docknap.db"), Durability::Full).await.expect("opens");
        let ended = async || {
            let runs = runs_of(&watch, &schedule).await;
            runs.first().is_some_and(|run| run.state.is_terminal())
        };
        let died = dies_before(&mut first, &ended).await;
        if died {
            deaths += 1;
            let mut second = serve(home.path(), sim, 0);
            assert!(!dies_before(&mut second, &ended).await, "the second life dies at {fatal}");
            second.kill().expect("it is ours");
            second.wait().expect("it ends");
        } else {
            first.kill().expect("it is ours");
            first.wait().expect("it ends");
        }
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
