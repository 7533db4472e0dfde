//! One DockNap instance and the simulated Engine on one thread and a frozen clock.
//!
//! DockNap and the Engine have a runtime each, which run in turns. Only the database and long computations (the
//! expansion of calendars, the search for conflicts) use threads of their own. Each turn waits for those, so that on
//! SQLite the same seed always gives the same order of events, and time never moves while one of them is at work.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::fs::FileExt as _;
use std::task::Poll;
use std::time::Duration;

use docknap::app::auth::password::Cost;
use docknap::app::{
    Activator, ActiveRuns, App, Auth, Bus, ExternalChanges, IdSource, Parts, Vitals, execute,
};
use docknap::clock::Clock;
use docknap::config::Config;
use docknap::db::{self, Db};
use docknap::docker::Hosts;
use docknap::docker::self_detection::SelfHints;
use docknap::domain::host::HostRecord;
use docknap::domain::ids::HostId;
use docknap::faults::{Fuse, Point};
use docknap::sim::{Control, Endpoint, World};
use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::chance::{NAS, NAS_CONTAINERS};
use crate::support::db::TestDb;
use crate::support::sim::Simulated;

/// Number of turns in a row without a change after which nothing more will happen: more than one call over a socket
/// needs.
const QUIET_TURNS: u32 = 4;
/// Number of rounds without a ready task that end a turn: after the first, the runtime looks for what arrived on its
/// sockets.
const EMPTY_ROUNDS: u32 = 2;
/// Number of turns after which a wait fails as hung.
const MAX_TURNS: u32 = 2_000_000;
/// Longest duration of an orderly stop (rulings 15).
const LONGEST_STOP: Duration = Duration::from_secs(5);

/// The simulated Engines and the running DockNap instance.
pub struct Machine {
    /// Control of the simulated Engine of the host `local` and its containers.
    pub sim: Control,
    /// The same of the host `nas`, which comes and goes.
    pub nas: Control,
    /// The frozen clock.
    pub clock: Clock,
    instance: Option<Instance>,
    instance_count: u64,
    seed: u64,
    world: Runtime,
    _engines: [Simulated; 2],
    database: TestDb,
    sqlite: RefCell<SqliteThreads>,
    home: tempfile::TempDir,
}

/// A running DockNap instance.
struct Instance {
    app: App,
    fuse: Fuse,
    runtime: Runtime,
    /// The state file of the only thread on which `spawn_blocking` runs.
    computing: std::fs::File,
    stop: CancellationToken,
    tasks: TaskTracker,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A runtime that looks at [`Machine::settled_turn`] after each poll of a task, and polls first what another thread has
/// woken. It has a single thread for `spawn_blocking`, which exists from the start; the second value is the state file
/// of that thread, since the runtime does not tell whether such work is under way.
fn runtime_of_instance() -> (Runtime, std::fs::File) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(1)
        .global_queue_interval(1)
        .max_blocking_threads(1)
        .thread_keep_alive(Duration::from_secs(24 * 3600))
        .build()
        .expect("a runtime");
    let own = runtime.block_on(async {
        tokio::task::spawn_blocking(|| std::fs::File::open("/proc/thread-self/stat")).await
    });
    (runtime, own.expect("it runs").expect("Linux"))
}

/// Lets every ready task run, for a few polls each.
async fn turn() {
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}

impl Machine {
    /// Starts the Engines at `now` and the first DockNap instance. `worlds` are those of `local` and `nas`.
    pub fn new(
        database: impl AsyncFnOnce() -> TestDb,
        now: Timestamp,
        worlds: [World; 2],
        seed: u64,
    ) -> Self {
        let clock = Clock::frozen(now);
        let runtime = runtime();
        let [world, nas] = worlds;
        let (database, engines) = runtime.block_on(async {
            let engines =
                [Simulated::start(clock.clone(), world).await, Simulated::start(clock.clone(), nas).await];
            (database().await, engines)
        });
        let home = tempfile::tempdir().expect("a data directory");
        let [sim, nas] = engines.each_ref().map(|engine| engine.control.clone());
        let mut machine = Self {
            sim,
            nas,
            clock,
            instance: None,
            instance_count: 0,
            seed,
            world: runtime,
            _engines: engines,
            database,
            sqlite: RefCell::new(SqliteThreads::of_this_thread()),
            home,
        };
        machine.revive();
        machine
    }

