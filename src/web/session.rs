//! The session of a browser around its request: cookie, axum-login, tower-sessions, and our table underneath.
//!
//! One [`Store`] serves one request. It knows the whole 256 bits of the cookie, of which tower-sessions' own id holds
//! only half, and the account that was read together with the session: a page costs one query for both.
//!
//! **A form sent too late.** Where a form arrives with a session that has run out, its fields (never a password) are
//! kept with that session's row. Whoever then logs in with the same cookie and the same account is taken back to the
//! form's page, which finds the fields by [`RestoredForm`] and shows them, to be looked at and sent again: nothing is sent by
//! itself.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CONTENT_TYPE, COOKIE, REFERER, SET_COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_login::{AuthManager, AuthSession, AuthUser, AuthnBackend, UserId as BackendUserId};
use serde::{Deserialize, Serialize};
use tower::{Service, service_fn};
use tower_sessions::cookie::time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::{Session, SessionStore, session_store};

use super::auth::{Identity, Login};
use super::form::Typed;
use super::htmx::Htmx;
use super::proxy::Via;
use super::{Web, error, limits};
use crate::app::auth::devices::{self, Presented};
use crate::app::auth::sessions::{self, Opened, Ticket};
use crate::app::{App, Error, auth};
use crate::domain::ids::UserId;
use crate::domain::text::chain;
use crate::domain::user::User;

/// Where axum-login keeps who is logged in.
const LOGIN: &str = "login";
/// Where a kept form waits for its page.
const KEPT: &str = "kept";
/// Where messages for the next page wait.
pub(super) const FLASH: &str = "flash";
/// A cookie outlives its session by this many seconds, so that a form sent after the end can be kept.
const COOKIE_GRACE: u64 = 24 * 3600;

/// An account, as axum-login wants it.
#[derive(Clone, Debug)]
pub struct Account {
    pub user: User,
    stamp: Vec<u8>,
}

impl Account {
    fn new(user: User) -> Self {
        // Not the hash itself: a login may store the same password hashed anew. Role and password end the sessions in
        // the database; this is the second lock on the same door.
        let stamp = format!("{}:{}", user.role, user.password_set.as_millisecond()).into_bytes();
        Self { user, stamp }
    }
}

impl AuthUser for Account {
    type Id = String;

    fn id(&self) -> String {
        self.user.id.as_str().to_owned()
    }

    fn session_auth_hash(&self) -> &[u8] {
        &self.stamp
    }
}

/// Name and password as they were typed.
pub struct Credentials {
    pub name: String,
    /// Password.
    pub password: secrecy::SecretString,
    /// Where they were sent from.
    pub ip: Option<IpAddr>,
}

/// Where axum-login finds accounts: the one read with the session.
#[derive(Clone)]
pub struct Accounts {
    app: App,
    loaded: Option<Account>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl AuthnBackend for Accounts {
    type User = Account;
    type Credentials = Credentials;
    type Error = Error;

    async fn authenticate(&self, typed: Credentials) -> Result<Option<Account>, Error> {
        let unknown = Presented::default();
        match auth::login(&self.app, &typed.name, &typed.password, typed.ip, &unknown).await {
            Ok(user) => Ok(Some(Account::new(user))),
            Err(Error::WrongCredentials) => Ok(None),
            Err(other) => Err(other),
        }
    }

    async fn get_user(&self, id: &BackendUserId<Self>) -> Result<Option<Account>, Error> {
        Ok(self.loaded.clone().filter(|account| account.id() == *id))
    }
}

/// The login of a page: axum-login's, on our accounts.
pub type PageLogin = AuthSession<Accounts>;

/// Logs an account in: a new session with a new id, and none of the old one's data.
///
/// # Errors
/// Where the session cannot be stored.
pub async fn log_in(login: &mut PageLogin, user: User) -> Result<(), Error> {
    let internal = |error: tower_sessions::session::Error| Error::Internal(error.into());
    login.session.flush().await.map_err(internal)?;
    login.login(&Account::new(user)).await.map_err(|error| match error {
        axum_login::Error::Backend(error) => error,
        axum_login::Error::Session(error) => internal(error),
    })
}

/// The table of sessions, for one request.
struct Store {
    app: App,
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    /// The cookie's ticket, or the one drawn for a new session.
    ticket: Mutex<Option<Ticket>>,
    /// Whose session began in this request.
    begun: Mutex<Option<UserId>>,
    loaded: Mutex<Option<Record>>,
    /// Why the table could not be used: tower-sessions passes on no more than a text.
    fault: Mutex<Option<Error>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    fn ticket(&self) -> Option<Ticket> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Knows the browser from now on, where somebody has logged in. That it cannot be stored does not undo the login.
    async fn remember(&self, presented: &Presented) -> Option<Presented> {
        let user = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let known = devices::remember(&self.app, &user, presented, self.ip, self.user_agent.as_deref()).await;
        known
            .inspect_err(|error| tracing::warn!(error = %chain(error), "a browser could not be remembered"))
            .ok()
    }

