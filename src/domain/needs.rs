//! What sleeps while something that needs it is awake (semantics §4): told before it happens.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::{Timestamp, ToSpan};

use super::desired::{Rules, WindowRule};
use super::inventory::{Container, Inventory};
use super::order::{self, added};
use super::overrides::{DesiredState, Place};
use super::target::{ContainerIdentity, Subject, Target};

/// How far is looked ahead, in days: windows repeat by the week.
const DAYS: i64 = 7;
/// Changes of one container looked at, at most.
const MOST_CHANGES: usize = 256;

/// A time at which a container sleeps and another one that needs it does not.
#[derive(Clone, Debug)]
pub struct Gap {
    /// When it begins, or now.
    pub at: Timestamp,
    /// What is awake.
    pub dependant: Arc<Container>,
    /// What it needs.
    pub dependency: Arc<Container>,
}

/// Who needs whom on a host: first who needs, then what.
#[derive(Debug, Default)]
pub struct Pairs(Vec<(Arc<Container>, Arc<Container>)>);

impl Pairs {
    /// Those of a host of which one or both are of `targets`.
    pub fn about<'a>(targets: impl IntoIterator<Item = &'a Target>, inventory: &Inventory) -> Self {
        let (mut stacks, mut containers) = (HashSet::new(), HashSet::new());
        for target in targets.into_iter().filter(|target| target.host == inventory.host) {
            match &target.subject {
                Subject::Stack(name) => stacks.insert(name.as_str()),
                Subject::Container(identity) => containers.insert(identity),
            };
        }
        let all = &inventory.containers;
        // Only a shared network reaches beyond a stack.
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
        // What has done its work needs nothing any more; what is never touched does not sleep.
        pairs.retain(|(dependant, dependency)| {
            (is_meant(dependant) || is_meant(dependency))
                && dependant.is_ordinary()
                && dependency.is_ordinary()
                && !inventory.is_completed(dependant)
                && dependency.protection.is_none()
        });
        Self(pairs.into_iter().map(|(a, b)| (Arc::clone(a), Arc::clone(b))).collect())
    }

    /// The windows that decide about one of them.
    pub fn windows<'a>(&self, rules: &'a Rules) -> impl Iterator<Item = &'a WindowRule> {
        let sides = self.0.iter().flat_map(|(a, b)| [a, b]);
        let targets = sides.flat_map(|one| {
            let stack = one.stack().map(|name| Target::stack(one.host.clone(), name));
            stack.into_iter().chain([one.target()])
        });
        BTreeSet::from_iter(targets).into_iter().flat_map(|target| rules.windows_on(&target))
    }
}

/// Who needs whom on a host, and when the windows have each asleep. What it works out it keeps.
#[derive(Debug)]
pub struct Needs<'a> {
    rules: &'a Rules,
    now: Timestamp,
    pairs: &'a Pairs,
    /// Those of which windows on a target decide about one side or both.
    of_target: HashMap<Target, Vec<usize>>,
    courses: HashMap<ContainerIdentity, Vec<(Timestamp, bool)>>,
}

impl<'a> Needs<'a> {
    /// By `rules`, which hold windows only: an override is nobody's plan.
    pub fn new(rules: &'a Rules, pairs: &'a Pairs, now: Timestamp) -> Self {
        let mut of_target: HashMap<Target, Vec<usize>> = HashMap::new();
        for (at, (dependant, dependency)) in pairs.0.iter().enumerate() {
            // Those that decide about one container are all on one target.
            let sides = [dependant, dependency];
            let decides = sides.map(|one| rules.windows_for(Place::of(one)).first().map(|rule| &rule.target));
            // What the same windows decide about sleeps at the same times, but for what is never touched.
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
        Self { rules, now, pairs, of_target, courses: HashMap::new() }
    }

    /// The first gap to which the windows on `target` have a share.
    pub fn first_gap(&mut self, target: &Target) -> Option<Gap> {
        for at in self.of_target.get(target).cloned().unwrap_or_default() {
            let (dependant, dependency) = self.pairs.0[at].clone();
            let needed = self.course(&dependency);
            let awake = self.course(&dependant);
            let mut instants: Vec<Timestamp> = needed.iter().chain(&awake).map(|(at, _)| *at).collect();
            instants.sort();
            let gap = instants.into_iter().find(|at| sleeps(&needed, *at) && !sleeps(&awake, *at));
            if let Some(at) = gap {
                return Some(Gap { at, dependant, dependency });
            }
        }
        None
    }

    /// From when on it sleeps or does not, beginning now.
    fn course(&mut self, container: &Container) -> Vec<(Timestamp, bool)> {
        if let Some(known) = self.courses.get(&container.identity) {
            return known.clone();
        }
        let mut course = vec![(self.now, false)];
        // What is never touched stays awake, whatever its stack's window says.
        if container.protection.is_none() {
            let place = Place::of(container);
            course[0].1 = self.rules.at(self.now).desired(place).wanted == Some(DesiredState::Asleep);
            let until = self.now.checked_add((DAYS * 24).hours()).unwrap_or(Timestamp::MAX);
            let changes = self.rules.transitions(place, self.now, until, MOST_CHANGES);
            course.extend(
                changes.iter().map(|change| (change.at, change.wanted == Some(DesiredState::Asleep))),
            );
        }
        self.courses.insert(container.identity.clone(), course.clone());
        course
    }
}

fn sleeps(course: &[(Timestamp, bool)], at: Timestamp) -> bool {
    let after = course.partition_point(|(from, _)| *from <= at);
    after.checked_sub(1).is_some_and(|index| course[index].1)
}
