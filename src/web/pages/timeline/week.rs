//! A week: how much happens in each hour, so that herds and quiet times show.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::slots::Slots;
use crate::app::timeline::TimelineData;
use crate::domain::run::{Run, RunState};
use crate::domain::time::resolve;
use crate::domain::timeline::heat;
use crate::web::view::{self, Link, Now};

/// An hour of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// How much happens.
    pub count: usize,
    /// The step of its colour, 0 to 5.
    pub heat: u8,
    /// `Mon 23 Nov 13:00: 3 changes`.
    pub title: String,
    /// Where a click leads; `None` where there is nothing to do.
    pub href: Option<String>,
    /// It has passed.
    pub past: bool,
    /// The clocks leave it out.
    pub missing: bool,
}

/// A day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `Mon 23`, and its own view.
    pub day: Link,
    /// It is today.
    pub today: bool,
    /// Its hours, 0 to 23.
    pub cells: Vec<Cell>,
}

/// A week.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeekView {
    /// In the order of the reader's week.
    pub rows: Vec<Row>,
    /// The hours as they are headed.
    pub hours: Vec<String>,
    /// All that happens in it.
    pub count: usize,
    /// The hour in which most happens, with how much.
    pub busiest: Option<String>,
}

/// What happens in an hour of a date.
#[derive(Default)]
struct Hour<'a> {
    count: usize,
    runs: Vec<&'a Run>,
}

impl WeekView {
    /// The seven days from a date on.
    pub fn new(look: &TimelineData, first: Date, slots: &Slots, now: &Now) -> Self {
        let mut hours: HashMap<(Date, i8), Hour> = HashMap::new();
        let place = |at: Timestamp| {
            let local = at.to_zoned(now.zone.clone());
            (local.date(), local.hour())
        };
        for run in look.runs.iter().filter(|run| !matches!(run.state, RunState::Skipped | RunState::Missed)) {
            // When it was to be: a herd stays one though its runs end apart.
            let Some(at) = run.fire_at.or(run.started_at).or(run.finished_at) else { continue };
            let hour = hours.entry(place(at)).or_default();
            hour.count += 1;
            hour.runs.push(run);
        }
        let events = look.foretold.iter().flat_map(|foretold| &foretold.simulation.events);
        for event in events.filter(|event| event.acts) {
            hours.entry(place(event.at)).or_default().count += 1;
        }
        let today = now.at.to_zoned(now.zone.clone()).date();
        let rows: Vec<Row> = (0_i64..7)
            .map(|offset| {
                let date = first.saturating_add(offset.days());
                let cells: Vec<Cell> =
                    (0..24).map(|hour| cell(date, hour, hours.get(&(date, hour)), slots, now)).collect();
                let mut query = vec![("view", "day".to_owned()), ("date", date.to_string())];
                if !slots.picked.is_empty() {
                    query.push(("target", slots.picked.clone()));
                }
                let query = serde_urlencoded::to_string(query).unwrap_or_default();
                Row {
                    day: Link::new(format!("/timeline?{query}"), date.strftime("%a %-d").to_string()),
                    today: date == today,
                    cells,
                }
            })
            .collect();
        let cells = || rows.iter().flat_map(|row| &row.cells);
        let busiest = cells().filter(|cell| cell.count > 1).max_by_key(|cell| cell.count);
        Self {
            count: cells().map(|cell| cell.count).sum(),
            busiest: busiest.map(|cell| cell.title.clone()),
            hours: (0..24).map(|hour| format!("{hour:02}")).collect(),
            rows,
        }
    }

