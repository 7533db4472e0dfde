//! A whole DockNap on a frozen clock, with a real database, the simulated Engine and the runner; a test moves time.
//!
//! Each DockNap instance has a runtime of its own, so that a test can kill it and start another on the same database.

use std::time::Duration;

use docknap::app::auth::password::Cost;
use docknap::app::execute::{self, Request, Submitted};
use docknap::app::{Activator, ActiveRuns, Actor, App, Auth, Bus, IdSource, Parts, Vitals};
use docknap::clock::Clock;
use docknap::config::{Config, Labels};
use docknap::db::{self, Db};
use docknap::docker::Hosts;
use docknap::docker::self_detection::SelfHints;
use docknap::domain::action::Action;
use docknap::domain::ids::{HostId, RunId};
use docknap::domain::run::{Run, RunState, Step, Trigger};
use docknap::domain::target::Target;
use docknap::scheduler::{self, Ticked};
use docknap::sim::{Control, World};
use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::db::TestDb;
use super::sim::Simulated;

/// Virtual time after which a wait fails as hung.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// Number of checks after which a wait fails as hung.
const MAX_CHECKS: u32 = 5_000;

/// A DockNap under test.
pub struct Bench {
    /// Services of the running instance.
    pub app: App,
    /// Control of the simulated Engine and its containers.
    pub sim: Control,
    /// The frozen clock.
    pub clock: Clock,
    /// Self-detection hints for the next instance that is started.
    pub hints: SelfHints,
    /// The use of labels by the next instance that is started.
    pub labels: Labels,
    instance: Option<Instance>,
    _simulated: Simulated,
    database: TestDb,
    home: tempfile::TempDir,
}

/// A running DockNap instance.
struct Instance {
    runtime: Runtime,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Bench {
    /// Starts DockNap at `now`, with an Engine that holds the containers of `world`.
    pub async fn new(now: &str, world: World) -> Self {
        Self::on(TestDb::sqlite().await, now, world).await
    }

    /// As [`Bench::new`], on a database of the caller's choice.
    pub async fn on(database: TestDb, now: &str, world: World) -> Self {
        let clock = Clock::frozen(now.parse().expect("an instant"));
        let simulated = Simulated::start(clock.clone(), world).await;
        let sim = simulated.control.clone();
        let home = tempfile::tempdir().expect("a data directory");
        let hints = SelfHints::default();
        let labels = Labels::On;
        let (app, instance) = start_instance(&database.db, &clock, &sim, home.path(), &hints, labels).await;
        let bench = Self {
            app,
            sim,
            clock,
            hints,
            labels,
            instance: Some(instance),
            _simulated: simulated,
            database,
            home,
        };
        bench.until_connected().await;
        bench
    }

    /// Ends the instance as `kill -9` does: tasks stop where they are and connections close.
    pub fn kill(&mut self) {
        if let Some(instance) = self.instance.take() {
            instance.runtime.shutdown_background();
        }
    }

    /// Starts a new instance after [`Bench::kill`] and waits until it is connected to the Engine.
    pub async fn revive(&mut self) {
        self.revive_unconnected().await;
        self.until_connected().await;
    }

    /// Starts a new instance after [`Bench::kill`] without waiting for the Engine.
    pub async fn revive_unconnected(&mut self) {
        self.database.reconnect();
        let home = self.home.path();
        let (app, instance) =
            start_instance(&self.database.db, &self.clock, &self.sim, home, &self.hints, self.labels).await;
        self.app = app;
        self.instance = Some(instance);
    }

    /// Stops the instance in an orderly way, as SIGTERM does.
    pub async fn terminate(&mut self) {
        if let Some(instance) = self.instance.take() {
            instance.stop.cancel();
            instance.tasks.close();
            while !instance.tasks.is_empty() {
                self.quiet().await;
                self.clock.advance(self.clock.next_sleeper().unwrap_or_default());
            }
            instance.runtime.shutdown_background();
        }
    }

    /// The stack `name` on the host `local`.
    pub fn stack(name: &str) -> Target {
        Target::stack(HostId::local(), name)
    }

    /// Submits an action as a user.
    pub async fn submit(&self, action: Action, target: Target) -> Submitted {
        let request = Request::now(action, target, Trigger::Manual);
        execute::submit(&self.app, &person(), request).await.expect("it is accepted")
    }

    /// Submits an action and waits until no run is open. Returns the run and its steps.
    pub async fn carry_out(&self, action: Action, target: Target) -> (Run, Vec<Step>) {
        let submitted = self.submit(action, target).await;
        self.settle().await;
        self.run(submitted.run_id()).await
    }

    /// Runs the scheduler's loop until the instance ends.
    pub fn keep_ticking(&self) {
        let instance = self.instance.as_ref().expect("it lives");
        instance.runtime.spawn(scheduler::run(self.app.clone(), instance.stop.clone()));
    }

    /// One pass of the scheduler.
    pub async fn tick(&self) -> Ticked {
        scheduler::tick(&self.app).await.expect("the pass succeeds")
    }

    /// A run with its steps.
    pub async fn run(&self, id: &RunId) -> (Run, Vec<Step>) {
        let run = db::runs::get(&self.app.db, id).await.expect("it reads").expect("it is there");
        (run, db::steps::of_run(&self.app.db, id).await.expect("they read"))
    }

    /// Advances time; each wait on the way ends at its own instant.
    pub async fn advance(&self, by: Duration) {
        let end = self.clock.monotonic() + by;
        loop {
            self.quiet().await;
            let left = end.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return;
            }
            self.clock.advance(self.clock.next_sleeper().map_or(left, |next| next.min(left)));
        }
    }

