//! Schedules: kept, switched, skipped, previewed and run.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::act;
use super::body::{Asked, Body, Fields};
use super::instant::Instant;
use super::openapi::{Items, Problem};
use crate::app::schedules::{
    self, Draft, GuardDraft, LastRun, Now, Preview, Saved, ScheduleFilter, ScheduleView,
};
use crate::app::{App, Result};
use crate::domain::action::Action;
use crate::domain::guard::{Guard, Then};
use crate::domain::ids::{HostId, ScheduleId};
use crate::domain::run::{RunState, Trigger};
use crate::domain::schedule::{Policy, ScheduleKind, Source, Wake, When};
use crate::domain::target::{Target, TargetType};
use crate::domain::window::Mood;
use crate::web::Web;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

/// Fields that only `DockNap` sets.
const READ_ONLY: [&str; 17] = [
    "id",
    "next_at",
    "last_run",
    "source",
    "rev",
    "effective_timezone",
    "now",
    "owner",
    "skip_at",
    "warnings",
    "meaning",
    "title",
    "target_key",
    "target_exists",
    "effective_from",
    "created_at",
    "updated_at",
];

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
        .post("/schedules/{id}/run", Access::OPERATOR, run)
}

/// A schedule.
#[derive(Serialize, ToSchema)]
pub struct ScheduleJson {
    id: String,
    name: String,
    /// What to call it where one line must do.
    title: String,
    host: String,
    target_type: TargetType,
    /// The target's name now.
    target_id: String,
    /// Stands for the target's name in any path.
    target_key: String,
    /// `null` while the host is not connected.
    target_exists: Option<bool>,
    kind: ScheduleKind,
    /// `null` for a window: it sleeps by its mode.
    action: Option<Action>,
    cron: Option<String>,
    at: Option<Instant>,
    /// Window text.
    window: Option<String>,
    timezone: Option<String>,
    effective_timezone: String,
    /// When it fires, in words.
    meaning: String,
    enabled: bool,
    catch_up_seconds: i64,
    priority: i64,
    stop_timeout_seconds: Option<i64>,
    /// What happens to what others do inside a window.
    policy: Policy,
    /// How a window puts to sleep: `stop` or `pause`.
    mode: &'static str,
    /// What a window or a start wakes.
    wake: Wake,
    calendar_id: Option<String>,
    calendar_effect: Option<String>,
    /// What may hold back a stop, a pause or the sleep of a window for a while.
    guard: Option<Guard>,
    note: String,
    source: Source,
    /// The name of the account that made it.
    owner: Option<String>,
    /// The one coming occurrence that is dropped.
    skip_at: Option<Instant>,
    /// When it acts next.
    next_at: Option<Instant>,
    last_run: Option<LastRunJson>,
    effective_from: Instant,
    created_at: Instant,
    updated_at: Instant,
    rev: i64,
    /// What to know about it, after a save.
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<String>>,
    /// In the answer to a save of a window: what that does at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<NowJson>,
}

/// The newest run of a schedule.
#[derive(Serialize, ToSchema)]
pub struct LastRunJson {
    id: String,
    state: RunState,
    reason: String,
    fire_at: Option<Instant>,
    finished_at: Option<Instant>,
}

impl From<LastRun> for LastRunJson {
    fn from(run: LastRun) -> Self {
        Self {
            id: run.id.0,
            state: run.state,
            reason: run.reason,
            fire_at: run.fire_at.map(Instant),
            finished_at: run.finished_at.map(Instant),
        }
    }
}

