//! Tests of the hard cases of a window, and property tests that compare a timeline with a minute-by-minute walk.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::calendar::CalendarDays;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a zone")
}

fn window(text: &str) -> Window {
    Window::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn phase(text: &str, zone_name: &str, instant: &str) -> Phase {
    WindowTimeline::new(&window(text), &zone(zone_name)).vote(at(instant)).phase()
}

#[test]
fn the_day_named_is_the_day_it_starts() {
    assert_eq!(phase("sleep Fri 22:00-06:00", "UTC", "2027-01-02T02:00:00Z"), Phase::Asleep, "a Saturday");
    assert_eq!(phase("sleep Fri 22:00-06:00", "UTC", "2027-01-01T02:00:00Z"), Phase::Awake, "a Friday");
    assert_eq!(phase("sleep Fri 22:00-06:00", "UTC", "2027-01-02T06:00:00Z"), Phase::Awake, "half-open");
    assert_eq!(phase("sleep Fri 22:00-06:00", "UTC", "2027-01-01T22:00:00Z"), Phase::Asleep, "half-open");
}

#[test]
fn a_weekend_is_one_window() {
    let (window, utc) = (window("sleep Fri 21:00 - Mon 06:00"), TimeZone::UTC);
    let sleep = WindowTimeline::new(&window, &utc).next_sleep(at("2027-01-01T00:00:00Z"));
    let weekend = Interval { start: at("2027-01-01T21:00:00Z"), end: at("2027-01-04T06:00:00Z") };
    assert_eq!(sleep, Some(weekend));
    assert_eq!(WindowTimeline::new(&window, &utc).sleep_holding(at("2027-01-03T12:00:00Z")), Some(weekend));
}

#[test]
fn the_week_wraps_from_sunday_to_monday() {
    assert_eq!(phase("sleep Sun 20:00-08:00", "UTC", "2027-01-04T07:59:00Z"), Phase::Asleep);
    assert_eq!(phase("sleep Sun 20:00-08:00", "UTC", "2027-01-04T08:00:00Z"), Phase::Awake);
}

#[test]
fn neighbours_merge_and_never_bounce() {
    let (window, utc) = (window("sleep 08:00-12:00; 12:00-18:00; 17:00-19:00"), TimeZone::UTC);
    let changes =
        WindowTimeline::new(&window, &utc).changes(at("2027-01-01T00:00:00Z"), at("2027-01-02T00:00:00Z"));
    assert_eq!(changes, [at("2027-01-01T08:00:00Z"), at("2027-01-01T19:00:00Z")]);
}

#[test]
fn a_sleep_of_many_days_is_found_whole() {
    let utc = TimeZone::UTC;
    let days = Interval { start: at("2027-01-04T00:00:00Z"), end: at("2027-01-09T00:00:00Z") };
    let nights = Interval { start: at("2027-01-04T20:00:00Z"), end: at("2027-01-09T06:00:00Z") };
    for (text, sleep, queried) in [
        ("sleep Mon-Fri 00:00-24:00", days, "2027-01-04T12:00:00Z"),
        ("sleep Mon-Fri 20:00-06:00; Tue-Fri 06:00-20:00", nights, "2027-01-04T21:00:00Z"),
        ("sleep Mon-Fri 20:00-06:00; Tue-Fri 06:00-20:00", nights, "2027-01-08T23:00:00Z"),
    ] {
        let window = window(text);
        let sleeps = WindowTimeline::new(&window, &utc).sleeps(at(queried), at(queried));
        assert_eq!(sleeps, [sleep], "{text}");
    }
    // The clock goes from 23:00 to midnight, so 23:30 and midnight are the same instant.
    let (window, nuuk) = (window("sleep Fri 20:00 - Sat 23:30; Sun 00:00-02:00"), zone("America/Nuuk"));
    let sleeps =
        WindowTimeline::new(&window, &nuuk).sleeps(at("2027-03-27T00:00:00Z"), at("2027-03-27T00:00:00Z"));
    assert_eq!(sleeps.first().map(|sleep| sleep.end), Some(at("2027-03-28T03:00:00Z")));
}

#[test]
fn a_window_that_never_changes_has_no_next_change() {
    let utc = TimeZone::UTC;
    for text in ["sleep 00:00-24:00", "awake 12:00-12:00", "sleep Mon 08:00 - Mon 08:00"] {
        let window = window(text);
        assert_eq!(
            WindowTimeline::new(&window, &utc).next_change(at("2027-01-01T00:00:00Z")),
            None,
            "{text}"
        );
    }
}

#[test]
fn many_changes_are_the_same_as_one_after_the_other() {
    let berlin = zone("Europe/Berlin");
    for text in ["sleep Mon-Fri 23:00-07:00; Sat 00:00-24:00", "awake 08:00-20:00", "sleep Sun 02:10-02:40"] {
        let window = window(text);
        let skip = WindowTimeline::new(&window, &berlin)
            .next_sleep(at("2027-03-01T00:00:00Z"))
            .map(|sleep| sleep.start);
        for skip in [None, skip] {
            let timeline = WindowTimeline { skip, ..WindowTimeline::new(&window, &berlin) };
            let mut one = Vec::new();
            let mut last = at("2027-01-01T12:00:00Z");
            while one.len() < 300 {
                last = timeline.next_change(last).expect("another");
                one.push((last, timeline.vote(last).phase()));
            }
            assert_eq!(timeline.next_changes(at("2027-01-01T12:00:00Z"), 300), one, "{text} {skip:?}");
        }
    }
}

#[test]
fn window_length_on_dst_days() {
    let berlin = zone("Europe/Berlin");
    let hours = |text: &str, after: &str| {
        let window = window(text);
        let sleep = WindowTimeline::new(&window, &berlin).next_sleep(at(after)).expect("a sleep");
        sleep.end.duration_since(sleep.start).as_mins()
    };
    // Clocks go forward on 28 March 2027 and back on 31 October 2027.
    assert_eq!(hours("sleep 23:00-07:00", "2027-03-27T12:00:00Z"), 7 * 60);
    assert_eq!(hours("sleep 23:00-07:00", "2027-10-30T12:00:00Z"), 9 * 60);
    // Both edges lie in the gap and become one instant, so there is no sleep that day.
    let (window, day) = (window("sleep 02:10-02:40"), at("2027-03-28T00:00:00Z"));
    let next = WindowTimeline::new(&window, &berlin).next_sleep(day).expect("a sleep");
    assert_eq!(next.start, at("2027-03-29T00:10:00Z"));
    // The clock shows these times twice: both edges are at their first occurrence.
    assert_eq!(hours("sleep 02:10-02:40", "2027-10-30T22:00:00Z"), 30);
    assert_eq!(hours("sleep 01:30-02:30", "2027-10-30T22:00:00Z"), 60);
    assert_eq!(hours("sleep 02:30-03:30", "2027-10-30T22:00:00Z"), 120);
}

#[test]
fn a_calendar_changes_what_starts_on_its_dates() {
    let days = Arc::new(CalendarDays {
        dates: ["2027-01-06".parse().expect("a date")].into(),
        ..CalendarDays::default()
    });
    let utc = TimeZone::UTC;
    let changes = |text: &str, effect| {
        let window = window(text);
        let days = DayRules { calendar: Some((Arc::clone(&days), effect)), ..DayRules::NONE };
        let timeline = WindowTimeline { days: &days, ..WindowTimeline::new(&window, &utc) };
        let changes = timeline.changes(at("2027-01-05T12:00:00Z"), at("2027-01-07T12:00:00Z"));
        changes.iter().map(|at| at.strftime("%d %H:%M").to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(changes("sleep 23:00-07:00", CalendarEffect::Skip), "05 23:00 06 07:00 06 23:00 07 07:00");
    assert_eq!(changes("sleep 23:00-07:00", CalendarEffect::Awake), "05 23:00 06 07:00");
    assert_eq!(changes("sleep 23:00-07:00", CalendarEffect::Asleep), "05 23:00 07 07:00");
    assert_eq!(changes("awake 08:00-20:00", CalendarEffect::Awake), "05 20:00 06 00:00 07 00:00 07 08:00");
    assert_eq!(changes("awake 08:00-20:00", CalendarEffect::Asleep), "05 20:00 07 08:00");
    let sunday = CalendarEffect::As(jiff::civil::Weekday::Sunday);
    assert_eq!(changes("sleep Wed 10:00-11:00; Sun 12:00-13:00", sunday), "06 12:00 06 13:00");
}

#[test]
fn a_far_date_of_the_calendar_is_found() {
    let days = CalendarDays { yearly: [(12, 25)].into(), ..CalendarDays::default() };
    let (window, utc) = (window("sleep 00:00-24:00"), TimeZone::UTC);
    let days = DayRules { calendar: Some((Arc::new(days), CalendarEffect::Awake)), ..DayRules::NONE };
    let timeline = WindowTimeline { days: &days, ..WindowTimeline::new(&window, &utc) };
    assert_eq!(timeline.next_change(at("2027-01-01T00:00:00Z")), Some(at("2027-12-25T00:00:00Z")));
}

#[test]
fn a_dropped_sleep_is_awake_as_a_whole() {
    let utc = TimeZone::UTC;
    for text in ["sleep 20:00-08:00", "awake 08:00-20:00"] {
        let window = window(text);
        let timeline =
            WindowTimeline { skip: Some(at("2027-01-05T20:00:00Z")), ..WindowTimeline::new(&window, &utc) };
        assert_eq!(timeline.vote(at("2027-01-05T23:00:00Z")).phase(), Phase::Awake, "{text}");
        assert_eq!(timeline.vote(at("2027-01-06T23:00:00Z")).phase(), Phase::Asleep, "{text}");
        assert_eq!(
            timeline.next_change(at("2027-01-05T12:00:00Z")),
            Some(at("2027-01-06T20:00:00Z")),
            "{text}"
        );
    }
    // A skipped sleep of several days whose parts touch each other.
    let window = window("sleep Mon-Fri 00:00-24:00");
    let timeline =
        WindowTimeline { skip: Some(at("2027-01-04T00:00:00Z")), ..WindowTimeline::new(&window, &utc) };
    assert_eq!(timeline.next_change(at("2027-01-07T12:00:00Z")), Some(at("2027-01-11T00:00:00Z")));
}

/// The zones of the property tests: offsets of whole, half and quarter hours, both hemispheres, clock changes at
/// midnight and by half an hour, and zones without clock changes.
const ZONES: [&str; 25] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Lisbon",
    "Europe/Moscow",
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Havana",
    "America/Asuncion",
    "America/Anchorage",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Tokyo",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Pacific/Auckland",
    "Pacific/Chatham",
];

/// Steps through time minute by minute and looks only at the wall clock: an edge is at the first minute at which the
/// clock shows the edge's time or a later one.
struct Walk<'a> {
    window: &'a Window,
    zone: &'a TimeZone,
    /// The latest time that the wall clock has shown, in minutes since 1970-01-01 00:00 by wall clock.
    shown: i64,
    /// The ends of the intervals that have started and not ended.
    open: Vec<i64>,
}

impl Walk<'_> {
    fn wall(&self, at: Timestamp) -> i64 {
        (at.as_second() + i64::from(self.zone.to_offset(at).seconds())).div_euclid(60)
    }

    fn step(&mut self, at: Timestamp) -> bool {
        let now = self.wall(at);
        for wall in self.shown + 1..=now {
            // 1970-01-01 was a Thursday.
            let day = jiff::civil::Weekday::Thursday.wrapping_add(wall.div_euclid(1440));
            let minute = wall.rem_euclid(1440);
            for part in &self.window.parts {
                if part.days.has(day) && i64::from(part.start) == minute {
                    self.open.push(wall + i64::from(part.length));
                }
            }
        }
        self.shown = self.shown.max(now);
        self.open.retain(|end| *end > self.shown);
        !self.open.is_empty()
    }
}

