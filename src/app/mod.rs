//! Services: the only callers of `db` and `docker`.
//!
//! Each function takes an [`Actor`], checks the permission, and answers in domain types. Pages and API call the same
//! function and differ only in parsing and view.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{Notify, broadcast};

use crate::clock::Clock;
use crate::config::Config;
use crate::db::Db;
use crate::docker::Hosts;
use crate::domain::ids::UserId;
use crate::domain::permission::{Permission, Role};
use crate::domain::run::ActorRef;
use crate::domain::target::Target;
use crate::domain::user::User;

pub mod audit;
pub mod auth;
pub mod backup;

pub mod attention;
pub mod calendars;
mod dates;
pub mod docker_check;
mod draft;
pub mod error;
pub mod execute;
pub mod external_changes;
pub mod health;
pub mod history;
pub mod idempotency;
mod ids;
pub mod locks;
pub(crate) mod manual_changes;
pub mod metrics;
pub mod nap;
pub mod notices;
pub mod order;
pub mod overrides;
pub mod paging;
pub mod profile;
pub mod report;
pub mod rulebook;
pub mod schedules;
pub mod settings;
pub mod simulate;
pub mod stacks;
pub mod suggest;
pub mod summary;
pub mod targets;
pub mod timeline;
pub mod traces;
pub mod upcoming;
pub mod user_links;
pub mod users;
pub mod vitals;
pub mod zone;

pub use auth::Auth;
pub use error::{Error, FieldError, Result};
pub use execute::ActiveRuns;
pub use external_changes::ExternalChanges;
pub use ids::IdSource;
pub use vitals::Vitals;

/// Everything a service needs. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    /// Storage.
    pub db: Db,
    pub clock: Clock,
    /// Settings, as they were at the start.
    pub config: Config,
    /// New ids.
    pub ids: IdSource,
    /// Tells browsers what changed.
    pub bus: Bus,
    /// Wakes the scheduler: a schedule was saved.
    pub scheduler: Activator,
    /// The Engines.
    pub hosts: Hosts,
    /// What is being done to containers right now.
    pub active_runs: ActiveRuns,
    /// Requests with an `Idempotency-Key` that are being answered.
    pub answering: idempotency::AtWork,
    /// What others do to containers, until the scheduler looks.
    pub external_changes: ExternalChanges,
    /// Sleeps that are near.
    pub upcoming: upcoming::Upcoming,
    /// Rules and naps, as they were read last.
    pub rulebook: rulebook::LastRead,
    /// Wakes [`report::keep`]: what is remembered as asleep may be awake.
    pub sleeps: Activator,
    /// What logging in takes.
    pub auth: Auth,
    /// Signs of life.
    pub vitals: Vitals,
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Something that says what should sleep has changed: the scheduler looks at everything, and browsers are told.
    pub fn rules_changed(&self, live: Live) {
        self.external_changes.rules_changed();
        self.scheduler.wake();
        self.bus.send(live);
    }
}

/// Who asks, and what that one may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// How runs and audit rows remember them.
    pub reference: ActorRef,
    pub role: Role,
    /// What they may do it to.
    pub scope: Scope,
    /// Where they call from.
    pub ip: Option<IpAddr>,
}

/// Which targets an actor may see. Every list filters by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them: the only scope there is so far.
    All,
}

impl Actor {
    /// DockNap's own scheduler.
    pub fn scheduler() -> Self {
        Self::internal("scheduler", "scheduler")
    }

    /// Somebody at the command line of the machine itself.
    pub fn cli() -> Self {
        Self::internal("cli", "command line")
    }

    /// A person who has logged in, calling from `ip`.
    pub fn user(user: &User, ip: Option<IpAddr>) -> Self {
        Self {
            reference: ActorRef {
                kind: "user".to_owned(),
                id: Some(user.id.as_str().to_owned()),
                name: user.name.clone(),
            },
            role: user.role,
            scope: Scope::All,
            ip,
        }
    }

    /// Somebody who has not logged in, calling from `ip`. Nothing is permitted; `name` goes into the audit log.
    pub(crate) fn stranger(name: &str, ip: Option<IpAddr>) -> Self {
        let reference = ActorRef { kind: "user".to_owned(), id: None, name: name.to_owned() };
        Self { reference, role: Role::Viewer, scope: Scope::All, ip }
    }

    fn internal(kind: &str, name: &str) -> Self {
        Self {
            reference: ActorRef { kind: kind.to_owned(), id: None, name: name.to_owned() },
            role: Role::Admin,
            scope: Scope::All,
            ip: None,
        }
    }

    /// Whoever asked for something earlier, to be remembered with how it ended. Nothing is permitted by it.
    pub fn of(reference: ActorRef) -> Self {
        Self { reference, role: Role::Viewer, scope: Scope::All, ip: None }
    }

    /// The account of who asks; of none where nobody has logged in.
    pub fn user_id(&self) -> UserId {
        UserId::from(self.reference.id.clone().unwrap_or_default())
    }

    /// Checks that this is one's own account, or an admin asks.
    ///
    /// # Errors
    /// [`Error::Forbidden`] naming the role that would do.
    pub fn require_own(&self, id: &UserId) -> Result<()> {
        if self.user_id() == *id { Ok(()) } else { self.require(Permission::Administer) }
    }

    /// Checks a permission.
    ///
    /// # Errors
    /// [`Error::Forbidden`] naming the role that would do.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.role.allows(permission) {
            Ok(())
        } else {
            Err(Error::Forbidden { needs: permission.needs() })
        }
    }
}

/// Wakes a loop that waits for work. A wake that comes while nobody waits is kept, so the loop arms itself, looks, and
/// only then waits.
#[derive(Clone, Debug, Default)]
pub struct Activator(Arc<Notify>);

impl Activator {
    /// There may be work.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits for the next wake.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}

/// Something changed that a page may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Live {
    /// A stack or its containers, by the stack's key.
    Stack(String),
    /// A container without a stack, by key.
    Container(String),
    /// What DockNap knows of a stack or container beside its state: its lock, its order.
    Target(Target),
    /// The list of runs.
    Runs,
    /// One run, by what it is for.
    Run(Target),
    /// The list of schedules, or one of them; a calendar they go by.
    Schedules,
    /// What is wanted of something for a while.
    Overrides,
    /// It sleeps within a few minutes.
    SleepsSoon(Target),
    /// The link to a host, or which stacks and containers there are.
    Hosts,
    /// What somebody hid on the first page.
    Needs,
}

/// Carries [`Live`] from where things change to the browsers. A listener that lags is told to look at everything.
#[derive(Clone, Debug)]
pub struct Bus(broadcast::Sender<Live>);

impl Default for Bus {
    fn default() -> Self {
        Self(broadcast::Sender::new(256))
    }
}

impl Bus {
    /// Tells whoever listens.
    pub fn send(&self, live: Live) {
        // No listener is the ordinary case.
        let _ = self.0.send(live);
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Live> {
        self.0.subscribe()
    }
}
