//! The login page, login and logout.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::Response;

use crate::app::{Actor, Error, Result, auth};
use crate::web::Web;
use crate::web::auth::Identity;
use crate::web::error::Problem;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::page::VisitorPage;
use crate::web::routes::{Access, Routes};
use crate::web::session::local;
use crate::web::shell::{Flash, Shell};

pub(super) fn routes(web: &Web) -> Routes {
    let guard = web.flood.layer();
    Routes::new()
        .get("/login", Access::Anyone, show)
        .post("/login", Access::Anyone, log_in)
        .around(|router| router.route_layer(guard))
        .post("/logout", Access::Anyone, log_out)
}

/// The login page.
#[derive(Template)]
#[template(path = "auth/login.html")]
struct LoginPage<'a> {
    shell: &'a Shell,
    /// The typed user name.
    name: &'a str,
    /// The path to open after the login.
    next: &'a str,
    /// The error; it does not reveal whether the name exists.
    problem: Option<&'a Problem>,
    /// Whether a form of an expired session will be restored after the login.
    kept: bool,
}

#[derive(serde::Deserialize)]
struct LoginQuery {
    #[serde(default)]
    next: String,
}

fn or_home(next: &str) -> String {
    local(next).unwrap_or_else(|| "/".to_owned())
}

async fn show(page: VisitorPage, Query(LoginQuery { next }): Query<LoginQuery>) -> Result<Response> {
    let next = &*or_home(&next);
    if page.shell.user.is_some() {
        return Ok(page.redirect(next));
    }
    if auth::setup::is_due(&page.app).await? {
        return Ok(page.redirect("/setup"));
    }
    let kept = page.session.keeps_a_form();
    page.render(StatusCode::OK, &LoginPage { shell: &page.shell, name: "", next, problem: None, kept })
}

async fn log_in(mut page: VisitorPage, typed: Typed) -> Result<Response> {
    page.web.flood.tidy();
    let (name, password, next) = (typed.get("name"), typed.secret("password"), or_home(typed.get("next")));
    match auth::login(&page.app, name, &password, page.via.ip, &page.presented).await {
        Ok(user) => {
            page.session.log_in(&user).await?;
            let Some(kept) = page.session.restore_form(&user.id).await? else {
                return Ok(page.redirect(&next));
            };
            let text = "Your login had ended, so nothing was stored. Look it over and send it again.";
            page.session.leave(Flash::new("warn", text)).await;
            Ok(page.redirect(&kept))
        }
        Err(refusal @ (Error::WrongCredentials | Error::TooManyTries { .. })) => {
            refused(&page, name, &next, &refusal.into())
        }
        Err(other) => Err(other),
    }
}

fn refused(page: &VisitorPage, name: &str, next: &str, problem: &Problem) -> Result<Response> {
    let kept = page.session.keeps_a_form();
    let again = LoginPage { shell: &page.shell, name, next, problem: Some(problem), kept };
    let mut response = page.render(problem.status, &again)?;
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

async fn log_out(mut page: VisitorPage, identity: Identity) -> Result<Response> {
    if let Some(who) = identity.who() {
        auth::logged_out(&page.app, &Actor::user(&who.user, who.ip), &who.user).await?;
        page.session.log_out().await?;
    }
    Ok(page.redirect("/login"))
}
