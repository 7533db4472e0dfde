//! First run: the setup token, then the first admin (ui 4.2, steps 1 and 2).
//!
//! Each of the two steps is a plain form. The form of the second step carries the token along, so nothing is stored
//! until all fields are valid; going back to the first step carries the typed values. Steps 3 and 4 follow after the
//! login ([`super::welcome`]).

use askama::Template;
use axum::http::header::SET_COOKIE;
use axum::response::Response;

use crate::app::auth::setup;
use crate::app::{Error, Result};
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::page::VisitorPage;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Shell, theme_cookie};

pub(super) fn routes() -> Routes {
    Routes::new().get("/setup", Access::Anyone, show).post("/setup", Access::Anyone, finish).post(
        "/setup/token",
        Access::Anyone,
        check,
    )
}

/// The page of the first two steps.
#[derive(Template)]
#[template(path = "auth/setup.html")]
struct SetupPage<'a> {
    shell: &'a Shell,
    /// 1 for the token, 2 for the admin.
    step: usize,
    /// The token from the first step; may be empty.
    token: &'a str,
    form: Refill,
    /// The minimum length of a password, in characters.
    password_min: usize,
    /// Whether the time zone is set by the environment.
    zone_fixed: bool,
}

async fn show(page: VisitorPage) -> Result<Response> {
    if !setup::is_due(&page.app).await? {
        return Ok(page.redirect("/login"));
    }
    answer(&page, 1, "", Refill::default())
}

async fn check(page: VisitorPage, typed: Typed) -> Result<Response> {
    let token = &*typed.get("token").to_owned();
    if typed.has("back") {
        return answer(&page, 1, token, Refill::fresh(typed.without_secrets()));
    }
    match setup::check_token(&page.app, token, page.via.ip).await {
        Ok(()) => answer(&page, 2, token, Refill::fresh(typed.without_secrets())),
        Err(Error::Invalid(errors)) => answer(&page, 1, "", Refill::wrong(typed, errors)),
        Err(other) => Err(other),
    }
}

async fn finish(page: VisitorPage, typed: Typed) -> Result<Response> {
    let text = |name: &str| typed.get(name).to_owned();
    let draft = setup::Draft {
        token: text("token"),
        name: text("name"),
        password: typed.secret("password"),
        timezone: text("timezone"),
        theme: text("theme"),
    };
    match setup::run(&page.app, &draft, page.via.ip).await {
        Ok(user) => {
            let https = page.via.https;
            let mut response = page.welcome(&user, "You are the first admin.", "/welcome/docker").await?;
            if matches!(&*draft.theme, "light" | "dark") {
                response.headers_mut().append(SET_COOKIE, theme_cookie(&draft.theme, https));
            }
            Ok(response)
        }
        Err(Error::Invalid(errors)) => {
            // A wrong token leads back to the first step, with the other fields kept.
            let step = if errors.iter().any(|error| error.field == "token") { 1 } else { 2 };
            answer(&page, step, &draft.token, Refill::wrong(typed, errors))
        }
        Err(other) => Err(other),
    }
}

fn answer(page: &VisitorPage, step: usize, token: &str, form: Refill) -> Result<Response> {
    let (shell, config) = (&page.shell, &page.app.config);
    let (password_min, zone_fixed) = (config.password_min, config.timezone.is_some());
    page.render(form.status(), &SetupPage { shell, step, token, form, password_min, zone_fixed })
}
