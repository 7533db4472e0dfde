//! A stack or container that somebody wants never touched.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::target::{ContainerIdentity, Subject, Target};
use super::time::{Instant, serialize_instant};

/// The longest reason, in characters.
pub const MAX_REASON: usize = 500;

/// One lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Lock {
    #[serde(skip)]
    pub target: Target,
    // When it was locked.
    #[serde(skip)]
    pub target_name: String,
    // May be empty.
    pub reason: String,
    // The account that locked it.
    #[serde(skip)]
    pub author_id: Option<String>,
    pub author: String,
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub created_at: Timestamp,
}

impl Lock {
    /// In a sentence's end: "locked by olga: the migration runs".
    pub fn sentence(&self) -> String {
        match self.reason.as_str() {
            "" => format!("locked by {}", self.author),
            reason => format!("locked by {}: {reason}", self.author),
        }
    }
}

/// The locks of one host: what is locked, with the sentence that says why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locks(BTreeMap<Subject, String>);

impl Locks {
    /// Of these, which are all of one host.
    pub fn of<'a>(locks: impl Iterator<Item = &'a Lock>) -> Self {
        Self(BTreeMap::from_iter(locks.map(|lock| (lock.target.subject.clone(), lock.sentence()))))
    }

    /// Why a container is locked: by itself, else with its stack.
    pub fn reason(&self, identity: &ContainerIdentity, stack: Option<&str>) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let alone = self.0.get(&Subject::Container(identity.clone()));
        let stack = || self.0.get(&Subject::Stack(stack?.to_owned()));
        alone.or_else(stack).map(String::as_str)
    }
}
