//! The list: what was done and what is to come, day by day.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::app::simulate::Mark;
use crate::app::timeline::TimelineData;
use crate::domain::run::{Run, RunState};
use crate::domain::simulate::{Event, EventKind};
use crate::domain::target::Target;
use crate::web::pages::runs::words;
use crate::web::view::{self, Badge, Link, Now, When};

/// Rows on one page; the rest begins on the next.
const MOST: usize = 300;

/// What happens at an instant.
#[derive(Clone, Debug)]
pub struct EventRow {
    pub when: When,
    /// For an edge: what is wanted from then on; `None` for a fire and for a run.
    pub begins: Option<Badge>,
    /// For a fire and a run: what it does, and its symbol.
    pub does: Option<(&'static str, &'static str)>,
    /// The stack or container.
    pub target: Link,
    /// Whose it is; `None` for an override.
    pub schedule: Option<Link>,
    /// For what has been done: the run and how it ended.
    pub run: Option<(String, Badge)>,
    /// It counts.
    pub acts: bool,
    /// Why it does not, or what comes of it; may be empty.
    pub reason: String,
}

/// One day.
#[derive(Clone, Debug)]
pub struct Day {
    /// `Friday 27 November 2026`.
    pub title: String,
    /// What is special about it: `Clocks go back 1 h`, `In the calendar of Nights`.
    pub marks: Vec<String>,
    /// In time order.
    pub rows: Vec<EventRow>,
}

#[derive(Clone, Debug, Default)]
pub struct Agenda {
    /// Days on which something happens or is special.
    pub days: Vec<Day>,
    /// Things that happen.
    pub count: usize,
    /// Those among them that are left out.
    pub left_out: usize,
    /// Where it goes on, since there is too much for one page.
    pub more: Option<String>,
}

impl Agenda {
    /// The list of a stretch of time; `last` is its last day.
    pub fn new(look: TimelineData, until: Timestamp, picked: &str, last: &str, now: &Now) -> Self {
        let date_of = |at: Timestamp| at.to_zoned(now.zone.clone()).date();
        let marked: Vec<(Date, Vec<String>)> =
            look.marks.iter().map(|(date, marks)| (*date, marks.iter().map(mark).collect())).collect();
        let (mut events, mut cut, names) = match look.foretold {
            Some(foretold) => (foretold.simulation.events, foretold.simulation.cut, foretold.names),
            None => (Vec::new(), None, std::collections::HashMap::new()),
        };
        let mut runs = look.runs;
        if runs.len() > MOST {
            cut = runs.get(MOST).and_then(|run| run.finished_at);
            runs.truncate(MOST);
            events.clear();
        } else if let Some(lost) = events.get(MOST - runs.len()) {
            // An instant is told whole, though it be more than a page.
            let lost = lost.at;
            let before = events.partition_point(|event| event.at < lost);
            let end = if before + runs.len() > 0 {
                before
            } else {
                events.partition_point(|event| event.at <= lost)
            };
            cut = events.get(end).map(|event| event.at).or(cut);
            events.truncate(end);
        }
        let shown_until = cut.unwrap_or(until);
        let more = cut.map(|at| {
            let mut query = vec![("view", "agenda"), ("to", last)];
            let from = at.to_string();
            query.push(("from", &from));
            if !picked.is_empty() {
                query.push(("target", picked));
            }
            format!("/timeline?{}", serde_urlencoded::to_string(query).unwrap_or_default())
        });
        let mut days: BTreeMap<Date, Day> = BTreeMap::new();
        let title = |date: Date| date.strftime("%A %-d %B %Y").to_string();
        for (date, marks) in marked.into_iter().filter(|(date, _)| *date <= date_of(shown_until)) {
            days.insert(date, Day { title: title(date), marks, rows: Vec::new() });
        }
        let mut push = |at: Timestamp, row: EventRow| {
            let date = date_of(at);
            let empty = || Day { title: title(date), marks: Vec::new(), rows: Vec::new() };
            days.entry(date).or_insert_with(empty).rows.push(row);
        };
        let count = runs.len() + events.len();
        let left_out = events.iter().filter(|event| !event.acts).count()
            + runs.iter().filter(|run| run.state == RunState::Skipped).count();
        for run in runs {
            let at = run.finished_at.unwrap_or(run.created_at);
            push(at, EventRow::done(&run, at, now));
        }
        for event in events {
            let name = names.get(&event.target).cloned().unwrap_or_default();
            push(event.at, EventRow::coming(event, &name, now));
        }
        Self { days: days.into_values().collect(), count, left_out, more }
    }
}

impl EventRow {
    fn coming(event: Event, name: &str, now: &Now) -> Self {
        let (begins, does) = match event.kind {
            EventKind::Fire(action) => (None, Some((action.label(), view::action_icon(action)))),
            EventKind::Edge(wanted) => (Some(wanted.map_or(Badge::LEFT_ALONE, Badge::from)), None),
        };
        Self {
            when: now.when(event.at),
            begins,
            does,
            target: link(&event.target, name),
            schedule: event
                .schedule
                .map(|(id, title)| Link::new(format!("/schedules/{id}"), view::shown_name(&title))),
            run: None,
            acts: event.acts,
            reason: words::reason(&event.reason, now),
        }
    }

    fn done(run: &Run, at: Timestamp, now: &Now) -> Self {
        let schedule = run.schedule_id.as_ref().map(|id| {
            let name = run.schedule_name.as_deref().unwrap_or_default();
            Link::new(format!("/schedules/{id}"), view::shown_name(name))
        });
        Self {
            when: now.when(at),
            begins: None,
            does: Some((run.action.label(), view::action_icon(run.action))),
            target: link(&run.target, &run.target_name),
            schedule,
            run: Some((run.id.to_string(), run.state.into())),
            acts: !matches!(run.state, RunState::Skipped | RunState::Missed),
            reason: words::reason(&run.reason, now),
        }
    }
}

fn link(target: &Target, name: &str) -> Link {
    Link::new(format!("/{}s/{}", target.target_type(), target.key()), view::shown_name(name))
}

/// What is special about a date.
pub fn marks_of(look: &TimelineData, date: Date) -> Vec<String> {
    look.marks.get(&date).into_iter().flatten().map(mark).collect()
}

/// What is special about a day.
fn mark(mark: &Mark) -> String {
    match mark {
        Mark::ClockChange(minutes) => {
            let (way, minutes) = if *minutes > 0 { ("forward", *minutes) } else { ("back", -minutes) };
            let amount =
                if minutes % 60 == 0 { format!("{} h", minutes / 60) } else { format!("{minutes} min") };
            format!("Clocks go {way} {amount}")
        }
        Mark::Calendar(titles) => {
            let titles: Vec<String> = titles.iter().map(|title| view::shown_name(title)).collect();
            format!("In the calendar of {}", titles.join(", "))
        }
    }
}
