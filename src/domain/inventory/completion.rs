//! Detection of completed one-shot containers among those that have exited with 0, most of which somebody stopped. Used
//! for the status of a stack and for the plan of a start.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::SignedDuration;

use super::Container;
use crate::domain::trace::Traces;

/// Upper limit of the runtime at which an exited process counts as a one-shot although its end was not observed.
const SHORT_RUNTIME: SignedDuration = SignedDuration::from_mins(10);

/// Distinguishes completed one-shots from stopped containers among the members of one stack (rulings 46).
///
/// `no` is compose's default restart policy, and most programs exit with 0 on a stop, so the containers of a stopped
/// stack [`look completed`](Container::looks_completed) too. An observed end settles the question. Without one, a
/// member counts as completed if a service of its stack waits for its completion, or if its runtime was short and
/// another member is up or naps.
#[derive(Clone, Debug)]
pub struct Completion<'a> {
    any_up: bool,
    awaited: HashSet<&'a str>,
    traces: &'a Traces,
}

impl<'a> Completion<'a> {
    /// Reads each member once. `naps` says whether one of them naps.
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

    /// Whether a member is a completed one-shot.
    pub fn holds(&self, member: &Container) -> bool {
        member.looks_completed() && self.observed_own_end(member).unwrap_or_else(|| self.is_presumed(member))
    }

    /// Whether the process ended by itself; `None` if its end was not observed.
    fn observed_own_end(&self, member: &Container) -> Option<bool> {
        self.traces.get(&member.identity).and_then(|trace| trace.ended_by_itself(member))
    }

    pub(super) fn awaits(&self, member: &Container) -> bool {
        member.service().is_some_and(|service| self.awaited.contains(service))
    }

    fn is_presumed(&self, member: &Container) -> bool {
        let ran = member.started_at.zip(member.finished_at).map(|(from, to)| to.duration_since(from));
        self.awaits(member) || (self.any_up && ran.is_some_and(|ran| ran < SHORT_RUNTIME))
    }

    /// Whether a member counts as completed although its end was not observed. A person then decides about its start
    /// (rulings 73).
    pub fn is_guess(&self, member: &Container) -> bool {
        self.holds(member) && self.observed_own_end(member).is_none()
    }
}
