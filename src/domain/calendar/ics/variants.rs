//! Tests with files as calendar programs write them. Each test compares the days from December 2026 to March 2027.

use super::faults::MAX_LEFT;
use super::*;

/// The clock changes of the European Union.
const EU: &str = "BEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\n\
                  RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010101T020000\n\
                  TZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT";
/// The clock changes of the east of the United States.
const EAST: &str = "BEGIN:STANDARD\nDTSTART:20071104T020000\nTZOFFSETFROM:-0400\nTZOFFSETTO:-0500\n\
                    RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:20070311T020000\n\
                    TZOFFSETFROM:-0500\nTZOFFSETTO:-0400\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU\nEND:DAYLIGHT";
/// A zone without clock changes.
const INDIA: &str =
    "BEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0530\nTZOFFSETTO:+0530\nEND:STANDARD";
/// A zone that lists each clock change.
const LISTED: &str = "BEGIN:STANDARD\nDTSTART:20261025T030000\nRDATE:20271031T030000,20281029T030000\n\
                      TZOFFSETFROM:+020000\nTZOFFSETTO:+010000\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:20260329T020000\n\
                      RDATE:20270328T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nEND:DAYLIGHT";

fn zone(name: &str, observances: &str) -> String {
    format!("BEGIN:VTIMEZONE\nTZID:{name}\n{observances}\nEND:VTIMEZONE\n")
}

fn file(head: &str, events: &[&str]) -> String {
    let events = events.iter().map(|event| format!("BEGIN:VEVENT\n{event}\nEND:VEVENT\n"));
    let text = format!("BEGIN:VCALENDAR\nVERSION:2.0\n{head}{}END:VCALENDAR\n", events.collect::<String>());
    text.replace('\n', "\r\n")
}

/// The days of the winter, written as `07` for December and `0126` for other months; and the messages of what is left
/// out.
fn winter(text: &str) -> (String, Vec<String>) {
    let span = super::super::span(Date::constant(2026, 11, 27));
    let found = read(text).unwrap_or_else(|error| panic!("{error}:\n{text}")).days(span);
    assert_eq!(found.refusal, None);
    let winter = Date::constant(2026, 12, 1)..Date::constant(2027, 4, 1);
    let days = found.days.keys().filter(|date| winter.contains(date)).map(|date| match date.month() {
        12 => format!("{:02}", date.day()),
        month => format!("{month:02}{:02}", date.day()),
    });
    let days: Vec<String> = days.collect();
    (days.join(" "), found.left.told.iter().map(ToString::to_string).collect())
}

/// Asserts that each file has the given days and that nothing of it is left out.
fn mean(cases: &[(&str, String, &str)]) {
    for (name, text, expected) in cases {
        assert_eq!(winter(text), ((*expected).to_owned(), vec![]), "{name}:\n{text}");
    }
}

#[test]
fn an_end_in_utc_ends_a_series_of_dates_on_the_day_that_was_meant() {
    let weekly = |until: &str| {
        file("", &[&format!("DTSTART;VALUE=DATE:20261207\nRRULE:FREQ=WEEKLY;UNTIL={until};BYDAY=MO")])
    };
    // Midnight of the 21st in zones east and west of Greenwich.
    for until in [
        "20261220T230000Z",
        "20261220T220000Z",
        "20261220T183000Z",
        "20261220T181500Z",
        "20261220T150000Z",
        "20261220T130000Z",
        "20261221T000000Z",
        "20261221T050000Z",
        "20261221T080000Z",
        "20261221T110000Z",
        "20261221",
        "20261221T000000",
        "20261221T120000Z",
        "20261227",
        "20261221T235959Z",
        "20261221T225959Z",
    ] {
        mean(&[(until, weekly(until), "07 14 21")]);
    }
    // The last second or minute of the 20th in such zones.
    for until in [
        "20261220T235959Z",
        "20261220T225959Z",
        "20261220T182959Z",
        "20261221T045959Z",
        "20261220T235900Z",
        "20261220",
        "20261220T235959",
        "20261220T000000Z",
        "20261219T230000Z",
    ] {
        mean(&[(until, weekly(until), "07 14")]);
    }
    let last = "DTSTART;VALUE=DATE:20261229\nRRULE:FREQ=MONTHLY;UNTIL=20270329T220000Z;BYDAY=TU;BYSETPOS=-1";
    mean(&[("last Tuesdays", file("", &[last]), "29 0126 0223 0330")]);
    // Thirteen hours east of Greenwich, the day is found only if the file has a zone.
    let far = "DTSTART;VALUE=DATE:20261207\nRRULE:FREQ=WEEKLY;UNTIL=20261220T110000Z";
    mean(&[
        ("far east", file("X-WR-TIMEZONE:Pacific/Auckland\n", &[far]), "07 14 21"),
        ("far east by its zone", file(&zone("Pacific/Auckland", INDIA), &[far]), "07 14 21"),
        (
            "far east by its zone before its program's",
            file(&format!("X-WR-TIMEZONE:UTC\n{}", zone("Pacific/Auckland", INDIA)), &[far]),
            "07 14 21",
        ),
        (
            "far east by its program's, with zones of events",
            file(&format!("X-WR-TIMEZONE:Pacific/Auckland\n{}{}", zone("A", EU), zone("B", EAST)), &[far]),
            "07 14 21",
        ),
        ("far east by nothing", file("", &[far]), "07 14"),
    ]);
}

