//! The table of routes, each with the access it needs.
//!
//! A route cannot be added without its access, and the tests read the same table from which the router is built.

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{Method, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};

use super::Web;
use super::auth::Identity;
use crate::app::Result;
use crate::domain::permission::Role;

/// The path prefix of calendar feeds. The rest of such a path is a secret.
pub const FEEDS: &str = "/calendar/";

/// The access that a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// No login.
    Anyone,
    /// A login, with this role or a stronger one.
    Role(Role),
}

impl Access {
    /// Any login.
    pub const VIEWER: Self = Self::Role(Role::Viewer);
    /// A login that may start and stop containers and change schedules.
    pub const OPERATOR: Self = Self::Role(Role::Operator);
    /// A login that may change users, calendars and settings.
    pub const ADMIN: Self = Self::Role(Role::Admin);
}

/// A route: method, path, access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: String,
    /// The access it needs.
    pub access: Access,
}

impl Route {
    /// The route with a prefix in front of its path.
    #[must_use]
    pub fn below(self, prefix: &str) -> Self {
        Self { path: format!("{prefix}{}", self.path), ..self }
    }
}

/// A router and the table of its routes.
#[derive(Default)]
pub struct Routes {
    router: Router<Web>,
    table: Vec<Route>,
}

impl Routes {
    /// No routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a GET route (and HEAD).
    #[must_use]
    pub fn get<T: 'static>(self, path: &str, access: Access, handler: impl Handler<T, Web>) -> Self {
        self.add(Method::GET, MethodFilter::GET, path, Guard::new(access), handler)
    }

    /// Adds a GET route of the API that takes a query string; other routes of the API refuse one.
    #[must_use]
    pub fn get_by_query<T: 'static>(self, path: &str, access: Access, handler: impl Handler<T, Web>) -> Self {
        self.add(Method::GET, MethodFilter::GET, path, Guard { takes_query: true, access }, handler)
    }

    /// Adds a POST route.
    #[must_use]
    pub fn post<T: 'static>(self, path: &str, access: Access, handler: impl Handler<T, Web>) -> Self {
        self.add(Method::POST, MethodFilter::POST, path, Guard::new(access), handler)
    }

    /// Adds a POST route of the API that takes a query string.
    #[must_use]
    pub fn post_by_query<T: 'static>(
        self,
        path: &str,
        access: Access,
        handler: impl Handler<T, Web>,
    ) -> Self {
        self.add(Method::POST, MethodFilter::POST, path, Guard { takes_query: true, access }, handler)
    }

    /// Adds a PUT route.
    #[must_use]
    pub fn put<T: 'static>(self, path: &str, access: Access, handler: impl Handler<T, Web>) -> Self {
        self.add(Method::PUT, MethodFilter::PUT, path, Guard::new(access), handler)
    }

    /// Adds a DELETE route.
    #[must_use]
    pub fn delete<T: 'static>(self, path: &str, access: Access, handler: impl Handler<T, Web>) -> Self {
        self.add(Method::DELETE, MethodFilter::DELETE, path, Guard::new(access), handler)
    }

    /// Adds a DELETE route that reads its query string.
    #[must_use]
    pub fn delete_by_query<T: 'static>(
        self,
        path: &str,
        access: Access,
        handler: impl Handler<T, Web>,
    ) -> Self {
        self.add(Method::DELETE, MethodFilter::DELETE, path, Guard { takes_query: true, access }, handler)
    }

    /// Adds all routes of `other`.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.table.extend(other.table);
        self
    }

    /// Changes the router as a whole, to put a layer around the routes added so far.
    #[must_use]
    pub fn around(mut self, change: impl FnOnce(Router<Web>) -> Router<Web>) -> Self {
        self.router = change(self.router);
        self
    }

    /// The router and its table.
    pub fn into_parts(self) -> (Router<Web>, Vec<Route>) {
        (self.router, self.table)
    }

    fn add<T: 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &str,
        guard: Guard,
        handler: impl Handler<T, Web>,
    ) -> Self {
        self.table.push(Route { method, path: path.to_owned(), access: guard.access });
        let guarded =
            on(filter, handler).route_layer(from_fn(move |request, next| guard.admit(request, next)));
        self.router = self.router.route(path, guarded);
        self
    }
}

/// An extension of API requests: the function that refuses the query string of a route that takes none.
#[derive(Clone, Copy, Debug)]
pub struct StrictQuery(pub fn(&Uri) -> Result<()>);

/// The access check in front of a handler.
#[derive(Clone, Copy)]
struct Guard {
    access: Access,
    takes_query: bool,
}

impl Guard {
    fn new(access: Access) -> Self {
        Self { access, takes_query: false }
    }

    /// Middleware: passes the request on if the caller has the role.
    async fn admit(self, request: Request, next: Next) -> Response {
        if let Access::Role(needs) = self.access
            && let Err(refusal) = Identity::of(request.extensions()).require(needs)
        {
            return refusal.into_response();
        }
        if !self.takes_query
            && let Some(StrictQuery(refuse)) = request.extensions().get()
            && let Err(refusal) = refuse(request.uri())
        {
            return refusal.into_response();
        }
        next.run(request).await
    }
}
