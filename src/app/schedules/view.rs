//! Schedules as pages and API show them.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::{lint, unused};
use crate::app::paging::{Page, Paged};
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Error, Result, targets};
use crate::db;
use crate::domain::foretell::NextAction;
use crate::domain::group::{Area, InGroup};
use crate::domain::ids::{HostId, RunId, ScheduleId};
use crate::domain::permission::Permission;
use crate::domain::run::{Run, RunState};
use crate::domain::schedule::{Schedule, ScheduleSpec, When};
use crate::domain::target::{Subject, Target};
use crate::domain::text::shorten;
use crate::domain::time::{Instant, serialize_instant};

/// A schedule with everything shown of it.
#[derive(Clone, Debug)]
pub struct ScheduleView {
    /// The stored schedule.
    pub schedule: Schedule,
    /// Its name in one line; a generated one where it has none.
    pub title: String,
    /// A description of when it fires: "At 23:00", "Once, 2026-12-24 18:00".
    pub meaning: String,
    /// The key of its target, for links.
    pub target_key: String,
    /// The current name of the target; the stored one where the target does not exist.
    pub target_name: String,
    /// Whether the target exists; `None` where the host is not connected.
    pub target_exists: Option<bool>,
    /// The next instant at which it acts, without a skipped one.
    pub next_at: Option<Timestamp>,
    /// Its newest run.
    pub last_run: Option<LastRun>,
    /// The zone in which its times are read: its own, otherwise the default.
    pub effective_timezone: String,
    /// Why it does nothing, or since when its label is followed again, as a sentence; `None` where there is nothing to
    /// say.
    pub off_reason: Option<String>,
}

impl ScheduleView {
    /// The zone in which its times are read; UTC where the zone is unknown.
    pub fn zone(&self) -> TimeZone {
        crate::domain::time::zone(&self.effective_timezone).unwrap_or(TimeZone::UTC)
    }
}

/// The newest run of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = LastRunJson)]
pub struct LastRun {
    #[schema(value_type = String)]
    pub id: RunId,
    pub state: RunState,
    pub reason: String,
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Option<Instant>)]
    pub fire_at: Option<Timestamp>,
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Option<Instant>)]
    pub finished_at: Option<Timestamp>,
}

impl From<Run> for LastRun {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            state: run.state,
            fire_at: run.fire_at,
            finished_at: run.finished_at,
            reason: run.reason,
        }
    }
}

/// A filter for schedules; `None` does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleFilter {
    /// On this host.
    pub host: Option<HostId>,
    /// For this group, or for something in it.
    pub group: Option<InGroup>,
    /// For this stack or container.
    pub target: Option<Target>,
    /// Enabled or disabled.
    pub enabled: Option<bool>,
    /// Text contained in name, target or note, ignoring case.
    pub text: Option<String>,
}

/// A coming action of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    /// The instant and the action.
    pub next: NextAction,
    /// The target.
    pub target: Target,
    /// The current name of the target.
    pub target_name: String,
}

/// A page of the schedules that match, newest first.
pub async fn list(
    app: &App,
    actor: &Actor,
    filter: &ScheduleFilter,
    page: &Page,
) -> Result<Paged<ScheduleView>> {
    actor.require(Permission::View)?;
    let wanted = db::schedules::ScheduleSelection {
        host: filter.host.as_ref(),
        group: filter.group.as_ref(),
        target: filter.target.as_ref(),
        enabled: filter.enabled,
        text: filter.text.as_deref().filter(|text| !text.is_empty()),
        before: page.cursor.as_deref(),
        limit: page.fetch(),
    };
    let rows = db::schedules::list(&app.db, &wanted).await?;
    let page = page.cut(rows, |schedule| schedule.id.0.clone());
    let book = RuleBook::load(app).await?;
    let ids: Vec<ScheduleId> = page.items.iter().map(|schedule| schedule.id.clone()).collect();
    let mut last: HashMap<ScheduleId, LastRun> = db::history::last_of_schedules(&app.db, &ids)
        .await?
        .into_iter()
        .filter_map(|run| Some((run.schedule_id.clone()?, run.into())))
        .collect();
    Ok(page.map(|schedule| {
        let last_run = last.remove(&schedule.id);
        view(app, schedule, last_run, &book)
    }))
}

/// The first conflict of each of these schedules, by id; schedules without one are missing.
pub async fn conflicts(
    app: &App,
    actor: &Actor,
    of: &[ScheduleView],
) -> Result<HashMap<ScheduleId, lint::Clash>> {
    actor.require(Permission::View)?;
    let on = of.iter().map(|view| &view.schedule).filter(|schedule| schedule.spec.enabled);
    lint::first_of_each(app, on.cloned().collect(), app.clock.now()).await
}

/// One schedule.
///
/// # Errors
/// [`Error::NotFound`] for an unknown or deleted schedule.
pub async fn get(app: &App, actor: &Actor, id: &ScheduleId) -> Result<ScheduleView> {
    actor.require(Permission::View)?;
    let schedule = stored(app, id).await?;
    let book = RuleBook::load(app).await?;
    let last = db::history::last_of_schedules(&app.db, std::slice::from_ref(id)).await?;
    Ok(view(app, schedule, last.into_iter().next().map(LastRun::from), &book))
}

