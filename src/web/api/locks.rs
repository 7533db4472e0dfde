//! Locks: stacks and containers on which DockNap does not act until a user unlocks them.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Body;
use super::containers;
use super::target::{Named, TargetFields};
use crate::app::{Result, locks};
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
    #[serde(flatten)]
    target: TargetFields,
    #[serde(flatten)]
    lock: Lock,
}

impl From<Lock> for LockJson {
    fn from(lock: Lock) -> Self {
        Self { target: TargetFields::new(&lock.target, lock.target_name.clone()), lock }
    }
}

/// The reason for a lock.
#[derive(Deserialize, ToSchema)]
pub struct LockBody {
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Lists all locks.
#[utoipa::path(get, path = "/api/locks", tag = "locks", operation_id = "list_locks",
    responses((status = 200, body = Vec<LockJson>)))]
pub async fn list(caller: Caller<Viewer>) -> Result<Json<Vec<LockJson>>> {
    let locks = locks::list(&caller.app, &caller.actor).await?;
    Ok(Json(locks.into_iter().map(LockJson::from).collect()))
}

/// Locks a stack; a locked one gets the new reason.
#[utoipa::path(put, path = "/api/stacks/{host}/{name}/lock", tag = "locks", operation_id = "lock_stack",
    request_body = Option<LockBody>, responses((status = 200, body = LockJson)))]
pub async fn lock_stack(
    caller: Caller<Operator>,
    Path((host, name)): Named,
    body: Body<LockBody>,
) -> Result<Json<LockJson>> {
    lock(&caller, &host, TargetType::Stack, &name, body.value).await
}

/// Unlocks a stack.
#[utoipa::path(delete, path = "/api/stacks/{host}/{name}/lock", tag = "locks", operation_id = "unlock_stack",
    responses((status = 204)))]
pub async fn unlock_stack(caller: Caller<Operator>, Path((host, name)): Named) -> Result<StatusCode> {
    locks::unlock(&caller.app, &caller.actor, &host, TargetType::Stack, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Locks a container; a locked one gets the new reason.
#[utoipa::path(put, path = "/api/containers/{host}/{name}/lock", tag = "locks", operation_id = "lock_container",
    request_body = Option<LockBody>, responses((status = 200, body = LockJson)))]
pub async fn lock_container(
    caller: Caller<Operator>,
    Path((host, name)): Named,
    body: Body<LockBody>,
) -> Result<Json<LockJson>> {
    let name = containers::named(&caller.app, &host, name)?;
    lock(&caller, &host, TargetType::Container, &name, body.value).await
}

/// Unlocks a container.
#[utoipa::path(delete, path = "/api/containers/{host}/{name}/lock", tag = "locks", operation_id = "unlock_container",
    responses((status = 204)))]
pub async fn unlock_container(caller: Caller<Operator>, Path((host, name)): Named) -> Result<StatusCode> {
    let name = containers::named(&caller.app, &host, name)?;
    locks::unlock(&caller.app, &caller.actor, &host, TargetType::Container, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn lock(
    caller: &Caller<Operator>,
    host: &HostId,
    target_type: TargetType,
    name: &str,
    body: LockBody,
) -> Result<Json<LockJson>> {
    let reason = body.reason.unwrap_or_default();
    Ok(Json(locks::lock(&caller.app, &caller.actor, host, target_type, name, &reason).await?.into()))
}
