//! Foresees gaps: containers that sleep while another container that depends on them is awake (semantics §4), so that a
//! page can warn before that happens.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::{Timestamp, ToSpan};

use super::desired::{Rules, WindowRule};
use super::inventory::{Container, Inventory};
use super::order::{self, added};
use super::overrides::DesiredState;
use super::place::Place;
use super::target::{ContainerIdentity, Subject, Target};

/// Look-ahead in days where all weeks are alike, and where they differ.
const DAYS: (i64, i64) = (7, 400);
/// Upper limit of the state changes considered for one container.
const MOST_CHANGES: usize = 256;

/// A time range in which a container sleeps and another one that depends on it does not.
#[derive(Clone, Debug)]
pub struct Gap {
    /// Start of the gap, or the current instant if it has started.
    pub at: Timestamp,
    /// Container that is awake.
    pub dependant: Arc<Container>,
    /// Container that sleeps.
    pub dependency: Arc<Container>,
}

/// Dependencies on a host, as pairs (dependant, dependency).
#[derive(Debug, Default)]
pub struct Pairs(Vec<(Arc<Container>, Arc<Container>)>);

impl Pairs {
    /// Pairs on the host of `inventory` of which at least one side belongs to `targets`.
    pub fn about<'a>(targets: impl IntoIterator<Item = &'a Target>, inventory: &Inventory) -> Self {
        let all = &inventory.containers;
        let (mut stacks, mut containers) = (HashSet::new(), HashSet::new());
        for target in targets {
            match &target.subject {
                Subject::Group(_) | Subject::Host | Subject::Services { .. } => {
                    let holds = |one: &&Arc<Container>| inventory.groups.overlap(target, &one.target());
                    containers.extend(all.iter().filter(holds).map(|one| &one.identity));
                }
                _ if target.host != inventory.host => {}
                Subject::Stack(name) => {
                    stacks.insert(name.as_str());
                }
                Subject::Container(identity) => {
                    containers.insert(identity);
                }
            }
        }
        // Only a shared network can connect containers of different stacks.
        let reaches_out = all.iter().any(|one| one.network_mode.starts_with("container:"));
        let members: Vec<Arc<Container>> = if reaches_out {
            all.to_vec()
        } else {
            let own = containers.iter().filter_map(|identity| match identity {
                ContainerIdentity::Service { project, .. } => Some(project.as_str()),
                ContainerIdentity::Name(_) => None,
            });
            let concerned: HashSet<&str> = stacks.iter().copied().chain(own).collect();
            BTreeSet::from_iter(concerned).into_iter().flat_map(|name| all.of_stack(name)).cloned().collect()
        };
        let (edges, _) = order::edges(&members, inventory);
        let mut pairs: Vec<_> =
            edges.iter().map(|edge| (&members[edge.dependant], &members[edge.dependency])).collect();
        for edge in inventory.added.iter().filter(|edge| !edge.is_within_a_stack()) {
            for dependant in all.iter().filter(|one| added::names(&edge.dependant, one)) {
                let dependencies = all.iter().filter(|one| added::names(&edge.dependency, one));
                pairs.extend(dependencies.map(|one| (dependant, one)));
            }
        }
        let is_meant = |one: &Container| {
            one.stack().is_some_and(|name| stacks.contains(name)) || containers.contains(&one.identity)
        };
        // A completed one-shot needs nothing any more, and a protected container never sleeps.
        pairs.retain(|(dependant, dependency)| {
            (is_meant(dependant) || is_meant(dependency))
                && dependant.is_ordinary()
                && dependency.is_ordinary()
                && !inventory.is_completed(dependant)
                && dependency.protection.is_none()
        });
        Self(pairs.into_iter().map(|(a, b)| (Arc::clone(a), Arc::clone(b))).collect())
    }

    /// Windows that decide about a container of the pairs.
    pub fn windows<'a>(&self, rules: &'a Rules) -> impl Iterator<Item = &'a WindowRule> {
        let sides = self.0.iter().flat_map(|(a, b)| [a, b]);
        let targets = sides.flat_map(|one| rules.scopes(Place::of(one)).flatten());
        BTreeSet::from_iter(targets).into_iter().flat_map(|target| rules.windows_on(&target))
    }
}

