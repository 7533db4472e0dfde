//! Why a stack or container is as it is: who acted last, as long as it is still as they left it.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{ContainerView, StackView, clock_time};
use crate::db::history::LastTouch;
use crate::domain::action::Action;
use crate::domain::inventory::{Container, ContainerState, StackStatus};
use crate::domain::nap::Nap;
use crate::domain::text::{capital, small};
use crate::domain::trace::{Did, Trace};

/// A stack or container that is touched by nothing of ours.
pub(super) const UNTOUCHED: &str = "DockNap has not touched it";
/// A stack or container that a run of ours is changing right now.
const AT_WORK: &str = "A run is at work on it";

/// From when, and by which clocks, instants are told.
#[derive(Clone, Debug)]
pub(super) struct Telling {
    pub now: Timestamp,
    pub zone: TimeZone,
}

/// Who acted last on a container, as far as that still shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// A run of ours changes it right now.
    AtWork,
    /// Nothing of ours ever changed it.
    Untouched,
    /// It has done its work.
    Done,
    /// It is as a run of ours left it.
    Ours(Arc<LastTouch>),
    /// It is up, since a run of ours put to sleep only a part of what it was to.
    StayedUp(Arc<LastTouch>),
    /// It is down, since a run of ours woke only a part of what it was to.
    StayedDown(Arc<LastTouch>),
    /// It ended then, by nobody's doing.
    ByItself(Timestamp),
    /// It ended with this exit code, which nobody asks for with a stop; and when, where that was after our last run.
    Ended(i64, Option<Timestamp>),
    /// Somebody else did this to it; and when, where that was after our last run.
    Outside(&'static str, Option<Timestamp>),
}

impl Last {
    /// Of a container, where the newest run that touched it or its stack is `touch`. `ours` reads a time stamp of its
    /// Engine by our clock.
    pub(super) fn of(
        container: &Container,
        nap: Option<&Nap>,
        touch: Option<&Arc<LastTouch>>,
        completed: bool,
        trace: Option<&Trace>,
        ours: impl Fn(Timestamp) -> Timestamp,
    ) -> Self {
        let Some(touch) = touch else { return Self::Untouched };
        if completed {
            return Self::Done;
        }
        let up = container.state.is_up();
        let after = |at: Option<Timestamp>| at.map(&ours).filter(|at| *at > touch.finished_at);
        let outside = |what, at: Option<Timestamp>| Self::Outside(what, after(at));
        let by_itself = trace.filter(|_| !up).and_then(|trace| trace.ended_by_itself(container));
        let failure = container.failure().filter(|code| *code != KILLED && by_itself != Some(false));
        match (by_itself, trace) {
            (Some(true), Some(trace)) if failure.is_none() && trace.seen_at > touch.finished_at => {
                return Self::ByItself(trace.seen_at);
            }
            _ => {}
        }
        let down = || match failure {
            Some(code) => Self::Ended(code, after(container.finished_at)),
            None => outside("Stopped", container.finished_at),
        };
        // What a run left undone is not of anybody else's making, unless it changed after it.
        let left_so =
            |at: Option<Timestamp>| touch.partly && at.is_none_or(|at| ours(at) <= touch.finished_at);
        match touch.action {
            _ if container.state == ContainerState::Paused && nap.is_none() => outside("Paused", None),
            Action::Stop | Action::Pause if up && left_so(container.started_at) => {
                Self::StayedUp(Arc::clone(touch))
            }
            Action::Start | Action::Unpause | Action::Restart if !up && left_so(container.finished_at) => {
                Self::StayedDown(Arc::clone(touch))
            }
            Action::Stop | Action::Pause if nap.is_none() && up => outside("Started", container.started_at),
            // Also what was down before the stop that skipped it.
            _ if !up && (nap.is_none() || !matches!(touch.action, Action::Stop | Action::Pause)) => down(),
            _ => Self::Ours(Arc::clone(touch)),
        }
    }

    /// In a sentence without its full stop.
    fn told(&self, telling: &Telling) -> String {
        match self {
            Self::AtWork => AT_WORK.to_owned(),
            Self::Untouched => UNTOUCHED.to_owned(),
            Self::Done => "It has done its work and ended".to_owned(),
            Self::Ours(touch) => telling.run(touch),
            Self::StayedUp(touch) => format!("Stayed up when {}", small(&telling.run(touch))),
            Self::StayedDown(touch) => format!("Did not come up when {}", small(&telling.run(touch))),
            Self::ByItself(at) => {
                format!("Ended by itself, {}", clock_time(*at, telling.now, &telling.zone))
            }
            Self::Ended(code, None) => ended(*code),
            Self::Ended(code, Some(at)) => {
                format!("{}, {}", ended(*code), clock_time(*at, telling.now, &telling.zone))
            }
            Self::Outside(what, None) => outside(what),
            Self::Outside(what, Some(at)) => {
                format!("{}, {}", outside(what), clock_time(*at, telling.now, &telling.zone))
            }
        }
    }
}

/// The exit code of what was killed, by a stop that waited for too long or by somebody.
const KILLED: i64 = 137;

fn ended(code: i64) -> String {
    format!("Ended with exit code {code}")
}

fn outside(what: &str) -> String {
    format!("{what} outside DockNap")
}

impl Telling {
    /// "Stopped by schedule Office nights, 23:00 yesterday"
    fn run(&self, touch: &LastTouch) -> String {
        let by = match &touch.schedule_name {
            Some(name) => format!("schedule {name}"),
            None => touch.actor.name.clone(),
        };
        format!("{} by {by}, {}", past(touch.action), clock_time(touch.finished_at, self.now, &self.zone))
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

fn never(reason: &str) -> String {
    format!("DockNap never touches it: {reason}")
}

fn past(action: Action) -> &'static str {
    match action {
        Action::Start => "Started",
        Action::Stop => "Stopped",
        Action::Restart => "Restarted",
        Action::Pause => "Paused",
        Action::Unpause => "Unpaused",
    }
}
