//! The ordered list of steps a request would take, in waves, with what is skipped and why. A value, not an action.

use serde::Serialize;

use super::action::Action;
use super::run::WaitFor;
use super::target::ContainerIdentity;

/// What would happen, step by step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order they would be issued.
    pub steps: Vec<PlannedStep>,
    /// What is left alone, sorted by name.
    pub skipped: Vec<SkippedStep>,
    /// What the person should know before saying yes; whole sentences.
    pub warnings: Vec<String>,
}

/// One container operation to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// From 1; steps of a wave go together.
    pub wave: u32,
    /// The container's name now.
    pub container: String,
    /// What survives its re-creation.
    pub identity: ContainerIdentity,
    /// What is done to it.
    pub action: Action,
    /// What must be so before it begins.
    pub wait_for: Vec<WaitFor>,
    /// Why it is there, where that is not plain: "because it shares vpn's network".
    pub because: Option<String>,
}

/// One container that is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SkippedStep {
    /// Its name.
    pub container: String,
    /// What survives its re-creation.
    #[serde(skip)]
    pub identity: ContainerIdentity,
    /// Why, in words: "already stopped", "protected: it is DockNap itself".
    pub reason: String,
}
