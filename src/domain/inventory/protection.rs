//! Containers on which DockNap must never act, and the reasons (semantics §6, rulings 13).
//!
//! DockNap would cut itself off by stopping its own container, a container whose network or processes it shares, the
//! socket proxy through which it reaches Docker, or its database. People protect further containers by a label, a
//! setting or a lock.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::{Container, Protection, SelfDetection, labels};
use crate::domain::lock::Locks;

const PROTECT: &str = "docknap.protect";
const PROTECT_STACK: &str = "docknap.stack.protect";
const ENABLE: &str = "docknap.enable";
const ENABLE_STACK: &str = "docknap.stack.enable";

/// Protection from settings and locks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// `DOCKNAP_PROTECT`: exact names of stacks and containers.
    pub names: Vec<String>,
    /// Host part of `DOCKER_HOST`, if Docker is reached over a network.
    pub proxy: Option<String>,
    /// Host part of `DATABASE_URL`, if the database is reached over a network.
    pub database: Option<String>,
    /// Locks that people set.
    pub locks: Locks,
}

/// Protection rules derived from all containers of an Engine together; [`ProtectionRules::reason`] applies them to one
/// container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProtectionRules {
    guard: Guard,
    /// Docker ids of the containers in which DockNap may run: one id if its container is known.
    itself: BTreeSet<String>,
    /// Protection reason of the containers in `itself` if there are several.
    unsure: String,
    /// Docker ids of the containers whose namespaces the containers in `itself` use, with the reason: a stop of one of
    /// them cuts DockNap's network, ends its process or prevents its next start.
    parents: BTreeMap<String, String>,
    reach: Reach,
    /// Stacks in which a container has the label that protects the whole stack.
    stacks: BTreeSet<String>,
    /// Stacks in which a container has the label that leaves the whole stack out.
    left_out: BTreeSet<String>,
}

/// Containers to which a host name in the settings may resolve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Reach {
    /// No container: DockNap runs outside Docker, where container names do not resolve.
    #[default]
    Nowhere,
    /// Any container: DockNap runs in an unknown container.
    Anywhere,
    /// Containers on these networks, which are those of DockNap's own container.
    Networks(BTreeSet<String>),
}

