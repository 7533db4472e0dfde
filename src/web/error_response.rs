//! The response to a failed request: a page, a toast for htmx, or problem+json (RFC 9457) for programs.
//!
//! Handlers return [`app::Error`](crate::app::Error). This outer layer knows the request and renders the response. It
//! also replaces every error response without a body (404, 405, 413 … of the framework). The source of an internal
//! error is logged under the id of the request and never sent.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, ALLOW, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{AppendHeaders, Html, IntoResponse, Response};

use super::auth::Identity;
use super::corner::Corner;
use super::error::{Problem, sentence};
use super::htmx::Htmx;
use super::routes::{Access, FEEDS, Route};
use super::session::{local, page_of};
use super::shell::Shell;
use super::toast::Toast;
use super::view::{Link, shown_name};
use super::{Web, filters, limits};
use crate::app::suggest::suggest;
use crate::app::{FieldError, stacks};
use crate::domain::permission::Role;
use crate::domain::target::TargetType;

/// The id of the request, in the response and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The parts of a request that the layer keeps while the handler runs.
struct RequestInfo {
    parts: Parts,
    htmx: Htmx,
    id: String,
}

impl RequestInfo {
    fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The page the request was sent from, below the base path.
    fn from(&self, web: &Web) -> Option<String> {
        page_of(&self.parts.headers, web.base())
    }

    /// Path and query of the request, if it is a GET, which can be repeated safely.
    fn again(&self) -> Option<String> {
        let path = self.parts.uri.path_and_query().filter(|_| self.parts.method == Method::GET);
        local(path.map(PathAndQuery::as_str)?)
    }
}

/// The layer: renders every error. `pages` are the routes whose paths may be suggested when a page is not found.
pub(super) async fn render(
    State((web, pages)): State<(Web, Arc<[Route]>)>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let htmx = Htmx::of(&parts.headers);
    let info = RequestInfo { parts: parts.clone(), htmx, id: request_id(&web) };
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Ok(value) = HeaderValue::from_str(&info.id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>();
    if !(status.is_client_error() || status.is_server_error()) || (problem.is_none() && has_form(&response)) {
        return response;
    }
    let mut problem = problem.unwrap_or_else(|| Problem::of_status(status));
    if problem.status == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = match limits::body_of(info.path()) {
            limits::BODY => "At most 64 KiB can be sent at once.",
            limits::UPLOAD_BODY => {
                "A backup may be 2 GiB at most. Restore a larger one by command: docknap restore FILE."
            }
            _ => "An ICS file may be 1 MiB at most. Leave out the years that have passed.",
        };
        detail.clone_into(&mut problem.detail);
    }
    if problem.status.is_server_error() {
        // The rest of these paths is a secret: a reader of the log must not be able to open the link.
        let secret = ["/invite/", FEEDS].into_iter().find(|path| info.path().starts_with(path));
        let path = secret.unwrap_or(info.path());
        let cause = problem.cause();
        tracing::error!(request = %info.id, method = %info.parts.method, path, %status, "{cause}");
    }
    let identity = Identity::of(response.extensions());
    let is_logged_out = problem.code == "unauthenticated";
    let mut rendered = match kind(&info) {
        Kind::Program => problem_json(&problem, &info),
        Kind::Stream if !info.htmx.request || !is_logged_out => problem.status.into_response(),
        Kind::Stream => to_login(&web, &info),
        Kind::Page if is_logged_out => to_login(&web, &info),
        Kind::Page => page(&web, &pages, &problem, &info, &identity).await,
    };
    if let Some(seconds) = problem.retry_after {
        rendered.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    for name in [REQUEST_ID, ALLOW, SET_COOKIE] {
        for value in response.headers().get_all(&name) {
            rendered.headers_mut().append(&name, value.clone());
        }
    }
    rendered
}

enum Kind {
    Program,
    Stream,
    Page,
}

fn kind(info: &RequestInfo) -> Kind {
    let path = info.path();
    // A calendar app is a program too, and an error page would repeat the path, which is a secret.
    if path == "/api" || path.starts_with("/api/") || path.starts_with(FEEDS) {
        return Kind::Program;
    }
    let accept = info.parts.headers.get(ACCEPT);
    let takes_stream = accept.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if path == "/events" || takes_stream { Kind::Stream } else { Kind::Page }
}

fn request_id(web: &Web) -> String {
    // The random half only: the time is in the log anyway.
    let id: String = web.app.ids.next(web.app.clock.now());
    id.chars().filter(|c| *c != '-').skip(16).collect()
}

/// Whether the response has a body of its own already: a form with its errors, or a problem.
fn has_form(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"text/html") || kind.starts_with(b"application/"))
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

