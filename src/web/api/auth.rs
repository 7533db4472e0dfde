//! `/api/auth`: a token for a program, and its end.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use secrecy::SecretString;

use super::Body;
use crate::app::auth::devices::Presented;
use crate::app::{Result, auth};
use crate::domain::permission::Role;
use crate::web::Web;
use crate::web::auth::Caller;
use crate::web::proxy::Via;
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().post("/auth/login", Access::Anyone, login).post("/auth/logout", Access::VIEWER, logout)
}

/// Name and password.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginBody {
    /// Login name.
    username: String,
    /// Password.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// A token and whose it is.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct LoginAnswer {
    /// Send it as `Authorization: Bearer …`.
    token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// When it ends, RFC 3339 in UTC.
    expires_at: String,
    /// Whose it is.
    user: LoginUser,
}

/// Whose token it is.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct LoginUser {
    /// Login name.
    username: String,
    /// What they may do.
    role: Role,
}

/// Gives a program a token for 12 h.
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", request_body = LoginBody, security(()),
    responses((status = 200, body = LoginAnswer), (status = 401, body = super::openapi::Problem),
        (status = 429, body = super::openapi::Problem)))]
pub(super) async fn login(
    State(web): State<Web>,
    Extension(via): Extension<Via>,
    Body(body): Body<LoginBody>,
) -> Result<Json<LoginAnswer>> {
    let unknown = Presented::default();
    let user = auth::login(&web.app, &body.username, &body.password, via.ip, &unknown).await?;
    let issued = auth::tokens::issue(&web.app, &user, via.ip).await?;
    Ok(Json(LoginAnswer {
        token: issued.token,
        token_type: "Bearer",
        expires_at: issued.expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        user: LoginUser { username: user.name, role: user.role },
    }))
}

/// Ends the token at once.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth", responses((status = 204)))]
pub(super) async fn logout(State(web): State<Web>, caller: Caller) -> Result<StatusCode> {
    if let Some(jti) = caller.token() {
        auth::tokens::revoke(&web.app, &caller.actor, caller.user(), jti).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
