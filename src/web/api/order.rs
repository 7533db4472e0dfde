//! Start order that users define in addition to labels.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

use super::act;
use super::body::Body;
use crate::app::{Result, order};
use crate::domain::order::added::AddedEdge;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/order", Access::VIEWER, list)
        .post("/order", Access::OPERATOR, add)
        .get("/order/{id}", Access::VIEWER, get)
        .delete("/order/{id}", Access::OPERATOR, remove)
}

/// Lists all order edges that users added, oldest first.
#[utoipa::path(get, path = "/api/order", tag = "order", operation_id = "list_order",
    responses((status = 200, body = Vec<AddedEdge>)))]
pub async fn list(caller: Caller<Viewer>) -> Result<Json<Vec<AddedEdge>>> {
    Ok(Json(order::list(&caller.app, &caller.actor).await?))
}

/// Adds an order edge.
#[utoipa::path(post, path = "/api/order", tag = "order", operation_id = "add_order", request_body = order::Draft,
    responses((status = 201, body = AddedEdge)))]
pub async fn add(caller: Caller<Operator>, body: Body<order::Draft>) -> Result<Response> {
    let work = async {
        let edge = order::add(&caller.app, &caller.actor, &body.value).await?;
        act::answer(StatusCode::CREATED, &edge)
    };
    body.once.answer(&caller, work).await
}

/// Returns one order edge.
#[utoipa::path(get, path = "/api/order/{id}", tag = "order", operation_id = "get_order",
    responses((status = 200, body = AddedEdge)))]
pub async fn get(caller: Caller<Viewer>, Path(id): Path<String>) -> Result<Json<AddedEdge>> {
    Ok(Json(order::get(&caller.app, &caller.actor, &id).await?))
}

/// Removes an order edge.
#[utoipa::path(delete, path = "/api/order/{id}", tag = "order", operation_id = "remove_order",
    responses((status = 204)))]
pub async fn remove(caller: Caller<Operator>, Path(id): Path<String>) -> Result<StatusCode> {
    order::remove(&caller.app, &caller.actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
