//! Previews of a schedule before it is saved.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::draft::{Draft, is_of_time};
use super::weekly::{self, Mark};
use super::{check, lint, unused, view};
use crate::app::draft::Field;
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Error, Result, execute, targets};
use crate::domain::action::Action;
use crate::domain::fires::Fires;
use crate::domain::guard::Guard;
use crate::domain::permission::Permission;
use crate::domain::place::Place;
use crate::domain::plan::Plan;
use crate::domain::schedule::{ScheduleSpec, Source, When};
use crate::domain::text::capital;
use crate::domain::window::{Phase, WindowTimeline};

/// The number of instants shown.
const SHOWN: usize = 10;
/// The largest number of clock changes shown, and how far ahead they are searched, in days.
const NOTES: usize = 4;
const NOTES_WITHIN_DAYS: u32 = 400;

/// The effects of a draft; nothing is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// A description of when it fires.
    pub meaning: String,
    /// The next ten instants; one for `once`; the next ten edges of a window.
    pub next: Vec<Coming>,
    /// Warnings for the user, as whole sentences.
    pub warnings: Vec<String>,
    /// The effects of the next clock changes.
    pub dst_notes: Vec<String>,
    /// The name of the zone in which its times are read.
    pub zone: String,
    /// For a window: the immediate effect of saving it.
    pub now: Option<Now>,
    /// The guard that may defer it.
    pub guard: Option<Guard>,
    /// For a window: minutes asleep in the next seven days, or on average where weeks differ.
    pub asleep_minutes: Option<i64>,
    /// For a window: its sleeps in the next 24 hours, as minutes from now.
    pub today: Option<Vec<(i64, i64)>>,
    /// Its sleeps or fires in a week.
    pub week: Vec<Mark>,
}

/// A coming instant of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coming {
    pub at: Timestamp,
    /// For a window: the state that begins.
    pub state: Option<Phase>,
}

/// The immediate effect of saving a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = NowJson)]
pub struct Now {
    // By this window alone.
    pub state: Phase,
    /// The names of the containers it would stop or pause.
    pub will_stop: Vec<String>,
}

