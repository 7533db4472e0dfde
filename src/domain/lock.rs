//! Locks: stacks and containers that a person has excluded from every action of DockNap.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::target::{ContainerIdentity, Subject, Target};
use super::time::{Instant, serialize_instant};

/// Longest reason, in characters.
pub const MAX_REASON: usize = 500;

/// One lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Lock {
    /// Locked stack or container.
    #[serde(skip)]
    pub target: Target,
    /// Display name at the time of locking.
    #[serde(skip)]
    pub target_name: String,
    /// Reason; may be empty.
    pub reason: String,
    /// Account of the author; `None` if there is none.
    #[serde(skip)]
    pub author_id: Option<String>,
    pub author: String,
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub created_at: Timestamp,
}

impl Lock {
    /// Text for the end of a sentence: "locked by olga: the migration runs".
    pub fn sentence(&self) -> String {
        match self.reason.as_str() {
            "" => format!("locked by {}", self.author),
            reason => format!("locked by {}: {reason}", self.author),
        }
    }
}

/// Locks of one host, by target, each as the text of [`Lock::sentence`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locks(BTreeMap<Subject, String>);

impl Locks {
    /// Builds the map; all `locks` must be of one host.
    pub fn of<'a>(locks: impl Iterator<Item = &'a Lock>) -> Self {
        Self(BTreeMap::from_iter(locks.map(|lock| (lock.target.subject.clone(), lock.sentence()))))
    }

    /// Text of the lock on the container itself, else of the lock on its stack; `None` if neither is locked.
    pub fn reason(&self, identity: &ContainerIdentity, stack: Option<&str>) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let alone = self.0.get(&Subject::Container(identity.clone()));
        let stack = || self.0.get(&Subject::Stack(stack?.to_owned()));
        alone.or_else(stack).map(String::as_str)
    }
}
