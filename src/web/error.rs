//! The form of an error: a page, a message in the corner for htmx, or problem+json (RFC 9457) for programs.
//!
//! Handlers return [`app::Error`](crate::app::Error). The outer layer, which alone knows the request, makes the answer;
//! it also replaces every error answer without a body of its own (404, 405, 413 … of the framework). What caused an
//! internal error goes to the log under the request's id and to nobody else.

use std::fmt::Write as _;
use std::sync::OnceLock;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};

use super::Web;
use super::auth::Identity;
use super::htmx::Htmx;
use super::limits;
use super::pages::feeds;
use super::routes::{Access, Route};
use super::session::page_of;
use super::shell::{Shell, ShellUser};
use super::toast::ToastPart;
use super::view::{self, ErrorPage, Link};
use crate::app::suggest::suggest;
use crate::app::{Error, FieldError, stacks};
use crate::domain::permission::Role;
use crate::domain::target::TargetType;
use crate::domain::text::{capital, chain};

/// The request's id, in the answer and in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is wrong, before it has a form.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// Stable word for programs.
    pub code: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// What is wrong and what to do.
    pub detail: String,
    /// Field by field.
    pub errors: Vec<FieldError>,
    /// Seconds after which a new try makes sense.
    pub retry_after: Option<u64>,
    rest: Box<Rest>,
}

/// What only few problems have.
#[derive(Clone, Debug, Default)]
struct Rest {
    /// Names that look like the one that was not found …
    near: Vec<String>,
    /// … and of what kind they are.
    what: &'static str,
    /// For the log only.
    cause: Option<String>,
}

impl Problem {
    /// A problem.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            rest: Box::default(),
        }
    }

    /// The request does not come from one of our own pages.
    pub fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "This did not come from DockNap's own page",
            "Nothing was changed. Open the page again and retry; a reverse proxy in between must pass the Host and Origin \
             headers on as they are.",
        )
    }

    /// Lists what is wrong, as much of it as helps: the number of faults and their words come from a stranger's input.
    fn list(&mut self, mut errors: Vec<FieldError>) {
        if errors.len() > MOST_FAULTS {
            let _ = write!(self.detail, " The first {MOST_FAULTS} are listed.");
            errors.truncate(MOST_FAULTS);
        }
        for error in &mut errors {
            shorten(&mut error.field);
            shorten(&mut error.message);
        }
        self.errors = errors;
    }

    /// The body is larger than any form.
    pub fn too_large() -> Self {
        of_status(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// The body is not what the route takes.
    pub fn media_type(wanted: &str) -> Self {
        Self { detail: format!("Send {wanted}."), ..of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE) }
    }
}

impl IntoResponse for Problem {
    /// Status and problem; the outer layer gives it its form.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// A fault of ours, for places that have no [`Error`] at hand.
pub fn internal(fault: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Internal(Box::new(fault))
}

/// Writes down what went wrong in a request whose caller is gone: the outer layer, which does so otherwise, is gone
/// too.
pub(super) fn log_unheard(response: &Response) {
    if let Some(problem) = response.extensions().get::<Problem>()
        && problem.status.is_server_error()
    {
        let cause = problem.rest.cause.as_deref().unwrap_or(&problem.detail);
        tracing::error!(status = %problem.status, "a request whose caller hung up failed: {cause}");
    }
}

/// Where no route is.
pub(super) async fn not_found(uri: Uri) -> Error {
    Error::not_found("page", uri.path().chars().take(200).collect::<String>())
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, title) = match &error {
            Error::NotFound { .. } => (StatusCode::NOT_FOUND, "Not found"),
            Error::Unauthenticated => (StatusCode::UNAUTHORIZED, "Log in first"),
            Error::WrongCredentials => (StatusCode::UNAUTHORIZED, "Name or password is wrong"),
            Error::Forbidden { .. } => (StatusCode::FORBIDDEN, "Not allowed"),
            Error::Protected { .. } => (StatusCode::FORBIDDEN, "Protected"),
            Error::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "Some fields need a correction"),
            Error::Stale { .. } => (StatusCode::PRECONDITION_FAILED, "Changed in the meantime"),
            Error::Conflict { .. } => (StatusCode::CONFLICT, "Not possible as things are"),
            Error::TooManyTries { .. } => (StatusCode::TOO_MANY_REQUESTS, "Too many tries"),
            Error::Docker { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Docker cannot be reached"),
            Error::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Not available right now"),
            Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong inside DockNap"),
        };
        let detail = match &error {
            Error::Forbidden { needs } => {
                format!("This needs the role {needs}. Ask an admin of this DockNap for it.")
            }
            Error::Internal(_) => {
                "It is not your fault. The log says what it was, under the request's id below.".to_owned()
            }
            Error::WrongCredentials => "Check both and try again.".to_owned(),
            Error::Unauthenticated => "There is no login with this request, or it has ended.".to_owned(),
            Error::TooManyTries { retry_after } => format!("Wait {} s and try again.", retry_after.as_secs()),
            other => sentence(&other.to_string()),
        };
        let mut problem = Self::new(status, error.code(), title, detail);
        shorten(&mut problem.detail);
        match error {
            Error::NotFound { what, near, .. } => {
                problem.rest.near = near;
                problem.rest.what = what;
            }
            Error::Invalid(errors) => problem.list(errors),
            Error::TooManyTries { retry_after } => problem.retry_after = Some(retry_after.as_secs().max(1)),
            Error::Docker { .. } | Error::Unavailable { .. } => problem.retry_after = Some(5),
            Error::Internal(source) => problem.rest.cause = Some(chain(&*source)),
            _ => {}
        }
        problem
    }
}

