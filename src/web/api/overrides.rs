//! Overrides: a desired state with an end and a reason.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::act;
use super::body::{ApiQuery, Body, Paging};
use super::openapi::Items;
use super::target::target_id;
use crate::app::Result;
use crate::app::overrides::{self, Draft};
use crate::domain::ids::OverrideId;
use crate::domain::overrides::{Override, Reach};
use crate::domain::target::Target;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get_by_query("/overrides", Access::VIEWER, list)
        .post("/overrides", Access::OPERATOR, create)
        .get("/overrides/{id}", Access::VIEWER, get)
        .delete("/overrides/{id}", Access::OPERATOR, end)
}

/// An override.
#[derive(Serialize, ToSchema)]
pub struct OverrideJson {
    id: String,
    /// `null` for everything and for a group.
    host: Option<String>,
    /// `container`, `stack`, `host`, `group` or `all`.
    target_type: &'static str,
    /// The name of the stack or container, the id of the host or group; `null` for everything.
    target_id: Option<String>,
    /// The services, if it is for a part of a stack only, as after a schedule for services; otherwise `null`.
    services: Option<BTreeSet<String>>,
    target_key: Option<String>,
    #[serde(flatten)]
    rest: Override,
}

impl From<Override> for OverrideJson {
    fn from(one: Override) -> Self {
        let target = match &one.reach {
            Reach::Target(target) => Some(target),
            Reach::All => None,
        };
        Self {
            id: one.id.to_string(),
            host: one.reach.host().map(ToString::to_string),
            target_type: one.reach.type_str(),
            target_id: target.map(|target| target_id(target, one.target_name.clone())),
            services: target.and_then(|target| target.subject.services().cloned()),
            target_key: target.map(Target::key),
            rest: one,
        }
    }
}

#[derive(Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub struct OverrideQuery {
    ended: Option<bool>,
}

/// Lists the overrides in effect, newest first; with `ended=true` ended ones too.
#[utoipa::path(get, path = "/api/overrides", tag = "overrides", operation_id = "list_overrides",
    params(Paging, OverrideQuery), responses((status = 200, body = Items<OverrideJson>)))]
pub async fn list(caller: Caller<Viewer>, query: ApiQuery) -> Result<Json<Items<OverrideJson>>> {
    let (OverrideQuery { ended }, page) = query.page("overrides")?;
    let page = overrides::list(&caller.app, &caller.actor, ended.unwrap_or(false), &page).await?;
    Ok(Json(Items::new("overrides", page)))
}

/// Creates an override; an earlier one for the same target ends.
#[utoipa::path(post, path = "/api/overrides", tag = "overrides", operation_id = "create_override",
    request_body = Draft, responses((status = 201, body = OverrideJson)))]
pub async fn create(caller: Caller<Operator>, body: Body<Draft>) -> Result<Response> {
    let work = async {
        let one = overrides::create(&caller.app, &caller.actor, &body.value).await?;
        act::answer(StatusCode::CREATED, &OverrideJson::from(one))
    };
    body.once.answer(&caller, work).await
}

/// Returns one override.
#[utoipa::path(get, path = "/api/overrides/{id}", tag = "overrides", operation_id = "get_override",
    responses((status = 200, body = OverrideJson)))]
pub async fn get(caller: Caller<Viewer>, Path(id): Path<OverrideId>) -> Result<Json<OverrideJson>> {
    Ok(Json(overrides::get(&caller.app, &caller.actor, &id).await?.into()))
}

/// Ends an override before its time.
#[utoipa::path(delete, path = "/api/overrides/{id}", tag = "overrides", operation_id = "end_override",
    responses((status = 204), (status = 409)))]
pub async fn end(caller: Caller<Operator>, Path(id): Path<OverrideId>) -> Result<StatusCode> {
    overrides::finish(&caller.app, &caller.actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