#[test]
fn an_exception_addition_or_move_in_utc_is_the_day_that_was_meant() {
    let series = "UID:a\nDTSTART;VALUE=DATE:20261207\nRRULE:FREQ=WEEKLY;COUNT=4";
    let with = |line: &str| file("", &[&format!("{series}\n{line}")]);
    mean(&[
        ("east", with("EXDATE:20261213T230000Z"), "07 21 28"),
        ("west", with("EXDATE:20261214T050000Z"), "07 21 28"),
        ("several", with("EXDATE:20261213T230000Z,20261220T230000Z"), "07 28"),
        ("half hours", with("EXDATE:20261213T183000Z"), "07 21 28"),
        ("with a zone", with("EXDATE;TZID=Europe/Berlin:20261214T000000"), "07 21 28"),
        ("with a zone in UTC", with("EXDATE;TZID=UTC:20261213T230000"), "07 21 28"),
        ("with a zone nobody knows", with("EXDATE;TZID=Nowhere Time:20261214T000000"), "07 21 28"),
        ("added", with("RDATE:20261222T230000Z"), "07 14 21 23 28"),
        ("an empty exception", with("EXDATE:"), "07 14 21 28"),
        ("a rule of exceptions", with("EXRULE:FREQ=WEEKLY;INTERVAL=2"), "14 28"),
        ("an end in UTC", file("", &["DTSTART;VALUE=DATE:20261224\nDTEND:20261225T230000Z"]), "24 25"),
        (
            "moved",
            file("", &[series, "UID:a\nRECURRENCE-ID:20261213T230000Z\nDTSTART;VALUE=DATE:20261215"]),
            "07 15 21 28",
        ),
    ]);
}

