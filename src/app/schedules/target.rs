//! The target of a draft, and the reasons against a schedule for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::draft::Draft;
use crate::app::draft::{Faults, Field, did_you_mean};
use crate::app::rulebook::RuleBook;
use crate::app::suggest::suggest;
use crate::app::{App, targets};
use crate::domain::action::Action;
use crate::domain::ids::HostId;
use crate::domain::inventory::{Container, Inventory, Kind, Protection, RestartPolicy};
use crate::domain::schedule::{Schedule, ScheduleSpec};
use crate::domain::target::{ContainerIdentity, Subject, Target, TargetType, unschedulable_name};
use crate::domain::text::{capital, shorten};

/// The largest number of services of one schedule.
const MOST_SERVICES: usize = 50;

/// A target that was found, or that is accepted although it does not exist now.
pub(super) struct Found {
    pub target: Target,
    pub name: String,
    pub warnings: Vec<String>,
}

impl Found {
    /// A placeholder for an invalid or missing target; no real target has an empty host and name.
    pub(super) fn nothing() -> Self {
        Self { target: Target::stack(HostId::from(""), ""), name: String::new(), warnings: Vec::new() }
    }
}

/// Finds the target of a draft. `stored` is the schedule that the draft would replace.
pub(super) fn target(
    app: &App,
    draft: &Draft,
    action: Option<Action>,
    stored: Option<&Schedule>,
    book: &RuleBook,
    faults: &mut Faults,
) -> Option<Found> {
    if let Some(known) = &draft.known {
        return of_file(app, known, draft.target_id.as_deref().unwrap_or_default(), action, faults);
    }
    let target_type = draft.target_type.text().and_then(TargetType::parse);
    let services = services(draft, target_type, faults);
    if let Some(target_type @ (TargetType::Host | TargetType::Group)) = target_type {
        let (host, id) = (draft.host.as_deref(), draft.target_id.as_deref());
        return match targets::wide(app, &book.groups, target_type, host, id) {
            Ok(found) => found.map(|(target, name)| {
                let warnings = wide_warnings(app, &target, action);
                Found { target, name, warnings }
            }),
            Err(error) => {
                faults.add_all("target_id", error);
                None
            }
        };
    }
    // Not trimmed: a name is compared exactly.
    let name = draft.target_id.as_deref().unwrap_or_default();
    // The stored target keeps its host, also while it does not exist and while its host is away.
    let of_stored = stored.map(|schedule| &schedule.spec).filter(|spec| {
        target_type == Some(spec.target.target_type()) && (spec.target.key() == name || called(spec) == name)
    });
    let named = draft.host.text().or(of_stored.map(|spec| spec.target.host.as_str()));
    let host = match target_type {
        Some(target_type) => targets::host_with(app, named, target_type, name),
        None => targets::host(app, named),
    };
    let host = host.map_err(|error| faults.add_all("host", error)).ok();
    if target_type.is_none() {
        faults.add("target_type", "use stack, container, host or group");
    }
    if let Some(reason) = unschedulable_name(name) {
        faults.add("target_id", if name.is_empty() { "say which one" } else { reason });
        return None;
    }
    let (inventory, target_type) = (host?.inventory(), target_type?);
    let Some((target, name)) = find(&inventory, target_type, name) else {
        let found = missing(&inventory, draft, target_type, name, stored, faults)?;
        return Some(found.narrowed(services));
    };
    let mut warnings = Vec::new();
    let (target, name) = narrowed(target, name, services);
    if let Some(message) = unknown_service(&inventory, &target) {
        if inventory.is_connected()
            && !draft.allow_missing
            && of_stored.is_none_or(|spec| spec.target != target)
        {
            faults.add("services", message);
            return None;
        }
        warnings.push(format!("{}; the schedule waits for it.", capital(&message)));
    }
    if !inventory.is_connected() {
        warnings.push(format!(
            "Host {} is not connected: `{name}` was there when it was last seen.",
            inventory.host
        ));
    }
    judge(&inventory, &target, &name, action, &mut warnings, faults)?;
    Some(Found { target, name, warnings })
}

impl Found {
    fn narrowed(self, services: BTreeSet<String>) -> Self {
        let (target, name) = narrowed(self.target, self.name, services);
        Self { target, name, ..self }
    }
}

/// A target narrowed to services of its stack, and its name; unchanged without services.
pub(in crate::app) fn narrowed(target: Target, name: String, services: BTreeSet<String>) -> (Target, String) {
    match target.subject {
        Subject::Stack(stack) if !services.is_empty() => {
            let name = targets::part_name(&stack, &services);
            (Target::services(target.host, stack, services), name)
        }
        _ => (target, name),
    }
}

