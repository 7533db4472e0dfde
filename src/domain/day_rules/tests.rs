//! Tests of the dates on which a schedule acts, and property tests that compare fires and sleeps with a walk from day to
//! day.

use jiff::civil::Weekday;
use proptest::prelude::*;

use super::*;
use crate::domain::action::Action;
use crate::domain::conflict;
use crate::domain::fires::Fires;
use crate::domain::overrides::DesiredState;
use crate::domain::schedule::When;
use crate::domain::time::resolve;
use crate::domain::window::{Phase, WindowTimeline};

const ZONES: [&str; 6] = [
    "UTC",
    "Europe/Berlin",
    "America/Havana",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Auckland",
];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn every(weeks: i64, anchor: &str) -> DayRules {
    DayRules { every_weeks: Some(EveryWeeks { weeks, anchor: date(anchor) }), ..DayRules::NONE }
}

fn reading(zone: &str, days: DayRules) -> Reading {
    Reading { zone: TimeZone::get(zone).unwrap(), days }
}

fn cron(text: &str, zone: &str, days: DayRules) -> Fires {
    Fires::of(&When::Cron(text.to_owned()), &reading(zone, days), None).unwrap()
}

fn window(text: &str, zone: &str, days: DayRules) -> Fires {
    Fires::of(&When::Window(text.to_owned()), &reading(zone, days), None).unwrap()
}

/// The first `count` instants after `after`, by the clock of the zone.
fn next(fires: &Fires, zone: &str, after: &str, count: usize) -> Vec<String> {
    let local = |at: Timestamp| at.in_tz(zone).unwrap().strftime("%Y-%m-%d %H:%M").to_string();
    fires.iter(at(after)).take(count).map(local).collect()
}

#[test]
fn weeks_are_counted_from_the_monday_of_the_anchor_to_both_sides() {
    // 30 November 2026 is a Monday; the weeks go on across the end of a year with 53 weeks.
    for anchor in ["2026-11-30", "2026-12-02", "2026-12-06", "2026-11-16", "1999-12-06", "2400-12-11"] {
        let days = every(2, anchor);
        for (day, holds) in [
            ("2026-11-29", false),
            ("2026-11-30", true),
            ("2026-12-06", true),
            ("2026-12-07", false),
            ("2026-12-28", true),
            ("2027-01-03", true),
            ("2027-01-04", false),
            ("2027-01-11", true),
            ("2026-11-16", true),
            ("2026-11-15", false),
        ] {
            assert_eq!(days.holds(date(day)), holds, "{day} by {anchor}");
        }
    }
    for end in [Date::MIN, Date::MAX] {
        let days = DayRules { every_weeks: Some(EveryWeeks { weeks: 52, anchor: end }), ..DayRules::NONE };
        assert!(days.holds(end));
        assert!((0..52).filter(|week| days.holds(date("2026-11-30") + (week * 7).days())).count() == 1);
    }
}

#[test]
fn both_fields_are_read_and_each_fault_is_named() {
    let read = |weeks: Option<&str>, anchor: Option<&str>| {
        let mut faults = Vec::new();
        let every = EveryWeeks::read(weeks, anchor, |field, _| faults.push(field));
        (every, faults)
    };
    let two = EveryWeeks { weeks: 2, anchor: date("2026-11-30") };
    assert_eq!(read(Some("2"), Some("2026-11-30")), (Some(two), vec![]));
    assert_eq!(read(None, None), (None, vec![]));
    assert_eq!(read(Some("2"), None), (None, vec!["anchor"]));
    assert_eq!(read(None, Some("2026-11-30")), (None, vec!["every_weeks"]));
    for weeks in ["1", "0", "-2", "53", "2.0", "x", "99999999999999999999"] {
        assert_eq!(read(Some(weeks), Some("2026-11-31")), (None, vec!["every_weeks", "anchor"]), "{weeks}");
    }
    for anchor in ["2026-11-31", "30.11.2026", "2026-11-30T00:00", "20261130", "today", "2026-W49-1"] {
        assert_eq!(read(Some("52"), Some(anchor)), (None, vec!["anchor"]), "{anchor}");
    }
}

#[test]
fn the_sentence_names_the_weeks() {
    let words = |weeks| every(weeks, "2026-11-30").words(None);
    assert_eq!(words(2), ", every 2nd week, counted from the week of 30 Nov 2026");
    for (weeks, ordinal) in [
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (22, "22nd"),
        (52, "52nd"),
    ] {
        assert!(words(weeks).contains(&format!("every {ordinal} week")), "{}", words(weeks));
    }
    assert_eq!(DayRules::NONE.words(None), "");
}

