//! The five actions on a container, with their words and their effect on state and order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An action on a target.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Starts containers that are off.
    Start,
    /// Stops containers gracefully, within their own grace period.
    Stop,
    /// Stops and starts again; only running containers.
    Restart,
    /// Freezes the processes.
    Pause,
    /// Resumes frozen processes.
    Unpause,
}

impl Action {
    /// All actions, in the order of the forms.
    pub const ALL: [Self; 5] = [Self::Start, Self::Stop, Self::Restart, Self::Pause, Self::Unpause];

    /// Word in the API, the database and URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
        }
    }

    /// Label of a button.
    pub fn label(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Stop => "Stop",
            Self::Restart => "Restart",
            Self::Pause => "Pause",
            Self::Unpause => "Unpause",
        }
    }

    /// Whether the action leaves its target awake. False for `restart`, which sets no state: it acts only on running
    /// containers.
    pub fn wakes(self) -> bool {
        matches!(self, Self::Start | Self::Unpause)
    }

    /// Whether the action alone determines a desired state (semantics: missed runs).
    pub fn sets_state(self) -> bool {
        self != Self::Restart
    }

    /// Priority when two schedules fire on the same target in the same minute; the smaller number wins. Order: start
    /// and unpause, restart, pause, stop (semantics: same minute, same target).
    pub fn clash_rank(self) -> u8 {
        match self {
            Self::Start | Self::Unpause => 0,
            Self::Restart => 1,
            Self::Pause => 2,
            Self::Stop => 3,
        }
    }

    /// Whether the two actions have contradictory results: up, stopped or paused.
    pub fn undoes(self, other: Self) -> bool {
        let leaves_up = |action: Self| !action.reverses_order();
        self != other && !(leaves_up(self) && leaves_up(other))
    }

    /// Whether dependants are acted on before their dependencies.
    pub fn reverses_order(self) -> bool {
        matches!(self, Self::Stop | Self::Pause)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Error for a text that is not an action.
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
