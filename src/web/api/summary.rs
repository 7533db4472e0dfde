//! A summary of the installation in a few numbers.

use axum::Json;

use crate::app::Result;
use crate::app::summary::{self, Summary};
use crate::web::auth::{Caller, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get("/summary", Access::VIEWER, get)
}

/// Returns the current counts.
#[utoipa::path(get, path = "/api/summary", tag = "summary", operation_id = "get_summary",
    responses((status = 200, body = Summary)))]
pub async fn get(caller: Caller<Viewer>) -> Result<Json<Summary>> {
    Ok(Json(summary::get(&caller.app, &caller.actor).await?))
}