/// The next actions on one host or on all, earliest first, at most `limit`.
pub async fn coming(app: &App, actor: &Actor, area: &Area, limit: u32) -> Result<Vec<Coming>> {
    /// Schedules read in addition to the limit, since some have no coming action.
    const SPARE: i64 = 20;
    /// Actions of other schedules in a row, after which no further own action of a target is looked for: they may go on
    /// for ever.
    const OTHERS: usize = 200;
    actor.require(Permission::View)?;
    let (book, now) = (RuleBook::load(app).await?, app.clock.now());
    let fires = book.fires_by_target(app).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut coming, mut seen) = (Vec::new(), HashSet::new());
    // What schedules of services do is listed for these alone, not again for a container or fewer services among them.
    let windows = book.rules.windows().iter().map(|rule| (&rule.id, &rule.target));
    let others = fires.values().flatten().map(|(_, schedule, _)| (&schedule.id, &schedule.spec.target));
    let parts = windows.chain(others).filter(|(_, target)| target.subject.services().is_some());
    let parts: HashMap<&ScheduleId, &Target> = parts.collect();
    for schedule in db::schedules::coming(&app.db, area, i64::from(limit) + SPARE).await? {
        let target_name = current_name(app, &book, &schedule).0;
        let target = schedule.spec.target;
        if !seen.insert(target.clone()) {
            continue;
        }
        let inventory = targets::inventory_of(app, &target.host).ok();
        let standing = inventory.and_then(|inventory| book.standing(&inventory, &target));
        let is_own = |next: &NextAction| {
            parts.get(&next.schedule_id).is_none_or(|part| **part == target)
                && (!next.by_window || book.rules.names(&target))
        };
        let mut others = 0;
        let is_near = |next: &NextAction| {
            others = if is_own(next) { 0 } else { others + 1 };
            others <= OTHERS
        };
        let next = book.foretold(&fires, &target, None, standing, now);
        let next = next.take_while(is_near).filter(is_own).take(most);
        coming.extend(next.map(|next| Coming {
            next,
            target: target.clone(),
            target_name: target_name.clone(),
        }));
    }
    coming.sort_by_key(|coming| coming.next.at);
    coming.truncate(most);
    Ok(coming)
}

/// A schedule that is not deleted.
pub(super) async fn stored(app: &App, id: &ScheduleId) -> Result<Schedule> {
    let found = db::schedules::get(&app.db, id).await?;
    found.filter(|schedule| schedule.deleted_at.is_none()).ok_or_else(|| not_found(id))
}

pub(super) fn not_found(id: &ScheduleId) -> Error {
    Error::not_found("schedule", shorten(id.as_str()))
}

pub(super) fn view(
    app: &App,
    schedule: Schedule,
    last_run: Option<LastRun>,
    book: &RuleBook,
) -> ScheduleView {
    let (target_name, target_exists) = current_name(app, book, &schedule);
    let effective = book.zone_of(&schedule.spec);
    ScheduleView {
        title: schedule.title(),
        meaning: meaning(&schedule.spec, book),
        target_key: schedule.spec.target.key(),
        target_name,
        target_exists,
        next_at: book.next_at(&schedule),
        last_run,
        effective_timezone: effective.name,
        off_reason: unused::off_reason(&schedule, book),
        schedule,
    }
}

/// The current name of a schedule's target, and whether the target exists; `None` where its host is not connected.
fn current_name(app: &App, book: &RuleBook, schedule: &Schedule) -> (String, Option<bool>) {
    let stored = || schedule.spec.target_name.clone();
    match &schedule.spec.target.subject {
        Subject::Group(id) => {
            let name = book.groups.iter().find(|one| one.id == *id).map(|one| one.spec.name.clone());
            return (name.clone().unwrap_or_else(stored), Some(name.is_some()));
        }
        Subject::Host => return (targets::name(app, &schedule.spec.target), Some(true)),
        Subject::Stack(_) | Subject::Services { .. } | Subject::Container(_) => {}
    }
    let Ok(inventory) = targets::inventory_of(app, &schedule.spec.target.host) else {
        return (stored(), None);
    };
    let found = match &schedule.spec.target.subject {
        Subject::Stack(name) => inventory.has_stack(name).then(|| name.clone()),
        subject @ Subject::Services { .. } => (!inventory.members(subject).is_empty()).then(stored),
        Subject::Container(identity) => {
            inventory.by_identity(identity).map(|container| container.name.clone())
        }
        Subject::Host | Subject::Group(_) => None,
    };
    let exists = inventory.is_connected().then_some(found.is_some());
    (found.unwrap_or_else(stored), exists)
}

/// A description of when a schedule fires.
pub(super) fn meaning(spec: &ScheduleSpec, book: &RuleBook) -> String {
    let zone = book.zone_of(spec).zone;
    match (book.fires(spec, None), &spec.when) {
        (Some(fires), _) => fires.meaning(&zone),
        (None, When::Cron(text) | When::Window(text)) => text.clone(),
        (None, When::Once(_)) => String::new(),
    }
}

/// Whether its coming occurrence is skipped: the next fire, or a sleep that has not ended.
pub fn is_skipping(schedule: &Schedule, now: Timestamp) -> bool {
    match schedule.skip_at {
        Some(at) if schedule.is_window() => at > now,
        skip => skip.is_some() && skip == schedule.next_due,
    }
}
