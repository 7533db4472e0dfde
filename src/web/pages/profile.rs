//! What a person sets for themselves, and on a phone the way to what has no place in the bar.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{Html, IntoResponse, Response};

use super::feeds::{self, FeedRow};
use crate::app::{Error, FieldError, Result, users};
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::proxy::Via;
use crate::web::routes::{Access, Routes};
use crate::web::session::{self, PageLogin};
use crate::web::shell::{Flash, Notes, Shell, theme_cookie};
use crate::web::view::{Choice, Sampled};

pub(super) fn routes() -> Routes {
    Routes::new().get("/profile", Access::VIEWER, show).post("/profile/theme", Access::VIEWER, theme).post(
        "/profile/password",
        Access::VIEWER,
        password,
    )
}

/// One's own page.
#[derive(Template, Clone, Debug)]
#[template(path = "profile/show.html", blocks = ["password"])]
pub struct ProfilePage {
    /// The surroundings.
    pub shell: Shell,
    /// System, light, dark.
    pub themes: Vec<Choice>,
    /// What is wrong with the password form.
    pub errors: Vec<FieldError>,
    /// The shortest password, in characters.
    pub password_min: usize,
    /// Addresses for calendar apps.
    pub feeds: Vec<FeedRow>,
}

impl ProfilePage {
    /// One's own page.
    pub fn new(shell: Shell, password_min: usize) -> Self {
        let themes = [("system", "As the device"), ("light", "Light"), ("dark", "Dark")];
        Self {
            themes: themes
                .into_iter()
                .map(|(value, label)| Choice {
                    value: value.to_owned(),
                    label: label.to_owned(),
                    chosen: shell.theme == value,
                })
                .collect(),
            shell,
            errors: Vec::new(),
            password_min,
            feeds: Vec::new(),
        }
    }

    /// What is wrong with a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

async fn show(State(web): State<Web>, caller: Caller<Viewer>, shell: Shell) -> Result<Html<String>> {
    let feeds = feeds::rows(&web, &caller.actor, &shell).await?;
    super::html(&ProfilePage { feeds, ..ProfilePage::new(shell, web.app.config.password_min) })
}

/// Remembers the theme in this browser only: a phone may want another than the desk.
async fn theme(
    State(web): State<Web>,
    _: Caller<Viewer>,
    Extension(via): Extension<Via>,
    htmx: Htmx,
    typed: Typed,
) -> Response {
    let mut response = super::go(&web, &htmx, "/profile");
    let cookie = theme_cookie(Some(typed.get("theme")), via.https);
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

async fn password(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    mut login: PageLogin,
    htmx: Htmx,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let (current, new) = (typed.secret("current"), typed.secret("password"));
    match users::change_password(&web.app, &caller.actor, &current, &new, caller.session()).await {
        Ok(()) => {
            // A session with a new id, whose stamp is that of the new password (security: session).
            let user = users::get(&web.app, &caller.actor, &caller.user().id).await?;
            session::log_in(&mut login, user).await?;
            let flash = Flash::new("good", "Your password is changed. Your other logins have ended.");
            Notes::of(&login.session).leave(flash).await;
            Ok(super::go(&web, &htmx, "/profile"))
        }
        Err(Error::Invalid(errors)) => {
            let feeds = feeds::rows(&web, &caller.actor, &shell).await?;
            let page = ProfilePage { errors, feeds, ..ProfilePage::new(shell, web.app.config.password_min) };
            let page = if htmx.partial { super::html(&page.as_password())? } else { super::html(&page)? };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(other) => Err(other),
    }
}
impl Sampled for ProfilePage {
    fn samples() -> Vec<Self> {
        let page = Self::new(Shell { here: "profile", ..Shell::sample() }, 15);
        vec![
            Self { errors: vec![FieldError::new("password", "use 15 characters or more")], ..page.clone() },
            Self { feeds: FeedRow::samples(), ..page.clone() },
            page,
        ]
    }
}