#[test]
fn a_zone_of_any_name_is_the_one_that_the_file_describes() {
    let series = |zone: &str| {
        format!(
            "UID:a\nDTSTART;TZID={zone}:20261207T000000\nDTEND;TZID={zone}:20261208T000000\n\
             RRULE:FREQ=WEEKLY;UNTIL=20261220T230000Z;BYDAY=MO"
        )
    };
    for (name, given) in [
        ("W. Europe Standard Time", "W. Europe Standard Time"),
        ("Romance Standard Time", "\"Romance Standard Time\""),
        ("(UTC+01:00) Amsterdam\\, Berlin; Bern", "\"(UTC+01:00) Amsterdam\\, Berlin; Bern\""),
        ("Customized Time Zone", "customized time zone"),
        ("/example.org/20260101_1/Europe/Berlin", "/example.org/20260101_1/Europe/Berlin"),
        ("CET", "CET"),
    ] {
        for observances in [EU, LISTED] {
            mean(&[(name, file(&zone(name, observances), &[&series(given)]), "07 14 21")]);
        }
    }
    // A zone may follow the events that use it, and the zone of the file replaces a missing one.
    let (own, name) = (zone("Own Time", EU), "Own Time");
    let after = format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{}\nEND:VEVENT\n{own}END:VCALENDAR\n", series(name));
    mean(&[
        ("after", after, "07 14 21"),
        ("the file's", file("X-WR-TIMEZONE:Europe/Berlin\n", &[&series(name)]), "07 14 21"),
        ("the file's own", file(&format!("X-WR-TIMEZONE:{name}\n{own}"), &[&series("Other")]), "07 14 21"),
        // A zone that the file describes takes precedence over the zone of the file and over an IANA zone of that name.
        (
            "before the file's",
            file(&format!("X-WR-TIMEZONE:America/New_York\n{own}"), &[&series(name)]),
            "07 14 21",
        ),
        ("by a short name of IANA's", file(&zone("EST", EU), &[&series("EST")]), "07 14 21"),
        ("the file's, elsewhere", file("X-WR-TIMEZONE:America/New_York\n", &[&series(name)]), "07 14"),
        ("IANA's", file("", &[&series("Europe/Berlin")]), "07 14 21"),
        ("IANA's within", file("", &[&series("/example.org/20260101_1/Europe/Berlin")]), "07 14 21"),
        ("nobody's, at midnight", file("", &[&series(name)]), "07 14 21"),
    ]);
    // Zones west of Greenwich, in summer, and with half hours.
    let evening = |zone: &str, rest: &str| format!("DTSTART;TZID={zone}:20261201T200000\n{rest}");
    let east = zone("Eastern Standard Time", EAST);
    let head = |observances| zone("Own", observances);
    mean(&[
        (
            "west",
            file(
                &east,
                &[&evening(
                    "Eastern Standard Time",
                    "RRULE:FREQ=DAILY;UNTIL=20261204T010000Z\nEXDATE:20261203T010000Z",
                )],
            ),
            "01 03",
        ),
        (
            "half hours",
            file(
                &head(INDIA),
                &[
                    "DTSTART;TZID=Own:20261201T000000\nRRULE:FREQ=DAILY;UNTIL=20261203T183000Z\nEXDATE:20261201T183000Z",
                ],
            ),
            "01 03 04",
        ),
        (
            "over the change to summer time",
            file(&head(EU), &["DTSTART;TZID=Own:20270322T000000\nRRULE:FREQ=WEEKLY;UNTIL=20270328T220000Z"]),
            "0322 0329",
        ),
        (
            "an end in another zone",
            file(
                &head(EU),
                &["DTSTART;TZID=Own:20261201T220000\nDTEND;TZID=America/New_York:20261201T190000"],
            ),
            "01 02",
        ),
        (
            "an exception in another zone",
            file(
                &head(EU),
                &[
                    "DTSTART;TZID=Own:20261207T000000\nRRULE:FREQ=WEEKLY;COUNT=3\nEXDATE;TZID=America/New_York:20261213T180000",
                ],
            ),
            "07 21",
        ),
    ]);
}

#[test]
fn a_time_in_utc_counts_by_the_zone_of_the_file() {
    let day = "DTSTART:20261224T230000Z\nDTEND:20261225T230000Z";
    let head = "X-WR-TIMEZONE:Europe/Berlin\n";
    let series = "DTSTART:20261206T230000Z\nDTEND:20261207T230000Z\nRRULE:FREQ=WEEKLY";
    mean(&[
        ("a day", file(head, &[day]), "25"),
        ("of no clock", file("", &[day]), "24 25"),
        ("west", file("X-WR-TIMEZONE:America/New_York\n", &["DTSTART:20261225T050000Z\nDURATION:P1D"]), "25"),
        ("by a name of its own", file(&format!("X-WR-TIMEZONE:Own\n{}", zone("Own", EU)), &[day]), "25"),
        ("of a zone that nobody knows", file("X-WR-TIMEZONE:Nowhere\n", &[day]), "24 25"),
        (
            "UTC as a zone",
            file(head, &["DTSTART;TZID=UTC:20261224T230000\nDTEND;TZID=UTC:20261225T230000"]),
            "25",
        ),
        ("a series", file(head, &[&format!("{series};UNTIL=20261220T230000Z")]), "07 14 21"),
        ("until a date", file(head, &[&format!("{series};UNTIL=20261221")]), "07 14 21"),
        ("except a date", file(head, &[&format!("{series};COUNT=3\nEXDATE;VALUE=DATE:20261214")]), "07 21"),
        ("with a zone of its own", file(head, &["DTSTART;TZID=America/New_York:20261224T230000"]), "24"),
        ("a date", file(head, &["DTSTART;VALUE=DATE:20261224"]), "24"),
    ]);
}

