//! The page of a link with which a user chooses a password, and the strength check while a password is typed.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use secrecy::ExposeSecret;

use crate::app::{App, Error, Result, auth, user_links};
use crate::domain::credential::{Strength, WeakPassword};
use crate::domain::user::{LinkKind, User};
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::page::{VisitorPage, render};
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/invite/{token}", Access::Anyone, show)
        .post("/invite/{token}", Access::Anyone, accept)
        .post("/password-strength", Access::Anyone, strength)
}

/// The page of a link.
#[derive(Template)]
#[template(path = "auth/invite.html")]
struct InvitePage<'a> {
    shell: &'a Shell,
    /// The secret in the link.
    token: &'a str,
    /// The user, and whether the password is the first one. `None` if the link was used, revoked, has expired or never
    /// existed; the page is the same for all of these.
    opens: Option<(User, LinkKind)>,
    form: Refill,
    /// The minimum length of a password, in characters.
    password_min: usize,
}

async fn show(page: VisitorPage, Path(token): Path<String>) -> Result<Response> {
    answer(page, &token, Refill::default()).await
}

async fn answer(mut page: VisitorPage, token: &str, form: Refill) -> Result<Response> {
    let opens = match user_links::look(&page.app, token).await {
        Ok(found) => Some(found),
        Err(Error::NotFound { .. }) => None,
        Err(other) => return Err(other),
    };
    // The user who is logged in in this browser may be another one than the owner of the link.
    page.shell.user = None;
    let status = if opens.is_some() { form.status() } else { StatusCode::NOT_FOUND };
    let password_min = page.app.config.password_min;
    page.render(status, &InvitePage { shell: &page.shell, token, opens, form, password_min })
}

async fn accept(page: VisitorPage, Path(token): Path<String>, typed: Typed) -> Result<Response> {
    match user_links::accept(&page.app, &token, &typed.secret("password"), page.via.ip).await {
        Ok(user) => {
            let text = format!("Welcome, {}. From now on you log in with this password.", user.name);
            page.welcome(&user, &text, "/").await
        }
        Err(Error::Invalid(errors)) => answer(page, &token, Refill::wrong(typed, errors)).await,
        Err(Error::NotFound { .. }) => answer(page, &token, Refill::default()).await,
        Err(other) => Err(other),
    }
}

/// The note below a password field while the password is typed: advice, or why it would be refused.
#[derive(Template)]
#[template(path = "auth/_strength.html")]
struct StrengthNote {
    /// The result of the check; `None` for an empty password.
    verdict: Option<std::result::Result<Strength, WeakPassword>>,
}

/// Checks the strength of a password. Nothing is stored and no password hash is computed, so the request is cheap.
async fn strength(State(app): State<App>, typed: Typed) -> Result<Response> {
    let password = typed.secret("password");
    let name = typed.filled("name").unwrap_or_else(|| typed.get("username"));
    let is_typed = !password.expose_secret().is_empty();
    let verdict = is_typed.then(|| auth::strength(&app, name, &password));
    render(StatusCode::OK, &StrengthNote { verdict })
}
