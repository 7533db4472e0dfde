//! The rules at one instant: what they want of a place, and why.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;

use super::{Desired, Layer, Rules, Transition, WindowRule};
use crate::domain::overrides::{DesiredState, Override, Place, Reach};
use crate::domain::target::{Subject, Target};
use crate::domain::window::{Phase, Vote};

/// The rules at one instant.
#[derive(Debug)]
pub struct Moment<'a> {
    pub(super) rules: &'a Rules,
    /// The instant.
    pub now: Timestamp,
    /// What each target's windows say, once somebody asked.
    pub(super) votes: Mutex<HashMap<&'a Target, Option<(usize, Vote)>>>,
}

impl<'a> Moment<'a> {
    /// What is wanted of a place.
    pub fn desired(&self, place: Place<'_>) -> Desired<'a> {
        self.desired_by(place, |_| true)
    }

    /// What is wanted of a target besides what its own overrides want.
    pub fn beneath(&self, target: &Target) -> Desired<'a> {
        let own = Reach::Target(target.clone());
        self.desired_by(Place::of_target(target), |one| one.reach != own)
    }

    fn desired_by(&self, place: Place<'_>, counts: impl Fn(&Override) -> bool) -> Desired<'a> {
        let active = || {
            let active = self.rules.overrides.iter().filter(|one| one.is_active(self.now) && counts(one));
            active.filter_map(|one| Some((one.reach.covers(place)?, one)))
        };
        // The newest of one reach: there is at most one.
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

    /// What the windows alone want.
    pub fn by_window(&self, place: Place<'_>) -> Desired<'a> {
        let container = place.container.and_then(|identity| {
            self.voice_of(&Target { host: place.host.clone(), subject: Subject::Container(identity.clone()) })
        });
        let found = container.or_else(|| {
            let subject = Subject::Stack(place.stack?.to_owned());
            self.voice_of(&Target { host: place.host.clone(), subject })
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

    /// The rule that decides for a target among its own, and what it says; of equal votes the oldest schedule.
    fn voice_of(&self, target: &Target) -> Option<(usize, Vote)> {
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
            .max_by(|(a, x), (b, y)| {
                let id = |index: &usize| &self.rules.windows[*index].id;
                x.cmp(y).then_with(|| id(b).cmp(id(a)))
            });
        votes().insert(target, found);
        found
    }
}

impl<'a> Desired<'a> {
    /// The window schedule that decides.
    pub fn rule(&self) -> Option<&'a WindowRule> {
        match self.layer {
            Layer::Window(rule, _) => Some(rule),
            _ => None,
        }
    }

    /// Why, in a sentence without its full stop: the layer that won, with its text. Instants in `zone`.
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
                let what = if one.reach == Reach::All { "everything" } else { "this host" };
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
