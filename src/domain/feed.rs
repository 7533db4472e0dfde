//! Writes planned sleeps and fires as a file for calendar apps (iCalendar, RFC 5545). [`entries`] converts a simulation
//! to events, and [`write()`] writes the file.
//!
//! Instants are in UTC, so that the file needs no time zone component. Lines end in CRLF and are folded at 75 octets,
//! and text is escaped. An event keeps its UID as long as it starts at the same instant, so that an app that fetches
//! the file again keeps the event.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use jiff::{Timestamp, ToSpan};

use crate::domain::action::Action;
use crate::domain::ids::ScheduleId;
use crate::domain::overrides::DesiredState;
use crate::domain::simulate::{Event, EventKind, Simulation};
use crate::domain::target::Target;

/// The longest line in octets, without the line end.
const MAX_LINE: usize = 75;
/// The duration of a fire's event, in minutes: some apps hide events without a duration.
const FIRE_MINUTES: i64 = 5;
/// A schedule with more fires per day than this, on average, is left out, because its events would hide the others.
pub const MOST_A_DAY: usize = 12;

/// An event of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// A globally unique identifier.
    pub uid: String,
    pub start: Timestamp,
    pub end: Timestamp,
    /// The title of the event.
    pub summary: String,
    /// Further text; may be empty.
    pub description: String,
}

/// The input of [`entries`].
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub simulation: &'a Simulation,
    /// The first instant of the simulation.
    pub from: Timestamp,
    /// The first instant after the simulation.
    pub until: Timestamp,
    /// The id of this installation, which is a part of each UID.
    pub instance: &'a str,
}

/// The events of a simulation: each sleep, and each fire of a schedule that fires at most [`MOST_A_DAY`] times a day.
/// Skipped fires and edges have no event. `name` returns the name of a target; `since` returns the start of the sleep
/// of a target that is asleep at the start of the simulation.
pub fn entries(
    input: Told<'_>,
    name: impl Fn(&Target) -> String,
    since: impl Fn(&Target) -> Option<Timestamp>,
) -> Vec<Entry> {
    let Told { simulation, from, instance, .. } = input;
    let until = simulation.cut.unwrap_or(input.until);
    let days = usize::try_from((until.as_second() - from.as_second()) / 86_400).unwrap_or(0).max(1);
    let mut fires: HashMap<&ScheduleId, usize> = HashMap::new();
    for (id, _) in simulation.events.iter().filter_map(|event| event.schedule.as_ref()) {
        *fires.entry(id).or_default() += 1;
    }
    let mut entries = Vec::new();
    // The start and the reason of the open sleep of each target.
    let mut asleep: BTreeMap<&Target, (Timestamp, &str)> = BTreeMap::new();
    for (target, wanted) in &simulation.begins {
        if *wanted == Some(DesiredState::Asleep) {
            asleep.insert(target, (since(target).unwrap_or(from), ""));
        }
    }
    let sleep = |target: &Target, (start, why): (Timestamp, &str), end| Entry {
        uid: format!("sleep-{}-{}@{instance}.docknap", target.own_key(), start.as_second()),
        start,
        end,
        summary: format!("{} asleep", name(target)),
        description: why.to_owned(),
    };
    for event in simulation.events.iter().filter(|event| event.acts) {
        match (event.kind, &event.schedule) {
            (EventKind::Edge(Some(DesiredState::Asleep)), _) => {
                asleep.entry(&event.target).or_insert((event.at, &event.reason));
            }
            (EventKind::Edge(_), _) => {
                if let Some(begun) = asleep.remove(&event.target) {
                    entries.push(sleep(&event.target, begun, event.at));
                }
            }
            (EventKind::Fire(action), Some((id, title))) if fires[id] <= days * MOST_A_DAY => {
                entries.push(fire(event, action, id, title, instance, &name(&event.target)));
            }
            (EventKind::Fire(_), _) => {}
        }
    }
    entries.extend(asleep.into_iter().map(|(target, begun)| sleep(target, begun, until)));
    entries.sort_by(|a, b| a.start.cmp(&b.start).then_with(|| a.uid.cmp(&b.uid)));
    entries
}

