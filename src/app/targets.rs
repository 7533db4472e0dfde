//! Lookup of stacks and containers by name or key. [`resolve`] and [`named`] find a target, `touchable` and
//! `unprotected` refuse targets that DockNap must not act on, and `name` returns the display name.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::App;
use super::draft::did_you_mean;
use super::error::{Error, Result};
use super::suggest::suggest;
use crate::docker::Host;
use crate::domain::group::{self, Group};
use crate::domain::ids::HostId;
use crate::domain::inventory::{Container, Inventory, Kind, Link, is_replaced_name};
use crate::domain::target::{self, ContainerIdentity, Subject, Target, TargetType};
use crate::domain::text::shorten;

/// The target with this name or 16-digit key on a host.
///
/// # Errors
/// [`Error::NotFound`] with similar names; [`Error::Docker`] while the host has never been connected.
pub fn resolve(app: &App, host: &HostId, target_type: TargetType, name: &str) -> Result<Target> {
    let inventory = inventory_of(app, host)?;
    if inventory.seen_at.is_none() {
        reachable(app, host)?;
    }
    let found = match target_type {
        TargetType::Stack => {
            let stacks = inventory.stacks();
            let found = stacks.iter().find(|stack| stack.name == name || stack.key == name);
            found.map(|stack| Target::stack(host.clone(), stack.name.clone()))
        }
        TargetType::Container => {
            inventory.by_name(name).or_else(|| inventory.by_key(name)).map(|found| found.target())
        }
        TargetType::Host => app.hosts.get(&HostId::from(name)).map(|host| Target::host(host.id().clone())),
        TargetType::Group => group::parse_id(name).map(Target::group),
    };
    found.ok_or_else(|| not_found(&inventory, target_type, name))
}

