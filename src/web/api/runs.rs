//! Runs: what was done, and what is being done.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::act::{self, Accepted};
use super::body::{Asked, Body, Fields};
use super::instant::Instant;
use super::openapi::{Items, Problem};
use super::schedules::asked_target;
use crate::app::history::{self, RunDetail, RunFilter};
use crate::app::{App, Result, execute};
use crate::domain::action::Action;
use crate::domain::ids::{RunId, ScheduleId};
use crate::domain::run::{Run, RunState, Step, StepState, Trigger};
use crate::domain::target::TargetType;
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

/// A run.
#[derive(Serialize, ToSchema)]
pub struct RunJson {
    id: String,
    schedule_id: Option<String>,
    /// The schedule's name at the time.
    schedule_name: Option<String>,
    host: String,
    target_type: TargetType,
    /// The target's name at the time.
    target_id: String,
    target_key: String,
    action: Action,
    trigger: Trigger,
    actor: ActorJson,
    /// The nominal instant of a scheduled run.
    fire_at: Option<Instant>,
    created_at: Instant,
    started_at: Option<Instant>,
    finished_at: Option<Instant>,
    duration_ms: Option<i64>,
    state: RunState,
    /// Why it stands there.
    reason: String,
    /// When the guard that holds it back looks again; `null` where none does.
    looks_again_at: Option<Instant>,
    /// Why it was asked for: the layer that decided, with its text.
    why: String,
    /// The run whose failed steps this one repeats, or which it undoes.
    retry_of: Option<String>,
    /// For a row that stands for several missed fires.
    missed: Option<MissedJson>,
    steps: Vec<StepJson>,
}

/// Who asked.
#[derive(Serialize, ToSchema)]
pub struct ActorJson {
    /// `user`, `token`, `scheduler` or `cli`.
    pub kind: String,
    /// The account's id, where there is one.
    pub id: Option<String>,
    /// The name at that time.
    pub name: String,
}

/// Fires that passed while `DockNap` was down.
#[derive(Serialize, ToSchema)]
pub struct MissedJson {
    first: Instant,
    last: Instant,
    count: i64,
}

/// One container operation of a run.
#[derive(Serialize, ToSchema)]
pub struct StepJson {
    /// From 1; steps of a wave go together. 0 for what was left alone.
    wave: i64,
    container: String,
    action: Action,
    state: StepState,
    reason: String,
    started_at: Option<Instant>,
    finished_at: Option<Instant>,
    duration_ms: Option<i64>,
    exit_code: Option<i64>,
    error: Option<String>,
    /// The last log lines of a failed start; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

impl From<crate::domain::run::ActorRef> for ActorJson {
    fn from(actor: crate::domain::run::ActorRef) -> Self {
        Self { kind: actor.kind, id: actor.id, name: actor.name }
    }
}

impl From<Step> for StepJson {
    fn from(step: Step) -> Self {
        Self {
            wave: step.wave,
            container: step.container,
            action: step.action,
            state: step.state,
            reason: step.reason,
            started_at: step.issued_at.map(Instant),
            finished_at: step.finished_at.map(Instant),
            duration_ms: step.duration_ms,
            exit_code: step.exit_code,
            error: step.error,
            output: step.output,
        }
    }
}

impl From<RunDetail> for RunJson {
    fn from(RunDetail { run, steps }: RunDetail) -> Self {
        let duration_ms = run.duration_ms();
        let looks_again_at = run.look_at.filter(|_| run.is_guarded()).map(Instant);
        let (target_type, target_key) = (run.target.target_type(), run.target.key());
        let Run {
            id,
            schedule_id,
            schedule_name,
            target,
            target_name,
            action,
            trigger,
            actor,
            state,
            reason,
            why,
            ..
        } = run;
        Self {
            id: id.0,
            schedule_id: schedule_id.map(|id| id.0),
            schedule_name,
            host: target.host.0,
            target_type,
            target_id: target_name,
            target_key,
            action,
            trigger,
            actor: actor.into(),
            fire_at: run.fire_at.map(Instant),
            created_at: Instant(run.created_at),
            started_at: run.started_at.map(Instant),
            finished_at: run.finished_at.map(Instant),
            duration_ms,
            state,
            reason,
            looks_again_at,
            why,
            retry_of: run.retry_of.map(|id| id.0),
            missed: run.missed.map(|span| MissedJson {
                first: Instant(span.first),
                last: Instant(span.last),
                count: span.count,
            }),
            steps: steps.into_iter().map(StepJson::from).collect(),
        }
    }
}

/// The runs, newest first.
#[utoipa::path(get, path = "/api/runs", tag = "runs", operation_id = "list_runs",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query), ("state" = Option<RunState>, Query),
        ("attention" = Option<bool>, Query), ("schedule_id" = Option<String>, Query),
        ("host" = Option<String>, Query), ("target_type" = Option<TargetType>, Query),
        ("target_id" = Option<String>, Query), ("action" = Option<Action>, Query),
        ("trigger" = Option<Trigger>, Query), ("actor" = Option<String>, Query),
        ("from" = Option<String>, Query), ("to" = Option<String>, Query)),
    responses((status = 200, body = Items<RunJson>)))]
