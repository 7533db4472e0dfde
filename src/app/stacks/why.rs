//! The explanation why a stack or container is in its state: the last action, as long as it still shows.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::db::history::LastTouch;
use crate::domain::action::Action;
use crate::domain::inventory::{Container, ContainerState};
use crate::domain::nap::Nap;
use crate::domain::text::small;
use crate::domain::trace::Trace;

/// The text for a stack or container that DockNap has never changed.
pub(super) const UNTOUCHED: &str = "DockNap has not touched it";
/// The text for a stack or container that an active run is changing.
pub(super) const AT_WORK: &str = "A run is at work on it";

/// The current time and the zone for instants in texts.
#[derive(Clone, Debug)]
pub(super) struct TextContext {
    pub now: Timestamp,
    pub zone: TimeZone,
}

/// The origin of a container's current state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// An active run is changing it.
    AtWork,
    /// DockNap never changed it.
    Untouched,
    /// It is a one-shot that has completed.
    Done,
    /// It still is as this run left it.
    Ours(Arc<LastTouch>),
    /// It is up, since this run put only a part of its target to sleep.
    StayedUp(Arc<LastTouch>),
    /// It is down, since this run started only a part of its target.
    StayedDown(Arc<LastTouch>),
    /// It ended by itself at this instant.
    ByItself(Timestamp),
    /// It ended with this exit code, which no stop causes; with the instant where that was after our last run.
    Ended(i64, Option<Timestamp>),
    /// Somebody else did this to it; with the instant where that was after our last run.
    Outside(&'static str, Option<Timestamp>),
}

impl Last {
    /// The origin of a container's state, where `touch` is the newest run that changed it or its stack. `ours` converts
    /// a time stamp of its Engine to our clock.
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
        // A state that a partly failed run left is not caused by others, unless it changed after the run.
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
            // Includes containers that were down before a stop skipped them.
            _ if !up && (nap.is_none() || !matches!(touch.action, Action::Stop | Action::Pause)) => down(),
            _ => Self::Ours(Arc::clone(touch)),
        }
    }

    /// A sentence without its full stop.
    pub(super) fn sentence(&self, text_context: &TextContext) -> String {
        match self {
            Self::AtWork => AT_WORK.to_owned(),
            Self::Untouched => UNTOUCHED.to_owned(),
            Self::Done => "It has done its work and ended".to_owned(),
            Self::Ours(touch) => text_context.run(touch),
            Self::StayedUp(touch) => format!("Stayed up when {}", small(&text_context.run(touch))),
            Self::StayedDown(touch) => format!("Did not come up when {}", small(&text_context.run(touch))),
            Self::ByItself(at) => {
                format!("Ended by itself, {}", clock_time(*at, text_context.now, &text_context.zone))
            }
            Self::Ended(code, None) => ended(*code),
            Self::Ended(code, Some(at)) => {
                format!("{}, {}", ended(*code), clock_time(*at, text_context.now, &text_context.zone))
            }
            Self::Outside(what, None) => outside(what),
            Self::Outside(what, Some(at)) => {
                format!("{}, {}", outside(what), clock_time(*at, text_context.now, &text_context.zone))
            }
        }
    }
}

/// The exit code of a killed process, after the stop grace or by a signal from others.
const KILLED: i64 = 137;

fn ended(code: i64) -> String {
    format!("Ended with exit code {code}")
}

pub(super) fn outside(what: &str) -> String {
    format!("{what} outside DockNap")
}

impl TextContext {
    /// "Stopped by schedule Office nights, 23:00 yesterday"
    pub(super) fn run(&self, touch: &LastTouch) -> String {
        let by = match &touch.schedule_name {
            Some(name) => format!("schedule {name}"),
            None => touch.actor.name.clone(),
        };
        format!("{} by {by}, {}", past(touch.action), clock_time(touch.finished_at, self.now, &self.zone))
    }
}

pub(super) fn never(reason: &str) -> String {
    format!("DockNap never touches it: {reason}")
}

pub(super) fn past(action: Action) -> &'static str {
    match action {
        Action::Start => "Started",
        Action::Stop => "Stopped",
        Action::Restart => "Restarted",
        Action::Pause => "Paused",
        Action::Unpause => "Unpaused",
    }
}

/// A recent instant in everyday words: `23:00 yesterday`, `07:30 today`, `23:00 Fri`, `23:00 on 2026-11-03`.
pub fn clock_time(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, today) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()).date());
    let time = at.strftime("%H:%M");
    let date = at.date();
    if date == today {
        format!("{time} today")
    } else if today.yesterday().is_ok_and(|yesterday| yesterday == date) {
        format!("{time} yesterday")
    } else if date < today && today.checked_sub(6.days()).is_ok_and(|week_ago| date >= week_ago) {
        format!("{time} {}", at.strftime("%a"))
    } else {
        format!("{time} on {date}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recent_instant_is_shown_in_everyday_words() {
        let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let now = at("2026-11-23T06:00:00Z");
        for (instant, expected) in [
            ("2026-11-22T23:30:00Z", "00:30 today"),
            ("2026-11-22T22:00:00Z", "23:00 yesterday"),
            ("2026-11-17T22:00:00Z", "23:00 Tue"),
            ("2026-11-16T22:00:00Z", "23:00 on 2026-11-16"),
            ("2026-11-23T23:30:00Z", "00:30 on 2026-11-24"),
        ] {
            assert_eq!(clock_time(at(instant), now, &berlin), expected);
        }
    }
}
