//! What can go wrong on the way to the Engine and back.

use std::time::Duration;

/// The calls the simulated Engine knows.
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
    /// Anything else: a call the program must not make.
    Unknown,
}

impl Endpoint {
    /// The endpoint of a request, and the container it names.
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

    /// Changes something: start, stop, restart, pause, unpause.
    pub fn acts(self) -> bool {
        matches!(self, Self::Start | Self::Stop | Self::Restart | Self::Pause | Self::Unpause)
    }
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Delay(Duration),
    HangBeforeHeaders,
    HangAfterHeaders,
    Status(u16, String),
    Html(u16, String),
    DropBefore,
    DropAfter,
}

/// One thing that goes wrong, for which calls and how often. Built from one of the first seven functions, narrowed by
/// [`Fault::on`], [`Fault::container`] and [`Fault::times`]. Of several that match a call, the oldest counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    what: What,
    endpoint: Option<Endpoint>,
    container: Option<String>,
    times: Option<u32>,
}

impl Fault {
    fn new(what: What) -> Self {
        Self { what, endpoint: None, container: None, times: None }
    }

    /// The call waits so long, then does its work.
    pub fn delay(by: Duration) -> Self {
        Self::new(What::Delay(by))
    }

    /// No answer ever, and nothing done.
    pub fn hang() -> Self {
        Self::new(What::HangBeforeHeaders)
    }

    /// The work is done, the headers come, the body never does.
    pub fn hang_after_headers() -> Self {
        Self::new(What::HangAfterHeaders)
    }

    /// This status with the Engine's `{"message"}`, and nothing done.
    pub fn status(status: u16, message: impl Into<String>) -> Self {
        Self::new(What::Status(status, message.into()))
    }

    /// 403 with a page, as a socket proxy answers what it does not allow; nothing done.
    pub fn proxy_forbids() -> Self {
        let page = "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n";
        Self::new(What::Html(403, page.to_owned()))
    }

    /// The connection closes without an answer, and nothing is done.
    pub fn drop_before() -> Self {
        Self::new(What::DropBefore)
    }

    /// The work is done, then the connection closes without an answer.
    pub fn drop_after_commit() -> Self {
        Self::new(What::DropAfter)
    }

    /// Only calls of this endpoint.
    #[must_use]
    pub fn on(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Only calls that name the container so (by name, id or prefix).
    #[must_use]
    pub fn container(mut self, name: impl Into<String>) -> Self {
        self.container = Some(name.into());
        self
    }

    /// Only the next `times` of them.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Whether it hits this call; `names` are the name, id and spelling of its container.
    fn hits(&self, endpoint: Endpoint, names: &[&str]) -> bool {
        self.times != Some(0)
            && self.endpoint.is_none_or(|mine| mine == endpoint)
            && self.container.as_deref().is_none_or(|mine| names.contains(&mine))
    }

    /// The oldest of `faults` that hits this call, counted down.
    pub(super) fn take(faults: &mut Vec<Self>, endpoint: Endpoint, names: &[&str]) -> Option<What> {
        let fault = faults.iter_mut().find(|fault| fault.hits(endpoint, names))?;
        let what = fault.what.clone();
        if let Some(times) = fault.times.as_mut() {
            *times -= 1;
        }
        faults.retain(|fault| fault.times != Some(0));
        Some(what)
    }
}
