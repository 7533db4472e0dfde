//! The containers of an Engine as a sorted list, with an index by stack, by identity and by referenced container.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::Container;
use crate::domain::target::ContainerIdentity;

/// Containers of an Engine at one instant, sorted by name. Dereferences to the list.
#[derive(Debug, Default)]
pub struct Containers {
    all: Vec<Arc<Container>>,
    index: OnceLock<Index>,
}

/// Positions in the list, in ascending order, by key.
#[derive(Debug, Default)]
struct Index {
    of_stack: HashMap<String, Vec<usize>>,
    with_identity: HashMap<ContainerIdentity, Vec<usize>>,
    /// Key: id or name of the container that their settings refer to.
    leaning_on: HashMap<String, Vec<usize>>,
}

impl Containers {
    /// Index, built at the first use.
    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let mut index = Index::default();
            for (at, one) in self.all.iter().enumerate() {
                if let Some(stack) = one.stack() {
                    index.of_stack.entry(stack.to_owned()).or_default().push(at);
                }
                index.with_identity.entry(one.identity.clone()).or_default().push(at);
                for (_, other) in one.ties() {
                    index.leaning_on.entry(other.to_owned()).or_default().push(at);
                }
            }
            index
        })
    }

    /// Containers of the stack with exactly this name.
    pub fn of_stack(&self, name: &str) -> Vec<&Arc<Container>> {
        self.at(self.index().of_stack.get(name))
    }

    /// Whether a stack with exactly this name has a container.
    pub fn has_stack(&self, name: &str) -> bool {
        self.index().of_stack.contains_key(name)
    }

    /// Containers with this identity.
    pub fn with_identity(&self, identity: &ContainerIdentity) -> Vec<&Arc<Container>> {
        self.at(self.index().with_identity.get(identity))
    }

    /// Containers whose own settings refer to `parent`, by its id or its name.
    pub fn leaning_on(&self, parent: &Container) -> Vec<&Arc<Container>> {
        let known = [&parent.id, &parent.name].map(|reference| self.index().leaning_on.get(reference));
        let known: BTreeSet<usize> = known.into_iter().flatten().flatten().copied().collect();
        known.into_iter().map(|at| &self.all[at]).collect()
    }

    fn at(&self, places: Option<&Vec<usize>>) -> Vec<&Arc<Container>> {
        places.into_iter().flatten().map(|at| &self.all[*at]).collect()
    }
}

impl Deref for Containers {
    type Target = [Arc<Container>];

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl FromIterator<Arc<Container>> for Containers {
    fn from_iter<I: IntoIterator<Item = Arc<Container>>>(containers: I) -> Self {
        Self { all: containers.into_iter().collect(), index: OnceLock::new() }
    }
}
