//! What a fire of a schedule leads to: whether it acts, the state of its target afterwards, and the overrides that follow.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Simulator, just_before};
use crate::domain::action::Action;
use crate::domain::contradiction::{self, Answer};
use crate::domain::foretell::Standing;
use crate::domain::overrides::{DesiredState, Override, Reach};
use crate::domain::place::Place;
use crate::domain::schedule::Policy;
use crate::domain::target::{ContainerIdentity, Subject, Target};

impl Simulator {
    /// The state of a target at an instant: as it is wanted, or as the last fire left it if the policy of its window is
    /// to observe, until the window's next edge. `None` if it is unknown.
    pub(super) fn standing_at(&self, at: Timestamp, target: &Target) -> Option<Standing> {
        let mut standing = *self.ground.standing.get(target)?;
        let (rules, place) = (&self.ground.rules, Place::of_target(target));
        // Fires come before the edges of their instant.
        let at = just_before(at);
        let moment = rules.at(at);
        let desired = moment.desired(place);
        let is_observed = desired.rule().is_some_and(|rule| rule.policy == Policy::Observe);
        let stays = |from: &Timestamp| !rules.has_window_edge(place, just_before(*from), at);
        if !(is_observed && self.set_at.get(target).is_some_and(stays)) {
            standing.become_as(desired.wanted);
        }
        Some(standing)
    }

    /// The reason why a restart is skipped: the target does not run. `None` if it runs or its state is unknown.
    pub(super) fn does_not_run(&self, at: Timestamp, target: &Target) -> Option<String> {
        let standing = self.standing_at(at, target)?;
        let desired = self.ground.rules.at(at).desired(Place::of_target(target));
        (!standing.runs).then(|| match desired.wanted {
            Some(DesiredState::Asleep) => {
                format!("{}: only what runs is restarted", desired.why(&self.ground.zone))
            }
            _ => "it does not run then: only what runs is restarted".to_owned(),
        })
    }

    /// Updates the known states of a fire's target, and of what belongs to it unless it is a container.
    pub(super) fn update_standing(&mut self, at: Timestamp, target: &Target, action: Action) {
        let groups = Arc::clone(self.ground.rules.groups());
        let is_container = matches!(target.subject, Subject::Container(_));
        let is_affected = |one: &&Target| *one == target || !is_container && groups.overlap(target, one);
        let affected: Vec<Target> = self.ground.standing.keys().filter(is_affected).cloned().collect();
        for one in affected {
            let Some(mut standing) = self.standing_at(at, &one) else { continue };
            standing.after(action);
            if action.sets_state() {
                self.set_at.insert(one.clone(), at);
            }
            self.ground.standing.insert(one, standing);
        }
    }

    /// The reason why a fire is superseded: at the same instant there is an edge of a window that sets the opposite
    /// state, with a policy other than `respect`, or that begins a sleep, which any restart gives way to. `None` if
    /// there is no such edge.
    pub(super) fn superseded_by_edge(
        &self,
        at: Timestamp,
        target: &Target,
        action: Action,
    ) -> Option<String> {
        let (rules, place) = (&self.ground.rules, Place::of_target(target));
        let wanted = rules.at(at).desired(place).wanted;
        let overtakes = match action {
            Action::Restart => wanted == Some(DesiredState::Asleep),
            _ => matches!(
                contradiction::answer_to_fire(rules, target, action, at)?,
                Answer::Enforce(_) | Answer::Observe
            ),
        } && rules.at(just_before(at)).desired(place).wanted != wanted;
        overtakes.then(|| format!("superseded by {}", rules.at(at).desired(place).why(&self.ground.zone)))
    }

