//! One whole DockNap and the rest of the world on one thread and a frozen clock.
//!
//! DockNap and the simulated Engine have a runtime each, and take turns. Only the database works on threads of its own,
//! and is waited for before anybody goes on: on SQLite the same story happens in the same order every time.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use docknap::app::auth::password::Cost;
use docknap::app::{
    Activator, ActiveRuns, App, Auth, Bus, ExternalChanges, IdSource, Parts, Vitals, execute,
};
use docknap::clock::Clock;
use docknap::config::Config;
use docknap::db::Db;
use docknap::docker::self_detection::SelfHints;
use docknap::docker::{Endpoint, Host, Hosts, Settings};
use docknap::domain::ids::HostId;
use docknap::faults::{Fuse, Point};
use docknap::sim::{Control, World};
use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::db::TestDb;
use crate::support::sim::Simulated;

/// So many turns in a row nothing may move before all is quiet: more than the hops of one call over a socket.
const TURNS: u32 = 4;
/// More turns than anything takes that needs no time.
const HUNG: u32 = 2_000_000;
/// How long an orderly stop may take (rulings 15).
const LONGEST_STOP: Duration = Duration::from_secs(5);

/// The world, and the present life of DockNap in it.
pub struct Machine {
    /// The Engine and everybody else.
    pub sim: Control,
    /// Time.
    pub clock: Clock,
    life: Option<Life>,
    lives: u64,
    seed: u64,
    world: Runtime,
    _engine: Simulated,
    database: TestDb,
    sqlite: RefCell<SqliteThreads>,
    home: tempfile::TempDir,
}

/// One life of the process.
struct Life {
    app: App,
    fuse: Fuse,
    runtime: Runtime,
    stop: CancellationToken,
    tasks: TaskTracker,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Lets every task that can go on do so, a few hops far.
async fn turn() {
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}

impl Machine {
    /// A world that begins at `now`, and DockNap's first life in it.
    pub fn new(database: impl AsyncFnOnce() -> TestDb, now: Timestamp, world: World, seed: u64) -> Self {
        let clock = Clock::frozen(now);
        let runtime = runtime();
        let (database, engine) =
            runtime.block_on(async { (database().await, Simulated::start(clock.clone(), world).await) });
        let home = tempfile::tempdir().expect("a data directory");
        let sim = engine.control.clone();
        let mut machine = Self {
            sim,
            clock,
            life: None,
            lives: 0,
            seed,
            world: runtime,
            _engine: engine,
            database,
            sqlite: RefCell::default(),
            home,
        };
        machine.revive();
        machine
    }

    /// DockNap's services; `None` between two lives.
    pub fn app(&self) -> Option<&App> {
        self.life.as_ref().map(|life| &life.app)
    }

    /// Whether the present life passed its fatal point, and which that was.
    pub fn died_at(&self) -> Option<Point> {
        self.life.as_ref().and_then(|life| life.fuse.died_at())
    }

    /// Lets the present life end at the `nth` point from now on.
    pub fn light(&self, nth: u64) {
        if let Some(life) = &self.life {
            life.fuse.light(nth);
        }
    }

    /// Calls [`Machine::light`] off.
    pub fn put_out(&self) {
        if let Some(life) = &self.life {
            life.fuse.put_out();
        }
    }

    /// The database, for who only looks.
    pub fn look<T>(&self, read: impl AsyncFnOnce(&Db) -> T) -> T {
        self.world.block_on(read(&self.database.db))
    }

    /// Ends the present life as kill -9 does.
    pub fn kill(&mut self) {
        if let Some(life) = self.life.take() {
            life.runtime.shutdown_background();
        }
    }

    /// Ends the present life as SIGTERM does.
    pub fn terminate(&mut self) {
        let Some(life) = &self.life else { return };
        let (stop, tasks) = (life.stop.clone(), life.tasks.clone());
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

    /// Begins a new life.
    pub fn revive(&mut self) {
        self.kill();
        self.lives += 1;
        let runtime = runtime();
        let fuse = Fuse::default();
        fuse.carry();
        let ids = IdSource::seeded(self.seed.wrapping_mul(1_000_003) + self.lives);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let app = runtime.block_on(async {
            let db = self.database.another().await;
            let config = Config { data_dir: self.home.path().to_owned(), ..Config::default() };
            let auth = Auth::open(&db, &config, &self.clock, Cost::TINY).await.expect("the keys are made");
            let settings = Settings {
                endpoint: Endpoint::from_values(Some(&self.sim.docker_host()), None, None)
                    .expect("a unix socket"),
                protect: Vec::new(),
                database_host: None,
                hints: SelfHints::default(),
            };
            let host = Host::new(HostId::local(), settings, self.clock.clone());
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
                hosts: Hosts::new(host.clone()),
                active_runs: ActiveRuns::default(),
                answering: docknap::app::idempotency::AtWork::default(),
                external_changes: ExternalChanges::default(),
                auth,
                vitals: Vitals::new(self.clock.now()),
            });
            docknap::app::locks::restore(&app).await.expect("locks are read");
            docknap::app::traces::restore(&app).await.expect("what others did is read");
            docknap::app::order::restore(&app).await.expect("the order is read");
            tokio::spawn(host.watch(stop.clone()));
            tokio::spawn(docknap::app::notices::pass_on(app.clone(), stop.clone()));
            tokio::spawn(execute::runner::run(app.clone(), stop.clone(), tasks.clone()));
            app
        });
        self.life = Some(Life { app, fuse, runtime, stop, tasks });
        self.quiet();
    }

