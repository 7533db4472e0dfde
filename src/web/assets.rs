//! Static files, from inside the binary.
//!
//! Links carry the version of all files together, so a browser may keep them for ever; without it, or with an old one,
//! the answer is checked by its `ETag` each time. Each lies in the program as nearly everybody takes it: squeezed and
//! compressed, by build.rs. What was made elsewhere has its `.gz` beside it, compressed more patiently than there is
//! time for in a build.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::packed::{Packed, packed};
use crate::app::Error;
use crate::domain::text::hex;

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// What may be served: what a page links to, by its path, with its kind.
static FILES: [(&str, &str, Packed); 5] = [
    ("app.css", CSS, packed!("app.css")),
    ("app.js", JS, packed!("app.js")),
    ("favicon.svg", SVG, packed!("favicon.svg")),
    ("icons.svg", SVG, packed!("icons.svg")),
    ("vendor.min.js", JS, packed!("vendor.min.js")),
];

/// Changes whenever one of the files does.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = Sha256::new();
    for (path, _, text) in &FILES {
        all.update(path);
        all.update(text.gzip());
    }
    short(&all.finalize())
});

/// Of each file, what changes whenever it does.
static TAGS: LazyLock<[String; FILES.len()]> =
    LazyLock::new(|| FILES.each_ref().map(|(_, _, text)| short(&Sha256::digest(text.gzip()))));

/// The version of all files together, for `?v=`.
pub fn version() -> &'static str {
    &VERSION
}

fn short(hash: &[u8]) -> String {
    hex(&hash[..6])
}

#[derive(serde::Deserialize)]
pub(super) struct Version {
    v: Option<String>,
}

pub(super) async fn file(
    Path(path): Path<String>,
    Query(version): Query<Version>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let ((_, kind, text), tag) = FILES
        .iter()
        .zip(&*TAGS)
        .find(|((served, _, _), _)| *served == path)
        .ok_or_else(|| Error::not_found("page", &*path))?;
    // Compressed it is another representation.
    let etag = format!("\"{tag}{}\"", if takes_gzip(&headers) { "-gzip" } else { "" });
    let mut response = if lists(&headers, IF_NONE_MATCH, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer(text, &headers)
    };
    let current = version.v.as_deref() == Some(self::version());
    let keep = if current { "public, max-age=31536000, immutable" } else { "public, no-cache" };
    let answer = response.headers_mut();
    answer.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    answer.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        answer.insert(ETAG, etag);
    }
    Ok(response)
}

/// A text as it lies in the program, for who takes it so; its kind is to be added.
pub(super) fn answer(text: &'static Packed, headers: &HeaderMap) -> Response {
    let mut response = if takes_gzip(headers) {
        ([(CONTENT_ENCODING, "gzip")], Bytes::from_static(text.gzip())).into_response()
    } else {
        text.plain().into_response()
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    response
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    lists(headers, ACCEPT_ENCODING, "gzip")
}

fn lists(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    let text = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(',').any(|one| one.trim() == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::squeeze::{Language, squeeze};

    #[test]
    fn what_is_served_is_what_lies_in_static() {
        let mut seen = 0;
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/static")).expect("reads") {
            let path = entry.expect("reads").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("text");
            let text = std::fs::read_to_string(&path);
            let (kind, expected) = match name.split_once('.').expect("an extension").1 {
                "md" | "min.js.gz" => continue,
                "css" => (CSS, squeeze(&text.expect("text"), Language::Css)),
                "js" => (JS, squeeze(&text.expect("text"), Language::Js)),
                "min.js" => (JS, text.expect("text")),
                "svg" => (SVG, text.expect("text")),
                other => panic!("nobody says what .{other} is"),
            };
            let file = FILES.iter().find(|(path, _, _)| *path == name);
            let (_, found, text) = file.unwrap_or_else(|| panic!("{name} is not served"));
            assert_eq!(*found, kind, "{name}");
            assert!(text.plain() == expected.as_bytes(), "{name} is served as something else");
            seen += 1;
        }
        assert_eq!(seen, FILES.len());
    }
}
