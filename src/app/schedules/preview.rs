//! What a schedule would do, told before it is saved.

use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::draft::Draft;
use super::weekly::{self, Mark};
use super::{check, lint, view};
use crate::app::draft::Field;
use crate::app::rulebook::RuleBook;
use crate::app::zone::NamedZone;
use crate::app::{Actor, App, Error, Result, execute};
use crate::domain::action::Action;
use crate::domain::conflict::Fires;
use crate::domain::guard::Guard;
use crate::domain::permission::Permission;
use crate::domain::plan::Plan;
use crate::domain::schedule::{Reading, ScheduleSpec, When};
use crate::domain::text::capital;
use crate::domain::window::{Phase, WindowTimeline};

/// Instants shown.
const SHOWN: usize = 10;
/// Clock changes told at most, and how far ahead they are looked for, in days.
const NOTES: usize = 4;
const NOTES_WITHIN_DAYS: u32 = 400;

/// What a draft would do; stores nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// When it fires, in words.
    pub meaning: String,
    /// The next ten instants; one for `once`; the next ten edges of a window.
    pub next: Vec<Coming>,
    /// What the person should know; whole sentences.
    pub warnings: Vec<String>,
    /// What the next clock changes do to it.
    pub dst_notes: Vec<String>,
    /// The zone it is read in.
    pub zone: String,
    /// For a window: what saving it does at once.
    pub now: Option<Now>,
    /// What may hold it back for a while.
    pub guard: Option<Guard>,
    /// For a window: minutes asleep in the coming seven days.
    pub asleep_minutes: Option<i64>,
    /// For a window: when it sleeps in the coming 24 hours, as minutes from now.
    pub today: Option<Vec<(i64, i64)>>,
    /// What it does in a week.
    pub week: Vec<Mark>,
}

/// One of the coming instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coming {
    pub at: Timestamp,
    /// For a window: what begins.
    pub state: Option<Phase>,
}

/// What a window that is saved now does at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = NowJson)]
pub struct Now {
    // By this rule alone.
    pub state: Phase,
    /// The containers it would stop or pause.
    pub will_stop: Vec<String>,
}

/// What `draft` would do.
///
/// # Errors
/// [`Error::Invalid`] where its time fields are wrong. A target that is missing or wrong only leaves out what is said
/// about it, so that a form can be previewed before it is complete.
pub async fn preview(app: &App, actor: &Actor, draft: &Draft) -> Result<Preview> {
    actor.require(Permission::View)?;
    let now = app.clock.now();
    let book = RuleBook::load(app).await?;
    let checked = check::read(app, draft, &book, None, now);
    let of_rule = checked.faults.into_iter().filter(|fault| is_of_rule(&fault.field));
    let spec = match (of_rule.collect::<Vec<_>>(), checked.spec) {
        (faults, Some(spec)) if faults.is_empty() => spec,
        (faults, _) => return Err(Error::Invalid(faults)),
    };
    let (mut preview, state) = {
        let (when, zone, reading) = (spec.when.clone(), book.zone_of(&spec), book.reading(&spec));
        lint::work_out(move || of_times(&when, zone, &reading, now)).await?
    };
    preview.dst_notes.splice(0..0, checked.dst_notes);
    preview.warnings = checked.warnings;
    if draft.target_type.text().is_some() && draft.target_id.text().is_some() {
        preview.warnings.extend(checked.of_target.into_iter().map(|fault| capital(&fault.message) + "."));
    }
    preview.guard.clone_from(&spec.guard);
    let aimed = checked.is_aimed.then_some(ScheduleSpec { enabled: true, ..spec });
    if let Some(spec) = &aimed {
        preview.warnings.extend(lint::clashes(app, spec, draft.id.as_ref(), &book, now).await?);
    }
    if let Some(state) = state {
        preview.now = Some(at_once(app, actor, aimed.as_ref(), state).await?);
    }
    Ok(preview)
}

/// Whether a field says when something happens, rather than to what, or what it is called.
fn is_of_rule(field: &str) -> bool {
    matches!(field, "kind" | "cron" | "at" | "window" | "timezone" | "calendar_id" | "calendar_effect")
        || field.starts_with("guard.")
}

/// What the times of a draft come to, whatever its target; and, for a window, what it says now.
fn of_times(when: &When, zone: NamedZone, reading: &Reading, now: Timestamp) -> (Preview, Option<Phase>) {
    let fires = Fires::of(when, reading, None);
    let timeline = match &fires {
        Some(Fires::Window(window, reading, skip)) => Some(WindowTimeline::of(window, reading, *skip)),
        _ => None,
    };
    let dst_notes = match (&fires, timeline) {
        (_, Some(timeline)) => {
            let notes = timeline.dst_notes(now, NOTES_WITHIN_DAYS).into_iter().take(NOTES);
            notes.map(|note| capital(&note.to_string())).collect()
        }
        (Some(Fires::Cron(cron, _)), _) => {
            let notes = cron.dst_notes(now, &zone.zone, NOTES_WITHIN_DAYS).into_iter().take(NOTES);
            notes.map(|note| note.to_string()).collect()
        }
        _ => Vec::new(),
    };
    let phase = |at| timeline.map(|timeline| timeline.vote(at).phase());
    let next = fires.iter().flat_map(|fires| fires.iter(now)).take(SHOWN);
    let preview = Preview {
        meaning: view::meaning(when, &zone),
        next: next.map(|at| Coming { at, state: phase(at) }).collect(),
        dst_notes,
        asleep_minutes: timeline.map(|timeline| asleep_minutes(timeline, now)),
        today: timeline.map(|timeline| today(timeline, now)),
        week: weekly::marks(when, &zone.zone, now),
        zone: zone.name,
        ..Preview::default()
    };
    (preview, phase(now))
}

