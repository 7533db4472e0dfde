//! The part of a draft that says when: zone, cron expression, instant, window.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;

use super::super::rulebook::RuleBook;
use super::super::suggest::suggest;
use super::super::zone::NamedZone;
use super::check::{Draft, Faults, did_you_mean, text};
use crate::domain::cron::Cron;
use crate::domain::schedule::{Schedule, ScheduleKind, When};
use crate::domain::time::{resolve, zone, zone_name};
use crate::domain::window::{Phase, Window, WindowTimeline};
use crate::zones;

/// The part of a draft that says when.
pub(super) struct Timing {
    pub when: When,
    /// Its own zone, as the zone database spells it.
    pub timezone: Option<String>,
    pub zone: NamedZone,
    pub warnings: Vec<String>,
    /// What a clock change does to a single instant.
    pub dst_notes: Vec<String>,
}

/// Checks what says when. `stored` lets an instant that has passed stay as it is.
pub(super) fn timing(
    draft: &Draft,
    book: &RuleBook,
    stored: Option<&Schedule>,
    now: Timestamp,
    faults: &mut Faults,
) -> Option<Timing> {
    let own = timezone(draft, faults);
    // With an unknown zone the other fields are still checked, in some zone.
    let named = own.clone().flatten().unwrap_or_else(|| book.zone.clone());
    let mut dst_notes = Vec::new();
    let mut warnings = Vec::new();
    let when = match kind(draft, faults)? {
        ScheduleKind::Cron => match Cron::parse(text(draft.cron.as_ref()).unwrap_or_default()) {
            Ok(cron) => {
                if cron.both_day_fields() {
                    warnings.push(
                        "Day of month and day of week are both set: it fires when either matches.".to_owned(),
                    );
                }
                Some(When::Cron(cron.as_str().to_owned()))
            }
            Err(error) => {
                faults.add("cron", format!("{}: {error}", error.field));
                None
            }
        },
        ScheduleKind::Once => instant(draft, &named, stored, now, &mut dst_notes, faults).map(When::Once),
        ScheduleKind::Window => match Window::parse(text(draft.window.as_ref()).unwrap_or_default()) {
            Ok(window) => {
                warnings.extend(never_changes(&window, &named, now));
                Some(When::Window(window.to_string()))
            }
            Err(error) => {
                faults.add("window", error.to_string());
                None
            }
        },
    }?;
    Some(Timing { when, timezone: own?.map(|zone| zone.name), zone: named, warnings, dst_notes })
}

/// A window that is always asleep, or never, is odd enough to say so.
fn never_changes(window: &Window, zone: &NamedZone, now: Timestamp) -> Option<String> {
    let timeline = WindowTimeline::new(window, &zone.zone);
    let always = match timeline.next_change(now) {
        Some(_) => return None,
        None => timeline.vote(now).phase(),
    };
    Some(match always {
        Phase::Asleep => "This is asleep all the time: nothing ever wakes it.".to_owned(),
        Phase::Awake => "This is awake all the time: it never sleeps.".to_owned(),
    })
}

/// Whether a draft is meant to be a window.
pub(super) fn names_window(draft: &Draft) -> bool {
    match text(draft.kind.as_ref()) {
        Some(word) => word == ScheduleKind::Window.as_str(),
        None => {
            [&draft.cron, &draft.at].iter().all(|field| text(field.as_ref()).is_none())
                && text(draft.window.as_ref()).is_some()
        }
    }
}

/// Which of the kinds is meant, and that the fields of the others are empty.
fn kind(draft: &Draft, faults: &mut Faults) -> Option<ScheduleKind> {
    let filled = [
        (ScheduleKind::Cron, "cron", text(draft.cron.as_ref()).is_some()),
        (ScheduleKind::Once, "at", text(draft.at.as_ref()).is_some()),
        (ScheduleKind::Window, "window", text(draft.window.as_ref()).is_some()),
    ];
    let kind = match text(draft.kind.as_ref()) {
        Some(word) => match ScheduleKind::parse(word) {
            Some(kind) => kind,
            None => {
                faults.add("kind", "use cron, once or window");
                return None;
            }
        },
        None => filled.iter().find(|(.., filled)| *filled).map_or(ScheduleKind::Cron, |(kind, ..)| *kind),
    };
    let mut one_is_wrong = false;
    for (other, field, filled) in filled {
        let message = match (other == kind, filled) {
            (true, false) => match kind {
                ScheduleKind::Cron => "say when, such as `0 23 * * *` for 23:00 every day".to_owned(),
                ScheduleKind::Once => "say when, such as 2026-12-24T18:00".to_owned(),
                ScheduleKind::Window => "say when it sleeps, such as `sleep Mon-Fri 23:00-07:00`".to_owned(),
            },
            (false, true) => {
                format!("a schedule of kind {} has no `{field}`; leave one of the two out", kind.as_str())
            }
            _ => continue,
        };
        faults.add(field, message);
        one_is_wrong = true;
    }
    (!one_is_wrong).then_some(kind)
}

/// The zone the draft names: `Some(None)` where it names none, `None` where there is no such zone.
#[expect(clippy::option_option, reason = "missing and wrong are two things")]
fn timezone(draft: &Draft, faults: &mut Faults) -> Option<Option<NamedZone>> {
    let Some(name) = text(draft.timezone.as_ref()) else { return Some(None) };
    match zone(name) {
        Ok(zone) => Some(Some(NamedZone { name: zone_name(&zone).to_owned(), zone })),
        Err(error) => {
            let zones = zones::chosen().names();
            let near = suggest(name, zones.iter().map(String::as_str));
            faults.add("timezone", did_you_mean(&error.to_string(), &near));
            None
        }
    }
}

/// The instant of a `once`.
fn instant(
    draft: &Draft,
    zone: &NamedZone,
    stored: Option<&Schedule>,
    now: Timestamp,
    notes: &mut Vec<String>,
    faults: &mut Faults,
) -> Option<Timestamp> {
    let typed = text(draft.at.as_ref())?;
    let at = match typed.parse::<Timestamp>() {
        Ok(at) => Some(at),
        // `DateTime` also reads a date alone, and reads past an offset or a zone.
        Err(_) if !(16..=19).contains(&typed.len()) => None,
        Err(_) => typed.parse::<DateTime>().ok().and_then(|wall| {
            let at = resolve(wall, &zone.zone)?;
            notes.extend(clock_change(wall, at, zone));
            Some(at)
        }),
    };
    let Some(at) = at else {
        faults.add(
            "at",
            "use a date and time such as 2026-12-24T18:00, or with an offset 2026-12-24T18:00:00+01:00",
        );
        return None;
    };
    // Whole milliseconds are what can be stored.
    let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
    let unchanged = stored.is_some_and(|schedule| schedule.spec.when == When::Once(at));
    if at <= now && !unchanged {
        faults.add("at", "this instant has passed; use one to come");
        return None;
    }
    Some(at)
}

fn clock_change(wall: DateTime, at: Timestamp, zone: &NamedZone) -> Option<String> {
    let shown = wall.strftime("%Y-%m-%d %H:%M");
    match zone.zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => Some(format!(
            "{shown} does not exist in {}: runs {}",
            zone.name,
            at.to_zoned(zone.zone.clone()).strftime("%H:%M")
        )),
        AmbiguousOffset::Fold { .. } => {
            Some(format!("{shown} happens twice in {}: runs the first time only", zone.name))
        }
    }
}