    /// DockNap's services; `None` while it is not running.
    pub fn app(&self) -> Option<&App> {
        self.instance.as_ref().map(|instance| &instance.app)
    }

    /// The Engine on which a container is.
    pub fn engine_of(&self, container: &str) -> &Control {
        if NAS_CONTAINERS.contains(&container) { &self.nas } else { &self.sim }
    }

    /// The calls that changed a container, of both Engines.
    pub fn acts(&self) -> Vec<(Endpoint, String, Timestamp)> {
        [self.sim.acts(), self.nas.acts()].concat()
    }

    /// The host `nas`, if it is stored.
    pub fn stored_nas(&self) -> Option<HostRecord> {
        self.read_db(async |db| db::hosts::get(db, &HostId::from(NAS)).await.expect("it reads"))
    }

    /// The fault point at which the instance died, if it did.
    pub fn died_at(&self) -> Option<Point> {
        self.instance.as_ref().and_then(|instance| instance.fuse.died_at())
    }

    /// Makes the instance die at the `nth` fault point from now on.
    pub fn arm(&self, nth: u64) {
        if let Some(instance) = &self.instance {
            instance.fuse.arm(nth);
        }
    }

    /// Cancels [`Machine::arm`].
    pub fn disarm(&self) {
        if let Some(instance) = &self.instance {
            instance.fuse.disarm();
        }
    }

    /// Reads from the database directly, without DockNap.
    pub fn read_db<T>(&self, read: impl AsyncFnOnce(&Db) -> T) -> T {
        self.world.block_on(read(&self.database.db))
    }

