//! The state of a stack or container as pages and API name it.

use serde::Serialize;

use crate::domain::inventory::{Container, ContainerState, Health, Stack, StackStatus};

/// The state of a container or stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShownState {
    /// Up, and healthy where there is a health check.
    Running,
    /// Stopped or paused by DockNap, and not changed by others since.
    Napping,
    /// Paused, but not by DockNap.
    Paused,
    /// Down, and not by DockNap.
    Stopped,
    /// Of a stack: some containers are up, some are not.
    Partial,
    /// Up; its health check has not passed yet.
    Starting,
    /// Up; its health check fails.
    Unhealthy,
    /// Docker restarts it again and again.
    RestartLooping,
    /// The host is not connected; other fields show the last known state.
    Unreachable,
    /// A one-shot that has completed.
    Completed,
}

impl ShownState {
    /// The label on a page.
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

/// The state of a stack. `ordinary` has the states of its ordinary containers.
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
