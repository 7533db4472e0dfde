//! Order of containers: dependency edges from labels, from shared resources and from people, and the waves that follow
//! from them.
//!
//! Label values are hostile input: every value results in an order, and an odd one in a note as well.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::dependency::{Condition, excerpt};
pub use super::dependency::{DEPENDS_ON, Dependency, parse_depends_on};
use super::inventory::{Container, Inventory, Tie};
use super::label_rules::{self, AFTER};
use super::target::ContainerIdentity;

pub mod added;

/// Dependency edge: `dependant` waits until `dependency` meets the condition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Container that waits, as an index into the given containers.
    pub dependant: usize,
    /// Container that is waited for, as an index into the given containers.
    pub dependency: usize,
    /// Condition that `dependency` has to meet.
    pub condition: Condition,
    /// Time limit of the wait in seconds; `None` for the default.
    pub wait_seconds: Option<i64>,
}

/// Edges among `members`, from labels, from shared resources and from people, with notes about odd labels. `inventory`
/// resolves the containers that are referenced by id or name.
pub fn edges(members: &[Arc<Container>], inventory: &Inventory) -> (Vec<Edge>, Vec<String>) {
    let mut by_service: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    let mut by_identity: HashMap<&ContainerIdentity, usize> = HashMap::new();
    for (index, member) in members.iter().enumerate() {
        by_identity.insert(&member.identity, index);
        if let (Some(stack), Some(service)) = (member.stack(), member.service()) {
            by_service.entry((stack, service)).or_default().push(index);
        }
    }
    let mut edges = BTreeSet::new();
    let mut notes = Vec::new();
    for (index, member) in members.iter().enumerate() {
        if let (Some(stack), Some(label)) = (member.stack(), member.labels.get(DEPENDS_ON)) {
            let (items, odd) = parse_depends_on(label);
            notes.extend(odd.into_iter().map(|note| format!("{}: {note}", member.name)));
            for item in items {
                if Some(item.service.as_str()) == member.service() {
                    notes.push(format!("{} depends on itself; that is ignored", member.name));
                    continue;
                }
                match by_service.get(&(stack, item.service.as_str())) {
                    Some(found) => edges.extend(found.iter().map(|dependency| Edge {
                        dependant: index,
                        dependency: *dependency,
                        condition: item.condition,
                        wait_seconds: None,
                    })),
                    None => notes.push(format!(
                        "{} depends on {}, which has no container; that is ignored",
                        member.name,
                        excerpt(&item.service)
                    )),
                }
            }
        }
        if let (Some(stack), Some(label)) = (member.stack(), member.labels.get(AFTER)) {
            for service in label_rules::after(label).filter(|service| Some(*service) != member.service()) {
                match by_service.get(&(stack, service)) {
                    Some(found) => edges.extend(found.iter().map(|dependency| Edge {
                        dependant: index,
                        dependency: *dependency,
                        condition: Condition::ServiceStarted,
                        wait_seconds: None,
                    })),
                    None => notes.push(format!(
                        "{}: the label {AFTER} names {}, which has no container; that is ignored",
                        member.name,
                        excerpt(service)
                    )),
                }
            }
        }
        for (tie, reference) in member.ties() {
            let mut all = inventory.containers.iter();
            let Some(other) = all.find(|other| other.id == reference || other.name == reference) else {
                notes.push(format!("{} uses the {} of a container that is gone", member.name, tie.noun()));
                continue;
            };
            if let Some(dependency) = by_identity.get(&other.identity).filter(|found| **found != index) {
                edges.insert(Edge {
                    dependant: index,
                    dependency: *dependency,
                    condition: Condition::ServiceStarted,
                    wait_seconds: None,
                });
            }
        }
    }
    for added in inventory.added.iter().filter(|added| added.is_within_a_stack()) {
        let named = |side| members.iter().enumerate().filter(move |(_, one)| added::names(side, one));
        for (dependant, _) in named(&added.dependant) {
            edges.extend(named(&added.dependency).map(|(dependency, _)| Edge {
                dependant,
                dependency,
                condition: added.condition,
                wait_seconds: added.wait_seconds,
            }));
        }
    }
    // Several edges between the same two containers merge: the stronger condition and the longer wait count.
    let mut strongest: BTreeMap<(usize, usize), Edge> = BTreeMap::new();
    for edge in edges {
        let known = strongest.entry((edge.dependant, edge.dependency)).or_insert_with(|| edge.clone());
        if edge.condition != Condition::ServiceStarted {
            known.condition = edge.condition;
        }
        known.wait_seconds = known.wait_seconds.max(edge.wait_seconds);
    }
    (strongest.into_values().collect(), notes)
}

/// Containers with a tie to `parent` that breaks when `parent` starts ([`Tie::breaks`]), each with that tie; sorted by
/// name.
pub fn residents<'a>(parent: &Container, inventory: &'a Inventory) -> Vec<(&'a Arc<Container>, Tie)> {
    let leaning = inventory.containers.leaning_on(parent).into_iter();
    leaning.filter_map(|one| Some((one, one.lives_in(parent)?))).collect()
}

