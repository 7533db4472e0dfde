//! Events of containers, and the ring buffer in which the Engine keeps the latest ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Key, Machine};

/// Number of events that the Engine keeps for requests with `since` (semantics §6).
const RING: usize = 256;

/// Event of a container.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) action: String,
    pub(crate) id: Arc<str>,
    /// Labels, image and name of the container, and the attributes of the action: `exitCode`, `signal`, `oldName`.
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
        // The clock has a resolution of milliseconds, but no two events of the real Engine have the same nanosecond.
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
        self.new_events.push(event);
    }

    /// Stored events, oldest first.
    pub(crate) fn ring(&self) -> impl Iterator<Item = &Event> {
        self.ring.iter()
    }

    /// Removes all stored events, as a start of the daemon does.
    pub(super) fn empty_ring(&mut self) {
        self.ring.clear();
    }

    /// Events since the previous call of this function.
    pub(crate) fn take_new_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.new_events)
    }
}