/// Faults that are listed at most.
const MOST_FAULTS: usize = 20;
/// Characters of one text about what is wrong, at most.
const MOST_SAID: usize = 500;

/// Cut where it is longer than anybody reads.
fn shorten(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(MOST_SAID) {
        text.truncate(at);
        text.push('…');
    }
}

/// As a sentence stands on a page.
fn sentence(text: &str) -> String {
    let mut text = capital(text);
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// What an answer of the framework's own means.
fn of_status(status: StatusCode) -> Problem {
    let (code, title, detail) = match status {
        StatusCode::BAD_REQUEST => {
            ("bad_request", "This request makes no sense", "Check its address and body.")
        }
        StatusCode::NOT_FOUND => ("not_found", "Not found", "There is nothing at this address."),
        StatusCode::METHOD_NOT_ALLOWED => (
            "method_not_allowed",
            "Not possible here",
            "This address exists, but it does not take this method.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "Too large", "Send less at once."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("media_type", "Wrong kind of content", "Send the content type this address takes.")
        }
        StatusCode::UNPROCESSABLE_ENTITY => {
            ("invalid", "This cannot be read", "Check the types of what was sent.")
        }
        StatusCode::TOO_MANY_REQUESTS => ("too_many_tries", "Too many tries", "Wait a moment."),
        StatusCode::SERVICE_UNAVAILABLE => {
            ("unavailable", "Not available right now", "Try again in a moment.")
        }
        status if status.is_server_error() => {
            ("internal", "Something went wrong inside DockNap", "The log says what, under the request's id.")
        }
        _ => ("refused", "Refused", "This request was refused."),
    };
    Problem::new(status, code, title, detail)
}

/// What the layer has to know of a request, kept while its handler has it.
struct RequestInfo {
    path: String,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    htmx: Htmx,
    via: Option<super::proxy::Via>,
    id: String,
}

/// The layer: gives every error its form.
pub(super) async fn render(State(web): State<Web>, request: Request, next: Next) -> Response {
    let info = RequestInfo {
        path: request.uri().path().to_owned(),
        method: request.method().clone(),
        uri: request.uri().clone(),
        htmx: Htmx::of(request.headers()),
        headers: request.headers().clone(),
        via: request.extensions().get().copied(),
        id: request_id(&web),
    };
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&info.id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>();
    if !(status.is_client_error() || status.is_server_error()) || (problem.is_none() && has_form(&response)) {
        return response;
    }
    let mut problem = problem.unwrap_or_else(|| of_status(status));
    if problem.status == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = match limits::body_of(&info.path) {
            limits::BODY => "At most 64 KiB can be sent at once.",
            _ => "An ICS file may be 1 MiB at most. Leave out the years that have passed.",
        };
        detail.clone_into(&mut problem.detail);
    }
    if problem.status.is_server_error() {
        let cause = problem.rest.cause.as_deref().unwrap_or(&problem.detail);
        // What follows there is a secret: who reads a log must not open a link in it.
        let secret = ["/invite/", feeds::PATH].into_iter().find(|path| info.path.starts_with(path));
        let path = secret.unwrap_or(&*info.path);
        tracing::error!(request = %info.id, method = %info.method, path, %status, "{cause}");
    }
    let identity = Identity::of(response.extensions());
    let mut made = match kind(&info) {
        Kind::Program => program(&problem, &info),
        Kind::Stream if !info.htmx.request || problem.code != "unauthenticated" => {
            problem.status.into_response()
        }
        Kind::Stream => to_login(&web, &info),
        Kind::Page if problem.code == "unauthenticated" => to_login(&web, &info),
        Kind::Page => page(&web, &problem, &info, &identity).await,
    };
    if let Some(seconds) = problem.retry_after {
        made.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    for name in [REQUEST_ID, ALLOW] {
        if let Some(value) = response.headers_mut().remove(&name) {
            made.headers_mut().insert(name, value);
        }
    }
    for cookie in response.headers().get_all("set-cookie") {
        made.headers_mut().append("set-cookie", cookie.clone());
    }
    made
}

enum Kind {
    Program,
    Stream,
    Page,
}

fn kind(info: &RequestInfo) -> Kind {
    // A calendar app is a program too, and a page would repeat its path, which is a secret.
    if info.path == "/api" || info.path.starts_with("/api/") || info.path.starts_with(feeds::PATH) {
        Kind::Program
    } else if info.path == "/events"
        || info.headers.get(ACCEPT).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
    {
        Kind::Stream
    } else {
        Kind::Page
    }
}

fn request_id(web: &Web) -> String {
    // The random half: the time is in the log anyway.
    let id: String = web.app.ids.next(web.app.clock.now());
    id.chars().filter(|c| *c != '-').skip(16).collect()
}

/// Whether a handler has made the form of its error itself: the form again with what is wrong, a problem.
fn has_form(response: &Response) -> bool {
    response.headers().get(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"text/html") || kind.starts_with(b"application/")
    })
}

