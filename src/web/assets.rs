//! Static files, from inside the binary.
//!
//! Links carry the version of all files together, so a browser may keep them for ever; without it, or with an old one,
//! the answer is checked by its `ETag` each time.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::domain::text::hex;

use crate::app::Error;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// Changes whenever one of the files does.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Files::iter().collect();
    names.sort();
    let mut all = Sha256::new();
    for name in names {
        all.update(name.as_bytes());
        all.update(Files::get(&name).map(|file| file.metadata.sha256_hash()).unwrap_or_default());
    }
    short(&all.finalize())
});

/// The version of all files together, for `?v=`.
pub fn version() -> &'static str {
    &VERSION
}

/// The names of the symbols in `icons.svg`.
#[cfg(debug_assertions)]
pub(super) fn icons() -> Vec<String> {
    let sprite = Files::get("icons.svg").map(|file| String::from_utf8_lossy(&file.data).into_owned());
    let symbols = sprite.unwrap_or_default();
    symbols.split("id=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
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
    let kind = kind(&path).ok_or_else(|| Error::not_found("page", &*path))?;
    let file = Files::get(&path).ok_or_else(|| Error::not_found("page", &*path))?;
    let etag = format!("\"{}\"", short(&file.metadata.sha256_hash()));
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if known.is_some_and(|known| known.split(',').any(|one| one.trim() == etag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        match std::str::from_utf8(&file.data) {
            Ok(text) if path.starts_with("app.") => Body::from(squeezed(&path, text)).into_response(),
            _ => Body::from(file.data).into_response(),
        }
    };
    let current = version.v.as_deref() == Some(self::version());
    let keep = if current { "public, max-age=31536000, immutable" } else { "public, no-cache" };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    Ok(response)
}

/// One of our own files as it is sent: without the comments and spaces that are there for people.
pub fn squeezed(path: &str, text: &str) -> String {
    if !path.ends_with(".css") {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
        return lines.fold(String::new(), |all, line| all + line + "\n");
    }
    let mut pieces = text.split("/*");
    let mut rest = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        rest.push_str(piece.split_once("*/").map_or("", |(_, after)| after));
    }
    let mut out = String::with_capacity(rest.len());
    let (mut quoted, mut space) = (false, false);
    for letter in rest.chars() {
        if letter.is_whitespace() && !quoted {
            space = true;
            continue;
        }
        let beside =
            out.ends_with(['{', '}', ';', ',', ':', '>']) || matches!(letter, '{' | '}' | ';' | ',' | '>');
        if space && !beside {
            out.push(' ');
        }
        space = false;
        if letter == '}' && out.ends_with(';') {
            out.pop();
        }
        quoted ^= letter == '"';
        out.push(letter);
    }
    out
}

/// What may be served: the kinds a page links to.
fn kind(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_for_people_is_not_sent() {
        let css = "/* Look. */\n.a > .b, .c :is(d) { color: red; content: \"; } \"; }\n@media (max-width: 5rem) { a { b: c d; } }\n";
        assert_eq!(
            squeezed("app.css", css),
            ".a>.b,.c :is(d){color:red;content:\"; } \"}@media (max-width:5rem){a{b:c d}}"
        );
        assert_eq!(squeezed("app.js", "// Why.\n  const a = 1; // so\n\n"), "const a = 1; // so\n");
    }
}
