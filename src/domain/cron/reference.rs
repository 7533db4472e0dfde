//! A second implementation of semantics §3 that shares no code with the first. This one steps through every minute:
//! slow, but simple enough to be checked by reading. Property tests compare the results of [`Cron::next`] with it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::Cron;
use crate::domain::time::zone;

/// Whether the value matches a field's text. The text may hold numbers only. For a Sunday, callers test both 0 and 7.
fn field_matches(text: &str, value: i8, lowest: i8) -> bool {
    text.split(',').any(|item| {
        let (base, step) = item.split_once('/').unwrap_or((item, "1"));
        let step: i8 = step.parse().unwrap();
        let (low, high) = match (base, base.split_once('-')) {
            ("*", _) => (lowest, 60),
            (_, Some((low, high))) => (low.parse().unwrap(), high.parse().unwrap()),
            (one, None) => (one.parse().unwrap(), one.parse().unwrap()),
        };
        value >= low && value <= high && (value - low) % step == 0
    })
}

/// The five fields of an expression.
struct Fields {
    /// For each field, the results of `field_matches` for the values 0 to 59.
    matches: [Vec<bool>; 5],
    both_days: bool,
    wildcard: bool,
}

impl Fields {
    fn new(text: &str) -> Self {
        let fields: Vec<&str> = text.split(' ').collect();
        let star = |index: usize| fields[index].starts_with('*');
        let lowest = [0, 0, 1, 1, 0];
        let matches = std::array::from_fn(|index| {
            (0..60).map(|value| field_matches(fields[index], value, lowest[index])).collect()
        });
        Self { matches, both_days: star(2) || star(4), wildcard: star(0) || star(1) }
    }

    /// Whether a wall-clock minute matches.
    fn matches(&self, wall: DateTime) -> bool {
        let field = |index: usize, value: i8| self.matches[index][usize::try_from(value).unwrap()];
        let by_day = field(2, wall.day());
        let weekday = wall.weekday().to_sunday_zero_offset();
        let by_weekday = field(4, weekday) || (weekday == 0 && field(4, 7));
        let today = if self.both_days { by_day && by_weekday } else { by_day || by_weekday };
        today && field(0, wall.minute()) && field(1, wall.hour()) && field(3, wall.month())
    }
}

/// Every fire in (after, until], found by stepping through real time minute by minute.
fn fires(text: &str, after: Timestamp, until: Timestamp, zone: &TimeZone) -> Vec<Timestamp> {
    let fields = Fields::new(text);
    // Start two days early, so that `shown` includes the times that the clock showed before `after`.
    let mut second = (after.as_second().div_euclid(60) - 2 * 24 * 60) * 60;
    let mut shown = zone.to_datetime(Timestamp::from_second(second).unwrap());
    let mut found = Vec::new();
    loop {
        second += 60;
        let instant = Timestamp::from_second(second).unwrap();
        if instant > until {
            return found;
        }
        let wall = zone.to_datetime(instant);
        let fire = if fields.wildcard {
            fields.matches(wall)
        } else {
            // Test each wall-clock time that the clock now shows or has just skipped, and has not shown before.
            let mut any = false;
            while shown < wall {
                shown = shown.checked_add(jiff::Span::new().minutes(1)).unwrap();
                any |= fields.matches(shown);
            }
            any
        };
        if fire && instant > after {
            found.push(instant);
        }
    }
}

