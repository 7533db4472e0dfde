//! The list: what was done and what is to come, day by day.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::{Scene, did_nothing};
use crate::app::simulate::Mark;
use crate::app::timeline::TimelineData;
use crate::domain::action::Action;
use crate::domain::run::{Run, RunState};
use crate::domain::simulate::{Event, EventKind};
use crate::domain::target::Target;
use crate::web::view::{self, Badge};

/// Rows on one page; the rest begins on the next.
const MOST: usize = 300;

/// What happens at an instant.
pub struct Row<'a> {
    pub at: Timestamp,
    /// For an edge: what is wanted from then on; `None` for a fire and for a run.
    pub begins: Option<Badge>,
    /// What a fire or a run does.
    pub does: Option<Action>,
    pub target: &'a Target,
    pub name: &'a str,
    /// Whose it is; `None` for an override.
    pub schedule: Option<(&'a str, &'a str)>,
    /// What has been done.
    pub run: Option<&'a Run>,
    /// It counts.
    pub acts: bool,
    /// Why it does not, or what comes of it; may be empty.
    pub reason: &'a str,
}

/// One day.
#[derive(Default)]
pub struct ListedDay<'a> {
    /// What is special about it.
    pub marks: &'a [Mark],
    /// In time order.
    pub rows: Vec<Row<'a>>,
}

pub struct Agenda<'a> {
    /// Days on which something happens or is special.
    pub days: BTreeMap<Date, ListedDay<'a>>,
    /// Things that happen.
    pub count: usize,
    /// Those among them that are left out.
    pub left_out: usize,
    /// Where it goes on, since there is too much for one page.
    pub more: Option<String>,
}

impl<'a> Agenda<'a> {
    /// The list of a stretch of time.
    pub fn new(scene: &Scene<'a>, until: Timestamp) -> Self {
        let (look, zone) = (scene.look, &scene.shell.now.zone);
        let date_of = |at: Timestamp| at.to_zoned(zone.clone()).date();
        let told = look.foretold.as_ref();
        let mut events = told.map(|told| told.simulation.events.as_slice()).unwrap_or_default();
        let mut cut = told.and_then(|told| told.simulation.cut);
        let mut runs = look.runs.as_slice();
        if let Some(lost) = runs.get(MOST) {
            cut = lost.finished_at;
            (runs, events) = (&runs[..MOST], &[]);
        } else if let Some(lost) = events.get(MOST - runs.len()) {
            // An instant is told whole, though it be more than a page.
            let mut end = events.partition_point(|event| event.at < lost.at);
            if end + runs.len() == 0 {
                end = events.partition_point(|event| event.at <= lost.at);
            }
            cut = events.get(end).map(|event| event.at).or(cut);
            events = &events[..end];
        }
        let mut days: BTreeMap<Date, ListedDay> = BTreeMap::new();
        let last = date_of(cut.unwrap_or(until));
        for date in look.marks.keys().filter(|date| **date <= last) {
            days.entry(*date).or_default().marks = marks_of(look, *date);
        }
        let named = |event: &Event| told.and_then(|told| told.names.get(&event.target)).map(String::as_str);
        let coming = events.iter().map(|event| Row::coming(event, named(event).unwrap_or_default()));
        for row in runs.iter().map(Row::done).chain(coming) {
            days.entry(date_of(row.at)).or_default().rows.push(row);
        }
        let skipped = runs.iter().filter(|run| run.state == RunState::Skipped).count();
        let more = cut.map(|at| {
            let (last, from) = (scene.asked.last().to_string(), at.to_string());
            let query = [("view", "agenda"), ("date", ""), ("to", &last), ("from", &from)];
            scene.asked.list.with(&query)
        });
        Self {
            days,
            count: runs.len() + events.len(),
            left_out: events.iter().filter(|event| !event.acts).count() + skipped,
            more,
        }
    }
}

impl<'a> Row<'a> {
    fn coming(event: &'a Event, name: &'a str) -> Self {
        let begins = match event.kind {
            EventKind::Fire(_) => None,
            EventKind::Edge(wanted) => Some(wanted.map_or(Badge::LEFT_ALONE, Badge::from)),
        };
        Self {
            at: event.at,
            begins,
            does: event.action(),
            target: &event.target,
            name,
            schedule: event.schedule.as_ref().map(|(id, title)| (id.as_str(), title.as_str())),
            run: None,
            acts: event.acts,
            reason: &event.reason,
        }
    }

    fn done(run: &'a Run) -> Self {
        let schedule = run.schedule_id.as_ref();
        Self {
            at: run.finished_at.unwrap_or(run.created_at),
            begins: None,
            does: Some(run.action),
            target: &run.target,
            name: &run.target_name,
            schedule: schedule.map(|id| (id.as_str(), run.schedule_name.as_deref().unwrap_or_default())),
            run: Some(run),
            acts: !did_nothing(run),
            reason: &run.reason,
        }
    }
}

/// What is special about a date.
pub fn marks_of(look: &TimelineData, date: Date) -> &[Mark] {
    look.marks.get(&date).map(Vec::as_slice).unwrap_or_default()
}

/// What is special about a day, in words.
pub fn mark_words(mark: &Mark) -> String {
    match mark {
        Mark::ClockChange(minutes) => {
            let way = if *minutes > 0 { "forward" } else { "back" };
            format!("Clocks go {way} {}", view::span(minutes.abs() * 60))
        }
        Mark::Calendar(titles) => {
            let titles: Vec<String> = titles.iter().map(|title| view::shown_name(title)).collect();
            format!("In the calendar of {}", titles.join(", "))
        }
    }
}
