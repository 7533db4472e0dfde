//! Locks: what DockNap leaves alone until somebody unlocks it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Body;
use super::containers;
use super::instant::Instant;
use super::openapi::Problem;
use crate::app::{App, Result, locks};
use crate::domain::ids::HostId;
use crate::domain::lock::Lock;
use crate::domain::target::TargetType;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/locks", Access::VIEWER, list)
        .put("/stacks/{host}/{name}/lock", Access::OPERATOR, lock_stack)
        .delete("/stacks/{host}/{name}/lock", Access::OPERATOR, unlock_stack)
        .put("/containers/{host}/{name}/lock", Access::OPERATOR, lock_container)
        .delete("/containers/{host}/{name}/lock", Access::OPERATOR, unlock_container)
}

/// A lock.
#[derive(Serialize, ToSchema)]
pub struct LockJson {
    host: String,
    target_type: TargetType,
    target_id: String,
    target_key: String,
    reason: String,
    author: String,
    created_at: Instant,
}

impl From<Lock> for LockJson {
    fn from(lock: Lock) -> Self {
        Self {
            target_type: lock.target.target_type(),
            target_key: lock.target.key(),
            host: lock.target.host.0,
            target_id: lock.target_name,
            reason: lock.reason,
            author: lock.author,
            created_at: Instant(lock.created_at),
        }
    }
}

/// Why it is locked.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Body` reads")]
pub(super) struct LockBody {
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// All locks.
#[utoipa::path(get, path = "/api/locks", tag = "locks", operation_id = "list_locks", responses((status = 200, body = Vec<LockJson>)))]
pub(super) async fn list(caller: Caller<Viewer>, State(app): State<App>) -> Result<Json<Vec<LockJson>>> {
    let locks = locks::list(&app, &caller.actor).await?;
    Ok(Json(locks.into_iter().map(LockJson::from).collect()))
}

/// Locks a stack; one that is locked gets the new reason.
#[utoipa::path(put, path = "/api/stacks/{host}/{name}/lock", tag = "locks", operation_id = "lock_stack", request_body = Option<LockBody>,
    params(("host" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = LockJson), (status = 404, body = Problem)))]
pub(super) async fn lock_stack(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(path): Path<(String, String)>,
    body: Body,
) -> Result<Json<LockJson>> {
    lock(caller, &app, TargetType::Stack, path, body).await
}

/// Unlocks a stack.
#[utoipa::path(delete, path = "/api/stacks/{host}/{name}/lock", tag = "locks", operation_id = "unlock_stack",
    params(("host" = String, Path), ("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn unlock_stack(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode> {
    unlock(caller, &app, TargetType::Stack, path).await
}

/// Locks a container; one that is locked gets the new reason.
#[utoipa::path(put, path = "/api/containers/{host}/{name}/lock", tag = "locks", operation_id = "lock_container", request_body = Option<LockBody>,
    params(("host" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = LockJson), (status = 404, body = Problem)))]
pub(super) async fn lock_container(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(path): Path<(String, String)>,
    body: Body,
) -> Result<Json<LockJson>> {
    lock(caller, &app, TargetType::Container, path, body).await
}

/// Unlocks a container.
#[utoipa::path(delete, path = "/api/containers/{host}/{name}/lock", tag = "locks", operation_id = "unlock_container",
    params(("host" = String, Path), ("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn unlock_container(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode> {
    unlock(caller, &app, TargetType::Container, path).await
}

async fn lock(
    caller: Caller<Operator>,
    app: &App,
    target_type: TargetType,
    (host, name): (String, String),
    body: Body,
) -> Result<Json<LockJson>> {
    let host = HostId(host);
    let name = named(app, &host, target_type, name)?;
    let mut fields = body.fields;
    let reason = fields.text("reason").unwrap_or_default();
    fields.finish()?;
    let locked = locks::lock(app, &caller.actor, &host, target_type, &name, &reason).await?;
    Ok(Json(locked.into()))
}

async fn unlock(
    caller: Caller<Operator>,
    app: &App,
    target_type: TargetType,
    (host, name): (String, String),
) -> Result<StatusCode> {
    let host = HostId(host);
    let name = named(app, &host, target_type, name)?;
    locks::unlock(app, &caller.actor, &host, target_type, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the path names; of a container it may be the id.
fn named(app: &App, host: &HostId, target_type: TargetType, name: String) -> Result<String> {
    match target_type {
        TargetType::Container => containers::named(app, host, name),
        TargetType::Stack => Ok(name),
    }
}