/// The preview of a draft.
///
/// # Errors
/// [`Error::Invalid`] where its time fields are invalid. A missing or invalid target only leaves out the information
/// about it, so that an incomplete form can be previewed.
pub async fn preview(app: &App, actor: &Actor, draft: &Draft) -> Result<Preview> {
    actor.require(Permission::View)?;
    let now = app.clock.now();
    let book = RuleBook::load(app).await?;
    let checked = check::read(app, draft, &book, None, now);
    let of_rule = checked.faults.into_iter().filter(|fault| is_of_time(&fault.field));
    let spec = match (of_rule.collect::<Vec<_>>(), checked.spec) {
        (faults, Some(spec)) if faults.is_empty() => spec,
        (faults, _) => return Err(Error::Invalid(faults)),
    };
    let (mut preview, state) = {
        let (spec, book) = (spec.clone(), Arc::clone(&book));
        lint::compute(move || preview_times(&spec, &book, now)).await?
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
    let source = match &draft.id {
        Some(id) if book.unused.is_some() => {
            crate::db::schedules::get(&app.db, id).await?.map(|one| one.source)
        }
        _ => None,
    };
    // What is not stored yet is a schedule of the pages or the API.
    let is_unused = !book.uses(source.unwrap_or(Source::Ui));
    if is_unused {
        preview.warnings.push(unused::UNUSED.to_owned());
    }
    if let Some(state) = state {
        let acting = aimed.as_ref().filter(|_| !is_unused);
        preview.now = Some(immediate_effect(app, actor, acting, state).await?);
    }
    Ok(preview)
}

/// The preview of the times of a draft, whatever its target; and, for a window, its state now.
fn preview_times(spec: &ScheduleSpec, book: &RuleBook, now: Timestamp) -> (Preview, Option<Phase>) {
    let (fires, zone) = (book.fires(spec, None), book.zone_of(spec));
    let timeline = match &fires {
        Some(Fires::Window(window, reading, skip)) => Some(WindowTimeline::of(window, reading, *skip)),
        _ => None,
    };
    let dst_notes = fires.iter().flat_map(|fires| fires.dst_notes(now, NOTES_WITHIN_DAYS));
    let phase = |at| timeline.map(|timeline| timeline.vote(at).phase());
    let next = fires.iter().flat_map(|fires| fires.iter(now)).take(SHOWN);
    let preview = Preview {
        meaning: view::meaning(spec, book),
        next: next.map(|at| Coming { at, state: phase(at) }).collect(),
        dst_notes: dst_notes.take(NOTES).map(|note| capital(&note)).collect(),
        asleep_minutes: timeline.map(|timeline| asleep_minutes(timeline, now)),
        today: timeline.map(|timeline| today(timeline, now)),
        week: weekly::marks(&spec.when, &zone.zone, now),
        zone: zone.name,
        ..Preview::default()
    };
    (preview, phase(now))
}

/// The immediate effect of saving a window now; without any before `from`.
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
            immediate_effect(app, actor, Some(spec).filter(|_| from <= now), state).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// The containers that are put to sleep at once where the window is asleep now.
async fn immediate_effect(
    app: &App,
    actor: &Actor,
    spec: Option<&ScheduleSpec>,
    state: Phase,
) -> Result<Now> {
    let Some(spec) = spec.filter(|_| state == Phase::Asleep) else {
        return Ok(Now { state, will_stop: Vec::new() });
    };
    if spec.target.is_wide() {
        return Ok(Now { state, will_stop: default_sleepers(app, spec).await? });
    }
    let will_stop = match execute::preview(app, actor, &spec.target, spec.action, false).await {
        Ok(plan) => plan.steps.into_iter().map(|step| step.container).collect(),
        // The host is unreachable, or the target does not exist yet: nothing is stopped now.
        Err(Error::Docker { .. } | Error::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(Now { state, will_stop })
}

/// The running containers of a host or group that no narrower rule and no override decides about.
async fn default_sleepers(app: &App, spec: &ScheduleSpec) -> Result<Vec<String>> {
    let book = RuleBook::load(app).await?;
    let moment = book.rules.at(app.clock.now());
    let mut names = Vec::new();
    for host in targets::hosts_of(app, &spec.target) {
        let members = host.inventory().members(&spec.target.subject);
        let running = members.iter().filter(|one| one.state.is_up() && one.protection.is_none());
        let sleeps = running.filter(|one| {
            let desired = moment.desired(Place::of(one));
            let is_free = desired.rule().is_some() || desired.wanted.is_none();
            let narrowest = book.rules.windows_for(Place::of(one)).first().copied();
            is_free && narrowest.is_none_or(|rule| rule.target.narrowness() <= spec.target.narrowness())
        });
        names.extend(sleeps.map(|one| one.name.clone()));
    }
    Ok(names)
}

/// Minutes asleep in the seven days after `now`, or per week of the coming year where weeks differ.
fn asleep_minutes(timeline: WindowTimeline<'_>, now: Timestamp) -> i64 {
    let weeks: i128 = if timeline.days.is_weekly() { 1 } else { 52 };
    let end = now.checked_add((7 * 24 * i64::try_from(weeks).unwrap_or(1)).hours()).unwrap_or(Timestamp::MAX);
    let sleeps = timeline.sleeps(now, end).into_iter();
    // The first and the last sleep may be cut within a minute.
    let millis = sleeps.map(|sleep| sleep.end.min(end).duration_since(sleep.start.max(now)).as_millis());
    i64::try_from((millis.sum::<i128>() / weeks + 30_000) / 60_000).unwrap_or(i64::MAX)
}

/// The sleeps in the 24 hours after `now`, as minutes from `now`.
fn today(timeline: WindowTimeline<'_>, now: Timestamp) -> Vec<(i64, i64)> {
    const DAY: i64 = 24 * 60;
    let end = now.checked_add(24.hours()).unwrap_or(Timestamp::MAX);
    let minutes = |at: Timestamp| (at.duration_since(now).as_secs() + 30).div_euclid(60).clamp(0, DAY);
    let sleeps = timeline.sleeps(now, end).into_iter();
    sleeps.map(|sleep| (minutes(sleep.start), minutes(sleep.end))).filter(|(from, to)| from < to).collect()
}

/// The effect of one edge or fire at this moment.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// For a window: the state that begins; `None` for other kinds.
    pub begins: Option<Phase>,
    /// The plan of its run.
    pub plan: Plan,
    /// Stop grace in seconds; `None` for the container's own.
    pub stop_timeout_seconds: Option<i64>,
}

/// The effects of a draft if it acted now: for a window of both edges. Changes nothing.
///
/// # Errors
/// [`Error::Invalid`] with every invalid field; [`Error::Docker`] where the host is unreachable.
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
