//! A month of DockNap for each seed, on a frozen clock and with a simulated Engine: schedules of every kind, people at
//! the buttons and at Docker's own, an Engine that restarts, calls that go wrong, and DockNap itself killed at any
//! commit and any call. The invariants of semantics §8 hold all the while, or the seed is printed with its story.
//!
//! `scripts/simulate` runs thousands. A seed that failed once is kept in [`REGRESSIONS`].

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

/// Seeds that failed once, and what was wrong. Each has a small test of its own in `windows_meet`; those that `SHARES`
/// hold anyhow are not named again. What a seed means changes with the dice: a new kind of deed makes them other
/// months.
const REGRESSIONS: &[(u64, &str)] = &[];

/// Seeds of each share on SQLite; there are eight shares, so that several cores have something to do.
const SEEDS: u64 = 25;
const SHARES: u64 = 8;
/// Seeds on PostgreSQL.
const PG_SEEDS: u64 = 20;
/// Deeds in a month, on the average.
const DEEDS: u64 = 60;

/// One seed's month. What it came to, or what was wrong with its story.
fn month(seed: u64, database: impl AsyncFnOnce() -> TestDb) -> Result<(Story, Tally), String> {
    let mut story = Story::new(seed, database);
    story.begin();
    let gap = DAYS * 24 * 3600 / DEEDS;
    loop {
        let now = story.machine.clock.now();
        // Many things happen alone, some one upon the other, and some just as a schedule does something.
        let wait = match story.dice.roll(8) {
            0 | 1 => 1 + story.dice.roll(30),
            _ => 60 + story.dice.roll(2 * gap),
        };
        let at = now + Duration::from_secs(wait);
        if at >= story.end {
            break;
        }
        story.live_until(at);
        if story.dice.once_in(5) {
            story.live_to_next_due();
        }
        if !story.faults.is_empty() {
            break;
        }
        story.deed();
    }
    story.finish();
    if story.faults.is_empty() {
        let tally = story.tally.clone();
        return Ok((story, tally));
    }
    let mut text = format!("seed {seed}\n");
    for line in &story.told {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "{}", story.machine.picture());
    let (runs, steps) = judge::stored(&story.machine, 12);
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

/// Lives through seeds, and adds up what they came to; all that is wrong is told at the end, by seed.
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

/// One share of the seeds: its part of [`REGRESSIONS`] first.
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

/// I9: a month that is lived twice is the same month.
#[test]
fn the_same_seed_is_the_same_month() {
    for seed in 0..4 {
        let lived = || {
            let (story, _) = month(seed, TestDb::sqlite).unwrap_or_else(|text| panic!("{text}"));
            story.history()
        };
        let (first, second) = (lived(), lived());
        let differ = first.iter().zip(&second).find(|(a, b)| a != b);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

/// For `scripts/simulate`: the seeds that `DOCKNAP_SIM_SEEDS` names, as `FROM..TO`, on SQLite.
#[test]
#[ignore = "run by scripts/simulate, which says which seeds"]
fn as_many_as_asked_for() {
    let asked = std::env::var("DOCKNAP_SIM_SEEDS").expect("DOCKNAP_SIM_SEEDS says which, such as 0..1000");
    let (from, to) = asked.split_once("..").expect("FROM..TO");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    months(number(from)..number(to), TestDb::sqlite);
}
