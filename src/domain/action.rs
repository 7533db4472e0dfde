//! The five things that can be asked of a container.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a schedule or a person asks for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Bring up what is off.
    Start,
    /// Shut down gracefully, within the container's own grace.
    Stop,
    /// Stop and start again; acts on running containers only.
    Restart,
    /// Freeze the processes.
    Pause,
    /// Let frozen processes go on.
    Unpause,
}

impl Action {
    /// Every action, in the order a form offers them.
    pub const ALL: [Self; 5] = [Self::Start, Self::Stop, Self::Restart, Self::Pause, Self::Unpause];

    /// The word used in the API, the database and the URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
        }
    }

    /// The word on a button.
    pub fn label(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Stop => "Stop",
            Self::Restart => "Restart",
            Self::Pause => "Pause",
            Self::Unpause => "Unpause",
        }
    }

    /// Whether the action leaves its target awake. `restart` sets no state: it acts on what runs already.
    pub fn wakes(self) -> bool {
        matches!(self, Self::Start | Self::Unpause)
    }

    /// Whether a later reader can tell from this action alone which state was wanted (semantics: missed runs).
    pub fn sets_state(self) -> bool {
        self != Self::Restart
    }

    /// Which of two schedules wins when both fire on one target in one minute; the smaller number wins.
    /// Order: start and unpause, restart, pause, stop (semantics: same minute, same target).
    pub fn clash_rank(self) -> u8 {
        match self {
            Self::Start | Self::Unpause => 0,
            Self::Restart => 1,
            Self::Pause => 2,
            Self::Stop => 3,
        }
    }

    /// Whether a container cannot be as both want it: up, stopped or paused.
    pub fn undoes(self, other: Self) -> bool {
        let leaves_up = |action: Self| !action.reverses_order();
        self != other && !(leaves_up(self) && leaves_up(other))
    }

    /// Whether steps go from the dependants down to what they depend on.
    pub fn reverses_order(self) -> bool {
        matches!(self, Self::Stop | Self::Pause)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an action; use start, stop, restart, pause or unpause")]
pub struct UnknownAction(pub String);

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == text)
            .ok_or_else(|| UnknownAction(text.to_owned()))
    }
}
