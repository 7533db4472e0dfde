//! The static files (styles, scripts, icons), which are compiled into the binary.
//!
//! A link to a static file carries one common version of all files (`?v=…`), so a browser may cache the response
//! without limit. A request without the version, or with an old one, is validated by its `ETag` every time.

use std::sync::LazyLock;

use axum::extract::{Path, Query};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::app::Error;
use crate::domain::text::hex;

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The files that are served: path, content type, content.
static FILES: [(&str, &str, &str); 5] = [
    ("app.css", CSS, include_str!("../../static/app.css")),
    ("app.js", JS, include_str!("../../static/app.js")),
    ("favicon.svg", SVG, include_str!("../../static/favicon.svg")),
    ("icons.svg", SVG, include_str!("../../static/icons.svg")),
    ("vendor.min.js", JS, include_str!("../../static/vendor.min.js")),
];

/// The first bytes of a hash over all files, so that the version changes whenever one of them does.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = Sha256::new();
    for (path, _, text) in FILES {
        all.update(path);
        all.update(text);
    }
    hex(&all.finalize()[..6])
});

/// The common version of all files, for `?v=`.
pub fn version() -> &'static str {
    &VERSION
}

#[derive(serde::Deserialize)]
pub(super) struct Version {
    v: Option<String>,
}

/// Whether the `If-None-Match` header of a request names this entity tag.
pub(super) fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    tags.flat_map(|tags| tags.split(',')).any(|one| [tag, "*"].contains(&one.trim()))
}

pub(super) async fn file(
    Path(path): Path<String>,
    Query(version): Query<Version>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let found = FILES.into_iter().find(|(served, _, _)| *served == path);
    let (_, kind, text) = found.ok_or_else(|| Error::not_found("page", &*path))?;
    // A weak tag, since the response may be compressed.
    let tag = format!("W/\"{}\"", self::version());
    let current = version.v.as_deref() == Some(self::version());
    let keep = if current { "public, max-age=31536000, immutable" } else { "public, no-cache" };
    let head = [(CACHE_CONTROL, keep), (CONTENT_TYPE, kind), (ETAG, &tag)];
    if has_tag(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_in_static_is_served_with_its_content_type() {
        let mut seen = 0;
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/static")).expect("reads") {
            let path = entry.expect("reads").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("text");
            let kind = match name.rsplit_once('.').expect("an extension").1 {
                "md" => continue,
                "css" => CSS,
                "js" => JS,
                "svg" => SVG,
                other => panic!("nobody says what .{other} is"),
            };
            let file = FILES.iter().find(|(path, _, _)| *path == name);
            assert_eq!(file.unwrap_or_else(|| panic!("{name} is not served")).1, kind, "{name}");
            seen += 1;
        }
        assert_eq!(seen, FILES.len());
    }
}
