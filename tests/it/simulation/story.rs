//! A month, driven step by step: time moves to what happens next, and never past what is due.

use std::collections::BTreeMap;
use std::time::Duration;

use docknap::app::App;
use docknap::db;
use docknap::domain::run::{Run, RunState};
use docknap::faults::Point;
use docknap::scheduler;
use jiff::Timestamp;

use super::chance::{self, Dice};
use super::eras::Eras;
use super::judge::{self, Judge};
use super::machine::Machine;
use crate::support::db::TestDb;

/// How long a month is.
pub const DAYS: u64 = 30;
/// After something has happened time moves from sleeper to sleeper for so long, so that what it leads to happens at its
/// own instant.
const LIVELY: Duration = Duration::from_secs(45);
/// Nothing is under way for longer.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// What a month came to, for the sum over seeds.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Things that people, the world and fate did.
    pub deeds: BTreeMap<&'static str, u64>,
    /// Where lives ended.
    pub crashes: BTreeMap<Point, u64>,
    /// Runs stored.
    pub runs: u64,
    /// Calls that changed a container.
    pub acts: u64,
    /// Checks of what is up and what is not, each over all containers.
    pub looks: u64,
    /// Fires of cron and once schedules that were accounted for.
    pub fires: u64,
}

/// One seed's month.
pub struct Story {
    pub machine: Machine,
    pub dice: Dice,
    pub judge: Judge,
    pub eras: Eras,
    pub tally: Tally,
    /// The end of the month.
    pub end: Timestamp,
    /// What happened, a line each.
    pub told: Vec<String>,
    /// What was found wrong.
    pub faults: Vec<String>,
    next_due: Option<Timestamp>,
    lively_until: Duration,
    /// A daemon that is down comes back then.
    pub daemon_up_at: Option<Timestamp>,
    /// DockNap, where it is down, begins again then.
    pub revive_at: Option<Timestamp>,
}

impl Story {
    /// A month of a seed, from its first minute.
    pub fn new(seed: u64, database: impl AsyncFnOnce() -> TestDb) -> Self {
        let mut dice = Dice::new(seed);
        let now: Timestamp = dice.of(&chance::STARTS).parse().expect("an instant");
        let world = chance::world(&mut dice);
        let machine = Machine::new(database, now, world, seed);
        let judge = Judge::new(&machine);
        Self {
            machine,
            dice,
            judge,
            eras: Eras::default(),
            tally: Tally::default(),
            end: now + Duration::from_secs(DAYS * 24 * 3600),
            told: Vec::new(),
            faults: Vec::new(),
            next_due: None,
            lively_until: Duration::ZERO,
            daemon_up_at: None,
            revive_at: None,
        }
    }

    /// Adds a line to the story.
    pub fn tell(&mut self, line: impl Into<String>) {
        self.told.push(format!("{} {}", self.machine.clock.now().strftime("%m-%d %H:%M:%S"), line.into()));
    }