#[test]
fn the_newest_version_of_an_event_counts_alone() {
    let version = |day: &str, rest: &str| format!("UID:a\nDTSTART;VALUE=DATE:202612{day}\n{rest}");
    let (first, second) = (version("07", "SEQUENCE:0"), version("08", "SEQUENCE:2"));
    let old = version("07", "LAST-MODIFIED:20260101T000000Z\nSEQUENCE:1");
    let new = version("08", "LAST-MODIFIED:20260102T000000Z\nSEQUENCE:1");
    let moved = |day: &str, sequence: u8| {
        format!(
            "UID:b\nRECURRENCE-ID;VALUE=DATE:20261214\nDTSTART;VALUE=DATE:202612{day}\nSEQUENCE:{sequence}"
        )
    };
    let series = "UID:b\nDTSTART;VALUE=DATE:20261207\nRRULE:FREQ=WEEKLY;COUNT=3\nSEQUENCE:9";
    mean(&[
        ("in order", file("", &[&first, &second]), "08"),
        ("the other way round", file("", &[&second, &first]), "08"),
        ("without a number", file("", &[&version("07", ""), &second]), "08"),
        ("by time", file("", &[&new, &old]), "08"),
        (
            "by the stamp",
            file(
                "",
                &[&version("08", "DTSTAMP:20260102T000000Z"), &version("07", "DTSTAMP:20260101T000000Z")],
            ),
            "08",
        ),
        ("the number goes before the time", file("", &[&version("08", "SEQUENCE:3"), &new]), "08"),
        (
            "called off",
            file(
                "",
                &[&first, &version("08", "SEQUENCE:3\nSTATUS:CANCELLED"), "DTSTART;VALUE=DATE:20261224"],
            ),
            "24",
        ),
        ("a moved day", file("", &[series, &moved("16", 2), &moved("15", 1)]), "07 16 21"),
        // Files that use one UID for all events.
        ("of one name", file("", &[&version("07", ""), &version("08", "")]), "07 08"),
        ("of one name and stamp", file("", &[&old, &old.replace("20261207", "20261209")]), "07 09"),
        ("of other names", file("", &[&first, &second.replace("UID:a", "UID:c")]), "07 08"),
        (
            "of no name",
            file("", &["DTSTART;VALUE=DATE:20261207\nSEQUENCE:1", "DTSTART;VALUE=DATE:20261208"]),
            "07 08",
        ),
    ]);
}

#[test]
fn a_change_with_this_and_future_changes_all_later_occurrences() {
    let series = "UID:a\nSUMMARY:Old\nDTSTART;VALUE=DATE:20261207\nRRULE:FREQ=WEEKLY;COUNT=4";
    let from = |day: &str, rest: &str| {
        format!("UID:a\nRECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:202612{day}\n{rest}")
    };
    let later = from("21", "DTSTART;VALUE=DATE:20261222");
    let timed = "UID:a\nDTSTART;TZID=Europe/Berlin:20261207T220000\nRRULE:FREQ=WEEKLY;COUNT=4";
    mean(&[
        ("a day later", file("", &[series, &later]), "07 14 22 29"),
        ("before it in the file", file("", &[&later, series]), "07 14 22 29"),
        ("a day earlier", file("", &[series, &from("14", "DTSTART;VALUE=DATE:20261213")]), "07 13 20 27"),
        ("twice", file("", &[series, &later, &from("28", "DTSTART;VALUE=DATE:20261231")]), "07 14 22 31"),
        (
            "two days long",
            file("", &[series, &from("21", "DTSTART;VALUE=DATE:20261221\nDURATION:P2D")]),
            "07 14 21 22 28 29",
        ),
        (
            "called off",
            file("", &[series, &from("21", "DTSTART;VALUE=DATE:20261221\nSTATUS:CANCELLED")]),
            "07 14",
        ),
        (
            "a series of its own",
            file("", &[series, &from("21", "DTSTART;VALUE=DATE:20261222\nRRULE:FREQ=DAILY;COUNT=2")]),
            "07 14 22 23",
        ),
        (
            "and one by itself",
            file(
                "",
                &[series, &later, "UID:a\nRECURRENCE-ID;VALUE=DATE:20261228\nDTSTART;VALUE=DATE:20261230"],
            ),
            "07 14 22 30",
        ),
        ("of the first", file("", &[series, &from("07", "DTSTART;VALUE=DATE:20261208")]), "08 15 22 29"),
        (
            "with times",
            file(
                "",
                &[
                    timed,
                    "UID:a\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261221T210000Z\nDTSTART;TZID=Europe/Berlin:20261222T010000",
                ],
            ),
            "07 14 22 29",
        ),
        ("one alone", file("", &[series, &later.replace("RANGE=THISANDFUTURE;", "")]), "07 14 22 28"),
    ]);
}

