//! The list of the Engines that DockNap manages, which changes while DockNap runs.

use std::sync::Arc;

use tokio::sync::watch;

use super::hosts::Host;
use crate::domain::ids::HostId;

/// All Engines, disabled ones included. The list changes while DockNap runs; clones share it.
#[derive(Clone, Debug)]
pub struct Hosts(watch::Sender<Vec<Arc<Host>>>);

impl Hosts {
    pub fn new(hosts: impl IntoIterator<Item = Arc<Host>>) -> Self {
        Self(watch::Sender::new(hosts.into_iter().collect()))
    }

    /// The Engine of this id.
    pub fn get(&self, id: &HostId) -> Option<Arc<Host>> {
        self.0.borrow().iter().find(|host| host.id() == id).cloned()
    }

    /// The Engine that is meant where none is named; `None` if there is no host at all.
    pub fn first(&self) -> Option<Arc<Host>> {
        self.0.borrow().first().cloned()
    }

    /// All Engines, in the order in which pages show them.
    pub fn all(&self) -> Vec<Arc<Host>> {
        self.0.borrow().clone()
    }

    /// Replaces the list.
    pub fn set(&self, hosts: Vec<Arc<Host>>) {
        self.0.send_replace(hosts);
    }

    /// Receives the list after each change.
    pub fn changes(&self) -> watch::Receiver<Vec<Arc<Host>>> {
        self.0.subscribe()
    }
}
