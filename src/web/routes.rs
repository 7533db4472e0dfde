//! Routes that say what they ask of their caller.
//!
//! There is no way to add a route without saying it, and the table the tests walk is the one the router is made from.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequest, Request};
use axum::handler::Handler;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};

use super::Web;
use super::auth::Identity;
use crate::domain::permission::Role;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nothing.
    Anyone,
    /// A login, with this role or a stronger one.
    Role(Role),
}

impl Access {
    /// Whoever is logged in.
    pub const VIEWER: Self = Self::Role(Role::Viewer);
    /// Whoever may act.
    pub const OPERATOR: Self = Self::Role(Role::Operator);
    /// Whoever keeps users and settings.
    pub const ADMIN: Self = Self::Role(Role::Admin);
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: String,
    /// What it asks of its caller.
    pub access: Access,
}

impl Route {
    /// The same route below a prefix.
    #[must_use]
    pub fn below(self, prefix: &str) -> Self {
        Self { path: format!("{prefix}{}", self.path), ..self }
    }
}

/// Routes with what they ask of their callers.
#[derive(Default)]
pub struct Routes {
    router: Router<Web>,
    table: Vec<Route>,
}

impl Routes {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a GET route (and HEAD).
    #[must_use]
    pub fn get<A: Asked<M>, M>(self, path: &str, access: Access, handler: impl Answers<A>) -> Self {
        self.add(Method::GET, MethodFilter::GET, path, access, answer(handler))
    }

    /// Adds a POST route.
    #[must_use]
    pub fn post<A: Asked<M>, M>(self, path: &str, access: Access, handler: impl Answers<A>) -> Self {
        self.add(Method::POST, MethodFilter::POST, path, access, answer(handler))
    }

    /// Adds a PUT route.
    #[must_use]
    pub fn put<A: Asked<M>, M>(self, path: &str, access: Access, handler: impl Answers<A>) -> Self {
        self.add(Method::PUT, MethodFilter::PUT, path, access, answer(handler))
    }

    /// Adds a DELETE route.
    #[must_use]
    pub fn delete<A: Asked<M>, M>(self, path: &str, access: Access, handler: impl Answers<A>) -> Self {
        self.add(Method::DELETE, MethodFilter::DELETE, path, access, answer(handler))
    }

    /// Adds all of another's.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.table.extend(other.table);
        self
    }

    /// Changes the router as a whole, to put a layer around what was added so far.
    #[must_use]
    pub fn around(mut self, change: impl FnOnce(Router<Web>) -> Router<Web>) -> Self {
        self.router = change(self.router);
        self
    }

    /// The router, and the table it was made from.
    pub fn into_parts(self) -> (Router<Web>, Vec<Route>) {
        (self.router, self.table)
    }

    fn add(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &str,
        access: Access,
        answer: Answer,
    ) -> Self {
        self.router = self.router.route(path, on(filter, Guarded { access, answer }));
        self.table.push(Route { method, path: path.to_owned(), access });
        self
    }
}

/// An answer on its way.
type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// What answers a request. axum builds all that carries a request to its handler anew for the type of each; with the
/// type forgotten it is there once.
type Answer = Arc<dyn Fn(Request, Web) -> Answering + Send + Sync>;

/// What a handler is called with: all of its arguments, as axum takes them from a request. Handlers with the same
/// arguments share the code that does.
pub trait Asked<M>: FromRequest<Web, M> + Send + 'static {}

impl<A: FromRequest<Web, M> + Send + 'static, M> Asked<M> for A {}

/// An async function that answers what it is `Asked`.
pub trait Answers<A>: Clone + Send + Sync + 'static {
    /// The function's answer.
    fn answer(self, asked: A) -> impl Future<Output = Response> + Send;
}

macro_rules! answers {
    ($($part:ident)*) => {
        impl<F, Fut, $($part,)*> Answers<($($part,)*)> for F
        where
            F: FnOnce($($part),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output: IntoResponse> + Send,
            $($part: Send,)*
        {
            #[allow(non_snake_case, reason = "a type and its value have one name here")]
            async fn answer(self, ($($part,)*): ($($part,)*)) -> Response {
                self($($part),*).await.into_response()
            }
        }
    };
}

answers!();
answers!(A);
answers!(A B);
answers!(A B C);
answers!(A B C D);
answers!(A B C D E);
answers!(A B C D E G);
answers!(A B C D E G H);
answers!(A B C D E G H I);

fn answer<A: Asked<M>, M>(handler: impl Answers<A>) -> Answer {
    Arc::new(move |request, web| {
        let handler = handler.clone();
        Box::pin(async move {
            match ask(request, web).await {
                Ok(asked) => handler.answer(asked).await,
                Err(refusal) => refusal,
            }
        })
    })
}

/// Takes a handler's arguments from a request; boxed, so that the code is not copied into each handler.
fn ask<A: Asked<M>, M>(
    request: Request,
    web: Web,
) -> Pin<Box<dyn Future<Output = Result<A, Response>> + Send>> {
    Box::pin(async move { A::from_request(request, &web).await.map_err(IntoResponse::into_response) })
}

/// Lets a request through to its handler where the caller has the role.
#[derive(Clone)]
struct Guarded {
    access: Access,
    answer: Answer,
}

impl Handler<(), Web> for Guarded {
    type Future = Answering;

    fn call(self, request: Request, web: Web) -> Answering {
        if let Access::Role(needs) = self.access
            && let Err(refusal) = Identity::of(request.extensions()).require(needs)
        {
            return Box::pin(std::future::ready(refusal.into_response()));
        }
        (self.answer)(request, web)
    }
}
