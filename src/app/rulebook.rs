//! The rule book: a cached snapshot of everything that decides when targets sleep (schedules, overrides, calendars, the
//! default zone and naps). The scheduler uses one snapshot per pass, a page one per request.
//!
//! [`RuleBook::load`] compares the version numbers in the database (`db::rulebook`) and reads only the parts whose
//! version changed. The versions are read before the parts: a change in between has a newer version and is read by the
//! next call.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use jiff::civil::Date;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::dates::{self, Dates};
use super::{App, Result, memberships};
use crate::config::Labels;
use crate::db;
use crate::db::rulebook::Versions;
use crate::domain::calendar::CalendarEffect;
use crate::domain::contradiction::contradicts;
use crate::domain::day_rules::Reading;
use crate::domain::desired::{Rules, WindowRule};
use crate::domain::fires::Fires;
use crate::domain::foretell::{Foretold, Standing};
use crate::domain::group::{Group, Memberships};
use crate::domain::ids::{CalendarId, GroupId, HostId, ScheduleId};
use crate::domain::inventory::{ContainerState, Inventory};
use crate::domain::nap::Naps;
use crate::domain::place::Place;
use crate::domain::run::{Run, Trigger};
use crate::domain::schedule::{Schedule, ScheduleSpec, Source, When};
use crate::domain::target::{ContainerIdentity, Subject, Target};
use crate::domain::window::Window;
use crate::domain::zone::NamedZone;

/// The next fire of each enabled cron and one-off schedule by target, with the schedule and the zone and calendar of
/// its instants.
pub(super) type FiresByTarget = HashMap<Target, Vec<(Timestamp, Schedule, Reading)>>;

/// A snapshot of windows, overrides, calendars, the default zone and naps at one version.
#[derive(Clone, Debug)]
pub struct RuleBook {
    versions: Versions,
    /// Repeating dates of calendars are expanded from the first day of this month on.
    month: Date,
    /// The default zone: for texts, and for schedules without a zone of their own.
    pub zone: NamedZone,
    /// The enabled window schedules and the overrides that are not closed, with the members of groups.
    pub rules: Arc<Rules>,
    /// Ordered by name.
    pub groups: Arc<Vec<Group>>,
    /// Ordered by name.
    pub calendars: Arc<Vec<Dates>>,
    /// With `DOCKNAP_LABELS=only`, the number of enabled schedules that do nothing because no label defines them.
    pub unused: Option<i64>,
    naps: Arc<HashMap<HostId, Naps>>,
    no_naps: Naps,
    /// Loaded on first use by a page; the scheduler does not need them.
    fires: Arc<OnceCell<Arc<FiresByTarget>>>,
}

/// The cache of the latest rule book.
#[derive(Debug, Default)]
pub struct LastRead {
    book: Mutex<Option<Arc<RuleBook>>>,
    /// Serializes reads, so that callers that wait share one result.
    reading: tokio::sync::Mutex<()>,
    /// The version of the rules at the last complete pass of the scheduler.
    looked_at: AtomicI64,
}

impl LastRead {
    /// Whether the rules have changed since the last call, and marks this version as seen. The scheduler needs this
    /// because changes by another process send no notification.
    pub fn look_at(&self, versions: Versions) -> bool {
        self.looked_at.swap(versions.rules, Ordering::AcqRel) != versions.rules
    }

    /// The name of a group, as it was last read.
    pub fn group_name(&self, id: &GroupId) -> Option<String> {
        let book = self.book()?;
        book.groups.iter().find(|one| one.id == *id).map(|one| one.spec.name.clone())
    }

    fn book(&self) -> Option<Arc<RuleBook>> {
        self.book.lock().clone()
    }
}

/// The zone of schedules without one: the configuration has priority over the zone chosen at setup; otherwise UTC.
async fn default_zone(app: &App) -> Result<NamedZone> {
    let name = match &app.config.timezone {
        Some(name) => Some(name.clone()),
        None => db::settings::get(&app.db, db::settings::TIMEZONE).await?,
    };
    Ok(NamedZone::find(name.as_deref()).unwrap_or_else(NamedZone::utc))
}

