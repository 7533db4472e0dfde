//! Live updates of open pages: one stream of named server-sent events per page (ui.md, "Global rules").
//!
//! An event has a name and no data. A region of a page that shows live data fetches itself again on the event of its
//! name, so that all shown data passes the same permission checks and the same template as the page:
//!
//! ```html
//! <section id="runs" hx-get="/runs" hx-trigger="runs from:body, resync from:body" hx-swap="outerMorph">
//! ```
//!
//! | name | what changed |
//! |---|---|
//! | `stack-KEY`, `container-KEY` | the target: its state, lock, runs or naps |
//! | `hosts` | the link to Docker, or which stacks and containers there are |
//! | `runs` | any run |
//! | `schedules` | any schedule or calendar |
//! | `overrides` | any override |
//! | `minute` | nothing; sent at each full minute, for texts such as "in 3 min" |
//! | `resync` | possibly everything: the stream has just begun, or events were lost |
//! | `full` | nothing; the account has too many streams, and the page that receives the event closes its own |
//!
//! A list listens to the general names and each of its rows to its own name, so that a change fetches one row.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::Timestamp;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Web;
use super::auth::{Caller, Viewer};
use super::routes::{Access, Routes};
use crate::app::auth::sessions;
use crate::app::{App, Error, Live, Result};
use crate::domain::ids::UserId;
use crate::domain::target::{self, ContainerIdentity, Subject, Target};

/// The minimum time between two batches of events. The first event of a burst is sent at once, later ones together
/// after this time, well within the 100 ms that an event may take to the browser.
const GAP: Duration = Duration::from_millis(80);
/// The interval at which a stream checks that its session is still valid (rulings 24), and sends a comment so that
/// proxies keep the connection open.
const SESSION_CHECK: Duration = Duration::from_secs(30);

pub(super) fn routes() -> Routes {
    Routes::new().get("/events", Access::VIEWER, events)
}

async fn events(State(web): State<Web>, caller: Caller<Viewer>) -> Result<Response> {
    let session = caller.session().ok_or(Error::Unauthenticated)?.to_owned();
    let stream = Stream::new(&web, &caller.user().id, session);
    let chunks =
        stream::unfold(stream, async |mut stream| Some((Ok::<_, Infallible>(stream.next().await?), stream)));
    let mut response = (StatusCode::OK, Body::from_stream(chunks)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Without this header nginx buffers the events.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// The event stream of one page.
struct Stream {
    app: App,
    /// Cancelled when a newer stream of the account replaces this one.
    replaced: CancellationToken,
    _open: DropGuard,
    session: String,
    changes: Receiver<Live>,
    /// Names of events that have not been sent yet.
    waiting: BTreeSet<String>,
    /// The earliest instant at which events may be sent, on the monotonic clock.
    send_at: Duration,
    /// The instant of the next check of the session, on the monotonic clock.
    check_at: Duration,
    /// The next full minute.
    minute: Timestamp,
    ended: bool,
}

impl Stream {
    fn new(web: &Web, user: &UserId, session: String) -> Self {
        let app = web.app.clone();
        let now = app.clock.monotonic();
        let replaced = web.streams.open(user);
        Self {
            changes: app.bus.subscribe(),
            _open: replaced.clone().drop_guard(),
            replaced,
            session,
            waiting: BTreeSet::from_iter(["resync".to_owned()]),
            send_at: now,
            check_at: now + SESSION_CHECK,
            minute: next_minute(app.clock.now()),
            ended: false,
            app,
        }
    }

    /// Waits for the next bytes to send; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        let app = self.app.clone();
        loop {
            if self.ended {
                return None;
            }
            let now = app.clock.monotonic();
            tokio::select! {
                biased;
                () = app.vitals.stopped() => return None,
                () = self.replaced.cancelled() => {
                    self.ended = true;
                    return Some(event("full").into());
                }
                () = app.clock.sleep(self.check_at.saturating_sub(now)) => {
                    if !sessions::is_live(&app, &self.session).await.unwrap_or(false) {
                        return None;
                    }
                    self.check_at = app.clock.monotonic() + SESSION_CHECK;
                    return Some(Bytes::from_static(b":\n\n"));
                }
                () = app.clock.sleep_until(self.minute) => {
                    self.minute = next_minute(app.clock.now());
                    self.waiting.insert("minute".to_owned());
                }
                () = app.clock.sleep(self.send_at.saturating_sub(now)), if !self.waiting.is_empty() => {
                    self.send_at = app.clock.monotonic() + GAP;
                    let names = std::mem::take(&mut self.waiting);
                    return Some(names.iter().map(|name| event(name)).collect::<String>().into());
                }
                change = self.changes.recv() => match change {
                    Ok(live) => self.waiting.extend(names(&live)),
                    Err(RecvError::Lagged(_)) => self.waiting = BTreeSet::from_iter(["resync".to_owned()]),
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }
}

/// The text of an event. The `data:` line is needed: browsers ignore an event without data.
fn event(name: &str) -> String {
    format!("event: {name}\ndata:\n\n")
}

fn next_minute(now: Timestamp) -> Timestamp {
    Timestamp::from_second((now.as_second().div_euclid(60) + 1) * 60).unwrap_or(Timestamp::MAX)
}

/// The names of the events of a change.
fn names(live: &Live) -> Vec<String> {
    match live {
        Live::Stack(key) => vec![format!("stack-{key}")],
        Live::Container(key) => vec![format!("container-{key}")],
        Live::Target(target) | Live::SleepsSoon(target) => target_names(target),
        Live::Run(target) => {
            let mut names = target_names(target);
            names.push("runs".to_owned());
            names
        }
        Live::Runs => vec!["runs".to_owned()],
        Live::Schedules => vec!["schedules".to_owned()],
        Live::Overrides => vec!["overrides".to_owned()],
        Live::Hosts => vec!["hosts".to_owned()],
        Live::Needs => vec!["needs".to_owned()],
    }
}

fn target_names(target: &Target) -> Vec<String> {
    let mut names = vec![format!("{}-{}", target.target_type().as_str(), target.key())];
    if let Subject::Container(ContainerIdentity::Service { project, .. }) = &target.subject {
        names.push(format!("stack-{}", target::key(&target.host, project)));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::HostId;

    #[test]
    fn a_container_of_a_stack_has_the_events_of_both() {
        let identity =
            ContainerIdentity::Service { project: "media".to_owned(), service: "web".to_owned(), number: 1 };
        let target = Target::container(HostId::local(), identity);
        let stack = Target::stack(HostId::local(), "media");
        assert_eq!(
            names(&Live::Run(target.clone())),
            [format!("container-{}", target.key()), format!("stack-{}", stack.key()), "runs".to_owned()]
        );
        assert_eq!(names(&Live::SleepsSoon(stack.clone())), [format!("stack-{}", stack.key())]);
    }

    #[test]
    fn the_next_minute_is_never_now() {
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        assert_eq!(next_minute(at("2026-11-27T20:00:00Z")), at("2026-11-27T20:01:00Z"));
        assert_eq!(next_minute(at("2026-11-27T20:00:59.999Z")), at("2026-11-27T20:01:00Z"));
    }
}
