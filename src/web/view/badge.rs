//! The display of states: icon, colour and word always together.

use crate::app::docker_check::{Call, Outcome, Purpose};
use crate::domain::inventory::{Link, StackStatus};
use crate::domain::overrides::DesiredState;
use crate::domain::run::{RunState, StepState};
use crate::domain::window::Phase;

/// The display of a state, always with icon, colour and word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Badge {
    /// The value of `data-state`, by which the stylesheet chooses the colour.
    pub class: &'static str,
    /// The name of the icon in `icons.svg`.
    pub icon: &'static str,
    /// The word.
    pub word: &'static str,
}

impl Badge {
    const fn new(class: &'static str, icon: &'static str, word: &'static str) -> Self {
        Self { class, icon, word }
    }

    /// All containers that should run are running.
    pub const RUNNING: Self = Self::new("running", "play", "Running");
    /// Put to sleep by DockNap.
    pub const NAPPING: Self = Self::new("napping", "moon", "Napping");
    /// The window or override wants the target asleep.
    pub const ASLEEP: Self = Self::new("napping", "moon", "Asleep");
    /// The window or override wants the target awake.
    pub const AWAKE: Self = Self::new("running", "sunrise", "Awake");
    /// The override holds the target: no schedule acts on it.
    pub const HELD: Self = Self::new("held", "hourglass", "Held");
    /// No schedule or override wants a state of the target any more.
    pub const LEFT_ALONE: Self = Self::new("gone", "circle-slash", "Left alone");
    /// Paused by someone else than DockNap.
    pub const PAUSED: Self = Self::new("paused", "pause", "Paused");
    /// Stopped by someone else than DockNap.
    pub const STOPPED: Self = Self::new("stopped", "square", "Stopped");
    /// Only some of the containers are running.
    pub const PARTIAL: Self = Self::new("partial", "contrast", "Partial");
    /// Running, with a health check that has no result yet.
    pub const STARTING: Self = Self::new("starting", "sunrise", "Starting");
    /// Running, with a failing health check.
    pub const UNHEALTHY: Self = Self::new("unhealthy", "heart-crack", "Unhealthy");
    /// Docker restarts the container again and again.
    pub const LOOPING: Self = Self::new("restart-looping", "refresh-cw", "Restart-looping");
    /// The state differs from the one its schedule wants.
    pub const DRIFTED: Self = Self::new("drifted", "git-compare", "Drifted");
    /// The Docker host does not respond.
    pub const UNREACHABLE: Self = Self::new("unreachable", "unplug", "Unreachable");
    /// A one-shot container that has ended successfully.
    pub const COMPLETED: Self = Self::new("completed", "check", "Completed");

    /// The display of the connection to a host.
    pub fn of_link(link: &Link) -> Self {
        match link {
            Link::Connected { .. } => Self::new("succeeded", "circle-check", "Connected"),
            Link::Connecting => Self::new("pending", "hourglass", "Connecting"),
            Link::Unreachable { .. } => Self::UNREACHABLE,
            Link::Disabled => Self::new("gone", "circle-slash", "Disabled"),
        }
    }

    /// The display of the result of a Docker API call.
    pub fn of_call(call: &Call) -> Self {
        match (&call.outcome, call.purpose) {
            (Outcome::Through, _) => Self::new("succeeded", "circle-check", "Works"),
            (Outcome::NotTried, _) => Self::new("gone", "hourglass", "Not tried"),
            (Outcome::Refused(_), Purpose::Extra) => Self::new("missed", "circle-slash", "Does without"),
            (Outcome::Refused(_), _) => Self::new("failed", "circle-x", "Refused"),
        }
    }

    /// The display of the state of a run.
    pub const fn of_run(state: RunState) -> Self {
        match state {
            RunState::Pending => Self::new("pending", "hourglass", "Waiting"),
            RunState::Executing => Self::new("executing", "refresh-cw", "Running now"),
            RunState::Succeeded => Self::new("succeeded", "circle-check", "Succeeded"),
            RunState::Failed => Self::new("failed", "circle-x", "Failed"),
            RunState::Partial => Self::new("partial", "contrast", "Partly done"),
            RunState::Skipped => Self::new("skipped", "skip-forward", "Skipped"),
            RunState::Missed => Self::new("missed", "clock", "Missed"),
            RunState::Superseded => Self::new("superseded", "circle-slash", "Superseded"),
            RunState::Cancelled => Self::new("cancelled", "ban", "Cancelled"),
            RunState::Interrupted => Self::new("interrupted", "triangle-alert", "Interrupted"),
        }
    }
}

impl From<StackStatus> for Badge {
    fn from(status: StackStatus) -> Self {
        match status {
            StackStatus::Running => Self::RUNNING,
            StackStatus::Stopped => Self::STOPPED,
            StackStatus::Partial => Self::PARTIAL,
            StackStatus::Paused => Self::PAUSED,
            StackStatus::Unknown => Self::UNREACHABLE,
        }
    }
}

/// For templates, which pass a state by reference.
impl<T: Copy + Into<Self>> From<&T> for Badge {
    fn from(state: &T) -> Self {
        (*state).into()
    }
}

impl From<Phase> for Badge {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Asleep => Self::ASLEEP,
            Phase::Awake => Self::AWAKE,
        }
    }
}

impl From<DesiredState> for Badge {
    fn from(wanted: DesiredState) -> Self {
        match wanted {
            DesiredState::Awake => Self::AWAKE,
            DesiredState::Asleep => Self::ASLEEP,
            DesiredState::Hold => Self::HELD,
        }
    }
}

impl From<RunState> for Badge {
    fn from(state: RunState) -> Self {
        Self::of_run(state)
    }
}

impl From<StepState> for Badge {
    fn from(state: StepState) -> Self {
        let (icon, word) = match state {
            StepState::Pending => ("hourglass", "Waiting"),
            StepState::Issued => ("refresh-cw", "Under way"),
            StepState::Succeeded => ("circle-check", "Done"),
            StepState::Failed => ("circle-x", "Failed"),
            StepState::Skipped => ("skip-forward", "Skipped"),
            StepState::Interrupted => ("triangle-alert", "Interrupted"),
        };
        Self::new(state.as_str(), icon, word)
    }
}
