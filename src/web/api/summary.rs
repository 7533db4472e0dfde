//! A summary of the installation in a few numbers.

use axum::Json;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::body::ApiQuery;
use super::target::known_area;
use crate::app::Result;
use crate::app::summary::{self, Summary};
use crate::web::auth::{Caller, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get_by_query("/summary", Access::VIEWER, get)
}

#[derive(Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub struct SummaryQuery {
    /// The id of a host; default: all hosts
    host: Option<String>,
    /// The id of a group; default: everything
    group: Option<String>,
}

/// Returns the current counts.
#[utoipa::path(get, path = "/api/summary", tag = "summary", operation_id = "get_summary",
    params(SummaryQuery), responses((status = 200, body = Summary)))]
pub async fn get(caller: Caller<Viewer>, query: ApiQuery) -> Result<Json<Summary>> {
    let SummaryQuery { host, group } = query.read()?;
    let area = known_area(&caller.app, host, group).await?;
    Ok(Json(summary::get(&caller.app, &caller.actor, &area).await?))
}