#[test]
fn a_cron_expression_fires_in_its_weeks_alone() {
    let weekdays = cron("0 23 * * 1,5", "Europe/Berlin", every(2, "2026-11-30"));
    let expected =
        ["2026-11-30 23:00", "2026-12-04 23:00", "2026-12-14 23:00", "2026-12-18 23:00", "2026-12-28 23:00"];
    assert_eq!(next(&weekdays, "Europe/Berlin", "2026-11-28T12:00:00Z", 5), expected);
    // The zone decides which date it is: 23:00 on a Sunday in New York is Monday in UTC.
    let new_york = cron("0 23 * * 0", "America/New_York", every(2, "2026-11-29"));
    assert_eq!(
        next(&new_york, "America/New_York", "2026-11-28T12:00:00Z", 2),
        ["2026-11-29 23:00", "2026-12-13 23:00"]
    );
    // 02:30 does not exist on 28 March 2027, in a week that counts, and on no other night of it.
    let gap = cron("30 2 * * 0", "Europe/Berlin", every(2, "2027-03-28"));
    assert_eq!(
        next(&gap, "Europe/Berlin", "2027-03-20T12:00:00Z", 2),
        ["2027-03-28 03:00", "2027-04-11 02:30"]
    );
    assert_eq!(gap.dst_notes(at("2027-03-20T12:00:00Z"), 30).len(), 1);
    let other = cron("30 2 * * 0", "Europe/Berlin", every(2, "2027-03-21"));
    assert_eq!(other.dst_notes(at("2027-03-20T12:00:00Z"), 30), Vec::<String>::new());
    // What was missed is counted in the weeks that count.
    let missed = weekdays.missed(at("2026-11-28T12:00:00Z"), at("2026-12-20T12:00:00Z")).unwrap();
    assert_eq!((missed.count, missed.more), (4, false));
    assert_eq!(missed.last, at("2026-12-18T22:00:00Z"));
}

#[test]
fn a_sleep_counts_for_the_date_on_which_it_begins() {
    let zone = "Europe/Berlin";
    let nights = window("sleep 23:00-07:00", zone, every(2, "2026-11-30"));
    // From Sunday evening, the last of the week, it sleeps into the week that does not count.
    let edges = next(&nights, zone, "2026-12-06T12:00:00Z", 3);
    assert_eq!(edges, ["2026-12-06 23:00", "2026-12-07 07:00", "2026-12-14 23:00"]);
    let before = next(&nights, zone, "2026-11-29T12:00:00Z", 1);
    assert_eq!(before, ["2026-11-30 23:00"], "the night to Monday belongs to the week before");
    // A whole weekend of three parts, and one part over it: each part goes by the date on which it begins.
    let parts = window("sleep Fri 20:00 - Mon 06:00", zone, every(2, "2026-11-30"));
    let edges = next(&parts, zone, "2026-12-05T12:00:00Z", 3);
    assert_eq!(edges, ["2026-12-07 06:00", "2026-12-18 20:00", "2026-12-21 06:00"]);
    // The hour that the clocks leave out or repeat lies in a week that counts.
    let gap = window("sleep Sun 01:00-04:00", zone, every(2, "2027-03-28"));
    assert_eq!(next(&gap, zone, "2027-03-20T12:00:00Z", 2), ["2027-03-28 01:00", "2027-03-28 04:00"]);
    let Fires::Window(window, reading, _) = &gap else { unreachable!() };
    let timeline = WindowTimeline::of(window, reading, None);
    assert_eq!(timeline.dst_notes(at("2027-03-20T12:00:00Z"), 30).len(), 1);
}

#[test]
fn a_calendar_and_the_weeks_both_count() {
    let skipped: Arc<CalendarDays> = Arc::new(CalendarDays {
        dates: [date("2026-12-14"), date("2026-12-07")].into(),
        ..CalendarDays::default()
    });
    let days = DayRules { calendar: Some((skipped, CalendarEffect::Skip)), ..every(2, "2026-11-30") };
    let mondays = cron("0 23 * * 1", "UTC", days.clone());
    let expected = ["2026-11-30 23:00", "2026-12-28 23:00", "2027-01-11 23:00"];
    assert_eq!(next(&mondays, "UTC", "2026-11-28T12:00:00Z", 3), expected);
    assert!(days.is_taken_by_calendar(date("2026-12-14")));
    assert!(!days.is_taken_by_calendar(date("2026-12-07")), "it is not its week either way");
}

