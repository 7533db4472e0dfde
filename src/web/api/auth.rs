//! A token for a program, whose it is, and its end.

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

/// Name and password.
#[derive(Deserialize, ToSchema)]
pub struct LoginBody {
    /// Login name.
    username: String,
    /// Password.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// A token and whose it is.
#[derive(Serialize, ToSchema)]
pub struct LoginAnswer {
    /// Send it as `Authorization: Bearer …`.
    token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// When it ends.
    expires_at: Instant,
    /// Whose it is.
    user: LoginUser,
}

/// Whose token it is.
#[derive(Serialize, ToSchema)]
pub struct LoginUser {
    /// Login name.
    username: String,
    /// What they may do.
    role: Role,
}

/// Gives a program a token for 12 h.
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

/// Ends the token at once.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth", operation_id = "log_out", responses((status = 204)))]
pub async fn logout(caller: Caller) -> Result<StatusCode> {
    if let Some(jti) = caller.token() {
        auth::tokens::revoke(&caller.app, &caller.actor, caller.user(), jti).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The caller.
#[derive(Serialize, ToSchema)]
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
