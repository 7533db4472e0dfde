//! Containers: views and actions.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::act;
use super::body::Body;
use super::submit::{ActBody, submit};
use super::target::Named;
use crate::app::schedules::{LabelFaults, label_faults};
use crate::app::stacks::{self, ContainerView, NextAction, ShownState};
use crate::app::{Actor, App, Error, Result, targets};
use crate::domain::desired::Transition;
use crate::domain::ids::HostId;
use crate::domain::inventory::{ContainerState, Health};
use crate::domain::permission::Permission;
use crate::domain::target::TargetType;
use crate::domain::time::Instant;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

/// Prefixes of the labels that every user may see (rulings 21).
const PUBLIC_LABELS: [&str; 3] = ["com.docker.compose.", "docknap.", "org.opencontainers.image."];

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/containers", Access::VIEWER, list)
        .get("/containers/{host}/{name}", Access::VIEWER, get)
        .post("/containers/{host}/{name}/{action}", Access::OPERATOR, act)
}

// A type of its own, since fields of Docker and of DockNap are on one level, and the labels depend on the role.
/// A container.
#[derive(Serialize, ToSchema)]
pub struct ContainerJson {
    host: String,
    /// Docker's id, which changes when the container is re-created.
    id: String,
    /// Usable instead of the name in any path.
    key: String,
    name: String,
    image: String,
    /// The state in Docker.
    state: ContainerState,
    health: Health,
    /// Docker's status text.
    status: String,
    /// The state in DockNap.
    shown: ShownState,
    /// Viewers see only labels of compose, DockNap and the image.
    labels: BTreeMap<String, String>,
    /// What is wrong with labels of DockNap, by label.
    label_errors: BTreeMap<String, String>,
    stack: Option<String>,
    service: Option<String>,
    exit_code: Option<i64>,
    /// The desired state: `awake`, `asleep`, `hold` or `none`.
    desired: &'static str,
    why: String,
    /// The next three changes of the desired state.
    transitions: Vec<Transition>,
    napping_since: Option<Instant>,
    next: Option<NextAction>,
    /// The reason why DockNap never acts on it; `null` where it is not protected.
    protected: Option<String>,
}

impl ContainerJson {
    pub(super) fn new(view: ContainerView, actor: &Actor, faults: &LabelFaults) -> Self {
        let all = actor.role.allows(Permission::Operate);
        let container = &view.container;
        let shown = |name: &str| all || PUBLIC_LABELS.iter().any(|start| name.starts_with(start));
        let labels = container.labels.iter().filter(|(name, _)| shown(name));
        Self {
            host: container.host.0.clone(),
            id: container.id.clone(),
            key: container.key(),
            name: container.name.clone(),
            image: container.image.clone(),
            state: container.state,
            health: container.health,
            status: container.status.clone(),
            shown: view.shown,
            labels: BTreeMap::from_iter(labels.map(|(name, value)| (name.clone(), value.clone()))),
            label_errors: faults.of(container).cloned().unwrap_or_default(),
            stack: container.stack().map(str::to_owned),
            service: container.service().map(str::to_owned),
            exit_code: container.exit_code,
            desired: view.wanted.word(),
            why: view.why(),
            transitions: view.wanted.transitions.clone(),
            napping_since: view.napping_since.map(Instant),
            next: view.next.as_deref().cloned(),
            protected: view.protected,
        }
    }
}

/// The number of digits of an id that are enough, as `docker ps` shows them.
const SHORT_ID: usize = 12;

/// The container name for a path segment. An exact name and a key are returned unchanged; Docker's id, or its
/// beginning, is replaced by the name. The id is never stored, since it changes when the container is re-created
/// (rulings 76).
///
/// # Errors
/// [`Error::Conflict`] where several ids begin with the segment.
pub(super) fn named(app: &App, host: &HostId, path: String) -> Result<String> {
    let is_id = (SHORT_ID..=64).contains(&path.len()) && path.bytes().all(|digit| digit.is_ascii_hexdigit());
    let Some(host) = app.hosts.get(host).filter(|_| is_id) else { return Ok(path) };
    let inventory = host.inventory();
    if inventory.containers.iter().any(|one| one.name == path || one.key() == path) {
        return Ok(path);
    }
    let id = path.to_ascii_lowercase();
    let names: Vec<&str> =
        inventory.containers.iter().filter(|one| one.id.starts_with(&id)).map(|one| &*one.name).collect();
    match names.as_slice() {
        [] => Ok(path),
        [name] => Ok((*name).to_owned()),
        names => {
            let message =
                format!("several ids begin so ({}); use more of the id, or the name", names.join(", "));
            Err(Error::Conflict { code: "ambiguous_id", message })
        }
    }
}

/// Lists all containers.
#[utoipa::path(get, path = "/api/containers", tag = "containers", operation_id = "list_containers",
    responses((status = 200, body = Vec<ContainerJson>)))]
pub async fn list(caller: Caller<Viewer>) -> Result<Json<Vec<ContainerJson>>> {
    let views = stacks::containers(&caller.app, &caller.actor).await?;
    let faults = label_faults(&caller.app, &caller.actor, None).await?;
    Ok(Json(views.into_iter().map(|view| ContainerJson::new(view, &caller.actor, &faults)).collect()))
}

/// Returns one container, by its percent-encoded name, its key, or at least 12 digits of its id.
#[utoipa::path(get, path = "/api/containers/{host}/{name}", tag = "containers", operation_id = "get_container",
    responses((status = 200, body = ContainerJson)))]
pub async fn get(caller: Caller<Viewer>, Path((host, name)): Named) -> Result<Json<ContainerJson>> {
    let name = named(&caller.app, &host, name)?;
    let view = stacks::container(&caller.app, &caller.actor, &host, &name).await?;
    let faults = label_faults(&caller.app, &caller.actor, Some(&host)).await?;
    Ok(Json(ContainerJson::new(view, &caller.actor, &faults)))
}

/// Acts on one container: `start`, `stop`, `restart`, `pause` or `unpause`, or `nap` or `wake` with `until` and
/// `reason`.
#[utoipa::path(post, path = "/api/containers/{host}/{name}/{action}", tag = "containers",
    operation_id = "act_on_container",
    params(("action" = String, Path, description = "start, stop, restart, pause, unpause, nap or wake")),
        request_body(content = Option<ActBody>), responses((status = 202, body = act::Accepted),
        (status = 200, body = act::Accepted), (status = 403)))]
pub async fn act(
    caller: Caller<Operator>,
    Path((host, name, action)): Path<(HostId, String, String)>,
    body: Body<ActBody>,
) -> Result<Response> {
    let target = named(&caller.app, &host, name)
        .and_then(|name| targets::resolve(&caller.app, &host, TargetType::Container, &name));
    submit(&caller, target, &action, body).await
}
