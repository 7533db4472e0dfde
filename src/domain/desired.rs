//! What is wanted of a container or stack at an instant, and why: hold > override > windows > none (semantics §2).
//!
//! Pure: pages, previews, the simulator and what fires ask the same functions.

use std::collections::{BTreeSet, HashMap};

use jiff::{Timestamp, ToSpan};
use parking_lot::Mutex;
use serde::Serialize;

use super::action::Action;
use super::guard::Guard;
use super::ids::{OverrideId, ScheduleId};
use super::overrides::{self, DesiredState, Override, Place, Reach};
use super::schedule::{Policy, Reading, Wake};
use super::target::{Subject, Target};
use super::time::{Instant, serialize_instant};
use super::window::{Vote, Window, WindowTimeline};

mod moment;

pub use moment::Moment;

/// How far ahead transitions are looked for, in days.
const AHEAD: i64 = 400;
/// How far back a sleep is followed: a window lasts a week at most.
const BACK: i64 = 9;

/// A window schedule that is on, with everything its answer depends on.
#[derive(Clone, Debug)]
pub struct WindowRule {
    /// Which schedule.
    pub id: ScheduleId,
    /// What to call it.
    pub title: String,
    /// What it is for.
    pub target: Target,
    /// The rule.
    pub window: Window,
    /// How its times are to be read.
    pub reading: Reading,
    /// The sleep that is dropped.
    pub skip: Option<Timestamp>,
    /// Before this it says nothing.
    pub from: Timestamp,
    /// What happens to what others do inside it.
    pub policy: Policy,
    /// How it puts to sleep: stop or pause.
    pub sleep: Action,
    /// What it wakes.
    pub wake: Wake,
    /// Stop grace in seconds, where set.
    pub stop_timeout_seconds: Option<i64>,
    /// What may hold its sleep back for a while.
    pub guard: Option<Guard>,
}

impl WindowRule {
    /// The rule over its zone and calendar.
    pub fn timeline(&self) -> WindowTimeline<'_> {
        WindowTimeline::of(&self.window, &self.reading, self.skip)
    }
}

/// Everything that says what should sleep: window schedules that are on, and overrides that may still count.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    windows: Vec<WindowRule>,
    overrides: Vec<Override>,
    by_target: HashMap<Target, Vec<usize>>,
}

/// The layer that decides.
#[derive(Clone, Copy, Debug)]
pub enum Layer<'a> {
    /// A hold over a host or everything.
    Hold(&'a Override),
    /// An override.
    Override(&'a Override),
    /// A window.
    Window(&'a WindowRule, Vote),
    /// Nothing: it is left alone.
    None,
}

/// What is wanted at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Desired<'a> {
    /// What; `None` = left alone.
    pub wanted: Option<DesiredState>,
    /// By which layer.
    pub layer: Layer<'a>,
}

/// A change of what is wanted.
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
    /// Who says so: a schedule's title, `override` or `hold`; empty for nobody.
    pub by: String,
    #[serde(rename = "schedule_id")]
    #[schema(value_type = Option<String>)]
    pub schedule: Option<ScheduleId>,
}

/// What is wanted from one instant to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// What is wanted; `None` = left alone.
    pub wanted: Option<DesiredState>,
}

impl Rules {
    /// Puts rules together.
    pub fn new(windows: Vec<WindowRule>, overrides: Vec<Override>) -> Self {
        let mut by_target: HashMap<Target, Vec<usize>> = HashMap::new();
        for (index, rule) in windows.iter().enumerate() {
            by_target.entry(rule.target.clone()).or_default().push(index);
        }
        Self { windows, overrides, by_target }
    }

    /// The window schedules.
    pub fn windows(&self) -> &[WindowRule] {
        &self.windows
    }