/// Zones with unusual clock changes, described beside each.
const ZONES: &[&str] = &[
    "Europe/Berlin",
    "America/New_York",
    "Europe/Dublin",        // negative daylight saving in winter
    "Australia/Lord_Howe",  // change by half an hour
    "Antarctica/Troll",     // change by two hours
    "Pacific/Apia",         // no 30 December 2011
    "Pacific/Kwajalein",    // no 21 August 1993
    "America/Sao_Paulo",    // gaps at midnight until 2018
    "Africa/Cairo",         // gap at midnight of a Friday
    "Africa/Casablanca",    // changes around Ramadan
    "Asia/Beirut",          // overlap over midnight
    "America/Havana",       // overlap at 01:00, gap at midnight
    "America/St_Johns",     // changes at 00:01 until 2011
    "Pacific/Chatham",      // changes at 02:45
    "Asia/Kathmandu",       // one change by 15 minutes
    "Asia/Pyongyang",       // two changes by half an hour
    "America/Caracas",      // two changes by half an hour
    "America/Santiago",     // changes at midnight
    "America/Nuuk",         // changes on a Saturday evening
    "Antarctica/Casey",     // many changes by three hours
    "Asia/Tehran",          // changes by the Persian calendar
    "Asia/Gaza",            // changes by decree, at irregular dates
    "America/Scoresbysund", // standard offset and daylight saving change at the same instant
    "UTC",
];

/// A list item within `low..=high`: a value, a range, a stepped range.
fn item(low: u8, high: u8) -> impl Strategy<Value = String> {
    (low..=high, low..=high, 1..=5u8, 0..4u8).prop_map(|(a, b, step, kind)| {
        let (from, to) = (a.min(b), a.max(b));
        match kind {
            0 | 1 => from.to_string(),
            2 => format!("{from}-{to}"),
            _ => format!("{from}-{to}/{step}"),
        }
    })
}

fn list(low: u8, high: u8) -> impl Strategy<Value = String> {
    prop::collection::vec(item(low, high), 1..4).prop_map(|items| items.join(","))
}

/// A field: `*`, `*/n`, a list, or `*/n` followed by a list. `stars` is the relative weight of `*`.
fn field(low: u8, high: u8, stars: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        stars => Just("*".to_owned()),
        1 => (1..=high - low).prop_map(|step| format!("*/{step}")),
        (9 - stars) => list(low, high),
        1 => (list(low, high), 2..=high - low).prop_map(|(list, step)| format!("*/{step},{list}")),
    ]
}

