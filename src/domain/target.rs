//! What a schedule or an action names: a stack or a container, on one host.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ids::HostId;
use super::text::hex;
use super::words::words;

/// Names longer than this are shown but cannot be scheduled, in bytes.
pub const MAX_NAME: usize = 255;

words! {
    /// The two kinds of target, by the word the API uses.
    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
    )]
    #[serde(rename_all = "lowercase")]
    pub enum TargetType {
        /// The containers of one compose project.
        Stack,
        /// One container.
        Container,
    }
}

/// What stays the same when a container is re-created. The Docker id is only a cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ContainerIdentity {
    /// Made by compose: found by its label triple.
    Service {
        /// `com.docker.compose.project`
        project: String,
        /// `com.docker.compose.service`
        service: String,
        /// `com.docker.compose.container-number`, 1 where it is missing
        number: u32,
    },
    /// Everything else: found by its exact name, without the leading slash.
    Name(String),
}

impl ContainerIdentity {
    /// One text for locks, rows and sorting: `service:PROJECT/SERVICE/NUMBER` or `name:NAME`, with `%` and `/` in the
    /// parts percent-encoded, so that hostile names cannot collide.
    pub fn to_text(&self) -> String {
        match self {
            Self::Service { project, service, number } => {
                format!("service:{}/{}/{number}", escape(project), escape(service))
            }
            Self::Name(name) => format!("name:{}", escape(name)),
        }
    }

    /// The reverse of [`ContainerIdentity::to_text`]; `None` for a text it never writes.
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

/// A stack or a container on one host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The Engine it lives on.
    pub host: HostId,
    /// Which one.
    pub subject: Subject,
}

/// The stack or the container of a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// A compose project by its exact name.
    Stack(String),
    /// A container by what survives its re-creation.
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
    /// A stack on a host.
    pub fn stack(host: HostId, name: impl Into<String>) -> Self {
        Self { host, subject: Subject::Stack(name.into()) }
    }

    /// A container on a host.
    pub fn container(host: HostId, identity: ContainerIdentity) -> Self {
        Self { host, subject: Subject::Container(identity) }
    }

    pub fn target_type(&self) -> TargetType {
        self.subject.target_type()
    }

    /// Whether two targets share a container: the same one, or a stack and one of its own.
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

    /// Rebuilds a target from its stored columns; `None` where they hold what DockNap never wrote.
    pub fn from_columns(host: &str, target_type: &str, identity: &str) -> Option<Self> {
        let subject = match TargetType::parse(target_type)? {
            TargetType::Stack => Subject::Stack(identity.to_owned()),
            TargetType::Container => Subject::Container(ContainerIdentity::parse(identity)?),
        };
        Some(Self { host: HostId::from(host), subject })
    }

    /// The identity as stored: the stack's name, or the container's identity text.
    pub fn identity_text(&self) -> String {
        match &self.subject {
            Subject::Stack(name) => name.clone(),
            Subject::Container(identity) => identity.to_text(),
        }
    }

    /// The name in page URLs, element ids and event names: see [`key`].
    pub fn key(&self) -> String {
        match &self.subject {
            Subject::Stack(name) => key(&self.host, name),
            Subject::Container(identity) => key(&self.host, &identity.to_text()),
        }
    }
}

/// First 16 hex digits of SHA-256(host, a zero byte, identity): safe anywhere, whatever the name holds
/// (rulings: hostile names).
pub fn key(host: &HostId, identity: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(host.as_str().as_bytes());
    digest.update([0]);
    digest.update(identity.as_bytes());
    hex(&digest.finalize()[..8])
}

/// Why a name cannot be scheduled, or `None` where it can: over [`MAX_NAME`] bytes, or with control characters.
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