impl From<ScheduleView> for ScheduleJson {
    fn from(view: ScheduleView) -> Self {
        let (kind, target_type) = (view.schedule.kind(), view.schedule.target_type());
        let schedule = view.schedule;
        let spec = schedule.spec;
        let mode = spec.mode();
        let (cron, at, window) = match spec.when {
            When::Cron(text) => (Some(text), None, None),
            When::Once(at) => (None, Some(Instant(at)), None),
            When::Window(text) => (None, None, Some(text)),
        };
        let (calendar_id, calendar_effect) = spec.calendar.unzip();
        Self {
            id: schedule.id.0,
            name: spec.name,
            title: view.title,
            host: spec.target.host.0,
            target_type,
            target_id: view.target_name,
            target_key: view.target_key,
            target_exists: view.target_exists,
            kind,
            action: (kind != ScheduleKind::Window).then_some(spec.action),
            cron,
            at,
            mode: if window.is_some() { mode } else { "stop" },
            window,
            timezone: spec.timezone,
            effective_timezone: view.effective_timezone,
            meaning: view.meaning,
            enabled: spec.enabled,
            catch_up_seconds: spec.catch_up_seconds,
            priority: spec.priority,
            stop_timeout_seconds: spec.stop_timeout_seconds,
            policy: spec.policy,
            wake: spec.wake,
            calendar_id: calendar_id.map(|id| id.0),
            calendar_effect: calendar_effect.map(|effect| effect.as_str().to_owned()),
            guard: spec.guard,
            note: spec.note,
            source: schedule.source,
            owner: schedule.owner_name,
            skip_at: schedule.skip_at.map(Instant),
            next_at: view.next_at.map(Instant),
            last_run: view.last_run.map(LastRunJson::from),
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
        Self { warnings: Some(saved.warnings), now: saved.now.map(NowJson::from), ..saved.view.into() }
    }
}

/// What can be said about a schedule. Read-only fields of a schedule may be sent too and are not looked at.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Body` reads")]
pub struct ScheduleBody {
    #[schema(max_length = 120)]
    name: Option<String>,
    /// `local` where it is left out.
    host: Option<String>,
    target_type: TargetType,
    /// Name or key.
    target_id: String,
    /// By default whichever of `cron`, `at` and `window` is there.
    kind: Option<ScheduleKind>,
    /// Left out for a window.
    action: Option<Action>,
    #[schema(max_length = 256, example = "0 23 * * *")]
    cron: Option<String>,
    /// RFC 3339, or `YYYY-MM-DDTHH:MM` in the schedule's zone.
    at: Option<String>,
    #[schema(max_length = 512, example = "sleep Mon-Fri 23:00-07:00")]
    window: Option<String>,
    /// For a window: `stop` or `pause`.
    mode: Option<String>,
    policy: Option<Policy>,
    wake: Option<Wake>,
    calendar_id: Option<String>,
    /// `awake`, `asleep` or a day like `as:Sun` for a window; `skip` else.
    calendar_effect: Option<String>,
    /// For a window saved inside its sleep: let it begin with the next one.
    from_next: Option<bool>,
    #[schema(example = "Europe/Berlin")]
    timezone: Option<String>,
    /// True where it is left out.
    enabled: Option<bool>,
    #[schema(minimum = 0, maximum = 604_800)]
    catch_up_seconds: Option<i64>,
    #[schema(minimum = -1000, maximum = 1000)]
    priority: Option<i64>,
    #[schema(minimum = 0, maximum = 3600)]
    stop_timeout_seconds: Option<i64>,
    guard: Option<GuardBody>,
    #[schema(max_length = 2000)]
    note: Option<String>,
    /// Accept a target that does not exist yet.
    allow_missing: Option<bool>,
}

/// What may hold back a stop, a pause or the sleep of a window for a while: a minimum uptime, busy containers, or both.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Body` reads")]
pub struct GuardBody {
    /// Not before the target has been up this long.
    #[schema(minimum = 1, maximum = 1440)]
    min_uptime_minutes: Option<i64>,
    /// Busy is a container above this, in percent of one core.
    #[schema(minimum = 1, maximum = 6400)]
    busy_cpu_percent: Option<i64>,
    /// How long a busy target is waited for; 30 where it is left out.
    #[schema(minimum = 5, maximum = 720)]
    busy_wait_minutes: Option<i64>,
    /// What happens when it is busy to the end; `go` where it is left out.
    then: Option<Then>,
}

/// Reads a draft; `id` is the schedule it would replace.
fn draft(fields: &mut Fields, id: Option<ScheduleId>) -> Draft {
    let id = id.or_else(|| fields.text("id").map(ScheduleId));
    fields.read_only(&READ_ONLY);
    Draft {
        id,
        name: fields.text("name"),
        host: fields.text("host"),
        target_type: fields.text("target_type"),
        target_id: fields.text("target_id"),
        kind: fields.text("kind"),
        action: fields.text("action"),
        cron: fields.text("cron"),
        at: fields.text("at"),
        window: fields.text("window"),
        timezone: fields.text("timezone"),
        enabled: fields.boolean("enabled"),
        catch_up_seconds: fields.integer("catch_up_seconds"),
        priority: fields.integer("priority"),
        stop_timeout_seconds: fields.integer("stop_timeout_seconds"),
        policy: fields.text("policy"),
        mode: fields.text("mode"),
        wake: fields.text("wake"),
        calendar_id: fields.text("calendar_id"),
        calendar_effect: fields.text("calendar_effect"),
        from_next: fields.boolean("from_next").unwrap_or(false),
        guard: fields.object("guard", guard).unwrap_or_default(),
        note: fields.text("note"),
        allow_missing: fields.boolean("allow_missing").unwrap_or(false),
    }
}

fn guard(fields: &mut Fields) -> GuardDraft {
    GuardDraft {
        min_uptime_minutes: fields.integer("min_uptime_minutes"),
        busy_cpu_percent: fields.integer("busy_cpu_percent"),
        busy_wait_minutes: fields.integer("busy_wait_minutes"),
        then: fields.text("then"),
    }
}

/// The schedules, newest first.
#[utoipa::path(get, path = "/api/schedules", tag = "schedules", operation_id = "list_schedules",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query), ("enabled" = Option<bool>, Query),
        ("host" = Option<String>, Query), ("target_type" = Option<TargetType>, Query),
        ("target_id" = Option<String>, Query), ("q" = Option<String>, Query)),
    responses((status = 200, body = Items<ScheduleJson>)))]
