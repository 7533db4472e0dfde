//! Schedules: storage, enabling, skipping, preview and execution.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::act::{self, IfMatch};
use super::body::{ApiQuery, Body, Empty, Paging};
use super::openapi::Items;
use super::target::{TargetFields, known_group, target_filter};
use crate::app::Result;
use crate::app::schedules::{
    self, Draft, Elsewhere, LastRun, Now, Preview, Saved, ScheduleFilter, ScheduleView,
};
use crate::domain::action::Action;
use crate::domain::ids::ScheduleId;
use crate::domain::run::Trigger;
use crate::domain::schedule::{ScheduleKind, ScheduleSpec, Source, When};
use crate::domain::target::TargetType;
use crate::domain::time::Instant;
use crate::domain::window::Phase;
use crate::web::Web;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get_by_query("/schedules", Access::VIEWER, list)
        .post("/schedules", Access::OPERATOR, create)
        .post("/schedules/preview", Access::VIEWER, preview)
        .get("/schedules/{id}", Access::VIEWER, get)
        .put("/schedules/{id}", Access::OPERATOR, put)
        .delete("/schedules/{id}", Access::OPERATOR, delete)
        .post("/schedules/{id}/enable", Access::OPERATOR, enable)
        .post("/schedules/{id}/disable", Access::OPERATOR, disable)
        .post("/schedules/{id}/skip-next", Access::OPERATOR, skip)
        .delete("/schedules/{id}/skip-next", Access::OPERATOR, unskip)
        .post("/schedules/{id}/copy", Access::OPERATOR, copy)
        .post("/schedules/{id}/copy-to-editable", Access::OPERATOR, copy_to_editable)
        .post("/schedules/{id}/move", Access::OPERATOR, move_to)
        .post("/schedules/{id}/run", Access::OPERATOR, run)
}

/// The id of a schedule in a path.
type Id = Path<ScheduleId>;

// A type of its own for the fields that are not part of the specification alone.
/// A schedule.
#[derive(Serialize, ToSchema)]
pub struct ScheduleJson {
    id: String,
    name: String,
    /// The name in one line; a generated one where it has none.
    title: String,
    #[serde(flatten)]
    target: TargetFields,
    /// Whether the target exists; `null` while the host is not connected.
    target_exists: Option<bool>,
    kind: ScheduleKind,
    /// `null` for a window, which sleeps by its mode.
    action: Option<Action>,
    cron: Option<String>,
    at: Option<Instant>,
    /// Window text.
    window: Option<String>,
    timezone: Option<String>,
    effective_timezone: String,
    /// A description of when it fires.
    meaning: String,
    #[serde(flatten)]
    spec: ScheduleSpec,
    source: Source,
    /// The label that defines it, such as `docknap.sleep`; `null` for another source.
    label: Option<String>,
    /// The name of the container that carries the label.
    carrier: Option<String>,
    /// Why it does nothing, where DockNap itself switched it off, or since when its container is gone.
    off_reason: Option<String>,
    /// The name of the account that created it.
    owner: Option<String>,
    /// The coming occurrence that is skipped.
    skip_at: Option<Instant>,
    /// When it acts next.
    next_at: Option<Instant>,
    last_run: Option<LastRun>,
    effective_from: Instant,
    created_at: Instant,
    updated_at: Instant,
    rev: i64,
    /// Warnings for the user, after a save.
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<String>>,
    /// After a save of a window: the immediate effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Now>,
}