    /// Has the present life do something; `None` where it dies of it, or is dead.
    pub fn ask<T: Send + 'static, F>(&self, work: impl FnOnce(App) -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let life = self.life.as_ref()?;
        let asked = life.runtime.spawn(work(life.app.clone()));
        for turns in 0.. {
            assert!(turns < HUNG, "never answered\n{}", self.picture());
            self.turn();
            if asked.is_finished() {
                break;
            }
        }
        match life.runtime.block_on(asked) {
            Ok(answer) => Some(answer),
            Err(_) if life.fuse.died_at().is_some() => None,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Whether somebody woke the scheduler since this was last asked.
    pub fn is_woken(&self) -> bool {
        use futures_util::FutureExt as _;
        self.app().is_some_and(|app| app.scheduler.woken().now_or_never().is_some())
    }

    /// Lets everything happen that needs no time.
    pub fn quiet(&self) {
        let (mut seen, mut still) = (self.marks(), 0);
        for turns in 0.. {
            assert!(turns < HUNG, "never quiet\n{}", self.picture());
            self.turn();
            let marks = self.marks();
            still = if marks == seen && !self.database_works() { still + 1 } else { 0 };
            if still == TURNS {
                return;
            }
            seen = marks;
        }
    }

    /// What the containers are doing, a line each.
    pub fn picture(&self) -> String {
        let mut text = String::new();
        for seen in self.sim.containers() {
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
        if let Some(life) = &self.life {
            self.wait_for_database();
            life.runtime.block_on(turn());
        }
        self.world.block_on(turn());
    }

    /// What moves while something happens.
    fn marks(&self) -> impl PartialEq + use<> {
        let life = self.life.as_ref().map(|life| {
            let host = life.app.hosts.local();
            let generation = *host.changes().borrow();
            (generation, host.calls_made(), host.calls_in_flight(), life.runtime.metrics().num_alive_tasks())
        });
        let world = (self.sim.counts(), self.world.metrics().num_alive_tasks());
        (life, world, self.clock.next_sleeper())
    }

    /// Whether a connection of the present life is in use.
    fn database_works(&self) -> bool {
        let is_used = |size: u32, idle: usize| usize::try_from(size).is_ok_and(|size| size > idle);
        self.app().is_some_and(|app| match &app.db {
            Db::Sqlite { readers, writer } => {
                is_used(readers.size(), readers.num_idle()) || is_used(writer.size(), writer.num_idle())
            }
            Db::Pg(pool) => is_used(pool.size(), pool.num_idle()),
        })
    }

    /// Lets the database finish what it was asked, so that its answers come when it is looked at, not when they may.
    fn wait_for_database(&self) {
        if !self.database_works() {
            return;
        }
        match self.app().map(|app| &app.db) {
            Some(Db::Sqlite { readers, writer }) => {
                let connections = (self.lives, readers.size() + writer.size());
                while !self.sqlite.borrow_mut().sleep(connections) {
                    std::thread::yield_now();
                }
            }
            Some(Db::Pg(_)) => self.wait_for_server(),
            None => {}
        }
    }

    /// A server says by no sign here that it works: whoever waits for it goes on as soon as it answers.
    #[expect(
        clippy::disallowed_methods,
        reason = "virtual time stands still; this waits for another process"
    )]
    fn wait_for_server(&self) {
        if let Some(life) = &self.life {
            life.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The threads of SQLite, as the kernel shows them.
#[derive(Default)]
struct SqliteThreads {
    /// For which life and how many connections they were looked up.
    connections: (u64, u32),
    stats: Vec<std::fs::File>,
}

impl SqliteThreads {
    /// Whether every one of them waits for something to do.
    fn sleep(&mut self, connections: (u64, u32)) -> bool {
        if self.connections != connections {
            self.connections = connections;
            let threads = std::fs::read_dir("/proc/self/task").expect("Linux");
            let stats =
                threads.flatten().filter_map(|thread| std::fs::File::open(thread.path().join("stat")).ok());
            self.stats = stats
                .filter(|stat| state(stat).is_some_and(|(name, _)| name.contains("sqlx-sqlite")))
                .collect();
            if self.stats.len() < usize::try_from(connections.1).unwrap_or(usize::MAX) {
                // One is being started, and has no name yet.
                self.connections = (0, 0);
            }
        }
        self.stats.iter().all(|stat| state(stat).is_none_or(|(_, state)| state == 'S'))
    }
}

/// Name and state of a thread: `TID (NAME) STATE …`. One that has ended has none.
fn state(stat: &std::fs::File) -> Option<(String, char)> {
    let mut text = [0; 64];
    let length = stat.read_at(&mut text, 0).ok()?;
    let text = String::from_utf8_lossy(&text[..length]);
    let (name, rest) = text.split_once(") ")?;
    Some((name.to_owned(), rest.chars().next()?))
}
