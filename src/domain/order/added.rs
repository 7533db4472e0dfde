//! Edges that people add to those that labels tell: between services of a stack, and between stacks of one host.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use super::super::dependency::AddedEdge;
use super::super::inventory::{Container, Inventory};
use super::super::target::{ContainerIdentity, Subject};

/// The longest a dependency may be waited for, in seconds.
pub const MAX_WAIT: i64 = 3600;

/// Whether a container is one of those that a side of an edge names: of a service, every replica.
pub fn names(side: &Subject, container: &Container) -> bool {
    container.is_ordinary()
        && match side {
            Subject::Stack(name) => container.stack() == Some(name),
            Subject::Container(ContainerIdentity::Service { project, service, .. }) => {
                container.stack() == Some(project) && container.service() == Some(service)
            }
            Subject::Container(identity @ ContainerIdentity::Name(_)) => container.identity == *identity,
        }
}

/// The way from the dependency of `new` back to its dependant, by the names of the containers: the cycle that it would
/// close. `None` where there is none.
pub fn cycle(new: &AddedEdge, inventory: &Inventory) -> Option<Vec<String>> {
    let all = &inventory.containers;
    let mut next: HashMap<usize, Vec<usize>> = HashMap::new();
    let (edges, _) = super::edges(all, inventory);
    for edge in edges {
        next.entry(edge.dependant).or_default().push(edge.dependency);
    }
    for edge in inventory.added.iter() {
        for (dependant, dependency) in pairs(edge, all) {
            next.entry(dependant).or_default().push(dependency);
        }
    }
    for (start, goal) in pairs(new, all).map(|(dependant, dependency)| (dependency, dependant)) {
        let mut seen = HashSet::from([start]);
        let mut ways = vec![vec![start]];
        while let Some(way) = ways.pop() {
            let last = *way.last()?;
            if last == goal {
                let mut names: Vec<String> = vec![all[goal].name.clone()];
                names.extend(way.iter().map(|node| all[*node].name.clone()));
                return Some(names);
            }
            for node in next.get(&last).into_iter().flatten() {
                if seen.insert(*node) {
                    ways.push(way.iter().copied().chain([*node]).collect());
                }
            }
        }
    }
    None
}

/// Every dependant with every dependency of an edge, as indexes.
fn pairs<'a>(edge: &'a AddedEdge, all: &'a [Arc<Container>]) -> impl Iterator<Item = (usize, usize)> + 'a {
    let of = |side: &'a Subject| {
        all.iter().enumerate().filter(move |(_, one)| names(side, one)).map(|(index, _)| index)
    };
    of(&edge.dependant).flat_map(move |dependant| of(&edge.dependency).map(move |other| (dependant, other)))
}
