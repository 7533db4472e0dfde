use std::collections::BTreeSet;

use ical::recur::expand::IcalRecurExpand;
use ical::recur::{IcalRecurDateTime, IcalRecurRule};
use jiff::civil::Weekday;

use super::property::civil;
use super::*;
use crate::clock::Clock;
use crate::domain::calendar::MAX_DATES;

/// The dates from 2025-11-27 to 2031-11-27.
fn span() -> (Date, Date) {
    super::super::span(Date::constant(2026, 11, 27))
}

/// A calendar file with events, each given as the lines between its BEGIN and END.
fn file(events: &[&str]) -> String {
    let events: Vec<String> = events
        .iter()
        .map(|event| format!("BEGIN:VEVENT\r\n{}\r\nEND:VEVENT\r\n", event.replace('\n', "\r\n")))
        .collect();
    let events = events.concat();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//t//EN\r\n{events}END:VCALENDAR\r\n")
}

fn expand(events: &[&str]) -> Expansion {
    read(&file(events)).expect("it can be read").days(span())
}

/// The days of events, as text.
fn days(events: &[&str]) -> Vec<String> {
    let expansion = expand(events);
    assert_eq!(expansion.refusal, None);
    expansion.days.into_keys().map(|date| date.to_string()).collect()
}

fn refused(event: &str) -> IcsError {
    read(&file(&[event])).expect_err("it is refused")
}

#[test]
fn a_day_is_a_day_and_an_end_is_the_day_after() {
    assert_eq!(days(&["DTSTART;VALUE=DATE:20261225"]), ["2026-12-25"]);
    assert_eq!(
        days(&["DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261227"]),
        ["2026-12-25", "2026-12-26"]
    );
    assert_eq!(days(&["DTSTART:20261225\nDTEND:20261225"]), ["2026-12-25"], "some write it so");
    assert_eq!(days(&["DTSTART;VALUE=DATE:20261225\nDURATION:P3D"]).len(), 3);
    assert_eq!(days(&["DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20201225"]), ["2026-12-25"]);
}

#[test]
fn a_time_counts_for_every_day_it_touches() {
    assert_eq!(days(&["DTSTART:20261225T090000Z"]), ["2026-12-25"]);
    assert_eq!(days(&["DTSTART:20261225T220000\nDTEND:20261226T010000"]), ["2026-12-25", "2026-12-26"]);
    assert_eq!(days(&["DTSTART:20261225T220000\nDTEND:20261226T000000"]), ["2026-12-25"]);
    assert_eq!(days(&["DTSTART:20261225T220000\nDURATION:PT26H1M"]).len(), 3);
    // The end in UTC is at 02:00 of the next day in Berlin.
    assert_eq!(
        days(&["DTSTART;TZID=Europe/Berlin:20261225T220000\nDTEND:20261226T010000Z"]),
        ["2026-12-25", "2026-12-26"]
    );
}

#[test]
fn rules_fall_where_the_standard_says() {
    let thanksgiving = "DTSTART;VALUE=DATE:19971127\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH";
    assert_eq!(
        days(&[thanksgiving]),
        ["2025-11-27", "2026-11-26", "2027-11-25", "2028-11-23", "2029-11-22", "2030-11-28", "2031-11-27"]
    );
    let leap = "DTSTART;VALUE=DATE:19000228\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29";
    assert_eq!(days(&[leap]), ["2028-02-29"]);
    let leap = "DTSTART;VALUE=DATE:19960229\nRRULE:FREQ=YEARLY";
    assert_eq!(days(&[leap]), ["2028-02-29"]);
    let last = "DTSTART;VALUE=DATE:20260131\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3";
    assert_eq!(days(&[last]), ["2026-01-31", "2026-02-28", "2026-03-31"]);
    let ended = "DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;UNTIL=20260103";
    assert_eq!(days(&[ended]), ["2026-01-01", "2026-01-02", "2026-01-03"]);
}

#[test]
fn a_rule_that_began_long_ago_falls_on_the_same_days_as_one_followed_from_its_start() {
    let (first, last) = span();
    for rule in [
        "FREQ=YEARLY",
        "FREQ=YEARLY;INTERVAL=4",
        "FREQ=YEARLY;INTERVAL=7;BYMONTH=2,8;BYDAY=-1MO",
        "FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=SU",
        "FREQ=YEARLY;BYYEARDAY=1,-1;BYSETPOS=-1",
        "FREQ=MONTHLY",
        "FREQ=MONTHLY;INTERVAL=5",
        "FREQ=MONTHLY;INTERVAL=3;BYDAY=MO,TU,WE;BYSETPOS=-1",
        "FREQ=WEEKLY;INTERVAL=3;WKST=SU;BYDAY=SU,FR",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU",
        "FREQ=DAILY;INTERVAL=9",
        "FREQ=DAILY;INTERVAL=3;BYMONTH=12",
    ] {
        for start in ["19960229", "20001231", "20170731", "20240101", "20260228"] {
            let followed = IcalRecurExpand::new(
                IcalRecurRule::parse(rule).expect("a rule"),
                IcalRecurDateTime::parse(start).expect("a date"),
            );
            let mut followed: BTreeSet<Date> = followed
                .filter_map(|at| civil(at).map(DateTime::date))
                .take_while(|date| *date <= last)
                .filter(|date| *date >= first)
                .collect();
            // The start of an event always counts.
            followed.extend(
                super::super::check::date(&format!("{}-{}-{}", &start[..4], &start[4..6], &start[6..]))
                    .filter(|date| *date >= first),
            );
            let found = expand(&[&format!("DTSTART;VALUE=DATE:{start}\nRRULE:{rule}")]);
            assert_eq!(found.days.into_keys().collect::<BTreeSet<Date>>(), followed, "{rule} from {start}");
        }
    }
}

