//! First run: the setup token, then the first admin (ui 4.2, steps 1 and 2).
//!
//! Two steps, each a plain form. The second carries the token along, so nothing is stored until all is right; going
//! back to the first carries what was typed. Steps 3 and 4 follow with a login ([`super::welcome`]).

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response};
use secrecy::ExposeSecret;

use super::html;
use crate::app::auth::setup;
use crate::app::{Error, Result};
use crate::web::Web;
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::proxy::Via;
use crate::web::routes::{Access, Routes};
use crate::web::session::{self, PageLogin};
use crate::web::shell::{Flash, Notes, Shell, theme_cookie};

pub(super) fn routes() -> Routes {
    Routes::new().get("/setup", Access::Anyone, show).post("/setup", Access::Anyone, finish).post(
        "/setup/token",
        Access::Anyone,
        check,
    )
}

/// The first two steps.
#[derive(Template)]
#[template(path = "auth/setup.html")]
struct SetupPage {
    shell: Shell,
    /// 1 = the token, 2 = the admin.
    step: usize,
    /// The token, as far as it is known.
    token: String,
    form: Refill,
    /// Characters of the shortest password accepted.
    password_min: usize,
    /// The zone is fixed by the environment.
    zone_fixed: bool,
}

async fn show(State(web): State<Web>, shell: Shell) -> Result<Response> {
    if !setup::is_due(&web.app).await? {
        return Ok(Redirect::to(&web.link("/login")).into_response());
    }
    page(&web, shell, 1, String::new(), Refill::default())
}

async fn check(
    State(web): State<Web>,
    Extension(via): Extension<Via>,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let token = typed.get("token").to_owned();
    if typed.has("back") {
        return page(&web, shell, 1, token, Refill::fresh(typed.without_secrets()));
    }
    match setup::check_token(&web.app, &token, via.ip).await {
        Ok(()) => page(&web, shell, 2, token, Refill::fresh(typed.without_secrets())),
        Err(Error::Invalid(errors)) => page(&web, shell, 1, String::new(), Refill::wrong(typed, errors)),
        Err(other) => Err(other),
    }
}

async fn finish(
    State(web): State<Web>,
    Extension(via): Extension<Via>,
    mut login: PageLogin,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let draft = setup::Draft {
        token: typed.secret("token").expose_secret().to_owned(),
        name: typed.get("name").to_owned(),
        password: typed.secret("password"),
        timezone: typed.get("timezone").to_owned(),
        theme: typed.get("theme").to_owned(),
    };
    match setup::run(&web.app, &draft, via.ip).await {
        Ok(user) => {
            session::log_in(&mut login, user).await?;
            Notes::of(&login.session).leave(Flash::new("good", "You are the first admin.")).await;
            let mut response = Redirect::to(&web.link("/welcome/docker")).into_response();
            if matches!(&*draft.theme, "light" | "dark") {
                response.headers_mut().append(SET_COOKIE, theme_cookie(Some(&draft.theme), via.https));
            }
            Ok(response)
        }
        Err(Error::Invalid(errors)) => {
            // A wrong token takes back to the first step, with the rest kept.
            let step = if errors.iter().any(|error| error.field == "token") { 1 } else { 2 };
            page(&web, shell, step, draft.token, Refill::wrong(typed, errors))
        }
        Err(other) => Err(other),
    }
}

fn page(web: &Web, shell: Shell, step: usize, token: String, form: Refill) -> Result<Response> {
    let status: StatusCode = form.status();
    let config = &web.app.config;
    let page = SetupPage {
        shell,
        step,
        token,
        form,
        password_min: config.password_min,
        zone_fixed: config.timezone.is_some(),
    };
    Ok((status, html(&page)?).into_response())
}