fn agrees(window: &Window, zone: &TimeZone, from: Timestamp, days: i64) {
    let timeline = WindowTimeline::new(window, zone);
    let until = shift(from, days);
    // Start nine days earlier, so that the walk knows the intervals that are open at `from`.
    let begin = shift(from, -MARGIN_DAYS);
    let mut walk = Walk { window, zone, shown: 0, open: Vec::new() };
    walk.shown = walk.wall(begin);
    let mut changes = timeline.changes(from, until).into_iter().peekable();
    let mut inside = timeline.vote(from).phase() == window.names;
    let mut at = begin;
    while at < until {
        let walked = walk.step(at);
        if at >= from {
            while changes.next_if(|change| *change <= at).is_some() {
                inside = !inside;
            }
            assert_eq!(inside, walked, "`{window}` in {zone:?} at {at}");
        }
        at += 1.minute();
    }
}

#[test]
fn state_equals_a_minute_by_minute_walk_over_3_years_in_25_zones() {
    let windows = [
        "sleep Mon-Fri 23:00-07:00; Sat 00:00-24:00",
        "awake Mon-Fri 07:30-20:00",
        "sleep Fri 20:00 - Mon 06:00; Wed 02:15-02:45",
        "sleep 02:30-03:00; 23:45-00:15",
        "sleep Sun 01:30 - Sun 01:30; Tue 00:00-00:30",
    ];
    for (index, name) in ZONES.iter().enumerate() {
        agrees(&window(windows[index % windows.len()]), &zone(name), at("2026-01-01T00:00:00Z"), 3 * 365);
    }
}

