//! A month: how much happens on each day, and which days are special.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::WEEKDAYS;
use super::agenda::marks_of;
use crate::app::timeline::TimelineData;
use crate::domain::overrides::DesiredState;
use crate::domain::run::RunState;
use crate::domain::simulate::EventKind;
use crate::domain::user::WeekStart;
use crate::web::view::{self, Now};

/// What happens on a date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Put to sleep.
    pub sleeps: usize,
    /// Woken.
    pub wakes: usize,
    /// Restarts, and whatever else.
    pub others: usize,
}

impl Tally {
    fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn add(&mut self, wakes: Option<bool>) {
        match wakes {
            Some(false) => self.sleeps += 1,
            Some(true) => self.wakes += 1,
            None => self.others += 1,
        }
    }

    fn words(self) -> String {
        let parts = [(self.sleeps, "sleep"), (self.wakes, "wake"), (self.others, "other")];
        let told: Vec<String> = parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, noun)| view::count(count, noun))
            .collect();
        if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
    }
}

/// A date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its number.
    pub number: i8,
    /// Its view.
    pub href: String,
    /// `Friday 27 November: 3 sleeps, 2 wakes. In the calendar of Nights`.
    pub title: String,
    /// What happens.
    pub tally: Tally,
    /// What is special about it.
    pub marks: Vec<String>,
    /// It is of the month.
    pub inside: bool,
    /// It is today.
    pub today: bool,
}

/// A month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonthView {
    /// The days of the week: short, and in full.
    pub head: Vec<(&'static str, &'static str)>,
    /// Weeks of seven days.
    pub weeks: Vec<Vec<Cell>>,
    /// Nothing happens in all of it.
    pub quiet: bool,
}

impl MonthView {
    /// The month of `date`, with the whole weeks of `dates`.
    pub fn new(
        look: &TimelineData,
        date: Date,
        (first, beyond): (Date, Date),
        href: impl Fn(Date) -> String,
        now: &Now,
    ) -> Self {
        let mut tallies: HashMap<Date, Tally> = HashMap::new();
        let date_of = |at: Timestamp| at.to_zoned(now.zone.clone()).date();
        for run in &look.runs {
            let changed = matches!(run.state, RunState::Succeeded | RunState::Partial);
            if let Some(at) = run.finished_at.filter(|_| changed) {
                let wakes = run.action.sets_state().then(|| run.action.wakes());
                tallies.entry(date_of(at)).or_default().add(wakes);
            }
        }
        let events = look.foretold.iter().flat_map(|foretold| &foretold.simulation.events);
        for event in events.filter(|event| event.acts) {
            let wakes = match event.kind {
                EventKind::Fire(action) => action.sets_state().then(|| action.wakes()),
                EventKind::Edge(Some(DesiredState::Asleep)) => Some(false),
                EventKind::Edge(Some(DesiredState::Awake)) => Some(true),
                EventKind::Edge(_) => None,
            };
            tallies.entry(date_of(event.at)).or_default().add(wakes);
        }
        let today = date_of(now.at);
        let dates: Vec<Date> = first.series(1.day()).take_while(|date| *date < beyond).collect();
        let cell = |day: &Date| {
            let tally = tallies.get(day).copied().unwrap_or_default();
            let marks = marks_of(look, *day);
            let mut title = format!("{}: {}", day.strftime("%A %-d %B"), tally.words());
            for mark in &marks {
                title.push_str(". ");
                title.push_str(mark);
            }
            Cell {
                number: day.day(),
                href: href(*day),
                title,
                tally,
                marks,
                inside: day.month() == date.month(),
                today: *day == today,
            }
        };
        let weeks: Vec<Vec<Cell>> = dates.chunks(7).map(|week| week.iter().map(cell).collect()).collect();
        Self {
            head: head(now.habits.week_start),
            quiet: weeks.iter().flatten().filter(|cell| cell.inside).all(|cell| cell.tally.is_empty()),
            weeks,
        }
    }
}

fn head(start: WeekStart) -> Vec<(&'static str, &'static str)> {
    start.days().map(|day| (WEEKDAYS[day].1, WEEKDAYS[day].2)).to_vec()
}
