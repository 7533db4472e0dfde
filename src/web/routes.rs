//! Routes that say what they ask of their caller.
//!
//! There is no way to add a route without saying it, and the table the tests walk is the one the router is made from.

use std::any::{Any, TypeId};
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::handler::Handler;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};

use super::Web;
use super::api::body::{Asked, refuse_query};
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
    pub fn get<A, M>(self, path: &str, access: Access, handler: impl Answers<A, M>) -> Self {
        self.add(Method::GET, MethodFilter::GET, path, Guarded::new(access, handler))
    }

    /// Adds a POST route.
    #[must_use]
    pub fn post<A, M>(self, path: &str, access: Access, handler: impl Answers<A, M>) -> Self {
        self.add(Method::POST, MethodFilter::POST, path, Guarded::new(access, handler))
    }

    /// Adds a PUT route.
    #[must_use]
    pub fn put<A, M>(self, path: &str, access: Access, handler: impl Answers<A, M>) -> Self {
        self.add(Method::PUT, MethodFilter::PUT, path, Guarded::new(access, handler))
    }

    /// Adds a DELETE route.
    #[must_use]
    pub fn delete<A, M>(self, path: &str, access: Access, handler: impl Answers<A, M>) -> Self {
        self.add(Method::DELETE, MethodFilter::DELETE, path, Guarded::new(access, handler))
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

    fn add(mut self, method: Method, filter: MethodFilter, path: &str, guarded: Guarded) -> Self {
        self.table.push(Route { method, path: path.to_owned(), access: guarded.access });
        self.router = self.router.route(path, on(filter, guarded));
        self
    }
}

/// An answer on its way.
type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// An argument of a handler on its way, with its type forgotten, or the refusal to call it.
type Taking<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Any + Send>, Response>> + Send + 'a>>;

/// Takes an argument that needs no body.
type Part = for<'a> fn(&'a mut Parts, &'a Web) -> Taking<'a>;

/// Takes the last argument, which may need the body.
type Last = fn(Request, &Web) -> Taking<'_>;

/// An async function that answers a request, `A` being its arguments as axum takes them: parts of the request, then
/// anything.
///
/// axum has this as `Handler`, and builds all that carries a request to a handler anew for the type of each. Here the
/// types are forgotten between the request and the call, so that what takes the arguments is there once for each type of
/// argument, and the rest once.
pub trait Answers<A, M>: Clone + Send + Sync + 'static {
    /// What takes its arguments but the last.
    const PARTS: &'static [Part];
    /// What takes the last.
    const LAST: Last;

    /// Whether one of them is the query string.
    fn asks() -> bool;

    /// The answer to arguments that were taken by these.
    fn answer(self, arguments: Arguments) -> Answering;
}

/// The arguments of a handler, in their order.
pub struct Arguments(std::vec::IntoIter<Box<dyn Any + Send>>);

impl Arguments {
    fn next<T: 'static>(&mut self) -> T {
        let next = self.0.next().and_then(|next| next.downcast().ok());
        *next.expect("each argument is taken by what its type says")
    }
}

macro_rules! answers {
    ($($part:ident)* ; $last:ident) => {
        impl<F, Fut, M, $($part,)* $last> Answers<($($part,)* $last,), M> for F
        where
            F: FnOnce($($part,)* $last) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output: IntoResponse> + Send,
            $($part: FromRequestParts<Web> + Send + 'static,)*
            $last: FromRequest<Web, M> + Send + 'static,
        {
            const PARTS: &'static [Part] = &[$(part::<$part>),*];
            const LAST: Last = last::<$last, M>;

            fn asks() -> bool {
                let asked = TypeId::of::<Asked>();
                [$(TypeId::of::<$part>(),)* TypeId::of::<$last>()].contains(&asked)
            }

            #[allow(non_snake_case, reason = "a type and its value have one name here")]
            fn answer(self, mut arguments: Arguments) -> Answering {
                $(let $part = arguments.next();)*
                let $last = arguments.next();
                Box::pin(async move { self($($part,)* $last).await.into_response() })
            }
        }
    };
}

answers!(; A);
answers!(A; B);
answers!(A B; C);
answers!(A B C; D);
answers!(A B C D; E);
answers!(A B C D E; G);
answers!(A B C D E G; H);
answers!(A B C D E G H; I);

fn part<'a, T: FromRequestParts<Web> + Send + 'static>(parts: &'a mut Parts, web: &'a Web) -> Taking<'a> {
    Box::pin(async move {
        T::from_request_parts(parts, web).await.map(forget).map_err(IntoResponse::into_response)
    })
}

fn last<T: FromRequest<Web, M> + Send + 'static, M>(request: Request, web: &Web) -> Taking<'_> {
    Box::pin(
        async move { T::from_request(request, web).await.map(forget).map_err(IntoResponse::into_response) },
    )
}

fn forget<T: Send + 'static>(argument: T) -> Box<dyn Any + Send> {
    Box::new(argument)
}

/// On a request to the API: a parameter that the route does not know is refused (rulings 77).
#[derive(Clone, Copy, Debug)]
pub struct StrictQuery;

/// A handler behind what it asks of its caller.
#[derive(Clone)]
struct Guarded {
    access: Access,
    asks: bool,
    parts: &'static [Part],
    last: Last,
    answer: Arc<dyn Fn(Arguments) -> Answering + Send + Sync>,
}

impl Guarded {
    fn new<H: Answers<A, M>, A, M>(access: Access, handler: H) -> Self {
        let answer = move |arguments| handler.clone().answer(arguments);
        Self { access, asks: H::asks(), parts: H::PARTS, last: H::LAST, answer: Arc::new(answer) }
    }

    /// The answer to a caller who has the role, or the refusal.
    async fn respond(self, request: Request, web: Web) -> Result<Response, Response> {
        if let Access::Role(needs) = self.access {
            Identity::of(request.extensions()).require(needs).map_err(IntoResponse::into_response)?;
        }
        if !self.asks && request.extensions().get::<StrictQuery>().is_some() {
            refuse_query(request.uri()).map_err(IntoResponse::into_response)?;
        }
        let mut arguments = Vec::with_capacity(self.parts.len() + 1);
        let (mut parts, body) = request.into_parts();
        for part in self.parts {
            arguments.push(part(&mut parts, &web).await?);
        }
        arguments.push((self.last)(Request::from_parts(parts, body), &web).await?);
        Ok((self.answer)(Arguments(arguments.into_iter())).await)
    }
}

impl Handler<(), Web> for Guarded {
    type Future = Answering;

    fn call(self, request: Request, web: Web) -> Answering {
        Box::pin(async move { self.respond(request, web).await.unwrap_or_else(|refusal| refusal) })
    }
}