impl RuleBook {
    /// The current rule book; in a request that only reads, the one it began with ([`App::reading`]). Must not be called
    /// while the caller holds a transaction, because the call needs a connection of its own.
    pub async fn load(app: &App) -> Result<Arc<Self>> {
        if let Some(book) = &app.book {
            return Ok(Arc::clone(book));
        }
        let month = dates::today(app).first_of_month();
        let versions = db::rulebook::versions(&app.db).await?;
        let is_right = |book: &Arc<Self>, versions| book.versions == versions && book.month == month;
        if let Some(book) = app.rulebook.book().filter(|book| is_right(book, versions)) {
            return Ok(book);
        }
        let _turn = app.rulebook.reading.lock().await;
        let versions = db::rulebook::versions(&app.db).await?;
        let last = app.rulebook.book();
        if let Some(book) = last.as_ref().filter(|book| is_right(book, versions)) {
            return Ok(Arc::clone(book));
        }
        let book = Arc::new(Self::read(app, versions, month, last.as_deref()).await?);
        *app.rulebook.book.lock() = Some(Arc::clone(&book));
        Ok(book)
    }

    /// Reads the parts that have changed since `last`.
    async fn read(app: &App, versions: Versions, month: Date, last: Option<&Self>) -> Result<Self> {
        let last = last.filter(|last| last.month == month);
        let naps = match last {
            Some(last) if last.versions.naps == versions.naps => Arc::clone(&last.naps),
            _ => Arc::new(db::naps::all(&app.db).await?),
        };
        if let Some(last) = last.filter(|last| last.versions.rules == versions.rules) {
            return Ok(Self { versions, naps, ..last.clone() });
        }
        let (groups, members) = memberships::known(app).await?;
        let known = last.map(|last| last.calendars.as_slice()).unwrap_or_default();
        let mut book = Self {
            versions,
            month,
            zone: default_zone(app).await?,
            rules: Arc::new(Rules::default()),
            groups: Arc::new(groups),
            calendars: Arc::new(dates::expand_all(app, month, known).await?),
            unused: match app.config.labels {
                Labels::Only => Some(db::schedules::not_labelled(&app.db).await?),
                Labels::On | Labels::Off => None,
            },
            naps,
            no_naps: Naps::new(),
            fires: Arc::default(),
        };
        let windows = db::schedules::windows(&app.db).await?;
        let overrides = db::overrides::open(&app.db).await?;
        let used = windows.iter().filter(|schedule| book.uses(schedule.source));
        let windows = used.filter_map(|schedule| book.rule(schedule)).collect();
        let members = members.into_iter().map(|member| (member.group, member.target));
        let of_groups = Arc::new(Memberships::of(members));
        memberships::copy_to(&app.hosts.all(), &of_groups);
        book.rules = Arc::new(Rules::new(windows, overrides).in_groups(of_groups));
        Ok(book)
    }

    /// A copy with another default zone.
    #[must_use]
    pub(super) fn in_zone(&self, zone: NamedZone) -> Self {
        Self { zone, ..self.clone() }
    }

    /// A copy in which a calendar has these dates.
    #[must_use]
    pub(super) fn with_dates(&self, dates: Dates) -> Self {
        let mut calendars: Vec<Dates> =
            self.calendars.iter().filter(|known| known.id != dates.id).cloned().collect();
        calendars.push(dates);
        Self { calendars: Arc::new(calendars), ..self.clone() }
    }

    /// Whether schedules of this source act. With `DOCKNAP_LABELS=only` those of labels alone do.
    pub fn uses(&self, source: Source) -> bool {
        self.unused.is_none() || source == Source::Label
    }

    /// The naps on a host.
    pub fn naps(&self, host: &HostId) -> &Naps {
        self.naps.get(host).unwrap_or(&self.no_naps)
    }

    /// The dates of a calendar.
    pub fn dates(&self, id: &CalendarId) -> Option<&Dates> {
        self.calendars.iter().find(|dates| dates.id == *id)
    }

    /// A sentence about ignored entries of a schedule's calendar; `None` where every entry counts.
    pub(super) fn doubt(&self, calendar: Option<&(CalendarId, CalendarEffect)>) -> Option<String> {
        let dates = self.dates(&calendar?.0)?;
        let left = Some(dates.left.total()).filter(|left| *left > 0)?;
        let (noun, they) = if left == 1 { ("entry", "it") } else { ("entries", "them") };
        let name = &dates.name;
        Some(format!("The calendar “{name}” leaves out {left} {noun} of its file; its page lists {they}."))
    }

    /// The zone of a schedule: its own, otherwise the default.
    pub fn zone_of(&self, spec: &ScheduleSpec) -> NamedZone {
        NamedZone::find(spec.timezone.as_deref()).unwrap_or_else(|| self.zone.clone())
    }

