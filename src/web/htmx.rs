//! The htmx headers of a request. The extractor is written for htmx 4, whose `HX-Source` and `HX-Request-Type` are new.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

/// The htmx headers of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Htmx {
    /// Whether htmx sent the request.
    pub request: bool,
    /// Whether htmx expects part of a page rather than a whole page.
    pub partial: bool,
    /// Tag and id of the element that sent the request, such as `button#nap`.
    pub source: Option<String>,
    /// The page the request was sent from, as an absolute URL.
    pub page: Option<String>,
}

impl Htmx {
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let request = text("hx-request").as_deref() == Some("true");
        Self {
            request,
            // A boosted link or a restored history entry expects the whole page.
            partial: request && text("hx-request-type").as_deref() != Some("full"),
            source: text("hx-source"),
            page: text("hx-current-url"),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Htmx {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn htmx(headers: &[(&'static str, &'static str)]) -> Htmx {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header value"));
        }
        Htmx::of(&map)
    }

    #[test]
    fn only_htmx_requests_are_partial() {
        assert_eq!(htmx(&[]), Htmx::default());
        assert!(!htmx(&[("hx-request-type", "partial")]).partial);
        let part =
            htmx(&[("hx-request", "true"), ("hx-request-type", "partial"), ("hx-source", "button#nap")]);
        assert!(part.request && part.partial);
        assert_eq!(part.source.as_deref(), Some("button#nap"));
        assert!(!htmx(&[("hx-request", "true"), ("hx-request-type", "full")]).partial);
    }
}
