//! The word for how a stack or container is, and whether that is as a rule wants it.

use serde::Serialize;

use super::{ContainerView, Last, StackView};
use crate::domain::inventory::{Container, ContainerState, Health, Stack, StackStatus};
use crate::domain::overrides::DesiredState;

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

impl StackView {
    /// Its containers that are not as a rule wants them, and what it wants: up in their sleep, or napping still when
    /// they should be awake. What is protected, left alone or being worked on is no drift.
    pub fn drifted(&self) -> Option<(DesiredState, Vec<&ContainerView>)> {
        let of = |wanted: DesiredState| -> Vec<&ContainerView> {
            self.containers.iter().filter(|view| view.drifted() == Some(wanted)).collect()
        };
        [DesiredState::Asleep, DesiredState::Awake]
            .into_iter()
            .map(|wanted| (wanted, of(wanted)))
            .find(|(_, of)| !of.is_empty())
    }
}

impl ContainerView {
    /// The exit code it failed with, where it is down for that.
    pub fn failure(&self) -> Option<i64> {
        self.container.failure().filter(|_| self.shown == ShownState::Stopped && self.container.is_ordinary())
    }

    /// Whether it is as a run of ours left it.
    pub fn is_as_left(&self) -> bool {
        matches!(self.last, Last::Ours(_))
    }

    /// What a rule wants of it, where it is not so.
    pub fn drifted(&self) -> Option<DesiredState> {
        let touchable = self.container.is_ordinary() && self.protected.is_none();
        let known = self.shown != ShownState::Unreachable && self.last != Last::AtWork;
        self.wanted.state.filter(|wanted| {
            touchable
                && known
                && match wanted {
                    DesiredState::Asleep => self.is_at_work(),
                    DesiredState::Awake => self.napping_since.is_some(),
                    DesiredState::Hold => false,
                }
        })
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

pub(super) fn shown_of_stack(stack: &Stack, containers: &[ContainerView], napping: bool) -> ShownState {
    let any = |wanted: ShownState| {
        containers.iter().any(|view| view.container.is_ordinary() && view.shown == wanted)
    };
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
