//! Drives the simulation of a month: time moves to the next event and never past an instant at which something is
//! due.

use std::collections::BTreeMap;
use std::time::Duration;

use docknap::app::App;
use docknap::db;
use docknap::domain::ids::HostId;
use docknap::domain::run::{Run, RunState};
use docknap::faults::Point;
use docknap::scheduler;
use jiff::Timestamp;

use super::chance::{self, Dice, NAS};
use super::eras::Eras;
use super::judge::{self, Judge};
use super::machine::Machine;
use crate::support::db::TestDb;

/// Length of a month in days.
pub const DAYS: u64 = 30;
/// After an event, time moves from wait to wait for this long, so that each consequence happens at its own instant.
const FINE_STEPS: Duration = Duration::from_secs(45);
/// Time after which an open run counts as hung.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// Counts of a month, summed over seeds.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Random events by kind.
    pub deeds: BTreeMap<&'static str, u64>,
    /// Fault points at which DockNap died.
    pub crashes: BTreeMap<Point, u64>,
    /// Number of stored runs.
    pub runs: u64,
    /// Number of calls that changed a container.
    pub acts: u64,
    /// Number of checks of the states of all containers.
    pub looks: u64,
    /// Number of fires of cron and one-off schedules that were checked.
    pub fires: u64,
}

/// The simulation of one seed's month.
pub struct Story {
    pub machine: Machine,
    pub dice: Dice,
    pub judge: Judge,
    pub eras: Eras,
    pub tally: Tally,
    /// The end of the month.
    pub end: Timestamp,
    /// Log of events, one line each.
    pub log: Vec<String>,
    /// Violations of the invariants.
    pub faults: Vec<String>,
    next_due: Option<Timestamp>,
    fine_steps_until: Duration,
    /// Instant at which a daemon that is down starts again.
    pub daemon_up_at: Option<Timestamp>,
    /// The same for the one of the host `nas`.
    pub nas_up_at: Option<Timestamp>,
    /// Instant at which DockNap starts again, if it is not running.
    pub revive_at: Option<Timestamp>,
}

impl Story {
    /// Starts the month of a seed.
    pub fn new(seed: u64, database: impl AsyncFnOnce() -> TestDb) -> Self {
        let mut dice = Dice::new(seed);
        let now: Timestamp = dice.choose(&chance::STARTS).parse().expect("an instant");
        let world = chance::world(&mut dice);
        let nas = chance::nas_world(&mut dice);
        let machine = Machine::new(database, now, [world, nas], seed);
        let judge = Judge::new(&machine);
        Self {
            machine,
            dice,
            judge,
            eras: Eras::default(),
            tally: Tally::default(),
            end: now + Duration::from_secs(DAYS * 24 * 3600),
            log: Vec::new(),
            faults: Vec::new(),
            next_due: None,
            fine_steps_until: Duration::ZERO,
            daemon_up_at: None,
            nas_up_at: None,
            revive_at: None,
        }
    }

    /// Adds a line to the log.
    pub fn log_line(&mut self, line: impl Into<String>) {
        self.log.push(format!("{} {}", self.machine.clock.now().strftime("%m-%d %H:%M:%S"), line.into()));
    }

