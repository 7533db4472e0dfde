//! The session of a browser: cookie, axum-login, tower-sessions, and the table of sessions below.
//!
//! [`open`] is the layer. It reads session and account with one query, passes both to axum-login, and stores the
//! changes that a page has made. Pages use [`Session`]. Only accounts have sessions: the session of a visitor is empty
//! and never stored.
//!
//! **Restored forms.** If a form arrives with an expired session, its fields (never a password) are stored with the row
//! of that session. After the next login with the same cookie and the same account the browser is redirected to the
//! page of the form, which reads the fields by [`RestoredForm`] and shows them. They are never sent automatically.

mod store;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CONTENT_TYPE, COOKIE, REFERER, SET_COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_login::AuthManager;
use serde::{Deserialize, Serialize};
use tower::{Service, service_fn};

use self::store::{Account, Accounts, PageLogin, Store};
use super::auth::{Identity, Login};
use super::form::Typed;
use super::htmx::Htmx;
use super::proxy::Via;
use super::toast::Toast;
use super::{Web, error, limits};
use crate::app::auth::devices::{self, Presented};
use crate::app::auth::sessions::{self, Opened, Ticket};
use crate::app::{App, Error, Result};
use crate::domain::ids::UserId;
use crate::domain::text::chain;
use crate::domain::user::User;

/// The key under which axum-login stores who is logged in.
const LOGIN: &str = "login";
/// The key under which a restored form waits for its page.
const KEPT: &str = "kept";
/// The key of the message for the next whole page.
const FLASH: &str = "flash";
/// Seconds by which a cookie outlives its session, so that a form sent after the end can be kept.
const COOKIE_GRACE: u64 = 24 * 3600;

/// A form that was sent after the end of the session.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptForm {
    /// The page of the form: path and query below the base path.
    page: String,
    /// The fields, without passwords.
    typed: Typed,
}

/// An expired session whose cookie the browser still sends.
#[derive(Clone)]
struct Ended {
    ticket: Ticket,
    user: UserId,
    kept: Option<KeptForm>,
}

/// The session of the browser that sent a request.
pub struct Session {
    app: App,
    login: Option<PageLogin>,
    ended: Option<Ended>,
}

impl Session {
    /// Logs an account in: a new session with a new id and without the data of the old one, which ends.
    ///
    /// # Errors
    /// If the session cannot be stored.
    pub async fn log_in(&mut self, user: &User) -> Result<()> {
        let Some(login) = &mut self.login else { return Err(Error::Unauthenticated) };
        login.session.flush().await.map_err(error::internal)?;
        login.login(&Account::new(user.clone())).await.map_err(|error| match error {
            axum_login::Error::Backend(error) => error,
            axum_login::Error::Session(error) => error::internal(error),
        })?;
        match &self.ended {
            Some(ended) => sessions::end(&self.app, &ended.ticket).await,
            None => Ok(()),
        }
    }

    /// Ends the session.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn log_out(&mut self) -> Result<()> {
        match &mut self.login {
            Some(login) => login.logout().await.map(drop).map_err(error::internal),
            None => Ok(()),
        }
    }

    /// Stores a message for the next whole page; it replaces a message that was not shown yet.
    pub async fn leave(&self, message: Toast) {
        if let Some(login) = &self.login
            && let Err(error) = login.session.insert(FLASH, message).await
        {
            tracing::warn!(error = %chain(&error), "a message could not be left");
        }
    }

    /// Removes and returns the message that the previous request has stored.
    pub async fn take_flash(&self) -> Option<Toast> {
        let session = &self.login.as_ref()?.session;
        let message = session.get::<Toast>(FLASH).await.ok()??;
        if let Err(error) = session.remove_value(FLASH).await {
            tracing::warn!(error = %chain(&error), "a message that was shown could not be forgotten");
        }
        Some(message)
    }

    /// Whether a form waits to be restored after a login.
    pub fn keeps_a_form(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.kept.is_some())
    }

    /// Moves the form that was sent too late into the new session, if it belongs to the account that has just logged
    /// in, and returns the path of its page.
    ///
    /// # Errors
    /// If the session cannot be stored.
    pub async fn restore_form(&self, user: &UserId) -> Result<Option<String>> {
        let ended = self.ended.as_ref().filter(|ended| ended.user == *user);
        let (Some(form), Some(login)) = (ended.and_then(|ended| ended.kept.as_ref()), &self.login) else {
            return Ok(None);
        };
        login.session.insert(KEPT, form).await.map_err(error::internal)?;
        Ok(Some(form.page.clone()))
    }
}

