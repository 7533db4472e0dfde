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

/// A style sheet as browsers get it: without what only people read.
pub fn lean(css: &str) -> String {
    let mut out = String::with_capacity(css.len());
    let (mut gap, mut quote) = (false, None);
    let mut rest = css;
    while let Some(letter) = rest.chars().next() {
        if quote.is_none() && rest.starts_with("/*") {
            rest = rest.split_once("*/").map_or("", |(_, after)| after);
            gap = true;
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        if quote.is_none() && letter.is_whitespace() {
            gap = true;
            continue;
        }
        if letter == '}' && out.ends_with(';') {
            out.pop();
        }
        // A space before a colon says something in a selector; one after it never does.
        if gap && !out.is_empty() && !out.ends_with(['{', '}', ';', ',', ':']) && !"{};,".contains(letter) {
            out.push(' ');
        }
        gap = false;
        match quote {
            Some(open) if open == letter => quote = None,
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            _ => {}
        }
        out.push(letter);
    }
    out
}

/// A script of ours as browsers get it: without indentation, and without the lines that only people read.
pub fn lean_script(script: &str) -> String {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What is sent of a text file: ours are made lean, others go as they are.
pub fn served(path: &str, text: &str) -> Option<String> {
    match path {
        "app.css" => Some(lean(text)),
        "app.js" => Some(lean_script(text)),
        _ => None,
    }
}

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
        match std::str::from_utf8(&file.data).ok().and_then(|text| served(&path, text)) {
            Some(text) => Body::from(text).into_response(),
            None => Body::from(file.data).into_response(),
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
    fn a_script_keeps_every_statement() {
        assert_eq!(
            lean_script("// a\n(() => {\n  const x = 1; // kept\n\n})();\n"),
            "(() => {\nconst x = 1; // kept\n})();"
        );
    }

    #[test]
    fn a_style_sheet_loses_only_what_people_read() {
        let css = "/* a */ a > b , c :hover::before {\n  content: \"→ ; /* x */\";\n  margin: calc(1px + 2px) 0;\n}\n";
        assert_eq!(lean(css), "a > b,c :hover::before{content:\"→ ; /* x */\";margin:calc(1px + 2px) 0}");
    }
}
