//! Data of the timeline pages: a day with its hours, the planned states of a target in a time range, and its known past
//! states.
//!
//! Past states come from DockNap's own runs: asleep from a stop to the next start. The state is unknown before the
//! first run, and after a change by somebody else.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::action::Action;
use super::desired::Rules;
use super::overrides::DesiredState;
use super::place::Place;
use super::simulate::{EventKind, Simulation};
use super::target::Target;
use super::time::resolve;

/// One hour in seconds.
const HOUR: i64 = 3600;

/// A date in a time zone, from its first instant to the first instant of the next date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    pub date: Date,
    /// First instant of the date.
    pub start: Timestamp,
    /// First instant of the next date: 23 or 25 hours later if the clocks change.
    pub end: Timestamp,
}

impl Day {
    /// The day of a date; `None` only at the ends of jiff's calendar. A date that the zone left out has length zero.
    pub fn of(date: Date, zone: &TimeZone) -> Option<Self> {
        let first = |date: Date| resolve(date.to_datetime(Time::midnight()), zone);
        Some(Self { date, start: first(date)?, end: first(date.tomorrow().ok()?)? })
    }

    /// The day that contains an instant.
    pub fn holding(at: Timestamp, zone: &TimeZone) -> Option<Self> {
        Self::of(at.to_zoned(zone.clone()).date(), zone)
    }

    /// Length in minutes.
    pub fn minutes(&self) -> i64 {
        (self.end.as_second() - self.start.as_second()) / 60
    }

    /// Minutes from the start of the day to an instant, limited to the day.
    pub fn minute(&self, at: Timestamp) -> i64 {
        ((at.as_second() - self.start.as_second()).div_euclid(60)).clamp(0, self.minutes())
    }

    /// Whether the day contains an instant.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// Consecutive hours of the day as half-open time ranges: 23 if one is left out, 25 if one occurs twice.
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

/// A value with the half-open time range in which it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch<T> {
    /// First instant of the time range.
    pub from: Timestamp,
    /// First instant after the time range.
    pub until: Timestamp,
    pub what: T,
}

/// Consecutive stretches from `from` to `until`: the first has the value `first`, and each change starts a new one.
/// Equal neighbours merge.
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
        // A change of zero length is dropped, and the stretch before it continues.
        if found.last().is_some_and(|last| last.what == what && last.until == at) {
            open = found.pop().map_or(open, |last| Stretch { until, ..last });
        }
    }
    if open.from < until {
        found.push(open);
    }
    found
}

/// Desired states of a target on a day: those of the rules up to `now`, then those of the prediction, up to where it
/// was cut off. Without a prediction the rest of the day is left out.
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

/// Known state of a target in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// DockNap had put the target to sleep and not yet woken it.
    Asleep,
    /// DockNap had woken the target.
    Awake,
    /// Part of the target was up.
    Partly,
    /// The state is unknown.
    Nothing,
}

/// An action by DockNap that succeeded, at least in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoneAction {
    pub at: Timestamp,
    pub action: Action,
    /// Whether all steps succeeded.
    pub whole: bool,
}

/// Known states from `from` to `until` after these actions, the oldest first; those before `from` count too. `now` is
/// the state at `until`. If it differs from the result of the last action, somebody else has changed the target at an
/// unknown instant, and the last stretch is [`Known::Nothing`].
pub fn lived(
    actions: &[DoneAction],
    from: Timestamp,
    until: Timestamp,
    now: Option<Known>,
) -> Vec<Stretch<Known>> {
    let after = |done: &DoneAction| match (done.action.sets_state(), done.whole, done.action.wakes()) {
        (false, ..) => None,
        (true, false, _) => Some(Known::Partly),
        (true, true, true) => Some(Known::Awake),
        (true, true, false) => Some(Known::Asleep),
    };
    let states: Vec<(Timestamp, Known)> =
        actions.iter().filter_map(|done| Some((done.at, after(done)?))).collect();
    let first =
        states.iter().take_while(|(at, _)| *at <= from).last().map_or(Known::Nothing, |(_, was)| *was);
    let changes = states.into_iter().filter(|(at, _)| *at > from && *at < until);
    let mut known = stretches(first, changes, from, until);
    if let (Some(now), Some(last)) = (now, known.last_mut())
        && last.what != now
        // A partly awake target is no contradiction: a member with a rule of its own is not part of the action.
        && now != Known::Partly
    {
        last.what = Known::Nothing;
    }
    known
}

/// Colour step of a heat map, 0 to 5, for a count: none, 1, 2, up to 4, up to 8, more.
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
        // The hour that occurs twice counts as two hours with the same label.
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
        let stretches_of = |target: &Target, first| -> Vec<(i64, i64, Option<DesiredState>)> {
            let begins = [(media.clone(), first)].into();
            let forestretches_of = Simulation { events: events.clone(), begins, cut: None };
            let plan = planned(target, &Rules::default(), Some(&forestretches_of), &day, day.start);
            plan.iter().map(|one| (day.minute(one.from), day.minute(one.until), one.what)).collect()
        };
        let (asleep, awake) = (Some(DesiredState::Asleep), Some(DesiredState::Awake));
        assert_eq!(
            stretches_of(&media, asleep),
            [(0, 420, asleep), (420, 1380, awake), (1380, 1440, asleep)]
        );
        assert_eq!(stretches_of(&media, None), [(0, 420, None), (420, 1380, awake), (1380, 1440, asleep)]);
        let other = Target::stack(HostId::local(), "wiki");
        assert_eq!(stretches_of(&other, asleep), [(0, 1440, None)]);
    }

    #[test]
    fn past_states_are_known_from_own_actions_alone() {
        let done = |text: &str, action, whole| DoneAction { at: at(text), action, whole };
        let (from, until) = (at("2027-01-05T00:00:00Z"), at("2027-01-05T12:00:00Z"));
        let stretches_of = |actions: &[DoneAction], now| -> Vec<(String, Known)> {
            let known = lived(actions, from, until, now);
            known.iter().map(|one| (one.from.strftime("%H").to_string(), one.what)).collect()
        };
        let hour = |hour: &str, what| (hour.to_owned(), what);
        assert_eq!(stretches_of(&[], Some(Known::Awake)), [hour("00", Known::Nothing)], "nobody saw it");
        let night = [
            done("2027-01-04T23:00:00Z", Action::Stop, true),
            done("2027-01-05T03:00:00Z", Action::Restart, true),
            done("2027-01-05T07:00:00Z", Action::Start, true),
        ];
        let (asleep, awake) = (hour("00", Known::Asleep), hour("07", Known::Awake));
        assert_eq!(stretches_of(&night, Some(Known::Awake)), [asleep.clone(), awake]);
        assert_eq!(stretches_of(&night, None).len(), 2, "its host does not answer");
        assert_eq!(
            stretches_of(&night, Some(Known::Asleep)),
            [asleep, hour("07", Known::Nothing)],
            "somebody has stopped it since"
        );
        assert_eq!(stretches_of(&night, Some(Known::Partly)).len(), 2, "a member was left alone");
        let half = [done("2027-01-05T05:00:00Z", Action::Stop, false)];
        assert_eq!(
            stretches_of(&half, Some(Known::Partly)),
            [hour("00", Known::Nothing), hour("05", Known::Partly)]
        );
    }

    #[test]
    fn heat_has_five_steps() {
        assert_eq!([0, 1, 2, 3, 4, 5, 8, 9, 500].map(heat), [0, 1, 2, 3, 3, 4, 4, 5, 5]);
    }
}