    /// Runs a request on DockNap and logs it; `None` if DockNap refuses it or dies meanwhile.
    pub fn request<T, F>(&mut self, what: String, work: impl FnOnce(App) -> F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = docknap::app::Result<T>> + Send + 'static,
    {
        match self.machine.call(work) {
            Some(Ok(answer)) => {
                self.log_line(what);
                Some(answer)
            }
            Some(Err(
                error @ (docknap::app::Error::Internal(_) | docknap::app::Error::Unavailable { .. }),
            )) => {
                self.faults.push(format!("{what}: {error}"));
                None
            }
            Some(Err(error)) => {
                self.log_line(format!("{what}: refused: {error}"));
                None
            }
            None => {
                self.log_line(format!("{what}: died of it"));
                None
            }
        }
    }

    /// Records that an event happened, so that its consequences happen at their own instants.
    pub fn step_finely(&mut self) {
        self.fine_steps_until = self.machine.clock.monotonic() + FINE_STEPS;
    }

    /// Moves time to `end`.
    pub fn run_until(&mut self, end: Timestamp) {
        let mut open_since = None;
        loop {
            self.machine.quiet();
            self.end_dead_instance();
            let now = self.machine.clock.now();
            if self.daemon_up_at.is_some_and(|at| at <= now) {
                self.daemon_up();
                continue;
            }
            if self.nas_up_at.is_some_and(|at| at <= now) {
                self.nas_up();
                continue;
            }
            if self.revive_at.is_some_and(|at| at <= now) {
                self.revive();
                continue;
            }
            let is_running = self.machine.app().is_some();
            if is_running && (self.machine.is_woken() || self.next_due.is_some_and(|due| due <= now)) {
                self.tick();
                continue;
            }
            if now >= end || !self.faults.is_empty() {
                return;
            }
            let due = self.next_due.filter(|_| is_running);
            let instants = [Some(end), self.daemon_up_at, self.nas_up_at, self.revive_at, due];
            let next = instants.into_iter().flatten().min().unwrap_or(end);
            let left = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            let monotonic = self.machine.clock.monotonic();
            let is_open = is_running && self.is_open();
            let since = *open_since.get_or_insert(monotonic);
            if !is_open {
                open_since = None;
            }
            if is_open || monotonic < self.fine_steps_until {
                if monotonic.saturating_sub(since) > PATIENCE {
                    self.faults.push("a run is open for two hours".to_owned());
                    return;
                }
                let step = self.machine.clock.next_sleeper().map_or(left, |sleeper| sleeper.min(left));
                self.machine.clock.advance(step);
                continue;
            }
            if is_running && self.daemon_up_at.is_none() {
                self.judge_now();
            }
            self.machine.clock.advance(left);
            // Waits that ended on the way end late; nothing is in progress.
        }
    }

    fn tick(&mut self) {
        let ticked = self.machine.call(async move |app: App| scheduler::tick(&app).await);
        let Some(ticked) = ticked else { return };
        match ticked {
            Ok(ticked) => {
                let now = self.machine.clock.now();
                if ticked.next_due.is_some_and(|due| due <= now) && ticked.claimed == 0 {
                    self.faults
                        .push(format!("I7: what is due next, {:?}, is not after {now}", ticked.next_due));
                }
                self.next_due = ticked.next_due;
            }
            Err(error) => self.faults.push(format!("the scheduler: {error}")),
        }
    }

    /// Whether a run is pending or executing.
    pub fn is_open(&self) -> bool {
        let Some(app) = self.machine.app() else { return false };
        if app.active_runs.active() > 0 {
            return true;
        }
        // Executing runs are in `active_runs`; pending ones are only in the database.
        self.machine.read_db(async |db| {
            !db::runs::in_state(db, RunState::Pending).await.expect("they read").is_empty()
        })
    }

    /// Ends an instance that reached its fatal point; another is started later.
    fn end_dead_instance(&mut self) {
        let Some(point) = self.machine.died_at() else { return };
        *self.tally.crashes.entry(point).or_default() += 1;
        self.machine.kill();
        let down = match self.dice.roll(4) {
            0 => 1 + self.dice.roll(20),
            1 | 2 => 20 + self.dice.roll(600),
            _ => 600 + self.dice.roll(12 * 3600),
        };
        self.log_line(format!("DockNap died: {point:?}; begins again in {down} s"));
        self.went_down(down);
    }

    /// Records that DockNap went down and is started again after `seconds`.
    pub fn went_down(&mut self, seconds: u64) {
        let now = self.machine.clock.now();
        self.judge.down_from(now);
        self.next_due = None;
        self.revive_at = Some(now + Duration::from_secs(seconds));
        self.step_finely();
    }

    fn revive(&mut self) {
        self.revive_at = None;
        self.machine.revive();
        self.judge.up_at(self.machine.clock.now());
        self.log_line("DockNap begins again");
        self.eras.update(&self.machine);
        self.step_finely();
        self.tick();
    }

    fn daemon_up(&mut self) {
        self.daemon_up_at = None;
        self.machine.sim.daemon_up().expect("the socket is free");
        if let Some(app) = self.machine.app() {
            app.hosts.first().expect("a host").hurry();
        }
        self.log_line("the Engine begins again");
        self.judge.daemon_started(&self.machine);
        self.step_finely();
    }

    fn nas_up(&mut self) {
        self.nas_up_at = None;
        self.machine.nas.daemon_up().expect("the socket is free");
        if let Some(host) = self.machine.app().and_then(|app| app.hosts.get(&HostId::from(NAS))) {
            host.hurry();
        }
        self.log_line("the Engine of nas begins again");
        self.judge.daemon_started(&self.machine);
        self.step_finely();
    }

    /// Checks the actual states against the desired ones.
    pub fn judge_now(&mut self) {
        self.tally.looks += 1;
        let found = self.judge.check(&self.machine);
        self.faults.extend(found);
    }

    /// Moves time to the next due instant, or up to 13 s after it.
    pub fn run_to_next_due(&mut self) {
        let Some(due) = self.next_due.filter(|due| *due < self.end) else { return };
        let at = due + Duration::from_secs(self.dice.roll(14));
        self.run_until(at.max(self.machine.clock.now()));
    }

    /// Ends the month: the Engine and DockNap come back, and all open runs end.
    pub fn finish(&mut self) {
        if !self.faults.is_empty() {
            return;
        }
        self.run_until(self.end);
        self.machine.disarm();
        let now = self.machine.clock.now();
        self.daemon_up_at = self.daemon_up_at.map(|_| now);
        self.nas_up_at = self.nas_up_at.map(|_| now);
        self.revive_at = self.revive_at.map(|_| now);
        self.machine.sim.clear_faults();
        self.machine.nas.clear_faults();
        self.step_finely();
        // Longer than every deadline, grace period and wait.
        self.run_until(now + Duration::from_secs(2 * 3600));
        if !self.faults.is_empty() {
            return;
        }
        self.judge_now();
        let found = self.judge.check_stored(&self.machine);
        self.faults.extend(found);
        self.eras.update(&self.machine);
        let (runs, _) = judge::stored_runs(&self.machine, judge::ALL);
        let runs: Vec<Run> = runs.into_values().collect();
        let (wrong, fires) = self.eras.account(&runs, self.machine.clock.now());
        self.faults.extend(wrong);
        self.tally.fires = fires;
        self.tally.runs = runs.len() as u64;
        self.tally.acts = self.machine.acts().len() as u64;
    }

    /// All runs, steps, calls and log lines in a defined order, to compare two simulations of one seed.
    pub fn history(&self) -> Vec<String> {
        let (runs, steps) = judge::stored_runs(&self.machine, judge::ALL);
        let mut lines: Vec<String> = runs.values().map(|run| format!("{run:?}")).collect();
        lines.extend(steps.iter().map(|step| format!("{step:?}")));
        // Calls of the same instant have no defined order.
        let mut acts = self.machine.acts();
        acts.sort_by(|a, b| (a.2, &a.1, a.0).cmp(&(b.2, &b.1, b.0)));
        lines.extend(acts.iter().map(|act| format!("{act:?}")));
        lines.extend(self.log.iter().cloned());
        // The socket's path differs each time and is part of error messages.
        let sockets = [&self.machine.sim, &self.machine.nas].map(|sim| sim.socket().display().to_string());
        let hide = |line: &String| line.replace(&sockets[0], "SOCKET").replace(&sockets[1], "SOCKET");
        lines.iter().map(hide).collect()
    }
}