#[test]
fn exceptions_additions_and_moved_occurrences_are_followed() {
    let weekly = "UID:a\nDTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;COUNT=4\nEXDATE;VALUE=DATE:20260112\nRDATE;VALUE=DATE:20260201,20260202";
    assert_eq!(days(&[weekly]), ["2026-01-05", "2026-01-19", "2026-01-26", "2026-02-01", "2026-02-02"]);
    let moved = "UID:a\nRECURRENCE-ID;VALUE=DATE:20260119\nDTSTART;VALUE=DATE:20260120";
    assert_eq!(
        days(&[moved, weekly]),
        ["2026-01-05", "2026-01-20", "2026-01-26", "2026-02-01", "2026-02-02"]
    );
    let called_off =
        "UID:a\nRECURRENCE-ID;VALUE=DATE:20260119\nDTSTART;VALUE=DATE:20260119\nSTATUS:CANCELLED";
    assert_eq!(days(&[weekly, called_off]), ["2026-01-05", "2026-01-26", "2026-02-01", "2026-02-02"]);
    assert_eq!(days(&["STATUS:CANCELLED\nDTSTART;VALUE=DATE:20260119"]), Vec::<String>::new());
    // The order of the lines does not matter. 23:00 in New York is on the next day in UTC.
    let zoned = "RRULE:FREQ=DAILY;UNTIL=20260104T040000Z\nEXDATE:20260103T040000Z\nDTSTART;TZID=America/New_York:20260101T230000";
    assert_eq!(days(&[zoned]), ["2026-01-01", "2026-01-03"]);
}

#[test]
fn names_are_kept_and_made_plain() {
    let summary = "SUMMARY;LANGUAGE=\"x:y\":Christmas\\, the fir\n st\\nday\nDTSTART;VALUE=DATE:20261225";
    let found = expand(&[summary, "SUMMARY:Later\nDTSTART;VALUE=DATE:20261225", "DTSTART:20261226"]);
    let names: Vec<&str> = found.days.values().map(String::as_str).collect();
    assert_eq!(names, ["Christmas, the first day", ""]);
    let long = format!("SUMMARY:{}\nDTSTART:20261225", "é".repeat(5000));
    assert_eq!(expand(&[&long]).days.values().map(|name| name.chars().count()).collect::<Vec<_>>(), [120]);
}

#[test]
fn an_alarm_a_zone_and_a_task_are_no_days() {
    let text = "\u{feff}\nBEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:X\nBEGIN:STANDARD\nDTSTART:19701025T030000\n\
                RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VTODO\n\
                DTSTART:20260101\nEND:VTODO\nBEGIN:VEVENT\nDTSTART:20261225\nBEGIN:VALARM\nDURATION:P9D\n\
                TRIGGER:-PT15M\nEND:VALARM\nEND:VEVENT\nEND:VCALENDAR";
    let found = read(text).expect("it can be read").days(span());
    assert_eq!(found.days.into_keys().collect::<Vec<_>>(), [Date::constant(2026, 12, 25)]);
}

#[test]
fn an_error_of_a_file_has_its_line() {
    let said = |text: &str| read(text).expect_err("it is refused").to_string();
    let begin = "this is no ICS file: it must begin with BEGIN:VCALENDAR";
    for text in ["", "hello", "<!doctype html><p>x:y</p>", "BEGIN:VCARD\nEND:VCARD", "DTSTART:20261225"] {
        assert_eq!(said(text), begin, "{text}");
    }
    assert_eq!(said("BEGIN:VCALENDAR\nEND:VCALENDAR"), "the ICS file holds no event");
    assert_eq!(
        said("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261225"),
        "the ICS file ends in the middle of VEVENT, which begins on line 2: a part of it is missing"
    );
    assert_eq!(
        said("BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR"),
        "VEVENT, which begins on line 2 of the ICS file, has no END:VEVENT"
    );
    assert_eq!(
        said("BEGIN:VCALENDAR\nEND:VTODO\nEND:VCALENDAR"),
        "line 2 of the ICS file ends VTODO, which was not begun there"
    );
    assert_eq!(
        refused("SUMMARY:x").to_string(),
        "the event that begins on line 4 of the ICS file has no DTSTART"
    );
    assert_eq!(refused("DTSTART:20260230").to_string(), "line 5 of the ICS file: `20260230` is not a date");
    assert_eq!(
        refused("DTSTART:20260101\nRRULE:FREQ=SOMETIMES").to_string(),
        "line 6 of the ICS file: the repetition `FREQ=SOMETIMES` is not understood"
    );
}

