//! A stack or container with everything there is to say about it, and why it is as it is.

use std::sync::Arc;

use jiff::Timestamp;

use super::shown::ShownState;
use super::wanted::WantedView;
use super::why::{AT_WORK, Last, Telling, clock_time, never, outside, past};
use crate::db::history::LastTouch;
use crate::domain::action::Action;
use crate::domain::foretell::NextAction;
use crate::domain::inventory::{Container, ContainerState, Stack, StackStatus};
use crate::domain::overrides::DesiredState;
use crate::domain::target::Target;
use crate::domain::text::capital;
use crate::domain::trace::Did;

/// A stack with everything there is to say about it.
#[derive(Clone, Debug)]
pub struct StackView {
    /// What the Engine holds.
    pub stack: Stack,
    /// In a word.
    pub shown: ShownState,
    /// What windows and overrides want of it.
    pub wanted: Arc<WantedView>,
    /// The newest run that changed it.
    pub(super) touch: Option<Arc<LastTouch>>,
    pub(super) telling: Telling,
    /// What comes next, of the stack's own schedules and its containers'.
    pub next: Option<Arc<NextAction>>,
    /// DockNap put something of it to sleep, and nothing of it that DockNap may touch is up.
    pub napping: bool,
    /// Why it is never touched, where that holds for all of it.
    pub protected: Option<String>,
    /// Its containers, sorted by name, left-alone kinds included.
    pub containers: Vec<ContainerView>,
}

/// A container with everything there is to say about it.
#[derive(Clone, Debug)]
pub struct ContainerView {
    /// What the Engine holds.
    pub container: Arc<Container>,
    /// In a word.
    pub shown: ShownState,
    /// Why it is never touched.
    pub protected: Option<String>,
    /// Who acted last on it.
    pub(super) last: Last,
    /// What others were seen to do to it that made it as it is, and when.
    pub(super) seen: Option<(Did, Timestamp)>,
    pub(super) telling: Telling,
    /// What windows and overrides want of it.
    pub wanted: Arc<WantedView>,
    /// A rule or override names itself, rather than its stack.
    pub own_rule: bool,
    /// Asleep by DockNap since then.
    pub napping_since: Option<Timestamp>,
    /// What comes next, of its own schedules and its stack's.
    pub next: Option<Arc<NextAction>>,
}

impl ContainerView {
    /// Whether its processes run, or are about to.
    pub(super) fn is_at_work(&self) -> bool {
        self.container.state.is_up() && self.container.state != ContainerState::Paused
    }
}

impl StackView {
    pub fn target(&self) -> Target {
        Target::stack(self.stack.host.clone(), self.stack.name.clone())
    }

    /// Its containers that are not as a rule wants them, and what it wants: up in their sleep, or napping still when
    /// they should be awake. What is protected, left alone or being worked on is no drift.
    pub fn drifted(&self) -> Option<(DesiredState, Vec<&ContainerView>)> {
        let of = |wanted: DesiredState| -> Vec<&ContainerView> {
            self.containers.iter().filter(|view| view.drifted() == Some(wanted)).collect()
        };
        [DesiredState::Asleep, DesiredState::Awake]
            .into_iter()
            .map(|wanted| (wanted, of(wanted)))
            .find(|(_, of)| !of.is_empty())
    }
}

impl ContainerView {
    /// The exit code it failed with, where it is down for that.
    pub fn failure(&self) -> Option<i64> {
        self.container.failure().filter(|_| self.shown == ShownState::Stopped && self.container.is_ordinary())
    }

    /// Whether it is as a run of ours left it.
    pub fn is_as_left(&self) -> bool {
        matches!(self.last, Last::Ours(_))
    }

    /// What a rule wants of it, where it is not so.
    pub fn drifted(&self) -> Option<DesiredState> {
        let touchable = self.container.is_ordinary() && self.protected.is_none();
        let known = self.shown != ShownState::Unreachable && self.last != Last::AtWork;
        self.wanted.state.filter(|wanted| {
            touchable
                && known
                && match wanted {
                    DesiredState::Asleep => self.is_at_work(),
                    DesiredState::Awake => self.napping_since.is_some(),
                    DesiredState::Hold => false,
                }
        })
    }
}

impl ContainerView {
    /// By whose hand it is as it is, in a sentence without its full stop: only what was looked up. `None` where that is
    /// not known, and where no hand made it so.
    pub fn by_hand(&self) -> Option<String> {
        let Telling { now, zone } = &self.telling;
        let at = |at: Timestamp| clock_time(at, *now, zone);
        match (&self.last, self.seen) {
            (Last::AtWork, _) => None,
            (_, Some((Did::Ended, seen))) => Some(format!("It ended by itself at {}", at(seen))),
            (_, Some((did, seen))) => Some(format!(
                "{} with Docker's own command or another program at {}; DockNap does not know by whom",
                capital(did.as_str()),
                at(seen)
            )),
            (Last::Ours(touch), None) => Some(format!(
                "{} {} at {}",
                past(touch.action),
                match &touch.schedule_name {
                    Some(name) => format!("by schedule {name}"),
                    None if touch.actor.id.is_some() => format!("by hand by {}", touch.actor.name),
                    None => format!("by {}", touch.actor.name),
                },
                at(touch.finished_at)
            )),
            (Last::StayedUp(_) | Last::StayedDown(_), None) => Some(self.last.told(&self.telling)),
            _ => None,
        }
    }

    /// Why it is as it is, in a sentence without its full stop.
    pub fn why(&self) -> String {
        match &self.protected {
            Some(reason) => never(reason),
            None => self.wanted.explain(match self.last {
                Last::Untouched => None,
                _ => Some(self.last.told(&self.telling)),
            }),
        }
    }
}

impl StackView {
    /// Why it is as it is, in a sentence without its full stop.
    pub fn why(&self) -> String {
        self.wanted.explain(self.last())
    }

    /// Who acted last on it, as far as that still shows; `None` where neither a run of its own nor a nap does.
    fn last(&self) -> Option<String> {
        if let Some(reason) = &self.protected {
            return Some(never(reason));
        }
        if self.containers.iter().any(|view| view.last == Last::AtWork) {
            return Some(AT_WORK.to_owned());
        }
        let told =
            |view: &ContainerView| format!("{}: {}", view.container.name, view.last.told(&self.telling));
        let Some(touch) = &self.touch else {
            // Only single containers were touched, if any.
            let napping = self.containers.iter().filter(|view| view.napping_since.is_some());
            return napping.max_by_key(|view| view.napping_since).map(told);
        };
        let asleep = matches!(touch.action, Action::Stop | Action::Pause);
        let run = || self.telling.run(touch);
        Some(match self.stack.status {
            StackStatus::Running if asleep => outside("Started"),
            StackStatus::Stopped if !asleep || !self.napping => {
                let ended = self.containers.iter().find(|view| matches!(view.last, Last::Ended(..)));
                ended.map_or_else(|| outside("Stopped"), told)
            }
            StackStatus::Paused if !asleep => outside("Paused"),
            StackStatus::Partial => {
                let outside = |view: &&ContainerView| {
                    view.protected.is_none() && matches!(view.last, Last::Outside(..) | Last::Ended(..))
                };
                match self.containers.iter().find(outside) {
                    Some(view) => format!("{}; {}", run(), told(view)),
                    None if touch.partly => format!("{}, only in part", run()),
                    None => run(),
                }
            }
            _ => run(),
        })
    }
}
