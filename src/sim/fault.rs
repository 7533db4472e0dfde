//! Endpoints of the simulated Engine, and the faults that a test can inject into calls.

use std::time::Duration;

/// Endpoints that the simulated Engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `GET /_ping`
    Ping,
    /// `GET /version`
    Version,
    /// `GET /info`
    Info,
    /// `GET /events`
    Events,
    /// `GET /containers/json`
    List,
    /// `GET /containers/{id}/json`
    Inspect,
    /// `GET /containers/{id}/logs`
    Logs,
    /// `GET /containers/{id}/stats`
    Stats,
    /// `POST /containers/{id}/start`
    Start,
    /// `POST /containers/{id}/stop`
    Stop,
    /// `POST /containers/{id}/restart`
    Restart,
    /// `POST /containers/{id}/pause`
    Pause,
    /// `POST /containers/{id}/unpause`
    Unpause,
    /// Any other path: a call that the program must not make.
    Unknown,
}

impl Endpoint {
    /// Endpoint of a request, and the container reference in its path.
    pub(super) fn of(method: &str, path: &str) -> (Self, Option<String>) {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let plain = |endpoint| (endpoint, None);
        match (method, parts.as_slice()) {
            ("GET" | "HEAD", ["_ping"]) => plain(Self::Ping),
            ("GET", ["version"]) => plain(Self::Version),
            ("GET", ["info"]) => plain(Self::Info),
            ("GET", ["events"]) => plain(Self::Events),
            ("GET", ["containers", "json"]) => plain(Self::List),
            (_, ["containers", id, verb]) if !id.is_empty() => {
                let endpoint = match (method, *verb) {
                    ("GET", "json") => Self::Inspect,
                    ("GET", "logs") => Self::Logs,
                    ("GET", "stats") => Self::Stats,
                    ("POST", "start") => Self::Start,
                    ("POST", "stop") => Self::Stop,
                    ("POST", "restart") => Self::Restart,
                    ("POST", "pause") => Self::Pause,
                    ("POST", "unpause") => Self::Unpause,
                    _ => return plain(Self::Unknown),
                };
                let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy().into_owned();
                (endpoint, Some(id))
            }
            _ => plain(Self::Unknown),
        }
    }

    /// Whether the endpoint changes a container: start, stop, restart, pause, unpause.
    pub fn acts(self) -> bool {
        matches!(self, Self::Start | Self::Stop | Self::Restart | Self::Pause | Self::Unpause)
    }
}

/// Effect of a fault on a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Delay(Duration),
    HangBeforeHeaders,
    HangAfterHeaders,
    Status(u16, String),
    Html(u16, String),
    DropBefore,
    DropAfter,
}

/// A fault with a filter for the affected calls and a limit on their number. Created by one of the first seven
/// functions, narrowed by [`Fault::on`], [`Fault::container`] and [`Fault::times`]. If several faults match a call, the
/// oldest applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    effect: Effect,
    endpoint: Option<Endpoint>,
    container: Option<String>,
    times: Option<u32>,
}

impl Fault {
    fn new(effect: Effect) -> Self {
        Self { effect, endpoint: None, container: None, times: None }
    }

    /// The call is carried out after a delay.
    pub fn delay(by: Duration) -> Self {
        Self::new(Effect::Delay(by))
    }

    /// The call is not carried out and never gets a response.
    pub fn hang() -> Self {
        Self::new(Effect::HangBeforeHeaders)
    }

    /// The call is carried out and its response headers are sent, but never the body.
    pub fn hang_after_headers() -> Self {
        Self::new(Effect::HangAfterHeaders)
    }

    /// The call fails with this status and the Engine's `{"message"}`, and is not carried out.
    pub fn status(status: u16, message: impl Into<String>) -> Self {
        Self::new(Effect::Status(status, message.into()))
    }

    /// The call fails with 403 and an HTML page, as from a socket proxy that forbids it, and is not carried out.
    pub fn proxy_forbids() -> Self {
        let page = "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n";
        Self::new(Effect::Html(403, page.to_owned()))
    }

    /// The connection closes without a response, and the call is not carried out.
    pub fn drop_before() -> Self {
        Self::new(Effect::DropBefore)
    }

    /// The call is carried out, then the connection closes without a response.
    pub fn drop_after_commit() -> Self {
        Self::new(Effect::DropAfter)
    }

    /// Only calls of this endpoint.
    #[must_use]
    pub fn on(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Only calls for this container, referenced by name, id or the spelling in the path.
    #[must_use]
    pub fn container(mut self, name: impl Into<String>) -> Self {
        self.container = Some(name.into());
        self
    }

    /// Only the next `times` matching calls.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Whether the fault applies to a call; `names` are the name, id and spelling in the path of its container.
    fn applies_to(&self, endpoint: Endpoint, names: &[&str]) -> bool {
        self.times != Some(0)
            && self.endpoint.is_none_or(|mine| mine == endpoint)
            && self.container.as_deref().is_none_or(|mine| names.contains(&mine))
    }

    /// Effect of the oldest fault that applies to a call; decrements its remaining number of calls.
    pub(super) fn take(faults: &mut Vec<Self>, endpoint: Endpoint, names: &[&str]) -> Option<Effect> {
        let fault = faults.iter_mut().find(|fault| fault.applies_to(endpoint, names))?;
        let effect = fault.effect.clone();
        if let Some(times) = fault.times.as_mut() {
            *times -= 1;
        }
        faults.retain(|fault| fault.times != Some(0));
        Some(effect)
    }
}