/// Expressions that often fire near the hours of clock changes.
fn expression() -> impl Strategy<Value = String> {
    let hour = prop_oneof![3 => list(0, 4), 1 => list(22, 23), 4 => field(0, 23, 3)];
    (field(0, 59, 2), hour, field(1, 31, 7), field(1, 12, 8), field(0, 7, 6))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

/// An instant shortly before, at or after a clock change between 1980 and 2050, with a fraction of a minute.
fn near_a_change() -> impl Strategy<Value = (TimeZone, Timestamp)> {
    let from = 315_532_800i64..2_524_608_000;
    let minutes = prop_oneof![-36i64 * 60..36 * 60, -180i64..180];
    let fraction = prop_oneof![Just(0i64), 0..60_000_000_000i64];
    (prop::sample::select(ZONES), from, minutes, fraction).prop_map(|(name, from, minutes, nanoseconds)| {
        let zone = zone(name).unwrap();
        let from = Timestamp::from_second(from / 60 * 60).unwrap();
        let change = zone.following(from).next().map_or(from, |change| change.timestamp());
        let after = change + jiff::SignedDuration::from_mins(minutes);
        (zone.clone(), after + jiff::SignedDuration::from_nanos(nanoseconds))
    })
}

fn utc(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn next_in(text: &str, name: &str, after: &str, count: usize) -> Vec<String> {
    let zone = zone(name).unwrap();
    let cron = Cron::parse(text).unwrap();
    cron.fires(utc(after), &zone).take(count).map(|fire| fire.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    fn fires_equal_a_minute_by_minute_walk(text in expression(), (zone, after) in near_a_change()) {
        // `parse` refuses an expression whose days do not exist, such as 31 February.
        let Ok(cron) = Cron::parse(&text) else { return Ok(()) };
        let until = after + jiff::SignedDuration::from_hours(60);
        let expected = fires(&text, after, until, &zone);
        let found: Vec<Timestamp> = cron.fires(after, &zone).take_while(|fire| *fire <= until).collect();
        prop_assert_eq!(&found, &expected, "{} after {} in {:?}", text, after, zone);

        // Single calls from arbitrary instants return the same fires.
        for minutes in (0..60 * 60).step_by(13) {
            let from = after + jiff::SignedDuration::from_mins(minutes);
            let Some(fire) = expected.iter().find(|fire| **fire > from) else { break };
            prop_assert_eq!(cron.next(from, &zone), Some(*fire), "{} after {} in {:?}", text, from, zone);
            prop_assert_eq!(cron.next(*fire - jiff::SignedDuration::from_nanos(1), &zone), Some(*fire));
        }
        prop_assert_eq!(cron.last_at_or_before(after, until, &zone), expected.last().copied());
        let missed = cron.missed(after, until, &zone);
        prop_assert_eq!(missed.map_or(0, |m| m.count as usize), expected.len());
        prop_assert_eq!(missed.map(|m| (m.first, m.last)), expected.first().copied().zip(expected.last().copied()));
    }

    #[test]
    fn next_is_strictly_after(text in expression(), (zone, after) in near_a_change()) {
        let Ok(cron) = Cron::parse(&text) else { return Ok(()) };
        let mut last = after;
        for fire in cron.fires(after, &zone).take(50) {
            prop_assert!(fire > last, "{text}: {fire} is not after {last} in {zone:?}");
            prop_assert_eq!(cron.next(last, &zone), Some(fire));
            last = fire;
        }
    }

    /// In UTC, without clock changes, the fires equal those of croner.
    #[test]
    fn croner_agrees_in_utc(text in expression(), from in 315_532_800i64..2_524_608_000) {
        use croner::parser::{CronParser, Seconds, Year};
        let Ok(cron) = Cron::parse(&text) else { return Ok(()) };
        let fields: Vec<&str> = text.split(' ').collect();
        // If a day field starts with `*`, both day fields must match: croner's setting `dom_and_dow`.
        let both = fields[2].starts_with('*') || fields[4].starts_with('*');
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).dom_and_dow(both);
        let theirs = parser.build().parse(&text).unwrap();
        let after = Timestamp::from_second(from).unwrap();
        let expected: Vec<Timestamp> =
            theirs.iter_after(after.to_zoned(TimeZone::UTC)).take(5).map(|fire| fire.timestamp()).collect();
        let found: Vec<Timestamp> = cron.fires(after, &TimeZone::UTC).take(5).collect();
        prop_assert_eq!(found, expected, "{}", text);
        prop_assert!(!cron.meaning().contains('`'), "{text}");
    }
}

proptest! {
    // Each case steps through about five weeks of minutes.
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    /// Expressions that fire about once a year, so that the search skips many clock changes and may end near one.
    #[test]
    fn a_leap_of_years_lands_where_the_walk_does(
        (zone, near) in near_a_change(),
        minute in prop_oneof![Just("*/30".to_owned()), list(0, 59)],
        hour in prop_oneof![Just("*/2".to_owned()), list(0, 4)],
    ) {
        let first = zone.to_datetime(near);
        let text = format!("{minute} {hour} {} {} *", first.day().min(28), first.month());
        let cron = Cron::parse(&text).unwrap();
        let mut expected = Vec::new();
        for year in 0..6i16 {
            let day = first.with().day(first.day().min(28)).year(first.year() + year).build().unwrap();
            let noon = zone.to_timestamp(day).unwrap();
            let (from, until) = (noon - jiff::SignedDuration::from_hours(49), noon + jiff::SignedDuration::from_hours(49));
            expected.extend(fires(&text, from, until, &zone));
        }
        // From each fire that the walk found, `next` returns the following one.
        prop_assert!(!expected.is_empty() || cron.next(near, &zone).is_none_or(|fire| fire > near));
        for pair in expected.windows(2) {
            prop_assert_eq!(cron.next(pair[0], &zone), Some(pair[1]), "{} after {} in {:?}", text, pair[0], zone);
        }
    }
}

#[test]
fn dst_gap_fixed_runs_once_at_gap_end() {
    let berlin = |text: &str| next_in(text, "Europe/Berlin", "2027-03-27T12:00:00Z", 2);
    assert_eq!(berlin("30 2 * * *"), ["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]);
    // Lists and ranges are of the fixed class too, and several times in one gap become one fire.
    assert_eq!(berlin("0,15,30 2 * * *"), ["2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"]);
    assert_eq!(berlin("30 2-3 * * *"), ["2027-03-28T01:00:00Z", "2027-03-28T01:30:00Z"]);
    assert_eq!(berlin("0 2,3 * * *"), ["2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"]);
    // If the clock skips midnight, the fire is at the first instant after the gap.
    assert_eq!(
        next_in("0 0 * * *", "America/Sao_Paulo", "2017-10-14T12:00:00Z", 2),
        ["2017-10-15T03:00:00Z", "2017-10-16T02:00:00Z"]
    );
    assert_eq!(
        next_in("30 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 2),
        ["2011-12-30T10:00:00Z", "2012-12-29T22:30:00Z"]
    );
}

#[test]
fn dst_gap_wildcard_is_skipped() {
    let berlin = |text: &str| next_in(text, "Europe/Berlin", "2027-03-28T00:15:00Z", 2);
    assert_eq!(berlin("*/30 2 * * *"), ["2027-03-29T00:00:00Z", "2027-03-29T00:30:00Z"]);
    assert_eq!(berlin("30 * * * *"), ["2027-03-28T00:30:00Z", "2027-03-28T01:30:00Z"]);
    assert_eq!(berlin("@hourly"), ["2027-03-28T01:00:00Z", "2027-03-28T02:00:00Z"]);
}

#[test]
fn dst_overlap_fixed_once() {
    let berlin = |text: &str| next_in(text, "Europe/Berlin", "2027-10-30T12:00:00Z", 2);
    assert_eq!(berlin("30 2 * * *"), ["2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"]);
    assert_eq!(berlin("0,30 2 * * *"), ["2027-10-31T00:00:00Z", "2027-10-31T00:30:00Z"]);
    assert_eq!(
        next_in("15,45 1 * * *", "Australia/Lord_Howe", "2027-04-03T12:00:00Z", 3),
        ["2027-04-03T14:15:00Z", "2027-04-03T14:45:00Z", "2027-04-04T14:45:00Z"]
    );
}

#[test]
fn dst_overlap_wildcard_both() {
    let berlin = |text: &str, count| next_in(text, "Europe/Berlin", "2027-10-30T12:00:00Z", count);
    assert_eq!(
        berlin("*/30 2 * * *", 5),
        [
            "2027-10-31T00:00:00Z",
            "2027-10-31T00:30:00Z",
            "2027-10-31T01:00:00Z",
            "2027-10-31T01:30:00Z",
            "2027-11-01T01:00:00Z",
        ]
    );
}

#[test]
fn dst_overlap_start_in_second_pass() {
    let berlin = |text: &str| next_in(text, "Europe/Berlin", "2027-10-31T01:10:00Z", 1);
    assert_eq!(berlin("30 2 * * *"), ["2027-11-01T01:30:00Z"], "02:30 has run in the first pass");
    assert_eq!(berlin("0-59 2 * * *"), ["2027-11-01T01:00:00Z"]);
    assert_eq!(berlin("0 3 * * *"), ["2027-10-31T02:00:00Z"]);
    assert_eq!(berlin("*/30 2 * * *"), ["2027-10-31T01:30:00Z"]);
}

#[test]
fn day_rule_of_debian_cron() {
    let utc = |text: &str, count| next_in(text, "UTC", "2027-01-01T00:00:00Z", count);
    assert_eq!(utc("0 0 4 * 3", 3), ["2027-01-04T00:00:00Z", "2027-01-06T00:00:00Z", "2027-01-13T00:00:00Z"]);
    assert_eq!(utc("0 0 */2 * 1", 2), ["2027-01-11T00:00:00Z", "2027-01-25T00:00:00Z"]);
    assert_eq!(utc("0 0 13 * */5", 2), ["2027-06-13T00:00:00Z", "2027-08-13T00:00:00Z"]);
}

#[test]
fn rare_expressions_are_found_and_hopeless_ones_end() {
    let utc_zone = TimeZone::UTC;
    let leap_sunday = Cron::parse("0 0 29 2 */7").unwrap();
    let years: Vec<i16> = leap_sunday
        .fires(utc("2061-03-01T00:00:00Z"), &utc_zone)
        .take(2)
        .map(|fire| utc_zone.to_datetime(fire).year())
        .collect();
    assert_eq!(years, [2088, 2128], "40 years without one, across 2100");

    // All times lie in the gap, and the wildcard class skips them: the search ends without a fire, in bounded time.
    let berlin = zone("Europe/Berlin").unwrap();
    let hopeless = Cron::parse("*/30 2 25-31 3 */7").unwrap();
    assert_eq!(hopeless.next(utc("2027-01-01T00:00:00Z"), &berlin), None);
    assert_eq!(hopeless.missed(utc("2027-01-01T00:00:00Z"), utc("2028-01-01T00:00:00Z"), &berlin), None);

    // Across an entry of the zone file in 2038 that changes no offset; see `Stretch::holding`.
    let lord_howe = zone("Australia/Lord_Howe").unwrap();
    let yearly = Cron::parse("0 12 1 6 *").unwrap();
    assert_eq!(yearly.next(utc("2037-06-02T00:00:00Z"), &lord_howe), Some(utc("2038-06-01T01:30:00Z")));

    // At both ends of the calendar.
    for name in ["UTC", "Europe/Berlin", "Pacific/Apia", "America/Sao_Paulo"] {
        let zone = zone(name).unwrap();
        for text in ["* * * * *", "0 0 1 1 *", "30 2 * * *"] {
            let cron = Cron::parse(text).unwrap();
            assert_eq!(cron.next(Timestamp::MAX, &zone), None);
            assert!(cron.next(Timestamp::MIN, &zone).is_none_or(|fire| fire > Timestamp::MIN));
            let inside = Timestamp::MIN + jiff::SignedDuration::from_hours(48);
            assert!(cron.next(inside, &zone).is_some_and(|fire| fire > inside));
        }
    }
}

#[test]
fn fractions_of_a_second_count() {
    let next = |after: &str| next_in("* * * * *", "UTC", after, 1).remove(0);
    assert_eq!(next("2027-01-01T00:00:00Z"), "2027-01-01T00:01:00Z");
    assert_eq!(next("2026-12-31T23:59:59.999999999Z"), "2027-01-01T00:00:00Z");
    assert_eq!(next("2027-01-01T00:00:00.000000001Z"), "2027-01-01T00:01:00Z");
    assert_eq!(next("1969-12-31T23:58:59.5Z"), "1969-12-31T23:59:00Z");
    assert_eq!(next("1969-12-31T23:59:00.5Z"), "1970-01-01T00:00:00Z");
}

#[test]
fn missed_fires_are_summed_up() {
    let berlin = zone("Europe/Berlin").unwrap();
    let minutely = Cron::parse("* * * * *").unwrap();
    let (from, until) = (utc("2027-03-01T00:00:00Z"), utc("2027-03-31T00:00:00Z"));
    let missed = minutely.missed(from, until, &berlin).unwrap();
    assert_eq!((missed.count, missed.more), (43_200, false));
    assert_eq!((missed.first, missed.last), (utc("2027-03-01T00:01:00Z"), until));

    let ten_years = minutely.missed(from, utc("2037-03-01T00:00:30Z"), &berlin).unwrap();
    assert_eq!((ten_years.count, ten_years.more), (super::MISSED_CAP, true));
    assert_eq!(ten_years.last, utc("2037-03-01T00:00:00Z"));

    let nightly = Cron::parse("0 23 * * *").unwrap();
    assert_eq!(nightly.missed(utc("2027-03-01T22:00:00Z"), utc("2027-03-02T21:59:59Z"), &berlin), None);
    assert_eq!(nightly.last_at_or_before(from, until, &berlin), Some(utc("2027-03-30T21:00:00Z")));
    assert_eq!(nightly.last_at_or_before(until, from, &berlin), None);
}
