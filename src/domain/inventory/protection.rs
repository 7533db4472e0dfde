//! What must never be touched, and why (semantics §6, rulings 13).
//!
//! DockNap would saw off its own branch by stopping itself, a container whose network or processes it shares, the
//! socket proxy it reaches Docker through, or its database; and people mark what they hold dear by a label or a
//! setting.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::{Container, Protection, SelfDetection, labels};
use crate::domain::lock::Locks;

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
pub struct ProtectionRules {
    guard: Guard,
    /// Ids of the containers DockNap may run in: one where it knows.
    itself: BTreeSet<String>,
    /// What is said of them where there are several.
    unsure: String,
    /// The containers that these live in, by id, and how: their network is cut or their process ended where one of them
    /// stops, or they could not start again.
    parents: BTreeMap<String, String>,
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

impl ProtectionRules {
    /// Looks at all containers of an Engine.
    pub fn new<'a>(
        guard: &Guard,
        itself: &SelfDetection,
        containers: &(impl Iterator<Item = &'a Container> + Clone),
    ) -> Self {
        let find = |reference: &str| containers.clone().find(|container| container.is_called(reference));
        let ids = match itself {
            SelfDetection::Container(id) => BTreeSet::from([id.clone()]),
            SelfDetection::OneOf(ids) => ids.clone(),
            SelfDetection::OutsideDocker | SelfDetection::Unknown => BTreeSet::new(),
        };
        let me: Vec<&Container> =
            containers.clone().filter(|container| ids.contains(&container.id)).collect();
        let parents = parents(&me, find);
        let networks = |container: &Container| BTreeSet::from_iter(container.networks.keys().cloned());
        let reach = match (itself, me.as_slice()) {
            (SelfDetection::OutsideDocker, _) => Reach::Nowhere,
            (SelfDetection::Container(_), [me]) => match me.network_of() {
                Some(parent) => {
                    find(parent).map_or(Reach::Anywhere, |parent| Reach::Networks(networks(parent)))
                }
                None => Reach::Networks(networks(me)),
            },
            _ => Reach::Anywhere,
        };
        let unsure = if ids.len() > 1 { not_sure(&me) } else { String::new() };
        let protected = containers.clone().filter(|container| says_so(&container.labels, PROTECT_STACK));
        let stacks =
            BTreeSet::from_iter(protected.filter_map(|container| container.stack().map(ToOwned::to_owned)));
        Self { guard: guard.clone(), itself: ids, unsure, parents, reach, stacks }
    }

