//! `/metrics`, for Prometheus. By configuration it is off, protected by a token of its own, or open.

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

/// The content type of the Prometheus text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics as text; 404 while they are off.
pub(super) async fn text(State(web): State<Web>, uri: Uri, headers: HeaderMap) -> Response {
    match &web.app.config.metrics {
        Metrics::Off => return error::not_found(uri).await.into_response(),
        Metrics::Open => {}
        Metrics::Token(token) => {
            let given = bearer_of(&headers).unwrap_or_default();
            // Digests have equal lengths, so that the duration of the comparison does not depend on the token's length.
            let (given, wanted) = (Sha256::digest(given), Sha256::digest(token.expose_secret()));
            if !bool::from(given.ct_eq(&wanted)) {
                // A content type of its own, so that the error layer does not replace the 401 with an error page.
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
