//! Pages and API: parsing, views, and the layers around them.
//!
//! A request passes, from the outside in: base path, where it comes from ([`proxy`]), headers of the answer
//! ([`headers`]), form of an error ([`error_response`]), compression, time limit, panic catcher, body limit; then for pages
//! https, CSRF ([`csrf`]) and session ([`session`]), for the API the bearer ([`auth`]); then the route's own access
//! ([`routes`]). [`router`] joins them.

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
    pub forwarders: Arc<Forwarders>,
    /// Name of the session cookie on plain http.
    http_cookie: String,
}

impl Web {
    /// Everything around `app`.
    pub fn new(app: App, demo: bool) -> Self {
        // Cookies ignore ports, so two installations on one host must not share a name (rulings 24).
        let http_cookie = format!("docknap_{}", app.auth.instance().get(..8).unwrap_or_default());
        let (flood, previews) = (Flood::new(), previews());
        let (streams, forwarders) = (Streams::default(), Arc::default());
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
