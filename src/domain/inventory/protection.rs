//! What must never be touched, and why (semantics §6, rulings 13).
//!
//! DockNap would saw off its own branch by stopping itself, the container whose network it uses, the socket proxy it
//! reaches Docker through, or its database; and people mark what they hold dear by a label or a setting.

use std::collections::{BTreeMap, BTreeSet};

use super::{Container, Protection, SelfDetection, labels};
use crate::domain::lock::Locks;
use crate::domain::sorted;

const PROTECT: &str = "docknap.protect";
const PROTECT_STACK: &str = "docknap.stack.protect";

/// What settings and people say about protection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// `DOCKNAP_PROTECT`: exact names of stacks and containers.
    pub names: Vec<String>,
    /// Host part of `DOCKER_HOST`, where Docker is reached over a network.
    pub proxy: Option<String>,
    /// Host part of `DATABASE_URL`, where the database is reached over a network.
    pub database: Option<String>,
    /// What people locked.
    pub locks: Locks,
}

/// The protection that follows from all containers of an Engine together; asked for one at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shield {
    guard: Guard,
    itself: Option<String>,
    /// What follows `container:` in DockNap's network mode: an id or a name.
    parent: Option<String>,
    reach: Reach,
    /// Stacks of which a container says so by label.
    stacks: BTreeSet<String>,
}

/// Where a host name of the settings may lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Reach {
    /// To no container: DockNap runs outside Docker, where the names of containers mean nothing.
    #[default]
    Nowhere,
    /// To any: DockNap runs in a container that is not known.
    Anywhere,
    /// To containers on these networks, which are DockNap's own.
    Networks(BTreeSet<String>),
}

impl Shield {
    /// Looks at all containers of an Engine.
    pub fn new<'a>(
        guard: &Guard,
        itself: &SelfDetection,
        containers: &(impl Iterator<Item = &'a Container> + Clone),
    ) -> Self {
        let find = |reference: &str| {
            containers.clone().find(|container| container.id == reference || container.name == reference)
        };
        let me = match itself {
            SelfDetection::Container(id) => find(id),
            SelfDetection::OutsideDocker | SelfDetection::Unknown => None,
        };
        let parent = me.and_then(|me| me.network_mode.strip_prefix("container:")).map(ToOwned::to_owned);
        let networks = |container: &Container| sorted::set(container.networks.keys().cloned());
        let reach = match (itself, me) {
            (SelfDetection::OutsideDocker, _) => Reach::Nowhere,
            (SelfDetection::Unknown, _) | (SelfDetection::Container(_), None) => Reach::Anywhere,
            (SelfDetection::Container(_), Some(me)) => match &parent {
                Some(parent) => {
                    find(parent).map_or(Reach::Anywhere, |parent| Reach::Networks(networks(parent)))
                }
                None => Reach::Networks(networks(me)),
            },
        };
        let protected = containers.clone().filter(|container| says_so(&container.labels, PROTECT_STACK));
        let stacks = sorted::set(protected.filter_map(|container| container.stack().map(ToOwned::to_owned)));
        let itself = match itself {
            SelfDetection::Container(id) => Some(id.clone()),
            SelfDetection::OutsideDocker | SelfDetection::Unknown => None,
        };
        Self { guard: guard.clone(), itself, parent, reach, stacks }
    }

    /// Why a container may never be touched; the reason that weighs most.
    pub fn reason(&self, container: &Container) -> Option<Protection> {
        let named = |reference: &Option<String>| {
            reference.as_ref().is_some_and(|name| *name == container.id || *name == container.name)
        };
        if self.itself.as_ref() == Some(&container.id) {
            Some(Protection::Itself)
        } else if named(&self.parent) {
            Some(Protection::NetworkParent)
        } else if self.leads_to(self.guard.proxy.as_deref(), container) {
            Some(Protection::SocketProxy)
        } else if self.leads_to(self.guard.database.as_deref(), container) {
            Some(Protection::Database)
        } else if self
            .guard
            .names
            .iter()
            .any(|name| *name == container.name || container.stack() == Some(name))
        {
            Some(Protection::Setting)
        } else if says_so(&container.labels, PROTECT)
            || says_so(&container.labels, PROTECT_STACK)
            || container.stack().is_some_and(|stack| self.stacks.contains(stack))
        {
            Some(Protection::Label)
        } else {
            self.guard.locks.reason(container).map(|sentence| Protection::Lock(sentence.to_owned()))
        }
    }

    /// The same with other locks.
    #[must_use]
    pub fn with_locks(&self, locks: Locks) -> Self {
        Self { guard: Guard { locks, ..self.guard.clone() }, ..self.clone() }
    }

