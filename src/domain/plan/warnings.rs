//! Warnings about the side effects of a plan, which a person should know before they confirm.

use std::sync::Arc;

use super::{Draft, PlanRequest};
use crate::domain::action::Action;
use crate::domain::inventory::{Container, ContainerState, Inventory, RestartPolicy, Tie};
use crate::domain::order::{self, added};
use crate::domain::target::Subject;

impl Draft {
    /// Warns about dependencies in other stacks that are off now, since the plan does not start them.
    pub(super) fn warn_about_other_stacks(
        &mut self,
        nodes: &[Arc<Container>],
        action: Action,
        inventory: &Inventory,
    ) {
        if action != Action::Start {
            return;
        }
        for edge in inventory.added.iter().filter(|edge| !edge.is_within_a_stack()) {
            let is_mine = nodes.iter().any(|node| added::names(&edge.dependant, node));
            let mut theirs = inventory.containers.iter().filter(|one| added::names(&edge.dependency, one));
            if is_mine && !theirs.any(|one| one.state.is_up()) {
                self.plan.warnings.push(format!(
                    "{} comes after {}, which is off: it is waited for only if it is being started too",
                    edge.dependant_name, edge.dependency_name
                ));
            }
        }
    }

    /// Adds warnings about side effects, which a person should know before they confirm.
    pub(super) fn warn(&mut self, request: PlanRequest<'_>, inventory: &Inventory) {
        let stepped: Vec<Arc<Container>> = self
            .plan
            .steps
            .iter()
            .filter_map(|step| inventory.by_identity(&step.identity).cloned())
            .collect();
        let is_stepped = |other: &Container| stepped.iter().any(|step| step.identity == other.identity);
        if request.action == Action::Stop {
            for container in &stepped {
                if container.restart_policy == RestartPolicy::Always {
                    self.plan.warnings.push(format!(
                        "{} has restart policy `always`: Docker brings it back when the daemon restarts",
                        container.name
                    ));
                }
                if container.auto_remove {
                    self.plan.warnings.push(format!(
                        "{} was made with --rm: Docker removes it once stopped",
                        container.name
                    ));
                }
                for (dependant, tie) in order::residents(container, inventory) {
                    if dependant.state.is_up() && !is_stepped(dependant) {
                        let what = match tie {
                            Tie::Pid => "ends with it",
                            _ => "loses it",
                        };
                        self.plan.warnings.push(format!(
                            "{} uses {}'s {} and {what}",
                            dependant.name,
                            container.name,
                            tie.noun()
                        ));
                    }
                }
            }
        }
        if let (Subject::Container(_), Some(container)) = (request.subject, stepped.first()) {
            self.warn_neighbours(request.action, container, inventory);
        }
    }

    /// Adds warnings about the dependants and dependencies of a single container in its stack.
    fn warn_neighbours(&mut self, action: Action, container: &Arc<Container>, inventory: &Inventory) {
        let Some(stack) = container.stack().and_then(|name| inventory.stack(name)) else { return };
        let (edges, _) = order::edges(&stack.containers, inventory);
        for edge in edges {
            let (dependant, dependency) =
                (&stack.containers[edge.dependant], &stack.containers[edge.dependency]);
            if action.reverses_order()
                && dependency.identity == container.identity
                && dependant.state == ContainerState::Running
                && dependant.lives_in(container).is_none()
            {
                self.plan.warnings.push(format!("{} depends on it and goes on running", dependant.name));
            }
            if action == Action::Start
                && dependant.identity == container.identity
                && dependency.state != ContainerState::Running
                && !inventory.is_completed(dependency)
            {
                self.plan.warnings.push(format!("it depends on {}, which is not running", dependency.name));
            }
        }
    }
}
