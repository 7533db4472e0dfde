//! Computes the desired state of a container or stack at an instant and the reason for it. The first layer that applies
//! decides: hold > override > windows > none (semantics §2).
//!
//! [`Rules`] holds all windows and overrides; [`Rules::at`] evaluates them at one instant, and [`Rules::transitions`]
//! lists the changes over time. The functions have no side effects, and pages, previews, the simulation and the
//! scheduler all use them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use parking_lot::Mutex;
use serde::Serialize;

use super::action::Action;
use super::day_rules::Reading;
use super::group::Memberships;
use super::guard::Guard;
use super::ids::{OverrideId, ScheduleId};
use super::overrides::{self, DesiredState, Override, Reach};
use super::place::Place;
use super::schedule::{Policy, Wake};
use super::target::{Subject, Target};
use super::time::{Instant, serialize_instant};
use super::window::{Vote, Window, WindowTimeline};

mod moment;

pub use moment::Moment;

/// How far ahead the search for changes goes, in days.
const AHEAD_DAYS: i64 = 400;
/// How far back the search for a change goes, in days: an interval of a window lasts at most a week.
const BACK_DAYS: i64 = 9;

/// An enabled window schedule with everything that its desired state depends on.
#[derive(Clone, Debug)]
pub struct WindowRule {
    pub id: ScheduleId,
    /// The title of the schedule.
    pub title: String,
    pub target: Target,
    pub window: Window,
    /// The zone and the calendar of the window's times.
    pub reading: Reading,
    /// The start of the sleep that is skipped.
    pub skip: Option<Timestamp>,
    /// The first instant at which the window is in effect.
    pub from: Timestamp,
    /// The policy for starts and stops by others inside the window.
    pub policy: Policy,
    /// The action at the start of a sleep: stop or pause.
    pub sleep: Action,
    /// The containers that start at the end of a sleep.
    pub wake: Wake,
    /// The stop timeout in seconds; `None` uses the container's own.
    pub stop_timeout_seconds: Option<i64>,
    /// The guard that may delay the start of a sleep.
    pub guard: Option<Guard>,
}

impl WindowRule {
    /// The window with its zone and calendar.
    pub fn timeline(&self) -> WindowTimeline<'_> {
        WindowTimeline::of(&self.window, &self.reading, self.skip)
    }
}

/// All enabled window schedules, and all overrides that may still be active.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    windows: Vec<WindowRule>,
    overrides: Vec<Override>,
    /// Indexes into `windows`.
    by_target: HashMap<Target, Vec<usize>>,
    /// The targets of windows for services, by the target of their stack.
    parts_of: HashMap<Target, Vec<Target>>,
    groups: Arc<Memberships>,
}

/// The layer that decides.
#[derive(Clone, Copy, Debug)]
pub enum Layer<'a> {
    /// A hold for a host or for everything.
    Hold(&'a Override),
    /// Any other override.
    Override(&'a Override),
    /// A window.
    Window(&'a WindowRule, Vote),
    /// No rule applies, so the place is left alone.
    None,
}

/// The desired state at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Desired<'a> {
    /// The state; `None` = left alone.
    pub wanted: Option<DesiredState>,
    /// The layer that decides.
    pub layer: Layer<'a>,
}

/// A change of the desired state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ChangeJson)]
pub struct Transition {
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub at: Timestamp,
    /// `awake`, `asleep`, `hold` or `none`.
    #[serde(rename = "state", serialize_with = "overrides::word")]
    #[schema(value_type = String)]
    pub wanted: Option<DesiredState>,
    /// The cause: the title of a schedule, `override` or `hold`; empty without one.
    pub by: String,
    #[serde(rename = "schedule_id")]
    #[schema(value_type = Option<String>)]
    pub schedule: Option<ScheduleId>,
}

/// A half-open time range with one desired state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first instant of the range.
    pub from: Timestamp,
    /// The first instant after the range.
    pub until: Timestamp,
    /// The desired state; `None` = left alone.
    pub wanted: Option<DesiredState>,
}

