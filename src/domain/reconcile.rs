//! What windows and overrides do about each container: a pure look at what is wanted, what was last applied, and what
//! others did meanwhile (semantics §2, rulings 3).
//!
//! A window acts when what it wants differs from what was *last applied*, never because the container differs. What
//! others do inside a window is answered by the window's policy, and a container that Docker's restart policy brought
//! back is put to sleep again.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::applied::{Applied, AppliedStates, GRACE, MOST_PUT_BACKS};
use super::desired::{Desired, Layer, Moment};
use super::inventory::{Container, Inventory};
use super::nap::Naps;
use super::overrides::{DesiredState, Place};
use super::schedule::{Policy, Wake};
use super::target::{self, ContainerIdentity};
use super::window::Phase;

/// What is known of one host when it is looked at.
#[derive(Debug)]
pub struct ReconcileInput<'a> {
    /// The rules, at this instant.
    pub moment: &'a Moment<'a>,
    /// What the Engine holds.
    pub inventory: &'a Inventory,
    /// What was last applied.
    pub applied: &'a AppliedStates,
    /// What DockNap put to sleep.
    pub naps: &'a Naps,
    /// What others did since the last look, by container: the newest.
    pub sighted: &'a HashMap<ContainerIdentity, ExternalAction>,
    /// Containers of which a run of ours is open: what they do now is not judged.
    pub busy: &'a HashMap<ContainerIdentity, AtWork>,
    /// The first look after the link came up: events may have been lost, so the containers themselves are judged.
    pub fresh: Option<Fresh>,
    /// How far the Engine's clock, by which its time stamps are, is ahead of ours.
    pub ahead: SignedDuration,
    /// Containers of which that look was put off, since a run of ours was at work on them.
    pub late: &'a HashMap<ContainerIdentity, Fresh>,
}

/// What open runs of ours are about to make of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtWork {
    /// One puts it to sleep.
    pub sleeps: bool,
    /// One wakes or restarts it.
    pub wakes: bool,
}

/// The first look after the link came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// Since when the link was down, by the Engine's clock; `None` at the start of the process.
    pub lost_at: Option<Timestamp>,
}

/// What somebody else did to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExternalAction {
    /// Started or unpaused it.
    Woke,
    /// Stopped or paused it on purpose.
    Slept,
}

/// Why something is done to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// What is wanted changed.
    Change,
    /// The run that was to apply it failed, and the host is back.
    Again,
    /// Docker's restart policy brought it back.
    DaemonRestart,
    /// Policy `enforce`: somebody else changed it, and the grace is over.
    PutBack,
    /// A nap or a wake is at its end: it becomes as it was before.
    Ended,
}

/// What is done about one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Remember that it is so; nothing is done.
    Accept(Applied),
    /// Put it to sleep, or wake it.
    Act {
        /// Which of the two.
        phase: Phase,
        cause: Cause,
        /// What is remembered.
        applied: Applied,
    },
    /// Policy `respect`: what somebody else did stays until the next edge, or as long as nothing else is wanted.
    Respect {
        /// What they made of it.
        phase: Phase,
        /// Awake: it napped until then. Asleep: that puts it back to the nap that it was woken from, which its windows
        /// want.
        nap: bool,
        /// Docker told of it as it happened, rather than that it was found so later.
        is_seen: bool,
    },
    /// Policy `observe`: it is only recorded.
    Observe {
        /// What they made of it.
        phase: Phase,
        /// As of [`Verdict::Respect`].
        is_seen: bool,
    },
    /// Policy `enforce`: it was put back often enough; somebody should look.
    GiveUp(Applied),
    /// Nothing says any more what it should be.
    Forget,
}

/// A container with what is done about it.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    pub identity: ContainerIdentity,
    /// What is done.
    pub verdict: Verdict,
    /// What is wanted of it, and by whom.
    pub desired: Desired<'a>,
}