    /// The zone and calendar by which the instants of a schedule are computed. A deleted calendar has no dates.
    pub fn reading(&self, spec: &ScheduleSpec) -> Reading {
        let dates = spec.calendar.as_ref().and_then(|(id, _)| self.dates(id));
        // Without dates a schedule that acts on them alone never acts.
        let days = dates.map_or_else(Arc::default, |dates| Arc::clone(&dates.days));
        spec.reading(self.zone_of(spec).zone, Some(days))
    }

    /// The instants at which a schedule fires or its window changes; `None` where its text cannot be parsed.
    pub fn fires(&self, spec: &ScheduleSpec, skip: Option<Timestamp>) -> Option<Fires> {
        Fires::of(&spec.when, &self.reading(spec), skip)
    }

    /// The first instant strictly after `after` at which a schedule fires, its window changes, or a skipped sleep would
    /// have begun (the scheduler then records that the sleep was skipped).
    pub fn next_after(
        &self,
        spec: &ScheduleSpec,
        skip: Option<Timestamp>,
        after: Timestamp,
    ) -> Option<Timestamp> {
        let next = self.fires(spec, skip)?.next(after);
        let skipped = skip.filter(|at| *at > after && matches!(spec.when, When::Window(_)));
        [next, skipped].into_iter().flatten().min()
    }

    /// The next instant at which a schedule acts: its due instant, or the following one where that is skipped.
    pub fn next_at(&self, schedule: &Schedule) -> Option<Timestamp> {
        let due = schedule.next_due?;
        if schedule.skip_at != Some(due) {
            return Some(due);
        }
        // Of a window, the whole sleep is skipped including its end.
        self.next_after(&schedule.spec, schedule.skip_at.filter(|_| schedule.is_window()), due)
    }

    /// The next fire of each cron and one-off schedule by target, without skipped ones. Windows are not included,
    /// because [`Rules`] covers them.
    pub(super) async fn fires_by_target(&self, app: &App) -> Result<Arc<FiresByTarget>> {
        let read = async || {
            let all = db::schedules::ScheduleSelection {
                enabled: Some(true),
                limit: i64::MAX,
                ..Default::default()
            };
            let mut fires = FiresByTarget::new();
            for schedule in db::schedules::list(&app.db, &all).await? {
                if let Some(at) = self.next_at(&schedule).filter(|_| !schedule.is_window()) {
                    let reading = self.reading(&schedule.spec);
                    let Target { host, subject } = &schedule.spec.target;
                    // Those for services are kept with their stack.
                    let target = match subject {
                        Subject::Services { stack, .. } => Target::stack(host.clone(), stack.clone()),
                        _ => schedule.spec.target.clone(),
                    };
                    fires.entry(target).or_default().push((at, schedule, reading));
                }
            }
            Ok(Arc::new(fires))
        };
        self.fires.get_or_try_init(read).await.cloned()
    }

    /// Whether a target runs or naps; `None` where it has no container that DockNap may act on.
    pub(super) fn standing(&self, inventory: &Inventory, target: &Target) -> Option<Standing> {
        let naps = self.naps(&inventory.host);
        let members = inventory.members(&target.subject);
        let touched = members.iter().filter(|one| one.is_ordinary() && one.protection.is_none());
        touched.fold(None, |standing: Option<Standing>, one| {
            let before = standing.unwrap_or(Standing { runs: false, naps: false });
            let naps = naps.get(&one.identity).is_some_and(|nap| nap.holds(one, inventory));
            let runs = one.state.is_up() && one.state != ContainerState::Paused;
            Some(Standing { runs: before.runs || runs, naps: before.naps || naps })
        })
    }

