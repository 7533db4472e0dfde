//! Tells open pages what changed: one stream of named events per page (ui.md, "Global rules").
//!
//! An event is a name and nothing else. A region that shows live data fetches itself again when it hears its name, so
//! that what a person sees always comes through the same checks and the same template as the page:
//!
//! ```html
//! <section id="runs" hx-get="/runs" hx-trigger="runs from:body, resync from:body" hx-swap="outerMorph">
//! ```
//!
//! | name | what changed |
//! |---|---|
//! | `stack-KEY`, `container-KEY` | that one: its containers, its lock, a run or a sleep of its own. What happens to a container of a stack is told by the name of its stack too |
//! | `hosts` | the link to Docker, or which stacks and containers there are |
//! | `runs` | some run |
//! | `schedules` | some schedule or calendar |
//! | `overrides` | what is wanted of something for a while |
//! | `minute` | nothing, but a full minute is over: for words such as "in 3 min" |
//! | `resync` | whatever there is: the stream has just begun, or events were lost |
//! | `full` | the account has more streams than it may; the page that hears it closes its own |
//!
//! A list listens to the broad names and each of its rows to its own, so that a change costs one row.

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

/// The first event of a burst goes at once, the others together after this: well within the 100 ms that an event may
/// take to the browser.
const GAP: Duration = Duration::from_millis(80);
/// How often a stream looks whether its session is still good (rulings 24), and lets proxies hear that it lives.
const LOOK: Duration = Duration::from_secs(30);

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
    // nginx would collect it.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// What one page is told.
struct Stream {
    app: App,
    /// Cancelled where a newer stream of the account has taken its place.
    ousted: CancellationToken,
    _open: DropGuard,
    session: String,
    changes: Receiver<Live>,
    /// Names that have not been sent.
    waiting: BTreeSet<String>,
    /// When names may be sent next, on the monotonic clock.
    send_at: Duration,
    /// When the session is looked at next, on the monotonic clock.
    look_at: Duration,
    /// The next full minute.
    minute: Timestamp,
    over: bool,
}

impl Stream {
    fn new(web: &Web, user: &UserId, session: String) -> Self {
        let app = web.app.clone();
        let now = app.clock.monotonic();
        let ousted = web.streams.open(user);
        Self {
            changes: app.bus.subscribe(),
            _open: ousted.clone().drop_guard(),
            ousted,
            session,
            waiting: BTreeSet::from_iter(["resync".to_owned()]),
            send_at: now,
            look_at: now + LOOK,
            minute: next_minute(app.clock.now()),
            over: false,
            app,
        }
    }

    /// Waits for what is to be sent next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let app = self.app.clone();
        loop {
            if self.over {
                return None;
            }
            let now = app.clock.monotonic();
            tokio::select! {
                biased;
                () = app.vitals.stopped() => return None,
                () = self.ousted.cancelled() => {
                    self.over = true;
                    return Some(event("full").into());
                }
                () = app.clock.sleep(self.look_at.saturating_sub(now)) => {
                    if !sessions::is_live(&app, &self.session).await.unwrap_or(false) {
                        return None;
                    }
                    self.look_at = app.clock.monotonic() + LOOK;
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

/// An event of this name. Browsers pass over one without data.
fn event(name: &str) -> String {
    format!("event: {name}\ndata:\n\n")
}

fn next_minute(now: Timestamp) -> Timestamp {
    Timestamp::from_second((now.as_second().div_euclid(60) + 1) * 60).unwrap_or(Timestamp::MAX)
}

/// The names a change has on a page.
fn names(live: &Live) -> Vec<String> {
    match live {
        Live::Stack(key) => vec![format!("stack-{key}")],
        Live::Container(key) => vec![format!("container-{key}")],
        Live::Target(target) | Live::SleepsSoon(target) => of_target(target),
        Live::Run(target) => {
            let mut names = of_target(target);
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

fn of_target(target: &Target) -> Vec<String> {
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
    fn a_container_of_a_stack_is_told_of_by_both_names() {
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
