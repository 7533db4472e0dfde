//! What a [`Host`] knows besides what its Engine answers: locks, order edges, traces and groups; and the
//! protection that follows.

use std::sync::Arc;

use super::hosts::Host;
use crate::domain::group::Memberships;
use crate::domain::inventory::{Container, Protection, SelfDetection};
use crate::domain::lock::Locks;
use crate::domain::order::added::AddedEdge;
use crate::domain::trace::Traces;

impl Host {
    /// Replaces the locks set by users. They apply at once, both to the inventory that is shown and to actions that
    /// are about to be sent to the Engine.
    pub fn set_locks(&self, locks: Locks) {
        self.guard.write().locks = locks.clone();
        {
            let mut state = self.state.write();
            state.protection_rules = state.protection_rules.with_locks(locks);
            let with_protection = state.inventory.containers.iter().map(|container| {
                let protection = state.protection_rules.reason(container);
                if protection == container.protection {
                    Arc::clone(container)
                } else {
                    Arc::new(Container { protection, ..(**container).clone() })
                }
            });
            state.inventory.containers = Arc::new(with_protection.collect());
        }
        self.generation.send_modify(|generation| *generation += 1);
        self.wake_watch.notify_one();
    }

    /// Replaces the traces: the last changes to containers that DockNap did not make.
    pub fn set_traces(&self, traces: Arc<Traces>) {
        self.state.write().inventory.traces = traces;
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Replaces the members of groups.
    pub fn set_groups(&self, groups: &Arc<Memberships>) {
        {
            let inventory = &mut self.state.write().inventory;
            if inventory.groups == *groups {
                return;
            }
            inventory.groups = Arc::clone(groups);
        }
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Replaces the order edges that users added.
    pub fn set_added(&self, edges: Vec<AddedEdge>) {
        self.state.write().inventory.added = Arc::new(edges);
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Sets `protection` of a freshly inspected container.
    pub(super) fn with_protection(&self, mut container: Container) -> Container {
        let state = self.state.read();
        container.protection = state.protection_rules.reason(&container);
        let known = matches!(state.inventory.itself, SelfDetection::Container(_));
        drop(state);
        // Before the first list is complete, DockNap's own container is not confirmed; hints have to suffice.
        if container.protection.is_none() && !known && self.hints.may_be(&container) {
            container.protection = Some(if self.hints.proves(&container) {
                Protection::Itself
            } else {
                Protection::MaybeItself(format!(
                    "it may be DockNap itself: not sure which of these I am: {} and what shares its network",
                    container.name
                ))
            });
        }
        container
    }
}
