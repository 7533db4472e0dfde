//! The audit log: all of it for admins, for others their own rows.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Asked;
use super::instant::Instant;
use super::openapi::Items;
use super::runs::{ActorJson, asked_instant};
use crate::app::audit::{self, AuditFilter};
use crate::app::{App, Result};
use crate::domain::audit::{AuditDetail, AuditRow};
use crate::domain::ids::RunId;
use crate::web::auth::{Caller, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get_by_query("/audit", Access::VIEWER, list)
}

/// One row of the audit log.
#[derive(Serialize, ToSchema)]
pub struct AuditJson {
    id: String,
    at: Instant,
    actor: ActorJson,
    /// From where, where a person or program called.
    ip: Option<String>,
    /// `noun.verb`
    event: String,
    object_type: String,
    object_id: Option<String>,
    object_name: String,
    outcome: String,
    #[serde(flatten)]
    detail: AuditDetail,
}

impl From<AuditRow> for AuditJson {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id.0,
            at: Instant(row.at),
            actor: row.actor.into(),
            ip: row.ip,
            event: row.event,
            object_type: row.object_type,
            object_id: row.object_id,
            object_name: row.object_name,
            outcome: row.outcome,
            detail: row.detail,
        }
    }
}

/// The rows, newest first.
#[utoipa::path(get, path = "/api/audit", tag = "audit", operation_id = "list_audit",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query), ("event" = Option<String>, Query),
        ("object_type" = Option<String>, Query), ("object_id" = Option<String>, Query),
        ("object_name" = Option<String>, Query), ("actor" = Option<String>, Query), ("ip" = Option<String>, Query),
        ("run_id" = Option<String>, Query), ("from" = Option<String>, Query), ("to" = Option<String>, Query)),
    responses((status = 200, body = Items<AuditJson>)))]
pub(super) async fn list(
    caller: Caller<Viewer>,
    State(app): State<App>,
    Asked(mut fields): Asked,
) -> Result<Json<Items<AuditJson>>> {
    let filter = AuditFilter {
        object_type: fields.text("object_type"),
        object_id: fields.text("object_id"),
        object_name: fields.text("object_name"),
        event: fields.text("event"),
        actor: fields.text("actor"),
        ip: fields.text("ip"),
        run: fields.text("run_id").map(RunId),
        from: asked_instant(&mut fields, "from"),
        to: asked_instant(&mut fields, "to"),
    };
    let page = fields.page("audit")?;
    fields.finish()?;
    let page = audit::list(&app, &caller.actor, &filter, &page).await?;
    Ok(Json(Items::new("audit", page)))
}