/// Wave number of each node in `names`, from 1; always larger than the wave numbers of the node's dependencies.
///
/// A cycle is broken at its node with the first name: the edges from that node to others in a cycle are removed from
/// `edges`. The second return value holds one warning sentence per cycle.
pub fn waves(names: &[String], edges: &mut Vec<Edge>) -> (Vec<u32>, Vec<String>) {
    let mut needs: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); names.len()];
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
    for edge in edges.iter() {
        if needs[edge.dependant].insert(edge.dependency) {
            needed_by[edge.dependency].push(edge.dependant);
        }
    }
    let mut wave = vec![0_u32; names.len()];
    let mut warnings = Vec::new();
    let mut open = BTreeSet::from_iter(0..names.len());
    let mut ready: Vec<usize> = open.iter().copied().filter(|node| needs[*node].is_empty()).collect();
    while !open.is_empty() {
        while let Some(node) = ready.pop() {
            open.remove(&node);
            wave[node] = wave[node].max(1);
            for dependant in &needed_by[node] {
                // `remove` returns false if the edge was dropped to break a cycle.
                if needs[*dependant].remove(&node) {
                    wave[*dependant] = wave[*dependant].max(wave[node] + 1);
                    if needs[*dependant].is_empty() {
                        ready.push(*dependant);
                    }
                }
            }
        }
        let cycle = in_cycles(&open, &needs);
        let Some(first) = cycle.iter().copied().min_by_key(|node| &names[*node]) else { break };
        let mut members: Vec<&str> = cycle.iter().map(|node| names[*node].as_str()).collect();
        members.sort_unstable();
        warnings.push(format!("{} depend on each other; going by name", members.join(", ")));
        edges.retain(|edge| edge.dependant != first || !cycle.contains(&edge.dependency));
        needs[first].retain(|dependency| !cycle.contains(dependency));
        ready.extend(needs[first].is_empty().then_some(first));
    }
    (wave, warnings)
}

/// Nodes of `open` on a cycle or between two cycles: those left after repeated removal of nodes on which no other one
/// depends.
fn in_cycles(open: &BTreeSet<usize>, needs: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let mut left = open.clone();
    let mut waiting = vec![0_usize; needs.len()];
    for node in open {
        for dependency in &needs[*node] {
            waiting[*dependency] += 1;
        }
    }
    let mut trim: Vec<usize> = open.iter().copied().filter(|node| waiting[*node] == 0).collect();
    while let Some(node) = trim.pop() {
        left.remove(&node);
        for dependency in &needs[node] {
            waiting[*dependency] -= 1;
            if waiting[*dependency] == 0 {
                trim.push(*dependency);
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn conditions(label: &str) -> Vec<(String, Condition)> {
        parse_depends_on(label).0.into_iter().map(|item| (item.service, item.condition)).collect()
    }

    #[test]
    fn the_three_historical_forms() {
        let started = |name: &str| (name.to_owned(), Condition::ServiceStarted);
        let healthy = |name: &str| (name.to_owned(), Condition::ServiceHealthy);
        assert_eq!(conditions("db,redis"), [started("db"), started("redis")]);
        assert_eq!(conditions("db:service_healthy"), [healthy("db")]);
        assert_eq!(
            conditions("db:service_healthy:true,x:service_started:false"),
            [healthy("db"), started("x")]
        );
        assert_eq!(
            conditions("m:service_completed_successfully:true"),
            [("m".to_owned(), Condition::ServiceCompletedSuccessfully)]
        );
        assert_eq!(conditions(""), []);
    }

    #[test]
    fn hostile_labels_end_as_notes() {
        let (items, notes) = parse_depends_on("a:b:c:d");
        assert!(items.is_empty());
        assert_eq!(notes, ["`a:b:c:d` is no dependency; it is ignored"]);
        assert_eq!(parse_depends_on(",,"), (vec![], vec![]));
        let (items, notes) = parse_depends_on("db:service_happy");
        assert_eq!(items[0].condition, Condition::ServiceStarted);
        assert_eq!(notes.len(), 1);
        let (items, notes) = parse_depends_on(&"x,".repeat(32 * 1024));
        assert_eq!(items.len(), 1);
        assert_eq!(notes.len(), 1);
        let (items, notes) = parse_depends_on(&"y".repeat(64 * 1024));
        assert_eq!((items.len(), notes.len()), (1, 0));
        // A label cannot make a start wait for a stop.
        assert_eq!(conditions("db:stopped"), [("db".to_owned(), Condition::ServiceStarted)]);
    }

    fn edge(dependant: usize, dependency: usize) -> Edge {
        Edge { dependant, dependency, condition: Condition::ServiceStarted, wait_seconds: None }
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("c{n:03}")).collect()
    }

    #[test]
    fn a_cycle_is_broken_by_name_and_named() {
        // 0 <-> 1, and 2 depends on 1.
        let mut edges = vec![edge(0, 1), edge(1, 0), edge(2, 1)];
        let (wave, warnings) = waves(&names(3), &mut edges);
        assert_eq!(wave, [1, 2, 3]);
        assert_eq!(warnings, ["c000, c001 depend on each other; going by name"]);
    }

    proptest! {
        #[test]
        fn waves_respect_every_edge_that_is_left(pairs in prop::collection::vec((0_usize..12, 0_usize..12), 0..40)) {
            let mut edges: Vec<Edge> =
                pairs.into_iter().filter(|(a, b)| a != b).map(|(a, b)| edge(a, b)).collect();
            let forward = edges.iter().all(|edge| edge.dependant > edge.dependency);
            let before = edges.len();
            let (wave, warnings) = waves(&names(12), &mut edges);
            prop_assert!(wave.iter().all(|wave| *wave >= 1));
            for edge in &edges {
                prop_assert!(wave[edge.dependant] > wave[edge.dependency]);
            }
            prop_assert_eq!(warnings.is_empty(), edges.len() == before);
            if forward {
                prop_assert!(warnings.is_empty());
            }
        }
    }
}