/// A window from parts given as days (bits from Monday), start and length (both in units of five minutes).
fn window_of(parts: &[(u8, i16, i16)], asleep: bool) -> Window {
    let parts = parts
        .iter()
        .map(|(days, start, length)| {
            let days = (0..7_i8)
                .filter(|day| days & (1 << day) != 0)
                .map(|day| jiff::civil::Weekday::Monday.wrapping_add(day))
                .fold(super::super::Days::default(), |all, day| all.with(super::super::Days::only(day)));
            super::super::Part { days, start: start * 5, length: length * 5 }
        })
        .collect();
    Window { names: if asleep { Phase::Asleep } else { Phase::Awake }, parts }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn an_instant_is_inside_if_one_of_the_intervals_contains_it(
        parts in proptest::collection::vec((1_u8..128, 0_i16..288, 1_i16..2016), 1..4),
        asleep in any::<bool>(),
        zone_index in 0_usize..25,
        effect in proptest::sample::select(&[
            None,
            Some(CalendarEffect::Awake),
            Some(CalendarEffect::Asleep),
            Some(CalendarEffect::As(jiff::civil::Weekday::Sunday)),
        ][..]),
        minutes in proptest::collection::vec(0_i64..1_000_000, 20),
    ) {
        let window = window_of(&parts, asleep);
        let days = CalendarDays { yearly: (1..=12).map(|month| (month, 7)).collect(), ..CalendarDays::default() };
        let zone = zone(ZONES[zone_index]);
        let days = DayRules { calendar: effect.map(|effect| (Arc::new(days), effect)), ..DayRules::NONE };
        let timeline = WindowTimeline { days: &days, ..WindowTimeline::new(&window, &zone) };
        for minute in minutes {
            let at = at("2026-01-01T00:00:00Z").checked_add(minute.minutes()).expect("an instant");
            prop_assert_eq!(timeline.is_inside(at), timeline.intervals(at, at, MARGIN_DAYS).iter().any(|one| one.holds(at)), "{}", at);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn random_windows_agree_with_the_walk(
        parts in proptest::collection::vec((1_u8..128, 0_i16..288, 1_i16..2016), 1..4),
        asleep in any::<bool>(),
        zone_index in 0_usize..25,
        day in 0_i64..700,
    ) {
        let window = window_of(&parts, asleep);
        agrees(&window, &zone(ZONES[zone_index]), shift(at("2026-01-01T00:00:00Z"), day), 30);
    }
}
