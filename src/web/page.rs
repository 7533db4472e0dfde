//! What a handler of a page has at hand, and how it answers.

use std::convert::Infallible;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::auth::{Caller, Needs, Viewer};
use super::htmx::Htmx;
use super::proxy::Via;
use super::session::Session;
use super::shell::{Flash, Shell};
use super::{Web, error};
use crate::app::auth::devices::Presented;
use crate::app::{Actor, App, Error, Result};
use crate::domain::user::User;

/// One request for a page by somebody who has at least the role `R`: `page: Page<Operator>`.
pub struct Page<R: Needs = Viewer> {
    pub web: Web,
    pub app: App,
    pub caller: Caller<R>,
    /// What services ask for.
    pub actor: Actor,
    /// What surrounds the page, with the reader's clock.
    pub shell: Shell,
    pub htmx: Htmx,
    pub via: Via,
    /// What the browser says of its earlier logins.
    pub presented: Presented,
    pub session: Session,
}

impl<R: Needs> Page<R> {
    /// A page, or a part of one.
    pub fn render(&self, template: &impl Template) -> Result<Response> {
        render(StatusCode::OK, template)
    }

    /// The whole page for a browser, its live part for htmx.
    pub fn render_live(&self, whole: &impl Template, live: &impl Template) -> Result<Response> {
        if self.htmx.partial { self.render(live) } else { self.render(whole) }
    }

    /// A form that comes back with what is wrong with it: 422.
    pub fn refuse(&self, form: &impl Template) -> Result<Response> {
        render(StatusCode::UNPROCESSABLE_ENTITY, form)
    }

    /// A page with a status of its own.
    pub fn answer(&self, status: StatusCode, template: &impl Template) -> Result<Response> {
        render(status, template)
    }

    /// On to another page: 303 for a browser; htmx is told to go there itself, since it would swap the page into the
    /// middle of this one otherwise.
    pub fn redirect(&self, path: &str) -> Response {
        let target = self.web.link(path);
        match HeaderValue::from_str(&target) {
            Ok(value) if self.htmx.request => (StatusCode::OK, [("hx-redirect", value)]).into_response(),
            _ => Redirect::to(&target).into_response(),
        }
    }

    /// What became of something that leads nowhere: a message in the corner for htmx, else on the page it was asked
    /// from.
    pub async fn stay(&self, path: &str, message: Flash) -> Result<Response> {
        if self.htmx.partial {
            return Ok(message.alone(&self.shell)?.into_response());
        }
        Ok(self.redirect_with(path, message).await)
    }

    /// On to another page, which shows a message.
    pub async fn redirect_with(&self, path: &str, message: Flash) -> Response {
        self.session.leave(message).await;
        self.redirect(path)
    }
}

pub fn render(status: StatusCode, template: &impl Template) -> Result<Response> {
    Ok((status, Html(template.render().map_err(error::internal)?)).into_response())
}

impl<R: Needs> FromRequestParts<Web> for Page<R> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, web).await?;
        let Ok(shell) = Shell::from_request_parts(parts, web).await;
        let Ok(session) = Session::from_request_parts(parts, web).await;
        Ok(Self {
            app: web.app.clone(),
            actor: caller.actor.clone(),
            caller,
            shell,
            htmx: Htmx::of(&parts.headers),
            via: Via::of(&parts.extensions),
            presented: parts.extensions.get().cloned().unwrap_or_default(),
            session,
            web: web.clone(),
        })
    }
}

/// One request for a page by somebody who need not be logged in: the ways in.
pub struct VisitorPage {
    pub web: Web,
    pub app: App,
    pub shell: Shell,
    pub via: Via,
    /// What the browser says of its earlier logins.
    pub presented: Presented,
    pub session: Session,
}

impl VisitorPage {
    pub fn render(&self, status: StatusCode, template: &impl Template) -> Result<Response> {
        render(status, template)
    }

    /// On to another page.
    pub fn redirect(&self, path: &str) -> Response {
        Redirect::to(&self.web.link(path)).into_response()
    }

    /// Logs an account in, on to a page that shows a message.
    ///
    /// # Errors
    /// Where the session cannot be stored.
    pub async fn welcome(mut self, user: &User, message: &str, path: &str) -> Result<Response> {
        self.session.log_in(user).await?;
        self.session.leave(Flash::new("good", message)).await;
        Ok(self.redirect(path))
    }
}

impl FromRequestParts<Web> for VisitorPage {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> std::result::Result<Self, Infallible> {
        Ok(Self {
            app: web.app.clone(),
            shell: Shell::from_request_parts(parts, web).await?,
            via: Via::of(&parts.extensions),
            presented: parts.extensions.get().cloned().unwrap_or_default(),
            session: Session::from_request_parts(parts, web).await?,
            web: web.clone(),
        })
    }
}
