//! Stacks: what there is, and the five things that can be done to one.

use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::act;
use super::body::Body;
use super::containers::ContainerJson;
use crate::app::execute::{self, Request};
use crate::app::stacks::{self, NextAction, ShownState, StackView};
use crate::app::{Actor, Error, FieldError, Result, nap, targets};
use crate::domain::action::Action;
use crate::domain::desired::Transition;
use crate::domain::ids::HostId;
use crate::domain::inventory::{Counts, Health, StackStatus};
use crate::domain::run::Trigger;
use crate::domain::schedule::MAX_STOP_TIMEOUT;
use crate::domain::target::{Target, TargetType};
use crate::domain::text::shorten;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get("/stacks", Access::VIEWER, list).get("/stacks/{host}/{name}", Access::VIEWER, get).post(
        "/stacks/{host}/{name}/{action}",
        Access::OPERATOR,
        act,
    )
}

// A copy, since the Engine's part and ours stand flat, and labels go by the role.
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
    transitions: Vec<Transition>,
    next: Option<NextAction>,
    /// Why it is never touched, where that holds for all of it.
    protected: Option<String>,
}

/// What may be said with an action.
#[derive(Deserialize, ToSchema)]
pub struct ActBody {
    /// Why; kept with the run.
    pub(super) reason: Option<String>,
    /// Stop grace; by default the container's own. Not for `nap` and `wake`.
    #[schema(minimum = 0, maximum = 3600)]
    pub(super) stop_timeout_seconds: Option<i64>,
    /// For `start`: the names or keys of containers that ended with 0 while nobody watched, and that are started too. A
    /// plan tells them as `unwatched`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) also_start: Vec<String>,
    /// For `nap` and `wake`: when it ends, as for an override; by default at the windows' next edge.
    pub(super) until: Option<String>,
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
            transitions: view.wanted.transitions.clone(),
            next: view.next.as_deref().cloned(),
            protected: view.protected,
        }
    }
}

/// All stacks.
#[utoipa::path(get, path = "/api/stacks", tag = "stacks", operation_id = "list_stacks",
    responses((status = 200, body = Vec<StackJson>)))]
pub async fn list(caller: Caller<Viewer>) -> Result<Json<Vec<StackJson>>> {
    let views = stacks::list(&caller.app, &caller.actor).await?;
    Ok(Json(views.into_iter().map(|view| StackJson::new(view, &caller.actor)).collect()))
}

/// One stack, by its percent-encoded name or its key.
#[utoipa::path(get, path = "/api/stacks/{host}/{name}", tag = "stacks", operation_id = "get_stack",
    responses((status = 200, body = StackJson)))]
pub async fn get(
    caller: Caller<Viewer>,
    Path((host, name)): Path<(HostId, String)>,
) -> Result<Json<StackJson>> {
    let view = stacks::get(&caller.app, &caller.actor, &host, &name).await?;
    Ok(Json(StackJson::new(view, &caller.actor)))
}

/// Does something to one stack: an action, or `nap` or `wake` with `until` and `reason`.
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

/// Does what a path names to what it names, once.
pub async fn submit(
    caller: &Caller<Operator>,
    target: Result<Target>,
    action: &str,
    Body { value, once, .. }: Body<ActBody>,
) -> Result<Response> {
    let ActBody { reason, stop_timeout_seconds, also_start, until } = value;
    let (app, actor) = (&caller.app, &caller.actor);
    let is_nap = matches!(action, "nap" | "wake");
    let mut faults = Vec::new();
    for (field, is_misplaced) in [
        ("until", !is_nap && until.is_some()),
        ("stop_timeout_seconds", is_nap && stop_timeout_seconds.is_some()),
        ("also_start", is_nap && !also_start.is_empty()),
    ] {
        if is_misplaced {
            faults.push(FieldError::new(field, "there is no such field"));
        }
    }
    if stop_timeout_seconds.is_some_and(|seconds| !(0..=MAX_STOP_TIMEOUT).contains(&seconds)) {
        let message = format!("use a whole number from 0 to {MAX_STOP_TIMEOUT}");
        faults.push(FieldError::new("stop_timeout_seconds", message));
    }
    if !also_start.is_empty() && !is_nap && action != Action::Start.as_str() {
        faults.push(FieldError::new("also_start", "only a start takes this"));
    }
    let is_line =
        |text: &String| text.chars().count() <= act::MAX_REASON && !text.chars().any(char::is_control);
    if !is_nap && !reason.as_ref().is_none_or(is_line) {
        faults.push(FieldError::new("reason", "use one line of 500 characters at most"));
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    if is_nap {
        let (target, asked) = (target?, nap::NapRequest { until, reason, schedule: None });
        let work = async {
            act::accepted(&match action {
                "nap" => nap::nap(app, actor, &target, &asked, Trigger::Api).await?,
                _ => nap::wake(app, actor, &target, &asked, Trigger::Api).await?,
            })
        };
        return once.answer(caller, work).await;
    }
    let action: Action = action.parse().map_err(|_| Error::not_found("action", shorten(action)))?;
    let target = target?;
    let also = targets::named_members(app, &target, also_start.iter().map(String::as_str))?;
    let reason = reason.unwrap_or_default();
    let request =
        Request { stop_timeout_seconds, reason, also, ..Request::now(action, target, Trigger::Api) };
    once.answer(caller, async { act::accepted(&execute::submit(app, actor, request).await?) }).await
}