#[test]
fn a_rule_without_parts_or_without_a_count_is_parsed() {
    let day = |rule: &str| file("", &[&format!("DTSTART;VALUE=DATE:20261207\nRRULE:{rule}")]);
    mean(&[
        ("nothing", day(""), "07"),
        ("blank", day("  "), "07"),
        ("separators", day(";;"), "07"),
        ("no count", day("FREQ=WEEKLY;UNTIL=20261221;COUNT=-1"), "07 14 21"),
        ("a count of none", day("FREQ=WEEKLY;COUNT=0;UNTIL=20261221"), "07 14 21"),
        ("an empty part", day("FREQ=WEEKLY;BYDAY=;UNTIL=20261221"), "07 14 21"),
        ("a separator at the end", day("FREQ=WEEKLY;COUNT=2;"), "07 14"),
        ("small letters and blanks", day("freq=weekly; count=2 ;wkst=su"), "07 14"),
        ("said twice", day("FREQ=WEEKLY;COUNT=2;FREQ=WEEKLY"), "07 14"),
        ("both ends", day("FREQ=WEEKLY;COUNT=9;UNTIL=20261214"), "07 14"),
        ("the scale that everybody has", day("RSCALE=GREGORIAN;FREQ=WEEKLY;COUNT=2;SKIP=OMIT"), "07 14"),
    ]);
}

