//! `/metrics`, for Prometheus: off, behind a token of its own, or open.

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::auth::bearer_of;
use super::{Web, error};
use crate::app::metrics;
use crate::config::Metrics;

/// The text format's own type.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything counted. 404 while it is off: there is no such page.
pub(super) async fn text(State(web): State<Web>, uri: Uri, headers: HeaderMap) -> Response {
    match &web.app.config.metrics {
        Metrics::Off => return error::not_found(uri).await.into_response(),
        Metrics::Open => {}
        Metrics::Token(token) => {
            let given = bearer_of(&headers).unwrap_or_default();
            // Digests: the comparison takes as long whatever the lengths.
            let (given, wanted) = (Sha256::digest(given), Sha256::digest(token.expose_secret()));
            if !bool::from(given.ct_eq(&wanted)) {
                // A type of its own, so that nobody takes it for an error that still needs a page.
                let kind = (CONTENT_TYPE, "application/vnd.docknap.metrics");
                let answer = [(WWW_AUTHENTICATE, "Bearer"), kind];
                return (StatusCode::UNAUTHORIZED, answer, "the token of DOCKNAP_METRICS_TOKEN is needed\n")
                    .into_response();
            }
        }
    }
    match metrics::text(&web.app).await {
        Ok(text) => ([(CONTENT_TYPE, TEXT)], text).into_response(),
        Err(failure) => failure.into_response(),
    }
}
