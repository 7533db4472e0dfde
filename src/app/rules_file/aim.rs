//! The targets that a file names. They need not be there: a file may be older or newer than the containers, and its
//! hosts may be new.

use serde_json::{Map, Value};

use super::document::text_of;
use crate::app::draft::did_you_mean;
use crate::app::suggest::suggest;
use crate::app::{App, Error, targets};
use crate::domain::ids::{GroupId, HostId};
use crate::domain::target::{ContainerIdentity, Target, TargetType, unschedulable_name};
use crate::domain::text::shorten;

/// What can be named besides the hosts of this DockNap.
pub(super) struct Aim<'a> {
    app: &'a App,
    /// Id and name of the new hosts of the file.
    pub hosts: Vec<(HostId, String)>,
    /// Id and name of every group, also of the new ones of the file.
    pub groups: Vec<(GroupId, String)>,
}

/// A field that is wrong, and why.
type Wrong = (String, String);

/// The names of the fields that name a target.
pub(super) const TARGET: [&str; 3] = ["target_type", "target_id", "identity"];

impl<'a> Aim<'a> {
    pub fn new(app: &'a App) -> Self {
        Self { app, hosts: Vec::new(), groups: Vec::new() }
    }

    /// The target that three fields of a mapping name, with `host`, and its name.
    ///
    /// # Errors
    /// The field that is wrong, with what to write.
    pub fn find(
        &self,
        fields: &Map<String, Value>,
        [kind_field, id_field, identity_field]: [&str; 3],
    ) -> Result<(Target, String), Wrong> {
        let wrong = |field: &str, message: &str| (field.to_owned(), message.to_owned());
        let host = text_of(fields, "host");
        let Some(kind) = text_of(fields, kind_field).and_then(TargetType::parse) else {
            return Err(wrong(kind_field, "use stack, container, host or group"));
        };
        // Not trimmed: a name is compared exactly.
        let id = fields.get(id_field).and_then(Value::as_str).unwrap_or_default();
        match kind {
            TargetType::Group => {
                if host.is_some() {
                    return Err(wrong("host", "a group reaches across hosts: leave the host out"));
                }
                let Some((group, name)) = self.groups.iter().find(|(known, _)| known.as_str() == id.trim())
                else {
                    let near = suggest(id, self.groups.iter().map(|(known, _)| known.as_str()));
                    let message = format!("there is no group `{}`", shorten(id));
                    return Err(wrong(id_field, &did_you_mean(&message, &near)));
                };
                Ok((Target::group(group.clone()), name.clone()))
            }
            TargetType::Host => {
                let named = Some(id.trim()).filter(|id| !id.is_empty());
                if host.is_some() && named.is_some() && host != named {
                    return Err(wrong(id_field, "leave it out, or give the same host twice"));
                }
                let (host, name) = self.host(named.or(host))?;
                Ok((Target::host(host), name))
            }
            TargetType::Stack | TargetType::Container => {
                if let Some(reason) = unschedulable_name(id) {
                    return Err(wrong(id_field, if id.is_empty() { "say which one" } else { reason }));
                }
                let host = match host {
                    Some(_) => self.host(host)?.0,
                    None => {
                        let found = targets::host_with(self.app, None, kind, id).map_err(of_host)?;
                        found.id().clone()
                    }
                };
                if kind == TargetType::Stack {
                    return Ok((Target::stack(host, id), id.to_owned()));
                }
                let identity = match text_of(fields, identity_field) {
                    Some(text) => match ContainerIdentity::parse(text).filter(is_plain) {
                        Some(identity) => identity,
                        None => {
                            let message =
                                "write it as an export does: service:PROJECT/SERVICE/1 or name:NAME";
                            return Err(wrong(identity_field, message));
                        }
                    },
                    None => self.identity(&host, id),
                };
                Ok((Target::container(host, identity), id.to_owned()))
            }
        }
    }

    /// The identity of a container that is there now; its name alone where it is not.
    fn identity(&self, host: &HostId, name: &str) -> ContainerIdentity {
        let inventory = self.app.hosts.get(host).map(|host| host.inventory());
        let found = inventory.and_then(|inventory| inventory.by_name(name).map(|one| one.identity.clone()));
        found.unwrap_or_else(|| ContainerIdentity::Name(name.to_owned()))
    }

    fn host(&self, named: Option<&str>) -> Result<(HostId, String), Wrong> {
        if let Some((id, name)) = self.hosts.iter().find(|(id, _)| Some(id.as_str()) == named) {
            return Ok((id.clone(), name.clone()));
        }
        let found = targets::host(self.app, named).map_err(of_host)?;
        Ok((found.id().clone(), found.name().to_owned()))
    }
}

/// Whether the names in an identity are such that Docker gives.
fn is_plain(identity: &ContainerIdentity) -> bool {
    let is_plain = |name: &str| unschedulable_name(name).is_none();
    match identity {
        ContainerIdentity::Service { project, service, .. } => is_plain(project) && is_plain(service),
        ContainerIdentity::Name(name) => is_plain(name),
    }
}

fn of_host(error: Error) -> Wrong {
    let message = match error {
        Error::Invalid(faults) => {
            faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    };
    ("host".to_owned(), message)
}
