//! Targets of schedules and actions: a container, a stack, a host or a group. Holds their identities, their stored form
//! and their keys for URLs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ids::{GroupId, HostId};
use super::text::hex;
use super::words::words;

/// Longest name that can be scheduled, in bytes. Longer names are only shown.
pub const MAX_NAME: usize = 255;

words! {
    /// The kind of a target.
    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
    )]
    #[serde(rename_all = "lowercase")]
    pub enum TargetType {
        /// Containers of one compose project, or of some of its services.
        Stack,
        /// One container.
        Container,
        /// Everything on one host.
        Host,
        /// The members of a group.
        Group,
    }
}

impl TargetType {
    /// As [`TargetType::parse`], for `stack` and `container` only.
    pub fn parse_narrow(word: &str) -> Option<Self> {
        Self::parse(word).filter(|kind| matches!(kind, Self::Stack | Self::Container))
    }
}

/// Identity of a container that survives its re-creation. The Docker id is only a cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ContainerIdentity {
    /// Container created by compose, identified by its label triple.
    Service {
        /// `com.docker.compose.project`
        project: String,
        /// `com.docker.compose.service`
        service: String,
        /// `com.docker.compose.container-number`, 1 where it is missing
        number: u32,
    },
    /// Any other container, identified by its exact name without the leading slash.
    Name(String),
}

impl ContainerIdentity {
    /// Text form for locks, database rows and sorting: `service:PROJECT/SERVICE/NUMBER` or `name:NAME`, with `%` and
    /// `/` in the parts percent-encoded, so that hostile names cannot collide.
    pub fn to_text(&self) -> String {
        match self {
            Self::Service { project, service, number } => {
                format!("service:{}/{}/{number}", escape(project), escape(service))
            }
            Self::Name(name) => format!("name:{}", escape(name)),
        }
    }

    /// What the text form of every container of a stack begins with, and that of no other container.
    pub fn prefix_of_stack(project: &str) -> String {
        format!("service:{}/", escape(project))
    }

    /// The reverse of [`ContainerIdentity::to_text`]; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("service:") {
            let mut parts = rest.split('/');
            let (project, service, number) = (parts.next()?, parts.next()?, parts.next()?);
            if parts.next().is_some() {
                return None;
            }
            return Some(Self::Service {
                project: unescape(project),
                service: unescape(service),
                number: number.parse().ok()?,
            });
        }
        text.strip_prefix("name:").map(|name| Self::Name(unescape(name)))
    }
}

fn escape(part: &str) -> String {
    part.replace('%', "%25").replace('/', "%2F")
}

fn unescape(part: &str) -> String {
    part.replace("%2F", "/").replace("%25", "%")
}

/// Container, stack, services of a stack or everything on one host; or a group, which may reach across hosts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// Host of the stack or container. Of a group it is empty, which means all hosts; the target of a run is the part
    /// of a group on the host that is named here.
    pub host: HostId,
    /// What is meant on that host.
    pub subject: Subject,
}

/// A [`Target`] without its host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// Compose project with this exact name.
    Stack(String),
    /// Some services of a compose project.
    Services {
        stack: String,
        /// At least one name, none with a line break.
        services: BTreeSet<String>,
    },
    /// Container with this identity.
    Container(ContainerIdentity),
    /// Everything on the host.
    Host,
    /// Members of this group.
    Group(GroupId),
}

impl Subject {
    pub fn target_type(&self) -> TargetType {
        match self {
            Self::Stack(_) | Self::Services { .. } => TargetType::Stack,
            Self::Container(_) => TargetType::Container,
            Self::Host => TargetType::Host,
            Self::Group(_) => TargetType::Group,
        }
    }

    /// The stack, or the stack of the services.
    pub fn stack(&self) -> Option<&str> {
        match self {
            Self::Stack(name) | Self::Services { stack: name, .. } => Some(name),
            Self::Container(_) | Self::Host | Self::Group(_) => None,
        }
    }

    /// The services, if the subject is only a part of its stack.
    pub fn services(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Services { services, .. } => Some(services),
            _ => None,
        }
    }
}

impl Target {
    pub fn stack(host: HostId, name: impl Into<String>) -> Self {
        Self { host, subject: Subject::Stack(name.into()) }
    }

    /// Services of a stack; all of it if there are none.
    pub fn services(host: HostId, stack: impl Into<String>, services: BTreeSet<String>) -> Self {
        let stack = stack.into();
        let subject =
            if services.is_empty() { Subject::Stack(stack) } else { Subject::Services { stack, services } };
        Self { host, subject }
    }

    pub fn container(host: HostId, identity: ContainerIdentity) -> Self {
        Self { host, subject: Subject::Container(identity) }
    }

    /// Everything on a host.
    pub fn host(host: HostId) -> Self {
        Self { host, subject: Subject::Host }
    }

    /// The members of a group on all hosts.
    pub fn group(id: GroupId) -> Self {
        Self { host: HostId::from(""), subject: Subject::Group(id) }
    }

