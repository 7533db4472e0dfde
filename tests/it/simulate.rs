//! What the simulation foretells is what happens: two weeks of random schedules, foretold and then lived through.

use std::collections::{BTreeMap, BTreeSet};

use docknap::app::rulebook::RuleBook;
use docknap::app::simulate::{self, Question};
use docknap::app::{overrides, schedules};
use docknap::db;
use docknap::domain::ids::{HostId, ScheduleId};
use docknap::domain::overrides::DesiredState;
use docknap::domain::place::Place;
use docknap::domain::run::{Run, RunState, Trigger};
use docknap::domain::schedule::{ScheduleKind, Source};
use docknap::domain::simulate::{Event, EventKind};
use docknap::domain::target::{ContainerIdentity, Target, TargetType};
use docknap::sim::World;
use jiff::{Timestamp, ToSpan};

use crate::support::bench::{Bench, person};

/// A Tuesday; the clocks of Berlin go forward on the Sunday after next, 28 March.
const NOW: &str = "2027-03-16T10:17:00Z";
const DAYS: i64 = 14;
const SEEDS: u64 = 8;

/// Numbers that look random and are the same every time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).expect("31 bits") % below
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.roll(choices.len())]
    }
}

fn world() -> World {
    World::new()
        .stack("shop", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
        .stack("lab", |s| s.service("box", |c| c))
}

fn draft(dice: &mut Dice) -> schedules::Draft {
    let (kind, target) = match dice.roll(4) {
        0 => ("container", "shop-web-1"),
        1 => ("stack", "lab"),
        _ => ("stack", "shop"),
    };
    let text = |text: &str| Some(text.to_owned());
    let mut draft = schedules::Draft {
        target_type: text(kind),
        target_id: text(target),
        timezone: text(dice.of(&["UTC", "Europe/Berlin"])),
        enabled: Some(true),
        ..schedules::Draft::default()
    };
    match dice.roll(5) {
        0 | 1 => {
            draft.window = text(dice.of(&[
                "sleep 23:00-07:00",
                "sleep Mon-Fri 22:00-06:00; Sat 00:00-24:00",
                "awake Mon-Fri 07:00-20:00",
                "sleep 12:00-13:00",
                "awake 08:00-23:00",
                "sleep Fri 20:00 - Mon 06:00",
            ]));
            draft.policy = text(dice.of(&["respect", "respect", "enforce", "observe"]));
        }
        2 => {
            let day = 17 + dice.roll(12);
            draft.at = Some(format!("2027-03-{day}T{}", dice.of(&["02:30", "07:00", "12:00", "23:00"])));
            draft.action = text(dice.of(&["start", "stop", "restart"]));
        }
        _ => {
            draft.cron = text(dice.of(&[
                "0 23 * * *",
                "0 7 * * *",
                "0 12 * * 1-5",
                "30 2 * * *",
                "0 */6 * * *",
                "15 13 * * SAT,SUN",
                "0 22 * * FRI",
            ]));
            draft.action = text(dice.of(&["start", "stop", "restart", "start", "stop"]));
            draft.priority = text(dice.of(&["0", "0", "5"]));
        }
    }
    let is_awake = draft.window.as_ref().is_some_and(|window| window.starts_with("awake"));
    if draft.at.is_none() && !is_awake && dice.roll(3) == 0 {
        draft.every_weeks = text(dice.of(&["2", "2", "3"]));
        draft.anchor = text(dice.of(&["2027-03-16", "2027-03-09", "2026-11-30"]));
    }
    draft
}

/// What can be compared of a fire: when, whose, and why it was skipped.
type Fire = (Timestamp, ScheduleId, Option<String>);
/// What is wanted of a target from an instant on.
type Edges = BTreeMap<Target, Vec<(Timestamp, Option<DesiredState>)>>;

/// The reasons of runs that were never meant to act.
fn skipped(run: &Run) -> Option<String> {
    let told =
        ["conflict, by ", "duplicate: ", "override: ", "held: ", "skip: ", "superseded by ", "not_running: "];
    let is_told = told.iter().any(|start| run.reason.starts_with(start)) && run.reason.contains(|c| c != ' ');
    let is_twin = run.reason.starts_with("duplicate: run ");
    (matches!(run.state, RunState::Skipped | RunState::Superseded) && is_told && !is_twin)
        .then(|| roughly(&run.reason))
}

/// What supersedes is told as a run by the one, and as a rule by the other. Why a target does not run is foretold; a
/// run says only that it does not.
fn roughly(reason: &str) -> String {
    let start = "superseded by ";
    if reason.starts_with(start) {
        start.to_owned()
    } else if reason.starts_with("not_running: ") || reason.ends_with("only what runs is restarted") {
        "not running".to_owned()
    } else {
        reason.to_owned()
    }
}

async fn fires(bench: &Bench, kinds: &BTreeMap<ScheduleId, ScheduleKind>) -> BTreeSet<Fire> {
    let runs = db::history::list(&bench.app.db, db::history::RunSelection::default(), None, 10_000)
        .await
        .expect("they read");
    let is_fire = |run: &&Run| {
        run.schedule_id.as_ref().is_some_and(|id| kinds[id] != ScheduleKind::Window)
            && matches!(run.trigger, Trigger::Schedule | Trigger::Override)
    };
    let fire = |run: &Run| {
        let id = run.schedule_id.clone().expect("of a schedule");
        (run.fire_at.unwrap_or(run.created_at), id, skipped(run))
    };
    runs.iter().filter(is_fire).map(fire).collect()
}

fn foretold_fires(events: &[Event]) -> BTreeSet<Fire> {
    let fires = events.iter().filter(|event| matches!(event.kind, EventKind::Fire(_)));
    fires
        .map(|event| {
            let (id, _) = event.schedule.clone().expect("of a schedule");
            (event.at, id, (!event.acts).then(|| roughly(&event.reason)))
        })
        .collect()
}

#[tokio::test]
async fn what_is_foretold_is_what_happens() {
    for seed in 1..=SEEDS {
        one_fortnight(seed).await;
    }
}

#[expect(clippy::too_many_lines, reason = "one fortnight from the dice to the comparison")]
async fn one_fortnight(seed: u64) {
    let mut dice = Dice::new(seed);
    let bench = Bench::new(NOW, world()).await;
    let mut kinds = BTreeMap::new();
    let mut stacks = BTreeSet::new();
    let mut said = Vec::new();
    for _ in 0..4 + dice.roll(5) {
        let draft = draft(&mut dice);
        let saved = schedules::create(&bench.app, &person(), &draft, Source::Api).await.expect("it is saved");
        let schedule = saved.view.schedule;
        kinds.insert(schedule.id.clone(), schedule.kind());
        let spec = &schedule.spec;
        if spec.target.target_type() == TargetType::Stack {
            stacks.insert(schedule.id.clone());
        }
        said.push(format!(
            "{} {:?} {:?} {} {:?} {:?} {:?}",
            schedule.id,
            spec.target_name,
            spec.when,
            spec.action,
            spec.timezone,
            spec.policy,
            spec.every_weeks
        ));
        if dice.roll(4) == 0 && schedules::skip_next(&bench.app, &person(), &schedule.id).await.is_ok() {
            said.push("  skipped".to_owned());
        }
    }
    for _ in 0..dice.roll(3) {
        let (kind, target) =
            [("stack", "shop"), ("stack", "lab"), ("container", "shop-web-1"), ("host", ""), ("all", "")]
                [dice.roll(5)];
        let wish = overrides::Draft {
            target_type: Some(kind.to_owned()),
            target_id: Some(target.to_owned()),
            state: Some(dice.of(&["awake", "asleep", "hold"]).to_owned()),
            until: Some(dice.of(&["3h", "20h", "2d", "5d"]).to_owned()),
            reason: Some("demo".to_owned()),
            ..overrides::Draft::default()
        };
        said.push(format!("{wish:?}"));
        overrides::create(&bench.app, &person(), &wish).await.expect("it is stored");
    }
    bench.tick().await;
    bench.settle().await;

    let now = bench.app.clock.now();
    let until = now + (DAYS * 24).hours();
    let question = Question { to: Some(until.to_string()), ..Question::default() };
    let foretold = simulate::simulate(&bench.app, &person(), &question).await.expect("it is foretold");
    assert_eq!(foretold.simulation.cut, None);
    let events = foretold.simulation.events;

    let host = HostId::local();
    let web = ContainerIdentity::Service { project: "shop".to_owned(), service: "web".to_owned(), number: 1 };
    let targets = [
        Target::stack(host.clone(), "shop"),
        Target::stack(host.clone(), "lab"),
        Target::container(host, web),
    ];
    let stored = &RuleBook::load(&bench.app).await.expect("it reads").rules;
    let ruled = |target: &&Target| stored.windows().iter().any(|rule| rule.target == **target);
    let ruled: Vec<&Target> = targets.iter().filter(ruled).collect();
    let mut lived = Edges::new();
    let mut wanted: BTreeMap<&Target, Option<DesiredState>> = ruled
        .iter()
        .map(|target| (*target, stored.at(now).desired(Place::of_target(target)).wanted))
        .collect();
    loop {
        let ticked = bench.tick().await;
        let at = bench.app.clock.now();
        let book = RuleBook::load(&bench.app).await.expect("it reads");
        for target in &ruled {
            let new = book.rules.at(at).desired(Place::of_target(target)).wanted;
            if wanted.insert(target, new) != Some(new) {
                lived.entry((*target).clone()).or_default().push((at, new));
            }
        }
        bench.settle().await;
        bench.quiet().await;
        let next = bench.tick().await.next_due.or(ticked.next_due);
        let Some(next) = next.filter(|next| *next < until) else { break };
        bench.leap_to(next.max(bench.app.clock.now())).await;
    }

    let mut edges = Edges::new();
    for event in &events {
        if let EventKind::Edge(wanted) = event.kind
            && event.acts
            && ruled.contains(&&event.target)
        {
            edges.entry(event.target.clone()).or_default().push((event.at, wanted));
        }
    }
    // Where a stack fires at the very instant of an edge of one of its containers, which of the two wins depends on what
    // else of the stack runs, which is not foretold.
    let edges_of_members: BTreeSet<Timestamp> = stored
        .windows()
        .iter()
        .filter(|rule| rule.target.target_type() == TargetType::Container)
        .flat_map(|rule| rule.timeline().changes(now, until))
        .collect();
    let is_clear = |fire: &Fire| !(stacks.contains(&fire.1) && edges_of_members.contains(&fire.0));
    let clear = |fires: BTreeSet<Fire>| fires.into_iter().filter(is_clear).collect::<BTreeSet<_>>();
    let (foretold, lived_fires) = (clear(foretold_fires(&events)), clear(fires(&bench, &kinds).await));
    let story = said.join("\n");
    let only = |a: &BTreeSet<Fire>, b: &BTreeSet<Fire>| a.difference(b).cloned().collect::<Vec<_>>();
    assert_eq!(
        (only(&foretold, &lived_fires), only(&lived_fires, &foretold)),
        (vec![], vec![]),
        "seed {seed}: foretold alone, lived alone\n{story}"
    );
    assert!(!foretold.is_empty() || !edges.is_empty(), "seed {seed} says something\n{story}");
    assert_eq!(edges, lived, "seed {seed}\n{story}");
}