    /// Whether a host name of the settings is this container, by a name or address on a network DockNap is on.
    fn leads_to(&self, host: Option<&str>, container: &Container) -> bool {
        let Some(host) = host.filter(|host| !host.is_empty()) else { return false };
        let is_called = |name: &str| name.eq_ignore_ascii_case(host);
        let by_alias = |network: Option<&BTreeSet<String>>| {
            container.networks.iter().any(|(name, aliases)| {
                network.is_none_or(|networks| networks.contains(name))
                    && (is_called(&container.name) || aliases.iter().any(|alias| is_called(alias)))
            })
        };
        match &self.reach {
            Reach::Nowhere => false,
            Reach::Anywhere => is_called(&container.name) || by_alias(None),
            Reach::Networks(networks) => by_alias(Some(networks)),
        }
    }
}

/// Whether a label is there and does not say no.
fn says_so(labels: &BTreeMap<String, String>, label: &str) -> bool {
    labels.get(label).is_some_and(|value| !labels::is_false(value))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{container, in_stack, on_network};
    use super::*;

    fn shield(guard: &Guard, itself: &SelfDetection, containers: &[Container]) -> Shield {
        Shield::new(guard, itself, &containers.iter())
    }

    fn itself(container: &Container) -> SelfDetection {
        SelfDetection::Container(container.id.clone())
    }

    #[test]
    fn docknap_and_the_container_whose_network_it_uses() {
        let vpn = container("vpn");
        let mut me = container("docknap");
        me.network_mode = format!("container:{}", vpn.id);
        let other = container("other");
        let shield = shield(&Guard::default(), &itself(&me), &[vpn.clone(), me.clone(), other.clone()]);
        assert_eq!(shield.reason(&me), Some(Protection::Itself));
        assert_eq!(shield.reason(&vpn), Some(Protection::NetworkParent));
        assert_eq!(shield.reason(&other), None);
    }

    #[test]
    fn proxy_and_database_by_name_alias_or_address_on_a_shared_network() {
        let me = on_network(container("docknap"), "back", &["docknap"]);
        let proxy = on_network(in_stack("ops", "socket-proxy"), "back", &["socket-proxy", "172.20.0.2"]);
        let database = on_network(container("pg"), "back", &["pg", "DB"]);
        let namesake = on_network(container("db"), "elsewhere", &["db"]);
        let all = [me.clone(), proxy.clone(), database.clone(), namesake.clone()];
        for host in ["socket-proxy", "172.20.0.2", "ops-socket-proxy-1"] {
            let guard =
                Guard { proxy: Some(host.to_owned()), database: Some("db".to_owned()), ..Guard::default() };
            let shield = shield(&guard, &itself(&me), &all);
            assert_eq!(shield.reason(&proxy), Some(Protection::SocketProxy), "{host}");
            assert_eq!(shield.reason(&database), Some(Protection::Database));
            assert_eq!(shield.reason(&namesake), None, "another network");
        }
    }

    #[test]
    fn not_knowing_oneself_protects_more_and_being_outside_less() {
        let guard = Guard { database: Some("db".to_owned()), ..Guard::default() };
        let database = on_network(container("db"), "any", &[]);
        let all = [database.clone()];
        assert_eq!(
            shield(&guard, &SelfDetection::Unknown, &all).reason(&database),
            Some(Protection::Database)
        );
        assert_eq!(shield(&guard, &SelfDetection::OutsideDocker, &all).reason(&database), None);
    }

    #[test]
    fn labels_and_settings() {
        let mut marked = container("marked");
        marked.labels.insert(PROTECT.to_owned(), "true".to_owned());
        let mut spared = container("spared");
        spared.labels.insert(PROTECT.to_owned(), "False".to_owned());
        let mut head = in_stack("core", "dns");
        head.labels.insert(PROTECT_STACK.to_owned(), "1".to_owned());
        let member = in_stack("core", "web");
        let (named, stack) = (container("named"), in_stack("media", "web"));
        let guard =
            Guard { names: vec!["named".to_owned(), "media".to_owned(), String::new()], ..Guard::default() };
        let all =
            [marked.clone(), spared.clone(), head.clone(), member.clone(), named.clone(), stack.clone()];
        let shield = shield(&guard, &SelfDetection::OutsideDocker, &all);
        assert_eq!(shield.reason(&marked), Some(Protection::Label));
        assert_eq!(shield.reason(&spared), None);
        assert_eq!(shield.reason(&head), Some(Protection::Label));
        assert_eq!(shield.reason(&member), Some(Protection::Label), "the whole stack");
        assert_eq!(shield.reason(&named), Some(Protection::Setting));
        assert_eq!(shield.reason(&stack), Some(Protection::Setting));
    }
}
