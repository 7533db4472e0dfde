//! Order edges that people add to those from labels: between services of one stack, and between stacks of one host.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use super::super::dependency::AddedEdge;
use super::super::inventory::{Container, Inventory};
use super::super::target::{ContainerIdentity, Subject};

/// Upper limit of the wait for a dependency, in seconds.
pub const MAX_WAIT: i64 = 3600;

/// Whether one side of an edge includes a container. A service includes all its replicas.
pub fn names(side: &Subject, container: &Container) -> bool {
    container.is_ordinary()
        && match side {
            Subject::Stack(name) => container.stack() == Some(name),
            Subject::Container(ContainerIdentity::Service { project, service, .. }) => {
                container.stack() == Some(project) && container.service() == Some(service)
            }
            Subject::Container(identity @ ContainerIdentity::Name(_)) => container.identity == *identity,
            Subject::Services { .. } | Subject::Host | Subject::Group(_) => false,
        }
}

/// The cycle that `new` would close, as container names: from the dependant of `new` through its dependency back to the
/// dependant. `None` if there is no cycle.
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
        let mut paths = vec![vec![start]];
        while let Some(path) = paths.pop() {
            let last = *path.last()?;
            if last == goal {
                let mut names: Vec<String> = vec![all[goal].name.clone()];
                names.extend(path.iter().map(|node| all[*node].name.clone()));
                return Some(names);
            }
            for node in next.get(&last).into_iter().flatten() {
                if seen.insert(*node) {
                    paths.push(path.iter().copied().chain([*node]).collect());
                }
            }
        }
    }
    None
}

/// All pairs (dependant, dependency) of an edge, as indexes into `all`.
fn pairs<'a>(edge: &'a AddedEdge, all: &'a [Arc<Container>]) -> impl Iterator<Item = (usize, usize)> + 'a {
    let of = |side: &'a Subject| {
        all.iter().enumerate().filter(move |(_, one)| names(side, one)).map(|(index, _)| index)
    };
    of(&edge.dependant).flat_map(move |dependant| of(&edge.dependency).map(move |other| (dependant, other)))
}