    fn ticket_of(&self, id: Id) -> Option<Ticket> {
        self.ticket().filter(|ticket| ticket.number() == id.0)
    }

    fn refused(&self, error: Error) -> session_store::Error {
        let text = error.to_string();
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        session_store::Error::Backend(text)
    }

    fn take_fault(&self) -> Option<Error> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn encode(record: &Record) -> session_store::Result<String> {
    serde_json::to_string(&record.data).map_err(|error| session_store::Error::Encode(error.to_string()))
}

#[async_trait]
impl SessionStore for Store {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        let user = record.data.get(LOGIN).and_then(|login| login.get("user_id")).and_then(|id| id.as_str());
        let Some(user) = user.map(UserId::from) else {
            return Err(session_store::Error::Backend("a session belongs to an account".to_owned()));
        };
        let data = encode(record)?;
        let ticket = sessions::begin(&self.app, &user, &data, self.ip, self.user_agent.as_deref())
            .await
            .map_err(|error| self.refused(error))?;
        record.id = Id(ticket.number());
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(user);
        *self.ticket.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticket);
        Ok(())
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let Some(ticket) = self.ticket_of(record.id) else {
            return Err(session_store::Error::Backend("this is not the session of the request".to_owned()));
        };
        sessions::save(&self.app, &ticket, &encode(record)?).await.map_err(|error| self.refused(error))
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        Ok(self
            .loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .filter(|record| record.id == *id))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        match self.ticket_of(*id) {
            Some(ticket) => sessions::end(&self.app, &ticket).await.map_err(|error| self.refused(error)),
            None => Ok(()),
        }
    }
}

/// A session that has run out, whose cookie the browser still sends.
#[derive(Clone)]
pub struct Ended {
    ticket: Ticket,
    user: UserId,
    kept: Option<KeptForm>,
}

impl Ended {
    /// What was kept for this account; `None` where the session was somebody else's.
    pub fn kept_for(&self, user: &UserId) -> Option<&KeptForm> {
        self.kept.as_ref().filter(|_| self.user == *user)
    }

    /// Whether a form is kept with it.
    pub fn keeps_something(&self) -> bool {
        self.kept.is_some()
    }

    /// Ends it for good.
    pub async fn forget(&self, app: &App) -> Result<(), Error> {
        sessions::end(app, &self.ticket).await
    }
}

/// A form that was sent too late.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptForm {
    /// The page the form stands on: path and query below the base path.
    pub page: String,
    /// Where it was sent to.
    pub action: String,
    /// What was typed, without passwords.
    pub typed: Typed,
}

/// What was typed on this page before the login ended: `RestoredForm(typed): RestoredForm`, once, where there is something.
pub struct RestoredForm(pub Option<Typed>);

impl<S: Sync> FromRequestParts<S> for RestoredForm {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let internal = |error: tower_sessions::session::Error| Error::Internal(error.into());
        let Some(session) = parts.extensions.get::<Session>() else { return Ok(Self(None)) };
        let Some(form) = session.get::<KeptForm>(KEPT).await.map_err(internal)? else {
            return Ok(Self(None));
        };
        if form.page.split('?').next() != Some(parts.uri.path()) {
            return Ok(Self(None));
        }
        session.remove_value(KEPT).await.map_err(internal)?;
        Ok(Self(Some(form.typed)))
    }
}

/// Hands a kept form over to the new session.
pub async fn keep_for_page(session: &Session, form: &KeptForm) -> Result<(), Error> {
    session.insert(KEPT, form).await.map_err(|error| Error::Internal(error.into()))
}

