//! A whole DockNap on a frozen clock: real storage, the simulated Engine, the runner; a test moves time.
//!
//! Each life of the process has a runtime of its own, so that a test can end it the hard way and start another one on
//! the same database.

use std::time::Duration;

use docknap::app::auth::password::Cost;
use docknap::app::execute::{self, Request, Submitted};
use docknap::app::{Activator, ActiveRuns, Actor, App, Auth, Bus, IdSource, Parts, Vitals};
use docknap::clock::Clock;
use docknap::config::Config;
use docknap::db::{self, Db};
use docknap::docker::self_detection::SelfHints;
use docknap::docker::{Endpoint, Host, Hosts, Settings};
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

/// How much virtual time a test may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// How often a test may look before it counts as hung.
const LOOKS: u32 = 5_000;

/// A DockNap under test.
pub struct Bench {
    /// The services of the present life.
    pub app: App,
    /// The rest of the world.
    pub sim: Control,
    /// Time.
    pub clock: Clock,
    /// What DockNap can tell about the container it runs in, from its next life on.
    pub hints: SelfHints,
    life: Option<Life>,
    _simulated: Simulated,
    database: TestDb,
    home: tempfile::TempDir,
}

/// One life of the process.
struct Life {
    runtime: Runtime,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Bench {
    /// Starts at `now` with an Engine that holds `world`.
    pub async fn new(now: &str, world: World) -> Self {
        Self::on(TestDb::sqlite().await, now, world).await
    }

    /// The same on a database of the caller's choice.
    pub async fn on(database: TestDb, now: &str, world: World) -> Self {
        let clock = Clock::frozen(now.parse().expect("an instant"));
        let simulated = Simulated::start(clock.clone(), world).await;
        let sim = simulated.control.clone();
        let home = tempfile::tempdir().expect("a data directory");
        let hints = SelfHints::default();
        let (app, life) = live(&database.db, &clock, &sim, home.path(), &hints).await;
        let bench = Self { app, sim, clock, hints, life: Some(life), _simulated: simulated, database, home };
        bench.until_connected().await;
        bench
    }

    /// Ends the process as kill -9 does: tasks stop where they are, connections close.
    pub fn kill(&mut self) {
        if let Some(life) = self.life.take() {
            life.runtime.shutdown_background();
        }
    }

    /// Starts the process again after [`Bench::kill`], and waits until it knows the Engine.
    pub async fn revive(&mut self) {
        self.revive_unconnected().await;
        self.until_connected().await;
    }

    /// Starts the process again after [`Bench::kill`], whether there is an Engine or not.
    pub async fn revive_unconnected(&mut self) {
        self.database.reconnect();
        let (app, life) =
            live(&self.database.db, &self.clock, &self.sim, self.home.path(), &self.hints).await;
        self.app = app;
        self.life = Some(life);
    }

    /// Ends the process in an orderly way, as SIGTERM does.
    pub async fn terminate(&mut self) {
        if let Some(life) = self.life.take() {
            life.stop.cancel();
            life.tasks.close();
            while !life.tasks.is_empty() {
                self.quiet().await;
                self.clock.advance(self.clock.next_sleeper().unwrap_or_default());
            }
            life.runtime.shutdown_background();
        }
    }

    /// Stack `name` on the one host.
    pub fn stack(name: &str) -> Target {
        Target::stack(HostId::local(), name)
    }

    /// Asks for something as a person would.
    pub async fn submit(&self, action: Action, target: Target) -> Submitted {
        let request = Request::now(action, target, Trigger::Manual);
        execute::submit(&self.app, &person(), request).await.expect("it is accepted")
    }

    /// Asks for something and waits for its end.
    pub async fn carry_out(&self, action: Action, target: Target) -> (Run, Vec<Step>) {
        let submitted = self.submit(action, target).await;
        self.settle().await;
        self.run(submitted.run_id()).await
    }

    /// Lets the scheduler's own loop run, to the end of this life.
    pub fn keep_ticking(&self) {
        let life = self.life.as_ref().expect("it lives");
        life.runtime.spawn(scheduler::run(self.app.clone(), life.stop.clone()));
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

    /// Moves time on, waking who sleeps on the way, each at its own instant.
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

    /// Moves time to an instant, waking who sleeps on the way.
    pub async fn advance_to(&self, instant: &str) {
        let instant: Timestamp = instant.parse().expect("an instant");
        let by = Duration::try_from(instant.duration_since(self.clock.now())).expect("an instant to come");
        self.advance(by).await;
    }

    /// Moves time to an instant in one go: who sleeps on the way wakes at its end, late. Only for times of which
    /// nothing but the usual look at the Engine is due, such as between two ticks with no run under way.
    pub async fn leap_to(&self, instant: Timestamp) {
        self.quiet().await;
        let by = Duration::try_from(instant.duration_since(self.clock.now())).expect("an instant to come");
        self.clock.advance(by);
        self.quiet().await;
    }

    /// Moves time until no run is open.
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

    /// Moves time until `is_so`.
    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let give_up = self.clock.monotonic() + PATIENCE;
        for look in 0.. {
            self.quiet().await;
            if is_so().await {
                return;
            }
            assert!(
                self.clock.monotonic() < give_up && look < LOOKS,
                "never: {what}\n{:#?}",
                self.sim.containers()
            );
            // Where nobody waits for time, something real is still under way.
            self.clock.advance(self.clock.next_sleeper().unwrap_or_default());
        }
    }

    async fn until_connected(&self) {
        self.until("the Engine is connected", async || self.app.hosts.local().inventory().is_connected())
            .await;
    }

    /// Lets everything happen that needs no time: waits until every other thread sleeps, no statement is with a
    /// database server, and nothing moved meanwhile.
    #[expect(clippy::disallowed_methods, reason = "virtual time stands still; this waits for real threads")]
    pub async fn quiet(&self) {
        let look = || {
            let host = self.app.hosts.local();
            let generation = *host.changes().borrow();
            (host.calls_in_flight(), self.sim.calls().len(), generation, self.clock.next_sleeper())
        };
        let (mut seen, mut still) = (look(), 0);
        while still < 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let now = look();
            still = if now == seen && others_sleep() && !self.asks_a_server() { still + 1 } else { 0 };
            seen = now;
        }
    }

