//! The page behind a link with which somebody chooses a password, and what is said of a password while it is typed.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use secrecy::ExposeSecret;

use super::html;
use crate::app::{Error, Result, auth, user_links};
use crate::domain::credential::{Strength, WeakPassword};
use crate::domain::user::{LinkKind, User};
use crate::web::Web;
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::proxy::Via;
use crate::web::routes::{Access, Routes};
use crate::web::session::{self, PageLogin};
use crate::web::shell::{Flash, Notes, Shell};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/invite/{token}", Access::Anyone, show)
        .post("/invite/{token}", Access::Anyone, accept)
        .post("/password-strength", Access::Anyone, strength)
}

/// What a link opens.
#[derive(Template)]
#[template(path = "auth/invite.html")]
struct InvitePage {
    shell: Shell,
    /// The secret in the link; empty where it opens nothing.
    token: String,
    /// Whose password it is.
    name: String,
    /// It is the first one.
    invites: bool,
    form: Refill,
    /// Characters of the shortest password accepted.
    password_min: usize,
}

impl InvitePage {
    fn new(web: &Web, shell: Shell, token: String, (user, kind): (User, LinkKind), form: Refill) -> Self {
        // Whoever is logged in here may not be whom the link is for.
        let shell = Shell { user: None, ..shell };
        let password_min = web.app.config.password_min;
        Self { shell, token, name: user.name, invites: kind == LinkKind::Invite, form, password_min }
    }

    fn answer(&self) -> Result<Response> {
        let status = if self.token.is_empty() { StatusCode::NOT_FOUND } else { self.form.status() };
        Ok((status, html(self)?).into_response())
    }

    /// Used, withdrawn, too old, or never there: it looks the same.
    fn gone(shell: Shell) -> Result<Response> {
        let shell = Shell { user: None, ..shell };
        let page = Self {
            shell,
            token: String::new(),
            name: String::new(),
            invites: false,
            form: Refill::default(),
            password_min: 0,
        };
        page.answer()
    }
}

async fn show(State(web): State<Web>, Path(token): Path<String>, shell: Shell) -> Result<Response> {
    match user_links::look(&web.app, &token).await {
        Ok(found) => InvitePage::new(&web, shell, token, found, Refill::default()).answer(),
        Err(Error::NotFound { .. }) => InvitePage::gone(shell),
        Err(other) => Err(other),
    }
}

async fn accept(
    State(web): State<Web>,
    Extension(via): Extension<Via>,
    Path(token): Path<String>,
    mut login: PageLogin,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    match user_links::accept(&web.app, &token, &typed.secret("password"), via.ip).await {
        Ok(user) => {
            let text = format!("Welcome, {}. From now on you log in with this password.", user.name);
            session::log_in(&mut login, user).await?;
            Notes::of(&login.session).leave(Flash::new("good", text)).await;
            Ok(Redirect::to(&web.link("/")).into_response())
        }
        Err(Error::Invalid(errors)) => match user_links::look(&web.app, &token).await {
            Ok(found) => {
                let form = Refill::wrong(typed, errors);
                InvitePage::new(&web, shell, token, found, form).answer()
            }
            Err(Error::NotFound { .. }) => InvitePage::gone(shell),
            Err(other) => Err(other),
        },
        Err(Error::NotFound { .. }) => InvitePage::gone(shell),
        Err(other) => Err(other),
    }
}

/// What is said of a password while it is typed: advice, and what would be refused.
#[derive(Template)]
#[template(path = "auth/_strength.html")]
struct StrengthNote {
    /// 1 = would be refused, 4 = strong; 0 = nothing typed.
    score: u8,
    /// In words.
    text: String,
}

impl StrengthNote {
    fn new(verdict: std::result::Result<Strength, WeakPassword>) -> Self {
        let (score, text) = match verdict {
            Err(refusal) => (1, format!("Not yet: {refusal}.")),
            Ok(Strength::Fair) => (2, "Fair. One more word makes it much harder to guess.".to_owned()),
            Ok(Strength::Good) => (3, "Good: hard to guess.".to_owned()),
            Ok(Strength::Strong) => (4, "Strong: nobody guesses that.".to_owned()),
        };
        Self { score, text }
    }
}

/// Nothing is stored, and no hash computed: it costs less than the page around it.
async fn strength(State(web): State<Web>, typed: Typed) -> Result<Html<String>> {
    let password = typed.secret("password");
    if password.expose_secret().is_empty() {
        return html(&StrengthNote { score: 0, text: String::new() });
    }
    let name = typed.filled("name").unwrap_or_else(|| typed.get("username")).to_owned();
    html(&StrengthNote::new(auth::strength(&web.app, &name, &password)))
}
