//! The session of a browser around its request: the cookie, and the row of our table behind it.
//!
//! A page reads and changes its [`Session`]; what changed is stored after the handler, and not where that failed.
//!
//! **A form sent too late.** Where a form arrives with a session that has run out, its fields (never a password) are
//! kept with that session's row. Whoever then logs in with the same cookie and the same account is taken back to the
//! form's page, which finds the fields by [`RestoredForm`] and shows them, to be looked at and sent again: nothing is sent by
//! itself.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CONTENT_TYPE, COOKIE, REFERER, SET_COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::auth::{Identity, Login};
use super::form::Typed;
use super::htmx::Htmx;
use super::proxy::Via;
use super::toast::Toast;
use super::{Web, error, limits};
use crate::app::Result;
use crate::app::auth::devices::{self, Presented};
use crate::app::auth::sessions::{self, Opened, Ticket};
use crate::domain::ids::UserId;
use crate::domain::text::chain;
use crate::domain::user::User;

/// A cookie outlives its session by this many seconds, so that a form sent after the end can be kept.
const COOKIE_GRACE: u64 = 24 * 3600;

/// What pages keep in a session.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Data {
    /// Role and password of the account as they were at the login. A change of them ends the sessions in the database;
    /// this is the second lock on the same door.
    stamp: Option<String>,
    /// A message for the next whole page.
    flash: Option<Toast>,
    /// A form that waits for its page.
    kept: Option<KeptForm>,
}

impl Data {
    /// Whether the account is as it was at the login; it is where nothing was noted then.
    fn is_of(&self, user: &User) -> bool {
        self.stamp.as_ref().is_none_or(|then| *then == stamp(user))
    }
}

/// Not the hash itself: a login may store the same password hashed anew.
fn stamp(user: &User) -> String {
    format!("{}:{}", user.role, user.password_set.as_millisecond())
}

/// A form that was sent too late.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptForm {
    /// The page the form stands on: path and query below the base path.
    page: String,
    /// What was typed, without passwords.
    typed: Typed,
}

/// The session of the browser that sent a request; nothing stays in that of one that is not logged in.
#[derive(Clone, Debug, Default)]
pub struct Session(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    data: Data,
    /// What has to be stored after the request.
    change: Change,
    /// Somebody is logged in, or will be after this request.
    is_live: bool,
    /// The form kept with the session that has run out, and whose that was.
    ended: Option<(UserId, KeptForm)>,
}

#[derive(Debug, Default)]
enum Change {
    #[default]
    Nothing,
    Data,
    Login(UserId),
    Logout,
}

impl Session {
    /// Logs an account in: a new session with a new id, and none of the old one's data.
    pub fn log_in(&self, user: &User) {
        let mut content = self.0.lock();
        content.data = Data { stamp: Some(stamp(user)), ..Data::default() };
        (content.change, content.is_live) = (Change::Login(user.id.clone()), true);
    }

    /// Ends it.
    pub fn log_out(&self) {
        let mut content = self.0.lock();
        (content.change, content.is_live) = (Change::Logout, false);
    }

    /// Leaves a message for the next whole page; it replaces one that was not shown yet.
    pub fn leave(&self, message: Toast) {
        self.change(|data| data.flash = Some(message));
    }

    /// The message the request before has left.
    pub fn take_flash(&self) -> Option<Toast> {
        self.0.lock().data.flash.as_ref()?;
        self.change(|data| data.flash.take())?
    }

    /// Whether a form is kept for whoever logs in.
    pub fn keeps_a_form(&self) -> bool {
        self.0.lock().ended.is_some()
    }

    /// Hands the form that was sent too late over to the account that has just logged in, where it is theirs, and
    /// answers its page.
    pub fn restore_form(&self, user: &UserId) -> Option<String> {
        let (_, form) = self.0.lock().ended.take().filter(|(owner, _)| owner == user)?;
        let page = form.page.clone();
        self.change(|data| data.kept = Some(form))?;
        Some(page)
    }