    /// The window schedules of a target itself.
    pub fn windows_on(&self, target: &Target) -> impl Iterator<Item = &WindowRule> + use<'_> {
        let indexes = self.by_target.get(target).map(Vec::as_slice).unwrap_or_default();
        indexes.iter().map(|index| &self.windows[*index])
    }

    /// The overrides.
    pub fn overrides(&self) -> &[Override] {
        &self.overrides
    }

    /// Adds an override; the one for the same reach ends with it, as where one is stored.
    pub fn impose(&mut self, one: Override) {
        self.overrides.retain(|older| older.reach != one.reach);
        self.overrides.push(one);
    }

    /// Takes an override away.
    pub fn end(&mut self, id: &OverrideId) {
        self.overrides.retain(|one| one.id != *id);
    }

    /// As if no override of this very target were there.
    #[must_use]
    pub fn without_own(&self, target: &Target) -> Self {
        let own = Reach::Target(target.clone());
        let mut rules = self.clone();
        rules.overrides.retain(|one| one.reach != own);
        rules
    }

    /// Whether a window or an override is for this very target.
    pub fn names(&self, target: &Target) -> bool {
        self.by_target.contains_key(target)
            || self.overrides.iter().any(|one| matches!(&one.reach, Reach::Target(named) if named == target))
    }

    /// Whether a window or an override, of any time, is about a place.
    pub fn speak_of(&self, place: Place<'_>) -> bool {
        !self.windows_for(place).is_empty()
            || self.overrides.iter().any(|one| one.reach.covers(place).is_some())
    }

    /// Whether there is nothing to obey.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.overrides.is_empty()
    }

    /// The rules at one instant; remembers what it worked out.
    pub fn at(&self, now: Timestamp) -> Moment<'_> {
        Moment { rules: self, now, votes: Mutex::default() }
    }

    /// The window schedules whose layer a place is in: those of the narrowest scope that has any.
    pub fn windows_for(&self, place: Place<'_>) -> Vec<&WindowRule> {
        let of = |subject: Subject| -> Vec<&WindowRule> {
            self.windows_on(&Target { host: place.host.clone(), subject }).collect()
        };
        let container = place.container.map(|identity| of(Subject::Container(identity.clone())));
        let narrow = container.filter(|rules| !rules.is_empty());
        narrow.or_else(|| place.stack.map(|name| of(Subject::Stack(name.to_owned())))).unwrap_or_default()
    }

    /// The changes of what is wanted of a place in (`after`, `until`), in order, `limit` at most.
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

    /// What becomes of a place where an override ends that puts back what it changed, and nothing else decides.
    fn put_back(&self, place: Place<'_>, at: Timestamp, desired: &Desired<'_>) -> Option<Transition> {
        let ends = |one: &&Override| one.puts_back && one.until == at && one.reach.covers(place).is_some();
        let one = self.overrides.iter().find(ends).filter(|_| desired.wanted.is_none())?;
        Some(Transition { at, wanted: Some(one.wanted.other()), by: "override".to_owned(), schedule: None })
    }

    /// When the windows of a place, after calendar and whatever overrides say, next come to want something else, or,
    /// with `to`, that; `None` where no window covers it, or none ever does.
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
        let until = after.checked_add((AHEAD * 24).hours()).unwrap_or(Timestamp::MAX);
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

    /// When the windows of a place came to want what they want at an instant, as if each had always been there: the
    /// edge that a sleep or a time awake began with. `None` where it is longer ago than a week and two days.
    pub fn window_edge_before(&self, place: Place<'_>, at: Timestamp) -> Option<Timestamp> {
        let mut windows: Vec<WindowRule> = self.windows_for(place).into_iter().cloned().collect();
        for rule in &mut windows {
            rule.from = Timestamp::MIN;
        }
        let always = Self::new(windows, Vec::new());
        let from = at.checked_sub((BACK * 24).hours()).unwrap_or(Timestamp::MIN);
        let edges = window_edges(&always.windows_for(place), from, at);
        let wanted = |at: Timestamp| always.at(at).by_window(place).wanted;
        let is = wanted(at);
        edges.into_iter().rev().find(|edge| {
            wanted(*edge) == is && wanted(edge.checked_sub(1.millisecond()).unwrap_or(*edge)) != is
        })
    }

    /// The next few changes of what is wanted.
    pub fn next_transitions(&self, place: Place<'_>, after: Timestamp, limit: usize) -> Vec<Transition> {
        let until = after.checked_add((AHEAD * 24).hours()).unwrap_or(Timestamp::MAX);
        self.transitions(place, after, until, limit)
    }

    /// What is wanted of a place over [`from`, `until`), without a gap.
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

    /// When what is wanted of a place came to be so: the last change at or before `at`, looked for over nine days.
    pub fn since(&self, place: Place<'_>, at: Timestamp) -> Option<Timestamp> {
        let from = at.checked_sub((BACK * 24).hours()).unwrap_or(Timestamp::MIN);
        let end = at.checked_add(1.millisecond()).unwrap_or(Timestamp::MAX);
        self.transitions(place, from, end, usize::MAX).last().map(|change| change.at)
    }

    /// Whether its windows alone came to want something else of a place in (`after`, `until`].
    pub fn has_window_edge(&self, place: Place<'_>, after: Timestamp, until: Timestamp) -> bool {
        let beyond = until.checked_add(1.millisecond()).unwrap_or(Timestamp::MAX);
        let before = self.at(after).by_window(place).wanted;
        let rules = self.windows_for(place);
        let mut edges = rules.iter().flat_map(|rule| rule.timeline().changes(after, beyond));
        edges.any(|at| at > after && at <= until && self.at(at).by_window(place).wanted != before)
    }

    /// Every instant in (`after`, `until`] at which something about a place may change.
    fn edges(&self, place: Place<'_>, after: Timestamp, until: Timestamp) -> BTreeSet<Timestamp> {
        let mut edges = window_edges(&self.windows_for(place), after, until);
        for one in self.overrides.iter().filter(|one| one.reach.covers(place).is_some()) {
            edges.extend([one.created_at, one.until]);
            edges.extend(one.closed_at);
        }
        edges.retain(|at| *at > after && *at <= until);
        edges
    }
}