impl ProtectionRules {
    /// Derives the rules from all containers of an Engine.
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
        let unsure = if ids.len() > 1 { unsure_reason(&me) } else { String::new() };
        let protected = containers.clone().filter(|container| is_set(&container.labels, PROTECT_STACK));
        let stacks =
            BTreeSet::from_iter(protected.filter_map(|container| container.stack().map(ToOwned::to_owned)));
        let out = containers.clone().filter(|container| is_unset(&container.labels, ENABLE_STACK));
        let left_out =
            BTreeSet::from_iter(out.filter_map(|container| container.stack().map(ToOwned::to_owned)));
        Self { guard: guard.clone(), itself: ids, unsure, parents, reach, stacks, left_out }
    }

    /// Reason for which DockNap must never act on a container; the strongest one if several apply.
    pub fn reason(&self, container: &Container) -> Option<Protection> {
        if self.itself.contains(&container.id) {
            Some(match self.unsure.as_str() {
                "" => Protection::Itself,
                unsure => Protection::MaybeItself(unsure.to_owned()),
            })
        } else if let Some(how) = self.parents.get(&container.id) {
            Some(Protection::Parent(how.clone()))
        } else if self.may_resolve_to(self.guard.proxy.as_deref(), container) {
            Some(Protection::SocketProxy)
        } else if self.may_resolve_to(self.guard.database.as_deref(), container) {
            Some(Protection::Database)
        } else if self
            .guard
            .names
            .iter()
            .any(|name| *name == container.name || container.stack() == Some(name))
        {
            Some(Protection::Setting)
        } else if is_set(&container.labels, PROTECT)
            || is_set(&container.labels, PROTECT_STACK)
            || container.stack().is_some_and(|stack| self.stacks.contains(stack))
        {
            Some(Protection::Label)
        } else if is_unset(&container.labels, ENABLE)
            || is_unset(&container.labels, ENABLE_STACK)
            || container.stack().is_some_and(|stack| self.left_out.contains(stack))
        {
            Some(Protection::LeftOut)
        } else {
            self.guard
                .locks
                .reason(&container.identity, container.stack())
                .map(|sentence| Protection::Lock(sentence.to_owned()))
        }
    }

    /// The same rules with other locks.
    #[must_use]
    pub fn with_locks(&self, locks: Locks) -> Self {
        Self { guard: Guard { locks, ..self.guard.clone() }, ..self.clone() }
    }

    /// Whether a host name in the settings may resolve to this container, by a name or address on one of DockNap's
    /// networks.
    fn may_resolve_to(&self, host: Option<&str>, container: &Container) -> bool {
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

/// Containers whose namespaces `me` use, and those whose namespaces these use in turn, by Docker id with the reason.
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

/// Protection reason of several containers of which one is DockNap's own.
fn unsure_reason(containers: &[&Container]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<&str> = containers.iter().map(|container| container.name.as_str()).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("it may be DockNap itself: not sure which of these I am: {}{more}", names.join(", "))
}

/// Whether a label is present and not false.
fn is_set(labels: &BTreeMap<String, String>, label: &str) -> bool {
    labels.get(label).is_some_and(|value| !labels::is_false(value))
}

/// Whether a label is present and false.
fn is_unset(labels: &BTreeMap<String, String>, label: &str) -> bool {
    labels.get(label).is_some_and(|value| labels::is_false(value))
}

#[cfg(test)]
mod tests {
    use super::super::Tie;
    use super::super::tests::{container, in_stack, on_network};
    use super::*;

    fn rules(guard: &Guard, itself: &SelfDetection, containers: &[Container]) -> ProtectionRules {
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
        let rules = rules(&Guard::default(), &itself(&me), &[vpn.clone(), me.clone(), other.clone()]);
        assert_eq!(rules.reason(&me), Some(Protection::Itself));
        assert_eq!(rules.reason(&vpn), Some(uses("network")));
        assert_eq!(rules.reason(&other), None);
    }

    #[test]
    fn containers_whose_namespaces_docknap_uses_directly_or_indirectly() {
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
        let rules = rules(&Guard::default(), &itself(&me), &all);
        let [host, machine, shared, data, db, owner, _] = &all;
        assert_eq!(rules.reason(owner), Some(uses("PID namespace")));
        let why = "owner uses its PID namespace, and DockNap needs owner";
        assert_eq!(rules.reason(machine), Some(Protection::Parent(why.to_owned())));
        assert_eq!(rules.reason(shared), Some(uses("IPC namespace")));
        // DockNap keeps running without these containers.
        for other in [host, data, db] {
            assert_eq!(rules.reason(other), None, "{}", other.name);
        }
        // A cycle of shared namespaces ends the search.
        let (mut one, two) = (container("one"), leaning("two", &[(Tie::Pid, "one"), (Tie::Ipc, "two")]));
        one.leans_on = vec![(Tie::Ipc, "two".to_owned())];
        let rules = ProtectionRules::new(&Guard::default(), &itself(&one), &[&one, &two].into_iter());
        assert_eq!(
            (rules.reason(&one), rules.reason(&two)),
            (Some(Protection::Itself), Some(uses("IPC namespace")))
        );
    }

    #[test]
    fn all_candidates_for_docknap_and_the_owners_of_their_network() {
        let gateway = container("gateway");
        let mut vpn = container("vpn");
        vpn.network_mode = "container:gateway".to_owned();
        let mut me = container("docknap");
        me.network_mode = format!("container:{}", vpn.id);
        let mut films = container("films");
        films.network_mode.clone_from(&me.network_mode);
        let all = [gateway.clone(), vpn.clone(), me.clone(), films.clone(), container("other")];
        let known = rules(&Guard::default(), &itself(&me), &all);
        let chained = Some(Protection::Parent("vpn uses its network, and DockNap needs vpn".to_owned()));
        assert_eq!(known.reason(&gateway), chained, "a chain");
        assert_eq!((known.reason(&vpn), known.reason(&films)), (Some(uses("network")), None));
        let ids = [&me, &vpn, &films].map(|one| one.id.clone());
        let unsure = rules(&Guard::default(), &SelfDetection::OneOf(ids.into()), &all);
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
    fn a_long_list_of_candidates_is_shortened() {
        let all: Vec<Container> = (0..7).map(|number| container(&format!("c{number}"))).collect();
        let ids = all.iter().map(|one| one.id.clone()).collect();
        let unsure = rules(&Guard::default(), &SelfDetection::OneOf(ids), &all);
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
            let rules = rules(&guard, &itself(&me), &all);
            assert_eq!(rules.reason(&proxy), Some(Protection::SocketProxy), "{host}");
            assert_eq!(rules.reason(&database), Some(Protection::Database));
            assert_eq!(rules.reason(&namesake), None, "another network");
        }
    }

    #[test]
    fn an_unknown_own_container_protects_more_and_running_outside_docker_less() {
        let guard = Guard { database: Some("db".to_owned()), ..Guard::default() };
        let database = on_network(container("db"), "any", &[]);
        let all = [database.clone()];
        assert_eq!(
            rules(&guard, &SelfDetection::Unknown, &all).reason(&database),
            Some(Protection::Database)
        );
        assert_eq!(rules(&guard, &SelfDetection::OutsideDocker, &all).reason(&database), None);
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
        let rules = rules(&guard, &SelfDetection::OutsideDocker, &all);
        assert_eq!(rules.reason(&marked), Some(Protection::Label));
        assert_eq!(rules.reason(&spared), None);
        assert_eq!(rules.reason(&head), Some(Protection::Label));
        assert_eq!(rules.reason(&member), Some(Protection::Label), "the whole stack");
        assert_eq!(rules.reason(&named), Some(Protection::Setting));
        assert_eq!(rules.reason(&stack), Some(Protection::Setting));
    }

    #[test]
    fn a_label_leaves_a_container_or_a_whole_stack_out() {
        let mut out = container("out");
        out.labels.insert(ENABLE.to_owned(), "false".to_owned());
        let mut kept = container("kept");
        kept.labels.insert(ENABLE.to_owned(), "true".to_owned());
        let mut head = in_stack("lab", "db");
        head.labels.insert(ENABLE_STACK.to_owned(), "no".to_owned());
        let member = in_stack("lab", "web");
        let all = [out.clone(), kept.clone(), head, member.clone()];
        let rules = rules(&Guard::default(), &SelfDetection::OutsideDocker, &all);
        let why = rules.reason(&out).map(|reason| reason.reason().to_owned());
        assert_eq!(why.as_deref(), Some("its label docknap.enable=false leaves it out"));
        assert_eq!(rules.reason(&member), Some(Protection::LeftOut), "the whole stack");
        assert_eq!(rules.reason(&kept), None);
    }
}
