//! Reconciliation: the decision about each container of a host under its windows and overrides, from the desired state,
//! the last applied state and the changes by others (semantics §2, rulings 3). Pure functions; the scheduler records
//! and carries out the results.
//!
//! A window acts when its desired state differs from the *last applied* state, never because the container differs. The
//! window's policy decides about changes that others make inside it, and a container that Docker's restart policy
//! brought back is put to sleep again.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::applied::{Applied, AppliedStates, GRACE, MOST_PUT_BACKS};
use super::desired::{Desired, Layer, Moment, WindowRule};
use super::inventory::{Container, ContainerState, Inventory};
use super::nap::{NapKind, Naps};
use super::overrides::DesiredState;
use super::place::Place;
use super::schedule::{Policy, Wake};
use super::target::{self, ContainerIdentity};
use super::window::Phase;

/// Input of the reconciliation of one host.
#[derive(Debug)]
pub struct ReconcileInput<'a> {
    /// Rules, at the instant of the reconciliation.
    pub moment: &'a Moment<'a>,
    /// Containers of the Engine.
    pub inventory: &'a Inventory,
    /// Last applied states.
    pub applied: &'a AppliedStates,
    /// Naps.
    pub naps: &'a Naps,
    /// Latest external action on each container since the previous reconciliation.
    pub sighted: &'a HashMap<ContainerIdentity, ExternalAction>,
    /// Containers with an open run of DockNap; their current state is not compared.
    pub busy: &'a HashMap<ContainerIdentity, AtWork>,
    /// Set at the first reconciliation after the connection came up: events may have been lost, so the states of the
    /// containers decide.
    pub fresh: Option<Fresh>,
    /// Lead of the Engine's clock, to which its time stamps refer, over DockNap's clock.
    pub ahead: SignedDuration,
    /// Containers whose first comparison after a connection was deferred because of an open run.
    pub late: &'a HashMap<ContainerIdentity, Fresh>,
    /// Napping containers that no rule covers any more, with the window that put them to sleep: they left its group.
    pub left: &'a HashMap<ContainerIdentity, &'a WindowRule>,
}

/// Effects of DockNap's open runs on a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtWork {
    /// A run puts the container to sleep.
    pub sleeps: bool,
    /// A run wakes or restarts the container.
    pub wakes: bool,
}

/// First reconciliation after the connection came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// Start of the outage, by the Engine's clock; `None` at the start of the process.
    pub lost_at: Option<Timestamp>,
}

/// Action of somebody else on a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExternalAction {
    /// Started or unpaused the container.
    Woke,
    /// Stopped or paused the container on purpose.
    Slept,
}

/// Reason for an action on a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The desired state changed.
    Change,
    /// The run for the desired state failed, and the host is connected again.
    Again,
    /// Docker's restart policy started the container.
    DaemonRestart,
    /// Policy `enforce`: somebody else changed the container, and the grace period is over.
    PutBack,
    /// A nap or wake with an end is over: the container returns to its earlier state.
    Ended,
}

/// Decision about one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Record the state as applied, without an action.
    Accept(Applied),
    /// Put the container to sleep, or wake it.
    Act {
        /// Requested phase.
        phase: Phase,
        cause: Cause,
        /// State to record.
        applied: Applied,
    },
    /// Policy `respect`: the change by somebody else stays until the next edge, or as long as the desired state does
    /// not change.
    Respect {
        /// Phase after that change.
        phase: Phase,
        /// If awake: whether the container napped until then. If asleep: whether the change restores the nap from which
        /// the container was woken, and which its windows request.
        nap: bool,
        /// Whether an event reported the change when it happened, as opposed to a later comparison.
        is_seen: bool,
    },
    /// Policy `observe`: the change by somebody else is only recorded.
    Observe {
        /// Phase after that change.
        phase: Phase,
        /// As in [`Verdict::Respect`].
        is_seen: bool,
    },
    /// Policy `enforce`: the limit of put-backs is reached; a person should look.
    GiveUp(Applied),
    /// No rule applies any more.
    Forget,
}

/// Container with the decision about it.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    pub identity: ContainerIdentity,
    pub verdict: Verdict,
    /// Desired state, with the rule that decided.
    pub desired: Desired<'a>,
}

