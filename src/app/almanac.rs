//! How the times of schedules are to be read: the default zone, and the dates of the calendars.
//!
//! Loaded anew for each request and each pass: a stale zone or calendar would make a preview lie.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::zone::{self, NamedZone};
use super::{App, Result, calendars};
use crate::domain::action::Action;
use crate::domain::calendar::{CalendarDays, CalendarEffect};
use crate::domain::conflict::Fires;
use crate::domain::desired::WindowRule;
use crate::domain::ids::{CalendarId, ScheduleId};
use crate::domain::schedule::{Reading, Schedule, ScheduleSpec, When};
use crate::domain::window::{Mood, Window};

/// What the times of schedules mean.
#[derive(Clone, Debug)]
pub struct Almanac {
    /// The zone where a schedule names none.
    pub zone: NamedZone,
    days: HashMap<CalendarId, Arc<CalendarDays>>,
    /// The calendars whose file is not read as a whole: the name, and how much of it does not count.
    incomplete: HashMap<CalendarId, (String, usize)>,
}

impl Almanac {
    /// What holds now.
    pub async fn load(app: &App) -> Result<Self> {
        let (mut days, mut incomplete) = (HashMap::new(), HashMap::new());
        for (id, name, dates) in calendars::expand_all(app).await? {
            if dates.left.total() > 0 {
                incomplete.insert(id.clone(), (name, dates.left.total()));
            }
            days.insert(id, dates.days);
        }
        Ok(Self { zone: zone::default_zone(app).await?, days, incomplete })
    }

    /// As if a calendar named these days.
    #[must_use]
    pub(super) fn with_days(mut self, id: &CalendarId, days: Arc<CalendarDays>) -> Self {
        self.days.insert(id.clone(), days);
        self
    }

    /// Whether there is such a calendar.
    pub fn knows(&self, id: &CalendarId) -> bool {
        self.days.contains_key(id)
    }

    /// A sentence about the calendar that a schedule goes by, where not all of its file counts.
    pub(super) fn doubt(&self, calendar: Option<&(CalendarId, CalendarEffect)>) -> Option<String> {
        let (name, left) = self.incomplete.get(&calendar?.0)?;
        let (noun, they) = if *left == 1 { ("entry", "it") } else { ("entries", "them") };
        Some(format!("The calendar “{name}” leaves out {left} {noun} of its file; its page lists {they}."))
    }

    /// The zone a schedule is read in: its own, else the default.
    pub fn zone_of(&self, spec: &ScheduleSpec) -> NamedZone {
        zone::effective(spec.timezone.as_deref(), &self.zone)
    }

    /// How a schedule's times are to be read. A calendar that is gone has no dates.
    pub fn reading(&self, spec: &ScheduleSpec) -> Reading {
        self.reading_in(self.zone_of(spec), spec.calendar.as_ref())
    }

    /// As [`Almanac::reading`], of a schedule that is not complete yet.
    pub fn reading_in(&self, zone: NamedZone, calendar: Option<&(CalendarId, CalendarEffect)>) -> Reading {
        let calendar = calendar.and_then(|(id, effect)| Some((Arc::clone(self.days.get(id)?), *effect)));
        Reading { zone: zone.zone, calendar }
    }

    /// The instants at which a schedule fires, or its window changes.
    pub fn fires(&self, spec: &ScheduleSpec, skip: Option<Timestamp>) -> Option<Fires> {
        Fires::of(&spec.when, &self.reading(spec), skip)
    }

    /// The first instant strictly after `after` at which a schedule fires, or its window changes, or a sleep would have
    /// begun that is skipped: that it was is remembered then.
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

    /// What a schedule does at one of its instants: a window's edge puts to sleep or wakes.
    pub fn deed_at(&self, schedule: &Schedule, at: Timestamp) -> Action {
        match self.rule(schedule).map(|rule| rule.rota().voice(at).mood()) {
            Some(Mood::Awake) => Action::Start,
            Some(Mood::Asleep) | None => schedule.spec.action,
        }
    }

    /// The rule of a window schedule; `None` for another kind, and for a text that no longer parses.
    pub fn rule(&self, schedule: &Schedule) -> Option<WindowRule> {
        let rule = self.rule_of(&schedule.id, &schedule.spec, schedule.effective_from)?;
        Some(WindowRule { skip: schedule.skip_at, ..rule })
    }

    /// As [`Almanac::rule`], of a schedule that is not stored yet.
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
}
