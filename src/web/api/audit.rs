//! The audit log: all rows for admins, their own rows for other users.

use axum::Json;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::body::{ApiQuery, Paging, instant};
use super::openapi::Items;
use super::target::past_group;
use crate::app::Result;
use crate::app::audit::{self, AuditFilter};
use crate::domain::audit::AuditRow;
use crate::domain::ids::{HostId, RunId};
use crate::web::auth::{Caller, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get_by_query("/audit", Access::VIEWER, list)
}

#[derive(Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// The id of a host, which may be deleted since
    host: Option<String>,
    /// The id of a group that the object is in now
    group: Option<String>,
    event: Option<String>,
    object_type: Option<String>,
    object_id: Option<String>,
    object_name: Option<String>,
    actor: Option<String>,
    ip: Option<String>,
    run_id: Option<String>,
    #[schema(format = DateTime)]
    from: Option<String>,
    #[schema(format = DateTime)]
    to: Option<String>,
}

/// Lists the rows, newest first.
#[utoipa::path(get, path = "/api/audit", tag = "audit", operation_id = "list_audit",
    params(Paging, AuditQuery), responses((status = 200, body = Items<AuditRow>)))]
pub async fn list(caller: Caller<Viewer>, query: ApiQuery) -> Result<Json<Items<AuditRow>>> {
    let (query, page) = query.page::<AuditQuery>("audit")?;
    let filter = AuditFilter {
        host: query.host.map(HostId),
        group: past_group(&caller.app, query.group).await?,
        object_type: query.object_type,
        object_id: query.object_id,
        object_name: query.object_name,
        event: query.event,
        actor: query.actor,
        ip: query.ip,
        run: query.run_id.map(RunId),
        from: instant(query.from),
        to: instant(query.to),
    };
    let page = audit::list(&caller.app, &caller.actor, &filter, &page).await?;
    Ok(Json(Items::new("audit", page)))
}
