//! The containers of an Engine, and an index that finds some of them.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::Container;
use crate::domain::target::ContainerIdentity;

/// The containers of an Engine at one instant, sorted by name.
#[derive(Debug, Default)]
pub struct Containers {
    all: Vec<Arc<Container>>,
    index: OnceLock<Index>,
}

/// Where in the list each is, in its order.
#[derive(Debug, Default)]
struct Index {
    of_stack: HashMap<String, Vec<usize>>,
    with_identity: HashMap<ContainerIdentity, Vec<usize>>,
    /// By the id or name of a container they lean on.
    leaning_on: HashMap<String, Vec<usize>>,
}

impl Containers {
    /// Made at the first question.
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

    /// Those of a stack, by its exact name.
    pub fn of_stack(&self, name: &str) -> Vec<&Arc<Container>> {
        self.at(self.index().of_stack.get(name))
    }

    /// Whether any is of that stack.
    pub fn has_stack(&self, name: &str) -> bool {
        self.index().of_stack.contains_key(name)
    }

    /// Those that bear an identity.
    pub fn with_identity(&self, identity: &ContainerIdentity) -> Vec<&Arc<Container>> {
        self.at(self.index().with_identity.get(identity))
    }

    /// Those that lean on another one by their own settings: on its id or its name.
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