    /// Whether a connection to a database server is in use: what waits for its answer sleeps, and time must not run
    /// ahead of it.
    fn asks_a_server(&self) -> bool {
        match &self.app.db {
            Db::Pg(pool) => usize::try_from(pool.size()).is_ok_and(|size| size > pool.num_idle()),
            Db::Sqlite { .. } => false,
        }
    }
}

/// Whether every other thread of this process sleeps. One that has work but no processor yet counts as awake, so a
/// machine under load does not make time run ahead of it.
fn others_sleep() -> bool {
    let own = std::fs::read_link("/proc/thread-self").expect("Linux");
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux");
    threads.flatten().filter(|thread| Some(thread.file_name().as_os_str()) != own.file_name()).all(|thread| {
        // `TID (NAME) STATE …`; a thread that ended meanwhile has none.
        std::fs::read_to_string(thread.path().join("stat"))
            .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')))
    })
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Somebody who may do everything.
pub fn person() -> Actor {
    Actor::cli()
}

async fn live(
    db: &Db,
    clock: &Clock,
    sim: &Control,
    home: &std::path::Path,
    hints: &SelfHints,
) -> (App, Life) {
    let config = Config { data_dir: home.to_owned(), ..Config::default() };
    let auth = Auth::open(db, &config, clock, Cost::TINY).await.expect("the keys are made");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let settings = Settings {
        endpoint: Endpoint::from_values(Some(&sim.docker_host()), None, None).expect("a unix socket"),
        protect: Vec::new(),
        database_host: None,
        hints: hints.clone(),
    };
    let host = Host::new(HostId::local(), settings, clock.clone());
    let app = App::new(Parts {
        db: db.clone(),
        clock: clock.clone(),
        config,
        ids: IdSource::random(),
        bus: Bus::default(),
        scheduler: Activator::default(),
        hosts: Hosts::new(host.clone()),
        active_runs: ActiveRuns::default(),
        answering: docknap::app::idempotency::AtWork::default(),
        external_changes: docknap::app::ExternalChanges::default(),
        upcoming: docknap::app::upcoming::Upcoming::default(),
        rulebook: docknap::app::rulebook::LastRead::default(),
        sleeps: Activator::default(),
        auth,
        vitals: Vitals::new(clock.now()),
    });
    docknap::app::locks::restore(&app).await.expect("locks are read");
    docknap::app::traces::restore(&app).await.expect("what others did is read");
    docknap::app::order::restore(&app).await.expect("the order is read");
    let stop = CancellationToken::new();
    runtime.spawn(host.watch(stop.clone()));
    runtime.spawn(docknap::app::notices::pass_on(app.clone(), stop.clone()));
    let tasks = TaskTracker::new();
    runtime.spawn(execute::runner::run(app.clone(), stop.clone(), tasks.clone()));
    (app, Life { runtime, stop, tasks })
}
