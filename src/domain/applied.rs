//! What windows and overrides last made of a container, apart from how it is (semantics §1).

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::target::ContainerIdentity;
use super::window::Phase;

/// Policy `enforce`: how long what others did is left before it is put back.
pub const GRACE: Duration = Duration::from_secs(5 * 60);
/// Policy `enforce`: how often in one sleep, or one time awake.
pub const MOST_PUT_BACKS: i64 = 3;

/// What was last applied to one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What was applied, or found so and accepted.
    pub state: Phase,
    pub at: Timestamp,
    /// The run for it did not fail.
    pub settled: bool,
    /// When what somebody else did is put back (policy `enforce`).
    pub put_back_at: Option<Timestamp>,
    /// How often that was done since `at`.
    pub put_backs: i64,
    /// How it was before, by our own doing: awake, or asleep for what napped. `None` where it was as applied already,
    /// or somebody else made it so.
    pub was: Option<Phase>,
    /// It becomes as it was when nothing says any more what it should be (rulings 32).
    pub puts_back: bool,
}

impl Applied {
    /// Applied just now.
    pub fn now(state: Phase, at: Timestamp) -> Self {
        Self { state, at, settled: true, put_back_at: None, put_backs: 0, was: None, puts_back: false }
    }

    /// Applied just now, where it `was` otherwise before, and is to be so again at the end of what asked for it. What
    /// is asked for longer keeps what it is put back to; what takes back an earlier wish leaves nothing to put back.
    pub fn for_a_while(state: Phase, at: Timestamp, was: Option<Phase>, before: Option<&Self>) -> Self {
        let was = match before.filter(|before| before.puts_back).and_then(|before| before.was) {
            Some(was) => (was != state).then_some(was),
            None => was,
        };
        Self { was, puts_back: was.is_some(), ..Self::now(state, at) }
    }
}

/// What was last applied on one host, by container.
pub type AppliedStates = HashMap<ContainerIdentity, Applied>;