/// Every instant in (`after`, `until`] at which one of these may come to say something else.
fn window_edges(rules: &[&WindowRule], after: Timestamp, until: Timestamp) -> BTreeSet<Timestamp> {
    let beyond = until.checked_add(1.millisecond()).unwrap_or(Timestamp::MAX);
    let edges = rules.iter().flat_map(|rule| {
        let mut changes = rule.timeline().changes(after, beyond);
        changes.push(rule.from);
        changes
    });
    edges.filter(|at| *at > after && *at <= until).collect()
}

/// Goes through (`after`, `until`] in ever longer stretches until one `is_enough`: the next few changes are near, and
/// looking far costs.
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

    fn wish(id: &str, reach: Reach, wanted: DesiredState, until: &str) -> Override {
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
            // Outside the awake rule it is asleep by complement, which outranks awake by complement.
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
        let awake = || wish("a", Reach::Target(media()), DesiredState::Awake, until);
        let now = "2027-01-05T23:00:00Z";
        assert_eq!(wanted(&Rules::new(night(), Vec::new()), &media(), now), Some(DesiredState::Asleep));
        assert_eq!(wanted(&Rules::new(night(), vec![awake()]), &media(), now), Some(DesiredState::Awake));
        let hold = wish("b", Reach::All, DesiredState::Hold, until);
        let rules = Rules::new(night(), vec![awake(), hold]);
        assert_eq!(wanted(&rules, &media(), now), Some(DesiredState::Hold));
        assert_eq!(wanted(&rules, &media(), until), Some(DesiredState::Asleep), "half-open");
        // For everything, but not a hold: the override of the stack is narrower.
        let rules = Rules::new(night(), vec![awake(), wish("b", Reach::All, DesiredState::Asleep, until)]);
        assert_eq!(wanted(&rules, &media(), now), Some(DesiredState::Awake));
    }

    #[test]
    fn a_rule_says_nothing_before_it_was_made() {
        let mut nights = rule("nights", media(), "sleep 22:00-06:00");
        nights.from = at("2027-01-05T23:00:00Z");
        let rules = Rules::new(vec![nights], Vec::new());
        assert_eq!(wanted(&rules, &media(), "2027-01-05T22:30:00Z"), None);
        assert_eq!(wanted(&rules, &media(), "2027-01-05T23:00:00Z"), Some(DesiredState::Asleep));
    }

    #[test]
    fn transitions_tell_only_real_changes() {
        let rules = Rules::new(
            vec![rule("nights", media(), "sleep 22:00-06:00"), rule("late", media(), "sleep 05:00-07:00")],
            vec![wish("a", Reach::Target(media()), DesiredState::Awake, "2027-01-05T23:00:00Z")],
        );
        let next = rules.next_transitions(Place::of_target(&media()), at("2027-01-05T12:00:00Z"), 3);
        let told: Vec<_> = next.iter().map(|change| (change.at, change.wanted, change.by.as_str())).collect();
        assert_eq!(
            told,
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
            vec![wish("a", Reach::Target(media()), DesiredState::Awake, "2027-01-05T23:00:00Z")],
        );
        let why = |instant| rules.at(at(instant)).desired(Place::of_target(&media())).why(&TimeZone::UTC);
        assert_eq!(why("2027-01-05T22:30:00Z"), "awake until 2027-01-05 23:00: demo (by ops)");
        assert_eq!(why("2027-01-05T23:30:00Z"), "asleep by “nights” (sleep 22:00-06:00)");
    }
}
