//! The rules in the labels of the containers of a host: those of each container, and those of each stack, which any of
//! its containers may carry.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::inventory::labels::problem as problem_of;
use super::inventory::{Container, Inventory};
use super::label_rules::{LabelRule, PREFIX, full, is_of_rules, is_shared, read, uses, word};
use super::target::{ContainerIdentity, Subject, Target, unschedulable_name};
use super::text::shorten;

/// A rule with its target and the container that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    pub rule: LabelRule,
    pub target: Target,
    /// The name of the target.
    pub target_name: String,
    pub carrier: ContainerIdentity,
    pub carrier_name: String,
    /// Whether its labels are wrong, so that the rule is not used.
    pub is_faulty: bool,
}

impl Carried {
    /// The key of its schedule, which stays when the container is re-created.
    pub fn source_key(&self) -> String {
        source_key(&self.target, &self.rule.label)
    }
}

/// The key of the schedule for a target by a label.
pub fn source_key(target: &Target, label: &str) -> String {
    format!("{}|{label}|{}:{}", target.host, target.target_type(), target.identity_text())
}

/// The rules in the labels of all containers of an Engine, and what is wrong with these labels.
#[derive(Clone, Debug, Default)]
pub struct HostLabels {
    pub rules: Vec<Carried>,
    /// By the identity of the container, then by label.
    pub faults: BTreeMap<ContainerIdentity, BTreeMap<String, String>>,
}

/// Whether any container has a label of DockNap.
pub fn has_labels(inventory: &Inventory) -> bool {
    inventory.containers.iter().any(|one| has_any(one))
}

/// Reads the labels of all ordinary containers.
pub fn of_inventory(inventory: &Inventory) -> HostLabels {
    if has_labels(inventory) {
        of_members(inventory, &inventory.members(&Subject::Host))
    } else {
        HostLabels::default()
    }
}

/// The rules for one stack or container.
pub fn of_target(inventory: &Inventory, target: &Target) -> Vec<Carried> {
    let mut rules = of_members(inventory, &inventory.members(&target.subject)).rules;
    rules.retain(|carried| carried.target == *target);
    rules
}

fn of_members(inventory: &Inventory, members: &[Arc<Container>]) -> HostLabels {
    let mut found = HostLabels::default();
    let mut stacks: BTreeMap<String, Vec<&Container>> = BTreeMap::new();
    for one in members.iter().filter(|one| one.is_ordinary() && has_any(one)) {
        let reading = read(&one.labels, false);
        for rule in reading.rules {
            let is_faulty = reading.faults.contains_key(&rule.label);
            add(&mut found, rule, one.target(), &one.name, one, is_faulty);
        }
        note(&mut found, &one.identity, reading.faults);
        note(&mut found, &one.identity, others(&one.labels));
        match one.stack() {
            Some(stack) => stacks.entry(stack.to_owned()).or_default().push(one),
            None => note(&mut found, &one.identity, without_stack(&one.labels)),
        }
    }
    for (stack, carriers) in stacks {
        read_stack(&mut found, inventory, &stack, &carriers);
    }
    found
}

/// What is wrong with the labels of ordinary containers that define no rule.
pub fn faults_beside_rules(inventory: &Inventory) -> BTreeMap<ContainerIdentity, BTreeMap<String, String>> {
    let mut found = HostLabels::default();
    for one in inventory.members(&Subject::Host).iter().filter(|one| one.is_ordinary() && has_any(one)) {
        note(&mut found, &one.identity, others(&one.labels));
    }
    found.faults
}

/// The labels for a stack of a container that belongs to none.
fn without_stack(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let fault = |label: &String| {
        let (_, word) = word(label)
            .filter(|(is_of_stack, word)| *is_of_stack && (is_of_rules(word) || *word == "group"))?;
        let sentence = format!("this container belongs to no stack: write {}", shorten(&full(word, false)));
        Some((label.clone(), sentence))
    };
    labels.keys().filter_map(fault).collect()
}