    /// The consequence of a fire that acts, as text. Adds the overrides that the fire creates to `overrides`.
    pub(super) fn act(
        &mut self,
        at: Timestamp,
        target: &Target,
        action: Action,
        overrides: &mut Vec<Override>,
    ) -> String {
        if action.sets_state() {
            let is_whole = target.subject.stack().is_some() && target.subject.services().is_none();
            let is_part = |one: &Target| {
                is_whole && one.host == target.host && one.subject.stack() == target.subject.stack()
            };
            self.ground.held_back.retain(|held| held.target != *target && !is_part(&held.target));
        }
        let (rules, zone) = (&self.ground.rules, &self.ground.zone);
        let mut reason = String::new();
        let affected = if target.is_wide() {
            let inside = self.wanted.keys().filter(|one| rules.groups().overlap(one, target));
            inside.cloned().collect()
        } else {
            let inside = BTreeSet::from_iter(self.containers_of(target));
            let mut affected = contradiction::speakers(target, inside, rules);
            affected.extend(self.parts_of(target));
            affected
        };
        for affected in affected {
            let place = Place::of_target(&affected);
            let Some(answer) = contradiction::answer_to_fire(rules, &affected, action, at) else { continue };
            let consequence = match answer {
                Answer::Respect { until: Some(until), .. } => {
                    let until = until.to_zoned(zone.clone());
                    format!("what this does stays until {}", until.strftime("%Y-%m-%d %H:%M"))
                }
                Answer::Enforce(_) => "this is put back after 5 minutes".to_owned(),
                Answer::Observe | Answer::Respect { until: None, .. } => {
                    "what this does stays until the next edge".to_owned()
                }
            };
            if reason.is_empty() {
                reason = format!("{}: {consequence}", rules.at(at).desired(place).why(zone));
            }
            if let Answer::Respect { wanted, until: Some(until) } = answer {
                self.made += 1;
                overrides.push(Override {
                    // The id sorts after all stored ids, so that this override counts as the newest.
                    id: format!("~{:09}", self.made).into(),
                    reach: Reach::Target(affected),
                    target_name: String::new(),
                    wanted,
                    created_at: at,
                    until,
                    reason: format!("{} by {}", contradiction::done(action), self.ground.scheduler.name),
                    author: self.ground.scheduler.clone(),
                    by_hand: true,
                    puts_back: false,
                    closed_at: None,
                    closed_reason: String::new(),
                });
            }
        }
        let desired = rules.at(at).desired(Place::of_target(target));
        if action == Action::Restart && desired.wanted == Some(DesiredState::Asleep) {
            reason = format!("{}: only what runs is restarted", desired.why(zone));
        }
        reason
    }

    /// The targets of windows and overrides.
    fn named(&self) -> impl Iterator<Item = &Target> {
        let rules = &self.ground.rules;
        let reached = rules.overrides().iter().filter_map(|one| match &one.reach {
            Reach::Target(target) => Some(target),
            Reach::All => None,
        });
        rules.windows().iter().map(|rule| &rule.target).chain(reached)
    }

    /// The services of a target that have windows or overrides which do not count for all of it.
    fn parts_of(&self, target: &Target) -> BTreeSet<Target> {
        let Some(stack) = target.subject.stack() else { return BTreeSet::new() };
        let of_stack =
            self.named().filter(|one| one.host == target.host && one.subject.stack() == Some(stack));
        let shared = of_stack.filter_map(|one| match (one.subject.services()?, target.subject.services()) {
            (theirs, None) => Some(theirs.clone()),
            (theirs, Some(ours)) if ours.is_subset(theirs) => None,
            (theirs, Some(ours)) => Some(theirs & ours).filter(|both| !both.is_empty()),
        });
        shared.map(|services| Target::services(target.host.clone(), stack, services)).collect()
    }

    /// The containers of a target that have windows or overrides of their own.
    fn containers_of<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a ContainerIdentity> {
        let groups = self.ground.rules.groups();
        self.named().filter(|one| groups.overlap(one, target)).filter_map(|one| match &one.subject {
            Subject::Container(identity) => Some(identity),
            Subject::Stack(_) | Subject::Services { .. } | Subject::Host | Subject::Group(_) => None,
        })
    }
}