    /// The forecast of a target from `now` on: fires of its own schedules and of those of `stack`, its host and its
    /// groups, which it belongs to, together with windows and overrides.
    pub(super) fn foretold<'a>(
        &'a self,
        fires: &'a FiresByTarget,
        target: &'a Target,
        stack: Option<&Target>,
        standing: Option<Standing>,
        now: Timestamp,
    ) -> Foretold<'a> {
        let wide = std::iter::once(Target::host(target.host.clone()))
            .chain(self.rules.groups().groups_of(Place::of_target(target)).into_iter().map(Target::group))
            .filter(|wide| wide != target);
        let wide = wide.filter_map(|wide| fires.get(&wide)).collect::<Vec<_>>();
        let place = Place::of_target(target);
        let of_part = |fire: &&(Timestamp, Schedule, Reading)| {
            let services = fire.1.spec.target.subject.services();
            services.map(|services| place.lies_in_services(services))
        };
        let of_its_stack = place.stack.map(|name| Target::stack(target.host.clone(), name));
        let of_stack =
            of_its_stack.and_then(|stack| fires.get(&stack)).map(Vec::as_slice).unwrap_or_default();
        // Those of the target alone, of services that it lies in, and of its stack as a whole.
        let own = fires.get(target).into_iter().flatten().filter(|fire| of_part(fire).is_none());
        let of_parts = of_stack.iter().filter(|fire| of_part(fire) == Some(true));
        let of_whole = stack.and_then(|stack| fires.get(stack)).into_iter().flatten();
        let of_whole = of_whole.filter(|fire| of_part(fire).is_none());
        let fires = own.chain(of_parts).chain(of_whole).chain(wide.into_iter().flatten());
        let fires = fires.map(|(at, schedule, reading)| (*at, schedule, reading.clone())).collect();
        Foretold::new(&self.rules, target, &self.zone.zone, standing, fires, now)
    }

    /// The rule of a window schedule; `None` for other kinds, and for a text that cannot be parsed.
    pub fn rule(&self, schedule: &Schedule) -> Option<WindowRule> {
        let rule = self.rule_of(&schedule.id, &schedule.spec, schedule.effective_from)?;
        Some(WindowRule { skip: schedule.skip_at, ..rule })
    }

    /// As [`RuleBook::rule`], for a schedule that is not stored yet.
    pub fn rule_of(&self, id: &ScheduleId, spec: &ScheduleSpec, from: Timestamp) -> Option<WindowRule> {
        let When::Window(text) = &spec.when else { return None };
        Some(WindowRule {
            id: id.clone(),
            title: spec.title(),
            target: spec.target.clone(),
            window: Window::parse(text).ok()?,
            reading: self.reading(spec),
            skip: None,
            from,
            policy: spec.policy,
            sleep: spec.action,
            wake: spec.wake,
            stop_timeout_seconds: spec.stop_timeout_seconds,
            guard: spec.guard.clone(),
        })
    }

    /// The members of a run's target that the run must not change, with the reason: a hold, an override or a narrower
    /// window requires another state at `now`. Requests by people and API tokens are exempt.
    pub(super) fn left_alone(
        &self,
        run: &Run,
        inventory: &Inventory,
        now: Timestamp,
    ) -> HashMap<ContainerIdentity, String> {
        let by_level = run.is_level();
        let by_edge = !by_level
            && matches!(
                run.trigger,
                Trigger::Schedule | Trigger::CatchUp | Trigger::Label | Trigger::Override
            );
        // A person who retries the run of a host or group means what its schedule did.
        let by_edge = by_edge || run.target.is_wide() && run.trigger == Trigger::Retry;
        let mut left: HashMap<ContainerIdentity, String> = run.leaves.clone().into_iter().collect();
        if !by_level && !by_edge {
            return left;
        }
        let moment = self.rules.at(now);
        let naps = self.naps(&run.target.host);
        for member in inventory.members(&run.target.subject) {
            let desired = moment.desired(Place::of(&member));
            // A window of a host or group is the default for what has no narrower rule.
            let is_narrower = match desired.rule() {
                Some(rule) => rule.target.narrowness() > run.target.narrowness(),
                None => desired.wanted.is_some(),
            };
            if by_level && run.target.is_wide() && is_narrower {
                let why = desired.why(&self.zone.zone);
                left.insert(member.identity.clone(), format!("another rule decides about it: {why}"));
                continue;
            }
            let contradicts = match desired.wanted {
                // The rule was removed after the run was stored.
                None => by_level && !run.puts_back,
                Some(wanted) => contradicts(run.action, wanted),
            };
            let holds = || naps.get(&member.identity).is_some_and(|nap| nap.holds(&member, inventory));
            if contradicts && (by_level || desired.rule().is_none()) {
                let why = desired.why(&self.zone.zone);
                let why = if why.is_empty() { "no rule asks for it any more".to_owned() } else { why };
                left.insert(member.identity.clone(), why);
            } else if by_level
                && run.action.reverses_order()
                && member.state == ContainerState::Paused
                && !holds()
            {
                left.insert(member.identity.clone(), "paused by somebody else: left as it is".to_owned());
            }
        }
        left
    }
}