/// Adds the rules for a stack from the labels of all its containers.
fn read_stack(found: &mut HostLabels, inventory: &Inventory, stack: &str, carriers: &[&Container]) {
    let mut said: BTreeMap<&str, Vec<(&Container, &str)>> = BTreeMap::new();
    for one in carriers {
        for (label, value) in &one.labels {
            if matches!(word(label), Some((true, word)) if is_of_rules(word)) {
                said.entry(label.as_str()).or_default().push((*one, value.as_str()));
            }
        }
    }
    let mut labels = BTreeMap::new();
    let mut torn = BTreeMap::new();
    for (label, values) in &said {
        let Some((first, rest)) = values.split_first() else { continue };
        labels.insert((*label).to_owned(), first.1.to_owned());
        if let Some(other) = rest.iter().find(|(_, value)| value.trim() != first.1.trim()) {
            torn.insert((*label).to_owned(), disagreement(*first, *other));
        }
    }
    let reading = read(&labels, true);
    for rule in reading.rules {
        let Some((carrier, _)) = said.get(rule.label.as_str()).and_then(|values| values.first()) else {
            continue;
        };
        let shared_is_torn = torn
            .keys()
            .any(|label| matches!(word(label), Some((_, word)) if is_shared(word)) && uses(&rule, label));
        let is_faulty =
            shared_is_torn || torn.contains_key(&rule.label) || reading.faults.contains_key(&rule.label);
        let target = Target::stack(inventory.host.clone(), stack);
        add(found, rule, target, stack, carrier, is_faulty);
    }
    // A disagreement is told rather than what is wrong with one of the values.
    for (label, sentence) in reading.faults.into_iter().chain(torn) {
        for (one, _) in said.get(label.as_str()).into_iter().flatten() {
            note(found, &one.identity, BTreeMap::from([(label.clone(), sentence.clone())]));
        }
    }
}

fn disagreement(one: (&Container, &str), other: (&Container, &str)) -> String {
    let said = |(container, value): (&Container, &str)| {
        format!("{} says “{}”", shorten(&container.name), shorten(value))
    };
    format!("{}, and {}: neither is used; keep one of the two", said(one), said(other))
}

fn add(
    found: &mut HostLabels,
    rule: LabelRule,
    target: Target,
    name: &str,
    carrier: &Container,
    is_faulty: bool,
) {
    let (identity, carried_by) = (target.identity_text(), carrier.identity.to_text());
    let names = [name, identity.as_str(), carrier.name.as_str(), carried_by.as_str()];
    if let Some(reason) = names.into_iter().find_map(unschedulable_name) {
        let sentence = format!("nothing can be scheduled here: {reason}");
        note(found, &carrier.identity, BTreeMap::from([(rule.label, sentence)]));
        return;
    }
    found.rules.push(Carried {
        rule,
        target,
        target_name: name.to_owned(),
        carrier: carrier.identity.clone(),
        carrier_name: carrier.name.clone(),
        is_faulty,
    });
}

fn note(found: &mut HostLabels, carrier: &ContainerIdentity, faults: BTreeMap<String, String>) {
    if !faults.is_empty() {
        found.faults.entry(carrier.clone()).or_default().extend(faults);
    }
}

fn has_any(container: &Container) -> bool {
    container.labels.keys().any(|label| label.starts_with(PREFIX))
}

/// What is wrong with the labels that are no rules and go with none, by label.
pub(super) fn others(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let problem = |(label, value): (&String, &String)| {
        let name = label.strip_prefix(PREFIX)?;
        let is_other = word(label).is_some_and(|(_, word)| !is_of_rules(word));
        let problem = is_other.then(|| problem_of(name, value)).flatten()?;
        Some((label.clone(), problem))
    };
    labels.iter().filter_map(problem).collect()
}
