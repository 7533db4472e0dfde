//! The time fields of a draft: zone, cron expression, instant, window.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;

use super::draft::Draft;
use crate::app::draft::{Faults, Field, did_you_mean};
use crate::app::rulebook::RuleBook;
use crate::app::suggest::suggest;
use crate::app::zone::NamedZone;
use crate::domain::cron::Cron;
use crate::domain::schedule::{Schedule, ScheduleKind, When};
use crate::domain::time::{resolve, zone, zone_name};
use crate::domain::window::{Phase, Window, WindowTimeline};
use crate::zones;

/// The fault of a single instant that is not to come.
pub(in crate::app) const PASSED: &str = "this instant has passed; use one to come";

/// The validated time fields of a draft.
pub(super) struct Timing {
    pub when: When,
    /// The schedule's own zone, as the zone database spells it; `None` for the default zone.
    pub timezone: Option<String>,
    pub warnings: Vec<String>,
    /// The effects of a clock change on a single instant.
    pub dst_notes: Vec<String>,
}

/// Checks the time fields. `stored` allows an unchanged instant that has passed.
pub(super) fn timing(
    draft: &Draft,
    book: &RuleBook,
    stored: Option<&Schedule>,
    now: Timestamp,
    faults: &mut Faults,
) -> Option<Timing> {
    let own = draft.timezone.text().and_then(|name| faults.take("timezone", named_zone(name)));
    // With an invalid zone the other fields are still checked, in the default zone.
    let zone = own.clone().unwrap_or_else(|| book.zone.clone());
    let (mut warnings, mut dst_notes) = (Vec::new(), Vec::new());
    let when = match kind(draft, faults)? {
        ScheduleKind::Cron => {
            let cron = Cron::parse(draft.cron.text().unwrap_or_default());
            let cron = faults.take("cron", cron.map_err(|error| format!("{}: {error}", error.field)))?;
            let both = "Day of month and day of week are both set: it fires when either matches.";
            warnings.extend(cron.both_day_fields().then(|| both.to_owned()));
            When::Cron(cron.as_str().to_owned())
        }
        ScheduleKind::Once => When::Once(instant(draft, &zone, stored, now, &mut dst_notes, faults)?),
        ScheduleKind::Window => {
            let window = faults.take("window", Window::parse(draft.window.text().unwrap_or_default()))?;
            warnings.extend(never_changes(&window, &zone, now));
            When::Window(window.to_string())
        }
    };
    Some(Timing { when, timezone: own.map(|zone| zone.name), warnings, dst_notes })
}

/// A warning for a window that is always or never asleep.
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

/// Whether the draft is a window.
pub(super) fn names_window(draft: &Draft) -> bool {
    match draft.kind.text() {
        Some(word) => word == ScheduleKind::Window.as_str(),
        None => {
            let others = [&draft.cron, &draft.at];
            others.iter().all(|field| field.text().is_none()) && draft.window.text().is_some()
        }
    }
}

/// The kind of the schedule; adds a fault where its own field is empty or a field of another kind is set.
fn kind(draft: &Draft, faults: &mut Faults) -> Option<ScheduleKind> {
    let fields = [
        (ScheduleKind::Cron, "cron", &draft.cron, "say when, such as `0 23 * * *` for 23:00 every day"),
        (ScheduleKind::Once, "at", &draft.at, "say when, such as 2026-12-24T18:00"),
        (
            ScheduleKind::Window,
            "window",
            &draft.window,
            "say when it sleeps, such as `sleep Mon-Fri 23:00-07:00`",
        ),
    ];
    let kind = match draft.kind.text() {
        Some(word) => faults.take("kind", ScheduleKind::parse(word).ok_or("use cron, once or window"))?,
        None => fields
            .iter()
            .find(|(_, _, typed, _)| typed.text().is_some())
            .map_or(ScheduleKind::Cron, |(kind, ..)| *kind),
    };
    let before = faults.0.len();
    for (other, field, typed, hint) in fields {
        match (other == kind, typed.text().is_some()) {
            (true, false) => faults.add(field, hint),
            (false, true) => faults
                .add(field, format!("a schedule of kind {kind} has no `{field}`; leave one of the two out")),
            _ => {}
        }
    }
    (faults.0.len() == before).then_some(kind)
}

fn named_zone(name: &str) -> Result<NamedZone, String> {
    match zone(name) {
        Ok(zone) => Ok(NamedZone { name: zone_name(&zone).to_owned(), zone }),
        Err(error) => {
            let near = suggest(name, zones::chosen().names().iter().map(String::as_str));
            Err(did_you_mean(&error.to_string(), &near))
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
    let typed = draft.at.text()?;
    let at = match typed.parse::<Timestamp>() {
        Ok(at) => Some(at),
        // `DateTime` also accepts a date alone, and ignores an offset or a zone.
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
    // The database stores whole milliseconds.
    let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
    let unchanged = stored.is_some_and(|schedule| schedule.spec.when == When::Once(at));
    if at <= now && !unchanged {
        faults.add("at", PASSED);
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