#[test]
fn a_hostile_file_is_refused_or_read_in_bounded_time() {
    let clock = Clock::system();
    let begun = clock.monotonic();
    for often in ["SECONDLY", "MINUTELY", "HOURLY;COUNT=999999999"] {
        assert_eq!(refused(&format!("DTSTART:20260101\nRRULE:FREQ={often}")), IcsError::TooOften(6));
    }
    let moments: Vec<String> = (0..60).map(|number| number.to_string()).collect();
    let all = moments.join(",");
    let rule = format!("DTSTART:20260101\nRRULE:FREQ=DAILY;BYHOUR=1;BYMINUTE={all};BYSECOND={all}");
    assert_eq!(refused(&rule), IcsError::TooOften(6));

    // Rules that repeat as often and as long as possible.
    assert_eq!(days(&["DTSTART:20260101\nRRULE:FREQ=DAILY;COUNT=999999999"]).len(), 2157);
    let longest = "DTSTART:00010101\nDURATION:P99999999999W\nRRULE:FREQ=DAILY;COUNT=4294967295";
    assert_eq!(expand(&[longest]).refusal, Some(Refusal::TooCostly));
    assert_eq!(
        expand(&["DTSTART:99991231\nDTEND:00010101\nRRULE:FREQ=YEARLY;INTERVAL=4294967295"]).days.len(),
        0
    );
    assert_eq!(days(&["DTSTART:00010101\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=9"]).len(), 0);
    assert_eq!(
        days(&["DTSTART:00010101T000000Z\nRRULE:FREQ=WEEKLY;BYSETPOS=366;INTERVAL=4294967295"]).len(),
        0
    );
    let list = "1MO,".repeat(100_000);
    assert!(expand(&[&format!("DTSTART:20260101\nRRULE:FREQ=YEARLY;BYDAY={list}")]).days.len() < 20);
    let many = vec!["DTSTART:19000101\nRRULE:FREQ=DAILY;COUNT=99999999"; 9_000];
    assert_eq!(expand(&many).refusal, Some(Refusal::TooCostly));
    let many = vec!["DTSTART:20260101\nRRULE:FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR\nDURATION:P9999D"; 8_000];
    assert_eq!(expand(&many).refusal, Some(Refusal::TooCostly));

    // Files of extreme size and shape.
    assert_eq!(read(&"x".repeat(MAX_BYTES + 1)).expect_err("too large"), IcsError::TooLarge);
    let line = format!("DTSTART:20261225\nDESCRIPTION:{}", "x".repeat(MAX_BYTES - 200));
    assert_eq!(days(&[&line]), ["2026-12-25"]);
    let folded = format!("BEGIN:VCALENDAR\n{}", " x\n".repeat(300_000));
    assert!(read(&folded).is_err());
    assert_eq!(read(&"BEGIN:VCALENDAR\n".repeat(60_000)).expect_err("too deep"), IcsError::TooDeep(9));
    assert!(read(&"BEGIN:VCALENDAR\nBEGIN:VEVENT\n".repeat(9)).is_err());
    let rules = format!("DTSTART:20260101{}", "\nRRULE:FREQ=DAILY".repeat(9));
    assert!(matches!(refused(&rules), IcsError::TooOften(_)));
    let dates: Vec<String> = (0..100_000).map(|number| format!("{:04}0101", number % 9999)).collect();
    assert_eq!(days(&[&format!("DTSTART:20260101\nRDATE:{}", dates.join(","))]).len(), 6);
    for text in [
        "DTSTART:2026€101",
        "DTSTART:20261225T0900€0",
        "DTSTART:20260101\nRRULE:FREQ=DAILY;BYDAY=€",
        "DTSTART:-2261225",
    ] {
        assert!(read(&file(&[text])).is_err(), "{text}");
    }
    // The test takes about three seconds without optimisation.
    let took = clock.monotonic().saturating_sub(begun);
    assert!(took.as_secs() < 60, "it took {took:?}");
}

#[test]
fn more_days_than_fit_are_a_refusal_and_the_earliest_are_kept() {
    let (first, last) = (Date::constant(2020, 1, 1), Date::constant(2040, 1, 1));
    let found =
        read(&file(&["DTSTART:20000101\nRRULE:FREQ=DAILY"])).expect("it can be read").days((first, last));
    assert_eq!((found.days.len(), found.refusal), (MAX_DATES, Some(Refusal::TooMany)));
    assert_eq!(found.days.into_keys().next(), Some(first));
    assert_eq!(first.weekday(), Weekday::Wednesday);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(BEGIN:|END:|VEVENT|VCALENDAR|\n|DTSTART[:;]|RRULE:|FREQ=|DAILY|YEARLY|;BYDAY=|EXDATE:|\r\n |[0-9TZ:;,=-]{1,9}|\\PC{0,4}){0,60}") {
        let whole = format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\n{text}\nEND:VEVENT\nEND:VCALENDAR");
        for text in [&text, &whole] {
            if let Ok(file) = read(text) {
                file.days(span());
            }
        }
    }
}