fn problem_json(problem: &Problem, info: &RequestInfo) -> Response {
    let body = Body {
        title: problem.title,
        status: problem.status.as_u16(),
        detail: &problem.detail,
        code: problem.code,
        errors: &problem.errors,
        near: problem.near().1,
        request_id: &info.id,
    };
    // Serializing a struct of strings cannot fail.
    let text = serde_json::to_string(&body).unwrap_or_default();
    let mut response = (problem.status, [(CONTENT_TYPE, "application/problem+json")], text).into_response();
    if problem.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A redirect to the login page, which leads back afterwards: 303 for a page; 401 with `HX-Redirect` for htmx, which
/// would otherwise swap the login page into the middle of the current one.
fn to_login(web: &Web, info: &RequestInfo) -> Response {
    let is_page = info.parts.method == Method::GET && !info.htmx.request;
    let here = if is_page { info.again() } else { info.from(web) };
    let next = here.filter(|here| here != "/");
    let query = next.and_then(|next| serde_urlencoded::to_string([("next", next)]).ok());
    let target = web.link(&query.map_or("/login".to_owned(), |query| format!("/login?{query}")));
    if info.htmx.request {
        return (StatusCode::UNAUTHORIZED, [("hx-redirect", target)]).into_response();
    }
    (StatusCode::SEE_OTHER, [(LOCATION, target)]).into_response()
}

/// The error page, with a link to the next step.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    shell: &'a Shell,
    problem: &'a Problem,
    /// The description, and what the reader can do.
    message: &'a str,
    /// Links to objects or pages with names similar to the requested one.
    near: Vec<Link>,
    way_on: Link,
    /// The id of the request, for the reader to quote when asking for help.
    request_id: Option<&'a str>,
    /// Seconds until the page reloads itself; only for a GET of an unavailable page.
    refresh: Option<u64>,
}

async fn page(
    web: &Web,
    pages: &[Route],
    problem: &Problem,
    info: &RequestInfo,
    identity: &Identity,
) -> Response {
    let is_unavailable = problem.status == StatusCode::SERVICE_UNAVAILABLE;
    // Without the pending toast of the session, which is kept for the next page.
    let shell = if is_unavailable {
        Shell::without_storage(web, identity, &info.parts.headers)
    } else {
        Shell::of(web, identity, &info.parts).await
    };
    let message = message(problem, &shell);
    let request_id = problem.status.is_server_error().then_some(&*info.id);
    let text = if info.htmx.partial {
        let toast = Toast::new("bad", message);
        let part = Corner {
            title: problem.title,
            request_id,
            retry_after: problem.retry_after,
            ..Corner::new(&shell, &toast)
        };
        part.render()
    } else {
        let repeats = is_unavailable && info.parts.method == Method::GET && !info.htmx.request;
        let page = ErrorPage {
            shell: &shell,
            problem,
            message: &message,
            near: near_links(web, pages, problem, info, shell.user.as_ref().map(|user| user.role)),
            way_on: way_on(web, problem, info, shell.user.is_some()),
            request_id,
            refresh: problem.retry_after.filter(|_| repeats),
        };
        page.render()
    };
    let Ok(text) = text else {
        tracing::error!(request = %info.id, "the error page cannot be rendered");
        return problem.status.into_response();
    };
    // The toast goes to the corner, whatever the target of the htmx request was.
    let corner = [("hx-retarget", "#alerts"), ("hx-reswap", "beforeend")];
    let corner = info.htmx.partial.then_some(AppendHeaders(corner));
    (problem.status, corner, Html(text)).into_response()
}

