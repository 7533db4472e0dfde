//! Who calls: one identity per request, from the cookie on pages and from the bearer on the API, never both.
//!
//! [`Caller`] is how a handler gets to know. A request without an identity, or without the role, does not reach the
//! handler (see [`super::routes`]); a handler that names a stronger role than its route is refused by the extractor.

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

/// How somebody proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// By the session of a browser: its digest.
    Session(String),
    /// By a token: its id.
    Token(String),
}

/// Who calls, if anybody.
#[derive(Clone, Debug, Default)]
pub struct Identity(Option<Arc<Who>>);

/// Somebody who is logged in.
#[derive(Debug)]
pub struct Who {
    pub user: User,
    /// How they proved it.
    pub login: Login,
    /// Where they call from.
    pub ip: Option<IpAddr>,
}

impl Identity {
    /// Somebody.
    pub fn new(user: User, login: Login, ip: Option<IpAddr>) -> Self {
        Self(Some(Arc::new(Who { user, login, ip })))
    }

    /// The one a layer put there; nobody, where none did.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// Who it is.
    pub fn who(&self) -> Option<&Who> {
        self.0.as_deref()
    }

    /// Who it is, where they have the role.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
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

/// A role as a type, for [`Caller`].
pub trait Needs: Send + Sync {
    /// The role.
    const ROLE: Role;
}

/// Whoever is logged in.
#[derive(Clone, Copy, Debug)]
pub struct Viewer;
/// Whoever may act.
#[derive(Clone, Copy, Debug)]
pub struct Operator;
/// Whoever keeps users and settings.
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

/// Whoever calls, with at least the role `R`: `caller: Caller<Operator>`, then `&caller.app, &caller.actor`.
#[derive(Clone)]
pub struct Caller<R: Needs = Viewer> {
    pub app: App,
    /// What services ask for.
    pub actor: Actor,
    who: Arc<Who>,
    role: PhantomData<R>,
}

impl<R: Needs> Caller<R> {
    pub fn user(&self) -> &User {
        &self.who.user
    }

    /// The digest of the session, where it is a browser.
    pub fn session(&self) -> Option<&str> {
        match &self.who.login {
            Login::Session(digest) => Some(digest),
            Login::Token(_) => None,
        }
    }

    /// The id of the token, where it is a program.
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

/// The token of `Authorization: Bearer …`; the scheme's name may be in any case (RFC 9110).
pub(super) fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Puts the [`Identity`] behind the bearer token into a request to the API. Cookies are not looked at.
pub(super) async fn bearer(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let ip = Via::of(request.extensions()).ip;
    if let Some(token) = bearer_of(request.headers()).map(str::to_owned) {
        match auth::tokens::verify(&app, &token, ip).await {
            Ok((user, jti)) => {
                request.extensions_mut().insert(Identity::new(user, Login::Token(jti), ip));
            }
            // Login and logout must work for whoever still sends a dead token, however often (rulings 35).
            Err(Error::Unauthenticated) => {}
            Err(Error::TooManyTries { .. })
                if matches!(request.uri().path(), "/auth/login" | "/auth/logout") => {}
            Err(other) => return other.into_response(),
        }
    }
    next.run(request).await
}
