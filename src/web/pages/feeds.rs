//! Addresses for calendar apps: made and revoked on one's profile, fetched without a login.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::{go, html, now};
use crate::app::auth::feeds as service;
use crate::app::{Actor, Result, timeline};
use crate::domain::ids::FeedId;
use crate::domain::text::hex;
use crate::web::auth::{Caller, Viewer};
use crate::web::filters;
use crate::web::htmx::Htmx;
use crate::web::proxy::Via;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::When;
use crate::web::{Web, error};

/// Where the feeds are. What follows is a secret.
pub const PATH: &str = "/calendar/";

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/calendar/{file}", Access::Anyone, fetch)
        .post("/profile/feeds", Access::VIEWER, create)
        .post("/profile/feeds/{id}/revoke", Access::VIEWER, revoke)
}

/// One address.
#[derive(Clone, Debug)]
pub struct FeedRow {
    pub id: String,
    pub created: When,
    /// When it was last fetched.
    pub used: Option<When>,
}

/// The reader's own addresses.
pub(super) async fn rows(web: &Web, actor: &Actor, shell: &Shell) -> Result<Vec<FeedRow>> {
    let now = now(web, shell);
    let feeds = service::list(&web.app, actor).await?;
    Ok(feeds
        .into_iter()
        .map(|feed| FeedRow {
            id: feed.id.0,
            created: now.when(feed.created),
            used: feed.used.map(|at| now.when(at)),
        })
        .collect())
}

/// A new address, shown this once.
#[derive(Template, Clone, Debug)]
#[template(path = "feeds/show.html")]
pub struct FeedPage {
    pub shell: Shell,
    /// All of it, with the secret.
    pub address: String,
}

async fn create(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
    shell: Shell,
) -> Result<Html<String>> {
    let token = service::create(&web.app, &caller.actor).await?;
    let address = format!("{}{PATH}{token}.ics", site(&web, via, &headers));
    html(&FeedPage { shell, address })
}

/// Scheme, host and base path: as the settings say, else as the browser sees them.
fn site(web: &Web, via: Via, headers: &HeaderMap) -> String {
    let origin = match &web.app.config.base_url {
        Some(url) => url.origin.clone(),
        None => {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
            format!("{}://{host}", if via.https { "https" } else { "http" })
        }
    };
    format!("{origin}{}", web.base())
}

async fn revoke(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Path(id): Path<FeedId>,
    htmx: Htmx,
    notes: Notes,
) -> Result<Response> {
    service::revoke(&web.app, &caller.actor, &id).await?;
    notes
        .leave(Flash::new("good", "The address is revoked: apps that use it get nothing from now on."))
        .await;
    Ok(go(&web, &htmx, "/profile"))
}

/// The feed. Nobody is logged in: the address is the credential.
async fn fetch(
    State(web): State<Web>,
    Extension(via): Extension<Via>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let token = file.strip_suffix(".ics").unwrap_or(&file);
    let (user, actor) = service::verify(&web.app, token, via.ip).await?;
    web.previews.admit(&user.id)?;
    let text = timeline::feed(&web.app, &actor).await?;
    // Weak: the answer may be compressed on its way.
    let etag = format!("W/\"{}\"", &hex(&Sha256::digest(&text))[..32]);
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known =
        known.flat_map(|value| value.split(',')).any(|one| one.trim() == etag || one.trim() == "*");
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
