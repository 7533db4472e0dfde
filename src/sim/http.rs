//! The Engine API over HTTP: paths, versions, parameters and statuses, and the injected faults. Responses are built by
//! `view`.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::control::Call;
use super::fault::{Effect, Endpoint, Fault};
use super::listen::Connection;
use super::machine::{Begun, Done, Event, Outcome, Refusal};
use super::view;
use super::{Api, CALLS, Inner, Shared, api_version};

/// First API version whose errors are JSON; older ones get plain text.
const JSON_ERRORS: (u32, u32) = (1, 23);

/// Router for every path, with and without a version prefix.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(serve).with_state(shared)
}

/// Parsed request.
struct SimRequest {
    endpoint: Endpoint,
    /// Container reference as the caller wrote it.
    named: String,
    parameters: HashMap<String, String>,
}

impl SimRequest {
    fn flag(&self, name: &str) -> bool {
        self.parameters.get(name).is_some_and(|value| {
            !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
        })
    }

    /// Parameter `t`: the grace period in seconds.
    fn grace(&self) -> Result<Option<i64>, Refusal> {
        match self.parameters.get("t").map(String::as_str) {
            None | Some("") => Ok(None),
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|_| Refusal::new(500, format!("strconv.Atoi: parsing \"{text}\": invalid syntax"))),
        }
    }

    /// Parameter `filters`, in its current or its older form.
    fn filters(&self) -> Result<view::Filters, Refusal> {
        view::Filters::parse(self.parameters.get("filters").map_or("", String::as_str))
            .ok_or_else(|| Refusal::new(400, "invalid filter"))
    }
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    incoming: Request,
) -> Response {
    let path = incoming.uri().path();
    let (version, rest) = split_version(path);
    let (endpoint, named) = Endpoint::of(incoming.method().as_str(), rest);
    let query = incoming.uri().query().unwrap_or_default();
    let request = SimRequest {
        endpoint,
        named: named.unwrap_or_default(),
        parameters: serde_urlencoded::from_str(query).unwrap_or_default(),
    };
    let full = incoming.uri().path_and_query().map_or(path, |both| both.as_str());
    let (effect, api) = record_call(&shared, &request, incoming.method().as_str(), full);
    match &effect {
        Some(Effect::Delay(by)) => shared.clock.sleep(*by).await,
        Some(Effect::HangBeforeHeaders) => std::future::pending().await,
        Some(Effect::Status(status, message)) => {
            return with_engine_headers(&shared, refuse(&Refusal::new(*status, message.clone())), api);
        }
        // The page is from a proxy, so the Engine's headers are not added.
        Some(Effect::Html(status, page)) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::FORBIDDEN);
            return (status, [(header::CONTENT_TYPE, "text/html")], page.clone()).into_response();
        }
        Some(Effect::DropBefore) => {
            connection.cut();
            return StatusCode::OK.into_response();
        }
        Some(Effect::HangAfterHeaders | Effect::DropAfter) | None => {}
    }
    let response = match version.and_then(|version| wrong_version(version, api)) {
        Some(refusal) => refusal,
        None => respond(&shared, &request, api).await.unwrap_or_else(|refusal| refuse(&refusal)),
    };
    let response = with_engine_headers(&shared, response, api);
    match effect {
        Some(Effect::HangAfterHeaders) => {
            let (mut parts, _) = response.into_parts();
            parts.headers.remove(header::CONTENT_LENGTH);
            let never = stream::pending::<Result<Bytes, std::convert::Infallible>>();
            Response::from_parts(parts, Body::from_stream(never))
        }
        Some(Effect::DropAfter) => {
            connection.cut();
            response
        }
        _ => response,
    }
}

/// Splits a path such as `/v1.41/_ping` into the version and the rest.
fn split_version(path: &str) -> (Option<(u32, u32)>, &str) {
    let prefixed = path.strip_prefix("/v").and_then(|rest| {
        let (version, _) = rest.split_once('/')?;
        Some((api_version(version)?, &rest[version.len()..]))
    });
    prefixed.map_or((None, path), |(version, rest)| (Some(version), rest))
}

fn wrong_version(version: (u32, u32), api: Api) -> Option<Response> {
    let text = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    let message = if version > api.max {
        format!(
            "client version {} is too new. Maximum supported API version is {}",
            text(version),
            text(api.max)
        )
    } else if version < api.min {
        format!(
            "client version {} is too old. Minimum supported API version is {}, please upgrade your client to a \
             newer version",
            text(version),
            text(api.min)
        )
    } else {
        return None;
    };
    Some(if version >= JSON_ERRORS {
        refuse(&Refusal::new(400, message))
    } else {
        (StatusCode::BAD_REQUEST, message).into_response()
    })
}

