//! One lock per container, held from the moment a step is marked as issued until its result is checked (semantics §4).
//!
//! Docker continues a stop after its client disconnects, and answers 304 to a start during the stop grace although the
//! container still stops afterwards: two steps must never act on one container at the same time.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::ids::HostId;
use crate::domain::target::ContainerIdentity;

type Key = (HostId, ContainerIdentity);

/// The locked containers.
#[derive(Clone, Debug, Default)]
pub struct Locks(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<HashSet<Key>>,
    released: Notify,
}

/// The lock of one container; dropping it releases the lock.
#[derive(Debug)]
pub struct Lock {
    locks: Locks,
    key: Key,
}

impl Locks {
    /// Locks a container; `None` when it is locked already.
    pub fn take(&self, host: &HostId, identity: &ContainerIdentity) -> Option<Lock> {
        let key = (host.clone(), identity.clone());
        let free = self.0.held.lock().insert(key.clone());
        free.then(|| Lock { locks: self.clone(), key })
    }

    /// Completes when a lock is released. Enable the future before calling [`Self::take`], so that no release is
    /// missed.
    pub fn released(&self) -> tokio::sync::futures::Notified<'_> {
        self.0.released.notified()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.locks.0.held.lock().remove(&self.key);
        self.locks.0.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_held_once() {
        let locks = Locks::default();
        let (host, db) = (HostId::local(), ContainerIdentity::Name("db".to_owned()));
        let lock = locks.take(&host, &db).expect("free");
        assert!(locks.take(&host, &db).is_none());
        assert!(locks.take(&HostId::from("nas"), &db).is_some());
        drop(lock);
        assert!(locks.take(&host, &db).is_some());
    }
}