/// The target with this name or key on any host; a host or group by its id.
///
/// # Errors
/// [`Error::Conflict`] where several hosts have a target of this name; otherwise as [`resolve`] for the first host.
pub fn find(app: &App, target_type: TargetType, name: &str) -> Result<Target> {
    match target_type {
        TargetType::Host => {
            let host = app.hosts.get(&HostId::from(name)).map(|host| Target::host(host.id().clone()));
            return host.ok_or_else(|| Error::not_found("host", shorten(name)));
        }
        TargetType::Group => {
            let group = group::parse_id(name).map(Target::group);
            return group.ok_or_else(|| Error::not_found("group", shorten(name)));
        }
        TargetType::Stack | TargetType::Container => {}
    }
    let (mut found, mut first_error) = (Vec::new(), None);
    for host in app.hosts.all() {
        match resolve(app, host.id(), target_type, name) {
            Ok(target) => found.push(target),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    if found.len() > 1 {
        return Err(Error::conflict("ambiguous_name", on_several(app, target_type, name, &found)));
    }
    found.pop().ok_or_else(|| first_error.unwrap_or_else(|| Error::not_found(target_type.as_str(), name)))
}

/// The message for a name that several hosts know.
fn on_several(app: &App, target_type: TargetType, name: &str, found: &[Target]) -> String {
    let called = |target: &Target| app.hosts.get(&target.host).map(|host| host.name().to_owned());
    let hosts: Vec<String> = found.iter().filter_map(called).collect();
    format!("there is a {target_type} `{}` on several hosts ({}); say which", shorten(name), hosts.join(", "))
}

/// The host of the target with this name or key; the first host where none or several have such a target.
pub fn host_of(app: &App, target_type: TargetType, name: &str) -> HostId {
    let first = || app.hosts.first().map_or_else(|| HostId::from(""), |host| host.id().clone());
    find(app, target_type, name).map_or_else(|_| first(), |target| target.host)
}

/// The host that a field names; where it is empty, the one that has a target of this name or key, or else the first one.
///
/// # Errors
/// [`Error::Invalid`] for `host`: there is no such host, or several hosts have such a target.
pub fn host_with(app: &App, named: Option<&str>, target_type: TargetType, name: &str) -> Result<Arc<Host>> {
    if named.is_none_or(|named| named.trim().is_empty()) {
        match find(app, target_type, name) {
            Ok(target) => return host(app, Some(target.host.as_str())),
            Err(Error::Conflict { code: "ambiguous_name", message }) => {
                return Err(Error::field("host", message));
            }
            Err(_) => {
                let no_host = || Error::field("host", "there is no host yet; add one first");
                return app.hosts.first().ok_or_else(no_host);
            }
        }
    }
    host(app, named)
}

/// The host with this id; the only host where the field is empty.
///
/// # Errors
/// [`Error::Invalid`] for `host`.
pub fn host(app: &App, named: Option<&str>) -> Result<Arc<Host>> {
    match named.map(str::trim).filter(|named| !named.is_empty()) {
        None => match app.hosts.all().as_slice() {
            [] => Err(Error::field("host", "there is no host yet; add one first")),
            [only] => Ok(Arc::clone(only)),
            hosts => {
                let ids: Vec<&str> = hosts.iter().map(|host| host.id().as_str()).collect();
                Err(Error::field("host", format!("say which host: {}", ids.join(", "))))
            }
        },
        Some(named) => app
            .hosts
            .get(&HostId::from(named))
            .ok_or_else(|| Error::field("host", format!("there is no host `{}`", shorten(named)))),
    }
}

/// As [`resolve`], for names from the fields of a form or body: a missing target is an error of the field.
///
/// # Errors
/// [`Error::Invalid`] for `host` or `target_id`; [`Error::Docker`] as for [`resolve`].
pub fn named(app: &App, host: &HostId, target_type: TargetType, name: &str) -> Result<Target> {
    resolve(app, host, target_type, name).map_err(|error| match error {
        Error::NotFound { what: "host", name, .. } => {
            Error::field("host", format!("there is no host `{}`", shorten(&name)))
        }
        Error::NotFound { what, name, near } => {
            let near: Vec<String> = near.iter().map(|near| format!("`{near}`")).collect();
            let hint = if near.is_empty() {
                String::new()
            } else {
                format!("; did you mean {}?", near.join(" or "))
            };
            Error::field("target_id", format!("there is no {what} `{}`{hint}", shorten(&name)))
        }
        other => other,
    })
}

/// A host or group with its name, as a form or body names it: a host by `host` or `target_id`, a group by `target_id`;
/// `None` for the other types.
///
/// # Errors
/// [`Error::Invalid`] for `host` or `target_id`.
pub fn wide(
    app: &App,
    groups: &[Group],
    target_type: TargetType,
    host: Option<&str>,
    id: Option<&str>,
) -> Result<Option<(Target, String)>> {
    let filled = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let (host, id) = (filled(host), filled(id));
    match target_type {
        TargetType::Stack | TargetType::Container => Ok(None),
        TargetType::Host => {
            if let (Some(host), Some(id)) = (&host, &id)
                && host != id
            {
                return Err(Error::field("target_id", "leave it out, or give the same host twice"));
            }
            let named = id.or(host);
            // The API gives the key of a target too.
            let by_key = app
                .hosts
                .all()
                .into_iter()
                .find(|one| named.as_deref() == Some(Target::host(one.id().clone()).key().as_str()));
            let found = by_key.map_or_else(|| self::host(app, named.as_deref()), Ok)?;
            Ok(Some((Target::host(found.id().clone()), found.name().to_owned())))
        }
        TargetType::Group => {
            if host.is_some() {
                return Err(Error::field("host", "a group reaches across hosts: leave the host out"));
            }
            let Some(id) = id else { return Err(Error::field("target_id", "say which group")) };
            let is_it = |one: &&Group| one.id.as_str() == id || Target::group(one.id.clone()).key() == id;
            let Some(found) = groups.iter().find(is_it) else {
                let near = suggest(&id, groups.iter().map(|one| one.id.as_str()));
                let message = format!("there is no group `{}`", shorten(&id));
                return Err(Error::field("target_id", did_you_mean(&message, &near)));
            };
            Ok(Some((Target::group(found.id.clone()), found.spec.name.clone())))
        }
    }
}

/// The members of a target with these names, keys or identities, sorted and without duplicates.
///
/// # Errors
/// [`Error::Invalid`] for `also_start` where a name matches no member.
pub fn named_members<'a>(
    app: &App,
    target: &Target,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<ContainerIdentity>> {
    let members = inventory_of(app, &target.host)?.members(&target.subject);
    let mut named = Vec::new();
    for name in names {
        let matches = |one: &Container| {
            one.is_ordinary() && (one.name == name || one.key() == name || one.identity.to_text() == name)
        };
        let Some(member) = members.iter().find(|member| matches(member)) else {
            let message = format!("there is no container `{}` in it", shorten(name));
            return Err(Error::field("also_start", message));
        };
        named.push(member.identity.clone());
    }
    named.sort();
    named.dedup();
    Ok(named)
}

/// The present display name of a target.
pub(crate) fn name(app: &App, target: &Target) -> String {
    let host = app.hosts.get(&target.host);
    let wide = match &target.subject {
        Subject::Host => host.as_ref().map(|host| host.name().to_owned()),
        Subject::Group(id) => app.rulebook.group_name(id),
        Subject::Stack(_) | Subject::Services { .. } | Subject::Container(_) => None,
    };
    let inventory = host.map_or_else(|| Inventory::empty(target.host.clone()), |host| host.inventory());
    present_name(&inventory, target, wide.as_deref())
}

/// A name with the host of its target, where there is more than one host.
pub(crate) fn placed(app: &App, name: String, target: &Target) -> String {
    let Some(id) = target.on_host() else { return name };
    let hosts = app.hosts.all();
    match hosts.iter().find(|one| one.id() == id) {
        Some(_) if hosts.len() == 1 => name,
        Some(host) => format!("{name} on {}", host.name()),
        None => format!("{name} on {id}"),
    }
}

/// The display name of a target: the stack's name, or the container's present name. For a container that does not
/// exist, or is not known yet, `known_as`; without that, its identity in compose, which is not a container name.
pub(super) fn present_name(inventory: &Inventory, target: &Target, known_as: Option<&str>) -> String {
    let identity = match &target.subject {
        Subject::Container(identity) => identity,
        Subject::Stack(name) => return name.clone(),
        Subject::Services { stack, services } => return part_name(stack, services),
        Subject::Host => return known_as.unwrap_or(target.host.as_str()).to_owned(),
        Subject::Group(id) => return known_as.unwrap_or(id.as_str()).to_owned(),
    };
    let present = inventory.by_identity(identity).map(|container| container.name.as_str());
    match present.filter(|name| !is_replaced_name(name)).or(known_as).or(present) {
        Some(name) => name.to_owned(),
        None => without_container(identity),
    }
}

/// The display name of services of a stack: `media (web, worker)`.
pub(super) fn part_name(stack: &str, services: &BTreeSet<String>) -> String {
    format!("{stack} ({})", services.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
}

/// The display name of a container that does not exist.
fn without_container(identity: &ContainerIdentity) -> String {
    match identity {
        ContainerIdentity::Name(name) => name.clone(),
        ContainerIdentity::Service { project, service, number } => format!("{project}/{service}/{number}"),
    }
}

/// The members of a target that overrides apply to: no one-off containers, hooks or swarm tasks.
pub(super) fn members(inventory: &Inventory, target: &Target) -> Vec<ContainerIdentity> {
    let members = inventory.members(&target.subject);
    members.iter().filter(|member| member.is_ordinary()).map(|member| member.identity.clone()).collect()
}

/// The hosts that a target may have containers on: all for a group, unless it is the part on one host.
pub fn hosts_of(app: &App, target: &Target) -> Vec<Arc<Host>> {
    match target.on_host() {
        Some(host) => app.hosts.get(host).into_iter().collect(),
        None => app.hosts.all(),
    }
}

/// The last known inventory of a host.
///
/// # Errors
/// [`Error::NotFound`] where there is no such host.
pub(super) fn inventory_of(app: &App, host: &HostId) -> Result<Inventory> {
    let found = app.hosts.get(host).ok_or_else(|| Error::not_found("host", shorten(host.as_str())))?;
    Ok(found.inventory())
}

/// The inventory of a host that must be connected.
///
/// # Errors
/// [`Error::NotFound`] where there is no such host; [`Error::Docker`] where the host is not connected;
/// [`Error::Conflict`] where it is disabled.
pub(super) fn reachable(app: &App, host: &HostId) -> Result<Inventory> {
    let inventory = inventory_of(app, host)?;
    let message = match &inventory.link {
        Link::Connected { .. } => return Ok(inventory),
        Link::Connecting => "Docker is not connected yet; try again in a moment".to_owned(),
        Link::Unreachable { reason, .. } => format!("Docker cannot be reached: {reason}"),
        Link::Disabled => {
            let message = format!("the host {} is disabled; an admin can enable it", shorten(host.as_str()));
            return Err(Error::conflict("host_disabled", message));
        }
    };
    Err(Error::Docker { message })
}

/// Refuses a target without containers.
///
/// # Errors
/// [`Error::NotFound`] with similar names.
pub(super) fn known(inventory: &Inventory, target: &Target) -> Result<()> {
    if !inventory.members(&target.subject).is_empty() {
        return Ok(());
    }
    Err(match &target.subject {
        Subject::Services { stack, services } if inventory.has_stack(stack) => {
            let services = services.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            Error::not_found("service", format!("{services} of stack {stack}"))
        }
        Subject::Stack(name)
        | Subject::Services { stack: name, .. }
        | Subject::Container(ContainerIdentity::Name(name)) => {
            not_found(inventory, target.target_type(), name)
        }
        Subject::Container(identity) => Error::not_found("container", without_container(identity)),
        // A host or group may be empty.
        Subject::Host | Subject::Group(_) => return Ok(()),
    })
}

/// The error for an unknown name or key, with similar names.
pub(super) fn not_found(inventory: &Inventory, target_type: TargetType, name: &str) -> Error {
    let near = match target_type {
        TargetType::Stack => suggest(name, inventory.stacks().iter().map(|stack| stack.name.as_str())),
        TargetType::Container => suggest(name, inventory.containers.iter().map(|one| one.name.as_str())),
        TargetType::Host | TargetType::Group => Vec::new(),
    };
    Error::NotFound { what: target_type.as_str(), name: name.to_owned(), near }
}

/// Refuses targets that DockNap must not act on: protected containers, stacks with only protected containers, swarm
/// tasks, one-off containers and hooks.
pub(super) fn touchable(inventory: &Inventory, target: &Target, name: &str) -> Result<()> {
    if let Some(reason) = target::unschedulable_name(name) {
        return Err(Error::field("target_id", format!("this cannot be acted on: {reason}")));
    }
    unprotected(inventory, target, name)?;
    if let (Subject::Container(_), Some(member)) =
        (&target.subject, inventory.members(&target.subject).first())
    {
        let message = match member.kind {
            Kind::Ordinary => return Ok(()),
            Kind::SwarmTask => "it is a swarm task: swarm would replace it; scale the service instead",
            Kind::OneOff => "it is a one-off container of `docker compose run`; DockNap leaves those alone",
            Kind::Hook => "it is a compose hook; DockNap leaves those alone",
        };
        return Err(Error::conflict("not_schedulable", format!("`{name}`: {message}")));
    }
    Ok(())
}

/// Refuses a target with only protected containers.
pub(super) fn unprotected(inventory: &Inventory, target: &Target, name: &str) -> Result<()> {
    let members = inventory.members(&target.subject);
    match members.first().and_then(|member| member.protection.as_ref()) {
        Some(protection) if members.iter().all(|member| member.protection.is_some()) => {
            Err(Error::Protected { name: name.to_owned(), reason: protection.reason().to_owned() })
        }
        _ => Ok(()),
    }
}