/// Records the call and returns the fault that applies to it, with the supported API versions.
fn record_call(shared: &Shared, request: &SimRequest, method: &str, path: &str) -> (Option<Effect>, Api) {
    let at = shared.clock.now();
    let mut guard = shared.lock();
    let Inner { machine, calls, counts, faults, api, .. } = &mut *guard;
    let container = machine.find(&request.named).ok().and_then(|key| machine.get(key));
    if calls.len() == CALLS {
        calls.pop_front();
    }
    calls.push_back(Call {
        endpoint: request.endpoint,
        method: method.to_owned(),
        path: path.to_owned(),
        container: container.map(|container| container.spec.name.clone()),
        at,
    });
    *counts.entry(request.endpoint).or_default() += 1;
    let mut names = vec![request.named.as_str()];
    if let Some(container) = container {
        names.extend([container.id.as_str(), container.spec.name.as_str()]);
    }
    (Fault::take(faults, request.endpoint, &names), *api)
}

async fn respond(shared: &Arc<Shared>, request: &SimRequest, api: Api) -> Result<Response, Refusal> {
    match request.endpoint {
        Endpoint::Ping => Ok((
            [(header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"), (header::PRAGMA, "no-cache")],
            "OK",
        )
            .into_response()),
        Endpoint::Version => Ok(json_response(&view::version(api))),
        Endpoint::Info => Ok(json_response(&view::info(&shared.lock().machine))),
        Endpoint::Events => events(shared, request, api),
        Endpoint::List => {
            let filters = request.filters()?;
            let all = request.flag("all") || filters.has("status");
            Ok(json_response(&view::list(&shared.lock().machine, all, &filters)))
        }
        Endpoint::Inspect => {
            let guard = shared.lock();
            let key = guard.machine.find(&request.named)?;
            Ok(json_response(&guard.machine.get(key).map_or(Value::Null, view::inspect)))
        }
        Endpoint::Logs => logs(shared, request),
        Endpoint::Stats => {
            let guard = shared.lock();
            let key = guard.machine.find(&request.named)?;
            let now = guard.machine.now();
            let at_once = request.flag("one-shot");
            Ok(json_response(
                &guard.machine.get(key).map_or(Value::Null, |one| view::stats(one, now, at_once)),
            ))
        }
        Endpoint::Start | Endpoint::Pause | Endpoint::Unpause => {
            let mut guard = shared.lock();
            let key = guard.machine.find(&request.named)?;
            let outcome = match request.endpoint {
                Endpoint::Start => guard.machine.start(key),
                Endpoint::Pause => guard.machine.pause(key),
                _ => guard.machine.unpause(key),
            };
            outcome.map(done)
        }
        Endpoint::Stop | Endpoint::Restart => end(shared, request).await.map(done),
        Endpoint::Unknown => Err(Refusal::new(404, "page not found")),
    }
}

/// Stop and restart: the operation begins at once, and the response follows when the process has ended. A client that
/// disconnects does not cancel the operation.
async fn end(shared: &Shared, request: &SimRequest) -> Outcome {
    let waiting = {
        let mut guard = shared.lock();
        let inner = &mut *guard;
        let grace = request.grace()?;
        let key = inner.machine.find(&request.named)?;
        let begun = match request.endpoint {
            Endpoint::Stop => inner.machine.stop(key, grace)?,
            _ => inner.machine.restart(key, grace, &request.named)?,
        };
        match begun {
            Begun::Now(done) => return Ok(done),
            Begun::Later(op) => {
                let (sender, receiver) = oneshot::channel();
                inner.waiting.insert(op, sender);
                receiver
            }
        }
    };
    match waiting.await {
        Ok(outcome) => outcome,
        // The daemon has ended; the connection is about to be closed.
        Err(_) => std::future::pending().await,
    }
}

fn done(done: Done) -> Response {
    match done {
        Done::Changed => StatusCode::NO_CONTENT.into_response(),
        Done::AlreadySo => StatusCode::NOT_MODIFIED.into_response(),
    }
}

fn refuse(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, json_response(&json!({ "message": refusal.message }))).into_response()
}

fn json_response(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

/// Adds the headers that the Engine sends with every response. `Date` is by its own clock.
fn with_engine_headers(shared: &Shared, mut response: Response, api: Api) -> Response {
    let date = shared.wall().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let version = format!("{}.{}", api.max.0, api.max.1);
    let headers = response.headers_mut();
    for (name, value) in [
        ("date", date.as_str()),
        ("api-version", version.as_str()),
        ("docker-experimental", "false"),
        ("ostype", "linux"),
        ("server", "Docker/20.10.24 (linux)"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Open event stream: stored events first, then live ones.
struct EventStream {
    kept: VecDeque<Event>,
    live: Option<mpsc::UnboundedReceiver<Event>>,
    /// Monotonic time at which the stream ends.
    until: Option<Duration>,
    filters: view::Filters,
    shared: Arc<Shared>,
    api: Api,
}

impl EventStream {
    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.kept.pop_front() {
            return Some(event);
        }
        let live = self.live.as_mut()?;
        match self.until {
            None => live.recv().await,
            Some(until) => {
                let left = until.saturating_sub(self.shared.clock.monotonic());
                self.shared.clock.timeout(left, live.recv()).await.ok().flatten()
            }
        }
    }
}

/// `GET /events`: the stored events since `since`, then the live ones up to `until`.
fn events(shared: &Arc<Shared>, request: &SimRequest, api: Api) -> Result<Response, Refusal> {
    let filters = request.filters()?;
    let instant = |name: &str| match request.parameters.get(name).map(String::as_str) {
        None | Some("") => Ok(None),
        Some(text) => view::instant(text).map(Some).ok_or_else(|| {
            Refusal::new(400, format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))
        }),
    };
    let (since, until) = (instant("since")?, instant("until")?);
    let mut guard = shared.lock();
    let inner = &mut *guard;
    let now = inner.machine.now();
    let kept = inner
        .machine
        .ring()
        .filter(|event| since.is_some_and(|since| event.at >= since))
        // Compared by millisecond, which is the resolution of the clock.
        .filter(|event| until.is_none_or(|until| event.at.as_millisecond() <= until.as_millisecond()))
        .cloned()
        .collect();
    let left = until.map(|until| Duration::try_from(until.duration_since(now.wall)).unwrap_or_default());
    let receiver = if left.is_some_and(|left| left.is_zero()) {
        None
    } else {
        let (sender, receiver) = mpsc::unbounded_channel();
        inner.streams.push(sender);
        Some(receiver)
    };
    drop(guard);
    let event_stream = EventStream {
        kept,
        live: receiver,
        until: left.map(|left| now.running + left),
        filters,
        shared: Arc::clone(shared),
        api,
    };
    let lines = stream::unfold(event_stream, |mut event_stream| async move {
        loop {
            let event = event_stream.next().await?;
            if event_stream.filters.admit_event(&event) {
                let line = format!("{}\n", view::event(&event, event_stream.api));
                return Some((Ok::<_, std::convert::Infallible>(Bytes::from(line)), event_stream));
            }
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response())
}

/// `GET …/logs`: frames with a header of eight bytes and one line, or the raw lines of a terminal. `follow` is ignored.
fn logs(shared: &Shared, request: &SimRequest) -> Result<Response, Refusal> {
    let (stdout, stderr) = (request.flag("stdout"), request.flag("stderr"));
    if !stdout && !stderr {
        return Err(Refusal::new(400, "Bad parameters: you must choose at least one stream"));
    }
    let guard = shared.lock();
    let key = guard.machine.find(&request.named)?;
    let Some(container) = guard.machine.get(key) else { return Err(Refusal::new(404, "gone")) };
    let tail = request.parameters.get("tail").and_then(|tail| tail.parse().ok()).unwrap_or(usize::MAX);
    let lines: Vec<_> =
        container.lines.iter().filter(|line| if line.stderr { stderr } else { stdout }).collect();
    let mut body = Vec::new();
    for line in &lines[lines.len().saturating_sub(tail)..] {
        let mut text = String::new();
        if request.flag("timestamps") {
            let _ = write!(text, "{} ", line.at);
        }
        text.push_str(&line.text);
        text.push('\n');
        if !container.spec.tty {
            body.extend([if line.stderr { 2 } else { 1 }, 0, 0, 0]);
            body.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
        body.extend(text.into_bytes());
    }
    Ok(Body::from(body).into_response())
}