    pub fn target_type(&self) -> TargetType {
        self.subject.target_type()
    }

    /// The host; `None` for a group on all hosts.
    pub fn on_host(&self) -> Option<&HostId> {
        Some(&self.host).filter(|host| !host.as_str().is_empty())
    }

    /// Whether the target is a host or a group, which have stacks and containers with rules of their own.
    pub fn is_wide(&self) -> bool {
        matches!(self.subject, Subject::Host | Subject::Group(_))
    }

    /// How narrow the target is: 1 = group, 2 = host, 3 = stack, 4 = services of a stack, 5 = container.
    pub fn narrowness(&self) -> u8 {
        match self.subject {
            Subject::Group(_) => 1,
            Subject::Host => 2,
            Subject::Stack(_) => 3,
            Subject::Services { .. } => 4,
            Subject::Container(_) => 5,
        }
    }

    /// Parses a target from its database columns; `None` if they hold values that DockNap never writes.
    pub fn from_columns(host: &str, target_type: &str, identity: &str) -> Option<Self> {
        let subject = match TargetType::parse(target_type)? {
            TargetType::Stack => {
                let mut lines = identity.split('\n').map(str::to_owned);
                let stack = lines.next()?;
                return Some(Self::services(HostId::from(host), stack, lines.collect()));
            }
            TargetType::Container => Subject::Container(ContainerIdentity::parse(identity)?),
            TargetType::Host => Subject::Host,
            TargetType::Group => Subject::Group(GroupId::from(identity)),
        };
        Some(Self { host: HostId::from(host), subject })
    }

    /// Identity as stored: the name of the stack, followed by its services, each after a line break; the text form of the
    /// container's identity; the id of the group; empty for a host.
    pub fn identity_text(&self) -> String {
        match &self.subject {
            Subject::Stack(name) => name.clone(),
            Subject::Services { stack, services } => {
                std::iter::once(stack).chain(services).map(String::as_str).collect::<Vec<_>>().join("\n")
            }
            Subject::Container(identity) => identity.to_text(),
            Subject::Host => String::new(),
            Subject::Group(id) => id.as_str().to_owned(),
        }
    }

    /// Key in page URLs, element ids and event names; see [`key`]. Services have the key of their stack.
    pub fn key(&self) -> String {
        match &self.subject {
            Subject::Stack(name) | Subject::Services { stack: name, .. } => key(&self.host, name),
            Subject::Container(identity) => key(&self.host, &identity.to_text()),
            // No stack and no container has such an identity: a project name holds no colon.
            Subject::Host => key(&self.host, "host:"),
            Subject::Group(id) => key(&self.host, &format!("group:{id}")),
        }
    }

    /// As [`Target::key`], but another one for services than for their stack, for lists that hold both.
    pub fn own_key(&self) -> String {
        match &self.subject {
            Subject::Services { .. } => key(&self.host, &self.identity_text()),
            _ => self.key(),
        }
    }
}

/// First 16 hex digits of SHA-256(host, a zero byte, identity): valid in any context, whatever the name holds (rulings:
/// hostile names).
pub fn key(host: &HostId, identity: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(host.as_str().as_bytes());
    digest.update([0]);
    digest.update(identity.as_bytes());
    hex(&digest.finalize()[..8])
}

/// Reason for which a name cannot be scheduled: empty, longer than [`MAX_NAME`] bytes, or with control characters.
/// `None` if it can be scheduled.
pub fn unschedulable_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("the name is empty")
    } else if name.len() > MAX_NAME {
        Some("the name is longer than 255 bytes")
    } else if name.chars().any(char::is_control) {
        Some("the name holds control characters")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn identity_text_is_reversible(project in ".*", service in ".*", number: u32, name in ".*") {
            let service = ContainerIdentity::Service { project, service, number };
            prop_assert_eq!(ContainerIdentity::parse(&service.to_text()), Some(service));
            let name = ContainerIdentity::Name(name);
            prop_assert_eq!(ContainerIdentity::parse(&name.to_text()), Some(name));
        }
    }

    #[test]
    fn key_is_sixteen_hex_digits_and_depends_on_the_host() {
        let here = key(&HostId::local(), "media");
        assert_eq!(here.len(), 16);
        assert!(here.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(here, key(&HostId::from("nas"), "media"));
    }

    #[test]
    fn services_share_the_page_of_their_stack_and_have_a_key_of_their_own() {
        let stack = Target::stack(HostId::local(), "media");
        let services = |names: &[&str]| {
            Target::services(HostId::local(), "media", names.iter().map(|&name| name.into()).collect())
        };
        let (web, both) = (services(&["web"]), services(&["web", "worker"]));
        assert_eq!((web.key(), both.key()), (stack.key(), stack.key()));
        assert_eq!(stack.own_key(), stack.key());
        assert_ne!(web.own_key(), stack.key());
        assert_ne!(web.own_key(), both.own_key());
    }
}
