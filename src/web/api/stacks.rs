//! Stacks: views and actions.

use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::act;
use super::body::Body;
use super::containers::ContainerJson;
use super::submit::{ActBody, submit};
use super::target::Named;
use crate::app::schedules::{LabelFaults, label_faults};
use crate::app::stacks::{self, NextAction, ShownState, StackView};
use crate::app::{Actor, Result, targets};
use crate::domain::desired::Transition;
use crate::domain::ids::HostId;
use crate::domain::inventory::{Counts, Health, StackStatus};
use crate::domain::target::TargetType;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get("/stacks", Access::VIEWER, list).get("/stacks/{host}/{name}", Access::VIEWER, get).post(
        "/stacks/{host}/{name}/{action}",
        Access::OPERATOR,
        act,
    )
}

// A type of its own, since fields of Docker and of DockNap are on one level, and the labels depend on the role.
/// A stack.
#[derive(Serialize, ToSchema)]
pub struct StackJson {
    host: String,
    name: String,
    /// Usable instead of the name in any path.
    key: String,
    status: StackStatus,
    health: Health,
    /// The state in DockNap.
    shown: ShownState,
    counts: Counts,
    containers: Vec<ContainerJson>,
    /// The desired state: `awake`, `asleep`, `hold` or `none`.
    desired: &'static str,
    why: String,
    /// The next three changes of the desired state.
    transitions: Vec<Transition>,
    next: Option<NextAction>,
    /// The reason why DockNap never acts on it, where all of it is protected.
    protected: Option<String>,
}

impl StackJson {
    fn new(view: StackView, actor: &Actor, faults: &LabelFaults) -> Self {
        let (why, stack) = (view.why(), view.stack);
        Self {
            host: stack.host.0,
            name: stack.name,
            key: stack.key,
            status: stack.status,
            health: stack.health,
            shown: view.shown,
            counts: stack.counts,
            containers: view
                .containers
                .into_iter()
                .map(|view| ContainerJson::new(view, actor, faults))
                .collect(),
            desired: view.wanted.word(),
            why,
            transitions: view.wanted.transitions.clone(),
            next: view.next.as_deref().cloned(),
            protected: view.protected,
        }
    }
}

/// Lists all stacks.
#[utoipa::path(get, path = "/api/stacks", tag = "stacks", operation_id = "list_stacks",
    responses((status = 200, body = Vec<StackJson>)))]
pub async fn list(caller: Caller<Viewer>) -> Result<Json<Vec<StackJson>>> {
    let views = stacks::list(&caller.app, &caller.actor).await?;
    let faults = label_faults(&caller.app, &caller.actor, None).await?;
    Ok(Json(views.into_iter().map(|view| StackJson::new(view, &caller.actor, &faults)).collect()))
}

/// Returns one stack, by its percent-encoded name or its key.
#[utoipa::path(get, path = "/api/stacks/{host}/{name}", tag = "stacks", operation_id = "get_stack",
    responses((status = 200, body = StackJson)))]
pub async fn get(caller: Caller<Viewer>, Path((host, name)): Named) -> Result<Json<StackJson>> {
    let view = stacks::get(&caller.app, &caller.actor, &host, &name).await?;
    let faults = label_faults(&caller.app, &caller.actor, Some(&host)).await?;
    Ok(Json(StackJson::new(view, &caller.actor, &faults)))
}

/// Acts on one stack: `start`, `stop`, `restart`, `pause` or `unpause`, or `nap` or `wake` with `until` and `reason`.
#[utoipa::path(post, path = "/api/stacks/{host}/{name}/{action}", tag = "stacks", operation_id = "act_on_stack",
    params(("action" = String, Path, description = "start, stop, restart, pause, unpause, nap or wake")),
        request_body(content = Option<ActBody>), responses((status = 202, body = act::Accepted),
        (status = 200, body = act::Accepted), (status = 403)))]
pub async fn act(
    caller: Caller<Operator>,
    Path((host, name, action)): Path<(HostId, String, String)>,
    body: Body<ActBody>,
) -> Result<Response> {
    let target = targets::resolve(&caller.app, &host, TargetType::Stack, &name);
    submit(&caller, target, &action, body).await
}