    /// The steps of the colour: what each stands for.
    pub fn steps(&self) -> [(u8, &'static str); 6] {
        [(0, "nothing"), (1, "1"), (2, "2"), (3, "3 – 4"), (4, "5 – 8"), (5, "9 or more")]
    }
}

fn cell(date: Date, hour: i8, found: Option<&Hour>, slots: &Slots, now: &Now) -> Cell {
    let wall = date.at(hour, 0, 0, 0);
    let start = resolve(wall, &now.zone).unwrap_or(now.at);
    let missing = start.to_zoned(now.zone.clone()).hour() != hour;
    // One that comes twice is one cell: it ends when the next begins.
    let next = wall.checked_add(1.hour()).ok().and_then(|wall| resolve(wall, &now.zone));
    let past = next.is_none_or(|next| next <= now.at);
    let count = found.map_or(0, |found| found.count);
    let what = match (missing, count) {
        (true, _) => "left out by the clocks".to_owned(),
        (false, 0) => "nothing".to_owned(),
        (false, count) => view::count(count, "change"),
    };
    let day = || {
        let query = [("view", "agenda".to_owned()), ("date", date.to_string()), ("to", date.to_string())];
        let target = ("target", slots.picked.clone());
        let query: Vec<_> = query.into_iter().chain((!slots.picked.is_empty()).then_some(target)).collect();
        format!("{}/timeline?{}", slots.base, serde_urlencoded::to_string(query).unwrap_or_default())
    };
    let href = match found.map(|found| found.runs.as_slice()).unwrap_or_default() {
        _ if missing => None,
        [run] if past => Some(slots.run(run)),
        [_, ..] if past => Some(day()),
        _ if past => None,
        _ => slots.new_rule(None, start).or_else(|| (count > 0).then(day)),
    };
    Cell {
        count,
        heat: heat(count),
        title: now.words(&format!("{} {hour:02}:00: {what}", date.strftime("%a %-d %b"))),
        href,
        past,
        missing,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use jiff::tz::TimeZone;

    use super::*;
    use crate::app::simulate::Foretold;
    use crate::app::zone::NamedZone;
    use crate::domain::action::Action;
    use crate::domain::ids::HostId;
    use crate::domain::simulate::{Event, EventKind, Simulation};
    use crate::domain::target::Target;
    use crate::domain::user::Habits;

    /// A week of fires at these instants, as somebody in Berlin sees it before it begins.
    fn week(first: &str, fires: &[&str]) -> WeekView {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let event = |at: &&str| Event {
            at: at.parse().expect("an instant"),
            target: Target::stack(HostId::local(), "media"),
            kind: EventKind::Fire(Action::Restart),
            schedule: None,
            acts: true,
            reason: String::new(),
        };
        let simulation = Simulation { events: fires.iter().map(event).collect(), ..Simulation::default() };
        let at = Timestamp::UNIX_EPOCH;
        let foretold = Foretold {
            from: at,
            until: at,
            zone: NamedZone { name: "Europe/Berlin".to_owned(), zone: zone.clone() },
            simulation,
            names: HashMap::new(),
            marks: BTreeMap::new(),
        };
        let look = TimelineData {
            foretold: Some(foretold),
            runs: Vec::new(),
            runs_since: None,
            unreadable: Vec::new(),
            rules: std::sync::Arc::default(),
            marks: BTreeMap::new(),
        };
        let slots =
            Slots { base: String::new(), zone: zone.clone(), picked: String::new(), can_operate: true };
        WeekView::new(
            &look,
            first.parse().expect("a date"),
            &slots,
            &Now { at, zone, habits: Habits::default() },
        )
    }

    #[test]
    fn an_hour_that_the_clocks_leave_out_is_none() {
        let week = week("2027-03-22", &["2027-03-28T01:30:00Z"]);
        let sunday = &week.rows[6].cells;
        assert!(sunday[2].missing && sunday[2].href.is_none(), "{:?}", sunday[2]);
        assert_eq!(sunday[2].title, "Sun 28 Mar 02:00: left out by the clocks");
        assert_eq!((sunday[3].count, sunday[3].title.as_str()), (1, "Sun 28 Mar 03:00: 1 change"));
        assert_eq!(week.rows.iter().flat_map(|row| &row.cells).filter(|cell| cell.missing).count(), 1);
    }

    #[test]
    fn an_hour_that_comes_twice_counts_both() {
        let fires = ["2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z", "2027-10-31T02:30:00Z"];
        let week = week("2027-10-25", &fires);
        let sunday: Vec<usize> = week.rows[6].cells.iter().map(|cell| cell.count).take(5).collect();
        assert_eq!(sunday, [0, 0, 2, 1, 0]);
        assert_eq!((week.count, week.busiest.as_deref()), (3, Some("Sun 31 Oct 02:00: 2 changes")));
    }
}