#[test]
fn a_search_ends_where_nothing_comes() {
    // 29 February comes every four years, and every 52nd week seldom meets it.
    let leap = |anchor: &str| cron("0 0 29 2 *", "UTC", every(52, anchor)).next(at("2026-11-30T00:00:00Z"));
    let found = leap("2028-02-29");
    assert_eq!(found, Some(at("2028-02-29T00:00:00Z")));
    let after = cron("* * 29 2 *", "UTC", every(52, "2028-02-29")).next(at("2028-03-01T00:00:00Z"));
    let year = after.map(|at| at.in_tz("UTC").unwrap().year());
    assert!(year.is_none_or(|year| year <= 2128), "{after:?}");
    let never = (0..52).filter(|week| {
        let anchor = date("2026-11-30") + (week * 7).days();
        leap(&anchor.to_string()).is_none()
    });
    assert!(never.count() > 20, "25 leap days of a century are in at most 25 of 52 weeks");
    let fires = cron("0 0 29 2 *", "UTC", every(52, "2026-11-30"));
    assert_eq!(fires.missed(at("2026-11-30T00:00:00Z"), at("2027-11-30T00:00:00Z")), None);
    let sundays = window("sleep Sun 02:10-02:40", "Europe/Berlin", every(52, "2027-03-28"));
    // The clocks leave out that hour on the Sunday of this week in three years running.
    assert_eq!(sundays.next(at("2027-03-20T00:00:00Z")), Some(at("2030-03-24T01:10:00Z")));
}

#[test]
fn schedules_conflict_in_the_weeks_of_both_alone() {
    let after = at("2026-11-28T00:00:00Z");
    let even = cron("0 23 * * 1", "UTC", every(2, "2026-11-30"));
    let odd = cron("0 23 * * 1", "UTC", every(2, "2026-12-07"));
    let third = cron("0 23 * * 1", "UTC", every(3, "2026-12-07"));
    assert_eq!(conflict::first_clash(&even, &odd, after), None);
    assert_eq!(conflict::first_clash(&even, &third, after), Some(at("2026-12-28T23:00:00Z")));
    // A stop inside the sleep hours contradicts nothing, but in the weeks without sleep it does.
    let stop = cron("30 23 * * *", "UTC", DayRules::NONE);
    let Fires::Window(sleep, reading, _) = window("sleep 23:00-07:00", "UTC", every(2, "2026-11-30")) else {
        unreachable!()
    };
    let timeline = WindowTimeline::of(&sleep, &reading, None);
    let found = conflict::first_contradiction(&stop, Action::Stop, timeline, at("2026-12-01T00:00:00Z"));
    assert_eq!(found, Some((at("2026-12-07T23:30:00Z"), DesiredState::Awake)));
    let start = conflict::first_contradiction(&stop, Action::Start, timeline, at("2026-12-07T12:00:00Z"));
    assert_eq!(start, Some((at("2026-12-14T23:30:00Z"), DesiredState::Asleep)));
}

fn only(dates: &[&str], yearly: &[(i8, i8)]) -> DayRules {
    let dates = dates.iter().map(|day| date(day)).collect();
    let days = CalendarDays { dates, yearly: yearly.iter().copied().collect() };
    DayRules { calendar: Some((Arc::new(days), CalendarEffect::Only)), ..DayRules::NONE }
}

