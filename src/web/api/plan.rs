//! What an action would do, without doing it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::actions::{TargetJson, read_action};
use super::body::Body;
use crate::app::{App, Error, Result, execute};
use crate::domain::action::Action;
use crate::domain::plan::{Plan, SkippedStep};
use crate::domain::run::WaitFor;
use crate::web::auth::{Caller, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().post("/plan", Access::VIEWER, post)
}

/// What is to be planned.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Body` reads")]
pub struct PlanBody {
    /// `local` where it is left out.
    host: Option<String>,
    target_type: String,
    /// Name or key.
    target_id: String,
    action: Action,
}

/// What would happen.
#[derive(Serialize, ToSchema)]
pub struct PlanJson {
    steps: Vec<PlannedJson>,
    skipped: Vec<SkippedStep>,
    warnings: Vec<String>,
}

/// One container operation to come.
#[derive(Serialize, ToSchema)]
pub struct PlannedJson {
    /// From 1; steps of a wave go together.
    wave: u32,
    container: String,
    action: Action,
    wait_for: Vec<WaitFor>,
    /// Why it is there, where that is not plain.
    because: Option<String>,
}

impl From<Plan> for PlanJson {
    fn from(plan: Plan) -> Self {
        let steps = plan.steps.into_iter().map(|step| PlannedJson {
            wave: step.wave,
            container: step.container,
            action: step.action,
            wait_for: step.wait_for,
            because: step.because,
        });
        Self { steps: steps.collect(), skipped: plan.skipped, warnings: plan.warnings }
    }
}

/// What an action would do now.
#[utoipa::path(post, path = "/api/plan", tag = "actions", operation_id = "plan_action", request_body = PlanBody,
    responses((status = 200, body = PlanJson), (status = 422, body = super::openapi::Problem)))]
pub(super) async fn post(
    caller: Caller<Viewer>,
    State(app): State<App>,
    body: Body,
) -> Result<Json<PlanJson>> {
    let mut fields = body.fields;
    let action = read_action(&mut fields);
    let named = TargetJson::read(&mut fields);
    fields.finish()?;
    let action = action.ok_or_else(|| Error::field("action", "this is missing"))?;
    let target = named.resolve(&app)?;
    Ok(Json(execute::preview(&app, &caller.actor, &target, action, false).await?.into()))
}
