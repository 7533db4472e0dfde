//! Validation of a draft into a storable schedule. Every field is checked, so that one response names all errors.

use jiff::Timestamp;

use super::draft::Draft;
use super::target::{self, Found};
use super::timing::{self, timing};
use crate::app::draft::{Faults, Field};
use crate::app::rulebook::RuleBook;
use crate::app::{App, Error, FieldError, Result};
use crate::domain::action::Action;
use crate::domain::calendar::CalendarEffect;
use crate::domain::day_rules::HORIZON_YEARS;
use crate::domain::day_rules::{EveryWeeks, Nth};
use crate::domain::fires::Fires;
use crate::domain::guard::{BUSY_WAIT, Guard, MAX_CPU, MAX_UPTIME, USUAL_BUSY_WAIT};
use crate::domain::ids::CalendarId;
use crate::domain::schedule::{
    DEFAULT_CATCH_UP, MAX_CATCH_UP, MAX_NOTE, MAX_SCHEDULE_NAME, MAX_STOP_TIMEOUT, Policy, Schedule,
    ScheduleKind, ScheduleSpec, Wake,
};
use crate::domain::window::Phase;

/// The largest absolute value of a priority.
const MAX_PRIORITY: i64 = 1000;

/// The result of checking a draft.
pub(super) struct Checked {
    /// The schedule to store where nothing is invalid. Invalid fields have their default here, so that an incomplete
    /// draft can be previewed; `None` only without a valid time.
    pub spec: Option<ScheduleSpec>,
    /// Whether target and action are given and valid.
    pub is_aimed: bool,
    /// Warnings for the user, as whole sentences.
    pub warnings: Vec<String>,
    /// The effects of a clock change on a single instant.
    pub dst_notes: Vec<String>,
    /// The errors, in the order of the fields.
    pub faults: Vec<FieldError>,
    /// The errors about the target, which `faults` contains too.
    pub of_target: Vec<FieldError>,
}

/// The schedule to store, with warnings for the user. `stored` is the schedule that the draft would replace.
pub(super) fn check(
    app: &App,
    draft: &Draft,
    book: &RuleBook,
    stored: Option<&Schedule>,
    now: Timestamp,
) -> Result<(ScheduleSpec, Vec<String>)> {
    let checked = read(app, draft, book, stored, now);
    match checked.spec {
        Some(spec) if checked.faults.is_empty() => Ok((spec, checked.warnings)),
        _ => Err(Error::Invalid(checked.faults)),
    }
}

/// Checks every field.
pub(super) fn read(
    app: &App,
    draft: &Draft,
    book: &RuleBook,
    stored: Option<&Schedule>,
    now: Timestamp,
) -> Checked {
    let (mut faults, mut of_target) = (Faults::default(), Faults::default());
    let enabled = draft.enabled.unwrap_or(true);
    let timing = timing(draft, book, stored.filter(|_| !enabled), now, &mut faults);
    let is_window = timing::names_window(draft);
    let mode = mode(draft, is_window, &mut faults);
    let policy = faults.word("policy", &draft.policy, "use respect, enforce or observe");
    if !is_window && policy != Policy::default() {
        faults.add("policy", "only a window has a policy; leave it at respect");
    }
    let wake = faults.word("wake", &draft.wake, "use restore or all");
    let action = action(draft, is_window, mode, &mut faults);
    let found = target::target(app, draft, action, stored, book, &mut of_target);
    faults.0.extend_from_slice(&of_target.0);
    if wake == Wake::All && found.as_ref().is_some_and(|found| found.target.is_wide()) {
        faults.add("wake", "use restore: a host or group may hold much that is off on purpose");
    }
    let name = faults.line("name", &draft.name, MAX_SCHEDULE_NAME);
    let note = note(draft, &mut faults);
    let catch_up = faults.number("catch_up_seconds", &draft.catch_up_seconds, 0..=MAX_CATCH_UP);
    let priority = faults.number("priority", &draft.priority, -MAX_PRIORITY..=MAX_PRIORITY);
    let grace = faults.number("stop_timeout_seconds", &draft.stop_timeout_seconds, 0..=MAX_STOP_TIMEOUT);
    let every_weeks = every_weeks(draft, &mut faults);
    let nth = nth(draft, &mut faults);
    let calendar = calendar(draft, is_window, book, &mut faults);
    let guard = guard(draft, action, &mut faults);

    let is_aimed = found.is_some() && action.is_some();
    let found = found.unwrap_or_else(Found::nothing);
    let (mut warnings, mut dst_notes) = (Vec::new(), Vec::new());
    let doubt = book.doubt(calendar.as_ref());
    let spec = timing.map(|timing| {
        (warnings, dst_notes) = (timing.warnings, timing.dst_notes);
        ScheduleSpec {
            name,
            target: found.target,
            target_name: found.name,
            action: action.unwrap_or(Action::Stop),
            when: timing.when,
            timezone: timing.timezone,
            enabled,
            catch_up_seconds: catch_up.unwrap_or(DEFAULT_CATCH_UP),
            priority: priority.unwrap_or(0),
            stop_timeout_seconds: grace,
            policy,
            wake,
            every_weeks,
            nth,
            calendar,
            guard,
            note,
        }
    });
    if let Some(spec) = &spec {
        never_acts(spec, book, now, &mut faults);
        warnings.extend(no_date_to_come(spec, book, now));
    }
    warnings.extend(doubt.into_iter().chain(found.warnings));
    Checked { spec, is_aimed, warnings, dst_notes, faults: faults.0, of_target: of_target.0 }
}

