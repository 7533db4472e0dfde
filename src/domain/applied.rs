//! State that windows and overrides last applied to a container, as opposed to its actual state (semantics §1).

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::target::ContainerIdentity;
use super::window::Phase;

/// Policy `enforce`: time until a change by others is reverted.
pub const GRACE: Duration = Duration::from_secs(5 * 60);
/// Policy `enforce`: upper limit of the put-backs during one sleep or one time awake.
pub const MOST_PUT_BACKS: i64 = 3;

/// Last applied state of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Applied state, or a state that was already present and accepted.
    pub state: Phase,
    pub at: Timestamp,
    /// Whether the run for it did not fail.
    pub settled: bool,
    /// Instant at which a change by somebody else is reverted (policy `enforce`).
    pub put_back_at: Option<Timestamp>,
    /// Number of put-backs since `at`.
    pub put_backs: i64,
    /// State before DockNap changed it to `state`: awake, or asleep for a napping container. `None` if the container
    /// was already in `state`, or somebody else had changed it.
    pub was: Option<Phase>,
    /// Whether the container returns to `was` when no rule applies any more (rulings 32).
    pub puts_back: bool,
}

impl Applied {
    /// State applied at `at`.
    pub fn now(state: Phase, at: Timestamp) -> Self {
        Self { state, at, settled: true, put_back_at: None, put_backs: 0, was: None, puts_back: false }
    }

    /// State applied temporarily, with `was` restored at the end. If the state `before` is temporary too, its `was` is
    /// kept; if the new state equals that `was`, nothing is left to restore.
    pub fn for_a_while(state: Phase, at: Timestamp, was: Option<Phase>, before: Option<&Self>) -> Self {
        let was = match before.filter(|before| before.puts_back).and_then(|before| before.was) {
            Some(was) => (was != state).then_some(was),
            None => was,
        };
        Self { was, puts_back: was.is_some(), ..Self::now(state, at) }
    }
}

/// Last applied states on one host, by container.
pub type AppliedStates = HashMap<ContainerIdentity, Applied>;
