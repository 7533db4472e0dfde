//! Pages and API: parsing, views, and the layers around them.
//!
//! A request passes, from the outside in: base path, where it comes from ([`proxy`]), headers of the answer
//! ([`headers`]), form of an error ([`error`]), compression, time limit, panic catcher, body limit; then for pages
//! https, CSRF ([`csrf`]) and session ([`session`]), for the API the bearer ([`auth`]); then the route's own access
//! ([`routes`]).

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;

use crate::app::App;

pub mod api;
pub mod assets;
pub mod auth;
pub mod csrf;
pub mod error;
pub mod export;
pub mod filters;
pub mod form;
mod headers;
mod health;
pub mod htmx;
pub mod limits;
pub mod list;
pub mod live;
mod metrics;
pub mod page;
pub mod pages;
pub mod picture;
pub mod proxy;
pub mod routes;
pub mod serve;
pub mod session;
pub mod shell;
pub mod standby;
pub mod toast;
pub mod view;

use limits::{Flood, Previews, previews};
use live::Streams;
use proxy::{Forwarders, Via};
use routes::Route;

/// How hard a page is compressed: 1 % larger than by the usual 6, for four fifths of the time.
const QUALITY: CompressionLevel = CompressionLevel::Precise(4);

/// What every handler can reach. Cheap to clone.
#[derive(Clone)]
pub struct Web(Arc<Parts>);

/// The parts of a [`Web`].
pub struct Parts {
    pub app: App,
    /// The Engine is the simulated one.
    pub demo: bool,
    /// Holds back floods of logins.
    pub flood: Flood,
    /// Holds back floods of previews.
    pub previews: Previews,
    /// The event streams that are open.
    pub streams: Streams,
    /// Peers that say whom they speak for and are not believed.
    pub forwarders: Forwarders,
    /// Name of the session cookie on plain http.
    http_cookie: String,
}

impl Web {
    /// Everything around `app`.
    pub fn new(app: App, demo: bool) -> Self {
        // Cookies ignore ports, so two installations on one host must not share a name (rulings 24).
        let http_cookie = format!("docknap_{}", app.auth.instance().get(..8).unwrap_or_default());
        let (flood, previews) = (Flood::new(), previews());
        let (streams, forwarders) = (Streams::default(), Forwarders::default());
        Self(Arc::new(Parts { app, demo, flood, previews, streams, forwarders, http_cookie }))
    }

    /// Scheme, host and base path as people reach them: as the settings say, else as this browser sees them.
    pub fn site(&self, via: Via, headers: &HeaderMap) -> String {
        let own = || {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
            format!("{}://{host}", if via.https { "https" } else { "http" })
        };
        let origin = self.app.config.base_url.as_ref().map_or_else(own, |url| url.origin.clone());
        format!("{origin}{}", self.base())
    }

    /// The base path of every link: empty, or begins with a slash and ends without one.
    pub fn base(&self) -> &str {
        self.app.config.base_path()
    }

    /// A path below the base path.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.base())
    }
}

impl std::ops::Deref for Web {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<Web> for App {
    fn from_ref(web: &Web) -> Self {
        web.app.clone()
    }
}

/// Every route with what it asks of its caller.
pub fn table(web: &Web) -> Vec<Route> {
    let mut table = pages::routes(web).into_parts().1;
    table.extend(api::routes(web).into_parts().1.into_iter().map(|route| route.below("/api")));
    table
}

/// The whole site. Serve it with [`serve::serve`]: whoever calls counts.
pub fn router(web: Web) -> Router {
    let pages = pages::routes(&web)
        .into_parts()
        .0
        .fallback(error::not_found)
        .layer(from_fn_with_state(web.clone(), session::open))
        .layer(csrf::layer(&web))
        .layer(from_fn_with_state(web.clone(), csrf::require_origin))
        .layer(from_fn_with_state(web.clone(), proxy::require_https));
    let api = api::routes(&web)
        .into_parts()
        .0
        .fallback(error::not_found)
        .layer(from_fn_with_state(web.clone(), auth::bearer));
    let site = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::text))
        .route("/static/{*path}", get(assets::file))
        .nest("/api", api)
        .merge(pages)
        .layer(from_fn(limits::body))
        .layer(RequestBodyLimitLayer::new(limits::FILE_BODY))
        .layer(from_fn(limits::catch_panic))
        .layer(from_fn_with_state(web.app.clock.clone(), limits::time))
        .layer(from_fn_with_state(web.clone(), error::render))
        .layer(CompressionLayer::new().quality(QUALITY))
        .layer(from_fn_with_state(web.clone(), headers::add))
        .layer(from_fn_with_state(web.clone(), proxy::look))
        .with_state(web.clone());
    // Rewriting the path has to come before the routing, hence one router around the other.
    Router::new().fallback_service(site).layer(from_fn_with_state(web, proxy::strip_base))
}
