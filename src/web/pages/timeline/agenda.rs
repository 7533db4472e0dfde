//! The agenda view: past runs and coming events as a list, day by day.

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

/// The largest number of rows on one page. The rest is on the next page.
const MOST: usize = 300;

/// One row: a run that has ended, or a coming fire or edge.
pub struct Row<'a> {
    pub at: Timestamp,
    /// The state that is wanted from an edge on. `None` for a fire and for a run.
    pub begins: Option<Badge>,
    /// The action of a fire or a run. `None` for an edge.
    pub does: Option<Action>,
    pub target: &'a Target,
    pub name: &'a str,
    /// The id and the title of the schedule. `None` for an override.
    pub schedule: Option<(&'a str, &'a str)>,
    /// The run. `None` for a coming event.
    pub run: Option<&'a Run>,
    /// Whether the row acts. False for an event that is left out and for a run that was skipped or missed.
    pub acts: bool,
    /// Why the row does not act, or another remark. May be empty.
    pub reason: &'a str,
}

/// One day of the list.
#[derive(Default)]
pub struct ListedDay<'a> {
    /// The remarks about the date: clock changes and calendars.
    pub marks: &'a [Mark],
    /// The rows in order of time.
    pub rows: Vec<Row<'a>>,
}

pub struct Agenda<'a> {
    /// The days with rows or remarks.
    pub days: BTreeMap<Date, ListedDay<'a>>,
    /// The number of rows on the page.
    pub count: usize,
    /// The number of coming events that are left out and of skipped runs.
    pub left_out: usize,
    /// The URL of the next page. `None` on the last page.
    pub more: Option<String>,
}

impl<'a> Agenda<'a> {
    /// The list of the requested time range, which ends at `until`.
    pub fn new(scene: &Scene<'a>, until: Timestamp) -> Self {
        let (look, zone) = (scene.look, &scene.shell.now.zone);
        let date_of = |at: Timestamp| at.to_zoned(zone.clone()).date();
        let foretold = look.foretold.as_ref();
        let mut events = foretold.map(|foretold| foretold.simulation.events.as_slice()).unwrap_or_default();
        let mut cut = foretold.and_then(|foretold| foretold.simulation.cut);
        let mut runs = look.runs.as_slice();
        if let Some(lost) = runs.get(MOST) {
            cut = lost.finished_at;
            (runs, events) = (&runs[..MOST], &[]);
        } else if let Some(lost) = events.get(MOST - runs.len()) {
            // All events of one instant are on the same page, even if that page becomes too long.
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
        let named = |event: &Event| {
            foretold.and_then(|foretold| foretold.names.get(&event.target)).map(String::as_str)
        };
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

/// The remarks about a date.
pub fn marks_of(look: &TimelineData, date: Date) -> &[Mark] {
    look.marks.get(&date).map(Vec::as_slice).unwrap_or_default()
}

/// A remark about a date, in words.
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
