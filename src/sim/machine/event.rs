//! Events, and the ring in which the Engine keeps the last of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Key, Machine};

/// How many events the Engine keeps for those who ask with `since` (semantics §6).
const RING: usize = 256;

/// Something that happened to a container.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) action: String,
    pub(crate) id: Arc<str>,
    /// Labels, image and name of the container, and what the action brings: `exitCode`, `signal`, `oldName`.
    pub(crate) attributes: Arc<BTreeMap<String, String>>,
}

impl Event {
    pub(crate) fn name(&self) -> &str {
        self.attributes.get("name").map_or("", String::as_str)
    }

    pub(crate) fn image(&self) -> &str {
        self.attributes.get("image").map_or("", String::as_str)
    }
}

impl Machine {
    pub(super) fn emit(&mut self, key: Key, action: &str, more: &[(&str, String)]) {
        let Some(container) = self.containers.get(&key) else { return };
        let mut attributes = container.spec.labels.clone();
        attributes.insert("image".to_owned(), container.spec.image.clone());
        attributes.insert("name".to_owned(), container.spec.name.clone());
        attributes.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        // The clock gives milliseconds; no two events of the real Engine carry the same nanosecond.
        let after = self.ring.back().map(|last| last.at).filter(|&last| last >= self.now.wall);
        let at = match after {
            Some(last) if last.duration_since(self.now.wall) < SignedDuration::from_millis(1) => {
                last + SignedDuration::from_nanos(1)
            }
            _ => self.now.wall,
        };
        let event = Event {
            at,
            action: action.to_owned(),
            id: container.id.as_str().into(),
            attributes: Arc::new(attributes),
        };
        if self.ring.len() == RING {
            self.ring.pop_front();
        }
        self.ring.push_back(event.clone());
        self.fresh.push(event);
    }

    /// Events that are still kept, oldest first.
    pub(crate) fn ring(&self) -> impl Iterator<Item = &Event> {
        self.ring.iter()
    }

    /// Forgets all events: what a start of the daemon does.
    pub(super) fn empty_ring(&mut self) {
        self.ring.clear();
    }

    /// What happened since the last call of this.
    pub(crate) fn take_fresh(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.fresh)
    }
}