/// Finds the gaps of a host from its dependencies and windows. Computed sleep times are cached.
#[derive(Debug)]
pub struct Needs<'a> {
    rules: &'a Rules,
    now: Timestamp,
    pairs: &'a Pairs,
    /// Indexes of the pairs for which windows on the target decide about a side.
    of_target: HashMap<Target, Vec<usize>>,
    cached_changes: HashMap<ContainerIdentity, Vec<(Timestamp, bool)>>,
}

impl<'a> Needs<'a> {
    /// Prepares the search. `rules` must hold windows only, since an override is temporary.
    pub fn new(rules: &'a Rules, pairs: &'a Pairs, now: Timestamp) -> Self {
        let mut of_target: HashMap<Target, Vec<usize>> = HashMap::new();
        for (at, (dependant, dependency)) in pairs.0.iter().enumerate() {
            let decides = [dependant, dependency].map(|one| {
                // Several groups or sets of services may decide about one container.
                let windows = rules.windows_for(Place::of(one));
                windows.into_iter().map(|rule| &rule.target).collect::<BTreeSet<&Target>>()
            });
            // Two sides under the same windows sleep at the same times, unless one is protected.
            if decides[0] == decides[1] && dependant.protection.is_none() {
                continue;
            }
            for target in decides.into_iter().flatten() {
                let known = of_target.entry(target.clone()).or_default();
                if known.last() != Some(&at) {
                    known.push(at);
                }
            }
        }
        Self { rules, now, pairs, of_target, cached_changes: HashMap::new() }
    }

    /// First gap of a pair about which windows on `target` decide.
    pub fn first_gap(&mut self, target: &Target) -> Option<Gap> {
        for at in self.of_target.get(target).cloned().unwrap_or_default() {
            let (dependant, dependency) = self.pairs.0[at].clone();
            let needed = self.sleep_changes(&dependency);
            let awake = self.sleep_changes(&dependant);
            let mut instants: Vec<Timestamp> = needed.iter().chain(&awake).map(|(at, _)| *at).collect();
            instants.sort();
            let gap =
                instants.into_iter().find(|at| is_asleep_at(&needed, *at) && !is_asleep_at(&awake, *at));
            if let Some(at) = gap {
                return Some(Gap { at, dependant, dependency });
            }
        }
        None
    }

    /// Sleep changes of a container from now on, as (instant, sleeps from then on).
    fn sleep_changes(&mut self, container: &Container) -> Vec<(Timestamp, bool)> {
        if let Some(known) = self.cached_changes.get(&container.identity) {
            return known.clone();
        }
        let mut sleep_changes = vec![(self.now, false)];
        // A protected container stays awake, whatever the window of its stack says.
        if container.protection.is_none() {
            let place = Place::of(container);
            sleep_changes[0].1 = self.rules.at(self.now).desired(place).wanted == Some(DesiredState::Asleep);
            let is_weekly = self.rules.windows().iter().all(|rule| rule.reading.days.is_weekly());
            let days = if is_weekly { DAYS.0 } else { DAYS.1 };
            let until = self.now.checked_add((days * 24).hours()).unwrap_or(Timestamp::MAX);
            let changes = self.rules.transitions(place, self.now, until, MOST_CHANGES);
            sleep_changes.extend(
                changes.iter().map(|change| (change.at, change.wanted == Some(DesiredState::Asleep))),
            );
        }
        self.cached_changes.insert(container.identity.clone(), sleep_changes.clone());
        sleep_changes
    }
}

fn is_asleep_at(sleep_changes: &[(Timestamp, bool)], at: Timestamp) -> bool {
    let after = sleep_changes.partition_point(|(from, _)| *from <= at);
    after.checked_sub(1).is_some_and(|index| sleep_changes[index].1)
}
