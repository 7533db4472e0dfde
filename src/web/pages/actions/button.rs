//! The buttons of targets and runs. Pages and list rows build them from the state of a stack, container or run.

use super::TargetAction;
use crate::domain::action::Action;
use crate::domain::inventory::{Container, ContainerState, Counts};
use crate::domain::run::Run;
use crate::domain::target::Target;
use crate::web::view;

/// A button that opens a confirmation, or that sends its form at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The action's word in the URL, by which pages select buttons. May be empty.
    pub action: &'static str,
    /// The text on the button.
    pub label: &'static str,
    pub icon: &'static str,
    /// The path of the confirmation, or the path to which the button's form is sent, without the base path.
    pub href: String,
    /// The object of the action. Screen readers read it after the label.
    pub of: String,
}

impl Act {
    /// A button for an action on the target that has this name.
    pub fn new(action: TargetAction, target: &Target, name: &str) -> Self {
        let href = format!("{}/{}", view::target_page(target), action.word());
        let button = Self::post(action.label(), action.icon(), href, view::shown_name(name));
        Self { action: action.word(), ..button }
    }

    /// A button that acts at once, without a confirmation.
    pub fn post(
        label: &'static str,
        icon: &'static str,
        href: impl Into<String>,
        of: impl Into<String>,
    ) -> Self {
        Self { action: "", label, icon, href: href.into(), of: of.into() }
    }

    /// Wake and Nap for a target. The pair says whether something of the target is up, and whether something is down.
    pub fn naps(target: &Target, name: &str, (up, down): (bool, bool)) -> Vec<Self> {
        let actions = [(down, TargetAction::Wake), (up, TargetAction::Nap)];
        let sensible = actions.into_iter().filter(|(makes_sense, _)| *makes_sense);
        sensible.map(|(_, action)| Self::new(action, target, name)).collect()
    }

    /// The button that locks a target or unlocks it.
    pub fn lock(target: &Target, name: &str, locked: bool) -> Self {
        Self::new(if locked { TargetAction::Unlock } else { TargetAction::Lock }, target, name)
    }

    /// The buttons that make sense for a stack with these counts, the most likely first.
    pub fn of_stack(counts: Counts, target: &Target, name: &str) -> Vec<Self> {
        let (running, paused) = (counts.running > 0, counts.paused > 0);
        let actions = [
            (counts.stopped > 0, Action::Start),
            (paused, Action::Unpause),
            (running || paused, Action::Stop),
            (running, Action::Restart),
            (running, Action::Pause),
        ];
        let sensible = actions.into_iter().filter(|(makes_sense, _)| *makes_sense);
        sensible.map(|(_, action)| Self::new(TargetAction::Do(action), target, name)).collect()
    }

    /// The buttons that make sense for a container in its present state.
    pub fn of_container(container: &Container) -> Vec<Self> {
        let actions: &[Action] = match container.state {
            _ if !container.is_ordinary() || container.protection.is_some() => &[],
            ContainerState::Running => &[Action::Stop, Action::Restart, Action::Pause],
            ContainerState::Restarting => &[Action::Stop],
            ContainerState::Paused => &[Action::Unpause, Action::Stop],
            ContainerState::Created | ContainerState::Exited => &[Action::Start],
            ContainerState::Removing | ContainerState::Dead => &[],
        };
        let new =
            |action: &Action| Self::new(TargetAction::Do(*action), &container.target(), &container.name);
        actions.iter().map(new).collect()
    }

    /// The button that retries the failed steps of a run.
    pub fn retry(run: &Run) -> Self {
        let button = Self::post("Retry what failed", "rotate-cw", format!("/runs/{}/retry", run.id), "");
        Self { action: "retry", ..button }
    }
}
