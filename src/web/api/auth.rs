//! API tokens: login, the account of a token, logout.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Body;
use crate::app::auth::devices::Presented;
use crate::app::{Result, auth};
use crate::domain::permission::Role;
use crate::domain::time::Instant;
use crate::web::Web;
use crate::web::auth::Caller;
use crate::web::proxy::Via;
use crate::web::routes::{Access, Routes};

pub(super) fn routes(web: &Web) -> Routes {
    let guard = web.flood.layer();
    Routes::new()
        .post("/auth/login", Access::Anyone, login)
        .around(|router| router.route_layer(guard))
        .post("/auth/logout", Access::VIEWER, logout)
        .get("/me", Access::VIEWER, show)
}

/// User name and password.
#[derive(Deserialize, ToSchema)]
pub struct LoginBody {
    /// Login name.
    username: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// A token with its account.
#[derive(Serialize, ToSchema)]
pub struct LoginAnswer {
    /// To be sent as `Authorization: Bearer …`.
    token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// When the token expires.
    expires_at: Instant,
    /// The account of the token.
    user: LoginUser,
}

/// The account of a token.
#[derive(Serialize, ToSchema)]
pub struct LoginUser {
    /// Login name.
    username: String,
    /// The role, which defines the permissions.
    role: Role,
}

/// Issues a token that is valid for 12 hours.
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", operation_id = "log_in", request_body = LoginBody,
    security(()), responses((status = 200, body = LoginAnswer), (status = 401), (status = 429)))]
pub async fn login(
    State(web): State<Web>,
    Extension(via): Extension<Via>,
    body: Body<LoginBody>,
) -> Result<Json<LoginAnswer>> {
    web.flood.tidy();
    let LoginBody { username, password } = body.value;
    let user = auth::login(&web.app, &username, &password, via.ip, &Presented::default()).await?;
    let issued = auth::tokens::issue(&web.app, &user, via.ip).await?;
    Ok(Json(LoginAnswer {
        token: issued.token,
        token_type: "Bearer",
        expires_at: Instant(issued.expires),
        user: LoginUser { username: user.name, role: user.role },
    }))
}

/// Revokes the token at once.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth", operation_id = "log_out", responses((status = 204)))]
pub async fn logout(caller: Caller) -> Result<StatusCode> {
    if let Some(jti) = caller.token() {
        auth::tokens::revoke(&caller.app, &caller.actor, caller.user(), jti).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The account of the caller.
#[derive(Serialize, ToSchema)]
pub struct Me {
    /// The id of the account.
    id: String,
    /// Login name.
    username: String,
    /// The role, which defines the permissions.
    role: Role,
    /// The zone for displayed times; `null` for the zone of the installation.
    timezone: Option<String>,
}

/// Returns the account of the token.
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