impl FromRequestParts<Web> for Session {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> std::result::Result<Self, Infallible> {
        Ok(Self {
            app: web.app.clone(),
            login: parts.extensions.get().cloned(),
            ended: parts.extensions.get().cloned(),
        })
    }
}

/// The fields of the page's form that were sent before the login, returned once: `RestoredForm(typed): RestoredForm`.
pub struct RestoredForm(pub Option<Typed>);

impl<S: Sync> FromRequestParts<S> for RestoredForm {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Some(PageLogin { session, .. }) = parts.extensions.get() else { return Ok(Self(None)) };
        let form = session.get::<KeptForm>(KEPT).await.map_err(error::internal)?;
        let Some(form) = form.filter(|form| form.page.split('?').next() == Some(parts.uri.path())) else {
            return Ok(Self(None));
        };
        session.remove_value(KEPT).await.map_err(error::internal)?;
        Ok(Self(Some(form.typed)))
    }
}

/// The layer: opens the session, passes the request on with its identity, stores changes and sets the cookies.
pub(super) async fn open(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let via = Via::of(request.extensions());
    let name = if via.https { "__Host-docknap" } else { &*web.http_cookie };
    let known_name = format!("{name}_browser");
    let sent = cookie(request.headers(), name).and_then(Ticket::parse);
    let presented = cookie(request.headers(), &known_name).map(Presented::parse).unwrap_or_default();
    // Live regions and `/events` are requested automatically, so they do not count as activity of the reader.
    let fresh = request.method() == Method::GET && Htmx::of(request.headers()).partial;
    let active = !fresh && request.uri().path() != "/events";
    let opened = match &sent {
        Some(ticket) => match sessions::open(&web.app, ticket, active, via.ip).await {
            Ok(opened) => opened,
            Err(error) => return error.into_response(),
        },
        None => Opened::Unknown,
    };
    let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    let store = Arc::new(Store::new(web.app.clone(), via.ip, user_agent.map(str::to_owned), sent.clone()));
    let mut accounts = Accounts(None);
    let mut id = None;
    match (opened, &sent) {
        (Opened::Live(row, user), Some(ticket)) => {
            id = Some(store.load_data(ticket, &row.data));
            let identity = Identity::new(user.clone(), Login::Session(row.id_hash), via.ip);
            request.extensions_mut().insert(identity);
            accounts = Accounts(Some(Account::new(user)));
        }
        (Opened::Ended(row), Some(ticket)) => {
            let kept = row.kept_form.as_deref().and_then(|text| serde_json::from_str(text).ok());
            let ended = Ended { ticket: ticket.clone(), user: row.user_id, kept };
            request = match keep_form(&web, request, ticket).await {
                Ok(request) => request,
                Err(refusal) => return refusal,
            };
            request.extensions_mut().insert(ended);
        }
        _ => {}
    }
    request.extensions_mut().insert(presented.clone());
    let session = tower_sessions::Session::new(id, Arc::clone(&store), None);
    request.extensions_mut().insert(session.clone());
    let inner = service_fn(move |request: Request| {
        let next = next.clone();
        async move { Ok::<_, Infallible>(identified(request, next).await) }
    });
    let Ok(mut response) = AuthManager::new(inner, accounts, LOGIN).call(request).await;

    let empty = session.is_empty().await;
    if session.is_modified() && !empty && !response.status().is_server_error() {
        let logged_in = session.get_value(LOGIN).await.is_ok_and(|login| login.is_some());
        // Only accounts have sessions: a message for a visitor is dropped.
        if logged_in && let Err(fault) = session.save().await {
            response = error::internal(fault).into_response();
        }
    }
    if response.status().is_server_error()
        && let Some(fault) = store.take_fault()
    {
        response = fault.into_response();
    }
    let ticket = store.ticket();
    if !empty && ticket.as_ref().map(Ticket::digest) != sent.as_ref().map(Ticket::digest) {
        if let Some(ticket) = ticket {
            let age = web.app.config.session_max.as_secs() + COOKIE_GRACE;
            set_cookie(&mut response, name, &ticket.reveal(), age, via.https);
        }
        if let Some(known) = store.remember(&presented).await {
            set_cookie(&mut response, &known_name, &known.reveal(), devices::LIFETIME.as_secs(), via.https);
        }
    } else if empty && id.is_some() {
        set_cookie(&mut response, name, "", 0, via.https);
    }
    response
}

