//! The containers of an Engine, and what finds some of them without a look at all.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::Container;
use crate::domain::sorted;
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
    /// Makes what is asked for later quick to find. It costs as much as some looks at all, so whoever asks about many
    /// calls it, and nobody else.
    pub fn index(&self) {
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
        });
    }

    /// Those of a stack, by its exact name.
    pub fn of_stack(&self, name: &str) -> Vec<&Arc<Container>> {
        self.found(|index| index.of_stack.get(name), |one| one.stack() == Some(name))
    }

    /// Whether any is of that stack.
    pub fn has_stack(&self, name: &str) -> bool {
        match self.index.get() {
            Some(index) => index.of_stack.contains_key(name),
            None => self.all.iter().any(|one| one.stack() == Some(name)),
        }
    }

    /// Those that bear an identity.
    pub fn with_identity(&self, identity: &ContainerIdentity) -> Vec<&Arc<Container>> {
        self.found(|index| index.with_identity.get(identity), |one| one.identity == *identity)
    }

    /// Those that lean on another one by their own settings: on its id or its name.
    pub fn leaning_on(&self, parent: &Container) -> Vec<&Arc<Container>> {
        let is_one =
            |one: &Container| one.ties().any(|(_, other)| other == parent.id || other == parent.name);
        let Some(index) = self.index.get() else {
            return self.all.iter().filter(|one| is_one(one)).collect();
        };
        let known = [&parent.id, &parent.name].map(|reference| index.leaning_on.get(reference));
        let mut known: Vec<usize> = known.into_iter().flatten().flatten().copied().collect();
        sorted::unique(&mut known);
        known.into_iter().map(|at| &self.all[at]).collect()
    }

    fn found(
        &self,
        known: impl Fn(&Index) -> Option<&Vec<usize>>,
        is_one: impl Fn(&Container) -> bool,
    ) -> Vec<&Arc<Container>> {
        match self.index.get() {
            Some(index) => known(index).into_iter().flatten().map(|at| &self.all[*at]).collect(),
            None => self.all.iter().filter(|one| is_one(one)).collect(),
        }
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
