//! Targets of schedules and actions: a stack or a container, on one host. Holds their identities, their stored form and
//! their keys for URLs.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ids::HostId;
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
        /// Containers of one compose project.
        Stack,
        /// One container.
        Container,
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

/// Stack or container on one host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// Host of the stack or container.
    pub host: HostId,
    /// Stack or container on that host.
    pub subject: Subject,
}

/// Stack or container of a [`Target`], without the host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// Compose project with this exact name.
    Stack(String),
    /// Container with this identity.
    Container(ContainerIdentity),
}

impl Subject {
    pub fn target_type(&self) -> TargetType {
        match self {
            Self::Stack(_) => TargetType::Stack,
            Self::Container(_) => TargetType::Container,
        }
    }
}

impl Target {
    pub fn stack(host: HostId, name: impl Into<String>) -> Self {
        Self { host, subject: Subject::Stack(name.into()) }
    }

    pub fn container(host: HostId, identity: ContainerIdentity) -> Self {
        Self { host, subject: Subject::Container(identity) }
    }

    pub fn target_type(&self) -> TargetType {
        self.subject.target_type()
    }

    /// Whether two targets have a container in common: they are equal, or one is a stack and the other a container of
    /// it.
    pub fn shares_container(&self, other: &Self) -> bool {
        let holds = |stack: &Self, container: &Self| {
            stack.host == container.host
                && match (&stack.subject, &container.subject) {
                    (
                        Subject::Stack(name),
                        Subject::Container(ContainerIdentity::Service { project, .. }),
                    ) => name == project,
                    _ => false,
                }
        };
        self == other || holds(self, other) || holds(other, self)
    }

    /// Parses a target from its database columns; `None` if they hold values that DockNap never writes.
    pub fn from_columns(host: &str, target_type: &str, identity: &str) -> Option<Self> {
        let subject = match TargetType::parse(target_type)? {
            TargetType::Stack => Subject::Stack(identity.to_owned()),
            TargetType::Container => Subject::Container(ContainerIdentity::parse(identity)?),
        };
        Some(Self { host: HostId::from(host), subject })
    }

    /// Identity as stored: the name of the stack, or the text form of the container's identity.
    pub fn identity_text(&self) -> String {
        match &self.subject {
            Subject::Stack(name) => name.clone(),
            Subject::Container(identity) => identity.to_text(),
        }
    }

    /// Key in page URLs, element ids and event names; see [`key`].
    pub fn key(&self) -> String {
        match &self.subject {
            Subject::Stack(name) => key(&self.host, name),
            Subject::Container(identity) => key(&self.host, &identity.to_text()),
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
}