/// The name by which a stored schedule's target is given in a draft.
fn called(spec: &ScheduleSpec) -> &str {
    spec.target.subject.stack().unwrap_or(&spec.target_name)
}

/// The services that a draft names, unchecked.
fn named_services(draft: &Draft) -> BTreeSet<String> {
    let names = draft.services.text().unwrap_or_default().split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The services of a stack to which a draft narrows the schedule.
fn services(draft: &Draft, target_type: Option<TargetType>, faults: &mut Faults) -> BTreeSet<String> {
    let checked = check_services(draft, target_type.unwrap_or(TargetType::Stack));
    faults.take("services", checked).unwrap_or_default()
}

/// As [`named_services`], checked for a target of this type.
///
/// # Errors
/// What is wrong with them.
pub(in crate::app) fn check_services(
    draft: &Draft,
    target_type: TargetType,
) -> Result<BTreeSet<String>, String> {
    let services = named_services(draft);
    if services.is_empty() {
        return Ok(services);
    }
    if target_type != TargetType::Stack {
        return Err("only a stack has services; leave this out".to_owned());
    }
    if let Some(reason) = services.iter().find_map(|name| unschedulable_name(name)) {
        return Err(reason.to_owned());
    }
    if services.len() > MOST_SERVICES {
        return Err(format!("name {MOST_SERVICES} services at most"));
    }
    Ok(services)
}

/// A message about the first service that its stack does not have; `None` if it has all of them.
fn unknown_service(inventory: &Inventory, target: &Target) -> Option<String> {
    let (stack, services) = (target.subject.stack()?, target.subject.services()?);
    let members = inventory.containers.of_stack(stack);
    let known: BTreeSet<&str> = members.iter().filter_map(|one| one.service()).collect();
    let unknown = services.iter().find(|name| !known.contains(name.as_str()))?;
    let near = suggest(unknown, known.iter().copied());
    Some(did_you_mean(&format!("{} has no service `{}`", shorten(stack), shorten(unknown)), &near))
}

/// The target that a rules file or a label names. What is not there is waited for.
fn of_file(
    app: &App,
    known: &Target,
    name: &str,
    action: Option<Action>,
    faults: &mut Faults,
) -> Option<Found> {
    let found = |warnings| Found { target: known.clone(), name: name.to_owned(), warnings };
    if known.is_wide() {
        return Some(found(wide_warnings(app, known, action)));
    }
    let inventory = app.hosts.get(&known.host).map(|host| host.inventory());
    let mut warnings = Vec::new();
    match inventory.filter(|inventory| !inventory.members(&known.subject).is_empty()) {
        Some(inventory) => {
            let message = unknown_service(&inventory, known);
            warnings.extend(message.map(|one| format!("{}; the schedule waits for it.", capital(&one))));
            let is_locked = |one: &Arc<Container>| matches!(one.protection, Some(Protection::Lock(_)));
            let members = inventory.members(&known.subject);
            // A lock is for a while: the schedule acts again after it.
            if let Some(lock) = members.first().filter(|_| members.iter().all(is_locked)) {
                let reason = lock.protection.as_ref().map(Protection::reason).unwrap_or_default();
                warnings.push(format!("`{name}` is left alone: {reason}."));
            } else {
                judge(&inventory, known, name, action, &mut warnings, faults)?;
            }
        }
        None => warnings.push(format!(
            "There is no {} `{name}` on {} now, as far as is known; the schedule waits for it.",
            known.target_type(),
            known.host
        )),
    }
    Some(found(warnings))
}

/// A target and its current name, by exact name, otherwise by key.
fn find(inventory: &Inventory, target_type: TargetType, name: &str) -> Option<(Target, String)> {
    match target_type {
        TargetType::Stack => {
            let by_key = || inventory.stacks().into_iter().find(|stack| stack.key == name);
            let stack = inventory.stack(name).or_else(by_key)?;
            Some((Target::stack(stack.host, stack.name.clone()), stack.name))
        }
        TargetType::Container => {
            let container = inventory.by_name(name).or_else(|| inventory.by_key(name))?;
            Some((container.target(), container.name.clone()))
        }
        TargetType::Host | TargetType::Group => None,
    }
}

/// Warnings about a host or group: nothing is in it, or a start leaves off what is off on purpose.
fn wide_warnings(app: &App, target: &Target, action: Option<Action>) -> Vec<String> {
    let hosts = targets::hosts_of(app, target);
    let is_empty = hosts.iter().all(|host| host.inventory().members(&target.subject).is_empty());
    let mut warnings = Vec::new();
    if is_empty {
        let what = if target.target_type() == TargetType::Group { "this group" } else { "this host" };
        warnings.push(format!("There is no container in {what} now; the schedule waits for one."));
    }
    if action == Some(Action::Start) {
        warnings.push("It wakes what DockNap put to sleep there, and nothing else.".to_owned());
    }
    warnings
}

/// A target that does not exist now: accepted where its host is not connected, where the caller allows it, and where it
/// is the stored target of the schedule.
fn missing(
    inventory: &Inventory,
    draft: &Draft,
    target_type: TargetType,
    name: &str,
    stored: Option<&Schedule>,
    faults: &mut Faults,
) -> Option<Found> {
    let host = &inventory.host;
    let kept = stored.map(|schedule| &schedule.spec).filter(|spec| {
        let is_named = called(spec) == name || spec.target.key() == name;
        is_named && spec.target.host == *host && spec.target.target_type() == target_type
    });
    let (target, name) = match (kept, target_type) {
        (Some(ScheduleSpec { target, .. }), _) if let Some(stack) = target.subject.stack() => {
            (Target::stack(target.host.clone(), stack), stack.to_owned())
        }
        (Some(spec), _) => (spec.target.clone(), spec.target_name.clone()),
        (None, TargetType::Stack) => (Target::stack(host.clone(), name), name.to_owned()),
        (None, TargetType::Host | TargetType::Group) => return None,
        (None, TargetType::Container) => {
            let identity = ContainerIdentity::Name(name.to_owned());
            (Target::container(host.clone(), identity), name.to_owned())
        }
    };
    let warning = if !inventory.is_connected() {
        format!("Host {host} is not connected: whether `{name}` exists is not known.")
    } else if draft.allow_missing || kept.is_some() {
        format!("There is no {target_type} `{name}` now; the schedule waits for it.")
    } else {
        let near = match target_type {
            TargetType::Stack => suggest(&name, inventory.stacks().iter().map(|stack| stack.name.as_str())),
            _ => suggest(&name, inventory.containers.iter().map(|one| one.name.as_str())),
        };
        faults.add("target_id", did_you_mean(&format!("there is no {target_type} `{name}`"), &near));
        return None;
    };
    Some(Found { target, name, warnings: vec![warning] })
}

/// Checks for faults and warnings of a target that exists. `None` where a fault was added.
fn judge(
    inventory: &Inventory,
    target: &Target,
    name: &str,
    action: Option<Action>,
    warnings: &mut Vec<String>,
    faults: &mut Faults,
) -> Option<()> {
    let members = inventory.members(&target.subject);
    let is_container = matches!(target.subject, Subject::Container(_));
    let left_alone = members.first().filter(|_| is_container).and_then(|member| match member.kind {
        Kind::Ordinary => None,
        Kind::OneOff => Some("it is a one-off of `docker compose run`"),
        Kind::Hook => Some("it is a compose hook"),
        Kind::SwarmTask => Some("it is a swarm task, and swarm would replace it"),
    });
    if let Some(reason) = left_alone {
        faults.add("target_id", format!("`{name}` cannot be scheduled: {reason}"));
        return None;
    }
    faults.take("target_id", targets::unprotected(inventory, target, name))?;
    let pauses = members.iter().any(|member| member.protection.is_none() && member.is_ordinary());
    if action == Some(Action::Pause) && pauses {
        warnings.push("What is paused comes back running when the Docker daemon restarts.".to_owned());
    }
    for member in &members {
        let shown = &member.name;
        if let Some(protection) = &member.protection {
            warnings.push(format!("`{shown}` is left out: {}.", protection.reason()));
            continue;
        }
        if member.auto_remove && action == Some(Action::Start) && is_container {
            let message = "was made with --rm: once stopped it is gone, so it cannot be started";
            faults.add("action", format!("`{shown}` {message}"));
            return None;
        }
        if member.auto_remove && action == Some(Action::Stop) {
            warnings.push(format!("`{shown}` was made with --rm: stopping it removes it for good."));
        }
        if member.restart_policy == RestartPolicy::Always && action == Some(Action::Stop) {
            warnings.push(format!(
                "`{shown}` has restart policy `always`: it comes back when the Docker daemon restarts."
            ));
        }
    }
    Some(())
}