/// The whole text of a problem as one string, with `` `…` `` replaced by “…”.
fn message(problem: &Problem, shell: &Shell) -> String {
    let mut message = String::new();
    for (number, part) in problem.detail.split('`').enumerate() {
        message.push_str(match number {
            0 => "",
            opening if opening % 2 == 1 => "“",
            _ => "”",
        });
        message.push_str(part);
    }
    for error in &problem.errors {
        message = format!("{message} {}", sentence(&error.message));
    }
    if problem.code == "forbidden"
        && let Some(user) = &shell.user
    {
        message = format!("{message} You are {}, with the role {}.", shown_name(&user.name), user.role);
    }
    message
}

/// The link to the next step.
fn way_on(web: &Web, problem: &Problem, info: &RequestInfo, is_known: bool) -> Link {
    let from = info.from(web);
    let home = || if is_known { Link::new("/", "To the stacks") } else { Link::new("/login", "Log in") };
    let back = |words: &str| match from.clone().filter(|from| from != info.path()) {
        Some(from) => Link::new(from, words),
        None => home(),
    };
    // A link cannot repeat a POST, so it opens the page the form was sent from.
    let again = || info.again().or_else(|| from.clone()).unwrap_or_else(|| "/".to_owned());
    match problem.status {
        StatusCode::UNAUTHORIZED => Link::new("/login", "Log in"),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Link::new(again(), "Try again"),
        StatusCode::PRECONDITION_FAILED => {
            Link::new(from.clone().unwrap_or_else(again), "See it as it is now")
        }
        StatusCode::FORBIDDEN if problem.code == "cross_site" => Link::new(again(), "Open the page again"),
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => back("Back to the form"),
        StatusCode::CONFLICT | StatusCode::FORBIDDEN => back("Back"),
        _ => home(),
    }
}

/// Links to objects with names similar to the missing one. The links use keys, since a name may contain any character.
fn near_links(
    web: &Web,
    pages: &[Route],
    problem: &Problem,
    info: &RequestInfo,
    role: Option<Role>,
) -> Vec<Link> {
    let (what, near) = problem.near();
    let kind = match what {
        "stack" => TargetType::Stack,
        "container" => TargetType::Container,
        "page" => return role.map(|role| near_pages(pages, info.path(), role)).unwrap_or_default(),
        _ => return Vec::new(),
    };
    let link = |name: &String| {
        let key = stacks::key_of(&web.app, kind, name)?;
        Some(Link::new(format!("/{what}s/{key}"), shown_name(name)))
    };
    near.iter().filter_map(link).collect()
}

/// Links to pages with paths similar to the missing one, among those that the role may open.
fn near_pages(pages: &[Route], path: &str, role: Role) -> Vec<Link> {
    let is_open = |route: &&Route| {
        route.method == Method::GET
            && route.path != "/"
            && matches!(route.access, Access::Role(needs) if needs <= role)
            // No files, and no parts of pages.
            && !route.path.contains(['{', '.'])
            && !route.path.ends_with("/newer")
    };
    let open = || pages.iter().filter(is_open).map(|route| route.path.as_str());
    let path: String = path.to_lowercase().chars().take(64).collect();
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let mut found = suggest(&path, open());
    if found.is_empty() && first.len() > 2 {
        found = suggest(&format!("/{first}"), open());
    }
    found.into_iter().map(|page| Link::new(page.clone(), page)).collect()
}
