//! The month view: the number of changes on each day, and the days with remarks.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::Scene;
use super::agenda::{mark_words, marks_of};
use crate::app::simulate::Mark;
use crate::domain::overrides::DesiredState;
use crate::domain::run::RunState;
use crate::domain::simulate::EventKind;
use crate::web::view;

/// The number of changes on a date: sleeps, wakes, and others such as restarts.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub sleeps: usize,
    pub wakes: usize,
    pub others: usize,
}

impl Tally {
    fn add(&mut self, wakes: Option<bool>) {
        match wakes {
            Some(false) => self.sleeps += 1,
            Some(true) => self.wakes += 1,
            None => self.others += 1,
        }
    }

    fn words(self) -> String {
        let parts = [(self.sleeps, "sleep"), (self.wakes, "wake"), (self.others, "other")];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = parts.map(|(count, noun)| view::count(count, noun)).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    }
}

/// One date of the view.
pub struct Cell<'a> {
    pub date: Date,
    pub tally: Tally,
    /// The remarks about the date: clock changes and calendars.
    pub marks: &'a [Mark],
    /// Whether the date belongs to the month.
    pub inside: bool,
}

impl Cell<'_> {
    /// The title, as in `Friday 27 November: 3 sleeps, 2 wakes. In the calendar of Nights`.
    pub fn title(&self) -> String {
        let title = format!("{}: {}", self.date.strftime("%A %-d %B"), self.tally.words());
        self.marks.iter().fold(title, |title, mark| format!("{title}. {}", mark_words(mark)))
    }
}

/// A month in whole weeks.
pub struct MonthView<'a>(pub Vec<Cell<'a>>);

impl<'a> MonthView<'a> {
    pub fn new(scene: &Scene<'a>) -> Self {
        let Scene { shell, asked, look, .. } = scene;
        let mut tallies: HashMap<Date, Tally> = HashMap::new();
        let mut add = |at: Timestamp, wakes| {
            tallies.entry(at.to_zoned(shell.now.zone.clone()).date()).or_default().add(wakes);
        };
        for run in look.runs.iter().filter(|run| matches!(run.state, RunState::Succeeded | RunState::Partial))
        {
            if let Some(at) = run.finished_at {
                add(at, run.action.sets_state().then(|| run.action.wakes()));
            }
        }
        for event in look.events().filter(|event| event.acts) {
            let wakes = match event.kind {
                EventKind::Fire(action) => action.sets_state().then(|| action.wakes()),
                EventKind::Edge(Some(DesiredState::Asleep)) => Some(false),
                EventKind::Edge(Some(DesiredState::Awake)) => Some(true),
                EventKind::Edge(_) => None,
            };
            add(event.at, wakes);
        }
        let cell = |date: Date| Cell {
            date,
            tally: tallies.get(&date).copied().unwrap_or_default(),
            marks: marks_of(look, date),
            inside: date.month() == asked.date.month(),
        };
        let dates = asked.dates.0.series(1.day()).take_while(|date| *date < asked.dates.1);
        Self(dates.map(cell).collect())
    }

    pub fn weeks(&self) -> impl Iterator<Item = &[Cell<'a>]> {
        self.0.chunks(7)
    }

    /// Whether the month has no changes at all.
    pub fn is_quiet(&self) -> bool {
        self.0.iter().filter(|cell| cell.inside).all(|cell| cell.tally == Tally::default())
    }
}