    /// Why a container may never be touched; the reason that weighs most.
    pub fn reason(&self, container: &Container) -> Option<Protection> {
        if self.itself.contains(&container.id) {
            Some(match self.unsure.as_str() {
                "" => Protection::Itself,
                unsure => Protection::MaybeItself(unsure.to_owned()),
            })
        } else if let Some(how) = self.parents.get(&container.id) {
            Some(Protection::Parent(how.clone()))
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
            self.guard
                .locks
                .reason(&container.identity, container.stack())
                .map(|sentence| Protection::Lock(sentence.to_owned()))
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

/// What some containers live in, and what that lives in, by id, with how.
fn parents<'a>(
    me: &[&'a Container],
    find: impl Fn(&str) -> Option<&'a Container>,
) -> BTreeMap<String, String> {
    let mut parents = BTreeMap::new();
    let mut children: Vec<&Container> = me.to_vec();
    while let Some(child) = children.pop() {
        for (tie, parent) in child.ties().filter(|(tie, _)| tie.breaks()) {
            let Some(parent) = find(parent) else { continue };
            if let Entry::Vacant(unknown) = parents.entry(parent.id.clone()) {
                let (name, noun) = (&child.name, tie.noun());
                unknown.insert(if me.iter().any(|one| one.id == child.id) {
                    format!("DockNap uses its {noun}")
                } else {
                    format!("{name} uses its {noun}, and DockNap needs {name}")
                });
                children.push(parent);
            }
        }
    }
    parents
}

/// What is said of containers of which one is DockNap.
fn not_sure(containers: &[&Container]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<&str> = containers.iter().map(|container| container.name.as_str()).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("it may be DockNap itself: not sure which of these I am: {}{more}", names.join(", "))
}

/// Whether a label is there and does not say no.
fn says_so(labels: &BTreeMap<String, String>, label: &str) -> bool {
    labels.get(label).is_some_and(|value| !labels::is_false(value))
}

#[cfg(test)]
mod tests {
    use super::super::Tie;
    use super::super::tests::{container, in_stack, on_network};
    use super::*;

    fn shield(guard: &Guard, itself: &SelfDetection, containers: &[Container]) -> ProtectionRules {
        ProtectionRules::new(guard, itself, &containers.iter())
    }

    fn itself(container: &Container) -> SelfDetection {
        SelfDetection::Container(container.id.clone())
    }

    fn uses(what: &str) -> Protection {
        Protection::Parent(format!("DockNap uses its {what}"))
    }

    #[test]
    fn docknap_and_the_container_whose_network_it_uses() {
        let vpn = container("vpn");
        let mut me = container("docknap");
        me.network_mode = format!("container:{}", vpn.id);
        let other = container("other");
        let shield = shield(&Guard::default(), &itself(&me), &[vpn.clone(), me.clone(), other.clone()]);
        assert_eq!(shield.reason(&me), Some(Protection::Itself));
        assert_eq!(shield.reason(&vpn), Some(uses("network")));
        assert_eq!(shield.reason(&other), None);
    }

    #[test]
    fn whatever_docknap_lives_in_and_what_that_lives_in() {
        let leaning = |name: &str, on: &[(Tie, &str)]| Container {
            leans_on: on.iter().map(|(tie, other)| (*tie, (*other).to_owned())).collect(),
            ..container(name)
        };
        let [host, machine, shared, data, db] = ["host", "machine", "shared", "data", "db"].map(container);
        let owner = leaning("owner", &[(Tie::Pid, &machine.id)]);
        let me = leaning(
            "docknap",
            &[
                (Tie::Pid, &owner.id),
                (Tie::Ipc, "shared"),
                (Tie::Volumes, "data"),
                (Tie::Link, "db"),
                (Tie::Pid, "nobody"),
            ],
        );
        let all = [host, machine, shared, data, db, owner, me.clone()];
        let shield = shield(&Guard::default(), &itself(&me), &all);
        let [host, machine, shared, data, db, owner, _] = &all;
        assert_eq!(shield.reason(owner), Some(uses("PID namespace")));
        let why = "owner uses its PID namespace, and DockNap needs owner";
        assert_eq!(shield.reason(machine), Some(Protection::Parent(why.to_owned())));
        assert_eq!(shield.reason(shared), Some(uses("IPC namespace")));
        // It goes on without these.
        for other in [host, data, db] {
            assert_eq!(shield.reason(other), None, "{}", other.name);
        }
        // Two that live in each other end the search.
        let (mut one, two) = (container("one"), leaning("two", &[(Tie::Pid, "one"), (Tie::Ipc, "two")]));
        one.leans_on = vec![(Tie::Ipc, "two".to_owned())];
        let shield = ProtectionRules::new(&Guard::default(), &itself(&one), &[&one, &two].into_iter());
        assert_eq!(
            (shield.reason(&one), shield.reason(&two)),
            (Some(Protection::Itself), Some(uses("IPC namespace")))
        );
    }

    #[test]
    fn all_that_docknap_may_be_and_whatever_their_network_hangs_on() {
        let gateway = container("gateway");
        let mut vpn = container("vpn");
        vpn.network_mode = "container:gateway".to_owned();
        let mut me = container("docknap");
        me.network_mode = format!("container:{}", vpn.id);
        let mut films = container("films");
        films.network_mode.clone_from(&me.network_mode);
        let all = [gateway.clone(), vpn.clone(), me.clone(), films.clone(), container("other")];
        let known = shield(&Guard::default(), &itself(&me), &all);
        let chained = Some(Protection::Parent("vpn uses its network, and DockNap needs vpn".to_owned()));
        assert_eq!(known.reason(&gateway), chained, "a chain");
        assert_eq!((known.reason(&vpn), known.reason(&films)), (Some(uses("network")), None));
        let ids = [&me, &vpn, &films].map(|one| one.id.clone());
        let unsure = shield(&Guard::default(), &SelfDetection::OneOf(ids.into()), &all);
        for one in [&vpn, &me, &films] {
            let said = unsure.reason(one).expect("it is protected");
            assert_eq!(
                said.reason(),
                "it may be DockNap itself: not sure which of these I am: docknap, films, vpn"
            );
        }
        assert_eq!(unsure.reason(&gateway), Some(uses("network")));
        assert_eq!(unsure.reason(&all[4]), None);
    }

    #[test]
    fn many_that_docknap_may_be_are_not_all_named() {
        let all: Vec<Container> = (0..7).map(|number| container(&format!("c{number}"))).collect();
        let ids = all.iter().map(|one| one.id.clone()).collect();
        let unsure = shield(&Guard::default(), &SelfDetection::OneOf(ids), &all);
        let said = unsure.reason(&all[6]).expect("it is protected");
        assert!(said.reason().ends_with(": c0, c1, c2, c3, c4 and 2 more"), "{}", said.reason());
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