impl From<ScheduleView> for ScheduleJson {
    fn from(view: ScheduleView) -> Self {
        let (kind, schedule) = (view.schedule.kind(), view.schedule);
        let mut spec = schedule.spec;
        let (label, carrier) = schedule.label.map(|one| (one.label, one.carrier_name)).unzip();
        let (cron, at, window) = match &spec.when {
            When::Cron(text) => (Some(text.clone()), None, None),
            When::Once(at) => (None, Some(Instant(*at)), None),
            When::Window(text) => (None, None, Some(text.clone())),
        };
        // A window has a mode instead of an action.
        let action = window.is_none().then(|| std::mem::replace(&mut spec.action, Action::Stop));
        Self {
            id: schedule.id.0,
            name: spec.name.clone(),
            title: view.title,
            target: TargetFields::new(&spec.target, view.target_name),
            target_exists: view.target_exists,
            kind,
            action,
            cron,
            at,
            window,
            timezone: spec.timezone.clone(),
            effective_timezone: view.effective_timezone,
            meaning: view.meaning,
            spec,
            source: schedule.source,
            label,
            carrier,
            off_reason: view.off_reason,
            owner: schedule.owner_name,
            skip_at: schedule.skip_at.map(Instant),
            next_at: view.next_at.map(Instant),
            last_run: view.last_run,
            effective_from: Instant(schedule.effective_from),
            created_at: Instant(schedule.created_at),
            updated_at: Instant(schedule.updated_at),
            rev: schedule.rev,
            warnings: None,
            now: None,
        }
    }
}

impl From<Saved> for ScheduleJson {
    fn from(saved: Saved) -> Self {
        Self { warnings: Some(saved.warnings), now: saved.now, ..saved.view.into() }
    }
}

#[derive(Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub struct ScheduleQuery {
    enabled: Option<bool>,
    host: Option<String>,
    /// The id of a group that the target is or is in
    group: Option<String>,
    target_type: Option<TargetType>,
    target_id: Option<String>,
    q: Option<String>,
}

/// Lists the schedules, newest first.
#[utoipa::path(get, path = "/api/schedules", tag = "schedules", operation_id = "list_schedules",
    params(Paging, ScheduleQuery), responses((status = 200, body = Items<ScheduleJson>)))]
pub async fn list(caller: Caller<Viewer>, query: ApiQuery) -> Result<Json<Items<ScheduleJson>>> {
    let (query, page) = query.page::<ScheduleQuery>("schedules")?;
    let (host, target) = target_filter(&caller.app, query.host, query.target_type, query.target_id)?;
    let group = known_group(&caller.app, query.group).await?;
    let filter = ScheduleFilter { host, group, target, enabled: query.enabled, text: query.q };
    let page = schedules::list(&caller.app, &caller.actor, &filter, &page).await?;
    Ok(Json(Items::new("schedules", page)))
}

/// Stores a new schedule.
#[utoipa::path(post, path = "/api/schedules", tag = "schedules", operation_id = "create_schedule",
    request_body = Draft, responses((status = 201, body = ScheduleJson)))]
pub async fn create(caller: Caller<Operator>, mut body: Body<Draft, ScheduleJson>) -> Result<Response> {
    body.value.id = None;
    let work = async {
        let saved = schedules::create(&caller.app, &caller.actor, &body.value, Source::Api).await?;
        act::answer(StatusCode::CREATED, &ScheduleJson::from(saved))
    };
    body.once.answer(&caller, work).await
}

/// Returns the effects of a schedule; stores nothing.
#[utoipa::path(post, path = "/api/schedules/preview", tag = "schedules", operation_id = "preview_schedule",
    request_body = Draft, responses((status = 200, body = PreviewJson), (status = 429)))]
pub async fn preview(
    caller: Caller<Viewer>,
    State(web): State<Web>,
    body: Body<Draft, ScheduleJson>,
) -> Result<Json<PreviewJson>> {
    web.previews.admit(&caller.user().id)?;
    Ok(Json(schedules::preview(&caller.app, &caller.actor, &body.value).await?.into()))
}

/// A change of the desired state.
#[derive(Serialize, ToSchema)]
pub struct TransitionJson {
    at: Instant,
    state: Phase,
}

