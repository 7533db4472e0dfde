//! Targets in requests and responses.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::Path;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::rulebook::RuleBook;
use crate::app::{App, Error, Result, history, targets};
use crate::domain::group::{Area, InGroup};
use crate::domain::ids::{GroupId, HostId};
use crate::domain::target::{Subject, Target, TargetType};
use crate::domain::text::shorten;

/// Host and name in a path.
pub type Named = Path<(HostId, String)>;

/// A target in a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct TargetJson {
    /// The id of the host. Default: the host that has such a target.
    #[serde(default)]
    #[schema(value_type = String)]
    pub host: Option<String>,
    /// `stack` or `container`.
    pub target_type: String,
    /// Name or key.
    pub target_id: String,
}

impl TargetJson {
    /// The target with this name; sets a missing host.
    pub(super) fn resolve(&mut self, app: &App) -> Result<Target> {
        let target_type = TargetType::parse_narrow(&self.target_type)
            .ok_or_else(|| Error::field("target_type", "use stack or container"))?;
        let host = targets::host_with(app, self.host.as_deref(), target_type, &self.target_id)?;
        self.host = Some(host.id().to_string());
        targets::named(app, host.id(), target_type, &self.target_id)
    }
}

/// A target of any kind that exists, from the fields of a query string.
pub(super) async fn existing(
    app: &App,
    host: Option<&HostId>,
    target_type: String,
    target_id: String,
) -> Result<Target> {
    let host = host.map(ToString::to_string);
    let Some(kind @ (TargetType::Host | TargetType::Group)) = TargetType::parse(&target_type) else {
        return TargetJson { host, target_type, target_id }.resolve(app);
    };
    let book = RuleBook::load(app).await?;
    // With a host, the part of a group on it is asked for beside.
    let host = host.filter(|_| kind == TargetType::Host);
    let found = targets::wide(app, &book.groups, kind, host.as_deref(), Some(&target_id))?;
    found.map(|(target, _)| target).ok_or_else(|| Error::not_found("target", shorten(&target_id)))
}

/// The id of a target in a response: of a host or group its id, otherwise its name.
pub(super) fn target_id(target: &Target, name: String) -> String {
    match &target.subject {
        Subject::Host => target.host.to_string(),
        Subject::Group(id) => id.to_string(),
        Subject::Services { stack, .. } => stack.clone(),
        Subject::Stack(_) | Subject::Container(_) => name,
    }
}

/// A target in a response.
#[derive(Serialize, ToSchema)]
pub struct TargetFields {
    /// `null` for a group, which reaches across hosts; its runs name the host of their part.
    host: Option<String>,
    target_type: TargetType,
    /// The name of the stack or container, for a run and a lock the name at that time; the id of the host or group.
    target_id: String,
    /// The services, if the target is only a part of its stack; otherwise `null`.
    services: Option<BTreeSet<String>>,
    /// Usable instead of the target's name in any path.
    target_key: String,
}

impl TargetFields {
    pub fn new(target: &Target, name: String) -> Self {
        Self {
            host: target.on_host().map(ToString::to_string),
            target_type: target.target_type(),
            target_id: target_id(target, name),
            services: target.subject.services().cloned(),
            target_key: target.key(),
        }
    }
}

/// The host in a query string.
pub fn known_host(app: &App, host: Option<String>) -> Result<Option<HostId>> {
    let host = host.map(HostId);
    match &host {
        Some(unknown) if app.hosts.get(unknown).is_none() => {
            Err(Error::field("host", format!("there is no host `{}`", shorten(unknown.as_str()))))
        }
        _ => Ok(host),
    }
}

/// The group in a query string.
pub async fn known_group(app: &App, group: Option<String>) -> Result<Option<InGroup>> {
    let Some(group) = past_group(app, group).await? else { return Ok(None) };
    let book = RuleBook::load(app).await?;
    if book.groups.iter().any(|known| known.id == group.id) {
        return Ok(Some(group));
    }
    Err(Error::field("group", format!("there is no group `{}`", shorten(group.id.as_str()))))
}

/// The group in a query string, which may be deleted since.
pub async fn past_group(app: &App, group: Option<String>) -> Result<Option<InGroup>> {
    let Some(group) = group else { return Ok(None) };
    let book = RuleBook::load(app).await?;
    Ok(Some(InGroup::new(GroupId(group), Arc::clone(book.rules.groups()))))
}

/// The host and group in a query string.
pub async fn known_area(app: &App, host: Option<String>, group: Option<String>) -> Result<Area> {
    Ok(Area { host: known_host(app, host)?, group: known_group(app, group).await? })
}

/// The host and target in the filter of a query string. A container that does not exist any more is found by its exact
/// name only where it never belonged to a stack.
pub fn target_filter(
    app: &App,
    host: Option<String>,
    target_type: Option<TargetType>,
    target_id: Option<String>,
) -> Result<(Option<HostId>, Option<Target>)> {
    let host = known_host(app, host)?;
    let target = match (target_type, target_id) {
        (None, None) => None,
        (Some(TargetType::Host), Some(name)) => {
            known_host(app, Some(name.clone()))?;
            Some(Target::host(HostId(name)))
        }
        (Some(TargetType::Group), Some(name)) => {
            let group = targets::find(app, TargetType::Group, &name);
            let group = group
                .map_err(|_| Error::field("target_id", format!("there is no group `{}`", shorten(&name))))?;
            // With a host, the part of the group on it.
            Some(Target { host: host.clone().unwrap_or(group.host), subject: group.subject })
        }
        (Some(target_type), Some(name)) => {
            let on = targets::host_with(app, host.as_ref().map(HostId::as_str), target_type, &name)?;
            Some(history::target_named(app, on.id(), target_type, &name))
        }
        _ => return Err(Error::field("target_id", "target_type and target_id go together")),
    };
    Ok((host, target))
}
