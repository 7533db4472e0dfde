//! The order that people add to what labels tell.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::act;
use super::body::Body;
use super::instant::Instant;
use super::openapi::Problem;
use crate::app::{App, Result, order};
use crate::domain::order::added::AddedEdge;
use crate::domain::run::Condition;
use crate::domain::target::{Target, TargetType};
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/order", Access::VIEWER, list)
        .post("/order", Access::OPERATOR, add)
        .get("/order/{id}", Access::VIEWER, get)
        .delete("/order/{id}", Access::OPERATOR, remove)
}

/// An edge: the dependant starts after the dependency, and stops before it.
#[derive(Serialize, ToSchema)]
pub struct EdgeJson {
    id: String,
    host: String,
    dependant_type: TargetType,
    dependant_id: String,
    dependency_type: TargetType,
    dependency_id: String,
    condition: Condition,
    wait_seconds: Option<i64>,
    author: String,
    created_at: Instant,
}

impl From<AddedEdge> for EdgeJson {
    fn from(edge: AddedEdge) -> Self {
        let kind = |subject| Target { host: edge.host.clone(), subject }.target_type();
        Self {
            dependant_type: kind(edge.dependant),
            dependency_type: kind(edge.dependency),
            id: edge.id,
            host: edge.host.0,
            dependant_id: edge.dependant_name,
            dependency_id: edge.dependency_name,
            condition: edge.condition,
            wait_seconds: edge.wait_seconds,
            author: edge.author,
            created_at: Instant(edge.created_at),
        }
    }
}

/// An edge as it is sent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Body` reads")]
pub(super) struct EdgeBody {
    /// `local` where it is left out.
    host: Option<String>,
    dependant_type: TargetType,
    /// Name or key.
    dependant_id: String,
    dependency_type: TargetType,
    /// Name or key.
    dependency_id: String,
    /// `service_started` where it is left out.
    condition: Option<Condition>,
    #[schema(minimum = 1, maximum = 3600)]
    wait_seconds: Option<i64>,
}

/// All edges that people added, oldest first.
#[utoipa::path(get, path = "/api/order", tag = "order", operation_id = "list_order", responses((status = 200, body = Vec<EdgeJson>)))]
pub(super) async fn list(caller: Caller<Viewer>, State(app): State<App>) -> Result<Json<Vec<EdgeJson>>> {
    let edges = order::list(&app, &caller.actor).await?;
    Ok(Json(edges.into_iter().map(EdgeJson::from).collect()))
}

/// Adds an edge.
#[utoipa::path(post, path = "/api/order", tag = "order", operation_id = "add_order", request_body = EdgeBody,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = EdgeJson), (status = 422, body = Problem)))]
pub(super) async fn add(
    caller: Caller<Operator>,
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let Body { mut fields, bytes } = body;
    let draft = order::Draft {
        host: fields.text("host"),
        dependant_type: fields.text("dependant_type"),
        dependant_id: fields.text("dependant_id"),
        dependency_type: fields.text("dependency_type"),
        dependency_id: fields.text("dependency_id"),
        condition: fields.text("condition"),
        wait_seconds: fields.integer("wait_seconds"),
    };
    fields.finish()?;
    act::once(&app, &caller.actor, &headers, "/api/order", &bytes, async {
        let edge = order::add(&app, &caller.actor, &draft).await?;
        act::answer(StatusCode::CREATED, &EdgeJson::from(edge))
    })
    .await
}

/// One edge.
#[utoipa::path(get, path = "/api/order/{id}", tag = "order", operation_id = "get_order", params(("id" = String, Path)),
    responses((status = 200, body = EdgeJson), (status = 404, body = Problem)))]
pub(super) async fn get(
    caller: Caller<Viewer>,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<EdgeJson>> {
    Ok(Json(order::get(&app, &caller.actor, &id).await?.into()))
}

/// Takes an edge away.
#[utoipa::path(delete, path = "/api/order/{id}", tag = "order", operation_id = "remove_order", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn remove(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    order::remove(&app, &caller.actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