// A type of its own, since a page shows more, and the API has each instant twice: alone, and with the state that
// begins.
/// The effects of a schedule.
#[derive(Serialize, ToSchema)]
pub struct PreviewJson {
    /// A description of when it fires.
    meaning: String,
    /// The next ten instants; for a window its edges.
    next: Vec<Instant>,
    /// For a window: the state that begins at each of them; otherwise `null`.
    transitions: Option<Vec<TransitionJson>>,
    /// For a window: the immediate effect of saving it.
    now: Option<Now>,
    /// The longest time its guard may defer it, in minutes; `null` without a guard.
    may_wait_minutes: Option<i64>,
    warnings: Vec<String>,
    /// The effects of the next clock changes.
    dst_notes: Vec<String>,
    effective_timezone: String,
}

impl From<Preview> for PreviewJson {
    fn from(preview: Preview) -> Self {
        Self {
            meaning: preview.meaning,
            transitions: preview.now.is_some().then(|| {
                let edges = preview.next.iter();
                edges
                    .filter_map(|next| Some(TransitionJson { at: Instant(next.at), state: next.state? }))
                    .collect()
            }),
            next: preview.next.into_iter().map(|next| Instant(next.at)).collect(),
            now: preview.now,
            may_wait_minutes: preview.guard.map(|guard| guard.longest_minutes()),
            warnings: preview.warnings,
            dst_notes: preview.dst_notes,
            effective_timezone: preview.zone,
        }
    }
}

/// Returns one schedule.
#[utoipa::path(get, path = "/api/schedules/{id}", tag = "schedules", operation_id = "get_schedule",
    responses((status = 200, body = ScheduleJson)))]
pub async fn get(caller: Caller<Viewer>, Path(id): Id) -> Result<Response> {
    Ok(show(schedules::get(&caller.app, &caller.actor, &id).await?))
}

fn show(schedule: impl Into<ScheduleJson>) -> Response {
    let schedule = schedule.into();
    (act::etag(schedule.rev), Json(schedule)).into_response()
}

/// Replaces a schedule; omitted fields get their defaults.
#[utoipa::path(put, path = "/api/schedules/{id}", tag = "schedules", operation_id = "replace_schedule",
    request_body = Draft, responses((status = 200, body = ScheduleJson), (status = 409), (status = 412)))]
pub async fn put(
    caller: Caller<Operator>,
    Path(id): Id,
    IfMatch(rev): IfMatch,
    mut body: Body<Draft, ScheduleJson>,
) -> Result<Response> {
    body.value.id = Some(id.clone());
    Ok(show(schedules::update(&caller.app, &caller.actor, &id, &body.value, rev).await?))
}

/// Deletes a schedule; its runs keep its name.
#[utoipa::path(delete, path = "/api/schedules/{id}", tag = "schedules", operation_id = "delete_schedule",
    responses((status = 204), (status = 409), (status = 412)))]
pub async fn delete(caller: Caller<Operator>, Path(id): Id, IfMatch(rev): IfMatch) -> Result<StatusCode> {
    schedules::delete(&caller.app, &caller.actor, &id, rev).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Enables a schedule, from now.
#[utoipa::path(post, path = "/api/schedules/{id}/enable", tag = "schedules", operation_id = "enable_schedule",
    responses((status = 200, body = ScheduleJson)))]
pub async fn enable(caller: Caller<Operator>, Path(id): Id, _: Body<Empty>) -> Result<Response> {
    Ok(show(schedules::enable(&caller.app, &caller.actor, &id).await?))
}

/// Disables a schedule.
#[utoipa::path(post, path = "/api/schedules/{id}/disable", tag = "schedules", operation_id = "disable_schedule",
    responses((status = 200, body = ScheduleJson)))]
pub async fn disable(caller: Caller<Operator>, Path(id): Id, _: Body<Empty>) -> Result<Response> {
    Ok(show(schedules::disable(&caller.app, &caller.actor, &id).await?))
}

/// Skips exactly the next occurrence.
#[utoipa::path(post, path = "/api/schedules/{id}/skip-next", tag = "schedules", operation_id = "skip_next",
    responses((status = 200, body = ScheduleJson), (status = 409)))]
pub async fn skip(caller: Caller<Operator>, Path(id): Id, _: Body<Empty>) -> Result<Response> {
    Ok(show(schedules::skip_next(&caller.app, &caller.actor, &id).await?))
}

