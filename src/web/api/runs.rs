//! Runs: history, current state, cancel, undo and retry.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::act::{self, Accepted};
use super::body::{ApiQuery, Body, Empty, Paging, instant};
use super::openapi::Items;
use super::target::{TargetFields, known_group, target_filter};
use crate::app::history::{self, RunDetail, RunFilter};
use crate::app::idempotency::Answer;
use crate::app::{Result, execute};
use crate::domain::action::Action;
use crate::domain::ids::{BatchId, RunId, ScheduleId};
use crate::domain::run::{ActorRef, MissedSpan, RunState, Step, Trigger};
use crate::domain::target::TargetType;
use crate::domain::time::Instant;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get_by_query("/runs", Access::VIEWER, list)
        .get("/runs/{id}", Access::VIEWER, get)
        .post("/runs/{id}/cancel", Access::OPERATOR, cancel)
        .post("/runs/{id}/undo", Access::OPERATOR, undo)
        .post("/runs/{id}/retry", Access::OPERATOR, retry)
}

// A type of its own, since it has computed fields between the stored ones.
/// A run.
#[derive(Serialize, ToSchema)]
pub struct RunJson {
    id: String,
    schedule_id: Option<String>,
    /// The name of the schedule at the time of the run.
    schedule_name: Option<String>,
    #[serde(flatten)]
    target: TargetFields,
    action: Action,
    trigger: Trigger,
    actor: ActorRef,
    /// The planned instant of a scheduled run.
    fire_at: Option<Instant>,
    created_at: Instant,
    started_at: Option<Instant>,
    finished_at: Option<Instant>,
    duration_ms: Option<i64>,
    state: RunState,
    /// The reason for the state.
    reason: String,
    /// When the guard that defers the run checks again; `null` where none does.
    looks_again_at: Option<Instant>,
    /// Why the run was requested: the layer that decided, with its text.
    why: String,
    /// The run whose failed steps this one repeats, or which it undoes.
    retry_of: Option<String>,
    /// Binds the runs of one fire of a group's schedule together, one on each host.
    batch_id: Option<String>,
    /// For a row that represents several missed fires.
    missed: Option<MissedSpan>,
    steps: Vec<Step>,
}

impl From<RunDetail> for RunJson {
    fn from(RunDetail { run, steps }: RunDetail) -> Self {
        let duration_ms = run.duration_ms();
        let looks_again_at = run.look_at.filter(|_| run.is_guarded()).map(Instant);
        Self {
            id: run.id.0,
            schedule_id: run.schedule_id.map(|id| id.0),
            schedule_name: run.schedule_name,
            target: TargetFields::new(&run.target, run.target_name),
            action: run.action,
            trigger: run.trigger,
            actor: run.actor,
            fire_at: run.fire_at.map(Instant),
            created_at: Instant(run.created_at),
            started_at: run.started_at.map(Instant),
            finished_at: run.finished_at.map(Instant),
            duration_ms,
            state: run.state,
            reason: run.reason,
            looks_again_at,
            why: run.why,
            retry_of: run.retry_of.map(|id| id.0),
            batch_id: run.batch.map(|id| id.0),
            missed: run.missed,
            steps,
        }
    }
}

#[derive(Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub struct RunQuery {
    state: Option<RunState>,
    attention: Option<bool>,
    schedule_id: Option<String>,
    host: Option<String>,
    /// The id of a group that the target is in now, or whose schedule made the run
    group: Option<String>,
    batch_id: Option<String>,
    target_type: Option<TargetType>,
    target_id: Option<String>,
    action: Option<Action>,
    trigger: Option<Trigger>,
    actor: Option<String>,
    #[schema(format = DateTime)]
    from: Option<String>,
    #[schema(format = DateTime)]
    to: Option<String>,
}

/// Lists the runs, newest first.
#[utoipa::path(get, path = "/api/runs", tag = "runs", operation_id = "list_runs",
    params(Paging, RunQuery), responses((status = 200, body = Items<RunJson>)))]
pub async fn list(caller: Caller<Viewer>, query: ApiQuery) -> Result<Json<Items<RunJson>>> {
    let (query, page) = query.page::<RunQuery>("runs")?;
    let (host, target) = target_filter(&caller.app, query.host, query.target_type, query.target_id)?;
    let filter = RunFilter {
        host,
        group: known_group(&caller.app, query.group).await?,
        batch: query.batch_id.map(BatchId),
        target,
        schedule: query.schedule_id.map(ScheduleId),
        state: query.state,
        attention: query.attention.unwrap_or(false),
        action: query.action,
        trigger: query.trigger,
        actor: query.actor,
        from: instant(query.from),
        to: instant(query.to),
        upto: None,
    };
    let page = history::list_with_steps(&caller.app, &caller.actor, &filter, &page).await?;
    Ok(Json(Items::new("runs", page)))
}

/// Returns one run with its steps.
#[utoipa::path(get, path = "/api/runs/{id}", tag = "runs", operation_id = "get_run",
    responses((status = 200, body = RunJson)))]
pub async fn get(caller: Caller<Viewer>, Path(id): Path<RunId>) -> Result<Json<RunJson>> {
    Ok(Json(history::get(&caller.app, &caller.actor, &id).await?.into()))
}

/// Cancels a run; an action in progress on a container is finished first.
#[utoipa::path(post, path = "/api/runs/{id}/cancel", tag = "runs", operation_id = "cancel_run",
    responses((status = 202, body = Accepted), (status = 409)))]
pub async fn cancel(caller: Caller<Operator>, Path(id): Path<RunId>, body: Body<Empty>) -> Result<Response> {
    let work = async {
        execute::cancel(&caller.app, &caller.actor, &id).await?;
        under_way(&caller, id).await
    };
    body.once.answer(&caller, work).await
}

/// Undoes a run of the caller, within 30 seconds of its request: steps that have not begun are cancelled, completed
/// ones are reversed where nobody has changed the container since.
#[utoipa::path(post, path = "/api/runs/{id}/undo", tag = "runs", operation_id = "undo_run",
    responses((status = 202, body = Accepted), (status = 409)))]
pub async fn undo(caller: Caller<Operator>, Path(id): Path<RunId>, body: Body<Empty>) -> Result<Response> {
    let work = async {
        let undone = execute::undo::undo(&caller.app, &caller.actor, &id).await?;
        under_way(&caller, undone.run_id).await
    };
    body.once.answer(&caller, work).await
}

async fn under_way(caller: &Caller<Operator>, id: RunId) -> Result<Answer> {
    let run = history::get(&caller.app, &caller.actor, &id).await?.run;
    let state = run.state.as_str().to_owned();
    act::answer(StatusCode::ACCEPTED, &Accepted { run_id: id.0, state, duplicate: false })
}

/// Repeats the failed steps of a run.
#[utoipa::path(post, path = "/api/runs/{id}/retry", tag = "runs", operation_id = "retry_run",
    responses((status = 202, body = Accepted), (status = 200, body = Accepted), (status = 409)))]
pub async fn retry(caller: Caller<Operator>, Path(id): Path<RunId>, body: Body<Empty>) -> Result<Response> {
    let work = async { act::accepted(&execute::retry(&caller.app, &caller.actor, &id).await?) };
    body.once.answer(&caller, work).await
}
