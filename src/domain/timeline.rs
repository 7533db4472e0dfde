//! Time as it is drawn: a day with its hours, what is planned of a target in it, and what is known of how it was.
//!
//! What is known comes from DockNap's own runs: asleep from a stop to the next start. Where there was none, and where
//! somebody else has changed it since, nothing is known, and nothing is claimed.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::action::Action;
use super::desired::Rules;
use super::overrides::{DesiredState, Place};
use super::simulate::{EventKind, Simulation};
use super::target::Target;
use super::time::resolve;

/// In seconds.
const HOUR: i64 = 3600;

/// A date in a zone, from its first instant to the first of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Which.
    pub date: Date,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it: 23 or 25 hours later where the clocks change.
    pub end: Timestamp,
}

impl Day {
    /// A date; `None` only at the ends of jiff's calendar. One that a zone has left out has no length.
    pub fn of(date: Date, zone: &TimeZone) -> Option<Self> {
        let first = |date: Date| resolve(date.to_datetime(Time::midnight()), zone);
        Some(Self { date, start: first(date)?, end: first(date.tomorrow().ok()?)? })
    }

    /// The date that holds an instant.
    pub fn holding(at: Timestamp, zone: &TimeZone) -> Option<Self> {
        Self::of(at.to_zoned(zone.clone()).date(), zone)
    }

    /// Its length.
    pub fn minutes(&self) -> i64 {
        (self.end.as_second() - self.start.as_second()) / 60
    }

    /// Minutes from its start to an instant, which may lie outside: then its nearer end.
    pub fn minute(&self, at: Timestamp) -> i64 {
        ((at.as_second() - self.start.as_second()).div_euclid(60)).clamp(0, self.minutes())
    }

    /// Whether an instant lies in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// Its hours one after the other: 23 where one is left out, 25 where one comes twice.
    pub fn hours(&self) -> Vec<(Timestamp, Timestamp)> {
        let mut hours = Vec::with_capacity(25);
        let mut from = self.start;
        while from < self.end {
            let next = Timestamp::from_second(from.as_second() + HOUR).unwrap_or(self.end).min(self.end);
            hours.push((from, next));
            from = next;
        }
        hours
    }
}

/// Something that lasts: half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch<T> {
    /// The first instant of it.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    pub what: T,
}

/// Stretches from `from` to `until`, beginning with `first`, each change beginning the next; what stays the same is
/// one.
fn stretches<T: Copy + PartialEq>(
    first: T,
    changes: impl IntoIterator<Item = (Timestamp, T)>,
    from: Timestamp,
    until: Timestamp,
) -> Vec<Stretch<T>> {
    let mut found: Vec<Stretch<T>> = Vec::new();
    let mut open = Stretch { from, until, what: first };
    for (at, what) in changes {
        let at = at.clamp(from, until);
        if what == open.what {
            continue;
        }
        if open.from < at {
            found.push(Stretch { until: at, ..open });
        }
        open = Stretch { from: at, until, what };
        // What was the same before a change of no length goes on.
        if found.last().is_some_and(|last| last.what == what && last.until == at) {
            open = found.pop().map_or(open, |last| Stretch { until, ..last });
        }
    }
    if open.from < until {
        found.push(open);
    }
    found
}

/// What is wanted of a target on a day: by what holds now up to `now`, then as it is foretold. What is not foretold is
/// not told.
pub fn planned(
    target: &Target,
    rules: &Rules,
    foretold: Option<&Simulation>,
    day: &Day,
    now: Timestamp,
) -> Vec<Stretch<Option<DesiredState>>> {
    let place = Place::of_target(target);
    let turn = now.clamp(day.start, day.end);
    let first = rules.at(day.start).desired(place).wanted;
    let past = rules.transitions(place, day.start, turn, usize::MAX);
    let past = past.into_iter().map(|change| (change.at, change.wanted));
    let Some(foretold) = foretold else { return stretches(first, past, day.start, turn) };
    let edges = foretold.events.iter().filter(|event| event.acts && event.target == *target);
    let edges = edges.filter_map(|event| match event.kind {
        EventKind::Edge(wanted) => Some((event.at, wanted)),
        EventKind::Fire(_) => None,
    });
    let begins = (turn, foretold.begins.get(target).copied().flatten());
    let until = foretold.cut.map_or(day.end, |cut| cut.clamp(turn, day.end));
    stretches(first, past.chain([begins]).chain(edges), day.start, until)
}