/// The layer: opens the session, lets the request through as whoever it is, stores what changed and sets the cookie.
pub(super) async fn open(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let via = Via::of(request.extensions());
    let name = if via.https { "__Host-docknap" } else { &*web.http_cookie };
    let sent = cookie(request.headers(), name).and_then(Ticket::parse);
    // A page that keeps itself fresh is not somebody being there; it fetches parts of itself all by itself.
    let fresh = request.method() == Method::GET && Htmx::of(request.headers()).partial;
    let active = !fresh && request.uri().path() != "/events";
    let opened = match &sent {
        Some(ticket) => match sessions::open(&web.app, ticket, active, via.ip).await {
            Ok(opened) => opened,
            Err(error) => return error.into_response(),
        },
        None => Opened::Unknown,
    };

    let user_agent =
        request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut store = Store {
        app: web.app.clone(),
        ip: via.ip,
        user_agent,
        ticket: Mutex::new(sent.clone()),
        begun: Mutex::default(),
        loaded: Mutex::new(None),
        fault: Mutex::new(None),
    };
    let mut accounts = Accounts { app: web.app.clone(), loaded: None };
    let (mut id, mut live) = (None, false);
    match (opened, &sent) {
        (Opened::Live(session, user), Some(ticket)) => {
            let data: HashMap<String, serde_json::Value> =
                serde_json::from_str(&session.data).unwrap_or_default();
            let record = Record { id: Id(ticket.number()), data, expiry_date: OffsetDateTime::UNIX_EPOCH };
            id = Some(record.id);
            live = true;
            store.loaded = Mutex::new(Some(record));
            let who = Identity::new(user.clone(), Login::Session(session.id_hash), via.ip);
            request.extensions_mut().insert(who);
            accounts.loaded = Some(Account::new(user));
        }
        (Opened::Ended(session), Some(ticket)) => {
            let kept = session.kept_form.as_deref().and_then(|text| serde_json::from_str(text).ok());
            let ended = Ended { ticket: ticket.clone(), user: session.user_id, kept };
            request = match keep_form(&web, request, &ended).await {
                Ok(request) => request,
                Err(refusal) => return refusal,
            };
            request.extensions_mut().insert(ended);
        }
        _ => {}
    }

    let device_name = format!("{name}_browser");
    let presented = cookie(request.headers(), &device_name).map(Presented::parse).unwrap_or_default();
    request.extensions_mut().insert(presented.clone());
    let store = Arc::new(store);
    let session = Session::new(id, Arc::clone(&store), None);
    request.extensions_mut().insert(session.clone());
    let inner = service_fn(move |request: Request| {
        let next = next.clone();
        async move { Ok::<_, std::convert::Infallible>(identified(request, next).await) }
    });
    let Ok(mut response) = AuthManager::new(inner, accounts, LOGIN).call(request).await;

    let empty = session.is_empty().await;
    if session.is_modified() && !empty && !response.status().is_server_error() {
        let logged_in = session.get_value(LOGIN).await.is_ok_and(|login| login.is_some());
        // Only accounts have sessions: a message for somebody who is logged out is dropped.
        if logged_in && let Err(fault) = session.save().await {
            response = error::internal(fault).into_response();
        }
    }
    if response.status().is_server_error()
        && let Some(fault) = store.take_fault()
    {
        response = fault.into_response();
    }
    let now = store.ticket().map(|ticket| ticket.digest());
    if !empty && now != sent.as_ref().map(Ticket::digest) {
        if let Some(ticket) = store.ticket() {
            let age = web.app.config.session_max.as_secs() + COOKIE_GRACE;
            set_cookie(&mut response, name, &ticket.reveal(), age, via.https);
        }
        if let Some(known) = store.remember(&presented).await {
            set_cookie(&mut response, &device_name, &known.reveal(), devices::LIFETIME.as_secs(), via.https);
        }
    } else if empty && live {
        set_cookie(&mut response, name, "", 0, via.https);
    }
    response
}

/// Past axum-login: whom it does not know is nobody, also to us.
async fn identified(mut request: Request, next: Next) -> Response {
    let known = request.extensions().get::<PageLogin>().is_some_and(|login| login.user.is_some());
    if !known {
        request.extensions_mut().remove::<Identity>();
    }
    let identity = Identity::of(request.extensions());
    let mut response = next.run(request).await;
    // For the error page, which is made further out.
    response.extensions_mut().insert(identity);
    response
}

/// Keeps the form in a request whose session has run out.
async fn keep_form(web: &Web, request: Request, ended: &Ended) -> Result<Request, Response> {
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
        let kept = KeptForm { page, action: parts.uri.path().to_owned(), typed };
        // A calendar file is too much to keep for somebody who may never come back: it is chosen again.
        if let Ok(text) = serde_json::to_string(&kept)
            && text.len() <= limits::BODY
        {
            sessions::keep_form(&web.app, &ended.ticket, &text).await.map_err(IntoResponse::into_response)?;
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

fn set_cookie(response: &mut Response, name: &str, value: &str, age: u64, secure: bool) {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age={age}{secure}");
    // Names and values are made of letters, digits, - and _ only.
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