#[derive(serde::Serialize)]
struct Body<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    near: &'a [String],
    request_id: &'a str,
}

fn program(problem: &Problem, info: &RequestInfo) -> Response {
    let body = Body {
        title: problem.title,
        status: problem.status.as_u16(),
        detail: &problem.detail,
        code: problem.code,
        errors: &problem.errors,
        near: &problem.rest.near,
        request_id: &info.id,
    };
    // A struct of texts cannot fail to serialize.
    let text = serde_json::to_string(&body).unwrap_or_default();
    let mut response = (problem.status, text).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if problem.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// To the login page and, afterwards, back: 303 for a page; 401 with `HX-Redirect` for htmx, which would swap the login
/// page into the middle of this one otherwise.
fn to_login(web: &Web, info: &RequestInfo) -> Response {
    let here = if info.method == Method::GET && !info.htmx.request {
        info.uri.path_and_query().map(|path| path.as_str().to_owned())
    } else {
        page_of(&info.headers, web.base())
    };
    let next = here.and_then(|here| super::session::local(&here)).filter(|here| here != "/");
    let query = next.map_or_else(String::new, |next| {
        format!("?{}", serde_urlencoded::to_string([("next", next)]).unwrap_or_default())
    });
    let target = HeaderValue::from_str(&web.link(&format!("/login{query}")))
        .unwrap_or_else(|_| HeaderValue::from_static("/login"));
    let (status, header) = if info.htmx.request {
        (StatusCode::UNAUTHORIZED, HeaderName::from_static("hx-redirect"))
    } else {
        (StatusCode::SEE_OTHER, LOCATION)
    };
    let mut response = status.into_response();
    response.headers_mut().insert(header, target);
    response
}

async fn page(web: &Web, problem: &Problem, info: &RequestInfo, identity: &Identity) -> Response {
    // No message of the request before: it stays for the page that comes next.
    let shell = if problem.status == StatusCode::SERVICE_UNAVAILABLE {
        Shell::without_storage(web, identity, &info.headers)
    } else {
        Shell::of(web, identity, info.via, &info.path, &info.headers).await
    };
    let server = problem.status.is_server_error();
    let mut message = quoted(&problem.detail);
    for error in &problem.errors {
        message = format!("{message} {}", sentence(&error.message));
    }
    if problem.code == "forbidden"
        && let Some(user) = &shell.user
    {
        message = format!("{message} You are {}, with the role {}.", view::shown_name(&user.name), user.role);
    }
    // Asked for once more by itself only where asking changes nothing.
    let again = problem.status == StatusCode::SERVICE_UNAVAILABLE && info.method == Method::GET;
    let page = ErrorPage {
        status: problem.status.as_u16(),
        title: problem.title.to_owned(),
        message,
        retry_after: problem.retry_after,
        refresh: problem.retry_after.filter(|_| again && !info.htmx.request),
        near: near_links(web, problem, info, shell.user.as_ref()),
        request_id: server.then(|| info.id.clone()),
        links: vec![way_on(web, problem, info, shell.user.is_some())],
        shell,
    };
    let text = if info.htmx.partial { ToastPart::from(page).render() } else { page.render() };
    let Ok(text) = text else {
        tracing::error!(request = %info.id, "the error page cannot be rendered");
        return problem.status.into_response();
    };
    let mut response = (problem.status, Html(text)).into_response();
    if info.htmx.partial {
        // Wherever the answer was to go, the message goes to the corner.
        response.headers_mut().insert("hx-retarget", HeaderValue::from_static("#alerts"));
        response.headers_mut().insert("hx-reswap", HeaderValue::from_static("beforeend"));
    }
    response
}

/// The marks around names as a page has them.
fn quoted(text: &str) -> String {
    let mut open = false;
    let mark = |letter| match letter {
        '`' => {
            open = !open;
            if open { '“' } else { '”' }
        }
        letter => letter,
    };
    text.chars().map(mark).collect()
}

/// The one next step.
fn way_on(web: &Web, problem: &Problem, info: &RequestInfo, known: bool) -> Link {
    let from = page_of(&info.headers, web.base()).filter(|from| *from != info.path);
    let home = || if known { Link::new("/", "To the stacks") } else { Link::new("/login", "Log in") };
    let back = |words: &str| from.clone().map(|from| Link::new(from, words));
    // What was sent is not sent again by a link; the page it was sent from is opened instead.
    let again = || {
        let here = info.uri.path_and_query().map(axum::http::uri::PathAndQuery::as_str);
        let here = here.filter(|_| info.method == Method::GET).and_then(super::session::local);
        here.or_else(|| page_of(&info.headers, web.base())).unwrap_or_else(|| "/".to_owned())
    };
    match problem.status {
        StatusCode::UNAUTHORIZED => Link::new("/login", "Log in"),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Link::new(again(), "Try again"),
        StatusCode::PRECONDITION_FAILED => {
            Link::new(page_of(&info.headers, web.base()).unwrap_or_else(again), "See it as it is now")
        }
        StatusCode::FORBIDDEN if problem.code == "cross_site" => Link::new(again(), "Open the page again"),
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            back("Back to the form").unwrap_or_else(home)
        }
        StatusCode::CONFLICT | StatusCode::FORBIDDEN => back("Back").unwrap_or_else(home),
        _ => home(),
    }
}