#[test]
fn the_days_of_a_calendar_can_be_the_only_ones() {
    let days = only(&["2026-12-24", "2027-01-06"], &[]);
    let nightly = cron("0 23 * * *", "Europe/Berlin", days.clone());
    let after = "2026-11-30T00:00:00Z";
    assert_eq!(next(&nightly, "Europe/Berlin", after, 5), ["2026-12-24 23:00", "2027-01-06 23:00"]);
    assert_eq!(nightly.meaning(&TimeZone::UTC), "At 23:00, only on the days of its calendar");
    let missed = nightly.missed(at(after), at("2027-02-01T00:00:00Z")).unwrap();
    assert_eq!(missed.count, 2);
    // A sleep that begins on such a day goes on into the next; one from the day before does not begin.
    let sleep = window("sleep 22:00-06:00", "Europe/Berlin", days.clone());
    let edges = ["2026-12-24 22:00", "2026-12-25 06:00", "2027-01-06 22:00", "2027-01-07 06:00"];
    assert_eq!(next(&sleep, "Europe/Berlin", after, 9), edges);
    assert!(!days.is_taken_by_calendar(date("2026-12-25")), "it is not told as left out each day");
    // The clocks leave out 02:30 on 28 March 2027.
    let gap = cron("30 2 * * *", "Europe/Berlin", only(&["2027-03-28"], &[]));
    assert_eq!(next(&gap, "Europe/Berlin", after, 3), ["2027-03-28 03:00"]);
    assert_eq!(gap.dst_notes(at(after), 400).len(), 1);
    // Far days are found, and the search ends without any.
    let leap = only(&[], &[(2, 29)]);
    let found = next(&cron("0 12 * * *", "UTC", leap.clone()), "UTC", after, 2);
    assert_eq!(found, ["2028-02-29 12:00", "2032-02-29 12:00"]);
    let found = next(&window("sleep 12:00-13:00", "UTC", leap.clone()), "UTC", after, 2);
    assert_eq!(found, ["2028-02-29 12:00", "2028-02-29 13:00"]);
    assert_eq!(cron("0 12 * * *", "UTC", only(&["2020-01-01"], &[])).next(at(after)), None);
    assert_eq!(window("sleep 12:00-13:00", "UTC", only(&[], &[])).next(at(after)), None);
    let both = DayRules {
        every_weeks: every(2, "2026-12-24").every_weeks,
        ..only(&["2026-12-24", "2026-12-31"], &[])
    };
    assert_eq!(next(&cron("0 12 * * *", "UTC", both), "UTC", after, 3), ["2026-12-24 12:00"]);
    // A stop inside the hours of a sleep contradicts it on the other days.
    let stop = cron("30 22 * * *", "UTC", DayRules::NONE);
    let Fires::Window(sleep, reading, _) = window("sleep 22:00-06:00", "UTC", days) else { unreachable!() };
    let timeline = WindowTimeline::of(&sleep, &reading, None);
    let found = conflict::first_contradiction(&stop, Action::Stop, timeline, at("2026-12-24T12:00:00Z"));
    assert_eq!(found, Some((at("2026-12-25T22:30:00Z"), DesiredState::Awake)));
}

fn nth(text: &str) -> DayRules {
    DayRules { nth: Nth::parse(text).unwrap(), ..DayRules::NONE }
}

#[test]
fn like_weekdays_of_a_month_are_counted_from_its_start_and_its_end() {
    // February 2027 has four of each weekday, and March five Mondays, Tuesdays and Wednesdays.
    for (text, dates) in [
        ("1", &["2027-02-01", "2027-02-07", "2027-03-07"][..]),
        ("2", &["2027-02-08", "2027-02-14"]),
        ("4", &["2027-02-22", "2027-02-28", "2027-03-28", "2027-03-22"]),
        ("5", &["2027-03-29", "2027-03-31", "2028-02-29"]),
        ("-1", &["2027-02-22", "2027-02-28", "2027-03-25", "2027-03-31", "2028-02-29"]),
        ("1,-1", &["2027-02-01", "2027-02-28"]),
    ] {
        for day in dates {
            assert!(nth(text).holds(date(day)), "{text} on {day}");
        }
    }
    for (text, dates) in [
        ("1", &["2027-02-08", "2027-02-28"][..]),
        ("4", &["2027-03-29", "2027-03-21"]),
        ("5", &["2027-02-28", "2027-03-28"]),
        ("-1", &["2027-02-21", "2027-03-24"]),
        ("1,-1", &["2027-02-08", "2027-02-21"]),
    ] {
        for day in dates {
            assert!(!nth(text).holds(date(day)), "{text} on {day}");
        }
    }
    let fridays = cron("0 18 * * 5", "UTC", nth("1,-1"));
    let expected = ["2026-12-04 18:00", "2026-12-25 18:00", "2027-01-01 18:00", "2027-01-29 18:00"];
    assert_eq!(next(&fridays, "UTC", "2026-11-30T00:00:00Z", 4), expected);
    // From the last Saturday of a month it sleeps into the next month.
    let sleep = window("sleep Sat 22:00 - Mon 06:00", "UTC", nth("-1"));
    assert_eq!(next(&sleep, "UTC", "2027-01-15T00:00:00Z", 2), ["2027-01-30 22:00", "2027-02-01 06:00"]);
    let both = DayRules { nth: Nth::parse("1").unwrap(), ..every(2, "2026-12-04") };
    let fridays = cron("0 18 * * 5", "UTC", both);
    let expected = ["2026-12-04 18:00", "2027-01-01 18:00", "2027-02-12 18:00"];
    assert_eq!(next(&fridays, "UTC", "2026-11-30T00:00:00Z", 2), expected[..2]);
}

