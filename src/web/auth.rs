//! The identity of the caller: one per request, from the session cookie on pages and from the bearer token on the API,
//! never from both.
//!
//! A handler takes the identity as [`Caller`]. A request without an identity, or without the role its route needs, does
//! not reach the handler (see [`super::routes`]). If a handler names a stronger role than its route, the extractor
//! checks that role too.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Web;
use super::proxy::Via;
use crate::app::{Actor, App, Error, Result, auth};
use crate::domain::permission::Role;
use crate::domain::user::User;

/// The kind of login behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// The session of a browser, by the digest of its cookie.
    Session(String),
    /// A bearer token, by its id (`jti`).
    Token(String),
}

/// The caller of a request; empty without a login.
#[derive(Clone, Debug, Default)]
pub struct Identity(Option<Arc<Who>>);

/// A caller with a login.
#[derive(Debug)]
pub struct Who {
    pub user: User,
    /// The kind of login.
    pub login: Login,
    /// The address of the client.
    pub ip: Option<IpAddr>,
}

impl Identity {
    /// The identity of a caller with a login.
    pub fn new(user: User, login: Login, ip: Option<IpAddr>) -> Self {
        Self(Some(Arc::new(Who { user, login, ip })))
    }

    /// The identity that a layer stored in the extensions of a request; empty if none did.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// The caller, if there is a login.
    pub fn who(&self) -> Option<&Who> {
        self.0.as_deref()
    }

    /// The caller, if their role is at least `needs`.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without a login, [`Error::Forbidden`] with a weaker role.
    pub fn require(&self, needs: Role) -> Result<Arc<Who>> {
        let who = self.0.clone().ok_or(Error::Unauthenticated)?;
        if who.user.role >= needs { Ok(who) } else { Err(Error::Forbidden { needs }) }
    }
}

impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// A role as a type parameter of [`Caller`].
pub trait Needs: Send + Sync {
    const ROLE: Role;
}

/// The role of a caller who may read.
#[derive(Clone, Copy, Debug)]
pub struct Viewer;
/// The role of a caller who may also start and stop containers and change schedules.
#[derive(Clone, Copy, Debug)]
pub struct Operator;
/// The role of a caller who may also change users, calendars and settings.
#[derive(Clone, Copy, Debug)]
pub struct Admin;

impl Needs for Viewer {
    const ROLE: Role = Role::Viewer;
}
impl Needs for Operator {
    const ROLE: Role = Role::Operator;
}
impl Needs for Admin {
    const ROLE: Role = Role::Admin;
}

/// A caller with at least the role `R`: `caller: Caller<Operator>`, then `&caller.app, &caller.actor`.
#[derive(Clone)]
pub struct Caller<R: Needs = Viewer> {
    pub app: App,
    /// The caller as the services in [`crate::app`] take it.
    pub actor: Actor,
    who: Arc<Who>,
    role: PhantomData<R>,
}

impl<R: Needs> Caller<R> {
    pub fn user(&self) -> &User {
        &self.who.user
    }

    /// The digest of the session cookie; `None` for a bearer token.
    pub fn session(&self) -> Option<&str> {
        match &self.who.login {
            Login::Session(digest) => Some(digest),
            Login::Token(_) => None,
        }
    }

    /// The id (`jti`) of the bearer token; `None` for a session.
    pub fn token(&self) -> Option<&str> {
        match &self.who.login {
            Login::Token(jti) => Some(jti),
            Login::Session(_) => None,
        }
    }
}

impl<R: Needs> FromRequestParts<Web> for Caller<R> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self> {
        let who = Identity::of(&parts.extensions).require(R::ROLE)?;
        Ok(Self { app: web.app.clone(), actor: Actor::user(&who.user, who.ip), who, role: PhantomData })
    }
}

/// The token of `Authorization: Bearer …`; the name of the scheme may be in any case (RFC 9110).
pub(super) fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Middleware of the API: stores the [`Identity`] of the bearer token in the request. Cookies are ignored.
pub(super) async fn bearer(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let ip = Via::of(request.extensions()).ip;
    if let Some(token) = bearer_of(request.headers()).map(str::to_owned) {
        match auth::tokens::verify(&app, &token, ip).await {
            Ok((user, jti)) => {
                request.extensions_mut().insert(Identity::new(user, Login::Token(jti), ip));
            }
            // Login and logout must work for a client that still sends an expired or revoked token, however often
            // (rulings 35).
            Err(Error::Unauthenticated) => {}
            Err(Error::TooManyTries { .. })
                if matches!(request.uri().path(), "/auth/login" | "/auth/logout") => {}
            Err(other) => return other.into_response(),
        }
    }
    next.run(request).await
}
