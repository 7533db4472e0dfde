//! A simulated Docker Engine that serves the Engine API on a unix socket, so that the unmodified program connects to
//! it. Tests, benchmarks and `docknap demo` use it.
//!
//! `machine` is the state machine, without HTTP and clock. `http` and `view` implement the API on top of it.
//! [`Control`] is the handle with which a test acts from outside: as another client, a daemon that ends, or a proxy
//! that refuses. The simulated behaviour was measured on Docker Engine 20.10; `tests/it/contract` runs the same cases
//! against both.

mod control;
pub mod demo;
mod fault;
mod http;
mod listen;
mod machine;
mod view;
mod world;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use control::{Call, Control, Seen};
pub use fault::{Endpoint, Fault};
pub use machine::DaemonEnd;
pub use world::{ContainerSpec, Healthcheck, Initially, Network, Restart, StackSpec, Start, Stop, World};

use crate::clock::Clock;
use crate::domain::text::chain;
use machine::{Event, Machine, Moment, OpId, Outcome};

/// Upper limit of the recorded calls; older ones are dropped, but their counters stay.
const CALLS: usize = 100_000;

/// A running simulated Engine. Dropping it closes its socket.
#[derive(Debug)]
pub struct Engine {
    control: Control,
    driver: tokio::task::JoinHandle<()>,
}

impl Engine {
    /// Starts an Engine that listens on `socket`, with the containers of `world`.
    ///
    /// # Errors
    /// When the socket cannot be bound.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[expect(clippy::unused_async, reason = "it needs a runtime, which an async function says best")]
    pub async fn start(socket: &Path, clock: Clock, world: World) -> io::Result<Self> {
        let ahead = world.ahead;
        let now = Moment { wall: clock.now() + ahead, running: clock.monotonic() };
        let shared = Arc::new(Shared {
            clock,
            ahead,
            socket: socket.to_owned(),
            runtime: tokio::runtime::Handle::current(),
            changed: Notify::new(),
            inner: Mutex::new(Inner {
                machine: Machine::new(now, world),
                waiting: HashMap::new(),
                streams: Vec::new(),
                calls: VecDeque::new(),
                counts: BTreeMap::new(),
                faults: Vec::new(),
                api: Api::default(),
                listening: None,
            }),
        });
        let control = Control::new(Arc::clone(&shared));
        shared.listen()?;
        let driver = tokio::spawn(drive(shared));
        Ok(Self { control, driver })
    }

    /// Handle to control the Engine from outside.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Closes the socket and all connections.
    pub async fn stop(mut self) {
        self.driver.abort();
        let _ = (&mut self.driver).await;
        // Drop closes the socket.
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.driver.abort();
        self.control.shared().close(true);
    }
}

/// Advances the machine at every due instant, also when no call arrives.
async fn drive(shared: Arc<Shared>) {
    loop {
        let changed = shared.changed.notified();
        let due = shared.lock().machine.next_due();
        match due {
            None => changed.await,
            Some(due) => {
                let wait = due.saturating_sub(shared.clock.monotonic());
                tokio::select! {
                    () = changed => {}
                    () = shared.clock.sleep(wait) => {
                        // The next `lock` advances the machine to the current instant.
                    }
                }
            }
        }
    }
}

/// Range of the supported API versions, each as (major, minor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Api {
    min: (u32, u32),
    max: (u32, u32),
}

impl Default for Api {
    /// Range of Docker Engine 20.10.
    fn default() -> Self {
        Self { min: (1, 12), max: (1, 41) }
    }
}

/// Parses a version such as `1.41` as (major, minor).
fn api_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// State shared by the handlers, the driver and [`Control`].
#[derive(Debug)]
struct Shared {
    clock: Clock,
    /// Lead of the Engine's wall clock over `clock`.
    ahead: SignedDuration,
    socket: PathBuf,
    runtime: tokio::runtime::Handle,
    changed: Notify,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    machine: Machine,
    waiting: HashMap<OpId, oneshot::Sender<Outcome>>,
    streams: Vec<mpsc::UnboundedSender<Event>>,
    calls: VecDeque<Call>,
    counts: BTreeMap<Endpoint, u64>,
    faults: Vec<Fault>,
    api: Api,
    /// Cancels the accepting task and every connection.
    listening: Option<CancellationToken>,
}

impl Shared {
    /// Current time of the Engine's wall clock.
    fn wall(&self) -> Timestamp {
        self.clock.now() + self.ahead
    }

    /// Advances the machine to the current instant and locks it. Dropping the guard reports what has happened since.
    fn lock(&self) -> Guard<'_> {
        let mut inner = self.inner.lock();
        let now = Moment { wall: self.wall(), running: self.clock.monotonic() };
        inner.machine.advance(now);
        let next = inner.machine.next_due();
        Guard { inner, changed: &self.changed, next }
    }

    /// Binds the socket and starts accepting connections.
    fn listen(self: &Arc<Self>) -> io::Result<()> {
        let _ = std::fs::remove_file(&self.socket);
        let socket = std::os::unix::net::UnixListener::bind(&self.socket)?;
        socket.set_nonblocking(true)?;
        let token = CancellationToken::new();
        let _entered = self.runtime.enter();
        let listener = listen::Listener::new(tokio::net::UnixListener::from_std(socket)?, token.clone());
        let app = http::router(Arc::clone(self)).into_make_service_with_connect_info::<listen::Connection>();
        let done = token.clone();
        self.runtime.spawn(async move {
            tokio::select! {
                () = done.cancelled() => {}
                result = std::future::IntoFuture::into_future(axum::serve(listener, app)) => {
                    if let Err(error) = result {
                        tracing::warn!(error = %chain(&error), "the simulated Engine stopped listening");
                    }
                }
            }
        });
        self.lock().listening = Some(token);
        Ok(())
    }

    /// Ends the listener and its connections; no call is accepted any more.
    fn stop_listening(&self, remove_socket: bool) {
        if let Some(token) = self.lock().listening.take() {
            token.cancel();
        }
        if remove_socket {
            let _ = std::fs::remove_file(&self.socket);
        }
    }

    /// Ends the listener, every connection, every event stream and every waiting call.
    fn close(&self, remove_socket: bool) {
        self.stop_listening(remove_socket);
        let mut inner = self.lock();
        inner.streams.clear();
        inner.waiting.clear();
    }
}

/// Locked state. On drop it sends new events to the streams and outcomes to the waiting calls, and wakes the driver if
/// the next due instant has changed.
struct Guard<'a> {
    inner: MutexGuard<'a, Inner>,
    changed: &'a Notify,
    next: Option<Duration>,
}

impl std::ops::Deref for Guard<'_> {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl std::ops::DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.inner
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let inner = &mut *self.inner;
        for event in inner.machine.take_new_events() {
            inner.streams.retain(|stream| stream.send(event.clone()).is_ok());
        }
        for (op, outcome) in inner.machine.take_answered() {
            if let Some(waiting) = inner.waiting.remove(&op) {
                // A send error is ignored: the client has disconnected, which does not undo its call.
                let _ = waiting.send(outcome);
            }
        }
        if inner.machine.next_due() != self.next {
            self.changed.notify_one();
        }
    }
}
