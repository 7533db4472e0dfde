//! Stacks: what there is, and the five things that can be done to one.

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::act;
use super::body::Body;
use super::containers::{Asked, ContainerJson};
use super::instant::Instant;
use crate::app::stacks::{self, NextAction, ShownState, StackView};
use crate::app::{Actor, App, Result};
use crate::domain::action::Action;
use crate::domain::desired::Transition;
use crate::domain::ids::HostId;
use crate::domain::inventory::{Counts, Health, StackStatus};
use crate::domain::overrides::Wanted;
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

/// A stack.
#[derive(Serialize, ToSchema)]
pub struct StackJson {
    host: String,
    name: String,
    /// Stands for the name in any path.
    key: String,
    status: StackStatus,
    health: Health,
    /// DockNap's word.
    shown: ShownState,
    counts: Counts,
    containers: Vec<ContainerJson>,
    /// `awake`, `asleep`, `hold` or `none`.
    desired: &'static str,
    why: String,
    /// The next three changes of what is wanted.
    transitions: Vec<ChangeJson>,
    next: Option<NextJson>,
    /// Why it is never touched, where that holds for all of it.
    protected: Option<String>,
}

/// What a schedule does next.
#[derive(Serialize, ToSchema)]
pub struct NextJson {
    at: Instant,
    action: Action,
    schedule_id: String,
    schedule_title: String,
}

impl From<&NextAction> for NextJson {
    fn from(next: &NextAction) -> Self {
        Self {
            at: Instant(next.at),
            action: next.action,
            schedule_id: next.schedule_id.0.clone(),
            schedule_title: next.schedule_title.clone(),
        }
    }
}

/// A change of what is wanted.
#[derive(Serialize, ToSchema)]
pub struct ChangeJson {
    at: Instant,
    /// `awake`, `asleep`, `hold` or `none`.
    state: &'static str,
    /// Who says so: a schedule's title, `override` or `hold`; empty for nobody.
    by: String,
    schedule_id: Option<String>,
}

impl From<Transition> for ChangeJson {
    fn from(change: Transition) -> Self {
        Self {
            at: Instant(change.at),
            state: change.wanted.map_or("none", Wanted::as_str),
            by: change.by,
            schedule_id: change.schedule.map(|id| id.0),
        }
    }
}

/// What may be said with an action.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Body` reads")]
pub struct ActBody {
    /// Why; kept with the run.
    reason: Option<String>,
    /// Stop grace; by default the container's own. Not for `nap` and `wake`.
    #[schema(minimum = 0, maximum = 3600)]
    stop_timeout_seconds: Option<i64>,
    /// For `start`: the names or keys of containers that ended with 0 while nobody watched, and that are started too. A
    /// plan tells them as `unwatched`.
    also_start: Option<Vec<String>>,
    /// For `nap` and `wake`: when it ends, as for an override; by default at the windows' next edge.
    until: Option<String>,
}

impl StackJson {
    fn new(view: StackView, actor: &Actor) -> Self {
        let (why, stack) = (view.why(), view.stack);
        Self {
            host: stack.host.0,
            name: stack.name,
            key: stack.key,
            status: stack.status,
            health: stack.health,
            shown: view.shown,
            counts: stack.counts,
            containers: view.containers.into_iter().map(|view| ContainerJson::new(view, actor)).collect(),
            desired: view.wanted.word(),
            why,
            transitions: view.wanted.transitions.iter().cloned().map(ChangeJson::from).collect(),
            next: view.next.as_deref().map(NextJson::from),
            protected: view.protected,
        }
    }
}

/// All stacks.
#[utoipa::path(get, path = "/api/stacks", tag = "stacks", operation_id = "list_stacks", responses((status = 200, body = Vec<StackJson>)))]
pub(super) async fn list(caller: Caller<Viewer>, State(app): State<App>) -> Result<Json<Vec<StackJson>>> {
    let views = stacks::list(&app, &caller.actor).await?;
    Ok(Json(views.into_iter().map(|view| StackJson::new(view, &caller.actor)).collect()))
}

/// One stack, by its percent-encoded name or its key.
#[utoipa::path(get, path = "/api/stacks/{host}/{name}", tag = "stacks", operation_id = "get_stack",
    params(("host" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = StackJson), (status = 404, body = super::openapi::Problem)))]
pub(super) async fn get(
    caller: Caller<Viewer>,
    State(app): State<App>,
    Path((host, name)): Path<(String, String)>,
) -> Result<Json<StackJson>> {
    let view = stacks::get(&app, &caller.actor, &HostId(host), &name).await?;
    Ok(Json(StackJson::new(view, &caller.actor)))
}

/// Does something to one stack: an action, or `nap` or `wake` with `until` and `reason`.
#[utoipa::path(post, path = "/api/stacks/{host}/{name}/{action}", tag = "stacks", operation_id = "act_on_stack",
    params(("host" = String, Path), ("name" = String, Path), ("action" = String, Path, description = "start, stop, restart, pause, unpause, nap or wake"),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = Option<ActBody>),
    responses((status = 202, body = act::Accepted), (status = 200, body = act::Accepted),
        (status = 403, body = super::openapi::Problem), (status = 404, body = super::openapi::Problem)))]
pub(super) async fn act(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path((host, name, action)): Path<(String, String, String)>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let asked = Asked { target_type: TargetType::Stack, host, name, action, call: uri.path().to_owned() };
    asked.submit(&app, &caller.actor, &headers, body).await
}
