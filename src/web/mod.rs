//! The web server: pages, API, and the middleware around them.
//!
//! A request passes these layers from the outside in: base path, client address ([`proxy`]), response headers
//! ([`headers`]), rendering of errors ([`error_response`]), compression, time limit, panic catcher, body limit; then
//! for pages https, CSRF ([`csrf`]) and session ([`session`]), for the API the bearer token ([`auth`]); then the access
//! check of the route ([`routes`]). [`router`] joins them.

use std::sync::Arc;

use axum::extract::FromRef;
use axum::http::HeaderMap;
use axum::http::header::HOST;

use crate::app::App;

pub mod api;
pub mod assets;
pub mod auth;
mod corner;
pub mod csrf;
mod download;
pub mod error;
mod error_response;
pub mod export;
pub mod filters;
pub mod form;
mod headers;
mod health;
pub mod htmx;
mod https;
pub mod limits;
pub mod list;
pub mod live;
mod metrics;
pub mod page;
pub mod pages;
pub mod picture;
pub mod proxy;
mod router;
pub mod routes;
pub mod serve;
pub mod session;
pub mod shell;
pub mod standby;
pub mod streams;
pub mod toast;
pub mod view;

use limits::{Flood, Previews, previews};
use proxy::{Forwarders, Via};
pub use router::{router, table};
use streams::Streams;

/// The state that all handlers share. Cheap to clone.
#[derive(Clone)]
pub struct Web(Arc<Parts>);

/// The parts of a [`Web`].
pub struct Parts {
    pub app: App,
    /// Whether Docker is simulated (demo mode).
    pub demo: bool,
    /// The rate limit of login attempts.
    pub flood: Flood,
    /// The rate limit of previews.
    pub previews: Previews,
    /// The open event streams.
    pub streams: Streams,
    /// Peers that send `X-Forwarded-For` but are not trusted proxies.
    pub forwarders: Arc<Forwarders>,
    /// The name of the session cookie over plain http.
    http_cookie: String,
}

impl Web {
    /// The state of a server for `app`.
    pub fn new(app: App, demo: bool) -> Self {
        // Cookies ignore ports, so two installations on one host must not share a name (rulings 24).
        let http_cookie = format!("docknap_{}", app.auth.instance().get(..8).unwrap_or_default());
        let (flood, previews) = (Flood::new(), previews());
        let (streams, forwarders) = (Streams::default(), Arc::default());
        Self(Arc::new(Parts { app, demo, flood, previews, streams, forwarders, http_cookie }))
    }

    /// Scheme, host and base path as users reach them: from the configured public address, else from this request.
    pub fn site(&self, via: Via, headers: &HeaderMap) -> String {
        let own = || {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
            format!("{}://{host}", if via.https { "https" } else { "http" })
        };
        let origin = self.app.config.base_url.as_ref().map_or_else(own, |url| url.origin.clone());
        format!("{origin}{}", self.base())
    }

    /// The base path of all links: empty, or with a leading slash and without a trailing one.
    pub fn base(&self) -> &str {
        self.app.config.base_path()
    }

    /// A path of this site with the base path in front.
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
