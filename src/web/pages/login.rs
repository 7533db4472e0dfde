//! Getting in and out.

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Redirect, Response};

use super::html;
use crate::app::auth::devices::Presented;
use crate::app::{Actor, Error, Result, auth};
use crate::web::auth::Identity;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::proxy::Via;
use crate::web::routes::{Access, Routes};
use crate::web::session::{self, Ended, PageLogin};
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::{Web, error};

pub(super) fn routes(web: &Web) -> Routes {
    let guard = web.flood.layer();
    Routes::new()
        .get("/login", Access::Anyone, show)
        .post("/login", Access::Anyone, log_in)
        .around(|router| router.route_layer(guard))
        .post("/logout", Access::Anyone, log_out)
}

/// The way in.
#[derive(Template)]
#[template(path = "auth/login.html")]
struct LoginPage {
    shell: Shell,
    /// What was typed as a name.
    name: String,
    /// Where to afterwards.
    next: String,
    /// What is wrong, in one sentence that says nothing about whether the name exists.
    wrong: Option<String>,
    /// Seconds until the next try is looked at.
    wait: Option<u64>,
    /// A form is being kept for whoever logs in.
    kept: bool,
}

#[derive(serde::Deserialize)]
struct Where {
    #[serde(default)]
    next: String,
}

async fn show(
    State(web): State<Web>,
    Query(Where { next }): Query<Where>,
    login: PageLogin,
    ended: Option<Extension<Ended>>,
    shell: Shell,
) -> Result<Response> {
    let next = session::local(&next).unwrap_or_else(|| "/".to_owned());
    if login.user.is_some() {
        return Ok(Redirect::to(&web.link(&next)).into_response());
    }
    if auth::setup::is_due(&web.app).await? {
        return Ok(Redirect::to(&web.link("/setup")).into_response());
    }
    let kept = ended.is_some_and(|Extension(ended)| ended.keeps_something());
    page(StatusCode::OK, &LoginPage { shell, name: String::new(), next, wrong: None, wait: None, kept })
}

async fn log_in(
    State(web): State<Web>,
    Extension(via): Extension<Via>,
    Extension(presented): Extension<Presented>,
    mut login: PageLogin,
    ended: Option<Extension<Ended>>,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    web.flood.tidy();
    let next = session::local(typed.get("next")).unwrap_or_else(|| "/".to_owned());
    let (name, password) = (typed.get("name"), typed.secret("password"));
    let user = match auth::login(&web.app, name, &password, via.ip, &presented).await {
        Ok(user) => user,
        Err(refusal) => {
            let (status, wrong, wait) = match refusal {
                Error::WrongCredentials => (StatusCode::UNAUTHORIZED, "Name or password is wrong.", None),
                Error::TooManyTries { retry_after } => {
                    (StatusCode::TOO_MANY_REQUESTS, "Too many tries.", Some(retry_after.as_secs().max(1)))
                }
                other => return Err(other),
            };
            let kept = ended.is_some_and(|Extension(ended)| ended.keeps_something());
            let name = typed.get("name").to_owned();
            let mut response =
                page(status, &LoginPage { shell, name, next, wrong: Some(wrong.to_owned()), wait, kept })?;
            if let Some(seconds) = wait {
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            return Ok(response);
        }
    };
    let mut target = next;
    let kept = ended.as_ref().and_then(|Extension(ended)| ended.kept_for(&user.id)).cloned();
    session::log_in(&mut login, user).await?;
    if let Some(form) = kept {
        session::keep_for_page(&login.session, &form).await?;
        let text = "Your login had ended, so nothing was stored. Look it over and send it again.";
        Notes::of(&login.session).leave(Flash::new("warn", text)).await;
        target = form.page;
    }
    if let Some(Extension(ended)) = ended {
        ended.forget(&web.app).await?;
    }
    Ok(Redirect::to(&web.link(&target)).into_response())
}

async fn log_out(State(web): State<Web>, identity: Identity, mut login: PageLogin) -> Result<Redirect> {
    if let Some(who) = identity.who() {
        auth::logged_out(&web.app, &Actor::user(&who.user, who.ip), &who.user).await?;
        login.logout().await.map_err(error::internal)?;
    }
    Ok(Redirect::to(&web.link("/login")))
}

fn page(status: StatusCode, page: &LoginPage) -> Result<Response> {
    Ok((status, html(page)?).into_response())
}