/// What is known of how something was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// DockNap had put it to sleep, and has not woken it yet.
    Asleep,
    /// DockNap had woken it.
    Awake,
    /// Some of it was up, some was not.
    Partly,
    /// Nothing.
    Nothing,
}

/// Something of ours that ended well, at least in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoneAction {
    pub at: Timestamp,
    pub action: Action,
    /// All of it.
    pub whole: bool,
}

/// What is known from `from` to `until` by what was done, the oldest first; what was done before `from` counts too.
/// `now` is how it is at `until`: where that is something else than the last deed left, somebody else has changed it,
/// nobody knows when.
pub fn lived(
    deeds: &[DoneAction],
    from: Timestamp,
    until: Timestamp,
    now: Option<Known>,
) -> Vec<Stretch<Known>> {
    let after = |deed: &DoneAction| match (deed.action.sets_state(), deed.whole, deed.action.wakes()) {
        (false, ..) => None,
        (true, false, _) => Some(Known::Partly),
        (true, true, true) => Some(Known::Awake),
        (true, true, false) => Some(Known::Asleep),
    };
    let states: Vec<(Timestamp, Known)> =
        deeds.iter().filter_map(|deed| Some((deed.at, after(deed)?))).collect();
    let first =
        states.iter().take_while(|(at, _)| *at <= from).last().map_or(Known::Nothing, |(_, was)| *was);
    let changes = states.into_iter().filter(|(at, _)| *at > from && *at < until);
    let mut known = stretches(first, changes, from, until);
    if let (Some(now), Some(last)) = (now, known.last_mut())
        && last.what != now
        // A member with a rule of its own is left alone: that is no contradiction.
        && now != Known::Partly
    {
        last.what = Known::Nothing;
    }
    known
}