/// The action by which a window puts its target to sleep.
fn mode(draft: &Draft, is_window: bool, faults: &mut Faults) -> Action {
    match draft.mode.text() {
        None | Some("stop") => {}
        Some("pause") if is_window => return Action::Pause,
        Some("pause") => faults.add("mode", "only a window has a mode; here use the action pause"),
        Some(_) => faults.add("mode", "use stop or pause"),
    }
    Action::Stop
}

/// The action of a schedule; for a window its mode.
fn action(draft: &Draft, is_window: bool, mode: Action, faults: &mut Faults) -> Option<Action> {
    let message = match draft.action.text().map(str::parse) {
        None if is_window => return Some(mode),
        Some(_) if is_window => {
            "a window has no action: it sleeps by its mode, stop or pause; leave this out"
        }
        Some(Ok(action)) => return Some(action),
        Some(Err(_)) => "use start, stop, restart, pause or unpause",
        None => "say what to do: start, stop, restart, pause or unpause",
    };
    faults.add("action", message);
    is_window.then_some(mode)
}

fn note(draft: &Draft, faults: &mut Faults) -> String {
    // Forms send line ends as CR LF.
    let text = draft.note.text().unwrap_or_default().replace("\r\n", "\n");
    if text.chars().count() > MAX_NOTE {
        faults.add("note", format!("use {MAX_NOTE} characters at most"));
    } else if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        faults.add("note", "leave out control characters");
    }
    text
}

/// The guard of a draft. The action is `None` where it is invalid.
fn guard(draft: &Draft, action: Option<Action>, faults: &mut Faults) -> Option<Guard> {
    const UPTIME: &str = "guard.min_uptime_minutes";
    const CPU: &str = "guard.busy_cpu_percent";
    const WAIT: &str = "guard.busy_wait_minutes";
    let typed = &draft.guard;
    let min_uptime_minutes = faults.number(UPTIME, &typed.min_uptime_minutes, 1..=MAX_UPTIME);
    let busy_cpu_percent = faults.number(CPU, &typed.busy_cpu_percent, 1..=MAX_CPU);
    let wait = faults.number(WAIT, &typed.busy_wait_minutes, BUSY_WAIT.0..=BUSY_WAIT.1);
    let then = faults.word("guard.then", &typed.then, "use go or skip");
    let fields = [
        (UPTIME, &typed.min_uptime_minutes),
        (CPU, &typed.busy_cpu_percent),
        (WAIT, &typed.busy_wait_minutes),
    ];
    let (first, _) = fields.into_iter().find(|(_, typed)| typed.text().is_some())?;
    if action.is_some_and(|action| !Guard::applies_to(action)) {
        faults.add(first, "only what puts to sleep waits: a stop, a pause, a window; leave this out");
        return None;
    }
    if typed.busy_wait_minutes.text().is_some() && typed.busy_cpu_percent.text().is_none() {
        faults.add(CPU, "say above which CPU load it is busy, or leave the wait out");
        return None;
    }
    let busy_wait_minutes = busy_cpu_percent.map(|_| wait.unwrap_or(USUAL_BUSY_WAIT));
    let is_whole = min_uptime_minutes.is_some() || busy_cpu_percent.is_some();
    is_whole.then_some(Guard { min_uptime_minutes, busy_cpu_percent, busy_wait_minutes, then })
}

