//! Addresses of calendar feeds: created and revoked on the profile page, fetched by calendar apps without a login.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::app::auth::feeds as service;
use crate::app::{Result, timeline};
use crate::domain::ids::FeedId;
use crate::domain::text::hex;
use crate::web::assets::has_tag;
use crate::web::auth::Viewer;
use crate::web::filters;
use crate::web::page::Page;
use crate::web::proxy::Via;
use crate::web::routes::{Access, FEEDS, Routes};
use crate::web::shell::{Flash, Shell};
use crate::web::{Web, error};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/calendar/{file}", Access::Anyone, fetch)
        .post("/profile/feeds", Access::VIEWER, create)
        .post("/profile/feeds/{id}/revoke", Access::VIEWER, revoke)
}

/// The page of a new address, which is shown only once.
#[derive(Template)]
#[template(path = "feeds/show.html")]
struct FeedPage<'a> {
    shell: &'a Shell,
    /// The whole URL, with the secret.
    address: String,
}

async fn create(page: Page<Viewer>, headers: HeaderMap) -> Result<Response> {
    let token = service::create(&page.app, &page.actor).await?;
    let address = format!("{}{FEEDS}{token}.ics", page.web.site(page.via, &headers));
    page.render(&FeedPage { shell: &page.shell, address })
}

async fn revoke(page: Page<Viewer>, Path(id): Path<FeedId>) -> Result<Response> {
    service::revoke(&page.app, &page.actor, &id).await?;
    let message = Flash::new("good", "The address is revoked: apps that use it get nothing from now on.");
    Ok(page.redirect_with("/profile", message).await)
}

/// The calendar feed. There is no login: the secret in the URL is the credential.
async fn fetch(
    State(web): State<Web>,
    via: Via,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let token = file.strip_suffix(".ics").unwrap_or(&file);
    let (user, actor) = service::verify(&web.app, token, via.ip).await?;
    web.previews.admit(&user.id)?;
    let text = timeline::feed(&web.app, &actor).await?;
    // A weak tag, since the response may be compressed.
    let etag = format!("W/\"{}\"", &hex(&Sha256::digest(&text))[..32]);
    let is_known = has_tag(&headers, &etag);
    let etag = HeaderValue::try_from(etag).map_err(error::internal)?;
    let kept = [(ETAG, etag), (CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    let kind = [
        (CONTENT_TYPE, HeaderValue::from_static("text/calendar; charset=utf-8")),
        (CONTENT_DISPOSITION, HeaderValue::from_static("inline; filename=\"docknap.ics\"")),
    ];
    Ok((kept, kind, text).into_response())
}