/// The step of a heat map's colour, 0 to 5: nothing, 1, 2, up to 4, up to 8, more.
pub fn heat(count: usize) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3..=4 => 3,
        5..=8 => 4,
        _ => 5,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::domain::ids::HostId;
    use crate::domain::simulate::Event;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn day(date: &str) -> Day {
        Day::of(date.parse().unwrap(), &TimeZone::get("Europe/Berlin").unwrap()).unwrap()
    }

    #[test]
    fn a_day_has_23_24_or_25_hours() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let clock = |at: &Timestamp| at.to_zoned(zone.clone()).strftime("%H:%M").to_string();
        for (date, hours, at_two) in
            [("2027-03-27", 24, "02:00"), ("2027-03-28", 23, "03:00"), ("2027-10-31", 25, "02:00")]
        {
            let day = day(date);
            let found = day.hours();
            assert_eq!((found.len(), day.minutes()), (hours, i64::try_from(hours).unwrap() * 60), "{date}");
            assert_eq!(clock(&found[2].0), at_two, "{date}");
            assert_eq!(found.first().unwrap().0, day.start);
            assert_eq!(found.last().unwrap().1, day.end);
            assert!(found.windows(2).all(|two| two[0].1 == two[1].0), "{date}: no gap");
        }
        // The hour that comes twice is two hours with one name.
        assert_eq!(clock(&day("2027-10-31").hours()[3].0), "02:00");
    }

    #[test]
    fn minutes_are_counted_in_real_time_and_stay_in_the_day() {
        let spring = day("2027-03-28");
        assert_eq!(spring.minute(at("2027-03-28T01:00:00Z")), 120, "03:00 is two hours after midnight");
        assert_eq!(spring.minute(at("2027-03-27T00:00:00Z")), 0);
        assert_eq!(spring.minute(at("2027-03-30T00:00:00Z")), 23 * 60);
        assert!(spring.holds(spring.start) && !spring.holds(spring.end));
    }

    #[test]
    fn zones_with_odd_days_are_drawn_too() {
        // Samoa had no 30 December 2011; Lord Howe moves its clocks by half an hour.
        let samoa = Day::of("2011-12-30".parse().unwrap(), &TimeZone::get("Pacific/Apia").unwrap()).unwrap();
        assert_eq!((samoa.minutes(), samoa.hours().len()), (0, 0));
        let howe =
            Day::of("2027-10-03".parse().unwrap(), &TimeZone::get("Australia/Lord_Howe").unwrap()).unwrap();
        assert_eq!((howe.minutes(), howe.hours().len()), (23 * 60 + 30, 24));
    }

    fn edge(text: &str, wanted: Option<DesiredState>, acts: bool) -> Event {
        Event {
            at: at(text),
            target: Target::stack(HostId::local(), "media"),
            kind: EventKind::Edge(wanted),
            schedule: None,
            acts,
            reason: String::new(),
        }
    }

    #[test]
    fn a_plan_goes_from_edge_to_edge() {
        let day = day("2027-01-05");
        let media = Target::stack(HostId::local(), "media");
        let events = [
            edge("2027-01-05T06:00:00Z", Some(DesiredState::Awake), true),
            edge("2027-01-05T12:00:00Z", Some(DesiredState::Asleep), false),
            edge("2027-01-05T22:00:00Z", Some(DesiredState::Asleep), true),
        ];
        let events = events.to_vec();
        let told = |target: &Target, first| -> Vec<(i64, i64, Option<DesiredState>)> {
            let begins = [(media.clone(), first)].into();
            let foretold = Simulation { events: events.clone(), begins, cut: None };
            let plan = planned(target, &Rules::default(), Some(&foretold), &day, day.start);
            plan.iter().map(|one| (day.minute(one.from), day.minute(one.until), one.what)).collect()
        };
        let (asleep, awake) = (Some(DesiredState::Asleep), Some(DesiredState::Awake));
        assert_eq!(told(&media, asleep), [(0, 420, asleep), (420, 1380, awake), (1380, 1440, asleep)]);
        assert_eq!(told(&media, None), [(0, 420, None), (420, 1380, awake), (1380, 1440, asleep)]);
        let other = Target::stack(HostId::local(), "wiki");
        assert_eq!(told(&other, asleep), [(0, 1440, None)]);
    }

    #[test]
    fn what_was_is_known_from_deeds_alone() {
        let deed = |text: &str, action, whole| DoneAction { at: at(text), action, whole };
        let (from, until) = (at("2027-01-05T00:00:00Z"), at("2027-01-05T12:00:00Z"));
        let told = |deeds: &[DoneAction], now| -> Vec<(String, Known)> {
            let known = lived(deeds, from, until, now);
            known.iter().map(|one| (one.from.strftime("%H").to_string(), one.what)).collect()
        };
        let hour = |hour: &str, what| (hour.to_owned(), what);
        assert_eq!(told(&[], Some(Known::Awake)), [hour("00", Known::Nothing)], "nobody saw it");
        let night = [
            deed("2027-01-04T23:00:00Z", Action::Stop, true),
            deed("2027-01-05T03:00:00Z", Action::Restart, true),
            deed("2027-01-05T07:00:00Z", Action::Start, true),
        ];
        let (asleep, awake) = (hour("00", Known::Asleep), hour("07", Known::Awake));
        assert_eq!(told(&night, Some(Known::Awake)), [asleep.clone(), awake]);
        assert_eq!(told(&night, None).len(), 2, "its host does not answer");
        assert_eq!(
            told(&night, Some(Known::Asleep)),
            [asleep, hour("07", Known::Nothing)],
            "somebody has stopped it since"
        );
        assert_eq!(told(&night, Some(Known::Partly)).len(), 2, "a member was left alone");
        let half = [deed("2027-01-05T05:00:00Z", Action::Stop, false)];
        assert_eq!(told(&half, Some(Known::Partly)), [hour("00", Known::Nothing), hour("05", Known::Partly)]);
    }

    #[test]
    fn heat_has_five_steps() {
        assert_eq!([0, 1, 2, 3, 4, 5, 8, 9, 500].map(heat), [0, 1, 2, 3, 3, 4, 4, 5, 5]);
    }
}