/// Removes a skip.
#[utoipa::path(delete, path = "/api/schedules/{id}/skip-next", tag = "schedules", operation_id = "unskip_next",
    responses((status = 200, body = ScheduleJson)))]
pub async fn unskip(caller: Caller<Operator>, Path(id): Id) -> Result<Response> {
    Ok(show(schedules::unskip_next(&caller.app, &caller.actor, &id).await?))
}

/// The place to which a schedule is copied or moved.
#[derive(Deserialize, ToSchema)]
pub struct ElsewhereBody {
    /// The id of the host.
    #[schema(example = "nas")]
    host: String,
    /// The name or key of the stack or container there. Default: the one with the name of the present target.
    target: Option<String>,
    /// Accepts a target that does not exist yet.
    allow_missing: Option<bool>,
}

impl ElsewhereBody {
    fn place(&self) -> Elsewhere {
        let Self { host, target, allow_missing } = self;
        Elsewhere {
            host: host.clone(),
            target: target.clone(),
            allow_missing: allow_missing.unwrap_or_default(),
        }
    }
}

/// Stores a copy of a schedule for a target on another host; the copy begins with its next change.
#[utoipa::path(post, path = "/api/schedules/{id}/copy", tag = "schedules", operation_id = "copy_schedule",
    request_body = ElsewhereBody, responses((status = 201, body = ScheduleJson)))]
pub async fn copy(caller: Caller<Operator>, Path(id): Id, body: Body<ElsewhereBody>) -> Result<Response> {
    let to = body.value.place();
    let work = async {
        let saved = schedules::copy(&caller.app, &caller.actor, &id, &to, Source::Api).await?;
        act::answer(StatusCode::CREATED, &ScheduleJson::from(saved))
    };
    body.once.answer(&caller, work).await
}

/// Makes an editable copy of a schedule that a label defines. The schedule of the label is switched off until the label
/// changes.
#[utoipa::path(post, path = "/api/schedules/{id}/copy-to-editable", tag = "schedules",
    operation_id = "copy_schedule_to_editable", responses((status = 201, body = ScheduleJson), (status = 409)))]
pub async fn copy_to_editable(caller: Caller<Operator>, Path(id): Id, body: Body<Empty>) -> Result<Response> {
    let work = async {
        let view = schedules::copy_to_editable(&caller.app, &caller.actor, &id, Source::Api).await?;
        act::answer(StatusCode::CREATED, &ScheduleJson::from(view))
    };
    body.once.answer(&caller, work).await
}

/// Moves a schedule to a target on another host, where it begins with its next change; its runs stay.
#[utoipa::path(post, path = "/api/schedules/{id}/move", tag = "schedules", operation_id = "move_schedule",
    request_body = ElsewhereBody,
    responses((status = 200, body = ScheduleJson), (status = 409), (status = 412)))]
pub async fn move_to(
    caller: Caller<Operator>,
    Path(id): Id,
    IfMatch(rev): IfMatch,
    body: Body<ElsewhereBody>,
) -> Result<Response> {
    let to = body.value.place();
    Ok(show(schedules::move_to(&caller.app, &caller.actor, &id, &to, rev).await?))
}

/// An edge of a window.
#[derive(Deserialize, ToSchema)]
pub struct RunBody {
    /// `sleep` or `wake`; required for a window, not allowed otherwise.
    edge: Option<String>,
}

/// Executes the action of a schedule now.
#[utoipa::path(post, path = "/api/schedules/{id}/run", tag = "schedules", operation_id = "run_schedule",
    request_body = Option<RunBody>,
    responses((status = 202, body = act::Accepted), (status = 200, body = act::Accepted), (status = 403)))]
pub async fn run(caller: Caller<Operator>, Path(id): Id, body: Body<RunBody>) -> Result<Response> {
    let edge = body.value.edge.as_deref();
    let work = async {
        act::accepted(&schedules::run_now(&caller.app, &caller.actor, &id, Trigger::Api, edge).await?)
    };
    body.once.answer(&caller, work).await
}
