//! Static files, from inside the binary.
//!
//! Links carry the version of all files together, so a browser may keep them for ever; without it, or with an old one,
//! the answer is checked by its `ETag` each time. Each is squeezed and compressed once, at its first use; what was made
//! elsewhere lies beside its file as `.gz`, compressed more patiently than there is time for here.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use super::squeeze::{Language, squeeze};
use crate::app::Error;
use crate::domain::sorted;
use crate::domain::text::hex;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// Changes whenever one of the files does.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Files::iter().collect();
    sorted::ascending(&mut names);
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

/// A file as it is served.
struct Asset {
    kind: &'static str,
    /// Of what is served plain; compressed it is another representation.
    tag: String,
    plain: Bytes,
    gzip: Bytes,
}

impl Asset {
    fn of(path: &str) -> Option<Self> {
        let kind = kind(path)?;
        let data = Files::get(path)?.data;
        let plain = match language(path) {
            Some(language) => squeeze(&String::from_utf8_lossy(&data), language).into_bytes(),
            None => data.into_owned(),
        };
        let gzip = match Files::get(&format!("{path}.gz")) {
            Some(ready) => ready.data.into_owned(),
            None => compress(&plain)?,
        };
        Some(Self { kind, tag: short(&Sha256::digest(&plain)), plain: plain.into(), gzip: gzip.into() })
    }
}

/// Ours are squeezed; what others have made is small already.
fn language(path: &str) -> Option<Language> {
    let (name, extension) = path.rsplit_once('.')?;
    match extension {
        "css" => Some(Language::Css),
        "js" if !name.contains('.') => Some(Language::Js),
        _ => None,
    }
}

fn compress(data: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).ok()?;
    encoder.finish().ok()
}

static ASSETS: LazyLock<BTreeMap<String, Asset>> =
    LazyLock::new(|| Files::iter().filter_map(|name| Some((name.to_string(), Asset::of(&name)?))).collect());

#[derive(serde::Deserialize)]
pub(super) struct Version {
    v: Option<String>,
}

pub(super) async fn file(
    Path(path): Path<String>,
    Query(version): Query<Version>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let asset = ASSETS.get(&path).ok_or_else(|| Error::not_found("page", &*path))?;
    let lists = |name: HeaderName, wanted: &str| {
        let text = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        text.split(',').any(|one| one.trim() == wanted)
    };
    let zipped = lists(ACCEPT_ENCODING, "gzip");
    let etag = format!("\"{}{}\"", asset.tag, if zipped { "-gzip" } else { "" });
    let mut response = if lists(IF_NONE_MATCH, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if zipped {
        ([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))], asset.gzip.clone()).into_response()
    } else {
        asset.plain.clone().into_response()
    };
    let current = version.v.as_deref() == Some(self::version());
    let keep = if current { "public, max-age=31536000, immutable" } else { "public, no-cache" };
    let answer = response.headers_mut();
    answer.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    answer.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    answer.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        answer.insert(ETAG, etag);
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
