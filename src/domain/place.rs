//! A [`Place`] is the container, stack, host or group that a query about the desired state is about.

use std::collections::BTreeSet;

use super::ids::{GroupId, HostId};
use super::target::{ContainerIdentity, Subject, Target};

/// The subject of a query: a container with its stack, some services of a stack, or a stack, a host or a group as a
/// whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place<'a> {
    /// The host; empty for a group on all hosts.
    pub host: &'a HostId,
    /// The group as a whole; then there is neither a stack nor a container.
    pub group: Option<&'a GroupId>,
    /// The stack, or the stack of the services or of the container.
    pub stack: Option<&'a str>,
    /// The services, if the place is a part of its stack.
    pub services: Option<&'a BTreeSet<String>>,
    /// The container; `None` for a stack as a whole.
    pub container: Option<&'a ContainerIdentity>,
}

impl<'a> Place<'a> {
    /// The place of a target.
    pub fn of_target(target: &'a Target) -> Self {
        let whole = Self { host: &target.host, group: None, stack: None, services: None, container: None };
        match &target.subject {
            Subject::Stack(name) => Self { stack: Some(name), ..whole },
            Subject::Services { stack, services } => {
                Self { stack: Some(stack), services: Some(services), ..whole }
            }
            Subject::Container(identity) => {
                let stack = match identity {
                    ContainerIdentity::Service { project, .. } => Some(project.as_str()),
                    ContainerIdentity::Name(_) => None,
                };
                Self { stack, container: Some(identity), ..whole }
            }
            Subject::Host => whole,
            Subject::Group(id) => Self { group: Some(id), ..whole },
        }
    }

    /// Whether the place lies within these services of its stack.
    pub fn lies_in_services(&self, of: &BTreeSet<String>) -> bool {
        match (self.container, self.services) {
            (Some(ContainerIdentity::Service { service, .. }), _) => of.contains(service),
            (Some(ContainerIdentity::Name(_)), _) => false,
            (None, services) => services.is_some_and(|services| services.is_subset(of)),
        }
    }
}
