//! The desired state of containers and stacks at one instant, and the reason for it. [`Rules::at`] creates a
//! [`Moment`], which caches the votes of windows, so that many queries about the same instant are cheap.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;

use super::{Desired, Layer, Rules, Transition, WindowRule};
use crate::domain::overrides::{DesiredState, Override, Reach};
use crate::domain::place::Place;
use crate::domain::target::{Target, TargetType};
use crate::domain::window::{Phase, Vote};

/// The rules, evaluated at one instant.
#[derive(Debug)]
pub struct Moment<'a> {
    pub(super) rules: &'a Rules,
    pub now: Timestamp,
    /// A cache of the deciding window of each target: its index and its vote, or `None` if no window is in effect.
    pub(super) votes: Mutex<HashMap<&'a Target, Option<(usize, Vote)>>>,
}

impl<'a> Moment<'a> {
    /// The desired state of a place.
    pub fn desired(&self, place: Place<'_>) -> Desired<'a> {
        self.desired_by(place, |_| true)
    }

    /// The desired state of a target without the overrides that are for exactly this target.
    pub fn beneath(&self, target: &Target) -> Desired<'a> {
        let own = Reach::Target(target.clone());
        self.desired_by(Place::of_target(target), |one| one.reach != own)
    }

    /// The desired state of a place, considering only the overrides for which `counts` returns `true`.
    fn desired_by(&self, place: Place<'_>, counts: impl Fn(&Override) -> bool) -> Desired<'a> {
        let active = || {
            let active = self.rules.overrides.iter().filter(|one| one.is_active(self.now) && counts(one));
            active.filter_map(|one| Some((one.reach.covers(place, &self.rules.groups)?, one)))
        };
        // The active override with the narrowest reach. There is at most one per reach; if not, the newest one counts.
        let narrowest = |general: bool| {
            active()
                .filter(|(_, one)| one.is_general_hold() == general)
                .max_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.id.cmp(&y.id)))
                .map(|(_, one)| one)
        };
        if let Some(hold) = narrowest(true) {
            return Desired { wanted: Some(DesiredState::Hold), layer: Layer::Hold(hold) };
        }
        if let Some(one) = narrowest(false) {
            return Desired { wanted: Some(one.wanted), layer: Layer::Override(one) };
        }
        self.by_window(place)
    }

    /// The desired state by windows alone, without overrides.
    pub fn by_window(&self, place: Place<'_>) -> Desired<'a> {
        let found = self.rules.scopes(place).find_map(|targets| {
            targets.iter().filter_map(|target| self.vote_of(target)).max_by(|a, b| self.compare(a, b))
        });
        match found {
            Some((index, vote)) => Desired {
                wanted: Some(match vote.phase() {
                    Phase::Awake => DesiredState::Awake,
                    Phase::Asleep => DesiredState::Asleep,
                }),
                layer: Layer::Window(&self.rules.windows[index], vote),
            },
            None => Desired { wanted: None, layer: Layer::None },
        }
    }

    /// The deciding window among those of a target, as index and vote. Of equal votes the oldest schedule decides.
    fn vote_of(&self, target: &Target) -> Option<(usize, Vote)> {
        let (target, indexes) = self.rules.by_target.get_key_value(target)?;
        let votes = || self.votes.lock();
        if let Some(known) = votes().get(target) {
            return *known;
        }
        let found = indexes
            .iter()
            .map(|index| (*index, &self.rules.windows[*index]))
            .filter(|(_, rule)| rule.from <= self.now)
            .map(|(index, rule)| (index, rule.timeline().vote(self.now)))
            .max_by(|a, b| self.compare(a, b));
        votes().insert(target, found);
        found
    }

    /// Which of two votes decides: the stronger one or, of equal ones, that of the older schedule.
    fn compare(&self, (a, x): &(usize, Vote), (b, y): &(usize, Vote)) -> std::cmp::Ordering {
        let id = |index: &usize| &self.rules.windows[*index].id;
        x.cmp(y).then_with(|| id(b).cmp(id(a)))
    }
}

impl<'a> Desired<'a> {
    /// The window schedule that decides, if the deciding layer is a window.
    pub fn rule(&self) -> Option<&'a WindowRule> {
        match self.layer {
            Layer::Window(rule, _) => Some(rule),
            _ => None,
        }
    }

    /// The reason as a sentence without a full stop: the deciding layer with its text. Instants are shown in `zone`.
    ///
    /// "asleep by “Nights” (sleep Mon-Fri 23:00-07:00)", "awake until 2027-01-05 22:00: demo (by anna)".
    pub fn why(&self, zone: &TimeZone) -> String {
        let until = |one: &Override| one.until.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
        let because = |one: &Override| match one.reason.as_str() {
            "" => format!("by {}", one.author.name),
            reason if one.by_hand => reason.to_owned(),
            reason => format!("{reason} (by {})", one.author.name),
        };
        match self.layer {
            Layer::Hold(one) => {
                let what = match &one.reach {
                    Reach::All => "everything",
                    Reach::Target(target) if target.target_type() == TargetType::Group => "its group",
                    Reach::Target(_) => "this host",
                };
                format!("{what} is held until {}: {}", until(one), because(one))
            }
            Layer::Override(one) if one.wanted == DesiredState::Hold => {
                format!("held as it is until {}: {}", until(one), because(one))
            }
            Layer::Override(one) if one.has_chosen_end() => {
                format!("{} until {}: {}", one.wanted.as_str(), until(one), because(one))
            }
            Layer::Override(one) => {
                let (state, end) = (one.wanted.as_str(), until(one));
                format!("{state} by hand, its schedule decides again at {end}: {}", because(one))
            }
            Layer::Window(rule, vote) => {
                format!("{} by “{}” ({})", vote.phase(), rule.title, rule.window)
            }
            Layer::None => String::new(),
        }
    }

    /// The change to this desired state at instant `at`.
    pub(super) fn transition(&self, at: Timestamp) -> Transition {
        let (by, schedule) = match self.layer {
            Layer::Hold(_) => ("hold".to_owned(), None),
            Layer::Override(_) => ("override".to_owned(), None),
            Layer::Window(rule, _) => (rule.title.clone(), Some(rule.id.clone())),
            Layer::None => (String::new(), None),
        };
        Transition { at, wanted: self.wanted, by, schedule }
    }
}
