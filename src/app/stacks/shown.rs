//! The word for how a stack or container is, and whether that is as a rule wants it.

use serde::Serialize;

use crate::domain::inventory::{Container, ContainerState, Health, Stack, StackStatus};

/// How a container or stack is, in the words of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShownState {
    /// Up, and healthy where that is checked.
    Running,
    /// Stopped or paused by DockNap, and not changed by others since.
    Napping,
    /// Frozen by somebody else.
    Paused,
    /// Down, and not by DockNap.
    Stopped,
    /// Some of a stack is up, some is not.
    Partial,
    /// Up, its health check has not passed yet.
    Starting,
    /// Up, its health check fails.
    Unhealthy,
    /// Docker brings it back again and again.
    RestartLooping,
    /// The host is not connected: what is shown is what was last seen.
    Unreachable,
    /// A one-shot that did its work.
    Completed,
}

impl ShownState {
    /// The word on a page.
    pub fn label(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Napping => "Napping",
            Self::Paused => "Paused",
            Self::Stopped => "Stopped",
            Self::Partial => "Partial",
            Self::Starting => "Starting",
            Self::Unhealthy => "Unhealthy",
            Self::RestartLooping => "Restart-looping",
            Self::Unreachable => "Unreachable",
            Self::Completed => "Completed",
        }
    }
}

pub(super) fn shown_of_container(
    container: &Container,
    connected: bool,
    napping: bool,
    completed: bool,
) -> ShownState {
    if !connected {
        return ShownState::Unreachable;
    }
    if napping {
        return ShownState::Napping;
    }
    match (container.state, container.health) {
        (ContainerState::Restarting, _) => ShownState::RestartLooping,
        (ContainerState::Paused, _) => ShownState::Paused,
        (ContainerState::Running, Health::Starting) => ShownState::Starting,
        (ContainerState::Running, Health::Unhealthy) => ShownState::Unhealthy,
        (ContainerState::Running, _) => ShownState::Running,
        _ if completed => ShownState::Completed,
        _ => ShownState::Stopped,
    }
}

/// `ordinary` is how each of its ordinary containers is.
pub(super) fn shown_of_stack(stack: &Stack, ordinary: &[ShownState], napping: bool) -> ShownState {
    let any = |wanted: ShownState| ordinary.contains(&wanted);
    match stack.status {
        StackStatus::Unknown => ShownState::Unreachable,
        _ if napping => ShownState::Napping,
        _ if any(ShownState::RestartLooping) => ShownState::RestartLooping,
        _ if any(ShownState::Unhealthy) => ShownState::Unhealthy,
        StackStatus::Stopped if stack.counts.total == 0 && any(ShownState::Completed) => {
            ShownState::Completed
        }
        StackStatus::Stopped => ShownState::Stopped,
        StackStatus::Paused => ShownState::Paused,
        StackStatus::Partial => ShownState::Partial,
        StackStatus::Running if any(ShownState::Starting) => ShownState::Starting,
        StackStatus::Running => ShownState::Running,
    }
}
