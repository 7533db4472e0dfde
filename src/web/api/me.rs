//! `/api/me`: who the token belongs to.

use axum::Json;

use crate::domain::permission::Role;
use crate::web::auth::Caller;
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get("/me", Access::VIEWER, show)
}

/// The caller.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct Me {
    /// The account's id.
    id: String,
    /// Login name.
    username: String,
    /// What they may do.
    role: Role,
    /// The zone they want to see; `null` = the installation's.
    timezone: Option<String>,
}

/// Who the token belongs to.
#[utoipa::path(get, path = "/api/me", tag = "auth", operation_id = "get_me", responses((status = 200, body = Me)))]
pub async fn show(caller: Caller) -> Json<Me> {
    let user = caller.user();
    Json(Me {
        id: user.id.as_str().to_owned(),
        username: user.name.clone(),
        role: user.role,
        timezone: user.timezone.clone(),
    })
}