/// Names that look like one that is not there; their pages go by keys, since a name may hold anything (rulings 20).
fn near_links(web: &Web, problem: &Problem, info: &RequestInfo, user: Option<&ShellUser>) -> Vec<Link> {
    let (folder, kind) = match problem.rest.what {
        "stack" => ("stacks", TargetType::Stack),
        "container" => ("containers", TargetType::Container),
        "page" => return user.map(|user| near_pages(web, &info.path, user.role)).unwrap_or_default(),
        _ => return Vec::new(),
    };
    let link = |name: &String| {
        let key = stacks::key_of(&web.app, kind, name)?;
        Some(Link::new(format!("/{folder}/{key}"), view::shown_name(name)))
    };
    problem.rest.near.iter().filter_map(link).collect()
}

/// Pages whose address looks like one that is not there, among those that a role may open.
fn near_pages(web: &Web, path: &str, role: Role) -> Vec<Link> {
    // The table is made with a whole router, and is the same for as long as the process lives.
    static PAGES: OnceLock<Vec<(String, Role)>> = OnceLock::new();
    let pages = PAGES.get_or_init(|| {
        let is_page = |route: &Route| {
            route.method == Method::GET
                && route.path != "/"
                && !route.path.starts_with("/api")
                && !route.path.starts_with("/dev")
                // Files, and parts of pages.
                && !route.path.contains(['{', '.'])
                && !route.path.ends_with("/newer")
        };
        let role = |route: Route| match route.access {
            Access::Role(role) => Some((route.path, role)),
            Access::Anyone => None,
        };
        super::table(web).into_iter().filter(is_page).filter_map(role).collect()
    });
    let path: String = path.to_lowercase().chars().take(64).collect();
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let open = || pages.iter().filter(|(_, needs)| *needs <= role).map(|(page, _)| page.as_str());
    let mut found = suggest(&path, open());
    if found.is_empty() && first.len() > 2 {
        found = suggest(&format!("/{first}"), open());
    }
    found.into_iter().map(|page| Link::new(page.clone(), page)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever of a stranger's input is in them.
    #[test]
    fn words_about_a_fault_are_cut_where_they_are_longer_than_anybody_reads() {
        let text = |length| "é".repeat(length);
        let cut = format!("{}…", text(500));
        for (length, told) in [(500, text(500)), (501, cut.clone()), (100_000, cut.clone())] {
            let problem = Problem::from(Error::Invalid(vec![FieldError::new(text(length), text(length))]));
            assert_eq!((&problem.errors[0].field, &problem.errors[0].message), (&told, &told));
        }
        let conflict = Error::Conflict { code: "conflict", message: text(600) };
        assert_eq!(Problem::from(conflict).detail, format!("É{}", cut.strip_prefix('é').expect("letters")));
    }
}
