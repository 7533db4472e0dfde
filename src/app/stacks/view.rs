//! A stack or container with everything shown of it, and the explanation of its state.

use std::sync::Arc;

use jiff::Timestamp;

use super::shown::ShownState;
use super::wanted::WantedView;
use super::why::{AT_WORK, Last, TextContext, clock_time, never, outside, past};
use crate::db::history::LastTouch;
use crate::domain::action::Action;
use crate::domain::foretell::NextAction;
use crate::domain::group::Group;
use crate::domain::inventory::{Container, ContainerState, Stack, StackStatus};
use crate::domain::overrides::DesiredState;
use crate::domain::target::Target;
use crate::domain::text::capital;
use crate::domain::trace::Did;

/// A stack with everything shown of it.
#[derive(Clone, Debug)]
pub struct StackView {
    /// The stack as the inventory has it.
    pub stack: Stack,
    /// Its state.
    pub shown: ShownState,
    /// The desired state by windows and overrides.
    pub wanted: Arc<WantedView>,
    /// The newest run that changed the stack.
    pub(super) touch: Option<Arc<LastTouch>>,
    pub(super) text_context: TextContext,
    /// The next action, by schedules of the stack or of its containers.
    pub next: Option<Arc<NextAction>>,
    /// Whether DockNap put a container of it to sleep, and no unprotected container is up.
    pub napping: bool,
    /// The reason why DockNap never acts on it, where all of it is protected.
    pub protected: Option<String>,
    /// Its containers by name, including kinds that DockNap never acts on.
    pub containers: Vec<ContainerView>,
    /// The groups that it is in, by name.
    pub groups: Vec<Group>,
}

/// A container with everything shown of it.
#[derive(Clone, Debug)]
pub struct ContainerView {
    /// The container as the inventory has it.
    pub container: Arc<Container>,
    /// Its state.
    pub shown: ShownState,
    /// The reason why DockNap never acts on it; `None` where it is not protected.
    pub protected: Option<String>,
    /// The origin of its current state.
    pub(super) last: Last,
    /// An observed action of others that caused its current state, and when that was.
    pub(super) seen: Option<(Did, Timestamp)>,
    pub(super) text_context: TextContext,
    /// The desired state by windows and overrides.
    pub wanted: Arc<WantedView>,
    /// Whether a rule or override is for this container itself, and not only for its stack.
    pub own_rule: bool,
    /// Since when DockNap has it asleep.
    pub napping_since: Option<Timestamp>,
    /// The next action, by its own schedules or its stack's.
    pub next: Option<Arc<NextAction>>,
    /// The groups that it is in, by name.
    pub groups: Vec<Group>,
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

    /// The containers whose state differs from the desired one, with that desired state: up although they should be
    /// asleep, or napping although they should be awake. Protected containers, and those that a run acts on, do not
    /// count.
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
    /// The exit code with which it failed, where it is stopped because of that.
    pub fn failure(&self) -> Option<i64> {
        self.container.failure().filter(|_| self.shown == ShownState::Stopped && self.container.is_ordinary())
    }

    /// Whether it still is as a run of DockNap left it.
    pub fn is_as_left(&self) -> bool {
        matches!(self.last, Last::Ours(_))
    }

    /// The desired state, where the actual state differs from it.
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
    /// Who caused the current state, as a sentence without its full stop; only from known facts. `None` where the cause
    /// is unknown, or where nobody caused it.
    pub fn by_hand(&self) -> Option<String> {
        let TextContext { now, zone } = &self.text_context;
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
            (Last::StayedUp(_) | Last::StayedDown(_), None) => Some(self.last.sentence(&self.text_context)),
            _ => None,
        }
    }

    /// The explanation of its state, as a sentence without its full stop.
    pub fn why(&self) -> String {
        match &self.protected {
            Some(reason) => never(reason),
            None => self.wanted.explain(match self.last {
                Last::Untouched => None,
                _ => Some(self.last.sentence(&self.text_context)),
            }),
        }
    }
}

impl StackView {
    /// The explanation of its state, as a sentence without its full stop.
    pub fn why(&self) -> String {
        self.wanted.explain(self.last())
    }

    /// The last action on it, as far as its state still shows it; `None` without a run of the stack and without naps.
    fn last(&self) -> Option<String> {
        if let Some(reason) = &self.protected {
            return Some(never(reason));
        }
        if self.containers.iter().any(|view| view.last == Last::AtWork) {
            return Some(AT_WORK.to_owned());
        }
        let named_sentence = |view: &ContainerView| {
            format!("{}: {}", view.container.name, view.last.sentence(&self.text_context))
        };
        let Some(touch) = &self.touch else {
            // At most single containers were changed.
            let napping = self.containers.iter().filter(|view| view.napping_since.is_some());
            return napping.max_by_key(|view| view.napping_since).map(named_sentence);
        };
        let asleep = matches!(touch.action, Action::Stop | Action::Pause);
        let run = || self.text_context.run(touch);
        Some(match self.stack.status {
            StackStatus::Running if asleep => outside("Started"),
            StackStatus::Stopped if !asleep || !self.napping => {
                let ended = self.containers.iter().find(|view| matches!(view.last, Last::Ended(..)));
                ended.map_or_else(|| outside("Stopped"), named_sentence)
            }
            StackStatus::Paused if !asleep => outside("Paused"),
            StackStatus::Partial => {
                let outside = |view: &&ContainerView| {
                    view.protected.is_none() && matches!(view.last, Last::Outside(..) | Last::Ended(..))
                };
                match self.containers.iter().find(outside) {
                    Some(view) => format!("{}; {}", run(), named_sentence(view)),
                    None if touch.partly => format!("{}, only in part", run()),
                    None => run(),
                }
            }
            _ => run(),
        })
    }
}