pub(super) async fn list(
    caller: Caller<Viewer>,
    State(app): State<App>,
    Asked(mut fields): Asked,
) -> Result<Json<Items<ScheduleJson>>> {
    let (host, target) = asked_target(&app, &mut fields);
    let filter = ScheduleFilter { host, target, enabled: fields.flag("enabled"), text: fields.text("q") };
    let page = fields.page("schedules")?;
    fields.finish()?;
    let page = schedules::list(&app, &caller.actor, &filter, &page).await?;
    Ok(Json(Items::new("schedules", page)))
}

/// The host and the target that a query string filters by. A container that is gone is found under its exact name only where it
/// never belonged to a stack.
pub(super) fn asked_target(app: &App, fields: &mut Fields) -> (Option<HostId>, Option<Target>) {
    let host = fields.host(app);
    let (target_type, name) = match (fields.text("target_type"), fields.text("target_id")) {
        (None, None) => return (host, None),
        (Some(target_type), Some(name)) => (target_type, name),
        _ => {
            fields.fault("target_id", "target_type and target_id go together");
            return (host, None);
        }
    };
    let Some(target_type) = TargetType::parse(&target_type) else {
        fields.fault("target_type", "use stack or container");
        return (host, None);
    };
    let on = host.clone().unwrap_or_else(|| HostId::from("local"));
    (host, Some(crate::app::history::target_named(app, &on, target_type, &name)))
}

/// Stores a new schedule.
#[utoipa::path(post, path = "/api/schedules", tag = "schedules", operation_id = "create_schedule", request_body = ScheduleBody,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = ScheduleJson), (status = 422, body = Problem)))]
pub(super) async fn create(
    caller: Caller<Operator>,
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let Body { mut fields, bytes } = body;
    let draft = Draft { id: None, ..draft(&mut fields, None) };
    fields.finish()?;
    act::once(&app, &caller.actor, &headers, "/api/schedules", &bytes, async {
        let saved = schedules::create(&app, &caller.actor, &draft, Source::Api).await?;
        act::answer(StatusCode::CREATED, &ScheduleJson::from(saved))
    })
    .await
}

/// What a schedule would do; stores nothing.
#[utoipa::path(post, path = "/api/schedules/preview", tag = "schedules", operation_id = "preview_schedule", request_body = ScheduleBody,
    responses((status = 200, body = PreviewJson), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn preview(
    caller: Caller<Viewer>,
    State(web): State<Web>,
    State(app): State<App>,
    body: Body,
) -> Result<Json<PreviewJson>> {
    web.previews.admit(&caller.user().id)?;
    let mut fields = body.fields;
    let draft = draft(&mut fields, None);
    fields.finish()?;
    Ok(Json(schedules::preview(&app, &caller.actor, &draft).await?.into()))
}

/// A change of what is wanted.
#[derive(Serialize, ToSchema)]
pub struct TransitionJson {
    at: Instant,
    state: Mood,
}

/// What a window that is saved now does at once.
#[derive(Serialize, ToSchema)]
pub struct NowJson {
    state: Mood,
    /// The containers it would stop or pause.
    will_stop: Vec<String>,
}

impl From<Now> for NowJson {
    fn from(now: Now) -> Self {
        Self { state: now.state, will_stop: now.will_stop }
    }
}

/// What a schedule would do.
#[derive(Serialize, ToSchema)]
pub struct PreviewJson {
    /// When it fires, in words.
    meaning: String,
    /// The next ten instants; a window's edges.
    next: Vec<Instant>,
    /// For a window: what begins at each of them; `null` else.
    transitions: Option<Vec<TransitionJson>>,
    /// For a window: what saving it does at once.
    now: Option<NowJson>,
    /// How long its guard may hold it back, in minutes; `null` without one.
    may_wait_minutes: Option<i64>,
    warnings: Vec<String>,
    /// What the next clock changes do to it.
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
            now: preview.now.map(NowJson::from),
            may_wait_minutes: preview.guard.map(|guard| guard.longest_minutes()),
            warnings: preview.warnings,
            dst_notes: preview.dst_notes,
            effective_timezone: preview.zone,
        }
    }
}

