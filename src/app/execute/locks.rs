//! One lock per container, held from the commitment to a step until its post-check (semantics §4).
//!
//! A stop goes on after its client hangs up, and a start during that grace answers 304 while the container still
//! ends stopped: two steps must never be at work on one container.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::ids::HostId;
use crate::domain::target::ContainerIdentity;

type Key = (HostId, ContainerIdentity);

/// Who is at work on which container.
#[derive(Clone, Debug, Default)]
pub struct Locks(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<HashSet<Key>>,
    released: Notify,
}

/// Holds one container; dropping it lets the next one in.
#[derive(Debug)]
pub struct Lock {
    locks: Locks,
    key: Key,
}

impl Locks {
    /// The lock of a container, where it is free.
    pub fn take(&self, host: &HostId, identity: &ContainerIdentity) -> Option<Lock> {
        let key = (host.clone(), identity.clone());
        let free = self.0.held.lock().insert(key.clone());
        free.then(|| Lock { locks: self.clone(), key })
    }

    /// Waits until some lock is let go. Enable the future before looking, so that nothing is missed.
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
