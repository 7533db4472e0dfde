//! One action on several targets, and the plan of an action on one target.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::act::{self, Accepted};
use super::body::Body;
use super::target::TargetJson;
use crate::app::execute::{self, Request};
use crate::app::{Error, Result};
use crate::domain::action::Action;
use crate::domain::plan::Plan;
use crate::domain::run::Trigger;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

/// The largest number of targets of one call.
const MOST_TARGETS: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::new().post("/actions", Access::OPERATOR, post).post("/plan", Access::VIEWER, plan)
}

/// An action and its targets.
#[derive(Deserialize, ToSchema)]
pub struct BulkBody {
    action: Action,
    #[schema(min_items = 1, max_items = 200)]
    targets: Vec<TargetJson>,
    /// The reason; stored with each run.
    reason: Option<String>,
}

/// The results, in the order of the request.
#[derive(Serialize, ToSchema)]
pub struct BulkJson {
    items: Vec<BulkItem>,
}

/// The result for one target.
#[derive(Serialize, ToSchema)]
pub struct BulkItem {
    #[serde(flatten)]
    target: TargetJson,
    /// The id of the run that executes the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    /// The state of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// Whether an open run did the same already, so that no other was stored.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    duplicate: bool,
    /// The reason why the target was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Refusal>,
}

impl BulkItem {
    fn accepted(target: TargetJson, accepted: Accepted) -> Self {
        let Accepted { run_id, state, duplicate } = accepted;
        Self { target, run_id: Some(run_id), state: Some(state), duplicate, error: None }
    }

    fn refused(target: TargetJson, error: &Error) -> Self {
        let error = Refusal { code: error.code().to_owned(), detail: error.to_string() };
        Self { target, run_id: None, state: None, duplicate: false, error: Some(error) }
    }
}

/// The reason why a target was refused.
#[derive(Serialize, ToSchema)]
pub struct Refusal {
    code: String,
    detail: String,
}

/// Executes one action on several targets. An unknown target rejects the whole request; a protected one is reported in
/// its item of the response.
#[utoipa::path(post, path = "/api/actions", tag = "actions", operation_id = "act_on_targets", request_body = BulkBody,
    responses((status = 202, body = BulkJson)))]
pub async fn post(caller: Caller<Operator>, body: Body<BulkBody>) -> Result<Response> {
    let BulkBody { action, targets: named, reason } = body.value;
    if named.is_empty() || named.len() > MOST_TARGETS {
        return Err(Error::field("targets", format!("name 1 to {MOST_TARGETS} targets")));
    }
    let (mut targets, mut faults) = (Vec::new(), Vec::new());
    for (i, mut target) in named.into_iter().enumerate() {
        match target.resolve(&caller.app) {
            Ok(resolved) => targets.push((target, resolved)),
            Err(Error::Invalid(wrong)) => faults.extend(wrong.into_iter().map(|mut fault| {
                fault.field = format!("targets[{i}].{}", fault.field);
                fault
            })),
            Err(other) => return Err(other),
        }
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let reason = reason.unwrap_or_default();
    let work = async {
        let mut items = Vec::new();
        for (target, resolved) in targets {
            let request = Request { reason: reason.clone(), ..Request::now(action, resolved, Trigger::Bulk) };
            items.push(match execute::submit(&caller.app, &caller.actor, request).await {
                Ok(submitted) => BulkItem::accepted(target, Accepted::from(&submitted)),
                Err(error @ (Error::Internal(_) | Error::Unavailable { .. })) => return Err(error),
                Err(error) => BulkItem::refused(target, &error),
            });
        }
        act::answer(StatusCode::ACCEPTED, &BulkJson { items })
    };
    body.once.answer(&caller, work).await
}

/// An action whose plan is requested.
#[derive(Deserialize, ToSchema)]
pub struct PlanBody {
    #[serde(flatten)]
    target: TargetJson,
    action: Action,
}

/// Returns the plan of an action, as of now, without executing it.
#[utoipa::path(post, path = "/api/plan", tag = "actions", operation_id = "plan_action", request_body = PlanBody,
    responses((status = 200, body = Plan)))]
pub async fn plan(caller: Caller<Viewer>, body: Body<PlanBody>) -> Result<Json<Plan>> {
    let PlanBody { mut target, action } = body.value;
    let target = target.resolve(&caller.app)?;
    Ok(Json(execute::preview(&caller.app, &caller.actor, &target, action, false).await?))
}