#[test]
fn an_invalid_event_is_left_out_and_reported_with_its_line() {
    let good = "DTSTART;VALUE=DATE:20261224";
    // The second event begins on line 6, and its first property is on line 7.
    for (bad, told) in [
        ("DTSTART:Invalid date", "line 7 of the ICS file: `Invalid date` is not a date"),
        ("DTSTART:", "line 7 of the ICS file: `` is not a date"),
        ("SUMMARY:Nothing", "the event that begins on line 6 of the ICS file has no DTSTART"),
        ("DTSTART:20261207\nDTEND:20261332", "line 8 of the ICS file: `20261332` is not a date"),
        ("DTSTART:20261207\nDURATION:long", "line 8 of the ICS file: `long` is not a duration, such as P1D"),
        ("DTSTART:20261207\nEXDATE:20261214,never", "line 8 of the ICS file: `never` is not a date"),
        (
            "DTSTART:20261207\nRRULE:FREQ=WEEKLY;UNTL=20191023",
            "line 8 of the ICS file: UNTL is not read in the repetition `FREQ=WEEKLY;UNTL=20191023`",
        ),
        (
            "DTSTART:20261207\nRRULE:FREQ=WEEKLY;COUNT",
            "line 8 of the ICS file: COUNT is not read in the repetition `FREQ=WEEKLY;COUNT`",
        ),
        (
            "DTSTART:20261207\nRRULE:FREQ=YEARLY;BYEASTER=1",
            "line 8 of the ICS file: BYEASTER is not read in the repetition `FREQ=YEARLY;BYEASTER=1`",
        ),
        (
            "DTSTART:20261207\nRRULE:RSCALE=HEBREW;FREQ=YEARLY",
            "line 8 of the ICS file: RSCALE=HEBREW is not read in the repetition `RSCALE=HEBREW;FREQ=YEARLY`",
        ),
        (
            "DTSTART:20261207\nRRULE:FREQ=WEEKLY;BYDAY=MO;BYDAY=TU",
            "line 8 of the ICS file: the repetition `FREQ=WEEKLY;BYDAY=MO;BYDAY=TU` is not understood",
        ),
        (
            "DTSTART:20261207\nRRULE:COUNT=2",
            "line 8 of the ICS file: the repetition `COUNT=2` is not understood",
        ),
        (
            "DTSTART:20261207\nRRULE:FREQ=DAILY;COUNT=-1",
            "line 8 of the ICS file: the repetition `FREQ=DAILY;COUNT=-1` is not understood",
        ),
        (
            "DTSTART:20261207\nRRULE:FREQ=DAILY;UNTIL=soon",
            "line 8 of the ICS file: the repetition `FREQ=DAILY;UNTIL=soon` is not understood",
        ),
        (
            "DTSTART:20261207\nEXRULE:FREQ=DAILY;INTERVAL=0",
            "line 8 of the ICS file: the repetition `FREQ=DAILY;INTERVAL=0` is not understood",
        ),
        (
            "DTSTART:20261207\nRRULE:FREQ=HOURLY",
            "line 8 of the ICS file repeats within a day; a calendar is made of whole days, so use DAILY or slower",
        ),
        (
            "DTSTART:20261207\nBEGIN:VALARM",
            "VALARM, which begins on line 8 of the ICS file, has no END:VALARM",
        ),
        ("DTSTART:20261207\nEND:VALARM", "line 8 of the ICS file ends VALARM, which was not begun there"),
        (
            "DTSTART:00010101\nRRULE:FREQ=DAILY;COUNT=999999;BYDAY=MO,TU,WE,TH,FR,SA",
            "the event that begins on line 6 of the ICS file repeats over too long a time",
        ),
    ] {
        let text = file("", &[good, bad, "DTSTART;VALUE=DATE:20261226"]);
        assert_eq!(winter(&text), ("24 26".to_owned(), vec![told.to_owned()]), "{text}");
        // If the file has no other event, the same error refuses the file.
        let alone = file("", &[bad]);
        let span = super::super::span(Date::constant(2026, 11, 27));
        let refused = read(&alone).map(|file| file.days(span));
        let told = |left: &IcsError| assert!(left.line() < 6, "{left}");
        match refused {
            Err(error) => told(&error),
            Ok(found) => {
                assert!(found.days.is_empty(), "{alone}");
                found.left.told.iter().for_each(told);
            }
        }
    }
}

#[test]
fn a_file_whose_ends_are_missing_counts_as_far_as_it_goes() {
    let whole = file(
        "",
        &["DTSTART;VALUE=DATE:20261224", "DTSTART;VALUE=DATE:20261225", "DTSTART;VALUE=DATE:20261226"],
    );
    let lines: Vec<&str> = whole.lines().collect();
    let text = |dropped: &[usize]| {
        let kept = lines.iter().enumerate().filter(|(at, _)| !dropped.contains(&(at + 1)));
        kept.flat_map(|(_, line)| [*line, "\n"]).collect::<String>()
    };
    let told = |dropped: &[usize]| winter(&text(dropped));
    assert_eq!(told(&[]).0, "24 25 26");
    let no_end = "VEVENT, which begins on line 6 of the ICS file, has no END:VEVENT".to_owned();
    assert_eq!(told(&[8]), ("24 26".to_owned(), vec![no_end]), "the end of the second");
    let cut = |line: usize, name: &str| {
        vec![format!(
            "the ICS file ends in the middle of {name}, which begins on line {line}: a part of it is missing"
        )]
    };
    assert_eq!(told(&[11, 12]), ("24 25".to_owned(), cut(9, "VEVENT")), "in the middle of the third");
    assert_eq!(told(&[12]), ("24 25 26".to_owned(), cut(1, "VCALENDAR")), "the end of the calendar");
    // Lines after the calendar are ignored, and blank lines before it count for line numbers.
    let around =
        format!("\n\n{}-- \nsent: by a program\n", file("", &["DTSTART;VALUE=DATE:20261224", "DTSTART:x"]));
    let left = vec!["line 9 of the ICS file: `x` is not a date".to_owned()];
    assert_eq!(winter(&around), ("24".to_owned(), left));
}

