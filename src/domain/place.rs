//! A [`Place`] is the container, stack, host or group that a query about the desired state is about.

use super::ids::{GroupId, HostId};
use super::target::{ContainerIdentity, Subject, Target};

/// The subject of a query: a container with its stack, or a stack, a host or a group as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place<'a> {
    /// The host; empty for a group on all hosts.
    pub host: &'a HostId,
    /// The group as a whole; then there is neither a stack nor a container.
    pub group: Option<&'a GroupId>,
    /// The stack, or the stack of the container.
    pub stack: Option<&'a str>,
    /// The container; `None` for a stack as a whole.
    pub container: Option<&'a ContainerIdentity>,
}

impl<'a> Place<'a> {
    /// The place of a target.
    pub fn of_target(target: &'a Target) -> Self {
        let whole = Self { host: &target.host, group: None, stack: None, container: None };
        match &target.subject {
            Subject::Stack(name) => Self { stack: Some(name), ..whole },
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
}