pub(super) async fn list(
    caller: Caller<Viewer>,
    State(app): State<App>,
    Asked(mut fields): Asked,
) -> Result<Json<Items<RunJson>>> {
    let states: Vec<&str> = RunState::ALL.iter().map(|state| state.as_str()).collect();
    let state = asked_word(&mut fields, "state", &states, RunState::parse);
    let (host, target) = asked_target(&app, &mut fields);
    let filter = RunFilter {
        host,
        target,
        schedule: fields.text("schedule_id").map(ScheduleId),
        state,
        attention: fields.flag("attention").unwrap_or(false),
        action: asked_word(&mut fields, "action", Action::ALL.map(Action::as_str).as_slice(), |word| {
            word.parse().ok()
        }),
        trigger: asked_word(
            &mut fields,
            "trigger",
            &Trigger::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>(),
            Trigger::parse,
        ),
        actor: fields.text("actor"),
        from: asked_instant(&mut fields, "from"),
        to: asked_instant(&mut fields, "to"),
        upto: None,
    };
    let page = fields.page("runs")?;
    fields.finish()?;
    let page = history::list_with_steps(&app, &caller.actor, &filter, &page).await?;
    Ok(Json(Items::new("runs", page)))
}

/// One of some words.
fn asked_word<T>(
    fields: &mut Fields,
    field: &str,
    words: &[&str],
    read: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let word = fields.text(field)?;
    let value = read(&word);
    if value.is_none() {
        fields.fault(field, format!("use one of {}", words.join(", ")));
    }
    value
}

/// An instant.
pub(super) fn asked_instant(fields: &mut Fields, field: &str) -> Option<Timestamp> {
    let instant = fields.text(field)?.parse().ok();
    if instant.is_none() {
        fields.fault(field, "use an instant such as 2026-11-25T23:00:00Z");
    }
    instant
}

/// One run with its steps.
#[utoipa::path(get, path = "/api/runs/{id}", tag = "runs", operation_id = "get_run", params(("id" = String, Path)),
    responses((status = 200, body = RunJson), (status = 404, body = Problem)))]
pub(super) async fn get(
    caller: Caller<Viewer>,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<RunJson>> {
    Ok(Json(history::get(&app, &caller.actor, &RunId(id)).await?.into()))
}

/// Calls a run off; what is being done to a container is finished first.
#[utoipa::path(post, path = "/api/runs/{id}/cancel", tag = "runs", operation_id = "cancel_run",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = Accepted), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn cancel(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    body.fields.finish()?;
    let call = format!("/api/runs/{id}/cancel");
    act::once(&app, &caller.actor, &headers, &call, &body.bytes, async {
        let id = RunId(id);
        execute::cancel(&app, &caller.actor, &id).await?;
        let run = history::get(&app, &caller.actor, &id).await?.run;
        let state = run.state.as_str().to_owned();
        act::answer(StatusCode::ACCEPTED, &Accepted { run_id: id.0, state, duplicate: false })
    })
    .await
}

/// Undoes what the caller asked for, within 30 seconds of that: what has not begun is called off, what was done is
/// reversed where nobody has changed it since.
#[utoipa::path(post, path = "/api/runs/{id}/undo", tag = "runs", operation_id = "undo_run",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = Accepted), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn undo(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    body.fields.finish()?;
    let call = format!("/api/runs/{id}/undo");
    act::once(&app, &caller.actor, &headers, &call, &body.bytes, async {
        let run_id = execute::undo::undo(&app, &caller.actor, &RunId(id)).await?.run_id;
        let state = history::get(&app, &caller.actor, &run_id).await?.run.state.as_str().to_owned();
        act::answer(StatusCode::ACCEPTED, &Accepted { run_id: run_id.0, state, duplicate: false })
    })
    .await
}

/// Does the failed steps of a run again.
#[utoipa::path(post, path = "/api/runs/{id}/retry", tag = "runs", operation_id = "retry_run",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = Accepted), (status = 200, body = Accepted), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn retry(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    body.fields.finish()?;
    let call = format!("/api/runs/{id}/retry");
    act::once(&app, &caller.actor, &headers, &call, &body.bytes, async {
        act::accepted(&execute::retry(&app, &caller.actor, &RunId(id)).await?)
    })
    .await
}