#[test]
fn an_invalid_zone_is_reported_only_if_an_event_uses_it() {
    let event = "DTSTART;TZID=Own:20261207T000000\nRRULE:FREQ=WEEKLY;UNTIL=20261220T230000Z";
    let told = ["the time zone that begins on line 3 of the ICS file is not understood".to_owned()];
    for broken in [
        "",
        "BEGIN:STANDARD\nDTSTART:soon\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0100\nEND:STANDARD",
        "BEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:east\nTZOFFSETTO:+0100\nEND:STANDARD",
        "BEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0100\nRRULE:FREQ=DAILY\nEND:STANDARD",
        "BEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;X=1\nEND:STANDARD",
        "BEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0100\nEND:DAYLIGHT",
    ] {
        let text = file(&zone("Own", broken), &[event]);
        assert_eq!(winter(&text), ("07 14 21".to_owned(), told.to_vec()), "{text}");
        mean(&[("not named", file(&zone("Other", broken), &["DTSTART:20261224"]), "24")]);
        mean(&[(
            "known by its name",
            file(&zone("Europe/Berlin", broken), &[&event.replace("Own", "Europe/Berlin")]),
            "07 14 21",
        )]);
    }
}

#[test]
fn hostile_zones_and_versions_cost_little() {
    let clock = crate::clock::Clock::system();
    let begun = clock.monotonic();
    let span = super::super::span(Date::constant(2026, 11, 27));
    let event = "DTSTART;TZID=Own:20261207T000000\nRRULE:FREQ=WEEKLY;UNTIL=20261220T230000Z";
    let observance = "BEGIN:STANDARD\nDTSTART:00010101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\n\
                      RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30\nEND:STANDARD\n";
    let daily = observance.replace("BYMONTH=2;BYMONTHDAY=30", "BYDAY=MO,TU,WE,TH,FR,SA,SU");
    let counted = observance.replace("BYMONTH=2;BYMONTHDAY=30", "COUNT=4294967295");
    for hostile in [observance.repeat(400), observance.repeat(6_000), daily.repeat(400), counted.repeat(400)]
    {
        let text = file(&zone("Own", hostile.trim_end()), &[event]);
        assert_eq!(read(&text).expect("it is read").days(span).days.len(), 3);
    }
    let deep = "BEGIN:STANDARD\n".repeat(30_000);
    let cut = read(&file(&zone("Own", &deep), &[event])).expect_err("no event is left");
    assert!(matches!(cut, IcsError::CutOff { .. }), "{cut}");
    let zones: String = (0..4_000).map(|number| zone(&format!("Own {number}"), INDIA)).collect();
    assert_eq!(
        read(&file(&zones, &[&event.replace("Own", "Own 3999")])).expect("it is read").days(span).days.len(),
        3
    );
    let versions: Vec<String> =
        (0..9_000).map(|number| format!("UID:a\nSEQUENCE:{number}\nDTSTART:20261224")).collect();
    let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
    assert_eq!(read(&file("", &versions)).expect("it is read").days(span).days.len(), 1);
    let moved = vec!["UID:a\nRECURRENCE-ID:20261224\nDTSTART:20261225"; 9_000];
    let mut both = moved.clone();
    both.extend(vec!["UID:a\nDTSTART:20261224"; 4_000]);
    assert_eq!(read(&file("", &both)).expect("it is read").days(span).refusal, Some(Refusal::TooCostly));
    let bad = vec!["DTSTART:x"; 20_000];
    let found = read(&file("", &[&["DTSTART:20261224"], &bad[..]].concat())).expect("it is read").days(span);
    assert_eq!((found.days.len(), found.left.told.len(), found.left.total()), (1, MAX_LEFT, 20_000));
    let took = clock.monotonic().saturating_sub(begun);
    assert!(took.as_secs() < 60, "it took {took:?}");
}
