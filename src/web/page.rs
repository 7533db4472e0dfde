//! The extractors of page handlers ([`Page`], [`VisitorPage`]), which also build the responses.

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

/// A request for a page by a caller with at least the role `R`: `page: Page<Operator>`.
pub struct Page<R: Needs = Viewer> {
    pub web: Web,
    pub app: App,
    pub caller: Caller<R>,
    /// The caller as the services in [`crate::app`] take it.
    pub actor: Actor,
    /// The frame of the page (navigation, theme), with the current instant in the reader's time zone.
    pub shell: Shell,
    pub htmx: Htmx,
    pub via: Via,
    /// The ids in the browser cookie, one per account that has logged in from this browser before.
    pub presented: Presented,
    pub session: Session,
}

impl<R: Needs> Page<R> {
    /// A page or part of one, with status 200.
    pub fn render(&self, template: &impl Template) -> Result<Response> {
        render(StatusCode::OK, template)
    }

    /// The whole page for a browser, the live part for htmx.
    pub fn render_live(&self, whole: &impl Template, live: &impl Template) -> Result<Response> {
        if self.htmx.partial { self.render(live) } else { self.render(whole) }
    }

    /// A rejected form with its errors, with status 422.
    pub fn refuse(&self, form: &impl Template) -> Result<Response> {
        render(StatusCode::UNPROCESSABLE_ENTITY, form)
    }

    /// A page with this status.
    pub fn answer(&self, status: StatusCode, template: &impl Template) -> Result<Response> {
        render(status, template)
    }

    /// A redirect to another page: 303 for a browser; for htmx a 200 with `HX-Redirect`, since htmx would otherwise
    /// swap the page into the middle of the current one.
    pub fn redirect(&self, path: &str) -> Response {
        let target = self.web.link(path);
        match HeaderValue::from_str(&target) {
            Ok(value) if self.htmx.request => (StatusCode::OK, [("hx-redirect", value)]).into_response(),
            _ => Redirect::to(&target).into_response(),
        }
    }

    /// The response to an action that has no page of its own: a toast for htmx, else a redirect to the page of the
    /// form, which shows the message.
    pub async fn stay(&self, path: &str, message: Flash) -> Result<Response> {
        if self.htmx.partial {
            return Ok(message.alone(&self.shell)?.into_response());
        }
        Ok(self.redirect_with(path, message).await)
    }

    /// A redirect to another page, which shows a message.
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
            app: shell.app(web, &parts.method),
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

/// A request for a page that needs no login, such as the login page.
pub struct VisitorPage {
    pub web: Web,
    pub app: App,
    pub shell: Shell,
    pub via: Via,
    /// The ids in the browser cookie, one per account that has logged in from this browser before.
    pub presented: Presented,
    pub session: Session,
}

impl VisitorPage {
    pub fn render(&self, status: StatusCode, template: &impl Template) -> Result<Response> {
        render(status, template)
    }

    /// A redirect to another page.
    pub fn redirect(&self, path: &str) -> Response {
        Redirect::to(&self.web.link(path)).into_response()
    }

    /// Logs an account in and redirects to a page, which shows a message.
    ///
    /// # Errors
    /// If the session cannot be stored.
    pub async fn welcome(mut self, user: &User, message: &str, path: &str) -> Result<Response> {
        self.session.log_in(user).await?;
        self.session.leave(Flash::new("good", message)).await;
        Ok(self.redirect(path))
    }
}

impl FromRequestParts<Web> for VisitorPage {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> std::result::Result<Self, Infallible> {
        let shell = Shell::from_request_parts(parts, web).await?;
        Ok(Self {
            app: shell.app(web, &parts.method),
            shell,
            via: Via::of(&parts.extensions),
            presented: parts.extensions.get().cloned().unwrap_or_default(),
            session: Session::from_request_parts(parts, web).await?,
            web: web.clone(),
        })
    }
}
