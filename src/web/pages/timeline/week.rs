//! The week view: the number of changes in each hour, so that busy and quiet hours are visible.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::{Scene, did_nothing};
use crate::domain::run::Run;
use crate::domain::time::resolve;
use crate::web::view;

/// One hour of a day.
pub struct Cell {
    /// The number of changes.
    pub count: usize,
    /// The title, as in `Mon 23 Nov 13:00: 3 changes`.
    pub title: String,
    /// The link: to a run, to the agenda of the day, or to the form of a new schedule. `None` if there is no use for
    /// one.
    pub href: Option<String>,
    /// Whether the hour has no colour: a past hour without changes, or an hour that a clock change leaves out.
    pub blank: bool,
}

/// The seven days in the reader's order.
pub struct WeekView(pub Vec<(Date, Vec<Cell>)>);

/// The changes in an hour of a date.
#[derive(Default)]
struct Hour<'a> {
    count: usize,
    runs: Vec<&'a Run>,
}

impl WeekView {
    pub fn new(scene: &Scene) -> Self {
        let (look, zone) = (scene.look, &scene.shell.now.zone);
        let mut hours: HashMap<(Date, i8), Hour> = HashMap::new();
        let place = |at: Timestamp| {
            let local = at.to_zoned(zone.clone());
            (local.date(), local.hour())
        };
        for run in look.runs.iter().filter(|run| !did_nothing(run)) {
            // A run counts in the hour of its fire, so that runs of one instant stay together although they end at
            // different times.
            let Some(at) = run.fire_at.or(run.started_at).or(run.finished_at) else { continue };
            let hour = hours.entry(place(at)).or_default();
            hour.count += 1;
            hour.runs.push(run);
        }
        for event in look.events().filter(|event| event.acts) {
            hours.entry(place(event.at)).or_default().count += 1;
        }
        let day = |date: Date| {
            let cells = (0..24).map(|hour| cell(scene, date, hour, hours.get(&(date, hour))));
            (date, cells.collect())
        };
        Self(scene.asked.dates.0.series(1.day()).take(7).map(day).collect())
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.0.iter().flat_map(|(_, cells)| cells)
    }

    /// The number of changes in the week.
    pub fn count(&self) -> usize {
        self.cells().map(|cell| cell.count).sum()
    }

    /// The title of the hour with the most changes. `None` if no hour has more than one.
    pub fn busiest(&self) -> Option<&str> {
        let busy = self.cells().filter(|cell| cell.count > 1);
        busy.max_by_key(|cell| cell.count).map(|cell| &*cell.title)
    }
}

fn cell(scene: &Scene, date: Date, hour: i8, found: Option<&Hour>) -> Cell {
    let (now, wall) = (&scene.shell.now, date.at(hour, 0, 0, 0));
    let start = resolve(wall, &now.zone).unwrap_or(now.at);
    let missing = start.to_zoned(now.zone.clone()).hour() != hour;
    // An hour that a clock change repeats has one cell, which ends when the next hour begins.
    let next = wall.checked_add(1.hour()).ok().and_then(|wall| resolve(wall, &now.zone));
    let past = next.is_none_or(|next| next <= now.at);
    let count = found.map_or(0, |found| found.count);
    let what = match (missing, count) {
        (true, _) => "left out by the clocks".to_owned(),
        (false, 0) => "nothing".to_owned(),
        (false, count) => view::count(count, "change"),
    };
    let day = || scene.asked.list_of(date);
    let href = match found.map(|found| found.runs.as_slice()).unwrap_or_default() {
        _ if missing => None,
        [run] if past => Some(format!("/runs/{}", run.id)),
        [_, ..] if past => Some(day()),
        _ if past => None,
        _ => scene.new_rule(None, start).or_else(|| (count > 0).then(day)),
    };
    let title = now.words(&format!("{} {hour:02}:00: {what}", date.strftime("%a %-d %b")));
    Cell { count, title, href, blank: missing || past && count == 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use axum::http::HeaderMap;
    use jiff::tz::TimeZone;

    use super::super::TimelineQuery;
    use super::*;
    use crate::app::simulate::Foretold;
    use crate::app::timeline::TimelineData;
    use crate::app::zone::NamedZone;
    use crate::domain::action::Action;
    use crate::domain::ids::HostId;
    use crate::domain::simulate::{Event, EventKind, Simulation};
    use crate::domain::target::Target;
    use crate::web::form::Typed;
    use crate::web::shell::Shell;
    use crate::web::view::Now;

    /// A week with fires at these instants, for a reader in Berlin before the week begins.
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
        let shell = Shell { now: Now { at, zone: zone.clone(), ..Now::default() }, ..Shell::default() };
        let typed = Typed::of([("view", "week"), ("date", first)]);
        let asked = TimelineQuery::of(typed, &HeaderMap::new(), &shell.now);
        WeekView::new(&Scene { shell: &shell, asked: &asked, look: &look, zone })
    }

    #[test]
    fn an_hour_that_the_clocks_leave_out_is_none() {
        let week = week("2027-03-22", &["2027-03-28T01:30:00Z"]);
        let sunday = &week.0[6].1;
        assert!(sunday[2].blank && sunday[2].href.is_none(), "{}", sunday[2].title);
        assert_eq!(sunday[2].title, "Sun 28 Mar 02:00: left out by the clocks");
        assert_eq!((sunday[3].count, sunday[3].title.as_str()), (1, "Sun 28 Mar 03:00: 1 change"));
        assert_eq!(week.cells().filter(|cell| cell.title.ends_with("left out by the clocks")).count(), 1);
    }

    #[test]
    fn an_hour_that_comes_twice_counts_both() {
        let fires = ["2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z", "2027-10-31T02:30:00Z"];
        let week = week("2027-10-25", &fires);
        let sunday: Vec<usize> = week.0[6].1.iter().map(|cell| cell.count).take(5).collect();
        assert_eq!(sunday, [0, 0, 2, 1, 0]);
        assert_eq!((week.count(), week.busiest()), (3, Some("Sun 31 Oct 02:00: 2 changes")));
    }
}