/// One schedule.
#[utoipa::path(get, path = "/api/schedules/{id}", tag = "schedules", operation_id = "get_schedule", params(("id" = String, Path)),
    responses((status = 200, body = ScheduleJson), (status = 404, body = Problem)))]
pub(super) async fn get(
    caller: Caller<Viewer>,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response> {
    Ok(show(schedules::get(&app, &caller.actor, &ScheduleId(id)).await?.into()))
}

fn show(schedule: ScheduleJson) -> Response {
    (act::etag(schedule.rev), Json(schedule)).into_response()
}

/// Replaces a schedule; what is left out is at its default afterwards.
#[utoipa::path(put, path = "/api/schedules/{id}", tag = "schedules", operation_id = "replace_schedule", request_body = ScheduleBody,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = ScheduleJson), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 412, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn put(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let mut fields = body.fields;
    let id = ScheduleId(id);
    let draft = draft(&mut fields, Some(id.clone()));
    fields.finish()?;
    let rev = act::if_match(&headers);
    Ok(show(schedules::update(&app, &caller.actor, &id, &draft, rev).await?.into()))
}

/// Deletes a schedule; its runs keep its name.
#[utoipa::path(delete, path = "/api/schedules/{id}", tag = "schedules", operation_id = "delete_schedule",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 412, body = Problem)))]
pub(super) async fn delete(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode> {
    schedules::delete(&app, &caller.actor, &ScheduleId(id), act::if_match(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Switches a schedule on, from now.
#[utoipa::path(post, path = "/api/schedules/{id}/enable", tag = "schedules", operation_id = "enable_schedule", params(("id" = String, Path)),
    responses((status = 200, body = ScheduleJson), (status = 404, body = Problem)))]
pub(super) async fn enable(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response> {
    body.fields.finish()?;
    Ok(show(schedules::enable(&app, &caller.actor, &ScheduleId(id)).await?.into()))
}

/// Switches a schedule off.
#[utoipa::path(post, path = "/api/schedules/{id}/disable", tag = "schedules", operation_id = "disable_schedule", params(("id" = String, Path)),
    responses((status = 200, body = ScheduleJson), (status = 404, body = Problem)))]
pub(super) async fn disable(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response> {
    body.fields.finish()?;
    Ok(show(schedules::disable(&app, &caller.actor, &ScheduleId(id)).await?.into()))
}

/// Drops exactly the next occurrence.
#[utoipa::path(post, path = "/api/schedules/{id}/skip-next", tag = "schedules", operation_id = "skip_next", params(("id" = String, Path)),
    responses((status = 200, body = ScheduleJson), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn skip(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response> {
    body.fields.finish()?;
    Ok(show(schedules::skip_next(&app, &caller.actor, &ScheduleId(id)).await?.into()))
}

/// Takes a skip back.
#[utoipa::path(delete, path = "/api/schedules/{id}/skip-next", tag = "schedules", operation_id = "unskip_next", params(("id" = String, Path)),
    responses((status = 200, body = ScheduleJson), (status = 404, body = Problem)))]
pub(super) async fn unskip(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response> {
    Ok(show(schedules::unskip_next(&app, &caller.actor, &ScheduleId(id)).await?.into()))
}

/// Which edge of a window.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; `Fields` reads it")]
pub(super) struct RunBody {
    /// `sleep` or `wake`; for a window only, and needed there.
    edge: Option<String>,
}

/// Does now what the schedule does.
#[utoipa::path(post, path = "/api/schedules/{id}/run", tag = "schedules", operation_id = "run_schedule", request_body = Option<RunBody>,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = act::Accepted), (status = 200, body = act::Accepted),
        (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn run(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let Body { mut fields, bytes } = body;
    let edge = fields.text("edge");
    fields.finish()?;
    let call = format!("/api/schedules/{id}/run");
    act::once(&app, &caller.actor, &headers, &call, &bytes, async {
        let (id, edge) = (ScheduleId(id), edge.as_deref());
        act::accepted(&schedules::run_now(&app, &caller.actor, &id, Trigger::Api, edge).await?)
    })
    .await
}