    /// Changes what is kept; `None` where nobody is logged in.
    fn change<T>(&self, change: impl FnOnce(&mut Data) -> T) -> Option<T> {
        let mut content = self.0.lock();
        if !content.is_live {
            return None;
        }
        if matches!(content.change, Change::Nothing) {
            content.change = Change::Data;
        }
        Some(change(&mut content.data))
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// What was typed on this page before the login ended: `RestoredForm(typed): RestoredForm`, once, where there is something.
pub struct RestoredForm(pub Option<Typed>);

impl<S: Sync> FromRequestParts<S> for RestoredForm {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> std::result::Result<Self, Infallible> {
        let session = Session::from_request_parts(parts, state).await?;
        let is_here = |form: &KeptForm| form.page.split('?').next() == Some(parts.uri.path());
        if !session.0.lock().data.kept.as_ref().is_some_and(is_here) {
            return Ok(Self(None));
        }
        Ok(Self(session.change(|data| data.kept.take()).flatten().map(|form| form.typed)))
    }
}

/// The layer: opens the session, lets the request through as whoever it is, stores what changed and sets the cookie.
pub(super) async fn open(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let browser = Browser::new(&web, &request);
    // A page that keeps itself fresh is not somebody being there; it fetches parts of itself all by itself.
    let fresh = request.method() == Method::GET && Htmx::of(request.headers()).partial;
    let active = !fresh && request.uri().path() != "/events";
    let opened = match &browser.ticket {
        Some(ticket) => match sessions::open(&web.app, ticket, active, browser.via.ip).await {
            Ok(opened) => opened,
            Err(error) => return error.into_response(),
        },
        None => Opened::Unknown,
    };
    let session = Session::default();
    let mut identity = Identity::default();
    match (opened, &browser.ticket) {
        (Opened::Live(row, user), _) => {
            let data: Data = serde_json::from_str(&row.data).unwrap_or_default();
            if data.is_of(&user) {
                *session.0.lock() = Content { data, is_live: true, ..Content::default() };
                identity = Identity::new(user, Login::Session(row.id_hash), browser.via.ip);
            } else {
                session.log_out();
            }
        }
        (Opened::Ended(row), Some(ticket)) => {
            let kept = row.kept_form.as_deref().and_then(|text| serde_json::from_str(text).ok());
            session.0.lock().ended = kept.map(|form| (row.user_id, form));
            request = match keep_form(&web, request, ticket).await {
                Ok(request) => request,
                Err(refusal) => return refusal,
            };
        }
        _ => {}
    }
    request.extensions_mut().insert(identity.clone());
    request.extensions_mut().insert(browser.presented.clone());
    request.extensions_mut().insert(session.clone());
    let mut response = next.run(request).await;
    if !response.status().is_server_error()
        && let Err(error) = browser.store(session, &mut response).await
    {
        response = error.into_response();
    }
    // For the error page, which is made further out.
    response.extensions_mut().insert(identity);
    response
}

/// Who sent a request, by its cookies.
struct Browser<'a> {
    web: &'a Web,
    via: Via,
    user_agent: Option<String>,
    /// The name of the session's cookie.
    name: &'a str,
    ticket: Option<Ticket>,
    presented: Presented,
}

impl<'a> Browser<'a> {
    fn new(web: &'a Web, request: &Request) -> Self {
        let (via, headers) = (Via::of(request.extensions()), request.headers());
        let name = if via.https { "__Host-docknap" } else { &*web.http_cookie };
        let user_agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        Self {
            web,
            via,
            user_agent: user_agent.map(str::to_owned),
            name,
            ticket: cookie(headers, name).and_then(Ticket::parse),
            presented: cookie(headers, &known_name(name)).map(Presented::parse).unwrap_or_default(),
        }
    }