impl Rules {
    pub fn new(windows: Vec<WindowRule>, overrides: Vec<Override>) -> Self {
        let mut by_target: HashMap<Target, Vec<usize>> = HashMap::new();
        for (index, rule) in windows.iter().enumerate() {
            by_target.entry(rule.target.clone()).or_default().push(index);
        }
        let mut parts_of: HashMap<Target, Vec<Target>> = HashMap::new();
        for part in by_target.keys().filter(|target| target.subject.services().is_some()) {
            if let Some(stack) = part.subject.stack() {
                parts_of.entry(Target::stack(part.host.clone(), stack)).or_default().push(part.clone());
            }
        }
        Self { windows, overrides, by_target, parts_of, groups: Arc::default() }
    }

    /// The rules with these members of groups.
    #[must_use]
    pub fn in_groups(self, groups: Arc<Memberships>) -> Self {
        Self { groups, ..self }
    }

    pub fn groups(&self) -> &Arc<Memberships> {
        &self.groups
    }

    pub fn windows(&self) -> &[WindowRule] {
        &self.windows
    }

    /// The window schedules of exactly this target.
    pub fn windows_on(&self, target: &Target) -> impl Iterator<Item = &WindowRule> + use<'_> {
        let indexes = self.by_target.get(target).map(Vec::as_slice).unwrap_or_default();
        indexes.iter().map(|index| &self.windows[*index])
    }

    pub fn overrides(&self) -> &[Override] {
        &self.overrides
    }

    /// Adds an override and removes the one with the same reach, as the database does when an override is stored.
    pub fn impose(&mut self, one: Override) {
        self.overrides.retain(|older| older.reach != one.reach);
        self.overrides.push(one);
    }

    /// Removes an override.
    pub fn end(&mut self, id: &OverrideId) {
        self.overrides.retain(|one| one.id != *id);
    }

    /// A copy without the overrides that are for exactly this target.
    #[must_use]
    pub fn without_own(&self, target: &Target) -> Self {
        let own = Reach::Target(target.clone());
        let mut rules = self.clone();
        rules.overrides.retain(|one| one.reach != own);
        rules
    }

    /// Whether a window or an override is for exactly this target, or for services of its stack that it lies in.
    pub fn names(&self, target: &Target) -> bool {
        self.names_by(target, |_| true)
    }

    /// As [`Rules::names`], without the windows and overrides for services in which `whole` lies too: they decide about
    /// both.
    pub fn names_apart(&self, target: &Target, whole: &Target) -> bool {
        let whole = Place::of_target(whole);
        self.names_by(target, |services| !whole.lies_in_services(services))
    }

    fn names_by(&self, target: &Target, counts: impl Fn(&BTreeSet<String>) -> bool) -> bool {
        let place = Place::of_target(target);
        let holds = |services: &BTreeSet<String>| place.lies_in_services(services) && counts(services);
        let names = |named: &Target| {
            named == target
                || named.host == target.host
                    && named.subject.stack() == place.stack
                    && named.subject.services().is_some_and(holds)
        };
        let stack = place.stack.map(|name| Target::stack(target.host.clone(), name));
        self.by_target.contains_key(target)
            || stack.and_then(|stack| self.parts_of.get(&stack)).is_some_and(|parts| parts.iter().any(names))
            || self.overrides.iter().any(|one| matches!(&one.reach, Reach::Target(named) if names(named)))
    }

    /// Whether a window or an override covers a place, even if it is not active now.
    pub fn speak_of(&self, place: Place<'_>) -> bool {
        !self.windows_for(place).is_empty()
            || self.overrides.iter().any(|one| one.reach.covers(place, &self.groups).is_some())
    }

    /// Whether there are no windows and no overrides.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.overrides.is_empty()
    }

    /// The rules at one instant. The returned value caches its results.
    pub fn at(&self, now: Timestamp) -> Moment<'_> {
        Moment { rules: self, now, votes: Mutex::default() }
    }

    /// The window schedules that decide about a place: those of the narrowest scope that has any, of container, services,
    /// stack, host and groups.
    pub fn windows_for(&self, place: Place<'_>) -> Vec<&WindowRule> {
        let on = |targets: Vec<Target>| -> Vec<&WindowRule> {
            targets.iter().flat_map(|target| self.windows_on(target)).collect()
        };
        self.scopes(place).map(on).find(|rules| !rules.is_empty()).unwrap_or_default()
    }

    /// The targets whose windows may decide about a place, from the narrowest scope to the widest. The groups of a place
    /// are one scope, and all sets of services that it lies in are one.
    pub(super) fn scopes(&self, place: Place<'_>) -> impl Iterator<Item = Vec<Target>> + use<> {
        let on_host = |subject| vec![Target { host: place.host.clone(), subject }];
        let stack = place.stack.map(|name| Target::stack(place.host.clone(), name));
        let parts = stack.as_ref().and_then(|stack| self.parts_of.get(stack)).map(|parts| {
            let holds = |part: &&Target| {
                part.subject.services().is_some_and(|services| place.lies_in_services(services))
            };
            parts.iter().filter(holds).cloned().collect()
        });
        let narrow = [
            place.container.map(|identity| on_host(Subject::Container(identity.clone()))),
            parts,
            stack.map(|stack| vec![stack]),
            place.group.is_none().then(|| on_host(Subject::Host)),
        ];
        let groups = self.groups.groups_of(place).into_iter().map(Target::group).collect();
        narrow.into_iter().flatten().chain([groups])
    }

    /// The changes of a place's desired state in (`after`, `until`], in order, at most `limit`.
    pub fn transitions(
        &self,
        place: Place<'_>,
        after: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Vec<Transition> {
        let mut found = Vec::new();
        let mut wanted = self.at(after).desired(place).wanted;
        look_ahead(after, until, |from, to| {
            for at in self.edges(place, from, to) {
                let desired = self.at(at).desired(place);
                if desired.wanted != wanted {
                    wanted = desired.wanted;
                    found.push(self.put_back(place, at, &desired).unwrap_or_else(|| desired.transition(at)));
                }
            }
            found.len() >= limit
        });
        found.truncate(limit);
        found
    }

    /// The change at the end of an override with `puts_back`, if no other rule decides about the place then.
    fn put_back(&self, place: Place<'_>, at: Timestamp, desired: &Desired<'_>) -> Option<Transition> {
        let ends = |one: &&Override| {
            one.puts_back && one.until == at && one.reach.covers(place, &self.groups).is_some()
        };
        let one = self.overrides.iter().find(ends).filter(|_| desired.wanted.is_none())?;
        Some(Transition { at, wanted: Some(one.wanted.other()), by: "override".to_owned(), schedule: None })
    }

    /// The next edge after `after` at which the desired state by windows changes, ignoring overrides. With `to`, the
    /// next edge at which the desired state becomes `to`. `None` if no window covers the place, or if there is no such
    /// edge within 400 days.
    pub fn next_window_edge(
        &self,
        place: Place<'_>,
        after: Timestamp,
        to: Option<DesiredState>,
    ) -> Option<Timestamp> {
        let rules = self.windows_for(place);
        if rules.is_empty() {
            return None;
        }
        let mut found = None;
        let mut wanted = self.at(after).by_window(place).wanted;
        let until = after.checked_add((AHEAD_DAYS * 24).hours()).unwrap_or(Timestamp::MAX);
        look_ahead(after, until, |from, end| {
            for at in window_edges(&rules, from, end) {
                let now = self.at(at).by_window(place).wanted;
                if now != wanted && found.is_none() && to.is_none_or(|to| now == Some(to)) {
                    found = Some(at);
                }
                wanted = now;
            }
            found.is_some()
        });
        found
    }

    /// The edge at which the desired state by windows at `at` began, as if each window had always been in effect.
    /// `None` if the edge is more than nine days before `at`.
    pub fn window_edge_before(&self, place: Place<'_>, at: Timestamp) -> Option<Timestamp> {
        let mut windows: Vec<WindowRule> = self.windows_for(place).into_iter().cloned().collect();
        for rule in &mut windows {
            rule.from = Timestamp::MIN;
        }
        let always = Self::new(windows, Vec::new()).in_groups(Arc::clone(&self.groups));
        let from = at.checked_sub((BACK_DAYS * 24).hours()).unwrap_or(Timestamp::MIN);
        let edges = window_edges(&always.windows_for(place), from, at);
        let wanted = |at: Timestamp| always.at(at).by_window(place).wanted;
        let is = wanted(at);
        edges.into_iter().rev().find(|edge| {
            wanted(*edge) == is && wanted(edge.checked_sub(1.millisecond()).unwrap_or(*edge)) != is
        })
    }

    /// The first `limit` changes of a place's desired state within 400 days after `after`.
    pub fn next_transitions(&self, place: Place<'_>, after: Timestamp, limit: usize) -> Vec<Transition> {
        let until = after.checked_add((AHEAD_DAYS * 24).hours()).unwrap_or(Timestamp::MAX);
        self.transitions(place, after, until, limit)
    }

    /// The desired state of a place over [`from`, `until`), as consecutive time ranges.
    pub fn intervals(&self, place: Place<'_>, from: Timestamp, until: Timestamp) -> Vec<Interval> {
        let (mut begin, mut wanted) = (from, self.at(from).desired(place).wanted);
        let mut intervals = Vec::new();
        for change in self.transitions(place, from, until, usize::MAX) {
            intervals.push(Interval { from: begin, until: change.at, wanted });
            (begin, wanted) = (change.at, change.wanted);
        }
        intervals.push(Interval { from: begin, until, wanted });
        intervals.retain(|interval| interval.from < interval.until);
        intervals
    }

    /// The last change of a place's desired state at or before `at`; `None` if there is none in the nine days before.
    pub fn since(&self, place: Place<'_>, at: Timestamp) -> Option<Timestamp> {
        let from = at.checked_sub((BACK_DAYS * 24).hours()).unwrap_or(Timestamp::MIN);
        let end = at.checked_add(1.millisecond()).unwrap_or(Timestamp::MAX);
        self.transitions(place, from, end, usize::MAX).last().map(|change| change.at)
    }

    /// Whether the desired state by windows alone changes in (`after`, `until`].
    pub fn has_window_edge(&self, place: Place<'_>, after: Timestamp, until: Timestamp) -> bool {
        let beyond = until.checked_add(1.millisecond()).unwrap_or(Timestamp::MAX);
        let before = self.at(after).by_window(place).wanted;
        let rules = self.windows_for(place);
        let mut edges = rules.iter().flat_map(|rule| rule.timeline().changes(after, beyond));
        edges.any(|at| at > after && at <= until && self.at(at).by_window(place).wanted != before)
    }

    /// The instants in (`after`, `until`] at which the desired state of a place may change.
    fn edges(&self, place: Place<'_>, after: Timestamp, until: Timestamp) -> BTreeSet<Timestamp> {
        let mut edges = window_edges(&self.windows_for(place), after, until);
        for one in self.overrides.iter().filter(|one| one.reach.covers(place, &self.groups).is_some()) {
            edges.extend([one.created_at, one.until]);
            edges.extend(one.closed_at);
        }
        edges.retain(|at| *at > after && *at <= until);
        edges
    }
}