/// The service behind axum-login: removes the identity of a request whose account axum-login rejects.
async fn identified(mut request: Request, next: Next) -> Response {
    let known = request.extensions().get::<PageLogin>().is_some_and(|login| login.user.is_some());
    if !known {
        request.extensions_mut().remove::<Identity>();
    }
    let identity = Identity::of(request.extensions());
    let mut response = next.run(request).await;
    // The error page is rendered by an outer layer, which reads the identity from the response.
    response.extensions_mut().insert(identity);
    response
}

fn set_cookie(response: &mut Response, name: &str, value: &str, age: u64, secure: bool) {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age={age}{secure}");
    // Names and values consist of letters, digits, `-` and `_` only.
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

/// Stores the form of a request whose session has expired.
async fn keep_form(web: &Web, request: Request, ticket: &Ticket) -> std::result::Result<Request, Response> {
    let path = request.uri().path();
    let form = request.method() == Method::POST
        // The body of an upload may be far larger than what fits into memory.
        && !matches!(path, "/login" | "/logout" | limits::UPLOAD)
        && !["/setup", "/invite/"].iter().any(|open| path.starts_with(open))
        && request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if !form {
        return Ok(request);
    }
    let limit = limits::body_of(request.uri().path());
    let (parts, body) = request.into_parts();
    let bytes =
        axum::body::to_bytes(body, limit).await.map_err(|_| error::Problem::too_large().into_response())?;
    if let Some(page) = page_of(&parts.headers, web.base()) {
        let typed = Typed::parse(&bytes).without_secrets();
        let kept = KeptForm { page, typed };
        // A calendar file is too large to store for a user who may never log in again; it has to be chosen again.
        if let Ok(text) = serde_json::to_string(&kept)
            && text.len() <= limits::BODY
        {
            sessions::keep_form(&web.app, ticket, &text).await.map_err(IntoResponse::into_response)?;
        }
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// The page a request was sent from, by `HX-Current-URL` or `Referer`: path and query below the base path; `None` for a
/// page of another site.
pub(super) fn page_of(headers: &HeaderMap, base: &str) -> Option<String> {
    let url = headers.get("hx-current-url").or_else(|| headers.get(REFERER))?.to_str().ok()?;
    let (_, rest) = url.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/')?);
    if headers.get("host").and_then(|host| host.to_str().ok()) != Some(host) {
        return None;
    }
    local(path.strip_prefix(base).unwrap_or(path))
}

/// The path, if it belongs to this site: it begins with exactly one slash and has no characters that could make a
/// browser take part of it for a host.
pub(super) fn local(path: &str) -> Option<String> {
    let path = path.split('#').next().unwrap_or_default();
    let plain = path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (plain && path.len() <= 2048).then(|| path.to_owned())
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn only_paths_of_this_site_are_redirect_targets() {
        for good in ["/", "/schedules/new?target=media", "/a%2Fb"] {
            assert_eq!(local(good).as_deref(), Some(good));
        }
        for bad in
            ["", "runs", "//evil.example", "/\\evil.example", "https://evil.example/", "/a b", "/a\nb", "/ä"]
        {
            assert_eq!(local(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_page_of_a_form_is_the_one_the_browser_names() {
        let page = |host: &'static str, referer: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static(host));
            headers.insert(REFERER, HeaderValue::from_static(referer));
            page_of(&headers, "/nap")
        };
        assert_eq!(
            page("nas:8080", "http://nas:8080/nap/schedules/new?x=1#y").as_deref(),
            Some("/schedules/new?x=1")
        );
        assert_eq!(page("nas:8080", "http://nas:8080/schedules/new").as_deref(), Some("/schedules/new"));
        assert_eq!(page("nas:8080", "http://evil.example/nap/"), None);
        assert_eq!(page("nas:8080", "http://nas:8080"), None);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("a=1; docknap_ab=x; docknap_a=y"));
        assert_eq!(cookie(&headers, "docknap_a"), Some("y"));
        assert_eq!(cookie(&headers, "docknap_ab"), Some("x"));
        assert_eq!(cookie(&headers, "docknap"), None);
    }
}