    /// Stores what a request has changed.
    async fn store(&self, session: Session, response: &mut Response) -> Result<()> {
        let Content { data, change, .. } = std::mem::take(&mut *session.0.lock());
        let (app, ip, agent) = (&self.web.app, self.via.ip, self.user_agent.as_deref());
        let data = serde_json::to_string(&data).map_err(error::internal)?;
        match (change, &self.ticket) {
            (Change::Data, Some(ticket)) => sessions::save(app, ticket, &data).await,
            (Change::Logout, Some(ticket)) => {
                sessions::end(app, ticket).await?;
                self.set(response, self.name, "", 0);
                Ok(())
            }
            (Change::Login(user), old) => {
                if let Some(old) = old {
                    sessions::end(app, old).await?;
                }
                let ticket = sessions::begin(app, &user, &data, ip, agent).await?;
                let age = app.config.session_max.as_secs() + COOKIE_GRACE;
                self.set(response, self.name, &ticket.reveal(), age);
                match devices::remember(app, &user, &self.presented, ip, agent).await {
                    Ok(known) => {
                        let age = devices::LIFETIME.as_secs();
                        self.set(response, &known_name(self.name), &known.reveal(), age);
                    }
                    // It does not undo the login.
                    Err(error) => tracing::warn!(error = %chain(&error), "a browser could not be remembered"),
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn set(&self, response: &mut Response, name: &str, value: &str, age: u64) {
        let secure = if self.via.https { "; Secure" } else { "" };
        let text = format!("{name}={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age={age}{secure}");
        // Names and values are made of letters, digits, - and _ only.
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(SET_COOKIE, value);
        }
    }
}

/// The cookie by which a browser is known after its session.
fn known_name(session: &str) -> String {
    format!("{session}_browser")
}

/// Keeps the form in a request whose session has run out.
async fn keep_form(web: &Web, request: Request, ticket: &Ticket) -> std::result::Result<Request, Response> {
    let path = request.uri().path();
    let form = request.method() == Method::POST
        && !matches!(path, "/login" | "/logout")
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
        // A calendar file is too much to keep for somebody who may never come back: it is chosen again.
        if let Ok(text) = serde_json::to_string(&kept)
            && text.len() <= limits::BODY
        {
            sessions::keep_form(&web.app, ticket, &text).await.map_err(IntoResponse::into_response)?;
        }
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// The page a request was sent from: path and query below the base path. Only this site's own.
pub(super) fn page_of(headers: &HeaderMap, base: &str) -> Option<String> {
    let url = headers.get("hx-current-url").or_else(|| headers.get(REFERER))?.to_str().ok()?;
    let (_, rest) = url.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/')?);
    if headers.get("host").and_then(|host| host.to_str().ok()) != Some(host) {
        return None;
    }
    local(path.strip_prefix(base).unwrap_or(path))
}

/// The path, where it is one of this site's: begins with one slash, and holds nothing a browser could take for a host.
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
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::domain::permission::Role;

    fn ada() -> User {
        User::new(UserId::from("u"), "ada", Role::Admin, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn another_role_or_password_ends_a_session() {
        let data = Data { stamp: Some(stamp(&ada())), ..Data::default() };
        assert!(data.is_of(&ada()));
        assert!(!data.is_of(&User { role: Role::Viewer, ..ada() }));
        let later = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1);
        assert!(!data.is_of(&User { password_set: later, ..ada() }));
    }

    #[test]
    fn a_session_that_an_older_version_has_stored_is_good() {
        let stored = r#"{"login":{"user_id":"u","auth_hash":[97]},"flash":{"tone":"good","text":"Saved."}}"#;
        let data: Data = serde_json::from_str(stored).expect("it is read");
        assert!(data.is_of(&ada()));
        assert_eq!(data.flash.map(|flash| flash.text).as_deref(), Some("Saved."));
    }

    #[test]
    fn nothing_stays_of_one_that_is_logged_out_or_in_anew() {
        let (session, told) = (Session::default(), || Toast::new("good", "Saved."));
        session.leave(told());
        assert!(session.take_flash().is_none(), "nobody is logged in");
        session.log_in(&ada());
        session.leave(told());
        session.log_in(&ada());
        assert!(session.take_flash().is_none(), "this is another session");
        session.leave(told());
        assert!(session.take_flash().is_some() && session.take_flash().is_none(), "shown once");
        session.log_out();
        session.leave(told());
        assert!(session.take_flash().is_none(), "it has ended");
    }

    #[test]
    fn only_paths_of_this_site_are_gone_back_to() {
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
