//! Keeps other sites from using a browser's cookie.
//!
//! `tower_http::csrf` compares `Sec-Fetch-Site` and `Origin`, and lets a request through that has neither. Over plain
//! http browsers send no `Sec-Fetch-*`, but they do send `Origin` with every POST: a request to a page that has neither
//! is none of a browser's, and is refused (security: CSRF).

use axum::extract::Request;
use axum::http::Method;
use axum::http::header::{HeaderName, ORIGIN};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use super::Web;
use super::error::Problem;
use crate::domain::text::chain;

/// How a refusal is made.
pub type Refuse = fn(ProtectionError) -> Response;

fn refuse(_: ProtectionError) -> Response {
    Problem::cross_site().into_response()
}

/// The layer for everything that reads the cookie.
pub(super) fn layer(web: &Web) -> CsrfLayer<Refuse> {
    let layer = CsrfLayer::new();
    let layer = match &web.app.config.base_url {
        // Behind a proxy that changes Host, the origin people type still counts as ours.
        Some(base) => layer.add_trusted_origin(&base.origin).unwrap_or_else(|error| {
            tracing::warn!(error = %chain(&error), "the base URL is no origin a browser would send");
            CsrfLayer::new()
        }),
        None => layer,
    };
    layer.with_rejection_response(refuse as Refuse)
}

/// Refuses what changes something and says nothing about where it comes from.
pub(super) async fn require_origin(request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let said = [ORIGIN, HeaderName::from_static("sec-fetch-site")]
        .iter()
        .any(|name| request.headers().get(name).is_some_and(|value| !value.is_empty()));
    if safe || said { next.run(request).await } else { Problem::cross_site().into_response() }
}