/// The instants in (`after`, `until`] at which the state of one of the windows may change.
fn window_edges(rules: &[&WindowRule], after: Timestamp, until: Timestamp) -> BTreeSet<Timestamp> {
    let beyond = until.checked_add(1.millisecond()).unwrap_or(Timestamp::MAX);
    let edges = rules.iter().flat_map(|rule| {
        let mut changes = rule.timeline().changes(after, beyond);
        changes.push(rule.from);
        changes
    });
    edges.filter(|at| *at > after && *at <= until).collect()
}

/// Calls `is_enough` with consecutive parts of (`after`, `until`] until it returns `true`. The first part has two days
/// and later parts are longer, because callers usually need the next few changes and a far search is expensive.
fn look_ahead(after: Timestamp, until: Timestamp, mut is_enough: impl FnMut(Timestamp, Timestamp) -> bool) {
    let mut from = after;
    let mut days = 2;
    while from < until {
        let to = from.checked_add((days * 24_i64).hours()).unwrap_or(Timestamp::MAX).min(until);
        if is_enough(from, to) {
            return;
        }
        from = to;
        days = (days * 4).min(128);
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::ids::HostId;
    use crate::domain::run::ActorRef;
    use crate::domain::target::ContainerIdentity;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn web() -> ContainerIdentity {
        ContainerIdentity::Service { project: "media".to_owned(), service: "web".to_owned(), number: 1 }
    }

    fn rule(id: &str, target: Target, window: &str) -> WindowRule {
        WindowRule {
            id: id.into(),
            title: id.to_owned(),
            target,
            window: Window::parse(window).expect(window),
            reading: Reading::in_zone(TimeZone::UTC),
            skip: None,
            from: at("2026-01-01T00:00:00Z"),
            policy: Policy::Respect,
            sleep: Action::Stop,
            wake: Wake::Restore,
            stop_timeout_seconds: None,
            guard: None,
        }
    }

    fn new_override(id: &str, reach: Reach, wanted: DesiredState, until: &str) -> Override {
        Override {
            id: id.into(),
            reach,
            target_name: String::new(),
            wanted,
            created_at: at("2027-01-05T00:00:00Z"),
            until: at(until),
            reason: "demo".to_owned(),
            author: ActorRef { kind: "user".to_owned(), id: None, name: "ops".to_owned() },
            by_hand: false,
            puts_back: false,
            closed_at: None,
            closed_reason: String::new(),
        }
    }

    fn media() -> Target {
        Target::stack(HostId::local(), "media")
    }

    fn wanted(rules: &Rules, target: &Target, instant: &str) -> Option<DesiredState> {
        rules.at(at(instant)).desired(Place::of_target(target)).wanted
    }

    #[test]
    fn sleep_rules_add_up_and_an_awake_interval_cuts_a_hole() {
        let rules = Rules::new(
            vec![
                rule("nights", media(), "sleep 22:00-06:00"),
                rule("noon", media(), "sleep 12:00-14:00"),
                rule("shift", media(), "awake Tue 23:00-24:00"),
            ],
            Vec::new(),
        );
        // 5 January 2027 is a Tuesday.
        for (instant, state) in [
            ("2027-01-05T13:00:00Z", DesiredState::Asleep),
            ("2027-01-05T22:30:00Z", DesiredState::Asleep),
            ("2027-01-05T23:30:00Z", DesiredState::Awake),
            ("2027-01-06T00:00:00Z", DesiredState::Asleep),
            // Outside the `awake` window the state is asleep, which outranks awake outside the `sleep` windows.
            ("2027-01-06T10:00:00Z", DesiredState::Asleep),
        ] {
            assert_eq!(wanted(&rules, &media(), instant), Some(state), "{instant}");
        }
    }

    #[test]
    fn the_narrowest_scope_decides_alone() {
        let container = Target::container(HostId::local(), web());
        let rules = Rules::new(
            vec![
                rule("stack", media(), "sleep 22:00-06:00"),
                rule("web", container.clone(), "sleep 12:00-13:00"),
            ],
            Vec::new(),
        );
        assert_eq!(wanted(&rules, &media(), "2027-01-05T23:00:00Z"), Some(DesiredState::Asleep));
        assert_eq!(wanted(&rules, &container, "2027-01-05T23:00:00Z"), Some(DesiredState::Awake));
        assert_eq!(wanted(&rules, &container, "2027-01-05T12:30:00Z"), Some(DesiredState::Asleep));
    }

    #[test]
    fn hold_outranks_override_outranks_window() {
        let until = "2027-01-06T00:00:00Z";
        let night = || vec![rule("nights", media(), "sleep 22:00-06:00")];
        let awake = || new_override("a", Reach::Target(media()), DesiredState::Awake, until);
        let now = "2027-01-05T23:00:00Z";
        assert_eq!(wanted(&Rules::new(night(), Vec::new()), &media(), now), Some(DesiredState::Asleep));
        assert_eq!(wanted(&Rules::new(night(), vec![awake()]), &media(), now), Some(DesiredState::Awake));
        let hold = new_override("b", Reach::All, DesiredState::Hold, until);
        let rules = Rules::new(night(), vec![awake(), hold]);
        assert_eq!(wanted(&rules, &media(), now), Some(DesiredState::Hold));
        assert_eq!(wanted(&rules, &media(), until), Some(DesiredState::Asleep), "half-open");
        // An override for everything that is not a hold: the override for the stack is narrower and decides.
        let rules =
            Rules::new(night(), vec![awake(), new_override("b", Reach::All, DesiredState::Asleep, until)]);
        assert_eq!(wanted(&rules, &media(), now), Some(DesiredState::Awake));
    }

    #[test]
    fn a_window_has_no_effect_before_its_from() {
        let mut nights = rule("nights", media(), "sleep 22:00-06:00");
        nights.from = at("2027-01-05T23:00:00Z");
        let rules = Rules::new(vec![nights], Vec::new());
        assert_eq!(wanted(&rules, &media(), "2027-01-05T22:30:00Z"), None);
        assert_eq!(wanted(&rules, &media(), "2027-01-05T23:00:00Z"), Some(DesiredState::Asleep));
    }

    #[test]
    fn transitions_have_only_real_changes() {
        let rules = Rules::new(
            vec![rule("nights", media(), "sleep 22:00-06:00"), rule("late", media(), "sleep 05:00-07:00")],
            vec![new_override("a", Reach::Target(media()), DesiredState::Awake, "2027-01-05T23:00:00Z")],
        );
        let next = rules.next_transitions(Place::of_target(&media()), at("2027-01-05T12:00:00Z"), 3);
        let changes: Vec<_> =
            next.iter().map(|change| (change.at, change.wanted, change.by.as_str())).collect();
        assert_eq!(
            changes,
            [
                (at("2027-01-05T23:00:00Z"), Some(DesiredState::Asleep), "nights"),
                (at("2027-01-06T07:00:00Z"), Some(DesiredState::Awake), "late"),
                (at("2027-01-06T22:00:00Z"), Some(DesiredState::Asleep), "nights"),
            ]
        );
        let since = rules.since(Place::of_target(&media()), at("2027-01-06T06:30:00Z"));
        assert_eq!(since, Some(at("2027-01-05T23:00:00Z")));
        assert_eq!(
            rules.since(Place::of_target(&media()), at("2027-01-06T07:00:00Z")),
            Some(at("2027-01-06T07:00:00Z"))
        );
    }

    #[test]
    fn the_why_names_the_layer_that_won() {
        let rules = Rules::new(
            vec![rule("nights", media(), "sleep 22:00-06:00")],
            vec![new_override("a", Reach::Target(media()), DesiredState::Awake, "2027-01-05T23:00:00Z")],
        );
        let why = |instant| rules.at(at(instant)).desired(Place::of_target(&media())).why(&TimeZone::UTC);
        assert_eq!(why("2027-01-05T22:30:00Z"), "awake until 2027-01-05 23:00: demo (by ops)");
        assert_eq!(why("2027-01-05T23:30:00Z"), "asleep by “nights” (sleep 22:00-06:00)");
    }
}