/// The weeks in which the schedule acts.
fn every_weeks(draft: &Draft, faults: &mut Faults) -> Option<EveryWeeks> {
    let (weeks, anchor) = (draft.every_weeks.text(), draft.anchor.text());
    let every = EveryWeeks::read(weeks, anchor, |field, message| faults.add(field, message));
    let field = if weeks.is_some() { "every_weeks" } else { "anchor" };
    if let Some(reason) = treats_days_alike(draft).filter(|_| weeks.is_some() || anchor.is_some()) {
        faults.add(field, reason);
        return None;
    }
    every
}

/// The like weekdays of a month on which the schedule acts.
fn nth(draft: &Draft, faults: &mut Faults) -> Nth {
    let Some(typed) = draft.nth.text() else { return Nth::ALL };
    let nth = faults.take("nth", Nth::parse(typed));
    if let Some(reason) = treats_days_alike(draft) {
        faults.add("nth", reason);
        return Nth::ALL;
    }
    nth.unwrap_or(Nth::ALL)
}

/// Why a schedule of this kind cannot leave out dates; `None` if it can.
fn treats_days_alike(draft: &Draft) -> Option<&'static str> {
    let is_once = match draft.kind.text() {
        Some(kind) => kind == ScheduleKind::Once.as_str(),
        None => draft.at.text().is_some(),
    };
    let first = draft.window.text().and_then(|text| text.split_whitespace().next());
    if is_once {
        Some("a single instant does not repeat; leave this out")
    } else if first.is_some_and(|word| word.eq_ignore_ascii_case(Phase::Awake.as_str())) {
        Some(
            "this goes with a cron expression or a `sleep` window: without its awake hours it would sleep all day",
        )
    } else {
        None
    }
}

/// Adds a fault where the fields about dates leave no date over.
fn never_acts(spec: &ScheduleSpec, book: &RuleBook, now: Timestamp, faults: &mut Faults) {
    // Without the calendar, whose dates change.
    let reading = spec.reading(book.zone_of(spec).zone, None);
    if reading.days.is_weekly() {
        return;
    }
    let fires = Fires::of(&spec.when, &reading, None);
    if fires.is_some_and(|fires| fires.next(now).is_none()) {
        let message = format!("so it never acts, at least not within {HORIZON_YEARS} years");
        let field = if spec.nth == Nth::ALL { "every_weeks" } else { "nth" };
        faults.add(field, message);
    }
}

/// The calendar of a draft, with its effect on a schedule of this kind.
fn calendar(
    draft: &Draft,
    is_window: bool,
    book: &RuleBook,
    faults: &mut Faults,
) -> Option<(CalendarId, CalendarEffect)> {
    let effect = draft.calendar_effect.text();
    let Some(id) = draft.calendar_id.text().map(CalendarId::from) else {
        if effect.is_some() {
            faults.add("calendar_effect", "choose a calendar too, or leave this out");
        }
        return None;
    };
    if book.dates(&id).is_none() {
        faults.add("calendar_id", "there is no such calendar");
    }
    let alike = treats_days_alike(draft);
    let choices = match (is_window, alike) {
        (true, None) => "awake, asleep, a day like as:Sun, or only",
        (true, Some(_)) => "awake, asleep or a day like as:Sun",
        (false, None) => "skip or only",
        (false, Some(_)) => "skip",
    };
    match (effect.map(CalendarEffect::parse), alike) {
        (Some(Some(CalendarEffect::Only)), Some(reason)) => faults.add("calendar_effect", reason),
        (Some(Some(effect @ CalendarEffect::Only)), None) => return Some((id, effect)),
        (Some(Some(effect)), _) if (effect == CalendarEffect::Skip) != is_window => {
            return Some((id, effect));
        }
        (None, _) if !is_window => return Some((id, CalendarEffect::Skip)),
        _ => faults.add("calendar_effect", format!("say what its dates do: {choices}")),
    }
    None
}

/// A warning for a schedule that acts on the dates of its calendar alone, where none of them lets it act.
fn no_date_to_come(spec: &ScheduleSpec, book: &RuleBook, now: Timestamp) -> Option<String> {
    let is_only = matches!(spec.calendar, Some((_, CalendarEffect::Only)));
    let fires = book.fires(spec, None).filter(|_| is_only)?;
    let warning =
        "No day to come of its calendar is one on which this acts: it does nothing until there is one.";
    fires.next(now).is_none().then(|| warning.to_owned())
}