fn fire(event: &Event, action: Action, id: &ScheduleId, title: &str, instance: &str, name: &str) -> Entry {
    let by = format!("by “{title}”");
    Entry {
        uid: format!("fire-{id}-{}@{instance}.docknap", event.at.as_second()),
        start: event.at,
        end: event.at.checked_add(FIRE_MINUTES.minutes()).unwrap_or(event.at),
        summary: format!("{} {name}", action.label()),
        description: if event.reason.is_empty() { by } else { format!("{by}: {}", event.reason) },
    }
}

/// The text of the file. `stamp` is the instant of its creation.
pub fn write(name: &str, entries: &[Entry], stamp: Timestamp) -> String {
    let mut file = File(String::with_capacity(512 + entries.len() * 320));
    for line in [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//DockNap//DockNap//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        "X-PUBLISHED-TTL:PT1H",
    ] {
        file.line(line);
    }
    file.text("NAME", name);
    file.text("X-WR-CALNAME", name);
    let stamp = utc(stamp);
    for entry in entries {
        file.line("BEGIN:VEVENT");
        file.text("UID", &entry.uid);
        file.line(&format!("DTSTAMP:{stamp}"));
        file.line(&format!("DTSTART:{}", utc(entry.start)));
        file.line(&format!("DTEND:{}", utc(entry.end)));
        file.text("SUMMARY", &entry.summary);
        if !entry.description.is_empty() {
            file.text("DESCRIPTION", &entry.description);
        }
        // The event does not mark its time as busy.
        file.line("TRANSP:TRANSPARENT");
        file.line("END:VEVENT");
    }
    file.line("END:VCALENDAR");
    file.0
}