#[test]
fn numbers_of_weekdays_are_read_in_any_order_and_written_in_one() {
    let text = |text: &str| Nth::parse(text).map(Nth::to_text);
    assert_eq!(text("-1, 1"), Ok(Some("1,-1".to_owned())));
    assert_eq!(text("5 3,3"), Ok(Some("3,5".to_owned())));
    assert_eq!(text(" , "), Ok(None));
    for wrong in ["0", "6", "-2", "first", "1;2", "1.5", "1,x"] {
        assert!(Nth::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(serde_json::to_string(&Nth::parse("-1,2").unwrap()).unwrap(), "[2,-1]");
    assert_eq!(serde_json::to_string(&Nth::ALL).unwrap(), "null");
    let friday = Some(Weekday::Friday);
    assert_eq!(nth("1,-1").words(friday), ", only on the 1st and last Friday of the month");
    assert_eq!(nth("2").words(None), ", only on the 2nd of each weekday in the month");
    assert_eq!(nth("1,2,3").words(friday), ", only on the 1st, 2nd and 3rd Friday of the month");
}

#[test]
fn a_search_over_weeks_and_weekdays_ends() {
    let rare = |weeks: i64, numbers: &str| DayRules {
        nth: Nth::parse(numbers).unwrap(),
        ..every(weeks, "2026-11-30")
    };
    let after = at("2026-12-01T00:00:00Z");
    // Every 52nd Monday goes back a day a year, until it is the fifth of its month.
    let fifth = window("sleep Mon 01:00-02:00", "UTC", rare(52, "5")).next(after).unwrap();
    assert!(fifth > at("2026-12-01T00:00:00Z") && fifth < at("2060-01-01T00:00:00Z"), "{fifth}");
    assert_eq!(cron("0 1 * * 1", "UTC", rare(52, "5")).next(after), Some(fifth));
    // The first of a month is never a fifth weekday.
    assert_eq!(cron("0 0 1 * *", "UTC", nth("5")).next(after), None);
    assert_eq!(cron("* * 29 2 *", "UTC", rare(52, "1,2")).next(after), None);
    let Fires::Window(window, reading, _) = window("sleep Mon 01:00-02:00", "UTC", rare(52, "5")) else {
        unreachable!()
    };
    let timeline = WindowTimeline::of(&window, &reading, None);
    assert_eq!(timeline.next_sleep(after).map(|sleep| sleep.start), Some(fifth));
}

/// Whether a date is one of the numbered weekdays, by counting those before and after it.
fn is_numbered(day: Date, numbers: &[i8]) -> bool {
    let like = |other: &Date| other.weekday() == day.weekday();
    let month = day.first_of_month().series(1.day()).take(usize::try_from(day.days_in_month()).unwrap());
    let alike: Vec<Date> = month.filter(like).collect();
    let place = alike.iter().position(|other| *other == day).unwrap() + 1;
    numbers.iter().any(|number| match number {
        -1 => place == alike.len(),
        number => usize::try_from(*number).unwrap() == place,
    })
}

/// Whether a date lies in one of the weeks, by walking back to Mondays.
fn is_in_week(day: Date, every: EveryWeeks) -> bool {
    let monday = |mut day: Date| {
        while day.weekday() != Weekday::Monday {
            day = day.yesterday().unwrap();
        }
        day
    };
    let (mut earlier, mut later) =
        (monday(day).min(monday(every.anchor)), monday(day).max(monday(every.anchor)));
    let mut weeks = 0;
    while earlier < later {
        later = later.checked_sub(7.days()).unwrap();
        weeks += 1;
    }
    earlier = later;
    assert_eq!(earlier, later);
    weeks % every.weeks == 0
}

fn numbers() -> impl Strategy<Value = Vec<i8>> {
    proptest::sample::subsequence(vec![1_i8, 2, 3, 4, 5, -1], 0..5)
}

/// The rules of generated weeks and numbers; without numbers all weekdays of a month count.
fn days_of(every: EveryWeeks, numbers: &[i8]) -> DayRules {
    let text = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    DayRules { every_weeks: Some(every), ..nth(&text) }
}

fn counts(day: Date, every: EveryWeeks, numbers: &[i8]) -> bool {
    is_in_week(day, every) && (numbers.is_empty() || is_numbered(day, numbers))
}

fn rules() -> impl Strategy<Value = EveryWeeks> {
    (2_i64..8, -900_i64..900).prop_map(|(weeks, off)| EveryWeeks {
        weeks,
        anchor: date("2027-03-03").checked_add(off.days()).unwrap(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn fires_are_those_of_a_walk_from_day_to_day(
        every in rules(),
        numbers in numbers(),
        (hour, minute, weekday) in (0_i8..24, 0_i8..60, 0_u8..8),
        zone in proptest::sample::select(&ZONES[..]),
        start in 0_i64..400,
    ) {
        let of_week = if weekday == 7 { "*".to_owned() } else { weekday.to_string() };
        let days = days_of(every, &numbers);
        let fires = cron(&format!("{minute} {hour} * * {of_week}"), zone, days);
        let (from, tz) = (date("2026-06-01").checked_add(start.days()).unwrap(), TimeZone::get(zone).unwrap());
        let after = resolve(from.at(0, 0, 0, 0), &tz).unwrap() - 1.millisecond();
        let until = after + (24 * 200).hours();
        let naive: Vec<Timestamp> = from
            .series(1.day())
            .take(202)
            .filter(|day| weekday == 7 || u8::try_from(day.weekday().to_sunday_zero_offset()).unwrap() == weekday)
            .filter(|day| counts(*day, every, &numbers))
            .filter_map(|day| resolve(day.at(hour, minute, 0, 0), &tz))
            .filter(|at| *at > after && *at <= until)
            .collect();
        let found: Vec<Timestamp> = fires.iter(after).take_while(|at| *at <= until).collect();
        prop_assert_eq!(&found, &naive);
        let missed = fires.missed(after, until);
        prop_assert_eq!(missed.map_or(0, |missed| missed.count as usize), naive.len());
        prop_assert_eq!(fires.last_at_or_before(after, until), naive.last().copied());
    }

    #[test]
    fn sleeps_are_those_of_a_walk_from_day_to_day(
        every in rules(),
        numbers in numbers(),
        (day, start, length) in (0_i64..7, 0_i64..48, 1_i64..200),
        zone in proptest::sample::select(&ZONES[..]),
        begin in 0_i64..300,
    ) {
        let weekday = Weekday::Monday.wrapping_add(day);
        let (start, length) = (start * 30, length * 30);
        let end = (day * 1440 + start + length).rem_euclid(7 * 1440);
        let name = |day: i64| ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][usize::try_from(day).unwrap()];
        let clock = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
        let text = format!(
            "sleep {} {} - {} {}", name(day), clock(start), name(end / 1440), clock(end % 1440)
        );
        let days = days_of(every, &numbers);
        let fires = window(&text, zone, days);
        let Fires::Window(window, reading, _) = &fires else { unreachable!() };
        let timeline = WindowTimeline::of(window, reading, None);
        let from = date("2026-06-01").checked_add(begin.days()).unwrap();
        let is_asleep = |instant: Timestamp| {
            let today = instant.to_zoned(reading.zone.clone()).date();
            let mut days = today.checked_sub(9.days()).unwrap().series(1.day()).take(11);
            days.any(|day| {
                let begin = day.at(0, 0, 0, 0).checked_add(start.minutes()).unwrap();
                let end = begin.checked_add(length.minutes()).unwrap();
                day.weekday() == weekday
                    && counts(day, every, &numbers)
                    && resolve(begin, &reading.zone).unwrap() <= instant
                    && instant < resolve(end, &reading.zone).unwrap()
            })
        };
        let mut instant = resolve(from.at(0, 0, 0, 0), &reading.zone).unwrap();
        for _ in 0..60 {
            let asleep = is_asleep(instant);
            prop_assert_eq!(timeline.vote(instant).phase() == Phase::Asleep, asleep, "{} at {}", text, instant);
            let change = fires.next(instant).unwrap();
            prop_assert_eq!(is_asleep(change), !asleep, "{} at {}", text, change);
            prop_assert_eq!(is_asleep(change - 1.minute()), asleep, "{} before {}", text, change);
            instant += (17 * 60 + 13).minutes();
        }
    }
}
