//! One-shots that did their work, told from what was stopped.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::SignedDuration;

use super::Container;
use crate::domain::trace::Traces;

/// A process that did its work within this, while nobody watched, is believed to be a one-shot.
const BRIEF: SignedDuration = SignedDuration::from_mins(10);

/// What tells one-shots that did their work from what was stopped, for the members of one stack (rulings 46).
///
/// `no` is compose's default policy, and most programs end with 0 when they are told to, so a stack that was stopped
/// [`looks completed`](Container::looks_completed). What was watched is known. Where nobody watched it is believed of
/// one that a service of its stack waits for to complete, or that ran but briefly while the stack is up without it.
#[derive(Clone, Debug)]
pub struct Completion<'a> {
    any_up: bool,
    awaited: HashSet<&'a str>,
    traces: &'a Traces,
}

impl<'a> Completion<'a> {
    /// Looks at each member once.
    pub(super) fn of(
        members: impl IntoIterator<Item = &'a Arc<Container>>,
        naps: bool,
        traces: &'a Traces,
    ) -> Self {
        let mut completion = Self { any_up: naps, awaited: HashSet::new(), traces };
        for member in members {
            completion.any_up |= member.is_ordinary() && member.state.is_up();
            completion.awaited.extend(member.awaits.iter().map(String::as_str));
        }
        completion
    }

    /// Whether a member did its work and ended.
    pub fn holds(&self, member: &Container) -> bool {
        member.looks_completed() && self.watched(member).unwrap_or_else(|| self.believed(member))
    }

    /// Whether it ended by itself, as somebody saw.
    fn watched(&self, member: &Container) -> Option<bool> {
        self.traces.get(&member.identity).and_then(|trace| trace.ended_by_itself(member))
    }

    pub(super) fn awaits(&self, member: &Container) -> bool {
        member.service().is_some_and(|service| self.awaited.contains(service))
    }

    fn believed(&self, member: &Container) -> bool {
        let ran = member.started_at.zip(member.finished_at).map(|(from, to)| to.duration_since(from));
        self.awaits(member) || (self.any_up && ran.is_some_and(|ran| ran < BRIEF))
    }

    /// Whether it is only believed to have done its work, since nobody watched: a person is asked (rulings 73).
    pub fn is_guess(&self, member: &Container) -> bool {
        self.holds(member) && self.watched(member).is_none()
    }
}
