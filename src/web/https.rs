//! The response to plain http where the public address (`DOCKNAP_BASE_URL`) is https.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};

use super::proxy::Via;
use super::shell::Shell;
use super::{Web, error, filters};

#[derive(Template)]
#[template(path = "auth/https.html")]
struct HttpsPage {
    shell: Shell,
    url: String,
}

/// Middleware: over plain http every page is replaced by a link to the https address, without a login form and without
/// a cookie.
pub(super) async fn require(State(web): State<Web>, request: Request, next: Next) -> Response {
    let https_base = web.app.config.base_url.as_ref().filter(|base| base.https);
    let Some(base) = https_base.filter(|_| !Via::of(request.extensions()).https) else {
        return next.run(request).await;
    };
    let url = format!("{}{}/", base.origin, base.path);
    let shell = Shell::bare(&web, request.headers());
    match (HttpsPage { shell, url }).render() {
        Ok(page) => (StatusCode::FORBIDDEN, Html(page)).into_response(),
        Err(fault) => error::internal(fault).into_response(),
    }
}
