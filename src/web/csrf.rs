//! Protection against cross-site request forgery (CSRF): a request from another site must not use the session cookie.
//!
//! `tower_http::csrf` compares `Sec-Fetch-Site` and `Origin`, and accepts a request that has neither header. Over plain
//! http browsers send no `Sec-Fetch-*`, but they send `Origin` with every POST. A request to a page that has neither
//! header is therefore not from a browser, and is refused (security: CSRF).

use axum::extract::{Request, State};
use axum::http::header::{HOST, HeaderName, HeaderValue, ORIGIN};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use super::Web;
use super::error::Problem;
use crate::domain::text::chain;

/// The function that makes the response to a refused request.
pub type Refuse = fn(ProtectionError) -> Response;

fn refuse(_: ProtectionError) -> Response {
    Problem::cross_site().into_response()
}

/// The layer for all routes that use the session cookie.
pub(super) fn layer(web: &Web) -> CsrfLayer<Refuse> {
    let layer = CsrfLayer::new();
    let layer = match &web.app.config.base_url {
        // Behind a proxy that changes the Host header, the origin of the public address is still trusted.
        Some(base) => layer.add_trusted_origin(&base.origin).unwrap_or_else(|error| {
            tracing::warn!(error = %chain(&error), "the base URL is no origin a browser would send");
            CsrfLayer::new()
        }),
        None => layer,
    };
    layer.with_rejection_response(refuse as Refuse)
}

/// Middleware: refuses a request that may change something and has neither `Origin` nor `Sec-Fetch-Site`. An own origin
/// is rewritten to the exact spelling that the layer expects, since the layer compares bytes.
pub(super) async fn require_origin(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let base = web.app.config.base_url.as_ref().map(|base| base.origin.as_str());
    if let Some(own) = own_origin(&request, base) {
        request.headers_mut().insert(ORIGIN, own);
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let has_source = [ORIGIN, HeaderName::from_static("sec-fetch-site")]
        .iter()
        .any(|name| request.headers().get(name).is_some_and(|value| !value.is_empty()));
    if safe || has_source { next.run(request).await } else { Problem::cross_site().into_response() }
}

/// The normalized `Origin` header of a request, if it is DockNap's own: the origin of the public address, or the
/// requested host. Ports and case are compared loosely, since proxies add the default port of the scheme, and a host
/// name has no case.
fn own_origin(request: &Request, base: Option<&str>) -> Option<HeaderValue> {
    let origin: Uri = request.headers().get(ORIGIN)?.to_str().ok()?.parse().ok()?;
    let (scheme, authority) = (origin.scheme_str()?, origin.authority()?);
    let stated = without_default_port(scheme, authority.as_str());
    if let Some(base) = base.filter(|base| base.split_once("://") == Some((scheme, &stated))) {
        return HeaderValue::from_str(base).ok();
    }
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(HOST)?.to_str().ok()?,
    };
    (stated == without_default_port(scheme, host))
        .then(|| HeaderValue::from_str(&format!("{scheme}://{host}")).ok())?
}

/// Host and port in lower case, without the default port of the scheme.
fn without_default_port(scheme: &str, authority: &str) -> String {
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

    fn own(origin: &str, host: &str, base: Option<&str>) -> Option<String> {
        let request = Request::builder().uri("/x").header(ORIGIN, origin).header(HOST, host);
        let request = request.body(axum::body::Body::empty()).expect("a request");
        own_origin(&request, base).map(|value| value.to_str().expect("it is text").to_owned())
    }

    #[test]
    fn default_ports_and_case_do_not_change_the_origin() {
        for (origin, host, expected) in [
            ("http://nas", "nas:80", "http://nas:80"),
            ("https://nas", "nas:443", "https://nas:443"),
            ("http://nas:80", "nas", "http://nas"),
            ("http://NAS.lan:8080", "nas.LAN:8080", "http://nas.LAN:8080"),
            ("https://[::1]", "[::1]:443", "https://[::1]:443"),
            ("http://[FE80::1]", "[fe80::1]", "http://[fe80::1]"),
        ] {
            assert_eq!(own(origin, host, None).as_deref(), Some(expected), "{origin} {host}");
        }
        let base = Some("https://nap.example.org");
        for origin in ["https://Nap.Example.org", "https://nap.example.org:443"] {
            assert_eq!(own(origin, "docknap:8080", base).as_deref(), base, "{origin}");
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
            assert_eq!(own(origin, host, Some("https://nap.example.org")), None, "{origin} {host}");
        }
        assert_eq!(own("http://nap.example.org:443", "docknap", Some("https://nap.example.org")), None);
    }
}
