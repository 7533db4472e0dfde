//! What an action would do, without doing it.

use axum::Json;
use serde::Deserialize;
use utoipa::ToSchema;

use super::actions::TargetJson;
use super::body::Body;
use crate::app::{Result, execute};
use crate::domain::action::Action;
use crate::domain::plan::Plan;
use crate::web::auth::{Caller, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().post("/plan", Access::VIEWER, post)
}

/// What is to be planned.
#[derive(Deserialize, ToSchema)]
pub struct PlanBody {
    /// `local` where it is left out.
    host: Option<String>,
    target_type: String,
    /// Name or key.
    target_id: String,
    action: Action,
}

/// What an action would do now.
#[utoipa::path(post, path = "/api/plan", tag = "actions", operation_id = "plan_action", request_body = PlanBody,
    responses((status = 200, body = Plan)))]
pub async fn post(caller: Caller<Viewer>, body: Body<PlanBody>) -> Result<Json<Plan>> {
    let PlanBody { host, target_type, target_id, action } = body.value;
    let target = TargetJson::new(host, target_type, target_id).resolve(&caller.app)?;
    Ok(Json(execute::preview(&caller.app, &caller.actor, &target, action, false).await?))
}