fn utc(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

struct File(String);

impl File {
    /// Writes a line, folded between characters.
    fn line(&mut self, content: &str) {
        let mut width = 0;
        for letter in content.chars() {
            if width + letter.len_utf8() > MAX_LINE {
                self.0.push_str("\r\n ");
                width = 1;
            }
            self.0.push(letter);
            width += letter.len_utf8();
        }
        self.0.push_str("\r\n");
    }

    /// Writes a property with a text value, escaped.
    fn text(&mut self, name: &str, value: &str) {
        let mut line = format!("{name}:");
        for letter in value.chars() {
            match letter {
                '\\' | ';' | ',' => {
                    line.push('\\');
                    line.push(letter);
                }
                '\n' => line.push_str("\\n"),
                other if other.is_control() => {
                    let _ = write!(line, "\\\\u{{{:x}}}", u32::from(other));
                }
                other => line.push(other),
            }
        }
        self.line(&line);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::domain::calendar::ics;
    use crate::domain::ids::HostId;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn media() -> Target {
        Target::stack(HostId::local(), "media")
    }

    fn event(text: &str, kind: EventKind, schedule: &str, acts: bool) -> Event {
        let schedule = Some((ScheduleId::from(schedule), format!("Rule {schedule}")));
        Event { at: at(text), target: media(), kind, schedule, acts, reason: "why; so".to_owned() }
    }

    fn entries_of(simulation: &Simulation) -> Vec<Entry> {
        let input = Told {
            simulation,
            from: at("2027-01-05T12:00:00Z"),
            until: at("2027-01-08T00:00:00Z"),
            instance: "0123abcd",
        };
        entries(input, |_| "media".to_owned(), |_| Some(at("2027-01-04T22:00:00Z")))
    }

    const ASLEEP: EventKind = EventKind::Edge(Some(DesiredState::Asleep));
    const AWAKE: EventKind = EventKind::Edge(Some(DesiredState::Awake));

    #[test]
    fn each_sleep_and_each_fire_is_an_event() {
        let simulation = Simulation {
            events: vec![
                event("2027-01-05T18:00:00Z", AWAKE, "a", true),
                event("2027-01-05T19:00:00Z", EventKind::Fire(Action::Restart), "b", true),
                event("2027-01-05T20:00:00Z", EventKind::Fire(Action::Restart), "b", false),
                event("2027-01-05T22:00:00Z", ASLEEP, "a", true),
                event("2027-01-06T06:00:00Z", EventKind::Edge(None), "a", true),
                event("2027-01-07T22:00:00Z", ASLEEP, "a", true),
            ],
            cut: None,
            begins: BTreeMap::from([(media(), Some(DesiredState::Asleep))]),
        };
        let entries = entries_of(&simulation);
        let short: Vec<String> = entries
            .iter()
            .map(|one| {
                format!("{} {}-{}", one.summary, one.start.strftime("%d %H"), one.end.strftime("%d %H:%M"))
            })
            .collect();
        assert_eq!(
            short,
            [
                "media asleep 04 22-05 18:00",
                "Restart media 05 19-05 19:05",
                "media asleep 05 22-06 06:00",
                // This sleep does not end before the end of the simulation.
                "media asleep 07 22-08 00:00",
            ]
        );
        let later = entries_of(&Simulation { events: simulation.events[2..].to_vec(), ..simulation.clone() });
        let uid =
            |entries: &[Entry], end: &str| entries.iter().find(|one| one.end == at(end)).unwrap().uid.clone();
        let night = "2027-01-08T00:00:00Z";
        assert_eq!(uid(&entries, night), uid(&later, night), "it stays the same event");
    }

    #[test]
    fn a_schedule_that_fires_all_day_long_is_left_out() {
        let start = at("2027-01-05T12:00:00Z");
        let quarter = |number: i64| Event {
            at: start + (number * 15).minutes(),
            ..event("2027-01-05T12:00:00Z", EventKind::Fire(Action::Restart), "often", true)
        };
        let mut events: Vec<Event> = (0..200).map(quarter).collect();
        events.push(event("2027-01-07T22:00:00Z", EventKind::Fire(Action::Stop), "seldom", true));
        let simulation = Simulation { events, ..Simulation::default() };
        let entries = entries_of(&simulation);
        assert_eq!(entries.iter().map(|one| one.summary.as_str()).collect::<Vec<_>>(), ["Stop media"]);
    }

    #[test]
    fn the_file_is_read_back_whatever_a_name_holds() {
        let hostile = "a\"; <b>, c\\d\r\nBEGIN:VEVENT ☾ ".repeat(6);
        let entry = |number: i64| Entry {
            uid: format!("sleep-{number}@0123abcd.docknap"),
            start: at("2027-01-05T22:00:00Z") + (number * 48).hours(),
            end: at("2027-01-06T06:00:00Z") + (number * 48).hours(),
            summary: format!("{hostile}{number} asleep"),
            description: hostile.clone(),
        };
        let entries: Vec<Entry> = (0..3).map(entry).collect();
        let file = write("DockNap, nas", &entries, at("2027-01-05T00:00:00Z"));
        assert!(file.ends_with("END:VCALENDAR\r\n"));
        for line in file.split("\r\n") {
            assert!(line.len() <= MAX_LINE, "{line}");
            assert!(!line.contains(['\r', '\n']), "{line:?}");
        }
        assert_eq!(file.matches("\r\nBEGIN:VEVENT\r\n").count(), 3, "a name makes no event");
        assert!(file.contains("X-WR-CALNAME:DockNap\\, nas\r\n") && !file.contains("VTIMEZONE"), "{file}");
        let read = ics::read(&file).unwrap();
        let days = read.days(("2027-01-01".parse().unwrap(), "2027-02-01".parse().unwrap())).days;
        assert_eq!(days.len(), 6, "three nights over two dates each: {days:?}");
        assert!(days.values().all(|name| name.starts_with("a\"; <b>, c\\d")), "{days:?}");
    }
}