    /// Advances time to an instant; each wait on the way ends at its own instant.
    pub async fn advance_to(&self, instant: &str) {
        let instant: Timestamp = instant.parse().expect("an instant");
        let by = Duration::try_from(instant.duration_since(self.clock.now())).expect("an instant to come");
        self.advance(by).await;
    }

    /// Advances time to an instant in one jump, so that waits on the way end late. Only for periods in which nothing
    /// is due but the periodic container list, such as between two ticks without a run.
    pub async fn leap_to(&self, instant: Timestamp) {
        self.quiet().await;
        let by = Duration::try_from(instant.duration_since(self.clock.now())).expect("an instant to come");
        self.clock.advance(by);
        self.quiet().await;
    }

    /// Advances time until no run is open.
    pub async fn settle(&self) {
        self.until("no run is open", async || {
            for state in [RunState::Pending, RunState::Executing] {
                if !db::runs::in_state(&self.app.db, state).await.expect("it reads").is_empty() {
                    return false;
                }
            }
            self.app.active_runs.active() == 0
        })
        .await;
    }

    /// Advances time until `is_so` returns true.
    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let give_up = self.clock.monotonic() + PATIENCE;
        for check in 0.. {
            self.quiet().await;
            if is_so().await {
                return;
            }
            assert!(
                self.clock.monotonic() < give_up && check < MAX_CHECKS,
                "never: {what}\n{:#?}",
                self.sim.containers()
            );
            // If no task waits for time, real work is still in progress.
            self.clock.advance(self.clock.next_sleeper().unwrap_or_default());
        }
    }

    async fn until_connected(&self) {
        self.until("the Engine is connected", async || {
            self.app.hosts.first().expect("a host").inventory().is_connected()
        })
        .await;
    }

    /// Waits until nothing more happens without a change of time: every other thread sleeps, no statement is at a
    /// database server, and the state stays the same for several checks.
    #[expect(clippy::disallowed_methods, reason = "virtual time stands still; this waits for real threads")]
    pub async fn quiet(&self) {
        let look = || {
            let hosts = self.app.hosts.all().into_iter().map(|host| {
                let generation = *host.changes().borrow();
                (host.calls_in_flight(), host.calls_made(), generation)
            });
            (hosts.collect::<Vec<_>>(), self.sim.calls().len(), self.clock.next_sleeper())
        };
        let (mut seen, mut still) = (look(), 0);
        while still < 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let now = look();
            still = if now == seen && others_sleep() && !self.server_is_busy() { still + 1 } else { 0 };
            seen = now;
        }
    }

    /// Whether a connection to a database server is in use. A thread that waits for its response sleeps, but time
    /// must not move meanwhile.
    fn server_is_busy(&self) -> bool {
        match &self.app.db {
            Db::Pg(pool) => usize::try_from(pool.size()).is_ok_and(|size| size > pool.num_idle()),
            Db::Sqlite { .. } => false,
        }
    }
}

/// Whether every other thread of this process sleeps. A runnable thread that waits for a processor counts as awake,
/// so time does not run ahead of it on a busy machine.
fn others_sleep() -> bool {
    let own = std::fs::read_link("/proc/thread-self").expect("Linux");
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux");
    threads.flatten().filter(|thread| Some(thread.file_name().as_os_str()) != own.file_name()).all(|thread| {
        // The format is `TID (NAME) STATE …`; the file of a thread that has ended is missing.
        std::fs::read_to_string(thread.path().join("stat"))
            .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')))
    })
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An actor who may do everything.
pub fn person() -> Actor {
    Actor::cli()
}

async fn start_instance(
    db: &Db,
    clock: &Clock,
    sim: &Control,
    home: &std::path::Path,
    hints: &SelfHints,
    labels: Labels,
) -> (App, Instance) {
    let docker_host = sim.docker_host();
    let config = Config { data_dir: home.to_owned(), docker_host, labels, ..Config::default() };
    let auth = Auth::open(db, &config, clock, Cost::TINY).await.expect("the keys are made");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let app = App::new(Parts {
        db: db.clone(),
        clock: clock.clone(),
        config,
        ids: IdSource::random(),
        bus: Bus::default(),
        scheduler: Activator::default(),
        hosts: Hosts::new([]),
        hints: hints.clone(),
        active_runs: ActiveRuns::default(),
        answering: docknap::app::idempotency::AtWork::default(),
        external_changes: docknap::app::ExternalChanges::default(),
        upcoming: docknap::app::upcoming::Upcoming::default(),
        rulebook: docknap::app::rulebook::LastRead::default(),
        sleeps: Activator::default(),
        auth,
        vitals: Vitals::new(clock.now()),
    });
    docknap::app::hosts::sync(&app).await.expect("the hosts are read");
    let stop = CancellationToken::new();
    runtime.spawn(docknap::app::hosts::keep(app.clone(), stop.clone()));
    runtime.spawn(docknap::app::report::keep(app.clone()));
    let tasks = TaskTracker::new();
    runtime.spawn(execute::runner::run(app.clone(), stop.clone(), tasks.clone()));
    (app, Instance { runtime, stop, tasks })
}