impl<'a> ReconcileInput<'a> {
    /// Decisions about the containers of the host. Containers that are excluded, protected or already as desired have
    /// none.
    pub fn findings(&self) -> Vec<Finding<'a>> {
        let mut found = Vec::new();
        for container in self.inventory.containers.iter() {
            let is_ours = container.is_ordinary()
                && container.protection.is_none()
                && target::unschedulable_name(&container.name).is_none()
                // During a re-creation by compose, two containers have one identity, and only one of them counts.
                && self.inventory.by_identity(&container.identity).is_some_and(|one| one.id == container.id);
            if !is_ours {
                continue;
            }
            let mut desired = self.moment.desired(Place::of(container));
            if let (Layer::None, Some(rule)) = (desired.layer, self.left.get(&container.identity)) {
                desired.layer = Layer::Window(rule, rule.timeline().vote(self.moment.now));
            }
            if let Some(verdict) = self.decide(container, &desired) {
                found.push(Finding { identity: container.identity.clone(), verdict, desired });
            }
        }
        found
    }

    fn decide(&self, container: &Container, desired: &Desired<'_>) -> Option<Verdict> {
        let applied = self.applied.get(&container.identity);
        let phase = match desired.wanted {
            None => return applied.and_then(|applied| self.end(container, desired, applied)),
            Some(DesiredState::Hold) => return None,
            Some(DesiredState::Awake) => Phase::Awake,
            Some(DesiredState::Asleep) => Phase::Asleep,
        };
        match applied {
            None => Some(self.first_decision(container, desired, phase)),
            Some(applied) if applied.state != phase => Some(self.change(container, desired, phase)),
            Some(applied) => self.compare(container, desired, applied),
        }
    }

    /// Decision when no rule applies any more: the changes of a nap or wake with an end are reverted. A container that
    /// left the group of a window sleeps until that window ends its sleep (rulings 50).
    fn end(&self, container: &Container, desired: &Desired<'_>, applied: &Applied) -> Option<Verdict> {
        let acts = |phase| {
            let applied = Applied::now(phase, self.moment.now);
            Some(Verdict::Act { phase, cause: Cause::Ended, applied })
        };
        match (desired.layer, applied.was.filter(|_| applied.puts_back)) {
            (Layer::Window(_, vote), _) if vote.phase() == Phase::Asleep => None,
            (Layer::Window(..), _) if self.naps_now(container) => acts(Phase::Awake),
            (_, Some(phase)) if self.needs(container, desired, phase) => acts(phase),
            _ => Some(Verdict::Forget),
        }
    }

    /// Decision when nothing was applied yet: the rule or the container is new.
    fn first_decision(&self, container: &Container, desired: &Desired<'_>, phase: Phase) -> Verdict {
        let now = self.moment.now;
        let accepted = Verdict::Accept(Applied::now(phase, now));
        match phase {
            // A window that is saved during its awake time does nothing; an override to awake wakes a napping
            // container.
            Phase::Awake if matches!(desired.layer, Layer::Override(_)) && self.naps_or_will(container) => {
                self.change(container, desired, phase)
            }
            Phase::Awake => accepted,
            Phase::Asleep if !self.is_up_or_will_be(container) => accepted,
            // The container was created after the sleep began: somebody started it inside the sleep.
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

    /// Decision when the desired state differs from the last applied one.
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

    /// Whether the container needs an action. A window's wake edge includes every container that is down, so that a run
    /// reports a stack in which nothing naps.
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

    /// Whether the container naps, or an open run is about to put it to sleep. Without the latter, the result of that
    /// run would stay and no later reconciliation would notice.
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

    /// Decision when the desired state was already applied: whether the container deviates from it, and who changed it.
    fn compare(&self, container: &Container, desired: &Desired<'_>, applied: &Applied) -> Option<Verdict> {
        let now = self.moment.now;
        if self.busy.contains_key(&container.identity) {
            return None;
        }
        let deviates = match applied.state {
            Phase::Asleep => container.state.is_up() && !self.naps_now(container),
            Phase::Awake => !container.state.is_up() || container.state == ContainerState::Paused,
        };
        if !deviates {
            if self.was_woken_for_a_moment(container, applied) {
                return Some(Verdict::Respect { phase: Phase::Asleep, nap: true, is_seen: true });
            }
            // The deviation is gone, so no put-back is due. No reversal is due either once a window decides.
            let puts_back = applied.puts_back && !matches!(desired.layer, Layer::Window(..));
            let settled = Applied { put_back_at: None, puts_back, ..applied.clone() };
            return (settled != *applied).then_some(Verdict::Accept(settled));
        }
        let fresh = self.first_comparison(container);
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
        let is_deliberate = match applied.state {
            _ if is_seen => true,
            // A crash is not deliberate: a container that is down at the first comparison stays as it is.
            Phase::Asleep => fresh.is_some(),
            Phase::Awake => false,
        };
        if !is_deliberate {
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
            // Overrides have no policy: a deliberate change against one stays.
            None => Some(self.respect(container, applied, is_seen)),
        }
    }

    /// Whether somebody woke the container from the applied nap and put it back to sleep since the previous
    /// reconciliation.
    fn was_woken_for_a_moment(&self, container: &Container, applied: &Applied) -> bool {
        let slept = self.sighted.get(&container.identity) == Some(&ExternalAction::Slept);
        let began = applied.at + self.ahead;
        applied.state == Phase::Asleep
            && slept
            && self.naps.get(&container.identity).is_some_and(|nap| {
                // What was paused and is stopped now, somebody has stopped on purpose.
                let is_as_before = nap.kind == NapKind::Stop || container.state == ContainerState::Paused;
                is_as_before && nap.since >= began && !nap.holds(container, self.inventory)
            })
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

    /// First comparison of a container since the connection came up; `None` for a later one.
    fn first_comparison(&self, container: &Container) -> Option<Fresh> {
        self.fresh.or_else(|| self.late.get(&container.identity).copied())
    }

    /// Whether Docker's restart policy started the container unobserved, because the daemon restarted. A start before
    /// the connection was lost was observed.
    fn came_back_by_itself(&self, container: &Container, applied: &Applied) -> bool {
        let Some(fresh) = self.first_comparison(container) else { return false };
        let was_seen = fresh.lost_at.is_some_and(|lost| container.started_at.is_some_and(|at| at < lost));
        let applied_at = applied.at + self.ahead;
        let since = self.naps.get(&container.identity).map_or(applied_at, |nap| nap.since.max(applied_at));
        !was_seen && self.inventory.may_have_revived(container, since)
    }
}

/// Policy of the deciding window; `None` if an override decides.
fn policy(desired: &Desired<'_>) -> Option<Policy> {
    desired.rule().map(|rule| rule.policy)
}

/// Reverts a change by others, and counts the put-back.
fn put_back(applied: &Applied) -> Verdict {
    let put_backs = applied.put_backs + 1;
    let applied = Applied { put_back_at: None, put_backs, ..applied.clone() };
    Verdict::Act { phase: applied.state, cause: Cause::PutBack, applied }
}