impl<'a> ReconcileInput<'a> {
    /// What is done about every container of the host. Containers that are left alone, protected, or as they should
    /// be are not among the answers.
    pub fn findings(&self) -> Vec<Finding<'a>> {
        let mut found = Vec::new();
        for container in self.inventory.containers.iter() {
            let is_ours = container.is_ordinary()
                && container.protection.is_none()
                && target::unschedulable_name(&container.name).is_none()
                // While compose re-creates one there are two; the plain name counts.
                && self.inventory.by_identity(&container.identity).is_some_and(|one| one.id == container.id);
            if !is_ours {
                continue;
            }
            let desired = self.moment.desired(Place::of(container));
            if let Some(verdict) = self.judge(container, &desired) {
                found.push(Finding { identity: container.identity.clone(), verdict, desired });
            }
        }
        found
    }

    fn judge(&self, container: &Container, desired: &Desired<'_>) -> Option<Verdict> {
        let applied = self.applied.get(&container.identity);
        let phase = match desired.wanted {
            None => return applied.map(|applied| self.end(container, desired, applied)),
            Some(DesiredState::Hold) => return None,
            Some(DesiredState::Awake) => Phase::Awake,
            Some(DesiredState::Asleep) => Phase::Asleep,
        };
        match applied {
            None => Some(self.first_sight(container, desired, phase)),
            Some(applied) if applied.state != phase => Some(self.change(container, desired, phase)),
            Some(applied) => self.compare(container, desired, applied),
        }
    }

    /// Nothing says any more what it should be. What a nap or a wake with an end changed becomes as it was.
    fn end(&self, container: &Container, desired: &Desired<'_>, applied: &Applied) -> Verdict {
        match applied.was.filter(|_| applied.puts_back) {
            Some(phase) if self.needs(container, desired, phase) => {
                let applied = Applied::now(phase, self.moment.now);
                Verdict::Act { phase, cause: Cause::Ended, applied }
            }
            _ => Verdict::Forget,
        }
    }

    /// Nothing was applied yet: the rule is new, or the container is.
    fn first_sight(&self, container: &Container, desired: &Desired<'_>, phase: Phase) -> Verdict {
        let now = self.moment.now;
        let accepted = Verdict::Accept(Applied::now(phase, now));
        match phase {
            // Saving inside a time awake does nothing; asking for it wakes what naps.
            Phase::Awake if matches!(desired.layer, Layer::Override(_)) && self.naps_or_will(container) => {
                self.change(container, desired, phase)
            }
            Phase::Awake => accepted,
            Phase::Asleep if !self.is_up_or_will_be(container) => accepted,
            // It came after the rule spoke: somebody started it inside the sleep.
            Phase::Asleep if self.is_newer_than_sleep(container, desired) => match policy(desired) {
                Some(Policy::Respect) => Verdict::Respect { phase: Phase::Awake, nap: false, is_seen: true },
                Some(Policy::Observe) => accepted,
                Some(Policy::Enforce) => {
                    let put_back_at = Some(now + GRACE);
                    Verdict::Accept(Applied { put_back_at, ..Applied::now(phase, now) })
                }
                None => self.change(container, desired, phase),
            },
            Phase::Asleep => self.change(container, desired, phase),
        }
    }

    fn is_newer_than_sleep(&self, container: &Container, desired: &Desired<'_>) -> bool {
        let Layer::Window(rule, _) = desired.layer else { return false };
        let began = rule.timeline().sleep_holding(self.moment.now).map_or(rule.from, |sleep| sleep.start);
        container.created_at.is_some_and(|created| created > began.max(rule.from) + self.ahead)
    }

    /// What is wanted differs from what was last applied.
    fn change(&self, container: &Container, desired: &Desired<'_>, phase: Phase) -> Verdict {
        let acts = self.needs(container, desired, phase);
        let applied = match desired.layer {
            Layer::Override(one) if one.puts_back => {
                let before = self.applied.get(&container.identity);
                Applied::for_a_while(phase, self.moment.now, acts.then_some(phase.other()), before)
            }
            _ => Applied::now(phase, self.moment.now),
        };
        if acts { Verdict::Act { phase, cause: Cause::Change, applied } } else { Verdict::Accept(applied) }
    }

    /// Whether there is anything to do for it. A wake edge always speaks, so that a stack of which nothing naps is
    /// told.
    fn needs(&self, container: &Container, desired: &Desired<'_>, phase: Phase) -> bool {
        match phase {
            Phase::Asleep => self.is_up_or_will_be(container) && !self.naps_now(container),
            Phase::Awake => {
                let wakes_all = desired.rule().is_some_and(|rule| rule.wake == Wake::All);
                self.naps_or_will(container)
                    || (!container.state.is_up() && (wakes_all || desired.rule().is_some()))
            }
        }
    }

    /// What a run under way is about to make of it counts: else its end would stay, and nobody would look again.
    fn naps_or_will(&self, container: &Container) -> bool {
        self.naps_now(container) || self.at_work(container).sleeps
    }

    fn is_up_or_will_be(&self, container: &Container) -> bool {
        container.state.is_up() || self.at_work(container).wakes
    }

    fn at_work(&self, container: &Container) -> AtWork {
        self.busy.get(&container.identity).copied().unwrap_or_default()
    }

    fn naps_now(&self, container: &Container) -> bool {
        self.naps.get(&container.identity).is_some_and(|nap| nap.holds(container, self.inventory))
    }

    /// What is wanted was applied: is it still so, and if not, who changed it?
    fn compare(&self, container: &Container, desired: &Desired<'_>, applied: &Applied) -> Option<Verdict> {
        let now = self.moment.now;
        if self.busy.contains_key(&container.identity) {
            return None;
        }
        let deviates = match applied.state {
            Phase::Asleep => container.state.is_up() && !self.naps_now(container),
            Phase::Awake => {
                !container.state.is_up() || container.state == super::inventory::ContainerState::Paused
            }
        };
        if !deviates {
            if self.was_woken_for_a_moment(container, applied) {
                return Some(Verdict::Respect { phase: Phase::Asleep, nap: true, is_seen: true });
            }
            // Somebody put it right: nothing is left to put back. Nor is there where windows decide by now.
            let puts_back = applied.puts_back && !matches!(desired.layer, Layer::Window(..));
            let settled = Applied { put_back_at: None, puts_back, ..applied.clone() };
            return (settled != *applied).then_some(Verdict::Accept(settled));
        }
        let fresh = self.fresh_look(container);
        if fresh.is_some() && !applied.settled {
            let applied = Applied { settled: true, ..applied.clone() };
            let phase = applied.state;
            let again = Verdict::Act { phase, cause: Cause::Again, applied };
            return self.needs(container, desired, phase).then_some(again);
        }
        if let Some(due) = applied.put_back_at {
            return (now >= due).then(|| put_back(applied));
        }
        let phase = applied.state.other();
        let is_seen = matches!(
            (self.sighted.get(&container.identity), applied.state),
            (Some(ExternalAction::Woke), Phase::Asleep) | (Some(ExternalAction::Slept), Phase::Awake)
        );
        if applied.state == Phase::Asleep && !is_seen && self.came_back_by_itself(container, applied) {
            let applied = Applied { settled: true, ..applied.clone() };
            return Some(Verdict::Act { phase: Phase::Asleep, cause: Cause::DaemonRestart, applied });
        }
        let deed = match applied.state {
            _ if is_seen => true,
            // A crash is nobody's wish: what is down at a fresh look is left as it is.
            Phase::Asleep => fresh.is_some(),
            Phase::Awake => false,
        };
        if !deed {
            return None;
        }
        match policy(desired) {
            Some(Policy::Respect) => Some(self.respect(container, applied, is_seen)),
            Some(Policy::Observe) => Some(Verdict::Observe { phase, is_seen }),
            Some(Policy::Enforce) if applied.put_backs >= MOST_PUT_BACKS => {
                Some(Verdict::GiveUp(applied.clone()))
            }
            Some(Policy::Enforce) => {
                Some(Verdict::Accept(Applied { put_back_at: Some(now + GRACE), ..applied.clone() }))
            }
            // An override was asked for by a person; who acts against it means it.
            None => Some(self.respect(container, applied, is_seen)),
        }
    }

    /// Somebody woke it from the nap that was applied and put it back to sleep since the last look.
    fn was_woken_for_a_moment(&self, container: &Container, applied: &Applied) -> bool {
        let slept = self.sighted.get(&container.identity) == Some(&ExternalAction::Slept);
        let began = applied.at + self.ahead;
        applied.state == Phase::Asleep
            && slept
            && self
                .naps
                .get(&container.identity)
                .is_some_and(|nap| nap.since >= began && !nap.holds(container, self.inventory))
    }

    fn respect(&self, container: &Container, applied: &Applied, is_seen: bool) -> Verdict {
        let phase = applied.state.other();
        let nap = self.naps.get(&container.identity);
        let nap = match phase {
            Phase::Awake => nap.is_some_and(|nap| nap.held_until_woken(container)),
            Phase::Asleep => {
                let windows = self.moment.by_window(Place::of(container)).wanted;
                windows == Some(DesiredState::Asleep) && applied.was == Some(Phase::Asleep)
            }
        };
        Verdict::Respect { phase, nap, is_seen }
    }

    /// The first look at a container since the link came up.
    fn fresh_look(&self, container: &Container) -> Option<Fresh> {
        self.fresh.or_else(|| self.late.get(&container.identity).copied())
    }

    /// Whether Docker's restart policy brought it back while nobody looked: the daemon restarted. What started before
    /// the link was lost was seen.
    fn came_back_by_itself(&self, container: &Container, applied: &Applied) -> bool {
        let Some(fresh) = self.fresh_look(container) else { return false };
        let was_seen = fresh.lost_at.is_some_and(|lost| container.started_at.is_some_and(|at| at < lost));
        let applied_at = applied.at + self.ahead;
        let since = self.naps.get(&container.identity).map_or(applied_at, |nap| nap.since.max(applied_at));
        !was_seen && self.inventory.may_have_revived(container, since)
    }
}

/// The policy of the window that decides; `None` where an override does.
fn policy(desired: &Desired<'_>) -> Option<Policy> {
    desired.rule().map(|rule| rule.policy)
}

/// Puts back what others changed, and counts it.
fn put_back(applied: &Applied) -> Verdict {
    let put_backs = applied.put_backs + 1;
    let applied = Applied { put_back_at: None, put_backs, ..applied.clone() };
    Verdict::Act { phase: applied.state, cause: Cause::PutBack, applied }
}
