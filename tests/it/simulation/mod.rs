//! Simulates one month of DockNap per seed, on a frozen clock and with a simulated Engine: schedules of every kind,
//! actions of users in DockNap and in Docker, restarts of the Engine, failing calls, a second host that comes
//! and goes, and DockNap killed at random commits and calls. The invariants of semantics §8 must hold throughout; otherwise the test prints the seed and a
//! log of its events.
//!
//! `scripts/simulate` runs thousands of seeds. Seeds that once failed are listed in [`REGRESSIONS`].

mod chance;
mod deeds;
mod eras;
mod judge;
mod machine;
mod story;

use std::fmt::Write as _;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::faults::Point;

use crate::support::db::TestDb;
use story::{DAYS, Story, Tally};

/// Seeds that once failed, each with the reason. Each has a small test of its own in `windows_meet`; seeds that are
/// among the `SHARES` anyway are not listed. A change to the random choices, such as a new kind of event, changes
/// what each seed means.
const REGRESSIONS: &[(u64, &str)] = &[];

/// Seeds per share on SQLite. There are eight shares, so that the tests run on several cores.
const SEEDS: u64 = 25;
const SHARES: u64 = 8;
/// Number of seeds on PostgreSQL.
const PG_SEEDS: u64 = 20;
/// Average number of random events in a month.
const EVENTS_PER_MONTH: u64 = 60;

/// Simulates the month of one seed. Returns the simulation and its counts, or a report of what failed.
fn month(seed: u64, database: impl AsyncFnOnce() -> TestDb) -> Result<(Story, Tally), String> {
    let mut story = Story::new(seed, database);
    story.begin();
    let gap = DAYS * 24 * 3600 / EVENTS_PER_MONTH;
    loop {
        let now = story.machine.clock.now();
        // Most events come alone, some shortly after another, and some just when a schedule is due.
        let wait = match story.dice.roll(8) {
            0 | 1 => 1 + story.dice.roll(30),
            _ => 60 + story.dice.roll(2 * gap),
        };
        let at = now + Duration::from_secs(wait);
        if at >= story.end {
            break;
        }
        story.run_until(at);
        if story.dice.once_in(5) {
            story.run_to_next_due();
        }
        if !story.faults.is_empty() {
            break;
        }
        story.random_event();
    }
    story.finish();
    if story.faults.is_empty() {
        let tally = story.tally.clone();
        return Ok((story, tally));
    }
    let mut text = format!("seed {seed}\n");
    for line in &story.log {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "{}", story.machine.container_table());
    let (runs, steps) = judge::stored_runs(&story.machine, 12);
    for run in runs.values() {
        let _ = writeln!(
            text,
            "{} {} {} {} {} began {:?} ended {:?}: {} | {}",
            run.created_at,
            run.trigger,
            run.action,
            run.target_name,
            run.state,
            run.started_at,
            run.finished_at,
            run.reason,
            run.why
        );
        for step in steps.iter().filter(|step| step.run_id == run.id) {
            let _ = writeln!(
                text,
                "    {} {} {} {:?}..{:?} {} {:?}",
                step.action,
                step.container,
                step.state,
                step.issued_at,
                step.finished_at,
                step.reason,
                step.error
            );
        }
    }
    for fault in &story.faults {
        let _ = writeln!(text, "{fault}");
    }
    Err(format!("seed {seed}: {}\n{text}", story.faults[0]))
}

/// Simulates several seeds and sums their counts. Failures are reported at the end.
fn months(seeds: impl Iterator<Item = u64>, database: impl AsyncFn() -> TestDb) -> Tally {
    let mut sum = Tally::default();
    let mut failed = Vec::new();
    let clock = Clock::system();
    let mut count = 0_u32;
    for seed in seeds {
        count += 1;
        match month(seed, &database) {
            Ok((_, tally)) => add(&mut sum, &tally),
            Err(text) => {
                println!("FAILED {}", text.lines().next().unwrap_or_default());
                failed.push(text);
            }
        }
    }
    println!("{count} months in {:.1} s, {} failed: {sum:#?}", clock.monotonic().as_secs_f32(), failed.len());
    assert!(failed.is_empty(), "{} of {count} seeds failed; the first:\n{}", failed.len(), failed[0]);
    sum
}

fn add(sum: &mut Tally, one: &Tally) {
    for (name, count) in &one.deeds {
        *sum.deeds.entry(name).or_default() += count;
    }
    for (point, count) in &one.crashes {
        *sum.crashes.entry(*point).or_default() += count;
    }
    sum.runs += one.runs;
    sum.acts += one.acts;
    sum.looks += one.looks;
    sum.fires += one.fires;
}

/// Simulates one share of the seeds, including its part of [`REGRESSIONS`].
fn share(index: u64) {
    let known = REGRESSIONS.iter().map(|(seed, _)| *seed).filter(|seed| seed % SHARES == index);
    let sum = months(known.chain(index * SEEDS..(index + 1) * SEEDS), TestDb::sqlite);
    let died = |point| sum.crashes.contains_key(&point);
    assert!(died(Point::BeforeCommit) && died(Point::AfterCommit), "at commits: {:?}", sum.crashes);
    assert!(died(Point::BeforeCall) || died(Point::AfterCall), "at calls: {:?}", sum.crashes);
}

macro_rules! shares {
    ($($name:ident: $index:expr),+ $(,)?) => {
        mod months_on_sqlite {
            $(#[test]
            fn $name() {
                super::share($index);
            })+
        }
    };
}

shares!(first: 0, second: 1, third: 2, fourth: 3, fifth: 4, sixth: 5, seventh: 6, eighth: 7);

#[test]
fn months_on_postgres() {
    months(0..PG_SEEDS, TestDb::postgres);
}

/// I9: simulating a seed twice gives the same result.
#[test]
fn the_same_seed_is_the_same_month() {
    for seed in 0..4 {
        let simulated = || {
            let (story, _) = month(seed, TestDb::sqlite).unwrap_or_else(|text| panic!("{text}"));
            story.history()
        };
        let (first, second) = (simulated(), simulated());
        let difference = first.iter().zip(&second).find(|(a, b)| a != b);
        assert_eq!(difference, None, "seed {seed}");
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

/// Time stands still until a computation on a thread of its own has ended, and what follows from it.
#[test]
fn time_waits_for_what_is_computed() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let now = chance::STARTS[0].parse().expect("an instant");
    let machine = machine::Machine::new(TestDb::sqlite, now, [(); 2].map(|()| docknap::sim::World::new()), 0);
    let has_ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&has_ended);
    let begun = machine.call(async move |_| {
        tokio::spawn(async move {
            let clock = Clock::system();
            let work = move || while clock.monotonic() < Duration::from_millis(50) {};
            tokio::task::spawn_blocking(work).await.expect("it ends");
            end.store(true, Ordering::SeqCst);
        });
    });
    assert_eq!(begun, Some(()));
    machine.quiet();
    assert!(has_ended.load(Ordering::SeqCst), "time would have moved on");
}

/// For `scripts/simulate`: simulates the seeds of `DOCKNAP_SIM_SEEDS` (`FROM..TO`) on SQLite.
#[test]
#[ignore = "run by scripts/simulate, which says which seeds"]
fn as_many_as_asked_for() {
    let asked = std::env::var("DOCKNAP_SIM_SEEDS").expect("DOCKNAP_SIM_SEEDS says which, such as 0..1000");
    let (from, to) = asked.split_once("..").expect("FROM..TO");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    months(number(from)..number(to), TestDb::sqlite);
}