    /// Ends the instance as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(instance) = self.instance.take() {
            instance.runtime.shutdown_background();
        }
    }

    /// Stops the instance as SIGTERM does.
    pub fn terminate(&mut self) {
        let Some(instance) = &self.instance else { return };
        let (stop, tasks) = (instance.stop.clone(), instance.tasks.clone());
        stop.cancel();
        tasks.close();
        let end = self.clock.monotonic() + LONGEST_STOP;
        loop {
            self.quiet();
            let left = end.saturating_sub(self.clock.monotonic());
            if tasks.is_empty() || left.is_zero() {
                break;
            }
            self.clock.advance(self.clock.next_sleeper().map_or(left, |next| next.min(left)));
        }
        self.kill();
    }

    /// Starts a new instance.
    pub fn revive(&mut self) {
        self.kill();
        self.instance_count += 1;
        let (runtime, computing) = runtime_of_instance();
        let fuse = Fuse::default();
        fuse.attach_to_thread();
        let ids = IdSource::seeded(self.seed.wrapping_mul(1_000_003) + self.instance_count);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let app = runtime.block_on(async {
            let db = self.database.another().await;
            let (data_dir, docker_host) = (self.home.path().to_owned(), self.sim.docker_host());
            let config = Config { data_dir, docker_host, ..Config::default() };
            let auth = Auth::open(&db, &config, &self.clock, Cost::TINY).await.expect("the keys are made");
            let app = App::new(Parts {
                upcoming: docknap::app::upcoming::Upcoming::default(),
                rulebook: docknap::app::rulebook::LastRead::default(),
                sleeps: Activator::default(),
                db,
                clock: self.clock.clone(),
                config,
                ids,
                bus: Bus::default(),
                scheduler: Activator::default(),
                hosts: Hosts::new([]),
                hints: SelfHints::default(),
                active_runs: ActiveRuns::default(),
                answering: docknap::app::idempotency::AtWork::default(),
                external_changes: ExternalChanges::default(),
                auth,
                vitals: Vitals::new(self.clock.now()),
            });
            docknap::app::hosts::sync(&app).await.expect("the hosts are read");
            tokio::spawn(docknap::app::hosts::keep(app.clone(), stop.clone()));
            tokio::spawn(docknap::app::report::keep(app.clone()));
            tokio::spawn(execute::runner::run(app.clone(), stop.clone(), tasks.clone()));
            app
        });
        self.instance = Some(Instance { app, fuse, runtime, computing, stop, tasks });
        self.quiet();
    }

    /// Runs `work` on the instance; `None` if it is not running or dies meanwhile.
    pub fn call<T: Send + 'static, F>(&self, work: impl FnOnce(App) -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let instance = self.instance.as_ref()?;
        let task = instance.runtime.spawn(work(instance.app.clone()));
        for turns in 0.. {
            assert!(turns < MAX_TURNS, "never answered\n{}", self.container_table());
            self.turn();
            if task.is_finished() {
                break;
            }
        }
        match instance.runtime.block_on(task) {
            Ok(answer) => Some(answer),
            Err(_) if instance.fuse.died_at().is_some() => None,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Whether the scheduler was woken since the last call of this function.
    pub fn is_woken(&self) -> bool {
        use futures_util::FutureExt as _;
        self.app().is_some_and(|app| app.scheduler.woken().now_or_never().is_some())
    }

    /// Runs turns until nothing more happens without a change of time.
    pub fn quiet(&self) {
        let (mut seen, mut still) = (self.progress(), 0);
        for turns in 0.. {
            assert!(turns < MAX_TURNS, "never quiet\n{}", self.container_table());
            self.turn();
            let now = self.progress();
            let is_still = now == seen && !self.database_is_busy() && !self.is_computing();
            still = if is_still { still + 1 } else { 0 };
            if still == QUIET_TURNS {
                return;
            }
            seen = now;
        }
    }

    /// The state of all containers, one line each.
    pub fn container_table(&self) -> String {
        let mut text = String::new();
        for seen in self.sim.containers().into_iter().chain(self.nas.containers()) {
            let _ = writeln!(
                text,
                "  {:<22} {:<10} exit {:<4} health {:<10} started {:?} finished {:?}",
                seen.name,
                seen.state,
                seen.exit_code,
                seen.health.as_deref().unwrap_or("-"),
                seen.started,
                seen.finished
            );
        }
        text
    }

    fn turn(&self) {
        if let Some(instance) = &self.instance {
            if matches!(instance.app.db, Db::Pg(_)) && self.database_is_busy() {
                self.wait_for_server();
            }
            instance.runtime.block_on(self.settled_turn());
        }
        self.world.block_on(turn());
    }

    /// Values that change while work is in progress.
    fn progress(&self) -> impl PartialEq + use<> {
        let instance = self.instance.as_ref().map(|instance| {
            let hosts = instance.app.hosts.all().into_iter().map(|host| {
                let generation = *host.changes().borrow();
                (generation, host.calls_made(), host.calls_in_flight())
            });
            (hosts.collect::<Vec<_>>(), instance.runtime.metrics().num_alive_tasks())
        });
        let world = (self.sim.counts(), self.nas.counts(), self.world.metrics().num_alive_tasks());
        (instance, world, self.clock.next_sleeper())
    }

    /// Whether a database connection of the instance is in use.
    fn database_is_busy(&self) -> bool {
        let is_used = |size: u32, idle: usize| usize::try_from(size).is_ok_and(|size| size > idle);
        self.app().is_some_and(|app| match &app.db {
            Db::Sqlite { readers, writer } => {
                is_used(readers.size(), readers.num_idle()) || is_used(writer.size(), writer.num_idle())
            }
            Db::Pg(pool) => is_used(pool.size(), pool.num_idle()),
        })
    }

    /// Whether a computation of the instance runs on its thread for that.
    fn is_computing(&self) -> bool {
        self.instance.as_ref().is_some_and(|instance| !is_asleep(&instance.computing))
    }

    /// Lets every task of the instance run until none is ready, one poll at a time. Whatever a poll has asked another
    /// thread for is done before the next poll, so it makes no difference how fast the machine runs its threads.
    async fn settled_turn(&self) {
        let (mut marker, mut polls, mut empty_rounds) = (None, 1, 0);
        std::future::poll_fn(|context| {
            self.wait_for_threads();
            // A marker at the end of the queue: if it is the first to run, no other task was ready.
            polls += 1;
            if marker.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
                empty_rounds = if polls == 1 { empty_rounds + 1 } else { 0 };
                if empty_rounds == EMPTY_ROUNDS {
                    return Poll::Ready(());
                }
                marker = Some(tokio::spawn(std::future::ready(())));
                polls = 0;
            }
            // The runtime polls one task and then this function again.
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Waits until the threads of SQLite and that of long computations have finished their work.
    fn wait_for_threads(&self) {
        while self.is_computing() {
            std::thread::yield_now();
        }
        if let Some(Db::Sqlite { readers, writer }) = self.app().map(|app| &app.db)
            && self.database_is_busy()
        {
            let connections = (self.instance_count, readers.size() + writer.size());
            while !self.sqlite.borrow_mut().are_idle(connections) {
                std::thread::yield_now();
            }
        }
    }

    /// Waits a little: unlike SQLite's threads, a server gives no sign here that it has finished.
    #[expect(
        clippy::disallowed_methods,
        reason = "virtual time stands still; this waits for another process"
    )]
    fn wait_for_server(&self) {
        if let Some(instance) = &self.instance {
            instance.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The state files of SQLite's threads in /proc.
struct SqliteThreads {
    /// Name and id of the thread that makes the others. No other thread has this name.
    maker: String,
    maker_id: OsString,
    /// Instance number and number of connections for which the threads were looked up.
    connections: (u64, u32),
    stats: Vec<std::fs::File>,
}

impl SqliteThreads {
    /// For the threads that the calling thread makes.
    fn of_this_thread() -> Self {
        let own = std::fs::read_link("/proc/thread-self").expect("Linux");
        let maker_id = own.file_name().expect("the thread's id").to_owned();
        let maker = format!("month-{}", maker_id.display());
        std::fs::write("/proc/thread-self/comm", &maker).expect("a thread may name itself");
        Self { maker, maker_id, connections: (0, 0), stats: Vec::new() }
    }

    /// Whether all threads wait for work.
    fn are_idle(&mut self, connections: (u64, u32)) -> bool {
        if self.connections != connections {
            let mut stats = Vec::new();
            for thread in std::fs::read_dir("/proc/self/task").expect("Linux").flatten() {
                let Ok(stat) = std::fs::File::open(thread.path().join("stat")) else { continue };
                let Some((name, _)) = state(&stat) else { continue };
                if name == self.maker && *thread.file_name() != *self.maker_id {
                    // A thread that is just starting bears the name of the thread that made it.
                    return false;
                }
                if name.contains("sqlx-sqlite") {
                    stats.push(stat);
                }
            }
            (self.connections, self.stats) = (connections, stats);
        }
        self.stats.iter().all(is_asleep)
    }
}

/// Whether a thread waits for work, or has ended.
fn is_asleep(stat: &std::fs::File) -> bool {
    state(stat).is_none_or(|(_, state)| state == 'S')
}

/// Name and state of a thread, from `TID (NAME) STATE …`; `None` if the thread has ended.
fn state(stat: &std::fs::File) -> Option<(String, char)> {
    let mut text = [0; 64];
    let length = stat.read_at(&mut text, 0).ok()?;
    let text = String::from_utf8_lossy(&text[..length]);
    let (begin, rest) = text.split_once(") ")?;
    let (_, name) = begin.split_once('(')?;
    Some((name.to_owned(), rest.chars().next()?))
}