    /// Has DockNap do something as a person would; `None` where it dies of it, or refuses. What was asked is told.
    pub fn ask<T, F>(&mut self, what: String, work: impl FnOnce(App) -> F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = docknap::app::Result<T>> + Send + 'static,
    {
        match self.machine.ask(work) {
            Some(Ok(answer)) => {
                self.tell(what);
                Some(answer)
            }
            Some(Err(
                error @ (docknap::app::Error::Internal(_) | docknap::app::Error::Unavailable { .. }),
            )) => {
                self.faults.push(format!("{what}: {error}"));
                None
            }
            Some(Err(error)) => {
                self.tell(format!("{what}: refused: {error}"));
                None
            }
            None => {
                self.tell(format!("{what}: died of it"));
                None
            }
        }
    }

    /// Something has happened: what follows from it happens at its own instants.
    pub fn enliven(&mut self) {
        self.lively_until = self.machine.clock.monotonic() + LIVELY;
    }

    /// Moves time to `end`.
    pub fn live_until(&mut self, end: Timestamp) {
        let mut open_since = None;
        loop {
            self.machine.quiet();
            self.bury_the_dead();
            let now = self.machine.clock.now();
            if self.daemon_up_at.is_some_and(|at| at <= now) {
                self.daemon_up();
                continue;
            }
            if self.revive_at.is_some_and(|at| at <= now) {
                self.revive();
                continue;
            }
            let lives = self.machine.app().is_some();
            if lives && (self.machine.is_woken() || self.next_due.is_some_and(|due| due <= now)) {
                self.tick();
                continue;
            }
            if now >= end || !self.faults.is_empty() {
                return;
            }
            let marks = [Some(end), self.daemon_up_at, self.revive_at, self.next_due.filter(|_| lives)];
            let next = marks.into_iter().flatten().min().unwrap_or(end);
            let left = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            let monotonic = self.machine.clock.monotonic();
            let is_open = lives && self.is_open();
            let since = *open_since.get_or_insert(monotonic);
            if !is_open {
                open_since = None;
            }
            if is_open || monotonic < self.lively_until {
                if monotonic.saturating_sub(since) > PATIENCE {
                    self.faults.push("a run is open for two hours".to_owned());
                    return;
                }
                let step = self.machine.clock.next_sleeper().map_or(left, |sleeper| sleeper.min(left));
                self.machine.clock.advance(step);
                continue;
            }
            if lives && self.daemon_up_at.is_none() {
                self.judge_now();
            }
            self.machine.clock.advance(left);
            // What fell due on the way is told late; nothing is under way.
        }
    }

    fn tick(&mut self) {
        let ticked = self.machine.ask(async move |app: App| scheduler::tick(&app).await);
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

    /// Whether a run waits or is under way.
    pub fn is_open(&self) -> bool {
        let Some(app) = self.machine.app() else { return false };
        if app.active_runs.active() > 0 {
            return true;
        }
        // What is under way is being driven: only who waits is in the table alone.
        self.machine
            .look(async |db| !db::runs::in_state(db, RunState::Pending).await.expect("they read").is_empty())
    }

    /// A life that passed its fatal point is over; another begins a while later.
    fn bury_the_dead(&mut self) {
        let Some(point) = self.machine.died_at() else { return };
        *self.tally.crashes.entry(point).or_default() += 1;
        self.machine.kill();
        let down = match self.dice.roll(4) {
            0 => 1 + self.dice.roll(20),
            1 | 2 => 20 + self.dice.roll(600),
            _ => 600 + self.dice.roll(12 * 3600),
        };
        self.tell(format!("DockNap died: {point:?}; begins again in {down} s"));
        self.went_down(down);
    }

    /// DockNap is down, for so many seconds.
    pub fn went_down(&mut self, seconds: u64) {
        let now = self.machine.clock.now();
        self.judge.down_from(now);
        self.next_due = None;
        self.revive_at = Some(now + Duration::from_secs(seconds));
        self.enliven();
    }

    fn revive(&mut self) {
        self.revive_at = None;
        self.machine.revive();
        self.judge.up_at(self.machine.clock.now());
        self.tell("DockNap begins again");
        self.eras.look(&self.machine);
        self.enliven();
        self.tick();
    }

    fn daemon_up(&mut self) {
        self.daemon_up_at = None;
        self.machine.sim.daemon_up().expect("the socket is free");
        if let Some(app) = self.machine.app() {
            app.hosts.local().hurry();
        }
        self.tell("the Engine begins again");
        self.judge.daemon_began(&self.machine);
        self.enliven();
    }

    /// Compares what is with what should be.
    pub fn judge_now(&mut self) {
        self.tally.looks += 1;
        let found = self.judge.look(&self.machine);
        self.faults.extend(found);
    }

    /// Moves time to the instant at which something is due next, or a few seconds after it.
    pub fn live_to_next_due(&mut self) {
        let Some(due) = self.next_due.filter(|due| *due < self.end) else { return };
        let at = due + Duration::from_secs(self.dice.roll(14));
        self.live_until(at.max(self.machine.clock.now()));
    }

    /// The last day: everybody comes back, and all that was begun ends.
    pub fn finish(&mut self) {
        if !self.faults.is_empty() {
            return;
        }
        self.live_until(self.end);
        self.machine.put_out();
        let now = self.machine.clock.now();
        self.daemon_up_at = self.daemon_up_at.map(|_| now);
        self.revive_at = self.revive_at.map(|_| now);
        self.machine.sim.clear_faults();
        self.enliven();
        // Past every deadline, grace and wait.
        self.live_until(now + Duration::from_secs(2 * 3600));
        if !self.faults.is_empty() {
            return;
        }
        self.judge_now();
        let found = self.judge.look_back(&self.machine);
        self.faults.extend(found);
        self.eras.look(&self.machine);
        let (runs, _) = judge::stored(&self.machine, judge::ALL);
        let runs: Vec<Run> = runs.into_values().collect();
        let (wrong, fires) = self.eras.account(&runs, self.machine.clock.now());
        self.faults.extend(wrong);
        self.tally.fires = fires;
        self.tally.runs = runs.len() as u64;
        self.tally.acts = self.machine.sim.acts().len() as u64;
    }

    /// Everything that was done, in an order of its own: what one month has in common with another of its seed.
    pub fn history(&self) -> Vec<String> {
        let (runs, steps) = judge::stored(&self.machine, judge::ALL);
        let mut lines: Vec<String> = runs.values().map(|run| format!("{run:?}")).collect();
        lines.extend(steps.iter().map(|step| format!("{step:?}")));
        // What is asked in one instant comes in no order.
        let mut acts = self.machine.sim.acts();
        acts.sort_by(|a, b| (a.2, &a.1, a.0).cmp(&(b.2, &b.1, b.0)));
        lines.extend(acts.iter().map(|act| format!("{act:?}")));
        lines.extend(self.told.iter().cloned());
        // Where the socket lies is another place each time, and stands in what is said when it is gone.
        let socket = self.machine.sim.socket().display().to_string();
        lines.iter().map(|line| line.replace(&socket, "SOCKET")).collect()
    }
}