/// What a window does at once where it is saved now; it does nothing before `from`.
pub(super) async fn on_save(
    app: &App,
    actor: &Actor,
    spec: &ScheduleSpec,
    book: &RuleBook,
    from: Timestamp,
) -> Result<Option<Now>> {
    let now = app.clock.now();
    match book.fires(spec, None) {
        Some(Fires::Window(window, reading, skip)) if spec.enabled => {
            let state = WindowTimeline::of(&window, &reading, skip).vote(now).phase();
            at_once(app, actor, Some(spec).filter(|_| from <= now), state).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// What putting the target to sleep at once touches, if it is asleep now.
async fn at_once(app: &App, actor: &Actor, spec: Option<&ScheduleSpec>, state: Phase) -> Result<Now> {
    let Some(spec) = spec.filter(|_| state == Phase::Asleep) else {
        return Ok(Now { state, will_stop: Vec::new() });
    };
    let will_stop = match execute::preview(app, actor, &spec.target, spec.action, false).await {
        Ok(plan) => plan.steps.into_iter().map(|step| step.container).collect(),
        // The host is away, or the target not there yet: nothing is stopped now.
        Err(Error::Docker { .. } | Error::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(Now { state, will_stop })
}

/// Minutes asleep in the seven days after `now`.
fn asleep_minutes(timeline: WindowTimeline<'_>, now: Timestamp) -> i64 {
    let end = now.checked_add((7 * 24).hours()).unwrap_or(Timestamp::MAX);
    let sleeps = timeline.sleeps(now, end).into_iter();
    // Both ends may cut a minute in two.
    let millis = sleeps.map(|sleep| sleep.end.min(end).duration_since(sleep.start.max(now)).as_millis());
    i64::try_from((millis.sum::<i128>() + 30_000) / 60_000).unwrap_or(i64::MAX)
}

/// When it sleeps in the 24 hours after `now`, as minutes from then.
fn today(timeline: WindowTimeline<'_>, now: Timestamp) -> Vec<(i64, i64)> {
    const DAY: i64 = 24 * 60;
    let end = now.checked_add(24.hours()).unwrap_or(Timestamp::MAX);
    let minutes = |at: Timestamp| (at.duration_since(now).as_secs() + 30).div_euclid(60).clamp(0, DAY);
    let sleeps = timeline.sleeps(now, end).into_iter();
    sleeps.map(|sleep| (minutes(sleep.start), minutes(sleep.end))).filter(|(from, to)| from < to).collect()
}

/// What one side of a rule would do as things are now.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// For a window: what begins; `None` for the other kinds.
    pub begins: Option<Phase>,
    /// What would be done.
    pub plan: Plan,
    /// Stop grace in seconds; `None` leaves it to the container.
    pub stop_timeout_seconds: Option<i64>,
}

/// What a draft would do if it acted now: of a window both edges. Changes nothing.
///
/// # Errors
/// [`Error::Invalid`] naming every field that is wrong; [`Error::Docker`] where the host is away.
pub async fn dry_run(app: &App, actor: &Actor, draft: &Draft) -> Result<Vec<DryRun>> {
    actor.require(Permission::View)?;
    let book = RuleBook::load(app).await?;
    let stored = match &draft.id {
        Some(id) => crate::db::schedules::get(&app.db, id).await?,
        None => None,
    };
    let (spec, _) = check::check(app, draft, &book, stored.as_ref(), app.clock.now())?;
    let edges = if matches!(spec.when, When::Window(_)) {
        vec![(Some(Phase::Asleep), spec.action), (Some(Phase::Awake), Action::Start)]
    } else {
        vec![(None, spec.action)]
    };
    let mut runs = Vec::new();
    for (begins, action) in edges {
        let restores = begins == Some(Phase::Awake);
        let plan = execute::preview(app, actor, &spec.target, action, restores).await?;
        runs.push(DryRun { begins, plan, stop_timeout_seconds: spec.stop_timeout_seconds });
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::window::Window;

    #[test]
    fn a_week_is_as_long_wherever_it_begins() {
        let (window, zone) = (Window::parse("sleep Mon-Fri 23:00-07:00").expect("a window"), TimeZone::UTC);
        for now in ["2026-11-25T12:00:00Z", "2026-11-25T01:15:46.992Z", "2026-11-25T06:59:59.999Z"] {
            let timeline = WindowTimeline::new(&window, &zone);
            assert_eq!(asleep_minutes(timeline, now.parse().expect("an instant")), 40 * 60, "{now}");
        }
    }
}
