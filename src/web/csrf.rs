//! Keeps other sites from using a browser's cookie.
//!
//! `tower_http::csrf` compares `Sec-Fetch-Site` and `Origin`, and lets a request through that has neither. Over plain
//! http browsers send no `Sec-Fetch-*`, but they do send `Origin` with every POST: a request to a page that has neither
//! is none of a browser's, and is refused (security: CSRF).

use axum::extract::{Request, State};
use axum::http::header::{HOST, HeaderName, HeaderValue, ORIGIN};
use axum::http::{Method, Uri};
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

/// Refuses what changes something and says nothing about where it comes from. An origin that is ours is spelt as the
/// layer, which compares bytes, has it.
pub(super) async fn require_origin(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let base = web.app.config.base_url.as_ref().map(|base| base.origin.as_str());
    if let Some(ours) = ours(&request, base) {
        request.headers_mut().insert(ORIGIN, ours);
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let said = [ORIGIN, HeaderName::from_static("sec-fetch-site")]
        .iter()
        .any(|name| request.headers().get(name).is_some_and(|value| !value.is_empty()));
    if safe || said { next.run(request).await } else { Problem::cross_site().into_response() }
}

/// The origin of a request as we spell it, where it is ours: the address people type, or the host that was asked.
/// Proxies add the port that a scheme has anyway, and a host has no case.
fn ours(request: &Request, base: Option<&str>) -> Option<HeaderValue> {
    let origin: Uri = request.headers().get(ORIGIN)?.to_str().ok()?.parse().ok()?;
    let (scheme, authority) = (origin.scheme_str()?, origin.authority()?);
    let said = plain(scheme, authority.as_str());
    if let Some(base) = base.filter(|base| base.split_once("://") == Some((scheme, &said))) {
        return HeaderValue::from_str(base).ok();
    }
    let asked = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(HOST)?.to_str().ok()?,
    };
    (said == plain(scheme, asked)).then(|| HeaderValue::from_str(&format!("{scheme}://{asked}")).ok())?
}

/// A host and port in lower case, without the port that the scheme has anyway.
fn plain(scheme: &str, authority: &str) -> String {
    let usual = match scheme {
        "https" => ":443",
        _ => ":80",
    };
    let lower = authority.to_ascii_lowercase();
    lower.strip_suffix(usual).map(ToOwned::to_owned).unwrap_or(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(origin: &str, host: &str, base: Option<&str>) -> Option<String> {
        let request = Request::builder().uri("/x").header(ORIGIN, origin).header(HOST, host);
        let request = request.body(axum::body::Body::empty()).expect("a request");
        ours(&request, base).map(|value| value.to_str().expect("it is text").to_owned())
    }

    #[test]
    fn default_ports_and_case_make_no_other_origin() {
        for (origin, host, ours) in [
            ("http://nas", "nas:80", "http://nas:80"),
            ("https://nas", "nas:443", "https://nas:443"),
            ("http://nas:80", "nas", "http://nas"),
            ("http://NAS.lan:8080", "nas.LAN:8080", "http://nas.LAN:8080"),
            ("https://[::1]", "[::1]:443", "https://[::1]:443"),
            ("http://[FE80::1]", "[fe80::1]", "http://[fe80::1]"),
        ] {
            assert_eq!(spelt(origin, host, None).as_deref(), Some(ours), "{origin} {host}");
        }
        let base = Some("https://nap.example.org");
        for origin in ["https://Nap.Example.org", "https://nap.example.org:443"] {
            assert_eq!(spelt(origin, "docknap:8080", base).as_deref(), base, "{origin}");
        }
    }

    #[test]
    fn another_host_port_or_scheme_is_another_origin() {
        for (origin, host) in [
            ("http://nas", "nas:443"),
            ("https://nas", "nas:80"),
            ("http://nas", "nas:8080"),
            ("http://evil.example", "nas"),
            ("http://nas.evil.example", "nas"),
            ("http://[::80]", "[:"),
            ("http://user@nas", "nas"),
            ("null", "nas"),
            ("", "nas"),
            ("ftp//nas", "nas"),
        ] {
            assert_eq!(spelt(origin, host, Some("https://nap.example.org")), None, "{origin} {host}");
        }
        assert_eq!(spelt("http://nap.example.org:443", "docknap", Some("https://nap.example.org")), None);
    }
}
